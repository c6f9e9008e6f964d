/* SPDX-License-Identifier: MIT
 * POST /transfers/batch: many transfers in one commit, in their order, each of which sees what the
 * ones before it left. Atomic: the first that is refused refuses all, and is named. Else each is
 * answered by itself. */
#include "ledger/ledger_transfer.h"

#include "ledger/ledger_call.h"

static const char *const outcomes[] = {"completed", "refused", NULL};

struct batch_order {
    struct json_list transfers;
    bool atomic;
};

static const struct json_field order_fields[] = {
    {.name = "transfers",
     .kind = JSON_KIND_LIST,
     .min = 1,
     .max = LIMIT_LEDGER_BATCH_MAX,
     .schema = &ledger_transfer_new_schema,
     .offset = offsetof(struct batch_order, transfers)},
    {.name = "atomic",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .fallback = "true",
     .offset = offsetof(struct batch_order, atomic),
     .example = "true",
     .about = "All or none; false: each by itself."},
};
const struct json_schema ledger_transfer_batch_schema = {.name = "TransferBatch",
                                                         .about = "Transfers for one commit.",
                                                         .fields = order_fields,
                                                         .field_count = PC_COUNT(order_fields),
                                                         .bytes = sizeof(struct batch_order)};

/* Like a problem, without what is the same for the whole answer. */
struct batch_error {
    struct span type, title, detail;
    int64_t status;
};

static const struct json_field error_fields[] = {
    {.name = "type",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct batch_error, type),
     .example = "urn:portcullis:problem:insufficient_funds"},
    {.name = "title",
     .kind = JSON_KIND_TEXT,
     .max = 256,
     .offset = offsetof(struct batch_error, title),
     .example = "The account has not enough to spend"},
    {.name = "status",
     .kind = JSON_KIND_I64,
     .min = 400,
     .max = 499,
     .offset = offsetof(struct batch_error, status),
     .example = "409",
     .about = "The status that it would have had as a request of its own."},
    {.name = "detail",
     .kind = JSON_KIND_TEXT,
     .max = 512,
     .offset = offsetof(struct batch_error, detail),
     .example = "transfers[3]: The account has not enough to spend"},
};
static const struct json_schema error_schema = {.name = "TransferRefusal",
                                                .about = "Why one was refused.",
                                                .fields = error_fields,
                                                .field_count = PC_COUNT(error_fields),
                                                .bytes = sizeof(struct batch_error)};

struct batch_item {
    struct span status;
    struct ledger_transfer_row transfer;
    struct batch_error error;
    bool is_posted, is_refused;
};

static const struct json_field item_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .choices = outcomes,
     .offset = offsetof(struct batch_item, status),
     .example = "completed"},
    {.name = "transfer",
     .kind = JSON_KIND_OBJECT,
     .optional = true,
     .schema = &ledger_transfer_schema,
     .offset = offsetof(struct batch_item, transfer),
     .has_offset = offsetof(struct batch_item, is_posted)},
    {.name = "error",
     .kind = JSON_KIND_OBJECT,
     .optional = true,
     .schema = &error_schema,
     .offset = offsetof(struct batch_item, error),
     .has_offset = offsetof(struct batch_item, is_refused)},
};
static const struct json_schema item_schema = {.name = "TransferOutcome",
                                               .about = "What became of one of them.",
                                               .fields = item_fields,
                                               .field_count = PC_COUNT(item_fields),
                                               .bytes = sizeof(struct batch_item)};

struct batch_reply {
    struct json_list transfers;
    int64_t posted, refused;
};

static const struct json_field reply_fields[] = {
    {.name = "transfers",
     .kind = JSON_KIND_LIST,
     .min = 1,
     .max = LIMIT_LEDGER_BATCH_MAX,
     .schema = &item_schema,
     .offset = offsetof(struct batch_reply, transfers),
     .about = "In the order of the request."},
    {.name = "posted",
     .kind = JSON_KIND_I64,
     .max = LIMIT_LEDGER_BATCH_MAX,
     .offset = offsetof(struct batch_reply, posted),
     .example = "1"},
    {.name = "refused",
     .kind = JSON_KIND_I64,
     .max = LIMIT_LEDGER_BATCH_MAX,
     .offset = offsetof(struct batch_reply, refused),
     .example = "0"},
};
const struct json_schema ledger_transfer_batch_reply_schema = {.name = "TransferBatchReply",
                                                               .about = "What became of each.",
                                                               .fields = reply_fields,
                                                               .field_count =
                                                                   PC_COUNT(reply_fields),
                                                               .bytes = sizeof(struct batch_reply)};

