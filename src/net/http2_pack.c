/* SPDX-License-Identifier: MIT
 * See http2_pack.h. The client's table is kept here as the texts that were put into it, in the
 * order in which they were: line `n` has the index FIRST + newest - 1 - n. We forget lines sooner
 * than the client, who has room for more, which changes no index. */
#include "net/http2_pack.h"

enum {
    STATIC_LINES = 61,
    FIRST = STATIC_LINES + 1, /* the index of the line that was put in last */
    LINE_EXTRA_BYTES = 32,    /* RFC 7541, 4.1 */
    NAME_BYTES_MAX = 40,      /* no name that is known here is longer */
    NUMBER_BYTES_MAX = 20,
};

/* The first byte of a field or instruction, and how many bits of a number it has room for. */
enum { INDEXED = 0x80, KEPT = 0x40, RESIZED = 0x20, NEVER_KEPT = 0x10, PLAIN = 0x00 };
enum { INDEXED_BITS = 7, KEPT_BITS = 6, RESIZED_BITS = 5, NEVER_KEPT_BITS = 4, TEXT_BITS = 7 };

enum { STATUS_NAME = 8, LENGTH_NAME = 28 }; /* of the static table */

/* --- names ------------------------------------------------------------------------------------ */

struct name {
    const char *text;
    uint8_t len;
    uint8_t index; /* of the static table; 0: not in there */
    bool is_new;   /* the value is different each time, or secret: it has no place in a table */
};

#define NAME(text, index, is_new)                                                                  \
    {                                                                                              \
        text, sizeof(text) - 1, index, is_new                                                      \
    }

/* The shorter ones first. RFC 7541, A. */
static const struct name names[] = {
    NAME("age", 21, false),
    NAME("via", 60, false),
    NAME("date", 33, false),
    NAME("etag", 34, true),
    NAME("link", 45, false),
    NAME("vary", 59, false),
    NAME("allow", 22, false),
    NAME("server", 54, false),
    NAME("expires", 36, false),
    NAME("location", 46, true),
    NAME("ratelimit", 0, true),
    NAME("set-cookie", 55, true),
    NAME("retry-after", 53, true),
    NAME("content-type", 31, false),
    NAME("x-request-id", 0, true),
    NAME("accept-ranges", 18, false),
    NAME("cache-control", 24, false),
    NAME("content-range", 30, true),
    NAME("last-modified", 44, false),
    NAME("content-length", LENGTH_NAME, true),
    NAME("x-process-time", 0, true),
    NAME("content-encoding", 26, false),
    NAME("content-language", 27, false),
    NAME("content-location", 29, false),
    NAME("www-authenticate", 61, false),
    NAME("x-ratelimit-reset", 0, true),
    NAME("content-disposition", 25, false),
    NAME("x-ratelimit-remaining", 0, true),
    NAME("strict-transport-security", 56, false),
    NAME("access-control-allow-origin", 20, false),
};

/* NULL if it is not known. In lower case. */
static const struct name *name_of(struct span text)
{
    for (size_t i = 0; i < PC_COUNT(names) && names[i].len <= text.len; i++) {
        if (names[i].len == text.len && memcmp(names[i].text, text.ptr, text.len) == 0)
            return &names[i];
    }
    return NULL;
}

/* --- what a block is made of ------------------------------------------------------------------ */

/* RFC 7541, 5.1. */
static void put_number(struct sbuf *out, unsigned char first, unsigned bits, size_t number)
{
    size_t most = ((size_t)1 << bits) - 1;

    if (number < most) {
        sbuf_add_char(out, (char)(first | number));
        return;
    }
    sbuf_add_char(out, (char)(first | most));
    for (number -= most; number >= 0x80; number >>= 7)
        sbuf_add_char(out, (char)(0x80 | (number & 0x7f)));
    sbuf_add_char(out, (char)number);
}

static void put_text(struct sbuf *out, struct span text)
{
    put_number(out, 0, TEXT_BITS, text.len);
    sbuf_add(out, text);
}

static void put_name(struct sbuf *out, struct span name)
{
    put_number(out, 0, TEXT_BITS, name.len);
    for (size_t i = 0; i < name.len; i++)
        sbuf_add_char(out, span_lower_char(name.ptr[i]));
}

/* --- the table -------------------------------------------------------------------------------- */

static struct net_http2_packed *line_at(struct net_http2_pack *pack, uint32_t number)
{
    return &pack->lines[number % NET_HTTP2_PACK_LINES_MAX];
}

static size_t index_of(const struct net_http2_pack *pack, uint32_t number)
{
    return FIRST + (size_t)(pack->newest - 1 - number);
}

