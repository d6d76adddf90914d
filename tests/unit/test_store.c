/*
 * The store, the same tests on real SQLite files and in a real MariaDB: statements, transactions,
 * limits, schema.
 */
#include "store_house.h"

#include "cesid/store_health.h"

#define THREADS 8
#define ROUNDS  20

/* Work as long as they are let: what must be ended from outside. */
static const struct store_statement sqlite_endless = {
    "endless", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
               " SELECT COUNT(*) FROM n"};
static const struct store_statement sqlite_endless_insert = {
    "endless_insert", "INSERT INTO roles (name, created_at)"
                      " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                      " SELECT 'endless' || i, i FROM n"};
static const struct store_statement mariadb_endless = {
    "endless", "SELECT COUNT(*) FROM seq_1_to_1000000000 a, seq_1_to_1000000000 b"
               " WHERE a.seq + b.seq = 0"};
static const struct store_statement mariadb_endless_insert = {
    "endless_insert", "INSERT INTO roles (name, created_at)"
                      " SELECT 'endless' || seq, seq FROM seq_1_to_1000000000"};

static const struct store_statement *endless(const struct fixture *f)
{
    return f->server ? &mariadb_endless : &sqlite_endless;
}

static const struct store_statement *endless_insert(const struct fixture *f)
{
    return f->server ? &mariadb_endless_insert : &sqlite_endless_insert;
}

static int on_sqlite(void **state)
{
    make_fixture(state, NULL);
    return 0;
}

static int on_mariadb(void **state)
{
    make_fixture(state, &server);
    return 0;
}

/* ---- opening ---- */

static void test_opens_again(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    assert_int_equal(store_probe(f->store), 0);
    assert_int_equal(add_role(f->store, "kept"), 0);
    store_close(&f->store);
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

static void test_newer_schema(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    store_close(&f->store);
    run_sql(f, "INSERT INTO schema_version VALUES (1000, 'from the future', 0)");
    must_refuse(f, "start the newer cesid");
    run_sql(f, "DELETE FROM schema_version WHERE version = 1000");
    must_open(f);
}

static void test_damaged_schema(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    store_close(&f->store);
    run_sql(f, "UPDATE schema_version SET name = 'something else' WHERE version = 1");
    must_refuse(f, "restore a backup");
}

static void test_missing_column(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    store_close(&f->store);
    run_sql(f, "ALTER TABLE users DROP COLUMN email");
    must_refuse(f, "users");
}

static void test_cut_short_migration(void **state)
{
    /* A step whose statements ran and whose record was lost is run again. */
    struct fixture *f = *state;
    must_open(f);
    assert_int_equal(add_role(f->store, "kept"), 0);
    store_close(&f->store);
    run_sql(f, "DROP TABLE sessions; DELETE FROM schema_version");
    must_open(f);
    assert_int_equal(roles(f->store), 1);
}

/* ---- values ---- */

struct text_row {
    char text[256];
    size_t length;
    int rows;
};

static bool take_text(void *argument, const struct store_row *row)
{
    struct text_row *taken = argument;
    const char *text = store_row_text(row, 0);
    taken->length = store_row_length(row, 0);
    assert_true(text && taken->length < sizeof taken->text);
    memcpy(taken->text, text, taken->length + 1);
    taken->rows++;
    return true;
}

static void test_metacharacters(void **state)
{
    static const char *const texts[] = {"'; DROP TABLE roles; --",
                                        "\" OR 1=1 --",
                                        "' OR '1'='1",
                                        "?1 :name @name $name ??",
                                        "%_\\%\\_",
                                        "`roles`; /* */",
                                        "a\nb\tc\r\x01\x1b[31m",
                                        "zw\xc3\xb6lf \xe2\x82\xac \xf0\x9f\x90\x98",
                                        "NULL",
                                        "0x27",
                                        ""};
    struct fixture *f = *state;
    must_open(f);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct text_row taken = {.rows = 0};
        const struct store_value name[] = {store_text(texts[i])};
        assert_int_equal(add_role(f->store, texts[i]), 0);
        assert_int_equal(store_query(f->store, &find_role, name, 1, take_text, &taken), 0);
        assert_int_equal(taken.rows, 1);
        assert_string_equal(taken.text, texts[i]);
        assert_int_equal(taken.length, strlen(texts[i]));
    }
    assert_int_equal(roles(f->store), ARRAY_LENGTH(texts));
    const struct store_value nul[] = {store_bytes("a\0b", 3), store_integer(INT64_MIN)};
    struct text_row taken = {.rows = 0};
    assert_int_equal(store_execute(f->store, &insert_role, nul, 2, NULL), 0);
    assert_int_equal(store_query(f->store, &find_role, nul, 1, take_text, &taken), 0);
    assert_int_equal(taken.length, 3);
}

static bool take_null(void *argument, const struct store_row *row)
{
    *(bool *) argument = store_row_is_null(row, 0) && !store_row_text(row, 0) &&
                         store_row_integer(row, 0) == 0 && store_row_integer(row, 1) == INT64_MAX;
    return false;
}

static void test_null_and_integers(void **state)
{
    static const struct store_statement echo = {"echo", "SELECT ?, ?"};
    struct fixture *f = *state;
    bool right = false;
    const struct store_value values[] = {store_text(NULL), store_integer(INT64_MAX)};
    must_open(f);
    assert_int_equal(store_query(f->store, &echo, values, 2, take_null, &right), 0);
    assert_true(right);
}

struct texts {
    size_t next;
    bool right;
};

#define LONG_TEXTS 300

static size_t length_of(size_t i)
{
    return i * 61 % 4096;
}

static bool take_long_text(void *argument, const struct store_row *row)
{
    struct texts *texts = argument;
    const char *text = store_row_text(row, 1);
    size_t length = length_of(texts->next);
    texts->right = texts->right && store_row_integer(row, 0) == (int64_t) texts->next && text &&
                   store_row_length(row, 1) == length && strlen(text) == length &&
                   strspn(text, "x") == length;
    texts->next++;
    return true;
}

static void test_long_texts(void **state)
{
    static const struct store_statement insert = {
        "text_insert", "INSERT INTO operations (id, action, argument, actor, state, created_at,"
                       " finished_at, total, succeeded, failed, environments, results)"
                       " VALUES (?, '', '', '', '', ?, 0, 0, 0, 0, '', ?)"};
    static const struct store_statement list = {
        "text_list", "SELECT created_at, results FROM operations ORDER BY created_at"};
    struct fixture *f = *state;
    struct texts texts = {.right = true};
    char text[4096], id[16];
    f->config.store.query_timeout = 60.0;
    must_open(f);
    memset(text, 'x', sizeof text);
    run_sql(f, "DELETE FROM operations");
    for (size_t i = 0; i < LONG_TEXTS; i++) {
        (void) snprintf(id, sizeof id, "%zu", i);
        const struct store_value values[] = {store_text(id), store_integer((int64_t) i),
                                             store_bytes(text, length_of(i))};
        assert_int_equal(store_execute(f->store, &insert, values, 3, NULL), 0);
    }
    assert_int_equal(store_query(f->store, &list, NULL, 0, take_long_text, &texts), 0);
    assert_true(texts.right);
    assert_int_equal(texts.next, LONG_TEXTS);
}

static void test_comparison(void **state)
{
    static const char *const names[] = {"role", "Role", "role ", "r\xc3\xb6le", "rple", "role\t"};
    struct fixture *f = *state;
    must_open(f);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_int_equal(add_role(f->store, names[i]), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct text_row taken = {.rows = 0};
        const struct store_value name[] = {store_text(names[i])};
        assert_int_equal(store_query(f->store, &find_role, name, 1, take_text, &taken), 0);
        assert_int_equal(taken.rows, 1);
        assert_string_equal(taken.text, names[i]);
    }
}

static void test_conflicts(void **state)
{
    static const struct store_statement orphan = {
        "orphan", "INSERT INTO role_permissions (role, permission) VALUES ('nobody', 'node:read')"};
    static const struct store_statement hole = {
        "hole", "INSERT INTO roles (name, created_at) VALUES ('hole', NULL)"};
    struct fixture *f = *state;
    int64_t changed = 0;
    must_open(f);
    assert_int_equal(add_role(f->store, "one"), 0);
    assert_int_equal(add_role(f->store, "one"), CESID_E_CONFLICT);
    assert_int_equal(store_execute(f->store, &orphan, NULL, 0, NULL), CESID_E_CONFLICT);
    assert_int_equal(store_execute(f->store, &hole, NULL, 0, NULL), CESID_E_STORE_UNAVAILABLE);
    const struct store_value name[] = {store_text("one")};
    assert_int_equal(store_execute(f->store, &add_one, name, 1, &changed), 0);
    assert_int_equal(changed, 1);
    const struct store_value other[] = {store_text("two")};
    assert_int_equal(store_execute(f->store, &add_one, other, 1, &changed), 0);
    assert_int_equal(changed, 0);
}

/* ---- limits ---- */

/* The writing connection is free and clean, once the server has undone what was begun. */
static bool takes_two(void *argument)
{
    int answer = 0, status = store_transact(argument, insert_two, &answer);
    assert_true(status == 0 || status == CESID_E_STORE_TIMEOUT);
    return status == 0;
}

static void test_query_timeout(void **state)
{
    struct fixture *f = *state;
    int64_t count = 0;
    must_open_hasty(f);
    for (int i = 0; i < 3; i++) {
        int64_t start = clock_now();
        assert_int_equal(store_query(f->store, endless(f), NULL, 0, take_number, &count),
                         CESID_E_STORE_TIMEOUT);
        assert_true(clock_seconds_since(start) >= 0.5 && clock_seconds_since(start) < 5.0);
    }
    int64_t start = clock_now();
    assert_int_equal(store_execute(f->store, endless_insert(f), NULL, 0, NULL),
                     CESID_E_STORE_TIMEOUT);
    assert_true(clock_seconds_since(start) < 5.0);
    assert_int_equal(roles(f->store), 0);
    assert_true(eventually(takes_two, f->store));
}

struct holder {
    struct store *store;
    atomic_int inside;
    atomic_bool go_on;
    atomic_int failures;
};

static bool hold_row(void *argument, const struct store_row *row)
{
    struct holder *holder = argument;
    (void) row;
    atomic_fetch_add(&holder->inside, 1);
    while (!atomic_load(&holder->go_on))
        (void) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    return true;
}

static void *hold_reader(void *argument)
{
    struct holder *holder = argument;
    if (store_query(holder->store, &count_roles, NULL, 0, hold_row, holder) < 0)
        atomic_fetch_add(&holder->failures, 1);
    return NULL;
}

static void wait_for(atomic_int *value, int wanted)
{
    int64_t deadline = clock_after(20.0);
    while (atomic_load(value) != wanted) {
        assert_true(clock_now() < deadline);
        (void) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void test_pool_exhausted(void **state)
{
    struct fixture *f = *state;
    struct holder holder = {.store = NULL};
    struct store_figures figures;
    pthread_t threads[2];
    f->config.store.acquire_timeout = 0.3;
    f->config.store.query_timeout = 60.0;
    holder.store = must_open(f);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_reader, &holder), 0);
    wait_for(&holder.inside, 2);
    store_figures(f->store, &figures);
    assert_int_equal(figures.pool, f->server ? 2 : 3);
    assert_int_equal(figures.in_use, 2);

    int64_t start = clock_now(), count = 0;
    assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count),
                     CESID_E_POOL_EXHAUSTED);
    assert_true(clock_seconds_since(start) >= 0.29 && clock_seconds_since(start) < 5.0);
    /* On SQLite writing has a connection of its own. */
    assert_int_equal(add_role(f->store, "written meanwhile"),
                     f->server ? CESID_E_POOL_EXHAUSTED : 0);

    atomic_store(&holder.go_on, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&holder.failures), 0);
    assert_int_equal(roles(f->store), f->server ? 0 : 1);
    store_figures(f->store, &figures);
    assert_int_equal(figures.in_use, 0);
}

