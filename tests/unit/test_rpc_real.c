/*
 * The rpc engine against what it was built for: a real supervisord, and real TLS.
 */
#include "rpc_peer.h"

static char work_dir[64];

static void make_work_dir(void)
{
    snprintf(work_dir, sizeof(work_dir), "/tmp/cesid-test-rpc-XXXXXX");
    assert_non_null(mkdtemp(work_dir));
}

static void remove_work_dir(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", work_dir);
    assert_int_equal(system(command), 0);
}

static pid_t run_program(char *const arguments[])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
        _exit(126);
    setenv("LC_ALL", "C.UTF-8", 1);
    execv(arguments[0], arguments);
    _exit(127);
}

static void end_program(pid_t pid)
{
    kill(pid, SIGCONT);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

/* ---- supervisord ---- */

static const char SUPERVISORD[] = "/usr/bin/supervisord", OPENSSL[] = "/usr/bin/openssl";
static pid_t supervisor_pid;

static void call_method(struct rpc_endpoint *endpoint, struct outcome *outcome, const char *method,
                        const char *parameters, bool deferred, double timeout)
{
    char body[512];
    snprintf(body, sizeof(body),
             "<?xml version='1.0'?><methodCall><methodName>%s</methodName>"
             "<params>%s</params></methodCall>",
             method, parameters);
    struct rpc_request request = request_for(outcome, timeout);
    request.body = body;
    request.body_length = strlen(body);
    request.deferred = deferred;
    int before = outcome->dones;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(outcome, before + 1);
}

static int supervisor_setup(void **state)
{
    setup(state);
    if (access(SUPERVISORD, X_OK) != 0)
        return 0;
    char path[128];
    make_work_dir();
    snprintf(path, sizeof(path), "%s/supervisord.conf", work_dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file,
            "[supervisord]\nnodaemon=true\nlogfile=%s/log\npidfile=%s/pid\nchildlogdir=%s\n"
            "[unix_http_server]\nfile=%s/sock\n"
            "[inet_http_server]\nport=127.0.0.1:%d\nusername=ops\npassword=thepass\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            "[program:ticker]\ncommand=/bin/sh -c 'while echo tick; do sleep 0.05; done'\n"
            "startsecs=0\n"
            "[program:gr\xc3\xbc\xc3\x9f\x65]\ncommand=/bin/sleep 100\nautostart=false\n"
            "startsecs=0\n",
            work_dir, work_dir, work_dir, work_dir, SUPERVISOR_PORT);
    fclose(file);
    char *arguments[] = {(char *) SUPERVISORD, (char *) "-n", (char *) "-c", path, NULL};
    supervisor_pid = run_program(arguments);
    return 0;
}

static int supervisor_teardown(void **state)
{
    if (supervisor_pid > 0) {
        end_program(supervisor_pid);
        supervisor_pid = 0;
        remove_work_dir();
    }
    return teardown(state);
}

static void drives_real_supervisord(void **state)
{
    (void) state;
    if (supervisor_pid == 0)
        skip();
    struct outcome outcome, stream;
    char url[128];
    outcome_init(&outcome);
    outcome_init(&stream);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/RPC2", SUPERVISOR_PORT);
    struct secret *password = secret_create("thepass", 7), *wrong = secret_create("wrong", 5);
    struct rpc_endpoint *tcp = endpoint_for(url, "ops", password);
    struct rpc_endpoint *stranger = endpoint_for(url, "ops", wrong);
    snprintf(url, sizeof(url), "unix://%s/sock", work_dir);
    struct rpc_endpoint *local = endpoint_for(url, "", NULL);
    secret_unref(&password);
    secret_unref(&wrong);

    int64_t deadline = clock_after(20);
    do {
        call_method(tcp, &outcome, "supervisor.getState", "", false, 5);
        if (outcome.cause == RPC_CAUSE_REFUSED)
            rest();
    } while (outcome.cause == RPC_CAUSE_REFUSED && clock_now() < deadline);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "RUNNING"));
    call_method(local, &outcome, "supervisor.getAllProcessInfo", "", false, 5);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "ticker"));
    call_method(stranger, &outcome, "supervisor.getState", "", false, 5);
    assert_int_equal(outcome.cause, RPC_CAUSE_UNAUTHORIZED);
    assert_null(strstr(outcome.detail, "wrong"));
    struct rpc_request request = request_for(&outcome, 5);
    request.path = "/nowhere";
    request.method = "GET";
    request.body = NULL;
    int before = outcome.dones;
    assert_int_equal(rpc_submit(tcp, &request, NULL), 0);
    wait_dones(&outcome, before + 1);
    assert_int_equal(outcome.cause, RPC_CAUSE_NO_RPC_INTERFACE);

    /* A deferred answer that holds letters beyond ASCII: its Content-Length is too small. */
    call_method(tcp, &outcome, "supervisor.startProcessGroup",
                "<param><value><string>gr\xc3\xbc\xc3\x9f\x65</string></value></param>", true, 10);
    assert_int_equal(outcome.error, 0);
    assert_non_null(strstr(outcome.body, "gr\xc3\xbc\xc3\x9f\x65"));
    assert_non_null(strstr(outcome.body, "</methodResponse>"));

    struct rpc_call *call;
    request = stream_for(&stream);
    request.path = "/logtail/ticker/stdout";
    request.connect_timeout = 5;
    assert_int_equal(rpc_submit(tcp, &request, &call), 0);
    wait_pieces(&stream, 3);
    call_method(tcp, &outcome, "supervisor.getState", "", false, 5);
    assert_int_equal(outcome.error, 0);
    rpc_call_cancel(call);
    wait_dones(&stream, 1);
    assert_int_equal(stream.error, CESID_E_CANCELLED);
    rpc_call_unref(&call);

    kill(supervisor_pid, SIGSTOP);
    call_method(tcp, &outcome, "supervisor.getState", "", false, 0.3);
    assert_int_equal(outcome.cause, RPC_CAUSE_TIMEOUT);
    kill(supervisor_pid, SIGCONT);
    call_method(tcp, &outcome, "supervisor.getState", "", false, 10);
    assert_int_equal(outcome.error, 0);

    rpc_endpoint_unref(&tcp);
    rpc_endpoint_unref(&stranger);
    rpc_endpoint_unref(&local);
    outcome_destroy(&stream);
    outcome_destroy(&outcome);
}

