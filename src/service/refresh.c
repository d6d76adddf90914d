/*
 * Refresh: when each node is polled, and out of which permits. What a poll does is refresh_poll.c.
 *
 * The refresh thread sleeps until the first node is due and a permit is free. The rpc loops end
 * polls (poll_ended), operators and operations wish for them (refresh_now). All meet under
 * LOCK_REFRESH, which is never held across a callback.
 *
 * Permits. Healthy nodes share refresh.connections. Suspects (the last poll failed) may hold at
 * most a quarter of those, so any number of hung nodes leaves the rest to the healthy. Polls that
 * somebody waits for have permits of their own and do not queue behind either; again a quarter of
 * them at most goes to suspects.
 *
 * Nodes that hang all at once were healthy a moment ago and would hold every permit until their
 * timeout. So when a healthy node is due and no permit is free, polls that take much longer than
 * their node is wont to are cut short. That says nothing against the node: it may have been us who
 * were slow. It is tried once more soon, out of a share for second tries; when that is cut too, it
 * is a suspect and is polled out of their share.
 *
 * Suspects that crowd their share get little time, but all of theirs every now and then, for a node
 * that is slow is not down: so the well among thousands of hung ones are found soon.
 */
#include "cesid/refresh.h"

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/thread.h"
#include "due_heap.h"
#include "refresh_poll.h"

#define WISH_PERMITS 64
#define JITTER       0.05 /* of the interval, either way */
/* Polls that nobody waits for begin together at its multiples: one waking of the refresh thread and
 * of a loop does for many nodes. */
#define TICK (CLOCK_SECOND / 100)
/* How long a poll may hold a permit that others wait for. */
#define PATIENCE_NEW     1.0 /* seconds, with a node that never answered */
#define PATIENCE_MIN     0.1
#define PATIENCE_SUSPECT 1.0 /* with a suspect in a crowd */
#define PATIENCE_TIMES   10  /* the node's last latency */
/* Of a crowd of suspects, one poll of so many has all the time of timeouts.refresh. */
#define WHOLE_TIMES 4

struct waiter {
    void (*done)(void *argument, int error);
    void *argument;
    struct waiter *next;
};

enum pool { POOL_WISH, POOL_HEALTHY, POOL_RETRY, POOL_WISH_SUSPECT, POOL_SUSPECT, POOLS };

/* One node's place in the schedule. */
struct entry {
    /* immutable */
    struct refresh *refresh;
    struct node *node; /* reference; also the key */
    UT_hash_handle hh; /* guarded by the refresh's lock, like all below */
    struct due due;
    enum pool pool; /* of the poll under way, else of the next one */
    bool polling;
    bool suspect;
    bool removed;
    bool again;                /* at once after the poll under way, though nobody waits for it */
    bool cut;                  /* the poll under way was cancelled to free its permit */
    bool retry;                /* so was the last one */
    unsigned shortened;        /* polls since one had all its time */
    struct refresh_poll *poll; /* under way, from its start to poll_ended */
    int64_t patience;          /* of the others, with the poll under way; clock_now() */
    struct entry *prev, *next; /* in `held` */
    struct waiter *current;    /* of the poll under way */
    struct waiter *wishes;     /* of the next one */
};

struct refresh {
    /* immutable */
    struct registry *registry;
    struct config_box *config;
    struct thread thread;

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    struct entry *entries;
    struct entry *held; /* polls under way that can be cut and are not */
    struct due_heap due[POOLS];
    size_t in_use[POOLS];
    size_t limit;   /* refresh.connections */
    double timeout; /* timeouts.refresh */
    uint64_t random;
    bool short_of_permits; /* a node was due when the thread last looked, and had to wait */
    bool stopping;
};

/* 0 to 1, for spreading only. */
static double random_locked(struct refresh *refresh)
{
    refresh->random ^= refresh->random << 13;
    refresh->random ^= refresh->random >> 7;
    refresh->random ^= refresh->random << 17;
    return (double) (refresh->random >> 11) / 9007199254740992.0;
}

static struct due_heap *heap_of(struct refresh *refresh, const struct entry *entry)
{
    return &refresh->due[entry->pool];
}

