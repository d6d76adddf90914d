/*
 * The engine: its loop threads, their inboxes, and which loop and shard an endpoint lives in.
 *
 * Each loop waits in epoll for sockets of all its shards, for the nearest of their timers, and for
 * an eventfd that says that the inbox has something. Everybody else only appends to inboxes, under
 * LOCK_ENGINE (one lock a loop, one for placement, never two at once), so that no caller waits for
 * libcurl and libcurl is never entered by two threads.
 *
 * Stop: a loop that is no longer open ends every call with SHUTTING_DOWN, empties its inbox, and
 * says under the lock that it runs no more; what comes later is told so and cleans up by itself.
 */
#include "rpc_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/pulse.h"

#define WAKE         UINT64_MAX
#define EVENTS_BATCH 256
#define WAIT_MAX_MS  60000

/* ---- inbox ---- */

bool rpc_loop_command(struct rpc_loop *loop, struct rpc_command *command)
{
    const uint64_t one = 1;
    lock_acquire(&loop->lock);
    bool taken = command->kind == RPC_SUBMIT ? loop->open : loop->running;
    if (taken) {
        command->next = NULL;
        if (loop->first == NULL) {
            loop->first = command;
            CHECK(write(loop->wake, &one, sizeof(one)) == (ssize_t) sizeof(one));
        } else {
            loop->last->next = command;
        }
        loop->last = command;
    }
    lock_release(&loop->lock);
    return taken;
}

static void shut_down(struct rpc_call *call)
{
    struct rpc_verdict verdict = {.error = CESID_E_SHUTTING_DOWN};
    (void) snprintf(verdict.detail, sizeof(verdict.detail), "cesid is shutting down.");
    rpc_call_stop(call, &verdict);
}

static void obey(struct rpc_command *command, bool open)
{
    struct rpc_verdict cancelled = {.error = CESID_E_CANCELLED};
    struct rpc_endpoint *endpoint;
    struct rpc_call *call;
    switch (command->kind) {
    case RPC_SUBMIT:
        call = CONTAINER_OF(command, struct rpc_call, submit);
        if (open)
            rpc_call_start(call);
        else
            shut_down(call);
        return;
    case RPC_CANCEL:
        call = CONTAINER_OF(command, struct rpc_call, cancel);
        /* Still queued: its own command comes later and sees that it was cancelled. */
        if (call->state == RPC_CALL_ACTIVE)
            rpc_call_stop(call, &cancelled);
        rpc_call_unref(&call);
        return;
    case RPC_RETIRE:
        endpoint = CONTAINER_OF(command, struct rpc_endpoint, retire);
        endpoint->retired = true;
        rpc_transfer_drop_idle(endpoint);
        rpc_endpoint_unref(&endpoint);
        return;
    case RPC_CLOSE:
        endpoint = CONTAINER_OF(command, struct rpc_endpoint, close);
        rpc_endpoint_free(endpoint);
        return;
    }
}

/* False when the loop has come to its end. */
static bool empty_inbox(struct rpc_loop *loop)
{
    for (;;) {
        lock_acquire(&loop->lock);
        struct rpc_command *command = loop->first;
        bool open = loop->open;
        loop->first = loop->last = NULL;
        if (command == NULL && !open && loop->active == NULL)
            loop->running = false;
        bool running = loop->running;
        lock_release(&loop->lock);
        if (!running)
            return false;
        while (command != NULL) {
            struct rpc_command *next = command->next; /* the command may be freed with its owner */
            obey(command, open);
            command = next;
        }
        if (open)
            return true;
        while (loop->active != NULL)
            shut_down(loop->active);
    }
}

/* ---- loop ---- */

static int wait_ms(const struct rpc_loop *loop)
{
    int64_t due = loop->headers_due;
    for (size_t i = 0; i < loop->shards_count; i++)
        if (loop->shards[i] != NULL && loop->shards[i]->due < due)
            due = loop->shards[i]->due;
    if (due == CLOCK_NEVER)
        return -1;
    int64_t ms = (due - clock_now() + 999999) / 1000000;
    return ms < 0 ? 0 : ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int) ms;
}

