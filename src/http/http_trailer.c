/* SPDX-License-Identifier: MIT
 * Trailers of what passes through, on routes that allow them. net/ has taken out whatever may not
 * be a trailer (RFC 9110, 6.5.1); here go those that the route removes or sets as headers, that we
 * speak for ourselves, and that Connection names. To a client they go only when it says that it
 * looks at them (TE: trailers, RFC 9110, 10.1.4). */
#include "http/http_header.h"
#include "http/http_priv.h"

#include "net/http1_answer.h"

enum { TRAILERS_BYTES_MAX = LIMIT_HTTP_HEAD_BYTES_MAX };

bool http_list_has(const struct net_header *headers, size_t count, const char *name,
                   struct span wanted)
{
    for (size_t i = 0; i < count; i++) {
        struct span rest = headers[i].value;
        struct span token;

        if (!span_is(headers[i].name, name))
            continue;
        while (rest.len > 0 && span_cut(&rest, ',', &token)) {
            if (span_equal_nocase(span_trim(token), wanted))
                return true;
        }
    }
    return false;
}

/* One message on its way: whose lines it has, and what its route does with names. */
struct way {
    const struct net_header *headers;
    size_t header_count;
    const struct http_edit *set;
    const struct span *removed;
    size_t set_count, removed_count;
    unsigned ours;
};

static struct way to_upstream(const struct http_call *call)
{
    const struct http_proxy *proxy = call->req.route->proxy;

    return (struct way){.headers = call->req.head->headers,
                        .header_count = call->req.head->header_count,
                        .set = proxy->request_set,
                        .set_count = proxy->request_set_count,
                        .removed = proxy->request_remove,
                        .removed_count = proxy->request_remove_count,
                        .ours = HTTP_HEADER_HOP | HTTP_HEADER_TO_UPSTREAM};
}

static struct way to_client(const struct http_call *call, const struct net_header *headers,
                            size_t count)
{
    const struct http_proxy *proxy = call->req.route->proxy;

    return (struct way){.headers = headers,
                        .header_count = count,
                        .set = proxy->response_set,
                        .set_count = proxy->response_set_count,
                        .removed = proxy->response_remove,
                        .removed_count = proxy->response_remove_count,
                        .ours = HTTP_HEADER_HOP | HTTP_HEADER_TO_CLIENT | HTTP_HEADER_LIMIT |
                                HTTP_HEADER_CROSS};
}

static bool passes(const struct way *way, struct span name)
{
    if (!net_trailer_is_good(name) || (http_header_kind(name) & way->ours) != 0)
        return false;
    for (size_t i = 0; i < way->set_count; i++) {
        if (span_equal(way->set[i].name, name))
            return false;
    }
    for (size_t i = 0; i < way->removed_count; i++) {
        if (span_equal(way->removed[i], name))
            return false;
    }
    return !http_list_has(way->headers, way->header_count, "connection", name);
}

/* The empty span: none, or no memory for them, which is as good as none. */
static struct span lines_of(const struct http_call *call, const struct way *way,
                            const struct net_header *trailers, size_t count)
{
    struct sbuf out = sbuf_on(call->req.arena, TRAILERS_BYTES_MAX);

    for (size_t i = 0; i < count; i++) {
        if (!passes(way, trailers[i].name))
            continue;
        sbuf_add(&out, trailers[i].name);
        sbuf_add_lit(&out, ": ");
        sbuf_add(&out, trailers[i].value);
        sbuf_add_lit(&out, "\r\n");
    }
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* "Trailer: a, b" of what was announced and passes; in small letters. */
static void announce(const struct http_call *call, const struct way *way, struct sbuf *out)
{
    bool first = true;

    for (size_t i = 0; i < way->header_count; i++) {
        struct span rest = way->headers[i].value;
        struct span token;

        if (!span_is(way->headers[i].name, "trailer"))
            continue;
        while (rest.len > 0 && span_cut(&rest, ',', &token)) {
            struct span name = span_trim(token);
            char *lower = arena_bytes(call->req.arena, name.len + 1);

            for (size_t at = 0; lower != NULL && at < name.len; at++)
                lower[at] = span_lower_char(name.ptr[at]);
            if (lower == NULL || !passes(way, span_make(lower, name.len)))
                continue;
            sbuf_add_text(out, first ? "Trailer: " : ", ");
            sbuf_add(out, span_make(lower, name.len));
            first = false;
        }
    }
    if (!first)
        sbuf_add_lit(out, "\r\n");
}

static bool are_allowed(const struct http_call *call)
{
    return call->req.route->proxy->trailers;
}

bool http_trailers_wanted(const struct http_call *call)
{
    const struct net_head *head = call->req.head;

    return are_allowed(call) &&
           http_list_has(head->headers, head->header_count, "te", SPAN_OF("trailers"));
}

void http_trailers_announce(const struct http_call *call, struct sbuf *out)
{
    const struct net_head *head = call->req.head;
    const struct way way = to_upstream(call);

    if (are_allowed(call) && head->has_body && head->content_length == NET_LENGTH_CHUNKED)
        announce(call, &way, out);
}

/* All lines of Connection as one. Without memory *ret has no name, and no trailer passes. */
static void hop_keep(struct arena *arena, const struct net_answer_head *head,
                     struct net_header *ret)
{
    struct sbuf out = sbuf_on(arena, TRAILERS_BYTES_MAX);

    for (size_t i = 0; i < head->header_count; i++) {
        if (!span_is(head->headers[i].name, "connection"))
            continue;
        sbuf_add(&out, head->headers[i].value);
        sbuf_add_char(&out, ',');
    }
    if (!out.full)
        *ret = (struct net_header){.name = SPAN_OF("connection"), .value = sbuf_span(&out)};
}

void http_trailers_announced(struct http_call *call, const struct net_answer_head *head,
                             struct sbuf *out)
{
    const struct way way = to_client(call, head->headers, head->header_count);

    if (!http_trailers_wanted(call) || head->content_length != NET_LENGTH_CHUNKED)
        return;
    hop_keep(call->req.arena, head, &call->hop);
    announce(call, &way, out);
}

struct span http_trailers_up(const struct http_call *call)
{
    const struct way way = to_upstream(call);
    size_t count;
    const struct net_header *trailers = net_stream_trailers(call->stream, &count);

    return are_allowed(call) ? lines_of(call, &way, trailers, count) : (struct span){0};
}

struct span http_trailers_down(const struct http_call *call, const struct net_header *trailers,
                               size_t count)
{
    const struct way way = to_client(call, &call->hop, 1);
    bool known = call->hop.name.len > 0; /* nobody passes what may be meant for us alone */

    return known && http_trailers_wanted(call) ? lines_of(call, &way, trailers, count)
                                               : (struct span){0};
}
