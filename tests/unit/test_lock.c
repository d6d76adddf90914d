/*
 * Locks: they exclude, they keep their ranks, their waits end in time and are counted. Breaches of
 * rank and ownership abort in debug and sanitizer builds only, so only those prove it.
 */
#include "unit.h"

#include <errno.h>

#include "cesid/clock.h"
#include "cesid/lock.h"
#include "cesid/thread.h"

static void start(struct thread *thread, void (*run)(void *), void *argument)
{
    assert_int_equal(thread_start(thread, "test", "lock", run, argument), 0);
}

struct shared {
    struct lock lock;
    struct rwlock rwlock;
    struct cond cond;
    /* guarded by lock, or by rwlock */
    long first, second;
    bool ready;
    /* atomic */
    int arrived;
};

static void shared_init(struct shared *shared)
{
    *shared = (struct shared){0};
    lock_init(&shared->lock, LOCK_NODE);
    rwlock_init(&shared->rwlock, LOCK_REGISTRY);
    cond_init(&shared->cond);
}

static void shared_destroy(struct shared *shared)
{
    cond_destroy(&shared->cond);
    rwlock_destroy(&shared->rwlock);
    lock_destroy(&shared->lock);
}

static bool has_arrived(void *argument)
{
    struct shared *shared = argument;

    return __atomic_load_n(&shared->arrived, __ATOMIC_ACQUIRE) != 0;
}

static void arrive(struct shared *shared)
{
    __atomic_store_n(&shared->arrived, 1, __ATOMIC_RELEASE);
}

static void count_up(void *argument)
{
    struct shared *shared = argument;

    for (int i = 0; i < 5000; i++) {
        lock_acquire(&shared->lock);
        shared->first++;
        lock_release(&shared->lock);
    }
}

static void one_thread_at_a_time(void **state)
{
    (void) state;
    struct shared shared;
    struct thread threads[4];

    shared_init(&shared);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        start(&threads[i], count_up, &shared);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    assert_int_equal(shared.first, 20000);
    shared_destroy(&shared);
}

static void write_pairs(void *argument)
{
    struct shared *shared = argument;

    for (int i = 0; i < 2000; i++) {
        rwlock_write(&shared->rwlock);
        shared->first++;
        shared->second++;
        rwlock_release(&shared->rwlock);
    }
}

static void read_pairs(void *argument)
{
    struct shared *shared = argument;

    for (int i = 0; i < 2000; i++) {
        rwlock_read(&shared->rwlock);
        CHECK(shared->first == shared->second);
        rwlock_release(&shared->rwlock);
    }
}

static void readers_see_no_half_a_write(void **state)
{
    (void) state;
    struct shared shared;
    struct thread threads[4];

    shared_init(&shared);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        start(&threads[i], i % 2 == 0 ? write_pairs : read_pairs, &shared);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    assert_int_equal(shared.first, 4000);
    shared_destroy(&shared);
}

static void read_once(void *argument)
{
    struct shared *shared = argument;

    rwlock_read(&shared->rwlock);
    arrive(shared);
    rwlock_release(&shared->rwlock);
}

static void readers_share(void **state)
{
    (void) state;
    struct shared shared;
    struct thread reader;

    shared_init(&shared);
    rwlock_read(&shared.rwlock);
    start(&reader, read_once, &shared);
    assert_true(eventually(has_arrived, &shared));
    rwlock_release(&shared.rwlock);
    thread_join(&reader);
    shared_destroy(&shared);
}

static void write_once(void *argument)
{
    struct shared *shared = argument;

    rwlock_write(&shared->rwlock);
    shared->first = 1;
    rwlock_release(&shared->rwlock);
}

static bool readers_are_turned_away(void *argument)
{
    struct shared *shared = argument;
    int error = pthread_rwlock_tryrdlock(&shared->rwlock.rwlock);

    if (error == 0)
        pthread_rwlock_unlock(&shared->rwlock.rwlock);
    return error == EBUSY;
}

