/*
 * What the files of the configuration share among themselves: the option table, the text that was
 * read with the place of each of its lines, and the collector of problems. Owned by the thread that
 * runs config_load; no locks.
 */
#ifndef CESID_CONFIG_INTERNAL_H
#define CESID_CONFIG_INTERNAL_H

#include <libconfig.h>
#include <stdio.h>

#include "cesid/config.h"

enum config_kind {
    KIND_STRING,
    KIND_PATH, /* a relative one starts at the directory of the file that names it */
    KIND_INTEGER,
    KIND_INTEGER64,
    KIND_NUMBER,
    KIND_BOOLEAN,
    KIND_STRINGS,
    KIND_CHOICE, /* one of a list of words, stored as an enum */
    KIND_SECRET, /* three spellings: KEY, KEY_file, KEY_env */
    KIND_LABELS
};

struct config_choice {
    const char *word;
    int value;
};

/* One line of the table; `shown` is what config_options() gives away. */
struct config_entry {
    struct config_option shown;
    enum config_kind kind;
    size_t offset; /* of the value in struct config, or in struct config_node */
    double low, high;
    const struct config_choice *choices;
    bool required;
    bool only_with_mariadb;                    /* a secret that is not read with another backend */
    int (*check)(const char *, const char **); /* of the format of a string, or of each of many */
};

const struct config_entry *config_table(size_t *count);
const struct config_entry *config_node_table(size_t *count);

/* ---- problems ---- */

struct found_problem {
    int line; /* of the expanded text; 0: see file and file_line */
    int file_line;
    char *file;
    char *key;
    char *message;
};

/* One file that was read. */
struct config_file {
    char *path;      /* as it is shown */
    char *directory; /* what its relative paths start from; absolute */
    bool others_read;
};

struct config_place {
    size_t file; /* index in files */
    int line;
};

/* All files as one text, includes put in their places. */
struct config_source {
    struct strbuf text;
    struct config_file *files;
    size_t files_count;
    struct config_place *places; /* of each line of text; line n is places[n - 1] */
    size_t places_count, places_capacity;
    size_t newlines; /* in text */
    bool broken;     /* the text ends where a string or comment began that never ends */
    struct found_problem *found;
    size_t found_count, found_capacity;
};

/* Reads path and what it includes. Problems are collected; what could be read is in the text. */
void config_source_read(struct config_source *source, const char *path);
void config_source_free(struct config_source *source);
const struct config_file *config_source_file(const struct config_source *source, int line);
/* A problem at a line of the text. */
void config_report(struct config_source *source, int line, const char *key, const char *format, ...)
    CESID_PRINTF(4, 5);
/* A problem of a file, before it has a line in the text. file_line 0: as a whole. */
void config_report_file(struct config_source *source, const char *file, int file_line,
                        const char *key, const char *format, ...) CESID_PRINTF(5, 6);

/* False after an error, which is reported; the text then ends, well-formed, before it. */
bool config_check_syntax(struct config_source *source);

/* ---- reading and checking ---- */

#define CONFIG_KEY_SIZE     256
#define CONFIG_STRING_LIMIT 4096

/* Where the values of some entries of a table go. */
struct config_target {
    struct config_source *source;
    void *base; /* struct config or struct config_node */
    const struct config_entry *entries;
    size_t count;
    size_t prefix;      /* of the entries' keys, which the settings leave out: strlen("nodes.") */
    const char *path;   /* what stands before the name in messages: "nodes[2]" */
    bool reads_secrets; /* else only their spelling is checked */
};

enum config_spelling {
    CONFIG_SPELLED_HERE,
    CONFIG_SPELLED_FILE,
    CONFIG_SPELLED_ENV,
    CONFIG_SPELLINGS
};
extern const char *const config_suffixes[CONFIG_SPELLINGS];

/* Names in a file have any length; a key in a message does not. */
void config_print_key(char key[CONFIG_KEY_SIZE], const char *format, ...) CESID_PRINTF(2, 3);
int config_line_of(const config_setting_t *setting);
void *config_slot(const struct config_target *target, const struct config_entry *entry);
/* NULL with a reported problem; else borrowed from the setting. */
const char *config_read_text(const struct config_target *target, const config_setting_t *setting,
                             const char *key);
/* Any kind but KIND_SECRET. */
void config_read_value(const struct config_target *target, const struct config_entry *entry,
                       config_setting_t *setting, const char *key);
void config_read_secret(const struct config_target *target, const struct config_entry *entry,
                        enum config_spelling spelling, const config_setting_t *setting,
                        const char *key);
/* Reports a second spelling of the secret that base names. */
void config_check_spelling(const struct config_target *target, config_setting_t *group,
                           const config_setting_t *setting, const char *base, const char *key);

/* Fills config (which has its defaults) from the tree. partial: the text broke off at a syntax
 * error, so nothing is missing. */
void config_read_tree(struct config_source *source, config_setting_t *root, struct config *config,
                      bool partial);
void config_set_defaults(struct config *config);
/* Frees what the entry's value in base owns; it must be written anew before anybody reads it. */
void config_free_value(void *base, const struct config_entry *entry);
void config_node_set_defaults(struct config_node *node);
/* What only several keys together can break. */
void config_check_relations(struct config_source *source, config_setting_t *root,
                            const struct config *config);

char *config_resolve_path(const struct config_file *file, const char *path);

/* Formats: 0, or CESID_E_VALIDATION_FAILED and a static sentence in *why. */
int config_check_listen(const char *value, const char **why);
int config_check_base_path(const char *value, const char **why);
int config_check_public_url(const char *value, const char **why);
int config_check_origin(const char *value, const char **why);
int config_check_network(const char *value, const char **why);
int config_check_name(const char *value, const char **why);
int config_check_username(const char *value, const char **why);
int config_check_user(const char *value, const char **why);
int config_check_group(const char *value, const char **why);
int config_check_not_empty(const char *value, const char **why);
bool config_listen_is_loopback(const char *listen);

#endif
