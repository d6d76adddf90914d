/*
 * A followed log whose process is taken out, comes back, or gets another file, as a poll tells.
 */
#include "logstream_house.h"

static void say(struct strbuf *xml, int file)
{
    static const char *const texts[] = {"description", "spawnerr", "stderr_logfile"};
    static const char *const numbers[] = {"start", "stop", "now", "exitstatus", "pid"};

    strbuf_printf(xml,
                  "<value><struct><member><name>group</name><value>g</value></member>"
                  "<member><name>name</name><value>p</value></member>"
                  "<member><name>state</name><value><int>20</int></value></member>"
                  "<member><name>stdout_logfile</name><value>/log/%d</value></member>",
                  file);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        strbuf_printf(xml, "<member><name>%s</name><value></value></member>", texts[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++)
        strbuf_printf(xml, "<member><name>%s</name><value><int>7</int></value></member>",
                      numbers[i]);
    strbuf_puts(xml, "</struct></value>");
}

/* A poll that found the log in a file so many before the one of now. */
static void poll_late(int before)
{
    static const struct xmlrpc_limits limits = {100000, 16};
    struct node *node = registry_find(house.registry, "a");
    struct xmlrpc_answer answer = {0};
    struct node_poll poll = {.answer = &answer};
    const char *why = NULL;
    struct strbuf xml;

    strbuf_init(&xml, 1 << 20);
    strbuf_puts(&xml, "<?xml version='1.0'?><methodResponse><params><param><value><array><data>");
    lock_acquire(&peer.lock);
    if (!peer.gone)
        say(&xml, peer.file - before);
    lock_release(&peer.lock);
    strbuf_puts(&xml, "</data></array></value></param></params></methodResponse>");
    assert_int_equal(xmlrpc_parse(xml.data, xml.length, &limits, &answer, &why), CESID_OK);
    assert_int_equal(node_apply(node, &poll, 5000), CESID_OK);
    xmlrpc_answer_free(&answer);
    strbuf_destroy(&xml);
    node_unref(&node);
}

static void poll_node(void)
{
    poll_late(0);
}

static void take_out(void)
{
    lock_acquire(&peer.lock);
    peer.gone = true;
    lock_release(&peer.lock);
}

/* With a log of so many bytes, in another file. */
static void put_in(size_t length)
{
    lock_acquire(&peer.lock);
    peer.gone = false;
    peer.file++;
    strbuf_clear(&peer.log);
    for (int i = 0; peer.log.length < length; i++)
        strbuf_printf(&peer.log, "%d: line %d\n", peer.file, i);
    lock_release(&peer.lock);
}

static void begin(void)
{
    uint64_t after;

    house_open();
    bus_add_sink(house.bus, logstreams_sink, house.streams);
    assert_int_equal(bus_start(house.bus), CESID_OK);
    put_in(0);
    poll_node();
    write_line("the old log");
    assert_null(watch(&after));
    assert_true(see("the old log\n"));
}

static void end(void)
{
    logstreams_unwatch(house.streams, TOPIC);
    assert_true(eventually(no_tail, NULL));
    bus_stop(house.bus);
    house_close();
}

/* What was seen since that many bytes is the log, all of it. */
static void assert_whole(size_t since)
{
    size_t length, next;
    char *text;
    int64_t skipped;

    lock_acquire(&seen.lock);
    length = seen.text.length - since;
    text = mem_bytes(seen.text.data + since, length);
    next = (size_t) seen.next;
    skipped = seen.skipped;
    lock_release(&seen.lock);
    lock_acquire(&peer.lock);
    assert_int_equal(length, peer.log.length);
    assert_memory_equal(text, peer.log.data, length);
    assert_int_equal(next, length);
    lock_release(&peer.lock);
    assert_int_equal(skipped, 0);
    free(text);
}

static size_t seen_so_far(void)
{
    size_t length;

    lock_acquire(&seen.lock);
    length = seen.text.length;
    lock_release(&seen.lock);
    return length;
}

static void test_another_file(void **state)
{
    static const size_t lengths[] = {0, 100, 2000, 200000};
    struct event *late;
    uint64_t after;

    (void) state;
    begin();
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        size_t since = seen_so_far();
        char line[40];

        put_in(lengths[i]);
        poll_node();
        assert_true(eventually(tail_is_open, NULL));
        snprintf(line, sizeof(line), "live %zu", i);
        write_line(line);
        assert_true(see(line));
        assert_whole(since);
        lock_acquire(&seen.lock);
        assert_int_equal(seen.jumps_back, i + 1);
        assert_int_equal(seen.errors, 0);
        lock_release(&seen.lock);
        /* Who comes now is shown nothing of the old one. */
        late = watch(&after);
        assert_non_null(late);
        assert_null(strstr(late->raw, "the old log"));
        event_unref(&late);
        logstreams_unwatch(house.streams, TOPIC);
    }
    end();
}

static void test_gone_and_back(void **state)
{
    size_t since;

    (void) state;
    begin();
    since = seen_so_far();
    take_out();
    poll_node();
    assert_true(see_error());
    assert_true(eventually(no_tail, NULL));
    put_in(5000);
    poll_node();
    assert_true(eventually(tail_is_open, NULL));
    write_line("here again");
    assert_true(see("here again\n"));
    assert_whole(since);
    lock_acquire(&seen.lock);
    assert_int_equal(seen.errors, 1);
    lock_release(&seen.lock);
    end();
}

