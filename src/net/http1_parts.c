/* SPDX-License-Identifier: MIT
 * See http1_parts.h. A text is looked at in the input and copied once; only one that comes in
 * pieces is gathered first. No more than the bound is ever looked at, so that what is said of too
 * long a text does not depend on how much of it has arrived. */
#include "net/http1_parts.h"

#include <string.h>

/* The characters of a token, letters small; 0 for all others. */
static const char token_chars[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*',
    ['+'] = '+', ['-'] = '-', ['.'] = '.', ['0'] = '0', ['1'] = '1', ['2'] = '2',   ['3'] = '3',
    ['4'] = '4', ['5'] = '5', ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9',   ['A'] = 'a',
    ['B'] = 'b', ['C'] = 'c', ['D'] = 'd', ['E'] = 'e', ['F'] = 'f', ['G'] = 'g',   ['H'] = 'h',
    ['I'] = 'i', ['J'] = 'j', ['K'] = 'k', ['L'] = 'l', ['M'] = 'm', ['N'] = 'n',   ['O'] = 'o',
    ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r', ['S'] = 's', ['T'] = 't', ['U'] = 'u',   ['V'] = 'v',
    ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z', ['^'] = '^', ['_'] = '_',   ['`'] = '`',
    ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e', ['f'] = 'f',   ['g'] = 'g',
    ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm',   ['n'] = 'n',
    ['o'] = 'o', ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't',   ['u'] = 'u',
    ['v'] = 'v', ['w'] = 'w', ['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['|'] = '|',   ['~'] = '~',
};

bool net_http1_is_token_char(unsigned char c)
{
    return token_chars[c] != 0;
}

bool net_http1_is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!net_http1_is_token_char((unsigned char)s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

void net_http1_skip(struct span *input, size_t bytes)
{
    PC_ASSERT(bytes <= input->len);
    *input = bytes == input->len ? (struct span){0} : span_slice(*input, bytes, input->len);
}

/* --- lines ----------------------------------------------------------------------------------- */

/* Checks the lines that `text` completes. *ret_bytes is where they end, or 0. */
static enum err lines_check(struct net_lines *lines, struct span text,
                            const struct net_lines_rules *rules, void *owner, size_t *ret_bytes)
{
    const char *lf;

    while ((lf = memchr(text.ptr + lines->searched, '\n', text.len - lines->searched)) != NULL) {
        size_t at = (size_t)(lf - text.ptr);
        struct span line;
        bool end = false;
        enum err err;

        if (at == lines->line_at || text.ptr[at - 1] != '\r')
            return ERR_BAD_REQUEST;
        line = span_make(text.ptr + lines->line_at, at - 1 - lines->line_at);
        if (memchr(line.ptr, '\r', line.len) != NULL)
            return ERR_BAD_REQUEST;
        err = rules->line(owner, line, &end);
        if (err)
            return err;
        lines->line_at = lines->searched = at + 1;
        if (end) {
            *ret_bytes = at + 1;
            return ERR_OK;
        }
    }
    lines->searched = text.len;
    *ret_bytes = 0;
    return ERR_OK;
}

/* Text whose end is not here yet: may it still come? */
static enum err part_check(const struct net_lines *lines, struct span text,
                           const struct net_lines_rules *rules, void *owner)
{
    enum err err = ERR_OK;

    if (rules->part != NULL && text.len > lines->line_at)
        err = rules->part(owner, span_slice(text, lines->line_at, text.len));
    if (err == ERR_OK && text.len > lines->bytes_max)
        err = ERR_HEADERS_TOO_LARGE;
    return err;
}

/* Puts `bytes` of the input behind what is there. False without memory. */
static bool lines_add(struct net_lines *lines, struct span input, size_t bytes)
{
    char *text = arena_extend(lines->arena, lines->text, lines->bytes, lines->bytes + bytes);

    if (text == NULL)
        return false;
    memcpy(text + lines->bytes, input.ptr, bytes);
    lines->text = text;
    lines->bytes += bytes;
    return true;
}

enum err net_lines_gather(struct net_lines *lines, struct span *input,
                          const struct net_lines_rules *rules, void *owner, bool *ret_end)
{
    size_t before = lines->bytes;
    size_t room = lines->bytes_max + 1 - before;
    size_t take = input->len < room ? input->len : room;
    struct span text = {.ptr = input->ptr, .len = take};
    size_t end_at;
    enum err err;

    PC_ASSERT(input->len > 0 && before <= lines->bytes_max);
    *ret_end = false;
    if (before > 0) { /* it comes in pieces */
        if (!lines_add(lines, *input, take))
            return ERR_NO_MEMORY;
        text = span_make(lines->text, lines->bytes);
    }
    err = lines_check(lines, text, rules, owner, &end_at);
    if (err == ERR_OK && end_at == 0)
        err = part_check(lines, text, rules, owner);
    if (err)
        return err;
    if (end_at > lines->bytes_max)
        return ERR_HEADERS_TOO_LARGE;
    if (end_at > 0)
        take = end_at - before;
    if (before == 0 && !lines_add(lines, *input, take))
        return ERR_NO_MEMORY;
    if (end_at > 0)
        lines->bytes = end_at;
    *ret_end = end_at > 0;
    net_http1_skip(input, take);
    return ERR_OK;
}

/* --- headers --------------------------------------------------------------------------------- */

int net_header_list_name(struct net_header_list *list, struct net_lines *lines, const char *at,
                         size_t len)
{
    char *name = lines->text + (at - lines->text);

    if (list->count >= list->max) /* never: a header is a line */
        return -1;
    if (len == 0) /* llhttp lets it through */
        return -1;
    for (size_t i = 0; i < len; i++) {
        name[i] = token_chars[(unsigned char)at[i]];
        if (name[i] == 0)
            return -1;
    }
    list->items[list->count++] = (struct net_header){.name = {.ptr = name, .len = len}};
    return 0;
}

int net_header_list_value(struct net_header_list *list, const char *at, size_t len)
{
    struct net_header *header;

    if (list->count == 0)
        return -1;
    header = &list->items[list->count - 1];
    if (header->value.ptr != NULL)
        return -1;
    header->value = span_trim(span_make(at, len));
    return 0;
}

const struct net_header *net_header_find(const struct net_header *headers, size_t count,
                                         struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(headers[i].name, name))
            return &headers[i];
    }
    return NULL;
}

