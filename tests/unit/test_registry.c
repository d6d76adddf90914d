/*
 * Nodes and their views: what a poll changes, what it leaves alone, and what is told about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/bus.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/registry.h"
#include "cesid/strbuf.h"
#include "cesid/thread.h"

#include "../../src/domain/node_private.h"

struct world {
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct strbuf told; /* "type:name:state " of each event, written by the bus thread */
};

static void member(const char *body, const char *key, char *out, size_t size)
{
    char quoted[64];
    const char *at;

    snprintf(quoted, sizeof(quoted), "\"%s\":\"", key);
    at = strstr(body, quoted);
    out[0] = '\0';
    if (at != NULL)
        snprintf(out, size, "%.*s", (int) strcspn(at + strlen(quoted), "\""), at + strlen(quoted));
}

static void sink(void *argument, struct event *event)
{
    struct world *world = argument;
    char id[64], state[32], previous[32];

    member(event->body, "id", id, sizeof(id));
    member(event->body, "state", state, sizeof(state));
    member(event->body, "previous", previous, sizeof(previous));
    strbuf_printf(&world->told, "%s(%s%s%s%s%s) ", event->name, event->node, *id ? " " : "", id,
                  *state ? " " : "", event->type == EVENT_NODE_REMOVED ? "" : state);
    if (*previous)
        strbuf_printf(&world->told, "<%s ", previous);
}

static void world_open(struct world *world)
{
    world->bus = bus_create(4096);
    world->engine = rpc_engine_create(1);
    world->registry = registry_create(world->bus, world->engine);
    strbuf_init(&world->told, 1 << 20);
    bus_add_sink(world->bus, sink, world);
    assert_int_equal(bus_start(world->bus), CESID_OK);
}

/* Stops the bus, so that everything was told. */
static void world_close(struct world *world)
{
    registry_destroy(&world->registry);
    rpc_engine_destroy(&world->engine);
    bus_destroy(&world->bus);
    strbuf_destroy(&world->told);
}

static struct config_node settings(const char *name, const char *environment)
{
    return (struct config_node){.name = (char *) name,
                                .environment = (char *) environment,
                                .url = (char *) "http://127.0.0.1:1/RPC2",
                                .username = (char *) "",
                                .ca_file = (char *) "",
                                .verify = true,
                                .enabled = true};
}

static struct node *add(struct world *world, const char *name)
{
    struct config_node config = settings(name, "production");
    struct node *node;

    assert_int_equal(registry_add(world->registry, &config, false, &node), CESID_OK);
    return node;
}

