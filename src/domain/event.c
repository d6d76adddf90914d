/*
 * Events: rendered once where they arise, shared by reference afterwards. Any thread; no locks, the
 * reference count is atomic.
 */
#include "cesid/event.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/memory.h"
#include "cesid/strbuf.h"

#define EVENT_BODY_MAX ((size_t) 64 << 20)

static const char *const type_names[EVENT_TYPES] = {
    [EVENT_NODE] = "node",       [EVENT_NODE_REMOVED] = "node_removed",
    [EVENT_PROCESS] = "process", [EVENT_OPERATION] = "operation",
    [EVENT_LOG] = "log",         [EVENT_ACTIVITY] = "activity",
    [EVENT_LOST] = "lost",       [EVENT_PRIVATE] = "private",
};

const char *event_type_name(enum event_type type)
{
    CHECK(type >= 0 && type < EVENT_TYPES);
    return type_names[type];
}

static struct event *create(enum event_type type, const char *name, const char *data,
                            size_t data_length)
{
    struct event *event = mem_alloc(sizeof(*event));
    struct strbuf body;
    char at[CLOCK_RFC3339_SIZE];

    CHECK(strlen(name) < sizeof(event->name));
    memcpy(event->name, name, strlen(name) + 1);
    clock_rfc3339(at, clock_wall());
    strbuf_init(&body, EVENT_BODY_MAX);
    strbuf_printf(&body, "\"type\":\"%s\",\"at\":\"%s\",\"data\":", name, at);
    strbuf_add(&body, data, data_length);
    CHECK(!strbuf_failed(&body));
    event->type = type;
    event->body_length = body.length;
    event->body = strbuf_steal(&body);
    event->references = 1;
    return event;
}

struct event *event_create(enum event_type type, enum permission permission,
                           const char *environment, const char *node, const char *data,
                           size_t data_length)
{
    struct event *event = create(type, event_type_name(type), data, data_length);

    event->permission = permission;
    event->environment = mem_string(environment);
    event->node = mem_string(node);
    return event;
}

struct event *event_create_private(const char *name, const char *data, size_t data_length)
{
    return create(EVENT_PRIVATE, name, data, data_length);
}

struct event *event_ref(struct event *event)
{
    __atomic_add_fetch(&event->references, 1, __ATOMIC_RELAXED);
    return event;
}

void event_unref(struct event **slot)
{
    struct event *event = *slot;

    *slot = NULL;
    if (event == NULL || __atomic_sub_fetch(&event->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(event->environment);
    free(event->node);
    free(event->topic);
    free(event->body);
    free(event->raw);
    free(event);
}
