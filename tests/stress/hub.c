/*
 * Hundreds of clients that connect, subscribe, shout nonsense, stall and vanish while events, logs
 * and changes of the fleet are broadcast; then nothing of them may be left. Meant for the
 * sanitizers.
 *
 *   build/stress/hub [SECONDS [CLIENTS]]
 *
 * Steady clients read all the time and insist on a gapless seq; that they are neither closed nor
 * starved shows that the others harm nobody.
 */
#include <poll.h>

#include "../load/house.h"
#include "cesid/thread.h"

#define PORT    29910
#define STEADY  10
#define HISTORY 4096 /* KiB: the latest events, which the hub keeps for those who come back */
#define ANSWERS 30.0 /* seconds that a steady client waits for a message, at most */

/* ---- the clients' process: one thread, so that it is small under a sanitizer too ---- */

enum habit { READS, STALLS, SHOUTS, PIECES, RESETS, HALF_OPEN, SAYS_BYE, SWAMPS, HABITS };

struct client {
    int fd; /* -1: none */
    enum habit habit;
    bool upgraded;
    int64_t until; /* when it does what its habit ends with */
    unsigned long seq;
    int64_t heard_at;
    size_t length;
    char bytes[70000];
};

static struct invitation invitation;
static unsigned long connected, refused, messages;
static unsigned long by_habit[HABITS];

static unsigned dice(unsigned sides)
{
    return (unsigned) random() % sides;
}

static void failed(const char *why)
{
    fprintf(stderr, "a steady client: %s\n", why);
    _exit(1);
}

static void drop(struct client *client, bool reset)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (client->fd < 0)
        return;
    if (reset)
        (void) setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(client->fd);
    client->fd = -1;
}

static void greet(struct client *client)
{
    static const char *const subscriptions[] = {
        "{\"type\":\"subscribe\",\"topics\":[\"fleet\"]}",
        "{\"type\":\"subscribe\",\"topics\":[\"fleet\",\"operations\"]}",
        "{\"type\":\"subscribe\",\"topics\":[\"node:n1\",\"node:n2\",\"nonsense\"]}",
        "{\"type\":\"subscribe\",\"topics\":[\"log:n1:g:p:stdout\",\"log:n2:g:p:stderr\"]}",
    };
    bool steady = client->habit == READS;

    connected++;
    by_habit[client->habit]++;
    (void) load_say(client->fd, subscriptions[steady ? 0 : dice(4)]);
    if (client->habit == PIECES) {
        (void) load_frame(client->fd, 0x01, "{\"ty", 4);
        (void) load_frame(client->fd, 0x89, "knock", 5);
        (void) load_frame(client->fd, 0x00, "pe\":\"pi", 7);
        (void) load_frame(client->fd, 0x80, "ng\"}", 4);
    }
    if (client->habit == SWAMPS) {
        static char much[60000];

        (void) load_frame(client->fd, 0x81, much, sizeof(much));
        for (int i = 0; i < 60; i++)
            (void) load_say(client->fd, "{\"type\":\"subscribe\",\"topics\":[\"fleet\"]}");
    }
}

static void begin(struct client *client, enum habit habit)
{
    *client = (struct client){.fd = load_connect(&invitation, habit == STALLS ? 2048 : 0),
                              .habit = habit,
                              .until = clock_after((1 + dice(2000)) / 1000.0),
                              .heard_at = clock_now()};
    if (client->fd < 0)
        return;
    (void) fcntl(client->fd, F_SETFL, O_NONBLOCK);
    if (!load_ask(client->fd, &invitation))
        drop(client, false);
}

static void finish(struct client *client)
{
    char noise[3000];

    switch (client->habit) {
    case SHOUTS:
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (char) dice(256);
        (void) send(client->fd, noise, 1 + dice(sizeof(noise)), MSG_NOSIGNAL | MSG_DONTWAIT);
        drop(client, false);
        break;
    case RESETS:
        drop(client, true);
        break;
    case SAYS_BYE:
        (void) load_frame(client->fd, 0x88, "\x03\xE8", 2);
        drop(client, false);
        break;
    case HALF_OPEN: /* neither reads nor answers nor closes: the server has to find out */
    case STALLS:
        client->until = CLOCK_NEVER;
        break;
    default:
        drop(client, dice(2) == 0);
    }
}

