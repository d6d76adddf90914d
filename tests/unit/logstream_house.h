/*
 * Live logs for tests: a small supervisord that tells the size of one log and streams it, and cuts,
 * refuses, grows, replaces and counts on order; log streams on top of it; and what their readers
 * saw.
 */
#ifndef CESID_TESTS_LOGSTREAM_HOUSE_H
#define CESID_TESTS_LOGSTREAM_HOUSE_H

#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/logstream.h"
#include "cesid/memory.h"
#include "cesid/strbuf.h"
#include "cesid/text.h"
#include "cesid/thread.h"

#define TOPIC       "log:a:g:p:stdout"
#define CONNECTIONS 512

static struct {
    struct lock lock;
    struct cond changed;
    int listener;
    int port;
    struct thread acceptor;
    struct thread threads[CONNECTIONS];
    /* guarded by lock */
    int fds[CONNECTIONS];
    int count;
    struct strbuf log;
    int tails, tails_opened;
    int tailed, uncut;         /* of the tail opened last: the file, and the cuts before it */
    int inode;                 /* the tail goes on with another one without a word */
    void (*on_open)(void);     /* with the lock, before a tail finds its place */
    void (*on_question)(void); /* with the lock, before a size is told */
    int questions;
    int file;     /* number of the process's log; a tail of another one sees nothing more */
    bool gone;    /* there is no such process */
    int reads;    /* parts of the log that were read by their offset */
    int cut;      /* how often all tails were cut */
    bool refuses; /* no such process */
    bool stopping;
} peer;

static inline bool send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t) sent;
    }
    return true;
}

static inline bool send_text(int fd, const char *text)
{
    return send_all(fd, text, strlen(text));
}

static inline void add_size(struct strbuf *body)
{
    strbuf_printf(
        body,
        "<value><array><data><value><string></string></value><value><int>%zu</int></value>"
        "<value><boolean>0</boolean></value></data></array></value>",
        peer.log.length);
}

static inline void add_info(struct strbuf *body)
{
    if (peer.gone)
        strbuf_puts(body, "<value><struct>"
                          "<member><name>faultCode</name><value><int>10</int></value></member>"
                          "<member><name>faultString</name><value>BAD_NAME: g:p</value></member>"
                          "</struct></value>");
    else
        strbuf_printf(body,
                      "<value><struct><member><name>stdout_logfile</name>"
                      "<value>/log/%d</value></member></struct></value>",
                      peer.file);
}

static inline void add_text(struct strbuf *body, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '<')
            strbuf_puts(body, "&lt;");
        else
            strbuf_putc(body, text[i]);
    }
}

/* As supervisord does: what is cut inside a character is a fault of that call. */
static inline void add_read(struct strbuf *body, size_t offset, size_t length)
{
    const char *text = peer.log.data + offset;

    if (length > 0 && ((text[0] & 0xC0) == 0x80 || text_utf8_complete(text, length) != length)) {
        strbuf_puts(body, "<value><struct>"
                          "<member><name>faultCode</name><value><int>1</int></value></member>"
                          "<member><name>faultString</name><value>UnicodeDecodeError</value>"
                          "</member></struct></value>");
        return;
    }
    strbuf_puts(body, "<value><string>");
    add_text(body, text, length);
    strbuf_puts(body, "</string></value>");
}

/* A part of the log, by the last two numbers of the request. */
static inline void add_part(struct strbuf *body, const char *request)
{
    const char *number = strstr(request, "<int>");
    size_t offset = number != NULL ? strtoul(number + 5, NULL, 10) : 0;
    size_t length;

    number = number != NULL ? strstr(number + 5, "<int>") : NULL;
    length = number != NULL ? strtoul(number + 5, NULL, 10) : 0;
    peer.reads++;
    offset = offset < peer.log.length ? offset : peer.log.length;
    length = length < peer.log.length - offset ? length : peer.log.length - offset;
    add_read(body, offset, length);
}

