/* SPDX-License-Identifier: MIT
 * From what the wire brought to the one canonical request: target, host, ids, the client's address.
 * First stop of the journey; whatever is ambiguous ends here with 400. */
#include "http/http_priv.h"

#include <string.h>
#include <sys/socket.h>

#include "base/mask.h"

enum { TRACEPARENT_BYTES = 55, TRACE_ID_BYTES = 32 };

struct span http_header(const struct http_request *req, const char *name)
{
    const struct net_header *header = req->head ? net_head_find(req->head, span_from(name)) : NULL;

    return header ? header->value : (struct span){0};
}

const struct net_peer *http_peer(const struct http_request *req)
{
    return net_stream_peer(((const struct http_call *)req)->stream); /* req is its first member */
}

/* Looks through one Cookie line: RFC 6265, 4.2.1. How often the name is there. */
static size_t cookie_in(struct span line, struct span name, struct span *ret_value)
{
    size_t found = 0;
    struct span part;

    while (line.len > 0 && span_cut(&line, ';', &part)) {
        struct span pair = span_trim(part);
        size_t equals = span_find(pair, '=');

        if (equals == pair.len || !span_equal(span_slice(pair, 0, equals), name))
            continue;
        *ret_value = span_slice(pair, equals + 1, pair.len);
        found++;
    }
    return found;
}

struct span http_cookie(const struct http_request *req, const char *name)
{
    struct span value = {0};
    size_t found = 0;

    for (size_t i = 0; req->head != NULL && i < req->head->header_count; i++) {
        if (span_is(req->head->headers[i].name, "cookie"))
            found += cookie_in(req->head->headers[i].value, span_from(name), &value);
    }
    return found == 1 ? value : (struct span){0};
}

/* Where a header of interest is kept; NULL for the others. Names are lower case already. */
static struct span *known_place(struct http_known *known, struct span name)
{
    switch (name.len) {
    case 4:
        return span_is(name, "host") ? &known->host : NULL;
    case 6:
        return span_is(name, "origin") ? &known->origin : NULL;
    case 11:
        return span_is(name, "traceparent") ? &known->traceparent : NULL;
    case 12:
        if (span_is(name, "content-type"))
            return &known->content_type;
        return span_is(name, "x-request-id") ? &known->request_id : NULL;
    case 13:
        if (span_is(name, "authorization"))
            return &known->authorization;
        return span_is(name, "if-none-match") ? &known->if_none_match : NULL;
    case 15:
        return span_is(name, "accept-encoding") ? &known->accept_encoding : NULL;
    case 29:
        return span_is(name, "access-control-request-method") ? &known->preflight_method : NULL;
    case 30:
        return span_is(name, "access-control-request-headers") ? &known->preflight_headers : NULL;
    default:
        return NULL;
    }
}

static void known_find(struct http_call *call)
{
    struct http_known *known = &call->known;
    const struct net_head *head = call->req.head;

    for (size_t i = 0; i < head->header_count; i++) {
        struct span *place = known_place(known, head->headers[i].name);

        if (place == NULL)
            continue;
        known->host_count += place == &known->host;
        known->authorization_count += place == &known->authorization;
        known->content_type_count += place == &known->content_type;
        *place = head->headers[i].value;
    }
}

