/*
 * Growing strings with a cap. Owned by one thread at a time; no locks.
 */
#include "cesid/strbuf.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/memory.h"

#define REAL_EXACT 9007199254.0 /* 2^53 millionths */

/* What an empty buffer shows; never written to, since capacity is 0. */
static char nothing[1];

void strbuf_init(struct strbuf *buffer, size_t limit)
{
    *buffer = (struct strbuf){.data = nothing, .limit = limit};
}

void strbuf_destroy(struct strbuf *buffer)
{
    if (buffer->capacity > 0)
        free(buffer->data);
    strbuf_init(buffer, buffer->limit);
}

void strbuf_clear(struct strbuf *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->capacity > 0)
        buffer->data[0] = '\0';
}

/* Room for more bytes and the NUL. */
static bool reserve(struct strbuf *buffer, size_t more)
{
    size_t needed, capacity;

    if (buffer->failed)
        return false;
    if (more > buffer->limit - buffer->length) {
        buffer->failed = true;
        return false;
    }
    needed = buffer->length + more + 1;
    if (needed <= buffer->capacity)
        return true;
    capacity = buffer->capacity == 0 ? 64 : buffer->capacity * 2;
    if (capacity < needed)
        capacity = needed;
    if (capacity - 1 > buffer->limit)
        capacity = buffer->limit + 1;
    buffer->data = mem_resize(buffer->capacity == 0 ? NULL : buffer->data, capacity, 1);
    buffer->capacity = capacity;
    return true;
}

void strbuf_add(struct strbuf *buffer, const void *data, size_t length)
{
    if (length == 0 || !reserve(buffer, length))
        return;
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

void strbuf_puts(struct strbuf *buffer, const char *text)
{
    strbuf_add(buffer, text, strlen(text));
}

void strbuf_putc(struct strbuf *buffer, char c)
{
    strbuf_add(buffer, &c, 1);
}

void strbuf_vprintf(struct strbuf *buffer, const char *format, va_list arguments)
{
    size_t room = buffer->capacity == 0 ? 0 : buffer->capacity - buffer->length;
    va_list again;
    int length;

    if (buffer->failed)
        return;
    va_copy(again, arguments);
    length = vsnprintf(room == 0 ? NULL : buffer->data + buffer->length, room, format, again);
    va_end(again);
    CHECK(length >= 0);
    if ((size_t) length < room) {
        buffer->length += (size_t) length;
        return;
    }
    if (room > 0)
        buffer->data[buffer->length] = '\0';
    if (length == 0 || !reserve(buffer, (size_t) length))
        return;
    vsnprintf(buffer->data + buffer->length, (size_t) length + 1, format, arguments);
    buffer->length += (size_t) length;
}

void strbuf_printf(struct strbuf *buffer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    strbuf_vprintf(buffer, format, arguments);
    va_end(arguments);
}

/* printf is slow with numbers, and lists and logs are mostly those. */
void strbuf_integer(struct strbuf *buffer, int64_t value)
{
    char digits[24], *at = digits + sizeof(digits);
    uint64_t rest = value < 0 ? -(uint64_t) value : (uint64_t) value;

    do
        *--at = (char) ('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0)
        *--at = '-';
    strbuf_add(buffer, at, (size_t) (digits + sizeof(digits) - at));
}

void strbuf_real(struct strbuf *buffer, double value)
{
    char fraction[] = ".000000";
    size_t length = sizeof(fraction) - 1;
    int64_t millionths;

    if (!(fabs(value) < REAL_EXACT)) {
        strbuf_printf(buffer, "%.17g", value);
        return;
    }
    millionths = llround(fabs(value) * 1e6);
    if (value < 0 && millionths > 0)
        strbuf_putc(buffer, '-');
    strbuf_integer(buffer, millionths / 1000000);
    if ((millionths %= 1000000) == 0)
        return;
    for (size_t i = length - 1; i > 0; i--, millionths /= 10)
        fraction[i] = (char) ('0' + millionths % 10);
    while (fraction[length - 1] == '0')
        length--;
    strbuf_add(buffer, fraction, length);
}

void strbuf_truncate(struct strbuf *buffer, size_t length)
{
    if (length >= buffer->length)
        return;
    buffer->length = length;
    buffer->data[length] = '\0';
}

bool strbuf_failed(const struct strbuf *buffer)
{
    return buffer->failed;
}

char *strbuf_steal(struct strbuf *buffer)
{
    char *text = buffer->capacity > 0 ? buffer->data : mem_string("");

    strbuf_init(buffer, buffer->limit);
    return text;
}
