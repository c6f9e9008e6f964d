/* SPDX-License-Identifier: MIT
 * The OpenAPI 3.1 document, made from the rows that also do the work: what a row protects, reads
 * and answers is what the document says. Nothing here knows a single route. */
#include "http/http_openapi_priv.h"

/* ---- what all parts write with ----------------------------------------------------------------
 */

void http_document_begin(struct http_document *doc, const char *key)
{
    json_key(&doc->w, key);
    json_begin_object(&doc->w);
}

void http_document_end(struct http_document *doc)
{
    json_end_object(&doc->w);
}

void http_document_text(struct http_document *doc, const char *key, const char *text)
{
    if (text != NULL)
        json_add_text(&doc->w, key, span_from(text));
}

static void collect(struct http_document *doc, const struct json_schema *schema, bool asked)
{
    size_t i = 0;

    if (schema == NULL)
        return;
    while (i < doc->schema_count && !span_is(span_from(doc->schemas[i].schema->name), schema->name))
        i++;
    if (i < doc->schema_count && (doc->schemas[i].asked || !asked))
        return;
    PC_ASSERT(i < HTTP_DOCUMENT_SCHEMAS_MAX);
    doc->schemas[i].schema = schema;
    doc->schemas[i].asked = asked;
    doc->schema_count += i == doc->schema_count;
    for (size_t f = 0; f < schema->field_count; f++) {
        const struct json_field *field = &schema->fields[f];

        collect(doc, field->schema, asked);
        if (field->item != NULL)
            collect(doc, field->item->schema, asked);
    }
}

static void add_schema_ref(struct http_document *doc, const char *name)
{
    char text[160];
    struct sbuf ref = sbuf_over(text, sizeof(text));

    sbuf_add_format(&ref, HTTP_DOCUMENT_SCHEMAS "%s", name);
    json_add_text(&doc->w, "$ref", sbuf_span(&ref));
}

void http_document_schema(struct http_document *doc, const struct json_schema *schema,
                          enum http_document_side side)
{
    http_document_begin(doc, "schema");
    add_schema_ref(doc, schema->name);
    http_document_end(doc);
    collect(doc, schema, side == HTTP_DOCUMENT_ASKED);
}

/* Behind its key; one may be large. */
static void add_example(struct http_document *doc, const struct json_schema *schema,
                        enum http_document_side side)
{
    if (side == HTTP_DOCUMENT_ASKED)
        json_schema_example(doc->out, schema);
    else
        json_schema_example_written(doc->out, schema);
}

void http_document_media(struct http_document *doc, const char *type,
                         const struct json_schema *schema, enum http_document_side side)
{
    http_document_begin(doc, type);
    if (schema != NULL) {
        http_document_schema(doc, schema, side);
        json_key(&doc->w, "example");
        add_example(doc, schema, side);
        doc->w.keyed = false;
    } else {
        http_document_begin(doc, "schema");
        http_document_text(doc, "type", "string");
        http_document_end(doc);
    }
    http_document_end(doc);
}

void http_document_list(struct http_document *doc, const char *type,
                        const struct json_schema *items)
{
    http_document_begin(doc, type);
    http_document_begin(doc, "schema");
    http_document_text(doc, "type", "array");
    http_document_begin(doc, "items");
    add_schema_ref(doc, items->name);
    http_document_end(doc);
    http_document_end(doc);
    json_key(&doc->w, "example");
    sbuf_add_char(doc->out, '[');
    add_example(doc, items, HTTP_DOCUMENT_TOLD);
    sbuf_add_char(doc->out, ']');
    doc->w.keyed = false;
    http_document_end(doc);
    collect(doc, items, false);
}

/* ---- operations -------------------------------------------------------------------------------
 */

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

static void add_parameter(struct http_document *doc, const struct http_route *route,
                          const struct json_field *field)
{
    bool path = in_path(route, field->name);

    json_begin_object(&doc->w);
    http_document_text(doc, "name", field->name);
    http_document_text(doc, "in", path ? "path" : "query");
    json_add_bool(&doc->w, "required", path || !field->optional);
    http_document_text(doc, "description", field->about);
    json_key(&doc->w, "schema");
    {
        char text[1024];
        struct sbuf schema = sbuf_over(text, sizeof(text));

        json_field_describe(&schema, field, HTTP_DOCUMENT_SCHEMAS);
        json_raw(&doc->w, sbuf_span(&schema));
    }
    json_end_object(&doc->w);
}

static void add_key_parameter(struct http_document *doc)
{
    json_begin_object(&doc->w);
    http_document_text(doc, "name", "Idempotency-Key");
    http_document_text(doc, "in", "header");
    json_add_bool(&doc->w, "required", false);
    http_document_text(
        doc, "description",
        "A text of the client's own for this one request. Sent again with the same key and "
        "body, it is answered as before, byte by byte, and nothing is done twice.");
    http_document_begin(doc, "schema");
    http_document_text(doc, "type", "string");
    json_add_i64(&doc->w, "minLength", 1);
    json_add_i64(&doc->w, "maxLength", LIMIT_LEDGER_KEY_BYTES_MAX);
    http_document_text(doc, "pattern", "^[!-~]+$");
    http_document_end(doc);
    json_end_object(&doc->w);
}

static void add_parameters(struct http_document *doc, const struct http_route *route)
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