static bool can_be_cut(const struct entry *entry)
{
    return entry->pool == POOL_HEALTHY || entry->pool == POOL_RETRY;
}

static enum pool pool_of(const struct entry *entry)
{
    if (entry->wishes != NULL)
        return entry->suspect ? POOL_WISH_SUSPECT : POOL_WISH;
    if (entry->retry)
        return POOL_RETRY;
    return entry->suspect ? POOL_SUSPECT : POOL_HEALTHY;
}

static void schedule_locked(struct refresh *refresh, struct entry *entry, int64_t at)
{
    struct due *first;

    lock_assert_held(&refresh->lock);
    due_heap_remove(heap_of(refresh, entry), &entry->due);
    entry->pool = pool_of(entry);
    if (entry->wishes == NULL && at % TICK != 0)
        at += TICK - at % TICK;
    due_heap_push(heap_of(refresh, entry), &entry->due, at);
    first = due_heap_first(heap_of(refresh, entry));
    if (first == &entry->due)
        cond_signal(&refresh->changed);
}

static size_t suspects_share(size_t limit)
{
    return limit >= 4 ? limit / 4 : 1;
}

static bool permit_free_locked(const struct refresh *refresh, enum pool pool)
{
    size_t wishes = refresh->in_use[POOL_WISH] + refresh->in_use[POOL_WISH_SUSPECT];
    size_t background =
        refresh->in_use[POOL_HEALTHY] + refresh->in_use[POOL_RETRY] + refresh->in_use[POOL_SUSPECT];

    switch (pool) {
    case POOL_WISH:
        return wishes < WISH_PERMITS;
    case POOL_WISH_SUSPECT:
        return wishes < WISH_PERMITS && refresh->in_use[pool] < suspects_share(WISH_PERMITS);
    case POOL_HEALTHY:
        return background < refresh->limit;
    default: /* suspects and second tries */
        return background < refresh->limit &&
               refresh->in_use[pool] < suspects_share(refresh->limit);
    }
}

/* Frees permits for a node that is due, from polls that patience has run out with. */
static void cut_locked(struct refresh *refresh, int64_t now, int64_t *look_again)
{
    struct entry *entry, *next;

    DL_FOREACH_SAFE(refresh->held, entry, next)
    {
        if (entry->patience > now) {
            *look_again = entry->patience < *look_again ? entry->patience : *look_again;
            continue;
        }
        DL_DELETE(refresh->held, entry);
        entry->cut = true;
        refresh_poll_cancel(entry->poll);
    }
}

/* The next entry to poll now, with its permit taken; else NULL and when to look again. */
static struct entry *next_locked(struct refresh *refresh, int64_t now, int64_t *look_again)
{
    *look_again = CLOCK_NEVER;
    refresh->short_of_permits = false;
    for (enum pool pool = 0; pool < POOLS; pool++) {
        struct due *due = due_heap_first(&refresh->due[pool]);
        struct entry *entry;

        if (due == NULL)
            continue;
        if (due->at > now) {
            *look_again = due->at < *look_again ? due->at : *look_again;
            continue;
        }
        if (!permit_free_locked(refresh, pool)) {
            refresh->short_of_permits = true;
            if (pool == POOL_HEALTHY || pool == POOL_RETRY)
                cut_locked(refresh, now, look_again);
            continue;
        }
        due_heap_remove(&refresh->due[pool], due);
        entry = CONTAINER_OF(due, struct entry, due);
        refresh->in_use[pool]++;
        entry->polling = true;
        entry->current = entry->wishes;
        entry->wishes = NULL;
        return entry;
    }
    return NULL;
}

static void complete(struct waiter *waiter, int error)
{
    while (waiter != NULL) {
        struct waiter *next = waiter->next;

        waiter->done(waiter->argument, error);
        free(waiter);
        waiter = next;
    }
}

static void entry_free(struct entry *entry)
{
    node_unref(&entry->node);
    free(entry);
}

/* Whether the poll found the node unwell; a poll that was not made or cut short tells nothing. */
static bool is_suspicious(int error)
{
    return error != CESID_OK && error != CESID_E_CONFLICT && error != CESID_E_CANCELLED &&
           error != CESID_E_SHUTTING_DOWN;
}

