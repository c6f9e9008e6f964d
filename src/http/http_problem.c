/* SPDX-License-Identifier: MIT
 * Every error leaves as application/problem+json (RFC 9457), made here and nowhere else. It never
 * repeats what the client sent. */
#include "http/http_priv.h"

#include "json/json_writer.h"

#define PROBLEM_TYPE "urn:portcullis:problem:"

struct problem_field {
    struct span field, message;
};

struct problem {
    struct span type, title, detail, instance, trace_id;
    int64_t status, retry_after;
    bool has_errors, has_retry_after;
    struct json_list errors;
};

static const struct json_field problem_field_fields[] = {
    {.name = "field",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct problem_field, field),
     .example = "email",
     .about = "The member that is not valid, as a path."},
    {.name = "message",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct problem_field, message),
     .example = "must be a valid e-mail address",
     .about = "What it must be."},
};

static const struct json_schema problem_field_schema = {.name = "FieldProblem",
                                                        .about = "One member that is not valid.",
                                                        .fields = problem_field_fields,
                                                        .field_count =
                                                            PC_COUNT(problem_field_fields),
                                                        .bytes = sizeof(struct problem_field)};

static const struct json_field problem_fields[] = {
    {.name = "type",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct problem, type),
     .example = "urn:portcullis:problem:validation-failed",
     .about = "Names the kind of problem."},
    {.name = "title",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct problem, title),
     .example = "One or more fields are not valid",
     .about = "The kind in words."},
    {.name = "status",
     .kind = JSON_KIND_I64,
     .min = 400,
     .max = 599,
     .offset = offsetof(struct problem, status),
     .example = "422",
     .about = "The HTTP status."},
    {.name = "detail",
     .kind = JSON_KIND_TEXT,
     .max = 1024,
     .offset = offsetof(struct problem, detail),
     .about = "What to do about it.",
     .example = "Correct the fields listed in errors."},
    {.name = "instance",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct problem, instance),
     .example = "urn:portcullis:request:0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d",
     .about = "Names this occurrence; ends in the X-Request-ID."},
    {.name = "traceId",
     .kind = JSON_KIND_TEXT,
     .max = 32,
     .offset = offsetof(struct problem, trace_id),
     .example = "4bf92f3577b34da6a3ce929d0e0e4736",
     .about = "The W3C trace id."},
    {.name = "errors",
     .kind = JSON_KIND_LIST,
     .max = JSON_PROBLEMS_MAX,
     .optional = true,
     .offset = offsetof(struct problem, errors),
     .has_offset = offsetof(struct problem, has_errors),
     .schema = &problem_field_schema,
     .about = "Of a 422: each member that is not valid."},
    {.name = "retry_after",
     .kind = JSON_KIND_I64,
     .max = INT64_C(1) << 40,
     .optional = true,
     .offset = offsetof(struct problem, retry_after),
     .has_offset = offsetof(struct problem, has_retry_after),
     .example = "12",
     .about = "Seconds to wait, as in Retry-After."},
};

const struct json_schema http_problem_schema = {.name = "Problem",
                                                .about = "What went wrong (RFC 9457).",
                                                .fields = problem_fields,
                                                .field_count = PC_COUNT(problem_fields),
                                                .bytes = sizeof(struct problem)};

void http_problem_example(enum err err, struct sbuf *out)
{
    static const struct problem_field wrong = {.field = SPAN("email"),
                                               .message = SPAN("must be a valid e-mail address")};
    char type[128];
    struct sbuf name = sbuf_over(type, sizeof(type));
    struct problem problem = {
        .title = span_from(err_sentence(err)),
        .detail = span_from(err == ERR_VALIDATION ? "Correct the fields listed in errors."
                                                  : err_sentence(err)),
        .instance = SPAN_OF("urn:portcullis:request:0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d"),
        .trace_id = SPAN_OF("4bf92f3577b34da6a3ce929d0e0e4736"),
        .status = err_status(err),
        .has_errors = err == ERR_VALIDATION,
        .errors = {.items = &wrong, .count = 1},
        .has_retry_after = err_status(err) == 429 || err_status(err) == 503,
        .retry_after = 12};

    sbuf_add_format(&name, PROBLEM_TYPE "%s", err_slug(err));
    problem.type = sbuf_span(&name);
    json_write(out, &http_problem_schema, &problem);
}

