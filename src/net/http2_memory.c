/* SPDX-License-Identifier: MIT
 * The memory of one nghttp2 session: counted, bounded, and given back all at once.
 *
 * Freeing block by block what a session holds would trust it to be whole. It is not when memory ran
 * out while it was sending: nghttp2 1.52 then frees an item that a stream of it still points at. */
#include "base/alloc.h"
#include "net/http2_priv.h"

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
        block = alloc_raw(sizeof(*block) + bytes);
    return block != NULL ? block_link(user, block, bytes) : NULL;
}

static void *give_zeros(size_t count, size_t each, void *user)
{
    struct net_http2_block *block = NULL;

    if (each == 0 || count <= NET_HTTP2_MEMORY_BYTES_MAX / each) {
        if (has_room(user, count * each))
            block = alloc_zero(sizeof(*block) + count * each);
    }
    return block != NULL ? block_link(user, block, count * each) : NULL;
}

static void take_back(void *data, void *user)
{
    if (data != NULL)
        alloc_free(block_unlink(user, data));
}

static void *resize(void *data, size_t bytes, void *user)
{
    struct net_http2_memory *memory = user;
    struct net_http2_block *old;
    struct net_http2_block *block;
    size_t old_bytes;

    if (data == NULL)
        return give(bytes, user);
    if (!has_room(memory, bytes))
        return NULL;
    old = block_unlink(memory, data);
    old_bytes = old->bytes;
    block = alloc_resize(old, sizeof(*block) + bytes);
    if (block == NULL) {
        (void)block_link(memory, old, old_bytes);
        return NULL;
    }
    return block_link(memory, block, bytes);
}

nghttp2_mem net_http2_memory_functions(struct net_http2_memory *memory)
{
    return (nghttp2_mem){.mem_user_data = memory,
                         .malloc = give,
                         .calloc = give_zeros,
                         .realloc = resize,
                         .free = take_back};
}

void net_http2_memory_free(struct net_http2_memory *memory)
{
    while (memory->blocks != NULL)
        alloc_free(block_unlink(memory, memory->blocks->data));
}
