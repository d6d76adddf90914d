/*
 * The store's pool of connections and its gate. A call waits for a connection at most
 * acquire_timeout, and not at all while the gate is closed; the probe that opens and closes it asks
 * by a connection of its own, so that a pool full of slow statements does not look like a store
 * that is down.
 */
#include <stdlib.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/metrics.h"
#include "cesid/strbuf.h"
#include "store_private.h"

/* ---- what is logged ---- */

void store_report(struct store *store, int error, const char *statement, const char *message)
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
    if (store->alarm && error != CESID_E_POOL_EXHAUSTED)
        store->alarm(store->alarm_argument);
}

void store_report_success(struct store *store)
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

void store_report_write(struct store *store, int status)
{
    bool failed = status == CESID_E_STORE_UNAVAILABLE || status == CESID_E_STORE_TIMEOUT;
    if (failed && atomic_load(&store->closed))
        return;
    if (!failed && (status < 0 || !atomic_load_explicit(&store->unwritten, memory_order_relaxed)))
        return;
    lock_acquire(&store->lock);
    store->write_error = failed ? status : 0;
    store->write_failed = clock_now();
    lock_release(&store->lock);
    atomic_store(&store->unwritten, failed);
}

void store_count(const char *statement, int status, int64_t since)
{
    metrics_count(METRIC_STORE_OPERATIONS, statement, error_code(status < 0 ? status : 0));
    metrics_observe(METRIC_STORE_DURATION, clock_seconds_since(since), statement);
    log_debug("store", "a statement ran", log_s("statement", statement),
              log_s("result", error_code(status < 0 ? status : 0)),
              log_f("duration", clock_seconds_since(since)));
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

int store_acquire(struct store *store, struct pool *pool, const char *statement,
                  struct store_connection **out)
{
    int64_t deadline = clock_after(store->settings.acquire_timeout);
    lock_assert_none_held();
    lock_acquire(&store->lock);
    bool in_time = true;
    while (!atomic_load(&store->closed) && !pool->idle && pool->open >= pool->limit && in_time) {
        pool->waiting++;
        in_time = cond_wait_until(&pool->available, &store->lock, deadline);
        pool->waiting--;
    }
    if (atomic_load(&store->closed)) {
        lock_release(&store->lock);
        return CESID_E_STORE_UNAVAILABLE;
    }
    if (!pool->idle && pool->open >= pool->limit) {
        lock_release(&store->lock);
        store_report(store, CESID_E_POOL_EXHAUSTED, statement, "every connection is in use");
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
            store_report(store, status, statement, why.data);
        }
        strbuf_destroy(&why);
        if (status < 0)
            return status;
    }
    connection->retry = false;
    *out = connection;
    return 0;
}

void store_give_back(struct store *store, struct pool *pool, struct store_connection *connection)
{
    bool broken = connection->broken || atomic_load(&store->closed);
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

void store_figures(struct store *store, struct store_figures *figures)
{
    *figures = (struct store_figures){0};
    lock_acquire(&store->lock);
    for (size_t i = 0; i < ARRAY_LENGTH(store->pools); i++) {
        figures->pool += store->pools[i].limit;
        figures->in_use += store->pools[i].taken;
        figures->waiting += store->pools[i].waiting;
    }
    figures->exhausted = store->exhausted.failures > 0;
    figures->write_error = store->write_error;
    figures->write_failed = store->write_failed;
    figures->answer = store->answer;
    figures->latency = store->latency;
    lock_release(&store->lock);
}

/* ---- the gate ---- */

bool store_up(const struct store *store)
{
    return !atomic_load(&store->closed);
}

void store_set_alarm(struct store *store, void (*alarm)(void *argument), void *argument)
{
    store->alarm = alarm;
    store->alarm_argument = argument;
}

/* Who waits is let go, and idle connections, which may lead nowhere, are not used again. */
static void close_gate(struct store *store)
{
    for (size_t i = 0; i < ARRAY_LENGTH(store->pools); i++) {
        struct pool *pool = &store->pools[i];
        lock_acquire(&store->lock);
        atomic_store(&store->closed, true);
        struct store_connection *connection = pool->idle;
        pool->idle = NULL;
        for (struct store_connection *each = connection; each; each = each->next)
            pool->open--;
        cond_broadcast(&pool->available);
        lock_release(&store->lock);
        while (connection) {
            struct store_connection *next = connection->next;
            connection->broken = true;
            store->driver->close(&connection);
            connection = next;
        }
    }
}

static int ask(struct store *store, struct strbuf *why)
{
    /* Reads the file, where a constant would not. */
    static const struct store_statement probe = {"probe", "SELECT COUNT(*) FROM schema_version"};
    const struct store_driver *driver = store->driver;
    int64_t deadline = clock_after(store->settings.query_timeout);
    int status = 0;
    if (store->prober && !driver->alive(store->prober)) {
        store->prober->broken = true;
        driver->close(&store->prober);
    }
    if (!store->prober)
        status = driver->open(&store->settings, false, deadline, &store->prober, why);
    if (status < 0)
        return status;
    status = driver->run(store->prober, &probe, NULL, 0, deadline, NULL, NULL, NULL);
    if (status < 0)
        strbuf_puts(why, store->prober->message);
    if (store->prober->broken)
        driver->close(&store->prober);
    return status;
}

int store_probe(struct store *store)
{
    struct strbuf why;
    int64_t since = clock_now();
    lock_assert_none_held();
    strbuf_init(&why, 512);
    int status = ask(store, &why);
    store_count("probe", status, since);

    lock_acquire(&store->lock);
    store->answer = status;
    store->latency = clock_seconds_since(since);
    bool say = status < 0 && log_repeat_failed(&store->down);
    uint64_t failures = store->down.failures;
    bool back = status == 0 && log_repeat_recovered(&store->down, &failures);
    lock_release(&store->lock);
    if (status < 0 && !atomic_load(&store->closed))
        close_gate(store);
    /* What failed meanwhile says nothing about writes. */
    if (status == 0 && atomic_exchange(&store->closed, false))
        store_report_write(store, 0);
    if (say)
        log_error("store", "the store is down: what needs it is refused until it answers",
                  log_s("error", error_code(status)), log_s("reason", why.data),
                  log_i("failures", (int64_t) failures));
    if (back)
        log_info("store", "the store is up again", log_i("failures", (int64_t) failures));
    strbuf_destroy(&why);
    return status;
}
