/*
 * A hub for tests: real bus, registry and configuration, sessions and log streams that the test
 * rules over, and peers on socket pairs that speak frames. The test's main thread plays CivetWeb's
 * workers.
 */
#ifndef CESID_TESTS_HUB_HOUSE_H
#define CESID_TESTS_HUB_HOUSE_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cjson/cJSON.h>

#include "cesid/bus.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/hub.h"
#include "cesid/lock.h"
#include "cesid/logstream.h"
#include "cesid/memory.h"
#include "cesid/registry.h"
#include "cesid/strbuf.h"

#define PATIENCE_MS 10000

/* Stands in for src/domain/auth.c: one session is on record, or none. */
struct auth {
    struct lock lock;
    struct session *current;
};

struct session *auth_session_current(struct auth *auth, const struct session *session)
{
    struct session *now = NULL;

    lock_acquire(&auth->lock);
    if (auth->current != NULL && strcmp(auth->current->id, session->id) == 0)
        now = session_ref(auth->current);
    lock_release(&auth->lock);
    return now;
}

static inline void auth_set(struct auth *auth, struct session *session)
{
    struct session *old;

    lock_acquire(&auth->lock);
    old = auth->current;
    auth->current = session;
    lock_release(&auth->lock);
    session_unref(&old);
}

static inline struct session *make_session(const char *environment, uint32_t permissions)
{
    struct access_binding binding = {environment, permissions};
    struct user user = {.username = mem_string("vera"),
                        .full_name = mem_string(""),
                        .email = mem_string(""),
                        .active = true};

    return session_create("00112233445566778899aabbccddeeff", "c", clock_wall() + 3600000, &user,
                          access_create(&binding, 1));
}

/* Stands in for src/service/logstream.c: counts watchers and hands out one tail. */
struct logstreams {
    int watchers; /* atomic */
    struct event *tail;
    void (*meanwhile)(void); /* called while the tail is being made */
};

int logstreams_watch(struct logstreams *streams, const char *topic, struct event **tail,
                     uint64_t *after)
{
    (void) topic;
    __atomic_add_fetch(&streams->watchers, 1, __ATOMIC_RELAXED);
    *tail = streams->tail == NULL ? NULL : event_ref(streams->tail);
    *after = streams->tail == NULL ? 0 : streams->tail->number;
    if (streams->meanwhile != NULL)
        streams->meanwhile();
    return CESID_OK;
}

void logstreams_unwatch(struct logstreams *streams, const char *topic)
{
    (void) topic;
    __atomic_sub_fetch(&streams->watchers, 1, __ATOMIC_RELAXED);
}

struct house {
    struct config_box *config;
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct auth auth;
    struct session *session;
    struct logstreams streams;
    struct hub *hub;
};

static struct house house;

/* Waits until the hub has had all that was published. */
static inline void house_settle(void)
{
    struct hub_client *client;
    struct event *event;
    bool settled = false;
    uint64_t seq;

    assert_int_equal(hub_add_pull(house.hub, house.session, &client), CESID_OK);
    assert_int_equal(hub_subscribe(client, "operations"), CESID_OK);
    bus_publish(house.bus, event_create(EVENT_OPERATION, PROCESS_READ, "*", NULL, "{}", 2));
    while (!settled) {
        assert_int_equal(hub_take(client, clock_after(10), &event, &seq), CESID_OK);
        assert_non_null(event);
        settled = event->type == EVENT_OPERATION;
        event_unref(&event);
    }
    hub_client_gone(&client);
}

static inline void house_add_node(const char *name, const char *environment)
{
    struct config_node node = {.name = (char *) name,
                               .environment = (char *) environment,
                               .url = (char *) "http://127.0.0.1:1/RPC2",
                               .username = (char *) "",
                               .ca_file = (char *) "",
                               .verify = true,
                               .enabled = true};

    assert_int_equal(registry_add(house.registry, &node, false, NULL), CESID_OK);
    house_settle();
}

