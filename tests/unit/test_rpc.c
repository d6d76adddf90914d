/*
 * The rpc engine against peers that misbehave on order, and against a real supervisord. A peer is a
 * listener whose connections are each served by a thread with one bad habit. Names are resolved by
 * a getaddrinfo of our own, so that a resolver that hangs is at hand too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "cesid/rpc.h"
#include "cesid/thread.h"

#define FIRST_PORT      24000
#define LAST_PORT       24099
#define SUPERVISOR_PORT 24090
#define ANSWER          "<?xml version='1.0'?><methodResponse/>"

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

static void *serve_one(void *argument)
{
    struct served served = *(struct served *) argument;
    free(argument);
    served.peer->serve(served.peer, served.fd);
    (void) shutdown(served.fd, SHUT_RDWR);
    atomic_fetch_add(&served.peer->closed, 1);
    return NULL;
}

static void accept_all(void *argument)
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
        assert_true(index < PEER_CONNECTIONS);
        peer->fds[index] = fd;
        struct served *served = malloc(sizeof(*served));
        *served = (struct served){peer, fd};
        atomic_fetch_add(&peer->connections, 1);
        assert_int_equal(pthread_create(&peer->servers[index], NULL, serve_one, served), 0);
    }
}

/* serve NULL: connections wait in the backlog, never accepted. */
static void peer_start_backlog(struct peer *peer, void (*serve)(struct peer *, int), bool local,
                               int backlog)
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
    } else {
        const int on = 1;
        peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(peer->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        for (peer->port = FIRST_PORT; peer->port < SUPERVISOR_PORT; peer->port++) {
            struct sockaddr_in address = {.sin_family = AF_INET,
                                          .sin_port = htons((uint16_t) peer->port),
                                          .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
            if (bind(peer->listener, (struct sockaddr *) &address, sizeof(address)) == 0)
                break;
        }
        assert_true(peer->port < SUPERVISOR_PORT);
        snprintf(peer->url, sizeof(peer->url), "http://127.0.0.1:%d/RPC2", peer->port);
    }
    assert_int_equal(listen(peer->listener, backlog), 0);
    if (serve != NULL)
        assert_int_equal(thread_start(&peer->acceptor, "test", "peer", accept_all, peer), 0);
}

static void peer_start(struct peer *peer, void (*serve)(struct peer *, int))
{
    peer_start_backlog(peer, serve, false, 200);
}

static void peer_stop(struct peer *peer)
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
static bool read_request(struct peer *peer, int fd, char *request, size_t size)
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

static bool put(int fd, const char *text)
{
    size_t length = strlen(text);
    return send(fd, text, length, MSG_NOSIGNAL) == (ssize_t) length;
}

static void wait_for_end(int fd)
{
    char ignored[512];
    while (recv(fd, ignored, sizeof(ignored), 0) > 0)
        ;
}

static void answer_text(int fd, const char *text)
{
    char head[128];
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n",
             strlen(text));
    if (put(fd, head))
        (void) put(fd, text);
}

static void answers(struct peer *peer, int fd)
{
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request)))
        answer_text(fd, ANSWER);
}

static void answers_once_and_closes(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        answer_text(fd, ANSWER);
}

static void hangs(struct peer *peer, int fd)
{
    (void) peer;
    wait_for_end(fd);
}

static void drips(struct peer *peer, int fd)
{
    char request[4096];
    if (!read_request(peer, fd, request, sizeof(request)))
        return;
    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    while (put(fd, "x") && poll(&gone, 1, 20) == 0)
        ;
}

static void resets(struct peer *peer, int fd)
{
    char request[4096];
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    (void) read_request(peer, fd, request, sizeof(request));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    /* AF_UNSPEC disconnects with RST and leaves the descriptor to peer_stop. */
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    (void) connect(fd, &nobody, sizeof(nobody));
}

static void closes_without_answer(struct peer *peer, int fd)
{
    char request[4096];
    (void) read_request(peer, fd, request, sizeof(request));
}

static void truncates(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<methodResp");
}

