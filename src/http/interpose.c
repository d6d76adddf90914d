/*
 * The program's own accept() and recv(). The dynamic linker gives them to libcivetweb, which has no
 * other way to tell which socket a connection uses, or to bound what it reads from one. Everybody
 * else's calls (libcurl's recv) go on to the next definition. See sockets.h.
 */
/* With these glibc declares an inline recv() and a transparent union in accept(), which definitions
 * would clash with. */
#undef _FORTIFY_SOURCE
#undef _GNU_SOURCE

#include <sys/socket.h>

#include "cesid/sockets.h"

void sockets_interpose(void)
{
    /* Being called pulls this file out of the library. */
}

int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
    return sockets_accept(fd, address, length);
}

ssize_t recv(int fd, void *buffer, size_t length, int flags)
{
    return sockets_recv(fd, buffer, length, flags);
}