/* settings: of the section websocket. */
static inline void house_open(const char *settings)
{
    char file[] = "/tmp/cesid-hub-XXXXXX";
    int fd = mkstemp(file);
    struct config_problems problems;
    struct config *config;
    struct strbuf text;

    assert_true(fd >= 0);
    strbuf_init(&text, 10000);
    strbuf_printf(&text, "websocket: { %s };\n", settings);
    assert_int_equal(write(fd, text.data, text.length), text.length);
    close(fd);
    strbuf_destroy(&text);
    assert_int_equal(config_load(file, &config, &problems), CESID_OK);
    config_problems_free(&problems);
    unlink(file);

    memset(&house, 0, sizeof(house));
    house.config = config_box_create(config);
    house.bus = bus_create(65536);
    house.engine = rpc_engine_create(1);
    house.registry = registry_create(house.bus, house.engine);
    lock_init(&house.auth.lock, LOCK_AUTH);
    house.session = make_session("*", PERMISSIONS_ALL);
    auth_set(&house.auth, session_ref(house.session));
    house.hub = hub_create(house.config, house.registry, &house.auth);
    hub_attach_logstreams(house.hub, &house.streams);
    bus_add_sink(house.bus, hub_sink, house.hub);
    assert_int_equal(bus_start(house.bus), CESID_OK);
    assert_int_equal(hub_start(house.hub), CESID_OK);
}

static inline void house_close(void)
{
    hub_stop(house.hub);
    bus_stop(house.bus);
    assert_int_equal(hub_clients(house.hub), 0);
    assert_int_equal(house.streams.watchers, 0);
    registry_destroy(&house.registry);
    rpc_engine_destroy(&house.engine);
    hub_destroy(&house.hub);
    bus_destroy(&house.bus);
    event_unref(&house.streams.tail);
    auth_set(&house.auth, NULL);
    session_unref(&house.session);
    lock_destroy(&house.auth.lock);
    config_box_destroy(&house.config);
}

/* A node event with a number that tests recognize, in an environment. */
static inline void house_tell(const char *node, const char *environment, int number)
{
    char data[128];
    int length = snprintf(data, sizeof(data), "{\"name\":\"%s\",\"n\":%d}", node, number);

    bus_publish(house.bus,
                event_create(EVENT_NODE, NODE_READ, environment, node, data, (size_t) length));
}

/* A peer: the far end of a client's socket. */
struct peer {
    struct hub_client *client;
    int near, far; /* the hub's end, ours */
    char *bytes;
    size_t length, capacity;
    uint64_t seq;
    int pings;
    bool deaf; /* does not answer pings */
};

struct frame {
    int opcode;
    char *payload; /* NUL-terminated; freed by the caller */
    size_t length;
};

static inline int peer_try(struct peer *peer, int send_buffer)
{
    int ends[2];
    int error;

    memset(peer, 0, sizeof(*peer));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer->near = ends[0];
    peer->far = ends[1];
    if (send_buffer > 0)
        assert_int_equal(
            setsockopt(peer->near, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer)), 0);
    error = hub_add_socket(house.hub, peer->near, house.session, &peer->client);
    if (error != CESID_OK) {
        close(peer->near);
        close(peer->far);
    }
    return error;
}

static inline void peer_open(struct peer *peer)
{
    assert_int_equal(peer_try(peer, 0), CESID_OK);
}

/* The worker leaves and the connection closes. */
static inline void peer_leave(struct peer *peer)
{
    hub_client_gone(&peer->client);
    close(peer->near);
    close(peer->far);
    free(peer->bytes);
    peer->bytes = NULL;
}

static inline bool peer_says_frame(struct peer *peer, int first_byte, const char *data,
                                   size_t length)
{
    return hub_client_received(peer->client, first_byte, data, length);
}

static inline void peer_says(struct peer *peer, const char *text)
{
    assert_true(peer_says_frame(peer, 0x81, text, strlen(text)));
}

/* Reads what is there, waits for more if nothing is; false at the end of the stream. */
static inline bool peer_fill(struct peer *peer, int milliseconds)
{
    struct pollfd wanted = {.fd = peer->far, .events = POLLIN};
    ssize_t got;

    if (poll(&wanted, 1, milliseconds) <= 0)
        fail_msg("nothing came within %d ms", milliseconds);
    if (peer->capacity - peer->length < 65536) {
        peer->capacity = peer->capacity * 2 + 65536;
        peer->bytes = realloc(peer->bytes, peer->capacity);
        assert_non_null(peer->bytes);
    }
    got = recv(peer->far, peer->bytes + peer->length, peer->capacity - peer->length, 0);
    if (got < 0 && errno == ECONNRESET)
        got = 0;
    assert_true(got >= 0);
    peer->length += (size_t) got;
    return got > 0;
}

