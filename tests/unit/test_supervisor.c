/*
 * Calls to supervisord over an engine of our own, which answers what a test wants, or hangs.
 * tests/unit/test_supervisord.c does the same with the real thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/supervisor.h"
#include "cesid/text.h"
#include "cesid/thread.h"

/* The engine: one call at a time, answered by a thread of its own. */
static struct {
    /* set before a call */
    int refuse; /* rpc_submit's answer */
    bool hang;  /* until cancelled */
    struct rpc_result result;
    /* what was sent */
    struct rpc_request request;
    struct strbuf body;
    /* guarded by lock */
    struct lock lock;
    struct cond cond;
    bool cancelled;
    int references;
    struct thread thread;
} engine;

static void answer(void *argument)
{
    (void) argument;
    struct rpc_result result = engine.result;
    if (engine.hang) {
        lock_acquire(&engine.lock);
        while (!engine.cancelled)
            cond_wait(&engine.cond, &engine.lock);
        lock_release(&engine.lock);
        result = (struct rpc_result){.error = CESID_E_CANCELLED, .detail = "cancelled"};
    }
    engine.request.done(engine.request.argument, &result);
}

int rpc_submit(struct rpc_endpoint *endpoint, const struct rpc_request *request,
               struct rpc_call **call)
{
    (void) endpoint;
    if (engine.refuse != 0)
        return engine.refuse;
    engine.request = *request;
    strbuf_clear(&engine.body);
    strbuf_add(&engine.body, request->body, request->body_length);
    engine.references++;
    engine.cancelled = false;
    *call = (struct rpc_call *) (void *) &engine;
    assert_int_equal(thread_start(&engine.thread, "rpc", "engine", answer, NULL), 0);
    return 0;
}

void rpc_call_cancel(struct rpc_call *call)
{
    assert_ptr_equal(call, &engine);
    lock_acquire(&engine.lock);
    engine.cancelled = true;
    cond_broadcast(&engine.cond);
    lock_release(&engine.lock);
}

void rpc_call_unref(struct rpc_call **call)
{
    assert_ptr_equal(*call, &engine);
    engine.references--;
    *call = NULL;
}

static const struct config config = {
    .refresh = {.answer_max = 123456, .processes_max = 10},
    .timeouts = {.connect = 1.5, .log = 2},
};

static void engine_answers(const char *body)
{
    engine.hang = false;
    engine.result = (struct rpc_result){.status = 200,
                                        .detail = "",
                                        .body = body,
                                        .body_length = body != NULL ? strlen(body) : 0,
                                        .duration = 0.25};
}

/* One call of that method without arguments, waited for. */
static int call(const char *method, double timeout, bool (*cancelled)(void *), void *argument,
                struct supervisor_result *result)
{
    struct supervisor_call request;
    supervisor_call_init(&request, method, &config, timeout);
    int error = supervisor_wait(NULL, &request, cancelled, argument, result);
    supervisor_call_destroy(&request);
    thread_join(&engine.thread);
    assert_int_equal(error, result->error);
    assert_int_equal(engine.references, 0);
    return error;
}

#define ANSWER(value)                                                                              \
    "<?xml version='1.0'?><methodResponse><params><param><value>" value                            \
    "</value></param></params></methodResponse>"
#define FAULT(code, text)                                                                          \
    "<?xml version='1.0'?><methodResponse><fault><value><struct>"                                  \
    "<member><name>faultCode</name><value><int>" code "</int></value></member>"                    \
    "<member><name>faultString</name><value><string>" text "</string></value></member>"            \
    "</struct></value></fault></methodResponse>"

static void an_answer_comes_back(void **state)
{
    (void) state;
    engine_answers(ANSWER("<string>4.2.5</string>"));
    struct supervisor_result result;
    assert_int_equal(call("supervisor.getSupervisorVersion", 5, NULL, NULL, &result), 0);
    assert_string_equal(result.answer.value->as.string.data, "4.2.5");
    assert_int_equal(result.status, 200);
    assert_true(result.duration == 0.25);
    assert_string_equal(result.detail, "");
    supervisor_result_free(&result);

    assert_string_equal(engine.request.method, "POST");
    assert_null(engine.request.path);
    assert_int_equal(engine.request.answer_max, 123456);
    assert_true(engine.request.connect_timeout == 1.5);
    assert_true(engine.request.deadline > clock_now() && engine.request.deadline <= clock_after(5));
    assert_non_null(strstr(engine.body.data, "<methodName>supervisor.getSupervisorVersion<"));
    assert_non_null(strstr(engine.body.data, "<params></params></methodCall>"));
}