/* ---- the gate ---- */

static void break_store(struct fixture *f)
{
    run_sql(f, "ALTER TABLE schema_version RENAME TO elsewhere");
}

static void mend_store(struct fixture *f)
{
    run_sql(f, "ALTER TABLE elsewhere RENAME TO schema_version");
}

static void *wait_for_reader(void *argument)
{
    struct holder *holder = argument;
    int64_t count = 0;
    CHECK(store_query(holder->store, &count_roles, NULL, 0, take_number, &count) ==
          CESID_E_STORE_UNAVAILABLE);
    return NULL;
}

static void test_gate(void **state)
{
    struct fixture *f = *state;
    struct holder holder = {.store = NULL};
    struct store_figures figures;
    pthread_t readers[2], waiter;
    int64_t count = 0;
    int answer = 0;
    f->config.store.acquire_timeout = f->config.store.query_timeout = 60.0;
    holder.store = must_open(f);
    assert_int_equal(store_probe(f->store), 0);
    break_store(f);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, hold_reader, &holder), 0);
    wait_for(&holder.inside, 2);
    assert_int_equal(pthread_create(&waiter, NULL, wait_for_reader, &holder), 0);
    do
        store_figures(f->store, &figures);
    while (figures.waiting < 1);
    assert_true(store_up(f->store));

    /* Closed: nobody waits for what may never come, not even who does already. */
    assert_int_equal(store_probe(f->store), CESID_E_STORE_UNAVAILABLE);
    assert_false(store_up(f->store));
    assert_int_equal(pthread_join(waiter, NULL), 0);
    int64_t start = clock_now();
    for (int i = 0; i < 100; i++) {
        assert_int_equal(store_query(f->store, &count_roles, NULL, 0, take_number, &count),
                         CESID_E_STORE_UNAVAILABLE);
        assert_int_equal(add_role(f->store, "refused"), CESID_E_STORE_UNAVAILABLE);
        assert_int_equal(store_transact(f->store, insert_two, &answer), CESID_E_STORE_UNAVAILABLE);
    }
    assert_true(clock_seconds_since(start) < 5.0);
    atomic_store(&holder.go_on, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(readers[i], NULL), 0);
    store_figures(f->store, &figures);
    assert_int_equal(figures.answer, CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(figures.in_use, 0);

    mend_store(f);
    assert_int_equal(store_probe(f->store), 0);
    assert_true(store_up(f->store));
    assert_int_equal(store_transact(f->store, insert_two, &answer), 0);
    assert_int_equal(roles(f->store), 2);
}

