/*
 * Secrets: a value in the file, a file of its own, or an environment variable. Whatever others may
 * read is refused; buffers that held one are wiped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/memory.h"
#include "config_internal.h"

#define SECRET_LIMIT 4096
#define WHY_LIMIT    16384

const char *const config_suffixes[CONFIG_SPELLINGS] = {"", "_file", "_env"};

static struct secret *read_secret_file(const char *path, struct strbuf *why)
{
    struct secret *secret = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        strbuf_printf(why, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    char data[SECRET_LIMIT + 2];
    size_t length = 0;
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        strbuf_printf(why, "%s is not a regular file", path);
        goto done;
    }
    if (status.st_mode & (S_IROTH | S_IWOTH | S_IWGRP)) {
        strbuf_printf(why, "others may read or write %s (mode %04o): chmod go-w,o-r it", path,
                      (unsigned) status.st_mode & 07777);
        goto done;
    }
    for (;;) {
        ssize_t n = read(fd, data + length, sizeof(data) - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            strbuf_printf(why, "cannot read %s: %s", path, strerror(errno));
            goto done;
        }
        length += (size_t) n;
        if (n == 0 || length == sizeof(data))
            break;
    }
    if (length && data[length - 1] == '\n')
        length--;
    if (length && data[length - 1] == '\r')
        length--;
    if (length == 0)
        strbuf_printf(why, "%s is empty", path);
    else if (length > SECRET_LIMIT)
        strbuf_printf(why, "%s is longer than %d bytes", path, SECRET_LIMIT);
    else if (memchr(data, '\n', length) || memchr(data, '\0', length))
        strbuf_printf(why, "%s must hold the secret alone, on one line", path);
    else
        secret = secret_create(data, length);
done:
    secret_wipe(data, sizeof(data));
    close(fd);
    return secret;
}

static bool is_variable(const char *name)
{
    if (!name[0] || (name[0] >= '0' && name[0] <= '9'))
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
           strlen(name);
}

static struct secret *secret_from_environment(const struct config_target *target,
                                              const config_setting_t *setting, const char *key,
                                              const char *name)
{
    if (!is_variable(name)) {
        config_report(target->source, config_line_of(setting), key,
                      "must be the name of an environment variable");
        return NULL;
    }
    const char *value = getenv(name);
    if (!value || !value[0]) {
        config_report(target->source, config_line_of(setting), key,
                      "the environment variable %s is not set, or empty", name);
        return NULL;
    }
    return secret_create(value, strlen(value));
}

static struct secret *secret_from_file(const struct config_target *target,
                                       const config_setting_t *setting, const char *key,
                                       const char *name)
{
    const struct config_file *file = config_source_file(target->source, config_line_of(setting));
    char *path = config_resolve_path(file, name);
    struct strbuf why;
    strbuf_init(&why, WHY_LIMIT);
    struct secret *secret = read_secret_file(path, &why);
    if (!secret)
        config_report(target->source, config_line_of(setting), key, "%s", why.data);
    strbuf_destroy(&why);
    free(path);
    return secret;
}

/* An empty string is no secret in every spelling, so that a sample can show the key. */
void config_read_secret(const struct config_target *target, const struct config_entry *entry,
                        enum config_spelling spelling, const config_setting_t *setting,
                        const char *key)
{
    const char *text = config_read_text(target, setting, key);
    if (!text || !text[0])
        return;
    const struct config_file *file = config_source_file(target->source, config_line_of(setting));
    if (spelling == CONFIG_SPELLED_HERE && file->others_read)
        config_report(target->source, config_line_of(setting), key,
                      "others may read this file, which holds a secret: chmod o-r it, "
                      "or use %s_file",
                      key);
    if (!target->reads_secrets && entry->only_with_mariadb)
        return;
    struct secret *secret;
    if (spelling == CONFIG_SPELLED_HERE)
        secret = secret_create(text, strlen(text));
    else if (spelling == CONFIG_SPELLED_FILE)
        secret = secret_from_file(target, setting, key, text);
    else
        secret = secret_from_environment(target, setting, key, text);
    struct secret **where = config_slot(target, entry);
    secret_unref(where);
    *where = secret;
}

/* Reported at each spelling after the first that is not empty. */
void config_check_spelling(const struct config_target *target, config_setting_t *group,
                           const config_setting_t *setting, const char *base, const char *key)
{
    const char *own = config_setting_get_string(setting);
    if (!own || !own[0])
        return;
    for (int i = 0; i < CONFIG_SPELLINGS; i++) {
        char name[CONFIG_KEY_SIZE];
        config_print_key(name, "%s%s", base, config_suffixes[i]);
        const config_setting_t *other = config_setting_get_member(group, name);
        const char *text = other ? config_setting_get_string(other) : NULL;
        if (!text || !text[0] || other == setting)
            continue;
        if (config_setting_index(other) < config_setting_index(setting)) {
            config_report(target->source, config_line_of(setting), key,
                          "only one of %s, %s_file and %s_env may be given", base, base, base);
            return;
        }
    }
}
