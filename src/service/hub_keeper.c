/*
 * The keeper: one thread that looks at every client once a second, and at those that lost messages
 * as soon as they can take new ones. It pings, ends what is silent, stalled, closing for too long
 * or no longer signed in, follows changed rights, and renders the snapshot after a resync. It holds
 * references, not the registry lock, while it looks. Sessions that end or change by this program's
 * hand are followed on the thread that does it, before that is answered.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "hub_private.h"

#define TICK      1.0 /* seconds; less when the heartbeat is quicker */
#define TICK_MIN  0.02
#define SHARE_MAX 16 /* different accesses whose snapshots are shared in one round */

/* A snapshot that every client of that access can have. */
struct shared {
    const struct access *access; /* held by the client that it was made for */
    struct event *snapshot;
};

/* A client in a round of resyncs. */
struct turn {
    struct hub_client *client; /* reference */
    bool wanted, fleet;
    uint64_t dropped;
    struct access *access; /* reference; NULL when not wanted */
};

/* From here on events queue up again, behind the snapshot that is going to be made. */
static void begin(struct turn *turn)
{
    struct hub_client *client = turn->client;

    lock_acquire(&client->lock);
    turn->wanted = client->resync_wanted && client->state == CLIENT_OPEN && !client->held;
    if (turn->wanted) {
        client->resync_wanted = false;
        turn->fleet = client->fleet;
        turn->dropped = client->dropped;
        turn->access = access_ref(client->session->access);
        client->dropped = 0;
    }
    lock_release(&client->lock);
}

static struct event *snapshot_for(struct turn *turn, struct shared shared[SHARE_MAX])
{
    size_t i = 0;

    if (!turn->fleet)
        return hub_snapshot_of_topics(turn->client, turn->access);
    while (i < SHARE_MAX && shared[i].snapshot != NULL && shared[i].access != turn->access)
        i++;
    if (i == SHARE_MAX)
        return hub_snapshot_event(turn->client->hub, turn->access);
    if (shared[i].snapshot == NULL) {
        shared[i].access = turn->access;
        shared[i].snapshot = hub_snapshot_event(turn->client->hub, turn->access);
    }
    return event_ref(shared[i].snapshot);
}

static void finish(struct turn *turn, struct shared shared[SHARE_MAX])
{
    struct hub_client *client = turn->client;
    struct event *told = hub_resync_event(true, turn->dropped);
    struct event *snapshot = snapshot_for(turn, shared);

    lock_acquire(&client->lock);
    if (client->resync_wanted || client->length + 2 > client->capacity) {
        /* It filled again meanwhile, and will be back. */
        client->dropped += turn->dropped;
        client_want_resync_locked(client);
    } else if (client->state == CLIENT_OPEN) {
        client_push_front_locked(client, event_ref(snapshot));
        client_push_front_locked(client, event_ref(told));
    }
    cond_signal(&client->filled);
    lock_release(&client->lock);
    event_unref(&told);
    event_unref(&snapshot);
    if (!client->pull)
        sender_wake(client->hub, client);
}

