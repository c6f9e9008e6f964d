/* SPDX-License-Identifier: MIT
 * Which targets are well: the states drawn in upstream_pick.h, without a lock. What requests said
 * of a target is one word, and a transition is one compare-and-swap of it:
 *
 *     63     62 61      52 51     40 39                    0
 *     | state  | recent   | fails   | milliseconds         |
 *
 *       WELL      since when, for forgetting recent ejections; fails in a row
 *       EJECTED   until when
 *       TRIAL     when the trial is given up
 *
 * What checks said is a word of its own: whether the target is down, and how many checks in a row
 * said otherwise.
 *
 * The masks of the picker say the same in one bit for each target. Who changed a word brings its
 * bit up to date and looks at the word once more, so that the last one to write a bit wrote what
 * the word says, whoever came between. */
#include "upstream/upstream_priv.h"

enum {
    FAILS_DEFAULT = 5,
    EJECT_S_DEFAULT = 10,
    EJECT_MOST_S_DEFAULT = 300,
    FORGET_TIMES = 6, /* eject_ns */
    PANIC_PERCENT_DEFAULT = 50,
    RISE_DEFAULT = 2,
    FALL_DEFAULT = 3,

    MS_BITS = 40,
    FAILS_BITS = 12,
    RECENT_BITS = 10,
    UNIT_SHIFT = 6,    /* of times between answers: 64 ns */
    SETTLE_SHIFT = 26, /* time constant of latency: 2^26 such units, 4.3 s */
};

/* An estimate that hardly moves is still noted as fresh this often. */
#define SEEN_NS (INT64_C(1) << 20)
/* Longer ones are all the same: 69 s. Times SETTLE_SHIFT that is within 63 bits. */
#define LATENCY_NS_MAX (INT64_C(1) << 36)

/* Of health: what may be set in a target that is well and failed nothing. */
#define QUIET_BITS                                                                                 \
    (((UINT64_C(1) << MS_BITS) - 1) |                                                              \
     (((UINT64_C(1) << RECENT_BITS) - 1) << (MS_BITS + FAILS_BITS)))

#define DOWN_BIT (UINT32_C(1) << 31)

enum state { WELL = 0, EJECTED, TRIAL };

struct view {
    enum state state;
    uint32_t recent;
    uint32_t fails;
    uint64_t ms;
};

static uint64_t pack(struct view view)
{
    return (uint64_t)view.state << (MS_BITS + FAILS_BITS + RECENT_BITS) |
           (uint64_t)view.recent << (MS_BITS + FAILS_BITS) | (uint64_t)view.fails << MS_BITS |
           (view.ms & ((UINT64_C(1) << MS_BITS) - 1));
}

static struct view unpack(uint64_t word)
{
    return (struct view){.state = (enum state)(word >> (MS_BITS + FAILS_BITS + RECENT_BITS)),
                         .recent =
                             (uint32_t)(word >> (MS_BITS + FAILS_BITS)) & ((1U << RECENT_BITS) - 1),
                         .fails = (uint32_t)(word >> MS_BITS) & ((1U << FAILS_BITS) - 1),
                         .ms = word & ((UINT64_C(1) << MS_BITS) - 1)};
}

static uint64_t ms_of(int64_t now_ns)
{
    PC_ASSERT(now_ns >= 0);
    return (uint64_t)(now_ns / CLOCK_NS_PER_MS);
}

static uint64_t ms_rounded_up(int64_t wait_ns, int default_s)
{
    int64_t ns = wait_ns > 0 ? wait_ns : default_s * CLOCK_NS_PER_S;

    return (uint64_t)(ns / CLOCK_NS_PER_MS + (ns % CLOCK_NS_PER_MS != 0));
}

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given != 0 ? given : otherwise;
}

struct upstream_rules_kept upstream_rules_keep(const struct upstream_health_rules *rules)
{
    struct upstream_rules_kept kept = {
        .fails_max = or_default(rules->fails_max, FAILS_DEFAULT),
        .panic_percent = or_default(rules->panic_percent, PANIC_PERCENT_DEFAULT),
        .rise = or_default(rules->rise, RISE_DEFAULT),
        .fall = or_default(rules->fall, FALL_DEFAULT),
        .eject_ms = ms_rounded_up(rules->eject_ns, EJECT_S_DEFAULT),
        .eject_most_ms = ms_rounded_up(rules->eject_most_ns, EJECT_MOST_S_DEFAULT),
    };
    uint64_t times;

