/*
 * Telling a service manager how we are: systemd's protocol of datagrams to NOTIFY_SOCKET. Without
 * one everything here does nothing. Made and destroyed by main; messages from any thread.
 */
#ifndef CESID_NOTIFY_H
#define CESID_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"

struct notify;

/* Before any thread, and after a fork: takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of
 * the environment. Never NULL. */
struct notify *notify_create(void);
void notify_destroy(struct notify **notify);

/* Seconds within which the manager wants to hear of us again; 0: it does not. */
double notify_watchdog(const struct notify *notify);

/* Each waits a second at most. status is one line for people, or NULL. */
void notify_ready(struct notify *notify, const char *status);
void notify_reloading(struct notify *notify);
/* seconds: how long it may take. */
void notify_stopping(struct notify *notify, double seconds);
void notify_alive(struct notify *notify);

#endif