/* One process as supervisord says it. */
static void say(struct strbuf *xml, const char *group, const char *name, int statecode, int pid)
{
    static const char *const strings[] = {"description", "spawnerr", "stdout_logfile",
                                          "stderr_logfile", "logfile"};
    static const char *const numbers[] = {"start", "stop", "now", "exitstatus"};

    strbuf_puts(xml, "<value><struct>");
    strbuf_printf(xml, "<member><name>group</name><value><string>%s</string></value></member>",
                  group);
    strbuf_printf(xml, "<member><name>name</name><value><string>%s</string></value></member>",
                  name);
    strbuf_printf(xml, "<member><name>statename</name><value><string>%s</string></value></member>",
                  process_state_name(statecode));
    strbuf_printf(xml, "<member><name>state</name><value><int>%d</int></value></member>",
                  statecode);
    strbuf_printf(xml, "<member><name>pid</name><value><int>%d</int></value></member>", pid);
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++)
        strbuf_printf(xml, "<member><name>%s</name><value><string></string></value></member>",
                      strings[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        strbuf_printf(xml, "<member><name>%s</name><value><int>7</int></value></member>",
                      numbers[i]);
    strbuf_puts(xml, "</struct></value>");
}

/* Each process as "group:name:statecode:pid", separated by blanks. */
static int apply(struct node *node, const char *processes)
{
    static const struct xmlrpc_limits limits = {100000, 16};
    struct node_poll poll = {.supervisor_version = "4.2.5", .supervisor_state = "RUNNING"};
    struct xmlrpc_answer answer = {0};
    const char *why = NULL;
    struct strbuf xml;
    int error;

    strbuf_init(&xml, 1 << 20);
    strbuf_puts(&xml, "<?xml version='1.0'?><methodResponse><params><param><value><array><data>");
    for (const char *at = processes; *at != '\0'; at += strcspn(at, " "), at += *at == ' ') {
        char group[32], name[32];
        int statecode, pid;

        assert_int_equal(sscanf(at, "%31[^:]:%31[^:]:%d:%d", group, name, &statecode, &pid), 4);
        say(&xml, group, name, statecode, pid);
    }
    strbuf_puts(&xml, "</data></array></value></param></params></methodResponse>");
    assert_int_equal(xmlrpc_parse(xml.data, xml.length, &limits, &answer, &why), CESID_OK);
    poll.answer = &answer;
    error = node_apply(node, &poll, 5000);
    xmlrpc_answer_free(&answer);
    strbuf_destroy(&xml);
    return error;
}

static void fail_poll(struct node *node, enum rpc_cause cause)
{
    struct node_poll poll = {.error = CESID_E_NODE_UNREACHABLE, .cause = cause};

    assert_int_equal(node_apply(node, &poll, 5000), CESID_OK);
}

static void test_changes_are_told(void **state)
{
    struct world world;
    struct node *node;

    (void) state;
    world_open(&world);
    node = add(&world, "a");
    assert_int_equal(apply(node, "web:w0:20:10 cat:cat:0:0"), CESID_OK);
    assert_int_equal(apply(node, "web:w0:20:10 cat:cat:0:0"), CESID_OK);
    assert_int_equal(apply(node, "web:w0:200:0 cat:cat:0:0"), CESID_OK);
    assert_int_equal(apply(node, "web:w0:200:0"), CESID_OK);
    fail_poll(node, RPC_CAUSE_REFUSED);
    fail_poll(node, RPC_CAUSE_REFUSED);
    bus_stop(world.bus);
    assert_string_equal(world.told.data,
                        "node(a connecting) "
                        "process(a cat:cat STOPPED) process(a web:w0 RUNNING) node(a up) "
                        "process(a web:w0 FATAL) <RUNNING node(a up) "
                        "process(a cat:cat REMOVED) <STOPPED node(a up) "
                        "node(a down) node(a down) "); /* the breaker counts each failure */
    node_unref(&node);
    world_close(&world);
}

/* The promise behind cheap polling: nothing new, nothing made. */
static void test_unchanged_poll_keeps_the_view(void **state)
{
    struct node_view *before, *after;
    struct world world;
    struct node *node;

    (void) state;
    world_open(&world);
    node = add(&world, "a");
    assert_int_equal(apply(node, "b:b:20:10 a:a:20:11"), CESID_OK);
    before = node_view(node);
    assert_int_equal(apply(node, "b:b:20:10 a:a:20:11"), CESID_OK);
    after = node_view(node);
    assert_ptr_equal(before, after);
    node_view_unref(&after);

    /* The other order is no change of any process, and a changed one leaves the other shared. */
    assert_int_equal(apply(node, "a:a:20:11 b:b:20:12"), CESID_OK);
    after = node_view(node);
    assert_ptr_not_equal(before, after);
    assert_ptr_equal(node_view_process(before, "a"), node_view_process(after, "a:a"));
    assert_int_equal(node_view_process(after, "b:b")->pid, 12);
    assert_int_equal(node_view_process(after, "b:b")->revision, after->revision);
    assert_null(node_view_process(after, "c"));
    node_view_unref(&before);
    node_view_unref(&after);
    bus_stop(world.bus);
    node_unref(&node);
    world_close(&world);
}

static void test_hostile_answers(void **state)
{
    struct world world;
    struct node_view *view;
    struct node *node;

    (void) state;
    world_open(&world);
    node = add(&world, "a");
    assert_int_equal(apply(node, "a:a:20:1"), CESID_OK);
    assert_int_equal(apply(node, "a:a:20:1 a:a:0:0"), CESID_E_NODE_PROTOCOL);
    view = node_view(node);
    assert_int_equal(view->processes_count, 1);
    node_view_unref(&view);
    bus_stop(world.bus);
    node_unref(&node);
    world_close(&world);
}

static void test_names_are_unique(void **state)
{
    struct config_node config = settings("a", "staging");
    struct node_list list;
    struct world world;
    struct node *node;

    (void) state;
    world_open(&world);
    node = add(&world, "b");
    node_unref(&node);
    node = add(&world, "a");
    assert_int_equal(registry_add(world.registry, &config, true, NULL), CESID_E_CONFLICT);
    registry_list(world.registry, &list);
    assert_int_equal(list.count, 2);
    assert_string_equal(node_name(list.items[0]), "a");
    node_list_free(&list);
    assert_int_equal(registry_remove(world.registry, "a"), CESID_OK);
    assert_int_equal(registry_remove(world.registry, "a"), CESID_E_NOT_FOUND);
    assert_true(node_removed(node));
    /* A poll that was under way ends without effect. */
    assert_int_equal(apply(node, "a:a:20:1"), CESID_OK);
    bus_stop(world.bus);
    assert_string_equal(world.told.data, "node(b connecting) node(a connecting) node_removed(a) ");
    node_unref(&node);
    world_close(&world);
}

static void test_settings_change_in_place(void **state)
{
    struct config_node moved = settings("a", "staging");
    struct config_node other = settings("a", "staging");
    struct world world;
    struct node_view *view;
    struct node *node;

    (void) state;
    other.url = (char *) "http://127.0.0.1:2/RPC2";
    world_open(&world);
    node = add(&world, "a");
    assert_int_equal(apply(node, "a:a:20:1"), CESID_OK);
    assert_int_equal(registry_change(world.registry, &moved, false), CESID_OK);
    view = node_view(node);
    assert_int_equal(view->state, NODE_UP); /* the same peer, elsewhere filed */
    assert_non_null(strstr(view->processes[0]->json, "\"environment\":\"staging\""));
    node_view_unref(&view);
    assert_int_equal(registry_change(world.registry, &other, false), CESID_OK);
    view = node_view(node);
    assert_int_equal(view->state, NODE_CONNECTING);
    assert_int_equal(view->processes_count, 0);
    node_view_unref(&view);
    bus_stop(world.bus);
    assert_non_null(strstr(world.told.data, "node_removed(a) node(a up) process(a a:a RUNNING) "
                                            "process(a a:a REMOVED) <RUNNING node(a connecting)"));
    node_unref(&node);
    world_close(&world);
}

struct race {
    struct world *world;
    struct node *node;
    bool stop; /* atomic */
};

static void race_reader(void *argument)
{
    struct race *race = argument;

    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        struct node_view *view = node_view(race->node);
        struct node_list list;
        int sum = view->counts.running + view->counts.fatal;

        assert_int_equal(sum, view->processes_count); /* never half an update */
        node_view_unref(&view);
        registry_list(race->world->registry, &list);
        node_list_free(&list);
    }
}

