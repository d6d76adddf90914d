/*
 * Text from elsewhere. Pure functions; one decoder serves them all.
 */
#include "cesid/text.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD"

/* Decodes one character: its length in bytes (1 to 4), 0 for a malformed byte, -1 when the input
 * ends inside what may still become a character. RFC 3629, table in section 4. */
static int decode(const unsigned char *data, size_t length, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int size;
    uint32_t value;

    if (data[0] < 0x80) {
        *point = data[0];
        return 1;
    }
    if (data[0] >= 0xC2 && data[0] <= 0xDF)
        size = 2;
    else if (data[0] >= 0xE0 && data[0] <= 0xEF)
        size = 3;
    else if (data[0] >= 0xF0 && data[0] <= 0xF4)
        size = 4;
    else
        return 0;
    value = data[0] & (0x7Fu >> size);
    for (int i = 1; i < size; i++) {
        if ((size_t) i == length)
            return -1;
        if ((data[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (data[i] & 0x3F);
        if (i == 1 && ((size == 3 && (value << 6) < least[3]) ||
                       (size == 3 && value >= 0x360 && value <= 0x37F) ||
                       (size == 4 && ((value << 12) < least[4] || value > 0x10F))))
            return 0; /* overlong, surrogate, or past the end: no continuation can mend it */
    }
    *point = value;
    return size;
}

static int decode_at(const char *data, size_t length, size_t at, uint32_t *point)
{
    return decode((const unsigned char *) data + at, length - at, point);
}

bool text_is_utf8(const char *data, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t point;
        int size = decode_at(data, length, i, &point);

        if (size <= 0)
            return false;
        i += (size_t) size;
    }
    return true;
}

size_t text_characters(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++)
        if (((unsigned char) *text & 0xc0) != 0x80)
            count++;
    return count;
}

size_t text_utf8_complete(const char *data, size_t length)
{
    /* Only the last three bytes can begin a character that is not whole. */
    for (size_t back = 1; back <= 3 && back <= length; back++) {
        unsigned char byte = (unsigned char) data[length - back];
        uint32_t point;

        if ((byte & 0xC0) == 0x80)
            continue;
        return decode_at(data, length, length - back, &point) == -1 ? length - back : length;
    }
    return length;
}

void text_add_utf8(struct strbuf *out, const char *data, size_t length)
{
    size_t start = 0, i = 0;

    while (i < length) {
        uint32_t point;
        int size = decode_at(data, length, i, &point);

        if (size > 0) {
            i += (size_t) size;
            continue;
        }
        strbuf_add(out, data + start, i - start);
        strbuf_puts(out, REPLACEMENT);
        start = ++i;
    }
    strbuf_add(out, data + start, length - start);
}

static void add_json_escape(struct strbuf *out, uint32_t point)
{
    switch (point) {
    case '"':
        strbuf_puts(out, "\\\"");
        break;
    case '\\':
        strbuf_puts(out, "\\\\");
        break;
    case '\n':
        strbuf_puts(out, "\\n");
        break;
    case '\r':
        strbuf_puts(out, "\\r");
        break;
    case '\t':
        strbuf_puts(out, "\\t");
        break;
    default:
        strbuf_printf(out, "\\u%04x", point);
    }
}

static bool json_escapes(uint32_t point)
{
    return point < 0x20 || point == '"' || point == '\\' || point == '<' || point == '>' ||
           point == '&' || (point >= 0x7F && point < 0xA0) ||
           (point >= 0x2028 && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

void text_add_json(struct strbuf *out, const char *data, size_t length)
{
    size_t start = 0, i = 0;

    strbuf_putc(out, '"');
    while (i < length) {
        uint32_t point;
        int size = decode_at(data, length, i, &point);

        if (size > 0 && !json_escapes(point)) {
            i += (size_t) size;
            continue;
        }
        strbuf_add(out, data + start, i - start);
        if (size > 0)
            add_json_escape(out, point);
        else
            strbuf_puts(out, REPLACEMENT);
        i += size > 0 ? (size_t) size : 1;
        start = i;
    }
    strbuf_add(out, data + start, length - start);
    strbuf_putc(out, '"');
}

/* Invisible, or able to reorder what is shown around it. */
static bool log_escapes(uint32_t point)
{
    return point < 0x20 || point == '\\' || (point >= 0x7F && point < 0xA0) || point == 0xAD ||
           (point >= 0x200B && point <= 0x200F) || (point >= 0x2028 && point <= 0x202E) ||
           (point >= 0x2060 && point <= 0x206F) || point == 0xFEFF || point == 0x61C ||
           (point >= 0xFFF0 && point <= 0xFFFB) || (point >= 0xE0000 && point <= 0xE0FFF);
}

void text_add_escaped(struct strbuf *out, const char *data, size_t length)
{
    for (size_t i = 0; i < length;) {
        uint32_t point;
        size_t plain = i;
        int size;

        while (plain < length && (unsigned char) data[plain] < 0x80 &&
               !log_escapes((unsigned char) data[plain]))
            plain++;
        strbuf_add(out, data + i, plain - i);
        if ((i = plain) == length)
            break;
        size = decode_at(data, length, i, &point);
        if (size <= 0) {
            strbuf_printf(out, "\\x%02x", (unsigned char) data[i++]);
            continue;
        }
        if (!log_escapes(point))
            strbuf_add(out, data + i, (size_t) size);
        else if (point < 0x80)
            strbuf_printf(out, "\\x%02x", point);
        else
            strbuf_printf(out, "\\u{%04x}", point);
        i += (size_t) size;
    }
}

/* Steps over one character; a malformed byte counts as one. */
static const char *next_character(const char *text)
{
    uint32_t point;
    int size = decode((const unsigned char *) text, strnlen(text, 4), &point);

    return text + (size > 0 ? size : 1);
}

bool text_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *retry = NULL;

    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
            continue;
        }
        if (*text == '\0' && *pattern == '\0')
            return true;
        if (*text != '\0' && *pattern == '?') {
            pattern++;
            text = next_character(text);
            continue;
        }
        if (*text != '\0' && *pattern != '\0') {
            const char *literal = pattern[0] == '\\' && pattern[1] != '\0' ? pattern + 1 : pattern;

            if (*literal == *text) {
                pattern = literal + 1;
                text++;
                continue;
            }
        }
        if (star == NULL || *retry == '\0')
            return false;
        pattern = star;
        retry = next_character(retry);
        text = retry;
    }
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool text_is_name(const char *text)
{
    size_t length = strlen(text);

    if (length < 1 || length > 64 || !is_alphanumeric(text[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_alphanumeric(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-')
            return false;
    return true;
}

bool text_equal_secret(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned char difference = a_length != b_length;

    for (size_t i = 0; i < a_length && b_length > 0; i++)
        difference |= (unsigned char) (a[i] ^ b[i % b_length]);
    return difference == 0;
}
