/*
 * Health: how each part of cesid is, since when and why, judged once a second by a thread of its
 * own, so that who asks never waits. A change is logged.
 *
 * Nodes that are down make the whole degraded, never failed.
 *
 * Lock: LOCK_HEALTH, for copying reports only.
 */
#ifndef CESID_HEALTH_H
#define CESID_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/bus.h"
#include "cesid/config.h"
#include "cesid/hub.h"
#include "cesid/journal.h"
#include "cesid/json.h"
#include "cesid/operation.h"
#include "cesid/refresh.h"
#include "cesid/registry.h"
#include "cesid/store.h"

enum health_status { HEALTH_OK, HEALTH_DEGRADED, HEALTH_FAILED };
const char *health_status_name(enum health_status status); /* "ok", "degraded", "failed" */

enum health_component {
    HEALTH_STORE,
    HEALTH_REFRESH,
    HEALTH_HUB,
    HEALTH_OPERATIONS,
    HEALTH_BUS,
    HEALTH_JOURNAL,
    HEALTH_NODES,
    HEALTH_THREADS,   /* failed: one of them makes no progress */
    HEALTH_RESOURCES, /* descriptors and memory */
    HEALTH_COMPONENTS
};

struct health;

/* Borrowed, alive until health_stop has returned. */
struct health_sources {
    struct config_box *config;
    struct store *store;
    struct bus *bus;
    struct registry *registry;
    struct refresh *refresh;
    struct operations *operations;
    struct hub *hub;
    struct journal *journal; /* NULL: nothing is recorded */
};

struct health *health_create(const struct health_sources *sources);
int health_start(struct health *health) CESID_WARN_UNUSED; /* the first judgement is made here */
void health_stop(struct health *health);
void health_destroy(struct health **health);

/* clock_now() of the last judgement: a sign that threads still come round. */
int64_t health_judged_at(struct health *health);
enum health_status health_of(struct health *health, enum health_component component);
/* {"status", "components": {"store": {"status", "since", "reason", figures…}, …}}, with the nodes
 * that access allows to see; returns the worst of all. */
enum health_status health_json(struct json *json, struct health *health,
                               const struct access *access);

#endif
