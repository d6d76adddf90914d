/*
 * Text from elsewhere: well-formed or not, escaped for JSON and for logs, globs and names.
 */
#include "unit.h"

#include "cesid/check.h"
#include "cesid/text.h"

#define LITERAL(text) text, sizeof(text) - 1

typedef void (*adder)(struct strbuf *out, const char *data, size_t length);

static void assert_added(adder add, const char *data, size_t length, const char *expected)
{
    struct strbuf out;

    strbuf_init(&out, 4096);
    add(&out, data, length);
    assert_false(strbuf_failed(&out));
    assert_string_equal(out.data, expected);
    strbuf_destroy(&out);
}

static void knows_well_formed_utf8(void **state)
{
    (void) state;
    assert_true(text_is_utf8(LITERAL("")));
    assert_true(text_is_utf8(LITERAL("plain\0\n\x7f")));
    assert_true(text_is_utf8(LITERAL("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xEF\xBF\xBF")));
    assert_true(text_is_utf8(LITERAL("\xED\x9F\xBF \xEE\x80\x80"))); /* around the surrogates */
    assert_true(text_is_utf8(LITERAL("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF")));
}

static void refuses_malformed_utf8(void **state)
{
    (void) state;
    assert_false(text_is_utf8(LITERAL("\x80")));
    assert_false(text_is_utf8(LITERAL("a\xBF")));
    assert_false(text_is_utf8(LITERAL("\xC0\x80")));         /* overlong */
    assert_false(text_is_utf8(LITERAL("\xC1\xBF")));         /* overlong */
    assert_false(text_is_utf8(LITERAL("\xE0\x9F\xBF")));     /* overlong */
    assert_false(text_is_utf8(LITERAL("\xF0\x8F\xBF\xBF"))); /* overlong */
    assert_false(text_is_utf8(LITERAL("\xED\xA0\x80")));     /* first surrogate */
    assert_false(text_is_utf8(LITERAL("\xED\xBF\xBF")));     /* last surrogate */
    assert_false(text_is_utf8(LITERAL("\xF4\x90\x80\x80"))); /* past U+10FFFF */
    assert_false(text_is_utf8(LITERAL("\xF5\x80\x80\x80")));
    assert_false(text_is_utf8(LITERAL("\xFE\xFF")));
    assert_false(text_is_utf8(LITERAL("\xE2\x82")));     /* ends too early */
    assert_false(text_is_utf8(LITERAL("\xE2\x82z")));    /* goes on with something else */
    assert_false(text_is_utf8(LITERAL("\xF0\x9F\x98"))); /* ends too early */
}

/* Every code point, against an encoder that was written the other way round. */
static void decodes_every_character(void **state)
{
    (void) state;
    for (uint32_t point = 0; point <= 0x110000; point++) {
        char bytes[4];
        size_t size = 0;
        bool valid = point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);

        if (point < 0x80) {
            bytes[size++] = (char) point;
        } else if (point < 0x800) {
            bytes[size++] = (char) (0xC0 | point >> 6);
        } else if (point < 0x10000) {
            bytes[size++] = (char) (0xE0 | point >> 12);
            bytes[size++] = (char) (0x80 | (point >> 6 & 0x3F));
        } else {
            bytes[size++] = (char) (0xF0 | point >> 18);
            bytes[size++] = (char) (0x80 | (point >> 12 & 0x3F));
            bytes[size++] = (char) (0x80 | (point >> 6 & 0x3F));
        }
        if (point >= 0x80)
            bytes[size++] = (char) (0x80 | (point & 0x3F));
        if (text_is_utf8(bytes, size) != valid)
            fail_msg("U+%04X is %s", point, valid ? "valid" : "not valid");
        for (size_t cut = 1; valid && cut < size; cut++)
            if (text_is_utf8(bytes, cut) || text_utf8_complete(bytes, cut) != 0)
                fail_msg("U+%04X cut to %zu bytes", point, cut);
    }
}

static void cuts_between_characters(void **state)
{
    (void) state;
    assert_int_equal(text_utf8_complete(LITERAL("")), 0);
    assert_int_equal(text_utf8_complete(LITERAL("abc")), 3);
    assert_int_equal(text_utf8_complete(LITERAL("ab\xC3")), 2);
    assert_int_equal(text_utf8_complete(LITERAL("ab\xC3\xA9")), 4);
    assert_int_equal(text_utf8_complete(LITERAL("a\xE2\x82")), 1);
    assert_int_equal(text_utf8_complete(LITERAL("a\xF0\x9F\x98")), 1);
    assert_int_equal(text_utf8_complete(LITERAL("\xF0\x9F\x98\x80")), 4);
    /* What can never become a character is not waited for. */
    assert_int_equal(text_utf8_complete(LITERAL("ab\xFF")), 3);
    assert_int_equal(text_utf8_complete(LITERAL("a\x80\x80\x80\x80")), 5);
    assert_int_equal(text_utf8_complete(LITERAL("a\xED\xA0")), 3);
    assert_int_equal(text_utf8_complete(LITERAL("a\xE0\x80")), 3);
}

