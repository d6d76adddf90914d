/*
 * The table of accepted sockets: limits by address, budgets of reading, and the program's own
 * accept() and recv() standing where the library's calls go.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cesid/clock.h"
#include "cesid/memory.h"
#include "cesid/sockets.h"
#include "cesid/thread.h"

static char *no_items[1];
static const struct config_strings nobody = {no_items, 0};

static int listener(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &length), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
    return fd;
}

static int own_port(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *) &address, &length), 0);
    return ntohs(address.sin_port);
}

static int take(int listening)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    return accept(listening, (struct sockaddr *) &address, &length);
}

static void one_address_has_a_limit(void **state)
{
    uint16_t port;
    int listening = listener(&port), client[3], accepted[3];
    struct sockets *sockets = sockets_create(2, &nobody);
    (void) state;
    for (int i = 0; i < 3; i++) {
        client[i] = dial(port);
        accepted[i] = take(listening);
    }
    assert_true(accepted[0] >= 0 && accepted[1] >= 0);
    assert_int_equal(accepted[2], -1);
    assert_int_equal(sockets_count(sockets), 2);
    assert_int_equal(sockets_refused(sockets), 1);
    close(client[2]);

    /* A silent one is found by its address, and makes room when it goes. */
    struct peer_socket *peer = sockets_claim(sockets, "127.0.0.1", own_port(client[0]));
    assert_non_null(peer);
    assert_int_equal(peer_fd(peer), accepted[0]);
    sockets_release(sockets, peer);
    close(accepted[0]);
    client[2] = dial(port);
    accepted[2] = take(listening);
    assert_true(accepted[2] >= 0);
    for (int i = 0; i < 3; i++)
        close(client[i]);
    close(accepted[1]);
    close(accepted[2]);
    sockets_destroy(&sockets);
    close(listening);
}

static void proxies_have_none(void **state)
{
    static char network[] = "127.0.0.0/8";
    static char *items[] = {network};
    const struct config_strings trusted = {items, 1};
    uint16_t port;
    int listening = listener(&port), client[4], accepted[4];
    struct sockets *sockets = sockets_create(2, &trusted);
    (void) state;
    for (int i = 0; i < 4; i++) {
        client[i] = dial(port);
        accepted[i] = take(listening);
        assert_true(accepted[i] >= 0);
    }
    for (int i = 0; i < 4; i++) {
        close(client[i]);
        close(accepted[i]);
    }
    sockets_destroy(&sockets);
    close(listening);
}

struct reader {
    struct sockets *sockets;
    int fd;
    ssize_t first, second, third;
    enum peer_end after_budget, after_deadline;
};

/* As a worker: the first read tells whose connection it is. */
static void read_within_budget(void *argument)
{
    struct reader *reader = argument;
    char buffer[100];
    sockets_worker();
    reader->first = recv(reader->fd, buffer, 10, 0);
    struct peer_socket *peer = sockets_claim(reader->sockets, "192.0.2.1", 1);
    CHECK(peer != NULL && peer_fd(peer) == reader->fd);
    peer_allow(peer, 5, CLOCK_NEVER);
    reader->second = recv(reader->fd, buffer, sizeof(buffer), 0);
    CHECK(recv(reader->fd, buffer, sizeof(buffer), 0) == 0);
    reader->after_budget = peer_end(peer);
    peer_allow(peer, 1000, clock_now());
    reader->third = recv(reader->fd, buffer, sizeof(buffer), 0);
    reader->after_deadline = peer_end(peer);
    sockets_release(reader->sockets, peer);
}

static void reading_keeps_to_its_budget(void **state)
{
    static const char data[] = "0123456789abcdefghijklmnop";
    uint16_t port;
    int listening = listener(&port), client;
    struct sockets *sockets = sockets_create(10, &nobody);
    struct reader reader = {.sockets = sockets};
    struct thread thread;
    (void) state;
    client = dial(port);
    reader.fd = take(listening);
    assert_true(reader.fd >= 0);
    assert_int_equal(send(client, data, sizeof(data), 0), (ssize_t) sizeof(data));
    assert_int_equal(thread_start(&thread, "test", "reader", read_within_budget, &reader), 0);
    thread_join(&thread);
    assert_int_equal(reader.first, 10);
    assert_int_equal(reader.second, 5);
    assert_int_equal(reader.after_budget, PEER_TOO_MUCH);
    assert_int_equal(reader.third, 0);
    assert_int_equal(reader.after_deadline, PEER_LATE);
    assert_int_equal(sockets_count(sockets), 0);
    close(reader.fd);
    close(client);
    sockets_destroy(&sockets);
    close(listening);
}

static void others_read_as_ever(void **state)
{
    int pair[2];
    char buffer[8];
    struct sockets *sockets = sockets_create(10, &nobody);
    (void) state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(send(pair[0], "hello", 5, 0), 5);
    assert_int_equal(recv(pair[1], buffer, sizeof(buffer), 0), 5);
    close(pair[0]);
    close(pair[1]);
    sockets_destroy(&sockets);
}

static void closing_cuts_everybody(void **state)
{
    uint16_t port;
    int listening = listener(&port), client, accepted;
    char c;
    struct sockets *sockets = sockets_create(10, &nobody);
    (void) state;
    client = dial(port);
    accepted = take(listening);
    assert_true(accepted >= 0);
    sockets_close(sockets);
    assert_int_equal(recv(client, &c, 1, 0), 0);
    int late = dial(port);
    assert_int_equal(take(listening), -1);
    assert_int_equal(errno, ECONNABORTED);
    close(late);
    close(client);
    close(accepted);
    sockets_destroy(&sockets);
    close(listening);
}

static void networks_are_understood(void **state)
{
    char *items[] = {(char[]){"10.0.0.0/8"}, (char[]){"192.0.2.7"}, (char[]){"::1"},
                     (char[]){"nonsense/99"}};
    const struct config_strings list = {items, ARRAY_LENGTH(items)};
    (void) state;
    assert_true(sockets_address_in(&list, "10.255.0.1"));
    assert_true(sockets_address_in(&list, "192.0.2.7"));
    assert_true(sockets_address_in(&list, "::1"));
    assert_false(sockets_address_in(&list, "11.0.0.1"));
    assert_false(sockets_address_in(&list, "192.0.2.70"));
    assert_false(sockets_address_in(&list, "nonsense"));
    assert_false(sockets_address_in(&nobody, "127.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "one address has a limit, and a silent peer is let go",
         .test_func = one_address_has_a_limit},
        {.name = "trusted proxies have no limit", .test_func = proxies_have_none},
        {.name = "R9.1 reading keeps to its budget of bytes and time",
         .test_func = reading_keeps_to_its_budget},
        {.name = "other sockets are read as ever", .test_func = others_read_as_ever},
        {.name = "R8.3 closing cuts everybody and accepts nobody",
         .test_func = closing_cuts_everybody},
        {.name = "networks of proxies are understood", .test_func = networks_are_understood},
    };
    return cmocka_run_group_tests_name("sockets", tests, NULL, NULL);
}
