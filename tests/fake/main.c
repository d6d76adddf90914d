/*
 * fake-supervisord: options, listeners and the loop. It prints one line of JSON when it is ready:
 * {"control": PORT, "nodes": N}.
 *
 *   --nodes N         how many (1)
 *   --processes N     of each node (20)
 *   --group-size N    processes a group (1: each is its own group)
 *   --unix DIR        node I listens on DIR/I.sock
 *   --tcp FIRST:COUNT node I listens on port FIRST + I % COUNT of 127.0.(I / COUNT).1
 *   --auth USER:PASSWORD
 *   --control PORT    the control port on 127.0.0.1 (0: any)
 */
#include "fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct fake fake = {.nodes = 1, .processes = 20, .group_size = 1};

static void die(const char *what)
{
    fprintf(stderr, "fake-supervisord: %s: %s\n", what, strerror(errno));
    exit(1);
}

void fake_watch(int fd, struct watched *watched, uint32_t events, bool known)
{
    struct epoll_event event = {.events = events, .data.ptr = watched};

    if (epoll_ctl(fake.epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void listener_ready(struct watched *self, uint32_t events)
{
    (void) events;
    connection_accept((struct listener *) self);
}

static int listen_unix(int index)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/%d.sock", fake.unix_directory, index);
    unlink(address.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        die(address.sun_path);
    return fd;
}

static int listen_tcp(int index)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    address.sin_port = htons((uint16_t) (fake.first_port + index % fake.ports));
    address.sin_addr.s_addr = htonl(0x7f000001u + ((uint32_t) (index / fake.ports) << 8));
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        die("bind");
    return fd;
}

/* Also takes up again what fake_unlisten() left open. */
void fake_listen(struct node *node)
{
    for (int i = 0; i < 2; i++) {
        struct listener *listener = &node->listeners[i];

        listener->tcp = i == 1;
        listener->watched.ready = listener_ready;
        if (listener->tcp ? fake.ports == 0 : fake.unix_directory == NULL)
            continue;
        if (listener->fd < 0) {
            listener->fd = listener->tcp ? listen_tcp(node->index) : listen_unix(node->index);
            if (listen(listener->fd, 128) < 0)
                die("listen");
            fake_watch(listener->fd, &listener->watched, EPOLLIN, false);
        } else {
            fake_watch(listener->fd, &listener->watched, EPOLLIN, true);
        }
    }
}

void fake_unlisten(struct node *node, bool close_listeners)
{
    for (int i = 0; i < 2; i++) {
        struct listener *listener = &node->listeners[i];

        if (listener->fd < 0)
            continue;
        if (close_listeners) {
            close(listener->fd);
            listener->fd = -1;
        } else {
            fake_watch(listener->fd, &listener->watched, 0, true);
        }
    }
}

static double read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

static void read_clocks(void)
{
    fake.now = read_clock(CLOCK_REALTIME);
    fake.monotonic = read_clock(CLOCK_MONOTONIC);
}

static void loop(void)
{
    double next_tick = 0;

    while (!fake.quit) {
        struct epoll_event events[256];
        int count = epoll_wait(fake.epoll, events, 256, connection_ticking() ? 20 : -1);

        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        read_clocks();
        for (int i = 0; i < count; i++) {
            struct watched *watched = events[i].data.ptr;

            watched->ready(watched, events[i].events);
        }
        if (fake.monotonic >= next_tick && connection_ticking()) {
            next_tick = fake.monotonic + 0.015;
            connection_tick();
        }
        connection_bury();
    }
}

static int number(const char *text, long low, long high)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (end == text || *end != '\0' || value < low || value > high) {
        fprintf(stderr, "fake-supervisord: %s is not %ld to %ld\n", text, low, high);
        exit(2);
    }
    return (int) value;
}

static void basic_auth(const char *secret)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buffer out = {0};
    size_t length = strlen(secret);

    buffer_puts(&out, "Basic ");
    for (size_t i = 0; i < length; i += 3) {
        uint32_t bits = 0;
        char quad[4];

        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (i + j < length ? (unsigned char) secret[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            quad[j] = i + j <= length ? digits[bits >> (18 - 6 * j) & 63] : '=';
        buffer_add(&out, quad, sizeof(quad));
    }
    buffer_add(&out, "", 1);
    fake.auth = out.data;
}

static int read_options(int argc, char **argv)
{
    static const struct option options[] = {
        {"nodes", required_argument, NULL, 'n'},      {"processes", required_argument, NULL, 'p'},
        {"group-size", required_argument, NULL, 'g'}, {"unix", required_argument, NULL, 'u'},
        {"tcp", required_argument, NULL, 't'},        {"auth", required_argument, NULL, 'a'},
        {"control", required_argument, NULL, 'c'},    {NULL, 0, NULL, 0}};
    int control = 0, option;
    char *colon;

    while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        switch (option) {
        case 'n':
            fake.nodes = number(optarg, 1, 20000);
            break;
        case 'p':
            fake.processes = number(optarg, 0, 9999);
            break;
        case 'g':
            fake.group_size = number(optarg, 1, 9999);
            break;
        case 'u':
            fake.unix_directory = optarg;
            break;
        case 't':
            colon = strchr(optarg, ':');
            if (colon == NULL)
                exit(2);
            *colon = '\0';
            fake.first_port = number(optarg, 1024, 65535);
            fake.ports = number(colon + 1, 1, 65536 - fake.first_port);
            break;
        case 'a':
            basic_auth(optarg);
            break;
        case 'c':
            control = number(optarg, 0, 65535);
            break;
        default:
            exit(2);
        }
    }
    if (optind != argc || (fake.unix_directory == NULL && fake.ports == 0)) {
        fprintf(stderr, "usage: fake-supervisord --unix DIR | --tcp FIRST:COUNT [--nodes N] …\n");
        exit(2);
    }
    return control;
}

int main(int argc, char **argv)
{
    int control = read_options(argc, argv);
    struct rlimit files;

    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    read_clocks();
    fake.epoll = epoll_create1(EPOLL_CLOEXEC);
    fake.groups = (fake.processes + fake.group_size - 1) / fake.group_size;
    fake.node = fake_alloc((size_t) fake.nodes, sizeof(struct node));
    for (int i = 0; i < fake.nodes; i++) {
        node_init(&fake.node[i], i);
        fake_listen(&fake.node[i]);
    }
    control = control_open(control);
    printf("{\"control\": %d, \"nodes\": %d}\n", control, fake.nodes);
    fflush(stdout);
    loop();
    return 0;
}