size_t net_header_count(const struct net_header *headers, size_t count, struct span name)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        if (span_equal(headers[i].name, name))
            found++;
    }
    return found;
}

/* --- framing --------------------------------------------------------------------------------- */

/* RFC 9112, 6. */
const char *net_length_read(const struct net_header *headers, size_t count, int minor_version,
                            bool *ret_told, uint64_t *ret_length)
{
    const struct net_header *length = net_header_find(headers, count, SPAN_OF("content-length"));
    const struct net_header *coding = net_header_find(headers, count, SPAN_OF("transfer-encoding"));
    uint64_t bytes = 0;

    if (length != NULL && coding != NULL)
        return "Content-Length beside Transfer-Encoding";
    if (coding != NULL) {
        if (minor_version == 0)
            return "Transfer-Encoding in HTTP/1.0";
        if (!span_is_nocase(coding->value, "chunked") ||
            net_header_count(headers, count, coding->name) != 1)
            return "a Transfer-Encoding other than chunked";
        bytes = NET_LENGTH_CHUNKED;
    } else if (length != NULL) {
        if (net_header_count(headers, count, length->name) != 1)
            return "more than one Content-Length";
        if (!span_to_u64(length->value, &bytes) || bytes > INT64_MAX)
            return "a malformed Content-Length";
    }
    *ret_told = coding != NULL || length != NULL;
    *ret_length = bytes;
    return NULL;
}

