/*
 * The journal: its queues, its thread, its life. See journal.h. What becomes of a batch is in
 * journal_write.c.
 *
 * LOCK_JOURNAL guards the queues and the tickets of those who wait, and is never held across the
 * store, the disk or the bus.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "journal_private.h"

#define CLEAN_BATCH 500  /* records that retention removes at a time */
#define CLEAN_SOON  0.25 /* seconds between two of these */
#define CLEAN_LATER 60.0 /* when there was nothing more */
#define DAY         (INT64_C(86400) * 1000)

/* ---- queues ---- */

void entries_add(struct entries *entries, struct entry *entry)
{
    entry->next = NULL;
    if (entries->last != NULL)
        entries->last->next = entry;
    else
        entries->first = entry;
    entries->last = entry;
    entries->count++;
}

struct entry *entries_take(struct entries *entries)
{
    struct entry *entry = entries->first;

    if (entry == NULL)
        return NULL;
    entries->first = entry->next;
    if (entries->first == NULL)
        entries->last = NULL;
    entries->count--;
    entry->next = NULL;
    return entry;
}

void entry_free(struct entry **slot)
{
    struct entry *entry = *slot;

    *slot = NULL;
    if (entry == NULL)
        return;
    activity_destroy(&entry->record);
    free(entry);
}

static int submit(struct journal *journal, enum entry_kind kind, const struct activity *record,
                  struct ticket *ticket)
{
    struct entry *entry = mem_alloc(sizeof(*entry));

    lock_assert_none_held();
    *entry = (struct entry){
        .kind = kind, .record = activity_copy(record), .link = ticket->link, .ticket = ticket};
    lock_acquire(&journal->lock);
    /* An outcome always finds room: there are no more than there were intents. */
    if (journal->urgent.count >= JOURNAL_URGENT && kind != ENTRY_OUTCOME) {
        ticket->done = true;
        ticket->error = CESID_E_STORE_UNAVAILABLE;
    } else {
        entries_add(&journal->urgent, entry);
        entry = NULL;
        cond_signal(&journal->filled);
    }
    while (!ticket->done)
        cond_wait(&journal->settled, &journal->lock);
    lock_release(&journal->lock);
    entry_free(&entry);
    return ticket->error;
}

int journal_begin(struct journal *journal, const struct activity *record,
                  struct activity_link *link)
{
    struct ticket ticket = {0};
    int error = submit(journal, ENTRY_INTENT, record, &ticket);

    *link = ticket.link;
    return error;
}

int journal_end(struct journal *journal, const struct activity *record,
                const struct activity_link *link)
{
    struct ticket ticket = {.link = *link};

    return submit(journal, ENTRY_OUTCOME, record, &ticket);
}

int journal_write(struct journal *journal, const struct activity *record)
{
    struct ticket ticket = {0};

    return submit(journal, ENTRY_WHOLE, record, &ticket);
}

bool journal_note(struct journal *journal, struct activity **record)
{
    struct entry *entry = mem_alloc(sizeof(*entry));
    bool taken;

    *entry = (struct entry){.kind = ENTRY_NOTE, .record = *record};
    *record = NULL;
    lock_acquire(&journal->lock);
    taken = journal->notes.count < JOURNAL_NOTES;
    if (taken) {
        entries_add(&journal->notes, entry);
        entry = NULL;
        cond_signal(&journal->filled);
    } else {
        journal->dropped++;
    }
    lock_release(&journal->lock);
    entry_free(&entry);
    return taken;
}

void journal_sink(void *argument, struct event *event)
{
    struct journal *journal = argument;

    if (event->type != EVENT_NODE && event->type != EVENT_NODE_REMOVED &&
        event->type != EVENT_PROCESS && event->type != EVENT_LOST)
        return;
    lock_acquire(&journal->lock);
    if (event->type == EVENT_LOST) {
        journal->dropped += event->count;
    } else if (journal->events_count == JOURNAL_EVENTS) {
        journal->dropped++;
    } else {
        size_t at = (journal->events_head + journal->events_count++) % JOURNAL_EVENTS;

        journal->events[at] = event_ref(event);
        cond_signal(&journal->filled);
    }
    lock_release(&journal->lock);
}

/* ---- the thread ---- */

static bool has_work_locked(const struct journal *journal)
{
    return journal->urgent.count + journal->notes.count + journal->events_count > 0;
}

/* Those who are waited for first. Events only as they were; they are read without the lock. */
static size_t take_locked(struct journal *journal, struct entries *batch, struct event **events)
{
    size_t count = 0;

    while (batch->count < JOURNAL_BATCH && journal->urgent.count > 0)
        entries_add(batch, entries_take(&journal->urgent));
    while (batch->count < JOURNAL_BATCH && journal->notes.count > 0)
        entries_add(batch, entries_take(&journal->notes));
    while (batch->count + count < JOURNAL_BATCH && journal->events_count > 0) {
        events[count++] = journal->events[journal->events_head];
        journal->events_head = (journal->events_head + 1) % JOURNAL_EVENTS;
        journal->events_count--;
    }
    return count;
}

