/*
 * What the hub costs and how quickly it tells: CLIENTS WebSocket clients on loopback, every tenth
 * of them stalled when asked. Prints one JSON object.
 *
 *   build/bench/hub CLIENTS [STALLED_PERCENT [ROUNDS]]
 *
 * A round is one message of 300 bytes and the wait until the last healthy client has it; a burst is
 * 100 messages at once. Healthy clients insist on every message, in order, with a gapless seq.
 */
#include <sys/epoll.h>

#include "../load/house.h"

#define PORT  29900
#define BURST 100

#define FILLERS    12
#define FILLER     60000
#define DATA_BYTES 230 /* with seq, type and time around it the message has 300 */
#define BUFFER     65536

/* From the clients to the publisher. */
struct report {
    enum { CONNECTED, ALL_HAVE_IT, FIGURE, FAILED } what;
    int index;
    double value;
};

struct client {
    int fd;
    bool stalled;
    int next; /* index of the next message */
    unsigned long seq;
    size_t length;
    char *bytes;
};

static int clients_count, stalled_percent, rounds, bursts;
static size_t healthy;
static struct client *clients;
static float *latencies; /* milliseconds */
static size_t latencies_count;
static int *have; /* by index: how many clients */
static int to_publisher;

static bool is_stalled(int i)
{
    return stalled_percent > 0 && i % (100 / stalled_percent) == 0;
}

static void report(int what, int index, double value)
{
    struct report message = {what, index, value};

    CHECK(write(to_publisher, &message, sizeof(message)) == sizeof(message));
}

static void failed(const char *why, long value)
{
    fprintf(stderr, "a healthy client: %s (%ld)\n", why, value);
    report(FAILED, 0, 0);
    _exit(1);
}

/* One whole message of a healthy client, NUL-terminated. */
static void take(struct client *client, const char *text, int64_t now)
{
    const char *at = strstr(text, "\"i\":");
    int64_t told;
    int index;

    if (strtoul(text + sizeof("{\"seq\":") - 1, NULL, 10) != ++client->seq)
        failed("a gap in seq", (long) client->seq);
    if (strstr(text, "\"type\":\"resync\"") != NULL)
        failed("told to resync", (long) client->seq);
    if (at == NULL)
        return; /* hello, and what registering the nodes told */
    index = (int) strtol(at + 4, NULL, 10);
    told = strtoll(strstr(text, "\"t\":") + 4, NULL, 10);
    if (index != client->next++)
        failed("a message is missing or out of order", index);
    if (index < rounds)
        latencies[latencies_count++] = (float) (now - told) / 1e6F;
    if (++have[index] == (int) healthy)
        report(ALL_HAVE_IT, index, (double) (now - told) / 1e6);
}

static void cut_messages(struct client *client, int64_t now)
{
    size_t at = 0;

    for (;;) {
        unsigned char *bytes = (unsigned char *) client->bytes + at;
        size_t left = client->length - at, header = 2, length;
        unsigned char saved;

        if (left < 4)
            break;
        length = bytes[1];
        if (length == 126) {
            header = 4;
            length = (size_t) bytes[2] << 8 | bytes[3];
        }
        if (left < header + length)
            break;
        saved = bytes[header + length];
        bytes[header + length] = '\0';
        if ((bytes[0] & 0x0F) == 1)
            take(client, (char *) bytes + header, now);
        else if ((bytes[0] & 0x0F) == 9)
            CHECK(load_frame(client->fd, 0x8A, "", 0));
        else
            failed("closed", bytes[0]);
        bytes[header + length] = saved;
        at += header + length;
    }
    client->length -= at;
    memmove(client->bytes, client->bytes + at, client->length);
}

static void read_all(struct client *client)
{
    ssize_t got =
        recv(client->fd, client->bytes + client->length, BUFFER - 1 - client->length, MSG_DONTWAIT);

    if (got <= 0)
        failed("the connection ended", got);
    client->length += (size_t) got;
    cut_messages(client, clock_now());
}

static void subscribe(int i, const struct invitation *invitation, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &clients[i]};

    (void) invitation;
    if (!load_upgraded(clients[i].fd))
        failed("is not upgraded", i);
    CHECK(load_say(clients[i].fd,
                   clients[i].stalled
                       ? "{\"type\":\"subscribe\",\"topics\":[\"node:bench\",\"node:filler\"]}"
                       : "{\"type\":\"subscribe\",\"topics\":[\"node:bench\"]}"));
    if (clients[i].stalled)
        return;
    clients[i].bytes = mem_alloc(BUFFER);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &event) == 0);
}

static void connect_all(const struct invitation *invitation, int epoll)
{
    enum { WINDOW = 64 };

    for (int first = 0; first < clients_count; first += WINDOW) {
        int end = first + WINDOW < clients_count ? first + WINDOW : clients_count;

        for (int i = first; i < end; i++) {
            clients[i].stalled = is_stalled(i);
            clients[i].fd = load_connect(invitation, clients[i].stalled ? 2048 : 0);
            if (clients[i].fd < 0 || !load_ask(clients[i].fd, invitation))
                failed("cannot connect", errno);
        }
        for (int i = first; i < end; i++)
            subscribe(i, invitation, epoll);
    }
}

static int compare(const void *one, const void *other)
{
    float a = *(const float *) one, b = *(const float *) other;

    return a < b ? -1 : a > b;
}

