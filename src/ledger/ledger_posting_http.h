/* SPDX-License-Identifier: MIT
 * What POST /postings and GET /postings/{id} share: how a posting with its legs is shown.
 *
 * Threads: the request's.    Memory: the request's arena. */
#ifndef PC_LEDGER_LEDGER_POSTING_HTTP_H
#define PC_LEDGER_LEDGER_POSTING_HTTP_H

#include "http/http.h"
#include "ledger/ledger.h"

/* An account as it is named in orders: "7", "settlement:EUR". */
enum { LEDGER_ACCOUNT_NAME_BYTES_MAX = 32 };
void ledger_account_name_add(struct sbuf *out, int64_t account_id, enum currency currency);
/* 7, "7" or "settlement:EUR", as it stands in JSON; 0 for anything else. */
int64_t ledger_account_from_name(struct span json);

struct ledger_leg_row {
    int64_t account_id, minor, held_minor, incoming_minor;
    struct span account, currency, amount, held, incoming;
};
/* Fills in what the numbers look like. ERR_NO_MEMORY. */
PC_CHECKED enum err ledger_leg_show(struct arena *arena, enum currency currency,
                                    struct ledger_leg_row *leg);

struct ledger_posting_row {
    int64_t seq, refers_to, transaction_id, created_at, effective_at;
    struct span kind, description;
    struct json_list legs;        /* struct ledger_leg_row */
    struct json_list referred_by; /* int64_t */
    bool has_reference, has_transaction;
};

#endif
