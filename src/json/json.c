/* SPDX-License-Identifier: MIT
 * The strict reader of json.h. It stands between a body and every rule of a service: what passes
 * here means one thing only.
 *
 * One pass, no recursion. Values are collected on a stack; when a list or object closes, its
 * children move from the top of the stack into one block of the arena:
 *
 *   read_document -> read_value -> scalar: one value more on the stack
 *                               -> open:   the container's value, and depth + 1
 *                 -> read_next  -> close:  children leave the stack, depth - 1
 *                               -> ',' and a name, then read_value
 *
 * The stack begins inside the reader, so that a small body allocates only what it keeps. */
#include "json/json.h"

#include <string.h>

#include "json/json_priv.h"

static const char *const reason_texts[] = {
    [JSON_REASON_NONE] = "nothing is wrong",
    [JSON_REASON_BOM] = "a byte order mark is not allowed",
    [JSON_REASON_VALUE] = "a value is expected here",
    [JSON_REASON_NAME] = "a member name in double quotes is expected here",
    [JSON_REASON_COLON] = "a ':' is expected here",
    [JSON_REASON_LIST_NEXT] = "a ',' or ']' is expected here",
    [JSON_REASON_OBJECT_NEXT] = "a ',' or '}' is expected here",
    [JSON_REASON_TRAILING] = "nothing may follow the value",
    [JSON_REASON_NUMBER] = "the number is malformed",
    [JSON_REASON_NUMBER_LONG] = "the number has too many characters",
    [JSON_REASON_TEXT_OPEN] = "the text has no closing quote",
    [JSON_REASON_CONTROL] = "a control character in a text must be escaped",
    [JSON_REASON_ESCAPE] = "the escape is unknown",
    [JSON_REASON_SURROGATE] = "half of a surrogate pair is no character",
    [JSON_REASON_UTF8] = "the bytes are not valid UTF-8",
    [JSON_REASON_DEPTH] = "the nesting is too deep",
    [JSON_REASON_MEMBERS] = "the object has too many members",
    [JSON_REASON_DUPLICATE] = "the member name is used twice",
    [JSON_REASON_TOO_LARGE] = "the text holds too much",
    [JSON_REASON_MEMORY] = "out of memory",
};
_Static_assert(PC_COUNT(reason_texts) == JSON_REASON_COUNT, "every reason has its text");

const char *json_reason_text(enum json_reason reason)
{
    PC_ASSERT(reason < JSON_REASON_COUNT);
    return reason_texts[reason];
}

bool json_reader_fail(struct json_reader *r, enum json_reason reason, const char *wrong)
{
    PC_ASSERT(r->reason == JSON_REASON_NONE);
    r->reason = reason;
    r->wrong = wrong;
    return false;
}

/* Past the arena's cap the text is at fault, before it the machine. */
bool json_reader_fail_room(struct json_reader *r, size_t bytes)
{
    bool capped = bytes > r->arena->bytes_left;

    return json_reader_fail(r, capped ? JSON_REASON_TOO_LARGE : JSON_REASON_MEMORY, r->at);
}

static void skip_space(struct json_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t'))
        r->at++;
}

static bool next_is(const struct json_reader *r, char c)
{
    return r->at < r->end && *r->at == c;
}

static bool grow_stack(struct json_reader *r)
{
    size_t bytes = r->room * 2 * sizeof(*r->stack);
    struct json_value *grown = arena_alloc(r->arena, bytes);

    if (grown == NULL)
        return json_reader_fail_room(r, bytes);
    memcpy(grown, r->stack, r->used * sizeof(*r->stack));
    r->stack = grown;
    r->room *= 2;
    return true;
}

static bool push(struct json_reader *r, struct json_value value)
{
    if (r->used == r->room && !grow_stack(r))
        return false;
    value.name = r->name;
    r->name = (struct span){0};
    r->stack[r->used++] = value;
    return true;
}

static bool open_container(struct json_reader *r, enum json_type type)
{
    struct json_value value = {.type = type, .source = span_make(r->at, 1)};

    if (r->depth == LIMIT_JSON_DEPTH_MAX)
        return json_reader_fail(r, JSON_REASON_DEPTH, r->at);
    r->open[r->depth] = r->used;
    if (!push(r, value))
        return false;
    r->depth++;
    r->at++;
    return true;
}

/* The closing bracket is at r->at. */
static bool close_container(struct json_reader *r)
{
    struct json_value *container = &r->stack[r->open[r->depth - 1]];
    struct json_value *children = container + 1;
    size_t count = (size_t)(r->stack + r->used - children);

    r->at++;
    r->depth--;
    container->source.len = (size_t)(r->at - container->source.ptr);
    container->count = (uint32_t)count;
    if (count > 0) {
        struct json_value *kept = arena_alloc(r->arena, count * sizeof(*kept));

        if (kept == NULL)
            return json_reader_fail_room(r, count * sizeof(*kept));
        memcpy(kept, children, count * sizeof(*kept));
        container->items = kept;
        r->used -= count;
    }
    if (container->type == JSON_OBJECT && !r->duplicates)
        return json_reader_unique(r, container);
    return true;
}

static bool read_literal(struct json_reader *r, enum json_type type, struct span literal)
{
    const char *begin = r->at;

    if (!span_starts(span_make(begin, (size_t)(r->end - begin)), literal))
        return json_reader_fail(r, JSON_REASON_VALUE, begin);
    r->at += literal.len;
    return push(r, (struct json_value){.type = type, .source = span_make(begin, literal.len)});
}

