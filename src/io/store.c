/*
 * The store: its life, deadlines, transactions with retry. What talks to a database is in the
 * drivers. Any thread enters, holding no lock.
 */
#include "cesid/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/statefile.h"
#include "store_driver.h"
#include "store_mariadb.h"
#include "store_private.h"
#include "store_schema.h"
#include "store_sqlite.h"

#define RETRIES_MAX 10

struct store_transaction {
    /* owned by the thread that runs the transaction */
    struct store *store;
    struct store_connection *connection;
    int64_t deadline;
    int error;  /* the first failure that voids the transaction, whatever body makes of it */
    bool retry; /* of that failure */
};

/* ---- life ---- */

static void init_pool(struct pool *pool, int limit)
{
    *pool = (struct pool){.limit = limit};
    cond_init(&pool->available);
}

static void init_settings(struct store_settings *settings, const struct config_store *config)
{
    *settings = (struct store_settings){
        .pool = config->pool > 0 ? config->pool : 1,
        .acquire_timeout = config->acquire_timeout,
        .query_timeout = config->query_timeout,
        .transaction_timeout = config->transaction_timeout,
    };
    /* SQLite gives names like ":memory:" a meaning of its own; a path with a slash has none. */
    struct strbuf path;
    strbuf_init(&path, 8192);
    if (config->path[0] != '/')
        strbuf_puts(&path, "./");
    strbuf_puts(&path, config->path);
    settings->path = strbuf_steal(&path);
    settings->host = mem_string(config->host);
    settings->port = config->port;
    settings->user = mem_string(config->user);
    settings->password = secret_ref(config->password);
    settings->database = mem_string(config->database);
}

static void free_settings(struct store_settings *settings)
{
    free(settings->path);
    free(settings->host);
    free(settings->user);
    secret_unref(&settings->password);
    free(settings->database);
}

int store_open(const struct config *config, struct store **out, struct strbuf *why)
{
    *out = NULL;
    if (config->store.backend == CONFIG_SQLITE && config->store.path[0] == '\0') {
        strbuf_puts(why, "store.path: must name the database file");
        return CESID_E_INTERNAL;
    }
    int status = statefile_directory(config->server.state_dir, why);
    if (status < 0)
        return status;

    struct store *store = mem_alloc(sizeof *store);
    store->driver = config->store.backend == CONFIG_MARIADB ? store_mariadb() : store_sqlite();
    init_settings(&store->settings, &config->store);
    lock_init(&store->lock, LOCK_STORE);
    init_pool(&store->pools[0], store->settings.pool);
    init_pool(&store->pools[1], store->driver->one_writer ? 1 : 0);
    store->readers = &store->pools[0];
    store->writers = store->driver->one_writer ? &store->pools[1] : &store->pools[0];

    struct store_connection *connection = NULL;
    status = store->driver->prepare(&store->settings, why);
    if (status == 0)
        status = store->driver->open(&store->settings, true,
                                     clock_after(store->settings.query_timeout), &connection, why);
    if (status == 0)
        status = store_schema_apply(store->driver, connection, &store->settings, why);
    if (status < 0) {
        store->driver->close(&connection);
        store_close(&store);
        return status;
    }
    lock_acquire(&store->lock);
    store->writers->open = 1;
    store->writers->idle = connection;
    lock_release(&store->lock);
    if (config->store.backend == CONFIG_SQLITE)
        log_info("store", "the store is open", log_s("backend", store->driver->name),
                 log_s("path", store->settings.path));
    else
        log_info("store", "the store is open", log_s("backend", store->driver->name),
                 log_s("host", store->settings.host), log_i("port", store->settings.port),
                 log_s("database", store->settings.database));
    *out = store;
    return 0;
}

void store_close(struct store **pointer)
{
    struct store *store = *pointer;
    if (!store)
        return;
    store->driver->close(&store->prober);
    for (size_t i = 0; i < ARRAY_LENGTH(store->pools); i++) {
        struct pool *pool = &store->pools[i];
        lock_acquire(&store->lock);
        CHECK(pool->taken == 0);
        struct store_connection *connection = pool->idle;
        pool->idle = NULL;
        lock_release(&store->lock);
        while (connection) {
            struct store_connection *next = connection->next;
            store->driver->close(&connection);
            connection = next;
        }
        cond_destroy(&pool->available);
    }
    lock_destroy(&store->lock);
    free_settings(&store->settings);
    free(store);
    *pointer = NULL;
}

/* ---- statements ---- */

static void pause_before_retry(int attempt)
{
    /* 1 to 2, 2 to 4, … at most 64 ms: those who collided must not collide again. */
    int64_t base = CLOCK_SECOND / 1000 << (attempt < 6 ? attempt : 5);
    const struct timespec span = {.tv_nsec = base + (long) ((double) base * random_uniform())};
    (void) nanosleep(&span, NULL);
}

