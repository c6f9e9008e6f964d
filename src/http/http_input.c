/* SPDX-License-Identifier: MIT
 * What a handler is given: parameters of path and query, and the body, each checked against the
 * route's schema and bound into its struct. All that is wrong is collected before answering 422. */
#include "http/http_form.h"
#include "http/http_priv.h"

struct json_problems *http_problems(struct http_call *call)
{
    if (call->problems == NULL)
        call->problems = arena_zero(call->req.arena, sizeof(*call->problems));
    return call->problems;
}

/* The text between braces of the n-th parameter of a route's path. */
static bool param_name(const struct http_route *route, size_t n, struct span *ret_name)
{
    struct span rest = span_from(route->path);
    size_t at;

    for (size_t i = 0; (at = span_find(rest, '{')) < rest.len; i++) {
        rest = span_slice(rest, at + 1, rest.len);
        *ret_name = span_slice(rest, 0, span_find(rest, '}'));
        if (i == n)
            return true;
    }
    return false;
}

static bool find_param(const struct http_call *call, const char *name, struct span *ret_value)
{
    struct span found;

    for (size_t i = 0; i < HTTP_PARAMS_MAX && param_name(call->req.route, i, &found); i++) {
        if (span_is(found, name)) {
            *ret_value = call->req.params[i];
            return true;
        }
    }
    return false;
}

/* The value of a query parameter; ERR_END when it is not there, ERR_BAD_QUERY when twice. */
static enum err find_query(struct http_call *call, const char *name, struct span *ret_value)
{
    struct span rest = call->req.query;
    struct span found_name;
    struct span value;
    bool found = false;
    enum err err;

    while ((err = http_query_next(&rest, call->req.arena, &found_name, &value)) == ERR_OK) {
        if (!span_is(found_name, name))
            continue;
        if (found)
            return ERR_BAD_QUERY;
        *ret_value = value;
        found = true;
    }
    if (err != ERR_END)
        return err;
    return found ? ERR_OK : ERR_END;
}

static enum err bind_field(struct http_call *call, const struct json_field *field, void *input,
                           struct json_problems *problems)
{
    struct span value;
    enum err err;

    if (find_param(call, field->name, &value))
        return json_bind_text(field, value, call->req.arena, input, problems);
    err = find_query(call, field->name, &value);
    if (err == ERR_END)
        return json_bind_missing(field, call->req.arena, input, problems);
    if (err)
        return err;
    return json_bind_text(field, value, call->req.arena, input, problems);
}

static enum err wrong_input(const struct http_call *call)
{
    enum err err = call->req.route->input_error;

    return err != ERR_OK ? err : ERR_VALIDATION;
}

enum err http_input_bind(struct http_call *call)
{
    const struct json_schema *schema = call->req.route->input;
    struct json_problems *problems = http_problems(call);
    void *input = arena_zero(call->req.arena, schema->bytes);

    if (problems == NULL || input == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < schema->field_count; i++) {
        enum err err = bind_field(call, &schema->fields[i], input, problems);

        if (err != ERR_OK && err != ERR_VALIDATION)
            return err;
    }
    call->req.input = input;
    return problems->count > 0 ? wrong_input(call) : ERR_OK;
}

static bool is_json(struct span content_type)
{
    struct span type = span_trim(span_slice(content_type, 0, span_find(content_type, ';')));

    return span_is_nocase(type, "application/json") ||
           (span_starts(type, SPAN_OF("application/")) && span_ends(type, SPAN_OF("+json")));
}

static bool is_form(struct span content_type)
{
    struct span type = span_trim(span_slice(content_type, 0, span_find(content_type, ';')));

    return span_is_nocase(type, "application/x-www-form-urlencoded");
}

/* In which of the route's forms the body is written; false: in none of them. */
static bool body_form(const struct http_call *call, enum http_form *ret_form)
{
    enum http_form wanted = call->req.route->form;

    if (wanted != HTTP_FORM_JSON && is_form(call->known.content_type)) {
        *ret_form = HTTP_FORM_URLENCODED;
        return true;
    }
    *ret_form = HTTP_FORM_JSON;
    return wanted != HTTP_FORM_URLENCODED && is_json(call->known.content_type);
}

