/*
 * Health: the judge. See health.h. The health thread alone judges; it holds no lock while it asks
 * the others, and puts the finished reports in place under LOCK_HEALTH.
 */
#include "cesid/health.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/pulse.h"
#include "cesid/resources.h"
#include "cesid/thread.h"

#define JUDGE_SECONDS  1.0
#define RECENT_SECONDS 60.0 /* for so long a loss is news */
#define FIGURES_MAX    6
#define STUCK_MAX      8 /* threads that are named */
#define STUCK_SECONDS  30.0
#define SCARCE         0.9 /* of a limit: more is worth a word */

struct figure {
    const char *name;
    double value;
};

struct report {
    enum health_status status;
    int64_t since; /* wall milliseconds */
    char reason[160];
    struct figure figures[FIGURES_MAX];
    size_t figures_count;
};

struct health {
    /* immutable */
    struct health_sources sources;
    double stuck_after; /* seconds without progress */
    struct thread thread;

    /* owned by the health thread */
    int64_t looked_at; /* clock_now() of the last look at the threads; 0: none yet */
    uint64_t bus_dropped;
    int64_t bus_dropped_at; /* clock_now(); 0: never */
    uint64_t journal_dropped;
    int64_t journal_dropped_at; /* likewise */

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    struct report reports[HEALTH_COMPONENTS];
    bool stopping;
    int64_t judged_at; /* clock_now() */
};

static const char *const component_names[HEALTH_COMPONENTS] = {
    [HEALTH_STORE] = "store",     [HEALTH_REFRESH] = "refresh",
    [HEALTH_HUB] = "hub",         [HEALTH_OPERATIONS] = "operations",
    [HEALTH_BUS] = "bus",         [HEALTH_NODES] = "nodes",
    [HEALTH_THREADS] = "threads", [HEALTH_RESOURCES] = "resources",
    [HEALTH_JOURNAL] = "journal",
};

const char *health_status_name(enum health_status status)
{
    static const char *const names[] = {
        [HEALTH_OK] = "ok", [HEALTH_DEGRADED] = "degraded", [HEALTH_FAILED] = "failed"};

    return names[status];
}

/* ---- the judgements ---- */

static void put_figure(struct report *report, const char *name, double value)
{
    CHECK(report->figures_count < FIGURES_MAX);
    report->figures[report->figures_count++] = (struct figure){name, value};
}

static void CESID_PRINTF(3, 4)
    find(struct report *report, enum health_status status, const char *format, ...)
{
    va_list arguments;

    report->status = status;
    va_start(arguments, format);
    (void) vsnprintf(report->reason, sizeof(report->reason), format, arguments);
    va_end(arguments);
}

static void judge_store(struct health *health, struct report *report)
{
    struct store *store = health->sources.store;
    struct store_figures figures;

    store_figures(store, &figures);
    if (!store_up(store))
        find(report, HEALTH_FAILED, "the store does not answer (%s)", error_code(figures.answer));
    else if (figures.exhausted)
        find(report, HEALTH_DEGRADED, "every connection to the store is in use");
    else if (figures.write_error != 0 && clock_seconds_since(figures.write_failed) < RECENT_SECONDS)
        find(report, HEALTH_DEGRADED, "the store takes no writes (%s)",
             error_code(figures.write_error));
    put_figure(report, "pool", figures.pool);
    put_figure(report, "in_use", figures.in_use);
    put_figure(report, "waiting", figures.waiting);
    put_figure(report, "latency", figures.latency);
}

static void judge_refresh(struct health *health, const struct config *config, struct report *report)
{
    struct refresh_figures figures;

    refresh_figures(health->sources.refresh, &figures);
    if (figures.lag > 2 * config->refresh.interval)
        find(report, HEALTH_DEGRADED,
             "nodes are polled up to %.1f s late: %zu wait for one of %zu connections", figures.lag,
             figures.waiting, figures.limit);
    put_figure(report, "lag", figures.lag);
    put_figure(report, "nodes", (double) figures.nodes);
    put_figure(report, "in_use", (double) figures.in_use);
    put_figure(report, "limit", (double) figures.limit);
    put_figure(report, "waiting", (double) figures.waiting);
}

