/*
 * The configuration, by real files in a directory of its own: defaults, what is accepted, what is
 * refused and with which words, includes, secrets, permissions.
 */
#include "config_house.h"

#include <errno.h>

/* One problem is expected at that line of that file, about key, holding fragment. */
static void assert_problem(const struct config_problem *problem, const char *file, int line,
                           const char *key, const char *fragment)
{
    assert_string_equal(problem->file, path_of(file));
    assert_int_equal(problem->line, line);
    assert_string_equal(problem->key, key);
    if (!strstr(problem->message, fragment))
        fail_msg("'%s' does not say '%s'", problem->message, fragment);
}

static struct config_problems load_bad(const char *name)
{
    struct config *config;
    struct config_problems problems;
    assert_int_equal(config_load(path_of(name), &config, &problems), CESID_E_VALIDATION_FAILED);
    assert_null(config);
    assert_true(problems.count > 0);
    return problems;
}

static void assert_refused(const char *name, const char *file, int line, const char *key,
                           const char *fragment)
{
    struct config_problems problems = load_bad(name);
    if (problems.count != 1)
        fail_msg("%s", print_problems(&problems));
    assert_problem(&problems.items[0], file, line, key, fragment);
    config_problems_free(&problems);
}

/* ---- defaults ---- */

static void defaults_are_those_of_the_manual(void **state)
{
    (void) state;
    struct config *c = load_text("");
    assert_string_equal(c->server.listen, "127.0.0.1:9080");
    assert_string_equal(c->server.base_path, "/");
    assert_string_equal(c->server.public_url, "");
    assert_int_equal(c->server.threads, 64);
    assert_int_equal(c->server.streams, 64);
    assert_string_equal(c->server.state_dir, "/var/lib/cesid");
    assert_string_equal(c->server.user, "");
    assert_string_equal(c->server.group, "");
    assert_int_equal(c->server.max_body, 1048576);
    assert_true(c->server.header_timeout == 5.0 && c->server.request_timeout == 30.0);
    assert_int_equal(c->server.connections_per_address, 128);
    assert_int_equal(c->server.trusted_proxies.count, 0);
    assert_false(c->server.allow_plaintext);
    assert_int_equal(c->store.backend, CONFIG_SQLITE);
    assert_string_equal(c->store.path, "/var/lib/cesid/cesid.db");
    assert_int_equal(c->store.pool, 4);
    assert_true(c->store.acquire_timeout == 2.0 && c->store.query_timeout == 5.0);
    assert_true(c->store.transaction_timeout == 10.0 && c->store.health_interval == 5.0);
    assert_string_equal(c->store.host, "127.0.0.1");
    assert_int_equal(c->store.port, 3306);
    assert_string_equal(c->store.user, "cesid");
    assert_null(c->store.password);
    assert_string_equal(c->store.database, "cesid");
    assert_true(c->auth.session_ttl == 43200.0 && c->auth.lockout == 60.0);
    assert_int_equal(c->auth.login_attempts, 5);
    assert_true(c->refresh.interval == 5.0);
    assert_int_equal(c->refresh.connections, 256);
    assert_int_equal(c->refresh.threads, 1);
    assert_int_equal(c->refresh.answer_max, 16777216);
    assert_int_equal(c->refresh.processes_max, 5000);
    assert_true(c->timeouts.connect == 2.0 && c->timeouts.refresh == 5.0);
    assert_true(c->timeouts.start == 30.0 && c->timeouts.stop == 30.0);
    assert_true(c->timeouts.restart == 60.0 && c->timeouts.signal == 10.0);
    assert_true(c->timeouts.log == 10.0 && c->timeouts.config == 30.0);
    assert_true(c->timeouts.batch == 300.0 && c->timeouts.shutdown == 10.0);
    assert_int_equal(c->breaker.failures, 3);
    assert_true(c->breaker.open_min == 5.0 && c->breaker.open_max == 60.0);
    assert_int_equal(c->operations.parallelism, 16);
    assert_int_equal(c->operations.history, 1000);
    assert_int_equal(c->websocket.clients, 500);
    assert_int_equal(c->websocket.queue, 256);
    assert_true(c->websocket.ping_interval == 20.0 && c->websocket.idle_timeout == 60.0);
    assert_int_equal(c->websocket.message_max, 65536);
    assert_true(c->websocket.rate == 20.0);
    assert_int_equal(c->websocket.burst, 40);
    assert_int_equal(c->websocket.origins.count, 0);
    assert_int_equal(c->log.level, LOG_LEVEL_INFO);
    assert_int_equal(c->log.format, LOG_FORMAT_TEXT);
    assert_string_equal(c->log.file, "");
    assert_int_equal(c->activity.retention_days, 90);
    assert_true(c->metrics.enabled && c->metrics.per_process);
    assert_null(c->metrics.token);
    assert_int_equal(c->metrics.max_series, 50000);
    assert_int_equal(c->nodes_count, 0);
    assert_string_equal(c->file, path_of("cesid.conf"));
    config_unref(&c);
    assert_null(c);
}

