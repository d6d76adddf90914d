/*
 * MariaDB, 10.6 or newer, over TCP: connections, transactions, and what a failure means.
 *
 * Deadlines: the library's non-blocking calls wait in mariadb_await(), which ends them at the
 * deadline; a connection that was late is dropped, as an answer may still be on its way. The server
 * has the same limit (max_statement_time) and ends the statement itself, so that nothing runs on
 * for nobody; an answer of that kind leaves the connection good.
 *
 * Sessions are SERIALIZABLE: in a transaction what was read stays true until the commit, as it does
 * on SQLite with its one writer; who collides is told so and repeated. A lone SELECT locks nothing.
 * sql_mode gives quotes, backslashes and || the meaning that they have on SQLite.
 *
 * A connection is in one thread's hands at a time, so nothing here locks.
 */
#include "store_mariadb.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/strbuf.h"
#include "store_mariadb_private.h"

#define GRACE          (CLOCK_SECOND / 5)
#define OLDEST_VERSION 100600

void mariadb_limit(struct mariadb_connection *connection, int64_t deadline)
{
    connection->deadline = deadline > CLOCK_NEVER - GRACE ? CLOCK_NEVER : deadline + GRACE;
    connection->late = false;
    connection->base.retry = false;
}

int mariadb_await(struct mariadb_connection *connection, int events)
{
    struct pollfd socket = {.fd = (int) mysql_get_socket(connection->mysql)};
    if (events & MYSQL_WAIT_READ)
        socket.events |= POLLIN;
    if (events & MYSQL_WAIT_WRITE)
        socket.events |= POLLOUT;
    if (events & MYSQL_WAIT_EXCEPT)
        socket.events |= POLLPRI;
    int64_t left;
    while ((left = connection->deadline - clock_now()) > 0) {
        int64_t wait = left / (CLOCK_SECOND / 1000) + 1;
        int ready = poll(&socket, 1, wait < 60000 ? (int) wait : 60000);
        if (ready <= 0)
            continue;
        int found = 0;
        if (socket.revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL))
            found |= MYSQL_WAIT_READ;
        if (socket.revents & (POLLOUT | POLLHUP | POLLERR | POLLNVAL))
            found |= MYSQL_WAIT_WRITE;
        if (socket.revents & POLLPRI)
            found |= MYSQL_WAIT_EXCEPT;
        return found & events ? found & events : events;
    }
    connection->late = true;
    return MYSQL_WAIT_TIMEOUT;
}

static void describe(struct mariadb_connection *connection, unsigned number, const char *state,
                     const char *text)
{
    /* What the server says of data (classes 22 and 23) quotes it. */
    bool quotes = strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ||
                  number == ER_TRUNCATED_WRONG_VALUE_FOR_FIELD;
    (void) snprintf(connection->base.message, sizeof connection->base.message, "%u (%s): %s",
                    number, state, quotes ? "a value or key does not fit" : text);
}

int mariadb_failed(struct mariadb_connection *connection, unsigned number, const char *state,
                   const char *text)
{
    if (connection->late) {
        (void) snprintf(connection->base.message, sizeof connection->base.message,
                        "the server took too long");
        connection->base.broken = true;
        return CESID_E_STORE_TIMEOUT;
    }
    describe(connection, number, state, text);
    switch (number) {
    case ER_DUP_ENTRY:
    case ER_DUP_KEY:
    case ER_DUP_ENTRY_WITH_KEY_NAME:
    case ER_NO_REFERENCED_ROW:
    case ER_NO_REFERENCED_ROW_2:
    case ER_ROW_IS_REFERENCED:
    case ER_ROW_IS_REFERENCED_2:
        return CESID_E_CONFLICT;
    case ER_STATEMENT_TIMEOUT:
        return CESID_E_STORE_TIMEOUT;
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_CHECKREAD:
        connection->base.retry = true;
        return CESID_E_STORE_UNAVAILABLE;
    case ER_NEED_REPREPARE:
        connection->base.retry = true;
        break;
    default:
        if (number < CR_MIN_ERROR && number != ER_CONNECTION_KILLED &&
            number != ER_SERVER_SHUTDOWN && number != ER_UNKNOWN_STMT_HANDLER)
            return CESID_E_STORE_UNAVAILABLE;
    }
    connection->base.broken = true;
    return CESID_E_STORE_UNAVAILABLE;
}

