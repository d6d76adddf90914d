/*
 * Time. Monotonic nanoseconds for every wait and duration, wall milliseconds for what is shown.
 * Both come through one source that a test can replace. Any thread.
 */
#ifndef CESID_CLOCK_H
#define CESID_CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND       INT64_C(1000000000)
#define CLOCK_NEVER        INT64_MAX
#define CLOCK_RFC3339_SIZE 25 /* "2026-01-02T03:04:05.678Z" and its NUL */

struct clock_source {
    int64_t (*monotonic)(void); /* nanoseconds */
    int64_t (*wall)(void);      /* milliseconds since 1970 */
};

int64_t clock_now(void);                     /* monotonic, nanoseconds */
int64_t clock_wall(void);                    /* milliseconds since 1970 */
int64_t clock_after(double seconds);         /* clock_now() + seconds, saturating at CLOCK_NEVER */
double clock_seconds_since(int64_t earlier); /* of clock_now(); never negative */

/* RFC 3339 UTC with milliseconds; years outside 0000 to 9999 are clamped. */
void clock_rfc3339(char out[CLOCK_RFC3339_SIZE], int64_t wall_ms);

/* For tests, before any thread: NULL puts the real clock back. The source must outlive its use. */
void clock_set_source(const struct clock_source *source);

#endif