static void take_frame(struct client *client, int opcode, char *text, size_t length)
{
    char saved = text[length];

    text[length] = '\0';
    client->heard_at = clock_now();
    if (opcode == 1) {
        messages++;
        if (strtoul(text + sizeof("{\"seq\":") - 1, NULL, 10) != ++client->seq)
            failed("a gap in seq");
    } else if (opcode == 9) {
        (void) load_frame(client->fd, 0x8A, text, length);
    } else if (opcode == 8 && client->habit == READS) {
        failed("was closed");
    }
    text[length] = saved;
}

static void take_all(struct client *client)
{
    size_t at = 0;

    if (!client->upgraded) {
        char *end;

        client->bytes[client->length] = '\0';
        end = strstr(client->bytes, "\r\n\r\n");
        if (end == NULL)
            return;
        if (strncmp(client->bytes, "HTTP/1.1 101 ", 13) != 0) {
            refused++;
            if (client->habit == READS)
                failed("was refused");
            drop(client, false);
            return;
        }
        at = (size_t) (end - client->bytes) + 4;
        client->upgraded = true;
        greet(client);
    }
    for (;;) {
        unsigned char *bytes = (unsigned char *) client->bytes + at;
        size_t left = client->length - at, header = 2, length;

        if (left < 4)
            break;
        length = bytes[1];
        if (length == 126) {
            header = 4;
            length = (size_t) bytes[2] << 8 | bytes[3];
        }
        if (length == 127 || left < header + length)
            break;
        take_frame(client, bytes[0] & 0x0F, (char *) bytes + header, length);
        at += header + length;
    }
    client->length -= at;
    memmove(client->bytes, client->bytes + at, client->length);
}

static void read_some(struct client *client)
{
    ssize_t got = recv(client->fd, client->bytes + client->length,
                       sizeof(client->bytes) - 1 - client->length, MSG_DONTWAIT);

    if (got > 0) {
        client->length += (size_t) got;
        take_all(client);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        if (client->habit == READS)
            failed("lost its connection");
        drop(client, false);
    }
}

static void live(struct client *client, bool steady)
{
    bool reads = client->habit != STALLS && client->habit != HALF_OPEN;

    if (client->fd < 0) {
        begin(client, steady ? READS : (enum habit)(1 + dice(HABITS - 1)));
        return;
    }
    if (reads || !client->upgraded)
        read_some(client);
    if (steady && clock_seconds_since(client->heard_at) > ANSWERS)
        failed("heard nothing");
    if (!steady && client->fd >= 0 && client->upgraded && clock_now() > client->until)
        finish(client);
    /* What only waits to be found out is given up after a while, as the server's places are few. */
    if (!reads && client->fd >= 0 && clock_seconds_since(client->heard_at) > 8)
        drop(client, false);
}

static void play_clients(int invitations, int stop, double seconds, int count)
{
    struct client *clients;
    int64_t end;
    struct pollfd stopped = {.fd = stop, .events = POLLIN};

    load_descriptors();
    if (read(invitations, &invitation, sizeof(invitation)) != sizeof(invitation))
        _exit(1);
    clients = mem_array((size_t) count, sizeof(clients[0]));
    for (int i = 0; i < count; i++)
        clients[i].fd = -1;
    end = clock_after(seconds);
    while (clock_now() < end && poll(&stopped, 1, 0) == 0) {
        for (int i = 0; i < count; i++)
            live(&clients[i], i < STEADY);
        load_pause(2);
    }
    for (int i = 0; i < count; i++)
        drop(&clients[i], dice(2) == 0);
    printf("%lu clients came, %lu were refused, %lu messages were read\n", connected, refused,
           messages);
    if (connected < (unsigned long) count || messages == 0) {
        fprintf(stderr, "the clients did not do much\n");
        _exit(1);
    }
    fflush(stdout);
    _exit(0);
}

/* ---- the publishers ---- */

struct storm {
    struct load_house *house;
    bool ended; /* atomic */
};

static bool blows(struct storm *storm)
{
    return !__atomic_load_n(&storm->ended, __ATOMIC_RELAXED);
}

static void tell_events(void *argument)
{
    struct storm *storm = argument;

    for (unsigned i = 0; blows(storm); i++) {
        char node[8], data[64];
        int length = snprintf(data, sizeof(data), "{\"i\":%u}", i);

        snprintf(node, sizeof(node), "n%u", i % 4);
        bus_publish(storm->house->bus,
                    event_create(i % 8 == 0 ? EVENT_OPERATION : EVENT_PROCESS, PROCESS_READ, "load",
                                 node, data, (size_t) length));
        if (i % 20 == 0)
            load_pause(5);
    }
}

