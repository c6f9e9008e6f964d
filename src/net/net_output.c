/* SPDX-License-Identifier: MIT
 * What a client was too slow to take: copied, or referred to where the owner keeps it. Most
 * answers never come here, since the socket takes them at once. */
#include <string.h>

#include "base/alloc.h"
#include "net/net_priv.h"

enum { PART_BYTES_MIN = 4096 };

struct net_output_part {
    struct net_output_part *next;
    const char *at; /* what has not been sent begins here: in data, or the owner's memory */
    size_t len;
    size_t room; /* bytes of data behind it; 0: referred to */
    size_t used; /* bytes of data that were ever filled */
    char data[];
};

static struct net_output_part *part_add(struct net_output *output, size_t room)
{
    struct net_output_part *part = alloc_raw(sizeof(*part) + room);

    if (part == NULL)
        return NULL;
    *part = (struct net_output_part){.at = part->data, .room = room};
    if (output->newest != NULL)
        output->newest->next = part;
    else
        output->oldest = part;
    output->newest = part;
    return part;
}

bool net_output_copy(struct net_output *output, struct span bytes)
{
    struct net_output_part *part = output->newest;

    if (bytes.len == 0)
        return true;
    if (part == NULL || part->room < bytes.len) {
        part = part_add(output, bytes.len > PART_BYTES_MIN ? bytes.len : PART_BYTES_MIN);
        if (part == NULL)
            return false;
    }
    memcpy(part->data + (part->at + part->len - part->data), bytes.ptr, bytes.len);
    part->len += bytes.len;
    part->used += bytes.len;
    part->room -= bytes.len;
    output->bytes += bytes.len;
    return true;
}

bool net_output_refer(struct net_output *output, struct span bytes)
{
    struct net_output_part *part;

    if (bytes.len == 0)
        return true;
    part = part_add(output, 0);
    if (part == NULL)
        return false;
    part->at = bytes.ptr;
    part->len = bytes.len;
    output->bytes += bytes.len;
    return true;
}

size_t net_output_peek(const struct net_output *output, struct iovec *vectors, size_t max)
{
    size_t count = 0;

    for (struct net_output_part *part = output->oldest; part != NULL && count < max;
         part = part->next)
        vectors[count++] =
            (struct iovec){.iov_base = (void *)(uintptr_t)part->at, .iov_len = part->len};
    return count;
}

void net_output_drop(struct net_output *output, size_t bytes)
{
    PC_ASSERT(bytes <= output->bytes);
    output->bytes -= bytes;
    while (output->oldest != NULL && bytes >= output->oldest->len) {
        struct net_output_part *part = output->oldest;

        bytes -= part->len;
        output->oldest = part->next;
        alloc_wipe(part->data, part->used);
        alloc_free(part);
    }
    if (output->oldest == NULL) {
        output->newest = NULL;
        return;
    }
    output->oldest->at += bytes;
    output->oldest->len -= bytes;
}

void net_output_clear(struct net_output *output)
{
    net_output_drop(output, output->bytes);
}

bool net_output_keep(struct net_output *output, const struct span *parts, size_t count, bool stable,
                     size_t sent)
{
    for (size_t i = 0; i < count; i++) {
        struct span rest = span_slice(parts[i], sent, parts[i].len);
        bool last = i + 1 == count;

        sent -= sent < parts[i].len ? sent : parts[i].len;
        if (!(last && stable ? net_output_refer(output, rest) : net_output_copy(output, rest)))
            return false;
    }
    return true;
}

enum net_io net_output_flush(struct net_output *output, net_write_fn *write, void *owner,
                             size_t *ret_bytes)
{
    struct iovec vectors[NET_SEND_PARTS_MAX];

    *ret_bytes = 0;
    while (output->bytes > 0) {
        size_t bytes = 0;
        size_t count = net_output_peek(output, vectors, NET_SEND_PARTS_MAX);
        enum net_io io = write(owner, vectors, count, &bytes);

        if (io != NET_IO_DONE)
            return io;
        net_output_drop(output, bytes);
        *ret_bytes += bytes;
    }
    return NET_IO_DONE;
}
