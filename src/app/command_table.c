/* SPDX-License-Identifier: MIT
 * Every command there is, in the order of the usage text. */
#include "app/command.h"

extern const struct command command_certs_dev, command_check, command_client_create,
    command_client_disable, command_client_enable, command_client_list,
    command_client_rotate_secret, command_client_show, command_client_update, command_completion,
    command_help, command_ledger_check, command_ledger_export, command_ledger_import,
    command_keys_list, command_keys_retire, command_keys_rotate, command_migrate, command_openapi,
    command_serve, command_user_create, command_user_disable, command_user_enable,
    command_user_list, command_user_password, command_user_role, command_version;

const struct command *const command_table[] = {
    &command_serve,
    &command_check,
    &command_user_create,
    &command_user_list,
    &command_user_disable,
    &command_user_enable,
    &command_user_password,
    &command_user_role,
    &command_client_create,
    &command_client_list,
    &command_client_show,
    &command_client_update,
    &command_client_rotate_secret,
    &command_client_disable,
    &command_client_enable,
    &command_keys_list,
    &command_keys_rotate,
    &command_keys_retire,
    &command_ledger_check,
    &command_ledger_export,
    &command_ledger_import,
    &command_migrate,
    &command_openapi,
    &command_certs_dev,
    &command_version,
    &command_completion,
    &command_help,
};
const size_t command_count = PC_COUNT(command_table);
