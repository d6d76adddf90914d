/*
 * Secrets at rest: what is sealed opens under its key and name, and nothing else does.
 */
#include "unit.h"

#include <sys/stat.h>

#include "cesid/error.h"
#include "cesid/vault.h"

static char directory[64];

static int set_up(void **state)
{
    (void) state;
    snprintf(directory, sizeof(directory), "/tmp/cesid-vault-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int tear_down(void **state)
{
    char path[96];
    (void) state;
    snprintf(path, sizeof(path), "%s/vault.key", directory);
    unlink(path);
    return rmdir(directory);
}

static struct vault *open_vault(void)
{
    struct vault *vault = NULL;
    struct strbuf why;
    strbuf_init(&why, 1000);
    assert_int_equal(vault_open(directory, &vault, &why), 0);
    strbuf_destroy(&why);
    return vault;
}

static char *seal(const struct vault *vault, const char *name, const char *text)
{
    struct secret *secret = secret_create(text, strlen(text));
    struct strbuf out;
    strbuf_init(&out, 100000);
    vault_seal(vault, name, secret, &out);
    secret_unref(&secret);
    return strbuf_steal(&out);
}

static void test_seal(void **state)
{
    (void) state;
    static const char *const texts[] = {"", "x", "correct horse \"battery\" \\ staple",
                                        "p\xc3\xa4ss"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct vault *vault = open_vault();
        struct secret *back = NULL;
        char *sealed = seal(vault, "web-1", texts[i]), *again = seal(vault, "web-1", texts[i]);
        assert_string_not_equal(sealed, again); /* never the same nonce */
        if (strlen(texts[i]) > 1)
            assert_null(strstr(sealed, texts[i]));
        vault_close(&vault);
        vault = open_vault(); /* the key stays */
        assert_int_equal(vault_unseal(vault, "web-1", sealed, &back), 0);
        assert_string_equal(secret_reveal(back), texts[i]);
        assert_int_equal(secret_length(back), strlen(texts[i]));
        secret_unref(&back);
        free(sealed);
        free(again);
        vault_close(&vault);
    }
}

static void test_refuse(void **state)
{
    (void) state;
    struct vault *vault = open_vault();
    struct secret *back = NULL;
    char *sealed = seal(vault, "web-1", "hush"), path[96];
    assert_int_equal(vault_unseal(vault, "web-2", sealed, &back), CESID_E_INTERNAL);
    assert_int_equal(vault_unseal(vault, "web-1", "hush", &back), CESID_E_INTERNAL);
    assert_int_equal(vault_unseal(vault, "web-1", "v1.", &back), CESID_E_INTERNAL);
    assert_int_equal(vault_unseal(vault, "web-1", "v1.AAAA", &back), CESID_E_INTERNAL);
    for (size_t i = 0; sealed[i] != '\0'; i++) {
        char was = sealed[i];
        sealed[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(vault_unseal(vault, "web-1", sealed, &back), CESID_E_INTERNAL);
        assert_null(back);
        sealed[i] = was;
    }
    assert_int_equal(vault_unseal(vault, "web-1", sealed, &back), 0);
    secret_unref(&back);
    vault_close(&vault);

    snprintf(path, sizeof(path), "%s/vault.key", directory);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    unlink(path);
    vault = open_vault(); /* another key */
    assert_int_equal(vault_unseal(vault, "web-1", sealed, &back), CESID_E_INTERNAL);
    free(sealed);
    vault_close(&vault);
}

static void test_damaged(void **state)
{
    (void) state;
    struct vault *vault = open_vault();
    struct strbuf why;
    char path[96];
    vault_close(&vault);
    snprintf(path, sizeof(path), "%s/vault.key", directory);
    assert_int_equal(truncate(path, 20), 0);
    strbuf_init(&why, 1000);
    assert_int_equal(vault_open(directory, &vault, &why), CESID_E_INTERNAL);
    assert_non_null(strstr(why.data, "is damaged"));
    assert_null(vault);
    strbuf_clear(&why);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(vault_open(directory, &vault, &why), CESID_E_INTERNAL);
    assert_non_null(strstr(why.data, "others may read"));
    strbuf_destroy(&why);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"what is sealed opens again", test_seal, set_up, tear_down, NULL},
        {"another key, name or bit does not open it", test_refuse, set_up, tear_down, NULL},
        {"a damaged or readable key is refused", test_damaged, set_up, tear_down, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