static void a_waiting_writer_goes_before_new_readers(void **state)
{
    (void) state;
    struct shared shared;
    struct thread writer;

    shared_init(&shared);
    rwlock_read(&shared.rwlock);
    start(&writer, write_once, &shared);
    assert_true(eventually(readers_are_turned_away, &shared));
    rwlock_release(&shared.rwlock);
    thread_join(&writer);
    assert_int_equal(shared.first, 1);
    shared_destroy(&shared);
}

static void set_ready(void *argument)
{
    struct shared *shared = argument;

    lock_acquire(&shared->lock);
    shared->ready = true;
    cond_signal(&shared->cond);
    lock_release(&shared->lock);
}

static void a_signal_wakes_a_waiter(void **state)
{
    (void) state;
    for (int with_deadline = 0; with_deadline < 3; with_deadline++) {
        const int64_t deadlines[] = {0, clock_after(60), CLOCK_NEVER};
        struct shared shared;
        struct thread other;

        shared_init(&shared);
        lock_acquire(&shared.lock);
        start(&other, set_ready, &shared);
        while (!shared.ready) {
            if (with_deadline == 0)
                cond_wait(&shared.cond, &shared.lock);
            else
                assert_true(cond_wait_until(&shared.cond, &shared.lock, deadlines[with_deadline]));
        }
        lock_assert_held(&shared.lock);
        lock_release(&shared.lock);
        thread_join(&other);
        shared_destroy(&shared);
    }
}

static void wait_until_ready(void *argument)
{
    struct shared *shared = argument;

    lock_acquire(&shared->lock);
    shared->first++;
    while (!shared->ready)
        cond_wait(&shared->cond, &shared->lock);
    lock_release(&shared->lock);
}

static bool all_wait(void *argument)
{
    struct shared *shared = argument;
    bool all;

    lock_acquire(&shared->lock);
    all = shared->first == 3;
    lock_release(&shared->lock);
    return all;
}

static void a_broadcast_wakes_all(void **state)
{
    (void) state;
    struct shared shared;
    struct thread threads[3];

    shared_init(&shared);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        start(&threads[i], wait_until_ready, &shared);
    assert_true(eventually(all_wait, &shared));
    lock_acquire(&shared.lock);
    shared.ready = true;
    cond_broadcast(&shared.cond);
    lock_release(&shared.lock);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    shared_destroy(&shared);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void) state;
    struct shared shared;
    int64_t deadline;

    shared_init(&shared);
    lock_acquire(&shared.lock);
    assert_false(cond_wait_until(&shared.cond, &shared.lock, clock_now()));
    assert_false(cond_wait_until(&shared.cond, &shared.lock, 0));
    deadline = clock_after(0.02);
    while (cond_wait_until(&shared.cond, &shared.lock, deadline))
        continue;
    assert_true(clock_now() >= deadline);
    lock_assert_held(&shared.lock);
    lock_release(&shared.lock);
    shared_destroy(&shared);
}

static int64_t frozen(void)
{
    return 1000 * CLOCK_SECOND;
}

static void a_wait_ends_though_the_injected_clock_stands_still(void **state)
{
    (void) state;
    const struct clock_source source = {frozen, frozen};
    struct shared shared;
    int64_t deadline, begin = real_now();

    clock_set_source(&source);
    shared_init(&shared);
    lock_acquire(&shared.lock);
    deadline = clock_after(0.02);
    while (cond_wait_until(&shared.cond, &shared.lock, deadline))
        continue;
    lock_release(&shared.lock);
    shared_destroy(&shared);
    clock_set_source(NULL);
    assert_true(real_now() - begin >= 20000000);
}

static void take_and_leave(void *argument)
{
    struct shared *shared = argument;

    arrive(shared);
    lock_acquire(&shared->lock);
    lock_release(&shared->lock);
}

static bool was_contended(void *argument)
{
    struct shared *shared = argument;
    struct lock_waits before = lock_contention(LOCK_NODE), after;
    struct thread other;

    shared->arrived = 0;
    lock_acquire(&shared->lock);
    start(&other, take_and_leave, shared);
    while (!has_arrived(shared))
        rest();
    rest();
    lock_release(&shared->lock);
    thread_join(&other);
    after = lock_contention(LOCK_NODE);
    assert_true(after.count >= before.count && after.nanoseconds >= before.nanoseconds);
    return after.count == before.count + 1 && after.nanoseconds > before.nanoseconds;
}

