/*
 * The manual and the samples say what the program does: every option and flag is documented with
 * its type, range and default, and nothing else is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/core/config_internal.h"
#include "cesid/memory.h"
#include "cesid/options.h"

#define LINES     4096
#define LINE_SIZE 512

struct page {
    char (*lines)[LINE_SIZE];
    size_t count;
};

static struct page read_page(const char *path)
{
    struct page page = {.lines = mem_array(LINES, LINE_SIZE)};
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("cannot open %s", path);
    while (page.count < LINES && fgets(page.lines[page.count], LINE_SIZE, file))
        page.lines[page.count][strcspn(page.lines[page.count], "\n")] = '\0', page.count++;
    assert_int_equal(fclose(file), 0);
    return page;
}

/* The line after the one that equals text; NULL when there is none. */
static const char *line_after(const struct page *page, const char *text)
{
    for (size_t i = 0; i + 1 < page->count; i++) {
        if (strcmp(page->lines[i], text) == 0)
            return page->lines[i + 1];
    }
    return NULL;
}

static bool is_required(const char *key)
{
    size_t count;
    const struct config_entry *entries = config_node_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].shown.key, key) == 0)
            return entries[i].required;
    }
    return false;
}

/* "Integer, 4 to 1024; default 64." */
static void describe(const struct config_option *option, char *line, size_t size)
{
    static const struct {
        const char *type, *word;
        bool quoted;
    } words[] = {{"string", "String", true},           {"secret", "Secret", true},
                 {"integer", "Integer", false},        {"number", "Number", false},
                 {"boolean", "Boolean", false},        {"strings", "List of strings", false},
                 {"labels", "Group of strings", false}};
    size_t i = 0;
    while (strcmp(words[i].type, option->type) != 0)
        assert_true(++i < ARRAY_LENGTH(words));
    const char *quote = words[i].quoted ? "\\(dq" : "", *comma = option->range[0] ? ", " : "";
    if (is_required(option->key))
        snprintf(line, size, "%s%s%s; required.", words[i].word, comma, option->range);
    else
        snprintf(line, size, "%s%s%s; default %s%s%s.", words[i].word, comma, option->range, quote,
                 option->default_text, quote);
}

static void every_option_is_in_the_manual(void **state)
{
    (void) state;
    struct page page = read_page("man/cesid.conf.5");
    size_t count;
    const struct config_option *options = config_options(&count);
    for (size_t i = 0; i < count; i++) {
        char item[LINE_SIZE], expected[LINE_SIZE];
        snprintf(item, sizeof(item), ".It Va %s", options[i].key);
        describe(&options[i], expected, sizeof(expected));
        const char *line = line_after(&page, item);
        if (!line || strcmp(line, expected) != 0)
            fail_msg("%s should be documented as '%s', not '%s'", options[i].key, expected,
                     line ? line : "(nothing)");
    }
    free(page.lines);
}

static void the_manual_has_no_other_option(void **state)
{
    (void) state;
    struct page page = read_page("man/cesid.conf.5");
    size_t count;
    const struct config_option *options = config_options(&count);
    for (size_t i = 0; i < page.count; i++) {
        const char *key = page.lines[i] + strlen(".It Va ");
        if (strncmp(page.lines[i], ".It Va ", strlen(".It Va ")) != 0 || !strchr(key, '.'))
            continue;
        bool known = false;
        for (size_t o = 0; o < count && !known; o++)
            known = strcmp(options[o].key, key) == 0;
        if (!known)
            fail_msg("%s is documented, but there is no such option", key);
    }
    free(page.lines);
}

/* "server.threads" for "    threads = 64;   # …" below "server:"; false for other lines. */
static bool sample_key(const char *line, char *group, char *key, char *value)
{
    char name[64];
    if (sscanf(line, "%63[a-z_]:", name) == 1 && line[strlen(name)] == ':') {
        snprintf(group, 64, "%s", name);
        return false;
    }
    if (sscanf(line, "    %63[a-z_] = %255[^;];", name, value) != 2)
        return false;
    snprintf(key, 128, "%s.%s", group, name);
    return true;
}

