/*
 * The hub: its clients, and broadcasting to them. The bus thread and log streams broadcast under
 * the read lock, workers register under the write lock, the reaper alone unlinks. Nothing here
 * waits for the network: a broadcast puts a reference into each interested client's queue and
 * wakes the sender once.
 */
#include "cesid/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "hub_private.h"
#include "version.h"

#define BYE_SECONDS   1.0 /* for the last messages of a stop */
#define LEAVE_SECONDS 2.0 /* for the workers to leave after their sockets were cut */

struct hub *hub_create(struct config_box *config, struct registry *registry, struct auth *auth)
{
    struct hub *hub = mem_alloc(sizeof(*hub));

    hub->config = config;
    hub->registry = registry;
    hub->auth = auth;
    rwlock_init(&hub->lock, LOCK_HUB);
    lock_init(&hub->sender.lock, LOCK_SENDER);
    hub->sender.epoll = hub->sender.wake = -1;
    lock_init(&hub->reaper.lock, LOCK_REAPER);
    cond_init(&hub->reaper.wanted);
    lock_init(&hub->keeper.lock, LOCK_REAPER);
    cond_init(&hub->keeper.wanted);
    return hub;
}

void hub_attach_logstreams(struct hub *hub, struct logstreams *streams)
{
    hub->streams = streams;
}

int hub_start(struct hub *hub)
{
    int error = sender_start(hub);

    if (error == CESID_OK)
        error = reaper_start(hub);
    if (error == CESID_OK)
        error = keeper_start(hub);
    return error;
}

struct hub_client *hub_client_ref(struct hub_client *client)
{
    __atomic_add_fetch(&client->references, 1, __ATOMIC_RELAXED);
    return client;
}

