/*
 * For load on the hub: the real server, store and hub in one process, and a second process (forked
 * before the first thread) that plays the clients. What is published is the test's to say.
 */
#ifndef CESID_LOAD_HOUSE_H
#define CESID_LOAD_HOUSE_H

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define LOAD_COUNTS_MEMORY 1
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#define LOAD_COUNTS_MEMORY 0 /* other allocators take what they keep for a thread for used */
#endif

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/server.h"
#include "cesid/strbuf.h"

/* What the process of the clients is told when the server is there. */
struct invitation {
    int port;
    char token[1000];
};

struct load_house {
    char folder[64];
    struct config_box *config;
    struct store *store;
    struct auth *auth;
    struct session *session;
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct hub *hub;
    struct logstreams *logstreams;
    struct server *server;
    struct invitation invitation;
};

static inline void load_descriptors(void)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    signal(SIGPIPE, SIG_IGN);
}

static inline void load_pause(long milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

    nanosleep(&time, NULL);
}

/* A figure of /proc/self/status, as "VmRSS:" (in KiB) or "Threads:". */
static inline long load_status(const char *name)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];
    long value = -1;

    CHECK(file != NULL);
    while (fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    fclose(file);
    return value;
}

/* KiB that malloc() has given out and not got back. */
static inline long load_allocated(void)
{
#if LOAD_COUNTS_MEMORY
    return (long) (__sanitizer_get_current_allocated_bytes() / 1024);
#else
    return 0;
#endif
}

static inline int load_open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 3;
}

static inline void load_add_node(struct load_house *house, const char *name)
{
    struct config_node node = {.name = (char *) name,
                               .environment = (char *) "load",
                               .url = (char *) "http://127.0.0.1:1/RPC2",
                               .username = (char *) "",
                               .ca_file = (char *) "",
                               .verify = true,
                               .enabled = true};

    CHECK(registry_add(house->registry, &node, false, NULL) == CESID_OK);
}

static inline void load_configure(struct load_house *house, int port, const char *websocket)
{
    struct config_problems problems;
    struct config *config;
    char file[100];
    FILE *out;

    snprintf(house->folder, sizeof(house->folder), "/tmp/cesid-load-XXXXXX");
    CHECK(mkdtemp(house->folder) != NULL);
    snprintf(file, sizeof(file), "%s/cesid.conf", house->folder);
    out = fopen(file, "we");
    CHECK(out != NULL && fchmod(fileno(out), 0600) == 0);
    fprintf(out,
            "server: { listen = \"127.0.0.1:%d\"; state_dir = \"%s\"; threads = 16;\n"
            "          connections_per_address = 100000; };\n"
            "store: { path = \"%s/cesid.db\"; };\nwebsocket: { %s };\n",
            port, house->folder, house->folder, websocket);
    fclose(out);
    if (config_load(file, &config, &problems) != CESID_OK) {
        fprintf(stderr, "%s: %s\n", problems.items[0].key, problems.items[0].message);
        abort();
    }
    config_problems_free(&problems);
    house->config = config_box_create(config);
}

static inline void load_sign_in(struct load_house *house)
{
    struct strbuf token;
    char file[100], password[200] = "";
    double retry;
    FILE *in;

    snprintf(file, sizeof(file), "%s/initial-admin-password", house->folder);
    in = fopen(file, "re");
    CHECK(in != NULL && fgets(password, sizeof(password), in) != NULL);
    fclose(in);
    password[strcspn(password, "\n")] = '\0';
    strbuf_init(&token, sizeof(house->invitation.token) - 1);
    CHECK(auth_login(house->auth, "admin", password, "127.0.0.1", &token, &house->session,
                     &retry) == CESID_OK);
    CHECK(!strbuf_failed(&token));
    memcpy(house->invitation.token, token.data, token.length + 1);
    strbuf_destroy(&token);
}

