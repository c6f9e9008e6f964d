/* SPDX-License-Identifier: MIT
 * What the files of `portcullis client ...` share: a description read from options, and one shown.
 *
 * Threads: the command's.    Memory: the arena that is passed. */
#ifndef PC_APP_COMMAND_CLIENT_H
#define PC_APP_COMMAND_CLIENT_H

#include "app/command.h"
#include "oauth/oauth.h"

/* The options that describe a client, of `create` and `update` alike. */
#define COMMAND_CLIENT_OPTIONS                                                                     \
    {.name = "--name", .value = "TEXT", .about = "What people see when they are asked"},           \
        {.name = "--method", .value = "METHOD", .about = "How it proves itself, see above"},       \
        {.name = "--grant", .value = "NAME", .many = true, .about = "What it may ask tokens by"},  \
        {.name = "--scope",                                                                        \
         .value = "NAME",                                                                          \
         .many = true,                                                                             \
         .about = "What its tokens may do: accounts:read"},                                        \
        {.name = "--role",                                                                         \
         .value = "NAME",                                                                          \
         .many = true,                                                                             \
         .about = "What it is itself, for client_credentials"},                                    \
        {.name = "--redirect-uri",                                                                 \
         .value = "URI",                                                                           \
         .many = true,                                                                             \
         .about = "Where users come back to with a code"},                                         \
        {.name = "--logout-uri",                                                                   \
         .value = "URI",                                                                           \
         .many = true,                                                                             \
         .about = "Where users go after signing out"},                                             \
        {.name = "--jwks",                                                                         \
         .value = "FILE",                                                                          \
         .kind = COMMAND_VALUE_FILE,                                                               \
         .about = "Its public keys, for private_key_jwt"},                                         \
        {.name = "--tls-subject",                                                                  \
         .value = "DN",                                                                            \
         .about = "Its certificate's, for tls_client_auth"},                                       \
        {.name = "--bound", .about = "Bind its tokens to its certificate"},                        \
        {.name = "--access-minutes", .value = "N", .about = "Life of an access token, 1 to 60"},   \
        {.name = "--refresh-days", .value = "N", .about = "Life of a refresh token, 1 to 366"},    \
        {.name = "--access-alg", .value = "ALG", .about = "RS256, PS256, ES256 or EdDSA"},         \
        {.name = "--id-alg", .value = "ALG", .about = "The same for id_tokens"},                   \
    {                                                                                              \
        .name = "--secret-stdin", .about = "Take its secret from the first line of input"          \
    }

/* Changes `client` by the options that were given; its texts live in the arena. Tells what is
 * wrong. */
PC_CHECKED enum command_exit command_client_read(const struct command_call *call,
                                                 struct arena *arena, struct oauth_client *client);

/* A secret for it, if its method needs one that it has not: from standard input, or a new one,
 * which goes into `ret_text` (else empty; in the arena) to be shown once. */
PC_CHECKED enum command_exit command_client_secret(const struct command_call *call,
                                                   struct arena *arena, struct span *ret_text,
                                                   struct oauth_secret *ret_secret);

/* Everything about one client, for people or as JSON; never its secret. */
void command_client_describe(const struct oauth_client *client, bool as_json, struct sbuf *out);

#endif
