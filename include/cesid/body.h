/*
 * Reading a request's body within its limits. The worker that serves the request.
 */
#ifndef CESID_BODY_H
#define CESID_BODY_H

#include "cesid/request.h"

/* Whether headers announce a body, and whether they do so in one sane way: BAD_REQUEST for
 * Content-Length and Transfer-Encoding together, twice, or malformed; BODY_TOO_LARGE. Sets
 * body_unread when there is one. Reads nothing. */
int body_announced(struct request *request) CESID_WARN_UNUSED;
/* Reads it whole. UNSUPPORTED_MEDIA_TYPE, BODY_TOO_LARGE, REQUEST_TIMEOUT, BAD_REQUEST. */
int body_read(struct request *request) CESID_WARN_UNUSED;

#endif
