/*
 * Nodes of the store. See inventory.h. No lock is held across the store or the registry: a flag
 * says that somebody changes something, and others wait for it, for a while.
 */
#include "cesid/inventory.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"

#define TURN_SECONDS 10.0
#define LABELS_MAX   ((size_t) 1 << 20)
#define SEALED_MAX   ((size_t) 1 << 18)

struct inventory {
    /* immutable */
    struct store *store;
    struct vault *vault;
    struct registry *registry;

    struct lock lock;
    struct cond free;
    /* guarded by lock */
    bool busy;
};

struct inventory *inventory_create(struct store *store, struct vault *vault,
                                   struct registry *registry)
{
    struct inventory *inventory = mem_alloc(sizeof(*inventory));

    inventory->store = store;
    inventory->vault = vault;
    inventory->registry = registry;
    lock_init(&inventory->lock, LOCK_PERMITS);
    cond_init(&inventory->free);
    return inventory;
}

void inventory_destroy(struct inventory **slot)
{
    struct inventory *inventory = *slot;

    *slot = NULL;
    if (inventory == NULL)
        return;
    cond_destroy(&inventory->free);
    lock_destroy(&inventory->lock);
    free(inventory);
}

static int take_turn(struct inventory *inventory)
{
    int64_t deadline = clock_after(TURN_SECONDS);
    bool taken;

    lock_acquire(&inventory->lock);
    while (inventory->busy && cond_wait_until(&inventory->free, &inventory->lock, deadline))
        continue;
    taken = !inventory->busy;
    inventory->busy = true;
    lock_release(&inventory->lock);
    return taken ? CESID_OK : CESID_E_STORE_TIMEOUT;
}

static void give_turn(struct inventory *inventory)
{
    lock_acquire(&inventory->lock);
    inventory->busy = false;
    cond_signal(&inventory->free);
    lock_release(&inventory->lock);
}

/* ---- rows ---- */

static bool read_labels(const char *text, struct config_node *config)
{
    cJSON *tree = cJSON_Parse(text);
    int count = cJSON_IsObject(tree) ? cJSON_GetArraySize(tree) : -1;
    const cJSON *item;

    config->labels = mem_array((size_t) (count > 0 ? count : 0) + 1, sizeof(config->labels[0]));
    if (count >= 0)
        cJSON_ArrayForEach(item, tree) if (cJSON_IsString(item))
            config->labels[config->labels_count++] = (struct config_label){
            .key = mem_string(item->string), .value = mem_string(item->valuestring)};
    cJSON_Delete(tree);
    return count >= 0;
}

static char *render_labels(const struct config_node *config)
{
    cJSON *tree = cJSON_CreateObject();
    char *text;

    CHECK(tree != NULL);
    for (size_t i = 0; i < config->labels_count; i++)
        CHECK(cJSON_AddStringToObject(tree, config->labels[i].key, config->labels[i].value) !=
              NULL);
    text = cJSON_PrintUnformatted(tree);
    CHECK(text != NULL);
    cJSON_Delete(tree);
    return text;
}

struct loading {
    const struct inventory *inventory;
    struct config_node *nodes;
    size_t count;
};

static char *text_of(const struct store_row *row, int column)
{
    const char *text = store_row_text(row, column);

    return mem_string(text != NULL ? text : "");
}

static bool take_node(void *argument, const struct store_row *row)
{
    struct loading *loading = argument;
    struct config_node config = {
        .name = text_of(row, 0),
        .environment = text_of(row, 1),
        .url = text_of(row, 2),
        .username = text_of(row, 3),
        .ca_file = mem_string(""),
        .verify = true,
        .enabled = store_row_integer(row, 6) != 0,
    };
    const char *sealed = store_row_text(row, 4), *labels = store_row_text(row, 5), *why;

    if (config_check_url(config.url, &why) != CESID_OK || labels == NULL ||
        !read_labels(labels, &config)) {
        log_error("node", "a node of the store makes no sense and is left out",
                  log_s("node", config.name));
        config_node_clear(&config);
        return true;
    }
    if (sealed != NULL &&
        vault_unseal(loading->inventory->vault, config.name, sealed, &config.password) != CESID_OK)
        log_error("node",
                  "the password of a node cannot be read: it was sealed with another key; "
                  "give it again",
                  log_s("node", config.name));
    loading->nodes = mem_resize(loading->nodes, loading->count + 1, sizeof(loading->nodes[0]));
    loading->nodes[loading->count++] = config;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct config_node *) a)->name, ((const struct config_node *) b)->name);
}

