/*
 * The log: what a line looks like, that no bytes from elsewhere break out of it, who may speak at
 * which level, and that an output that fails hurts nobody. Lines go to a file of the test's own, on
 * a clock that stands still.
 */
#include "unit.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/text.h"
#include "cesid/thread.h"

#define TIME "2026-01-02T03:04:05.678Z"
#define LOST TIME " warning base lines of the log could not be written and are lost lines="

static char folder[] = "/tmp/cesid-test-log-XXXXXX";
static char path[64], rotated[64];
static char *content;
static int64_t fake_now = CLOCK_SECOND;

static int64_t monotonic(void)
{
    return fake_now;
}

static int64_t wall(void)
{
    return INT64_C(1767323045678);
}

static const struct clock_source fake = {monotonic, wall};

static int make_folder(void **state)
{
    (void) state;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(rotated, sizeof(rotated), "%s/log.1", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void) state;
    return rmdir(folder);
}

static int text_log(void **state)
{
    (void) state;
    clock_set_source(&fake);
    return log_open(path, LOG_FORMAT_TEXT);
}

static int json_log(void **state)
{
    (void) state;
    clock_set_source(&fake);
    return log_open(path, LOG_FORMAT_JSON);
}

static int end_log(void **state)
{
    (void) state;
    log_set_request(NULL);
    log_set_level(NULL, LOG_LEVEL_INFO);
    log_close();
    clock_set_source(NULL);
    free(content);
    content = NULL;
    unlink(path);
    unlink(rotated);
    return 0;
}

/* All that a file holds; valid until the next call. */
static const char *read_file(const char *name)
{
    FILE *file = fopen(name, "r");
    size_t size = 0, got;

    assert_non_null(file);
    free(content);
    content = NULL;
    do {
        content = realloc(content, size + 65537);
        assert_non_null(content);
        got = fread(content + size, 1, 65536, file);
        size += got;
    } while (got > 0);
    content[size] = '\0';
    assert_int_equal(strlen(content), size);
    fclose(file);
    return content;
}

static void assert_logged(const char *expected)
{
    assert_string_equal(read_file(path), expected);
    assert_int_equal(truncate(path, 0), 0);
}

/* The one line that was logged, as JSON; the caller deletes it. */
static cJSON *logged_json(void)
{
    const char *line = read_file(path);
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithOpts(line, &end, false);

    assert_true(cJSON_IsObject(object));
    assert_string_equal(end, "\n");
    assert_int_equal(truncate(path, 0), 0);
    return object;
}

static const char *json_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    assert_non_null(text);
    return text;
}

static void a_text_line_is_structured(void **state)
{
    (void) state;
    log_set_request("4711-abc");
    log_info("refresh", "node is down", log_s("node", "web-1"), log_s("cause", "refused"));
    assert_logged(TIME " info refresh node is down node=web-1 cause=refused request=4711-abc\n");
    log_set_request(NULL);
    log_warning("store", "slow statement", log_f("seconds", 1.25), log_i("rows", INT64_MIN));
    assert_logged(TIME " warning store slow statement seconds=1.25 rows=-9223372036854775808\n");
    log_error("main", "cannot start");
    assert_logged(TIME " error main cannot start\n");
}

static void text_values_are_quoted_where_needed(void **state)
{
    (void) state;
    log_info("x", "m", log_s("a", "two words"), log_s("b", ""), log_s("c", NULL), log_s("d", "k=v"),
             log_s("e", "say \"hi\""), log_s("f", "caf\xC3\xA9"), log_f("g", (double) NAN),
             log_f("h", (double) INFINITY));
    assert_logged(TIME " info x m a=\"two words\" b=\"\" c=null d=\"k=v\" e=\"say \\\"hi\\\"\" "
                       "f=caf\xC3\xA9 g=null h=null\n");
}