/* Whether a value of b is that of a, by its line of the table. */
static bool is_same(const struct config_entry *entry, const struct config *a,
                    const struct config *b)
{
    const void *left = (const char *) a + entry->offset, *right = (const char *) b + entry->offset;
    switch (entry->kind) {
    case KIND_STRING:
    case KIND_PATH:
        return strcmp(*(char *const *) left, *(char *const *) right) == 0;
    case KIND_INTEGER:
    case KIND_CHOICE:
        return *(const int *) left == *(const int *) right;
    case KIND_INTEGER64:
        return *(const int64_t *) left == *(const int64_t *) right;
    case KIND_NUMBER:
        return *(const double *) left == *(const double *) right;
    case KIND_BOOLEAN:
        return *(const bool *) left == *(const bool *) right;
    case KIND_STRINGS:
        return ((const struct config_strings *) left)->count ==
               ((const struct config_strings *) right)->count;
    case KIND_SECRET:
        return secret_equal(*(struct secret *const *) left, *(struct secret *const *) right);
    case KIND_LABELS:
        break;
    }
    return false;
}

static void copy_file(const char *from, const char *name)
{
    static char text[1 << 16];
    FILE *file = fopen(from, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, sizeof(text), file);
    assert_int_equal(fclose(file), 0);
    write_mode(name, 0600, text, length);
}

static void the_sample_holds_the_defaults(void **state)
{
    (void) state;
    copy_file("conf/cesid.conf", "sample.conf");
    copy_file("conf/nodes.conf", "nodes.conf");
    struct config *sample = load("sample.conf"), *defaults = load_text("");
    size_t count;
    const struct config_entry *entries = config_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (!is_same(&entries[i], sample, defaults))
            fail_msg("%s of the sample is not its default", entries[i].shown.key);
    }
    assert_int_equal(sample->nodes_count, 0);
    config_unref(&sample);
    config_unref(&defaults);
}

static void the_sample_of_nodes_is_a_list_of_nodes(void **state)
{
    (void) state;
    /* With its comment signs taken away, secrets and all. */
    FILE *file = fopen("conf/nodes.conf", "r");
    assert_non_null(file);
    struct strbuf text;
    strbuf_init(&text, 1 << 16);
    char line[512];
    while (fgets(line, sizeof(line), file))
        strbuf_puts(&text, strncmp(line, "#  ", 3) == 0 || strncmp(line, "#nodes", 6) == 0 ||
                                   strncmp(line, "#)", 2) == 0
                               ? line + 1
                               : line);
    assert_int_equal(fclose(file), 0);
    write_file("web-1.secret", "hunter2\n");
    write_file("ca.pem", "certificate\n");
    assert_int_equal(setenv("CESID_DB_PASSWORD", "hunter3", 1), 0);
    struct config *config = load_text(text.data);
    assert_int_equal(config->nodes_count, 3);
    config_unref(&config);
    strbuf_destroy(&text);
}

/* ---- what is accepted ---- */

