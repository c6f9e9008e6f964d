/* SPDX-License-Identifier: MIT
 * The circuit breaker of breaker.h, without a lock. Everything that decides is in one word, and a
 * transition is one compare-and-swap of it, so exactly one thread makes each transition and reports
 * it:
 *
 *     63     62 61          40 39                             0
 *     | state  | generation   |  what the state counts        |
 *
 *       CLOSED      failures in a row
 *       OPEN        when it may be tried, in milliseconds
 *       HALF_OPEN   probes that succeeded
 *
 * The generation grows with every transition, and a ticket remembers it: a report whose generation
 * has passed is about another state and counts for nothing.
 *
 * Probes are places in a small array. A place holds the generation it was taken in and when it is
 * given up; a place of another generation, or past its time, is free. A probe's report counts only
 * if its place still holds exactly what admit wrote there.
 *
 * Error rates over a time window and slow calls will be further reasons to open: `opens_on_failure`
 * is where a report is judged, and nothing else depends on the reason. */
#include "limit/breaker.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"

enum {
    FAILURES_DEFAULT = 5,
    OPEN_S_DEFAULT = 60,
    PROBE_S_DEFAULT = 30,
    COUNT_BITS = 40,
    GENERATION_BITS = 22,
};

#define COUNT_MASK      ((UINT64_C(1) << COUNT_BITS) - 1)
#define GENERATION_MASK ((UINT32_C(1) << GENERATION_BITS) - 1)

struct breaker {
    _Atomic uint64_t word;
    _Atomic uint64_t probes[BREAKER_PROBES_MAX]; /* generation and deadline; 0: never used */
    struct breaker_options options;
    _Atomic uint64_t moves[BREAKER_STATE_COUNT];
};

struct view {
    enum breaker_state state;
    uint32_t generation;
    uint64_t count;
};

static uint64_t pack(struct view view)
{
    return (uint64_t)view.state << (COUNT_BITS + GENERATION_BITS) |
           (uint64_t)(view.generation & GENERATION_MASK) << COUNT_BITS | (view.count & COUNT_MASK);
}

static struct view unpack(uint64_t word)
{
    return (struct view){.state = (enum breaker_state)(word >> (COUNT_BITS + GENERATION_BITS)),
                         .generation = (uint32_t)(word >> COUNT_BITS) & GENERATION_MASK,
                         .count = word & COUNT_MASK};
}

static uint64_t ms_of(int64_t now_ns)
{
    PC_ASSERT(now_ns >= 0);
    return (uint64_t)(now_ns / CLOCK_NS_PER_MS);
}

/* Rounded up: a wait is never shorter than asked for. */
static uint64_t ms_after(int64_t now_ns, int64_t wait_ns)
{
    return ms_of(now_ns + wait_ns + CLOCK_NS_PER_MS - 1);
}

enum err breaker_new(const struct breaker_options *options, struct breaker **ret_breaker)
{
    struct breaker *breaker = alloc_zero(sizeof(*breaker));
    struct breaker_options *own;

    if (breaker == NULL)
        return ERR_NO_MEMORY;
    own = &breaker->options;
    *own = *options;
    PC_ASSERT(own->probes <= BREAKER_PROBES_MAX && own->open_ns >= 0 && own->probe_ns >= 0);
    if (own->failures == 0)
        own->failures = FAILURES_DEFAULT;
    if (own->open_ns == 0)
        own->open_ns = OPEN_S_DEFAULT * CLOCK_NS_PER_S;
    if (own->probes == 0)
        own->probes = 1;
    if (own->successes_needed == 0)
        own->successes_needed = 1;
    if (own->probe_ns == 0)
        own->probe_ns = PROBE_S_DEFAULT * CLOCK_NS_PER_S;
    *ret_breaker = breaker;
    return ERR_OK;
}

void breaker_free(struct breaker *breaker)
{
    alloc_free(breaker);
}

/* Changes the state if the word is still `*word`; else reads it again. */
static bool move(struct breaker *breaker, uint64_t *word, enum breaker_state to, uint64_t count,
                 int64_t now_ns)
{
    struct view from = unpack(*word);
    struct view next = {.state = to, .generation = from.generation + 1, .count = count};
    struct breaker_move record = {.from = from.state,
                                  .to = to,
                                  .number = next.generation & GENERATION_MASK,
                                  .now_ns = now_ns};

    if (!atomic_compare_exchange_strong(&breaker->word, word, pack(next)))
        return false;
    (void)atomic_fetch_add_explicit(&breaker->moves[to], 1, memory_order_relaxed);
    if (breaker->options.moved != NULL)
        breaker->options.moved(breaker->options.context, &record);
    return true;
}

/* A place of the probe array: what it holds while taken. */
static uint64_t probe_word(uint32_t generation, uint64_t until_ms)
{
    /* The upper bit keeps generation 0 apart from a place never used. */
    return UINT64_C(1) << 63 | pack((struct view){.generation = generation, .count = until_ms});
}

static bool probe_is_free(uint64_t probe, uint32_t generation, uint64_t now_ms)
{
    struct view view = unpack(probe & ~(UINT64_C(1) << 63));

    return probe == 0 || view.generation != generation || view.count <= now_ms;
}

/* Takes a free place, or says when the first one is given up. */
static bool probe_take(struct breaker *breaker, uint32_t generation, int64_t now_ns,
                       struct breaker_ticket *ret_ticket, int64_t *ret_retry_after_ns)
{
    uint64_t now_ms = ms_of(now_ns);
    uint64_t until_ms = ms_after(now_ns, breaker->options.probe_ns);
    uint64_t first_ms = until_ms;