static void repeat(int fd, const char *head, const char *piece)
{
    bool going = put(fd, head);
    while (going)
        going = put(fd, piece);
}

static void never_ends(struct peer *peer, int fd)
{
    char request[4096], piece[4097];
    memset(piece, 'x', sizeof(piece) - 1);
    piece[sizeof(piece) - 1] = '\0';
    if (read_request(peer, fd, request, sizeof(request)))
        repeat(fd, "HTTP/1.1 200 OK\r\n\r\n", piece);
}

static void announces_too_much(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
    wait_for_end(fd);
}

static void never_ends_headers(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        repeat(fd, "HTTP/1.1 200 OK\r\n", "X-More: of the same\r\n");
}

static void never_ends_a_header_line(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        repeat(fd, "HTTP/1.1 200 OK\r\nX-Long: ", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void never_ends_continuing(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        repeat(fd, "", "HTTP/1.1 100 Continue\r\n\r\n");
}

static void continues_first(struct peer *peer, int fd)
{
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request))) {
        put(fd, "HTTP/1.1 100 Continue\r\n\r\n");
        answer_text(fd, ANSWER);
    }
}

static void speaks_ssh(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        put(fd, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    wait_for_end(fd);
}

static void sends_bad_chunks(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        put(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n");
    wait_for_end(fd);
}

/* The status is the last part of the path, so that one peer has all of them. */
static void says_status(struct peer *peer, int fd)
{
    char request[4096], head[256];
    if (!read_request(peer, fd, request, sizeof(request)))
        return;
    char *path = strchr(request, '/');
    snprintf(head, sizeof(head),
             "HTTP/1.1 %d Whatever\r\nLocation: http://127.0.0.1:%d/200\r\n"
             "WWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 1000\r\n\r\n",
             atoi(path + 1), peer->port);
    put(fd, head);
    wait_for_end(fd);
}

static void miscounts(struct peer *peer, int fd)
{
    char request[4096];
    if (!read_request(peer, fd, request, sizeof(request)))
        return;
    assert_non_null(strstr(request, "Connection: close\r\n"));
    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    put(fd, "\xc3\xa4\xc3\xb6");
    put(fd, "\xc3\xbc\xc3\x9f");
}

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

static void echoes_request(struct peer *peer, int fd)
{
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request)))
        answer_text(fd, request);
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

static void outcome_init(struct outcome *outcome)
{
    memset(outcome, 0, sizeof(*outcome));
    lock_init(&outcome->lock, LOCK_CALL);
    cond_init(&outcome->cond);
}

static void outcome_destroy(struct outcome *outcome)
{
    free(outcome->body);
    cond_destroy(&outcome->cond);
    lock_destroy(&outcome->lock);
}

static void take_outcome(void *argument, const struct rpc_result *result)
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

static bool take_piece(void *argument, const char *data, size_t length)
{
    struct outcome *outcome = argument;
    assert_true(length > 0);
    (void) data;
    lock_acquire(&outcome->lock);
    outcome->pieces++;
    cond_broadcast(&outcome->cond);
    lock_release(&outcome->lock);
    return true;
}

static void wait_dones(struct outcome *outcome, int dones)
{
    int64_t deadline = clock_after(20);
    lock_acquire(&outcome->lock);
    while (outcome->dones < dones)
        assert_true(cond_wait_until(&outcome->cond, &outcome->lock, deadline));
    lock_release(&outcome->lock);
}

static void wait_pieces(struct outcome *outcome, int pieces)
{
    int64_t deadline = clock_after(20);
    lock_acquire(&outcome->lock);
    while (outcome->pieces < pieces)
        assert_true(cond_wait_until(&outcome->cond, &outcome->lock, deadline));
    lock_release(&outcome->lock);
}

static struct rpc_request request_for(struct outcome *outcome, double timeout)
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

