/* SPDX-License-Identifier: MIT
 * The heads of what passes through: every line is written anew from what was read, none is copied
 * unread.
 *
 * To the upstream go the client's headers without
 *   - those of one hop only (RFC 9110, 7.6.1), and those that Connection names, except what a
 * client must not be able to take away;
 *   - those that say who the client is, which only we may say: they are set from what was verified;
 *   - names with an underscore, which many servers read as a dash.
 * Back come the upstream's, without those of one hop and those that we set ourselves. */
#include "http/http_header.h"
#include "http/http_priv.h"

#include "base/hash.h"
#include "net/http1_answer.h"
#include "upstream/upstream.h"

enum {
    HEAD_BYTES = 1024,
    HEAD_BYTES_MAX = LIMIT_HTTP_HEAD_BYTES_MAX + 8 * 1024,
    SPAN_ID_BYTES = 8
};

/* ---- which headers stay ------------------------------------------------------------------------
 */

static bool is_one_of(struct span name, const struct span *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(name, list[i]))
            return true;
    }
    return false;
}

/* Whether one of the Connection lines names it. */
static bool is_named(const struct net_header *headers, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        struct span rest = headers[i].value;
        struct span token;

        if (!span_is(headers[i].name, "connection"))
            continue;
        while (rest.len > 0 && span_cut(&rest, ',', &token)) {
            if (span_equal_nocase(span_trim(token), name))
                return true;
        }
    }
    return false;
}

/* Whether Connection may name headers: nearly always it only says what becomes of the connection.
 */
static bool names_headers(const struct net_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is(headers[i].name, "connection") &&
            !span_is_nocase(headers[i].value, "keep-alive") &&
            !span_is_nocase(headers[i].value, "close"))
            return true;
    }
    return false;
}

/* Whether it ends here, being of one hop: by its name, or because Connection says so. */
static bool is_of_hop(const struct net_header *headers, size_t count, struct span name,
                      unsigned kind, bool named)
{
    return (kind & HTTP_HEADER_HOP) != 0 ||
           (named && (kind & HTTP_HEADER_KEPT) == 0 && is_named(headers, count, name));
}

static bool is_set(const struct http_edit *edits, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal(edits[i].name, name))
            return true;
    }
    return false;
}

static void add_line(struct sbuf *out, struct span name, struct span value)
{
    sbuf_add(out, name);
    sbuf_add_lit(out, ": ");
    sbuf_add(out, value);
    sbuf_add_lit(out, "\r\n");
}

static void add_named(struct sbuf *out, struct span name, struct span value)
{
    if (value.len > 0)
        add_line(out, name, value);
}

/* ---- to the upstream ---------------------------------------------------------------------------
 */

static void add_request_line(const struct http_call *call, struct sbuf *out)
{
    const struct http_proxy *proxy = call->req.route->proxy;
    struct span path = call->req.path;

    if (span_starts(path, proxy->strip))
        path = span_slice(path, proxy->strip.len, path.len);
    sbuf_add(out, http_method_name(call->req.method));
    sbuf_add_char(out, ' ');
    http_path_encode(out, proxy->prefix);
    if (path.len == 0 || path.ptr[0] != '/')
        sbuf_add_char(out, '/');
    if (call->req.path_is_plain)
        sbuf_add(out, path);
    else
        http_path_encode(out, path);
    if (call->req.query.len > 0) {
        sbuf_add_char(out, '?');
        sbuf_add(out, call->req.query);
    }
    sbuf_add_lit(out, " HTTP/1.1\r\n");
}

static void add_client_headers(const struct http_call *call, struct sbuf *out)
{
    const struct http_proxy *proxy = call->req.route->proxy;
    const struct net_head *head = call->req.head;
    bool named = names_headers(head->headers, head->header_count);

    for (size_t i = 0; i < head->header_count; i++) {
        struct span name = head->headers[i].name;
        unsigned kind = http_header_kind(name);

        if ((kind & HTTP_HEADER_TO_UPSTREAM) != 0 || span_find(name, '_') < name.len ||
            is_of_hop(head->headers, head->header_count, name, kind, named) ||
            http_token_is_key(call->req.route, name))
            continue;
        if (is_one_of(name, proxy->request_remove, proxy->request_remove_count) ||
            is_set(proxy->request_set, proxy->request_set_count, name))
            continue;
        add_line(out, name, head->headers[i].value);
    }
    for (size_t i = 0; i < proxy->request_set_count; i++)
        add_line(out, proxy->request_set[i].name, proxy->request_set[i].value);
}

