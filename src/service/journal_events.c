/*
 * Events into records. See journal_events.h. The journal's thread alone; no locks.
 *
 * A node's event says how it is, not what changed: so the last state of each is kept here. That a
 * process is seen for the first time is no change, or every start of cesid would record the fleet.
 */
#include "journal_events.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/clock.h"
#include "cesid/memory.h"

#define TEXT_MAX ((size_t) 64 << 20)

struct known_node {
    char *name;
    char *state;
    UT_hash_handle hh;
};

struct known_nodes {
    struct known_node *by_name;
};

struct known_nodes *known_nodes_create(void)
{
    return mem_alloc(sizeof(struct known_nodes));
}

static void forget(struct known_nodes *nodes, struct known_node *node)
{
    // NOLINTNEXTLINE(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc): uthash
    HASH_DEL(nodes->by_name, node);
    free(node->name);
    free(node->state);
    free(node);
}

void known_nodes_destroy(struct known_nodes **slot)
{
    struct known_nodes *nodes = *slot;
    struct known_node *node, *next;

    *slot = NULL;
    if (nodes == NULL)
        return;
    HASH_ITER(hh, nodes->by_name, node, next)
    {
        forget(nodes, node);
    }
    free(nodes);
}

static const char *text(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* The event as an object; its "data" is borrowed from it. */
static cJSON *parse(const struct event *event, const cJSON **data, int64_t *at)
{
    struct strbuf whole;
    cJSON *tree;
    const char *time;

    strbuf_init(&whole, TEXT_MAX);
    strbuf_putc(&whole, '{');
    strbuf_add(&whole, event->body, event->body_length);
    strbuf_putc(&whole, '}');
    tree = cJSON_ParseWithLength(whole.data, whole.length);
    strbuf_destroy(&whole);
    *data = cJSON_GetObjectItemCaseSensitive(tree, "data");
    time = text(tree, "at");
    if (time == NULL || !activity_time_parse(time, at))
        *at = clock_wall();
    return tree;
}

static struct activity *change(const char *action, const char *resource, const struct event *event,
                               int64_t at)
{
    struct activity *record = activity_create_at(action, resource, at);

    activity_set(record, &record->actor, ACTIVITY_SYSTEM);
    activity_set(record, &record->environment, event->environment);
    record->result = ACTIVITY_OK;
    return record;
}

static void put_details(struct activity *record, const char *from, const char *to,
                        const cJSON *data, const char *const *also, size_t also_count)
{
    struct strbuf details;
    struct json json;

    strbuf_init(&details, 4 * (size_t) ACTIVITY_DETAILS_MAX);
    json_start(&json, &details);
    json_object(&json);
    json_put_string(&json, "from", from);
    json_put_string(&json, "to", to);
    for (size_t i = 0; i < also_count; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(data, also[i]);

        if (cJSON_IsString(item))
            json_put_string(&json, also[i], item->valuestring);
        else if (cJSON_IsNumber(item))
            json_put_integer(&json, also[i], (int64_t) item->valuedouble);
    }
    json_object_end(&json);
    activity_set(record, &record->details, details.data);
    strbuf_destroy(&details);
}

static struct activity *process_record(const struct event *event)
{
    static const char *const also[] = {"exit_status", "spawn_error"};
    const cJSON *data;
    struct activity *record = NULL;
    struct strbuf target;
    int64_t at;
    cJSON *tree = parse(event, &data, &at);
    const char *state = text(data, "state"), *previous = text(data, "previous");
    const char *id = text(data, "id");

    if (state != NULL && previous != NULL && id != NULL && strcmp(state, previous) != 0) {
        record = change("process.state", "process", event, at);
        strbuf_init(&target, 4096);
        strbuf_printf(&target, "%s/%s", event->node, id);
        activity_set(record, &record->target, target.data);
        strbuf_destroy(&target);
        if (strcmp(state, "FATAL") == 0)
            record->level = ACTIVITY_ERROR;
        else if (strcmp(state, "BACKOFF") == 0 || strcmp(state, "EXITED") == 0 ||
                 strcmp(state, "UNKNOWN") == 0)
            record->level = ACTIVITY_WARNING;
        put_details(record, previous, state, data, also, ARRAY_LENGTH(also));
    }
    cJSON_Delete(tree);
    return record;
}

static struct activity *node_record(struct known_nodes *nodes, const struct event *event)
{
    static const char *const also[] = {"cause"};
    const cJSON *data;
    struct activity *record = NULL;
    struct known_node *node;
    int64_t at;
    cJSON *tree = parse(event, &data, &at);
    const char *state = event->type == EVENT_NODE_REMOVED ? "removed" : text(data, "state");

    HASH_FIND_STR(nodes->by_name, event->node, node);
    if (state == NULL || (node != NULL && strcmp(node->state, state) == 0))
        goto out;
    if (node != NULL) {
        record = change("node.state", "node", event, at);
        activity_set(record, &record->target, event->node);
        if (strcmp(state, "down") == 0)
            record->level = ACTIVITY_ERROR;
        put_details(record, node->state, state, data, also, ARRAY_LENGTH(also));
    } else if (event->type != EVENT_NODE_REMOVED) {
        node = mem_alloc(sizeof(*node));
        node->name = mem_string(event->node);
        HASH_ADD_KEYPTR(hh, nodes->by_name, node->name, strlen(node->name), node);
    }
    if (event->type == EVENT_NODE_REMOVED) {
        if (node != NULL)
            forget(nodes, node);
        goto out;
    }
    free(node->state);
    node->state = mem_string(state);
out:
    cJSON_Delete(tree);
    return record;
}

struct activity *known_nodes_record(struct known_nodes *nodes, const struct event *event)
{
    if (event->type == EVENT_PROCESS)
        return process_record(event);
    if (event->type == EVENT_NODE || event->type == EVENT_NODE_REMOVED)
        return node_record(nodes, event);
    return NULL;
}
