/*
 * What differs between two configurations, by the option table. The caller owns the newer one
 * alone: what needs a restart is put back in it, so that readers never see a value that is not in
 * force. Pure; no locks.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/memory.h"
#include "config_internal.h"

static bool same_strings(const struct config_strings *a, const struct config_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    }
    return true;
}

static bool same_labels(const struct config_node *a, const struct config_node *b)
{
    if (a->labels_count != b->labels_count)
        return false;
    for (size_t i = 0; i < a->labels_count; i++) {
        if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
            strcmp(a->labels[i].value, b->labels[i].value) != 0)
            return false;
    }
    return true;
}

static bool same_value(const struct config_entry *entry, const void *base_a, const void *base_b)
{
    const void *a = (const char *) base_a + entry->offset;
    const void *b = (const char *) base_b + entry->offset;

    switch (entry->kind) {
    case KIND_STRING:
    case KIND_PATH:
        return strcmp(*(char *const *) a, *(char *const *) b) == 0;
    case KIND_INTEGER:
    case KIND_CHOICE:
        return *(const int *) a == *(const int *) b;
    case KIND_INTEGER64:
        return *(const int64_t *) a == *(const int64_t *) b;
    case KIND_NUMBER:
        return memcmp(a, b, sizeof(double)) == 0;
    case KIND_BOOLEAN:
        return *(const bool *) a == *(const bool *) b;
    case KIND_STRINGS:
        return same_strings(a, b);
    case KIND_SECRET:
        return secret_equal(*(struct secret *const *) a, *(struct secret *const *) b);
    case KIND_LABELS:
        return same_labels(base_a, base_b);
    }
    CHECK(false);
}

/* The entry of the table gives both their type. */
static void copy_value(const struct config_entry *entry, void *to_base, const void *from_base)
{
    void *to = (char *) to_base + entry->offset;
    const void *from = (const char *) from_base + entry->offset;

    config_free_value(to_base, entry);
    switch (entry->kind) {
    case KIND_STRING:
    case KIND_PATH:
        *(char **) to = mem_string(*(char *const *) from);
        break;
    case KIND_INTEGER:
    case KIND_CHOICE:
        *(int *) to = *(const int *) from;
        break;
    case KIND_INTEGER64:
        *(int64_t *) to = *(const int64_t *) from;
        break;
    case KIND_NUMBER:
        *(double *) to = *(const double *) from;
        break;
    case KIND_BOOLEAN:
        *(bool *) to = *(const bool *) from;
        break;
    case KIND_STRINGS: {
        const struct config_strings *strings = from;
        struct config_strings *copy = to;

        copy->items = mem_array(strings->count + 1, sizeof(*copy->items));
        copy->count = strings->count;
        for (size_t i = 0; i < strings->count; i++)
            copy->items[i] = mem_string(strings->items[i]);
        break;
    }
    case KIND_SECRET:
        *(struct secret **) to = secret_ref(*(struct secret *const *) from);
        break;
    case KIND_LABELS:
        CHECK(false); /* of nodes only */
    }
}

size_t config_take_over(struct config *next, const struct config *old,
                        struct config_change **changes)
{
    size_t entries_count, count = 0;
    const struct config_entry *entries = config_table(&entries_count);

    *changes = mem_array(entries_count, sizeof(**changes));
    for (size_t i = 0; i < entries_count; i++) {
        const struct config_entry *entry = &entries[i];

        if (same_value(entry, next, old))
            continue;
        (*changes)[count++] =
            (struct config_change){.key = entry->shown.key, .applies = entry->shown.reloadable};
        if (!entry->shown.reloadable)
            copy_value(entry, next, old);
    }
    return count;
}

bool config_node_equal(const struct config_node *a, const struct config_node *b)
{
    size_t count;
    const struct config_entry *entries = config_node_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (!same_value(&entries[i], a, b))
            return false;
    }
    return true;
}
