/*
 * Running in the background, and the pid file. Main only: daemon_fork before any thread, the rest
 * at start and stop. Order:
 * daemon_close_inherited, daemon_fork, pidfile_open (in the child, whose pid it is), everything
 * else, daemon_report.
 */
#ifndef CESID_DAEMON_H
#define CESID_DAEMON_H

#include "cesid/check.h"

/* Closes what whoever started us left open, beyond the standard streams. First of all. */
void daemon_close_inherited(void);

/* Forks. The parent does not return: it waits for the child's report and exits with its status, or
 * with 1 when the child dies without one. The child goes on in a session of its own and with umask
 * 027, still in the old directory and on the old standard streams, so that relative paths and
 * messages reach whom they should; *fd is for daemon_report. CESID_E_INTERNAL (logged) when the
 * system refuses. */
int daemon_fork(int *fd) CESID_WARN_UNUSED;

/* Tells the parent its exit status. With status 0 the process first leaves for / and its standard
 * streams become /dev/null: what it still opens must have an absolute path, and a log on standard
 * error ends here. Closes fd and sets it to -1; does nothing when that is what it is. */
void daemon_report(int *fd, int status);

struct pidfile;

/* Writes the pid and keeps the file locked. Takes over what a dead process left behind.
 * CESID_E_CONFLICT (logged with the other's pid) when another holds it, CESID_E_INTERNAL (logged)
 * when it cannot be written. */
int pidfile_open(const char *path, struct pidfile **pidfile) CESID_WARN_UNUSED;
/* Removes the file, or empties it when the right to remove it was given up since, then unlocks.
 * NULL does nothing. */
void pidfile_close(struct pidfile **pidfile);

#endif