static void contended_waits_are_counted_by_rank(void **state)
{
    (void) state;
    struct shared shared;
    struct lock_waits before, after;

    shared_init(&shared);
    before = lock_contention(LOCK_NODE);
    lock_acquire(&shared.lock);
    lock_release(&shared.lock);
    after = lock_contention(LOCK_NODE);
    assert_int_equal(after.count, before.count);
    assert_int_equal(lock_contention(LOCK_CALL).count, 0);
    assert_true(eventually(was_contended, &shared));
    assert_int_equal(lock_contention(LOCK_CALL).count, 0);
    shared_destroy(&shared);
}

static void ranks_have_names(void **state)
{
    (void) state;
    for (int a = 0; a < LOCK_RANKS; a++) {
        assert_non_null(lock_rank_name((enum lock_rank) a));
        for (int b = a + 1; b < LOCK_RANKS; b++)
            assert_string_not_equal(lock_rank_name((enum lock_rank) a),
                                    lock_rank_name((enum lock_rank) b));
    }
    assert_string_equal(lock_rank_name(LOCK_HUB), "hub");
    assert_string_equal(lock_rank_name(LOCK_NODE), "node");
}

static struct lock low, middle, high;
static struct rwlock registry;

static void init_ranks(void)
{
    lock_init(&low, LOCK_CONFIG);
    rwlock_init(&registry, LOCK_REGISTRY);
    lock_init(&middle, LOCK_NODE);
    lock_init(&high, LOCK_LOG);
}

static void locks_rise_and_leave_in_any_order(void **state)
{
    (void) state;
    init_ranks();
    lock_assert_none_held();
    lock_acquire(&low);
    rwlock_read(&registry);
    lock_acquire(&middle);
    rwlock_assert_held(&registry);
    rwlock_release(&registry);
    lock_assert_held(&low);
    lock_assert_held(&middle);
    lock_acquire(&high);
    lock_release(&low);
    lock_release(&high);
    lock_release(&middle);
    lock_assert_none_held();
    rwlock_write(&registry);
    rwlock_assert_held(&registry);
    lock_acquire(&middle);
    lock_release(&middle);
    rwlock_release(&registry);
    lock_assert_none_held();
}

#ifdef CESID_DEBUG

static void fall(void)
{
    lock_acquire(&middle);
    lock_acquire(&low);
}

static void fall_to_a_read(void)
{
    lock_acquire(&middle);
    rwlock_read(&registry);
}

static void fall_to_a_write(void)
{
    lock_acquire(&middle);
    rwlock_write(&registry);
}

static void two_of_a_rank(void)
{
    struct lock twin;

    lock_init(&twin, LOCK_NODE);
    lock_acquire(&middle);
    lock_acquire(&twin);
}

static void twice(void)
{
    lock_acquire(&middle);
    lock_acquire(&middle);
}

static void read_twice(void)
{
    rwlock_read(&registry);
    rwlock_read(&registry);
}

static void fall_after_leaving_the_first(void)
{
    lock_acquire(&low);
    lock_acquire(&high);
    lock_release(&low);
    lock_acquire(&middle);
}

static void a_lock_out_of_rank_aborts(void **state)
{
    (void) state;
    init_ranks();
    assert_aborts(fall, "lock config: taken out of rank\ncesid:   holding node");
    assert_aborts(fall_to_a_read, "lock registry: taken out of rank");
    assert_aborts(fall_to_a_write, "lock registry: taken out of rank");
    assert_aborts(two_of_a_rank, "lock node: taken out of rank");
    assert_aborts(twice, "lock node: taken out of rank");
    assert_aborts(read_twice, "lock registry: taken out of rank");
    assert_aborts(fall_after_leaving_the_first, "lock node: taken out of rank");
}

