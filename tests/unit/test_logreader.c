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
    bool tails;
    bool from_end, give_up;
    int64_t grows;  /* by so much before each call that asks for tails */
    int stop_after; /* calls; 0: never */
    int calls, questions;
};

static size_t good_bytes(const char *data, size_t length)
{
    size_t low = 0, high = length;
    while (low < high) {
        size_t middle = (low + high + 1) / 2;
        if (text_is_utf8(data, text_utf8_complete(data, middle)))
            low = middle;
        else
            high = middle - 1;
    }
    return text_utf8_complete(data, low);
}

/* As Python has it: where decoding stops, and which byte it is, unless it and more begin a
 * character that does not go on. */
static void say_why(struct logreader_question *question, const char *data, size_t length)
{
    size_t good = good_bytes(data, length);
    bool several = length - good > 1 && text_utf8_complete(data + good, 2) == 0;
    question->good = (int64_t) good;
    question->value = several ? -1 : (unsigned char) data[good];
}

static bool ask_log(void *argument, struct logreader_question *questions, int count)
{
    struct log *log = argument;
    assert_in_range(count, 1, LOGREADER_QUESTIONS_MAX);
    log->calls++;
    log->questions += count;
    if (log->stop_after > 0 && log->calls > log->stop_after)
        return false;
    if (questions[0].tail)
        log->size += log->grows;
    for (int i = 0; i < count; i++) {
        struct logreader_question *question = &questions[i];
        assert_true(question->offset >= 0 && question->want >= 1);
        if (question->tail && !log->tails)
            continue;
        if (question->tail)
            question->offset = log->size - question->want;
        int64_t have = log->size - question->offset;
        have = have < 0 ? 0 : have < question->want ? have : question->want;
        const char *data = log->data + question->offset;
        if (!text_is_utf8(data, (size_t) have)) {
            question->outcome = LOGREADER_UNREADABLE;
            if (question->tail)
                say_why(question, data, (size_t) have);
            continue;
        }
        question->data = data;
        question->length = (size_t) have;
        question->outcome = have < question->want ? LOGREADER_GONE : LOGREADER_READ;
    }
    return true;
}

static struct logreader_end read_from(struct log *log, int64_t size, int64_t offset, int64_t length,
                                      int64_t piece, int64_t effort, struct strbuf *out)
{
    const struct logreader reader = {.ask = ask_log,
                                     .argument = log,
                                     .size = size,
                                     .piece_max = piece,
                                     .tail_max = log->tails ? INT64_C(1) << 30 : 0,
                                     .from_end = log->from_end,
                                     .give_up = log->give_up,
                                     .effort = effort};
    strbuf_clear(out);
    return logreader_read(&reader, offset, length, out);
}

/* The text of what was read is the text of the log's bytes. */
static void expect_text(const struct strbuf *out, const char *data, int64_t from, int64_t to)
{
    struct strbuf got, want;
    strbuf_init(&got, 1 << 24);
    strbuf_init(&want, 1 << 24);
    text_add_utf8(&got, out->data, out->length);
    text_add_utf8(&want, data + from, (size_t) (to - from));
    assert_int_equal(got.length, want.length);
    assert_memory_equal(got.data, want.data, want.length);
    strbuf_destroy(&got);
    strbuf_destroy(&want);
}

