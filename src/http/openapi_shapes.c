/*
 * What answers look like, and types in few words. See openapi.h. Constants and pure functions.
 */
#include <stdio.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/openapi.h"

#define NODE_WORDS    "up|down|connecting|disabled"
#define PROCESS_WORDS "STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN"
#define ACTION_WORDS  "start|stop|restart|signal|stdin"
#define CAUSE_WORDS                                                                                \
    "refused|unreachable|timeout|dns|tls|unauthorized|permission|no_rpc_interface|protocol|"       \
    "too_large|reset"
#define LEVEL_WORDS "debug|info|warning|error"

static const struct shape_member problem[] = {
    {"type", "string", "urn:cesid:error: and the code"},
    {"title", "string", NULL},
    {"status", "integer", "the answer's status"},
    {"code", "string", "for programs"},
    {"detail", "string", "for people"},
    {"request_id", "string", "as in X-Request-ID and in the log"},
    {"errors?", "[@FieldError]", "every field that is wrong"},
    {"fault?", "@Fault", "what supervisord said"},
};
static const struct shape_member field_error[] = {
    {"field", "string", "parameter, or path in the body (labels/1, select.nodes)"},
    {"code", "string", NULL},
    {"message", "string", NULL},
};
static const struct shape_member fault[] = {
    {"code", "integer", NULL},
    {"name", "string?", NULL},
    {"text", "string", NULL},
};
static const struct shape_member node[] = {
    {"name", "string", NULL},
    {"environment", "string", NULL},
    {"labels", "{string}", NULL},
    {"url", "string", NULL},
    {"source", "config|store", "where the node is kept"},
    {"enabled", "boolean", NULL},
    {"state", NODE_WORDS, NULL},
    {"cause", CAUSE_WORDS "?", "why it is down"},
    {"hint", "string?", "what to do about it"},
    {"since", "time", "of the state"},
    {"last_refresh", "time?", NULL},
    {"latency", "number?", "seconds of the last poll"},
    {"supervisor", "@Supervisor", NULL},
    {"breaker", "@Breaker", NULL},
    {"counts", "@Counts", NULL},
    {"revision", "integer", "rises with every change, but of breaker, last_refresh and latency"},
};
static const struct shape_member supervisor[] = {
    {"version", "string?", NULL},
    {"api_version", "string?", NULL},
    {"identification", "string?", NULL},
    {"state", "string?", NULL},
};
static const struct shape_member breaker[] = {
    {"state", "closed|open|half_open", NULL},
    {"failures", "integer", "in a row"},
    {"retry_at", "time?", NULL},
};
static const struct shape_member counts[] = {
    {"total", "integer", NULL},   {"running", "integer", NULL},  {"starting", "integer", NULL},
    {"backoff", "integer", NULL}, {"stopping", "integer", NULL}, {"stopped", "integer", NULL},
    {"exited", "integer", NULL},  {"fatal", "integer", NULL},    {"unknown", "integer", NULL},
};
static const struct shape_member check[] = {
    {"ok", "boolean", NULL},
    {"cause", CAUSE_WORDS "?", NULL},
    {"hint", "string?", "what to do about it"},
    {"detail", "string?", NULL},
    {"latency", "number?", "seconds"},
    {"version", "string?", NULL},
    {"methods", "[string]", "what the node's interface offers"},
};
static const struct shape_member process[] = {
    {"node", "string", NULL},
    {"environment", "string", NULL},
    {"id", "string", "group:name"},
    {"group", "string", NULL},
    {"name", "string", NULL},
    {"state", PROCESS_WORDS, NULL},
    {"statecode", "integer", "supervisord's number for it"},
    {"pid", "integer", "0: none"},
    {"started_at", "time?", NULL},
    {"stopped_at", "time?", NULL},
    {"exit_status", "integer", NULL},
    {"spawn_error", "string?", NULL},
    {"description", "string?", "supervisord's words; null while it runs"},
    {"stdout_log", "string?", NULL},
    {"stderr_log", "string?", NULL},
    {"revision", "integer", "of the node when this last changed"},
};
static const struct shape_member log_part[] = {
    {"data", "string", "bytes that are not UTF-8 are U+FFFD"},
    {"offset", "integer", "where it begins, in bytes"},
    {"next", "integer", "where to go on"},
    {"size", "integer", "of the log"},
    {"truncated", "boolean", "the node could not be asked for all of it in time"},
};
static const struct shape_member summary[] = {
    {"id", "string", "group:name"},
    {"name", "string", NULL},
    {"group", "string", NULL},
    {"instances", "integer", NULL},
    {"states", "{integer}", "how many in each state that occurs"},
    {"nodes", "[string]", NULL},
};
static const struct shape_member group[] = {
    {"name", "string", NULL},
    {"nodes", "integer", "how many have it"},
    {"counts", "@Counts", NULL},
};
static const struct shape_member environment[] = {
    {"name", "string", NULL},
    {"nodes", "@NodeCounts", NULL},
    {"counts", "@Counts", NULL},
};
static const struct shape_member node_counts[] = {
    {"total", "integer", NULL},      {"up", "integer", NULL},       {"down", "integer", NULL},
    {"connecting", "integer", NULL}, {"disabled", "integer", NULL},
};
static const struct shape_member operation[] = {
    {"id", "string", NULL},
    {"action", ACTION_WORDS, NULL},
    {"signal?", "string", "of the action signal"},
    {"actor", "string", "user who asked for it"},
    {"state", "running|done|cancelled|interrupted", NULL},
    {"created_at", "time", NULL},
    {"finished_at", "time?", NULL},
    {"total", "integer", "processes"},
    {"succeeded", "integer", NULL},
    {"failed", "integer", NULL},
    {"results", "[@OperationResult]", NULL},
};
static const struct shape_member operation_result[] = {
    {"node", "string", NULL},
    {"process", "string", NULL},
    {"ok", "boolean?", "null: not ended"},
    {"code", "string", "ok, waiting, running, or an error's code"},
    {"detail", "string?", NULL},
    {"duration", "number", "seconds"},
    {"stage?", "string", "how far one that was interrupted came"},
};
static const struct shape_member preview[] = {
    {"dry_run", "boolean", NULL},
    {"action", ACTION_WORDS, NULL},
    {"total", "integer", NULL},
    {"targets", "[@Target]", NULL},
};
static const struct shape_member target[] = {
    {"node", "string", NULL},
    {"environment", "string", NULL},
    {"process", "string", NULL},
    {"state", PROCESS_WORDS, NULL},
};
static const struct shape_member program[] = {{"*", "any", "as supervisord gives it"}};
static const struct shape_member changes[] = {
    {"added", "[string]", NULL},
    {"changed", "[string]", NULL},
    {"removed", "[string]", NULL},
};
static const struct shape_member user[] = {
    {"id", "string", "never changes"}, {"username", "string", NULL}, {"full_name", "string", NULL},
    {"email", "string", NULL},         {"active", "boolean", NULL},  {"created_at", "time", NULL},
    {"last_login_at", "time?", NULL},
};
static const struct shape_member login[] = {
    {"token?", "string", "not with a cookie"},
    {"csrf_token", "string", "for X-CSRF-Token, with a cookie"},
    {"expires_at", "time", NULL},
    {"user", "@User", NULL},
};
static const struct shape_member me[] = {
    {"csrf_token", "string?", "for X-CSRF-Token, with a cookie"},
    {"expires_at", "time?", NULL},
    {"user", "@User", NULL},
    {"permissions", "[@Grant]", NULL},
};
static const struct shape_member grant[] = {
    {"environment", "string", "a name or a glob"},
    {"permissions", "[string]", NULL},
};
static const struct shape_member role[] = {
    {"name", "string", NULL},
    {"permissions", "[string]", NULL},
    {"builtin", "boolean", "it cannot be changed"},
};
static const struct shape_member binding[] = {
    {"id", "string", NULL},
    {"user", "string", "user name"},
    {"role", "string", NULL},
    {"environment", "string", "a name, a glob, or * for all"},
};
#define TOKEN_MEMBERS                                                                              \
    {"id", "string", NULL}, {"name", "string", NULL}, {"scope", "[string]", "permissions"},        \
        {"created_at", "time", NULL}, {"expires_at", "time?", "null: never"},                      \
    {                                                                                              \
        "last_used_at", "time?", "to a minute; null: never"                                        \
    }
