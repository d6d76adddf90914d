/*
 * Circuit breaker: a pure state machine, guarded by its owner. Closed until `failures` connection
 * failures in a row; open for a time that doubles (with jitter) from open_min to open_max; then
 * half-open, where exactly one probe decides. Times are clock_now() nanoseconds.
 */
#ifndef CESID_BREAKER_H
#define CESID_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_settings {
    int failures;
    double open_min, open_max; /* seconds */
};

struct breaker {
    enum breaker_state state;
    int failures;     /* in a row */
    int openings;     /* in a row: the exponent of the open time */
    int64_t retry_at; /* clock_now(); meaningful while open */
    bool probing;     /* half-open and its one probe is under way */
};

void breaker_init(struct breaker *breaker);
/* Whether a call may go out now. Moves open to half-open when its time came, and then grants the
 * one probe: the caller must report its end through breaker_success, _failure or _abandon. */
bool breaker_allow(struct breaker *breaker, int64_t now);
/* Each returns whether the state changed. jitter is 0 to 1, chosen by the caller. */
bool breaker_success(struct breaker *breaker);
bool breaker_failure(struct breaker *breaker, const struct breaker_settings *settings, int64_t now,
                     double jitter);
void breaker_abandon(struct breaker *breaker); /* the probe was cancelled: nothing learned */
const char *breaker_state_name(enum breaker_state state); /* "closed", "open", "half_open" */

#endif
