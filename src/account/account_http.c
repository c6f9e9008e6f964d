/* SPDX-License-Identifier: MIT
 * The routes of the account service, and those two that only look: the list, newest first, of which
 * a page begins behind the last account of the one before, and a single account. */
#include "account/account_priv.h"

struct list_input {
    struct http_page page;
    struct account_filter filter;
    bool has_user;
};

static const struct json_field list_fields[] = {
    HTTP_PAGE_FIELDS(HTTP_PAGE_KEY_BYTES_MAX, "100"),
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct list_input, filter.user_id),
     .has_offset = offsetof(struct list_input, has_user),
     .example = "2",
     .about = "Of this user."},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = account_states,
     .offset = offsetof(struct list_input, filter.status),
     .example = "active",
     .about = "In this state."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 3,
     .max = 3,
     .offset = offsetof(struct list_input, filter.currency),
     .example = "USD",
     .about = "In this currency."},
    {.name = "account_type",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 1,
     .max = ACCOUNT_TYPE_CHARS_MAX,
     .offset = offsetof(struct list_input, filter.type),
     .example = "checking",
     .about = "Of this type."},
};
static const struct json_schema list_schema = {.name = "AccountPage",
                                               .fields = list_fields,
                                               .field_count = PC_COUNT(list_fields),
                                               .bytes = sizeof(struct list_input)};

/* Who does not see everybody's sees their own, and nothing when they ask for another's: a client
 * that speaks for itself has none. False: there is nothing to look for. */
static bool narrow(const struct http_request *req, struct account_filter *filter)
{
    const struct list_input *input = req->input;

    if (account_is_seen(req->principal, input->has_user ? input->filter.user_id : 0))
        return true;
    if (input->has_user || req->principal->user_id == 0)
        return false;
    filter->user_id = req->principal->user_id;
    return true;
}

/* One more than asked for tells whether there is a next page. */
static enum err accounts_list(struct http_request *req)
{
    const struct list_input *input = req->input;
    struct account_filter filter = input->filter;
    struct account *accounts;
    struct json_list list = {0};
    size_t limit = (size_t)input->page.limit;
    size_t count;
    enum err err;

    account_count_scopes(req);
    err = http_page_after(req, &input->page, &filter.before);
    if (err)
        return err;
    if (!narrow(req, &filter))
        return http_reply_list(req, list);
    if (filter.before == 0)
        filter.before = INT64_MAX;
    filter.limit = limit + 1;
    err = account_list(req->store, &filter, req->arena, &accounts, &count);
    if (err)
        return err;
    if (count > limit) {
        count = limit;
        http_page_link_key(req, &input->page, accounts[limit - 1].id);
    }
    err = account_replies_of(accounts, count, req->arena, &list);
    return err ? err : http_reply_list(req, list);
}

static enum err account_get(struct http_request *req)
{
    const struct account_id_input *input = req->input;
    struct account_reply reply;
    struct account account = {0};
    enum err err;

    account_count_scopes(req);
    err = account_find_seen(req, input->id, &account);
    if (!err)
        err = account_reply_of(&account, req->arena, &reply);
    return err ? err : http_reply(req, &reply);
}

#define RIGHTS                                                                                     \
    "Seen are one's own accounts, and everybody's by the roles payments, risk, auditor and "       \
    "admin; another's answers like one that does not exist."