static const struct shape_member token[] = {TOKEN_MEMBERS};
static const struct shape_member new_token[] = {
    TOKEN_MEMBERS,
    {"token", "string", "the secret, shown this once"},
};
static const struct shape_member activity[] = {
    {"id", "string", "rises with time"},
    {"at", "time", NULL},
    {"level", "string", NULL},
    {"actor", "string", "user name, or system"},
    {"action", "string", "process.restart"},
    {"resource", "string", "the kind of the target"},
    {"target", "string?", NULL},
    {"environment", "string?", NULL},
    {"result", "pending|ok|refused|failed|interrupted", NULL},
    {"status", "integer?", "of the answer"},
    {"duration", "number", "seconds"},
    {"request_id", "string?", NULL},
    {"address", "string?", NULL},
    {"user_agent", "string?", NULL},
    {"details", "{any}", NULL},
};
static const struct shape_member activity_stats[] = {
    {"total", "integer", NULL},
    {"since", "time?", NULL},
    {"until", "time?", NULL},
    {"by_action", "{integer}", NULL},
    {"by_actor", "{integer}", NULL},
    {"by_result", "{integer}", NULL},
    {"by_environment", "{integer}", NULL},
};
static const struct shape_member health[] = {
    {"status", "ok|degraded|failed", "the worst of all"},
    {"components", "{@Component}", NULL},
};
static const struct shape_member component[] = {
    {"status", "ok|degraded|failed", NULL},
    {"since", "time", "of the status"},
    {"reason", "string?", NULL},
    {"*", "number", "figures"},
};
static const struct shape_member probe[] = {{"status", "string", NULL}};
static const struct shape_member anything[] = {{"*", "any", NULL}};
static const struct shape_member document[] = {
    {"openapi", "string", "version of the OpenAPI specification"},
    {"*", "any", NULL},
};
static const struct shape_member system_shape[] = {
    {"version", "string", NULL},
    {"revision", "string", NULL},
    {"started_at", "time", NULL},
    {"uptime", "number", "seconds"},
    {"threads", "{integer}", "of each subsystem"},
    {"queues", "{{number}}", NULL},
    {"nodes", "@NodeCounts", "that the caller may see"},
};
static const struct shape_member log_levels[] = {
    {"level", LEVEL_WORDS, "of all"},
    {"subsystems", "{" LEVEL_WORDS "}", "that have another"},
};
static const struct shape_member reload[] = {
    {"added", "[string]", "nodes"},
    {"removed", "[string]", "nodes"},
    {"changed", "[string]", "nodes"},
    {"unchanged", "[string]", "nodes"},
    {"settings", "[string]", "keys that took effect"},
    {"restart_needed", "[string]", "keys that changed and wait for a restart"},
};

