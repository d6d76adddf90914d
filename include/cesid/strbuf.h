/*
 * A growing string with a cap and a sticky error. Once an append would pass the cap, the buffer
 * keeps what it has, takes no more, and strbuf_failed() stays true: check it once, at the end.
 * data is always NUL-terminated. Not shared between threads.
 */
#ifndef CESID_STRBUF_H
#define CESID_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"

struct strbuf {
    char *data;      /* never NULL after strbuf_init */
    size_t length;   /* without the NUL */
    size_t capacity; /* 0 while nothing is allocated */
    size_t limit;    /* most bytes it may hold, without the NUL */
    bool failed;
};

void strbuf_init(struct strbuf *buffer, size_t limit);
void strbuf_destroy(struct strbuf *buffer); /* leaves it empty and usable with the same limit */
void strbuf_clear(struct strbuf *buffer);   /* keeps the memory, clears the error */
void strbuf_add(struct strbuf *buffer, const void *data, size_t length);
void strbuf_puts(struct strbuf *buffer, const char *text);
void strbuf_putc(struct strbuf *buffer, char c);
void strbuf_printf(struct strbuf *buffer, const char *format, ...) CESID_PRINTF(2, 3);
void strbuf_vprintf(struct strbuf *buffer, const char *format, va_list arguments)
    CESID_PRINTF(2, 0);
void strbuf_integer(struct strbuf *buffer, int64_t value);
/* To a millionth, without trailing zeros; from 9e9 on with the 17 digits that a double has. */
void strbuf_real(struct strbuf *buffer, double value);
void strbuf_truncate(struct strbuf *buffer, size_t length); /* to at most length */
bool strbuf_failed(const struct strbuf *buffer);
char *strbuf_steal(struct strbuf *buffer); /* caller frees; the buffer is empty afterwards */

#endif
