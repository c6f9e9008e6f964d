/* SPDX-License-Identifier: MIT
 * See http2_client.h. */
#include "net/http2_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static uint32_t number(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void number_to(unsigned char *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (24 - 8 * i));
}

void net_http2_client_connect(struct net_http2_client *client, struct net_harness *harness)
{
    memset(client, 0, sizeof(*client));
    client->fd = net_harness_connect(harness);
    assert_int_equal(nghttp2_hd_inflate_new(&client->inflater), 0);
}

void net_http2_client_open(struct net_http2_client *client, struct net_harness *harness)
{
    net_http2_client_connect(client, harness);
    net_client_send(client->fd, SPAN_OF(NGHTTP2_CLIENT_MAGIC));
    net_http2_client_frame(client, NGHTTP2_SETTINGS, 0, 0, (struct span){0});
}

void net_http2_client_close(struct net_http2_client *client)
{
    nghttp2_hd_inflate_del(client->inflater);
    assert_int_equal(close(client->fd), 0);
}

void net_http2_client_frame(struct net_http2_client *client, int type, int flags, uint32_t id,
                            struct span payload)
{
    unsigned char frame[9 + HTTP2_FRAME_BYTES_MAX];

    assert_true(payload.len <= HTTP2_FRAME_BYTES_MAX);
    number_to(frame, (uint32_t)payload.len << 8);
    frame[3] = (unsigned char)type;
    frame[4] = (unsigned char)flags;
    number_to(frame + 5, id);
    if (payload.len > 0)
        memcpy(frame + 9, payload.ptr, payload.len);
    net_client_send(client->fd, span_make(frame, 9 + payload.len));
}

/* RFC 7541, 5.1, with a prefix of seven bits. */
static void add_length(struct sbuf *block, size_t length)
{
    if (length < 127) {
        sbuf_add_char(block, (char)length);
        return;
    }
    sbuf_add_char(block, 127);
    for (length -= 127; length >= 128; length /= 128)
        sbuf_add_char(block, (char)(length % 128 + 128));
    sbuf_add_char(block, (char)length);
}

void net_http2_client_field(struct sbuf *block, struct span name, struct span value)
{
    sbuf_add_char(block, 0);
    add_length(block, name.len);
    sbuf_add(block, name);
    add_length(block, value.len);
    sbuf_add(block, value);
    assert_false(block->full);
}

void net_http2_client_request(struct sbuf *block, const char *method, const char *path)
{
    net_http2_client_field(block, SPAN_OF(":method"), span_from(method));
    net_http2_client_field(block, SPAN_OF(":scheme"), SPAN_OF("http"));
    net_http2_client_field(block, SPAN_OF(":authority"), SPAN_OF("a"));
    net_http2_client_field(block, SPAN_OF(":path"), span_from(path));
}

void net_http2_client_headers(struct net_http2_client *client, uint32_t id, struct span block,
                              bool end)
{
    net_http2_client_frame(client, NGHTTP2_HEADERS,
                           NGHTTP2_FLAG_END_HEADERS | (end ? NGHTTP2_FLAG_END_STREAM : 0), id,
                           block);
}

void net_http2_client_get(struct net_http2_client *client, uint32_t id, const char *path)
{
    char buffer[1024];
    struct sbuf block = sbuf_over(buffer, sizeof(buffer));

    net_http2_client_request(&block, "GET", path);
    net_http2_client_headers(client, id, sbuf_span(&block), true);
}

/* --- reading ---------------------------------------------------------------------------------- */

