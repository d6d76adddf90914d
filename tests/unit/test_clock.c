/*
 * Time: what is shown, what is waited for, and that a test may replace both.
 */
#include "unit.h"

#include <math.h>

#include "cesid/clock.h"

static int64_t fake_now, fake_wall;

static int64_t monotonic(void)
{
    return fake_now;
}

static int64_t wall(void)
{
    return fake_wall;
}

static const struct clock_source fake = {monotonic, wall};

static int restore(void **state)
{
    (void) state;
    clock_set_source(NULL);
    return 0;
}

static void assert_shown(int64_t wall_ms, const char *expected)
{
    char shown[CLOCK_RFC3339_SIZE];

    clock_rfc3339(shown, wall_ms);
    assert_string_equal(shown, expected);
}

static void shows_rfc3339(void **state)
{
    (void) state;
    assert_shown(0, "1970-01-01T00:00:00.000Z");
    assert_shown(INT64_C(1767323045678), "2026-01-02T03:04:05.678Z");
    assert_shown(INT64_C(951782400000), "2000-02-29T00:00:00.000Z");
    assert_shown(INT64_C(4107542399999), "2100-02-28T23:59:59.999Z");
    assert_shown(INT64_C(2147483648000), "2038-01-19T03:14:08.000Z");
    assert_shown(1, "1970-01-01T00:00:00.001Z");
    assert_shown(-1, "1969-12-31T23:59:59.999Z");
    assert_shown(-1000, "1969-12-31T23:59:59.000Z");
}

static void clamps_years_of_other_than_four_digits(void **state)
{
    (void) state;
    assert_shown(INT64_MAX, "9999-12-31T23:59:59.999Z");
    assert_shown(INT64_MIN, "0000-01-01T00:00:00.000Z");
    assert_shown(INT64_C(253402300799999), "9999-12-31T23:59:59.999Z");
    assert_shown(INT64_C(253402300800000), "9999-12-31T23:59:59.999Z");
}

static void the_real_clocks_run(void **state)
{
    (void) state;
    int64_t before = clock_now();
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    assert_true(llabs(clock_wall() - (int64_t) now.tv_sec * 1000) < 60000);
    rest();
    assert_true(clock_now() - before >= 1000000);
    assert_true(clock_seconds_since(before) >= 0.001);
}

static void a_test_may_replace_the_source(void **state)
{
    (void) state;
    fake_now = 5 * CLOCK_SECOND;
    fake_wall = 42;
    clock_set_source(&fake);
    assert_int_equal(clock_now(), 5 * CLOCK_SECOND);
    assert_int_equal(clock_wall(), 42);
    clock_set_source(NULL);
    assert_int_not_equal(clock_wall(), 42);
}

static void deadlines_saturate(void **state)
{
    (void) state;
    fake_now = 5 * CLOCK_SECOND;
    clock_set_source(&fake);
    assert_int_equal(clock_after(2.5), 7 * CLOCK_SECOND + CLOCK_SECOND / 2);
    assert_int_equal(clock_after(0), fake_now);
    assert_int_equal(clock_after(-3), fake_now);
    assert_int_equal(clock_after((double) NAN), fake_now);
    assert_int_equal(clock_after((double) INFINITY), CLOCK_NEVER);
    assert_int_equal(clock_after(1e300), CLOCK_NEVER);
    assert_int_equal(clock_after(9.3e9), CLOCK_NEVER);
    assert_true(clock_after(9.2e9) > fake_now);
}

static void a_duration_is_never_negative(void **state)
{
    (void) state;
    fake_now = 5 * CLOCK_SECOND;
    clock_set_source(&fake);
    assert_true(fabs(clock_seconds_since(3 * CLOCK_SECOND) - 2.0) < 1e-9);
    assert_true(fabs(clock_seconds_since(9 * CLOCK_SECOND)) < 1e-9);
    assert_true(fabs(clock_seconds_since(CLOCK_NEVER)) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("clock: shows RFC 3339 with milliseconds", shows_rfc3339),
        NAMED("clock: clamps years of other than four digits",
              clamps_years_of_other_than_four_digits),
        NAMED("clock: the real clocks run", the_real_clocks_run),
        NAMED("clock: a test may replace the source", a_test_may_replace_the_source),
        NAMED("clock: deadlines saturate", deadlines_saturate),
        NAMED("clock: a duration is never negative", a_duration_is_never_negative),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, restore);
}
