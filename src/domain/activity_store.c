/*
 * Writing, cutting and checking records of activity in the store. See activity_store.h. No locks;
 * the journal's thread writes, anybody may check.
 */
#include "cesid/activity_store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "activity_row.h"
#include "cesid/error.h"
#include "cesid/memory.h"

#define WALK_PAGE    500
#define WALK_TRIES   5
#define FOREIGN_LATE (INT64_C(30) * 86400 * 1000)

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- writing ---- */

struct writing {
    const char *instance;
    const struct activity_row *rows;
    size_t count;
};

static int put_row(struct store_transaction *transaction, const char *instance,
                   const struct activity_row *row)
{
    static const struct store_statement put = {
        "activity_put", "REPLACE INTO activity (" ACTIVITY_COLUMNS ", instance, number, mac, seal)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    const struct activity *record = row->record;
    const struct store_value values[] = {
        store_text(record->id),
        store_integer(record->at),
        store_text(activity_level_name(record->level)),
        store_text(text_or_empty(record->actor)),
        store_text(text_or_empty(record->action)),
        store_text(text_or_empty(record->resource)),
        store_text(text_or_empty(record->target)),
        store_text(text_or_empty(record->environment)),
        store_text(activity_result_name(record->result)),
        store_integer(record->status),
        store_integer(record->duration),
        store_text(text_or_empty(record->request_id)),
        store_text(text_or_empty(record->address)),
        store_text(text_or_empty(record->user_agent)),
        store_text(text_or_empty(record->details)),
        store_text(instance),
        store_integer((int64_t) row->link.number),
        store_text(row->link.mac),
        store_text(row->seal),
    };

    return store_transaction_execute(transaction, &put, values, ARRAY_LENGTH(values), NULL);
}

static int end_row(struct store_transaction *transaction, const char *instance,
                   const struct activity_row *row)
{
    static const struct store_statement end = {
        "activity_end", "UPDATE activity SET level = ?, result = ?, status = ?, duration = ?,"
                        " details = ?, seal = ? WHERE id = ?"};
    const struct activity *record = row->record;
    const struct store_value values[] = {
        store_text(activity_level_name(record->level)),
        store_text(activity_result_name(record->result)),
        store_integer(record->status),
        store_integer(record->duration),
        store_text(text_or_empty(record->details)),
        store_text(row->seal),
        store_text(record->id),
    };
    int64_t changed = 0;
    int error =
        store_transaction_execute(transaction, &end, values, ARRAY_LENGTH(values), &changed);

    /* Somebody removed it, or it is written a second time: it is written whole. */
    if (error == CESID_OK && changed == 0)
        error = put_row(transaction, instance, row);
    return error;
}

/* What environments there are, for readers who may see only some. */
static int put_environment(struct store_transaction *transaction, const char *environment)
{
    static const struct store_statement put = {
        "activity_environment", "REPLACE INTO activity_environments (environment) VALUES (?)"};
    static const struct store_statement find = {
        "activity_environment_find",
        "SELECT environment FROM activity_environments WHERE environment = ?"};
    const struct store_value value = store_text(environment);
    int64_t found = 0;
    int error = store_transaction_query(transaction, &find, &value, 1, activity_row_count, &found);

    return error == CESID_OK && found == 0
               ? store_transaction_execute(transaction, &put, &value, 1, NULL)
               : error;
}

static int write_rows(struct store_transaction *transaction, void *argument)
{
    const struct writing *writing = argument;
    const char *last = NULL;
    int error = CESID_OK;

    for (size_t i = 0; i < writing->count && error == CESID_OK; i++) {
        const struct activity_row *row = &writing->rows[i];
        const char *environment = row->record->environment;

        error = row->outcome ? end_row(transaction, writing->instance, row)
                             : put_row(transaction, writing->instance, row);
        if (error == CESID_OK && !row->outcome && environment != NULL &&
            (last == NULL || strcmp(last, environment) != 0)) {
            error = put_environment(transaction, environment);
            last = environment;
        }
    }
    return error;
}

int activity_store_write(struct store *store, const char *instance, const struct activity_row *rows,
                         size_t count)
{
    struct writing writing = {instance, rows, count};

    return count == 0 ? CESID_OK : store_transact(store, write_rows, &writing);
}

/* ---- where the chain stands ---- */

static bool take_link(void *argument, const struct store_row *row)
{
    struct activity_link *link = argument;

    link->number = (uint64_t) store_row_integer(row, 0);
    (void) snprintf(link->mac, sizeof(link->mac), "%s", text_or_empty(store_row_text(row, 1)));
    return true;
}

struct anchor {
    struct activity_link link;
    char seal[ACTIVITY_MAC_SIZE];
};

static bool take_anchor(void *argument, const struct store_row *row)
{
    struct anchor *anchor = argument;

    (void) take_link(&anchor->link, row);
    (void) snprintf(anchor->seal, sizeof(anchor->seal), "%s",
                    text_or_empty(store_row_text(row, 2)));
    return true;
}

static const struct store_statement read_anchor = {
    "activity_anchor", "SELECT number, mac, seal FROM activity_anchors WHERE instance = ?"};

int activity_store_head(struct store *store, const char *instance, struct activity_link *head)
{
    static const struct store_statement last = {
        "activity_head",
        "SELECT number, mac FROM activity WHERE instance = ? ORDER BY number DESC LIMIT 1"};
    const struct store_value value = store_text(instance);
    struct anchor anchor = {0};
    int error;

    *head = (struct activity_link){0};
    error = store_query(store, &last, &value, 1, take_link, head);
    if (error == CESID_OK && head->number == 0) {
        error = store_query(store, &read_anchor, &value, 1, take_anchor, &anchor);
        *head = anchor.link;
    }
    return error;
}

struct rows {
    struct activity_row *items;
    size_t count, capacity;
    const char *instance; /* of pending ones: whose, and up to which number */
    uint64_t last;
};

static bool take_row(void *argument, const struct store_row *row)
{
    struct rows *rows = argument;
    struct activity_row *item;

    if (rows->count == rows->capacity)
        return false;
    item = &rows->items[rows->count++];
    item->record = activity_row_read(row);
    item->link.number = (uint64_t) store_row_integer(row, ACTIVITY_COLUMNS_COUNT);
    (void) snprintf(item->link.mac, sizeof(item->link.mac), "%s",
                    text_or_empty(store_row_text(row, ACTIVITY_COLUMNS_COUNT + 1)));
    (void) snprintf(item->seal, sizeof(item->seal), "%s",
                    text_or_empty(store_row_text(row, ACTIVITY_COLUMNS_COUNT + 2)));
    return true;
}

static bool take_pending(void *argument, const struct store_row *row)
{
    const struct rows *rows = argument;
    const char *instance = store_row_text(row, ACTIVITY_COLUMNS_COUNT + 3);

    if (instance == NULL || strcmp(instance, rows->instance) != 0 ||
        (uint64_t) store_row_integer(row, ACTIVITY_COLUMNS_COUNT) > rows->last)
        return true;
    return take_row(argument, row);
}

static void drop_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        activity_destroy(&rows->items[i].record);
    rows->count = 0;
}

