/*
 * The table of accepted sockets and the budget of what is read from them. See sockets.h.
 *
 * Locks: LOCK_SOCKETS around the two hashes. The budget of an entry belongs to the worker that
 * claimed it and needs none.
 */
#include "cesid/sockets.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "cesid/clock.h"
#include "cesid/frames.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/problem.h"
#include "cesid/random.h"

#define LINGER_SECONDS 1.0
#define LINGER_BYTES   (4 << 20)

struct peer_socket {
    /* immutable */
    uint64_t key; /* address and port */
    uint32_t address;
    int fd;
    /* guarded by LOCK_SOCKETS */
    bool claimed;
    UT_hash_handle hh;    /* by key */
    UT_hash_handle hh_fd; /* by fd */
    /* owned by the worker that claimed it */
    bool limited;
    int64_t allowed;
    int64_t deadline;
    enum peer_end end;
    uint64_t received;
    int64_t marked_at;
    char tail[3]; /* the last bytes before WebSocket */
    bool websocket;
    uint64_t frame_most;
    struct frames frames;
};

struct address_count {
    uint32_t address;
    int connections;
    UT_hash_handle hh;
};

struct sockets {
    /* immutable */
    int per_address;
    struct config_strings trusted;
    ssize_t (*next_recv)(int, void *, size_t, int);
    /* guarded by lock */
    struct lock lock;
    struct peer_socket *peers;
    struct peer_socket *peers_by_fd;
    struct address_count *addresses;
    bool closing;
    struct log_repeat refusals;
    struct log_repeat shortages;
    /* atomic */
    atomic_uint_fast64_t refused;
};

/* accept() and recv() have no argument to carry it in. */
static _Atomic(struct sockets *) table;
static _Thread_local struct peer_socket *current;
static _Thread_local bool is_worker;

static void nap(long milliseconds)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = milliseconds * 1000000};
    (void) nanosleep(&time, NULL);
}

struct sockets *sockets_create(int per_address, const struct config_strings *trusted)
{
    struct sockets *sockets = mem_alloc(sizeof(*sockets));
    lock_init(&sockets->lock, LOCK_SOCKETS);
    sockets->per_address = per_address;
    sockets->trusted.items = mem_array(trusted->count + 1, sizeof(char *));
    sockets->trusted.count = trusted->count;
    for (size_t i = 0; i < trusted->count; i++)
        sockets->trusted.items[i] = mem_string(trusted->items[i]);
    /* Without these CivetWeb would go on with nobody watching. */
    sockets_interpose();
    CHECK(dlsym(RTLD_DEFAULT, "accept") == (void *) (uintptr_t) accept);
    CHECK(dlsym(RTLD_DEFAULT, "recv") == (void *) (uintptr_t) recv);
    void *next = dlsym(RTLD_NEXT, "recv");
    memcpy(&sockets->next_recv, &next, sizeof(next));
    CHECK(sockets->next_recv != NULL);
    struct sockets *none = NULL;
    CHECK(atomic_compare_exchange_strong(&table, &none, sockets));
    return sockets;
}

void sockets_destroy(struct sockets **pointer)
{
    struct sockets *sockets = *pointer;
    if (sockets == NULL)
        return;
    atomic_store(&table, NULL);
    /* What is left was queued in CivetWeb, which closed it without a word. */
    struct peer_socket *next_peer = sockets->peers;
    HASH_CLEAR(hh_fd, sockets->peers_by_fd);
    HASH_CLEAR(hh, sockets->peers);
    while (next_peer != NULL) {
        struct peer_socket *peer = next_peer;
        next_peer = peer->hh.next;
        free(peer);
    }
    struct address_count *next_count = sockets->addresses;
    HASH_CLEAR(hh, sockets->addresses);
    while (next_count != NULL) {
        struct address_count *count = next_count;
        next_count = count->hh.next;
        free(count);
    }
    for (size_t i = 0; i < sockets->trusted.count; i++)
        free(sockets->trusted.items[i]);
    free(sockets->trusted.items);
    lock_destroy(&sockets->lock);
    free(sockets);
    *pointer = NULL;
}

static uint64_t key_of(uint32_t address, uint16_t port)
{
    return (uint64_t) address << 16 | port;
}

