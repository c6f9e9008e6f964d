/* SPDX-License-Identifier: MIT
 * The OpenAPI 3.1 document, made from the rows that also do the work: what a row protects, reads
 * and answers is what the document says. Nothing here knows a single route. */
#include "http/http.h"
#include "http/http_priv.h"

#include "json/json_writer.h"

enum { SCHEMAS_MAX = 256 };

#define REF_PREFIX "#/components/schemas/"

/* What an answer may carry besides its body. */
enum header {
    HEADER_REQUEST_ID,
    HEADER_PROCESS_TIME,
    HEADER_LIMIT,
    HEADER_REMAINING,
    HEADER_RESET,
    HEADER_BREAKER,
    HEADER_LOCATION,
    HEADER_REPLAYED,
    HEADER_AUTHENTICATE,
    HEADER_RETRY,
    HEADER_COUNT
};

static const struct {
    const char *name, *type, *about;
} headers[HEADER_COUNT] = {
    [HEADER_REQUEST_ID] = {"X-Request-ID", "string", "Names this request in our logs."},
    [HEADER_PROCESS_TIME] = {"X-Process-Time", "number",
                             "Seconds from the first byte to the answer."},
    [HEADER_LIMIT] = {"X-RateLimit-Limit", "integer", "Requests a full bucket holds."},
    [HEADER_REMAINING] = {"X-RateLimit-Remaining", "integer", "Requests left right now."},
    [HEADER_RESET] = {"X-RateLimit-Reset", "integer",
                      "Epoch second at which the bucket is full again."},
    [HEADER_BREAKER] = {"X-Circuit-Breaker-State", "string", "closed, open or half_open."},
    [HEADER_LOCATION] = {"Location", "string", "Where it goes on."},
    [HEADER_REPLAYED] = {"Idempotency-Replayed", "string",
                         "true: this request was done before, and this is what was answered then."},
    [HEADER_AUTHENTICATE] = {"WWW-Authenticate", "string", "How to authenticate (RFC 6750)."},
    [HEADER_RETRY] = {"Retry-After", "integer", "Seconds to wait before the next try."},
};

struct document {
    struct json_writer w;
    struct sbuf *out;
    const struct http_service_options *options;
    const struct json_schema *schemas[SCHEMAS_MAX]; /* every one that is referred to, once */
    size_t schema_count;
    bool header_used[HEADER_COUNT];
};

static void schema_collect(struct document *doc, const struct json_schema *schema)
{
    if (schema == NULL)
        return;
    for (size_t i = 0; i < doc->schema_count; i++) {
        if (span_is(span_from(doc->schemas[i]->name), schema->name))
            return;
    }
    PC_ASSERT(doc->schema_count < SCHEMAS_MAX);
    doc->schemas[doc->schema_count++] = schema;
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct json_field *field = &schema->fields[i];

        schema_collect(doc, field->schema);
        if (field->item != NULL)
            schema_collect(doc, field->item->schema);
    }
}

static void add_ref(struct document *doc, const char *name)
{
    char text[160];
    struct sbuf ref = sbuf_over(text, sizeof(text));

    sbuf_add_lit(&ref, REF_PREFIX);
    sbuf_add_text(&ref, name);
    json_key(&doc->w, "schema");
    json_begin_object(&doc->w);
    json_add_text(&doc->w, "$ref", sbuf_span(&ref));
    json_end_object(&doc->w);
}

static void begin(struct document *doc, const char *key)
{
    json_key(&doc->w, key);
    json_begin_object(&doc->w);
}

static void end(struct document *doc)
{
    json_end_object(&doc->w);
}

static void add_string(struct document *doc, const char *key, const char *text)
{
    if (text != NULL)
        json_add_text(&doc->w, key, span_from(text));
}

/* One form of a body; without a schema it is text. */
static void add_media(struct document *doc, const char *type, const struct json_schema *schema)
{
    begin(doc, type);
    if (schema != NULL) {
        add_ref(doc, schema->name);
        schema_collect(doc, schema);
    } else {
        begin(doc, "schema");
        json_add_text(&doc->w, "type", SPAN_OF("string"));
        end(doc);
    }
    end(doc);
}

