/* SPDX-License-Identifier: MIT
 * The security part of the OpenAPI document: what a row asks of who calls it, and the schemes by
 * which the documentation pages (and generated clients) get it. */
#include "http/http_priv.h"

#include "json/json_writer.h"

static bool takes_token(const struct http_route *route)
{
    return route->access == HTTP_ACCESS_BEARER || route->access == HTTP_ACCESS_ADMIN;
}

static bool has_oauth(const struct http_service_options *options)
{
    return options->oauth_authorize_url != NULL && options->oauth_token_url != NULL;
}

/* Tokens of the OAuth issuer come in here, and the document says how to get one. */
static bool takes_oauth(const struct http_service_options *options, const struct http_route *route)
{
    return has_oauth(options) && takes_token(route) &&
           (route->tokens != HTTP_TOKENS_BY_SCOPE || route->scopes != NULL);
}

/* A certificate is asked for beside it, not in its place. */
static void add_requirement(struct json_writer *w, const char *scheme, const char *scopes,
                            bool certificate)
{
    struct span rest = span_from(scopes);
    struct span scope;

    json_begin_object(w);
    json_key(w, scheme);
    json_begin_list(w);
    while (rest.len > 0 && span_cut(&rest, ' ', &scope))
        json_text(w, scope);
    json_end_list(w);
    if (certificate) {
        json_key(w, "mutualTLS");
        json_begin_list(w);
        json_end_list(w);
    }
    json_end_object(w);
}

/* Any one of what is listed is enough. */
void http_openapi_requirements(struct json_writer *w, const struct http_service_options *options,
                               const struct http_route *route)
{
    bool oauth = takes_oauth(options, route);

    json_key(w, "security");
    json_begin_list(w);
    /* Scopes are OAuth's; where it is not offered, they are told here. */
    if (takes_token(route) && !(oauth && route->tokens == HTTP_TOKENS_ISSUED))
        add_requirement(w, "bearerAuth", oauth ? NULL : route->scopes, route->certificate);
    if (oauth)
        add_requirement(w, "oauth2", route->scopes, route->certificate);
    if (!takes_token(route) && route->rate == HTTP_RATE_CLIENT) {
        add_requirement(w, "clientBasic", NULL, false);
        json_begin_object(w); /* or by what the body holds */
        json_end_object(w);
    }
    json_end_list(w);
}

static void add_list(struct json_writer *w, const char *key, const char *names)
{
    struct span rest = span_from(names);
    struct span name;

    json_key(w, key);
    json_begin_list(w);
    while (rest.len > 0 && span_cut(&rest, ' ', &name))
        json_text(w, name);
    json_end_list(w);
}

/* What OpenAPI has no word for: whom the row lets in, and by which roles. */
void http_openapi_access(struct json_writer *w, const struct http_route *route)
{
    static const char *const words[] = {
        [HTTP_ACCESS_DENIED] = "nobody",   [HTTP_ACCESS_OPEN] = "open",
        [HTTP_ACCESS_NETWORK] = "network", [HTTP_ACCESS_BEARER] = "bearer",
        [HTTP_ACCESS_ADMIN] = "admin",     [HTTP_ACCESS_KEY] = "api_key"};
    bool client = route->rate == HTTP_RATE_CLIENT && !takes_token(route);

    json_add_text(w, "x-access", span_from(client ? "client" : words[route->access]));
    if (route->roles != NULL)
        add_list(w, "x-roles", route->roles);
}

/* "`a`, `b`" */
static void add_names(struct sbuf *out, const char *names)
{
    struct span rest = span_from(names);
    struct span name;
    bool first = true;

    while (rest.len > 0 && span_cut(&rest, ' ', &name)) {
        sbuf_add_format(out, "%s`%.*s`", first ? "" : ", ", SPAN_ARG(name));
        first = false;
    }
}

static const char *const who[] = {
    [HTTP_ACCESS_DENIED] = "Closed to everybody.",
    [HTTP_ACCESS_OPEN] = "Open to everybody.",
    [HTTP_ACCESS_NETWORK] = "For addresses of the allow-list.",
    [HTTP_ACCESS_BEARER] = "Needs a token.",
    [HTTP_ACCESS_ADMIN] = "Needs the token of an administrator.",
    [HTTP_ACCESS_KEY] = "Needs an API key.",
};