/* The size, alone or with the process or the log's end in one call, or a part of the log. */
static inline bool answer(int fd, const char *request)
{
    bool many = strstr(request, "<methodName>system.multicall<") != NULL;
    bool size = strstr(request, "supervisor.tailProcess") != NULL;
    bool info = strstr(request, "supervisor.getProcessInfo") != NULL;
    struct strbuf body;
    char head[200];
    bool good;

    strbuf_init(&body, (size_t) 8 << 20);
    strbuf_puts(&body, "<?xml version='1.0'?><methodResponse><params><param>");
    lock_acquire(&peer.lock);
    peer.questions++;
    if (peer.on_question != NULL)
        peer.on_question();
    if (many && !size) {
        strbuf_puts(&body, "<value><array><data>");
        add_part(&body, request);
        strbuf_puts(&body, "</data></array></value>");
    } else if (info) {
        strbuf_puts(&body, "<value><array><data>");
        add_info(&body);
        add_size(&body);
        strbuf_puts(&body, "</data></array></value>");
    } else if (many) {
        const char *window = strstr(request, ">-");
        size_t length = window != NULL ? strtoul(window + 2, NULL, 10) : 0;

        length = length < peer.log.length ? length : peer.log.length;
        strbuf_puts(&body, "<value><array><data>");
        add_size(&body);
        add_read(&body, peer.log.length - length, length);
        strbuf_puts(&body, "</data></array></value>");
    } else {
        add_size(&body);
    }
    lock_release(&peer.lock);
    strbuf_puts(&body, "</param></params></methodResponse>");
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n\r\n",
             body.length);
    good = send_text(fd, head) && send_all(fd, body.data, body.length);
    strbuf_destroy(&body);
    return good;
}

static inline bool send_chunk(int fd, const char *data, size_t length)
{
    char head[32];

    snprintf(head, sizeof(head), "%zx\r\n", length);
    return send_text(fd, head) && send_all(fd, data, length) && send_text(fd, "\r\n");
}