static struct address_count *count_locked(struct sockets *sockets, uint32_t address)
{
    struct address_count *count = NULL;
    HASH_FIND(hh, sockets->addresses, &address, sizeof(address), count);
    return count;
}

/* Whether the new connection may stay. */
static bool admit(struct sockets *sockets, int fd, const struct sockaddr_in *from)
{
    uint32_t address = ntohl(from->sin_addr.s_addr);
    uint64_t key = key_of(address, ntohs(from->sin_port));
    char text[INET_ADDRSTRLEN];
    CHECK(inet_ntop(AF_INET, &from->sin_addr, text, sizeof(text)) != NULL);
    bool counted = !sockets_address_in(&sockets->trusted, text);
    bool admitted = false, say = false;

    lock_acquire(&sockets->lock);
    struct address_count *count = count_locked(sockets, address);
    struct peer_socket *same = NULL;
    HASH_FIND(hh, sockets->peers, &key, sizeof(key), same);
    if (!sockets->closing && same == NULL &&
        (!counted || count == NULL || count->connections < sockets->per_address)) {
        struct peer_socket *peer = mem_alloc(sizeof(*peer));
        peer->key = key;
        peer->address = address;
        peer->fd = fd;
        HASH_ADD(hh, sockets->peers, key, sizeof(peer->key), peer);
        HASH_ADD(hh_fd, sockets->peers_by_fd, fd, sizeof(peer->fd), peer);
        if (count == NULL) {
            count = mem_alloc(sizeof(*count));
            count->address = address;
            HASH_ADD(hh, sockets->addresses, address, sizeof(count->address), count);
        }
        count->connections++;
        admitted = true;
    } else if (!sockets->closing) {
        say = log_repeat_failed(&sockets->refusals);
    }
    lock_release(&sockets->lock);

    if (!admitted)
        atomic_fetch_add(&sockets->refused, 1);
    if (say)
        log_warning("http", "connection refused: too many from one address", log_s("address", text),
                    log_i("limit", sockets->per_address));
    return admitted;
}

/* In the shape of every error, and without waiting: who has no room for it does not get it. */
static void turn_away(int fd)
{
    char id[25];
    struct problem problem;
    struct strbuf body, answer;
    random_hex(id, (sizeof(id) - 1) / 2);
    problem_init(&problem);
    problem_detail(&problem, "There are too many connections from this address");
    strbuf_init(&body, 4096);
    strbuf_init(&answer, 8192);
    problem_render(&body, CESID_E_TOO_MANY_CLIENTS, &problem, id);
    strbuf_printf(&answer,
                  "HTTP/1.1 %d Service Unavailable\r\nX-Request-ID: %s\r\n"
                  "Content-Type: application/problem+json\r\nContent-Length: %zu\r\n"
                  "Cache-Control: no-store\r\nRetry-After: %d\r\nConnection: close\r\n\r\n%s",
                  error_status(CESID_E_TOO_MANY_CLIENTS), id, body.length,
                  problem_retry_after(&problem), body.data);
    (void) send(fd, answer.data, answer.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void) shutdown(fd, SHUT_WR);
    strbuf_destroy(&answer);
    strbuf_destroy(&body);
    problem_destroy(&problem);
}

int sockets_accept(int listener, struct sockaddr *address, socklen_t *length)
{
    struct sockets *sockets = atomic_load(&table);
    if (sockets == NULL)
        return (int) syscall(SYS_accept4, listener, address, length, SOCK_CLOEXEC);

    lock_acquire(&sockets->lock);
    bool closing = sockets->closing;
    lock_release(&sockets->lock);
    if (closing) {
        /* The connection that sockets_close made keeps the listener readable, so that CivetWeb's
         * master comes by here, instead of sleeping on, until mg_stop has set its flag. */
        nap(1);
        errno = ECONNABORTED;
        return -1;
    }

    int fd = (int) syscall(SYS_accept4, listener, address, length, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            int error = errno;
            lock_acquire(&sockets->lock);
            bool say = log_repeat_failed(&sockets->shortages);
            lock_release(&sockets->lock);
            if (say)
                log_error("http", "cannot accept connections", log_s("error", strerror(error)));
            nap(20);
            errno = error;
        }
        return -1;
    }
    if (address != NULL && address->sa_family == AF_INET) {
        struct sockaddr_in from;
        memcpy(&from, address, sizeof(from));
        if (!admit(sockets, fd, &from)) {
            turn_away(fd);
            (void) close(fd);
            errno = ECONNABORTED;
            return -1;
        }
    }
    return fd;
}

