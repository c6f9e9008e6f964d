/* SPDX-License-Identifier: MIT
 * The bump allocator of arena.h. Chunks double from 4 KiB, so a request of n bytes costs O(log n)
 * calls of malloc, and most requests never leave the first buffer. */
#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum { CHUNK_BYTES_MIN = 4096, CHUNK_BYTES_KEPT = 8192, ALIGN_BYTES = 16 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t bytes; /* of data that follows */
    size_t dirty; /* of them: what was taken since it was new; of the newest only when it is left */
    _Alignas(ALIGN_BYTES) char data[];
};

void arena_init(struct arena *arena, void *first, size_t first_bytes, size_t bytes_max)
{
    *arena = (struct arena){.at = first,
                            .end = first ? (char *)first + first_bytes : NULL,
                            .first = first,
                            .first_bytes = first_bytes,
                            .bytes_left = bytes_max,
                            .bytes_max = bytes_max};
}

/* Notes how far the buffer was filled that is bumped now. */
static void leave(struct arena *arena)
{
    char *from = arena->chunks != NULL ? arena->chunks->data : arena->first;
    size_t *dirty = arena->chunks != NULL ? &arena->chunks->dirty : &arena->first_dirty;

    if (from != NULL && (size_t)(arena->at - from) > *dirty)
        *dirty = (size_t)(arena->at - from);
}

/* One of those that were kept, if it is of that size: small uses are alike. A test that makes the
 * n-th allocation fail counts as if none were. */
static struct arena_chunk *chunk_kept(struct arena *arena, size_t bytes)
{
    if (PC_UNLIKELY(alloc_fail_pending()))
        return NULL;
    for (struct arena_chunk **link = &arena->spare; *link != NULL; link = &(*link)->older) {
        struct arena_chunk *chunk = *link;

        if (chunk->bytes == bytes) {
            *link = chunk->older;
            return chunk;
        }
    }
    return NULL;
}

static struct arena_chunk *chunk_new(size_t bytes)
{
    struct arena_chunk *chunk = alloc_raw(sizeof(*chunk) + bytes);

    if (chunk != NULL) {
        chunk->bytes = bytes;
        chunk->dirty = 0;
    }
    return chunk;
}

static bool chunk_add(struct arena *arena, size_t bytes)
{
    size_t size = arena->chunks ? arena->chunks->bytes * 2 : CHUNK_BYTES_MIN;
    struct arena_chunk *chunk;

    while (size < bytes)
        size *= 2;
    if (size > arena->bytes_left)
        size = arena->bytes_left;
    if (size < bytes)
        return false;
    chunk = chunk_kept(arena, size);
    if (chunk == NULL)
        chunk = chunk_new(size);
    if (chunk == NULL)
        return false;
    leave(arena);
    chunk->older = arena->chunks;
    arena->chunks = chunk;
    arena->bytes_left -= size;
    arena->at = chunk->data;
    arena->end = chunk->data + size;
    return true;
}

static void chunk_free(struct arena_chunk *chunk)
{
    alloc_wipe(chunk->data, chunk->dirty);
    alloc_free(chunk);
}

static void *take(struct arena *arena, size_t bytes, size_t align)
{
    size_t pad = (size_t)(-(uintptr_t)arena->at & (align - 1));
    char *block;

    if (arena->at == NULL || pad + bytes > (size_t)(arena->end - arena->at)) {
        if (bytes > arena->bytes_max || !chunk_add(arena, bytes)) {
            arena->overflowed = true;
            return NULL;
        }
        pad = 0;
    }
    block = arena->at + pad;
    arena->at = block + bytes;
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    return take(arena, bytes, ALIGN_BYTES);
}

void *arena_zero(struct arena *arena, size_t bytes)
{
    void *block = take(arena, bytes, ALIGN_BYTES);

    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}

void *arena_array(struct arena *arena, size_t count, size_t item_bytes)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, item_bytes, &bytes)) {
        arena->overflowed = true;
        return NULL;
    }
    return arena_zero(arena, bytes);
}

char *arena_bytes(struct arena *arena, size_t bytes)
{
    return take(arena, bytes, 1);
}

struct span arena_copy(struct arena *arena, struct span s)
{
    char *block = take(arena, s.len, 1);

    if (block == NULL)
        return (struct span){0};
    if (s.len > 0)
        memcpy(block, s.ptr, s.len);
    return (struct span){.ptr = block, .len = s.len};
}

const char *arena_string(struct arena *arena, struct span s)
{
    char *block = take(arena, s.len + 1, 1);

    if (block == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(block, s.ptr, s.len);
    block[s.len] = '\0';
    return block;
}

char *arena_extend(struct arena *arena, char *block, size_t bytes_old, size_t bytes_new)
{
    char *grown;

    PC_ASSERT(bytes_new >= bytes_old);
    PC_ASSERT(block != NULL || bytes_old == 0);
    if (block != NULL && block + bytes_old == arena->at &&
        bytes_new - bytes_old <= (size_t)(arena->end - arena->at)) {
        arena->at += bytes_new - bytes_old;
        return block;
    }
    grown = take(arena, bytes_new, 1);
    if (grown != NULL && bytes_old > 0)
        memcpy(grown, block, bytes_old);
    return grown;
}

static void begin_again(struct arena *arena)
{
    arena->at = arena->first;
    arena->end = arena->first != NULL ? arena->first + arena->first_bytes : NULL;
    arena->bytes_left = arena->bytes_max;
    arena->overflowed = false;
}

void arena_rewind(struct arena *arena)
{
    leave(arena);
    while (arena->chunks != NULL) {
        struct arena_chunk *chunk = arena->chunks;

        arena->chunks = chunk->older;
        if (chunk->bytes > CHUNK_BYTES_KEPT) {
            chunk_free(chunk);
            continue;
        }
        chunk->older = arena->spare;
        arena->spare = chunk;
    }
    begin_again(arena);
}

void arena_wipe(struct arena *arena)
{
    PC_ASSERT(arena->chunks == NULL && arena->at == arena->first);
    while (arena->spare != NULL) {
        struct arena_chunk *chunk = arena->spare;

        arena->spare = chunk->older;
        chunk_free(chunk);
    }
    if (arena->first_dirty > 0)
        alloc_wipe(arena->first, arena->first_dirty);
    arena->first_dirty = 0;
}

/* What a request said (a password, a token) is not left for whoever gets the memory next. */
void arena_reset(struct arena *arena)
{
    arena_rewind(arena);
    arena_wipe(arena);
}
