/* SPDX-License-Identifier: MIT
 * The clients that proved themselves lately, so that the next request of one of them need not ask
 * the store who it is. What is kept is good while its mark is (http_subject_is_fresh: nothing about
 * the client changed, and the feed of changes is alive); it can only let in, never refuse: whatever
 * speaks against a caller is found the long way (oauth_flow.c), and the commit begins again when
 * the row was changed after all, so that an old secret is bad at once.
 *
 * A table of fixed size, addressed by a keyed hash of the id: a newcomer takes the place of whom it
 * falls on. Clients with very long texts are not kept. */
#include "base/alloc.h"
#include "base/hash.h"
#include "oauth/oauth_priv.h"

#include <pthread.h>
#include <string.h>

enum { SLOTS = 128, SLOT_TEXT_BYTES = 2048, TEXTS = 9 };

struct slot {
    bool used;
    uint32_t mark; /* of the client's subject, when its row was read */
    struct oauth_client client;
    char text[SLOT_TEXT_BYTES]; /* where its texts lie */
};

struct oauth_recent {
    pthread_mutex_t lock;
    struct hash_key key;
    struct slot slots[SLOTS];
};

enum err oauth_recent_new(const struct random_source *random, struct oauth_recent **ret_recent)
{
    struct oauth_recent *recent = alloc_zero(sizeof(*recent)); /* untouched pages cost nothing */

    if (recent == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&recent->lock, NULL) == 0);
    recent->key = hash_key_new(random);
    *ret_recent = recent;
    return ERR_OK;
}

void oauth_recent_free(struct oauth_recent *recent)
{
    if (recent == NULL)
        return;
    PC_ASSERT(pthread_mutex_destroy(&recent->lock) == 0);
    alloc_free(recent);
}

/* Moves every text of the client into `to`, which has room for them all. */
static void texts_move(struct oauth_client *client, char *to)
{
    struct span *const texts[TEXTS] = {&client->client_id,   &client->name,  &client->grants,
                                       &client->scopes,      &client->roles, &client->redirect_uris,
                                       &client->logout_uris, &client->jwks,  &client->tls_subject};

    for (size_t i = 0; i < TEXTS; i++) {
        size_t len = texts[i]->len;

        if (len > 0)
            memcpy(to, texts[i]->ptr, len);
        *texts[i] = span_make(to, len);
        to += len;
    }
}

static size_t texts_bytes(const struct oauth_client *client)
{
    return client->client_id.len + client->name.len + client->grants.len + client->scopes.len +
           client->roles.len + client->redirect_uris.len + client->logout_uris.len +
           client->jwks.len + client->tls_subject.len;
}

static struct slot *slot_of(struct oauth_recent *recent, struct span client_id)
{
    return &recent->slots[hash_span(&recent->key, client_id) % SLOTS];
}

bool oauth_recent_find(struct oauth_recent *recent, struct span client_id, struct arena *arena,
                       struct oauth_client *ret_client, uint32_t *ret_mark)
{
    struct slot *slot = slot_of(recent, client_id);
    struct oauth_client client;
    char *texts = NULL;

    PC_ASSERT(pthread_mutex_lock(&recent->lock) == 0);
    if (slot->used && span_equal(slot->client.client_id, client_id))
        texts = arena_bytes(arena, texts_bytes(&slot->client));
    if (texts != NULL) {
        client = slot->client;
        texts_move(&client, texts);
        *ret_mark = slot->mark;
    }
    PC_ASSERT(pthread_mutex_unlock(&recent->lock) == 0);
    if (texts == NULL)
        return false;
    *ret_client = client;
    return true;
}

void oauth_recent_keep(struct oauth_recent *recent, const struct oauth_client *client,
                       uint32_t mark)
{
    struct slot *slot = slot_of(recent, client->client_id);

    if (texts_bytes(client) > SLOT_TEXT_BYTES)
        return;
    PC_ASSERT(pthread_mutex_lock(&recent->lock) == 0);
    slot->used = true;
    slot->mark = mark;
    slot->client = *client;
    texts_move(&slot->client, slot->text);
    PC_ASSERT(pthread_mutex_unlock(&recent->lock) == 0);
}
