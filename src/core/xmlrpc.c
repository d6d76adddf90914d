/*
 * Reading XML-RPC answers: a SAX2 handler that walks the grammar of methodResponse and builds
 * values in an arena. Any thread; the only thing shared is libxml2's one-time start.
 *
 * The grammar is checked element by element and the first breach stops the parser, so that no
 * input costs more than its length. There is no DTD and hence no entity but XML's five: a DOCTYPE
 * is refused where it begins. Errors go to a handler that keeps them off standard error.
 */
#include "cesid/xmlrpc.h"

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "xmlrpc_prepare.h"

enum element {
    DOCUMENT,
    METHOD_RESPONSE,
    PARAMS,
    PARAM,
    FAULT,
    VALUE,
    INT,
    I8,
    BOOLEAN,
    STRING,
    DOUBLE,
    BASE64,
    DATETIME,
    NIL,
    ARRAY,
    DATA,
    STRUCT,
    MEMBER,
    NAME,
    ELEMENTS
};

#define BIT(element) (UINT32_C(1) << (element))
#define TYPES                                                                                      \
    (BIT(INT) | BIT(I8) | BIT(BOOLEAN) | BIT(STRING) | BIT(DOUBLE) | BIT(BASE64) | BIT(DATETIME) | \
     BIT(NIL) | BIT(ARRAY) | BIT(STRUCT))

/* What may come inside, and whether more than one of it. */
static const struct {
    uint32_t children;
    bool many;
    bool text;
} grammar[ELEMENTS] = {
    [DOCUMENT] = {.children = BIT(METHOD_RESPONSE)},
    [METHOD_RESPONSE] = {.children = BIT(PARAMS) | BIT(FAULT)},
    [PARAMS] = {.children = BIT(PARAM)},
    [PARAM] = {.children = BIT(VALUE)},
    [FAULT] = {.children = BIT(VALUE)},
    [VALUE] = {.children = TYPES, .text = true},
    [INT] = {.text = true},
    [I8] = {.text = true},
    [BOOLEAN] = {.text = true},
    [STRING] = {.text = true},
    [DOUBLE] = {.text = true},
    [BASE64] = {.text = true},
    [DATETIME] = {.text = true},
    [NIL] = {.children = 0},
    [ARRAY] = {.children = BIT(DATA)},
    [DATA] = {.children = BIT(VALUE), .many = true},
    [STRUCT] = {.children = BIT(MEMBER), .many = true},
    [MEMBER] = {.children = BIT(NAME) | BIT(VALUE), .many = true},
    [NAME] = {.text = true},
};

struct frame {
    enum element element;
    size_t children;
    struct xmlrpc_value *value; /* VALUE and what is in it: the value being built */
    struct xmlrpc_value **tail; /* ARRAY, DATA, STRUCT: where the next item goes */
    const char *name;           /* MEMBER: once its name was read */
};

/* The response, its params and param, three elements for each value that holds another, the
 * innermost value and its type. */
#define FRAMES_MAX (3 * XMLRPC_DEPTH_MAX + 8)

struct parser {
    xmlParserCtxtPtr context;
    struct xmlrpc_arena *arena;
    const struct xmlrpc_limits *limits;
    const char *why; /* the first thing that was wrong */
    struct xmlrpc_value *root;
    bool fault;
    bool mapped;
    size_t values;
    int depth;
    int top;
    /* Text of the innermost element so far. An element that turns out to hold elements keeps none,
     * so one buffer does for all. */
    char *text;
    size_t text_length, text_capacity;
    struct frame frames[FRAMES_MAX];
};

static void fail(struct parser *parser, const char *why)
{
    if (parser->why == NULL)
        parser->why = why;
    xmlStopParser(parser->context);
}

