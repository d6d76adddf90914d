/*
 * CivetWeb's start and stop, and its callbacks. See server.h.
 *
 * Threads: main starts and stops; CivetWeb's master and workers call back. No locks of its own.
 * There is no log_access callback: with one, CivetWeb calls localtime(), which races, for each
 * request.
 *
 * connection_close runs with CivetWeb's connection mutex held and takes LOCK_SOCKETS inside it;
 * nobody takes them the other way round.
 */
#include "cesid/server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/dispatcher.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/sockets.h"
#include "cesid/thread.h"
#include "cesid/websocket.h"

#define IDLE_TIMEOUT 15.0

struct server {
    struct serving serving;
    char *listen;
    int workers;
    double header_timeout;
    struct mg_context *civetweb;
};

/* Where mg_start's complaints go, on the thread that calls it. */
static _Thread_local struct strbuf *start_complaint;

static struct server *server_of(const struct mg_connection *connection)
{
    return mg_get_user_context_data(connection);
}

static int on_init_connection(const struct mg_connection *connection, void **data)
{
    (void) connection;
    *data = mem_alloc(sizeof(struct exchange));
    return 0;
}

/* CivetWeb does not tell who the peer is before it has begun to read. */
static struct exchange *exchange_of(const struct mg_connection *connection)
{
    struct exchange *exchange = mg_get_user_connection_data(connection);
    const struct mg_request_info *info = mg_get_request_info(connection);
    if (exchange != NULL && exchange->peer == NULL && info != NULL)
        exchange->peer = sockets_claim(server_of(connection)->serving.sockets, info->remote_addr,
                                       info->remote_port);
    return exchange;
}

/* "*" and "http://elsewhere/" are no paths, and CivetWeb hangs up on whoever asks for one. */
static void answer_what_is_no_path(const struct mg_connection *connection,
                                   struct exchange *exchange)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    if (info != NULL && info->request_uri != NULL && info->local_uri_raw == NULL &&
        exchange->peer != NULL && !exchange->refused)
        dispatcher_refuse(&server_of(connection)->serving, (struct mg_connection *) connection, 400,
                          exchange);
}

static void on_connection_close(const struct mg_connection *connection)
{
    struct serving *serving = &server_of(connection)->serving;
    struct exchange *exchange = exchange_of(connection);
    if (exchange == NULL)
        return;
    answer_what_is_no_path(connection, exchange);
    CHECK(exchange->client == NULL);
    if (exchange->websocket)
        atomic_fetch_sub(&serving->websockets, 1);
    if (exchange->session != NULL)
        session_unref(&exchange->session);
    if (exchange->peer != NULL)
        sockets_release(serving->sockets, exchange->peer);
    free(exchange);
}

static int on_begin_request(struct mg_connection *connection)
{
    struct exchange *exchange = exchange_of(connection);
    if (exchange == NULL || exchange->peer == NULL) {
        mg_disable_connection_keep_alive(connection);
        return 500;
    }
    return dispatcher_request(&server_of(connection)->serving, connection, exchange);
}

static int on_http_error(struct mg_connection *connection, int status, const char *message)
{
    struct exchange *exchange = exchange_of(connection);
    (void) message;
    if (exchange != NULL && exchange->peer != NULL) {
        exchange->refused = true;
        dispatcher_refuse(&server_of(connection)->serving, connection, status, exchange);
    }
    return 0;
}

static int on_log_message(const struct mg_connection *connection, const char *message)
{
    (void) connection;
    if (start_complaint != NULL && start_complaint->length == 0)
        strbuf_puts(start_complaint, message);
    log_debug("http", "CivetWeb says", log_s("text", message));
    return 1;
}

static void *on_init_thread(const struct mg_context *context, int type)
{
    (void) context;
    if (type == 1)
        sockets_worker();
    thread_adopt("http");
    return NULL;
}

static void on_exit_thread(const struct mg_context *context, int type, void *pointer)
{
    (void) context;
    (void) type;
    (void) pointer;
    thread_leave("http");
}

struct server *server_create(struct config_box *box)
{
    struct server *server = mem_alloc(sizeof(*server));
    struct serving *serving = &server->serving;
    struct config *config = config_get(box);
    const char *base = config->server.base_path;
    serving->box = box;
    serving->base_path = mem_string(strcmp(base, "/") == 0 ? "" : base);
    serving->streams_limit = config->server.streams;
    serving->websockets_limit = config->websocket.clients;
    serving->body_max = config->server.max_body;
    serving->request_timeout = config->server.request_timeout;
    serving->idle_timeout = IDLE_TIMEOUT;
    serving->sockets =
        sockets_create(config->server.connections_per_address, &config->server.trusted_proxies);
    atomic_store(&serving->state, SERVER_STARTING);
    server->workers = config->server.threads + config->websocket.clients;
    /* Idle connections hold workers: none may when three quarters are taken. */
    serving->busy_limit = (size_t) (server->workers - config->server.threads / 4);
    server->listen = mem_string(config->server.listen);
    server->header_timeout = config->server.header_timeout;
    config_unref(&config);
    return server;
}

