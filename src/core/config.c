/*
 * The configuration as others see it: loading, the counted snapshot, and the box that holds the one
 * in force. A snapshot never changes after config_load, so readers share it without a lock; the box
 * has LOCK_CONFIG for the exchange of its pointer and nothing else.
 */
#include "cesid/config.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "config_internal.h"

struct counted_config {
    struct config config;
    atomic_int references;
};

static struct counted_config *counted(struct config *config)
{
    return CONTAINER_OF(config, struct counted_config, config);
}

/* ---- defaults and freeing, by the table ---- */

static int choice_value(const struct config_entry *entry)
{
    const struct config_choice *choice = entry->choices;
    while (strcmp(choice->word, entry->shown.default_text) != 0) {
        choice++;
        CHECK(choice->word);
    }
    return choice->value;
}

static void set_defaults(void *base, const struct config_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *slot = (char *) base + entries[i].offset;
        const char *text = entries[i].shown.default_text;
        switch (entries[i].kind) {
        case KIND_STRING:
        case KIND_PATH:
            *(char **) slot = mem_string(text);
            break;
        case KIND_INTEGER:
            *(int *) slot = (int) strtol(text, NULL, 10);
            break;
        case KIND_INTEGER64:
            *(int64_t *) slot = strtoll(text, NULL, 10);
            break;
        case KIND_NUMBER:
            *(double *) slot = strtod(text, NULL);
            break;
        case KIND_BOOLEAN:
            *(bool *) slot = strcmp(text, "true") == 0;
            break;
        case KIND_CHOICE:
            *(int *) slot = choice_value(&entries[i]);
            break;
        case KIND_STRINGS:
        case KIND_SECRET:
        case KIND_LABELS:
            break; /* empty */
        }
    }
}

void config_free_value(void *base, const struct config_entry *entry)
{
    void *slot = (char *) base + entry->offset;
    switch (entry->kind) {
    case KIND_STRING:
    case KIND_PATH:
        free(*(char **) slot);
        break;
    case KIND_STRINGS: {
        struct config_strings *strings = slot;
        for (size_t s = 0; s < strings->count; s++)
            free(strings->items[s]);
        free(strings->items);
        break;
    }
    case KIND_SECRET:
        secret_unref((struct secret **) slot);
        break;
    default:
        break;
    }
}

static void free_values(void *base, const struct config_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        config_free_value(base, &entries[i]);
}

void config_set_defaults(struct config *config)
{
    size_t count;
    const struct config_entry *entries = config_table(&count);
    set_defaults(config, entries, count);
}

void config_node_set_defaults(struct config_node *node)
{
    size_t count;
    const struct config_entry *entries = config_node_table(&count);
    set_defaults(node, entries, count);
}

void config_node_clear(struct config_node *node)
{
    size_t count;
    const struct config_entry *entries = config_node_table(&count);
    free_values(node, entries, count);
    for (size_t i = 0; i < node->labels_count; i++) {
        free(node->labels[i].key);
        free(node->labels[i].value);
    }
    free(node->labels);
    *node = (struct config_node){0};
}

void config_node_copy(struct config_node *to, const struct config_node *from)
{
    *to = *from;
    to->name = mem_string(from->name);
    to->environment = mem_string(from->environment);
    to->url = mem_string(from->url);
    to->username = mem_string(from->username);
    to->password = secret_ref(from->password);
    to->ca_file = mem_string(from->ca_file);
    to->labels = mem_array(from->labels_count, sizeof(*to->labels));
    for (size_t i = 0; i < from->labels_count; i++) {
        to->labels[i].key = mem_string(from->labels[i].key);
        to->labels[i].value = mem_string(from->labels[i].value);
    }
}

static void free_config(struct config *config)
{
    size_t count;
    const struct config_entry *entries = config_table(&count);
    free_values(config, entries, count);
    for (size_t i = 0; i < config->nodes_count; i++)
        config_node_clear(&config->nodes[i]);
    free(config->nodes);
    free(config->file);
    free(counted(config));
}

struct config *config_ref(struct config *config)
{
    int before = atomic_fetch_add_explicit(&counted(config)->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return config;
}

void config_unref(struct config **config)
{
    struct config *gone = *config;
    *config = NULL;
    if (!gone)
        return;
    int before = atomic_fetch_sub_explicit(&counted(gone)->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before == 1)
        free_config(gone);
}

/* ---- problems ---- */

void config_problems_free(struct config_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->items[i].file);
        free(problems->items[i].key);
        free(problems->items[i].message);
    }
    free(problems->items);
    *problems = (struct config_problems){0};
}

void config_problem_print(struct strbuf *out, const struct config_problem *problem)
{
    strbuf_printf(out, "%s:%d: %s: %s", problem->file, problem->line,
                  problem->key[0] ? problem->key : "file", problem->message);
}

struct numbered_problem {
    struct found_problem *found;
    size_t number;
};

