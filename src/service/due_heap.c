/*
 * The heap behind refresh: push, take the first, remove any, each in O(log n).
 */
#include "due_heap.h"

#include <stdlib.h>

#include "cesid/check.h"
#include "cesid/memory.h"

static void place(struct due_heap *heap, size_t position, struct due *due)
{
    heap->items[position] = due;
    due->position = position;
}

static void sift_up(struct due_heap *heap, size_t position)
{
    struct due *due = heap->items[position];

    while (position > 0) {
        size_t parent = (position - 1) / 2;

        if (heap->items[parent]->at <= due->at)
            break;
        place(heap, position, heap->items[parent]);
        position = parent;
    }
    place(heap, position, due);
}

static void sift_down(struct due_heap *heap, size_t position)
{
    struct due *due = heap->items[position];

    for (;;) {
        size_t child = 2 * position + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->items[child + 1]->at < heap->items[child]->at)
            child++;
        if (due->at <= heap->items[child]->at)
            break;
        place(heap, position, heap->items[child]);
        position = child;
    }
    place(heap, position, due);
}

void due_heap_push(struct due_heap *heap, struct due *due, int64_t at)
{
    CHECK(due->position == DUE_NOWHERE);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
        heap->items = mem_resize(heap->items, heap->capacity, sizeof(heap->items[0]));
    }
    due->at = at;
    place(heap, heap->count++, due);
    sift_up(heap, due->position);
}

void due_heap_remove(struct due_heap *heap, struct due *due)
{
    size_t position = due->position;
    struct due *last;

    if (position == DUE_NOWHERE)
        return;
    CHECK(position < heap->count && heap->items[position] == due);
    last = heap->items[--heap->count];
    due->position = DUE_NOWHERE;
    if (last == due)
        return;
    place(heap, position, last);
    sift_up(heap, position);
    sift_down(heap, last->position);
}

struct due *due_heap_first(const struct due_heap *heap)
{
    return heap->count > 0 ? heap->items[0] : NULL;
}

void due_heap_destroy(struct due_heap *heap)
{
    free(heap->items);
    *heap = (struct due_heap){0};
}
