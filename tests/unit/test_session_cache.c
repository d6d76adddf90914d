/*
 * The two bounded tables behind auth: cached sessions, and login attempts.
 */
#include "../../src/domain/session_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "../../src/domain/attempts.h"
#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"

static struct session *make(const char *id, const char *user_id, int64_t expires_at)
{
    struct user user = {.username = mem_string("vera"),
                        .full_name = mem_string(""),
                        .email = mem_string(""),
                        .active = true};
    (void) snprintf(user.id, sizeof user.id, "%s", user_id);
    return session_create(id, "csrf", expires_at, &user, access_create(NULL, 0));
}

static int64_t tomorrow(void)
{
    return clock_wall() + 86400000;
}

static bool put(struct session_cache *cache, const char *id, const char *user_id)
{
    struct session *session = make(id, user_id, tomorrow());
    bool put = session_cache_put(cache, session, session_cache_ticket(cache, id));
    session_unref(&session);
    return put;
}

static bool holds(struct session_cache *cache, const char *id)
{
    return session_cache_holds(cache, id, clock_wall());
}

static void test_least_recently_used_goes(void **state)
{
    struct session_cache *cache = session_cache_create(3, 60.0);
    struct session *session = NULL;
    (void) state;
    assert_true(put(cache, "01", "u") && put(cache, "02", "u") && put(cache, "03", "u"));
    assert_int_equal(session_cache_get(cache, "01", &session), SESSION_FRESH);
    session_unref(&session);
    assert_true(put(cache, "04", "u"));
    assert_int_equal(session_cache_length(cache), 3);
    assert_true(holds(cache, "01") && !holds(cache, "02") && holds(cache, "03"));
    session_cache_destroy(&cache);
}

static void test_held_sessions_stay(void **state)
{
    struct session_cache *cache = session_cache_create(2, 0.0);
    struct session *held = NULL, *newer = NULL;
    (void) state;
    assert_true(put(cache, "01", "u"));
    assert_int_equal(session_cache_get(cache, "01", &held), SESSION_STALE);
    /* Read again meanwhile: who holds the earlier reading still keeps the record. */
    assert_true(put(cache, "01", "u"));
    for (int i = 16; i < 48; i++) {
        char id[8];
        (void) snprintf(id, sizeof id, "%x", (unsigned) i);
        assert_true(put(cache, id, "u"));
        assert_true(session_cache_length(cache) <= 2);
    }
    assert_true(holds(cache, "01"));
    assert_int_equal(session_cache_get(cache, "01", &newer), SESSION_STALE);
    assert_ptr_not_equal(held, newer);
    session_unref(&newer);
    session_unref(&held);
    assert_true(put(cache, "a1", "u") && put(cache, "a2", "u"));
    assert_false(holds(cache, "01"));
    session_cache_destroy(&cache);
}

static void test_held_sessions_hide_no_others(void **state)
{
    /* Idle connections' sessions gather at the front; there must be room behind them still. */
    struct session_cache *cache = session_cache_create(4, 60.0);
    struct session *held[40];
    char id[8];
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(held); i++) {
        (void) snprintf(id, sizeof id, "a%zx", i);
        assert_true(put(cache, id, "u"));
        assert_int_equal(session_cache_get(cache, id, &held[i]), SESSION_FRESH);
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void) snprintf(id, sizeof id, "b%x", i);
        assert_true(put(cache, id, "u"));
    }
    assert_true(session_cache_length(cache) < 2 * ARRAY_LENGTH(held));
    for (size_t i = 0; i < ARRAY_LENGTH(held); i++) {
        assert_true(holds(cache, held[i]->id));
        session_unref(&held[i]);
    }
    for (unsigned i = 0; i < 100; i++) {
        (void) snprintf(id, sizeof id, "c%x", i);
        assert_true(put(cache, id, "u"));
    }
    assert_true(session_cache_length(cache) <= 4);
    session_cache_destroy(&cache);
}

