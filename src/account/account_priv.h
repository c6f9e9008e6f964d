/* SPDX-License-Identifier: MIT
 * What the files of account/ share among themselves. */
#ifndef PC_ACCOUNT_ACCOUNT_PRIV_H
#define PC_ACCOUNT_ACCOUNT_PRIV_H

#include "account/account.h"

#include "http/http_page.h"

enum {
    ACCOUNT_NUMBER_CHARS_MIN = 4,
    ACCOUNT_NUMBER_CHARS_MAX = 34, /* an IBAN fits */
    ACCOUNT_NUMBER_SHOWN = 4,      /* of its letters and digits, the last ones */
    ACCOUNT_TYPE_CHARS_MAX = 50,
    ACCOUNT_DECIMAL_BYTES_MAX = 32,
};

/* ---- account.c: rules -------------------------------------------------------------------------
 */

/* An account's number as it must be unique: letters and digits alone, in capitals. ERR_VALIDATION
 * for anything else than 4 to 34 letters, digits, blanks and '-', of which 4 are letters or digits;
 * ERR_NO_MEMORY. */
PC_CHECKED enum err account_number_key(struct span number, struct arena *arena,
                                       struct span *ret_key);
/* As it is shown: all but its last 4 letters and digits as '*'. {NULL, 0} when the arena is full.
 */
struct span account_number_masked(struct span number, struct arena *arena);
/* A name such as "savings" or "Joint account 2". */
PC_CHECKED bool account_type_holds(struct span type);

/* Who may do what with an account of this user: see README.md, "Rights". */
bool account_is_seen(const struct http_principal *principal, int64_t user_id);
bool account_is_managed(const struct http_principal *principal, int64_t user_id);

/* Counts what the header x-data-scope says: for every request of this service, once. */
void account_count_scopes(const struct http_request *req);

/* The exact decimal, in the arena; {NULL, 0} when that is full. */
struct span account_decimal(struct arena *arena, int64_t minor, enum currency currency);

/* ---- account_store.c --------------------------------------------------------------------------
 */

struct account {
    int64_t id, user_id;
    struct span number, type;
    enum currency currency;
    enum ledger_state state;
    int64_t posted;
    int64_t created_at_ns, updated_at_ns;
};

/* As the store has it. ERR_NOT_FOUND. */
PC_CHECKED enum err account_find(struct store_conn *conn, int64_t id, struct arena *arena,
                                 struct account *ret_account);
/* The same for the caller of a request that reads: another's is not found. */
PC_CHECKED enum err account_find_seen(struct http_request *req, int64_t id,
                                      struct account *ret_account);

struct account_filter {
    struct span type, currency, status; /* without a pointer: any */
    int64_t user_id;                    /* 0: everybody's */
    int64_t before;                     /* ids below; newest first */
    size_t limit;
};
PC_CHECKED enum err account_list(struct store_conn *conn, const struct account_filter *filter,
                                 struct arena *arena, struct account **ret_accounts,
                                 size_t *ret_count);

PC_CHECKED enum err account_number_taken(struct store_conn *conn, struct span key, bool *ret_taken);
/* The row of a ledger account that is open already. ERR_TAKEN. */
PC_CHECKED enum err account_add(struct store_conn *conn, const struct account *account,
                                struct span number_key);
PC_CHECKED enum err account_set_type(struct store_conn *conn, int64_t id, struct span type,
                                     int64_t now_ns);

/* The last posting there is: its number and moment; both 0 when there is none. What is read behind
 * this call holds all of them up to it. */
PC_CHECKED enum err account_ledger_head(struct store_conn *conn, int64_t *ret_seq,
                                        int64_t *ret_at_ns);

/* ---- account_schema.c: what the pages show ----------------------------------------------------
 */

