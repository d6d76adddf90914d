/*
 * What a backend must be able to do. store.c owns the pool, the deadlines, the retries and the log;
 * a driver owns one connection at a time, in the hands of one thread.
 *
 * Functions that fail return a negative enum cesid_error and leave a text for the log in
 * connection->message, which never holds a bound value: CONFLICT for a broken unique or foreign
 * key, STORE_TIMEOUT when the deadline (clock_now()) ended it, STORE_UNAVAILABLE for the rest.
 */
#ifndef CESID_STORE_DRIVER_H
#define CESID_STORE_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"
#include "cesid/secret.h"
#include "cesid/store_value.h"
#include "cesid/strbuf.h"

/* Copied from the configuration; immutable. */
struct store_settings {
    char *path;
    int pool;
    double acquire_timeout;
    double query_timeout;
    double transaction_timeout;
    char *host;
    int port;
    char *user;
    struct secret *password; /* NULL: none */
    char *database;
};

/* The first member of each driver's own connection. Owned by the thread that took it. */
struct store_connection {
    bool broken;       /* to be closed instead of given back */
    bool retry;        /* the failure was a deadlock or the like: the same work may succeed again */
    char message[256]; /* of the last failure */
    struct store_connection *next; /* guarded by LOCK_STORE: in the pool's idle list */
};

typedef bool store_row_callback(void *argument, const struct store_row *row);

struct store_driver {
    const char *name;
    bool one_writer; /* writes go through one connection, beside `pool` reading ones */

    /* Once, before the first connection. INTERNAL and a sentence in *why. */
    int (*prepare)(const struct store_settings *settings, struct strbuf *why) CESID_WARN_UNUSED;
    /* STORE_UNAVAILABLE and a sentence in *why. */
    int (*open)(const struct store_settings *settings, bool writer, int64_t deadline,
                struct store_connection **connection, struct strbuf *why) CESID_WARN_UNUSED;
    void (*close)(struct store_connection **connection);
    /* Whether an idle connection still leads to the database. At once, without asking it. */
    bool (*alive)(struct store_connection *connection) CESID_WARN_UNUSED;
    /* Keeps other programs from migrating the schema until let go of (or the connection goes).
     * NULL: a transaction does that. */
    int (*hold_schema)(struct store_connection *connection, int64_t deadline) CESID_WARN_UNUSED;
    void (*release_schema)(struct store_connection *connection);
    /* Copies the whole database to a file, durably, over one of that name. The name's beginning is
     * the driver's. NULL: that is the administrator's own business. */
    int (*back_up)(struct store_connection *connection, const char *suffix) CESID_WARN_UNUSED;
    /* row and changed may be NULL. The statement is finished when it returns. */
    int (*run)(struct store_connection *connection, const struct store_statement *statement,
               const struct store_value *values, size_t count, int64_t deadline,
               store_row_callback *row, void *argument, int64_t *changed) CESID_WARN_UNUSED;
    int (*begin)(struct store_connection *connection, int64_t deadline) CESID_WARN_UNUSED;
    int (*commit)(struct store_connection *connection, int64_t deadline) CESID_WARN_UNUSED;
    void (*rollback)(struct store_connection *connection); /* what cannot roll back is broken */
};

#endif
