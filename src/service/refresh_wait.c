/*
 * Waiting for a poll: a small rendezvous between a thread that serves a request and the loop thread
 * that ends the poll. Whoever comes last frees it. Lock: LOCK_CALL.
 */
#include <stdlib.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "cesid/refresh.h"

struct wait {
    struct lock lock;
    struct cond ended;
    /* guarded by lock */
    bool done, abandoned;
    int error;
};

static void wait_free(struct wait *wait)
{
    cond_destroy(&wait->ended);
    lock_destroy(&wait->lock);
    free(wait);
}

static void poll_done(void *argument, int error)
{
    struct wait *wait = argument;
    bool abandoned;

    lock_acquire(&wait->lock);
    wait->done = true;
    wait->error = error;
    abandoned = wait->abandoned;
    cond_signal(&wait->ended);
    lock_release(&wait->lock);
    if (abandoned)
        wait_free(wait);
}

int refresh_wait(struct refresh *refresh, struct node *node, int64_t deadline)
{
    struct wait *wait = mem_alloc(sizeof(*wait));
    bool done;
    int error;

    lock_init(&wait->lock, LOCK_CALL);
    cond_init(&wait->ended);
    refresh_now(refresh, node, poll_done, wait);

    lock_acquire(&wait->lock);
    while (!wait->done && cond_wait_until(&wait->ended, &wait->lock, deadline))
        continue;
    done = wait->done;
    wait->abandoned = true;
    error = done ? wait->error : CESID_E_NODE_TIMEOUT;
    lock_release(&wait->lock);
    if (done)
        wait_free(wait);
    return error;
}
