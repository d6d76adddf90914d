/*
 * Rows of the activity table, for activity_*.c only. Pure.
 */
#ifndef CESID_ACTIVITY_ROW_H
#define CESID_ACTIVITY_ROW_H

#include "cesid/activity.h"
#include "cesid/store_value.h"

#define ACTIVITY_COLUMNS                                                                           \
    "id, at, level, actor, action, resource, target, environment, result, status, duration,"       \
    " request_id, address, user_agent, details"
#define ACTIVITY_COLUMNS_COUNT 15

/* Of a row that begins with ACTIVITY_COLUMNS. */
struct activity *activity_row_read(const struct store_row *row);
/* Row callbacks over an int64_t: how many rows, the first column. */
bool activity_row_count(void *count, const struct store_row *row);
bool activity_row_number(void *number, const struct store_row *row);

#endif
