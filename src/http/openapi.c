/*
 * The OpenAPI document. See openapi.h. Pure; no locks.
 *
 * What every route may answer is derived from what it is (public or not, with a body or not, of a
 * node or not); a route's own table adds what its handler may meet.
 */
#include "cesid/openapi.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/error.h"
#include "cesid/memory.h"

#define API_PREFIX "/api/v1"

static const char about_all[] =
    "Watches and drives many supervisord instances.\n\n"
    "HEAD is answered wherever GET is. Every answer carries X-Request-ID: the caller's own, when "
    "it is 1 to 64 of A-Za-z0-9._-, else a new one. A null in a body is as good as nothing. Words "
    "of a choice are taken in any case. Unknown parameters and fields are errors. Times are RFC "
    "3339 in UTC; a date that is sent for one is its midnight. Durations are seconds.";

static bool is_described(const struct route *route)
{
    return strcmp(route->path, "*") != 0;
}

static bool is_get(const struct route *route)
{
    return strcmp(route->method, "GET") == 0;
}

static bool has_place(const struct route *route, enum field_place place)
{
    for (size_t i = 0; i < route->fields_count; i++)
        if (route->fields[i].place == place)
            return true;
    return false;
}

static bool answers_with(const struct route *route, const char *what)
{
    return route->answers != NULL && strstr(route->answers, what) != NULL;
}

/* ---- parameters ---- */

static void put_parameter(struct json *json, const struct field *field)
{
    json_object(json);
    json_put_string(json, "name", field->name);
    json_put_string(json, "in", field->place == FIELD_PATH ? "path" : "query");
    if (field->about != NULL)
        json_put_string(json, "description", field->about);
    if (field->place == FIELD_PATH || field->required)
        json_put_boolean(json, "required", true);
    if (field->type == FIELD_STRINGS) {
        json_put_string(json, "style", "form");
        /* A label's value may hold a comma. */
        json_put_boolean(json, "explode", field->format == FORMAT_LABEL);
    }
    json_key(json, "schema");
    openapi_field(json, field);
    json_object_end(json);
}

static void put_shared(struct json *json, const char *section, const char *name)
{
    char path[100];
    (void) snprintf(path, sizeof(path), "#/components/%s/%s", section, name);
    json_object(json);
    json_put_string(json, "$ref", path);
    json_object_end(json);
}

static void put_parameters(struct json *json, const struct route *route)
{
    json_key(json, "parameters");
    json_array(json);
    for (size_t i = 0; i < route->fields_count; i++)
        if (route->fields[i].place != FIELD_BODY)
            put_parameter(json, &route->fields[i]);
    put_shared(json, "parameters", "RequestId");
    put_shared(json, "parameters", "TraceParent");
    if (route->scope != ROUTE_PUBLIC && !is_get(route))
        put_shared(json, "parameters", "CsrfToken");
    if (answers_with(route, "202"))
        put_shared(json, "parameters", "Prefer");
    if (answers_with(route, "text/event-stream"))
        put_shared(json, "parameters", "LastEventId");
    json_array_end(json);
}

/* ---- bodies ---- */

static size_t object_length(const struct field *field)
{
    const char *dot = strchr(field->name, '.');
    return dot == NULL ? 0 : (size_t) (dot - field->name);
}

/* The members below prefix ("" or "select."), of which each inner object is written once. */
static void put_members(struct json *json, const struct route *route, const char *prefix)
{
    size_t skip = strlen(prefix);
    json_put_string(json, "type", "object");
    json_put_boolean(json, "additionalProperties", false);
    json_key(json, "properties");
    json_object(json);
    for (size_t i = 0; i < route->fields_count; i++) {
        const struct field *field = &route->fields[i];
        size_t inner = object_length(field);
        if (field->place != FIELD_BODY || strncmp(field->name, prefix, skip) != 0)
            continue;
        if (skip > 0 || inner == 0) {
            json_key(json, field->name + skip);
            openapi_field(json, field);
            continue;
        }
        bool seen = false;
        for (size_t j = 0; j < i; j++)
            if (route->fields[j].place == FIELD_BODY &&
                strncmp(route->fields[j].name, field->name, inner + 1) == 0)
                seen = true;
        if (seen)
            continue;
        char name[64], below[72];
        (void) snprintf(name, sizeof(name), "%.*s", (int) inner, field->name);
        (void) snprintf(below, sizeof(below), "%s.", name);
        json_key(json, name);
        json_object(json);
        put_members(json, route, below);
        json_object_end(json);
    }
    json_object_end(json);
    json_key(json, "required");
    json_array(json);
    for (size_t i = 0; i < route->fields_count; i++)
        if (route->fields[i].place == FIELD_BODY && route->fields[i].required &&
            strncmp(route->fields[i].name, prefix, skip) == 0 &&
            (skip > 0 || object_length(&route->fields[i]) == 0))
            json_string(json, route->fields[i].name + skip);
    json_array_end(json);
}

