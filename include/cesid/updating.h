/*
 * Bringing what a supervisord runs in line with its configuration, group by group, once it has read
 * that again. For routes; see routes_control.c.
 */
#ifndef CESID_UPDATING_H
#define CESID_UPDATING_H

#include "cesid/request.h"
#include "cesid/xmlrpc.h"

/* The lists of reloadConfig: names of groups. */
struct updating_changes {
    const struct xmlrpc_value *added, *changed, *removed;
};

/* As `supervisorctl update` does: what went or changed is stopped and taken out, what came or
 * changed is put in (and started where it has autostart). What was begun is brought to its end,
 * although the caller may have left, for as long as the node answers, within timeouts.batch; a
 * group that fails keeps no other from its turn. The error is that of the first group that failed,
 * and the problem says in which state it was left. */
int updating_run(struct request *request, const struct updating_changes *changes) CESID_WARN_UNUSED;

#endif