/* ---- TLS ---- */

static struct rpc_endpoint *tls_endpoint(const char *host, const char *ca_file, bool verify)
{
    char url[64], file[128];
    snprintf(url, sizeof(url), "https://%s:%d/", host, TLS_PORT);
    snprintf(file, sizeof(file), "%s", ca_file);
    char name[] = "tls", none[] = "";
    const struct config_node node = {.name = name,
                                     .environment = name,
                                     .url = url,
                                     .username = none,
                                     .ca_file = file,
                                     .verify = verify,
                                     .enabled = true};
    return rpc_endpoint_create(engine, &node);
}

static void get_root(const char *host, const char *ca_file, bool verify, struct outcome *outcome)
{
    struct rpc_endpoint *endpoint = tls_endpoint(host, ca_file, verify);
    struct rpc_request request = request_for(outcome, 10);
    request.method = "GET";
    request.body = NULL;
    request.path = "/";
    int before = outcome->dones;
    assert_int_equal(rpc_submit(endpoint, &request, NULL), 0);
    wait_dones(outcome, before + 1);
    rpc_endpoint_unref(&endpoint);
}

static void verifies_certificates(void **state)
{
    (void) state;
    if (access(OPENSSL, X_OK) != 0)
        skip();
    struct outcome outcome;
    char certificate[128], key[128], port[16];
    int status;
    outcome_init(&outcome);
    make_work_dir();
    snprintf(certificate, sizeof(certificate), "%s/cert.pem", work_dir);
    snprintf(key, sizeof(key), "%s/key.pem", work_dir);
    snprintf(port, sizeof(port), "127.0.0.1:%d", TLS_PORT);
    char *make[] = {(char *) OPENSSL,
                    (char *) "req",
                    (char *) "-x509",
                    (char *) "-newkey",
                    (char *) "ec",
                    (char *) "-pkeyopt",
                    (char *) "ec_paramgen_curve:P-256",
                    (char *) "-nodes",
                    (char *) "-subj",
                    (char *) "/CN=localhost",
                    (char *) "-addext",
                    (char *) "subjectAltName=DNS:localhost",
                    (char *) "-keyout",
                    key,
                    (char *) "-out",
                    certificate,
                    NULL};
    pid_t maker = run_program(make);
    assert_int_equal(waitpid(maker, &status, 0), maker);
    assert_int_equal(status, 0);
    char *serve[] = {(char *) OPENSSL,
                     (char *) "s_server",
                     (char *) "-www",
                     (char *) "-accept",
                     port,
                     (char *) "-cert",
                     certificate,
                     (char *) "-key",
                     key,
                     NULL};
    pid_t server = run_program(serve);

    int64_t deadline = clock_after(20);
    do {
        get_root("localhost", certificate, true, &outcome);
        if (outcome.cause == RPC_CAUSE_REFUSED)
            rest();
    } while (outcome.cause == RPC_CAUSE_REFUSED && clock_now() < deadline);
    assert_int_equal(outcome.error, 0);
    get_root("localhost", "", true, &outcome); /* signed by nobody known */
    assert_int_equal(outcome.error, CESID_E_NODE_UNREACHABLE);
    assert_int_equal(outcome.cause, RPC_CAUSE_TLS);
    get_root("127.0.0.1", certificate, true, &outcome); /* made out to another name */
    assert_int_equal(outcome.cause, RPC_CAUSE_TLS);
    get_root("localhost", key, true, &outcome); /* no certificate in it */
    assert_int_equal(outcome.cause, RPC_CAUSE_TLS);
    assert_null(strstr(outcome.detail, work_dir));
    get_root("127.0.0.1", "", false, &outcome); /* told not to look */
    assert_int_equal(outcome.error, 0);
    end_program(server);
    remove_work_dir();
    outcome_destroy(&outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"drives a real supervisord over TCP and unix socket", drives_real_supervisord,
         supervisor_setup, supervisor_teardown, NULL},
        TEST("verifies the certificate of a node", verifies_certificates),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("rpc_real", tests, NULL, NULL);
}
