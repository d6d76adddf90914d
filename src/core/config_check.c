/*
 * Formats of single values: addresses, URLs, names, users. Pure functions but for the two that ask
 * the system whether a user or a group exists.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "config_internal.h"

#define URL_LENGTH  2048
#define PATH_LENGTH 200

static int refuse(const char **why, const char *sentence)
{
    *why = sentence;
    return CESID_E_VALIDATION_FAILED;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* 1 to 65535, digits only, no leading zero. */
static bool is_port(const char *text, size_t length)
{
    if (length < 1 || length > 5 || text[0] == '0')
        return false;
    long port = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (text[i] - '0');
    }
    return port <= 65535;
}

static bool is_hostname(const char *text, size_t length)
{
    if (length < 1 || length > 253)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (is_alnum(text[i]))
            continue;
        if (i == 0 || i + 1 == length)
            return false;
        if (text[i] == '.' ? text[i - 1] == '.' : !strchr("-_", text[i]))
            return false;
    }
    return true;
}

static bool is_address(int family, const char *text, size_t length)
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (length >= sizeof(copy))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return inet_pton(family, copy, address) == 1;
}

/* HOST or HOST:PORT, HOST a name, an IPv4 address or an IPv6 address in brackets. */
static int check_authority(const char *text, size_t length, const char **why)
{
    if (memchr(text, '@', length))
        return refuse(why, "a user and password do not belong into the URL, "
                           "but into username and password");
    const char *end = text + length, *host_end;
    if (length && text[0] == '[') {
        host_end = memchr(text, ']', length);
        if (!host_end || !is_address(AF_INET6, text + 1, (size_t) (host_end - text) - 1))
            return refuse(why, "the address in brackets is not an IPv6 address");
        host_end++;
    } else {
        host_end = memchr(text, ':', length);
        if (!host_end)
            host_end = end;
        if (host_end == text)
            return refuse(why, "the URL names no host");
        if (!is_hostname(text, (size_t) (host_end - text)))
            return refuse(why, "the URL's host is not a host name or an address");
    }
    if (host_end == end)
        return 0;
    if (*host_end != ':' || !is_port(host_end + 1, (size_t) (end - host_end) - 1))
        return refuse(why, "the URL's port must be 1 to 65535");
    return 0;
}

static int check_url_path(const char *path, const char **why)
{
    for (; *path; path++) {
        if (*path == '?' || *path == '#')
            return refuse(why, "the URL may not have a query or a fragment");
        if ((unsigned char) *path <= 0x20 || (unsigned char) *path >= 0x7f ||
            strchr("\"<>\\^`{|}", *path))
            return refuse(why, "the URL's path holds a character that must be escaped");
    }
    return 0;
}

static int check_unix_path(const char *path, const char **why)
{
    if (path[0] != '/')
        return refuse(why, "a unix URL needs an absolute path: unix:///run/supervisor.sock");
    if (strlen(path) >= sizeof(((struct sockaddr_un *) 0)->sun_path))
        return refuse(why, "a unix socket's path is at most 107 bytes long");
    if (path[strlen(path) - 1] == '/')
        return refuse(why, "a unix URL must name a socket, not a directory");
    return 0;
}

int config_check_url(const char *url, const char **why)
{
    size_t length = strlen(url);
    if (length > URL_LENGTH)
        return refuse(why, "the URL is longer than 2048 bytes");
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char) url[i] < 0x20 || url[i] == 0x7f)
            return refuse(why, "the URL holds a control character");
    }
    if (starts_with(url, "unix://"))
        return check_unix_path(url + 7, why);
    const char *rest;
    if (starts_with(url, "http://"))
        rest = url + 7;
    else if (starts_with(url, "https://"))
        rest = url + 8;
    else
        return refuse(why, "must begin with http://, https:// or unix://");
    size_t authority = strcspn(rest, "/?#");
    int error = check_authority(rest, authority, why);
    return error ? error : check_url_path(rest + authority, why);
}

int config_check_origin(const char *value, const char **why)
{
    const char *rest;
    if (starts_with(value, "http://"))
        rest = value + 7;
    else if (starts_with(value, "https://"))
        rest = value + 8;
    else
        return refuse(why, "must begin with http:// or https://");
    if (strlen(value) > URL_LENGTH)
        return refuse(why, "the URL is longer than 2048 bytes");
    size_t authority = strcspn(rest, "/?#");
    if (rest[authority])
        return refuse(why, "must end after the host and port, without a slash or a path");
    return check_authority(rest, authority, why);
}

