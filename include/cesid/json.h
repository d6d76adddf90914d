/*
 * JSON. Output: a streaming writer into a strbuf that places commas and escapes. Input: cJSON
 * behind a strict gate (UTF-8, depth at most 16, no duplicate keys, no trailing bytes).
 * Pure functions.
 */
#ifndef CESID_JSON_H
#define CESID_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/strbuf.h"

/* A writer over a buffer: embed or keep on the stack. Depth is at most 32 (checked). */
struct json {
    struct strbuf *out;
    uint32_t has_items; /* a bit a level */
    int depth;
    bool after_key;
};

void json_start(struct json *json, struct strbuf *out);
void json_object(struct json *json);
void json_object_end(struct json *json);
void json_array(struct json *json);
void json_array_end(struct json *json);
void json_key(struct json *json, const char *key);      /* a plain ASCII literal */
void json_string(struct json *json, const char *value); /* NULL writes null */
void json_bytes(struct json *json, const char *value, size_t length);
void json_integer(struct json *json, int64_t value);
void json_real(struct json *json, double value); /* 6 significant decimals; not finite: null */
void json_boolean(struct json *json, bool value);
void json_null(struct json *json);
void json_time(struct json *json, int64_t wall_ms);                /* RFC 3339; 0 writes null */
void json_raw(struct json *json, const char *text, size_t length); /* a rendered value */

/* key and value at once */
void json_put_string(struct json *json, const char *key, const char *value);
void json_put_integer(struct json *json, const char *key, int64_t value);
void json_put_real(struct json *json, const char *key, double value);
void json_put_boolean(struct json *json, const char *key, bool value);
void json_put_null(struct json *json, const char *key);
void json_put_time(struct json *json, const char *key, int64_t wall_ms);
void json_put_raw(struct json *json, const char *key, const char *text, size_t length);

/* 0 and a tree in *tree (caller: cJSON_Delete), or CESID_E_INVALID_JSON and a static reason. */
int json_parse(const char *data, size_t length, cJSON **tree, const char **why) CESID_WARN_UNUSED;

#endif