static void put_body(struct json *json, const struct route *route)
{
    bool required = false;
    for (size_t i = 0; i < route->fields_count; i++)
        if (route->fields[i].place == FIELD_BODY && route->fields[i].required)
            required = true;
    json_key(json, "requestBody");
    json_object(json);
    json_put_boolean(json, "required", required);
    json_key(json, "content");
    json_object(json);
    json_key(json, "application/json");
    json_object(json);
    json_key(json, "schema");
    json_object(json);
    put_members(json, route, "");
    json_object_end(json);
    json_object_end(json);
    json_object_end(json);
    json_object_end(json);
}

/* ---- answers ---- */

static const char *status_words(int status)
{
    switch (status) {
    case 101:
        return "The connection becomes a WebSocket";
    case 200:
        return "Done";
    case 201:
        return "Created";
    case 202:
        return "Under way; Location says where to look";
    case 204:
        return "Done, nothing to say";
    default:
        return "An answer";
    }
}

static void put_list(struct json *json, const char *item)
{
    json_object(json);
    json_put_string(json, "type", "object");
    json_key(json, "properties");
    json_object(json);
    json_key(json, "items");
    json_object(json);
    json_put_string(json, "type", "array");
    json_key(json, "items");
    openapi_type(json, item);
    json_object_end(json);
    json_key(json, "total");
    openapi_type(json, "integer");
    json_key(json, "next");
    json_object(json);
    json_put_string(json, "description", "the next page's cursor");
    json_key(json, "type");
    json_array(json);
    json_string(json, "string");
    json_string(json, "null");
    json_array_end(json);
    json_object_end(json);
    json_object_end(json);
    json_key(json, "required");
    json_array(json);
    json_string(json, "items");
    json_string(json, "total");
    json_string(json, "next");
    json_array_end(json);
    json_object_end(json);
}

/* "Node", "[Node]" (a list with its cursor), "Operation|Preview" (one of them). */
static void put_shape_type(struct json *json, const char *what)
{
    char type[100];
    size_t length = strlen(what);
    if (what[0] == '[') {
        (void) snprintf(type, sizeof(type), "@%.*s", (int) length - 2, what + 1);
        put_list(json, type);
        return;
    }
    const char *bar = strchr(what, '|');
    if (bar == NULL) {
        (void) snprintf(type, sizeof(type), "@%s", what);
        openapi_type(json, type);
        return;
    }
    json_object(json);
    json_key(json, "anyOf");
    json_array(json);
    (void) snprintf(type, sizeof(type), "@%.*s", (int) (bar - what), what);
    openapi_type(json, type);
    put_shape_type(json, bar + 1);
    json_array_end(json);
    json_object_end(json);
}

static void put_media(struct json *json, const char *type, const char *shape)
{
    json_key(json, type);
    json_object(json);
    json_key(json, "schema");
    if (shape == NULL)
        openapi_type(json, "string");
    else
        put_shape_type(json, shape);
    json_object_end(json);
}

static void put_content(struct json *json, const char *what, bool failure)
{
    char type[64];
    json_key(json, "content");
    json_object(json);
    if (strchr(what, '/') == NULL)
        put_media(json, "application/json", what);
    else
        for (const char *at = what; *at != '\0';) {
            size_t length = strcspn(at, "|");
            (void) snprintf(type, sizeof(type), "%.*s", (int) length, at);
            put_media(json, type, NULL);
            at += length + (at[length] == '|' ? 1 : 0);
        }
    /* Who comes too late or is too many is told so on any route. */
    if (failure)
        put_media(json, "application/problem+json", "Problem");
    json_object_end(json);
}

