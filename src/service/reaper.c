/*
 * The reaper: the only thread that unlinks clients from the hub and lets go of what they held. A
 * worker that leaves hands its client over and never waits.
 */
#include "cesid/check.h"
#include "cesid/clock.h"
#include "hub_private.h"

static void bury(struct hub *hub, struct hub_client *client)
{
    client_drop_topics(client);
    lock_acquire(&client->lock);
    client->resync_wanted = false;
    client_clear_locked(client);
    lock_release(&client->lock);

    /* Last, so that a client that is no longer counted holds nothing any more. */
    rwlock_write(&hub->lock);
    HASH_DEL(hub->clients, client);
    hub->sockets -= !client->pull;
    rwlock_release(&hub->lock);
    hub_client_unref(&client);
}

static struct hub_client *take_locked(struct reaper *reaper)
{
    struct hub_client *client = reaper->dead;

    lock_assert_held(&reaper->lock);
    if (client != NULL)
        reaper->dead = client->next_dead;
    return client;
}

static void run(void *argument)
{
    struct hub *hub = argument;
    struct reaper *reaper = &hub->reaper;

    lock_acquire(&reaper->lock);
    for (;;) {
        struct hub_client *client, *other;

        while (reaper->dead == NULL && !reaper->stopping)
            cond_wait(&reaper->wanted, &reaper->lock);
        client = take_locked(reaper);
        if (client == NULL)
            break;
        lock_release(&reaper->lock);
        other = client;
        bury(hub, client);
        hub_client_unref(&other); /* the hub's own */
        lock_acquire(&reaper->lock);
    }
    lock_release(&reaper->lock);
}

void reaper_take(struct hub *hub, struct hub_client *client)
{
    lock_acquire(&hub->reaper.lock);
    client->next_dead = hub->reaper.dead;
    hub->reaper.dead = client;
    cond_signal(&hub->reaper.wanted);
    lock_release(&hub->reaper.lock);
}

int reaper_start(struct hub *hub)
{
    return thread_start(&hub->reaper.thread, "hub", "hub-reaper", run, hub);
}

void reaper_stop(struct hub *hub)
{
    lock_acquire(&hub->reaper.lock);
    hub->reaper.stopping = true;
    cond_broadcast(&hub->reaper.wanted);
    lock_release(&hub->reaper.lock);
    thread_join(&hub->reaper.thread);
    run(hub); /* who left after the thread did */
}
