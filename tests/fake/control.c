/*
 * The control port: a line is an order, a line of JSON the answer. NODES is "*", "7", "3-9" or a
 * list of those with commas; PROCESS a glob of "group:name".
 *
 *   fault NODES KIND [ARG] [method=GLOB] [times=N]   KIND as in faults[] below; "none" ends it
 *   set NODES KEY=VALUE…       start_delay stop_delay start_outcome (a state or -FAULT) clock
 *                              (seconds ahead) log_rate (lines a second)
 *   state NODES PROCESS STATE [EXIT]                 from one moment to the next
 *   script NODES PROCESS STATE:SECONDS… | none       a cycle
 *   group NODES GROUP active|changed|removed|available|gone
 *   restart NODES              all connections lost, new pids, new times
 *   drop NODES                 all connections lost
 *   stats [NODES]              counts
 *   each NODES                 counts of each node
 *   lag NODES                  seconds between two polls of a node: p50, p99, max
 *   reset                      all counts to zero
 *   quit
 */
#include "fake.h"
#include "rpc.h"

#include <fnmatch.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const faults[] = {
    [FAULT_NONE] = "none",       [FAULT_REFUSE] = "refuse",     [FAULT_STUCK] = "stuck",
    [FAULT_SILENT] = "silent",   [FAULT_HEADERS] = "headers",   [FAULT_DRIP] = "drip",
    [FAULT_RESET] = "reset",     [FAULT_CLOSED] = "closed",     [FAULT_CLOSE] = "close",
    [FAULT_DROP] = "drop",       [FAULT_TRUNCATE] = "truncate", [FAULT_LONGER] = "longer",
    [FAULT_SHORTER] = "shorter", [FAULT_GARBAGE] = "garbage",   [FAULT_NOISE] = "noise",
    [FAULT_FLOOD] = "flood",     [FAULT_HTML] = "html",         [FAULT_STRANGE] = "strange",
    [FAULT_DEEP] = "deep",       [FAULT_HUGE] = "huge",         [FAULT_ENDLESS] = "endless",
    [FAULT_CONTROL] = "control", [FAULT_LATIN1] = "latin1",     [FAULT_STATUS] = "status",
    [FAULT_RPC] = "rpc",         [FAULT_DELAY] = "delay",
};

struct control {
    struct watched watched;
    int fd;
    struct buffer in;
    struct control *next; /* all of them, that none is lost */
};
static struct control *controls;

enum { WORDS = 40 };
struct order {
    char *word[WORDS];
    int count;
    const struct script *script;
    int fault;
    struct buffer *out;
    bool wrong, first;
};

/* Calls back for each node; false: not a range. */
static bool for_nodes(const char *range, struct order *order,
                      void (*each)(struct order *order, struct node *node))
{
    if (strcmp(range, "*") == 0) {
        for (int i = 0; i < fake.nodes; i++)
            each(order, &fake.node[i]);
        return true;
    }
    for (;;) {
        char *end;
        long from = strtol(range, &end, 10), to = from;

        if (end == range)
            return false;
        if (*end == '-')
            to = strtol(end + 1, &end, 10);
        if (from < 0 || to >= fake.nodes || from > to)
            return false;
        for (long i = from; i <= to; i++)
            each(order, &fake.node[i]);
        if (*end != ',')
            return *end == '\0';
        range = end + 1;
    }
}

