/* SPDX-License-Identifier: MIT
 * Any bytes at all as an answer, read whole and cut into pieces: both readings must say the same,
 * whatever is let through must be clean, and what stands behind the end is not touched. The first
 * two bytes of the input choose the cuts and what was asked. */
#include <string.h>

#include "base/hash.h"
#include "net/http1_answer.h"

enum { ARENA_BYTES = 128 * 1024 };

static const struct net_answer_limits limits = {
    .head_bytes_max = 1024, .headers_max = 16, .interims_max = 3};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What was understood, so far. */
struct reading {
    struct net_answer answer;
    struct arena arena;
    uint64_t told;      /* a hash of it */
    uint64_t body_told; /* of the body */
    uint64_t body_bytes;
    size_t taken; /* bytes of input */
    bool is_head;
    bool upgrade;
    bool head_seen;
    bool ended;
    bool bad;
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

static void tell_number(struct reading *r, uint64_t number)
{
    tell(r, &number, sizeof(number));
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

static void check_headers(struct reading *r, const struct net_header *headers, size_t count)
{
    PC_ASSERT(count <= limits.headers_max);
    tell_number(r, count);
    for (size_t i = 0; i < count; i++) {
        check_name(headers[i].name);
        check_value(headers[i].value);
        tell_span(r, headers[i].name);
        tell_span(r, headers[i].value);
    }
}

static void check_head(struct reading *r, bool interim)
{
    const struct net_answer_head *head = &r->answer.head;
    bool chunked = head->content_length == NET_LENGTH_CHUNKED;
    int status = head->status;

    PC_ASSERT(!r->head_seen);
    PC_ASSERT(status >= 100 && status <= 599);
    PC_ASSERT(interim == (status < 200 && status != 101));
    PC_ASSERT(head->upgraded == (status == 101) && (!head->upgraded || r->upgrade));
    PC_ASSERT(!(head->minor_version == 0 && chunked));
    PC_ASSERT(!head->has_body || !(r->is_head || status < 200 || status == 204 || status == 304));
    PC_ASSERT(!head->has_body || head->content_length > 0);
    PC_ASSERT(chunked || head->content_length == NET_LENGTH_CLOSE ||
              head->content_length <= INT64_MAX);
    r->head_seen = !interim;
    tell_number(r, (uint64_t)status);
    tell_number(r, (uint64_t)head->minor_version);
    tell_number(r, head->content_length);
    tell_number(r, head->has_body);
    check_headers(r, head->headers, head->header_count);
}

static void check_body(struct reading *r, struct span piece, struct span before)
{
    PC_ASSERT(r->head_seen && r->answer.head.has_body && piece.len > 0);
    PC_ASSERT(piece.ptr >= before.ptr && piece.ptr + piece.len <= before.ptr + before.len);
    r->body_bytes += piece.len;
    for (size_t i = 0; i < piece.len; i++) /* byte by byte: pieces may be cut anywhere */
        r->body_told = (r->body_told ^ (unsigned char)piece.ptr[i]) * UINT64_C(1099511628211);
}

static void check_end(struct reading *r)
{
    const struct net_answer_head *head = &r->answer.head;

    PC_ASSERT(r->head_seen);
    if (head->has_body && head->content_length <= INT64_MAX)
        PC_ASSERT(r->body_bytes == head->content_length);
    if (!head->has_body)
        PC_ASSERT(r->body_bytes == 0);
    tell_number(r, r->body_told);
    check_headers(r, r->answer.trailers, r->answer.trailer_count);
    r->ended = true;
}

/* False when there is nothing more to do with this input. */
static bool step(struct reading *r, struct span *input)
{
    struct span before = *input;
    struct span piece = {0};
    const char *why = NULL;
    enum net_answer_event event = net_answer_next(&r->answer, input, &piece, &why);

    PC_ASSERT(input->len <= before.len);
    PC_ASSERT(input->len == 0 || input->ptr == before.ptr + (before.len - input->len));
    r->taken += before.len - input->len;
    switch (event) {
    case NET_ANSWER_MORE:
        PC_ASSERT(input->len == 0);
        return false;
    case NET_ANSWER_INTERIM:
    case NET_ANSWER_HEAD:
        check_head(r, event == NET_ANSWER_INTERIM);
        return true;
    case NET_ANSWER_BODY:
        check_body(r, piece, before);
        return true;
    case NET_ANSWER_END:
        check_end(r);
        return false;
    case NET_ANSWER_BAD:
        PC_ASSERT(why != NULL);
        r->bad = true; /* why may depend on where it was cut, that it is refused may not */
        return false;
    }
    PC_WRONG("an event");
}

/* Behind its end a reading only says so again, and takes nothing. */
static void check_over(struct reading *r, struct span input)
{
    struct span before = input;
    struct span piece;
    const char *why = NULL;

    PC_ASSERT(net_answer_next(&r->answer, &input, &piece, &why) ==
              (r->bad ? NET_ANSWER_BAD : NET_ANSWER_END));
    PC_ASSERT(input.ptr == before.ptr && input.len == before.len);
    if (input.len > 0)
        PC_ASSERT(!net_answer_keeps(&r->answer));
}

/* From a block of exact size, so that reading past its end is seen. */
static void feed(struct reading *r, struct span piece)
{
    struct arena arena;
    struct span exact;

    arena_init(&arena, NULL, 0, piece.len);
    exact = arena_copy(&arena, piece);
    while (!r->ended && !r->bad && step(r, &exact))
        continue;
    if (r->ended || r->bad)
        check_over(r, exact);
    arena_reset(&arena);
}

static void finish(struct reading *r)
{
    const char *why = NULL;

    tell_number(r, net_answer_keeps(&r->answer));
    PC_ASSERT(!(net_answer_keeps(&r->answer) && (r->bad || !r->ended)));
    if (r->bad)
        tell_number(r, 0);
    else if (!r->ended && net_answer_close(&r->answer, &why) == NET_ANSWER_END)
        check_end(r);
    PC_ASSERT(r->ended || r->bad || why != NULL);
    tell_number(r, r->ended);
    tell_number(r, net_answer_begun(&r->answer));
    if (r->ended)
        tell_number(r, r->taken);
}

static void read_cut(struct reading *r, struct span input, uint8_t asked, uint32_t seed)
{
    *r = (struct reading){.is_head = asked & 1, .upgrade = asked & 2};
    arena_init(&r->arena, NULL, 0, ARENA_BYTES);
    net_answer_start(&r->answer, &r->arena, &limits, r->is_head, r->upgrade);
    r->body_told = 14695981039346656037u;
    for (size_t at = 0; at < input.len;) {
        size_t len = input.len - at;

        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            len = 1 + (seed >> 24) % 29;
        }
        feed(r, span_slice(input, at, at + len));
        at += len;
    }
    finish(r);
    arena_reset(&r->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct reading whole;
    static struct reading cut;
    struct span input;

    if (bytes < 2)
        return 0;
    input = span_make(data + 2, bytes - 2);
    read_cut(&whole, input, data[1], 0);
    read_cut(&cut, input, data[1], 1 + data[0]);
    PC_ASSERT(whole.told == cut.told && whole.bad == cut.bad && whole.ended == cut.ended);
    return 0;
}