static void judge_hub(struct health *health, const struct config *config, struct report *report)
{
    size_t clients = hub_clients(health->sources.hub), limit = (size_t) config->websocket.clients;

    if (clients >= limit)
        find(report, HEALTH_DEGRADED, "%zu clients are connected, there is room for %zu", clients,
             limit);
    put_figure(report, "clients", (double) clients);
    put_figure(report, "limit", (double) limit);
}

static void judge_operations(struct health *health, struct report *report)
{
    put_figure(report, "running", (double) operations_running(health->sources.operations));
}

static void judge_bus(struct health *health, struct report *report)
{
    uint64_t dropped = bus_dropped(health->sources.bus);

    if (dropped != health->bus_dropped)
        health->bus_dropped_at = clock_now();
    health->bus_dropped = dropped;
    if (health->bus_dropped_at != 0 && clock_seconds_since(health->bus_dropped_at) < RECENT_SECONDS)
        find(report, HEALTH_DEGRADED, "the bus was full and dropped events");
    put_figure(report, "length", (double) bus_length(health->sources.bus));
    put_figure(report, "dropped", (double) dropped);
}

static void judge_journal(struct health *health, struct report *report)
{
    struct journal_figures figures;

    if (health->sources.journal == NULL)
        return;
    journal_figures(health->sources.journal, &figures);
    if (figures.dropped != health->journal_dropped)
        health->journal_dropped_at = clock_now();
    health->journal_dropped = figures.dropped;
    if (figures.refusing)
        find(report, HEALTH_FAILED,
             "neither the store nor the spill file takes records: actions are refused");
    else if (figures.spilled > 0)
        find(report, HEALTH_DEGRADED, "%llu records wait for the store",
             (unsigned long long) figures.spilled);
    else if (health->journal_dropped_at != 0 &&
             clock_seconds_since(health->journal_dropped_at) < RECENT_SECONDS)
        find(report, HEALTH_DEGRADED,
             "state changes are missing on record: they came too fast or found no place");
    put_figure(report, "queued", (double) figures.queued);
    put_figure(report, "limit", (double) figures.limit);
    put_figure(report, "dropped", (double) figures.dropped);
    put_figure(report, "spilled", (double) figures.spilled);
    put_figure(report, "spill_bytes", (double) figures.spill_bytes);
    put_figure(report, "spill_limit", (double) figures.spill_limit);
}

/* Those that access allows to see; NULL: all. */
static void judge_nodes(const struct health *health, const struct access *access,
                        struct report *report)
{
    int counts[NODE_STATES] = {0}, total = 0;
    struct node_list list;

    registry_list(health->sources.registry, &list);
    for (size_t i = 0; i < list.count; i++) {
        struct node_view *view = node_view(list.items[i]);

        if (access == NULL ||
            access_allows(access, NODE_READ, view->settings->config.environment)) {
            counts[view->state]++;
            total++;
        }
        node_view_unref(&view);
    }
    if (counts[NODE_DOWN] > 0)
        find(report, HEALTH_DEGRADED, "%d of %d nodes %s down", counts[NODE_DOWN], total,
             counts[NODE_DOWN] == 1 ? "is" : "are");
    put_figure(report, "total", total);
    for (enum node_state state = 0; state < NODE_STATES; state++)
        put_figure(report, node_state_name(state), counts[state]);
    node_list_free(&list);
}

static const char *words(const struct pulse_report *stuck, char *text, size_t size)
{
    (void) snprintf(text, size, "%s%s%s", stuck->state, stuck->what[0] != '\0' ? " " : "",
                    stuck->what);
    return text;
}