static struct rpc_endpoint *endpoint_for(const char *url, const char *username,
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

static int setup(void **state)
{
    (void) state;
    engine = rpc_engine_create(2);
    assert_int_equal(rpc_engine_start(engine), 0);
    return 0;
}

static int teardown(void **state)
{
    (void) state;
    rpc_engine_stop(engine);
    rpc_engine_destroy(&engine);
    return 0;
}

/* One call to that path (NULL: the RPC path), waited for. */
static void call_once(struct rpc_endpoint *endpoint, struct outcome *outcome, const char *path,
                      double timeout)
{
    struct rpc_request request = request_for(outcome, timeout);
    request.path = path;
    int before = outcome->dones;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(outcome, before + 1);
}

static void expect(void (*serve)(struct peer *, int), int error, enum rpc_cause cause,
                   double timeout, double slowest)
{
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, serve);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    call_once(endpoint, &outcome, NULL, timeout);
    assert_int_equal(outcome.error, error);
    assert_int_equal(outcome.cause, cause);
    assert_true(outcome.duration < slowest);
    assert_true(error == 0 || outcome.detail[0] != '\0');
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

/* ---- answers ---- */

static void keeps_one_connection(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, answers);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    for (int i = 0; i < 50; i++) {
        call_once(endpoint, &outcome, NULL, 10);
        assert_int_equal(outcome.error, 0);
        assert_int_equal(outcome.status, 200);
        assert_string_equal(outcome.body, ANSWER);
        assert_string_equal(outcome.detail, "");
    }
    assert_int_equal(atomic_load(&peer.connections), 1);
    assert_int_equal(atomic_load(&peer.requests), 50);
    rpc_endpoint_unref(&endpoint);
    /* The last reference closes the connection: the peer sees its end. */
    int64_t deadline = clock_after(10);
    while (atomic_load(&peer.closed) < 1 && clock_now() < deadline)
        poll(NULL, 0, 2);
    assert_int_equal(atomic_load(&peer.closed), 1);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void asks_as_told(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    setenv("http_proxy", "http://127.0.0.1:1/", 1);
    peer_start(&peer, echoes_request);
    outcome_init(&outcome);
    struct secret *password = secret_create("thepass", 7);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "ops", password);
    secret_unref(&password);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, 0);
    assert_ptr_equal(strstr(outcome.body, "POST /RPC2 HTTP/1.1\r\n"), outcome.body);
    assert_non_null(strstr(outcome.body, "\r\nAuthorization: Basic b3BzOnRoZXBhc3M=\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nContent-Type: text/xml\r\n"));
    assert_non_null(strstr(outcome.body, "\r\nUser-Agent: cesid/"));
    assert_non_null(strstr(outcome.body, "\r\n\r\n<methodCall/>"));
    assert_null(strstr(outcome.body, "Expect:"));
    assert_null(strstr(outcome.body, "Accept-Encoding:"));

    struct rpc_request request = request_for(&outcome, 10);
    request.method = "GET";
    request.body = NULL;
    request.body_length = 0;
    request.path = "/logtail/web%3Aweb_00/stdout";
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(&outcome, 2);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "GET /logtail/web%3Aweb_00/stdout HTTP/1.1\r\n"));
    /* And back, on the same handle. */
    call_once(endpoint, &outcome, NULL, 10);
    assert_non_null(strstr(outcome.body, "POST /RPC2 HTTP/1.1\r\n"));
    assert_int_equal(atomic_load(&peer.connections), 1);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
    unsetenv("http_proxy");
}

static void repeats_when_idle_connection_died(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, answers_once_and_closes);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    for (int i = 0; i < 30; i++) {
        call_once(endpoint, &outcome, NULL, 10);
        assert_int_equal(outcome.error, 0);
    }
    assert_int_equal(atomic_load(&peer.requests), 30);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void tolerates_continue(void **state)
{
    (void) state;
    expect(continues_first, 0, RPC_CAUSE_NONE, 10, 5);
}

static void reads_miscounted_answer_to_its_end(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, miscounts);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    struct rpc_request request = request_for(&outcome, 10);
    request.deferred = true;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(&outcome, 1);
    assert_int_equal(outcome.error, 0);
    assert_string_equal(outcome.body, "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f");
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void speaks_over_unix_socket(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start_backlog(&peer, answers, true, 10);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, 0);
    assert_string_equal(outcome.body, ANSWER);
    assert_int_equal(atomic_load(&peer.connections), 1);
    rpc_endpoint_unref(&endpoint);
    peer_stop(&peer);

    endpoint = endpoint_for(peer.url, "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_REFUSED);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
}

