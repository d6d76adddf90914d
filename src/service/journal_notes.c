/*
 * Records for which nobody waits: ends of an operation's targets, and what cesid itself did. Any
 * thread; no locks of its own.
 */
#include "cesid/error.h"
#include "cesid/journal.h"

void journal_operation(void *argument, const struct operation_told *told)
{
    struct activity *record;
    struct strbuf text;
    struct json json;

    strbuf_init(&text, (size_t) 64 << 10);
    strbuf_printf(&text, "process.%s", operation_action_name(told->action));
    record = activity_create(text.data, "process");
    strbuf_clear(&text);
    strbuf_printf(&text, "%s/%s", told->node, told->process);
    activity_set(record, &record->target, text.data);
    activity_set(record, &record->actor, told->actor);
    activity_set(record, &record->environment, told->environment);
    activity_set(record, &record->address, told->address);
    activity_set(record, &record->request_id, told->request_id);
    record->status = error_status(told->error);
    record->result = activity_result_of(record->status);
    record->level = activity_level_of(record->result);
    record->duration = (int64_t) (told->duration * 1e6);
    strbuf_clear(&text);
    json_start(&json, &text);
    json_object(&json);
    json_put_string(&json, "operation", told->operation);
    if (told->error != CESID_OK) {
        json_put_string(&json, "code", error_code(told->error));
        json_put_string(&json, "detail", told->detail);
    }
    json_object_end(&json);
    activity_set(record, &record->details, text.data);
    strbuf_destroy(&text);
    (void) journal_note(argument, &record);
}

void journal_system(struct journal *journal, const char *action, int error)
{
    struct activity *record = activity_create(action, "system");

    activity_set(record, &record->actor, ACTIVITY_SYSTEM);
    record->result = error == CESID_OK ? ACTIVITY_OK : ACTIVITY_FAILED;
    record->level = activity_level_of(record->result);
    if (error != CESID_OK) {
        struct strbuf details;

        strbuf_init(&details, 200);
        strbuf_printf(&details, "{\"code\":\"%s\"}", error_code(error));
        activity_set(record, &record->details, details.data);
        strbuf_destroy(&details);
    }
    (void) journal_note(journal, &record);
}
