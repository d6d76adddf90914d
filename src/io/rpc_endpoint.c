/*
 * Endpoints and calls: what callers hold. Both are reference-counted by atomics. Callers touch the
 * immutable part only and leave commands in the loop's inbox; the loop thread does the rest, and
 * ends every accepted call exactly once, in finish(), with no lock held.
 */
#include "rpc_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"

/* ---- endpoints ---- */

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static void set_url(struct rpc_endpoint *endpoint, const char *url)
{
    char host_url[48];
    static const char local[] = "unix://", rpc_path[] = "/RPC2";
    if (strncmp(url, local, sizeof(local) - 1) == 0) {
        endpoint->socket_path = mem_string(url + sizeof(local) - 1);
        /* A host of its own: libcurl keeps connections by host and, to find one, looks at each that
         * the host has, with a system call apiece. */
        (void) snprintf(host_url, sizeof(host_url), "http://unix-%zu/RPC2",
                        atomic_fetch_add(&endpoint->engine->sockets_named, 1));
        url = host_url;
    }
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    size_t base_length = length;
    if (ends_with(url, length, rpc_path))
        base_length -= sizeof(rpc_path) - 1;
    endpoint->base = mem_bytes(url, base_length);
    const char *host = strstr(endpoint->base, "://");
    host = host != NULL ? host + 3 : endpoint->base;
    if (base_length < length || strchr(host, '/') != NULL) {
        endpoint->url = mem_bytes(url, length);
    } else { /* no path at all */
        endpoint->url = mem_alloc(length + sizeof(rpc_path));
        memcpy(endpoint->url, url, length);
        memcpy(endpoint->url + length, rpc_path, sizeof(rpc_path));
    }
}

