/*
 * The one shape of every error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/json.h"
#include "cesid/problem.h"

static cJSON *render(int error, const struct problem *problem)
{
    struct strbuf out;
    cJSON *tree = NULL;
    const char *why;
    strbuf_init(&out, 100000);
    problem_render(&out, error, problem, "req-1");
    assert_false(strbuf_failed(&out));
    assert_int_equal(json_parse(out.data, out.length, &tree, &why), 0);
    strbuf_destroy(&out);
    return tree;
}

static const char *text(const cJSON *tree, const char *key)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, key));
    assert_non_null(value);
    return value;
}

static double number(const cJSON *tree, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(tree, key);
    assert_true(cJSON_IsNumber(value));
    return value->valuedouble;
}

static void every_error_has_the_shape(void **state)
{
    (void) state;
    for (int error = CESID_E_BAD_REQUEST; error < CESID_E_LAST; error++) {
        struct problem problem;
        char type[100];
        problem_init(&problem);
        cJSON *tree = render(error, &problem);
        (void) snprintf(type, sizeof(type), "urn:cesid:error:%s", error_code(error));
        assert_string_equal(text(tree, "type"), type);
        assert_string_equal(text(tree, "code"), error_code(error));
        assert_string_equal(text(tree, "title"), error_title(error));
        assert_string_equal(text(tree, "request_id"), "req-1");
        assert_true(text(tree, "detail")[0] != '\0');
        assert_int_equal((int) number(tree, "status"), error_status(error));
        assert_in_range(error_status(error), 400, 599);
        assert_int_equal(cJSON_GetArraySize(tree), 6);
        cJSON_Delete(tree);
        problem_destroy(&problem);
    }
}

static void codes_have_fitting_statuses(void **state)
{
    static const struct {
        int error, status;
        const char *code;
    } wanted[] = {
        {CESID_E_BAD_REQUEST, 400, "bad_request"},
        {CESID_E_INVALID_JSON, 400, "invalid_json"},
        {CESID_E_REQUEST_TIMEOUT, 408, "request_timeout"},
        {CESID_E_HEADERS_TOO_LARGE, 431, "headers_too_large"},
        {CESID_E_UNAUTHENTICATED, 401, "unauthenticated"},
        {CESID_E_INVALID_CREDENTIALS, 401, "invalid_credentials"},
        {CESID_E_SESSION_EXPIRED, 401, "session_expired"},
        {CESID_E_FORBIDDEN, 403, "forbidden"},
        {CESID_E_ORIGIN_DENIED, 403, "origin_denied"},
        {CESID_E_CSRF, 403, "csrf"},
        {CESID_E_NOT_FOUND, 404, "not_found"},
        {CESID_E_METHOD_NOT_ALLOWED, 405, "method_not_allowed"},
        {CESID_E_CONFLICT, 409, "conflict"},
        {CESID_E_ALREADY_STARTED, 409, "already_started"},
        {CESID_E_NOT_RUNNING, 409, "not_running"},
        {CESID_E_READ_ONLY_NODE, 409, "read_only_node"},
        {CESID_E_BODY_TOO_LARGE, 413, "body_too_large"},
        {CESID_E_URI_TOO_LONG, 414, "uri_too_long"},
        {CESID_E_UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type"},
        {CESID_E_VALIDATION_FAILED, 422, "validation_failed"},
        {CESID_E_RATE_LIMITED, 429, "rate_limited"},
        {CESID_E_LOCKED_OUT, 429, "locked_out"},
        {CESID_E_INTERNAL, 500, "internal"},
        {CESID_E_NODE_FAULT, 502, "node_fault"},
        {CESID_E_NODE_UNREACHABLE, 502, "node_unreachable"},
        {CESID_E_NODE_UNAUTHORIZED, 502, "node_unauthorized"},
        {CESID_E_NODE_PROTOCOL, 502, "node_protocol"},
        {CESID_E_STORE_UNAVAILABLE, 503, "store_unavailable"},
        {CESID_E_POOL_EXHAUSTED, 503, "pool_exhausted"},
        {CESID_E_NODE_CIRCUIT_OPEN, 503, "node_circuit_open"},
        {CESID_E_SHUTTING_DOWN, 503, "shutting_down"},
        {CESID_E_TOO_MANY_CLIENTS, 503, "too_many_clients"},
        {CESID_E_NODE_TIMEOUT, 504, "node_timeout"},
        {CESID_E_STORE_TIMEOUT, 504, "store_timeout"},
        {CESID_E_OPERATION_TIMEOUT, 504, "operation_timeout"},
    };
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        assert_int_equal(error_status(wanted[i].error), wanted[i].status);
        assert_string_equal(error_code(wanted[i].error), wanted[i].code);
        assert_int_equal(error_retry_after(wanted[i].error),
                         wanted[i].status == 429 || wanted[i].status == 503);
    }
}

static void field_errors_say_which_and_why(void **state)
{
    struct problem problem;
    (void) state;
    problem_init(&problem);
    problem_field(&problem, "limit", "out_of_range", "must be %d to %d", 1, 1000);
    problem_field(&problem, "<b>\n", "unknown", "is not a parameter");
    cJSON *tree = render(CESID_E_VALIDATION_FAILED, &problem);
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(tree, "errors");
    assert_string_equal(text(tree, "detail"), "2 fields are wrong");
    assert_int_equal(cJSON_GetArraySize(errors), 2);
    assert_string_equal(text(cJSON_GetArrayItem(errors, 0), "field"), "limit");
    assert_string_equal(text(cJSON_GetArrayItem(errors, 0), "code"), "out_of_range");
    assert_string_equal(text(cJSON_GetArrayItem(errors, 0), "message"), "must be 1 to 1000");
    cJSON_Delete(tree);
    problem_destroy(&problem);
}

static void faults_keep_their_text(void **state)
{
    struct problem problem;
    (void) state;
    problem_init(&problem);
    problem_detail(&problem, "%s", "SPAWN_ERROR: cat");
    problem_fault(&problem, 50, "SPAWN_ERROR: cat");
    cJSON *tree = render(CESID_E_NODE_FAULT, &problem);
    const cJSON *fault = cJSON_GetObjectItemCaseSensitive(tree, "fault");
    assert_int_equal((int) number(fault, "code"), 50);
    assert_string_equal(text(fault, "name"), "SPAWN_ERROR");
    assert_string_equal(text(fault, "text"), "SPAWN_ERROR: cat");
    cJSON_Delete(tree);
    problem_destroy(&problem);
}

static void internals_stay_inside(void **state)
{
    struct problem problem;
    (void) state;
    problem_init(&problem);
    problem_detail(&problem, "SELECT * FROM users at /var/lib/cesid/cesid.db");
    cJSON *tree = render(CESID_E_INTERNAL, &problem);
    assert_null(strstr(text(tree, "detail"), "SELECT"));
    cJSON_Delete(tree);
    problem_destroy(&problem);
}

static void retry_after_is_whole_seconds(void **state)
{
    struct problem problem = {0};
    (void) state;
    assert_int_equal(problem_retry_after(&problem), 1);
    problem.retry_after = 4.2;
    assert_int_equal(problem_retry_after(&problem), 5);
    problem.retry_after = 1e12;
    assert_int_equal(problem_retry_after(&problem), 86400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "R7.1 every error has the shape", .test_func = every_error_has_the_shape},
        {.name = "R7.2 codes have fitting statuses", .test_func = codes_have_fitting_statuses},
        {.name = "R7.3 field errors say which and why",
         .test_func = field_errors_say_which_and_why},
        {.name = "R7.2 a node's fault keeps its number and text",
         .test_func = faults_keep_their_text},
        {.name = "R7.5 internals stay inside", .test_func = internals_stay_inside},
        {.name = "Retry-After is whole seconds", .test_func = retry_after_is_whole_seconds},
    };
    return cmocka_run_group_tests_name("problem", tests, NULL, NULL);
}