static void wait_with_a_higher_one(void)
{
    struct cond cond;

    cond_init(&cond);
    lock_acquire(&middle);
    lock_acquire(&high);
    cond_wait(&cond, &middle);
}

static void wait_without_it(void)
{
    struct cond cond;

    cond_init(&cond);
    lock_acquire(&low);
    cond_wait_until(&cond, &middle, clock_after(1));
}

static void a_wait_keeps_the_ranks(void **state)
{
    (void) state;
    init_ranks();
    assert_aborts(wait_with_a_higher_one, "lock node: taken out of rank");
    assert_aborts(wait_without_it, "lock node: released but not held");
}

static void release_what_is_free(void)
{
    lock_release(&middle);
}

static void release_a_free_rwlock(void)
{
    rwlock_release(&registry);
}

static void releasing_what_is_not_held_aborts(void **state)
{
    (void) state;
    init_ranks();
    assert_aborts(release_what_is_free, "lock node: released but not held");
    assert_aborts(release_a_free_rwlock, "lock registry: released but not held");
}

static void assert_on_a_free_lock(void)
{
    lock_assert_held(&middle);
}

static void assert_on_another_lock_of_the_rank(void)
{
    struct lock twin;

    lock_init(&twin, LOCK_NODE);
    lock_acquire(&twin);
    lock_assert_held(&middle);
}

static void assert_on_a_free_rwlock(void)
{
    lock_acquire(&low);
    rwlock_assert_held(&registry);
}

static void assert_in(void *argument)
{
    lock_assert_held(argument);
}

static void assert_on_a_lock_that_another_thread_holds(void)
{
    struct thread other;

    lock_acquire(&middle);
    if (thread_start(&other, "test", "other", assert_in, &middle) == 0)
        thread_join(&other);
}

static void assert_none_with_one(void)
{
    rwlock_read(&registry);
    lock_assert_none_held();
}

static void assert_held_aborts_when_it_is_not(void **state)
{
    (void) state;
    init_ranks();
    assert_aborts(assert_on_a_free_lock, "lock node: should be held");
    assert_aborts(assert_on_another_lock_of_the_rank, "lock node: should be held");
    assert_aborts(assert_on_a_free_rwlock, "lock registry: should be held");
    assert_aborts(assert_on_a_lock_that_another_thread_holds, "lock node: should be held");
    assert_aborts(assert_none_with_one, "lock registry: held where none may be");
}

#else

static void asserts_cost_nothing_in_release(void **state)
{
    (void) state;
    init_ranks();
    lock_assert_held(&middle);
    rwlock_assert_held(&registry);
    lock_acquire(&middle);
    lock_assert_none_held();
    lock_release(&middle);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("lock: one thread at a time", one_thread_at_a_time),
        NAMED("lock: readers see no half a write", readers_see_no_half_a_write),
        NAMED("lock: readers share", readers_share),
        NAMED("lock: a waiting writer goes before new readers",
              a_waiting_writer_goes_before_new_readers),
        NAMED("lock: a signal wakes a waiter", a_signal_wakes_a_waiter),
        NAMED("lock: a broadcast wakes all", a_broadcast_wakes_all),
        NAMED("lock: a wait ends at its deadline", a_wait_ends_at_its_deadline),
        NAMED("lock: a wait ends though the injected clock stands still",
              a_wait_ends_though_the_injected_clock_stands_still),
        NAMED("lock: contended waits are counted by rank", contended_waits_are_counted_by_rank),
        NAMED("lock: ranks have names", ranks_have_names),
        NAMED("lock: locks rise and leave in any order", locks_rise_and_leave_in_any_order),
#ifdef CESID_DEBUG
        NAMED("lock: a lock out of rank aborts", a_lock_out_of_rank_aborts),
        NAMED("lock: a wait keeps the ranks", a_wait_keeps_the_ranks),
        NAMED("lock: releasing what is not held aborts", releasing_what_is_not_held_aborts),
        NAMED("lock: assert_held aborts when it is not", assert_held_aborts_when_it_is_not),
#else
        NAMED("lock: asserts cost nothing in release", asserts_cost_nothing_in_release),
#endif
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
