/*
 * A clock whose hand a test can hold and move, so that nobody is late because the machine stood
 * still. Until then, and when it is let go of, it is the real one.
 */
#ifndef CESID_TESTS_HAND_H
#define CESID_TESTS_HAND_H

#include "unit.h"

#include "cesid/clock.h"

static int64_t hand; /* atomic; 0: nobody holds it */

static inline int64_t hand_now(void)
{
    int64_t at = __atomic_load_n(&hand, __ATOMIC_RELAXED);

    return at != 0 ? at : real_now();
}

static inline int64_t hand_wall(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        abort();
    return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Before threads start. */
static inline void hand_take_clock(void)
{
    static const struct clock_source source = {.monotonic = hand_now, .wall = hand_wall};

    clock_set_source(&source);
}

/* Returns where it stands: ten seconds from now, or what another thread reckons in this moment
 * could lie in a future that never comes. */
static inline int64_t hand_hold(void)
{
    int64_t now = real_now() + 10 * CLOCK_SECOND;

    __atomic_store_n(&hand, now, __ATOMIC_RELAXED);
    return now;
}

static inline void hand_move(double seconds)
{
    __atomic_add_fetch(&hand, (int64_t) (seconds * (double) CLOCK_SECOND), __ATOMIC_RELAXED);
}

static inline void hand_let_go(void)
{
    __atomic_store_n(&hand, 0, __ATOMIC_RELAXED);
}

#endif
