/*
 * Metrics: what counting does, and the page that a scraper reads.
 */
#include "unit.h"

#include <math.h>

#include "cesid/lock.h"
#include "cesid/metrics.h"
#include "cesid/thread.h"

static void collect_nothing(struct metrics_page *page, enum metric metric, void *argument)
{
    (void) page;
    (void) metric;
    (void) argument;
}

static struct strbuf page_of(void (*collect)(struct metrics_page *, enum metric, void *))
{
    struct strbuf out;

    strbuf_init(&out, 1 << 22);
    metrics_render(&out, collect, NULL);
    assert_false(strbuf_failed(&out));
    return out;
}

static void assert_line(const struct strbuf *page, const char *line)
{
    size_t length = strlen(line);

    for (const char *at = page->data; (at = strstr(at, line)) != NULL; at++)
        if ((at == page->data || at[-1] == '\n') && at[length] == '\n')
            return;
    fail_msg("no line '%s' in:\n%s", line, page->data);
}

static void every_family_is_there_from_the_start(void **state)
{
    (void) state;
    struct strbuf page = page_of(collect_nothing);

    for (enum metric metric = 0; metric < METRICS; metric++) {
        const struct metric_info *family = metrics_info(metric);
        char line[512];

        assert_non_null(family->name);
        snprintf(line, sizeof(line), "# HELP %s %s", family->name, family->help);
        assert_line(&page, line);
        assert_null(strpbrk(family->help, "\\\n"));
        snprintf(line, sizeof(line), "# TYPE %s %s", family->name,
                 family->type == METRIC_COUNTER ? "counter"
                 : family->type == METRIC_GAUGE ? "gauge"
                                                : "histogram");
        assert_line(&page, line);
        assert_int_equal(family->type == METRIC_HISTOGRAM, family->bounds != NULL);
        assert_true(family->collected || family->type != METRIC_GAUGE);
        if (family->bounds != NULL && !family->collected)
            assert_true(family->unit > 0);
        for (size_t i = 1; i < family->bounds_count; i++)
            assert_true(family->bounds[i - 1] < family->bounds[i]);
    }
    assert_line(&page, "cesid_config_reloads_total{result=\"ok\"} 0");
    assert_line(&page, "cesid_config_reloads_total{result=\"refused\"} 0");
    assert_line(&page, "cesid_operations_total{action=\"stdin\",result=\"interrupted\"} 0");
    assert_line(&page, "cesid_refresh_duration_seconds_bucket{le=\"+Inf\"} 0");
    assert_line(&page, "cesid_refresh_duration_seconds_sum 0");
    assert_line(&page, "cesid_refresh_duration_seconds_count 0");
    strbuf_destroy(&page);
}

static void counters_count(void **state)
{
    (void) state;
    metrics_count(METRIC_AUTH, "ok");
    metrics_add(METRIC_AUTH, 41, "ok");
    metrics_count(METRIC_HTTP_REQUESTS, "/api/v1/nodes/{node}", "GET", "200");
    assert_int_equal(metrics_value(METRIC_AUTH, metrics_values("ok")), 42);
    assert_int_equal(metrics_value(METRIC_AUTH, metrics_values("locked_out")), 0);
    /* A kept series is the one that its values find. */
    assert_ptr_equal(metrics_series(METRIC_AUTH, metrics_values("ok")),
                     metrics_series(METRIC_AUTH, metrics_values("ok")));

    struct strbuf page = page_of(collect_nothing);
    assert_line(&page, "cesid_auth_total{result=\"ok\"} 42");
    assert_line(&page, "cesid_http_requests_total{route=\"/api/v1/nodes/{node}\",method=\"GET\","
                       "status=\"200\"} 1");
    strbuf_destroy(&page);
}

