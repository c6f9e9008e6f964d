/* SPDX-License-Identifier: MIT
 * Records on their way to the commit that they belong to. Each writing handle has one list, which
 * is used again for every commit, so that adding a record costs a copy of its texts and nothing
 * else. */
#include "trail/trail_priv.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "crypto/random.h"

enum {
    FIRST_BYTES = 64 * 1024, /* of texts that cost no allocation */
    ROOM_FIRST = 64,
    ROOM_KEPT = 8192, /* records; a list that grew beyond is let go */
};

void *trail_list_open(void)
{
    struct trail_list *list = alloc_zero(sizeof(*list));

    if (list == NULL)
        return NULL;
    list->first = alloc_raw(FIRST_BYTES);
    if (list->first == NULL) {
        alloc_free(list);
        return NULL;
    }
    arena_init(&list->arena, list->first, FIRST_BYTES, LIMIT_TRAIL_COMMIT_BYTES_MAX);
    random_batch_init(&list->random, &crypto_random);
    trail_hasher_init(&list->hasher);
    return list;
}

void trail_list_close(void *state)
{
    struct trail_list *list = state;

    trail_hasher_free(&list->hasher);
    arena_reset(&list->arena);
    alloc_free(list->first);
    alloc_free(list->entries);
    alloc_free(list);
}

void trail_list_begin(void *state)
{
    struct trail_list *list = state;

    arena_reset(&list->arena);
    list->count = 0;
    if (list->room <= ROOM_KEPT)
        return;
    alloc_free(list->entries);
    list->entries = NULL;
    list->room = 0;
}

size_t trail_list_mark(const void *state)
{
    const struct trail_list *list = state;

    return list->count;
}

void trail_list_undo(void *state, size_t mark)
{
    struct trail_list *list = state;

    PC_ASSERT(mark <= list->count);
    list->count = mark;
}

struct trail_entry *trail_list_push(struct trail_list *list)
{
    size_t room = list->room == 0 ? ROOM_FIRST : list->room * 2;
    struct trail_entry *entries;

    if (list->count == list->room) {
        entries = alloc_resize(list->entries, room * sizeof(*entries));
        if (entries == NULL)
            return NULL;
        list->entries = entries;
        list->room = room;
    }
    list->entries[list->count] = (struct trail_entry){0};
    return &list->entries[list->count++];
}
