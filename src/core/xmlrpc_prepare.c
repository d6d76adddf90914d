/*
 * See xmlrpc_prepare.h. Pure, any thread, no lock. Clean answers, which is nearly all of them, are
 * scanned once, eight bytes at a time, and not copied.
 */
#include "xmlrpc_prepare.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cesid/memory.h"

/* U+10FF00 to U+10FF1F: these three bytes, then 0x80 + the control character. */
#define STAND_IN      "\xF4\x8F\xBC"
#define STAND_IN_SIZE 4

/* XML's opening lines are short; an encoding that is declared later than this is none. */
#define DECLARATION_MAX 256

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static bool needs_care(unsigned char c)
{
    return (c < 0x20 && c != '\t' && c != '\n') || c == 0xEF;
}

/* The first byte that may need care, or length. 0xEF may begin U+FFFE or U+FFFF. */
static size_t first_suspect(const char *data, size_t length)
{
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, sizeof(word));
        uint64_t control = (word - ONES * 0x20) & ~word & HIGHS;
        uint64_t ef = word ^ (ONES * 0xEF);
        uint64_t has_ef = (ef - ONES) & ~ef & HIGHS;
        if ((control | has_ef) == 0)
            continue;
        for (size_t j = i; j < i + 8; j++)
            if (needs_care((unsigned char) data[j]))
                return j;
    }
    for (; i < length; i++)
        if (needs_care((unsigned char) data[i]))
            return i;
    return length;
}

static const char *find(const char *data, size_t length, const char *text)
{
    return memmem(data, length, text, strlen(text));
}

static bool contains(const char *data, size_t length, const char *text)
{
    return find(data, length, text) != NULL;
}

static bool begins(const char *data, size_t length, const char *text)
{
    size_t n = strlen(text);
    return length >= n && memcmp(data, text, n) == 0;
}

enum encoding { ENCODING_UTF8, ENCODING_ONE_BYTE, ENCODING_UTF16, ENCODING_UNKNOWN };

