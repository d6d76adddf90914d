/*
 * The list of errors against the table that the outside relies on.
 */
#include "unit.h"

#include "cesid/check.h"
#include "cesid/error.h"

static const struct {
    int error;
    const char *code;
    int status;
    bool retry_after;
} promised[] = {
    {CESID_E_BAD_REQUEST, "bad_request", 400, false},
    {CESID_E_INVALID_JSON, "invalid_json", 400, false},
    {CESID_E_REQUEST_TIMEOUT, "request_timeout", 408, false},
    {CESID_E_HEADERS_TOO_LARGE, "headers_too_large", 431, false},
    {CESID_E_UNAUTHENTICATED, "unauthenticated", 401, false},
    {CESID_E_INVALID_CREDENTIALS, "invalid_credentials", 401, false},
    {CESID_E_SESSION_EXPIRED, "session_expired", 401, false},
    {CESID_E_FORBIDDEN, "forbidden", 403, false},
    {CESID_E_ORIGIN_DENIED, "origin_denied", 403, false},
    {CESID_E_CSRF, "csrf", 403, false},
    {CESID_E_NOT_FOUND, "not_found", 404, false},
    {CESID_E_METHOD_NOT_ALLOWED, "method_not_allowed", 405, false},
    {CESID_E_CONFLICT, "conflict", 409, false},
    {CESID_E_ALREADY_STARTED, "already_started", 409, false},
    {CESID_E_NOT_RUNNING, "not_running", 409, false},
    {CESID_E_READ_ONLY_NODE, "read_only_node", 409, false},
    {CESID_E_BODY_TOO_LARGE, "body_too_large", 413, false},
    {CESID_E_URI_TOO_LONG, "uri_too_long", 414, false},
    {CESID_E_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415, false},
    {CESID_E_VALIDATION_FAILED, "validation_failed", 422, false},
    {CESID_E_RATE_LIMITED, "rate_limited", 429, true},
    {CESID_E_LOCKED_OUT, "locked_out", 429, true},
    {CESID_E_INTERNAL, "internal", 500, false},
    {CESID_E_NODE_FAULT, "node_fault", 502, false},
    {CESID_E_NODE_UNREACHABLE, "node_unreachable", 502, false},
    {CESID_E_NODE_UNAUTHORIZED, "node_unauthorized", 502, false},
    {CESID_E_NODE_PROTOCOL, "node_protocol", 502, false},
    {CESID_E_STORE_UNAVAILABLE, "store_unavailable", 503, true},
    {CESID_E_POOL_EXHAUSTED, "pool_exhausted", 503, true},
    {CESID_E_NODE_CIRCUIT_OPEN, "node_circuit_open", 503, true},
    {CESID_E_SHUTTING_DOWN, "shutting_down", 503, true},
    {CESID_E_TOO_MANY_CLIENTS, "too_many_clients", 503, true},
    {CESID_E_NODE_TIMEOUT, "node_timeout", 504, false},
    {CESID_E_STORE_TIMEOUT, "store_timeout", 504, false},
    {CESID_E_OPERATION_TIMEOUT, "operation_timeout", 504, false},
    {CESID_E_CANCELLED, "cancelled", 503, false},
};

static void every_error_is_as_promised(void **state)
{
    (void) state;
    assert_int_equal(ARRAY_LENGTH(promised), CESID_E_LAST - CESID_E_BAD_REQUEST);
    for (size_t i = 0; i < ARRAY_LENGTH(promised); i++) {
        int error = promised[i].error;

        assert_int_equal(error, CESID_E_BAD_REQUEST + (int) i);
        assert_string_equal(error_code(error), promised[i].code);
        assert_int_equal(error_status(error), promised[i].status);
        assert_int_equal(error_retry_after(error), promised[i].retry_after);
    }
}

static void codes_and_titles_are_told_apart(void **state)
{
    (void) state;
    for (int a = CESID_E_BAD_REQUEST; a < CESID_E_LAST; a++) {
        assert_true(error_title(a)[0] >= 'A' && error_title(a)[0] <= 'Z');
        for (int b = a + 1; b < CESID_E_LAST; b++) {
            assert_string_not_equal(error_code(a), error_code(b));
            assert_string_not_equal(error_title(a), error_title(b));
        }
    }
}

static void success_is_in_the_list_too(void **state)
{
    (void) state;
    assert_string_equal(error_code(CESID_OK), "ok");
    assert_string_equal(error_title(CESID_OK), "OK");
    assert_int_equal(error_status(CESID_OK), 200);
    assert_false(error_retry_after(CESID_OK));
}

static void an_unknown_number_is_an_internal_error(void **state)
{
    (void) state;
    const int unknown[] = {-1, 1, 404, CESID_E_LAST, CESID_E_BAD_REQUEST - 1, INT32_MIN, INT32_MAX};

    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        assert_string_equal(error_code(unknown[i]), "internal");
        assert_string_equal(error_title(unknown[i]), error_title(CESID_E_INTERNAL));
        assert_int_equal(error_status(unknown[i]), 500);
        assert_false(error_retry_after(unknown[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("R7.2 each error has the code and status that were promised",
              every_error_is_as_promised),
        NAMED("error: codes and titles are told apart", codes_and_titles_are_told_apart),
        NAMED("error: success is in the list too", success_is_in_the_list_too),
        NAMED("error: an unknown number is an internal error",
              an_unknown_number_is_an_internal_error),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