bool net_chunking_check(struct net_chunking *chunking, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        if ((c == '\n') != chunking->after_cr)
            return false;
        if (chunking->after_lf && (c == ' ' || c == '\t'))
            return false;
        if ((c < ' ' && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
            return false;
        chunking->after_cr = c == '\r';
        chunking->after_lf = c == '\n';
    }
    chunking->bytes += bytes.len;
    return true;
}

/* --- trailers -------------------------------------------------------------------------------- */

/* Framing, routing, authentication, who the client is, what steers the reading of the content, and
 * what would speak for this hop: a trailer is believed in none of these (RFC 9110, 6.5.1), and some
 * servers take trailers for headers. A '*' stands for any end. */
static const struct span no_trailers[] = {
    SPAN("accept*"),
    SPAN("access-control-*"),
    SPAN("age"),
    SPAN("alt-svc"),
    SPAN("api-key"),
    SPAN("authentication-control"),
    SPAN("authentication-info"),
    SPAN("authorization"),
    SPAN("baggage"),
    SPAN("cache-control"),
    SPAN("clear-site-data"),
    SPAN("connection"),
    SPAN("content-disposition"),
    SPAN("content-encoding"),
    SPAN("content-language"),
    SPAN("content-length"),
    SPAN("content-location"),
    SPAN("content-range"),
    SPAN("content-security-policy*"),
    SPAN("content-type"),
    SPAN("cookie"),
    SPAN("date"),
    SPAN("depth"),
    SPAN("destination"),
    SPAN("dpop"),
    SPAN("early-data"),
    SPAN("expect"),
    SPAN("expires"),
    SPAN("forwarded"),
    SPAN("front-end-https"),
    SPAN("host"),
    SPAN("idempotency-key"),
    SPAN("if-*"),
    SPAN("keep-alive"),
    SPAN("location"),
    SPAN("max-forwards"),
    SPAN("origin"),
    SPAN("overwrite"),
    SPAN("permissions-policy"),
    SPAN("pragma"),
    SPAN("prefer"),
    SPAN("priority"),
    SPAN("proxy-*"),
    SPAN("range"),
    SPAN("referer"),
    SPAN("referrer-policy"),
    SPAN("refresh"),
    SPAN("retry-after"),
    SPAN("sec-*"),
    SPAN("set-cookie"),
    SPAN("soapaction"),
    SPAN("strict-transport-security"),
    SPAN("sunset"),
    SPAN("te"),
    SPAN("timeout"),
    SPAN("traceparent"),
    SPAN("tracestate"),
    SPAN("trailer"),
    SPAN("transfer-encoding"),
    SPAN("true-client-ip"),
    SPAN("upgrade"),
    SPAN("user-agent"),
    SPAN("vary"),
    SPAN("via"),
    SPAN("warning"),
    SPAN("www-authenticate"),
    SPAN("x-api-key"),
    SPAN("x-auth*"),
    SPAN("x-client-*"),
    SPAN("x-content-type-options"),
    SPAN("x-csrf-token"),
    SPAN("x-forwarded-*"),
    SPAN("x-frame-options"),
    SPAN("x-http-method*"),
    SPAN("x-method-override"),
    SPAN("x-mtls-*"),
    SPAN("x-original-*"),
    SPAN("x-portcullis-*"),
    SPAN("x-real-ip"),
    SPAN("x-request-id"),
    SPAN("x-rewrite-*"),
    SPAN("x-user-*"),
    SPAN("x-xsrf-token"),
};

static bool may_be_trailer(struct span name)
{
    for (size_t i = 0; i < PC_COUNT(no_trailers); i++) {
        struct span pattern = no_trailers[i];
        bool matches = pattern.ptr[pattern.len - 1] == '*'
                           ? span_starts(name, span_slice(pattern, 0, pattern.len - 1))
                           : span_equal(name, pattern);

        if (matches)
            return false;
    }
    return span_find(name, '_') == name.len;
}

size_t net_trailers_keep(struct net_header *trailers, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (may_be_trailer(trailers[i].name))
            trailers[kept++] = trailers[i];
    }
    return kept;
}

bool net_trailer_is_good(struct span name)
{
    return net_http1_is_token(name) && may_be_trailer(name);
}
