/*
 * /events and /ws: what happens, as it happens. /events is served here as Server-Sent Events on the
 * worker that took the request; /ws ends in an upgrade (websocket.c). No locks of its own.
 *
 * Nothing is kept for clients that come back: one that sends Last-Event-ID is told by `resync` that
 * it missed something, and its subscription brings the present state.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/fields.h"
#include "cesid/hub.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/serving.h"
#include "cesid/sockets.h"

#define LOOK 0.25 /* seconds between two looks at whether the client is still there */

static int write_event(struct response *response, const struct event *event, uint64_t seq)
{
    struct strbuf text;
    strbuf_init(&text, event->body_length + 200);
    if (event->number != 0)
        strbuf_printf(&text, "id: %" PRId64 "-%" PRIu64 "\n", response->request->serving->opened_at,
                      event->number);
    strbuf_printf(&text, "event: %s\ndata: {\"seq\":%" PRIu64 ",", event->name, seq);
    strbuf_add(&text, event->body, event->body_length);
    strbuf_puts(&text, "}\n\n");
    int error = response_write(response, text.data, text.length);
    strbuf_destroy(&text);
    return error;
}

/* For a client that was here before: how much it missed, where that can be told. */
static int write_resync(struct response *response)
{
    const struct request *request = response->request;
    const char *last = request_header(request, "Last-Event-ID");
    if (last == NULL || last[0] == '\0')
        return 0;
    struct strbuf data;
    struct json json;
    char *end;
    int64_t epoch = strtoll(last, &end, 10);
    uint64_t number = *end == '-' ? strtoull(end + 1, NULL, 10) : 0;
    uint64_t now = bus_number(request->context->bus);
    strbuf_init(&data, 100);
    json_start(&json, &data);
    json_object(&json);
    if (epoch == request->serving->opened_at && number <= now)
        json_put_integer(&json, "dropped", (int64_t) (now - number));
    else
        json_put_null(&json, "dropped");
    json_object_end(&json);
    struct event *event = event_create_private("resync", data.data, data.length);
    int error = write_event(response, event, 0);
    event_unref(&event);
    strbuf_destroy(&data);
    return error;
}

static int pass_on(struct request *request, struct response *response, struct hub_client *client)
{
    static const char beat[] = ": still here\n\n";
    double interval = request->config->websocket.ping_interval;
    int64_t quiet_until = clock_after(interval);
    int error = write_resync(response);
    while (error == 0) {
        struct event *event = NULL;
        uint64_t seq;
        error = hub_take(client, clock_after(LOOK), &event, &seq);
        if (error == 0 && peer_gone(request->peer))
            error = CESID_E_CANCELLED;
        if (error == 0 && event != NULL) {
            error = write_event(response, event, seq);
        } else if (error == 0) {
            bool due = clock_now() >= quiet_until;
            error = response_write(response, beat, due ? sizeof(beat) - 1 : 0);
            if (due)
                quiet_until = clock_after(interval);
        }
        event_unref(&event);
    }
    return error;
}

static int subscribe(struct request *request, struct hub_client *client)
{
    size_t count;
    char *const *topics = request_items(request, "topics", &count);
    for (size_t i = 0; i < count; i++) {
        int error = hub_subscribe(client, topics[i]);
        if (error == CESID_E_VALIDATION_FAILED)
            problem_field(&request->problem, "topics", "bad_format",
                          "must be fleet, operations, activity, node:NAME or "
                          "log:NODE:GROUP:PROCESS:STREAM");
        if (error == CESID_E_NOT_FOUND)
            problem_detail(&request->problem, "A topic names something that does not exist");
        if (error != 0)
            return error;
    }
    return 0;
}

static int events(struct request *request, struct response *response)
{
    struct hub_client *client = NULL;
    if (!request_take_stream(request))
        return CESID_E_TOO_MANY_CLIENTS;
    int error = hub_add_pull(request->context->hub, request->session, &client);
    if (error != 0)
        return error;
    error = subscribe(request, client);
    if (error == 0) {
        response_header(response, "X-Accel-Buffering", "no");
        error = response_stream(response, "text/event-stream");
    }
    if (error == 0)
        error = pass_on(request, response, client);
    hub_client_gone(&client);
    /* Its end is the client's wish, or ours to stop: the stream is whole. */
    return response->streaming && error != CESID_E_CANCELLED ? 0 : error;
}

static const struct field event_fields[] = {
    {.name = "topics",
     .place = FIELD_QUERY,
     .type = FIELD_STRINGS,
     .minimum = 1,
     .maximum = 1200,
     .default_value = "fleet",
     .about = "fleet, operations, activity, node:NAME, log:NODE:GROUP:PROCESS:STREAM"},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/events",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .handler = events,
     ROUTE_FIELDS(event_fields),
     .about = "What happens, as Server-Sent Events",
     .check_origin = true},
    {.method = "GET",
     .path = "/api/v1/ws",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .about = "What happens, over a WebSocket",
     .websocket = true},
};
const struct route_table routes_events = {routes, ARRAY_LENGTH(routes)};