static void calls_full_unix_backlog_a_timeout(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start_backlog(&peer, NULL, true, 1);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    for (int i = 0; i < 5; i++) {
        call_once(endpoint, &outcome, NULL, 0.1);
        assert_int_equal(outcome.error, CESID_E_NODE_TIMEOUT);
        assert_int_equal(outcome.cause, RPC_CAUSE_TIMEOUT);
    }
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void tells_permission_of_unix_socket(void **state)
{
    (void) state;
    if (geteuid() == 0)
        skip(); /* root may open any socket */
    struct peer peer;
    struct outcome outcome;
    peer_start_backlog(&peer, answers, true, 10);
    outcome_init(&outcome);
    assert_int_equal(chmod(peer.path, 0), 0);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.cause, RPC_CAUSE_PERMISSION);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

/* ---- failures ---- */

static void tells_refused(void **state)
{
    (void) state;
    struct outcome outcome;
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/RPC2", LAST_PORT);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(url, "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_REFUSED);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
}

static void ends_hung_call_at_its_deadline(void **state)
{
    (void) state;
    expect(hangs, CESID_E_NODE_TIMEOUT, RPC_CAUSE_TIMEOUT, 0.3, 2);
    expect(drips, CESID_E_NODE_TIMEOUT, RPC_CAUSE_TIMEOUT, 0.3, 2);
    expect(never_ends_continuing, CESID_E_NODE_PROTOCOL, RPC_CAUSE_TOO_LARGE, 10, 5);
}

static void does_not_start_after_the_deadline(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, answers);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    call_once(endpoint, &outcome, NULL, 0);
    assert_int_equal(outcome.error, CESID_E_NODE_TIMEOUT);
    assert_int_equal(atomic_load(&peer.connections), 0);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void tells_broken_connections(void **state)
{
    (void) state;
    expect(resets, CESID_E_NODE_UNREACHABLE, RPC_CAUSE_RESET, 10, 5);
    expect(closes_without_answer, CESID_E_NODE_UNREACHABLE, RPC_CAUSE_RESET, 10, 5);
    expect(truncates, CESID_E_NODE_UNREACHABLE, RPC_CAUSE_RESET, 10, 5);
}

static void caps_what_it_reads(void **state)
{
    (void) state;
    expect(never_ends, CESID_E_NODE_PROTOCOL, RPC_CAUSE_TOO_LARGE, 20, 10);
    expect(announces_too_much, CESID_E_NODE_PROTOCOL, RPC_CAUSE_TOO_LARGE, 20, 10);
    expect(never_ends_headers, CESID_E_NODE_PROTOCOL, RPC_CAUSE_TOO_LARGE, 20, 10);
    expect(never_ends_a_header_line, CESID_E_NODE_PROTOCOL, RPC_CAUSE_TOO_LARGE, 20, 10);
}

static void tells_what_is_not_http(void **state)
{
    (void) state;
    expect(speaks_ssh, CESID_E_NODE_PROTOCOL, RPC_CAUSE_PROTOCOL, 10, 5);
    expect(sends_bad_chunks, CESID_E_NODE_PROTOCOL, RPC_CAUSE_PROTOCOL, 10, 5);
}

