/* SPDX-License-Identifier: MIT
 * Whether the description of a client is whole and safe. What is let in here is what every request
 * relies on later, so each rule says in words what it wants. */
#include "oauth/oauth_priv.h"

enum {
    LIST_BYTES_MAX = 2048,
    JWKS_BYTES_MAX = 32 * 1024,
    SUBJECT_BYTES_MAX = 1024,
};

static const struct span grants_known =
    SPAN("authorization_code refresh_token client_credentials password");

/* Ids that mean something else: the session of a signed-in browser, the label of clients that do
 * not exist, and who acts when nobody asked. */
static const struct span ids_taken = SPAN("browser unknown system");

static const char *const method_names[OAUTH_METHOD_COUNT] = {
    [OAUTH_METHOD_UNKNOWN] = "",
    [OAUTH_METHOD_SECRET] = "client_secret",
    [OAUTH_METHOD_SECRET_BASIC] = "client_secret_basic",
    [OAUTH_METHOD_SECRET_POST] = "client_secret_post",
    [OAUTH_METHOD_PRIVATE_KEY] = "private_key_jwt",
    [OAUTH_METHOD_CERTIFICATE] = "tls_client_auth",
    [OAUTH_METHOD_NONE] = "none",
};

const char *oauth_method_name(enum oauth_method method)
{
    PC_ASSERT(method < OAUTH_METHOD_COUNT);
    return method_names[method];
}

enum oauth_method oauth_method_from(struct span name)
{
    for (size_t i = 1; i < OAUTH_METHOD_COUNT; i++)
        if (span_is(name, method_names[i]))
            return (enum oauth_method)i;
    return OAUTH_METHOD_UNKNOWN;
}

bool oauth_method_has_secret(enum oauth_method method)
{
    return method == OAUTH_METHOD_SECRET || method == OAUTH_METHOD_SECRET_BASIC ||
           method == OAUTH_METHOD_SECRET_POST;
}

static enum err refuse(struct crypto_fault *fault, const char *sentence)
{
    crypto_fault_set(fault, "%s", sentence);
    return ERR_VALIDATION;
}

/* ---- names ----
 */

static bool is_id_char(char c)
{
    return (c >= '0' && c <= '9') || (span_lower_char(c) >= 'a' && span_lower_char(c) <= 'z') ||
           c == '-' || c == '.' || c == '_' || c == '~';
}

static enum err check_id(struct span id, struct crypto_fault *fault)
{
    bool digits_only = true;

    if (id.len == 0 || id.len > OAUTH_CLIENT_ID_CHARS_MAX)
        return refuse(fault, "the client id must have 1 to 64 characters");
    for (size_t i = 0; i < id.len; i++) {
        if (!is_id_char(id.ptr[i]))
            return refuse(fault, "the client id may contain only letters, digits, '-', '.', '_' "
                                 "and '~'");
        digits_only &= id.ptr[i] >= '0' && id.ptr[i] <= '9';
    }
    if (digits_only)
        return refuse(fault, "the client id may not be a number: it could be taken for a user's");
    if (oauth_list_has(ids_taken, id))
        return refuse(fault, "that client id has a meaning of its own here, choose another");
    return ERR_OK;
}

static enum err check_name(struct span name, struct crypto_fault *fault)
{
    size_t length;

    if (!span_is_utf8(name))
        return refuse(fault, "the name must be UTF-8");
    length = span_utf8_length(name);
    if (length == 0 || length > OAUTH_CLIENT_NAME_CHARS_MAX)
        return refuse(fault, "the name must have 1 to 100 characters");
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7F)
            return refuse(fault, "the name may not contain control characters");
    return ERR_OK;
}

/* ---- what it may do ----
 */

static bool is_scope(struct span name)
{
    for (size_t i = 0; auth_scopes[i].name != NULL; i++)
        if (span_is(name, auth_scopes[i].name))
            return true;
    return false;
}

static bool is_role(struct span name)
{
    for (size_t i = 0; auth_roles[i] != NULL; i++)
        if (span_is(name, auth_roles[i]))
            return true;
    return false;
}

/* A list without doubles and strays, each name known; it may be empty. */
static enum err check_list(struct span list, const char *what, bool (*is_known)(struct span name),
                           struct crypto_fault *fault)
{
    struct span rest = list;

