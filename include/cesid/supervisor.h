/*
 * supervisord's interface in words of the domain: builds requests, parses answers, names faults.
 * Two ways to call: supervisor_submit for state machines (callback on the loop thread), and
 * supervisor_call for threads that serve a request and may wait (it returns at the deadline at the
 * latest, or when `cancelled` says so). Facts: supervisor/rpcinterface.py 4.2.5, LAB.md.
 */
#ifndef CESID_SUPERVISOR_H
#define CESID_SUPERVISOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/rpc.h"
#include "cesid/xmlrpc.h"

/* supervisor/xmlrpc.py: Faults */
enum supervisor_fault {
    FAULT_UNKNOWN_METHOD = 1,
    FAULT_INCORRECT_PARAMETERS = 2,
    FAULT_BAD_ARGUMENTS = 3,
    FAULT_SIGNATURE_UNSUPPORTED = 4,
    FAULT_SHUTDOWN_STATE = 6,
    FAULT_BAD_NAME = 10,
    FAULT_BAD_SIGNAL = 11,
    FAULT_NO_FILE = 20,
    FAULT_NOT_EXECUTABLE = 21,
    FAULT_FAILED = 30,
    FAULT_ABNORMAL_TERMINATION = 40,
    FAULT_SPAWN_ERROR = 50,
    FAULT_ALREADY_STARTED = 60,
    FAULT_NOT_RUNNING = 70,
    FAULT_SUCCESS = 80,
    FAULT_ALREADY_ADDED = 90,
    FAULT_STILL_RUNNING = 91,
    FAULT_CANT_REREAD = 92
};
const char *supervisor_fault_name(int64_t code); /* "BAD_NAME"; "UNKNOWN" for others */
/* What is wrong with a node that answers such a fault to a call that every supervisord takes;
 * RPC_CAUSE_NONE for one that is shutting down. */
enum rpc_cause supervisor_fault_cause(int64_t code);

/* supervisor/states.py: ProcessStates */
enum process_state {
    PROCESS_STOPPED = 0,
    PROCESS_STARTING = 10,
    PROCESS_RUNNING = 20,
    PROCESS_BACKOFF = 30,
    PROCESS_STOPPING = 40,
    PROCESS_EXITED = 100,
    PROCESS_FATAL = 200,
    PROCESS_UNKNOWN = 1000
};
const char *process_state_name(int code); /* "RUNNING"; anything else "UNKNOWN" */
bool process_state_parse(const char *name, int *code);

#define SUPERVISOR_NAME_MAX 255 /* bytes of a process's or group's name */

/* One element of getAllProcessInfo, borrowed from the answer that it was read from. */
struct supervisor_process {
    const char *group, *name;
    const char *description, *spawn_error; /* "" when none */
    const char *stdout_log, *stderr_log;
    int64_t start, stop, now; /* seconds since 1970 by the node's clock; 0: never */
    int64_t pid;
    int statecode;
    int exit_status;
};

/* What came of a call. error 0: answer.value is there. answer.fault: supervisord refused, see
 * answer.fault_*; error is then ALREADY_STARTED, NOT_RUNNING, NOT_FOUND (BAD_NAME) or NODE_FAULT,
 * and detail supervisord's text. Else the transport's error and cause, and detail is a sentence
 * for the problem answer. */
struct supervisor_result {
    int error;
    bool familiar; /* the caller knew the answer as it came: it was not parsed and is not here */
    enum rpc_cause cause;
    int status; /* HTTP status, 0 when none came */
    struct xmlrpc_answer answer;
    double duration;
    char detail[256];
};
void supervisor_result_free(struct supervisor_result *result);

/* Method and arguments: supervisor_call_init, then add arguments to body with xmlrpc_add_*; the
 * end is added when it is sent. The other fields may be changed before that. */
struct supervisor_call {
    struct strbuf body;
    bool ended;
    size_t answer_max;
    size_t values_max;
    bool deferred; /* set for start, stop and group methods: see rpc.h */
    int64_t deadline;
    double connect_timeout;
    /* NULL, or asked on the loop thread, with done's argument, whether a whole answer says what the
     * caller knows already. */
    bool (*familiar)(void *argument, const char *body, size_t length);
};
void supervisor_call_init(struct supervisor_call *call, const char *method,
                          const struct config *config, double timeout /* seconds from now */);
void supervisor_call_destroy(struct supervisor_call *call);

/* done runs on the loop thread and borrows result (it may steal answer by zeroing it). Besides
 * rpc_submit's errors BODY_TOO_LARGE, when the arguments are; then done is not called either. */
int supervisor_submit(struct rpc_endpoint *endpoint, struct supervisor_call *call,
                      void (*done)(void *argument, struct supervisor_result *result),
                      void *argument, struct rpc_call **handle) CESID_WARN_UNUSED;

/* Waits for the end. cancelled may be NULL; it is asked about every 100 ms. Returns
 * result->error. Free the result in every case. No lock may be held. */
int supervisor_wait(struct rpc_endpoint *endpoint, struct supervisor_call *call,
                    bool (*cancelled)(void *argument), void *argument,
                    struct supervisor_result *result);

/* Reads the i-th process of a getAllProcessInfo or getProcessInfo struct. False: not a process
 * (members missing, of wrong types, a name empty or longer than 255 bytes, out of range). */
bool supervisor_read_process(const struct xmlrpc_value *value, struct supervisor_process *process);

/* A part of a log, as bytes. supervisord fails on what is not UTF-8 and on cuts inside a character;
 * logreader.h says how the bytes are found all the same, and which of them become U+FFFD because
 * supervisord tells them to nobody. */
struct supervisor_log {
    struct strbuf data;
    int64_t offset; /* where data starts, bytes */
    int64_t next;   /* where to go on */
    int64_t size;   /* of the log when it was asked */
    bool truncated; /* the deadline or the effort cut it short: at its end, or at its beginning when
                     * it was asked for from the end of the log */
};
void supervisor_log_free(struct supervisor_log *log);
/* process "group:name"; NULL: supervisord's own log, and stream does not matter. stream "stdout" or
 * "stderr". offset < 0 counts from the end, and what that cuts of a character is left out. length:
 * 1 MiB at most. effort NULL: as much as one read may cost the node, else truncated. Otherwise what
 * is left of the effort for a whole log that is read part by part: it is counted down, and at 0
 * only what is text, or nearly so, is read and the rest is U+FFFD. *log needs no init. Returns
 * result->error. On failure fault and transport details are in *result; the caller frees both in
 * every case. A deadline (timeouts.log) that passes after some text was read is no failure but
 * truncated. */
int supervisor_read_log(struct rpc_endpoint *endpoint, const struct config *config,
                        const char *process, const char *stream, int64_t offset, int64_t length,
                        int64_t *effort, bool (*cancelled)(void *argument), void *argument,
                        struct supervisor_log *log, struct supervisor_result *result);

#endif
