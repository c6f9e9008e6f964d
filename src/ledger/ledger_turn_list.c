/* SPDX-License-Identifier: MIT
 * The memory of a turn: lists, and an index from numbers to places in them. Both keep what they
 * have for the next turn, so that a posting asks the heap for nothing. */
#include "ledger/ledger_priv.h"

#include <string.h>

#include "base/alloc.h"

enum { KEPT_BYTES_MAX = 2 * 1024 * 1024, ROOM_FIRST = 32, INDEX_SIZE_FIRST = 64 };

enum err ledger_list_reserve(struct ledger_list *list, size_t more)
{
    size_t need = list->count + more;
    size_t room = list->room == 0 ? ROOM_FIRST : list->room;
    void *items;

    if (PC_LIKELY(need <= list->room))
        return ERR_OK;
    while (room < need)
        room *= 2;
    if (room > LIMIT_LEDGER_TURN_BYTES_MAX / list->item_bytes)
        return ERR_NO_MEMORY;
    items = alloc_resize(list->items, room * list->item_bytes);
    if (items == NULL)
        return ERR_NO_MEMORY;
    list->items = items;
    list->room = room;
    return ERR_OK;
}

void *ledger_list_push(struct ledger_list *list)
{
    PC_ASSERT(list->count < list->room);
    return memset(ledger_list_at(list, list->count++), 0, list->item_bytes);
}

void ledger_list_clear(struct ledger_list *list)
{
    list->count = 0;
    if (list->room * list->item_bytes > KEPT_BYTES_MAX)
        ledger_list_free(list);
}

void ledger_list_free(struct ledger_list *list)
{
    alloc_free(list->items);
    list->items = NULL;
    list->count = list->room = 0;
}

/* ---- index ------------------------------------------------------------------------------------
 */

static size_t place_of(const struct ledger_index_slot *slots, size_t size, int64_t key)
{
    size_t at = (size_t)((uint64_t)key * UINT64_C(0x9E3779B97F4A7C15) >> 20);

    for (at &= size - 1; slots[at].key != 0 && slots[at].key != key;)
        at = (at + 1) & (size - 1);
    return at;
}

/* At most half full, so that a search ends soon. */
enum err ledger_index_reserve(struct ledger_index *index, size_t more)
{
    size_t size = index->size == 0 ? INDEX_SIZE_FIRST : index->size;
    struct ledger_index_slot *slots;

    if (PC_LIKELY((index->count + more) * 2 <= index->size))
        return ERR_OK;
    while (size < (index->count + more) * 2)
        size *= 2;
    if (size > LIMIT_LEDGER_TURN_BYTES_MAX / sizeof(*slots))
        return ERR_NO_MEMORY;
    slots = alloc_zero(size * sizeof(*slots));
    if (slots == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < index->size; i++) {
        if (index->slots[i].key != 0)
            slots[place_of(slots, size, index->slots[i].key)] = index->slots[i];
    }
    alloc_free(index->slots);
    index->slots = slots;
    index->size = size;
    return ERR_OK;
}

void ledger_index_put(struct ledger_index *index, int64_t key, size_t value)
{
    size_t at;

    PC_ASSERT(key != 0 && index->count * 2 < index->size);
    at = place_of(index->slots, index->size, key);
    if (index->slots[at].key == 0)
        index->count++;
    index->slots[at] = (struct ledger_index_slot){.key = key, .value = value};
}

bool ledger_index_find(const struct ledger_index *index, int64_t key, size_t *ret_value)
{
    size_t at;

    if (index->size == 0 || key == 0)
        return false;
    at = place_of(index->slots, index->size, key);
    if (index->slots[at].key == 0)
        return false;
    *ret_value = index->slots[at].value;
    return true;
}

void ledger_index_clear(struct ledger_index *index)
{
    if (index->size * sizeof(*index->slots) > KEPT_BYTES_MAX)
        ledger_index_free(index);
    else if (index->count > 0)
        memset(index->slots, 0, index->size * sizeof(*index->slots));
    index->count = 0;
}

void ledger_index_free(struct ledger_index *index)
{
    alloc_free(index->slots);
    *index = (struct ledger_index){0};
}