/* Once for each thread and trouble: at the look that first finds it, so long after the last one. */
static void tell_stuck(const struct health *health, const struct pulse_report *stuck, size_t count,
                       double ago)
{
    char text[80];

    for (size_t i = 0; i < count; i++)
        if (stuck[i].seconds - ago < health->stuck_after)
            log_error("health", "a thread makes no progress", log_s("thread", stuck[i].name),
                      log_s("subsystem", stuck[i].subsystem),
                      log_s("state", words(&stuck[i], text, sizeof(text))),
                      log_f("seconds", stuck[i].seconds));
}

static void judge_threads(struct health *health, struct report *report)
{
    struct pulse_report stuck[STUCK_MAX];
    struct thread_count counts[64];
    char text[80];
    double threads = 0;
    int64_t now = clock_now();
    double ago = (double) (now - health->looked_at) / (double) CLOCK_SECOND;
    size_t count = pulse_look(now, health->stuck_after, stuck, STUCK_MAX);
    size_t subsystems = thread_counts(counts, ARRAY_LENGTH(counts));

    if (count > 0)
        find(report, HEALTH_FAILED, "the thread %s makes no progress since %.0f s: it %s",
             stuck[0].name, stuck[0].seconds, words(&stuck[0], text, sizeof(text)));
    tell_stuck(health, stuck, count < STUCK_MAX ? count : STUCK_MAX, ago);
    health->looked_at = now;
    for (size_t i = 0; i < subsystems && i < ARRAY_LENGTH(counts); i++)
        threads += (double) counts[i].threads;
    put_figure(report, "total", threads);
    put_figure(report, "stuck", (double) count);
}

static void judge_resources(struct report *report)
{
    double descriptors = resources_descriptors(), limit = resources_descriptors_limit();

    if (descriptors > limit * SCARCE)
        find(report, HEALTH_DEGRADED, "%.0f of %.0f file descriptors are in use", descriptors,
             limit);
    put_figure(report, "descriptors", descriptors);
    put_figure(report, "descriptors_limit", limit);
    put_figure(report, "memory", resources_memory());
}

static void tell(enum health_component component, const struct report *report)
{
    const char *name = component_names[component];

    if (report->status == HEALTH_OK)
        log_info("health", "a component is well again", log_s("component", name));
    else
        log_warning("health", "a component is not well", log_s("component", name),
                    log_s("status", health_status_name(report->status)),
                    log_s("reason", report->reason));
}

static void judge(struct health *health)
{
    struct config *config = config_get(health->sources.config);
    struct report reports[HEALTH_COMPONENTS] = {{0}};
    bool news[HEALTH_COMPONENTS];
    int64_t now;

    judge_store(health, &reports[HEALTH_STORE]);
    judge_refresh(health, config, &reports[HEALTH_REFRESH]);
    judge_hub(health, config, &reports[HEALTH_HUB]);
    judge_operations(health, &reports[HEALTH_OPERATIONS]);
    judge_bus(health, &reports[HEALTH_BUS]);
    judge_journal(health, &reports[HEALTH_JOURNAL]);
    judge_nodes(health, NULL, &reports[HEALTH_NODES]);
    judge_threads(health, &reports[HEALTH_THREADS]);
    judge_resources(&reports[HEALTH_RESOURCES]);
    config_unref(&config);

    now = clock_wall();
    lock_acquire(&health->lock);
    for (size_t i = 0; i < HEALTH_COMPONENTS; i++) {
        const struct report *old = &health->reports[i];

        news[i] = reports[i].status != old->status;
        reports[i].since = news[i] || old->since == 0 ? now : old->since;
        health->reports[i] = reports[i];
    }
    health->judged_at = clock_now();
    lock_release(&health->lock);
    for (enum health_component i = 0; i < HEALTH_COMPONENTS; i++)
        if (news[i])
            tell(i, &reports[i]);
}

