/*
 * Whatever stands in a cursor or a bearer token. base64url has one text for a sequence of bytes,
 * what decodes is written the same again; and no token but our own is genuine.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/base64.h"
#include "cesid/check.h"
#include "cesid/error.h"
#include "cesid/jwt.h"
#include "cesid/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW 1700000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct jwt_key key = {.kid = "0123456789abcdef", .secret = "not to be guessed"};
    static const struct jwt_claims ours = {"cesid", "user", "session", NOW - 10, NOW + 10};
    const char *text = (const char *) data;
    const char *why = NULL;
    struct jwt_claims claims;
    struct strbuf again;
    unsigned char *bytes = mem_alloc(size + 1);

    int64_t length = base64url_decode(text, size, bytes, size);
    strbuf_init(&again, size * 2 + JWT_LENGTH_MAX);
    if (length >= 0) {
        base64url_add(&again, bytes, (size_t) length);
        CHECK(again.length == size && memcmp(again.data, data, size) == 0);
    }
    strbuf_clear(&again);
    jwt_sign(&again, &key, &ours);
    bool same = again.length == size && memcmp(again.data, data, size) == 0;
    int error = jwt_verify(text, size, &key, 1, "cesid", NOW, &claims, &why);
    CHECK((error == 0) == same);
    CHECK(error == 0 || why != NULL || error == CESID_E_SESSION_EXPIRED);
    strbuf_destroy(&again);
    free(bytes);
    return 0;
}