static void add_body(struct http_document *doc, const struct http_route *route)
{
    if (route->body == NULL)
        return;
    http_document_begin(doc, "requestBody");
    json_add_bool(&doc->w, "required", true);
    http_document_begin(doc, "content");
    if (route->form != HTTP_FORM_JSON)
        http_document_media(doc, "application/x-www-form-urlencoded", route->body,
                            HTTP_DOCUMENT_ASKED);
    if (route->form != HTTP_FORM_URLENCODED)
        http_document_media(doc, "application/json", route->body, HTTP_DOCUMENT_ASKED);
    http_document_end(doc);
    http_document_end(doc);
}

/* What the row says of itself, then how it is protected. */
static void add_about(struct http_document *doc, const struct http_route *route)
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

static void add_operation(struct http_document *doc, const struct http_route *route)
{
    static const char *const methods[NET_METHOD_COUNT] = {
        [NET_METHOD_GET] = "get",        [NET_METHOD_HEAD] = "head",
        [NET_METHOD_POST] = "post",      [NET_METHOD_PUT] = "put",
        [NET_METHOD_DELETE] = "delete",  [NET_METHOD_PATCH] = "patch",
        [NET_METHOD_OPTIONS] = "options"};

    http_document_begin(doc, methods[route->method]);
    http_document_text(doc, "operationId", route->id);
    if (route->tag != NULL) {
        json_key(&doc->w, "tags");
        json_begin_list(&doc->w);
        json_text(&doc->w, span_from(route->tag));
        json_end_list(&doc->w);
    }
    http_document_text(doc, "summary", route->summary);
    add_about(doc, route);
    http_openapi_requirements(&doc->w, doc->options, route);
    http_openapi_access(&doc->w, route);
    add_parameters(doc, route);
    add_body(doc, route);
    http_document_answers(doc, route);
    http_document_end(doc);
}

/* A place in the tables, with the row that stands there and its path as it is mounted. */
struct place {
    size_t table, index;
    const struct http_route *row;
    struct span path;
    char text[HTTP_PATH_BYTES_MAX];
};

static bool next(const struct http_document *doc, struct place *at)
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
static void add_paths(struct http_document *doc)
{
    struct place at = {0};

    http_document_begin(doc, "paths");
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
        http_document_end(doc);
    }
    http_document_end(doc);
}

/* Each written straight behind its key: one schema may be large. */
static void add_schemas(struct http_document *doc)
{
    http_document_begin(doc, "schemas");
    for (size_t i = 0; i < doc->schema_count; i++) {
        const struct json_schema *schema = doc->schemas[i].schema;

        json_key(&doc->w, schema->name);
        if (doc->schemas[i].asked)
            json_schema_describe(doc->out, schema, HTTP_DOCUMENT_SCHEMAS);
        else
            json_schema_describe_written(doc->out, schema, HTTP_DOCUMENT_SCHEMAS);
        doc->w.keyed = false;
    }
    http_document_end(doc);
}

static void add_components(struct http_document *doc)
{
    http_document_begin(doc, "components");
    http_openapi_schemes(&doc->w, doc->options);
    http_document_components(doc);
    add_schemas(doc);
    http_document_end(doc);
}

/* Whether a row before this place has its tag. */
static bool tag_is_known(const struct http_document *doc, const struct place *here)
{
    struct place other = {0};

    while (next(doc, &other) && !same_place(&other, here)) {
        if (other.row->tag != NULL && span_is(span_from(other.row->tag), here->row->tag))
            return true;
    }
    return false;
}

static void add_tags(struct http_document *doc)
{
    struct place at = {0};

    json_key(&doc->w, "tags");
    json_begin_list(&doc->w);
    while (next(doc, &at)) {
        if (at.row->tag == NULL || tag_is_known(doc, &at))
            continue;
        json_begin_object(&doc->w);
        http_document_text(doc, "name", at.row->tag);
        if (doc->options->tag_about != NULL)
            http_document_text(doc, "description", doc->options->tag_about(at.row->tag));
        json_end_object(&doc->w);
    }
    json_end_list(&doc->w);
}

static void add_info(struct http_document *doc)
{
    http_document_text(doc, "openapi", "3.1.0");
    http_document_begin(doc, "info");
    http_document_text(doc, "title", doc->options->title);
    http_document_text(doc, "description", doc->options->about);
    http_document_text(doc, "version", doc->options->version);
    http_document_begin(doc, "contact");
    http_document_text(doc, "name", "The Portcullis project");
    http_document_end(doc);
    http_document_begin(doc, "license");
    http_document_text(doc, "name", "MIT");
    http_document_text(doc, "identifier", "MIT");
    http_document_end(doc);
    http_document_end(doc);
    json_key(&doc->w, "servers");
    json_begin_list(&doc->w);
    json_begin_object(&doc->w);
    http_document_text(doc, "url", "/");
    http_document_text(doc, "description", "This listener.");
    json_end_object(&doc->w);
    json_end_list(&doc->w);
}

enum err http_openapi_write(const struct http_service_options *options, struct sbuf *out)
{
    struct http_document doc = {.w = json_writer_on(out), .out = out, .options = options};

    json_begin_object(&doc.w);
    add_info(&doc);
    add_tags(&doc);
    add_paths(&doc);
    add_components(&doc);
    json_end_object(&doc.w);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}
