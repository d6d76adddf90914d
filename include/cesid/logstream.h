/*
 * Live logs: one upstream /logtail/ stream a log, however many watch. Started with the first
 * watcher of its topic, ended with the last. The recent tail is kept, so that a late watcher starts
 * with the same context as the first. Data goes to the hub as EVENT_LOG, cut at character borders,
 * with byte offsets; a flood is sampled, what was left out is told as `skipped`. A lost node or a
 * process that is not there is told and retried with backoff while somebody watches. When the
 * process comes back, or has another log, the stream goes on with it: a new log from its beginning,
 * as far as that is not long ago. An event without data and error says that it does.
 *
 * Lock: LOCK_LOGSTREAMS; never held across the engine or the hub.
 */
#ifndef CESID_LOGSTREAM_H
#define CESID_LOGSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/event.h"
#include "cesid/registry.h"

struct hub;
struct logstreams;

struct logstreams *logstreams_create(struct config_box *config, struct registry *registry,
                                     void (*publish)(void *argument, struct event *event),
                                     void *argument);
int logstreams_start(struct logstreams *streams) CESID_WARN_UNUSED;
void logstreams_stop(struct logstreams *streams); /* ends every upstream */
void logstreams_destroy(struct logstreams **streams);

/* One more watcher of "log:NODE:GROUP:PROCESS:STREAM". *tail is the recent data, and why no more
 * comes, as an event (a reference, NULL when there is neither) for that watcher alone. Events of
 * the topic up to the number *after are in it, or older than this watcher. VALIDATION_FAILED,
 * SHUTTING_DOWN. */
int logstreams_watch(struct logstreams *streams, const char *topic, struct event **tail,
                     uint64_t *after) CESID_WARN_UNUSED;
void logstreams_unwatch(struct logstreams *streams, const char *topic);
/* A sink of the bus, that is told of processes that come, change and go. */
void logstreams_sink(void *argument, struct event *event);
size_t logstreams_count(struct logstreams *streams);

#endif
