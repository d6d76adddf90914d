/*
 * Logs: read, follow, download, clear; supervisord's own. CivetWeb's workers; no locks of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/fields.h"
#include "cesid/hub.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/sockets.h"
#include "cesid/text.h"

#define READ_USUAL    65536
#define READ_MOST     1048576
#define DOWNLOAD_STEP 262144
/* What a download of a log that is not UTF-8 may cost: see supervisor_read_log. At most some
 * 10 s of the node's time, in small pieces. */
#define DOWNLOAD_EFFORT 131072
#define FOLLOW_LOOK     0.25 /* seconds between two looks at whether the client is still there */

struct log_target {
    char id[1100]; /* "group:name" */
    const char *stream;
};

/* The process that the path names. NOT_FOUND when the node is up and has none such. */
static int find_target(struct request *request, struct log_target *target)
{
    const char *text = request_text(request, "process");
    const struct process_view *process = node_view_process(request->view, text);
    target->stream = request_text(request, "stream");
    if (process != NULL)
        (void) snprintf(target->id, sizeof(target->id), "%s", process->id);
    else if (request->view->state == NODE_UP)
        return CESID_E_NOT_FOUND;
    else if (strchr(text, ':') != NULL)
        (void) snprintf(target->id, sizeof(target->id), "%s", text);
    else
        (void) snprintf(target->id, sizeof(target->id), "%s:%s", text, text);
    return 0;
}

/* process NULL: supervisord's own. On success the caller frees log. */
static int read_part(struct request *request, const char *process, const char *stream,
                     int64_t offset, int64_t length, int64_t *effort, struct supervisor_log *log)
{
    struct node_settings *settings = node_settings(request->node);
    struct supervisor_result result = {0};
    int error = request_node_allow(request, settings);
    if (error == 0) {
        error = supervisor_read_log(settings->endpoint, request->config, process, stream, offset,
                                    length, effort, request_cancelled, request, log, &result);
        request_node_report(request, error);
        if (error != 0) {
            error = request_call_failed(request, &result);
            supervisor_log_free(log);
        }
        supervisor_result_free(&result);
    }
    node_settings_unref(&settings);
    return error;
}

static int answer_part(struct request *request, struct response *response, const char *process,
                       const char *stream)
{
    struct supervisor_log log;
    int64_t offset = request_integer(request, "offset");
    int64_t length = request_integer(request, "length");
    if (!request_has(request, "length"))
        length = offset < 0 && -offset < READ_MOST ? -offset : READ_USUAL;
    if (!request_has(request, "offset"))
        offset = -length;
    int error = read_part(request, process, stream, offset, length, NULL, &log);
    if (error != 0)
        return error;
    struct json *json = response_json(response);
    json_object(json);
    json_key(json, "data");
    json_bytes(json, log.data.data, log.data.length);
    json_put_integer(json, "offset", log.offset);
    json_put_integer(json, "next", log.next);
    json_put_integer(json, "size", log.size);
    json_put_boolean(json, "truncated", log.truncated);
    json_object_end(json);
    supervisor_log_free(&log);
    return 0;
}

static int read_process(struct request *request, struct response *response)
{
    struct log_target target;
    int error = find_target(request, &target);
    return error != 0 ? error : answer_part(request, response, target.id, target.stream);
}

static int read_supervisor(struct request *request, struct response *response)
{
    return answer_part(request, response, NULL, "stdout");
}

static void name_file(struct response *response, const struct log_target *target)
{
    char name[300];
    size_t length = 0;
    int written = snprintf(name, sizeof(name), "%s-%s-%s.log", node_name(response->request->node),
                           target->id, target->stream);
    for (; length < sizeof(name) - 1 && length < (size_t) written; length++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
                   name[length]) == NULL)
            name[length] = '_';
    response_header(response, "Content-Disposition", "attachment; filename=\"%.*s\"", (int) length,
                    name);
}

/* Reads the next part. It may use its share of the effort; what it leaves is for those after it. */
static int read_next(struct request *request, const struct log_target *target, int64_t offset,
                     int64_t size, int64_t *effort, struct supervisor_log *log)
{
    int64_t left = size - offset;
    int64_t share = *effort / (left / DOWNLOAD_STEP + 1), rest = share;
    int error = read_part(request, target->id, target->stream, offset,
                          left < DOWNLOAD_STEP ? left : DOWNLOAD_STEP, &rest, log);
    *effort -= share - rest;
    return error;
}

