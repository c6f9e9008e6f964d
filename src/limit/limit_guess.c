/* SPDX-License-Identifier: MIT
 * The three budgets of limit_guess.h and the memory of who is known. One mutex holds it all: a
 * login costs a password hash of a hundred milliseconds, this costs less than a microsecond.
 *
 *   pairs     sets of 8 tallies; a newcomer to a crowded set takes over the smallest tally together
 *             with its failures, so a pair that was pushed out comes back no fresher (limit.c, 3)
 *   address   a limit_table; a token for each failure
 *   account   a limit_table; a token for each failure from an unknown address
 *   known     sets of 16 marks, found by account. Only a successful login makes one, so strangers
 *             cannot crowd it. In a full set the account with the most marks loses its oldest, so
 *             somebody with many addresses pushes out himself first
 *
 * What a known address costs is counted in its mark, not among the pairs, where strangers could
 * crowd it. Its failures also use up the address budget, which others at that address will feel,
 * but that budget is not held against it.
 *
 * Giving tokens back (success, cancel) can make a crowded set fresher by as many attempts as were
 * under way at that time, and no more. */
#include "limit/limit_guess.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "limit/limit_priv.h"

enum { PAIR_WAYS = 8, KNOWN_WAYS = 16, SLOTS_DEFAULT = 16384, SLOTS_MIN = 64, DOUBLINGS_MAX = 30 };

/* Failures of one pair. */
struct tally {
    uint32_t failures;
    int64_t not_before_ns; /* the next attempt */
    int64_t touched_ns;    /* the last one */
};

struct pair {
    uint64_t hash; /* 0: nobody's, and yet the tally counts for a newcomer */
    struct tally tally;
};

struct mark {
    uint64_t hash; /* of the pair; 0: empty */
    uint64_t account;
    int64_t success_ns; /* the last one */
    struct tally tally;
};

struct limit_guess {
    pthread_mutex_t lock;
    struct limit_guess_options options;
    struct hash_key account_key, address_key;
    struct limit_table *addresses, *accounts;
    size_t slots;
    struct pair *pairs;
    struct mark *marks;
};

static void options_complete(struct limit_guess_options *options)
{
    if (options->free_failures == 0)
        options->free_failures = 5;
    if (options->delay_ns_first == 0)
        options->delay_ns_first = CLOCK_NS_PER_S;
    if (options->delay_ns_max == 0)
        options->delay_ns_max = 15 * 60 * CLOCK_NS_PER_S;
    if (options->forget_ns == 0)
        options->forget_ns = 3600 * CLOCK_NS_PER_S;
    if (options->address.period_ns == 0)
        options->address =
            (struct limit_rate){.requests = 60, .period_ns = 3600 * CLOCK_NS_PER_S, .burst = 30};
    if (options->account.period_ns == 0)
        options->account =
            (struct limit_rate){.requests = 100, .period_ns = 3600 * CLOCK_NS_PER_S, .burst = 50};
    if (options->known_ns == 0)
        options->known_ns = INT64_C(30) * 86400 * CLOCK_NS_PER_S;
    if (options->slots == 0)
        options->slots = SLOTS_DEFAULT;
    PC_ASSERT((options->slots & (options->slots - 1)) == 0 && options->slots >= SLOTS_MIN);
    PC_ASSERT(options->forget_ns >= options->delay_ns_max);
    PC_ASSERT(limit_rate_is_valid(&options->address) && limit_rate_is_valid(&options->account));
}

enum err limit_guess_new(const struct limit_guess_options *options,
                         const struct random_source *source, struct limit_guess **ret_guess)
{
    struct limit_guess *guess = alloc_zero(sizeof(*guess));

    if (guess == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&guess->lock, NULL) == 0);
    guess->options = *options;
    options_complete(&guess->options);
    guess->slots = guess->options.slots;
    guess->account_key = hash_key_new(source);
    guess->address_key = hash_key_new(source);
    guess->pairs = alloc_zero(guess->slots * sizeof(*guess->pairs));
    guess->marks = alloc_zero(guess->slots * sizeof(*guess->marks));
    if (guess->pairs == NULL || guess->marks == NULL ||
        limit_table_new(guess->slots, source, &guess->addresses) != ERR_OK ||
        limit_table_new(guess->slots, source, &guess->accounts) != ERR_OK) {
        limit_guess_free(guess);
        return ERR_NO_MEMORY;
    }
    *ret_guess = guess;
    return ERR_OK;
}