/* Cuts one frame off what was read; false when there is no whole one. */
static inline bool peer_cut(struct peer *peer, struct frame *frame)
{
    const unsigned char *bytes = (const unsigned char *) peer->bytes;
    size_t header = 2, length;

    if (peer->length < 2)
        return false;
    assert_int_equal(bytes[0] & 0x70, 0);
    assert_int_equal(bytes[1] & 0x80, 0); /* a server does not mask */
    length = bytes[1];
    if (length >= 126) {
        size_t wide = length == 126 ? 2 : 8;

        if (peer->length < 2 + wide)
            return false;
        header += wide;
        length = 0;
        for (size_t i = 0; i < wide; i++)
            length = length << 8 | bytes[2 + i];
    }
    if (peer->length < header + length)
        return false;
    frame->opcode = bytes[0] & 0x0F;
    frame->length = length;
    frame->payload = malloc(length + 1);
    assert_non_null(frame->payload);
    memcpy(frame->payload, bytes + header, length);
    frame->payload[length] = '\0';
    peer->length -= header + length;
    memmove(peer->bytes, peer->bytes + header + length, peer->length);
    return true;
}

/* The next frame; false at the end of the stream. Pings are answered and counted. */
static inline bool peer_frame(struct peer *peer, struct frame *frame)
{
    for (;;) {
        while (!peer_cut(peer, frame))
            if (!peer_fill(peer, PATIENCE_MS))
                return false;
        if (frame->opcode != 9)
            return true;
        peer->pings++;
        if (!peer->deaf)
            assert_true(peer_says_frame(peer, 0x8A, frame->payload, frame->length));
        free(frame->payload);
    }
}

/* The next message, which must have the next seq. The caller deletes it. */
static inline cJSON *peer_message(struct peer *peer)
{
    struct frame frame = {0};
    cJSON *message;

    assert_true(peer_frame(peer, &frame));
    if (frame.opcode != 1)
        fail_msg("a frame of opcode %d where a message was expected", frame.opcode);
    message = cJSON_Parse(frame.payload);
    assert_non_null(message);
    peer->seq++;
    assert_int_equal(cJSON_GetObjectItem(message, "seq")->valueint, peer->seq);
    free(frame.payload);
    return message;
}

static inline const char *type_of(const cJSON *message)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(message, "type"));
}

static inline const cJSON *data_of(const cJSON *message, const char *key)
{
    return cJSON_GetObjectItem(cJSON_GetObjectItem(message, "data"), key);
}

static inline void peer_expect(struct peer *peer, const char *type)
{
    cJSON *message = peer_message(peer);

    assert_string_equal(type_of(message), type);
    cJSON_Delete(message);
}

/* The next message must be that event of house_tell. */
static inline void peer_expect_number(struct peer *peer, int number)
{
    cJSON *message = peer_message(peer);

    assert_string_equal(type_of(message), "node");
    assert_int_equal(data_of(message, "n")->valueint, number);
    cJSON_Delete(message);
}

static inline void peer_expect_error(struct peer *peer, const char *code)
{
    cJSON *message = peer_message(peer);

    assert_string_equal(type_of(message), "error");
    assert_string_equal(cJSON_GetStringValue(data_of(message, "code")), code);
    cJSON_Delete(message);
}

/* Skips messages until the close frame, which must have that code, and the end of the stream. */
static inline void peer_expect_close(struct peer *peer, int code)
{
    struct frame frame = {0};
    bool open;

    while ((open = peer_frame(peer, &frame)) && frame.opcode != 8)
        free(frame.payload);
    assert_true(open);
    assert_true(frame.length >= 2);
    assert_int_equal((unsigned char) frame.payload[0] << 8 | (unsigned char) frame.payload[1],
                     code);
    free(frame.payload);
    assert_false(peer_frame(peer, &frame));
}

/* Opens, takes hello, subscribes and takes the snapshot. */
static inline void peer_watch_fleet(struct peer *peer)
{
    peer_expect(peer, "hello");
    peer_says(peer, "{\"type\":\"subscribe\",\"topics\":[\"fleet\"]}");
    peer_expect(peer, "snapshot");
}

static inline bool no_clients(void *hub)
{
    return hub_clients(hub) == 0;
}

#endif
