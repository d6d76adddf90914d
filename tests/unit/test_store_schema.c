/*
 * Migrations that are cut by kill -9 after each of their statements go on at the next start, on
 * SQLite and on MariaDB; and what SQLite keeps from before one.
 */
#include "store_house.h"

#include "../../src/io/store_mariadb.h"
#include "../../src/io/store_schema.h"
#include "../../src/io/store_sqlite.h"
#include "cesid/log.h"

static int on_sqlite(void **state)
{
    log_set_level(NULL, LOG_LEVEL_ERROR);
    make_fixture(state, NULL);
    return 0;
}

static int on_mariadb(void **state)
{
    struct fixture *f;

    log_set_level(NULL, LOG_LEVEL_ERROR);
    make_fixture(state, &server);
    f = *state;
    /* Until the server has noticed that a killed client is gone, its lock is held. */
    f->config.store.query_timeout = 10.0;
    f->config.store.transaction_timeout = 20.0;
    return 0;
}

/* ---- a driver that dies ---- */

static const struct store_driver *real;
static int statements_left; /* of the schema's steps; killed after the last of them */

static bool is_step(const struct store_statement *statement)
{
    return strncmp(statement->name, "schema_", 7) == 0 &&
           strcmp(statement->name, "schema_create_version") != 0 &&
           strcmp(statement->name, "schema_read_versions") != 0;
}

static int run_and_die(struct store_connection *connection, const struct store_statement *statement,
                       const struct store_value *values, size_t count, int64_t deadline,
                       store_row_callback *row, void *argument, int64_t *changed)
{
    int status = real->run(connection, statement, values, count, deadline, row, argument, changed);

    if (is_step(statement) && --statements_left == 0)
        (void) raise(SIGKILL);
    return status;
}

static struct store_settings settings_of(const struct fixture *f)
{
    const struct config_store *config = &f->config.store;

    return (struct store_settings){.path = config->path,
                                   .pool = config->pool,
                                   .acquire_timeout = config->acquire_timeout,
                                   .query_timeout = config->query_timeout,
                                   .transaction_timeout = config->transaction_timeout,
                                   .host = config->host,
                                   .port = config->port,
                                   .user = config->user,
                                   .password = config->password,
                                   .database = config->database};
}

/* In a child. */
static void migrate(const struct fixture *f)
{
    struct store_settings settings = settings_of(f);
    struct store_connection *connection = NULL;
    struct store_driver dying;
    struct strbuf why;

    real = f->server != NULL ? store_mariadb() : store_sqlite();
    dying = *real;
    dying.run = run_and_die;
    strbuf_init(&why, 1000);
    if (real->prepare(&settings, &why) < 0 ||
        real->open(&settings, true, clock_after(settings.query_timeout), &connection, &why) < 0 ||
        store_schema_apply(&dying, connection, &settings, &why) < 0) {
        print_message("%s\n", why.data);
        _exit(1);
    }
    _exit(0);
}

/* Whether it was killed; else it came to its end. */
static bool cut_after(const struct fixture *f, int statements)
{
    int status;
    pid_t child;

    (void) fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        statements_left = statements;
        migrate(f);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(status, 0);
    return false;
}

/* How many steps are on record, by a connection of our own. */
static long steps_done(const struct fixture *f)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    long count = 0;
    char sql[128];

    if (f->server != NULL) {
        (void) snprintf(sql, sizeof(sql), "SELECT COUNT(*) FROM %s.schema_version", f->database);
        return mariadb_number(f->server, sql);
    }
    assert_int_equal(sqlite3_open(f->path, &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database, "SELECT COUNT(*) FROM schema_version", -1, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    count = sqlite3_column_int64(statement, 0);
    (void) sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return count;
}

static void test_cut_at_each_statement(void **state)
{
    struct fixture *f = *state;
    long done = 0;
    int kills = 0;

    /* One statement further each time; from the first again when a step is on record. */
    for (int statements = 1; cut_after(f, statements); kills++) {
        long now = steps_done(f);

        assert_true(now == done || now == done + 1);
        statements = now > done ? 1 : statements + 1;
        done = now;
        assert_true(kills < 1000);
    }
    assert_true(kills > 15);
    must_open(f);
    assert_int_equal(add_role(f->store, "works"), 0);
    assert_int_equal(roles(f->store), 1);
    store_close(&f->store);
    assert_true(steps_done(f) > 3);
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

/* ---- what is kept ---- */

static int64_t roles_in(const char *path)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t count = -1;

    assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(database, "SELECT COUNT(*) FROM roles", -1, &statement, NULL),
        SQLITE_OK);
    if (sqlite3_step(statement) == SQLITE_ROW)
        count = sqlite3_column_int64(statement, 0);
    (void) sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return count;
}

/* As the program of an older schema left it. */
static void make_older(struct fixture *f, const char *role)
{
    if (f->store == NULL)
        must_open(f);
    assert_int_equal(add_role(f->store, role), 0);
    store_close(&f->store);
    run_sql(f, "DROP TABLE nodes; DELETE FROM schema_version WHERE version >= 3");
}

static void test_backup(void **state)
{
    struct fixture *f = *state;
    char backup[160], part[170];
    struct stat info;

    (void) snprintf(backup, sizeof(backup), "%s.version-2", f->path);
    (void) snprintf(part, sizeof(part), "%s.part", backup);
    make_older(f, "one");
    assert_int_equal(access(backup, F_OK), -1); /* a new database has nothing to keep */
    must_open(f);
    assert_int_equal(stat(backup, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(roles_in(backup), 1);
    /* A second time it is the state of then; one that was cut short is in nobody's way. */
    make_older(f, "two");
    assert_int_equal(link(backup, part), 0);
    must_open(f);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(roles_in(backup), 2);
    store_close(&f->store);
    assert_int_equal(unlink(backup), 0);
    must_open(f); /* nothing to migrate */
    assert_int_equal(access(backup, F_OK), -1);
}

static void test_no_migration_without_backup(void **state)
{
    struct fixture *f = *state;
    char backup[160];
    long before;

    (void) snprintf(backup, sizeof(backup), "%s.version-2", f->path);
    make_older(f, "one");
    before = steps_done(f);
    assert_int_equal(mkdir(backup, 0700), 0);
    must_refuse(f, "not migrated without a backup");
    assert_int_equal(steps_done(f), before);
    assert_int_equal(rmdir(backup), 0);
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

int main(void)
{
#define TEST(title, function, set_up)                                                              \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = (set_up),                          \
        .teardown_func = tear_down                                                                 \
    }
    const struct CMUnitTest sqlite[] = {
        TEST("R5.5 a migration cut by kill -9 anywhere goes on (SQLite)",
             test_cut_at_each_statement, on_sqlite),
        TEST("R5.5 a backup is made before a migration", test_backup, on_sqlite),
        TEST("R5.5 without a backup nothing is migrated", test_no_migration_without_backup,
             on_sqlite),
    };
    const struct CMUnitTest mariadb[] = {
        TEST("R5.5 a migration cut by kill -9 anywhere goes on (MariaDB)",
             test_cut_at_each_statement, on_mariadb),
    };

    return cmocka_run_group_tests_name("schema on SQLite", sqlite, NULL, NULL) +
           cmocka_run_group_tests_name("schema on MariaDB", mariadb, start_mariadb, stop_mariadb);
}
