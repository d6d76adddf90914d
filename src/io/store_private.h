/*
 * What the files of the store share: its pool and its gate (store_pool.c), and what runs through
 * them (store.c). LOCK_STORE guards the idle lists and counts and is never held across a driver: a
 * connection is taken out, used by one thread, and given back.
 */
#ifndef CESID_STORE_PRIVATE_H
#define CESID_STORE_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/store.h"
#include "store_driver.h"

struct pool {
    /* immutable */
    int limit;
    struct cond available;
    /* guarded by LOCK_STORE */
    struct store_connection *idle;
    int open; /* idle and taken ones, and those being opened */
    int taken;
    int waiting;
};

struct store {
    /* immutable */
    const struct store_driver *driver;
    struct store_settings settings;
    struct pool *readers;
    struct pool *writers; /* the same pool, unless the driver has one writer */

    struct lock lock;
    /* guarded by lock */
    struct pool pools[2];
    struct log_repeat unavailable;
    struct log_repeat exhausted;
    struct log_repeat late;
    struct log_repeat down;
    int write_error;      /* of the last write that failed, until one succeeds */
    int64_t write_failed; /* when that was */
    int answer;           /* of the last probe */
    double latency;       /* of the last probe */
    /* atomic */
    atomic_bool troubled;  /* a failure is yet to be followed by a success */
    atomic_bool closed;    /* the gate */
    atomic_bool unwritten; /* write_error is set */
    /* owned by the thread that probes */
    struct store_connection *prober; /* NULL: to be opened */
    /* set before there are threads */
    void (*alarm)(void *argument);
    void *alarm_argument;
};

/* Takes a connection for a statement, within acquire_timeout; the failure is reported. */
int store_acquire(struct store *store, struct pool *pool, const char *statement,
                  struct store_connection **connection) CESID_WARN_UNUSED;
void store_give_back(struct store *store, struct pool *pool, struct store_connection *connection);

/* To the log, and to who has an eye on the store. No lock is held. */
void store_report(struct store *store, int error, const char *statement, const char *message);
void store_report_success(struct store *store);
/* What came of a write: a store may be read and take none. */
void store_report_write(struct store *store, int status);
void store_count(const char *statement, int status, int64_t since); /* to the metrics */

#endif
