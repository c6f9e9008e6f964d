/* SPDX-License-Identifier: MIT
 * Reads the folder controls: one framework a file, each of its controls a mapping of texts.
 *
 *   framework: NAME, version: NAME, controls: [{id, title, claim, scope, checks, manual}]
 *
 * Every problem is told with its line and column, not only the first. A word that promises what no
 * program can know is one of them. */
#include "app/compliance.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "crypto/digest.h"

enum { TEXT_BYTES_MAX = 2000, PATH_BYTES_MAX = 4096, WORD_BYTES_MAX = 64 };

struct reader {
    yaml_document_t document;
    const char *name;
    FILE *tell;
    struct arena *arena;
    size_t problems;
};

/* ---- telling ---- */

PC_FORMAT(3, 4)
static void problem(struct reader *reader, yaml_mark_t mark, const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    (void)fprintf(reader->tell, "%s:%zu:%zu: %s\n", reader->name, mark.line + 1, mark.column + 1,
                  line);
    reader->problems++;
}

/* ---- words that no report may hold ---- */

static bool is_letter(char c)
{
    c = span_lower_char(c);
    return c >= 'a' && c <= 'z';
}

/* The next word of letters; false at the end. */
static bool word_cut(struct span *rest, struct span *ret_word)
{
    size_t from = 0;
    size_t to;

    while (from < rest->len && !is_letter(rest->ptr[from]))
        from++;
    to = from;
    while (to < rest->len && is_letter(rest->ptr[to]))
        to++;
    *ret_word = span_slice(*rest, from, to);
    *rest = span_slice(*rest, to, rest->len);
    return ret_word->len > 0;
}

static void words_check(struct reader *reader, const yaml_node_t *node, struct span text)
{
    static const char *const promises[] = {"compliant", "certified",  "complies",
                                           "guarantee", "guarantees", "guaranteed"};
    struct span word;

    while (word_cut(&text, &word))
        for (size_t i = 0; i < PC_COUNT(promises); i++)
            if (span_is_nocase(word, promises[i]))
                problem(reader, node->start_mark,
                        "\"%s\" is not for a program to say: tell what there is evidence for",
                        promises[i]);
}

/* ---- values ---- */

static struct span scalar(const yaml_node_t *node)
{
    return span_make(node->data.scalar.value, node->data.scalar.length);
}

static struct span text_read(struct reader *reader, const yaml_node_t *node, const char *key)
{
    struct span text = {0};

    if (node->type != YAML_SCALAR_NODE) {
        problem(reader, node->start_mark, "%s: takes a text", key);
        return text;
    }
    text = span_trim(scalar(node));
    if (text.len == 0 || text.len > TEXT_BYTES_MAX) {
        problem(reader, node->start_mark, "%s: takes 1 to %d bytes of text", key, TEXT_BYTES_MAX);
        return (struct span){0};
    }
    words_check(reader, node, text);
    text = arena_copy(reader->arena, text);
    if (text.ptr == NULL)
        problem(reader, node->start_mark, "out of memory");
    return text;
}

static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!(text.ptr[i] >= 'a' && text.ptr[i] <= 'z') && text.ptr[i] != '-' &&
            !(text.ptr[i] >= '0' && text.ptr[i] <= '9'))
            return false;
    return text.len > 0 && text.len <= WORD_BYTES_MAX;
}

static void checks_read(struct reader *reader, const yaml_node_t *node,
                        struct compliance_control *control)
{
    if (node->type != YAML_SEQUENCE_NODE) {
        problem(reader, node->start_mark, "checks: takes a list of names");
        return;
    }
    for (const yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        const yaml_node_t *one = yaml_document_get_node(&reader->document, *item);
        struct span name = text_read(reader, one, "checks");

        if (name.len > 0 && !is_name(name))
            problem(reader, one->start_mark, "checks: a name is of a to z, 0 to 9 and -");
        else if (control->check_count == COMPLIANCE_NAMES_MAX)
            problem(reader, one->start_mark, "checks: at most %d", COMPLIANCE_NAMES_MAX);
        else if (name.len > 0)
            control->checks[control->check_count++] = name;
    }
}