static void a_json_line_is_structured(void **state)
{
    (void) state;
    cJSON *line;

    log_set_request("4711-abc");
    log_warning("refresh", "node is down", log_s("node", "web-1"), log_s("cause", NULL),
                log_i("failures", 3), log_f("latency", 0.5), log_f("odd", (double) NAN));
    line = logged_json();
    assert_string_equal(json_text(line, "time"), TIME);
    assert_string_equal(json_text(line, "level"), "warning");
    assert_string_equal(json_text(line, "subsystem"), "refresh");
    assert_string_equal(json_text(line, "message"), "node is down");
    assert_string_equal(json_text(line, "node"), "web-1");
    assert_string_equal(json_text(line, "request_id"), "4711-abc");
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(line, "cause")));
    assert_true(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(line, "odd")));
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(line, "failures")->valueint, 3);
    assert_true(fabs(cJSON_GetObjectItemCaseSensitive(line, "latency")->valuedouble - 0.5) < 1e-9);
    assert_int_equal(cJSON_GetArraySize(line), 10);
    cJSON_Delete(line);

    log_set_request(NULL);
    log_error("main", "plain");
    assert_logged("{\"time\":\"" TIME "\",\"level\":\"error\",\"subsystem\":\"main\","
                  "\"message\":\"plain\"}\n");
}

static const char *const nasty[] = {
    "x\n" TIME " error auth forged line",
    "\x1b[2J\x1b]0;title\x07",
    "\xE2\x80\xAEreversed\xE2\x80\xA8next",
    "\xC2\x9B;31mred",
    "bad \xFF\xC3 bytes \xED\xA0\x80",
    "a\" level=\"error",
    "a\",\"level\":\"error",
    "back\\slash\\",
    "</script><script>",
    "\r\t\b\x7f",
};

/* Bytes that a terminal or a reader of lines takes for more than text. */
static void assert_one_clean_line(const char *line)
{
    size_t length = strlen(line);

    assert_true(length > 0 && length <= 8192);
    assert_true(text_is_utf8(line, length));
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
    for (size_t i = 0; i + 1 < length; i++)
        assert_true((unsigned char) line[i] >= 0x20 && line[i] != 0x7F);
    assert_null(strstr(line, "\xC2\x9B"));
    assert_null(strstr(line, "\xE2\x80\xAE"));
    assert_null(strstr(line, "\xE2\x80\xA8"));
}

static void peer_bytes_stay_inside_their_value(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(nasty); i++) {
        log_info("rpc", "answer", log_s("text", nasty[i]), log_i("after", 1));
        assert_one_clean_line(read_file(path));
        assert_non_null(strstr(content, " after=1\n"));
        assert_int_equal(truncate(path, 0), 0);
    }
    log_info("rpc", "answer", log_s("text", nasty[0]));
    assert_logged(TIME " info rpc answer text=\"x\\x0a" TIME " error auth forged line\"\n");
    log_info("rpc", "answer", log_s("text", nasty[5]));
    assert_logged(TIME " info rpc answer text=\"a\\\" level=\\\"error\"\n");
}

static void peer_bytes_stay_inside_their_json_string(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(nasty); i++) {
        bool repaired = !text_is_utf8(nasty[i], strlen(nasty[i]));
        cJSON *line;

        log_info("rpc", "answer", log_s("text", nasty[i]));
        assert_one_clean_line(read_file(path));
        line = logged_json();
        assert_int_equal(cJSON_GetArraySize(line), 5);
        assert_string_equal(json_text(line, "level"), "info");
        if (!repaired)
            assert_string_equal(json_text(line, "text"), nasty[i]);
        cJSON_Delete(line);
    }
}