static void faults_keep_their_number_and_text(void **state)
{
    (void) state;
    static const struct {
        const char *body;
        int error;
        const char *text;
    } table[] = {
        {FAULT("60", "ALREADY_STARTED: cat"), CESID_E_ALREADY_STARTED, "ALREADY_STARTED: cat"},
        {FAULT("70", "NOT_RUNNING: cat"), CESID_E_NOT_RUNNING, "NOT_RUNNING: cat"},
        {FAULT("10", "BAD_NAME: cat"), CESID_E_NOT_FOUND, "BAD_NAME: cat"},
        {FAULT("50", "SPAWN_ERROR: cat"), CESID_E_NODE_FAULT, "SPAWN_ERROR: cat"},
        {FAULT("6", "SHUTDOWN_STATE"), CESID_E_NODE_FAULT, "SHUTDOWN_STATE"},
        {FAULT("12345", "what?"), CESID_E_NODE_FAULT, "what?"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        engine_answers(table[i].body);
        struct supervisor_result result;
        assert_int_equal(call("supervisor.startProcess", 5, NULL, NULL, &result), table[i].error);
        assert_true(result.answer.fault);
        assert_string_equal(result.answer.fault_text, table[i].text);
        assert_string_equal(result.detail, table[i].text);
        assert_int_equal(result.cause, RPC_CAUSE_NONE);
        supervisor_result_free(&result);
    }
}

static void a_long_fault_is_cut_between_characters(void **state)
{
    (void) state;
    for (int shift = 0; shift < 4; shift++) {
        struct strbuf body;
        strbuf_init(&body, 4096);
        strbuf_puts(&body, "<methodResponse><fault><value><struct><member><name>faultCode</name>"
                           "<value><int>30</int></value></member><member><name>faultString</name>"
                           "<value>");
        strbuf_add(&body, "xxxx", (size_t) shift);
        for (int i = 0; i < 100; i++)
            strbuf_puts(&body, "\xF0\x9F\x90\x88");
        strbuf_puts(&body, "</value></member></struct></value></fault></methodResponse>");
        engine_answers(body.data);
        struct supervisor_result result;
        assert_int_equal(call("supervisor.clearLog", 5, NULL, NULL, &result), CESID_E_NODE_FAULT);
        assert_int_equal(strlen(result.answer.fault_text), 400 + shift);
        assert_true(strlen(result.detail) > 250);
        assert_true(text_is_utf8(result.detail, strlen(result.detail)));
        supervisor_result_free(&result);
        strbuf_destroy(&body);
    }
}

static void what_is_no_answer_is_a_protocol_error(void **state)
{
    (void) state;
    static const char *const bodies[] = {"", "<html>Hello</html>", ANSWER("x") "x"};
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        engine_answers(bodies[i]);
        struct supervisor_result result;
        assert_int_equal(call("supervisor.getState", 5, NULL, NULL, &result),
                         CESID_E_NODE_PROTOCOL);
        assert_int_equal(result.cause, RPC_CAUSE_PROTOCOL);
        assert_true(strlen(result.detail) > 0);
        supervisor_result_free(&result);
    }
}

static void a_failure_of_the_transport_comes_through(void **state)
{
    (void) state;
    engine_answers(NULL);
    engine.result.error = CESID_E_NODE_UNREACHABLE;
    engine.result.cause = RPC_CAUSE_REFUSED;
    engine.result.detail = "Connection refused.";
    struct supervisor_result result;
    assert_int_equal(call("supervisor.getState", 5, NULL, NULL, &result), CESID_E_NODE_UNREACHABLE);
    assert_int_equal(result.cause, RPC_CAUSE_REFUSED);
    assert_string_equal(result.detail, "Connection refused.");
    supervisor_result_free(&result);

    engine.refuse = CESID_E_SHUTTING_DOWN;
    struct supervisor_call request;
    supervisor_call_init(&request, "supervisor.getState", &config, 5);
    assert_int_equal(supervisor_wait(NULL, &request, NULL, NULL, &result), CESID_E_SHUTTING_DOWN);
    supervisor_result_free(&result);
    supervisor_call_destroy(&request);
    engine.refuse = 0;
}

static void too_long_arguments_are_not_sent(void **state)
{
    (void) state;
    struct supervisor_call request;
    struct supervisor_result result;
    supervisor_call_init(&request, "supervisor.sendProcessStdin", &config, 5);
    char *data = calloc(1, 1 << 20);
    assert_non_null(data);
    memset(data, 'x', 1 << 20);
    for (int i = 0; i < 9; i++)
        xmlrpc_add_string(&request.body, data, 1 << 20);
    assert_int_equal(supervisor_wait(NULL, &request, NULL, NULL, &result), CESID_E_BODY_TOO_LARGE);
    supervisor_result_free(&result);
    supervisor_call_destroy(&request);
    free(data);
}

static bool third_time(void *argument)
{
    return ++*(int *) argument >= 3;
}