static int run_once(struct store *store, struct pool *pool, const struct store_statement *statement,
                    const struct store_value *values, size_t count, store_row_callback *row,
                    void *argument, int64_t *changed, bool *retry)
{
    struct store_connection *connection = NULL;
    int64_t since = clock_now();
    int status = store_acquire(store, pool, statement->name, &connection);
    *retry = false;
    if (status < 0) {
        store_count(statement->name, status, since);
        return status;
    }
    status = store->driver->run(connection, statement, values, count,
                                clock_after(store->settings.query_timeout), row, argument, changed);
    if (status < 0) {
        *retry = connection->retry;
        if (!*retry)
            store_report(store, status, statement->name, connection->message);
    } else {
        store_report_success(store);
    }
    store_give_back(store, pool, connection);
    store_count(statement->name, status, since);
    return status;
}

int store_execute(struct store *store, const struct store_statement *statement,
                  const struct store_value *values, size_t count, int64_t *changed)
{
    for (int attempt = 0;; attempt++) {
        bool retry;
        int status =
            run_once(store, store->writers, statement, values, count, NULL, NULL, changed, &retry);
        if (!retry) {
            store_report_write(store, status);
            return status;
        }
        if (attempt == RETRIES_MAX) {
            store_report(store, status, statement->name, "it collided with others too often");
            return status;
        }
        pause_before_retry(attempt);
    }
}

int store_query(struct store *store, const struct store_statement *statement,
                const struct store_value *values, size_t count, store_row_callback *row,
                void *argument)
{
    /* Not repeated: rows may have been handed out. */
    bool retry;
    int status =
        run_once(store, store->readers, statement, values, count, row, argument, NULL, &retry);
    if (retry)
        store_report(store, status, statement->name, "it collided with others");
    return status;
}

/* ---- transactions ---- */

static int64_t statement_deadline(const struct store_transaction *transaction)
{
    int64_t deadline = clock_after(transaction->store->settings.query_timeout);
    return deadline < transaction->deadline ? deadline : transaction->deadline;
}

static int transaction_run(struct store_transaction *transaction,
                           const struct store_statement *statement,
                           const struct store_value *values, size_t count, store_row_callback *row,
                           void *argument, int64_t *changed)
{
    if (transaction->error)
        return transaction->error;
    struct store *store = transaction->store;
    int64_t since = clock_now();
    int status = store->driver->run(transaction->connection, statement, values, count,
                                    statement_deadline(transaction), row, argument, changed);
    store_count(statement->name, status, since);
    /* After a conflict the transaction is still good, and body may know what to do. */
    if (status < 0 && status != CESID_E_CONFLICT) {
        transaction->error = status;
        transaction->retry = transaction->connection->retry;
        if (!transaction->retry)
            store_report(store, status, statement->name, transaction->connection->message);
    }
    return status;
}

int store_transaction_execute(struct store_transaction *transaction,
                              const struct store_statement *statement,
                              const struct store_value *values, size_t count, int64_t *changed)
{
    return transaction_run(transaction, statement, values, count, NULL, NULL, changed);
}

int store_transaction_query(struct store_transaction *transaction,
                            const struct store_statement *statement,
                            const struct store_value *values, size_t count, store_row_callback *row,
                            void *argument)
{
    return transaction_run(transaction, statement, values, count, row, argument, NULL);
}

/* The connection's own failure, at begin or commit. */
static int transaction_failed(struct store_transaction *transaction, int status, const char *what)
{
    transaction->error = status;
    transaction->retry = transaction->connection->retry;
    if (!transaction->retry)
        store_report(transaction->store, status, what, transaction->connection->message);
    return status;
}

static int transact_once(struct store_transaction *transaction,
                         int (*body)(struct store_transaction *transaction, void *argument),
                         void *argument)
{
    const struct store_driver *driver = transaction->store->driver;
    struct store_connection *connection = transaction->connection;
    int status = driver->begin(connection, statement_deadline(transaction));
    if (status < 0) {
        (void) transaction_failed(transaction, status, "begin");
        driver->rollback(connection);
        return status;
    }
    status = body(transaction, argument);
    if (transaction->error)
        status = transaction->error;
    if (status >= 0 && clock_now() >= transaction->deadline) {
        status = CESID_E_STORE_TIMEOUT;
        store_report(transaction->store, status, "transaction", "it passed transaction_timeout");
    }
    if (status >= 0) {
        int committed = driver->commit(connection, statement_deadline(transaction));
        if (committed < 0)
            status = transaction_failed(transaction, committed, "commit");
    }
    if (status < 0)
        driver->rollback(connection);
    else
        store_report_success(transaction->store);
    return status;
}

int store_transact(struct store *store,
                   int (*body)(struct store_transaction *transaction, void *argument),
                   void *argument)
{
    int64_t deadline = clock_after(store->settings.transaction_timeout), since = clock_now();
    for (int attempt = 0;; attempt++) {
        struct store_transaction transaction = {.store = store, .deadline = deadline};
        int status = store_acquire(store, store->writers, "transaction", &transaction.connection);
        if (status < 0) {
            store_count("transaction", status, since);
            return status;
        }
        status = transact_once(&transaction, body, argument);
        store_give_back(store, store->writers, transaction.connection);
        if (status >= 0 || !transaction.retry) {
            store_report_write(store, transaction.error ? transaction.error : status);
            store_count("transaction", status, since);
            return status;
        }
        if (attempt == RETRIES_MAX || clock_now() >= deadline) {
            store_report(store, status, "transaction", "it collided with others too often");
            return status;
        }
        pause_before_retry(attempt);
    }
}
