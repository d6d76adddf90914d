/*
 * One client's queue: a ring of references to shared messages, of fixed size. What does not fit
 * drops the whole queue and asks for a resync, so that what the client shows becomes true again.
 * Logs and what was made for this client alone have a byte bound besides, and logs are the first to
 * be left out. Caller holds the client's lock.
 */
#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/metrics.h"
#include "hub_private.h"

/* Of what other clients do not hold as well. */
static size_t own_size(const struct event *event)
{
    bool own = event->type == EVENT_LOG || event->type == EVENT_PRIVATE;

    return own ? event->body_length + event->raw_length : 0;
}

void client_push_locked(struct hub_client *client, struct event *event)
{
    lock_assert_held(&client->lock);
    CHECK(client->length < client->capacity);
    if (client->length == 0 && !client->out.active)
        client->progress_at = clock_now();
    client->ring[(client->head + client->length) % client->capacity] = event;
    client->length++;
    client->own_bytes += own_size(event);
}

void client_push_front_locked(struct hub_client *client, struct event *event)
{
    lock_assert_held(&client->lock);
    CHECK(client->length < client->capacity);
    client->head = (client->head + client->capacity - 1) % client->capacity;
    client->ring[client->head] = event;
    client->length++;
    client->own_bytes += own_size(event);
}

struct event *client_pop_locked(struct hub_client *client)
{
    struct event *event;

    lock_assert_held(&client->lock);
    if (client->length == 0)
        return NULL;
    event = client->ring[client->head];
    client->head = (client->head + 1) % client->capacity;
    client->length--;
    client->own_bytes -= own_size(event);
    return event;
}

void client_clear_locked(struct hub_client *client)
{
    struct event *event;

    while ((event = client_pop_locked(client)) != NULL)
        event_unref(&event);
}

void client_want_resync_locked(struct hub_client *client)
{
    lock_assert_held(&client->lock);
    if (client->state != CLIENT_OPEN)
        return;
    client->dropped += client->length;
    metrics_add(METRIC_WS_DROPPED, client->length, "queue_full");
    __atomic_add_fetch(&client->hub->dropped_total, client->length, __ATOMIC_RELAXED);
    client_clear_locked(client);
    client->resync_wanted = true;
}

void client_offer_locked(struct hub_client *client, struct event *event)
{
    lock_assert_held(&client->lock);
    if (client->state != CLIENT_OPEN)
        return;
    if (event->type == EVENT_LOG && (client->resync_wanted || client->own_bytes > OWN_BYTES_MAX ||
                                     client->length > client->limit / 2)) {
        /* The reader sees the gap by the offsets. */
        metrics_count(METRIC_WS_DROPPED, "log_behind");
        __atomic_add_fetch(&client->hub->dropped_total, 1, __ATOMIC_RELAXED);
        return;
    }
    if (client->resync_wanted || client->length >= client->limit ||
        (event->type == EVENT_PRIVATE && client->own_bytes > OWN_BYTES_MAX)) {
        client->dropped++;
        __atomic_add_fetch(&client->hub->dropped_total, 1, __ATOMIC_RELAXED);
        metrics_count(METRIC_WS_DROPPED, "queue_full");
        client_want_resync_locked(client);
        return;
    }
    client_push_locked(client, event_ref(event));
    metrics_observe(METRIC_WS_QUEUE_DEPTH, (double) client->length, NULL);
}
