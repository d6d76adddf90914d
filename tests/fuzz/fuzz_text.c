/*
 * Whatever bytes are logged or shown: escaped for the log they are one line of printable ASCII or
 * valid UTF-8, in JSON they are one string, and as UTF-8 they are UTF-8.
 */
#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/json.h"
#include "cesid/strbuf.h"
#include "cesid/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void no_control(const struct strbuf *text)
{
    CHECK(text_is_utf8(text->data, text->length));
    for (size_t i = 0; i < text->length; i++)
        CHECK((unsigned char) text->data[i] >= 0x20 && text->data[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data;
    const char *why;
    struct strbuf text;
    cJSON *tree = NULL;

    strbuf_init(&text, size * 16 + 64);
    text_add_escaped(&text, bytes, size);
    CHECK(!strbuf_failed(&text));
    no_control(&text);
    strbuf_clear(&text);

    text_add_json(&text, bytes, size);
    CHECK(!strbuf_failed(&text));
    no_control(&text);
    /* cJSON cannot hold a NUL inside a string, so our reader refuses one. */
    if (memchr(data, '\0', size) == NULL) {
        CHECK(json_parse(text.data, text.length, &tree, &why) == 0 && cJSON_IsString(tree));
        if (text_is_utf8(bytes, size))
            CHECK(strlen(tree->valuestring) == size && memcmp(tree->valuestring, data, size) == 0);
        cJSON_Delete(tree);
    }
    strbuf_clear(&text);

    text_add_utf8(&text, bytes, size);
    CHECK(!strbuf_failed(&text) && text_is_utf8(text.data, text.length));
    CHECK(!text_is_utf8(bytes, size) ||
          (text.length == size && memcmp(text.data, data, size) == 0));
    strbuf_destroy(&text);
    return 0;
}
