/* SPDX-License-Identifier: MIT
 * The API document of each service, held against the tables it is made from; and its YAML against
 * its JSON, as libyaml reads it. */
#include "app/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include <cmocka.h>

#include "app/command.h"
#include "base/alloc.h"
#include "json/json.h"

enum { DOCUMENT_BYTES_MAX = 2 * 1024 * 1024, DEPTH_MAX = 32, IDS_MAX = 256 };

static enum config_service service; /* the one whose turn it is */
static struct arena arena;
static struct serve_mounts mounts;
static struct http_service_options options;
static struct span json_text;
static const struct json_value *root;

static int make(void **state)
{
    struct sbuf out;

    (void)state;
    arena_init(&arena, NULL, 0, 16 * DOCUMENT_BYTES_MAX);
    out = sbuf_on(&arena, DOCUMENT_BYTES_MAX);
    options = serve_service_options(service, command_version_number(), &mounts);
    if (http_openapi_write(&options, &out) != ERR_OK)
        return -1;
    json_text = sbuf_span(&out);
    return json_read(json_text, &arena, &root, NULL) == ERR_OK ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

/* Calls for every value of the document, deepest last. */
typedef void visit_fn(const struct json_value *value);

static void walk(const struct json_value *value, visit_fn *visit, unsigned depth)
{
    assert_in_range(depth, 0, DEPTH_MAX);
    visit(value);
    for (uint32_t i = 0; i < value->count; i++)
        walk(&value->items[i], visit, depth + 1);
}

static const char *method_name(enum net_method method)
{
    static const char *const names[NET_METHOD_COUNT] = {[NET_METHOD_GET] = "get",
                                                        [NET_METHOD_POST] = "post",
                                                        [NET_METHOD_PUT] = "put",
                                                        [NET_METHOD_PATCH] = "patch",
                                                        [NET_METHOD_DELETE] = "delete"};

    return names[method];
}

/* How many ways in the document has to name. */
static uint32_t ways_in(const struct http_route *row)
{
    bool secret = row->access == HTTP_ACCESS_BEARER || row->access == HTTP_ACCESS_ADMIN;
    bool issued = row->tokens != HTTP_TOKENS_BY_SCOPE || row->scopes != NULL;

    if (!secret)
        return row->rate == HTTP_RATE_CLIENT ? 2 : 0;
    if (row->tokens == HTTP_TOKENS_ISSUED)
        return 1; /* a session's token is refused */
    return options.oauth_token_url != NULL && issued ? 2 : 1;
}

/* What a row says of its protection, the document says. */
static void assert_operation(const struct http_route *row, const struct json_value *operation)
{
    const struct json_value *answers = json_get(operation, "responses");
    bool secret = row->access == HTTP_ACCESS_BEARER || row->access == HTTP_ACCESS_ADMIN;
    bool usual = row->problem == NULL;
    struct span id;

    assert_true(json_to_text(json_get(operation, "operationId"), &id) && span_is(id, row->id));
    assert_int_equal(json_get(operation, "security")->count, ways_in(row));
    assert_int_equal(json_get(answers, "401") != NULL && secret, secret);
    assert_int_equal(json_get(answers, "403") != NULL,
                     row->access == HTTP_ACCESS_ADMIN || row->scopes != NULL ||
                         row->roles != NULL || strcmp(row->id, "auth_login") == 0);
    assert_int_equal(json_get(answers, "429") != NULL, row->rate != HTTP_RATE_EXEMPT);
    assert_int_equal(json_get(operation, "requestBody") != NULL, row->body != NULL);
    assert_int_equal(json_get(answers, "413") != NULL, usual && row->body != NULL);
    assert_int_equal(json_get(answers, "422") != NULL,
                     usual && (row->body != NULL ||
                               (row->input != NULL && row->input_error != ERR_BAD_REQUEST)));
    if (row->input_error != ERR_OK)
        assert_int_equal(row->input_error, ERR_BAD_REQUEST);
    assert_true(row->input_error == ERR_OK || json_get(answers, "400") != NULL);
}

/* Where the mount puts the row. */
static const char *place_of(const struct http_mount *mount, const struct http_route *row)
{
    static char text[256];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);

    if (mount->from == NULL)
        return row->path;
    assert_int_equal(strncmp(row->path, mount->from, strlen(mount->from)), 0);
    sbuf_add_text(&out, mount->to);
    sbuf_add_text(&out, row->path + strlen(mount->from));
    assert_false(out.full);
    text[out.len] = '\0';
    return text;
}

static void every_route_is_there(void **state)
{
    const struct json_value *paths = json_get(root, "paths");
    size_t rows = 0;
    size_t found = 0;

    (void)state;
    for (size_t i = 0; i < options.mount_count; i++) {
        for (const struct http_route *row = options.mounts[i].rows; row->path != NULL; row++) {
            const struct json_value *operation = json_get(
                json_get(paths, place_of(&options.mounts[i], row)), method_name(row->method));

            assert_int_equal(operation == NULL, row->hidden);
            if (row->hidden)
                continue;
            rows++;
            assert_operation(row, operation);
        }
    }
    for (uint32_t i = 0; i < paths->count; i++)
        found += paths->items[i].count;
    assert_int_equal(found, rows); /* and nothing else is */
}

