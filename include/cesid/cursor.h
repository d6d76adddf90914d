/*
 * Cursors of lists: the base64url of the key that a page ended with. Pure.
 */
#ifndef CESID_CURSOR_H
#define CESID_CURSOR_H

#include "cesid/json.h"

#define CURSOR_COMPLAINT "is not a cursor of this list"

/* The key, caller frees; NULL for what is no cursor at all. */
char *cursor_decode(const char *cursor);
void cursor_put(struct json *json, const char *key); /* "next": …; NULL: null */

#endif
