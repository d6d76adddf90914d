/*
 * Reading a request's body. See body.h. Owned by one worker; no locks.
 *
 * CivetWeb bounds neither size nor time of a body, and its mg_read gives 0 for a timeout as for the
 * end. So the socket gets a budget of bytes and a deadline (peer_allow), and what ended the reading
 * is asked of it.
 */
#include "cesid/body.h"

#include <civetweb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cesid/clock.h"
#include "cesid/serving.h"
#include "cesid/sockets.h"

#define PIECE        8192
#define FRAMING_MORE (64 << 10) /* what chunk headers may add, besides doubling the body */

static bool is_number(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= 15 && strspn(text, "0123456789") == length;
}

int body_announced(struct request *request)
{
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    const char *length = NULL, *encoding = NULL;
    for (int i = 0; i < info->num_headers; i++) {
        const char *name = info->http_headers[i].name;
        const char **seen = NULL;
        if (strcasecmp(name, "Content-Length") == 0)
            seen = &length;
        else if (strcasecmp(name, "Transfer-Encoding") == 0)
            seen = &encoding;
        if (seen != NULL && *seen != NULL)
            goto bad;
        if (seen != NULL)
            *seen = info->http_headers[i].value;
    }
    if (encoding == NULL && length == NULL)
        return 0;
    if ((encoding != NULL && length != NULL) ||
        (encoding != NULL && strcasecmp(encoding, "chunked") != 0) ||
        (length != NULL && !is_number(length)))
        goto bad;
    if (length != NULL && strtoll(length, NULL, 10) > request->serving->body_max) {
        request->body_unread = true;
        return CESID_E_BODY_TOO_LARGE;
    }
    request->body_unread = encoding != NULL || strtoll(length, NULL, 10) > 0;
    return 0;
bad:
    request->body_unread = true;
    problem_detail(&request->problem, "The length of the body is not given in one clear way");
    return CESID_E_BAD_REQUEST;
}

static bool is_json(const char *content_type)
{
    static const char wanted[] = "application/json";
    size_t length = sizeof(wanted) - 1;
    return content_type != NULL && strncasecmp(content_type, wanted, length) == 0 &&
           strchr("; \t", content_type[length]) != NULL;
}

/* Why mg_read gave nothing more; 0: try again. */
static int ended(const struct request *request, int got, bool chunked, double quiet)
{
    switch (peer_end(request->peer)) {
    case PEER_LATE:
        return CESID_E_REQUEST_TIMEOUT;
    case PEER_TOO_MUCH:
        return CESID_E_BODY_TOO_LARGE;
    case PEER_CLOSED:
        return CESID_E_BAD_REQUEST;
    case PEER_OPEN:
    case PEER_UNMASKED: /* of a WebSocket */
        break;
    }
    if (clock_seconds_since(request->started) >= request->serving->request_timeout)
        return CESID_E_REQUEST_TIMEOUT;
    if (got >= 0 && !chunked)
        return 0;
    /* CivetWeb cannot go on with a chunked body that paused for header_timeout. */
    return quiet >= request->config->server.header_timeout * 0.9 ? CESID_E_REQUEST_TIMEOUT
                                                                 : CESID_E_BAD_REQUEST;
}

int body_read(struct request *request)
{
    const struct serving *serving = request->serving;
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    const char *expect = request_header(request, "Expect");
    const char *packed = request_header(request, "Content-Encoding");
    bool chunked = request_header(request, "Transfer-Encoding") != NULL;
    int64_t length = chunked ? -1 : info->content_length;
    struct strbuf body;
    char piece[PIECE];
    int error = 0;

    if (!request->body_unread)
        return 0;
    if (!is_json(request_header(request, "Content-Type")))
        return CESID_E_UNSUPPORTED_MEDIA_TYPE;
    if (packed != NULL && strcasecmp(packed, "identity") != 0) {
        problem_detail(&request->problem, "Send the body as it is, without Content-Encoding");
        return CESID_E_UNSUPPORTED_MEDIA_TYPE;
    }
    if (expect != NULL) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (strcasecmp(expect, "100-continue") != 0)
            return CESID_E_BAD_REQUEST;
        if (mg_write(request->connection, go_on, sizeof(go_on) - 1) <= 0)
            return CESID_E_BAD_REQUEST;
    }
    strbuf_init(&body, (size_t) serving->body_max);
    peer_allow(request->peer, serving->body_max * 2 + FRAMING_MORE,
               request->started + (int64_t) (serving->request_timeout * 1e9));
    while (error == 0 && (chunked || (int64_t) body.length < length)) {
        size_t wanted = sizeof(piece);
        if (!chunked && length - (int64_t) body.length < (int64_t) wanted)
            wanted = (size_t) (length - (int64_t) body.length);
        int64_t asked = clock_now();
        int got = mg_read(request->connection, piece, wanted);
        if (got > 0) {
            strbuf_add(&body, piece, (size_t) got);
            if (strbuf_failed(&body))
                error = CESID_E_BODY_TOO_LARGE;
        } else if (got == 0 && chunked) {
            break; /* the last chunk */
        } else {
            error = ended(request, got, chunked, clock_seconds_since(asked));
        }
    }
    peer_allow(request->peer, INT64_MAX, CLOCK_NEVER);
    if (error == 0) {
        request->body_unread = false;
        request->body_length = body.length;
        request->body = strbuf_steal(&body);
    }
    explicit_bzero(piece, sizeof(piece)); /* there may have been a password in it */
    strbuf_destroy(&body);
    return error;
}
