/*
 * The life of calls and streams in the rpc engine: cancelling, shutting down, many threads, and a
 * resolver that hangs (names are resolved by a getaddrinfo of our own).
 */
#include "rpc_peer.h"

#include <dlfcn.h>
#include <netdb.h>

/* ---- a resolver that hangs on order ---- */

static pthread_mutex_t resolver_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t resolver_cond = PTHREAD_COND_INITIALIZER;
static bool resolver_released;
static int resolver_waiting;

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict result)
{
    if (name != NULL && strcmp(name, "slow.invalid") == 0) {
        pthread_mutex_lock(&resolver_mutex);
        resolver_waiting++;
        pthread_cond_broadcast(&resolver_cond);
        while (!resolver_released)
            pthread_cond_wait(&resolver_cond, &resolver_mutex);
        resolver_waiting--;
        pthread_cond_broadcast(&resolver_cond);
        pthread_mutex_unlock(&resolver_mutex);
        return EAI_AGAIN;
    }
    if (name != NULL && strcmp(name, "missing.invalid") == 0)
        return EAI_NONAME;
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(name, service, hints, result);
}

static void is_not_stalled_by_a_resolver(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome slow, good;
    struct rpc_call *calls[4];
    peer_start(&peer, answers);
    outcome_init(&slow);
    outcome_init(&good);
    struct rpc_endpoint *lost = endpoint_for("http://slow.invalid:9001/RPC2", "", NULL);
    struct rpc_endpoint *endpoints[2]; /* one a loop, whichever `lost` is on */
    for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++)
        endpoints[i] = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = request_for(&slow, 15);
    request.connect_timeout = 15;
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
        assert_int_equal(rpc_submit(lost, &request, &calls[i]), 0);
    request = request_for(&slow, 0.2);
    assert_int_equal(rpc_submit(lost, &request, NULL), 0);
    wait_dones(&slow, 1);
    assert_int_equal(slow.cause, RPC_CAUSE_DNS);
    for (int round = 0; round < 5; round++) {
        if (round > 0)
            rpc_call_cancel(calls[round - 1]);
        for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++) {
            call_once(endpoints[i], &good, NULL, 10);
            assert_int_equal(good.error, 0);
            assert_true(good.duration < 5);
        }
    }
    wait_dones(&slow, 5);
    assert_int_equal(slow.error, CESID_E_CANCELLED);
    for (size_t i = 0; i < ARRAY_LENGTH(calls); i++)
        rpc_call_unref(&calls[i]);
    rpc_endpoint_unref(&lost);
    for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++)
        rpc_endpoint_unref(&endpoints[i]);
    /* Let libcurl's resolver threads go before the leak check. */
    pthread_mutex_lock(&resolver_mutex);
    resolver_released = true;
    pthread_cond_broadcast(&resolver_cond);
    while (resolver_waiting > 0)
        pthread_cond_wait(&resolver_cond, &resolver_mutex);
    pthread_mutex_unlock(&resolver_mutex);
    outcome_destroy(&slow);
    outcome_destroy(&good);
    peer_stop(&peer);
}