void limit_guess_free(struct limit_guess *guess)
{
    if (guess == NULL)
        return;
    limit_table_free(guess->accounts);
    limit_table_free(guess->addresses);
    alloc_free(guess->marks);
    alloc_free(guess->pairs);
    (void)pthread_mutex_destroy(&guess->lock);
    alloc_free(guess);
}

static void lock(struct limit_guess *guess)
{
    PC_ASSERT(pthread_mutex_lock(&guess->lock) == 0);
}

static void unlock(struct limit_guess *guess)
{
    PC_ASSERT(pthread_mutex_unlock(&guess->lock) == 0);
}

static void name(const struct limit_guess *guess, struct span account, struct span address,
                 struct limit_guess_attempt *attempt)
{
    uint64_t both[2];

    attempt->account = both[0] = hash_span(&guess->account_key, account);
    attempt->address = both[1] = hash_span(&guess->address_key, address);
    attempt->pair = hash_bytes(&guess->account_key, both, sizeof(both));
    if (attempt->pair == 0)
        attempt->pair = 1;
}

static struct span key_of(const uint64_t *hash)
{
    return span_make(hash, sizeof(*hash));
}

static int64_t delay_ns(const struct limit_guess *guess, uint32_t failures)
{
    uint32_t doublings = failures - guess->options.free_failures;
    int64_t first = guess->options.delay_ns_first;

    if (doublings > DOUBLINGS_MAX || first > guess->options.delay_ns_max >> doublings)
        return guess->options.delay_ns_max;
    return first << doublings;
}

/* The failures that still count. */
static uint32_t failures_of(const struct limit_guess *guess, const struct tally *tally,
                            int64_t now_ns)
{
    return now_ns - tally->touched_ns >= guess->options.forget_ns ? 0 : tally->failures;
}

static void tally_charge(const struct limit_guess *guess, struct tally *tally, int64_t now_ns)
{
    uint32_t failures = failures_of(guess, tally, now_ns);

    tally->failures = failures < UINT32_MAX ? failures + 1 : failures;
    tally->touched_ns = now_ns;
    tally->not_before_ns = 0;
    if (tally->failures >= guess->options.free_failures)
        tally->not_before_ns = now_ns + delay_ns(guess, tally->failures);
}

/* Takes one charge back: the pair may try again at once. */
static void tally_return(struct tally *tally)
{
    if (tally->failures > 0)
        tally->failures--;
    tally->not_before_ns = 0;
}

static bool tally_is_less(const struct limit_guess *guess, const struct tally *a,
                          const struct tally *b, int64_t now_ns)
{
    uint32_t a_failures = failures_of(guess, a, now_ns);
    uint32_t b_failures = failures_of(guess, b, now_ns);

    if (a_failures != b_failures)
        return a_failures < b_failures;
    return a->not_before_ns < b->not_before_ns;
}

static struct pair *pair_set(const struct limit_guess *guess, uint64_t hash)
{
    return &guess->pairs[hash % (guess->slots / PAIR_WAYS) * PAIR_WAYS];
}

/* The pair's own entry, or NULL. */
static struct pair *pair_find(const struct limit_guess *guess, uint64_t hash)
{
    struct pair *set = pair_set(guess, hash);

    for (size_t i = 0; i < PAIR_WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
    }
    return NULL;
}