int activity_store_pending(struct store *store, const char *instance, uint64_t last, size_t limit,
                           struct activity_row **items, size_t *count)
{
    /* Few at any time: by result alone, for which there is an index. */
    static const struct store_statement pending = {
        "activity_pending", "SELECT " ACTIVITY_COLUMNS ", number, mac, seal, instance FROM activity"
                            " WHERE result = 'pending' ORDER BY id LIMIT ?"};
    const struct store_value value = store_integer((int64_t) limit);
    struct rows rows = {.items = mem_array(limit, sizeof(rows.items[0])),
                        .capacity = limit,
                        .instance = instance,
                        .last = last};
    int error = store_query(store, &pending, &value, 1, take_pending, &rows);

    if (error != CESID_OK) {
        drop_rows(&rows);
        free(rows.items);
        rows.items = NULL;
    }
    *items = rows.items;
    *count = rows.count;
    return error;
}

/* ---- retention ---- */

struct cutting {
    const struct activity_chain *chain;
    int64_t until, limit, removed;
    struct activity_link last;
};

/* The chain is cut where the first record is that stays. */
static bool take_old(void *argument, const struct store_row *row)
{
    struct cutting *cutting = argument;

    if (store_row_integer(row, 2) >= cutting->until)
        return false;
    (void) take_link(&cutting->last, row);
    return true;
}