static void put_headers(struct json *json, int status)
{
    json_key(json, "headers");
    json_object(json);
    json_key(json, "X-Request-ID");
    put_shared(json, "headers", "RequestId");
    if (status == 201 || status == 202) {
        json_key(json, "Location");
        put_shared(json, "headers", "Location");
    }
    json_object_end(json);
}

/* One word of route->answers: "200:Node", "204". */
static void put_answer(struct json *json, const char *word)
{
    char status[4] = "";
    int number;
    (void) snprintf(status, sizeof(status), "%.3s", word);
    number = (int) strtol(status, NULL, 10);
    json_key(json, status);
    json_object(json);
    json_put_string(json, "description", status_words(number));
    put_headers(json, number);
    if (word[3] == ':')
        put_content(json, word + 4, number >= 400);
    json_object_end(json);
}

#define STATUSES 600

static void add_statuses(bool *may, const char *list)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        char *end;
        long status = strtol(at, &end, 10);
        CHECK(end != at && status >= 400 && status < STATUSES);
        may[status] = true;
        at = end + strspn(end, " ");
    }
}

/* Whether a session may be too little for it: its permissions (a node that one may not read does
 * not exist), or where it is used from. */
static bool may_forbid(const struct route *route)
{
    bool permission = route->permission != PERMISSION_NONE &&
                      !(route->scope == ROUTE_NODE && route->permission == NODE_READ);
    return permission || !is_get(route) || route->check_origin || route->websocket;
}

static void find_problems(const struct route *route, bool *may)
{
    add_statuses(may, "400 414 431 500 503");
    if (route->scope != ROUTE_PUBLIC)
        add_statuses(may, may_forbid(route) ? "401 403 504" : "401 504");
    if (has_place(route, FIELD_PATH))
        add_statuses(may, "404");
    if (!route->any_query)
        add_statuses(may, "422");
    if (!is_get(route) || has_place(route, FIELD_BODY))
        add_statuses(may, "408 413 415");
    add_statuses(may, route->problems);
}

static void put_responses(struct json *json, const struct route *route)
{
    bool may[STATUSES] = {false};
    char word[100];
    const char *answers = route->answers == NULL ? "200:Anything" : route->answers;
    json_key(json, "responses");
    json_object(json);
    for (const char *at = answers; *at != '\0';) {
        size_t length = strcspn(at, " ");
        (void) snprintf(word, sizeof(word), "%.*s", (int) length, at);
        put_answer(json, word);
        at += length + strspn(at + length, " ");
    }
    find_problems(route, may);
    for (int status = 400; status < STATUSES; status++) {
        char key[8], name[16];
        (void) snprintf(key, sizeof(key), "%d", status);
        /* What has an answer of its own is no problem (503 of /health). */
        if (!may[status] || answers_with(route, key))
            continue;
        (void) snprintf(name, sizeof(name), "Problem%d", status);
        json_key(json, key);
        put_shared(json, "responses", name);
    }
    json_object_end(json);
}

/* ---- operations and paths ---- */

/* "get_nodes_node_processes": unique, since method and path are. */
static void put_operation_id(struct json *json, const struct route *route)
{
    char id[200];
    size_t length = 0;
    const char *path = route->path;
    if (strncmp(path, API_PREFIX "/", sizeof(API_PREFIX)) == 0)
        path += sizeof(API_PREFIX) - 1;
    for (const char *at = route->method; *at != '\0'; at++)
        id[length++] = (char) tolower((unsigned char) *at);
    for (; *path != '\0' && length < sizeof(id) - 1; path++)
        if (*path == '/' || *path == '-' || *path == '.')
            id[length++] = '_';
        else if (*path != '{' && *path != '}')
            id[length++] = *path;
    id[length] = '\0';
    json_put_string(json, "operationId", id);
}

/* The resource: the first segment below /api/v1; "service" for what lies outside. */
static void find_tag(const struct route *route, char *tag, size_t size)
{
    const char *path = route->path;
    if (strncmp(path, API_PREFIX "/", sizeof(API_PREFIX)) == 0)
        path += sizeof(API_PREFIX);
    else
        path = "service";
    (void) snprintf(tag, size, "%.*s", (int) strcspn(path, "/."), path);
}

