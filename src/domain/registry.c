/*
 * The registry of nodes. Any thread: lookups and lists take the read lock for a pointer and a
 * reference; what a node knows is behind the node's own lock. Changes are in registry_edit.c.
 */
#include "cesid/registry.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "node_private.h"
#include "registry_private.h"

struct registry *registry_create(struct bus *bus, struct rpc_engine *engine)
{
    struct registry *registry = mem_alloc(sizeof(*registry));

    registry->bus = bus;
    registry->engine = engine;
    rwlock_init(&registry->lock, LOCK_REGISTRY);
    return registry;
}

void registry_destroy(struct registry **slot)
{
    struct registry *registry = *slot;
    struct registry_entry *entry, *next;

    *slot = NULL;
    if (registry == NULL)
        return;
    entry = registry->entries;
    HASH_CLEAR(hh, registry->entries); /* the table; its entries still know the next */
    for (; entry != NULL; entry = next) {
        next = entry->hh.next;
        node_unref(&entry->node);
        free(entry);
    }
    rwlock_destroy(&registry->lock);
    free(registry);
}

void registry_watch(struct registry *registry, const struct registry_watcher *watcher)
{
    CHECK(registry->watchers_count < REGISTRY_WATCHERS_MAX && registry->entries == NULL);
    registry->watchers[registry->watchers_count++] = *watcher;
}

struct node *registry_find(struct registry *registry, const char *name)
{
    struct registry_entry *entry;
    struct node *node = NULL;

    rwlock_read(&registry->lock);
    HASH_FIND_STR(registry->entries, name, entry);
    if (entry != NULL)
        node = node_ref(entry->node);
    rwlock_release(&registry->lock);
    return node;
}

static int by_name(const void *a, const void *b)
{
    const struct node_and_view *left = a, *right = b;

    return strcmp(node_name(left->node), node_name(right->node));
}

void registry_survey(struct registry *registry, struct node_survey *survey)
{
    struct registry_entry *entry, *next;

    rwlock_read(&registry->lock);
    survey->items = mem_array(HASH_COUNT(registry->entries) + 1, sizeof(survey->items[0]));
    survey->count = 0;
    HASH_ITER(hh, registry->entries, entry, next)
    survey->items[survey->count++] =
        (struct node_and_view){.node = node_ref(entry->node), .view = node_view(entry->node)};
    rwlock_release(&registry->lock);
    if (survey->count > 1)
        qsort(survey->items, survey->count, sizeof(survey->items[0]), by_name);
}

void node_survey_free(struct node_survey *survey)
{
    for (size_t i = 0; i < survey->count; i++) {
        node_view_unref(&survey->items[i].view);
        node_unref(&survey->items[i].node);
    }
    free(survey->items);
    *survey = (struct node_survey){0};
}

static int list_by_name(const void *a, const void *b)
{
    struct node *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

void registry_list(struct registry *registry, struct node_list *list)
{
    struct registry_entry *entry, *next;

    rwlock_read(&registry->lock);
    list->items = mem_array(HASH_COUNT(registry->entries), sizeof(list->items[0]));
    list->count = 0;
    HASH_ITER(hh, registry->entries, entry, next)
    list->items[list->count++] = node_ref(entry->node);
    rwlock_release(&registry->lock);
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(list->items[0]), list_by_name);
}

void node_list_free(struct node_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        node_unref(&list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}
