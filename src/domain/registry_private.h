/*
 * The registry's inside, shared by registry.c and registry_edit.c only.
 */
#ifndef CESID_REGISTRY_PRIVATE_H
#define CESID_REGISTRY_PRIVATE_H

#include <uthash.h>

#include "cesid/lock.h"
#include "cesid/registry.h"

#define REGISTRY_WATCHERS_MAX 4

struct registry_entry {
    struct node *node; /* reference */
    UT_hash_handle hh;
};

struct registry {
    /* immutable after the first add */
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry_watcher watchers[REGISTRY_WATCHERS_MAX];
    size_t watchers_count;

    struct rwlock lock;
    /* guarded by lock */
    struct registry_entry *entries; /* by name */
};

#endif
