/*
 * systemd's notifications without its library: a handful of assignments in a datagram. See
 * notify.h. A descriptor is written by one send() a message, so threads need no lock.
 */
#include "cesid/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cesid/log.h"
#include "cesid/memory.h"

#define MESSAGE_MAX 512

struct notify {
    /* immutable */
    int fd; /* connected; -1: nobody wants to know */
    double watchdog;
};

/* "/path", or "@name" of the abstract namespace, whose first byte is a NUL. -1: neither, or nobody
 * is there. */
static int connect_to(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = 1};
    size_t length = strlen(name);
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length);
    int fd;

    if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(address.sun_path)) {
        log_warning("main", "NOTIFY_SOCKET is no address that is understood");
        return -1;
    }
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    else
        size++; /* the NUL */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *) &address, size) != 0) {
        log_warning("main", "nobody listens at NOTIFY_SOCKET", log_s("error", strerror(errno)));
        close(fd);
        return -1;
    }
    return fd;
}

static double watchdog_of(const char *microseconds, const char *pid)
{
    char *end;
    long long value;

    if (microseconds == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long) getpid()))
        return 0;
    errno = 0;
    value = strtoll(microseconds, &end, 10);
    return errno == 0 && *end == '\0' && value > 0 ? (double) value / 1e6 : 0;
}

struct notify *notify_create(void)
{
    struct notify *notify = mem_alloc(sizeof(*notify));
    const char *name = getenv("NOTIFY_SOCKET");

    notify->fd = name != NULL && *name != '\0' ? connect_to(name) : -1;
    if (notify->fd >= 0)
        notify->watchdog = watchdog_of(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"));
    (void) unsetenv("NOTIFY_SOCKET");
    (void) unsetenv("WATCHDOG_USEC");
    (void) unsetenv("WATCHDOG_PID");
    return notify;
}

void notify_destroy(struct notify **slot)
{
    struct notify *notify = *slot;

    *slot = NULL;
    if (notify == NULL)
        return;
    if (notify->fd >= 0)
        close(notify->fd);
    free(notify);
}

double notify_watchdog(const struct notify *notify)
{
    return notify->watchdog;
}

CESID_PRINTF(2, 3) static void tell(struct notify *notify, const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;
    int length;

    if (notify->fd < 0)
        return;
    va_start(arguments, format);
    length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (length >= (int) sizeof(message))
        length = (int) sizeof(message) - 1;
    if (send(notify->fd, message, (size_t) length, MSG_NOSIGNAL) < 0)
        log_debug("main", "the service manager was not told", log_s("error", strerror(errno)));
}

void notify_ready(struct notify *notify, const char *status)
{
    tell(notify, "READY=1\nMAINPID=%ld\nSTATUS=%s\n", (long) getpid(),
         status != NULL ? status : "");
}

void notify_reloading(struct notify *notify)
{
    struct timespec
        now; /* of the clock that the manager compares with, whatever tests do to ours */

    clock_gettime(CLOCK_MONOTONIC, &now);
    tell(notify, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reloading the configuration\n",
         (long long) now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

void notify_stopping(struct notify *notify, double seconds)
{
    tell(notify, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\nSTATUS=Stopping\n",
         (long long) (seconds * 1e6));
}

void notify_alive(struct notify *notify)
{
    tell(notify, "WATCHDOG=1\n");
}
