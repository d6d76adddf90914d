/*
 * What the tests of operations and refresh share: supervisors that follow a script, and a small
 * house (bus, engine, registry, refresh, operations) that watches and drives them. A scripted
 * supervisor keeps its processes' states, holds calls back as long as a gate is shut, and notes
 * when two calls that act are at work on one process at once.
 */
#ifndef CESID_TEST_SCRIPTED_H
#define CESID_TEST_SCRIPTED_H

#define FIRST_PORT      27000
#define SUPERVISOR_PORT 27400

#include "rpc_peer.h"

#include "cesid/bus.h"
#include "cesid/operation.h"
#include "cesid/refresh.h"
#include "cesid/registry.h"
#include "cesid/supervisor.h"

#define SCRIPTED_PROCESSES 4

struct scripted {
    struct peer peer;
    /* The script: set by the test, read by the peer's threads. */
    atomic_bool mute;        /* says nothing to anybody */
    atomic_bool hangs_up;    /* ends each connection when it is asked something */
    atomic_bool hold_polls;  /* getAllProcessInfo waits */
    atomic_bool hold_starts; /* startProcess waits, and the process is STARTING */
    atomic_bool hold_stops;  /* stopProcess waits, and the process is STOPPING */
    atomic_int start_fault;  /* 0: none */
    /* What happened. */
    atomic_int states[SCRIPTED_PROCESSES];
    atomic_int acting[SCRIPTED_PROCESSES];
    atomic_int interleaved;
    atomic_int starts, stops, signals, polls, polls_now, polls_most;
    char last_argument[64]; /* of a signal or standard input; read after the call has ended */
};

/* The fleet's polls that are under way, and the most at a time. */
static atomic_int fleet_polls, fleet_polls_most;

static inline void raise_to(atomic_int *most, int value)
{
    int known = atomic_load(most);
    while (value > known && !atomic_compare_exchange_weak(most, &known, value))
        continue;
}

static inline void while_set(struct scripted *scripted, atomic_bool *gate)
{
    while (atomic_load(gate) && !atomic_load(&scripted->peer.stopping))
        rest();
}

