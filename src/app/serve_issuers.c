/* SPDX-License-Identifier: MIT
 * The issuers of the file, and what routes ask of them. A part of each snapshot (serve_snapshot.c):
 * an issuer whose settings are the same is the same, with its keys and its thread; one that changed
 * or went ends with the last snapshot that has it. */
#include "app/serve_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "issuer/issuer.h"

enum { ARENA_BYTES_MAX = 4 * 1024 * 1024 };

/* An issuer with the settings that it points into. */
struct serve_issuer {
    struct http_issuer port; /* what rows point at, and what tells cached verdicts apart */
    struct issuer *issuer;
    const struct config_issuer *from;
    struct serve_lease *settings;
    struct arena arena;
    unsigned snapshots; /* that have it */
};

struct serve_issuers {
    struct arena arena;
    struct serve_issuer **list; /* as in the file */
    size_t count;
};

/* ---- settings ---- */

static bool is_rsa(struct span name)
{
    return span_starts(name, SPAN_OF("RS")) || span_starts(name, SPAN_OF("PS"));
}

static void algorithms_take(const struct config_texts *names, struct issuer_options *options)
{
    for (size_t i = 0; i < names->count; i++) {
        struct span name = span_from(names->items[i]);

        options->algs |= 1U << crypto_alg_from(name);
        if (options->alg_of_rsa == CRYPTO_ALG_NONE && is_rsa(name))
            options->alg_of_rsa = crypto_alg_from(name);
    }
}

/* NULL without memory. */
static const struct span *spans(const struct config_texts *texts, struct arena *arena)
{
    struct span *list = arena_array(arena, texts->count + 1, sizeof(*list));

    for (size_t i = 0; list != NULL && i < texts->count; i++)
        list[i] = span_from(texts->items[i]);
    return list;
}

static const struct issuer_claim *claims(const struct config_issuer *from, struct arena *arena)
{
    struct issuer_claim *list = arena_array(arena, from->required_count + 1, sizeof(*list));

    for (size_t i = 0; list != NULL && i < from->required_count; i++) {
        list[i] = (struct issuer_claim){.path = from->required[i].claim,
                                        .values = spans(&from->required[i].values, arena),
                                        .value_count = from->required[i].values.count};
        if (list[i].values == NULL)
            return NULL;
    }
    return list;
}

static enum err issuer_make(struct serve *serve, const struct config_issuer *from,
                            struct issuer *former, struct arena *arena, struct issuer **ret,
                            struct crypto_fault *fault)
{
    struct issuer_options options = {.name = from->name,
                                     .iss = span_from(from->issuer),
                                     .audiences = spans(&from->audience, arena),
                                     .audience_count = from->audience.count,
                                     .path = from->jwks_file,
                                     .url = from->jwks_url,
                                     .ca_path = from->ca_file,
                                     .is_public = from->public_only,
                                     .required = claims(from, arena),
                                     .required_count = from->required_count,
                                     .scope_claim = from->scope_claim,
                                     .roles_claim = from->roles_claim,
                                     .refresh_ns = from->refresh_seconds * CLOCK_NS_PER_S,
                                     .stale_ns = from->stale_seconds * CLOCK_NS_PER_S,
                                     .cooldown_ns = from->cooldown_seconds * CLOCK_NS_PER_S,
                                     .timeout_ns = from->timeout_ms * CLOCK_NS_PER_MS,
                                     .bytes_max = from->bytes_max,
                                     .leeway_s = from->leeway_seconds,
                                     .clock = serve->clock,
                                     .logger = serve->logger,
                                     .metrics = serve->metrics,
                                     .former = former};

    if (options.audiences == NULL || options.required == NULL)
        return ERR_NO_MEMORY;
    algorithms_take(&from->algorithms, &options);
    return issuer_new(&options, ret, fault);
}

/* ---- the port ---- */

static enum err port_verify(void *context, struct span token, int64_t now_s, int64_t now_ns,
                            struct arena *arena, struct http_principal *ret_principal)
{
    struct issuer_identity identity;
    enum err err = issuer_verify(context, token, now_s, now_ns, arena, &identity);

    if (err)
        return err;
    ret_principal->subject = identity.subject;
    ret_principal->token_id = identity.token_id;
    ret_principal->client_id = identity.client_id;
    ret_principal->scope = identity.scope;
    ret_principal->roles = identity.roles;
    ret_principal->thumbprint = identity.thumbprint;
    ret_principal->issued_at_s = identity.issued_at_s;
    ret_principal->expires_at_s = identity.expires_at_s;
    ret_principal->epoch = identity.epoch;
    return ERR_OK;
}