static void reads_every_kind_of_value(void **state)
{
    (void) state;
    struct config *c = load_text(
        "server: { listen = \"127.1.2.3:0\"; base_path = \"/a/b-c\"; state_dir = \"state\";\n"
        "  public_url = \"https://cesid.example:8443\"; max_body = 2097152L; header_timeout = 2;\n"
        "  trusted_proxies = [ \"127.0.0.1\", \"10.0.0.0/8\", \"fd00::/8\" ];\n"
        "  threads = 0x10; };\n"
        "refresh: { interval = 0.5; answer_max = 1073741824; };\n"
        "log: { level = \"debug\"; format = \"json\"; file = \"/var/log/cesid.log\"; };\n"
        "websocket: { origins = ( \"http://localhost:8080\", \"http://[::1]:1\" ); };\n"
        "metrics: { enabled = FALSE; };\n");
    assert_string_equal(c->server.listen, "127.1.2.3:0");
    assert_string_equal(c->server.base_path, "/a/b-c");
    assert_string_equal(c->server.public_url, "https://cesid.example:8443");
    assert_string_equal(c->server.state_dir, path_of("state"));
    assert_int_equal(c->server.max_body, 2097152);
    assert_true(c->server.header_timeout == 2.0);
    assert_int_equal(c->server.trusted_proxies.count, 3);
    assert_string_equal(c->server.trusted_proxies.items[1], "10.0.0.0/8");
    assert_int_equal(c->server.threads, 16);
    assert_true(c->refresh.interval == 0.5);
    assert_int_equal(c->refresh.answer_max, 1073741824);
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(c->log.format, LOG_FORMAT_JSON);
    assert_string_equal(c->log.file, "/var/log/cesid.log");
    assert_string_equal(c->websocket.origins.items[0], "http://localhost:8080");
    assert_false(c->metrics.enabled);
    config_unref(&c);
}

static void reads_nodes_in_the_order_of_their_names(void **state)
{
    (void) state;
    write_file("web.secret", "s3cret\r\n");
    assert_int_equal(setenv("CESID_TEST_PASSWORD", "from the environment", 1), 0);
    struct config *c = load_text(
        "nodes = (\n"
        "  { name = \"web-1\"; environment = \"production\"; url = "
        "\"http://10.0.0.11:9001/RPC2\";\n"
        "    username = \"ops\"; password_file = \"web.secret\";\n"
        "    labels = { zone = \"b\"; role = \"web\"; }; },\n"
        "  { name = \"local\"; url = \"unix:///run/supervisor.sock\"; enabled = false; },\n"
        "  { name = \"tls\"; url = \"https://node.example/RPC2\"; verify = false;\n"
        "    username = \"u\"; password_env = \"CESID_TEST_PASSWORD\"; },\n"
        "  { name = \"literal\"; url = \"http://[::1]:9001\"; username = \"u\";\n"
        "    password = \"here\"; password_file = \"\"; }\n"
        ");\n");
    assert_int_equal(c->nodes_count, 4);
    assert_string_equal(c->nodes[0].name, "literal");
    assert_string_equal(secret_reveal(c->nodes[0].password), "here");
    assert_string_equal(c->nodes[1].name, "local");
    assert_string_equal(c->nodes[1].environment, "default");
    assert_false(c->nodes[1].enabled);
    assert_null(c->nodes[1].password);
    assert_string_equal(c->nodes[2].name, "tls");
    assert_false(c->nodes[2].verify);
    assert_string_equal(secret_reveal(c->nodes[2].password), "from the environment");
    const struct config_node *web = &c->nodes[3];
    assert_true(web->verify && web->enabled);
    assert_string_equal(web->username, "ops");
    assert_string_equal(secret_reveal(web->password), "s3cret");
    assert_int_equal(web->labels_count, 2);
    assert_string_equal(web->labels[0].key, "role");
    assert_string_equal(web->labels[1].value, "b");

    struct config_node copy;
    config_node_copy(&copy, web);
    config_unref(&c);
    assert_string_equal(copy.labels[0].value, "web");
    assert_string_equal(secret_reveal(copy.password), "s3cret");
    config_node_clear(&copy);
    config_node_clear(&copy);
}

static void a_store_password_counts_only_with_mariadb(void **state)
{
    (void) state;
    struct config *c = load_text("store: { password_file = \"missing\"; };\n");
    assert_null(c->store.password);
    config_unref(&c);
    write_file("db.secret", "pw");
    c = load_text("store: { backend = \"mariadb\"; password_file = \"db.secret\"; };\n");
    assert_int_equal(c->store.backend, CONFIG_MARIADB);
    assert_string_equal(secret_reveal(c->store.password), "pw");
    config_unref(&c);
    write_file("cesid.conf", "store: { backend = \"mariadb\"; password_file = \"missing\"; };\n");
    assert_refused("cesid.conf", "cesid.conf", 1, "store.password_file", "cannot open");
}

static void a_metrics_token_comes_from_its_file(void **state)
{
    (void) state;
    write_file("token", "abc\n");
    struct config *c = load_text("metrics: { token_file = \"token\"; };\n");
    assert_string_equal(secret_reveal(c->metrics.token), "abc");
    config_unref(&c);
}