/* As supervisor/http.py does: up to 1,024 bytes back, then what comes. */
static inline bool stream_log(int fd)
{
    size_t at;
    int cut, inode, file;
    bool good, refuses;

    lock_acquire(&peer.lock);
    refuses = peer.refuses || peer.gone;
    lock_release(&peer.lock);
    if (refuses)
        return send_text(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    good = send_text(fd, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n");
    lock_acquire(&peer.lock);
    if (peer.on_open != NULL)
        peer.on_open();
    inode = peer.inode;
    file = peer.tailed = peer.file;
    at = peer.log.length >= 1024 ? peer.log.length - 1024 : 0;
    cut = peer.uncut = peer.cut;
    peer.tails++;
    peer.tails_opened++;
    while (good && peer.cut == cut && !peer.stopping) {
        char byte;

        if (recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0) {
            good = false;
        } else if (file != peer.file) {
            cond_wait_until(&peer.changed, &peer.lock, clock_after(0.01));
        } else if (inode != peer.inode) {
            inode = peer.inode;
            at = 0;
        } else if (peer.log.length < at) {
            at = 0;
            lock_release(&peer.lock);
            good = send_chunk(fd, "==> File truncated <==\n", 23);
            lock_acquire(&peer.lock);
        } else if (peer.log.length > at) {
            size_t length = peer.log.length - at;
            char *copy = mem_bytes(peer.log.data + at, length);

            at += length;
            lock_release(&peer.lock);
            good = send_chunk(fd, copy, length);
            free(copy);
            lock_acquire(&peer.lock);
        } else {
            cond_wait_until(&peer.changed, &peer.lock, clock_after(0.01));
        }
    }
    peer.tails--;
    lock_release(&peer.lock);
    return false;
}

static inline void serve(void *argument)
{
    int fd = *(int *) argument;
    char request[20000];
    size_t length = 0;
    bool good = true;

    while (good) {
        char *end;
        ssize_t got = recv(fd, request + length, sizeof(request) - 1 - length, 0);

        if (got <= 0)
            break;
        length += (size_t) got;
        request[length] = '\0';
        if (strncmp(request, "GET", 3) == 0)
            end = strstr(request, "\r\n\r\n");
        else
            end = strstr(request, "</methodCall>");
        if (end == NULL)
            continue;
        good = strncmp(request, "GET /logtail/g%3Ap/stdout", 25) == 0 ? stream_log(fd)
                                                                      : answer(fd, request);
        length = 0;
    }
    shutdown(fd, SHUT_RDWR);
}

static inline void accept_all(void *argument)
{
    (void) argument;
    for (;;) {
        int fd = accept4(peer.listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return;
        lock_acquire(&peer.lock);
        CHECK(peer.count < CONNECTIONS);
        peer.fds[peer.count] = fd;
        CHECK(thread_start(&peer.threads[peer.count], "peer", "peer", serve,
                           &peer.fds[peer.count]) == CESID_OK);
        peer.count++;
        lock_release(&peer.lock);
    }
}

static inline void peer_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    memset(&peer, 0, sizeof(peer));
    lock_init(&peer.lock, LOCK_CONFIG);
    cond_init(&peer.changed);
    strbuf_init(&peer.log, (size_t) 64 << 20);
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(peer.listener, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(peer.listener, 16), 0);
    assert_int_equal(getsockname(peer.listener, (struct sockaddr *) &address, &size), 0);
    peer.port = ntohs(address.sin_port);
    assert_int_equal(thread_start(&peer.acceptor, "peer", "peer", accept_all, NULL), CESID_OK);
}

static inline void peer_stop(void)
{
    shutdown(peer.listener, SHUT_RDWR);
    thread_join(&peer.acceptor);
    lock_acquire(&peer.lock);
    peer.stopping = true;
    cond_broadcast(&peer.changed);
    lock_release(&peer.lock);
    for (int i = 0; i < peer.count; i++) {
        shutdown(peer.fds[i], SHUT_RDWR);
        thread_join(&peer.threads[i]);
        close(peer.fds[i]);
    }
    close(peer.listener);
    strbuf_destroy(&peer.log);
    cond_destroy(&peer.changed);
    lock_destroy(&peer.lock);
}

static inline void write_log(const char *data, size_t length)
{
    lock_acquire(&peer.lock);
    strbuf_add(&peer.log, data, length);
    cond_broadcast(&peer.changed);
    lock_release(&peer.lock);
}

static inline void write_line(const char *text)
{
    char line[200];

    write_log(line, (size_t) snprintf(line, sizeof(line), "%s\n", text));
}

/* ---- what readers saw ---- */

static struct {
    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    struct strbuf text;
    int64_t first, next; /* offsets */
    int64_t skipped;     /* as said */
    int64_t missing;     /* as seen by the offsets */
    int jumps_back;
    int errors;
    uint64_t number;
    bool disorder;
} seen;

static inline void on_event(void *argument, struct event *event)
{
    const char *skipped;

    (void) argument;
    lock_acquire(&seen.lock);
    CHECK(event->type == EVENT_LOG && strcmp(event->topic, TOPIC) == 0);
    seen.disorder = seen.disorder || event->number <= seen.number;
    seen.number = event->number;
    if (strstr(event->body, "\"error\":") != NULL) {
        seen.errors++;
    } else {
        skipped = strstr(event->body, "\"skipped\":");
        CHECK(skipped != NULL);
        seen.skipped += strtoll(skipped + 10, NULL, 10);
        if (seen.next < 0)
            seen.first = event->raw_offset;
        else if (event->raw_offset < seen.next)
            seen.jumps_back++;
        else
            seen.missing += event->raw_offset - seen.next;
        seen.next = event->raw_offset + (int64_t) event->raw_length;
        strbuf_add(&seen.text, event->raw, event->raw_length);
    }
    cond_broadcast(&seen.changed);
    lock_release(&seen.lock);
}

static inline bool see_since(size_t since, const char *text)
{
    int64_t deadline = clock_after(15);
    bool found;

    lock_acquire(&seen.lock);
    while (!(found = strstr(seen.text.data + since, text) != NULL) &&
           cond_wait_until(&seen.changed, &seen.lock, deadline))
        continue;
    lock_release(&seen.lock);
    return found;
}

static inline bool see(const char *text)
{
    return see_since(0, text);
}

static inline bool see_error(void)
{
    int64_t deadline = clock_after(15);
    bool found;

    lock_acquire(&seen.lock);
    while (!(found = seen.errors > 0) && cond_wait_until(&seen.changed, &seen.lock, deadline))
        continue;
    lock_release(&seen.lock);
    return found;
}

/* ---- the house ---- */

static struct {
    struct config_box *config;
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct logstreams *streams;
} house;

static inline void house_open(void)
{
    char file[] = "/tmp/cesid-logstream-XXXXXX", url[64];
    int fd = mkstemp(file);
    struct config_problems problems;
    struct config *config;
    struct config_node node = {.name = (char *) "a",
                               .environment = (char *) "production",
                               .url = url,
                               .username = (char *) "",
                               .ca_file = (char *) "",
                               .verify = true,
                               .enabled = true};

    peer_start();
    memset(&seen, 0, sizeof(seen));
    seen.next = -1;
    lock_init(&seen.lock, LOCK_CONFIG);
    cond_init(&seen.changed);
    strbuf_init(&seen.text, (size_t) 64 << 20);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(config_load(file, &config, &problems), CESID_OK);
    config_problems_free(&problems);
    unlink(file);
    house.config = config_box_create(config);
    house.bus = bus_create(1024);
    house.engine = rpc_engine_create(1);
    house.registry = registry_create(house.bus, house.engine);
    house.streams = logstreams_create(house.config, house.registry, on_event, NULL);
    assert_int_equal(rpc_engine_start(house.engine), CESID_OK);
    assert_int_equal(logstreams_start(house.streams), CESID_OK);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/RPC2", peer.port);
    assert_int_equal(registry_add(house.registry, &node, false, NULL), CESID_OK);
}

static inline void house_close(void)
{
    assert_int_equal(logstreams_count(house.streams), 0);
    logstreams_stop(house.streams);
    rpc_engine_stop(house.engine);
    assert_false(seen.disorder);
    logstreams_destroy(&house.streams);
    registry_destroy(&house.registry);
    rpc_engine_destroy(&house.engine);
    bus_destroy(&house.bus);
    config_box_destroy(&house.config);
    strbuf_destroy(&seen.text);
    cond_destroy(&seen.changed);
    lock_destroy(&seen.lock);
    peer_stop();
}

static inline struct event *watch(uint64_t *after)
{
    struct event *tail = NULL;

    assert_int_equal(logstreams_watch(house.streams, TOPIC, &tail, after), CESID_OK);
    return tail;
}

/* Of the log as it is now, and not cut: the tail of the one before is open until its reader hears
 * of it, and one that was cut until its thread does. */
static inline bool tail_is_open(void *argument)
{
    bool open;

    (void) argument;
    lock_acquire(&peer.lock);
    open = peer.tails == 1 && peer.tailed == peer.file && peer.uncut == peer.cut;
    lock_release(&peer.lock);
    return open;
}

static inline bool no_tail(void *argument)
{
    bool none;

    (void) argument;
    lock_acquire(&peer.lock);
    none = peer.tails == 0;
    lock_release(&peer.lock);
    return none;
}

/* What readers saw is the log from the first offset on. */
static inline void assert_exact(void)
{
    char *text;
    int64_t first, missing;
    size_t length;

    lock_acquire(&seen.lock);
    text = mem_bytes(seen.text.data, seen.text.length);
    length = seen.text.length;
    first = seen.first;
    missing = seen.missing;
    lock_release(&seen.lock);
    assert_int_equal(missing, 0);
    lock_acquire(&peer.lock);
    assert_int_equal((size_t) first + length, peer.log.length);
    assert_memory_equal(peer.log.data + first, text, length);
    lock_release(&peer.lock);
    free(text);
}

#endif
