/*
 * /system, /healthz, /readyz: cesid about itself. CivetWeb's workers; no locks of its own.
 */
#include <string.h>

#include "cesid/clock.h"
#include "cesid/fleet.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/serving.h"
#include "cesid/sockets.h"
#include "cesid/thread.h"

static void put_threads(struct json *json)
{
    struct thread_count counts[32];
    size_t count = thread_counts(counts, ARRAY_LENGTH(counts));
    json_key(json, "threads");
    json_object(json);
    for (size_t i = 0; i < count && i < ARRAY_LENGTH(counts); i++)
        json_put_integer(json, counts[i].subsystem, (int64_t) counts[i].threads);
    json_object_end(json);
}

static void put_queues(struct json *json, const struct request *request)
{
    const struct server_context *context = request->context;
    struct serving *serving = request->serving;
    struct refresh_figures figures;
    refresh_figures(context->refresh, &figures);

    json_key(json, "queues");
    json_object(json);
    json_key(json, "bus");
    json_object(json);
    json_put_integer(json, "length", (int64_t) bus_length(context->bus));
    json_put_integer(json, "published", (int64_t) bus_number(context->bus));
    json_put_integer(json, "dropped", (int64_t) bus_dropped(context->bus));
    json_object_end(json);
    json_key(json, "refresh");
    json_object(json);
    json_put_integer(json, "nodes", (int64_t) figures.nodes);
    json_put_integer(json, "in_use", (int64_t) figures.in_use);
    json_put_integer(json, "limit", (int64_t) figures.limit);
    json_put_integer(json, "waiting", (int64_t) figures.waiting);
    json_put_real(json, "lag", figures.lag);
    json_object_end(json);
    json_key(json, "rpc");
    json_object(json);
    json_put_integer(json, "calls", (int64_t) rpc_engine_calls(context->engine));
    json_object_end(json);
    json_key(json, "operations");
    json_object(json);
    json_put_integer(json, "running", (int64_t) operations_running(context->operations));
    json_object_end(json);
    json_key(json, "hub");
    json_object(json);
    json_put_integer(json, "clients", (int64_t) hub_clients(context->hub));
    json_put_integer(json, "logs", (int64_t) logstreams_count(context->logstreams));
    json_object_end(json);
    json_key(json, "http");
    json_object(json);
    json_put_integer(json, "connections", (int64_t) sockets_count(serving->sockets));
    json_put_integer(json, "refused", (int64_t) sockets_refused(serving->sockets));
    json_put_integer(json, "requests", (int64_t) atomic_load(&serving->requests));
    json_put_integer(json, "served", (int64_t) atomic_load(&serving->served));
    json_put_integer(json, "streams", atomic_load(&serving->streams));
    json_put_integer(json, "websockets", atomic_load(&serving->websockets));
    json_object_end(json);
    json_object_end(json);
}

static void put_nodes(struct json *json, const struct request *request)
{
    struct fleet fleet;
    int counts[NODE_STATES] = {0};
    fleet_open(&fleet, request, NODE_READ);
    for (size_t i = 0; i < fleet.count; i++)
        counts[fleet.nodes[i].view->state]++;
    json_key(json, "nodes");
    json_object(json);
    json_put_integer(json, "total", (int64_t) fleet.count);
    for (enum node_state state = 0; state < NODE_STATES; state++)
        json_put_integer(json, node_state_name(state), counts[state]);
    json_object_end(json);
    fleet_close(&fleet);
}

static int system_show(struct request *request, struct response *response)
{
    struct serving *serving = request->serving;
    struct json *json = response_json(response);
    json_object(json);
    json_put_string(json, "version", request->context->version);
    json_put_string(json, "revision", request->context->revision);
    json_put_time(json, "started_at", serving->opened_at);
    json_put_real(json, "uptime", (double) (clock_wall() - serving->opened_at) / 1000);
    put_threads(json);
    put_queues(json, request);
    put_nodes(json, request);
    json_object_end(json);
    return 0;
}

