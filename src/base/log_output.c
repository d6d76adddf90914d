/*
 * Where the log's lines go. One thread writes at a time, and who has a line meanwhile leaves it to
 * that thread and goes on: a slow disk does not hold up everybody, and what came meanwhile is
 * written at once. Only these wait for the writer: who has an error to say, who finds no room for
 * its line, whoever opens the log, and the next writer, when this one has done its share. Each
 * thread's lines stay in their order, and lines never mix.
 *
 * A log that cannot be written must not stop the server: the line is lost. So it is when nobody
 * reads the pipe that standard error may be: the first line waits a moment for room, the others do
 * not until one gets through. What was lost is said when there is room again, and a line that a
 * full disk cut in half is ended there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "log_private.h"

#define STALL_MS      100
#define WAITING_BYTES ((size_t) 16 * 1024)
#define TURNS_MAX     2 /* how often a thread writes what waits: its own, and what came meanwhile */

static struct lock output_lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_LOG_OUTPUT};
/* guarded by output_lock, which the thread that writes holds */
static int output = STDERR_FILENO;
static bool may_stall = true; /* the output is no plain file */
static bool stalled;          /* the last line found no room in the output */
static bool torn;             /* the last line was written in part */
static int64_t lost;          /* lines since one last got through */
static char *file_name;
/* atomic */
static bool echoing; /* errors go to standard error, too */

static struct lock waiting_lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_LOG};
/* guarded by waiting_lock */
static char buffers[2][WAITING_BYTES]; /* one fills while the other is written */
static char *waiting = buffers[0];     /* whole lines */
static size_t waiting_bytes;
static bool attended; /* a thread is about to write what waits */

/* How much of it was written. */
static size_t write_locked(const char *data, size_t length)
{
    ssize_t written;

    do
        written = write(output, data, length);
    while (written < 0 && errno == EINTR);
    if (written > 0)
        torn = data[written - 1] != '\n';
    return written > 0 ? (size_t) written : 0;
}

static bool tell_loss_locked(void)
{
    const struct log_field fields[] = {log_i("lines", lost)};
    struct strbuf line, whole;
    bool written;

    log_build(&line, LOG_LEVEL_WARNING, "base",
              "lines of the log could not be written and are lost", fields, ARRAY_LENGTH(fields));
    strbuf_init(&whole, LOG_LINE_BYTES);
    if (torn)
        strbuf_putc(&whole, '\n');
    strbuf_add(&whole, line.data, line.length);
    written = write_locked(whole.data, whole.length) == whole.length;
    strbuf_destroy(&whole);
    strbuf_destroy(&line);
    return written;
}

static int64_t count_lines(const char *data, size_t length)
{
    int64_t count = 0;

    for (size_t i = 0; i < length; i++)
        count += data[i] == '\n';
    return count;
}

static void put_locked(const char *data, size_t length)
{
    struct pollfd room = {.fd = output, .events = POLLOUT};
    size_t written;

    lock_assert_held(&output_lock);
    if (may_stall)
        stalled = poll(&room, 1, stalled ? 0 : STALL_MS) == 0;
    if (stalled || (lost > 0 && !tell_loss_locked())) {
        lost += count_lines(data, length);
        return;
    }
    written = write_locked(data, length);
    lost = count_lines(data + written, length - written);
}

/* What may stall is asked before each line. */
static void put_all_locked(const char *data, size_t length)
{
    while (length > 0) {
        const char *end = may_stall ? memchr(data, '\n', length) : NULL;
        size_t part = end != NULL ? (size_t) (end - data) + 1 : length;

        put_locked(data, part);
        data += part;
        length -= part;
    }
}

/* What waits, and once more what came meanwhile. Who comes later is the next writer. */
static void attend_locked(void)
{
    bool more = true;

    for (int turn = 1; more; turn++) {
        const char *data;
        size_t length;

        lock_acquire(&waiting_lock);
        data = waiting;
        length = waiting_bytes;
        waiting = waiting == buffers[0] ? buffers[1] : buffers[0];
        waiting_bytes = 0;
        attended = more = length > 0 && turn < TURNS_MAX;
        lock_release(&waiting_lock);
        put_all_locked(data, length);
    }
}

void log_put(const char *line, size_t length, bool at_once)
{
    bool fits, attend;

    lock_acquire(&waiting_lock);
    fits = length <= WAITING_BYTES - waiting_bytes;
    attend = at_once || !fits || !attended;
    if (fits) {
        memcpy(waiting + waiting_bytes, line, length);
        waiting_bytes += length;
        attended = true;
    }
    lock_release(&waiting_lock);
    if (!attend)
        return;
    lock_acquire(&output_lock);
    attend_locked();
    if (!fits)
        put_all_locked(line, length);
    lock_release(&output_lock);
}

void log_echo(const char *line, size_t length)
{
    struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written;

    if (!__atomic_load_n(&echoing, __ATOMIC_RELAXED))
        return;
    lock_acquire(&output_lock);
    if (output != STDERR_FILENO && poll(&room, 1, STALL_MS) > 0) {
        do
            written = write(STDERR_FILENO, line, length);
        while (written < 0 && errno == EINTR);
    }
    lock_release(&output_lock);
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

    lock_assert_held(&output_lock);
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
    lock_acquire(&output_lock);
    log_use_format(chosen);
    free(file_name);
    file_name = mem_string(file);
    old = replace_output_locked(descriptor);
    lock_release(&output_lock);
    close_output(old);
    return CESID_OK;
}

int log_reopen(void)
{
    int descriptor = STDERR_FILENO, old = STDERR_FILENO;

    /* Opened under the lock, or a log_open() meanwhile would be undone. */
    lock_acquire(&output_lock);
    if (file_name != NULL && (descriptor = open_file(file_name)) >= 0)
        old = replace_output_locked(descriptor);
    lock_release(&output_lock);
    close_output(old);
    return descriptor < 0 ? CESID_E_INTERNAL : CESID_OK;
}

void log_echo_errors(bool on)
{
    __atomic_store_n(&echoing, on, __ATOMIC_RELAXED);
}

void log_close(void)
{
    int old;

    lock_acquire(&output_lock);
    free(file_name);
    file_name = NULL;
    old = replace_output_locked(STDERR_FILENO);
    lock_release(&output_lock);
    close_output(old);
}