static void end_streams_without_headers(struct rpc_loop *loop, int64_t now)
{
    int64_t due = CLOCK_NEVER;
    struct rpc_call *next;
    for (struct rpc_call *call = loop->active; call != NULL; call = next) {
        next = call->next; /* `done` ends no other call on this thread */
        if (call->headers_due <= now) {
            struct rpc_verdict verdict = {0};
            rpc_verdict_set(&verdict, RPC_CAUSE_TIMEOUT, "The node did not answer in time.");
            rpc_call_stop(call, &verdict);
        } else if (call->headers_due < due) {
            due = call->headers_due;
        }
    }
    loop->headers_due = due;
}

static void run(void *argument)
{
    struct rpc_loop *loop = argument;
    struct epoll_event events[EVENTS_BATCH];
    sigset_t pipe;
    (void) sigemptyset(&pipe);
    (void) sigaddset(&pipe, SIGPIPE); /* TLS writes without MSG_NOSIGNAL */
    CHECK(pthread_sigmask(SIG_BLOCK, &pipe, NULL) == 0);
    for (;;) {
        int patience = wait_ms(loop);
        pulse_wait("nodes", patience < 0 ? CLOCK_NEVER : clock_after(patience / 1000.0));
        int count = epoll_wait(loop->epoll, events, EVENTS_BATCH, patience);
        pulse_work();
        CHECK(count >= 0 || errno == EINTR);
        bool woken = false;
        for (int i = 0; i < count; i++) {
            uint64_t data = events[i].data.u64;
            if (data == WAKE)
                woken = true;
            else if (loop->shards[data >> 32] != NULL)
                rpc_shard_socket(loop->shards[data >> 32], (int) (uint32_t) data, events[i].events);
        }
        if (woken) {
            uint64_t ignored;
            CHECK(read(loop->wake, &ignored, sizeof(ignored)) == (ssize_t) sizeof(ignored));
            if (!empty_inbox(loop))
                return;
        }
        int64_t now = clock_now();
        for (size_t i = 0; i < loop->shards_count; i++)
            if (loop->shards[i] != NULL) {
                rpc_shard_tick(loop->shards[i], now);
                rpc_shard_settle(loop, i);
            }
        if (loop->headers_due <= now)
            end_streams_without_headers(loop, now);
    }
}

static void loop_init(struct rpc_loop *loop, struct rpc_engine *engine)
{
    loop->engine = engine;
    loop->headers_due = CLOCK_NEVER;
    lock_init(&loop->lock, LOCK_ENGINE);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(loop->epoll >= 0 && loop->wake >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE};
    CHECK(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) == 0);
}

static void loop_destroy(struct rpc_loop *loop)
{
    for (size_t i = 0; i < loop->shards_count; i++)
        rpc_shard_free(loop->shards[i]);
    free(loop->shards);
    free(loop->sockets);
    while (loop->spare_count > 0)
        strbuf_destroy(&loop->spare[--loop->spare_count]);
    free(loop->placed);
    (void) close(loop->wake);
    (void) close(loop->epoll);
    lock_destroy(&loop->lock);
}

/* ---- placement ---- */

void rpc_engine_place(struct rpc_engine *engine, struct rpc_endpoint *endpoint)
{
    lock_acquire(&engine->lock);
    struct rpc_loop *loop = &engine->loops[0];
    for (size_t i = 1; i < engine->loops_count; i++)
        if (engine->loops[i].placed_total < loop->placed_total)
            loop = &engine->loops[i];
    size_t shard = loop->placed_count, fewest = RPC_SHARD_ENDPOINTS;
    for (size_t i = 0; i < loop->placed_count; i++)
        if (loop->placed[i] < fewest) {
            shard = i;
            fewest = loop->placed[i];
        }
    if (shard == loop->placed_count) {
        loop->placed = mem_resize(loop->placed, shard + 1, sizeof(*loop->placed));
        loop->placed[shard] = 0;
        loop->placed_count++;
    }
    loop->placed[shard]++;
    loop->placed_total++;
    endpoint->loop = loop;
    endpoint->shard = shard;
    lock_release(&engine->lock);
}

