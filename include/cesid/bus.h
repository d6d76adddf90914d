/*
 * The event bus: a bounded queue and one thread that hands every event, in publication order, to
 * the sinks. Publishing never waits and may be done under a node's lock. When the queue is full the
 * event is dropped and counted, and the sinks get one EVENT_LOST in its place, so that they resync.
 * Lock: LOCK_BUS.
 */
#ifndef CESID_BUS_H
#define CESID_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/event.h"

struct bus;

struct bus *bus_create(size_t capacity);
void bus_destroy(struct bus **bus);
/* Before bus_start. Sinks run on the bus thread, without locks, borrow the event, must not block.
 */
void bus_add_sink(struct bus *bus, void (*sink)(void *argument, struct event *event),
                  void *argument);
int bus_start(struct bus *bus) CESID_WARN_UNUSED;
void bus_stop(struct bus *bus);                         /* delivers what is queued, then joins */
void bus_publish(struct bus *bus, struct event *event); /* takes over the reference */
uint64_t bus_number(struct bus *bus);                   /* of the event published last */
uint64_t bus_dropped(struct bus *bus);
size_t bus_length(struct bus *bus);

#endif
