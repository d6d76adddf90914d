/*
 * Metrics: series and the page. See metrics.h; the families are in metrics_table.c.
 *
 * All series are in one hash of atomic pointers, open addressing, never shrinking: looking up needs
 * no lock. A new series is made under LOCK_METRICS and linked into its family's list, sorted by
 * label values, by a release store, so that a page may walk the list while series come.
 *
 * A page reads each number once. Its buckets are summed from what was read, so that a histogram is
 * always consistent in itself; its sum may already know of an observation that the count does not.
 */
#include "cesid/metrics.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cesid/lock.h"
#include "cesid/memory.h"

#define SLOTS      16384 /* a power of two, far more than there are series in all families */
#define SERIES_ALL 12288

struct metric_series {
    /* immutable */
    const struct metric_info *family;
    enum metric metric;
    uint32_t hash;
    char *values[METRIC_LABELS_MAX];
    /* atomic */
    _Atomic(struct metric_series *) next; /* of the family, by label values */
    atomic_uint_fast64_t value;           /* of a counter; of a histogram the sum, in its unit */
    atomic_uint_fast64_t buckets[];       /* of a histogram: bounds_count + 1 */
};

static struct lock table_lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_METRICS};
/* written under table_lock, read by anybody */
static _Atomic(struct metric_series *) slots[SLOTS];
static _Atomic(struct metric_series *) lists[METRICS];
static atomic_size_t counts[METRICS];
static atomic_size_t series_count;
static atomic_bool prepared;

/* ---- series ---- */

static size_t labels_count(const struct metric_info *family)
{
    size_t count = 0;

    while (count < METRIC_LABELS_MAX && family->labels[count] != NULL)
        count++;
    return count;
}

static const char *text_of(const char *value)
{
    return value != NULL ? value : "";
}

static uint32_t hash_of(enum metric metric, const char *const *values, size_t count)
{
    uint32_t hash = UINT32_C(2166136261) ^ (uint32_t) metric;

    for (size_t i = 0; i < count; i++) {
        const char *at = text_of(values[i]);

        do
            hash = (hash ^ (unsigned char) *at) * UINT32_C(16777619);
        while (*at++ != '\0');
    }
    return hash ^ hash >> 15;
}

static int compare(const struct metric_series *series, const char *const *values, size_t count)
{
    int order = 0;

    for (size_t i = 0; i < count && order == 0; i++)
        order = strcmp(series->values[i], text_of(values[i]));
    return order;
}

/* The series, or NULL with *slot the place where it would go. */
static struct metric_series *find(enum metric metric, uint32_t hash, const char *const *values,
                                  size_t count, size_t *slot)
{
    struct metric_series *series;

    for (*slot = hash % SLOTS;; *slot = (*slot + 1) % SLOTS) {
        series = atomic_load_explicit(&slots[*slot], memory_order_acquire);
        if (series == NULL || (series->hash == hash && series->metric == metric &&
                               compare(series, values, count) == 0))
            return series;
    }
}

static void link_locked(struct metric_series *series)
{
    _Atomic(struct metric_series *) *place = &lists[series->metric];
    struct metric_series *next;
    size_t count = labels_count(series->family);

    lock_assert_held(&table_lock);
    while ((next = atomic_load_explicit(place, memory_order_relaxed)) != NULL &&
           compare(next, (const char *const *) series->values, count) < 0)
        place = &next->next;
    atomic_store_explicit(&series->next, next, memory_order_relaxed);
    atomic_store_explicit(place, series, memory_order_release);
}

static struct metric_series *insert_locked(enum metric metric, uint32_t hash,
                                           const char *const *values, size_t slot)
{
    const struct metric_info *family = metrics_info(metric);
    size_t labels = labels_count(family);
    size_t buckets = family->type == METRIC_HISTOGRAM ? family->bounds_count + 1 : 0;
    struct metric_series *series =
        mem_alloc(sizeof(*series) + buckets * sizeof(series->buckets[0]));

    lock_assert_held(&table_lock);
    CHECK(labels <= METRIC_LABELS_MAX);
    series->family = family;
    series->metric = metric;
    series->hash = hash;
    for (size_t i = 0; i < labels; i++)
        series->values[i] = mem_string(text_of(values[i]));
    link_locked(series);
    atomic_store_explicit(&slots[slot], series, memory_order_release);
    atomic_fetch_add(&counts[metric], 1);
    atomic_fetch_add(&series_count, 1);
    return series;
}

