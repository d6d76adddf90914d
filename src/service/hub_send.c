/*
 * Sending: the sender thread writes WebSocket frames to every socket client, never blocking. A
 * client whose socket is full waits in the epoll set, everybody else goes on. Bytes are written
 * under the client's lock with MSG_DONTWAIT, so frames never interleave and a socket is never
 * touched after its worker has left (hub_client_gone takes the same lock). CivetWeb's own writer is
 * not used after the handshake: it blocks (LAB.md).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/metrics.h"
#include "cesid/pulse.h"
#include "hub_private.h"

#define EVENTS_MAX 256
#define WAKE_ID    0 /* clients are numbered from 1 */

/* RFC 6455, 5.2: FIN, the opcode, and the length without a mask. */
static size_t frame_header(char *out, int opcode, size_t length)
{
    out[0] = (char) (0x80 | opcode);
    if (length < 126) {
        out[1] = (char) length;
        return 2;
    }
    if (length < 65536) {
        out[1] = 126;
        out[2] = (char) (length >> 8);
        out[3] = (char) length;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (char) ((uint64_t) length >> (56 - 8 * i));
    return 10;
}

void client_control_locked(struct hub_client *client, int opcode, const char *data, size_t length)
{
    lock_assert_held(&client->lock);
    if (length > 125 || client->control_length + length + 2 > CONTROL_MAX)
        return;
    client->control_length +=
        frame_header(client->control + client->control_length, opcode, length);
    if (length > 0)
        memcpy(client->control + client->control_length, data, length);
    client->control_length += length;
}

void client_close_locked(struct hub_client *client, uint16_t code, bool draining)
{
    lock_assert_held(&client->lock);
    if (client->state != CLIENT_OPEN && !(client->state == CLIENT_DRAINING && !draining))
        return;
    client->close_code = code;
    client->state = draining ? CLIENT_DRAINING : CLIENT_CLOSING;
    client->closing_since = clock_now();
    if (!draining)
        client_clear_locked(client);
    if (client->pull)
        client->state = CLIENT_CLOSED;
}

static void begin_data(struct hub_client *client, struct event *event)
{
    struct outgoing *out = &client->out;
    char start[40];
    int length =
        snprintf(start, sizeof(start), "{\"seq\":%llu,", (unsigned long long) ++client->seq);

    CHECK(length > 0 && (size_t) length < sizeof(start));
    out->head_length = frame_header(out->head, 1, (size_t) length + event->body_length + 1);
    memcpy(out->head + out->head_length, start, (size_t) length);
    out->head_length += (size_t) length;
    out->event = event;
    metrics_count(METRIC_WS_MESSAGES, event->name);
}

/* The next frame, at a frame border. False: nothing to write. */
static bool begin_frame(struct hub_client *client)
{
    struct outgoing *out = &client->out;
    bool close_now = client->state == CLIENT_CLOSING ||
                     (client->state == CLIENT_DRAINING && client->length == 0);
    struct event *event;

    out->sent = out->head_length = out->control_length = 0;
    if (client->state == CLIENT_CLOSED || client->state == CLIENT_GONE)
        return false;
    if (client->control_length > 0) {
        memcpy(out->control, client->control, client->control_length);
        out->control_length = client->control_length;
        client->control_length = 0;
    } else if (close_now) {
        char code[2] = {(char) (client->close_code >> 8), (char) client->close_code};

        out->control_length = frame_header(out->control, 8, sizeof(code));
        memcpy(out->control + out->control_length, code, sizeof(code));
        out->control_length += sizeof(code);
        out->closes = true;
    } else if ((event = client_pop_locked(client)) != NULL) {
        begin_data(client, event);
    } else {
        return false;
    }
    out->active = true;
    return true;
}

/* The pieces of the frame from where it stands. */
static size_t pieces(struct outgoing *out, struct iovec parts[3])
{
    struct iovec all[3];
    size_t count = 0, skip = out->sent, left = 0;

    if (out->event == NULL) {
        all[count++] = (struct iovec){out->control, out->control_length};
    } else {
        all[count++] = (struct iovec){out->head, out->head_length};
        all[count++] = (struct iovec){out->event->body, out->event->body_length};
        all[count++] = (struct iovec){(char *) "}", 1};
    }
    for (size_t i = 0; i < count; i++) {
        if (skip >= all[i].iov_len) {
            skip -= all[i].iov_len;
            continue;
        }
        parts[left].iov_base = (char *) all[i].iov_base + skip;
        parts[left++].iov_len = all[i].iov_len - skip;
        skip = 0;
    }
    return left;
}

static void end_frame(struct hub_client *client)
{
    struct outgoing *out = &client->out;

    event_unref(&out->event);
    out->active = false;
    if (out->closes) {
        client->state = CLIENT_CLOSED;
        client->closing_since = clock_now();
        shutdown(client->fd, SHUT_WR);
    }
}

static void wait_writable(struct hub_client *client)
{
    struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data.u64 = client->id};
    int operation = client->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(client->hub->sender.epoll, operation, client->fd, &event) == 0)
        client->watched = client->full = true;
    else
        shutdown(client->fd, SHUT_RDWR); /* cannot be watched: the worker ends it */
}

