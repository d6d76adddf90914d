/*
 * Whatever stands in a request line: "METHOD PATH?QUERY". A path that is taken has only segments
 * that no path trick can use, a route that is found is one of the table, and what the query gives
 * holds to it.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "cesid/routes.h"
#include "cesid/text.h"
#include "cesid/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sane(const struct route_path *path)
{
    CHECK(path->count >= 1 && path->count <= ROUTE_SEGMENTS_MAX);
    for (size_t i = 0; i < path->count; i++) {
        const char *segment = path->segments[i];
        CHECK(strcmp(segment, ".") != 0 && strcmp(segment, "..") != 0);
        CHECK(strchr(segment, '/') == NULL && text_is_utf8(segment, strlen(segment)));
        for (const char *at = segment; *at != '\0'; at++)
            CHECK((unsigned char) *at >= 0x20 && *at != 0x7f);
    }
}

static void validate(const struct route *route, const struct route_path *path, const char *query)
{
    struct values values;
    struct problem problem;

    values_init(&values, route);
    problem_init(&problem);
    int error = validate_path(route, path, 0, &values);
    if (error == 0)
        error = validate_query(route, query, &values, &problem);
    if (error == 0)
        error = validate_finish(route, &values, &problem);
    for (size_t i = 0; error == 0 && i < route->fields_count; i++) {
        const struct field *field = &route->fields[i];
        const struct value *value = &values.items[i];
        if (value->present && field->type == FIELD_INTEGER)
            CHECK(value->integer >= field->minimum && value->integer <= field->maximum);
        if (value->present && field->format == FORMAT_NAME && value->text != NULL)
            CHECK(text_is_name(value->text));
        CHECK(value->items_count <= VALIDATE_ITEMS_MAX);
    }
    problem_destroy(&problem);
    values_destroy(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct route_path path;
    struct route_match match;
    char *line = mem_bytes((const char *) data, size);
    char *uri = strchr(line, ' ');

    if (uri != NULL) {
        *uri++ = '\0';
        char *query = strchr(uri, '?');
        if (query != NULL)
            *query++ = '\0';
        if (route_path_decode(&path, uri) == 0) {
            sane(&path);
            if (route_find(routes_all, routes_all_count, line, &path, 0, &match) == 0) {
                CHECK(match.route != NULL);
                validate(match.route, &path, query);
            }
            route_path_destroy(&path);
        }
    }
    free(line);
    return 0;
}