void http_openapi_protection(struct sbuf *out, const struct http_route *route)
{
    if (route->scopes != NULL) {
        sbuf_add_lit(out, "Needs a token with ");
        add_names(out, route->scopes);
        sbuf_add_text(out, route->access == HTTP_ACCESS_ADMIN ? ", of an administrator." : ".");
    } else if (route->rate == HTTP_RATE_CLIENT && !takes_token(route)) {
        sbuf_add_lit(out, "Clients authenticate themselves.");
    } else {
        sbuf_add_text(out, who[route->access]);
    }
    if (route->roles != NULL) {
        sbuf_add_lit(out, " Needs one of the roles ");
        add_names(out, route->roles);
        sbuf_add_char(out, '.');
    }
    if (route->certificate)
        sbuf_add_lit(out, " Needs a verified client certificate.");
    if (route->rate != HTTP_RATE_EXEMPT && route->per_minute > 0)
        sbuf_add_format(out, " By default %u requests a minute.", route->per_minute);
}

/* Every scope that a shown row names, in the order in which they appear. */
struct scopes {
    struct span list[HTTP_NAMES_MAX];
    size_t count;
    bool clients; /* a row at which clients authenticate themselves is shown */
    bool certificates;
};

static void collect(struct scopes *scopes, const struct http_route *route)
{
    struct span rest = span_from(route->scopes);
    struct span scope;

    scopes->certificates = scopes->certificates || route->certificate;
    scopes->clients = scopes->clients || route->rate == HTTP_RATE_CLIENT;
    while (rest.len > 0 && span_cut(&rest, ' ', &scope)) {
        size_t i = 0;

        while (i < scopes->count && !span_equal(scopes->list[i], scope))
            i++;
        if (i == scopes->count && i < HTTP_NAMES_MAX)
            scopes->list[scopes->count++] = scope;
    }
}

static void add_oauth(struct json_writer *w, const struct http_service_options *options,
                      const struct scopes *scopes)
{
    json_key(w, "oauth2");
    json_begin_object(w);
    json_add_text(w, "type", SPAN_OF("oauth2"));
    json_add_text(w, "description", SPAN_OF("Sign in: authorization code with PKCE (S256)."));
    if (options->oauth_client_id != NULL)
        json_add_text(w, "x-client-id", span_from(options->oauth_client_id));
    json_key(w, "flows");
    json_begin_object(w);
    json_key(w, "authorizationCode");
    json_begin_object(w);
    json_add_text(w, "authorizationUrl", span_from(options->oauth_authorize_url));
    json_add_text(w, "tokenUrl", span_from(options->oauth_token_url));
    json_key(w, "scopes");
    json_begin_object(w);
    for (size_t i = 0; i < scopes->count; i++) {
        struct span about = {0};

        if (options->oauth_scope_about != NULL)
            about = span_from(options->oauth_scope_about(scopes->list[i]));
        json_key_span(w, scopes->list[i]);
        json_text(w, about);
    }
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
    json_end_object(w);
}

static void add_http(struct json_writer *w, const char *name, const char *scheme, const char *about)
{
    json_key(w, name);
    json_begin_object(w);
    json_add_text(w, "type", SPAN_OF("http"));
    json_add_text(w, "scheme", span_from(scheme));
    if (span_is(span_from(scheme), "bearer"))
        json_add_text(w, "bearerFormat", SPAN_OF("JWT"));
    json_add_text(w, "description", span_from(about));
    json_end_object(w);
}

static void add_mutual(struct json_writer *w)
{
    json_key(w, "mutualTLS");
    json_begin_object(w);
    json_add_text(w, "type", SPAN_OF("mutualTLS"));
    json_add_text(w, "description",
                  SPAN_OF("A client certificate of the authority that the listener trusts."));
    json_end_object(w);
}

void http_openapi_schemes(struct json_writer *w, const struct http_service_options *options)
{
    struct scopes scopes = {0};

    for (size_t i = 0; i < options->mount_count; i++) {
        for (const struct http_route *row = options->mounts[i].rows; row->path != NULL; row++) {
            if (!row->hidden)
                collect(&scopes, row);
        }
    }
    json_key(w, "securitySchemes");
    json_begin_object(w);
    add_http(w, "bearerAuth", "bearer", "The access_token of a token pair.");
    if (has_oauth(options))
        add_oauth(w, options, &scopes);
    if (scopes.clients)
        add_http(w, "clientBasic", "basic",
                 "client_id and client_secret, each percent-encoded (RFC 6749, 2.3.1).");
    if (scopes.certificates)
        add_mutual(w);
    json_end_object(w);
}