static uint32_t hash_of(struct span text)
{
    const uint64_t odd = 0x9e3779b97f4a7c15U;
    uint64_t hash = text.len * odd;
    uint64_t word = 0;
    size_t at = 0;

    for (; text.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, text.ptr + at, sizeof(word));
        hash = (hash ^ word) * odd;
        hash ^= hash >> 32;
    }
    word = 0;
    if (at < text.len)
        memcpy(&word, text.ptr + at, text.len - at);
    hash = (hash ^ word) * odd;
    return (uint32_t)(hash >> 32);
}

/* A whole line, or one that begins with the name. */
static bool is_line(const struct net_http2_pack *pack, const struct net_http2_packed *line,
                    struct span text)
{
    return (line->name_only ? line->len < text.len : line->len == text.len) &&
           memcmp(pack->text + line->at, text.ptr, line->len) == 0;
}

/* A line, or a name with its colon. */
static bool find(const struct net_http2_pack *pack, struct span text, bool name_only,
                 uint32_t *ret_number)
{
    uint32_t hash = hash_of(text);

    for (uint32_t number = pack->oldest; number != pack->newest; number++) {
        const struct net_http2_packed *line = &pack->lines[number % NET_HTTP2_PACK_LINES_MAX];

        *ret_number = number;
        if (line->hash == hash && line->name_only == name_only && line->len == text.len &&
            memcmp(pack->text + line->at, text.ptr, text.len) == 0)
            return true;
    }
    return false;
}

/* Answers say the same lines in the same order: is it the one that came then? */
static bool is_next(const struct net_http2_pack *pack, struct span text)
{
    uint32_t next = *pack->next;

    return next - pack->oldest < pack->newest - pack->oldest &&
           is_line(pack, &pack->lines[next % NET_HTTP2_PACK_LINES_MAX], text);
}

/* It may have left the table, and another be in its place: then the guess is wrong. */
static void said(struct net_http2_pack *pack, uint32_t number)
{
    *pack->next = number;
    pack->next = &line_at(pack, number)->next;
}

static void forget(struct net_http2_pack *pack, uint32_t bytes_max)
{
    while (pack->bytes > bytes_max) {
        pack->bytes -= line_at(pack, pack->oldest)->bytes;
        pack->oldest++;
    }
}

/* Room for `len` more behind the texts: those that are left move to the beginning. */
static void make_room(struct net_http2_pack *pack, size_t len)
{
    uint32_t from = pack->oldest != pack->newest ? line_at(pack, pack->oldest)->at : pack->end;

    if (pack->end + len <= sizeof(pack->text))
        return;
    memmove(pack->text, pack->text + from, pack->end - from);
    for (uint32_t number = pack->oldest; number != pack->newest; number++)
        line_at(pack, number)->at = (uint16_t)(line_at(pack, number)->at - from);
    pack->end -= from;
}

/* Only what leaves others their place, and has no more blanks than the table counts for it. */
static bool is_worth_it(const struct net_http2_pack *pack, struct span text, size_t bytes)
{
    return bytes <= pack->bytes_max / 2 && text.len <= bytes;
}

/* Notes what the client puts into its table: `bytes`, of which we keep a text. */
static void remember(struct net_http2_pack *pack, struct span text, size_t bytes, bool name_only)
{
    forget(pack, pack->bytes_max - (uint32_t)bytes);
    make_room(pack, text.len);
    *line_at(pack, pack->newest) = (struct net_http2_packed){.hash = hash_of(text),
                                                             .at = (uint16_t)pack->end,
                                                             .len = (uint16_t)text.len,
                                                             .bytes = (uint16_t)bytes,
                                                             .name_only = name_only};
    memcpy(pack->text + pack->end, text.ptr, text.len);
    pack->end += (uint32_t)text.len;
    pack->bytes += (uint32_t)bytes;
    pack->newest++;
    said(pack, pack->newest - 1);
}

/* --- fields ----------------------------------------------------------------------------------- */

/* A line that is in the table, whole or its name. */
static void add_known(struct net_http2_pack *pack, struct sbuf *out, struct span line,
                      uint32_t number)
{
    const struct net_http2_packed *known = line_at(pack, number);
    size_t index = index_of(pack, number);

    said(pack, number);
    if (known->name_only) {
        put_number(out, NEVER_KEPT, NEVER_KEPT_BITS, index);
        put_text(out, span_trim(span_slice(line, known->len, line.len)));
    } else {
        put_number(out, INDEXED, INDEXED_BITS, index);
    }
}

/* A value that is new each time, below a name that is not in the static table: it is said once. */
static void add_new(struct net_http2_pack *pack, struct sbuf *out, struct span line, size_t colon)
{
    struct span name = span_slice(line, 0, colon);
    struct span key = span_slice(line, 0, colon + 1);
    struct span value = span_trim(span_slice(line, colon + 1, line.len));
    size_t bytes = name.len + value.len + LINE_EXTRA_BYTES;
    uint32_t number;

    if (find(pack, key, true, &number)) {
        add_known(pack, out, line, number);
        return;
    }
    if (is_worth_it(pack, key, bytes)) {
        put_number(out, KEPT, KEPT_BITS, 0);
        remember(pack, key, bytes, true);
    } else {
        put_number(out, NEVER_KEPT, NEVER_KEPT_BITS, 0);
    }
    put_name(out, name);
    put_text(out, value);
}

