/* SPDX-License-Identifier: MIT
 * How errors leave the token endpoint and its neighbours: RFC 6749, 5.2. Being limited and our own
 * faults keep the usual problem, which a client of any protocol understands by its status. Every
 * answer says "no-store" unless a handler says otherwise, so these do as well. */
#include "oauth/oauth_priv.h"

enum { BODY_BYTES_MAX = 2048 };

static const struct {
    enum err err;
    int status;
    const char *error;
} rows[] = {
    {ERR_OAUTH_INVALID_REQUEST, 400, "invalid_request"},
    {ERR_OAUTH_INVALID_CLIENT, 401, "invalid_client"},
    {ERR_UNAUTHENTICATED, 401, "invalid_client"},
    {ERR_OAUTH_INVALID_GRANT, 400, "invalid_grant"},
    {ERR_CREDENTIALS, 400, "invalid_grant"},
    {ERR_INACTIVE, 400, "invalid_grant"},
    {ERR_TOKEN_INVALID, 400, "invalid_grant"},
    {ERR_TOKEN_EXPIRED, 400, "invalid_grant"},
    {ERR_TOKEN_REVOKED, 400, "invalid_grant"},
    {ERR_TOKEN_KIND, 400, "invalid_grant"},
    {ERR_TOKEN_BOUND, 400, "invalid_grant"},
    {ERR_OAUTH_UNAUTHORIZED_CLIENT, 400, "unauthorized_client"},
    {ERR_FORBIDDEN, 400, "unauthorized_client"},
    {ERR_OAUTH_UNSUPPORTED_GRANT, 400, "unsupported_grant_type"},
    {ERR_OAUTH_INVALID_SCOPE, 400, "invalid_scope"},
    {ERR_SCOPE, 400, "invalid_scope"},
    {ERR_VALIDATION, 400, "invalid_request"},
    {ERR_BODY_TOO_LARGE, 400, "invalid_request"},
    {ERR_LENGTH_REQUIRED, 400, "invalid_request"},
    {ERR_MEDIA_TYPE, 400, "invalid_request"},
    {ERR_EXPECTATION, 400, "invalid_request"},
};

/* Only what error_description may hold (%x20-21 / %x23-5B / %x5D-7E), in place of the rest. */
static void add_safe(struct sbuf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '"' || c == '\\')
            c = '\'';
        sbuf_add_char(out, c >= ' ' && c < 0x7F ? c : '?');
    }
}

/* "grant_type is required; scope must be ..."; else the detail, else the error's sentence. */
static struct span describe(const struct http_problem *problem, struct arena *arena)
{
    const struct json_problems *problems = problem->problems;
    struct sbuf out = sbuf_on(arena, BODY_BYTES_MAX / 2);

    for (size_t i = 0; problems != NULL && i < problems->count; i++) {
        if (i > 0)
            sbuf_add_lit(&out, "; ");
        add_safe(&out, problems->list[i].field);
        sbuf_add_char(&out, ' ');
        add_safe(&out, span_from(problems->list[i].message));
    }
    if (out.len == 0 || out.full) {
        sbuf_truncate(&out, 0);
        add_safe(&out, span_from(problem->detail ? problem->detail : err_sentence(problem->err)));
    }
    return sbuf_span(&out);
}

/* The status and word for an error; whatever else a request got wrong is invalid_request. */
static const char *word_of(enum err err, int *status)
{
    for (size_t i = 0; i < PC_COUNT(rows); i++)
        if (rows[i].err == err) {
            *status = rows[i].status;
            return rows[i].error;
        }
    return "invalid_request";
}

struct problem_text {
    struct span error, error_description;
};
static const char *const words[] = {"invalid_request",
                                    "invalid_client",
                                    "invalid_grant",
                                    "unauthorized_client",
                                    "unsupported_grant_type",
                                    "invalid_scope",
                                    NULL};
static const struct json_field problem_fields[] = {
    {.name = "error",
     .kind = JSON_KIND_TEXT,
     .choices = words,
     .offset = offsetof(struct problem_text, error),
     .about = "What is wrong, in RFC 6749's words."},
    {.name = "error_description",
     .kind = JSON_KIND_TEXT,
     .max = BODY_BYTES_MAX / 2,
     .offset = offsetof(struct problem_text, error_description),
     .example = "grant_type is required",
     .about = "The same in ours."},
};
const struct json_schema oauth_problem_schema = {.name = "OAuthError",
                                                 .about = "Refused as RFC 6749, 5.2 has it.",
                                                 .fields = problem_fields,
                                                 .field_count = PC_COUNT(problem_fields),
                                                 .bytes = sizeof(struct problem_text)};

void oauth_problem(struct http_request *req, struct http_problem *problem)
{
    struct sbuf out = sbuf_on(req->arena, BODY_BYTES_MAX);
    struct problem_text text;
    int status = problem->status;

    if (status == 429 || status >= 500)
        return;
    text = (struct problem_text){.error = span_from(word_of(problem->err, &status)),
                                 .error_description = describe(problem, req->arena)};
    json_write(&out, &oauth_problem_schema, &text);
    if (out.full)
        return;
    problem->status = status;
    problem->content_type = SPAN_OF("application/json");
    problem->body = sbuf_span(&out);
    /* RFC 9110, 15.5.2: a 401 says how to do better; Basic is what every client may know. */
    if (status == 401)
        http_reply_header(req, "WWW-Authenticate", SPAN_OF("Basic realm=\"portcullis\""));
}