struct account_reply {
    int64_t id, user_id;
    struct span account_number, account_type, currency, status, balance;
    int64_t balance_minor, created_at, updated_at;
};
extern const struct json_schema account_schema;
extern const char *const account_states[]; /* ends with NULL */
PC_CHECKED enum err account_reply_of(const struct account *account, struct arena *arena,
                                     struct account_reply *ret_reply);
/* The same for a list. */
PC_CHECKED enum err account_replies_of(const struct account *accounts, size_t count,
                                       struct arena *arena, struct json_list *ret_list);

struct account_id_input {
    int64_t id;
};
extern const struct json_schema account_id_schema;

/* A path parameter of a schema over a struct that begins with its place. */
#define ACCOUNT_ID_FIELD(type)                                                                     \
    {                                                                                              \
        .name = "id", .kind = JSON_KIND_I64, .min = 1, .max = INT64_MAX,                           \
        .offset = offsetof(type, id), .example = "7", .about = "The account's id."                 \
    }

#define ACCOUNT_DECIMAL_FIELD(type, member, text)                                                  \
    {                                                                                              \
        .name = #member, .kind = JSON_KIND_DECIMAL, .min = INT64_MIN, .max = INT64_MAX,            \
        .offset = offsetof(type, member), .example = "19.95", .about = (text)                      \
    }
#define ACCOUNT_MINOR_FIELD(type, member)                                                          \
    {                                                                                              \
        .name = #member, .kind = JSON_KIND_I64, .min = INT64_MIN, .max = INT64_MAX,                \
        .offset = offsetof(type, member), .example = "1995",                                       \
        .about = "The same in minor units of the currency."                                        \
    }

/* ---- account_statement.c ----------------------------------------------------------------------
 */

/* A place in the order of the lines: behind the posting `seq`, of that effective date. */
struct account_place {
    int64_t effective_at_ns; /* only where the order is by effective date */
    int64_t seq;
};

/* What a page of a statement is to hold. */
struct account_period {
    int64_t account_id;
    bool by_effective;      /* else by commit */
    int64_t from_ns, to_ns; /* from <= time < to */
    int64_t seq;            /* nothing behind this posting is looked at */
    bool continues;         /* behind `after`; else from the beginning */
    struct account_place after;
    size_t limit; /* lines */
};

struct account_line {
    int64_t seq, at, effective_at;
    struct span kind, description, amount, balance_after;
    int64_t amount_minor, balance_after_minor, counterparty;
    bool has_counterparty;
};

struct account_page {
    int64_t opening, closing;
    struct account_line *lines;
    size_t count;
    bool has_more;
};

/* Without the decimals of its lines. What is told of a period and a seq is the same for ever. */
PC_CHECKED enum err account_statement_read(struct store_conn *conn,
                                           const struct account_period *period, struct arena *arena,
                                           struct account_page *ret_page);

/* account_statement_csv.c: RFC 4180, with a line of names. */
PC_CHECKED enum err account_statement_csv(const struct account_page *page, enum currency currency,
                                          struct arena *arena, struct span *ret_text);
/* Whether these media types (RFC 9110, 12.5.1) like CSV better than JSON; with neither of them
 * ERR_NOT_ACCEPTABLE. */
PC_CHECKED enum err account_statement_form(struct span accept, bool *ret_csv);

/* ---- changes, in a turn (account_change_http.c) -----------------------------------------------
 */

/* Hands an event of this account to the trail; `details` as in a record. */
PC_CHECKED enum err account_record(struct ledger_turn *turn, enum trail_event event, int64_t id,
                                   const struct trail_detail *details, size_t count);

/* ---- the handlers of the table in account_http.c ----------------------------------------------
 */

extern const struct json_schema account_new_schema;    /* account_open_http.c */
extern const struct json_schema account_change_schema; /* account_change_http.c */
extern const struct json_schema account_balance_schema, account_moment_schema;
extern const struct json_schema account_statement_schema, account_period_schema;

http_handler_fn account_open, account_change, account_close, account_balance, account_statement;

#endif
