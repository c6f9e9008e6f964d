/* SPDX-License-Identifier: MIT
 * What a loop has to send, kept until it has looked at everything that was ready. A send wakes
 * whoever waits for it, and waking costs more than sending: peers that get their bytes one behind
 * the other are woken once for many. The bytes of one turn also leave by code that stays in the
 * processor's caches.
 *
 *   net_outbox_put --(copy)--> letters --net_outbox_flush: before the loop waits, or when it is
 *                                        full and nobody's call is on the stack
 *                                      --net_outbox_push: one sender's, now
 *                                      --net_outbox_forget: its socket is gone */
#include <string.h>

#include "base/alloc.h"
#include "net/net_priv.h"

enum err net_outbox_init(struct net_outbox *box)
{
    box->bytes = alloc_raw(NET_OUTBOX_BYTES);
    return box->bytes != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void net_outbox_free(struct net_outbox *box)
{
    PC_ASSERT(box->count == 0);
    alloc_free(box->bytes);
}

/* The sender's letter if more can be put into it, else a new one. NULL: there is no room. */
static struct net_letter *letter_of(struct net_outbox *box, struct net_sender *sender)
{
    if (sender->letter > 0)
        return sender->letter == box->count ? &box->letters[sender->letter - 1] : NULL;
    if (box->count == NET_OUTBOX_LETTERS)
        return NULL;
    box->letters[box->count++] = (struct net_letter){.sender = sender, .at = box->used};
    sender->letter = (uint8_t)box->count;
    return &box->letters[box->count - 1];
}

bool net_outbox_put(struct net_outbox *box, struct net_sender *sender, const struct span *parts,
                    size_t count, size_t bytes)
{
    struct net_letter *letter;

    if (box->shut || bytes > NET_LETTER_BYTES_MAX || bytes > NET_OUTBOX_BYTES - box->used)
        return false;
    letter = letter_of(box, sender);
    if (letter == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len > 0)
            memcpy(box->bytes + box->used, parts[i].ptr, parts[i].len);
        box->used += (uint32_t)parts[i].len;
    }
    letter->bytes += (uint32_t)bytes;
    return true;
}

static void post(struct net_outbox *box, struct net_letter *letter)
{
    struct net_sender *sender = letter->sender;

    letter->sender = NULL;
    sender->letter = 0;
    sender->post(sender, span_make(box->bytes + letter->at, letter->bytes));
}

void net_outbox_push(struct net_outbox *box, struct net_sender *sender)
{
    if (sender->letter > 0)
        post(box, &box->letters[sender->letter - 1]);
}

void net_outbox_forget(struct net_outbox *box, struct net_sender *sender)
{
    if (sender->letter > 0)
        box->letters[sender->letter - 1].sender = NULL;
    sender->letter = 0;
}

void net_outbox_flush(struct net_outbox *box)
{
    box->shut = true;
    for (size_t i = 0; i < box->count; i++) {
        if (box->letters[i].sender != NULL)
            post(box, &box->letters[i]);
    }
    if (box->used > box->dirty)
        box->dirty = box->used;
    box->count = 0;
    box->used = 0;
    box->shut = false;
}

void net_outbox_wipe(struct net_outbox *box)
{
    if (box->dirty > box->used)
        alloc_wipe(box->bytes + box->used, box->dirty - box->used);
    box->dirty = box->used;
}
