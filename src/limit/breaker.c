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
 * Where exactly `probes` calls may pass, a place that succeeded stays taken for its generation.
 *
 * Shares are counted beside the word (breaker_window.c). Whoever counts a call judges the sums with
 * it, so the call that fills the measure is the one that opens. Only a ticket of the present closed
 * state counts. The window is cleared on the way from half open to closed, before the word says
 * closed: then nobody counts. */
#include "limit/breaker.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/reason.h"
#include "limit/breaker_window.h"

enum {
    FAILURES_DEFAULT = 5,
    OPEN_S_DEFAULT = 60,
    PROBE_S_DEFAULT = 30,
    WINDOW_S_DEFAULT = 10,
    CALLS_MIN_DEFAULT = 20,
    COUNT_BITS = 40,
    GENERATION_BITS = 22,
};

#define COUNT_MASK      ((UINT64_C(1) << COUNT_BITS) - 1)
#define GENERATION_MASK ((UINT32_C(1) << GENERATION_BITS) - 1)

struct breaker {
    _Atomic uint64_t word;
    _Atomic uint64_t probes[BREAKER_PROBES_MAX]; /* generation and deadline; 0: never used */
    _Atomic uint32_t failures, places;           /* of the options, and adjusted since */
    _Atomic int64_t open_ns;
    struct breaker_options options;
    struct breaker_window window; /* bucket_ms 0: there is none */
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

static void window_set(struct breaker *breaker)
{
    struct breaker_options *own = &breaker->options;

    PC_ASSERT(own->error_percent <= 100 && own->slow_percent <= 100);
    PC_ASSERT(own->window_ns >= 0 && own->slow_ns >= 0);
    PC_ASSERT(own->calls_min <= BREAKER_CALLS_MIN_MAX);
    if (own->slow_ns == 0)
        own->slow_percent = 0;
    if (own->error_percent + own->slow_percent == 0)
        return;
    if (own->window_ns == 0)
        own->window_ns = WINDOW_S_DEFAULT * CLOCK_NS_PER_S;
    if (own->calls_min == 0)
        own->calls_min = CALLS_MIN_DEFAULT;
    breaker_window_init(&breaker->window, own->window_ns);
}

static void thresholds_set(struct breaker *breaker, uint32_t failures, int64_t open_ns,
                           uint32_t probes)
{
    PC_ASSERT(probes <= BREAKER_PROBES_MAX && open_ns >= 0);
    atomic_store_explicit(&breaker->failures, failures > 0 ? failures : FAILURES_DEFAULT,
                          memory_order_relaxed);
    atomic_store_explicit(&breaker->open_ns,
                          open_ns > 0 ? open_ns : OPEN_S_DEFAULT * CLOCK_NS_PER_S,
                          memory_order_relaxed);
    atomic_store_explicit(&breaker->places, probes > 0 ? probes : 1, memory_order_relaxed);
}

enum err breaker_new(const struct breaker_options *options, struct breaker **ret_breaker)
{
    struct breaker *breaker = alloc_zero(sizeof(*breaker));
    struct breaker_options *own;

    if (breaker == NULL)
        return ERR_NO_MEMORY;
    own = &breaker->options;
    *own = *options;
    PC_ASSERT(own->probe_ns >= 0);
    if (own->probes == 0)
        own->probes = 1;
    thresholds_set(breaker, own->failures, own->open_ns, own->probes);
    if (own->successes_needed == 0)
        own->successes_needed = 1;
    if (own->exact)
        own->successes_needed = own->probes;
    if (own->probe_ns == 0)
        own->probe_ns = PROBE_S_DEFAULT * CLOCK_NS_PER_S;
    window_set(breaker);
    *ret_breaker = breaker;
    return ERR_OK;
}

void breaker_adjust(struct breaker *breaker, uint32_t failures, int64_t open_ns, uint32_t probes)
{
    PC_ASSERT(!breaker->options.exact);
    thresholds_set(breaker, failures, open_ns, probes);
}

void breaker_free(struct breaker *breaker)
{
    alloc_free(breaker);
}

/* Changes the state if the word is still `*word`; else reads it again. */
static bool move(struct breaker *breaker, uint64_t *word, enum breaker_state to,
                 enum breaker_why why, uint64_t count, int64_t now_ns)
{
    struct view from = unpack(*word);
    struct view next = {.state = to, .generation = from.generation + 1, .count = count};
    struct breaker_move record = {.from = from.state,
                                  .to = to,
                                  .why = why,
                                  .number = next.generation & GENERATION_MASK,
                                  .now_ns = now_ns};