static int compare_problems(const void *a, const void *b)
{
    const struct numbered_problem *left = a, *right = b;
    if (left->found->line != right->found->line)
        return left->found->line < right->found->line ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Moves what was found into what is handed out, in the order of the text. */
static void hand_out_problems(struct config_source *source, const char *file,
                              struct config_problems *problems)
{
    size_t count = source->found_count;
    struct numbered_problem *order = mem_array(count, sizeof(*order));
    for (size_t i = 0; i < count; i++)
        order[i] = (struct numbered_problem){.found = &source->found[i], .number = i};
    qsort(order, count, sizeof(*order), compare_problems);
    problems->items = mem_array(count, sizeof(*problems->items));
    problems->count = count;
    for (size_t i = 0; i < count; i++) {
        struct found_problem *found = order[i].found;
        struct config_problem *problem = &problems->items[i];
        size_t line = (size_t) (found->line > 0 ? found->line : 0);
        if (found->file) {
            problem->file = found->file;
            problem->line = found->file_line;
        } else if (line > 0 && line <= source->places_count) {
            problem->file = mem_string(source->files[source->places[line - 1].file].path);
            problem->line = source->places[line - 1].line;
        } else {
            problem->file = mem_string(file);
        }
        problem->key = found->key;
        problem->message = found->message;
        *found = (struct found_problem){0};
    }
    free(order);
}

/* ---- loading ---- */

/* The name of the setting that a line of the text begins, for the message about a duplicate. */
static char *name_at(const struct config_source *source, int line)
{
    const char *p = source->text.data;
    for (int i = 1; i < line && p; i++) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    if (!p)
        return mem_string("");
    p += strspn(p, " \t{(,;");
    return mem_bytes(p, strspn(p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_-*"));
}

/* At a duplicate the tree breaks off in the group that has it: follow the last members down. */
static void describe_group(config_setting_t *root, const char *name, struct strbuf *key)
{
    struct strbuf path;
    strbuf_init(&path, 1024);
    for (config_setting_t *at = root; at;) {
        int length = config_setting_length(at);
        if (config_setting_is_group(at) && config_setting_get_member(at, name)) {
            strbuf_clear(key);
            strbuf_printf(key, "%s%s%s", path.data, path.length ? "." : "", name);
        }
        config_setting_t *last = length ? config_setting_get_elem(at, (unsigned) length - 1) : NULL;
        if (!last || !config_setting_is_aggregate(last))
            break;
        if (config_setting_name(last))
            strbuf_printf(&path, "%s%s", path.length ? "." : "", config_setting_name(last));
        else
            strbuf_printf(&path, "[%d]", length - 1);
        at = last;
    }
    strbuf_destroy(&path);
}

/* Of a text with good syntax libconfig refuses only names that are given twice. */
static void report_refused(struct config_source *source, config_t *parsed)
{
    const char *text = config_error_text(parsed);
    int line = config_error_line(parsed);
    if (text && strstr(text, "duplicate")) {
        char *name = name_at(source, line);
        struct strbuf key;
        strbuf_init(&key, 2048);
        strbuf_puts(&key, name);
        if (name[0])
            describe_group(config_root_setting(parsed), name, &key);
        config_report(source, line, key.data, "is given twice");
        strbuf_destroy(&key);
        free(name);
        return;
    }
    config_report(source, line, "syntax", "%s", text ? text : "syntax error");
}

static char *absolute_path(const char *file)
{
    char *absolute = realpath(file, NULL);
    return absolute ? absolute : mem_string(file);
}

int config_load(const char *file, struct config **config, struct config_problems *problems)
{
    *config = NULL;
    *problems = (struct config_problems){0};
    struct counted_config *loaded = mem_alloc(sizeof(*loaded));
    atomic_init(&loaded->references, 1);
    config_set_defaults(&loaded->config);
    loaded->config.file = absolute_path(file);

    struct config_source source;
    config_source_read(&source, file);
    if (source.files_count > 0) {
        config_t parsed;
        config_init(&parsed);
        bool complete = config_check_syntax(&source) && !source.broken;
        if (!config_read_string(&parsed, source.text.data)) {
            complete = false;
            report_refused(&source, &parsed);
        }
        size_t found = source.found_count;
        config_setting_t *root = config_root_setting(&parsed);
        config_read_tree(&source, root, &loaded->config, !complete);
        /* A value that was refused left its default, which must not be held against the others. */
        if (complete && source.found_count == found)
            config_check_relations(&source, root, &loaded->config);
        config_destroy(&parsed);
    }
    int error = 0;
    struct config *result = &loaded->config;
    if (source.found_count > 0) {
        hand_out_problems(&source, file, problems);
        config_unref(&result);
        error = CESID_E_VALIDATION_FAILED;
    }
    config_source_free(&source);
    *config = result;
    return error;
}

/* ---- the box ---- */

struct config_box {
    struct lock lock;
    /* guarded by lock */
    struct config *config;
};

struct config_box *config_box_create(struct config *config)
{
    struct config_box *box = mem_alloc(sizeof(*box));
    lock_init(&box->lock, LOCK_CONFIG);
    box->config = config;
    return box;
}

void config_box_destroy(struct config_box **box)
{
    if (!*box)
        return;
    config_unref(&(*box)->config);
    lock_destroy(&(*box)->lock);
    free(*box);
    *box = NULL;
}

struct config *config_get(struct config_box *box)
{
    lock_acquire(&box->lock);
    struct config *config = config_ref(box->config);
    lock_release(&box->lock);
    return config;
}

void config_put(struct config_box *box, struct config *config)
{
    lock_acquire(&box->lock);
    struct config *old = box->config;
    box->config = config;
    lock_release(&box->lock);
    /* Outside: the last reference frees a whole fleet. */
    config_unref(&old);
}
