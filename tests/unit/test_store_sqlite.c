/*
 * What is SQLite's alone: its files, its one writer, disks that are full, files that are damaged.
 */
#include "store_house.h"

static int set_up(void **state)
{
    make_fixture(state, NULL);
    return 0;
}

static void test_private_files(void **state)
{
    struct fixture *f = *state;
    struct stat info;
    must_open(f);
    assert_int_equal(store_probe(f->store), 0);
    assert_int_equal(add_role(f->store, "kept"), 0);
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        char name[160];
        (void) snprintf(name, sizeof name, "%s%s", f->path, suffixes[i]);
        assert_int_equal(stat(name, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
    store_close(&f->store);
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

static void test_makes_state_dir(void **state)
{
    struct fixture *f = *state;
    char directory[128], path[160];
    struct stat info;
    (void) snprintf(directory, sizeof directory, "%s/state", f->directory);
    (void) snprintf(path, sizeof path, "%s/cesid.db", directory);
    f->config.server.state_dir = directory;
    f->config.store.path = path;
    must_open(f);
    assert_int_equal(stat(directory, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    store_close(&f->store);
    assert_int_equal(chmod(directory, 0777), 0);
    must_refuse(f, "others may write");
}

static void test_no_database(void **state)
{
    struct fixture *f = *state;
    FILE *file = fopen(f->path, "w");
    for (int i = 0; i < 1000; i++)
        (void) fputs("this is no database at all\n", file);
    (void) fclose(file);
    must_refuse(f, "not a database");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    must_refuse(f, "no regular file");
    assert_int_equal(rmdir(f->path), 0);
    char missing[160];
    (void) snprintf(missing, sizeof missing, "%s/not/there.db", f->directory);
    f->config.store.path = missing;
    must_refuse(f, "cannot create the database");
}

static void test_readers_cannot_write(void **state)
{
    struct fixture *f = *state;
    const struct store_value values[] = {store_text("sneaked in"), store_integer(0)};
    must_open(f);
    assert_int_equal(store_query(f->store, &insert_role, values, 2, take_number, NULL),
                     CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(roles(f->store), 0);
}

static void test_locked_by_another(void **state)
{
    struct fixture *f = *state;
    sqlite3 *other = NULL;
    must_open_hasty(f);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    int64_t start = clock_now();
    int answer = 0;
    assert_int_equal(add_role(f->store, "blocked"), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(store_transact(f->store, insert_two, &answer), CESID_E_STORE_UNAVAILABLE);
    assert_true(clock_seconds_since(start) >= 0.9 && clock_seconds_since(start) < 10.0);
    assert_int_equal(roles(f->store), 0);
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(add_role(f->store, "free again"), 0);
}

static void test_disk_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, tight;
    must_open(f);
    /* A file that may not grow is what a full disk looks like from here: SIGXFSZ is blocked, so
     * that write() answers EFBIG. */
    assert_int_equal(add_role(f->store, "before"), 0);
    sigset_t set, old;
    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGXFSZ);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    tight = before;
    tight.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    int answer = 0;
    int single = add_role(f->store, "no room");
    int several = store_transact(f->store, insert_two, &answer);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(single, CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(several, CESID_E_STORE_UNAVAILABLE);
    (void) sigtimedwait(&set, NULL, &(struct timespec){0});
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);

    assert_int_equal(roles(f->store), 1);
    assert_int_equal(add_role(f->store, "room again"), 0);
    assert_int_equal(roles(f->store), 2);
}

static void test_file_replaced(void **state)
{
    /* The file is overwritten with rubbish while open: an error, not a crash, and a new connection
     * a call, so that a restored file is found. */
    struct fixture *f = *state;
    int64_t count = 0;
    must_open(f);
    store_close(&f->store);
    must_open(f);
    char rubbish[4096];
    memset(rubbish, 'x', sizeof rubbish);
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    char saved[4096];
    assert_int_equal(pread(fd, saved, sizeof saved, 0), sizeof saved);
    assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, 0), sizeof rubbish);
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count),
                     CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(pwrite(fd, saved, sizeof saved, 0), sizeof saved);
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count), 0);
    close(fd);
}

static void test_deleted_file(void **state)
{
    /* What is written into a file without a name is lost: better say so. */
    struct fixture *f = *state;
    char aside[160];
    int64_t count = 0;
    must_open(f);
    assert_int_equal(roles(f->store), 0);
    (void) snprintf(aside, sizeof aside, "%s.aside", f->path);
    assert_int_equal(rename(f->path, aside), 0);
    assert_int_equal(add_role(f->store, "lost"), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count),
                     CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(rename(aside, f->path), 0);
    assert_int_equal(roles(f->store), 0);
    assert_int_equal(add_role(f->store, "found"), 0);
}

int main(void)
{
#define TEST(title, function)                                                                      \
    {                                                                                              \
        .name = (title), .test_func = (function), .setup_func = set_up, .teardown_func = tear_down \
    }
    const struct CMUnitTest tests[] = {
        TEST("the store keeps its files private", test_private_files),
        TEST("the state directory is made, and refused when others may write",
             test_makes_state_dir),
        TEST("what is no database is refused", test_no_database),
        TEST("a reading connection cannot write", test_readers_cannot_write),
        TEST("a lock held by another program is an error in time", test_locked_by_another),
        TEST("a full disk is an error, and passes", test_disk_full),
        TEST("a damaged file is an error, and passes", test_file_replaced),
        TEST("a file that was deleted is an error, and passes", test_deleted_file),
    };
    return cmocka_run_group_tests_name("store on SQLite alone", tests, NULL, NULL);
}
