/*
 * The journal's inside, shared by journal*.c only.
 */
#ifndef CESID_JOURNAL_PRIVATE_H
#define CESID_JOURNAL_PRIVATE_H

#include "cesid/activity_outside.h"
#include "cesid/journal.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/thread.h"
#include "journal_events.h"
#include "journal_spill.h"

#define JOURNAL_BATCH  512   /* records of one flush */
#define JOURNAL_URGENT 4096  /* that somebody waits for */
#define JOURNAL_NOTES  32768 /* that nobody waits for */
#define JOURNAL_EVENTS 16384 /* of the bus */
#define JOURNAL_KEPT   8192  /* outcomes that found no place */

enum entry_kind {
    ENTRY_INTENT,
    ENTRY_OUTCOME,
    ENTRY_WHOLE, /* somebody waits for it */
    ENTRY_NOTE   /* nobody does */
};

/* Of one who waits, on his stack; guarded by the journal's lock. */
struct ticket {
    bool done;
    int error;
    struct activity_link link;
};

/* Owned by the queue, then by the thread. */
struct entry {
    enum entry_kind kind;
    struct activity *record;
    struct activity_link link; /* of an outcome, or once it is numbered */
    struct ticket *ticket;     /* NULL: nobody waits (any more) */
    struct entry *next;
};

struct entries {
    struct entry *first, *last;
    size_t count;
};

struct journal {
    /* immutable */
    struct config_box *config;
    struct store *store;
    struct bus *bus;
    struct activity_chain *chain;
    struct thread thread;

    /* owned by the thread */
    struct spill *spill;
    struct known_nodes *nodes;
    struct activity_link head; /* of the chain, with what is numbered and not yet written */
    uint64_t before;           /* the head at start: what is pending up to it was interrupted */
    bool recovered;            /* …and is told so */
    struct entries kept;       /* numbered, and without a place */
    int64_t retry_at, clean_at, outside_at;       /* clock_now() */
    char outside[OUTSIDE_BATCH][OUTSIDE_ID_SIZE]; /* on record, and could not be removed */
    size_t outside_count;
    double retry_pause;
    double store_took; /* seconds, of the last try */
    uint64_t told_dropped;
    struct log_repeat failing;

    struct lock lock;
    struct cond filled, settled;
    /* guarded by lock */
    struct entries urgent, notes;
    struct event **events; /* a ring, with references */
    size_t events_head, events_count;
    uint64_t dropped;
    uint64_t spilled, spill_bytes; /* the spill's, for who asks */
    size_t kept_count;
    bool stopping;
};

void entries_add(struct entries *entries, struct entry *entry);
/* A note; takes over the record. */
void journal_add_record(struct entries *batch, struct activity *record);
struct entry *entries_take(struct entries *entries); /* NULL: empty */
void entry_free(struct entry **entry);

/* journal_write.c, for the thread; no locks held */
void journal_write_batch(struct journal *journal, struct entries *batch);
void journal_retry(struct journal *journal); /* what is spilled and kept, as far as it goes */
bool journal_behind(const struct journal *journal); /* something is spilled or kept */
int journal_recover(struct journal *journal);       /* what was pending at start */
void journal_take_outside(struct journal *journal); /* journal_outside.c, likewise */

#endif
