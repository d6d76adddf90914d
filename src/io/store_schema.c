/*
 * The schema and its migrations. A step is a list of statements that may be repeated, so that one
 * cut short by a power cut goes on at the next start on a backend whose DDL knows no transaction;
 * on SQLite a step and its record are one transaction, and a file with the state before the first
 * step is kept. Steps that were released are never changed: add one. The SQL is what SQLite and
 * MariaDB both understand.
 *
 * Runs in main, at start, on one connection, without locks.
 */
#include "store_schema.h"

#include <stdio.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"

static const struct store_statement create_version = {"schema_create_version",
                                                      "CREATE TABLE IF NOT EXISTS schema_version ("
                                                      " version INTEGER NOT NULL PRIMARY KEY,"
                                                      " name VARCHAR(64) NOT NULL,"
                                                      " applied_at BIGINT NOT NULL)"};
static const struct store_statement read_versions = {
    "schema_read_versions", "SELECT version, name FROM schema_version ORDER BY version"};
static const struct store_statement record_version = {
    "schema_record_version",
    "INSERT INTO schema_version (version, name, applied_at) VALUES (?, ?, ?)"};

static const struct store_statement step_users[] = {
    {"schema_users", "CREATE TABLE IF NOT EXISTS users ("
                     " id CHAR(32) NOT NULL PRIMARY KEY,"
                     " username VARCHAR(64) NOT NULL UNIQUE,"
                     " full_name VARCHAR(255) NOT NULL,"
                     " email VARCHAR(255) NOT NULL,"
                     " password_hash VARCHAR(255) NOT NULL,"
                     " active INTEGER NOT NULL,"
                     " created_at BIGINT NOT NULL,"
                     " last_login_at BIGINT NOT NULL)"},
    {"schema_roles", "CREATE TABLE IF NOT EXISTS roles ("
                     " name VARCHAR(64) NOT NULL PRIMARY KEY,"
                     " created_at BIGINT NOT NULL)"},
    {"schema_role_permissions", "CREATE TABLE IF NOT EXISTS role_permissions ("
                                " role VARCHAR(64) NOT NULL,"
                                " permission VARCHAR(64) NOT NULL,"
                                " PRIMARY KEY (role, permission),"
                                " FOREIGN KEY (role) REFERENCES roles (name) ON DELETE CASCADE)"},
    /* role names a built-in role or one of the table, so it is no foreign key. */
    {"schema_bindings", "CREATE TABLE IF NOT EXISTS bindings ("
                        " id CHAR(32) NOT NULL PRIMARY KEY,"
                        " user_id CHAR(32) NOT NULL,"
                        " role VARCHAR(64) NOT NULL,"
                        " environment VARCHAR(255) NOT NULL,"
                        " UNIQUE (user_id, role, environment),"
                        " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)"},
    {"schema_sessions", "CREATE TABLE IF NOT EXISTS sessions ("
                        " id CHAR(32) NOT NULL PRIMARY KEY,"
                        " user_id CHAR(32) NOT NULL,"
                        " csrf_token CHAR(32) NOT NULL,"
                        " address VARCHAR(64) NOT NULL,"
                        " created_at BIGINT NOT NULL,"
                        " expires_at BIGINT NOT NULL,"
                        " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)"},
    {"schema_sessions_user", "CREATE INDEX IF NOT EXISTS sessions_user_id ON sessions (user_id)"},
    {"schema_sessions_expiry",
     "CREATE INDEX IF NOT EXISTS sessions_expires_at ON sessions (expires_at)"},
};

static const struct store_statement step_operations[] = {
    {"schema_operations", "CREATE TABLE IF NOT EXISTS operations ("
                          " id CHAR(32) NOT NULL PRIMARY KEY,"
                          " action VARCHAR(16) NOT NULL,"
                          " argument VARCHAR(64) NOT NULL,"
                          " actor VARCHAR(64) NOT NULL,"
                          " state VARCHAR(16) NOT NULL,"
                          " created_at BIGINT NOT NULL,"
                          " finished_at BIGINT NOT NULL,"
                          " total BIGINT NOT NULL,"
                          " succeeded BIGINT NOT NULL,"
                          " failed BIGINT NOT NULL,"
                          " environments LONGTEXT NOT NULL,"
                          " results LONGTEXT NOT NULL)"},
    {"schema_operations_created",
     "CREATE INDEX IF NOT EXISTS operations_created_at ON operations (created_at)"},
};

