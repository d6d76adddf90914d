/*
 * Whatever a WebSocket client says: frames, each as its first byte, a length of two bytes and as
 * many of payload. The hub answers, closes or ignores; and after any of it serves the next.
 */
#include "hub_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void open_once(void)
{
    static bool open;

    if (open)
        return;
    open = true;
    house_open("clients = 50; queue = 16; message_max = 4096; rate = 10000.0; burst = 10000;");
    house_add_node("web-1", "production");
}

/* Reads what came, so that the sockets' memory is given back. */
static void drain(int fd)
{
    char piece[65536];

    while (recv(fd, piece, sizeof(piece), MSG_DONTWAIT) > 0)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hub_client *client;
    int ends[2];
    bool stays = true;
    int error;

    open_once();
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    /* The reaper may be behind with those that went. */
    while ((error = hub_add_socket(house.hub, ends[0], house.session, &client)) ==
           CESID_E_TOO_MANY_CLIENTS)
        (void) poll(NULL, 0, 1);
    CHECK(error == CESID_OK);
    while (stays && size >= 3) {
        size_t length = (size_t) data[1] << 8 | data[2];
        int first = data[0];
        data += 3;
        size -= 3;
        length = length < size ? length : size;
        stays = hub_client_received(client, first, (const char *) data, length);
        data += length;
        size -= length;
        drain(ends[1]);
    }
    hub_client_gone(&client);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    return 0;
}
