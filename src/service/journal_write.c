/*
 * What becomes of a batch of records: the store, else the spill file, else nothing is done that
 * would need them. The journal's thread alone; LOCK_JOURNAL only to tell those who wait.
 *
 * Three situations. Usually a batch goes to the store. Once that failed, everything goes to the
 * spill file, until all of it is in the store: so the order is kept. When the spill file fails as
 * well, what is numbered already is kept in memory, because whether the store has it may be
 * unknown and the chain must not use a number twice; actions are refused until it has a place.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "journal_private.h"

#define PAUSE_MIN   0.5 /* seconds before the store is tried again… */
#define PAUSE_MAX   5.0 /* …when it goes on failing */
#define PAUSE_MOST  30.0
#define RETRY_BATCH 500

bool journal_behind(const struct journal *journal)
{
    return journal->kept.count > 0 || spill_count(journal->spill) > 0;
}

/* ---- telling ---- */

static void settle(struct journal *journal, struct entries *batch, int error)
{
    lock_acquire(&journal->lock);
    for (struct entry *entry = batch->first; entry != NULL; entry = entry->next) {
        if (entry->ticket == NULL)
            continue;
        entry->ticket->done = true;
        entry->ticket->error = error;
        entry->ticket->link = entry->link;
        entry->ticket = NULL;
    }
    journal->spilled = spill_count(journal->spill);
    journal->spill_bytes = spill_size(journal->spill);
    journal->kept_count = journal->kept.count;
    cond_broadcast(&journal->settled);
    lock_release(&journal->lock);
}

static void publish(struct journal *journal, const struct activity *record)
{
    struct strbuf data;
    struct json json;

    if (journal->bus == NULL || record->result == ACTIVITY_PENDING)
        return;
    strbuf_init(&data, (size_t) 64 << 10);
    json_start(&json, &data);
    activity_json(&json, record);
    if (!strbuf_failed(&data))
        bus_publish(journal->bus, event_create(EVENT_ACTIVITY, ACTIVITY_READ, record->environment,
                                               NULL, data.data, data.length));
    strbuf_destroy(&data);
}

static void publish_all(struct journal *journal, const struct entries *batch)
{
    for (const struct entry *entry = batch->first; entry != NULL; entry = entry->next)
        publish(journal, entry->record);
}

static void drop_all(struct entries *batch)
{
    struct entry *entry;

    while ((entry = entries_take(batch)) != NULL)
        entry_free(&entry);
}

static void report(struct journal *journal, int error)
{
    uint64_t failures;

    if (error == CESID_OK) {
        if (log_repeat_recovered(&journal->failing, &failures))
            log_info("journal", "the store takes records of activity again");
    } else if (log_repeat_failed(&journal->failing)) {
        log_warning("journal", "the store does not take records of activity; they are kept aside",
                    log_s("error", error_code(error)),
                    log_i("spilled", (int64_t) spill_count(journal->spill)));
    }
}

/* ---- places ---- */

/* Gives numbers to those that have none, in their order. */
static void number(struct journal *journal, struct entries *batch)
{
    for (struct entry *entry = batch->first; entry != NULL; entry = entry->next) {
        if (entry->link.number != 0)
            continue;
        activity_chain_next(journal->chain, &journal->head, entry->record, &entry->link);
        journal->head = entry->link;
    }
}

/* Borrows the records; caller frees. */
static struct activity_row *rows_of(struct journal *journal, const struct entries *batch)
{
    struct activity_row *rows = mem_array(batch->count, sizeof(rows[0]));
    size_t i = 0;

    for (const struct entry *entry = batch->first; entry != NULL; entry = entry->next, i++) {
        rows[i] = (struct activity_row){
            .record = entry->record, .link = entry->link, .outcome = entry->kind == ENTRY_OUTCOME};
        activity_chain_seal(journal->chain, &entry->link, entry->record, rows[i].seal);
    }
    return rows;
}

static int to_store(struct journal *journal, const struct activity_row *rows, size_t count)
{
    int64_t since = clock_now();
    int error =
        activity_store_write(journal->store, activity_chain_instance(journal->chain), rows, count);

    journal->store_took = clock_seconds_since(since);
    report(journal, error);
    return error;
}

/* Those who act wait for a try that hangs: what took long is tried less often. */
static void wait_before_retry(struct journal *journal, bool failed)
{
    double pause;

    if (failed)
        journal->retry_pause *= 2;
    else
        journal->retry_pause = PAUSE_MIN;
    if (journal->retry_pause > PAUSE_MAX)
        journal->retry_pause = PAUSE_MAX;
    pause = 2 * journal->store_took > journal->retry_pause ? 2 * journal->store_took
                                                           : journal->retry_pause;
    journal->retry_at = clock_after(pause < PAUSE_MOST ? pause : PAUSE_MOST);
}

/* Numbered entries into the store or, when that is away or has some to get first, the spill. */
static int place(struct journal *journal, const struct entries *batch, uint64_t spill_limit)
{
    struct activity_row *rows = rows_of(journal, batch);
    int error = CESID_E_STORE_UNAVAILABLE;

    if (spill_count(journal->spill) == 0)
        error = to_store(journal, rows, batch->count);
    if (error != CESID_OK) {
        if (spill_count(journal->spill) == 0)
            wait_before_retry(journal, false);
        error = spill_append(journal->spill, rows, batch->count, spill_limit);
    }
    if (error == CESID_OK)
        activity_chain_remember(journal->chain, &journal->head);
    free(rows);
    return error;
}

/* ---- a batch ---- */