    if (list.len == 0)
        return ERR_OK;
    if (list.len > LIST_BYTES_MAX || !oauth_scope_is_valid(list)) {
        crypto_fault_set(fault, "name each %s once, with one space between", what);
        return ERR_VALIDATION;
    }
    for (struct span name; span_cut(&rest, ' ', &name);)
        if (!is_known(name)) {
            crypto_fault_set(fault, "there is no %s \"%.*s\"", what, SPAN_ARG(name));
            return ERR_VALIDATION;
        }
    return ERR_OK;
}

static bool is_grant(struct span name)
{
    return oauth_list_has(grants_known, name);
}

static enum err check_grants(const struct oauth_client *client, struct crypto_fault *fault)
{
    bool code = oauth_list_has(client->grants, SPAN_OF("authorization_code"));
    bool password = oauth_list_has(client->grants, SPAN_OF("password"));
    bool itself = oauth_list_has(client->grants, SPAN_OF("client_credentials"));
    enum err err = check_list(client->grants, "grant", is_grant, fault);

    if (err)
        return err;
    if (oauth_list_has(client->grants, SPAN_OF("refresh_token")) && !code && !password)
        return refuse(fault, "the grant refresh_token needs authorization_code or password");
    if (client->method == OAUTH_METHOD_NONE && (password || itself))
        return refuse(fault, "a public client may have the grants authorization_code and "
                             "refresh_token only");
    if (code && client->redirect_uris.len == 0)
        return refuse(fault, "the grant authorization_code needs a redirect address");
    if (!code && client->redirect_uris.len > 0)
        return refuse(fault, "a redirect address needs the grant authorization_code");
    return ERR_OK;
}

/* ---- addresses ----
 */

/* "shop.example", "shop.example:8443": a name as browsers write it, and a port. */
static bool is_authority(struct span text)
{
    size_t colon = span_find(text, ':');
    struct span host = span_slice(text, 0, colon);
    struct span port = span_slice(text, colon + 1, text.len);
    uint64_t number;

    if (colon < text.len && (!span_to_u64(port, &number) || number == 0 || number > UINT16_MAX))
        return false;
    if (host.len == 0 || host.ptr[0] == '.' || host.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-')
            return false;
    }
    return true;
}

static bool is_https(struct span uri)
{
    static const struct span scheme = SPAN("https://");
    struct span rest;
    size_t end = 0;

    if (!span_starts(uri, scheme))
        return false;
    rest = span_slice(uri, scheme.len, uri.len);
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    return is_authority(span_slice(rest, 0, end));
}

/* RFC 8252, 7.1: a domain of the application's maker, turned around. */
static bool is_private_use(struct span uri)
{
    struct span scheme = span_slice(uri, 0, span_find(uri, ':'));

    return span_find(scheme, '.') < scheme.len;
}

static enum err check_uri(struct span uri, struct crypto_fault *fault)
{
    if (!json_format_holds(JSON_FORMAT_URI, uri))
        return refuse(fault, "an address must be an absolute URI of at most 2048 characters");
    if (span_find(uri, '#') < uri.len)
        return refuse(fault, "an address may not have a fragment (#...)");
    if (is_https(uri) || oauth_uri_is_loopback(uri) || is_private_use(uri))
        return ERR_OK;
    return refuse(fault, "an address must be https with a lower-case host, http on 127.0.0.1, "
                         "[::1] or localhost, or have a scheme like com.example.app");
}

static enum err check_uris(struct span list, struct crypto_fault *fault)
{
    size_t count = 0;
    enum err err;