static void a_caller_gives_up(void **state)
{
    (void) state;
    engine.hang = true;
    int asked = 0;
    int64_t began = clock_now();
    struct supervisor_result result;
    assert_int_equal(call("supervisor.stopProcess", 60, third_time, &asked, &result),
                     CESID_E_CANCELLED);
    assert_int_equal(asked, 3);
    assert_true(clock_seconds_since(began) < 10);
    supervisor_result_free(&result);

    /* already before anything was sent */
    assert_int_equal(supervisor_wait(NULL, NULL, third_time, &asked, &result), CESID_E_CANCELLED);
    supervisor_result_free(&result);
}

static bool never(void *argument)
{
    (void) argument;
    return false;
}

static void a_call_that_hangs_ends_after_its_deadline(void **state)
{
    (void) state;
    for (int i = 0; i < 2; i++) {
        engine.hang = true;
        int64_t began = clock_now();
        struct supervisor_result result;
        assert_int_equal(call("supervisor.startProcess", 0.2, i == 0 ? NULL : never, NULL, &result),
                         CESID_E_NODE_TIMEOUT);
        assert_int_equal(result.cause, RPC_CAUSE_TIMEOUT);
        assert_true(clock_seconds_since(began) >= 0.2);
        assert_true(clock_seconds_since(began) < 10);
        supervisor_result_free(&result);
    }
}

