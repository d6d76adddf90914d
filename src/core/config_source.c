/*
 * The text of the configuration before libconfig sees it. libconfig loses what we promise: it looks
 * for includes in one fixed directory, names the wrong file for errors inside them, and lets large
 * integers wrap around. So the files are put together here, includes in place (relative to the file
 * that names them), with a note of where each line came from, and an integer beyond 32 bits gets
 * the 'L' that makes libconfig read it as 64 bits (saturated there: every range ends earlier).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "config_internal.h"

#define FILE_LIMIT    (16u << 20)
#define TEXT_LIMIT    (64u << 20)
#define PATH_LIMIT    16384
#define INCLUDE_DEPTH 10
#define FILES_LIMIT   1000

/* ---- problems ---- */

static struct found_problem *add_problem(struct config_source *source)
{
    if (source->found_count == source->found_capacity) {
        source->found_capacity = source->found_capacity ? source->found_capacity * 2 : 16;
        source->found = mem_resize(source->found, source->found_capacity, sizeof(*source->found));
    }
    struct found_problem *problem = &source->found[source->found_count++];
    *problem = (struct found_problem){0};
    return problem;
}

/* Values of the file may end up in a message, and a message on a terminal. */
static char *CESID_PRINTF(1, 0) format_message(const char *format, va_list arguments)
{
    struct strbuf plain, escaped;
    strbuf_init(&plain, 8192);
    strbuf_init(&escaped, 65536);
    strbuf_vprintf(&plain, format, arguments);
    text_add_escaped(&escaped, plain.data, plain.length);
    strbuf_destroy(&plain);
    return strbuf_steal(&escaped);
}

void config_report(struct config_source *source, int line, const char *key, const char *format, ...)
{
    struct found_problem *problem = add_problem(source);
    problem->line = line;
    problem->key = mem_string(key);
    va_list arguments;
    va_start(arguments, format);
    problem->message = format_message(format, arguments);
    va_end(arguments);
}

void config_report_file(struct config_source *source, const char *file, int file_line,
                        const char *key, const char *format, ...)
{
    struct found_problem *problem = add_problem(source);
    /* Sorts to where the text had got to. */
    problem->line = (int) source->places_count;
    problem->file = mem_string(file);
    problem->file_line = file_line;
    problem->key = mem_string(key);
    va_list arguments;
    va_start(arguments, format);
    problem->message = format_message(format, arguments);
    va_end(arguments);
}

/* ---- files ---- */

const struct config_file *config_source_file(const struct config_source *source, int line)
{
    if (line < 1 || (size_t) line > source->places_count)
        return &source->files[0];
    return &source->files[source->places[line - 1].file];
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return mem_string(".");
    if (slash == path)
        return mem_string("/");
    return mem_bytes(path, (size_t) (slash - path));
}

static char *join_path(const char *directory, const char *path)
{
    if (path[0] == '/' || strcmp(directory, ".") == 0)
        return mem_string(path);
    struct strbuf joined;
    strbuf_init(&joined, PATH_LIMIT);
    strbuf_printf(&joined, "%s%s%s", directory, strcmp(directory, "/") == 0 ? "" : "/", path);
    return strbuf_steal(&joined);
}

char *config_resolve_path(const struct config_file *file, const char *path)
{
    return path[0] ? join_path(file->directory, path) : mem_string("");
}

/* A file that is named by another one's line is a problem of that line. */
static const char *key_of(int line)
{
    return line > 0 ? "@include" : "";
}

/* NULL with a reported problem, or the content. Checks are made on the open file, so that it cannot
 * be exchanged between the check and the read. */
static char *read_whole(struct config_source *source, const char *path, const char *from, int line,
                        size_t *length, bool *others_read)
{
    char *content = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        config_report_file(source, from, line, key_of(line), "cannot open %s: %s", path,
                           strerror(errno));
        return NULL;
    }
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        config_report_file(source, from, line, key_of(line), "%s is not a regular file", path);
        goto done;
    }
    if (status.st_mode & (S_IWGRP | S_IWOTH)) {
        config_report_file(source, path, 0, "",
                           "others may write to this file (mode %04o): chmod go-w it",
                           (unsigned) status.st_mode & 07777);
    }
    if (status.st_size > FILE_LIMIT) {
        config_report_file(source, from, line, key_of(line), "%s is larger than 16 MiB", path);
        goto done;
    }
    *others_read = status.st_mode & S_IROTH;
    size_t capacity = (size_t) status.st_size, got = 0;
    content = mem_alloc(capacity + 1);
    while (got < capacity) {
        ssize_t n = read(fd, content + got, capacity - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            config_report_file(source, from, line, key_of(line), "cannot read %s: %s", path,
                               strerror(errno));
            free(content);
            content = NULL;
            goto done;
        }
        if (n == 0)
            break;
        got += (size_t) n;
    }
    *length = got;