/* What the log held when it began; what is written meanwhile is not chased. */
static int download(struct request *request, struct response *response)
{
    struct log_target target;
    struct supervisor_log log;
    int64_t effort = DOWNLOAD_EFFORT;
    int error = find_target(request, &target);
    /* nothing yet, but how much there is */
    if (error == 0)
        error = read_part(request, target.id, target.stream, 0, 0, NULL, &log);
    if (error != 0)
        return error;
    int64_t size = log.size, next = 0;
    bool stuck = false;
    name_file(response, &target);
    /* as the log has it: who knows in what encoding */
    error = response_stream(response, "text/plain");
    while (error == 0 && next < size && !stuck) {
        supervisor_log_free(&log);
        error = read_next(request, &target, next, size, &effort, &log);
        if (error != 0)
            return error;
        stuck = log.next <= next;
        next = log.next;
        error = response_write(response, log.data.data, log.data.length);
        if (error == 0 && !request_still_allows(request, LOG_READ))
            error = CESID_E_FORBIDDEN;
    }
    supervisor_log_free(&log);
    return error;
}

static int pass_on(struct request *request, struct response *response, struct hub_client *client)
{
    int error = 0;
    while (error == 0) {
        struct event *event = NULL;
        uint64_t seq;
        error = hub_take(client, clock_after(FOLLOW_LOOK), &event, &seq);
        if (error == 0 && peer_gone(request->peer))
            error = CESID_E_CANCELLED;
        if (error == 0 && node_removed(request->node))
            error = CESID_E_NOT_FOUND;
        if (error == 0 && !request_still_allows(request, LOG_READ))
            error = CESID_E_FORBIDDEN;
        /* An empty write looks at whether cesid is stopping. */
        const char *raw = event != NULL && event->type == EVENT_LOG ? event->raw : NULL;
        if (error == 0 && raw == NULL)
            error = response_write(response, "", 0);
        if (error == 0 && raw != NULL) {
            struct strbuf text;
            strbuf_init(&text, event->raw_length * 3 + 1);
            text_add_utf8(&text, raw, event->raw_length);
            error = response_write(response, text.data, text.length);
            strbuf_destroy(&text);
        }
        event_unref(&event);
    }
    return error;
}

/* Why there would be nothing to follow: the stream itself only waits for better times. */
static int check_log(struct request *request, const struct log_target *target)
{
    struct supervisor_log log;
    int error = read_part(request, target->id, target->stream, 0, 0, NULL, &log);
    if (error == 0)
        supervisor_log_free(&log);
    return error;
}

static int follow(struct request *request, struct response *response)
{
    struct log_target target;
    struct hub_client *client = NULL;
    struct strbuf topic;
    int error = find_target(request, &target);
    if (error == 0)
        error = check_log(request, &target);
    if (error != 0)
        return error;
    if (!request_take_stream(request))
        return CESID_E_TOO_MANY_CLIENTS;
    error = hub_add_pull(request->context->hub, request->session, &client);
    if (error != 0)
        return error;
    strbuf_init(&topic, 2000);
    strbuf_printf(&topic, "log:%s:%s:%s", node_name(request->node), target.id, target.stream);
    error = hub_subscribe(client, topic.data);
    strbuf_destroy(&topic);
    if (error == CESID_E_VALIDATION_FAILED)
        error = CESID_E_NOT_FOUND;
    if (error == 0) {
        /* Proxies must pass each piece on as it comes. */
        response_header(response, "X-Accel-Buffering", "no");
        error = response_stream(response, "text/plain; charset=utf-8");
    }
    if (error == 0)
        error = pass_on(request, response, client);
    hub_client_gone(&client);
    /* Its end is the client's wish, or ours to stop: the stream is whole. */
    return response->streaming && error != CESID_E_CANCELLED ? 0 : error;
}

/* supervisord says yes when asked to clear the logs of a process that does not run, and does
 * nothing: it has them open only while the process lives. */
