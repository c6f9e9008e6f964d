/* SPDX-License-Identifier: MIT
 * The choosing. A set of targets is a word of bits throughout: who may be asked, who was tried, who
 * is tied. Each way of balancing is a function from such a set to one of its members.
 *
 * Power of two choices. Latency is known from answers, so of the two drawn the one heard of longer
 * ago may be wronged by what it was then. Its estimate is halved for each FADE_NS that it was
 * silent longer than the other, down to the other's and not below: then requests in flight decide,
 * and it is tried, but not flooded. A target never heard of counts like the other from the start.
 * When both were silent nothing fades, since neither is known better. When both are idle and about
 * as fast the draw decides, so that weights hold under little load too. */
#include "upstream/upstream_pick.h"

#include <string.h>

#include "base/alloc.h"
#include "upstream/upstream_priv.h"

enum {
    DRAWS = 4,             /* until the draw is made among those that may be asked only */
    LATENCY_UNIT_BITS = 8, /* latencies are compared in 256 ns */
};

#define FADE_NS (INT64_C(1) << 31) /* 2.1 s */

/* One way of balancing runs in a program, and should not save registers for the others. */
#define PC_APART __attribute__((noinline))

static const struct upstream_health_rules no_rules;

static size_t first_of(uint64_t set)
{
    return (size_t)__builtin_ctzll(set);
}

static bool is_single(uint64_t set)
{
    return (set & (set - 1)) == 0;
}

/* Vose's alias method: a table from which one draw finds a target by weight. */
static void aliases_make(struct upstream_alias *aliases, const uint32_t *weights, size_t count)
{
    uint64_t total = 0;
    uint64_t share[UPSTREAM_TARGETS_MAX]; /* of one place, in parts of `total` */
    uint64_t open;                        /* places not yet filled */

    for (size_t i = 0; i < count; i++)
        total += weights[i];
    for (size_t i = 0; i < count; i++)
        share[i] = (uint64_t)weights[i] * count;
    for (open = UINT64_MAX >> (UPSTREAM_TARGETS_MAX - count); open != 0;) {
        size_t least = first_of(open);
        size_t most = least;

        for (uint64_t rest = open; rest != 0; rest &= rest - 1) {
            size_t i = first_of(rest);

            least = share[i] < share[least] ? i : least;
            most = share[i] > share[most] ? i : most;
        }
        aliases[least].below =
            share[least] >= total ? UINT32_MAX : (uint32_t)((share[least] << 32) / total);
        aliases[least].other = (uint32_t)most;
        share[most] -= least == most ? 0 : total - share[least];
        open &= ~upstream_bit(least);
    }
}

static void targets_make(struct upstream_picker *picker, const uint32_t *weights, size_t count)
{
    picker->weights_equal = true;
    for (size_t i = 0; i < count; i++) {
        PC_ASSERT(weights[i] > 0 && weights[i] <= UPSTREAM_WEIGHT_MAX);
        picker->weights[i] = weights[i];
        picker->weights_equal = picker->weights_equal && weights[i] == weights[0];
    }
    picker->count = (uint32_t)count;
    picker->all = UINT64_MAX >> (UPSTREAM_TARGETS_MAX - count);
    aliases_make(picker->aliases, weights, count);
}

enum err upstream_picker_new(enum upstream_balance balance, const uint32_t *weights,
                             const struct span *names, size_t count,
                             const struct upstream_health_rules *rules,
                             struct upstream_picker **ret_picker)
{
    return upstream_picker_renew(NULL, balance, weights, names, count, rules, 0, ret_picker);
}

enum err upstream_picker_renew(const struct upstream_picker *former, enum upstream_balance balance,
                               const uint32_t *weights, const struct span *names, size_t count,
                               const struct upstream_health_rules *rules, uint64_t lasting,
                               struct upstream_picker **ret_picker)
{
    struct upstream_picker *picker;
    enum err err = ERR_OK;
    char *block;

    PC_ASSERT(count > 0 && count <= UPSTREAM_TARGETS_MAX);
    block = alloc_zero(sizeof(*picker) + UPSTREAM_LINE_BYTES);
    if (block == NULL)
        return ERR_NO_MEMORY;
    picker =
        (struct upstream_picker *)(void *)(block + (-(uintptr_t)block & (UPSTREAM_LINE_BYTES - 1)));
    picker->block = block;
    picker->balance = balance;
    picker->rules = upstream_rules_keep(rules != NULL ? rules : &no_rules);
    targets_make(picker, weights, count);
    err = upstream_targets_take(picker, former, names, lasting);
    if (err == ERR_OK && balance == UPSTREAM_HASH)
        err = upstream_ring_new(weights, names, count, &picker->ring, &picker->ring_count);
    if (err) {
        upstream_picker_free(picker);
        return err;
    }
    *ret_picker = picker;
    return ERR_OK;
}