int server_listen(struct server *server, struct strbuf *why)
{
    char workers[16], header_timeout[16], idle_timeout[16];
    (void) snprintf(workers, sizeof(workers), "%d", server->workers);
    (void) snprintf(header_timeout, sizeof(header_timeout), "%d",
                    (int) (server->header_timeout * 1000));
    (void) snprintf(idle_timeout, sizeof(idle_timeout), "%d",
                    (int) (server->serving.idle_timeout * 1000));
    const char *options[] = {"listening_ports",
                             server->listen,
                             "num_threads",
                             workers,
                             "connection_queue",
                             "64",
                             "listen_backlog",
                             "511",
                             "tcp_nodelay",
                             "1",
                             "request_timeout_ms",
                             header_timeout,
                             "keep_alive_timeout_ms",
                             idle_timeout,
                             "enable_keep_alive",
                             "yes",
                             "decode_url",
                             "no",
                             "enable_directory_listing",
                             "no",
                             "enable_auth_domain_check",
                             "no",
                             "enable_websocket_ping_pong",
                             "no",
                             "max_request_size",
                             "16384",
                             NULL};
    struct mg_callbacks callbacks = {.begin_request = on_begin_request,
                                     .http_error = on_http_error,
                                     .init_connection = on_init_connection,
                                     .connection_close = on_connection_close,
                                     .log_message = on_log_message,
                                     .init_thread = on_init_thread,
                                     .exit_thread = on_exit_thread};
    (void) mg_init_library(0);
    struct strbuf complaint;
    strbuf_init(&complaint, 500);
    start_complaint = &complaint;
    server->civetweb = mg_start(&callbacks, server, options);
    start_complaint = NULL;
    int error = 0;
    if (server->civetweb == NULL) {
        strbuf_printf(why, "cannot listen on %s%s%s", server->listen,
                      complaint.length > 0 ? ": " : "", complaint.data);
        (void) mg_exit_library();
        error = CESID_E_INTERNAL;
    } else {
        websocket_attach(server->civetweb, &server->serving);
    }
    strbuf_destroy(&complaint);
    return error;
}

int server_port(struct server *server)
{
    struct mg_server_port port;
    return mg_get_server_ports(server->civetweb, 1, &port) == 1 ? port.port : 0;
}

void server_open(struct server *server, const struct server_context *context)
{
    server->serving.context = *context;
    server->serving.opened_at = clock_wall();
    atomic_store(&server->serving.state, SERVER_OPEN);
}

void server_refuse(struct server *server)
{
    atomic_store(&server->serving.state, SERVER_REFUSING);
}

void server_drain(struct server *server, int64_t deadline)
{
    struct timespec nap = {.tv_sec = 0, .tv_nsec = 5000000};
    atomic_store(&server->serving.state, SERVER_DRAINING);
    while (atomic_load(&server->serving.requests) > 0 && clock_now() < deadline)
        (void) nanosleep(&nap, NULL);
    size_t left = atomic_load(&server->serving.requests);
    if (left > 0)
        log_warning("http", "requests are cut short", log_i("requests", (int64_t) left));
}

/* A connection that nobody will accept: it keeps CivetWeb's master from sleeping in poll(). */
static int knock(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) server_port(server))};
    char host[INET_ADDRSTRLEN];
    (void) snprintf(host, sizeof(host), "%.*s", (int) strcspn(server->listen, ":"), server->listen);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 || address.sin_addr.s_addr == 0)
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        (void) connect(fd, (const struct sockaddr *) &address, sizeof(address));
    return fd;
}

void server_stop(struct server *server)
{
    if (server->civetweb == NULL)
        return;
    atomic_store(&server->serving.state, SERVER_CUTTING);
    sockets_close(server->serving.sockets);
    int fd = knock(server);
    mg_stop(server->civetweb);
    server->civetweb = NULL;
    (void) mg_exit_library();
    if (fd >= 0)
        (void) close(fd);
}

void server_destroy(struct server **pointer)
{
    struct server *server = *pointer;
    if (server == NULL)
        return;
    CHECK(server->civetweb == NULL);
    sockets_destroy(&server->serving.sockets);
    free(server->serving.base_path);
    free(server->listen);
    free(server);
    *pointer = NULL;
}

void server_figures(struct server *server, struct server_figures *figures)
{
    struct serving *serving = &server->serving;
    *figures = (struct server_figures){.connections = sockets_count(serving->sockets),
                                       .requests = atomic_load(&serving->requests),
                                       .streams = (size_t) atomic_load(&serving->streams),
                                       .served = atomic_load(&serving->served),
                                       .refused = sockets_refused(serving->sockets)};
}
