/*
 * Statements on MariaDB: prepared once a connection, values bound, rows handed out as they come. No
 * locks: a connection is in one thread's hands.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/strbuf.h"
#include "store_mariadb_private.h"

#define VALUES_MAX 64
#define SQL_MAX    16384
#define CREATE     "CREATE TABLE"
/* As SQLite compares: byte by byte, and a blank at the end counts. */
#define TABLE_OPTIONS " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"

struct mariadb_prepared {
    const struct store_statement *key; /* statements are static: the address names one */
    MYSQL_STMT *statement;
    UT_hash_handle hh;
};

/* An error packet between rows is left at the connection. */
static int stmt_said(struct mariadb_connection *connection, MYSQL_STMT *statement)
{
    if (mysql_stmt_errno(statement) == 0)
        return mariadb_failed(connection, mysql_errno(connection->mysql),
                              mysql_sqlstate(connection->mysql), mysql_error(connection->mysql));
    return mariadb_failed(connection, mysql_stmt_errno(statement), mysql_stmt_sqlstate(statement),
                          mysql_stmt_error(statement));
}

static int prepare(struct mariadb_connection *connection, MYSQL_STMT *statement, const char *sql)
{
    struct strbuf text;
    strbuf_init(&text, SQL_MAX);
    strbuf_puts(&text, sql);
    if (strncmp(sql, CREATE, strlen(CREATE)) == 0)
        strbuf_puts(&text, TABLE_OPTIONS);
    CHECK(!strbuf_failed(&text));
    int answer = 0;
    int events = mysql_stmt_prepare_start(&answer, statement, text.data, text.length);
    while (events)
        events = mysql_stmt_prepare_cont(&answer, statement, mariadb_await(connection, events));
    strbuf_destroy(&text);
    return answer == 0 ? 0 : stmt_said(connection, statement);
}

static int find_prepared(struct mariadb_connection *connection,
                         const struct store_statement *statement, MYSQL_STMT **out)
{
    struct mariadb_prepared *prepared;
    HASH_FIND_PTR(connection->prepared, &statement, prepared);
    if (!prepared) {
        MYSQL_STMT *made = mysql_stmt_init(connection->mysql);
        CHECK(made);
        int status = prepare(connection, made, statement->sql);
        if (status < 0) {
            /* Of a statement that was not prepared the server keeps nothing: no word goes out. */
            (void) mysql_stmt_close(made);
            return status;
        }
        prepared = mem_alloc(sizeof *prepared);
        prepared->key = statement;
        prepared->statement = made;
        HASH_ADD_PTR(connection->prepared, key, prepared);
    }
    *out = prepared->statement;
    return 0;
}

void mariadb_forget(struct mariadb_connection *connection)
{
    struct mariadb_prepared *prepared, *next;
    HASH_ITER(hh, connection->prepared, prepared, next)
    {
        HASH_DEL(connection->prepared, prepared); // NOLINT(clang-analyzer-unix.Malloc)
        (void) mysql_stmt_close(prepared->statement);
        free(prepared);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(connection->texts); i++)
        free(connection->texts[i].data);
}

static int execute(struct mariadb_connection *connection, MYSQL_STMT *statement,
                   const struct store_value *values, size_t count)
{
    MYSQL_BIND binds[VALUES_MAX] = {{0}};
    unsigned long lengths[VALUES_MAX];
    int64_t integers[VALUES_MAX];
    CHECK(count <= VALUES_MAX && mysql_stmt_param_count(statement) == count);
    for (size_t i = 0; i < count; i++) {
        switch (values[i].type) {
        case STORE_NULL:
            binds[i].buffer_type = MYSQL_TYPE_NULL;
            break;
        case STORE_INTEGER:
            integers[i] = values[i].integer;
            binds[i].buffer_type = MYSQL_TYPE_LONGLONG;
            binds[i].buffer = &integers[i];
            break;
        case STORE_TEXT:
            lengths[i] = values[i].length;
            binds[i].buffer_type = MYSQL_TYPE_STRING;
            binds[i].buffer = (void *) (uintptr_t) values[i].text;
            binds[i].buffer_length = values[i].length;
            binds[i].length = &lengths[i];
            break;
        }
    }
    if (count > 0 && mysql_stmt_bind_param(statement, binds) != 0)
        return stmt_said(connection, statement);
    int answer = 0;
    int events = mysql_stmt_execute_start(&answer, statement);
    while (events)
        events = mysql_stmt_execute_cont(&answer, statement, mariadb_await(connection, events));
    return answer == 0 ? 0 : stmt_said(connection, statement);
}

/* ---- rows ---- */

static bool is_number(const MYSQL_FIELD *field)
{
    switch (field->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
        return true;
    case MYSQL_TYPE_NEWDECIMAL: /* SUM() of integers */
        return field->decimals == 0;
    default:
        return false;
    }
}

struct result {
    int count;
    bool numbers[MARIADB_COLUMNS_MAX];
    unsigned long lengths[MARIADB_COLUMNS_MAX];
    my_bool nulls[MARIADB_COLUMNS_MAX];
    int64_t integers[MARIADB_COLUMNS_MAX];
    MYSQL_BIND binds[MARIADB_COLUMNS_MAX];
};