    PC_ASSERT(rules->slow_start_ns >= 0);
    kept.slow_start_ms = (rules->slow_start_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
    PC_ASSERT(rules->eject_ns >= 0 && rules->eject_most_ns >= 0);
    PC_ASSERT(kept.fails_max < 1U << FAILS_BITS && kept.panic_percent <= 100);
    PC_ASSERT(kept.rise < DOWN_BIT && kept.fall < DOWN_BIT);
    times = (kept.eject_most_ms + kept.eject_ms - 1) / kept.eject_ms;
    kept.recent_max = times < 1U << RECENT_BITS ? (uint32_t)times : (1U << RECENT_BITS) - 1;
    kept.forget_ms = kept.eject_ms * FORGET_TIMES;
    return kept;
}

static void mask_follow_health(struct upstream_picker *picker, size_t target)
{
    const _Atomic uint64_t *word = &picker->targets[target]->health;
    bool away;

    do {
        away = unpack(atomic_load(word)).state != WELL;
        if (away)
            (void)atomic_fetch_or(&picker->ejected, upstream_bit(target));
        else
            (void)atomic_fetch_and(&picker->ejected, ~upstream_bit(target));
    } while ((unpack(atomic_load(word)).state != WELL) != away);
}

static void mask_follow_checks(struct upstream_picker *picker, size_t target)
{
    const _Atomic uint32_t *word = &picker->targets[target]->checks;
    bool down;

    do {
        down = (atomic_load(word) & DOWN_BIT) != 0;
        if (down)
            (void)atomic_fetch_or(&picker->down, upstream_bit(target));
        else
            (void)atomic_fetch_and(&picker->down, ~upstream_bit(target));
    } while (((atomic_load(word) & DOWN_BIT) != 0) != down);
}

/* ---- slow start --------------------------------------------------------------------------------
 */

enum { BACK_SOON = -1 }; /* the next pick says since when */

/* From BACK_SOON on, or from a time. */
static void start_slowly(struct upstream_picker *picker, size_t target, int64_t back_ms)
{
    if (picker->rules.slow_start_ms == 0)
        return;
    atomic_store(&picker->targets[target]->back_ms, back_ms != 0 ? back_ms : BACK_SOON);
    (void)atomic_fetch_or(&picker->starting, upstream_bit(target));
}

/* Who ends it looks once more: it may begin anew in the same moment. */
static void end_slow_start(struct upstream_picker *picker, size_t target, int64_t back_ms)
{
    _Atomic int64_t *back = &picker->targets[target]->back_ms;

    if (!atomic_compare_exchange_strong(back, &back_ms, 0))
        return;
    (void)atomic_fetch_and(&picker->starting, ~upstream_bit(target));
    if (atomic_load(back) != 0)
        (void)atomic_fetch_or(&picker->starting, upstream_bit(target));
}

uint64_t upstream_share_now(struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    static const uint64_t whole = UINT64_C(1) << 32;
    _Atomic int64_t *word = &picker->targets[target]->back_ms;
    int64_t now_ms = (int64_t)ms_of(now_ns);
    int64_t back_ms = atomic_load(word);
    uint64_t share;

    if (back_ms == BACK_SOON && atomic_compare_exchange_strong(word, &back_ms, now_ms))
        back_ms = now_ms;
    if (back_ms <= 0)
        return whole;
    if (now_ms - back_ms >= picker->rules.slow_start_ms) {
        end_slow_start(picker, target, back_ms);
        return whole;
    }
    if (now_ms <= back_ms)
        return whole / 10;
    share = whole * (uint64_t)(now_ms - back_ms) / (uint64_t)picker->rules.slow_start_ms;
    return share > whole / 10 ? share : whole / 10;
}

/* ---- places of names ---------------------------------------------------------------------------
 */

void upstream_group(struct upstream_picker *picker, size_t first, size_t count)
{
    uint64_t places = (UINT64_MAX >> (UPSTREAM_TARGETS_MAX - count)) << first;

    PC_ASSERT(count > 0 && first + count <= picker->count);
    PC_ASSERT(picker->group_count < UPSTREAM_TARGETS_MAX);
    picker->groups[picker->group_count++] = places;
    /* One after the other is no turn where each choice has other members. */
    picker->weights_equal = picker->weights_equal && places == picker->all;
    picker->grouped = picker->grouped || places != picker->all || picker->balance == UPSTREAM_HASH;
    (void)atomic_fetch_or(&picker->absent, places);
}

static void forget(struct upstream_picker *picker, size_t target)
{
    struct upstream_target *it = picker->targets[target];

    atomic_store(&it->health, 0);
    atomic_store(&it->checks, 0);
    atomic_store(&it->latency_ns, 0);
    atomic_store(&it->seen_ns, 0);
    mask_follow_health(picker, target);
    mask_follow_checks(picker, target);
}

void upstream_enter(struct upstream_picker *picker, size_t target, uint64_t id, bool is_another,
                    int64_t now_ns)
{
    PC_ASSERT(target < picker->count);
    if (is_another)
        forget(picker, target);
    atomic_store(&picker->ids[target], id);
    if (now_ns != UPSTREAM_AT_ONCE)
        start_slowly(picker, target, (int64_t)ms_of(now_ns));
    (void)atomic_fetch_and(&picker->absent, ~upstream_bit(target));
}

void upstream_leave(struct upstream_picker *picker, size_t target)
{
    (void)atomic_fetch_or(&picker->absent, upstream_bit(target));
}

/* May the next request be this target's trial? */
static bool may_try(struct view view, uint32_t in_flight, uint64_t now_ms)
{
    if (view.state == EJECTED)
        return now_ms >= view.ms;
    return view.state == TRIAL && (in_flight == 0 || now_ms >= view.ms);
}

static uint64_t trials_of(const struct upstream_picker *picker, uint64_t ejected, uint64_t now_ms)
{
    uint64_t trials = 0;

    for (uint64_t rest = ejected; rest != 0; rest &= rest - 1) {
        size_t i = (size_t)__builtin_ctzll(rest);
        const struct upstream_target *target = picker->targets[i];

        if (may_try(unpack(atomic_load(&target->health)), atomic_load(&target->in_flight), now_ms))
            trials |= upstream_bit(i);
    }
    return trials;
}

struct upstream_choice upstream_choice_now(const struct upstream_picker *picker, int64_t now_ns)
{
    uint64_t open = picker->all & ~atomic_load(&picker->drained) & ~atomic_load(&picker->absent);
    uint64_t ejected = open & atomic_load(&picker->ejected);
    uint64_t trials = trials_of(picker, ejected, ms_of(now_ns));
    uint64_t well = open & ~atomic_load(&picker->down) & (~ejected | trials);
    bool panic = (unsigned)__builtin_popcountll(well) * 100 <
                 picker->rules.panic_percent * (unsigned)__builtin_popcountll(open);