/* The entry with the smallest tally in the set of `hash`, other than `except`. */
static struct pair *pair_smallest(const struct limit_guess *guess, uint64_t hash,
                                  const struct pair *except, int64_t now_ns)
{
    struct pair *set = pair_set(guess, hash);
    struct pair *smallest = NULL;

    for (size_t i = 0; i < PAIR_WAYS; i++) {
        if (&set[i] != except &&
            (smallest == NULL || tally_is_less(guess, &set[i].tally, &smallest->tally, now_ns)))
            smallest = &set[i];
    }
    PC_ASSERT(smallest != NULL); /* a set has more than one */
    return smallest;
}

/* Nobody's from now on. The place is worth what the set's smallest is worth: free for a newcomer
 * only where there is room anyway. */
static void pair_drop(const struct limit_guess *guess, uint64_t hash, int64_t now_ns)
{
    struct pair *pair = pair_find(guess, hash);
    const struct pair *smallest;

    if (pair == NULL)
        return;
    smallest = pair_smallest(guess, hash, pair, now_ns);
    pair->hash = 0;
    if (tally_is_less(guess, &smallest->tally, &pair->tally, now_ns))
        pair->tally = smallest->tally;
}

static struct mark *mark_set(const struct limit_guess *guess, uint64_t account)
{
    return &guess->marks[account % (guess->slots / KNOWN_WAYS) * KNOWN_WAYS];
}

static struct mark *mark_find(const struct limit_guess *guess,
                              const struct limit_guess_attempt *attempt, int64_t now_ns)
{
    struct mark *set = mark_set(guess, attempt->account);

    for (size_t i = 0; i < KNOWN_WAYS; i++) {
        if (set[i].hash == attempt->pair && now_ns - set[i].success_ns < guess->options.known_ns)
            return &set[i];
    }
    return NULL;
}

static size_t marks_of_account(const struct mark *set, uint64_t account)
{
    size_t count = 0;

    for (size_t i = 0; i < KNOWN_WAYS; i++)
        count += set[i].hash != 0 && set[i].account == account;
    return count;
}

/* Where a new mark goes: an own or empty or expired place; else the oldest mark of the account
 * that has the most. */
static struct mark *mark_place(const struct limit_guess *guess,
                               const struct limit_guess_attempt *attempt, int64_t now_ns)
{
    struct mark *set = mark_set(guess, attempt->account);
    struct mark *best = NULL;
    size_t best_count = 0;

    for (size_t i = 0; i < KNOWN_WAYS; i++) {
        if (set[i].hash == attempt->pair)
            return &set[i];
    }
    for (size_t i = 0; i < KNOWN_WAYS; i++) {
        size_t count = marks_of_account(set, set[i].account);

        if (set[i].hash == 0 || now_ns - set[i].success_ns >= guess->options.known_ns)
            return &set[i];
        if (best == NULL || count > best_count ||
            (count == best_count && set[i].success_ns < best->success_ns)) {
            best = &set[i];
            best_count = count;
        }
    }
    return best;
}

/* Makes or renews the mark, without failures. */
static void mark_put(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                     int64_t now_ns)
{
    *mark_place(guess, attempt, now_ns) =
        (struct mark){.hash = attempt->pair, .account = attempt->account, .success_ns = now_ns};
}

static bool refused(struct limit_guess_attempt *attempt, enum limit_guess_reason reason,
                    int64_t retry_after_ns)
{
    attempt->reason = reason;
    attempt->retry_after_ns = retry_after_ns;
    return true;
}

static bool tally_refuses(const struct limit_guess *guess, const struct tally *tally,
                          int64_t now_ns, struct limit_guess_attempt *attempt)
{
    if (failures_of(guess, tally, now_ns) == 0 || now_ns >= tally->not_before_ns)
        return false;
    return refused(attempt, LIMIT_GUESS_PAIR, tally->not_before_ns - now_ns);
}

