/* SPDX-License-Identifier: MIT
 * What limit_shared.c and limit_lease.c share. */
#ifndef PC_LIMIT_LIMIT_SHARED_PRIV_H
#define PC_LIMIT_LIMIT_SHARED_PRIV_H

#include "limit/limit_lease.h"
#include "limit/limit_shared.h"

/* What one loop keeps. */
struct limit_node {
    struct limit_redis redis;
    struct limit_shared *shared;
    struct limit_leases leases;
    struct net_timer sweep;
    size_t parked; /* questions that wait for leases */
    bool connected;
    bool told_away;
};

/* limit_shared.c */
/* All of them are looked at in Redis. */
enum limit_fate limit_question_exact(struct limit_question *question);
/* Nobody can be asked: what the question wants then. */
enum limit_fate limit_question_away(struct limit_question *question);
/* So many wait that this one may not. */
enum limit_fate limit_question_busy(struct limit_question *question);
/* It is admitted or refused, as the verdict says. */
enum limit_fate limit_question_decided(struct limit_question *question);
/* It has waited, and has its answer. */
void limit_question_over(struct limit_question *question, enum limit_fate fate);

int32_t limit_node_lease(const struct limit_node *node, uint32_t burst); /* of this loop */

/* limit_lease_ask.c */
enum limit_fate limit_question_leased(struct limit_question *question);
void limit_leases_sweep(struct limit_node *node); /* gives back what nobody used */

#endif
