/*
 * The clocks. Any thread; the source is replaced by tests only, before threads start.
 */
#include "cesid/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cesid/check.h"

#define MILLISECONDS_AT 20 /* in a text of RFC 3339 */

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
    /* Most calls of a thread are for the same second as the one before. */
    static _Thread_local struct {
        int64_t second;
        char text[CLOCK_RFC3339_SIZE]; /* with milliseconds 000 */
    } known;
    int64_t second;
    unsigned milliseconds;

    wall_ms = wall_ms < first ? first : wall_ms > last ? last : wall_ms;
    milliseconds = (unsigned) (((wall_ms % 1000) + 1000) % 1000);
    second = (wall_ms - (int64_t) milliseconds) / 1000;
    if (known.text[0] == '\0' || known.second != second) {
        time_t seconds = (time_t) second;
        struct tm parts;

        CHECK(gmtime_r(&seconds, &parts) != NULL);
        /* The remainders say to the compiler what the clamp guarantees. */
        snprintf(known.text, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.000Z",
                 (unsigned) (parts.tm_year + 1900) % 10000, (unsigned) (parts.tm_mon + 1) % 100,
                 (unsigned) parts.tm_mday % 100, (unsigned) parts.tm_hour % 100,
                 (unsigned) parts.tm_min % 100, (unsigned) parts.tm_sec % 100);
        known.second = second;
    }
    memcpy(out, known.text, CLOCK_RFC3339_SIZE);
    out[MILLISECONDS_AT] = (char) ('0' + milliseconds / 100);
    out[MILLISECONDS_AT + 1] = (char) ('0' + milliseconds / 10 % 10);
    out[MILLISECONDS_AT + 2] = (char) ('0' + milliseconds % 10);
}
