/* SPDX-License-Identifier: MIT
 * Opens the configured database for a command. Settings that only serving minds (TLS, secrets) are
 * checked as well: a command must not work with what `serve` would refuse. */
#include "app/command_store.h"

#include "app/serve_events.h"
#include "trail/trail.h"

static const struct store_seal *seal_of(struct command_database *database)
{
    if (database->settings.config.audit.database.url == NULL)
        return &trail_seal;
    trail_outbox_init(&database->outbox, NULL, NULL);
    return &database->outbox.seal;
}

enum command_exit command_database_open(const struct command_call *call,
                                        struct command_database *ret)
{
    const struct config *config = &ret->settings.config;
    struct store_options options;
    struct store_fault fault;

    ret->store = NULL;
    if (command_settings_load(call, true, &ret->settings) != COMMAND_GOOD)
        return COMMAND_BAD;
    options = (struct store_options){.url = span_from(config->database.url),
                                     .data_dir = config->data,
                                     .sslmode = config->database.sslmode,
                                     .seal = seal_of(ret),
                                     .readers = 1};
    if (store_open(&options, &ret->store, &fault) == ERR_OK)
        return COMMAND_GOOD;
    command_tell(call, "%s", fault.text);
    return COMMAND_BAD;
}

enum command_exit command_database_open_ready(const struct command_call *call,
                                              struct command_database *ret)
{
    struct store_fault fault;

    if (command_database_open(call, ret) != COMMAND_GOOD)
        return COMMAND_BAD;
    if (serve_store_migrate(ret->store, &clock_system, "command", &fault) == ERR_OK)
        return COMMAND_GOOD;
    command_tell(call, "%s", fault.text);
    return COMMAND_BAD;
}

void command_database_close(struct command_database *database)
{
    store_close(database->store);
    command_settings_free(&database->settings);
}