/* Makes it the calling worker's. */
static void claim_locked(struct peer_socket *peer)
{
    CHECK(!peer->claimed);
    peer->claimed = true;
    current = peer;
}

struct peer_socket *sockets_claim(struct sockets *sockets, const char *address, int port)
{
    struct in_addr parsed;
    if (current != NULL)
        return current;
    if (inet_pton(AF_INET, address, &parsed) != 1)
        return NULL;
    uint64_t key = key_of(ntohl(parsed.s_addr), (uint16_t) port);
    struct peer_socket *peer = NULL;
    lock_acquire(&sockets->lock);
    HASH_FIND(hh, sockets->peers, &key, sizeof(key), peer);
    if (peer != NULL)
        claim_locked(peer);
    lock_release(&sockets->lock);
    return peer;
}

void sockets_worker(void)
{
    is_worker = true;
}

/* The entry of what this worker reads from; NULL on other threads. */
static struct peer_socket *reading(struct sockets *sockets, int fd)
{
    if (!is_worker)
        return NULL;
    if (current == NULL) {
        struct peer_socket *peer = NULL;
        lock_acquire(&sockets->lock);
        HASH_FIND(hh_fd, sockets->peers_by_fd, &fd, sizeof(fd), peer);
        if (peer != NULL)
            claim_locked(peer);
        lock_release(&sockets->lock);
    }
    return current != NULL && current->fd == fd ? current : NULL;
}

static void keep_tail(struct peer_socket *peer, const char *data, size_t length)
{
    size_t keep = sizeof(peer->tail);
    if (length < keep) {
        memmove(peer->tail, peer->tail + length, keep - length);
        memcpy(peer->tail + keep - length, data, length);
    } else {
        memcpy(peer->tail, data + length - keep, keep);
    }
}

/* Whether CivetWeb may see these bytes. */
static bool passes(struct peer_socket *peer, const void *data, size_t length)
{
    if (!peer->websocket) {
        keep_tail(peer, data, length);
        return true;
    }
    enum frames_verdict verdict = frames_watch(&peer->frames, data, length, peer->frame_most);
    if (verdict != FRAMES_GOOD)
        peer->end = verdict == FRAMES_UNMASKED ? PEER_UNMASKED : PEER_TOO_MUCH;
    return verdict == FRAMES_GOOD;
}

ssize_t sockets_recv(int fd, void *buffer, size_t length, int flags)
{
    struct sockets *sockets = atomic_load_explicit(&table, memory_order_acquire);
    if (sockets == NULL)
        return (ssize_t) syscall(SYS_recvfrom, fd, buffer, length, flags, NULL, NULL);
    struct peer_socket *peer = reading(sockets, fd);
    if (peer == NULL)
        return sockets->next_recv(fd, buffer, length, flags);

    if (peer->websocket && (peer->end == PEER_UNMASKED || peer->end == PEER_TOO_MUCH))
        return 0;
    if (peer->limited) {
        if (clock_now() >= peer->deadline) {
            peer->end = PEER_LATE;
            return 0;
        }
        if (peer->allowed <= 0) {
            peer->end = PEER_TOO_MUCH;
            return 0;
        }
        if ((int64_t) length > peer->allowed)
            length = (size_t) peer->allowed;
    }
    ssize_t got = sockets->next_recv(fd, buffer, length, flags);
    if (got > 0) {
        if (peer->received == 0)
            peer->marked_at = clock_now();
        peer->allowed -= got;
        peer->received += (uint64_t) got;
        if (!passes(peer, buffer, (size_t) got))
            return 0;
    } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        peer->end = PEER_CLOSED;
    }
    return got;
}

void sockets_close(struct sockets *sockets)
{
    lock_acquire(&sockets->lock);
    sockets->closing = true;
    for (struct peer_socket *peer = sockets->peers; peer != NULL; peer = peer->hh.next)
        (void) shutdown(peer->fd, SHUT_RDWR);
    lock_release(&sockets->lock);
}

