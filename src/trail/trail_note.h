/* SPDX-License-Identifier: MIT
 * Signed notes about the tree at a size: what the log shows to the world, and what everything in it
 * is held against later.
 *
 *   portcullis                                         whose log
 *   20852                                              how many leaves
 *   CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=       the root
 *
 *   — portcullis Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE…
 *
 * A note may bear signatures of others, of witnesses for example; those whose keys are not known
 * are passed over. A known key whose signature is wrong makes the whole note worthless.
 *
 * Threads: any; a trail_verifier does not change once it is made.
 * Memory:  trail_verifier_free. A checkpoint's origin points into the note.
 * Errors:  ERR_BAD_REQUEST for a text that is no note, or is signed by nobody that is known, or
 *          wrongly; ERR_KEY; ERR_NO_MEMORY.
 * Source:  C2SP signed-note and tlog-checkpoint; RFC 8032 (Ed25519). */
#ifndef PC_TRAIL_TRAIL_NOTE_H
#define PC_TRAIL_TRAIL_NOTE_H

#include "base/sbuf.h"
#include "crypto/key.h"
#include "trail/trail_tree.h"

enum {
    TRAIL_NAME_BYTES_MAX = 128,
    TRAIL_NOTE_BYTES_MAX = 16 * 1024,
    TRAIL_NOTE_SIGNATURES_MAX = 64,
};

/* The name of a log and of its key: UTF-8 without spaces, control characters and plus signs. */
PC_CHECKED bool trail_name_is_good(struct span name);

struct trail_checkpoint {
    struct span origin;
    uint64_t size;
    struct trail_hash root;
};

/* A key under its name; zeroed, it is none. With the private part it signs too. */
struct trail_verifier {
    char name[TRAIL_NAME_BYTES_MAX];
    size_t name_bytes;
    uint32_t hash; /* SHA-256(name 0x0A 0x01 key), the first four bytes */
    struct crypto_key *key;
};

/* Of a key of ours, which is shared; and of a line such as "portcullis+cf33b4a5+AcN…". */
PC_CHECKED enum err trail_verifier_of(struct crypto_key *key, struct span name,
                                      struct trail_verifier *ret);
PC_CHECKED enum err trail_verifier_read(struct span line, struct trail_verifier *ret,
                                        struct crypto_fault *fault);
void trail_verifier_free(struct trail_verifier *verifier);

/* Appends the line, without its end. */
PC_CHECKED enum err trail_verifier_add(const struct trail_verifier *verifier, struct sbuf *out);

/* Appends the note about a tree of `size` leaves, signed with the verifier's private key. */
PC_CHECKED enum err trail_note_sign(const struct trail_verifier *signer, uint64_t size,
                                    const struct trail_hash *root, struct sbuf *out);

/* What the note says; nothing is said of its signatures, which are only well-formed. `fault` says
 * what is wrong and may be NULL, here and below. */
PC_CHECKED enum err trail_note_read(struct span note, struct trail_checkpoint *ret,
                                    struct crypto_fault *fault);

/* The same for a note that is signed by at least one of the verifiers, wrongly by none, and that is
 * of that verifier's log. */
PC_CHECKED enum err trail_note_check(struct span note, const struct trail_verifier *verifiers,
                                     size_t count, struct trail_checkpoint *ret,
                                     struct crypto_fault *fault);

#endif