static void replaces_each_stray_byte(void **state)
{
    (void) state;
    assert_added(text_add_utf8, LITERAL("caf\xC3\xA9"), "caf\xC3\xA9");
    assert_added(text_add_utf8, LITERAL("caf\xE9!"), "caf\xEF\xBF\xBD!");
    assert_added(text_add_utf8, LITERAL("\xE2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_added(text_add_utf8, LITERAL("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    assert_added(text_add_utf8, LITERAL("\xFF"), "\xEF\xBF\xBD");
}

static void json_is_harmless_in_html_and_on_terminals(void **state)
{
    (void) state;
    assert_added(text_add_json, LITERAL(""), "\"\"");
    assert_added(text_add_json, LITERAL("caf\xC3\xA9 \xF0\x9F\x98\x80"),
                 "\"caf\xC3\xA9 \xF0\x9F\x98\x80\"");
    assert_added(text_add_json, LITERAL("\"\\/"), "\"\\\"\\\\/\"");
    assert_added(text_add_json, LITERAL("\n\r\t\b\x1b\x7f"), "\"\\n\\r\\t\\u0008\\u001b\\u007f\"");
    assert_added(text_add_json, LITERAL("a\0b"), "\"a\\u0000b\"");
    assert_added(text_add_json, LITERAL("</script>&"), "\"\\u003c/script\\u003e\\u0026\"");
    assert_added(text_add_json, LITERAL("\xE2\x80\xA8\xE2\x80\xA9"), "\"\\u2028\\u2029\"");
    assert_added(text_add_json,
                 LITERAL("\xC2\x9B"
                         "31m"),
                 "\"\\u009b31m\"");
    assert_added(text_add_json,
                 LITERAL("\xE2\x80\xAE"
                         "exe\xE2\x81\xA6"),
                 "\"\\u202eexe\\u2066\"");
    assert_added(text_add_json, LITERAL("x\xFFy"), "\"x\xEF\xBF\xBDy\"");
}

static void log_text_is_printable(void **state)
{
    (void) state;
    assert_added(text_add_escaped, LITERAL("plain text, caf\xC3\xA9"), "plain text, caf\xC3\xA9");
    assert_added(text_add_escaped, LITERAL("a\nb\r\t\x1b[31m"), "a\\x0ab\\x0d\\x09\\x1b[31m");
    assert_added(text_add_escaped, LITERAL("C:\\x0a"), "C:\\x5cx0a");
    assert_added(text_add_escaped, LITERAL("a\0b\x7f"), "a\\x00b\\x7f");
    assert_added(text_add_escaped,
                 LITERAL("\xC2\x9B"
                         "2J"),
                 "\\u{009b}2J");
    assert_added(text_add_escaped,
                 LITERAL("\xE2\x80\xAE"
                         "abc"),
                 "\\u{202e}abc");
    assert_added(text_add_escaped, LITERAL("\xE2\x80\xA8"), "\\u{2028}");
    assert_added(text_add_escaped, LITERAL("\xF3\xA0\x80\x81"), "\\u{e0001}");
    assert_added(text_add_escaped, LITERAL("\xFF\xC3"), "\\xff\\xc3");
}

/* Whatever the bytes, what comes out is UTF-8 and holds no control byte. */
static void any_bytes_come_out_clean(void **state)
{
    (void) state;
    static const adder adders[] = {text_add_json, text_add_escaped};
    unsigned seed = 20260102;
    char data[64];

    for (int round = 0; round < 5000; round++) {
        size_t length = (size_t) rand_r(&seed) % sizeof(data);

        for (size_t i = 0; i < length; i++)
            data[i] = (char) (rand_r(&seed) >> 3);
        for (size_t i = 0; i < ARRAY_LENGTH(adders); i++) {
            struct strbuf out;

            strbuf_init(&out, 4096);
            adders[i](&out, data, length);
            assert_true(text_is_utf8(out.data, out.length));
            for (size_t at = 0; at < out.length; at++)
                assert_true((unsigned char) out.data[at] >= 0x20 && out.data[at] != 0x7F);
            strbuf_destroy(&out);
        }
    }
}

static void globs_match_the_whole_text(void **state)
{
    (void) state;
    assert_true(text_glob("", ""));
    assert_true(text_glob("*", ""));
    assert_true(text_glob("*", "anything/at.all"));
    assert_true(text_glob("web-*", "web-1"));
    assert_true(text_glob("*-1", "web-1"));
    assert_true(text_glob("w*b*1", "web-blue-1"));
    assert_true(text_glob("***a***", "banana"));
    assert_true(text_glob("web-?", "web-1"));
    assert_true(text_glob("?", "\xC3\xA9"));
    assert_false(text_glob("*\xA9", "\xC3\xA9")); /* not into the middle of a character */
    assert_true(text_glob("\\*", "*"));
    assert_true(text_glob("\\?x", "?x"));
    assert_true(text_glob("a\\\\b", "a\\b"));
    assert_true(text_glob("a\\", "a\\"));
    assert_true(text_glob("[a-z]", "[a-z]"));

    assert_false(text_glob("", "a"));
    assert_false(text_glob("?", ""));
    assert_false(text_glob("web", "web-1"));
    assert_false(text_glob("web-1", "web"));
    assert_false(text_glob("eb-1", "web-1"));
    assert_false(text_glob("web-?", "web-12"));
    assert_false(text_glob("\\*", "a"));
    assert_false(text_glob("[a-z]", "b"));
    assert_false(text_glob("*a", "b"));
    assert_false(text_glob("Web", "web"));
}

static void globs_cannot_be_made_slow(void **state)
{
    (void) state;
    char text[5001], pattern[2001];
    int64_t begin = real_now();

    memset(text, 'a', 5000);
    text[5000] = '\0';
    for (size_t i = 0; i < 2000; i += 2) {
        pattern[i] = '*';
        pattern[i + 1] = i % 4 == 0 ? 'a' : '?';
    }
    pattern[1999] = 'b';
    pattern[2000] = '\0';
    assert_false(text_glob(pattern, text));
    assert_true(real_now() - begin < INT64_C(5000000000));
}

static void names_are_plain(void **state)
{
    (void) state;
    char longest[66];

    assert_true(text_is_name("a"));
    assert_true(text_is_name("9"));
    assert_true(text_is_name("web-1.example_x"));
    memset(longest, 'x', sizeof(longest));
    longest[64] = '\0';
    assert_true(text_is_name(longest));
    longest[64] = 'x';
    longest[65] = '\0';
    assert_false(text_is_name(longest));
    assert_false(text_is_name(""));
    assert_false(text_is_name("-web"));
    assert_false(text_is_name(".."));
    assert_false(text_is_name("_x"));
    assert_false(text_is_name("a b"));
    assert_false(text_is_name("a/b"));
    assert_false(text_is_name("a:b"));
    assert_false(text_is_name("a\n"));
    assert_false(text_is_name("caf\xC3\xA9"));
}

static void secrets_are_compared_whole(void **state)
{
    (void) state;
    assert_true(text_equal_secret("", 0, "", 0));
    assert_true(text_equal_secret("abc", 3, "abc", 3));
    assert_true(text_equal_secret("a\0c", 3, "a\0c", 3));
    assert_false(text_equal_secret("a\0c", 3, "a\0d", 3));
    assert_false(text_equal_secret("abc", 3, "", 0));
    assert_false(text_equal_secret("", 0, "abc", 3));
    assert_false(text_equal_secret("abcabc", 6, "abc", 3));
    assert_false(text_equal_secret("abc", 3, "abcabc", 6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("text: knows well-formed UTF-8", knows_well_formed_utf8),
        NAMED("text: refuses malformed UTF-8", refuses_malformed_utf8),
        NAMED("text: decodes every character", decodes_every_character),
        NAMED("text: cuts between characters", cuts_between_characters),
        NAMED("text: replaces each stray byte", replaces_each_stray_byte),
        NAMED("R9.5 JSON text is harmless in HTML and on terminals",
              json_is_harmless_in_html_and_on_terminals),
        NAMED("R9.5 text for the log is printable", log_text_is_printable),
        NAMED("R9.5 any bytes come out clean", any_bytes_come_out_clean),
        NAMED("text: globs match the whole text", globs_match_the_whole_text),
        NAMED("text: globs cannot be made slow", globs_cannot_be_made_slow),
        NAMED("text: names are plain", names_are_plain),
        NAMED("text: secrets are compared whole", secrets_are_compared_whole),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
