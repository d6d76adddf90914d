/*
 * The grammar of libconfig, checked before libconfig parses: its own words for an error are "syntax
 * error" and a line, and it leaks the strings at hand. After an error the text is cut back to the
 * last setting that is whole and its brackets are closed, so that everything before is still
 * checked. Owned by the thread that runs config_load; no locks.
 */
#include <string.h>
#include <strings.h>

#include "config_internal.h"

#define NESTING         32
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-*"

enum token {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_INTEGER,
    TOKEN_INTEGER64,
    TOKEN_REAL,
    TOKEN_BOOLEAN,
    TOKEN_STRING,
    TOKEN_GARBAGE,
    TOKEN_PUNCTUATION /* plus the character */
};

struct scanner {
    struct config_source *source;
    const char *at; /* behind the token */
    int line;       /* of at */
    int token;
    const char *token_start;
    int token_line;
    const char *end; /* behind the token before: where a whole item ends */
    bool failed;
    const char *whole;         /* where the text is cut after an error */
    char closing[NESTING + 1]; /* what closes the brackets that are open there */
    size_t closing_length;
};

static void skip_space(struct scanner *scanner)
{
    for (;;) {
        const char *p = scanner->at;
        if (*p == '\n') {
            scanner->line++;
            scanner->at++;
        } else if (*p && strchr(" \t\r\f", *p)) {
            scanner->at++;
        } else if (*p == '#' || (p[0] == '/' && p[1] == '/')) {
            scanner->at += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            for (p += 2; *p && !(p[0] == '*' && p[1] == '/'); p++)
                scanner->line += *p == '\n';
            scanner->at = *p ? p + 2 : p;
        } else {
            return;
        }
    }
}

static int scan_string(struct scanner *scanner)
{
    const char *p = scanner->at + 1;
    for (; *p && *p != '"'; p++) {
        if (*p == '\\' && p[1])
            p++;
        scanner->line += *p == '\n';
    }
    scanner->at = *p ? p + 1 : p;
    return TOKEN_STRING;
}

static size_t digits(const char *p)
{
    return strspn(p, "0123456789");
}

/* The length of an exponent, or 0. */
static size_t exponent(const char *p)
{
    if (*p != 'e' && *p != 'E')
        return 0;
    size_t sign = p[1] == '+' || p[1] == '-';
    size_t length = digits(p + 1 + sign);
    return length ? 1 + sign + length : 0;
}

static int scan_number(struct scanner *scanner)
{
    const char *p = scanner->at;
    size_t hex = p[0] == '0' && (p[1] | 0x20) == 'x' ? strspn(p + 2, "0123456789abcdefABCDEF") : 0;
    if (hex) {
        p += 2 + hex;
    } else {
        p += *p == '+' || *p == '-';
        size_t whole = digits(p);
        p += whole;
        if (*p == '.') {
            p += 1 + digits(p + 1);
            scanner->at = p + exponent(p);
            return TOKEN_REAL;
        }
        if (whole == 0)
            return TOKEN_GARBAGE;
        if (exponent(p)) {
            scanner->at = p + exponent(p);
            return TOKEN_REAL;
        }
    }
    size_t suffix = strspn(p, "L");
    scanner->at = p + (suffix > 2 ? 2 : suffix);
    return suffix ? TOKEN_INTEGER64 : TOKEN_INTEGER;
}

static int scan_name(struct scanner *scanner)
{
    const char *start = scanner->at;
    size_t length = strspn(start, NAME_CHARACTERS);
    scanner->at += length;
    bool boolean = (length == 4 && strncasecmp(start, "true", 4) == 0) ||
                   (length == 5 && strncasecmp(start, "false", 5) == 0);
    return boolean ? TOKEN_BOOLEAN : TOKEN_NAME;
}

static void next(struct scanner *scanner)
{
    scanner->end = scanner->at;
    skip_space(scanner);
    scanner->token_start = scanner->at;
    scanner->token_line = scanner->line;
    char c = *scanner->at;
    if (!c)
        scanner->token = TOKEN_END;
    else if (c == '"')
        scanner->token = scan_string(scanner);
    else if (strchr("+-.0123456789", c))
        scanner->token = scan_number(scanner);
    else if (strchr("=:{}()[],;", c))
        scanner->token = TOKEN_PUNCTUATION + *scanner->at++;
    else if (strchr(NAME_CHARACTERS, c) && c != '_')
        scanner->token = scan_name(scanner);
    else
        scanner->token = TOKEN_GARBAGE;
}

