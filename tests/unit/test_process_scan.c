/*
 * The shortcut for answers that say nothing new, judged by the parser: on answers as supervisord
 * spells them, and on a hundred thousand that were bent at random, what the scan reads the parser
 * reads the same, and what a node takes for unchanged is no change when it is applied in full.
 */
#include "unit.h"

#include "cesid/bus.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/process_scan.h"
#include "cesid/registry.h"
#include "cesid/strbuf.h"

#define PROCESSES_MAX 4

static uint64_t seed = 1;

static size_t random_below(size_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t) (seed >> 11) % limit;
}

struct fact {
    int start, stop, state, exit_status, pid;
    const char *name, *group, *spawn_error, *log, *description;
};

static const char *one_of(const char *const *words)
{
    size_t count = 0;

    while (words[count] != NULL)
        count++;
    return words[random_below(count)];
}

static struct fact any_fact(void)
{
    static const char *const names[] = {"cat", "web_00", "a b", "x-1", NULL};
    static const char *const errors[] = {"", "", "can't find command '/bin/no'", "a; b]]", NULL};
    static const char *const logs[] = {"", "/var/log/cat.log", "/tmp/a-stdout---x.log", NULL};
    static const char *const texts[] = {"Not started", "Nov 26 10:00 AM", "", NULL};
    static const int states[] = {0, 10, 20, 20, 20, 30, 40, 100, 200, 1000};

    return (struct fact){
        .start = (int) random_below(3) * 850000000,
        .stop = (int) random_below(2) * 1700000000,
        .state = states[random_below(ARRAY_LENGTH(states))],
        .exit_status = (int) random_below(4) - 1,
        .pid = (int) random_below(40000),
        .name = one_of(names),
        .group = one_of(names),
        .spawn_error = one_of(errors),
        .log = one_of(logs),
        .description = one_of(texts),
    };
}

static void put_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_printf(out, "<member>\n<name>%s</name>\n<value><string>%s</string></value>\n</member>\n",
                  name, text);
}

static void put_number(struct strbuf *out, const char *name, int number)
{
    strbuf_printf(out, "<member>\n<name>%s</name>\n<value><int>%d</int></value>\n</member>\n", name,
                  number);
}

/* As supervisord 4.2.5 writes it; test_rpc_real asks a real one. */
static void spell(struct strbuf *out, const struct fact *facts, size_t count, int now)
{
    char description[64];

    strbuf_clear(out);
    strbuf_puts(out, "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n"
                     "<value><array><data>\n");
    for (size_t i = 0; i < count; i++) {
        const struct fact *fact = &facts[i];

        snprintf(description, sizeof(description), "pid %d, uptime 0:00:%02d", fact->pid, now % 60);
        strbuf_puts(out, "<value><struct>\n");
        put_text(out, "name", fact->name);
        put_text(out, "group", fact->group);
        put_number(out, "start", fact->start);
        put_number(out, "stop", fact->stop);
        put_number(out, "now", now);
        put_number(out, "state", fact->state);
        put_text(out, "statename", process_state_name(fact->state));
        put_text(out, "spawnerr", fact->spawn_error);
        put_number(out, "exitstatus", fact->exit_status);
        put_text(out, "logfile", fact->log);
        put_text(out, "stdout_logfile", fact->log);
        put_text(out, "stderr_logfile", "");
        put_number(out, "pid", fact->pid);
        put_text(out, "description", fact->state == 20 ? description : fact->description);
        strbuf_puts(out, "</struct></value>\n");
    }
    strbuf_puts(out, "</data></array></value>\n</param>\n</params>\n</methodResponse>\n");
    assert_false(strbuf_failed(out));
}