/* ---- mappings ---- */

struct key {
    const char *name;
    struct span *text; /* NULL: the value has another form, and is left in `node` */
    bool optional;
    const yaml_node_t *node;
};

static struct key *key_find(struct key *keys, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(name, keys[i].name))
            return &keys[i];
    return NULL;
}

static void keys_read(struct reader *reader, const yaml_node_t *node, struct key *keys,
                      size_t count)
{
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *name = yaml_document_get_node(&reader->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(&reader->document, pair->value);
        struct key *key =
            name->type == YAML_SCALAR_NODE ? key_find(keys, count, scalar(name)) : NULL;

        if (key == NULL) {
            problem(reader, name->start_mark, "unknown key; there is: %s, ...", keys[0].name);
            continue;
        }
        if (key->node != NULL)
            problem(reader, name->start_mark, "%s: is given twice", key->name);
        key->node = value;
        if (key->text != NULL)
            *key->text = text_read(reader, value, key->name);
    }
    for (size_t i = 0; i < count; i++)
        if (keys[i].node == NULL && !keys[i].optional)
            problem(reader, node->start_mark, "lacks \"%s\"", keys[i].name);
}

static void control_read(struct reader *reader, const yaml_node_t *node,
                         struct compliance_control *ret)
{
    struct key keys[] = {
        {.name = "id", .text = &ret->id},         {.name = "title", .text = &ret->title},
        {.name = "claim", .text = &ret->claim},   {.name = "scope", .text = &ret->scope},
        {.name = "manual", .text = &ret->manual}, {.name = "checks", .optional = true},
    };

    if (node->type != YAML_MAPPING_NODE) {
        problem(reader, node->start_mark, "a control is a mapping: id, title, claim, ...");
        return;
    }
    keys_read(reader, node, keys, PC_COUNT(keys));
    if (keys[5].node != NULL)
        checks_read(reader, keys[5].node, ret);
}

static void controls_read(struct reader *reader, const yaml_node_t *node,
                          struct compliance_framework *ret)
{
    const yaml_node_item_t *items = node->data.sequence.items.start;
    size_t count =
        node->type == YAML_SEQUENCE_NODE ? (size_t)(node->data.sequence.items.top - items) : 0;

    if (count == 0 || count > COMPLIANCE_CONTROLS_MAX) {
        problem(reader, node->start_mark, "controls: takes a list of 1 to %d",
                COMPLIANCE_CONTROLS_MAX);
        return;
    }
    ret->controls = arena_array(reader->arena, count, sizeof(*ret->controls));
    if (ret->controls == NULL) {
        problem(reader, node->start_mark, "out of memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const yaml_node_t *one = yaml_document_get_node(&reader->document, items[i]);

        control_read(reader, one, &ret->controls[i]);
        for (size_t k = 0; k < i; k++)
            if (ret->controls[i].id.len > 0 && span_equal(ret->controls[k].id, ret->controls[i].id))
                problem(reader, one->start_mark, "the id %.*s is used twice",
                        SPAN_ARG(ret->controls[i].id));
    }
    ret->count = count;
}

static void root_read(struct reader *reader, struct compliance_framework *ret)
{
    const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
    struct key keys[] = {
        {.name = "framework", .text = &ret->name},
        {.name = "version", .text = &ret->version},
        {.name = "controls"},
    };

    if (root == NULL || root->type != YAML_MAPPING_NODE) {
        problem(reader, reader->document.start_mark,
                "the file must hold framework, version and controls");
        return;
    }
    keys_read(reader, root, keys, PC_COUNT(keys));
    if (keys[2].node != NULL)
        controls_read(reader, keys[2].node, ret);
}

static void syntax_tell(struct reader *reader, const yaml_parser_t *parser)
{
    problem(reader, parser->problem_mark, "%s",
            parser->problem != NULL ? parser->problem : "this is not YAML");
}

bool compliance_framework_read(struct span text, const char *name, FILE *tell, struct arena *arena,
                               struct compliance_framework *ret)
{
    struct reader reader = {.name = name, .tell = tell, .arena = arena};
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct sbuf hex = sbuf_over(ret->sha256, sizeof(ret->sha256));
    yaml_parser_t parser;

