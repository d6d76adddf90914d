/*
 * Structured log, one event a line, text or JSON. The only global of the program. Any thread.
 *
 *     log_warning("refresh", "node is down", log_s("node", name), log_s("cause", cause));
 *
 * The message is a fixed sentence; what varies is a field. Field values are escaped here, so peer
 * bytes may be passed as they came. Every line of a thread that serves a request carries that
 * request's id. Secrets have a type of their own (secret.h) that no field takes.
 */
#ifndef CESID_LOG_H
#define CESID_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/check.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVELS };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_field_kind { LOG_FIELD_END, LOG_FIELD_STRING, LOG_FIELD_INTEGER, LOG_FIELD_REAL };

struct log_field {
    enum log_field_kind kind;
    const char *key; /* lower_snake_case literal */
    union {
        const char *string; /* NULL shows as null; read before log_write returns */
        int64_t integer;
        double real;
    } value;
};

static inline struct log_field log_s(const char *key, const char *value)
{
    return (struct log_field){.kind = LOG_FIELD_STRING, .key = key, .value.string = value};
}
static inline struct log_field log_i(const char *key, int64_t value)
{
    return (struct log_field){.kind = LOG_FIELD_INTEGER, .key = key, .value.integer = value};
}
static inline struct log_field log_f(const char *key, double value)
{
    return (struct log_field){.kind = LOG_FIELD_REAL, .key = key, .value.real = value};
}
static inline struct log_field log_end(void)
{
    return (struct log_field){.kind = LOG_FIELD_END};
}

/* All that log, as choices of a field; who may have a level of its own. */
#define LOG_SUBSYSTEMS                                                                             \
    "auth|base|bus|config|health|http|hub|journal|logstream|main|node|operation|refresh|registry|" \
    "rpc|store|vault"

/* subsystem: one of LOG_SUBSYSTEMS. The variadic arguments are struct log_field, closed by
 * log_end(); at most 16. An error is written when this returns. Other lines may be written by
 * another thread a moment later, and are lost if the program crashes meanwhile. */
void log_write(enum log_level level, const char *subsystem, const char *message, ...);

#define log_error(subsystem, ...)   log_write(LOG_LEVEL_ERROR, subsystem, __VA_ARGS__, log_end())
#define log_warning(subsystem, ...) log_write(LOG_LEVEL_WARNING, subsystem, __VA_ARGS__, log_end())
#define log_info(subsystem, ...)    log_write(LOG_LEVEL_INFO, subsystem, __VA_ARGS__, log_end())
#define log_debug(subsystem, ...)                                                                  \
    (log_enabled(LOG_LEVEL_DEBUG, subsystem)                                                       \
         ? log_write(LOG_LEVEL_DEBUG, subsystem, __VA_ARGS__, log_end())                           \
         : (void) 0)

bool log_enabled(enum log_level level, const char *subsystem);
/* subsystem NULL sets all and forgets single ones. False: more subsystems than fit (32). */
bool log_set_level(const char *subsystem, enum log_level level);
enum log_level log_level_of(const char *subsystem); /* NULL: the general one */
const char *log_level_name(enum log_level level);
bool log_level_parse(const char *text, enum log_level *level);
uint64_t log_count(enum log_level level); /* lines written, for cesid_log_messages_total */

/* The request that this thread serves, and the trace that it is a part of (W3C trace context);
 * copied, NULL ends it. A new request begins without a trace. */
void log_set_request(const char *request_id);
void log_set_trace(const char *trace_id);

/* Both, to be taken along by work that goes on in another thread: log_swap puts one in place and
 * the former into the argument, so that a second call undoes the first. */
struct log_context {
    char request[65];
    char trace[33];
};
struct log_context log_context(void);
void log_swap(struct log_context *context);

/* file NULL or "": standard error. Opens appending, mode 0640; on failure keeps the old output and
 * returns CESID_E_INTERNAL with errno set. */
int log_open(const char *file, enum log_format format) CESID_WARN_UNUSED;
int log_reopen(void) CESID_WARN_UNUSED; /* after rotation; same promise */
/* Errors go to standard error as well as to the log's file: while somebody waits there for a start.
 */
void log_echo_errors(bool on);
void log_close(void);

/* A failure that repeats: says yes at the 1st, 2nd, 4th, 8th… time and at least every hour, and
 * once at recovery. Embed it in what fails, zeroed; guarded like its owner. */
struct log_repeat {
    uint64_t failures;
    uint64_t next;
    int64_t said_at; /* clock_now() */
};
bool log_repeat_failed(struct log_repeat *repeat);
bool log_repeat_recovered(struct log_repeat *repeat, uint64_t *failures);

#endif
