/*
 * The store: a narrow interface with one driver a backend. SQL comes only as static statements
 * with bound values. A connection of the bounded pool is taken for the length of one call (or one
 * transaction) and always given back; waiting for one is bounded by store.acquire_timeout
 * (POOL_EXHAUSTED), a statement by store.query_timeout (STORE_TIMEOUT), a transaction by
 * store.transaction_timeout. Everything else that fails is STORE_UNAVAILABLE, logged here; a
 * broken unique or foreign key is CONFLICT. Nothing here takes it for granted to be the only
 * program on the database. Any thread; no lock of the caller may be held.
 *
 * Times are milliseconds since 1970, ids are text.
 */
#ifndef CESID_STORE_H
#define CESID_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/config.h"
#include "cesid/store_value.h"
#include "cesid/strbuf.h"

struct store;
struct store_transaction;

/* Makes server.state_dir when it is missing, opens, checks or creates the schema, migrates. On
 * failure a sentence that says what to do is in *why. */
int store_open(const struct config *config, struct store **store,
               struct strbuf *why) CESID_WARN_UNUSED;
void store_close(struct store **store); /* no call may be under way */

/* changed may be NULL. */
int store_execute(struct store *store, const struct store_statement *statement,
                  const struct store_value *values, size_t count,
                  int64_t *changed) CESID_WARN_UNUSED;

/* Calls row for each row until it returns false; row must copy what it keeps and not call the
 * store. */
int store_query(struct store *store, const struct store_statement *statement,
                const struct store_value *values, size_t count,
                bool (*row)(void *argument, const struct store_row *row),
                void *argument) CESID_WARN_UNUSED;

/* Runs body in one transaction (write); a negative answer of body rolls back and is returned. body
 * may run more than once (deadlock, serialization): it must not keep side effects. */
int store_transact(struct store *store,
                   int (*body)(struct store_transaction *transaction, void *argument),
                   void *argument) CESID_WARN_UNUSED;
int store_transaction_execute(struct store_transaction *transaction,
                              const struct store_statement *statement,
                              const struct store_value *values, size_t count,
                              int64_t *changed) CESID_WARN_UNUSED;
int store_transaction_query(struct store_transaction *transaction,
                            const struct store_statement *statement,
                            const struct store_value *values, size_t count,
                            bool (*row)(void *argument, const struct store_row *row),
                            void *argument) CESID_WARN_UNUSED;

/* The gate: while it is closed every call answers STORE_UNAVAILABLE at once. It is open after
 * store_open(). */
bool store_up(const struct store *store);
/* Asks the database, past gate and pool, within query_timeout, and opens or closes the gate after
 * the answer, which it returns. For one thread, at its own pace. */
int store_probe(struct store *store);
/* alarm is called, in the thread it happened to, when a statement was not answered: time to probe.
 * NULL: nobody. To be set while no other thread uses the store. */
void store_set_alarm(struct store *store, void (*alarm)(void *argument), void *argument);

struct store_figures {
    int pool; /* how many connections there may be */
    int in_use;
    int waiting;          /* callers that wait for one */
    bool exhausted;       /* a caller found none, and no statement has succeeded since */
    int write_error;      /* of the last write that failed, until one succeeds; 0: none… */
    int64_t write_failed; /* …and when (clock_now()) */
    int answer;           /* of the last probe */
    double latency;       /* of the last probe, in seconds */
};
void store_figures(struct store *store, struct store_figures *figures);

#endif
