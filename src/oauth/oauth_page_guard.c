/* SPDX-License-Identifier: MIT
 * What keeps strangers from posting our forms: a hidden token that only somebody with the browser's
 * cookie and we can make, and what the browser itself says about where a POST comes from.
 *
 * The cookies hold 256 random bits and say nothing. Over TLS their names begin with "__Host-", so
 * that no other host or plain connection can set them (RFC 6265bis, 4.1.3.2). SameSite is Lax, not
 * Strict: people come to the pages from the client's site. */
#include "oauth/oauth_page_priv.h"

#include "base/alloc.h"
#include "crypto/digest.h"

enum { COOKIE_LINE_BYTES_MAX = 256 };

/* ---- cookies ----------------------------------------------------------------------------------
 */

static const char *const names[2][2] = {
    [OAUTH_COOKIE_LOGIN] = {"portcullis_login", "__Host-portcullis_login"},
    [OAUTH_COOKIE_FORM] = {"portcullis_form", "__Host-portcullis_form"},
};

/* Encrypted as the browser sees it: here, or in front of us. */
static bool is_secure(const struct http_request *req)
{
    return http_peer(req)->tls || span_starts(oauth_of(req)->options.base_url, SPAN_OF("https://"));
}

struct span oauth_cookie_get(const struct http_request *req, enum oauth_cookie cookie)
{
    struct span value = http_cookie(req, names[cookie][is_secure(req)]);

    return value.len == OAUTH_TOKEN_TEXT_BYTES ? value : (struct span){0};
}

enum err oauth_cookie_set(struct http_request *req, enum oauth_cookie cookie, struct span value)
{
    bool secure = is_secure(req);
    struct sbuf out = sbuf_on(req->arena, COOKIE_LINE_BYTES_MAX);
    struct span line;
    enum err err;

    sbuf_add_text(&out, names[cookie][secure]);
    sbuf_add_char(&out, '=');
    sbuf_add(&out, value);
    sbuf_add_text(&out, value.len > 0 ? "; Path=/" : "; Path=/; Max-Age=0");
    sbuf_add_text(&out, secure ? "; Secure" : "");
    sbuf_add_lit(&out, "; HttpOnly; SameSite=Lax");
    err = sbuf_finish(&out, &line);
    if (err)
        return err;
    http_reply_header(req, "Set-Cookie", line);
    return ERR_OK;
}

/* ---- forms ------------------------------------------------------------------------------------
 */

/* HMAC over the digest of all: the parts cannot be told apart otherwise than by us, since no
 * purpose holds a NUL. */
static void csrf_tag(struct span cookie, const char *purpose, struct span about,
                     unsigned char ret_tag[CRYPTO_HASH_BYTES_MAX])
{
    const struct span pieces[] = {span_from(purpose), SPAN("\0"), about};
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];
    struct crypto_hmac hmac;

    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    crypto_hmac_init(&hmac, CRYPTO_SHA256, cookie);
    crypto_hmac_sign(&hmac, span_make(digest, CRYPTO_SHA256_BYTES), ret_tag);
    crypto_hmac_wipe(&hmac);
}

enum err oauth_csrf_make(struct span cookie, const char *purpose, struct span about,
                         struct arena *arena, struct span *ret_token)
{
    struct sbuf out = sbuf_on(arena, OAUTH_TOKEN_TEXT_BYTES);
    unsigned char tag[CRYPTO_HASH_BYTES_MAX];

    PC_ASSERT(cookie.len == OAUTH_TOKEN_TEXT_BYTES);
    csrf_tag(cookie, purpose, about, tag);
    crypto_base64url_add(&out, span_make(tag, CRYPTO_SHA256_BYTES));
    return sbuf_finish(&out, ret_token);
}

bool oauth_csrf_holds(struct span cookie, const char *purpose, struct span about, struct span token)
{
    char text[OAUTH_TOKEN_TEXT_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    unsigned char tag[CRYPTO_HASH_BYTES_MAX];

    if (cookie.len != OAUTH_TOKEN_TEXT_BYTES)
        return false;
    csrf_tag(cookie, purpose, about, tag);
    crypto_base64url_add(&out, span_make(tag, CRYPTO_SHA256_BYTES));
    return span_equal_secret(sbuf_span(&out), token);
}

static bool is_origin(struct span origin, const char *scheme, struct span authority)
{
    struct span rest = span_slice(origin, span_from(scheme).len, origin.len);

    return span_starts(origin, span_from(scheme)) && span_equal_nocase(rest, authority);
}

/* Our pages send no referrer, so their forms say "Origin: null", which proves nothing either way:
 * then the token alone decides. Fetch, 3.2; Fetch Metadata, 2.4. */
bool oauth_post_is_ours(const struct http_request *req)
{
    struct span site = http_header(req, "sec-fetch-site");
    struct span origin = http_header(req, "origin");

    if (site.len > 0 && !span_is(site, "same-origin") && !span_is(site, "none"))
        return false;
    return origin.len == 0 || span_is(origin, "null") || is_origin(origin, "https://", req->host) ||
           is_origin(origin, "http://", req->host) ||
           span_equal_nocase(origin, oauth_of(req)->options.base_url);
}