/* All nodes of the store, sorted by name. */
static int read_nodes(struct inventory *inventory, struct loading *loading)
{
    static const struct store_statement list = {
        "node_list", "SELECT name, environment, url, username, password, labels, enabled FROM nodes"
                     " ORDER BY name"};
    int error = store_query(inventory->store, &list, NULL, 0, take_node, loading);

    if (loading->count > 1)
        qsort(loading->nodes, loading->count, sizeof(loading->nodes[0]), by_name);
    return error;
}

static void free_nodes(struct loading *loading)
{
    for (size_t i = 0; i < loading->count; i++)
        config_node_clear(&loading->nodes[i]);
    free(loading->nodes);
}

int inventory_load(struct inventory *inventory)
{
    struct loading loading = {.inventory = inventory};
    int error = read_nodes(inventory, &loading);

    for (size_t i = 0; i < loading.count && error == CESID_OK; i++) {
        if (registry_add(inventory->registry, &loading.nodes[i], true, NULL) == CESID_E_CONFLICT)
            log_warning("node",
                        "a node of the store has the name of one in the file: the file's "
                        "is used",
                        log_s("node", loading.nodes[i].name));
    }
    free_nodes(&loading);
    return error;
}

/* ---- changes ---- */

/* With the statement's values in the order of the table's columns behind the name, then the name.
 */
static int write_node(struct inventory *inventory, const struct store_statement *statement,
                      const struct config_node *config, int64_t *changed)
{
    char *labels = render_labels(config);
    struct strbuf sealed;
    int error;

    strbuf_init(&sealed, SEALED_MAX);
    if (config->password != NULL)
        vault_seal(inventory->vault, config->name, config->password, &sealed);
    if (strbuf_failed(&sealed) || strlen(labels) > LABELS_MAX) {
        error = CESID_E_BODY_TOO_LARGE;
    } else {
        const struct store_value values[] = {
            store_text(config->environment),
            store_text(config->url),
            store_text(config->username),
            store_text(config->password != NULL ? sealed.data : NULL),
            store_text(labels),
            store_integer(config->enabled ? 1 : 0),
            store_integer(clock_wall()),
            store_text(config->name),
        };

        error = store_execute(inventory->store, statement, values, ARRAY_LENGTH(values), changed);
    }
    strbuf_destroy(&sealed);
    free(labels);
    return error;
}

static int forget_node(struct inventory *inventory, const char *name)
{
    static const struct store_statement forget = {"node_delete",
                                                  "DELETE FROM nodes WHERE name = ?"};
    const struct store_value value = store_text(name);

    return store_execute(inventory->store, &forget, &value, 1, NULL);
}

int inventory_add(struct inventory *inventory, const struct config_node *config, struct node **node)
{
    static const struct store_statement insert = {
        "node_insert", "INSERT INTO nodes (environment, url, username, password, labels, enabled,"
                       " changed_at, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"};
    struct node *known;
    int error = take_turn(inventory);

    *node = NULL;
    if (error != CESID_OK)
        return error;
    known = registry_find(inventory->registry, config->name);
    error = known != NULL ? CESID_E_CONFLICT : write_node(inventory, &insert, config, NULL);
    node_unref(&known);
    if (error == CESID_OK) {
        error = registry_add(inventory->registry, config, true, node);
        /* The file brought one of this name in between. */
        if (error != CESID_OK && forget_node(inventory, config->name) != CESID_OK)
            log_error("node", "a node that was not added stays in the store",
                      log_s("node", config->name));
    }
    give_turn(inventory);
    return error;
}

/* The node's settings, if it is the store's. */
static int find_ours(struct inventory *inventory, const char *name, struct node_settings **settings)
{
    struct node *node = registry_find(inventory->registry, name);

    *settings = NULL;
    if (node == NULL)
        return CESID_E_NOT_FOUND;
    *settings = node_settings(node);
    node_unref(&node);
    return (*settings)->from_store ? CESID_OK : CESID_E_READ_ONLY_NODE;
}

int inventory_change(struct inventory *inventory, const char *name,
                     int (*edit)(void *argument, struct config_node *config), void *argument)
{
    static const struct store_statement update = {
        "node_update", "UPDATE nodes SET environment = ?, url = ?, username = ?, password = ?,"
                       " labels = ?, enabled = ?, changed_at = ? WHERE name = ?"};
    struct node_settings *settings = NULL;
    struct config_node config = {0};
    int64_t changed = 0;
    int error = take_turn(inventory);

    if (error != CESID_OK)
        return error;
    error = find_ours(inventory, name, &settings);
    if (error == CESID_OK) {
        config_node_copy(&config, &settings->config);
        error = edit(argument, &config);
    }
    if (error == CESID_OK)
        error = write_node(inventory, &update, &config, &changed);
    if (error == CESID_OK && changed == 0)
        error = CESID_E_NOT_FOUND; /* somebody else on this store removed it */
    if (error == CESID_OK)
        error = registry_change(inventory->registry, &config, true);
    node_settings_unref(&settings);
    config_node_clear(&config);
    give_turn(inventory);
    return error;
}