    for (uint32_t i = 0; i < breaker->options.probes; i++) {
        uint64_t probe = atomic_load(&breaker->probes[i]);

        while (probe_is_free(probe, generation, now_ms)) {
            if (!atomic_compare_exchange_weak(&breaker->probes[i], &probe,
                                              probe_word(generation, until_ms)))
                continue;
            *ret_ticket = (struct breaker_ticket){
                .generation = generation, .probe = i + 1, .until_ms = (int64_t)until_ms};
            return true;
        }
        if ((probe & COUNT_MASK) < first_ms)
            first_ms = probe & COUNT_MASK;
    }
    *ret_retry_after_ns = (int64_t)(first_ms - now_ms) * CLOCK_NS_PER_MS;
    return false;
}

/* Frees the ticket's place. False if the place was given up before. */
static bool probe_release(struct breaker *breaker, struct breaker_ticket ticket)
{
    uint64_t held = probe_word(ticket.generation, (uint64_t)ticket.until_ms);

    PC_ASSERT(ticket.probe <= BREAKER_PROBES_MAX);
    return atomic_compare_exchange_strong(&breaker->probes[ticket.probe - 1], &held, 0);
}

/* Admission by a half-open breaker. A place taken while the state moved on is given back: the
 * generation that admits must be the present one. */
static bool admit_probe(struct breaker *breaker, uint64_t *word, int64_t now_ns,
                        struct breaker_ticket *ret_ticket, int64_t *ret_retry_after_ns,
                        bool *ret_decided)
{
    uint32_t generation = unpack(*word).generation;
    bool taken = probe_take(breaker, generation, now_ns, ret_ticket, ret_retry_after_ns);

    *word = atomic_load(&breaker->word);
    *ret_decided = unpack(*word).generation == generation;
    if (taken && !*ret_decided)
        (void)probe_release(breaker, *ret_ticket);
    return taken;
}

bool breaker_admit(struct breaker *breaker, int64_t now_ns, struct breaker_ticket *ret_ticket,
                   int64_t *ret_retry_after_ns)
{
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);

    for (;;) {
        struct view view = unpack(word);
        bool decided;
        bool admitted;

        if (PC_LIKELY(view.state == BREAKER_CLOSED)) {
            *ret_ticket = (struct breaker_ticket){.generation = view.generation};
            return true;
        }
        if (view.state == BREAKER_OPEN) {
            uint64_t now_ms = ms_of(now_ns);

            if (now_ms < view.count) {
                *ret_retry_after_ns = (int64_t)(view.count - now_ms) * CLOCK_NS_PER_MS;
                return false;
            }
            if (move(breaker, &word, BREAKER_HALF_OPEN, 0, now_ns))
                word = atomic_load(&breaker->word);
            continue;
        }
        admitted = admit_probe(breaker, &word, now_ns, ret_ticket, ret_retry_after_ns, &decided);
        if (decided)
            return admitted;
    }
}

/* Is this failure, the count-th in a row, one too many? */
static bool opens_on_failure(const struct breaker *breaker, enum breaker_state state,
                             uint64_t count)
{
    return state == BREAKER_HALF_OPEN || count >= breaker->options.failures;
}

static void report_failure(struct breaker *breaker, struct breaker_ticket ticket, int64_t now_ns)
{
    uint64_t word = atomic_load(&breaker->word);

    for (;;) {
        struct view view = unpack(word);

        if (view.generation != ticket.generation)
            return;
        if (opens_on_failure(breaker, view.state, view.count + 1)) {
            if (move(breaker, &word, BREAKER_OPEN, ms_after(now_ns, breaker->options.open_ns),
                     now_ns))
                return;
            continue;
        }
        view.count++;
        if (atomic_compare_exchange_weak(&breaker->word, &word, pack(view)))
            return;
    }
}

static void report_success(struct breaker *breaker, struct breaker_ticket ticket, int64_t now_ns)
{
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);

    for (;;) {
        struct view view = unpack(word);

        if (view.generation != ticket.generation)
            return;
        if (view.state == BREAKER_CLOSED && view.count == 0)
            return; /* the healthy case: nothing is written */
        if (view.state == BREAKER_HALF_OPEN &&
            view.count + 1 >= breaker->options.successes_needed) {
            if (move(breaker, &word, BREAKER_CLOSED, 0, now_ns))
                return;
            continue;
        }
        view.count = view.state == BREAKER_CLOSED ? 0 : view.count + 1;
        if (atomic_compare_exchange_weak(&breaker->word, &word, pack(view)))
            return;
    }
}

void breaker_report(struct breaker *breaker, struct breaker_ticket ticket, bool ok, int64_t now_ns)
{
    if (ticket.probe != 0) {
        bool in_time = ms_of(now_ns) < (uint64_t)ticket.until_ms;

        if (!probe_release(breaker, ticket) || !in_time)
            return;
    }
    if (ok)
        report_success(breaker, ticket, now_ns);
    else
        report_failure(breaker, ticket, now_ns);
}

void breaker_abandon(struct breaker *breaker, struct breaker_ticket ticket)
{
    if (ticket.probe != 0)
        (void)probe_release(breaker, ticket);
}

enum breaker_state breaker_state(const struct breaker *breaker)
{
    return unpack(atomic_load_explicit(&breaker->word, memory_order_acquire)).state;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[BREAKER_STATE_COUNT] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half_open"};

    PC_ASSERT(state < BREAKER_STATE_COUNT);
    return names[state];
}

uint64_t breaker_moves(const struct breaker *breaker, enum breaker_state into)
{
    PC_ASSERT(into < BREAKER_STATE_COUNT);
    return atomic_load_explicit(&breaker->moves[into], memory_order_relaxed);
}
