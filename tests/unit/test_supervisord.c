/*
 * The supervisor client with a real supervisord on a unix socket: what its documentation does not
 * say, most of all about logs. Skipped where supervisord is not installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/process_scan.h"
#include "cesid/rpc.h"
#include "cesid/supervisor.h"
#include "cesid/text.h"

#define SUPERVISORD "/usr/bin/supervisord"
#define PATIENCE    30.0 /* seconds; the machine may be busy */

static struct {
    char folder[32];
    char idle_log[64];
    pid_t pid;
    struct rpc_engine *engine;
    struct rpc_endpoint *endpoint;
    struct config config;
    size_t scanned; /* processes; written on the loop thread, read after the call */
} house;

static void write_file(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, length), length);
    close(fd);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* A call with up to two string arguments. */
static int call(const char *method, const char *first, const char *second,
                struct supervisor_result *result)
{
    struct supervisor_call request;
    supervisor_call_init(&request, method, &house.config, PATIENCE);
    if (first != NULL)
        xmlrpc_add_string(&request.body, first, strlen(first));
    if (second != NULL)
        xmlrpc_add_string(&request.body, second, strlen(second));
    int error = supervisor_wait(house.endpoint, &request, NULL, NULL, result);
    supervisor_call_destroy(&request);
    return error;
}

static int outcome(const char *method, const char *name)
{
    struct supervisor_result result;
    int error = call(method, name, NULL, &result);
    supervisor_result_free(&result);
    return error;
}

static const char configuration[] =
    "[supervisord]\nlogfile=%(here)s/main.log\npidfile=%(here)s/pid\nchildlogdir=%(here)s\n"
    "[unix_http_server]\nfile=%(here)s/sock\n"
    "[rpcinterface:supervisor]\n"
    "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
    "[program:cat]\ncommand=/bin/cat\nstdout_logfile=%(here)s/cat.out\n"
    "[program:idle]\ncommand=/bin/sleep 100000\nstdout_logfile=%(here)s/idle.out\n"
    "[program:mute]\ncommand=/bin/sleep 100000\nstdout_logfile=NONE\n"
    "[program:ghost]\ncommand=/nonexistent\nautostart=false\n"
    "[program:web]\ncommand=/bin/sleep 100000\nnumprocs=2\n"
    "process_name=web_%(process_num)02d\n";

static int set_up(void **state)
{
    (void) state;
    if (access(SUPERVISORD, X_OK) != 0)
        return 0;
    snprintf(house.folder, sizeof(house.folder), "/tmp/cesid-test-XXXXXX");
    assert_non_null(mkdtemp(house.folder));
    snprintf(house.idle_log, sizeof(house.idle_log), "%s/idle.out", house.folder);
    char path[64];
    snprintf(path, sizeof(path), "%s/conf", house.folder);
    write_file(path, configuration, sizeof(configuration) - 1);
    house.pid = fork();
    assert_true(house.pid >= 0);
    if (house.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        int sink = open("/dev/null", O_WRONLY);
        dup2(sink, STDOUT_FILENO);
        dup2(sink, STDERR_FILENO);
        execl(SUPERVISORD, SUPERVISORD, "-n", "-c", path, (char *) NULL);
        _exit(127);
    }

    house.config = (struct config){
        .refresh = {.answer_max = 16 << 20, .processes_max = 100},
        .timeouts = {.connect = 2, .log = PATIENCE},
    };
    char url[64];
    snprintf(url, sizeof(url), "unix://%s/sock", house.folder);
    const struct config_node node = {.name = (char *) "test",
                                     .environment = (char *) "test",
                                     .url = url,
                                     .username = (char *) "",
                                     .ca_file = (char *) "",
                                     .verify = true,
                                     .enabled = true};
    house.engine = rpc_engine_create(1);
    assert_int_equal(rpc_engine_start(house.engine), 0);
    house.endpoint = rpc_endpoint_create(house.engine, &node);

    int64_t deadline = clock_after(PATIENCE);
    while (outcome("supervisor.getState", NULL) != 0) {
        assert_true(clock_now() < deadline);
        nap();
    }
    while (outcome("supervisor.startProcess", "idle") != CESID_E_ALREADY_STARTED) {
        assert_true(clock_now() < deadline);
        nap();
    }
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void) status, (void) type, (void) walk;
    return remove(path);
}

