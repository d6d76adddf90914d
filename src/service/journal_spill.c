/*
 * The spill file. See journal_spill.h. The journal's thread alone; no locks.
 *
 * It is emptied only when all of it is in the store: after a crash in between, it is written again
 * from its beginning, which the store takes (ids are unique).
 */
#include "journal_spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/json.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/statefile.h"

#define FILE_NAME  "activity.spill"
#define CHUNK      ((size_t) 512 << 10) /* more than any line */
#define APPEND_MAX ((size_t) 64 << 20)

struct spill {
    int file;
    uint64_t length;  /* of what is whole and flushed */
    uint64_t written; /* of what is in the store */
    uint64_t count;
    struct activity_link last;
};

/* ---- lines ---- */

static void put_line(struct strbuf *out, const struct activity_row *row)
{
    const struct activity *record = row->record;
    struct json json;

    json_start(&json, out);
    json_object(&json);
    json_put_boolean(&json, "outcome", row->outcome);
    json_put_integer(&json, "number", (int64_t) row->link.number);
    json_put_string(&json, "mac", row->link.mac);
    json_put_string(&json, "seal", row->seal);
    json_put_string(&json, "id", record->id);
    json_put_integer(&json, "at", record->at);
    json_put_string(&json, "level", activity_level_name(record->level));
    json_put_string(&json, "actor", record->actor);
    json_put_string(&json, "action", record->action);
    json_put_string(&json, "resource", record->resource);
    json_put_string(&json, "target", record->target);
    json_put_string(&json, "environment", record->environment);
    json_put_string(&json, "result", activity_result_name(record->result));
    json_put_integer(&json, "status", record->status);
    json_put_integer(&json, "duration", record->duration);
    json_put_string(&json, "request_id", record->request_id);
    json_put_string(&json, "address", record->address);
    json_put_string(&json, "user_agent", record->user_agent);
    json_put_string(&json, "details", record->details);
    json_object_end(&json);
    strbuf_putc(out, '\n');
}

static char *text_of(const cJSON *line, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);

    return cJSON_IsString(item) ? mem_string(item->valuestring) : NULL;
}

static int64_t number_of(const cJSON *line, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);

    return cJSON_IsNumber(item) ? (int64_t) item->valuedouble : 0;
}

static bool fixed_of(const cJSON *line, const char *name, char *out, size_t size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(line, name);

    if (!cJSON_IsString(item) || strlen(item->valuestring) != size - 1)
        return false;
    memcpy(out, item->valuestring, size);
    return true;
}

static bool enums_of(const cJSON *line, struct activity *record)
{
    const cJSON *level = cJSON_GetObjectItemCaseSensitive(line, "level");
    const cJSON *result = cJSON_GetObjectItemCaseSensitive(line, "result");

    return cJSON_IsString(level) && cJSON_IsString(result) &&
           activity_level_parse(level->valuestring, &record->level) &&
           activity_result_parse(result->valuestring, &record->result);
}

static bool parse_line(const char *text, size_t length, struct activity_row *row)
{
    const char *why;
    cJSON *line = NULL;
    struct activity *record;

    if (json_parse(text, length, &line, &why) != CESID_OK)
        return false;
    *row = (struct activity_row){.record = mem_alloc(sizeof(*record))};
    record = row->record;
    row->outcome = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "outcome"));
    row->link.number = (uint64_t) number_of(line, "number");
    record->at = number_of(line, "at");
    record->status = (int) number_of(line, "status");
    record->duration = number_of(line, "duration");
    record->actor = text_of(line, "actor");
    record->action = text_of(line, "action");
    record->resource = text_of(line, "resource");
    record->target = text_of(line, "target");
    record->environment = text_of(line, "environment");
    record->request_id = text_of(line, "request_id");
    record->address = text_of(line, "address");
    record->user_agent = text_of(line, "user_agent");
    record->details = text_of(line, "details");
    if (!fixed_of(line, "mac", row->link.mac, sizeof(row->link.mac)) ||
        !fixed_of(line, "seal", row->seal, sizeof(row->seal)) ||
        !fixed_of(line, "id", record->id, sizeof(record->id)) || !enums_of(line, record))
        activity_destroy(&row->record);
    cJSON_Delete(line);
    return row->record != NULL;
}

/* ---- the file ---- */

static bool read_at(int file, char *data, size_t size, uint64_t offset, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t count = pread(file, data + *got, size - *got, (off_t) (offset + *got));

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        if (count == 0)
            break;
        *got += (size_t) count;
    }
    return true;
}