    if (to == BREAKER_CLOSED && breaker->window.bucket_ms > 0)
        breaker_window_clear(&breaker->window);
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
    uint32_t places = atomic_load_explicit(&breaker->places, memory_order_relaxed);

    for (uint32_t i = 0; i < places; i++) {
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

/* Frees the ticket's place, or keeps it from ever being taken again in this generation. False if
 * the place was given up before. */
static bool probe_release(struct breaker *breaker, struct breaker_ticket ticket, bool for_good)
{
    uint64_t held = probe_word(ticket.generation, (uint64_t)ticket.until_ms);
    uint64_t then = for_good ? probe_word(ticket.generation, COUNT_MASK) : 0;

    PC_ASSERT(ticket.probe <= BREAKER_PROBES_MAX);
    return atomic_compare_exchange_strong(&breaker->probes[ticket.probe - 1], &held, then);
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
        (void)probe_release(breaker, *ret_ticket, false);
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
            if (move(breaker, &word, BREAKER_HALF_OPEN, BREAKER_WHY_TIME, 0, now_ns))
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
    return state == BREAKER_HALF_OPEN ||
           count >= atomic_load_explicit(&breaker->failures, memory_order_relaxed);
}

static bool open_now(struct breaker *breaker, uint64_t *word, enum breaker_why why, int64_t now_ns)
{
    int64_t open_ns = atomic_load_explicit(&breaker->open_ns, memory_order_relaxed);

    return move(breaker, word, BREAKER_OPEN, why, ms_after(now_ns, open_ns), now_ns);
}

static void report_failure(struct breaker *breaker, struct breaker_ticket ticket, int64_t now_ns)
{
    uint64_t word = atomic_load(&breaker->word);

    for (;;) {
        struct view view = unpack(word);

        if (view.generation != ticket.generation)
            return;
        if (opens_on_failure(breaker, view.state, view.count + 1)) {
            if (open_now(breaker, &word,
                         view.state == BREAKER_HALF_OPEN ? BREAKER_WHY_PROBE_FAILED
                                                         : BREAKER_WHY_FAILURES,
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
            if (move(breaker, &word, BREAKER_CLOSED, BREAKER_WHY_PROBES_PASSED, 0, now_ns))
                return;
            continue;
        }
        view.count = view.state == BREAKER_CLOSED ? 0 : view.count + 1;
        if (atomic_compare_exchange_weak(&breaker->word, &word, pack(view)))
            return;
    }
}

/* Is that so large a share of the window's calls? */
static bool is_share(uint32_t part, uint32_t percent, uint32_t calls)
{
    return percent > 0 && (uint64_t)part * 100 >= (uint64_t)percent * calls;
}

/* Counts a call of the present closed state. False: the window has nothing against it. */
static bool window_is_bad(struct breaker *breaker, struct breaker_ticket ticket, bool ok, bool slow,
                          int64_t now_ns, enum breaker_why *ret_why)
{
    const struct breaker_options *options = &breaker->options;
    struct view view = unpack(atomic_load_explicit(&breaker->word, memory_order_acquire));
    struct breaker_counts sum;

    if (view.state != BREAKER_CLOSED || view.generation != ticket.generation)
        return false;
    sum = breaker_window_add(&breaker->window, ms_of(now_ns), !ok, slow);
    if (sum.calls < options->calls_min)
        return false;
    *ret_why = BREAKER_WHY_ERROR_RATE;
    if (is_share(sum.errors, options->error_percent, sum.calls))
        return true;
    *ret_why = BREAKER_WHY_SLOW_RATE;
    return is_share(sum.slow, options->slow_percent, sum.calls);
}

static void open_by_window(struct breaker *breaker, struct breaker_ticket ticket,
                           enum breaker_why why, int64_t now_ns)
{
    uint64_t word = atomic_load(&breaker->word);

    while (unpack(word).generation == ticket.generation) {
        if (open_now(breaker, &word, why, now_ns))
            return;
    }
}

/* False: the probe was given up, or came too late to say anything. */
static bool probe_counts(struct breaker *breaker, struct breaker_ticket ticket, bool ok,
                         int64_t now_ns)
{
    bool in_time = ms_of(now_ns) < (uint64_t)ticket.until_ms;

    return probe_release(breaker, ticket, breaker->options.exact && ok && in_time) && in_time;
}

void breaker_report_timed(struct breaker *breaker, struct breaker_ticket ticket, bool ok,
                          int64_t took_ns, int64_t now_ns)
{
    bool slow = breaker->options.slow_percent > 0 && took_ns >= breaker->options.slow_ns;
    enum breaker_why why = BREAKER_WHY_ERROR_RATE;
    bool is_bad = false;

    if (ticket.probe != 0) {
        ok = ok && !slow;
        if (!probe_counts(breaker, ticket, ok, now_ns))
            return;
    } else if (breaker->window.bucket_ms > 0) {
        is_bad = window_is_bad(breaker, ticket, ok, slow, now_ns, &why);
    }
    if (ok)
        report_success(breaker, ticket, now_ns);
    else
        report_failure(breaker, ticket, now_ns);
    if (is_bad)
        open_by_window(breaker, ticket, why, now_ns);
}

void breaker_report(struct breaker *breaker, struct breaker_ticket ticket, bool ok, int64_t now_ns)
{
    breaker_report_timed(breaker, ticket, ok, 0, now_ns);
}

void breaker_abandon(struct breaker *breaker, struct breaker_ticket ticket)
{
    if (ticket.probe != 0)
        (void)probe_release(breaker, ticket, false);
}

enum breaker_state breaker_state(const struct breaker *breaker)
{
    return unpack(atomic_load_explicit(&breaker->word, memory_order_acquire)).state;
}

enum breaker_state breaker_state_at(const struct breaker *breaker, int64_t now_ns)
{
    struct view view = unpack(atomic_load_explicit(&breaker->word, memory_order_acquire));

    return view.state == BREAKER_OPEN && ms_of(now_ns) >= view.count ? BREAKER_HALF_OPEN
                                                                     : view.state;
}

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[BREAKER_STATE_COUNT] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half_open"};

    PC_ASSERT(state < BREAKER_STATE_COUNT);
    return names[state];
}

const char *breaker_why_name(enum breaker_why why)
{
    static const enum reason reasons[BREAKER_WHY_COUNT] = {
        [BREAKER_WHY_FAILURES] = REASON_BREAKER_FAILURES,
        [BREAKER_WHY_ERROR_RATE] = REASON_BREAKER_ERROR_RATE,
        [BREAKER_WHY_SLOW_RATE] = REASON_BREAKER_SLOW_RATE,
        [BREAKER_WHY_TIME] = REASON_BREAKER_TIME,
        [BREAKER_WHY_PROBE_FAILED] = REASON_BREAKER_PROBE_FAILED,
        [BREAKER_WHY_PROBES_PASSED] = REASON_BREAKER_PROBES_PASSED};

    PC_ASSERT(why < BREAKER_WHY_COUNT);
    return reason_code(reasons[why]);
}

struct breaker_sums breaker_sums(const struct breaker *breaker, int64_t now_ns)
{
    struct breaker_counts counts = breaker_window_read(&breaker->window, ms_of(now_ns));

    return (struct breaker_sums){counts.calls, counts.errors, counts.slow};
}

int64_t breaker_open_left_ns(const struct breaker *breaker, int64_t now_ns)
{
    struct view view = unpack(atomic_load_explicit(&breaker->word, memory_order_acquire));

    if (view.state != BREAKER_OPEN || ms_of(now_ns) >= view.count)
        return 0;
    return (int64_t)(view.count - ms_of(now_ns)) * CLOCK_NS_PER_MS;
}

uint64_t breaker_moves(const struct breaker *breaker, enum breaker_state into)
{
    PC_ASSERT(into < BREAKER_STATE_COUNT);
    return atomic_load_explicit(&breaker->moves[into], memory_order_relaxed);
}