/* On a loop thread, or on the refresh thread when the poll could not start. */
static void poll_ended(void *argument, int error)
{
    struct entry *entry = argument;
    struct refresh *refresh = entry->refresh;
    struct config *config = config_get(refresh->config);
    double retry_after = node_breaker_retry_after(entry->node);
    struct waiter *waiters;
    bool removed, cut;

    lock_acquire(&refresh->lock);
    refresh->in_use[entry->pool]--;
    if (can_be_cut(entry) && !entry->cut)
        DL_DELETE(refresh->held, entry);
    entry->poll = NULL;
    entry->polling = false;
    cut = entry->cut && error == CESID_E_CANCELLED;
    entry->retry = cut && entry->pool == POOL_HEALTHY;
    entry->suspect = is_suspicious(error) || (cut && !entry->retry);
    entry->cut = false;
    if (!entry->suspect)
        entry->shortened = 0;
    refresh->limit = (size_t) config->refresh.connections;
    refresh->timeout = config->timeouts.refresh;
    removed = entry->removed;
    if (error == CESID_E_CANCELLED && entry->again && !removed) {
        /* Of an endpoint that is left: who waits is told what the new one says. */
        while (entry->current != NULL) {
            struct waiter *waiter = entry->current;

            entry->current = waiter->next;
            waiter->next = entry->wishes;
            entry->wishes = waiter;
        }
    }
    waiters = entry->current;
    entry->current = NULL;
    if (removed) {
        HASH_DEL(refresh->entries, entry);
    } else if (cut || entry->wishes != NULL || entry->again) {
        entry->again = false;
        schedule_locked(refresh, entry, clock_now());
    } else {
        double spread = 1.0 + JITTER * (2.0 * random_locked(refresh) - 1.0);
        double wait = config->refresh.interval * spread;

        schedule_locked(refresh, entry, clock_after(wait > retry_after ? wait : retry_after));
    }
    if (refresh->short_of_permits)
        cond_signal(&refresh->changed);
    lock_release(&refresh->lock);

    config_unref(&config);
    complete(waiters, removed ? CESID_E_NOT_FOUND : error);
    if (removed)
        entry_free(entry);
}

static double patience(const struct node *node)
{
    double seconds = PATIENCE_TIMES * node_latency(node);

    if (seconds > 0)
        return seconds > PATIENCE_MIN ? seconds : PATIENCE_MIN;
    return PATIENCE_NEW;
}

/* Seconds that the node has for an answer. */
static double time_for_locked(struct refresh *refresh, struct entry *entry)
{
    double whole = refresh->timeout;
    double little = patience(entry->node);

    lock_assert_held(&refresh->lock);
    little = little > PATIENCE_SUSPECT ? little : PATIENCE_SUSPECT;
    if (entry->pool != POOL_SUSPECT || little >= whole ||
        2 * refresh->in_use[POOL_SUSPECT] <= suspects_share(refresh->limit))
        return whole;
    if (++entry->shortened < WHOLE_TIMES)
        return little;
    entry->shortened = 0;
    return whole;
}

static void run(void *argument)
{
    struct refresh *refresh = argument;

    lock_acquire(&refresh->lock);
    while (!refresh->stopping) {
        int64_t look_again;
        struct entry *entry = next_locked(refresh, clock_now(), &look_again);
        struct refresh_poll *poll;
        double timeout;
        bool wished;

        if (entry == NULL) {
            cond_wait_until(&refresh->changed, &refresh->lock, look_again);
            continue;
        }
        wished = entry->pool == POOL_WISH || entry->pool == POOL_WISH_SUSPECT;
        timeout = time_for_locked(refresh, entry);
        lock_release(&refresh->lock);
        poll =
            refresh_poll_create(entry->node, refresh->config, wished, timeout, poll_ended, entry);
        lock_acquire(&refresh->lock);
        entry->poll = poll;
        if (entry->removed)
            refresh_poll_cancel(poll);
        if (can_be_cut(entry)) {
            entry->patience = clock_after(patience(entry->node));
            DL_APPEND(refresh->held, entry);
        }
        lock_release(&refresh->lock);
        refresh_poll_start(poll);
        lock_acquire(&refresh->lock);
    }
    lock_release(&refresh->lock);
}