static int mysql_said(struct mariadb_connection *connection)
{
    return mariadb_failed(connection, mysql_errno(connection->mysql),
                          mysql_sqlstate(connection->mysql), mysql_error(connection->mysql));
}

/* SQL of the driver's own, without rows. */
static int execute(struct mariadb_connection *connection, const char *sql, int64_t deadline)
{
    mariadb_limit(connection, deadline);
    int answer = 0;
    int events = mysql_real_query_start(&answer, connection->mysql, sql, strlen(sql));
    while (events)
        events =
            mysql_real_query_cont(&answer, connection->mysql, mariadb_await(connection, events));
    return answer == 0 ? 0 : mysql_said(connection);
}

/* ---- life ---- */

static int mariadb_prepare(const struct store_settings *settings, struct strbuf *why)
{
    (void) settings;
    if (mysql_library_init(0, NULL, NULL) == 0)
        return 0;
    strbuf_puts(why, "the MariaDB client library does not start");
    return CESID_E_INTERNAL;
}

static void mariadb_close_connection(struct store_connection **base)
{
    if (!*base)
        return;
    struct mariadb_connection *connection = mariadb_from_base(*base);
    if (connection->base.broken)
        (void) mariadb_cancel(connection->mysql); /* nothing more is said to the server */
    mysql_close(connection->mysql);
    mariadb_forget(connection);
    free(connection);
    *base = NULL;
}

static void set_options(MYSQL *mysql)
{
    static const enum mysql_protocol_type tcp = MYSQL_PROTOCOL_TCP;
    static const unsigned never = 0;
    static const my_bool no = 0;
    /* No method by which a false server could learn the password. */
    (void) mysql_options(mysql, MARIADB_OPT_RESTRICTED_AUTH,
                         "mysql_native_password,client_ed25519");
    (void) mysql_options(mysql, MYSQL_OPT_NONBLOCK, NULL);
    (void) mysql_options(mysql, MYSQL_OPT_PROTOCOL, &tcp);
    (void) mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &never);
    (void) mysql_options(mysql, MYSQL_OPT_RECONNECT, &no);
    (void) mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    (void) mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "cesid");
}

static int connect_to(struct mariadb_connection *connection, const struct store_settings *settings,
                      int64_t deadline)
{
    MYSQL *made = NULL;
    mariadb_limit(connection, deadline);
    int events = mysql_real_connect_start(&made, connection->mysql, settings->host, settings->user,
                                          secret_reveal(settings->password), settings->database,
                                          (unsigned) settings->port, NULL, CLIENT_FOUND_ROWS);
    while (events)
        events =
            mysql_real_connect_cont(&made, connection->mysql, mariadb_await(connection, events));
    if (!made)
        return mysql_said(connection);
    if (mariadb_connection(connection->mysql) &&
        mysql_get_server_version(connection->mysql) >= OLDEST_VERSION)
        return 0;
    (void) snprintf(connection->base.message, sizeof connection->base.message,
                    "the server is %.100s: MariaDB 10.6 or newer is needed",
                    mysql_get_server_info(connection->mysql));
    return CESID_E_STORE_UNAVAILABLE;
}

static int set_session(struct mariadb_connection *connection, const struct store_settings *settings,
                       int64_t deadline)
{
    double limit = settings->query_timeout < settings->transaction_timeout
                       ? settings->query_timeout
                       : settings->transaction_timeout;
    char sql[512];
    (void) snprintf(sql, sizeof sql,
                    "SET SESSION autocommit = 1, tx_isolation = 'SERIALIZABLE',"
                    " max_statement_time = %.3f, innodb_lock_wait_timeout = %.0f,"
                    " sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES,PIPES_AS_CONCAT,"
                    "NO_BACKSLASH_ESCAPES,NO_ENGINE_SUBSTITUTION'",
                    limit, limit + 1);
    int status = execute(connection, "SET NAMES utf8mb4 COLLATE utf8mb4_bin", deadline);
    return status < 0 ? status : execute(connection, sql, deadline);
}

