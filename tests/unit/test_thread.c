/*
 * Threads: named, counted for their subsystem, joined by who started them.
 */
#include "unit.h"

#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/thread.h"

static size_t count_of(const char *subsystem)
{
    struct thread_count counts[64];
    size_t count = thread_counts(counts, ARRAY_LENGTH(counts));

    for (size_t i = 0; i < count; i++)
        if (strcmp(counts[i].subsystem, subsystem) == 0)
            return counts[i].threads;
    return 0;
}

struct gate {
    struct lock lock;
    struct cond cond;
    /* guarded by lock */
    size_t inside;
    bool open;
};

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){0};
    lock_init(&gate->lock, LOCK_CALL);
    cond_init(&gate->cond);
}

static void gate_destroy(struct gate *gate)
{
    cond_destroy(&gate->cond);
    lock_destroy(&gate->lock);
}

static void wait_at(void *argument)
{
    struct gate *gate = argument;

    lock_acquire(&gate->lock);
    gate->inside++;
    cond_broadcast(&gate->cond);
    while (!gate->open)
        cond_wait(&gate->cond, &gate->lock);
    lock_release(&gate->lock);
}

static void wait_for_inside(struct gate *gate, size_t threads)
{
    lock_acquire(&gate->lock);
    while (gate->inside < threads)
        cond_wait(&gate->cond, &gate->lock);
    lock_release(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    lock_acquire(&gate->lock);
    gate->open = true;
    cond_broadcast(&gate->cond);
    lock_release(&gate->lock);
}

static void threads_are_counted_while_they_live(void **state)
{
    (void) state;
    struct thread rpc[3], hub;
    struct gate gate;

    gate_init(&gate);
    for (size_t i = 0; i < ARRAY_LENGTH(rpc); i++)
        assert_int_equal(thread_start(&rpc[i], "rpc", "rpc", wait_at, &gate), 0);
    assert_int_equal(thread_start(&hub, "hub", "hub", wait_at, &gate), 0);
    wait_for_inside(&gate, 4);
    assert_int_equal(count_of("rpc"), 3);
    assert_int_equal(count_of("hub"), 1);
    assert_int_equal(count_of("store"), 0);
    gate_open(&gate);
    for (size_t i = 0; i < ARRAY_LENGTH(rpc); i++)
        thread_join(&rpc[i]);
    thread_join(&hub);
    assert_int_equal(count_of("rpc"), 0);
    assert_int_equal(count_of("hub"), 0);
    gate_destroy(&gate);
}

static void threads_of_libraries_are_counted_too(void **state)
{
    (void) state;
    struct thread_count one;

    thread_adopt("http");
    thread_adopt("http");
    assert_int_equal(count_of("http"), 2);
    thread_leave("http");
    assert_int_equal(count_of("http"), 1);
    thread_leave("http");
    assert_int_equal(count_of("http"), 0);
    thread_adopt("other");
    assert_true(thread_counts(&one, 1) >= 2);
    thread_leave("other");
}

static void tell_name(void *argument)
{
    CHECK(pthread_getname_np(pthread_self(), argument, 16) == 0);
}

static void a_thread_bears_its_name(void **state)
{
    (void) state;
    struct thread thread;
    char name[16];

    assert_int_equal(thread_start(&thread, "test", "refresh", tell_name, name), 0);
    thread_join(&thread);
    assert_string_equal(name, "refresh");
    assert_int_equal(thread_start(&thread, "test", "longer-than-the-kernel-takes", tell_name, name),
                     0);
    thread_join(&thread);
    assert_string_equal(name, "longer-than-the");
}

static void tell_mask(void *argument)
{
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, argument) == 0);
}

static void a_thread_keeps_the_signal_mask(void **state)
{
    (void) state;
    struct thread thread;
    sigset_t blocked, before, seen;

    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
    assert_int_equal(thread_start(&thread, "test", "mask", tell_mask, &seen), 0);
    thread_join(&thread);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(sigismember(&seen, SIGHUP), 1);
}

static void joining_is_for_what_was_started(void **state)
{
    (void) state;
    struct thread never = {0}, once;
    char name[16];

    thread_join(&never);
    assert_int_equal(thread_start(&once, "test", "once", tell_name, name), 0);
    assert_true(once.started);
    thread_join(&once);
    assert_false(once.started);
    thread_join(&once);
}

static void leave_too_often(void)
{
    thread_leave("nobody");
}

static void leaving_more_than_came_aborts(void **state)
{
    (void) state;
    assert_aborts(leave_too_often, "broken invariant: row->threads > 0");
}

#ifdef CESID_DEBUG

static struct lock forgotten;

static void forget(void *argument)
{
    lock_acquire(argument);
}

static void end_with_a_lock(void)
{
    struct thread thread;

    lock_init(&forgotten, LOCK_NODE);
    if (thread_start(&thread, "test", "forget", forget, &forgotten) == 0)
        thread_join(&thread);
}

static void ending_with_a_lock_aborts(void **state)
{
    (void) state;
    assert_aborts(end_with_a_lock, "lock node: held where none may be");
}

#else

/* Sanitizers need the memory that is taken away here. The first few threads may still get stacks
 * that earlier ones left behind. */
static void start_without_memory(void)
{
    const struct rlimit none = {0, 0};
    struct thread threads[64];
    struct gate gate;
    size_t started = 0;

    gate_init(&gate);
    if (setrlimit(RLIMIT_AS, &none) != 0)
        _exit(1);
    while (started < ARRAY_LENGTH(threads) &&
           thread_start(&threads[started], "rpc", "rpc", wait_at, &gate) == CESID_OK)
        started++;
    if (started == ARRAY_LENGTH(threads) || threads[started].started)
        _exit(2);
    thread_join(&threads[started]);
    if (count_of("rpc") != started)
        _exit(3);
    gate_open(&gate);
    while (started > 0)
        thread_join(&threads[--started]);
}

static void a_thread_that_cannot_start_is_an_error(void **state)
{
    (void) state;
    char output[4096];
    int status;

    run_in_child(start_without_memory, output, sizeof(output), &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_non_null(strstr(output, "error base cannot start a thread thread=rpc errno=11"));
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("thread: threads are counted while they live", threads_are_counted_while_they_live),
        NAMED("thread: threads of libraries are counted too", threads_of_libraries_are_counted_too),
        NAMED("thread: a thread bears its name", a_thread_bears_its_name),
        NAMED("thread: a thread keeps the signal mask", a_thread_keeps_the_signal_mask),
        NAMED("thread: joining is for what was started", joining_is_for_what_was_started),
        NAMED("thread: leaving more than came aborts", leaving_more_than_came_aborts),
#ifdef CESID_DEBUG
        NAMED("thread: ending with a lock aborts", ending_with_a_lock_aborts),
#else
        NAMED("thread: one that cannot start is an error", a_thread_that_cannot_start_is_an_error),
#endif
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