static void tells_unknown_names(void **state)
{
    (void) state;
    struct outcome outcome;
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for("http://missing.invalid:9001/RPC2", "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_DNS);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
}

/* ---- streams and cancelling ---- */

static void streams(struct peer *peer, int fd)
{
    char request[4096];
    if (!read_request(peer, fd, request, sizeof(request)))
        return;
    put(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    while (put(fd, "5\r\nline\n\r\n") && poll(&gone, 1, 10) == 0)
        ;
}

static void streams_live_until_cancelled(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    struct rpc_call *call;
    peer_start(&peer, streams);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = stream_for(&outcome);
    assert_int_equal(rpc_submit(endpoint, &request, &call), 0);
    wait_pieces(&outcome, 210); /* longer than the time that headers may take */
    assert_int_equal(rpc_engine_calls(engine), 1);
    rpc_call_cancel(call);
    rpc_call_cancel(call);
    wait_dones(&outcome, 1);
    assert_int_equal(outcome.error, CESID_E_CANCELLED);
    assert_int_equal(outcome.status, 200);
    rpc_call_cancel(call); /* nothing is left to cancel */
    rpc_call_unref(&call);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static bool refuse_piece(void *argument, const char *data, size_t length)
{
    (void) take_piece(argument, data, length);
    return false;
}

static void ends_stream_by_its_reader(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, streams);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = stream_for(&outcome);
    request.on_data = refuse_piece;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(&outcome, 1);
    assert_int_equal(outcome.error, CESID_E_CANCELLED);
    assert_int_equal(outcome.pieces, 1);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void ends_stream_without_headers(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, hangs);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = stream_for(&outcome);
    request.connect_timeout = 0.2;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(&outcome, 1);
    assert_int_equal(outcome.error, CESID_E_NODE_TIMEOUT);
    assert_true(outcome.duration >= 0.2 && outcome.duration < 3);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void cancels_many_at_once(void **state)
{
    (void) state;
    enum { CALLS = 100 };
    struct peer peer;
    struct outcome outcome;
    struct rpc_call *calls[CALLS];
    peer_start(&peer, hangs);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = request_for(&outcome, 60);
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(rpc_submit(endpoint, &request, &calls[i]), 0);
    int64_t deadline = clock_after(20);
    while (atomic_load(&peer.connections) < CALLS && clock_now() < deadline)
        rest();
    assert_int_equal(rpc_engine_calls(engine), CALLS);
    for (int i = 0; i < CALLS; i++)
        rpc_call_cancel(calls[i]);
    wait_dones(&outcome, CALLS);
    assert_int_equal(outcome.dones, CALLS);
    assert_int_equal(outcome.error, CESID_E_CANCELLED);
    assert_int_equal(rpc_engine_calls(engine), 0);
    /* Their connections are gone, too. */
    while (atomic_load(&peer.closed) < CALLS && clock_now() < deadline)
        rest();
    assert_int_equal(atomic_load(&peer.closed), CALLS);
    for (int i = 0; i < CALLS; i++)
        rpc_call_unref(&calls[i]);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

struct chain {
    struct outcome outcome;
    struct rpc_endpoint *endpoint;
    struct rpc_call *call;
    int left;
};

static void chain_done(void *argument, const struct rpc_result *result)
{
    struct chain *chain = argument;
    rpc_call_cancel(chain->call); /* its own, which has ended */
    rpc_call_unref(&chain->call);
    if (result->error == 0 && --chain->left > 0) {
        struct rpc_request request = request_for(&chain->outcome, 10);
        request.done = chain_done;
        request.argument = chain;
        CHECK(rpc_submit(chain->endpoint, &request, &chain->call) == 0);
        return;
    }
    rpc_endpoint_unref(&chain->endpoint);
    take_outcome(&chain->outcome, result);
}

static void may_submit_and_cancel_in_done(void **state)
{
    (void) state;
    struct peer peer;
    struct chain chain = {.left = 20};
    peer_start(&peer, answers);
    outcome_init(&chain.outcome);
    chain.endpoint = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = request_for(&chain.outcome, 10);
    request.done = chain_done;
    request.argument = &chain;
    assert_int_equal(rpc_submit(chain.endpoint, &request, &chain.call), 0);
    wait_dones(&chain.outcome, 1);
    assert_int_equal(chain.outcome.error, 0);
    assert_int_equal(atomic_load(&peer.requests), 20);
    assert_int_equal(atomic_load(&peer.connections), 1);
    outcome_destroy(&chain.outcome);
    peer_stop(&peer);
}

static void shuts_down_with_calls_in_flight(void **state)
{
    (void) state;
    enum { CALLS = 100 };
    struct peer peer;
    struct outcome outcome;
    peer_start_backlog(&peer, NULL, false, 200);
    outcome_init(&outcome);
    struct rpc_engine *own = rpc_engine_create(2), *shared = engine;
    assert_int_equal(rpc_engine_start(own), 0);
    engine = own;
    struct rpc_endpoint *endpoints[CALLS];
    struct rpc_request request = request_for(&outcome, 60);
    struct rpc_call *last = NULL;
    for (int i = 0; i < CALLS; i++) {
        const char *url = i % 20 == 0 ? "http://slow.invalid/RPC2" : peer.url;
        endpoints[i] = endpoint_for(url, "", NULL);
        assert_int_equal(rpc_submit(endpoints[i], &request, i == CALLS - 1 ? &last : NULL), 0);
    }
    engine = shared;
    int64_t began = clock_now();
    rpc_engine_stop(own);
    assert_true(clock_seconds_since(began) < 5); /* the machine may stand still for most of it */
    assert_int_equal(outcome.dones, CALLS);
    assert_int_equal(outcome.error, CESID_E_SHUTTING_DOWN);
    assert_int_equal(rpc_engine_calls(own), 0);
    assert_int_equal(rpc_submit(endpoints[0], &request, NULL), CESID_E_SHUTTING_DOWN);
    assert_int_equal(outcome.dones, CALLS);
    for (int i = 0; i < CALLS; i++)
        rpc_endpoint_unref(&endpoints[i]);
    rpc_engine_destroy(&own);
    rpc_call_cancel(last); /* a handle may outlive the engine */
    rpc_call_unref(&last);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void spreads_endpoints_over_shards(void **state)
{
    (void) state;
    enum { ENDPOINTS = 1200 };
    struct peer peer;
    struct outcome outcome;
    peer_start_backlog(&peer, answers, true, 200);
    outcome_init(&outcome);
    struct rpc_endpoint **endpoints = mem_array(ENDPOINTS, sizeof(struct rpc_endpoint *));
    for (int i = 0; i < ENDPOINTS; i++)
        endpoints[i] = endpoint_for(peer.url, "", NULL);
    for (int i = 0; i < ENDPOINTS; i += 50)
        call_once(endpoints[i], &outcome, NULL, 10);
    call_once(endpoints[ENDPOINTS - 1], &outcome, NULL, 10);
    assert_int_equal(outcome.error, 0);
    for (int i = 0; i < ENDPOINTS; i++)
        rpc_endpoint_unref(&endpoints[i]);
    free(endpoints);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

/* ---- many threads ---- */

struct stress {
    struct rpc_endpoint *good, *hung;
    atomic_int submitted, done;
};

static void stress_done(void *argument, const struct rpc_result *result)
{
    struct stress *stress = argument;
    (void) result;
    atomic_fetch_add(&stress->done, 1);
}

static bool stress_data(void *argument, const char *data, size_t length)
{
    (void) argument;
    (void) data;
    return length > 0;
}

static void stress_run(void *argument)
{
    struct stress *stress = argument;
    for (int i = 0; i < 60; i++) {
        struct rpc_call *call = NULL;
        struct rpc_request request = {.method = "POST",
                                      .body = "<methodCall/>",
                                      .body_length = 13,
                                      .answer_max = 1024,
                                      .deadline = clock_after(i % 7 == 0 ? 0.001 : 30),
                                      .connect_timeout = 10,
                                      .on_data = i % 5 == 0 ? stress_data : NULL,
                                      .done = stress_done,
                                      .argument = stress};
        struct rpc_endpoint *endpoint = rpc_endpoint_ref(i % 3 == 0 ? stress->hung : stress->good);
        if (rpc_submit(endpoint, &request, &call) == 0)
            atomic_fetch_add(&stress->submitted, 1);
        rpc_endpoint_unref(&endpoint);
        if (i % 3 == 0 || i % 4 == 0)
            rpc_call_cancel(call);
        rpc_call_unref(&call);
    }
}

static void bears_many_threads(void **state)
{
    (void) state;
    struct peer peer, silent;
    struct stress stress = {0};
    struct thread threads[6] = {0};
    peer_start_backlog(&peer, answers, true, 200);
    peer_start_backlog(&silent, NULL, false, 200);
    stress.good = endpoint_for(peer.url, "", NULL);
    stress.hung = endpoint_for(silent.url, "", NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(thread_start(&threads[i], "test", "stress", stress_run, &stress), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    int64_t deadline = clock_after(30);
    while (atomic_load(&stress.done) < atomic_load(&stress.submitted) && clock_now() < deadline)
        rest();
    assert_int_equal(atomic_load(&stress.submitted), 360);
    assert_int_equal(atomic_load(&stress.done), 360);
    assert_int_equal(rpc_engine_calls(engine), 0);
    rpc_endpoint_unref(&stress.good);
    rpc_endpoint_unref(&stress.hung);
    peer_stop(&peer);
    peer_stop(&silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: after the next the resolver hangs no more. */
        TEST("R8.3 shutdown ends a hundred hung calls at once", shuts_down_with_calls_in_flight),
        TEST("tells unknown names", tells_unknown_names),
        TEST("R6.2 a resolver that hangs stalls nobody else", is_not_stalled_by_a_resolver),
        TEST("R8.5 a stream arrives live and ends when it is cancelled",
             streams_live_until_cancelled),
        TEST("R8.5 the reader of a stream can end it", ends_stream_by_its_reader),
        TEST("a stream without headers is a timeout", ends_stream_without_headers),
        TEST("R6.4 cancelled calls leave neither calls nor connections", cancels_many_at_once),
        TEST("done may submit and cancel", may_submit_and_cancel_in_done),
        TEST("spreads endpoints over shards", spreads_endpoints_over_shards),
        TEST("R2.2 calls to one node from many threads do not race", bears_many_threads),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("rpc_calls", tests, NULL, NULL);
}
