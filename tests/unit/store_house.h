/*
 * A store for tests, on a new SQLite file or in a new database of the program's MariaDB server.
 */
#ifndef CESID_TESTS_STORE_HOUSE_H
#define CESID_TESTS_STORE_HOUSE_H

#include "mariadb_server.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/store.h"

struct fixture {
    struct mariadb_server *server; /* NULL on SQLite */
    char directory[64];
    char *path;
    char database[32];
    struct config config;
    struct store *store;
};

static const struct store_statement insert_role = {
    "role_insert", "INSERT INTO roles (name, created_at) VALUES (?, ?)"};
static const struct store_statement find_role = {
    "role_find", "SELECT name, created_at FROM roles WHERE name = ?"};
static const struct store_statement count_roles = {"role_count", "SELECT COUNT(*) FROM roles"};
static const struct store_statement add_one = {
    "role_add_one", "UPDATE roles SET created_at = created_at + 1 WHERE name = ?"};

static inline void make_fixture(void **state, struct mariadb_server *server)
{
    static int databases;
    struct fixture *f = mem_alloc(sizeof *f);
    f->server = server;
    temporary_folder(f->directory, sizeof f->directory, "store");
    f->path = mem_alloc(128);
    (void) snprintf(f->path, 128, "%s/cesid.db", f->directory);
    f->config.server.state_dir = f->directory;
    f->config.store = (struct config_store){.backend = CONFIG_SQLITE,
                                            .path = f->path,
                                            .pool = 2,
                                            .acquire_timeout = 30.0,
                                            .query_timeout = 30.0,
                                            .transaction_timeout = 30.0};
    if (server) {
        char sql[64];
        f->config.store.backend = CONFIG_MARIADB;
        f->config.store.host = "127.0.0.1";
        f->config.store.port = server->port;
        f->config.store.user = "cesid";
        f->config.store.password = secret_create(MARIADB_PASSWORD, strlen(MARIADB_PASSWORD));
        f->config.store.database = f->database;
        (void) snprintf(f->database, sizeof f->database, "cesid_%d", ++databases);
        (void) snprintf(sql, sizeof sql, "CREATE DATABASE %s", f->database);
        mariadb_sql(server, sql);
    }
    *state = f;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    secret_unref(&f->config.store.password);
    (void) nftw(f->directory, mariadb_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f->path);
    free(f);
    return 0;
}

static inline struct store *must_open(struct fixture *f)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    int status = store_open(&f->config, &f->store, &why);
    if (status < 0)
        print_message("%s\n", why.data);
    assert_int_equal(status, 0);
    strbuf_destroy(&why);
    return f->store;
}

/* With little time for what tests let wait. The schema is made before, in a time of its own. */
static inline void must_open_hasty(struct fixture *f)
{
    must_open(f);
    store_close(&f->store);
    f->config.store.acquire_timeout = 0.3;
    f->config.store.query_timeout = 0.5;
    f->config.store.transaction_timeout = 0.8;
    must_open(f);
}

/* Opening fails, and the sentence names what is given. */
static inline void must_refuse(struct fixture *f, const char *part)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    assert_true(store_open(&f->config, &f->store, &why) < 0);
    assert_null(f->store);
    if (!strstr(why.data, part))
        print_message("%s\n", why.data);
    assert_non_null(strstr(why.data, part));
    strbuf_destroy(&why);
}

static inline bool take_number(void *argument, const struct store_row *row)
{
    *(int64_t *) argument = store_row_integer(row, 0);
    return true;
}

static inline bool take_second(void *argument, const struct store_row *row)
{
    *(int64_t *) argument = store_row_integer(row, 1);
    return true;
}

static inline int64_t roles(struct store *store)
{
    int64_t count = -1;
    assert_int_equal(store_query(store, &count_roles, NULL, 0, take_number, &count), 0);
    return count;
}

static inline int add_role(struct store *store, const char *name)
{
    const struct store_value values[] = {store_text(name), store_integer(0)};
    return store_execute(store, &insert_role, values, 2, NULL);
}

/* With a connection of our own, beside the store. */
static inline void run_sql(struct fixture *f, const char *sql)
{
    if (f->server) {
        char text[1024];
        (void) snprintf(text, sizeof text, "USE %s; %s", f->database, sql);
        mariadb_sql(f->server, text);
        return;
    }
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(f->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(database, 20000), SQLITE_OK);
    char *message = NULL;
    int code = sqlite3_exec(database, sql, NULL, NULL, &message);
    if (code != SQLITE_OK)
        print_message("%s: %s\n", sql, message);
    sqlite3_free(message);
    assert_int_equal(code, SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static inline int insert_two(struct store_transaction *transaction, void *argument)
{
    const struct store_value first[] = {store_text("first"), store_integer(1)};
    const struct store_value second[] = {store_text("second"), store_integer(2)};
    int status = store_transaction_execute(transaction, &insert_role, first, 2, NULL);
    if (status == 0)
        status = store_transaction_execute(transaction, &insert_role, second, 2, NULL);
    int64_t count = 0;
    if (status == 0)
        status = store_transaction_query(transaction, &count_roles, NULL, 0, take_number, &count);
    if (status == 0)
        assert_int_equal(count, 2);
    return status < 0 ? status : *(int *) argument;
}

/* For a group of tests on one server. */
static struct mariadb_server server;

static inline int start_mariadb(void **state)
{
    (void) state;
    mariadb_create(&server);
    return 0;
}

static inline int stop_mariadb(void **state)
{
    (void) state;
    mariadb_destroy(&server);
    return 0;
}

#endif
