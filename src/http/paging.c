/*
 * Lists and their cursors. See paging.h. Pure; no locks.
 */
#include "cesid/paging.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/memory.h"

char *page_cursor(const struct request *request)
{
    const char *cursor = request_text(request, "cursor");
    return cursor == NULL ? NULL : cursor_decode(cursor);
}

void page_bad_cursor(struct request *request)
{
    problem_field(&request->problem, "cursor", "bad_format", CURSOR_COMPLAINT);
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
    cursor_put(page->json, page->more ? page->last : NULL);
    json_object_end(page->json);
    free(page->after);
    free(page->last);
}
