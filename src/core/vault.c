/*
 * Sealing of secrets. See vault.h. Text is "v1." and the base64url of nonce, ciphertext and tag;
 * the name is authenticated along with them. Pure but for the key file, which is read at start.
 */
#include "cesid/vault.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/base64.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/statefile.h"

#define FILE_NAME  "vault.key"
#define PREFIX     "v1."
#define KEY_SIZE   32
#define NONCE_SIZE 12
#define TAG_SIZE   16
#define SECRET_MAX 65536

struct vault {
    unsigned char key[KEY_SIZE];
};

static bool parse_key(const struct strbuf *content, unsigned char key[KEY_SIZE])
{
    return content->length == BASE64URL_LENGTH(KEY_SIZE) + 1 &&
           content->data[content->length - 1] == '\n' &&
           base64url_decode(content->data, content->length - 1, key, KEY_SIZE) == KEY_SIZE;
}

static int make_key(const char *state_dir, struct strbuf *why)
{
    unsigned char key[KEY_SIZE];
    char *temporary = NULL;
    struct strbuf line;
    int error;

    random_bytes(key, sizeof(key));
    strbuf_init(&line, 256);
    base64url_add(&line, key, sizeof(key));
    strbuf_putc(&line, '\n');
    error = statefile_prepare(state_dir, FILE_NAME, line.data, line.length, &temporary, why);
    if (error == CESID_OK)
        error = statefile_create(state_dir, FILE_NAME, temporary, why);
    if (error == CESID_OK)
        log_info("vault", "made the key that seals secrets", log_s("directory", state_dir));
    free(temporary);
    secret_wipe(key, sizeof(key));
    secret_wipe(line.data, line.length);
    strbuf_destroy(&line);
    /* Another cesid on this directory was faster: use its key. */
    return error == CESID_E_CONFLICT ? CESID_OK : error;
}

int vault_open(const char *state_dir, struct vault **result, struct strbuf *why)
{
    struct vault *vault = mem_alloc(sizeof(*vault));
    struct strbuf content;
    bool found = false;
    int error;

    strbuf_init(&content, 256);
    error = statefile_read(state_dir, FILE_NAME, &content, &found, why);
    if (error == CESID_OK && !found) {
        error = make_key(state_dir, why);
        if (error == CESID_OK)
            error = statefile_read(state_dir, FILE_NAME, &content, &found, why);
    }
    if (error == CESID_OK && !parse_key(&content, vault->key)) {
        strbuf_printf(why,
                      "%s/%s: is damaged: restore it, or remove it and give the passwords of nodes "
                      "anew",
                      state_dir, FILE_NAME);
        error = CESID_E_INTERNAL;
    }
    secret_wipe(content.data, content.length);
    strbuf_destroy(&content);
    if (error != CESID_OK)
        vault_close(&vault);
    *result = vault;
    return error;
}

void vault_close(struct vault **slot)
{
    struct vault *vault = *slot;

    *slot = NULL;
    if (vault == NULL)
        return;
    secret_wipe(vault, sizeof(*vault));
    free(vault);
}

void vault_seal(const struct vault *vault, const char *name, const struct secret *secret,
                struct strbuf *out)
{
    int length = (int) secret_length(secret), written = 0, end = 0;
    size_t total = NONCE_SIZE + (size_t) length + TAG_SIZE;
    unsigned char *box = mem_alloc(total);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    CHECK(length >= 0 && length <= SECRET_MAX && context != NULL);
    random_bytes(box, NONCE_SIZE);
    CHECK(EVP_EncryptInit_ex2(context, EVP_aes_256_gcm(), vault->key, box, NULL) == 1);
    CHECK(EVP_EncryptUpdate(context, NULL, &written, (const unsigned char *) name,
                            (int) strlen(name)) == 1);
    CHECK(EVP_EncryptUpdate(context, box + NONCE_SIZE, &written,
                            (const unsigned char *) secret_reveal(secret), length) == 1);
    CHECK(EVP_EncryptFinal_ex(context, box + NONCE_SIZE + written, &end) == 1);
    CHECK(written + end == length);
    CHECK(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, box + NONCE_SIZE + length) ==
          1);
    EVP_CIPHER_CTX_free(context);
    strbuf_puts(out, PREFIX);
    base64url_add(out, box, total);
    free(box);
}

/* The length of the plain text, or -1. */
static int decrypt(const struct vault *vault, const char *name, unsigned char *box, int length,
                   unsigned char *plain)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int cipher_length = length - NONCE_SIZE - TAG_SIZE, written = 0, end = 0;
    bool good;

    CHECK(context != NULL);
    good = EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), vault->key, box, NULL) == 1 &&
           EVP_DecryptUpdate(context, NULL, &written, (const unsigned char *) name,
                             (int) strlen(name)) == 1 &&
           EVP_DecryptUpdate(context, plain, &written, box + NONCE_SIZE, cipher_length) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE,
                               box + NONCE_SIZE + cipher_length) == 1 &&
           EVP_DecryptFinal_ex(context, plain + written, &end) == 1;
    EVP_CIPHER_CTX_free(context);
    return good ? written + end : -1;
}

int vault_unseal(const struct vault *vault, const char *name, const char *sealed,
                 struct secret **secret)
{
    size_t capacity = NONCE_SIZE + SECRET_MAX + TAG_SIZE;
    unsigned char *box, *plain;
    int64_t length;
    int plain_length = -1;

    *secret = NULL;
    if (strncmp(sealed, PREFIX, strlen(PREFIX)) != 0)
        return CESID_E_INTERNAL;
    sealed += strlen(PREFIX);
    box = mem_alloc(capacity);
    plain = mem_alloc(capacity);
    length = base64url_decode(sealed, strlen(sealed), box, capacity);
    if (length >= NONCE_SIZE + TAG_SIZE)
        plain_length = decrypt(vault, name, box, (int) length, plain);
    if (plain_length >= 0)
        *secret = secret_create((const char *) plain, (size_t) plain_length);
    secret_wipe(plain, capacity);
    free(plain);
    free(box);
    return plain_length >= 0 ? CESID_OK : CESID_E_INTERNAL;
}
