/* SPDX-License-Identifier: MIT
 * What the API document says of answers: success as the row has it; every refusal that the journey
 * or the handler may give, with its reason codes. Refusals that are alike stand once, among the
 * components, and so does the example of each code. */
#include "http/http_openapi_priv.h"

static const struct {
    const char *name, *type, *about;
} headers[HTTP_DOCUMENT_HEADER_COUNT] = {
    [HTTP_DOCUMENT_REQUEST_ID] = {"X-Request-ID", "string", "Names this request in our logs."},
    [HTTP_DOCUMENT_PROCESS_TIME] = {"X-Process-Time", "number",
                                    "Seconds from the first byte to the answer."},
    [HTTP_DOCUMENT_LIMIT] = {"X-RateLimit-Limit", "integer", "Requests a full bucket holds."},
    [HTTP_DOCUMENT_REMAINING] = {"X-RateLimit-Remaining", "integer", "Requests left right now."},
    [HTTP_DOCUMENT_RESET] = {"X-RateLimit-Reset", "integer",
                             "Epoch second at which the bucket is full again."},
    [HTTP_DOCUMENT_BREAKER] = {"X-Circuit-Breaker-State", "string", "closed, open or half_open."},
    [HTTP_DOCUMENT_LOCATION] = {"Location", "string", "Where it goes on."},
    [HTTP_DOCUMENT_REPLAYED] = {"Idempotency-Replayed", "string",
                                "true: this request was done before, and this is what was "
                                "answered then."},
    [HTTP_DOCUMENT_AUTHENTICATE] = {"WWW-Authenticate", "string",
                                    "How to authenticate (RFC 6750)."},
    [HTTP_DOCUMENT_RETRY] = {"Retry-After", "integer", "Seconds to wait before the next try."},
};

/* ---- references -------------------------------------------------------------------------------
 */

static void add_ref(struct http_document *doc, const char *kind, const char *name)
{
    char text[160];
    struct sbuf ref = sbuf_over(text, sizeof(text));

    sbuf_add_format(&ref, "#/components/%s/%s", kind, name);
    PC_ASSERT(!ref.full);
    json_add_text(&doc->w, "$ref", sbuf_span(&ref));
}

static void add_headers(struct http_document *doc, uint32_t set)
{
    http_document_begin(doc, "headers");
    for (uint32_t i = 0; i < HTTP_DOCUMENT_HEADER_COUNT; i++) {
        if ((set >> i & 1) == 0)
            continue;
        http_document_begin(doc, headers[i].name);
        add_ref(doc, "headers", headers[i].name);
        http_document_end(doc);
    }
    http_document_end(doc);
    doc->headers |= set;
}

static uint32_t reply_headers(const struct http_route *route, int status)
{
    uint32_t set = 1U << HTTP_DOCUMENT_REQUEST_ID | 1U << HTTP_DOCUMENT_PROCESS_TIME;

    if (route->rate != HTTP_RATE_EXEMPT)
        set |=
            1U << HTTP_DOCUMENT_LIMIT | 1U << HTTP_DOCUMENT_REMAINING | 1U << HTTP_DOCUMENT_RESET;
    if (route->guard == HTTP_GUARD_BREAKER)
        set |= 1U << HTTP_DOCUMENT_BREAKER;
    if (status == 302 || status == 303)
        set |= 1U << HTTP_DOCUMENT_LOCATION;
    if (route->keyed && status < 500 && status != 401 && status != 429)
        set |= 1U << HTTP_DOCUMENT_REPLAYED;
    if (status == 401 || (status == 403 && route->scopes != NULL))
        set |= 1U << HTTP_DOCUMENT_AUTHENTICATE;
    if (status == 429 || status == 503 || (route->keyed && status == 409))
        set |= 1U << HTTP_DOCUMENT_RETRY;
    return set;
}

/* ---- success ----------------------------------------------------------------------------------
 */

static void begin_status(struct http_document *doc, int status)
{
    char text[8];
    struct sbuf key = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&key, status);
    json_key_span(&doc->w, sbuf_span(&key));
    json_begin_object(&doc->w);
}

static void add_redirect(struct http_document *doc, const struct http_route *route)
{
    begin_status(doc, route->reply_status);
    http_document_text(doc, "description", "Goes on at Location.");
    add_headers(doc, reply_headers(route, route->reply_status));
    http_document_end(doc);
}

static void add_content(struct http_document *doc, const struct http_route *route)
{
    PC_ASSERT(!route->reply_is_list || route->reply != NULL); /* a list says of what */
    http_document_begin(doc, "content");
    if (route->reply_is_list)
        http_document_list(doc, "application/json", route->reply);
    else
        http_document_media(doc, route->reply != NULL ? "application/json" : route->reply_type,
                            route->reply, HTTP_DOCUMENT_TOLD);
    if (route->reply_other != NULL)
        http_document_media(doc, route->reply_other, NULL, HTTP_DOCUMENT_TOLD);
    http_document_end(doc);
}

