/*
 * WebSocket connections. See websocket.h. Each runs on its own worker for life: CivetWeb calls
 * ready, data and close there. No locks of its own; the hub's are taken and left in its calls.
 *
 * A frame may announce gigabytes, and CivetWeb would collect them before it shows them, and it
 * takes frames that are not masked: the socket's frames are watched as they come (peer_frames), and
 * what must not be ends the stream at the frame's header.
 */
#include "cesid/websocket.h"

#include <civetweb.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "cesid/clock.h"
#include "cesid/log.h"
#include "cesid/response.h"
#include "cesid/sockets.h"

#define SEND_BUFFER    (128 << 10)
#define RECEIVE_BUFFER (64 << 10)

static bool has_text(const char *header, const char *text)
{
    return header != NULL && strcasestr(header, text) != NULL;
}

int websocket_accept(struct request *request, struct exchange *exchange)
{
    struct serving *serving = request->serving;
    const char *key = request_header(request, "Sec-WebSocket-Key");
    const char *version = request_header(request, "Sec-WebSocket-Version");
    if (strcmp(request->method, "GET") != 0 ||
        !has_text(request_header(request, "Upgrade"), "websocket") ||
        !has_text(request_header(request, "Connection"), "upgrade") || key == NULL ||
        strlen(key) != 24 || version == NULL || strcmp(version, "13") != 0) {
        problem_detail(&request->problem, "This resource speaks WebSocket (RFC 6455) only");
        return CESID_E_BAD_REQUEST;
    }
    if (atomic_fetch_add(&serving->websockets, 1) >= serving->websockets_limit) {
        atomic_fetch_sub(&serving->websockets, 1);
        request->problem.retry_after = 5;
        return CESID_E_TOO_MANY_CLIENTS;
    }
    exchange->websocket = true;
    exchange->session = session_ref(request->session);
    return 0;
}

static bool watch_frames(struct serving *serving, struct exchange *exchange)
{
    struct config *config = config_get(serving->box);
    bool watched = peer_frames(exchange->peer, (uint64_t) config->websocket.message_max);
    config_unref(&config);
    return watched;
}

static int on_connect(const struct mg_connection *connection, void *argument)
{
    (void) argument;
    const struct exchange *exchange = mg_get_user_connection_data(connection);
    /* Whoever comes by here was let through by the dispatcher. */
    return exchange != NULL && exchange->websocket ? 0 : 1;
}

static void on_ready(struct mg_connection *connection, void *argument)
{
    struct serving *serving = argument;
    struct exchange *exchange = mg_get_user_connection_data(connection);
    int fd = peer_fd(exchange->peer);
    int send_buffer = SEND_BUFFER, receive_buffer = RECEIVE_BUFFER;
    (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
    (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    bool watched = watch_frames(serving, exchange);
    int error = hub_add_socket(serving->context.hub, fd, exchange->session, &exchange->client);
    if (error != 0) {
        /* Nobody else knows the socket yet, so CivetWeb may write. */
        int code = error == CESID_E_SHUTTING_DOWN ? HUB_CLOSE_GOING_AWAY : HUB_CLOSE_TRY_LATER;
        char reason[2] = {(char) (code >> 8), (char) (code & 0xff)};
        exchange->client = NULL;
        (void) mg_websocket_write(connection, MG_WEBSOCKET_OPCODE_CONNECTION_CLOSE, reason,
                                  sizeof(reason));
        (void) shutdown(fd, SHUT_RDWR);
    } else if (!watched) {
        log_info("http", "WebSocket client did not wait for the handshake");
        hub_client_close(exchange->client, HUB_CLOSE_PROTOCOL);
    }
}

static int on_data(struct mg_connection *connection, int first_byte, char *data, size_t length,
                   void *argument)
{
    struct serving *serving = argument;
    struct exchange *exchange = mg_get_user_connection_data(connection);
    (void) watch_frames(serving, exchange);
    return exchange->client != NULL &&
           hub_client_received(exchange->client, first_byte, data, length);
}

static void on_close(const struct mg_connection *connection, void *argument)
{
    struct exchange *exchange = mg_get_user_connection_data(connection);
    (void) argument;
    if (exchange->client == NULL)
        return;
    enum peer_end end = peer_end(exchange->peer);
    bool refused = end == PEER_TOO_MUCH || end == PEER_UNMASKED;
    if (refused) {
        log_info("http", end == PEER_UNMASKED ? "WebSocket frame is not masked"
                                              : "WebSocket frame is larger than allowed");
        hub_client_close(exchange->client,
                         end == PEER_UNMASKED ? HUB_CLOSE_PROTOCOL : HUB_CLOSE_TOO_BIG);
    }
    hub_client_gone(&exchange->client);
    if (refused)
        peer_linger(exchange->peer);
}

void websocket_attach(struct mg_context *context, struct serving *serving)
{
    mg_set_websocket_handler(context, "/", on_connect, on_ready, on_data, on_close, serving);
}
