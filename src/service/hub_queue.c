/*
 * One client's queue: a ring of references to shared messages, of fixed size. What does not fit
 * drops the whole queue and asks for a resync, so that what the client shows becomes true again.
 * Log data has a byte bound besides and is the first to be left out. Caller holds the client's
 * lock.
 */
#include "cesid/check.h"
#include "cesid/clock.h"
#include "hub_private.h"

static size_t log_size(const struct event *event)
{
    return event->type == EVENT_LOG ? event->body_length + event->raw_length : 0;
}

void client_push_locked(struct hub_client *client, struct event *event)
{
    lock_assert_held(&client->lock);
    CHECK(client->length < client->capacity);
    if (client->length == 0 && !client->out.active)
        client->progress_at = clock_now();
    client->ring[(client->head + client->length) % client->capacity] = event;
    client->length++;
    client->log_bytes += log_size(event);
}

void client_push_front_locked(struct hub_client *client, struct event *event)
{
    lock_assert_held(&client->lock);
    CHECK(client->length < client->capacity);
    client->head = (client->head + client->capacity - 1) % client->capacity;
    client->ring[client->head] = event;
    client->length++;
    client->log_bytes += log_size(event);
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
    client->log_bytes -= log_size(event);
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
    client->dropped += client->length;
    __atomic_add_fetch(&client->hub->dropped_total, client->length, __ATOMIC_RELAXED);
    client_clear_locked(client);
    if (!client->resync_wanted)
        __atomic_add_fetch(&client->hub->resyncs_wanted, 1, __ATOMIC_RELAXED);
    client->resync_wanted = true;
}

void client_resync_taken_locked(struct hub_client *client)
{
    lock_assert_held(&client->lock);
    if (client->resync_wanted)
        __atomic_sub_fetch(&client->hub->resyncs_wanted, 1, __ATOMIC_RELAXED);
    client->resync_wanted = false;
}

void client_offer_locked(struct hub_client *client, struct event *event)
{
    lock_assert_held(&client->lock);
    if (client->state != CLIENT_OPEN || client->resync_wanted)
        return;
    if (event->type == EVENT_LOG && client->length > 0 &&
        (client->log_bytes + log_size(event) > LOG_BYTES_MAX ||
         client->length > client->capacity / 2)) {
        /* The reader sees the gap by the offsets. */
        __atomic_add_fetch(&client->hub->dropped_total, 1, __ATOMIC_RELAXED);
        return;
    }
    if (client->length == client->capacity) {
        client->dropped++;
        client_want_resync_locked(client);
        return;
    }
    client_push_locked(client, event_ref(event));
}