static const char *none_if_empty(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

struct rpc_endpoint *rpc_endpoint_create(struct rpc_engine *engine, const struct config_node *node)
{
    struct rpc_endpoint *endpoint = mem_alloc(sizeof(*endpoint));
    atomic_init(&endpoint->references, 1);
    endpoint->engine = engine;
    endpoint->name = mem_string(node->name != NULL ? node->name : "");
    set_url(endpoint, node->url);
    endpoint->username = mem_string(none_if_empty(node->username));
    endpoint->password = secret_ref(node->password);
    endpoint->ca_file = mem_string(none_if_empty(node->ca_file));
    endpoint->verify = node->verify;
    endpoint->close.kind = RPC_CLOSE;
    endpoint->retire.kind = RPC_RETIRE;
    atomic_init(&endpoint->retiring, false);
    rpc_engine_place(engine, endpoint);
    return endpoint;
}

struct rpc_endpoint *rpc_endpoint_ref(struct rpc_endpoint *endpoint)
{
    CHECK(atomic_fetch_add(&endpoint->references, 1) > 0);
    return endpoint;
}

void rpc_endpoint_unref(struct rpc_endpoint **pointer)
{
    struct rpc_endpoint *endpoint = *pointer;
    *pointer = NULL;
    if (endpoint == NULL)
        return;
    int before = atomic_fetch_sub(&endpoint->references, 1);
    CHECK(before > 0);
    /* Once its loop runs no more, nobody else looks at what it owns. */
    if (before == 1 && !rpc_loop_command(endpoint->loop, &endpoint->close))
        rpc_endpoint_free(endpoint);
}

void rpc_endpoint_retire(struct rpc_endpoint *endpoint)
{
    if (atomic_exchange(&endpoint->retiring, true))
        return;
    struct rpc_endpoint *reference = rpc_endpoint_ref(endpoint);
    if (!rpc_loop_command(endpoint->loop, &endpoint->retire))
        rpc_endpoint_unref(&reference);
}

void rpc_endpoint_free(struct rpc_endpoint *endpoint)
{
    rpc_transfer_drop_idle(endpoint);
    free(endpoint->name);
    free(endpoint->url);
    free(endpoint->base);
    free(endpoint->socket_path);
    free(endpoint->username);
    secret_unref(&endpoint->password);
    free(endpoint->ca_file);
    rpc_engine_displace(endpoint);
    free(endpoint);
}

/* ---- calls, any thread ---- */

static struct rpc_call *call_ref(struct rpc_call *call)
{
    CHECK(atomic_fetch_add(&call->references, 1) > 0);
    return call;
}

static void call_free(struct rpc_call *call)
{
    free(call->path);
    free(call->body);
    free(call);
}

void rpc_call_unref(struct rpc_call **pointer)
{
    struct rpc_call *call = *pointer;
    *pointer = NULL;
    if (call == NULL)
        return;
    int before = atomic_fetch_sub(&call->references, 1);
    CHECK(before > 0);
    if (before == 1)
        call_free(call);
}

int rpc_submit(struct rpc_endpoint *endpoint, const struct rpc_request *request,
               struct rpc_call **handle)
{
    CHECK(request->done != NULL);
    CHECK(request->deadline != CLOCK_NEVER || request->on_data != NULL);
    struct rpc_call *call = mem_alloc(sizeof(*call));
    atomic_init(&call->references, 1);
    atomic_init(&call->cancelled, false);
    call->endpoint = rpc_endpoint_ref(endpoint);
    call->loop = endpoint->loop;
    call->post = strcmp(request->method, "POST") == 0;
    call->deferred = request->deferred;
    call->path = mem_string(request->path);
    if (request->body != NULL || call->post)
        call->body = mem_bytes(request->body != NULL ? request->body : "", request->body_length);
    call->body_length = request->body_length;
    call->answer_max = request->answer_max;
    call->submitted_at = clock_now();
    call->deadline = request->deadline;
    call->connect_timeout = request->connect_timeout;
    call->context = log_context();
    call->on_data = request->on_data;
    call->done = request->done;
    call->argument = request->argument;
    call->submit.kind = RPC_SUBMIT;
    call->cancel.kind = RPC_CANCEL;
    call->headers_due = CLOCK_NEVER;

    /* `done` may run before this function returns: the caller's handle must be there by then. */
    if (handle != NULL)
        *handle = call_ref(call);
    atomic_fetch_add(&endpoint->engine->calls, 1);
    if (rpc_loop_command(endpoint->loop, &call->submit))
        return 0;
    atomic_fetch_sub(&endpoint->engine->calls, 1);
    if (handle != NULL)
        *handle = NULL;
    rpc_endpoint_unref(&call->endpoint);
    call_free(call);
    return CESID_E_SHUTTING_DOWN;
}

void rpc_call_cancel(struct rpc_call *call)
{
    if (atomic_exchange(&call->cancelled, true))
        return;
    struct rpc_call *reference = call_ref(call);
    /* Refused: the loop has ended, and every call before it. */
    if (!rpc_loop_command(call->loop, &call->cancel))
        rpc_call_unref(&reference);
}

/* ---- calls, loop thread ---- */

static void link_active(struct rpc_call *call)
{
    call->next = call->loop->active;
    if (call->next != NULL)
        call->next->previous = call;
    call->loop->active = call;
}

static void unlink_active(struct rpc_call *call)
{
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        call->loop->active = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    call->previous = call->next = NULL;
}

static void finish(struct rpc_call *call, struct rpc_verdict *verdict)
{
    struct rpc_transfer *transfer = call->transfer;
    if (call->state == RPC_CALL_ACTIVE)
        unlink_active(call);
    call->state = RPC_CALL_DONE;
    if (atomic_load(&call->cancelled))
        verdict->error = CESID_E_CANCELLED;
    if (verdict->error == CESID_E_CANCELLED) {
        verdict->cause = RPC_CAUSE_NONE;
        (void) snprintf(verdict->detail, sizeof(verdict->detail), "The call was cancelled.");
    }
    bool whole = verdict->error == 0 && call->on_data == NULL;
    const struct rpc_result result = {
        .error = verdict->error,
        .cause = verdict->cause,
        .status = verdict->status,
        .detail = verdict->detail,
        .body = whole ? transfer->body.data : NULL,
        .body_length = whole ? transfer->body.length : 0,
        .duration = clock_seconds_since(call->submitted_at),
    };
    log_swap(&call->context);
    log_debug("rpc", "a call ended", log_s("node", call->endpoint->name),
              log_s("result", error_code(result.error)),
              log_s("cause", rpc_cause_name(result.cause)), log_i("status", result.status),
              log_f("duration", result.duration));
    atomic_fetch_sub(&call->endpoint->engine->calls, 1);
    lock_assert_none_held();
    call->done(call->argument, &result);
    log_swap(&call->context);
    atomic_store(&call->cancelled, true); /* from now on cancelling does nothing */
    if (transfer != NULL)
        rpc_transfer_give_back(transfer);
    call->transfer = NULL;
    rpc_endpoint_unref(&call->endpoint);
    rpc_call_unref(&call);
}

void rpc_call_start(struct rpc_call *call)
{
    struct rpc_verdict verdict = {0};
    CHECK(call->state == RPC_CALL_QUEUED);
    if (atomic_load(&call->cancelled)) {
        finish(call, &verdict);
        return;
    }
    if (call->deadline <= clock_now()) {
        rpc_verdict_set(&verdict, RPC_CAUSE_TIMEOUT, "The time was over before the call began.");
        finish(call, &verdict);
        return;
    }
    call->transfer = rpc_transfer_take(call->endpoint);
    rpc_transfer_prepare(call->transfer, call);
    call->state = RPC_CALL_ACTIVE;
    link_active(call);
    if (call->on_data != NULL && call->connect_timeout > 0) {
        call->headers_due = clock_after(call->connect_timeout);
        if (call->headers_due < call->loop->headers_due)
            call->loop->headers_due = call->headers_due;
    }
    rpc_shard_add(rpc_shard_get(call->loop, call->endpoint->shard), call->transfer);
}

void rpc_call_stop(struct rpc_call *call, struct rpc_verdict *verdict)
{
    if (call->state == RPC_CALL_DONE)
        return;
    if (call->state == RPC_CALL_ACTIVE) {
        verdict->status = call->transfer->status;
        rpc_shard_remove(rpc_shard_get(call->loop, call->endpoint->shard), call->transfer);
    }
    finish(call, verdict);
}

/* The peer closed an idle connection in the moment in which it was used again. libcurl repeats such
 * a call by itself, but counts to five over the whole life of an easy handle and then fails once.
 */
static bool died_idle(const struct rpc_call *call, CURLcode code)
{
    const struct rpc_transfer *transfer = call->transfer;
    long made = 1;
    if (code != CURLE_SEND_ERROR && code != CURLE_RECV_ERROR && code != CURLE_GOT_NOTHING)
        return false;
    if (transfer->headers_length > 0 || call->repeated || atomic_load(&call->cancelled) ||
        call->deadline <= clock_now())
        return false;
    (void) curl_easy_getinfo(transfer->easy, CURLINFO_NUM_CONNECTS, &made);
    return made == 0;
}

void rpc_call_transferred(struct rpc_call *call, CURLcode code)
{
    struct rpc_transfer *transfer = call->transfer;
    struct rpc_verdict *verdict = &transfer->verdict;
    if (verdict->error == 0 && died_idle(call, code)) {
        call->repeated = true;
        rpc_transfer_prepare(transfer, call);
        rpc_shard_add(rpc_shard_get(call->loop, call->endpoint->shard), transfer);
        return;
    }
    if (verdict->error == 0)
        rpc_verdict_curl(verdict, transfer, code);
    verdict->status = transfer->status;
    finish(call, verdict);
}