/* A page that leads elsewhere is shown again until it does. */
static void add_success(struct http_document *doc, const struct http_route *route)
{
    int status = route->reply_status ? route->reply_status : 200;
    bool redirect = status >= 300;
    bool body = route->reply != NULL || route->reply_type != NULL;

    if (!redirect || body) {
        begin_status(doc, redirect ? 200 : status);
        http_document_text(doc, "description",
                           route->reply && route->reply->about ? route->reply->about : "Done.");
        add_headers(doc, reply_headers(route, redirect ? 200 : status));
        if (body)
            add_content(doc, route);
        http_document_end(doc);
    }
    if (redirect)
        add_redirect(doc, route);
}

/* ---- refusals ---------------------------------------------------------------------------------
 * What each stop of the journey may say, and whom it concerns. Rows of one kind that may be refused
 * for an error are told so by this table; the handler's own stand in the row. */

enum concern {
    CONCERN_EVERY,
    CONCERN_SECRET,  /* needs a token */
    CONCERN_SCOPED,  /* the token needs scopes */
    CONCERN_RIGHTS,  /* an administrator's, some roles', or a session with scopes */
    CONCERN_CERT,    /* needs a certificate */
    CONCERN_LIMITED, /* has a rate */
    CONCERN_GUARDED, /* has a breaker */
    CONCERN_STORE,   /* reads or writes, be it only who calls */
    CONCERN_INPUT,   /* has parameters or a body in the usual form */
    CONCERN_BODY,    /* has a body in the usual form */
    CONCERN_JSON,    /* may have a body in JSON */
    CONCERN_KEYED,   /* takes an Idempotency-Key */
    CONCERN_BEHIND,  /* goes on to another process */
    CONCERN_COUNT
};

static const struct {
    enum concern concern;
    enum err err;
} journey[] = {
    {CONCERN_EVERY, ERR_BAD_REQUEST},
    {CONCERN_EVERY, ERR_BAD_PATH},
    {CONCERN_EVERY, ERR_BAD_HOST},
    {CONCERN_EVERY, ERR_BAD_FRAMING},
    {CONCERN_EVERY, ERR_BAD_QUERY},
    {CONCERN_EVERY, ERR_INTERNAL},
    {CONCERN_EVERY, ERR_NO_MEMORY},
    {CONCERN_EVERY, ERR_DRAINING},
    {CONCERN_EVERY, ERR_BUSY},
    {CONCERN_SECRET, ERR_UNAUTHENTICATED},
    {CONCERN_SECRET, ERR_TOKEN_INVALID},
    {CONCERN_SECRET, ERR_TOKEN_EXPIRED},
    {CONCERN_SECRET, ERR_TOKEN_REVOKED},
    {CONCERN_SECRET, ERR_TOKEN_BOUND},
    {CONCERN_SECRET, ERR_TOKEN_KIND},
    {CONCERN_SCOPED, ERR_SCOPE},
    {CONCERN_RIGHTS, ERR_FORBIDDEN},
    {CONCERN_CERT, ERR_CERTIFICATE},
    {CONCERN_LIMITED, ERR_RATE_LIMITED},
    {CONCERN_LIMITED, ERR_LIMITS_AWAY},
    {CONCERN_GUARDED, ERR_BREAKER_OPEN},
    {CONCERN_STORE, ERR_STORE_UNAVAILABLE},
    {CONCERN_STORE, ERR_STORE_SLOW},
    {CONCERN_STORE, ERR_STORE_FULL},
    {CONCERN_STORE, ERR_STORE_READ_ONLY},
    {CONCERN_STORE, ERR_STORE_RETRY},
    {CONCERN_STORE, ERR_STORE_CORRUPT},
    {CONCERN_STORE, ERR_AUDIT_BEHIND},
    {CONCERN_INPUT, ERR_VALIDATION},
    {CONCERN_BODY, ERR_BODY_TOO_LARGE},
    {CONCERN_BODY, ERR_MEDIA_TYPE},
    {CONCERN_JSON, ERR_JSON_SYNTAX},
    {CONCERN_KEYED, ERR_KEY_RUNNING},
    {CONCERN_KEYED, ERR_KEY_REUSED},
    {CONCERN_KEYED, ERR_OUTCOME_UNKNOWN},
    {CONCERN_BEHIND, ERR_UPSTREAM_CONNECT},
    {CONCERN_BEHIND, ERR_UPSTREAM_CUT},
    {CONCERN_BEHIND, ERR_UPSTREAM_ANSWER},
    {CONCERN_BEHIND, ERR_UPSTREAM_TLS},
    {CONCERN_BEHIND, ERR_UPSTREAM_NONE},
    {CONCERN_BEHIND, ERR_UPSTREAM_FULL},
    {CONCERN_BEHIND, ERR_UPSTREAM_SLOW},
};

