/*
 * A request as handlers see it: identified, authenticated, permitted and validated. Handlers read
 * it, fill in the response, and return 0 or an error with `problem` filled in. Owned by the worker
 * that serves it.
 */
#ifndef CESID_REQUEST_H
#define CESID_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/activity_chain.h"
#include "cesid/auth.h"
#include "cesid/config.h"
#include "cesid/context.h"
#include "cesid/node.h"
#include "cesid/problem.h"
#include "cesid/route.h"
#include "cesid/supervisor.h"
#include "cesid/validate.h"

struct serving;
struct mg_connection;
struct peer_socket;

#define REQUEST_ID_SIZE 65

struct request {
    /* for handlers */
    const struct server_context *context;
    struct config *config; /* one version for the whole request */
    const struct route *route;
    const char *method; /* "HEAD" counts as "GET" for everything but the body */
    char id[REQUEST_ID_SIZE];
    char address[64];        /* of the client, behind trusted proxies too */
    bool secure;             /* the browser came by https */
    bool safe;               /* GET or HEAD */
    int64_t started;         /* clock_now() */
    double wait;             /* Prefer: wait=SECONDS; negative: not sent */
    const char *path;        /* decoded, below base_path, begins with '/' */
    struct session *session; /* NULL on public routes */
    struct node *node;       /* of ROUTE_NODE */
    struct node_view *view;  /* of ROUTE_NODE */
    struct problem problem;
    char operation[40]; /* id of the one that this request began, for its record; "": none */

    /* for the dispatcher and the response */
    struct serving *serving;
    struct mg_connection *connection;
    struct peer_socket *peer;
    struct route_path segments;
    size_t base; /* leading segments that are base_path */
    char *joined;
    struct values values;
    char *body;
    size_t body_length;
    bool body_unread; /* there may be a body that nobody read: the connection must close */
    bool keep_alive;
    bool streams_permit;
    struct activity *record; /* of an action, once it is written down; else NULL */
    struct activity_link link;
};

/* Fields by their name in the route's table; asking for one that is not there aborts. */
bool request_has(const struct request *request, const char *name);
const char *request_text(const struct request *request, const char *name); /* NULL: absent */
int64_t request_integer(const struct request *request, const char *name);  /* 0: absent */
double request_number(const struct request *request, const char *name);
bool request_boolean(const struct request *request, const char *name);
char *const *request_items(const struct request *request, const char *name, size_t *count);
/* Whether the STRINGS field is absent or holds that text. */
bool request_admits(const struct request *request, const char *name, const char *text);

const char *request_header(const struct request *request, const char *name); /* NULL: absent */
bool request_allows(const struct request *request, enum permission permission,
                    const char *environment);
/* Likewise for the node that the route is about, by what the session may do now: for what goes on
 * for long. */
bool request_still_allows(const struct request *request, enum permission permission);
/* Whether nobody waits for the answer any more: the client left or cesid is stopping. Takes a
 * struct request, for supervisor_wait and operation_wait. */
bool request_cancelled(void *request);

/* One of server.streams, for whoever holds a worker long. False: all are taken. Given back at the
 * end of the request, or before. */
bool request_take_stream(struct request *request);
void request_return_stream(struct request *request);

/* A call to the request's node: asks the breaker, waits, reports to the breaker, and fills in the
 * problem on failure. init with supervisor_call_init; destroyed here in every case. The caller
 * frees result in every case. CONFLICT for a disabled node. */
int request_call(struct request *request, struct supervisor_call *call,
                 struct supervisor_result *result) CESID_WARN_UNUSED;
/* The same in parts, for calls of other shapes: CONFLICT, NODE_CIRCUIT_OPEN, or 0 and then the
 * report is owed. */
int request_node_allow(struct request *request, struct node_settings *settings) CESID_WARN_UNUSED;
void request_node_report(struct request *request, int error);
/* The problem for what a call ended with; returns the error to answer. */
int request_call_failed(struct request *request, const struct supervisor_result *result);

#endif
