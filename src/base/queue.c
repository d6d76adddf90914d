/*
 * A bounded queue: a ring under one lock. Producers are refused when it is full, never stalled.
 */
#include "cesid/queue.h"

#include <stdlib.h>

#include "cesid/check.h"
#include "cesid/lock.h"
#include "cesid/memory.h"

struct queue {
    /* immutable */
    size_t capacity;

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    void **ring;
    size_t head, length;
    bool closed;
};

struct queue *queue_create(size_t capacity)
{
    struct queue *queue = mem_alloc(sizeof(*queue));

    CHECK(capacity > 0);
    queue->capacity = capacity;
    queue->ring = mem_array(capacity, sizeof(queue->ring[0]));
    lock_init(&queue->lock, LOCK_BUS);
    cond_init(&queue->changed);
    return queue;
}

void queue_destroy(struct queue **slot)
{
    struct queue *queue = *slot;

    *slot = NULL;
    if (queue == NULL)
        return;
    cond_destroy(&queue->changed);
    lock_destroy(&queue->lock);
    free(queue->ring);
    free(queue);
}

bool queue_push(struct queue *queue, void *item)
{
    bool taken;

    CHECK(item != NULL);
    lock_acquire(&queue->lock);
    taken = !queue->closed && queue->length < queue->capacity;
    if (taken) {
        queue->ring[(queue->head + queue->length) % queue->capacity] = item;
        queue->length++;
        cond_signal(&queue->changed);
    }
    lock_release(&queue->lock);
    return taken;
}

void *queue_pop(struct queue *queue, int64_t deadline)
{
    void *item = NULL;

    lock_acquire(&queue->lock);
    while (queue->length == 0 && !queue->closed &&
           cond_wait_until(&queue->changed, &queue->lock, deadline))
        continue;
    if (queue->length > 0) {
        item = queue->ring[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->length--;
    }
    lock_release(&queue->lock);
    return item;
}

void queue_close(struct queue *queue)
{
    lock_acquire(&queue->lock);
    queue->closed = true;
    cond_broadcast(&queue->changed);
    lock_release(&queue->lock);
}

size_t queue_length(struct queue *queue)
{
    size_t length;

    lock_acquire(&queue->lock);
    length = queue->length;
    lock_release(&queue->lock);
    return length;
}
