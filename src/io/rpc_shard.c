/*
 * A shard: one curl_multi, driven by its loop's epoll and one due time. libcurl tells which sockets
 * it wants watched and when it wants to be called next; idle keep-alive connections are not
 * watched, a dead one is noticed when it is to be used again.
 *
 * Loop thread only, no locks. Nothing here calls back into a multi from one of its own callbacks:
 * what callers do in `done` and `on_data` only reaches the inbox.
 */
#include "rpc_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "cesid/clock.h"
#include "cesid/log.h"
#include "cesid/memory.h"

#define SET(multi, option, value) CHECK(curl_multi_setopt(multi, option, value) == CURLM_OK)

/* The epoll entry carries shard and descriptor; an event for a descriptor that was closed
 * meanwhile is one that libcurl does not know, and ignores. */
static bool watch(struct rpc_shard *shard, int socket, int what, bool known)
{
    struct epoll_event event = {
        .events = (what & CURL_POLL_IN ? (uint32_t) EPOLLIN : 0) |
                  (what & CURL_POLL_OUT ? (uint32_t) EPOLLOUT : 0),
        .data.u64 = (uint64_t) shard->index << 32 | (uint32_t) socket,
    };
    int epoll = shard->loop->epoll;
    if (epoll_ctl(epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event) == 0)
        return true;
    /* A descriptor number may come back before its old entry is forgotten, on both sides. */
    if (errno == ENOENT)
        return epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) == 0;
    if (errno == EEXIST)
        return epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) == 0;
    return false;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *argument, void *known)
{
    struct rpc_shard *shard = argument;
    struct rpc_transfer *transfer = NULL;
    (void) curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    if (what == CURL_POLL_REMOVE) {
        /* libcurl has closed one that was never connected before it says so: the kernel watches it
         * no more, and its number may be somebody else's by now. */
        if (transfer == NULL || transfer->connected || transfer->socket != socket)
            (void) epoll_ctl(shard->loop->epoll, EPOLL_CTL_DEL, socket, NULL);
        return 0;
    }
    if (transfer != NULL)
        rpc_transfer_uses_socket(transfer, socket);
    if (!watch(shard, socket, what, known != NULL))
        log_error("rpc", "cannot watch a connection", log_i("errno", errno));
    if (known == NULL)
        (void) curl_multi_assign(shard->multi, socket, shard);
    return 0; /* anything else would end the whole multi; this transfer ends at its deadline */
}

static int on_timer(CURLM *multi, long timeout_ms, void *argument)
{
    (void) multi;
    struct rpc_shard *shard = argument;
    shard->due = timeout_ms < 0 ? CLOCK_NEVER : clock_now() + (int64_t) timeout_ms * 1000000;
    return 0;
}

struct rpc_shard *rpc_shard_get(struct rpc_loop *loop, size_t index)
{
    if (index >= loop->shards_count) {
        loop->shards = mem_resize(loop->shards, index + 1, sizeof(struct rpc_shard *));
        while (loop->shards_count <= index)
            loop->shards[loop->shards_count++] = NULL;
    }
    if (loop->shards[index] != NULL)
        return loop->shards[index];
    struct rpc_shard *shard = mem_alloc(sizeof(*shard));
    shard->loop = loop;
    shard->index = index;
    shard->due = CLOCK_NEVER;
    shard->multi = curl_multi_init();
    CHECK(shard->multi != NULL);
    SET(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    SET(shard->multi, CURLMOPT_SOCKETDATA, (void *) shard);
    SET(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    SET(shard->multi, CURLMOPT_TIMERDATA, (void *) shard);
    SET(shard->multi, CURLMOPT_MAXCONNECTS, RPC_SHARD_CONNECTIONS);
    SET(shard->multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
    loop->shards[index] = shard;
    return shard;
}

void rpc_shard_free(struct rpc_shard *shard)
{
    if (shard == NULL)
        return;
    CHECK(curl_multi_cleanup(shard->multi) == CURLM_OK);
    free(shard);
}

void rpc_shard_settle(struct rpc_loop *loop, size_t index)
{
    if (index >= loop->shards_count || loop->shards[index] == NULL ||
        atomic_load(&loop->shards[index]->transfers) > 0)
        return;
    rpc_shard_free(loop->shards[index]);
    loop->shards[index] = NULL;
}

void rpc_shard_add(struct rpc_shard *shard, struct rpc_transfer *transfer)
{
    CHECK(curl_multi_add_handle(shard->multi, transfer->easy) == CURLM_OK);
}

void rpc_shard_remove(struct rpc_shard *shard, struct rpc_transfer *transfer)
{
    CHECK(curl_multi_remove_handle(shard->multi, transfer->easy) == CURLM_OK);
}

static void collect(struct rpc_shard *shard)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        struct rpc_transfer *transfer = NULL;
        (void) curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        CHECK(transfer != NULL);
        rpc_shard_remove(shard, transfer); /* message is gone after this */
        rpc_call_transferred(transfer->call, code);
    }
}

void rpc_shard_socket(struct rpc_shard *shard, int socket, uint32_t epoll_events)
{
    int bits = 0, running;
    /* Errors are found by the read or write that they make possible, with their errno. */
    if (epoll_events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        bits |= CURL_CSELECT_IN;
    if (epoll_events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        bits |= CURL_CSELECT_OUT;
    (void) curl_multi_socket_action(shard->multi, socket, bits, &running);
    collect(shard);
}

void rpc_shard_tick(struct rpc_shard *shard, int64_t now)
{
    int running;
    if (shard->due > now)
        return;
    shard->due = CLOCK_NEVER; /* libcurl sets the next one meanwhile, if it wants one */
    (void) curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(shard);
}
