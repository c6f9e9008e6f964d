/* SPDX-License-Identifier: MIT
 * PUT and DELETE /accounts/{id}. What people call an account changes in its row; state and limit
 * are the ledger's, which refuses what would lose money.
 *
 *   active <-> frozen      PUT status, by payments and risk
 *   active  -> closed      PUT status, or DELETE; by the owner too
 *   frozen  -> closed      the same, but not by the owner
 *   closed                 stays so */
#include "account/account_priv.h"

#include "ledger/ledger_call.h"

struct account_change {
    struct span account_type, status, overdraft_limit;
    bool has_type, has_status, has_limit;
};

static const struct json_field change_fields[] = {
    {.name = "account_type",
     .kind = JSON_KIND_TEXT,
     .free_text = true,
     .optional = true,
     .min = 1,
     .max = ACCOUNT_TYPE_CHARS_MAX,
     .offset = offsetof(struct account_change, account_type),
     .has_offset = offsetof(struct account_change, has_type),
     .example = "savings"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = account_states,
     .offset = offsetof(struct account_change, status),
     .has_offset = offsetof(struct account_change, has_status),
     .example = "frozen"},
    {.name = "overdraft_limit",
     .kind = JSON_KIND_DECIMAL,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct account_change, overdraft_limit),
     .has_offset = offsetof(struct account_change, has_limit),
     .example = "250.00",
     .about = "How far below zero it may go, exactly, in its currency."},
};
const struct json_schema account_change_schema = {.name = "AccountChange",
                                                  .about = "What is to change; the rest stays.",
                                                  .fields = change_fields,
                                                  .field_count = PC_COUNT(change_fields),
                                                  .bytes = sizeof(struct account_change)};

enum err account_record(struct ledger_turn *turn, enum trail_event event, int64_t id,
                        const struct trail_detail *details, size_t count)
{
    struct trail_record record = {.event = event, .outcome = TRAIL_DONE};
    struct sbuf object = sbuf_on(ledger_turn_arena(turn), ACCOUNT_DECIMAL_BYTES_MAX);

    PC_ASSERT(count <= TRAIL_DETAILS_MAX);
    sbuf_add_lit(&object, "account:");
    sbuf_add_i64(&object, id);
    if (object.full)
        return ERR_NO_MEMORY;
    record.object = sbuf_span(&object);
    for (size_t i = 0; i < count; i++)
        record.details[i] = details[i];
    return ledger_turn_trail(turn, &record);
}

/* The account as this turn has it: its row, and what the ledger knows by now. */
static enum err find(struct http_request *req, struct ledger_turn *turn,
                     struct account *ret_account, struct ledger_account *ret_money)
{
    const struct account_id_input *input = req->input;
    enum err err = ledger_account_seen(req, turn, input->id, ret_money);

    if (!err)
        err = account_find(ledger_turn_conn(turn), input->id, req->arena, ret_account);
    if (err)
        return err;
    ret_account->state = ret_money->state;
    ret_account->posted = ret_money->posted;
    return ERR_OK;
}

static enum ledger_state state_named(struct span name)
{
    return span_is(name, "active")   ? LEDGER_ACTIVE
           : span_is(name, "frozen") ? LEDGER_FROZEN
                                     : LEDGER_CLOSED;
}

/* ---- PUT --------------------------------------------------------------------------------------
 */

/* What differs from how it is. */
struct plan {
    bool sets_type, sets_state, sets_limit;
    enum ledger_state state;
    int64_t limit;
};

static enum err check_change(struct http_request *req, const struct account *account)
{
    const struct account_change *body = req->body;

    if (!account_is_managed(req->principal, account->user_id))
        return http_fail(req, ERR_FORBIDDEN, "Your role sees accounts, but changes none.");
    if ((body->has_status || body->has_limit) && !ledger_moves_all(req->principal))
        return http_fail(req, ERR_FORBIDDEN, "Status and limit need the role payments or risk.");
    return ERR_OK;
}

static enum err read_plan(struct http_request *req, const struct account *account,
                          const struct ledger_account *money, struct plan *ret_plan)
{
    const struct account_change *body = req->body;
    struct money limit = {0};

    if (body->has_limit && money_read(body->overdraft_limit, account->currency, &limit) != ERR_OK)
        return http_fail_field(req, "overdraft_limit", "is not an exact amount of the currency");
    *ret_plan = (struct plan){.state = body->has_status ? state_named(body->status) : money->state,
                              .limit = limit.minor};
    ret_plan->sets_type = body->has_type && !span_equal(body->account_type, account->type);
    ret_plan->sets_state = ret_plan->state != money->state;
    ret_plan->sets_limit = body->has_limit && limit.minor != money->credit_limit;
    return ERR_OK;
}

/* Both or none of them: what is refused, the runner takes back. The limit first, since a closed
 * account has none. */
