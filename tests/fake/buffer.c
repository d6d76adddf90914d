/* A growing string: see buffer.h. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *fake_alloc(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    if (memory == NULL)
        abort();
    return memory;
}

void buffer_need(struct buffer *buffer, size_t more)
{
    size_t size = buffer->size == 0 ? 512 : buffer->size;

    if (buffer->size - buffer->length >= more)
        return;
    while (size - buffer->length < more)
        size *= 2;
    buffer->data = realloc(buffer->data, size);
    if (buffer->data == NULL)
        abort();
    buffer->size = size;
}

void buffer_add(struct buffer *buffer, const char *data, size_t length)
{
    if (length == 0)
        return;
    buffer_need(buffer, length);
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

void buffer_puts(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

void buffer_int(struct buffer *buffer, long long value)
{
    char digits[24];
    size_t at = sizeof(digits);
    unsigned long long rest =
        value < 0 ? 0 - (unsigned long long) value : (unsigned long long) value;

    do {
        digits[--at] = (char) ('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    buffer_add(buffer, digits + at, sizeof(digits) - at);
}

void buffer_escaped(struct buffer *buffer, const char *text, size_t length)
{
    size_t plain = 0;

    for (size_t i = 0; i < length; i++) {
        const char *entity = text[i] == '&'   ? "&amp;"
                             : text[i] == '<' ? "&lt;"
                             : text[i] == '>' ? "&gt;"
                                              : NULL;
        if (entity == NULL)
            continue;
        buffer_add(buffer, text + plain, i - plain);
        buffer_puts(buffer, entity);
        plain = i + 1;
    }
    buffer_add(buffer, text + plain, length - plain);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        abort();
    buffer_need(buffer, (size_t) length + 1);
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->length, (size_t) length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t) length;
}

void buffer_cut(struct buffer *buffer, size_t from_start)
{
    memmove(buffer->data, buffer->data + from_start, buffer->length - from_start);
    buffer->length -= from_start;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}
