/*
 * A bounded queue of pointers between threads. What does not fit is refused, never waited for, so
 * a producer cannot be stalled by its consumer. The queue does not own what it holds.
 */
#ifndef CESID_QUEUE_H
#define CESID_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

struct queue *queue_create(size_t capacity);
void queue_destroy(struct queue **queue); /* must be empty or its content given up by the caller */
bool queue_push(struct queue *queue, void *item); /* false: full or closed; the caller keeps it */
/* The oldest item; NULL when the deadline passed, or the queue is closed and empty. */
void *queue_pop(struct queue *queue, int64_t deadline);
void queue_close(struct queue *queue); /* no more pushes; wakes every waiter */
size_t queue_length(struct queue *queue);

#endif
