/*
 * Lists and their cursors. See paging.h. Pure; no locks.
 */
#include "cesid/paging.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/memory.h"
#include "cesid/text.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *base64url_encode(const char *data, size_t length)
{
    char *text = mem_alloc((length + 2) / 3 * 4 + 1);
    size_t out = 0;
    for (size_t i = 0; i < length; i += 3) {
        uint32_t bits = (uint32_t) (unsigned char) data[i] << 16;
        size_t have = length - i < 3 ? length - i : 3;
        if (have > 1)
            bits |= (uint32_t) (unsigned char) data[i + 1] << 8;
        if (have > 2)
            bits |= (unsigned char) data[i + 2];
        for (size_t digit = 0; digit <= have; digit++)
            text[out++] = alphabet[bits >> (18 - 6 * digit) & 63];
    }
    return text;
}

char *base64url_decode(const char *text)
{
    size_t length = strlen(text), out = 0;
    if (length % 4 == 1)
        return NULL;
    char *data = mem_alloc(length / 4 * 3 + 4);
    uint32_t bits = 0;
    int have = 0;
    for (size_t i = 0; i < length; i++) {
        const char *digit = strchr(alphabet, text[i]);
        if (digit == NULL)
            goto bad;
        bits = bits << 6 | (uint32_t) (digit - alphabet);
        have += 6;
        if (have >= 8) {
            have -= 8;
            data[out] = (char) (bits >> have & 0xff);
            if (data[out++] == '\0')
                goto bad;
        }
    }
    if (text_is_utf8(data, out) && (bits & ((1u << have) - 1)) == 0)
        return data;
bad:
    free(data);
    return NULL;
}

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
    *key = base64url_decode(cursor);
    return *key == NULL ? page_bad_cursor(request) : 0;
}

void page_cursor_put(struct json *json, const char *key)
{
    char *cursor = key == NULL ? NULL : base64url_encode(key, strlen(key));
    json_put_string(json, "next", cursor);
    free(cursor);
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
