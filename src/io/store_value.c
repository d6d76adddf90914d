/*
 * Values and rows of the store. Pure functions without locks.
 */
#include "cesid/store_value.h"

#include <string.h>

#include "cesid/check.h"

struct store_value store_integer(int64_t value)
{
    return (struct store_value){.type = STORE_INTEGER, .integer = value};
}

struct store_value store_text(const char *value)
{
    if (!value)
        return (struct store_value){.type = STORE_NULL};
    return store_bytes(value, strlen(value));
}

struct store_value store_bytes(const char *value, size_t length)
{
    return (struct store_value){.type = STORE_TEXT, .text = value, .length = length};
}

static const struct store_value *column_of(const struct store_row *row, int column)
{
    CHECK(column >= 0 && column < row->count);
    return &row->columns[column];
}

bool store_row_is_null(const struct store_row *row, int column)
{
    return column_of(row, column)->type == STORE_NULL;
}

int64_t store_row_integer(const struct store_row *row, int column)
{
    const struct store_value *value = column_of(row, column);
    return value->type == STORE_INTEGER ? value->integer : 0;
}

const char *store_row_text(const struct store_row *row, int column)
{
    const struct store_value *value = column_of(row, column);
    return value->type == STORE_TEXT ? value->text : NULL;
}

size_t store_row_length(const struct store_row *row, int column)
{
    const struct store_value *value = column_of(row, column);
    return value->type == STORE_TEXT ? value->length : 0;
}
