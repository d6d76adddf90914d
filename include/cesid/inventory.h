/*
 * Nodes that are kept in the store instead of the file: read at start, changed over the API. A
 * change goes to the store first and then to the registry, one at a time, so that the two never
 * differ for longer than a change takes. Names are shared with the file's nodes, and those win.
 * Any thread, holding no lock. Lock: LOCK_PERMITS, for whose turn it is.
 */
#ifndef CESID_INVENTORY_H
#define CESID_INVENTORY_H

#include "cesid/registry.h"
#include "cesid/store.h"
#include "cesid/vault.h"

struct inventory;

/* Borrows all three. */
struct inventory *inventory_create(struct store *store, struct vault *vault,
                                   struct registry *registry);
void inventory_destroy(struct inventory **inventory);

/* Adds what the store holds to the registry, after the file's nodes. The store's errors. */
int inventory_load(struct inventory *inventory) CESID_WARN_UNUSED;

/* CONFLICT when the name is taken; the store's errors, with nothing done. node: a reference. */
int inventory_add(struct inventory *inventory, const struct config_node *config,
                  struct node **node) CESID_WARN_UNUSED;
/* edit changes a copy of the node's settings (all but the name); its negative answer is returned
 * and nothing is done. NOT_FOUND, READ_ONLY_NODE, the store's errors. */
int inventory_change(struct inventory *inventory, const char *name,
                     int (*edit)(void *argument, struct config_node *config),
                     void *argument) CESID_WARN_UNUSED;
/* may is asked about the node's settings as they are then; as edit above. */
int inventory_remove(struct inventory *inventory, const char *name,
                     int (*may)(void *argument, const struct config_node *config),
                     void *argument) CESID_WARN_UNUSED;

/* The file's nodes as a new version of the file has them; the store's stay. */
struct inventory_changes {
    struct config_strings added, removed, changed, unchanged; /* names, sorted */
};
/* No change over the API until inventory_end. STORE_TIMEOUT: another one takes too long. */
int inventory_begin(struct inventory *inventory) CESID_WARN_UNUSED;
void inventory_end(struct inventory *inventory);
/* Between the two. Compares by name with what there is: what did not change is not touched. A node
 * of the store gives way to one of the file of its name, and comes back when that one goes. */
void inventory_replace(struct inventory *inventory, const struct config *next,
                       struct inventory_changes *changes);
void inventory_changes_free(struct inventory_changes *changes);

#endif