void upstream_picker_free(struct upstream_picker *picker)
{
    if (picker == NULL)
        return;
    upstream_targets_leave(picker);
    alloc_free(picker->ring);
    alloc_free(picker->block);
}

size_t upstream_target_count(const struct upstream_picker *picker)
{
    return picker->count;
}

/* splitmix64: which target is asked is no secret. */
static uint64_t turn_draw(struct upstream_turn *turn)
{
    uint64_t z = (turn->seed += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Smooth weighted round robin: everyone in the set gains its weight, who is furthest behind is
 * chosen and pays for all. */
PC_APART static size_t weighted_turn(const struct upstream_picker *picker,
                                     struct upstream_turn *turn, uint64_t set)
{
    size_t best = first_of(set);
    int32_t total = 0;

    for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
        size_t i = first_of(rest);
        int32_t weight = (int32_t)picker->weights[i];

        total += weight;
        turn->current[i] += weight;
        best = turn->current[i] > turn->current[best] ? i : best;
    }
    turn->current[best] -= total;
    return best;
}

/* With equal weights that is one after the other. */
static size_t round_robin(const struct upstream_picker *picker, struct upstream_turn *turn,
                          uint64_t set)
{
    uint64_t after;

    if (!picker->weights_equal)
        return weighted_turn(picker, turn, set);
    after = set & ~(upstream_bit(turn->last) | (upstream_bit(turn->last) - 1));
    turn->last = (uint32_t)first_of(after != 0 ? after : set);
    return turn->last;
}

/* Each loop begins somewhere else, or all would ask the first target first. */
PC_APART static void turn_begin(const struct upstream_picker *picker, struct upstream_turn *turn,
                                struct random_batch *random)
{
    random_batch_fill(random, &turn->seed, sizeof(turn->seed));
    for (uint64_t skip = turn_draw(turn) % UPSTREAM_TARGETS_MAX; skip > 0; skip--)
        (void)round_robin(picker, turn, picker->all);
    turn->seed += turn->seed == 0;
}

static uint32_t in_flight_of(const struct upstream_target *target)
{
    return atomic_load_explicit(&target->in_flight, memory_order_relaxed);
}

PC_APART static size_t least_requests(const struct upstream_picker *picker,
                                      struct upstream_turn *turn, uint64_t set)
{
    uint64_t tied = 0;
    uint32_t least = 0;
    uint32_t least_weight = 1;

    for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
        size_t i = first_of(rest);
        uint32_t weight = picker->weights[i];
        uint32_t in_flight = in_flight_of(picker->targets[i]);
        uint64_t mine = (uint64_t)in_flight * least_weight;
        uint64_t theirs = (uint64_t)least * weight;

        if (tied != 0 && mine > theirs)
            continue;
        if (mine < theirs)
            tied = 0;
        tied |= upstream_bit(i);
        least = in_flight;
        least_weight = weight;
    }
    return is_single(tied) ? first_of(tied) : round_robin(picker, turn, tied);
}

static size_t alias_draw(const struct upstream_picker *picker, uint32_t random)
{
    uint64_t product = (uint64_t)random * picker->count;
    size_t place = product >> 32;

    return (uint32_t)product < picker->aliases[place].below ? place : picker->aliases[place].other;
}

/* By weight among the set; it need not be fast, as most draws have succeeded before. */
static size_t draw_slowly(const struct upstream_picker *picker, struct upstream_turn *turn,
                          uint64_t set)
{
    uint64_t total = 0;
    uint64_t left;
    uint64_t rest;

    for (rest = set; rest != 0; rest &= rest - 1)
        total += picker->weights[first_of(rest)];
    PC_ASSERT(total > 0);
    left = turn_draw(turn) % total;
    for (rest = set; left >= picker->weights[first_of(rest)]; rest &= rest - 1)
        left -= picker->weights[first_of(rest)];
    return first_of(rest);
}

PC_APART static size_t draw_from(const struct upstream_picker *picker, struct upstream_turn *turn,
                                 uint64_t set)
{
    for (int i = 0; i < DRAWS; i++) {
        size_t drawn = alias_draw(picker, (uint32_t)turn_draw(turn));

        if ((set & upstream_bit(drawn)) != 0)
            return drawn;
    }
    return draw_slowly(picker, turn, set);
}

/* The estimate of one that was silent for longer than the other. */
static uint64_t faded(uint64_t latency, int64_t longer_ns, uint64_t other)
{
    int64_t halvings = longer_ns / FADE_NS;

    if (latency <= other)
        return latency;
    latency = halvings < 64 ? latency >> halvings : 0;
    return latency > other ? latency : other;
}