/* Asks both budgets before it takes from either. */
static bool budgets_refuse(struct limit_guess *guess, struct limit_guess_attempt *attempt,
                           int64_t now_ns)
{
    struct limit_verdict verdict;

    limit_peek(guess->addresses, key_of(&attempt->address), &guess->options.address, now_ns,
               &verdict);
    if (!verdict.allowed)
        return refused(attempt, LIMIT_GUESS_ADDRESS, verdict.retry_after_ns);
    limit_peek(guess->accounts, key_of(&attempt->account), &guess->options.account, now_ns,
               &verdict);
    if (!verdict.allowed)
        return refused(attempt, LIMIT_GUESS_ACCOUNT, verdict.retry_after_ns);
    limit_take(guess->addresses, key_of(&attempt->address), &guess->options.address, now_ns,
               &verdict);
    limit_take(guess->accounts, key_of(&attempt->account), &guess->options.account, now_ns,
               &verdict);
    return false;
}

static void check_known(struct limit_guess *guess, struct mark *mark, int64_t now_ns,
                        struct limit_guess_attempt *attempt)
{
    attempt->known = true;
    if (tally_refuses(guess, &mark->tally, now_ns, attempt))
        return;
    tally_charge(guess, &mark->tally, now_ns);
    attempt->allowed = true;
}

static void check_unknown(struct limit_guess *guess, int64_t now_ns,
                          struct limit_guess_attempt *attempt)
{
    struct pair *pair = pair_find(guess, attempt->pair);

    if (pair == NULL)
        pair = pair_smallest(guess, attempt->pair, NULL, now_ns);
    if (tally_refuses(guess, &pair->tally, now_ns, attempt) ||
        budgets_refuse(guess, attempt, now_ns))
        return;
    pair->hash = attempt->pair;
    tally_charge(guess, &pair->tally, now_ns);
    attempt->allowed = true;
}

void limit_guess_check(struct limit_guess *guess, struct span account, struct span address,
                       bool known, int64_t now_ns, struct limit_guess_attempt *ret_attempt)
{
    struct mark *mark;

    *ret_attempt = (struct limit_guess_attempt){0};
    name(guess, account, address, ret_attempt);
    lock(guess);
    mark = mark_find(guess, ret_attempt, now_ns);
    if (mark == NULL && known) {
        mark_put(guess, ret_attempt, now_ns);
        mark = mark_find(guess, ret_attempt, now_ns);
    }
    if (mark != NULL)
        check_known(guess, mark, now_ns, ret_attempt);
    else
        check_unknown(guess, now_ns, ret_attempt);
    unlock(guess);
}

void limit_guess_failed(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                        int64_t now_ns)
{
    struct limit_verdict verdict;

    PC_ASSERT(attempt->allowed);
    if (!attempt->known)
        return; /* charged when it was let in */
    lock(guess);
    limit_take(guess->addresses, key_of(&attempt->address), &guess->options.address, now_ns,
               &verdict);
    unlock(guess);
}

static void budgets_return(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                           int64_t now_ns)
{
    limit_return(guess->addresses, key_of(&attempt->address), &guess->options.address, now_ns);
    limit_return(guess->accounts, key_of(&attempt->account), &guess->options.account, now_ns);
}

void limit_guess_succeeded(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                           int64_t now_ns)
{
    PC_ASSERT(attempt->allowed);
    lock(guess);
    if (!attempt->known) {
        budgets_return(guess, attempt, now_ns);
        pair_drop(guess, attempt->pair, now_ns);
    }
    mark_put(guess, attempt, now_ns);
    unlock(guess);
}

void limit_guess_cancelled(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                           int64_t now_ns)
{
    struct mark *mark;
    struct pair *pair;

    PC_ASSERT(attempt->allowed);
    lock(guess);
    if (attempt->known) {
        mark = mark_find(guess, attempt, now_ns);
        if (mark != NULL)
            tally_return(&mark->tally);
    } else {
        budgets_return(guess, attempt, now_ns);
        pair = pair_find(guess, attempt->pair);
        if (pair != NULL)
            tally_return(&pair->tally);
    }
    unlock(guess);
}

void limit_guess_remember(struct limit_guess *guess, struct span account, struct span address,
                          int64_t now_ns)
{
    struct limit_guess_attempt attempt = {0};

    name(guess, account, address, &attempt);
    lock(guess);
    if (mark_find(guess, &attempt, now_ns) == NULL)
        mark_put(guess, &attempt, now_ns);
    unlock(guess);
}
