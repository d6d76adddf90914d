/*
 * From a request's path to its route: templates, captures, methods, and every path trick we know.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/request.h"
#include "cesid/response.h"
#include "cesid/routes.h"

static int nothing(struct request *request, struct response *response)
{
    (void) request;
    (void) response;
    return 0;
}

static const struct route routes[] = {
    {.method = "GET", .path = "/api/v1/nodes", .handler = nothing},
    {.method = "GET", .path = "/api/v1/nodes/{node}", .handler = nothing},
    {.method = "GET", .path = "/api/v1/nodes/{node}/processes/{process}/log", .handler = nothing},
    {.method = "DELETE", .path = "/api/v1/nodes/{node}/processes/{process}/log"},
    {.method = "GET", .path = "*", .handler = nothing},
};
static const struct route_table table = {routes, ARRAY_LENGTH(routes)};
static const struct route_table *const tables[] = {&table};

static int find(const char *method, const char *uri, size_t base, struct route_path *path,
                struct route_match *match)
{
    int error = route_path_decode(path, uri);
    if (error != 0)
        return error;
    return route_find(tables, 1, method, path, base, match);
}

static int found(const char *method, const char *uri)
{
    struct route_path path;
    struct route_match match;
    int error = find(method, uri, 0, &path, &match);
    route_path_destroy(&path);
    return error;
}

static void templates_match_whole_segments(void **state)
{
    struct route_path path;
    struct route_match match;
    (void) state;
    assert_int_equal(
        find("GET", "/api/v1/nodes/web-1/processes/web%3aweb_00/log", 0, &path, &match), 0);
    assert_ptr_equal(match.route, &routes[2]);
    assert_string_equal(route_capture(match.route, &path, 0, "node"), "web-1");
    assert_string_equal(route_capture(match.route, &path, 0, "process"), "web:web_00");
    assert_null(route_capture(match.route, &path, 0, "nod"));
    route_path_destroy(&path);

    assert_int_equal(found("GET", "/api/v1/nodesx"), CESID_E_NOT_FOUND);
    assert_int_equal(found("GET", "/api/v1/node"), CESID_E_NOT_FOUND);
    assert_int_equal(found("GET", "/api/v1/nodes/"), CESID_E_NOT_FOUND);
    assert_int_equal(found("GET", "/api/v1/nodes/a/b"), CESID_E_NOT_FOUND);
    assert_int_equal(found("GET", "/api/v1"), CESID_E_NOT_FOUND);
}

static void base_path_shifts_everything(void **state)
{
    struct route_path path;
    struct route_match match;
    (void) state;
    assert_int_equal(find("GET", "/ops/api/v1/nodes/web-1", 1, &path, &match), 0);
    assert_string_equal(route_capture(match.route, &path, 1, "node"), "web-1");
    route_path_destroy(&path);
}

static void head_is_get_and_others_are_told(void **state)
{
    struct route_path path;
    struct route_match match;
    (void) state;
    assert_int_equal(found("HEAD", "/api/v1/nodes"), 0);
    assert_int_equal(find("PUT", "/api/v1/nodes/a/processes/b/log", 0, &path, &match),
                     CESID_E_METHOD_NOT_ALLOWED);
    assert_string_equal(match.allow, "GET, HEAD, DELETE");
    route_path_destroy(&path);
    assert_int_equal(found("POST", "/some/page"), CESID_E_NOT_FOUND);
    assert_int_equal(found("GET", "/some/page"), 0);
    assert_int_equal(found("GET", "/"), 0);
}

static void tricks_lead_nowhere(void **state)
{
    static const char *const bad[] = {
        "",
        "api/v1/nodes",
        "/api/v1/../nodes",
        "/api/v1/%2e%2e/nodes",
        "/api/v1/%2E%2e/nodes",
        "/api/v1/./nodes",
        "/api/v1/%2e/nodes",
        "/..",
        "/api/v1/nodes/..%2f..%2fetc%2fpasswd",
        "/api/v1/nodes/a%2Fb",
        "/api/v1/nodes/a%00",
        "/api/v1/nodes/%00",
        "/api/v1/nodes/a%",
        "/api/v1/nodes/a%1",
        "/api/v1/nodes/a%zz",
        "/api/v1/nodes/a%0d%0aX-Header:%20x",
        "/api/v1/nodes/a%7f",
        "/api/v1/nodes/%c0%ae%c0%ae", /* overlong dots */
        "/api/v1/nodes/%ff",
        "/api/v1/nodes/%ed%a0%80", /* a surrogate */
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/%2e%2e",
    };
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct route_path path;
        int error = route_path_decode(&path, bad[i]);
        if (error != CESID_E_BAD_REQUEST)
            fail_msg("%s gave %s", bad[i], error_code(error));
    }
    assert_int_equal(found("GET", "/1/2/3/4/5/6/7/8/9/10/11/12/13"), CESID_E_NOT_FOUND);
}