/* `one` was drawn first. A product is below 2^28 * 1000 * in flight: far from 64 bits. */
static bool is_cheaper(const struct upstream_picker *picker, size_t first, size_t second)
{
    const struct upstream_target *one = picker->targets[first];
    const struct upstream_target *other = picker->targets[second];
    uint64_t a = (uint64_t)atomic_load_explicit(&one->latency_ns, memory_order_relaxed);
    uint64_t b = (uint64_t)atomic_load_explicit(&other->latency_ns, memory_order_relaxed);
    int64_t longer_ns = atomic_load_explicit(&other->seen_ns, memory_order_relaxed) -
                        atomic_load_explicit(&one->seen_ns, memory_order_relaxed);
    uint64_t in_flight = in_flight_of(one);
    uint64_t in_flight_other = in_flight_of(other);

    if (PC_UNLIKELY(a == 0 || b == 0))
        a = b = UINT64_C(1) << LATENCY_UNIT_BITS;
    else if (PC_UNLIKELY(longer_ns >= FADE_NS))
        a = faded(a, longer_ns, b);
    else if (PC_UNLIKELY(-longer_ns >= FADE_NS))
        b = faded(b, -longer_ns, a);
    if ((in_flight | in_flight_other) == 0 && a <= 2 * b && b <= 2 * a)
        return true;
    a = (a >> LATENCY_UNIT_BITS) * picker->weights[second];
    b = (b >> LATENCY_UNIT_BITS) * picker->weights[first];
    return a * (in_flight + 1) <= b * (in_flight_other + 1);
}

/* Two different ones; the usual case, all well and of equal weight, needs no table. */
static void draw_two(const struct upstream_picker *picker, struct upstream_turn *turn, uint64_t set,
                     size_t *ret_one, size_t *ret_other)
{
    uint64_t random = turn_draw(turn);

    if (PC_LIKELY(picker->weights_equal && set == picker->all)) {
        *ret_one = (random >> 32) * picker->count >> 32;
        *ret_other = (uint64_t)(uint32_t)random * (picker->count - 1) >> 32;
        *ret_other += *ret_other >= *ret_one;
        return;
    }
    *ret_one = alias_draw(picker, (uint32_t)random);
    *ret_other = alias_draw(picker, (uint32_t)(random >> 32));
    if ((set & upstream_bit(*ret_one)) == 0)
        *ret_one = draw_from(picker, turn, set);
    if (*ret_one == *ret_other || (set & upstream_bit(*ret_other)) == 0)
        *ret_other = draw_from(picker, turn, set & ~upstream_bit(*ret_one));
}

PC_APART static size_t power_of_two(const struct upstream_picker *picker,
                                    struct upstream_turn *turn, uint64_t set)
{
    size_t one;
    size_t other;

    if (is_single(set))
        return first_of(set);
    draw_two(picker, turn, set, &one, &other);
    return is_cheaper(picker, one, other) ? one : other;
}

static size_t choose(const struct upstream_picker *picker, struct upstream_turn *turn, uint64_t key,
                     uint64_t set)
{
    switch (picker->balance) {
    case UPSTREAM_ROUND_ROBIN:
        return round_robin(picker, turn, set);
    case UPSTREAM_LEAST_REQUESTS:
        return least_requests(picker, turn, set);
    case UPSTREAM_POWER_OF_TWO:
        return power_of_two(picker, turn, set);
    case UPSTREAM_HASH:
        return upstream_ring_find(picker->ring, picker->ring_count, key, set);
    }
    PC_WRONG("no such balance");
}

/* Neighbouring keys must not be alike, nor one key for two targets (as in upstream_ring.c). */
static uint32_t key_draw(uint64_t key, size_t target)
{
    uint64_t z = key + (target + 1) * UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)(z ^ (z >> 31));
}

/* Without those that start slowly and are left out of this choice; nobody is left out when only he
 * is new to the request. */
static uint64_t without_starters(struct upstream_picker *picker, struct upstream_turn *turn,
                                 uint64_t key, uint64_t tried, uint64_t set, int64_t now_ns)
{
    uint64_t left = set;

    for (uint64_t rest = set & atomic_load(&picker->starting); rest != 0; rest &= rest - 1) {
        size_t i = first_of(rest);
        uint32_t draw =
            picker->balance == UPSTREAM_HASH ? key_draw(key, i) : (uint32_t)turn_draw(turn);

        if (draw >= upstream_share_now(picker, i, now_ns))
            left &= ~upstream_bit(i);
    }
    return (left & ~tried) != 0 ? left : set;
}

/* Whose key it is among the addresses of a name: the one that draws highest, so an address that
 * leaves moves its own keys only. */