static bool is_at(const struct scanner *scanner, char punctuation)
{
    return scanner->token == TOKEN_PUNCTUATION + punctuation;
}

static bool take(struct scanner *scanner, char punctuation)
{
    if (!is_at(scanner, punctuation))
        return false;
    next(scanner);
    return true;
}

/* Each enclosing bracket hears of it on the way out: only the innermost knows what is whole. */
static bool fail_at(struct scanner *scanner, int line, const char *what)
{
    /* What was broken off before has been reported. */
    if (!scanner->failed && !scanner->source->broken)
        config_report(scanner->source, line, "syntax", "%s", what);
    scanner->failed = true;
    return false;
}

static bool fail(struct scanner *scanner, const char *what)
{
    return fail_at(scanner, scanner->token_line, what);
}

/* The way out of a bracket, or of the text when closing is 0. */
static bool leave(struct scanner *scanner, const char *whole, char closing)
{
    if (!scanner->whole)
        scanner->whole = whole;
    if (closing)
        scanner->closing[scanner->closing_length++] = closing;
    return false;
}

static bool value(struct scanner *scanner, int depth);

/* Up to the closing bracket, or to the end of the text when there is none. */
static bool settings(struct scanner *scanner, int depth, char closing, int opened)
{
    const char *whole = scanner->end;
    for (;;) {
        if (closing ? is_at(scanner, closing) : scanner->token == TOKEN_END) {
            next(scanner);
            return true;
        }
        if (scanner->token == TOKEN_END) {
            fail_at(scanner, opened, "the { of this line is not closed");
        } else if (scanner->token != TOKEN_NAME) {
            fail(scanner, "a setting was expected here: NAME = VALUE;");
        } else {
            next(scanner);
            if (!take(scanner, '=') && !take(scanner, ':'))
                fail(scanner, "= or : is missing after the name");
            else if (value(scanner, depth))
                (void) (take(scanner, ';') || take(scanner, ','));
        }
        if (scanner->failed)
            return leave(scanner, whole, closing);
        whole = scanner->end;
    }
}

static bool is_simple(int token)
{
    return token >= TOKEN_INTEGER && token <= TOKEN_STRING;
}

/* After '(' or '['. The elements of an array are simple, and all of one type. */
static bool elements(struct scanner *scanner, int depth, char closing, int opened)
{
    const char *whole = scanner->end;
    if (take(scanner, closing))
        return true;
    const char *unclosed = "the [ of this line is not closed";
    const char *comma = "a comma or ] is missing here or above";
    if (closing == ')') {
        unclosed = "the ( of this line is not closed";
        comma = "a comma or ) is missing here or above";
    }
    int type = scanner->token;
    for (;;) {
        if (scanner->token == TOKEN_END) {
            fail_at(scanner, opened, unclosed);
        } else if (closing == ']' && (!is_simple(type) || scanner->token != type)) {
            fail(scanner, "the values between [ and ] must be of one type, and simple");
        } else if (value(scanner, depth)) {
            whole = scanner->end;
            if (take(scanner, closing))
                return true;
            if (scanner->token != TOKEN_END && !take(scanner, ','))
                fail(scanner, comma);
        }
        if (scanner->failed)
            return leave(scanner, whole, closing);
    }
}

static bool value(struct scanner *scanner, int depth)
{
    int token = scanner->token, opened = scanner->token_line;
    if (is_simple(token)) {
        next(scanner);
        while (token == TOKEN_STRING && scanner->token == TOKEN_STRING)
            next(scanner);
        return true;
    }
    if (!is_at(scanner, '{') && !is_at(scanner, '(') && !is_at(scanner, '['))
        return fail(scanner, "a value is missing here");
    if (depth == NESTING)
        return fail(scanner, "nested too deeply");
    next(scanner);
    if (token == TOKEN_PUNCTUATION + '{')
        return settings(scanner, depth + 1, '}', opened);
    return elements(scanner, depth + 1, token == TOKEN_PUNCTUATION + '(' ? ')' : ']', opened);
}

bool config_check_syntax(struct config_source *source)
{
    struct scanner scanner = {.source = source, .at = source->text.data, .line = 1};
    scanner.end = scanner.at;
    next(&scanner);
    if (settings(&scanner, 0, '\0', 0))
        return true;
    strbuf_truncate(&source->text, (size_t) (scanner.whole - source->text.data));
    strbuf_add(&source->text, scanner.closing, scanner.closing_length);
    return false;
}
