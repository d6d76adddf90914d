/*
 * Allocation or the end. Any thread.
 */
#include "cesid/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A larger block is mapped by itself. The library's own bound rises to the largest block so far, so
 * that after one long answer of a node its heaps would keep tens of MiB. */
#define LARGE (1024 * 1024)

void mem_start(void)
{
    (void) mallopt(M_MMAP_THRESHOLD, LARGE);
    (void) mallopt(M_TRIM_THRESHOLD, LARGE);
}

static void *or_die(void *memory, size_t size)
{
    if (memory == NULL) {
        fprintf(stderr, "cesid: out of memory (%zu bytes)\n", size);
        abort();
    }
    return memory;
}

void *mem_alloc(size_t size)
{
    return or_die(calloc(1, size > 0 ? size : 1), size);
}

void *mem_array(size_t count, size_t size)
{
    if (count == 0 || size == 0)
        return mem_alloc(1);
    return or_die(calloc(count, size), count);
}

void *mem_resize(void *old, size_t count, size_t size)
{
    return or_die(reallocarray(old, count > 0 ? count : 1, size > 0 ? size : 1), count);
}

char *mem_string(const char *text)
{
    return text == NULL ? NULL : mem_bytes(text, strlen(text));
}

char *mem_bytes(const char *data, size_t length)
{
    char *copy = or_die(malloc(length + 1), length);

    if (length > 0)
        memcpy(copy, data, length);
    copy[length] = '\0';
    return copy;
}
