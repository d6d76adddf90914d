/*
 * Session tokens, HS256 only. Small on purpose: there is no algorithm to choose, no header to
 * interpret, no optional claim, so that there is nothing to confuse. Pure functions without locks.
 */
#include "cesid/jwt.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "cesid/base64.h"
#include "cesid/error.h"
#include "cesid/json.h"
#include "cesid/text.h"

#define PAYLOAD_MAX 512
/* A clock that was set back a little must not void fresh tokens. */
#define SKEW_SECONDS 60
#define TIME_DIGITS  15 /* a JSON number of them is exact */
#define TIME_MAX     INT64_C(999999999999999)

#define HEADER_START "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\""
#define HEADER_END   "\"}"
#define HEADER_MAX   (sizeof HEADER_START + JWT_KID_SIZE + sizeof HEADER_END)
#define DIGEST_SIZE  32

#define CLAIM_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static void make_digest(const void *key, size_t key_length, const char *input, size_t length,
                        unsigned char digest[DIGEST_SIZE])
{
    unsigned int digest_length = DIGEST_SIZE;
    CHECK(key_length <= INT32_MAX);
    CHECK(HMAC(EVP_sha256(), key, (int) key_length, (const unsigned char *) input, length, digest,
               &digest_length));
    CHECK(digest_length == DIGEST_SIZE);
}

void jwt_signature(const void *key, size_t key_length, const char *input, size_t length,
                   char out[JWT_SIGNATURE_SIZE])
{
    unsigned char digest[DIGEST_SIZE];
    struct strbuf text;
    make_digest(key, key_length, input, length, digest);
    strbuf_init(&text, JWT_SIGNATURE_SIZE - 1);
    base64url_add(&text, digest, sizeof digest);
    CHECK(!strbuf_failed(&text) && text.length == JWT_SIGNATURE_SIZE - 1);
    memcpy(out, text.data, JWT_SIGNATURE_SIZE);
    strbuf_destroy(&text);
}

static void add_header(struct strbuf *out, const struct jwt_key *key)
{
    char header[HEADER_MAX];
    int length = snprintf(header, sizeof header, HEADER_START "%s" HEADER_END, key->kid);
    CHECK(length > 0 && (size_t) length < sizeof header);
    base64url_add(out, header, (size_t) length);
}

static bool is_claim_text(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length < JWT_TEXT_SIZE && strspn(text, CLAIM_LETTERS) == length;
}

void jwt_sign(struct strbuf *out, const struct jwt_key *key, const struct jwt_claims *claims)
{
    CHECK(is_claim_text(claims->issuer) && is_claim_text(claims->subject) &&
          is_claim_text(claims->id));
    CHECK(claims->issued_at >= 0 && claims->expires_at > claims->issued_at &&
          claims->expires_at <= TIME_MAX);

    struct strbuf payload;
    strbuf_init(&payload, PAYLOAD_MAX);
    struct json json;
    json_start(&json, &payload);
    json_object(&json);
    json_put_string(&json, "iss", claims->issuer);
    json_put_string(&json, "sub", claims->subject);
    json_put_string(&json, "jti", claims->id);
    json_put_integer(&json, "iat", claims->issued_at);
    json_put_integer(&json, "exp", claims->expires_at);
    json_object_end(&json);
    CHECK(!strbuf_failed(&payload));

    size_t start = out->length;
    add_header(out, key);
    strbuf_putc(out, '.');
    base64url_add(out, payload.data, payload.length);
    strbuf_destroy(&payload);
    char signature[JWT_SIGNATURE_SIZE];
    jwt_signature(key->secret, sizeof key->secret, out->data + start, out->length - start,
                  signature);
    strbuf_putc(out, '.');
    strbuf_puts(out, signature);
}

/* Every request comes by here: the header is compared as it must be, not interpreted, and nothing
 * is allocated. */
static const struct jwt_key *key_of_header(const char *text, size_t length,
                                           const struct jwt_key *keys, size_t count)
{
    const size_t start = strlen(HEADER_START), end = strlen(HEADER_END);
    char header[HEADER_MAX];
    int64_t decoded = base64url_decode(text, length, header, sizeof header);
    size_t size = decoded < 0 ? 0 : (size_t) decoded;
    if (size < start + end || memcmp(header, HEADER_START, start) != 0 ||
        memcmp(header + size - end, HEADER_END, end) != 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strlen(keys[i].kid) == size - start - end &&
            memcmp(header + start, keys[i].kid, size - start - end) == 0)
            return &keys[i];
    return NULL;
}

