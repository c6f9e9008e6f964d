/* SPDX-License-Identifier: MIT
 * The one script that Redis runs for limits, and the bytes that ask for it. It looks at every limit
 * of a request in one step, by Redis's own clock, so that neither the clocks of the nodes nor what
 * happens between two of them makes a difference.
 *
 * A bucket is one number under one name: the microsecond at which it is full again (GCRA's TAT, as
 * in limit.c). No number, or one that is past: the bucket is full.
 *
 * Threads: pure functions, any thread.    Memory: the caller's buffers.
 * Source: Redis protocol (RESP2); ITU-T I.371 (GCRA). */
#ifndef PC_LIMIT_LIMIT_SCRIPT_H
#define PC_LIMIT_LIMIT_SCRIPT_H

#include "base/sbuf.h"
#include "limit/limit.h"

enum {
    LIMIT_KEY_BYTES = 16,    /* of a bucket's name */
    LIMIT_SHA_BYTES = 40,    /* the script's, in hexadecimal digits */
    LIMIT_LINE_BYTES = 2048, /* of a command without the script's text */
};

/* What one bucket is asked for. */
struct limit_part {
    unsigned char key[LIMIT_KEY_BYTES];
    uint32_t burst;
    int32_t want;    /* requests to take; fewer than 0: to give back */
    int32_t least;   /* fewer than these, and nothing is taken from any bucket */
    int64_t step_us; /* of one request; at least 1 */
    int64_t room_us; /* burst * step_us */
};

/* A rate in microseconds, rounded so that it never admits more; at most a million a second. `want`
 * and `least` are 0. */
struct limit_part limit_part_of(const struct limit_rate *rate);

/* The bucket's name, the same on every node: a digest, since a header's value may be a secret. */
void limit_part_name(struct limit_part *part, struct span limit, struct span key);

/* What a bucket says after `taken` requests were taken from one that had `debt_us`. */
struct limit_verdict limit_part_verdict(const struct limit_part *part, int64_t debt_us,
                                        bool allowed);

struct span limit_script(void); /* its text */

/* "EVALSHA ..." for these buckets; false when `out` is too small. */
PC_CHECKED bool limit_script_call(struct sbuf *out, const char sha[LIMIT_SHA_BYTES],
                                  const struct limit_part *parts, size_t count);
/* The same with the script's text, for a server that does not know it. */
PC_CHECKED bool limit_script_call_whole(struct sbuf *out, const struct limit_part *parts,
                                        size_t count);
/* Any command of texts. */
PC_CHECKED bool limit_command(struct sbuf *out, const struct span *words, size_t count);

#endif
