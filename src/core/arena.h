/*
 * Memory for one parsed answer: handed out in order, released all at once. Inside src/core only;
 * not shared between threads.
 */
#ifndef CESID_CORE_ARENA_H
#define CESID_CORE_ARENA_H

#include <stddef.h>

struct xmlrpc_arena;

/* expected: bytes that will probably be needed, which then fit into the first chunk. */
struct xmlrpc_arena *arena_create(size_t expected);
void arena_destroy(struct xmlrpc_arena **arena);
/* Aligned for pointers and int64_t, not zeroed. */
void *arena_take(struct xmlrpc_arena *arena, size_t size);
/* A copy with a NUL behind it. */
char *arena_bytes(struct xmlrpc_arena *arena, const char *data, size_t length);

#endif
