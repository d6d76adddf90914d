/*
 * What the workers share: limits, state and counters. For src/http/ only.
 */
#ifndef CESID_SERVING_H
#define CESID_SERVING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/context.h"
#include "cesid/sockets.h"

enum server_state {
    SERVER_STARTING, /* the subsystems are not there yet */
    SERVER_OPEN,
    SERVER_REFUSING, /* new requests get 503 */
    SERVER_DRAINING, /* streams end */
    SERVER_CUTTING   /* whoever is still at work stops */
};

/* Refusals that are recorded are bounded, for each address (by a hash) and for all: a flood of them
 * must not fill the store. Each is the clock_now() at which its allowance would be used up. */
#define REFUSAL_ADDRESSES 256
struct refusals {
    atomic_int_fast64_t all;
    atomic_int_fast64_t addresses[REFUSAL_ADDRESSES];
    atomic_uint_fast64_t left_out; /* since the last that was recorded */
};

struct serving {
    /* immutable after server_create */
    struct config_box *box;
    char *base_path; /* "" or "/path" */
    int streams_limit;
    int websockets_limit;
    size_t busy_limit; /* connections beyond which none is kept alive */
    int64_t body_max;
    double request_timeout;
    double idle_timeout; /* of a kept-alive connection */
    struct sockets *sockets;
    /* set before the state becomes OPEN, then immutable */
    struct server_context context;
    int64_t opened_at; /* wall milliseconds */
    /* atomic */
    _Atomic(enum server_state) state;
    atomic_size_t requests;
    atomic_int streams;
    atomic_int websockets;
    atomic_uint_fast64_t served;
    struct refusals refusals;
};

/* What a worker knows of its connection, as CivetWeb's connection data. */
struct exchange {
    struct peer_socket *peer;
    struct session *session;   /* of an accepted upgrade */
    struct hub_client *client; /* of a WebSocket */
    bool websocket;            /* counted in serving->websockets */
    bool refused;              /* below the dispatcher, and told so */
};

#endif