static void add_content(struct document *doc, const char *type, const struct json_schema *schema)
{
    begin(doc, "content");
    add_media(doc, type, schema);
    end(doc);
}

static bool in_path(const struct http_route *route, const char *name)
{
    char text[80];
    struct sbuf braced = sbuf_over(text, sizeof(text));
    struct span path = span_from(route->path);

    sbuf_add_format(&braced, "{%s}", name);
    for (size_t i = 0; i + braced.len <= path.len; i++) {
        if (span_starts(span_slice(path, i, path.len), sbuf_span(&braced)))
            return true;
    }
    return false;
}

static void add_parameter(struct document *doc, const struct http_route *route,
                          const struct json_field *field)
{
    bool path = in_path(route, field->name);

    json_begin_object(&doc->w);
    add_string(doc, "name", field->name);
    add_string(doc, "in", path ? "path" : "query");
    json_add_bool(&doc->w, "required", path || !field->optional);
    add_string(doc, "description", field->about);
    json_key(&doc->w, "schema");
    {
        char text[1024];
        struct sbuf schema = sbuf_over(text, sizeof(text));

        json_field_describe(&schema, field, REF_PREFIX);
        json_raw(&doc->w, sbuf_span(&schema));
    }
    json_end_object(&doc->w);
}

static void add_key_parameter(struct document *doc)
{
    json_begin_object(&doc->w);
    add_string(doc, "name", "Idempotency-Key");
    add_string(doc, "in", "header");
    json_add_bool(&doc->w, "required", false);
    add_string(doc, "description",
               "A text of the client's own for this one request. Sent again with the same key and "
               "body, it is answered as before, byte by byte, and nothing is done twice.");
    begin(doc, "schema");
    add_string(doc, "type", "string");
    json_add_i64(&doc->w, "minLength", 1);
    json_add_i64(&doc->w, "maxLength", LIMIT_LEDGER_KEY_BYTES_MAX);
    add_string(doc, "pattern", "^[!-~]+$");
    end(doc);
    json_end_object(&doc->w);
}

static void add_parameters(struct document *doc, const struct http_route *route)
{
    if (route->input == NULL && !route->keyed)
        return;
    json_key(&doc->w, "parameters");
    json_begin_list(&doc->w);
    for (size_t i = 0; route->input != NULL && i < route->input->field_count; i++)
        add_parameter(doc, route, &route->input->fields[i]);
    if (route->keyed)
        add_key_parameter(doc);
    json_end_list(&doc->w);
}

static void add_body(struct document *doc, const struct http_route *route)
{
    if (route->body == NULL)
        return;
    begin(doc, "requestBody");
    json_add_bool(&doc->w, "required", true);
    begin(doc, "content");
    if (route->form != HTTP_FORM_JSON)
        add_media(doc, "application/x-www-form-urlencoded", route->body);
    if (route->form != HTTP_FORM_URLENCODED)
        add_media(doc, "application/json", route->body);
    end(doc);
    end(doc);
}

static void add_header_ref(struct document *doc, enum header header)
{
    char text[96];
    struct sbuf ref = sbuf_over(text, sizeof(text));

    doc->header_used[header] = true;
    sbuf_add_format(&ref, "#/components/headers/%s", headers[header].name);
    begin(doc, headers[header].name);
    json_add_text(&doc->w, "$ref", sbuf_span(&ref));
    end(doc);
}

