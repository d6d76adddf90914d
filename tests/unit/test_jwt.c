/*
 * Session tokens: RFC vectors, and a table of forgeries that must not pass.
 */
#include "cesid/jwt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/base64.h"
#include "cesid/error.h"

#define NOW INT64_C(1700000000)

static const struct jwt_key keys[] = {
    {"0123456789abcdef", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
    {"fedcba9876543210", {42, 43, 44}},
};

static const struct jwt_claims good = {.issuer = "cesid",
                                       .subject = "00112233445566778899aabbccddeeff",
                                       .id = "ffeeddccbbaa99887766554433221100",
                                       .issued_at = NOW,
                                       .expires_at = NOW + 3600};

static int verify(const char *token, int64_t now, struct jwt_claims *claims)
{
    const char *why = NULL;
    int status =
        jwt_verify(token, strlen(token), keys, ARRAY_LENGTH(keys), "cesid", now, claims, &why);
    assert_non_null(why);
    assert_true((status == 0) == (why[0] == '\0'));
    return status;
}

static char *sign(const struct jwt_claims *claims)
{
    struct strbuf token;
    strbuf_init(&token, JWT_LENGTH_MAX);
    jwt_sign(&token, &keys[0], claims);
    assert_false(strbuf_failed(&token));
    return strbuf_steal(&token);
}

/* A token with any header and payload, rightly signed with that key. */
static char *forge(const struct jwt_key *key, const char *header, const char *payload)
{
    struct strbuf token;
    strbuf_init(&token, 65536);
    base64url_add(&token, header, strlen(header));
    strbuf_putc(&token, '.');
    base64url_add(&token, payload, strlen(payload));
    char signature[JWT_SIGNATURE_SIZE];
    jwt_signature(key->secret, sizeof key->secret, token.data, token.length, signature);
    strbuf_putc(&token, '.');
    strbuf_puts(&token, signature);
    return strbuf_steal(&token);
}

static void test_base64_vectors(void **state)
{
    /* RFC 4648 section 10, without padding, and the letters that differ from plain base64. */
    static const char *const vectors[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "_---"}};
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        struct strbuf out;
        char decoded[16];
        strbuf_init(&out, 64);
        base64url_add(&out, vectors[i][0], strlen(vectors[i][0]));
        assert_string_equal(out.data, vectors[i][1]);
        assert_int_equal(base64url_decode(out.data, out.length, decoded, sizeof decoded),
                         strlen(vectors[i][0]));
        assert_memory_equal(decoded, vectors[i][0], strlen(vectors[i][0]));
        strbuf_destroy(&out);
    }
}

static void test_base64_strict(void **state)
{
    static const char *const wrong[] = {"Z",    "Zg==", "Zh",    "Zm9", "Zm9v ",     "Zm9v\n",
                                        "Zm+v", "Zm/v", "Zm9vY", "Zg=", "\xc3\xa4zz"};
    char decoded[16];
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(base64url_decode(wrong[i], strlen(wrong[i]), decoded, sizeof decoded), -1);
    assert_int_equal(base64url_decode("Zm9v", 4, decoded, 2), -1);
}

static void test_rfc7515(void **state)
{
    /* RFC 7515 appendix A.1: key, signing input and signature. */
    static const char key_text[] = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Y"
                                   "j0iPS4hcgUuTwjAzZr1Z9CAow";
    static const char input[] = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJle"
                                "HAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn"
                                "VlfQ";
    unsigned char key[64];
    char signature[JWT_SIGNATURE_SIZE];
    (void) state;
    assert_int_equal(base64url_decode(key_text, strlen(key_text), key, sizeof key), 64);
    jwt_signature(key, sizeof key, input, strlen(input), signature);
    assert_string_equal(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

static void test_rfc4231(void **state)
{
    /* RFC 4231 test case 2. */
    static const unsigned char expected[32] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
                                               0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                               0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
                                               0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    char signature[JWT_SIGNATURE_SIZE];
    unsigned char digest[32];
    (void) state;
    jwt_signature("Jefe", 4, "what do ya want for nothing?", 28, signature);
    assert_int_equal(base64url_decode(signature, strlen(signature), digest, sizeof digest), 32);
    assert_memory_equal(digest, expected, 32);
}

static void test_round_trip(void **state)
{
    struct jwt_claims claims;
    char *token = sign(&good);
    (void) state;
    assert_int_equal(verify(token, NOW, &claims), 0);
    assert_string_equal(claims.issuer, good.issuer);
    assert_string_equal(claims.subject, good.subject);
    assert_string_equal(claims.id, good.id);
    assert_int_equal(claims.issued_at, good.issued_at);
    assert_int_equal(claims.expires_at, good.expires_at);
    assert_int_equal(verify(token, NOW + 3599, &claims), 0);
    assert_int_equal(verify(token, NOW + 3600, &claims), CESID_E_SESSION_EXPIRED);
    assert_int_equal(verify(token, NOW - 30, &claims), 0);
    assert_int_equal(verify(token, NOW - 3600, &claims), CESID_E_UNAUTHENTICATED);
    free(token);
}

static void test_rotation(void **state)
{
    struct jwt_claims claims;
    const char *why = NULL;
    struct strbuf token;
    (void) state;
    strbuf_init(&token, JWT_LENGTH_MAX);
    jwt_sign(&token, &keys[1], &good);
    assert_int_equal(verify(token.data, NOW, &claims), 0);
    /* The key was taken out of the file. */
    assert_int_equal(jwt_verify(token.data, token.length, keys, 1, "cesid", NOW, &claims, &why),
                     CESID_E_UNAUTHENTICATED);
    strbuf_destroy(&token);
}

#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}"
#define PAYLOAD                                                                                    \
    "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}"

static void test_forged_headers(void **state)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"None\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"none\"}",
        "{}",
        "",
        "{\"alg\":\"HS384\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"hs256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"fedcba9876543210\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../etc/passwd\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef' OR 1=1\"}",
        "{\"typ\":\"JWT\",\"alg\":\"HS256\",\"kid\":\"0123456789abcdef\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\",\"crit\":[\"x\"]}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\",\"jwk\":{}}",
        "{\"alg\":\"HS256\",\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"0123456789abcdef\"}",
        HEADER " ",
        HEADER "{}",
    };
    struct jwt_claims claims;
    (void) state;
    char *token = forge(&keys[0], HEADER, PAYLOAD);
    assert_int_equal(verify(token, NOW, &claims), 0);
    free(token);
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        token = forge(&keys[0], headers[i], PAYLOAD);
        assert_int_equal(verify(token, NOW, &claims), CESID_E_UNAUTHENTICATED);
        /* And without a signature. */
        strrchr(token, '.')[1] = '\0';
        assert_int_equal(verify(token, NOW, &claims), CESID_E_UNAUTHENTICATED);
        free(token);
    }
    token = forge(&keys[1], HEADER, PAYLOAD);
    assert_int_equal(verify(token, NOW, &claims), CESID_E_UNAUTHENTICATED);
    free(token);
}

