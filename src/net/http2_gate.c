/* SPDX-License-Identifier: MIT
 * The gate before nghttp2: see http2_gate.h. Budgets are leaky buckets kept as one moment each: a
 * frame moves the moment at which its budget is whole again, and whoever moves it too far ahead of
 * now has overdrawn. */
#include "net/http2_gate.h"

#include <string.h>

#include "base/clock.h"
#include "base/reason.h"

enum {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_WINDOW_UPDATE = 8,
    FRAME_CONTINUATION = 9,
};

enum {
    FLAG_ACK = 0x1,
    FLAG_END_STREAM = 0x1,
    FLAG_END_HEADERS = 0x4,
    FLAG_PADDED = 0x8,
};

enum {
    BLOCK_PARTS_MAX = 8,         /* CONTINUATION frames: as many as nghttp2 takes */
    UNANSWERED_RESETS_MAX = 100, /* resets in all, beyond the streams that were completed */
    WINDOWS_PER_DATA = 8,        /* some clients open both windows for every 4 KiB they read */
    WINDOWS_OWED_MAX = 8192,     /* for 16 MiB, as much as sockets hold */
    STREAM_EARNS = 4,            /* frames of a kind for a completed stream */
};

struct rule {
    enum reason name;
    uint32_t burst;  /* frames at once */
    int64_t each_ns; /* one more after so long */
};

static const struct rule rules[NET_HTTP2_FLOOD_COUNT] = {
    [NET_HTTP2_FLOOD_RESET] = {REASON_FLOOD_RESET, 100, 50 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_MADE] = {REASON_FLOOD_MADE, 50, 100 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_HEADERS] = {REASON_FLOOD_HEADERS, 0, 0},
    [NET_HTTP2_FLOOD_SETTINGS] = {REASON_FLOOD_SETTINGS, 20, 1000 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_PING] = {REASON_FLOOD_PING, 60, 500 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_EMPTY] = {REASON_FLOOD_EMPTY, 20, 1000 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_PRIORITY] = {REASON_FLOOD_PRIORITY, 200, 50 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_WINDOW] = {REASON_FLOOD_WINDOW, 500, 10 * CLOCK_NS_PER_MS},
    [NET_HTTP2_FLOOD_QUEUE] = {REASON_FLOOD_QUEUE, 0, 0},
};

const char *net_http2_flood_name(enum net_http2_flood kind)
{
    return reason_code(rules[kind].name);
}

void net_http2_gate_open(struct net_http2_gate *gate, size_t block_bytes_max)
{
    *gate = (struct net_http2_gate){.skip = NET_HTTP2_PREFACE_BYTES,
                                    .block_bytes_max = (uint32_t)block_bytes_max};
}

static bool charge(struct net_http2_gate *gate, enum net_http2_flood kind, int64_t now_ns)
{
    const struct rule *rule = &rules[kind];
    int64_t *until_ns = &gate->until_ns[kind];

    if (*until_ns < now_ns)
        *until_ns = now_ns;
    *until_ns += rule->each_ns;
    return *until_ns - now_ns <= rule->burst * rule->each_ns;
}

/* Never below zero: what was earned long ago is not kept, see charge. */
static void earn(struct net_http2_gate *gate, enum net_http2_flood kind, int64_t frames)
{
    gate->until_ns[kind] -= frames * rules[kind].each_ns;
}

/* These are kept: what was sent may wait long in sockets until its reader opens windows for all of
 * it at once. */
static void owe_windows(struct net_http2_gate *gate, uint32_t frames)
{
    gate->windows_owed += frames;
    if (gate->windows_owed > WINDOWS_OWED_MAX)
        gate->windows_owed = WINDOWS_OWED_MAX;
}

void net_http2_gate_completed(struct net_http2_gate *gate)
{
    gate->completed++;
    earn(gate, NET_HTTP2_FLOOD_PING, 1);
    earn(gate, NET_HTTP2_FLOOD_PRIORITY, STREAM_EARNS);
    owe_windows(gate, STREAM_EARNS);
}

void net_http2_gate_data(struct net_http2_gate *gate)
{
    owe_windows(gate, WINDOWS_PER_DATA);
}

static bool is_out_of_proportion(const struct net_http2_gate *gate, uint32_t count)
{
    return count > UNANSWERED_RESETS_MAX && count - UNANSWERED_RESETS_MAX > gate->completed;
}

bool net_http2_gate_made(struct net_http2_gate *gate, int64_t now_ns)
{
    gate->made++;
    return charge(gate, NET_HTTP2_FLOOD_MADE, now_ns) && !is_out_of_proportion(gate, gate->made);
}

static uint32_t length_of(const struct net_http2_gate *gate)
{
    return (uint32_t)gate->head[0] << 16 | (uint32_t)gate->head[1] << 8 | gate->head[2];
}

