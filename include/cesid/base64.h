/*
 * base64url without padding (RFC 4648 section 5, RFC 7515 section 2), strict: one text for each
 * sequence of bytes. Pure functions.
 */
#ifndef CESID_BASE64_H
#define CESID_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/strbuf.h"

#define BASE64URL_LENGTH(bytes) (((bytes) *4 + 2) / 3)

void base64url_add(struct strbuf *out, const void *data, size_t length);
/* Bytes written to out, at most capacity; -1 for anything that base64url_add does not write:
 * padding, other letters, white space, bits left over, or more than capacity. */
int64_t base64url_decode(const char *text, size_t length, void *out, size_t capacity);

#endif
