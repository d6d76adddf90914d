/*
 * The store on real SQLite files: statements, transactions, limits, faults, schema.
 */
#include "cesid/store.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"

struct fixture {
    char directory[64];
    char *path;
    struct config config;
    struct store *store;
};

/* Works as long as it is let: the query that must be ended from outside. */
static const struct store_statement endless = {
    "endless", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
               " SELECT COUNT(*) FROM n"};
static const struct store_statement endless_insert = {
    "endless_insert", "INSERT INTO roles (name, created_at)"
                      " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                      " SELECT 'endless' || i, i FROM n"};
static const struct store_statement insert_role = {
    "role_insert", "INSERT INTO roles (name, created_at) VALUES (?, ?)"};
static const struct store_statement find_role = {"role_find",
                                                 "SELECT name, created_at FROM roles WHERE name ="
                                                 " ?"};
static const struct store_statement count_roles = {"role_count", "SELECT COUNT(*) FROM roles"};
static const struct store_statement add_one = {
    "role_add_one", "UPDATE roles SET created_at = created_at + 1 WHERE name = ?"};

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void) info;
    (void) type;
    (void) position;
    return remove(path);
}

static int set_up(void **state)
{
    struct fixture *f = mem_alloc(sizeof *f);
    (void) snprintf(f->directory, sizeof f->directory, "/tmp/cesid-store-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->path = mem_alloc(128);
    (void) snprintf(f->path, 128, "%s/cesid.db", f->directory);
    f->config.server.state_dir = f->directory;
    f->config.store = (struct config_store){.backend = CONFIG_SQLITE,
                                            .path = f->path,
                                            .pool = 2,
                                            .acquire_timeout = 0.3,
                                            .query_timeout = 0.5,
                                            .transaction_timeout = 0.8};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    (void) nftw(f->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(f->path);
    free(f);
    return 0;
}

static int open_store(struct fixture *f, struct strbuf *why)
{
    return store_open(&f->config, &f->store, why);
}

static struct store *must_open(struct fixture *f)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    int status = open_store(f, &why);
    if (status < 0)
        print_message("%s\n", why.data);
    assert_int_equal(status, 0);
    strbuf_destroy(&why);
    return f->store;
}

/* Opening fails, and the sentence names what is given. */
static void must_refuse(struct fixture *f, const char *part)
{
    struct strbuf why;
    strbuf_init(&why, 1024);
    assert_true(open_store(f, &why) < 0);
    assert_null(f->store);
    if (!strstr(why.data, part))
        print_message("%s\n", why.data);
    assert_non_null(strstr(why.data, part));
    strbuf_destroy(&why);
}

static bool take_number(void *argument, const struct store_row *row)
{
    *(int64_t *) argument = store_row_integer(row, 0);
    return true;
}

static int64_t roles(struct store *store)
{
    int64_t count = -1;
    assert_int_equal(store_query(store, &count_roles, NULL, 0, take_number, &count), 0);
    return count;
}

static int add_role(struct store *store, const char *name)
{
    const struct store_value values[] = {store_text(name), store_integer(0)};
    return store_execute(store, &insert_role, values, 2, NULL);
}

/* With a connection of our own, beside the store. */
static void run_sql(struct fixture *f, const char *sql)
{
    sqlite3 *database = NULL;
    assert_int_equal(sqlite3_open(f->path, &database), SQLITE_OK);
    char *message = NULL;
    int code = sqlite3_exec(database, sql, NULL, NULL, &message);
    if (code != SQLITE_OK)
        print_message("%s: %s\n", sql, message);
    sqlite3_free(message);
    assert_int_equal(code, SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* ---- opening ---- */

static void test_opens_and_opens_again(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    must_open(f);
    assert_int_equal(store_ping(f->store), 0);
    assert_int_equal(add_role(f->store, "kept"), 0);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        char name[160];
        (void) snprintf(name, sizeof name, "%s%s", f->path, suffixes[i]);
        assert_int_equal(stat(name, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    store_close(&f->store);
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

static void test_makes_state_dir(void **state)
{
    struct fixture *f = *state;
    char directory[128], path[160];
    struct stat info;
    (void) snprintf(directory, sizeof directory, "%s/state", f->directory);
    (void) snprintf(path, sizeof path, "%s/cesid.db", directory);
    f->config.server.state_dir = directory;
    f->config.store.path = path;
    must_open(f);
    assert_int_equal(stat(directory, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    store_close(&f->store);
    assert_int_equal(chmod(directory, 0777), 0);
    must_refuse(f, "others may write");
}

static void test_newer_schema(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    store_close(&f->store);
    run_sql(f, "INSERT INTO schema_version VALUES (1000, 'from the future', 0)");
    must_refuse(f, "start the newer cesid");
    run_sql(f, "DELETE FROM schema_version WHERE version = 1000");
    must_open(f);
}

static void test_damaged_schema(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    store_close(&f->store);
    run_sql(f, "UPDATE schema_version SET name = 'something else' WHERE version = 1");
    must_refuse(f, "restore a backup");
}

static void test_missing_column(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    store_close(&f->store);
    run_sql(f, "ALTER TABLE users DROP COLUMN email");
    must_refuse(f, "users");
}

static void test_cut_short_migration(void **state)
{
    /* A step whose statements ran and whose record was lost is run again. */
    struct fixture *f = *state;
    must_open(f);
    assert_int_equal(add_role(f->store, "kept"), 0);
    store_close(&f->store);
    run_sql(f, "DROP TABLE sessions; DELETE FROM schema_version");
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

static void test_no_database(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "w");
    for (int i = 0; i < 1000; i++)
        (void) fputs("this is no database at all\n", file);
    (void) fclose(file);
    must_refuse(f, "not a database");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    must_refuse(f, "no regular file");
    assert_int_equal(rmdir(f->path), 0);
    char missing[160];
    (void) snprintf(missing, sizeof missing, "%s/not/there.db", f->directory);
    f->config.store.path = missing;
    must_refuse(f, "cannot create the database");
}

/* ---- values ---- */

struct text_row {
    char text[256];
    size_t length;
    int rows;
};

static bool take_text(void *argument, const struct store_row *row)
{
    struct text_row *taken = argument;
    const char *text = store_row_text(row, 0);
    taken->length = store_row_length(row, 0);
    assert_true(text && taken->length < sizeof taken->text);
    memcpy(taken->text, text, taken->length + 1);
    taken->rows++;
    return true;
}

static void test_metacharacters(void **state)
{
    static const char *const texts[] = {"'; DROP TABLE roles; --",
                                        "\" OR 1=1 --",
                                        "' OR '1'='1",
                                        "?1 :name @name $name ??",
                                        "%_\\%\\_",
                                        "`roles`; /* */",
                                        "a\nb\tc\r\x01\x1b[31m",
                                        "zw\xc3\xb6lf \xe2\x82\xac \xf0\x9f\x90\x98",
                                        "NULL",
                                        "0x27",
                                        ""};
    struct fixture *f = *state;
    must_open(f);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct text_row taken = {.rows = 0};
        const struct store_value name[] = {store_text(texts[i])};
        assert_int_equal(add_role(f->store, texts[i]), 0);
        assert_int_equal(store_query(f->store, &find_role, name, 1, take_text, &taken), 0);
        assert_int_equal(taken.rows, 1);
        assert_string_equal(taken.text, texts[i]);
        assert_int_equal(taken.length, strlen(texts[i]));
    }
    assert_int_equal(roles(f->store), ARRAY_LENGTH(texts));
    const struct store_value nul[] = {store_bytes("a\0b", 3), store_integer(INT64_MIN)};
    struct text_row taken = {.rows = 0};
    assert_int_equal(store_execute(f->store, &insert_role, nul, 2, NULL), 0);
    assert_int_equal(store_query(f->store, &find_role, nul, 1, take_text, &taken), 0);
    assert_int_equal(taken.length, 3);
}

static bool take_null(void *argument, const struct store_row *row)
{
    *(bool *) argument = store_row_is_null(row, 0) && !store_row_text(row, 0) &&
                         store_row_integer(row, 0) == 0 && store_row_integer(row, 1) == INT64_MAX;
    return false;
}

static void test_null_and_integers(void **state)
{
    static const struct store_statement echo = {"echo", "SELECT ?, ?"};
    struct fixture *f = *state;
    bool right = false;
    const struct store_value values[] = {store_text(NULL), store_integer(INT64_MAX)};
    must_open(f);
    assert_int_equal(store_query(f->store, &echo, values, 2, take_null, &right), 0);
    assert_true(right);
}

static void test_conflicts(void **state)
{
    static const struct store_statement orphan = {
        "orphan", "INSERT INTO role_permissions (role, permission) VALUES ('nobody', 'node:read')"};
    static const struct store_statement hole = {
        "hole", "INSERT INTO roles (name, created_at) VALUES ('hole', NULL)"};
    struct fixture *f = *state;
    int64_t changed = 0;
    must_open(f);
    assert_int_equal(add_role(f->store, "one"), 0);
    assert_int_equal(add_role(f->store, "one"), CESID_E_CONFLICT);
    assert_int_equal(store_execute(f->store, &orphan, NULL, 0, NULL), CESID_E_CONFLICT);
    assert_int_equal(store_execute(f->store, &hole, NULL, 0, NULL), CESID_E_STORE_UNAVAILABLE);
    const struct store_value name[] = {store_text("one")};
    assert_int_equal(store_execute(f->store, &add_one, name, 1, &changed), 0);
    assert_int_equal(changed, 1);
    const struct store_value other[] = {store_text("two")};
    assert_int_equal(store_execute(f->store, &add_one, other, 1, &changed), 0);
    assert_int_equal(changed, 0);
}

static void test_readers_cannot_write(void **state)
{
    struct fixture *f = *state;
    const struct store_value values[] = {store_text("sneaked in"), store_integer(0)};
    must_open(f);
    assert_int_equal(store_query(f->store, &insert_role, values, 2, take_number, NULL),
                     CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(roles(f->store), 0);
}

/* ---- limits ---- */

static void test_query_timeout(void **state)
{
    struct fixture *f = *state;
    int64_t count = 0;
    must_open(f);
    for (int i = 0; i < 3; i++) {
        int64_t start = clock_now();
        assert_int_equal(store_query(f->store, &endless, NULL, 0, take_number, &count),
                         CESID_E_STORE_TIMEOUT);
        assert_true(clock_seconds_since(start) >= 0.5 && clock_seconds_since(start) < 5.0);
    }
    int64_t start = clock_now();
    assert_int_equal(store_execute(f->store, &endless_insert, NULL, 0, NULL),
                     CESID_E_STORE_TIMEOUT);
    assert_true(clock_seconds_since(start) < 5.0);
    assert_int_equal(roles(f->store), 0);
    assert_int_equal(add_role(f->store, "afterwards"), 0);
}

struct holder {
    struct store *store;
    atomic_int inside;
    atomic_bool go_on;
    atomic_int failures;
};

static bool hold_row(void *argument, const struct store_row *row)
{
    struct holder *holder = argument;
    (void) row;
    atomic_fetch_add(&holder->inside, 1);
    while (!atomic_load(&holder->go_on))
        (void) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return true;
}

static void *hold_reader(void *argument)
{
    struct holder *holder = argument;
    if (store_query(holder->store, &count_roles, NULL, 0, hold_row, holder) < 0)
        atomic_fetch_add(&holder->failures, 1);
    return NULL;
}

static void wait_for(atomic_int *value, int wanted)
{
    int64_t deadline = clock_after(20.0);
    while (atomic_load(value) != wanted) {
        assert_true(clock_now() < deadline);
        (void) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void test_pool_exhausted(void **state)
{
    struct fixture *f = *state;
    struct holder holder = {.store = NULL};
    struct store_figures figures;
    pthread_t threads[2];
    f->config.store.query_timeout = 60.0;
    holder.store = must_open(f);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_reader, &holder), 0);
    wait_for(&holder.inside, 2);
    store_figures(f->store, &figures);
    assert_int_equal(figures.pool, 3);
    assert_int_equal(figures.in_use, 2);

    int64_t start = clock_now(), count = 0;
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count),
                     CESID_E_POOL_EXHAUSTED);
    assert_true(clock_seconds_since(start) >= 0.29 && clock_seconds_since(start) < 5.0);
    /* Writing has a connection of its own. */
    assert_int_equal(add_role(f->store, "written meanwhile"), 0);

    atomic_store(&holder.go_on, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&holder.failures), 0);
    assert_int_equal(roles(f->store), 1);
    store_figures(f->store, &figures);
    assert_int_equal(figures.in_use, 0);
}

/* ---- transactions ---- */

static int insert_two(struct store_transaction *transaction, void *argument)
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

static void test_rollback(void **state)
{
    struct fixture *f = *state;
    int answer = CESID_E_FORBIDDEN;
    must_open(f);
    assert_int_equal(store_transact(f->store, insert_two, &answer), CESID_E_FORBIDDEN);
    assert_int_equal(roles(f->store), 0);
    answer = 0;
    assert_int_equal(store_transact(f->store, insert_two, &answer), 0);
    assert_int_equal(roles(f->store), 2);
}

static int conflict_and_go_on(struct store_transaction *transaction, void *argument)
{
    const struct store_value values[] = {store_text("first"), store_integer(1)};
    (void) argument;
    int status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    if (status == 0)
        status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    return status == CESID_E_CONFLICT ? 0 : CESID_E_INTERNAL;
}

static void test_conflict_in_transaction(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    assert_int_equal(store_transact(f->store, conflict_and_go_on, NULL), 0);
    assert_int_equal(roles(f->store), 1);
}

static int ignore_timeout(struct store_transaction *transaction, void *argument)
{
    const struct store_value values[] = {store_text("lost"), store_integer(1)};
    int *seen = argument;
    int status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    assert_int_equal(status, 0);
    seen[0] = store_transaction_execute(transaction, &endless_insert, NULL, 0, NULL);
    seen[1] = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    return 0;
}

static void test_transaction_timeout(void **state)
{
    struct fixture *f = *state;
    int seen[2] = {0, 0};
    must_open(f);
    int64_t start = clock_now();
    assert_int_equal(store_transact(f->store, ignore_timeout, seen), CESID_E_STORE_TIMEOUT);
    assert_true(clock_seconds_since(start) < 5.0);
    assert_int_equal(seen[0], CESID_E_STORE_TIMEOUT);
    assert_int_equal(seen[1], CESID_E_STORE_TIMEOUT);
    assert_int_equal(roles(f->store), 0);
    /* The writing connection is free and clean. */
    int answer = 0;
    assert_int_equal(store_transact(f->store, insert_two, &answer), 0);
}

static int dawdle(struct store_transaction *transaction, void *argument)
{
    const struct store_value values[] = {store_text("late"), store_integer(1)};
    (void) argument;
    int status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    int64_t until = clock_after(0.9);
    while (clock_now() < until)
        (void) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return status;
}

static void test_dawdling_transaction(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    assert_int_equal(store_transact(f->store, dawdle, NULL), CESID_E_STORE_TIMEOUT);
    assert_int_equal(roles(f->store), 0);
    assert_int_equal(add_role(f->store, "after"), 0);
}

/* ---- many at once ---- */

#define THREADS 8
#define ROUNDS  40

struct worker {
    struct store *store;
    int failures;
};

static int read_and_write(struct store_transaction *transaction, void *argument)
{
    int64_t count = 0;
    (void) argument;
    int status = store_transaction_query(transaction, &count_roles, NULL, 0, take_number, &count);
    const struct store_value name[] = {store_text("counter")};
    return status < 0 ? status : store_transaction_execute(transaction, &add_one, name, 1, NULL);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    const struct store_value name[] = {store_text("counter")};
    for (int i = 0; i < ROUNDS; i++) {
        int64_t count = 0;
        worker->failures += store_transact(worker->store, read_and_write, NULL) < 0;
        worker->failures += store_execute(worker->store, &add_one, name, 1, NULL) < 0;
        for (int j = 0; j < 5; j++)
            worker->failures +=
                store_query(worker->store, &count_roles, NULL, 0, take_number, &count) < 0;
    }
    return NULL;
}

static bool take_second(void *argument, const struct store_row *row)
{
    *(int64_t *) argument = store_row_integer(row, 1);
    return true;
}

static void test_many_threads(void **state)
{
    struct fixture *f = *state;
    struct worker workers[THREADS];
    struct store_figures figures;
    pthread_t threads[THREADS];
    f->config.store.acquire_timeout = 60.0;
    f->config.store.transaction_timeout = 60.0;
    f->config.store.query_timeout = 60.0;
    must_open(f);
    assert_int_equal(add_role(f->store, "counter"), 0);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = f->store};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
    int64_t total = 0;
    const struct store_value name[] = {store_text("counter")};
    assert_int_equal(store_query(f->store, &find_role, name, 1, take_second, &total), 0);
    assert_int_equal(total, THREADS * ROUNDS * 2);
    store_figures(f->store, &figures);
    assert_int_equal(figures.in_use, 0);
    assert_int_equal(figures.waiting, 0);
}

/* ---- faults ---- */

static void test_locked_by_another(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other = NULL;
    must_open(f);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t start = clock_now();
    int answer = 0;
    assert_int_equal(add_role(f->store, "blocked"), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(store_transact(f->store, insert_two, &answer), CESID_E_STORE_UNAVAILABLE);
    assert_true(clock_seconds_since(start) >= 0.9 && clock_seconds_since(start) < 10.0);
    assert_int_equal(roles(f->store), 0);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(add_role(f->store, "free again"), 0);
}

static void test_disk_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, tight;
    must_open(f);
    /* A file that may not grow is what a full disk looks like from here: SIGXFSZ is blocked, so
     * that write() answers EFBIG. */
    assert_int_equal(add_role(f->store, "before"), 0);
    sigset_t set, old;
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGXFSZ);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int answer = 0;
    int single = add_role(f->store, "no room");
    int several = store_transact(f->store, insert_two, &answer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(single, CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(several, CESID_E_STORE_UNAVAILABLE);
    (void) sigtimedwait(&set, NULL, &(struct timespec){0});
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);

    assert_int_equal(roles(f->store), 1);
    assert_int_equal(add_role(f->store, "room again"), 0);
    assert_int_equal(roles(f->store), 2);
}

static void test_file_replaced(void **state)
{
    /* The file is overwritten with rubbish while open: an error, not a crash, and a new connection
     * a call, so that a restored file is found. */
    struct fixture *f = *state;
    int64_t count = 0;
    must_open(f);
    store_close(&f->store);
    must_open(f);
    char rubbish[4096];
    memset(rubbish, 'x', sizeof rubbish);
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    char saved[4096];
    assert_int_equal(pread(fd, saved, sizeof saved, 0), sizeof saved);
    assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, 0), sizeof rubbish);
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count),
                     CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(pwrite(fd, saved, sizeof saved, 0), sizeof saved);
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count), 0);
    close(fd);
}