/* Where it came from, by what we know: RFC 7239 and its elder brothers. */
static void add_forwarded(const struct http_call *call, struct sbuf *out)
{
    const struct net_peer *peer = net_stream_peer(call->stream);
    bool v6 = span_find(call->req.address, ':') < call->req.address.len;

    sbuf_add_lit(out, "X-Forwarded-For: ");
    sbuf_add(out, call->req.address);
    if (!span_equal(call->req.address, peer->address)) {
        sbuf_add_lit(out, ", ");
        sbuf_add(out, peer->address);
    }
    sbuf_add_lit(out, "\r\nX-Forwarded-Proto: ");
    sbuf_add_text(out, peer->tls ? "https" : "http");
    sbuf_add_lit(out, "\r\nX-Forwarded-Host: ");
    sbuf_add(out, call->req.host);
    sbuf_add_lit(out, "\r\nForwarded: for=");
    sbuf_add_text(out, v6 ? "\"[" : "");
    sbuf_add(out, call->req.address);
    sbuf_add_text(out, v6 ? "]\"" : "");
    sbuf_add_lit(out, ";proto=");
    sbuf_add_text(out, peer->tls ? "https" : "http");
    sbuf_add_lit(out, ";host=\"");
    sbuf_add(out, call->req.host);
    sbuf_add_lit(out, "\"\r\nVia: 1.1 portcullis\r\n");
}

/* W3C Trace Context: the trace goes on, with a span of our own. */
static void add_trace(const struct http_call *call, struct sbuf *out)
{
    struct span from = call->known.traceparent;
    unsigned char id[SPAN_ID_BYTES];
    bool goes_on = from.len >= 55 && span_equal(span_slice(from, 3, 35), call->req.trace_id);

    random_batch_fill(net_loop_random(call->lane->loop), id, sizeof(id));
    id[0] |= 1; /* never all zero */
    sbuf_add_lit(out, "traceparent: 00-");
    sbuf_add(out, call->req.trace_id);
    sbuf_add_char(out, '-');
    sbuf_add_hex(out, id, sizeof(id));
    sbuf_add_char(out, '-');
    sbuf_add(out, goes_on ? span_slice(from, 53, 55) : SPAN_OF("00"));
    sbuf_add_lit(out, "\r\n");
}

/* Who was verified. */
static void add_identity(const struct http_call *call, struct sbuf *out)
{
    const struct http_principal *principal = call->req.principal;

    add_named(out, SPAN_OF("X-Mtls-Client-Cn"), net_stream_peer(call->stream)->tls_cn);
    if (principal == NULL)
        return;
    if (principal->issuer != NULL)
        add_named(out, SPAN_OF("X-Portcullis-Issuer"), span_from(principal->issuer->name));
    add_named(out, SPAN_OF("X-Portcullis-Subject"), principal->subject);
    add_named(out, SPAN_OF("X-Portcullis-Client"), principal->client_id);
    add_named(out, SPAN_OF("X-Portcullis-Scope"), principal->scope);
    add_named(out, SPAN_OF("X-Portcullis-Roles"), principal->roles);
    if (principal->user_id == 0)
        return;
    sbuf_add_lit(out, "X-Portcullis-User: ");
    sbuf_add_i64(out, principal->user_id);
    sbuf_add_lit(out, "\r\n");
}

static void add_framing(const struct http_call *call, struct sbuf *out)
{
    const struct net_head *head = call->req.head;
    enum net_method method = call->req.method;

    if (head->has_body && head->content_length == NET_LENGTH_CHUNKED) {
        sbuf_add_lit(out, "Transfer-Encoding: chunked\r\n");
    } else if (head->has_body || method == NET_METHOD_POST || method == NET_METHOD_PUT ||
               method == NET_METHOD_PATCH) {
        sbuf_add_lit(out, "Content-Length: ");
        sbuf_add_u64(out, head->has_body ? head->content_length : 0);
        sbuf_add_lit(out, "\r\n");
    }
}

/* What we ask of this hop. */
static void add_connection(const struct http_call *call, struct sbuf *out)
{
    bool wanted = http_trailers_wanted(call);

    if (call->tunnel != NULL)
        add_named(out, SPAN_OF("Upgrade"), call->tunnel->offered);
    if (wanted)
        sbuf_add_lit(out, "TE: trailers\r\n");
    if (call->tunnel != NULL || wanted)
        add_named(out, SPAN_OF("Connection"),
                  span_from(call->tunnel == NULL ? "TE"
                            : wanted             ? "TE, Upgrade"
                                                 : "Upgrade"));
}

struct span http_proxy_request(struct http_call *call, const struct upstream_target *target)
{
    struct sbuf out = sbuf_on(call->req.arena, HEAD_BYTES_MAX);