const struct http_route account_routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/accounts",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:read",
     .per_minute = 30,
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &list_schema,
     .reply = &account_schema,
     .reply_is_list = true,
     .run = HTTP_RUN_READ,
     .handle = accounts_list,
     .id = "accounts_list",
     .tag = "Accounts",
     .summary = "Accounts, newest first",
     .about = RIGHTS},
    {.method = NET_METHOD_POST,
     .path = "/accounts",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:write",
     .per_minute = 10,
     .data = HTTP_DATA_CONFIDENTIAL,
     .body = &account_new_schema,
     .body_bytes_max = 4096,
     .reply = &account_schema,
     .reply_status = 201,
     .keyed = true,
     .handle = account_open,
     .id = "accounts_open",
     .tag = "Accounts",
     .summary = "Open an account",
     .about = "For oneself; for others by the roles payments, risk and admin. An `initial_deposit` "
              "above zero needs payments or risk, and moves from the settlement account of the "
              "currency in the same commit. Takes an `Idempotency-Key`.",
     .errors = {ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_TAKEN, ERR_BALANCE_RANGE, ERR_AMOUNT_DIGITS,
                ERR_AMOUNT_RANGE}},
    {.method = NET_METHOD_GET,
     .path = "/accounts/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:read",
     .per_minute = 30,
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &account_id_schema,
     .reply = &account_schema,
     .run = HTTP_RUN_READ,
     .handle = account_get,
     .id = "accounts_get",
     .tag = "Accounts",
     .summary = "One account",
     .about = RIGHTS,
     .errors = {ERR_NOT_FOUND}},
    {.method = NET_METHOD_PUT,
     .path = "/accounts/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:write",
     .per_minute = 10,
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &account_id_schema,
     .body = &account_change_schema,
     .body_bytes_max = 4096,
     .reply = &account_schema,
     .keyed = true,
     .handle = account_change,
     .id = "accounts_change",
     .tag = "Accounts",
     .summary = "Change an account's type, status or limit",
     .about = "What is left out stays. The owner may change the type; status and limit need the "
              "role payments or risk. Takes an `Idempotency-Key`.",
     .errors = {ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_ACCOUNT_CLOSED, ERR_BALANCE_LEFT, ERR_FUNDS,
                ERR_KEY_REUSED}},
    {.method = NET_METHOD_DELETE,
     .path = "/accounts/{id}",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:write",
     .per_minute = 5,
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &account_id_schema,
     .reply_status = 204,
     .keyed = true,
     .handle = account_close,
     .id = "accounts_close",
     .tag = "Accounts",
     .summary = "Close an account",
     .about = "When nothing is in it, held or on its way to it. Its history stays, and it can "
              "still be read; closing it again changes nothing. A frozen one is closed by the "
              "roles payments and risk only. Takes an `Idempotency-Key`.",
     .errors = {ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_ACCOUNT_FROZEN, ERR_BALANCE_LEFT, ERR_KEY_RUNNING,
                ERR_KEY_REUSED}},
    {.method = NET_METHOD_GET,
     .path = "/accounts/{id}/balance",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:read",
     .per_minute = 30,
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &account_moment_schema,
     .reply = &account_balance_schema,
     .run = HTTP_RUN_READ,
     .handle = account_balance,
     .id = "accounts_balance",
     .tag = "Accounts",
     .summary = "What is in an account, now or at a moment of the past",
     .about =
         "Now: one moment, without holds that have expired. The past: behind posting `seq`, or "
         "at the time `at`; with `effective_at` also counting each posting from its effective "
         "date on. What is told of a `seq`, or of an `at` that the answer repeats, never changes.",
     .errors = {ERR_NOT_FOUND}},
    {.method = NET_METHOD_GET,
     .path = "/accounts/{id}/statement",
     .access = HTTP_ACCESS_BEARER,
     .scopes = "accounts:read",
     .per_minute = 30,
     .data = HTTP_DATA_CONFIDENTIAL,
     .input = &account_period_schema,
     .reply = &account_statement_schema,
     .reply_other = "text/csv; charset=utf-8; header=present",
     .run = HTTP_RUN_READ,
     .handle = account_statement,
     .id = "accounts_statement",
     .tag = "Accounts",
     .summary = "What moved in an account",
     .about = "From `from` to before `to`, by commit time or by effective date, oldest first, a "
              "page at a time: each page's opening balance and its lines make its closing balance. "
              "The answer's `seq` asks for the same page again, which never changes. As JSON, or "
              "as CSV (RFC 4180) with `Accept: text/csv` or `format=csv`; there a text that a "
              "spreadsheet would take for a formula begins with an apostrophe.",
     .errors = {ERR_NOT_FOUND, ERR_NOT_ACCEPTABLE}},
    {.path = NULL},
};