/* Text has no buffer yet: its length comes with the row, and is fetched then. */
static int bind_result(struct mariadb_connection *connection, MYSQL_STMT *statement,
                       struct result *result)
{
    MYSQL_RES *metadata = mysql_stmt_result_metadata(statement);
    if (!metadata)
        return stmt_said(connection, statement);
    result->count = (int) mysql_num_fields(metadata);
    CHECK(result->count <= MARIADB_COLUMNS_MAX);
    for (int i = 0; i < result->count; i++) {
        MYSQL_BIND *bind = &result->binds[i];
        result->numbers[i] = is_number(mysql_fetch_field_direct(metadata, (unsigned) i));
        bind->buffer_type = result->numbers[i] ? MYSQL_TYPE_LONGLONG : MYSQL_TYPE_STRING;
        bind->buffer = result->numbers[i] ? &result->integers[i] : NULL;
        bind->buffer_length = result->numbers[i] ? sizeof result->integers[i] : 0;
        bind->length = &result->lengths[i];
        bind->is_null = &result->nulls[i];
    }
    mysql_free_result(metadata);
    return mysql_stmt_bind_result(statement, result->binds) == 0 ? 0
                                                                 : stmt_said(connection, statement);
}

static int take_text(struct mariadb_connection *connection, MYSQL_STMT *statement, int column,
                     size_t length, struct store_value *out)
{
    struct mariadb_text *text = &connection->texts[column];
    unsigned long fetched = 0;
    if (text->capacity < length + 1) {
        text->capacity = length + 1 > 2 * text->capacity ? length + 1 : 2 * text->capacity;
        text->data = mem_resize(text->data, text->capacity, 1);
    }
    MYSQL_BIND bind = {.buffer_type = MYSQL_TYPE_STRING,
                       .buffer = text->data,
                       .buffer_length = length,
                       .length = &fetched};
    if (length > 0 && mysql_stmt_fetch_column(statement, &bind, (unsigned) column, 0) != 0)
        return stmt_said(connection, statement);
    text->data[length] = '\0';
    *out = store_bytes(text->data, length);
    return 0;
}

static int hand_out(struct mariadb_connection *connection, MYSQL_STMT *statement,
                    const struct result *result, store_row_callback *row, void *argument,
                    bool *more)
{
    struct store_value columns[MARIADB_COLUMNS_MAX];
    int status = 0;
    for (int i = 0; i < result->count && status == 0; i++) {
        if (result->nulls[i])
            columns[i] = (struct store_value){.type = STORE_NULL};
        else if (result->numbers[i])
            columns[i] = store_integer(result->integers[i]);
        else
            status = take_text(connection, statement, i, result->lengths[i], &columns[i]);
    }
    if (status == 0)
        *more = row(argument, &(struct store_row){.columns = columns, .count = result->count});
    return status;
}

static int fetch(struct mariadb_connection *connection, MYSQL_STMT *statement, bool *found)
{
    int answer = 0;
    int events = mysql_stmt_fetch_start(&answer, statement);
    while (events)
        events = mysql_stmt_fetch_cont(&answer, statement, mariadb_await(connection, events));
    *found = answer == 0 || answer == MYSQL_DATA_TRUNCATED;
    if (*found || answer == MYSQL_NO_DATA)
        return 0;
    /* The library would wait for the end of rows that will not come. */
    connection->base.broken = true;
    return stmt_said(connection, statement);
}

static int fetch_rows(struct mariadb_connection *connection, MYSQL_STMT *statement,
                      int64_t deadline, store_row_callback *row, void *argument)
{
    struct result result = {0};
    bool more = true;
    int status = bind_result(connection, statement, &result);
    while (status == 0 && more) {
        bool found = false;
        status = fetch(connection, statement, &found);
        if (status < 0 || !found)
            break;
        if (row)
            status = hand_out(connection, statement, &result, row, argument, &more);
        if (status == 0 && more && clock_now() >= deadline) {
            connection->late = true;
            status = stmt_said(connection, statement);
        }
    }
    return status;
}

/* Rows that nobody wanted are read away, so that the connection is clean. */
static int finish(struct mariadb_connection *connection, MYSQL_STMT *statement)
{
    my_bool answer = 0;
    int events = mysql_stmt_free_result_start(&answer, statement);
    while (events)
        events = mysql_stmt_free_result_cont(&answer, statement, mariadb_await(connection, events));
    return answer == 0 ? 0 : stmt_said(connection, statement);
}

int mariadb_run(struct store_connection *base, const struct store_statement *statement,
                const struct store_value *values, size_t count, int64_t deadline,
                store_row_callback *row, void *argument, int64_t *changed)
{
    struct mariadb_connection *connection = mariadb_from_base(base);
    MYSQL_STMT *prepared = NULL;
    mariadb_limit(connection, deadline);
    int status = find_prepared(connection, statement, &prepared);
    if (status == 0)
        status = execute(connection, prepared, values, count);
    if (status < 0)
        return status;
    if (mysql_stmt_field_count(prepared) == 0) {
        if (changed)
            *changed = (int64_t) mysql_stmt_affected_rows(prepared);
        return 0;
    }
    status = fetch_rows(connection, prepared, deadline, row, argument);
    if (!base->broken) {
        int finished = finish(connection, prepared);
        status = status < 0 ? status : finished;
    }
    return status;
}
