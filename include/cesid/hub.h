/*
 * The hub: clients (WebSocket, SSE, log followers), their topics, and one bounded queue a client of
 * references to shared messages. A broadcast renders nothing and costs a pointer a client. `seq` is
 * gapless per client; order is the order of publication. A queue that fills is dropped, counted,
 * and answered with `resync` and a fresh snapshot. Registration and broadcast never wait for the
 * network. The reaper is the only thread that unlinks and frees clients.
 *
 * Two transports: a socket client is written by the sender thread (WebSocket frames, never
 * blocking); a pull client takes messages itself on its own worker thread (SSE, follow).
 *
 * Locks: LOCK_HUB (registry of clients), LOCK_CLIENT (one client), LOCK_SENDER, LOCK_REAPER.
 */
#ifndef CESID_HUB_H
#define CESID_HUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/auth.h"
#include "cesid/bus.h"
#include "cesid/config.h"
#include "cesid/registry.h"

struct hub;
struct hub_client;
struct logstreams;

/* WebSocket close codes that cesid sends. */
enum hub_close {
    HUB_CLOSE_NORMAL = 1000,
    HUB_CLOSE_GOING_AWAY = 1001,
    HUB_CLOSE_PROTOCOL = 1002,
    HUB_CLOSE_UNSUPPORTED = 1003, /* binary messages */
    HUB_CLOSE_INVALID_DATA = 1007,
    HUB_CLOSE_POLICY = 1008,
    HUB_CLOSE_TOO_BIG = 1009,
    HUB_CLOSE_TRY_LATER = 1013
};

struct hub *hub_create(struct config_box *config, struct registry *registry, struct auth *auth);
void hub_attach_logstreams(struct hub *hub, struct logstreams *streams); /* before start */
int hub_start(struct hub *hub) CESID_WARN_UNUSED; /* sender, reaper and heartbeat threads */
/* `bye` and a close frame to everybody, a moment to send them, then all are cut and joined. */
void hub_stop(struct hub *hub);
void hub_destroy(struct hub **hub);

void hub_sink(void *hub, struct event *event);          /* for bus_add_sink */
void hub_publish(struct hub *hub, struct event *event); /* log events, beside the bus; borrows */
size_t hub_clients(struct hub *hub);
/* For auth_watch: from its return on every client gets what its session covers now, and one without
 * is closed. No lock may be held. */
void hub_sessions_changed(void *hub);

/* A WebSocket client. fd is the connection's own socket, valid until hub_client_gone; the client
 * references the session. TOO_MANY_CLIENTS, SHUTTING_DOWN. Sends `hello`. */
int hub_add_socket(struct hub *hub, int fd, struct session *session,
                   struct hub_client **client) CESID_WARN_UNUSED;
/* A frame came in (worker thread): opcode and unmasked payload. False: the connection should end.
 */
bool hub_client_received(struct hub_client *client, int first_byte, const char *data,
                         size_t length);
/* Queues a close frame and tries to write it at once, for a worker that is about to leave. */
void hub_client_close(struct hub_client *client, enum hub_close code);
/* The worker leaves: after this returns nobody touches fd. Gives up the caller's reference. */
void hub_client_gone(struct hub_client **client);

/* A pull client; topics as in CONTRACT.md, comma-separated for SSE. */
int hub_add_pull(struct hub *hub, struct session *session,
                 struct hub_client **client) CESID_WARN_UNUSED;
/* 0; VALIDATION_FAILED for a topic of no known form; NOT_FOUND for one that the session cannot
 * see. */
int hub_subscribe(struct hub_client *client, const char *topic) CESID_WARN_UNUSED;
int hub_unsubscribe(struct hub_client *client, const char *topic) CESID_WARN_UNUSED;
/* A client that was here before: hold, subscribe, resume. Between the two a subscription brings no
 * snapshot; resume then queues every event after that number that the subscriptions cover, or
 * `resync` and a snapshot when the hub no longer has them all. known: the number is of this run. */
void hub_hold(struct hub_client *client);
void hub_resume(struct hub_client *client, bool known, uint64_t number);
/* The next message until deadline. 0 with *event (a reference; NULL when the deadline passed) and
 * *seq; SHUTTING_DOWN or SESSION_EXPIRED when the client is to end. A message made for this client
 * alone (hello, snapshot, resync, bye, error) comes as an event too. */
int hub_take(struct hub_client *client, int64_t deadline, struct event **event,
             uint64_t *seq) CESID_WARN_UNUSED;

#endif
