/* SPDX-License-Identifier: MIT
 * Bearer tokens, and the cache that lets a signature be checked once and not for each request.
 *
 * Each loop has a cache of its own, so a look-up takes no lock: sets of sixteen entries, addressed
 * by the token's mark of 128 bits (hash.h), which is also what is compared; the token itself is not
 * kept. What a set is looked through by lies together, away from its entries. The mark's key is
 * made with the cache and leaves it as little as the marks do, so nobody can make a token that is
 * taken for another. An entry is good until the token expires, and only while the epochs of its
 * user and client stand where they stood when the rights were read (http_epoch.h) and the feed of
 * changes is alive; of another issuer's token, while its keys do. It is found only where a token of
 * that issuer is taken. */
#include "http/http_priv.h"

#include <string.h>

#include "base/alloc.h"

enum {
    CACHE_SETS = 1024,      /* of all entries 16 MiB a loop, if so many tokens come */
    CACHE_WAYS = 16,        /* so many that sets fill evenly: what 10 000 users ask with fits */
    ENTRY_TEXT_BYTES = 768, /* of all texts of a principal; with more it is not cached */
};

struct entry {
    struct hash_mark mark;
    struct http_principal principal; /* its texts are in `text` */
    uint64_t snapshot;
    struct limit_rate user_rate; /* as this snapshot gives it, like the principal's bits */
    uint32_t text_len;
    char text[ENTRY_TEXT_BYTES];
};

struct set {
    uint32_t tags[CACHE_WAYS]; /* a part of each entry's mark */
    uint32_t used[CACHE_WAYS]; /* the cache's tick at the last hit; 0: the entry is free */
};

struct http_cache {
    struct hash_nh_key key;
    uint32_t tick;
    struct set sets[CACHE_SETS];
    struct entry entries[CACHE_SETS][CACHE_WAYS];
};

enum err http_cache_new(const struct random_source *random, struct http_cache **ret_cache)
{
    struct http_cache *cache = alloc_zero(sizeof(*cache)); /* untouched pages cost nothing */

    if (cache == NULL)
        return ERR_NO_MEMORY;
    hash_nh_key_fill(random, &cache->key);
    *ret_cache = cache;
    return ERR_OK;
}

void http_cache_free(struct http_cache *cache)
{
    alloc_free(cache);
}

/* The form of the token is not looked at here: what is in the cache was verified, and the verifier
 * refuses every byte that does not belong. */
static struct span key_header(const struct http_route *route)
{
    return route->key_header.len > 0 ? route->key_header : SPAN_OF("x-api-key");
}

bool http_token_is_key(const struct http_route *route, struct span header)
{
    return route->access == HTTP_ACCESS_KEY && span_equal(header, key_header(route));
}

bool http_token_is_shown(const struct http_call *call)
{
    const struct http_route *route = call->req.route;

    if (route->access == HTTP_ACCESS_KEY)
        return net_head_count(call->req.head, key_header(route)) > 0;
    return call->known.authorization_count > 0;
}

static enum err key_take(const struct http_call *call, struct span *ret_key)
{
    const struct net_head *head = call->req.head;
    struct span name = key_header(call->req.route);
    size_t count = net_head_count(head, name);

    if (count == 0)
        return ERR_UNAUTHENTICATED;
    if (count > 1)
        return ERR_TOKEN_INVALID;
    *ret_key = net_head_find(head, name)->value;
    return ret_key->len > 0 && ret_key->len <= LIMIT_JWS_BYTES_MAX ? ERR_OK : ERR_TOKEN_INVALID;
}

enum err http_token_take(struct http_call *call, struct span *ret_token)
{
    struct span value = call->known.authorization;
    struct span scheme = span_slice(value, 0, 7);

    if (call->req.route->access == HTTP_ACCESS_KEY)
        return key_take(call, ret_token);
    if (call->known.authorization_count == 0)
        return ERR_UNAUTHENTICATED;
    if (!span_equal_nocase(scheme, SPAN_OF("Bearer ")))
        return ERR_UNAUTHENTICATED;
    value = span_slice(value, 7, value.len);
    while (value.len > 0 && value.ptr[0] == ' ')
        value = span_slice(value, 1, value.len);
    if (value.len == 0 || value.len > LIMIT_JWS_BYTES_MAX)
        return ERR_TOKEN_INVALID;
    *ret_token = value;
    return ERR_OK;
}

