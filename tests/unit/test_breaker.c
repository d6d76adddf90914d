/*
 * The circuit breaker: as a table of stories, and at random against what must always hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cesid/breaker.h"
#include "cesid/check.h"
#include "cesid/clock.h"

static const struct breaker_settings settings = {.failures = 3, .open_min = 5, .open_max = 60};

/* One step of a story: what is done, and what must be seen. Seconds since the story's begin. */
struct step {
    int action; /* 'a' allow, 's' success, 'f' failure, 'x' abandon */
    double at;
    int answer; /* of allow, success, failure */
    enum breaker_state state;
};

static void tell(const struct step *steps, size_t count, double jitter)
{
    struct breaker breaker;
    breaker_init(&breaker);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    for (size_t i = 0; i < count; i++) {
        int64_t now = (int64_t) (steps[i].at * (double) CLOCK_SECOND);
        int answer = steps[i].answer;
        switch (steps[i].action) {
        case 'a':
            answer = breaker_allow(&breaker, now);
            break;
        case 's':
            answer = breaker_success(&breaker);
            break;
        case 'f':
            answer = breaker_failure(&breaker, &settings, now, jitter);
            break;
        default:
            breaker_abandon(&breaker);
            break;
        }
        if (answer != steps[i].answer || breaker.state != steps[i].state)
            fail_msg("step %zu: answer %d, state %s", i, answer, breaker_state_name(breaker.state));
    }
}

#define TELL(steps, jitter) tell(steps, ARRAY_LENGTH(steps), jitter)

static void opens_after_failures_in_a_row(void **state)
{
    (void) state;
    static const struct step story[] = {
        {'f', 0, false, BREAKER_CLOSED}, {'f', 1, false, BREAKER_CLOSED},
        {'a', 1, true, BREAKER_CLOSED},  {'f', 2, true, BREAKER_OPEN},
        {'a', 2, false, BREAKER_OPEN},   {'a', 6.9, false, BREAKER_OPEN},
        {'f', 6.9, false, BREAKER_OPEN},
    };
    TELL(story, 0);
}

static void a_success_starts_the_count_again(void **state)
{
    (void) state;
    static const struct step story[] = {
        {'f', 0, false, BREAKER_CLOSED}, {'f', 1, false, BREAKER_CLOSED},
        {'s', 2, false, BREAKER_CLOSED}, {'f', 3, false, BREAKER_CLOSED},
        {'f', 4, false, BREAKER_CLOSED}, {'f', 5, true, BREAKER_OPEN},
    };
    TELL(story, 0);
}

static void one_probe_decides(void **state)
{
    (void) state;
    static const struct step story[] = {
        {'f', 0, false, BREAKER_CLOSED},    {'f', 0, false, BREAKER_CLOSED},
        {'f', 0, true, BREAKER_OPEN},       {'a', 5, true, BREAKER_HALF_OPEN},
        {'a', 5, false, BREAKER_HALF_OPEN}, {'a', 50, false, BREAKER_HALF_OPEN},
        {'f', 6, true, BREAKER_OPEN}, /* now for 7.5 to 12.5 s */
        {'a', 13.4, false, BREAKER_OPEN},   {'a', 13.5, true, BREAKER_HALF_OPEN},
        {'s', 14, true, BREAKER_CLOSED},    {'a', 14, true, BREAKER_CLOSED},
        {'a', 14, true, BREAKER_CLOSED},
    };
    TELL(story, 0);
}

static void an_abandoned_probe_is_granted_again(void **state)
{
    (void) state;
    static const struct step story[] = {
        {'f', 0, false, BREAKER_CLOSED},    {'f', 0, false, BREAKER_CLOSED},
        {'f', 0, true, BREAKER_OPEN},       {'x', 1, false, BREAKER_OPEN},
        {'a', 1, false, BREAKER_OPEN},      {'a', 7, true, BREAKER_HALF_OPEN},
        {'x', 8, false, BREAKER_HALF_OPEN}, {'a', 8, true, BREAKER_HALF_OPEN},
        {'a', 8, false, BREAKER_HALF_OPEN}, {'s', 9, true, BREAKER_CLOSED},
    };
    TELL(story, 1);
}

/* An operator forced a call through, or one was still out: it proves that the node answers. */
static void a_success_while_open_closes(void **state)
{
    (void) state;
    static const struct step story[] = {
        {'f', 0, false, BREAKER_CLOSED}, {'f', 0, false, BREAKER_CLOSED},
        {'f', 0, true, BREAKER_OPEN},    {'s', 1, true, BREAKER_CLOSED},
        {'a', 1, true, BREAKER_CLOSED},  {'f', 2, false, BREAKER_CLOSED},
    };
    TELL(story, 0.5);
}

static double opened_for(struct breaker *breaker, const struct breaker_settings *with, int64_t now,
                         double jitter)
{
    while (!breaker_failure(breaker, with, now, jitter))
        ;
    return (double) (breaker->retry_at - now) / (double) CLOCK_SECOND;
}

