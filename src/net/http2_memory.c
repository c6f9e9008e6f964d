/* SPDX-License-Identifier: MIT
 * The memory of one nghttp2 session: counted, bounded, and given back all at once.
 *
 * Freeing block by block what a session holds would trust it to be whole. It is not when memory ran
 * out while it was sending: nghttp2 1.52 then frees an item that a stream of it still points at.
 *
 * A request takes eight small blocks and gives them back: a loop keeps some for the next one. */
#include <string.h>

#include "base/alloc.h"
#include "net/http2_priv.h"

enum {
    SIZE_STEP = 64, /* small blocks have room for a multiple of it */
    SMALL_BYTES_MAX = SIZE_STEP * NET_HTTP2_SPARE_SIZES,
    SPARE_BYTES_MAX = PC_HAS_ASAN ? 0 : 128 * 1024, /* of a loop; ASan sees what is freed */
    FRAME_BYTES = 16384 + 9 + 1, /* a payload, its head and how much padding there is */
};

struct net_http2_block {
    struct net_http2_block *next;
    struct net_http2_block **link;
    size_t bytes;
    _Alignas(16) char data[];
};

static bool has_room(const struct net_http2_memory *memory, size_t bytes)
{
    return bytes <= NET_HTTP2_MEMORY_BYTES_MAX &&
           memory->bytes <= NET_HTTP2_MEMORY_BYTES_MAX - bytes;
}

static bool is_small(size_t bytes)
{
    return bytes > 0 && bytes <= SMALL_BYTES_MAX;
}

static size_t room_of(size_t bytes)
{
    return is_small(bytes) ? (bytes + SIZE_STEP - 1) / SIZE_STEP * SIZE_STEP : bytes;
}

static struct net_http2_block **spare_of(struct net_http2_spares *spares, size_t bytes)
{
    return &spares->blocks[(bytes - 1) / SIZE_STEP];
}

static struct net_http2_block *block_new(struct net_http2_memory *memory, size_t bytes)
{
    struct net_http2_block **spare = is_small(bytes) ? spare_of(memory->spares, bytes) : NULL;
    struct net_http2_block *block;

    if (spare == NULL || *spare == NULL)
        return alloc_raw(sizeof(*block) + room_of(bytes));
    block = *spare;
    *spare = block->next;
    memory->spares->bytes -= room_of(bytes);
    return block;
}

static void block_free(struct net_http2_memory *memory, struct net_http2_block *block)
{
    struct net_http2_spares *spares = memory->spares;
    struct net_http2_block **spare;

    alloc_wipe(block->data, block->bytes); /* a header of somebody's */
    if (!is_small(block->bytes) || spares->bytes + room_of(block->bytes) > SPARE_BYTES_MAX) {
        alloc_free(block);
        return;
    }
    spare = spare_of(spares, block->bytes);
    spares->bytes += room_of(block->bytes);
    block->next = *spare;
    *spare = block;
}

static void *block_link(struct net_http2_memory *memory, struct net_http2_block *block,
                        size_t bytes)
{
    block->bytes = bytes;
    block->next = memory->blocks;
    block->link = &memory->blocks;
    if (block->next != NULL)
        block->next->link = &block->next;
    memory->blocks = block;
    memory->bytes += bytes;
    return block->data;
}

static struct net_http2_block *block_unlink(struct net_http2_memory *memory, void *data)
{
    struct net_http2_block *block = PC_CONTAINER(data, struct net_http2_block, data);

    if (block == memory->frames)
        memory->frames = NULL;
    *block->link = block->next;
    if (block->next != NULL)
        block->next->link = block->link;
    memory->bytes -= block->bytes;
    return block;
}

static void *give(size_t bytes, void *user)
{
    struct net_http2_block *block = NULL;

    if (has_room(user, bytes))
        block = block_new(user, bytes);
    return block != NULL ? block_link(user, block, bytes) : NULL;
}

static void *give_zeros(size_t count, size_t each, void *user)
{
    void *data = NULL;

    if (each == 0 || count <= NET_HTTP2_MEMORY_BYTES_MAX / each)
        data = give(count * each, user);
    if (data != NULL)
        memset(data, 0, count * each);
    return data;
}

static void take_back(void *data, void *user)
{
    if (data != NULL)
        block_free(user, block_unlink(user, data));
}

/* Blocks that are not small grow where they are, if they can. */
static void *resize_large(struct net_http2_memory *memory, void *data, size_t bytes)
{
    struct net_http2_block *old = block_unlink(memory, data);
    size_t old_bytes = old->bytes;
    struct net_http2_block *block = alloc_resize(old, sizeof(*block) + bytes);

    if (block == NULL) {
        (void)block_link(memory, old, old_bytes);
        return NULL;
    }
    return block_link(memory, block, bytes);
}

static void *resize(void *data, size_t bytes, void *user)
{
    struct net_http2_memory *memory = user;
    size_t old_bytes;
    void *larger;

    if (data == NULL)
        return give(bytes, user);
    if (!has_room(memory, bytes))
        return NULL;
    old_bytes = PC_CONTAINER(data, struct net_http2_block, data)->bytes;
    if (!is_small(old_bytes) && !is_small(bytes))
        return resize_large(memory, data, bytes);
    larger = give(bytes, user);
    if (larger == NULL)
        return NULL;
    memcpy(larger, data, old_bytes < bytes ? old_bytes : bytes);
    take_back(data, user);
    return larger;
}

nghttp2_mem net_http2_memory_functions(struct net_http2_memory *memory)
{
    return (nghttp2_mem){.mem_user_data = memory,
                         .malloc = give,
                         .calloc = give_zeros,
                         .realloc = resize,
                         .free = take_back};
}

/* nghttp2 has one such block from the beginning and uses it for what is being sent alone. Another
 * nghttp2 may do otherwise: then it is not found, and a connection that waits costs more. */
void net_http2_memory_made(struct net_http2_memory *memory)
{
    for (struct net_http2_block *block = memory->blocks; block != NULL; block = block->next) {
        if (block->bytes == FRAME_BYTES)
            memory->frames = block;
    }
}

void net_http2_memory_rest(struct net_http2_memory *memory)
{
    if (memory->frames != NULL)
        alloc_rest(memory->frames->data, memory->frames->bytes);
}

void net_http2_memory_free(struct net_http2_memory *memory)
{
    while (memory->blocks != NULL)
        block_free(memory, block_unlink(memory, memory->blocks->data));
}

void net_http2_spares_free(struct net_http2_spares *spares)
{
    for (size_t i = 0; i < PC_COUNT(spares->blocks); i++) {
        while (spares->blocks[i] != NULL) {
            struct net_http2_block *block = spares->blocks[i];

            spares->blocks[i] = block->next;
            alloc_free(block);
        }
    }
}
