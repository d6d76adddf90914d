/*
 * The command line, by one table: what getopt_long is told, the usage and the manual's test come
 * from it. Main only, before any thread; no locks.
 */
#include "cesid/options.h"

#include <getopt.h>
#include <string.h>

#include "cesid/error.h"
#include "version.h"

static const struct option_flag flags[] = {
    {'c', "config", "FILE", "read FILE instead of " OPTIONS_CONFIG_FILE},
    {'t', "test", NULL, "check the configuration, print every problem, start nothing"},
    {'d', "daemon", NULL, "run in the background"},
    {'p', "pidfile", "FILE", "write and lock a pid file"},
    {'l', "log-level", "LEVEL", "debug, info, warning or error; wins over the configuration"},
    {0, "create-admin", "NAME", "create or reset an administrator, password from standard input"},
    {0, "verify-activity", NULL, "check the activity record's chain, print the first break"},
    {'V', "version", NULL, "print the version"},
    {'h', "help", NULL, "print this"},
};

/* What getopt_long answers for a flag without a letter: beyond every letter. */
#define LONG_ONLY 256

const struct option_flag *options_table(size_t *count)
{
    *count = ARRAY_LENGTH(flags);
    return flags;
}

void options_usage(FILE *out)
{
    fprintf(out, "usage: cesid [-c FILE] [-t] [-d] [-p PIDFILE] [-l LEVEL] [--create-admin NAME] "
                 "[--verify-activity] [-V] [-h]\n");
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        char letter[] = "    ", name[48];
        if (flags[i].short_name)
            snprintf(letter, sizeof(letter), "-%c, ", flags[i].short_name);
        snprintf(name, sizeof(name), "--%s%s%s", flags[i].long_name, flags[i].argument ? " " : "",
                 flags[i].argument ? flags[i].argument : "");
        fprintf(out, "  %s%-21s %s\n", letter, name, flags[i].meaning);
    }
}

void options_version(FILE *out)
{
    fprintf(out, "cesid %s (%s)\n", CESID_VERSION, CESID_REVISION);
}

static int wrong(const char *sentence, const char *what)
{
    fprintf(stderr, "cesid: %s%s\n", sentence, what);
    options_usage(stderr);
    return CESID_E_BAD_REQUEST;
}

static void describe(struct option longs[], char *shorts)
{
    /* '+': what is no flag ends them, so that it is refused. ':': missing arguments are told apart.
     */
    *shorts++ = '+';
    *shorts++ = ':';
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        longs[i] = (struct option){
            .name = flags[i].long_name,
            .has_arg = flags[i].argument ? required_argument : no_argument,
            .val = flags[i].short_name ? flags[i].short_name : LONG_ONLY + (int) i,
        };
        if (!flags[i].short_name)
            continue;
        *shorts++ = flags[i].short_name;
        if (flags[i].argument)
            *shorts++ = ':';
    }
    *shorts = '\0';
}

static int set_log_level(struct options *options, const char *text)
{
    if (!log_level_parse(text, &options->log_level))
        return wrong("no such log level: ", text);
    options->log_level_set = true;
    return 0;
}

int options_parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.config_file = OPTIONS_CONFIG_FILE};
    struct option longs[ARRAY_LENGTH(flags) + 1] = {0};
    char shorts[ARRAY_LENGTH(flags) * 2 + 3];
    describe(longs, shorts);

    int found;
    optind = 0; /* glibc: start anew, also when called twice */
    opterr = 0;
    while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (optarg && !optarg[0])
            return wrong("an argument is empty", "");
        switch (found) {
        case 'c':
            options->config_file = optarg;
            break;
        case 't':
            options->test = true;
            break;
        case 'd':
            options->daemon = true;
            break;
        case 'p':
            options->pidfile = optarg;
            break;
        case 'l':
            if (set_log_level(options, optarg))
                return CESID_E_BAD_REQUEST;
            break;
        case 'V':
            options->version = true;
            break;
        case 'h':
            options->help = true;
            break;
        case ':':
            return wrong("an argument is missing for ", argv[optind - 1]);
        case '?':
            return wrong("unknown or ambiguous flag: ", argv[optind - 1]);
        default:
            if (strcmp(flags[found - LONG_ONLY].long_name, "verify-activity") == 0) {
                options->verify_activity = true;
                break;
            }
            CHECK(strcmp(flags[found - LONG_ONLY].long_name, "create-admin") == 0);
            options->create_admin = optarg;
        }
    }
    if (optind < argc)
        return wrong("unexpected argument: ", argv[optind]);
    if (options->test + options->daemon + (options->create_admin != NULL) +
            options->verify_activity >
        1)
        return wrong("--test, --daemon, --create-admin and --verify-activity exclude each other",
                     "");
    return 0;
}
