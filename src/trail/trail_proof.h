/* SPDX-License-Identifier: MIT
 * A proof that one event is in the log, as a text that stands by itself: the event's line, where it
 * is in the tree, and a signed checkpoint. Whoever has the log's key can check it without us.
 *
 *   c2sp.org/tlog-proof@v1
 *   extra BASE64              the line of the export, without its newline
 *   index 73894
 *   HASH …                    the inclusion path, a line each
 *   (empty line)
 *   NOTE                      the checkpoint
 *
 * Threads: writing inside a store job, checking in any.    Memory: the arena's.
 * Errors:  ERR_NOT_FOUND: no such event; ERR_AGAIN: no checkpoint is of it yet; ERR_BAD_REQUEST: no
 *          such proof, with why.
 * Source:  C2SP tlog-proof. */
#ifndef PC_TRAIL_TRAIL_PROOF_H
#define PC_TRAIL_TRAIL_PROOF_H

#include "trail/trail_log.h"
#include "trail/trail_note.h"

enum { TRAIL_PROOF_BYTES_MAX = 256 * 1024 };

PC_CHECKED enum err trail_proof_write(struct store_conn *conn, const struct trail_entry *entry,
                                      struct arena *arena, struct sbuf *out);

struct trail_proved {
    struct trail_entry entry; /* what the line says */
    struct span line;
    struct trail_checkpoint said;
};

/* With no verifiers the signature is not looked at. */
PC_CHECKED enum err trail_proof_check(struct span text, const struct trail_verifier *verifiers,
                                      size_t count, struct arena *arena, struct trail_proved *ret,
                                      struct crypto_fault *fault);

#endif