static size_t set_of(struct hash_mark mark)
{
    return mark.low & (CACHE_SETS - 1);
}

static uint32_t tag_of(struct hash_mark mark)
{
    return (uint32_t)mark.high;
}

static uint32_t tick(struct http_cache *cache)
{
    cache->tick = cache->tick == UINT32_MAX ? 1 : cache->tick + 1;
    return cache->tick;
}

bool http_rights_are_fresh(const struct http_lane *lane, const struct http_principal *principal)
{
    const struct http_epochs *epochs = &lane->engine->epochs;
    const struct http_issuer *issuer = principal->issuer;
    int64_t feed_ns = atomic_load_explicit(&epochs->feed_ns, memory_order_acquire);

    if (issuer != NULL)
        return issuer->is_fresh(issuer->context, principal->epoch, net_loop_now_ns(lane->loop));
    return principal->epoch == http_epoch_of(epochs, principal->user_id, principal->client_key) &&
           net_loop_now_ns(lane->loop) - feed_ns <= HTTP_FEED_STALE_MS * CLOCK_NS_PER_MS;
}

static bool entry_good(const struct http_call *call, const struct entry *entry)
{
    return entry->principal.expires_at_s >
               net_loop_realtime_ns(call->lane->loop) / CLOCK_NS_PER_S &&
           http_rights_are_fresh(call->lane, &entry->principal);
}

/* Every text of a principal. */
enum { TEXTS = 9 };
static void texts_of(struct http_principal *principal, struct span *ret_texts[TEXTS])
{
    ret_texts[0] = &principal->subject;
    ret_texts[1] = &principal->username;
    ret_texts[2] = &principal->email;
    ret_texts[3] = &principal->session_id;
    ret_texts[4] = &principal->token_id;
    ret_texts[5] = &principal->client_id;
    ret_texts[6] = &principal->scope;
    ret_texts[7] = &principal->roles;
    ret_texts[8] = &principal->thumbprint;
}

/* The principal's texts are copied: the entry may be given away while the request still runs. */
static bool entry_load(struct http_call *call, const struct entry *entry)
{
    char *text = arena_bytes(call->req.arena, entry->text_len);
    struct span *texts[TEXTS];

    if (text == NULL)
        return false;
    memcpy(text, entry->text, entry->text_len);
    call->principal = entry->principal;
    texts_of(&call->principal, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->ptr != NULL)
            texts[i]->ptr = text + (texts[i]->ptr - entry->text);
    }
    return true;
}

static void look_up_bits(const struct http_call *call, struct http_principal *principal)
{
    principal->scope_bits = http_names_bits(http_scopes_of(call), principal->scope);
    principal->role_bits = http_names_bits(http_roles_of(call), principal->roles);
}

/* What was looked up in the settings that were in force then. */
static void entry_renew(struct http_call *call, struct entry *entry)
{
    entry->user_rate = http_rules_user(call->rules, entry->principal.user_id);
    look_up_bits(call, &entry->principal);
    call->principal.scope_bits = entry->principal.scope_bits;
    call->principal.role_bits = entry->principal.role_bits;
    entry->snapshot = call->rules->snapshot;
}

bool http_cache_find(struct http_call *call, struct span token)
{
    struct http_cache *cache = call->lane->cache;
    struct hash_mark mark = hash_nh_mark(&cache->key, token);
    struct set *set = &cache->sets[set_of(mark)];

    call->token_mark = mark;
    for (size_t way = 0; way < CACHE_WAYS; way++) {
        struct entry *entry = &cache->entries[set_of(mark)][way];

        if (set->tags[way] != tag_of(mark) || set->used[way] == 0 ||
            !hash_mark_equal(entry->mark, mark) ||
            !http_issuer_is_taken(call->req.route, &entry->principal))
            continue;
        if (!entry_good(call, entry) || !entry_load(call, entry)) {
            set->used[way] = 0;
            return false;
        }
        if (entry->snapshot != call->rules->snapshot)
            entry_renew(call, entry);
        call->user_rate = entry->user_rate;
        set->used[way] = tick(cache);
        return true;
    }
    return false;
}