static void ends_at_the_status_line(void **state)
{
    (void) state;
    static const struct {
        const char *path;
        int status, error;
        enum rpc_cause cause;
    } cases[] = {
        {"/401", 401, CESID_E_NODE_UNAUTHORIZED, RPC_CAUSE_UNAUTHORIZED},
        {"/403", 403, CESID_E_NODE_UNAUTHORIZED, RPC_CAUSE_PERMISSION},
        {"/404", 404, CESID_E_NODE_PROTOCOL, RPC_CAUSE_NO_RPC_INTERFACE},
        {"/405", 405, CESID_E_NODE_PROTOCOL, RPC_CAUSE_NO_RPC_INTERFACE},
        {"/500", 500, CESID_E_NODE_PROTOCOL, RPC_CAUSE_PROTOCOL},
        {"/501", 501, CESID_E_NODE_PROTOCOL, RPC_CAUSE_NO_RPC_INTERFACE},
        {"/302", 302, CESID_E_NODE_PROTOCOL, RPC_CAUSE_PROTOCOL},
        {"/101", 101, CESID_E_NODE_PROTOCOL, RPC_CAUSE_PROTOCOL},
        {"/204", 204, CESID_E_NODE_PROTOCOL, RPC_CAUSE_PROTOCOL},
    };
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, says_status);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        call_once(endpoint, &outcome, cases[i].path, 10);
        assert_int_equal(outcome.status, cases[i].status);
        assert_int_equal(outcome.error, cases[i].error);
        assert_int_equal(outcome.cause, cases[i].cause);
        assert_true(outcome.duration < 5);
    }
    /* No redirect was followed, and no connection used again. */
    assert_int_equal(atomic_load(&peer.requests), (int) ARRAY_LENGTH(cases));
    assert_int_equal(atomic_load(&peer.connections), (int) ARRAY_LENGTH(cases));
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
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
            assert_true(good.duration < 2);
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

/* ---- streams and cancelling ---- */

static struct rpc_request stream_for(struct outcome *outcome)
{
    return (struct rpc_request){.method = "GET",
                                .path = "/logtail/x/stdout",
                                .deadline = CLOCK_NEVER,
                                .connect_timeout = 0.5,
                                .on_data = take_piece,
                                .done = take_outcome,
                                .argument = outcome};
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
    wait_pieces(&outcome, 70); /* longer than the time that headers may take */
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
        poll(NULL, 0, 2);
    assert_int_equal(rpc_engine_calls(engine), CALLS);
    for (int i = 0; i < CALLS; i++)
        rpc_call_cancel(calls[i]);
    wait_dones(&outcome, CALLS);
    assert_int_equal(outcome.dones, CALLS);
    assert_int_equal(outcome.error, CESID_E_CANCELLED);
    assert_int_equal(rpc_engine_calls(engine), 0);
    /* Their connections are gone, too. */
    while (atomic_load(&peer.closed) < CALLS && clock_now() < deadline)
        poll(NULL, 0, 2);
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
        assert_int_equal(rpc_submit(chain->endpoint, &request, &chain->call), 0);
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
        endpoints[i] = endpoint_for(peer.url, "", NULL);
        assert_int_equal(rpc_submit(endpoints[i], &request, i == CALLS - 1 ? &last : NULL), 0);
    }
    engine = shared;
    int64_t began = clock_now();
    rpc_engine_stop(own);
    assert_true(clock_seconds_since(began) < 1);
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
        poll(NULL, 0, 5);
    assert_int_equal(atomic_load(&stress.submitted), 360);
    assert_int_equal(atomic_load(&stress.done), 360);
    assert_int_equal(rpc_engine_calls(engine), 0);
    rpc_endpoint_unref(&stress.good);
    rpc_endpoint_unref(&stress.hung);
    peer_stop(&peer);
    peer_stop(&silent);
}

/* ---- the real thing ---- */

static const char SUPERVISORD[] = "/usr/bin/supervisord";
static char supervisor_dir[64];
static pid_t supervisor_pid;

static void call_method(struct rpc_endpoint *endpoint, struct outcome *outcome, const char *method,
                        const char *parameters, bool deferred, double timeout)
{
    char body[512];
    snprintf(body, sizeof(body),
             "<?xml version='1.0'?><methodCall><methodName>%s</methodName>"
             "<params>%s</params></methodCall>",
             method, parameters);
    struct rpc_request request = request_for(outcome, timeout);
    request.body = body;
    request.body_length = strlen(body);
    request.deferred = deferred;
    int before = outcome->dones;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(outcome, before + 1);
}

