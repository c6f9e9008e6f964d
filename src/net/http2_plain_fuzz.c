/* SPDX-License-Identifier: MIT
 * Header blocks of one connection, any bytes at all: nghttp2 must read in what net_http2_plain made
 * of each what it reads in the block itself, and refuse what it refuses. The input is blocks, each
 * behind two bytes with its length; the first byte of all says how much room there is. */
#include <string.h>

#include <nghttp2/nghttp2.h>

#include "base/sbuf.h"
#include "net/http2_plain.h"

enum { BLOCK_BYTES = 16 * 1024, TEXT_BYTES = 1024 * 1024, ROOM_STEP = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static char plain[BLOCK_BYTES];
static char texts[2][TEXT_BYTES];

/* What is read, as text; false if the block is refused. */
static bool unpack(nghttp2_hd_inflater *inflater, struct span block, struct sbuf *out)
{
    int flags = 0;

    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t used;

        flags = 0;
        used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, (const uint8_t *)block.ptr,
                                      block.len, 1);
        if (used < 0)
            return false;
        block = span_slice(block, (size_t)used, block.len);
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0)
            continue;
        sbuf_add(out, span_make(field.name, field.namelen));
        sbuf_add_char(out, (field.flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0 ? '!' : '=');
        sbuf_add(out, span_make(field.value, field.valuelen));
        sbuf_add_char(out, '\n');
    }
    return nghttp2_hd_inflate_end_headers(inflater) == 0;
}

static bool is_read_alike(struct net_http2_heard *heard, nghttp2_hd_inflater *const ways[2],
                          struct span block, size_t room)
{
    struct sbuf came = sbuf_over(texts[0], sizeof(texts[0]));
    struct sbuf read = sbuf_over(texts[1], sizeof(texts[1]));
    size_t made = net_http2_plain(heard, block, plain, room);
    bool good = unpack(ways[0], block, &came);

    PC_ASSERT(made <= room);
    PC_ASSERT(good == unpack(ways[1], made > 0 ? span_make(plain, made) : block, &read));
    PC_ASSERT(came.full == read.full && span_equal(sbuf_span(&came), sbuf_span(&read)));
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct net_http2_heard heard = {0};
    nghttp2_hd_inflater *ways[2];
    struct span rest = span_make(data, bytes);
    size_t room = bytes > 0 ? (size_t)data[0] * ROOM_STEP : 0;

    PC_ASSERT(nghttp2_hd_inflate_new(&ways[0]) == 0 && nghttp2_hd_inflate_new(&ways[1]) == 0);
    rest = span_slice(rest, 1, rest.len);
    while (rest.len > 2) {
        size_t len = (size_t)((unsigned char)rest.ptr[0] << 8 | (unsigned char)rest.ptr[1]);
        struct span block = span_slice(rest, 2, 2 + len < rest.len ? 2 + len : rest.len);

        if (block.len == 0 || !is_read_alike(&heard, ways, block, room))
            break; /* a connection ends at its first bad block */
        rest = span_slice(rest, 2 + block.len, rest.len);
    }
    net_http2_heard_free(&heard);
    nghttp2_hd_inflate_del(ways[0]);
    nghttp2_hd_inflate_del(ways[1]);
    return 0;
}