static void a_request_id_cannot_break_out_either(void **state)
{
    (void) state;
    char huge[300];

    log_set_request("a\nb\" c");
    log_info("http", "odd");
    assert_logged(TIME " info http odd request=a\\x0ab\" c\n");
    memset(huge, 1, sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    log_set_request(huge);
    log_info("http", "odd");
    assert_one_clean_line(read_file(path));
}

static void log_once(void *argument)
{
    log_info("other", argument);
}

static void lines_carry_the_request_of_their_thread(void **state)
{
    (void) state;
    struct thread other;

    log_set_request("first");
    log_error("store", "statement failed");
    assert_int_equal(thread_start(&other, "test", "other", log_once, "elsewhere"), 0);
    thread_join(&other);
    log_set_request("second");
    log_error("store", "statement failed");
    log_set_request(NULL);
    log_error("store", "statement failed");
    assert_logged(TIME " error store statement failed request=first\n" TIME
                       " info other elsewhere\n" TIME
                       " error store statement failed request=second\n" TIME
                       " error store statement failed\n");
}

static void work_takes_its_request_along(void **state)
{
    (void) state;
    struct log_context context;

    log_set_request("first");
    log_set_trace("0af7651916cd43dd8448eb211c80319c");
    context = log_context();
    log_set_request("second");
    log_swap(&context);
    log_error("rpc", "a call ended");
    log_swap(&context);
    log_error("rpc", "a call ended");
    log_set_request(NULL);
    log_error("rpc", "a call ended");
    assert_logged(
        TIME " error rpc a call ended request=first trace=0af7651916cd43dd8448eb211c80319c\n" TIME
             " error rpc a call ended request=second\n" TIME " error rpc a call ended\n");
}

static void levels_are_kept(void **state)
{
    (void) state;
    int asked = 0;

    log_debug("x", "not said", log_i("asked", ++asked));
    assert_int_equal(asked, 0);
    log_set_level(NULL, LOG_LEVEL_WARNING);
    log_info("x", "not said");
    log_warning("x", "warning");
    log_error("x", "error");
    log_set_level(NULL, LOG_LEVEL_ERROR);
    log_warning("x", "not said");
    log_set_level(NULL, LOG_LEVEL_DEBUG);
    log_debug("x", "debug", log_i("asked", ++asked));
    assert_logged(TIME " warning x warning\n" TIME " error x error\n" TIME
                       " debug x debug asked=1\n");
}

static void a_subsystem_may_have_its_own_level(void **state)
{
    (void) state;
    char name[16];

    assert_true(log_set_level("rpc", LOG_LEVEL_DEBUG));
    assert_true(log_set_level("hub", LOG_LEVEL_ERROR));
    assert_true(log_enabled(LOG_LEVEL_DEBUG, "rpc"));
    assert_false(log_enabled(LOG_LEVEL_WARNING, "hub"));
    assert_true(log_enabled(LOG_LEVEL_INFO, "store"));
    assert_false(log_enabled(LOG_LEVEL_DEBUG, "store"));
    assert_int_equal(log_level_of("rpc"), LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_of("store"), LOG_LEVEL_INFO);
    assert_int_equal(log_level_of(NULL), LOG_LEVEL_INFO);
    log_debug("rpc", "said");
    log_info("hub", "not said");
    assert_logged(TIME " debug rpc said\n");

    assert_true(log_set_level("rpc", LOG_LEVEL_ERROR));
    assert_false(log_enabled(LOG_LEVEL_INFO, "rpc"));
    assert_true(log_set_level(NULL, LOG_LEVEL_INFO));
    assert_true(log_enabled(LOG_LEVEL_INFO, "rpc"));
    assert_true(log_enabled(LOG_LEVEL_INFO, "hub"));
    assert_false(log_enabled(LOG_LEVEL_DEBUG, "rpc"));

    for (int i = 0; i < 32; i++) {
        snprintf(name, sizeof(name), "s%d", i);
        assert_true(log_set_level(name, LOG_LEVEL_DEBUG));
    }
    assert_false(log_set_level("one-more", LOG_LEVEL_DEBUG));
    assert_true(log_set_level("s7", LOG_LEVEL_ERROR));
    log_set_level(NULL, LOG_LEVEL_INFO);
    assert_false(log_set_level("a-name-that-is-longer-than-any-subsystem-has", LOG_LEVEL_DEBUG));
    assert_int_equal(log_level_of("s7"), LOG_LEVEL_INFO);
}

static void levels_have_names(void **state)
{
    (void) state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level;

    for (int i = 0; i < LOG_LEVELS; i++) {
        assert_string_equal(log_level_name((enum log_level) i), names[i]);
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse("INFO", &level));
    assert_false(log_level_parse("", &level));
    assert_false(log_level_parse("trace", &level));
}

static void lines_are_counted_by_level(void **state)
{
    (void) state;
    uint64_t errors = log_count(LOG_LEVEL_ERROR), infos = log_count(LOG_LEVEL_INFO),
             debugs = log_count(LOG_LEVEL_DEBUG);

    log_error("x", "one");
    log_error("x", "two");
    log_info("x", "three");
    log_debug("x", "not said");
    assert_int_equal(log_count(LOG_LEVEL_ERROR), errors + 2);
    assert_int_equal(log_count(LOG_LEVEL_INFO), infos + 1);
    assert_int_equal(log_count(LOG_LEVEL_DEBUG), debugs);
}

static void log_at_length(const char *value)
{
    log_info("x", "long", log_s("a", value), log_s("b", value), log_s("c", value),
             log_s("d", value), log_s("e", value), log_i("last", 1));
}

static void a_long_line_is_cut_whole(void **state)
{
    (void) state;
    static const char *const patterns[] = {"x", "\x1b", "\xC3\xA9", "\"", " y"};

    log_set_request("kept");
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        char value[20001];

        for (size_t at = 0; at < sizeof(value) - 1; at++)
            value[at] = patterns[i][at % strlen(patterns[i])];
        value[sizeof(value) - 1] = '\0';
        log_at_length(value);
        assert_one_clean_line(read_file(path));
        assert_non_null(strstr(content, " request=kept\n"));
        assert_int_equal(truncate(path, 0), 0);
    }
}