/* Passwords are sealed; NULL is none. */
static const struct store_statement step_nodes[] = {
    {"schema_nodes", "CREATE TABLE IF NOT EXISTS nodes ("
                     " name VARCHAR(64) NOT NULL PRIMARY KEY,"
                     " environment VARCHAR(64) NOT NULL,"
                     " url VARCHAR(2048) NOT NULL,"
                     " username VARCHAR(255) NOT NULL,"
                     " password LONGTEXT,"
                     " labels LONGTEXT NOT NULL,"
                     " enabled INTEGER NOT NULL,"
                     " changed_at BIGINT NOT NULL)"},
};

/* id begins with the time (see activity.h), so the indexes are in the order of time, too. Empty
 * texts stand for none. */
static const struct store_statement step_activity[] = {
    {"schema_activity", "CREATE TABLE IF NOT EXISTS activity ("
                        " id CHAR(32) NOT NULL PRIMARY KEY,"
                        " at BIGINT NOT NULL,"
                        " level VARCHAR(8) NOT NULL,"
                        " actor VARCHAR(256) NOT NULL,"
                        " action VARCHAR(64) NOT NULL,"
                        " resource VARCHAR(32) NOT NULL,"
                        " target VARCHAR(640) NOT NULL,"
                        " environment VARCHAR(64) NOT NULL,"
                        " result VARCHAR(16) NOT NULL,"
                        " status INTEGER NOT NULL,"
                        " duration BIGINT NOT NULL,"
                        " request_id VARCHAR(64) NOT NULL,"
                        " address VARCHAR(64) NOT NULL,"
                        " user_agent VARCHAR(256) NOT NULL,"
                        " details LONGTEXT NOT NULL,"
                        " instance CHAR(32) NOT NULL,"
                        " number BIGINT NOT NULL,"
                        " mac CHAR(32) NOT NULL,"
                        " seal CHAR(32) NOT NULL)"},
    {"schema_activity_chain",
     "CREATE INDEX IF NOT EXISTS activity_chain ON activity (instance, number)"},
    {"schema_activity_actor", "CREATE INDEX IF NOT EXISTS activity_actor ON activity (actor, id)"},
    {"schema_activity_action",
     "CREATE INDEX IF NOT EXISTS activity_action ON activity (action, id)"},
    {"schema_activity_target",
     "CREATE INDEX IF NOT EXISTS activity_target ON activity (target, id)"},
    {"schema_activity_scope",
     "CREATE INDEX IF NOT EXISTS activity_scope ON activity (environment, id)"},
    {"schema_activity_result",
     "CREATE INDEX IF NOT EXISTS activity_result ON activity (result, id)"},
    {"schema_activity_environments", "CREATE TABLE IF NOT EXISTS activity_environments ("
                                     " environment VARCHAR(64) NOT NULL PRIMARY KEY)"},
    /* How far retention has removed each instance's records. */
    {"schema_activity_anchors", "CREATE TABLE IF NOT EXISTS activity_anchors ("
                                " instance CHAR(32) NOT NULL PRIMARY KEY,"
                                " number BIGINT NOT NULL,"
                                " mac CHAR(32) NOT NULL,"
                                " seal CHAR(32) NOT NULL)"},
};

/* scope: names of permissions, with spaces between. expires_at 0: never. */
static const struct store_statement step_tokens[] = {
    {"schema_tokens", "CREATE TABLE IF NOT EXISTS tokens ("
                      " id CHAR(32) NOT NULL PRIMARY KEY,"
                      " user_id CHAR(32) NOT NULL,"
                      " name VARCHAR(64) NOT NULL,"
                      " hash CHAR(64) NOT NULL,"
                      " scope VARCHAR(255) NOT NULL,"
                      " created_at BIGINT NOT NULL,"
                      " expires_at BIGINT NOT NULL,"
                      " last_used_at BIGINT NOT NULL,"
                      " FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)"},
    {"schema_tokens_user", "CREATE INDEX IF NOT EXISTS tokens_user_id ON tokens (user_id)"},
};

