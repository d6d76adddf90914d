/*
 * JSON in and out. The writer appends to a strbuf, whose cap bounds it. The reader checks the whole
 * text against RFC 8259 by itself before cJSON sees it, because cJSON is lenient: it takes control
 * bytes in strings, leading zeros, a BOM, lone surrogates, and cuts a string at \u0000. Pure
 * functions without locks.
 */
#include "cesid/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"

#define WRITER_DEPTH 32
#define READER_DEPTH 16
/* A tree costs some 100 bytes a value, and a value may be 2 bytes of the text. */
#define READER_VALUES 100000

/* ---- writing ---- */

void json_start(struct json *json, struct strbuf *out)
{
    *json = (struct json){.out = out};
}

static void separate(struct json *json)
{
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    uint32_t bit = UINT32_C(1) << json->depth;
    if (json->has_items & bit)
        strbuf_putc(json->out, ',');
    json->has_items |= bit;
}

static void open_container(struct json *json, char bracket)
{
    separate(json);
    CHECK(json->depth < WRITER_DEPTH - 1);
    json->depth++;
    json->has_items &= ~(UINT32_C(1) << json->depth);
    strbuf_putc(json->out, bracket);
}

static void close_container(struct json *json, char bracket)
{
    CHECK(json->depth > 0 && !json->after_key);
    json->depth--;
    strbuf_putc(json->out, bracket);
}

void json_object(struct json *json)
{
    open_container(json, '{');
}

void json_object_end(struct json *json)
{
    close_container(json, '}');
}

void json_array(struct json *json)
{
    open_container(json, '[');
}

void json_array_end(struct json *json)
{
    close_container(json, ']');
}

void json_key(struct json *json, const char *key)
{
    CHECK(!json->after_key);
    separate(json);
    strbuf_putc(json->out, '"');
    strbuf_puts(json->out, key);
    strbuf_puts(json->out, "\":");
    json->after_key = true;
}

void json_bytes(struct json *json, const char *value, size_t length)
{
    separate(json);
    text_add_json(json->out, value, length);
}

void json_string(struct json *json, const char *value)
{
    if (!value) {
        json_null(json);
        return;
    }
    json_bytes(json, value, strlen(value));
}

void json_integer(struct json *json, int64_t value)
{
    separate(json);
    strbuf_integer(json->out, value);
}

void json_real(struct json *json, double value)
{
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    separate(json);
    strbuf_real(json->out, value);
}

void json_boolean(struct json *json, bool value)
{
    separate(json);
    strbuf_puts(json->out, value ? "true" : "false");
}

void json_null(struct json *json)
{
    separate(json);
    strbuf_puts(json->out, "null");
}

void json_time(struct json *json, int64_t wall_ms)
{
    if (wall_ms == 0) {
        json_null(json);
        return;
    }
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(text, wall_ms);
    separate(json);
    strbuf_putc(json->out, '"');
    strbuf_add(json->out, text, CLOCK_RFC3339_SIZE - 1);
    strbuf_putc(json->out, '"');
}

void json_raw(struct json *json, const char *text, size_t length)
{
    CHECK(length > 0);
    separate(json);
    strbuf_add(json->out, text, length);
}

void json_put_string(struct json *json, const char *key, const char *value)
{
    json_key(json, key);
    json_string(json, value);
}

void json_put_integer(struct json *json, const char *key, int64_t value)
{
    json_key(json, key);
    json_integer(json, value);
}

void json_put_real(struct json *json, const char *key, double value)
{
    json_key(json, key);
    json_real(json, value);
}

void json_put_boolean(struct json *json, const char *key, bool value)
{
    json_key(json, key);
    json_boolean(json, value);
}

void json_put_null(struct json *json, const char *key)
{
    json_key(json, key);
    json_null(json);
}

void json_put_time(struct json *json, const char *key, int64_t wall_ms)
{
    json_key(json, key);
    json_time(json, wall_ms);
}

void json_put_raw(struct json *json, const char *key, const char *text, size_t length)
{
    json_key(json, key);
    json_raw(json, text, length);
}

/* ---- reading ---- */

struct reader {
    const char *at;
    const char *end;
    const char *why;
    size_t values;
};

static bool reject(struct reader *reader, const char *why)
{
    if (!reader->why)
        reader->why = why;
    return false;
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
                                        *reader->at == '\n' || *reader->at == '\r'))
        reader->at++;
}

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

static bool scan_hex4(struct reader *reader, unsigned *unit)
{
    if (reader->end - reader->at < 4)
        return false;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = *reader->at++;
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned) (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned) ((c | 0x20) - 'a') + 10;
        else
            return false;
        *unit = *unit * 16 + digit;
    }
    return true;
}

static bool scan_unicode_escape(struct reader *reader)
{
    unsigned unit;
    if (!scan_hex4(reader, &unit))
        return reject(reader, "a \\u escape needs four hexadecimal digits");
    if (unit == 0)
        return reject(reader, "a string may not hold U+0000");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return reject(reader, "a string holds half of a surrogate pair");
    if (unit < 0xD800 || unit > 0xDBFF)
        return true;
    if (!take(reader, '\\') || !take(reader, 'u') || !scan_hex4(reader, &unit) || unit < 0xDC00 ||
        unit > 0xDFFF)
        return reject(reader, "a string holds half of a surrogate pair");
    return true;
}

