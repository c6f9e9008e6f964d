/* SPDX-License-Identifier: MIT
 * POST /accounts: the account's row, its ledger account, its first deposit and its events, in one
 * commit. Refused in the order of README.md; behind the last look nothing may fail. */
#include "account/account_priv.h"

#include "ledger/ledger_call.h"

struct account_new {
    int64_t user_id;
    struct span account_number, account_type, currency, status, initial_deposit;
};

static const char *const first_states[] = {"active", "frozen", NULL};

static const struct json_field new_fields[] = {
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct account_new, user_id),
     .example = "2",
     .about = "Whose it will be."},
    {.name = "account_number",
     .kind = JSON_KIND_TEXT,
     .min = ACCOUNT_NUMBER_CHARS_MIN,
     .max = ACCOUNT_NUMBER_CHARS_MAX,
     .offset = offsetof(struct account_new, account_number),
     .example = "1234567890",
     .about = "Letters, digits, blanks and '-'; unique by its letters and digits, whatever their "
              "case."},
    {.name = "account_type",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .min = 1,
     .max = ACCOUNT_TYPE_CHARS_MAX,
     .offset = offsetof(struct account_new, account_type),
     .example = "checking",
     .about = "Any name of letters, digits, blanks, '.', '_' and '-'."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 3,
     .max = 3,
     .offset = offsetof(struct account_new, currency),
     .fallback = "USD",
     .example = "USD",
     .about = "ISO 4217."},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = first_states,
     .offset = offsetof(struct account_new, status),
     .fallback = "active",
     .example = "active"},
    {.name = "initial_deposit",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct account_new, initial_deposit),
     .fallback = "0",
     .example = "100.00",
     .about = "An exact amount, with no more digits than the currency has."},
};
const struct json_schema account_new_schema = {.name = "AccountNew",
                                               .about = "An account to be opened.",
                                               .fields = new_fields,
                                               .field_count = PC_COUNT(new_fields),
                                               .bytes = sizeof(struct account_new)};

/* What is known of the account before it is there. */
struct opening {
    struct account account;
    struct span number_key;
    struct money deposit;
};

/* "0", "0.00", "-0": whatever it is called, nothing moves. */
static bool is_nothing(struct span decimal)
{
    for (size_t i = 0; i < decimal.len; i++) {
        if (decimal.ptr[i] >= '1' && decimal.ptr[i] <= '9')
            return false;
    }
    return true;
}

/* 404 for a user there is not, or whose accounts the caller must not know of; then 403. */
static enum err check_rights(struct http_request *req, struct ledger_turn *turn)
{
    const struct account_new *body = req->body;
    struct auth_user user;
    enum err err;

    err = auth_user_by_id(ledger_turn_conn(turn), body->user_id, req->arena, &user);
    if (!err && !account_is_seen(req->principal, body->user_id))
        err = ledger_not_owner(req, "user:", body->user_id);
    if (err == ERR_NOT_FOUND)
        return http_fail(req, err, "There is no such user.");
    if (err)
        return err;
    if (!account_is_managed(req->principal, body->user_id))
        return http_fail(req, ERR_FORBIDDEN, "Your role sees accounts, but opens none for others.");
    if (!is_nothing(body->initial_deposit) && !ledger_moves_all(req->principal))
        return http_fail(req, ERR_FORBIDDEN, "A first deposit needs the role payments or risk.");
    return ERR_OK;
}

static enum err read_deposit(struct http_request *req, enum currency currency,
                             struct money *ret_deposit)
{
    const struct account_new *body = req->body;
    enum err err;

    if (!is_nothing(body->initial_deposit))
        return ledger_amount_read(req, "initial_deposit", body->initial_deposit, currency,
                                  ret_deposit);
    err = money_read(body->initial_deposit, currency, ret_deposit);
    return err ? http_fail_field(req, "initial_deposit", "is not an exact amount of the currency")
               : ERR_OK;
}

/* What cannot be posted is found before anything is written. */
static enum err check_range(struct ledger_turn *turn, struct money deposit)
{
    struct ledger_account settlement = {0};
    int64_t left, free;
    enum err err = ledger_turn_account(
        turn, ledger_house_account(LEDGER_SETTLEMENT, deposit.currency), &settlement);

    if (err)
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    return money_minor_subtract(settlement.posted, deposit.minor, &left) &&
                   money_minor_subtract(left, settlement.held, &free)
               ? ERR_OK
               : ERR_BALANCE_RANGE;
}

static enum err check_opening(struct http_request *req, struct ledger_turn *turn,
                              struct opening *ret_opening)
{
    const struct account_new *body = req->body;
    struct account *account = &ret_opening->account;
    bool taken;
    enum err err = check_rights(req, turn);

