/* SPDX-License-Identifier: MIT
 * How many connections each address has open: one table for all loops, keyed against chosen
 * collisions, with an entry only while there is a connection. Asked once per connection, so a lock
 * is good enough. */
#include <string.h>

#include "base/alloc.h"
#include "net/net_priv.h"

enum { SLOTS_MIN = 256 };

struct share {
    uint64_t network; /* an IPv4 address, or the first half of an IPv6 one */
    uint32_t family;
    uint32_t conns; /* 0: the slot is free */
};

struct net_admit {
    pthread_mutex_t lock;
    struct hash_key key;
    size_t per_ip_max;
    struct share *shares;
    size_t slots; /* a power of two */
    size_t used;
};

enum err net_admit_new(size_t per_ip_max, const struct random_source *random,
                       struct net_admit **ret_admit)
{
    struct net_admit *admit = alloc_zero(sizeof(*admit));

    PC_ASSERT(per_ip_max > 0);
    if (admit == NULL)
        return ERR_NO_MEMORY;
    admit->shares = alloc_zero(SLOTS_MIN * sizeof(struct share));
    if (admit->shares == NULL) {
        alloc_free(admit);
        return ERR_NO_MEMORY;
    }
    PC_ASSERT(pthread_mutex_init(&admit->lock, NULL) == 0);
    admit->key = hash_key_new(random);
    admit->per_ip_max = per_ip_max;
    admit->slots = SLOTS_MIN;
    *ret_admit = admit;
    return ERR_OK;
}

void net_admit_free(struct net_admit *admit)
{
    if (admit == NULL)
        return;
    (void)pthread_mutex_destroy(&admit->lock);
    alloc_free(admit->shares);
    alloc_free(admit);
}

static struct share share_of(const struct net_peer *peer)
{
    struct share share = {.family = (uint32_t)peer->family};

    memcpy(&share.network, peer->bytes, peer->family == AF_INET ? 4 : 8);
    return share;
}

static size_t home(const struct net_admit *admit, const struct share *share)
{
    uint64_t hash = hash_bytes(&admit->key, share, offsetof(struct share, conns));

    return (size_t)hash & (admit->slots - 1);
}

/* The share's slot, or the free one where it belongs. */
static size_t find(const struct net_admit *admit, const struct share *share)
{
    size_t slot = home(admit, share);

    while (admit->shares[slot].conns > 0 && (admit->shares[slot].network != share->network ||
                                             admit->shares[slot].family != share->family))
        slot = (slot + 1) & (admit->slots - 1);
    return slot;
}

/* Twice the room, so that at most half of the table is used. */
static bool grow(struct net_admit *admit)
{
    struct share *old = admit->shares;
    size_t old_slots = admit->slots;
    struct share *shares = alloc_zero(2 * old_slots * sizeof(struct share));

    if (shares == NULL)
        return false;
    admit->shares = shares;
    admit->slots = 2 * old_slots;
    for (size_t i = 0; i < old_slots; i++) {
        if (old[i].conns > 0)
            admit->shares[find(admit, &old[i])] = old[i];
    }
    alloc_free(old);
    return true;
}

static bool take(struct net_admit *admit, struct share share)
{
    size_t slot = find(admit, &share);

    if (admit->shares[slot].conns == 0) {
        if (2 * (admit->used + 1) > admit->slots) {
            if (!grow(admit))
                return false;
            slot = find(admit, &share);
        }
        admit->used++;
        admit->shares[slot] = share;
    }
    if (admit->shares[slot].conns >= admit->per_ip_max)
        return false;
    admit->shares[slot].conns++;
    return true;
}

/* Frees a slot and moves back what would no longer be found (Knuth, 6.4, algorithm R). */
static void drop(struct net_admit *admit, size_t hole)
{
    size_t mask = admit->slots - 1;

    admit->used--;
    for (size_t at = (hole + 1) & mask; admit->shares[at].conns > 0; at = (at + 1) & mask) {
        size_t wants = home(admit, &admit->shares[at]);

        if (((at - wants) & mask) >= ((at - hole) & mask)) {
            admit->shares[hole] = admit->shares[at];
            hole = at;
        }
    }
    admit->shares[hole] = (struct share){0};
}

static void give(struct net_admit *admit, struct share share)
{
    size_t slot = find(admit, &share);

    PC_ASSERT(admit->shares[slot].conns > 0);
    if (admit->shares[slot].conns == 1)
        drop(admit, slot);
    else
        admit->shares[slot].conns--;
}

bool net_admit_take(struct net_admit *admit, const struct net_peer *peer)
{
    bool taken;

    if (admit == NULL || peer->family == AF_UNIX)
        return true;
    PC_ASSERT(pthread_mutex_lock(&admit->lock) == 0);
    taken = take(admit, share_of(peer));
    PC_ASSERT(pthread_mutex_unlock(&admit->lock) == 0);
    return taken;
}

void net_admit_give(struct net_admit *admit, const struct net_peer *peer)
{
    if (admit == NULL || peer->family == AF_UNIX)
        return;
    PC_ASSERT(pthread_mutex_lock(&admit->lock) == 0);
    give(admit, share_of(peer));
    PC_ASSERT(pthread_mutex_unlock(&admit->lock) == 0);
}
