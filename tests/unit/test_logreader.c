/*
 * Reading a log from somebody who fails on anything that is not whole characters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/check.h"
#include "cesid/logreader.h"
#include "cesid/text.h"

/* A log that behaves like supervisord's. */
struct log {
    const char *data;
    int64_t size; /* what is there now; the reader may believe in more */
    bool hints;
    int stop_after; /* calls; 0: never */
    int calls;
};

static size_t good_bytes(const char *data, size_t length)
{
    size_t good = 0;
    for (size_t i = 1; i <= length; i++)
        if (text_is_utf8(data, i))
            good = i;
    return good;
}

static enum logreader_outcome read_log(void *argument, int64_t offset, int64_t want,
                                       struct strbuf *out, struct logreader_hint *hint)
{
    struct log *log = argument;
    assert_true(offset >= 0 && want >= 1);
    log->calls++;
    if (log->stop_after > 0 && log->calls > log->stop_after)
        return LOGREADER_STOP;
    int64_t have = offset >= log->size ? 0 : log->size - offset < want ? log->size - offset : want;
    const char *data = log->data + offset;
    if (!text_is_utf8(data, (size_t) have)) {
        if (log->hints && have < 4096) {
            hint->good = (int64_t) good_bytes(data, (size_t) have);
            /* as Python has it: a character that is cut is wrong up to the end */
            size_t rest = (size_t) (have - hint->good);
            hint->bad = text_utf8_complete(data + hint->good, rest) == 0 ? (int) rest : 1;
        }
        return LOGREADER_UNREADABLE;
    }
    strbuf_add(out, data, (size_t) have);
    return have < want ? LOGREADER_GONE : LOGREADER_READ;
}

static struct logreader_end read_from(struct log *log, int64_t size, int64_t offset, int64_t length,
                                      int64_t piece, int calls, struct strbuf *out)
{
    const struct logreader reader = {
        .read = read_log, .argument = log, .size = size, .piece_max = piece, .calls_max = calls};
    strbuf_clear(out);
    return logreader_read(&reader, offset, length, out);
}

/* Reads all calls that it takes, and compares with what the bytes say. */
static void check(const char *data, size_t size, size_t offset, size_t length, int64_t piece,
                  bool hints)
{
    struct log log = {.data = data, .size = (int64_t) size, .hints = hints};
    struct strbuf out, want;
    strbuf_init(&out, 1 << 24);
    strbuf_init(&want, 1 << 24);
    struct logreader_end end =
        read_from(&log, (int64_t) size, (int64_t) offset, (int64_t) length, piece, 1 << 30, &out);
    assert_false(end.short_of_calls || end.stopped || end.gone);
    size_t from = offset > size ? size : offset;
    size_t to = length > size - from ? size : from + length;
    if (from < to) {
        size_t next = (size_t) end.next;
        text_add_utf8(&want, data + from, next - from);
        assert_int_equal(out.length, want.length);
        assert_memory_equal(out.data, want.data, want.length);
        if (next < to) {
            /* only when the end cuts a character that is whole in the log */
            assert_true(to - next < 4 && !text_is_utf8(data + next, to - next));
            size_t more = to - next;
            while (more < 4 && next + more < size && !text_is_utf8(data + next, more))
                more++;
            assert_true(text_is_utf8(data + next, more));
        } else if (next > to) {
            assert_true(text_is_utf8(data + from, next - from) && next - from <= 4);
        }
    } else {
        assert_int_equal(out.length, 0);
        assert_int_equal(end.next, offset);
    }
    strbuf_destroy(&out);
    strbuf_destroy(&want);
}

static void check_both(const char *data, size_t size, size_t offset, size_t length, int64_t piece)
{
    check(data, size, offset, length, piece, false);
    check(data, size, offset, length, piece, true);
}

static void plain_text(void **state)
{
    (void) state;
    static const char text[] = "the quick brown fox jumps over the lazy dog\n";
    size_t size = sizeof(text) - 1;
    check_both(text, size, 0, size, 1000);
    check_both(text, size, 0, size, 7);
    check_both(text, size, 3, 10, 1000);
    check_both(text, size, 3, 0, 1000);
    check_both(text, size, size, 10, 1000);
    check_both(text, size, size + 10, 10, 1000);
    check_both("", 0, 0, 10, 1000);

    struct log log = {.data = text, .size = (int64_t) size};
    struct strbuf out;
    strbuf_init(&out, 1000);
    read_from(&log, log.size, 0, log.size, 1000, 256, &out);
    assert_int_equal(log.calls, 1);
    strbuf_destroy(&out);
}

