/* SPDX-License-Identifier: MIT
 * The issuers of the file, and what routes ask of them. */
#include "app/serve_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "issuer/issuer.h"

enum { ARENA_BYTES_MAX = 4 * 1024 * 1024 };

struct serve_issuers {
    struct arena arena;
    struct issuer **list;      /* as in the file */
    struct http_issuer *ports; /* the same */
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
                            struct arena *arena, struct issuer **ret, struct crypto_fault *fault)
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
                                     .metrics = serve->metrics};

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

/* ---- all of them ---- */

static enum err issuer_add(struct serve *serve, const struct config_issuer *from,
                           struct serve_fault *fault)
{
    struct serve_issuers *made = serve->issuers;
    struct issuer *issuer = NULL;
    struct crypto_fault why = {{0}};
    enum err err = issuer_make(serve, from, &made->arena, &issuer, &why);

    if (err)
        return serve_fail(fault, err, "the issuer %s: %s", from->name,
                          why.text[0] != '\0' ? why.text : err_sentence(err));
    made->list[made->count] = issuer;
    made->ports[made->count++] = (struct http_issuer){.name = from->name,
                                                      .iss = issuer_iss(issuer),
                                                      .context = issuer,
                                                      .verify = port_verify,
                                                      .is_fresh = port_is_fresh};
    err = issuer_start(issuer);
    return err ? serve_fail(fault, err, "the issuer %s: %s", from->name, err_sentence(err))
               : ERR_OK;
}

enum err serve_issuers_start(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    struct serve_issuers *made = alloc_zero(sizeof(*made));
    enum err err = ERR_OK;

    if (made == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    serve->issuers = made;
    arena_init(&made->arena, NULL, 0, ARENA_BYTES_MAX);
    made->list = arena_array(&made->arena, config->issuers.count + 1, sizeof(struct issuer *));
    made->ports = arena_array(&made->arena, config->issuers.count + 1, sizeof(made->ports[0]));
    if (made->list == NULL || made->ports == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < config->issuers.count && !err; i++)
        err = issuer_add(serve, &config->issuers.items[i], fault);
    return err;
}

enum err serve_issuers_row(const struct serve *serve, const struct config_texts *names,
                           struct arena *arena, struct http_route *row)
{
    const struct http_issuer **list =
        arena_array(arena, names->count + 1, sizeof(struct http_issuer *));

    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < names->count; i++) {
        for (size_t j = 0; j < serve->issuers->count; j++) {
            if (strcmp(serve->issuers->ports[j].name, names->items[i]) == 0)
                list[i] = &serve->issuers->ports[j];
        }
        if (list[i] == NULL) /* it is in the file, and waits for the next start */
            return ERR_CONFIG;
    }
    row->issuers = list;
    row->issuer_count = names->count;
    return ERR_OK;
}

void serve_issuers_free(struct serve *serve)
{
    struct serve_issuers *made = serve->issuers;

    if (made == NULL)
        return;
    for (size_t i = 0; i < made->count; i++)
        issuer_free(made->list[i]);
    arena_reset(&made->arena);
    alloc_free(made);
    serve->issuers = NULL;
}
