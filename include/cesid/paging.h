/*
 * Lists: {"items": […], "total": N, "next": cursor|null}. The cursor is the base64url of the key
 * that the page ended with, so a page costs nothing between two requests and nothing is skipped or
 * shown twice when items come and go. Pure; owned by the request.
 */
#ifndef CESID_PAGING_H
#define CESID_PAGING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/request.h"
#include "cesid/response.h"

#define PAGE_FIELDS                                                                                \
    {.name = "limit",                                                                              \
     .place = FIELD_QUERY,                                                                         \
     .type = FIELD_INTEGER,                                                                        \
     .minimum = 1,                                                                                 \
     .maximum = 1000,                                                                              \
     .default_value = "100",                                                                       \
     .about = "how many at most"},                                                                 \
    {                                                                                              \
        .name = "cursor", .place = FIELD_QUERY, .format = FORMAT_TOKEN, .maximum = 4096,           \
        .about = "`next` of the page before"                                                       \
    }

struct page {
    struct json *json; /* write items here */
    int64_t limit;
    int64_t shown;
    size_t total;
    char *after; /* NULL: from the beginning */
    char *last;  /* key of the last item shown */
    bool more;
};

/* For lists in the order of strcmp(key): begin, then for each item that matches the filters
 * page_admits, and when it says so write it; then end. VALIDATION_FAILED for a bad cursor. */
int page_begin(struct page *page, struct request *request,
               struct response *response) CESID_WARN_UNUSED;
bool page_admits(struct page *page, const char *key);
void page_end(struct page *page); /* also frees; call it after page_begin gave 0 */

/* The key in the request's cursor: 0 and *key (caller frees; NULL when there is no cursor). */
int page_cursor(struct request *request, char **key) CESID_WARN_UNUSED;
int page_bad_cursor(struct request *request); /* the problem for one that makes no sense */
void page_cursor_put(struct json *json, const char *key); /* "next": …; NULL: null */

#endif