static void deferred_methods_are_known(void **state)
{
    (void) state;
    static const struct {
        const char *method;
        bool deferred;
    } table[] = {
        {"supervisor.startProcess", true},
        {"supervisor.startProcessGroup", true},
        {"supervisor.startAllProcesses", true},
        {"supervisor.stopProcess", true},
        {"supervisor.stopProcessGroup", true},
        {"supervisor.stopAllProcesses", true},
        {"supervisor.clearAllProcessLogs", true},
        {"supervisor.signalProcess", false},
        {"supervisor.signalProcessGroup", false},
        {"supervisor.signalAllProcesses", false},
        {"supervisor.getAllProcessInfo", false},
        {"supervisor.reloadConfig", false},
        {"system.multicall", false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct supervisor_call request;
        supervisor_call_init(&request, table[i].method, &config, 1);
        assert_int_equal(request.deferred, table[i].deferred);
        supervisor_call_destroy(&request);
    }
}

static void keep(void *argument, struct supervisor_result *result)
{
    *(struct supervisor_result *) argument = *result;
    result->answer = (struct xmlrpc_answer){.fault = false};
}

static void a_callback_may_keep_the_answer(void **state)
{
    (void) state;
    engine_answers(ANSWER("<boolean>1</boolean>"));
    struct supervisor_call request;
    struct supervisor_result kept = {.error = 1};
    struct rpc_call *handle;
    supervisor_call_init(&request, "supervisor.stopProcess", &config, 5);
    xmlrpc_add_string(&request.body, "web:web_00", 10);
    assert_int_equal(supervisor_submit(NULL, &request, keep, &kept, &handle), 0);
    supervisor_call_destroy(&request);
    rpc_call_unref(&handle);
    thread_join(&engine.thread);
    assert_int_equal(kept.error, 0);
    assert_int_equal(kept.answer.value->as.integer, 1);
    assert_true(engine.request.deferred);
    assert_non_null(strstr(engine.body.data, "<string>web:web_00</string>"));
    supervisor_result_free(&kept);
}

static void words(void **state)
{
    (void) state;
    assert_string_equal(supervisor_fault_name(10), "BAD_NAME");
    assert_string_equal(supervisor_fault_name(92), "CANT_REREAD");
    assert_string_equal(supervisor_fault_name(-1), "UNKNOWN");
    assert_string_equal(process_state_name(200), "FATAL");
    assert_string_equal(process_state_name(1), "UNKNOWN");
    int code = 0;
    assert_true(process_state_parse("BACKOFF", &code));
    assert_int_equal(code, PROCESS_BACKOFF);
    assert_false(process_state_parse("backoff", &code));
}

#define MEMBER(name, value) "<member><name>" name "</name><value>" value "</value></member>"
#define TIMES                                                                                      \
    MEMBER("start", "<int>1764000000</int>")                                                       \
    MEMBER("stop", "<int>0</int>") MEMBER("now", "<int>1764000100</int>")
#define NAMES MEMBER("name", "web_00") MEMBER("group", "web")
#define STATE MEMBER("state", "<int>20</int>") MEMBER("pid", "<int>4711</int>")

static bool read_process(const char *body, struct supervisor_process *process,
                         struct xmlrpc_answer *parsed)
{
    static const struct xmlrpc_limits limits = {.values = 100, .depth = 4};
    const char *why;
    assert_int_equal(xmlrpc_parse(body, strlen(body), &limits, parsed, &why), 0);
    return supervisor_read_process(parsed->value, process);
}

static void a_process_is_read(void **state)
{
    (void) state;
    struct supervisor_process process;
    struct xmlrpc_answer parsed;
    assert_true(read_process(
        ANSWER("<struct>" NAMES STATE TIMES MEMBER("statename", "RUNNING") MEMBER("spawnerr", "")
                   MEMBER("exitstatus", "<int>-1</int>") MEMBER("stdout_logfile", "/tmp/a")
                       MEMBER("stderr_logfile", "<nil/>") MEMBER("description", "pid 4711")
                           MEMBER("unheard_of", "<array><data/></array>") "</struct>"),
        &process, &parsed));
    assert_string_equal(process.name, "web_00");
    assert_string_equal(process.group, "web");
    assert_int_equal(process.statecode, 20);
    assert_int_equal(process.pid, 4711);
    assert_int_equal(process.start, 1764000000);
    assert_int_equal(process.stop, 0);
    assert_int_equal(process.now, 1764000100);
    assert_int_equal(process.exit_status, -1);
    assert_string_equal(process.spawn_error, "");
    assert_string_equal(process.stdout_log, "/tmp/a");
    assert_string_equal(process.stderr_log, "");
    assert_string_equal(process.description, "pid 4711");
    xmlrpc_answer_free(&parsed);
}

#define LONG_NAME_64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG_NAME_256 LONG_NAME_64 LONG_NAME_64 LONG_NAME_64 LONG_NAME_64

static void what_is_no_process_is_refused(void **state)
{
    (void) state;
    static const char *const bodies[] = {
        ANSWER("text"),
        ANSWER("<struct/>"),
        ANSWER("<struct>" NAMES STATE "</struct>"),
        ANSWER("<struct>" NAMES TIMES "</struct>"),
        ANSWER("<struct>" STATE TIMES "</struct>"),
        ANSWER("<struct>" MEMBER("name", "") MEMBER("group", "web") STATE TIMES "</struct>"),
        ANSWER("<struct>" MEMBER("name", "a\nb") MEMBER("group", "web") STATE TIMES "</struct>"),
        ANSWER("<struct>" MEMBER("name", "<int>1</int>") MEMBER("group", "web") STATE TIMES
               "</struct>"),
        ANSWER("<struct>" MEMBER("name", LONG_NAME_256) MEMBER("group", "web") STATE TIMES
               "</struct>"),
        ANSWER("<struct>" NAMES MEMBER("state", "RUNNING") MEMBER("pid", "<int>1</int>") TIMES
               "</struct>"),
        ANSWER("<struct>" NAMES MEMBER("state", "<int>20</int>") MEMBER("pid", "<int>-1</int>")
                   TIMES "</struct>"),
        ANSWER("<struct>" NAMES MEMBER("state", "<int>20</int>")
                   MEMBER("pid", "<i8>4294967296</i8>") TIMES "</struct>"),
        ANSWER("<struct>" NAMES STATE TIMES MEMBER("description", "<int>1</int>") "</struct>"),
        ANSWER("<struct>" NAMES STATE TIMES MEMBER("exitstatus", "one") "</struct>"),
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        struct supervisor_process process;
        struct xmlrpc_answer parsed;
        if (read_process(bodies[i], &process, &parsed))
            fail_msg("accepted: %s", bodies[i]);
        xmlrpc_answer_free(&parsed);
    }
    assert_false(supervisor_read_process(NULL, &(struct supervisor_process){.pid = 0}));
}

static int set_up(void **state)
{
    (void) state;
    lock_init(&engine.lock, LOCK_ENGINE);
    cond_init(&engine.cond);
    strbuf_init(&engine.body, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    strbuf_destroy(&engine.body);
    cond_destroy(&engine.cond);
    lock_destroy(&engine.lock);
    return 0;
}

#define NAMED(text, function)                                                                      \
    {                                                                                              \
        .name = (text), .test_func = (function)                                                    \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("an answer comes back", an_answer_comes_back),
        NAMED("faults keep their number and text", faults_keep_their_number_and_text),
        NAMED("a long fault is cut between characters", a_long_fault_is_cut_between_characters),
        NAMED("what is no answer is a protocol error", what_is_no_answer_is_a_protocol_error),
        NAMED("a failure of the transport comes through", a_failure_of_the_transport_comes_through),
        NAMED("too long arguments are not sent", too_long_arguments_are_not_sent),
        NAMED("R8.5 a caller gives up", a_caller_gives_up),
        NAMED("R6.2 a call that hangs ends after its deadline",
              a_call_that_hangs_ends_after_its_deadline),
        NAMED("deferred methods are known", deferred_methods_are_known),
        NAMED("a callback may keep the answer", a_callback_may_keep_the_answer),
        NAMED("names of faults and states", words),
        NAMED("a process is read", a_process_is_read),
        NAMED("what is no process is refused", what_is_no_process_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