static enum err change_money(struct ledger_turn *turn, int64_t id, const struct plan *plan)
{
    enum err err = ERR_OK;

    if (plan->sets_limit)
        err = ledger_account_set_limit(turn, id, plan->limit);
    if (!err && plan->sets_state)
        err = ledger_account_set_state(turn, id, plan->state);
    return err;
}

static enum err record_change(struct http_request *req, struct ledger_turn *turn, int64_t id,
                              const struct plan *plan)
{
    struct trail_detail details[TRAIL_DETAILS_MAX];
    struct sbuf limit = sbuf_on(req->arena, ACCOUNT_DECIMAL_BYTES_MAX);
    enum trail_event event = plan->sets_state && plan->state == LEDGER_CLOSED
                                 ? TRAIL_ACCOUNT_CLOSED
                                 : TRAIL_ACCOUNT_CHANGED;
    size_t count = 0;

    if (plan->sets_type)
        details[count++] = (struct trail_detail){.name = "changed", .value = SPAN("account_type")};
    if (plan->sets_state)
        details[count++] =
            (struct trail_detail){.name = "status", .value = span_from(ledger_states[plan->state])};
    sbuf_add_i64(&limit, plan->limit);
    if (plan->sets_limit)
        details[count++] =
            (struct trail_detail){.name = "overdraft_limit_minor", .value = sbuf_span(&limit)};
    return limit.full ? ERR_NO_MEMORY : account_record(turn, event, id, details, count);
}

/* Behind the last check: what fails here is no answer. */
static enum err write_change(struct http_request *req, struct ledger_turn *turn,
                             const struct plan *plan, struct account *account)
{
    const struct account_change *body = req->body;
    enum err err;

    if (plan->sets_type)
        account->type = body->account_type;
    account->state = plan->state;
    account->updated_at_ns = ledger_turn_now(turn);
    err = account_set_type(ledger_turn_conn(turn), account->id, account->type,
                           account->updated_at_ns);
    return err ? err : record_change(req, turn, account->id, plan);
}

static enum err account_change_run(struct http_request *req, struct ledger_turn *turn)
{
    struct account account = {0};
    struct ledger_account money = {0};
    struct account_reply reply;
    struct plan plan = {0};
    enum err err = find(req, turn, &account, &money);

    if (!err)
        err = check_change(req, &account);
    if (!err)
        err = read_plan(req, &account, &money, &plan);
    if (err)
        return err;
    if (plan.sets_type || plan.sets_state || plan.sets_limit) {
        if (money.state == LEDGER_CLOSED)
            return ERR_ACCOUNT_CLOSED;
        err = change_money(turn, account.id, &plan);
        if (!err)
            err = write_change(req, turn, &plan, &account);
    }
    if (!err)
        err = account_reply_of(&account, req->arena, &reply);
    return err ? err : http_reply(req, &reply);
}

static enum err go(struct http_request *req, ledger_run_fn *run)
{
    const struct account_id_input *input = req->input;
    const struct account_service *service = http_context(req);
    struct ledger_call *call = ledger_call_new(req, run);

    if (call == NULL)
        return ERR_NO_MEMORY;
    ledger_call_want(call, input->id);
    return ledger_call_go(req, service->ledger, call);
}

enum err account_change(struct http_request *req)
{
    const struct account_change *body = req->body;

    account_count_scopes(req);
    if (body->has_type && !account_type_holds(body->account_type))
        return http_fail_field(req, "account_type",
                               "must be letters, digits, blanks, '.', '_' and '-'");
    return go(req, account_change_run);
}

/* ---- DELETE -----------------------------------------------------------------------------------
 */

/* RFC 9110, 9.2.2: a second DELETE, after a reply that was lost, is no mistake. */
static enum err account_close_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct plan plan = {.sets_state = true, .state = LEDGER_CLOSED};
    struct account account = {0};
    struct ledger_account money = {0};
    enum err err = find(req, turn, &account, &money);

    if (err)
        return err;
    if (!account_is_managed(req->principal, account.user_id))
        return http_fail(req, ERR_FORBIDDEN, "Your role sees accounts, but closes none.");
    if (money.state == LEDGER_CLOSED)
        return http_reply_empty(req, 204);
    if (money.state == LEDGER_FROZEN && !ledger_moves_all(req->principal))
        return http_fail(req, ERR_ACCOUNT_FROZEN,
                         "A frozen account is closed by payments or risk.");
    err = change_money(turn, account.id, &plan);
    if (!err)
        err = account_set_type(ledger_turn_conn(turn), account.id, account.type,
                               ledger_turn_now(turn));
    if (!err)
        err = record_change(req, turn, account.id, &plan);
    return err ? err : http_reply_empty(req, 204);
}

enum err account_close(struct http_request *req)
{
    account_count_scopes(req);
    return go(req, account_close_run);
}
