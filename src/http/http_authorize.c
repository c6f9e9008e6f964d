/* SPDX-License-Identifier: MIT
 * Scopes and roles as bits: each name that a row asks for gets a place when the services are made,
 * so that a request costs a comparison of two words and not of texts. What no row asks for has no
 * place, and is no loss: nothing depends on it. */
#include "http/http_priv.h"

#include <string.h>

/* RFC 6749, 3.3: scope-token. Such a text may stand in a quoted string as it is. */
static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];

        if (c <= 0x20 || c >= 0x7F || c == '"' || c == '\\')
            return false;
    }
    return name.len > 0 && name.len <= HTTP_NAME_BYTES_MAX;
}

static uint64_t bit_of(const struct http_names *names, struct span name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (span_equal(span_make(names->text[i], names->len[i]), name))
            return UINT64_C(1) << i;
    }
    return 0;
}

uint64_t http_names_bits(const struct http_names *names, struct span list)
{
    uint64_t bits = 0;
    struct span name;

    while (list.len > 0 && span_cut(&list, ' ', &name))
        bits |= bit_of(names, name);
    return bits;
}

bool http_names_add(struct http_names *names, const char *list, uint64_t *ret_bits)
{
    struct span rest = span_from(list);
    struct span name;

    *ret_bits = 0;
    while (rest.len > 0 && span_cut(&rest, ' ', &name)) {
        if (!is_name(name))
            return false;
        if (bit_of(names, name) == 0) {
            if (names->count == HTTP_NAMES_MAX)
                return false;
            memcpy(names->text[names->count], name.ptr, name.len);
            names->len[names->count++] = (uint8_t)name.len;
        }
        *ret_bits |= bit_of(names, name);
    }
    return list == NULL || *ret_bits != 0;
}

static unsigned kinds_taken(const struct http_route *row)
{
    unsigned session = 1U << HTTP_TOKEN_SESSION;
    unsigned issued = 1U << HTTP_TOKEN_ISSUED;

    if (row->access == HTTP_ACCESS_KEY)
        return 1U << HTTP_TOKEN_KEY;
    if (row->issuer_count > 0)
        return 1U << HTTP_TOKEN_FOREIGN;
    if (row->tokens == HTTP_TOKENS_ISSUED)
        return issued;
    return row->tokens == HTTP_TOKENS_ANY || row->scopes != NULL ? session | issued : session;
}

const char *http_needs_compile(struct http_names *scopes, struct http_names *roles,
                               struct http_route_state *state)
{
    const struct http_route *row = &state->row;

    state->needs.kinds = kinds_taken(row);
    if (row->access == HTTP_ACCESS_KEY &&
        (row->proxy == NULL || state->service->engine->options.keys.verify == NULL))
        return "a route takes API keys, but leads to no upstream, or nobody here knows them";
    if (!http_names_add(scopes, row->scopes, &state->needs.scopes))
        return "a route's scopes are malformed, or all routes name too many of them";
    if (!http_names_add(roles, row->roles, &state->needs.roles))
        return "a route's roles are malformed, or all routes name too many of them";
    return NULL;
}

/* The connection's own, and verified: what a header claims is nothing. */
static bool certificate_shown(const struct http_call *call)
{
    return !call->req.route->certificate || http_peer(&call->req)->tls_subject.len > 0;
}

/* Who cannot have the right at all is told so before he is told to ask for a scope. A client that
 * acts for somebody may ask for more, so it hears of the scope first. */
enum err http_authorize(const struct http_call *call)
{
    const struct http_needs *needs = &call->state->needs;
    const struct http_principal *principal = call->req.principal;
    bool scoped;
    bool entitled;

    if (principal == NULL)
        return ERR_UNAUTHENTICATED;
    if (!(needs->kinds & (1U << principal->kind)))
        return ERR_TOKEN_KIND;
    scoped = (principal->scope_bits & needs->scopes) == needs->scopes;
    entitled = (needs->roles == 0 || (principal->role_bits & needs->roles) != 0) &&
               (principal->is_admin || call->req.route->access != HTTP_ACCESS_ADMIN);
    if (scoped && entitled)
        return certificate_shown(call) ? ERR_OK : ERR_CERTIFICATE;
    if (scoped)
        return ERR_FORBIDDEN;
    return entitled || principal->kind != HTTP_TOKEN_SESSION ? ERR_SCOPE : ERR_FORBIDDEN;
}

bool http_has_role(const struct http_principal *principal, const char *role)
{
    struct span rest = principal->roles;
    struct span name;

    while (rest.len > 0 && span_cut(&rest, ' ', &name)) {
        if (span_is(name, role))
            return true;
    }
    return false;
}
