/*
 * Single values of libconfig's tree, each by its line of the option table: type, range, format. A
 * value that is not fit is reported and leaves the default in its place.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/memory.h"
#include "cesid/text.h"
#include "config_internal.h"

#define LIST_LIMIT  256
#define LABEL_LIMIT 255

/* Names in a file have any length; a key in a message does not. */
void config_print_key(char key[CONFIG_KEY_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(key, CONFIG_KEY_SIZE, format, arguments);
    va_end(arguments);
}

int config_line_of(const config_setting_t *setting)
{
    return (int) config_setting_source_line(setting);
}

void *config_slot(const struct config_target *target, const struct config_entry *entry)
{
    return (char *) target->base + entry->offset;
}

static const char *kind_wanted(const struct config_entry *entry)
{
    switch (entry->kind) {
    case KIND_INTEGER:
    case KIND_INTEGER64:
        return "must be a whole number";
    case KIND_NUMBER:
        return "must be a number";
    case KIND_BOOLEAN:
        return "must be true or false, without quotes";
    case KIND_STRINGS:
        return "must be a list of strings: [ \"…\", \"…\" ]";
    case KIND_LABELS:
        return "must be a group of strings: { role = \"web\"; }";
    default:
        return "must be a string in double quotes";
    }
}

static bool is_clean(const char *text)
{
    for (const char *p = text; *p; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f)
            return false;
    }
    return text_is_utf8(text, strlen(text));
}

/* NULL with a reported problem. */
const char *config_read_text(const struct config_target *target, const config_setting_t *setting,
                             const char *key)
{
    if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
        config_report(target->source, config_line_of(setting), key,
                      "must be a string in double quotes");
        return NULL;
    }
    const char *text = config_setting_get_string(setting);
    if (strlen(text) > CONFIG_STRING_LIMIT) {
        config_report(target->source, config_line_of(setting), key, "is longer than %d bytes",
                      CONFIG_STRING_LIMIT);
        return NULL;
    }
    if (!is_clean(text)) {
        config_report(target->source, config_line_of(setting), key,
                      "holds control characters or bytes that are not UTF-8");
        return NULL;
    }
    return text;
}

static void replace_string(char **where, char *text)
{
    free(*where);
    *where = text;
}

static void read_string(const struct config_target *target, const struct config_entry *entry,
                        const config_setting_t *setting, const char *key)
{
    const char *text = config_read_text(target, setting, key), *why;
    if (!text)
        return;
    if (entry->check && entry->check(text, &why)) {
        config_report(target->source, config_line_of(setting), key, "%s", why);
        return;
    }
    const struct config_file *file = config_source_file(target->source, config_line_of(setting));
    replace_string(config_slot(target, entry),
                   entry->kind == KIND_PATH ? config_resolve_path(file, text) : mem_string(text));
}

static void read_choice(const struct config_target *target, const struct config_entry *entry,
                        const config_setting_t *setting, const char *key)
{
    const char *text = config_read_text(target, setting, key);
    if (!text)
        return;
    for (const struct config_choice *choice = entry->choices; choice->word; choice++) {
        if (strcmp(choice->word, text) == 0) {
            *(int *) config_slot(target, entry) = choice->value;
            return;
        }
    }
    config_report(target->source, config_line_of(setting), key, "must be %s", entry->shown.range);
}

static void read_number(const struct config_target *target, const struct config_entry *entry,
                        const config_setting_t *setting, const char *key)
{
    int type = config_setting_type(setting);
    bool whole = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    if (!whole && (type != CONFIG_TYPE_FLOAT || entry->kind != KIND_NUMBER)) {
        config_report(target->source, config_line_of(setting), key, "%s", kind_wanted(entry));
        return;
    }
    /* Every range ends where a double still holds each integer. */
    long long integer = whole ? config_setting_get_int64(setting) : 0;
    double value = whole ? (double) integer : config_setting_get_float(setting);
    if (!(value >= entry->low && value <= entry->high)) {
        config_report(target->source, config_line_of(setting), key, "must be %s",
                      entry->shown.range);
        return;
    }
    if (entry->kind == KIND_INTEGER)
        *(int *) config_slot(target, entry) = (int) integer;
    else if (entry->kind == KIND_INTEGER64)
        *(int64_t *) config_slot(target, entry) = integer;
    else
        *(double *) config_slot(target, entry) = value;
}