/* What may still be refused goes to *refused, the rest stays. */
static void split(struct entries *batch, struct entries *refused)
{
    struct entries all = *batch;
    struct entry *entry;

    *batch = (struct entries){0};
    while ((entry = entries_take(&all)) != NULL)
        entries_add(entry->kind == ENTRY_OUTCOME ? batch : refused, entry);
}

static void refuse(struct journal *journal, struct entries *refused)
{
    size_t notes = 0;

    for (const struct entry *entry = refused->first; entry != NULL; entry = entry->next)
        notes += entry->kind == ENTRY_NOTE;
    settle(journal, refused, CESID_E_STORE_UNAVAILABLE);
    drop_all(refused);
    lock_acquire(&journal->lock);
    journal->dropped += notes;
    lock_release(&journal->lock);
}

/* Numbered, and without a place: they stay in memory. The intents among them are refused, and are
 * recorded as such. */
static void keep(struct journal *journal, struct entries *batch)
{
    struct entry *entry;
    size_t dropped = 0;
    bool news = journal->kept.count == 0;

    settle(journal, batch, CESID_E_STORE_UNAVAILABLE);
    while ((entry = entries_take(batch)) != NULL) {
        if (entry->kind == ENTRY_INTENT || entry->kind == ENTRY_WHOLE) {
            entry->record->result = ACTIVITY_REFUSED;
            entry->record->status = error_status(CESID_E_STORE_UNAVAILABLE);
            entry->record->level = ACTIVITY_WARNING;
            entry->kind = ENTRY_WHOLE;
        }
        if (journal->kept.count < JOURNAL_KEPT || entry->kind != ENTRY_OUTCOME) {
            entries_add(&journal->kept, entry);
        } else {
            dropped++;
            entry_free(&entry);
        }
    }
    lock_acquire(&journal->lock);
    journal->kept_count = journal->kept.count;
    journal->dropped += dropped;
    lock_release(&journal->lock);
    wait_before_retry(journal, false);
    if (news)
        log_error("journal",
                  "neither the store nor the spill file takes records of activity: actions "
                  "are refused",
                  log_i("kept", (int64_t) journal->kept.count));
}

/* While something is kept, or the spill is full, nothing new begins. */
static bool must_refuse(const struct journal *journal)
{
    return journal->kept.count > 0 ||
           (spill_count(journal->spill) > 0 && spill_size(journal->spill) >= SPILL_LIMIT);
}

void journal_write_batch(struct journal *journal, struct entries *batch)
{
    if (batch->count > 0 && must_refuse(journal)) {
        struct entries refused = {0};

        split(batch, &refused);
        refuse(journal, &refused);
    }
    if (batch->count == 0)
        return;
    if (journal->kept.count > 0) {
        keep(journal, batch);
        return;
    }
    number(journal, batch);
    if (place(journal, batch, SPILL_LIMIT + SPILL_RESERVE) != CESID_OK) {
        keep(journal, batch);
        return;
    }
    settle(journal, batch, CESID_OK);
    publish_all(journal, batch);
    drop_all(batch);
}

/* ---- catching up ---- */

static int retry_kept(struct journal *journal)
{
    struct entries batch = journal->kept;
    int error = place(journal, &batch, SPILL_LIMIT + SPILL_RESERVE);

    if (error == CESID_OK) {
        journal->kept = (struct entries){0};
        log_info("journal", "records of activity that were kept in memory have found a place",
                 log_i("records", (int64_t) batch.count));
        settle(journal, &batch, CESID_OK);
        publish_all(journal, &batch);
        drop_all(&batch);
    }
    return error;
}

static int retry_spilled(struct journal *journal)
{
    struct activity_row *rows = NULL;
    size_t count = 0;
    uint64_t next;
    int error = spill_read(journal->spill, RETRY_BATCH, &rows, &count, &next);

    if (error == CESID_OK)
        error = to_store(journal, rows, count);
    if (error == CESID_OK)
        error = spill_advance(journal->spill, next, count);
    for (size_t i = 0; i < count; i++)
        activity_destroy(&rows[i].record);
    free(rows);
    return error;
}

void journal_retry(struct journal *journal)
{
    struct entries nobody = {0};
    int error = CESID_OK;

    if (spill_count(journal->spill) > 0)
        error = retry_spilled(journal);
    /* When some of the spill went, the rest comes first: it needs no new place. */
    if (journal->kept.count > 0 && (error != CESID_OK || spill_count(journal->spill) == 0))
        error = retry_kept(journal);
    if (error != CESID_OK)
        wait_before_retry(journal, true);
    else
        journal->retry_at = clock_now(); /* the next part, after those who wait */
    if (error == CESID_OK && !journal_behind(journal))
        journal->retry_pause = PAUSE_MIN;
    settle(journal, &nobody, CESID_OK);
}

/* ---- what an earlier run left ---- */

int journal_recover(struct journal *journal)
{
    struct activity_row *rows = NULL;
    size_t count = 0;
    int error = activity_store_pending(journal->store, activity_chain_instance(journal->chain),
                                       journal->before, RETRY_BATCH, &rows, &count);

    for (size_t i = 0; error == CESID_OK && i < count; i++) {
        struct activity *record = rows[i].record;

        record->result = ACTIVITY_INTERRUPTED;
        record->level = activity_level_of(record->result);
        rows[i].outcome = true;
        activity_chain_seal(journal->chain, &rows[i].link, record, rows[i].seal);
    }
    if (error == CESID_OK && count > 0)
        error = to_store(journal, rows, count);
    if (error == CESID_OK && count > 0)
        log_warning("journal",
                    "actions were under way when cesid ended: what came of them is not "
                    "known",
                    log_i("records", (int64_t) count));
    journal->recovered = error == CESID_OK && count == 0;
    for (size_t i = 0; i < count; i++)
        activity_destroy(&rows[i].record);
    free(rows);
    return error;
}
