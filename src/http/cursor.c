/*
 * Cursors. See cursor.h.
 */
#include "cesid/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/base64.h"
#include "cesid/memory.h"
#include "cesid/text.h"

char *cursor_decode(const char *cursor)
{
    size_t length = strlen(cursor);
    char *key = mem_alloc(length + 1);
    int64_t size = base64url_decode(cursor, length, key, length);
    if (size >= 0 && strlen(key) == (size_t) size && text_is_utf8(key, (size_t) size))
        return key;
    free(key);
    return NULL;
}

void cursor_put(struct json *json, const char *key)
{
    struct strbuf cursor;
    strbuf_init(&cursor, 4096);
    if (key != NULL)
        base64url_add(&cursor, key, strlen(key));
    json_put_string(json, "next", key == NULL ? NULL : cursor.data);
    strbuf_destroy(&cursor);
}
