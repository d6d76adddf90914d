/*
 * The command line. Main only, before any thread.
 */
#ifndef CESID_OPTIONS_H
#define CESID_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cesid/check.h"
#include "cesid/log.h"

#define OPTIONS_CONFIG_FILE "/etc/cesid/cesid.conf"

struct options {
    const char *config_file;  /* never NULL; strings are argv's */
    const char *pidfile;      /* NULL: none */
    const char *create_admin; /* NULL: not asked for */
    enum log_level log_level;
    bool log_level_set;
    bool test;
    bool daemon;
    bool verify_activity;
    bool version;
    bool help;
};

/* 0, or CESID_E_BAD_REQUEST with the reason and the usage on standard error: exit with 2. */
int options_parse(int argc, char **argv, struct options *options) CESID_WARN_UNUSED;
void options_usage(FILE *out);
void options_version(FILE *out); /* one line: name, version, revision */

/* What is understood, for the manual's test. */
struct option_flag {
    char short_name;       /* 0: none */
    const char *long_name; /* without its dashes */
    const char *argument;  /* "FILE"; NULL: takes none */
    const char *meaning;
};
const struct option_flag *options_table(size_t *count);

#endif