static void assert_taken(const struct json_schema *schema)
{
    struct sbuf text = sbuf_on(&arena, DOCUMENT_BYTES_MAX);
    struct json_problems problems = {0};
    const struct json_value *value;

    json_schema_example(&text, schema);
    assert_int_equal(json_read(sbuf_span(&text), &arena, &value, NULL), ERR_OK);
    if (json_bind(schema, value, &arena, arena_alloc(&arena, schema->bytes), &problems) == ERR_OK)
        return;
    fail_msg("%s: %.*s %s", schema->name, SPAN_ARG(problems.list[0].field),
             problems.list[0].message);
}

/* Who sends what the document shows is not told that it is wrong. */
static void examples_of_bodies_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < options.mount_count; i++) {
        for (const struct http_route *row = options.mounts[i].rows; row->path != NULL; row++) {
            if (row->body != NULL)
                assert_taken(row->body);
        }
    }
}

static struct span ids[IDS_MAX];
static size_t id_count;

static void collect_id(const struct json_value *value)
{
    if (!span_is(value->name, "operationId"))
        return;
    assert_in_range(id_count, 0, IDS_MAX - 1);
    for (size_t i = 0; i < id_count; i++)
        assert_false(span_equal(ids[i], value->text));
    ids[id_count++] = value->text;
}

static void names_of_operations_are_unique(void **state)
{
    (void)state;
    id_count = 0;
    walk(root, collect_id, 0);
    assert_in_range(id_count, 4, IDS_MAX);
}

static size_t refs;

static void follow(const struct json_value *value)
{
    const struct json_value *at = root;
    struct span rest = value->text;
    struct span part;

    if (!span_is(value->name, "$ref"))
        return;
    refs++;
    assert_true(span_cut(&rest, '/', &part) && span_is(part, "#"));
    while (span_cut(&rest, '/', &part)) {
        at = json_get_span(at, part);
        if (at == NULL)
            fail_msg("%.*s leads nowhere", SPAN_ARG(value->text));
    }
}

static void references_lead_somewhere(void **state)
{
    (void)state;
    refs = 0;
    walk(root, follow, 0);
    assert_true(refs >= 20);
}

static struct span wanted;

static void meet(const struct json_value *value)
{
    if (span_is(value->name, "$ref") && span_ends(value->text, wanted))
        refs++;
}

/* A schema that nobody refers to has been forgotten. */
static void schemas_are_all_used(void **state)
{
    const struct json_value *schemas = json_get(json_get(root, "components"), "schemas");

    (void)state;
    for (uint32_t i = 0; i < schemas->count; i++) {
        refs = 0;
        wanted = schemas->items[i].name;
        walk(root, meet, 0);
        if (refs == 0)
            fail_msg("%.*s is used nowhere", SPAN_ARG(wanted));
    }
}

/* ---- YAML -------------------------------------------------------------------------------------
 */

static struct span node_text(const yaml_node_t *node)
{
    return span_make(node->data.scalar.value, node->data.scalar.length);
}

static void assert_same(yaml_document_t *doc, const yaml_node_t *node,
                        const struct json_value *value);

static void assert_same_members(yaml_document_t *doc, const yaml_node_t *node,
                                const struct json_value *value)
{
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;

    assert_int_equal(node->data.mapping.pairs.top - pair, value->count);
    for (uint32_t i = 0; i < value->count; i++, pair++) {
        assert_true(
            span_equal(node_text(yaml_document_get_node(doc, pair->key)), value->items[i].name));
        assert_same(doc, yaml_document_get_node(doc, pair->value), &value->items[i]);
    }
}

static void assert_same_items(yaml_document_t *doc, const yaml_node_t *node,
                              const struct json_value *value)
{
    const yaml_node_item_t *item = node->data.sequence.items.start;

    assert_int_equal(node->data.sequence.items.top - item, value->count);
    for (uint32_t i = 0; i < value->count; i++, item++)
        assert_same(doc, yaml_document_get_node(doc, *item), &value->items[i]);
}

static void assert_same(yaml_document_t *doc, const yaml_node_t *node,
                        const struct json_value *value)
{
    bool quoted;

    if (value->type == JSON_OBJECT || value->type == JSON_LIST) {
        assert_int_equal(node->type,
                         value->type == JSON_OBJECT ? YAML_MAPPING_NODE : YAML_SEQUENCE_NODE);
        if (value->type == JSON_OBJECT)
            assert_same_members(doc, node, value);
        else
            assert_same_items(doc, node, value);
        return;
    }
    assert_int_equal(node->type, YAML_SCALAR_NODE);
    quoted = node->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    assert_int_equal(quoted, value->type == JSON_TEXT); /* "true" is no truth, "1" no number */
    if (!span_equal(node_text(node), quoted ? value->text : value->source))
        fail_msg("%.*s became %.*s", SPAN_ARG(value->source), SPAN_ARG(node_text(node)));
}

