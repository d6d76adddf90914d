/*
 * The clocks. Any thread; the source is replaced by tests only, before threads start.
 */
#include "cesid/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cesid/check.h"

#define HOURS_AT 11 /* in a text of RFC 3339 */
#define DAY_MS   INT64_C(86400000)

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

static void put_two(char *out, int64_t number)
{
    out[0] = (char) ('0' + number / 10);
    out[1] = (char) ('0' + number % 10);
}

void clock_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms)
{
    static const int64_t first = INT64_C(-62167219200000), last = INT64_C(253402300799999);
    /* Most calls of a thread are for the same day as the one before. */
    static _Thread_local struct {
        int64_t day;
        char text[CLOCK_RFC3339_SIZE]; /* of its beginning */
    } known;
    int64_t day, rest;

    wall_ms = wall_ms < first ? first : wall_ms > last ? last : wall_ms;
    rest = (wall_ms % DAY_MS + DAY_MS) % DAY_MS;
    day = (wall_ms - rest) / DAY_MS;
    if (known.text[0] == '\0' || known.day != day) {
        time_t seconds = (time_t) (day * (DAY_MS / 1000));
        struct tm parts;

        CHECK(gmtime_r(&seconds, &parts) != NULL);
        /* The remainders say to the compiler what the clamp guarantees. */
        snprintf(known.text, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT00:00:00.000Z",
                 (unsigned) (parts.tm_year + 1900) % 10000, (unsigned) (parts.tm_mon + 1) % 100,
                 (unsigned) parts.tm_mday % 100);
        known.day = day;
    }
    memcpy(out, known.text, CLOCK_RFC3339_SIZE);
    put_two(out + HOURS_AT, rest / 3600000);
    put_two(out + HOURS_AT + 3, rest / 60000 % 60);
    put_two(out + HOURS_AT + 6, rest / 1000 % 60);
    out[HOURS_AT + 9] = (char) ('0' + rest % 1000 / 100);
    put_two(out + HOURS_AT + 10, rest % 100);
}
