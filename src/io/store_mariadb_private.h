/*
 * What the two files of the MariaDB driver share: the connection, and how to wait for it.
 */
#ifndef CESID_STORE_MARIADB_PRIVATE_H
#define CESID_STORE_MARIADB_PRIVATE_H

#include <mysql.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store_driver.h"

#define MARIADB_COLUMNS_MAX 32

struct mariadb_prepared;

struct mariadb_text {
    char *data;
    size_t capacity;
};

/* Owned by the thread that took the base. */
struct mariadb_connection {
    struct store_connection base;
    MYSQL *mysql;
    int64_t deadline; /* of the call that runs: past it, waiting ends */
    bool late;        /* it has ended so */
    double query_timeout;
    struct mariadb_prepared *prepared;
    struct mariadb_text texts[MARIADB_COLUMNS_MAX]; /* of the row that is handed out */
};

static inline struct mariadb_connection *mariadb_from_base(struct store_connection *base)
{
    return CONTAINER_OF(base, struct mariadb_connection, base);
}

/* Gives the call that starts now its deadline, with a moment beyond the caller's, so that the
 * server's own limit comes first and the connection stays good. */
void mariadb_limit(struct mariadb_connection *connection, int64_t deadline);

/* For the ..._start and ..._cont calls: waits until the connection is ready for one of events, and
 * says for which; MYSQL_WAIT_TIMEOUT past the deadline. */
int mariadb_await(struct mariadb_connection *connection, int events);

/* Sorts a failure; text and state are the library's. Returns the error. */
int mariadb_failed(struct mariadb_connection *connection, unsigned number, const char *state,
                   const char *text);

int mariadb_run(struct store_connection *base, const struct store_statement *statement,
                const struct store_value *values, size_t count, int64_t deadline,
                store_row_callback *row, void *argument, int64_t *changed);
/* After the connection is closed: frees what is kept of statements. */
void mariadb_forget(struct mariadb_connection *connection);

#endif