/* ---- what is refused ---- */

#define NODE(text) "nodes = (\n { name = \"n\"; url = \"http://h/RPC2\"; " text " } );\n"
#define URL(text)  "nodes = (\n { name = \"n\"; url = \"" text "\"; } );\n"

static const struct {
    const char *text;
    int line;
    const char *key;
    const char *fragment;
} bad[] = {
    /* unknown keys */
    {"server: {\n  treads = 5;\n};", 2, "server.treads", "did you mean threads?"},
    {"server: {\n  zzz = 5;\n};", 2, "server.zzz", "unknown key"},
    {"sever: { };", 1, "sever", "unknown group, did you mean server?"},
    {"node = ( );", 1, "node", "did you mean nodes?"},
    {"threads = 5;", 1, "threads", "unknown group"},
    {"metrics: { token_fil = \"x\"; };", 1, "metrics.token_fil", "did you mean token_file?"},
    {NODE("pasword = \"x\";"), 2, "nodes[0].pasword", "did you mean password?"},
    {NODE("enviroment = \"x\";"), 2, "nodes[0].enviroment", "did you mean environment?"},
    /* types */
    {"server = 5;", 1, "server", "must be a group"},
    {"server: { threads = \"5\"; };", 1, "server.threads", "must be a whole number"},
    {"server: { threads = 5.5; };", 1, "server.threads", "must be a whole number"},
    {"server: { threads = true; };", 1, "server.threads", "must be a whole number"},
    {"server: { listen = 9080; };", 1, "server.listen", "must be a string"},
    {"server: { allow_plaintext = \"true\"; };", 1, "server.allow_plaintext", "true or false"},
    {"server: { allow_plaintext = 1; };", 1, "server.allow_plaintext", "true or false"},
    {"server: { trusted_proxies = \"10.0.0.1\"; };", 1, "server.trusted_proxies", "list of str"},
    {"server: { trusted_proxies = [ 1 ]; };", 1, "server.trusted_proxies[0]", "must be a string"},
    {"timeouts: { start = \"30s\"; };", 1, "timeouts.start", "must be a number"},
    {"nodes: { };", 1, "nodes", "must be a list of groups"},
    {"nodes = (\n \"web-1\" );", 2, "nodes[0]", "must be a group"},
    {NODE("labels = [ \"a\" ];"), 2, "nodes[0].labels", "must be a group of strings"},
    {NODE("labels = { a = 1; };"), 2, "nodes[0].labels.a", "must be a string"},
    {NODE("password = 12345;"), 2, "nodes[0].password", "must be a string"},
    /* ranges */
    {"server: { threads = 0; };", 1, "server.threads", "must be 4 to 1024"},
    {"server: { threads = -5; };", 1, "server.threads", "must be 4 to 1024"},
    {"server:\n{\n\n threads = 99999999999;\n};", 4, "server.threads", "must be 4 to 1024"},
    {"server: { threads = 99999999999999999999999; };", 1, "server.threads", "must be 4 to"},
    {"server: { threads = 0x100000040; };", 1, "server.threads", "must be 4 to 1024"},
    {"server: { max_body = 4294967296000; };", 1, "server.max_body", "must be 1024 to 67108864"},
    {"store: { port = 65536; };", 1, "store.port", "must be 1 to 65535"},
    {"timeouts: { start = 0; };", 1, "timeouts.start", "must be 0.1 to 3600"},
    {"timeouts: { start = -1.5; };", 1, "timeouts.start", "must be 0.1 to 3600"},
    {"timeouts: { start = 1e999; };", 1, "timeouts.start", "must be 0.1 to 3600"},
    {"log: { level = \"verbose\"; };", 1, "log.level", "must be debug, info, warning or error"},
    {"log: { format = \"JSON\"; };", 1, "log.format", "must be text or json"},
    {"store: { backend = \"postgres\"; };", 1, "store.backend", "must be sqlite or mariadb"},
    /* formats */
    {"server: { listen = \"9080\"; };", 1, "server.listen", "ADDRESS:PORT"},
    {"server: { listen = \"localhost:9080\"; };", 1, "server.listen", "ADDRESS:PORT"},
    {"server: { listen = \"[::1]:9080\"; };", 1, "server.listen", "ADDRESS:PORT"},
    {"server: { listen = \"127.0.0.1:70000\"; };", 1, "server.listen", "port must be"},
    {"server: { base_path = \"cesid\"; };", 1, "server.base_path", "begin with a slash"},
    {"server: { base_path = \"/cesid/\"; };", 1, "server.base_path", "end with a slash"},
    {"server: { base_path = \"/a//b\"; };", 1, "server.base_path", "empty segment"},
    {"server: { base_path = \"/a/../b\"; };", 1, "server.base_path", ". or .."},
    {"server: { base_path = \"/a b\"; };", 1, "server.base_path", "letters, digits"},
    {"server: { public_url = \"ftp://h\"; };", 1, "server.public_url", "http:// or https://"},
    {"server: { public_url = \"https://h/\"; };", 1, "server.public_url", "without a slash"},
    {"server: { public_url = \"https://h/x\"; };", 1, "server.public_url", "without a slash"},
    {"server: { trusted_proxies = [ \"proxy\" ]; };", 1, "server.trusted_proxies[0]", "10.0.0.0/8"},
    {"server: { trusted_proxies = [ \"1.2.3.4\", \"10.0.0.0/33\" ]; };", 1,
     "server.trusted_proxies[1]", "0 to 32"},
    {"server: { trusted_proxies = [ \"10.0.0.0/\" ]; };", 1, "server.trusted_proxies[0]",
     "0 to 32"},
    {"server: { trusted_proxies = [ \"::/129\" ]; };", 1, "server.trusted_proxies[0]", "0 to 128"},
    {"server: { user = \"no such user\"; };", 1, "server.user", "no such user"},
    {"server: { user = \"root\"; group = \"no such group\"; };", 1, "server.group",
     "no such group"},
    {"server: { state_dir = \"\"; };", 1, "server.state_dir", "may not be empty"},
    {"server: { state_dir = \"a\\nb\"; };", 1, "server.state_dir", "control characters"},
    {"server: { state_dir = \"a\\xFFb\"; };", 1, "server.state_dir", "not UTF-8"},
    {"websocket: { origins = [ \"*\" ]; };", 1, "websocket.origins[0]", "http:// or https://"},
    {"nodes = (\n { name = \"-n\"; url = \"http://h\"; } );", 2, "nodes[0].name",
     "must be 1 to 64"},
    {NODE("environment = \"a b\";"), 2, "nodes[0].environment", "must be 1 to 64"},
    {NODE("labels = { a*b = \"c\"; };"), 2, "nodes[0].labels.a*b", "label's name"},
    {NODE("username = \"a:b\";"), 2, "nodes[0].username", "colon"},
    {URL("ftp://h"), 2, "nodes[0].url", "must begin with http://, https:// or unix://"},
    {URL("http://"), 2, "nodes[0].url", "names no host"},
    {URL("http://ops:pw@h/RPC2"), 2, "nodes[0].url", "do not belong into the URL"},
    {URL("http://h:99999/"), 2, "nodes[0].url", "port must be 1 to 65535"},
    {URL("http://h:/"), 2, "nodes[0].url", "port must be 1 to 65535"},
    {URL("http://a b/"), 2, "nodes[0].url", "not a host name"},
    {URL("http://h/RPC2?x"), 2, "nodes[0].url", "query or a fragment"},
    {URL("http://h/a b"), 2, "nodes[0].url", "must be escaped"},
    {URL("http://[1::2::3]/"), 2, "nodes[0].url", "not an IPv6 address"},
    {URL("unix://run/s.sock"), 2, "nodes[0].url", "absolute path"},
    {URL("unix:///run/"), 2, "nodes[0].url", "not a directory"},
    /* what is missing, double, or does not fit together */
    {"nodes = (\n { name = \"n\"; } );", 2, "nodes[0].url", "is missing"},
    {"nodes = (\n { url = \"http://h\"; } );", 2, "nodes[0].name", "is missing"},
    {"server: { threads = 5;\n threads = 6; };", 2, "server.threads", "is given twice"},
    {"log: { };\nlog: { };", 2, "log", "is given twice"},
    {"nodes = ( { name = \"n\";\n url = \"http://h\";\n url = \"http://i\"; } );", 3,
     "nodes[0].url", "is given twice"},
    {"nodes = (\n {name = \"n\"; url = \"http://h\";},\n {url = \"http://i\";\n name = \"n\";});",
     4, "nodes[1].name", "n is already the name of the node at"},
    {"breaker: { open_min = 70.0; };", 1, "breaker.open_max", "less than breaker.open_min"},
    {"websocket: {\n ping_interval = 5;\n idle_timeout = 5;\n};", 3, "websocket.idle_timeout",
     "more than websocket.ping_interval"},
    {"server: { threads = 1024; };\nwebsocket: { clients = 16000; };", 2, "websocket.clients",
     "at most 16384 together"},
    {"server: { listen = \"0.0.0.0:9080\"; };", 1, "server.listen", "allow_plaintext"},
    {"server: { group = \"root\"; };", 1, "server.group", "only with server.user"},
    {NODE("verify = false;"), 2, "nodes[0].verify", "https://"},
    {NODE("ca_file = \"ca.pem\";"), 2, "nodes[0].ca_file", "https://"},
    {"nodes = (\n { name = \"n\"; url = \"https://h\"; ca_file = \"no.pem\"; } );", 2,
     "nodes[0].ca_file", "cannot read"},
    /* secrets */
    {NODE("username = \"u\"; password = \"a\"; password_env = \"HOME\";"), 2,
     "nodes[0].password_env", "only one of password, password_file and password_env"},
    {NODE("password = \"a\";"), 2, "nodes[0].username", "missing beside a password"},
    {NODE("username = \"u\"; password_env = \"CESID_NOT_SET\";"), 2, "nodes[0].password_env",
     "CESID_NOT_SET is not set"},
    {NODE("username = \"u\"; password_env = \"A B\";"), 2, "nodes[0].password_env",
     "name of an environment variable"},
    {NODE("username = \"u\"; password_file = \"missing\";"), 2, "nodes[0].password_file",
     "cannot open"},
    {NODE("username = \"u\"; password_file = \"/\";"), 2, "nodes[0].password_file",
     "not a regular file"},
    {"metrics: { token_file = \"missing\"; };", 1, "metrics.token_file", "cannot open"},
    /* the text itself */
    {"server: {\n threads = ;\n};", 2, "syntax", "a value is missing"},
    {"server: {\n threads 5;\n};", 2, "syntax", "= or : is missing"},
    {"server: {\n 5 = threads;\n};", 2, "syntax", "a setting was expected"},
    {"server: { threads = 5; };;", 1, "syntax", "a setting was expected"},
    {"log: { };\nserver: {\n threads = 64;\n", 2, "syntax", "{ of this line is not closed"},
    {"nodes = (\n", 1, "syntax", "( of this line is not"},
    {"nodes = ( { name = \"n\"; url = \"http://h\"; }\n", 1, "syntax", "( of this line is not"},
    {"nodes = ( { name = \"n\"; url = \"http://h\"; }\n { } );", 2, "syntax", "a comma or )"},
    {"server: {\n trusted_proxies = [ \"1.2.3.4\" \n }", 3, "syntax", "a comma or ]"},
    {"\x01", 1, "syntax", "a setting was expected"},
    {"server: { listen = \"127.0.0.1:1\n };\n", 1, "syntax", "a string does not end"},
    {"\n/* never\n ends", 2, "syntax", "a comment does not end"},
    {"server: { trusted_proxies = [ \"1.2.3.4\",\n 5 ]; };", 2, "syntax", "of one type"},
};

