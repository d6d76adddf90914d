/*
 * Lists and their cursors. See paging.h. Pure; no locks.
 */
#include "cesid/paging.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/base64.h"
#include "cesid/memory.h"
#include "cesid/text.h"

int page_bad_cursor(struct request *request)
{
    problem_field(&request->problem, "cursor", "bad_format", "is not a cursor of this list");
    return CESID_E_VALIDATION_FAILED;
}

int page_cursor(struct request *request, char **key)
{
    const char *cursor = request_text(request, "cursor");
    *key = NULL;
    if (cursor == NULL)
        return 0;
    size_t length = strlen(cursor);
    *key = mem_alloc(length + 1);
    int64_t size = base64url_decode(cursor, length, *key, length);
    if (size >= 0 && strlen(*key) == (size_t) size && text_is_utf8(*key, (size_t) size))
        return 0;
    free(*key);
    *key = NULL;
    return page_bad_cursor(request);
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

int page_begin(struct page *page, struct request *request, struct response *response)
{
    *page = (struct page){.limit = request_integer(request, "limit")};
    int error = page_cursor(request, &page->after);
    if (error != 0)
        return error;
    page->json = response_json(response);
    json_object(page->json);
    json_key(page->json, "items");
    json_array(page->json);
    return 0;
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
