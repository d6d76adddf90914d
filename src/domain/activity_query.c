/*
 * Reading records of activity. See activity_store.h. Any thread; no locks.
 *
 * Statements are constants, so each way into the table has its own: by id alone, or by the one
 * text that is given whole and has an index. The other conditions are in every statement, each
 * with a switch. Who may see only some environments reads each by itself, and the answers are put
 * in order here: every one of them comes from an index.
 */
#include <stdlib.h>
#include <string.h>

#include "activity_row.h"
#include "cesid/activity_store.h"
#include "cesid/error.h"
#include "cesid/memory.h"

#define PATTERN_MAX 4096

enum way { WAY_ALL, WAY_ACTOR, WAY_ACTION, WAY_TARGET, WAY_RESULT, WAYS };

#define WHERE                                                                                      \
    " FROM activity WHERE id >= ? AND id < ?"                                                      \
    " AND (? = 0 OR actor LIKE ? ESCAPE '!') AND (? = 0 OR action LIKE ? ESCAPE '!')"              \
    " AND (? = 0 OR target LIKE ? ESCAPE '!') AND (? = 0 OR result = ?)"
#define WHERE_VALUES 10
#define NEWEST       " ORDER BY id DESC LIMIT ?"
#define GROUPED      " GROUP BY action, actor, result, environment"

/* The ways in; the second row is for one environment. */
#define WAY(name, before, way, after)                                                              \
    {                                                                                              \
        (name), before WHERE way after                                                             \
    }
#define WAYS_IN(name, before, scope, after)                                                        \
    {                                                                                              \
        WAY(name, before, scope, after),                                                           \
            WAY(name "_actor", before, " AND actor = ?" scope, after),                             \
            WAY(name "_action", before, " AND action = ?" scope, after),                           \
            WAY(name "_target", before, " AND target = ?" scope, after),                           \
            WAY(name "_result", before, " AND result = ?" scope, after)                            \
    }
#define VARIANTS(name, before, after)                                                              \
    {                                                                                              \
        WAYS_IN(name, before, "", after),                                                          \
            WAYS_IN(name "_scoped", before, " AND environment = ?", after)                         \
    }

static const struct store_statement pages[2][WAYS] =
    VARIANTS("activity_page", "SELECT " ACTIVITY_COLUMNS, NEWEST);
static const struct store_statement counts[2][WAYS] =
    VARIANTS("activity_count", "SELECT COUNT(*) FROM (SELECT id", " LIMIT ?) AS counted");
static const struct store_statement groups[2][WAYS] =
    VARIANTS("activity_groups", "SELECT action, actor, result, environment, COUNT(*)", GROUPED);

/* ---- rows ---- */

static char *copied(const struct store_row *row, int column)
{
    const char *text = store_row_text(row, column);

    return text == NULL || text[0] == '\0' ? NULL : mem_string(text);
}

struct activity *activity_row_read(const struct store_row *row)
{
    struct activity *record = mem_alloc(sizeof(*record));
    const char *id = store_row_text(row, 0);

    if (id != NULL)
        memcpy(record->id, id, strnlen(id, sizeof(record->id) - 1));
    record->at = store_row_integer(row, 1);
    /* What makes no sense was written by a stranger: the chain will tell. */
    (void) activity_level_parse(store_row_text(row, 2), &record->level);
    record->actor = copied(row, 3);
    record->action = copied(row, 4);
    record->resource = copied(row, 5);
    record->target = copied(row, 6);
    record->environment = copied(row, 7);
    (void) activity_result_parse(store_row_text(row, 8), &record->result);
    record->status = (int) store_row_integer(row, 9);
    record->duration = store_row_integer(row, 10);
    record->request_id = copied(row, 11);
    record->address = copied(row, 12);
    record->user_agent = copied(row, 13);
    record->details = copied(row, 14);
    return record;
}

bool activity_row_count(void *count, const struct store_row *row)
{
    (void) row;
    ++*(int64_t *) count;
    return true;
}

bool activity_row_number(void *number, const struct store_row *row)
{
    *(int64_t *) number = store_row_integer(row, 0);
    return true;
}

/* ---- the conditions ---- */