/* A free way, else the one not used for longest. */
static size_t way_to_fill(const struct set *set)
{
    size_t oldest = 0;

    for (size_t way = 0; way < CACHE_WAYS; way++) {
        if (set->used[way] == 0)
            return way;
        if ((int32_t)(set->used[way] - set->used[oldest]) < 0)
            oldest = way;
    }
    return oldest;
}

void http_cache_keep(struct http_call *call)
{
    struct http_principal principal = call->principal;
    struct http_cache *cache = call->lane->cache;
    struct set *set = &cache->sets[set_of(call->token_mark)];
    struct span *texts[TEXTS];
    struct entry *entry;
    size_t len = 0;
    size_t way;

    texts_of(&principal, texts);
    for (size_t i = 0; i < TEXTS; i++)
        len += texts[i]->len;
    if (len > ENTRY_TEXT_BYTES)
        return;
    way = way_to_fill(set);
    entry = &cache->entries[set_of(call->token_mark)][way];
    entry->text_len = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->ptr == NULL)
            continue;
        memcpy(entry->text + entry->text_len, texts[i]->ptr, texts[i]->len);
        texts[i]->ptr = entry->text + entry->text_len;
        entry->text_len += (uint32_t)texts[i]->len;
    }
    entry->principal = principal;
    entry->mark = call->token_mark;
    entry->snapshot = call->rules->snapshot;
    entry->user_rate = call->user_rate;
    set->tags[way] = tag_of(entry->mark);
    set->used[way] = tick(cache);
}

/* The epochs first: a change while the store is asked makes its answer stale. */
void http_rights_ask(struct http_call *call)
{
    const struct http_epochs *epochs = &call->lane->engine->epochs;
    struct http_principal *principal = &call->principal;

    call->asked.moves = http_epoch_moves(epochs);
    call->asked.user_id = principal->user_id;
    call->asked.client_key = principal->client_key;
    principal->epoch = http_epoch_of(epochs, principal->user_id, principal->client_key);
}

/* Whom a token speaks for may be known only from the store. Then the epoch of now is right if none
 * moved since the store was asked; otherwise it is made one that is never current. */
static bool settle_epoch(struct http_call *call)
{
    const struct http_epochs *epochs = &call->lane->engine->epochs;
    struct http_principal *principal = &call->principal;

    if (principal->user_id == call->asked.user_id &&
        principal->client_key == call->asked.client_key)
        return true;
    principal->epoch = http_epoch_of(epochs, principal->user_id, principal->client_key);
    if (http_epoch_moves(epochs) == call->asked.moves)
        return true;
    principal->epoch--;
    return false;
}

void http_rights_keep(struct http_call *call)
{
    struct http_principal *principal = &call->principal;
    bool settled = settle_epoch(call);

    if (principal->kind == HTTP_TOKEN_KEY)
        principal->payer = http_issuer_payer("", principal->subject);
    look_up_bits(call, principal);
    call->user_rate = http_rules_user(call->rules, principal->user_id);
    if (settled)
        http_cache_keep(call);
}

uint32_t http_rights_epoch(const struct http_call *call)
{
    return http_epoch_of(&call->lane->engine->epochs, call->principal.user_id,
                         call->principal.client_key);
}

enum err http_rights_judge(struct http_call *call, struct http_principal *seen)
{
    enum err err;

    look_up_bits(call, seen);
    call->req.principal = seen;
    err = http_authorize(call);
    call->req.principal = &call->principal;
    if (err == ERR_OK)
        call->principal.epoch = seen->epoch;
    return err;
}

bool http_token_is_at_home(const struct http_call *call)
{
    struct span bound = call->principal.thumbprint;

    return bound.len == 0 || span_equal(bound, net_stream_peer(call->stream)->tls_thumbprint);
}
