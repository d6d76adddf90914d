/*
 * The XML-RPC codec: what supervisord sends, what it should never send, and its own requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cesid/check.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "cesid/xmlrpc.h"

#define HEAD "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n"
#define TAIL "</param>\n</params>\n</methodResponse>\n"
#define V(x) HEAD "<value>" x "</value>\n" TAIL
#define S(x) V("<string>" x "</string>")
#define FAULT(members)                                                                             \
    "<?xml version='1.0'?>\n<methodResponse><fault><value><struct>" members                        \
    "</struct></value></fault></methodResponse>"
#define MEMBER(name, value) "<member><name>" name "</name><value>" value "</value></member>"

static const struct xmlrpc_limits limits = {.values = 1000, .depth = 8};

static int parse(const char *data, size_t length, struct xmlrpc_answer *answer)
{
    const char *why = "untouched";
    /* exactly as large as it is said to be, for AddressSanitizer */
    char *copy = malloc(length > 0 ? length : 1);
    assert_non_null(copy);
    memcpy(copy, data, length);
    int error = xmlrpc_parse(copy, length, &limits, answer, &why);
    free(copy);
    if (error == 0) {
        assert_null(why);
        assert_true(answer->fault ? answer->fault_text != NULL : answer->value != NULL);
    } else {
        assert_int_equal(error, CESID_E_NODE_PROTOCOL);
        assert_non_null(why);
        assert_null(answer->arena);
        assert_null(answer->value);
    }
    return error;
}

static void expect_text(const char *data, size_t length, const char *want, size_t want_length)
{
    struct xmlrpc_answer answer;
    if (parse(data, length, &answer) != 0)
        fail_msg("refused: %s", data);
    assert_int_equal(answer.value->type, XMLRPC_STRING);
    assert_int_equal(answer.value->as.string.length, want_length);
    assert_memory_equal(answer.value->as.string.data, want, want_length + 1);
    xmlrpc_answer_free(&answer);
    assert_null(answer.arena);
}

#define STRING_IS(data, want) expect_text(data, sizeof(data) - 1, want, sizeof(want) - 1)

static void expect_number(const char *data, enum xmlrpc_type type, int64_t want)
{
    struct xmlrpc_answer answer;
    assert_int_equal(parse(data, strlen(data), &answer), 0);
    assert_int_equal(answer.value->type, type);
    assert_int_equal(answer.value->as.integer, want);
    xmlrpc_answer_free(&answer);
}

static void scalars(void **state)
{
    (void) state;
    expect_number(V("<int>42</int>"), XMLRPC_INT, 42);
    expect_number(V("<i4> -7\n</i4>"), XMLRPC_INT, -7);
    expect_number(V("<i4>+7</i4>"), XMLRPC_INT, 7);
    expect_number(V("<int>2147483647</int>"), XMLRPC_INT, INT32_MAX);
    expect_number(V("<int>-2147483648</int>"), XMLRPC_INT, INT32_MIN);
    expect_number(V("<i8>-9223372036854775808</i8>"), XMLRPC_INT, INT64_MIN);
    expect_number(V("<i8>9223372036854775807</i8>"), XMLRPC_INT, INT64_MAX);
    expect_number(V("\n  <boolean>1</boolean>\r\n "), XMLRPC_BOOLEAN, 1);
    expect_number(V("<boolean>0</boolean>"), XMLRPC_BOOLEAN, 0);
    STRING_IS(S("web"), "web");
    STRING_IS(V("untyped"), "untyped");
    STRING_IS(V("  "), "  ");
    STRING_IS(V(""), "");
    STRING_IS(V("<string/>"), "");
    STRING_IS(V("<dateTime.iso8601>20260102T03:04:05</dateTime.iso8601>"), "20260102T03:04:05");
    STRING_IS(V("<base64>aGVs\n bG8=\n</base64>"), "hello");
    STRING_IS(V("<base64>aGVsbA==</base64>"), "hell");
    STRING_IS(V("<base64>aGVs</base64>"), "hel");
    STRING_IS(V("<base64/>"), "");
    STRING_IS(V("<base64>YQBi</base64>"), "a\0b");
    STRING_IS(V("<base64>/2E=</base64>"), "\xEF\xBF\xBD"
                                          "a");

    struct xmlrpc_answer answer;
    assert_int_equal(
        parse(V("<double>-1.5e3</double>"), strlen(V("<double>-1.5e3</double>")), &answer), 0);
    assert_true(answer.value->type == XMLRPC_DOUBLE && answer.value->as.real == -1500.0);
    xmlrpc_answer_free(&answer);
    assert_int_equal(parse(V("<nil/>"), strlen(V("<nil/>")), &answer), 0);
    assert_int_equal(answer.value->type, XMLRPC_NIL);
    xmlrpc_answer_free(&answer);
}

