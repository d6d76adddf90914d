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

#define ACTIONS "start|stop|restart|signal|stdin"

static const struct metric_info families[METRICS] = {
    [METRIC_BUILD_INFO] = {"cesid_build_info", METRIC_GAUGE, "Always 1; which cesid this is.", true,
                           .labels = {"version", "revision"}},
    [METRIC_START_TIME] = {"cesid_start_time_seconds", METRIC_GAUGE,
                           "When this cesid became ready, in seconds since 1970.", true},
    [METRIC_THREADS] = {"cesid_threads", METRIC_GAUGE, "Threads of each subsystem.", true,
                        .labels = {"subsystem"}},
    [METRIC_OPEN_FDS] = {"cesid_open_fds", METRIC_GAUGE, "Open file descriptors.", true},
    [METRIC_RESIDENT_BYTES] = {"cesid_resident_bytes", METRIC_GAUGE, "Resident memory.", true},
    [METRIC_NODES] = {"cesid_nodes", METRIC_GAUGE, "Nodes by environment and state.", true,
                      .labels = {"environment", "state"}},
    [METRIC_PROCESSES] = {"cesid_processes", METRIC_GAUGE,
                          "Processes of all nodes by environment and state.", true,
                          .labels = {"environment", "state"}},
    [METRIC_NODE_UP] = {"cesid_node_up", METRIC_GAUGE,
                        "Whether the last poll of the node succeeded; disabled nodes are left out.",
                        true, .labels = {"node", "environment"}},
    [METRIC_PROCESS_STATE] = {"cesid_process_state", METRIC_GAUGE,
                              "The process's state as supervisord numbers it: 0 STOPPED, "
                              "10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, 100 EXITED, "
                              "200 FATAL, 1000 UNKNOWN.",
                              true, .labels = {"node", "group", "name"}},
    [METRIC_PROCESS_START_TIME] = {"cesid_process_start_time_seconds", METRIC_GAUGE,
                                   "When the process last started, in seconds since 1970 by its "
                                   "node's clock.",
                                   true, .labels = {"node", "group", "name"}},
    [METRIC_TRUNCATED] = {"cesid_metrics_truncated", METRIC_GAUGE,
                          "Whether series of processes were left out for metrics.max_series.",
                          true},
    [METRIC_REFRESH_DURATION] = {"cesid_refresh_duration_seconds", METRIC_HISTOGRAM,
                                 "How long polls of nodes took.", BOUNDS(fast), .unit = SECONDS},
    [METRIC_REFRESH] = {"cesid_refresh_total", METRIC_COUNTER, "Polls of nodes by their end.",
                        .labels = {"result"},
                        .values = {"ok|node_unreachable|node_timeout|node_unauthorized|"
                                   "node_protocol|node_circuit_open|cancelled"}},
    [METRIC_REFRESH_LAG] = {"cesid_refresh_lag_seconds", METRIC_GAUGE,
                            "How late the most overdue node is.", true},
    [METRIC_CONNECTIONS] = {"cesid_connections", METRIC_GAUGE,
                            "Permits for polls of nodes: background refresh, and polls that "
                            "somebody waits for.",
                            true, .labels = {"pool", "state"}},
    [METRIC_RPC_CALLS] = {"cesid_rpc_calls", METRIC_GAUGE, "Calls to nodes under way.", true},
    [METRIC_BREAKER_STATE] = {"cesid_breaker_state", METRIC_GAUGE,
                              "The node's circuit breaker: 0 closed, 1 half open, 2 open.", true,
                              .labels = {"node"}},
    [METRIC_BREAKER_TRANSITIONS] = {"cesid_breaker_transitions_total", METRIC_COUNTER,
                                    "Changes of circuit breakers by their new state.",
                                    .labels = {"to"}, .values = {"closed|half_open|open"}},
    [METRIC_OPERATIONS] = {"cesid_operations_total", METRIC_COUNTER, "Operations by their end.",
                           .labels = {"action", "result"},
                           .values = {ACTIONS, "ok|failed|cancelled|interrupted"}},
    [METRIC_OPERATION_DURATION] = {"cesid_operation_duration_seconds", METRIC_HISTOGRAM,
                                   "How long operations took.", .labels = {"action"},
                                   .values = {ACTIONS}, BOUNDS(slow), .unit = SECONDS},
    [METRIC_OPERATIONS_RUNNING] = {"cesid_operations_running", METRIC_GAUGE,
                                   "Operations under way.", true},
    [METRIC_HTTP_REQUESTS] = {"cesid_http_requests_total", METRIC_COUNTER,
                              "Requests by route, method and status.",
                              .labels = {"route", "method", "status"}, .series_max = 2048},
    [METRIC_HTTP_DURATION] = {"cesid_http_request_duration_seconds", METRIC_HISTOGRAM,
                              "How long requests took, streams to their end.", .labels = {"route"},
                              BOUNDS(http), .unit = SECONDS},
    [METRIC_HTTP_CONNECTIONS] = {"cesid_http_connections", METRIC_GAUGE,
                                 "Connections of clients: open, serving a request, streaming.",
                                 true, .labels = {"state"}},
    [METRIC_WS_CLIENTS] = {"cesid_ws_clients", METRIC_GAUGE,
                           "Clients that receive messages, Server-Sent Events and followed logs "
                           "included.",
                           true},
    [METRIC_WS_MESSAGES] = {"cesid_ws_messages_total", METRIC_COUNTER,
                            "Messages to clients by type.", .labels = {"type"},
                            .values = {"hello|snapshot|node|node_removed|process|operation|log|"
                                       "activity|resync|error|pong|bye"}},
    [METRIC_WS_DROPPED] = {"cesid_ws_dropped_total", METRIC_COUNTER,
                           "Messages that clients did not get: their queue was full, a log ran "
                           "ahead of its reader, the bus was full.",
                           .labels = {"reason"}, .values = {"queue_full|log_behind|bus_full"}},
    [METRIC_WS_QUEUE_DEPTH] = {"cesid_ws_queue_depth", METRIC_HISTOGRAM,
                               "Length of a client's queue as a message was put into it.",
                               BOUNDS(depth), .unit = 1},
    [METRIC_BUS_LENGTH] = {"cesid_bus_length", METRIC_GAUGE, "Events in the bus's queue.", true},
    [METRIC_BUS_EVENTS] = {"cesid_bus_events_total", METRIC_COUNTER,
                           "Events by what the bus did with them.", true, .labels = {"result"}},
    [METRIC_STORE_OPERATIONS] = {"cesid_store_operations_total", METRIC_COUNTER,
                                 "Statements by their end; \"transaction\" is a whole one.",
                                 .labels = {"statement", "result"},
                                 .values = {"ping|transaction", "ok"}, .series_max = 512},
    [METRIC_STORE_DURATION] = {"cesid_store_duration_seconds", METRIC_HISTOGRAM,
                               "How long statements took, waiting for a connection included.",
                               .labels = {"statement"}, .values = {"ping|transaction"},
                               BOUNDS(store), .unit = SECONDS},
    [METRIC_STORE_POOL] = {"cesid_store_pool", METRIC_GAUGE,
                           "Connections to the store: taken, free; and callers waiting for one.",
                           true, .labels = {"state"}},
    [METRIC_STORE_UP] = {"cesid_store_up", METRIC_GAUGE, "Whether the store answers.", true},
    [METRIC_AUTH] = {"cesid_auth_total", METRIC_COUNTER,
                     "Authentications, sign-ins and checks of credentials, by their end.",
                     .labels = {"result"},
                     .values = {"ok|unauthenticated|invalid_credentials|session_expired|"
                                "locked_out|rate_limited"}},
    [METRIC_LOCK_WAIT] = {"cesid_lock_wait_seconds", METRIC_HISTOGRAM,
                          "How long contended locks were waited for.", true, .labels = {"lock"},
                          BOUNDS(waits)},
    [METRIC_LOG_MESSAGES] = {"cesid_log_messages_total", METRIC_COUNTER, "Lines of the log.", true,
                             .labels = {"level"}},
    [METRIC_CONFIG_RELOADS] = {"cesid_config_reloads_total", METRIC_COUNTER,
                               "Reloads of the configuration by their end.", .labels = {"result"},
                               .values = {"ok|refused"}},
};

const struct metric_info *metrics_info(enum metric metric)
{
    CHECK((size_t) metric < METRICS);
    return &families[metric];
}