/* "transfers[3]: Why"; without a pointer when there is no room. */
static struct span item_sentence(struct arena *arena, size_t i, enum err err)
{
    struct sbuf out = sbuf_on(arena, 256);

    sbuf_add_format(&out, "transfers[%zu]: %s", i, err_sentence(err));
    return out.full ? (struct span){0} : sbuf_span(&out);
}

/* A member that is not valid is named already. */
static enum err fail(struct http_request *req, size_t i, enum err err)
{
    if (err == ERR_VALIDATION)
        return err;
    return http_fail(req, err, arena_string(req->arena, item_sentence(req->arena, i, err)));
}

/* Whoever runs us takes back what went before a refusal. */
static enum err run_atomic(struct http_request *req, struct ledger_turn *turn,
                           const struct ledger_transfer_order *orders, struct batch_item *items,
                           struct batch_reply *reply)
{
    for (size_t i = 0; i < reply->transfers.count; i++) {
        enum err err =
            ledger_transfer_make(req, turn, &orders[i], (int64_t)i, false, &items[i].transfer);

        if (err)
            return fail(req, i, err);
        items[i].status = SPAN_OF("completed");
        items[i].is_posted = true;
    }
    reply->posted = (int64_t)reply->transfers.count;
    return ERR_OK;
}

static void refuse_item(struct arena *arena, size_t i, enum err err, struct batch_item *item)
{
    struct sbuf type = sbuf_on(arena, 128);

    sbuf_add_lit(&type, "urn:portcullis:problem:");
    sbuf_add_text(&type, err_slug(err));
    item->status = SPAN_OF("refused");
    item->is_refused = true;
    item->error = (struct batch_error){.type = sbuf_span(&type),
                                       .title = span_from(err_sentence(err)),
                                       .status = err_status(err),
                                       .detail = item_sentence(arena, i, err)};
}

/* Each that is refused is an event like a request of its own would be. */
static enum err tell_refusal(struct http_request *req, struct ledger_turn *turn, size_t i,
                             enum err err)
{
    struct sbuf item = sbuf_on(req->arena, 64);
    struct trail_record record;

    if (!http_denial(req, err, &record)) {
        sbuf_add_format(&item, "transfers[%zu]", i);
        record = (struct trail_record){.event = TRAIL_LEDGER_REFUSED,
                                       .outcome = TRAIL_REFUSED,
                                       .reason = span_from(err_slug(err)),
                                       .object = sbuf_span(&item),
                                       .details = {{"route", span_from(req->route->id)}}};
    }
    return ledger_turn_trail(turn, &record);
}

static enum err run_each(struct http_request *req, struct ledger_turn *turn,
                         const struct ledger_transfer_order *orders, struct batch_item *items,
                         struct batch_reply *reply)
{
    for (size_t i = 0; i < reply->transfers.count; i++) {
        enum err err =
            ledger_transfer_make(req, turn, &orders[i], (int64_t)i, true, &items[i].transfer);

        if (err_status(err) >= 500)
            return err;
        if (!err) {
            items[i].status = SPAN_OF("completed");
            items[i].is_posted = true;
            reply->posted++;
            continue;
        }
        refuse_item(req->arena, i, err, &items[i]);
        reply->refused++;
        err = tell_refusal(req, turn, i, err);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err batch_run(struct http_request *req, struct ledger_turn *turn)
{
    const struct batch_order *order = req->body;
    struct batch_item *items = arena_array(req->arena, order->transfers.count, sizeof(*items));
    struct batch_reply reply = {.transfers = {.items = items, .count = order->transfers.count}};
    enum err err;

    if (items == NULL)
        return ERR_NO_MEMORY;
    err = order->atomic ? run_atomic(req, turn, order->transfers.items, items, &reply)
                        : run_each(req, turn, order->transfers.items, items, &reply);
    return err ? err : http_reply(req, &reply);
}

enum err ledger_transfers_batch(struct http_request *req)
{
    const struct batch_order *order = req->body;
    const struct ledger_transfer_order *transfers = order->transfers.items;
    struct ledger_call *call = ledger_call_new(req, batch_run);

    if (call == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < order->transfers.count; i++) {
        ledger_call_want(call, transfers[i].from);
        ledger_call_want(call, transfers[i].to);
    }
    ledger_call_weight(call, (uint32_t)order->transfers.count);
    return ledger_call_go(req, http_context(req), call);
}
