/* SPDX-License-Identifier: MIT
 * The table of wrong files that config_test.c walks through. */
#ifndef PC_APP_CONFIG_TEST_H
#define PC_APP_CONFIG_TEST_H

#include "app/config_priv.h"

struct config_case {
    const char *text;
    const char *told; /* every problem, a line each; warnings begin with "warning: " */
};
extern const struct config_case config_bad_cases[];
extern const size_t config_bad_case_count;

#endif