void journal_add_record(struct entries *batch, struct activity *record)
{
    struct entry *entry = mem_alloc(sizeof(*entry));

    *entry = (struct entry){.kind = ENTRY_NOTE, .record = record};
    entries_add(batch, entry);
}

/* A gap in the record is recorded. */
static void add_dropped(struct journal *journal, struct entries *batch, uint64_t dropped)
{
    struct activity *record;
    struct strbuf details;

    if (dropped == journal->told_dropped)
        return;
    record = activity_create("activity.dropped", "system");
    strbuf_init(&details, 200);
    strbuf_printf(&details, "{\"records\":%llu}",
                  (unsigned long long) (dropped - journal->told_dropped));
    activity_set(record, &record->actor, ACTIVITY_SYSTEM);
    activity_set(record, &record->details, details.data);
    strbuf_destroy(&details);
    record->level = ACTIVITY_WARNING;
    record->result = ACTIVITY_OK;
    journal->told_dropped = dropped;
    log_warning("journal",
                "state changes are missing on record: they came too fast or found no place",
                log_i("dropped", (int64_t) dropped));
    journal_add_record(batch, record);
}

static int64_t next_time(const struct journal *journal)
{
    if (journal_behind(journal) || !journal->recovered)
        return journal->retry_at; /* the others wait for that */
    return journal->clean_at < journal->outside_at ? journal->clean_at : journal->outside_at;
}

static void clean(struct journal *journal)
{
    struct config *config = config_get(journal->config);
    int64_t until = clock_wall() - config->activity.retention_days * DAY, removed = 0;
    int error;

    config_unref(&config);
    error = activity_store_cut(journal->store, journal->chain, until, CLEAN_BATCH, &removed);
    journal->clean_at = clock_after(error == CESID_OK && removed > 0 ? CLEAN_SOON : CLEAN_LATER);
    if (removed > 0)
        log_debug("journal", "removed old records of activity", log_i("records", removed));
}

static void serve_times(struct journal *journal)
{
    if (clock_now() >= journal->retry_at) {
        if (journal_behind(journal))
            journal_retry(journal);
        else if (!journal->recovered && journal_recover(journal) != CESID_OK)
            journal->retry_at = clock_after(1.0);
    }
    if (journal_behind(journal) || !journal->recovered)
        return;
    if (clock_now() >= journal->outside_at)
        journal_take_outside(journal);
    if (clock_now() >= journal->clean_at)
        clean(journal);
}

/* One round: a batch, then what is due. False when it is stopped and nothing is left. */
static bool work(struct journal *journal, struct event **events)
{
    struct entries batch = {0};
    uint64_t dropped;
    size_t count;
    bool stop;

    lock_acquire(&journal->lock);
    while (!has_work_locked(journal) && !journal->stopping && clock_now() < next_time(journal))
        cond_wait_until(&journal->filled, &journal->lock, next_time(journal));
    count = take_locked(journal, &batch, events);
    dropped = journal->dropped;
    stop = journal->stopping && !has_work_locked(journal) && batch.count + count == 0;
    lock_release(&journal->lock);
    for (size_t i = 0; i < count; i++) {
        struct activity *record = known_nodes_record(journal->nodes, events[i]);

        if (record != NULL)
            journal_add_record(&batch, record);
        event_unref(&events[i]);
    }
    add_dropped(journal, &batch, dropped);
    journal_write_batch(journal, &batch);
    if (!stop)
        serve_times(journal);
    return !stop;
}

static void run(void *argument)
{
    struct journal *journal = argument;
    struct event **events = mem_array(JOURNAL_BATCH, sizeof(events[0]));

    while (work(journal, events))
        continue;
    if (journal_behind(journal))
        journal_retry(journal);
    if (journal->kept.count > 0)
        log_error("journal",
                  "records of activity are lost: neither the store nor the spill file "
                  "takes them",
                  log_i("records", (int64_t) journal->kept.count));
    free(events);
}

/* ---- life ---- */

int journal_create(struct config_box *box, struct store *store, struct bus *bus,
                   struct journal **result, struct strbuf *why)
{
    struct journal *journal = mem_alloc(sizeof(*journal));
    struct config *config = config_get(box);
    int error;

    journal->config = box;
    journal->store = store;
    journal->bus = bus;
    journal->nodes = known_nodes_create();
    journal->events = mem_array(JOURNAL_EVENTS, sizeof(journal->events[0]));
    lock_init(&journal->lock, LOCK_JOURNAL);
    cond_init(&journal->filled);
    cond_init(&journal->settled);
    error = activity_chain_open(config->server.state_dir, false, &journal->chain, why);
    if (error == CESID_OK)
        error = spill_open(config->server.state_dir, false, &journal->spill, why);
    config_unref(&config);
    if (error != CESID_OK)
        journal_destroy(&journal);
    *result = journal;
    return error;
}

