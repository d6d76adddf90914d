/*
 * Signs of life. Every thread that thread_start made has a pulse: it counts each time the thread
 * begins or ends a wait, and says what it waits for. The locks and conditions do that by
 * themselves; who waits otherwise (epoll) says so. Health looks at all pulses once a second and so
 * finds the thread that no longer makes progress.
 *
 * A wait without a deadline for something to do is not a lack of progress; one whose deadline is
 * long past is, and so are work and waits for a lock that take long.
 *
 * Wait-free for the threads; the table of pulses never shrinks. pulse_look is for one thread.
 */
#ifndef CESID_PULSE_H
#define CESID_PULSE_H

#include <stddef.h>
#include <stdint.h>

/* subsystem lives for ever, name is copied. In the thread that it is about; more than there is room
 * for go unwatched. */
void pulse_begin(const char *subsystem, const char *name);
void pulse_end(void);

/* For a thread with a pulse; for others nothing. what must live for ever. */
void pulse_wait(const char *what, int64_t deadline); /* idle; CLOCK_NEVER: as long as it likes */
void pulse_block(const char *what);                  /* for a lock */
void pulse_work(void);                               /* goes on */

struct pulse_report {
    char name[16];
    const char *subsystem;
    const char *state; /* "works", "waits for the lock", "should have woken up from waiting with" */
    const char *what;  /* a lock's name…; "" while it works */
    double seconds;    /* without progress, as far as was looked */
};
/* Looks at all, at the time now of clock_now(). Gives up to capacity of those without progress for
 * so many seconds; returns how many there are. */
size_t pulse_look(int64_t now, double seconds, struct pulse_report *reports, size_t capacity);

#endif