static void the_open_time_doubles_to_its_maximum(void **state)
{
    (void) state;
    static const double low[] = {5, 7.5, 15, 30, 45, 45}, high[] = {6.25, 12.5, 25, 50, 60, 60};
    for (int jitter = 0; jitter <= 1; jitter++) {
        struct breaker breaker;
        breaker_init(&breaker);
        int64_t now = 0;
        for (size_t i = 0; i < ARRAY_LENGTH(low); i++) {
            double wait = opened_for(&breaker, &settings, now, jitter);
            assert_true(wait == (jitter > 0 ? high[i] : low[i]));
            now = breaker.retry_at;
            assert_true(breaker_allow(&breaker, now));
        }
    }
}

static void strange_settings_do_no_harm(void **state)
{
    (void) state;
    static const struct breaker_settings strange[] = {
        {.failures = 1, .open_min = 0, .open_max = 0},
        {.failures = 0, .open_min = 10, .open_max = 1},
        {.failures = 1, .open_min = 1e300, .open_max = 1e308},
        {.failures = 1, .open_min = -5, .open_max = -1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(strange); i++) {
        struct breaker breaker;
        breaker_init(&breaker);
        for (int n = 0; n < 2000; n++) {
            assert_true(opened_for(&breaker, &strange[i], 1000, n % 2 ? 7 : -7) >= 0);
            assert_true(breaker_allow(&breaker, CLOCK_NEVER));
        }
        assert_true(breaker_success(&breaker));
    }
}

/* What holds whatever happens: no call goes out while it is open before its time, never two probes
 * at once, a state is told to have changed if and only if it has, and the wait keeps its bounds. */
static void holds_at_random(void **state)
{
    (void) state;
    unsigned seed = 4711;
    for (int run = 0; run < 200; run++) {
        struct breaker_settings with = {
            .failures = 1 + rand_r(&seed) % 5,
            .open_min = 0.5 + rand_r(&seed) % 10,
        };
        with.open_max = with.open_min + rand_r(&seed) % 100;
        struct breaker breaker;
        breaker_init(&breaker);
        int64_t now = rand_r(&seed);
        int in_a_row = 0;
        bool probe_out = false;
        for (int i = 0; i < 500; i++) {
            now += (int64_t) (rand_r(&seed) % 8000) * (CLOCK_SECOND / 1000);
            struct breaker before = breaker;
            bool changed = false;
            switch (rand_r(&seed) % 5) {
            case 0:
            case 1: {
                bool allowed = breaker_allow(&breaker, now);
                if (before.state == BREAKER_CLOSED)
                    assert_true(allowed);
                if (before.state == BREAKER_OPEN)
                    assert_int_equal(allowed, now >= before.retry_at);
                if (before.state == BREAKER_HALF_OPEN)
                    assert_int_equal(allowed, !probe_out);
                if (allowed && breaker.state == BREAKER_HALF_OPEN)
                    probe_out = true;
                if (!allowed)
                    assert_int_equal(breaker.state, before.state);
                continue;
            }
            case 2:
                changed = breaker_success(&breaker);
                in_a_row = 0;
                probe_out = false;
                assert_int_equal(breaker.state, BREAKER_CLOSED);
                assert_int_equal(breaker.openings, 0);
                break;
            case 3:
                changed = breaker_failure(&breaker, &with, now, (rand_r(&seed) % 1001) / 1000.0);
                in_a_row++;
                assert_int_equal(breaker.failures, in_a_row);
                if (before.state == BREAKER_CLOSED)
                    assert_int_equal(breaker.state == BREAKER_OPEN, in_a_row >= with.failures);
                else
                    assert_int_equal(breaker.state, BREAKER_OPEN);
                if (changed) {
                    double wait = (double) (breaker.retry_at - now) / (double) CLOCK_SECOND;
                    assert_true(wait >= with.open_min - 1e-6 && wait <= with.open_max + 1e-6);
                }
                if (before.state != BREAKER_CLOSED)
                    probe_out = false;
                break;
            default:
                breaker_abandon(&breaker);
                probe_out = false;
                break;
            }
            assert_int_equal(changed, before.state != breaker.state);
            assert_true(breaker.state == BREAKER_HALF_OPEN || !breaker.probing);
        }
    }
}

static void names(void **state)
{
    (void) state;
    assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
    assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

#define NAMED(text, function)                                                                      \
    {                                                                                              \
        .name = (text), .test_func = (function)                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("R6.3 repeated failures open the breaker", opens_after_failures_in_a_row),
        NAMED("R6.3 a success starts the count again", a_success_starts_the_count_again),
        NAMED("R6.3 half-open, one probe decides", one_probe_decides),
        NAMED("R6.3 an abandoned probe is granted again", an_abandoned_probe_is_granted_again),
        NAMED("R6.3 a success while open closes", a_success_while_open_closes),
        NAMED("R6.3 the open time doubles to its maximum", the_open_time_doubles_to_its_maximum),
        NAMED("strange settings do no harm", strange_settings_do_no_harm),
        NAMED("R6.3 invariants hold at random", holds_at_random),
        NAMED("names of states", names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
