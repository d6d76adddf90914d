/*
 * The way of every request. See dispatcher.h. CivetWeb's workers; no locks of its own.
 *
 * A worker's stack is 100 KiB, so a request lives on the heap.
 */
#include "cesid/dispatcher.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cesid/body.h"
#include "cesid/clock.h"
#include "cesid/credentials.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "cesid/random.h"
#include "cesid/recorder.h"
#include "cesid/request.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/text.h"
#include "cesid/websocket.h"

#define WAIT_MOST 120.0

struct handling {
    struct request request;
    struct response response;
};

static void make_id(char id[REQUEST_ID_SIZE], const char *sent)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t length = sent == NULL ? 0 : strlen(sent);
    if (length > 0 && length < REQUEST_ID_SIZE && strspn(sent, plain) == length) {
        memcpy(id, sent, length + 1);
        return;
    }
    random_hex(id, 12);
}

static bool is_hex(const char *text, size_t length)
{
    return strspn(text, "0123456789abcdef") >= length;
}

static bool is_zero(const char *text, size_t length)
{
    return strspn(text, "0") >= length;
}

/* W3C trace context: VERSION-TRACE-PARENT-FLAGS, and more of later versions. What is not one is
 * ignored, as it is to be. */
static void take_trace(const char *sent)
{
    char trace[33];
    size_t length = sent == NULL ? 0 : strlen(sent);

    if (length < 55 || !is_hex(sent, 2) || strncmp(sent, "ff", 2) == 0 || sent[2] != '-' ||
        !is_hex(sent + 3, 32) || is_zero(sent + 3, 32) || sent[35] != '-' ||
        !is_hex(sent + 36, 16) || is_zero(sent + 36, 16) || sent[52] != '-' ||
        !is_hex(sent + 53, 2))
        return;
    if (length > 55 && (strncmp(sent, "00", 2) == 0 || sent[55] != '-'))
        return;
    memcpy(trace, sent + 3, 32);
    trace[32] = '\0';
    log_set_trace(trace);
}

/* Whether a comma-separated header holds that token. */
static bool has_token(const char *list, const char *token)
{
    size_t wanted = strlen(token);
    for (const char *at = list; at != NULL && *at != '\0';) {
        at += strspn(at, ", \t");
        size_t length = strcspn(at, ",");
        size_t word = length;
        while (word > 0 && (at[word - 1] == ' ' || at[word - 1] == '\t'))
            word--;
        if (word == wanted && strncasecmp(at, token, wanted) == 0)
            return true;
        at += length;
    }
    return false;
}

static bool wants_keep_alive(const struct request *request, const struct mg_request_info *info)
{
    const char *connection = mg_get_header(request->connection, "Connection");
    if (atomic_load(&request->serving->state) != SERVER_OPEN ||
        sockets_count(request->serving->sockets) > request->serving->busy_limit)
        return false;
    if (connection != NULL)
        return has_token(connection, "keep-alive") && !has_token(connection, "upgrade");
    return info->http_version != NULL && strcmp(info->http_version, "1.1") == 0;
}

static double wait_preference(const struct request *request)
{
    const char *prefer = request_header(request, "Prefer");
    for (const char *at = prefer; at != NULL && *at != '\0';) {
        at += strspn(at, ", ;\t");
        if (strncasecmp(at, "wait=", 5) == 0 && at[5] >= '0' && at[5] <= '9') {
            double wait = strtod(at + 5, NULL);
            return wait > WAIT_MOST ? WAIT_MOST : wait;
        }
        at += strcspn(at, ",;");
    }
    return -1;
}

static void begin(struct handling *handling, struct serving *serving,
                  struct mg_connection *connection, struct exchange *exchange)
{
    struct request *request = &handling->request;
    const struct mg_request_info *info = mg_get_request_info(connection);
    request->serving = serving;
    request->context = &serving->context;
    request->connection = connection;
    request->peer = exchange->peer;
    request->config = config_get(serving->box);
    request->method = info->request_method == NULL ? "GET" : info->request_method;
    request->safe = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    request->started = clock_now();
    request->wait = -1;
    request->path = "";
    problem_init(&request->problem);
    response_init(&handling->response, request);
    make_id(request->id, mg_get_header(connection, "X-Request-ID"));
    log_set_request(request->id);
    take_trace(mg_get_header(connection, "traceparent"));
    (void) snprintf(request->address, sizeof(request->address), "%s", info->remote_addr);
}

