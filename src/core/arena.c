/*
 * Bump allocator in chunks. What does not fit into the rest of the current chunk opens a new one
 * that is twice as large as the last, or as large as it must be. No lock, one thread.
 */
#include "arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"

#define CHUNK_MIN ((size_t) 1024)
#define CHUNK_MAX ((size_t) 256 * 1024)
#define ALIGNMENT _Alignof(int64_t)

struct chunk {
    struct chunk *previous;
    max_align_t data[];
};

struct xmlrpc_arena {
    struct chunk *last;
    char *free;
    size_t left;
    size_t grow; /* size of the next chunk */
};

static void open_chunk(struct xmlrpc_arena *arena, size_t size)
{
    struct chunk *chunk = mem_resize(NULL, sizeof(*chunk) + size, 1);
    chunk->previous = arena->last;
    arena->last = chunk;
    arena->free = (char *) chunk->data;
    arena->left = size;
}

struct xmlrpc_arena *arena_create(size_t expected)
{
    struct xmlrpc_arena *arena = mem_alloc(sizeof(*arena));
    size_t first = expected < CHUNK_MIN ? CHUNK_MIN : expected > CHUNK_MAX ? CHUNK_MAX : expected;
    open_chunk(arena, first);
    arena->grow = first;
    return arena;
}

void arena_destroy(struct xmlrpc_arena **arena)
{
    if (*arena == NULL)
        return;
    for (struct chunk *chunk = (*arena)->last, *previous; chunk != NULL; chunk = previous) {
        previous = chunk->previous;
        free(chunk);
    }
    free(*arena);
    *arena = NULL;
}

void *arena_take(struct xmlrpc_arena *arena, size_t size)
{
    CHECK(size <= SIZE_MAX / 4);
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > arena->left) {
        if (arena->grow < CHUNK_MAX)
            arena->grow *= 2;
        open_chunk(arena, size > arena->grow ? size : arena->grow);
    }
    void *taken = arena->free;
    arena->free += size;
    arena->left -= size;
    return taken;
}

char *arena_bytes(struct xmlrpc_arena *arena, const char *data, size_t length)
{
    char *copy = arena_take(arena, length + 1);
    if (length > 0)
        memcpy(copy, data, length);
    copy[length] = '\0';
    return copy;
}
