/* SPDX-License-Identifier: MIT
 * The program under test: started inside this process from a few lines of YAML, on an empty store,
 * reached over a socket pair, a TCP socket or TLS.
 *
 * Threads: one.    Memory: world_start / world_stop. */
#ifndef PC_TESTS_SCENARIOS_WORLD_H
#define PC_TESTS_SCENARIOS_WORLD_H

#include <stdatomic.h>

#include "app/serve.h"
#include "base/folder_test_kit.h"

enum world_way { WORLD_ADOPT, WORLD_TCP, WORLD_TLS };

/* Client certificates that are made for every run over TLS, by their common names; ends with NULL.
 */
extern const char *const world_certificates[];

struct world {
    enum world_way way;
    const char *postgres; /* URL; NULL: SQLite */
    char dir[TEST_FOLDER_BYTES];
    struct arena arena;
    struct config config;
    struct clock clock; /* the machine's, moved by `ahead_ns` */
    _Atomic int64_t ahead_ns;
    struct serve *serve;
};

/* Starts on an empty store. `yaml` replaces the sections of the base that it names. Prints what is
 * wrong and returns false. */
PC_CHECKED bool world_start(struct world *world, struct span yaml);
void world_stop(struct world *world);

void world_clock_move(struct world *world, int64_t ns);

/* Runs one SQL statement on the store, from outside. */
PC_CHECKED bool world_sql(const struct world *world, struct span sql);

/* The number that a query answers in its first row; -1 when it fails. */
int64_t world_number(const struct world *world, struct span sql);

/* Takes over another configuration, as SIGHUP does. */
PC_CHECKED bool world_reload(struct world *world, struct span yaml);

/* A socket that is connected to a service, for TCP and TLS before any handshake; -1 when that
 * fails. */
PC_CHECKED int world_connect(struct world *world, enum config_service service);

#endif