static void end(struct handling *handling)
{
    struct request *request = &handling->request;
    request_return_stream(request);
    response_destroy(&handling->response);
    if (request->session != NULL)
        session_unref(&request->session);
    if (request->view != NULL)
        node_view_unref(&request->view);
    if (request->node != NULL)
        node_unref(&request->node);
    values_destroy(&request->values);
    if (request->body != NULL)
        explicit_bzero(request->body, request->body_length);
    free(request->body);
    free(request->joined);
    route_path_destroy(&request->segments);
    problem_destroy(&request->problem);
    config_unref(&request->config);
    peer_mark(request->peer);
    log_set_request(NULL);
    free(handling);
}

static int check_limits(const struct mg_request_info *info)
{
    size_t query = info->query_string == NULL ? 0 : strlen(info->query_string) + 1;
    if (strlen(info->request_uri) + query > ROUTE_URI_MAX)
        return CESID_E_URI_TOO_LONG;
    /* CivetWeb keeps as many and forgets the rest: what is in it cannot be judged. */
    if (info->num_headers >= MG_MAX_HEADERS)
        return CESID_E_HEADERS_TOO_LARGE;
    int hosts = 0, authorizations = 0;
    for (int i = 0; i < info->num_headers; i++) {
        const char *name = info->http_headers[i].name;
        hosts += strcasecmp(name, "Host") == 0;
        authorizations += strcasecmp(name, "Authorization") == 0;
    }
    bool named = hosts == 1 || (hosts == 0 && strcmp(info->http_version, "1.1") != 0);
    if (!named || authorizations > 1)
        return CESID_E_BAD_REQUEST;
    return 0;
}

/* Compares base_path, sets what lies below it. */
static int find_path(struct request *request, const char *uri)
{
    int error = route_path_decode(&request->segments, uri);
    if (error != 0)
        return error;
    const char *base = request->serving->base_path;
    while (*base == '/') {
        size_t length = strcspn(base + 1, "/");
        if (request->base >= request->segments.count ||
            strlen(request->segments.segments[request->base]) != length ||
            memcmp(request->segments.segments[request->base], base + 1, length) != 0)
            return CESID_E_NOT_FOUND;
        base += length + 1;
        request->base++;
    }
    struct strbuf joined;
    strbuf_init(&joined, ROUTE_URI_MAX + 1);
    for (size_t i = request->base; i < request->segments.count; i++)
        strbuf_printf(&joined, "/%s", request->segments.segments[i]);
    request->joined = strbuf_steal(&joined);
    request->path = request->joined;
    return 0;
}

static int find_route(struct request *request)
{
    struct route_match match;
    int error = route_find(routes_all, routes_all_count, request->method, &request->segments,
                           request->base, &match);
    if (error == CESID_E_METHOD_NOT_ALLOWED)
        (void) snprintf(request->problem.allow, sizeof(request->problem.allow), "%s", match.allow);
    request->route = match.route;
    return error;
}

static int check_state(const struct request *request)
{
    enum server_state state = atomic_load(&request->serving->state);
    if (state >= SERVER_REFUSING)
        return CESID_E_SHUTTING_DOWN;
    if (state == SERVER_STARTING && !request->route->early)
        return CESID_E_STORE_UNAVAILABLE;
    return 0;
}

/* The permission, where the route wants it. An unseen node does not exist; a seen one may refuse.
 */
static int check_permission(struct request *request)
{
    const struct route *route = request->route;
    const char *environment;
    switch (route->scope) {
    case ROUTE_PUBLIC:
        return 0;
    case ROUTE_GLOBAL:
        return route->permission == PERMISSION_NONE ||
                       request_allows(request, route->permission, NULL)
                   ? 0
                   : CESID_E_FORBIDDEN;
    case ROUTE_FLEET:
        return access_allows_somewhere(request->session->access, route->permission)
                   ? 0
                   : CESID_E_FORBIDDEN;
    case ROUTE_NODE:
        request->node = registry_find(request->context->registry, request_text(request, "node"));
        if (request->node == NULL)
            return CESID_E_NOT_FOUND;
        request->view = node_view(request->node);
        environment = request->view->settings->config.environment;
        if (!request_allows(request, NODE_READ, environment))
            return CESID_E_NOT_FOUND;
        return request_allows(request, route->permission, environment) ? 0 : CESID_E_FORBIDDEN;
    }
    return CESID_E_INTERNAL;
}

