/*
 * The option table: every key of the configuration, a line each. Its name is the member of struct
 * config that it fills. What is RESTART is taken over at a start only.
 */
#include <pthread.h>
#include <string.h>

#include "config_internal.h"

#define RELOAD  true
#define RESTART false

/* Members, not values: there is nothing to put in parentheses.
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define ENTRY(member, type, default_value, range, reload)                                          \
    .shown = {#member, type, default_value, range, reload},                                        \
    .offset = offsetof(struct config, member)
#define NODE(member, type, default_value, range)                                                   \
    .shown = {"nodes." #member, type, default_value, range, RELOAD},                               \
    .offset = offsetof(struct config_node, member)

#define STRING(member, default_value, range, format, reload)                                       \
    {                                                                                              \
        ENTRY(member, "string", default_value, range, reload), .kind = KIND_STRING,                \
                                                               .check = format                     \
    }
#define PATH(member, default_value, range, format, reload)                                         \
    {                                                                                              \
        ENTRY(member, "string", default_value, range, reload), .kind = KIND_PATH, .check = format  \
    }
#define INTEGER(member, default_value, least, most, reload)                                        \
    {                                                                                              \
        ENTRY(member, "integer", #default_value, #least " to " #most, reload),                     \
            .kind = KIND_INTEGER, .low = least, .high = most                                       \
    }
#define INTEGER64(member, default_value, least, most, reload)                                      \
    {                                                                                              \
        ENTRY(member, "integer", #default_value, #least " to " #most, reload),                     \
            .kind = KIND_INTEGER64, .low = least, .high = most                                     \
    }
#define NUMBER(member, default_value, least, most, reload)                                         \
    {                                                                                              \
        ENTRY(member, "number", #default_value, #least " to " #most, reload),                      \
            .kind = KIND_NUMBER, .low = least, .high = most                                        \
    }
#define BOOLEAN(member, default_value, reload)                                                     \
    {                                                                                              \
        ENTRY(member, "boolean", #default_value, "", reload), .kind = KIND_BOOLEAN                 \
    }
#define STRINGS(member, range, format, reload)                                                     \
    {                                                                                              \
        ENTRY(member, "strings", "[ ]", range, reload), .kind = KIND_STRINGS, .check = format      \
    }
#define CHOICE(member, default_value, words, list, reload)                                         \
    {                                                                                              \
        ENTRY(member, "string", default_value, words, reload), .kind = KIND_CHOICE,                \
                                                               .choices = list                     \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct config_choice backends[] = {
    {"sqlite", CONFIG_SQLITE}, {"mariadb", CONFIG_MARIADB}, {NULL, 0}};
static const struct config_choice levels[] = {{"debug", LOG_LEVEL_DEBUG},
                                              {"info", LOG_LEVEL_INFO},
                                              {"warning", LOG_LEVEL_WARNING},
                                              {"error", LOG_LEVEL_ERROR},
                                              {NULL, 0}};
static const struct config_choice formats[] = {
    {"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}, {NULL, 0}};

/* clang-format off */
static const struct config_entry table[] = {
    STRING(server.listen, "127.0.0.1:9080", "ADDRESS:PORT", config_check_listen, RESTART),
    STRING(server.base_path, "/", "/ or /PATH", config_check_base_path, RESTART),
    STRING(server.public_url, "", "http://HOST or https://HOST", config_check_public_url, RESTART),
    INTEGER(server.threads, 64, 4, 1024, RESTART),
    INTEGER(server.streams, 64, 1, 4096, RESTART),
    PATH(server.state_dir, "/var/lib/cesid", "", config_check_not_empty, RESTART),
    STRING(server.user, "", "", config_check_user, RESTART),
    STRING(server.group, "", "", config_check_group, RESTART),
    INTEGER64(server.max_body, 1048576, 1024, 67108864, RESTART),
    NUMBER(server.header_timeout, 5.0, 0.1, 300, RESTART),
    NUMBER(server.request_timeout, 30.0, 0.1, 3600, RESTART),
    INTEGER(server.connections_per_address, 128, 1, 100000, RESTART),
    STRINGS(server.trusted_proxies, "addresses and networks", config_check_network, RESTART),
    BOOLEAN(server.allow_plaintext, false, RESTART),

    CHOICE(store.backend, "sqlite", "sqlite or mariadb", backends, RESTART),
    PATH(store.path, "/var/lib/cesid/cesid.db", "", config_check_not_empty, RESTART),
    INTEGER(store.pool, 4, 1, 256, RESTART),
    NUMBER(store.acquire_timeout, 2.0, 0.01, 300, RESTART),
    NUMBER(store.query_timeout, 5.0, 0.1, 600, RESTART),
    NUMBER(store.transaction_timeout, 10.0, 0.1, 3600, RESTART),
    NUMBER(store.health_interval, 5.0, 0.1, 3600, RESTART),
    STRING(store.host, "127.0.0.1", "", config_check_not_empty, RESTART),
    INTEGER(store.port, 3306, 1, 65535, RESTART),
    STRING(store.user, "cesid", "", config_check_not_empty, RESTART),
    {ENTRY(store.password, "secret", "", "", RESTART), .kind = KIND_SECRET,
     .only_with_mariadb = true},
    STRING(store.database, "cesid", "", config_check_not_empty, RESTART),

    NUMBER(auth.session_ttl, 43200.0, 1, 31536000, RELOAD),
    INTEGER(auth.login_attempts, 5, 1, 1000, RELOAD),
    NUMBER(auth.lockout, 60.0, 1, 86400, RELOAD),

    NUMBER(refresh.interval, 5.0, 0.1, 3600, RELOAD),
    INTEGER(refresh.connections, 256, 1, 10000, RELOAD),
    INTEGER(refresh.threads, 1, 1, 64, RESTART),
    INTEGER64(refresh.answer_max, 16777216, 1024, 1073741824, RELOAD),
    INTEGER(refresh.processes_max, 5000, 1, 100000, RELOAD),

    NUMBER(timeouts.connect, 2.0, 0.1, 300, RELOAD),
    NUMBER(timeouts.refresh, 5.0, 0.1, 300, RELOAD),
    NUMBER(timeouts.start, 30.0, 0.1, 3600, RELOAD),
    NUMBER(timeouts.stop, 30.0, 0.1, 3600, RELOAD),
    NUMBER(timeouts.restart, 60.0, 0.1, 3600, RELOAD),
    NUMBER(timeouts.signal, 10.0, 0.1, 3600, RELOAD),
    NUMBER(timeouts.log, 10.0, 0.1, 3600, RELOAD),
    NUMBER(timeouts.config, 30.0, 0.1, 3600, RELOAD),
    NUMBER(timeouts.batch, 300.0, 0.1, 86400, RELOAD),
    NUMBER(timeouts.shutdown, 10.0, 0.1, 300, RELOAD),

    INTEGER(breaker.failures, 3, 1, 1000, RELOAD),
    NUMBER(breaker.open_min, 5.0, 0.1, 3600, RELOAD),
    NUMBER(breaker.open_max, 60.0, 0.1, 86400, RELOAD),

    INTEGER(operations.parallelism, 16, 1, 1000, RELOAD),
    INTEGER(operations.history, 1000, 1, 1000000, RELOAD),

    INTEGER(websocket.clients, 500, 1, 16384, RESTART),
    INTEGER(websocket.queue, 256, 1, 65536, RELOAD),
    NUMBER(websocket.ping_interval, 20.0, 0.1, 3600, RELOAD),
    NUMBER(websocket.idle_timeout, 60.0, 0.1, 86400, RELOAD),
    INTEGER(websocket.message_max, 65536, 256, 16777216, RELOAD),
    NUMBER(websocket.rate, 20.0, 0.1, 100000, RELOAD),
    INTEGER(websocket.burst, 40, 1, 100000, RELOAD),
    STRINGS(websocket.origins, "http://HOST or https://HOST", config_check_origin, RELOAD),

    CHOICE(log.level, "info", "debug, info, warning or error", levels, RELOAD),
    CHOICE(log.format, "text", "text or json", formats, RELOAD),
    PATH(log.file, "", "", NULL, RELOAD),

    INTEGER(activity.retention_days, 90, 1, 36500, RELOAD),

    BOOLEAN(metrics.enabled, true, RELOAD),
    {ENTRY(metrics.token, "secret", "", "", RELOAD), .kind = KIND_SECRET},
    BOOLEAN(metrics.per_process, true, RELOAD),
    INTEGER(metrics.max_series, 50000, 1, 10000000, RELOAD),
};

