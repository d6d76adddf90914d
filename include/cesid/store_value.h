/*
 * What goes into a statement and what comes out of it. Plain data, pure functions.
 */
#ifndef CESID_STORE_VALUE_H
#define CESID_STORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_type { STORE_NULL, STORE_INTEGER, STORE_TEXT };

struct store_value {
    enum store_type type;
    int64_t integer;
    const char *text; /* borrowed; NUL-terminated in a row, not necessarily in a bound value */
    size_t length;
};
struct store_value store_integer(int64_t value);
struct store_value store_text(const char *value); /* NULL gives NULL */
struct store_value store_bytes(const char *value, size_t length);

/* A static const: name is the metrics' label, sql works on every driver, '?' marks a value. */
struct store_statement {
    const char *name;
    const char *sql;
};

struct store_row {
    const struct store_value *columns;
    int count;
};

/* Columns from 0, valid during the row callback. A column of the other type reads like NULL. */
bool store_row_is_null(const struct store_row *row, int column);
int64_t store_row_integer(const struct store_row *row, int column);  /* NULL gives 0 */
const char *store_row_text(const struct store_row *row, int column); /* NULL gives NULL */
size_t store_row_length(const struct store_row *row, int column);    /* of the text, in bytes */

#endif
