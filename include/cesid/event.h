/*
 * An event: immutable, reference-counted, rendered once, shared by every reader. Any thread.
 */
#ifndef CESID_EVENT_H
#define CESID_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/access.h"

enum event_type {
    EVENT_NODE,
    EVENT_NODE_REMOVED,
    EVENT_PROCESS,
    EVENT_OPERATION,
    EVENT_LOG,
    EVENT_ACTIVITY,
    EVENT_LOST,    /* the bus was full: `count` events are missing here */
    EVENT_PRIVATE, /* made for one client alone: hello, snapshot, resync, error, pong, bye */
    EVENT_TYPES
};
const char *event_type_name(enum event_type type); /* "node", "node_removed"… */

struct event {
    /* immutable */
    enum event_type type;
    char name[16];              /* what "type" says: "node", "snapshot"… */
    enum permission permission; /* that a reader needs… */
    char *environment;          /* …there; NULL: in every environment (binding to "*") */
    char *node;                 /* of NODE, NODE_REMOVED, PROCESS, LOG; else NULL */
    char *topic;                /* of LOG: "log:NODE:GROUP:PROCESS:STREAM"; else NULL */
    char *body;                 /* "type":"…","at":"…","data":{…}  without outer braces */
    size_t body_length;
    char *raw; /* of LOG: the bytes as they came; else NULL */
    size_t raw_length;
    int64_t raw_offset; /* of LOG: where raw starts in the log */
    uint64_t count;     /* of LOST */
    /* set once by the bus before anybody else sees it */
    uint64_t number; /* 1, 2, 3… of this run of cesid; of LOG: of its stream */
    /* atomic */
    int references;
};

/* data is the rendered JSON object. Copies everything; `at` is now. One reference. */
struct event *event_create(enum event_type type, enum permission permission,
                           const char *environment, const char *node, const char *data,
                           size_t data_length);
/* An EVENT_PRIVATE of that name (at most 15 bytes, a literal). */
struct event *event_create_private(const char *name, const char *data, size_t data_length);
struct event *event_ref(struct event *event);
void event_unref(struct event **event);

#endif