static int tear_down(void **state)
{
    (void) state;
    if (house.pid <= 0)
        return 0;
    kill(house.pid, SIGTERM);
    waitpid(house.pid, NULL, 0);
    rpc_endpoint_unref(&house.endpoint);
    rpc_engine_stop(house.engine);
    rpc_engine_destroy(&house.engine);
    nftw(house.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void need_supervisord(void)
{
    if (house.pid <= 0)
        skip();
}

static void processes_are_read(void **state)
{
    (void) state;
    need_supervisord();
    struct supervisor_result result;
    assert_int_equal(call("supervisor.getAllProcessInfo", NULL, NULL, &result), 0);
    assert_int_equal(result.answer.value->as.items.count, 6);
    int webs = 0;
    for (const struct xmlrpc_value *i = result.answer.value->as.items.first; i != NULL;
         i = i->next) {
        struct supervisor_process process;
        assert_true(supervisor_read_process(i, &process));
        assert_true(process.now > 1600000000);
        if (strcmp(process.group, "web") == 0)
            webs++;
        if (strcmp(process.name, "idle") == 0) {
            assert_true(process.pid > 0 && process.start > 1600000000);
            assert_string_equal(process.stdout_log, house.idle_log);
        }
    }
    assert_int_equal(webs, 2);
    supervisor_result_free(&result);
}

/* Says no, but notes whether the answer could be scanned to its end. */
static bool scans(void *argument, const char *body, size_t length)
{
    (void) argument;
    struct process_scan scan;
    struct scanned_process process;
    house.scanned = 0;
    if (!process_scan_begin(&scan, body, length))
        return false;
    while (process_scan_next(&scan, &process))
        house.scanned++;
    if (!process_scan_end(&scan))
        house.scanned = 0;
    return false;
}

static void processes_are_scanned(void **state)
{
    (void) state;
    need_supervisord();
    struct supervisor_result result;
    struct supervisor_call request;
    supervisor_call_init(&request, "supervisor.getAllProcessInfo", &house.config, PATIENCE);
    request.familiar = scans;
    assert_int_equal(supervisor_wait(house.endpoint, &request, NULL, NULL, &result), 0);
    supervisor_call_destroy(&request);
    assert_false(result.familiar);
    assert_int_equal(result.answer.value->as.items.count, 6);
    assert_int_equal(house.scanned, 6);
    supervisor_result_free(&result);
}

static void actions_and_their_faults(void **state)
{
    (void) state;
    need_supervisord();
    assert_int_equal(outcome("supervisor.startProcess", "web:web_00"), CESID_E_ALREADY_STARTED);
    assert_int_equal(outcome("supervisor.stopProcess", "web:web_00"), 0);
    assert_int_equal(outcome("supervisor.stopProcess", "web:web_00"), CESID_E_NOT_RUNNING);
    assert_int_equal(outcome("supervisor.startProcess", "web:web_00"), 0);
    assert_int_equal(outcome("supervisor.startProcess", "nobody"), CESID_E_NOT_FOUND);
    assert_int_equal(outcome("supervisor.stopProcessGroup", "web"), 0);
    assert_int_equal(outcome("supervisor.startProcessGroup", "web"), 0);
    struct supervisor_result result;
    assert_int_equal(call("supervisor.signalProcess", "idle", "NONSENSE", &result),
                     CESID_E_NODE_FAULT);
    assert_int_equal(result.answer.fault_code, FAULT_BAD_SIGNAL);
    supervisor_result_free(&result);
    assert_int_equal(call("supervisor.startProcess", "ghost", NULL, &result), CESID_E_NODE_FAULT);
    assert_int_equal(result.answer.fault_code, FAULT_NO_FILE);
    assert_non_null(strstr(result.detail, "NO_FILE"));
    supervisor_result_free(&result);
    assert_int_equal(call("supervisor.noSuchMethod", NULL, NULL, &result), CESID_E_NODE_FAULT);
    assert_int_equal(result.answer.fault_code, FAULT_UNKNOWN_METHOD);
    supervisor_result_free(&result);
}

static int read_log(const char *process, const char *stream, int64_t offset, int64_t length,
                    struct supervisor_log *log, struct supervisor_result *result)
{
    return supervisor_read_log(house.endpoint, &house.config, process, stream, offset, length, NULL,
                               NULL, NULL, log, result);
}

static void expect_bytes(const struct supervisor_log *log, const char *data)
{
    assert_int_equal(log->data.length, log->next - log->offset);
    assert_memory_equal(log->data.data, data + log->offset, log->data.length);
}

/* The log as it should be read from there. */
static void expect_log(const char *data, size_t size, int64_t offset, int64_t length,
                       size_t expected_from)
{
    struct supervisor_log log;
    struct supervisor_result result;
    assert_int_equal(read_log("idle:idle", "stdout", offset, length, &log, &result), 0);
    assert_int_equal(log.size, size);
    assert_int_equal(log.offset, expected_from);
    assert_false(log.truncated);
    expect_bytes(&log, data);
    supervisor_log_free(&log);
    supervisor_result_free(&result);
}

static void keystrokes_come_back_in_the_log(void **state)
{
    (void) state;
    need_supervisord();
    static const char text[] = "caf\xC3\xA9 <&> \x1b[31mred\x1b[0m\x07\r\nnext\r\n";
    assert_int_equal(outcome("supervisor.startProcess", "cat"), CESID_E_ALREADY_STARTED);
    struct supervisor_result result;
    assert_int_equal(call("supervisor.sendProcessStdin", "cat:cat", text, &result), 0);
    supervisor_result_free(&result);
    int64_t deadline = clock_after(PATIENCE);
    for (bool seen = false; !seen; nap()) {
        struct supervisor_log log;
        assert_true(clock_now() < deadline);
        assert_int_equal(read_log("cat", "stdout", 0, 1000, &log, &result), 0);
        seen = log.size >= (int64_t) sizeof(text) - 1;
        if (seen) {
            assert_int_equal(log.data.length, sizeof(text) - 1);
            assert_string_equal(log.data.data, text);
            assert_int_equal(log.next, sizeof(text) - 1);
        }
        supervisor_log_free(&log);
        supervisor_result_free(&result);
    }
}

static void ranges_are_clamped(void **state)
{
    (void) state;
    need_supervisord();
    static const char text[] = "0123456789";
    write_file(house.idle_log, text, 10);
    expect_log(text, 10, 0, 10, 0);
    expect_log(text, 10, 3, 4, 3);
    expect_log(text, 10, -4, 100, 6);
    expect_log(text, 10, -100, 5, 0);
    expect_log(text, 10, INT64_MIN, 5, 0);
    expect_log(text, 10, 50, 5, 10);
    expect_log(text, 10, INT64_MAX, INT64_MAX, 10);
    expect_log(text, 10, 5, 0, 5);
    write_file(house.idle_log, "", 0);
    expect_log("", 0, -100, 100, 0);
}

static void every_byte_is_read(void **state)
{
    (void) state;
    need_supervisord();
    char data[300];
    size_t size = 0;
    for (int c = 0; c < 0x80; c++)
        data[size++] = (char) c;
    memcpy(data + size, "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x90\x88\xEF\xBF\xBD", 12);
    size += 12;
    write_file(house.idle_log, data, size);
    expect_log(data, size, 0, 1000, 0);
    /* from and to the middle of a character */
    for (int64_t from = 126; from < 141; from++)
        for (int64_t to = from; to < 141; to++)
            expect_log(data, size, from, to - from, (size_t) from);
    /* from the end nobody meant to begin there */
    expect_log(data, size, -3, 100, size - 3);
    expect_log(data, size, -2, 100, size);
    expect_log(data, size, -6, 100, size - 3);
    expect_log(data, size, -7, 100, size - 7);
    expect_log(data, size, -9, 100, size - 7);
    /* each byte that is never part of UTF-8 */
    size = 0;
    for (int c = 0xF5; c <= 0xFF; c++)
        data[size++] = (char) c;
    write_file(house.idle_log, data, size);
    expect_log(data, size, 0, 1000, 0);
}

static void some_wrong_bytes_in_much_text(void **state)
{
    (void) state;
    need_supervisord();
    size_t size = 600000;
    char *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++)
        data[i] = "gr\xC3\xBC\xC3\x9F dich, \xE2\x82\xAC\x1b[0m\r\n"[i % 22];
    for (size_t i = 5000; i < size; i += 20000)
        data[i] = '\xFF';
    write_file(house.idle_log, data, size);
    expect_log(data, size, -65536, 65536, size - 65536);
    expect_log(data, size, 0, (int64_t) size, 0);
    free(data);
}

static void garbage_is_read_as_far_as_effort_reaches(void **state)
{
    (void) state;
    need_supervisord();
    char data[40000];
    unsigned seed = 9;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char) rand_r(&seed);
    write_file(house.idle_log, data, sizeof(data));
    for (int from_end = 0; from_end < 2; from_end++) {
        struct supervisor_log log;
        struct supervisor_result result;
        int64_t offset = from_end ? -(int64_t) sizeof(data) : 0;
        assert_int_equal(read_log("idle", "stdout", offset, sizeof(data), &log, &result), 0);
        assert_true(log.truncated);
        assert_in_range(log.next - log.offset, 4000, sizeof(data) - 1);
        assert_true(from_end ? log.next == log.size : log.offset == 0);
        struct strbuf got, want;
        strbuf_init(&got, 1 << 20);
        strbuf_init(&want, 1 << 20);
        text_add_utf8(&got, log.data.data, log.data.length);
        text_add_utf8(&want, data + log.offset, (size_t) (log.next - log.offset));
        assert_int_equal(got.length, want.length);
        assert_memory_equal(got.data, want.data, want.length);
        strbuf_destroy(&got);
        strbuf_destroy(&want);
        supervisor_log_free(&log);
        supervisor_result_free(&result);
    }
}

