/*
 * Live logs: opened once for all, resumed, lost, truncated, flooded.
 */
#include "logstream_house.h"

static void test_offsets(void **state)
{
    struct event *tail, *late;
    uint64_t after, late_after;

    (void) state;
    house_open();
    for (int i = 0; i < 200; i++)
        write_line("a line of some length that was there before");
    write_line("the last one");
    tail = watch(&after);
    assert_null(tail);
    assert_true(see("the last one\n"));
    /* From a line's start, not from where supervisord happened to begin. */
    lock_acquire(&seen.lock);
    assert_int_equal(strncmp(seen.text.data, "a line", 6), 0);
    lock_release(&seen.lock);
    write_line("news");
    assert_true(see("news\n"));
    assert_exact();

    /* A late watcher: the same bytes as a tail, then live from there. */
    late = watch(&late_after);
    assert_non_null(late);
    lock_acquire(&seen.lock);
    assert_int_equal(late->raw_offset, seen.first);
    assert_int_equal(late->raw_length, seen.text.length);
    assert_memory_equal(late->raw, seen.text.data, seen.text.length);
    assert_int_equal(late_after, seen.number);
    lock_release(&seen.lock);
    event_unref(&late);
    lock_acquire(&peer.lock);
    assert_int_equal(peer.tails_opened, 1);
    lock_release(&peer.lock);

    /* A character that comes in two halves is passed on whole. */
    write_log("caf\xC3", 4);
    assert_true(see("caf"));
    write_log("\xA9\n", 2);
    assert_true(see("caf\xC3\xA9\n"));
    assert_exact();

    logstreams_unwatch(house.streams, TOPIC);
    assert_int_equal(logstreams_count(house.streams), 1);
    logstreams_unwatch(house.streams, TOPIC);
    assert_true(eventually(no_tail, NULL));

    /* The next stream of the topic is never taken for the old one. */
    tail = watch(&late_after);
    assert_null(tail);
    assert_true(late_after > after);
    logstreams_unwatch(house.streams, TOPIC);
    house_close();
}

static void test_resume(void **state)
{
    struct event *tail;
    uint64_t after;

    (void) state;
    house_open();
    write_line("one");
    tail = watch(&after);
    assert_null(tail);
    assert_true(see("one\n"));

    /* The connection is lost; what was written meanwhile comes once. */
    lock_acquire(&peer.lock);
    peer.cut++;
    cond_broadcast(&peer.changed);
    strbuf_puts(&peer.log, "two\n");
    lock_release(&peer.lock);
    assert_true(see("two\n"));
    assert_true(eventually(tail_is_open, NULL));
    write_line("three");
    assert_true(see("three\n"));
    assert_exact();
    logstreams_unwatch(house.streams, TOPIC);
    house_close();
}

static void test_loss(void **state)
{
    struct event *tail;
    uint64_t after;

    (void) state;
    house_open();
    lock_acquire(&peer.lock);
    peer.refuses = true;
    lock_release(&peer.lock);
    tail = watch(&after);
    assert_null(tail);
    assert_true(see_error());
    /* A late watcher is told why nothing comes. */
    tail = watch(&after);
    assert_non_null(tail);
    assert_non_null(strstr(tail->body, "\"error\":\"not_found\""));
    event_unref(&tail);
    lock_acquire(&peer.lock);
    peer.refuses = false;
    lock_release(&peer.lock);
    write_line("here again");
    assert_true(see("here again\n"));
    lock_acquire(&seen.lock);
    assert_int_equal(seen.errors, 1); /* said once, however often it was tried */
    lock_release(&seen.lock);
    logstreams_unwatch(house.streams, TOPIC);
    logstreams_unwatch(house.streams, TOPIC);
    house_close();
}

static void test_truncation(void **state)
{
    struct event *tail;
    uint64_t after;

    (void) state;
    house_open();
    write_line("before");
    tail = watch(&after);
    assert_null(tail);
    assert_true(see("before\n"));
    lock_acquire(&peer.lock);
    strbuf_clear(&peer.log);
    lock_release(&peer.lock);
    lock_acquire(&seen.lock);
    while (seen.jumps_back == 0)
        assert_true(cond_wait_until(&seen.changed, &seen.lock, clock_after(15)));
    assert_int_equal(seen.next, 0);
    lock_release(&seen.lock);
    write_line("after");
    assert_true(see("before\nafter\n")); /* without supervisord's words */
    lock_acquire(&seen.lock);
    assert_int_equal(seen.next, 6);
    lock_release(&seen.lock);
    logstreams_unwatch(house.streams, TOPIC);
    house_close();
}

static bool says_skipped(void *argument)
{
    bool says;

    (void) argument;
    write_line("more");
    lock_acquire(&seen.lock);
    says = seen.skipped > 0;
    lock_release(&seen.lock);
    return says;
}

static void test_flood(void **state)
{
    static char block[65536];
    struct event *tail;
    uint64_t after;

    (void) state;
    house_open();
    write_line("start");
    tail = watch(&after);
    assert_null(tail);
    assert_true(see("start\n"));
    memset(block, 'x', sizeof(block));
    block[sizeof(block) - 1] = '\n';
    for (int i = 0; i < 160; i++) /* 10 MiB: five times what may come at once */
        write_log(block, sizeof(block));
    assert_true(eventually(says_skipped, NULL));
    lock_acquire(&seen.lock);
    assert_true(seen.skipped > 0);
    assert_int_equal(seen.skipped, seen.missing); /* what is not there was said to be left out */
    assert_true(seen.text.length < (size_t) 6 << 20);
    lock_release(&seen.lock);
    logstreams_unwatch(house.streams, TOPIC);
    house_close();
}

static void test_topics(void **state)
{
    static const char *const bad[] = {"log:a:b:stdout", "log:a", "fleet", "log:a:g:p:stdlog"};
    struct event *tail;
    uint64_t after;

    (void) state;
    house_open();
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(logstreams_watch(house.streams, bad[i], &tail, &after),
                         CESID_E_VALIDATION_FAILED);
    /* Ended while it is being opened, many times over. */
    for (int i = 0; i < 100; i++) {
        tail = watch(&after);
        event_unref(&tail);
        logstreams_unwatch(house.streams, TOPIC);
    }
    assert_true(eventually(no_tail, NULL));
    house_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("a log's bytes come once, at their offsets, over one connection for all watchers",
              test_offsets),
        NAMED("a lost connection is made again, without a gap or a repetition", test_resume),
        NAMED("what is not there is told once, also to who comes later, and tried again",
              test_loss),
        NAMED("a log that is truncated begins anew at offset 0", test_truncation),
        NAMED("a flood is sampled, and what is left out is said", test_flood),
        NAMED("topics of other forms are refused, watchers come and go quickly", test_topics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
