/* SPDX-License-Identifier: MIT
 * A history for tests: random movements, holds and limits on a few accounts, some of them dated
 * back, and a plain list of what they did, from which any balance can be added up again. */
#ifndef PC_ACCOUNT_ACCOUNT_HISTORY_TEST_KIT_H
#define PC_ACCOUNT_ACCOUNT_HISTORY_TEST_KIT_H

#include "account/account_test_kit.h"

enum { HISTORY_ACCOUNTS = 3, HISTORY_MAX = 400 };

/* One posting, as it changed each account. */
struct event {
    int64_t seq, at, effective;
    int64_t posted[HISTORY_ACCOUNTS], held[HISTORY_ACCOUNTS], incoming[HISTORY_ACCOUNTS];
};

static struct {
    struct random_seeded random;
    int64_t ids[HISTORY_ACCOUNTS];
    struct event events[HISTORY_MAX];
    size_t count;
} history;

static inline uint64_t any(uint64_t below)
{
    uint64_t number;

    random_fill(&history.random.source, &number, sizeof(number));
    return number % below;
}

static inline void history_begin(uint64_t seed)
{
    static const char *const numbers[HISTORY_ACCOUNTS] = {"first", "second", "third"};

    random_seeded_init(&history.random, seed);
    history.count = 0;
    for (size_t i = 0; i < HISTORY_ACCOUNTS; i++) {
        history.ids[i] = account_of_user(1, numbers[i], "USD");
        assert_int_equal(ask(i == 0   ? "PUT /accounts/1"
                             : i == 1 ? "PUT /accounts/2"
                                      : "PUT /accounts/3",
                             PAYMENTS, "{\"overdraft_limit\":1000}"),
                         200);
    }
}

/* What one turn does, and what came of it. */
struct step {
    size_t from, to;
    int64_t amount, effective;
    bool holds;
    struct ledger_posted posted;
};

static inline enum err step_work(struct ledger_turn *turn, void *context)
{
    struct step *step = context;
    const struct ledger_hold_new hold = {.from = history.ids[step->from],
                                         .to = history.ids[step->to],
                                         .amount = {step->amount, CURRENCY_USD},
                                         .description = SPAN("a hold")};
    struct ledger_transfer transfer =
        transfer_of(history.ids[step->from], history.ids[step->to], step->amount, CURRENCY_USD);

    transfer.effective_at_ns = step->effective;
    transfer.description = SPAN_OF("a step");
    return step->holds ? ledger_hold(turn, &hold, &step->posted)
                       : ledger_move(turn, &transfer, &step->posted);
}

static inline void history_note(const struct step *step)
{
    struct event *event = &history.events[history.count++];

    *event = (struct event){.seq = step->posted.seq,
                            .at = step->posted.at_ns,
                            .effective = step->posted.effective_at_ns};
    if (step->holds) {
        event->held[step->from] = step->amount;
        event->incoming[step->to] = step->amount;
    } else {
        event->posted[step->from] = -step->amount;
        event->posted[step->to] = step->amount;
    }
}

/* One posting more; often at the very moment of the one before, now and then in another partition.
 */
static inline void history_step(void)
{
    struct step step = {
        .from = any(HISTORY_ACCOUNTS), .amount = 1 + (int64_t)any(500), .holds = any(8) == 0};
    int64_t now = clock_realtime_ns(&bench.clock.clock);

    step.to = (step.from + 1 + any(HISTORY_ACCOUNTS - 1)) % HISTORY_ACCOUNTS;
    if (any(3) == 0)
        step.effective = T0 + (int64_t)any((uint64_t)(now - T0 + 1));
    if (any(6) == 0 && history.count > 0) /* the date of another */
        step.effective = history.events[any(history.count)].effective;
    if (any(2) == 0)
        clock_fake_move(&bench.clock, (int64_t)any(3 * (uint64_t)CLOCK_NS_PER_S));
    if (step.holds)
        step.effective = 0;
    if (any(8) == 0)
        bench_leap();
    if (ledger_do(bench.ledger, step_work, &step) == ERR_OK)
        history_note(&step);
}

static inline void history_grow(size_t steps)
{
    for (size_t i = 0; i < steps && history.count < HISTORY_MAX; i++)
        history_step();
}

/* "2027-01-15T08:00:00.000000001Z" in one of a few rooms. */
static inline const char *when(int64_t ns)
{
    static char rooms[4][48];
    static size_t next;
    struct sbuf out = sbuf_over(rooms[next % 4], 47);

    clock_add_rfc3339(&out, ns, 9);
    rooms[next % 4][out.len] = '\0';
    return rooms[next++ % 4];
}

#endif
