/*
 * The one place that records what requests do: every action before it is done and with its outcome,
 * every sign-in, and what was refused. For the dispatcher.
 */
#ifndef CESID_RECORDER_H
#define CESID_RECORDER_H

#include "cesid/request.h"
#include "cesid/response.h"

/* Before the handler of an action. STORE_UNAVAILABLE: it cannot be recorded, so it must not be
 * done. Nothing for what is no action. */
int recorder_begin(struct request *request) CESID_WARN_UNUSED;
/* After everything, before the answer: error is what it will be. Returns what it is to be: a
 * sign-in that cannot be recorded is taken back. */
int recorder_end(struct request *request, const struct response *response,
                 int error) CESID_WARN_UNUSED;

#endif
