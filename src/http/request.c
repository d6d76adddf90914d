/*
 * What handlers ask of a request. See request.h. Owned by one worker; no locks.
 */
#include "cesid/request.h"

#include <civetweb.h>
#include <string.h>

#include "cesid/serving.h"
#include "cesid/sockets.h"

static const struct value *value_of(const struct request *request, const char *name)
{
    const struct route *route = request->route;
    size_t i = 0;
    while (i < route->fields_count && strcmp(route->fields[i].name, name) != 0)
        i++;
    CHECK(i < route->fields_count);
    return &request->values.items[i];
}

bool request_has(const struct request *request, const char *name)
{
    return value_of(request, name)->present;
}

const char *request_text(const struct request *request, const char *name)
{
    return value_of(request, name)->text;
}

int64_t request_integer(const struct request *request, const char *name)
{
    return value_of(request, name)->integer;
}

double request_number(const struct request *request, const char *name)
{
    return value_of(request, name)->real;
}

bool request_boolean(const struct request *request, const char *name)
{
    return value_of(request, name)->boolean;
}

char *const *request_items(const struct request *request, const char *name, size_t *count)
{
    const struct value *value = value_of(request, name);
    *count = value->items_count;
    return value->items;
}

bool request_admits(const struct request *request, const char *name, const char *text)
{
    const struct value *value = value_of(request, name);
    for (size_t i = 0; i < value->items_count; i++)
        if (strcmp(value->items[i], text) == 0)
            return true;
    return !value->present;
}

const char *request_header(const struct request *request, const char *name)
{
    return mg_get_header(request->connection, name);
}

bool request_allows(const struct request *request, enum permission permission,
                    const char *environment)
{
    return request->session != NULL &&
           access_allows(request->session->access, permission, environment);
}

bool request_still_allows(const struct request *request, enum permission permission)
{
    struct session *now = auth_session_current(request->context->auth, request->session);
    struct node_view *view = node_view(request->node);
    bool allows =
        now != NULL && access_allows(now->access, permission, view->settings->config.environment);
    node_view_unref(&view);
    session_unref(&now);
    return allows;
}

bool request_cancelled(void *argument)
{
    struct request *request = argument;
    return atomic_load(&request->serving->state) >= SERVER_REFUSING || peer_gone(request->peer);
}

bool request_take_stream(struct request *request)
{
    struct serving *serving = request->serving;
    if (request->streams_permit)
        return true;
    int taken = atomic_load(&serving->streams);
    do {
        if (taken >= serving->streams_limit)
            return false;
    } while (!atomic_compare_exchange_weak(&serving->streams, &taken, taken + 1));
    request->streams_permit = true;
    struct config *config = config_get(serving->box);
    peer_patience(request->peer, config->websocket.idle_timeout);
    config_unref(&config);
    return true;
}

void request_return_stream(struct request *request)
{
    if (request->streams_permit)
        atomic_fetch_sub(&request->serving->streams, 1);
    request->streams_permit = false;
}

int request_call_failed(struct request *request, const struct supervisor_result *result)
{
    int error = result->error;
    if (result->answer.fault) {
        problem_fault(&request->problem, result->answer.fault_code, result->answer.fault_text);
        if (result->answer.fault_code == FAULT_NO_FILE)
            error = CESID_E_NOT_FOUND;
    }
    if (error == CESID_E_NOT_FOUND && result->answer.fault_code == FAULT_NO_FILE)
        problem_detail(&request->problem, "supervisord keeps no such log (%s)", result->detail);
    else if (result->detail[0] != '\0')
        problem_detail(&request->problem, "%s", result->detail);
    return error;
}

int request_node_allow(struct request *request, struct node_settings *settings)
{
    if (settings->endpoint == NULL) {
        problem_detail(&request->problem, "The node is disabled");
        return CESID_E_CONFLICT;
    }
    if (!node_breaker_allow(request->node)) {
        request->problem.retry_after = node_breaker_retry_after(request->node);
        return CESID_E_NODE_CIRCUIT_OPEN;
    }
    return 0;
}

void request_node_report(struct request *request, int error)
{
    const struct config_breaker *breaker = &request->config->breaker;
    struct breaker_settings limits = {.failures = breaker->failures,
                                      .open_min = breaker->open_min,
                                      .open_max = breaker->open_max};
    node_breaker_report(request->node, error, &limits);
}

int request_call(struct request *request, struct supervisor_call *call,
                 struct supervisor_result *result)
{
    struct node_settings *settings = node_settings(request->node);
    *result = (struct supervisor_result){0};
    int error = request_node_allow(request, settings);
    if (error == 0) {
        error = supervisor_wait(settings->endpoint, call, request_cancelled, request, result);
        request_node_report(request, error);
        if (error != 0)
            error = request_call_failed(request, result);
    }
    supervisor_call_destroy(call);
    node_settings_unref(&settings);
    return error;
}
