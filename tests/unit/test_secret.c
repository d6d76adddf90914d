/*
 * Secrets: shared by reference, compared without a hint, wiped at the end.
 */
#include "unit.h"

#include "cesid/check.h"
#include "cesid/secret.h"
#include "cesid/thread.h"

static void is_a_copy_with_a_length(void **state)
{
    (void) state;
    char password[] = "open sesame";
    struct secret *secret = secret_create(password, 4);

    secret_wipe(password, sizeof(password));
    assert_string_equal(secret_reveal(secret), "open");
    assert_int_equal(secret_length(secret), 4);
    secret_unref(&secret);
    assert_null(secret);
    secret_unref(&secret);
}

static void may_be_empty_or_hold_zero_bytes(void **state)
{
    (void) state;
    struct secret *empty = secret_create(NULL, 0);
    struct secret *binary = secret_create("a\0b", 3);

    assert_string_equal(secret_reveal(empty), "");
    assert_int_equal(secret_length(empty), 0);
    assert_int_equal(secret_length(binary), 3);
    assert_memory_equal(secret_reveal(binary), "a\0b", 4);
    assert_false(secret_equal(empty, binary));
    secret_unref(&empty);
    secret_unref(&binary);
}

static void nothing_is_no_secret(void **state)
{
    (void) state;
    struct secret *empty = secret_create("", 0);

    assert_null(secret_ref(NULL));
    assert_null(secret_reveal(NULL));
    assert_int_equal(secret_length(NULL), 0);
    assert_true(secret_equal(NULL, NULL));
    assert_false(secret_equal(empty, NULL));
    assert_false(secret_equal(NULL, empty));
    secret_unref(&empty);
}

static void equal_means_every_byte(void **state)
{
    (void) state;
    struct secret *a = secret_create("correct horse", 13);
    struct secret *same = secret_create("correct horse", 13);
    const char *const others[] = {
        "correct hors", "correct horse1", "Correct horse", "correct horsf", "", "c"};

    assert_true(secret_equal(a, a));
    assert_true(secret_equal(a, same));
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        struct secret *other = secret_create(others[i], strlen(others[i]));

        assert_false(secret_equal(a, other));
        assert_false(secret_equal(other, a));
        secret_unref(&other);
    }
    secret_unref(&a);
    secret_unref(&same);
}

static void lives_as_long_as_a_reference(void **state)
{
    (void) state;
    struct secret *first = secret_create("kept", 4);
    struct secret *second = secret_ref(first);

    assert_ptr_equal(first, second);
    secret_unref(&first);
    assert_string_equal(secret_reveal(second), "kept");
    secret_unref(&second);
}

static void take_and_drop(void *argument)
{
    for (int i = 0; i < 10000; i++) {
        struct secret *mine = secret_ref(argument);

        CHECK(secret_length(mine) == 6);
        secret_unref(&mine);
    }
}

static void threads_may_share_one(void **state)
{
    (void) state;
    struct secret *secret = secret_create("shared", 6);
    struct thread threads[4];

    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(thread_start(&threads[i], "test", "secret", take_and_drop, secret), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    assert_string_equal(secret_reveal(secret), "shared");
    secret_unref(&secret);
}

static void wiping_leaves_zeros(void **state)
{
    (void) state;
    char data[] = "0123456789";

    secret_wipe(data + 2, 4);
    assert_memory_equal(data, "01\0\0\0\0006789", 11);
    secret_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("secret: is a copy with a length", is_a_copy_with_a_length),
        NAMED("secret: may be empty or hold zero bytes", may_be_empty_or_hold_zero_bytes),
        NAMED("secret: nothing is no secret", nothing_is_no_secret),
        NAMED("secret: equal means every byte", equal_means_every_byte),
        NAMED("secret: lives as long as a reference", lives_as_long_as_a_reference),
        NAMED("secret: threads may share one", threads_may_share_one),
        NAMED("secret: wiping leaves zeros", wiping_leaves_zeros),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