int config_check_public_url(const char *value, const char **why)
{
    return value[0] ? config_check_origin(value, why) : 0;
}

int config_check_listen(const char *value, const char **why)
{
    const char *colon = strrchr(value, ':');
    if (!colon || !is_address(AF_INET, value, (size_t) (colon - value)))
        return refuse(why, "must be ADDRESS:PORT with an IPv4 address, like 127.0.0.1:9080");
    /* 0: the system chooses. */
    if (strcmp(colon, ":0") != 0 && !is_port(colon + 1, strlen(colon + 1)))
        return refuse(why, "the port must be 1 to 65535, or 0 for one that the system chooses");
    return 0;
}

bool config_listen_is_loopback(const char *listen)
{
    return starts_with(listen, "127.");
}

int config_check_base_path(const char *value, const char **why)
{
    size_t length = strlen(value);
    if (value[0] != '/')
        return refuse(why, "must begin with a slash");
    if (length == 1)
        return 0;
    if (length > PATH_LENGTH)
        return refuse(why, "is longer than 200 bytes");
    if (value[length - 1] == '/')
        return refuse(why, "may not end with a slash");
    for (const char *segment = value + 1;; segment++) {
        size_t size = strcspn(segment, "/");
        if (size == 0)
            return refuse(why, "holds an empty segment");
        if ((size == 1 && segment[0] == '.') || (size == 2 && starts_with(segment, "..")))
            return refuse(why, "may not hold . or .. as a segment");
        for (size_t i = 0; i < size; i++) {
            if (!is_alnum(segment[i]) && !strchr("._~-", segment[i]))
                return refuse(why, "may hold only letters, digits, '.', '_', '~' and '-'");
        }
        segment += size;
        if (!*segment)
            return 0;
    }
}

int config_check_network(const char *value, const char **why)
{
    const char *slash = strchr(value, '/');
    size_t length = slash ? (size_t) (slash - value) : strlen(value);
    bool v4 = is_address(AF_INET, value, length);
    if (!v4 && !is_address(AF_INET6, value, length))
        return refuse(why, "must be an address or a network, like 10.0.0.5 or 10.0.0.0/8");
    if (!slash)
        return 0;
    long most = v4 ? 32 : 128, bits = 0;
    size_t digits = strlen(slash + 1);
    for (size_t i = 1; i <= digits; i++) {
        if (slash[i] < '0' || slash[i] > '9' || digits > 3)
            return refuse(why, "the network's length must be a number of bits");
        bits = bits * 10 + (slash[i] - '0');
    }
    if (digits == 0 || bits > most)
        return refuse(why, v4 ? "the network's length must be 0 to 32 bits"
                              : "the network's length must be 0 to 128 bits");
    return 0;
}

int config_check_name(const char *value, const char **why)
{
    if (!text_is_name(value))
        return refuse(why, "must be 1 to 64 letters, digits, '.', '_' or '-', "
                           "and begin with a letter or digit");
    return 0;
}

int config_check_username(const char *value, const char **why)
{
    if (strchr(value, ':'))
        return refuse(why, "may not hold a colon");
    return 0;
}

int config_check_not_empty(const char *value, const char **why)
{
    return value[0] ? 0 : refuse(why, "may not be empty");
}

#define LOOKUP_BUFFER 65536

int config_check_user(const char *value, const char **why)
{
    if (!value[0])
        return 0;
    struct passwd entry, *found = NULL;
    char *buffer = mem_alloc(LOOKUP_BUFFER);
    getpwnam_r(value, &entry, buffer, LOOKUP_BUFFER, &found);
    free(buffer);
    return found ? 0 : refuse(why, "there is no such user on this system");
}

int config_check_group(const char *value, const char **why)
{
    if (!value[0])
        return 0;
    struct group entry, *found = NULL;
    char *buffer = mem_alloc(LOOKUP_BUFFER);
    getgrnam_r(value, &entry, buffer, LOOKUP_BUFFER, &found);
    free(buffer);
    return found ? 0 : refuse(why, "there is no such group on this system");
}
