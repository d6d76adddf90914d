/*
 * SQLite. WAL with synchronous=FULL: a commit that was answered survives a power cut, and readers
 * never wait for the writer. There is one writing connection, because several that upgrade from
 * reading get an immediate BUSY whatever the busy handler says; for the same reason every
 * transaction starts as BEGIN IMMEDIATE.
 *
 * Deadlines: the progress handler asks the clock while a statement runs, and the busy handler while
 * another process holds the lock. Both run in the thread that runs the statement; a connection is
 * in one thread's hands at a time (SQLITE_OPEN_NOMUTEX), so nothing here locks.
 */
#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"

/* Some 10 to 50 µs between two looks at the clock. */
#define PROGRESS_STEPS 1000
#define COLUMNS_MAX    32

struct prepared {
    const struct store_statement *key; /* statements are static: the address names one */
    sqlite3_stmt *statement;
    UT_hash_handle hh;
};

struct sqlite_connection {
    struct store_connection base;
    sqlite3 *database;
    struct prepared *prepared;
    int64_t deadline; /* of the statement that runs */
    char *path;
    dev_t device; /* of the file, when it was opened */
    ino_t inode;
};

static struct sqlite_connection *from_base(struct store_connection *base)
{
    return CONTAINER_OF(base, struct sqlite_connection, base);
}

static int stop_when_late(void *argument)
{
    const struct sqlite_connection *connection = argument;
    return clock_now() >= connection->deadline;
}

static int wait_for_lock(void *argument, int times)
{
    const struct sqlite_connection *connection = argument;
    int64_t left = connection->deadline - clock_now();
    if (left <= 0)
        return 0;
    int64_t pause = CLOCK_SECOND / 1000 << (times < 4 ? times : 4);
    if (pause > left)
        pause = left;
    const struct timespec span = {.tv_nsec = (long) pause};
    (void) nanosleep(&span, NULL);
    return 1;
}

static int failed(struct sqlite_connection *connection, int code)
{
    (void) snprintf(connection->base.message, sizeof connection->base.message, "%s",
                    connection->database ? sqlite3_errmsg(connection->database)
                                         : sqlite3_errstr(code));
    switch (code & 0xff) {
    case SQLITE_INTERRUPT:
        return CESID_E_STORE_TIMEOUT;
    case SQLITE_CONSTRAINT:
        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY ||
            code == SQLITE_CONSTRAINT_ROWID || code == SQLITE_CONSTRAINT_FOREIGNKEY)
            return CESID_E_CONFLICT;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
        break;
    default:
        /* A fresh connection sees the file as it is now. */
        connection->base.broken = true;
    }
    return CESID_E_STORE_UNAVAILABLE;
}

static int sqlite_prepare_file(const struct store_settings *settings, struct strbuf *why)
{
    /* SQLite would make it readable by everybody; its -wal and -shm get the same mode as this. */
    int fd = open(settings->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
        return 0;
    }
    struct stat info;
    if (errno != EEXIST || stat(settings->path, &info) < 0) {
        strbuf_printf(why, "store.path %s: cannot create the database: %s", settings->path,
                      strerror(errno));
        return CESID_E_INTERNAL;
    }
    if (!S_ISREG(info.st_mode)) {
        strbuf_printf(why, "store.path %s: is no regular file", settings->path);
        return CESID_E_INTERNAL;
    }
    if (info.st_mode & 077)
        log_warning("store", "others may read the database: chmod 600 it",
                    log_s("path", settings->path));
    return 0;
}

