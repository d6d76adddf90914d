/*
 * The families of metrics: names, labels and meaning. Constants; the names are CONTRACT.md's, and
 * cesid(8) lists them.
 */
#include "cesid/metrics.h"

#define SECONDS 1e-9

/* A node answers in a millisecond or not at all. */
static const double fast[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                              0.1,    0.25,  0.5,    1,     2.5,  5,     10};
/* Starting and stopping takes as long as the program likes. */
static const double slow[] = {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300};
static const double http[] = {0.0005, 0.0025, 0.01, 0.05, 0.1, 0.25, 1, 5, 30};
static const double store[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1, 5};
static const double depth[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096};
/* lock.h has the same, in nanoseconds. */
static const double waits[] = {0.00001, 0.0001, 0.001, 0.01, 0.1, 1};

#define BOUNDS(array) .bounds = (array), .bounds_count = ARRAY_LENGTH(array)

#define COUNTED(NAME, TYPE, HELP)   .name = (NAME), .type = METRIC_##TYPE, .help = (HELP)
#define COLLECTED(NAME, TYPE, HELP) COUNTED(NAME, TYPE, HELP), .collected = true

#define ACTIONS "start|stop|restart|signal|stdin"

static const struct metric_info families[METRICS] = {
    [METRIC_BUILD_INFO] = {COLLECTED("cesid_build_info", GAUGE, "Always 1; which cesid this is."),
                           .labels = {"version", "revision"}},
    [METRIC_START_TIME] = {COLLECTED("cesid_start_time_seconds", GAUGE,
                                     "When this cesid became ready, in seconds since 1970.")},
    [METRIC_THREADS] = {COLLECTED("cesid_threads", GAUGE, "Threads of each subsystem."),
                        .labels = {"subsystem"}},
    [METRIC_OPEN_FDS] = {COLLECTED("cesid_open_fds", GAUGE, "Open file descriptors.")},
    [METRIC_RESIDENT_BYTES] = {COLLECTED("cesid_resident_bytes", GAUGE, "Resident memory.")},
    [METRIC_NODES] = {COLLECTED("cesid_nodes", GAUGE, "Nodes by environment and state."),
                      .labels = {"environment", "state"}},
    [METRIC_PROCESSES] = {COLLECTED("cesid_processes", GAUGE,
                                    "Processes of all nodes by environment and state."),
                          .labels = {"environment", "state"}},
    [METRIC_NODE_UP] =
        {COLLECTED("cesid_node_up", GAUGE,
                   "Whether the last poll of the node succeeded; disabled nodes are left out."),
         .labels = {"node", "environment"}},
    [METRIC_PROCESS_STATE] = {COLLECTED(
                                  "cesid_process_state", GAUGE,
                                  "The process's state as supervisord numbers it: 0 STOPPED, "
                                  "10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, 100 EXITED, "
                                  "200 FATAL, 1000 UNKNOWN."),
                              .labels = {"node", "group", "name"}},
    [METRIC_PROCESS_START_TIME] =
        {COLLECTED("cesid_process_start_time_seconds", GAUGE,
                   "When the process last started, in seconds since 1970 by its "
                   "node's clock."),
         .labels = {"node", "group", "name"}},
    [METRIC_TRUNCATED] = {COLLECTED(
        "cesid_metrics_truncated", GAUGE,
        "Whether series of processes were left out for metrics.max_series.")},
    [METRIC_REFRESH_DURATION] = {COUNTED("cesid_refresh_duration_seconds", HISTOGRAM,
                                         "How long polls of nodes took."),
                                 BOUNDS(fast), .unit = SECONDS},
    [METRIC_REFRESH] = {COUNTED("cesid_refresh_total", COUNTER, "Polls of nodes by their end."),
                        .labels = {"result"},
                        .values = {"ok|node_unreachable|node_timeout|node_unauthorized|"
                                   "node_protocol|node_circuit_open|cancelled"}},
    [METRIC_REFRESH_LAG] = {COLLECTED("cesid_refresh_lag_seconds", GAUGE,
                                      "How late the most overdue node is.")},
    [METRIC_CONNECTIONS] = {COLLECTED(
                                "cesid_connections", GAUGE,
                                "Permits for polls of nodes: background refresh, and polls that "
                                "somebody waits for."),
                            .labels = {"pool", "state"}},
    [METRIC_RPC_CALLS] = {COLLECTED("cesid_rpc_calls", GAUGE, "Calls to nodes under way.")},
    [METRIC_BREAKER_STATE] = {COLLECTED(
                                  "cesid_breaker_state", GAUGE,
                                  "The node's circuit breaker: 0 closed, 1 half open, 2 open."),
                              .labels = {"node"}},
    [METRIC_BREAKER_TRANSITIONS] = {COUNTED("cesid_breaker_transitions_total", COUNTER,
                                            "Changes of circuit breakers by their new state."),
                                    .labels = {"to"}, .values = {"closed|half_open|open"}},
    [METRIC_OPERATIONS] = {COUNTED("cesid_operations_total", COUNTER, "Operations by their end."),
                           .labels = {"action", "result"},
                           .values = {ACTIONS, "ok|failed|cancelled|interrupted"}},
    [METRIC_OPERATION_DURATION] = {COUNTED("cesid_operation_duration_seconds", HISTOGRAM,
                                           "How long operations took."),
                                   .labels = {"action"}, .values = {ACTIONS}, BOUNDS(slow),
                                   .unit = SECONDS},
    [METRIC_OPERATIONS_RUNNING] = {COLLECTED("cesid_operations_running", GAUGE,
                                             "Operations under way.")},
    [METRIC_HTTP_REQUESTS] = {COUNTED("cesid_http_requests_total", COUNTER,
                                      "Requests by route, method and status."),
                              .labels = {"route", "method", "status"}, .series_max = 2048},
    [METRIC_HTTP_DURATION] = {COUNTED("cesid_http_request_duration_seconds", HISTOGRAM,
                                      "How long requests took, streams to their end."),
                              .labels = {"route"}, BOUNDS(http), .unit = SECONDS},
    [METRIC_HTTP_CONNECTIONS] = {COLLECTED(
                                     "cesid_http_connections", GAUGE,
                                     "Connections of clients: open, serving a request, streaming."),
                                 .labels = {"state"}},
    [METRIC_WS_CLIENTS] = {COLLECTED(
        "cesid_ws_clients", GAUGE,
        "Clients that receive messages, Server-Sent Events and followed logs "
        "included.")},
    [METRIC_WS_MESSAGES] =
        {COUNTED("cesid_ws_messages_total", COUNTER, "Messages to clients by type."),
         .labels = {"type"},
         .values = {"hello|snapshot|node|node_removed|process|operation|log|"
                    "activity|resync|error|pong|bye"}},
    [METRIC_WS_DROPPED] = {COUNTED(
                               "cesid_ws_dropped_total", COUNTER,
                               "Messages that clients did not get: their queue was full, a log ran "
                               "ahead of its reader, the bus was full."),
                           .labels = {"reason"}, .values = {"queue_full|log_behind|bus_full"}},
    [METRIC_WS_QUEUE_DEPTH] = {COUNTED("cesid_ws_queue_depth", HISTOGRAM,
                                       "Length of a client's queue as a message was put into it."),
                               BOUNDS(depth), .unit = 1},
    [METRIC_BUS_LENGTH] = {COLLECTED("cesid_bus_length", GAUGE, "Events in the bus's queue.")},
    [METRIC_BUS_EVENTS] = {COLLECTED("cesid_bus_events_total", COUNTER,
                                     "Events by what the bus did with them."),
                           .labels = {"result"}},
    [METRIC_STORE_OPERATIONS] = {COUNTED(
                                     "cesid_store_operations_total", COUNTER,
                                     "Statements by their end; \"transaction\" is a whole one."),
                                 .labels = {"statement", "result"},
                                 .values = {"ping|transaction", "ok"}, .series_max = 512},
    [METRIC_STORE_DURATION] = {COUNTED(
                                   "cesid_store_duration_seconds", HISTOGRAM,
                                   "How long statements took, waiting for a connection included."),
                               .labels = {"statement"}, .values = {"ping|transaction"},
                               BOUNDS(store), .unit = SECONDS},
    [METRIC_STORE_POOL] =
        {COLLECTED("cesid_store_pool",
                   GAUGE, "Connections to the store: taken, free; and callers waiting for one."),
         .labels = {"state"}},
    [METRIC_STORE_UP] = {COLLECTED("cesid_store_up", GAUGE, "Whether the store answers.")},
    [METRIC_AUTH] = {COUNTED("cesid_auth_total", COUNTER,
                             "Authentications, sign-ins and checks of credentials, by their end."),
                     .labels = {"result"},
                     .values = {"ok|unauthenticated|invalid_credentials|session_expired|"
                                "locked_out|rate_limited"}},
    [METRIC_LOCK_WAIT] = {COLLECTED("cesid_lock_wait_seconds", HISTOGRAM,
                                    "How long contended locks were waited for."),
                          .labels = {"lock"}, BOUNDS(waits)},
    [METRIC_LOG_MESSAGES] = {COLLECTED("cesid_log_messages_total", COUNTER, "Lines of the log."),
                             .labels = {"level"}},
    [METRIC_CONFIG_RELOADS] = {COUNTED("cesid_config_reloads_total", COUNTER,
                                       "Reloads of the configuration by their end."),
                               .labels = {"result"}, .values = {"ok|refused"}},
};

const struct metric_info *metrics_info(enum metric metric)
{
    CHECK((size_t) metric < METRICS);
    return &families[metric];
}