static const struct store_statement step_outside[] = {
    {"schema_outside_actions", "CREATE TABLE IF NOT EXISTS outside_actions ("
                               " id CHAR(32) NOT NULL PRIMARY KEY,"
                               " at BIGINT NOT NULL,"
                               " action VARCHAR(64) NOT NULL,"
                               " target VARCHAR(640) NOT NULL)"},
};

static const struct step {
    const char *name;
    const struct store_statement *statements;
    size_t count;
} steps[] = {
    {"users, roles, sessions", step_users, ARRAY_LENGTH(step_users)},
    {"operations", step_operations, ARRAY_LENGTH(step_operations)},
    {"nodes", step_nodes, ARRAY_LENGTH(step_nodes)},
    {"activity", step_activity, ARRAY_LENGTH(step_activity)},
    {"API tokens", step_tokens, ARRAY_LENGTH(step_tokens)},
    {"actions from outside", step_outside, ARRAY_LENGTH(step_outside)},
};

#define LATEST ((int64_t) ARRAY_LENGTH(steps))

/* What this program reads and writes: prepared and run for no row. */
static const struct store_statement needed[] = {
    {"users", "SELECT id, username, full_name, email, password_hash, active, created_at,"
              " last_login_at FROM users WHERE 1 = 0"},
    {"roles", "SELECT name, created_at FROM roles WHERE 1 = 0"},
    {"role_permissions", "SELECT role, permission FROM role_permissions WHERE 1 = 0"},
    {"bindings", "SELECT id, user_id, role, environment FROM bindings WHERE 1 = 0"},
    {"sessions", "SELECT id, user_id, csrf_token, address, created_at, expires_at FROM sessions"
                 " WHERE 1 = 0"},
    {"operations", "SELECT id, action, argument, actor, state, created_at, finished_at, total,"
                   " succeeded, failed, environments, results FROM operations WHERE 1 = 0"},
    {"nodes", "SELECT name, environment, url, username, password, labels, enabled, changed_at"
              " FROM nodes WHERE 1 = 0"},
    {"activity", "SELECT id, at, level, actor, action, resource, target, environment, result,"
                 " status, duration, request_id, address, user_agent, details, instance, number,"
                 " mac, seal FROM activity WHERE 1 = 0"},
    {"activity_environments", "SELECT environment FROM activity_environments WHERE 1 = 0"},
    {"activity_anchors", "SELECT instance, number, mac, seal FROM activity_anchors WHERE 1 = 0"},
    {"tokens", "SELECT id, user_id, name, hash, scope, created_at, expires_at, last_used_at"
               " FROM tokens WHERE 1 = 0"},
    {"outside_actions", "SELECT id, at, action, target FROM outside_actions WHERE 1 = 0"},
};

struct schema {
    const struct store_driver *driver;
    struct store_connection *connection;
    const struct store_settings *settings;
    struct strbuf *why;
    int64_t latest;  /* the highest version on record */
    int64_t count;   /* how many are on record */
    bool mismatched; /* one is not named as this program names it */
};

static int explain(struct schema *schema, int status, const char *what)
{
    strbuf_printf(schema->why, "%s: %s", what, schema->connection->message);
    return status;
}

static int run(struct schema *schema, const struct store_statement *statement,
               const struct store_value *values, size_t count, store_row_callback *row)
{
    return schema->driver->run(schema->connection, statement, values, count,
                               clock_after(schema->settings->query_timeout), row, schema, NULL);
}

static bool take_version(void *argument, const struct store_row *row)
{
    struct schema *schema = argument;
    int64_t version = store_row_integer(row, 0);
    const char *name = store_row_text(row, 1);
    schema->count++;
    schema->latest = version;
    if (version >= 1 && version <= LATEST && (!name || strcmp(name, steps[version - 1].name) != 0))
        schema->mismatched = true;
    return true;
}