static void a_cut_at_the_end_waits_for_the_next_read(void **state)
{
    (void) state;
    static const char text[] = "cat \xF0\x9F\x90\x88 cat";
    for (int64_t length = 5; length < 8; length++) {
        struct log log = {.data = text, .size = sizeof(text) - 1};
        struct strbuf out;
        strbuf_init(&out, 1000);
        struct logreader_end end = read_from(&log, log.size, 0, length, 1000, 256, &out);
        assert_int_equal(end.next, 4);
        assert_string_equal(out.data, "cat ");
        /* nothing but that character: then it is given whole, or nobody would ever get on */
        end = read_from(&log, log.size, 4, length - 4, 1000, 256, &out);
        assert_int_equal(end.next, 8);
        assert_string_equal(out.data, "\xF0\x9F\x90\x88");
        strbuf_destroy(&out);
    }
}

static void every_cut_of_every_length(void **state)
{
    (void) state;
    static const char text[] =
        "a\xC3\xBC\xE2\x82\xAC\xF0\x9F\x90\x88z\xFF\xC3\xE2\x82z\xF0\x9F\x90";
    size_t size = sizeof(text) - 1;
    for (size_t offset = 0; offset <= size; offset++)
        for (size_t length = 0; length <= size; length++)
            for (int64_t piece = 1; piece <= 24; piece++)
                check_both(text, size, offset, length, piece);
}

/* Text in many scripts with some bytes overwritten. */
static size_t make_text(char *data, size_t size, unsigned *seed, int wrong)
{
    static const char *const characters[] = {"a",  "b", "\n", "\xC3\xBC", "\xE2\x82\xAC",
                                             "\0", "~", " ",  "\x1b",     "\xF0\x9F\x90\x88"};
    size_t used = 0;
    while (used + 4 <= size) {
        size_t i = (size_t) rand_r(seed) % ARRAY_LENGTH(characters);
        size_t length = characters[i][0] == '\0' ? 1 : strlen(characters[i]);
        memcpy(data + used, characters[i], length);
        used += length;
    }
    for (; wrong > 0 && used > 0; wrong--)
        data[(size_t) rand_r(seed) % used] = (char) rand_r(seed);
    return used;
}

static void random_text_is_what_its_bytes_say(void **state)
{
    (void) state;
    unsigned seed = 42;
    for (int i = 0; i < 3000; i++) {
        char data[600];
        size_t size = make_text(data, 1 + (size_t) rand_r(&seed) % sizeof(data), &seed,
                                rand_r(&seed) % 3 == 0 ? rand_r(&seed) % 40 : 0);
        size_t offset = (size_t) rand_r(&seed) % (size + 1);
        size_t length = (size_t) rand_r(&seed) % (size + 10);
        check_both(data, size, offset, length, 1 + rand_r(&seed) % 700);
    }
}

static void random_bytes_are_what_they_say(void **state)
{
    (void) state;
    unsigned seed = 43;
    for (int i = 0; i < 2000; i++) {
        char data[200];
        size_t size = (size_t) rand_r(&seed) % sizeof(data);
        for (size_t j = 0; j < size; j++)
            data[j] = (char) (rand_r(&seed) % 4 == 0 ? rand_r(&seed) : 'x');
        check_both(data, size, 0, size, 1 + rand_r(&seed) % 300);
    }
}

static void a_wrong_byte_costs_few_calls(void **state)
{
    (void) state;
    static char data[65536];
    memset(data, 'x', sizeof(data));
    data[40000] = '\xFF';
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    struct log log = {.data = data, .size = sizeof(data)};
    struct logreader_end end = read_from(&log, log.size, 0, log.size, 65536, 256, &out);
    assert_int_equal(end.next, sizeof(data));
    assert_false(end.short_of_calls);
    assert_int_equal(out.length, sizeof(data) + 2);
    assert_true(log.calls < 60);
    strbuf_destroy(&out);
}

