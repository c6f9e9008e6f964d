/* SPDX-License-Identifier: MIT
 * The end of the journey: the header lines that every answer carries, in one buffer, and one call
 * to net/. Also the functions by which handlers say what the answer is. */
#include "http/http_priv.h"

/* The same for every answer: copied as one block. Contract, section 2. */
#define SECURITY_LINES_ALWAYS                                                                      \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "X-Frame-Options: DENY\r\n"                                                                    \
    "X-XSS-Protection: 1; mode=block\r\n"                                                          \
    "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n"                  \
    "Referrer-Policy: no-referrer\r\n"
#define PERMISSIONS_LINE "Permissions-Policy: camera=(), microphone=(), geolocation=()\r\n"
#define SECURITY_LINES   SECURITY_LINES_ALWAYS PERMISSIONS_LINE
#define API_POLICY       "default-src 'none'; frame-ancestors 'none'"
#define API_CACHE        "no-store"
#define POLICY_LINE      "Content-Security-Policy: " API_POLICY "\r\n"
#define CACHE_LINE       "Cache-Control: " API_CACHE "\r\n"
#define API_LINES        POLICY_LINE CACHE_LINE

/* Room for a Location as long as the longest target, and a few lines more. */
enum { EXTRA_BYTES_MAX = LIMIT_HTTP_TARGET_BYTES_MAX + 2048, BODY_BYTES_MAX = 1024 * 1024 };

void http_methods_add(struct sbuf *out, uint32_t methods)
{
    static const char *const names[NET_METHOD_COUNT] = {
        [NET_METHOD_GET] = "GET",        [NET_METHOD_HEAD] = "HEAD",
        [NET_METHOD_POST] = "POST",      [NET_METHOD_PUT] = "PUT",
        [NET_METHOD_PATCH] = "PATCH",    [NET_METHOD_DELETE] = "DELETE",
        [NET_METHOD_OPTIONS] = "OPTIONS"};
    bool first = true;

    for (size_t i = 0; i < NET_METHOD_COUNT; i++) {
        if (!(methods & (1U << i)) || names[i] == NULL)
            continue;
        sbuf_add_text(out, first ? "" : ", ");
        sbuf_add_text(out, names[i]);
        first = false;
    }
}

static void add_line(struct sbuf *out, const char *name, struct span value)
{
    sbuf_add_text(out, name);
    sbuf_add_lit(out, ": ");
    sbuf_add(out, value);
    sbuf_add_lit(out, "\r\n");
}

/* Seconds with six digits: "0.000123". */
static void add_seconds(struct sbuf *out, int64_t ns)
{
    uint64_t us = ns > 0 ? (uint64_t)ns / 1000 : 0;
    char digits[6];

    sbuf_add_u64(out, us / 1000000);
    sbuf_add_char(out, '.');
    us %= 1000000;
    for (size_t i = sizeof(digits); i-- > 0; us /= 10)
        digits[i] = (char)('0' + us % 10);
    sbuf_add_bytes(out, digits, sizeof(digits));
}

/* RFC 6750, 3: without a token no error code; with a bad one, why; with a weak one, what it lacks.
 * A route whose errors have a form of their own says it itself. */
static void add_challenge(const struct http_call *call, struct sbuf *out)
{
    const struct http_route *route = call->req.route;
    bool weak = call->err == ERR_SCOPE;

    if ((call->status != 401 && !weak) || (route != NULL && route->problem != NULL))
        return;
    if (route != NULL && route->access == HTTP_ACCESS_KEY) {
        sbuf_add_lit(out, "WWW-Authenticate: ApiKey realm=\"portcullis\"\r\n");
        return;
    }
    sbuf_add_lit(out, "WWW-Authenticate: Bearer realm=\"portcullis\"");
    if (call->err != ERR_UNAUTHENTICATED && call->err != ERR_CREDENTIALS)
        sbuf_add_format(out, ", error=\"%s\", error_description=\"%s\"",
                        weak ? "insufficient_scope" : "invalid_token", err_sentence(call->err));
    if (weak && route != NULL && route->scopes != NULL)
        sbuf_add_format(out, ", scope=\"%s\"", route->scopes);
    sbuf_add_lit(out, "\r\n");
}

