/*
 * Rendering of errors. See problem.h. Pure; no locks.
 */
#include "cesid/problem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/json.h"
#include "cesid/memory.h"
#include "cesid/supervisor.h"

void problem_init(struct problem *problem)
{
    *problem = (struct problem){0};
}

void problem_destroy(struct problem *problem)
{
    for (size_t i = 0; i < problem->fields_count; i++) {
        free(problem->fields[i].field);
        free(problem->fields[i].message);
    }
    free(problem->fields);
    *problem = (struct problem){0};
}

void problem_detail(struct problem *problem, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(problem->detail, sizeof(problem->detail), format, arguments);
    va_end(arguments);
}

void problem_field(struct problem *problem, const char *field, const char *code, const char *format,
                   ...)
{
    problem->fields_total++;
    if (problem->fields_count == PROBLEM_FIELDS_MAX)
        return;
    struct strbuf message;
    strbuf_init(&message, 500);
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&message, format, arguments);
    va_end(arguments);
    problem->fields =
        mem_resize(problem->fields, problem->fields_count + 1, sizeof(*problem->fields));
    struct problem_field *entry = &problem->fields[problem->fields_count++];
    entry->field = mem_string(field);
    entry->code = code;
    entry->message = strbuf_steal(&message);
}

void problem_fault(struct problem *problem, int64_t code, const char *text)
{
    problem->has_fault = true;
    problem->fault_code = code;
    (void) snprintf(problem->fault_text, sizeof(problem->fault_text), "%s", text);
}

int problem_retry_after(const struct problem *problem)
{
    double seconds = ceil(problem->retry_after);
    return seconds < 1 ? 1 : seconds > 86400 ? 86400 : (int) seconds;
}

/* What an error means, when nobody said more. */
static const char *sentence(int error)
{
    switch (error) {
    case CESID_E_BAD_REQUEST:
        return "The request is malformed";
    case CESID_E_INVALID_JSON:
        return "The body is not valid JSON";
    case CESID_E_REQUEST_TIMEOUT:
        return "The request did not arrive in time";
    case CESID_E_HEADERS_TOO_LARGE:
        return "The headers are too many or too large";
    case CESID_E_UNAUTHENTICATED:
        return "Log in first, or send a valid token";
    case CESID_E_INVALID_CREDENTIALS:
        return "The user name or the password is wrong";
    case CESID_E_SESSION_EXPIRED:
        return "The session has ended, log in again";
    case CESID_E_FORBIDDEN:
        return "You lack the permission for this";
    case CESID_E_ORIGIN_DENIED:
        return "Requests from this origin are not accepted";
    case CESID_E_CSRF:
        return "The X-CSRF-Token header is missing or wrong";
    case CESID_E_NOT_FOUND:
        return "There is nothing here";
    case CESID_E_METHOD_NOT_ALLOWED:
        return "This resource does not have that method";
    case CESID_E_CONFLICT:
        return "The request does not fit the present state";
    case CESID_E_ALREADY_STARTED:
        return "The process is running already";
    case CESID_E_NOT_RUNNING:
        return "The process is not running";
    case CESID_E_BODY_TOO_LARGE:
        return "The body is larger than allowed";
    case CESID_E_URI_TOO_LONG:
        return "The address is longer than allowed";
    case CESID_E_UNSUPPORTED_MEDIA_TYPE:
        return "Send the body as application/json";
    case CESID_E_RATE_LIMITED:
        return "Too many requests, try again later";
    case CESID_E_LOCKED_OUT:
        return "Too many failed attempts, try again later";
    case CESID_E_NODE_FAULT:
        return "The node refused";
    case CESID_E_NODE_UNREACHABLE:
        return "The node cannot be reached";
    case CESID_E_NODE_UNAUTHORIZED:
        return "The node refused the configured user name or password";
    case CESID_E_NODE_PROTOCOL:
        return "The node answered something that is not supervisord's protocol";
    case CESID_E_STORE_UNAVAILABLE:
        return "The store does not answer";
    case CESID_E_POOL_EXHAUSTED:
        return "All connections to the store are busy";
    case CESID_E_NODE_CIRCUIT_OPEN:
        return "The node failed repeatedly and is left alone for a while";
    case CESID_E_SHUTTING_DOWN:
        return "cesid is shutting down";
    case CESID_E_TOO_MANY_CLIENTS:
        return "Too many clients at once, try again later";
    case CESID_E_NODE_TIMEOUT:
        return "The node did not answer in time";
    case CESID_E_STORE_TIMEOUT:
        return "The store did not answer in time";
    case CESID_E_OPERATION_TIMEOUT:
        return "The operation did not end in time";
    default:
        return "Something went wrong here; the log has it under this request id";
    }
}

void problem_render(struct strbuf *out, int error, const struct problem *problem,
                    const char *request_id)
{
    struct json json;
    struct strbuf type;
    strbuf_init(&type, 200);
    strbuf_printf(&type, "urn:cesid:error:%s", error_code(error));

    json_start(&json, out);
    json_object(&json);
    json_put_string(&json, "type", type.data);
    json_put_string(&json, "title", error_title(error));
    json_put_integer(&json, "status", error_status(error));
    json_put_string(&json, "code", error_code(error));
    json_key(&json, "detail");
    if (error_status(error) == 500) {
        json_string(&json, sentence(CESID_E_INTERNAL));
    } else if (problem->detail[0] != '\0') {
        json_string(&json, problem->detail);
    } else if (problem->fields_total > 0) {
        char text[64];
        (void) snprintf(text, sizeof(text), "%zu %s wrong", problem->fields_total,
                        problem->fields_total == 1 ? "field is" : "fields are");
        json_string(&json, text);
    } else {
        json_string(&json, sentence(error));
    }
    json_put_string(&json, "request_id", request_id);
    if (problem->fields_count > 0) {
        json_key(&json, "errors");
        json_array(&json);
        for (size_t i = 0; i < problem->fields_count; i++) {
            json_object(&json);
            json_put_string(&json, "field", problem->fields[i].field);
            json_put_string(&json, "code", problem->fields[i].code);
            json_put_string(&json, "message", problem->fields[i].message);
            json_object_end(&json);
        }
        json_array_end(&json);
    }
    if (problem->has_fault) {
        json_key(&json, "fault");
        json_object(&json);
        json_put_integer(&json, "code", problem->fault_code);
        json_put_string(&json, "name", supervisor_fault_name(problem->fault_code));
        json_put_string(&json, "text", problem->fault_text);
        json_object_end(&json);
    }
    json_object_end(&json);
    strbuf_destroy(&type);
}