/* The answer with one thing wrong, or only otherwise, at a random place. */
static void bend(struct strbuf *answer)
{
    static const char *const inserts[] = {
        " ",
        "\n",
        "\t",
        "\r",
        "\x01",
        "&amp;",
        "&#38;",
        "&",
        "<",
        ">",
        "]]>",
        "<![CDATA[x]]>",
        "<!-- -->",
        "é",
        "\xff",
        "\xEF\xBF\xBE",
        "0",
        "-",
        "9999999999",
        "+1",
        "x",
        "</string>",
        "<nil/>",
        "<int>1</int>",
        "<value>1</value>",
        "<member>\n<name>pid</name>\n<value><int>1"
        "</int></value>\n</member>\n",
    };
    size_t length = answer->length, at = random_below(length);
    char *before = mem_bytes(answer->data, length);
    size_t run = 1 + random_below(12);

    strbuf_truncate(answer, at);
    switch (random_below(6)) {
    case 0: /* another byte */
        strbuf_putc(answer, (char) (1 + random_below(255)));
        strbuf_add(answer, before + at + 1, length - at - 1);
        break;
    case 1: /* some bytes less */
        run = at + run > length ? length - at : run;
        strbuf_add(answer, before + at + run, length - at - run);
        break;
    case 2: /* something twice */
        run = at + run > length ? length - at : run;
        strbuf_add(answer, before + at, run);
        strbuf_add(answer, before + at, length - at);
        break;
    case 3: { /* a digit, so that numbers move */
        size_t digit = at;

        while (digit < length && (before[digit] < '0' || before[digit] > '9'))
            digit++;
        strbuf_add(answer, before + at, digit - at);
        if (digit < length) {
            strbuf_putc(answer, (char) ('0' + random_below(10)));
            strbuf_add(answer, before + digit + 1, length - digit - 1);
        }
        break;
    }
    case 4: /* cut */
        if (random_below(8) > 0)
            strbuf_add(answer, before + at, length - at);
        break;
    default:
        strbuf_puts(answer, inserts[random_below(ARRAY_LENGTH(inserts))]);
        strbuf_add(answer, before + at, length - at);
        break;
    }
    free(before);
}

static int parse(const struct strbuf *text, struct xmlrpc_answer *answer)
{
    static const struct xmlrpc_limits limits = {.values = 4096, .depth = 8};
    const char *why;

    return xmlrpc_parse(text->data, text->length, &limits, answer, &why);
}

static void assert_same_text(struct scanned_text scanned, const char *parsed)
{
    assert_int_equal(scanned.length, strlen(parsed));
    assert_memory_equal(scanned.data, parsed, scanned.length);
}

/* Whether the scan reads the answer; if so, the parser must read the same. */
static bool scan_as_parsed(const struct strbuf *text)
{
    struct scanned_process scanned[PROCESSES_MAX + 1];
    struct supervisor_process parsed;
    struct process_scan scan;
    struct xmlrpc_answer answer;
    size_t count = 0;

    if (!process_scan_begin(&scan, text->data, text->length))
        return false;
    while (count <= PROCESSES_MAX && process_scan_next(&scan, &scanned[count]))
        count++;
    if (!process_scan_end(&scan))
        return false;

    assert_int_equal(parse(text, &answer), CESID_OK);
    assert_false(answer.fault);
    assert_int_equal(answer.value->type, XMLRPC_ARRAY);
    assert_int_equal(answer.value->as.items.count, count);
    const struct xmlrpc_value *item = answer.value->as.items.first;
    for (size_t i = 0; i < count; i++, item = item->next) {
        assert_true(supervisor_read_process(item, &parsed));
        assert_same_text(scanned[i].name, parsed.name);
        assert_same_text(scanned[i].group, parsed.group);
        assert_same_text(scanned[i].description, parsed.description);
        assert_same_text(scanned[i].spawn_error, parsed.spawn_error);
        assert_same_text(scanned[i].stdout_log, parsed.stdout_log);
        assert_same_text(scanned[i].stderr_log, parsed.stderr_log);
        assert_int_equal(scanned[i].start, parsed.start);
        assert_int_equal(scanned[i].stop, parsed.stop);
        assert_int_equal(scanned[i].now, parsed.now);
        assert_int_equal(scanned[i].pid, parsed.pid);
        assert_int_equal(scanned[i].statecode, parsed.statecode);
        assert_int_equal(scanned[i].exit_status, parsed.exit_status);
    }
    xmlrpc_answer_free(&answer);
    return true;
}

static void test_reads_as_the_parser(void **state)
{
    struct fact facts[PROCESSES_MAX];
    struct strbuf answer;
    size_t read = 0;

    (void) state;
    strbuf_init(&answer, 1 << 16);
    for (int round = 0; round < 50000; round++) {
        size_t count = random_below(PROCESSES_MAX + 1);

        for (size_t i = 0; i < count; i++)
            facts[i] = any_fact();
        spell(&answer, facts, count, 1700000000 + round);
        if (round % 8 == 0) {
            assert_true(scan_as_parsed(&answer));
            continue;
        }
        for (size_t bends = 1 + random_below(3); bends > 0 && answer.length > 0; bends--)
            bend(&answer);
        read += scan_as_parsed(&answer);
    }
    assert_true(read > 1000); /* enough of the bent ones stayed in the spelling */
    strbuf_destroy(&answer);
}

struct world {
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct node *node;
    struct strbuf answer;
};

