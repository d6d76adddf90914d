/*
 * Login attempts: how often one may guess, and how many passwords are hashed at once.
 *
 * Counted by user and address together: a stranger cannot lock the administrator out from
 * elsewhere. Those under way count as failures until they have ended, so that many at once are not
 * more than one after another; who would be one too many waits for them.
 *
 * Any thread. Lock: LOCK_AUTH, never held while a password is hashed.
 */
#ifndef CESID_ATTEMPTS_H
#define CESID_ATTEMPTS_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"

struct attempts;

struct attempts *attempts_create(size_t capacity, int hashers, int waiters);
void attempts_destroy(struct attempts **attempts);

struct attempts_limits {
    int failures;   /* so many in a row … */
    double lockout; /* … close the door for so many seconds, and are forgotten after as many */
};

enum attempt_outcome {
    ATTEMPT_RIGHT,
    ATTEMPT_WRONG,
    ATTEMPT_UNKNOWN /* it ended without telling */
};

/* 0, and attempts_end must follow; LOCKED_OUT and the seconds left; RATE_LIMITED when too many
 * wait or the deadline passed. */
int attempts_begin(struct attempts *attempts, const char *username, const char *address,
                   const struct attempts_limits *limits, int64_t deadline,
                   double *retry_after) CESID_WARN_UNUSED;
void attempts_end(struct attempts *attempts, const char *username, const char *address,
                  const struct attempts_limits *limits, enum attempt_outcome outcome);
size_t attempts_length(struct attempts *attempts);

/* A permit to hash one password: 0, or RATE_LIMITED when too many wait or the deadline passed. */
int attempts_hash_begin(struct attempts *attempts, int64_t deadline) CESID_WARN_UNUSED;
void attempts_hash_end(struct attempts *attempts);

#endif
