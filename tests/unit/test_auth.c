/*
 * Signing in, staying in, and being put out: auth on a real store and a real state directory.
 */
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

static int64_t real(clockid_t clock)
{
    struct timespec now;
    (void) clock_gettime(clock, &now);
    return (int64_t) now.tv_sec * CLOCK_SECOND + now.tv_nsec;
}

static int64_t moved_monotonic(void)
{
    return real(CLOCK_MONOTONIC) + atomic_load(&skipped_ms) * 1000000;
}

static int64_t moved_wall(void)
{
    return real(CLOCK_REALTIME) / 1000000 + atomic_load(&skipped_ms);
}

static const struct clock_source moved_clock = {.monotonic = moved_monotonic, .wall = moved_wall};

static void pass_time(double seconds)
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

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void) info;
    (void) type;
    (void) position;
    return remove(path);
}

static void write_file(const char *directory, const char *name, const char *content)
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

static char *read_file(const char *directory, const char *name)
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

static int open_auth(struct fixture *f, struct strbuf *why)
{
    struct config *config = config_get(f->config);
    assert_int_equal(store_open(config, &f->store, why), 0);
    config_unref(&config);
    return auth_create(f->config, f->store, &f->auth, why);
}

static void start(struct fixture *f)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    int status = open_auth(f, &why);
    if (status < 0)
        print_message("%s\n", why.data);
    assert_int_equal(status, 0);
    strbuf_destroy(&why);
}

static void stop(struct fixture *f)
{
    auth_destroy(&f->auth);
    store_close(&f->store);
}

static void must_not_start(struct fixture *f, const char *part)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    assert_true(open_auth(f, &why) < 0);
    assert_null(f->auth);
    assert_non_null(strstr(why.data, part));
    strbuf_destroy(&why);
    stop(f);
}

static int prepare(void **state)
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