static int read_version(struct schema *schema)
{
    schema->latest = schema->count = 0;
    schema->mismatched = false;
    int status = run(schema, &read_versions, NULL, 0, take_version);
    if (status < 0)
        return explain(schema, status, "cannot read the store's schema version");
    if (schema->latest > LATEST) {
        strbuf_printf(schema->why,
                      "the store has schema version %lld, this cesid knows versions up to %lld: "
                      "start the newer cesid that wrote it, or restore a backup from before its "
                      "upgrade",
                      (long long) schema->latest, (long long) LATEST);
        return CESID_E_INTERNAL;
    }
    if (schema->mismatched || schema->count != schema->latest) {
        strbuf_puts(schema->why, "the store's record of schema versions is damaged: restore a "
                                 "backup, or start with an empty database");
        return CESID_E_INTERNAL;
    }
    return 0;
}

static int apply_step(struct schema *schema)
{
    /* Another cesid may have done it since: read again under the write lock. */
    int status = read_version(schema);
    if (status < 0 || schema->latest == LATEST)
        return status;
    int64_t version = schema->latest + 1;
    const struct step *step = &steps[version - 1];
    for (size_t i = 0; status == 0 && i < step->count; i++)
        status = run(schema, &step->statements[i], NULL, 0, NULL);
    if (status == 0) {
        const struct store_value values[] = {store_integer(version), store_text(step->name),
                                             store_integer(clock_wall())};
        status = run(schema, &record_version, values, ARRAY_LENGTH(values), NULL);
    }
    if (status < 0)
        return explain(schema, status, "cannot migrate the store");
    log_info("store", "the schema was brought to a version", log_i("version", version),
             log_s("step", step->name));
    return 0;
}

static int in_transaction(struct schema *schema, int (*body)(struct schema *schema))
{
    int64_t deadline = clock_after(schema->settings->transaction_timeout);
    int status = schema->driver->begin(schema->connection, deadline);
    if (status < 0)
        return explain(schema, status, "cannot write to the store");
    status = body(schema);
    if (status == 0) {
        status = schema->driver->commit(schema->connection, deadline);
        if (status < 0)
            status = explain(schema, status, "cannot write to the store");
    }
    if (status < 0)
        schema->driver->rollback(schema->connection);
    return status;
}

static int make_version_table(struct schema *schema)
{
    int status = run(schema, &create_version, NULL, 0, NULL);
    return status < 0 ? explain(schema, status, "cannot make the store's schema") : 0;
}

static int check_columns(struct schema *schema)
{
    for (size_t i = 0; i < ARRAY_LENGTH(needed); i++) {
        int status = run(schema, &needed[i], NULL, 0, NULL);
        if (status < 0) {
            strbuf_printf(schema->why,
                          "the store's table %s is not what this cesid needs (%s): restore a "
                          "backup, or start with an empty database",
                          needed[i].name, schema->connection->message);
            return CESID_E_INTERNAL;
        }
    }
    return 0;
}

/* Of what there is, before the first step changes it. */
static int back_up(struct schema *schema)
{
    char suffix[32];
    if (!schema->driver->back_up || schema->latest == 0 || schema->latest == LATEST)
        return 0;
    (void) snprintf(suffix, sizeof suffix, ".version-%lld", (long long) schema->latest);
    int status = schema->driver->back_up(schema->connection, suffix);
    if (status < 0)
        strbuf_printf(schema->why,
                      "the store is not migrated without a backup, and that failed: %s",
                      schema->connection->message);
    return status;
}

static int migrate(struct schema *schema)
{
    int status = in_transaction(schema, make_version_table);
    if (status == 0)
        status = read_version(schema);
    if (status == 0)
        status = back_up(schema);
    while (status == 0 && schema->latest < LATEST) {
        status = in_transaction(schema, apply_step);
        if (status == 0)
            status = read_version(schema);
    }
    return status;
}

int store_schema_apply(const struct store_driver *driver, struct store_connection *connection,
                       const struct store_settings *settings, struct strbuf *why)
{
    struct schema schema = {
        .driver = driver, .connection = connection, .settings = settings, .why = why};
    if (driver->hold_schema) {
        int held = driver->hold_schema(connection, clock_after(settings->query_timeout));
        if (held < 0)
            return explain(&schema, held, "cannot make the store's schema");
    }
    int status = migrate(&schema);
    if (driver->release_schema)
        driver->release_schema(connection);
    return status < 0 ? status : check_columns(&schema);
}
