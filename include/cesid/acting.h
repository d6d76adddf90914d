/*
 * Answering for an operation that a request has started. For routes; see routes_actions.c.
 */
#ifndef CESID_ACTING_H
#define CESID_ACTING_H

#include <stdbool.h>

#include "cesid/operation.h"
#include "cesid/request.h"
#include "cesid/response.h"

/* The names of signals, as choices of a field. */
#define ACTING_SIGNALS                                                                             \
    "HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|USR1|SEGV|USR2|PIPE|ALRM|TERM|STKFLT|"                \
    "CHLD|CONT|STOP|TSTP|TTIN|TTOU|URG|XCPU|XFSZ|VTALRM|PROF|WINCH|IO|PWR|SYS"

/* Waits as Prefer says, or `usual` seconds, and answers 200, or 202 with where to look. single: the
 * failure of the only target is the request's. */
int acting_answer(struct request *request, struct response *response, struct operation *operation,
                  double usual, bool single) CESID_WARN_UNUSED;

#endif
