/*
 * The collector of metrics. See collector.h. CivetWeb's workers; no locks of its own.
 */
#include "cesid/collector.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "cesid/resources.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/serving.h"
#include "cesid/sockets.h"
#include "cesid/thread.h"

#define PROCESS_STATES 8
#define SERIES_BYTES   256 /* of one series of a process, with names as long as most */

struct environment {
    const char *name; /* of a view */
    int nodes[NODE_STATES];
    struct node_counts processes;
    UT_hash_handle hh;
};

struct seen {
    const char *name;
    struct node_view *view; /* of the survey */
    enum breaker_state breaker;
    size_t shown; /* processes that have series of their own */
};

struct collection {
    const struct request *request;
    struct node_survey survey;
    struct seen *nodes; /* sorted by name */
    struct environment *environments;
    bool truncated;
};

/* ---- the fleet ---- */

static int by_name(const struct environment *a, const struct environment *b)
{
    return strcmp(a->name, b->name);
}

static struct environment *environment_of(struct collection *all, const char *name)
{
    struct environment *environment;

    HASH_FIND_STR(all->environments, name, environment);
    if (environment == NULL) {
        environment = mem_alloc(sizeof(*environment));
        environment->name = name;
        HASH_ADD_KEYPTR(hh, all->environments, environment->name, strlen(name), environment);
    }
    return environment;
}

/* Which processes are shown: the first of each node in turn, until max_series are used up. */
static void choose_processes(struct collection *all)
{
    const struct config_metrics *config = &all->request->config->metrics;
    size_t left = (size_t) config->max_series, most = RESPONSE_BODY_MAX / SERIES_BYTES;

    if (!config->per_process)
        return;
    if (left > most)
        left = most;
    for (size_t i = 0; i < all->survey.count; i++) {
        const struct node_view *view = all->nodes[i].view;

        for (size_t j = 0; j < view->processes_count && !all->truncated; j++) {
            size_t needed = view->processes[j]->started_at != 0 ? 2 : 1;

            all->truncated = needed > left;
            if (!all->truncated) {
                left -= needed;
                all->nodes[i].shown++;
            }
        }
    }
}

static void open_collection(struct collection *all, const struct request *request)
{
    *all = (struct collection){.request = request};
    registry_survey(request->context->registry, &all->survey);
    all->nodes = mem_array(all->survey.count + 1, sizeof(all->nodes[0]));
    for (size_t i = 0; i < all->survey.count; i++) {
        struct node *node = all->survey.items[i].node;
        struct node_view *view = all->survey.items[i].view;
        struct environment *environment = environment_of(all, view->settings->config.environment);

        all->nodes[i] = (struct seen){
            .name = node_name(node), .view = view, .breaker = node_breaker_state(node)};
        environment->nodes[view->state]++;
        node_counts_sum(&environment->processes, &view->counts);
    }
    HASH_SRT(hh, all->environments, by_name);
    choose_processes(all);
}

static void close_collection(struct collection *all)
{
    struct environment *environment = all->environments, *next;

    HASH_CLEAR(hh, all->environments); /* the table; its entries still know the next */
    for (; environment != NULL; environment = next) {
        next = environment->hh.next;
        free(environment);
    }
    free(all->nodes);
    node_survey_free(&all->survey);
}

static void put_nodes(struct metrics_page *page, const struct collection *all)
{
    for (const struct environment *at = all->environments; at != NULL; at = at->hh.next)
        for (enum node_state state = 0; state < NODE_STATES; state++)
            metrics_sample(page, at->nodes[state],
                           metrics_values(at->name, node_state_name(state)));
}

static void put_processes(struct metrics_page *page, const struct collection *all)
{
    for (const struct environment *at = all->environments; at != NULL; at = at->hh.next) {
        const struct node_counts *counts = &at->processes;
        const struct {
            const char *state;
            int count;
        } rows[PROCESS_STATES] = {{"running", counts->running}, {"starting", counts->starting},
                                  {"backoff", counts->backoff}, {"stopping", counts->stopping},
                                  {"stopped", counts->stopped}, {"exited", counts->exited},
                                  {"fatal", counts->fatal},     {"unknown", counts->unknown}};

        for (size_t i = 0; i < PROCESS_STATES; i++)
            metrics_sample(page, rows[i].count, metrics_values(at->name, rows[i].state));
    }
}