static enum element element_of(const char *name)
{
    static const struct {
        const char *name;
        enum element element;
    } names[] = {
        /* the most frequent first */
        {"value", VALUE},     {"name", NAME},
        {"member", MEMBER},   {"string", STRING},
        {"int", INT},         {"struct", STRUCT},
        {"array", ARRAY},     {"data", DATA},
        {"boolean", BOOLEAN}, {"i4", INT},
        {"i8", I8},           {"double", DOUBLE},
        {"base64", BASE64},   {"dateTime.iso8601", DATETIME},
        {"nil", NIL},         {"methodResponse", METHOD_RESPONSE},
        {"params", PARAMS},   {"param", PARAM},
        {"fault", FAULT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].element;
    return ELEMENTS;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool all_space(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_space(text[i]))
            return false;
    return true;
}

/* A new value, hung where its parent wants it. NULL after fail(). */
static struct xmlrpc_value *open_value(struct parser *parser, struct frame *parent)
{
    if (++parser->values > parser->limits->values) {
        fail(parser, "it holds too many values");
        return NULL;
    }
    if (++parser->depth > parser->limits->depth || parser->depth > XMLRPC_DEPTH_MAX) {
        fail(parser, "its values are nested too deeply");
        return NULL;
    }
    if (parent->element == MEMBER && parent->name == NULL) {
        fail(parser, "a member has no name");
        return NULL;
    }
    struct xmlrpc_value *value = arena_take(parser->arena, sizeof(*value));
    *value = (struct xmlrpc_value){.type = XMLRPC_STRING, .as.string.data = ""};
    if (parent->element == PARAM || parent->element == FAULT) {
        parser->root = value;
        parser->fault = parent->element == FAULT;
        return value;
    }
    /* DATA carries its array, MEMBER its struct; the struct's frame is below the member's. */
    struct frame *list = parent->element == MEMBER ? parent - 1 : parent;
    value->name = parent->element == MEMBER ? parent->name : NULL;
    *list->tail = value;
    list->tail = &value->next;
    list->value->as.items.count++;
    return value;
}

static void on_start(void *argument, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespaces_count, const xmlChar **namespaces, int attributes_count,
                     int defaulted, const xmlChar **attributes)
{
    (void) uri, (void) namespaces_count, (void) namespaces, (void) attributes_count;
    (void) defaulted, (void) attributes;
    struct parser *parser = argument;
    if (parser->why != NULL)
        return;
    enum element element = prefix == NULL ? element_of((const char *) name) : ELEMENTS;
    struct frame *parent = &parser->frames[parser->top];
    if (element == ELEMENTS || (grammar[parent->element].children & BIT(element)) == 0) {
        fail(parser, "it holds an element that does not belong there");
        return;
    }
    if (parent->children++ > 0 && !grammar[parent->element].many) {
        fail(parser, "it holds an element twice");
        return;
    }
    if (parent->element == MEMBER &&
        (element == NAME ? parent->children != 1 : parent->children != 2)) {
        fail(parser, "a member is not one name and one value");
        return;
    }
    if (!all_space(parser->text, parser->text_length)) {
        fail(parser, "it holds text between elements");
        return;
    }
    parser->text_length = 0;
    CHECK(parser->top + 1 < FRAMES_MAX); /* the depth of values bounds that of elements */
    struct frame *frame = &parser->frames[++parser->top];
    *frame = (struct frame){.element = element, .value = parent->value, .tail = parent->tail};
    if (element == VALUE) {
        frame->value = open_value(parser, parent);
    } else if (element == ARRAY || element == STRUCT) {
        frame->value->type = element == ARRAY ? XMLRPC_ARRAY : XMLRPC_STRUCT;
        frame->value->as.items.first = NULL;
        frame->value->as.items.count = 0;
        frame->tail = &frame->value->as.items.first;
    }
}

static void on_text(void *argument, const xmlChar *text, int length)
{
    struct parser *parser = argument;
    if (parser->why != NULL || length <= 0)
        return;
    size_t more = (size_t) length;
    const struct frame *frame = &parser->frames[parser->top];
    if (!grammar[frame->element].text || frame->children > 0) {
        if (!all_space((const char *) text, more))
            fail(parser, "it holds text between elements");
        return;
    }
    if (more > parser->text_capacity - parser->text_length) {
        size_t capacity = parser->text_capacity * 2;
        if (capacity < parser->text_length + more)
            capacity = parser->text_length + more + 256;
        parser->text = mem_resize(parser->text, capacity, 1);
        parser->text_capacity = capacity;
    }
    memcpy(parser->text + parser->text_length, text, more);
    parser->text_length += more;
}

/* The current text in the arena, control characters back in place. */
static const char *take_text(struct parser *parser, size_t *length)
{
    *length = parser->text_length;
    if (parser->mapped)
        *length = xmlrpc_restore(parser->text, *length);
    return arena_bytes(parser->arena, parser->text, *length);
}

static void trim(const char **text, size_t *length)
{
    while (*length > 0 && is_space(**text)) {
        ++*text;
        --*length;
    }
    while (*length > 0 && is_space((*text)[*length - 1]))
        --*length;
}

static bool read_integer(const char *text, size_t length, int64_t low, int64_t high, int64_t *out)
{
    bool negative = length > 0 && text[0] == '-';
    size_t i = length > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    if (i == length)
        return false;
    int64_t value = 0; /* kept negative: there is one more of those */
    for (; i < length; i++) {
        if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text[i] - '0', &value))
            return false;
    }
    if (!negative && __builtin_sub_overflow(0, value, &value))
        return false;
    *out = value;
    return value >= low && value <= high;
}