    out.ptr = arena_bytes(call->req.arena, HEAD_BYTES);
    out.cap = out.ptr ? HEAD_BYTES : 0;
    add_request_line(call, &out);
    sbuf_add_lit(&out, "Host: ");
    sbuf_add(&out, call->req.route->proxy->keeps_host ? call->req.host : span_from(target->host));
    sbuf_add_lit(&out, "\r\n");
    add_client_headers(call, &out);
    add_named(&out, SPAN_OF("X-Request-ID"), call->req.request_id);
    add_trace(call, &out);
    add_forwarded(call, &out);
    add_identity(call, &out);
    add_framing(call, &out);
    http_trailers_announce(call, &out);
    add_connection(call, &out);
    sbuf_add_lit(&out, "\r\n");
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* ---- back to the client ------------------------------------------------------------------------
 */

/* What we say ourselves in this answer. */
static unsigned ours_to_client(const struct http_call *call)
{
    return HTTP_HEADER_TO_CLIENT | (call->verdict_given ? HTTP_HEADER_LIMIT : 0) |
           (http_cors_is_decided(call) ? HTTP_HEADER_CROSS : 0);
}

static void note(struct span name, struct http_passed *passed)
{
    passed->has_date |= span_is(name, "date");
    passed->has_policy |= span_is(name, "content-security-policy");
    passed->has_permissions |= span_is(name, "permissions-policy");
    passed->has_cache |= span_is(name, "cache-control");
}

/* The value of Link or Location, where the service behind speaks of its own path: what was taken
 * off comes back. */
static void add_path_line(const struct http_proxy *proxy, struct span name, struct span value,
                          struct sbuf *out)
{
    size_t start = value.len > 0 && value.ptr[0] == '<' ? 1 : 0;
    struct span path = span_slice(value, start, value.len);

    if (path.len == 0 || path.ptr[0] != '/' || !span_starts(path, proxy->prefix)) {
        add_line(out, name, value);
        return;
    }
    sbuf_add(out, name);
    sbuf_add_lit(out, ": ");
    sbuf_add(out, span_slice(value, 0, start));
    sbuf_add(out, proxy->strip);
    sbuf_add(out, span_slice(path, proxy->prefix.len, path.len));
    sbuf_add_lit(out, "\r\n");
}

static bool is_path_line(struct span name)
{
    return span_is(name, "location") || span_is(name, "link");
}

void http_proxy_lines(struct http_call *call, const struct net_answer_head *head,
                      struct http_passed *ret)
{
    const struct http_proxy *proxy = call->req.route->proxy;
    struct sbuf out = sbuf_on(call->req.arena, HEAD_BYTES_MAX);
    bool named = names_headers(head->headers, head->header_count);
    unsigned ours = ours_to_client(call);

    out.ptr = arena_bytes(call->req.arena, HEAD_BYTES);
    out.cap = out.ptr ? HEAD_BYTES : 0;
    for (size_t i = 0; i < head->header_count; i++) {
        struct span name = head->headers[i].name;
        unsigned kind = http_header_kind(name);

        if ((kind & ours) != 0 || is_of_hop(head->headers, head->header_count, name, kind, named))
            continue;
        if (is_one_of(name, proxy->response_remove, proxy->response_remove_count) ||
            is_set(proxy->response_set, proxy->response_set_count, name))
            continue;
        note(name, ret);
        if (proxy->is_ours && is_path_line(name))
            add_path_line(proxy, name, head->headers[i].value, &out);
        else
            add_line(&out, name, head->headers[i].value);
    }
    for (size_t i = 0; i < proxy->response_set_count; i++) {
        note(proxy->response_set[i].name, ret);
        add_line(&out, proxy->response_set[i].name, proxy->response_set[i].value);
    }
    http_trailers_announced(call, head, &out);
    if (head->upgraded)
        add_named(&out, SPAN_OF("Upgrade"), call->tunnel->protocol);
    if (!out.full && out.ptr != NULL)
        ret->lines = sbuf_span(&out);
}

/* ---- what goes together ------------------------------------------------------------------------
 */

uint64_t http_proxy_key(const struct http_call *call)
{
    static const struct hash_key same = {0}; /* on every node and loop */
    const struct http_proxy *proxy = call->req.route->proxy;
    struct span key = call->req.address;

    if (proxy->hash_on == HTTP_HASH_USER && call->req.principal != NULL)
        key = call->req.principal->subject;
    else if (proxy->hash_on == HTTP_HASH_HEADER)
        key = http_header(&call->req, proxy->hash_name);
    else if (proxy->hash_on == HTTP_HASH_COOKIE)
        key = http_cookie(&call->req, proxy->hash_name);
    return hash_span(&same, key);
}