static bool is_glob(const char *text)
{
    return strpbrk(text, "*?\\") != NULL;
}

/* A glob in LIKE's words. */
static char *pattern(const char *glob)
{
    struct strbuf out;

    strbuf_init(&out, PATTERN_MAX);
    for (const char *at = glob; at != NULL && *at != '\0'; at++) {
        if (*at == '*')
            strbuf_putc(&out, '%');
        else if (*at == '?')
            strbuf_putc(&out, '_');
        else {
            if (*at == '\\' && at[1] != '\0')
                at++;
            if (strchr("%_!", *at) != NULL)
                strbuf_putc(&out, '!');
            strbuf_putc(&out, *at);
        }
    }
    return strbuf_steal(&out);
}

struct conditions {
    enum way way;
    char first[ACTIVITY_ID_SIZE], end[ACTIVITY_ID_SIZE];
    char *actor, *action, *target; /* patterns */
    struct store_value values[WHERE_VALUES + 3];
    size_t count;
};

static void add(struct conditions *conditions, struct store_value value)
{
    CHECK(conditions->count < ARRAY_LENGTH(conditions->values));
    conditions->values[conditions->count++] = value;
}

static void add_text(struct conditions *conditions, const char *given, bool used_whole,
                     const char *text)
{
    add(conditions, store_integer(given != NULL && !used_whole));
    add(conditions, store_text(text != NULL ? text : ""));
}

static enum way choose_way(const struct activity_filter *filter)
{
    if (filter->target != NULL && !is_glob(filter->target))
        return WAY_TARGET;
    if (filter->actor != NULL && !is_glob(filter->actor))
        return WAY_ACTOR;
    if (filter->action != NULL && !is_glob(filter->action))
        return WAY_ACTION;
    if (filter->result != NULL)
        return WAY_RESULT;
    return WAY_ALL;
}

static void conditions_init(struct conditions *conditions, const struct activity_filter *filter,
                            const char *before)
{
    *conditions = (struct conditions){.way = choose_way(filter)};
    activity_id_floor(conditions->first, filter->since);
    activity_id_floor(conditions->end, filter->until > 0 ? filter->until : INT64_C(0xffffffffffff));
    if (before != NULL && strcmp(before, conditions->end) < 0)
        (void) memccpy(conditions->end, before, '\0', sizeof(conditions->end) - 1);
    conditions->actor = pattern(filter->actor);
    conditions->action = pattern(filter->action);
    conditions->target = pattern(filter->target);
    add(conditions, store_text(conditions->first));
    add(conditions, store_text(conditions->end));
    add_text(conditions, filter->actor, conditions->way == WAY_ACTOR, conditions->actor);
    add_text(conditions, filter->action, conditions->way == WAY_ACTION, conditions->action);
    add_text(conditions, filter->target, conditions->way == WAY_TARGET, conditions->target);
    add_text(conditions, filter->result, conditions->way == WAY_RESULT, filter->result);
    const char *const whole[WAYS] = {[WAY_ACTOR] = filter->actor,
                                     [WAY_ACTION] = filter->action,
                                     [WAY_TARGET] = filter->target,
                                     [WAY_RESULT] = filter->result};
    if (conditions->way != WAY_ALL)
        add(conditions, store_text(whole[conditions->way]));
}

static void conditions_destroy(struct conditions *conditions)
{
    free(conditions->actor);
    free(conditions->action);
    free(conditions->target);
}

/* ---- environments that the reader may see ---- */

struct scopes {
    const struct access *access;
    bool all;
    char **items;
    size_t count, capacity;
};

static bool take_scope(void *argument, const struct store_row *row)
{
    struct scopes *scopes = argument;
    const char *environment = store_row_text(row, 0);

    if (environment == NULL || !access_allows(scopes->access, ACTIVITY_READ, environment))
        return true;
    if (scopes->count == scopes->capacity) {
        scopes->capacity = scopes->capacity == 0 ? 8 : 2 * scopes->capacity;
        scopes->items = mem_resize(scopes->items, scopes->capacity, sizeof(scopes->items[0]));
    }
    scopes->items[scopes->count++] = mem_string(environment);
    return true;
}