static void every_bad_file_is_refused_with_line_and_key(void **state)
{
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        write_file("cesid.conf", bad[i].text);
        struct config *config;
        struct config_problems problems;
        int error = config_load(path_of("cesid.conf"), &config, &problems);
        const struct config_problem *first = problems.items;
        if (error != CESID_E_VALIDATION_FAILED || config || first->line != bad[i].line ||
            strcmp(first->key, bad[i].key) != 0 || !strstr(first->message, bad[i].fragment) ||
            strcmp(first->file, path_of("cesid.conf")) != 0)
            fail_msg("%s\nexpected :%d: %s: %s\nbut %d\n%s", bad[i].text, bad[i].line, bad[i].key,
                     bad[i].fragment, error, print_problems(&problems));
        if (problems.count != 1)
            fail_msg("%s\n%s", bad[i].text, print_problems(&problems));
        config_problems_free(&problems);
    }
}

static void all_problems_come_in_one_run_and_in_order(void **state)
{
    (void) state;
    write_file("cesid.conf", "nodes = ( { name = \"a b\"; },\n"
                             "  { name = \"x\"; url = \"y\"; } );\n"
                             "server: { threads = 0; base_path = \"x\";\n"
                             "  unknown = 1; };\n"
                             "refresh: { interval = \"often\"; };\n");
    struct config_problems problems = load_bad("cesid.conf");
    static const struct {
        int line;
        const char *key;
    } expected[] = {{1, "nodes[0].name"},   {1, "nodes[0].url"},     {2, "nodes[1].url"},
                    {3, "server.threads"},  {3, "server.base_path"}, {4, "server.unknown"},
                    {5, "refresh.interval"}};
    assert_int_equal(problems.count, ARRAY_LENGTH(expected));
    for (size_t i = 0; i < problems.count; i++)
        assert_problem(&problems.items[i], "cesid.conf", expected[i].line, expected[i].key, "");
    struct strbuf out;
    strbuf_init(&out, 4096);
    config_problem_print(&out, &problems.items[3]);
    assert_string_equal(strstr(out.data, ":3:"), ":3: server.threads: must be 4 to 1024");
    strbuf_destroy(&out);
    config_problems_free(&problems);
}

