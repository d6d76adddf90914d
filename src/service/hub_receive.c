/*
 * What a WebSocket client says: frames into messages (RFC 6455, 5.4 and 5.5), messages into
 * subscriptions. Runs on the client's own worker thread; rate, size and patience are bounded.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/json.h"
#include "cesid/text.h"
#include "hub_private.h"

#define STRIKES_MAX      10 /* bad messages in a row before the client is closed */
#define TOPICS_A_MESSAGE 64

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* Ends the conversation. The worker stays until the peer answers or the keeper cuts. */
static bool end(struct hub_client *client, uint16_t code)
{
    lock_acquire(&client->lock);
    client_close_locked(client, code, false);
    lock_release(&client->lock);
    sender_wake(client->hub, client);
    return true;
}

static void tell(struct hub_client *client, struct event *event)
{
    lock_acquire(&client->lock);
    client_offer_locked(client, event);
    lock_release(&client->lock);
    event_unref(&event);
    sender_wake(client->hub, client);
}

static bool within_rate(struct hub_client *client)
{
    struct config *config = config_get(client->hub->config);
    double burst = config->websocket.burst;
    int64_t now = clock_now();

    client->tokens += clock_seconds_since(client->tokens_at) * config->websocket.rate;
    client->tokens_at = now;
    if (client->tokens > burst)
        client->tokens = burst;
    config_unref(&config);
    if (client->tokens < 1)
        return false;
    client->tokens -= 1;
    return true;
}

static bool complain(struct hub_client *client, int error, const char *detail)
{
    tell(client, hub_error_event(error, detail));
    if (++client->strikes >= STRIKES_MAX)
        return end(client, HUB_CLOSE_POLICY);
    return true;
}

static void one_topic(struct hub_client *client, const char *topic, bool subscribe)
{
    int error = subscribe ? hub_subscribe(client, topic) : hub_unsubscribe(client, topic);
    struct strbuf detail;

    if (error == CESID_OK) {
        client->strikes = 0;
        return;
    }
    strbuf_init(&detail, 1024);
    strbuf_puts(&detail, "topic ");
    text_add_escaped(&detail, topic, strnlen(topic, 200));
    if (error == CESID_E_VALIDATION_FAILED)
        strbuf_puts(&detail, " is of no known form; known are fleet, node:NAME, operations, "
                             "activity and log:NODE:GROUP:PROCESS:STREAM");
    else if (error == CESID_E_NOT_FOUND)
        strbuf_puts(&detail, " names something that does not exist");
    else if (error == CESID_E_RATE_LIMITED)
        strbuf_puts(&detail, " is one too many; unsubscribe from others first");
    else
        strbuf_puts(&detail, " cannot be subscribed to");
    complain(client, error, detail.data);
    strbuf_destroy(&detail);
}

static bool topics(struct hub_client *client, const cJSON *message, bool subscribe)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(message, "topics");
    const cJSON *item;

    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) == 0 ||
        cJSON_GetArraySize(list) > TOPICS_A_MESSAGE || cJSON_GetArraySize(message) != 2)
        return complain(client, CESID_E_VALIDATION_FAILED,
                        "a subscription is {\"type\", \"topics\": [1 to 64 strings]}");
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item))
            one_topic(client, item->valuestring, subscribe);
        else
            complain(client, CESID_E_VALIDATION_FAILED, "a topic is a string");
    }
    return true;
}