static int cut(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement oldest = {
        "activity_oldest",
        "SELECT number, mac, at FROM activity WHERE instance = ? ORDER BY number LIMIT ?"};
    static const struct store_statement anchor = {
        "activity_anchor_put",
        "REPLACE INTO activity_anchors (instance, number, mac, seal) VALUES (?, ?, ?, ?)"};
    static const struct store_statement remove = {
        "activity_cut", "DELETE FROM activity WHERE instance = ? AND number <= ?"};
    struct cutting *cutting = argument;
    const char *instance = activity_chain_instance(cutting->chain);
    const struct store_value find[] = {store_text(instance), store_integer(cutting->limit)};
    char seal[ACTIVITY_MAC_SIZE];
    int error;

    cutting->last = (struct activity_link){0};
    cutting->removed = 0;
    error =
        store_transaction_query(transaction, &oldest, find, ARRAY_LENGTH(find), take_old, cutting);
    if (error != CESID_OK || cutting->last.number == 0)
        return error;
    activity_chain_anchor(cutting->chain, &cutting->last, seal);
    const struct store_value values[] = {store_text(instance),
                                         store_integer((int64_t) cutting->last.number),
                                         store_text(cutting->last.mac), store_text(seal)};
    error = store_transaction_execute(transaction, &anchor, values, ARRAY_LENGTH(values), NULL);
    return error != CESID_OK
               ? error
               : store_transaction_execute(transaction, &remove, values, 2, &cutting->removed);
}

struct foreign {
    char last[ACTIVITY_ID_SIZE];
};

static bool take_id(void *argument, const struct store_row *row)
{
    struct foreign *foreign = argument;

    (void) snprintf(foreign->last, sizeof(foreign->last), "%s",
                    text_or_empty(store_row_text(row, 0)));
    return true;
}

/* Records of a state directory that is gone: nobody else would remove them. */
static int cut_foreign(struct store *store, const struct cutting *cutting, int64_t *removed)
{
    static const struct store_statement oldest = {
        "activity_foreign",
        "SELECT id FROM activity WHERE id < ? AND instance <> ? ORDER BY id LIMIT ?"};
    static const struct store_statement remove = {
        "activity_cut_foreign", "DELETE FROM activity WHERE id <= ? AND instance <> ?"};
    const char *instance = activity_chain_instance(cutting->chain);
    struct foreign foreign = {0};
    char floor[ACTIVITY_ID_SIZE];
    int error;

    activity_id_floor(floor, cutting->until - FOREIGN_LATE);
    const struct store_value find[] = {store_text(floor), store_text(instance),
                                       store_integer(cutting->limit)};
    error = store_query(store, &oldest, find, ARRAY_LENGTH(find), take_id, &foreign);
    if (error != CESID_OK || foreign.last[0] == '\0')
        return error;
    const struct store_value values[] = {store_text(foreign.last), store_text(instance)};
    return store_execute(store, &remove, values, ARRAY_LENGTH(values), removed);
}

int activity_store_cut(struct store *store, const struct activity_chain *chain, int64_t until,
                       int64_t limit, int64_t *removed)
{
    struct cutting cutting = {.chain = chain, .until = until, .limit = limit};
    int error = store_transact(store, cut, &cutting);

    *removed = error == CESID_OK ? cutting.removed : 0;
    if (error == CESID_OK && *removed == 0)
        error = cut_foreign(store, &cutting, removed);
    return error;
}

/* ---- checking ---- */

struct walk {
    const struct activity_chain *chain;
    struct activity_link last;
    struct activity_verdict *verdict;
};

static bool CESID_PRINTF(2, 3) broken(struct activity_verdict *verdict, const char *format, ...)
{
    va_list arguments;

    verdict->broken = true;
    va_start(arguments, format);
    (void) vsnprintf(verdict->why, sizeof(verdict->why), format, arguments);
    va_end(arguments);
    return false;
}

static bool check_row(struct walk *walk, const struct activity_row *row)
{
    const char *id = row->record->id;
    struct activity_link wanted;
    char seal[ACTIVITY_MAC_SIZE];

    if (row->link.number != walk->last.number + 1) {
        if (row->link.number <= walk->last.number)
            return broken(walk->verdict, "record %" PRIu64 " (%s) is there twice", row->link.number,
                          id);
        return broken(walk->verdict, "records %" PRIu64 " to %" PRIu64 " are missing before %s",
                      walk->last.number + 1, row->link.number - 1, id);
    }
    activity_chain_next(walk->chain, &walk->last, row->record, &wanted);
    if (!activity_chain_equal(wanted.mac, row->link.mac))
        return broken(walk->verdict, "record %" PRIu64 " (%s) was changed, or the one before it",
                      row->link.number, id);
    activity_chain_seal(walk->chain, &wanted, row->record, seal);
    if (!activity_chain_equal(seal, row->seal))
        return broken(walk->verdict, "the outcome of record %" PRIu64 " (%s) was changed",
                      row->link.number, id);
    walk->last = wanted;
    walk->verdict->held++;
    walk->verdict->pending += row->record->result == ACTIVITY_PENDING;
    return true;
}