static inline void load_open(struct load_house *house, int port, const char *websocket)
{
    struct config *config;
    struct strbuf why;

    load_descriptors();
    log_set_level(NULL, LOG_LEVEL_WARNING);
    load_configure(house, port, websocket);
    config = config_get(house->config);
    strbuf_init(&why, 1000);
    house->server = server_create(house->config);
    if (server_listen(house->server, &why) != CESID_OK ||
        store_open(config, &house->store, &why) != CESID_OK ||
        auth_create(house->config, house->store, &house->auth, &why) != CESID_OK) {
        fprintf(stderr, "%s\n", why.data);
        abort();
    }
    strbuf_destroy(&why);
    config_unref(&config);
    load_sign_in(house);
    house->bus = bus_create(65536);
    house->engine = rpc_engine_create(1);
    house->registry = registry_create(house->bus, house->engine);
    house->hub = hub_create(house->config, house->registry, house->auth);
    house->logstreams = logstreams_create(house->config, house->registry, hub_sink, house->hub);
    hub_attach_logstreams(house->hub, house->logstreams);
    bus_add_sink(house->bus, hub_sink, house->hub);
    CHECK(bus_start(house->bus) == CESID_OK && rpc_engine_start(house->engine) == CESID_OK &&
          hub_start(house->hub) == CESID_OK && logstreams_start(house->logstreams) == CESID_OK);
    server_open(house->server, &(struct server_context){.config = house->config,
                                                        .store = house->store,
                                                        .auth = house->auth,
                                                        .bus = house->bus,
                                                        .engine = house->engine,
                                                        .registry = house->registry,
                                                        .hub = house->hub,
                                                        .logstreams = house->logstreams,
                                                        .version = "load",
                                                        .revision = "load"});
    house->invitation.port = server_port(house->server);
}

static inline int load_remove(const char *path, const struct stat *info, int type,
                              struct FTW *position)
{
    (void) info;
    (void) type;
    (void) position;
    return remove(path);
}

static inline void load_close(struct load_house *house)
{
    server_refuse(house->server);
    hub_stop(house->hub);
    server_drain(house->server, clock_after(5));
    server_stop(house->server);
    logstreams_stop(house->logstreams);
    rpc_engine_stop(house->engine);
    bus_stop(house->bus);
    server_destroy(&house->server);
    hub_destroy(&house->hub);
    logstreams_destroy(&house->logstreams);
    registry_destroy(&house->registry);
    rpc_engine_destroy(&house->engine);
    bus_destroy(&house->bus);
    session_unref(&house->session);
    auth_destroy(&house->auth);
    store_close(&house->store);
    config_box_destroy(&house->config);
    nftw(house->folder, load_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- in the process of the clients ---- */

/* A connected socket, blocking; -1 when it is refused. */
static inline int load_connect(const struct invitation *invitation, int receive_buffer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) invitation->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    if (receive_buffer > 0)
        (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline bool load_send(int fd, const void *data, size_t length)
{
    const char *at = data;

    while (length > 0) {
        ssize_t sent = send(fd, at, length, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t) sent;
    }
    return true;
}

static inline bool load_ask(int fd, const struct invitation *invitation)
{
    char text[2000];
    int length = snprintf(text, sizeof(text),
                          "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                          "Authorization: Bearer %s\r\n\r\n",
                          invitation->token);

    return load_send(fd, text, (size_t) length);
}

/* Reads the answer up to its empty line; whether it is the upgrade. */
static inline bool load_upgraded(int fd)
{
    char text[2000];
    size_t length = 0;

    while (length < sizeof(text) - 1) {
        if (recv(fd, text + length, 1, 0) != 1)
            return false;
        text[++length] = '\0';
        if (length >= 4 && memcmp(text + length - 4, "\r\n\r\n", 4) == 0)
            return strncmp(text, "HTTP/1.1 101 ", 13) == 0;
    }
    return false;
}

/* One masked frame of less than 64 KiB. */
static inline bool load_frame(int fd, int first_byte, const char *data, size_t length)
{
    unsigned char head[8] = {(unsigned char) first_byte};
    size_t size = 2;

    CHECK(length < 65536);
    if (length < 126) {
        head[1] = (unsigned char) (0x80 | length);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (unsigned char) (length >> 8);
        head[3] = (unsigned char) length;
        size = 4;
    }
    memset(head + size, 0, 4); /* a mask that changes nothing */
    return load_send(fd, head, size + 4) && load_send(fd, data, length);
}

static inline bool load_say(int fd, const char *text)
{
    return load_frame(fd, 0x81, text, strlen(text));
}

#endif