#define SHAPE(name, members)                                                                       \
    {                                                                                              \
        name, members, ARRAY_LENGTH(members)                                                       \
    }

const struct shape openapi_shapes[] = {
    SHAPE("Problem", problem),
    SHAPE("FieldError", field_error),
    SHAPE("Fault", fault),
    SHAPE("Node", node),
    SHAPE("Supervisor", supervisor),
    SHAPE("Breaker", breaker),
    SHAPE("Counts", counts),
    SHAPE("Check", check),
    SHAPE("Process", process),
    SHAPE("LogPart", log_part),
    SHAPE("Summary", summary),
    SHAPE("Group", group),
    SHAPE("Environment", environment),
    SHAPE("NodeCounts", node_counts),
    SHAPE("Operation", operation),
    SHAPE("OperationResult", operation_result),
    SHAPE("Preview", preview),
    SHAPE("Target", target),
    SHAPE("Program", program),
    SHAPE("Changes", changes),
    SHAPE("User", user),
    SHAPE("Login", login),
    SHAPE("Me", me),
    SHAPE("Grant", grant),
    SHAPE("Role", role),
    SHAPE("Binding", binding),
    SHAPE("Token", token),
    SHAPE("NewToken", new_token),
    SHAPE("ActivityRecord", activity),
    SHAPE("ActivityStats", activity_stats),
    SHAPE("Health", health),
    SHAPE("Component", component),
    SHAPE("Probe", probe),
    SHAPE("Anything", anything),
    SHAPE("Document", document),
    SHAPE("System", system_shape),
    SHAPE("LogLevels", log_levels),
    SHAPE("Reload", reload),
};
const size_t openapi_shapes_count = ARRAY_LENGTH(openapi_shapes);