static void what_stands_before_a_syntax_error_is_checked_too(void **state)
{
    (void) state;
    write_file("cesid.conf", "server: { threads = 0; };\nlog: { level = };\n");
    struct config_problems problems = load_bad("cesid.conf");
    assert_int_equal(problems.count, 2);
    assert_problem(&problems.items[0], "cesid.conf", 1, "server.threads", "must be");
    assert_problem(&problems.items[1], "cesid.conf", 2, "syntax", "a value is missing");
    config_problems_free(&problems);
}

static void nesting_is_bounded(void **state)
{
    (void) state;
    write_file(
        "cesid.conf",
        "nodes = \n(((((((((((((((((((((((((((((((((((1)))))))))))))))))))))))))))))))))));");
    struct config_problems problems = load_bad("cesid.conf");
    assert_problem(&problems.items[0], "cesid.conf", 2, "syntax", "too deeply");
    config_problems_free(&problems);
}

static void unfit_files_are_refused(void **state)
{
    (void) state;
    assert_refused("no.conf", "no.conf", 0, "", "No such file");
    assert_int_equal(mkdir(path_of("dir.conf"), 0700), 0);
    assert_refused("dir.conf", "dir.conf", 0, "", "not a regular file");
    write_mode("binary.conf", 0600, "\n\na\0b", 5);
    assert_refused("binary.conf", "binary.conf", 3, "syntax", "not UTF-8");
    write_file("latin.conf", "# caf\xE9\n");
    assert_refused("latin.conf", "latin.conf", 1, "syntax", "not UTF-8");
}