/* The chain goes on after the last record that there is, or was. */
static int find_head(struct journal *journal)
{
    struct activity_link remembered = {0};
    bool known = activity_chain_remembered(journal->chain, &remembered);
    int error = activity_store_head(journal->store, activity_chain_instance(journal->chain),
                                    &journal->head);

    if (error != CESID_OK)
        return error;
    if (spill_last(journal->spill)->number > journal->head.number)
        journal->head = *spill_last(journal->spill);
    if (remembered.number > journal->head.number) {
        log_error("journal", "records of activity are missing at the end: see --verify-activity",
                  log_i("found", (int64_t) journal->head.number),
                  log_i("written", (int64_t) remembered.number));
        journal->head = remembered;
    }
    if (!known && journal->head.number > 0)
        log_error("journal", "activity.head is missing or damaged: whether records of activity "
                             "are missing at the end is not known");
    activity_chain_remember(journal->chain, &journal->head);
    journal->before = journal->head.number;
    return CESID_OK;
}

int journal_start(struct journal *journal)
{
    int error = find_head(journal);

    if (error != CESID_OK)
        return error;
    journal->retry_pause = 1.0;
    journal->clean_at = clock_after(CLEAN_SOON);
    journal->spilled = spill_count(journal->spill);
    journal->spill_bytes = spill_size(journal->spill);
    return thread_start(&journal->thread, "journal", "journal", run, journal);
}

void journal_stop(struct journal *journal)
{
    lock_acquire(&journal->lock);
    journal->stopping = true;
    cond_broadcast(&journal->filled);
    lock_release(&journal->lock);
    thread_join(&journal->thread);
}

void journal_destroy(struct journal **slot)
{
    struct journal *journal = *slot;
    struct entry *entry;

    *slot = NULL;
    if (journal == NULL)
        return;
    CHECK(!journal->thread.started);
    while ((entry = entries_take(&journal->notes)) != NULL ||
           (entry = entries_take(&journal->kept)) != NULL)
        entry_free(&entry);
    for (; journal->events_count > 0; journal->events_count--) {
        event_unref(&journal->events[journal->events_head]);
        journal->events_head = (journal->events_head + 1) % JOURNAL_EVENTS;
    }
    known_nodes_destroy(&journal->nodes);
    spill_close(&journal->spill);
    activity_chain_close(&journal->chain);
    cond_destroy(&journal->filled);
    cond_destroy(&journal->settled);
    lock_destroy(&journal->lock);
    free(journal->events);
    free(journal);
}

void journal_figures(struct journal *journal, struct journal_figures *figures)
{
    lock_acquire(&journal->lock);
    *figures = (struct journal_figures){
        .queued = journal->urgent.count + journal->notes.count + journal->events_count,
        .limit = JOURNAL_URGENT + JOURNAL_NOTES + JOURNAL_EVENTS,
        .dropped = journal->dropped,
        .spilled = journal->spilled,
        .spill_bytes = journal->spill_bytes,
        .spill_limit = SPILL_LIMIT,
        .kept = journal->kept_count,
        .refusing = journal->kept_count > 0,
    };
    lock_release(&journal->lock);
}

/* ---- checking ---- */

/* All that waits in the spill file. Caller destroys the records and frees. */
static int read_spill(struct spill *spill, struct activity_row **rows, size_t *count)
{
    uint64_t next;
    size_t total = (size_t) spill_count(spill);

    *rows = mem_array(total + 1, sizeof((*rows)[0]));
    *count = 0;
    for (uint64_t done = 0; done < spill_size(spill); done = next) {
        struct activity_row *some = NULL;
        size_t some_count = 0;
        int error = spill_read(spill, JOURNAL_BATCH, &some, &some_count, &next);

        if (error != CESID_OK || next == done) {
            free(some);
            return error;
        }
        for (size_t i = 0; i < some_count; i++)
            (*rows)[(*count)++] = some[i];
        free(some);
        if (next < spill_size(spill) && spill_advance(spill, next, 0) != CESID_OK)
            return CESID_E_INTERNAL;
    }
    return CESID_OK;
}

int journal_verify(const struct config *config, struct store *store,
                   struct activity_verdict *verdict, uint64_t *spilled, struct strbuf *why)
{
    struct activity_chain *chain = NULL;
    struct activity_link head = {0};
    struct spill *spill = NULL;
    struct activity_row *rows = NULL;
    size_t count = 0;
    bool known = false;
    int error = activity_chain_open(config->server.state_dir, true, &chain, why);

    /* In this order, because cesid may be writing: what comes later holds what the head says. */
    if (error == CESID_OK) {
        known = activity_chain_remembered(chain, &head);
        error = spill_open(config->server.state_dir, true, &spill, why);
    }
    if (error == CESID_OK) {
        error = read_spill(spill, &rows, &count);
        *spilled = spill_count(spill);
    }
    if (error == CESID_OK)
        error = activity_store_verify(store, chain, known ? &head : NULL, rows, count, verdict);
    for (size_t i = 0; i < count; i++)
        activity_destroy(&rows[i].record);
    free(rows);
    spill_close(&spill);
    activity_chain_close(&chain);
    if (error != CESID_OK && why->length == 0)
        strbuf_printf(why, "the records cannot be read: %s", error_title(error));
    return error;
}
