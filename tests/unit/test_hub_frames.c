/*
 * What a WebSocket client says to the hub: frames into messages, each wrong one with its close
 * code.
 */
#include "hub_house.h"

/* What is said as one frame, and the code that the hub closes with. */
static void closes_with(int first_byte, const char *data, size_t length, int code)
{
    struct peer peer;

    peer_open(&peer);
    peer_says_frame(&peer, first_byte, data, length);
    peer_expect_close(&peer, code);
    peer_leave(&peer);
}

static void test_closing(void **state)
{
    static char large[300];

    (void) state;
    house_open("message_max = 256;");
    memset(large, 'x', sizeof(large));
    closes_with(0x82, "\1\2", 2, HUB_CLOSE_UNSUPPORTED);
    closes_with(0x81, "\xFF\xFE", 2, HUB_CLOSE_INVALID_DATA);
    closes_with(0x81, large, sizeof(large), HUB_CLOSE_TOO_BIG);
    closes_with(0x80, "x", 1, HUB_CLOSE_PROTOCOL);        /* continues nothing */
    closes_with(0xC1, "{}", 2, HUB_CLOSE_PROTOCOL);       /* a reserved bit */
    closes_with(0x83, "{}", 2, HUB_CLOSE_PROTOCOL);       /* a reserved opcode */
    closes_with(0x8B, "", 0, HUB_CLOSE_PROTOCOL);         /* another */
    closes_with(0x09, "", 0, HUB_CLOSE_PROTOCOL);         /* a ping in pieces */
    closes_with(0x89, large, 126, HUB_CLOSE_PROTOCOL);    /* a ping too long */
    closes_with(0x8A, large, 126, HUB_CLOSE_PROTOCOL);    /* a pong too long */
    closes_with(0x88, "", 0, HUB_CLOSE_NORMAL);           /* a good bye */
    closes_with(0x88, "\x03\xE8", 2, HUB_CLOSE_NORMAL);   /* 1000 */
    closes_with(0x88, "\x0F\xA0ok", 4, HUB_CLOSE_NORMAL); /* 4000 and a reason */
    closes_with(0x88, "\x03", 1, HUB_CLOSE_PROTOCOL);     /* half a code */
    closes_with(0x88, "\x03\xED", 2, HUB_CLOSE_PROTOCOL); /* 1005 is not for the wire */
    closes_with(0x88, "\x07\xD0", 2, HUB_CLOSE_PROTOCOL); /* 2000 */
    closes_with(0x88, "\x03\xE8\xFF", 3, HUB_CLOSE_INVALID_DATA);
    closes_with(0x08, "", 0, HUB_CLOSE_PROTOCOL); /* a close in pieces */
    house_close();
}

static void test_fragments(void **state)
{
    struct frame frame = {0};
    struct peer peer;

    (void) state;
    house_open("message_max = 256;");
    peer_open(&peer);
    peer_expect(&peer, "hello");
    for (int i = 0; i < 3; i++) {
        assert_true(peer_says_frame(&peer, 0x01, "{\"ty", 4));
        assert_true(peer_says_frame(&peer, 0x00, "pe\":", 4));
        assert_true(peer_says_frame(&peer, 0x89, "knock", 5)); /* between two pieces */
        assert_true(peer_frame(&peer, &frame));
        assert_int_equal(frame.opcode, 10);
        assert_string_equal(frame.payload, "knock");
        free(frame.payload);
        assert_true(peer_says_frame(&peer, 0x00, "", 0));
        assert_true(peer_says_frame(&peer, 0x80, "\"ping\"}", 7));
        peer_expect(&peer, "pong");
    }
    /* A message that begins inside another. */
    assert_true(peer_says_frame(&peer, 0x01, "{", 1));
    peer_says_frame(&peer, 0x81, "{}", 2);
    peer_expect_close(&peer, HUB_CLOSE_PROTOCOL);
    peer_leave(&peer);

    /* Pieces that add up to too much. */
    peer_open(&peer);
    for (int i = 0; i < 20; i++)
        peer_says_frame(&peer, i == 0 ? 0x01 : 0x00, "0123456789abcdef", 16);
    peer_expect_close(&peer, HUB_CLOSE_TOO_BIG);
    peer_leave(&peer);

    /* A character over two frames is one character; half a one at the end is none. */
    peer_open(&peer);
    peer_expect(&peer, "hello");
    assert_true(peer_says_frame(&peer, 0x01, "\"\xC3", 2));
    assert_true(peer_says_frame(&peer, 0x80, "\xA9\"", 2));
    peer_expect_error(&peer, "validation_failed");
    assert_true(peer_says_frame(&peer, 0x01, "\"\xC3", 2));
    assert_true(peer_says_frame(&peer, 0x80, "\"", 1));
    peer_expect_close(&peer, HUB_CLOSE_INVALID_DATA);
    peer_leave(&peer);
    house_close();
}

static void test_nonsense(void **state)
{
    static const char *const texts[] = {"",
                                        "nope",
                                        "[]",
                                        "{}",
                                        "{\"type\":\"dance\"}",
                                        "{\"type\":\"subscribe\"}",
                                        "{\"type\":\"subscribe\",\"topics\":\"fleet\"}",
                                        "{\"type\":\"subscribe\",\"topics\":[1]}"};
    struct peer peer;

    (void) state;
    house_open("burst = 100;");
    peer_open(&peer);
    peer_expect(&peer, "hello");
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        peer_says(&peer, texts[i]);
        peer_expect(&peer, "error");
    }
    peer_says(&peer, "{\"type\":\"ping\"}"); /* reason again: forgiven */
    peer_expect(&peer, "pong");
    for (int i = 0; i < 10; i++)
        peer_says(&peer, "nope");
    peer_expect_close(&peer, HUB_CLOSE_POLICY);
    peer_leave(&peer);
    house_close();
}

static void test_rate(void **state)
{
    struct peer peer;

    (void) state;
    house_open("rate = 1.0; burst = 5;");
    peer_open(&peer);
    for (int i = 0; i < 20; i++)
        peer_says(&peer, "{\"type\":\"ping\"}");
    peer_expect_close(&peer, HUB_CLOSE_POLICY);
    peer_leave(&peer);
    house_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("frames out of order are answered with the right close code", test_closing),
        NAMED("messages in pieces, with pings between them", test_fragments),
        NAMED("nonsense is an error, and too much of it the end", test_nonsense),
        NAMED("more messages than the rate allows are the end", test_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
