/*
 * The chain over records of activity. See activity_chain.h. No locks; the journal's thread alone
 * remembers the head.
 *
 * The head file has two slots that are written in turn, each with an HMAC of its own: one that a
 * crash tore is not taken for the other.
 */
#include "cesid/activity_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/secret.h"
#include "cesid/statefile.h"
#include "cesid/text.h"

#define KEY_FILE      "activity.key"
#define HEAD_FILE     "activity.head"
#define KEY_SIZE      32
#define INSTANCE_SIZE 33
#define SLOT_SIZE     128
#define INPUT_MAX     ((size_t) 32 << 10)
#define HEX_DIGITS    "0123456789abcdef"

struct activity_chain {
    /* immutable */
    unsigned char key[KEY_SIZE];
    char instance[INSTANCE_SIZE];
    int head; /* the file */
    /* owned by the caller's one thread */
    bool odd; /* which slot is next */
};

/* ---- the key ---- */

static unsigned digit(char c)
{
    return (unsigned) (c <= '9' ? c - '0' : c - 'a' + 10);
}

static bool parse_key(struct activity_chain *chain, const struct strbuf *content)
{
    const size_t instance = INSTANCE_SIZE - 1, hex = (size_t) 2 * KEY_SIZE;
    const char *text = content->data;

    if (content->length != instance + 1 + hex + 1 || strspn(text, HEX_DIGITS) != instance ||
        text[instance] != ' ' || strspn(text + instance + 1, HEX_DIGITS) != hex ||
        text[content->length - 1] != '\n')
        return false;
    memcpy(chain->instance, text, instance);
    text += instance + 1;
    for (size_t i = 0; i < KEY_SIZE; i++)
        chain->key[i] = (unsigned char) (digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    return true;
}

static int make_key(const char *state_dir, struct strbuf *why)
{
    char instance[INSTANCE_SIZE], hex[2 * KEY_SIZE + 1];
    char *temporary = NULL;
    struct strbuf line;
    int error;

    random_hex(instance, (INSTANCE_SIZE - 1) / 2);
    random_hex(hex, KEY_SIZE);
    strbuf_init(&line, 256);
    strbuf_printf(&line, "%s %s\n", instance, hex);
    error = statefile_prepare(state_dir, KEY_FILE, line.data, line.length, &temporary, why);
    if (error == CESID_OK)
        error = statefile_create(state_dir, KEY_FILE, temporary, why);
    if (error == CESID_OK)
        log_info("journal", "made the key of the activity record's chain",
                 log_s("directory", state_dir));
    free(temporary);
    secret_wipe(hex, sizeof(hex));
    secret_wipe(line.data, line.length);
    strbuf_destroy(&line);
    return error == CESID_E_CONFLICT ? CESID_OK : error;
}

static int read_key(struct activity_chain *chain, const char *state_dir, bool reading,
                    struct strbuf *why)
{
    struct strbuf content;
    bool found = false;
    int error;

    strbuf_init(&content, 256);
    error = statefile_read(state_dir, KEY_FILE, &content, &found, why);
    if (error == CESID_OK && !found && reading) {
        strbuf_printf(why, "%s/" KEY_FILE ": is missing: without it no record can be verified",
                      state_dir);
        error = CESID_E_INTERNAL;
    } else if (error == CESID_OK && !found) {
        error = make_key(state_dir, why);
        if (error == CESID_OK)
            error = statefile_read(state_dir, KEY_FILE, &content, &found, why);
    }
    if (error == CESID_OK && !parse_key(chain, &content)) {
        strbuf_printf(why,
                      "%s/" KEY_FILE ": is damaged: restore it, or remove it to begin a new chain "
                      "of activity records",
                      state_dir);
        error = CESID_E_INTERNAL;
    }
    secret_wipe(content.data, content.length);
    strbuf_destroy(&content);
    return error;
}

int activity_chain_open(const char *state_dir, bool reading, struct activity_chain **result,
                        struct strbuf *why)
{
    struct activity_chain *chain = mem_alloc(sizeof(*chain));
    char *path = statefile_path(state_dir, HEAD_FILE);
    int error;

    chain->head = -1;
    error = read_key(chain, state_dir, reading, why);
    if (error == CESID_OK) {
        int flags = reading ? O_RDONLY : O_RDWR | O_CREAT;
        chain->head = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (chain->head < 0 && !(reading && errno == ENOENT)) {
            strbuf_printf(why, "%s: %s", path, strerror(errno));
            error = CESID_E_INTERNAL;
        }
    }
    free(path);
    if (error != CESID_OK)
        activity_chain_close(&chain);
    *result = chain;
    return error;
}

void activity_chain_close(struct activity_chain **slot)
{
    struct activity_chain *chain = *slot;

    *slot = NULL;
    if (chain == NULL)
        return;
    if (chain->head >= 0)
        close(chain->head);
    secret_wipe(chain, sizeof(*chain));
    free(chain);
}

const char *activity_chain_instance(const struct activity_chain *chain)
{
    return chain->instance;
}

/* ---- the HMACs ---- */

/* Lengths in front, so that no two sequences of texts read the same. */
static void put(struct strbuf *input, const char *text)
{
    strbuf_printf(input, "%zu:", text == NULL ? 0 : strlen(text));
    strbuf_puts(input, text == NULL ? "" : text);
}

static void put_number(struct strbuf *input, int64_t number)
{
    strbuf_printf(input, "%" PRId64 ";", number);
}

static void finish(const struct activity_chain *chain, struct strbuf *input,
                   char mac[ACTIVITY_MAC_SIZE])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    CHECK(!strbuf_failed(input));
    CHECK(HMAC(EVP_sha256(), chain->key, KEY_SIZE, (const unsigned char *) input->data,
               input->length, digest, &length) != NULL);
    for (size_t i = 0; i < (ACTIVITY_MAC_SIZE - 1) / 2; i++)
        (void) snprintf(mac + 2 * i, 3, "%02x", digest[i]);
    strbuf_destroy(input);
}