static int need_running(struct request *request, const char *process)
{
    struct supervisor_call call;
    struct supervisor_result result;
    supervisor_call_init(&call, "supervisor.getProcessInfo", request->config,
                         request->config->timeouts.log);
    xmlrpc_add_string(&call.body, process, strlen(process));
    int error = request_call(request, &call, &result);
    if (error == 0) {
        const struct xmlrpc_value *pid = xmlrpc_member(result.answer.value, "pid");
        if (pid != NULL && pid->type == XMLRPC_INT && pid->as.integer == 0) {
            problem_detail(&request->problem,
                           "supervisord clears the logs of a process only while it runs");
            error = CESID_E_NOT_RUNNING;
        }
    }
    supervisor_result_free(&result);
    return error;
}

static int clear(struct request *request, struct response *response)
{
    struct supervisor_call call;
    struct supervisor_result result;
    const struct process_view *process =
        node_view_process(request->view, request_text(request, "process"));
    if (process == NULL && request->view->state == NODE_UP)
        return CESID_E_NOT_FOUND;
    const char *text = process == NULL ? request_text(request, "process") : process->id;
    int error = need_running(request, text);
    if (error != 0)
        return error;
    supervisor_call_init(&call, "supervisor.clearProcessLogs", request->config,
                         request->config->timeouts.log);
    xmlrpc_add_string(&call.body, text, strlen(text));
    error = request_call(request, &call, &result);
    supervisor_result_free(&result);
    response_no_content(response);
    return error;
}

#define PART_FIELDS                                                                                \
    {.name = "offset",                                                                             \
     .place = FIELD_QUERY,                                                                         \
     .type = FIELD_INTEGER,                                                                        \
     .minimum = -(INT64_C(1) << 50),                                                               \
     .maximum = INT64_C(1) << 50,                                                                  \
     .about = "where to begin, in bytes; negative: from the end"},                                 \
    {                                                                                              \
        .name = "length", .place = FIELD_QUERY, .type = FIELD_INTEGER, .minimum = 1,               \
        .maximum = READ_MOST, .about = "bytes at most (64 KiB)"                                    \
    }

static const struct field read_fields[] = {FIELD_NODE_PATH, FIELD_PROCESS_PATH, FIELD_STREAM,
                                           PART_FIELDS};
static const struct field stream_fields[] = {FIELD_NODE_PATH, FIELD_PROCESS_PATH, FIELD_STREAM};
static const struct field process_fields[] = {FIELD_NODE_PATH, FIELD_PROCESS_PATH};
static const struct field own_fields[] = {FIELD_NODE_PATH, PART_FIELDS};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/processes/{process}/log",
     .scope = ROUTE_NODE,
     .permission = LOG_READ,
     .handler = read_process,
     ROUTE_FIELDS(read_fields),
     .about = "A part of a process's log",
     .answers = "200:LogPart",
     .problems = "409 502"},
    {.method = "DELETE",
     .path = "/api/v1/nodes/{node}/processes/{process}/log",
     .scope = ROUTE_NODE,
     .permission = PROCESS_CONTROL,
     .handler = clear,
     ROUTE_FIELDS(process_fields),
     .about = "Empty both logs of a process that runs",
     .answers = "204",
     .problems = "409 502",
     .action = "log.clear",
     .resource = "process"},
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/processes/{process}/log/follow",
     .scope = ROUTE_NODE,
     .permission = LOG_READ,
     .handler = follow,
     ROUTE_FIELDS(stream_fields),
     .about = "A process's log as it is written, without end",
     .answers = "200:text/plain",
     .problems = "409 502"},
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/processes/{process}/log/download",
     .scope = ROUTE_NODE,
     .permission = LOG_READ,
     .handler = download,
     ROUTE_FIELDS(stream_fields),
     .about = "A process's whole log as a file",
     .answers = "200:text/plain",
     .problems = "409 502"},
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/supervisor/log",
     .scope = ROUTE_NODE,
     .permission = NODE_CONTROL,
     .handler = read_supervisor,
     ROUTE_FIELDS(own_fields),
     .about = "A part of supervisord's own log",
     .answers = "200:LogPart",
     .problems = "409 502"},
};
const struct route_table routes_logs = {routes, ARRAY_LENGTH(routes)};
