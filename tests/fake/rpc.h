/*
 * XML-RPC as supervisord speaks it: a request is read, a method answers with a value, a fault, or
 * later.
 */
#ifndef FAKE_RPC_H
#define FAKE_RPC_H

#include "fake.h"

enum { RPC_ANSWERED = 0, RPC_LATER = -1, RPC_BAD_REQUEST = -400, RPC_MAX_PARAMS = 4 };

/* What an answer waits for: processes of a node that come to rest. */
struct waiting {
    int first, count; /* processes */
    bool starting;    /* else stopping */
    bool group;       /* the answer is a list of results */
    char name[128];
};

struct parameter {
    enum { PARAMETER_TEXT, PARAMETER_NUMBER, PARAMETER_OTHER } type;
    char *text; /* of libxml2 */
    size_t length;
    long long number;
    void *node; /* xmlNode */
};

struct request {
    char method[64];
    int count;
    struct parameter parameters[RPC_MAX_PARAMS];
    void *document;  /* xmlDoc, NULL when there are no parameters */
    char fault[160]; /* what follows the fault's name */
    struct waiting *waiting;
};

/* rpc.c. A request needs to be freed also when it is bad. */
bool rpc_read(struct request *request, const char *body, size_t length);
void rpc_free(struct request *request);
int rpc_method_index(const char *method); /* for counting */
const char *rpc_method_name(int index);   /* NULL: no more */
/* Appends "<value>…</value>\n" and returns RPC_ANSWERED, or a fault's code, or RPC_LATER (then
 * *waiting is filled). */
int rpc_call(struct node *node, struct request *request, struct buffer *out);
/* The whole answer. code 0: value is one. */
void rpc_answer(struct buffer *out, int code, const char *extra, const struct buffer *value);

/* value.c */
void value_string(struct buffer *out, const char *text);
void value_text(struct buffer *out, const char *text, size_t length);
void value_int(struct buffer *out, long long number);
void value_boolean(struct buffer *out, bool truth);
void value_fault(struct buffer *out, int code, const char *extra);
void value_process(struct buffer *out, struct node *node, int index);
void value_config(struct buffer *out, const struct node *node, int index);
void value_result(struct buffer *out, int index, int code);
void member_string(struct buffer *out, const char *name, const char *text);
void member_int(struct buffer *out, const char *name, long long number);
const char *fault_name(int code);

/* method.c: the methods themselves. */
typedef int (*method_call)(struct node *node, struct request *request, struct buffer *out);
struct method {
    const char *name;
    int low, high; /* parameters */
    method_call call;
};
extern const struct method methods[]; /* in lexical order, to an empty name */
/* Whether what the answer waits for has come; then it is appended, as by rpc_call(). */
int waiting_look(struct node *node, struct waiting *waiting, struct buffer *out);

#endif
