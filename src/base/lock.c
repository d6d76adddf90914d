/*
 * Locks with ranks. In debug builds each thread keeps a stack of the locks that it holds; a lock of
 * a rank not above the topmost one is a breach. Contended acquisitions are counted per rank.
 */
#include "cesid/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cesid/clock.h"
#include "cesid/pulse.h"

static const char *const rank_names[LOCK_RANKS] = {
    [LOCK_RELOAD] = "reload",
    [LOCK_CONFIG] = "config",
    [LOCK_AUTH] = "auth",
    [LOCK_SESSIONS] = "sessions",
    [LOCK_HUB] = "hub",
    [LOCK_CLIENT] = "client",
    [LOCK_SENDER] = "sender",
    [LOCK_REAPER] = "reaper",
    [LOCK_HEALTH] = "health",
    [LOCK_REGISTRY] = "registry",
    [LOCK_OPERATIONS] = "operations",
    [LOCK_OPERATION] = "operation",
    [LOCK_REFRESH] = "refresh",
    [LOCK_POLL] = "poll",
    [LOCK_NODE] = "node",
    [LOCK_LOGSTREAMS] = "logstreams",
    [LOCK_ENGINE] = "engine",
    [LOCK_CALL] = "call",
    [LOCK_PERMITS] = "permits",
    [LOCK_JOURNAL] = "journal",
    [LOCK_STORE] = "store",
    [LOCK_SOCKETS] = "sockets",
    [LOCK_BUS] = "bus",
    [LOCK_THREADS] = "threads",
    [LOCK_LOG_OUTPUT] = "log_output",
    [LOCK_LOG] = "log",
    [LOCK_METRICS] = "metrics",
};

static struct lock_waits waits[LOCK_RANKS]; /* atomic */

#ifdef CESID_DEBUG

#define HELD_MAX 16

struct held {
    const void *lock;
    enum lock_rank rank;
};

static _Thread_local struct held held[HELD_MAX];
static _Thread_local size_t held_count;

static _Noreturn void breach(const char *what, enum lock_rank rank)
{
    fprintf(stderr, "cesid: lock %s: %s\n", rank_names[rank], what);
    for (size_t i = 0; i < held_count; i++)
        fprintf(stderr, "cesid:   holding %s\n", rank_names[held[i].rank]);
    abort();
}

static void note_wanted(enum lock_rank rank)
{
    if (held_count > 0 && held[held_count - 1].rank >= rank)
        breach("taken out of rank", rank);
    if (held_count == HELD_MAX)
        breach("too many locks held", rank);
}

static void note_acquired(const void *lock, enum lock_rank rank)
{
    held[held_count++] = (struct held){lock, rank};
}

static bool is_held(const void *lock)
{
    for (size_t i = 0; i < held_count; i++)
        if (held[i].lock == lock)
            return true;
    return false;
}

static void note_released(const void *lock, enum lock_rank rank)
{
    size_t i = held_count;

    while (i > 0 && held[i - 1].lock != lock)
        i--;
    if (i == 0)
        breach("released but not held", rank);
    for (; i < held_count; i++)
        held[i - 1] = held[i];
    held_count--;
}

static void assert_held(const void *lock, enum lock_rank rank)
{
    if (!is_held(lock))
        breach("should be held", rank);
}

void lock_assert_none_held(void)
{
    if (held_count > 0)
        breach("held where none may be", held[held_count - 1].rank);
}

#else

static void note_wanted(enum lock_rank rank)
{
    (void) rank;
}
static void note_acquired(const void *lock, enum lock_rank rank)
{
    (void) lock;
    (void) rank;
}
static void note_released(const void *lock, enum lock_rank rank)
{
    (void) lock;
    (void) rank;
}
static void assert_held(const void *lock, enum lock_rank rank)
{
    (void) lock;
    (void) rank;
}
void lock_assert_none_held(void)
{
}

#endif

static void count_wait(enum lock_rank rank, int64_t since)
{
    int64_t waited = clock_now() - since;
    size_t bucket = 0;

    for (int64_t bound = 10000; bucket < LOCK_WAIT_BUCKETS - 1 && waited > bound; bound *= 10)
        bucket++;
    __atomic_add_fetch(&waits[rank].buckets[bucket], 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&waits[rank].count, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&waits[rank].nanoseconds, waited > 0 ? (uint64_t) waited : 0,
                       __ATOMIC_RELAXED);
}

void lock_init(struct lock *lock, enum lock_rank rank)
{
    CHECK(pthread_mutex_init(&lock->mutex, NULL) == 0);
    lock->rank = rank;
}

void lock_destroy(struct lock *lock)
{
    CHECK(pthread_mutex_destroy(&lock->mutex) == 0);
}

void lock_acquire(struct lock *lock)
{
    int error;

    note_wanted(lock->rank);
    error = pthread_mutex_trylock(&lock->mutex);
    if (error == EBUSY) {
        int64_t since = clock_now();

        pulse_block(rank_names[lock->rank]);
        error = pthread_mutex_lock(&lock->mutex);
        pulse_work();
        count_wait(lock->rank, since);
    }
    CHECK(error == 0);
    note_acquired(lock, lock->rank);
}

