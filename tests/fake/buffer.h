/*
 * A growing string of the fake supervisord. It ends the program when memory does: a test tool.
 */
#ifndef FAKE_BUFFER_H
#define FAKE_BUFFER_H

#include <stddef.h>

struct buffer {
    char *data;
    size_t length, size;
};

void buffer_need(struct buffer *buffer, size_t more);
void buffer_add(struct buffer *buffer, const char *data, size_t length);
void buffer_puts(struct buffer *buffer, const char *text);
void buffer_int(struct buffer *buffer, long long value);
void buffer_escaped(struct buffer *buffer, const char *text, size_t length); /* for XML */
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_cut(struct buffer *buffer, size_t from_start);
void buffer_free(struct buffer *buffer);

void *fake_alloc(size_t count, size_t size); /* zeroed */

#endif
