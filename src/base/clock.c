/*
 * The clocks. Any thread; the source is replaced by tests only, before threads start.
 */
#include "cesid/clock.h"

#include <stdio.h>
#include <time.h>

#include "cesid/check.h"

static int64_t real_monotonic(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t) now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

static int64_t real_wall(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const struct clock_source real_source = {real_monotonic, real_wall};
static const struct clock_source *source = &real_source;

void clock_set_source(const struct clock_source *replacement)
{
    source = replacement != NULL ? replacement : &real_source;
}

int64_t clock_now(void)
{
    return source->monotonic();
}

int64_t clock_wall(void)
{
    return source->wall();
}

int64_t clock_after(double seconds)
{
    int64_t now = clock_now();
    double room = (double) (CLOCK_NEVER - now) / (double) CLOCK_SECOND;

    if (!(seconds > 0))
        return now;
    if (seconds >= room - 1)
        return CLOCK_NEVER;
    return now + (int64_t) (seconds * (double) CLOCK_SECOND);
}

double clock_seconds_since(int64_t earlier)
{
    int64_t now = clock_now();

    return now <= earlier ? 0.0 : (double) (now - earlier) / (double) CLOCK_SECOND;
}

void clock_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms)
{
    static const int64_t first = INT64_C(-62167219200000), last = INT64_C(253402300799999);
    time_t seconds;
    int milliseconds;
    struct tm parts;

    wall_ms = wall_ms < first ? first : wall_ms > last ? last : wall_ms;
    milliseconds = (int) (((wall_ms % 1000) + 1000) % 1000);
    seconds = (time_t) ((wall_ms - milliseconds) / 1000);
    CHECK(gmtime_r(&seconds, &parts) != NULL);
    /* The remainders say to the compiler what the clamp guarantees. */
    snprintf(out, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
             (unsigned) (parts.tm_year + 1900) % 10000, (unsigned) (parts.tm_mon + 1) % 100,
             (unsigned) parts.tm_mday % 100, (unsigned) parts.tm_hour % 100,
             (unsigned) parts.tm_min % 100, (unsigned) parts.tm_sec % 100,
             (unsigned) milliseconds % 1000);
}