void client_write_locked(struct hub_client *client)
{
    lock_assert_held(&client->lock);
    if (client->fd < 0 || client->full)
        return;
    while (client->out.active || begin_frame(client)) {
        struct iovec parts[3];
        struct msghdr message = {.msg_iov = parts};
        ssize_t written;

        message.msg_iovlen = pieces(&client->out, parts);
        if (message.msg_iovlen == 0) {
            end_frame(client);
            continue;
        }
        written = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_writable(client);
            return;
        }
        if (written < 0) {
            /* Broken: the worker sees it and leaves. Nobody queues for it any more. */
            shutdown(client->fd, SHUT_RDWR);
            client->state = CLIENT_CLOSED;
            client->out.active = false;
            event_unref(&client->out.event);
            client_clear_locked(client);
            return;
        }
        client->out.sent += (size_t) written;
        client->progress_at = clock_now();
    }
    if (client->resync_wanted && client->state == CLIENT_OPEN)
        keeper_take(client->hub, client);
}

void sender_forget_locked(struct hub_client *client)
{
    lock_assert_held(&client->lock);
    if (client->watched && client->fd >= 0)
        (void) epoll_ctl(client->hub->sender.epoll, EPOLL_CTL_DEL, client->fd, NULL);
    client->watched = client->full = false;
}

bool sender_mark(struct hub *hub, struct hub_client *client)
{
    bool marked = false;

    lock_acquire(&hub->sender.lock);
    if (!client->dirty && !hub->sender.stopping) {
        client->dirty = true;
        client->next_dirty = hub->sender.dirty;
        hub->sender.dirty = hub_client_ref(client);
        marked = true;
    }
    lock_release(&hub->sender.lock);
    return marked;
}

void sender_kick(struct hub *hub)
{
    uint64_t one = 1;
    ssize_t written = write(hub->sender.wake, &one, sizeof(one));

    (void) written; /* a full counter has woken it already */
}

void sender_wake(struct hub *hub, struct hub_client *client)
{
    if (sender_mark(hub, client))
        sender_kick(hub);
}

static void write_dirty(struct hub *hub)
{
    struct hub_client *client, *next;

    lock_acquire(&hub->sender.lock);
    client = hub->sender.dirty;
    hub->sender.dirty = NULL;
    lock_release(&hub->sender.lock);
    for (; client != NULL; client = next) {
        lock_acquire(&hub->sender.lock);
        next = client->next_dirty;
        client->dirty = false;
        lock_release(&hub->sender.lock);
        lock_acquire(&client->lock);
        client_write_locked(client);
        lock_release(&client->lock);
        hub_client_unref(&client);
    }
}

static void write_ready(struct hub *hub, uint64_t id)
{
    struct hub_client *client = hub_find(hub, id);

    if (client == NULL)
        return;
    lock_acquire(&client->lock);
    client->full = false;
    client_write_locked(client);
    lock_release(&client->lock);
    hub_client_unref(&client);
}

static void run(void *argument)
{
    struct hub *hub = argument;
    struct epoll_event events[EVENTS_MAX];
    bool stopping = false;

    while (!stopping) {
        pulse_wait("clients", CLOCK_NEVER);
        int count = epoll_wait(hub->sender.epoll, events, EVENTS_MAX, -1);
        pulse_work();

        for (int i = 0; i < count; i++) {
            uint64_t wakes;

            if (events[i].data.u64 != WAKE_ID)
                write_ready(hub, events[i].data.u64);
            else if (read(hub->sender.wake, &wakes, sizeof(wakes)) < 0)
                continue;
        }
        write_dirty(hub);
        lock_acquire(&hub->sender.lock);
        stopping = hub->sender.stopping;
        lock_release(&hub->sender.lock);
    }
    write_dirty(hub);
}

int sender_start(struct hub *hub)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_ID};

    hub->sender.epoll = epoll_create1(EPOLL_CLOEXEC);
    hub->sender.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (hub->sender.epoll < 0 || hub->sender.wake < 0 ||
        epoll_ctl(hub->sender.epoll, EPOLL_CTL_ADD, hub->sender.wake, &event) != 0) {
        log_error("hub", "cannot create the sender's descriptors", log_i("errno", errno));
        return CESID_E_INTERNAL;
    }
    return thread_start(&hub->sender.thread, "hub", "hub-sender", run, hub);
}

void sender_stop(struct hub *hub)
{
    lock_acquire(&hub->sender.lock);
    hub->sender.stopping = true;
    lock_release(&hub->sender.lock);
    if (hub->sender.thread.started)
        sender_kick(hub);
    thread_join(&hub->sender.thread);
}