static int supervisor_setup(void **state)
{
    setup(state);
    if (access(SUPERVISORD, X_OK) != 0)
        return 0;
    char path[128];
    snprintf(supervisor_dir, sizeof(supervisor_dir), "/tmp/cesid-test-rpc-XXXXXX");
    assert_non_null(mkdtemp(supervisor_dir));
    snprintf(path, sizeof(path), "%s/supervisord.conf", supervisor_dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "[supervisord]\nnodaemon=true\nlogfile=%s/log\npidfile=%s/pid\nchildlogdir=%s\n"
            "[unix_http_server]\nfile=%s/sock\n"
            "[inet_http_server]\nport=127.0.0.1:%d\nusername=ops\npassword=thepass\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            "[program:ticker]\ncommand=/bin/sh -c 'while echo tick; do sleep 0.05; done'\n"
            "startsecs=0\n"
            "[program:gr\xc3\xbc\xc3\x9f\x65]\ncommand=/bin/sleep 100\nautostart=false\n"
            "startsecs=0\n",
            supervisor_dir, supervisor_dir, supervisor_dir, supervisor_dir, SUPERVISOR_PORT);
    fclose(file);
    supervisor_pid = fork();
    if (supervisor_pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        unsetenv("LD_PRELOAD");
        setenv("LC_ALL", "C.UTF-8", 1);
        execl(SUPERVISORD, SUPERVISORD, "-n", "-c", path, (char *) NULL);
        _exit(127);
    }
    assert_true(supervisor_pid > 0);
    return 0;
}

static int supervisor_teardown(void **state)
{
    if (supervisor_pid > 0) {
        kill(supervisor_pid, SIGCONT);
        kill(supervisor_pid, SIGTERM);
        waitpid(supervisor_pid, NULL, 0);
        supervisor_pid = 0;
        char command[128];
        snprintf(command, sizeof(command), "rm -rf '%s'", supervisor_dir);
        assert_int_equal(system(command), 0);
    }
    return teardown(state);
}

static void drives_real_supervisord(void **state)
{
    (void) state;
    if (supervisor_pid == 0)
        skip();
    struct outcome outcome, stream;
    char url[128];
    outcome_init(&outcome);
    outcome_init(&stream);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/RPC2", SUPERVISOR_PORT);
    struct secret *password = secret_create("thepass", 7), *wrong = secret_create("wrong", 5);
    struct rpc_endpoint *tcp = endpoint_for(url, "ops", password);
    struct rpc_endpoint *stranger = endpoint_for(url, "ops", wrong);
    snprintf(url, sizeof(url), "unix://%s/sock", supervisor_dir);
    struct rpc_endpoint *local = endpoint_for(url, "", NULL);
    secret_unref(&password);
    secret_unref(&wrong);

    int64_t deadline = clock_after(20);
    do {
        call_method(tcp, &outcome, "supervisor.getState", "", false, 5);
        if (outcome.cause == RPC_CAUSE_REFUSED)
            poll(NULL, 0, 20);
    } while (outcome.cause == RPC_CAUSE_REFUSED && clock_now() < deadline);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "RUNNING"));
    call_method(local, &outcome, "supervisor.getAllProcessInfo", "", false, 5);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "ticker"));
    call_method(stranger, &outcome, "supervisor.getState", "", false, 5);
    assert_int_equal(outcome.cause, RPC_CAUSE_UNAUTHORIZED);
    assert_null(strstr(outcome.detail, "wrong"));
    struct rpc_request request = request_for(&outcome, 5);
    request.path = "/nowhere";
    request.method = "GET";
    request.body = NULL;
    int before = outcome.dones;
    assert_int_equal(rpc_submit(tcp, &request, NULL), 0);
    wait_dones(&outcome, before + 1);
    assert_int_equal(outcome.cause, RPC_CAUSE_NO_RPC_INTERFACE);

    /* A deferred answer that holds letters beyond ASCII: its Content-Length is too small. */
    call_method(tcp, &outcome, "supervisor.startProcessGroup",
                "<param><value><string>gr\xc3\xbc\xc3\x9f\x65</string></value></param>", true, 10);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "gr\xc3\xbc\xc3\x9f\x65"));
    assert_non_null(strstr(outcome.body, "</methodResponse>"));

    struct rpc_call *call;
    request = stream_for(&stream);
    request.path = "/logtail/ticker/stdout";
    request.connect_timeout = 5;
    assert_int_equal(rpc_submit(tcp, &request, &call), 0);
    wait_pieces(&stream, 3);
    call_method(tcp, &outcome, "supervisor.getState", "", false, 5);
    assert_int_equal(outcome.error, 0);
    rpc_call_cancel(call);
    wait_dones(&stream, 1);
    assert_int_equal(stream.error, CESID_E_CANCELLED);
    rpc_call_unref(&call);

    kill(supervisor_pid, SIGSTOP);
    call_method(tcp, &outcome, "supervisor.getState", "", false, 0.3);
    assert_int_equal(outcome.cause, RPC_CAUSE_TIMEOUT);
    kill(supervisor_pid, SIGCONT);
    call_method(tcp, &outcome, "supervisor.getState", "", false, 10);
    assert_int_equal(outcome.error, 0);

    rpc_endpoint_unref(&tcp);
    rpc_endpoint_unref(&stranger);
    rpc_endpoint_unref(&local);
    outcome_destroy(&stream);
    outcome_destroy(&outcome);
}