static void test_expired_sessions_go_first(void **state)
{
    struct session_cache *cache = session_cache_create(10, 60.0);
    struct session *old = make("01", "u", clock_wall() - 1);
    (void) state;
    assert_true(session_cache_put(cache, old, session_cache_ticket(cache, "01")));
    assert_false(holds(cache, "01"));
    assert_true(put(cache, "02", "u"));
    assert_int_equal(session_cache_length(cache), 1);
    session_unref(&old);
    session_cache_destroy(&cache);
}

static void test_revoked_while_loading(void **state)
{
    struct session_cache *cache = session_cache_create(10, 60.0);
    struct session *loaded = make("01", "u", tomorrow());
    struct session *other = make("f1", "u", tomorrow());
    (void) state;
    uint64_t ticket = session_cache_ticket(cache, "01");
    uint64_t other_ticket = session_cache_ticket(cache, "f1");
    session_cache_revoke(cache, "01", 0);
    assert_false(session_cache_put(cache, loaded, ticket));
    assert_false(holds(cache, "01"));
    assert_true(session_cache_put(cache, other, other_ticket));
    /* All of a user's sessions: whatever is being loaded may be one of them. */
    ticket = session_cache_ticket(cache, "01");
    session_cache_revoke_user(cache, "u", NULL, true);
    assert_false(holds(cache, "f1"));
    assert_false(session_cache_put(cache, loaded, ticket));
    session_unref(&loaded);
    session_unref(&other);
    session_cache_destroy(&cache);
}

static void test_revoke_user(void **state)
{
    struct session_cache *cache = session_cache_create(10, 60.0);
    (void) state;
    assert_true(put(cache, "01", "vera") && put(cache, "02", "vera") && put(cache, "03", "paul"));
    session_cache_revoke_user(cache, "vera", "02", true);
    assert_true(!holds(cache, "01") && holds(cache, "02") && holds(cache, "03"));
    session_cache_destroy(&cache);
}

static void test_untold(void **state)
{
    struct session_cache *cache = session_cache_create(10, 60.0);
    struct session *session = NULL;
    char id[AUTH_ID_SIZE];
    (void) state;
    assert_true(put(cache, "01", "u"));
    assert_false(session_cache_untold(cache, id));
    session_cache_revoke(cache, "01", tomorrow());
    session_cache_revoke(cache, "02", tomorrow());
    assert_int_equal(session_cache_get(cache, "01", &session), SESSION_REVOKED);
    assert_null(session);
    assert_false(holds(cache, "01"));
    for (int i = 0; i < 2; i++) {
        assert_true(session_cache_untold(cache, id));
        session_cache_told(cache, id);
    }
    assert_false(session_cache_untold(cache, id));
    assert_int_equal(session_cache_get(cache, "01", &session), SESSION_UNKNOWN);
    session_cache_destroy(&cache);
}

/* ---- attempts ---- */

static const struct attempts_limits limits = {.failures = 3, .lockout = 60.0};

static int begin(struct attempts *attempts, const char *name, const char *address, double wait)
{
    double retry_after = 0.0;
    return attempts_begin(attempts, name, address, &limits, clock_after(wait), &retry_after);
}

static void test_attempts_are_bounded(void **state)
{
    struct attempts *attempts = attempts_create(8, 2, 4);
    (void) state;
    for (int i = 0; i < 100; i++) {
        char name[300];
        (void) snprintf(name, sizeof name, "%d-%0*d", i, 1 + i * 2, i);
        assert_int_equal(begin(attempts, name, "10.0.0.1", 1.0), 0);
        attempts_end(attempts, name, "10.0.0.1", &limits, ATTEMPT_WRONG);
        assert_true(attempts_length(attempts) <= 8);
    }
    attempts_destroy(&attempts);
}