size_t sockets_count(struct sockets *sockets)
{
    lock_acquire(&sockets->lock);
    size_t count = HASH_COUNT(sockets->peers);
    lock_release(&sockets->lock);
    return count;
}

uint64_t sockets_refused(struct sockets *sockets)
{
    return atomic_load(&sockets->refused);
}

void sockets_release(struct sockets *sockets, struct peer_socket *peer)
{
    lock_acquire(&sockets->lock);
    HASH_DELETE(hh, sockets->peers, peer);
    HASH_DELETE(hh_fd, sockets->peers_by_fd, peer);
    struct address_count *count = count_locked(sockets, peer->address);
    CHECK(count != NULL && count->connections > 0);
    if (--count->connections == 0) {
        HASH_DEL(sockets->addresses, count);
        free(count);
    }
    lock_release(&sockets->lock);
    current = NULL;
    free(peer);
}

int peer_fd(const struct peer_socket *peer)
{
    return peer->fd;
}

void peer_allow(struct peer_socket *peer, int64_t bytes, int64_t deadline)
{
    peer->limited = true;
    peer->allowed = bytes;
    peer->deadline = deadline;
}

bool peer_frames(struct peer_socket *peer, uint64_t most)
{
    bool first = !peer->websocket;
    peer->websocket = true;
    peer->frame_most = most;
    /* The empty line that ends a request, with or without CR. */
    return !first || memcmp(peer->tail, "\n\r\n", 3) == 0 || memcmp(peer->tail + 1, "\n\n", 2) == 0;
}

enum peer_end peer_end(const struct peer_socket *peer)
{
    return peer->end;
}

bool peer_gone(const struct peer_socket *peer)
{
    struct pollfd wanted = {.fd = peer->fd, .events = POLLRDHUP};
    return poll(&wanted, 1, 0) > 0 && (wanted.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void peer_patience(struct peer_socket *peer, double seconds)
{
    unsigned milliseconds = (unsigned) (seconds * 1000);
    (void) setsockopt(peer->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
}

void peer_mark(struct peer_socket *peer)
{
    peer->received = 0;
    peer->marked_at = clock_now();
}

uint64_t peer_received(const struct peer_socket *peer)
{
    return peer->received;
}

double peer_waited(const struct peer_socket *peer)
{
    return clock_seconds_since(peer->marked_at);
}

void peer_linger(struct peer_socket *peer)
{
    char waste[4096];
    int64_t deadline = clock_after(LINGER_SECONDS);
    size_t read = 0;
    if (shutdown(peer->fd, SHUT_WR) != 0)
        return;
    while (read < LINGER_BYTES) {
        struct pollfd wanted = {.fd = peer->fd, .events = POLLIN};
        int64_t left = deadline - clock_now();
        if (left <= 0 || poll(&wanted, 1, (int) (left / 1000000) + 1) <= 0)
            return;
        ssize_t got = (ssize_t) syscall(SYS_recvfrom, peer->fd, waste, sizeof(waste), MSG_DONTWAIT,
                                        NULL, NULL);
        if (got <= 0)
            return;
        read += (size_t) got;
    }
}

bool sockets_address_in(const struct config_strings *entries, const char *address)
{
    struct in_addr wanted;
    bool numeric = inet_pton(AF_INET, address, &wanted) == 1;
    for (size_t i = 0; i < entries->count; i++) {
        const char *slash = strchr(entries->items[i], '/');
        if (slash == NULL || !numeric) {
            if (strcasecmp(entries->items[i], address) == 0)
                return true;
            continue;
        }
        char network[INET_ADDRSTRLEN];
        size_t length = (size_t) (slash - entries->items[i]);
        struct in_addr base;
        if (length >= sizeof(network))
            continue;
        memcpy(network, entries->items[i], length);
        network[length] = '\0';
        long bits = strtol(slash + 1, NULL, 10);
        if (bits < 0 || bits > 32 || inet_pton(AF_INET, network, &base) != 1)
            continue;
        uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
        if ((ntohl(base.s_addr) & mask) == (ntohl(wanted.s_addr) & mask))
            return true;
    }
    return false;
}