int inventory_remove(struct inventory *inventory, const char *name,
                     int (*may)(void *argument, const struct config_node *config), void *argument)
{
    struct node_settings *settings = NULL;
    int error = take_turn(inventory);

    if (error != CESID_OK)
        return error;
    error = find_ours(inventory, name, &settings);
    if (error == CESID_OK)
        error = may(argument, &settings->config);
    if (error == CESID_OK)
        error = forget_node(inventory, name);
    if (error == CESID_OK)
        error = registry_remove(inventory->registry, name);
    node_settings_unref(&settings);
    give_turn(inventory);
    return error;
}

/* ---- a new version of the file ---- */

int inventory_begin(struct inventory *inventory)
{
    return take_turn(inventory);
}

void inventory_end(struct inventory *inventory)
{
    give_turn(inventory);
}

static const struct config_node *find_in(const struct config_node *nodes, size_t count,
                                         const char *name)
{
    const struct config_node wanted = {.name = (char *) (uintptr_t) name};

    return count > 0 ? bsearch(&wanted, nodes, count, sizeof(nodes[0]), by_name) : NULL;
}

static void note(struct config_strings *names, const char *name)
{
    if (names->count % 64 == 0)
        names->items = mem_resize(names->items, names->count + 64, sizeof(names->items[0]));
    names->items[names->count++] = mem_string(name);
}

/* What the registry has and the file has no longer. The store is asked once, when at all: one of
 * its nodes may have stood behind a name of the file. */
static void drop_missing(struct inventory *inventory, const struct config *next,
                         const struct node_list *list, struct registry_edits *edits,
                         struct inventory_changes *changes, struct loading *stored)
{
    bool asked = false;

    for (size_t i = 0; i < list->count; i++) {
        const char *name = node_name(list->items[i]);
        struct node_settings *settings = node_settings(list->items[i]);
        bool ours = !settings->from_store;
        const struct config_node *behind;

        node_settings_unref(&settings);
        if (!ours || find_in(next->nodes, next->nodes_count, name) != NULL)
            continue;
        if (!asked) {
            asked = true;
            if (read_nodes(inventory, stored) != CESID_OK)
                log_warning("node", "the store does not say which of its nodes come back now that "
                                    "the file has them no longer");
        }
        behind = find_in(stored->nodes, stored->count, name);
        registry_edits_add(edits, behind != NULL ? REGISTRY_CHANGE : REGISTRY_REMOVE, name, behind,
                           true);
        note(behind != NULL ? &changes->changed : &changes->removed, name);
    }
}

static void take_present(struct inventory *inventory, const struct config *next,
                         struct registry_edits *edits, struct inventory_changes *changes)
{
    for (size_t i = 0; i < next->nodes_count; i++) {
        const struct config_node *config = &next->nodes[i];
        struct node *node = registry_find(inventory->registry, config->name);
        struct node_settings *settings = node != NULL ? node_settings(node) : NULL;

        if (settings == NULL) {
            registry_edits_add(edits, REGISTRY_ADD, config->name, config, false);
            note(&changes->added, config->name);
        } else if (settings->from_store || !config_node_equal(&settings->config, config)) {
            if (settings->from_store)
                log_warning("node",
                            "a node of the store has the name of one in the file: the "
                            "file's is used",
                            log_s("node", config->name));
            registry_edits_add(edits, REGISTRY_CHANGE, config->name, config, false);
            note(&changes->changed, config->name);
        } else {
            note(&changes->unchanged, config->name);
        }
        node_settings_unref(&settings);
        node_unref(&node);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

void inventory_replace(struct inventory *inventory, const struct config *next,
                       struct inventory_changes *changes)
{
    struct registry_edits edits = {0};
    struct loading stored = {.inventory = inventory};
    struct node_list list;

    *changes = (struct inventory_changes){0};
    registry_list(inventory->registry, &list);
    drop_missing(inventory, next, &list, &edits, changes, &stored);
    take_present(inventory, next, &edits, changes);
    node_list_free(&list);
    registry_edit(inventory->registry, &edits);
    registry_edits_free(&edits);
    free_nodes(&stored);
    if (changes->changed.count > 1)
        qsort(changes->changed.items, changes->changed.count, sizeof(char *), by_text);
}

void inventory_changes_free(struct inventory_changes *changes)
{
    struct config_strings *const all[] = {&changes->added, &changes->removed, &changes->changed,
                                          &changes->unchanged};

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        for (size_t name = 0; name < all[i]->count; name++)
            free(all[i]->items[name]);
        free(all[i]->items);
    }
    *changes = (struct inventory_changes){0};
}