void activity_chain_next(const struct activity_chain *chain, const struct activity_link *previous,
                         const struct activity *record, struct activity_link *link)
{
    struct strbuf input;
    struct activity_link next = {.number = previous->number + 1};

    strbuf_init(&input, INPUT_MAX);
    put(&input, "link");
    put(&input, previous->mac);
    put(&input, chain->instance);
    put_number(&input, (int64_t) next.number);
    put(&input, record->id);
    put_number(&input, record->at);
    put(&input, record->actor);
    put(&input, record->action);
    put(&input, record->resource);
    put(&input, record->target);
    put(&input, record->environment);
    put(&input, record->request_id);
    put(&input, record->address);
    put(&input, record->user_agent);
    finish(chain, &input, next.mac);
    *link = next;
}

void activity_chain_seal(const struct activity_chain *chain, const struct activity_link *link,
                         const struct activity *record, char seal[ACTIVITY_MAC_SIZE])
{
    struct strbuf input;

    strbuf_init(&input, INPUT_MAX);
    put(&input, "seal");
    put(&input, link->mac);
    put_number(&input, (int64_t) link->number);
    put_number(&input, record->level);
    put_number(&input, record->result);
    put_number(&input, record->status);
    put_number(&input, record->duration);
    put(&input, record->details);
    finish(chain, &input, seal);
}

void activity_chain_anchor(const struct activity_chain *chain, const struct activity_link *link,
                           char seal[ACTIVITY_MAC_SIZE])
{
    struct strbuf input;

    strbuf_init(&input, INPUT_MAX);
    put(&input, "anchor");
    put(&input, chain->instance);
    put(&input, link->mac);
    put_number(&input, (int64_t) link->number);
    finish(chain, &input, seal);
}

bool activity_chain_equal(const char *one, const char *other)
{
    return text_equal_secret(one, strlen(one), other, strlen(other));
}

/* ---- the head ---- */

static void head_seal(const struct activity_chain *chain, const struct activity_link *head,
                      char seal[ACTIVITY_MAC_SIZE])
{
    struct strbuf input;

    strbuf_init(&input, INPUT_MAX);
    put(&input, "head");
    put(&input, head->mac);
    put_number(&input, (int64_t) head->number);
    finish(chain, &input, seal);
}

void activity_chain_remember(struct activity_chain *chain, const struct activity_link *head)
{
    char slot[SLOT_SIZE + 1], seal[ACTIVITY_MAC_SIZE];
    char line[SLOT_SIZE];

    head_seal(chain, head, seal);
    (void) snprintf(line, sizeof(line), "%" PRIu64 " %s %s\n", head->number,
                    head->mac[0] == '\0' ? "-" : head->mac, seal);
    (void) snprintf(slot, sizeof(slot), "%-*s", SLOT_SIZE, line);
    if (pwrite(chain->head, slot, SLOT_SIZE, chain->odd ? SLOT_SIZE : 0) != SLOT_SIZE)
        log_debug("journal", "cannot remember the head of the chain", log_i("errno", errno));
    chain->odd = !chain->odd;
}

/* The next word of the slot, of exactly that length or "-". */
static bool take_mac(const char **at, char mac[ACTIVITY_MAC_SIZE])
{
    size_t length = strspn(*at, HEX_DIGITS "-");

    if (length != 1 && length != ACTIVITY_MAC_SIZE - 1)
        return false;
    memset(mac, 0, ACTIVITY_MAC_SIZE);
    if (length > 1)
        memcpy(mac, *at, length);
    *at += length + 1;
    return true;
}

static bool read_slot(const struct activity_chain *chain, off_t offset, struct activity_link *head)
{
    char slot[SLOT_SIZE + 1] = "", seal[ACTIVITY_MAC_SIZE], wanted[ACTIVITY_MAC_SIZE];
    const char *at;
    char *end;

    if (pread(chain->head, slot, SLOT_SIZE, offset) != SLOT_SIZE)
        return false;
    errno = 0;
    *head = (struct activity_link){.number = strtoull(slot, &end, 10)};
    if (errno != 0 || end == slot || *end != ' ')
        return false;
    at = end + 1;
    if (!take_mac(&at, head->mac) || !take_mac(&at, seal))
        return false;
    head_seal(chain, head, wanted);
    return activity_chain_equal(seal, wanted);
}

bool activity_chain_remembered(const struct activity_chain *chain, struct activity_link *head)
{
    struct activity_link first = {0}, second = {0};
    bool has_first = read_slot(chain, 0, &first), has_second = read_slot(chain, SLOT_SIZE, &second);

    if (!has_first && !has_second)
        return false;
    *head = !has_first || (has_second && second.number > first.number) ? second : first;
    return true;
}