static bool is_down(void *argument)
{
    return !store_up(argument);
}

static bool is_up(void *argument)
{
    return store_up(argument);
}

static void test_health(void **state)
{
    static const struct store_statement nonsense = {"nonsense", "SELECT nothing FROM nowhere"};
    struct fixture *f = *state;
    struct store_health *health;
    must_open(f);
    health = store_health_create(f->store, 3600);
    assert_int_equal(store_health_start(health), 0);
    break_store(f);
    assert_true(store_up(f->store));
    /* A statement that fails brings the probe forward; then it comes back by itself. */
    assert_int_equal(store_query(f->store, &nonsense, NULL, 0, NULL, NULL),
                     CESID_E_STORE_UNAVAILABLE);
    assert_true(eventually(is_down, f->store));
    mend_store(f);
    assert_true(eventually(is_up, f->store));
    store_health_stop(health);
    store_health_destroy(&health);
}

/* ---- transactions ---- */

static void test_rollback(void **state)
{
    struct fixture *f = *state;
    int answer = CESID_E_FORBIDDEN;
    must_open(f);
    assert_int_equal(store_transact(f->store, insert_two, &answer), CESID_E_FORBIDDEN);
    assert_int_equal(roles(f->store), 0);
    answer = 0;
    assert_int_equal(store_transact(f->store, insert_two, &answer), 0);
    assert_int_equal(roles(f->store), 2);
}