void lock_release(struct lock *lock)
{
    note_released(lock, lock->rank);
    CHECK(pthread_mutex_unlock(&lock->mutex) == 0);
}

void rwlock_init(struct rwlock *lock, enum lock_rank rank)
{
    pthread_rwlockattr_t attributes;

    CHECK(pthread_rwlockattr_init(&attributes) == 0);
    CHECK(pthread_rwlockattr_setkind_np(&attributes,
                                        PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) == 0);
    CHECK(pthread_rwlock_init(&lock->rwlock, &attributes) == 0);
    CHECK(pthread_rwlockattr_destroy(&attributes) == 0);
    lock->rank = rank;
}

void rwlock_destroy(struct rwlock *lock)
{
    CHECK(pthread_rwlock_destroy(&lock->rwlock) == 0);
}

void rwlock_read(struct rwlock *lock)
{
    int error;

    note_wanted(lock->rank);
    error = pthread_rwlock_tryrdlock(&lock->rwlock);
    if (error == EBUSY) {
        int64_t since = clock_now();

        pulse_block(rank_names[lock->rank]);
        error = pthread_rwlock_rdlock(&lock->rwlock);
        pulse_work();
        count_wait(lock->rank, since);
    }
    CHECK(error == 0);
    note_acquired(lock, lock->rank);
}

void rwlock_write(struct rwlock *lock)
{
    int error;

    note_wanted(lock->rank);
    error = pthread_rwlock_trywrlock(&lock->rwlock);
    if (error == EBUSY) {
        int64_t since = clock_now();

        pulse_block(rank_names[lock->rank]);
        error = pthread_rwlock_wrlock(&lock->rwlock);
        pulse_work();
        count_wait(lock->rank, since);
    }
    CHECK(error == 0);
    note_acquired(lock, lock->rank);
}

void rwlock_release(struct rwlock *lock)
{
    note_released(lock, lock->rank);
    CHECK(pthread_rwlock_unlock(&lock->rwlock) == 0);
}

void cond_init(struct cond *cond)
{
    pthread_condattr_t attributes;

    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&cond->cond, &attributes) == 0);
    CHECK(pthread_condattr_destroy(&attributes) == 0);
}

void cond_destroy(struct cond *cond)
{
    CHECK(pthread_cond_destroy(&cond->cond) == 0);
}

/* A wait takes the lock again at its end, so a higher one must not be held meanwhile. */
static void note_waiting(const struct lock *lock)
{
    note_released(lock, lock->rank);
    note_wanted(lock->rank);
}

void cond_wait(struct cond *cond, struct lock *lock)
{
    note_waiting(lock);
    pulse_wait(rank_names[lock->rank], CLOCK_NEVER);
    CHECK(pthread_cond_wait(&cond->cond, &lock->mutex) == 0);
    pulse_work();
    note_acquired(lock, lock->rank);
}

bool cond_wait_until(struct cond *cond, struct lock *lock, int64_t deadline)
{
    struct timespec until;
    int64_t left;
    int error;

    if (deadline == CLOCK_NEVER) {
        cond_wait(cond, lock);
        return true;
    }
    left = deadline - clock_now();
    if (left <= 0)
        return false;
    /* The condition runs on the real clock, whatever source clock_now() has. */
    CHECK(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    left += until.tv_nsec;
    until.tv_sec += (time_t) (left / CLOCK_SECOND);
    until.tv_nsec = (long) (left % CLOCK_SECOND);
    note_waiting(lock);
    pulse_wait(rank_names[lock->rank], deadline);
    error = pthread_cond_timedwait(&cond->cond, &lock->mutex, &until);
    pulse_work();
    note_acquired(lock, lock->rank);
    CHECK(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

void cond_signal(struct cond *cond)
{
    CHECK(pthread_cond_signal(&cond->cond) == 0);
}

void cond_broadcast(struct cond *cond)
{
    CHECK(pthread_cond_broadcast(&cond->cond) == 0);
}

void lock_assert_held(const struct lock *lock)
{
    assert_held(lock, lock->rank);
}

void rwlock_assert_held(const struct rwlock *lock)
{
    assert_held(lock, lock->rank);
}

const char *lock_rank_name(enum lock_rank rank)
{
    CHECK(rank >= 0 && rank < LOCK_RANKS);
    return rank_names[rank];
}

struct lock_waits lock_contention(enum lock_rank rank)
{
    struct lock_waits result;

    CHECK(rank >= 0 && rank < LOCK_RANKS);
    result.count = __atomic_load_n(&waits[rank].count, __ATOMIC_RELAXED);
    result.nanoseconds = __atomic_load_n(&waits[rank].nanoseconds, __ATOMIC_RELAXED);
    for (size_t i = 0; i < LOCK_WAIT_BUCKETS; i++)
        result.buckets[i] = __atomic_load_n(&waits[rank].buckets[i], __ATOMIC_RELAXED);
    return result;
}
