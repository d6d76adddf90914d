/*
 * What others did to the store (activity_outside.h) goes on record here. The journal's thread; no
 * locks held. Recorded before it is removed: a crash in between shows it twice, not never.
 */
#include <stdlib.h>

#include "cesid/activity_outside.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "journal_private.h"

#define LOOK_SECONDS 5.0

static struct activity *record_of(const struct outside_action *action)
{
    struct activity *record = activity_create(action->action, "user");
    char at[CLOCK_RFC3339_SIZE];
    struct strbuf details;

    clock_rfc3339(at, action->at);
    strbuf_init(&details, 200);
    strbuf_printf(&details, "{\"by\":\"cesid --create-admin\",\"at\":\"%s\"}", at);
    activity_set(record, &record->actor, ACTIVITY_SYSTEM);
    activity_set(record, &record->target, action->target);
    activity_set(record, &record->details, details.data);
    strbuf_destroy(&details);
    record->result = ACTIVITY_OK;
    record->level = ACTIVITY_WARNING;
    return record;
}

void journal_take_outside(struct journal *journal)
{
    struct outside_action *actions = NULL;
    struct entries batch = {0};
    size_t count = 0;
    int error;

    journal->outside_at = clock_after(LOOK_SECONDS);
    error = outside_actions_read(journal->store, &actions, &count);
    for (size_t i = 0; i < count; i++)
        journal_add_record(&batch, record_of(&actions[i]));
    if (count > 0)
        journal_write_batch(journal, &batch);
    for (size_t i = 0; i < count && error == CESID_OK; i++)
        error = outside_action_remove(journal->store, actions[i].id);
    free(actions);
}