static void text_comes_through_whole(void **state)
{
    (void) state;
    STRING_IS(S("a &lt;b&gt; &amp; &quot;c&apos; d"), "a <b> & \"c' d");
    STRING_IS(S("gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\x88"), "gr\xC3\xBC\xC3\x9F \xF0\x9F\x90\x88");
    STRING_IS(S("&#65;&#xfc;"), "A\xC3\xBC");
    STRING_IS(S("one<!-- two -->three"), "onethree");
    STRING_IS(S("<![CDATA[<raw> & more]]> text"), "<raw> & more text");
    STRING_IS("\xEF\xBB\xBF" S("bom"), "bom");
}

static void control_characters_come_through(void **state)
{
    (void) state;
    STRING_IS(S("\x1b[31mred\x1b[0m\x07\x08"), "\x1b[31mred\x1b[0m\x07\x08");
    STRING_IS(S("a\0b"), "a\0b");
    STRING_IS(S("one\r\ntwo\rthree\n"), "one\r\ntwo\rthree\n");
    STRING_IS(S("tab\tbed"), "tab\tbed");
    STRING_IS(S("<![CDATA[one\x1b]]>"), "one\x1b");
    /* U+FFFE and U+FFFF are characters that XML does not have */
    STRING_IS(S("\xEF\xBF\xBE\xEF\xBF\xBF\xEF\xBF\xBD"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    /* carriage returns between elements are no text */
    STRING_IS("<?xml version='1.0'?>\r\n<methodResponse>\r\n<params>\r\n<param>\r\n"
              "<value\r\n><string>x</string></value>\r\n</param></params></methodResponse>\r\n",
              "x");
    /* where text holds what stands in for them, they are replaced and it stays */
    STRING_IS(S("\x1b\xF4\x8F\xBC\x9B"), "\xEF\xBF\xBD\xF4\x8F\xBC\x9B");
    STRING_IS(S("\x1b&#x10FF1B;"), "\xEF\xBF\xBD\xF4\x8F\xBC\x9B");
    STRING_IS(S("\xF4\x8F\xBC\x9B"), "\xF4\x8F\xBC\x9B");
}

static void every_control_character(void **state)
{
    (void) state;
    for (int c = 1; c < 32; c++) {
        char data[512], want[] = {'<', (char) c, '>', '\0'};
        int length = snprintf(data, sizeof(data), S("&lt;%c&gt;"), c);
        expect_text(data, (size_t) length, want, 3);
    }
}

static void encodings(void **state)
{
    (void) state;
#define IN(encoding, text)                                                                         \
    "<?xml version='1.0' encoding='" encoding "'?><methodResponse><params><param><value>" text     \
    "</value></param></params></methodResponse>"
    STRING_IS(IN("utf-8", "\xC3\xBC\x1b"), "\xC3\xBC\x1b");
    STRING_IS(IN("ISO-8859-1", "\xFC"), "\xC3\xBC");
    STRING_IS(IN("us-ascii", "a"), "a");

    /* UTF-16 with a byte order mark */
    static const char ascii[] = "<methodResponse><params><param><value>u</value></param></params>"
                                "</methodResponse>";
    char wide[2 * sizeof(ascii)] = "\xFF\xFE";
    for (size_t i = 0; i + 1 < sizeof(ascii); i++)
        wide[2 + 2 * i] = ascii[i];
    expect_text(wide, 2 * sizeof(ascii), "u", 1);
}

static void faults(void **state)
{
    (void) state;
    static const char data[] = FAULT(MEMBER("faultCode", "<int>60</int>") MEMBER(
        "faultString", "<string>ALREADY_STARTED: web:web_00</string>"));
    struct xmlrpc_answer answer;
    assert_int_equal(parse(data, strlen(data), &answer), 0);
    assert_true(answer.fault);
    assert_int_equal(answer.fault_code, 60);
    assert_string_equal(answer.fault_text, "ALREADY_STARTED: web:web_00");
    assert_null(answer.value);
    xmlrpc_answer_free(&answer);
}

static void structures(void **state)
{
    (void) state;
    static const char data[] =
        V("<array><data>\n<value><struct>\n" MEMBER("name", "<string>web_00</string>") "\n" MEMBER(
            "pid", "<int>4711</int>")
              MEMBER("empty", "<struct></struct>") "</struct></value>\n<value><array><data></"
                                                   "data></array></value>"
                                                   "<value>last</value></data></array>");
    struct xmlrpc_answer answer;
    assert_int_equal(parse(data, strlen(data), &answer), 0);
    const struct xmlrpc_value *value = answer.value;
    assert_int_equal(value->type, XMLRPC_ARRAY);
    assert_int_equal(value->as.items.count, 3);
    const struct xmlrpc_value *first = value->as.items.first;
    assert_int_equal(first->type, XMLRPC_STRUCT);
    assert_int_equal(first->as.items.count, 3);
    assert_null(first->name);
    assert_string_equal(xmlrpc_member(first, "name")->as.string.data, "web_00");
    assert_int_equal(xmlrpc_member(first, "pid")->as.integer, 4711);
    assert_int_equal(xmlrpc_member(first, "empty")->as.items.count, 0);
    assert_null(xmlrpc_member(first, "empty")->as.items.first);
    assert_null(xmlrpc_member(first, "nothing"));
    assert_null(xmlrpc_member(value, "name"));
    assert_null(xmlrpc_member(NULL, "name"));
    assert_int_equal(first->next->type, XMLRPC_ARRAY);
    assert_int_equal(first->next->as.items.count, 0);
    assert_string_equal(first->next->next->as.string.data, "last");
    assert_null(first->next->next->next);
    xmlrpc_answer_free(&answer);
}

static const char *const refused[] = {
    "",
    " ",
    "hello",
    "<html><body>Not found</body></html>",
    "<methodResponse/>",
    "<methodResponse><params/></methodResponse>",
    "<methodResponse><params><param/></params></methodResponse>",
    "<methodCall><methodName>x</methodName></methodCall>",
    V("a") "garbage",
    V("a") "<methodResponse/>",
    "x" V("a"),
    HEAD "<value>a</value><value>b</value>" TAIL,
    "<methodResponse><params><param><value>a</value></param><param><value>b</value></param>"
    "</params></methodResponse>",
    "<methodResponse><params><param><value>a</value></param></params><params/></methodResponse>",
    HEAD "text<value>a</value>" TAIL,
    HEAD "<value>a</value>text" TAIL,
    V("<int>1</int><int>2</int>"),
    V("text<int>1</int>"),
    V("<int>1</int>text"),
    V("<int></int>"),
    V("<int>-</int>"),
    V("<int>1 2</int>"),
    V("<int>0x10</int>"),
    V("<int>2147483648</int>"),
    V("<int>-2147483649</int>"),
    V("<i8>9223372036854775808</i8>"),
    V("<i8>-9223372036854775809</i8>"),
    V("<boolean>2</boolean>"),
    V("<boolean>true</boolean>"),
    V("<boolean></boolean>"),
    V("<double>inf</double>"),
    V("<double>nan</double>"),
    V("<double>0x1p3</double>"),
    V("<double>1e999</double>"),
    V("<double></double>"),
    V("<base64>a</base64>"),
    V("<base64>aGVsbG8</base64>"),
    V("<base64>a===</base64>"),
    V("<base64>aG=s</base64>"),
    V("<base64>aG?s</base64>"),
    V("<nil>x</nil>"),
    V("<string><b>bold</b></string>"),
    V("<unknown/>"),
    V("<array/>"),
    V("<array><value/></array>"),
    V("<array><data/><data/></array>"),
    V("<array><data>text</data></array>"),
    V("<struct><value/></struct>"),
    V("<struct><member/></struct>"),
    V("<struct><member><name>a</name></member></struct>"),
    V("<struct><member><value/></member></struct>"),
    V("<struct><member><value/><name>a</name></member></struct>"),
    V("<struct><member><name>a</name><name>b</name></member></struct>"),
    V("<struct><member><name>a</name><value/><value/></member></struct>"),
    FAULT(""),
    FAULT(MEMBER("faultCode", "<int>1</int>")),
    FAULT(MEMBER("faultCode", "one") MEMBER("faultString", "text")),
    FAULT(MEMBER("faultCode", "<int>1</int>") MEMBER("faultString", "<int>2</int>")),
    "<methodResponse><fault><value>oops</value></fault></methodResponse>",
    "<methodResponse><fault><value/></fault><params/></methodResponse>",
    "<?xml version='1.0'?><!DOCTYPE methodResponse>" S("a"),
    "<!DOCTYPE methodResponse [<!ENTITY a 'b'>]><methodResponse><params><param><value>&a;</value>"
    "</param></params></methodResponse>",
    "<!DOCTYPE methodResponse SYSTEM 'file:///etc/passwd'><methodResponse/>",
    V("&unknown;"),
    V("&#0;"),
    V("&#x1b;"),
    V("&#xD800;"),
    V("\x80"),
    V("\xED\xA0\x80"),
    V("\xC3"),
    "<?xml version='1.0' encoding='utf-7'?><methodResponse/>",
    "<?xml version='1.0' encoding='made-up'?><methodResponse/>",
    "<?xml version='1.0' encoding='us-ascii'?><methodResponse><params><param><value>\xFC</value>"
    "</param></params></methodResponse>",
    HEAD "<value\x1b>a</value>" TAIL,
    HEAD "\x1b<value>a</value>" TAIL,
    "<x:methodResponse xmlns:x='u'><params><param><value>a</value></param></params>"
    "</x:methodResponse>",
    "<x:methodResponse><params><param><value>a</value></param></params></x:methodResponse>",
};

static void what_is_no_answer_is_refused(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct xmlrpc_answer answer;
        if (parse(refused[i], strlen(refused[i]), &answer) == 0)
            fail_msg("accepted: %s", refused[i]);
    }
    struct xmlrpc_answer answer;
    static const char nul[] = V("a") "\0<methodResponse/>";
    assert_int_not_equal(parse(nul, sizeof(nul) - 1, &answer), 0);
    static const char latin[] = "<?xml version='1.0' encoding='iso-8859-1'?>"
                                "<methodResponse><params><param><value>a</value></param></params>"
                                "</methodResponse>\0garbage";
    assert_int_not_equal(parse(latin, sizeof(latin) - 1, &answer), 0);
}

static void every_truncation_is_refused(void **state)
{
    (void) state;
    static const char data[] = V("<array><data><value><struct>" MEMBER(
        "a", "<int>1</int>") "</struct></value><value>x\x1b</value></data></array>");
    size_t whole = (size_t) (strstr(data, "</methodResponse>") - data) + 17;
    for (size_t length = 0; length < whole; length++) {
        struct xmlrpc_answer answer;
        assert_int_not_equal(parse(data, length, &answer), 0);
    }
    struct xmlrpc_answer answer;
    assert_int_equal(parse(data, whole, &answer), 0);
    xmlrpc_answer_free(&answer);
}

static void limits_hold(void **state)
{
    (void) state;
    struct strbuf data;
    strbuf_init(&data, 1 << 20);
    for (int depth = 1; depth <= 70; depth++) {
        strbuf_clear(&data);
        strbuf_puts(&data, HEAD);
        for (int i = 1; i < depth; i++)
            strbuf_puts(&data, "<value><struct><member><name>n</name>");
        strbuf_puts(&data, "<value><int>1</int></value>");
        for (int i = 1; i < depth; i++)
            strbuf_puts(&data, "</member></struct></value>");
        strbuf_puts(&data, TAIL);
        struct xmlrpc_answer answer;
        assert_int_equal(parse(data.data, data.length, &answer) == 0, depth <= limits.depth);
        xmlrpc_answer_free(&answer);
        const struct xmlrpc_limits deepest = {.values = 1000, .depth = 1000};
        const char *why;
        assert_int_equal(xmlrpc_parse(data.data, data.length, &deepest, &answer, &why) == 0,
                         depth <= XMLRPC_DEPTH_MAX);
        xmlrpc_answer_free(&answer);
    }
    for (size_t count = limits.values - 2; count <= limits.values + 1; count++) {
        strbuf_clear(&data);
        strbuf_puts(&data, HEAD "<value><array><data>");
        for (size_t i = 0; i < count; i++)
            strbuf_puts(&data, "<value/>");
        strbuf_puts(&data, "</data></array></value>" TAIL);
        struct xmlrpc_answer answer;
        assert_int_equal(parse(data.data, data.length, &answer) == 0, count < limits.values);
        xmlrpc_answer_free(&answer);
    }
    strbuf_destroy(&data);
}

/* libxml2 hands long text over in parts, and around references. */
static void long_text_is_joined(void **state)
{
    (void) state;
    struct strbuf data, want;
    strbuf_init(&data, 16 << 20);
    strbuf_init(&want, 16 << 20);
    strbuf_puts(&data, HEAD "<value><string>");
    for (int i = 0; i < 50000; i++) {
        strbuf_printf(&data, "line %d &amp; \xC3\xBC\x1b\r\n", i);
        strbuf_printf(&want, "line %d & \xC3\xBC\x1b\r\n", i);
    }
    strbuf_puts(&data, "</string></value>" TAIL);
    expect_text(data.data, data.length, want.data, want.length);
    strbuf_destroy(&data);
    strbuf_destroy(&want);
}

/* Whatever bytes come, the parser says yes or no, and a yes is valid UTF-8 throughout. */
static void mutations(void **state)
{
    (void) state;
    static const char data[] = V(
        "<array><data><value><struct>" MEMBER("name", "<string>w&amp;b</string>")
            MEMBER("pid", "<int>4711</int>") "</struct></value><value>\xC3\xBC</value>"
                                             "<value><base64>aGVs</base64></value></data></array>");
    unsigned seed = 1;
    for (int i = 0; i < 20000; i++) {
        char mutant[sizeof(data)];
        memcpy(mutant, data, sizeof(data));
        for (int n = 1 + rand_r(&seed) % 3; n > 0; n--)
            mutant[(size_t) rand_r(&seed) % (sizeof(data) - 1)] = (char) rand_r(&seed);
        struct xmlrpc_answer answer;
        if (parse(mutant, sizeof(data) - 1, &answer) == 0 && !answer.fault &&
            answer.value->type == XMLRPC_STRING)
            assert_true(text_is_utf8(answer.value->as.string.data, answer.value->as.string.length));
        xmlrpc_answer_free(&answer);
    }
}

static void requests(void **state)
{
    (void) state;
    struct strbuf out;
    strbuf_init(&out, 4096);
    xmlrpc_call_begin(&out, "supervisor.startProcess");
    xmlrpc_add_string(&out, "a<b>&\r", 6);
    xmlrpc_add_int(&out, -5);
    xmlrpc_add_boolean(&out, true);
    xmlrpc_add_boolean(&out, false);
    xmlrpc_call_end(&out);
    assert_false(strbuf_failed(&out));
    assert_string_equal(
        out.data, "<?xml version=\"1.0\"?>\n<methodCall><methodName>supervisor.startProcess"
                  "</methodName><params><param><value><string>a&lt;b&gt;&amp;&#13;</string></value>"
                  "</param><param><value><int>-5</int></value></param><param><value><boolean>1"
                  "</boolean></value></param><param><value><boolean>0</boolean></value></param>"
                  "</params></methodCall>\n");

    static const struct {
        const char *value;
        size_t length;
        const char *markup;
    } texts[] = {
        {"\x03", 1, "<base64>Aw==</base64>"},
        {"a\0", 2, "<base64>YQA=</base64>"},
        {"\x1b[A", 3, "<base64>G1tB</base64>"},
        {"\xEF\xBF\xBF", 3, "<base64>77+/</base64>"},
        {"\xFF", 1, "<string>\xEF\xBF\xBD</string>"},
        {"\xC3\xBC\n\t", 4, "<string>\xC3\xBC\n\t</string>"},
        {"", 0, "<string></string>"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        strbuf_clear(&out);
        xmlrpc_value_string(&out, texts[i].value, texts[i].length);
        char want[128];
        snprintf(want, sizeof(want), "<value>%s</value>", texts[i].markup);
        assert_string_equal(out.data, want);
    }

    strbuf_clear(&out);
    xmlrpc_batch_begin(&out);
    xmlrpc_batch_call(&out, "m");
    xmlrpc_value_int(&out, 1);
    xmlrpc_batch_call_end(&out);
    xmlrpc_batch_end(&out);
    assert_string_equal(out.data,
                        "<param><value><array><data><value><struct><member><name>methodName</name>"
                        "<value><string>m</string></value></member><member><name>params</name>"
                        "<value><array><data><value><int>1</int></value></data></array></value>"
                        "</member></struct></value></data></array></value></param>");
    strbuf_destroy(&out);
}

/* What is sent as base64 is read back as the same bytes. */
static void text_survives_the_way_there_and_back(void **state)
{
    (void) state;
    unsigned seed = 7;
    for (int i = 0; i < 2000; i++) {
        char text[40];
        size_t length = (size_t) rand_r(&seed) % sizeof(text);
        for (size_t j = 0; j < length; j++)
            text[j] = (char) (rand_r(&seed) % 128);
        struct strbuf data;
        strbuf_init(&data, 4096);
        strbuf_puts(&data, "<methodResponse><params><param>");
        xmlrpc_value_string(&data, text, length);
        strbuf_puts(&data, "</param></params></methodResponse>");
        struct xmlrpc_answer answer;
        assert_int_equal(parse(data.data, data.length, &answer), 0);
        assert_int_equal(answer.value->as.string.length, length);
        assert_memory_equal(answer.value->as.string.data, text, length);
        xmlrpc_answer_free(&answer);
        strbuf_destroy(&data);
    }
}

/* libxml2 likes to talk: nothing of it may reach standard error. */
static void is_silent(void **state)
{
    (void) state;
    FILE *sink = tmpfile();
    assert_non_null(sink);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0 && dup2(fileno(sink), STDERR_FILENO) >= 0);
    for (size_t i = 0; i < ARRAY_LENGTH(refused); i++) {
        struct xmlrpc_answer answer;
        const char *why;
        (void) !xmlrpc_parse(refused[i], strlen(refused[i]), &limits, &answer, &why);
    }
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    assert_int_equal(lseek(fileno(sink), 0, SEEK_END), 0);
    fclose(sink);
}

#define NAMED(text, function)                                                                      \
    {                                                                                              \
        .name = (text), .test_func = (function)                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("scalars of every type", scalars),
        NAMED("text comes through whole", text_comes_through_whole),
        NAMED("control characters come through", control_characters_come_through),
        NAMED("every control character", every_control_character),
        NAMED("encodings", encodings),
        NAMED("faults", faults),
        NAMED("arrays and structs", structures),
        NAMED("what is no answer is refused", what_is_no_answer_is_refused),
        NAMED("every truncation is refused", every_truncation_is_refused),
        NAMED("limits of depth and values", limits_hold),
        NAMED("long text is joined", long_text_is_joined),
        NAMED("mutations do no harm", mutations),
        NAMED("requests", requests),
        NAMED("text survives the way there and back", text_survives_the_way_there_and_back),
        NAMED("nothing is written to standard error", is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
