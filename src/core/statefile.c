/*
 * Files of the state directory. A reader must find the old content or the new one, also after a
 * power cut: so write beside, fsync, rename, fsync the directory. Any thread, no locks.
 */
#include "cesid/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/random.h"

static int fail(struct strbuf *why, const char *path, const char *what)
{
    strbuf_printf(why, "%s: %s: %s", path, what, strerror(errno));
    return CESID_E_INTERNAL;
}

char *statefile_path(const char *directory, const char *name)
{
    size_t size = strlen(directory) + strlen(name) + 2;
    char *path = mem_alloc(size);
    (void) snprintf(path, size, "%s/%s", directory, name);
    return path;
}

int statefile_directory(const char *directory, struct strbuf *why)
{
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return fail(why, directory, "cannot make the state directory");
    struct stat info;
    if (stat(directory, &info) < 0)
        return fail(why, directory, "cannot use the state directory");
    if (!S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return fail(why, directory, "cannot use the state directory");
    }
    if (info.st_mode & (S_IWGRP | S_IWOTH)) {
        strbuf_printf(why, "%s: others may write to the state directory: chmod go-w it", directory);
        return CESID_E_INTERNAL;
    }
    if (access(directory, R_OK | W_OK | X_OK) < 0)
        return fail(why, directory, "cannot use the state directory");
    return 0;
}

int statefile_lock(const char *directory, int *fd, struct strbuf *why)
{
    int status = statefile_directory(directory, why);
    if (status < 0)
        return status;
    char *path = statefile_path(directory, "lock");
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        status = CESID_OK;
    } else if (*fd < 0 || errno != EWOULDBLOCK) {
        status = fail(why, path, "cannot lock the state directory");
    } else {
        strbuf_printf(why,
                      "%s: another cesid works in this state directory: stop it, or give this one "
                      "a server.state_dir of its own",
                      directory);
        status = CESID_E_CONFLICT;
    }
    if (status < 0 && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    free(path);
    return status;
}

static int read_all(int fd, const char *path, struct strbuf *content, struct strbuf *why)
{
    for (;;) {
        char chunk[1024];
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(why, path, "cannot read it");
        if (got == 0)
            break;
        strbuf_add(content, chunk, (size_t) got);
    }
    if (strbuf_failed(content)) {
        errno = EFBIG;
        return fail(why, path, "cannot read it");
    }
    return 0;
}

int statefile_read(const char *directory, const char *name, struct strbuf *content, bool *found,
                   struct strbuf *why)
{
    int status = 0;
    char *path = statefile_path(directory, name);
    *found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno != ENOENT)
            status = fail(why, path, "cannot open it");
        goto out;
    }
    struct stat info;
    if (fstat(fd, &info) < 0) {
        status = fail(why, path, "cannot open it");
    } else if (!S_ISREG(info.st_mode)) {
        strbuf_printf(why, "%s: is no regular file", path);
        status = CESID_E_INTERNAL;
    } else if (info.st_uid != geteuid()) {
        strbuf_printf(why, "%s: belongs to another user", path);
        status = CESID_E_INTERNAL;
    } else if (info.st_mode & 077) {
        strbuf_printf(why,
                      "%s: others may read or write it: chmod 600 it, or remove it when "
                      "others may have read it",
                      path);
        status = CESID_E_INTERNAL;
    } else {
        status = read_all(fd, path, content, why);
        *found = status == 0;
    }
    close(fd);
out:
    free(path);
    return status;
}

static bool write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t wrote = write(fd, data, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return false;
        data += wrote;
        length -= (size_t) wrote;
    }
    return true;
}

int statefile_prepare(const char *directory, const char *name, const char *content, size_t length,
                      char **temporary, struct strbuf *why)
{
    char suffix[13], full_name[256];
    random_hex(suffix, (sizeof suffix - 1) / 2);
    (void) snprintf(full_name, sizeof full_name, ".%s.%s", name, suffix);
    char *path = statefile_path(directory, full_name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int status = fail(why, path, "cannot create it");
        free(path);
        return status;
    }
    int status = 0;
    if (!write_all(fd, content, length) || fsync(fd) < 0)
        status = fail(why, path, "cannot write it");
    if (close(fd) < 0 && status == 0)
        status = fail(why, path, "cannot write it");
    if (status < 0) {
        unlink(path);
        free(path);
        return status;
    }
    *temporary = path;
    return 0;
}

static int flush_directory(const char *directory, struct strbuf *why)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(why, directory, "cannot open the state directory");
    int status = fsync(fd) < 0 ? fail(why, directory, "cannot flush the state directory") : 0;
    close(fd);
    return status;
}

int statefile_commit(const char *directory, const char *name, const char *temporary,
                     struct strbuf *why)
{
    char *path = statefile_path(directory, name);
    int status = 0;
    /* A repeated commit finds the temporary name gone and the file in place. */
    if (rename(temporary, path) < 0 && (errno != ENOENT || access(path, F_OK) < 0))
        status = fail(why, path, "cannot put it in place");
    if (status == 0)
        status = flush_directory(directory, why);
    free(path);
    return status;
}

int statefile_create(const char *directory, const char *name, const char *temporary,
                     struct strbuf *why)
{
    char *path = statefile_path(directory, name);
    int status = 0;
    if (link(temporary, path) < 0)
        status = errno == EEXIST ? CESID_E_CONFLICT : fail(why, path, "cannot put it in place");
    unlink(temporary);
    if (status == 0)
        status = flush_directory(directory, why);
    free(path);
    return status;
}

void statefile_discard(const char *temporary)
{
    unlink(temporary);
}