static void put_security(struct json *json, const struct route *route)
{
    json_key(json, "security");
    json_array(json);
    if (route->scope != ROUTE_PUBLIC)
        for (int i = 0; i < 2; i++) {
            json_object(json);
            json_key(json, i == 0 ? "bearer" : "cookie");
            json_array(json);
            json_array_end(json);
            json_object_end(json);
        }
    json_array_end(json);
}

static void put_operation(struct json *json, const struct route *route)
{
    char method[16], tag[64];
    size_t length = 0;
    for (; route->method[length] != '\0'; length++)
        method[length] = (char) tolower((unsigned char) route->method[length]);
    method[length] = '\0';
    find_tag(route, tag, sizeof(tag));
    json_key(json, method);
    json_object(json);
    put_operation_id(json, route);
    json_key(json, "tags");
    json_array(json);
    json_string(json, tag);
    json_array_end(json);
    json_put_string(json, "summary", route->about);
    if (route->permission != PERMISSION_NONE)
        json_put_string(json, "x-permission", permission_name(route->permission));
    put_security(json, route);
    put_parameters(json, route);
    if (has_place(route, FIELD_BODY))
        put_body(json, route);
    put_responses(json, route);
    json_object_end(json);
}

struct every {
    const struct route **routes;
    size_t count;
};

static int by_path(const void *left, const void *right)
{
    const struct route *a = *(const struct route *const *) left;
    const struct route *b = *(const struct route *const *) right;
    int order = strcmp(a->path, b->path);
    return order != 0 ? order : strcmp(a->method, b->method);
}

static void put_paths(struct json *json, const struct every *every)
{
    json_key(json, "paths");
    json_object(json);
    for (size_t i = 0; i < every->count; i++) {
        const char *path = every->routes[i]->path;
        bool same = i > 0 && strcmp(every->routes[i - 1]->path, path) == 0;
        if (!same) {
            if (i > 0)
                json_object_end(json);
            json_key(json, path);
            json_object(json);
        }
        put_operation(json, every->routes[i]);
    }
    if (every->count > 0)
        json_object_end(json);
    json_object_end(json);
}

static void put_tags(struct json *json, const struct every *every)
{
    char tag[64], previous[64] = "";
    json_key(json, "tags");
    json_array(json);
    for (size_t i = 0; i < every->count; i++) {
        find_tag(every->routes[i], tag, sizeof(tag));
        if (strcmp(tag, previous) != 0) {
            json_object(json);
            json_put_string(json, "name", tag);
            json_object_end(json);
        }
        (void) snprintf(previous, sizeof(previous), "%s", tag);
    }
    json_array_end(json);
}

/* ---- what is shared ---- */

static void put_header_parameter(struct json *json, const char *key, const char *name,
                                 const char *about, const char *pattern)
{
    json_key(json, key);
    json_object(json);
    json_put_string(json, "name", name);
    json_put_string(json, "in", "header");
    json_put_string(json, "description", about);
    json_key(json, "schema");
    json_object(json);
    json_put_string(json, "type", "string");
    if (pattern != NULL)
        json_put_string(json, "pattern", pattern);
    json_object_end(json);
    json_object_end(json);
}

static void put_shared_parameters(struct json *json)
{
    json_key(json, "parameters");
    json_object(json);
    put_header_parameter(json, "RequestId", "X-Request-ID", "the caller's id for the request",
                         NULL);
    put_header_parameter(json, "TraceParent", "traceparent",
                         "W3C trace context; its trace id goes into the log", NULL);
    put_header_parameter(json, "CsrfToken", "X-CSRF-Token",
                         "needed with the cookie: from the login's answer or /auth/me", NULL);
    put_header_parameter(json, "Prefer", "Prefer", "wait=SECONDS, 0 to 120", NULL);
    put_header_parameter(json, "LastEventId", "Last-Event-ID", "resume behind this event", NULL);
    json_object_end(json);
}

static void put_shared_header(struct json *json, const char *key, const char *about,
                              const char *type)
{
    json_key(json, key);
    json_object(json);
    json_put_string(json, "description", about);
    json_key(json, "schema");
    openapi_type(json, type);
    json_object_end(json);
}

static void put_shared_headers(struct json *json)
{
    json_key(json, "headers");
    json_object(json);
    put_shared_header(json, "RequestId", "names the request, also in the log", "string");
    put_shared_header(json, "Location", "where the resource is", "string");
    put_shared_header(json, "RetryAfter", "seconds", "integer");
    put_shared_header(json, "WwwAuthenticate", "Bearer", "string");
    json_object_end(json);
}