/* The process changes all the time, its log does not; and the view may be behind. */
static void test_nothing_repeated(void **state)
{
    size_t since;

    (void) state;
    begin();
    since = seen_so_far();
    put_in(3000);
    poll_node();
    assert_true(see("line 200\n"));
    assert_true(eventually(tail_is_open, NULL));
    poll_late(1);
    write_line("still there");
    assert_true(see("still there\n"));
    poll_node();
    write_line("and there");
    assert_true(see("and there\n"));
    assert_whole(since);
    lock_acquire(&seen.lock);
    assert_int_equal(seen.jumps_back, 1);
    lock_release(&seen.lock);
    end();
}

/* What a log says of itself is its text, where it is read and not streamed. */
static void test_mark_in_the_log(void **state)
{
    size_t since;

    (void) state;
    begin();
    since = seen_so_far();
    put_in(3000);
    lock_acquire(&peer.lock);
    strbuf_puts(&peer.log, "==> File truncated <==\n");
    for (int i = 0; i < 200; i++)
        strbuf_printf(&peer.log, "after it %d\n", i);
    lock_release(&peer.lock);
    poll_node();
    assert_true(see("after it 199\n"));
    lock_acquire(&seen.lock);
    assert_int_equal(seen.jumps_back, 1);
    assert_int_equal(seen.skipped, 0);
    assert_non_null(strstr(seen.text.data + since, "==> File truncated <==\nafter it 0\n"));
    lock_release(&seen.lock);
    end();
}

/* Letters of two bytes nearly all, so that what is cut anywhere is mostly cut inside one. */
static void say_locked(int lines)
{
    for (int i = 0; i < lines; i++) {
        strbuf_printf(&peer.log, "%zu:", peer.log.length); /* no line is like another */
        for (int letter = 0; letter < 50; letter++)
            strbuf_puts(&peer.log, "\xC3\xA4");
        strbuf_putc(&peer.log, '\n');
    }
    cond_broadcast(&peer.changed);
}

/* Between the look how large it is and the opening. */
static void say_much(void)
{
    strbuf_puts(&peer.log, "==> File truncated <==\n"); /* as a program may say, too */
    say_locked(100);
}

static void say_little(void)
{
    say_locked(1);
}

/* Another log, of so many bytes and lines, that grows while it is opened: all of it is seen. */
static void see_it_grow(size_t length, int lines, void (*on_open)(void), void (*on_question)(void))
{
    size_t since = seen_so_far();

    put_in(length);
    lock_acquire(&peer.lock);
    say_locked(lines);
    peer.on_open = on_open;
    peer.on_question = on_question;
    lock_release(&peer.lock);
    poll_node();
    assert_true(eventually(tail_is_open, NULL));
    lock_acquire(&peer.lock);
    peer.on_open = peer.on_question = NULL;
    lock_release(&peer.lock);
    write_line("live");
    assert_true(see_since(since, "live\n"));
    assert_whole(since);
}

/* Programs say most when they start, and /logtail/ goes back 1,024 bytes only. */
static void test_written_while_opening(void **state)
{
    (void) state;
    begin();
    for (size_t i = 0; i < 8; i++) /* with more than is looked at to find the place, too */
        see_it_grow(i, i < 2 ? 0 : 700, say_much, say_little);
    end();
}

static void say_in_colours(void)
{
    for (int i = 0; i < 100; i++)
        strbuf_printf(&peer.log, "%zu: \x1B[31mred\x1B[0m\n", peer.log.length);
    cond_broadcast(&peer.changed);
}

/* Its end is looked up, control bytes and all. */
static void test_colours(void **state)
{
    (void) state;
    begin();
    for (int i = 0; i < 4; i++)
        see_it_grow(0, 0, say_in_colours, say_in_colours);
    end();
}

static void slow_down(void)
{
    for (int i = 0; i < 30; i++)
        rest();
}

/* Nothing more is asked for who left. */
static void test_left_while_opening(void **state)
{
    int asked;

    (void) state;
    begin();
    lock_acquire(&peer.lock);
    peer.on_question = slow_down;
    lock_release(&peer.lock);
    put_in(200000);
    poll_node();
    assert_true(see("line 100\n"));
    logstreams_unwatch(house.streams, TOPIC);
    rest();
    lock_acquire(&peer.lock);
    asked = peer.questions;
    lock_release(&peer.lock);
    for (int i = 0; i < 300; i++)
        rest();
    lock_acquire(&peer.lock);
    assert_in_range(peer.questions, asked, asked + 1);
    peer.on_question = NULL;
    lock_release(&peer.lock);
    bus_stop(house.bus);
    house_close();
}

/* A node that goes while its log is opened is not followed where it was. */
static void test_node_gone_while_opening(void **state)
{
    (void) state;
    begin();
    lock_acquire(&peer.lock);
    peer.on_question = slow_down;
    lock_release(&peer.lock);
    put_in(200000);
    poll_node();
    assert_true(see("line 100\n"));
    assert_int_equal(registry_remove(house.registry, "a"), CESID_OK);
    assert_true(see_error());
    assert_true(eventually(no_tail, NULL)); /* the peer may hear of its end later than we */
    lock_acquire(&peer.lock);
    peer.on_question = NULL;
    lock_release(&peer.lock);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("a process with another log is followed there, from its first byte",
              test_another_file),
        NAMED("a process that is gone is told once, and followed when it is back",
              test_gone_and_back),
        NAMED("what is written between looking at a log and opening it is not left out",
              test_written_while_opening),
        NAMED("a log in colours that grows while it is opened is whole", test_colours),
        NAMED("a line of the log that looks like supervisord's mark is a line",
              test_mark_in_the_log),
        NAMED("who leaves while a log is opened ends the reading", test_left_while_opening),
        NAMED("a node that goes while its log is opened is followed no more",
              test_node_gone_while_opening),
        NAMED("a poll that came late makes nothing begin anew", test_nothing_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
