/*
 * Metrics: one table of families, known at compile time, and what is counted for them. Like the log
 * process-wide, so that a room counts with one line and no handle. Any thread, under any lock.
 *
 *     metrics_count(METRIC_AUTH, error_code(error));
 *     metrics_observe(METRIC_STORE_DURATION, seconds, statement->name);
 *
 * A family is either counted here (counters, histograms) or collected when somebody looks (gauges,
 * and what other rooms count already). Counting finds the series of its label values in a hash
 * without a lock and adds with one atomic; who counts often may keep the series. Series are never
 * freed. A family has a bounded number of them: beyond it, all label values read "other". So label
 * values must be words of the program, never something that a peer sent.
 *
 * Lock: LOCK_METRICS, for the first sight of a series only.
 */
#ifndef CESID_METRICS_H
#define CESID_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"
#include "cesid/strbuf.h"

enum metric {
    METRIC_BUILD_INFO,
    METRIC_START_TIME,
    METRIC_THREADS,
    METRIC_OPEN_FDS,
    METRIC_RESIDENT_BYTES,
    METRIC_NODES,
    METRIC_PROCESSES,
    METRIC_NODE_UP,
    METRIC_PROCESS_STATE,
    METRIC_PROCESS_START_TIME,
    METRIC_TRUNCATED,
    METRIC_REFRESH_DURATION,
    METRIC_REFRESH,
    METRIC_REFRESH_LAG,
    METRIC_CONNECTIONS,
    METRIC_RPC_CALLS,
    METRIC_BREAKER_STATE,
    METRIC_BREAKER_TRANSITIONS,
    METRIC_OPERATIONS,
    METRIC_OPERATION_DURATION,
    METRIC_OPERATIONS_RUNNING,
    METRIC_HTTP_REQUESTS,
    METRIC_HTTP_DURATION,
    METRIC_HTTP_CONNECTIONS,
    METRIC_WS_CLIENTS,
    METRIC_WS_MESSAGES,
    METRIC_WS_DROPPED,
    METRIC_WS_QUEUE_DEPTH,
    METRIC_BUS_LENGTH,
    METRIC_BUS_EVENTS,
    METRIC_STORE_OPERATIONS,
    METRIC_STORE_DURATION,
    METRIC_STORE_POOL,
    METRIC_STORE_UP,
    METRIC_AUTH,
    METRIC_LOCK_WAIT,
    METRIC_LOG_MESSAGES,
    METRIC_CONFIG_RELOADS,
    METRICS
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

#define METRIC_LABELS_MAX  3
#define METRIC_BUCKETS_MAX 16

struct metric_info {
    const char *name; /* "cesid_…" */
    const char *help;
    const char *labels[METRIC_LABELS_MAX]; /* NULL behind the last */
    /* "a|b|c": the values that are there at zero from the start. When every label has some, so do
     * the series: all combinations. */
    const char *values[METRIC_LABELS_MAX];
    size_t series_max; /* of a counted family; 0: METRIC_SERIES_MAX */
    /* of a histogram; the last bucket, without a bound, goes without saying */
    const double *bounds;
    size_t bounds_count;
    double unit; /* what a sum is counted in: 1e-9 for seconds, 1 for numbers */
    enum metric_type type;
    bool collected; /* not counted here: samples come from the collector */
};
#define METRIC_SERIES_MAX 256

const struct metric_info *metrics_info(enum metric metric);

/* ---- counting ---- */

struct metric_series;

/* As many values as the family has labels; NULL reads "". Never NULL. */
struct metric_series *metrics_series(enum metric metric, const char *const *values);
void metrics_series_add(struct metric_series *series, uint64_t amount);
void metrics_series_observe(struct metric_series *series, double value);

#define metrics_values(...) ((const char *const[METRIC_LABELS_MAX]){__VA_ARGS__})
#define metrics_add(m, amount, ...)                                                                \
    metrics_series_add(metrics_series((m), metrics_values(__VA_ARGS__)), (amount))
#define metrics_count(m, ...) metrics_add((m), 1, __VA_ARGS__)
/* Without labels: NULL. */
#define metrics_observe(m, value, ...)                                                             \
    metrics_series_observe(metrics_series((m), metrics_values(__VA_ARGS__)), (value))

/* ---- showing ---- */

/* A page in Prometheus' text format 0.0.4, under way. */
struct metrics_page {
    struct strbuf *out;
    enum metric metric; /* the family whose samples come now */
};

/* Writes every family; collect is asked for the samples of those that are not counted here. */
void metrics_render(struct strbuf *out,
                    void (*collect)(struct metrics_page *page, enum metric metric, void *argument),
                    void *argument);

/* For collect: one sample of the family that it was asked for; values as in metrics_series. */
void metrics_sample(struct metrics_page *page, double value, const char *const *values);
/* One histogram: counts of each bucket (not cumulative), the last without a bound. */
void metrics_sample_histogram(struct metrics_page *page, const uint64_t *buckets, double sum,
                              const char *const *values);

/* What was counted so far (of a histogram: how often), for tests and for health. */
uint64_t metrics_value(enum metric metric, const char *const *values);

#endif
