/*
 * Topics: what a client asked for, and what it may see. Subscribing runs on the client's worker
 * thread; broadcasts ask client_wants_locked under the client's lock.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/strbuf.h"
#include "hub_private.h"

#define TOPICS_MAX  256 /* node and log topics a client */
#define PENDING_MAX 64

struct log_topic *client_log_topic_locked(struct hub_client *client, const char *name)
{
    struct log_topic *topic;

    lock_assert_held(&client->lock);
    HASH_FIND_STR(client->logs, name, topic);
    return topic;
}

/* Bounds of what waits for the tail: past them the reader sees a gap in the offsets. */
static void hold_back(struct log_topic *topic, struct event *event)
{
    if (topic->pending_count == PENDING_MAX)
        return;
    if (topic->pending == NULL)
        topic->pending = mem_array(PENDING_MAX, sizeof(topic->pending[0]));
    topic->pending[topic->pending_count++] = event_ref(event);
}

bool client_wants_locked(struct hub_client *client, const struct event *event)
{
    struct node_topic *node = NULL;
    struct log_topic *log;

    lock_assert_held(&client->lock);
    if (client->held && event->type != EVENT_LOG)
        return false;
    switch (event->type) {
    case EVENT_NODE:
    case EVENT_NODE_REMOVED:
    case EVENT_PROCESS:
        if (!client->fleet && client->nodes != NULL)
            HASH_FIND_STR(client->nodes, event->node, node);
        if (!client->fleet && node == NULL)
            return false;
        break;
    case EVENT_OPERATION:
        if (!client->operations)
            return false;
        break;
    case EVENT_LOG:
        log = client_log_topic_locked(client, event->topic);
        if (log == NULL)
            return false;
        if (log->primed && event->number <= log->after)
            return false;
        if (!log->primed) {
            hold_back(log, (struct event *) event);
            return false;
        }
        break;
    case EVENT_ACTIVITY:
        if (!client->activity)
            return false;
        break;
    case EVENT_LOST:
    case EVENT_PRIVATE:
    case EVENT_TYPES:
        return false;
    }
    return access_allows(client->session->access, event->permission, event->environment);
}

bool topic_parse_log(const char *topic, char *name, size_t size)
{
    const char *rest, *end;
    size_t length;

    if (strncmp(topic, "log:", 4) != 0)
        return false;
    topic += 4;
    rest = strchr(topic, ':');
    end = strrchr(topic, ':');
    if (rest == NULL || rest == end)
        return false;
    length = (size_t) (rest - topic);
    if (length == 0 || length >= size ||
        (strcmp(end, ":stdout") != 0 && strcmp(end, ":stderr") != 0))
        return false;
    memcpy(name, topic, length);
    name[length] = '\0';
    /* GROUP:PROCESS between them */
    return memchr(rest + 1, ':', (size_t) (end - rest - 1)) != NULL;
}

struct access *client_access(struct hub_client *client)
{
    struct access *access;

    lock_acquire(&client->lock);
    access = access_ref(client->session->access);
    lock_release(&client->lock);
    return access;
}

static bool allowed_somewhere(struct hub_client *client, enum permission permission)
{
    struct access *access = client_access(client);
    bool allowed = access_allows_somewhere(access, permission);

    access_unref(&access);
    return allowed;
}

/* Whether the node may be seen and the session may do that on it. */
static int check_access(struct hub_client *client, struct node *node, enum permission permission)
{
    struct node_settings *settings;
    struct access *access;
    int error = CESID_OK;

    access = client_access(client);
    settings = node_settings(node);
    if (!access_allows(access, NODE_READ, settings->config.environment))
        error = CESID_E_NOT_FOUND;
    else if (!access_allows(access, permission, settings->config.environment))
        error = CESID_E_FORBIDDEN;
    node_settings_unref(&settings);
    access_unref(&access);
    return error;
}

static int check_node(struct hub_client *client, const char *name)
{
    struct node *node = registry_find(client->hub->registry, name);
    int error = node == NULL ? CESID_E_NOT_FOUND : check_access(client, node, NODE_READ);

    node_unref(&node);
    return error;
}

