/*
 * The keeper: one thread that looks at every client once a second and at those that lost messages
 * at once. It pings, ends what is silent, stalled, closing for too long or no longer signed in, and
 * renders the snapshot after a resync. It holds references, not the registry lock, while it looks.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/json.h"
#include "cesid/log.h"
#include "hub_private.h"

#define TICK 1.0 /* seconds */

static struct event *resync_event(uint64_t dropped)
{
    struct strbuf data;
    struct json json;
    struct event *event;

    strbuf_init(&data, 256);
    json_start(&json, &data);
    json_object(&json);
    json_put_integer(&json, "dropped", (int64_t) dropped);
    json_object_end(&json);
    event = event_create_private("resync", data.data, data.length);
    strbuf_destroy(&data);
    return event;
}

static void resync(struct hub_client *client)
{
    struct event *told, *snapshot;
    uint64_t dropped;
    bool wanted;

    lock_acquire(&client->lock);
    wanted = client->resync_wanted && client->state == CLIENT_OPEN;
    /* From here on events queue up again, behind the snapshot that is being made. */
    client_resync_taken_locked(client);
    dropped = client->dropped;
    client->dropped = 0;
    lock_release(&client->lock);
    if (!wanted)
        return;

    told = resync_event(dropped);
    snapshot = hub_snapshot_event(client);
    lock_acquire(&client->lock);
    if (client->length + 2 > client->capacity) {
        client->dropped += dropped;
        client_want_resync_locked(client); /* filled meanwhile: next round */
    } else if (client->state == CLIENT_OPEN && !client->resync_wanted) {
        client_push_front_locked(client, event_ref(snapshot));
        client_push_front_locked(client, event_ref(told));
        cond_signal(&client->filled);
    }
    lock_release(&client->lock);
    event_unref(&told);
    event_unref(&snapshot);
    if (!client->pull)
        sender_wake(client->hub, client);
}

static double age(int64_t at)
{
    return clock_seconds_since(at);
}

static void cut(struct hub_client *client, const char *why)
{
    log_info("hub", "client is cut", log_i("client", (int64_t) client->id), log_s("reason", why));
    shutdown(client->fd, SHUT_RDWR);
    client->received_at = client->progress_at = clock_now(); /* said once; the worker leaves */
}

/* Returns whether there is something to write. */
static bool look_at_socket_locked(struct hub_client *client, const struct config_websocket *limits)
{
    bool pending = client->length > 0 || client->out.active;

    if (client->fd < 0)
        return false;
    if (client->closing_since != 0 && age(client->closing_since) > LINGER) {
        cut(client, "close handshake took too long");
        client->closing_since = clock_now();
        return false;
    }
    if (pending && age(client->progress_at) > limits->idle_timeout) {
        cut(client, "does not read");
        return false;
    }
    if (age(client->received_at) > limits->idle_timeout) {
        /* A live peer answers pings; this one may still read its close frame. */
        client_close_locked(client, HUB_CLOSE_POLICY, false);
        client->received_at = clock_now();
        return true;
    }
    if (client->state == CLIENT_OPEN && age(client->pinged_at) > limits->ping_interval) {
        client->pinged_at = clock_now();
        client_control_locked(client, 9, NULL, 0);
        return true;
    }
    return false;
}

static void look_at(struct hub *hub, struct hub_client *client, const struct config *config)
{
    bool valid = auth_session_valid(hub->auth, client->session);
    bool write = false;

    lock_acquire(&client->lock);
    if (!valid && client->state == CLIENT_OPEN) {
        client_close_locked(client, HUB_CLOSE_POLICY, false);
        cond_signal(&client->filled);
        write = true;
    }
    if (!client->pull)
        write = look_at_socket_locked(client, &config->websocket) || write;
    lock_release(&client->lock);
    if (write && !client->pull)
        sender_wake(hub, client);
}

static void run(void *argument)
{
    struct hub *hub = argument;
    struct keeper *keeper = &hub->keeper;
    int64_t next_tick = clock_after(TICK);
    bool stopping = false;

    while (!stopping) {
        struct hub_client **clients;
        struct config *config;
        size_t count;
        bool tick;

        lock_acquire(&keeper->lock);
        while (!keeper->stopping && !keeper->resync_wanted &&
               cond_wait_until(&keeper->wanted, &keeper->lock, next_tick))
            continue;
        keeper->resync_wanted = false;
        stopping = keeper->stopping;
        lock_release(&keeper->lock);

        tick = clock_now() >= next_tick;
        if (tick)
            next_tick = clock_after(TICK);
        config = config_get(hub->config);
        count = hub_all(hub, &clients);
        for (size_t i = 0; i < count; i++) {
            if (tick)
                look_at(hub, clients[i], config);
            resync(clients[i]);
            hub_client_unref(&clients[i]);
        }
        free(clients);
        config_unref(&config);
    }
}

int keeper_start(struct hub *hub)
{
    return thread_start(&hub->keeper.thread, "hub", "hub-keeper", run, hub);
}

void keeper_kick(struct hub *hub)
{
    lock_acquire(&hub->keeper.lock);
    hub->keeper.resync_wanted = true;
    cond_signal(&hub->keeper.wanted);
    lock_release(&hub->keeper.lock);
}

void keeper_stop(struct hub *hub)
{
    lock_acquire(&hub->keeper.lock);
    hub->keeper.stopping = true;
    cond_broadcast(&hub->keeper.wanted);
    lock_release(&hub->keeper.lock);
    thread_join(&hub->keeper.thread);
}