static void order_fault(struct order *order, struct node *node)
{
    enum fault before = node->fault;

    node->fault = (enum fault) order->fault;
    node->fault_argument = 0;
    node->fault_times = -1;
    node->fault_method[0] = '\0';
    for (int i = 3; i < order->count; i++) {
        const char *word = order->word[i];

        if (strncmp(word, "method=", 7) == 0)
            snprintf(node->fault_method, sizeof(node->fault_method), "%s", word + 7);
        else if (strncmp(word, "times=", 6) == 0)
            node->fault_times = (int) strtol(word + 6, NULL, 10);
        else
            node->fault_argument = strtod(word, NULL);
    }
    if (before == FAULT_STUCK && node->fault != FAULT_STUCK) {
        connection_freeze_all(node, false);
        fake_listen(node);
    } else if (before == FAULT_REFUSE && node->fault != FAULT_REFUSE) {
        fake_listen(node);
    } else if (before == FAULT_NONE && node->fault != FAULT_NONE && node->listeners[0].fd < 0 &&
               node->listeners[1].fd < 0) {
        fake_listen(node); /* after a shutdown */
    }
    if (node->fault == FAULT_STUCK) {
        fake_unlisten(node, false);
        connection_freeze_all(node, true);
    } else if (node->fault == FAULT_REFUSE) {
        fake_unlisten(node, true);
        connection_drop_all(node, false);
    } else {
        /* What hung goes with the fault that hung it. */
        if (node->fault == FAULT_NONE && before >= FAULT_STUCK && before <= FAULT_DRIP)
            connection_drop_all(node, false);
    }
}

static void order_set(struct order *order, struct node *node)
{
    for (int i = 2; i < order->count; i++) {
        char *value = strchr(order->word[i], '=');
        size_t length = value == NULL ? 0 : (size_t) (value - order->word[i]);
        double number = value == NULL ? 0 : strtod(value + 1, NULL);
        const char *key = order->word[i];

        if (length == 11 && memcmp(key, "start_delay", length) == 0) {
            node->start_delay = number;
        } else if (length == 10 && memcmp(key, "stop_delay", length) == 0) {
            node->stop_delay = number;
        } else if (length == 13 && memcmp(key, "start_outcome", length) == 0) {
            int state = state_parse(value + 1);
            node->start_outcome = state >= 0 ? state : (int) number;
        } else if (length == 5 && memcmp(key, "clock", length) == 0) {
            node->clock_offset = number;
        } else if (length == 8 && memcmp(key, "log_rate", length) == 0) {
            node->log_lines += (int64_t) ((fake.monotonic - node->log_from) * node->log_rate);
            node->log_from = fake.monotonic;
            node->log_rate = number;
        } else {
            order->wrong = true;
        }
    }
}

static void order_processes(struct order *order, struct node *node)
{
    bool scripted = strcmp(order->word[0], "script") == 0;

    for (int i = 0; i < fake.processes; i++) {
        struct process *process = &node->processes[i];
        char group[32], name[32], text[80];

        process_group(group, sizeof(group), i);
        process_name(name, sizeof(name), i);
        snprintf(text, sizeof(text), "%s:%s", group, name);
        if (fnmatch(order->word[2], text, 0) != 0)
            continue;
        node_settle(node, process);
        process->script = order->script;
        process->script_step = -1;
        /* Not all at one time. */
        if (order->script != NULL)
            process->script_from =
                fake.monotonic - order->script->cycle * (node->index * 31 + i * 7) / 1000.0;
        if (scripted)
            continue;
        process->exit_status = order->count > 4 ? (int) strtol(order->word[4], NULL, 10) : 0;
        node_set_state(node, process, state_parse(order->word[3]), fake.now);
    }
}

static void order_group(struct order *order, struct node *node)
{
    static const char *const names[] = {"active", "changed", "removed", "available", "gone"};
    int state = -1;

    for (int i = 0; i < 5; i++)
        if (strcmp(order->word[3], names[i]) == 0)
            state = i;
    order->wrong |= state < 0;
    for (int i = 0; i < fake.groups && state >= 0; i++) {
        char name[32];

        process_group(name, sizeof(name), i * fake.group_size);
        if (fnmatch(order->word[2], name, 0) == 0)
            node->groups[i] = (enum group_state) state;
    }
}

static void order_restart(struct order *order, struct node *node)
{
    connection_drop_all(node, true);
    if (strcmp(order->word[0], "restart") == 0)
        node_restart(node);
}

static uint64_t sums[FAKE_METHODS], sum_accepted;
static unsigned sum_open;
static void add_up(struct order *order, struct node *node)
{
    (void) order;
    for (int i = 0; i < FAKE_METHODS; i++)
        sums[i] += node->calls[i];
    sum_accepted += node->accepted;
    sum_open += node->open;
}

