/*
 * From a request's path to a route. See route.h. Pure; no locks.
 *
 * The table is walked; with some fifty routes of a few segments that is well under a microsecond.
 */
#include "cesid/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"

const char *route_label(const struct route *route)
{
    if (route == NULL)
        return "unmatched";
    return strcmp(route->path, "*") == 0 ? "/" : route->path;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool route_unescape(char *text, size_t length, bool query, size_t *decoded)
{
    size_t out = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 1 < length ? hex(text[i + 1]) : -1;
            int low = i + 2 < length ? hex(text[i + 2]) : -1;
            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            c = (char) (high << 4 | low);
            i += 2;
        } else if (c == '+' && query) {
            c = ' ';
        } else if (c == '\0') {
            return false;
        }
        text[out++] = c;
    }
    text[out] = '\0';
    *decoded = out;
    return true;
}

/* A decoded segment that no path trick can use. */
static bool segment_is_sane(const char *segment, size_t length)
{
    if (strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char) segment[i];
        if (c < 0x20 || c == 0x7f || c == '/')
            return false;
    }
    return text_is_utf8(segment, length);
}

int route_path_decode(struct route_path *path, const char *uri)
{
    *path = (struct route_path){0};
    if (uri[0] != '/')
        return CESID_E_BAD_REQUEST;
    path->memory = mem_string(uri);
    char *next = path->memory + 1;
    while (next != NULL) {
        char *segment = next;
        char *slash = strchr(segment, '/');
        size_t length = slash == NULL ? strlen(segment) : (size_t) (slash - segment);
        next = slash == NULL ? NULL : slash + 1;
        if (!route_unescape(segment, length, false, &length) || !segment_is_sane(segment, length))
            goto bad;
        if (path->count == ROUTE_SEGMENTS_MAX) {
            /* Nothing is that deep, but what follows must be well-formed all the same. */
            for (; next != NULL; next = slash == NULL ? NULL : slash + 1) {
                segment = next;
                slash = strchr(segment, '/');
                length = slash == NULL ? strlen(segment) : (size_t) (slash - segment);
                if (!route_unescape(segment, length, false, &length) ||
                    !segment_is_sane(segment, length))
                    goto bad;
            }
            route_path_destroy(path);
            return CESID_E_NOT_FOUND;
        }
        path->segments[path->count++] = segment;
    }
    return 0;
bad:
    route_path_destroy(path);
    return CESID_E_BAD_REQUEST;
}

void route_path_destroy(struct route_path *path)
{
    free(path->memory);
    *path = (struct route_path){0};
}

/* The template's next segment, behind its slash; NULL at the end. */
static const char *template_next(const char *at, size_t *length)
{
    if (*at != '/')
        return NULL;
    at++;
    *length = strcspn(at, "/");
    return at;
}

static bool matches(const char *template, const struct route_path *path, size_t base)
{
    size_t length, i = base;
    for (const char *at = template; (at = template_next(at, &length)) != NULL; at += length, i++) {
        if (i >= path->count)
            return false;
        if (at[0] == '{') {
            if (path->segments[i][0] == '\0')
                return false;
        } else if (strlen(path->segments[i]) != length ||
                   memcmp(path->segments[i], at, length) != 0) {
            return false;
        }
    }
    return i == path->count;
}

static bool takes(const struct route *route, const char *method)
{
    return strcmp(route->method, method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

static void allow_add(struct route_match *match, const char *method)
{
    size_t length = strlen(match->allow);
    if (strstr(match->allow, method) == NULL)
        (void) snprintf(match->allow + length, sizeof(match->allow) - length, "%s%s",
                        length > 0 ? ", " : "", method);
}

int route_find(const struct route_table *const *tables, size_t tables_count, const char *method,
               const struct route_path *path, size_t base, struct route_match *match)
{
    const struct route *fallback = NULL;
    bool found = false;
    *match = (struct route_match){0};
    for (size_t t = 0; t < tables_count; t++) {
        for (size_t r = 0; r < tables[t]->count; r++) {
            const struct route *route = &tables[t]->routes[r];
            if (strcmp(route->path, "*") == 0) {
                fallback = route;
                continue;
            }
            if (!matches(route->path, path, base))
                continue;
            if (takes(route, method)) {
                match->route = route;
                return 0;
            }
            found = true;
            allow_add(match, route->method);
            if (strcmp(route->method, "GET") == 0)
                allow_add(match, "HEAD");
        }
    }
    if (found)
        return CESID_E_METHOD_NOT_ALLOWED;
    const char *first = path->count > base ? path->segments[base] : "";
    if (fallback == NULL || strcmp(first, "api") == 0)
        return CESID_E_NOT_FOUND;
    if (!takes(fallback, method)) {
        allow_add(match, fallback->method);
        allow_add(match, "HEAD");
        /* Of the rest nobody can say here whether it is there at all. */
        return first[0] == '\0' ? CESID_E_METHOD_NOT_ALLOWED : CESID_E_NOT_FOUND;
    }
    match->route = fallback;
    return 0;
}

const char *route_capture(const struct route *route, const struct route_path *path, size_t base,
                          const char *name)
{
    size_t length, i = base, wanted = strlen(name);
    for (const char *at = route->path; (at = template_next(at, &length)) != NULL && i < path->count;
         at += length, i++) {
        if (at[0] == '{' && length == wanted + 2 && memcmp(at + 1, name, wanted) == 0)
            return path->segments[i];
    }
    return NULL;
}
