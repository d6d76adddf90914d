/*
 * The rpc engine: every byte to and from nodes goes through its curl_multi loops, and nothing else
 * in the program ever blocks on a node. A loop thread drives several shards of a few hundred
 * endpoints each (LAB.md: one multi of 10,000 saturates, twenty of 500 cost a third of a core).
 *
 * An endpoint is how one node is reached; it keeps its connection alive between calls. A call is
 * submitted with a deadline and ends exactly once in its `done` callback, on a loop thread, with
 * no lock held; the callback must not block. rpc_call_cancel may be called at any time from any
 * thread, the callback itself included; a cancelled call still ends in `done`, with CANCELLED.
 *
 * Lock: LOCK_ENGINE (each loop's inbox), LOCK_CALL (waiting for a call's end).
 */
#ifndef CESID_RPC_H
#define CESID_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/config.h"
#include "cesid/strbuf.h"

struct rpc_engine;
struct rpc_endpoint;
struct rpc_call;

/* Why a call failed, in the words of CONTRACT.md's `cause`. */
enum rpc_cause {
    RPC_CAUSE_NONE,
    RPC_CAUSE_REFUSED,
    RPC_CAUSE_UNREACHABLE,
    RPC_CAUSE_TIMEOUT,
    RPC_CAUSE_DNS,
    RPC_CAUSE_TLS,
    RPC_CAUSE_UNAUTHORIZED,
    RPC_CAUSE_PERMISSION,       /* of the unix socket, or HTTP 403 */
    RPC_CAUSE_NO_RPC_INTERFACE, /* HTTP 404, 405 at the RPC path */
    RPC_CAUSE_PROTOCOL,
    RPC_CAUSE_TOO_LARGE,
    RPC_CAUSE_RESET,
    RPC_CAUSES
};
const char *rpc_cause_name(enum rpc_cause cause); /* NULL for NONE */
const char *rpc_cause_hint(enum rpc_cause cause); /* one sentence on what to do; NULL for NONE */

struct rpc_result {
    int error; /* 0, or NODE_UNREACHABLE, NODE_TIMEOUT, NODE_UNAUTHORIZED, NODE_PROTOCOL,
                  CANCELLED, SHUTTING_DOWN */
    enum rpc_cause cause;
    int status;         /* HTTP status, 0 when none came */
    const char *detail; /* a sentence without secrets; "" when error is 0; valid in the callback */
    const char *body;   /* the whole body; NULL for streams; valid in the callback */
    size_t body_length;
    double duration; /* seconds from submission */
};

struct rpc_request {
    const char *method; /* HTTP method: "POST" or "GET" */
    const char *path;   /* NULL: the RPC path of the endpoint's URL; else an absolute path such as
                           "/logtail/web%3Aweb_00/stdout", put in place of a trailing /RPC2 */
    const char *body;   /* copied; NULL for GET */
    size_t body_length;
    size_t answer_max;      /* bytes; more ends the call with TOO_LARGE as soon as they come; for
                               streams 0 is no limit */
    int64_t deadline;       /* clock_now(); CLOCK_NEVER only for streams */
    double connect_timeout; /* seconds; for streams also how long the headers may take */
    bool deferred;          /* supervisord counts characters in Content-Length of these answers:
                               read to the end of the connection, which is then closed */
    /* Streams: called on the loop thread for each piece; false ends the call with CANCELLED. NULL:
     * collect. */
    bool (*on_data)(void *argument, const char *data, size_t length);
    void (*done)(void *argument, const struct rpc_result *result);
    void *argument;
};

struct rpc_engine *rpc_engine_create(int threads);
int rpc_engine_start(struct rpc_engine *engine) CESID_WARN_UNUSED;
/* Ends every call with SHUTTING_DOWN, joins the loops; later submissions are refused. */
void rpc_engine_stop(struct rpc_engine *engine);
void rpc_engine_destroy(struct rpc_engine **engine); /* aborts when an endpoint is left */
size_t rpc_engine_calls(struct rpc_engine *engine);  /* under way now */

/* Copies what it needs of the node's settings (secret by reference). */
struct rpc_endpoint *rpc_endpoint_create(struct rpc_engine *engine, const struct config_node *node);
struct rpc_endpoint *rpc_endpoint_ref(struct rpc_endpoint *endpoint);
void rpc_endpoint_unref(struct rpc_endpoint **endpoint); /* the last closes its connections */
/* Its node is gone: connections are closed as soon as no call uses them, whoever still holds it. */
void rpc_endpoint_retire(struct rpc_endpoint *endpoint);

/* 0: `done` will be called once, perhaps before rpc_submit returns (*call is set by then), and
 * *call (when call is not NULL) is a reference for cancelling. A status that is not 200 is an
 * error, too: see cause and status.
 * SHUTTING_DOWN: nothing was taken and `done` is not called. */
int rpc_submit(struct rpc_endpoint *endpoint, const struct rpc_request *request,
               struct rpc_call **call) CESID_WARN_UNUSED;
void rpc_call_cancel(struct rpc_call *call);
void rpc_call_unref(struct rpc_call **call);

#endif
