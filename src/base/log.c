/*
 * What a line of the log says, and who may say something. A line is built before any lock is taken;
 * log_output.c writes it. The general level is an atomic: most calls below it cost no lock.
 */
#include "cesid/log.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/lock.h"
#include "cesid/text.h"
#include "log_private.h"

#define LINE_END_BYTES                                                                             \
    512 /* of LOG_LINE_BYTES, kept free for what closes a line, a request id fully escaped too */
#define FIELDS_MAX     16
#define SUBSYSTEMS_MAX 32
#define VALUE_MAX      2048

static const char *const level_names[LOG_LEVELS] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

struct own_level {
    char subsystem[32];
    enum log_level level;
};

static struct lock levels_lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_LOG};
/* guarded by levels_lock */
static struct own_level own_levels[SUBSYSTEMS_MAX];
/* atomic */
static int own_levels_count;
static int general_level = LOG_LEVEL_INFO;
static int most_verbose = LOG_LEVEL_INFO; /* of all: most calls end here */
static int format = LOG_FORMAT_TEXT;
static uint64_t counts[LOG_LEVELS];

static _Thread_local struct log_context own;

void log_set_request(const char *request_id)
{
    snprintf(own.request, sizeof(own.request), "%s", request_id != NULL ? request_id : "");
    own.trace[0] = '\0';
}

void log_set_trace(const char *trace_id)
{
    snprintf(own.trace, sizeof(own.trace), "%s", trace_id != NULL ? trace_id : "");
}

struct log_context log_context(void)
{
    return own;
}

void log_swap(struct log_context *context)
{
    struct log_context former = own;

    own = *context;
    *context = former;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (int i = 0; i < LOG_LEVELS; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level) i;
            return true;
        }
    }
    return false;
}

enum log_level log_level_of(const char *subsystem)
{
    int level = __atomic_load_n(&general_level, __ATOMIC_RELAXED);

    if (subsystem == NULL || __atomic_load_n(&own_levels_count, __ATOMIC_RELAXED) == 0)
        return (enum log_level) level;
    lock_acquire(&levels_lock);
    for (int i = 0; i < own_levels_count; i++)
        if (strcmp(own_levels[i].subsystem, subsystem) == 0)
            level = (int) own_levels[i].level;
    lock_release(&levels_lock);
    return (enum log_level) level;
}

bool log_enabled(enum log_level level, const char *subsystem)
{
    if ((int) level > __atomic_load_n(&most_verbose, __ATOMIC_RELAXED))
        return false;
    return level <= log_level_of(subsystem);
}

static bool set_own_locked(const char *subsystem, enum log_level level)
{
    int i = 0;

    while (i < own_levels_count && strcmp(own_levels[i].subsystem, subsystem) != 0)
        i++;
    if (i == SUBSYSTEMS_MAX || strlen(subsystem) >= sizeof(own_levels[0].subsystem))
        return false;
    snprintf(own_levels[i].subsystem, sizeof(own_levels[i].subsystem), "%s", subsystem);
    own_levels[i].level = level;
    if (i == own_levels_count)
        __atomic_store_n(&own_levels_count, i + 1, __ATOMIC_RELAXED);
    return true;
}

bool log_set_level(const char *subsystem, enum log_level level)
{
    bool fits = true;
    int most;

    lock_acquire(&levels_lock);
    if (subsystem == NULL) {
        __atomic_store_n(&general_level, (int) level, __ATOMIC_RELAXED);
        __atomic_store_n(&own_levels_count, 0, __ATOMIC_RELAXED);
    } else {
        fits = set_own_locked(subsystem, level);
    }
    most = __atomic_load_n(&general_level, __ATOMIC_RELAXED);
    for (int i = 0; i < own_levels_count; i++)
        most = (int) own_levels[i].level > most ? (int) own_levels[i].level : most;
    __atomic_store_n(&most_verbose, most, __ATOMIC_RELAXED);
    lock_release(&levels_lock);
    return fits;
}

void log_use_format(enum log_format chosen)
{
    __atomic_store_n(&format, (int) chosen, __ATOMIC_RELAXED);
}

uint64_t log_count(enum log_level level)
{
    return __atomic_load_n(&counts[level], __ATOMIC_RELAXED);
}

/* A long value is cut, between characters. */
static size_t value_length(const char *value)
{
    size_t length = strnlen(value, VALUE_MAX);

    return length < VALUE_MAX ? length : text_utf8_complete(value, length);
}

static void add_text_value(struct strbuf *line, const char *value)
{
    bool quote = *value == '\0' || strpbrk(value, " \"=") != NULL;
    size_t length = value_length(value);

    if (!quote) {
        text_add_escaped(line, value, length);
        return;
    }
    strbuf_putc(line, '"');
    for (size_t i = 0; i < length;) {
        size_t run = strcspn(value + i, "\"");

        run = run > length - i ? length - i : run;
        text_add_escaped(line, value + i, run);
        i += run;
        if (i < length) {
            strbuf_puts(line, "\\\"");
            i++;
        }
    }
    strbuf_putc(line, '"');
}

