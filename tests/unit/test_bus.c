/*
 * The event bus: order of publication, and what a full queue does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/bus.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/thread.h"

#define MANY 20000

struct seen {
    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    bool held;        /* the sink waits, */
    uint64_t allowed; /* when it has so many */
    uint64_t count, lost, last;
    bool out_of_order;
    char names[16][16];
};

static void seen_init(struct seen *seen)
{
    memset(seen, 0, sizeof(*seen));
    lock_init(&seen->lock, LOCK_CLIENT);
    cond_init(&seen->changed);
}

static void seen_destroy(struct seen *seen)
{
    cond_destroy(&seen->changed);
    lock_destroy(&seen->lock);
}

static void sink(void *argument, struct event *event)
{
    struct seen *seen = argument;

    lock_acquire(&seen->lock);
    while (seen->held && seen->count >= seen->allowed)
        cond_wait(&seen->changed, &seen->lock);
    if (event->type == EVENT_LOST)
        seen->lost += event->count;
    else if (event->number <= seen->last)
        seen->out_of_order = true;
    if (seen->count < ARRAY_LENGTH(seen->names))
        memcpy(seen->names[seen->count], event->name, sizeof(event->name));
    seen->count++;
    seen->last = event->number;
    cond_broadcast(&seen->changed);
    lock_release(&seen->lock);
}

static struct event *some_event(void)
{
    return event_create(EVENT_NODE, NODE_READ, "test", "a", "{}", 2);
}

static void *publish_many(void *bus)
{
    for (int i = 0; i < MANY; i++)
        bus_publish(bus, some_event());
    return NULL;
}

static void test_order(void **state)
{
    struct bus *bus = bus_create(3 * MANY);
    struct seen seen;
    pthread_t threads[2];

    (void) state;
    seen_init(&seen);
    bus_add_sink(bus, sink, &seen);
    assert_int_equal(bus_start(bus), CESID_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, publish_many, bus), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    bus_stop(bus); /* delivers what is queued */
    assert_int_equal(seen.count, 2 * MANY);
    assert_int_equal(seen.last, 2 * MANY);
    assert_false(seen.out_of_order);
    assert_int_equal(bus_dropped(bus), 0);
    bus_destroy(&bus);
    seen_destroy(&seen);
}

static void drain_to(struct bus *bus, size_t length)
{
    int64_t deadline = clock_after(10);

    while (bus_length(bus) > length)
        assert_true(clock_now() < deadline);
}

/* A bus whose sink has the first event and waits with it. */
static struct bus *start_held(struct seen *seen, size_t capacity)
{
    struct bus *bus = bus_create(capacity);

    seen_init(seen);
    seen->held = true;
    bus_add_sink(bus, sink, seen);
    assert_int_equal(bus_start(bus), CESID_OK);
    bus_publish(bus, some_event());
    drain_to(bus, 0);
    return bus;
}

/* A sink that stalls fills a queue of 4: the rest is lost, and that is told in its place. */
static void test_overflow(void **state)
{
    int64_t deadline = clock_after(10);
    struct seen seen;
    struct bus *bus = start_held(&seen, 4);

    (void) state;
    for (int i = 0; i < 10; i++)
        bus_publish(bus, some_event());
    assert_int_equal(bus_dropped(bus), 6);

    lock_acquire(&seen.lock);
    seen.held = false;
    cond_broadcast(&seen.changed);
    while (seen.lost == 0)
        assert_true(cond_wait_until(&seen.changed, &seen.lock, deadline));
    lock_release(&seen.lock);
    bus_publish(bus, some_event());
    bus_stop(bus);
    assert_int_equal(seen.count, 7); /* five, the loss, and the one after it */
    assert_int_equal(seen.lost, 6);
    assert_string_equal(seen.names[5], "lost");
    assert_string_equal(seen.names[6], "node");
    bus_destroy(&bus);
    seen_destroy(&seen);
}

static void allow(struct seen *seen, uint64_t count)
{
    int64_t deadline = clock_after(10);

    lock_acquire(&seen->lock);
    seen->allowed = count;
    cond_broadcast(&seen->changed);
    while (seen->count < count)
        assert_true(cond_wait_until(&seen->changed, &seen->lock, deadline));
    lock_release(&seen->lock);
}

/* A sink that is always a little too slow costs one loss a half of the queue, not one an event. */
static void test_one_long_loss(void **state)
{
    enum { CAPACITY = 8 };
    struct seen seen;
    struct bus *bus = start_held(&seen, CAPACITY);

    (void) state;
    for (int i = 0; i < CAPACITY + 1; i++)
        bus_publish(bus, some_event());
    assert_int_equal(bus_dropped(bus), 1);
    for (uint64_t room = 1; room < CAPACITY / 2; room++) {
        allow(&seen, room);
        drain_to(bus, CAPACITY - room);
        bus_publish(bus, some_event());
        assert_int_equal(bus_dropped(bus), 1 + room);
    }
    allow(&seen, CAPACITY / 2);
    drain_to(bus, CAPACITY / 2);
    bus_publish(bus, some_event());
    assert_int_equal(bus_dropped(bus), CAPACITY / 2);
    allow(&seen, CAPACITY + 3);
    bus_stop(bus);
    assert_int_equal(seen.lost, CAPACITY / 2);
    assert_string_equal(seen.names[CAPACITY + 1], "lost");
    assert_string_equal(seen.names[CAPACITY + 2], "node");
    bus_destroy(&bus);
    seen_destroy(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "R1.4 events leave in the order of publication", .test_func = test_order},
        {.name = "a full bus loses events but not the knowledge of it", .test_func = test_overflow},
        {.name = "a bus that stays full loses in one piece", .test_func = test_one_long_loss},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