static inline void say_process(struct strbuf *out, int index, int statecode)
{
    strbuf_printf(out,
                  "<value><struct>"
                  "<member><name>group</name><value><string>p%d</string></value></member>"
                  "<member><name>name</name><value><string>p%d</string></value></member>"
                  "<member><name>statename</name><value><string>%s</string></value></member>"
                  "<member><name>state</name><value><int>%d</int></value></member>"
                  "<member><name>pid</name><value><int>%d</int></value></member>",
                  index, index, process_state_name(statecode), statecode,
                  statecode == PROCESS_RUNNING ? 100 + index : 0);
    static const char *const texts[] = {"description", "spawnerr", "stdout_logfile",
                                        "stderr_logfile", "logfile"};
    static const char *const numbers[] = {"start", "stop", "now", "exitstatus"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        strbuf_printf(out, "<member><name>%s</name><value><string></string></value></member>",
                      texts[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        strbuf_printf(out, "<member><name>%s</name><value><int>7</int></value></member>",
                      numbers[i]);
    strbuf_puts(out, "</struct></value>");
}

static inline void say_fault(struct strbuf *out, int code)
{
    strbuf_clear(out);
    strbuf_printf(out,
                  "<?xml version='1.0'?><methodResponse><fault><value><struct>"
                  "<member><name>faultCode</name><value><int>%d</int></value></member>"
                  "<member><name>faultString</name><value><string>%s: p</string></value></member>"
                  "</struct></value></fault></methodResponse>",
                  code, supervisor_fault_name(code));
}

/* Between these two a call acts on the process. */
static inline void act_begin(struct scripted *scripted, int index)
{
    if (atomic_fetch_add(&scripted->acting[index], 1) > 0)
        atomic_fetch_add(&scripted->interleaved, 1);
}

static inline void act_end(struct scripted *scripted, int index)
{
    atomic_fetch_sub(&scripted->acting[index], 1);
}

/* 0, or the fault. */
static inline int script_stop(struct scripted *scripted, int index)
{
    int running = PROCESS_RUNNING;
    atomic_fetch_add(&scripted->stops, 1);
    if (!atomic_compare_exchange_strong(&scripted->states[index], &running, PROCESS_STOPPING))
        return FAULT_NOT_RUNNING;
    while_set(scripted, &scripted->hold_stops);
    atomic_store(&scripted->states[index], PROCESS_STOPPED);
    return 0;
}

static inline int script_start(struct scripted *scripted, int index)
{
    atomic_fetch_add(&scripted->starts, 1);
    if (atomic_load(&scripted->states[index]) == PROCESS_RUNNING)
        return FAULT_ALREADY_STARTED;
    if (atomic_load(&scripted->start_fault) != 0)
        return atomic_load(&scripted->start_fault);
    atomic_store(&scripted->states[index], PROCESS_STARTING);
    while_set(scripted, &scripted->hold_starts);
    atomic_store(&scripted->states[index], PROCESS_RUNNING);
    return 0;
}

static inline void script_list(struct scripted *scripted, struct strbuf *out)
{
    atomic_fetch_add(&scripted->polls, 1);
    raise_to(&scripted->polls_most, atomic_fetch_add(&scripted->polls_now, 1) + 1);
    raise_to(&fleet_polls_most, atomic_fetch_add(&fleet_polls, 1) + 1);
    while_set(scripted, &scripted->hold_polls);
    strbuf_puts(out, "<array><data>");
    for (int i = 0; i < SCRIPTED_PROCESSES; i++)
        say_process(out, i, atomic_load(&scripted->states[i]));
    strbuf_puts(out, "</data></array>");
    atomic_fetch_sub(&scripted->polls_now, 1);
    atomic_fetch_sub(&fleet_polls, 1);
}

static inline void script_answer(struct scripted *scripted, const char *method, int index,
                                 const char *argument, struct strbuf *out)
{
    int fault = 0;
    strbuf_puts(out, "<?xml version='1.0'?><methodResponse><params><param><value>");
    if (strcmp(method, "supervisor.getAllProcessInfo") == 0) {
        script_list(scripted, out);
    } else if (strcmp(method, "supervisor.getProcessInfo") == 0) {
        strbuf_truncate(out, out->length - strlen("<value>"));
        say_process(out, index, atomic_load(&scripted->states[index]));
        strbuf_truncate(out, out->length - strlen("</value>"));
    } else if (strcmp(method, "supervisor.stopProcess") == 0 ||
               strcmp(method, "supervisor.startProcess") == 0) {
        act_begin(scripted, index);
        fault = strstr(method, "stop") != NULL ? script_stop(scripted, index)
                                               : script_start(scripted, index);
        act_end(scripted, index);
        strbuf_puts(out, "<boolean>1</boolean>");
    } else if (strcmp(method, "supervisor.signalProcess") == 0 ||
               strcmp(method, "supervisor.sendProcessStdin") == 0) {
        snprintf(scripted->last_argument, sizeof(scripted->last_argument), "%s", argument);
        atomic_fetch_add(&scripted->signals, 1);
        strbuf_puts(out, "<boolean>1</boolean>");
    } else if (strcmp(method, "supervisor.getState") == 0) {
        strbuf_puts(out, "<struct><member><name>statename</name><value><string>RUNNING</string>"
                         "</value></member></struct>");
    } else {
        strbuf_puts(out, "<string>4.2.5</string>");
    }
    strbuf_puts(out, "</value></param></params></methodResponse>");
    if (fault != 0)
        say_fault(out, fault);
}

static inline void text_after(const char *from, const char *tag, char *out, size_t size)
{
    const char *at = from == NULL ? NULL : strstr(from, tag);
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, size, "%.*s", (int) strcspn(at + strlen(tag), "<"), at + strlen(tag));
}

static inline void follow_script(struct peer *peer, int fd)
{
    struct scripted *scripted = (struct scripted *) peer;
    char request[4096];
    while (read_request(peer, fd, request, sizeof(request))) {
        char method[64], process[64], argument[64];
        const char *first = strstr(request, "<string>");
        text_after(request, "<methodName>", method, sizeof(method));
        text_after(first, "<string>", process, sizeof(process));
        text_after(first == NULL ? NULL : first + 1, "<string>", argument, sizeof(argument));
        if (atomic_load(&scripted->hangs_up))
            return;
        if (atomic_load(&scripted->mute)) {
            wait_for_end(fd);
            return;
        }
        int index = process[0] == 'p' ? process[1] - '0' : 0;
        struct strbuf out;
        strbuf_init(&out, 1 << 20);
        script_answer(scripted, method, index, argument, &out);
        answer_text(fd, out.data);
        strbuf_destroy(&out);
        if (strstr(request, "Connection: close") != NULL)
            return;
    }
}

static inline void scripted_start(struct scripted *scripted)
{
    memset(scripted, 0, sizeof(*scripted));
    for (int i = 0; i < SCRIPTED_PROCESSES; i++)
        atomic_store(&scripted->states[i], PROCESS_RUNNING);
    peer_start((struct peer *) scripted, follow_script);
}

/* ---- the house ---- */

struct house {
    struct config_box *config;
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct refresh *refresh;
    struct operations *operations;
    bool stopped;
};

/* settings: sections as in a file. */
static inline struct config *configuration(const char *settings)
{
    char path[64];
    snprintf(path, sizeof(path), "/tmp/cesid-test-scripted-%d.conf", (int) getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(settings, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    struct config *config = NULL;
    struct config_problems problems = {0};
    int error = config_load(path, &config, &problems);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s: %s\n", problems.items[i].key, problems.items[i].message);
    config_problems_free(&problems);
    unlink(path);
    assert_int_equal(error, 0);
    return config;
}

static inline void house_open(struct house *house, const char *settings)
{
    *house = (struct house){.config = config_box_create(configuration(settings))};
    atomic_store(&fleet_polls, 0);
    atomic_store(&fleet_polls_most, 0);
    house->bus = bus_create(4096);
    house->engine = rpc_engine_create(2);
    house->registry = registry_create(house->bus, house->engine);
    house->refresh = refresh_create(house->registry, house->config);
    house->operations =
        operations_create(house->config, house->registry, house->refresh, house->bus, NULL);
    assert_int_equal(bus_start(house->bus), 0);
    assert_int_equal(rpc_engine_start(house->engine), 0);
    assert_int_equal(operations_start(house->operations), 0);
    assert_int_equal(refresh_start(house->refresh), 0);
}

static inline void house_stop(struct house *house, double patience)
{
    operations_stop(house->operations, clock_after(patience));
    refresh_stop(house->refresh);
    rpc_engine_stop(house->engine);
    bus_stop(house->bus);
    house->stopped = true;
}

static inline void house_close(struct house *house)
{
    if (!house->stopped)
        house_stop(house, 10);
    operations_destroy(&house->operations);
    refresh_destroy(&house->refresh);
    registry_destroy(&house->registry);
    rpc_engine_destroy(&house->engine);
    bus_destroy(&house->bus);
    config_box_destroy(&house->config);
}

static inline struct config_node node_config(const char *name, const char *url)
{
    return (struct config_node){.name = (char *) name,
                                .environment = (char *) "test",
                                .url = (char *) url,
                                .username = (char *) "",
                                .ca_file = (char *) "",
                                .verify = true,
                                .enabled = true};
}

static inline struct node *add_node(struct house *house, const char *name, const char *url)
{
    struct config_node config = node_config(name, url);
    struct node *node = NULL;
    assert_int_equal(registry_add(house->registry, &config, false, &node), 0);
    return node;
}

static inline enum node_state state_of(struct node *node)
{
    struct node_view *view = node_view(node);
    enum node_state state = view->state;
    node_view_unref(&view);
    return state;
}

static inline bool is_up(void *node)
{
    return state_of(node) == NODE_UP;
}

static inline bool is_down(void *node)
{
    return state_of(node) == NODE_DOWN;
}

#endif
