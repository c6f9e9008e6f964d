/* SPDX-License-Identifier: MIT
 * Memory that goes all at once: bytes are bumped off a first buffer that the owner lends, then off
 * heap chunks, up to a hard cap. Failing is sticky, so a long parse may check once at its end.
 *
 *   arena_init(&arena, first, sizeof(first), REQUEST_ARENA_BYTES_MAX);
 *   text = arena_copy(&arena, span);
 *   arena_reset(&arena);          gives every chunk back, keeps the first buffer
 *
 * Threads: one at a time (an arena is handed over together with its job).
 * Memory: arena_reset frees every chunk; a reset arena needs nothing further, a rewound one needs
 *         arena_wipe. */
#ifndef PC_BASE_ARENA_H
#define PC_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct arena_chunk;

struct arena {
    char *at;                   /* next free byte */
    char *end;                  /* one past the current buffer */
    char *first;                /* lent by the owner; may be NULL */
    size_t first_bytes;         /* its size */
    size_t first_dirty;         /* of the first buffer: what was taken since it was wiped */
    struct arena_chunk *chunks; /* newest first */
    struct arena_chunk *spare;  /* kept by arena_rewind, with what they held */
    size_t bytes_left;          /* what may still be taken from the heap */
    size_t bytes_max;           /* cap over all heap chunks */
    bool overflowed;            /* sticky: some allocation failed */
};

/* `first` may be NULL with first_bytes 0. bytes_max bounds the heap chunks, the first is extra. */
void arena_init(struct arena *arena, void *first, size_t first_bytes, size_t bytes_max);

/* NULL (and sticky overflow) past the cap or when the heap refuses. Any alignment up to 16. */
PC_CHECKED void *arena_alloc(struct arena *arena, size_t bytes);
PC_CHECKED void *arena_zero(struct arena *arena, size_t bytes);
PC_CHECKED void *arena_array(struct arena *arena, size_t count, size_t item_bytes); /* zeroed */

/* Unaligned bytes, for text. */
PC_CHECKED char *arena_bytes(struct arena *arena, size_t bytes);

/* A copy that lives in the arena; {NULL, 0} when there was no room (see overflowed). */
struct span arena_copy(struct arena *arena, struct span s);

/* The same with a NUL behind it, for C libraries; NULL when there was no room. */
PC_CHECKED const char *arena_string(struct arena *arena, struct span s);

/* Grows the newest block in place if `block` is the last thing taken, else copies. NULL on failure,
 * and the old block stays good. */
PC_CHECKED char *arena_extend(struct arena *arena, char *block, size_t bytes_old, size_t bytes_new);

/* Overwrites what was taken with zeros, forgets it and clears the sticky mark. */
void arena_reset(struct arena *arena);

/* The same for who comes back soon: a few chunks are kept for the next use, and nothing is
 * overwritten before arena_wipe. */
void arena_rewind(struct arena *arena);
/* Overwrites what earlier uses left, and gives back the chunks that were kept. Between uses. */
void arena_wipe(struct arena *arena);

#endif
