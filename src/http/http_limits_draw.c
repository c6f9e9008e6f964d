/* SPDX-License-Identifier: MIT
 * A request that draws from several buckets at once, or from buckets that other nodes draw from
 * too: all of them say yes, or none is drawn from. When the answer has to come from elsewhere, the
 * request waits at its stop, with its body unread:
 *
 *   stop --http_limit_draw--> ERR_AGAIN ... on_answer --http_call_back--> the same stop, answered
 *
 * Most requests draw from one bucket of this process, and that by http_limits.c. */
#include "http/http_priv.h"

#include <string.h>

#include "crypto/digest.h"
#include "limit/limit_shared.h"

enum { KEY_BYTES = 1 + CRYPTO_SHA256_BYTES };

struct http_draw {
    struct http_call *call;
    bool answered;
    struct limit_question question;
    char keys[LIMIT_ASKS_MAX][KEY_BYTES];
};

/* ---- whose buckets -----------------------------------------------------------------------------
 */

/* Kinds of keys never meet: each has its letter. What is long is known by its digest, which is
 * longer than what is not. */
static struct span key_write(char room[KEY_BYTES], char kind, struct span key)
{
    struct sbuf out = sbuf_over(room, KEY_BYTES);
    unsigned char digest[CRYPTO_SHA256_BYTES];

    sbuf_add_char(&out, kind);
    if (key.len < CRYPTO_SHA256_BYTES) {
        sbuf_add(&out, key);
    } else {
        crypto_sha256(key, digest);
        sbuf_add(&out, span_make(digest, sizeof(digest)));
    }
    return sbuf_span(&out);
}

static struct span user_key(const struct http_call *call, char room[KEY_BYTES])
{
    int64_t subject = http_limit_subject(call);

    return key_write(room, 'u', span_make(&subject, sizeof(subject)));
}

static struct span client_key(const struct http_call *call, char room[KEY_BYTES])
{
    const struct http_issuer *issuer = call->principal.issuer;

    if (call->principal.client_id.len == 0)
        return user_key(call, room);
    if (issuer != NULL) { /* another issuer's clients are not ours, whatever they are called */
        int64_t client = http_issuer_payer(issuer->name, call->principal.client_id);

        return key_write(room, 'f', span_make(&client, sizeof(client)));
    }
    return key_write(room, 'c', call->principal.client_id);
}

static struct span header_value(const struct http_call *call, struct span name)
{
    const struct net_header *header = net_head_find(call->req.head, name);

    return header != NULL ? header->value : (struct span){0};
}

static struct span key_of(const struct http_call *call, const struct http_limit *limit,
                          char room[KEY_BYTES])
{
    switch (limit->key) {
    case HTTP_LIMIT_USER:
        return call->req.principal != NULL ? user_key(call, room)
                                           : key_write(room, 'n', SPAN_OF(""));
    case HTTP_LIMIT_CLIENT:
        return call->req.principal != NULL ? client_key(call, room)
                                           : key_write(room, 'n', SPAN_OF(""));
    case HTTP_LIMIT_HEADER:
        return key_write(room, 'h', header_value(call, limit->header));
    case HTTP_LIMIT_ROUTE:
        return key_write(room, 'r', SPAN_OF(""));
    case HTTP_LIMIT_ADDRESS:
    default:
        return key_write(room, 'a', limit_address(span_make(call->address, sizeof(call->address))));
    }
}

static void ask_listed(struct http_draw *draw, const struct http_limits *limits)
{
    struct limit_question *question = &draw->question;

    PC_ASSERT(limits->count <= LIMIT_ASKS_MAX);
    for (size_t i = 0; i < limits->count; i++)
        question->asks[i] =
            (struct limit_ask){.rate = limits->list[i].rate,
                               .name = limits->list[i].name,
                               .key = key_of(draw->call, &limits->list[i], draw->keys[i])};
    question->count = limits->count;
}

