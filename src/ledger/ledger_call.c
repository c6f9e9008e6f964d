/* SPDX-License-Identifier: MIT
 * The runner: all requests that wait to move money are answered inside of one turn. Each is one of
 * four: its key was answered before (replay), came with another request before (refused), is
 * another's of this very turn (refused), or it is new and its handler runs.
 *
 *   ledger_call_go -> http group -> turn begins -> keys looked up, accounts read -> each is served
 *                                                        +- err 4xx: undone, an event of the trail
 *                                                        +- answer settled, kept under its key
 *                          answers leave <- commit <- turn ends
 *
 * Anything but a refusal fails the job: all is rolled back, and each request comes alone. */
#include "ledger/ledger_call.h"

#include <string.h>

#include "ledger/ledger_key.h"
#include "ledger/ledger_priv.h"

enum { WANTED_FIRST = 4, ACTOR_BYTES = 24 };

struct ledger_call {
    ledger_run_fn *run;
    struct ledger *ledger;
    struct arena *arena;
    struct ledger_turn *turn; /* while it is visited */
    uint32_t weight;
    size_t wanted_count, wanted_room;
    int64_t *wanted;
    int64_t wanted_first[WANTED_FIRST];
    struct ledger_key key;
    struct ledger_actor actor;
};

/* ---- on the loop ------------------------------------------------------------------------------
 */

struct ledger_call *ledger_call_new(struct http_request *req, ledger_run_fn *run)
{
    struct ledger_call *call = arena_zero(req->arena, sizeof(*call));

    if (call == NULL)
        return NULL;
    call->run = run;
    call->arena = req->arena;
    call->weight = 1;
    call->wanted = call->wanted_first;
    call->wanted_room = WANTED_FIRST;
    req->group_work = call;
    return call;
}

static bool has_room(struct ledger_call *call)
{
    size_t room = 4 * call->wanted_room;
    int64_t *wanted;

    if (call->wanted_count < call->wanted_room)
        return true;
    wanted = arena_array(call->arena, room, sizeof(*wanted));
    if (wanted == NULL)
        return false;
    memcpy(wanted, call->wanted, call->wanted_count * sizeof(*wanted));
    call->wanted = wanted;
    call->wanted_room = room;
    return true;
}

/* One that has no room is read when it is asked for. */
void ledger_call_want(struct ledger_call *call, int64_t account_id)
{
    if (has_room(call))
        call->wanted[call->wanted_count++] = account_id;
}

void ledger_call_weight(struct ledger_call *call, uint32_t postings)
{
    call->weight = postings;
}

static enum err name_actor(const struct http_request *req, struct ledger_actor *ret_actor)
{
    const struct http_principal *principal = req->principal;
    struct sbuf id = sbuf_on(req->arena, ACTOR_BYTES);

    *ret_actor = (struct ledger_actor){.kind = TRAIL_ACTOR_CLIENT,
                                       .name = principal->client_id,
                                       .client_id = principal->client_id,
                                       .address = req->address,
                                       .request_id = req->request_id};
    if (principal->user_id == 0)
        return ERR_OK;
    sbuf_add_i64(&id, principal->user_id);
    ret_actor->kind = TRAIL_ACTOR_USER;
    ret_actor->name = sbuf_span(&id);
    return id.full ? ERR_NO_MEMORY : ERR_OK;
}

static enum err turn_run(const struct http_group *group, struct store_conn *conn,
                         struct http_request *const *requests, size_t count);
static const struct http_group ledger_group = {.name = "ledger", .run = turn_run};

enum err ledger_call_go(struct http_request *req, struct ledger *ledger, struct ledger_call *call)
{
    enum err err;

    PC_ASSERT(req->principal != NULL && req->group_work == call && ledger != NULL);
    PC_ASSERT(req->route->keyed); /* what takes keys says so in its row, for the documents */
    call->ledger = ledger;
    err = ledger_key_read(req, &call->key);
    if (err == ERR_OK)
        err = name_actor(req, &call->actor);
    if (err)
        return err;
    return http_hop_together(req, &ledger_group, call->weight);
}

/* ---- in the turn ------------------------------------------------------------------------------
 */

static struct ledger_call *call_of(const struct http_request *req)
{
    return req->group_work;
}

/* Each answer is a visit of its own, so that it starts clean. */
static enum err visit_new(struct http_request *req)
{
    struct ledger_call *call = call_of(req);

    return call->run(req, call->turn);
}

static enum err visit_kept(struct http_request *req)
{
    const struct ledger_key *key = &call_of(req)->key;
    struct span name = {0};
    const char *field;
    enum err err;

