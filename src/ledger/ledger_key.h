/* SPDX-License-Identifier: MIT
 * What ledger_call.c and ledger_key.c share: an Idempotency-Key of a request, and what was kept
 * under it.
 *
 * Threads: ledger_key_read on the loop; the rest in the store job of a turn.
 * Memory:  the request's arena; what is kept, the arena that is given.
 * Source:  draft-ietf-httpapi-idempotency-key-header-07; docs/decisions/ledger-idempotency.md. */
#ifndef PC_LEDGER_LEDGER_KEY_H
#define PC_LEDGER_LEDGER_KEY_H

#include "http/http.h"
#include "ledger/ledger.h"

enum { LEDGER_KEY_HASH_BYTES = 16 };

/* What was answered to the first request with a key. */
struct ledger_kept {
    struct span print;
    struct http_answer answer;
};

struct ledger_key {
    bool is_given;
    char hash[LEDGER_KEY_HASH_BYTES]; /* of whose, which route's, and the key itself */
    struct span print;                /* of what is asked: path, query and body */
    const struct ledger_kept *kept;   /* NULL: the key is new */
    bool is_second;                   /* it is new, but another request of the turn was first */
};

/* Not given: ERR_OK. ERR_VALIDATION names the header; ERR_NO_MEMORY. */
PC_CHECKED enum err ledger_key_read(struct http_request *req, struct ledger_key *ret_key);

/* Fills in what is kept under each, and who is second. */
PC_CHECKED enum err ledger_keys_find(struct store_conn *conn, struct ledger_key *const *keys,
                                     size_t count, struct arena *arena);

/* The first member in which the request differs from what was kept; false when it is the same.
 * *ret_name is empty when there is no room for it. */
PC_CHECKED bool ledger_key_differs(const struct http_request *req, const struct ledger_key *key,
                                   struct span *ret_name);

/* Keeps the request's answer, as it stands, in the turn's commit. */
PC_CHECKED enum err ledger_key_keep(struct ledger_turn *turn, const struct ledger_key *key,
                                    const struct http_request *req);

/* Gives up answers that were kept for key_life_s, some hundred in a commit of its own. Blocks. */
PC_CHECKED enum err ledger_keys_sweep(struct ledger *ledger, bool *ret_more);

#endif
