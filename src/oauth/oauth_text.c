/* SPDX-License-Identifier: MIT
 * Lists of names, redirect addresses, random values: pure functions over short texts. */
#include "oauth/oauth_priv.h"

#include "base/alloc.h"
#include "crypto/digest.h"

/* ---- lists of names ---------------------------------------------------------------------------
 */

/* The next name of a list; blanks never are one. */
static bool next_name(struct span *rest, struct span *ret_name)
{
    while (span_cut(rest, ' ', ret_name))
        if (ret_name->len > 0)
            return true;
    return false;
}

bool oauth_list_has(struct span list, struct span name)
{
    for (struct span part; next_name(&list, &part);)
        if (span_equal(part, name))
            return true;
    return false;
}

bool oauth_list_within(struct span part, struct span list)
{
    for (struct span name; next_name(&part, &name);)
        if (!oauth_list_has(list, name))
            return false;
    return true;
}

struct span oauth_list_both(struct span a, struct span b, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, a.len + 1);

    for (struct span name; next_name(&a, &name);) {
        if (!oauth_list_has(b, name) || oauth_list_has(sbuf_span(&out), name))
            continue;
        if (out.len > 0)
            sbuf_add_char(&out, ' ');
        sbuf_add(&out, name);
    }
    if (out.full)
        return (struct span){0};
    return out.len > 0 ? sbuf_span(&out) : SPAN_OF("");
}

/* RFC 6749, 3.3: %x21 / %x23-5B / %x5D-7E */
static bool is_scope_char(char c)
{
    return c > ' ' && c < 0x7F && c != '"' && c != '\\';
}

bool oauth_scope_is_valid(struct span scope)
{
    struct span rest = scope;

    if (scope.len == 0 || scope.len > OAUTH_SCOPE_BYTES_MAX || scope.ptr[scope.len - 1] == ' ')
        return false;
    for (struct span name; span_cut(&rest, ' ', &name);) {
        struct span before = span_slice(scope, 0, (size_t)(name.ptr - scope.ptr));

        if (name.len == 0 || oauth_list_has(before, name))
            return false;
        for (size_t i = 0; i < name.len; i++)
            if (!is_scope_char(name.ptr[i]))
                return false;
    }
    return true;
}

/* ---- redirect addresses -----------------------------------------------------------------------
 */

/* RFC 8252, 7.3 and 8.3. What follows must be a port, a path, a query or the end. */
static const struct span loopbacks[] = {SPAN("http://127.0.0.1"), SPAN("http://[::1]"),
                                        SPAN("http://localhost")};

/* A port as a number without leading zeros, 1 to 65535. */
static bool is_port(struct span text)
{
    uint64_t port;

    return text.len > 0 && text.len <= 5 && text.ptr[0] != '0' && span_to_u64(text, &port) &&
           port <= UINT16_MAX;
}

/* What follows host and port of a loopback address; false when `uri` is none. */
static bool loopback_rest(struct span uri, const struct span *host, struct span *ret_rest)
{
    struct span rest;
    size_t end = 1;

    if (!span_starts(uri, *host))
        return false;
    rest = span_slice(uri, host->len, uri.len);
    if (rest.len > 0 && rest.ptr[0] == ':') {
        while (end < rest.len && rest.ptr[end] >= '0' && rest.ptr[end] <= '9')
            end++;
        if (!is_port(span_slice(rest, 1, end)))
            return false;
        rest = span_slice(rest, end, rest.len);
    }
    *ret_rest = rest;
    return rest.len == 0 || rest.ptr[0] == '/' || rest.ptr[0] == '?';
}

/* The same loopback host, and the same to the letter behind the port. */
static bool is_same_loopback(struct span registered, struct span uri)
{
    struct span a, b;

    for (size_t i = 0; i < PC_COUNT(loopbacks); i++)
        if (loopback_rest(registered, &loopbacks[i], &a) && loopback_rest(uri, &loopbacks[i], &b))
            return span_equal(a, b);
    return false;
}

bool oauth_uri_is_loopback(struct span uri)
{
    struct span rest;

    for (size_t i = 0; i < PC_COUNT(loopbacks); i++)
        if (loopback_rest(uri, &loopbacks[i], &rest))
            return true;
    return false;
}

bool oauth_uri_allowed(struct span list, struct span uri)
{
    if (uri.len == 0 || span_find(uri, '\n') < uri.len)
        return false;
    for (struct span registered; span_cut(&list, '\n', &registered);)
        if (span_equal(registered, uri) || is_same_loopback(registered, uri))
            return true;
    return false;
}

struct span oauth_uris_told(struct span uris, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, uris.len);

    for (size_t i = 0; i < uris.len; i++)
        sbuf_add_char(&out, uris.ptr[i] == '\n' ? ' ' : uris.ptr[i]);
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* ---- random values ----------------------------------------------------------------------------
 */

void oauth_token_hash(struct span text, unsigned char ret_hash[OAUTH_HASH_BYTES])
{
    crypto_sha256(text, ret_hash);
}

enum err oauth_token_make(const struct random_source *random, struct arena *arena,
                          struct span *ret_text, unsigned char ret_hash[OAUTH_HASH_BYTES])
{
    struct sbuf out = sbuf_on(arena, OAUTH_TOKEN_TEXT_BYTES);
    unsigned char raw[OAUTH_TOKEN_RAW_BYTES];

    random_fill(random, raw, sizeof(raw));
    crypto_base64url_add(&out, span_make(raw, sizeof(raw)));
    alloc_wipe(raw, sizeof(raw));
    if (out.full)
        return ERR_NO_MEMORY;
    PC_ASSERT(out.len == OAUTH_TOKEN_TEXT_BYTES);
    oauth_token_hash(sbuf_span(&out), ret_hash);
    *ret_text = sbuf_span(&out);
    return ERR_OK;
}
