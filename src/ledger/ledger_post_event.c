/* SPDX-License-Identifier: MIT
 * A posting in the words of the trail: which one, between whom, how much. Numbers and names of ours
 * only; what people wrote stays out. */
#include "ledger/ledger_priv.h"

static const enum trail_event events[LEDGER_KIND_COUNT] = {
#define LEDGER_KIND(id, name, event) [id] = (event),
#include "ledger/ledger_kind.def"
#undef LEDGER_KIND
};

/* A number's digits at the end of `out`, which was made large enough. */
static struct span number(struct sbuf *out, int64_t value)
{
    size_t from = out->len;

    sbuf_add_i64(out, value);
    return span_make(out->ptr + from, out->len - from);
}

static void detail_add(struct trail_record *record, size_t *at, const char *name, struct span value)
{
    PC_ASSERT(*at < TRAIL_DETAILS_MAX);
    record->details[(*at)++] = (struct trail_detail){.name = name, .value = value};
}

/* From whom to whom: who gives, or promises, or is given back. */
static void pair_add(const struct ledger_turn *turn, const struct ledger_post_row *post,
                     struct sbuf *out, struct trail_record *record, size_t *at)
{
    const struct ledger_entry_row *one = ledger_list_at(&turn->entries, post->entry_first);
    const struct ledger_entry_row *other = one + 1;
    const struct ledger_entry_row *from = one->posted < 0 || one->held != 0 ? one : other;
    const struct ledger_entry_row *to = from == one ? other : one;
    int64_t amount = to->posted != 0 ? to->posted : to->incoming;
    size_t index = 0;

    PC_ASSERT(ledger_index_find(&turn->slot_index, to->account_id, &index));
    detail_add(record, at, "from", number(out, from->account_id));
    detail_add(record, at, "to", number(out, to->account_id));
    detail_add(record, at, "amount_minor", number(out, amount < 0 ? -amount : amount));
    detail_add(record, at, "currency",
               span_from(currency_code(ledger_slot_at(turn, index)->account.currency)));
}

enum err ledger_event_fill(struct ledger_turn *turn, const struct ledger_post_row *post,
                           struct trail_record *ret_record)
{
    enum { TEXT_BYTES = 8 + 5 * 20 };
    char *room = arena_bytes(&turn->arena, TEXT_BYTES);
    struct sbuf out = sbuf_over(room, TEXT_BYTES);
    size_t from;
    size_t at = 0;

    if (room == NULL)
        return ERR_NO_MEMORY;
    *ret_record = (struct trail_record){
        .event = events[post->kind], .outcome = TRAIL_DONE, .at_ns = post->at};
    from = out.len;
    sbuf_add_lit(&out, "posting:");
    sbuf_add_i64(&out, post->seq);
    ret_record->object = span_make(out.ptr + from, out.len - from);
    if (post->entry_count == 2)
        pair_add(turn, post, &out, ret_record, &at);
    else
        detail_add(ret_record, &at, "legs", number(&out, (int64_t)post->entry_count));
    if (post->refers_to != 0)
        detail_add(ret_record, &at, "refers_to", number(&out, post->refers_to));
    PC_ASSERT(!out.full);
    return ERR_OK;
}