static void add_reply_headers(struct document *doc, const struct http_route *route, int status)
{
    begin(doc, "headers");
    add_header_ref(doc, HEADER_REQUEST_ID);
    add_header_ref(doc, HEADER_PROCESS_TIME);
    if (route->rate != HTTP_RATE_EXEMPT) {
        add_header_ref(doc, HEADER_LIMIT);
        add_header_ref(doc, HEADER_REMAINING);
        add_header_ref(doc, HEADER_RESET);
    }
    if (route->guard == HTTP_GUARD_BREAKER)
        add_header_ref(doc, HEADER_BREAKER);
    if (status == 302 || status == 303)
        add_header_ref(doc, HEADER_LOCATION);
    if (route->keyed && status < 500 && status != 401 && status != 429)
        add_header_ref(doc, HEADER_REPLAYED);
    if (status == 401 || (status == 403 && route->scopes != NULL))
        add_header_ref(doc, HEADER_AUTHENTICATE);
    if (status == 429 || status == 503 || (route->keyed && status == 409))
        add_header_ref(doc, HEADER_RETRY);
    end(doc);
}

static void begin_status(struct document *doc, int status)
{
    char text[8];
    struct sbuf key = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&key, status);
    json_key_span(&doc->w, sbuf_span(&key));
    json_begin_object(&doc->w);
}

static void add_redirect(struct document *doc, const struct http_route *route)
{
    begin_status(doc, route->reply_status);
    add_string(doc, "description", "Goes on at Location.");
    add_reply_headers(doc, route, route->reply_status);
    end(doc);
}

static void add_list_content(struct document *doc, const struct json_schema *items)
{
    char text[160];
    struct sbuf ref = sbuf_over(text, sizeof(text));

    PC_ASSERT(items != NULL); /* a row that answers a list says of what */
    sbuf_add_format(&ref, REF_PREFIX "%s", items->name);
    begin(doc, "content");
    begin(doc, "application/json");
    begin(doc, "schema");
    json_add_text(&doc->w, "type", SPAN_OF("array"));
    begin(doc, "items");
    json_add_text(&doc->w, "$ref", sbuf_span(&ref));
    for (size_t open = 0; open < 4; open++)
        end(doc);
    schema_collect(doc, items);
}

/* A page that leads elsewhere is shown again until it does. */
static void add_success(struct document *doc, const struct http_route *route)
{
    int status = route->reply_status ? route->reply_status : 200;
    bool redirect = status >= 300;

    if (!redirect || route->reply != NULL || route->reply_type != NULL) {
        begin_status(doc, redirect ? 200 : status);
        add_string(doc, "description",
                   route->reply && route->reply->about ? route->reply->about : "Done.");
        add_reply_headers(doc, route, status == 200 || redirect ? 200 : status);
        if (route->reply_is_list)
            add_list_content(doc, route->reply);
        else if (route->reply != NULL)
            add_content(doc, "application/json", route->reply);
        else if (route->reply_type != NULL)
            add_content(doc, route->reply_type, NULL);
        end(doc);
    }
    if (redirect)
        add_redirect(doc, route);
}

/* Being limited and our own faults look alike everywhere; the rest is as the route's protocol has
 * it. */
static void add_problem_content(struct document *doc, const struct http_route *route, int status)
{
    if (route->problem == NULL || status == 429 || status >= 500)
        add_content(doc, "application/problem+json", &http_problem_schema);
    else if (route->problem_reply != NULL)
        add_content(doc, "application/json", route->problem_reply);
    else if (route->reply_type != NULL)
        add_content(doc, route->reply_type, NULL);
}

/* The errors of one status are one response; their sentences are listed. */
static void add_status(struct document *doc, const struct http_route *route, const bool *wanted,
                       int status)
{
    char text[1024];
    struct sbuf about = sbuf_over(text, sizeof(text));

    for (int i = 1; i < ERR_COUNT; i++) {
        if (!wanted[i] || err_status((enum err)i) != status)
            continue;
        sbuf_add_text(&about, about.len ? "; " : "");
        sbuf_add_text(&about, err_sentence((enum err)i));
    }
    if (about.len == 0)
        return;
    sbuf_add_char(&about, '.');
    begin_status(doc, status);
    json_add_text(&doc->w, "description", sbuf_span(&about));
    add_reply_headers(doc, route, status);
    add_problem_content(doc, route, status);
    end(doc);
}

