/*
 * From libconfig's tree to struct config: groups, nodes, and what only several keys together can
 * break. Nothing stops at the first problem.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cesid/memory.h"
#include "config_internal.h"

/* ---- did you mean ---- */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Edit distance; names longer than the row are never close. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length >= ARRAY_LENGTH(row) || b_length >= ARRAY_LENGTH(row))
        return SIZE_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

struct guess {
    const char *name; /* what was written */
    char best[CONFIG_KEY_SIZE];
    size_t best_distance;
};

static void guess_consider(struct guess *guess, const char *candidate)
{
    size_t far = distance(guess->name, candidate);
    size_t allowed = strlen(candidate) < 5 ? 1 : strlen(candidate) < 9 ? 2 : 3;
    if (far <= allowed && far < guess->best_distance) {
        guess->best_distance = far;
        snprintf(guess->best, sizeof(guess->best), "%s", candidate);
    }
}

static void report_unknown(struct config_source *source, const config_setting_t *setting,
                           const char *key, const char *what, const struct guess *guess)
{
    if (guess->best[0])
        config_report(source, config_line_of(setting), key, "unknown %s, did you mean %s?", what,
                      guess->best);
    else
        config_report(source, config_line_of(setting), key, "unknown %s", what);
}

/* ---- groups ---- */

static void read_setting(const struct config_target *target, config_setting_t *group,
                         config_setting_t *setting)
{
    /* Where a syntax error broke off before the value. */
    if (config_setting_type(setting) == CONFIG_TYPE_NONE)
        return;
    const char *name = config_setting_name(setting);
    char key[CONFIG_KEY_SIZE];
    config_print_key(key, "%s.%s", target->path, name);
    struct guess guess = {.name = name, .best_distance = SIZE_MAX};
    for (size_t i = 0; i < target->count; i++) {
        const struct config_entry *entry = &target->entries[i];
        const char *own = entry->shown.key + target->prefix;
        if (entry->kind != KIND_SECRET) {
            if (strcmp(own, name) == 0) {
                config_read_value(target, entry, setting, key);
                return;
            }
            guess_consider(&guess, own);
            continue;
        }
        for (int s = 0; s < CONFIG_SPELLINGS; s++) {
            char spelled[CONFIG_KEY_SIZE];
            config_print_key(spelled, "%s%s", own, config_suffixes[s]);
            if (strcmp(spelled, name) == 0) {
                config_check_spelling(target, group, setting, own, key);
                config_read_secret(target, entry, (enum config_spelling) s, setting, key);
                return;
            }
            guess_consider(&guess, spelled);
        }
    }
    report_unknown(target->source, setting, key, "key", &guess);
}

static void read_settings(const struct config_target *target, config_setting_t *group)
{
    int length = config_setting_length(group);
    for (int i = 0; i < length; i++)
        read_setting(target, group, config_setting_get_elem(group, (unsigned) i));
}

/* ---- nodes ---- */

static void check_missing(const struct config_target *target, config_setting_t *group)
{
    for (size_t i = 0; i < target->count; i++) {
        const struct config_entry *entry = &target->entries[i];
        const char *name = entry->shown.key + target->prefix;
        if (!entry->required || config_setting_get_member(group, name))
            continue;
        char key[CONFIG_KEY_SIZE];
        config_print_key(key, "%s.%s", target->path, name);
        config_report(target->source, config_line_of(group), key, "is missing");
    }
}

static int line_of_member(config_setting_t *group, const char *name)
{
    const config_setting_t *member = config_setting_get_member(group, name);
    return config_line_of(member ? member : group);
}

static void check_node(const struct config_target *target, config_setting_t *group)
{
    const struct config_node *node = target->base;
    char key[CONFIG_KEY_SIZE];
    bool https = strncmp(node->url, "https://", 8) == 0;
    if (node->url[0] && !https) {
        static const char *const only_tls[] = {"ca_file", "verify"};
        for (size_t i = 0; i < ARRAY_LENGTH(only_tls); i++) {
            if (i == 0 ? !node->ca_file[0] : node->verify)
                continue;
            config_print_key(key, "%s.%s", target->path, only_tls[i]);
            config_report(target->source, line_of_member(group, only_tls[i]), key,
                          "means something only with an https:// url");
        }
    }
    if (https && node->ca_file[0] && access(node->ca_file, R_OK) != 0) {
        config_print_key(key, "%s.ca_file", target->path);
        config_report(target->source, line_of_member(group, "ca_file"), key, "cannot read %s: %s",
                      node->ca_file, strerror(errno));
    }
    if (node->password && !node->username[0]) {
        config_print_key(key, "%s.username", target->path);
        config_report(target->source, config_line_of(group), key, "is missing beside a password");
    }
}

struct named_line {
    const char *name;
    int line;
    int index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named_line *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : (left->index > right->index) - (left->index < right->index);
}

static void check_duplicates(struct config_source *source, struct named_line *names, size_t count)
{
    qsort(names, count, sizeof(*names), compare_named);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (strcmp(names[first].name, names[i].name) != 0) {
            first = i;
            continue;
        }
        const struct config_file *file = config_source_file(source, names[first].line);
        char key[CONFIG_KEY_SIZE];
        config_print_key(key, "nodes[%d].name", names[i].index);
        config_report(source, names[i].line, key, "%s is already the name of the node at %s:%d",
                      names[i].name, file->path, source->places[names[first].line - 1].line);
    }
}

static int compare_nodes(const void *a, const void *b)
{
    return strcmp(((const struct config_node *) a)->name, ((const struct config_node *) b)->name);
}

