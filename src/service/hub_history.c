/*
 * The latest events of the bus, so that a client that comes back goes on where it was. The bus
 * thread adds under the hub's read lock; hub_resume reads under the write lock, so that no
 * broadcast is half way through the clients meanwhile.
 */
#include <stdlib.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "hub_private.h"

static void drop_oldest(struct history *history)
{
    struct event *oldest = history->ring[history->head];

    history->ring[history->head] = NULL;
    history->head = (history->head + 1) % HISTORY_MAX;
    history->length--;
    history->bytes -= oldest->body_length;
    history->from = oldest->number;
    event_unref(&oldest);
}

void history_clear(struct history *history)
{
    while (history->length > 0)
        drop_oldest(history);
}

void history_add(struct history *history, struct event *event)
{
    if (event->number == 0)
        return; /* not of the bus */
    if (event->type == EVENT_LOST) {
        history_clear(history);
        history->from = event->number;
    } else {
        if (history->length == HISTORY_MAX)
            drop_oldest(history);
        history->ring[(history->head + history->length) % HISTORY_MAX] = event_ref(event);
        history->length++;
        history->bytes += event->body_length;
        while (history->bytes > HISTORY_BYTES)
            drop_oldest(history);
    }
    __atomic_store_n(&history->last, event->number, __ATOMIC_RELEASE);
}

void hub_hold(struct hub_client *client)
{
    lock_acquire(&client->lock);
    client->held = true;
    lock_release(&client->lock);
}

/* Puts what came after the number into the queue, when that leaves room for what comes now. */
static bool replay_locked(struct hub_client *client, const struct history *history, uint64_t number)
{
    struct event **missed = mem_array(history->length + 1, sizeof(missed[0]));
    size_t count = 0, room = client->limit / 2;

    for (size_t i = 0; i < history->length && count <= room; i++) {
        struct event *event = history->ring[(history->head + i) % HISTORY_MAX];

        if (event->number > number && client_wants_locked(client, event))
            missed[count++] = event;
    }
    for (size_t i = 0; i < count && count <= room; i++)
        client_offer_locked(client, missed[i]);
    free(missed);
    return count <= room;
}

/* What the client missed is gone: the present state instead. */
static void start_anew(struct hub_client *client)
{
    struct access *access = client_access(client);
    struct event *snapshot;
    bool fleet;

    lock_acquire(&client->lock);
    fleet = client->fleet;
    lock_release(&client->lock);
    snapshot =
        fleet ? hub_snapshot_event(client->hub, access) : hub_snapshot_of_topics(client, access);
    lock_acquire(&client->lock);
    client_offer_locked(client, snapshot);
    lock_release(&client->lock);
    event_unref(&snapshot);
    access_unref(&access);
}

void hub_resume(struct hub_client *client, bool known, uint64_t number)
{
    struct hub *hub = client->hub;
    struct history *history = &hub->history;
    bool covered;

    rwlock_write(&hub->lock);
    lock_acquire(&client->lock);
    client->held = false;
    known = known && number <= history->last;
    covered = known && number >= history->from && replay_locked(client, history, number);
    if (!covered) {
        struct event *told = hub_resync_event(known, known ? history->last - number : 0);

        client_offer_locked(client, told);
        event_unref(&told);
    }
    lock_release(&client->lock);
    rwlock_release(&hub->lock);
    if (!covered)
        start_anew(client);
    if (!client->pull)
        sender_wake(hub, client);
}