static bool message(struct hub_client *client, const char *data, size_t length)
{
    cJSON *tree = NULL;
    const char *why = NULL, *type;
    bool stay;

    if (!text_is_utf8(data, length))
        return end(client, HUB_CLOSE_INVALID_DATA);
    if (json_parse(data, length, &tree, &why) != CESID_OK)
        return complain(client, CESID_E_INVALID_JSON, why);
    type = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "type"));
    if (type != NULL && strcmp(type, "ping") == 0) {
        client->strikes = 0;
        tell(client, event_create_private("pong", "{}", 2));
        stay = true;
    } else if (type != NULL && strcmp(type, "subscribe") == 0) {
        stay = topics(client, tree, true);
    } else if (type != NULL && strcmp(type, "unsubscribe") == 0) {
        stay = topics(client, tree, false);
    } else {
        stay = complain(client, CESID_E_VALIDATION_FAILED,
                        "type must be subscribe, unsubscribe or ping");
    }
    cJSON_Delete(tree);
    return stay;
}

static bool data_frame(struct hub_client *client, int opcode, bool final, const char *data,
                       size_t length)
{
    bool stay;

    if ((opcode == CONTINUATION) != client->in_fragments)
        return end(client, HUB_CLOSE_PROTOCOL);
    if (opcode == BINARY)
        return end(client, HUB_CLOSE_UNSUPPORTED);
    if (opcode == TEXT && final) {
        if (length > client->partial.limit)
            return end(client, HUB_CLOSE_TOO_BIG);
        return message(client, data, length);
    }
    strbuf_add(&client->partial, data, length);
    if (strbuf_failed(&client->partial))
        return end(client, HUB_CLOSE_TOO_BIG);
    client->in_fragments = !final;
    if (!final)
        return true;
    stay = message(client, client->partial.data, client->partial.length);
    strbuf_destroy(&client->partial);
    return stay;
}

/* RFC 6455, 7.4: codes that may be on the wire. What to answer. */
static enum hub_close close_answer(const char *data, size_t length)
{
    unsigned code;

    if (length == 0)
        return HUB_CLOSE_NORMAL;
    if (length == 1 || length > 125)
        return HUB_CLOSE_PROTOCOL;
    code = (unsigned) (unsigned char) data[0] << 8 | (unsigned char) data[1];
    if (code < 1000 || code == 1004 || code == 1005 || code == 1006 ||
        (code > 1014 && code < 3000) || code > 4999)
        return HUB_CLOSE_PROTOCOL;
    return text_is_utf8(data + 2, length - 2) ? HUB_CLOSE_NORMAL : HUB_CLOSE_INVALID_DATA;
}

void hub_client_close(struct hub_client *client, enum hub_close code)
{
    lock_acquire(&client->lock);
    client_close_locked(client, (uint16_t) code, false);
    client_write_locked(client);
    lock_release(&client->lock);
}

/* The peer closes: answer at once, from here, because the worker leaves right afterwards. */
static bool peer_closes(struct hub_client *client, bool final, const char *data, size_t length)
{
    hub_client_close(client, final ? close_answer(data, length) : HUB_CLOSE_PROTOCOL);
    return false;
}

bool hub_client_received(struct hub_client *client, int first_byte, const char *data, size_t length)
{
    int opcode = first_byte & 0x0F;
    bool final = (first_byte & 0x80) != 0;
    bool open;

    lock_acquire(&client->lock);
    client->received_at = clock_now();
    open = client->state == CLIENT_OPEN;
    lock_release(&client->lock);

    if (opcode == CLOSE)
        return peer_closes(client, final, data, length);
    if (!open)
        return true; /* closing: what else it says does not count */
    if ((first_byte & 0x70) != 0 || opcode > PONG || (opcode > BINARY && opcode < CLOSE))
        return end(client, HUB_CLOSE_PROTOCOL);
    if (opcode >= CLOSE && (!final || length > 125))
        return end(client, HUB_CLOSE_PROTOCOL);
    if (!within_rate(client))
        return end(client, HUB_CLOSE_POLICY);
    if (opcode == PONG)
        return true;
    if (opcode != PING)
        return data_frame(client, opcode, final, data, length);
    lock_acquire(&client->lock);
    client_control_locked(client, PONG, data, length);
    lock_release(&client->lock);
    sender_wake(client->hub, client);
    return true;
}
