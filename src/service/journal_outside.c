/*
 * What others did to the store (activity_outside.h) goes on record here. The journal's thread; no
 * locks held. It is removed when its record has a place that survives: a crash in between shows it
 * twice, not never.
 */
#include <stdlib.h>
#include <string.h>

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

static bool is_recorded(const struct journal *journal, const char *id)
{
    for (size_t i = 0; i < journal->outside_count; i++)
        if (strcmp(journal->outside[i], id) == 0)
            return true;
    return false;
}

/* Those that cannot be removed stay known, not to be recorded again and again. */
static void remove_all(struct journal *journal, const struct outside_action *actions, size_t count)
{
    int error = CESID_OK;

    journal->outside_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (error == CESID_OK)
            error = outside_action_remove(journal->store, actions[i].id);
        if (error != CESID_OK)
            memcpy(journal->outside[journal->outside_count++], actions[i].id, OUTSIDE_ID_SIZE);
    }
    if (error != CESID_OK)
        log_debug("journal", "cannot remove what others did and is on record",
                  log_s("error", error_code(error)));
}

void journal_take_outside(struct journal *journal)
{
    struct outside_action *actions = NULL;
    struct entries batch = {0};
    size_t count = 0;
    int error = outside_actions_read(journal->store, &actions, &count);

    journal->outside_at = clock_after(LOOK_SECONDS);
    for (size_t i = 0; i < count; i++)
        if (!is_recorded(journal, actions[i].id))
            journal_add_record(&batch, record_of(&actions[i]));
    if (batch.count > 0)
        journal_write_batch(journal, &batch);
    if (error == CESID_OK && journal->kept.count == 0)
        remove_all(journal, actions, count);
    free(actions);
}