void rpc_engine_displace(struct rpc_endpoint *endpoint)
{
    struct rpc_loop *loop = endpoint->loop;
    lock_acquire(&endpoint->engine->lock);
    loop->placed[endpoint->shard]--;
    loop->placed_total--;
    lock_release(&endpoint->engine->lock);
}

/* ---- life ---- */

static void initialise_curl(void)
{
    CHECK(curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK);
}

static struct curl_slist *headers(const char *const *lines)
{
    struct curl_slist *list = NULL;
    for (; *lines != NULL; lines++) {
        list = curl_slist_append(list, *lines);
        CHECK(list != NULL);
    }
    return list;
}

struct rpc_engine *rpc_engine_create(int threads)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const char *const post[] = {"Content-Type: text/xml", "Accept: text/xml",
                                       "Expect:", NULL};
    static const char *const deferred[] = {"Content-Type: text/xml", "Accept: text/xml",
                                           "Expect:", "Connection: close", NULL};
    static const char *const get[] = {"Accept: */*", NULL};
    CHECK(pthread_once(&once, initialise_curl) == 0);
    struct rpc_engine *engine = mem_alloc(sizeof(*engine));
    engine->loops_count = threads > 0 ? (size_t) threads : 1;
    engine->loops = mem_array(engine->loops_count, sizeof(*engine->loops));
    engine->post_headers = headers(post);
    engine->deferred_headers = headers(deferred);
    engine->get_headers = headers(get);
    atomic_init(&engine->calls, 0);
    atomic_init(&engine->sockets_named, 0);
    lock_init(&engine->lock, LOCK_ENGINE);
    for (size_t i = 0; i < engine->loops_count; i++)
        loop_init(&engine->loops[i], engine);
    return engine;
}

int rpc_engine_start(struct rpc_engine *engine)
{
    for (size_t i = 0; i < engine->loops_count; i++) {
        struct rpc_loop *loop = &engine->loops[i];
        char name[16];
        (void) snprintf(name, sizeof(name), "rpc-%zu", i % 1000);
        lock_acquire(&loop->lock);
        loop->open = loop->running = true;
        lock_release(&loop->lock);
        int error = thread_start(&loop->thread, "rpc", name, run, loop);
        if (error < 0) {
            lock_acquire(&loop->lock);
            loop->open = loop->running = false;
            CHECK(loop->first == NULL);
            lock_release(&loop->lock);
            rpc_engine_stop(engine);
            return error;
        }
    }
    return 0;
}

void rpc_engine_stop(struct rpc_engine *engine)
{
    const uint64_t one = 1;
    for (size_t i = 0; i < engine->loops_count; i++) {
        struct rpc_loop *loop = &engine->loops[i];
        lock_acquire(&loop->lock);
        if (loop->open) {
            loop->open = false;
            CHECK(write(loop->wake, &one, sizeof(one)) == (ssize_t) sizeof(one));
        }
        lock_release(&loop->lock);
    }
    for (size_t i = 0; i < engine->loops_count; i++)
        thread_join(&engine->loops[i].thread);
}

void rpc_engine_destroy(struct rpc_engine **pointer)
{
    struct rpc_engine *engine = *pointer;
    *pointer = NULL;
    if (engine == NULL)
        return;
    CHECK(atomic_load(&engine->calls) == 0);
    for (size_t i = 0; i < engine->loops_count; i++) {
        CHECK(engine->loops[i].placed_total == 0);
        loop_destroy(&engine->loops[i]);
    }
    free(engine->loops);
    curl_slist_free_all(engine->post_headers);
    curl_slist_free_all(engine->deferred_headers);
    curl_slist_free_all(engine->get_headers);
    lock_destroy(&engine->lock);
    free(engine);
}

size_t rpc_engine_calls(struct rpc_engine *engine)
{
    return atomic_load(&engine->calls);
}