static void put_problem(struct json *json, int status)
{
    struct strbuf about;
    char name[16];
    bool retry = false;
    strbuf_init(&about, 2000);
    for (int error = CESID_E_BAD_REQUEST; error < CESID_E_LAST; error++) {
        if (error_status(error) != status || error == CESID_E_CANCELLED)
            continue;
        strbuf_printf(&about, "%s`%s`: %s", about.length > 0 ? "; " : "", error_code(error),
                      error_title(error));
        retry = retry || error_retry_after(error);
    }
    if (about.length > 0) {
        (void) snprintf(name, sizeof(name), "Problem%d", status);
        json_key(json, name);
        json_object(json);
        json_put_string(json, "description", about.data);
        json_key(json, "headers");
        json_object(json);
        json_key(json, "X-Request-ID");
        put_shared(json, "headers", "RequestId");
        if (retry) {
            json_key(json, "Retry-After");
            put_shared(json, "headers", "RetryAfter");
        }
        if (status == 401) {
            json_key(json, "WWW-Authenticate");
            put_shared(json, "headers", "WwwAuthenticate");
        }
        json_object_end(json);
        json_key(json, "content");
        json_object(json);
        json_key(json, "application/problem+json");
        json_object(json);
        json_key(json, "schema");
        openapi_type(json, "@Problem");
        json_object_end(json);
        json_object_end(json);
        json_object_end(json);
    }
    strbuf_destroy(&about);
}

static void put_schemes(struct json *json)
{
    json_key(json, "securitySchemes");
    json_object(json);
    json_key(json, "bearer");
    json_object(json);
    json_put_string(json, "type", "http");
    json_put_string(json, "scheme", "bearer");
    json_put_string(json, "description", "a session's token, or an API token");
    json_object_end(json);
    json_key(json, "cookie");
    json_object(json);
    json_put_string(json, "type", "apiKey");
    json_put_string(json, "in", "cookie");
    json_put_string(json, "name", "cesid_session");
    json_put_string(json, "description", "with X-CSRF-Token for everything but GET and HEAD");
    json_object_end(json);
    json_object_end(json);
}

static void put_components(struct json *json)
{
    json_key(json, "components");
    json_object(json);
    json_key(json, "schemas");
    json_object(json);
    for (size_t i = 0; i < openapi_shapes_count; i++) {
        json_key(json, openapi_shapes[i].name);
        openapi_shape(json, &openapi_shapes[i]);
    }
    json_object_end(json);
    json_key(json, "responses");
    json_object(json);
    for (int status = 400; status < STATUSES; status++)
        put_problem(json, status);
    json_object_end(json);
    put_shared_parameters(json);
    put_shared_headers(json);
    put_schemes(json);
    json_object_end(json);
}

static void put_info(struct json *json, const char *base_path, const char *version)
{
    json_put_string(json, "openapi", "3.1.0");
    json_key(json, "info");
    json_object(json);
    json_put_string(json, "title", "cesid");
    json_put_string(json, "version", version);
    json_put_string(json, "description", about_all);
    json_key(json, "license");
    json_object(json);
    json_put_string(json, "name", "MIT");
    json_put_string(json, "identifier", "MIT");
    json_object_end(json);
    json_object_end(json);
    json_key(json, "servers");
    json_array(json);
    json_object(json);
    json_put_string(json, "url", base_path[0] == '\0' ? "/" : base_path);
    json_object_end(json);
    json_array_end(json);
}

void openapi_json(struct json *json, const struct route_table *const *tables, size_t tables_count,
                  const char *base_path, const char *version)
{
    struct every every = {0};
    size_t most = 0;
    for (size_t t = 0; t < tables_count; t++)
        most += tables[t]->count;
    every.routes = mem_array(most, sizeof(const struct route *));
    for (size_t t = 0; t < tables_count; t++)
        for (size_t r = 0; r < tables[t]->count; r++)
            if (is_described(&tables[t]->routes[r]))
                every.routes[every.count++] = &tables[t]->routes[r];
    qsort(every.routes, every.count, sizeof(const struct route *), by_path);
    json_object(json);
    put_info(json, base_path, version);
    put_tags(json, &every);
    put_paths(json, &every);
    put_components(json);
    json_object_end(json);
    free(every.routes);
}