static bool write_at(int file, const char *data, size_t size, uint64_t offset)
{
    while (size > 0) {
        ssize_t count = pwrite(file, data, size, (off_t) offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        data += count;
        size -= (size_t) count;
        offset += (uint64_t) count;
    }
    return true;
}

/* Where the whole lines end, and what is in them. */
static bool survey(struct spill *spill)
{
    char *chunk = mem_alloc(CHUNK);
    size_t got = 0;
    bool good = true;

    for (;;) {
        const char *line = chunk, *end;

        good = read_at(spill->file, chunk, CHUNK, spill->length, &got);
        if (!good || got == 0)
            break;
        while ((end = memchr(line, '\n', got - (size_t) (line - chunk))) != NULL) {
            struct activity_row row;

            if (parse_line(line, (size_t) (end - line), &row)) {
                if (row.link.number > spill->last.number)
                    spill->last = row.link;
                activity_destroy(&row.record);
            }
            spill->count++;
            line = end + 1;
        }
        if (line == chunk)
            break;
        spill->length += (uint64_t) (line - chunk);
    }
    free(chunk);
    return good;
}

int spill_open(const char *state_dir, bool reading, struct spill **result, struct strbuf *why)
{
    struct spill *spill = mem_alloc(sizeof(*spill));
    char *path = statefile_path(state_dir, FILE_NAME);
    struct stat info;
    bool good;

    *result = spill;
    spill->file =
        open(path, (reading ? O_RDONLY : O_RDWR | O_CREAT) | O_CLOEXEC | O_NOFOLLOW, 0600);
    good = spill->file >= 0 && survey(spill) && fstat(spill->file, &info) == 0;
    if (reading) {
        /* What is half written may become whole; there may be none. */
        good = good || (spill->file < 0 && errno == ENOENT);
    } else if (good && (uint64_t) info.st_size > spill->length) {
        log_warning("journal", "dropped a record that a crash left half written",
                    log_i("bytes", info.st_size - (int64_t) spill->length));
        good = ftruncate(spill->file, (off_t) spill->length) == 0;
    }
    if (!good)
        strbuf_printf(why, "%s: %s", path, strerror(errno));
    free(path);
    if (!good)
        spill_close(result);
    return good ? CESID_OK : CESID_E_INTERNAL;
}

void spill_close(struct spill **slot)
{
    struct spill *spill = *slot;

    *slot = NULL;
    if (spill == NULL)
        return;
    if (spill->file >= 0)
        close(spill->file);
    free(spill);
}

uint64_t spill_size(const struct spill *spill)
{
    return spill->length;
}

uint64_t spill_count(const struct spill *spill)
{
    return spill->count;
}

const struct activity_link *spill_last(const struct spill *spill)
{
    return &spill->last;
}

int spill_append(struct spill *spill, const struct activity_row *rows, size_t count, uint64_t limit)
{
    struct strbuf out;
    int error = CESID_E_STORE_UNAVAILABLE;

    strbuf_init(&out, APPEND_MAX);
    for (size_t i = 0; i < count; i++)
        put_line(&out, &rows[i]);
    if (!strbuf_failed(&out) && spill->length + out.length <= limit) {
        if (write_at(spill->file, out.data, out.length, spill->length) &&
            fdatasync(spill->file) == 0)
            error = CESID_OK;
        else if (ftruncate(spill->file, (off_t) spill->length) != 0)
            /* The next append writes over it; until then it is a tail that says nothing. */
            log_debug("journal", "cannot cut the spill file", log_i("errno", errno));
    }
    if (error == CESID_OK) {
        spill->length += out.length;
        spill->count += count;
        for (size_t i = 0; i < count; i++)
            if (rows[i].link.number > spill->last.number)
                spill->last = rows[i].link;
    }
    strbuf_destroy(&out);
    return error;
}

int spill_read(struct spill *spill, size_t limit, struct activity_row **rows, size_t *count,
               uint64_t *next)
{
    char *chunk = mem_alloc(CHUNK);
    const char *line = chunk, *end;
    size_t got = 0, seen = 0;

    *rows = mem_array(limit, sizeof((*rows)[0]));
    *count = 0;
    *next = spill->written;
    if (!read_at(spill->file, chunk, CHUNK, spill->written, &got)) {
        free(chunk);
        free(*rows);
        *rows = NULL;
        return CESID_E_INTERNAL;
    }
    if (got > spill->length - spill->written)
        got = (size_t) (spill->length - spill->written);
    while (seen < limit && (end = memchr(line, '\n', got - (size_t) (line - chunk))) != NULL) {
        if (parse_line(line, (size_t) (end - line), &(*rows)[*count]))
            (*count)++;
        else
            log_error("journal", "a record in the spill file cannot be read",
                      log_i("offset", (int64_t) *next));
        line = end + 1;
        *next = spill->written + (uint64_t) (line - chunk);
        seen++;
    }
    free(chunk);
    return CESID_OK;
}

int spill_advance(struct spill *spill, uint64_t next, size_t count)
{
    if (next < spill->length) {
        spill->written = next;
        spill->count -= count < spill->count ? count : spill->count;
        return CESID_OK;
    }
    /* Durably, before anything goes past it: an old intent must not come again over an outcome. */
    if (ftruncate(spill->file, 0) != 0 || fdatasync(spill->file) != 0) {
        log_error("journal", "cannot empty the spill file", log_i("errno", errno));
        return CESID_E_INTERNAL;
    }
    spill->length = spill->written = spill->count = 0;
    spill->last = (struct activity_link){0};
    return CESID_OK;
}
