/*
 * Privileges and limits. See privileges.h. Main only; CivetWeb's workers run already when
 * privileges are dropped, and libc carries that to every thread. No locks.
 */
#include "cesid/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"

#define FILES_OTHER 256 /* the store, the log, pipes, what libraries hold */

struct identity {
    uid_t user;
    gid_t group;
};

/* False with a line in the log. */
static bool find_identity(const struct config_server *server, struct identity *identity)
{
    const struct passwd *user = getpwnam(server->user);
    const struct group *group;

    if (user == NULL) {
        log_error("main", "server.user is not known here", log_s("user", server->user));
        return false;
    }
    *identity = (struct identity){user->pw_uid, user->pw_gid};
    if (*server->group == '\0')
        return true;
    group = getgrnam(server->group);
    if (group == NULL) {
        log_error("main", "server.group is not known here", log_s("group", server->group));
        return false;
    }
    identity->group = group->gr_gid;
    return true;
}

/* ---- directories ---- */

/* Only a directory that was made here changes hands, and only the last step of its path is made:
 * whoever owns the rest is trusted with it. */
static void make_for(const char *directory, mode_t mode, const struct identity *identity)
{
    int fd;

    if (mkdir(directory, mode) != 0)
        return;
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, identity->user, identity->group) != 0)
        log_warning("main", "cannot give a directory to server.user", log_s("directory", directory),
                    log_s("error", strerror(errno)));
    else
        log_info("main", "made a directory", log_s("directory", directory));
    if (fd >= 0)
        close(fd);
}

static void make_parent_for(const char *file, mode_t mode, const struct identity *identity)
{
    const char *slash = strrchr(file, '/');
    char *directory;

    if (slash == NULL || slash == file)
        return;
    directory = mem_bytes(file, (size_t) (slash - file));
    make_for(directory, mode, identity);
    free(directory);
}

void privileges_prepare(const struct config *config)
{
    struct identity identity;

    if (geteuid() != 0 || *config->server.user == '\0' ||
        !find_identity(&config->server, &identity))
        return;
    make_for(config->server.state_dir, 0700, &identity);
    if (config->store.backend == CONFIG_SQLITE)
        make_parent_for(config->store.path, 0700, &identity);
    make_parent_for(config->log.file, 0750, &identity);
}

/* ---- the user ---- */

int privileges_drop(const struct config_server *server)
{
    struct identity identity;

    if (*server->user == '\0')
        return CESID_OK;
    if (!find_identity(server, &identity))
        return CESID_E_INTERNAL;
    if (geteuid() != 0) {
        if (geteuid() != identity.user)
            log_warning("main", "only root can become server.user; going on as who started it",
                        log_s("user", server->user));
        return CESID_OK;
    }
    if (initgroups(server->user, identity.group) != 0 || setgid(identity.group) != 0 ||
        setuid(identity.user) != 0) {
        log_error("main", "cannot become server.user", log_s("user", server->user),
                  log_s("error", strerror(errno)));
        return CESID_E_INTERNAL;
    }
    if (identity.user != 0 && (setuid(0) == 0 || geteuid() != identity.user)) {
        log_error("main", "the way back to root is still open", log_s("user", server->user));
        return CESID_E_INTERNAL;
    }
    /* As if started by that user: else /proc/self stays root's and cannot be counted in. */
    (void) prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    log_info("main", "running as server.user", log_s("user", server->user),
             log_i("uid", (int64_t) geteuid()), log_i("gid", (int64_t) getegid()));
    return CESID_OK;
}

/* ---- descriptors ---- */

static rlim_t files_wanted(const struct config *config)
{
    /* A node has a connection for polls and one for an action. */
    return 2 * (rlim_t) config->nodes_count + (rlim_t) config->websocket.clients +
           (rlim_t) config->server.threads + (rlim_t) config->server.streams +
           (rlim_t) config->refresh.connections + FILES_OTHER;
}

void files_raise(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_max < files_wanted(config)) { /* only root may */
        const struct rlimit more = {files_wanted(config), files_wanted(config)};

        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            return;
    }
    limit.rlim_cur = limit.rlim_max;
    (void) setrlimit(RLIMIT_NOFILE, &limit);
}

void files_report(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    log_info("main", "limit of open files", log_i("files", (int64_t) limit.rlim_cur));
    if (limit.rlim_cur < files_wanted(config))
        log_warning("main", "the limit of open files is lower than the configuration can need",
                    log_i("files", (int64_t) limit.rlim_cur),
                    log_i("needed", (int64_t) files_wanted(config)));
}
