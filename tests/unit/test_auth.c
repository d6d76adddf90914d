/*
 * Signing in, staying in, and being put out, also by many at once and while the store is away.
 */
#include "auth_house.h"

#include "cesid/password.h"

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
    pass_time(30); /* half of it, for signing in takes real time, too */
    assert_int_equal(login_from(f, "vera", PASSWORD, "10.0.0.66", NULL, NULL), CESID_E_LOCKED_OUT);
    pass_time(31);
    assert_int_equal(login_from(f, "vera", PASSWORD, "10.0.0.66", NULL, NULL), 0);
    /* Success forgets what failed before. */
    for (int i = 0; i < 6; i++)
        assert_int_equal(
            login_from(f, "vera", i % 3 == 2 ? PASSWORD : OTHER, "10.0.0.1", NULL, NULL),
            i % 3 == 2 ? 0 : CESID_E_INVALID_CREDENTIALS);
}

static bool take_hash(void *argument, const struct store_row *row)
{
    char *hash = argument;
    (void) snprintf(hash, PASSWORD_HASH_SIZE, "%s", store_row_text(row, 0));
    return false;
}

static void stored_hash(struct fixture *f, char hash[PASSWORD_HASH_SIZE])
{
    static const struct store_statement find = {
        "test_hash", "SELECT password_hash FROM users WHERE username = 'vera'"};
    hash[0] = '\0';
    assert_int_equal(store_query(f->store, &find, NULL, 0, take_hash, hash), 0);
}

struct signing_in {
    struct fixture *fixture;
    int status;
};

static void *sign_in_once(void *argument)
{
    struct signing_in *one = argument;
    one->status = login_from(one->fixture, "vera", PASSWORD, "127.0.0.1", NULL, NULL);
    return NULL;
}

static void test_rehash(void **state)
{
    /* A hash of a cheaper day is replaced at the next login that proves the password; no session
     * ends by it, and those who log in at the same moment do not get in each other's way. */
    static const struct store_statement set = {
        "test_set_hash", "UPDATE users SET password_hash = ? WHERE username = 'vera'"};
    static const char cheap[] =
        "$y$j75$ij3IlZqUK77QrJbO5JrMN.$XK6xjpeKRa3LeGykWxBDE931ZlUsP0lClQOJ9fft4G5";
    struct fixture *f = *state;
    char hash[PASSWORD_HASH_SIZE], later[PASSWORD_HASH_SIZE];
    char *token = login(f, NULL);
    stored_hash(f, hash);
    assert_false(password_hash_is_weak(hash));
    assert_true(password_hash_is_weak(cheap));

    sql(f, &set, cheap);
    assert_int_equal(login_from(f, "vera", OTHER, "127.0.0.1", NULL, NULL),
                     CESID_E_INVALID_CREDENTIALS);
    stored_hash(f, hash);
    assert_string_equal(hash, cheap);
    struct signing_in both[2] = {{.fixture = f}, {.fixture = f}};
    pthread_t threads[ARRAY_LENGTH(both)];
    for (size_t i = 0; i < ARRAY_LENGTH(both); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_in_once, &both[i]), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(both); i++) {
        (void) pthread_join(threads[i], NULL);
        assert_int_equal(both[i].status, 0);
    }
    stored_hash(f, hash);
    assert_string_not_equal(hash, cheap);
    assert_false(password_hash_is_weak(hash));
    assert_int_equal(check(f, token), 0);
    free(login(f, NULL));
    stored_hash(f, later);
    assert_string_equal(later, hash);
    free(token);
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
    const struct CMUnitTest tests[] = {
        TEST("who signs in gets a session", test_login),
        TEST("R3.4 unknown, disabled and wrong get the same answer", test_wrong_credentials),
        TEST("a lockout counts user and address together", test_lockout),
        TEST("a hash of a cheaper day is made anew at login", test_rehash),
        TEST("R3.2 credentials are taken in one order", test_refused_tokens),
        TEST("R3.3 a session ends with its time", test_expiry),
        TEST("R3.3 signing out ends a session at once", test_logout),
        TEST("a session that another program ended is over within seconds", test_ended_elsewhere),
        TEST("a live session outlasts a store outage", test_store_outage),
        TEST("many sign in and out at once", test_many_visitors),
        TEST("no check passes after signing out has answered", test_check_and_logout_race),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
