/*
 * Threads: started, named, counted and joined in one place. The table of counts is guarded by its
 * own lock; the number of subsystems is small and fixed in the code.
 */
#include "cesid/thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/pulse.h"

#define SUBSYSTEMS_MAX 64

static struct lock table_lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_THREADS};
/* guarded by table_lock */
static struct thread_count table[SUBSYSTEMS_MAX];
static size_t table_count;

struct start {
    const char *subsystem;
    char name[16];
    void (*run)(void *argument);
    void *argument;
};

static struct thread_count *row_locked(const char *subsystem)
{
    lock_assert_held(&table_lock);
    for (size_t i = 0; i < table_count; i++)
        if (strcmp(table[i].subsystem, subsystem) == 0)
            return &table[i];
    CHECK(table_count < SUBSYSTEMS_MAX);
    table[table_count].subsystem = subsystem;
    return &table[table_count++];
}

void thread_adopt(const char *subsystem)
{
    lock_acquire(&table_lock);
    row_locked(subsystem)->threads++;
    lock_release(&table_lock);
}

void thread_leave(const char *subsystem)
{
    struct thread_count *row;

    lock_acquire(&table_lock);
    row = row_locked(subsystem);
    CHECK(row->threads > 0);
    row->threads--;
    lock_release(&table_lock);
}

static void *enter(void *argument)
{
    struct start start = *(struct start *) argument;

    free(argument);
    pthread_setname_np(pthread_self(), start.name);
    pulse_begin(start.subsystem, start.name);
    start.run(start.argument);
    pulse_end();
    lock_assert_none_held();
    thread_leave(start.subsystem);
    return NULL;
}

int thread_start(struct thread *thread, const char *subsystem, const char *name,
                 void (*run)(void *), void *argument)
{
    struct start *start = mem_alloc(sizeof(*start));
    int error;

    start->subsystem = subsystem;
    snprintf(start->name, sizeof(start->name), "%s", name);
    start->run = run;
    start->argument = argument;
    thread_adopt(subsystem);
    error = pthread_create(&thread->handle, NULL, enter, start);
    thread->started = error == 0;
    if (error != 0) {
        thread_leave(subsystem);
        free(start);
        log_error("base", "cannot start a thread", log_s("thread", name), log_i("errno", error));
        return CESID_E_INTERNAL;
    }
    return CESID_OK;
}

void thread_join(struct thread *thread)
{
    if (!thread->started)
        return;
    CHECK(pthread_join(thread->handle, NULL) == 0);
    thread->started = false;
}

size_t thread_counts(struct thread_count *counts, size_t capacity)
{
    size_t count;

    lock_acquire(&table_lock);
    count = table_count;
    for (size_t i = 0; i < count && i < capacity; i++)
        counts[i] = table[i];
    lock_release(&table_lock);
    return count;
}
