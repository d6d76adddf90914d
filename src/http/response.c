/*
 * Writing answers. See response.h. Owned by one worker; no locks.
 *
 * CivetWeb's mg_write gives up when a peer takes nothing for header_timeout; a whole answer is
 * bounded here, by a rate that any real reader keeps.
 */
#include "cesid/response.h"

#include <civetweb.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cesid/clock.h"
#include "cesid/log.h"
#include "cesid/serving.h"
#include "cesid/sockets.h"

#define PIECE        ((size_t) 65536)
#define SLOWEST_RATE 8192.0 /* bytes a second that a reader must take */

#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "connect-src 'self'; font-src 'self'; base-uri 'self'; form-action 'self'; "                   \
    "frame-ancestors 'none'"
#define DATA_POLICY "default-src 'none'; frame-ancestors 'none'"

void response_init(struct response *response, struct request *request)
{
    *response = (struct response){.request = request, .status = 200};
    strbuf_init(&response->body, RESPONSE_BODY_MAX);
    strbuf_init(&response->headers, 8192);
}

void response_destroy(struct response *response)
{
    strbuf_destroy(&response->body);
    strbuf_destroy(&response->headers);
}

struct json *response_json(struct response *response)
{
    response->content_type = "application/json";
    strbuf_clear(&response->body);
    json_start(&response->json, &response->body);
    return &response->json;
}

static void header_value(struct strbuf *out, size_t start)
{
    /* A value ends the line; whatever went into it must not. */
    for (size_t i = start; i < out->length; i++)
        if ((unsigned char) out->data[i] < 0x20 || out->data[i] == 0x7f)
            out->data[i] = ' ';
    strbuf_puts(out, "\r\n");
}

void response_header(struct response *response, const char *name, const char *format, ...)
{
    strbuf_printf(&response->headers, "%s: ", name);
    size_t start = response->headers.length;
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&response->headers, format, arguments);
    va_end(arguments);
    header_value(&response->headers, start);
}

void response_location(struct response *response, const char *format, ...)
{
    strbuf_printf(&response->headers, "Location: %s", response->request->serving->base_path);
    size_t start = response->headers.length;
    va_list arguments;
    va_start(arguments, format);
    strbuf_vprintf(&response->headers, format, arguments);
    va_end(arguments);
    header_value(&response->headers, start);
}

void response_fixed(struct response *response, const char *content_type, const void *data,
                    size_t length)
{
    response->content_type = content_type;
    response->fixed = data;
    response->fixed_length = length;
}

void response_no_content(struct response *response)
{
    response->status = 204;
    response->content_type = NULL;
}

static bool write_all(struct response *response, const char *data, size_t length)
{
    int64_t deadline =
        clock_after(response->request->serving->request_timeout + (double) length / SLOWEST_RATE);
    while (length > 0 && !response->broken) {
        size_t piece = length < PIECE ? length : PIECE;
        int written = mg_write(response->request->connection, data, piece);
        if (written > 0)
            response->sent += (uint64_t) written;
        if (written != (int) piece || clock_now() > deadline)
            response->broken = true;
        data += piece;
        length -= piece;
    }
    return !response->broken;
}

static void add_date(struct strbuf *out)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = (time_t) (clock_wall() / 1000);
    struct tm parts;
    if (gmtime_r(&now, &parts) != NULL)
        strbuf_printf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[parts.tm_wday],
                      parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour,
                      parts.tm_min, parts.tm_sec);
}

/* body_length negative: not known, or none may be told. */
static void add_head(struct strbuf *out, struct response *response, int64_t body_length)
{
    struct request *request = response->request;
    /* CivetWeb misspells this one. */
    strbuf_printf(out, "HTTP/1.1 %d %s\r\n", response->status,
                  response->status == 422
                      ? "Unprocessable Content"
                      : mg_get_response_code_text(request->connection, response->status));
    add_date(out);
    strbuf_printf(out, "X-Request-ID: %s\r\n", request->id);
    strbuf_puts(out, "X-Content-Type-Options: nosniff\r\n"
                     "Referrer-Policy: no-referrer\r\n"
                     "X-Frame-Options: DENY\r\n"
                     "Cross-Origin-Resource-Policy: same-origin\r\n");
    strbuf_printf(out, "Content-Security-Policy: %s\r\n",
                  response->page ? PAGE_POLICY : DATA_POLICY);
    if (!response->cacheable)
        strbuf_puts(out, "Cache-Control: no-store\r\n");
    if (response->content_type != NULL)
        strbuf_printf(out, "Content-Type: %s\r\n", response->content_type);
    if (body_length >= 0)
        strbuf_printf(out, "Content-Length: %" PRId64 "\r\n", body_length);
    if (response->chunked)
        strbuf_puts(out, "Transfer-Encoding: chunked\r\n");
    strbuf_add(out, response->headers.data, response->headers.length);
    if (request->keep_alive)
        strbuf_printf(out, "Connection: keep-alive\r\nKeep-Alive: timeout=%d\r\n",
                      (int) request->serving->idle_timeout);
    else
        strbuf_puts(out, "Connection: close\r\n");
    strbuf_puts(out, "\r\n");
}