    if (list.len == 0)
        return ERR_OK;
    for (struct span uri; span_cut(&list, '\n', &uri);) {
        if (++count > OAUTH_URIS_MAX)
            return refuse(fault, "a client has at most 16 addresses of a kind");
        err = check_uri(uri, fault);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* ---- how it proves itself ----
 */

static enum err check_jwks(struct span text, struct crypto_fault *fault)
{
    struct crypto_keyset *set = NULL;
    enum err err = ERR_OK;

    if (text.len > JWKS_BYTES_MAX)
        return refuse(fault, "the key set has more than 32 KiB");
    err = crypto_keyset_from_jwks(text, CRYPTO_ALG_NONE, &set, fault);
    if (err)
        return err == ERR_KEY ? ERR_VALIDATION : err;
    if (crypto_keyset_count(set) == 0)
        err = refuse(fault, "the key set holds no key for signatures");
    for (size_t i = 0; !err && i < crypto_keyset_count(set); i++) {
        const struct crypto_key *key = crypto_keyset_at(set, i);

        if (crypto_alg_is_symmetric(crypto_key_alg(key)))
            err = refuse(fault, "the key set holds a shared secret; give public keys");
        else if (crypto_key_is_private(key))
            err = refuse(fault, "the key set holds a private key; give the public parts only, and "
                                "replace that key if others may have seen it");
    }
    crypto_keyset_free(set);
    return err;
}

static enum err check_method(const struct oauth_client *client, struct crypto_fault *fault)
{
    bool by_key = client->method == OAUTH_METHOD_PRIVATE_KEY;
    bool by_certificate = client->method == OAUTH_METHOD_CERTIFICATE;

    if (client->method == OAUTH_METHOD_UNKNOWN || client->method >= OAUTH_METHOD_COUNT)
        return refuse(fault, "the method is none that is offered");
    if (oauth_method_has_secret(client->method) && !client->secret.set)
        return refuse(fault, "this method needs a secret");
    if (!oauth_method_has_secret(client->method) && (client->secret.set || client->old_secret.set))
        return refuse(fault, "this method has no secret");
    if (by_key && client->jwks.len == 0)
        return refuse(fault, "the method private_key_jwt needs a key set");
    if (!by_key && client->jwks.len > 0)
        return refuse(fault, "a key set needs the method private_key_jwt");
    if (by_certificate && client->tls_subject.len == 0)
        return refuse(fault, "the method tls_client_auth needs the certificate's subject");
    if (!by_certificate && client->tls_subject.len > 0)
        return refuse(fault, "a certificate's subject needs the method tls_client_auth");
    if (client->tls_subject.len > SUBJECT_BYTES_MAX || !span_is_utf8(client->tls_subject) ||
        span_find(client->tls_subject, '\0') < client->tls_subject.len)
        return refuse(fault, "the certificate's subject must be a text of at most 1024 bytes");
    return by_key ? check_jwks(client->jwks, fault) : ERR_OK;
}

/* ---- its tokens ----
 */

static bool is_within(int64_t value, int64_t min, int64_t max)
{
    return value == 0 || (value >= min && value <= max);
}

static bool is_issued_alg(enum crypto_alg alg)
{
    return alg == CRYPTO_ALG_NONE || alg == CRYPTO_RS256 || alg == CRYPTO_PS256 ||
           alg == CRYPTO_ES256 || alg == CRYPTO_EDDSA;
}

static enum err check_tokens(const struct oauth_client *client, struct crypto_fault *fault)
{
    if (!is_within(client->access_s, OAUTH_ACCESS_S_MIN, OAUTH_ACCESS_S_MAX))
        return refuse(fault, "access tokens live 1 to 60 minutes");
    if (!is_within(client->refresh_s, OAUTH_REFRESH_S_MIN, OAUTH_REFRESH_S_MAX))
        return refuse(fault, "refresh tokens live an hour to 366 days");
    if (!is_issued_alg(client->access_alg) || !is_issued_alg(client->id_alg))
        return refuse(fault, "tokens are signed with RS256, PS256, ES256 or EdDSA");
    return ERR_OK;
}

enum err oauth_client_check(const struct oauth_client *client, struct arena *arena,
                            struct crypto_fault *fault)
{
    enum err err = check_id(client->client_id, fault);

    (void)arena;
    if (!err)
        err = check_name(client->name, fault);
    if (!err)
        err = check_method(client, fault);
    if (!err)
        err = check_grants(client, fault);
    if (!err)
        err = check_list(client->scopes, "scope", is_scope, fault);
    if (!err)
        err = check_list(client->roles, "role", is_role, fault);
    if (!err)
        err = check_uris(client->redirect_uris, fault);
    if (!err)
        err = check_uris(client->logout_uris, fault);
    if (!err)
        err = check_tokens(client, fault);
    return err;
}
