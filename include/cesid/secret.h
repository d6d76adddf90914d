/*
 * A secret: immutable, reference-counted bytes that no log field or JSON writer accepts, wiped when
 * the last reference goes. Any thread.
 */
#ifndef CESID_SECRET_H
#define CESID_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret;

struct secret *secret_create(const char *data, size_t length); /* copies; caller owns a reference */
struct secret *secret_ref(struct secret *secret);              /* NULL gives NULL */
void secret_unref(struct secret **secret);                     /* clears the pointer */
const char *secret_reveal(const struct secret *secret);        /* NUL-terminated; NULL gives NULL */
size_t secret_length(const struct secret *secret);
bool secret_equal(const struct secret *a, const struct secret *b); /* NULL equals NULL only */

/* Clears memory in a way that the compiler keeps. */
void secret_wipe(void *data, size_t length);

#endif
