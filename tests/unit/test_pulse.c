/*
 * Signs of life: a thread that waits for something to do is well, one that waits for a lock, works
 * without end or sleeps past its deadline is not, and one that goes on again is well again.
 */
#include "unit.h"

#include <stdatomic.h>

#include "cesid/clock.h"
#include "cesid/lock.h"
#include "cesid/pulse.h"
#include "cesid/thread.h"

struct scene {
    struct lock lock;
    struct cond cond;
    bool go; /* guarded by lock */
    atomic_int inside;
    atomic_bool spin;
    int64_t deadline;
};

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.deadline = CLOCK_NEVER};
    lock_init(&scene->lock, LOCK_CALL);
    cond_init(&scene->cond);
}

static void scene_end(struct scene *scene, struct thread *thread)
{
    thread_join(thread);
    cond_destroy(&scene->cond);
    lock_destroy(&scene->lock);
}

static void take_lock(void *argument)
{
    struct scene *scene = argument;
    atomic_store(&scene->inside, 1);
    lock_acquire(&scene->lock);
    lock_release(&scene->lock);
}

static void wait_for_go(void *argument)
{
    struct scene *scene = argument;
    lock_acquire(&scene->lock);
    atomic_store(&scene->inside, 1);
    while (!scene->go)
        (void) cond_wait_until(&scene->cond, &scene->lock, scene->deadline);
    lock_release(&scene->lock);
}

static void work(void *argument)
{
    struct scene *scene = argument;
    atomic_store(&scene->inside, 1);
    while (atomic_load(&scene->spin))
        sched_yield();
}

static void start(struct scene *scene, struct thread *thread, const char *name, void (*run)(void *))
{
    assert_int_equal(thread_start(thread, "test", name, run, scene), 0);
    while (atomic_load(&scene->inside) == 0)
        sched_yield();
}

/* Looks twice, so many seconds apart: the report of the named thread, or false. */
static bool stuck(const char *name, int64_t now, double seconds, struct pulse_report *found)
{
    struct pulse_report reports[8];
    (void) pulse_look(now, seconds, reports, ARRAY_LENGTH(reports));
    size_t count = pulse_look(now + (int64_t) ((seconds + 1) * CLOCK_SECOND), seconds, reports,
                              ARRAY_LENGTH(reports));
    for (size_t i = 0; i < count; i++)
        if (strcmp(reports[i].name, name) == 0) {
            *found = reports[i];
            return true;
        }
    return false;
}

/*
 * The thread may still be on its way into the wait that is meant. The clock goes on from pair of
 * looks to pair, or a beat between two looks would lie in the future of all that follow.
 */
static void becomes_stuck(const char *name, const char *state, const char *what)
{
    struct pulse_report found = {.state = ""};
    int64_t now = clock_now();
    for (int i = 0; i < 10000; i++, now += 10 * CLOCK_SECOND) {
        if (stuck(name, now, 5, &found) && strcmp(found.state, state) == 0)
            break;
        sched_yield();
    }
    assert_string_equal(found.state, state);
    assert_string_equal(found.what, what);
    assert_string_equal(found.subsystem, "test");
    assert_true(found.seconds >= 5);
}

static void waits_for_lock(void **state)
{
    struct scene scene;
    struct thread thread;
    (void) state;
    scene_init(&scene);
    lock_acquire(&scene.lock);
    start(&scene, &thread, "locked", take_lock);
    becomes_stuck("locked", "waits for the lock", "call");
    lock_release(&scene.lock);
    scene_end(&scene, &thread);
    struct pulse_report found;
    assert_false(stuck("locked", clock_now(), 5, &found));
}

static void works_without_end(void **state)
{
    struct scene scene;
    struct thread thread;
    (void) state;
    scene_init(&scene);
    atomic_store(&scene.spin, true);
    start(&scene, &thread, "worker", work);
    becomes_stuck("worker", "works", "");
    atomic_store(&scene.spin, false);
    scene_end(&scene, &thread);
}

static void go(struct scene *scene)
{
    lock_acquire(&scene->lock);
    scene->go = true;
    cond_broadcast(&scene->cond);
    lock_release(&scene->lock);
}

/* Once the lock can be had, who said it is inside has let go of it: it waits. */
static void idle_is_well(void **state)
{
    struct scene scene;
    struct thread thread;
    struct pulse_report found;
    (void) state;
    scene_init(&scene);
    start(&scene, &thread, "idle", wait_for_go);
    lock_acquire(&scene.lock);
    lock_release(&scene.lock);
    assert_false(stuck("idle", clock_now(), 3600, &found));
    go(&scene);
    scene_end(&scene, &thread);
}

static void overslept(void **state)
{
    struct scene scene;
    struct thread thread;
    struct pulse_report found;
    (void) state;
    scene_init(&scene);
    scene.deadline = clock_after(1000);
    start(&scene, &thread, "sleeper", wait_for_go);
    lock_acquire(&scene.lock);
    lock_release(&scene.lock);
    assert_false(stuck("sleeper", clock_now(), 900, &found));
    /* A look from far in the future, as if the deadline had long passed. */
    struct pulse_report reports[8];
    size_t count = pulse_look(clock_now() + 2000 * CLOCK_SECOND, 900, reports, 8);
    assert_int_equal(count, 1);
    assert_string_equal(reports[0].state, "should have woken up from waiting with");
    assert_string_equal(reports[0].what, "call");
    go(&scene);
    scene_end(&scene, &thread);
}

static void more_than_fit(void **state)
{
    struct scene scene;
    struct thread threads[3];
    struct pulse_report reports[2];
    (void) state;
    scene_init(&scene);
    atomic_store(&scene.spin, true);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        atomic_store(&scene.inside, 0);
        start(&scene, &threads[i], "many", work);
    }
    int64_t now = clock_now();
    (void) pulse_look(now, 5, reports, 2);
    assert_int_equal(pulse_look(now + 6 * CLOCK_SECOND, 5, reports, 2), 3);
    atomic_store(&scene.spin, false);
    for (size_t i = 1; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    scene_end(&scene, &threads[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("pulse: a wait for a lock that takes long is told", waits_for_lock),
        NAMED("pulse: work without end is told", works_without_end),
        NAMED("pulse: waiting for something to do is well", idle_is_well),
        NAMED("pulse: a deadline slept past is told", overslept),
        NAMED("pulse: more than there is room for are counted", more_than_fit),
    };
    return cmocka_run_group_tests_name("pulse", tests, NULL, NULL);
}
