/*
 * Threads: created here only, so that each is named (15 characters show in ps), counted for its
 * subsystem, and joined by who started it. Started with the signal mask that main set (all
 * blocked). Nothing is ever cancelled from outside: the owner sets its stop flag, wakes, joins.
 */
#ifndef CESID_THREAD_H
#define CESID_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "cesid/check.h"

struct thread {
    pthread_t handle;
    bool started;
};

struct thread_count {
    const char *subsystem;
    size_t threads;
};

/* subsystem must be a string that lives for ever ("rpc", "hub"); name is copied. 0, or
 * CESID_E_INTERNAL (logged) when the system has no thread left. */
int thread_start(struct thread *thread, const char *subsystem, const char *name,
                 void (*run)(void *), void *argument) CESID_WARN_UNUSED;
void thread_join(struct thread *thread); /* nothing when it was not started */

/* For threads that a library makes (CivetWeb's workers): call in the thread, at start and end. */
void thread_adopt(const char *subsystem);
void thread_leave(const char *subsystem);

/* Copies up to capacity counts; returns how many there are. */
size_t thread_counts(struct thread_count *counts, size_t capacity);

#endif