    if (err)
        return err;
    account->currency = currency_from_code(body->currency);
    if (account->currency == CURRENCY_NONE)
        return http_fail_field(req, "currency", "is no currency of ISO 4217");
    err = read_deposit(req, account->currency, &ret_opening->deposit);
    if (!err)
        err = account_number_key(body->account_number, req->arena, &ret_opening->number_key);
    if (!err)
        err = account_number_taken(ledger_turn_conn(turn), ret_opening->number_key, &taken);
    if (err)
        return err;
    if (taken)
        return http_fail(req, ERR_TAKEN, "There is an account with this number.");
    return check_range(turn, ret_opening->deposit);
}

/* Both rows are written at once: what follows in the same commit sees the number as taken. */
static enum err open_rows(struct ledger_turn *turn, const struct account_new *body,
                          struct opening *opening)
{
    struct account *account = &opening->account;
    const struct ledger_account_new fresh = {
        .user_id = body->user_id,
        .currency = account->currency,
        .state = span_is(body->status, "frozen") ? LEDGER_FROZEN : LEDGER_ACTIVE};
    enum err err = ledger_account_open(turn, &fresh, &account->id);

    if (err)
        return err;
    account->user_id = fresh.user_id;
    account->state = fresh.state;
    account->number = span_trim(body->account_number);
    account->type = body->account_type;
    account->created_at_ns = account->updated_at_ns = ledger_turn_now(turn);
    return account_add(ledger_turn_conn(turn), account, opening->number_key);
}

static enum err deposit_first(struct ledger_turn *turn, struct opening *opening)
{
    const struct ledger_transfer transfer = {
        .kind = LEDGER_DEPOSIT,
        .from = ledger_house_account(LEDGER_SETTLEMENT, opening->deposit.currency),
        .to = opening->account.id,
        .amount = opening->deposit,
        .description = SPAN("initial deposit")};
    struct ledger_posted posted;

    if (opening->deposit.minor == 0)
        return ERR_OK;
    opening->account.posted = opening->deposit.minor;
    return ledger_move(turn, &transfer, &posted);
}

static enum err record_opening(struct http_request *req, struct ledger_turn *turn,
                               const struct account *account)
{
    struct sbuf user = sbuf_on(req->arena, ACCOUNT_DECIMAL_BYTES_MAX);
    struct trail_detail details[] = {
        {.name = "user_id"},
        {.name = "currency", .value = span_from(currency_code(account->currency))},
        {.name = "status", .value = span_from(ledger_states[account->state])}};

    sbuf_add_i64(&user, account->user_id);
    if (user.full)
        return ERR_NO_MEMORY;
    details[0].value = sbuf_span(&user);
    return account_record(turn, TRAIL_ACCOUNT_OPENED, account->id, details, PC_COUNT(details));
}

/* 201 with where it is. */
static enum err reply_opened(struct http_request *req, const struct account *account)
{
    struct account_reply reply;
    struct sbuf where = sbuf_on(req->arena, LIMIT_HTTP_TARGET_BYTES_MAX);
    enum err err = account_reply_of(account, req->arena, &reply);

    if (err)
        return err;
    sbuf_add(&where, req->path);
    sbuf_add_char(&where, '/');
    sbuf_add_i64(&where, account->id);
    if (where.full)
        return ERR_NO_MEMORY;
    http_reply_header(req, "Location", sbuf_span(&where));
    return http_reply(req, &reply);
}

/* Once something is written, whatever fails must not be taken for an answer. */
static enum err account_open_run(struct http_request *req, struct ledger_turn *turn)
{
    struct opening opening = {0};
    enum err err = check_opening(req, turn, &opening);

    if (err)
        return err;
    err = open_rows(turn, req->body, &opening);
    if (!err)
        err = deposit_first(turn, &opening);
    if (!err)
        err = record_opening(req, turn, &opening.account);
    if (!err)
        err = reply_opened(req, &opening.account);
    return err_status(err) >= 400 && err_status(err) < 500 ? ERR_INTERNAL : err;
}

enum err account_open(struct http_request *req)
{
    const struct account_new *body = req->body;
    struct ledger_call *call;
    struct span key;
    enum err err;

    account_count_scopes(req);
    err = account_number_key(body->account_number, req->arena, &key);
    if (err == ERR_VALIDATION)
        return http_fail_field(req, "account_number",
                               "must be letters, digits, blanks and '-', with at least 4 letters "
                               "or digits");
    if (err)
        return err;
    if (!account_type_holds(body->account_type))
        return http_fail_field(req, "account_type",
                               "must be letters, digits, blanks, '.', '_' and '-'");
    call = ledger_call_new(req, account_open_run);
    if (call == NULL)
        return ERR_NO_MEMORY;
    return ledger_call_go(req, ((struct account_service *)http_context(req))->ledger, call);
}
