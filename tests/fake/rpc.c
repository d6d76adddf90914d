/* Requests and answers of XML-RPC: see rpc.h. */
#include "rpc.h"

#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static xmlNode *child(xmlNode *node, const char *name)
{
    for (node = node == NULL ? NULL : node->children; node != NULL; node = node->next)
        if (node->type == XML_ELEMENT_NODE &&
            (name == NULL || strcmp((const char *) node->name, name) == 0))
            return node;
    return NULL;
}

static size_t decode(char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = 0;
    uint32_t bits = 0;
    int have = 0;

    for (const char *at = text; *at != '\0'; at++) {
        const char *digit = strchr(digits, *at);

        if (digit == NULL)
            continue;
        bits = bits << 6 | (uint32_t) (digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            text[length++] = (char) (bits >> have & 0xff);
        }
    }
    text[length] = '\0';
    return length;
}

/* value is the element <value>. */
static void read_parameter(struct parameter *parameter, xmlNode *value)
{
    xmlNode *typed = child(value, NULL);
    const char *type = typed == NULL ? "string" : (const char *) typed->name;

    parameter->node = typed;
    parameter->text = (char *) xmlNodeGetContent(typed == NULL ? value : typed);
    parameter->length = parameter->text == NULL ? 0 : strlen(parameter->text);
    if (strcmp(type, "int") == 0 || strcmp(type, "i4") == 0 || strcmp(type, "boolean") == 0) {
        parameter->type = PARAMETER_NUMBER;
        parameter->number = parameter->text == NULL ? 0 : strtoll(parameter->text, NULL, 10);
    } else if (strcmp(type, "string") == 0) {
        parameter->type = PARAMETER_TEXT;
    } else if (strcmp(type, "base64") == 0 && parameter->text != NULL) {
        parameter->type = PARAMETER_TEXT;
        parameter->length = decode(parameter->text);
    } else {
        parameter->type = PARAMETER_OTHER;
    }
}

bool rpc_read(struct request *request, const char *body, size_t length)
{
    xmlNode *root, *name;
    char *text;

    *request = (struct request){0};
    /* Most requests have no parameters; the name is then all that there is to read. */
    if (memmem(body, length, "<param>", 7) == NULL) {
        const char *from = memmem(body, length, "<methodName>", 12);
        const char *to = memmem(body, length, "</methodName>", 13);

        if (from == NULL || to == NULL || to < from || to - from - 12 > 63)
            return false;
        memcpy(request->method, from + 12, (size_t) (to - from) - 12);
        return to > from + 12;
    }
    request->document = xmlReadMemory(body, (int) length, NULL, NULL,
                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    root = request->document == NULL ? NULL : xmlDocGetRootElement(request->document);
    name = child(root, "methodName");
    if (name == NULL)
        return false;
    text = (char *) xmlNodeGetContent(name);
    snprintf(request->method, sizeof(request->method), "%s", text == NULL ? "" : text);
    xmlFree(text);
    for (xmlNode *param = child(child(root, "params"), NULL); param != NULL; param = param->next) {
        if (param->type != XML_ELEMENT_NODE)
            continue;
        if (request->count == RPC_MAX_PARAMS)
            return false;
        read_parameter(&request->parameters[request->count++], child(param, "value"));
    }
    return request->method[0] != '\0';
}

void rpc_free(struct request *request)
{
    for (int i = 0; i < request->count; i++)
        xmlFree(request->parameters[i].text);
    if (request->document != NULL)
        xmlFreeDoc(request->document);
    *request = (struct request){0};
}

int rpc_method_index(const char *method)
{
    int i;

    for (i = 0; methods[i].name != NULL; i++)
        if (strcmp(methods[i].name, method) == 0)
            return i;
    return i; /* all others */
}

const char *rpc_method_name(int index)
{
    int known = 0;

    while (methods[known].name != NULL)
        known++;
    if (index > known)
        return NULL;
    return index == known ? "other" : methods[index].name;
}

/* An array of structs {methodName, params}. */
static int multicall(struct node *node, struct request *request, struct buffer *out)
{
    xmlNode *data = child(request->parameters[0].node, "data");

    if (request->count != 1 || data == NULL)
        return 2;
    buffer_puts(out, "<value><array><data>\n");
    for (xmlNode *value = child(data, NULL); value != NULL; value = value->next) {
        struct request one = {0};
        struct waiting waiting;
        size_t before = out->length;
        int code = 2;

        if (value->type != XML_ELEMENT_NODE)
            continue;
        one.waiting = &waiting;
        for (xmlNode *member = child(child(value, "struct"), NULL); member != NULL;
             member = member->next) {
            struct parameter name = {0};
            xmlNode *key = child(member, "name");

            if (key == NULL)
                continue;
            read_parameter(&name, child(member, "value"));
            if (name.type == PARAMETER_TEXT) {
                snprintf(one.method, sizeof(one.method), "%s", name.text);
            } else {
                for (xmlNode *param = child(child(name.node, "data"), NULL);
                     param != NULL && one.count < RPC_MAX_PARAMS; param = param->next)
                    if (param->type == XML_ELEMENT_NODE)
                        read_parameter(&one.parameters[one.count++], param);
            }
            xmlFree(name.text);
        }
        if (strcmp(one.method, "system.multicall") != 0)
            code = rpc_call(node, &one, out);
        if (code == RPC_LATER)
            code = 30; /* the fake does not wait within a multicall */
        if (code != RPC_ANSWERED) {
            out->length = before;
            value_fault(out, code, one.fault);
        }
        rpc_free(&one);
    }
    buffer_puts(out, "</data></array></value>\n");
    return RPC_ANSWERED;
}

int rpc_call(struct node *node, struct request *request, struct buffer *out)
{
    const struct method *method = &methods[rpc_method_index(request->method)];

    if (strcmp(request->method, "system.multicall") == 0)
        return multicall(node, request, out);
    if (method->name == NULL)
        return 1;
    if (request->count < method->low || request->count > method->high)
        return 2;
    return method->call(node, request, out);
}

void rpc_answer(struct buffer *out, int code, const char *extra, const struct buffer *value)
{
    buffer_puts(out, "<?xml version='1.0'?>\n<methodResponse>\n");
    if (code == RPC_ANSWERED) {
        buffer_puts(out, "<params>\n<param>\n");
        buffer_add(out, value->data, value->length);
        buffer_puts(out, "</param>\n</params>\n</methodResponse>\n");
    } else {
        buffer_puts(out, "<fault>\n");
        value_fault(out, code, extra);
        buffer_puts(out, "</fault>\n</methodResponse>\n");
    }
}
