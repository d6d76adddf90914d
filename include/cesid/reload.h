/*
 * Reload: the file is read and checked whole, then configuration and nodes are exchanged, or
 * everything stays as it was. One at a time; who comes during one shares the next with all others
 * that came, so that a storm costs two and the last content of the file wins.
 *
 * Any thread that may block, holding no lock: main for SIGHUP, workers for the API.
 * Lock: LOCK_RELOAD, for whose turn it is; not held while reading or exchanging.
 */
#ifndef CESID_RELOAD_H
#define CESID_RELOAD_H

#include <stdbool.h>

#include "cesid/config.h"
#include "cesid/inventory.h"
#include "cesid/operation.h"
#include "cesid/refresh.h"

struct reload;

/* Borrowed, alive until reload_destroy. */
struct reload_sources {
    struct config_box *config;
    const char *file;     /* absolute: cesid may have left the directory it was started in */
    bool log_level_fixed; /* by the command line: log.level is not heeded */
    struct inventory *inventory;
    struct refresh *refresh;
    struct operations *operations;
    /* Around each reload, also one that is refused; one at a time. NULL: nobody wants to know. */
    void (*begins)(void *argument);
    void (*ended)(void *argument);
    void *argument;
};

struct reload *reload_create(const struct reload_sources *sources);
void reload_destroy(struct reload **reload);

/* What came of it: immutable, shared by all who waited for the same. */
struct reload_report {
    int error; /* 0; VALIDATION_FAILED with problems; STORE_TIMEOUT: nodes are being changed */
    struct config_problems problems;
    struct inventory_changes nodes;
    struct config_strings settings;       /* keys that changed and are in force */
    struct config_strings restart_needed; /* keys that changed in the file only */
    int references;                       /* atomic */
};

/* Reloads, and returns a reference when a reload that began after the call has ended. */
struct reload_report *reload_run(struct reload *reload);
void reload_report_unref(struct reload_report **report);

#endif
