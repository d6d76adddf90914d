/*
 * Whatever a node answers: it is an answer or it is none, every string of it is valid UTF-8 and
 * ends in a NUL, and the limits hold.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/supervisor.h"
#include "cesid/text.h"
#include "cesid/xmlrpc.h"

#define VALUES_MAX 200
#define DEPTH_MAX  6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct xmlrpc_value *value, int depth)
{
    CHECK(depth <= DEPTH_MAX);
    size_t values = 1, items = 0;
    switch (value->type) {
    case XMLRPC_STRING:
        CHECK(text_is_utf8(value->as.string.data, value->as.string.length));
        CHECK(value->as.string.data[value->as.string.length] == '\0');
        break;
    case XMLRPC_BOOLEAN:
        CHECK(value->as.integer == 0 || value->as.integer == 1);
        break;
    case XMLRPC_ARRAY:
    case XMLRPC_STRUCT: {
        struct supervisor_process process;
        if (supervisor_read_process(value, &process))
            CHECK(strlen(process.name) > 0 && strlen(process.group) > 0);
        for (const struct xmlrpc_value *i = value->as.items.first; i != NULL; i = i->next) {
            CHECK((i->name != NULL) == (value->type == XMLRPC_STRUCT));
            CHECK(i->name == NULL || xmlrpc_member(value, i->name) != NULL);
            values += walk(i, depth + 1);
            items++;
        }
        CHECK(items == value->as.items.count);
        break;
    }
    case XMLRPC_NIL:
    case XMLRPC_INT:
    case XMLRPC_DOUBLE:
    default:
        break;
    }
    return values;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct xmlrpc_limits limits = {.values = VALUES_MAX, .depth = DEPTH_MAX};
    struct xmlrpc_answer answer;
    const char *why;
    if (xmlrpc_parse((const char *) data, size, &limits, &answer, &why) < 0) {
        CHECK(why != NULL && answer.arena == NULL);
        return 0;
    }
    if (answer.fault)
        CHECK(text_is_utf8(answer.fault_text, strlen(answer.fault_text)));
    else
        CHECK(walk(answer.value, 1) <= VALUES_MAX);
    xmlrpc_answer_free(&answer);
    return 0;
}