static void what_others_may_write_or_read_is_refused(void **state)
{
    (void) state;
    static const mode_t writable[] = {0620, 0602, 0666};
    for (size_t i = 0; i < ARRAY_LENGTH(writable); i++) {
        write_mode("cesid.conf", writable[i], "", 0);
        assert_refused("cesid.conf", "cesid.conf", 0, "", "others may write");
    }
    static const char literal[] = NODE("username = \"u\"; password = \"pw\";");
    write_mode("cesid.conf", 0644, literal, strlen(literal));
    assert_refused("cesid.conf", "cesid.conf", 2, "nodes[0].password", "others may read this file");
    write_mode("cesid.conf", 0640, literal, strlen(literal));
    struct config *config = load("cesid.conf");
    config_unref(&config);

    static const char by_file[] = NODE("username = \"u\"; password_file = \"pw\";");
    write_file("cesid.conf", by_file);
    static const mode_t open_modes[] = {0644, 0604, 0620, 0602};
    for (size_t i = 0; i < ARRAY_LENGTH(open_modes); i++) {
        write_mode("pw", open_modes[i], "pw\n", 3);
        assert_refused("cesid.conf", "cesid.conf", 2, "nodes[0].password_file", "others may");
    }
    write_mode("pw", 0640, "pw\n", 3);
    config = load("cesid.conf");
    config_unref(&config);
    static const struct {
        const char *text;
        size_t length;
        const char *fragment;
    } unfit[] = {{"", 0, "is empty"},
                 {"\n", 1, "is empty"},
                 {"a\nb\n", 4, "on one line"},
                 {"a\0b", 3, "on one line"}};
    for (size_t i = 0; i < ARRAY_LENGTH(unfit); i++) {
        write_mode("pw", 0600, unfit[i].text, unfit[i].length);
        assert_refused("cesid.conf", "cesid.conf", 2, "nodes[0].password_file", unfit[i].fragment);
    }
}