static int check_signed_in(struct request *request)
{
    if (!request->route->signed_in || request->session->token_hash[0] == '\0')
        return 0;
    problem_detail(&request->problem, "An API token cannot do this: sign in");
    return CESID_E_FORBIDDEN;
}

static int validate(struct request *request, const struct mg_request_info *info)
{
    int error =
        validate_query(request->route, info->query_string, &request->values, &request->problem);
    if (error == 0)
        error = body_read(request);
    if (error == 0)
        error = validate_body(request->route, request->body, request->body_length, &request->values,
                              &request->problem);
    if (error != 0)
        return error;
    error = validate_finish(request->route, &request->values, &request->problem);
    if (request->route->check != NULL)
        request->route->check(request);
    return request->problem.fields_total > 0 ? CESID_E_VALIDATION_FAILED : error;
}

static int serve(struct handling *handling, struct exchange *exchange, bool *upgrade)
{
    struct request *request = &handling->request;
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    int error = check_limits(info);
    int announced = body_announced(request);
    if (error != 0)
        request->body_unread = true; /* what announces a body may be among what was left out */
    request->keep_alive = error == 0 && wants_keep_alive(request, info);
    if (error == 0)
        error = announced;
    if (error == 0)
        error = find_path(request, info->local_uri_raw);
    if (error == 0 && request->segments.count == request->base && request->safe) {
        /* base_path without its slash: relative links would miss. */
        handling->response.status = 308;
        response_location(&handling->response, "/");
        return 0;
    }
    if (error == 0)
        error = find_route(request);
    if (error == 0)
        error = check_state(request);
    if (error != 0)
        return error;

    values_init(&request->values, request->route);
    request->wait = wait_preference(request);
    credentials_place(request, info->remote_addr);
    if (request->route->scope != ROUTE_PUBLIC)
        error = credentials_check(request);
    /* In any case: who is refused is recorded with what he wanted. */
    int wrong_path =
        validate_path(request->route, &request->segments, request->base, &request->values);
    if (error == 0)
        error = wrong_path;
    if (error == 0)
        error = check_permission(request);
    if (error == 0)
        error = validate(request, info);
    if (error == 0)
        error = check_signed_in(request);
    if (error != 0)
        return error;
    if (request->route->websocket) {
        error = websocket_accept(request, exchange);
        *upgrade = error == 0;
        return error;
    }
    error = recorder_begin(request);
    if (error != 0)
        return error;
    lock_assert_none_held();
    return request->route->handler(request, &handling->response);
}

#define OTHER_METHOD "other"

/* Label values are words of ours: a method that nobody knows is not. */
static const char *method_label(const char *method)
{
    static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                          "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (strcmp(method, methods[i]) == 0)
            return methods[i];
    return OTHER_METHOD;
}

static void count_served(const struct request *request, const struct response *response)
{
    const char *route = route_label(request->route);
    const char *method = method_label(request->method);
    char status[8];
    (void) snprintf(status, sizeof(status), "%d", response->status);
    metrics_count(METRIC_HTTP_REQUESTS, route, method, status);
    metrics_observe(METRIC_HTTP_DURATION, clock_seconds_since(request->started), route);
}

static void log_served(const struct request *request, const struct response *response, int error)
{
    const char *route = request->route == NULL ? "" : request->route->path;
    const char *user = request->session == NULL ? "" : request->session->user.username;
    double duration = clock_seconds_since(request->started);
    int status = response->status;
    if (status >= 500 && error == CESID_E_INTERNAL)
        log_error("http", "request failed", log_s("method", request->method), log_s("route", route),
                  log_i("status", status), log_s("user", user), log_f("duration", duration),
                  log_s("address", request->address));
    else if (request->route == NULL || !request->route->quiet)
        log_info("http", "request", log_s("method", request->method), log_s("route", route),
                 log_i("status", status), log_s("code", error == 0 ? "" : error_code(error)),
                 log_s("user", user), log_f("duration", duration),
                 log_i("bytes", (int64_t) response->sent), log_s("address", request->address));
    else
        log_debug("http", "request", log_s("method", request->method), log_s("route", route),
                  log_i("status", status), log_f("duration", duration));
}