static void add_value(struct strbuf *line, const struct log_field *field, bool json)
{
    switch (field->kind) {
    case LOG_FIELD_INTEGER:
        strbuf_integer(line, field->value.integer);
        break;
    case LOG_FIELD_REAL:
        if (isfinite(field->value.real))
            strbuf_real(line, field->value.real);
        else
            strbuf_puts(line, "null");
        break;
    case LOG_FIELD_STRING:
        if (field->value.string == NULL)
            strbuf_puts(line, "null");
        else if (json)
            text_add_json(line, field->value.string, value_length(field->value.string));
        else
            add_text_value(line, field->value.string);
        break;
    case LOG_FIELD_END:
        break;
    }
}

static void build_text(struct strbuf *line, enum log_level level, const char *subsystem,
                       const char *message, const struct log_field *fields, size_t count)
{
    char time[CLOCK_RFC3339_SIZE];

    clock_rfc3339(time, clock_wall());
    strbuf_puts(line, time);
    for (size_t i = 0; i < 3; i++) {
        strbuf_putc(line, ' ');
        strbuf_puts(line, i == 0 ? level_names[level] : i == 1 ? subsystem : message);
    }
    for (size_t i = 0; i < count; i++) {
        size_t before = line->length;

        strbuf_putc(line, ' ');
        strbuf_puts(line, fields[i].key);
        strbuf_putc(line, '=');
        add_value(line, &fields[i], false);
        if (strbuf_failed(line)) { /* what does not fit whole is left out */
            line->failed = false;
            strbuf_truncate(line, before);
            break;
        }
    }
    line->limit += LINE_END_BYTES;
    if (own.request[0] != '\0') {
        strbuf_puts(line, " request=");
        text_add_escaped(line, own.request, strlen(own.request));
    }
    if (own.trace[0] != '\0') {
        strbuf_puts(line, " trace=");
        text_add_escaped(line, own.trace, strlen(own.trace));
    }
}

static void build_json(struct strbuf *line, enum log_level level, const char *subsystem,
                       const char *message, const struct log_field *fields, size_t count)
{
    char time[CLOCK_RFC3339_SIZE];

    clock_rfc3339(time, clock_wall());
    strbuf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"subsystem\":\"%s\",\"message\":", time,
                  level_names[level], subsystem);
    text_add_json(line, message, strlen(message));
    for (size_t i = 0; i < count; i++) {
        size_t before = line->length;

        strbuf_puts(line, ",\"");
        strbuf_puts(line, fields[i].key);
        strbuf_puts(line, "\":");
        add_value(line, &fields[i], true);
        if (strbuf_failed(line)) { /* a line that is cut must still be JSON */
            line->failed = false;
            strbuf_truncate(line, before);
            break;
        }
    }
    line->limit += LINE_END_BYTES;
    if (own.request[0] != '\0') {
        strbuf_puts(line, ",\"request_id\":");
        text_add_json(line, own.request, strlen(own.request));
    }
    if (own.trace[0] != '\0') {
        strbuf_puts(line, ",\"trace_id\":");
        text_add_json(line, own.trace, strlen(own.trace));
    }
    strbuf_putc(line, '}');
}

void log_build(struct strbuf *line, enum log_level level, const char *subsystem,
               const char *message, const struct log_field *fields, size_t count)
{
    strbuf_init(line, LOG_LINE_BYTES - LINE_END_BYTES);
    if (__atomic_load_n(&format, __ATOMIC_RELAXED) == LOG_FORMAT_JSON)
        build_json(line, level, subsystem, message, fields, count);
    else
        build_text(line, level, subsystem, message, fields, count);
    strbuf_putc(line, '\n');
}

void log_write(enum log_level level, const char *subsystem, const char *message, ...)
{
    struct log_field fields[FIELDS_MAX];
    struct strbuf line;
    size_t count = 0;
    va_list arguments;
    int saved_errno = errno;

    if (!log_enabled(level, subsystem))
        return;
    va_start(arguments, message);
    while (count < FIELDS_MAX) {
        fields[count] = va_arg(arguments, struct log_field);
        if (fields[count].kind == LOG_FIELD_END)
            break;
        count++;
    }
    va_end(arguments);

    log_build(&line, level, subsystem, message, fields, count);
    log_put(line.data, line.length, level == LOG_LEVEL_ERROR);
    if (level == LOG_LEVEL_ERROR)
        log_echo(line.data, line.length);
    __atomic_add_fetch(&counts[level], 1, __ATOMIC_RELAXED);
    strbuf_destroy(&line);
    errno = saved_errno;
}

bool log_repeat_failed(struct log_repeat *repeat)
{
    int64_t now = clock_now();

    repeat->failures++;
    if (repeat->failures < repeat->next && now - repeat->said_at < 3600 * CLOCK_SECOND)
        return false;
    if (repeat->failures >= repeat->next)
        repeat->next = repeat->failures * 2;
    repeat->said_at = now;
    return true;
}

bool log_repeat_recovered(struct log_repeat *repeat, uint64_t *failures)
{
    *failures = repeat->failures;
    *repeat = (struct log_repeat){0};
    return *failures > 0;
}