static int execute(struct sqlite_connection *connection, const char *sql)
{
    int code = sqlite3_exec(connection->database, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : failed(connection, code);
}

static void sqlite_close_connection(struct store_connection **base)
{
    if (!*base)
        return;
    struct sqlite_connection *connection = from_base(*base);
    struct prepared *prepared, *next;
    HASH_ITER(hh, connection->prepared, prepared, next)
    {
        HASH_DEL(connection->prepared, prepared); // NOLINT(clang-analyzer-unix.Malloc)
        sqlite3_finalize(prepared->statement);
        free(prepared);
    }
    /* The last connection to go writes the WAL back; that must not be cut short. */
    connection->deadline = CLOCK_NEVER;
    int code = sqlite3_close(connection->database);
    CHECK(code == SQLITE_OK);
    free(connection->path);
    free(connection);
    *base = NULL;
}

static int set_up(struct sqlite_connection *connection, bool writer)
{
    sqlite3 *database = connection->database;
    /* It opens such a file without a word. */
    if (sqlite3_db_readonly(database, "main") == 1) {
        (void) snprintf(connection->base.message, sizeof connection->base.message,
                        "the database may only be read: let cesid's user write to it and its "
                        "directory");
        return CESID_E_STORE_UNAVAILABLE;
    }
    int code = sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_handler(database, wait_for_lock, connection);
    if (code != SQLITE_OK)
        return failed(connection, code);
    sqlite3_progress_handler(database, PROGRESS_STEPS, stop_when_late, connection);

    int status = execute(connection, "PRAGMA journal_mode = WAL");
    if (status == 0)
        status = execute(connection, "PRAGMA synchronous = FULL");
    if (status == 0)
        status = execute(connection, "PRAGMA foreign_keys = ON");
    /* As the other backends compare. */
    if (status == 0)
        status = execute(connection, "PRAGMA case_sensitive_like = ON");
    if (status == 0 && !writer)
        status = execute(connection, "PRAGMA query_only = ON");
    return status;
}

static int sqlite_open_connection(const struct store_settings *settings, bool writer,
                                  int64_t deadline, struct store_connection **out,
                                  struct strbuf *why)
{
    struct sqlite_connection *connection = mem_alloc(sizeof *connection);
    struct stat info = {0};
    connection->deadline = deadline;
    connection->path = mem_string(settings->path);
    /* Before it is opened: one that is replaced in between is found out by the next look. */
    if (stat(settings->path, &info) == 0) {
        connection->device = info.st_dev;
        connection->inode = info.st_ino;
    }
    int code =
        sqlite3_open_v2(settings->path, &connection->database,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    int status = code == SQLITE_OK ? set_up(connection, writer) : failed(connection, code);
    if (status < 0) {
        strbuf_printf(why, "store.path %s: %s", settings->path, connection->base.message);
        struct store_connection *base = &connection->base;
        sqlite_close_connection(&base);
        return CESID_E_STORE_UNAVAILABLE;
    }
    *out = &connection->base;
    return 0;
}

/* A file that was deleted or replaced would take every record, and be gone with this process. */
static bool sqlite_alive(struct store_connection *base)
{
    const struct sqlite_connection *connection = from_base(base);
    struct stat info;
    return stat(connection->path, &info) == 0 && info.st_dev == connection->device &&
           info.st_ino == connection->inode;
}

static int find_prepared(struct sqlite_connection *connection,
                         const struct store_statement *statement, sqlite3_stmt **out)
{
    struct prepared *prepared;
    HASH_FIND_PTR(connection->prepared, &statement, prepared);
    if (!prepared) {
        sqlite3_stmt *made = NULL;
        const char *tail = NULL;
        int code = sqlite3_prepare_v3(connection->database, statement->sql, -1,
                                      SQLITE_PREPARE_PERSISTENT, &made, &tail);
        if (code != SQLITE_OK)
            return failed(connection, code);
        CHECK(made && tail && *tail == '\0');
        prepared = mem_alloc(sizeof *prepared);
        prepared->key = statement;
        prepared->statement = made;
        HASH_ADD_PTR(connection->prepared, key, prepared);
    }
    *out = prepared->statement;
    return 0;
}

static int bind(struct sqlite_connection *connection, sqlite3_stmt *statement,
                const struct store_value *values, size_t count)
{
    CHECK((size_t) sqlite3_bind_parameter_count(statement) == count);
    for (int i = 0; i < (int) count; i++) {
        const struct store_value *value = &values[i];
        int code = SQLITE_OK;
        switch (value->type) {
        case STORE_NULL:
            code = sqlite3_bind_null(statement, i + 1);
            break;
        case STORE_INTEGER:
            code = sqlite3_bind_int64(statement, i + 1, value->integer);
            break;
        case STORE_TEXT:
            code = sqlite3_bind_text64(statement, i + 1, value->text, value->length, SQLITE_STATIC,
                                       SQLITE_UTF8);
            break;
        }
        if (code != SQLITE_OK)
            return failed(connection, code);
    }
    return 0;
}

static bool hand_out(sqlite3_stmt *statement, store_row_callback *row, void *argument)
{
    struct store_value columns[COLUMNS_MAX];
    int count = sqlite3_column_count(statement);
    CHECK(count <= COLUMNS_MAX);
    for (int i = 0; i < count; i++) {
        switch (sqlite3_column_type(statement, i)) {
        case SQLITE_NULL:
            columns[i] = (struct store_value){.type = STORE_NULL};
            break;
        case SQLITE_INTEGER:
            columns[i] = store_integer(sqlite3_column_int64(statement, i));
            break;
        default: {
            const char *text = (const char *) sqlite3_column_text(statement, i);
            columns[i] = store_bytes(text ? text : "",
                                     text ? (size_t) sqlite3_column_bytes(statement, i) : 0);
        }
        }
    }
    return row(argument, &(struct store_row){.columns = columns, .count = count});
}

static int sqlite_run(struct store_connection *base, const struct store_statement *statement,
                      const struct store_value *values, size_t count, int64_t deadline,
                      store_row_callback *row, void *argument, int64_t *changed)
{
    struct sqlite_connection *connection = from_base(base);
    sqlite3_stmt *prepared = NULL;
    connection->deadline = deadline;
    int status = find_prepared(connection, statement, &prepared);
    if (status < 0)
        return status;
    status = bind(connection, prepared, values, count);
    int code = SQLITE_OK;
    while (status == 0 && (code = sqlite3_step(prepared)) == SQLITE_ROW) {
        if (row && !hand_out(prepared, row, argument))
            break;
        /* A short statement runs too few steps for the progress handler; rows may still take
         * long in the caller's hands. */
        if (clock_now() >= deadline)
            code = SQLITE_INTERRUPT;
        if (code == SQLITE_INTERRUPT)
            break;
    }
    if (status == 0 && code != SQLITE_DONE && code != SQLITE_ROW) {
        status = failed(connection, code);
        if (status == CESID_E_STORE_TIMEOUT)
            (void) snprintf(base->message, sizeof base->message, "the statement took too long");
    }
    if (status == 0 && changed)
        *changed = sqlite3_changes64(connection->database);
    (void) sqlite3_reset(prepared);
    (void) sqlite3_clear_bindings(prepared);
    return status;
}

static int sqlite_begin(struct store_connection *base, int64_t deadline)
{
    struct sqlite_connection *connection = from_base(base);
    connection->deadline = deadline;
    return execute(connection, "BEGIN IMMEDIATE");
}

static int sqlite_commit(struct store_connection *base, int64_t deadline)
{
    struct sqlite_connection *connection = from_base(base);
    connection->deadline = deadline;
    return execute(connection, "COMMIT");
}

static void sqlite_rollback(struct store_connection *base)
{
    struct sqlite_connection *connection = from_base(base);
    connection->deadline = CLOCK_NEVER;
    /* Some failures (a full disk) have rolled back already. */
    if (!sqlite3_get_autocommit(connection->database) &&
        sqlite3_exec(connection->database, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        base->broken = true;
}

/* ---- backup ---- */

/* The path's file, and that it has that name. */
static int make_durable(const char *path)
{
    char *copy = mem_string(path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    int directory = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = file >= 0 && directory >= 0 && fsync(file) == 0 && fsync(directory) == 0;
    int cause = errno;
    if (file >= 0)
        close(file);
    if (directory >= 0)
        close(directory);
    free(copy);
    errno = cause;
    return good ? 0 : -1;
}

/* To a name of its own first: what is there under the last name is whole. */
static int copy_to(struct sqlite_connection *connection, const char *part, const char *path)
{
    static const struct store_statement copy = {"schema_backup", "VACUUM INTO ?"};
    const struct store_value value = store_text(part);
    (void) unlink(part);
    /* SQLite takes an empty file, and leaves its mode alone. */
    int fd = open(part, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int status = fd < 0 ? CESID_E_STORE_UNAVAILABLE : 0;
    if (fd >= 0) {
        close(fd);
        status = sqlite_run(&connection->base, &copy, &value, 1, CLOCK_NEVER, NULL, NULL, NULL);
        if (status < 0)
            return status;
    }
    if (status < 0 || make_durable(part) < 0 || rename(part, path) < 0 || make_durable(path) < 0) {
        (void) snprintf(connection->base.message, sizeof connection->base.message, "%s",
                        strerror(errno));
        return CESID_E_STORE_UNAVAILABLE;
    }
    return 0;
}

static int sqlite_back_up(struct store_connection *base, const char *suffix)
{
    struct sqlite_connection *connection = from_base(base);
    struct strbuf path, part;
    strbuf_init(&path, 8192);
    strbuf_init(&part, 8192);
    strbuf_printf(&path, "%s%s", connection->path, suffix);
    strbuf_printf(&part, "%s.part", path.data);
    int status = copy_to(connection, part.data, path.data);
    if (status == 0)
        log_info("store", "made a backup of the database before its schema changes",
                 log_s("path", path.data));
    else
        (void) unlink(part.data);
    strbuf_destroy(&path);
    strbuf_destroy(&part);
    return status;
}

const struct store_driver *store_sqlite(void)
{
    static const struct store_driver driver = {
        .name = "sqlite",
        .one_writer = true,
        .prepare = sqlite_prepare_file,
        .open = sqlite_open_connection,
        .close = sqlite_close_connection,
        .alive = sqlite_alive,
        .back_up = sqlite_back_up,
        .run = sqlite_run,
        .begin = sqlite_begin,
        .commit = sqlite_commit,
        .rollback = sqlite_rollback,
    };
    return &driver;
}
