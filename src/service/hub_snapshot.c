/*
 * Messages made for one client alone: the fleet as it may see it, errors, and the like. Rendered on
 * the client's worker or the keeper, without locks, from node views.
 */
#include "cesid/error.h"
#include "cesid/json.h"
#include "hub_private.h"

#define SNAPSHOT_MAX ((size_t) 60 << 20)

struct totals {
    int states[NODE_STATES];
    struct node_counts processes;
};

static void add_counts(struct node_counts *sum, const struct node_counts *counts)
{
    sum->total += counts->total;
    sum->running += counts->running;
    sum->starting += counts->starting;
    sum->backoff += counts->backoff;
    sum->stopping += counts->stopping;
    sum->stopped += counts->stopped;
    sum->exited += counts->exited;
    sum->fatal += counts->fatal;
    sum->unknown += counts->unknown;
}

static bool may_see(struct hub_client *client, const struct node_view *view, bool fleet)
{
    struct node_topic *topic = NULL;

    if (!access_allows(client->session->access, NODE_READ, view->settings->config.environment))
        return false;
    if (fleet)
        return true;
    lock_acquire(&client->lock);
    HASH_FIND_STR(client->nodes, view->settings->config.name, topic);
    lock_release(&client->lock);
    return topic != NULL;
}

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

struct event *hub_snapshot_event(struct hub_client *client)
{
    struct totals totals = {0};
    struct node_list list;
    struct strbuf data;
    struct json json;
    struct event *event;
    bool fleet;

    lock_acquire(&client->lock);
    fleet = client->fleet;
    lock_release(&client->lock);

    registry_list(client->hub->registry, &list);
    strbuf_init(&data, SNAPSHOT_MAX);
    json_start(&json, &data);
    json_object(&json);
    json_key(&json, "nodes");
    json_array(&json);
    for (size_t i = 0; i < list.count; i++) {
        struct node_view *view = node_view(list.items[i]);

        if (may_see(client, view, fleet)) {
            node_json(&json, list.items[i], view);
            totals.states[view->state]++;
            add_counts(&totals.processes, &view->counts);
        }
        node_view_unref(&view);
    }
    json_array_end(&json);
    json_key(&json, "totals");
    render_totals(&json, &totals);
    json_object_end(&json);
    node_list_free(&list);
    if (strbuf_failed(&data))
        event = hub_error_event(CESID_E_INTERNAL, "the fleet is too large for one snapshot");
    else
        event = event_create_private("snapshot", data.data, data.length);
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