static void stats(struct order *order)
{
    bool first = true;

    memset(sums, 0, sizeof(sums));
    sum_accepted = sum_open = 0;
    if (!for_nodes(order->count > 1 ? order->word[1] : "*", order, add_up)) {
        order->wrong = true;
        return;
    }
    buffer_printf(order->out,
                  "{\"accepted\": %llu, \"open\": %u, \"in_flight\": %u, \"max_in_flight\": %u, "
                  "\"max_open\": %u, \"max_accepts_per_second\": %u, \"requests\": %llu, "
                  "\"unauthorized\": %llu, \"received\": %llu, \"sent\": %llu, \"calls\": {",
                  (unsigned long long) sum_accepted, sum_open, fake.in_flight, fake.max_in_flight,
                  fake.max_open, fake.max_accepts_per_second, (unsigned long long) fake.requests,
                  (unsigned long long) fake.unauthorized, (unsigned long long) fake.received,
                  (unsigned long long) fake.sent);
    for (int i = 0; rpc_method_name(i) != NULL; i++) {
        if (sums[i] == 0)
            continue;
        buffer_printf(order->out, "%s\"%s\": %llu", first ? "" : ", ", rpc_method_name(i),
                      (unsigned long long) sums[i]);
        first = false;
    }
    buffer_puts(order->out, "}}");
}

static void put_each(struct order *order, struct node *node)
{
    int poll = rpc_method_index("supervisor.getAllProcessInfo");
    uint64_t calls = 0;

    for (int i = 0; i < FAKE_METHODS; i++)
        calls += node->calls[i];
    buffer_printf(order->out,
                  "%s{\"node\": %d, \"accepted\": %llu, \"open\": %u, \"calls\": %llu, "
                  "\"polls\": %u}",
                  order->first ? "[" : ", ", node->index, (unsigned long long) node->accepted,
                  node->open, (unsigned long long) calls, node->calls[poll]);
    order->first = false;
}

static float *lags;
static size_t lag_count;
static double longest_silence;
static void collect_lags(struct order *order, struct node *node)
{
    unsigned count = node->lag_count < FAKE_LAGS ? node->lag_count : FAKE_LAGS;

    (void) order;
    memcpy(lags + lag_count, node->lags, count * sizeof(float));
    lag_count += count;
    if (node->last_poll > 0 && fake.monotonic - node->last_poll > longest_silence)
        longest_silence = fake.monotonic - node->last_poll;
}

static int by_size(const void *a, const void *b)
{
    float left = *(const float *) a, right = *(const float *) b;

    return left < right ? -1 : left > right;
}

static void lag(struct order *order)
{
    lags = fake_alloc((size_t) fake.nodes * FAKE_LAGS + 1, sizeof(float));
    lag_count = 0;
    longest_silence = 0;
    order->wrong = order->count != 2 || !for_nodes(order->word[1], order, collect_lags);
    qsort(lags, lag_count, sizeof(float), by_size);
    if (!order->wrong)
        buffer_printf(order->out,
                      "{\"samples\": %zu, \"min\": %.4f, \"p50\": %.4f, \"p99\": %.4f, "
                      "\"max\": %.4f, \"longest_silence\": %.4f}",
                      lag_count, (double) lags[0], (double) lags[lag_count / 2],
                      (double) lags[lag_count * 99 / 100],
                      (double) lags[lag_count > 0 ? lag_count - 1 : 0], longest_silence);
    free(lags);
}

static void reset(void)
{
    for (int i = 0; i < fake.nodes; i++) {
        struct node *node = &fake.node[i];

        memset(node->calls, 0, sizeof(node->calls));
        node->accepted = node->lag_count = 0;
        node->last_poll = 0;
    }
    fake.accepted = fake.requests = fake.unauthorized = fake.received = fake.sent = 0;
    fake.max_open = fake.open;
    fake.max_in_flight = fake.in_flight;
    fake.max_accepts_per_second = 0;
}

static bool is(const struct order *order, const char *name, int words)
{
    return strcmp(order->word[0], name) == 0 && order->count >= words;
}