static enum err refuse_type(struct http_call *call)
{
    static const char *const details[] = {
        [HTTP_FORM_JSON] = "Send the body with \"Content-Type: application/json\".",
        [HTTP_FORM_URLENCODED] =
            "Send the body with \"Content-Type: application/x-www-form-urlencoded\".",
        [HTTP_FORM_EITHER] = "Send the body with \"Content-Type: "
                             "application/x-www-form-urlencoded\" or \"application/json\"."};

    return http_fail(&call->req, ERR_MEDIA_TYPE, details[call->req.route->form]);
}

static size_t body_max(const struct http_call *call)
{
    return call->req.route->body_bytes_max ? call->req.route->body_bytes_max
                                           : call->req.policy->body_bytes_max;
}

enum err http_body_check(struct http_call *call)
{
    const struct net_head *head = call->req.head;
    bool known = body_form(call, &call->form);

    /* A form whose fields are all empty may be no bytes at all. */
    if (!head->has_body && !(known && call->form == HTTP_FORM_URLENCODED))
        return http_fail_field(&call->req, "body", "is required");
    if (!known)
        return refuse_type(call);
    if (head->content_length != NET_LENGTH_CHUNKED && head->content_length > body_max(call))
        return ERR_BODY_TOO_LARGE;
    call->body = sbuf_on(call->req.arena, body_max(call));
    return ERR_OK;
}

static const char *fault_text(struct http_call *call, const struct json_fault *fault)
{
    struct sbuf out = sbuf_on(call->req.arena, 256);

    sbuf_add_format(&out, "Line %zu, column %zu: %s.", fault->line, fault->column,
                    json_reason_text(fault->reason));
    return out.full ? NULL : arena_string(call->req.arena, sbuf_span(&out));
}

static enum err bind_json(struct http_call *call, const struct json_schema *schema, void *body,
                          struct json_problems *problems)
{
    const struct json_value *root;
    struct json_fault fault;
    enum err err = json_read(call->req.body_text, call->req.arena, &root, &fault);

    if (err == ERR_JSON_SYNTAX)
        return http_fail(&call->req, err, fault_text(call, &fault));
    if (err)
        return err;
    return json_bind(schema, root, call->req.arena, body, problems);
}

/* What names a field of ours may be said; what the client made up is not repeated. */
static enum err refuse_form(struct http_call *call, const struct json_schema *schema,
                            struct span doubled, const char *why)
{
    struct sbuf out = sbuf_on(call->req.arena, 128);

    for (size_t i = 0; doubled.len > 0 && i < schema->field_count; i++) {
        if (!span_is(doubled, schema->fields[i].name))
            continue;
        sbuf_add_format(&out, "%s is given twice.", schema->fields[i].name);
        return http_fail(&call->req, ERR_BAD_REQUEST,
                         out.full ? why : arena_string(call->req.arena, sbuf_span(&out)));
    }
    return http_fail(&call->req, ERR_BAD_REQUEST, why);
}

static enum err bind_form(struct http_call *call, const struct json_schema *schema, void *body,
                          struct json_problems *problems)
{
    struct arena *arena = call->req.arena;
    struct http_form_fields form;
    const char *why;
    enum err err = http_form_read(call->req.body_text, arena, &form, &why);

    if (err == ERR_BAD_REQUEST)
        return refuse_form(call, schema, form.doubled, why);
    for (size_t i = 0; err == ERR_OK && i < schema->field_count; i++) {
        const struct json_field *field = &schema->fields[i];
        struct span value = http_form_value(&form, span_from(field->name));

        err = value.len > 0 ? json_bind_text(field, value, arena, body, problems)
                            : json_bind_missing(field, arena, body, problems);
        if (err == ERR_VALIDATION)
            err = ERR_OK; /* the others are looked at too */
    }
    if (err)
        return err;
    return problems->count > 0 ? ERR_VALIDATION : ERR_OK;
}

enum err http_body_bind(struct http_call *call)
{
    const struct json_schema *schema = call->req.route->body;
    struct json_problems *problems = http_problems(call);
    void *body = arena_zero(call->req.arena, schema->bytes);
    enum err err;

    if (problems == NULL || body == NULL)
        return ERR_NO_MEMORY;
    call->req.body_text = sbuf_span(&call->body);
    err = call->form == HTTP_FORM_URLENCODED ? bind_form(call, schema, body, problems)
                                             : bind_json(call, schema, body, problems);
    if (err)
        return err;
    call->req.body = body;
    return ERR_OK;
}