int main(void)
{
#define TEST(title, function)                                                                      \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = set_up, .teardown_func = tear_down \
    }
    const struct CMUnitTest tests[] = {
        TEST("the store opens, keeps its files private, and opens again",
             test_opens_and_opens_again),
        TEST("the state directory is made, and refused when others may write",
             test_makes_state_dir),
        TEST("R5.5 a newer schema is refused", test_newer_schema),
        TEST("R5.5 a damaged schema is refused", test_damaged_schema),
        TEST("R5.5 a missing column is refused", test_missing_column),
        TEST("a migration cut short goes on", test_cut_short_migration),
        TEST("what is no database is refused", test_no_database),
        TEST("R9.2 SQL metacharacters come back unchanged", test_metacharacters),
        TEST("null and integers come back unchanged", test_null_and_integers),
        TEST("a broken key is a conflict", test_conflicts),
        TEST("a reading connection cannot write", test_readers_cannot_write),
        TEST("R5.3 a query that takes too long is ended", test_query_timeout),
        TEST("R5.2 an exhausted pool is answered in time", test_pool_exhausted),
        TEST("a failed transaction leaves nothing", test_rollback),
        TEST("a conflict does not void a transaction", test_conflict_in_transaction),
        TEST("R5.3 a statement's timeout rolls its transaction back", test_transaction_timeout),
        TEST("R5.3 a transaction that dawdles is rolled back", test_dawdling_transaction),
        TEST("R5.4 many threads share a small pool", test_many_threads),
        TEST("a lock held by another program is an error in time", test_locked_by_another),
        TEST("a full disk is an error, and passes", test_disk_full),
        TEST("a damaged file is an error, and passes", test_file_replaced),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
