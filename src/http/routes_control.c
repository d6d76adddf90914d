/*
 * /nodes/{node}: supervisord itself: its configuration, reread, update, restart, shutdown, its own
 * log. CivetWeb's workers; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/fields.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/routes.h"
#include "cesid/updating.h"

#define ID_MAX 1024 /* of "group:name": more than any process that the registry takes */

static int call0(struct request *request, const char *method, struct supervisor_result *result)
{
    struct supervisor_call call;
    supervisor_call_init(&call, method, request->config, request->config->timeouts.config);
    return request_call(request, &call, result);
}

static void put_value(struct json *json, const struct xmlrpc_value *value, int depth)
{
    const struct xmlrpc_value *at;
    switch (value->type) {
    case XMLRPC_INT:
        json_integer(json, value->as.integer);
        return;
    case XMLRPC_BOOLEAN:
        json_boolean(json, value->as.integer != 0);
        return;
    case XMLRPC_DOUBLE:
        json_real(json, value->as.real);
        return;
    case XMLRPC_STRING:
        json_bytes(json, value->as.string.data, value->as.string.length);
        return;
    case XMLRPC_ARRAY:
        json_array(json);
        for (at = value->as.items.first; at != NULL && depth < 4; at = at->next)
            put_value(json, at, depth + 1);
        json_array_end(json);
        return;
    case XMLRPC_STRUCT:
    case XMLRPC_NIL:
        break;
    }
    json_null(json);
}

/* A key that json_key may write as it is; supervisord's are all such. */
static bool is_plain_key(const char *key)
{
    return key[0] != '\0' && strspn(key, "abcdefghijklmnopqrstuvwxyz_0123456789") == strlen(key);
}

/* A program's section, with what it is listed by. */
struct program {
    char *id; /* "group:name" */
    const struct xmlrpc_value *settings;
};

static int compare(const void *left, const void *right)
{
    return strcmp(((const struct program *) left)->id, ((const struct program *) right)->id);
}

static void put_program(struct json *json, const struct xmlrpc_value *settings)
{
    json_object(json);
    for (const struct xmlrpc_value *at = settings->as.items.first; at != NULL; at = at->next) {
        if (!is_plain_key(at->name))
            continue;
        json_key(json, at->name);
        put_value(json, at, 0);
    }
    json_object_end(json);
}

static struct program *sorted_programs(const struct xmlrpc_value *list, size_t *count)
{
    struct program *programs = mem_array(list->as.items.count + 1, sizeof(*programs));
    *count = 0;
    for (const struct xmlrpc_value *one = list->as.items.first; one != NULL; one = one->next) {
        const struct xmlrpc_value *group = xmlrpc_member(one, "group");
        const struct xmlrpc_value *name = xmlrpc_member(one, "name");
        if (group == NULL || group->type != XMLRPC_STRING || name == NULL ||
            name->type != XMLRPC_STRING)
            continue;
        struct strbuf id;
        strbuf_init(&id, ID_MAX);
        strbuf_printf(&id, "%s:%s", group->as.string.data, name->as.string.data);
        if (!strbuf_failed(&id)) {
            programs[*count].settings = one;
            programs[(*count)++].id = strbuf_steal(&id);
        }
        strbuf_destroy(&id);
    }
    qsort(programs, *count, sizeof(*programs), compare);
    return programs;
}

static int config(struct request *request, struct response *response)
{
    struct supervisor_result result;
    struct page page;
    int error = call0(request, "supervisor.getAllConfigInfo", &result);
    if (error == 0 && result.answer.value->type != XMLRPC_ARRAY)
        error = CESID_E_NODE_PROTOCOL;
    if (error == 0) {
        page_begin(&page, request, response);
        size_t count;
        struct program *programs = sorted_programs(result.answer.value, &count);
        for (size_t i = 0; i < count; i++) {
            if (page_admits(&page, programs[i].id))
                put_program(page.json, programs[i].settings);
            free(programs[i].id);
        }
        free(programs);
        page_end(&page);
    }
    supervisor_result_free(&result);
    return error;
}