static void race_registrar(void *argument)
{
    struct race *race = argument;
    struct config_node config = settings("z", "production");
    struct config_node environments[2] = {settings("a", "one"), settings("a", "two")};

    for (size_t i = 0; !__atomic_load_n(&race->stop, __ATOMIC_RELAXED); i++) {
        assert_int_equal(registry_add(race->world->registry, &config, true, NULL), CESID_OK);
        assert_int_equal(registry_change(race->world->registry, &environments[i % 2], false),
                         CESID_OK);
        assert_int_equal(registry_remove(race->world->registry, "z"), CESID_OK);
    }
}

static void test_race(void **state)
{
    struct world world;
    struct thread threads[3] = {0};
    struct race race = {.world = &world};

    (void) state;
    world_open(&world);
    race.node = add(&world, "a");
    assert_int_equal(apply(race.node, "a:a:20:1 b:b:20:2"), CESID_OK);
    assert_int_equal(thread_start(&threads[0], "test", "reader", race_reader, &race), 0);
    assert_int_equal(thread_start(&threads[1], "test", "reader", race_reader, &race), 0);
    assert_int_equal(thread_start(&threads[2], "test", "registrar", race_registrar, &race), 0);
    for (int i = 0; i < 300; i++) {
        char processes[64];

        snprintf(processes, sizeof(processes), "a:a:%d:%d b:b:20:2", i % 2 ? 20 : 200, i);
        assert_int_equal(apply(race.node, processes), CESID_OK);
    }
    __atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    bus_stop(world.bus);
    node_unref(&race.node);
    world_close(&world);
}

#define MANY 6

/* All of one version: environment "one" without node z, or "two" with it. */
static void survey_reader(void *argument)
{
    struct race *race = argument;

    while (!__atomic_load_n(&race->stop, __ATOMIC_RELAXED)) {
        struct node_survey survey;
        const char *first;

        registry_survey(race->world->registry, &survey);
        first = survey.items[0].view->settings->config.environment;
        for (size_t i = 0; i < survey.count; i++)
            assert_string_equal(survey.items[i].view->settings->config.environment, first);
        assert_int_equal(survey.count, strcmp(first, "two") == 0 ? MANY + 1 : MANY);
        node_survey_free(&survey);
    }
}

static void exchange(struct world *world, const char *environment)
{
    static const char *const names[MANY + 1] = {"a", "b", "c", "d", "e", "f", "z"};
    bool second = strcmp(environment, "two") == 0;
    struct config_node configs[MANY + 1];
    struct registry_edits edits = {0};

    for (size_t i = 0; i < MANY + 1; i++) {
        configs[i] = settings(names[i], environment);
        registry_edits_add(&edits,
                           i < MANY ? REGISTRY_CHANGE : (second ? REGISTRY_ADD : REGISTRY_REMOVE),
                           names[i], &configs[i], false);
    }
    registry_edit(world->registry, &edits);
    registry_edits_free(&edits);
}