static int conflict_and_go_on(struct store_transaction *transaction, void *argument)
{
    const struct store_value values[] = {store_text("first"), store_integer(1)};
    (void) argument;
    int status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    if (status == 0)
        status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    return status == CESID_E_CONFLICT ? 0 : CESID_E_INTERNAL;
}

static void test_conflict_in_transaction(void **state)
{
    struct fixture *f = *state;
    must_open(f);
    assert_int_equal(store_transact(f->store, conflict_and_go_on, NULL), 0);
    assert_int_equal(roles(f->store), 1);
}

struct ignored {
    const struct store_statement *slow;
    int seen[2];
};

static int ignore_timeout(struct store_transaction *transaction, void *argument)
{
    const struct store_value values[] = {store_text("lost"), store_integer(1)};
    struct ignored *ignored = argument;
    int status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    assert_int_equal(status, 0);
    ignored->seen[0] = store_transaction_execute(transaction, ignored->slow, NULL, 0, NULL);
    ignored->seen[1] = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    return 0;
}

static void test_transaction_timeout(void **state)
{
    struct fixture *f = *state;
    struct ignored ignored = {.slow = endless_insert(f)};
    must_open_hasty(f);
    int64_t start = clock_now();
    assert_int_equal(store_transact(f->store, ignore_timeout, &ignored), CESID_E_STORE_TIMEOUT);
    assert_true(clock_seconds_since(start) < 5.0);
    assert_int_equal(ignored.seen[0], CESID_E_STORE_TIMEOUT);
    assert_int_equal(ignored.seen[1], CESID_E_STORE_TIMEOUT);
    assert_int_equal(roles(f->store), 0);
    assert_true(eventually(takes_two, f->store));
}

