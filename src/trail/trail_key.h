/* SPDX-License-Identifier: MIT
 * The key that signs what the log shows, in a file of its own: who can write the database cannot
 * sign, unless he can read that file too.
 *
 * Threads: one, at start.    Memory: trail_verifier_free.
 * Errors:  ERR_NOT_FOUND, ERR_IO, ERR_KEY, ERR_BAD_REQUEST (the name), told in words. */
#ifndef PC_TRAIL_TRAIL_KEY_H
#define PC_TRAIL_TRAIL_KEY_H

#include "trail/trail_note.h"

/* The private key in the PEM file at `path`, which must be closed to others, under the log's name.
 * ERR_NOT_FOUND when there is no such file; with `make` one is made, mode 0600, whole or not at
 * all. */
PC_CHECKED enum err trail_key_open(const char *path, struct span origin, bool make,
                                   struct trail_verifier *ret, struct crypto_fault *fault);

/* A key to check with: `text` is its line, or a file whose first line that is. */
PC_CHECKED enum err trail_key_public(const char *text, struct trail_verifier *ret,
                                     struct crypto_fault *fault);

#endif