/* The one bucket that http_limits.c would draw from, under a name that all nodes know. */
static void ask_usual(struct http_draw *draw, bool by_user)
{
    const struct http_call *call = draw->call;
    static const struct http_limit address = {.key = HTTP_LIMIT_ADDRESS};
    static const struct http_limit user = {.key = HTTP_LIMIT_USER};
    struct limit_ask *ask = &draw->question.asks[0];
    uint32_t bucket;
    const struct limit_rate *own = http_limit_route(call, &bucket);

    ask->key = key_of(call, by_user ? &user : &address, draw->keys[0]);
    ask->name = own != NULL ? call->state->limit_name
                : by_user   ? SPAN_OF("user")
                            : SPAN_OF("address");
    ask->rate = own != NULL                               ? *own
                : by_user && call->user_rate.requests > 0 ? call->user_rate
                                                          : call->req.policy->rate;
    ask->rate.id = limit_name_id(ask->name);
    draw->question.count = 1;
}

enum err http_limit_name(struct http_service *service, struct http_route_state *state)
{
    char text[HTTP_PATH_BYTES_MAX + 512];
    struct sbuf name = sbuf_over(text, sizeof(text));
    const char *kept;

    sbuf_add_text(&name, service->options.name);
    sbuf_add_char(&name, ' ');
    sbuf_add(&name, http_method_name(state->row.method));
    sbuf_add_char(&name, ' ');
    sbuf_add_text(&name, state->row.host != NULL ? state->row.host : "");
    sbuf_add_text(&name, state->row.path);
    kept = arena_string(&service->arena, sbuf_span(&name));
    if (kept == NULL)
        return ERR_NO_MEMORY;
    state->limit_name = span_from(kept);
    return ERR_OK;
}

/* ---- drawing -----------------------------------------------------------------------------------
 */

static enum err told(struct http_draw *draw)
{
    struct http_call *call = draw->call;
    const struct limit_question *question = &draw->question;
    int64_t period_ns;

    if (question->fate == LIMIT_DENIED)
        return ERR_LIMITS_AWAY;
    if (!question->told)
        return ERR_OK;
    period_ns = question->asks[question->tightest].rate.period_ns;
    call->window_s = (uint32_t)((period_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
    return http_limit_heed(call, &question->verdict);
}

static void on_answer(struct limit_question *question)
{
    struct http_draw *draw = PC_CONTAINER(question, struct http_draw, question);

    draw->answered = true;
    http_call_back(draw->call);
}

static enum err draw_here(struct http_draw *draw)
{
    struct http_call *call = draw->call;
    struct limit_question *question = &draw->question;

    limit_take_all(call->lane->engine->limits, question->asks, question->count,
                   net_loop_now_ns(call->lane->loop), &question->verdict, &question->tightest);
    question->told = true;
    question->fate = question->verdict.allowed ? LIMIT_ADMITTED : LIMIT_REFUSED;
    draw->answered = true;
    return told(draw);
}

static enum err draw_shared(struct http_draw *draw)
{
    struct http_call *call = draw->call;

    draw->question.done = on_answer;
    if (limit_shared_ask(call->lane->engine->options.limits_shared, call->lane->loop,
                         &draw->question) == LIMIT_WAITS) {
        http_call_leave(call);
        return ERR_AGAIN;
    }
    draw->answered = true;
    return told(draw);
}

static struct limit_sharing sharing_of(const struct http_call *call)
{
    if (call->lane->engine->options.limits_shared == NULL)
        return (struct limit_sharing){.mode = LIMIT_LOCAL};
    return http_limit_rule(call)->sharing;
}

enum err http_limit_draw(struct http_call *call, bool by_user)
{
    const struct http_limits *limits = call->req.route->limits;
    const struct limit_sharing sharing = sharing_of(call);
    bool listed = limits != NULL && limits->count > 0;
    bool decided_later = !by_user && call->req.route->access >= HTTP_ACCESS_BEARER;
    struct http_draw *draw = call->draw;

    if (draw != NULL) {
        PC_ASSERT(draw->answered);
        return told(draw);
    }
    /* Who shows no token where one is needed is not let in, and pays where all strangers do. */
    if (decided_later || (!listed && sharing.mode == LIMIT_LOCAL))
        return by_user ? http_limit_user(call) : http_limit_address(call);
    draw = arena_zero(call->req.arena, sizeof(*draw));
    if (draw == NULL)
        return ERR_NO_MEMORY;
    call->draw = draw;
    draw->call = call;
    draw->question.sharing = sharing;
    if (listed)
        ask_listed(draw, limits);
    else
        ask_usual(draw, by_user);
    return sharing.mode == LIMIT_LOCAL ? draw_here(draw) : draw_shared(draw);
}
