/* SPDX-License-Identifier: MIT
 * What the settings say about the process itself: who it becomes, and what it gives up. The rights
 * go before there are threads; system calls are filtered when all places are bound and nobody has
 * been let in. */
#include "app/serve_priv.h"

#include <unistd.h>

#include "crypto/key.h"
#include "crypto/vault.h"
#include "harden/harden.h"

enum { PORT_LOW_MAX = 1023, KEYS_LOCKED_BYTES_MAX = 1024 * 1024 };

static bool is_low(uint32_t port)
{
    return port > 0 && port <= PORT_LOW_MAX;
}

static struct harden_options options_of(const struct config *config, unsigned services)
{
    static const enum harden_locks LOCKS[] = {[CONFIG_SWAP_FORBIDDEN] = HARDEN_LOCKS_SURELY,
                                              [CONFIG_SWAP_AVOIDED] = HARDEN_LOCKS_FREELY,
                                              [CONFIG_SWAP_ALLOWED] = HARDEN_LOCKS_NOTHING};
    struct harden_options options = {.user = config->process.user,
                                     .group = config->process.group,
                                     .binds_low = is_low(config->redirect.port),
                                     .locks = LOCKS[config->process.swap],
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

enum err serve_harden(const struct config *config, unsigned services, struct serve_rights *ret,
                      struct serve_fault *fault)
{
    const struct harden_options options = options_of(config, services);
    struct harden_fault why = {{0}};
    enum err err;

    *ret = (struct serve_rights){.is_root = harden_stays_root(&options)};
    err = told(harden_begin(&options, &why), &why, fault);
    if (err || config->process.swap == CONFIG_SWAP_ALLOWED || harden_lock())
        return err;
    ret->swaps = true;
    if (config->process.swap == CONFIG_SWAP_AVOIDED)
        return ERR_OK;
    return serve_fail(fault, ERR_CONFIG,
                      "process.swap: memory cannot be locked: its limit must be infinite "
                      "(LimitMEMLOCK=infinity in a unit of systemd, ulimit -l unlimited), or the "
                      "process needs CAP_IPC_LOCK");
}

/* All of the vault; else, as its limit allows, a place for the numbers of private keys. */
static enum err vault_lock(const struct config *config)
{
    uint64_t room = harden_lock_limit();

    if (config->process.swap == CONFIG_SWAP_ALLOWED || harden_lock())
        return ERR_OK;
    if (config->process.swap == CONFIG_SWAP_FORBIDDEN)
        return ERR_CONFIG;
    (void)crypto_key_lock(room < KEYS_LOCKED_BYTES_MAX ? (size_t)room : KEYS_LOCKED_BYTES_MAX);
    return ERR_OK;
}

static enum err vault_settle(void *context)
{
    const struct serve_options *options = context;
    const struct config *config = options->config;
    enum err err;

    for (unsigned i = 0; i < options->given_count; i++)
        (void)close(options->given_first + (int)i);
    err = vault_lock(config);
    return err || config->process.hardening == CONFIG_HARDENING_OFF
               ? err
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
