/* SPDX-License-Identifier: MIT
 * What the files of json/ share with one another: the reader's state, and its inner parts. */
#ifndef PC_JSON_JSON_PRIV_H
#define PC_JSON_JSON_PRIV_H

#include "base/hash.h"
#include "base/limits.h"
#include "json/json.h"

enum { JSON_STACK_FIRST = 32 };

/* One json_read under way. */
struct json_reader {
    const char *begin;
    const char *at;
    const char *end;
    struct arena *arena;
    bool duplicates; /* only ever set by json_read_grammar */
    enum json_reason reason;
    const char *wrong; /* where the fault is */
    struct span name;  /* of the value that comes next */
    bool keyed;        /* `key` is drawn */
    struct hash_key key;
    struct json_value *stack;
    size_t used; /* values on the stack */
    size_t room;
    size_t depth;                      /* open lists and objects */
    size_t open[LIMIT_JSON_DEPTH_MAX]; /* their places on the stack, outermost first */
    struct json_value first[JSON_STACK_FIRST];
};

/* Records the first fault and answers false, so that a reader function can end with it. */
bool json_reader_fail(struct json_reader *r, enum json_reason reason, const char *wrong);

/* The same for an allocation of `bytes` that the arena refused. */
bool json_reader_fail_room(struct json_reader *r, size_t bytes);

/* Reads the text whose opening quote is at r->at; leaves r->at behind the closing one. */
PC_CHECKED bool json_reader_text(struct json_reader *r, struct span *ret_text);

/* Reads the number at r->at, if one begins there; leaves r->at behind it. */
PC_CHECKED bool json_reader_number(struct json_reader *r, struct span *ret_text);

/* Refuses two members of one name. In O(n) for any names, chosen by an enemy or not. */
PC_CHECKED bool json_reader_unique(struct json_reader *r, const struct json_value *object);

/* json_read without the rule against duplicate members, which RFC 8259, 4 only recommends: for
 * tests that compare the grammar alone with others. Nothing else may call it. */
PC_CHECKED enum err json_read_grammar(struct span text, struct arena *arena,
                                      const struct json_value **ret_root,
                                      struct json_fault *ret_fault);

#endif