static void the_limit_of_calls_holds(void **state)
{
    (void) state;
    static char data[65536];
    unsigned seed = 3;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char) (0x80 + rand_r(&seed) % 128);
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    struct log log = {.data = data, .size = sizeof(data)};
    struct logreader_end end = read_from(&log, log.size, 0, log.size, 65536, 256, &out);
    assert_int_equal(log.calls, 256);
    assert_true(end.short_of_calls);
    assert_true(end.next > 0 && end.next < (int64_t) sizeof(data));
    struct strbuf want;
    strbuf_init(&want, 1 << 20);
    text_add_utf8(&want, data, (size_t) end.next);
    assert_string_equal(out.data, want.data);
    strbuf_destroy(&want);
    strbuf_destroy(&out);
}

static void the_source_can_stop(void **state)
{
    (void) state;
    static const char text[] = "one\xFFtwo\xFFthree and some more text behind it";
    for (int after = 1; after < 30; after++) {
        struct log log = {.data = text, .size = sizeof(text) - 1, .stop_after = after};
        struct strbuf out, want;
        strbuf_init(&out, 1000);
        strbuf_init(&want, 1000);
        struct logreader_end end = read_from(&log, log.size, 0, log.size, 1000, 256, &out);
        assert_true(end.stopped || end.next == log.size);
        text_add_utf8(&want, text, (size_t) end.next);
        assert_string_equal(out.data, want.data);
        strbuf_destroy(&want);
        strbuf_destroy(&out);
    }
}

static void a_rotated_log_ends(void **state)
{
    (void) state;
    static const char text[] = "what is left after the log was rotated";
    for (int64_t left = 0; left < (int64_t) sizeof(text) - 1; left++) {
        struct log log = {.data = text, .size = left};
        struct strbuf out;
        strbuf_init(&out, 1000);
        struct logreader_end end = read_from(&log, 1000, 2, 500, 16, 256, &out);
        assert_true(end.gone);
        assert_int_equal(end.next, left < 2 ? 2 : left);
        assert_int_equal(out.length, left < 2 ? 0 : left - 2);
        strbuf_destroy(&out);
    }
}

static enum logreader_outcome read_nonsense(void *argument, int64_t offset, int64_t want,
                                            struct strbuf *out, struct logreader_hint *hint)
{
    (void) offset, (void) want, (void) out;
    unsigned *seed = argument;
    hint->good = rand_r(seed) % 100 - 10;
    hint->bad = rand_r(seed) % 12 - 4;
    return rand_r(seed) % 8 == 0 ? LOGREADER_READ : LOGREADER_UNREADABLE;
}

/* A peer that contradicts itself gets nonsense, in finite time. */
static void nonsense_ends(void **state)
{
    (void) state;
    unsigned seed = 5;
    for (int i = 0; i < 2000; i++) {
        const struct logreader reader = {.read = read_nonsense,
                                         .argument = &seed,
                                         .size = 5000,
                                         .piece_max = 1 + rand_r(&seed) % 1000,
                                         .calls_max = 256};
        struct strbuf out;
        strbuf_init(&out, 1 << 20);
        struct logreader_end end = logreader_read(&reader, 100, 4000, &out);
        assert_true(end.next >= 100 && end.next <= 5000);
        assert_true(text_is_utf8(out.data, out.length));
        strbuf_destroy(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "plain text", .test_func = plain_text},
        {.name = "a cut at the end waits for the next read",
         .test_func = a_cut_at_the_end_waits_for_the_next_read},
        {.name = "every cut of every length", .test_func = every_cut_of_every_length},
        {.name = "random text is what its bytes say",
         .test_func = random_text_is_what_its_bytes_say},
        {.name = "random bytes are what they say", .test_func = random_bytes_are_what_they_say},
        {.name = "a wrong byte costs few calls", .test_func = a_wrong_byte_costs_few_calls},
        {.name = "the limit of calls holds", .test_func = the_limit_of_calls_holds},
        {.name = "the source can stop", .test_func = the_source_can_stop},
        {.name = "a rotated log ends", .test_func = a_rotated_log_ends},
        {.name = "nonsense ends", .test_func = nonsense_ends},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
