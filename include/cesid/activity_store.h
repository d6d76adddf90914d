/*
 * Records of activity in the store. Whoever writes is the journal, one thread an instance; anybody
 * reads. Errors are the store's. No locks.
 */
#ifndef CESID_ACTIVITY_STORE_H
#define CESID_ACTIVITY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/activity.h"
#include "cesid/activity_chain.h"
#include "cesid/store.h"

/* A record with its place in the chain, as it is written. */
struct activity_row {
    struct activity *record;
    struct activity_link link;
    char seal[ACTIVITY_MAC_SIZE];
    bool outcome; /* of one that was written before */
};

/* ---- writing ---- */

/* All or none, in order. May be repeated: a row that is there is written again. */
int activity_store_write(struct store *store, const char *instance, const struct activity_row *rows,
                         size_t count) CESID_WARN_UNUSED;
/* The last link on record; number 0: none. What was cut by retention counts. */
int activity_store_head(struct store *store, const char *instance,
                        struct activity_link *head) CESID_WARN_UNUSED;
/* At most limit of the instance's records up to that number that have no outcome. Caller destroys
 * the records and frees. */
int activity_store_pending(struct store *store, const char *instance, uint64_t last, size_t limit,
                           struct activity_row **rows, size_t *count) CESID_WARN_UNUSED;
/* Removes at most limit records from before `until`, and says so by an anchor. *removed tells how
 * many. Those of instances that are no more go a month later, without an anchor. */
int activity_store_cut(struct store *store, const struct activity_chain *chain, int64_t until,
                       int64_t limit, int64_t *removed) CESID_WARN_UNUSED;

/* ---- checking ---- */

struct activity_verdict {
    uint64_t held;    /* records that hold */
    uint64_t pending; /* of those: without an outcome */
    uint64_t foreign; /* records of other instances: whose key is not here */
    bool broken;
    char why[400]; /* of the first break, with the record's number and id */
};
/* Walks the chain, while others may write. extra: rows that wait to be written (the spill), in
 * order; head: how far the chain had come before extra was read, NULL when that is not known. */
int activity_store_verify(struct store *store, const struct activity_chain *chain,
                          const struct activity_link *head, const struct activity_row *extra,
                          size_t extra_count, struct activity_verdict *verdict) CESID_WARN_UNUSED;

/* ---- reading ---- */

struct activity_filter {
    const char *actor, *action, *target; /* globs; NULL: any */
    const char *result;                  /* NULL: any */
    int64_t since, until;                /* wall milliseconds, since <= at < until; 0: no bound */
    const struct access *access;         /* shows only what it allows to read */
};

/* Newest first, at most limit, only such with an id less than before (NULL: from the newest).
 * Caller destroys the records and frees. */
int activity_store_page(struct store *store, const struct activity_filter *filter,
                        const char *before, size_t limit, struct activity ***records,
                        size_t *count) CESID_WARN_UNUSED;
/* How many there are, counted up to ACTIVITY_COUNT_MAX. */
#define ACTIVITY_COUNT_MAX 10000
int activity_store_count(struct store *store, const struct activity_filter *filter,
                         int64_t *count) CESID_WARN_UNUSED;
/* Calls group for each combination with how often it occurs; one may come several times. */
struct activity_group {
    const char *action, *actor, *result, *environment;
    int64_t count;
};
int activity_store_groups(struct store *store, const struct activity_filter *filter,
                          void (*group)(void *argument, const struct activity_group *group),
                          void *argument) CESID_WARN_UNUSED;

#endif
