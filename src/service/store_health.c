/*
 * Store health: when to probe. See store_health.h. The thread holds no lock while it probes.
 */
#include "cesid/store_health.h"

#include <stdlib.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/thread.h"

#define PAUSE_FIRST 0.1 /* seconds, between the first two probes of a store that is down */
#define PAUSE_ALARM 0.5 /* between probes, however many statements fail */

struct store_health {
    /* immutable */
    struct store *store;
    double interval;
    void (*answers)(void *argument);
    void *argument;
    struct thread thread;

    /* owned by the thread */
    bool up;      /* as the last probe found it */
    double pause; /* before the next probe while the store is down */

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    bool alarmed;
    bool stopping;
};

static void ring(void *argument)
{
    struct store_health *health = argument;

    lock_acquire(&health->lock);
    health->alarmed = true;
    cond_signal(&health->changed);
    lock_release(&health->lock);
}

/* Seconds until the next probe. Half of a pause is chance: those who share a database must not all
 * come back at one moment. */
static double probe(struct store_health *health)
{
    double pause;

    health->up = store_probe(health->store) == CESID_OK;
    if (health->up) {
        if (health->answers != NULL)
            health->answers(health->argument);
        health->pause = PAUSE_FIRST;
        return health->interval;
    }
    pause = health->pause < health->interval ? health->pause : health->interval;
    health->pause = 2 * pause;
    return pause * (0.5 + random_uniform() / 2);
}

static void run(void *argument)
{
    struct store_health *health = argument;
    int64_t due = clock_after(health->interval), soonest = clock_now();

    lock_acquire(&health->lock);
    while (!health->stopping) {
        int64_t next = health->alarmed && health->up && soonest < due ? soonest : due;

        if (clock_now() < next) {
            (void) cond_wait_until(&health->changed, &health->lock, next);
            continue;
        }
        health->alarmed = false;
        lock_release(&health->lock);
        due = clock_after(probe(health));
        soonest = clock_after(PAUSE_ALARM);
        lock_acquire(&health->lock);
    }
    lock_release(&health->lock);
}

struct store_health *store_health_create(struct store *store, double interval)
{
    struct store_health *health = mem_alloc(sizeof(*health));

    health->store = store;
    health->interval = interval;
    health->up = true;
    health->pause = PAUSE_FIRST;
    lock_init(&health->lock, LOCK_HEALTH);
    cond_init(&health->changed);
    store_set_alarm(store, ring, health);
    return health;
}

void store_health_watch(struct store_health *health, void (*answers)(void *argument),
                        void *argument)
{
    health->answers = answers;
    health->argument = argument;
}

int store_health_start(struct store_health *health)
{
    return thread_start(&health->thread, "store-health", "store-health", run, health);
}

void store_health_stop(struct store_health *health)
{
    lock_acquire(&health->lock);
    health->stopping = true;
    cond_broadcast(&health->changed);
    lock_release(&health->lock);
    thread_join(&health->thread);
}

void store_health_destroy(struct store_health **slot)
{
    struct store_health *health = *slot;

    *slot = NULL;
    if (health == NULL)
        return;
    CHECK(!health->thread.started);
    store_set_alarm(health->store, NULL, NULL);
    cond_destroy(&health->changed);
    lock_destroy(&health->lock);
    free(health);
}