/* Of a node that is up it is known which processes it has; of another one they may come. */
static int check_log(struct hub_client *client, const char *topic, const char *node_name)
{
    struct node *node = registry_find(client->hub->registry, node_name);
    struct node_view *view;
    int error;

    if (node == NULL)
        return CESID_E_NOT_FOUND;
    error = check_access(client, node, LOG_READ);
    view = node_view(node);
    if (error == CESID_OK && view->state == NODE_UP) {
        const char *id = topic + strlen("log:") + strlen(node_name) + 1;
        char *process = mem_bytes(id, (size_t) (strrchr(topic, ':') - id));

        if (node_view_process(view, process) == NULL)
            error = CESID_E_NOT_FOUND;
        free(process);
    }
    node_view_unref(&view);
    node_unref(&node);
    return error;
}

static void log_topic_free(struct log_topic *topic)
{
    for (size_t i = 0; i < topic->pending_count; i++)
        event_unref(&topic->pending[i]);
    free(topic->pending);
    free(topic->name);
    free(topic);
}

static bool room_locked(const struct hub_client *client)
{
    return HASH_COUNT(client->nodes) + HASH_COUNT(client->logs) < TOPICS_MAX;
}

static int subscribe_node(struct hub_client *client, const char *name)
{
    struct node_topic *topic;
    int error = check_node(client, name);

    if (error != CESID_OK)
        return error;
    lock_acquire(&client->lock);
    HASH_FIND_STR(client->nodes, name, topic);
    if (topic == NULL && !room_locked(client)) {
        error = CESID_E_RATE_LIMITED;
    } else if (topic == NULL) {
        topic = mem_alloc(sizeof(*topic));
        topic->name = mem_string(name);
        HASH_ADD_KEYPTR(hh, client->nodes, topic->name, strlen(topic->name), topic);
    }
    lock_release(&client->lock);
    return error;
}

/* The tail first, then what came meanwhile and is not in it. */
static void prime_locked(struct hub_client *client, struct log_topic *topic, uint64_t after)
{
    topic->primed = true;
    topic->after = after;
    for (size_t i = 0; i < topic->pending_count; i++) {
        if (topic->pending[i]->number > after)
            client_offer_locked(client, topic->pending[i]);
        event_unref(&topic->pending[i]);
    }
    free(topic->pending);
    topic->pending = NULL;
    topic->pending_count = 0;
}

static int subscribe_log(struct hub_client *client, const char *name, const char *node)
{
    struct log_topic *topic;
    struct event *tail = NULL;
    uint64_t after = 0;
    int error = check_log(client, name, node);

    if (error != CESID_OK)
        return error;
    lock_acquire(&client->lock);
    if (client_log_topic_locked(client, name) != NULL) {
        lock_release(&client->lock);
        return CESID_OK;
    }
    if (!room_locked(client) || client->state != CLIENT_OPEN) {
        lock_release(&client->lock);
        return CESID_E_RATE_LIMITED;
    }
    topic = mem_alloc(sizeof(*topic));
    topic->name = mem_string(name);
    HASH_ADD_KEYPTR(hh, client->logs, topic->name, strlen(topic->name), topic);
    lock_release(&client->lock);

    error = logstreams_watch(client->hub->streams, name, &tail, &after);

    lock_acquire(&client->lock);
    if (error != CESID_OK) {
        HASH_DEL(client->logs, topic);
        log_topic_free(topic);
    } else {
        if (tail != NULL)
            client_offer_locked(client, tail);
        prime_locked(client, topic, after);
    }
    lock_release(&client->lock);
    event_unref(&tail);
    if (error == CESID_OK && !client->pull)
        sender_wake(client->hub, client);
    return error;
}

