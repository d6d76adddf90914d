/*
 * What happens to the log's lines while a thread stands in write(2): a gate that is closed holds it
 * there.
 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/thread.h"

static char folder[] = "/tmp/cesid-test-log-output-XXXXXX";
static char path[64];
/* atomic */
static bool closed;  /* the gate */
static bool entered; /* a thread stands at it, or went through */
static int written;  /* writes of the thread that is_counted */
static int said;     /* lines of say_many() and of chatter() */
static bool chatting;
static _Thread_local bool is_counted;

static int get(const int *number)
{
    return __atomic_load_n(number, __ATOMIC_ACQUIRE);
}

static bool is_set(void *flag)
{
    return __atomic_load_n((bool *) flag, __ATOMIC_ACQUIRE);
}

static void set(bool *flag, bool value)
{
    __atomic_store_n(flag, value, __ATOMIC_RELEASE);
}

static bool said_three_more(void *before)
{
    return get(&said) >= *(int *) before + 3 || !is_set(&chatting);
}

/* In place of the C library's. */
ssize_t write(int fd, const void *data, size_t length)
{
    while (fd > STDERR_FILENO && is_set(&closed)) {
        set(&entered, true);
        rest();
    }
    if (is_counted) { /* slow enough that others have something to say meanwhile */
        int before = get(&said);

        __atomic_add_fetch(&written, 1, __ATOMIC_ACQ_REL);
        (void) eventually(said_three_more, &before);
    }
    return syscall(SYS_write, fd, data, length);
}

static int set_up(void **state)
{
    (void) state;
    closed = entered = chatting = false;
    written = said = 0;
    return log_open(path, LOG_FORMAT_TEXT);
}

static int tear_down(void **state)
{
    (void) state;
    set(&closed, false);
    set(&chatting, false);
    log_close();
    return unlink(path);
}

static void say_first(void *argument)
{
    (void) argument;
    log_info("x", "first");
}

static void stand_at_the_gate(struct thread *thread, void (*run)(void *argument))
{
    set(&entered, false);
    set(&closed, true);
    assert_int_equal(thread_start(thread, "test", "log", run, NULL), CESID_OK);
    assert_true(eventually(is_set, &entered));
}

#define MANY 25
#define FIT  2 /* of the lines of say_many(), into what may wait */

static void say_many(void *argument)
{
    char value[2000];

    (void) argument;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (int i = 0; i < MANY; i++) {
        log_info("x", "many", log_i("n", i), log_s("a", value), log_s("b", value),
                 log_s("c", value));
        __atomic_add_fetch(&said, 1, __ATOMIC_ACQ_REL);
    }
}

static bool all_that_fit_are_said(void *argument)
{
    (void) argument;
    return get(&said) >= FIT;
}

static void what_finds_no_room_waits_in_its_order(void **state)
{
    (void) state;
    struct thread first, many;
    char line[9000], expected[40];
    FILE *file;

    stand_at_the_gate(&first, say_first);
    assert_int_equal(thread_start(&many, "test", "log", say_many, NULL), CESID_OK);
    assert_true(eventually(all_that_fit_are_said, NULL));
    for (int i = 0; i < 20; i++)
        rest();
    assert_int_equal(get(&said), FIT);
    set(&closed, false);
    thread_join(&first);
    thread_join(&many);

    file = fopen(path, "r");
    assert_non_null(fgets(line, sizeof(line), file));
    assert_non_null(strstr(line, " first\n"));
    for (int i = 0; i < MANY; i++) {
        snprintf(expected, sizeof(expected), " many n=%d a=vv", i);
        assert_non_null(fgets(line, sizeof(line), file));
        assert_non_null(strstr(line, expected));
    }
    assert_null(fgets(line, sizeof(line), file));
    fclose(file);
}

static void say_three(void *argument)
{
    (void) argument;
    for (int i = 0; i < 3; i++)
        log_info("x", "lost");
}

static void limit_files(rlim_t size)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == RLIM_INFINITY ? limit.rlim_max : size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* As on a disk that is full after the first line and a part of the second. */
static void each_lost_line_of_several_is_counted(void **state)
{
    (void) state;
    struct thread first, three;
    char text[4096];
    size_t length;
    FILE *file;

    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        stand_at_the_gate(&first, say_first);
        assert_int_equal(thread_start(&three, "test", "log", say_three, NULL), CESID_OK);
        thread_join(&three);
        limit_files(50);
        set(&closed, false);
        thread_join(&first);
    }
    limit_files(RLIM_INFINITY);
    log_info("x", "there is room");

    file = fopen(path, "r");
    length = fread(text, 1, sizeof(text) - 1, file);
    text[length] = '\0';
    fclose(file);
    assert_non_null(strstr(text, " are lost lines=7\n"));
    assert_non_null(strstr(text, " there is room\n"));
}

static void chatter(void *argument)
{
    (void) argument;
    while (is_set(&chatting)) {
        log_info("x", "chatter");
        __atomic_add_fetch(&said, 1, __ATOMIC_ACQ_REL);
        rest();
    }
}

static void say_counted(void *argument)
{
    is_counted = true;
    log_info("x", "mine");
    set(argument, true);
}

static bool wrote_many(void *done)
{
    return is_set(done) || get(&written) > 10;
}

static void nobody_writes_for_others_for_ever(void **state)
{
    (void) state;
    struct thread counted, others[2];
    bool done = false;

    set(&chatting, true);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_int_equal(thread_start(&others[i], "test", "log", chatter, NULL), CESID_OK);
    assert_int_equal(thread_start(&counted, "test", "log", say_counted, &done), CESID_OK);
    assert_true(eventually(wrote_many, &done));
    set(&chatting, false);
    thread_join(&counted);
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        thread_join(&others[i]);
    assert_in_range(get(&written), 0, 10);
}

static void say_error(void *argument)
{
    log_error("x", "what broke");
    set(argument, true);
}

/* So that a program that ends itself after it has said why. */
static void an_error_is_written_when_it_was_said(void **state)
{
    (void) state;
    struct thread first, failing;
    bool done = false;

    stand_at_the_gate(&first, say_first);
    assert_int_equal(thread_start(&failing, "test", "log", say_error, &done), CESID_OK);
    for (int i = 0; i < 20; i++)
        rest();
    assert_false(is_set(&done));
    set(&closed, false);
    thread_join(&first);
    thread_join(&failing);
}

#define TEST(name, function)                                                                       \
    {                                                                                              \
        name, function, set_up, tear_down, NULL                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("log: what finds no room waits, in its order", what_finds_no_room_waits_in_its_order),
        TEST("log: each lost line of several is counted", each_lost_line_of_several_is_counted),
        TEST("log: nobody writes for others for ever", nobody_writes_for_others_for_ever),
        TEST("log: an error is written when it was said", an_error_is_written_when_it_was_said),
    };
    int failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/log", folder);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