static void run(void *argument)
{
    struct health *health = argument;
    int64_t next = clock_after(JUDGE_SECONDS);

    lock_acquire(&health->lock);
    while (!health->stopping) {
        if (cond_wait_until(&health->changed, &health->lock, next))
            continue;
        lock_release(&health->lock);
        judge(health);
        next = clock_after(JUDGE_SECONDS);
        lock_acquire(&health->lock);
    }
    lock_release(&health->lock);
}

/* ---- life ---- */

/* Without a progress of so long a thread is given up; tests have less patience. */
static double stuck_after(void)
{
    const char *text = getenv("CESID_STUCK_AFTER");
    double seconds = text == NULL ? 0 : strtod(text, NULL);

    return seconds >= 1 && seconds <= 3600 ? seconds : STUCK_SECONDS;
}

struct health *health_create(const struct health_sources *sources)
{
    struct health *health = mem_alloc(sizeof(*health));

    health->sources = *sources;
    health->stuck_after = stuck_after();
    lock_init(&health->lock, LOCK_HEALTH);
    cond_init(&health->changed);
    return health;
}

int health_start(struct health *health)
{
    judge(health);
    return thread_start(&health->thread, "health", "health", run, health);
}

void health_stop(struct health *health)
{
    lock_acquire(&health->lock);
    health->stopping = true;
    cond_broadcast(&health->changed);
    lock_release(&health->lock);
    thread_join(&health->thread);
}

void health_destroy(struct health **slot)
{
    struct health *health = *slot;

    *slot = NULL;
    if (health == NULL)
        return;
    CHECK(!health->thread.started);
    cond_destroy(&health->changed);
    lock_destroy(&health->lock);
    free(health);
}

/* ---- asking ---- */

int64_t health_judged_at(struct health *health)
{
    int64_t at;

    lock_acquire(&health->lock);
    at = health->judged_at;
    lock_release(&health->lock);
    return at;
}

enum health_status health_of(struct health *health, enum health_component component)
{
    enum health_status status;

    lock_acquire(&health->lock);
    status = health->reports[component].status;
    lock_release(&health->lock);
    return status;
}

static void put_report(struct json *json, const struct report *report)
{
    json_object(json);
    json_put_string(json, "status", health_status_name(report->status));
    json_put_time(json, "since", report->since);
    json_put_string(json, "reason", report->reason[0] != '\0' ? report->reason : NULL);
    for (size_t i = 0; i < report->figures_count; i++)
        json_put_real(json, report->figures[i].name, report->figures[i].value);
    json_object_end(json);
}

/* Who judges may itself be stuck. */
static void judge_judge(const struct health *health, int64_t judged_at, struct report *report)
{
    double ago = clock_seconds_since(judged_at);

    if (ago > health->stuck_after)
        find(report, HEALTH_FAILED, "the health thread makes no progress since %.0f s", ago);
}

enum health_status health_json(struct json *json, struct health *health,
                               const struct access *access)
{
    struct report reports[HEALTH_COMPONENTS], nodes = {0};
    enum health_status worst = HEALTH_OK;
    int64_t judged_at;

    lock_acquire(&health->lock);
    memcpy(reports, health->reports, sizeof(reports));
    judged_at = health->judged_at;
    lock_release(&health->lock);
    judge_judge(health, judged_at, &reports[HEALTH_THREADS]);
    if (!access_allows(access, NODE_READ, NULL)) { /* not all of them */
        judge_nodes(health, access, &nodes);
        nodes.since = nodes.status == reports[HEALTH_NODES].status ? reports[HEALTH_NODES].since
                                                                   : clock_wall();
        reports[HEALTH_NODES] = nodes;
    }
    for (size_t i = 0; i < HEALTH_COMPONENTS; i++)
        worst = reports[i].status > worst ? reports[i].status : worst;
    json_object(json);
    json_put_string(json, "status", health_status_name(worst));
    json_key(json, "components");
    json_object(json);
    for (size_t i = 0; i < HEALTH_COMPONENTS; i++) {
        json_key(json, component_names[i]);
        put_report(json, &reports[i]);
    }
    json_object_end(json);
    json_object_end(json);
    return worst;
}