/* One that is not in the table. */
static void add_line(struct net_http2_pack *pack, struct sbuf *out, struct span line)
{
    size_t colon = span_find(line, ':');
    struct span name = span_slice(line, 0, colon);
    struct span value = span_trim(span_slice(line, colon + 1, line.len));
    size_t bytes = name.len + value.len + LINE_EXTRA_BYTES;
    char lower[NAME_BYTES_MAX];
    const struct name *known;
    unsigned index;

    for (size_t i = 0; i < name.len && i < sizeof(lower); i++)
        lower[i] = span_lower_char(name.ptr[i]);
    known = name.len <= sizeof(lower) ? name_of(span_make(lower, name.len)) : NULL;
    index = known != NULL ? known->index : 0;
    if (known != NULL && known->is_new && index == 0) {
        add_new(pack, out, line, colon);
        return;
    }
    if (known != NULL && known->is_new) {
        put_number(out, NEVER_KEPT, NEVER_KEPT_BITS, index);
    } else if (is_worth_it(pack, line, bytes)) {
        put_number(out, KEPT, KEPT_BITS, index);
        remember(pack, line, bytes, false);
    } else {
        put_number(out, PLAIN, NEVER_KEPT_BITS, index);
    }
    if (index == 0)
        put_name(out, name);
    put_text(out, value);
}

void net_http2_pack_lines(struct net_http2_pack *pack, struct sbuf *out, struct span lines)
{
    struct span line;
    uint32_t number;

    while (span_cut(&lines, '\n', &line) && line.len > 1) {
        line.len--; /* CR */
        if (is_next(pack, line))
            add_known(pack, out, line, *pack->next);
        else if (find(pack, line, false, &number))
            add_known(pack, out, line, number);
        else
            add_line(pack, out, line);
    }
}

void net_http2_pack_status(struct sbuf *out, int status)
{
    static const int kept[] = {200, 204, 206, 304, 400, 404, 500}; /* from STATUS_NAME on */
    const char text[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                         (char)('0' + status % 10)};

    for (size_t i = 0; i < PC_COUNT(kept); i++) {
        if (kept[i] == status) {
            put_number(out, INDEXED, INDEXED_BITS, STATUS_NAME + i);
            return;
        }
    }
    put_number(out, PLAIN, NEVER_KEPT_BITS, STATUS_NAME);
    put_text(out, span_make(text, sizeof(text)));
}

void net_http2_pack_length(struct sbuf *out, uint64_t length)
{
    char text[NUMBER_BYTES_MAX];
    struct sbuf number = sbuf_over(text, sizeof(text));

    sbuf_add_u64(&number, length);
    put_number(out, NEVER_KEPT, NEVER_KEPT_BITS, LENGTH_NAME);
    put_text(out, sbuf_span(&number));
}

/* --- its size --------------------------------------------------------------------------------- */

static void set_sizes(struct net_http2_pack *pack, uint32_t peer_bytes)
{
    pack->peer_bytes = peer_bytes;
    pack->bytes_max = peer_bytes < NET_HTTP2_PACK_BYTES_MAX ? peer_bytes : NET_HTTP2_PACK_BYTES_MAX;
}

void net_http2_pack_init(struct net_http2_pack *pack)
{
    pack->newest = pack->oldest = pack->first = 0;
    pack->next = &pack->first;
    pack->bytes = pack->end = 0;
    pack->resized = false;
    set_sizes(pack, NET_HTTP2_PACK_PEER_BYTES);
}

void net_http2_pack_renew(struct net_http2_pack *pack)
{
    pack->resized = true;
}

void net_http2_pack_resize(struct net_http2_pack *pack, uint32_t bytes)
{
    if (bytes > NET_HTTP2_PACK_PEER_BYTES)
        bytes = NET_HTTP2_PACK_PEER_BYTES;
    if (bytes == pack->peer_bytes)
        return;
    set_sizes(pack, bytes);
    forget(pack, 0);
    pack->resized = true;
}

/* Whatever sizes there were between two blocks, none was below nothing (RFC 7541, 4.2). */
void net_http2_pack_begin(struct net_http2_pack *pack, struct sbuf *out)
{
    pack->next = &pack->first;
    if (!pack->resized)
        return;
    pack->resized = false;
    put_number(out, RESIZED, RESIZED_BITS, 0);
    if (pack->peer_bytes > 0)
        put_number(out, RESIZED, RESIZED_BITS, pack->peer_bytes);
}