static void put_kind(struct json *json, const char *kind, bool nullable)
{
    json_key(json, "type");
    if (!nullable) {
        json_string(json, kind);
        return;
    }
    json_array(json);
    json_string(json, kind);
    json_string(json, "null");
    json_array_end(json);
}

static void put_words(struct json *json, const char *words, size_t length, bool nullable)
{
    const char *end = words + length;
    put_kind(json, "string", nullable);
    json_key(json, "enum");
    json_array(json);
    for (const char *at = words; at < end;) {
        const char *bar = memchr(at, '|', (size_t) (end - at));
        if (bar == NULL)
            bar = end;
        json_bytes(json, at, (size_t) (bar - at));
        at = bar + 1;
    }
    if (nullable)
        json_null(json);
    json_array_end(json);
}

static void put_reference(struct json *json, const char *name, size_t length)
{
    char path[100];
    int written = snprintf(path, sizeof(path), "#/components/schemas/%.*s", (int) length, name);
    CHECK(written > 0 && (size_t) written < sizeof(path));
    json_put_string(json, "$ref", path);
}

static void put_type(struct json *json, const char *type, size_t length)
{
    static const char *const plain[] = {"string", "integer", "number", "boolean"};
    bool nullable = length > 0 && type[length - 1] == '?';
    if (nullable)
        length--;
    json_object(json);
    CHECK(length > 0);
    if (type[0] == '[') {
        put_kind(json, "array", nullable);
        json_key(json, "items");
        put_type(json, type + 1, length - 2);
    } else if (type[0] == '{') {
        put_kind(json, "object", nullable);
        json_key(json, "additionalProperties");
        put_type(json, type + 1, length - 2);
    } else if (type[0] == '@' && nullable) {
        json_key(json, "anyOf");
        json_array(json);
        put_type(json, type, length);
        json_object(json);
        put_kind(json, "null", false);
        json_object_end(json);
        json_array_end(json);
    } else if (type[0] == '@') {
        put_reference(json, type + 1, length - 1);
    } else if (memchr(type, '|', length) != NULL) {
        put_words(json, type, length, nullable);
    } else if (length == 4 && memcmp(type, "time", 4) == 0) {
        put_kind(json, "string", nullable);
        json_put_string(json, "format", "date-time");
    } else if (length != 3 || memcmp(type, "any", 3) != 0) {
        const char *kind = NULL;
        for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
            if (strlen(plain[i]) == length && memcmp(plain[i], type, length) == 0)
                kind = plain[i];
        CHECK(kind != NULL);
        put_kind(json, kind, nullable);
    }
    json_object_end(json);
}

void openapi_type(struct json *json, const char *type)
{
    put_type(json, type, strlen(type));
}

static bool is_optional(const struct shape_member *member)
{
    return member->name[strlen(member->name) - 1] == '?';
}

static bool is_rest(const struct shape_member *member)
{
    return strcmp(member->name, "*") == 0;
}

/* A reference may not have a description of its own beside it in older readers: allOf keeps both.
 */
static void put_member(struct json *json, const struct shape_member *member)
{
    char name[64];
    int length = (int) strlen(member->name) - (is_optional(member) ? 1 : 0);
    (void) snprintf(name, sizeof(name), "%.*s", length, member->name);
    json_key(json, name);
    if (member->about == NULL) {
        openapi_type(json, member->type);
        return;
    }
    json_object(json);
    json_put_string(json, "description", member->about);
    json_key(json, "allOf");
    json_array(json);
    openapi_type(json, member->type);
    json_array_end(json);
    json_object_end(json);
}

void openapi_shape(struct json *json, const struct shape *shape)
{
    json_object(json);
    json_put_string(json, "type", "object");
    json_key(json, "properties");
    json_object(json);
    for (size_t i = 0; i < shape->count; i++)
        if (!is_rest(&shape->members[i]))
            put_member(json, &shape->members[i]);
    json_object_end(json);
    json_key(json, "required");
    json_array(json);
    for (size_t i = 0; i < shape->count; i++)
        if (!is_rest(&shape->members[i]) && !is_optional(&shape->members[i]))
            json_string(json, shape->members[i].name);
    json_array_end(json);
    for (size_t i = 0; i < shape->count; i++)
        if (is_rest(&shape->members[i])) {
            json_key(json, "additionalProperties");
            openapi_type(json, shape->members[i].type);
        }
    json_object_end(json);
}
