/*
 * Growing strings: what they hold, where they stop, and that an error sticks.
 */
#include "unit.h"

#include "cesid/strbuf.h"

static void is_empty_from_the_start(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, 10);
    assert_string_equal(buffer.data, "");
    assert_int_equal(buffer.length, 0);
    assert_false(strbuf_failed(&buffer));
    strbuf_clear(&buffer);
    strbuf_truncate(&buffer, 0);
    strbuf_add(&buffer, NULL, 0);
    strbuf_puts(&buffer, "");
    strbuf_printf(&buffer, "%s", "");
    assert_string_equal(buffer.data, "");
    assert_int_equal(buffer.capacity, 0);
    strbuf_destroy(&buffer);
    strbuf_destroy(&buffer);
}

static void grows_by_every_way_of_adding(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, 1000);
    strbuf_puts(&buffer, "node ");
    strbuf_putc(&buffer, 'w');
    strbuf_add(&buffer, "eb-1xxx", 4);
    strbuf_printf(&buffer, " at %d of %s", 3, "four");
    assert_string_equal(buffer.data, "node web-1 at 3 of four");
    assert_int_equal(buffer.length, strlen(buffer.data));
    strbuf_destroy(&buffer);
}

static void holds_zero_bytes(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, 10);
    strbuf_add(&buffer, "a\0b", 3);
    strbuf_putc(&buffer, '\0');
    assert_int_equal(buffer.length, 4);
    assert_memory_equal(buffer.data, "a\0b\0", 5);
    strbuf_destroy(&buffer);
}

static void fills_to_the_last_byte_of_its_limit(void **state)
{
    (void) state;
    struct strbuf buffer;

    for (size_t limit = 1; limit < 300; limit += 7) {
        strbuf_init(&buffer, limit);
        for (size_t i = 0; i < limit; i++)
            strbuf_putc(&buffer, (char) ('a' + i % 26));
        assert_false(strbuf_failed(&buffer));
        assert_int_equal(buffer.length, limit);
        assert_true(buffer.capacity <= limit + 1);
        assert_int_equal(strlen(buffer.data), limit);
        strbuf_putc(&buffer, '!');
        assert_true(strbuf_failed(&buffer));
        assert_int_equal(buffer.length, limit);
        strbuf_destroy(&buffer);
    }
}

static void an_error_sticks_and_keeps_what_was_there(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, 8);
    strbuf_puts(&buffer, "12345");
    strbuf_puts(&buffer, "6789");
    assert_true(strbuf_failed(&buffer));
    assert_string_equal(buffer.data, "12345");
    strbuf_putc(&buffer, '6');
    strbuf_printf(&buffer, "%d", 7);
    assert_string_equal(buffer.data, "12345");
    assert_true(strbuf_failed(&buffer));

    strbuf_clear(&buffer);
    assert_false(strbuf_failed(&buffer));
    assert_string_equal(buffer.data, "");
    strbuf_printf(&buffer, "%08d", 42);
    assert_string_equal(buffer.data, "00000042");
    strbuf_printf(&buffer, "%d", 1);
    assert_true(strbuf_failed(&buffer));
    assert_string_equal(buffer.data, "00000042");
    strbuf_destroy(&buffer);
    assert_false(strbuf_failed(&buffer));
    assert_int_equal(buffer.limit, 8);
}

static void a_limit_of_nothing_takes_nothing(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, 0);
    strbuf_putc(&buffer, 'x');
    assert_true(strbuf_failed(&buffer));
    assert_string_equal(buffer.data, "");
    strbuf_destroy(&buffer);
}

/* limit + 1 wrapped to 0 once, and the buffer was shrunk under what it held. */
static void may_be_without_a_limit(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, SIZE_MAX);
    for (int i = 0; i < 10000; i++)
        strbuf_printf(&buffer, "%04d", i);
    assert_false(strbuf_failed(&buffer));
    assert_int_equal(buffer.length, 40000);
    assert_string_equal(buffer.data + 39996, "9999");
    strbuf_destroy(&buffer);
}

static void truncates_but_never_extends(void **state)
{
    (void) state;
    struct strbuf buffer;

    strbuf_init(&buffer, 100);
    strbuf_puts(&buffer, "one two");
    strbuf_truncate(&buffer, 50);
    assert_string_equal(buffer.data, "one two");
    strbuf_truncate(&buffer, 3);
    assert_string_equal(buffer.data, "one");
    strbuf_puts(&buffer, "!");
    assert_string_equal(buffer.data, "one!");
    strbuf_destroy(&buffer);
}

static void what_is_stolen_belongs_to_the_thief(void **state)
{
    (void) state;
    struct strbuf buffer;
    char *text;

    strbuf_init(&buffer, 100);
    text = strbuf_steal(&buffer);
    assert_string_equal(text, "");
    free(text);
    strbuf_puts(&buffer, "first");
    text = strbuf_steal(&buffer);
    assert_string_equal(buffer.data, "");
    strbuf_puts(&buffer, "second");
    assert_string_equal(text, "first");
    assert_string_equal(buffer.data, "second");
    free(text);
    strbuf_destroy(&buffer);
}

static void writes_integers(void **state)
{
    struct strbuf buffer;

    (void) state;
    strbuf_init(&buffer, 100);
    strbuf_integer(&buffer, INT64_MIN);
    strbuf_putc(&buffer, ' ');
    strbuf_integer(&buffer, INT64_MAX);
    strbuf_putc(&buffer, ' ');
    strbuf_integer(&buffer, 0);
    assert_string_equal(buffer.data, "-9223372036854775808 9223372036854775807 0");
    strbuf_destroy(&buffer);
}

static void writes_reals(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1e-7, "0"},
        {-1e-7, "0"},
        {0.000023, "0.000023"},
        {0.9999999, "1"},
        {-12.5, "-12.5"},
        {1784217600.125, "1784217600.125"},
        {12345678901.25, "12345678901.25"},
        {1e300, "1.0000000000000001e+300"},
    };

    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct strbuf buffer;

        strbuf_init(&buffer, 100);
        strbuf_real(&buffer, cases[i].value);
        assert_string_equal(buffer.data, cases[i].text);
        strbuf_destroy(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("strbuf: is empty from the start", is_empty_from_the_start),
        NAMED("strbuf: grows by every way of adding", grows_by_every_way_of_adding),
        NAMED("strbuf: holds zero bytes", holds_zero_bytes),
        NAMED("strbuf: fills to the last byte of its limit", fills_to_the_last_byte_of_its_limit),
        NAMED("strbuf: an error sticks and keeps what was there",
              an_error_sticks_and_keeps_what_was_there),
        NAMED("strbuf: a limit of nothing takes nothing", a_limit_of_nothing_takes_nothing),
        NAMED("strbuf: may be without a limit", may_be_without_a_limit),
        NAMED("strbuf: truncates but never extends", truncates_but_never_extends),
        NAMED("strbuf: what is stolen belongs to the thief", what_is_stolen_belongs_to_the_thief),
        NAMED("strbuf: writes integers", writes_integers),
        NAMED("strbuf: writes reals", writes_reals),
    };
    return cmocka_run_group_tests_name("strbuf", tests, NULL, NULL);
}
