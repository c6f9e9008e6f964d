/* SPDX-License-Identifier: MIT
 * Token buckets for any number of keys in a table of fixed size, without a lock.
 *
 * A bucket is its debt. GCRA keeps one moment for each key, the *theoretical arrival time* (TAT):
 * when the bucket will be full again. The debt is TAT - now, or nothing once that is past. A
 * request costs `step` = period / requests and is admitted while debt + step <= burst * step.
 *
 * A word is all there is of a bucket, so one compare-and-swap takes a token:
 *
 *     63      48 47                                            0
 *     |  tag   |  TAT in units of 512 ns, modulo 2^48          |      0: nobody was ever here
 *
 * A step is rounded up to whole units, so rounding never admits more; steps that are multiples of
 * 512 ns (any whole number of seconds is) are exact.
 *
 * The table is an array of sets of 8 words, one cache line each. A keyed hash of the key and the
 * limit's id picks the set and the tag (never 0), so nobody can choose whom to meet. A key owns the
 * word in its set that has its tag. If there is none, it takes over the word with the smallest TAT
 * (the first, if several are equal) *together with its debt*: space-saving, Metwally et al. 2005.
 *
 *   1. A full bucket (debt 0) may be forgotten, it says nothing. It has the smallest TAT of all, so
 *      while a set has one, a newcomer starts with a full bucket of his own.
 *   2. In a set of 8 buckets in debt a newcomer starts with the smallest of their debts: he may be
 *      refused too early, for as long as the crowd stays, but never admitted too often.
 *   3. Who was evicted cannot come back fresher. A word's TAT only ever grows; whoever is evicted
 * had the smallest TAT x of the set; so later the smallest is at least x, and that he inherits.
 *   4. No key gets two words in a race. Say A puts key K into word i, and B, who did not see it,
 * puts K into word j. B read i before A wrote it, so B saw TAT b_i <= a_i and preferred b_j to b_i;
 *      A preferred a_i to a_j; and B's swap succeeded after A had read j, so a_j <= b_j. Together:
 *      a_i < a_j <= b_j < b_i <= a_i, which cannot be ("<" includes the rule for equals). This is
 * why the choice depends on TAT and place alone and never on the clock, and why the swap is
 *      sequentially consistent.
 *   5. Two keys of one set with the same tag (1 in 65 535) share one bucket: strict again.
 *
 * Refused requests write nothing: a flood costs its victim's cache line reads only.
 *
 * Time wraps after 2^48 units, 4.6 years of uptime. A TAT more than 2^46 units (417 days) ahead is
 * none that we set, since no bucket takes longer than 366 days to fill: it is a very old one and
 * counts as full. So only a word that nobody touched for 3.4 years could be misread, and that as a
 * debt. */
#include "limit/limit.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "limit/limit_priv.h"

enum { WAYS = 8, SLOTS_MIN = 64, CACHE_LINE_BYTES = 64, UNIT_SHIFT = 9, TIME_BITS = 48 };

#define TIME_MASK  ((UINT64_C(1) << TIME_BITS) - 1)
#define AHEAD_MAX  (INT64_C(1) << (TIME_BITS - 2))
#define GOLDEN     UINT64_C(0x9E3779B97F4A7C15)
#define RANK_NEVER INT64_MIN

struct set {
    _Atomic uint64_t words[WAYS];
};

struct limit_table {
    struct hash_key key;
    size_t set_mask;
    struct set *sets; /* aligned to a cache line within `block` */
    void *block;
};

/* A rate in units. */
struct pace {
    uint32_t burst;
    uint64_t step;
    uint64_t room; /* burst * step */
};

/* Where a key lives, or would. */
struct place {
    struct set *set;
    uint64_t tag; /* in the upper bits, as in the word */
    uint64_t now; /* in units, wrapped */
};

enum err limit_table_new(size_t slots, const struct random_source *source,
                         struct limit_table **ret_table)
{
    struct limit_table *table = alloc_zero(sizeof(*table));
    size_t size = SLOTS_MIN;