static void free_strings(struct config_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct config_strings){0};
}

static void read_strings(const struct config_target *target, const struct config_entry *entry,
                         config_setting_t *setting, const char *key)
{
    int type = config_setting_type(setting);
    if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) {
        config_report(target->source, config_line_of(setting), key, "%s", kind_wanted(entry));
        return;
    }
    int length = config_setting_length(setting);
    if (length > LIST_LIMIT) {
        config_report(target->source, config_line_of(setting), key, "has more than %d entries",
                      LIST_LIMIT);
        return;
    }
    struct config_strings *strings = config_slot(target, entry);
    free_strings(strings);
    strings->items = mem_array((size_t) length, sizeof(*strings->items));
    for (int i = 0; i < length; i++) {
        char item_key[CONFIG_KEY_SIZE];
        config_print_key(item_key, "%s[%d]", key, i);
        const config_setting_t *item = config_setting_get_elem(setting, (unsigned) i);
        const char *text = config_read_text(target, item, item_key), *why;
        if (!text)
            continue;
        if (entry->check && entry->check(text, &why)) {
            config_report(target->source, config_line_of(item), item_key, "%s", why);
            continue;
        }
        strings->items[strings->count++] = mem_string(text);
    }
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct config_label *) a)->key, ((const struct config_label *) b)->key);
}

static void read_labels(const struct config_target *target, const struct config_entry *entry,
                        config_setting_t *setting, const char *key)
{
    if (config_setting_type(setting) != CONFIG_TYPE_GROUP) {
        config_report(target->source, config_line_of(setting), key, "%s", kind_wanted(entry));
        return;
    }
    int length = config_setting_length(setting);
    if (length > LIST_LIMIT) {
        config_report(target->source, config_line_of(setting), key, "has more than %d entries",
                      LIST_LIMIT);
        return;
    }
    struct config_node *node = target->base;
    node->labels = mem_array((size_t) length, sizeof(*node->labels));
    for (int i = 0; i < length; i++) {
        const config_setting_t *item = config_setting_get_elem(setting, (unsigned) i);
        const char *name = config_setting_name(item), *why;
        char item_key[CONFIG_KEY_SIZE];
        config_print_key(item_key, "%s.%s", key, name);
        if (config_check_name(name, &why)) {
            config_report(target->source, config_line_of(item), item_key, "a label's name %s", why);
            continue;
        }
        const char *text = config_read_text(target, item, item_key);
        if (!text)
            continue;
        if (strlen(text) > LABEL_LIMIT) {
            config_report(target->source, config_line_of(item), item_key, "is longer than %d bytes",
                          LABEL_LIMIT);
            continue;
        }
        node->labels[node->labels_count++] =
            (struct config_label){.key = mem_string(name), .value = mem_string(text)};
    }
    qsort(node->labels, node->labels_count, sizeof(*node->labels), compare_labels);
}

void config_read_value(const struct config_target *target, const struct config_entry *entry,
                       config_setting_t *setting, const char *key)
{
    switch (entry->kind) {
    case KIND_STRING:
    case KIND_PATH:
        read_string(target, entry, setting, key);
        return;
    case KIND_CHOICE:
        read_choice(target, entry, setting, key);
        return;
    case KIND_INTEGER:
    case KIND_INTEGER64:
    case KIND_NUMBER:
        read_number(target, entry, setting, key);
        return;
    case KIND_BOOLEAN:
        if (config_setting_type(setting) == CONFIG_TYPE_BOOL)
            *(bool *) config_slot(target, entry) = config_setting_get_bool(setting);
        else
            config_report(target->source, config_line_of(setting), key, "%s", kind_wanted(entry));
        return;
    case KIND_STRINGS:
        read_strings(target, entry, setting, key);
        return;
    case KIND_LABELS:
        read_labels(target, entry, setting, key);
        return;
    case KIND_SECRET:
        break;
    }
    CHECK(false);
}