static enum encoding named_encoding(const char *name, size_t length)
{
    static const struct {
        const char *name;
        enum encoding encoding;
    } known[] = {
        {"UTF-8", ENCODING_UTF8},          {"UTF8", ENCODING_UTF8},
        {"US-ASCII", ENCODING_ONE_BYTE},   {"ASCII", ENCODING_ONE_BYTE},
        {"ISO-8859-1", ENCODING_ONE_BYTE}, {"ISO-LATIN-1", ENCODING_ONE_BYTE},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (strlen(known[i].name) == length && strncasecmp(known[i].name, name, length) == 0)
            return known[i].encoding;
    return ENCODING_UNKNOWN;
}

static enum encoding find_encoding(const char *data, size_t length)
{
    if (begins(data, length, "\xFF\xFE") || begins(data, length, "\xFE\xFF"))
        return ENCODING_UTF16;
    if (length >= 4 && (memcmp(data, "<\0?\0", 4) == 0 || memcmp(data, "\0<\0?", 4) == 0))
        return ENCODING_UTF16;
    if (begins(data, length, "\xEF\xBB\xBF")) {
        data += 3;
        length -= 3;
    }
    if (!begins(data, length, "<?xml"))
        return ENCODING_UTF8;
    size_t window = length < DECLARATION_MAX ? length : DECLARATION_MAX;
    const char *end = memmem(data, window, "?>", 2);
    if (end == NULL)
        return ENCODING_UTF8; /* not well-formed: the parser will say so */
    static const char word[] = "encoding";
    const char *at = memmem(data, (size_t) (end - data), word, sizeof(word) - 1);
    if (at == NULL)
        return ENCODING_UTF8;
    for (at += sizeof(word) - 1; at < end && *at != '"' && *at != '\''; at++)
        ;
    if (at == end)
        return ENCODING_UTF8;
    const char *close = memchr(at + 1, *at, (size_t) (end - at - 1));
    if (close == NULL)
        return ENCODING_UTF8;
    return named_encoding(at + 1, (size_t) (close - at - 1));
}

static bool has_zero_unit(const char *data, size_t length)
{
    for (size_t i = 0; i + 1 < length; i += 2)
        if (data[i] == 0 && data[i + 1] == 0)
            return true;
    return false;
}

struct writer {
    char *out;
    size_t used;
};

static void put(struct writer *writer, const char *data, size_t length)
{
    memcpy(writer->out + writer->used, data, length);
    writer->used += length;
}

/* Where the text of the root element can be: a reference or stand-in elsewhere would change what
 * kind of error it is, but never make an error good. */
static bool in_text(const char *data, size_t at, bool *inside_tag, size_t *seen)
{
    for (size_t i = *seen; i < at; i++) {
        if (data[i] == '<')
            *inside_tag = true;
        else if (data[i] == '>')
            *inside_tag = false;
    }
    *seen = at;
    return !*inside_tag;
}

static void rewrite(const char *data, size_t length, size_t first, struct xmlrpc_prepared *prepared)
{
    /* A character reference could spell a stand-in too. */
    bool taken = contains(data, length, STAND_IN) || contains(data, length, "&#");
    const char *start = find(data, length, "<methodResponse");
    const char *end = find(data, length, "</methodResponse");
    /* References mean nothing in CDATA: there the parser's line feed must do. */
    bool references = start != NULL && end != NULL && !contains(data, length, "<![CDATA[");
    size_t text_from = references ? (size_t) (start - data) : length;
    size_t text_to = references ? (size_t) (end - data) : 0;

    size_t suspects = 0;
    for (size_t i = first; i < length; i++)
        suspects += needs_care((unsigned char) data[i]);
    /* The longest replacement is "&#13;". */
    struct writer writer = {.out = mem_resize(NULL, length + suspects * 4 + 1, 1)};
    bool inside_tag = false;
    size_t seen = 0, plain = 0;
    for (size_t i = first; i < length; i++) {
        unsigned char c = (unsigned char) data[i];
        if (!needs_care(c))
            continue;
        size_t replaced = 1;
        const char *with = "\xEF\xBF\xBD";
        size_t with_length = 3;
        const char stand_in[] = {'\xF4', '\x8F', '\xBC', (char) (0x80 + c)};
        if (c == 0xEF) {
            if (length - i < 3 || (unsigned char) data[i + 1] != 0xBF ||
                (unsigned char) data[i + 2] < 0xBE)
                continue;
            replaced = 3;
        } else if (c == '\r') {
            if (i < text_from || i > text_to || !in_text(data, i, &inside_tag, &seen))
                continue;
            with = "&#13;";
            with_length = 5;
        } else if (!taken) {
            with = stand_in;
            with_length = sizeof(stand_in);
            prepared->mapped = true;
        }
        put(&writer, data + plain, i - plain);
        put(&writer, with, with_length);
        plain = i + replaced;
        i = plain - 1;
    }
    put(&writer, data + plain, length - plain);
    writer.out[writer.used] = '\0';
    prepared->owned = writer.out;
    prepared->data = writer.out;
    prepared->length = writer.used;
}

const char *xmlrpc_prepare(const char *data, size_t length, struct xmlrpc_prepared *prepared)
{
    *prepared = (struct xmlrpc_prepared){.data = data, .length = length};
    if (length == 0)
        return "it is empty";
    if (length > INT_MAX / 8)
        return "it is too large";
    /* libxml2 takes a NUL for the end and would not look at what follows. */
    switch (find_encoding(data, length)) {
    case ENCODING_UTF8:
        break;
    case ENCODING_ONE_BYTE:
        return memchr(data, 0, length) == NULL ? NULL : "it holds a NUL byte";
    case ENCODING_UTF16:
        return has_zero_unit(data, length) ? "it holds a NUL character" : NULL;
    case ENCODING_UNKNOWN:
    default:
        return "it declares an encoding that is not known";
    }
    size_t first = first_suspect(data, length);
    if (first < length)
        rewrite(data, length, first, prepared);
    return NULL;
}

void xmlrpc_prepare_clean(struct xmlrpc_prepared *prepared)
{
    free(prepared->owned);
    *prepared = (struct xmlrpc_prepared){.data = NULL};
}

size_t xmlrpc_restore(char *text, size_t length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; used++) {
        if (length - i >= STAND_IN_SIZE && memcmp(text + i, STAND_IN, STAND_IN_SIZE - 1) == 0 &&
            (unsigned char) text[i + 3] < 0xA0) {
            text[used] = (char) ((unsigned char) text[i + 3] - 0x80);
            i += STAND_IN_SIZE;
        } else {
            text[used] = text[i++];
        }
    }
    return used;
}