void hub_client_unref(struct hub_client **slot)
{
    struct hub_client *client = *slot;

    *slot = NULL;
    if (client == NULL || __atomic_sub_fetch(&client->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    CHECK(client->nodes == NULL && client->logs == NULL);
    for (size_t i = 0; i < client->length; i++)
        event_unref(&client->ring[(client->head + i) % client->capacity]);
    event_unref(&client->out.event);
    strbuf_destroy(&client->partial);
    session_unref(&client->session);
    cond_destroy(&client->filled);
    lock_destroy(&client->lock);
    free(client->ring);
    free(client);
}

struct hub_client *hub_find(struct hub *hub, uint64_t id)
{
    struct hub_client *client;

    rwlock_read(&hub->lock);
    HASH_FIND(hh, hub->clients, &id, sizeof(id), client);
    if (client != NULL)
        hub_client_ref(client);
    rwlock_release(&hub->lock);
    return client;
}

size_t hub_all(struct hub *hub, struct hub_client ***clients)
{
    struct hub_client *client, *next;
    size_t count = 0;

    rwlock_read(&hub->lock);
    *clients = mem_array(HASH_COUNT(hub->clients) + 1, sizeof((*clients)[0]));
    HASH_ITER(hh, hub->clients, client, next)
    (*clients)[count++] = hub_client_ref(client);
    rwlock_release(&hub->lock);
    return count;
}

size_t hub_clients(struct hub *hub)
{
    size_t count;

    rwlock_read(&hub->lock);
    count = HASH_COUNT(hub->clients);
    rwlock_release(&hub->lock);
    return count;
}

static struct event *hello(const struct hub_client *client, double heartbeat)
{
    struct strbuf data;
    struct json json;
    struct event *event;
    char id[32];

    snprintf(id, sizeof(id), "%llu", (unsigned long long) client->id);
    strbuf_init(&data, 1024);
    json_start(&json, &data);
    json_object(&json);
    json_put_string(&json, "client", id);
    json_put_string(&json, "version", CESID_VERSION);
    json_put_real(&json, "heartbeat", heartbeat);
    json_object_end(&json);
    event = event_create_private("hello", data.data, data.length);
    strbuf_destroy(&data);
    return event;
}

static int add(struct hub *hub, int fd, bool pull, struct session *session,
               struct hub_client **result)
{
    struct config *config = config_get(hub->config);
    struct hub_client *client = mem_alloc(sizeof(*client));
    int error = CESID_OK;
    struct event *event;

    client->hub = hub;
    client->pull = pull;
    client->session = session_ref(session);
    client->limit = (size_t) config->websocket.queue;
    client->capacity = client->limit + QUEUE_RESERVE;
    client->ring = mem_array(client->capacity, sizeof(client->ring[0]));
    lock_init(&client->lock, LOCK_CLIENT);
    cond_init(&client->filled);
    client->fd = fd;
    client->received_at = client->progress_at = client->pinged_at = clock_now();
    client->tokens = config->websocket.burst;
    client->tokens_at = client->received_at;
    strbuf_init(&client->partial, (size_t) config->websocket.message_max);
    client->references = 2; /* the hub's and the worker's */

    rwlock_write(&hub->lock);
    if (hub->stopping) {
        error = CESID_E_SHUTTING_DOWN;
    } else if (!pull && hub->sockets >= (size_t) config->websocket.clients) {
        error = CESID_E_TOO_MANY_CLIENTS;
    } else {
        client->id = ++hub->last_id;
        hub->sockets += !pull;
        HASH_ADD(hh, hub->clients, id, sizeof(client->id), client);
    }
    rwlock_release(&hub->lock);
    if (error != CESID_OK) {
        client->references = 1;
        hub_client_unref(&client);
        config_unref(&config);
        return error;
    }
    event = hello(client, config->websocket.ping_interval);
    lock_acquire(&client->lock);
    client_push_front_locked(client, event);
    lock_release(&client->lock);
    if (!pull)
        sender_wake(hub, client);
    config_unref(&config);
    *result = client;
    return CESID_OK;
}

int hub_add_socket(struct hub *hub, int fd, struct session *session, struct hub_client **client)
{
    return add(hub, fd, false, session, client);
}

int hub_add_pull(struct hub *hub, struct session *session, struct hub_client **client)
{
    return add(hub, -1, true, session, client);
}

void hub_client_gone(struct hub_client **slot)
{
    struct hub_client *client = *slot;

    *slot = NULL;
    lock_acquire(&client->lock);
    client->state = CLIENT_GONE;
    sender_forget_locked(client);
    client->fd = -1; /* the sender writes under this lock only: nobody touches it from here on */
    lock_release(&client->lock);
    reaper_take(client->hub, hub_client_ref(client));
    hub_client_unref(&client);
}

/* One pass over the clients; returns whether the sender is to be woken. */
static bool broadcast_read_locked(struct hub *hub, struct event *event)
{
    struct hub_client *client, *next;
    bool marked = false;

    rwlock_assert_held(&hub->lock);
    HASH_ITER(hh, hub->clients, client, next)
    {
        bool filled = false;

        lock_acquire(&client->lock);
        if (client->state != CLIENT_OPEN) {
            filled = false;
        } else if (event->type == EVENT_LOST) {
            filled =
                client->fleet || client->nodes != NULL || client->operations || client->activity;
            if (filled) {
                client->dropped += event->count;
                metrics_add(METRIC_WS_DROPPED, event->count, "bus_full");
                client_want_resync_locked(client);
            }
        } else if (client_wants_locked(client, event)) {
            client_offer_locked(client, event);
            filled = true;
        }
        if (filled && client->pull)
            cond_signal(&client->filled);
        lock_release(&client->lock);
        if (filled && !client->pull)
            marked = sender_mark(hub, client) || marked;
    }
    return marked;
}

void hub_publish(struct hub *hub, struct event *event)
{
    bool marked;

    rwlock_read(&hub->lock);
    if (event->type != EVENT_LOG)
        history_add(&hub->history, event);
    marked = broadcast_read_locked(hub, event);
    rwlock_release(&hub->lock);
    if (marked)
        sender_kick(hub);
}

void hub_sink(void *hub, struct event *event)
{
    hub_publish(hub, event);
}

int hub_take(struct hub_client *client, int64_t deadline, struct event **event, uint64_t *seq)
{
    int error = CESID_OK;

    lock_acquire(&client->lock);
    while (client->length == 0 && client->state == CLIENT_OPEN) {
        if (client->resync_wanted && !client->held)
            keeper_take(client->hub, client);
        if (!cond_wait_until(&client->filled, &client->lock, deadline))
            break;
    }
    *event = client_pop_locked(client);
    if (*event != NULL) {
        *seq = ++client->seq;
        metrics_count(METRIC_WS_MESSAGES, (*event)->name);
    } else if (client->state != CLIENT_OPEN) {
        error = client->close_code == HUB_CLOSE_GOING_AWAY ? CESID_E_SHUTTING_DOWN
                                                           : CESID_E_SESSION_EXPIRED;
    }
    client->progress_at = clock_now();
    lock_release(&client->lock);
    return error;
}

static void say_bye(struct hub_client *client)
{
    static const char reason[] = "{\"reason\":\"shutting down\"}";
    struct event *bye = event_create_private("bye", reason, sizeof(reason) - 1);

    lock_acquire(&client->lock);
    if (client->state == CLIENT_OPEN) {
        client->resync_wanted = false;
        if (client->length == client->capacity)
            client_clear_locked(client);
        client_push_locked(client, event_ref(bye));
        client_close_locked(client, HUB_CLOSE_GOING_AWAY, true);
        cond_signal(&client->filled);
    }
    lock_release(&client->lock);
    if (!client->pull)
        sender_wake(client->hub, client);
    event_unref(&bye);
}

/* Waits until no client is left, or the time is up. */
static bool wait_empty(struct hub *hub, double seconds)
{
    int64_t deadline = clock_after(seconds);
    bool empty;

    while (!(empty = hub_clients(hub) == 0) && clock_now() < deadline) {
        lock_acquire(&hub->keeper.lock);
        cond_wait_until(&hub->keeper.wanted, &hub->keeper.lock, clock_after(0.01));
        lock_release(&hub->keeper.lock);
    }
    return empty;
}

void hub_stop(struct hub *hub)
{
    struct hub_client **clients;
    size_t count;

    rwlock_write(&hub->lock);
    hub->stopping = true;
    rwlock_release(&hub->lock);

    count = hub_all(hub, &clients);
    for (size_t i = 0; i < count; i++)
        say_bye(clients[i]);
    if (!wait_empty(hub, BYE_SECONDS)) {
        for (size_t i = 0; i < count; i++) {
            lock_acquire(&clients[i]->lock);
            if (clients[i]->fd >= 0)
                shutdown(clients[i]->fd, SHUT_RDWR);
            lock_release(&clients[i]->lock);
        }
        if (!wait_empty(hub, LEAVE_SECONDS))
            log_warning("hub", "clients did not leave in time",
                        log_i("clients", (int64_t) hub_clients(hub)));
    }
    for (size_t i = 0; i < count; i++)
        hub_client_unref(&clients[i]);
    free(clients);

    keeper_stop(hub);
    sender_stop(hub);
    reaper_stop(hub);
}

void hub_destroy(struct hub **slot)
{
    struct hub *hub = *slot;

    *slot = NULL;
    if (hub == NULL)
        return;
    reaper_stop(hub);
    CHECK(hub->clients == NULL);
    history_clear(&hub->history);
    if (hub->sender.epoll >= 0)
        close(hub->sender.epoll);
    if (hub->sender.wake >= 0)
        close(hub->sender.wake);
    cond_destroy(&hub->keeper.wanted);
    lock_destroy(&hub->keeper.lock);
    cond_destroy(&hub->reaper.wanted);
    lock_destroy(&hub->reaper.lock);
    lock_destroy(&hub->sender.lock);
    rwlock_destroy(&hub->lock);
    free(hub);
}
