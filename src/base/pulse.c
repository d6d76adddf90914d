/*
 * Signs of life. See pulse.h. Each pulse is written by its own thread and read by the one that
 * looks; all of it is atomic, and no order between the fields is needed: a count that moved is
 * progress, whatever else was read beside it.
 */
#include "cesid/pulse.h"

#include <stdatomic.h>
#include <stdio.h>

#include "cesid/check.h"
#include "cesid/clock.h"

#define PULSES_MAX 256

enum mode { MODE_FREE, MODE_WORK, MODE_BLOCK, MODE_WAIT };

struct pulse {
    _Atomic(int) mode;
    _Atomic(uint64_t) beats;
    _Atomic(const char *) what;
    _Atomic(int64_t) deadline;
    /* written before the mode leaves FREE */
    const char *subsystem;
    char name[16];

    /* owned by the thread that looks */
    uint64_t seen_beats;
    int64_t seen_at; /* 0: not yet */
};

static struct pulse pulses[PULSES_MAX];
static _Thread_local struct pulse *own;

static void set(enum mode mode, const char *what, int64_t deadline)
{
    struct pulse *pulse = own;

    if (pulse == NULL)
        return;
    atomic_store_explicit(&pulse->what, what, memory_order_relaxed);
    atomic_store_explicit(&pulse->deadline, deadline, memory_order_relaxed);
    atomic_store_explicit(&pulse->mode, mode, memory_order_relaxed);
    atomic_store_explicit(&pulse->beats,
                          atomic_load_explicit(&pulse->beats, memory_order_relaxed) + 1,
                          memory_order_release);
}

void pulse_begin(const char *subsystem, const char *name)
{
    static atomic_flag taking = ATOMIC_FLAG_INIT;

    CHECK(own == NULL);
    while (atomic_flag_test_and_set(&taking))
        ;
    for (size_t i = 0; i < PULSES_MAX && own == NULL; i++)
        if (atomic_load(&pulses[i].mode) == MODE_FREE)
            own = &pulses[i];
    if (own != NULL) {
        own->subsystem = subsystem;
        (void) snprintf(own->name, sizeof(own->name), "%s", name);
        atomic_store_explicit(&own->mode, MODE_WORK, memory_order_release);
        set(MODE_WORK, "", 0);
    }
    atomic_flag_clear(&taking);
}

void pulse_end(void)
{
    set(MODE_FREE, "", 0);
    own = NULL;
}

void pulse_wait(const char *what, int64_t deadline)
{
    set(MODE_WAIT, what, deadline);
}

void pulse_block(const char *what)
{
    set(MODE_BLOCK, what, 0);
}

void pulse_work(void)
{
    set(MODE_WORK, "", 0);
}

static const char *state_words(int mode)
{
    return mode == MODE_WORK    ? "works"
           : mode == MODE_BLOCK ? "waits for the lock"
                                : "should have woken up from waiting with";
}

/* Seconds without progress; 0: there is some, or none is needed. */
static double look(struct pulse *pulse, int64_t now, int *mode, int64_t *deadline)
{
    uint64_t beats = atomic_load_explicit(&pulse->beats, memory_order_acquire);

    *mode = atomic_load_explicit(&pulse->mode, memory_order_acquire);
    *deadline = atomic_load_explicit(&pulse->deadline, memory_order_relaxed);
    if (*mode == MODE_FREE || beats != pulse->seen_beats || pulse->seen_at == 0) {
        pulse->seen_beats = beats;
        pulse->seen_at = now;
        return 0;
    }
    if (*mode != MODE_WAIT)
        return (double) (now - pulse->seen_at) / CLOCK_SECOND;
    if (*deadline == CLOCK_NEVER || *deadline >= now)
        return 0;
    return (double) (now - (*deadline > pulse->seen_at ? *deadline : pulse->seen_at)) /
           CLOCK_SECOND;
}

size_t pulse_look(int64_t now, double seconds, struct pulse_report *reports, size_t capacity)
{
    size_t count = 0;

    for (size_t i = 0; i < PULSES_MAX; i++) {
        struct pulse *pulse = &pulses[i];
        int mode;
        int64_t deadline;
        double still = look(pulse, now, &mode, &deadline);

        if (still < seconds)
            continue;
        if (count < capacity) {
            struct pulse_report *report = &reports[count];

            (void) snprintf(report->name, sizeof(report->name), "%s", pulse->name);
            report->subsystem = pulse->subsystem;
            report->state = state_words(mode);
            report->what = atomic_load_explicit(&pulse->what, memory_order_relaxed);
            report->seconds = still;
        }
        count++;
    }
    return count;
}
