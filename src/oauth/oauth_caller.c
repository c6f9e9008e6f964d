/* SPDX-License-Identifier: MIT
 * Which client calls, and whether it is: RFC 6749 2.3, RFC 7523, RFC 8705. The first steps of every
 * request at the token endpoint and its neighbours:
 *
 *   read (loop) -> find (READ) -> check (SIGN for assertions, else anywhere) -> settle (WRITE)
 *                                   `---- ERR_OAUTH_INVALID_CLIENT ----`-> refused (WRITE)
 *
 * One way of proving at a time: a request that shows two could be read differently by two readers.
 */
#include "base/alloc.h"
#include "crypto/digest.h"
#include "oauth/oauth_priv.h"

enum { ID_BYTES_MAX = 256 }; /* of a claimed id that is recorded */

static const struct store_statement assertion_insert = {
    .name = "oauth_assertion_insert",
    .sqlite = "INSERT INTO oauth_assertions (client, jti, expires_at) VALUES (?1, ?2, ?3) "
              "ON CONFLICT DO NOTHING"};
static const struct store_statement client_active = {
    .name = "oauth_client_active",
    .sqlite = "SELECT is_active, tokens_after, updated_at FROM oauth_clients WHERE id = ?1"};

/* ---- what it shows ----------------------------------------------------------------------------
 */

/* RFC 4648, 4: the alphabet of HTTP Basic, with its padding. */
static enum err base64_read(struct span text, struct arena *arena, struct span *ret_data)
{
    size_t len = text.len;
    char *url;