/* ---- includes ---- */

static void includes_start_at_the_file_that_names_them(void **state)
{
    (void) state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    write_file("sub/deep.secret", "pw");
    write_file("sub/nodes.conf", "nodes = (\n@include \"one.conf\"\n);\n");
    write_file("sub/one.conf", "{ name = \"n\"; url = \"http://h\"; username = \"u\";\n"
                               "  password_file = \"deep.secret\"; }");
    struct config *c = load_text("# @include \"no.conf\"\n@include \"sub/nodes.conf\" log: {\n"
                                 "  level = \"debug\"; };\n");
    assert_int_equal(c->nodes_count, 1);
    assert_string_equal(secret_reveal(c->nodes[0].password), "pw");
    assert_int_equal(c->log.level, LOG_LEVEL_DEBUG);
    config_unref(&c);

    char text[512];
    snprintf(text, sizeof(text), "@include \"%s\"\n", path_of("sub/nodes.conf"));
    c = load_text(text);
    assert_int_equal(c->nodes_count, 1);
    config_unref(&c);
}

static void a_problem_inside_an_include_names_the_included_file(void **state)
{
    (void) state;
    write_file("inner.conf", "# one\nlog: { level = 5; };\n");
    write_file("cesid.conf", "server: { threads = 0; };\n  @include \"inner.conf\"\n"
                             "refresh: { threads = 0; };\n");
    struct config_problems problems = load_bad("cesid.conf");
    assert_int_equal(problems.count, 3);
    assert_problem(&problems.items[0], "cesid.conf", 1, "server.threads", "must be");
    assert_problem(&problems.items[1], "inner.conf", 2, "log.level", "must be");
    assert_problem(&problems.items[2], "cesid.conf", 3, "refresh.threads", "must be");
    config_problems_free(&problems);

    write_file("inner.conf", "log: {\n level = };"); /* and no newline at the end */
    write_file("cesid.conf", "\n@include \"inner.conf\"\n");
    assert_refused("cesid.conf", "inner.conf", 2, "syntax", "a value is missing");

    write_file("inner.conf", "log: { };");
    write_file("cesid.conf", "@include \"inner.conf\"\n\nlog: { };\n");
    assert_refused("cesid.conf", "cesid.conf", 3, "log", "is given twice");

    write_file("cesid.conf", "\n\n@include \"missing.conf\"\nserver: { threads = 0; };");
    problems = load_bad("cesid.conf");
    assert_int_equal(problems.count, 2);
    assert_problem(&problems.items[0], "cesid.conf", 3, "@include", "No such file");
    assert_problem(&problems.items[1], "cesid.conf", 4, "server.threads", "must be");
    config_problems_free(&problems);

    write_mode("inner.conf", 0666, "", 0);
    write_file("cesid.conf", "\n@include \"inner.conf\"\n");
    assert_refused("cesid.conf", "inner.conf", 0, "", "others may write");
}

static void includes_in_a_circle_end(void **state)
{
    (void) state;
    write_file("cesid.conf", "@include \"cesid.conf\"\n");
    assert_refused("cesid.conf", "cesid.conf", 1, "@include", "nested too deeply");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_manual),
        cmocka_unit_test(the_sample_holds_the_defaults),
        cmocka_unit_test(the_sample_of_nodes_is_a_list_of_nodes),
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(reads_nodes_in_the_order_of_their_names),
        cmocka_unit_test(a_store_password_counts_only_with_mariadb),
        cmocka_unit_test(a_metrics_token_comes_from_its_file),
        {.name = "R9.3 every bad file is refused with line, key and reason",
         .test_func = every_bad_file_is_refused_with_line_and_key},
        {.name = "R4.5 a file with problems gives all of them, and no configuration",
         .test_func = all_problems_come_in_one_run_and_in_order},
        cmocka_unit_test(what_stands_before_a_syntax_error_is_checked_too),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(unfit_files_are_refused),
        {.name = "R9.3 what others may write, or a secret that others may read, is refused",
         .test_func = what_others_may_write_or_read_is_refused},
        cmocka_unit_test(includes_start_at_the_file_that_names_them),
        cmocka_unit_test(a_problem_inside_an_include_names_the_included_file),
        cmocka_unit_test(includes_in_a_circle_end),
    };
    return cmocka_run_group_tests_name("config", tests, make_directory, remove_directory);
}
