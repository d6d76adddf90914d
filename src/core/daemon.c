/*
 * Running in the background, and the pid file. Main only, before and after the other threads; no
 * locks but the file's. flock, not fcntl: its lock belongs to the open file, so nothing else in the
 * process can lose it by closing another descriptor of the same file.
 */
#include "cesid/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"

/* ---- the background ---- */

_Noreturn static void await_report(int fd)
{
    unsigned char status = EXIT_FAILURE;
    ssize_t n;
    do
        n = read(fd, &status, 1);
    while (n < 0 && errno == EINTR);
    /* _exit: what stands in stdio's buffers is the child's to write. */
    _exit(n == 1 ? status : EXIT_FAILURE);
}

void daemon_close_inherited(void)
{
    if (close_range(STDERR_FILENO + 1, ~0u, 0) != 0)
        log_warning("main", "cannot close inherited files", log_s("error", strerror(errno)));
}

int daemon_fork(int *fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        log_error("main", "cannot make a pipe", log_s("error", strerror(errno)));
        return CESID_E_INTERNAL;
    }
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        log_error("main", "cannot fork", log_s("error", strerror(errno)));
        close(ends[0]);
        close(ends[1]);
        return CESID_E_INTERNAL;
    }
    if (child > 0) {
        close(ends[1]);
        await_report(ends[0]);
    }
    close(ends[0]);
    setsid();
    umask(027);
    *fd = ends[1];
    return 0;
}

static void leave_terminal(void)
{
    if (chdir("/") != 0)
        log_warning("main", "cannot change to /", log_s("error", strerror(errno)));
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) {
        log_warning("main", "cannot open /dev/null", log_s("error", strerror(errno)));
        return;
    }
    fflush(NULL);
    for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; stream++) {
        if (stream != null)
            dup2(null, stream);
    }
    if (null > STDERR_FILENO)
        close(null);
}

void daemon_report(int *fd, int status)
{
    if (*fd < 0)
        return;
    if (status == 0)
        leave_terminal();
    unsigned char byte = (unsigned char) status;
    ssize_t n;
    do
        n = write(*fd, &byte, 1);
    while (n < 0 && errno == EINTR);
    close(*fd);
    *fd = -1;
}

/* ---- the pid file ---- */

struct pidfile {
    int fd;
    char *path; /* absolute */
};

static void log_holder(int fd, const char *path)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    log_error("main", "another instance holds the pid file", log_s("pidfile", path),
              log_i("pid", pid));
}

/* Root opens it where server.user may make files: what is another's under a second name is left
 * alone. */
static bool is_plain_file(int fd, const char *path)
{
    struct stat opened;
    if (fstat(fd, &opened) == 0 && S_ISREG(opened.st_mode) && opened.st_nlink == 1)
        return true;
    log_error("main", "the pid file is no file of its own", log_s("pidfile", path));
    return false;
}

/* Whether path still is the file that was opened: its last holder removes it before unlocking. */
static bool is_same_file(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && stat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

static int open_locked(const char *path, int *fd)
{
    for (;;) {
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
        if (*fd < 0)
            break;
        if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
            int error = errno == EWOULDBLOCK ? CESID_E_CONFLICT : CESID_E_INTERNAL;
            if (error != CESID_E_CONFLICT)
                break;
            log_holder(*fd, path);
            close(*fd);
            return error;
        }
        if (is_same_file(*fd, path))
            return 0;
        close(*fd);
    }
    log_error("main", "cannot open the pid file", log_s("pidfile", path),
              log_s("error", strerror(errno)));
    if (*fd >= 0)
        close(*fd);
    return CESID_E_INTERNAL;
}

int pidfile_open(const char *path, struct pidfile **pidfile)
{
    *pidfile = NULL;
    int fd;
    int error = open_locked(path, &fd);
    if (error)
        return error;
    if (!is_plain_file(fd, path)) {
        close(fd);
        return CESID_E_INTERNAL;
    }
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", (long) getpid());
    /* A daemon's umask keeps its files from others; this one they may read: status is for all. */
    if (fchmod(fd, 0644) != 0 || ftruncate(fd, 0) != 0 ||
        write(fd, text, (size_t) length) != length) {
        log_error("main", "cannot write the pid file", log_s("pidfile", path),
                  log_s("error", strerror(errno)));
        close(fd);
        return CESID_E_INTERNAL;
    }
    char *absolute = realpath(path, NULL);
    struct pidfile *opened = mem_alloc(sizeof(*opened));
    opened->fd = fd;
    opened->path = absolute ? absolute : mem_string(path);
    *pidfile = opened;
    return 0;
}

void pidfile_close(struct pidfile **pidfile)
{
    struct pidfile *closed = *pidfile;
    if (!closed)
        return;
    *pidfile = NULL;
    if (unlink(closed->path) != 0 && ftruncate(closed->fd, 0) != 0)
        log_warning("main", "cannot empty the pid file", log_s("pidfile", closed->path),
                    log_s("error", strerror(errno)));
    close(closed->fd);
    free(closed->path);
    free(closed);
}