static void play_clients(int invitations, int stop)
{
    static const double parts[] = {0.5, 0.99, 0.999};
    struct invitation invitation;
    struct epoll_event events[256], wanted = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int64_t began;

    load_descriptors();
    if (read(invitations, &invitation, sizeof(invitation)) != sizeof(invitation))
        _exit(1);
    clients = mem_array((size_t) clients_count, sizeof(clients[0]));
    latencies = mem_array((size_t) clients_count * (size_t) rounds + 1, sizeof(latencies[0]));
    have = mem_array((size_t) (rounds + BURST * bursts), sizeof(have[0]));
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, stop, &wanted) == 0);
    began = clock_now();
    connect_all(&invitation, epoll);
    report(CONNECTED, 0, clock_seconds_since(began));
    for (bool stopped = false; !stopped;) {
        int count = epoll_wait(epoll, events, 256, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                stopped = true;
            else
                read_all(events[i].data.ptr);
        }
    }
    qsort(latencies, latencies_count, sizeof(latencies[0]), compare);
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        report(FIGURE, 0, latencies[(size_t) (parts[i] * (double) latencies_count)]);
    _exit(0);
}

static double hear(int from_clients, int what)
{
    struct report message;

    if (read(from_clients, &message, sizeof(message)) != sizeof(message) ||
        (int) message.what != what) {
        fprintf(stderr, "the clients failed\n");
        exit(1);
    }
    return message.value;
}

static void publish(struct load_house *house, int index)
{
    char data[DATA_BYTES + 1], start[80];
    int length = snprintf(start, sizeof(start), "{\"i\":%d,\"t\":%lld,\"pad\":\"", index,
                          (long long) clock_now());

    memset(data, 'x', sizeof(data));
    memcpy(data, start, (size_t) length);
    memcpy(data + DATA_BYTES - 2, "\"}", 3);
    bus_publish(house->bus, event_create(EVENT_NODE, NODE_READ, "load", "bench", data, DATA_BYTES));
}

/* More than the kernel holds for those who do not read. */
static void fill_stalled(struct load_house *house)
{
    char *data = mem_alloc(FILLER);

    memset(data, 'x', FILLER);
    data[0] = data[FILLER - 1] = '"';
    for (int i = 0; i < FILLERS; i++) {
        bus_publish(house->bus,
                    event_create(EVENT_NODE, NODE_READ, "load", "filler", data, FILLER));
        load_pause(20);
    }
    free(data);
    load_pause(1000);
}

static void measure(struct load_house *house, int from_clients, int stop)
{
    long before = load_status("VmRSS:"), resident;
    double connecting = hear(from_clients, CONNECTED), sum = 0, worst = 0, seconds;
    int64_t began;

    load_pause(500);
    resident = load_status("VmRSS:") - before;
    if (stalled_percent > 0)
        fill_stalled(house);
    for (int i = 0; i < rounds; i++) {
        double last;

        publish(house, i);
        last = hear(from_clients, ALL_HAVE_IT);
        sum += last;
        worst = last > worst ? last : worst;
    }
    began = clock_now();
    for (int i = 0; i < bursts; i++) {
        for (int j = 0; j < BURST; j++)
            publish(house, rounds + i * BURST + j);
        for (int j = 0; j < BURST; j++)
            hear(from_clients, ALL_HAVE_IT);
    }
    seconds = clock_seconds_since(began);
    CHECK(write(stop, "x", 1) == 1);
    printf("{\"clients\": %d, \"stalled\": %d, \"rounds\": %d, \"connect_seconds\": %.2f, "
           "\"resident_bytes_a_client\": %ld, \"last_client_ms_mean\": %.2f, "
           "\"last_client_ms_worst\": %.2f, ",
           clients_count, clients_count - (int) healthy, rounds, connecting,
           resident * 1024 / clients_count, sum / rounds, worst);
    printf("\"p50_ms\": %.2f, ", hear(from_clients, FIGURE));
    printf("\"p99_ms\": %.2f, ", hear(from_clients, FIGURE));
    printf("\"p999_ms\": %.2f, ", hear(from_clients, FIGURE));
    printf("\"messages_a_second\": %.0f}\n", (double) healthy * BURST * bursts / seconds);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct load_house house = {0};
    int invitations[2], reports[2], stops[2], status;
    char websocket[200];
    pid_t child;

    clients_count = argc > 1 ? (int) strtol(argv[1], NULL, 10) : 500;
    stalled_percent = argc > 2 ? (int) strtol(argv[2], NULL, 10) : 0;
    rounds = argc > 3 ? (int) strtol(argv[3], NULL, 10) : 100;
    bursts = clients_count < 5000 ? 5 : 1;
    if (clients_count < 10 || stalled_percent < 0 || stalled_percent > 50 || rounds < 1) {
        fprintf(stderr, "usage: hub CLIENTS [STALLED_PERCENT [ROUNDS]]\n");
        return 2;
    }
    for (int i = 0; i < clients_count; i++)
        healthy += !is_stalled(i);
    CHECK(pipe2(invitations, O_CLOEXEC) == 0 && pipe2(reports, O_CLOEXEC) == 0 &&
          pipe2(stops, O_CLOEXEC) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(invitations[1]);
        close(stops[1]);
        to_publisher = reports[1];
        play_clients(invitations[0], stops[0]);
    }
    close(reports[1]);
    snprintf(websocket, sizeof(websocket),
             "clients = %d; queue = 256; idle_timeout = 600.0; ping_interval = 60.0;",
             clients_count);
    load_open(&house, PORT, websocket);
    load_add_node(&house, "bench");
    load_add_node(&house, "filler");
    load_pause(200);
    CHECK(write(invitations[1], &house.invitation, sizeof(house.invitation)) ==
          sizeof(house.invitation));
    measure(&house, reports[0], stops[1]);
    waitpid(child, &status, 0);
    load_close(&house);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}
