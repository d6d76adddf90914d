/*
 * The HTTP server: CivetWeb, the dispatcher and the routes. Only src/http/ knows CivetWeb.
 *
 * Life: create → listen (binds, so that privileges can be dropped afterwards; every request is
 * answered 503 except /healthz) → open (the subsystems are there, requests are served) → refuse
 * (new requests get 503 shutting_down, waits for operations end early) → drain (waits for requests
 * under way, ends streams) → stop (joins CivetWeb's threads) → destroy. The order of a shutdown is
 * refuse, operations_stop, hub_stop, drain, stop; the subsystems go after that.
 *
 * Threads: main calls these; CivetWeb's workers serve. Locks: LOCK_SOCKETS (sockets.h). Counters
 * and the state are atomic.
 */
#ifndef CESID_SERVER_H
#define CESID_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/config.h"
#include "cesid/context.h"

struct server;

struct server_figures {
    size_t connections; /* open now */
    size_t requests;    /* being handled now */
    size_t streams;     /* of server.streams, taken now */
    uint64_t served;    /* requests answered */
    uint64_t refused;   /* connections closed by connections_per_address */
};

/* Takes the settings of server.* and websocket.clients as they are now. */
struct server *server_create(struct config_box *config);
/* Binds and starts the workers. CESID_E_INTERNAL and a sentence in *why. */
int server_listen(struct server *server, struct strbuf *why) CESID_WARN_UNUSED;
int server_port(struct server *server); /* the one bound, also when listen says port 0 */
void server_open(struct server *server, const struct server_context *context); /* copies */
void server_refuse(struct server *server);
/* Until no request is under way or the deadline (clock_now()). WebSockets do not count. */
void server_drain(struct server *server, int64_t deadline);
void server_stop(struct server *server);
void server_destroy(struct server **server);

void server_figures(struct server *server, struct server_figures *figures);

#endif