static void histograms_cumulate(void **state)
{
    (void) state;
    metrics_observe(METRIC_STORE_DURATION, 0.0001, "edges"); /* a bound belongs to its bucket */
    metrics_observe(METRIC_STORE_DURATION, 0.0002, "edges");
    metrics_observe(METRIC_STORE_DURATION, 0.03, "edges");
    metrics_observe(METRIC_STORE_DURATION, 1000, "edges");
    metrics_observe(METRIC_STORE_DURATION, -1, "edges"); /* counts, and takes nothing off the sum */
    assert_int_equal(metrics_value(METRIC_STORE_DURATION, metrics_values("edges")), 5);

    struct strbuf page = page_of(collect_nothing);
    assert_line(&page, "cesid_store_duration_seconds_bucket{statement=\"edges\",le=\"0.0001\"} 2");
    assert_line(&page, "cesid_store_duration_seconds_bucket{statement=\"edges\",le=\"0.0005\"} 3");
    assert_line(&page, "cesid_store_duration_seconds_bucket{statement=\"edges\",le=\"0.01\"} 3");
    assert_line(&page, "cesid_store_duration_seconds_bucket{statement=\"edges\",le=\"0.05\"} 4");
    assert_line(&page, "cesid_store_duration_seconds_bucket{statement=\"edges\",le=\"5\"} 4");
    assert_line(&page, "cesid_store_duration_seconds_bucket{statement=\"edges\",le=\"+Inf\"} 5");
    assert_line(&page, "cesid_store_duration_seconds_sum{statement=\"edges\"} 1000.0303");
    assert_line(&page, "cesid_store_duration_seconds_count{statement=\"edges\"} 5");
    strbuf_destroy(&page);
}

static void numbers_have_no_unit(void **state)
{
    (void) state;
    metrics_observe(METRIC_WS_QUEUE_DEPTH, 3, NULL);
    metrics_observe(METRIC_WS_QUEUE_DEPTH, 4, NULL);
    struct strbuf page = page_of(collect_nothing);
    assert_line(&page, "cesid_ws_queue_depth_bucket{le=\"2\"} 0");
    assert_line(&page, "cesid_ws_queue_depth_bucket{le=\"4\"} 2");
    assert_line(&page, "cesid_ws_queue_depth_sum 7");
    strbuf_destroy(&page);
}

static void collect_some(struct metrics_page *page, enum metric metric, void *argument)
{
    static const uint64_t waits[LOCK_WAIT_BUCKETS] = {1, 0, 2, 0, 0, 0, 4};
    (void) argument;
    if (metric == METRIC_NODE_UP) {
        metrics_sample(page, 1, metrics_values("a\\b\"c\nd", "x{y=\"z\"}"));
        metrics_sample(page, 0, metrics_values("gr\xc3\xbc\xc3\x9f", NULL));
    } else if (metric == METRIC_REFRESH_LAG) {
        metrics_sample(page, 0.25, NULL);
    } else if (metric == METRIC_RESIDENT_BYTES) {
        metrics_sample(page, 123456789012.0, NULL);
    } else if (metric == METRIC_LOCK_WAIT) {
        metrics_sample_histogram(page, waits, 7.5, metrics_values("node"));
    } else if (metric == METRIC_BUS_LENGTH) {
        metrics_sample(page, (double) INFINITY, NULL);
    }
}

static void label_values_are_escaped(void **state)
{
    (void) state;
    struct strbuf page = page_of(collect_some);
    assert_line(&page, "cesid_node_up{node=\"a\\\\b\\\"c\\nd\",environment=\"x{y=\\\"z\\\"}\"} 1");
    assert_line(&page, "cesid_node_up{node=\"gr\xc3\xbc\xc3\x9f\",environment=\"\"} 0");
    strbuf_destroy(&page);
}

static void collected_samples_stand_below_their_family(void **state)
{
    (void) state;
    struct strbuf page = page_of(collect_some);
    const char *type = strstr(page.data, "# TYPE cesid_refresh_lag_seconds gauge\n");
    assert_non_null(type);
    type = strchr(type, '\n') + 1;
    assert_int_equal(strncmp(type, "cesid_refresh_lag_seconds 0.25\n# HELP", 36), 0);
    assert_line(&page, "cesid_resident_bytes 123456789012");
    assert_line(&page, "cesid_bus_length +Inf");
    assert_line(&page, "cesid_lock_wait_seconds_bucket{lock=\"node\",le=\"1e-05\"} 1");
    assert_line(&page, "cesid_lock_wait_seconds_bucket{lock=\"node\",le=\"0.001\"} 3");
    assert_line(&page, "cesid_lock_wait_seconds_bucket{lock=\"node\",le=\"+Inf\"} 7");
    assert_line(&page, "cesid_lock_wait_seconds_sum{lock=\"node\"} 7.5");
    assert_line(&page, "cesid_lock_wait_seconds_count{lock=\"node\"} 7");
    strbuf_destroy(&page);
}

