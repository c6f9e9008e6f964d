/* SPDX-License-Identifier: MIT
 * What every listener answers besides its own routes: is it alive, is it ready, its metrics, and
 * its documents (the OpenAPI text in JSON and YAML, Swagger UI and ReDoc). */
#include "http/http_priv.h"

#include "base/hash.h"

enum { DOCUMENT_BYTES_MAX = 2 * 1024 * 1024, METRICS_BYTES_MAX = 3 * 1024 * 1024 };

struct health {
    struct span status;
};

static const struct json_field health_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 16,
     .offset = offsetof(struct health, status),
     .about = "In one word.",
     .example = "ready"},
};
static const struct json_schema health_schema = {.name = "Status",
                                                 .about = "How this process is.",
                                                 .fields = health_fields,
                                                 .field_count = PC_COUNT(health_fields),
                                                 .bytes = sizeof(struct health)};

static enum err livez(struct http_request *req)
{
    struct health health = {.status = SPAN("alive")};

    return http_reply(req, &health);
}

static enum err readyz(struct http_request *req)
{
    struct store *store = http_engine_of(req)->options.store;
    struct health health = {.status = SPAN("ready")};
    enum err err = store ? store_ready(store) : ERR_OK;

    if (atomic_load_explicit(&http_engine_of(req)->leaving, memory_order_relaxed))
        return http_fail_retry(req, ERR_DRAINING, CLOCK_NS_PER_S);
    if (err != ERR_OK)
        return http_fail_retry(req, ERR_STORE_UNAVAILABLE, CLOCK_NS_PER_S);
    return http_reply(req, &health);
}

static enum err metrics(struct http_request *req)
{
    struct sbuf out = sbuf_on(req->arena, METRICS_BYTES_MAX);

    if (http_engine_of(req)->options.metrics != NULL)
        metric_render(http_engine_of(req)->options.metrics, &out);
    if (out.full)
        return ERR_NO_SPACE;
    return http_reply_text(req, 200, METRIC_CONTENT_TYPE, sbuf_span(&out));
}

/* RFC 9110, 13.1.2; a list of tags is searched as text, which weak tags pass too. */
static bool none_match(const struct http_call *call, struct span etag)
{
    struct span header = call->known.if_none_match;

    if (span_is(header, "*"))
        return true;
    for (size_t i = 0; etag.len > 0 && i + etag.len <= header.len; i++) {
        if (span_starts(span_slice(header, i, header.len), etag))
            return true;
    }
    return false;
}

static enum err serve_document(struct http_request *req, const char *type, struct span text)
{
    struct http_call *call = http_call_of(req);
    struct span etag = span_from(req->service->etag);

    call->cache_control = web_cache_page;
    http_reply_header(req, "ETag", etag);
    if (none_match(call, etag))
        return http_reply_empty(req, 304);
    return http_reply_text(req, 200, type, text);
}

static enum err openapi_json(struct http_request *req)
{
    return serve_document(req, "application/json", req->service->openapi_json);
}

static enum err openapi_yaml(struct http_request *req)
{
    return serve_document(req, "application/yaml", req->service->openapi_yaml);
}

/* "gzip" listed without "q=0". RFC 9110, 12.5.3. */
static bool takes_gzip(struct span accept)
{
    struct span part;

    while (span_cut(&accept, ',', &part)) {
        size_t semicolon = span_find(part, ';');
        struct span name = span_trim(span_slice(part, 0, semicolon));
        struct span weight = span_trim(span_slice(part, semicolon + 1, part.len));

        if (span_is_nocase(name, "gzip"))
            return !span_is(weight, "q=0") && !span_starts(weight, SPAN_OF("q=0.0"));
    }
    return false;
}

enum err http_reply_asset(struct http_request *req, const struct web_asset *file)
{
    struct http_call *call = http_call_of(req);
    bool gzip = file->gzip.len > 0 && takes_gzip(call->known.accept_encoding);
    struct span etag = gzip ? file->etag_gzip : file->etag;

    call->csp = file->csp;
    call->cache_control = file->immutable ? web_cache_immutable : web_cache_page;
    http_reply_header(req, "ETag", etag);
    if (file->gzip.len > 0)
        http_reply_header(req, "Vary", SPAN_OF("Accept-Encoding"));
    if (none_match(call, etag))
        return http_reply_empty(req, 304);
    if (gzip)
        http_reply_header(req, "Content-Encoding", SPAN_OF("gzip"));
    call->status = 200;
    call->content_type = file->content_type;
    call->reply_body = gzip ? file->gzip : file->identity;
    return ERR_OK;
}

static enum err asset(struct http_request *req)
{
    struct http_call *call = http_call_of(req);
    enum err err = http_reply_asset(req, call->state->asset);