/* Their size does not fit into supervisord's answer. */
static void logs_beyond_two_gigabytes(void **state)
{
    (void) state;
    need_supervisord();
    static const char end[] = "the end of a long story\n";
    int64_t hole = INT64_C(5000000000);
    write_file(house.idle_log, "", 0);
    int fd = open(house.idle_log, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, end, sizeof(end) - 1, hole), sizeof(end) - 1);
    close(fd);
    struct supervisor_log log;
    struct supervisor_result result;
    assert_int_equal(read_log("idle", "stdout", -10, 100, &log, &result), 0);
    assert_int_equal(log.size, hole + (int64_t) sizeof(end) - 1);
    assert_string_equal(log.data.data, end + sizeof(end) - 1 - 10);
    assert_int_equal(log.next, log.size);
    supervisor_log_free(&log);
    supervisor_result_free(&result);
    /* Nobody tells the byte, but the rest. */
    fd = open(house.idle_log, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\xFC", 1, hole + 4), 1);
    close(fd);
    assert_int_equal(read_log("idle", "stdout", -24, 24, &log, &result), 0);
    assert_string_equal(log.data.data, "the \xEF\xBF\xBDnd of a long story\n");
    supervisor_log_free(&log);
    supervisor_result_free(&result);
    write_file(house.idle_log, "", 0);
}

