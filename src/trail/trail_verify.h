/* SPDX-License-Identifier: MIT
 * Is this the log? An exported log is read from its first line to its last, without a database and
 * without trusting who exported it: every record must give its leaf, every leaf must stand where
 * its number says, and the tree of them must have the root of every checkpoint it is held against.
 *
 *   trail_verify_new(&options, &verify);
 *   trail_verify_note(verify, "monday.txt", note);    checkpoints that were kept elsewhere
 *   trail_verify_file(verify, "log.jsonl", fd);       one export, or several in their order
 *   trail_verify_end(verify, &summary);
 *
 * What is wrong is told as it is met, a sentence each, with the place. A record that was changed is
 * told by its number. What was rewritten so that every leaf fits again shows at the first
 * checkpoint behind it, and so is known to lie between that and the last one that held. What no
 * checkpoint is behind is a finding too, and so is a log without any.
 *
 * Threads: one at a time; a second thread is kept for half of the hashing.
 * Memory:  trail_verify_free; 10 MiB, whatever the length of the log.
 * Errors:  ERR_IO, ERR_NO_MEMORY: it could not be looked at. What is found is no error.
 * Source:  RFC 6962, 2.1; README.md here (the format). */
#ifndef PC_TRAIL_TRAIL_VERIFY_H
#define PC_TRAIL_TRAIL_VERIFY_H

#include "trail/trail_note.h"

enum { TRAIL_VERIFY_NOTES_MAX = 256, TRAIL_VERIFY_FINDINGS_MAX = 100 };

struct trail_verify;

/* Is told the first TRAIL_VERIFY_FINDINGS_MAX of them. */
typedef void trail_found_fn(void *context, struct span sentence);

struct trail_verify_options {
    const struct trail_verifier *verifiers; /* none: signatures are not looked at */
    size_t verifier_count;
    trail_found_fn *found;
    void *context;
};

struct trail_verify_summary {
    uint64_t findings;
    uint64_t from, size;      /* the leaves that were there: [from, size) */
    uint64_t checkpoints;     /* that the tree was held against, and had their roots */
    uint64_t checkpoint_size; /* of the largest of them */
    uint64_t kept_size;       /* of the largest that came by trail_verify_note; 0: none */
    struct trail_hash root;   /* at `size` */
    bool is_signed;           /* and one of those was signed with a key that is known */
};

PC_CHECKED enum err trail_verify_new(const struct trail_verify_options *options,
                                     struct trail_verify **ret);
void trail_verify_free(struct trail_verify *verify); /* accepts NULL */

/* A checkpoint from outside, before the first file. `name` must live as long as `verify`. */
PC_CHECKED enum err trail_verify_note(struct trail_verify *verify, const char *name,
                                      struct span note);

PC_CHECKED enum err trail_verify_file(struct trail_verify *verify, const char *name, int fd);

void trail_verify_end(struct trail_verify *verify, struct trail_verify_summary *ret);

#endif
