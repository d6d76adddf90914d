/*
 * /nodes: list, one, poll now, diagnose. CivetWeb's workers; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/fields.h"
#include "cesid/fleet.h"
#include "cesid/paging.h"
#include "cesid/routes.h"

static bool has_label(const struct config_node *config, const char *wanted)
{
    const char *equals = strchr(wanted, '=');
    size_t length = (size_t) (equals - wanted);
    for (size_t i = 0; i < config->labels_count; i++)
        if (strlen(config->labels[i].key) == length &&
            memcmp(config->labels[i].key, wanted, length) == 0 &&
            strcmp(config->labels[i].value, equals + 1) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct request *request, const struct fleet_node *one)
{
    size_t labels;
    char *const *label = request_items(request, "label", &labels);
    if (!request_admits(request, "environment", one->environment) ||
        !request_admits(request, "state", node_state_name(one->view->state)) ||
        !fleet_contains(one->name, request_text(request, "q")))
        return false;
    for (size_t i = 0; i < labels; i++)
        if (!has_label(&one->view->settings->config, label[i]))
            return false;
    return true;
}

static int list(struct request *request, struct response *response)
{
    struct page page;
    struct fleet fleet;
    page_begin(&page, request, response);
    fleet_open(&fleet, request, NODE_READ);
    for (size_t i = 0; i < fleet.count; i++)
        if (is_wanted(request, &fleet.nodes[i]) && page_admits(&page, fleet.nodes[i].name))
            node_json(page.json, fleet.nodes[i].node, fleet.nodes[i].view);
    page_end(&page);
    fleet_close(&fleet);
    return 0;
}

static int one(struct request *request, struct response *response)
{
    node_json(response_json(response), request->node, request->view);
    return 0;
}

/* The node as it is after a poll. The poll's failure is what the node now shows, not ours. */
static int refresh(struct request *request, struct response *response)
{
    int64_t deadline = clock_after(request->config->timeouts.refresh + 1);
    if (request->view->state == NODE_DISABLED) {
        problem_detail(&request->problem, "The node is disabled");
        return CESID_E_CONFLICT;
    }
    int error = refresh_wait(request->context->refresh, request->node, deadline);
    if (error == CESID_E_SHUTTING_DOWN)
        return error;
    node_view_unref(&request->view);
    request->view = node_view(request->node);
    return one(request, response);
}

static void put_methods(struct json *json, const struct xmlrpc_value *list)
{
    json_key(json, "methods");
    json_array(json);
    if (list != NULL && list->type == XMLRPC_ARRAY)
        for (const struct xmlrpc_value *at = list->as.items.first; at != NULL; at = at->next)
            if (at->type == XMLRPC_STRING)
                json_bytes(json, at->as.string.data, at->as.string.length);
    json_array_end(json);
}

/* A diagnosis talks to the node whatever the breaker thinks: that is what it is for. It is about
 * the node as it was when it was asked for, which may be disabled meanwhile and have no endpoint
 * then. */
static int check_call(struct request *request, const char *method, struct supervisor_result *result)
{
    struct supervisor_call call;
    supervisor_call_init(&call, method, request->config, request->config->timeouts.refresh);
    int error = supervisor_wait(request->view->settings->endpoint, &call, request_cancelled,
                                request, result);
    supervisor_call_destroy(&call);
    return error;
}

static int check(struct request *request, struct response *response)
{
    struct supervisor_result version = {0}, methods = {0};
    struct json *json = response_json(response);
    if (request->view->settings->endpoint == NULL) {
        problem_detail(&request->problem, "The node is disabled");
        return CESID_E_CONFLICT;
    }
    int error = check_call(request, "supervisor.getSupervisorVersion", &version);
    bool reached = error == 0 && !version.answer.fault;
    if (reached)
        error = check_call(request, "system.listMethods", &methods);
    const struct supervisor_result *last = reached ? &methods : &version;
    enum rpc_cause cause = last->cause;
    if (version.answer.fault)
        cause = supervisor_fault_cause(version.answer.fault_code);
    /* Not every supervisord lists its methods, but it has a version. */
    bool ok = last->error == 0 || (last->answer.fault && cause == RPC_CAUSE_NONE);

    json_object(json);
    json_put_boolean(json, "ok", ok);
    json_put_string(json, "cause", ok ? NULL : rpc_cause_name(cause));
    json_put_string(json, "hint", ok ? NULL : rpc_cause_hint(cause));
    json_put_string(json, "detail", ok ? NULL : last->detail);
    if (reached)
        json_put_real(json, "latency", version.duration);
    else
        json_put_null(json, "latency");
    if (reached && version.answer.value->type == XMLRPC_STRING)
        json_put_string(json, "version", version.answer.value->as.string.data);
    else
        json_put_null(json, "version");
    put_methods(json, methods.error == 0 ? methods.answer.value : NULL);
    json_object_end(json);
    supervisor_result_free(&version);
    supervisor_result_free(&methods);
    return error == CESID_E_CANCELLED || error == CESID_E_SHUTTING_DOWN ? CESID_E_SHUTTING_DOWN : 0;
}

static const struct field list_fields[] = {
    FIELD_ENVIRONMENTS,
    {.name = "state",
     .place = FIELD_QUERY,
     .type = FIELD_STRINGS,
     .choices = "up|down|connecting|disabled",
     .about = "states of nodes"},
    {.name = "label",
     .place = FIELD_QUERY,
     .type = FIELD_STRINGS,
     .format = FORMAT_LABEL,
     .maximum = 512,
     .about = "key=value; all that are given must hold"},
    FIELD_SEARCH("the node's name"),
    PAGE_FIELDS,
};
static const struct field node_fields[] = {FIELD_NODE_PATH};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/nodes",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .handler = list,
     ROUTE_FIELDS(list_fields),
     .about = "Nodes by name",
     .answers = "200:[Node]"},
    {.method = "GET",
     .path = "/api/v1/nodes/{node}",
     .scope = ROUTE_NODE,
     .permission = NODE_READ,
     .handler = one,
     ROUTE_FIELDS(node_fields),
     .about = "One node",
     .answers = "200:Node"},
    {.method = "POST",
     .path = "/api/v1/nodes/{node}/refresh",
     .scope = ROUTE_NODE,
     .permission = NODE_READ,
     .handler = refresh,
     ROUTE_FIELDS(node_fields),
     .about = "Poll the node now and show it",
     .answers = "200:Node",
     .problems = "409"},
    {.method = "POST",
     .path = "/api/v1/nodes/{node}/check",
     .scope = ROUTE_NODE,
     .permission = NODE_READ,
     .handler = check,
     ROUTE_FIELDS(node_fields),
     .about = "Find out what is wrong with the connection",
     .answers = "200:Check",
     .problems = "409"},
};
const struct route_table routes_nodes = {routes, ARRAY_LENGTH(routes)};