static bool read_bytes(struct net_http2_client *client, unsigned char *to, size_t bytes)
{
    size_t at = 0;

    while (at < bytes) {
        ssize_t got = recv(client->fd, to + at, bytes - at, 0);

        if (got <= 0) {
            if (got < 0 && !client->may_break)
                fail_msg("the connection was reset or stood still");
            client->over = true;
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

static struct net_http2_answer *answer_of(struct net_http2_client *client, uint32_t id)
{
    assert_true(id / 2 < HTTP2_ANSWERS_MAX);
    return &client->answers[id / 2];
}

static void field_in(struct net_http2_answer *answer, const nghttp2_nv *field)
{
    struct span name = span_make(field->name, field->namelen);
    struct span value = span_make(field->value, field->valuelen);
    uint64_t status;

    answer->fields += name.len + value.len;
    for (size_t i = 0; i < name.len; i++)
        assert_false(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z');
    if (span_is(name, "content-length") && value.len < sizeof(answer->length))
        memcpy(answer->length, value.ptr, value.len);
    if (!span_is(name, ":status"))
        return;
    assert_true(span_to_u64(value, &status));
    if (answer->status != 0)
        answer->informed = answer->status;
    answer->status = (int)status;
}

/* `last`: nothing of the block is still to come. */
static void headers_in(struct net_http2_client *client, struct net_http2_answer *answer,
                       size_t bytes, bool last)
{
    const uint8_t *at = client->payload;

    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(client->inflater, &field, &flags, at, bytes, last);

        assert_true(used >= 0);
        at += used;
        bytes -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
            field_in(answer, &field);
        if ((flags & NGHTTP2_HD_INFLATE_FINAL) != 0)
            break;
        if (!last && bytes == 0 && (flags & NGHTTP2_HD_INFLATE_EMIT) == 0)
            return;
    }
    assert_int_equal(nghttp2_hd_inflate_end_headers(client->inflater), 0);
}

static void open_window(struct net_http2_client *client, uint32_t id, size_t bytes)
{
    unsigned char increment[4];

    if (bytes == 0 || client->keeps_shut)
        return;
    number_to(increment, (uint32_t)bytes);
    net_http2_client_frame(client, NGHTTP2_WINDOW_UPDATE, 0, 0, span_make(increment, 4));
    net_http2_client_frame(client, NGHTTP2_WINDOW_UPDATE, 0, id, span_make(increment, 4));
}

static void data_in(struct net_http2_client *client, uint32_t id, size_t bytes)
{
    struct net_http2_answer *answer = answer_of(client, id);

    for (size_t i = 0; i < bytes; i++) {
        if (answer->bytes + i < sizeof(answer->text) - 1)
            answer->text[answer->bytes + i] = (char)client->payload[i];
        answer->sum = answer->sum * 31 + client->payload[i];
    }
    answer->bytes += bytes;
    open_window(client, id, bytes);
}

static void settings_in(struct net_http2_client *client, int flags, size_t bytes)
{
    if ((flags & NGHTTP2_FLAG_ACK) != 0) {
        client->settings++;
        return;
    }
    for (size_t at = 0; at + 6 <= bytes; at += 6) {
        if (client->payload[at + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
            client->limit = (int)number(client->payload + at + 2);
    }
    if (!client->mute)
        net_http2_client_frame(client, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, (struct span){0});
}

static void frame_in(struct net_http2_client *client, const unsigned char *head, size_t bytes)
{
    uint32_t id = number(head + 5);
    struct net_http2_answer *answer = answer_of(client, id);

    switch (head[3]) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION:
        headers_in(client, answer, bytes, (head[4] & NGHTTP2_FLAG_END_HEADERS) != 0);
        break;
    case NGHTTP2_DATA:
        data_in(client, id, bytes);
        break;
    case NGHTTP2_RST_STREAM:
        answer->reset = true;
        answer->code = number(client->payload);
        break;
    case NGHTTP2_SETTINGS:
        settings_in(client, head[4], bytes);
        break;
    case NGHTTP2_PING:
        client->pongs += (head[4] & NGHTTP2_FLAG_ACK) != 0;
        if ((head[4] & NGHTTP2_FLAG_ACK) == 0)
            net_http2_client_frame(client, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0,
                                   span_make(client->payload, 8));
        break;
    case NGHTTP2_GOAWAY:
        client->gone = true;
        client->last = number(client->payload);
        client->code = number(client->payload + 4);
        break;
    default:
        break;
    }
    if ((head[3] == NGHTTP2_HEADERS || head[3] == NGHTTP2_DATA) &&
        (head[4] & NGHTTP2_FLAG_END_STREAM) != 0)
        answer->ended = true;
}

bool net_http2_client_read(struct net_http2_client *client)
{
    unsigned char head[9];
    size_t bytes;

    if (!read_bytes(client, head, sizeof(head)))
        return false;
    bytes = number(head) >> 8;
    assert_true(bytes <= sizeof(client->payload));
    if (!read_bytes(client, client->payload, bytes))
        return false;
    frame_in(client, head, bytes);
    return true;
}

const struct net_http2_answer *net_http2_client_answer(struct net_http2_client *client, uint32_t id)
{
    const struct net_http2_answer *answer = answer_of(client, id);

    while (!answer->ended && !answer->reset) {
        if (!net_http2_client_read(client))
            fail_msg("the connection ended before stream %u did", id);
    }
    return answer;
}

int64_t net_http2_client_end(struct net_http2_client *client)
{
    while (net_http2_client_read(client))
        continue;
    return client->gone ? (int64_t)client->code : -1;
}

void net_http2_client_sync(struct net_http2_client *client)
{
    int before = client->pongs;

    net_http2_client_frame(client, NGHTTP2_PING, 0, 0, SPAN_OF("12345678"));
    while (client->pongs == before) {
        if (!net_http2_client_read(client))
            fail_msg("the connection ended");
    }
}