static void put_each_node(struct metrics_page *page, const struct collection *all)
{
    static const int breaker_values[] = {
        [BREAKER_CLOSED] = 0, [BREAKER_HALF_OPEN] = 1, [BREAKER_OPEN] = 2};

    for (size_t i = 0; i < all->survey.count; i++) {
        const struct seen *seen = &all->nodes[i];
        const char *environment = seen->view->settings->config.environment;

        if (page->metric == METRIC_BREAKER_STATE)
            metrics_sample(page, breaker_values[seen->breaker], metrics_values(seen->name));
        else if (seen->view->state != NODE_DISABLED)
            metrics_sample(page, seen->view->state == NODE_UP,
                           metrics_values(seen->name, environment));
    }
}

static void put_each_process(struct metrics_page *page, const struct collection *all)
{
    for (size_t i = 0; i < all->survey.count; i++)
        for (size_t j = 0; j < all->nodes[i].shown; j++) {
            const struct process_view *process = all->nodes[i].view->processes[j];
            const char *const *values =
                metrics_values(all->nodes[i].name, process->group, process->name);

            if (page->metric == METRIC_PROCESS_STATE)
                metrics_sample(page, process->statecode, values);
            else if (process->started_at != 0)
                metrics_sample(page, (double) process->started_at / 1000, values);
        }
}

/* ---- the process that we are ---- */

static void put_threads(struct metrics_page *page)
{
    struct thread_count counts[64];
    size_t count = thread_counts(counts, ARRAY_LENGTH(counts));

    for (size_t i = 0; i < count && i < ARRAY_LENGTH(counts); i++)
        metrics_sample(page, (double) counts[i].threads, metrics_values(counts[i].subsystem));
}

static void put_lock_waits(struct metrics_page *page)
{
    for (enum lock_rank rank = 0; rank < LOCK_RANKS; rank++) {
        struct lock_waits waits = lock_contention(rank);

        CHECK(metrics_info(page->metric)->bounds_count + 1 == LOCK_WAIT_BUCKETS);
        metrics_sample_histogram(page, waits.buckets, (double) waits.nanoseconds / 1e9,
                                 metrics_values(lock_rank_name(rank)));
    }
}

static void put_log_messages(struct metrics_page *page)
{
    for (enum log_level level = 0; level < LOG_LEVELS; level++)
        metrics_sample(page, (double) log_count(level), metrics_values(log_level_name(level)));
}

/* ---- the rooms' figures ---- */

static void put_states(struct metrics_page *page, const char *pool, double in_use, double limit,
                       double waiting)
{
    const char *const states[] = {"in_use", "free", "waiting"};
    const double figures[] = {in_use, limit > in_use ? limit - in_use : 0, waiting};

    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        if (figures[i] >= 0)
            metrics_sample(page, figures[i],
                           pool != NULL ? metrics_values(pool, states[i])
                                        : metrics_values(states[i]));
}

static void put_connections(struct metrics_page *page, const struct server_context *context)
{
    struct refresh_figures figures;

    refresh_figures(context->refresh, &figures);
    put_states(page, "refresh", (double) figures.in_use, (double) figures.limit,
               (double) figures.waiting);
    put_states(page, "on_demand", (double) figures.on_demand, (double) figures.on_demand_limit, -1);
}

static void put_store_pool(struct metrics_page *page, const struct server_context *context)
{
    struct store_figures figures;

    store_figures(context->store, &figures);
    put_states(page, NULL, figures.in_use, figures.pool, figures.waiting);
}

