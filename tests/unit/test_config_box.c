/*
 * The box that holds the configuration under many readers, and what differs between two of them.
 */
#include "config_house.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- the box ---- */

#define ROUNDS  400
#define READERS 4

struct story {
    struct config_box *box;
    atomic_bool stop;
    atomic_uint mixed, read;
};

/* Each version sets three keys to one number: whoever sees different ones saw a mixture. */
static void *reader(void *argument)
{
    struct story *story = argument;
    while (!atomic_load(&story->stop)) {
        struct config *config = config_get(story->box);
        int first = config->operations.parallelism;
        if (config->breaker.failures != first || config->auth.login_attempts != first ||
            config->nodes_count != 1 || strcmp(config->nodes[0].name, "n") != 0)
            atomic_fetch_add(&story->mixed, 1);
        atomic_fetch_add(&story->read, 1);
        config_unref(&config);
    }
    return NULL;
}

static struct config *load_version(int number)
{
    char text[256];
    snprintf(text, sizeof(text),
             "operations: { parallelism = %d; }; breaker: { failures = %d; };\n"
             "auth: { login_attempts = %d; }; nodes = ( { name = \"n\"; url = \"http://h\"; } );\n",
             number, number, number);
    return load_text(text);
}

static void a_reader_sees_the_old_or_the_new(void **state)
{
    (void) state;
    struct story story = {.box = config_box_create(load_version(1))};
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &story), 0);
    for (int i = 0; i < ROUNDS || atomic_load(&story.read) < ROUNDS; i++)
        config_put(story.box, load_version(1 + i % 1000));
    atomic_store(&story.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&story.mixed), 0);
    config_box_destroy(&story.box);
    assert_null(story.box);
    config_box_destroy(&story.box);
}

static const struct config_change *change_of(const struct config_change *changes, size_t count,
                                             const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(changes[i].key, key) == 0)
            return &changes[i];
    }
    return NULL;
}

/* One key of each kind that can be put back, and of those that take effect. */
static void what_needs_a_restart_stays_as_it_was(void **state)
{
    (void) state;
    struct config *old = load_text(
        "server: { threads = 8; listen = \"127.0.0.1:1\"; trusted_proxies = [ \"10.0.0.1\" ]; };\n"
        "store: { backend = \"mariadb\"; password = \"old\"; path = \"/old\"; };\n"
        "metrics: { token = \"old\"; };\n");
    struct config *next = load_text(
        "server: { threads = 9; listen = \"127.0.0.1:2\"; max_body = 2048; header_timeout = 7.5;\n"
        "  trusted_proxies = [ \"10.0.0.1\", \"10.0.0.2\" ]; allow_plaintext = true; };\n"
        "store: { password = \"new\"; path = \"/new\"; };\n"
        "auth: { lockout = 7.0; };\n"
        "websocket: { origins = [ \"https://a\" ]; };\n"
        "log: { level = \"debug\"; };\n"
        "metrics: { token = \"new\"; enabled = false; };\n");
    static const char *const back[] = {
        "server.threads",        "server.listen",          "server.max_body",
        "server.header_timeout", "server.trusted_proxies", "server.allow_plaintext",
        "store.backend",         "store.password",         "store.path"};
    static const char *const taken[] = {"auth.lockout", "websocket.origins", "log.level",
                                        "metrics.token", "metrics.enabled"};
    struct config_change *changes;
    size_t count = config_take_over(next, old, &changes);

    for (size_t i = 0; i < ARRAY_LENGTH(back); i++) {
        const struct config_change *change = change_of(changes, count, back[i]);
        if (!change || change->applies)
            fail_msg("%s should be named and wait", back[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
        const struct config_change *change = change_of(changes, count, taken[i]);
        if (!change || !change->applies)
            fail_msg("%s should be named and taken over", taken[i]);
    }
    assert_int_equal(count, ARRAY_LENGTH(back) + ARRAY_LENGTH(taken));
    free(changes);
    config_unref(&old); /* next owns what it took */
    assert_int_equal(next->server.threads, 8);
    assert_string_equal(next->server.listen, "127.0.0.1:1");
    assert_int_equal(next->server.max_body, 1048576);
    assert_true(next->server.header_timeout == 5.0);
    assert_int_equal(next->server.trusted_proxies.count, 1);
    assert_string_equal(next->server.trusted_proxies.items[0], "10.0.0.1");
    assert_false(next->server.allow_plaintext);
    assert_int_equal(next->store.backend, CONFIG_MARIADB);
    assert_string_equal(secret_reveal(next->store.password), "old");
    assert_string_equal(next->store.path, "/old");
    assert_true(next->auth.lockout == 7.0);
    assert_string_equal(secret_reveal(next->metrics.token), "new");
    config_unref(&next);
}

#define NODE_TEXT "nodes = ( { name = \"n\"; url = \"http://h:1/\"; %s } );\n"

static void nodes_are_compared_by_every_setting(void **state)
{
    (void) state;
    static const char *const others[] = {"environment = \"b\";",
                                         "username = \"v\"; password = \"x\";", "password = \"y\";",
                                         "enabled = false;", "labels = { r = \"w\"; };"};

    char text[256];

    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        const char *user = strstr(others[i], "username") ? "" : "username = \"u\";";
        char extra[128];
        snprintf(text, sizeof(text), NODE_TEXT, "username = \"u\"; password = \"x\";");
        struct config *one = load_text(text), *same = load_text(text);
        snprintf(extra, sizeof(extra), "%s%s%s", user, others[i],
                 strstr(others[i], "password") ? "" : " password = \"x\";");
        snprintf(text, sizeof(text), NODE_TEXT, extra);
        struct config *other = load_text(text);
        assert_true(config_node_equal(&one->nodes[0], &same->nodes[0]));
        if (config_node_equal(&one->nodes[0], &other->nodes[0]))
            fail_msg("%s makes no difference", others[i]);
        config_unref(&one);
        config_unref(&same);
        config_unref(&other);
    }
}

static void a_kept_reference_outlives_the_box(void **state)
{
    (void) state;
    struct config_box *box = config_box_create(load_version(7));
    struct config *kept = config_get(box);
    config_put(box, load_version(8));
    config_box_destroy(&box);
    assert_int_equal(kept->breaker.failures, 7);
    config_unref(&kept);
    config_unref(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "R4.2 a reader sees the old or the new configuration, never a mixture",
         .test_func = a_reader_sees_the_old_or_the_new},
        cmocka_unit_test(what_needs_a_restart_stays_as_it_was),
        cmocka_unit_test(nodes_are_compared_by_every_setting),
        cmocka_unit_test(a_kept_reference_outlives_the_box),
    };
    return cmocka_run_group_tests_name("config_box", tests, make_directory, remove_directory);
}