static int scopes_find(struct scopes *scopes, struct store *store, const struct access *access)
{
    static const struct store_statement list = {
        "activity_environments",
        "SELECT environment FROM activity_environments ORDER BY environment"};

    *scopes = (struct scopes){.access = access};
    scopes->all = access_allows(access, ACTIVITY_READ, NULL);
    return scopes->all ? CESID_OK : store_query(store, &list, NULL, 0, take_scope, scopes);
}

static void scopes_destroy(struct scopes *scopes)
{
    for (size_t i = 0; i < scopes->count; i++)
        free(scopes->items[i]);
    free(scopes->items);
}

/* Runs the statement of the right kind: once, or for each environment. limit 0: it has none. */
static int ask(struct store *store, const struct activity_filter *filter, const char *before,
               const struct store_statement statements[2][WAYS], int64_t limit,
               bool (*row)(void *argument, const struct store_row *row), void *argument)
{
    struct conditions conditions;
    struct scopes scopes;
    int error = scopes_find(&scopes, store, filter->access);

    conditions_init(&conditions, filter, before);
    for (size_t i = 0; error == CESID_OK && i < (scopes.all ? 1 : scopes.count); i++) {
        struct conditions one = conditions;

        if (!scopes.all)
            add(&one, store_text(scopes.items[i]));
        if (limit > 0)
            add(&one, store_integer(limit));
        error = store_query(store, &statements[!scopes.all][conditions.way], one.values, one.count,
                            row, argument);
    }
    conditions_destroy(&conditions);
    scopes_destroy(&scopes);
    return error;
}

/* ---- pages ---- */

struct collection {
    struct activity **items;
    size_t count, capacity;
};

static bool collect(void *argument, const struct store_row *row)
{
    struct collection *collection = argument;

    if (collection->count == collection->capacity) {
        collection->capacity = collection->capacity == 0 ? 128 : 2 * collection->capacity;
        collection->items =
            mem_resize(collection->items, collection->capacity, sizeof(collection->items[0]));
    }
    collection->items[collection->count++] = activity_row_read(row);
    return true;
}

static int newest_first(const void *a, const void *b)
{
    struct activity *const *left = a, *const *right = b;

    return strcmp((*right)->id, (*left)->id);
}

int activity_store_page(struct store *store, const struct activity_filter *filter,
                        const char *before, size_t limit, struct activity ***records, size_t *count)
{
    struct collection collection = {0};
    int error = ask(store, filter, before, pages, (int64_t) limit, collect, &collection);
    size_t kept = error == CESID_OK ? limit : 0;

    if (collection.count > 1)
        qsort(collection.items, collection.count, sizeof(collection.items[0]), newest_first);
    while (collection.count > kept)
        activity_destroy(&collection.items[--collection.count]);
    *records = collection.items;
    *count = collection.count;
    return error;
}

static bool add_count(void *argument, const struct store_row *row)
{
    *(int64_t *) argument += store_row_integer(row, 0);
    return true;
}

int activity_store_count(struct store *store, const struct activity_filter *filter, int64_t *count)
{
    int error;

    *count = 0;
    error = ask(store, filter, NULL, counts, ACTIVITY_COUNT_MAX, add_count, count);
    if (*count > ACTIVITY_COUNT_MAX)
        *count = ACTIVITY_COUNT_MAX;
    return error;
}

struct grouping {
    void (*group)(void *argument, const struct activity_group *group);
    void *argument;
};

static bool take_group(void *argument, const struct store_row *row)
{
    const struct grouping *grouping = argument;

    grouping->group(grouping->argument, &(struct activity_group){
                                            .action = store_row_text(row, 0),
                                            .actor = store_row_text(row, 1),
                                            .result = store_row_text(row, 2),
                                            .environment = store_row_text(row, 3),
                                            .count = store_row_integer(row, 4),
                                        });
    return true;
}

int activity_store_groups(struct store *store, const struct activity_filter *filter,
                          void (*group)(void *argument, const struct activity_group *group),
                          void *argument)
{
    struct grouping grouping = {group, argument};

    return ask(store, filter, NULL, groups, 0, take_group, &grouping);
}