static void names_every_cause(void **state)
{
    (void) state;
    assert_null(rpc_cause_name(RPC_CAUSE_NONE));
    assert_null(rpc_cause_hint(RPC_CAUSE_NONE));
    for (enum rpc_cause cause = RPC_CAUSE_REFUSED; cause < RPC_CAUSES; cause++) {
        assert_non_null(rpc_cause_name(cause));
        const char *hint = rpc_cause_hint(cause);
        assert_non_null(hint);
        assert_int_equal(hint[strlen(hint) - 1], '.');
    }
}

#define TEST(text, function)                                                                       \
    {                                                                                              \
        text, function, setup, teardown, NULL                                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_cause),
        TEST("one connection is kept for fifty calls and closed at the end", keeps_one_connection),
        TEST("asks as told, whatever the environment says", asks_as_told),
        TEST("repeats a call whose idle connection had died", repeats_when_idle_connection_died),
        TEST("tolerates 100 Continue", tolerates_continue),
        TEST("reads a miscounted answer to its end", reads_miscounted_answer_to_its_end),
        TEST("speaks over a unix socket", speaks_over_unix_socket),
        TEST("a unix socket with a full backlog is a timeout", calls_full_unix_backlog_a_timeout),
        TEST("tells the permission of a unix socket", tells_permission_of_unix_socket),
        TEST("tells a refused connection", tells_refused),
        TEST("R6.2 a call to a node that hangs or drips ends at its deadline",
             ends_hung_call_at_its_deadline),
        TEST("does not start after the deadline", does_not_start_after_the_deadline),
        TEST("tells reset, closed and truncated connections", tells_broken_connections),
        TEST("caps what it reads of a node", caps_what_it_reads),
        TEST("tells what is not HTTP", tells_what_is_not_http),
        TEST("ends at a status line that is not 200", ends_at_the_status_line),
        TEST("tells unknown names", tells_unknown_names),
        TEST("R6.2 a resolver that hangs stalls nobody else", is_not_stalled_by_a_resolver),
        TEST("R8.5 a stream arrives live and ends when it is cancelled",
             streams_live_until_cancelled),
        TEST("R8.5 the reader of a stream can end it", ends_stream_by_its_reader),
        TEST("a stream without headers is a timeout", ends_stream_without_headers),
        TEST("R6.4 cancelled calls leave neither calls nor connections", cancels_many_at_once),
        TEST("done may submit and cancel", may_submit_and_cancel_in_done),
        TEST("R8.3 shutdown ends a hundred hung calls within a second",
             shuts_down_with_calls_in_flight),
        TEST("spreads endpoints over shards", spreads_endpoints_over_shards),
        TEST("R2.2 calls to one node from many threads do not race", bears_many_threads),
        {"drives a real supervisord over TCP and unix socket", drives_real_supervisord,
         supervisor_setup, supervisor_teardown, NULL},
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
