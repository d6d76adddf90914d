/*
 * What the tests of the rpc engine share: peers that misbehave on order (a peer is a listener whose
 * connections are each served by a thread with one habit), calls that are waited for, an engine for
 * each test.
 */
#ifndef CESID_TEST_RPC_PEER_H
#define CESID_TEST_RPC_PEER_H

#include "unit.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "cesid/rpc.h"
#include "cesid/thread.h"

#ifndef FIRST_PORT
#define FIRST_PORT 24000 /* of peers */
#endif
#ifndef SUPERVISOR_PORT
#define SUPERVISOR_PORT 24090
#endif
#define TLS_PORT  24091
#define LAST_PORT 24099 /* nobody ever listens there */
#define ANSWER    "<?xml version='1.0'?><methodResponse/>"

/* ---- peers ---- */

#define PEER_CONNECTIONS 256

struct peer {
    int listener;
    int port;
    char path[64]; /* of a unix socket */
    char url[96];
    void (*serve)(struct peer *peer, int fd);
    struct thread acceptor;
    pthread_t servers[PEER_CONNECTIONS];
    int fds[PEER_CONNECTIONS];
    atomic_int connections, requests, closed;
    atomic_bool stopping;
};

struct served {
    struct peer *peer;
    int fd;
};

static inline void *serve_one(void *argument)
{
    struct served served = *(struct served *) argument;
    free(argument);
    served.peer->serve(served.peer, served.fd);
    (void) shutdown(served.fd, SHUT_RDWR);
    atomic_fetch_add(&served.peer->closed, 1);
    return NULL;
}

static inline void accept_all(void *argument)
{
    struct peer *peer = argument;
    for (;;) {
        int fd = accept(peer->listener, NULL, NULL);
        if (atomic_load(&peer->stopping) || fd < 0) {
            if (fd >= 0)
                close(fd);
            return;
        }
        int index = atomic_load(&peer->connections);
        CHECK(index < PEER_CONNECTIONS);
        peer->fds[index] = fd;
        struct served *served = malloc(sizeof(*served));
        *served = (struct served){peer, fd};
        atomic_fetch_add(&peer->connections, 1);
        CHECK(pthread_create(&peer->servers[index], NULL, serve_one, served) == 0);
    }
}

/* serve NULL: connections wait in the backlog, never accepted. */
static inline void peer_start_backlog(struct peer *peer, void (*serve)(struct peer *, int),
                                      bool local, int backlog)
{
    memset(peer, 0, sizeof(*peer));
    peer->serve = serve;
    if (local) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        snprintf(peer->path, sizeof(peer->path), "/tmp/cesid-test-rpc-%d.sock", (int) getpid());
        snprintf(peer->url, sizeof(peer->url), "unix://%s", peer->path);
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", peer->path);
        unlink(peer->path);
        peer->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(peer->listener, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(peer->listener, backlog), 0);
    } else {
        const int on = 1;
        for (peer->port = FIRST_PORT; peer->port < SUPERVISOR_PORT; peer->port++) {
            struct sockaddr_in address = {.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t) peer->port),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            setsockopt(peer->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
            if (bind(peer->listener, (struct sockaddr *) &address, sizeof(address)) == 0 &&
                listen(peer->listener, backlog) == 0)
                break;
            close(peer->listener);
        }
        assert_true(peer->port < SUPERVISOR_PORT);
        snprintf(peer->url, sizeof(peer->url), "http://127.0.0.1:%d/RPC2", peer->port);
    }
    if (serve != NULL)
        assert_int_equal(thread_start(&peer->acceptor, "test", "peer", accept_all, peer), 0);
}

static inline void peer_start(struct peer *peer, void (*serve)(struct peer *, int))
{
    peer_start_backlog(peer, serve, false, 200);
}

static inline void peer_stop(struct peer *peer)
{
    atomic_store(&peer->stopping, true);
    shutdown(peer->listener, SHUT_RDWR);
    thread_join(&peer->acceptor);
    close(peer->listener);
    for (int i = 0; i < atomic_load(&peer->connections); i++) {
        shutdown(peer->fds[i], SHUT_RDWR);
        pthread_join(peer->servers[i], NULL);
        close(peer->fds[i]);
    }
    if (peer->path[0] != '\0')
        unlink(peer->path);
}

/* The next request, whole; false when the connection ended. */
static inline bool read_request(struct peer *peer, int fd, char *request, size_t size)
{
    size_t length = 0;
    for (;;) {
        ssize_t got = recv(fd, request + length, size - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t) got;
        request[length] = '\0';
        char *end = strstr(request, "\r\n\r\n");
        if (end == NULL)
            continue;
        char *field = strstr(request, "Content-Length: ");
        size_t body = field != NULL && field < end ? (size_t) atoi(field + 16) : 0;
        if (length >= (size_t) (end + 4 - request) + body) {
            atomic_fetch_add(&peer->requests, 1);
            return true;
        }
    }
}

