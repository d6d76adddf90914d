/*
 * The store: the pool of connections, deadlines, transactions with retry, and the log of what went
 * wrong. What talks to a database is in the drivers.
 *
 * Any thread enters, holding no lock. LOCK_STORE guards the idle lists and counts and is never held
 * across a driver: a connection is taken out, used by one thread, and given back.
 */
#include "cesid/store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "cesid/random.h"
#include "cesid/statefile.h"
#include "store_driver.h"
#include "store_mariadb.h"
#include "store_schema.h"
#include "store_sqlite.h"

#define RETRIES_MAX 10

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
    /* atomic */
    atomic_bool troubled; /* a failure is yet to be followed by a success */
};

struct store_transaction {
    /* owned by the thread that runs the transaction */
    struct store *store;
    struct store_connection *connection;
    int64_t deadline;
    int error;  /* the first failure that voids the transaction, whatever body makes of it */
    bool retry; /* of that failure */
};

/* ---- what is logged ---- */

static void report(struct store *store, int error, const char *statement, const char *message)
{
    struct log_repeat *repeat = error == CESID_E_POOL_EXHAUSTED  ? &store->exhausted
                                : error == CESID_E_STORE_TIMEOUT ? &store->late
                                                                 : &store->unavailable;
    if (error == CESID_E_CONFLICT)
        return;
    lock_acquire(&store->lock);
    bool say = log_repeat_failed(repeat);
    uint64_t failures = repeat->failures;
    lock_release(&store->lock);
    atomic_store(&store->troubled, true);
    if (say)
        log_error("store", "the store does not answer as it should",
                  log_s("error", error_code(error)), log_s("statement", statement),
                  log_s("reason", message), log_i("failures", (int64_t) failures));
}

static void report_success(struct store *store)
{
    if (!atomic_load_explicit(&store->troubled, memory_order_relaxed) ||
        !atomic_exchange(&store->troubled, false))
        return;
    uint64_t failures = 0, total = 0;
    lock_acquire(&store->lock);
    if (log_repeat_recovered(&store->unavailable, &failures))
        total += failures;
    if (log_repeat_recovered(&store->exhausted, &failures))
        total += failures;
    if (log_repeat_recovered(&store->late, &failures))
        total += failures;
    lock_release(&store->lock);
    if (total > 0)
        log_info("store", "the store answers again", log_i("failures", (int64_t) total));
}

static void count_statement(const char *statement, int status, int64_t since)
{
    metrics_count(METRIC_STORE_OPERATIONS, statement, error_code(status < 0 ? status : 0));
    metrics_observe(METRIC_STORE_DURATION, clock_seconds_since(since), statement);
}

/* ---- the pool ---- */

static struct store_connection *take_idle_locked(struct store *store, struct pool *pool)
{
    lock_assert_held(&store->lock);
    struct store_connection *connection = pool->idle;
    if (connection) {
        pool->idle = connection->next;
        connection->next = NULL;
    }
    return connection;
}

static int acquire(struct store *store, struct pool *pool, const char *statement,
                   struct store_connection **out)
{
    int64_t deadline = clock_after(store->settings.acquire_timeout);
    lock_assert_none_held();
    lock_acquire(&store->lock);
    bool in_time = true;
    while (!pool->idle && pool->open >= pool->limit && in_time) {
        pool->waiting++;
        in_time = cond_wait_until(&pool->available, &store->lock, deadline);
        pool->waiting--;
    }
    if (!pool->idle && pool->open >= pool->limit) {
        lock_release(&store->lock);
        report(store, CESID_E_POOL_EXHAUSTED, statement, "every connection is in use");
        return CESID_E_POOL_EXHAUSTED;
    }
    struct store_connection *connection = take_idle_locked(store, pool);
    if (!connection)
        pool->open++;
    pool->taken++;
    lock_release(&store->lock);

    if (connection && !store->driver->alive(connection)) {
        connection->broken = true;
        store->driver->close(&connection);
    }
    if (!connection) {
        struct strbuf why;
        strbuf_init(&why, 512);
        int status =
            store->driver->open(&store->settings, pool == store->writers,
                                clock_after(store->settings.query_timeout), &connection, &why);
        if (status < 0) {
            lock_acquire(&store->lock);
            pool->open--;
            pool->taken--;
            cond_signal(&pool->available);
            lock_release(&store->lock);
            report(store, status, statement, why.data);
        }
        strbuf_destroy(&why);
        if (status < 0)
            return status;
    }
    connection->retry = false;
    *out = connection;
    return 0;
}