static int dawdle(struct store_transaction *transaction, void *argument)
{
    const struct store_value values[] = {store_text("late"), store_integer(1)};
    (void) argument;
    int status = store_transaction_execute(transaction, &insert_role, values, 2, NULL);
    int64_t until = clock_after(0.9);
    while (clock_now() < until)
        (void) nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    return status;
}

static void test_dawdling_transaction(void **state)
{
    struct fixture *f = *state;
    must_open_hasty(f);
    assert_int_equal(store_transact(f->store, dawdle, NULL), CESID_E_STORE_TIMEOUT);
    assert_int_equal(roles(f->store), 0);
    assert_int_equal(add_role(f->store, "after"), 0);
}

/* ---- many at once ---- */

struct worker {
    struct store *store;
    int failures;
};

static int read_and_write(struct store_transaction *transaction, void *argument)
{
    int64_t count = 0;
    (void) argument;
    int status = store_transaction_query(transaction, &count_roles, NULL, 0, take_number, &count);
    const struct store_value name[] = {store_text("counter")};
    return status < 0 ? status : store_transaction_execute(transaction, &add_one, name, 1, NULL);
}

/* Of two roles one must stay: each transaction removes its own if the other is there. */
struct skew {
    struct store *store;
    pthread_barrier_t *barrier;
    const char *name;
    bool waited;
};

static int remove_unless_last(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement remove_role = {"role_remove",
                                                       "DELETE FROM roles WHERE name = ?"};
    struct skew *skew = argument;
    const struct store_value name[] = {store_text(skew->name)};
    int64_t count = 0;
    int status = store_transaction_query(transaction, &count_roles, NULL, 0, take_number, &count);
    if (status == 0 && skew->barrier && !skew->waited) {
        skew->waited = true;
        (void) pthread_barrier_wait(skew->barrier);
    }
    if (status < 0 || count < 2)
        return status;
    return store_transaction_execute(transaction, &remove_role, name, 1, NULL);
}

static void *run_skew(void *argument)
{
    struct skew *skew = argument;
    CHECK(store_transact(skew->store, remove_unless_last, skew) == 0);
    return NULL;
}