static bool is_full(enum metric metric)
{
    size_t most = metrics_info(metric)->series_max;

    return atomic_load_explicit(&counts[metric], memory_order_relaxed) >=
               (most > 0 ? most : METRIC_SERIES_MAX) ||
           atomic_load_explicit(&series_count, memory_order_relaxed) >= SERIES_ALL;
}

struct metric_series *metrics_series(enum metric metric, const char *const *values)
{
    static const char *const other[METRIC_LABELS_MAX] = {"other", "other", "other"};
    const struct metric_info *family = metrics_info(metric);
    size_t slot, count = labels_count(family);
    uint32_t hash = hash_of(metric, values, count);
    struct metric_series *series = find(metric, hash, values, count, &slot);

    CHECK(!family->collected);
    if (series != NULL)
        return series;
    if (is_full(metric)) {
        values = other;
        hash = hash_of(metric, values, count);
        series = find(metric, hash, values, count, &slot);
        if (series != NULL)
            return series;
    }
    lock_acquire(&table_lock);
    series = find(metric, hash, values, count, &slot);
    if (series == NULL)
        series = insert_locked(metric, hash, values, slot);
    lock_release(&table_lock);
    return series;
}

void metrics_series_add(struct metric_series *series, uint64_t amount)
{
    atomic_fetch_add_explicit(&series->value, amount, memory_order_relaxed);
}

void metrics_series_observe(struct metric_series *series, double value)
{
    const struct metric_info *family = series->family;
    double units = value / family->unit;
    size_t bucket = 0;

    while (bucket < family->bounds_count && !(value <= family->bounds[bucket]))
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
    /* A clock that was set back is no reason for a sum to wrap. */
    if (units > 0 && units < 9e18)
        atomic_fetch_add_explicit(&series->value, (uint64_t) (units + 0.5), memory_order_relaxed);
}

uint64_t metrics_value(enum metric metric, const char *const *values)
{
    const struct metric_series *series = metrics_series(metric, values);
    uint64_t value = 0;

    if (series->family->type != METRIC_HISTOGRAM)
        return atomic_load_explicit(&series->value, memory_order_relaxed);
    for (size_t i = 0; i <= series->family->bounds_count; i++)
        value += atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
    return value;
}

/* ---- what is there from the start ---- */

/* The index-th word of "a|b|c"; false behind the last. */
static bool word(const char *list, size_t index, char *out, size_t size)
{
    for (; list != NULL; list = strchr(list, '|') != NULL ? strchr(list, '|') + 1 : NULL)
        if (index-- == 0) {
            (void) snprintf(out, size, "%.*s", (int) strcspn(list, "|"), list);
            return true;
        }
    return false;
}

static void prepare_family(enum metric metric, const char **values, size_t label)
{
    const struct metric_info *family = metrics_info(metric);
    char value[64];

    if (label == labels_count(family)) {
        (void) metrics_series(metric, values);
        return;
    }
    values[label] = value;
    for (size_t i = 0; word(family->values[label], i, value, sizeof(value)); i++)
        prepare_family(metric, values, label + 1);
    values[label] = NULL;
}

static void prepare(void)
{
    if (atomic_load(&prepared))
        return;
    for (enum metric metric = 0; metric < METRICS; metric++) {
        const char *values[METRIC_LABELS_MAX] = {NULL};

        if (!metrics_info(metric)->collected)
            prepare_family(metric, values, 0);
    }
    atomic_store(&prepared, true);
}

/* ---- the page ---- */

