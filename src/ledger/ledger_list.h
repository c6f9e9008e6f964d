/* SPDX-License-Identifier: MIT
 * What the lists of this folder share: what they can be asked for. Newest first; a page begins
 * behind the last row of the one before, so rows that are added meanwhile move nothing.
 *
 * Threads: the request's.    Memory: the request's arena.
 * Source:  README.md, "Lists". */
#ifndef PC_LEDGER_LEDGER_LIST_H
#define PC_LEDGER_LEDGER_LIST_H

#include "http/http_page.h"
#include "ledger/ledger.h"

/* What was asked for; a span without a pointer is not asked for. */
struct ledger_filters {
    struct http_page page; /* first: HTTP_PAGE_FIELDS */
    int64_t account_id, user_id, created_from, created_to;
    struct span status, direction, currency, amount_min, amount_max;
    bool has_account, has_user, has_from, has_to;
};

/* Fields of a schema over struct ledger_filters. */
#define LEDGER_FILTER_ACCOUNT                                                                      \
    {                                                                                              \
        .name = "account_id", .kind = JSON_KIND_I64, .optional = true, .min = 1, .max = INT64_MAX, \
        .offset = offsetof(struct ledger_filters, account_id),                                     \
        .has_offset = offsetof(struct ledger_filters, has_account), .example = "7",                \
        .about = "Of this account."                                                                \
    }
#define LEDGER_FILTER_USER                                                                         \
    {                                                                                              \
        .name = "user_id", .kind = JSON_KIND_I64, .optional = true, .min = 1, .max = INT64_MAX,    \
        .offset = offsetof(struct ledger_filters, user_id),                                        \
        .has_offset = offsetof(struct ledger_filters, has_user), .example = "2",                   \
        .about = "Of this user's accounts."                                                        \
    }
#define LEDGER_FILTER_TIMES                                                                        \
    {.name = "created_from",                                                                       \
     .kind = JSON_KIND_TIME,                                                                       \
     .optional = true,                                                                             \
     .offset = offsetof(struct ledger_filters, created_from),                                      \
     .has_offset = offsetof(struct ledger_filters, has_from),                                      \
     .example = "2026-02-03T04:05:06Z",                                                            \
     .about = "Created then or later."},                                                           \
    {                                                                                              \
        .name = "created_to", .kind = JSON_KIND_TIME, .optional = true,                            \
        .offset = offsetof(struct ledger_filters, created_to),                                     \
        .has_offset = offsetof(struct ledger_filters, has_to), .example = "2026-02-04T00:00:00Z",  \
        .about = "Created before then."                                                            \
    }

/* The filters with their meaning; what was not asked for is as wide as can be. */
struct ledger_range {
    struct span currency; /* its code; empty: any */
    int64_t amount_min, amount_max;
    int64_t from_ns, to_ns; /* from <= created < to */
};

/* 422 that names the parameter: a currency there is not, an amount without a currency or with more
 * digits than it has. */
PC_CHECKED enum err ledger_range_read(struct http_request *req,
                                      const struct ledger_filters *filters,
                                      struct ledger_range *ret_range);

/* Whose rows may be on it: a customer's own, whatever they ask for. 0: anybody's; -1: nobody's. */
int64_t ledger_list_user(const struct http_request *req, const struct ledger_filters *filters);

/* A page ends early when the words in it are many: each may need six bytes in the answer. */
enum { LEDGER_PAGE_WORDS_MAX = 96 * 1024 };

/* The queries of all lists: for the test that looks at their plans. */
enum { LEDGER_TRANSACTION_LISTS = 8, LEDGER_TRANSFER_LISTS = 3 };
extern const struct store_statement ledger_transaction_lists[LEDGER_TRANSACTION_LISTS];
extern const struct store_statement ledger_transfer_lists[LEDGER_TRANSFER_LISTS];

/* The exact decimal, in the arena; without a pointer when that is full. */
struct span ledger_decimal(struct arena *arena, struct money money);

#endif