done:
    close(fd);
    return content;
}

/* ---- putting the text together ---- */

struct cursor {
    struct config_source *source;
    size_t file;
    const char *at, *end;
    int line;
    int depth;
};

/* Says where the last line of the text comes from; there is one place for each line. */
static void set_place(struct config_source *source, size_t file, int line)
{
    if (source->places_count > source->newlines) {
        source->places[source->newlines] = (struct config_place){.file = file, .line = line};
        return;
    }
    if (source->places_count == source->places_capacity) {
        source->places_capacity = source->places_capacity ? source->places_capacity * 2 : 256;
        source->places =
            mem_resize(source->places, source->places_capacity, sizeof(*source->places));
    }
    source->places[source->places_count++] = (struct config_place){.file = file, .line = line};
}

static void emit(struct cursor *cursor)
{
    char c = *cursor->at++;
    strbuf_putc(&cursor->source->text, c);
    if (c == '\n') {
        cursor->line++;
        cursor->source->newlines++;
        set_place(cursor->source, cursor->file, cursor->line);
    }
}

/* For a line that the file does not have. */
static void end_line(struct cursor *cursor)
{
    strbuf_putc(&cursor->source->text, '\n');
    cursor->source->newlines++;
    set_place(cursor->source, cursor->file, cursor->line);
}

static const char *shown_path(const struct cursor *cursor)
{
    return cursor->source->files[cursor->file].path;
}

/* What began at start does not end: the rest of the file says nothing. */
static void break_off(struct cursor *cursor, int line, size_t start, const char *what)
{
    config_report_file(cursor->source, shown_path(cursor), line, "syntax", "%s does not end", what);
    strbuf_truncate(&cursor->source->text, start);
    cursor->source->broken = true;
}

static void emit_string(struct cursor *cursor)
{
    int line = cursor->line;
    size_t start = cursor->source->text.length;
    emit(cursor);
    while (cursor->at < cursor->end && *cursor->at != '"') {
        if (*cursor->at == '\\' && cursor->end - cursor->at > 1)
            emit(cursor);
        emit(cursor);
    }
    if (cursor->at < cursor->end)
        emit(cursor);
    else
        break_off(cursor, line, start, "a string");
}

static void emit_line_comment(struct cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at != '\n')
        emit(cursor);
}