static bool read_text_value(struct json_reader *r)
{
    struct json_value value = {.type = JSON_TEXT};
    const char *begin = r->at;

    if (!json_reader_text(r, &value.text))
        return false;
    value.source = span_make(begin, (size_t)(r->at - begin));
    return push(r, value);
}

static bool read_number_value(struct json_reader *r)
{
    struct json_value value = {.type = JSON_NUMBER};

    if (!json_reader_number(r, &value.text))
        return false;
    value.source = value.text;
    return push(r, value);
}

static bool read_value(struct json_reader *r)
{
    switch (r->at < r->end ? *r->at : '\0') {
    case '{':
        return open_container(r, JSON_OBJECT);
    case '[':
        return open_container(r, JSON_LIST);
    case '"':
        return read_text_value(r);
    case 't':
        return read_literal(r, JSON_BOOL, SPAN_OF("true"));
    case 'f':
        return read_literal(r, JSON_BOOL, SPAN_OF("false"));
    case 'n':
        return read_literal(r, JSON_NULL, SPAN_OF("null"));
    default:
        return read_number_value(r);
    }
}

static bool read_name(struct json_reader *r, size_t members)
{
    if (!next_is(r, '"'))
        return json_reader_fail(r, JSON_REASON_NAME, r->at);
    if (members == LIMIT_JSON_MEMBERS_MAX)
        return json_reader_fail(r, JSON_REASON_MEMBERS, r->at);
    if (!json_reader_text(r, &r->name))
        return false;
    skip_space(r);
    if (!next_is(r, ':'))
        return json_reader_fail(r, JSON_REASON_COLON, r->at);
    r->at++;
    skip_space(r);
    return true;
}

/* One step inside the innermost container: its end, or its next child. */
static bool read_next(struct json_reader *r)
{
    size_t place = r->open[r->depth - 1];
    bool object = r->stack[place].type == JSON_OBJECT;
    size_t children = r->used - place - 1;

    skip_space(r);
    if (next_is(r, object ? '}' : ']'))
        return close_container(r);
    if (children > 0) {
        if (!next_is(r, ','))
            return json_reader_fail(r, object ? JSON_REASON_OBJECT_NEXT : JSON_REASON_LIST_NEXT,
                                    r->at);
        r->at++;
        skip_space(r);
    }
    if (object && !read_name(r, children))
        return false;
    return read_value(r);
}

static bool read_document(struct json_reader *r)
{
    if (span_starts(span_make(r->at, (size_t)(r->end - r->at)), SPAN_OF("\xEF\xBB\xBF")))
        return json_reader_fail(r, JSON_REASON_BOM, r->at);
    skip_space(r);
    if (!read_value(r))
        return false;
    while (r->depth > 0) {
        if (!read_next(r))
            return false;
    }
    skip_space(r);
    if (r->at < r->end)
        return json_reader_fail(r, JSON_REASON_TRAILING, r->at);
    PC_ASSERT(r->used == 1);
    return true;
}

/* Lines end at LF; a column counts characters, so bytes that continue one are passed over. */
static void locate(const struct json_reader *r, struct json_fault *ret_fault)
{
    struct json_fault fault = {
        .reason = r->reason, .offset = (size_t)(r->wrong - r->begin), .line = 1, .column = 1};

    for (const char *at = r->begin; at < r->wrong; at++) {
        if (*at == '\n') {
            fault.line++;
            fault.column = 1;
        } else if (((unsigned char)*at & 0xC0) != 0x80) {
            fault.column++;
        }
    }
    *ret_fault = fault;
}

static enum err fault_err(enum json_reason reason)
{
    if (reason == JSON_REASON_MEMORY)
        return ERR_NO_MEMORY;
    return reason == JSON_REASON_TOO_LARGE ? ERR_BODY_TOO_LARGE : ERR_JSON_SYNTAX;
}

static bool read_root(struct json_reader *r, struct json_value **ret_root)
{
    struct json_value *root;

    if ((size_t)(r->end - r->begin) > UINT32_MAX)
        return json_reader_fail(r, JSON_REASON_TOO_LARGE, r->begin);
    if (!read_document(r))
        return false;
    root = arena_alloc(r->arena, sizeof(*root));
    if (root == NULL)
        return json_reader_fail_room(r, sizeof(*root));
    *root = r->stack[0];
    *ret_root = root;
    return true;
}

/* Not zeroed as a whole: the stack is large, and written before it is read. */
static void begin(struct json_reader *r, struct span text, struct arena *arena, bool duplicates)
{
    r->begin = text.ptr ? text.ptr : "";
    r->at = r->begin;
    r->end = r->begin + text.len;
    r->arena = arena;
    r->duplicates = duplicates;
    r->reason = JSON_REASON_NONE;
    r->wrong = NULL;
    r->name = (struct span){0};
    r->keyed = false;
    r->stack = r->first;
    r->used = 0;
    r->room = PC_COUNT(r->first);
    r->depth = 0;
}

static enum err read_with(struct span text, struct arena *arena, bool duplicates,
                          const struct json_value **ret_root, struct json_fault *ret_fault)
{
    struct json_reader r;
    struct json_value *root;

    begin(&r, text, arena, duplicates);
    if (!read_root(&r, &root)) {
        if (ret_fault != NULL)
            locate(&r, ret_fault);
        return fault_err(r.reason);
    }
    *ret_root = root;
    return ERR_OK;
}

enum err json_read(struct span text, struct arena *arena, const struct json_value **ret_root,
                   struct json_fault *ret_fault)
{
    return read_with(text, arena, false, ret_root, ret_fault);
}

enum err json_read_grammar(struct span text, struct arena *arena,
                           const struct json_value **ret_root, struct json_fault *ret_fault)
{
    return read_with(text, arena, true, ret_root, ret_fault);
}
