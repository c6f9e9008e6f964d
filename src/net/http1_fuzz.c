/* SPDX-License-Identifier: MIT
 * Any bytes at all, read whole and cut into pieces: both readings must say the same, and whatever
 * is let through must be clean. The first byte of the input chooses the cuts. */
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "net/http1.h"

enum { ARENA_BYTES = 128 * 1024, REQUESTS_MAX = 8 };

static const struct net_http1_limits limits = {
    .head_bytes_max = 1024, .headers_max = 16, .target_bytes_max = 128};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What was understood, so far. */
struct reading {
    struct net_http1 http1;
    struct arena arena;
    uint64_t told;      /* a hash of it */
    uint64_t body_told; /* of the present body */
    int requests;
    bool over;
};

static void tell(struct reading *r, const void *ptr, size_t len)
{
    struct hash_key key = {r->told, len};

    r->told = hash_bytes(&key, ptr, len);
}

static void tell_span(struct reading *r, struct span s)
{
    tell(r, s.ptr != NULL ? s.ptr : "", s.len);
}

static void check_name(struct span name)
{
    PC_ASSERT(name.len > 0);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        PC_ASSERT(c > ' ' && c < 0x7f && c != ':' && !(c >= 'A' && c <= 'Z'));
    }
}

static void check_value(struct span value)
{
    PC_ASSERT(value.len == 0 || value.ptr != NULL);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        PC_ASSERT((c >= ' ' || c == '\t') && c != 0x7f);
    }
}

static void check_head(struct reading *r)
{
    const struct net_head *head = &r->http1.head;

    PC_ASSERT(head->target.len > 0 && head->target.len <= limits.target_bytes_max);
    PC_ASSERT(head->header_count <= limits.headers_max);
    PC_ASSERT(head->has_body == (head->content_length > 0));
    PC_ASSERT(!(head->minor_version == 0 && head->content_length == NET_LENGTH_CHUNKED));
    for (size_t i = 0; i < head->target.len; i++)
        PC_ASSERT(head->target.ptr[i] > ' ' && head->target.ptr[i] < 0x7f);
    tell_span(r, head->method_text);
    tell_span(r, head->target);
    tell(r, &head->content_length, sizeof(head->content_length));
    tell(r, &r->http1.keep_alive, sizeof(r->http1.keep_alive));
    for (size_t i = 0; i < head->header_count; i++) {
        check_name(head->headers[i].name);
        check_value(head->headers[i].value);
        tell_span(r, head->headers[i].name);
        tell_span(r, head->headers[i].value);
    }
}

static void check_trailers(struct reading *r)
{
    const struct net_http1 *http1 = &r->http1;

    PC_ASSERT(http1->trailer_count <= limits.headers_max);
    for (size_t i = 0; i < http1->trailer_count; i++) {
        check_name(http1->trailers[i].name);
        check_value(http1->trailers[i].value);
        PC_ASSERT(net_trailer_is_good(http1->trailers[i].name));
        tell_span(r, http1->trailers[i].name);
        tell_span(r, http1->trailers[i].value);
    }
}

static void check_body(struct reading *r, struct span piece)
{
    PC_ASSERT(piece.len > 0);
    for (size_t i = 0; i < piece.len; i++) /* byte by byte: pieces may be cut anywhere */
        r->body_told = (r->body_told ^ (unsigned char)piece.ptr[i]) * UINT64_C(1099511628211);
}

static void request_start(struct reading *r)
{
    arena_reset(&r->arena);
    net_http1_start(&r->http1, &r->arena, &limits);
    r->body_told = 14695981039346656037u;
}

static void tell_end(struct reading *r, int how)
{
    tell(r, &r->body_told, sizeof(r->body_told));
    tell(r, &how, sizeof(how));
}

/* False when there is nothing more to do with this input. */
static bool step(struct reading *r, struct span *input)
{
    struct span piece;
    enum err err = ERR_OK;

    switch (net_http1_next(&r->http1, input, &piece, &err)) {
    case NET_HTTP1_MORE:
        PC_ASSERT(input->len == 0);
        return false;
    case NET_HTTP1_HEAD:
        check_head(r);
        return true;
    case NET_HTTP1_BODY:
        check_body(r, piece);
        return true;
    case NET_HTTP1_END:
        check_trailers(r);
        tell_end(r, 0);
        r->over = ++r->requests == REQUESTS_MAX;
        request_start(r);
        return !r->over && input->len > 0;
    case NET_HTTP1_BAD:
        PC_ASSERT(err != ERR_OK);
        tell_end(r, 1); /* why may depend on where it was cut, that it is refused may not */
        r->over = true;
        return false;
    }
    PC_WRONG("an event");
}

/* From a block of exact size, so that reading past its end is seen. */
static void feed(struct reading *r, struct span piece)
{
    struct arena arena;
    struct span exact;

    if (r->over || piece.len == 0)
        return;
    arena_init(&arena, NULL, 0, piece.len);
    exact = arena_copy(&arena, piece);
    while (step(r, &exact))
        continue;
    arena_reset(&arena);
}

static void read_cut(struct reading *r, struct span input, uint32_t seed)
{
    *r = (struct reading){0};
    arena_init(&r->arena, NULL, 0, ARENA_BYTES);
    request_start(r);
    for (size_t at = 0; at < input.len;) {
        size_t len = input.len - at;

        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            len = 1 + (seed >> 24) % 29;
        }
        feed(r, span_slice(input, at, at + len));
        at += len;
    }
    if (!r->over)
        tell_end(r, -1);
    arena_reset(&r->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct reading whole;
    static struct reading cut;
    struct span input;

    if (bytes == 0)
        return 0;
    input = span_make(data + 1, bytes - 1);
    read_cut(&whole, input, 0);
    read_cut(&cut, input, 1 + data[0]);
    PC_ASSERT(whole.told == cut.told && whole.requests == cut.requests);
    return 0;
}
