/*
 * One easy handle: configured once for its endpoint and used again for call after call, because
 * setting one up costs more than a poll. The callbacks count every byte as it comes and end the
 * transfer at the first that is too many, and at the status line when it is not 200: supervisord
 * swallows requests on a connection that it has answered with 401.
 *
 * TCP_QUICKACK is set again at every piece, because the kernel forgets it: supervisord writes an
 * answer in pieces, and Nagle's algorithm on its side would wait 40 ms for our acknowledgement.
 *
 * Loop threads only; on_data is called without locks.
 */
#include "rpc_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "version.h"

#define SET(easy, option, value) CHECK(curl_easy_setopt(easy, option, value) == CURLE_OK)

#define URL_MAX            ((size_t) 64 * 1024)
#define KEEPALIVE_IDLE     30L /* seconds without data before the first probe */
#define KEEPALIVE_INTERVAL 10L
#define IDLE_AGE_MAX       1800L /* seconds after which an unused connection is not used again */

static bool owns_socket(const struct rpc_transfer *transfer)
{
    const struct rpc_loop *loop = transfer->endpoint->loop;
    return transfer->socket >= 0 && (size_t) transfer->socket < loop->sockets_count &&
           loop->sockets[transfer->socket] == transfer->id;
}

static void acknowledge_quickly(const struct rpc_transfer *transfer)
{
    const int on = 1;
    if (transfer->endpoint->socket_path == NULL && owns_socket(transfer))
        (void) setsockopt(transfer->socket, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

/* libcurl also shows us descriptors of its own (the resolver's); only what open_socket made is
 * in the loop's table, so that we never touch a stranger's. */
void rpc_transfer_uses_socket(struct rpc_transfer *transfer, int socket)
{
    struct rpc_loop *loop = transfer->endpoint->loop;
    if ((size_t) socket >= loop->sockets_count || loop->sockets[socket] == 0)
        return;
    loop->sockets[socket] = transfer->id;
    transfer->socket = socket;
    acknowledge_quickly(transfer);
}

static curl_socket_t open_socket(void *argument, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    (void) purpose;
    struct rpc_transfer *transfer = argument;
    struct rpc_loop *loop = transfer->endpoint->loop;
    int made = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (made < 0) {
        transfer->socket_error = errno;
        return CURL_SOCKET_BAD;
    }
    if ((size_t) made >= loop->sockets_count) {
        size_t count = (size_t) made + 64;
        loop->sockets = mem_resize(loop->sockets, count, sizeof(*loop->sockets));
        memset(loop->sockets + loop->sockets_count, 0,
               (count - loop->sockets_count) * sizeof(*loop->sockets));
        loop->sockets_count = count;
    }
    loop->sockets[made] = transfer->id;
    transfer->connected = false;
    return made;
}

static int on_connected(void *argument, char *peer, char *local, int peer_port, int local_port)
{
    struct rpc_transfer *transfer = argument;
    (void) peer, (void) local, (void) peer_port, (void) local_port;
    transfer->connected = true;
    return CURL_PREREQFUNC_OK;
}

/* libcurl closes a connection that was never made without a word to close_socket. Its number may
 * be anybody's by now. */
static void forget_unconnected(struct rpc_transfer *transfer)
{
    if (!transfer->connected && owns_socket(transfer))
        transfer->endpoint->loop->sockets[transfer->socket] = 0;
}

/* The connection may outlive the transfer that opened it, so this one knows the loop only. */
static int close_socket(void *argument, curl_socket_t socket)
{
    struct rpc_loop *loop = argument;
    if (socket >= 0 && (size_t) socket < loop->sockets_count)
        loop->sockets[socket] = 0;
    return close(socket);
}

/* 0 for anything but "HTTP/1.x NNN". */
static int parse_status(const char *line, size_t length)
{
    if (length < 12 || memcmp(line, "HTTP/1.", 7) != 0)
        return 0;
    const char *digits = line + 9;
    int status = 0;
    for (int i = 0; i < 3; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return 0;
        status = status * 10 + (digits[i] - '0');
    }
    return status;
}

static bool take_status(struct rpc_transfer *transfer, const char *line, size_t length)
{
    int status = parse_status(line, length);
    acknowledge_quickly(transfer);
    transfer->at_status = false;
    transfer->interim = status == 100 || status == 102 || status == 103;
    if (transfer->interim)
        return true;
    transfer->status = status;
    if (status == 0)
        rpc_verdict_set(&transfer->verdict, RPC_CAUSE_PROTOCOL,
                        "The node's answer is not valid HTTP.");
    else if (status != 200)
        rpc_verdict_status(&transfer->verdict, status);
    return status == 200;
}

static size_t on_header(char *line, size_t size, size_t count, void *argument)
{
    struct rpc_transfer *transfer = argument;
    size_t length = size * count;
    transfer->headers_length += length;
    if (transfer->headers_length > RPC_HEADERS_MAX) {
        rpc_verdict_set(&transfer->verdict, RPC_CAUSE_TOO_LARGE,
                        "The headers of the node's answer are too large.");
        return 0;
    }
    if (transfer->headers_done) /* a trailer */
        return length;
    if (transfer->at_status)
        return take_status(transfer, line, length) ? length : 0;
    if (line[0] == '\r' || line[0] == '\n') {
        if (transfer->interim) {
            transfer->at_status = true;
        } else {
            transfer->headers_done = true;
            transfer->call->headers_due = CLOCK_NEVER;
        }
    }
    return length;
}

/* Few answers are under way at a time, whatever the number of nodes: their buffers are the loop's.
 * The one used last is still in the processor's cache. */
static void take_body(struct rpc_transfer *transfer)
{
    struct rpc_loop *loop = transfer->endpoint->loop;
    if (loop->spare_count > 0)
        transfer->body = loop->spare[--loop->spare_count];
    transfer->body.limit = transfer->call->answer_max;
}

static void give_back_body(struct rpc_transfer *transfer)
{
    struct rpc_loop *loop = transfer->endpoint->loop;
    struct strbuf *body = &transfer->body;
    if (body->capacity == 0 || body->capacity > RPC_BODY_KEPT ||
        loop->spare_count == RPC_SPARE_BODIES) {
        strbuf_destroy(body);
        return;
    }
    strbuf_clear(body);
    loop->spare[loop->spare_count++] = *body;
    strbuf_init(body, 0);
}

static size_t on_write(char *data, size_t size, size_t count, void *argument)
{
    struct rpc_transfer *transfer = argument;
    struct rpc_call *call = transfer->call;
    size_t length = size * count;
    acknowledge_quickly(transfer);
    transfer->received += length;
    if (transfer->received > call->answer_max && (call->on_data == NULL || call->answer_max > 0)) {
        rpc_verdict_set(&transfer->verdict, RPC_CAUSE_TOO_LARGE,
                        "The node's answer is larger than %zu bytes.", call->answer_max);
        return 0;
    }
    if (call->on_data == NULL) {
        if (transfer->body.capacity == 0)
            take_body(transfer);
        strbuf_add(&transfer->body, data, length);
        return length;
    }
    if (atomic_load(&call->cancelled) || !call->on_data(call->argument, data, length) ||
        atomic_load(&call->cancelled)) {
        transfer->verdict.error = CESID_E_CANCELLED;
        return 0;
    }
    return length;
}

static struct rpc_transfer *transfer_create(struct rpc_endpoint *endpoint)
{
    struct rpc_loop *loop = endpoint->loop;
    struct rpc_transfer *transfer = mem_alloc(sizeof(*transfer));
    transfer->id = ++loop->next_transfer_id;
    transfer->endpoint = endpoint;
    atomic_fetch_add(&rpc_shard_get(loop, endpoint->shard)->transfers, 1);
    transfer->socket = -1;
    strbuf_init(&transfer->body, 0);
    CURL *easy = curl_easy_init();
    CHECK(easy != NULL);
    transfer->easy = easy;
    SET(easy, CURLOPT_PRIVATE, (void *) transfer);
    SET(easy, CURLOPT_ERRORBUFFER, transfer->error);
    SET(easy, CURLOPT_URL, endpoint->url);
    if (endpoint->socket_path != NULL)
        SET(easy, CURLOPT_UNIX_SOCKET_PATH, endpoint->socket_path);
    SET(easy, CURLOPT_PATH_AS_IS, 1L);

    /* Nothing of the environment, and nowhere else than told. */
    SET(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(easy, CURLOPT_PROXY, "");
    SET(easy, CURLOPT_NOPROXY, "*");
    SET(easy, CURLOPT_FOLLOWLOCATION, 0L);
    SET(easy, CURLOPT_NETRC, (long) CURL_NETRC_IGNORED);
    SET(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
    SET(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    SET(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(easy, CURLOPT_USERAGENT, "cesid/" CESID_VERSION);
    if (endpoint->username != NULL) {
        SET(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
        SET(easy, CURLOPT_USERNAME, endpoint->username);
        if (endpoint->password != NULL)
            SET(easy, CURLOPT_PASSWORD, secret_reveal(endpoint->password));
    }
    SET(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
    SET(easy, CURLOPT_SSL_VERIFYPEER, endpoint->verify ? 1L : 0L);
    SET(easy, CURLOPT_SSL_VERIFYHOST, endpoint->verify ? 2L : 0L);
    if (endpoint->ca_file != NULL)
        SET(easy, CURLOPT_CAINFO, endpoint->ca_file);

    SET(easy, CURLOPT_NOSIGNAL, 1L);
    SET(easy, CURLOPT_NOPROGRESS, 1L);
    /* Without it, ending a transfer whose name is being resolved waits for the resolver. */
    SET(easy, CURLOPT_QUICK_EXIT, 1L);
    SET(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    SET(easy, CURLOPT_MAXAGE_CONN, IDLE_AGE_MAX);
    SET(easy, CURLOPT_TCP_NODELAY, 1L);
    SET(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(easy, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE);
    SET(easy, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL);

    SET(easy, CURLOPT_PREREQFUNCTION, on_connected);
    SET(easy, CURLOPT_PREREQDATA, (void *) transfer);
    SET(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(easy, CURLOPT_OPENSOCKETDATA, (void *) transfer);
    SET(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    SET(easy, CURLOPT_CLOSESOCKETDATA, (void *) loop);
    SET(easy, CURLOPT_HEADERFUNCTION, on_header);
    SET(easy, CURLOPT_HEADERDATA, (void *) transfer);
    SET(easy, CURLOPT_WRITEFUNCTION, on_write);
    SET(easy, CURLOPT_WRITEDATA, (void *) transfer);
    return transfer;
}

struct rpc_transfer *rpc_transfer_take(struct rpc_endpoint *endpoint)
{
    struct rpc_transfer *transfer = endpoint->idle;
    if (transfer == NULL)
        return transfer_create(endpoint);
    endpoint->idle = transfer->next;
    endpoint->idle_count--;
    transfer->next = NULL;
    return transfer;
}

/* At least 1: to libcurl 0 means no limit. */
static long milliseconds(int64_t nanoseconds)
{
    int64_t ms = nanoseconds / 1000000 + 1;
    return ms < 1 ? 1 : ms > INT32_MAX ? INT32_MAX : (long) ms;
}

void rpc_transfer_prepare(struct rpc_transfer *transfer, struct rpc_call *call)
{
    const struct rpc_endpoint *endpoint = transfer->endpoint;
    const struct rpc_engine *engine = endpoint->engine;
    CURL *easy = transfer->easy;
    transfer->call = call;
    transfer->socket_error = 0;
    transfer->connected = false;
    transfer->status = 0;
    transfer->headers_length = 0;
    transfer->received = 0;
    transfer->headers_done = false;
    transfer->at_status = true;
    transfer->interim = false;
    transfer->verdict = (struct rpc_verdict){0};
    transfer->error[0] = '\0';

    if (call->path != NULL) {
        struct strbuf url;
        strbuf_init(&url, URL_MAX);
        strbuf_puts(&url, endpoint->base);
        strbuf_puts(&url, call->path);
        SET(easy, CURLOPT_URL, url.data);
        strbuf_destroy(&url);
        transfer->elsewhere = true;
    } else if (transfer->elsewhere) {
        SET(easy, CURLOPT_URL, endpoint->url);
        transfer->elsewhere = false;
    }
    if (call->post) {
        SET(easy, CURLOPT_POST, 1L);
        SET(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) call->body_length);
        SET(easy, CURLOPT_POSTFIELDS, call->body);
        SET(easy, CURLOPT_HTTPHEADER,
            call->deferred ? engine->deferred_headers : engine->post_headers);
    } else {
        SET(easy, CURLOPT_HTTPGET, 1L);
        SET(easy, CURLOPT_HTTPHEADER, engine->get_headers);
    }
    /* A connection that will be closed or held for long is a new one, so that the one that polls
     * use stays; and a call that acts never goes out over a connection that may be dying, because
     * libcurl would repeat it. */
    long own = call->deferred || call->on_data != NULL ? 1L : 0L;
    SET(easy, CURLOPT_FRESH_CONNECT, own);
    SET(easy, CURLOPT_FORBID_REUSE, own);
    SET(easy, CURLOPT_IGNORE_CONTENT_LENGTH, call->deferred ? 1L : 0L);
    SET(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t) call->answer_max);
    SET(easy, CURLOPT_TIMEOUT_MS,
        call->deadline == CLOCK_NEVER ? 0L : milliseconds(call->deadline - clock_now()));
    SET(easy, CURLOPT_CONNECTTIMEOUT_MS,
        call->connect_timeout > 0 ? milliseconds((int64_t) (call->connect_timeout * 1e9)) : 0L);
}

/* libcurl has no call to close one idle connection. Shut down, it is dead to the peer at once, and
 * libcurl sweeps it up when it next looks for a connection to use. */
static void hang_up(struct rpc_transfer *transfer)
{
    if (owns_socket(transfer))
        (void) shutdown(transfer->socket, SHUT_RDWR);
}

void rpc_transfer_give_back(struct rpc_transfer *transfer)
{
    struct rpc_endpoint *endpoint = transfer->endpoint;
    transfer->call = NULL;
    forget_unconnected(transfer);
    give_back_body(transfer);
    if (endpoint->retired || endpoint->idle_count >= RPC_IDLE_TRANSFERS) {
        hang_up(transfer);
        rpc_transfer_free(transfer);
        return;
    }
    transfer->next = endpoint->idle;
    endpoint->idle = transfer;
    endpoint->idle_count++;
}

void rpc_transfer_drop_idle(struct rpc_endpoint *endpoint)
{
    struct rpc_transfer *transfer;
    while ((transfer = endpoint->idle) != NULL) {
        endpoint->idle = transfer->next;
        hang_up(transfer);
        rpc_transfer_free(transfer);
    }
    endpoint->idle_count = 0;
}

void rpc_transfer_free(struct rpc_transfer *transfer)
{
    const struct rpc_endpoint *endpoint = transfer->endpoint;
    atomic_fetch_sub(&endpoint->loop->shards[endpoint->shard]->transfers, 1);
    curl_easy_cleanup(transfer->easy);
    strbuf_destroy(&transfer->body);
    free(transfer);
}
