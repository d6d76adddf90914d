/*
 * Reads answers of getAllProcessInfo in the one spelling that supervisord itself uses, byte for
 * byte, where they lie: no copy, no allocation, a tenth of a parser's time. Meant for asking
 * whether an answer still says what is known. It never guesses: whatever is spelt otherwise (other
 * members, other order, spaces, entities, text beyond printable ASCII) it does not read, and the
 * parser is the judge. What it reads, xmlrpc_parse and supervisor_read_process read the same.
 * Pure; a scan belongs to its caller.
 */
#ifndef CESID_PROCESS_SCAN_H
#define CESID_PROCESS_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scanned_text {
    const char *data; /* in the answer; no NUL ends it */
    size_t length;
};

/* As struct supervisor_process. */
struct scanned_process {
    struct scanned_text group, name;
    struct scanned_text description, spawn_error;
    struct scanned_text stdout_log, stderr_log;
    int64_t start, stop, now, pid, statecode, exit_status;
};

struct process_scan {
    const char *at, *end;
};

/* False: not such an answer. */
bool process_scan_begin(struct process_scan *scan, const char *answer, size_t length);
/* False: the next thing is not a process in that spelling. */
bool process_scan_next(struct process_scan *scan, struct scanned_process *process);
/* Whether the answer ends here, as it should. */
bool process_scan_end(struct process_scan *scan);

bool scanned_text_equals(struct scanned_text text, const char *known); /* NULL is "" */

#endif