static void test_attempts_under_way_count(void **state)
{
    struct attempts *attempts = attempts_create(8, 2, 4);
    (void) state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(begin(attempts, "vera", "10.0.0.1", 1.0), 0);
    /* A fourth guess at the same time is not looked at. */
    assert_int_equal(begin(attempts, "vera", "10.0.0.1", 0.01), CESID_E_RATE_LIMITED);
    assert_int_equal(begin(attempts, "vera", "10.0.0.2", 0.01), 0);
    attempts_end(attempts, "vera", "10.0.0.2", &limits, ATTEMPT_RIGHT);
    attempts_end(attempts, "vera", "10.0.0.1", &limits, ATTEMPT_UNKNOWN);
    assert_int_equal(begin(attempts, "vera", "10.0.0.1", 1.0), 0);
    for (int i = 0; i < 3; i++)
        attempts_end(attempts, "vera", "10.0.0.1", &limits, ATTEMPT_WRONG);
    assert_int_equal(begin(attempts, "vera", "10.0.0.1", 1.0), CESID_E_LOCKED_OUT);
    attempts_destroy(&attempts);
}

static void test_lowered_limit(void **state)
{
    static const struct attempts_limits strict = {.failures = 1, .lockout = 60.0};
    struct attempts *attempts = attempts_create(8, 2, 4);
    double retry_after = 0.0;
    (void) state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(begin(attempts, "vera", "10.0.0.1", 1.0), 0);
        attempts_end(attempts, "vera", "10.0.0.1", &limits, ATTEMPT_WRONG);
    }
    assert_int_equal(
        attempts_begin(attempts, "vera", "10.0.0.1", &strict, clock_after(60.0), &retry_after),
        CESID_E_LOCKED_OUT);
    assert_true(retry_after > 0.0 && retry_after <= 60.0);
    attempts_destroy(&attempts);
}

#define HASHERS 12

struct hashers {
    struct attempts *attempts;
    atomic_int now, most, refused;
};

static void *hash(void *argument)
{
    struct hashers *hashers = argument;
    if (attempts_hash_begin(hashers->attempts, clock_after(30.0)) < 0) {
        atomic_fetch_add(&hashers->refused, 1);
        return NULL;
    }
    int now = atomic_fetch_add(&hashers->now, 1) + 1;
    int most = atomic_load(&hashers->most);
    while (now > most && !atomic_compare_exchange_weak(&hashers->most, &most, now))
        ;
    (void) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    atomic_fetch_sub(&hashers->now, 1);
    attempts_hash_end(hashers->attempts);
    return NULL;
}

static void test_hashing_is_bounded(void **state)
{
    struct hashers hashers = {.attempts = attempts_create(8, 2, HASHERS)};
    pthread_t threads[HASHERS];
    (void) state;
    for (int i = 0; i < HASHERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash, &hashers), 0);
    for (int i = 0; i < HASHERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(atomic_load(&hashers.most) <= 2);
    assert_int_equal(atomic_load(&hashers.refused), 0);

    assert_int_equal(attempts_hash_begin(hashers.attempts, clock_after(1.0)), 0);
    assert_int_equal(attempts_hash_begin(hashers.attempts, clock_after(1.0)), 0);
    assert_int_equal(attempts_hash_begin(hashers.attempts, clock_after(0.01)),
                     CESID_E_RATE_LIMITED);
    attempts_hash_end(hashers.attempts);
    attempts_hash_end(hashers.attempts);
    attempts_destroy(&hashers.attempts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used_goes),
        cmocka_unit_test(test_held_sessions_stay),
        cmocka_unit_test(test_held_sessions_hide_no_others),
        cmocka_unit_test(test_expired_sessions_go_first),
        cmocka_unit_test(test_revoked_while_loading),
        cmocka_unit_test(test_revoke_user),
        cmocka_unit_test(test_untold),
        cmocka_unit_test(test_attempts_are_bounded),
        cmocka_unit_test(test_attempts_under_way_count),
        cmocka_unit_test(test_lowered_limit),
        cmocka_unit_test(test_hashing_is_bounded),
    };
    return cmocka_run_group_tests_name("session_cache", tests, NULL, NULL);
}