static void want_journey_errors(const struct http_route *route, bool *wanted)
{
    bool secret = route->access == HTTP_ACCESS_BEARER || route->access == HTTP_ACCESS_ADMIN;
    bool usual = route->problem == NULL; /* else its own form has its own statuses */

    wanted[ERR_BAD_REQUEST] = true;
    wanted[ERR_INTERNAL] = true;
    wanted[ERR_UNAUTHENTICATED] = wanted[ERR_TOKEN_INVALID] = wanted[ERR_TOKEN_EXPIRED] = secret;
    wanted[ERR_TOKEN_KIND] = secret;
    wanted[ERR_SCOPE] = route->scopes != NULL;
    wanted[ERR_FORBIDDEN] = route->access == HTTP_ACCESS_ADMIN ||
                            route->access == HTTP_ACCESS_NETWORK || route->roles != NULL;
    wanted[ERR_RATE_LIMITED] = route->rate != HTTP_RATE_EXEMPT;
    wanted[ERR_BREAKER_OPEN] = route->guard == HTTP_GUARD_BREAKER;
    wanted[ERR_BUSY] = route->run != HTTP_RUN_LOOP || secret;
    wanted[ERR_VALIDATION] =
        usual && (route->body != NULL || (route->input != NULL && route->input_error == ERR_OK));
    wanted[ERR_CERTIFICATE] = route->certificate;
    wanted[ERR_JSON_SYNTAX] = route->body != NULL && route->form != HTTP_FORM_URLENCODED;
    wanted[ERR_KEY_RUNNING] = wanted[ERR_KEY_REUSED] = wanted[ERR_OUTCOME_UNKNOWN] = route->keyed;
    wanted[ERR_BODY_TOO_LARGE] = wanted[ERR_MEDIA_TYPE] = usual && route->body != NULL;
}

static void add_errors(struct document *doc, const struct http_route *route)
{
    bool wanted[ERR_COUNT] = {0};

    want_journey_errors(route, wanted);
    for (size_t i = 0; i < HTTP_ROUTE_ERRORS_MAX; i++)
        wanted[route->errors[i]] = true;
    for (int status = 400; status < 600; status++)
        add_status(doc, route, wanted, status);
}

/* What the row says of itself, then how it is protected. */
static void add_about(struct document *doc, const struct http_route *route)
{
    char text[2048];
    struct sbuf about = sbuf_over(text, sizeof(text));

    if (route->about != NULL) {
        sbuf_add_text(&about, route->about);
        sbuf_add_lit(&about, "\n\n");
    }
    http_openapi_protection(&about, route);
    PC_ASSERT(!about.full);
    json_add_text(&doc->w, "description", sbuf_span(&about));
}

static void add_operation(struct document *doc, const struct http_route *route)
{
    static const char *const methods[NET_METHOD_COUNT] = {
        [NET_METHOD_GET] = "get",        [NET_METHOD_HEAD] = "head",
        [NET_METHOD_POST] = "post",      [NET_METHOD_PUT] = "put",
        [NET_METHOD_DELETE] = "delete",  [NET_METHOD_PATCH] = "patch",
        [NET_METHOD_OPTIONS] = "options"};

    begin(doc, methods[route->method]);
    add_string(doc, "operationId", route->id);
    if (route->tag != NULL) {
        json_key(&doc->w, "tags");
        json_begin_list(&doc->w);
        json_text(&doc->w, span_from(route->tag));
        json_end_list(&doc->w);
    }
    add_string(doc, "summary", route->summary);
    add_about(doc, route);
    http_openapi_requirements(&doc->w, doc->options, route);
    add_parameters(doc, route);
    add_body(doc, route);
    begin(doc, "responses");
    add_success(doc, route);
    add_errors(doc, route);
    end(doc);
    end(doc);
}

/* A place in the tables, with the row that stands there and its path as it is mounted. */
struct place {
    size_t table, index;
    const struct http_route *row;
    struct span path;
    char text[HTTP_PATH_BYTES_MAX];
};