static int mariadb_open_connection(const struct store_settings *settings, bool writer,
                                   int64_t deadline, struct store_connection **out,
                                   struct strbuf *why)
{
    (void) writer;
    struct mariadb_connection *connection = mem_alloc(sizeof *connection);
    connection->query_timeout = settings->query_timeout;
    connection->mysql = mysql_init(NULL);
    CHECK(connection->mysql);
    set_options(connection->mysql);
    int status = connect_to(connection, settings, deadline);
    if (status == 0)
        status = set_session(connection, settings, deadline);
    if (status < 0) {
        strbuf_printf(why, "store.host %s, port %d: %s", settings->host, settings->port,
                      connection->base.message);
        struct store_connection *base = &connection->base;
        base->broken = true;
        mariadb_close_connection(&base);
        return CESID_E_STORE_UNAVAILABLE;
    }
    *out = &connection->base;
    return 0;
}

static bool mariadb_alive(struct store_connection *base)
{
    /* A server says nothing unasked, but that it goes. */
    struct mariadb_connection *connection = mariadb_from_base(base);
    struct pollfd socket = {.fd = (int) mysql_get_socket(connection->mysql), .events = POLLIN};
    return poll(&socket, 1, 0) == 0;
}

/* ---- the schema ---- */

static bool take_answer(void *argument, const struct store_row *row)
{
    *(int64_t *) argument = store_row_integer(row, 0);
    return true;
}

static int mariadb_hold_schema(struct store_connection *base, int64_t deadline)
{
    static const struct store_statement hold = {"schema_hold",
                                                "SELECT GET_LOCK(CONCAT(DATABASE(), '.cesid'), ?)"};
    int64_t left = (deadline - clock_now()) / CLOCK_SECOND, held = 0;
    const struct store_value seconds[] = {store_integer(left > 0 ? left : 0)};
    int status = mariadb_run(base, &hold, seconds, ARRAY_LENGTH(seconds), deadline, take_answer,
                             &held, NULL);
    if (status == 0 && held != 1) {
        (void) snprintf(base->message, sizeof base->message,
                        "another cesid is migrating the schema");
        status = CESID_E_STORE_UNAVAILABLE;
    }
    return status;
}

static void mariadb_release_schema(struct store_connection *base)
{
    static const struct store_statement release = {
        "schema_release", "SELECT RELEASE_LOCK(CONCAT(DATABASE(), '.cesid'))"};
    struct mariadb_connection *connection = mariadb_from_base(base);
    if (!base->broken && mariadb_run(base, &release, NULL, 0,
                                     clock_after(connection->query_timeout), NULL, NULL, NULL) < 0)
        base->broken = true;
}

/* ---- transactions ---- */

static int mariadb_begin(struct store_connection *base, int64_t deadline)
{
    struct mariadb_connection *connection = mariadb_from_base(base);
    int status = execute(connection, "START TRANSACTION", deadline);
    /* Nothing was done yet: another connection may do it. */
    if (status < 0 && base->broken && !connection->late)
        base->retry = true;
    return status;
}

static int mariadb_commit(struct store_connection *base, int64_t deadline)
{
    return execute(mariadb_from_base(base), "COMMIT", deadline);
}

static void mariadb_rollback(struct store_connection *base)
{
    struct mariadb_connection *connection = mariadb_from_base(base);
    bool retry = base->retry;
    if (!base->broken &&
        execute(connection, "ROLLBACK", clock_after(connection->query_timeout)) < 0)
        base->broken = true;
    base->retry = retry;
}

const struct store_driver *store_mariadb(void)
{
    static const struct store_driver driver = {
        .name = "mariadb",
        .one_writer = false,
        .prepare = mariadb_prepare,
        .open = mariadb_open_connection,
        .close = mariadb_close_connection,
        .alive = mariadb_alive,
        .hold_schema = mariadb_hold_schema,
        .release_schema = mariadb_release_schema,
        .run = mariadb_run,
        .begin = mariadb_begin,
        .commit = mariadb_commit,
        .rollback = mariadb_rollback,
    };
    return &driver;
}
