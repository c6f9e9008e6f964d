/* SPDX-License-Identifier: MIT
 * The settings of the process as the system sees it: how it ends, and what it gives up. For the
 * table alone, whose AT and RANGE stand in it. */
#ifndef PC_APP_CONFIG_TABLE_PROCESS_H
#define PC_APP_CONFIG_TABLE_PROCESS_H

#include "app/config_priv.h"

static const char *const keepers[] = {"separate", "inside", NULL};
static const char *const swaps[] = {"forbidden", "avoided", "allowed", NULL};
static const char *const hardenings[] = {"strict", "off", NULL};

#define CONFIG_PROCESS                                                                             \
    {.path = "shutdown.notice_seconds",                                                            \
     .type = CONFIG_NUMBER,                                                                        \
     .unit = "seconds",                                                                            \
     AT(shutdown.notice_s),                                                                        \
     RANGE(0, 600),                                                                                \
     .fallback = "0",                                                                              \
     .about =                                                                                      \
         "How long after SIGTERM everything is answered as before but /readyz, which says 503: "   \
         "time for a balancer to notice, best more than twice its interval of looking. A "         \
         "second SIGTERM ends it."},                                                               \
        {.path = "shutdown.drain_seconds",                                                         \
         .type = CONFIG_NUMBER,                                                                    \
         .unit = "seconds",                                                                        \
         AT(shutdown.drain_s),                                                                     \
         RANGE(0, 600),                                                                            \
         .fallback = "10",                                                                         \
         .about = "How long requests under way may take then."},                                   \
        {.path = "process.user",                                                                   \
         .environ = {"PORTCULLIS_USER"},                                                           \
         .type = CONFIG_TEXT,                                                                      \
         AT(process.user),                                                                         \
         RANGE(1, 64),                                                                             \
         .example = "portcullis",                                                                  \
         .about =                                                                                  \
             "Who the program becomes when root starts it. The data folder, files that it reads "  \
             "again and those it writes must be open to that user."},                              \
        {.path = "process.group",                                                                  \
         .environ = {"PORTCULLIS_GROUP"},                                                          \
         .type = CONFIG_TEXT,                                                                      \
         AT(process.group),                                                                        \
         RANGE(1, 64),                                                                             \
         .example = "portcullis",                                                                  \
         .about = "The group that goes with process.user; else the user's own."},                  \
        {.path = "process.hardening",                                                              \
         .environ = {"PORTCULLIS_HARDENING"},                                                      \
         .type = CONFIG_CHOICE,                                                                    \
         AT(process.hardening),                                                                    \
         .choices = hardenings,                                                                    \
         .fallback = "strict",                                                                     \
         .about =                                                                                  \
             "Strict: no core dumps, no new privileges, no capabilities, and only the system "     \
             "calls that a server needs. Off is for debuggers and profilers."},                    \
        {.path = "process.swap",                                                                   \
         .environ = {"PORTCULLIS_SWAP"},                                                           \
         .type = CONFIG_CHOICE,                                                                    \
         AT(process.swap),                                                                         \
         .choices = swaps,                                                                         \
         .fallback = "avoided",                                                                    \
         .about =                                                                                  \
             "Whether memory, with its secrets, may be written to swap. Avoided: all of it is "    \
             "locked where the limit of locked memory is infinite, else the private keys of the "  \
             "process that keeps them. Forbidden: without that limit nothing starts."},            \
    {                                                                                              \
        .path = "process.keys", .environ = {"PORTCULLIS_KEYS"}, .type = CONFIG_CHOICE,             \
        AT(process.keys), .choices = keepers, .fallback = "separate",                              \
        .about =                                                                                   \
            "Where private keys that sign tokens and checkpoints are: in a process of their own, " \
            "or in the one that serves."                                                           \
    }

#endif