static void obey(struct order *order)
{
    void (*each)(struct order * order, struct node * node) = NULL;

    if (is(order, "fault", 3)) {
        for (order->fault = FAULT_DELAY; order->fault > FAULT_NONE; order->fault--)
            if (strcmp(faults[order->fault], order->word[2]) == 0)
                break;
        order->wrong = strcmp(faults[order->fault], order->word[2]) != 0;
        each = order_fault;
    } else if (is(order, "set", 3)) {
        each = order_set;
    } else if (is(order, "state", 4)) {
        order->wrong = state_parse(order->word[3]) < 0;
        each = order_processes;
    } else if (is(order, "script", 4)) {
        if (strcmp(order->word[3], "none") != 0) {
            order->script = script_parse(order->word + 3, order->count - 3);
            order->wrong = order->script == NULL;
        }
        each = order_processes;
    } else if (is(order, "group", 4)) {
        each = order_group;
    } else if (is(order, "restart", 2) || is(order, "drop", 2)) {
        each = order_restart;
    } else if (is(order, "stats", 1)) {
        stats(order);
        return;
    } else if (is(order, "each", 2)) {
        order->first = true;
        order->wrong = !for_nodes(order->word[1], order, put_each);
        buffer_puts(order->out, "]");
        return;
    } else if (is(order, "lag", 2)) {
        lag(order);
        return;
    } else if (is(order, "reset", 1)) {
        reset();
        return;
    } else if (is(order, "quit", 1)) {
        fake.quit = true;
        return;
    }
    if (each == NULL || order->wrong || !for_nodes(order->word[1], order, each))
        order->wrong = true;
}

static void take_line(struct control *control, char *line)
{
    struct buffer out = {0};
    struct order order = {.out = &out};
    char *save = NULL;

    for (char *word = strtok_r(line, " \r", &save); word != NULL && order.count < WORDS;
         word = strtok_r(NULL, " \r", &save))
        order.word[order.count++] = word;
    if (order.count == 0)
        return;
    obey(&order);
    if (order.wrong)
        out.length = 0;
    if (out.length == 0)
        buffer_puts(&out, order.wrong ? "{\"error\": \"what?\"}" : "{\"ok\": true}");
    buffer_puts(&out, "\n");
    /* The answers are small but for "each": the kernel takes them, or the line is lost. */
    (void) send(control->fd, out.data, out.length, MSG_NOSIGNAL);
    buffer_free(&out);
}

static void control_ready(struct watched *self, uint32_t events)
{
    struct control *control = (struct control *) self;
    ssize_t got;
    char *end;

    (void) events;
    buffer_need(&control->in, 4096);
    got = recv(control->fd, control->in.data + control->in.length,
               control->in.size - control->in.length, MSG_DONTWAIT);
    if (got <= 0) {
        close(control->fd); /* tests have one or two: kept for the next to come */
        control->fd = -1;
        return;
    }
    control->in.length += (size_t) got;
    while ((end = memchr(control->in.data, '\n', control->in.length)) != NULL) {
        *end = '\0';
        take_line(control, control->in.data);
        buffer_cut(&control->in, (size_t) (end - control->in.data) + 1);
    }
}

static void control_accept(struct watched *self, uint32_t events)
{
    struct control *listener = (struct control *) self;
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    struct control *control;

    (void) events;
    if (fd < 0)
        return;
    for (control = controls; control != NULL && control->fd >= 0; control = control->next)
        ;
    if (control == NULL) {
        control = fake_alloc(1, sizeof(*control));
        control->next = controls;
        controls = control;
    }
    control->watched.ready = control_ready;
    control->fd = fd;
    control->in.length = 0;
    fake_watch(fd, &control->watched, EPOLLIN, false);
}

int control_open(int port)
{
    static struct control listener;
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof(address);
    int on = 1;

    address.sin_port = htons((uint16_t) port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener.watched.ready = control_accept;
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void) setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener.fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
        listen(listener.fd, 16) < 0 ||
        getsockname(listener.fd, (struct sockaddr *) &address, &length) < 0) {
        perror("fake-supervisord: control port");
        exit(1);
    }
    fake_watch(listener.fd, &listener.watched, EPOLLIN, false);
    return ntohs(address.sin_port);
}