static void every_option_is_in_the_sample(void **state)
{
    (void) state;
    struct page page = read_page("conf/cesid.conf");
    size_t count;
    const struct config_option *options = config_options(&count);
    for (size_t i = 0; i < count; i++) {
        /* Nodes have a sample of their own, and of a secret's spellings only the file is shown. */
        size_t length = strlen(options[i].key);
        if (strncmp(options[i].key, "nodes.", 6) == 0 || strcmp(options[i].type, "secret") == 0 ||
            strcmp(options[i].key + length - 4, "_env") == 0)
            continue;
        bool quoted = strcmp(options[i].type, "string") == 0, found = false;
        char expected[256], group[64] = "", key[128], value[256];
        snprintf(expected, sizeof(expected), quoted ? "\"%s\"" : "%s", options[i].default_text);
        for (size_t l = 0; l < page.count && !found; l++)
            found = sample_key(page.lines[l], group, key, value) &&
                    strcmp(key, options[i].key) == 0 && strcmp(value, expected) == 0;
        if (!found)
            fail_msg("the sample does not have %s = %s", options[i].key, expected);
    }
    free(page.lines);
}

static void every_flag_is_in_the_manual_and_no_other(void **state)
{
    (void) state;
    struct page page = read_page("man/cesid.8");
    size_t count, documented = 0;
    const struct option_flag *flags = options_table(&count);
    for (size_t i = 0; i < count; i++) {
        char letter[16] = "", item[LINE_SIZE], synopsis[LINE_SIZE];
        if (flags[i].short_name)
            snprintf(letter, sizeof(letter), "Fl %c , ", flags[i].short_name);
        const char *argument = flags[i].argument ? flags[i].argument : "";
        snprintf(item, sizeof(item), ".It %sFl -%s%s%s", letter, flags[i].long_name,
                 argument[0] ? " Ar " : "", argument);
        if (flags[i].short_name)
            snprintf(synopsis, sizeof(synopsis), ".Op Fl %c%s%s", flags[i].short_name,
                     argument[0] ? " Ar " : "", argument);
        else
            snprintf(synopsis, sizeof(synopsis), ".Op Fl -%s%s%s", flags[i].long_name,
                     argument[0] ? " Ar " : "", argument);
        if (!line_after(&page, item) || !line_after(&page, synopsis))
            fail_msg("the manual lacks '%s' or '%s'", item, synopsis);
    }
    for (size_t i = 0; i < page.count; i++)
        documented += strncmp(page.lines[i], ".It Fl ", 7) == 0;
    assert_int_equal(documented, count);
    free(page.lines);
}

/* What the manual's section on reloading, and the contract, say in words. */
static void what_needs_a_restart_is_as_the_manual_says(void **state)
{
    (void) state;
    size_t count;
    const struct config_option *options = config_options(&count);
    for (size_t i = 0; i < count; i++) {
        const char *key = options[i].key;
        bool restart = strncmp(key, "server.", 7) == 0 || strncmp(key, "store.", 6) == 0 ||
                       strcmp(key, "websocket.clients") == 0 || strcmp(key, "refresh.threads") == 0;
        if (options[i].reloadable == restart)
            fail_msg("%s is %sreloadable", key, restart ? "" : "not ");
    }
    struct page page = read_page("man/cesid.conf.5");
    const char *const named[] = {".Va server ,", ".Va store ,", ".Va websocket.clients",
                                 ".Va refresh.threads ."};
    for (size_t i = 0; i < ARRAY_LENGTH(named); i++)
        assert_non_null(line_after(&page, named[i]));
    free(page.lines);
}

/* Keys are made of what libconfig and a shell take without quotes, and none appears twice. */
static void the_table_is_sound(void **state)
{
    (void) state;
    size_t count;
    const struct config_option *options = config_options(&count);
    assert_true(count > 60);
    for (size_t i = 0; i < count; i++) {
        for (const char *c = options[i].key; *c; c++)
            assert_true(islower((unsigned char) *c) || *c == '_' || *c == '.');
        for (size_t other = 0; other < i; other++)
            assert_string_not_equal(options[i].key, options[other].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_in_the_manual),
        cmocka_unit_test(the_manual_has_no_other_option),
        cmocka_unit_test(every_option_is_in_the_sample),
        cmocka_unit_test(every_flag_is_in_the_manual_and_no_other),
        cmocka_unit_test(what_needs_a_restart_is_as_the_manual_says),
        cmocka_unit_test(the_table_is_sound),
    };
    return cmocka_run_group_tests_name("manual", tests, NULL, NULL);
}