static void tell_logs(void *argument)
{
    struct storm *storm = argument;
    char data[600];

    memset(data, 'x', sizeof(data));
    data[0] = data[sizeof(data) - 1] = '"';
    for (uint64_t i = 1; blows(storm); i++) {
        struct event *event = event_create(EVENT_LOG, LOG_READ, "load", "n1", data, sizeof(data));

        event->topic = mem_string("log:n1:g:p:stdout");
        event->number = UINT64_C(1) << 60 | i;
        hub_publish(storm->house->hub, event);
        event_unref(&event);
        load_pause(2);
    }
}

/* Nodes come and go, the sender's settings change. */
static void change_fleet(void *argument)
{
    struct storm *storm = argument;

    while (blows(storm)) {
        load_add_node(storm->house, "passing");
        load_pause(20);
        CHECK(registry_remove(storm->house->registry, "passing") == CESID_OK);
        load_pause(20);
    }
}

static bool settled(struct load_house *house, int files, double seconds)
{
    struct server_figures figures;
    int64_t deadline = clock_after(seconds);

    for (;;) {
        server_figures(house->server, &figures);
        if (hub_clients(house->hub) == 0 && figures.connections == 0 &&
            load_open_files() <= files && logstreams_count(house->logstreams) == 0)
            return true;
        if (clock_now() > deadline)
            break;
        load_pause(20);
    }
    fprintf(stderr, "left: %zu clients, %zu connections, %d files (%d before), %zu log streams\n",
            hub_clients(house->hub), figures.connections, load_open_files(), files,
            logstreams_count(house->logstreams));
    return false;
}

int main(int argc, char **argv)
{
    static void (*const winds[])(void *) = {tell_events, tell_events, tell_logs, change_fleet};
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 15;
    int count = argc > 2 ? (int) strtol(argv[2], NULL, 10) : 200;
    struct load_house house = {0};
    struct storm storm = {.house = &house};
    struct thread threads[ARRAY_LENGTH(winds)] = {0};
    int invitations[2], stops[2], status, files;
    long thread_count, allocated;
    char websocket[200];
    bool good;
    pid_t child;

    if (seconds < 1 || count < 2 * STEADY) {
        fprintf(stderr, "usage: hub [SECONDS [CLIENTS]]\n");
        return 2;
    }
    CHECK(pipe2(invitations, O_CLOEXEC) == 0 && pipe2(stops, O_CLOEXEC) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(invitations[1]);
        close(stops[1]);
        play_clients(invitations[0], stops[0], seconds, count);
    }
    snprintf(websocket, sizeof(websocket),
             "clients = %d; queue = 64; ping_interval = 0.5; idle_timeout = 4.0; rate = 100.0; "
             "burst = 50;",
             count + count / 2);
    load_open(&house, PORT, websocket);
    for (int i = 0; i < 4; i++) {
        char name[8];

        snprintf(name, sizeof(name), "n%d", i);
        load_add_node(&house, name);
    }
    load_pause(300);
    files = load_open_files();
    thread_count = load_status("Threads:");
    allocated = load_allocated();
    CHECK(write(invitations[1], &house.invitation, sizeof(house.invitation)) ==
          sizeof(house.invitation));
    for (size_t i = 0; i < ARRAY_LENGTH(winds); i++)
        CHECK(thread_start(&threads[i], "load", "load", winds[i], &storm) == CESID_OK);
    CHECK(waitpid(child, &status, 0) == child);
    __atomic_store_n(&storm.ended, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < ARRAY_LENGTH(winds); i++)
        thread_join(&threads[i]);

    good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    good = settled(&house, files + 8, 20) && good; /* what an engine keeps for a while */
    if (load_status("Threads:") > thread_count) {
        fprintf(stderr, "threads: %ld before, %ld after\n", thread_count, load_status("Threads:"));
        good = false;
    }
    printf("allocated: %ld KiB before, %ld after\n", allocated, load_allocated());
    if (load_allocated() > allocated + HISTORY)
        good = false;
    load_close(&house);
    printf("%s\n", good ? "nothing is left" : "FAILED");
    return good ? 0 : 1;
}
