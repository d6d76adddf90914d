/*
 * Messages made for one client alone: the fleet as it may see it, errors, and the like. Rendered on
 * the client's worker or the keeper, without locks, from node views.
 */
#include <stdlib.h>

#include "cesid/error.h"
#include "cesid/json.h"
#include "cesid/memory.h"
#include "hub_private.h"

#define SNAPSHOT_MAX ((size_t) 60 << 20)

struct totals {
    int states[NODE_STATES];
    struct node_counts processes;
};

static void render_totals(struct json *json, const struct totals *totals)
{
    json_object(json);
    json_key(json, "nodes");
    json_object(json);
    for (int i = 0; i < NODE_STATES; i++)
        json_put_integer(json, node_state_name((enum node_state) i), totals->states[i]);
    json_object_end(json);
    json_key(json, "processes");
    node_counts_json(json, &totals->processes);
    json_object_end(json);
}

/* The nodes of the list that access allows to see. number: of the latest event that is in there. */
static struct event *render(const struct node_list *list, const struct access *access,
                            uint64_t number)
{
    struct totals totals = {0};
    struct strbuf data;
    struct json json;
    struct event *event;

    strbuf_init(&data, SNAPSHOT_MAX);
    json_start(&json, &data);
    json_object(&json);
    json_key(&json, "nodes");
    json_array(&json);
    for (size_t i = 0; i < list->count; i++) {
        struct node_view *view = node_view(list->items[i]);

        if (access_allows(access, NODE_READ, view->settings->config.environment)) {
            node_json(&json, list->items[i], view);
            totals.states[view->state]++;
            node_counts_sum(&totals.processes, &view->counts);
        }
        node_view_unref(&view);
    }
    json_array_end(&json);
    json_key(&json, "totals");
    render_totals(&json, &totals);
    json_object_end(&json);
    if (strbuf_failed(&data)) {
        event = hub_error_event(CESID_E_INTERNAL, "the fleet is too large for one snapshot");
    } else {
        event = event_create_private("snapshot", data.data, data.length);
        event->number = number;
    }
    strbuf_destroy(&data);
    return event;
}

struct event *hub_snapshot_event(struct hub *hub, const struct access *access)
{
    /* A change is in its node's view before it is on the bus. */
    uint64_t number = __atomic_load_n(&hub->history.last, __ATOMIC_ACQUIRE);
    struct node_list list;
    struct event *event;

    registry_list(hub->registry, &list);
    event = render(&list, access, number);
    node_list_free(&list);
    return event;
}

struct event *hub_snapshot_of_topics(struct hub_client *client, const struct access *access)
{
    uint64_t number = __atomic_load_n(&client->hub->history.last, __ATOMIC_ACQUIRE);
    struct node_topic *topic, *next;
    struct node_list list = {0};
    struct event *event;
    char **names;
    size_t count = 0;

    lock_acquire(&client->lock);
    names = mem_array(HASH_COUNT(client->nodes) + 1, sizeof(names[0]));
    HASH_ITER(hh, client->nodes, topic, next)
    names[count++] = mem_string(topic->name);
    lock_release(&client->lock);

    list.items = mem_array(count + 1, sizeof(list.items[0]));
    for (size_t i = 0; i < count; i++) {
        struct node *node = registry_find(client->hub->registry, names[i]);

        if (node != NULL)
            list.items[list.count++] = node;
        free(names[i]);
    }
    free(names);
    event = render(&list, access, number);
    node_list_free(&list);
    return event;
}

struct event *hub_resync_event(bool known, uint64_t dropped)
{
    struct strbuf data;
    struct json json;
    struct event *event;

    strbuf_init(&data, 256);
    json_start(&json, &data);
    json_object(&json);
    if (known)
        json_put_integer(&json, "dropped", (int64_t) dropped);
    else
        json_put_null(&json, "dropped");
    json_object_end(&json);
    event = event_create_private("resync", data.data, data.length);
    strbuf_destroy(&data);
    return event;
}

struct event *hub_error_event(int error, const char *detail)
{
    struct strbuf data, type;
    struct json json;
    struct event *event;

    strbuf_init(&data, 8192);
    strbuf_init(&type, 256);
    strbuf_printf(&type, "urn:cesid:error:%s", error_code(error));
    json_start(&json, &data);
    json_object(&json);
    json_put_string(&json, "type", type.data);
    json_put_string(&json, "title", error_title(error));
    json_put_integer(&json, "status", error_status(error));
    json_put_string(&json, "code", error_code(error));
    json_put_string(&json, "detail", detail);
    json_object_end(&json);
    event = event_create_private("error", data.data, data.length);
    strbuf_destroy(&data);
    strbuf_destroy(&type);
    return event;
}
