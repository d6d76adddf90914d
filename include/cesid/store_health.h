/*
 * Store health: a thread that probes the store every store.health_interval, at once when a
 * statement was not answered, and with growing, jittered pauses while it is down, so that the gate
 * of the store is open when, and only when, the store answers.
 *
 * Lock: LOCK_HEALTH, for the alarm and the stop flag only.
 */
#ifndef CESID_STORE_HEALTH_H
#define CESID_STORE_HEALTH_H

#include "cesid/check.h"
#include "cesid/store.h"

struct store_health;

/* store is borrowed; no other thread uses it yet. interval in seconds. */
struct store_health *store_health_create(struct store *store, double interval);
/* answers is called, on the health thread, after each probe that was answered: for what waits for
 * the store. To be set before the start. */
void store_health_watch(struct store_health *health, void (*answers)(void *argument),
                        void *argument);
int store_health_start(struct store_health *health) CESID_WARN_UNUSED;
void store_health_stop(struct store_health *health);
/* No other thread uses the store any more. */
void store_health_destroy(struct store_health **health);

#endif
