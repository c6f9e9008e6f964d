/* SPDX-License-Identifier: MIT
 * What the tests of the configuration share: the table of wrong files, and one loading with all
 * that came of it. */
#ifndef PC_APP_CONFIG_TEST_H
#define PC_APP_CONFIG_TEST_H

#include "app/config_priv.h"

struct config_case {
    const char *text;
    const char *told; /* every problem, a line each; warnings begin with "warning: " */
};
extern const struct config_case config_bad_cases[];
extern const size_t config_bad_case_count;
extern const struct config_case config_proxy_bad_cases[];
extern const size_t config_proxy_bad_case_count;

enum { CONFIG_TEST_ARENA_BYTES_MAX = 8 * 1024 * 1024, CONFIG_TEST_TEXT_BYTES_MAX = 64 * 1024 };

#define CONFIG_TEST_SECRET "tR7xQ2mK9vB4nL8wZ3cF6hJ1yD5gS0pA"
#define CONFIG_TEST_SECRET_LONG                                                                    \
    CONFIG_TEST_SECRET "uE"                                                                        \
                       "8oW4iP6qX1kN7bV3jM9fG2dT5rC0sLzY"

/* The last loading with everything that came of it. */
struct config_test {
    struct arena arena;
    struct config_sources sources;
    struct span text;
    struct config config;
    struct config_origins origins;
    struct config_problems problems;
    char told_bytes[CONFIG_TEST_TEXT_BYTES_MAX];
};
extern struct config_test config_test;

/* Loads this text as the file, with no look at the disk. */
PC_CHECKED enum err config_test_load(const char *text, const char *const *variables);

/* Loads from the disk. */
PC_CHECKED enum err config_test_load_file(const char *path, const char *const *variables);

/* All that was told, a line each. */
const char *config_test_told(void);

int config_test_set_up(void **state);
int config_test_tear_down(void **state);

#endif
