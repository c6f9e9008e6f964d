/* SPDX-License-Identifier: MIT
 * libFuzzer: any request target, query and Host. What is accepted is canonical: reading it again
 * changes nothing, and there is nothing in it that the next reader could take for something else.
 */
#include "http/http_path.h"

enum { ARENA_BYTES_MAX = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No empty and no dot segment, no control byte, valid UTF-8. */
static void check_canonical(struct span path)
{
    struct span rest = span_slice(path, 1, path.len);
    struct span segment;

    PC_ASSERT(path.len > 0 && path.ptr[0] == '/' && span_is_utf8(path));
    for (size_t i = 0; i < path.len; i++)
        PC_ASSERT((unsigned char)path.ptr[i] >= 0x20 && path.ptr[i] != 0x7F &&
                  path.ptr[i] != '\\' && path.ptr[i] != ';');
    while (span_cut(&rest, '/', &segment)) {
        PC_ASSERT(!span_is(segment, ".") && !span_is(segment, ".."));
        PC_ASSERT(segment.len > 0 || rest.len == 0);
    }
}

/* Encoded and read again it is itself. */
static void check_again(struct span path, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, ARENA_BYTES_MAX);
    struct http_target again;

    http_path_encode(&out, path);
    PC_ASSERT(!out.full);
    PC_ASSERT(http_target_read(sbuf_span(&out), arena, &again) == ERR_OK);
    PC_ASSERT(span_equal(again.path, path));
    PC_ASSERT(!again.path_is_plain || span_equal(sbuf_span(&out), path));
}

static void check_query(struct span query, struct arena *arena)
{
    struct span name;
    struct span value;
    size_t parts = 0;

    while (http_query_next(&query, arena, &name, &value) == ERR_OK) {
        PC_ASSERT(span_is_utf8(name) && span_is_utf8(value));
        PC_ASSERT(span_find(value, '\0') == value.len);
        parts++;
    }
    PC_ASSERT(parts <= ARENA_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_make(data, size);
    struct http_target target;
    struct arena arena;

    if (size > 4096)
        return 0;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (http_target_read(input, &arena, &target) == ERR_OK) {
        if (!span_is(target.path, "*")) {
            check_canonical(target.path);
            check_again(target.path, &arena);
        }
        PC_ASSERT(target.authority.len == 0 || http_host_is_valid(target.authority));
        check_query(target.query, &arena);
    }
    check_query(input, &arena);
    if (http_host_is_valid(input))
        PC_ASSERT(span_find(input, '@') == input.len && span_find(input, '/') == input.len);
    arena_reset(&arena);
    return 0;
}