static bool next(const struct document *doc, struct place *at)
{
    while (at->table < doc->options->mount_count) {
        const struct http_mount *mount = &doc->options->mounts[at->table];

        at->row = &mount->rows[at->index++];
        if (at->row->path == NULL) {
            at->table++;
            at->index = 0;
        } else if (!at->row->hidden) {
            at->path = http_mount_path(mount, at->row, at->text);
            return true;
        }
    }
    return false;
}

static bool same_place(const struct place *a, const struct place *b)
{
    return a->table == b->table && a->index == b->index;
}

/* Rows of one path are one object, wherever they stand in the tables. */
static void add_paths(struct document *doc)
{
    struct place at = {0};

    begin(doc, "paths");
    while (next(doc, &at)) {
        struct place other = {0};

        while (next(doc, &other) && !span_equal(other.path, at.path))
            ;
        if (!same_place(&other, &at))
            continue; /* its path was written with an earlier row */
        json_key_span(&doc->w, at.path);
        json_begin_object(&doc->w);
        do {
            if (span_equal(other.path, at.path))
                add_operation(doc, other.row);
        } while (next(doc, &other));
        end(doc);
    }
    end(doc);
}

/* Those that an answer refers to. */
static void add_headers(struct document *doc)
{
    begin(doc, "headers");
    for (size_t i = 0; i < HEADER_COUNT; i++) {
        if (!doc->header_used[i])
            continue;
        begin(doc, headers[i].name);
        add_string(doc, "description", headers[i].about);
        begin(doc, "schema");
        add_string(doc, "type", headers[i].type);
        end(doc);
        end(doc);
    }
    end(doc);
}

static void add_components(struct document *doc)
{
    begin(doc, "components");
    http_openapi_schemes(&doc->w, doc->options);
    add_headers(doc);
    begin(doc, "schemas");
    for (size_t i = 0; i < doc->schema_count; i++) {
        json_key(&doc->w, doc->schemas[i]->name);
        /* Written straight behind the key: one schema may be large. */
        json_schema_describe(doc->out, doc->schemas[i], REF_PREFIX);
        doc->w.keyed = false;
    }
    end(doc);
    end(doc);
}

/* Whether a row before this place has its tag. */
static bool tag_is_known(const struct document *doc, const struct place *here)
{
    struct place other = {0};

    while (next(doc, &other) && !same_place(&other, here)) {
        if (other.row->tag != NULL && span_is(span_from(other.row->tag), here->row->tag))
            return true;
    }
    return false;
}

static void add_tags(struct document *doc)
{
    struct place at = {0};

    json_key(&doc->w, "tags");
    json_begin_list(&doc->w);
    while (next(doc, &at)) {
        if (at.row->tag == NULL || tag_is_known(doc, &at))
            continue;
        json_begin_object(&doc->w);
        add_string(doc, "name", at.row->tag);
        if (doc->options->tag_about != NULL)
            add_string(doc, "description", doc->options->tag_about(at.row->tag));
        json_end_object(&doc->w);
    }
    json_end_list(&doc->w);
}

static void add_info(struct document *doc)
{
    add_string(doc, "openapi", "3.1.0");
    begin(doc, "info");
    add_string(doc, "title", doc->options->title);
    add_string(doc, "description", doc->options->about);
    add_string(doc, "version", doc->options->version);
    begin(doc, "contact");
    add_string(doc, "name", "The Portcullis project");
    end(doc);
    begin(doc, "license");
    add_string(doc, "name", "MIT");
    add_string(doc, "identifier", "MIT");
    end(doc);
    end(doc);
    json_key(&doc->w, "servers");
    json_begin_list(&doc->w);
    json_begin_object(&doc->w);
    add_string(doc, "url", "/");
    add_string(doc, "description", "This listener.");
    json_end_object(&doc->w);
    json_end_list(&doc->w);
}

enum err http_openapi_write(const struct http_service_options *options, struct sbuf *out)
{
    struct document doc = {.w = json_writer_on(out), .out = out, .options = options};

    json_begin_object(&doc.w);
    add_info(&doc);
    add_tags(&doc);
    add_paths(&doc);
    schema_collect(&doc, &http_problem_schema);
    add_components(&doc);
    json_end_object(&doc.w);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
