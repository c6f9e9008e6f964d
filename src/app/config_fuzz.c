/* SPDX-License-Identifier: MIT
 * Any bytes as the configuration file: every answer is a loaded struct or a told problem, and
 * libcyaml never refuses what our own check let through. */
#include "app/config.h"

enum { ARENA_BYTES_MAX = 32 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct span text = span_make(bytes, count);
    struct config_sources sources = {
        .path = "portcullis.yaml", .text = &text, .files_unchecked = true};
    struct config_problems problems;
    struct config_origins origins;
    struct config config;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    err = config_load(&sources, &arena, &config, &origins, &problems);
    if (err == ERR_OK) {
        struct sbuf out = sbuf_on(&arena, ARENA_BYTES_MAX);

        PC_ASSERT(problems.errors == 0);
        config_explain(&config, &origins, &out);
    } else {
        PC_ASSERT(err == ERR_CONFIG && problems.count > 0);
        for (size_t i = 0; i < problems.count; i++)
            PC_ASSERT(
                !span_starts(problems.list[i].line, SPAN_OF("portcullis.yaml: cannot be loaded")));
    }
    arena_reset(&arena);
    return 0;
}
