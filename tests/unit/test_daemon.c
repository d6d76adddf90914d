/*
 * Running in the background: the parent exits with what the child reports. And the pid file: one
 * holder, named to the second, removed at the end, taken over from the dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cesid/daemon.h"
#include "cesid/error.h"
#include "cesid/log.h"

static char directory[64], pid_path[96], log_path[96];

static int make_directory(void **state)
{
    (void) state;
    snprintf(directory, sizeof(directory), "/tmp/cesid-daemon-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(pid_path, sizeof(pid_path), "%s/cesid.pid", directory);
    snprintf(log_path, sizeof(log_path), "%s/cesid.log", directory);
    return log_open(log_path, LOG_FORMAT_TEXT);
}

static int remove_directory(void **state)
{
    (void) state;
    log_close();
    unlink(pid_path);
    unlink(log_path);
    return rmdir(directory);
}

static void read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    assert_int_equal(fclose(file), 0);
}

/* ---- the background ---- */

enum ending { REPORTS_SUCCESS, REPORTS_FAILURE, DIES };

struct seen {
    char cwd_before, cwd_after; /* whether it was / */
    char null_streams;
    char session;
    mode_t mask;
};

static bool is_null_device(int fd)
{
    struct stat status, null;
    return fstat(fd, &status) == 0 && stat("/dev/null", &null) == 0 &&
           status.st_rdev == null.st_rdev;
}

static bool is_in_root(void)
{
    char path[256];
    return getcwd(path, sizeof(path)) && strcmp(path, "/") == 0;
}

/* The process that becomes parent and child. Never returns. */
_Noreturn static void run_background(enum ending ending, int tell)
{
    int fd = -1;
    if (daemon_fork(&fd) != 0)
        _exit(99);
    struct seen seen = {.cwd_before = is_in_root(), .session = getsid(0) == getpid()};
    seen.mask = umask(0);
    if (ending == REPORTS_SUCCESS)
        daemon_report(&fd, 0);
    else if (ending == REPORTS_FAILURE)
        daemon_report(&fd, 1);
    seen.cwd_after = is_in_root();
    seen.null_streams = is_null_device(0) && is_null_device(1) && is_null_device(2);
    ssize_t n = write(tell, &seen, sizeof(seen));
    _exit(n == sizeof(seen) ? 0 : 98);
}

static int exit_status_of(enum ending ending, struct seen *seen)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        close(ends[0]);
        run_background(ending, ends[1]);
    }
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(parent, &status, 0), parent);
    assert_true(WIFEXITED(status));
    assert_int_equal(read(ends[0], seen, sizeof(*seen)), sizeof(*seen));
    close(ends[0]);
    return WEXITSTATUS(status);
}

static void the_parent_exits_with_the_childs_result(void **state)
{
    (void) state;
    struct seen seen;
    assert_int_equal(exit_status_of(REPORTS_SUCCESS, &seen), 0);
    assert_true(seen.session && seen.cwd_after && seen.null_streams && !seen.cwd_before);
    assert_int_equal(seen.mask, 027);
    assert_int_equal(exit_status_of(REPORTS_FAILURE, &seen), 1);
    assert_false(seen.cwd_after || seen.null_streams);
    assert_int_equal(exit_status_of(DIES, &seen), 1);
}

static void a_report_without_a_parent_does_nothing(void **state)
{
    (void) state;
    int fd = -1;
    daemon_report(&fd, 0);
    assert_false(is_in_root());
}

/* ---- the pid file ---- */

static void the_pid_file_has_one_holder(void **state)
{
    (void) state;
    struct pidfile *first, *second;
    assert_int_equal(pidfile_open(pid_path, &first), 0);
    char text[4096], expected[64];
    read_text(pid_path, text, sizeof(text));
    snprintf(expected, sizeof(expected), "%ld\n", (long) getpid());
    assert_string_equal(text, expected);

    assert_int_equal(pidfile_open(pid_path, &second), CESID_E_CONFLICT);
    assert_null(second);
    read_text(log_path, text, sizeof(text));
    snprintf(expected, sizeof(expected), "pid=%ld", (long) getpid());
    assert_non_null(strstr(text, expected));

    pidfile_close(&first);
    assert_null(first);
    assert_int_equal(access(pid_path, F_OK), -1);
    assert_int_equal(pidfile_open(pid_path, &second), 0);
    pidfile_close(&second);
    pidfile_close(&second);
}

static void what_a_dead_process_left_is_taken_over(void **state)
{
    (void) state;
    FILE *file = fopen(pid_path, "w");
    assert_non_null(file);
    fputs("99999999999\nand more that is longer than a pid\n", file);
    assert_int_equal(fclose(file), 0);
    struct pidfile *pidfile;
    assert_int_equal(pidfile_open(pid_path, &pidfile), 0);
    char text[256], expected[64];
    read_text(pid_path, text, sizeof(text));
    snprintf(expected, sizeof(expected), "%ld\n", (long) getpid());
    assert_string_equal(text, expected);
    pidfile_close(&pidfile);
}

static void a_relative_pid_file_is_removed_from_elsewhere(void **state)
{
    (void) state;
    char before[512];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(directory), 0);
    struct pidfile *pidfile;
    assert_int_equal(pidfile_open("cesid.pid", &pidfile), 0);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(access(pid_path, F_OK), 0);
    pidfile_close(&pidfile);
    assert_int_equal(access(pid_path, F_OK), -1);
}

static void a_pid_file_that_cannot_be_is_an_error(void **state)
{
    (void) state;
    struct pidfile *pidfile;
    char path[160];
    snprintf(path, sizeof(path), "%s/no/such/cesid.pid", directory);
    assert_int_equal(pidfile_open(path, &pidfile), CESID_E_INTERNAL);
    assert_int_equal(pidfile_open(directory, &pidfile), CESID_E_INTERNAL);
    /* Not through a link, which somebody else may have put there. */
    assert_int_equal(symlink(log_path, pid_path), 0);
    assert_int_equal(pidfile_open(pid_path, &pidfile), CESID_E_INTERNAL);
    assert_int_equal(unlink(pid_path), 0);
    assert_null(pidfile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parent_exits_with_the_childs_result),
        cmocka_unit_test(a_report_without_a_parent_does_nothing),
        cmocka_unit_test(the_pid_file_has_one_holder),
        cmocka_unit_test(what_a_dead_process_left_is_taken_over),
        cmocka_unit_test(a_relative_pid_file_is_removed_from_elsewhere),
        cmocka_unit_test(a_pid_file_that_cannot_be_is_an_error),
    };
    return cmocka_run_group_tests_name("daemon", tests, make_directory, remove_directory);
}
