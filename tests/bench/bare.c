/*
 * What stands in for counting and logging in build/bench/cesid-bare, the server without insight
 * that tests/bench/requests.mjs compares with. The linker puts these in place of calls from other
 * files
 * (--wrap); what the rooms themselves do is the same.
 */
#include <stdarg.h>
#include <stddef.h>

#include "cesid/log.h"
#include "cesid/metrics.h"

void __wrap_log_write(enum log_level level, const char *subsystem, const char *message, ...);
bool __wrap_log_enabled(enum log_level level, const char *subsystem);
struct metric_series *__wrap_metrics_series(enum metric metric, const char *const *values);
void __wrap_metrics_series_add(struct metric_series *series, uint64_t amount);
void __wrap_metrics_series_observe(struct metric_series *series, double value);

void __wrap_log_write(enum log_level level, const char *subsystem, const char *message, ...)
{
    (void) level;
    (void) subsystem;
    (void) message;
}

bool __wrap_log_enabled(enum log_level level, const char *subsystem)
{
    (void) level;
    (void) subsystem;
    return false;
}

struct metric_series *__wrap_metrics_series(enum metric metric, const char *const *values)
{
    (void) metric;
    (void) values;
    return NULL;
}

void __wrap_metrics_series_add(struct metric_series *series, uint64_t amount)
{
    (void) series;
    (void) amount;
}

void __wrap_metrics_series_observe(struct metric_series *series, double value)
{
    (void) series;
    (void) value;
}