static void a_family_has_a_bounded_number_of_series(void **state)
{
    (void) state;
    char name[32];
    uint64_t all = 0;
    for (int i = 0; i < 3 * METRIC_SERIES_MAX; i++) {
        snprintf(name, sizeof(name), "reason_%d", i);
        metrics_count(METRIC_WS_DROPPED, name);
    }
    for (int i = 0; i < METRIC_SERIES_MAX; i++) {
        snprintf(name, sizeof(name), "reason_%d", i);
        if (metrics_series(METRIC_WS_DROPPED, metrics_values(name)) ==
            metrics_series(METRIC_WS_DROPPED, metrics_values("other")))
            break;
        all += metrics_value(METRIC_WS_DROPPED, metrics_values(name));
    }
    all += metrics_value(METRIC_WS_DROPPED, metrics_values("other"));
    assert_int_equal(all, 3 * METRIC_SERIES_MAX);
    assert_true(metrics_value(METRIC_WS_DROPPED, metrics_values("other")) >= METRIC_SERIES_MAX);
    /* Its neighbours have room. */
    metrics_count(METRIC_WS_MESSAGES, "node");
    assert_int_equal(metrics_value(METRIC_WS_MESSAGES, metrics_values("node")), 1);
}

#define COUNTERS 4
#define ROUNDS   20000

static void count_much(void *argument)
{
    static const char *const statements[] = {"one", "two", "three"};
    char route[32];
    snprintf(route, sizeof(route), "/thread/%d", *(int *) argument);
    for (int i = 0; i < ROUNDS; i++) {
        metrics_count(METRIC_STORE_OPERATIONS, statements[i % 3], i % 2 ? "ok" : "late");
        metrics_observe(METRIC_HTTP_DURATION, 0.001 * (i % 10), route);
        metrics_count(METRIC_REFRESH, "ok");
    }
}

static void threads_count_while_pages_are_made(void **state)
{
    (void) state;
    struct thread threads[COUNTERS] = {{0}};
    int numbers[COUNTERS];
    uint64_t before = metrics_value(METRIC_REFRESH, metrics_values("ok")), operations = 0;
    for (int i = 0; i < COUNTERS; i++) {
        numbers[i] = i;
        assert_int_equal(thread_start(&threads[i], "test", "count", count_much, &numbers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        struct strbuf page = page_of(collect_nothing);
        strbuf_destroy(&page);
    }
    for (int i = 0; i < COUNTERS; i++)
        thread_join(&threads[i]);
    assert_int_equal(metrics_value(METRIC_REFRESH, metrics_values("ok")) - before,
                     COUNTERS * ROUNDS);
    static const char *const statements[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++)
        operations += metrics_value(METRIC_STORE_OPERATIONS, metrics_values(statements[i], "ok")) +
                      metrics_value(METRIC_STORE_OPERATIONS, metrics_values(statements[i], "late"));
    assert_int_equal(operations, COUNTERS * ROUNDS);
    assert_int_equal(metrics_value(METRIC_HTTP_DURATION, metrics_values("/thread/3")), ROUNDS);
}

static void collected_families_are_not_counted(void)
{
    metrics_count(METRIC_OPEN_FDS, NULL);
}

static void counting_what_is_collected_aborts(void **state)
{
    (void) state;
    assert_aborts(collected_families_are_not_counted, "!family->collected");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("every family is on the page from the start", every_family_is_there_from_the_start),
        NAMED("counters count", counters_count),
        NAMED("R10.3 histograms cumulate, their sum and count agree", histograms_cumulate),
        NAMED("histograms of numbers have no unit", numbers_have_no_unit),
        NAMED("label values are escaped", label_values_are_escaped),
        NAMED("collected samples stand below their family",
              collected_samples_stand_below_their_family),
        NAMED("a family has a bounded number of series", a_family_has_a_bounded_number_of_series),
        NAMED("threads count while pages are made, and nothing is lost",
              threads_count_while_pages_are_made),
        NAMED("counting what is collected is a mistake of ours", counting_what_is_collected_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