static void emit_block_comment(struct cursor *cursor)
{
    int line = cursor->line;
    size_t start = cursor->source->text.length;
    emit(cursor);
    emit(cursor);
    while (cursor->end - cursor->at >= 2 && !(cursor->at[0] == '*' && cursor->at[1] == '/'))
        emit(cursor);
    if (cursor->end - cursor->at >= 2) {
        emit(cursor);
        emit(cursor);
        return;
    }
    cursor->at = cursor->end;
    break_off(cursor, line, start, "a comment");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static bool is_name_start(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '*';
}

/* An integer of libconfig's grammar, written as 64 bits where 32 do not hold it. Anything else that
 * begins like a number (a float) is passed on as it is. */
static void emit_number(struct cursor *cursor)
{
    const char *start = cursor->at, *p = start;
    if (*p == '+' || *p == '-')
        p++;
    const char *digits = p;
    bool hex =
        p == start && cursor->end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x' && is_hex(p[2]);
    if (hex) {
        for (p += 2; p < cursor->end && is_hex(*p);)
            p++;
    } else {
        while (p < cursor->end && is_digit(*p))
            p++;
    }
    bool real = !hex && p < cursor->end && (*p == '.' || (*p | 0x20) == 'e');
    if (p == digits || real) {
        while (p < cursor->end &&
               (is_digit(*p) || *p == '.' || (*p | 0x20) == 'e' || *p == '+' || *p == '-'))
            p++;
        strbuf_add(&cursor->source->text, start, (size_t) (p - start));
        cursor->at = p;
        return;
    }
    /* The content ends in a NUL, so this stops in time. */
    errno = 0;
    long long value = strtoll(start, NULL, hex ? 16 : 10);
    bool large = errno == ERANGE || value < INT_MIN || value > INT_MAX;
    while (p < cursor->end && *p == 'L') {
        large = true;
        p++;
    }
    if (large)
        strbuf_printf(&cursor->source->text, "%lldL", value);
    else
        strbuf_add(&cursor->source->text, start, (size_t) (p - start));
    cursor->at = p;
}

static void read_file(struct config_source *source, const char *path, const char *from, int line,
                      int depth);

/* At the '@' of "@include "PATH"" at the start of a line. */
static bool emit_include(struct cursor *cursor)
{
    static const char word[] = "@include";
    const char *p = cursor->at;
    if ((size_t) (cursor->end - p) < sizeof(word) || memcmp(p, word, sizeof(word) - 1) != 0)
        return false;
    p += sizeof(word) - 1;
    while (p < cursor->end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == cursor->end || *p != '"')
        return false;
    const char *name = ++p;
    while (p < cursor->end && *p != '"' && *p != '\n')
        p++;
    if (p == cursor->end || *p != '"' || p == name)
        return false;
    struct config_source *source = cursor->source;
    char *plain = mem_bytes(name, (size_t) (p - name));
    char *directory = directory_of(shown_path(cursor));
    char *path = join_path(directory, plain);
    cursor->at = p + 1;

    /* The included text starts on a line of its own, and what follows the include too. */
    char *from = mem_string(shown_path(cursor));
    end_line(cursor);
    read_file(source, path, from, cursor->line, cursor->depth + 1);
    end_line(cursor);

    free(from);
    free(path);
    free(directory);
    free(plain);
    return true;
}

static void expand(struct cursor *cursor)
{
    bool line_start = true;
    while (cursor->at < cursor->end && !cursor->source->broken) {
        char c = *cursor->at;
        char next = cursor->end - cursor->at > 1 ? cursor->at[1] : '\0';
        if (c == '"') {
            emit_string(cursor);
        } else if (c == '#' || (c == '/' && next == '/')) {
            emit_line_comment(cursor);
        } else if (c == '/' && next == '*') {
            emit_block_comment(cursor);
        } else if (c == '@' && line_start && emit_include(cursor)) {
            /* taken */
        } else if (is_digit(c) || c == '.' || ((c == '+' || c == '-') && is_digit(next))) {
            emit_number(cursor);
        } else if (is_name_start(c)) {
            while (cursor->at < cursor->end &&
                   (is_name_start(*cursor->at) || is_digit(*cursor->at) || *cursor->at == '_' ||
                    *cursor->at == '-'))
                emit(cursor);
        } else {
            emit(cursor);
        }
        line_start = c == '\n' || (line_start && (c == ' ' || c == '\t'));
    }
}

/* Whether the content is text; says in which line it is not. */
static bool is_text(struct config_source *source, const char *path, const char *content,
                    size_t length)
{
    const char *end = content + length;
    int number = 1;
    for (const char *line = content; line < end; number++) {
        const char *newline = memchr(line, '\n', (size_t) (end - line));
        size_t size = (size_t) ((newline ? newline : end) - line);
        if (memchr(line, '\0', size) || !text_is_utf8(line, size)) {
            config_report_file(source, path, number, "syntax", "this is not UTF-8 text");
            return false;
        }
        line += size + 1;
    }
    return true;
}

static void read_file(struct config_source *source, const char *path, const char *from, int line,
                      int depth)
{
    if (depth > INCLUDE_DEPTH || source->files_count >= FILES_LIMIT) {
        config_report_file(source, from, line, key_of(line),
                           "includes are nested too deeply, or in a circle");
        return;
    }
    size_t length = 0;
    bool others_read = false;
    char *content = read_whole(source, path, from, line, &length, &others_read);
    if (!content)
        return;
    if (is_text(source, path, content, length)) {
        source->files = mem_resize(source->files, source->files_count + 1, sizeof(*source->files));
        struct config_file *file = &source->files[source->files_count];
        char *directory = directory_of(path);
        char *absolute = realpath(directory, NULL);
        *file = (struct config_file){.path = mem_string(path),
                                     .directory = absolute ? absolute : mem_string(directory),
                                     .others_read = others_read};
        free(directory);
        struct cursor cursor = {.source = source,
                                .file = source->files_count++,
                                .at = content,
                                .end = content + length,
                                .line = 1,
                                .depth = depth};
        set_place(source, cursor.file, 1);
        expand(&cursor);
    }
    secret_wipe(content, length);
    free(content);
}

void config_source_read(struct config_source *source, const char *path)
{
    *source = (struct config_source){0};
    strbuf_init(&source->text, TEXT_LIMIT);
    read_file(source, path, path, 0, 0);
    if (strbuf_failed(&source->text))
        config_report_file(source, path, 0, "", "the files are larger than 64 MiB together");
}

void config_source_free(struct config_source *source)
{
    secret_wipe(source->text.data, source->text.length);
    strbuf_destroy(&source->text);
    for (size_t i = 0; i < source->files_count; i++) {
        free(source->files[i].path);
        free(source->files[i].directory);
    }
    free(source->files);
    free(source->places);
    for (size_t i = 0; i < source->found_count; i++) {
        free(source->found[i].file);
        free(source->found[i].key);
        free(source->found[i].message);
    }
    free(source->found);
    *source = (struct config_source){0};
}
