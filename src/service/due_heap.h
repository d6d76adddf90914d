/*
 * A binary heap of due times, for refresh. Not shared between threads: its owner's lock guards it.
 */
#ifndef CESID_DUE_HEAP_H
#define CESID_DUE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define DUE_NOWHERE SIZE_MAX

/* Embedded in what is due. */
struct due {
    int64_t at;      /* clock_now() */
    size_t position; /* DUE_NOWHERE while not in a heap */
};

struct due_heap {
    struct due **items;
    size_t count, capacity;
};

void due_heap_push(struct due_heap *heap, struct due *due, int64_t at);
void due_heap_remove(struct due_heap *heap, struct due *due); /* nothing when it is not in */
struct due *due_heap_first(const struct due_heap *heap);      /* NULL when empty */
void due_heap_destroy(struct due_heap *heap);

#endif
