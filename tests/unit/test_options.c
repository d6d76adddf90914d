/*
 * The command line: what is understood, what is refused, and that usage and table agree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/options.h"

#define ARGUMENTS 8

static int parse(const char *const *arguments, struct options *options)
{
    char *argv[ARGUMENTS + 2] = {(char *) "cesid"};
    int argc = 1;
    while (argc <= ARGUMENTS && arguments[argc - 1]) {
        argv[argc] = (char *) arguments[argc - 1];
        argc++;
    }
    return options_parse(argc, argv, options);
}

/* What was printed on standard error meanwhile; caller frees. */
static char *parse_loudly(const char *const *arguments, int *error)
{
    struct options options;
    FILE *printed = tmpfile();
    assert_non_null(printed);
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    assert_true(kept >= 0 && dup2(fileno(printed), STDERR_FILENO) >= 0);
    *error = parse(arguments, &options);
    fflush(stderr);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    rewind(printed);
    char *text = calloc(1, 8192);
    assert_non_null(text);
    size_t length = fread(text, 1, 8191, printed);
    text[length] = '\0';
    assert_int_equal(fclose(printed), 0);
    return text;
}

static void nothing_gives_the_defaults(void **state)
{
    (void) state;
    struct options options;
    assert_int_equal(parse((const char *const[]){NULL}, &options), 0);
    assert_string_equal(options.config_file, "/etc/cesid/cesid.conf");
    assert_null(options.pidfile);
    assert_null(options.create_admin);
    assert_false(options.test || options.daemon || options.version || options.help);
    assert_false(options.log_level_set);
}

static void short_and_long_flags_mean_the_same(void **state)
{
    (void) state;
    static const char *const spellings[][ARGUMENTS] = {
        {"-c", "x.conf", "-d", "-p", "x.pid", "-l", "debug"},
        {"-cx.conf", "-dpx.pid", "-ldebug"},
        {"--config", "x.conf", "--daemon", "--pidfile", "x.pid", "--log-level", "debug"},
        {"--config=x.conf", "--daemon", "--pidfile=x.pid", "--log-level=debug"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(spellings); i++) {
        struct options options;
        assert_int_equal(parse(spellings[i], &options), 0);
        assert_string_equal(options.config_file, "x.conf");
        assert_string_equal(options.pidfile, "x.pid");
        assert_true(options.daemon && options.log_level_set);
        assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
    }
    struct options options;
    assert_int_equal(parse((const char *const[]){"-t", "-V", "-h", NULL}, &options), 0);
    assert_true(options.test && options.version && options.help);
    assert_int_equal(parse((const char *const[]){"--create-admin", "vera", NULL}, &options), 0);
    assert_string_equal(options.create_admin, "vera");
}

static void wrong_usage_is_told_with_its_reason(void **state)
{
    (void) state;
    static const struct {
        const char *arguments[ARGUMENTS];
        const char *reason;
    } cases[] = {
        {{"-x"}, "-x"},
        {{"--nonsense"}, "--nonsense"},
        {{"-c"}, "argument is missing for -c"},
        {{"--pidfile"}, "argument is missing for --pidfile"},
        {{"-c", ""}, "argument is empty"},
        {{"-l", "loud"}, "no such log level: loud"},
        {{"start"}, "unexpected argument: start"},
        {{"-t", "x.conf"}, "unexpected argument: x.conf"},
        {{"-t", "-d"}, "exclude each other"},
        {{"--create-admin", "vera", "-d"}, "exclude each other"},
        {{"--verify-activity", "-t"}, "exclude each other"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        int error;
        char *printed = parse_loudly(cases[i].arguments, &error);
        assert_int_equal(error, CESID_E_BAD_REQUEST);
        if (!strstr(printed, cases[i].reason) || !strstr(printed, "usage: cesid "))
            fail_msg("'%s' does not say '%s'", printed, cases[i].reason);
        free(printed);
    }
}

static void the_usage_shows_every_flag(void **state)
{
    (void) state;
    char text[8192] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    assert_non_null(out);
    options_usage(out);
    options_version(out);
    assert_int_equal(fclose(out), 0);
    size_t count;
    const struct option_flag *flags = options_table(&count);
    assert_int_equal(count, 9);
    for (size_t i = 0; i < count; i++) {
        char flag[64];
        snprintf(flag, sizeof(flag), "--%s", flags[i].long_name);
        assert_non_null(strstr(text, flag));
        assert_non_null(strstr(text, flags[i].meaning));
    }
    assert_non_null(strstr(text, "\ncesid "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gives_the_defaults),
        cmocka_unit_test(short_and_long_flags_mean_the_same),
        cmocka_unit_test(wrong_usage_is_told_with_its_reason),
        cmocka_unit_test(the_usage_shows_every_flag),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
