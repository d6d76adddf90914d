/*
 * What unit tests share: cmocka in the order that it wants its headers, names of tests that are
 * sentences, tests of what must abort, and waiting with a deadline. Assertions of cmocka jump, so
 * only the main thread may use them; other threads use CHECK.
 */
#ifndef CESID_TESTS_UNIT_H
#define CESID_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAMED(text, function)                                                                      \
    {                                                                                              \
        .name = text, .test_func = function                                                        \
    }

/* A new folder of the test's own. scripts/run-unit gives each run a TMPDIR and removes that,
 * whatever end a test comes to. */
static inline void temporary_folder(char *path, size_t size, const char *name)
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/cesid-%s-XXXXXX",
                          base != NULL && base[0] != '\0' ? base : "/tmp", name);

    assert_true(length > 0 && (size_t) length < size);
    assert_non_null(mkdtemp(path));
}

/* Real nanoseconds, whatever clock the test injected. */
static inline int64_t real_now(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        abort();
    return (int64_t) now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A moment's rest inside a loop that asks for a condition. */
static inline void rest(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    nanosleep(&moment, NULL);
}

/* Asks until the answer is yes, for ten seconds at most. */
static inline bool eventually(bool (*condition)(void *), void *argument)
{
    int64_t deadline = real_now() + INT64_C(10000000000);

    while (!condition(argument)) {
        if (real_now() > deadline)
            return false;
        rest();
    }
    return true;
}

/* What function wrote to standard error in a child, which ended with *status. */
static inline void run_in_child(void (*function)(void), char *output, size_t size, int *status)
{
    int ends[2];
    size_t length = 0;
    ssize_t got;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};

        signal(SIGABRT, SIG_DFL);
        if (setrlimit(RLIMIT_CORE, &none) != 0 || dup2(ends[1], STDERR_FILENO) < 0)
            _exit(99);
        close(ends[0]);
        close(ends[1]);
        alarm(60);
        function();
        _exit(0);
    }
    close(ends[1]);
    while (length + 1 < size && (got = read(ends[0], output + length, size - 1 - length)) > 0)
        length += (size_t) got;
    output[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, status, 0), child);
}

/* function must abort, after saying message. */
static inline void assert_aborts(void (*function)(void), const char *message)
{
    char output[4096];
    int status;

    run_in_child(function, output, sizeof(output), &status);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || strstr(output, message) == NULL)
        fail_msg("expected an abort with \"%s\", got status %#x with \"%s\"", message,
                 (unsigned) status, output);
}

#endif
