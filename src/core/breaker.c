/*
 * See breaker.h. Pure, no lock: the owner guards it. Its owner asks breaker_allow before a call and
 * reports how the call ended; calls that were already out when the state changed report late, and
 * their news is taken for what it is: a success proves that the node answers, a failure while open
 * teaches nothing new.
 */
#include "cesid/breaker.h"

#include <limits.h>

#include "cesid/check.h"
#include "cesid/clock.h"

void breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
}

bool breaker_allow(struct breaker *breaker, int64_t now)
{
    switch (breaker->state) {
    case BREAKER_CLOSED:
        return true;
    case BREAKER_OPEN:
        if (now < breaker->retry_at)
            return false;
        breaker->state = BREAKER_HALF_OPEN;
        breaker->probing = true;
        return true;
    case BREAKER_HALF_OPEN:
    default:
        if (breaker->probing)
            return false;
        breaker->probing = true;
        return true;
    }
}

bool breaker_success(struct breaker *breaker)
{
    bool changed = breaker->state != BREAKER_CLOSED;
    breaker_init(breaker);
    return changed;
}

/* How long to stay open, in seconds. Jitter moves it by up to a quarter to either side, so that
 * nodes which failed together are not probed together, but never beyond the two bounds. */
static double open_time(const struct breaker_settings *settings, int openings, double jitter)
{
    double low = settings->open_min > 0 ? settings->open_min : 0;
    double high = settings->open_max > low ? settings->open_max : low;
    double middle = low;
    for (int i = 1; i < openings && middle < high; i++)
        middle *= 2;
    if (!(middle < high))
        middle = high;
    if (!(jitter > 0))
        jitter = 0;
    if (jitter > 1)
        jitter = 1;
    double from = middle * 0.75 > low ? middle * 0.75 : low;
    double to = middle * 1.25 < high ? middle * 1.25 : high;
    return from + (to - from) * jitter;
}

static void open_again(struct breaker *breaker, const struct breaker_settings *settings,
                       int64_t now, double jitter)
{
    if (breaker->openings < INT_MAX)
        breaker->openings++;
    breaker->state = BREAKER_OPEN;
    breaker->probing = false;
    double wait = open_time(settings, breaker->openings, jitter) * (double) CLOCK_SECOND;
    if (!(wait < (double) INT64_MAX / 2) ||
        __builtin_add_overflow(now, (int64_t) wait, &breaker->retry_at))
        breaker->retry_at = CLOCK_NEVER;
}

bool breaker_failure(struct breaker *breaker, const struct breaker_settings *settings, int64_t now,
                     double jitter)
{
    if (breaker->failures < INT_MAX)
        breaker->failures++;
    switch (breaker->state) {
    case BREAKER_CLOSED:
        if (breaker->failures < settings->failures)
            return false;
        open_again(breaker, settings, now, jitter);
        return true;
    case BREAKER_HALF_OPEN:
        open_again(breaker, settings, now, jitter);
        return true;
    case BREAKER_OPEN:
    default:
        return false;
    }
}

void breaker_abandon(struct breaker *breaker)
{
    if (breaker->state == BREAKER_HALF_OPEN)
        breaker->probing = false;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half_open"};
    CHECK((size_t) state < ARRAY_LENGTH(names));
    return names[state];
}