int response_stream(struct response *response, const char *content_type)
{
    struct request *request = response->request;
    CHECK(!response->streaming);
    if (!request_take_stream(request)) {
        request->problem.retry_after = 5;
        return CESID_E_TOO_MANY_CLIENTS;
    }
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    request->keep_alive = false;
    mg_disable_connection_keep_alive(request->connection);
    response->content_type = content_type;
    response->streaming = true;
    response->chunked = strcmp(info->http_version, "1.0") != 0;
    struct strbuf head;
    strbuf_init(&head, 16384);
    add_head(&head, response, -1);
    (void) write_all(response, head.data, head.length);
    strbuf_destroy(&head);
    /* Nobody waits for what HEAD leaves out. */
    return response->broken || strcmp(request->method, "HEAD") == 0 ? CESID_E_CANCELLED : 0;
}

int response_write(struct response *response, const void *data, size_t length)
{
    struct request *request = response->request;
    CHECK(response->streaming);
    if (atomic_load(&request->serving->state) >= SERVER_DRAINING)
        return CESID_E_SHUTTING_DOWN;
    if (length == 0)
        return response->broken ? CESID_E_CANCELLED : 0;
    if (!response->chunked)
        return write_all(response, data, length) ? 0 : CESID_E_CANCELLED;
    struct strbuf chunk;
    strbuf_init(&chunk, length + 32);
    strbuf_printf(&chunk, "%zx\r\n", length);
    strbuf_add(&chunk, data, length);
    strbuf_puts(&chunk, "\r\n");
    bool written = write_all(response, chunk.data, chunk.length);
    strbuf_destroy(&chunk);
    return written ? 0 : CESID_E_CANCELLED;
}

static void become_problem(struct response *response, int error)
{
    struct request *request = response->request;
    response->status = error_status(error);
    response->content_type = "application/problem+json";
    response->fixed = NULL;
    response->page = false;
    response->cacheable = false;
    strbuf_clear(&response->body);
    strbuf_clear(&response->headers);
    problem_render(&response->body, error, &request->problem, request->id);
    if (response->status == 401)
        response_header(response, "WWW-Authenticate", "Bearer");
    if (error == CESID_E_METHOD_NOT_ALLOWED)
        response_header(response, "Allow", "%s", request->problem.allow);
    if (error_retry_after(error))
        response_header(response, "Retry-After", "%d", problem_retry_after(&request->problem));
}

void response_send(struct response *response, int error)
{
    struct request *request = response->request;
    if (response->streaming) {
        if (error == 0 && response->chunked && !response->broken)
            (void) write_all(response, "0\r\n\r\n", 5);
        return;
    }
    if (error == 0 && (strbuf_failed(&response->body) || strbuf_failed(&response->headers))) {
        log_error("http", "answer is larger than allowed", log_s("route", request->route->path));
        error = CESID_E_INTERNAL;
    }
    if (error != 0)
        become_problem(response, error);
    if (!request->keep_alive)
        mg_disable_connection_keep_alive(request->connection);

    const char *data = response->fixed != NULL ? response->fixed : response->body.data;
    size_t length = response->fixed != NULL ? response->fixed_length : response->body.length;
    bool bodiless = response->status == 204 || response->status == 304;
    struct strbuf head;
    strbuf_init(&head, 16384 + PIECE);
    add_head(&head, response, bodiless ? -1 : (int64_t) length);
    if (bodiless || strcmp(request->method, "HEAD") == 0)
        length = 0;
    if (length <= PIECE) { /* one packet where one is enough */
        strbuf_add(&head, data, length);
        length = 0;
    }
    if (!write_all(response, head.data, head.length) || !write_all(response, data, length))
        mg_disable_connection_keep_alive(request->connection);
    strbuf_destroy(&head);
    if (request->body_unread)
        peer_linger(request->peer);
}
