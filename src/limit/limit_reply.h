/* SPDX-License-Identifier: MIT
 * What Redis answers, read by hiredis into a place of fixed size. Whatever is sent, nothing is
 * allocated for it beyond the bytes of one short answer, and what no command of ours is answered by
 * (nested lists, long ones, long texts) is an error.
 *
 * Threads: one at a time.    Memory: limit_reader_new / limit_reader_free.
 * Source: Redis protocol (RESP2); hiredis 0.14 (read.h). */
#ifndef PC_LIMIT_LIMIT_REPLY_H
#define PC_LIMIT_LIMIT_REPLY_H

#include "base/err.h"
#include "base/span.h"

enum {
    LIMIT_REPLY_NUMBERS_MAX = 32,
    LIMIT_REPLY_TEXT_BYTES = 64, /* what is kept of a text */
    LIMIT_REPLY_BYTES_MAX = 4096,
};

enum limit_reply_kind {
    LIMIT_REPLY_NONE = 0, /* nothing yet */
    LIMIT_REPLY_NUMBERS,  /* a list of numbers, or one */
    LIMIT_REPLY_TEXT,     /* "+OK", or a string */
    LIMIT_REPLY_ERROR,    /* "-NOSCRIPT ..." */
    LIMIT_REPLY_OTHER,    /* nil, a list of other things */
};

struct limit_reply {
    enum limit_reply_kind kind;
    size_t count;
    int64_t numbers[LIMIT_REPLY_NUMBERS_MAX];
    size_t text_bytes; /* as it was sent */
    char text[LIMIT_REPLY_TEXT_BYTES];
};

struct limit_reader;

PC_CHECKED enum err limit_reader_new(struct limit_reader **ret_reader);
void limit_reader_free(struct limit_reader *reader); /* accepts NULL */

/* ERR_NO_MEMORY; ERR_BAD_REQUEST when what came so far is no short answer. Then the reader is of
 * no more use. */
PC_CHECKED enum err limit_reader_feed(struct limit_reader *reader, struct span bytes);
/* ERR_OK with an answer, ERR_AGAIN when it is not whole yet, ERR_BAD_REQUEST. */
PC_CHECKED enum err limit_reader_next(struct limit_reader *reader, struct limit_reply *ret);

/* The first word of an error: "READONLY". */
struct span limit_reply_word(const struct limit_reply *reply);

#endif
