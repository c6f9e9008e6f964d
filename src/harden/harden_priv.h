/* SPDX-License-Identifier: MIT
 * Within harden/. */
#ifndef PC_HARDEN_HARDEN_PRIV_H
#define PC_HARDEN_HARDEN_PRIV_H

#include "harden/harden.h"

/* Writes "what: more" (more may be NULL); ERR_CONFIG. */
PC_CHECKED enum err harden_fail(struct harden_fault *fault, const char *what, const char *more);

#endif
