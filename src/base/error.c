/*
 * The table of errors: code, HTTP status, title. Pure.
 */
#include "cesid/error.h"

#include <stddef.h>

struct entry {
    const char *code;
    const char *title;
    int status;
    bool retry_after;
};

#define INDEX(error)                      ((error) -CESID_E_BAD_REQUEST)
#define ROW(error, code, status, title)   [INDEX(error)] = {code, title, status, false}
#define RETRY(error, code, status, title) [INDEX(error)] = {code, title, status, true}

static const struct entry table[INDEX(CESID_E_LAST)] = {
    ROW(CESID_E_BAD_REQUEST, "bad_request", 400, "Bad request"),
    ROW(CESID_E_INVALID_JSON, "invalid_json", 400, "Invalid JSON"),
    ROW(CESID_E_REQUEST_TIMEOUT, "request_timeout", 408, "Request timed out"),
    ROW(CESID_E_HEADERS_TOO_LARGE, "headers_too_large", 431, "Headers too large"),
    ROW(CESID_E_UNAUTHENTICATED, "unauthenticated", 401, "Not signed in"),
    ROW(CESID_E_INVALID_CREDENTIALS, "invalid_credentials", 401, "Invalid credentials"),
    ROW(CESID_E_SESSION_EXPIRED, "session_expired", 401, "Session expired"),
    ROW(CESID_E_FORBIDDEN, "forbidden", 403, "Forbidden"),
    ROW(CESID_E_ORIGIN_DENIED, "origin_denied", 403, "Origin denied"),
    ROW(CESID_E_CSRF, "csrf", 403, "CSRF token missing or wrong"),
    ROW(CESID_E_NOT_FOUND, "not_found", 404, "Not found"),
    ROW(CESID_E_METHOD_NOT_ALLOWED, "method_not_allowed", 405, "Method not allowed"),
    ROW(CESID_E_CONFLICT, "conflict", 409, "Conflict"),
    ROW(CESID_E_ALREADY_STARTED, "already_started", 409, "Already started"),
    ROW(CESID_E_NOT_RUNNING, "not_running", 409, "Not running"),
    ROW(CESID_E_READ_ONLY_NODE, "read_only_node", 409, "Node is read-only"),
    ROW(CESID_E_BODY_TOO_LARGE, "body_too_large", 413, "Body too large"),
    ROW(CESID_E_URI_TOO_LONG, "uri_too_long", 414, "URI too long"),
    ROW(CESID_E_UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", 415, "Unsupported media type"),
    ROW(CESID_E_VALIDATION_FAILED, "validation_failed", 422, "Validation failed"),
    RETRY(CESID_E_RATE_LIMITED, "rate_limited", 429, "Too many requests"),
    RETRY(CESID_E_LOCKED_OUT, "locked_out", 429, "Locked out"),
    ROW(CESID_E_INTERNAL, "internal", 500, "Internal error"),
    ROW(CESID_E_NODE_FAULT, "node_fault", 502, "Fault from the node"),
    ROW(CESID_E_NODE_UNREACHABLE, "node_unreachable", 502, "Node unreachable"),
    ROW(CESID_E_NODE_UNAUTHORIZED, "node_unauthorized", 502, "Node refused the credentials"),
    ROW(CESID_E_NODE_PROTOCOL, "node_protocol", 502, "Node broke the protocol"),
    RETRY(CESID_E_STORE_UNAVAILABLE, "store_unavailable", 503, "Store unavailable"),
    RETRY(CESID_E_POOL_EXHAUSTED, "pool_exhausted", 503, "Store is busy"),
    RETRY(CESID_E_NODE_CIRCUIT_OPEN, "node_circuit_open", 503, "Node is failing"),
    RETRY(CESID_E_SHUTTING_DOWN, "shutting_down", 503, "Shutting down"),
    RETRY(CESID_E_TOO_MANY_CLIENTS, "too_many_clients", 503, "Too many clients"),
    ROW(CESID_E_NODE_TIMEOUT, "node_timeout", 504, "Node timed out"),
    ROW(CESID_E_STORE_TIMEOUT, "store_timeout", 504, "Store timed out"),
    ROW(CESID_E_OPERATION_TIMEOUT, "operation_timeout", 504, "Operation timed out"),
    ROW(CESID_E_CANCELLED, "cancelled", 503, "Cancelled"),
};

static const struct entry *find(int error)
{
    static const struct entry ok = {"ok", "OK", 200, false};

    if (error == CESID_OK)
        return &ok;
    if (error < CESID_E_BAD_REQUEST || error >= CESID_E_LAST)
        error = CESID_E_INTERNAL;
    return &table[INDEX(error)];
}

const char *error_code(int error)
{
    return find(error)->code;
}

int error_status(int error)
{
    return find(error)->status;
}

const char *error_title(int error)
{
    return find(error)->title;
}

bool error_retry_after(int error)
{
    return find(error)->retry_after;
}
