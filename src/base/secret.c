/*
 * Secrets: counted references to bytes that are wiped at the end. Any thread; the count is atomic.
 */
#include "cesid/secret.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/memory.h"
#include "cesid/text.h"

struct secret {
    /* immutable */
    size_t length;
    char *data;
    /* atomic */
    int references;
};

struct secret *secret_create(const char *data, size_t length)
{
    struct secret *secret = mem_alloc(sizeof(*secret));

    secret->data = mem_bytes(data, length);
    secret->length = length;
    secret->references = 1;
    return secret;
}

struct secret *secret_ref(struct secret *secret)
{
    if (secret != NULL)
        __atomic_add_fetch(&secret->references, 1, __ATOMIC_RELAXED);
    return secret;
}

void secret_unref(struct secret **slot)
{
    struct secret *secret = *slot;

    *slot = NULL;
    if (secret == NULL || __atomic_sub_fetch(&secret->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    secret_wipe(secret->data, secret->length);
    free(secret->data);
    free(secret);
}

const char *secret_reveal(const struct secret *secret)
{
    return secret == NULL ? NULL : secret->data;
}

size_t secret_length(const struct secret *secret)
{
    return secret == NULL ? 0 : secret->length;
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return text_equal_secret(a->data, a->length, b->data, b->length);
}

void secret_wipe(void *data, size_t length)
{
    if (length > 0)
        explicit_bzero(data, length);
}
