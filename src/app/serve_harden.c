/* SPDX-License-Identifier: MIT
 * What the settings say about the process itself: who it becomes, and what it gives up. The rights
 * go before there are threads; system calls are filtered when all places are bound and nobody has
 * been let in. */
#include "app/serve_priv.h"

#include <unistd.h>

#include "crypto/vault.h"
#include "harden/harden.h"

enum { PORT_LOW_MAX = 1023 };

static bool is_low(uint32_t port)
{
    return port > 0 && port <= PORT_LOW_MAX;
}

static struct harden_options options_of(const struct config *config, unsigned services)
{
    struct harden_options options = {.user = config->process.user,
                                     .group = config->process.group,
                                     .binds_low = is_low(config->redirect.port),
                                     .only_user =
                                         config->process.hardening == CONFIG_HARDENING_OFF};

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        if ((services & CONFIG_SERVICE_BIT(i)) != 0 && is_low(config->listeners[i].port))
            options.binds_low = true;
    return options;
}

static enum err told(enum err err, const struct harden_fault *why, struct serve_fault *fault)
{
    return err ? serve_fail(fault, err, "%s", why->text) : ERR_OK;
}

enum err serve_harden(const struct config *config, unsigned services, bool *ret_root,
                      struct serve_fault *fault)
{
    const struct harden_options options = options_of(config, services);
    struct harden_fault why = {{0}};

    *ret_root = harden_stays_root(&options);
    return told(harden_begin(&options, &why), &why, fault);
}

static enum err vault_settle(void *context)
{
    const struct serve_options *options = context;
    const struct config *config = options->config;

    for (unsigned i = 0; i < options->given_count; i++)
        (void)close(options->given_first + (int)i);
    return config->process.hardening == CONFIG_HARDENING_OFF ? ERR_OK
                                                             : harden_filter(HARDEN_KEYS, NULL);
}

/* As many requests at once as there are threads that sign: those of the pool, the keeper of the
 * audit log, and whoever reads keys again. */
enum err serve_vault_start(const struct serve_options *start, struct serve_fault *fault)
{
    const struct config *config = start->config;
    const struct crypto_vault_options options = {.channels = config->workers.signers + 2 <
                                                                     CRYPTO_VAULT_CHANNELS_MAX
                                                                 ? config->workers.signers + 2
                                                                 : CRYPTO_VAULT_CHANNELS_MAX,
                                                 .settle = vault_settle,
                                                 .context = (void *)(uintptr_t)start};
    struct crypto_fault why = {0};
    enum err err =
        config->process.keys == CONFIG_KEYS_INSIDE ? ERR_OK : crypto_vault_start(&options, &why);

    return err ? serve_fail(fault, err, "%s", why.text) : ERR_OK;
}

enum err serve_harden_bind(struct serve *serve, bool unbound, struct serve_fault *fault)
{
    const struct harden_options options = options_of(serve->config, serve->services);
    struct harden_fault why = {{0}};
    enum err err, end;

    if (!serve->is_hardened)
        return serve_listeners_bind(serve, unbound, fault);
    err = told(harden_bind_begin(&options, &why), &why, fault);
    if (err)
        return err;
    err = serve_listeners_bind(serve, unbound, fault);
    end = harden_bind_end(&options, &why);
    return err ? err : told(end, &why, fault);
}

enum err serve_harden_filter(const struct serve *serve, struct serve_fault *fault)
{
    struct harden_fault why = {{0}};

    if (!serve->is_hardened || serve->config->process.hardening == CONFIG_HARDENING_OFF)
        return ERR_OK;
    return told(harden_filter(HARDEN_SERVER, &why), &why, fault);
}