/* After the opening quote. */
static bool scan_string(struct reader *reader)
{
    while (reader->at < reader->end) {
        char c = *reader->at++;
        if (c == '"')
            return true;
        if ((unsigned char) c < 0x20)
            return reject(reader, "a string holds a control character that is not escaped");
        if (c != '\\')
            continue;
        if (reader->at == reader->end)
            break;
        c = *reader->at++;
        if (c == 'u') {
            if (!scan_unicode_escape(reader))
                return false;
        } else if (!memchr("\"\\/bfnrt", c, 8)) {
            return reject(reader, "a string holds an unknown escape");
        }
    }
    return reject(reader, "a string does not end");
}

static bool scan_digits(struct reader *reader)
{
    const char *start = reader->at;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        reader->at++;
    return reader->at > start;
}

static bool scan_number(struct reader *reader)
{
    const char *start = reader->at;
    take(reader, '-');
    if (!take(reader, '0') && !scan_digits(reader))
        return reject(reader, "a value was expected");
    if (take(reader, '.') && !scan_digits(reader))
        return reject(reader, "a number is malformed");
    if (take(reader, 'e') || take(reader, 'E')) {
        if (!take(reader, '+'))
            take(reader, '-');
        if (!scan_digits(reader))
            return reject(reader, "a number is malformed");
    }
    if (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
        return reject(reader, "a number has a leading zero");
    char copy[64];
    size_t length = (size_t) (reader->at - start);
    if (length >= sizeof(copy))
        return reject(reader, "a number is too long");
    memcpy(copy, start, length);
    copy[length] = '\0';
    if (!isfinite(strtod(copy, NULL)))
        return reject(reader, "a number is too large");
    return true;
}

static bool scan_literal(struct reader *reader, const char *literal)
{
    size_t length = strlen(literal);
    if ((size_t) (reader->end - reader->at) < length || memcmp(reader->at, literal, length) != 0)
        return reject(reader, "a value was expected");
    reader->at += length;
    return true;
}

static bool scan_value(struct reader *reader, int depth);

/* After '{' or '['. */
static bool scan_items(struct reader *reader, int depth, char closing)
{
    if (depth > READER_DEPTH)
        return reject(reader, "nested too deeply");
    skip_space(reader);
    if (take(reader, closing))
        return true;
    for (;;) {
        if (closing == '}') {
            skip_space(reader);
            if (!take(reader, '"'))
                return reject(reader, "an object's key was expected");
            if (!scan_string(reader))
                return false;
            skip_space(reader);
            if (!take(reader, ':'))
                return reject(reader, "a colon was expected");
        }
        if (!scan_value(reader, depth))
            return false;
        skip_space(reader);
        if (take(reader, closing))
            return true;
        if (!take(reader, ','))
            return reject(reader, "a comma or a closing bracket was expected");
    }
}

static bool scan_value(struct reader *reader, int depth)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return reject(reader, "the text ends too early");
    if (++reader->values > READER_VALUES)
        return reject(reader, "too many values");
    switch (*reader->at) {
    case '{':
        reader->at++;
        return scan_items(reader, depth + 1, '}');
    case '[':
        reader->at++;
        return scan_items(reader, depth + 1, ']');
    case '"':
        reader->at++;
        return scan_string(reader);
    case 't':
        return scan_literal(reader, "true");
    case 'f':
        return scan_literal(reader, "false");
    case 'n':
        return scan_literal(reader, "null");
    default:
        return scan_number(reader);
    }
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Keys are compared decoded ("a" and "\u0061" are one), sorted so that a large object stays cheap.
 */
static bool has_duplicate_key(const cJSON *object)
{
    size_t count = 0;
    for (const cJSON *item = object->child; item; item = item->next)
        count++;
    if (count < 2)
        return false;
    const char **keys = mem_array(count, sizeof(*keys));
    size_t next = 0;
    for (const cJSON *item = object->child; item; item = item->next)
        keys[next++] = item->string;
    qsort(keys, count, sizeof(*keys), compare_keys);
    bool found = false;
    for (size_t i = 1; i < count && !found; i++)
        found = strcmp(keys[i - 1], keys[i]) == 0;
    free(keys);
    return found;
}

static bool tree_has_duplicate_key(const cJSON *tree)
{
    if (cJSON_IsObject(tree) && has_duplicate_key(tree))
        return true;
    for (const cJSON *item = tree->child; item; item = item->next) {
        if (item->child && tree_has_duplicate_key(item))
            return true;
    }
    return false;
}

int json_parse(const char *data, size_t length, cJSON **tree, const char **why)
{
    *tree = NULL;
    struct reader reader = {.at = data, .end = data + length};
    skip_space(&reader);
    if (reader.at == reader.end) {
        *why = "the text is empty";
        return CESID_E_INVALID_JSON;
    }
    if (!text_is_utf8(data, length)) {
        *why = "the text is not UTF-8";
        return CESID_E_INVALID_JSON;
    }
    if (scan_value(&reader, 0)) {
        skip_space(&reader);
        if (reader.at != reader.end)
            reject(&reader, "something follows the value");
    }
    if (reader.why) {
        *why = reader.why;
        return CESID_E_INVALID_JSON;
    }
    cJSON *parsed = cJSON_ParseWithLength(data, length);
    if (!parsed) {
        *why = "the text is malformed";
        return CESID_E_INVALID_JSON;
    }
    if (tree_has_duplicate_key(parsed)) {
        cJSON_Delete(parsed);
        *why = "an object has the same key twice";
        return CESID_E_INVALID_JSON;
    }
    *tree = parsed;
    return 0;
}
