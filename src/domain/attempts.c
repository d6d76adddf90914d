/*
 * Login attempts and permits for hashing. LOCK_AUTH guards both; it is held for hash operations and
 * for waiting on the permits' condition only.
 */
#include "attempts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"

/* Longer ones are cut: they are no names of ours, and may share a count. */
#define KEY_SIZE 160

struct attempt {
    char key[KEY_SIZE];
    int failures;
    int pending;          /* under way; such an entry is not dropped */
    int64_t last;         /* clock_now() of the last failure */
    int64_t locked_until; /* clock_now(); 0: not locked */
    UT_hash_handle hh;
};

struct attempts {
    /* immutable */
    size_t capacity;
    int hashers_max;
    int waiters_max;

    struct lock lock;
    struct cond permit;  /* a hasher has ended */
    struct cond settled; /* an attempt has ended */
    /* guarded by lock */
    struct attempt *entries;
    int hashers;
    int waiters;
};

struct attempts *attempts_create(size_t capacity, int hashers, int waiters)
{
    struct attempts *attempts = mem_alloc(sizeof *attempts);
    attempts->capacity = capacity;
    attempts->hashers_max = hashers;
    attempts->waiters_max = waiters;
    lock_init(&attempts->lock, LOCK_AUTH);
    cond_init(&attempts->permit);
    cond_init(&attempts->settled);
    return attempts;
}

static void drop_locked(struct attempts *attempts, struct attempt *attempt)
{
    lock_assert_held(&attempts->lock);
    HASH_DEL(attempts->entries, attempt);
    free(attempt);
}

void attempts_destroy(struct attempts **pointer)
{
    struct attempts *attempts = *pointer;
    if (!attempts)
        return;
    lock_acquire(&attempts->lock);
    CHECK(attempts->hashers == 0 && attempts->waiters == 0);
    struct attempt *attempt, *next;
    HASH_ITER(hh, attempts->entries, attempt, next)
    {
        drop_locked(attempts, attempt);
    }
    lock_release(&attempts->lock);
    cond_destroy(&attempts->permit);
    cond_destroy(&attempts->settled);
    lock_destroy(&attempts->lock);
    free(attempts);
    *pointer = NULL;
}

static struct attempt *find_locked(struct attempts *attempts, const char *username,
                                   const char *address, char key[KEY_SIZE])
{
    struct attempt *attempt = NULL;
    lock_assert_held(&attempts->lock);
    /* A user's name holds no blank, so the two cannot be confused. */
    (void) snprintf(key, KEY_SIZE, "%.80s %.70s", username, address);
    HASH_FIND_STR(attempts->entries, key, attempt);
    return attempt;
}

static void make_room_locked(struct attempts *attempts)
{
    /* The front is the oldest: the hash keeps the order of insertion. */
    struct attempt *attempt = attempts->entries;
    while (attempt && attempt->pending > 0)
        attempt = attempt->hh.next;
    if (attempt && HASH_COUNT(attempts->entries) >= attempts->capacity)
        drop_locked(attempts, attempt);
}

static struct attempt *enter_locked(struct attempts *attempts, const char *username,
                                    const char *address, const struct attempts_limits *limits)
{
    char key[KEY_SIZE];
    int64_t now = clock_now();
    struct attempt *attempt = find_locked(attempts, username, address, key);
    if (!attempt) {
        make_room_locked(attempts);
        attempt = mem_alloc(sizeof *attempt);
        memcpy(attempt->key, key, strlen(key) + 1);
        HASH_ADD_STR(attempts->entries, key, attempt);
    }
    bool forgotten = (double) (now - attempt->last) >= limits->lockout * (double) CLOCK_SECOND;
    if (attempt->failures > 0 && attempt->locked_until <= now &&
        (forgotten || attempt->locked_until > 0)) {
        attempt->failures = 0;
        attempt->locked_until = 0;
    }
    /* The limit was lowered since. */
    if (attempt->failures >= limits->failures && attempt->locked_until == 0)
        attempt->locked_until = clock_after(limits->lockout);
    return attempt;
}

int attempts_begin(struct attempts *attempts, const char *username, const char *address,
                   const struct attempts_limits *limits, int64_t deadline, double *retry_after)
{
    int status = 0;
    bool in_time = true;
    lock_assert_none_held();
    lock_acquire(&attempts->lock);
    for (;;) {
        struct attempt *attempt = enter_locked(attempts, username, address, limits);
        int64_t left = attempt->locked_until - clock_now();
        if (left > 0) {
            *retry_after = (double) left / (double) CLOCK_SECOND;
            status = CESID_E_LOCKED_OUT;
            break;
        }
        if (attempt->failures + attempt->pending < limits->failures) {
            attempt->pending++;
            break;
        }
        if (!in_time || attempts->waiters >= attempts->waiters_max) {
            *retry_after = 1.0;
            status = CESID_E_RATE_LIMITED;
            break;
        }
        attempts->waiters++;
        in_time = cond_wait_until(&attempts->settled, &attempts->lock, deadline);
        attempts->waiters--;
    }
    lock_release(&attempts->lock);
    return status;
}

void attempts_end(struct attempts *attempts, const char *username, const char *address,
                  const struct attempts_limits *limits, enum attempt_outcome outcome)
{
    char key[KEY_SIZE];
    lock_acquire(&attempts->lock);
    struct attempt *attempt = find_locked(attempts, username, address, key);
    CHECK(attempt && attempt->pending > 0);
    attempt->pending--;
    if (outcome == ATTEMPT_RIGHT) {
        attempt->failures = 0;
        attempt->locked_until = 0;
    } else if (outcome == ATTEMPT_WRONG) {
        attempt->failures++;
        attempt->last = clock_now();
        if (attempt->failures >= limits->failures)
            attempt->locked_until = clock_after(limits->lockout);
    }
    if (attempt->failures == 0 && attempt->pending == 0)
        drop_locked(attempts, attempt);
    cond_broadcast(&attempts->settled);
    lock_release(&attempts->lock);
}

size_t attempts_length(struct attempts *attempts)
{
    lock_acquire(&attempts->lock);
    size_t length = HASH_COUNT(attempts->entries);
    lock_release(&attempts->lock);
    return length;
}

int attempts_hash_begin(struct attempts *attempts, int64_t deadline)
{
    int status = 0;
    lock_assert_none_held();
    lock_acquire(&attempts->lock);
    if (attempts->hashers >= attempts->hashers_max && attempts->waiters >= attempts->waiters_max) {
        status = CESID_E_RATE_LIMITED;
    } else {
        bool in_time = true;
        attempts->waiters++;
        while (attempts->hashers >= attempts->hashers_max && in_time)
            in_time = cond_wait_until(&attempts->permit, &attempts->lock, deadline);
        attempts->waiters--;
        if (attempts->hashers < attempts->hashers_max)
            attempts->hashers++;
        else
            status = CESID_E_RATE_LIMITED;
    }
    lock_release(&attempts->lock);
    return status;
}

void attempts_hash_end(struct attempts *attempts)
{
    lock_acquire(&attempts->lock);
    CHECK(attempts->hashers > 0);
    attempts->hashers--;
    cond_signal(&attempts->permit);
    lock_release(&attempts->lock);
}
