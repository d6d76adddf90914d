/*
 * The first start, the signing key, passwords, administrators and rights.
 */
#include "auth_house.h"

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

int main(void)
{
    clock_set_source(&moved_clock);
    const struct CMUnitTest tests[] = {
        FRESH("the first start makes an administrator whose password is in a file",
              test_first_start),
        FRESH("a first start cut short is made good", test_cut_short_first_start),
        FRESH("with an administrator there is no first start", test_first_start_with_an_admin),
        TEST("the signing key is private, can be rotated, and may be lost", test_key_file),
        TEST("a new password ends the other sessions", test_change_password),
        TEST("an administrator can be created and reset", test_create_admin),
        TEST("rights come from built-in and own roles", test_roles),
        TEST("no secret reaches the log", test_no_secret_in_the_log),
    };
    return cmocka_run_group_tests_name("auth_accounts", tests, NULL, NULL);
}