static void node_gone(void *argument, struct node *node)
{
    struct refresh *refresh = argument;
    struct entry *entry;
    struct waiter *wishes = NULL;
    bool polling = false;

    lock_acquire(&refresh->lock);
    HASH_FIND_PTR(refresh->entries, &node, entry);
    if (entry != NULL) {
        entry->removed = true;
        wishes = entry->wishes;
        entry->wishes = NULL;
        polling = entry->polling;
        if (entry->poll != NULL)
            refresh_poll_cancel(entry->poll);
        if (!polling) {
            due_heap_remove(heap_of(refresh, entry), &entry->due);
            HASH_DEL(refresh->entries, entry);
        }
    }
    lock_release(&refresh->lock);
    complete(wishes, CESID_E_NOT_FOUND);
    if (entry != NULL && !polling)
        entry_free(entry);
}

static void node_added(void *argument, struct node *node)
{
    struct refresh *refresh = argument;
    struct entry *entry = mem_alloc(sizeof(*entry));
    struct config *config = config_get(refresh->config);
    double spread;

    entry->refresh = refresh;
    entry->node = node_ref(node);
    entry->due.position = DUE_NOWHERE;
    lock_acquire(&refresh->lock);
    HASH_ADD_PTR(refresh->entries, node, entry);
    /* A small fleet is up at once, a large one spreads its first polls over one interval. */
    spread = 0.001 * (double) HASH_COUNT(refresh->entries);
    if (spread > config->refresh.interval)
        spread = config->refresh.interval;
    schedule_locked(refresh, entry, clock_after(spread * random_locked(refresh)));
    lock_release(&refresh->lock);
    config_unref(&config);
    if (node_removed(node)) /* meanwhile: whoever removed it may have found no entry yet */
        node_gone(refresh, node);
}

/* With new settings it is no longer under suspicion. */
static void node_changed(void *argument, struct node *node)
{
    struct refresh *refresh = argument;
    struct entry *entry;

    lock_acquire(&refresh->lock);
    HASH_FIND_PTR(refresh->entries, &node, entry);
    if (entry != NULL && !entry->polling) {
        due_heap_remove(heap_of(refresh, entry), &entry->due);
        entry->suspect = entry->retry = false;
        schedule_locked(refresh, entry, clock_now());
    } else if (entry != NULL) {
        entry->again = true;
        if (entry->poll != NULL && refresh_poll_is_stale(entry->poll))
            refresh_poll_cancel(entry->poll);
    }
    lock_release(&refresh->lock);
}

/* What is due later than the interval allows is due within it, spread out; a node whose breaker is
 * open keeps its time. */
void refresh_reconfigure(struct refresh *refresh)
{
    struct config *config = config_get(refresh->config);
    double interval = config->refresh.interval;
    struct entry *entry, *next;

    lock_acquire(&refresh->lock);
    refresh->limit = (size_t) config->refresh.connections;
    refresh->timeout = config->timeouts.refresh;
    HASH_ITER(hh, refresh->entries, entry, next)
    {
        double retry_after;
        int64_t latest;

        if (entry->due.position == DUE_NOWHERE)
            continue;
        node_breaker_limit(entry->node, config->breaker.open_max);
        retry_after = node_breaker_retry_after(entry->node);
        latest = clock_after(retry_after > interval ? retry_after : interval * (1.0 + JITTER));
        if (entry->due.at <= latest)
            continue;
        interval *= random_locked(refresh);
        schedule_locked(refresh, entry,
                        clock_after(interval > retry_after ? interval : retry_after));
        interval = config->refresh.interval;
    }
    cond_signal(&refresh->changed);
    lock_release(&refresh->lock);
    config_unref(&config);
}

struct refresh *refresh_create(struct registry *registry, struct config_box *config)
{
    struct refresh *refresh = mem_alloc(sizeof(*refresh));
    struct config *now = config_get(config);

