/*
 * Reload. See reload.h. The order of an exchange: first what may fail (the file's content, the turn
 * among changes of nodes, the new log file), then what cannot: the configuration, the nodes, and
 * those who keep a copy of a setting.
 */
#include "cesid/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"

struct reload {
    /* immutable */
    struct reload_sources sources;
    char *file;

    struct lock lock;
    struct cond ended;
    /* guarded by lock */
    bool running;
    uint64_t begun; /* reloads; the one under way is included */
    uint64_t done;  /* which of them gave the report */
    struct reload_report *report;
};

struct reload *reload_create(const struct reload_sources *sources)
{
    struct reload *reload = mem_alloc(sizeof(*reload));

    reload->sources = *sources;
    reload->file = mem_string(sources->file);
    lock_init(&reload->lock, LOCK_RELOAD);
    cond_init(&reload->ended);
    return reload;
}

static void free_strings(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
}

static struct reload_report *report_ref(struct reload_report *report)
{
    __atomic_add_fetch(&report->references, 1, __ATOMIC_RELAXED);
    return report;
}

void reload_report_unref(struct reload_report **slot)
{
    struct reload_report *report = *slot;

    *slot = NULL;
    if (report == NULL || __atomic_sub_fetch(&report->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    config_problems_free(&report->problems);
    inventory_changes_free(&report->nodes);
    free_strings(&report->settings);
    free_strings(&report->restart_needed);
    free(report);
}

void reload_destroy(struct reload **slot)
{
    struct reload *reload = *slot;

    *slot = NULL;
    if (reload == NULL)
        return;
    reload_report_unref(&reload->report);
    cond_destroy(&reload->ended);
    lock_destroy(&reload->lock);
    free(reload->file);
    free(reload);
}

/* ---- one reload ---- */

static void note_changes(struct reload_report *report, const struct config_change *changes,
                         size_t count)
{
    report->settings.items = mem_array(count + 1, sizeof(char *));
    report->restart_needed.items = mem_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        struct config_strings *list =
            changes[i].applies ? &report->settings : &report->restart_needed;

        list->items[list->count++] = mem_string(changes[i].key);
    }
}

static bool has_changed(const struct reload_report *report, const char *key)
{
    for (size_t i = 0; i < report->settings.count; i++) {
        if (strcmp(report->settings.items[i], key) == 0)
            return true;
    }
    return false;
}

static void refuse_log_file(struct reload_report *report, const char *file, int error)
{
    struct config_problems *problems = &report->problems;
    char message[128];

    snprintf(message, sizeof(message), "cannot be opened: %s", strerror(error));
    problems->items = mem_array(1, sizeof(problems->items[0]));
    problems->items[0] = (struct config_problem){
        .file = mem_string(file), .key = mem_string("log.file"), .message = mem_string(message)};
    problems->count = 1;
    report->error = CESID_E_VALIDATION_FAILED;
}

/* What may fail, after which nothing may. */
static void open_log(struct reload_report *report, const struct config *next, const char *file)
{
    if (!has_changed(report, "log.file") && !has_changed(report, "log.format"))
        return;
    if (log_open(next->log.file, next->log.format) != CESID_OK)
        refuse_log_file(report, file, errno);
}

/* Those who keep a copy of a setting. */
static void tell(const struct reload *reload, const struct reload_report *report,
                 const struct config *next)
{
    if (has_changed(report, "log.level") && !reload->sources.log_level_fixed)
        log_set_level(NULL, next->log.level);
    refresh_reconfigure(reload->sources.refresh);
    operations_reconfigure(reload->sources.operations);
}

/* Takes over next. */
static void exchange(struct reload *reload, struct config *next, struct reload_report *report)
{
    struct config *old = config_get(reload->sources.config);
    struct config_change *changes;
    size_t count = config_take_over(next, old, &changes);

    note_changes(report, changes, count);
    free(changes);
    report->error = inventory_begin(reload->sources.inventory);
    if (report->error == CESID_OK) {
        open_log(report, next, reload->file);
        if (report->error == CESID_OK) {
            config_put(reload->sources.config, config_ref(next));
            inventory_replace(reload->sources.inventory, next, &report->nodes);
            tell(reload, report, next);
        }
        inventory_end(reload->sources.inventory);
    }
    config_unref(&old);
    config_unref(&next);
}

static void log_report(const struct reload *reload, const struct reload_report *report)
{
    struct strbuf restart;

    if (report->error != CESID_OK) {
        for (size_t i = 0; i < report->problems.count; i++) {
            const struct config_problem *problem = &report->problems.items[i];

            log_error("config", "the new configuration is wrong", log_s("file", problem->file),
                      log_i("line", problem->line), log_s("key", problem->key),
                      log_s("problem", problem->message));
        }
        log_error("config", "the configuration was not reloaded; the old one stays in force",
                  log_s("file", reload->file), log_i("problems", (int64_t) report->problems.count),
                  log_s("error", error_code(report->error)));
        return;
    }
    log_info("config", "the configuration was reloaded",
             log_i("added", (int64_t) report->nodes.added.count),
             log_i("removed", (int64_t) report->nodes.removed.count),
             log_i("changed", (int64_t) report->nodes.changed.count),
             log_i("unchanged", (int64_t) report->nodes.unchanged.count),
             log_i("settings", (int64_t) report->settings.count));
    if (report->restart_needed.count == 0)
        return;
    strbuf_init(&restart, 2048);
    for (size_t i = 0; i < report->restart_needed.count; i++)
        strbuf_printf(&restart, "%s%s", i > 0 ? " " : "", report->restart_needed.items[i]);
    log_warning("config", "some changed settings wait for a restart", log_s("keys", restart.data));
    strbuf_destroy(&restart);
}

static struct reload_report *reload_once(struct reload *reload)
{
    struct reload_report *report = mem_alloc(sizeof(*report));
    struct config *next;

    if (reload->sources.begins != NULL)
        reload->sources.begins(reload->sources.argument);
    report->references = 1;
    report->error = config_load(reload->file, &next, &report->problems);
    if (report->error == CESID_OK)
        exchange(reload, next, report);
    metrics_count(METRIC_CONFIG_RELOADS, report->error == CESID_OK ? "ok" : "refused");
    log_report(reload, report);
    if (reload->sources.ended != NULL)
        reload->sources.ended(reload->sources.argument);
    return report;
}

/* ---- turns ---- */

struct reload_report *reload_run(struct reload *reload)
{
    struct reload_report *report, *old;
    uint64_t needed, mine;

    lock_acquire(&reload->lock);
    needed = reload->begun + 1;
    while (reload->running && reload->done < needed)
        cond_wait(&reload->ended, &reload->lock);
    if (reload->done >= needed) {
        report = report_ref(reload->report);
        lock_release(&reload->lock);
        return report;
    }
    reload->running = true;
    mine = ++reload->begun;
    lock_release(&reload->lock);

    report = reload_once(reload);

    lock_acquire(&reload->lock);
    old = reload->report;
    reload->report = report_ref(report);
    reload->done = mine;
    reload->running = false;
    cond_broadcast(&reload->ended);
    lock_release(&reload->lock);
    reload_report_unref(&old);
    return report;
}