static void assert_yaml_says(struct span json)
{
    const struct json_value *value;
    struct sbuf out = sbuf_on(&arena, DOCUMENT_BYTES_MAX);
    yaml_parser_t parser;
    yaml_document_t doc;

    assert_int_equal(json_read(json, &arena, &value, NULL), ERR_OK);
    assert_int_equal(http_openapi_yaml(json, &arena, &out), ERR_OK);
    assert_int_equal(yaml_parser_initialize(&parser), 1);
    yaml_parser_set_input_string(&parser, (const unsigned char *)out.ptr, out.len);
    if (yaml_parser_load(&parser, &doc) != 1)
        fail_msg("line %zu: %s in %.*s", parser.problem_mark.line, parser.problem, SPAN_ARG(json));
    assert_same(&doc, yaml_document_get_root_node(&doc), value);
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
}

static void yaml_says_the_same(void **state)
{
    (void)state;
    assert_yaml_says(json_text);
}

/* Names and texts that YAML would take for something else. */
static void yaml_keeps_odd_texts(void **state)
{
    static const char *const texts[] = {
        "{\"a\":\"true\",\"b\":\"null\",\"c\":\"1.0\",\"d\":\"\",\"e\":\" x \",\"f\":\"# no\"}",
        "{\"yes\":1,\"no\":2,\"on\":3,\"null\":null,\"true\":true,\"n\":4,\"y\":5}",
        "{\"200\":{},\"/a/{b}\":[],\"x-y\":[[],[1,[2]],{}],\"a b\":-1.5e3,\"\":0,\"-\":1}",
        "{\"a\":\"line\\nline\\t\\\"quoted\\\" \\\\ back\",\"b\":\"\\u00e9\\u20ac\\ud83d\\ude00\"}",
        "{\"a\":[{\"b\":[{\"c\":1},{\"d\":[]}]},\"e\",false]}",
        "{\"$ref\":\"#/a\",\"key: value\":\"- item\",\"*\":\"&anchor\",\"!\":\"%\",\"@\":\"`\"}",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(texts); i++)
        assert_yaml_says(span_from(texts[i]));
}

static struct span committed(void)
{
    char path[512];
    char *text = arena_alloc(&arena, 2 * DOCUMENT_BYTES_MAX);
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/openapi/%s.yaml", PC_SOURCE_ROOT,
                   config_service_name(service));
    file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s is missing: run `make openapi`", path);
    assert_non_null(text);
    len = fread(text, 1, 2 * DOCUMENT_BYTES_MAX, file);
    assert_int_equal(fclose(file), 0);
    return span_make(text, len);
}

/* Who changes a table changes what others were promised, and shows it. */
static void the_committed_file_says_the_same(void **state)
{
    struct sbuf out = sbuf_on(&arena, 2 * DOCUMENT_BYTES_MAX);
    struct span file = committed();
    size_t at = 0;
    size_t line = 1;

    (void)state;
    assert_int_equal(http_openapi_yaml(json_text, &arena, &out), ERR_OK);
    for (; at < out.len && at < file.len && out.ptr[at] == file.ptr[at]; at++)
        line += out.ptr[at] == '\n';
    if (at != out.len || at != file.len)
        fail_msg("openapi/%s.yaml differs from the tables in line %zu: run `make openapi`",
                 config_service_name(service), line);
}

/* A buffer that is too small is an error, not half a document. */
static void a_small_buffer_is_told(void **state)
{
    char small[512];
    struct sbuf out = sbuf_over(small, sizeof(small));

    (void)state;
    assert_int_equal(http_openapi_write(&options, &out), ERR_NO_SPACE);
    out = sbuf_over(small, sizeof(small));
    assert_int_equal(http_openapi_yaml(json_text, &arena, &out), ERR_NO_SPACE);
    assert_int_equal(http_openapi_yaml(SPAN_OF("{"), &arena, &out), ERR_JSON_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_there),
        cmocka_unit_test(examples_of_bodies_are_taken),
        cmocka_unit_test(names_of_operations_are_unique),
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(schemas_are_all_used),
        cmocka_unit_test(yaml_says_the_same),
        cmocka_unit_test(yaml_keeps_odd_texts),
        cmocka_unit_test(the_committed_file_says_the_same),
        cmocka_unit_test(a_small_buffer_is_told),
    };

    int failed = 0;

    for (service = 0; service < CONFIG_SERVICE_COUNT; service++)
        failed += cmocka_run_group_tests_name(config_service_name(service), tests, make, drop);
    return failed;
}
