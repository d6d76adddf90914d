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

#include "cesid/cursor.h"
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
        .name = "cursor", .place = FIELD_QUERY, .format = FORMAT_CURSOR, .maximum = 4096,          \
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
 * page_admits, and when it says so write it; then end, which also frees. */
void page_begin(struct page *page, const struct request *request, struct response *response);
bool page_admits(struct page *page, const char *key);
void page_end(struct page *page);

/* The key in the request's cursor; caller frees; NULL when there is no cursor. */
char *page_cursor(const struct request *request);
/* For lists whose keys have a form of their own (struct route's check). */
void page_bad_cursor(struct request *request);

#endif