static void test_write_skew(void **state)
{
    struct fixture *f = *state;
    pthread_barrier_t barrier;
    pthread_t threads[2];
    f->config.store.acquire_timeout = f->config.store.query_timeout = 60.0;
    f->config.store.transaction_timeout = 60.0;
    must_open(f);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(add_role(f->store, "one"), 0);
    assert_int_equal(add_role(f->store, "two"), 0);
    /* On SQLite the second cannot even begin while the first is under way. */
    struct skew skews[] = {{.store = f->store, .name = "one"}, {.store = f->store, .name = "two"}};
    for (size_t i = 0; i < 2; i++) {
        skews[i].barrier = f->server ? &barrier : NULL;
        assert_int_equal(pthread_create(&threads[i], NULL, run_skew, &skews[i]), 0);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(roles(f->store), 1);
    (void) pthread_barrier_destroy(&barrier);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    const struct store_value name[] = {store_text("counter")};
    for (int i = 0; i < ROUNDS; i++) {
        int64_t count = 0;
        worker->failures += store_transact(worker->store, read_and_write, NULL) < 0;
        worker->failures += store_execute(worker->store, &add_one, name, 1, NULL) < 0;
        for (int j = 0; j < 5; j++)
            worker->failures +=
                store_query(worker->store, &count_roles, NULL, 0, take_number, &count) < 0;
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct fixture *f = *state;
    struct worker workers[THREADS];
    struct store_figures figures;
    pthread_t threads[THREADS];
    f->config.store.acquire_timeout = 60.0;
    f->config.store.transaction_timeout = 60.0;
    f->config.store.query_timeout = 60.0;
    must_open(f);
    assert_int_equal(add_role(f->store, "counter"), 0);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.store = f->store};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
    int64_t total = 0;
    const struct store_value name[] = {store_text("counter")};
    assert_int_equal(store_query(f->store, &find_role, name, 1, take_second, &total), 0);
    assert_int_equal(total, THREADS * ROUNDS * 2);
    store_figures(f->store, &figures);
    assert_int_equal(figures.in_use, 0);
    assert_int_equal(figures.waiting, 0);
}

#define ON_SQLITE(title, function)                                                                 \
    {                                                                                              \
        .name = title " (SQLite)", .test_func = (function), .setup_func = on_sqlite,               \
        .teardown_func = tear_down                                                                 \
    }
#define ON_MARIADB(title, function)                                                                \
    {                                                                                              \
        .name = title " (MariaDB)", .test_func = (function), .setup_func = on_mariadb,             \
        .teardown_func = tear_down                                                                 \
    }
#define TESTS(ON)                                                                                  \
    ON("the store opens, and opens again", test_opens_again),                                      \
        ON("R5.5 a newer schema is refused", test_newer_schema),                                   \
        ON("R5.5 a damaged schema is refused", test_damaged_schema),                               \
        ON("R5.5 a missing column is refused", test_missing_column),                               \
        ON("a migration cut short goes on", test_cut_short_migration),                             \
        ON("R9.2 SQL metacharacters come back unchanged", test_metacharacters),                    \
        ON("null and integers come back unchanged", test_null_and_integers),                       \
        ON("long texts and many rows come back unchanged", test_long_texts),                       \
        ON("texts are compared byte by byte", test_comparison),                                    \
        ON("a broken key is a conflict", test_conflicts),                                          \
        ON("R5.3 a query that takes too long is ended", test_query_timeout),                       \
        ON("R5.2 an exhausted pool is answered in time", test_pool_exhausted),                     \
        ON("R5.1 a store that is down refuses at once, and works when it is back", test_gate),     \
        ON("R5.1 the store's health is probed, at once after a failure", test_health),             \
        ON("a failed transaction leaves nothing", test_rollback),                                  \
        ON("a conflict does not void a transaction", test_conflict_in_transaction),                \
        ON("R5.3 a statement's timeout rolls its transaction back", test_transaction_timeout),     \
        ON("R5.3 a transaction that dawdles is rolled back", test_dawdling_transaction),           \
        ON("what a transaction read stays true until its commit", test_write_skew),                \
        ON("R5.4 many threads share a small pool", test_many_threads)

int main(void)
{
    const struct CMUnitTest sqlite[] = {TESTS(ON_SQLITE)};
    const struct CMUnitTest mariadb[] = {TESTS(ON_MARIADB)};
    int failed = cmocka_run_group_tests_name("store on SQLite", sqlite, NULL, NULL);
    return failed +
           cmocka_run_group_tests_name("store on MariaDB", mariadb, start_mariadb, stop_mariadb);
}