static bool signature_holds(const struct jwt_key *key, const char *text, size_t length,
                            const char *signature, size_t signature_length)
{
    unsigned char expected[DIGEST_SIZE];
    char sent[DIGEST_SIZE];
    make_digest(key->secret, sizeof key->secret, text, length, expected);
    /* Bytes have one spelling in base64url, so comparing them is comparing the text. */
    return base64url_decode(signature, signature_length, sent, sizeof sent) == DIGEST_SIZE &&
           text_equal_secret(sent, sizeof sent, (const char *) expected, sizeof expected);
}

static bool skip(const char **at, const char *text)
{
    size_t length = strlen(text);
    if (strncmp(*at, text, length) != 0)
        return false;
    *at += length;
    return true;
}

/* What stands before the value, and the value. */
static bool read_text(const char **at, const char *before, char out[JWT_TEXT_SIZE])
{
    if (!skip(at, before))
        return false;
    size_t length = strspn(*at, CLAIM_LETTERS);
    if (length == 0 || length >= JWT_TEXT_SIZE)
        return false;
    memcpy(out, *at, length);
    out[length] = '\0';
    *at += length;
    return true;
}

static bool read_time(const char **at, const char *before, int64_t *out)
{
    if (!skip(at, before))
        return false;
    size_t length = strspn(*at, "0123456789");
    if (length == 0 || length > TIME_DIGITS || (length > 1 && **at == '0'))
        return false;
    *out = 0;
    for (const char *end = *at + length; *at < end; (*at)++)
        *out = *out * 10 + (**at - '0');
    return true;
}

/* Like the header it has one spelling, that of jwt_sign. */
static int read_payload(const char *text, size_t length, struct jwt_claims *claims,
                        const char **why)
{
    char bytes[PAYLOAD_MAX + 1];
    int64_t size = base64url_decode(text, length, bytes, PAYLOAD_MAX);
    if (size < 0) {
        *why = "the payload is not base64url";
        return CESID_E_UNAUTHENTICATED;
    }
    bytes[size] = '\0';
    const char *at = bytes;
    if (read_text(&at, "{\"iss\":\"", claims->issuer) &&
        read_text(&at, "\",\"sub\":\"", claims->subject) &&
        read_text(&at, "\",\"jti\":\"", claims->id) &&
        read_time(&at, "\",\"iat\":", &claims->issued_at) &&
        read_time(&at, ",\"exp\":", &claims->expires_at) && skip(&at, "}") && at == bytes + size)
        return 0;
    *why = "the payload is not one that this server writes";
    return CESID_E_UNAUTHENTICATED;
}

int jwt_verify(const char *token, size_t length, const struct jwt_key *keys, size_t keys_count,
               const char *issuer, int64_t now, struct jwt_claims *claims, const char **why)
{
    *claims = (struct jwt_claims){0};
    *why = "";
    if (length > JWT_LENGTH_MAX) {
        *why = "the token is too long";
        return CESID_E_UNAUTHENTICATED;
    }
    const char *end = token + length;
    const char *payload = memchr(token, '.', length);
    const char *signature = NULL;
    if (payload) {
        payload++;
        signature = memchr(payload, '.', (size_t) (end - payload));
    }
    if (!signature || memchr(signature + 1, '.', (size_t) (end - signature - 1))) {
        *why = "the token has not three parts";
        return CESID_E_UNAUTHENTICATED;
    }
    signature++;

    const struct jwt_key *key =
        key_of_header(token, (size_t) (payload - 1 - token), keys, keys_count);
    if (!key) {
        *why = "the header is not one that this server writes";
        return CESID_E_UNAUTHENTICATED;
    }
    if (!signature_holds(key, token, (size_t) (signature - 1 - token), signature,
                         (size_t) (end - signature))) {
        *why = "the signature is wrong";
        return CESID_E_UNAUTHENTICATED;
    }

    int status = read_payload(payload, (size_t) (signature - 1 - payload), claims, why);
    if (status < 0)
        return status;
    if (strcmp(claims->issuer, issuer) != 0) {
        *why = "another issuer signed it";
        return CESID_E_UNAUTHENTICATED;
    }
    if (claims->expires_at <= claims->issued_at || claims->issued_at > now + SKEW_SECONDS) {
        *why = "its times make no sense";
        return CESID_E_UNAUTHENTICATED;
    }
    if (claims->expires_at <= now) {
        *why = "it has expired";
        return CESID_E_SESSION_EXPIRED;
    }
    return 0;
}
