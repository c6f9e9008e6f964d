/* SPDX-License-Identifier: MIT
 * Questions answered from leases. A request takes one of each of its limits, or none of any; who
 * finds one lease used up has it asked for more and waits there. One command of a lease is on its
 * way at a time, so what is out never grows beyond its size. */
#include "base/clock.h"
#include "limit/limit_shared_priv.h"

static int64_t now_of(const struct limit_node *node)
{
    return net_loop_now_ns(node->redis.loop);
}

static void on_landed(struct limit_command *command, const struct limit_reply *reply);

static bool dispatch(struct limit_node *node, struct limit_lease *lease)
{
    lease->node = node;
    lease->command = (struct limit_command){.done = on_landed, .parts = &lease->part, .count = 1};
    lease->asking = limit_redis_ask(&node->redis, &lease->command) == ERR_OK;
    return lease->asking;
}

static bool park(struct limit_lease *lease, struct limit_question *question)
{
    struct limit_node *node = question->node;

    if (node->parked >= node->redis.options->waiting_max)
        return false;
    node->parked++;
    if (lease->parked == NULL)
        lease->parked_last = &lease->parked;
    question->next = NULL;
    *lease->parked_last = question;
    lease->parked_last = &question->next;
    return true;
}

/* All of them, or not all could be found a place. */
static bool find_all(struct limit_question *question, struct limit_lease **ret_leases)
{
    struct limit_node *node = question->node;

    if (node->leases.slots == NULL && limit_leases_new(&node->leases) != ERR_OK)
        return false;
    for (size_t i = 0; i < question->count; i++) {
        const struct limit_part *part = &question->parts[i];

        ret_leases[i] = limit_lease_find(&node->leases, part, limit_node_lease(node, part->burst),
                                         now_of(node));
        if (ret_leases[i] == NULL)
            return false;
        for (size_t j = 0; j < i; j++) /* a place that was just found may be found again */
            if (ret_leases[j] == ret_leases[i])
                return false;
    }
    return true;
}

static void heed(struct limit_question *question, size_t at, const struct limit_verdict *verdict,
                 bool first)
{
    if (!first && !limit_is_tighter(verdict, &question->verdict))
        return;
    question->verdict = *verdict;
    question->tightest = at;
}

static bool is_refused(struct limit_question *question, struct limit_lease *const *leases)
{
    int64_t now_ns = now_of(question->node);
    bool refused = false;

    for (size_t i = 0; i < question->count; i++) {
        struct limit_verdict verdict;

        if (!limit_lease_is_refused(leases[i], now_ns))
            continue;
        verdict = limit_lease_verdict(leases[i], false, now_ns);
        heed(question, i, &verdict, !refused);
        refused = true;
    }
    return refused;
}

static void give_all(struct limit_question *question, struct limit_lease *const *leases)
{
    int64_t now_ns = now_of(question->node);

    for (size_t i = 0; i < question->count; i++) {
        struct limit_verdict verdict;

        limit_lease_give(leases[i]);
        verdict = limit_lease_verdict(leases[i], true, now_ns);
        heed(question, i, &verdict, i == 0);
    }
}

enum limit_fate limit_question_leased(struct limit_question *question)
{
    struct limit_node *node = question->node;
    struct limit_lease *leases[LIMIT_ASKS_MAX];
    struct limit_lease *missing = NULL;

    if (!find_all(question, leases))
        return limit_question_exact(question);
    if (is_refused(question, leases))
        return limit_question_decided(question);
    for (size_t i = 0; i < question->count; i++) {
        if (limit_lease_has(leases[i], now_of(node)))
            continue;
        if (missing == NULL)
            missing = leases[i];
        if (leases[i]->asking)
            continue;
        limit_lease_ask(leases[i]);
        if (!dispatch(node, leases[i]))
            return limit_question_away(question);
    }
    if (missing != NULL)
        return park(missing, question) ? LIMIT_WAITS : limit_question_busy(question);
    give_all(question, leases);
    return limit_question_decided(question);
}

/* Those who waited try again, in their order; some may have to wait once more. */
static void on_landed(struct limit_command *command, const struct limit_reply *reply)
{
    struct limit_lease *lease = PC_CONTAINER(command, struct limit_lease, command);
    struct limit_question *question = lease->parked;

    lease->asking = false;
    lease->parked = NULL;
    if (reply != NULL)
        limit_lease_landed(lease, reply->numbers[1], reply->numbers[2], now_of(lease->node));
    while (question != NULL) {
        struct limit_question *next = question->next;
        enum limit_fate fate;

        question->node->parked--;
        fate = reply != NULL ? limit_question_leased(question) : limit_question_away(question);
        if (fate != LIMIT_WAITS)
            limit_question_over(question, fate);
        question = next;
    }
}

void limit_leases_sweep(struct limit_node *node)
{
    struct limit_leases *leases = &node->leases;
    int64_t now_ns = now_of(node);

    if (leases->slots == NULL || !limit_redis_is_ready(&node->redis))
        return;
    for (size_t i = 0; i < LIMIT_LEASE_SLOTS / LIMIT_SWEEP_PARTS; i++) {
        struct limit_lease *lease = &leases->slots[leases->hand];

        leases->hand = (leases->hand + 1) % LIMIT_LEASE_SLOTS;
        if (lease->asking || now_ns < lease->until_ns || !limit_lease_has(lease, now_ns))
            continue;
        limit_lease_return(lease);
        if (!dispatch(node, lease))
            return; /* lost: there is too much on its way to wait for more */
    }
}
