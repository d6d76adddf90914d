/*
 * Actions from outside of the server. See activity_outside.h.
 */
#include "cesid/activity_outside.h"

#include <stdio.h>
#include <stdlib.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/store_value.h"

int outside_action_add(struct store_transaction *transaction, const char *action,
                       const char *target)
{
    static const struct store_statement insert = {
        "outside_insert", "INSERT INTO outside_actions (id, at, action, target)"
                          " VALUES (?, ?, ?, ?)"};
    char id[OUTSIDE_ID_SIZE];

    random_hex(id, (OUTSIDE_ID_SIZE - 1) / 2);
    const struct store_value values[] = {store_text(id), store_integer(clock_wall()),
                                         store_text(action), store_text(target)};
    return store_transaction_execute(transaction, &insert, values, ARRAY_LENGTH(values), NULL);
}

struct reading {
    struct outside_action *items;
    size_t count;
};

static void copy(char *out, size_t size, const char *text)
{
    (void) snprintf(out, size, "%s", text == NULL ? "" : text);
}

static bool take(void *argument, const struct store_row *row)
{
    struct reading *reading = argument;
    struct outside_action *action = &reading->items[reading->count];

    copy(action->id, sizeof(action->id), store_row_text(row, 0));
    action->at = store_row_integer(row, 1);
    copy(action->action, sizeof(action->action), store_row_text(row, 2));
    copy(action->target, sizeof(action->target), store_row_text(row, 3));
    return ++reading->count < OUTSIDE_BATCH;
}

int outside_actions_read(struct store *store, struct outside_action **actions, size_t *count)
{
    static const struct store_statement read = {
        "outside_read", "SELECT id, at, action, target FROM outside_actions ORDER BY at, id"};
    struct reading reading = {.items = mem_array(OUTSIDE_BATCH, sizeof(*reading.items))};
    int error = store_query(store, &read, NULL, 0, take, &reading);

    *actions = reading.items;
    *count = error == CESID_OK ? reading.count : 0;
    return error;
}

int outside_action_remove(struct store *store, const char *id)
{
    static const struct store_statement remove = {"outside_remove",
                                                  "DELETE FROM outside_actions WHERE id = ?"};
    const struct store_value value = store_text(id);

    return store_execute(store, &remove, &value, 1, NULL);
}