    if (table == NULL)
        return ERR_NO_MEMORY;
    while (size < slots && size < SIZE_MAX / 4 / sizeof(uint64_t))
        size *= 2;
    table->block = alloc_zero(size * sizeof(uint64_t) + CACHE_LINE_BYTES);
    if (table->block == NULL) {
        alloc_free(table);
        return ERR_NO_MEMORY;
    }
    table->sets = (struct set *)(void *)((char *)table->block +
                                         (-(uintptr_t)table->block & (CACHE_LINE_BYTES - 1)));
    table->set_mask = size / WAYS - 1;
    table->key = hash_key_new(source);
    *ret_table = table;
    return ERR_OK;
}

void limit_table_free(struct limit_table *table)
{
    if (table == NULL)
        return;
    alloc_free(table->block);
    alloc_free(table);
}

static struct pace pace_of(const struct limit_rate *rate)
{
    uint64_t divisor = (uint64_t)rate->requests << UNIT_SHIFT;
    struct pace pace = {.burst = rate->burst ? rate->burst : rate->requests};

    pace.step = ((uint64_t)rate->period_ns + divisor - 1) / divisor;
    pace.room = pace.burst * pace.step;
    return pace;
}

bool limit_rate_is_valid(const struct limit_rate *rate)
{
    struct pace pace;
    uint64_t room;

    if (rate->period_ns < 1000 || rate->period_ns > LIMIT_RATE_FILL_NS_MAX)
        return false;
    if (rate->requests == 0)
        return true;
    pace = pace_of(rate);
    return !__builtin_mul_overflow((uint64_t)pace.burst, pace.step, &room) &&
           room <= (uint64_t)LIMIT_RATE_FILL_NS_MAX >> UNIT_SHIFT;
}

/* SipHash is the secret; the rest spreads the id over all bits (MurmurHash3's finalizer). */
static struct place place_of(const struct limit_table *table, struct span key, uint64_t id,
                             int64_t now_ns)
{
    uint64_t hash = hash_span(&table->key, key) ^ (id * GOLDEN);
    struct place place;

    PC_ASSERT(now_ns >= 0);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xC4CEB9FE1A85EC53);
    hash ^= hash >> 33;
    place.set = &table->sets[hash & table->set_mask];
    place.tag = hash & ~TIME_MASK;
    if (place.tag == 0)
        place.tag = TIME_MASK + 1;
    place.now = ((uint64_t)now_ns >> UNIT_SHIFT) & TIME_MASK;
    return place;
}

/* TAT - now as a number that orders words by TAT; what cannot be a debt of ours comes first. */
static int64_t rank(uint64_t word, uint64_t now)
{
    int64_t ahead = (int64_t)((word - now) << (64 - TIME_BITS)) >> (64 - TIME_BITS);

    return word == 0 || ahead > AHEAD_MAX ? RANK_NEVER : ahead;
}

static uint64_t debt_of(uint64_t word, uint64_t now)
{
    int64_t ahead = rank(word, now);

    return ahead > 0 ? (uint64_t)ahead : 0;
}

/* The key's own word, or the one it would take over. */
static _Atomic uint64_t *find(const struct place *place, uint64_t *ret_word)
{
    _Atomic uint64_t *smallest = NULL;
    int64_t smallest_rank = 0;

    for (size_t i = 0; i < WAYS; i++) {
        _Atomic uint64_t *at = &place->set->words[i];
        uint64_t word = atomic_load_explicit(at, memory_order_acquire);
        int64_t word_rank = rank(word, place->now);

        if ((word & ~TIME_MASK) == place->tag) {
            *ret_word = word;
            return at;
        }
        if (smallest == NULL || word_rank < smallest_rank) {
            smallest = at;
            smallest_rank = word_rank;
            *ret_word = word;
        }
    }
    return smallest;
}

static int64_t ns_of(uint64_t units)
{
    return (int64_t)(units << UNIT_SHIFT);
}

