/*
 * The configuration: one option table (name, type, range, default, reloadable) and the immutable,
 * reference-counted snapshot read by it. A reader takes a reference for the length of its work and
 * sees one version of the file, whole. Durations are seconds. Strings are never NULL ("" is none).
 * Any thread; config_load reads files and is for main and reloads.
 */
#ifndef CESID_CONFIG_H
#define CESID_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/log.h"
#include "cesid/secret.h"
#include "cesid/strbuf.h"

struct config_strings {
    char **items;
    size_t count;
};

struct config_label {
    char *key;
    char *value;
};

/* One node of the file (or of the store, which fills the same struct). */
struct config_node {
    char *name;
    char *environment;
    char *url; /* http://, https:// or unix:// */
    char *username;
    struct secret *password; /* NULL: none */
    char *ca_file;
    bool verify; /* of the certificate; true unless written out */
    bool enabled;
    struct config_label *labels; /* sorted by key */
    size_t labels_count;
};

struct config_server {
    char *listen;    /* ADDRESS:PORT */
    char *base_path; /* "/" or "/path", without a slash at the end */
    char *public_url;
    int threads;
    int streams;
    char *state_dir;
    char *user;
    char *group;
    int64_t max_body;
    double header_timeout;
    double request_timeout;
    int connections_per_address;
    struct config_strings trusted_proxies;
    bool allow_plaintext;
};

enum config_backend { CONFIG_SQLITE, CONFIG_MARIADB };

struct config_store {
    enum config_backend backend;
    char *path;
    int pool;
    double acquire_timeout;
    double query_timeout;
    double transaction_timeout;
    double health_interval;
    char *host;
    int port;
    char *user;
    struct secret *password;
    char *database;
};

struct config_auth {
    double session_ttl;
    int login_attempts;
    double lockout;
};

struct config_refresh {
    double interval;
    int connections;
    int threads;
    int64_t answer_max;
    int processes_max;
};

struct config_timeouts {
    double connect, refresh, start, stop, restart, signal, log, config, batch, shutdown;
};

struct config_breaker {
    int failures;
    double open_min, open_max;
};

struct config_operations {
    int parallelism;
    int history;
};

struct config_websocket {
    int clients;
    int queue; /* messages a client */
    double ping_interval;
    double idle_timeout;
    int message_max; /* bytes */
    double rate;     /* messages a second */
    int burst;
    struct config_strings origins;
};

struct config_log {
    enum log_level level;
    enum log_format format;
    char *file;
};

struct config_activity {
    int retention_days;
};

struct config_metrics {
    bool enabled;
    struct secret *token; /* content of token_file; NULL: none */
    bool per_process;
    int max_series;
};

struct config {
    /* immutable */
    char *file;
    struct config_server server;
    struct config_store store;
    struct config_auth auth;
    struct config_refresh refresh;
    struct config_timeouts timeouts;
    struct config_breaker breaker;
    struct config_operations operations;
    struct config_websocket websocket;
    struct config_log log;
    struct config_activity activity;
    struct config_metrics metrics;
    struct config_node *nodes; /* sorted by name */
    size_t nodes_count;
};

struct config_problem {
    char *file;
    int line;  /* 0: the file as a whole */
    char *key; /* "server.threads", "nodes[2].url", "syntax", "@include"; "" for the file */
    char *message;
};

struct config_problems {
    struct config_problem *items;
    size_t count;
};

/* Reads and checks the whole file. 0 and one reference in *config, or CESID_E_VALIDATION_FAILED
 * and every problem found, in the order of the file; free them with config_problems_free. */
int config_load(const char *file, struct config **config,
                struct config_problems *problems) CESID_WARN_UNUSED;
void config_problems_free(struct config_problems *problems);
/* FILE:LINE: key: message, without a newline. */
void config_problem_print(struct strbuf *out, const struct config_problem *problem);

struct config *config_ref(struct config *config);
void config_unref(struct config **config);

/* What differs between two configurations, nodes left out: keys of the option table, a secret
 * without the suffix of its spelling. */
struct config_change {
    const char *key; /* lives for ever */
    bool applies;    /* else it needs a restart, and next has the old value again */
};
/* next must be the caller's alone. Returns how many there are; free *changes. */
size_t config_take_over(struct config *next, const struct config *old,
                        struct config_change **changes);
bool config_node_equal(const struct config_node *a, const struct config_node *b);

/* For whoever keeps nodes beside a configuration: a deep copy, and the freeing of what a node holds
 * (not of the struct; NULL members are fine). */
void config_node_copy(struct config_node *to, const struct config_node *from);
void config_node_clear(struct config_node *node);

/* The configuration in force. */
struct config_box;
struct config_box *config_box_create(struct config *config); /* takes over the reference */
void config_box_destroy(struct config_box **box);
struct config *config_get(struct config_box *box);              /* a new reference */
void config_put(struct config_box *box, struct config *config); /* takes over the reference */

/* Checks a node URL: 0, or CESID_E_VALIDATION_FAILED and a static sentence in *why. */
int config_check_url(const char *url, const char **why) CESID_WARN_UNUSED;

/* The option table, for manual, sample and tests: "server.threads", "64", "1 to 1024"… */
struct config_option {
    const char *key;
    const char *type; /* string, integer, number, boolean, strings, secret, labels */
    const char *default_text;
    const char *range; /* "" when there is none */
    bool reloadable;
};
const struct config_option *config_options(size_t *count);

#endif
