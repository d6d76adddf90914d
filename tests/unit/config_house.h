/*
 * Configuration files in a directory of their own.
 */
#ifndef CESID_TESTS_CONFIG_HOUSE_H
#define CESID_TESTS_CONFIG_HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../src/core/config_internal.h"
#include "cesid/error.h"
#include "cesid/memory.h"

static char directory[64];

static inline int make_directory(void **state)
{
    (void) state;
    snprintf(directory, sizeof(directory), "/tmp/cesid-config-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_entry(const char *path, const struct stat *status, int flag,
                               struct FTW *walk)
{
    (void) status;
    (void) flag;
    (void) walk;
    return remove(path);
}

static inline int remove_directory(void **state)
{
    (void) state;
    return nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline const char *path_of(const char *name)
{
    static char path[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof(path[next]), "%s/%s", directory, name);
    return path[next];
}

static inline void write_mode(const char *name, mode_t mode, const char *text, size_t length)
{
    const char *path = path_of(name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static inline void write_file(const char *name, const char *text)
{
    write_mode(name, 0600, text, strlen(text));
}

static inline char *print_problems(const struct config_problems *problems)
{
    struct strbuf out;
    strbuf_init(&out, 1 << 20);
    for (size_t i = 0; i < problems->count; i++) {
        config_problem_print(&out, &problems->items[i]);
        strbuf_putc(&out, '\n');
    }
    return strbuf_steal(&out);
}

static inline struct config *load(const char *name)
{
    struct config *config;
    struct config_problems problems;
    int error = config_load(path_of(name), &config, &problems);
    if (error)
        fail_msg("%s", print_problems(&problems));
    assert_non_null(config);
    assert_int_equal(problems.count, 0);
    return config;
}

static inline struct config *load_text(const char *text)
{
    write_file("cesid.conf", text);
    return load("cesid.conf");
}

#endif
