/*
 * What cesid may: files it may have open, and the user it becomes. Main only, at start. Order:
 * files_raise, bind, privileges_prepare, privileges_drop, then files are opened.
 */
#ifndef CESID_PRIVILEGES_H
#define CESID_PRIVILEGES_H

#include "cesid/config.h"

/* Makes the state directory, the store's and the log's, where they are missing, and gives them to
 * server.user, who could not make them. Nothing unless root is to become somebody else; what cannot
 * be made is told by who needs it. */
void privileges_prepare(const struct config *config);

/* Becomes server.user with server.group and that user's further groups, for good. Nothing when not
 * root (logged, if that is not who we are) or without server.user. CESID_E_INTERNAL (logged). */
int privileges_drop(const struct config_server *server) CESID_WARN_UNUSED;

/* A node is a descriptor, a client is a descriptor: takes as many as the system gives, and as root
 * as many as the configuration can need. */
void files_raise(const struct config *config);
/* Logs the limit, and whether it falls short. */
void files_report(const struct config *config);

#endif