static void escapes_are_decoded_once(void **state)
{
    struct route_path path;
    (void) state;
    assert_int_equal(route_path_decode(&path, "/a%252e%252e/b+c/%E2%82%AC"), 0);
    assert_int_equal(path.count, 3);
    assert_string_equal(path.segments[0], "a%2e%2e");
    assert_string_equal(path.segments[1], "b+c");
    assert_string_equal(path.segments[2], "€");
    route_path_destroy(&path);
}

/* The table itself: what the dispatcher and the validator take for granted. */
static void the_table_is_sane(void **state)
{
    (void) state;
    for (size_t t = 0; t < routes_all_count; t++) {
        for (size_t r = 0; r < routes_all[t]->count; r++) {
            const struct route *route = &routes_all[t]->routes[r];
            size_t braces = 0, captured = 0;
            bool has_node = false;
            for (const char *c = route->path; *c != '\0'; c++)
                braces += *c == '{';
            for (size_t f = 0; f < route->fields_count; f++) {
                const struct field *field = &route->fields[f];
                char name[80];
                assert_non_null(field->about);
                /* A body may repeat a name of the path, which comes first. */
                for (size_t other = 0; other < f; other++)
                    if (route->fields[other].place != FIELD_PATH || field->place != FIELD_BODY)
                        assert_string_not_equal(route->fields[other].name, field->name);
                if (field->place != FIELD_PATH)
                    continue;
                captured++;
                has_node = has_node || strcmp(field->name, "node") == 0;
                (void) snprintf(name, sizeof(name), "/{%s}", field->name);
                assert_non_null(strstr(route->path, name));
                assert_int_equal(field->type, FIELD_STRING);
            }
            assert_int_equal(braces, captured);
            assert_true(has_node == (route->scope == ROUTE_NODE));
            assert_true((route->handler == NULL) == route->websocket);
            assert_non_null(route->about);
            /* What changes something needs a permission, or is about the caller alone. */
            bool own =
                strstr(route->path, "/auth/") != NULL || strstr(route->path, "/tokens") != NULL;
            if (strcmp(route->method, "GET") != 0 && !own)
                assert_int_not_equal(route->permission, PERMISSION_NONE);
            /* What changes something is recorded; asking a node something changes nothing. */
            bool asks =
                strstr(route->path, "/refresh") != NULL || strstr(route->path, "/check") != NULL;
            assert_true((strcmp(route->method, "GET") == 0 || asks) == (route->action == NULL));
            assert_true((route->action == NULL) == (route->resource == NULL));
            /* Defaults must satisfy their own field. */
            struct values values;
            struct problem problem;
            values_init(&values, route);
            problem_init(&problem);
            (void) !validate_finish(route, &values, &problem);
            values_destroy(&values);
            problem_destroy(&problem);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "R9.4 templates match whole segments",
         .test_func = templates_match_whole_segments},
        {.name = "base_path shifts everything", .test_func = base_path_shifts_everything},
        {.name = "HEAD is GET, and other methods are told what there is",
         .test_func = head_is_get_and_others_are_told},
        {.name = "R9.4 path tricks lead nowhere", .test_func = tricks_lead_nowhere},
        {.name = "R9.4 escapes are decoded once", .test_func = escapes_are_decoded_once},
        {.name = "R9.1 every route declares every field of its path",
         .test_func = the_table_is_sane},
    };
    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