static const struct config_entry node_table[] = {
    {NODE(name, "string", "", "A-Z a-z 0-9 . _ -"), .kind = KIND_STRING, .required = true,
     .check = config_check_name},
    {NODE(environment, "string", "default", "A-Z a-z 0-9 . _ -"), .kind = KIND_STRING,
     .check = config_check_name},
    {NODE(url, "string", "", "http://, https:// or unix://"), .kind = KIND_STRING,
     .required = true, .check = config_check_url},
    {NODE(username, "string", "", ""), .kind = KIND_STRING, .check = config_check_username},
    {NODE(password, "secret", "", ""), .kind = KIND_SECRET},
    {NODE(ca_file, "string", "", ""), .kind = KIND_PATH},
    {NODE(verify, "boolean", "true", ""), .kind = KIND_BOOLEAN},
    {NODE(enabled, "boolean", "true", ""), .kind = KIND_BOOLEAN},
    {NODE(labels, "labels", "{ }", ""), .kind = KIND_LABELS},
};
/* clang-format on */

const struct config_entry *config_table(size_t *count)
{
    *count = ARRAY_LENGTH(table);
    return table;
}

const struct config_entry *config_node_table(size_t *count)
{
    *count = ARRAY_LENGTH(node_table);
    return node_table;
}

/* A secret shows as its three keys. */
#define SPELLINGS 3
static struct config_option shown[(ARRAY_LENGTH(table) + ARRAY_LENGTH(node_table)) * SPELLINGS];
static char spelled[ARRAY_LENGTH(table)][SPELLINGS][48];
static size_t shown_count;
static pthread_once_t shown_once = PTHREAD_ONCE_INIT;

static void show(const struct config_entry *entries, size_t count, size_t *spelled_count)
{
    static const struct {
        const char *suffix, *type;
    } spellings[SPELLINGS] = {{"", "secret"}, {"_file", "string"}, {"_env", "string"}};
    for (size_t i = 0; i < count; i++) {
        if (entries[i].kind != KIND_SECRET) {
            shown[shown_count++] = entries[i].shown;
            continue;
        }
        for (size_t s = 0; s < SPELLINGS; s++) {
            char *key = spelled[*spelled_count][s];
            snprintf(key, sizeof(spelled[0][0]), "%s%s", entries[i].shown.key, spellings[s].suffix);
            shown[shown_count] = entries[i].shown;
            shown[shown_count].key = key;
            shown[shown_count++].type = spellings[s].type;
        }
        ++*spelled_count;
    }
}

static void show_all(void)
{
    size_t spelled_count = 0;
    show(table, ARRAY_LENGTH(table), &spelled_count);
    show(node_table, ARRAY_LENGTH(node_table), &spelled_count);
}

const struct config_option *config_options(size_t *count)
{
    CHECK(pthread_once(&shown_once, show_all) == 0);
    *count = shown_count;
    return shown;
}
