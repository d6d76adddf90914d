/*
 * Lists and their cursors. See paging.h. Pure; no locks.
 */
#include "cesid/paging.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/base64.h"
#include "cesid/memory.h"
#include "cesid/text.h"

char *page_cursor(const struct request *request)
{
    const char *cursor = request_text(request, "cursor");
    return cursor == NULL ? NULL : page_cursor_decode(cursor);
}

char *page_cursor_decode(const char *cursor)
{
    size_t length = strlen(cursor);
    char *key = mem_alloc(length + 1);
    int64_t size = base64url_decode(cursor, length, key, length);
    if (size >= 0 && strlen(key) == (size_t) size && text_is_utf8(key, (size_t) size))
        return key;
    free(key);
    return NULL;
}

void page_bad_cursor(struct request *request)
{
    problem_field(&request->problem, "cursor", "bad_format", PAGE_BAD_CURSOR);
}

void page_cursor_put(struct json *json, const char *key)
{
    struct strbuf cursor;
    strbuf_init(&cursor, 4096);
    if (key != NULL)
        base64url_add(&cursor, key, strlen(key));
    json_put_string(json, "next", key == NULL ? NULL : cursor.data);
    strbuf_destroy(&cursor);
}

void page_begin(struct page *page, const struct request *request, struct response *response)
{
    *page = (struct page){.json = response_json(response),
                          .limit = request_integer(request, "limit"),
                          .after = page_cursor(request)};
    json_object(page->json);
    json_key(page->json, "items");
    json_array(page->json);
}

bool page_admits(struct page *page, const char *key)
{
    page->total++;
    if (page->after != NULL && strcmp(key, page->after) <= 0)
        return false;
    if (page->shown == page->limit) {
        page->more = true;
        return false;
    }
    if (++page->shown == page->limit)
        page->last = mem_string(key);
    return true;
}

void page_end(struct page *page)
{
    json_array_end(page->json);
    json_put_integer(page->json, "total", (int64_t) page->total);
    page_cursor_put(page->json, page->more ? page->last : NULL);
    json_object_end(page->json);
    free(page->after);
    free(page->last);
}