int dispatcher_request(struct serving *serving, struct mg_connection *connection,
                       struct exchange *exchange)
{
    bool upgrade = false;
    /* Counted before the state is looked at, so that a drain sees whoever it did not turn away. */
    atomic_fetch_add(&serving->requests, 1);
    struct handling *handling = mem_alloc(sizeof(*handling));
    begin(handling, serving, connection, exchange);
    int error = serve(handling, exchange, &upgrade);
    int status = 0;
    /* Who gave up waiting: we, or a client that will not see the answer. */
    if (error == CESID_E_CANCELLED && !handling->response.streaming)
        error = CESID_E_SHUTTING_DOWN;
    if (error != 0 && handling->response.streaming && error != CESID_E_CANCELLED &&
        error != CESID_E_SHUTTING_DOWN)
        log_warning("http", "stream was cut", log_s("route", handling->request.route->path),
                    log_s("code", error_code(error)));
    error = recorder_end(&handling->request, &handling->response, error);
    if (upgrade) {
        handling->response.status = 101;
    } else {
        if (handling->request.body_unread)
            handling->request.keep_alive = false;
        /* Whoever has the answer finds the permit free that it waited with. */
        if (!handling->response.streaming)
            request_return_stream(&handling->request);
        response_send(&handling->response, error);
        status = handling->response.status;
    }
    log_served(&handling->request, &handling->response, error);
    count_served(&handling->request, &handling->response);
    end(handling);
    atomic_fetch_add(&serving->served, 1);
    atomic_fetch_sub(&serving->requests, 1);
    return status;
}

/* CivetWeb says "Malformed message" for nonsense, for too much, and for too slow. */
static int judge(const struct serving *serving, int status, const struct exchange *exchange)
{
    struct config *config = config_get(serving->box);
    double patience = config->server.header_timeout * 0.9;
    config_unref(&config);
    if (status == 413 || (status == 400 && peer_received(exchange->peer) >= 16384))
        return CESID_E_HEADERS_TOO_LARGE;
    if (status == 408 || (status == 400 && peer_waited(exchange->peer) >= patience))
        return CESID_E_REQUEST_TIMEOUT;
    if (status == 404)
        return CESID_E_NOT_FOUND;
    return status >= 500 && status != 505 ? CESID_E_INTERNAL : CESID_E_BAD_REQUEST;
}

/* CivetWeb stops reading at a method that it does not know; the path it has by then. */
static int judge_method(struct request *request, const struct mg_request_info *info)
{
    char path[ROUTE_URI_MAX + 1];
    const char *uri = info->request_uri;
    if (uri == NULL || uri[0] != '/' || !text_is_name(request->method) ||
        strcmp(method_label(request->method), OTHER_METHOD) != 0)
        return CESID_E_BAD_REQUEST;
    size_t length = strcspn(uri, "?");
    if (length >= sizeof(path))
        return CESID_E_URI_TOO_LONG;
    memcpy(path, uri, length);
    path[length] = '\0';
    int error = find_path(request, path);
    return error == 0 ? find_route(request) : error;
}

void dispatcher_refuse(struct serving *serving, struct mg_connection *connection, int status,
                       struct exchange *exchange)
{
    int error = judge(serving, status, exchange);
    struct handling *handling = mem_alloc(sizeof(*handling));
    atomic_fetch_add(&serving->requests, 1);
    begin(handling, serving, connection, exchange);
    handling->request.body_unread = true;
    if (error == CESID_E_BAD_REQUEST)
        error = judge_method(&handling->request, mg_get_request_info(connection));
    response_send(&handling->response, error);
    log_served(&handling->request, &handling->response, error);
    count_served(&handling->request, &handling->response);
    end(handling);
    atomic_fetch_add(&serving->served, 1);
    atomic_fetch_sub(&serving->requests, 1);
}