static int walk_store(struct store *store, struct walk *walk)
{
    static const struct store_statement next = {
        "activity_walk", "SELECT " ACTIVITY_COLUMNS ", number, mac, seal FROM activity"
                         " WHERE instance = ? AND number > ? ORDER BY number LIMIT ?"};
    struct rows rows = {.items = mem_array(WALK_PAGE, sizeof(rows.items[0])),
                        .capacity = WALK_PAGE};
    int error;

    do {
        const struct store_value values[] = {store_text(activity_chain_instance(walk->chain)),
                                             store_integer((int64_t) walk->last.number),
                                             store_integer(WALK_PAGE)};

        drop_rows(&rows);
        error = store_query(store, &next, values, ARRAY_LENGTH(values), take_row, &rows);
        for (size_t i = 0; error == CESID_OK && i < rows.count; i++)
            if (!check_row(walk, &rows.items[i]))
                goto out;
    } while (error == CESID_OK && rows.count == WALK_PAGE);
out:
    drop_rows(&rows);
    free(rows.items);
    return error;
}

/* From the anchor, if there is a good one. */
static int walk_begin(struct store *store, struct walk *walk)
{
    const struct store_value value = store_text(activity_chain_instance(walk->chain));
    struct anchor anchor = {0};
    char seal[ACTIVITY_MAC_SIZE];
    int error = store_query(store, &read_anchor, &value, 1, take_anchor, &anchor);

    if (error != CESID_OK || anchor.link.number == 0)
        return error;
    activity_chain_anchor(walk->chain, &anchor.link, seal);
    if (!activity_chain_equal(seal, anchor.seal))
        broken(walk->verdict, "the anchor that retention left at record %" PRIu64 " was changed",
               anchor.link.number);
    walk->last = anchor.link;
    return CESID_OK;
}

static int count_foreign(struct store *store, const struct activity_chain *chain, uint64_t *count)
{
    static const struct store_statement others = {
        "activity_others", "SELECT COUNT(*) FROM activity WHERE instance <> ?"};
    const struct store_value value = store_text(activity_chain_instance(chain));
    int64_t found = 0;
    int error = store_query(store, &others, &value, 1, activity_row_number, &found);

    *count = (uint64_t) found;
    return error;
}

/* One walk over all that there is. *start: where it began. */
static int walk_all(struct store *store, struct walk *walk, const struct activity_row *extra,
                    size_t extra_count, uint64_t *start)
{
    int error = walk_begin(store, walk);

    *start = walk->last.number;
    if (error == CESID_OK && !walk->verdict->broken)
        error = walk_store(store, walk);
    for (size_t i = 0; error == CESID_OK && !walk->verdict->broken && i < extra_count; i++)
        if (!extra[i].outcome && extra[i].link.number > walk->last.number)
            (void) check_row(walk, &extra[i]);
    return error;
}

/* Whether retention removed records during the walk. */
static bool has_moved(struct store *store, const struct activity_chain *chain, uint64_t start)
{
    const struct store_value value = store_text(activity_chain_instance(chain));
    struct anchor anchor = {0};

    return store_query(store, &read_anchor, &value, 1, take_anchor, &anchor) == CESID_OK &&
           anchor.link.number != start;
}

int activity_store_verify(struct store *store, const struct activity_chain *chain,
                          const struct activity_link *head, const struct activity_row *extra,
                          size_t extra_count, struct activity_verdict *verdict)
{
    struct walk walk;
    uint64_t start;
    int error, tries = 0;

    do {
        walk = (struct walk){.chain = chain, .verdict = verdict};
        *verdict = (struct activity_verdict){0};
        error = walk_all(store, &walk, extra, extra_count, &start);
    } while (error == CESID_OK && verdict->broken && ++tries < WALK_TRIES &&
             has_moved(store, chain, start));
    if (error == CESID_OK && !verdict->broken && head == NULL)
        (void) broken(verdict,
                      "activity.head is missing or damaged: whether records are missing at the "
                      "end, after %" PRIu64 ", is not known",
                      walk.last.number);
    if (error == CESID_OK && !verdict->broken && head != NULL && head->number > walk.last.number)
        (void) broken(verdict, "records %" PRIu64 " to %" PRIu64 " are missing at the end",
                      walk.last.number + 1, head->number);
    if (error == CESID_OK)
        error = count_foreign(store, chain, &verdict->foreign);
    return error;
}