static int set_up(void **state)
{
    prepare(state);
    struct fixture *f = *state;
    const char *why = NULL;
    start(f);
    assert_int_equal(auth_create_admin(f->store, "vera", PASSWORD, &why), 0);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stop(f);
    config_box_destroy(&f->config);
    (void) nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* A token (caller frees) and perhaps the session. */
static int login_from(struct fixture *f, const char *username, const char *password,
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

static char *login(struct fixture *f, struct session **session)
{
    char *token = NULL;
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", &token, session), 0);
    return token;
}

static int check(struct fixture *f, const char *token)
{
    struct session *session = NULL;
    const struct credentials credentials = {.bearer = token};
    int status = auth_check(f->auth, &credentials, &session);
    assert_true((status == 0) == (session != NULL));
    session_unref(&session);
    return status;
}

static void sql(struct fixture *f, const struct store_statement *statement, const char *value)
{
    const struct store_value values[] = {store_text(value)};
    assert_int_equal(store_execute(f->store, statement, values, value ? 1 : 0, NULL), 0);
}

/* ---- the first start ---- */

static void test_first_start(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    char *path = statefile_path(f->directory, "initial-admin-password");
    start(f);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    free(path);

    char *password = read_file(f->directory, "initial-admin-password");
    assert_int_equal(strcspn(password, "\n"), 20);
    assert_string_equal(password + 20, "\n");
    password[20] = '\0';
    char *token = NULL;
    struct session *session = NULL;
    assert_int_equal(login_from(f, "admin", password, "127.0.0.1", &token, &session), 0);
    assert_true(access_allows(session->access, USER_ADMIN, NULL));
    session_unref(&session);

    /* The second start makes neither another password nor another key: the session goes on. */
    stop(f);
    start(f);
    char *again = read_file(f->directory, "initial-admin-password");
    again[20] = '\0';
    assert_string_equal(password, again);
    assert_int_equal(check(f, token), 0);
    free(again);
    free(password);
    free(token);
}

static void test_cut_short_first_start(void **state)
{
    /* The file of a start that died before its commit is replaced by a pair that works. */
    struct fixture *f = *state;
    write_file(f->directory, "initial-admin-password", "abcdefghijklmnopqrst\n");
    start(f);
    char *password = read_file(f->directory, "initial-admin-password");
    assert_string_not_equal(password, "abcdefghijklmnopqrst\n");
    password[20] = '\0';
    assert_int_equal(login_from(f, "admin", password, "127.0.0.1", NULL, NULL), 0);
    free(password);
}

static void test_first_start_with_an_admin(void **state)
{
    /* After --create-admin there is an administrator, and nothing is left to do. */
    struct fixture *f = *state;
    const char *why = NULL;
    struct strbuf text;
    strbuf_init(&text, 1024);
    struct config *config = config_get(f->config);
    assert_int_equal(store_open(config, &f->store, &text), 0);
    config_unref(&config);
    strbuf_destroy(&text);
    assert_int_equal(auth_create_admin(f->store, "vera", PASSWORD, &why), 0);
    store_close(&f->store);
    start(f);
    char *path = statefile_path(f->directory, "initial-admin-password");
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", NULL, NULL), 0);
}

static void test_key_file(void **state)
{
    struct fixture *f = *state;
    char *path = statefile_path(f->directory, "session.key");
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    char *token = login(f, NULL);
    char *key = read_file(f->directory, "session.key");
    stop(f);

    assert_int_equal(chmod(path, 0640), 0);
    must_not_start(f, "others may read");
    assert_int_equal(chmod(path, 0600), 0);
    write_file(f->directory, "session.key", "rubbish\n");
    must_not_start(f, "is damaged");
    write_file(f->directory, "session.key", "");
    must_not_start(f, "is damaged");

    /* Rotation: a new key in front signs, the old one is still accepted. */
    char both[512];
    (void) snprintf(both, sizeof both, "%s%s%s", "00112233aabbccdd ",
                    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", key);
    write_file(f->directory, "session.key", both);
    start(f);
    assert_int_equal(check(f, token), 0);
    char *newer = login(f, NULL);
    assert_int_equal(check(f, newer), 0);
    stop(f);

    /* A lost key ends every session, and nothing else. */
    assert_int_equal(unlink(path), 0);
    start(f);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_int_equal(check(f, newer), CESID_E_UNAUTHENTICATED);
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", NULL, NULL), 0);
    free(newer);
    free(token);
    free(key);
    free(path);
}

/* ---- signing in ---- */

static void test_login(void **state)
{
    struct fixture *f = *state;
    struct session *session = NULL, *checked = NULL;
    char *token = login(f, &session);
    assert_string_equal(session->user.username, "vera");
    assert_true(session->user.active && session->user.last_login_at > 0);
    assert_int_equal(strlen(session->csrf_token), 32);
    assert_string_not_equal(session->csrf_token, session->id);
    assert_null(strstr(token, session->csrf_token));
    const struct credentials cookie = {.cookie = token};
    assert_int_equal(auth_check(f->auth, &cookie, &checked), 0);
    assert_string_equal(checked->id, session->id);
    assert_string_equal(checked->csrf_token, session->csrf_token);
    session_unref(&checked);
    session_unref(&session);
    free(token);
}

static void test_wrong_credentials(void **state)
{
    static const struct store_statement disable = {
        "test_disable", "UPDATE users SET active = 0 WHERE username = ?"};
    static const char *const names[] = {"nobody", "", "vera' --", "VERA", "vera ", "../vera"};
    struct fixture *f = *state;
    char *token = login(f, NULL);
    assert_int_equal(login_from(f, "vera", OTHER, "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(login_from(f, "vera", "", "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_int_equal(login_from(f, names[i], PASSWORD, "127.0.0.1", NULL, NULL),
                         CESID_E_INVALID_CREDENTIALS);
    /* A disabled user is told the same, and the session on record opens nothing any more. */
    sql(f, &disable, "vera");
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.2", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    pass_time(6);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    free(token);
}

static void test_lockout(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(login_from(f, "vera", OTHER, "10.0.0.66", NULL, NULL),
                         CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(login_from(f, "vera", PASSWORD, "10.0.0.66", NULL, NULL), CESID_E_LOCKED_OUT);
    /* The stranger's attempts do not lock vera out from where she sits. */
    assert_int_equal(login_from(f, "vera", PASSWORD, "10.0.0.1", NULL, NULL), 0);
    pass_time(59);
    assert_int_equal(login_from(f, "vera", PASSWORD, "10.0.0.66", NULL, NULL), CESID_E_LOCKED_OUT);
    pass_time(2);
    assert_int_equal(login_from(f, "vera", PASSWORD, "10.0.0.66", NULL, NULL), 0);
    /* Success forgets what failed before. */
    for (int i = 0; i < 6; i++)
        assert_int_equal(
            login_from(f, "vera", i % 3 == 2 ? PASSWORD : OTHER, "10.0.0.1", NULL, NULL),
            i % 3 == 2 ? 0 : CESID_E_INVALID_CREDENTIALS);
}

/* ---- the check ---- */

static void test_refused_tokens(void **state)
{
    static const char *const tokens[] = {"", "x", "a.b.c", "null", "Bearer x"};
    struct fixture *f = *state;
    struct session *session = NULL;
    const struct credentials none = {0};
    assert_int_equal(auth_check(f->auth, &none, &session), CESID_E_UNAUTHENTICATED);
    for (size_t i = 0; i < ARRAY_LENGTH(tokens); i++)
        assert_int_equal(check(f, tokens[i]), CESID_E_UNAUTHENTICATED);
    /* A bearer that does not hold is not made good by a cookie that does. */
    char *token = login(f, NULL);
    const struct credentials both = {.bearer = "x", .cookie = token};
    assert_int_equal(auth_check(f->auth, &both, &session), CESID_E_UNAUTHENTICATED);
    const struct credentials turned = {.bearer = token, .cookie = "x"};
    assert_int_equal(auth_check(f->auth, &turned, &session), 0);
    session_unref(&session);
    free(token);
}

static void test_expiry(void **state)
{
    struct fixture *f = *state;
    struct session *session = NULL;
    char *token = login(f, &session);
    pass_time(3590);
    assert_int_equal(check(f, token), 0);
    assert_true(auth_session_valid(f->auth, session));
    pass_time(11);
    assert_int_equal(check(f, token), CESID_E_SESSION_EXPIRED);
    assert_false(auth_session_valid(f->auth, session));
    session_unref(&session);
    free(token);
    /* The next sign-in takes it out of the store. */
    pass_time(601);
    free(login(f, NULL));
    static const struct store_statement none = {
        "test_none", "INSERT INTO roles (name, created_at) SELECT 'none left', COUNT(*) FROM "
                     "sessions"};
    static const struct store_statement one = {
        "test_one", "UPDATE roles SET created_at = 7 WHERE name = ? AND created_at = 1"};
    const struct store_value name[] = {store_text("none left")};
    int64_t changed = 0;
    sql(f, &none, NULL);
    assert_int_equal(store_execute(f->store, &one, name, 1, &changed), 0);
    assert_int_equal(changed, 1);
}

static void test_logout(void **state)
{
    struct fixture *f = *state;
    struct session *first = NULL, *second = NULL;
    char *token = login(f, &first);
    char *other = login(f, &second);
    assert_int_equal(check(f, token), 0);
    assert_int_equal(auth_logout(f->auth, first), 0);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_false(auth_session_valid(f->auth, first));
    assert_int_equal(check(f, other), 0);
    assert_true(auth_session_valid(f->auth, second));
    assert_int_equal(auth_logout(f->auth, first), 0);
    session_unref(&first);
    session_unref(&second);
    stop(f);
    start(f);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_int_equal(check(f, other), 0);
    free(token);
    free(other);
}

static void test_ended_elsewhere(void **state)
{
    static const struct store_statement end = {"test_end", "DELETE FROM sessions WHERE id = ?"};
    struct fixture *f = *state;
    struct session *session = NULL;
    char *token = login(f, &session);
    sql(f, &end, session->id);
    pass_time(6);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_false(auth_session_valid(f->auth, session));
    session_unref(&session);
    free(token);
}

/* ---- a store that is away ---- */

/* Every statement on sessions fails, as it does while the database cannot be reached; the store's
 * own tests have the real faults. */
static void take_store_away(struct fixture *f)
{
    static const struct store_statement away = {"test_away",
                                                "ALTER TABLE sessions RENAME TO sessions_away"};
    sql(f, &away, NULL);
}

static void bring_store_back(struct fixture *f)
{
    static const struct store_statement back = {"test_back",
                                                "ALTER TABLE sessions_away RENAME TO sessions"};
    sql(f, &back, NULL);
}

static void restart(struct fixture *f)
{
    stop(f);
    start(f);
}

static void test_store_outage(void **state)
{
    struct fixture *f = *state;
    struct session *session = NULL;
    char *unseen = login(f, NULL);
    char *token = login(f, &session);
    restart(f); /* the cache is empty */
    session_unref(&session);
    const struct credentials credentials = {.bearer = token};
    assert_int_equal(auth_check(f->auth, &credentials, &session), 0);

    take_store_away(f);
    pass_time(6);
    assert_int_equal(check(f, token), 0);
    pass_time(6);
    assert_int_equal(check(f, token), 0);
    assert_true(auth_session_valid(f->auth, session));
    assert_int_equal(check(f, unseen), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", NULL, NULL),
                     CESID_E_STORE_UNAVAILABLE);

    /* Signing out holds at once, and the store is told when it is back. */
    assert_int_equal(auth_logout(f->auth, session), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_false(auth_session_valid(f->auth, session));
    bring_store_back(f);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_int_equal(check(f, unseen), 0);
    restart(f);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    assert_int_equal(check(f, unseen), 0);
    session_unref(&session);
    free(unseen);
    free(token);
}

/* ---- passwords ---- */

static void test_change_password(void **state)
{
    struct fixture *f = *state;
    struct session *mine = NULL, *other = NULL;
    const char *why = NULL;
    char *token = login(f, &mine);
    char *other_token = login(f, &other);
    assert_int_equal(auth_change_password(f->auth, mine, PASSWORD, "short", &why),
                     CESID_E_VALIDATION_FAILED);
    assert_non_null(why);
    assert_int_equal(auth_change_password(f->auth, mine, PASSWORD, PASSWORD, &why),
                     CESID_E_VALIDATION_FAILED);
    assert_int_equal(auth_change_password(f->auth, mine, OTHER, "another good one", &why),
                     CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(check(f, other_token), 0);
    assert_int_equal(auth_change_password(f->auth, mine, PASSWORD, OTHER, &why), 0);
    assert_int_equal(check(f, token), 0);
    assert_int_equal(check(f, other_token), CESID_E_UNAUTHENTICATED);
    assert_false(auth_session_valid(f->auth, other));
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(login_from(f, "vera", OTHER, "127.0.0.1", NULL, NULL), 0);
    /* An open page is no place to guess from. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(auth_change_password(f->auth, mine, PASSWORD, "another good one", &why),
                         CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(auth_change_password(f->auth, mine, OTHER, "another good one", &why),
                     CESID_E_LOCKED_OUT);
    session_unref(&mine);
    session_unref(&other);
    free(token);
    free(other_token);
}

static void test_create_admin(void **state)
{
    static const struct store_statement disable = {
        "test_disable_again", "UPDATE users SET active = 0 WHERE username = ?"};
    struct fixture *f = *state;
    const char *why = NULL;
    char *token = login(f, NULL);
    assert_int_equal(auth_create_admin(f->store, "no good name", OTHER, &why),
                     CESID_E_VALIDATION_FAILED);
    assert_int_equal(auth_create_admin(f->store, "vera", "vera", &why), CESID_E_VALIDATION_FAILED);
    sql(f, &disable, "vera");
    assert_int_equal(auth_create_admin(f->store, "vera", OTHER, &why), 0);
    assert_int_equal(login_from(f, "vera", PASSWORD, "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(login_from(f, "vera", OTHER, "127.0.0.1", NULL, NULL), 0);
    /* The sessions of before are over, in a running cesid within seconds. */
    pass_time(6);
    assert_int_equal(check(f, token), CESID_E_UNAUTHENTICATED);
    free(token);
}

static void test_roles(void **state)
{
    static const struct store_statement statements[] = {
        {"test_unbind", "DELETE FROM bindings"},
        {"test_role", "INSERT INTO roles (name, created_at) VALUES ('restarter', 0)"},
        {"test_permission", "INSERT INTO role_permissions (role, permission) VALUES"
                            " ('restarter', 'process:read'), ('restarter', 'process:control'),"
                            " ('restarter', 'of:tomorrow')"},
        {"test_bind", "INSERT INTO bindings (id, user_id, role, environment)"
                      " SELECT 'b1', id, 'restarter', 'prod-*' FROM users WHERE username = 'vera'"},
        {"test_bind_viewer", "INSERT INTO bindings (id, user_id, role, environment)"
                             " SELECT 'b2', id, 'viewer', 'test' FROM users WHERE username = "
                             "'vera'"},
        {"test_bind_gone", "INSERT INTO bindings (id, user_id, role, environment)"
                           " SELECT 'b3', id, 'gone', '*' FROM users WHERE username = 'vera'"},
    };
    struct fixture *f = *state;
    struct session *session = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(statements); i++)
        sql(f, &statements[i], NULL);
    char *token = login(f, &session);
    assert_true(access_allows(session->access, PROCESS_CONTROL, "prod-eu"));
    assert_false(access_allows(session->access, LOG_READ, "prod-eu"));
    assert_true(access_allows(session->access, LOG_READ, "test"));
    assert_false(access_allows(session->access, PROCESS_CONTROL, "test"));
    assert_false(access_allows(session->access, NODE_READ, "elsewhere"));
    assert_false(access_allows(session->access, USER_ADMIN, NULL));
    session_unref(&session);
    free(token);
}

static void test_no_secret_in_the_log(void **state)
{
    struct fixture *f = *state;
    const char *why = NULL;
    struct session *session = NULL;
    char *path = statefile_path(f->directory, "cesid.log");
    assert_int_equal(log_open(path, LOG_FORMAT_JSON), 0);
    assert_true(log_set_level(NULL, LOG_LEVEL_DEBUG));
    char *token = login(f, &session);
    assert_int_equal(check(f, "a.secret.token"), CESID_E_UNAUTHENTICATED);
    assert_int_equal(login_from(f, "vera", "a secret guess", "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    /* A password typed into the wrong field. */
    assert_int_equal(login_from(f, "a.secret.name", "vera", "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    assert_int_equal(auth_change_password(f->auth, session, PASSWORD, OTHER, &why), 0);
    assert_int_equal(auth_logout(f->auth, session), 0);
    assert_true(log_set_level(NULL, LOG_LEVEL_INFO));
    log_close();

    char content[16384];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(content, 1, sizeof content - 1, file);
    content[length] = '\0';
    (void) fclose(file);
    char *key = read_file(f->directory, "session.key");
    key[16] = key[81] = '\0';
    const char *const secrets[] = {PASSWORD,
                                   OTHER,
                                   "secret",
                                   "$y$",
                                   key + 17,
                                   token + strlen(token) - 43,
                                   session->csrf_token,
                                   session->id};
    assert_non_null(strstr(content, "signed out"));
    for (size_t i = 0; i < ARRAY_LENGTH(secrets); i++)
        assert_null(strstr(content, secrets[i]));
    session_unref(&session);
    free(token);
    free(key);
    free(path);
}

/* ---- all at once ---- */

#define THREADS 6
#define ROUNDS  6

struct visitor {
    struct fixture *f;
    const char *shared; /* a token that lasts */
    char address[32];
    int wrong;
};

static void *visit(void *argument)
{
    struct visitor *visitor = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct session *session = NULL;
        char *token = NULL;
        int status = login_from(visitor->f, "vera", PASSWORD, visitor->address, &token, &session);
        if (status < 0) {
            visitor->wrong += status != CESID_E_RATE_LIMITED;
            free(token);
            continue;
        }
        for (int j = 0; j < 20; j++) {
            visitor->wrong += check(visitor->f, token) != 0;
            visitor->wrong += check(visitor->f, visitor->shared) != 0;
            visitor->wrong += !auth_session_valid(visitor->f->auth, session);
        }
        visitor->wrong += auth_logout(visitor->f->auth, session) != 0;
        visitor->wrong += check(visitor->f, token) != CESID_E_UNAUTHENTICATED;
        visitor->wrong += auth_session_valid(visitor->f->auth, session);
        session_unref(&session);
        free(token);
    }
    return NULL;
}

static void test_many_visitors(void **state)
{
    struct fixture *f = *state;
    struct visitor visitors[THREADS];
    pthread_t threads[THREADS];
    char *shared = login(f, NULL);
    for (int i = 0; i < THREADS; i++) {
        visitors[i] = (struct visitor){.f = f, .shared = shared};
        /* Two share an address: what one does right must not count against the other. */
        (void) snprintf(visitors[i].address, sizeof visitors[i].address, "10.0.0.%d", i / 2);
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visitors[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(visitors[i].wrong, 0);
    }
    free(shared);
}

struct ending {
    struct fixture *f;
    char *token;
    atomic_bool over; /* logout has answered */
    int wrong;
    int passed;
};

static void *keep_checking(void *argument)
{
    struct ending *ending = argument;
    for (;;) {
        bool over = atomic_load(&ending->over);
        int status = check(ending->f, ending->token);
        ending->wrong += status != 0 && status != CESID_E_UNAUTHENTICATED;
        ending->wrong += over && status == 0;
        ending->passed += status == 0;
        if (over)
            return NULL;
    }
}

static void test_check_and_logout_race(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++) {
        struct session *session = NULL;
        struct ending endings[2];
        pthread_t threads[2];
        char *token = login(f, &session);
        for (int j = 0; j < 2; j++) {
            endings[j] = (struct ending){.f = f, .token = token};
            assert_int_equal(pthread_create(&threads[j], NULL, keep_checking, &endings[j]), 0);
        }
        (void) nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
        pass_time(6); /* so that the store is looked at while the session ends */
        assert_int_equal(auth_logout(f->auth, session), 0);
        for (int j = 0; j < 2; j++)
            atomic_store(&endings[j].over, true);
        for (int j = 0; j < 2; j++) {
            assert_int_equal(pthread_join(threads[j], NULL), 0);
            assert_int_equal(endings[j].wrong, 0);
        }
        session_unref(&session);
        free(token);
    }
}

int main(void)
{
    clock_set_source(&moved_clock);
#define FRESH(title, function)                                                                     \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = prepare,                           \
        .teardown_func = tear_down                                                                 \
    }
#define TEST(title, function)                                                                      \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = set_up, .teardown_func = tear_down \
    }
    const struct CMUnitTest tests[] = {
        FRESH("the first start makes an administrator whose password is in a file",
              test_first_start),
        FRESH("a first start cut short is made good", test_cut_short_first_start),
        FRESH("with an administrator there is no first start", test_first_start_with_an_admin),
        TEST("the signing key is private, can be rotated, and may be lost", test_key_file),
        TEST("who signs in gets a session", test_login),
        TEST("R3.4 unknown, disabled and wrong get the same answer", test_wrong_credentials),
        TEST("a lockout counts user and address together", test_lockout),
        TEST("R3.2 credentials are taken in one order", test_refused_tokens),
        TEST("R3.3 a session ends with its time", test_expiry),
        TEST("R3.3 signing out ends a session at once", test_logout),
        TEST("a session that another program ended is over within seconds", test_ended_elsewhere),
        TEST("a live session outlasts a store outage", test_store_outage),
        TEST("a new password ends the other sessions", test_change_password),
        TEST("an administrator can be created and reset", test_create_admin),
        TEST("rights come from built-in and own roles", test_roles),
        TEST("no secret reaches the log", test_no_secret_in_the_log),
        TEST("many sign in and out at once", test_many_visitors),
        TEST("no check passes after signing out has answered", test_check_and_logout_race),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
