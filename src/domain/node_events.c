/*
 * The events of one change of a node: rendered before its lock is taken, published under it, so
 * that events leave in the order in which views were swapped. Any thread.
 */
#include <stdlib.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "node_private.h"

#define DATA_MAX ((size_t) 2 << 20)

static void add(struct node_events *events, struct event *event)
{
    if (events->count == events->capacity) {
        events->capacity = events->capacity == 0 ? 8 : events->capacity * 2;
        events->items = mem_resize(events->items, events->capacity, sizeof(events->items[0]));
    }
    events->items[events->count++] = event;
}

void node_events_add_node(struct node_events *events, struct node *node,
                          const struct node_view *view)
{
    const struct config_node *config = &view->settings->config;
    struct strbuf data;
    struct json json;

    strbuf_init(&data, DATA_MAX);
    json_start(&json, &data);
    node_json(&json, node, view);
    CHECK(!strbuf_failed(&data));
    add(events, event_create(EVENT_NODE, NODE_READ, config->environment, config->name, data.data,
                             data.length));
    strbuf_destroy(&data);
}

void node_events_add_removed(struct node_events *events, const struct node_settings *settings)
{
    const struct config_node *config = &settings->config;
    struct strbuf data;
    struct json json;

    strbuf_init(&data, DATA_MAX);
    json_start(&json, &data);
    json_object(&json);
    json_put_string(&json, "name", config->name);
    json_put_string(&json, "environment", config->environment);
    json_object_end(&json);
    add(events, event_create(EVENT_NODE_REMOVED, NODE_READ, config->environment, config->name,
                             data.data, data.length));
    strbuf_destroy(&data);
}

void node_events_add_process(struct node_events *events, const struct node_view *view,
                             const struct process_view *process,
                             const struct process_view *previous, bool gone)
{
    const struct config_node *config = &view->settings->config;
    const char *before = previous == NULL ? NULL : process_state_name(previous->statecode);
    struct strbuf data;
    struct json json;

    strbuf_init(&data, DATA_MAX);
    json_start(&json, &data);
    if (gone) {
        json_object(&json);
        json_put_string(&json, "node", config->name);
        json_put_string(&json, "environment", config->environment);
        json_put_string(&json, "id", process->id);
        json_put_string(&json, "group", process->group);
        json_put_string(&json, "name", process->name);
        json_put_string(&json, "state", "REMOVED");
        json_put_integer(&json, "revision", (int64_t) view->revision);
        json_put_string(&json, "previous", before);
        json_object_end(&json);
    } else {
        strbuf_add(&data, process->json, process->json_length - 1);
        strbuf_puts(&data, ",\"previous\":");
        json_string(&json, before);
        strbuf_putc(&data, '}');
    }
    CHECK(!strbuf_failed(&data));
    add(events, event_create(EVENT_PROCESS, PROCESS_READ, config->environment, config->name,
                             data.data, data.length));
    strbuf_destroy(&data);
}

void node_events_publish(struct node_events *events, struct bus *bus)
{
    for (size_t i = 0; i < events->count; i++)
        bus_publish(bus, events->items[i]);
    free(events->items);
    *events = (struct node_events){0};
}

void node_events_drop(struct node_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        event_unref(&events->items[i]);
    free(events->items);
    *events = (struct node_events){0};
}