/* Reads all calls that it takes, and compares with what the bytes say. */
static void check(const char *data, size_t size, size_t offset, size_t length, int64_t piece,
                  bool tails)
{
    struct log log = {.data = data, .size = (int64_t) size, .tails = tails};
    struct strbuf out;
    strbuf_init(&out, 1 << 24);
    struct logreader_end end =
        read_from(&log, (int64_t) size, (int64_t) offset, (int64_t) length, piece, 1 << 30, &out);
    assert_false(end.short_of_effort || end.stopped || end.gone);
    assert_int_equal(end.offset, offset);
    size_t from = offset > size ? size : offset;
    size_t to = length > size - from ? size : from + length;
    if (from < to) {
        size_t next = (size_t) end.next;
        expect_text(&out, data, (int64_t) from, end.next);
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

static void a_wrong_byte_costs_little(void **state)
{
    (void) state;
    static char data[65536];
    memset(data, 'x', sizeof(data));
    data[40000] = '\xFF';
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    for (int tails = 0; tails < 2; tails++) {
        struct log log = {.data = data, .size = sizeof(data), .tails = tails};
        struct logreader_end end = read_from(&log, log.size, 0, log.size, 65536, 8192, &out);
        assert_int_equal(end.next, sizeof(data));
        assert_false(end.short_of_effort);
        assert_int_equal(out.length, sizeof(data) + (tails ? 0 : 2));
        assert_true(log.calls < (tails ? 8 : 60));
        assert_true(log.questions < (tails ? 30 : 200));
    }
    strbuf_destroy(&out);
}

/* Lines of 100 bytes with three umlauts each. */
static void make_latin1(char *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        data[i] = i % 100 == 99 ? '\n' : (char) ('a' + i % 23);
    for (size_t i = 0; i + 100 <= size; i += 100) {
        data[i + 3] = '\xFC';
        data[i + 4] = '\xDF';
        data[i + 40] = '\xE4';
    }
}

static void latin_1_comes_back_byte_for_byte(void **state)
{
    (void) state;
    static char data[400000];
    make_latin1(data, sizeof(data));
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    struct log log = {.data = data, .size = 100000, .tails = true};
    struct logreader_end end = read_from(&log, log.size, 0, log.size, 1 << 18, 100000, &out);
    assert_int_equal(end.next, 100000);
    assert_int_equal(out.length, 100000);
    assert_memory_equal(out.data, data, out.length);
    assert_true(log.questions < 9000);
    assert_true(log.calls < 300);
    /* the same while it grows */
    log = (struct log){.data = data, .size = 60000, .tails = true, .grows = 157};
    end = read_from(&log, log.size, 0, log.size, 1 << 18, 100000, &out);
    assert_int_equal(end.next, 60000);
    expect_text(&out, data, 0, 60000);
    strbuf_destroy(&out);
}

static void make_wrong(char *data, size_t size)
{
    unsigned seed = 3;
    for (size_t i = 0; i < size; i++)
        data[i] = (char) (0x80 + rand_r(&seed) % 128);
}

static void of_bytes_from_the_end_the_last_are_kept(void **state)
{
    (void) state;
    static char data[65536];
    make_wrong(data, sizeof(data));
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    for (int tails = 0; tails < 2; tails++) {
        struct log log = {.data = data, .size = sizeof(data), .tails = tails, .from_end = true};
        struct logreader_end end = read_from(&log, log.size, 500, 65036, 16384, 32768, &out);
        assert_true(end.short_of_effort);
        assert_int_equal(end.next, sizeof(data));
        assert_in_range(end.offset, 501, sizeof(data) - 1024);
        expect_text(&out, data, end.offset, end.next);
    }
    strbuf_destroy(&out);
}

static void what_the_beginning_cuts_is_left_out(void **state)
{
    (void) state;
    static const char text[] = "a\xF0\x9F\x90\x88"
                               "cat\xFF\x9F tail";
    struct strbuf out;
    strbuf_init(&out, 1000);
    for (int tails = 0; tails < 2; tails++)
        for (int64_t from = 1; from < 12; from++) {
            struct log log = {
                .data = text, .size = sizeof(text) - 1, .tails = tails, .from_end = true};
            struct logreader_end end = read_from(&log, log.size, from, 100, 1000, 1000, &out);
            assert_int_equal(end.offset, from > 1 && from < 5 ? 5 : from);
            expect_text(&out, text, end.offset, end.next);
        }
    strbuf_destroy(&out);
}

static void the_limit_of_effort_holds(void **state)
{
    (void) state;
    static char data[65536];
    make_wrong(data, sizeof(data));
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    struct log log = {.data = data, .size = sizeof(data), .tails = true};
    struct logreader_end end = read_from(&log, log.size, 0, log.size, 65536, 8192, &out);
    assert_true(log.questions < 8192 + 512);
    assert_true(end.short_of_effort);
    assert_true(end.next > 1000 && end.next < (int64_t) sizeof(data));
    expect_text(&out, data, 0, end.next);
    strbuf_destroy(&out);
}

/* A long log that is wrong at its beginning is still read to its end. */
static void what_is_given_up_is_replaced(void **state)
{
    (void) state;
    static char data[300000];
    memset(data, 'x', sizeof(data));
    memset(data + 1000, '\xFF', 100000);
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    struct log log = {.data = data, .size = sizeof(data), .give_up = true, .tails = true};
    struct logreader_end end = read_from(&log, log.size, 0, log.size, 1 << 16, 1000, &out);
    assert_false(end.short_of_effort);
    assert_int_equal(end.next, sizeof(data));
    assert_true(log.questions < 3000);
    size_t good = 0;
    for (size_t i = 0; i < out.length; i++)
        good += out.data[i] == 'x';
    assert_in_range(good, sizeof(data) - 100000 - 2 * 2048 - 1000, sizeof(data) - 100000);
    strbuf_destroy(&out);
}

static void the_source_can_stop(void **state)
{
    (void) state;
    static const char text[] = "one\xFFtwo\xFFthree and some more text behind it";
    for (int after = 1; after < 30; after++) {
        struct log log = {
            .data = text, .size = sizeof(text) - 1, .stop_after = after, .tails = after % 2};
        struct strbuf out;
        strbuf_init(&out, 1000);
        struct logreader_end end = read_from(&log, log.size, 0, log.size, 1000, 256, &out);
        assert_true(end.stopped || end.next == log.size);
        expect_text(&out, text, 0, end.next);
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

/* As supervisord's answers are made fit for an XML parser: a control character becomes U+FFFD. */
static bool ask_replaced(void *argument, struct logreader_question *questions, int count)
{
    struct log *log = argument;
    static struct strbuf kept;
    size_t starts[LOGREADER_QUESTIONS_MAX];
    if (!ask_log(log, questions, count))
        return false;
    strbuf_destroy(&kept);
    strbuf_init(&kept, 1 << 24);
    for (int i = 0; i < count; i++) {
        starts[i] = kept.length;
        for (size_t k = 0; k < questions[i].length; k++)
            if (questions[i].data[k] == '\x1b')
                strbuf_puts(&kept, "\xEF\xBF\xBD");
            else
                strbuf_putc(&kept, questions[i].data[k]);
        questions[i].length = kept.length - starts[i];
    }
    for (int i = 0; i < count; i++)
        questions[i].data = kept.data + starts[i];
    return true;
}

/* Only they are lost, also beside a U+FFFD that the log itself has. */
static void control_characters_alone_are_replaced(void **state)
{
    static const char *const others[] = {"", "\xEF\xBF\xBD", "\xF4\x8F\xBC\x80"};
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        struct strbuf log_text, want, out;
        strbuf_init(&log_text, 1 << 20);
        strbuf_init(&want, 1 << 20);
        strbuf_init(&out, 1 << 20);
        for (int line = 0; line < 200; line++) {
            bool coloured = line % 67 == 5;
            strbuf_printf(&log_text, "%s%s line %d%s\n", coloured ? "\x1b" : "",
                          line == 100 ? others[i] : "", line, coloured ? "\x1b[0m" : "");
            strbuf_printf(&want, "%s%s line %d%s\n", coloured ? "\xEF\xBF\xBD" : "",
                          line == 100 ? others[i] : "", line, coloured ? "\xEF\xBF\xBD[0m" : "");
        }
        struct log log = {.data = log_text.data, .size = (int64_t) log_text.length, .tails = true};
        const struct logreader reader = {.ask = ask_replaced,
                                         .argument = &log,
                                         .size = log.size,
                                         .piece_max = 65536,
                                         .tail_max = 1 << 20,
                                         .effort = 8192};
        struct logreader_end end = logreader_read(&reader, 0, log.size, &out);
        assert_false(end.short_of_effort);
        assert_int_equal(end.next, log.size);
        assert_string_equal(out.data, want.data);
        strbuf_destroy(&log_text);
        strbuf_destroy(&want);
        strbuf_destroy(&out);
    }
}

static bool ask_nonsense(void *argument, struct logreader_question *questions, int count)
{
    unsigned *seed = argument;
    for (int i = 0; i < count; i++) {
        questions[i].outcome = (enum logreader_outcome)(rand_r(seed) % 3);
        assert_in_range(questions[i].want, 1, 5000);
        questions[i].good = rand_r(seed) % 8 == 0 ? INT64_MAX : rand_r(seed) % 100 - 10;
        questions[i].value = rand_r(seed) % 4 == 0 ? -1 : 0x80 + rand_r(seed) % 128;
        questions[i].data = "nonsense";
        questions[i].length = (size_t) rand_r(seed) % 9;
    }
    return true;
}

/* A peer that contradicts itself gets nonsense, in finite time. */
static void nonsense_ends(void **state)
{
    (void) state;
    unsigned seed = 5;
    for (int i = 0; i < 2000; i++) {
        const struct logreader reader = {.ask = ask_nonsense,
                                         .argument = &seed,
                                         .size = 5000,
                                         .piece_max = 1 + rand_r(&seed) % 1000,
                                         .tail_max = 5000,
                                         .from_end = rand_r(&seed) % 2,
                                         .give_up = rand_r(&seed) % 2,
                                         .effort = 256};
        struct strbuf out;
        strbuf_init(&out, 1 << 20);
        struct logreader_end end = logreader_read(&reader, 100, 4000, &out);
        assert_true(end.offset >= 100 && end.offset <= end.next && end.next <= 5000);
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
        {.name = "a wrong byte costs little", .test_func = a_wrong_byte_costs_little},
        {.name = "Latin-1 comes back byte for byte", .test_func = latin_1_comes_back_byte_for_byte},
        {.name = "of bytes from the end the last are kept",
         .test_func = of_bytes_from_the_end_the_last_are_kept},
        {.name = "what the beginning cuts is left out",
         .test_func = what_the_beginning_cuts_is_left_out},
        {.name = "the limit of effort holds", .test_func = the_limit_of_effort_holds},
        {.name = "what is given up is replaced", .test_func = what_is_given_up_is_replaced},
        {.name = "the source can stop", .test_func = the_source_can_stop},
        {.name = "a rotated log ends", .test_func = a_rotated_log_ends},
        {.name = "control characters alone are replaced",
         .test_func = control_characters_alone_are_replaced},
        {.name = "nonsense ends", .test_func = nonsense_ends},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