static int health(struct request *request, struct response *response)
{
    enum health_status status =
        health_json(response_json(response), request->context->health, request->session->access);
    if (status == HEALTH_FAILED)
        response->status = 503;
    return 0;
}

static int levels(struct request *request, struct response *response)
{
    char subsystems[] = LOG_SUBSYSTEMS, *rest = subsystems, *name;
    struct json *json = response_json(response);
    enum log_level general = log_level_of(NULL);
    (void) request;
    json_object(json);
    json_put_string(json, "level", log_level_name(general));
    json_key(json, "subsystems");
    json_object(json);
    while ((name = strsep(&rest, "|")) != NULL)
        if (log_level_of(name) != general)
            json_put_string(json, name, log_level_name(log_level_of(name)));
    json_object_end(json);
    json_object_end(json);
    return 0;
}

static int set_level(struct request *request, struct response *response)
{
    enum log_level level = LOG_LEVEL_INFO;
    CHECK(log_level_parse(request_text(request, "level"), &level));
    if (!log_set_level(request_text(request, "subsystem"), level)) {
        problem_detail(&request->problem, "Too many subsystems have a level of their own");
        return CESID_E_CONFLICT;
    }
    return levels(request, response);
}

static int answer_ok(struct response *response)
{
    struct json *json = response_json(response);
    json_object(json);
    json_put_string(json, "status", "ok");
    json_object_end(json);
    return 0;
}

static int healthz(struct request *request, struct response *response)
{
    (void) request;
    return answer_ok(response);
}

static int readyz(struct request *request, struct response *response)
{
    const struct server_context *context = request->context;
    if (!store_up(context->store))
        problem_detail(&request->problem, "store");
    else if (health_of(context->health, HEALTH_JOURNAL) == HEALTH_FAILED)
        problem_detail(&request->problem, "journal");
    else
        return answer_ok(response);
    return CESID_E_STORE_UNAVAILABLE;
}

static const struct field level_fields[] = {
    {.name = "level",
     .place = FIELD_BODY,
     .required = true,
     .choices = "debug|info|warning|error",
     .about = "what is logged from now on, until the next start"},
    {.name = "subsystem",
     .place = FIELD_BODY,
     .choices = LOG_SUBSYSTEMS,
     .about = "only there; without it everywhere"},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/system",
     .scope = ROUTE_GLOBAL,
     .handler = system_show,
     .about = "Version, uptime, threads, queues",
     .answers = "200:System"},
    {.method = "GET",
     .path = "/api/v1/health",
     .scope = ROUTE_GLOBAL,
     .handler = health,
     .about = "How each part of cesid is, since when and why",
     .answers = "200:Health 503:Health",
     .quiet = true},
    {.method = "GET",
     .path = "/api/v1/system/log-level",
     .scope = ROUTE_GLOBAL,
     .permission = SYSTEM_ADMIN,
     .handler = levels,
     .about = "Log levels",
     .answers = "200:LogLevels"},
    {.method = "PUT",
     .path = "/api/v1/system/log-level",
     .scope = ROUTE_GLOBAL,
     .permission = SYSTEM_ADMIN,
     .handler = set_level,
     ROUTE_FIELDS(level_fields),
     .about = "Set a log level",
     .answers = "200:LogLevels",
     .action = "system.log_level",
     .resource = "system"},
    {.method = "GET",
     .path = "/healthz",
     .scope = ROUTE_PUBLIC,
     .handler = healthz,
     .about = "Whether the process serves",
     .answers = "200:Probe",
     .quiet = true,
     .early = true},
    {.method = "GET",
     .path = "/readyz",
     .scope = ROUTE_PUBLIC,
     .handler = readyz,
     .about = "Whether it can do its work",
     .answers = "200:Probe",
     .quiet = true},
};
const struct route_table routes_system = {routes, ARRAY_LENGTH(routes)};