static bool port_is_fresh(const void *context, uint32_t epoch, int64_t now_ns)
{
    return issuer_is_fresh(context, epoch, now_ns);
}

/* ---- one ---- */

static void item_free(struct serve_issuer *item)
{
    if (item == NULL || --item->snapshots > 0)
        return;
    issuer_free(item->issuer);
    serve_lease_end(item->settings);
    arena_reset(&item->arena);
    alloc_free(item);
}

/* The thread begins at once: what it fetches is there the sooner. */
static enum err item_fill(struct serve *serve, struct serve_issuer *item,
                          const struct serve_issuer *former, struct crypto_fault *why)
{
    enum err err = issuer_make(serve, item->from, former != NULL ? former->issuer : NULL,
                               &item->arena, &item->issuer, why);

    if (err)
        return err;
    item->port = (struct http_issuer){.name = item->from->name,
                                      .iss = issuer_iss(item->issuer),
                                      .context = item->issuer,
                                      .verify = port_verify,
                                      .is_fresh = port_is_fresh};
    return issuer_start(item->issuer);
}

static enum err item_make(const struct serve_snapshot *made, const struct config_issuer *from,
                          const struct serve_issuer *former, struct serve_issuer **ret,
                          struct serve_fault *fault)
{
    struct serve_issuer *item = alloc_zero(sizeof(*item));
    struct crypto_fault why = {{0}};
    enum err err;

    if (item == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    arena_init(&item->arena, NULL, 0, ARENA_BYTES_MAX);
    item->from = from;
    item->settings = serve_lease_share(made->settings);
    item->snapshots = 1;
    err = item_fill(made->serve, item, former, &why);
    if (err) {
        item_free(item);
        return serve_fail(fault, err, "the issuer %s: %s", from->name,
                          why.text[0] != '\0' ? why.text : err_sentence(err));
    }
    *ret = item;
    return ERR_OK;
}

static struct serve_issuer *find(const struct serve_snapshot *snapshot, const char *name)
{
    const struct serve_issuers *set = snapshot != NULL ? snapshot->issuers : NULL;

    for (size_t i = 0; set != NULL && i < set->count; i++) {
        if (strcmp(set->list[i]->from->name, name) == 0)
            return set->list[i];
    }
    return NULL;
}

static enum err item_take(const struct serve_snapshot *made, const struct serve_snapshot *now,
                          const struct config_issuer *from, struct serve_issuer **ret,
                          struct serve_fault *fault)
{
    struct serve_issuer *former = find(now, from->name);

    if (former == NULL || !config_same_issuer(former->from, from))
        return item_make(made, from, former, ret, fault);
    former->snapshots++;
    *ret = former;
    return ERR_OK;
}

/* ---- all of them ---- */

enum err serve_issuers_make(struct serve_snapshot *made, const struct serve_snapshot *now,
                            struct serve_fault *fault)
{
    const struct config *config = made->config;
    struct serve_issuers *set = alloc_zero(sizeof(*set));
    enum err err = ERR_OK;

    if (set == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    made->issuers = set;
    arena_init(&set->arena, NULL, 0, ARENA_BYTES_MAX);
    set->list = arena_array(&set->arena, config->issuers.count + 1, sizeof(struct serve_issuer *));
    if (set->list == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < config->issuers.count && !err; i++) {
        err = item_take(made, now, &config->issuers.items[i], &set->list[i], fault);
        set->count += err == ERR_OK;
    }
    return err;
}

enum err serve_issuers_row(const struct serve_snapshot *made, const struct config_texts *names,
                           struct arena *arena, struct http_route *row)
{
    const struct http_issuer **list =
        arena_array(arena, names->count + 1, sizeof(struct http_issuer *));

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < names->count; i++) {
        const struct serve_issuer *item = find(made, names->items[i]);

        PC_ASSERT(item != NULL); /* checked when the file was read */
        list[i] = &item->port;
    }
    row->issuers = list;
    row->issuer_count = names->count;
    return ERR_OK;
}

void serve_issuers_free(struct serve_snapshot *snapshot)
{
    struct serve_issuers *set = snapshot->issuers;

    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        item_free(set->list[i]);
    arena_reset(&set->arena);
    alloc_free(set);
    snapshot->issuers = NULL;
}