static void survey_poller(void *argument)
{
    struct race *race = argument;

    for (int i = 0; !__atomic_load_n(&race->stop, __ATOMIC_RELAXED); i++) {
        char processes[64];

        snprintf(processes, sizeof(processes), "a:a:%d:%d", i % 2 ? 20 : 200, i % 1000 + 1);
        assert_int_equal(apply(race->node, processes), CESID_OK);
    }
}

static void test_many_change_at_once(void **state)
{
    static const char *const names[MANY] = {"a", "b", "c", "d", "e", "f"};
    struct world world;
    struct thread threads[3] = {0};
    struct race race = {.world = &world};

    (void) state;
    world_open(&world);
    for (size_t i = 0; i < MANY; i++) {
        struct config_node config = settings(names[i], "one");

        assert_int_equal(registry_add(world.registry, &config, false, NULL), CESID_OK);
    }
    race.node = registry_find(world.registry, "c");
    assert_int_equal(thread_start(&threads[0], "test", "reader", survey_reader, &race), 0);
    assert_int_equal(thread_start(&threads[1], "test", "reader", survey_reader, &race), 0);
    assert_int_equal(thread_start(&threads[2], "test", "poller", survey_poller, &race), 0);
    for (int i = 0; i < 200; i++)
        exchange(&world, i % 2 ? "one" : "two");
    __atomic_store_n(&race.stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    bus_stop(world.bus);
    node_unref(&race.node);
    world_close(&world);
}

static void test_edits_that_do_not_fit(void **state)
{
    struct config_node known = settings("a", "two"), unknown = settings("b", "two");
    struct registry_edits edits = {0};
    struct world world;
    struct node *node;

    (void) state;
    world_open(&world);
    node = add(&world, "a");
    registry_edits_add(&edits, REGISTRY_ADD, "a", &known, false);
    registry_edits_add(&edits, REGISTRY_CHANGE, "b", &unknown, false);
    registry_edits_add(&edits, REGISTRY_REMOVE, "c", NULL, false);
    registry_edit(world.registry, &edits); /* each left out */
    registry_edits_free(&edits);
    bus_stop(world.bus);
    assert_string_equal(world.told.data, "node(a connecting) ");
    node_unref(&node);
    world_close(&world);
}

/* Or the last message would show a breaker of before. */
static void test_what_was_rendered_before_is_not_told(void **state)
{
    const struct breaker_settings breaker = {.failures = 3, .open_min = 1, .open_max = 1};
    struct node_events events = {0};
    struct node_view *base, *next;
    struct world world;
    struct node *node;
    uint64_t changes;

    (void) state;
    world_open(&world);
    node = add(&world, "a");
    assert_int_equal(apply(node, "a:a:20:1"), CESID_OK);
    base = node_view(node);
    changes = node_breaker_changes(node);
    next = node_view_draft(base, base->settings);
    node_view_seal(next);
    node_breaker_report(node, CESID_E_NODE_TIMEOUT, &breaker);
    assert_false(node_swap(node, base, changes, next, &events));
    node_breaker_report(node, CESID_E_CANCELLED, &breaker); /* says nothing */
    changes = node_breaker_changes(node);
    assert_true(node_swap(node, base, changes, next, &events));
    node_breaker_report(node, CESID_OK, &breaker);
    bus_stop(world.bus);
    assert_string_equal(world.told.data,
                        "node(a connecting) process(a a:a RUNNING) node(a up) "
                        "node(a up) node(a up) "); /* the failure, and that it is forgotten */
    node_view_unref(&base);
    node_unref(&node);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "R2.3 every change of a node is told once, in order",
         .test_func = test_changes_are_told},
        {.name = "an unchanged poll keeps the view",
         .test_func = test_unchanged_poll_keeps_the_view},
        {.name = "an answer that names a process twice is refused",
         .test_func = test_hostile_answers},
        {.name = "names are unique and removal is final", .test_func = test_names_are_unique},
        {.name = "settings change in place", .test_func = test_settings_change_in_place},
        {.name = "R4.2 a change of many nodes at once is seen whole or not at all",
         .test_func = test_many_change_at_once},
        {.name = "edits that no longer fit are left out", .test_func = test_edits_that_do_not_fit},
        {.name = "what was rendered before the breaker changed is not told",
         .test_func = test_what_was_rendered_before_is_not_told},
        {.name = "R2.1 registry, polls and settings do not race", .test_func = test_race},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
