/*
 * Auth for tests: on a real store and a real state directory, with a clock that the test moves.
 */
#ifndef CESID_TESTS_AUTH_HOUSE_H
#define CESID_TESTS_AUTH_HOUSE_H

#include "cesid/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/statefile.h"

#define PASSWORD "correct horse battery"
#define OTHER    "staple of another kind"

static atomic_int_least64_t skipped_ms; /* how far the tests have moved the clock */

static inline int64_t real(clockid_t clock)
{
    struct timespec now;
    (void) clock_gettime(clock, &now);
    return (int64_t) now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

static inline int64_t moved_monotonic(void)
{
    return real(CLOCK_MONOTONIC) + atomic_load(&skipped_ms) * 1000000;
}

static inline int64_t moved_wall(void)
{
    return real(CLOCK_REALTIME) / 1000000 + atomic_load(&skipped_ms);
}

static const struct clock_source moved_clock = {.monotonic = moved_monotonic, .wall = moved_wall};

static inline void pass_time(double seconds)
{
    atomic_fetch_add(&skipped_ms, (int64_t) (seconds * 1000.0));
}

struct fixture {
    char directory[64];
    char database[128];
    struct config_box *config;
    struct store *store;
    struct auth *auth;
};

static inline int remove_entry(const char *path, const struct stat *info, int type,
                               struct FTW *position)
{
    (void) info;
    (void) type;
    (void) position;
    return remove(path);
}

static inline void write_file(const char *directory, const char *name, const char *content)
{
    struct strbuf why;
    char *temporary = NULL;
    strbuf_init(&why, 1024);
    assert_int_equal(statefile_prepare(directory, name, content, strlen(content), &temporary, &why),
                     0);
    assert_int_equal(statefile_commit(directory, name, temporary, &why), 0);
    free(temporary);
    strbuf_destroy(&why);
}

static inline char *read_file(const char *directory, const char *name)
{
    struct strbuf content, why;
    bool found = false;
    strbuf_init(&content, 4096);
    strbuf_init(&why, 1024);
    assert_int_equal(statefile_read(directory, name, &content, &found, &why), 0);
    strbuf_destroy(&why);
    assert_true(found);
    return strbuf_steal(&content);
}

static inline int open_auth(struct fixture *f, struct strbuf *why)
{
    struct config *config = config_get(f->config);
    assert_int_equal(store_open(config, &f->store, why), 0);
    config_unref(&config);
    return auth_create(f->config, f->store, &f->auth, why);
}

static inline void start(struct fixture *f)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    int status = open_auth(f, &why);
    if (status < 0)
        print_message("%s\n", why.data);
    assert_int_equal(status, 0);
    strbuf_destroy(&why);
}

static inline void stop(struct fixture *f)
{
    auth_destroy(&f->auth);
    store_close(&f->store);
}

static inline void must_not_start(struct fixture *f, const char *part)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    assert_true(open_auth(f, &why) < 0);
    assert_null(f->auth);
    assert_non_null(strstr(why.data, part));
    strbuf_destroy(&why);
    stop(f);
}

static inline int prepare(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    char text[512], path[128];
    (void) snprintf(f->directory, sizeof f->directory, "/tmp/cesid-auth-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    (void) snprintf(f->database, sizeof f->database, "%s/cesid.db", f->directory);
    (void) snprintf(text, sizeof text,
                    "server: { state_dir = \"%s\"; };\n"
                    "store: { path = \"%s\"; acquire_timeout = 30.0; query_timeout = 30.0; "
                    "transaction_timeout = 30.0; };\n"
                    "auth: { session_ttl = 3600.0; login_attempts = 3; lockout = 60.0; };\n",
                    f->directory, f->database);
    write_file(f->directory, "cesid.conf", text);
    (void) snprintf(path, sizeof path, "%s/cesid.conf", f->directory);
    struct config *config = NULL;
    struct config_problems problems;
    assert_int_equal(config_load(path, &config, &problems), 0);
    config_problems_free(&problems);
    f->config = config_box_create(config);
    *state = f;
    return 0;
}

static inline int set_up(void **state)
{
    prepare(state);
    struct fixture *f = *state;
    const char *why = NULL;
    start(f);
    assert_int_equal(auth_create_admin(f->store, "vera", PASSWORD, &why), 0);
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    stop(f);
    config_box_destroy(&f->config);
    (void) nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* A token (caller frees) and perhaps the session. */
static inline int login_from(struct fixture *f, const char *username, const char *password,
                             const char *address, char **token, struct session **session)
{
    struct strbuf text;
    struct session *made = NULL;
    double retry_after = 0.0;
    strbuf_init(&text, 4096);
    int status = auth_login(f->auth, username, password, address, &text, &made, &retry_after);
    assert_true((status == 0) == (made != NULL) && (status == 0) == (text.length > 0));
    if (status == CESID_E_LOCKED_OUT)
        assert_true(retry_after > 0.0 && retry_after <= 60.0);
    if (token)
        *token = strbuf_steal(&text);
    strbuf_destroy(&text);
    if (session)
        *session = made;
    else
        session_unref(&made);
    return status;
}

static inline char *login(struct fixture *f, struct session **session)
{
    char *token = NULL;
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", &token, session), 0);
    return token;
}

static inline int check(struct fixture *f, const char *token)
{
    struct session *session = NULL;
    const struct credentials credentials = {.bearer = token};
    int status = auth_check(f->auth, &credentials, &session);
    assert_true((status == 0) == (session != NULL));
    session_unref(&session);
    return status;
}

static inline void sql(struct fixture *f, const struct store_statement *statement,
                       const char *value)
{
    const struct store_value values[] = {store_text(value)};
    assert_int_equal(store_execute(f->store, statement, values, value ? 1 : 0, NULL), 0);
}

#define FRESH(title, function)                                                                     \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = prepare,                           \
        .teardown_func = tear_down                                                                 \
    }
#define TEST(title, function)                                                                      \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = set_up, .teardown_func = tear_down \
    }

#endif