static bool read_double(const char *text, size_t length, double *out)
{
    char copy[64];
    if (length == 0 || length >= sizeof(copy))
        return false;
    for (size_t i = 0; i < length; i++)
        if (memchr("0123456789+-.eE", text[i], 15) == NULL)
            return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *end;
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes in place; false unless it is whole quads of digits, padded at the end, and spaces. */
static bool decode_base64(char *text, size_t *length)
{
    uint32_t bits = 0;
    size_t used = 0, digits = 0, padding = 0;
    for (size_t i = 0; i < *length; i++) {
        if (is_space(text[i]))
            continue;
        if (text[i] == '=') {
            if (++padding > 2)
                return false;
            continue;
        }
        int digit = base64_digit(text[i]);
        if (digit < 0 || padding > 0)
            return false;
        bits = (bits << 6 | (uint32_t) digit) & 0xFFFFFF;
        if (++digits % 4 == 0) {
            text[used++] = (char) (bits >> 16);
            text[used++] = (char) (bits >> 8);
            text[used++] = (char) bits;
        }
    }
    if ((digits + padding) % 4 != 0)
        return false;
    if (padding == 1)
        text[used++] = (char) (bits >> 10);
    if (padding >= 1)
        text[used++] = (char) (bits >> (padding == 1 ? 2 : 4));
    *length = used;
    return true;
}

static bool close_base64(struct parser *parser, struct xmlrpc_value *value)
{
    size_t length = parser->text_length;
    if (length > 0 && !decode_base64(parser->text, &length))
        return false;
    if (text_is_utf8(parser->text, length)) {
        value->as.string.data = arena_bytes(parser->arena, parser->text, length);
        value->as.string.length = length;
        return true;
    }
    struct strbuf repaired;
    strbuf_init(&repaired, length * 3);
    text_add_utf8(&repaired, parser->text, length);
    value->as.string.data = arena_bytes(parser->arena, repaired.data, repaired.length);
    value->as.string.length = repaired.length;
    strbuf_destroy(&repaired);
    return true;
}

/* The end of a typed element. NULL, or why its text is none of its type. */
static const char *close_scalar(struct parser *parser, enum element element,
                                struct xmlrpc_value *value)
{
    const char *text = parser->text;
    size_t length = parser->text_length;
    trim(&text, &length);
    switch (element) {
    case INT:
        value->type = XMLRPC_INT;
        return read_integer(text, length, INT32_MIN, INT32_MAX, &value->as.integer)
                   ? NULL
                   : "an int is none or out of range";
    case I8:
        value->type = XMLRPC_INT;
        return read_integer(text, length, INT64_MIN, INT64_MAX, &value->as.integer)
                   ? NULL
                   : "an i8 is none or out of range";
    case BOOLEAN:
        value->type = XMLRPC_BOOLEAN;
        if (length != 1 || (text[0] != '0' && text[0] != '1'))
            return "a boolean is neither 0 nor 1";
        value->as.integer = text[0] == '1';
        return NULL;
    case DOUBLE:
        value->type = XMLRPC_DOUBLE;
        return read_double(text, length, &value->as.real) ? NULL : "a double is not a number";
    case NIL:
        value->type = XMLRPC_NIL;
        return NULL;
    case BASE64:
        return close_base64(parser, value) ? NULL : "a base64 cannot be decoded";
    default: /* STRING, DATETIME, and the untyped VALUE */
        value->as.string.data = take_text(parser, &value->as.string.length);
        return NULL;
    }
}

static void on_end(void *argument, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    (void) name, (void) prefix, (void) uri;
    struct parser *parser = argument;
    if (parser->why != NULL)
        return;
    CHECK(parser->top > 0);
    struct frame *frame = &parser->frames[parser->top--];
    const char *why = NULL;
    switch (frame->element) {
    case VALUE:
        parser->depth--;
        if (frame->children == 0)
            why = close_scalar(parser, STRING, frame->value);
        break;
    case NAME: {
        size_t length;
        const char *text = take_text(parser, &length);
        if (strlen(text) != length)
            why = "a member's name holds a NUL";
        parser->frames[parser->top].name = text;
        break;
    }
    case MEMBER:
        if (frame->children != 2)
            why = "a member is not one name and one value";
        break;
    case METHOD_RESPONSE:
    case PARAMS:
    case PARAM:
    case FAULT:
    case ARRAY:
        if (frame->children != 1)
            why = "an element is empty that must not be";
        break;
    case DATA:
    case STRUCT:
        break;
    default:
        why = close_scalar(parser, frame->element, frame->value);
        break;
    }
    parser->text_length = 0;
    if (why != NULL)
        fail(parser, why);
}

static void on_doctype(void *argument, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    (void) name, (void) external, (void) system;
    fail(argument, "it declares a document type");
}

static void on_entity(void *argument, const xmlChar *name, int type, const xmlChar *public_id,
                      const xmlChar *system_id, xmlChar *content)
{
    (void) name, (void) type, (void) public_id, (void) system_id, (void) content;
    fail(argument, "it declares an entity");
}

static void on_error(void *argument, xmlErrorPtr error)
{
    struct parser *parser = argument;
    if (error->level == XML_ERR_WARNING)
        return;
    if (parser->why == NULL)
        parser->why = "it is not well-formed XML";
}

/* Without a word: some errors of character conversion bypass the structured handler. */
static void on_generic_error(void *argument, const char *format, ...)
{
    (void) argument, (void) format;
}

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void parse(struct parser *parser, const struct xmlrpc_prepared *prepared)
{
    static const xmlSAXHandler handler = {
        .initialized = XML_SAX2_MAGIC,
        .startElementNs = on_start,
        .endElementNs = on_end,
        .characters = on_text,
        .ignorableWhitespace = on_text,
        .cdataBlock = on_text,
        .internalSubset = on_doctype,
        .externalSubset = on_doctype,
        .entityDecl = on_entity,
        .serror = on_error,
    };
    xmlSetGenericErrorFunc(NULL, on_generic_error); /* is of this thread only */
    xmlParserCtxtPtr context = xmlCreateMemoryParserCtxt(prepared->data, (int) prepared->length);
    if (context == NULL) {
        parser->why = "it is not XML";
        return;
    }
    parser->context = context;
    xmlCtxtUseOptions(context, XML_PARSE_NONET);
    *context->sax = handler;
    context->userData = parser;
    xmlParseDocument(context);
    if (parser->why == NULL && (!context->wellFormed || !context->nsWellFormed))
        parser->why = "it is not well-formed XML";
    if (parser->why == NULL && parser->root == NULL)
        parser->why = "it holds no value";
    xmlFreeDoc(context->myDoc);
    xmlFreeParserCtxt(context);
}

static const char *read_fault(const struct xmlrpc_value *root, struct xmlrpc_answer *answer)
{
    const struct xmlrpc_value *code = xmlrpc_member(root, "faultCode");
    const struct xmlrpc_value *text = xmlrpc_member(root, "faultString");
    if (code == NULL || code->type != XMLRPC_INT || text == NULL || text->type != XMLRPC_STRING)
        return "its fault has no code or no text";
    answer->fault = true;
    answer->fault_code = code->as.integer;
    answer->fault_text = text->as.string.data;
    return NULL;
}

int xmlrpc_parse(const char *data, size_t length, const struct xmlrpc_limits *limits,
                 struct xmlrpc_answer *answer, const char **why)
{
    pthread_once(&started, xmlInitParser);
    *answer = (struct xmlrpc_answer){.fault = false};
    *why = NULL;

    struct xmlrpc_prepared prepared;
    const char *wrong = xmlrpc_prepare(data, length, &prepared);
    if (wrong == NULL) {
        /* Values take about as much room as their markup did. */
        struct parser parser = {.arena = arena_create(length + 256), .limits = limits};
        parser.mapped = prepared.mapped;
        parse(&parser, &prepared);
        free(parser.text);
        wrong = parser.why;
        answer->arena = parser.arena;
        if (wrong == NULL && parser.fault)
            wrong = read_fault(parser.root, answer);
        else
            answer->value = parser.root;
    }
    xmlrpc_prepare_clean(&prepared);
    if (wrong != NULL) {
        xmlrpc_answer_free(answer);
        *why = wrong;
        return CESID_E_NODE_PROTOCOL;
    }
    return 0;
}

void xmlrpc_answer_free(struct xmlrpc_answer *answer)
{
    arena_destroy(&answer->arena);
    *answer = (struct xmlrpc_answer){.fault = false};
}

const struct xmlrpc_value *xmlrpc_member(const struct xmlrpc_value *structure, const char *name)
{
    if (structure == NULL || structure->type != XMLRPC_STRUCT)
        return NULL;
    for (const struct xmlrpc_value *member = structure->as.items.first; member != NULL;
         member = member->next)
        if (strcmp(member->name, name) == 0)
            return member;
    return NULL;
}