    refresh->registry = registry;
    refresh->config = config;
    refresh->limit = (size_t) now->refresh.connections;
    refresh->timeout = now->timeouts.refresh;
    refresh->random = (uint64_t) clock_wall() | 1;
    config_unref(&now);
    lock_init(&refresh->lock, LOCK_REFRESH);
    cond_init(&refresh->changed);
    registry_watch(registry, &(struct registry_watcher){.added = node_added,
                                                        .changed = node_changed,
                                                        .removed = node_gone,
                                                        .argument = refresh});
    return refresh;
}

int refresh_start(struct refresh *refresh)
{
    return thread_start(&refresh->thread, "refresh", "refresh", run, refresh);
}

void refresh_stop(struct refresh *refresh)
{
    struct entry *entry, *next;
    struct waiter *wishes = NULL;

    lock_acquire(&refresh->lock);
    refresh->stopping = true;
    HASH_ITER(hh, refresh->entries, entry, next)
    {
        struct waiter **end = &entry->wishes;

        while (*end != NULL)
            end = &(*end)->next;
        *end = wishes;
        wishes = entry->wishes;
        entry->wishes = NULL;
    }
    cond_broadcast(&refresh->changed);
    lock_release(&refresh->lock);
    thread_join(&refresh->thread);
    complete(wishes, CESID_E_SHUTTING_DOWN);
}

void refresh_destroy(struct refresh **slot)
{
    struct refresh *refresh = *slot;
    struct entry *entry, *next;

    *slot = NULL;
    if (refresh == NULL)
        return;
    entry = refresh->entries;
    HASH_CLEAR(hh, refresh->entries); /* the table; its entries still know the next */
    for (; entry != NULL; entry = next) {
        next = entry->hh.next;
        CHECK(!entry->polling);
        entry_free(entry);
    }
    for (enum pool pool = 0; pool < POOLS; pool++)
        due_heap_destroy(&refresh->due[pool]);
    cond_destroy(&refresh->changed);
    lock_destroy(&refresh->lock);
    free(refresh);
}

void refresh_now(struct refresh *refresh, struct node *node,
                 void (*done)(void *argument, int error), void *argument)
{
    struct entry *entry;
    int error = CESID_OK;

    lock_acquire(&refresh->lock);
    HASH_FIND_PTR(refresh->entries, &node, entry);
    if (refresh->stopping) {
        error = CESID_E_SHUTTING_DOWN;
    } else if (entry == NULL || entry->removed) {
        error = CESID_E_NOT_FOUND;
    } else {
        if (!entry->polling)
            due_heap_remove(heap_of(refresh, entry), &entry->due);
        if (done != NULL) {
            struct waiter *waiter = mem_alloc(sizeof(*waiter));

            waiter->done = done;
            waiter->argument = argument;
            waiter->next = entry->wishes;
            entry->wishes = waiter;
        } else {
            entry->again = entry->polling;
        }
        if (!entry->polling)
            schedule_locked(refresh, entry, clock_now());
    }
    lock_release(&refresh->lock);
    if (error != CESID_OK && done != NULL)
        done(argument, error);
}

void refresh_figures(struct refresh *refresh, struct refresh_figures *figures)
{
    int64_t now = clock_now();

    *figures = (struct refresh_figures){0};
    lock_acquire(&refresh->lock);
    figures->nodes = HASH_COUNT(refresh->entries);
    figures->in_use =
        refresh->in_use[POOL_HEALTHY] + refresh->in_use[POOL_RETRY] + refresh->in_use[POOL_SUSPECT];
    figures->limit = refresh->limit;
    figures->on_demand = refresh->in_use[POOL_WISH] + refresh->in_use[POOL_WISH_SUSPECT];
    figures->on_demand_limit = WISH_PERMITS;
    for (enum pool pool = 0; pool < POOLS; pool++) {
        const struct due_heap *heap = &refresh->due[pool];
        const struct due *first = due_heap_first(heap);

        for (size_t i = 0; i < heap->count; i++)
            figures->waiting += heap->items[i]->at <= now;
        if (first != NULL && first->at < now) {
            double lag = (double) (now - first->at) / (double) CLOCK_SECOND;

            figures->lag = lag > figures->lag ? lag : figures->lag;
        }
    }
    lock_release(&refresh->lock);
}