    if (!ledger_key_differs(req, key, &name))
        return http_answer_again(req, &key->kept->answer);
    field = arena_string(req->arena, name);
    if (field == NULL)
        return ERR_NO_MEMORY;
    err = http_fail_field(req, field, "differs from the request that had this key before");
    return err == ERR_VALIDATION ? ERR_KEY_REUSED : err;
}

static enum err visit_second(struct http_request *req)
{
    return http_fail_retry(req, ERR_KEY_RUNNING, CLOCK_NS_PER_S);
}

static http_handler_fn *visit_for(const struct ledger_key *key)
{
    if (key->is_second)
        return visit_second;
    return key->kept != NULL ? visit_kept : visit_new;
}

/* Whose request it is not is no movement of money: that is a denial like any other. That a key is
 * in use says nothing about money. */
static enum err tell_refusal(struct ledger_turn *turn, struct http_request *req, enum err err)
{
    struct trail_record record;

    if (err == ERR_KEY_RUNNING)
        return ERR_OK;
    if (!http_denial(req, err, &record))
        record = (struct trail_record){.event = TRAIL_LEDGER_REFUSED,
                                       .outcome = TRAIL_REFUSED,
                                       .reason = span_from(err_slug(err)),
                                       .details = {{"route", span_from(req->route->id)}}};
    return ledger_turn_trail(turn, &record);
}

/* The first answer under a key is kept, good or bad. */
static bool is_to_keep(const struct ledger_key *key)
{
    return key->is_given && key->kept == NULL && !key->is_second;
}

static enum err serve(struct ledger_turn *turn, struct http_request *req)
{
    struct ledger_call *call = call_of(req);
    struct ledger_mark mark = ledger_turn_mark(turn);
    enum err refusal, err;

    call->turn = turn;
    ledger_turn_actor(turn, &call->actor);
    refusal = http_visit(req, visit_for(&call->key));
    call->turn = NULL;
    if (refusal != ERR_OK && !ledger_is_refusal(refusal))
        return refusal;
    if (refusal) {
        ledger_turn_undo(turn, mark);
        err = tell_refusal(turn, req, refusal);
        if (err)
            return err;
    }
    http_settle(req, refusal);
    if (req->arena->overflowed) /* something may be missing in the answer */
        return ERR_NO_MEMORY;
    return is_to_keep(&call->key) ? ledger_key_keep(turn, &call->key, req) : ERR_OK;
}

static enum err find_keys(struct ledger_turn *turn, struct http_request *const *requests,
                          size_t count)
{
    const struct ledger *ledger = call_of(requests[0])->ledger;
    struct arena *arena = ledger_turn_arena(turn);
    struct ledger_key **keys = arena_array(arena, count, sizeof(struct ledger_key *));
    size_t given = 0;

    if (keys == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        PC_ASSERT(call_of(requests[i])->ledger == ledger); /* a store has one */
        if (call_of(requests[i])->key.is_given)
            keys[given++] = &call_of(requests[i])->key;
    }
    return ledger_keys_find(ledger_turn_conn(turn), keys, given, arena);
}

static enum err load_accounts(struct ledger_turn *turn, struct http_request *const *requests,
                              size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct ledger_call *call = call_of(requests[i]);

        if (visit_for(&call->key) != visit_new)
            continue;
        for (size_t k = 0; k < call->wanted_count; k++)
            ledger_turn_want(turn, call->wanted[k]);
    }
    return ledger_turn_load(turn);
}

static enum err serve_all(struct ledger_turn *turn, struct http_request *const *requests,
                          size_t count)
{
    enum err err = find_keys(turn, requests, count);

    if (err == ERR_OK)
        err = load_accounts(turn, requests, count);
    for (size_t i = 0; i < count && !err; i++)
        err = serve(turn, requests[i]);
    return err;
}

/* What the rows or the turn itself are refused for is no answer of a request: our fault. */
static enum err own_fault(const struct ledger *ledger, struct store_conn *conn, enum err err)
{
    if (err_status(err) >= 500)
        return err;
    log_error(ledger_options_of(ledger)->logger, "ledger_turn_refused",
              LOG_STRING("error", err_name(err)), LOG_STRING("said", store_conn_message(conn)));
    return ERR_INTERNAL;
}

static enum err turn_run(const struct http_group *group, struct store_conn *conn,
                         struct http_request *const *requests, size_t count)
{
    struct ledger *ledger = call_of(requests[0])->ledger;
    struct ledger_turn *turn = NULL;
    enum err err;

    (void)group;
    err = ledger_turn_begin(ledger, conn, &turn);
    if (err == ERR_OK)
        err = serve_all(turn, requests, count);
    if (err == ERR_OK)
        err = ledger_turn_end(turn);
    ledger_turn_free(turn);
    return err == ERR_OK ? ERR_OK : own_fault(ledger, conn, err);
}
