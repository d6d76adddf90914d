/*
 * The JSON writer places commas and escapes; the reader takes RFC 8259 and nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/json.h"
#include "cesid/memory.h"

static void assert_written(struct strbuf *out, const char *expected)
{
    assert_false(strbuf_failed(out));
    assert_string_equal(out->data, expected);
    strbuf_destroy(out);
}

static void writes_nested_values(void **state)
{
    (void) state;
    struct strbuf out;
    struct json json;
    strbuf_init(&out, 4096);
    json_start(&json, &out);
    json_object(&json);
    json_put_string(&json, "name", "web-1");
    json_put_string(&json, "cause", NULL);
    json_put_integer(&json, "revision", INT64_MIN);
    json_put_boolean(&json, "enabled", true);
    json_put_null(&json, "hint");
    json_put_time(&json, "since", 0);
    json_put_time(&json, "at", 1);
    json_key(&json, "items");
    json_array(&json);
    json_integer(&json, 1);
    json_object(&json);
    json_object_end(&json);
    json_array(&json);
    json_array_end(&json);
    json_bytes(&json, "a\0b", 3);
    json_boolean(&json, false);
    json_array_end(&json);
    json_put_raw(&json, "data", "{}", 2);
    json_object_end(&json);
    assert_written(&out, "{\"name\":\"web-1\",\"cause\":null,\"revision\":-9223372036854775808,"
                         "\"enabled\":true,\"hint\":null,\"since\":null,"
                         "\"at\":\"1970-01-01T00:00:00.001Z\",\"items\":[1,{},[],\"a\\u0000b\","
                         "false],\"data\":{}}");
}

static void writes_numbers(void **state)
{
    (void) state;
    static const struct {
        double value;
        const char *expected;
    } cases[] = {
        {0.0, "0"},
        {-0.0, "0"},
        {1.0, "1"},
        {0.004, "0.004"},
        {-2.5, "-2.5"},
        {1234567.0, "1234567"},
        {-1e-9, "0"},
        {0.1234567, "0.123457"},
        {1e300, "1.0000000000000001e+300"},
        {NAN, "null"},
        {INFINITY, "null"},
        {100.0, "100"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct strbuf out;
        struct json json;
        strbuf_init(&out, 4096);
        json_start(&json, &out);
        json_real(&json, cases[i].value);
        assert_written(&out, cases[i].expected);
    }
}

static void writes_members_without_braces(void **state)
{
    (void) state;
    struct strbuf out;
    struct json json;
    strbuf_init(&out, 4096);
    json_start(&json, &out);
    json_put_string(&json, "type", "node");
    json_put_integer(&json, "seq", 7);
    assert_written(&out, "\"type\":\"node\",\"seq\":7");
}

static void stays_inside_the_buffers_cap(void **state)
{
    (void) state;
    struct strbuf out;
    struct json json;
    strbuf_init(&out, 8);
    json_start(&json, &out);
    json_array(&json);
    for (int i = 0; i < 100; i++)
        json_real(&json, 0.125);
    json_array_end(&json);
    assert_true(strbuf_failed(&out));
    assert_true(out.length <= 8);
    strbuf_destroy(&out);
}

static void reads_what_the_writer_wrote(void **state)
{
    (void) state;
    static const char text[] =
        " {\"a\": [1, -2.5e3, true, false, null, {\"b\": \"x\\ud83d\\ude00\"}"
        "], \"A\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\": 0}\r\n\t";
    cJSON *tree;
    const char *why = NULL;
    assert_int_equal(json_parse(text, sizeof(text) - 1, &tree, &why), 0);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "a");
    assert_int_equal(cJSON_GetArraySize(list), 6);
    assert_true(cJSON_GetArrayItem(list, 1)->valuedouble == -2500.0);
    assert_string_equal(cJSON_GetArrayItem(list, 5)->child->valuestring, "x\xF0\x9F\x98\x80");
    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tree, "A")->valuestring,
                        "\"\\/\b\f\n\r\t");
    cJSON_Delete(tree);
    assert_int_equal(json_parse("7", 1, &tree, &why), 0);
    cJSON_Delete(tree);
}

static void refuses_what_is_not_json(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"", "empty"},
        {" \n", "empty"},
        {"\xEF\xBB\xBF{}", "value was expected"},
        {"{", "key was expected"},
        {"[", "ends too early"},
        {"[1", "comma"},
        {"[1,]", "value was expected"},
        {"{\"a\":1,}", "key was expected"},
        {"{a:1}", "key was expected"},
        {"{\"a\" 1}", "colon"},
        {"{\"a\":1 \"b\":2}", "comma"},
        {"{} {}", "follows"},
        {"{}x", "follows"},
        {"nul", "value was expected"},
        {"nulll", "follows"},
        {"True", "value was expected"},
        {"'a'", "value was expected"},
        {"01", "leading zero"},
        {"-01", "leading zero"},
        {"-", "value was expected"},
        {"+1", "value was expected"},
        {".5", "value was expected"},
        {"1.", "malformed"},
        {"1e", "malformed"},
        {"1e+", "malformed"},
        {"1e999", "too large"},
        {"NaN", "value was expected"},
        {"1111111111111111111111111111111111111111111111111111111111111111", "too long"},
        {"\"a", "does not end"},
        {"\"a\\", "does not end"},
        {"\"a\nb\"", "control character"},
        {"\"\\x41\"", "unknown escape"},
        {"\"\\u12\"", "four hexadecimal"},
        {"\"\\u12g4\"", "four hexadecimal"},
        {"\"\\u0000\"", "U+0000"},
        {"\"\\ud83d\"", "surrogate"},
        {"\"\\ude00\"", "surrogate"},
        {"\"\\ud83d\\u0041\"", "surrogate"},
        {"\"\xFF\"", "UTF-8"},
        {"\"\xC0\x80\"", "UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "same key"},
        {"{\"a\":1,\"\\u0061\":3}", "same key"},
        {"[{\"x\":{\"a\":1,\"a\":1}}]", "same key"},
        {"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "deeply"},
        {"/* no */ 1", "value was expected"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        cJSON *tree = NULL;
        const char *why = NULL;
        int error = json_parse(cases[i].text, strlen(cases[i].text), &tree, &why);
        if (error != CESID_E_INVALID_JSON || !why || !strstr(why, cases[i].why))
            fail_msg("'%s': %d, %s", cases[i].text, error, why ? why : "no reason");
        assert_null(tree);
    }
    cJSON *tree;
    const char *why;
    assert_int_equal(json_parse("[1]\0", 4, &tree, &why), CESID_E_INVALID_JSON);
    assert_int_equal(json_parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", 33, &tree, &why), 0);
    cJSON_Delete(tree);
}

static void bounds_the_size_of_the_tree(void **state)
{
    (void) state;
    struct strbuf text;
    strbuf_init(&text, 1 << 20);
    strbuf_putc(&text, '[');
    for (int i = 0; i < 100000; i++)
        strbuf_puts(&text, "0,");
    strbuf_puts(&text, "0]");
    cJSON *tree;
    const char *why;
    assert_int_equal(json_parse(text.data, text.length, &tree, &why), CESID_E_INVALID_JSON);
    assert_string_equal(why, "too many values");
    strbuf_clear(&text);
    strbuf_putc(&text, '{');
    for (int i = 0; i < 50000; i++)
        strbuf_printf(&text, "\"k%d\":0,", i);
    strbuf_puts(&text, "\"k49999\":0}");
    assert_int_equal(json_parse(text.data, text.length, &tree, &why), CESID_E_INVALID_JSON);
    assert_string_equal(why, "an object has the same key twice");
    strbuf_destroy(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_nested_values),
        cmocka_unit_test(writes_numbers),
        cmocka_unit_test(writes_members_without_braces),
        cmocka_unit_test(stays_inside_the_buffers_cap),
        cmocka_unit_test(reads_what_the_writer_wrote),
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(bounds_the_size_of_the_tree),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