/* [[added, changed, removed]] of reloadConfig, each a list of names. */
static const struct xmlrpc_value *change(const struct supervisor_result *result, int which)
{
    const struct xmlrpc_value *at = result->answer.value;
    if (at->type != XMLRPC_ARRAY || at->as.items.count != 1)
        return NULL;
    at = at->as.items.first;
    if (at->type != XMLRPC_ARRAY || at->as.items.count != 3)
        return NULL;
    at = at->as.items.first;
    for (; which > 0; which--)
        at = at->next;
    return at->type == XMLRPC_ARRAY ? at : NULL;
}

enum { ADDED, CHANGED, REMOVED };

static int reload(struct request *request, struct response *response,
                  struct supervisor_result *result)
{
    static const char *const names[] = {"added", "changed", "removed"};
    int error = call0(request, "supervisor.reloadConfig", result);
    if (error != 0)
        return error;
    struct json *json = response_json(response);
    json_object(json);
    for (int which = ADDED; which <= REMOVED; which++) {
        const struct xmlrpc_value *list = change(result, which);
        if (list == NULL)
            return CESID_E_NODE_PROTOCOL;
        json_key(json, names[which]);
        put_value(json, list, 0);
    }
    json_object_end(json);
    return 0;
}

static int reread(struct request *request, struct response *response)
{
    struct supervisor_result result;
    int error = reload(request, response, &result);
    supervisor_result_free(&result);
    return error;
}

static int update(struct request *request, struct response *response)
{
    struct supervisor_result result;
    if (!request_take_stream(request))
        return CESID_E_TOO_MANY_CLIENTS;
    int error = reload(request, response, &result);
    if (error == 0) {
        struct updating_changes changes = {.added = change(&result, ADDED),
                                           .changed = change(&result, CHANGED),
                                           .removed = change(&result, REMOVED)};
        error = updating_run(request, &changes);
    }
    supervisor_result_free(&result);
    return error;
}

static int simple(struct request *request, struct response *response, const char *method)
{
    struct supervisor_result result;
    int error = call0(request, method, &result);
    supervisor_result_free(&result);
    response_no_content(response);
    refresh_now(request->context->refresh, request->node, NULL, NULL);
    return error;
}

static int restart(struct request *request, struct response *response)
{
    return simple(request, response, "supervisor.restart");
}

static int shut_down(struct request *request, struct response *response)
{
    return simple(request, response, "supervisor.shutdown");
}

static const struct field node_fields[] = {FIELD_NODE_PATH};
static const struct field config_fields[] = {FIELD_NODE_PATH, PAGE_FIELDS};

#define CONTROL(verb, where, what, does, text, says)                                               \
    {                                                                                              \
        .method = (verb), .path = "/api/v1/nodes/{node}/" where, .scope = ROUTE_NODE,              \
        .permission = NODE_CONTROL, .handler = (what), ROUTE_FIELDS(node_fields), .about = (text), \
        .action = (does), .resource = "node", .answers = (says), .problems = "409 502"             \
    }

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/config",
     .scope = ROUTE_NODE,
     .permission = NODE_CONTROL,
     .handler = config,
     ROUTE_FIELDS(config_fields),
     .about = "What supervisord has in its configuration",
     .answers = "200:[Program]",
     .problems = "409 502"},
    CONTROL("POST", "reread", reread, "supervisor.reread",
            "Read supervisord's configuration again, change nothing", "200:Changes"),
    CONTROL("POST", "update", update, "supervisor.update", "Read it again and restart what changed",
            "200:Changes"),
    CONTROL("POST", "supervisor/restart", restart, "supervisor.restart",
            "Restart supervisord itself", "204"),
    CONTROL("POST", "supervisor/shutdown", shut_down, "supervisor.shutdown",
            "Shut supervisord down", "204"),
};
const struct route_table routes_control = {routes, ARRAY_LENGTH(routes)};