/* Refusals of requests before anybody looked which operation they are for. */
static const enum err unread[] = {ERR_REQUEST_TIMEOUT,   ERR_URI_TOO_LONG,    ERR_EXPECTATION,
                                  ERR_HEADERS_TOO_LARGE, ERR_NOT_IMPLEMENTED, ERR_VERSION_HTTP};

static void look_concerns(const struct http_route *route, bool concerns[CONCERN_COUNT])
{
    bool secret = route->access == HTTP_ACCESS_BEARER || route->access == HTTP_ACCESS_ADMIN;
    bool usual = route->problem == NULL; /* else its own form has its own statuses */

    concerns[CONCERN_EVERY] = true;
    concerns[CONCERN_SECRET] = secret;
    concerns[CONCERN_SCOPED] = route->scopes != NULL;
    concerns[CONCERN_RIGHTS] = route->access == HTTP_ACCESS_ADMIN || route->scopes != NULL ||
                               route->access == HTTP_ACCESS_NETWORK || route->roles != NULL;
    concerns[CONCERN_CERT] = route->certificate;
    concerns[CONCERN_LIMITED] = route->rate != HTTP_RATE_EXEMPT;
    concerns[CONCERN_GUARDED] = route->guard == HTTP_GUARD_BREAKER;
    concerns[CONCERN_STORE] =
        route->run != HTTP_RUN_LOOP || secret || route->rate == HTTP_RATE_CLIENT;
    concerns[CONCERN_INPUT] =
        usual && (route->body != NULL || (route->input != NULL && route->input_error == ERR_OK));
    concerns[CONCERN_BODY] = usual && route->body != NULL;
    concerns[CONCERN_JSON] = route->body != NULL && route->form != HTTP_FORM_URLENCODED;
    concerns[CONCERN_KEYED] = route->keyed;
    concerns[CONCERN_BEHIND] = route->proxy != NULL;
}

static bool same_answer(const struct http_document_answer *a, const struct http_document_answer *b)
{
    for (size_t i = 0; i < ERR_COUNT; i++) {
        if (a->errs[i] != b->errs[i])
            return false;
    }
    return a->status == b->status && a->headers == b->headers && a->usual == b->usual &&
           a->own == b->own && a->own_type == b->own_type;
}

/* "Error404", "Error404-2": in the order in which they come. */
static void name_answer(const struct http_document *doc, size_t index, struct sbuf *out)
{
    int status = doc->answers[index].status;
    size_t before = 0;

    for (size_t i = 0; i < index; i++)
        before += doc->answers[i].status == status;
    sbuf_add_lit(out, "Error");
    if (status != 0)
        sbuf_add_i64(out, status);
    if (before > 0)
        sbuf_add_format(out, "-%zu", before + 1);
}

static void refer(struct http_document *doc, const struct http_document_answer *answer)
{
    char text[32];
    struct sbuf name = sbuf_over(text, sizeof(text) - 1);
    size_t index = 0;

    while (index < doc->answer_count && !same_answer(&doc->answers[index], answer))
        index++;
    PC_ASSERT(index < HTTP_DOCUMENT_ANSWERS_MAX);
    if (index == doc->answer_count)
        doc->answers[doc->answer_count++] = *answer;
    name_answer(doc, index, &name);
    text[name.len] = '\0';
    add_ref(doc, "responses", text);
}

/* Being limited and our own faults look alike everywhere; the rest is as the route's protocol has
 * it, but for what was refused before the route was known. */
static void choose_form(struct http_document_answer *answer, const struct http_route *route)
{
    bool own = route->problem != NULL && answer->status != 429 && answer->status < 500;

    answer->usual = !own || answer->status == 400;
    answer->own = own ? route->problem_reply : NULL;
    answer->own_type = own && route->problem_reply == NULL ? route->reply_type : NULL;
}

/* The errors of one status are one answer. */
static void add_status(struct http_document *doc, const struct http_route *route,
                       const bool *wanted, int status)
{
    struct http_document_answer answer = {.status = status,
                                          .headers = reply_headers(route, status)};
    bool any = false;

    for (size_t i = 1; i < ERR_COUNT; i++) {
        answer.errs[i] = wanted[i] && err_status((enum err)i) == status;
        any = any || answer.errs[i];
    }
    if (!any)
        return;
    choose_form(&answer, route);
    begin_status(doc, status);
    refer(doc, &answer);
    http_document_end(doc);
}

