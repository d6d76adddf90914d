/*
 * Locks with ranks. A thread takes locks in rising rank only, never two of one rank; debug and
 * sanitizer builds (CESID_DEBUG) abort on a breach, on releasing what is not held, and on a failed
 * lock_assert_held(). A failing pthread call aborts in every build. Contended waits are counted
 * per rank in all builds, for cesid_lock_wait_seconds.
 *
 * Conditions wait on the monotonic clock. The rule for a loop is: acquire, while (!predicate) wait,
 * take, release, do. A stop flag lives under the lock that the loop waits with.
 */
#ifndef CESID_LOCK_H
#define CESID_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cesid/check.h"

/* Every lock of the program, lowest first. */
enum lock_rank {
    LOCK_RELOAD,     /* whose turn it is to reload */
    LOCK_CONFIG,     /* the pointer to the current configuration */
    LOCK_AUTH,       /* login attempts, permits of password hashing */
    LOCK_SESSIONS,   /* cache of session records */
    LOCK_HUB,        /* the hub's client registry (read-write) */
    LOCK_CLIENT,     /* one hub client: queue, topics, transport */
    LOCK_SENDER,     /* the sender's list of clients with something to write */
    LOCK_REAPER,     /* list of clients to free */
    LOCK_HEALTH,     /* reports of health, the alarm of the store */
    LOCK_REGISTRY,   /* the hash of nodes (read-write) */
    LOCK_OPERATIONS, /* table of operations */
    LOCK_OPERATION,  /* one operation and its targets */
    LOCK_REFRESH,    /* due-time heap, polls under way */
    LOCK_POLL,       /* one poll: the call that is under way */
    LOCK_NODE,       /* one node: settings, view pointer, breaker */
    LOCK_LOGSTREAMS, /* table of log streams */
    LOCK_ENGINE,     /* one loop's inbox */
    LOCK_CALL,       /* one waited-for call to a node */
    LOCK_PERMITS,    /* counting semaphores */
    LOCK_JOURNAL,    /* records of activity that wait to be written */
    LOCK_STORE,      /* store pool */
    LOCK_SOCKETS,    /* table of accepted sockets */
    LOCK_BUS,        /* the event bus and other plain queues */
    LOCK_THREADS,    /* table of running threads */
    LOCK_LOG_OUTPUT, /* where the log goes: held by the thread that writes it */
    LOCK_LOG,        /* lines of the log that wait, or levels of subsystems */
    LOCK_METRICS,    /* series of metrics, as they come */
    LOCK_RANKS
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

struct rwlock {
    pthread_rwlock_t rwlock; /* writers are preferred */
    enum lock_rank rank;
};

struct cond {
    pthread_cond_t cond;
};

/* One rank's contended waits so far: how many, the sum of nanoseconds, and how many took at most
 * 10 us, 100 us, 1 ms, 10 ms, 100 ms, 1 s, and longer. */
#define LOCK_WAIT_BUCKETS 7
struct lock_waits {
    uint64_t count;
    uint64_t nanoseconds;
    uint64_t buckets[LOCK_WAIT_BUCKETS];
};

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_destroy(struct lock *lock);
void lock_acquire(struct lock *lock);
void lock_release(struct lock *lock);

void rwlock_init(struct rwlock *lock, enum lock_rank rank);
void rwlock_destroy(struct rwlock *lock);
void rwlock_read(struct rwlock *lock);
void rwlock_write(struct rwlock *lock);
void rwlock_release(struct rwlock *lock);

void cond_init(struct cond *cond);
void cond_destroy(struct cond *cond);
void cond_wait(struct cond *cond, struct lock *lock);
/* deadline is of clock_now(); false when it passed. CLOCK_NEVER waits without one. */
bool cond_wait_until(struct cond *cond, struct lock *lock, int64_t deadline);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

/* In debug builds aborts unless the calling thread holds a lock of that rank; else nothing. */
void lock_assert_held(const struct lock *lock);
void rwlock_assert_held(const struct rwlock *lock);
/* In debug builds aborts when the calling thread holds any lock: before network, database,
 * callbacks, JSON. */
void lock_assert_none_held(void);

const char *lock_rank_name(enum lock_rank rank); /* "hub", "node"… */
struct lock_waits lock_contention(enum lock_rank rank);

#endif