static void put_label(struct strbuf *out, bool *first, const char *name, const char *value)
{
    strbuf_putc(out, *first ? '{' : ',');
    *first = false;
    strbuf_puts(out, name);
    strbuf_puts(out, "=\"");
    for (const char *at = value; *at != '\0';) {
        size_t plain = strcspn(at, "\\\"\n");

        strbuf_add(out, at, plain);
        at += plain;
        if (*at != '\0') {
            strbuf_putc(out, '\\');
            strbuf_putc(out, *at == '\n' ? 'n' : *at);
            at++;
        }
    }
    strbuf_putc(out, '"');
}

/* bound: of a bucket, else NULL. */
static void put_name(struct strbuf *out, const struct metric_info *family, const char *suffix,
                     const char *const *values, const char *bound)
{
    bool first = true;

    strbuf_puts(out, family->name);
    strbuf_puts(out, suffix);
    for (size_t i = 0; i < labels_count(family); i++)
        put_label(out, &first, family->labels[i], text_of(values[i]));
    if (bound != NULL)
        put_label(out, &first, "le", bound);
    if (!first)
        strbuf_putc(out, '}');
    strbuf_putc(out, ' ');
}

static void put_count(struct strbuf *out, uint64_t value)
{
    strbuf_printf(out, "%llu\n", (unsigned long long) value);
}

static void put_real(struct strbuf *out, double value)
{
    if (isnan(value))
        strbuf_puts(out, "NaN\n");
    else if (isinf(value))
        strbuf_puts(out, value > 0 ? "+Inf\n" : "-Inf\n");
    else
        strbuf_printf(out, "%.15g\n", value);
}

void metrics_sample(struct metrics_page *page, double value, const char *const *values)
{
    put_name(page->out, metrics_info(page->metric), "", values, NULL);
    put_real(page->out, value);
}

void metrics_sample_histogram(struct metrics_page *page, const uint64_t *buckets, double sum,
                              const char *const *values)
{
    const struct metric_info *family = metrics_info(page->metric);
    uint64_t count = 0;
    char bound[32];

    for (size_t i = 0; i <= family->bounds_count; i++) {
        if (i < family->bounds_count)
            (void) snprintf(bound, sizeof(bound), "%g", family->bounds[i]);
        count += buckets[i];
        put_name(page->out, family, "_bucket", values, i < family->bounds_count ? bound : "+Inf");
        put_count(page->out, count);
    }
    put_name(page->out, family, "_sum", values, NULL);
    put_real(page->out, sum);
    put_name(page->out, family, "_count", values, NULL);
    put_count(page->out, count);
}

static void put_series(struct metrics_page *page, const struct metric_series *series)
{
    const struct metric_info *family = series->family;
    const char *const *values = (const char *const *) series->values;
    uint64_t value = atomic_load_explicit(&series->value, memory_order_relaxed);
    uint64_t buckets[METRIC_BUCKETS_MAX + 1] = {0};

    if (family->type != METRIC_HISTOGRAM) {
        put_name(page->out, family, "", values, NULL);
        put_count(page->out, value);
        return;
    }
    CHECK(family->bounds_count <= METRIC_BUCKETS_MAX);
    for (size_t i = 0; i <= family->bounds_count; i++)
        buckets[i] = atomic_load_explicit(&series->buckets[i], memory_order_relaxed);
    metrics_sample_histogram(page, buckets, (double) value * family->unit, values);
}

void metrics_render(struct strbuf *out,
                    void (*collect)(struct metrics_page *page, enum metric metric, void *argument),
                    void *argument)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};
    struct metrics_page page = {.out = out};

    prepare();
    for (enum metric metric = 0; metric < METRICS; metric++) {
        const struct metric_info *family = metrics_info(metric);
        const struct metric_series *series;

        page.metric = metric;
        strbuf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                      types[family->type]);
        if (family->collected) {
            collect(&page, metric, argument);
            continue;
        }
        for (series = atomic_load_explicit(&lists[metric], memory_order_acquire); series != NULL;
             series = atomic_load_explicit(&series->next, memory_order_acquire))
            put_series(&page, series);
    }
}