static void *append(void *argument)
{
    static const char line[] = "and a line more, of plain text that goes on for a hundred bytes or "
                               "so, as programs write it\n";
    atomic_bool *over = argument;
    int fd = open(house.idle_log, O_WRONLY | O_APPEND | O_CLOEXEC);
    while (!atomic_load(over)) {
        CHECK(write(fd, line, sizeof(line) - 1) == sizeof(line) - 1);
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    close(fd);
    return NULL;
}

/* Its end is at another place with each call. */
static void logs_that_grow_and_are_not_utf_8(void **state)
{
    (void) state;
    need_supervisord();
    static char data[100000];
    for (size_t i = 0; i + 50 < sizeof(data); i += 50)
        (void) snprintf(data + i, sizeof(data) - i, "%8zu %s\n%32s", i,
                        i % 250 == 0 ? "f\xFCr alle" : "for all", "");
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = data[i] == '\0' ? ' ' : data[i];
    for (int i = 0; i < 10; i++) {
        atomic_bool over = false;
        pthread_t writer;
        write_file(house.idle_log, data, sizeof(data));
        assert_int_equal(pthread_create(&writer, NULL, append, &over), 0);
        struct supervisor_log log;
        struct supervisor_result result;
        int error = read_log("idle", "stdout", -2000, 2000, &log, &result);
        atomic_store(&over, true);
        assert_int_equal(pthread_join(writer, NULL), 0);
        assert_int_equal(error, 0);
        assert_int_equal(log.next, log.size);
        supervisor_log_free(&log);
        supervisor_result_free(&result);
    }
    write_file(house.idle_log, "", 0);
}

static void logs_that_are_not_there(void **state)
{
    (void) state;
    need_supervisord();
    struct supervisor_log log;
    struct supervisor_result result;
    assert_int_equal(read_log("mute", "stdout", 0, 100, &log, &result), CESID_E_NODE_FAULT);
    assert_int_equal(result.answer.fault_code, FAULT_NO_FILE);
    assert_non_null(strstr(result.detail, "NO_FILE"));
    supervisor_log_free(&log);
    supervisor_result_free(&result);
    assert_int_equal(read_log("no:body", "stderr", 0, 100, &log, &result), CESID_E_NOT_FOUND);
    assert_int_equal(result.answer.fault_code, FAULT_BAD_NAME);
    supervisor_log_free(&log);
    supervisor_result_free(&result);
}

static void the_log_of_supervisord_itself(void **state)
{
    (void) state;
    need_supervisord();
    struct supervisor_log log;
    struct supervisor_result result;
    assert_int_equal(read_log(NULL, "stdout", 0, 65536, &log, &result), 0);
    assert_non_null(strstr(log.data.data, "supervisord started with pid"));
    /* reading wrong bytes must not fill it with tracebacks */
    assert_null(strstr(log.data.data, "codec can't decode"));
    assert_int_equal(log.next, log.size);
    supervisor_log_free(&log);
    supervisor_result_free(&result);
}

static bool at_once_but_one(void *argument)
{
    return (*(int *) argument)++ > 0;
}

static void one_that_hangs_is_given_up(void **state)
{
    (void) state;
    need_supervisord();
    kill(house.pid, SIGSTOP);
    struct supervisor_call request;
    struct supervisor_result result;
    supervisor_call_init(&request, "supervisor.getState", &house.config, 0.3);
    int64_t began = clock_now();
    assert_int_equal(supervisor_wait(house.endpoint, &request, NULL, NULL, &result),
                     CESID_E_NODE_TIMEOUT);
    assert_int_equal(result.cause, RPC_CAUSE_TIMEOUT);
    assert_true(clock_seconds_since(began) < 10);
    supervisor_result_free(&result);
    supervisor_call_destroy(&request);

    struct supervisor_log log;
    int asked = 0;
    assert_int_equal(supervisor_read_log(house.endpoint, &house.config, "idle", "stdout", 0, 10,
                                         NULL, at_once_but_one, &asked, &log, &result),
                     CESID_E_CANCELLED);
    supervisor_log_free(&log);
    supervisor_result_free(&result);
    kill(house.pid, SIGCONT);
    assert_int_equal(outcome("supervisor.getState", NULL), 0);
}

#define NAMED(text, function)                                                                      \
    {                                                                                              \
        .name = (text), .test_func = (function)                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("processes are read", processes_are_read),
        NAMED("its answers are spelt as the scan reads them", processes_are_scanned),
        NAMED("actions and their faults", actions_and_their_faults),
        NAMED("keystrokes come back in the log", keystrokes_come_back_in_the_log),
        NAMED("ranges are clamped", ranges_are_clamped),
        NAMED("every byte is read", every_byte_is_read),
        NAMED("some wrong bytes in much text", some_wrong_bytes_in_much_text),
        NAMED("garbage is read as far as effort reaches", garbage_is_read_as_far_as_effort_reaches),
        NAMED("logs beyond two gigabytes", logs_beyond_two_gigabytes),
        NAMED("logs that grow and are not UTF-8", logs_that_grow_and_are_not_utf_8),
        NAMED("logs that are not there", logs_that_are_not_there),
        NAMED("the log of supervisord itself", the_log_of_supervisord_itself),
        NAMED("R6.2 one that hangs is given up", one_that_hangs_is_given_up),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
