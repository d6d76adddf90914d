/*
 * What the files of the rpc engine share. Everything that libcurl touches belongs to the loop
 * thread that drives it; other threads only leave commands in that loop's inbox.
 *
 *     rpc_engine.c     engine, loop threads, inboxes, placement of endpoints
 *     rpc_endpoint.c   endpoints and calls: what callers hold
 *     rpc_shard.c      one curl_multi and its sockets and timer in the loop's epoll
 *     rpc_transfer.c   one curl easy handle: how it is set up, what it lets in
 *     rpc_verdict.c    what the end of a transfer means: error, cause, sentence
 */
#ifndef CESID_RPC_INTERNAL_H
#define CESID_RPC_INTERNAL_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/rpc.h"
#include "cesid/secret.h"
#include "cesid/strbuf.h"
#include "cesid/thread.h"

/* With each call libcurl walks the connections of its curl_multi: one of 10,000 nodes costs six
 * times as much a poll as one of 500, and that a tenth more than one of 128. */
#define RPC_SHARD_ENDPOINTS 128
/* Of a shard, those in use included: past it libcurl would drop idle ones that the next poll needs.
 * What bounds them is that each transfer has one, and an endpoint few idle transfers. */
#define RPC_SHARD_CONNECTIONS 100000L
/* Idle easy handles that an endpoint keeps: one for polling, one for an action beside it. */
#define RPC_IDLE_TRANSFERS 2
#define RPC_HEADERS_MAX    ((size_t) 64 * 1024)
/* Buffers of ended answers that a loop keeps for coming ones, and the largest that it keeps. */
#define RPC_SPARE_BODIES 32
#define RPC_BODY_KEPT    ((size_t) 256 * 1024)
#define RPC_DETAIL_SIZE  256

enum rpc_command_kind { RPC_SUBMIT, RPC_CANCEL, RPC_RETIRE, RPC_CLOSE };

/* Embedded in calls and endpoints, so that leaving a command never allocates. */
struct rpc_command {
    struct rpc_command *next;
    enum rpc_command_kind kind;
};

/* What ends a call, in the making. */
struct rpc_verdict {
    int error;
    enum rpc_cause cause;
    int status;
    char detail[RPC_DETAIL_SIZE];
};

struct rpc_engine {
    /* immutable */
    struct rpc_loop *loops;
    size_t loops_count;
    struct curl_slist *post_headers, *deferred_headers, *get_headers;
    /* atomic */
    _Atomic size_t calls;
    _Atomic size_t sockets_named; /* unix sockets given a host name */
    struct lock lock;             /* LOCK_ENGINE; never together with a loop's */
    /* guarded by lock: each loop's `placed` */
};

struct rpc_loop {
    /* immutable */
    struct rpc_engine *engine;
    int epoll;
    int wake; /* eventfd */
    /* guarded by engine->lock */
    size_t placed_total;
    size_t *placed; /* endpoints of each shard */
    size_t placed_count;
    struct lock lock; /* LOCK_ENGINE */
    /* guarded by lock */
    struct rpc_command *first, *last;
    bool open;    /* submissions are taken */
    bool running; /* somebody will look into the inbox */
    /* owned by the loop thread; by nobody in particular once it is joined */
    struct thread thread;
    struct rpc_shard **shards;
    size_t shards_count;
    struct rpc_call *active; /* doubly linked */
    int64_t headers_due;     /* when to look for streams without headers */
    uint64_t next_transfer_id;
    /* By descriptor: the transfer that used the connection last, 0 when it is none of ours. */
    uint64_t *sockets;
    size_t sockets_count;
    struct strbuf spare[RPC_SPARE_BODIES];
    size_t spare_count;
};

struct rpc_shard {
    /* owned by the loop thread */
    struct rpc_loop *loop;
    size_t index;
    CURLM *multi;
    int64_t due; /* clock_now() */
    /* atomic */
    _Atomic size_t transfers; /* of its endpoints, idle ones included */
};

struct rpc_endpoint {
    atomic_int references;
    /* immutable */
    struct rpc_engine *engine;
    struct rpc_loop *loop;
    size_t shard;
    char *name;
    char *url;         /* of the RPC interface */
    char *base;        /* url without /RPC2 */
    char *socket_path; /* NULL unless unix:// */
    char *username;
    struct secret *password;
    char *ca_file;
    bool verify;
    struct rpc_command close;  /* left by the last unref */
    struct rpc_command retire; /* holds a reference */
    atomic_bool retiring;
    /* owned by the loop thread */
    struct rpc_transfer *idle;
    size_t idle_count;
    bool retired;
};