    if (len == 0 || len % 4 != 0)
        return ERR_BAD_REQUEST;
    url = arena_bytes(arena, len);
    if (url == NULL)
        return ERR_NO_MEMORY;
    for (size_t padding = 0; padding < 2 && text.ptr[len - 1] == '='; padding++)
        len--;
    for (size_t i = 0; i < len; i++) {
        char c = text.ptr[i];

        if (c == '-' || c == '_')
            return ERR_BAD_REQUEST;
        url[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    return crypto_base64url_read(span_make(url, len), arena, ret_data);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = span_lower_char(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 6749, 2.3.1: both parts of Basic are form-encoded first. */
static enum err form_decode(struct span text, struct arena *arena, struct span *ret_text)
{
    char *out = arena_bytes(arena, text.len);
    size_t len = 0;

    if (out == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i] == '+' ? ' ' : text.ptr[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex_value(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_value(text.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return ERR_BAD_REQUEST;
            c = (char)(high * 16 + low);
            i += 2;
        }
        out[len++] = c;
    }
    *ret_text = span_make(out, len);
    return ERR_OK;
}

static enum err malformed(struct http_request *req, const char *detail)
{
    return http_fail(req, ERR_OAUTH_INVALID_REQUEST, detail);
}

static enum err read_basic(struct http_request *req, struct span credentials,
                           struct oauth_caller *caller)
{
    struct span pair, id, secret;
    enum err err = base64_read(span_trim(credentials), req->arena, &pair);

    if (err == ERR_BAD_REQUEST || (!err && span_find(pair, ':') == pair.len))
        return malformed(req, "The Authorization header is not valid Basic");
    if (err)
        return err;
    id = span_slice(pair, 0, span_find(pair, ':'));
    secret = span_slice(pair, id.len + 1, pair.len);
    err = form_decode(id, req->arena, &caller->client_id);
    if (!err)
        err = form_decode(secret, req->arena, &caller->secret);
    if (err == ERR_BAD_REQUEST)
        return malformed(req, "Client id and secret must be form-encoded before they become Basic");
    caller->basic = true;
    caller->shown = OAUTH_METHOD_SECRET_BASIC;
    return err;
}

static enum err read_header(struct http_request *req, struct oauth_caller *caller)
{
    static const struct span name = SPAN("authorization");
    const struct net_header *header = net_head_find(req->head, name);
    struct span rest, scheme;

    if (header == NULL)
        return ERR_OK;
    if (net_head_count(req->head, name) > 1)
        return malformed(req, "There is more than one Authorization header");
    rest = header->value;
    if (!span_cut(&rest, ' ', &scheme) || !span_is_nocase(scheme, "Basic"))
        return http_fail(req, ERR_OAUTH_INVALID_CLIENT, "Clients authenticate here, with Basic");
    return read_basic(req, rest, caller);
}

static enum err read_assertion(struct http_request *req, const struct oauth_shown *shown,
                               struct oauth_caller *caller)
{
    if (shown->client_assertion.len == 0)
        return shown->client_assertion_type.len == 0
                   ? ERR_OK
                   : malformed(req, "client_assertion_type needs a client_assertion");
    if (!span_is(shown->client_assertion_type, OAUTH_ASSERTION_TYPE))
        return malformed(req, "client_assertion_type must be " OAUTH_ASSERTION_TYPE);
    if (!oauth_assertion_claims(shown->client_assertion, req->arena, &caller->client_id))
        return http_fail(req, ERR_OAUTH_INVALID_CLIENT, NULL);
    caller->assertion = shown->client_assertion;
    caller->shown = OAUTH_METHOD_PRIVATE_KEY;
    return ERR_OK;
}

/* At most one of the three, and a certificate or nothing otherwise. */
static enum err read_all(struct http_request *req, const struct oauth_shown *shown,
                         struct oauth_caller *caller)
{
    bool in_body = shown->client_secret.len > 0;
    enum err err = read_header(req, caller);

    if (err)
        return err;
    if (caller->basic + in_body + (shown->client_assertion.len > 0) > 1)
        return malformed(req, "Authenticate the client in one way, not in several");
    err = read_assertion(req, shown, caller);
    if (err)
        return err;
    if (in_body) {
        caller->secret = shown->client_secret;
        caller->shown = OAUTH_METHOD_SECRET_POST;
    }
    if (caller->client_id.len == 0)
        caller->client_id = shown->client_id;
    else if (shown->client_id.len > 0 && !span_equal(shown->client_id, caller->client_id))
        return malformed(req, "client_id is not the client that authenticates");
    if (caller->client_id.len == 0)
        return http_fail(req, ERR_OAUTH_INVALID_CLIENT, "Say which client calls, and prove it");
    return ERR_OK;
}

enum err oauth_caller_read(struct http_request *req, const struct oauth_shown *shown,
                           struct oauth_caller *ret_caller)
{
    const struct net_peer *peer = http_peer(req);
    struct oauth_caller caller = {.shown = OAUTH_METHOD_NONE};
    enum err err;

    if (peer != NULL && peer->tls_subject.len > 0)
        caller.thumbprint = peer->tls_thumbprint;
    err = read_all(req, shown, &caller);
    if (err) {
        /* There is no client yet whose bucket it could be. */
        enum err limited = http_limit_failure(req);

        return limited ? limited : err;
    }
    *ret_caller = caller;
    return ERR_OK;
}

enum err oauth_caller_find(struct http_request *req, struct oauth_caller *caller)
{
    enum err err = oauth_client_find(req->store, caller->client_id, req->arena, &caller->client);

    caller->found = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- whether it is ----------------------------------------------------------------------------
 */

enum http_run oauth_caller_run(const struct oauth_caller *caller)
{
    return caller->shown == OAUTH_METHOD_PRIVATE_KEY && caller->found ? HTTP_RUN_SIGN
                                                                      : HTTP_RUN_LOOP;
}

/* Both secrets are hashed whoever asks, so that nobody learns from the time whether there is such a
 * client, or a second secret. */
static const char *check_secret(const struct oauth *oauth, const struct oauth_caller *caller)
{
    static const struct oauth_client nobody;
    const struct oauth_client *client = caller->found ? &caller->client : &nobody;
    bool is_now = oauth_secret_matches(&client->secret, caller->secret);
    bool was = oauth_secret_matches(&client->old_secret, caller->secret);

    if (clock_realtime_ns(oauth->options.clock) >= client->old_secret_until_ns)
        was = false;
    if (!caller->found)
        return "there is no such client";
    if (client->method != OAUTH_METHOD_SECRET && client->method != caller->shown)
        return "the client authenticates in another way";
    return is_now || was ? NULL : "the secret is wrong";
}

static const char *check_certificate(struct http_request *req, const struct oauth_caller *caller)
{
    const struct net_peer *peer = http_peer(req);

    if (caller->thumbprint.len == 0)
        return "no certificate was shown";
    if (caller->client.tls_subject.len == 0 ||
        !span_equal_secret(peer->tls_subject, caller->client.tls_subject))
        return "the certificate has another subject";
    return NULL;
}

static const char *check_alone(struct http_request *req, const struct oauth_caller *caller)
{
    if (!caller->found)
        return "there is no such client";
    if (caller->client.method == OAUTH_METHOD_CERTIFICATE)
        return check_certificate(req, caller);
    return caller->client.method == OAUTH_METHOD_NONE ? NULL : "nothing was shown";
}

static enum err check_assertion(struct http_request *req, struct oauth_caller *caller)
{
    if (!caller->found)
        caller->why = "there is no such client";
    else if (caller->client.method != OAUTH_METHOD_PRIVATE_KEY)
        caller->why = "the client authenticates in another way";
    else
        return oauth_assertion_check(oauth_of(req), req->arena, caller);
    return ERR_TOKEN_INVALID;
}

/* ERR_TOKEN_INVALID: it is not who it says, and ->why says why not. */
static enum err prove(struct http_request *req, struct oauth_caller *caller)
{
    if (caller->shown == OAUTH_METHOD_PRIVATE_KEY)
        return check_assertion(req, caller);
    caller->why = caller->shown == OAUTH_METHOD_NONE ? check_alone(req, caller)
                                                     : check_secret(oauth_of(req), caller);
    return caller->why == NULL ? ERR_OK : ERR_TOKEN_INVALID;
}

enum err oauth_caller_check(struct http_request *req, struct oauth_caller *caller)
{
    enum err err = prove(req, caller);

    if (!err && !caller->client.is_active) {
        caller->why = "the client is disabled";
        err = ERR_TOKEN_INVALID;
    }
    if (err)
        return err == ERR_TOKEN_INVALID ? ERR_OAUTH_INVALID_CLIENT : err;
    if (caller->client.is_bound && caller->thumbprint.len == 0)
        return malformed(req, "This client's tokens are bound: connect with its certificate");
    return ERR_OK;
}

/* ---- in the commit ----------------------------------------------------------------------------
 */

/* Nothing ended its tokens since it was found: what it gets now would outlive that. */
static enum err still_active(struct store_conn *conn, struct oauth_caller *caller, bool *ret_active)
{
    const struct oauth_client *client = &caller->client;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &client_active, STORE_PARAMS(STORE_I64(client->key)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_active = store_rows_bool(rows, 0) && store_rows_i64(rows, 1) == client->tokens_after_ns;
    caller->is_stale = store_rows_i64(rows, 2) != client->updated_at_ns;
    return store_rows_err(rows);
}

static enum err use_assertion(struct store_conn *conn, const struct oauth_caller *caller,
                              bool *ret_fresh)
{
    struct span hash = span_make(caller->assertion_hash, OAUTH_HASH_BYTES);
    int64_t added;
    enum err err = store_exec(conn, &assertion_insert,
                              STORE_PARAMS(STORE_I64(caller->client.key), STORE_BLOB(hash),
                                           STORE_I64(caller->assertion_until_ns)),
                              &added);

    *ret_fresh = !err && added == 1;
    return err;
}

enum err oauth_caller_settle(struct http_request *req, struct oauth_caller *caller)
{
    bool active = false, fresh = true;
    enum err err = still_active(req->store, caller, &active);

    caller->why = NULL; /* the job may run again */
    if (!err && caller->is_recent && caller->is_stale)
        return ERR_CONFLICT; /* nothing is written yet: begin again with what it is now */
    if (!err && caller->shown == OAUTH_METHOD_PRIVATE_KEY)
        err = use_assertion(req->store, caller, &fresh);
    if (err)
        return err;
    if (!active)
        caller->why = "the client was disabled or changed meanwhile";
    else if (!fresh)
        caller->why = "the assertion was used before";
    return caller->why == NULL ? ERR_OK : ERR_OAUTH_INVALID_CLIENT;
}

static void count_failure(struct oauth *oauth, const struct oauth_caller *caller)
{
    struct span label = caller->found ? caller->client.client_id : SPAN_OF("unknown");

    metric_add(metric_series(oauth->failed_logins, &label, 1), 1);
}

enum err oauth_caller_refused(struct http_request *req, struct oauth_caller *caller)
{
    struct oauth *oauth = oauth_of(req);
    const struct trail_record record = {
        .event = TRAIL_CLIENT_REFUSED,
        .outcome = TRAIL_REFUSED,
        .at_ns = clock_realtime_ns(oauth->options.clock),
        .actor_kind = caller->found ? TRAIL_ACTOR_CLIENT : TRAIL_ACTOR_UNKNOWN,
        .actor = span_slice(caller->client_id, 0, ID_BYTES_MAX),
        .client_id = caller->found ? caller->client.client_id : (struct span){0},
        .address = req->address,
        .request_id = req->request_id,
        .reason = span_from(caller->why)};
    enum err err;

    if (!caller->charged) { /* once, though the job may run again */
        caller->charged = true;
        count_failure(oauth, caller);
        err = http_limit_failure(req);
        if (err)
            return err;
    }
    err = trail_add(req->store, &record);
    return err ? err : http_refuse(req, ERR_OAUTH_INVALID_CLIENT);
}