static void test_forged_payloads(void **state)
{
    static const char *const payloads[] = {
        "",
        "{}",
        "[]",
        "null",
        "\"cesid\"",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":\"other\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":7,\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":[\"cesid\"],\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b'--\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":\"1700003600\"}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600.5}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1e300}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":-1,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700003600,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700003000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600,"
        "\"admin\":true}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"sub\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        PAYLOAD "x",
        " " PAYLOAD,
        "{ \"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"sub\":\"a\",\"iss\":\"cesid\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"\\u0061\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":"
        "1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":01700000000,\"exp\":1700003600}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,\"exp\":}",
        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1700000000,"
        "\"exp\":1700003600000000000000000000}",
    };
    struct jwt_claims claims;
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(payloads); i++) {
        char *token = forge(&keys[0], HEADER, payloads[i]);
        assert_int_equal(verify(token, NOW, &claims), CESID_E_UNAUTHENTICATED);
        free(token);
    }
    char *token = forge(&keys[0], HEADER,
                        "{\"iss\":\"cesid\",\"sub\":\"a\",\"jti\":\"b\",\"iat\":1,\"exp\":2}");
    assert_int_equal(verify(token, NOW, &claims), CESID_E_SESSION_EXPIRED);
    free(token);
}

static void test_every_changed_byte(void **state)
{
    struct jwt_claims claims;
    char *token = sign(&good);
    size_t length = strlen(token);
    (void) state;
    for (size_t i = 0; i < length; i++) {
        char before = token[i];
        for (int bit = 0; bit < 7; bit++) {
            token[i] = (char) (before ^ (1 << bit));
            if (token[i])
                assert_int_equal(verify(token, NOW, &claims), CESID_E_UNAUTHENTICATED);
        }
        token[i] = before;
    }
    for (size_t cut = 0; cut < length; cut++) {
        const char *why = NULL;
        assert_int_equal(
            jwt_verify(token, cut, keys, ARRAY_LENGTH(keys), "cesid", NOW, &claims, &why),
            CESID_E_UNAUTHENTICATED);
    }
    free(token);
}

static void test_shapes(void **state)
{
    struct jwt_claims claims;
    char *token = sign(&good);
    struct strbuf text;
    (void) state;
    strbuf_init(&text, 4 << 20);
    static const char *const suffixes[] = {".", ".x", "=", " ", "\n", "A", "%00"};
    for (size_t i = 0; i < ARRAY_LENGTH(suffixes); i++) {
        strbuf_clear(&text);
        strbuf_puts(&text, token);
        strbuf_puts(&text, suffixes[i]);
        assert_int_equal(verify(text.data, NOW, &claims), CESID_E_UNAUTHENTICATED);
    }
    static const char *const texts[] = {"", ".", "..", "...", "a.b.c", "Bearer", "....."};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_int_equal(verify(texts[i], NOW, &claims), CESID_E_UNAUTHENTICATED);
    strbuf_clear(&text);
    for (int i = 0; i < 1 << 20; i++)
        strbuf_puts(&text, "a.");
    assert_int_equal(verify(text.data, NOW, &claims), CESID_E_UNAUTHENTICATED);
    strbuf_destroy(&text);
    free(token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64_vectors),
        cmocka_unit_test(test_base64_strict),
        cmocka_unit_test(test_rfc7515),
        cmocka_unit_test(test_rfc4231),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rotation),
        {.name = "R3.3 a token with another header is refused", .test_func = test_forged_headers},
        {.name = "R3.3 a token with other claims is refused", .test_func = test_forged_payloads},
        {.name = "R3.3 a token with a changed byte is refused",
         .test_func = test_every_changed_byte},
        {.name = "R3.3 a token of another shape is refused", .test_func = test_shapes},
    };
    return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