enum rpc_call_state { RPC_CALL_QUEUED, RPC_CALL_ACTIVE, RPC_CALL_DONE };

struct rpc_call {
    atomic_int references; /* the loop's until done, the caller's, a cancel command's */
    atomic_bool cancelled;
    /* immutable; the endpoint is the loop thread's */
    struct rpc_loop *loop;
    struct rpc_endpoint *endpoint; /* a reference until the loop is done with the call */
    bool post, deferred;
    char *path; /* NULL: the RPC path */
    char *body;
    size_t body_length;
    size_t answer_max;
    int64_t submitted_at, deadline;
    double connect_timeout;
    struct log_context context; /* of who submitted it; for `done`, too */
    bool (*on_data)(void *argument, const char *data, size_t length);
    void (*done)(void *argument, const struct rpc_result *result);
    void *argument;
    struct rpc_command submit, cancel;
    /* owned by the loop thread */
    enum rpc_call_state state;
    bool repeated;
    struct rpc_transfer *transfer;
    struct rpc_call *previous, *next;
    int64_t headers_due; /* CLOCK_NEVER once they came, and for all but streams */
};

/* A configured easy handle of an endpoint, used for one call at a time. */
struct rpc_transfer {
    /* immutable */
    uint64_t id;
    struct rpc_endpoint *endpoint;
    CURL *easy;
    /* owned by the loop thread */
    struct rpc_transfer *next; /* idle */
    struct rpc_call *call;
    bool elsewhere; /* the URL is not the RPC interface's */
    int socket;     /* of the last connection used, -1 before */
    bool connected; /* this call has a connection, and libcurl tells when it closes that */
    int socket_error;
    int status;                      /* of the final response */
    size_t headers_length, received; /* bytes */
    bool at_status;                  /* the next header line is a status line */
    bool interim;                    /* of a 1xx response */
    bool headers_done;
    struct strbuf body;         /* empty until data come: a hung node holds none */
    struct rpc_verdict verdict; /* set by a callback that ended the transfer */
    char error[CURL_ERROR_SIZE];
};

/* rpc_engine.c */
/* Any thread. False: refused, and the loop will never look at it. */
bool rpc_loop_command(struct rpc_loop *loop, struct rpc_command *command);
void rpc_engine_place(struct rpc_engine *engine, struct rpc_endpoint *endpoint);
void rpc_engine_displace(struct rpc_endpoint *endpoint);

/* rpc_endpoint.c; loop thread only, but for rpc_endpoint_free when its loop runs no more */
void rpc_endpoint_free(struct rpc_endpoint *endpoint);
void rpc_call_start(struct rpc_call *call);
void rpc_call_stop(struct rpc_call *call, struct rpc_verdict *verdict); /* queued or active */
void rpc_call_transferred(struct rpc_call *call, CURLcode code); /* libcurl is done with it */

/* rpc_shard.c; loop thread only */
struct rpc_shard *rpc_shard_get(struct rpc_loop *loop, size_t index);
void rpc_shard_free(struct rpc_shard *shard);
/* Frees the shard, and so closes its connections, if no transfer is left. Not from within it. */
void rpc_shard_settle(struct rpc_loop *loop, size_t index);
void rpc_shard_add(struct rpc_shard *shard, struct rpc_transfer *transfer);
void rpc_shard_remove(struct rpc_shard *shard, struct rpc_transfer *transfer);
void rpc_shard_socket(struct rpc_shard *shard, int socket, uint32_t epoll_events);
void rpc_shard_tick(struct rpc_shard *shard, int64_t now);

/* rpc_transfer.c; loop thread only */
struct rpc_transfer *rpc_transfer_take(struct rpc_endpoint *endpoint); /* idle or new */
void rpc_transfer_prepare(struct rpc_transfer *transfer, struct rpc_call *call);
void rpc_transfer_give_back(struct rpc_transfer *transfer);
void rpc_transfer_free(struct rpc_transfer *transfer);
void rpc_transfer_drop_idle(struct rpc_endpoint *endpoint); /* and hang up */
void rpc_transfer_uses_socket(struct rpc_transfer *transfer, int socket);

/* rpc_verdict.c */
void rpc_verdict_set(struct rpc_verdict *verdict, enum rpc_cause cause, const char *format, ...)
    CESID_PRINTF(3, 4);
void rpc_verdict_status(struct rpc_verdict *verdict, int status);
void rpc_verdict_curl(struct rpc_verdict *verdict, struct rpc_transfer *transfer, CURLcode code);

#endif