static int subscribe_fleet(struct hub_client *client)
{
    struct access *access;
    struct event *snapshot;
    bool held;

    if (!allowed_somewhere(client, NODE_READ))
        return CESID_E_FORBIDDEN;
    lock_acquire(&client->lock);
    client->fleet = true;
    held = client->held;
    lock_release(&client->lock);
    if (held)
        return CESID_OK;
    /* After the flag: an event between the two is in the snapshot, or behind it, never lost. */
    access = client_access(client);
    snapshot = hub_snapshot_event(client->hub, access);
    access_unref(&access);
    lock_acquire(&client->lock);
    client_offer_locked(client, snapshot);
    lock_release(&client->lock);
    event_unref(&snapshot);
    if (!client->pull)
        sender_wake(client->hub, client);
    return CESID_OK;
}

/* A topic without parts, by its name; NULL: it is not one of them. */
static bool *whole_topic(struct hub_client *client, const char *topic, enum permission *permission)
{
    if (strcmp(topic, "operations") == 0) {
        *permission = PROCESS_READ;
        return &client->operations;
    }
    if (strcmp(topic, "activity") == 0) {
        *permission = ACTIVITY_READ;
        return &client->activity;
    }
    if (strcmp(topic, "fleet") == 0) {
        *permission = NODE_READ;
        return &client->fleet;
    }
    return NULL;
}

int hub_subscribe(struct hub_client *client, const char *topic)
{
    enum permission permission;
    bool *whole = whole_topic(client, topic, &permission);
    char node[128];

    if (whole == &client->fleet)
        return subscribe_fleet(client);
    if (whole != NULL) {
        if (!allowed_somewhere(client, permission))
            return CESID_E_FORBIDDEN;
        lock_acquire(&client->lock);
        *whole = true;
        lock_release(&client->lock);
        return CESID_OK;
    }
    if (strncmp(topic, "node:", 5) == 0)
        return subscribe_node(client, topic + 5);
    if (topic_parse_log(topic, node, sizeof(node)))
        return subscribe_log(client, topic, node);
    return CESID_E_VALIDATION_FAILED;
}

static int unsubscribe_log(struct hub_client *client, const char *name)
{
    struct log_topic *topic;

    lock_acquire(&client->lock);
    topic = client_log_topic_locked(client, name);
    if (topic != NULL)
        HASH_DEL(client->logs, topic);
    lock_release(&client->lock);
    if (topic == NULL)
        return CESID_OK;
    logstreams_unwatch(client->hub->streams, name);
    log_topic_free(topic);
    return CESID_OK;
}

static int unsubscribe_node(struct hub_client *client, const char *name)
{
    struct node_topic *topic;

    lock_acquire(&client->lock);
    HASH_FIND_STR(client->nodes, name, topic);
    if (topic != NULL) {
        HASH_DEL(client->nodes, topic);
        free(topic->name);
        free(topic);
    }
    lock_release(&client->lock);
    return CESID_OK;
}

int hub_unsubscribe(struct hub_client *client, const char *topic)
{
    enum permission permission;
    bool *whole;
    char node[128];

    CHECK(client != NULL);
    whole = whole_topic(client, topic, &permission);
    if (whole != NULL) {
        lock_acquire(&client->lock);
        *whole = false;
        lock_release(&client->lock);
        return CESID_OK;
    }
    if (strncmp(topic, "node:", 5) == 0)
        return unsubscribe_node(client, topic + 5);
    if (topic_parse_log(topic, node, sizeof(node)))
        return unsubscribe_log(client, topic);
    return CESID_E_VALIDATION_FAILED;
}

void client_drop_topics(struct hub_client *client)
{
    struct node_topic *nodes, *node, *next_node;
    struct log_topic *logs, *log, *next_log;

    lock_acquire(&client->lock);
    nodes = client->nodes;
    logs = client->logs;
    client->nodes = NULL;
    client->logs = NULL;
    client->fleet = client->operations = client->activity = false;
    lock_release(&client->lock);

    node = nodes;
    HASH_CLEAR(hh, nodes); /* the table; its entries still know the next */
    for (; node != NULL; node = next_node) {
        next_node = node->hh.next;
        free(node->name);
        free(node);
    }
    log = logs;
    HASH_CLEAR(hh, logs);
    for (; log != NULL; log = next_log) {
        next_log = log->hh.next;
        logstreams_unwatch(client->hub->streams, log->name);
        log_topic_free(log);
    }
}
