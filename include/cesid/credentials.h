/*
 * Who a request claims to be and where it comes from: the one place that looks for credentials,
 * origins and forwarded addresses. Pure but for CivetWeb's header lookup; any worker.
 */
#ifndef CESID_CREDENTIALS_H
#define CESID_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/auth.h"
#include "cesid/request.h"

#define COOKIE_NAME "cesid_session"
#define TOKEN_MAX   4096

/* Finds the bearer token or the cookie of the request's headers; memory holds the copies. */
struct credentials_found {
    struct credentials credentials;
    bool by_cookie;
    char memory[TOKEN_MAX + 1];
};
void credentials_find(const struct request *request, struct credentials_found *found);

/* address and secure of the request, from the peer and, behind trusted proxies, their headers. */
void credentials_place(struct request *request, const char *peer_address);

/* Whether Origin, when there is one, is ours. */
bool credentials_origin_allowed(const struct request *request);

/* The whole answer to "who is this": the one caller of auth_check. Sets request->session, and
 * checks origin and CSRF token where a cookie speaks. */
int credentials_check(struct request *request) CESID_WARN_UNUSED;

#endif
