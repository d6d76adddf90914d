/*
 * The event bus. Publishers (refresh callbacks, operations, registry) push under their own locks
 * and never wait; one thread drains in publication order. A full queue loses the event, never the
 * knowledge that something was lost: an EVENT_LOST takes its place before the next event. That one
 * is taken when half of the queue is free: each loss costs every client a snapshot, so one long
 * loss is better than many short ones.
 */
#include "cesid/bus.h"

#include <stdlib.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/thread.h"

#define SINKS_MAX 8

struct sink {
    void (*deliver)(void *argument, struct event *event);
    void *argument;
};

struct bus {
    /* immutable after start */
    struct sink sinks[SINKS_MAX];
    size_t sinks_count;
    size_t capacity;
    struct thread thread;

    struct lock lock;
    struct cond filled;
    /* guarded by lock */
    struct event **ring;
    size_t head, length;
    uint64_t number;
    uint64_t dropped;
    uint64_t lost; /* since the last EVENT_LOST */
    bool stopping;
};

struct bus *bus_create(size_t capacity)
{
    struct bus *bus = mem_alloc(sizeof(*bus));

    CHECK(capacity >= 4);
    bus->capacity = capacity;
    bus->ring = mem_array(capacity, sizeof(bus->ring[0]));
    lock_init(&bus->lock, LOCK_BUS);
    cond_init(&bus->filled);
    return bus;
}

void bus_destroy(struct bus **slot)
{
    struct bus *bus = *slot;

    *slot = NULL;
    if (bus == NULL)
        return;
    for (size_t i = 0; i < bus->length; i++)
        event_unref(&bus->ring[(bus->head + i) % bus->capacity]);
    cond_destroy(&bus->filled);
    lock_destroy(&bus->lock);
    free(bus->ring);
    free(bus);
}

void bus_add_sink(struct bus *bus, void (*deliver)(void *argument, struct event *event),
                  void *argument)
{
    CHECK(bus->sinks_count < SINKS_MAX && !bus->thread.started);
    bus->sinks[bus->sinks_count++] = (struct sink){deliver, argument};
}

static void push_locked(struct bus *bus, struct event *event)
{
    lock_assert_held(&bus->lock);
    bus->ring[(bus->head + bus->length) % bus->capacity] = event;
    bus->length++;
}

static struct event *lost_event(uint64_t count, uint64_t number)
{
    struct event *event = event_create(EVENT_LOST, PERMISSION_NONE, NULL, NULL, "{}", 2);

    event->count = count;
    event->number = number;
    return event;
}

void bus_publish(struct bus *bus, struct event *event)
{
    size_t needed;

    lock_acquire(&bus->lock);
    event->number = ++bus->number;
    needed = bus->lost > 0 ? bus->capacity / 2 : 1;
    if (bus->stopping || bus->length + needed > bus->capacity) {
        bus->lost++;
        bus->dropped++;
    } else {
        if (bus->lost > 0)
            push_locked(bus, lost_event(bus->lost, event->number - 1));
        bus->lost = 0;
        push_locked(bus, event);
        event = NULL;
        cond_signal(&bus->filled);
    }
    lock_release(&bus->lock);
    event_unref(&event);
}

/* NULL when the bus is stopping and nothing is left. */
static struct event *take(struct bus *bus)
{
    struct event *event = NULL;

    lock_acquire(&bus->lock);
    while (bus->length == 0 && bus->lost == 0 && !bus->stopping)
        cond_wait(&bus->filled, &bus->lock);
    if (bus->length > 0) {
        event = bus->ring[bus->head];
        bus->head = (bus->head + 1) % bus->capacity;
        bus->length--;
    } else if (bus->lost > 0 && !bus->stopping) {
        event = lost_event(bus->lost, bus->number);
        bus->lost = 0;
    }
    lock_release(&bus->lock);
    return event;
}

static void run(void *argument)
{
    struct bus *bus = argument;
    struct event *event;

    while ((event = take(bus)) != NULL) {
        if (event->type == EVENT_LOST)
            log_warning("bus", "event queue was full; clients resynchronise",
                        log_i("lost", (int64_t) event->count));
        for (size_t i = 0; i < bus->sinks_count; i++)
            bus->sinks[i].deliver(bus->sinks[i].argument, event);
        event_unref(&event);
    }
}

int bus_start(struct bus *bus)
{
    return thread_start(&bus->thread, "bus", "bus", run, bus);
}

void bus_stop(struct bus *bus)
{
    lock_acquire(&bus->lock);
    bus->stopping = true;
    cond_broadcast(&bus->filled);
    lock_release(&bus->lock);
    thread_join(&bus->thread);
}

uint64_t bus_number(struct bus *bus)
{
    uint64_t number;

    lock_acquire(&bus->lock);
    number = bus->number;
    lock_release(&bus->lock);
    return number;
}

uint64_t bus_dropped(struct bus *bus)
{
    uint64_t dropped;

    lock_acquire(&bus->lock);
    dropped = bus->dropped;
    lock_release(&bus->lock);
    return dropped;
}

size_t bus_length(struct bus *bus)
{
    size_t length;

    lock_acquire(&bus->lock);
    length = bus->length;
    lock_release(&bus->lock);
    return length;
}
