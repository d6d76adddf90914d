/*
 * The answer, as handlers build it: a status, headers, and a body in memory or a stream. Written to
 * the connection in one piece by the dispatcher; streams are written as they come. Owned by the
 * worker that serves the request.
 */
#ifndef CESID_RESPONSE_H
#define CESID_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/json.h"
#include "cesid/request.h"
#include "cesid/strbuf.h"

#define RESPONSE_BODY_MAX ((size_t) 256 << 20)

struct response {
    struct request *request;
    int status; /* 200 */
    const char *content_type;
    struct strbuf body;
    struct strbuf headers; /* "Name: value\r\n" each */
    struct json json;
    const char *fixed; /* a body that lives for ever, instead of `body` */
    size_t fixed_length;
    bool page;      /* for browsers: strict CSP */
    bool cacheable; /* the handler set Cache-Control */
    bool streaming;
    bool chunked;
    bool broken; /* a write failed or a stream was cut: nothing more can be said */
    uint64_t sent;
};

void response_init(struct response *response, struct request *request);
void response_destroy(struct response *response);

struct json *response_json(struct response *response); /* starts the JSON body */
void response_header(struct response *response, const char *name, const char *format, ...)
    CESID_PRINTF(3, 4);
void response_location(struct response *response, const char *format, ...)
    CESID_PRINTF(2, 3); /* below base_path */
void response_fixed(struct response *response, const char *content_type, const void *data,
                    size_t length);
void response_no_content(struct response *response); /* 204 */

/* Starts an answer without an end in sight. TOO_MANY_CLIENTS; CANCELLED when there is nothing to
 * stream after all (HEAD, or the client left). After it the handler's return value
 * only says whether the stream is whole. */
int response_stream(struct response *response, const char *content_type) CESID_WARN_UNUSED;
/* CANCELLED when the client is gone or stopped reading, SHUTTING_DOWN when cesid stops. */
int response_write(struct response *response, const void *data, size_t length) CESID_WARN_UNUSED;

/* For the dispatcher: writes what there is (error: the problem instead) and ends a stream. */
void response_send(struct response *response, int error);

#endif