static size_t highest_draw(const struct upstream_picker *picker, uint64_t key, uint64_t set)
{
    size_t best = first_of(set);
    uint64_t highest = 0;

    for (uint64_t rest = set; rest != 0; rest &= rest - 1) {
        size_t i = first_of(rest);
        uint64_t id = atomic_load_explicit(&picker->ids[i], memory_order_relaxed);
        uint64_t draw = (uint64_t)key_draw(key ^ id, 0) << 32 | key_draw(id ^ key, 1);

        best = draw > highest ? i : best;
        highest = draw > highest ? draw : highest;
    }
    return best;
}

static size_t draw_alike(struct upstream_turn *turn, uint64_t set)
{
    uint64_t skip = (turn_draw(turn) >> 32) * (uint64_t)__builtin_popcountll(set) >> 32;

    for (; skip > 0; skip--)
        set &= set - 1;
    return first_of(set);
}

/* The better of two addresses of a name. */
static size_t better_of_two(const struct upstream_picker *picker, struct upstream_turn *turn,
                            uint64_t set)
{
    size_t one = draw_alike(turn, set);
    size_t other = is_single(set) ? one : draw_alike(turn, set & ~upstream_bit(one));

    return is_cheaper(picker, one, other) ? one : other;
}

/* The addresses of one name have one weight together: each choice is made of one of them. Where all
 * targets are of one name that makes no difference, but to keys. */
static uint64_t one_of_each(const struct upstream_picker *picker, struct upstream_turn *turn,
                            uint64_t key, uint64_t tried, uint64_t set)
{
    for (uint32_t i = 0; i < picker->group_count; i++) {
        uint64_t members = set & picker->groups[i];
        size_t one;

        if (members == 0 || is_single(members))
            continue;
        members = (members & ~tried) != 0 ? members & ~tried : members;
        one = picker->balance == UPSTREAM_HASH ? highest_draw(picker, key, members)
                                               : better_of_two(picker, turn, members);
        set = (set & ~picker->groups[i]) | upstream_bit(one);
    }
    return set;
}

/* The set that a choice is made of. */
static uint64_t untried(uint64_t set, uint64_t tried)
{
    return (set & ~tried) != 0 ? set & ~tried : set;
}

/* UPSTREAM_NO_TARGET: each trial was lost to another loop, or all are drained. */
static size_t pick_once(struct upstream_picker *picker, struct upstream_turn *turn, uint64_t key,
                        uint64_t tried, const struct upstream_choice *choice, int64_t now_ns)
{
    uint64_t set = choice->asked;

    while (set != 0) {
        size_t target = choose(picker, turn, key, untried(set, tried));

        (void)atomic_fetch_add(&picker->targets[target]->in_flight, 1);
        if ((choice->trials & upstream_bit(target)) == 0 ||
            upstream_trial(picker, target, now_ns) || choice->panic)
            return target;
        (void)atomic_fetch_sub(&picker->targets[target]->in_flight, 1);
        set &= ~upstream_bit(target);
    }
    return UPSTREAM_NO_TARGET;
}

/* A turn's first pick, a retry, or somebody is away. */
PC_APART static size_t pick_with_care(struct upstream_picker *picker, struct upstream_turn *turn,
                                      struct random_batch *random, uint64_t key, uint64_t tried,
                                      int64_t now_ns)
{
    struct upstream_choice choice;
    size_t target;

    if (turn->seed == 0)
        turn_begin(picker, turn, random);
    do {
        choice = upstream_choice_now(picker, now_ns);
        if (!choice.panic)
            choice.asked = without_starters(picker, turn, key, tried, choice.asked, now_ns);
        if (picker->grouped)
            choice.asked = one_of_each(picker, turn, key, tried, choice.asked);
        target = pick_once(picker, turn, key, tried, &choice, now_ns);
    } while (target == UPSTREAM_NO_TARGET && choice.asked != 0);
    if (choice.panic)
        (void)atomic_fetch_add_explicit(&picker->panic_picks, 1, memory_order_relaxed);
    return target;
}

size_t upstream_pick(struct upstream_picker *picker, struct upstream_turn *turn,
                     struct random_batch *random, uint64_t key, uint64_t tried, int64_t now_ns)
{
    uint64_t away = atomic_load_explicit(&picker->drained, memory_order_relaxed) |
                    atomic_load_explicit(&picker->down, memory_order_relaxed) |
                    atomic_load_explicit(&picker->ejected, memory_order_relaxed) |
                    atomic_load_explicit(&picker->starting, memory_order_relaxed) |
                    atomic_load_explicit(&picker->absent, memory_order_relaxed);
    size_t target;

    if (PC_UNLIKELY((away | tried) != 0 || turn->seed == 0 || picker->grouped))
        return pick_with_care(picker, turn, random, key, tried, now_ns);
    target = choose(picker, turn, key, picker->all);
    (void)atomic_fetch_add_explicit(&picker->targets[target]->in_flight, 1, memory_order_relaxed);
    return target;
}
