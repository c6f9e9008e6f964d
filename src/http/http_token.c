/* SPDX-License-Identifier: MIT
 * Bearer tokens, and the cache that lets a signature be checked once and not for each request.
 *
 * Each loop has a cache of its own, so a look-up takes no lock: sets of four entries, addressed by
 * the token's SHA-256, which is also what is compared; the token itself is not kept. An entry is
 * good until the token expires, and only while its user's epoch stands where it stood when the
 * rights were read (http_epoch.h) and the feed of changes is alive. */
#include "http/http_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"

enum {
    CACHE_SETS = 1024,
    CACHE_WAYS = 4,
    ENTRY_TEXT_BYTES = 384, /* name, e-mail, session and token id; longer ones are not cached */
};

struct entry {
    unsigned char hash[HTTP_TOKEN_HASH_BYTES];
    int64_t user_id;
    int64_t expires_at_s; /* 0: free */
    const struct http_rules *rules;
    struct limit_rate user_rate; /* as these rules give it */
    uint32_t epoch;
    uint32_t used; /* the cache's tick at the last hit */
    uint16_t username_len, email_len, session_len, token_len;
    bool is_admin;
    char text[ENTRY_TEXT_BYTES];
};

struct http_cache {
    uint32_t tick;
    struct entry sets[CACHE_SETS][CACHE_WAYS];
};

enum err http_cache_new(struct http_cache **ret_cache)
{
    struct http_cache *cache = alloc_zero(sizeof(*cache)); /* untouched pages cost nothing */

    if (cache == NULL)
        return ERR_NO_MEMORY;
    *ret_cache = cache;
    return ERR_OK;
}

void http_cache_free(struct http_cache *cache)
{
    alloc_free(cache);
}

/* The form of the token is not looked at here: what is in the cache was verified, and the verifier
 * refuses every byte that does not belong. */
enum err http_token_take(struct http_call *call, struct span *ret_token)
{
    struct span value = call->known.authorization;
    struct span scheme = span_slice(value, 0, 7);

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

static struct entry *cache_set(const struct http_call *call)
{
    uint32_t at;

    memcpy(&at, call->token_hash, sizeof(at));
    return call->lane->cache->sets[at & (CACHE_SETS - 1)];
}

bool http_rights_are_fresh(const struct http_lane *lane, int64_t user_id, uint32_t epoch)
{
    const struct http_epochs *epochs = &lane->engine->epochs;
    int64_t feed_ns = atomic_load_explicit(&epochs->feed_ns, memory_order_acquire);

    return epoch == http_epoch_now(epochs, user_id) &&
           net_loop_now_ns(lane->loop) - feed_ns <= HTTP_FEED_STALE_MS * CLOCK_NS_PER_MS;
}

static bool entry_good(const struct http_call *call, const struct entry *entry)
{
    return entry->expires_at_s > net_loop_realtime_ns(call->lane->loop) / CLOCK_NS_PER_S &&
           http_rights_are_fresh(call->lane, entry->user_id, entry->epoch);
}

/* The principal's texts are copied: the entry may be given away while the request still runs. */
static bool entry_load(struct http_call *call, const struct entry *entry)
{
    size_t len =
        (size_t)entry->username_len + entry->email_len + entry->session_len + entry->token_len;
    char *text = arena_bytes(call->req.arena, len);

    if (text == NULL)
        return false;
    memcpy(text, entry->text, len);
    call->principal = (struct http_principal){.user_id = entry->user_id,
                                              .expires_at_s = entry->expires_at_s,
                                              .is_admin = entry->is_admin,
                                              .epoch = entry->epoch};
    call->principal.username = span_make(text, entry->username_len);
    text += entry->username_len;
    call->principal.email = span_make(text, entry->email_len);
    text += entry->email_len;
    call->principal.session_id = span_make(text, entry->session_len);
    text += entry->session_len;
    call->principal.token_id = span_make(text, entry->token_len);
    return true;
}

bool http_cache_find(struct http_call *call)
{
    struct entry *set = cache_set(call);

    for (size_t way = 0; way < CACHE_WAYS; way++) {
        struct entry *entry = &set[way];

        if (entry->expires_at_s == 0 ||
            memcmp(entry->hash, call->token_hash, sizeof(entry->hash)) != 0)
            continue;
        if (!entry_good(call, entry) || !entry_load(call, entry)) {
            entry->expires_at_s = 0;
            return false;
        }
        if (entry->rules != call->rules) {
            entry->user_rate = http_rules_user(call->rules, entry->user_id);
            entry->rules = call->rules;
        }
        call->user_rate = entry->user_rate;
        entry->used = ++call->lane->cache->tick;
        return true;
    }
    return false;
}

/* A free way, else the one not used for longest. */
static struct entry *entry_to_fill(struct http_call *call)
{
    struct entry *set = cache_set(call);
    struct entry *oldest = &set[0];

    for (size_t way = 0; way < CACHE_WAYS; way++) {
        if (set[way].expires_at_s == 0)
            return &set[way];
        if ((int32_t)(set[way].used - oldest->used) < 0)
            oldest = &set[way];
    }
    return oldest;
}

static char *text_add(char *at, struct span s, uint16_t *ret_len)
{
    if (s.len > 0)
        memcpy(at, s.ptr, s.len);
    *ret_len = (uint16_t)s.len;
    return at + s.len;
}

void http_cache_store(struct http_call *call)
{
    const struct http_principal *p = &call->principal;
    size_t len = p->username.len + p->email.len + p->session_id.len + p->token_id.len;
    struct entry *entry;
    char *at;

    call->user_rate = http_rules_user(call->rules, p->user_id);
    if (len > ENTRY_TEXT_BYTES)
        return;
    entry = entry_to_fill(call);
    memcpy(entry->hash, call->token_hash, sizeof(entry->hash));
    at = text_add(entry->text, p->username, &entry->username_len);
    at = text_add(at, p->email, &entry->email_len);
    at = text_add(at, p->session_id, &entry->session_len);
    (void)text_add(at, p->token_id, &entry->token_len);
    entry->user_id = p->user_id;
    entry->expires_at_s = p->expires_at_s;
    entry->is_admin = p->is_admin;
    entry->epoch = p->epoch;
    entry->rules = call->rules;
    entry->user_rate = call->user_rate;
    entry->used = ++call->lane->cache->tick;
}