static bool id_is_well_formed(struct span id)
{
    if (id.len == 0 || id.len > HTTP_REQUEST_ID_BYTES_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = span_lower_char(id.ptr[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return !mask_finds(id); /* it is written to the log and to answers as it is */
}

static void take_request_id(struct http_call *call)
{
    char *text;

    if (id_is_well_formed(call->known.request_id)) {
        call->req.request_id = call->known.request_id;
        return;
    }
    text = arena_bytes(call->req.arena, RANDOM_UUID_BYTES);
    if (text == NULL)
        return;
    random_batch_uuid(net_loop_random(call->lane->loop), text);
    call->req.request_id = span_make(text, RANDOM_UUID_BYTES);
}

/* W3C Trace Context: "00-<32 hex>-<16 hex>-<2 hex>", lower case, ids not all zero. */
static bool traceparent_id(struct span text, struct span *ret_id)
{
    bool zero = true;

    if (text.len < TRACEPARENT_BYTES || text.ptr[2] != '-' || text.ptr[35] != '-' ||
        text.ptr[52] != '-' || span_starts(text, SPAN_OF("ff")))
        return false;
    *ret_id = span_slice(text, 3, 3 + TRACE_ID_BYTES);
    for (size_t i = 0; i < TRACE_ID_BYTES; i++) {
        char c = ret_id->ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        zero = zero && c == '0';
    }
    return !zero;
}

static void take_trace_id(struct http_call *call)
{
    unsigned char raw[TRACE_ID_BYTES / 2];
    char *text;
    struct sbuf out;

    if (traceparent_id(call->known.traceparent, &call->req.trace_id))
        return;
    call->req.trace_id = (struct span){0};
    text = arena_bytes(call->req.arena, TRACE_ID_BYTES);
    if (text == NULL)
        return;
    random_batch_fill(net_loop_random(call->lane->loop), raw, sizeof(raw));
    out = sbuf_over(text, TRACE_ID_BYTES);
    sbuf_add_hex(&out, raw, sizeof(raw));
    call->req.trace_id = sbuf_span(&out);
}

static void map_address(const struct net_peer *peer, unsigned char bytes[16])
{
    memset(bytes, 0, 16);
    if (peer->family == AF_INET6) {
        memcpy(bytes, peer->bytes, 16);
    } else {
        bytes[10] = bytes[11] = 0xFF; /* a Unix socket is ::ffff:0.0.0.0 */
        if (peer->family == AF_INET)
            memcpy(bytes + 12, peer->bytes, 4);
    }
}

bool http_network_holds_peer(const struct http_network *list, size_t count,
                             const struct net_peer *peer)
{
    unsigned char bytes[16];

    map_address(peer, bytes);
    return http_network_holds(list, count, bytes);
}

/* The hops of X-Forwarded-For from the nearest on: right to left, and the last line first. */
struct hops {
    const struct net_head *head;
    size_t line; /* headers before this one are still to be seen */
    struct span rest;
};

static bool hop_next(struct hops *hops, struct span *ret_hop)
{
    size_t at;

    while (hops->rest.len == 0 && hops->line > 0) {
        hops->line--;
        if (span_is(hops->head->headers[hops->line].name, "x-forwarded-for"))
            hops->rest = hops->head->headers[hops->line].value;
    }
    at = hops->rest.len;
    if (at == 0)
        return false;
    while (at > 0 && hops->rest.ptr[at - 1] != ',')
        at--;
    *ret_hop = span_trim(span_slice(hops->rest, at, hops->rest.len));
    hops->rest = span_slice(hops->rest, 0, at > 0 ? at - 1 : 0);
    return true;
}

/* The first hop that is not ours is the client. One that is no address ends the search where it
 * stands: what is left of it may be forged. */
static void take_address(struct http_call *call)
{
    const struct net_peer *peer = net_stream_peer(call->stream);
    const struct http_policy *policy = call->req.policy;
    struct hops hops = {.head = call->req.head};
    struct span hop;

    map_address(peer, call->address);
    call->req.address = peer->address;
    if (call->req.head == NULL || policy->proxy_count == 0)
        return;
    hops.line = call->req.head->header_count;
    while (http_network_holds(policy->proxies, policy->proxy_count, call->address) &&
           hop_next(&hops, &hop)) {
        unsigned char bytes[16];

        if (!http_address_read(hop, bytes))
            return;
        memcpy(call->address, bytes, sizeof(bytes));
        call->req.address = hop;
    }
}

void http_call_identify(struct http_call *call)
{
    if (call->req.head != NULL)
        known_find(call);
    take_request_id(call);
    take_trace_id(call);
    take_address(call);
}

enum err http_call_begin(struct http_call *call)
{
    const struct net_head *head = call->req.head;
    struct http_target target;
    enum err err;

    call->req.method = head->method;
    err = http_target_read(head->target, call->req.arena, &target);
    if (err)
        return err;
    call->req.path = target.path;
    call->req.path_is_plain = target.path_is_plain;
    call->req.query = target.query;
    /* RFC 9112, 3.2: exactly one; we ask it of HTTP/1.0 as well. */
    if (call->known.host_count != 1 || !http_host_is_valid(call->known.host))
        return ERR_BAD_HOST;
    if (target.authority.len > 0 && !span_equal_nocase(target.authority, call->known.host))
        return ERR_BAD_HOST;
    call->req.host = call->known.host;
    if (call->known.authorization_count > 1 || call->known.content_type_count > 1)
        return ERR_BAD_REQUEST;
    if (head->method == NET_METHOD_OTHER || head->method == NET_METHOD_TRACE)
        return ERR_NOT_IMPLEMENTED;
    if (span_is(target.path, "*") && head->method != NET_METHOD_OPTIONS)
        return ERR_BAD_PATH;
    return ERR_OK;
}