static void put_http(struct metrics_page *page, struct serving *serving)
{
    metrics_sample(page, (double) sockets_count(serving->sockets), metrics_values("open"));
    metrics_sample(page, (double) atomic_load(&serving->requests), metrics_values("serving"));
    metrics_sample(page, atomic_load(&serving->streams), metrics_values("streaming"));
    metrics_sample(page, atomic_load(&serving->websockets), metrics_values("websocket"));
}

static double refresh_lag(const struct server_context *context)
{
    struct refresh_figures figures;

    refresh_figures(context->refresh, &figures);
    return figures.lag;
}

static void collect(struct metrics_page *page, enum metric metric, void *argument)
{
    const struct collection *all = argument;
    const struct server_context *context = all->request->context;
    struct serving *serving = all->request->serving;

    switch (metric) {
    case METRIC_BUILD_INFO:
        metrics_sample(page, 1, metrics_values(context->version, context->revision));
        break;
    case METRIC_START_TIME:
        metrics_sample(page, (double) serving->opened_at / 1000, NULL);
        break;
    case METRIC_THREADS:
        put_threads(page);
        break;
    case METRIC_OPEN_FDS:
        metrics_sample(page, resources_descriptors(), NULL);
        break;
    case METRIC_RESIDENT_BYTES:
        metrics_sample(page, resources_memory(), NULL);
        break;
    case METRIC_NODES:
        put_nodes(page, all);
        break;
    case METRIC_PROCESSES:
        put_processes(page, all);
        break;
    case METRIC_NODE_UP:
    case METRIC_BREAKER_STATE:
        put_each_node(page, all);
        break;
    case METRIC_PROCESS_STATE:
    case METRIC_PROCESS_START_TIME:
        put_each_process(page, all);
        break;
    case METRIC_TRUNCATED:
        metrics_sample(page, all->truncated, NULL);
        break;
    case METRIC_REFRESH_LAG:
        metrics_sample(page, refresh_lag(context), NULL);
        break;
    case METRIC_CONNECTIONS:
        put_connections(page, context);
        break;
    case METRIC_RPC_CALLS:
        metrics_sample(page, (double) rpc_engine_calls(context->engine), NULL);
        break;
    case METRIC_OPERATIONS_RUNNING:
        metrics_sample(page, (double) operations_running(context->operations), NULL);
        break;
    case METRIC_HTTP_CONNECTIONS:
        put_http(page, serving);
        break;
    case METRIC_WS_CLIENTS:
        metrics_sample(page, (double) hub_clients(context->hub), NULL);
        break;
    case METRIC_BUS_LENGTH:
        metrics_sample(page, (double) bus_length(context->bus), NULL);
        break;
    case METRIC_BUS_EVENTS:
        metrics_sample(page, (double) bus_number(context->bus), metrics_values("published"));
        metrics_sample(page, (double) bus_dropped(context->bus), metrics_values("dropped"));
        break;
    case METRIC_STORE_POOL:
        put_store_pool(page, context);
        break;
    case METRIC_STORE_UP:
        metrics_sample(page, store_up(context->store), NULL);
        break;
    case METRIC_LOCK_WAIT:
        put_lock_waits(page);
        break;
    case METRIC_LOG_MESSAGES:
        put_log_messages(page);
        break;
    default:
        CHECK(!metrics_info(metric)->collected);
    }
}

/* The routes are known, so their series need not wait for a first request. */
static void prepare_routes(void)
{
    for (size_t i = 0; i < routes_all_count; i++)
        for (size_t j = 0; j < routes_all[i]->count; j++) {
            const struct route *route = &routes_all[i]->routes[j];

            (void) metrics_series(METRIC_HTTP_REQUESTS,
                                  metrics_values(route_label(route), route->method, "200"));
            (void) metrics_series(METRIC_HTTP_DURATION, metrics_values(route_label(route)));
        }
}

void collector_page(const struct request *request, struct strbuf *out)
{
    struct collection all;

    prepare_routes();
    open_collection(&all, request);
    metrics_render(out, collect, &all);
    close_collection(&all);
}
