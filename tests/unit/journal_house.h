/*
 * A journal on a store that can be taken away and given back, and what is looked up in it.
 */
#ifndef CESID_TESTS_JOURNAL_HOUSE_H
#define CESID_TESTS_JOURNAL_HOUSE_H

#include "store_house.h"

#include "cesid/journal.h"
#include "cesid/log.h"

struct scene {
    struct fixture *f;
    struct config_box *config;
    struct journal *journal;
    struct access *everywhere;
    sqlite3 *lock; /* holds the database while the store is away */
    struct rlimit files;
};

static inline void start_journal(struct scene *scene)
{
    struct strbuf why;

    strbuf_init(&why, 1000);
    if (journal_create(scene->config, scene->f->store, NULL, &scene->journal, &why) != CESID_OK)
        fail_msg("%s", why.data);
    strbuf_destroy(&why);
    assert_int_equal(journal_start(scene->journal), CESID_OK);
}

static inline void stop_journal(struct scene *scene)
{
    journal_stop(scene->journal);
    journal_destroy(&scene->journal);
}

static inline void again(struct scene *scene)
{
    stop_journal(scene);
    start_journal(scene);
}

/* A copy of the fixture's configuration that a box may own: only what the journal reads. */
static inline struct config_box *make_box(struct fixture *f)
{
    struct config_problems problems;
    struct config *config = NULL;
    char path[96];
    FILE *file;

    (void) snprintf(path, sizeof(path), "%s/cesid.conf", f->directory);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "server: { state_dir = \"%s\"; };\n", f->directory);
    (void) fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(config_load(path, &config, &problems), CESID_OK);
    config_problems_free(&problems);
    return config_box_create(config);
}

static inline int set_up(void **state, struct mariadb_server *on)
{
    const struct access_binding all = {"*", ACTIVITY_READ};
    struct scene *scene = calloc(1, sizeof(*scene));
    void *fixture;

    log_set_level(NULL, LOG_LEVEL_ERROR);
    make_fixture(&fixture, on);
    scene->f = fixture;
    must_open(scene->f);
    scene->config = make_box(scene->f);
    scene->everywhere = access_create(&all, 1);
    start_journal(scene);
    *state = scene;
    return 0;
}

static inline int on_sqlite(void **state)
{
    return set_up(state, NULL);
}

static inline int on_mariadb(void **state)
{
    return set_up(state, &server);
}

static inline int clear(void **state)
{
    struct scene *scene = *state;
    void *fixture = scene->f;

    if (scene->journal != NULL)
        stop_journal(scene);
    access_unref(&scene->everywhere);
    config_box_destroy(&scene->config);
    free(scene);
    return tear_down(&fixture);
}

/* ---- the store goes and comes ---- */

/* With little time for the store, so that it is soon found to be away. */
static inline void be_hasty(struct scene *scene)
{
    stop_journal(scene);
    store_close(&scene->f->store);
    scene->f->config.store.query_timeout = 1.0;
    scene->f->config.store.transaction_timeout = 2.0;
    must_open(scene->f);
    start_journal(scene);
}

static inline void take_store(struct scene *scene)
{
    if (scene->f->server != NULL) {
        int status = 0;

        assert_int_equal(kill(scene->f->server->pid, SIGSTOP), 0);
        /* A busy one goes on answering until all its threads stand. */
        assert_int_equal(waitpid(scene->f->server->pid, &status, WUNTRACED), scene->f->server->pid);
        assert_true(WIFSTOPPED(status));
        return;
    }
    assert_int_equal(sqlite3_open(scene->f->path, &scene->lock), SQLITE_OK);
    assert_int_equal(sqlite3_exec(scene->lock, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static inline void give_store(struct scene *scene)
{
    if (scene->f->server != NULL) {
        assert_int_equal(kill(scene->f->server->pid, SIGCONT), 0);
        return;
    }
    assert_int_equal(sqlite3_exec(scene->lock, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(scene->lock), SQLITE_OK);
    scene->lock = NULL;
}

/* No file of this process takes a byte more. */
static inline void take_disk(struct scene *scene)
{
    struct rlimit none;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &scene->files), 0);
    none = scene->files;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static inline void give_disk(struct scene *scene)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &scene->files), 0);
}

static inline bool caught_up(void *argument)
{
    struct scene *scene = argument;
    struct journal_figures figures;

    journal_figures(scene->journal, &figures);
    return figures.spilled == 0 && figures.kept == 0 && figures.queued == 0;
}

/* ---- acting and looking ---- */

static inline struct activity *make(const char *action, const char *target)
{
    struct activity *record = activity_create(action, "process");

    activity_set(record, &record->actor, "vera");
    activity_set(record, &record->target, target);
    activity_set(record, &record->environment, "test");
    return record;
}

static inline int begin(struct scene *scene, const char *target, struct activity **record,
                        struct activity_link *link)
{
    *record = make("process.start", target);
    return journal_begin(scene->journal, *record, link);
}

static inline int end(struct scene *scene, struct activity **record,
                      const struct activity_link *link)
{
    int error;

    (*record)->result = ACTIVITY_OK;
    (*record)->status = 200;
    (*record)->duration = 1000;
    error = journal_end(scene->journal, *record, link);
    activity_destroy(record);
    return error;
}

static inline int act(struct scene *scene, const char *target)
{
    struct activity *record;
    struct activity_link link;
    int error = begin(scene, target, &record, &link);

    if (error != CESID_OK) {
        activity_destroy(&record);
        return error;
    }
    return end(scene, &record, &link);
}

static inline size_t page(struct scene *scene, const struct activity_filter *wanted,
                          const char *before, size_t limit, struct activity ***records)
{
    struct activity_filter filter = *wanted;
    size_t count = 0;

    if (filter.access == NULL)
        filter.access = scene->everywhere;
    assert_int_equal(activity_store_page(scene->f->store, &filter, before, limit, records, &count),
                     CESID_OK);
    return count;
}

static inline void drop(struct activity **records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        activity_destroy(&records[i]);
    free(records);
}

static inline int64_t count_of(struct scene *scene, struct activity_filter filter)
{
    int64_t count = -1;

    if (filter.access == NULL)
        filter.access = scene->everywhere;
    assert_int_equal(activity_store_count(scene->f->store, &filter, &count), CESID_OK);
    return count;
}

static inline enum activity_result result_of(struct scene *scene, const char *target)
{
    struct activity **records;
    enum activity_result result;
    size_t count = page(scene, &(struct activity_filter){.target = target}, NULL, 10, &records);

    assert_int_equal(count, 1);
    result = records[0]->result;
    drop(records, count);
    return result;
}

/* The verdict's sentence; "" when the chain is whole. */
static inline char *verify(struct scene *scene, uint64_t *held)
{
    static char why[512];
    struct activity_verdict verdict;
    struct config *config = config_get(scene->config);
    struct strbuf reason;
    uint64_t spilled;

    strbuf_init(&reason, 1000);
    assert_int_equal(journal_verify(config, scene->f->store, &verdict, &spilled, &reason),
                     CESID_OK);
    strbuf_destroy(&reason);
    config_unref(&config);
    if (held != NULL)
        *held = verdict.held;
    (void) snprintf(why, sizeof(why), "%s", verdict.broken ? verdict.why : "");
    return why;
}

#endif