static void add_retry(const struct http_call *call, struct sbuf *out)
{
    if (call->retry_after_ns <= 0)
        return;
    sbuf_add_lit(out, "Retry-After: ");
    sbuf_add_i64(out, (call->retry_after_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
    sbuf_add_lit(out, "\r\n");
}

static void add_breaker(const struct http_call *call, struct sbuf *out)
{
    const char *state = http_breaker_shown(call);

    if (state == NULL)
        return;
    sbuf_add_lit(out, "X-Circuit-Breaker-State: ");
    sbuf_add_text(out, state);
    sbuf_add_lit(out, "\r\n");
}

static void add_policy_lines(const struct http_call *call, struct sbuf *out)
{
    if (call->csp.len == 0 && call->cache_control.len == 0) {
        sbuf_add_lit(out, SECURITY_LINES API_LINES);
        return;
    }
    sbuf_add_lit(out, SECURITY_LINES);
    add_line(out, "Content-Security-Policy", call->csp.len ? call->csp : SPAN_OF(API_POLICY));
    add_line(out, "Cache-Control",
             call->cache_control.len ? call->cache_control : SPAN_OF(API_CACHE));
}

static struct sbuf head_begin(struct http_call *call)
{
    struct sbuf out = sbuf_on(call->req.arena, HTTP_REPLY_HEAD_BYTES_MAX);

    out.ptr = arena_bytes(call->req.arena, HTTP_REPLY_HEAD_BYTES);
    out.cap = out.ptr ? HTTP_REPLY_HEAD_BYTES : 0;
    return out;
}

/* What tells of this request, whoever answered it. */
static void add_journey_lines(struct http_call *call, int64_t took_ns, struct sbuf *out)
{
    add_line(out, "X-Request-ID", call->req.request_id);
    sbuf_add_lit(out, "X-Process-Time: ");
    add_seconds(out, took_ns);
    sbuf_add_lit(out, "\r\n");
    http_limit_headers(call, out);
    add_breaker(call, out);
}

static struct span reply_head(struct http_call *call, int64_t took_ns)
{
    struct sbuf out = head_begin(call);

    if (call->content_type.len > 0)
        add_line(&out, "Content-Type", call->content_type);
    add_line(&out, "Date", net_loop_http_date(call->lane->loop));
    add_policy_lines(call, &out);
    add_journey_lines(call, took_ns, &out);
    add_challenge(call, &out);
    add_retry(call, &out);
    http_cors_headers(call, &out);
    sbuf_add(&out, sbuf_span(&call->extra));
    return out.full ? SPAN_OF(SECURITY_LINES API_LINES) : sbuf_span(&out);
}

struct span http_passed_head(struct http_call *call, const struct http_passed *passed)
{
    int64_t now_ns = clock_monotonic_ns(call->lane->engine->options.clock);
    struct sbuf out = head_begin(call);

    sbuf_add(&out, passed->lines);
    if (!passed->has_date)
        add_line(&out, "Date", net_loop_http_date(call->lane->loop));
    sbuf_add_lit(&out, SECURITY_LINES_ALWAYS);
    if (!passed->has_permissions)
        sbuf_add_lit(&out, PERMISSIONS_LINE);
    if (!passed->has_policy)
        sbuf_add_lit(&out, POLICY_LINE);
    if (!passed->has_cache)
        sbuf_add_lit(&out, CACHE_LINE);
    add_journey_lines(call, now_ns - call->req.begun_ns, &out);
    http_cors_headers(call, &out);
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* A line that was cut off would swallow the next one, which tells where the body ends. */
static void drop_cut_lines(struct http_call *call)
{
    if (!call->extra.full)
        return;
    call->extra = (struct sbuf){0};
    if (call->err == ERR_OK)
        call->err = ERR_NO_SPACE;
}

/* A problem of the usual form needs no more than the API's policy; a page does. */
static void choose_policy(struct http_call *call)
{
    const struct http_route *route = call->req.route;
    bool usual = call->err != ERR_OK && (route == NULL || route->problem == NULL);

    if (call->err != ERR_OK)
        call->cache_control = (struct span){0};
    if (usual)
        call->csp = (struct span){0};
    else if (call->csp.len == 0 && route != NULL)
        call->csp = span_from(route->csp);
}

void http_call_answer(struct http_call *call)
{
    const struct clock *clock = call->lane->engine->options.clock;
    int64_t now_ns = clock_monotonic_ns(clock);
    int64_t took_ns = now_ns - call->req.begun_ns;
    struct net_reply reply;

    PC_ASSERT(!call->answered);
    call->answered = true;
    if (call->finally != NULL)
        call->finally(&call->req, call->err);
    drop_cut_lines(call);
    choose_policy(call);
    if (call->err != ERR_OK && !call->settled)
        http_problem_write(call);
    http_breaker_release(call, now_ns);
    reply = (struct net_reply){.status = call->status,
                               .head = reply_head(call, took_ns),
                               .body = call->reply_body,
                               .close = call->close};
    http_record(call, took_ns);
    net_reply(call->stream, &reply);
}

void http_passed_over(struct http_call *call)
{
    int64_t now_ns = clock_monotonic_ns(call->lane->engine->options.clock);

    PC_ASSERT(call->answered);
    http_breaker_release(call, now_ns);
    http_record(call, now_ns - call->req.begun_ns);
}

/* What we send is ours to keep well-formed: no text may open a line of its own. */
static void assert_one_line(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        PC_ASSERT((unsigned char)value.ptr[i] >= 0x20 && value.ptr[i] != 0x7F);
}

void http_reply_header(struct http_request *req, const char *name, struct span value)
{
    struct http_call *call = http_call_of(req);

    assert_one_line(value);
    if (call->extra.arena == NULL)
        call->extra = sbuf_on(req->arena, EXTRA_BYTES_MAX);
    add_line(&call->extra, name, value);
}

void http_reply_csp(struct http_request *req, struct span csp)
{
    assert_one_line(csp);
    http_call_of(req)->csp = csp;
}

void http_reply_cache(struct http_request *req, struct span cache_control)
{
    assert_one_line(cache_control);
    http_call_of(req)->cache_control = cache_control;
}

enum err http_reply_redirect(struct http_request *req, int status, struct span location)
{
    PC_ASSERT((status == 302 || status == 303) && location.len > 0);
    http_reply_header(req, "Location", location);
    return http_reply_empty(req, status);
}

enum err http_reply_json(struct http_request *req, int status, const struct json_schema *schema,
                         const void *value)
{
    struct http_call *call = http_call_of(req);
    struct sbuf out = sbuf_on(req->arena, BODY_BYTES_MAX);

    json_write(&out, schema, value);
    if (out.full)
        return ERR_NO_SPACE;
    call->status = status;
    call->content_type = SPAN_OF("application/json");
    call->reply_body = sbuf_span(&out);
    return ERR_OK;
}

enum err http_reply(struct http_request *req, const void *value)
{
    int status = req->route->reply_status ? req->route->reply_status : 200;

    PC_ASSERT(req->route->reply != NULL);
    return http_reply_json(req, status, req->route->reply, value);
}

enum err http_reply_list(struct http_request *req, struct json_list list)
{
    const struct json_schema *schema = req->route->reply;
    int status = req->route->reply_status ? req->route->reply_status : 200;
    struct sbuf out = sbuf_on(req->arena, BODY_BYTES_MAX);

    PC_ASSERT(schema != NULL && req->route->reply_is_list);
    sbuf_add_char(&out, '[');
    for (size_t i = 0; i < list.count; i++) {
        if (i > 0)
            sbuf_add_char(&out, ',');
        json_write(&out, schema, (const char *)list.items + i * schema->bytes);
    }
    sbuf_add_char(&out, ']');
    if (out.full)
        return ERR_NO_SPACE;
    return http_reply_text(req, status, "application/json", sbuf_span(&out));
}

enum err http_reply_text(struct http_request *req, int status, const char *content_type,
                         struct span body)
{
    struct http_call *call = http_call_of(req);

    call->status = status;
    call->content_type = span_from(content_type);
    call->reply_body = body;
    return ERR_OK;
}

enum err http_reply_empty(struct http_request *req, int status)
{
    return http_reply_text(req, status, NULL, (struct span){0});
}

enum err http_fail(struct http_request *req, enum err err, const char *detail)
{
    http_call_of(req)->detail = detail;
    return err;
}

enum err http_fail_field(struct http_request *req, const char *field, const char *message)
{
    struct json_problems *problems = http_problems(http_call_of(req));

    if (problems == NULL)
        return ERR_NO_MEMORY;
    return json_problem_add(problems, span_from(field), message);
}

enum err http_fail_retry(struct http_request *req, enum err err, int64_t after_ns)
{
    http_call_of(req)->retry_after_ns = after_ns > 0 ? after_ns : 1;
    return err;
}

enum err http_refuse(struct http_request *req, enum err err)
{
    struct http_call *call = http_call_of(req);

    PC_ASSERT(err != ERR_OK);
    call->err = err;
    call->status = err_status(err);
    return ERR_OK;
}

void http_finally(struct http_request *req, http_finally_fn *finally)
{
    http_call_of(req)->finally = finally;
}

void http_answer_bare(struct net_stream *stream, int status)
{
    struct net_reply reply = {.status = status,
                              .head = SPAN("Cache-Control: no-store\r\n"
                                           "X-Content-Type-Options: nosniff\r\n"),
                              .close = true};

    net_reply(stream, &reply);
}