static void give_back(struct store *store, struct pool *pool, struct store_connection *connection)
{
    bool broken = connection->broken;
    if (broken)
        store->driver->close(&connection);
    lock_acquire(&store->lock);
    pool->taken--;
    if (broken) {
        pool->open--;
    } else {
        connection->next = pool->idle;
        pool->idle = connection;
    }
    cond_signal(&pool->available);
    lock_release(&store->lock);
}

bool store_troubled(const struct store *store)
{
    return atomic_load_explicit(&store->troubled, memory_order_relaxed);
}

void store_figures(struct store *store, struct store_figures *figures)
{
    *figures = (struct store_figures){0};
    lock_acquire(&store->lock);
    for (size_t i = 0; i < ARRAY_LENGTH(store->pools); i++) {
        figures->pool += store->pools[i].limit;
        figures->in_use += store->pools[i].taken;
        figures->waiting += store->pools[i].waiting;
    }
    lock_release(&store->lock);
}

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
    int status = acquire(store, pool, statement->name, &connection);
    *retry = false;
    if (status < 0) {
        count_statement(statement->name, status, since);
        return status;
    }
    status = store->driver->run(connection, statement, values, count,
                                clock_after(store->settings.query_timeout), row, argument, changed);
    if (status < 0) {
        *retry = connection->retry;
        if (!*retry)
            report(store, status, statement->name, connection->message);
    } else {
        report_success(store);
    }
    give_back(store, pool, connection);
    count_statement(statement->name, status, since);
    return status;
}

int store_execute(struct store *store, const struct store_statement *statement,
                  const struct store_value *values, size_t count, int64_t *changed)
{
    for (int attempt = 0;; attempt++) {
        bool retry;
        int status =
            run_once(store, store->writers, statement, values, count, NULL, NULL, changed, &retry);
        if (!retry)
            return status;
        if (attempt == RETRIES_MAX) {
            report(store, status, statement->name, "it collided with others too often");
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
        report(store, status, statement->name, "it collided with others");
    return status;
}

int store_ping(struct store *store)
{
    /* Reads the file, where a constant would not. */
    static const struct store_statement ping = {"ping", "SELECT COUNT(*) FROM schema_version"};
    return store_query(store, &ping, NULL, 0, NULL, NULL);
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
    count_statement(statement->name, status, since);
    /* After a conflict the transaction is still good, and body may know what to do. */
    if (status < 0 && status != CESID_E_CONFLICT) {
        transaction->error = status;
        transaction->retry = transaction->connection->retry;
        if (!transaction->retry)
            report(store, status, statement->name, transaction->connection->message);
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
        report(transaction->store, status, what, transaction->connection->message);
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
        report(transaction->store, status, "transaction", "it passed transaction_timeout");
    }
    if (status >= 0) {
        int committed = driver->commit(connection, statement_deadline(transaction));
        if (committed < 0)
            status = transaction_failed(transaction, committed, "commit");
    }
    if (status < 0)
        driver->rollback(connection);
    else
        report_success(transaction->store);
    return status;
}

int store_transact(struct store *store,
                   int (*body)(struct store_transaction *transaction, void *argument),
                   void *argument)
{
    int64_t deadline = clock_after(store->settings.transaction_timeout), since = clock_now();
    for (int attempt = 0;; attempt++) {
        struct store_transaction transaction = {.store = store, .deadline = deadline};
        int status = acquire(store, store->writers, "transaction", &transaction.connection);
        if (status < 0) {
            count_statement("transaction", status, since);
            return status;
        }
        status = transact_once(&transaction, body, argument);
        give_back(store, store->writers, transaction.connection);
        if (status >= 0 || !transaction.retry) {
            count_statement("transaction", status, since);
            return status;
        }
        if (attempt == RETRIES_MAX || clock_now() >= deadline) {
            report(store, status, "transaction", "it collided with others too often");
            return status;
        }
        pause_before_retry(attempt);
    }
}
