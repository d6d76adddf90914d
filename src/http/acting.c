/*
 * Answering for operations. See acting.h. CivetWeb's workers; no locks of its own.
 */
#include "cesid/acting.h"

#include <math.h>
#include <stdio.h>

#include "cesid/clock.h"

/* The failure of an action's only target as the request's problem. */
static int single_failure(struct request *request, struct operation *operation)
{
    struct operation_outcome outcome;
    operation_outcome(operation, 0, &outcome);
    if (!outcome.finished || outcome.error == 0)
        return 0;
    if (outcome.detail[0] != '\0')
        problem_detail(&request->problem, "%s", outcome.detail);
    if (outcome.fault_code != 0)
        problem_fault(&request->problem, outcome.fault_code, outcome.fault_text);
    request->problem.retry_after = outcome.retry_after;
    if (outcome.error == CESID_E_CANCELLED) {
        problem_detail(&request->problem, "The operation was cancelled");
        return CESID_E_CONFLICT;
    }
    return outcome.error;
}

int acting_answer(struct request *request, struct response *response, struct operation *operation,
                  double usual, bool single)
{
    double wait = request->wait >= 0 ? request->wait : usual;
    /* Without a permit for holding a worker the answer is an early one. */
    (void) snprintf(request->operation, sizeof(request->operation), "%s", operation_id(operation));
    bool done = operation_wait(operation, clock_now(), NULL, NULL);
    if (!done && wait > 0 && request_take_stream(request))
        done = operation_wait(operation, clock_after(wait), request_cancelled, request);
    if (!done && single)
        operation_tell_later(operation);
    /* What it shows counts: it may have ended since. */
    done = operation_json(response_json(response), operation);
    int error = done && single ? single_failure(request, operation) : 0;
    if (error != 0)
        return error;
    response->status = done ? 200 : 202;
    if (request->wait >= 0)
        response_header(response, "Preference-Applied", "wait=%.0f", floor(wait));
    if (!done)
        response_location(response, "/api/v1/operations/%s", operation_id(operation));
    return 0;
}