static void world_open(struct world *world)
{
    struct config_node config = {.name = (char *) "web-1",
                                 .environment = (char *) "production",
                                 .url = (char *) "http://127.0.0.1:1/RPC2",
                                 .username = (char *) "",
                                 .ca_file = (char *) "",
                                 .verify = true,
                                 .enabled = true};

    world->bus = bus_create(64);
    world->engine = rpc_engine_create(1);
    world->registry = registry_create(world->bus, world->engine);
    assert_int_equal(bus_start(world->bus), CESID_OK);
    assert_int_equal(registry_add(world->registry, &config, false, &world->node), CESID_OK);
    strbuf_init(&world->answer, 1 << 16);
}

static void world_close(struct world *world)
{
    bus_stop(world->bus);
    strbuf_destroy(&world->answer);
    node_unref(&world->node);
    registry_destroy(&world->registry);
    rpc_engine_destroy(&world->engine);
    bus_destroy(&world->bus);
}

static bool says_the_same(struct world *world)
{
    return node_says_the_same(world->node, world->answer.data, world->answer.length, PROCESSES_MAX);
}

static int apply(struct world *world)
{
    struct node_poll poll = {.latency = 0.001};
    struct xmlrpc_answer answer;
    int error = parse(&world->answer, &answer);

    if (error != CESID_OK)
        return error;
    poll.answer = answer.fault ? NULL : &answer;
    error = answer.fault ? CESID_E_NODE_FAULT : node_apply(world->node, &poll, PROCESSES_MAX);
    xmlrpc_answer_free(&answer);
    return error;
}

/* What is on record now; the view is replaced only when something changed. */
static const struct node_view *current(struct world *world)
{
    struct node_view *view = node_view(world->node);
    const struct node_view *pointer = view;

    node_view_unref(&view);
    return pointer;
}

static void learn(struct world *world, const struct fact *facts, size_t count)
{
    spell(&world->answer, facts, count, 1700000000);
    assert_int_equal(apply(world), CESID_OK);
}

static void test_unchanged_is_no_change(void **state)
{
    struct fact facts[PROCESSES_MAX];
    struct world world;
    size_t same = 0;
    static const char *const names[PROCESSES_MAX] = {"a", "b b", "web_00", "web_01"};

    (void) state;
    world_open(&world);
    for (int round = 0; round < 30000; round++) {
        if (round % 16 == 0) {
            for (size_t i = 0; i < PROCESSES_MAX; i++) {
                facts[i] = any_fact();
                facts[i].name = names[i];
            }
            learn(&world, facts, random_below(PROCESSES_MAX + 1));
        }
        struct node_view *view = node_view(world.node);
        size_t count = view->processes_count;

        node_view_unref(&view);
        spell(&world.answer, facts, count, 1700000000 + round);
        assert_true(says_the_same(&world));
        for (size_t bends = 1 + random_below(2); bends > 0 && world.answer.length > 0; bends--)
            bend(&world.answer);
        if (says_the_same(&world)) {
            const struct node_view *before = current(&world);

            same++;
            assert_int_equal(apply(&world), CESID_OK);
            assert_ptr_equal(current(&world), before);
        }
    }
    assert_true(same > 300);
    world_close(&world);
}

static void test_each_fact_counts(void **state)
{
    static const struct fact known = {1, 2, 0, 3, 4, "cat", "pets", "bad", "/log", "Not started"};
    struct fact other[10];
    struct world world;

    (void) state;
    world_open(&world);
    learn(&world, &known, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(other); i++)
        other[i] = known;
    other[0].start++;
    other[1].stop++;
    other[2].state = 20;
    other[3].exit_status++;
    other[4].pid++;
    other[5].name = "dog";
    other[6].group = "beasts";
    other[7].spawn_error = "";
    other[8].log = "/log2";
    other[9].description = "Not";
    for (size_t i = 0; i < ARRAY_LENGTH(other); i++) {
        spell(&world.answer, &other[i], 1, 1700000000);
        assert_false(says_the_same(&world));
    }
    other[0] = other[1] = known;
    spell(&world.answer, other, 2, 1700000000);
    assert_false(says_the_same(&world));
    spell(&world.answer, other, 0, 1700000000);
    assert_false(says_the_same(&world));
    spell(&world.answer, other, 1, 1800000000);
    assert_true(says_the_same(&world));
    assert_false(node_says_the_same(world.node, world.answer.data, world.answer.length, 0));
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("what is scanned is what the parser reads, on 50,000 answers",
              test_reads_as_the_parser),
        NAMED("an answer that is taken for unchanged changes nothing, on 30,000 answers",
              test_unchanged_is_no_change),
        NAMED("whatever a process object shows, a change of it is seen", test_each_fact_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
