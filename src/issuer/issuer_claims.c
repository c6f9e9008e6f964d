/* SPDX-License-Identifier: MIT
 * What a verified token of another issuer must say, and what it says. Names and values come from
 * outside and go into header lines of a request, so whatever does not fit there is not taken: a
 * subject refuses the token, a scope or role is one right less. */
#include "issuer/issuer_priv.h"

enum { PATH_DEPTH_MAX = 8, NAME_BYTES_MAX = 64 };

/* ---- finding ---- */

const struct json_value *issuer_claim_find(const struct json_value *claims, const char *path)
{
    const struct json_value *found = json_get(claims, path);
    struct span rest = span_from(path);
    struct span name;

    if (found != NULL) /* "https://example.com/roles" has dots of its own */
        return found;
    found = claims;
    for (int depth = 0; found != NULL && rest.len > 0; depth++) {
        if (depth == PATH_DEPTH_MAX || !span_cut(&rest, '.', &name))
            return NULL;
        found = json_get_span(found, name);
    }
    return found == claims ? NULL : found;
}

/* ---- what must be there ---- */

/* A text as it is, true and false as such, a number as it was written. */
static bool is_value(const struct json_value *claim, struct span wanted)
{
    switch (claim->type) {
    case JSON_TEXT:
    case JSON_NUMBER:
        return span_equal(claim->text, wanted);
    case JSON_BOOL:
        return span_equal(claim->source, wanted);
    case JSON_NONE:
    case JSON_NULL:
    case JSON_LIST:
    case JSON_OBJECT:
        break;
    }
    return false;
}

static bool is_one_of(const struct json_value *claim, const struct span *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_value(claim, values[i]))
            return true;
    }
    return false;
}

/* A list has the value when one of its members is it. */
static bool is_met(const struct issuer_claim *wanted, const struct json_value *claims)
{
    const struct json_value *claim = issuer_claim_find(claims, wanted->path);

    if (claim == NULL || claim->type == JSON_NULL)
        return false;
    if (wanted->value_count == 0)
        return true;
    if (!json_is_list(claim))
        return is_one_of(claim, wanted->values, wanted->value_count);
    for (uint32_t i = 0; i < claim->count; i++) {
        if (is_one_of(&claim->items[i], wanted->values, wanted->value_count))
            return true;
    }
    return false;
}

static bool is_for_us(const struct issuer_options *options, const struct json_value *claims)
{
    const struct issuer_claim aud = {
        .path = "aud", .values = options->audiences, .value_count = options->audience_count};

    return options->audience_count > 0 && is_met(&aud, claims);
}

const char *issuer_claims_flaw(const struct issuer_options *options,
                               const struct json_value *claims)
{
    if (!is_for_us(options, claims))
        return "the token is for another audience";
    for (size_t i = 0; i < options->required_count; i++) {
        if (!is_met(&options->required[i], claims))
            return "the token lacks a claim that is required";
    }
    return NULL;
}

/* ---- what is taken ---- */

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < ' ' || s.ptr[i] > '~')
            return false;
    }
    return s.len > 0 && s.ptr[0] != ' ' && s.ptr[s.len - 1] != ' ';
}

/* RFC 6749, 3.3: what can stand between spaces, and in quotes. */
static bool is_name(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == '"' || s.ptr[i] == '\\')
            return false;
    }
    return s.len > 0 && s.len <= NAME_BYTES_MAX;
}

static void names_add(struct sbuf *out, struct span text)
{
    struct span name;

    while (text.len > 0 && span_cut(&text, ' ', &name)) {
        if (!is_name(name))
            continue;
        sbuf_add_text(out, out->len > 0 ? " " : "");
        sbuf_add(out, name);
    }
}

/* A text with spaces, or a list of texts; a member of a list is one name. */
static enum err names_take(const struct json_value *claims, const char *path, struct arena *arena,
                           struct span *ret)
{
    const struct json_value *claim = path != NULL ? issuer_claim_find(claims, path) : NULL;
    struct sbuf out = sbuf_on(arena, ISSUER_TEXT_BYTES_MAX);

    if (json_is_text(claim))
        names_add(&out, claim->text);
    for (uint32_t i = 0; json_is_list(claim) && i < claim->count; i++) {
        if (json_is_text(&claim->items[i]) && is_name(claim->items[i].text))
            names_add(&out, claim->items[i].text);
    }
    if (out.full)
        return arena->overflowed ? ERR_NO_MEMORY : ERR_TOKEN_INVALID;
    *ret = sbuf_span(&out);
    return ERR_OK;
}

static struct span text_of(const struct json_value *claims, const char *name)
{
    const struct json_value *claim = json_get(claims, name);

    return json_is_text(claim) && is_printable(claim->text) ? claim->text : (struct span){0};
}

/* RFC 7800. A proof that we do not check must not be left out by not looking: only what is bound to
 * a certificate, and to nothing else, can be shown here. */
static bool binding_read(const struct json_value *claims, struct span *ret_thumbprint)
{
    const struct json_value *cnf = json_get(claims, "cnf");
    const struct json_value *thumbprint = json_get(cnf, "x5t#S256");

    if (cnf == NULL)
        return true;
    if (!json_is_object(cnf) || cnf->count != 1 || !json_is_text(thumbprint) ||
        thumbprint->text.len == 0)
        return false;
    *ret_thumbprint = thumbprint->text;
    return true;
}

enum err issuer_claims_take(const struct issuer_options *options, const struct crypto_jwt *jwt,
                            struct arena *arena, struct issuer_identity *ret)
{
    struct issuer_identity identity = {.subject = jwt->sub,
                                       .token_id = text_of(jwt->claims, "jti"),
                                       .client_id = text_of(jwt->claims, "client_id"),
                                       .issued_at_s = jwt->iat_s,
                                       .expires_at_s = jwt->exp_s};
    enum err err;

    if (!is_printable(identity.subject))
        return ERR_TOKEN_INVALID;
    if (!binding_read(jwt->claims, &identity.thumbprint))
        return ERR_TOKEN_BOUND;
    if (identity.client_id.len == 0)
        identity.client_id = text_of(jwt->claims, "azp");
    err = names_take(jwt->claims, options->scope_claim, arena, &identity.scope);
    if (!err)
        err = names_take(jwt->claims, options->roles_claim, arena, &identity.roles);
    if (!err)
        *ret = identity;
    return err;
}
