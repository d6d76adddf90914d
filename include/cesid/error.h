/*
 * The one list of errors. A fallible function returns 0 or one of these (negative); each has the
 * code, HTTP status and title under which the outside sees it, so that no layer translates twice.
 */
#ifndef CESID_ERROR_H
#define CESID_ERROR_H

#include <stdbool.h>

enum cesid_error {
    CESID_OK = 0,
    CESID_E_BAD_REQUEST = -1000,
    CESID_E_INVALID_JSON,
    CESID_E_REQUEST_TIMEOUT,
    CESID_E_HEADERS_TOO_LARGE,
    CESID_E_UNAUTHENTICATED,
    CESID_E_INVALID_CREDENTIALS,
    CESID_E_SESSION_EXPIRED,
    CESID_E_FORBIDDEN,
    CESID_E_ORIGIN_DENIED,
    CESID_E_CSRF,
    CESID_E_NOT_FOUND,
    CESID_E_METHOD_NOT_ALLOWED,
    CESID_E_CONFLICT,
    CESID_E_ALREADY_STARTED,
    CESID_E_NOT_RUNNING,
    CESID_E_READ_ONLY_NODE,
    CESID_E_BODY_TOO_LARGE,
    CESID_E_URI_TOO_LONG,
    CESID_E_UNSUPPORTED_MEDIA_TYPE,
    CESID_E_VALIDATION_FAILED,
    CESID_E_RATE_LIMITED,
    CESID_E_LOCKED_OUT,
    CESID_E_INTERNAL,
    CESID_E_NODE_FAULT,
    CESID_E_NODE_UNREACHABLE,
    CESID_E_NODE_UNAUTHORIZED,
    CESID_E_NODE_PROTOCOL,
    CESID_E_STORE_UNAVAILABLE,
    CESID_E_POOL_EXHAUSTED,
    CESID_E_NODE_CIRCUIT_OPEN,
    CESID_E_SHUTTING_DOWN,
    CESID_E_TOO_MANY_CLIENTS,
    CESID_E_NODE_TIMEOUT,
    CESID_E_STORE_TIMEOUT,
    CESID_E_OPERATION_TIMEOUT,
    CESID_E_CANCELLED, /* the caller gave up; never answered to anybody but an operation's result */
    CESID_E_LAST
};

/* Static strings, never NULL. 0 gives "ok", 200, "OK"; an unknown number is treated as INTERNAL. */
const char *error_code(int error);  /* "validation_failed" */
int error_status(int error);        /* 422 */
const char *error_title(int error); /* "Validation failed" */
bool error_retry_after(int error);  /* whether the answer carries Retry-After */

#endif