static void add_unread(struct http_document *doc)
{
    struct http_document_answer answer = {.headers = 1U << HTTP_DOCUMENT_REQUEST_ID, .usual = true};

    for (size_t i = 0; i < PC_COUNT(unread); i++)
        answer.errs[unread[i]] = true;
    http_document_begin(doc, "default");
    refer(doc, &answer);
    http_document_end(doc);
}

void http_document_answers(struct http_document *doc, const struct http_route *route)
{
    bool concerns[CONCERN_COUNT] = {0};
    bool wanted[ERR_COUNT] = {0};

    look_concerns(route, concerns);
    for (size_t i = 0; i < PC_COUNT(journey); i++)
        wanted[journey[i].err] = wanted[journey[i].err] || concerns[journey[i].concern];
    for (size_t i = 0; i < HTTP_ROUTE_ERRORS_MAX; i++)
        wanted[route->errors[i]] = true;
    http_document_begin(doc, "responses");
    add_success(doc, route);
    for (int status = 400; status < 600; status++)
        add_status(doc, route, wanted, status);
    add_unread(doc);
    http_document_end(doc);
}

/* ---- components -------------------------------------------------------------------------------
 */

static void add_sentences(struct http_document *doc, const struct http_document_answer *answer)
{
    char text[2048];
    struct sbuf about = sbuf_over(text, sizeof(text));

    for (int i = 1; i < ERR_COUNT; i++) {
        if (!answer->errs[i])
            continue;
        sbuf_add_text(&about, about.len ? "; " : "");
        sbuf_add_text(&about, err_sentence((enum err)i));
    }
    sbuf_add_char(&about, '.');
    PC_ASSERT(!about.full);
    json_add_text(&doc->w, "description", sbuf_span(&about));
}

/* Each code by name; what it looks like stands once for all. */
static void add_problem(struct http_document *doc, const struct http_document_answer *answer)
{
    http_document_begin(doc, "application/problem+json");
    http_document_schema(doc, &http_problem_schema, HTTP_DOCUMENT_TOLD);
    http_document_begin(doc, "examples");
    for (int i = 1; i < ERR_COUNT; i++) {
        if (!answer->errs[i])
            continue;
        http_document_begin(doc, err_slug((enum err)i));
        add_ref(doc, "examples", err_slug((enum err)i));
        http_document_end(doc);
        doc->told[i] = true;
    }
    http_document_end(doc);
    http_document_end(doc);
}

static void add_answer(struct http_document *doc, const struct http_document_answer *answer)
{
    add_sentences(doc, answer);
    add_headers(doc, answer->headers);
    if (!answer->usual && answer->own == NULL && answer->own_type == NULL)
        return;
    http_document_begin(doc, "content");
    if (answer->own != NULL)
        http_document_media(doc, "application/json", answer->own, HTTP_DOCUMENT_TOLD);
    else if (answer->own_type != NULL)
        http_document_media(doc, answer->own_type, NULL, HTTP_DOCUMENT_TOLD);
    if (answer->usual)
        add_problem(doc, answer);
    http_document_end(doc);
}

static void add_responses(struct http_document *doc)
{
    http_document_begin(doc, "responses");
    for (size_t i = 0; i < doc->answer_count; i++) {
        char text[32];
        struct sbuf name = sbuf_over(text, sizeof(text));

        name_answer(doc, i, &name);
        json_key_span(&doc->w, sbuf_span(&name));
        json_begin_object(&doc->w);
        add_answer(doc, &doc->answers[i]);
        http_document_end(doc);
    }
    http_document_end(doc);
}

/* Those that an answer refers to. */
static void add_known_headers(struct http_document *doc)
{
    http_document_begin(doc, "headers");
    for (uint32_t i = 0; i < HTTP_DOCUMENT_HEADER_COUNT; i++) {
        if ((doc->headers >> i & 1) == 0)
            continue;
        http_document_begin(doc, headers[i].name);
        http_document_text(doc, "description", headers[i].about);
        http_document_begin(doc, "schema");
        http_document_text(doc, "type", headers[i].type);
        http_document_end(doc);
        http_document_end(doc);
    }
    http_document_end(doc);
}

static void add_examples(struct http_document *doc)
{
    http_document_begin(doc, "examples");
    for (int i = 1; i < ERR_COUNT; i++) {
        char text[1024];
        struct sbuf example = sbuf_over(text, sizeof(text));

        if (!doc->told[i])
            continue;
        http_problem_example((enum err)i, &example);
        PC_ASSERT(!example.full);
        http_document_begin(doc, err_slug((enum err)i));
        http_document_text(doc, "summary", err_sentence((enum err)i));
        http_document_text(doc, "description", err_remedy((enum err)i));
        json_add_raw(&doc->w, "value", sbuf_span(&example));
        http_document_end(doc);
    }
    http_document_end(doc);
}

void http_document_components(struct http_document *doc)
{
    add_responses(doc);
    add_known_headers(doc);
    add_examples(doc);
}
