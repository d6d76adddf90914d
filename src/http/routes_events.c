/*
 * /events and /ws: what happens, as it happens. /events is served here as Server-Sent Events on the
 * worker that took the request; /ws ends in an upgrade (websocket.c). No locks of its own.
 *
 * A client that comes back with Last-Event-ID gets what it missed from the hub's history, or a
 * `resync` and the present state when that does not reach back far enough.
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

/* A client that comes back says EPOCH-NUMBER, the id of the last event that it saw. */
static bool came_back(const struct request *request, bool *known, uint64_t *number)
{
    const char *last = request_header(request, "Last-Event-ID");
    char *end, *end_of_number = NULL;
    if (last == NULL || last[0] == '\0')
        return false;
    int64_t epoch = strtoll(last, &end, 10);
    bool digits = *end == '-' && end[1] >= '0' && end[1] <= '9';
    *number = digits ? strtoull(end + 1, &end_of_number, 10) : 0;
    *known = digits && *end_of_number == '\0' && epoch == request->serving->opened_at;
    return true;
}

static int pass_on(struct request *request, struct response *response, struct hub_client *client)
{
    static const char beat[] = ": still here\n\n";
    double interval = request->config->websocket.ping_interval;
    int64_t quiet_until = clock_after(interval);
    int error = 0;
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

/* again: the client comes back with the topics that it had, and what one of them names may have
 * gone meanwhile. */
static int subscribe(struct request *request, struct hub_client *client, bool again)
{
    size_t count;
    char *const *topics = request_items(request, "topics", &count);
    for (size_t i = 0; i < count; i++) {
        int error = hub_subscribe(client, topics[i]);
        if (error == CESID_E_VALIDATION_FAILED)
            problem_field(&request->problem, "topics", "bad_format",
                          "must be fleet, operations, activity, node:NAME or "
                          "log:NODE:GROUP:PROCESS:STREAM");
        if (error == CESID_E_NOT_FOUND && again)
            continue;
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
    bool known;
    uint64_t number;
    bool again = came_back(request, &known, &number);
    if (again)
        hub_hold(client);
    error = subscribe(request, client, again);
    if (error == 0 && again)
        hub_resume(client, known, number);
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
     .answers = "200:text/event-stream",
     .check_origin = true},
    {.method = "GET",
     .path = "/api/v1/ws",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .about = "What happens, over a WebSocket",
     .answers = "101",
     .websocket = true},
};
const struct route_table routes_events = {routes, ARRAY_LENGTH(routes)};