    return (struct upstream_choice){.asked = panic ? open : well, .trials = trials, .panic = panic};
}

bool upstream_trial(struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    struct upstream_target *it = picker->targets[target];
    uint64_t word = atomic_load(&it->health);
    uint32_t others = atomic_load(&it->in_flight) - 1; /* after the word: see upstream_priv.h */
    struct view next = unpack(word);

    if (next.state == WELL)
        return true; /* another loop's trial succeeded meanwhile */
    if (!may_try(next, others, ms_of(now_ns)))
        return false;
    next.state = TRIAL;
    next.ms = ms_of(now_ns) + picker->rules.eject_ms;
    return atomic_compare_exchange_strong(&it->health, &word, pack(next));
}

/* How many ejections are not forgotten yet. */
static uint32_t recent_now(const struct upstream_rules_kept *rules, struct view view,
                           uint64_t now_ms)
{
    uint64_t forgotten;

    if (view.state != WELL || now_ms <= view.ms)
        return view.recent;
    forgotten = (now_ms - view.ms) / rules->forget_ms;
    return forgotten < view.recent ? view.recent - (uint32_t)forgotten : 0;
}

static struct view ejected_now(const struct upstream_rules_kept *rules, struct view view,
                               uint64_t now_ms)
{
    uint32_t recent = recent_now(rules, view, now_ms) + 1;
    uint64_t away_ms;

    recent = recent < rules->recent_max ? recent : rules->recent_max;
    away_ms = rules->eject_ms * recent;
    away_ms = away_ms < rules->eject_most_ms ? away_ms : rules->eject_most_ms;
    return (struct view){.state = EJECTED, .recent = recent, .ms = now_ms + away_ms};
}

static void failed(struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    struct upstream_target *it = picker->targets[target];
    uint64_t word = atomic_load(&it->health);
    struct view next;

    do {
        next = unpack(word);
        if (next.state == EJECTED)
            return;
        if (next.state == TRIAL || next.fails + 1 >= picker->rules.fails_max)
            next = ejected_now(&picker->rules, next, ms_of(now_ns));
        else
            next.fails++;
    } while (!atomic_compare_exchange_weak(&it->health, &word, pack(next)));
    if (next.state == EJECTED) {
        (void)atomic_fetch_add_explicit(&it->ejections, 1, memory_order_relaxed);
        mask_follow_health(picker, target);
    }
}

static void succeeded(struct upstream_picker *picker, size_t target, int64_t now_ns)
{
    struct upstream_target *it = picker->targets[target];
    uint64_t word = atomic_load_explicit(&it->health, memory_order_relaxed);
    struct view was;
    struct view next;

    do {
        if (PC_LIKELY((word & ~QUIET_BITS) == 0))
            return; /* nothing is written */
        was = unpack(word);
        if (was.state == EJECTED)
            return;
        next = was;
        next.fails = 0;
        next.state = WELL;
        next.ms = was.state == TRIAL ? ms_of(now_ns) : was.ms;
    } while (!atomic_compare_exchange_weak(&it->health, &word, pack(next)));
    if (was.state == TRIAL) {
        start_slowly(picker, target, (int64_t)ms_of(now_ns));
        mask_follow_health(picker, target);
    }
}

/* Peak-sensitive moving average: a longer answer counts in full at once, a shorter one by the time
 * since the last. Two loops that write together lose one sample, which costs nothing. A step too
 * small for the estimate waits until more time makes it larger. */
static void observe(struct upstream_target *target, int64_t took_ns, int64_t now_ns)
{
    int64_t latency = atomic_load_explicit(&target->latency_ns, memory_order_relaxed);
    int64_t since = now_ns - atomic_load_explicit(&target->seen_ns, memory_order_relaxed);

    took_ns = took_ns > 0 ? took_ns : 1;
    took_ns = took_ns < LATENCY_NS_MAX ? took_ns : LATENCY_NS_MAX;
    if (took_ns < latency && since >> UNIT_SHIFT < INT64_C(1) << SETTLE_SHIFT) {
        int64_t step =
            since > 0 ? ((latency - took_ns) * (since >> UNIT_SHIFT)) >> SETTLE_SHIFT : 0;

        took_ns = latency - step;
    }
    if (took_ns == latency && since < SEEN_NS)
        return;
    atomic_store_explicit(&target->latency_ns, took_ns, memory_order_relaxed);
    atomic_store_explicit(&target->seen_ns, now_ns, memory_order_relaxed);
}

void upstream_answered(struct upstream_picker *picker, size_t target, int64_t took_ns,
                       int64_t now_ns)
{
    PC_ASSERT(target < picker->count);
    observe(picker->targets[target], took_ns, now_ns);
    succeeded(picker, target, now_ns);
}

void upstream_settle(struct upstream_picker *picker, size_t target, enum upstream_outcome outcome,
                     int64_t took_ns, int64_t now_ns)
{
    struct upstream_target *it = picker->targets[target];
    uint32_t in_flight;

    PC_ASSERT(target < picker->count);
    if (PC_LIKELY(outcome == UPSTREAM_WELL)) {
        upstream_answered(picker, target, took_ns, now_ns);
    } else if (outcome == UPSTREAM_FAILED) {
        failed(picker, target, now_ns);
    }
    in_flight = atomic_fetch_sub_explicit(&it->in_flight, 1, memory_order_release);
    PC_ASSERT(in_flight > 0);
}

void upstream_checked(struct upstream_picker *picker, size_t target, bool well, int64_t now_ns)
{
    _Atomic uint32_t *checks = &picker->targets[target]->checks;
    uint32_t word = atomic_load(checks);
    uint32_t next;

    PC_ASSERT(target < picker->count && now_ns >= 0);
    do {
        bool down = (word & DOWN_BIT) != 0;
        uint32_t needed = down ? picker->rules.rise : picker->rules.fall;

        next = word & DOWN_BIT;
        if (well == down)
            next = word + 1;
        if ((next & ~DOWN_BIT) >= needed)
            next = down ? 0 : DOWN_BIT;
        if (next == word)
            return;
    } while (!atomic_compare_exchange_weak(checks, &word, next));
    if ((word & DOWN_BIT) != 0 && (next & DOWN_BIT) == 0)
        start_slowly(picker, target, (int64_t)ms_of(now_ns));
    mask_follow_checks(picker, target);
}

void upstream_drain(struct upstream_picker *picker, size_t target, bool drained)
{
    PC_ASSERT(target < picker->count);
    if (drained) {
        (void)atomic_fetch_or(&picker->drained, upstream_bit(target));
        return;
    }
    if ((atomic_load(&picker->drained) & upstream_bit(target)) != 0)
        start_slowly(picker, target, BACK_SOON);
    (void)atomic_fetch_and(&picker->drained, ~upstream_bit(target));
}

void upstream_drain_as_set(struct upstream_picker *picker, size_t target, bool drained)
{
    uint32_t held = atomic_load(&picker->targets[target]->held);

    upstream_drain(picker, target, held == UPSTREAM_AS_SET ? drained : held == UPSTREAM_HELD_OUT);
}

void upstream_hold(struct upstream_picker *picker, size_t target, bool drained)
{
    PC_ASSERT(target < picker->count);
    atomic_store(&picker->targets[target]->held, drained ? UPSTREAM_HELD_OUT : UPSTREAM_HELD_IN);
    upstream_drain(picker, target, drained);
}

static void mask_follow_start(struct upstream_picker *picker, size_t target)
{
    if (picker->rules.slow_start_ms > 0 && atomic_load(&picker->targets[target]->back_ms) != 0)
        (void)atomic_fetch_or(&picker->starting, upstream_bit(target));
    else
        (void)atomic_fetch_and(&picker->starting, ~upstream_bit(target));
}

void upstream_picker_refresh(struct upstream_picker *picker)
{
    for (size_t i = 0; i < picker->count; i++) {
        mask_follow_health(picker, i);
        mask_follow_checks(picker, i);
        mask_follow_start(picker, i);
    }
}

struct upstream_target_state upstream_target_state(const struct upstream_picker *picker,
                                                   size_t target, int64_t now_ns)
{
    const struct upstream_target *it = picker->targets[target];
    struct view view;
    bool over;

    PC_ASSERT(target < picker->count);
    view = unpack(atomic_load(&it->health));
    over = view.state == TRIAL || ms_of(now_ns) >= view.ms;
    return (struct upstream_target_state){
        .down = (atomic_load(&it->checks) & DOWN_BIT) != 0,
        .ejected = view.state != WELL && !over,
        .on_trial = view.state != WELL && over,
        .drained = (atomic_load(&picker->drained) & upstream_bit(target)) != 0,
        .absent = (atomic_load(&picker->absent) & upstream_bit(target)) != 0,
        .starting = (atomic_load(&picker->starting) & upstream_bit(target)) != 0,
        .held = atomic_load(&it->held) != UPSTREAM_AS_SET,
        .in_flight = atomic_load_explicit(&it->in_flight, memory_order_relaxed),
        .latency_ns = atomic_load_explicit(&it->latency_ns, memory_order_relaxed),
        .ejections = atomic_load_explicit(&it->ejections, memory_order_relaxed),
        .recent_ejections = recent_now(&picker->rules, view, ms_of(now_ns)),
    };
}

bool upstream_is_panicking(const struct upstream_picker *picker, int64_t now_ns)
{
    return upstream_choice_now(picker, now_ns).panic;
}

uint64_t upstream_panic_picks(const struct upstream_picker *picker)
{
    return atomic_load_explicit(&picker->panic_picks, memory_order_relaxed);
}