    memset(ret, 0, sizeof(*ret));
    ret->file = arena_copy(arena, span_from(name));
    crypto_sha256(text, digest);
    sbuf_add_hex(&hex, digest, sizeof(digest));
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.ptr, text.len);
    if (!yaml_parser_load(&parser, &reader.document)) {
        syntax_tell(&reader, &parser);
    } else {
        root_read(&reader, ret);
        yaml_document_delete(&reader.document);
    }
    yaml_parser_delete(&parser);
    return reader.problems == 0;
}

/* ---- the folder ---- */

static bool file_read(const char *path, FILE *tell, struct arena *arena, struct span *ret)
{
    char *room = arena_bytes(arena, COMPLIANCE_FILE_BYTES_MAX + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t bytes = 0;
    ssize_t n = 1;

    while (fd >= 0 && room != NULL && n > 0 && bytes <= COMPLIANCE_FILE_BYTES_MAX) {
        n = read(fd, room + bytes, COMPLIANCE_FILE_BYTES_MAX + 1 - bytes);
        bytes += n > 0 ? (size_t)n : 0;
    }
    if (fd < 0 || n < 0 || room == NULL || bytes > COMPLIANCE_FILE_BYTES_MAX)
        (void)fprintf(tell, "%s: %s\n", path,
                      bytes > COMPLIANCE_FILE_BYTES_MAX ? "the file is too large"
                                                        : strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    *ret = span_make(room, bytes);
    return fd >= 0 && n >= 0 && room != NULL && bytes <= COMPLIANCE_FILE_BYTES_MAX;
}

static bool entry_read(const char *folder, const char *name, FILE *tell, struct arena *arena,
                       struct compliance_matrix *ret)
{
    char path[PATH_BYTES_MAX];
    struct span text;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return file_read(path, tell, arena, &text) &&
           compliance_framework_read(text, path, tell, arena, &ret->list[ret->count++]);
}

/* The names of the folder's files in order. */
static bool names_read(DIR *folder, const char *path, FILE *tell, struct arena *arena,
                       const char *names[COMPLIANCE_FRAMEWORKS_MAX], size_t *ret_count)
{
    const struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(folder)) != NULL) {
        struct span name = span_from(entry->d_name);
        const char *kept;
        size_t at = count;

        if (entry->d_name[0] == '.' || !span_ends(name, SPAN_OF(".yaml")))
            continue;
        kept = arena_string(arena, name);
        if (count == COMPLIANCE_FRAMEWORKS_MAX || kept == NULL) {
            (void)fprintf(tell, "%s: more than %d files\n", path, COMPLIANCE_FRAMEWORKS_MAX);
            return false;
        }
        for (; at > 0 && strcmp(names[at - 1], kept) > 0; at--)
            names[at] = names[at - 1];
        names[at] = kept;
        count++;
    }
    if (count == 0)
        (void)fprintf(tell, "%s: holds no *.yaml\n", path);
    *ret_count = count;
    return count > 0;
}

bool compliance_matrix_read(const char *folder, FILE *tell, struct arena *arena,
                            struct compliance_matrix *ret)
{
    const char *names[COMPLIANCE_FRAMEWORKS_MAX];
    DIR *opened = opendir(folder);
    size_t count = 0;
    bool good;

    ret->count = 0;
    if (opened == NULL) {
        (void)fprintf(tell, "%s: %s\n", folder, strerror(errno));
        return false;
    }
    good = names_read(opened, folder, tell, arena, names, &count);
    (void)closedir(opened);
    for (size_t i = 0; i < count; i++)
        if (!entry_read(folder, names[i], tell, arena, ret))
            good = false;
    return good;
}