static void read_nodes(struct config_source *source, config_setting_t *list, struct config *config,
                       bool partial)
{
    int type = config_setting_type(list), length = config_setting_length(list);
    if (type != CONFIG_TYPE_LIST && !(type == CONFIG_TYPE_ARRAY && length == 0)) {
        config_report(source, config_line_of(list), "nodes",
                      "must be a list of groups: ( { name = \"…\"; url = \"…\"; }, … )");
        return;
    }
    config->nodes = mem_array((size_t) length, sizeof(*config->nodes));
    struct named_line *names = mem_array((size_t) length, sizeof(*names));
    size_t named = 0;
    for (int i = 0; i < length; i++) {
        config_setting_t *group = config_setting_get_elem(list, (unsigned) i);
        char path[CONFIG_KEY_SIZE];
        config_print_key(path, "nodes[%d]", i);
        if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
            config_report(source, config_line_of(group), path,
                          "must be a group: { name = \"…\"; … }");
            continue;
        }
        struct config_node *node = &config->nodes[config->nodes_count++];
        config_node_set_defaults(node);
        struct config_target target = {.source = source,
                                       .base = node,
                                       .prefix = strlen("nodes."),
                                       .path = path,
                                       .reads_secrets = true};
        target.entries = config_node_table(&target.count);
        read_settings(&target, group);
        if (!partial) {
            check_missing(&target, group);
            check_node(&target, group);
        }
        if (node->name[0])
            names[named++] = (struct named_line){
                .name = node->name, .line = line_of_member(group, "name"), .index = i};
    }
    check_duplicates(source, names, named);
    free(names);
    qsort(config->nodes, config->nodes_count, sizeof(*config->nodes), compare_nodes);
}

/* ---- the whole ---- */

/* Length of "server" in "server.listen". */
static size_t group_length(const struct config_entry *entry)
{
    return strcspn(entry->shown.key, ".");
}

/* The stretch of the table that belongs to a group; false when there is none. */
static bool find_group(const char *name, const struct config_entry **entries, size_t *count)
{
    size_t all;
    const struct config_entry *table = config_table(&all);
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        size_t length = group_length(&table[i]);
        if (strlen(name) != length || strncmp(table[i].shown.key, name, length) != 0)
            continue;
        if (*count == 0)
            *entries = &table[i];
        ++*count;
    }
    return *count > 0;
}

static void guess_group(struct guess *guess)
{
    size_t all;
    const struct config_entry *table = config_table(&all);
    for (size_t i = 0; i < all; i++) {
        char group[CONFIG_KEY_SIZE];
        config_print_key(group, "%.*s", (int) group_length(&table[i]), table[i].shown.key);
        guess_consider(guess, group);
    }
    guess_consider(guess, "nodes");
}

static bool uses_mariadb(config_setting_t *store)
{
    const config_setting_t *backend = config_setting_get_member(store, "backend");
    const char *text = backend ? config_setting_get_string(backend) : NULL;
    return text && strcmp(text, "mariadb") == 0;
}

void config_read_tree(struct config_source *source, config_setting_t *root, struct config *config,
                      bool partial)
{
    int length = config_setting_length(root);
    for (int i = 0; i < length; i++) {
        config_setting_t *setting = config_setting_get_elem(root, (unsigned) i);
        if (config_setting_type(setting) == CONFIG_TYPE_NONE)
            continue;
        const char *name = config_setting_name(setting);
        struct config_target target = {.source = source, .base = config, .path = name};
        if (strcmp(name, "nodes") == 0) {
            read_nodes(source, setting, config, partial);
        } else if (!find_group(name, &target.entries, &target.count)) {
            struct guess guess = {.name = name, .best_distance = SIZE_MAX};
            guess_group(&guess);
            report_unknown(source, setting, name, "group", &guess);
        } else if (config_setting_type(setting) != CONFIG_TYPE_GROUP) {
            config_report(source, config_line_of(setting), name, "must be a group: %s: { … };",
                          name);
        } else {
            target.prefix = strlen(name) + 1;
            target.reads_secrets = strcmp(name, "store") != 0 || uses_mariadb(setting);
            read_settings(&target, setting);
        }
    }
}

static int line_of_key(config_setting_t *root, const char *path)
{
    const config_setting_t *setting = config_setting_lookup(root, path);
    return setting ? config_line_of(setting) : 0;
}

/* The line of the later of two keys, whichever the file has. */
static int later_line(config_setting_t *root, const char *a, const char *b)
{
    int left = line_of_key(root, a), right = line_of_key(root, b);
    return left > right ? left : right;
}

void config_check_relations(struct config_source *source, config_setting_t *root,
                            const struct config *config)
{
    if (config->breaker.open_min > config->breaker.open_max)
        config_report(source, later_line(root, "breaker.open_min", "breaker.open_max"),
                      "breaker.open_max", "must not be less than breaker.open_min (%g)",
                      config->breaker.open_min);
    if (config->websocket.ping_interval >= config->websocket.idle_timeout)
        config_report(source, later_line(root, "websocket.ping_interval", "websocket.idle_timeout"),
                      "websocket.idle_timeout",
                      "must be more than websocket.ping_interval (%g), or every quiet client is "
                      "closed",
                      config->websocket.ping_interval);
    if (config->server.threads + config->websocket.clients > 16384)
        config_report(source, later_line(root, "server.threads", "websocket.clients"),
                      "websocket.clients",
                      "each client holds a thread: with server.threads (%d) at most 16384 together",
                      config->server.threads);
    if (!config->server.allow_plaintext && !config_listen_is_loopback(config->server.listen))
        config_report(source, line_of_key(root, "server.listen"), "server.listen",
                      "is not a loopback address: cesid speaks plain HTTP, so put a proxy with TLS "
                      "before it, or set server.allow_plaintext = true");
    if (config->server.group[0] && !config->server.user[0])
        config_report(source, line_of_key(root, "server.group"), "server.group",
                      "means something only with server.user");
}
