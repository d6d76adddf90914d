/*
 * What the rpc engine makes of answers and failures, told by peers with bad habits.
 */
#include <dirent.h>

#include "rpc_peer.h"

/* ---- habits ---- */

static void answers_once_and_closes(struct peer *peer, int fd)
{
    char request[4096];
    if (read_request(peer, fd, request, sizeof(request)))
        answer_text(fd, ANSWER);
}

static void answers_in_pieces(struct peer *peer, int fd)
{
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request))) {
        put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n");
        put(fd, "one ");
        put(fd, "two ");
        put(fd, "last");
    }
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
    put(fd, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    (void) read_request(peer, fd, request, sizeof(request));
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
    CHECK(strstr(request, "Connection: close\r\n") != NULL);
    put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    put(fd, "\xc3\xa4\xc3\xb6");
    put(fd, "\xc3\xbc\xc3\x9f");
}

static void echoes_request(struct peer *peer, int fd)
{
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request)))
        answer_text(fd, request);
}

/* ---- answers ---- */

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
        rest();
    assert_int_equal(atomic_load(&peer.closed), 1);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* Operations on record and views in readers' hands keep the endpoint of a removed node. */
static void retired_it_keeps_no_connection(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    peer_start(&peer, answers);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    size_t before = open_descriptors();
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, 0);
    assert_true(open_descriptors() > before);
    rpc_endpoint_retire(endpoint);
    rpc_endpoint_retire(endpoint);
    /* The peer keeps its end open: what is left is that one. */
    int64_t deadline = clock_after(10);
    while (open_descriptors() > before + 1 && clock_now() < deadline)
        rest();
    assert_int_equal(open_descriptors(), before + 1);
    while (atomic_load(&peer.closed) < 1 && clock_now() < deadline)
        rest();
    assert_int_equal(atomic_load(&peer.closed), 1);
    /* Who comes late is served, over a connection of its own. */
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, 0);
    while (open_descriptors() > before + 2 && clock_now() < deadline)
        rest();
    assert_int_equal(open_descriptors(), before + 2);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

/* supervisord writes an answer in pieces, and its Nagle's algorithm holds back each until we have
 * acknowledged the one before: 40 ms, unless we do so at once. */
static void acknowledges_at_once(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    double fastest = 1;
    peer_start(&peer, answers_in_pieces);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    for (int i = 0; i < 20; i++) {
        call_once(endpoint, &outcome, NULL, 10);
        assert_int_equal(outcome.error, 0);
        if (i >= 10 && outcome.duration < fastest)
            fastest = outcome.duration;
    }
    assert_true(fastest < 0.03);
    rpc_endpoint_unref(&endpoint);
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
    struct peer peer;
    struct outcome outcome;
    peer_start_backlog(&peer, answers, true, 10);
    outcome_init(&outcome);
    assert_int_equal(chmod(peer.path, 0), 0);
    bool root = geteuid() == 0; /* who may open any socket */
    if (root)
        assert_int_equal(seteuid(65534), 0);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_PERMISSION);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
}

static void bears_to_run_out_of_descriptors(void **state)
{
    (void) state;
    struct peer peer;
    struct outcome outcome;
    struct rlimit limit, none;
    peer_start_backlog(&peer, NULL, false, 10);
    outcome_init(&outcome);
    struct rpc_endpoint *endpoint = endpoint_for(peer.url, "", NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_UNREACHABLE);
    assert_non_null(strstr(outcome.detail, "no file descriptor"));
    call_once(endpoint, &outcome, NULL, 0.2);
    assert_int_equal(outcome.cause, RPC_CAUSE_TIMEOUT); /* it got a connection */
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
    expect(hangs, CESID_E_NODE_TIMEOUT, RPC_CAUSE_TIMEOUT, 0.3, 5);
    expect(drips, CESID_E_NODE_TIMEOUT, RPC_CAUSE_TIMEOUT, 0.3, 5);
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
    struct peer peer;
    struct outcome outcome;
    char url[64];
    peer_start(&peer, speaks_ssh);
    outcome_init(&outcome);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/RPC2", peer.port);
    struct rpc_endpoint *endpoint = endpoint_for(url, "", NULL);
    call_once(endpoint, &outcome, NULL, 10);
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_TLS);
    rpc_endpoint_unref(&endpoint);
    outcome_destroy(&outcome);
    peer_stop(&peer);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_every_cause),
        TEST("one connection is kept for fifty calls and closed at the end", keeps_one_connection),
        TEST("R6.4 the endpoint of a removed node keeps no connection",
             retired_it_keeps_no_connection),
        TEST("acknowledges at once what a node sends in pieces", acknowledges_at_once),
        TEST("asks as told, whatever the environment says", asks_as_told),
        TEST("repeats a call whose idle connection had died", repeats_when_idle_connection_died),
        TEST("tolerates 100 Continue", tolerates_continue),
        TEST("reads a miscounted answer to its end", reads_miscounted_answer_to_its_end),
        TEST("speaks over a unix socket", speaks_over_unix_socket),
        TEST("a unix socket with a full backlog is a timeout", calls_full_unix_backlog_a_timeout),
        TEST("tells the permission of a unix socket", tells_permission_of_unix_socket),
        TEST("bears to run out of descriptors", bears_to_run_out_of_descriptors),
        TEST("tells a refused connection", tells_refused),
        TEST("R6.2 a call to a node that hangs or drips ends at its deadline",
             ends_hung_call_at_its_deadline),
        TEST("does not start after the deadline", does_not_start_after_the_deadline),
        TEST("tells reset, closed and truncated connections", tells_broken_connections),
        TEST("caps what it reads of a node", caps_what_it_reads),
        TEST("tells what is not HTTP or TLS", tells_what_is_not_http),
        TEST("ends at a status line that is not 200", ends_at_the_status_line),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
