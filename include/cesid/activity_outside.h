/*
 * What was done to the store outside of the server (cesid --create-admin), left there in the same
 * transaction for the server to put on record: the chain of records has one writer. No locks.
 */
#ifndef CESID_ACTIVITY_OUTSIDE_H
#define CESID_ACTIVITY_OUTSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"
#include "cesid/store.h"

#define OUTSIDE_ID_SIZE 33
#define OUTSIDE_BATCH   100

struct outside_action {
    char id[OUTSIDE_ID_SIZE];
    int64_t at; /* wall milliseconds */
    char action[65];
    char target[641];
};

int outside_action_add(struct store_transaction *transaction, const char *action,
                       const char *target) CESID_WARN_UNUSED;
/* The oldest, OUTSIDE_BATCH at most. Caller frees. */
int outside_actions_read(struct store *store, struct outside_action **actions,
                         size_t *count) CESID_WARN_UNUSED;
int outside_action_remove(struct store *store, const char *id) CESID_WARN_UNUSED;

#endif