    if (span_is(call->state->asset->path, "docs"))
        call->csp = req->service->docs_csp;
    return err;
}

const struct http_route http_builtin_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/livez",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply = &health_schema,
     .handle = livez,
     .id = "livez",
     .tag = "Operations",
     .summary = "Is the process alive?"},
    {.method = NET_METHOD_GET,
     .path = "/readyz",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .reply = &health_schema,
     .handle = readyz,
     .id = "readyz",
     .tag = "Operations",
     .summary = "Can it serve requests?",
     .about = "Ready means that its store answers.",
     .errors = {ERR_STORE_UNAVAILABLE}},
    {.method = NET_METHOD_GET,
     .path = "/metrics",
     .access = HTTP_ACCESS_NETWORK,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_INTERNAL,
     .run = HTTP_RUN_HASH,
     .handle = metrics,
     .id = "metrics",
     .tag = "Operations",
     .summary = "Counters for Prometheus",
     .hidden = true},
    {.path = NULL},
};

/* Below the listener's docs_base. */
const struct http_route http_builtin_documents[] = {
    {.method = NET_METHOD_GET,
     .path = "openapi.json",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .handle = openapi_json,
     .id = "openapi_json",
     .hidden = true},
    {.method = NET_METHOD_GET,
     .path = "openapi.yaml",
     .access = HTTP_ACCESS_OPEN,
     .rate = HTTP_RATE_EXEMPT,
     .guard = HTTP_GUARD_NONE,
     .data = HTTP_DATA_PUBLIC,
     .handle = openapi_yaml,
     .id = "openapi_yaml",
     .hidden = true},
    {.path = NULL},
};

/* One for each file of the pages. */
const struct http_route http_builtin_asset = {.method = NET_METHOD_GET,
                                              .access = HTTP_ACCESS_OPEN,
                                              .rate = HTTP_RATE_EXEMPT,
                                              .guard = HTTP_GUARD_NONE,
                                              .data = HTTP_DATA_PUBLIC,
                                              .handle = asset,
                                              .id = "asset",
                                              .hidden = true};

/* "https://auth.example:8001" of a whole address; the empty span of a relative or odd one. */
static struct span origin_of(struct span url)
{
    static const struct span schemes[] = {SPAN("https://"), SPAN("http://")};

    for (size_t i = 0; i < PC_COUNT(schemes); i++) {
        struct span rest = span_slice(url, schemes[i].len, url.len);
        struct span host = span_slice(rest, 0, span_find(rest, '/'));

        if (span_starts(url, schemes[i]) && http_host_is_valid(host))
            return span_slice(url, 0, schemes[i].len + host.len);
    }
    return (struct span){0};
}

/* The page asks the issuer for a token by script, so its policy must know an issuer elsewhere. */
static enum err make_docs_policy(struct http_service *service)
{
    static const struct span self = SPAN("connect-src 'self'");
    const struct web_asset *page = web_find(SPAN_OF("docs"));
    struct span origin = origin_of(span_from(service->options.oauth_token_url));
    struct span csp = page != NULL ? page->csp : (struct span){0};
    struct sbuf out = sbuf_on(&service->arena, 1024);
    size_t at = 0;

    while (at < csp.len && !span_starts(span_slice(csp, at, csp.len), self))
        at++;
    service->docs_csp = csp;
    if (at == csp.len || origin.len == 0)
        return ERR_OK;
    sbuf_add(&out, span_slice(csp, 0, at + self.len));
    sbuf_add_char(&out, ' ');
    sbuf_add(&out, origin);
    sbuf_add(&out, span_slice(csp, at + self.len, csp.len));
    return sbuf_finish(&out, &service->docs_csp);
}

enum err http_builtin_render(struct http_service *service)
{
    struct sbuf json = sbuf_on(&service->arena, DOCUMENT_BYTES_MAX);
    struct sbuf yaml = sbuf_on(&service->arena, DOCUMENT_BYTES_MAX);
    struct hash_key key = {.k0 = 1, .k1 = 2}; /* the same text has the same tag on every node */
    struct sbuf etag = sbuf_over(service->etag, sizeof(service->etag) - 1);
    uint64_t hash;
    enum err err;

    err = http_openapi_write(&service->options, &json);
    if (err)
        return err;
    service->openapi_json = sbuf_span(&json);
    err = http_openapi_yaml(service->openapi_json, &service->arena, &yaml);
    if (err)
        return err;
    service->openapi_yaml = sbuf_span(&yaml);
    hash = hash_span(&key, service->openapi_json);
    sbuf_add_char(&etag, '"');
    sbuf_add_hex(&etag, &hash, sizeof(hash));
    sbuf_add_char(&etag, '"');
    return make_docs_policy(service);
}