static bool block_pass(struct net_http2_gate *gate, bool begins, uint32_t length, int64_t now_ns)
{
    if (begins) {
        gate->block_ns = now_ns;
        gate->block_bytes = 0;
        gate->block_parts = 0;
    } else {
        gate->block_parts++;
    }
    gate->block_bytes += length; /* 24 bits, a few times: no overflow */
    gate->ends_block = (gate->head[4] & FLAG_END_HEADERS) != 0;
    return gate->block_parts <= BLOCK_PARTS_MAX && gate->block_bytes <= gate->block_bytes_max;
}

/* What a frame is charged to; COUNT: nothing. */
static enum net_http2_flood kind_of(unsigned char type, unsigned char flags, uint32_t length)
{
    switch (type) {
    case FRAME_DATA:
        return length == 0 && (flags & FLAG_END_STREAM) == 0 ? NET_HTTP2_FLOOD_EMPTY
                                                             : NET_HTTP2_FLOOD_COUNT;
    case FRAME_HEADERS:
    case FRAME_CONTINUATION:
        return length == 0 ? NET_HTTP2_FLOOD_EMPTY : NET_HTTP2_FLOOD_COUNT;
    case FRAME_RST_STREAM:
        return NET_HTTP2_FLOOD_RESET;
    case FRAME_SETTINGS:
        return NET_HTTP2_FLOOD_SETTINGS;
    case FRAME_PING:
        return (flags & FLAG_ACK) != 0 ? NET_HTTP2_FLOOD_PRIORITY : NET_HTTP2_FLOOD_PING;
    case FRAME_WINDOW_UPDATE:
        return NET_HTTP2_FLOOD_WINDOW;
    default:
        return NET_HTTP2_FLOOD_PRIORITY;
    }
}

/* A frame's nine bytes are here. */
static bool frame_pass(struct net_http2_gate *gate, int64_t now_ns, enum net_http2_flood *ret_kind)
{
    unsigned char type = gate->head[3];
    uint32_t length = length_of(gate);

    *ret_kind = NET_HTTP2_FLOOD_HEADERS;
    gate->skip = length;
    gate->ends_block = false;
    gate->pad_due = type == FRAME_DATA && length > 0 &&
                    (gate->head[4] & (FLAG_PADDED | FLAG_END_STREAM)) == FLAG_PADDED;
    if ((type == FRAME_HEADERS || type == FRAME_CONTINUATION) &&
        !block_pass(gate, type == FRAME_HEADERS, length, now_ns))
        return false;
    *ret_kind = kind_of(type, gate->head[4], length);
    if (*ret_kind == NET_HTTP2_FLOOD_COUNT)
        return true;
    if (type == FRAME_RST_STREAM) {
        gate->resets++;
        if (is_out_of_proportion(gate, gate->resets))
            return false;
    }
    if (type == FRAME_WINDOW_UPDATE && gate->windows_owed > 0) {
        gate->windows_owed--;
        return true;
    }
    return charge(gate, *ret_kind, now_ns);
}

/* The first byte of padded DATA: is there anything behind it but padding? */
static bool padding_pass(struct net_http2_gate *gate, unsigned char padding, int64_t now_ns,
                         enum net_http2_flood *ret_kind)
{
    gate->pad_due = false;
    *ret_kind = NET_HTTP2_FLOOD_EMPTY;
    return padding + 1U < length_of(gate) || charge(gate, NET_HTTP2_FLOOD_EMPTY, now_ns);
}

/* The present frame is over. */
static void frame_end(struct net_http2_gate *gate)
{
    if (gate->ends_block)
        gate->block_ns = 0;
    gate->ends_block = false;
}

/* The next `bytes` of a frame's head, or of the preface or a payload. */
static bool part_pass(struct net_http2_gate *gate, const char *ptr, size_t bytes, int64_t now_ns,
                      enum net_http2_flood *ret_kind)
{
    if (gate->skip > 0) {
        if (gate->pad_due && !padding_pass(gate, (unsigned char)ptr[0], now_ns, ret_kind))
            return false;
        gate->skip -= (uint32_t)bytes;
        return true;
    }
    memcpy(gate->head + gate->have, ptr, bytes);
    gate->have += (uint8_t)bytes;
    if (gate->have < sizeof(gate->head))
        return true;
    gate->have = 0;
    return frame_pass(gate, now_ns, ret_kind);
}

bool net_http2_gate_pass(struct net_http2_gate *gate, struct span bytes, int64_t now_ns,
                         enum net_http2_flood *ret_kind)
{
    while (bytes.len > 0) {
        size_t want = gate->skip > 0 ? gate->skip : (size_t)(sizeof(gate->head) - gate->have);
        size_t take = want < bytes.len ? want : bytes.len;

        if (!part_pass(gate, bytes.ptr, take, now_ns, ret_kind))
            return false;
        if (gate->skip == 0 && gate->have == 0)
            frame_end(gate);
        bytes = span_slice(bytes, take, bytes.len);
    }
    return true;
}
