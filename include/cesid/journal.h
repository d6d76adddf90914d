/*
 * The journal: writes records of activity. One thread takes what comes from everywhere and writes
 * it in batches, so that a hundred actions at once cost one flush of the disk; who asked waits
 * until his is durable. State changes of nodes and processes come from the bus, wait for nobody,
 * and are counted where a flood drops them.
 *
 * While the store is away, records go to `activity.spill` in the state directory, flushed as well,
 * bounded, and written to the store in their order when it is back. When that cannot take them
 * either, journal_begin refuses, so that nothing is done that cannot be recorded.
 *
 * Lock: LOCK_JOURNAL, for the queues only. Those who wait may hold no lock.
 */
#ifndef CESID_JOURNAL_H
#define CESID_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/activity.h"
#include "cesid/activity_chain.h"
#include "cesid/activity_store.h"
#include "cesid/bus.h"
#include "cesid/config.h"
#include "cesid/operation.h"
#include "cesid/store.h"

struct journal;

/* Borrows everything until journal_destroy. On failure a sentence is in *why. */
int journal_create(struct config_box *config, struct store *store, struct bus *bus,
                   struct journal **journal, struct strbuf *why) CESID_WARN_UNUSED;
int journal_start(struct journal *journal) CESID_WARN_UNUSED;
void journal_stop(struct journal *journal); /* writes what is queued, joins */
void journal_destroy(struct journal **journal);

/* An action that is about to be done: durable when it returns 0, with the place in *link that
 * journal_end wants. STORE_UNAVAILABLE: it must not be done. */
int journal_begin(struct journal *journal, const struct activity *record,
                  struct activity_link *link) CESID_WARN_UNUSED;
/* What came of it. Not 0: kept in memory and written as soon as there is a place; the log says so.
 */
int journal_end(struct journal *journal, const struct activity *record,
                const struct activity_link *link) CESID_WARN_UNUSED;
/* A record that is complete at once: durable when it returns 0, else not written at all. */
int journal_write(struct journal *journal, const struct activity *record) CESID_WARN_UNUSED;
/* One for which nobody waits; takes it over. False: dropped and counted. Any thread, under locks
 * below LOCK_JOURNAL. */
bool journal_note(struct journal *journal, struct activity **record);
/* For bus_add_sink. */
void journal_sink(void *journal, struct event *event);

/* For operations_tell. */
void journal_operation(void *journal, const struct operation_told *told);
/* What cesid did by itself, or was told to by a signal: "system.start". */
void journal_system(struct journal *journal, const char *action, int error);

struct journal_figures {
    size_t queued;        /* records and events that wait for the thread */
    size_t limit;         /* of those */
    uint64_t dropped;     /* state changes and notes that found no place */
    uint64_t spilled;     /* records that wait in the spill file… */
    uint64_t spill_bytes; /* …and its size… */
    uint64_t spill_limit; /* …that it may have */
    size_t kept;          /* outcomes that found no place yet */
    bool refusing;        /* actions are refused */
};
void journal_figures(struct journal *journal, struct journal_figures *figures);

/* cesid --verify-activity: the whole chain, with what waits in the spill file. */
int journal_verify(const struct config *config, struct store *store,
                   struct activity_verdict *verdict, uint64_t *spilled,
                   struct strbuf *why) CESID_WARN_UNUSED;

#endif
