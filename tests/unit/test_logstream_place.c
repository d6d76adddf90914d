/*
 * Where a log's bytes belong when it grows or is replaced while it is opened and watched.
 */
#include "logstream_house.h"

/* Lines of 16 bytes that tell their number, so that what was seen shows what is missing. */
#define NUMBERED 16

static int written;

static void add_numbered_locked(int count)
{
    for (int i = 0; i < count; i++)
        strbuf_printf(&peer.log, "%09d abcde\n", ++written);
}

static void write_numbered(int count)
{
    lock_acquire(&peer.lock);
    add_numbered_locked(count);
    cond_broadcast(&peer.changed);
    lock_release(&peer.lock);
}

static void rotate_locked(void)
{
    strbuf_clear(&peer.log);
    peer.inode++;
}

/* The size is asked for again once a second. */
static bool a_second_passed(void *argument)
{
    static int64_t since;

    (void) argument;
    if (since == 0)
        since = clock_now();
    if (clock_seconds_since(since) < 1.1)
        return false;
    since = 0;
    return true;
}

static void rotate(void)
{
    lock_acquire(&peer.lock);
    rotate_locked();
    lock_release(&peer.lock);
}

static void grow_once(void)
{
    add_numbered_locked(40);
    peer.on_open = peer.on_question = NULL;
}

static void grow_a_little(void)
{
    add_numbered_locked(3);
    cond_broadcast(&peer.changed);
}

static void replace_once(void)
{
    rotate_locked();
    add_numbered_locked(20);
    peer.on_open = NULL;
}

/* The last line written was seen, at its place, and every one since the first that was. */
static void assert_all_seen(int64_t rotations)
{
    char last[20];
    const char *line;
    size_t length;
    int number;

    snprintf(last, sizeof(last), "%09d abcde\n", written);
    assert_true(see(last));
    lock_acquire(&peer.lock);
    length = peer.log.length;
    lock_release(&peer.lock);
    lock_acquire(&seen.lock);
    assert_int_equal(seen.jumps_back, rotations);
    assert_int_equal(seen.skipped, 0);
    line = seen.text.data;
    number = (int) strtol(line, NULL, 10);
    for (; *line != '\0'; line += NUMBERED)
        assert_int_equal(strtol(line, NULL, 10), number++);
    assert_int_equal(number, written + 1);
    assert_int_equal((size_t) seen.next, length);
    lock_release(&seen.lock);
}

static void start_watching(int lines)
{
    uint64_t after;

    house_open();
    written = 0;
    write_numbered(lines);
    assert_null(watch(&after));
}

static void stop_watching(void)
{
    logstreams_unwatch(house.streams, TOPIC);
    house_close();
}

static void test_growth(void **state)
{
    (void) state;
    for (int i = 0; i < 4; i++) {
        house_open();
        written = 0;
        write_numbered(i % 2 ? 10 : 200);
        lock_acquire(&peer.lock);
        peer.on_open = grow_once;
        if (i >= 2)
            peer.on_question = grow_a_little; /* all the time */
        lock_release(&peer.lock);
        uint64_t after;
        assert_null(watch(&after));
        assert_true(see("abcde\n"));
        write_numbered(5);
        lock_acquire(&peer.lock);
        peer.on_question = NULL;
        lock_release(&peer.lock);
        write_numbered(1);
        assert_all_seen(0);
        /* A lost connection: the log grows while it is opened again. */
        lock_acquire(&peer.lock);
        peer.cut++;
        peer.on_open = grow_once;
        cond_broadcast(&peer.changed);
        lock_release(&peer.lock);
        assert_true(eventually(tail_is_open, NULL));
        write_numbered(1);
        assert_all_seen(0);
        stop_watching();
    }
}

/* The first bytes are few, and the log is much longer when its size is told. */
static void test_beginning(void **state)
{
    uint64_t after;

    (void) state;
    house_open();
    written = 0;
    assert_null(watch(&after));
    assert_true(eventually(tail_is_open, NULL));
    lock_acquire(&peer.lock);
    peer.on_question = grow_once;
    lock_release(&peer.lock);
    write_line("go");
    assert_true(see("000000040 abcde\n"));
    assert_exact();
    lock_acquire(&seen.lock);
    assert_int_equal(seen.first, 0);
    assert_int_equal(seen.skipped, 0);
    lock_release(&seen.lock);
    stop_watching();
}

static void test_rotation(void **state)
{
    (void) state;
    start_watching(300);
    write_numbered(1);
    assert_all_seen(0);
    for (int i = 1; i <= 3; i++) {
        assert_true(eventually(a_second_passed, NULL));
        rotate();
        write_numbered(2);
        assert_all_seen(i);
        write_numbered(50);
        assert_all_seen(i);
    }
    stop_watching();

    /* Between the first question and the opening. */
    house_open();
    written = 0;
    write_numbered(100);
    lock_acquire(&peer.lock);
    peer.on_open = replace_once;
    lock_release(&peer.lock);
    uint64_t after;
    assert_null(watch(&after));
    assert_true(eventually(tail_is_open, NULL));
    assert_all_seen(0);
    stop_watching();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("a log that grows while it is opened stands at its offsets, and no line is lost",
              test_growth),
        NAMED("a log that just begins stands at its offsets from the first byte", test_beginning),
        NAMED("a log that is replaced begins anew, at the right byte", test_rotation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
