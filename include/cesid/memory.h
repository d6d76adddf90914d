/*
 * Allocation that cannot fail: a server that is out of memory aborts with a message, because no
 * error path that nobody ever ran would save it. Sizes that a peer chooses are capped before they
 * come here. Everything is released with free(). Any thread.
 */
#ifndef CESID_MEMORY_H
#define CESID_MEMORY_H

#include <stddef.h>

/* What large blocks took goes back to the system as they are freed. Once, before threads start. */
void mem_start(void);

void *mem_alloc(size_t size);               /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed; aborts on overflow */
void *mem_resize(void *old, size_t count, size_t size);
char *mem_string(const char *text);               /* NULL gives NULL */
char *mem_bytes(const char *data, size_t length); /* a copy with a NUL behind it */

#endif