static void a_long_json_line_is_still_json(void **state)
{
    (void) state;
    static const char *const patterns[] = {"x", "\x1b", "\xC3\xA9", "\"", "\xFF"};

    log_set_request("kept");
    for (size_t i = 0; i < ARRAY_LENGTH(patterns); i++) {
        char value[20001];
        cJSON *line;

        for (size_t at = 0; at < sizeof(value) - 1; at++)
            value[at] = patterns[i][at % strlen(patterns[i])];
        value[sizeof(value) - 1] = '\0';
        log_at_length(value);
        assert_one_clean_line(read_file(path));
        line = logged_json();
        assert_string_equal(json_text(line, "request_id"), "kept");
        assert_string_equal(json_text(line, "message"), "long");
        cJSON_Delete(line);
    }
}

static void more_fields_than_fit_do_no_harm(void **state)
{
    (void) state;
    log_info("x", "m", log_i("a", 1), log_i("a", 2), log_i("a", 3), log_i("a", 4), log_i("a", 5),
             log_i("a", 6), log_i("a", 7), log_i("a", 8), log_i("a", 9), log_i("a", 10),
             log_i("a", 11), log_i("a", 12), log_i("a", 13), log_i("a", 14), log_i("a", 15),
             log_i("a", 16), log_i("a", 17));
    assert_non_null(strstr(read_file(path), " a=15 a=16\n"));
}

#define WRITERS 4
#define LINES   250

static void write_many(void *argument)
{
    for (int i = 0; i < LINES; i++)
        log_info("many", "line", log_i("writer", *(const int *) argument), log_i("number", i),
                 log_s("end", "here"));
}

