/*
 * The keys that sign session tokens. Runs in main, at start; the keys are immutable afterwards.
 */
#include "keyring.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/random.h"
#include "cesid/secret.h"
#include "cesid/statefile.h"

#define FILE_NAME   "session.key"
#define KID_LENGTH  (JWT_KID_SIZE - 1)
#define HEX_LENGTH  (2 * (size_t) JWT_KEY_BYTES)
#define LINE_LENGTH (KID_LENGTH + 1 + HEX_LENGTH)
#define CONTENT_MAX ((LINE_LENGTH + 1) * KEYRING_MAX)
#define HEX_DIGITS  "0123456789abcdef"

static unsigned digit(char c)
{
    return (unsigned) (c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool read_line(const char *line, size_t length, struct jwt_key *key)
{
    if (length != LINE_LENGTH || line[KID_LENGTH] != ' ')
        return false;
    const char *hex = line + KID_LENGTH + 1;
    if (strspn(line, HEX_DIGITS) != KID_LENGTH || strspn(hex, HEX_DIGITS) != HEX_LENGTH)
        return false;
    memcpy(key->kid, line, KID_LENGTH);
    key->kid[KID_LENGTH] = '\0';
    for (size_t i = 0; i < JWT_KEY_BYTES; i++)
        key->secret[i] = (unsigned char) (digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return true;
}

static bool read_lines(struct keyring *keyring, const char *content)
{
    keyring->count = 0;
    while (*content) {
        size_t length = strcspn(content, "\n");
        if (keyring->count == KEYRING_MAX ||
            !read_line(content, length, &keyring->keys[keyring->count]))
            return false;
        keyring->count++;
        content += length;
        content += *content == '\n';
    }
    return keyring->count > 0;
}

static int make_file(const char *directory, struct strbuf *why)
{
    char kid[JWT_KID_SIZE], hex[HEX_LENGTH + 1];
    char line[LINE_LENGTH + 1];
    random_hex(kid, KID_LENGTH / 2);
    random_hex(hex, JWT_KEY_BYTES);
    memcpy(line, kid, KID_LENGTH);
    line[KID_LENGTH] = ' ';
    memcpy(line + KID_LENGTH + 1, hex, HEX_LENGTH);
    line[LINE_LENGTH] = '\n';

    char *temporary = NULL;
    int status = statefile_prepare(directory, FILE_NAME, line, sizeof line, &temporary, why);
    if (status == 0)
        status = statefile_create(directory, FILE_NAME, temporary, why);
    free(temporary);
    secret_wipe(line, sizeof line);
    secret_wipe(hex, sizeof hex);
    if (status == 0)
        log_info("auth", "made the key that signs sessions", log_s("directory", directory));
    /* Another cesid on this directory was faster: use its key. */
    return status == CESID_E_CONFLICT ? 0 : status;
}

int keyring_load(struct keyring *keyring, const char *directory, struct strbuf *why)
{
    struct strbuf content;
    bool found = false;
    strbuf_init(&content, CONTENT_MAX);
    int status = statefile_read(directory, FILE_NAME, &content, &found, why);
    if (status == 0 && !found) {
        status = make_file(directory, why);
        if (status == 0)
            status = statefile_read(directory, FILE_NAME, &content, &found, why);
    }
    if (status == 0 &&
        (!found || strlen(content.data) != content.length || !read_lines(keyring, content.data))) {
        strbuf_printf(why, "%s/%s: is damaged: remove it, and everybody has to sign in again",
                      directory, FILE_NAME);
        status = CESID_E_INTERNAL;
    }
    secret_wipe(content.data, content.length);
    strbuf_destroy(&content);
    return status;
}