/* The rule itself. More than fit at once never do. */
static struct limit_verdict decide(const struct pace *pace, uint64_t debt, uint32_t count)
{
    struct limit_verdict verdict = {.limit = pace->burst};
    uint64_t after = debt + pace->step * (count <= pace->burst ? count : pace->burst + UINT64_C(1));

    if (after > pace->room) {
        verdict.full_after_ns = ns_of(debt);
        verdict.retry_after_ns = ns_of(after - pace->room);
        return verdict;
    }
    verdict.allowed = true;
    verdict.remaining = (uint32_t)((pace->room - after) / pace->step);
    verdict.full_after_ns = ns_of(after);
    return verdict;
}

static void deny_always(const struct limit_rate *rate, struct limit_verdict *ret_verdict)
{
    *ret_verdict =
        (struct limit_verdict){.full_after_ns = rate->period_ns, .retry_after_ns = rate->period_ns};
}

void limit_take(struct limit_table *table, struct span key, const struct limit_rate *rate,
                int64_t now_ns, struct limit_verdict *ret_verdict)
{
    limit_take_some(table, key, rate, 1, now_ns, ret_verdict);
}

void limit_take_some(struct limit_table *table, struct span key, const struct limit_rate *rate,
                     uint32_t count, int64_t now_ns, struct limit_verdict *ret_verdict)
{
    struct place place;
    struct pace pace;

    if (rate->requests == 0) {
        deny_always(rate, ret_verdict);
        return;
    }
    place = place_of(table, key, rate->id, now_ns);
    pace = pace_of(rate);
    PC_ASSERT(pace.room <= (uint64_t)AHEAD_MAX);
    for (;;) {
        uint64_t word = 0;
        _Atomic uint64_t *at = find(&place, &word);
        uint64_t debt = debt_of(word, place.now);
        uint64_t taken = place.tag | ((place.now + debt + pace.step * count) & TIME_MASK);

        *ret_verdict = decide(&pace, debt, count);
        if (!ret_verdict->allowed || atomic_compare_exchange_strong(at, &word, taken))
            return;
    }
}

void limit_peek(struct limit_table *table, struct span key, const struct limit_rate *rate,
                int64_t now_ns, struct limit_verdict *ret_verdict)
{
    struct place place;
    struct pace pace;
    uint64_t word = 0;

    if (rate->requests == 0) {
        deny_always(rate, ret_verdict);
        return;
    }
    place = place_of(table, key, rate->id, now_ns);
    pace = pace_of(rate);
    (void)find(&place, &word);
    *ret_verdict = decide(&pace, debt_of(word, place.now), 1);
}

void limit_return(struct limit_table *table, struct span key, const struct limit_rate *rate,
                  int64_t now_ns)
{
    struct place place = place_of(table, key, rate->id, now_ns);
    struct pace pace = pace_of(rate);
    uint64_t word = 0;
    _Atomic uint64_t *at = find(&place, &word);
    uint64_t debt = debt_of(word, place.now);

    if ((word & ~TIME_MASK) != place.tag || debt == 0)
        return; /* forgotten meanwhile, or full */
    debt = debt > pace.step ? debt - pace.step : 0;
    atomic_store(at, place.tag | ((place.now + debt) & TIME_MASK));
}

struct span limit_address(struct span address_bytes)
{
    static const char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (char)0xFF, (char)0xFF};

    if (address_bytes.len != 16)
        return address_bytes;
    if (span_starts(address_bytes, span_make(mapped, sizeof(mapped))))
        return span_slice(address_bytes, sizeof(mapped), 16);
    return span_slice(address_bytes, 0, 8);
}

size_t limit_table_busy(struct limit_table *table, int64_t now_ns)
{
    uint64_t now = ((uint64_t)now_ns >> UNIT_SHIFT) & TIME_MASK;
    size_t busy = 0;

    for (size_t i = 0; i <= table->set_mask; i++) {
        for (size_t way = 0; way < WAYS; way++)
            busy += debt_of(atomic_load_explicit(&table->sets[i].words[way], memory_order_relaxed),
                            now) > 0;
    }
    return busy;
}