static void lines_of_many_threads_never_mix(void **state)
{
    (void) state;
    struct thread threads[WRITERS];
    int numbers[WRITERS], next[WRITERS] = {0}, lines = 0;
    char *rest_of_file, *line;

    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        assert_int_equal(thread_start(&threads[i], "test", "log", write_many, &numbers[i]), 0);
    }
    for (int i = 0; i < 50; i++) { /* rotated under their hands */
        log_set_level("many", i % 2 == 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
        assert_int_equal(log_reopen(), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    read_file(path);
    rest_of_file = content;
    while ((line = strsep(&rest_of_file, "\n")) != NULL && *line != '\0') {
        char expected[160];
        char *writer = strstr(line, "writer=");
        long which;

        assert_non_null(writer);
        which = strtol(writer + 7, NULL, 10);
        assert_in_range(which, 0, WRITERS - 1);
        snprintf(expected, sizeof(expected), TIME " info many line writer=%ld number=%d end=here",
                 which, next[which]++);
        assert_string_equal(line, expected);
        lines++;
    }
    assert_int_equal(lines, WRITERS * LINES);
}

static void rotated_it_goes_on_in_a_new_file(void **state)
{
    (void) state;
    log_info("x", "one");
    assert_int_equal(rename(path, rotated), 0);
    log_info("x", "two");
    assert_int_equal(log_reopen(), 0);
    log_info("x", "three");
    assert_logged(TIME " info x three\n");
    assert_string_equal(read_file(rotated), TIME " info x one\n" TIME " info x two\n");
}

static void appends_and_is_private(void **state)
{
    (void) state;
    mode_t mask = umask(0);
    struct stat status;

    log_info("x", "one");
    assert_int_equal(log_open(path, LOG_FORMAT_TEXT), 0);
    log_info("x", "two");
    assert_logged(TIME " info x one\n" TIME " info x two\n");
    unlink(path);
    assert_int_equal(log_reopen(), 0);
    umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
}

static void a_failed_open_keeps_the_old_output(void **state)
{
    (void) state;
    char elsewhere[96];

    snprintf(elsewhere, sizeof(elsewhere), "%s/none/log", folder);
    errno = 0;
    assert_int_equal(log_open(elsewhere, LOG_FORMAT_JSON), CESID_E_INTERNAL);
    assert_int_equal(errno, ENOENT);
    log_info("x", "still here");
    assert_logged(TIME " info x still here\n");

    assert_int_equal(rename(path, rotated), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(log_reopen(), CESID_E_INTERNAL);
    assert_int_equal(errno, EISDIR);
    log_info("x", "still there");
    assert_int_equal(rmdir(path), 0);
    assert_string_equal(read_file(rotated), TIME " info x still there\n");
}

static void a_full_disk_hurts_nobody(void **state)
{
    (void) state;
    uint64_t before = log_count(LOG_LEVEL_ERROR);

    assert_int_equal(log_open("/dev/full", LOG_FORMAT_TEXT), 0);
    errno = EDOM;
    log_error("x", "lost");
    assert_int_equal(errno, EDOM);
    assert_int_equal(log_count(LOG_LEVEL_ERROR), before + 1);
    assert_int_equal(log_open(path, LOG_FORMAT_TEXT), 0);
    log_error("x", "not lost");
    assert_logged(LOST "1\n" TIME " error x not lost\n");
}

/* What happens on a disk with room for 100 bytes more, and then for all. */
static void log_into_a_small_file(void)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(1);
    limit.rlim_cur = 100;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
    log_error("x", "whole");
    log_error("x", "cut in half, because the file may not become any longer than it is allowed to");
    log_error("x", "lost");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(3);
    log_error("x", "there is room again");
}

static void a_disk_that_was_full_leaves_whole_lines(void **state)
{
    (void) state;
    char output[64];
    const char *text;
    int status;

    run_in_child(log_into_a_small_file, output, sizeof(output), &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    text = read_file(path);
    assert_memory_equal(text, TIME " error x whole\n", strlen(TIME " error x whole\n"));
    assert_string_equal(text + 100, "\n" LOST "2\n" TIME " error x there is room again\n");
}

static void log_into_a_full_pipe(void)
{
    int ends[2];
    char drained[65536];
    ssize_t got;
    int64_t begin;

    log_close();
    if (pipe2(ends, O_NONBLOCK) != 0)
        _exit(1);
    memset(drained, 'x', sizeof(drained));
    while (write(ends[1], drained, sizeof(drained)) > 0)
        continue;
    if (fcntl(ends[1], F_SETFL, 0) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
        _exit(2);
    begin = real_now();
    for (int i = 0; i < 1000; i++)
        log_error("x", "nobody listens");
    if (real_now() - begin > INT64_C(20000000000))
        _exit(3);
    while (read(ends[0], drained, sizeof(drained)) > 0)
        continue;
    log_error("x", "somebody listens");
    got = read(ends[0], drained, sizeof(drained) - 1);
    drained[got > 0 ? got : 0] = '\0';
    if (strcmp(drained, LOST "1000\n" TIME " error x somebody listens\n") != 0)
        _exit(4);
}

static void a_pipe_that_nobody_reads_stalls_nobody(void **state)
{
    (void) state;
    char output[4096];
    int status;

    run_in_child(log_into_a_full_pipe, output, sizeof(output), &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void say_long(void *argument)
{
    char value[2000];

    (void) argument;
    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    log_info("x", "long", log_s("a", value), log_s("b", value), log_s("c", value));
}

static void say_short(void *argument)
{
    log_info("x", "short");
    __atomic_store_n((bool *) argument, true, __ATOMIC_RELEASE);
}

static bool is_set(void *argument)
{
    return __atomic_load_n((bool *) argument, __ATOMIC_ACQUIRE);
}

static bool has_no_room(void *argument)
{
    struct pollfd room = {.fd = *(int *) argument, .events = POLLOUT};

    return poll(&room, 1, 0) == 0;
}

/* The writer stands in write(2), because there is room for one page and its line is longer. */
static void one_writer_that_is_stuck_holds_nobody_up(void **state)
{
    (void) state;
    struct thread stuck, other;
    char text[16000];
    bool done = false;
    size_t length = 0;
    int ends[2];

    assert_int_equal(mkfifo(rotated, 0600), 0);
    ends[0] = open(rotated, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ends[1] = open(rotated, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fcntl(ends[0], F_SETPIPE_SZ, 8192) == 8192);
    memset(text, 'f', sizeof(text));
    assert_int_equal(write(ends[1], text, 4096), 4096);
    assert_int_equal(log_open(rotated, LOG_FORMAT_TEXT), 0);

    assert_int_equal(thread_start(&stuck, "test", "log", say_long, NULL), 0);
    assert_true(eventually(has_no_room, &ends[1]));
    assert_int_equal(thread_start(&other, "test", "log", say_short, &done), 0);
    assert_true(eventually(is_set, &done));
    thread_join(&other);
    log_info("x", "another");
    while (length < 4096 || strstr(text + 4096, "another\n") == NULL) {
        ssize_t got = read(ends[0], text + length, sizeof(text) - 1 - length);

        length += got > 0 ? (size_t) got : 0;
        text[length] = '\0';
        assert_true(got != 0 && length < sizeof(text) - 1);
        rest();
    }
    thread_join(&stuck);
    assert_memory_equal(text + 4096, TIME " info x long a=v", strlen(TIME " info x long a=v"));
    assert_non_null(strstr(text, "v\n" TIME " info x short\n" TIME " info x another\n"));
    close(ends[0]);
    close(ends[1]);
}

static void log_under_a_lock(void)
{
    struct lock lock;

    lock_init(&lock, LOCK_THREADS);
    lock_acquire(&lock);
    log_close();
    log_error("x", "said to standard error");
    lock_release(&lock);
}

static void may_be_called_under_any_lock(void **state)
{
    (void) state;
    char output[4096];
    int status;

    run_in_child(log_under_a_lock, output, sizeof(output), &status);
    assert_true(WIFEXITED(status));
    assert_string_equal(output, TIME " error x said to standard error\n");
}

static void a_repeating_failure_is_told_ever_less_often(void **state)
{
    (void) state;
    struct log_repeat repeat = {0};
    uint64_t failures;

    assert_false(log_repeat_recovered(&repeat, &failures));
    for (unsigned i = 1; i <= 1000; i++) {
        bool power_of_two = (i & (i - 1)) == 0;

        assert_int_equal(log_repeat_failed(&repeat), power_of_two);
    }
    fake_now += 3599 * CLOCK_SECOND;
    assert_false(log_repeat_failed(&repeat));
    fake_now += CLOCK_SECOND;
    assert_true(log_repeat_failed(&repeat));
    assert_false(log_repeat_failed(&repeat));
    assert_true(log_repeat_recovered(&repeat, &failures));
    assert_int_equal(failures, 1003);
    assert_false(log_repeat_recovered(&repeat, &failures));
    assert_true(log_repeat_failed(&repeat));
}

#define TEXT(name, function)                                                                       \
    {                                                                                              \
        name, function, text_log, end_log, NULL                                                    \
    }
#define JSON(name, function)                                                                       \
    {                                                                                              \
        name, function, json_log, end_log, NULL                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEXT("R10.5 a text line is structured", a_text_line_is_structured),
        TEXT("R10.5 text values are quoted where needed", text_values_are_quoted_where_needed),
        JSON("R10.5 a JSON line is structured", a_json_line_is_structured),
        TEXT("R10.5 levels are kept", levels_are_kept),
        TEXT("R10.5 a subsystem may have its own level", a_subsystem_may_have_its_own_level),
        TEXT("log: levels have names", levels_have_names),
        TEXT("log: lines are counted by level", lines_are_counted_by_level),
        TEXT("R9.5 peer bytes stay inside their value", peer_bytes_stay_inside_their_value),
        JSON("R9.5 peer bytes stay inside their JSON string",
             peer_bytes_stay_inside_their_json_string),
        TEXT("R9.5 a request id cannot break out either", a_request_id_cannot_break_out_either),
        TEXT("R10.2 lines carry the request of their thread",
             lines_carry_the_request_of_their_thread),
        TEXT("R10.2 work takes its request and its trace along", work_takes_its_request_along),
        TEXT("R10.2 a long line is cut, its request is kept", a_long_line_is_cut_whole),
        JSON("R10.2 a long JSON line is still JSON", a_long_json_line_is_still_json),
        TEXT("log: more fields than fit do no harm", more_fields_than_fit_do_no_harm),
        TEXT("log: lines of many threads never mix", lines_of_many_threads_never_mix),
        TEXT("log: rotated, it goes on in a new file", rotated_it_goes_on_in_a_new_file),
        TEXT("log: appends and is private", appends_and_is_private),
        TEXT("log: a failed open keeps the old output", a_failed_open_keeps_the_old_output),
        TEXT("log: a full disk hurts nobody", a_full_disk_hurts_nobody),
        TEXT("log: a disk that was full leaves whole lines",
             a_disk_that_was_full_leaves_whole_lines),
        TEXT("log: a pipe that nobody reads stalls nobody", a_pipe_that_nobody_reads_stalls_nobody),
        TEXT("log: a writer that is stuck holds nobody up",
             one_writer_that_is_stuck_holds_nobody_up),
        TEXT("log: may be called under any lock", may_be_called_under_any_lock),
        TEXT("log: a repeating failure is told ever less often",
             a_repeating_failure_is_told_ever_less_often),
    };
    return cmocka_run_group_tests_name("log", tests, make_folder, remove_folder);
}