/* All begin before the first snapshot is rendered, so that those of one access can share it. */
static void resync(struct turn *turns, size_t count)
{
    struct shared shared[SHARE_MAX] = {0};

    for (size_t i = 0; i < count; i++)
        begin(&turns[i]);
    for (size_t i = 0; i < count; i++)
        if (turns[i].wanted)
            finish(&turns[i], shared);
    for (size_t i = 0; i < SHARE_MAX; i++)
        event_unref(&shared[i].snapshot);
    for (size_t i = 0; i < count; i++) {
        access_unref(&turns[i].access);
        hub_client_unref(&turns[i].client);
    }
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

/* Takes over what the session is now. A client whose rights changed starts anew. */
static void take_session_locked(struct hub_client *client, struct session *now)
{
    lock_assert_held(&client->lock);
    if (!access_equal(client->session->access, now->access)) {
        client_want_resync_locked(client);
        cond_signal(&client->filled);
    }
    session_unref(&client->session);
    client->session = session_ref(now);
}

/* Follows the session; one that ended closes the client. Whether there is something to write. */
static bool follow_session(struct hub *hub, struct hub_client *client)
{
    bool write = false, known = false;

    while (!known) {
        struct session *seen, *now;

        lock_acquire(&client->lock);
        seen = session_ref(client->session);
        lock_release(&client->lock);
        now = auth_session_current(hub->auth, seen);
        lock_acquire(&client->lock);
        known = client->session == seen; /* else somebody else followed it meanwhile */
        if (known && now == NULL && client->state == CLIENT_OPEN) {
            client_close_locked(client, HUB_CLOSE_POLICY, false);
            cond_signal(&client->filled);
            write = true;
        } else if (known && now != NULL && now != seen) {
            take_session_locked(client, now);
            write = true;
        }
        lock_release(&client->lock);
        session_unref(&seen);
        session_unref(&now);
    }
    return write;
}

void hub_sessions_changed(void *argument)
{
    struct hub *hub = argument;
    struct hub_client **clients;
    size_t count = hub_all(hub, &clients);

    for (size_t i = 0; i < count; i++) {
        if (follow_session(hub, clients[i]) && !clients[i]->pull)
            sender_wake(hub, clients[i]);
        hub_client_unref(&clients[i]);
    }
    free(clients);
}

static void look_at(struct hub *hub, struct hub_client *client, const struct config *config)
{
    bool write = follow_session(hub, client);

    if (!client->pull) {
        lock_acquire(&client->lock);
        write = look_at_socket_locked(client, &config->websocket) || write;
        lock_release(&client->lock);
    }
    if (write && !client->pull)
        sender_wake(hub, client);
}

/* Looks at everybody; returns when to look again. */
static int64_t tick(struct hub *hub)
{
    struct config *config = config_get(hub->config);
    double pause = config->websocket.ping_interval < config->websocket.idle_timeout
                       ? config->websocket.ping_interval / 4
                       : config->websocket.idle_timeout / 4;
    struct hub_client **clients;
    size_t count = hub_all(hub, &clients);

    for (size_t i = 0; i < count; i++) {
        look_at(hub, clients[i], config);
        hub_client_unref(&clients[i]);
    }
    free(clients);
    config_unref(&config);
    return clock_after(pause > TICK ? TICK : pause < TICK_MIN ? TICK_MIN : pause);
}

static struct turn *take_ready_locked(struct keeper *keeper, size_t *count)
{
    struct turn *turns = mem_array(keeper->ready_count + 1, sizeof(turns[0]));

    *count = 0;
    for (struct hub_client *client = keeper->ready; client != NULL; client = client->next_ready) {
        client->ready = false;
        turns[(*count)++].client = client;
    }
    keeper->ready = NULL;
    keeper->ready_count = 0;
    return turns;
}

static void run(void *argument)
{
    struct hub *hub = argument;
    struct keeper *keeper = &hub->keeper;
    int64_t next_tick = clock_after(TICK_MIN);
    bool stopping = false;

    while (!stopping) {
        struct turn *turns;
        size_t count;

        lock_acquire(&keeper->lock);
        while (!keeper->stopping && keeper->ready == NULL &&
               cond_wait_until(&keeper->wanted, &keeper->lock, next_tick))
            continue;
        turns = take_ready_locked(keeper, &count);
        stopping = keeper->stopping;
        lock_release(&keeper->lock);

        resync(turns, count);
        free(turns);
        if (clock_now() >= next_tick)
            next_tick = tick(hub);
    }
}

int keeper_start(struct hub *hub)
{
    return thread_start(&hub->keeper.thread, "hub", "hub-keeper", run, hub);
}

void keeper_take(struct hub *hub, struct hub_client *client)
{
    struct keeper *keeper = &hub->keeper;

    lock_acquire(&keeper->lock);
    if (!client->ready && !keeper->stopping) {
        client->ready = true;
        client->next_ready = keeper->ready;
        keeper->ready = hub_client_ref(client);
        keeper->ready_count++;
        cond_broadcast(&keeper->wanted);
    }
    lock_release(&keeper->lock);
}

void keeper_stop(struct hub *hub)
{
    lock_acquire(&hub->keeper.lock);
    hub->keeper.stopping = true;
    cond_broadcast(&hub->keeper.wanted);
    lock_release(&hub->keeper.lock);
    thread_join(&hub->keeper.thread);
}
