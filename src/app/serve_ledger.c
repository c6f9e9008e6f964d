/* SPDX-License-Identifier: MIT
 * The ledger of the running program, as the settings want it. */
#include "app/serve_priv.h"

enum err serve_ledger_start(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const struct ledger_options options = {
        .store = serve->store,
        .clock = serve->clock,
        .logger = serve->logger,
        .metrics = serve->metrics,
        .key_life_s = (int64_t)config->ledger.key_hours * 3600,
        .backdate_s = (int64_t)config->ledger.backdate_days * 86400,
        .hold_life_s = (int64_t)config->ledger.hold_hours * 3600};
    enum err err = ledger_new(&options, &serve->ledger);

    return err ? serve_fail(fault, err, "the ledger cannot start: %s", err_sentence(err)) : ERR_OK;
}