static struct span join(struct arena *arena, const char *prefix, struct span rest)
{
    struct sbuf out = sbuf_on(arena, 512);

    sbuf_add_text(&out, prefix);
    sbuf_add(&out, rest);
    return sbuf_span(&out);
}

/* What is to be listed, or NULL. */
static const struct json_problems *fields_of(const struct http_call *call)
{
    bool any = call->problems != NULL && call->problems->count > 0;
    bool told = err_status(call->err) == 422 ||
                (call->req.route != NULL && call->err == call->req.route->input_error);

    return any && told ? call->problems : NULL;
}

/* Where API keys are taken nobody is told of tokens. */
static bool by_key(const struct http_call *call)
{
    return call->req.route != NULL && call->req.route->access == HTTP_ACCESS_KEY;
}

static const char *title_of(const struct http_call *call)
{
    static const struct {
        enum err err;
        const char *title;
    } keyed[] = {{ERR_UNAUTHENTICATED, "An API key is required"},
                 {ERR_TOKEN_INVALID, "The API key is not valid"},
                 {ERR_TOKEN_EXPIRED, "The API key has expired"},
                 {ERR_TOKEN_REVOKED, "The API key has been revoked"},
                 {ERR_SCOPE, "The API key lacks a scope that this needs"}};

    for (size_t i = 0; by_key(call) && i < PC_COUNT(keyed); i++) {
        if (keyed[i].err == call->err)
            return keyed[i].title;
    }
    return err_sentence(call->err);
}

static const char *default_detail(const struct http_call *call, bool listed)
{
    enum err err = call->err;

    if (listed || err == ERR_VALIDATION)
        return "Correct the fields listed in errors.";
    if (err == ERR_UNAUTHENTICATED)
        return by_key(call) ? "Send an API key." : "Send \"Authorization: Bearer <access_token>\".";
    return title_of(call);
}

static void add_errors(struct http_call *call, struct problem *problem)
{
    const struct json_problems *problems = fields_of(call);
    struct problem_field *list;

    if (problems == NULL)
        return;
    list = arena_array(call->req.arena, problems->count, sizeof(*list));
    if (list == NULL)
        return;
    for (size_t i = 0; i < problems->count; i++) {
        list[i].field = problems->list[i].field;
        list[i].message = span_from(problems->list[i].message);
    }
    problem->errors = (struct json_list){.items = list, .count = problems->count};
    problem->has_errors = true;
}

/* The route's protocol has the last word on how it looks. */
static void let_route_change(struct http_call *call)
{
    struct http_problem problem = {.err = call->err,
                                   .detail = call->detail,
                                   .problems = fields_of(call),
                                   .status = call->status,
                                   .content_type = call->content_type,
                                   .body = call->reply_body};

    call->req.route->problem(&call->req, &problem);
    PC_ASSERT(problem.status >= 300 && problem.status < 600);
    call->status = problem.status;
    call->content_type = problem.content_type;
    call->reply_body = problem.body;
    if (call->extra.full) /* a cut line would swallow the next one */
        call->extra = (struct sbuf){0};
}

void http_problem_write(struct http_call *call)
{
    struct arena *arena = call->req.arena;
    struct problem problem = {
        .type = join(arena, PROBLEM_TYPE, span_from(err_slug(call->err))),
        .title = span_from(title_of(call)),
        .detail =
            span_from(call->detail ? call->detail : default_detail(call, fields_of(call) != NULL)),
        .instance = join(arena, "urn:portcullis:request:", call->req.request_id),
        .trace_id = call->req.trace_id,
        .status = err_status(call->err),
        .has_retry_after = call->retry_after_ns > 0,
        .retry_after = (call->retry_after_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S};
    struct sbuf out = sbuf_on(arena, 16 * 1024);

    add_errors(call, &problem);
    json_write(&out, &http_problem_schema, &problem);
    call->status = err_status(call->err);
    call->content_type = SPAN_OF("application/problem+json");
    call->reply_body = out.full ? SPAN_OF("{}") : sbuf_span(&out);
    if (call->req.route != NULL && call->req.route->problem != NULL)
        let_route_change(call);
}

void http_problem_settle(struct http_call *call)
{
    if (call->settled)
        return;
    if (call->retry_after_ns == 0 && err_status(call->err) == 503)
        call->retry_after_ns = CLOCK_NS_PER_S;
    http_problem_write(call);
    call->settled = true;
}
