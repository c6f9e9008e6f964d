/* SPDX-License-Identifier: MIT
 * What the program tells the trail of itself; see docs/events.md.
 *
 * Threads: the one that starts, reloads and stops. All of them wait for the store. */
#ifndef PC_APP_SERVE_EVENTS_H
#define PC_APP_SERVE_EVENTS_H

#include "app/config.h"
#include "app/serve.h"
#include "store/store.h"

/* Counts and, where they are not the end of the program, logs events that the catalogue does not
 * know. Before any thread that makes some. */
PC_CHECKED enum err serve_event_watch(struct serve *serve);

/* Applies what the store lacks, and tells so: `reason` is "start" or "command". */
PC_CHECKED enum err serve_store_migrate(struct store *store, const struct clock *clock,
                                        const char *reason, struct store_fault *reterr);

/* config.loaded and program.started, in one commit; `origins` may be NULL. */
PC_CHECKED enum err serve_event_started(struct serve *serve, const struct config_origins *origins,
                                        struct serve_fault *fault);
void serve_event_stopped(struct serve *serve, bool drained, int64_t drain_ns);

/* Right before the settings are taken over. */
PC_CHECKED enum err serve_event_reloaded(struct serve *serve, const struct config *wanted,
                                         struct serve_fault *fault);
/* `wanted` is NULL when there are none, since they are wrong. */
void serve_event_not_reloaded(struct serve *serve, const struct config *wanted, struct span why);

/* An operator takes a target of an upstream out, or back in. */
PC_CHECKED enum err serve_event_target(struct serve *serve, struct span upstream, struct span url,
                                       bool drained, struct serve_fault *fault);

/* A key is about to be made: "key:session" of session tokens, "key:audit" of the log itself. */
PC_CHECKED enum err serve_event_key(struct serve *serve, struct span object, const char *alg,
                                    struct serve_fault *fault);

#endif