static inline bool put(int fd, const char *text)
{
    size_t length = strlen(text);
    return send(fd, text, length, MSG_NOSIGNAL) == (ssize_t) length;
}

static inline void wait_for_end(int fd)
{
    char ignored[512];
    while (recv(fd, ignored, sizeof(ignored), 0) > 0)
        ;
}

static inline void answer_text(int fd, const char *text)
{
    char head[128];
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n",
             strlen(text));
    if (put(fd, head))
        (void) put(fd, text);
}

static inline void answers(struct peer *peer, int fd)
{
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request)))
        answer_text(fd, ANSWER);
}

static inline void hangs(struct peer *peer, int fd)
{
    (void) peer;
    wait_for_end(fd);
}

/* ---- calls ---- */

struct outcome {
    struct lock lock;
    struct cond cond;
    /* guarded by lock */
    int dones;
    int pieces;
    int error;
    enum rpc_cause cause;
    int status;
    char detail[256];
    char *body;
    size_t body_length;
    double duration;
};

static inline void outcome_init(struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    lock_init(&outcome->lock, LOCK_CALL);
    cond_init(&outcome->cond);
}

static inline void outcome_destroy(struct outcome *outcome)
{
    free(outcome->body);
    cond_destroy(&outcome->cond);
    lock_destroy(&outcome->lock);
}

static inline void take_outcome(void *argument, const struct rpc_result *result)
{
    struct outcome *outcome = argument;
    lock_acquire(&outcome->lock);
    outcome->dones++;
    outcome->error = result->error;
    outcome->cause = result->cause;
    outcome->status = result->status;
    outcome->duration = result->duration;
    snprintf(outcome->detail, sizeof(outcome->detail), "%s", result->detail);
    if (result->body != NULL) {
        free(outcome->body);
        outcome->body = mem_bytes(result->body, result->body_length);
        outcome->body_length = result->body_length;
    }
    cond_broadcast(&outcome->cond);
    lock_release(&outcome->lock);
}

static inline bool take_piece(void *argument, const char *data, size_t length)
{
    struct outcome *outcome = argument;
    CHECK(length > 0 && data != NULL);
    lock_acquire(&outcome->lock);
    outcome->pieces++;
    cond_broadcast(&outcome->cond);
    lock_release(&outcome->lock);
    return true;
}

static inline void wait_dones(struct outcome *outcome, int dones)
{
    int64_t deadline = clock_after(20);
    lock_acquire(&outcome->lock);
    while (outcome->dones < dones)
        assert_true(cond_wait_until(&outcome->cond, &outcome->lock, deadline));
    lock_release(&outcome->lock);
}

static inline void wait_pieces(struct outcome *outcome, int pieces)
{
    int64_t deadline = clock_after(20);
    lock_acquire(&outcome->lock);
    while (outcome->pieces < pieces)
        assert_true(cond_wait_until(&outcome->cond, &outcome->lock, deadline));
    lock_release(&outcome->lock);
}

static inline struct rpc_request request_for(struct outcome *outcome, double timeout)
{
    return (struct rpc_request){.method = "POST",
                                .body = "<methodCall/>",
                                .body_length = 13,
                                .answer_max = 1 << 20,
                                .deadline = clock_after(timeout),
                                .connect_timeout = 2,
                                .done = take_outcome,
                                .argument = outcome};
}

static struct rpc_engine *engine;

static inline struct rpc_endpoint *endpoint_for(const char *url, const char *username,
                                                struct secret *password)
{
    char address[128];
    snprintf(address, sizeof(address), "%s", url);
    char user[32];
    snprintf(user, sizeof(user), "%s", username);
    const struct config_node node = {.name = address,
                                     .environment = address,
                                     .url = address,
                                     .username = user,
                                     .password = password,
                                     .ca_file = user + strlen(user),
                                     .verify = true,
                                     .enabled = true};
    return rpc_endpoint_create(engine, &node);
}

static inline int setup(void **state)
{
    (void) state;
    engine = rpc_engine_create(2);
    assert_int_equal(rpc_engine_start(engine), 0);
    return 0;
}

static inline int teardown(void **state)
{
    (void) state;
    rpc_engine_stop(engine);
    rpc_engine_destroy(&engine);
    return 0;
}

/* One call to that path (NULL: the RPC path), waited for. */
static inline void call_once(struct rpc_endpoint *endpoint, struct outcome *outcome,
                             const char *path, double timeout)
{
    struct rpc_request request = request_for(outcome, timeout);
    request.path = path;
    int before = outcome->dones;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(outcome, before + 1);
}

static inline struct rpc_request stream_for(struct outcome *outcome)
{
    return (struct rpc_request){.method = "GET",
                                .path = "/logtail/x/stdout",
                                .deadline = CLOCK_NEVER,
                                .connect_timeout = 2,
                                .on_data = take_piece,
                                .done = take_outcome,
                                .argument = outcome};
}

/* A test with an engine of its own. */
#define TEST(text, function)                                                                       \
    {                                                                                              \
        text, function, setup, teardown, NULL                                                      \
    }

#endif
