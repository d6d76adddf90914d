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
#define NUMBER_MAX   9007199254740991.0 /* 2^53 - 1: beyond, a JSON number is not exact */

#define HEADER_START "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\""
#define HEADER_END   "\"}"
#define HEADER_MAX   (sizeof HEADER_START + JWT_KID_SIZE + sizeof HEADER_END)
#define DIGEST_SIZE  32

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
    return length > 0 && length < JWT_TEXT_SIZE &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               length;
}

void jwt_sign(struct strbuf *out, const struct jwt_key *key, const struct jwt_claims *claims)
{
    CHECK(is_claim_text(claims->issuer) && is_claim_text(claims->subject) &&
          is_claim_text(claims->id));
    CHECK(claims->issued_at >= 0 && claims->expires_at > claims->issued_at);

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

static bool read_text(const cJSON *payload, const char *name, char out[JWT_TEXT_SIZE])
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, name);
    if (!cJSON_IsString(item) || !is_claim_text(item->valuestring))
        return false;
    memcpy(out, item->valuestring, strlen(item->valuestring) + 1);
    return true;
}

static bool read_time(const cJSON *payload, const char *name, int64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(payload, name);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= NUMBER_MAX))
        return false;
    *out = (int64_t) item->valuedouble;
    return (double) *out >= item->valuedouble;
}

static int read_payload(const char *text, size_t length, struct jwt_claims *claims,
                        const char **why)
{
    char bytes[PAYLOAD_MAX];
    int64_t size = base64url_decode(text, length, bytes, sizeof bytes);
    if (size < 0) {
        *why = "the payload is not base64url";
        return CESID_E_UNAUTHENTICATED;
    }
    cJSON *payload = NULL;
    const char *reason = NULL;
    if (json_parse(bytes, (size_t) size, &payload, &reason) < 0) {
        *why = "the payload is not JSON";
        return CESID_E_UNAUTHENTICATED;
    }
    int status = CESID_E_UNAUTHENTICATED;
    if (!cJSON_IsObject(payload) || cJSON_GetArraySize(payload) != 5)
        *why = "the payload has other claims than expected";
    else if (!read_text(payload, "iss", claims->issuer) ||
             !read_text(payload, "sub", claims->subject) ||
             !read_text(payload, "jti", claims->id) ||
             !read_time(payload, "iat", &claims->issued_at) ||
             !read_time(payload, "exp", &claims->expires_at))
        *why = "a claim is missing or wrong";
    else
        status = 0;
    cJSON_Delete(payload);
    return status;
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
