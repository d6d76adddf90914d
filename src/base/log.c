/*
 * The log. A line is built before LOCK_LOG is taken and written with one write(2) under it, so
 * lines never mix. The general level is an atomic: most calls below it cost no lock. A log that
 * cannot be written must not stop the server: the line is lost. So it is when nobody reads the pipe
 * that standard error may be: the first line waits a moment for room, the others do not until one
 * gets through. What was lost is said when there is room again, and a line that a full disk cut in
 * half is ended there.
 */
#include "cesid/log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "cesid/strbuf.h"
#include "cesid/text.h"

#define LINE_MAX_BYTES 8192
#define LINE_END_BYTES 512 /* kept free for what closes a line, a request id fully escaped too */
#define FIELDS_MAX     16
#define SUBSYSTEMS_MAX 32
#define VALUE_MAX      2048
#define STALL_MS       100

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

static struct lock log_lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_LOG};
/* guarded by log_lock */
static int output = STDERR_FILENO;
static bool may_stall = true; /* the output is no plain file */
static bool stalled;          /* the last line found no room in the output */
static bool torn;             /* the last line was written in part */
static int64_t lost;          /* lines since one last got through */
static bool echoing;          /* errors go to standard error, too */
static char *file_name;
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
    lock_acquire(&log_lock);
    for (int i = 0; i < own_levels_count; i++)
        if (strcmp(own_levels[i].subsystem, subsystem) == 0)
            level = (int) own_levels[i].level;
    lock_release(&log_lock);
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

    lock_acquire(&log_lock);
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
    lock_release(&log_lock);
    return fits;
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

static void build(struct strbuf *line, enum log_level level, const char *subsystem,
                  const char *message, const struct log_field *fields, size_t count)
{
    if (__atomic_load_n(&format, __ATOMIC_RELAXED) == LOG_FORMAT_JSON)
        build_json(line, level, subsystem, message, fields, count);
    else
        build_text(line, level, subsystem, message, fields, count);
    strbuf_putc(line, '\n');
}

/* Whether all of it was written. */
static bool put_locked(const char *data, size_t length)
{
    ssize_t written;

    do
        written = write(output, data, length);
    while (written < 0 && errno == EINTR);
    if (written > 0)
        torn = (size_t) written < length;
    return written == (ssize_t) length;
}

static bool put_loss_locked(void)
{
    const struct log_field fields[] = {log_i("lines", lost)};
    struct strbuf line;
    bool written;

    strbuf_init(&line, LINE_MAX_BYTES);
    if (torn)
        strbuf_putc(&line, '\n');
    build(&line, LOG_LEVEL_WARNING, "base", "lines of the log could not be written and are lost",
          fields, ARRAY_LENGTH(fields));
    written = put_locked(line.data, line.length);
    strbuf_destroy(&line);
    return written;
}

static void write_locked(const char *data, size_t length)
{
    struct pollfd room = {.fd = output, .events = POLLOUT};

    lock_assert_held(&log_lock);
    if (may_stall)
        stalled = poll(&room, 1, stalled ? 0 : STALL_MS) == 0;
    if (stalled || (lost > 0 && !put_loss_locked())) {
        lost++;
        return;
    }
    lost = put_locked(data, length) ? 0 : 1;
}

static void echo_locked(const char *data, size_t length)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written;

    lock_assert_held(&log_lock);
    if (poll(&room, 1, STALL_MS) <= 0)
        return;
    do
        written = write(STDERR_FILENO, data, length);
    while (written < 0 && errno == EINTR);
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

    strbuf_init(&line, LINE_MAX_BYTES - LINE_END_BYTES);
    build(&line, level, subsystem, message, fields, count);
    lock_acquire(&log_lock);
    write_locked(line.data, line.length);
    if (echoing && level == LOG_LEVEL_ERROR && output != STDERR_FILENO)
        echo_locked(line.data, line.length);
    lock_release(&log_lock);
    __atomic_add_fetch(&counts[level], 1, __ATOMIC_RELAXED);
    strbuf_destroy(&line);
    errno = saved_errno;
}

static int open_file(const char *name)
{
    return open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* Returns the old output, to be closed by close_output. */
static int replace_output_locked(int descriptor)
{
    struct stat status;
    int old = output;

    lock_assert_held(&log_lock);
    output = descriptor;
    may_stall = fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode);
    stalled = torn = false;
    return old;
}

static void close_output(int descriptor)
{
    if (descriptor != STDERR_FILENO)
        close(descriptor);
}

int log_open(const char *file, enum log_format chosen)
{
    int descriptor = STDERR_FILENO, old;

    if (file != NULL && *file == '\0')
        file = NULL;
    if (file != NULL && (descriptor = open_file(file)) < 0)
        return CESID_E_INTERNAL;
    lock_acquire(&log_lock);
    __atomic_store_n(&format, (int) chosen, __ATOMIC_RELAXED);
    free(file_name);
    file_name = mem_string(file);
    old = replace_output_locked(descriptor);
    lock_release(&log_lock);
    close_output(old);
    return CESID_OK;
}

int log_reopen(void)
{
    int descriptor = STDERR_FILENO, old = STDERR_FILENO;

    /* Opened under the lock, or a log_open() meanwhile would be undone. */
    lock_acquire(&log_lock);
    if (file_name != NULL && (descriptor = open_file(file_name)) >= 0)
        old = replace_output_locked(descriptor);
    lock_release(&log_lock);
    close_output(old);
    return descriptor < 0 ? CESID_E_INTERNAL : CESID_OK;
}

void log_echo_errors(bool on)
{
    lock_acquire(&log_lock);
    echoing = on;
    lock_release(&log_lock);
}

void log_close(void)
{
    int old;

    lock_acquire(&log_lock);
    free(file_name);
    file_name = NULL;
    old = replace_output_locked(STDERR_FILENO);
    lock_release(&log_lock);
    close_output(old);
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
