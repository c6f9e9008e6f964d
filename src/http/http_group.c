/* SPDX-License-Identifier: MIT
 * Many requests in one commit. A handler on the loop asks for its group; the store's writer gives
 * all that wait to the group's `run`, which visits each; the answers leave behind the commit.
 *
 *   http_hop_together -> store (together) -> http_group_run -> group->run -> http_visit, each
 *                                                 |                             |
 *            all undone; each again by itself <---+--- commit <- http_settle <--+
 *                                                        |
 *                                           store_done: answers, in http_journey.c
 *
 * What a problem says is written inside of the commit, so that its bytes can be kept beside what
 * they tell; kept bytes are given again as they were. */
#include "http/http_priv.h"

#include "base/alloc.h"

enum { REQUESTS_ON_STACK = 64 };

/* Stands for the visits that the group will make. */
static enum err visit_of_group(struct http_request *req)
{
    (void)req;
    PC_WRONG("a group visits by http_visit");
}

enum err http_hop_together(struct http_request *req, const struct http_group *group,
                           uint32_t weight)
{
    struct http_call *call = http_call_of(req);

    PC_ASSERT(group->run != NULL);
    PC_ASSERT(req->route == NULL || req->route->problem == NULL); /* that one stays on the loop */
    call->run = HTTP_RUN_WRITE;
    call->handle = visit_of_group;
    call->group = group;
    call->weight = weight;
    call->hopping = true;
    return ERR_OK;
}

static enum err run_all(const struct http_group *group, struct store_conn *conn,
                        struct store_job *const *jobs, struct http_request **requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct http_call *call = PC_CONTAINER(jobs[i], struct http_call, store);

        http_call_forget(call);
        call->hopping = false; /* until a visit asks for another stop */
        call->visit_err = ERR_OK;
        call->finally = call->finally_before; /* what an undone run asked for is void */
        call->req.store = conn;
        requests[i] = &call->req;
    }
    return group->run(group, conn, requests, count);
}

enum err http_group_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                        const void *group)
{
    struct http_request *few[REQUESTS_ON_STACK];
    struct http_request **many;
    enum err err;

    PC_ASSERT(count > 0);
    if (count <= REQUESTS_ON_STACK)
        return run_all(group, conn, jobs, few, count);
    many = alloc_zero(count * sizeof(struct http_request *));
    if (many == NULL)
        return ERR_NO_MEMORY;
    err = run_all(group, conn, jobs, many, count);
    alloc_free(many);
    return err;
}

enum err http_visit(struct http_request *req, http_handler_fn *handle)
{
    struct http_call *call = http_call_of(req);
    enum err err;

    PC_ASSERT(req->store != NULL);
    call->visited = handle;
    err = http_call_visit(call);
    if (err == ERR_OK && call->extra.full) /* behind the commit it would be too late to say so */
        err = call->visit_err = ERR_NO_SPACE;
    return err;
}

void http_settle(struct http_request *req, enum err err)
{
    struct http_call *call = http_call_of(req);

    call->visit_err = ERR_OK;
    if (err != ERR_OK) {
        call->hopping = false;
        call->err = http_refusal_told(call, err);
    }
    if (call->err != ERR_OK)
        http_problem_settle(call);
}

/* The value of a header line that a handler added, or the empty span. */
static struct span line_of(const struct sbuf *lines, struct span start)
{
    struct span rest = sbuf_span(lines);
    struct span line;

    while (rest.len > 0 && span_cut(&rest, '\n', &line)) {
        if (span_starts(line, start)) /* it ends in a carriage return */
            return span_slice(line, start.len, line.len - 1);
    }
    return (struct span){0};
}

struct http_answer http_answer_of(const struct http_request *req)
{
    const struct http_call *call = (const struct http_call *)req; /* req is its first member */

    PC_ASSERT(call->status != 0 && (call->err == ERR_OK || call->settled));
    return (struct http_answer){.status = call->status,
                                .content_type = call->content_type,
                                .location = line_of(&call->extra, SPAN_OF("Location: ")),
                                .body = call->reply_body};
}

enum err http_answer_again(struct http_request *req, const struct http_answer *answer)
{
    struct http_call *call = http_call_of(req);

    PC_ASSERT(answer->status >= 200 && answer->status < 500);
    http_call_forget(call);
    call->hopping = false;
    call->status = answer->status;
    call->content_type = arena_copy(req->arena, answer->content_type);
    call->reply_body = arena_copy(req->arena, answer->body);
    if (req->arena->overflowed)
        return ERR_NO_MEMORY;
    http_reply_header(req, "Idempotency-Replayed", SPAN_OF("true"));
    if (answer->location.len > 0)
        http_reply_header(req, "Location", answer->location);
    return ERR_OK;
}
