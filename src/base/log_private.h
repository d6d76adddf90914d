/*
 * The log's inside, shared by log.c (what a line says) and log_output.c (where it goes).
 */
#ifndef CESID_LOG_PRIVATE_H
#define CESID_LOG_PRIVATE_H

#include <stddef.h>

#include "cesid/log.h"
#include "cesid/strbuf.h"

#define LOG_LINE_BYTES 8192 /* at most, with its newline; there is no other newline in it */

/* Initialises line; the caller destroys it. */
void log_build(struct strbuf *line, enum log_level level, const char *subsystem,
               const char *message, const struct log_field *fields, size_t count);
void log_use_format(enum log_format chosen);

/* Writes the line, or leaves it to the thread that is writing, if it need not be there at once. */
void log_put(const char *line, size_t length, bool at_once);
/* To standard error as well, while log_echo_errors() is on. */
void log_echo(const char *line, size_t length);

#endif
