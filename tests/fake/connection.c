/*
 * Connections: accept, read, write, close, count. A closed connection lives to the end of the
 * round, since epoll may still have an event of it in hand.
 *
 * "In flight" is what has been accepted or asked and not wholly answered. Before a new maximum
 * counts, those whose peer has gone away meanwhile are taken out: the peer may have given up and
 * come anew in one round.
 */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static struct connection *dead, *busy_list, *timed_list;

static void unlink_from(struct connection *next, struct connection **back, size_t back_offset)
{
    *back = next;
    if (next != NULL)
        memcpy((char *) next + back_offset, &back, sizeof(back));
}

void connection_timed(struct connection *connection, bool timed)
{
    if (connection->dead)
        timed = false;
    if ((connection->back_timed != NULL) == timed)
        return;
    if (!timed) {
        unlink_from(connection->next_timed, connection->back_timed,
                    offsetof(struct connection, back_timed));
        connection->back_timed = NULL;
        return;
    }
    connection->next_timed = timed_list;
    connection->back_timed = &timed_list;
    if (timed_list != NULL)
        timed_list->back_timed = &connection->next_timed;
    timed_list = connection;
}

static void sweep(void)
{
    static struct pollfd *fds;
    static size_t size;
    size_t count = 0;
    struct connection *next;

    if (size < fake.in_flight) {
        size = fake.in_flight * 2;
        free(fds);
        fds = fake_alloc(size, sizeof(*fds));
    }
    for (struct connection *each = busy_list; each != NULL; each = each->next_busy)
        fds[count++] = (struct pollfd){.fd = each->fd, .events = POLLRDHUP};
    if (poll(fds, (nfds_t) count, 0) <= 0)
        return;
    count = 0;
    for (struct connection *each = busy_list; each != NULL; each = next) {
        next = each->next_busy;
        if (fds[count++].revents != 0)
            connection_close(each, false);
    }
}

void connection_busy(struct connection *connection, bool busy)
{
    if (connection->busy == busy)
        return;
    connection->busy = busy;
    if (!busy) {
        unlink_from(connection->next_busy, connection->back_busy,
                    offsetof(struct connection, back_busy));
        fake.in_flight--;
        return;
    }
    if (fake.in_flight + 1 > fake.max_in_flight)
        sweep();
    connection->next_busy = busy_list;
    connection->back_busy = &busy_list;
    if (busy_list != NULL)
        busy_list->back_busy = &connection->next_busy;
    busy_list = connection;
    if (++fake.in_flight > fake.max_in_flight)
        fake.max_in_flight = fake.in_flight;
}

void connection_close(struct connection *connection, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (connection->dead)
        return;
    if (reset)
        (void) setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(connection->fd);
    connection->dead = true;
    connection_busy(connection, false);
    connection_timed(connection, false);
    unlink_from(connection->next, connection->back, offsetof(struct connection, back));
    connection->node->open--;
    fake.open--;
    connection->next_dead = dead;
    dead = connection;
}

void connection_bury(void)
{
    while (dead != NULL) {
        struct connection *connection = dead;

        dead = connection->next_dead;
        buffer_free(&connection->in);
        buffer_free(&connection->out);
        free(connection);
    }
}

void connection_drop_all(struct node *node, bool reset)
{
    while (node->connections != NULL)
        connection_close(node->connections, reset);
}

static void watch_writes(struct connection *connection, bool wanted)
{
    if (connection->wants_write == wanted)
        return;
    connection->wants_write = wanted;
    fake_watch(connection->fd, &connection->watched,
               EPOLLIN | EPOLLRDHUP | (wanted ? (uint32_t) EPOLLOUT : 0u), true);
}

void connection_push(struct connection *connection)
{
    while (!connection->dead) {
        size_t left = connection->out.length - connection->sent;
        ssize_t sent;

        if (left == 0) {
            connection->out.length = 0;
            connection->sent = 0;
            if (connection->mode != MODE_GENERATING)
                break;
            answer_more(connection);
            continue;
        }
        sent = send(connection->fd, connection->out.data + connection->sent, left, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            watch_writes(connection, true);
            return;
        }
        if (sent < 0) {
            connection_close(connection, false);
            return;
        }
        connection->sent += (size_t) sent;
        fake.sent += (uint64_t) sent;
    }
    if (connection->dead)
        return;
    watch_writes(connection, false);
    if (connection->mode == MODE_READING) {
        connection_busy(connection, false);
        if (connection->close_after)
            connection_close(connection, false);
        else if (connection->out.size > 1024)
            buffer_free(&connection->out); /* 10,000 idle ones must not hold an answer each */
    }
}

/* Straight from the caller's memory as far as the kernel takes it. */
void connection_send(struct connection *connection, const char *data, size_t length)
{
    ssize_t sent = 0;

    if (connection->dead)
        return;
    if (connection->out.length == 0) {
        sent = send(connection->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            connection_close(connection, false);
            return;
        }
        if (sent < 0)
            sent = 0;
        fake.sent += (uint64_t) sent;
    }
    buffer_add(&connection->out, data + sent, length - (size_t) sent);
}

