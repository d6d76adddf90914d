/*
 * Passwords: rules, hashes, random ones; and the random numbers beneath them.
 */
#include "cesid/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/random.h"

static void test_rules(void **state)
{
    static const char *const wrong[] = {
        "",           "short",          "ninebytes",          "1234567890",
        "Qwertyuiop", "administrator",  "aaaaaaaaaaaa",       "vera.smith",
        "VERA.smith", "tab\tinside it", "not \xff UTF-8 text"};
    static const char *const right[] = {"ten bytes!", "correct horse battery", "zw\xc3\xb6lf Bytes",
                                        "'; DROP TABLE users; --"};
    const char *why;
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(password_check("vera.smith", wrong[i], &why), CESID_E_VALIDATION_FAILED);
        assert_non_null(why);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(right); i++)
        assert_int_equal(password_check("vera.smith", right[i], &why), 0);

    char text[PASSWORD_LENGTH_MAX + 2];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char) ('a' + i % 26);
    text[sizeof text - 1] = '\0';
    assert_int_equal(password_check("vera", text, &why), CESID_E_VALIDATION_FAILED);
    text[PASSWORD_LENGTH_MAX] = '\0';
    assert_int_equal(password_check("vera", text, &why), 0);
}

static void test_hash(void **state)
{
    char first[PASSWORD_HASH_SIZE], second[PASSWORD_HASH_SIZE];
    (void) state;
    assert_int_equal(password_hash("correct horse", first), 0);
    assert_int_equal(password_hash("correct horse", second), 0);
    assert_memory_equal(first, "$y$", 3);
    assert_string_not_equal(first, second);
    assert_true(password_verify("correct horse", first));
    assert_true(password_verify("correct horse", second));
    assert_false(password_verify("correct horsf", first));
    assert_false(password_verify("", first));
    first[strlen(first) - 1] ^= 1;
    assert_false(password_verify("correct horse", first));
}

static void test_all_bytes_count(void **state)
{
    char text[PASSWORD_LENGTH_MAX + 2], hash[PASSWORD_HASH_SIZE];
    (void) state;
    memset(text, 'x', sizeof text);
    text[PASSWORD_LENGTH_MAX] = '\0';
    assert_int_equal(password_hash(text, hash), 0);
    assert_true(password_verify(text, hash));
    text[PASSWORD_LENGTH_MAX - 1] = 'y';
    assert_false(password_verify(text, hash));
    text[PASSWORD_LENGTH_MAX - 1] = text[PASSWORD_LENGTH_MAX] = 'x';
    text[PASSWORD_LENGTH_MAX + 1] = '\0';
    assert_false(password_verify(text, hash));
}

static void test_foreign_hashes(void **state)
{
    /* Nothing but our own kind of hash opens a door: not an empty one, not crypt's failure tokens,
     * not a weaker method ("x" in DES and MD5). */
    static const char *const hashes[] = {"",
                                         "*0",
                                         "*1",
                                         "x",
                                         "$y",
                                         "$y$",
                                         "$y$j9T$",
                                         "$1$abcdefgh$irWbblnpmw.5z7wgBnprh0",
                                         "aaXBj4pbBBmcc"};
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(hashes); i++) {
        assert_false(password_verify("x", hashes[i]));
        assert_false(password_verify("*0", hashes[i]));
        assert_false(password_verify("", hashes[i]));
    }
    assert_false(password_verify("", NULL));
    assert_false(password_verify("whatever it is", NULL));
}

/* Of this thread's processor time, so that a busy machine tells no tales. */
static int64_t shortest(const char *hash)
{
    int64_t best = INT64_MAX;
    for (int i = 0; i < 5; i++) {
        struct timespec start, end;
        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &start);
        (void) password_verify("whatever it is", hash);
        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        int64_t took = (end.tv_sec - start.tv_sec) * CLOCK_SECOND + (end.tv_nsec - start.tv_nsec);
        best = took < best ? took : best;
    }
    return best;
}

static void test_unknown_user_takes_as_long(void **state)
{
    char hash[PASSWORD_HASH_SIZE];
    (void) state;
    assert_int_equal(password_hash("correct horse", hash), 0);
    int64_t known = shortest(hash), unknown = shortest(NULL), damaged = shortest("*0");
    assert_true(unknown > known / 2 && known > unknown / 2);
    assert_true(damaged > known / 2);
}

/* The hash of "correct horse" at that cost of the system's scale. */
static void hash_at(unsigned long cost, char hash[PASSWORD_HASH_SIZE])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *area = calloc(1, sizeof *area);
    assert_non_null(area);
    assert_non_null(crypt_gensalt_rn("$y$", cost, "0123456789abcdef", 16, setting, sizeof setting));
    (void) snprintf(hash, PASSWORD_HASH_SIZE, "%s",
                    crypt_rn("correct horse", setting, area, sizeof *area));
    free(area);
}

static void test_weak_hashes(void **state)
{
    char hash[PASSWORD_HASH_SIZE];
    (void) state;
    for (unsigned long cost = 1; cost <= 4; cost++) {
        hash_at(cost, hash);
        assert_true(password_verify("correct horse", hash));
        assert_true(password_hash_is_weak(hash));
    }
    /* Today's, and what a later version may have made, stay. */
    for (unsigned long cost = 5; cost <= 6; cost++) {
        hash_at(cost, hash);
        assert_false(password_hash_is_weak(hash));
    }
    assert_int_equal(password_hash("correct horse", hash), 0);
    assert_false(password_hash_is_weak(hash));
    assert_false(password_hash_is_weak(""));
    assert_false(password_hash_is_weak("$y$"));
}

static void test_random_password(void **state)
{
    char first[PASSWORD_RANDOM_SIZE], second[PASSWORD_RANDOM_SIZE];
    const char *why;
    (void) state;
    password_random(first);
    password_random(second);
    assert_int_equal(strlen(first), 20);
    assert_string_not_equal(first, second);
    assert_null(strpbrk(first, "0Oo1lI"));
    assert_int_equal(password_check("admin", first, &why), 0);
}

static void test_random_numbers(void **state)
{
    char hex[65];
    unsigned seen = 0;
    (void) state;
    random_hex(hex, 32);
    assert_int_equal(strlen(hex), 64);
    assert_int_equal(strspn(hex, "0123456789abcdef"), 64);
    random_hex(hex, 0);
    assert_int_equal(strlen(hex), 0);
    for (int i = 0; i < 1000; i++) {
        uint32_t value = random_below(7);
        assert_true(value < 7);
        seen |= 1u << value;
        double uniform = random_uniform();
        assert_true(uniform >= 0.0 && uniform < 1.0);
    }
    assert_int_equal(seen, 0x7f);
    assert_int_equal(random_below(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_all_bytes_count),
        cmocka_unit_test(test_foreign_hashes),
        cmocka_unit_test(test_unknown_user_takes_as_long),
        cmocka_unit_test(test_weak_hashes),
        cmocka_unit_test(test_random_password),
        cmocka_unit_test(test_random_numbers),
    };
    return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