void connection_answered(struct connection *connection)
{
    connection->mode = MODE_READING;
    connection_push(connection);
}

static const char *header(const char *head, size_t length, const char *name, size_t *size)
{
    size_t name_length = strlen(name);
    const char *line = head, *end = head + length;

    while ((line = memchr(line, '\n', (size_t) (end - line))) != NULL) {
        const char *value, *stop;

        line++;
        if ((size_t) (end - line) <= name_length || strncasecmp(line, name, name_length) != 0 ||
            line[name_length] != ':')
            continue;
        value = line + name_length + 1;
        while (value < end && *value == ' ')
            value++;
        stop = memchr(value, '\r', (size_t) (end - value));
        *size = (size_t) ((stop == NULL ? end : stop) - value);
        return value;
    }
    return NULL;
}

/* Answers each whole request that is there. */
static void take_requests(struct connection *connection)
{
    while (!connection->dead && connection->mode == MODE_READING && connection->out.length == 0 &&
           connection->in.length > 0) {
        struct head head = {.line = connection->in.data};
        const char *end = memmem(connection->in.data, connection->in.length, "\r\n\r\n", 4);
        const char *line_end, *text;
        size_t length, size;

        connection_busy(connection, true);
        if (end == NULL)
            return;
        length = (size_t) (end - connection->in.data) + 2;
        head.body = end + 4;
        text = header(head.line, length, "Content-Length", &size);
        head.body_length = text == NULL ? 0 : (size_t) strtoul(text, NULL, 10);
        if (connection->in.length - length - 2 < head.body_length)
            return;
        line_end = memchr(head.line, '\r', length);
        head.line_length = (size_t) (line_end - head.line);
        text = header(head.line, length, "Connection", &size);
        head.close = text != NULL && size == 5 && strncasecmp(text, "close", 5) == 0;
        text = header(head.line, length, "Authorization", &size);
        head.authorized = fake.auth == NULL || (text != NULL && size == strlen(fake.auth) &&
                                                memcmp(text, fake.auth, size) == 0);
        answer_request(connection, &head);
        /* A delayed request stays where it is, to be read again. */
        if (connection->dead || connection->mode == MODE_DELAYED)
            return;
        connection->delayed = false;
        buffer_cut(&connection->in, length + 2 + head.body_length);
    }
    if (!connection->dead && connection->in.length == 0 && connection->in.size > 4096)
        buffer_free(&connection->in);
}

static void connection_ready(struct watched *self, uint32_t events)
{
    struct connection *connection = (struct connection *) self;

    if (connection->dead)
        return;
    if (events & EPOLLOUT)
        connection_push(connection);
    while (!connection->dead && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        ssize_t got;

        buffer_need(&connection->in, 2048);
        got = recv(connection->fd, connection->in.data + connection->in.length,
                   connection->in.size - connection->in.length, 0);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got <= 0) {
            connection_close(connection, false);
            return;
        }
        fake.received += (uint64_t) got;
        if (connection->mode != MODE_HUNG)
            connection->in.length += (size_t) got;
        take_requests(connection);
        if (connection->in.length < connection->in.size)
            break;
    }
}

/* Without interest in its bytes: a hung program. */
void connection_freeze_all(struct node *node, bool frozen)
{
    for (struct connection *each = node->connections; each != NULL; each = each->next)
        fake_watch(each->fd, &each->watched,
                   frozen ? 0
                          : EPOLLIN | EPOLLRDHUP | (each->wants_write ? (uint32_t) EPOLLOUT : 0u),
                   true);
}

bool connection_ticking(void)
{
    return timed_list != NULL;
}

void connection_tick(void)
{
    struct connection *next;

    /* A wake may retire its own connection, and close any: those still lead on until they are
     * buried. */
    for (struct connection *each = timed_list; each != NULL; each = next) {
        next = each->next_timed;
        if (each->dead || fake.monotonic < each->wake_at)
            continue;
        answer_wake(each);
        take_requests(each);
    }
}

static void count_accept(struct node *node)
{
    node->accepted++;
    node->open++;
    fake.accepted++;
    if (++fake.open > fake.max_open)
        fake.max_open = fake.open;
    if (fake.this_second != (long) fake.monotonic) {
        fake.this_second = (long) fake.monotonic;
        fake.accepts_this_second = 0;
    }
    if (++fake.accepts_this_second > fake.max_accepts_per_second)
        fake.max_accepts_per_second = fake.accepts_this_second;
}

void connection_accept(struct listener *listener)
{
    struct node *node = listener->node;

    for (int i = 0; i < 16 && listener->fd >= 0; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
        struct connection *connection;

        if (fd < 0)
            return;
        if (listener->tcp)
            (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        connection = fake_alloc(1, sizeof(*connection));
        connection->watched.ready = connection_ready;
        connection->node = node;
        connection->fd = fd;
        connection->tcp = listener->tcp;
        connection->next = node->connections;
        connection->back = &node->connections;
        if (node->connections != NULL)
            node->connections->back = &connection->next;
        node->connections = connection;
        count_accept(node);
        connection_busy(connection, true);
        fake_watch(fd, &connection->watched, EPOLLIN | EPOLLRDHUP, false);
    }
}
