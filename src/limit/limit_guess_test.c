/* SPDX-License-Identifier: MIT
 * The guesser is slowed on every road he may take, and the owner walks in: a million guesses, a
 * crowd in small tables against an exact reference, attempts side by side, threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random_test_kit.h"
#include "limit/limit_guess.h"

#define SECOND CLOCK_NS_PER_S
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

enum { GUESSES = 1000000, THREADS = 8 };

/* What one attempt came to. */
enum end { WRONG, RIGHT, CANCELLED };

static struct limit_guess *made(struct limit_guess_options options)
{
    struct limit_guess *guess = NULL;
    struct random_seeded random;

    random_seeded_init(&random, 77);
    assert_int_equal(limit_guess_new(&options, &random.source, &guess), ERR_OK);
    return guess;
}

static struct limit_guess_attempt attempted(struct limit_guess *guess, struct span account,
                                            uint32_t address, enum end end, int64_t now_ns)
{
    struct limit_guess_attempt attempt;

    limit_guess_check(guess, account, span_make(&address, sizeof(address)), false, now_ns,
                      &attempt);
    assert_int_equal(attempt.allowed, attempt.reason == LIMIT_GUESS_ALLOWED);
    assert_int_equal(attempt.allowed, attempt.retry_after_ns == 0);
    if (!attempt.allowed)
        return attempt;
    if (end == WRONG)
        limit_guess_failed(guess, &attempt, now_ns);
    else if (end == RIGHT)
        limit_guess_succeeded(guess, &attempt, now_ns);
    else
        limit_guess_cancelled(guess, &attempt, now_ns);
    return attempt;
}

static bool allowed(struct limit_guess *guess, const char *account, uint32_t address, enum end end,
                    int64_t now_ns)
{
    return attempted(guess, span_from(account), address, end, now_ns).allowed;
}

/* Five are free; then 1 s, 2 s, 4 s … 15 min; an hour of quiet forgets. Known or not. */
static void delays_double_up_to_a_quarter_of_an_hour(void **state)
{
    (void)state;
    for (int known = 0; known <= 1; known++) {
        struct limit_guess *guess =
            made((struct limit_guess_options){.address = {.requests = 1000000, .period_ns = HOUR},
                                              .account = {.requests = 1000000, .period_ns = HOUR}});
        int64_t now_ns = HOUR;
        int64_t delay_ns = SECOND;

        if (known)
            assert_true(allowed(guess, "a", 1, RIGHT, now_ns));
        for (int i = 0; i < 5; i++)
            assert_true(allowed(guess, "a", 1, WRONG, now_ns));
        for (int i = 0; i < 15; i++) {
            struct limit_guess_attempt early = attempted(guess, SPAN_OF("a"), 1, WRONG, now_ns);

            assert_int_equal(early.reason, LIMIT_GUESS_PAIR);
            assert_int_equal(early.known, known);
            assert_int_equal(early.retry_after_ns, delay_ns);
            assert_false(allowed(guess, "a", 1, WRONG, now_ns + delay_ns - 1));
            now_ns += delay_ns;
            assert_true(allowed(guess, "a", 1, WRONG, now_ns));
            delay_ns = delay_ns * 2 < 15 * MINUTE ? delay_ns * 2 : 15 * MINUTE;
        }
        now_ns += HOUR;
        for (int i = 0; i < 5; i++)
            assert_true(allowed(guess, "a", 1, WRONG, now_ns));
        assert_false(allowed(guess, "a", 1, WRONG, now_ns));
        limit_guess_free(guess);
    }
}

static void success_forgets_the_failures(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});

    (void)state;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 4; i++)
            assert_true(allowed(guess, "a", 1, WRONG, round));
        assert_true(allowed(guess, "a", 1, RIGHT, round));
        if (round == 20) /* the failures of a known address use up its budget for others */
            assert_int_equal(attempted(guess, SPAN_OF("b"), 1, WRONG, round).reason,
                             LIMIT_GUESS_ADDRESS);
    }
    limit_guess_free(guess);
}

/* Many people log in from one office on the first morning: right passwords cost nothing. */
static void successes_cost_nobody_anything(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        char account[16];

        (void)snprintf(account, sizeof(account), "user%u", i);
        assert_true(allowed(guess, account, 1, RIGHT, SECOND));
    }
    for (uint32_t address = 2; address < 2000; address++)
        assert_true(allowed(guess, "traveller", address, RIGHT, SECOND));
    limit_guess_free(guess);
}

/* A store that is down must not use up anybody's attempts. */
static void cancelled_attempts_cost_nothing(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});

    (void)state;
    for (int i = 0; i < 200; i++)
        assert_true(allowed(guess, "a", 1, CANCELLED, SECOND));
    assert_true(allowed(guess, "a", 1, RIGHT, SECOND));
    for (int i = 0; i < 200; i++)
        assert_true(allowed(guess, "a", 1, CANCELLED, SECOND));
    limit_guess_free(guess);
}

/* A cancelled attempt takes back its own charge, and no more. */
static void cancelling_takes_back_one_charge(void **state)
{
    (void)state;
    for (int known = 0; known <= 1; known++) {
        struct limit_guess *guess = made((struct limit_guess_options){0});

        if (known)
            assert_true(allowed(guess, "a", 1, RIGHT, SECOND));
        assert_true(allowed(guess, "a", 1, CANCELLED, SECOND));
        for (int i = 0; i < 5; i++) {
            assert_true(allowed(guess, "a", 1, CANCELLED, SECOND));
            assert_true(allowed(guess, "a", 1, WRONG, SECOND));
        }
        assert_int_equal(attempted(guess, SPAN_OF("a"), 1, WRONG, SECOND).retry_after_ns, SECOND);
        limit_guess_free(guess);
    }
}

static bool is_known(struct limit_guess *guess, uint32_t address, int64_t now_ns)
{
    return attempted(guess, SPAN_OF("a"), address, CANCELLED, now_ns).known;
}

/* An account is known at sixteen addresses; the next one takes the place of the one that was used
 * longest ago, wherever that lies, and one that is used again takes no other's. */
static void the_oldest_mark_goes(void **state)
{
    enum { MARKS = 16 };

    (void)state;
    for (uint32_t oldest = 0; oldest < MARKS; oldest++) {
        struct limit_guess *guess = made((struct limit_guess_options){.slots = 64});

        for (uint32_t i = 0; i < MARKS; i++)
            assert_true(allowed(guess, "a", i, RIGHT, i == oldest ? MINUTE : 2 * MINUTE));
        for (uint32_t i = 0; i < MARKS; i++)
            assert_true(is_known(guess, i, 3 * MINUTE));
        if (oldest != 0)
            assert_true(allowed(guess, "a", 0, RIGHT, 3 * MINUTE)); /* again */
        for (uint32_t i = 0; i < MARKS; i++)
            assert_true(is_known(guess, i, 3 * MINUTE));
        assert_true(allowed(guess, "a", MARKS, RIGHT, 3 * MINUTE));
        for (uint32_t i = 0; i <= MARKS; i++)
            assert_int_equal(is_known(guess, i, 3 * MINUTE), i != oldest);
        limit_guess_free(guess);
    }
}

/* Two accounts whose marks lie together have eight each: the oldest of all goes. */
static void each_mark_counts_against_its_account(void **state)
{
    enum { SETS = 4, EACH = 8 };
    struct limit_guess *guess = made((struct limit_guess_options){.slots = 64});
    uint64_t set = attempted(guess, SPAN_OF("a"), 0, CANCELLED, SECOND).account % SETS;
    struct limit_guess_attempt attempt;
    unsigned tried = 0;
    char other[16];

    (void)state;
    do {
        (void)snprintf(other, sizeof(other), "other%u", tried++);
        attempt = attempted(guess, span_from(other), EACH, CANCELLED, SECOND);
    } while (attempt.account % SETS != set);
    for (uint32_t i = 0; i < 2 * EACH; i++)
        assert_true(allowed(guess, i < EACH ? "a" : other, i, RIGHT, MINUTE + i));
    assert_true(allowed(guess, other, 2 * EACH, RIGHT, 2 * MINUTE));
    for (uint32_t i = 0; i < EACH; i++)
        assert_int_equal(is_known(guess, i, 3 * MINUTE), i != 0);
    for (uint32_t i = EACH; i <= 2 * EACH; i++)
        assert_true(attempted(guess, span_from(other), i, CANCELLED, 3 * MINUTE).known);
    limit_guess_free(guess);
}

/* One password on many accounts: the address runs out. */
static void spraying_runs_out_of_its_address(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});
    unsigned admitted = 0;
    struct limit_guess_attempt attempt;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        char account[16];

        (void)snprintf(account, sizeof(account), "user%u", i);
        attempt = attempted(guess, span_from(account), 1, WRONG, SECOND);
        admitted += attempt.allowed;
    }
    assert_int_equal(admitted, 30);
    assert_int_equal(attempt.reason, LIMIT_GUESS_ADDRESS);
    assert_true(attempt.retry_after_ns > 59 * SECOND);
    assert_true(allowed(guess, "user1", 2, WRONG, SECOND));
    limit_guess_free(guess);
}

/* A hundred attempts at once, none ended yet: no more get in than one after the other. */
static void attempts_side_by_side_overdraw_nothing(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});
    struct limit_guess_attempt attempts[100];
    uint32_t address = 1;
    unsigned admitted = 0;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(attempts); i++) {
        limit_guess_check(guess, SPAN_OF("a"), span_make(&address, sizeof(address)), false, SECOND,
                          &attempts[i]);
        admitted += attempts[i].allowed;
    }
    assert_int_equal(admitted, 5);
    limit_guess_free(guess);
}

/* A million guesses at one account from a million addresses that never logged in to it: a handful
 * an hour get through, and the owner's own address is never refused. */
static void owner_walks_in_through_a_million_guesses(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});
    struct random_seeded random;
    int64_t now_ns = SECOND;
    unsigned admitted = 0;
    unsigned owners = 0;
    struct limit_guess_attempt last = {0};

    (void)state;
    random_seeded_init(&random, 20260203);
    assert_true(allowed(guess, "owner", 1, RIGHT, now_ns));
    for (uint32_t i = 0; i < GUESSES; i++) {
        uint32_t address = 1000 + (uint32_t)test_draw(&random, 1000000);

        now_ns += 10 * CLOCK_NS_PER_MS;
        last = attempted(guess, SPAN_OF("owner"), address, WRONG, now_ns);
        admitted += last.allowed;
        if (i % 500 != 0)
            continue;
        /* Sometimes he mistypes first. */
        if (i % 3000 == 0)
            assert_true(allowed(guess, "owner", 1, WRONG, now_ns));
        assert_true(allowed(guess, "owner", 1, RIGHT, now_ns));
        owners++;
    }
    assert_int_equal(owners, GUESSES / 500);
    assert_int_equal(last.reason, LIMIT_GUESS_ACCOUNT);
    /* 10 000 s are 2.8 hours: 50 at once and 100 an hour. */
    assert_in_range(admitted, 300, 50 + 278);
    limit_guess_free(guess);
}

/* Strangers who have accounts of their own log in from very many addresses: they push out their own
 * marks, not those of eight owners who log in from one place each. */
static void marks_of_others_do_not_push_out_the_owners(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){.slots = 64});
    char account[16];

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        (void)snprintf(account, sizeof(account), "owner%u", i);
        assert_true(allowed(guess, account, i, RIGHT, SECOND));
    }
    for (uint32_t i = 0; i < 5000; i++) {
        (void)snprintf(account, sizeof(account), "other%u", i % 12);
        assert_true(allowed(guess, account, 1000 + i, RIGHT, SECOND + i));
    }
    for (uint32_t i = 0; i < 8; i++) {
        (void)snprintf(account, sizeof(account), "owner%u", i);
        assert_true(attempted(guess, span_from(account), i, RIGHT, SECOND + 6000).known);
    }
    limit_guess_free(guess);
}

/* A mark is kept for its time, and may come from the store or from a device's proof. */
static void marks_expire_and_can_be_given(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){.known_ns = HOUR});
    uint32_t address = 7;
    struct span key = {.ptr = (const char *)&address, .len = sizeof(address)};
    struct limit_guess_attempt attempt;

    (void)state;
    assert_false(attempted(guess, SPAN_OF("a"), 7, WRONG, 0).known);
    limit_guess_remember(guess, SPAN_OF("a"), key, 0);
    assert_true(attempted(guess, SPAN_OF("a"), 7, WRONG, HOUR - 1).known);
    assert_false(attempted(guess, SPAN_OF("a"), 7, WRONG, HOUR).known);
    limit_guess_check(guess, SPAN_OF("b"), key, true, HOUR, &attempt);
    assert_true(attempt.known && attempt.allowed);
    limit_guess_failed(guess, &attempt, HOUR);
    limit_guess_free(guess);
}

/* The exact history of one pair, with room for all. */
struct model {
    uint32_t failures;
    int64_t touched_ns;
    int64_t not_before_ns;
};

static bool model_allows(const struct model *model, int64_t now_ns)
{
    return model->failures == 0 || now_ns - model->touched_ns >= HOUR ||
           now_ns >= model->not_before_ns;
}

static void model_fails(struct model *model, int64_t now_ns)
{
    int64_t delay_ns = SECOND;

    if (now_ns - model->touched_ns >= HOUR)
        model->failures = 0;
    model->failures++;
    for (uint32_t i = 5; i < model->failures && delay_ns < 15 * MINUTE; i++)
        delay_ns *= 2;
    model->touched_ns = now_ns;
    model->not_before_ns =
        model->failures < 5 ? 0 : now_ns + (delay_ns < 15 * MINUTE ? delay_ns : 15 * MINUTE);
}

/* 3 000 pairs in 64 places, and people who log in meanwhile: whoever was pushed out and comes back
 * is never let in before his time. */
static void crowd_makes_nobody_fresher(void **state)
{
    static struct model models[3000];
    struct limit_guess *guess =
        made((struct limit_guess_options){.slots = 64,
                                          .address = {.requests = 1000000, .period_ns = HOUR},
                                          .account = {.requests = 1000000, .period_ns = HOUR}});
    struct random_seeded random;
    int64_t now_ns = 2 * HOUR;
    unsigned admitted = 0;
    unsigned refused = 0;

    (void)state;
    random_seeded_init(&random, 20260204);
    for (int i = 0; i < GUESSES / 4; i++) {
        /* Every second guess comes from a few who would like to be forgotten. */
        uint32_t address = (uint32_t)(test_draw(&random, 2) == 0 ? test_draw(&random, 10)
                                                                 : test_draw(&random, 3000));
        struct model *model = &models[address];

        now_ns += (int64_t)test_draw(&random, 400) * CLOCK_NS_PER_MS;
        if (test_draw(&random, 50) == 0)
            (void)allowed(guess, "other", 10000 + (uint32_t)test_draw(&random, 3000), RIGHT,
                          now_ns);
        if (allowed(guess, "a", address, WRONG, now_ns)) {
            assert_true(model_allows(model, now_ns));
            model_fails(model, now_ns);
            admitted++;
        } else {
            refused++;
        }
    }
    assert_true(admitted > 1000);
    assert_true(refused > 1000);
    limit_guess_free(guess);
}

struct worker {
    struct limit_guess *guess;
    uint32_t number;
    _Atomic uint64_t *admitted;
};

/* NULL when all is well. */
static void *work(void *context)
{
    struct worker *worker = context;

    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t address = worker->number * 100000 + i;

        if (allowed(worker->guess, "owner", address, WRONG, SECOND))
            (void)atomic_fetch_add(worker->admitted, 1);
        if (!allowed(worker->guess, "owner", worker->number, CANCELLED, SECOND))
            return context; /* the owner was refused */
    }
    return NULL;
}

static void threads_share_one_budget(void **state)
{
    struct limit_guess *guess = made((struct limit_guess_options){0});
    _Atomic uint64_t admitted = 0;
    pthread_t threads[THREADS];
    struct worker workers[THREADS];

    (void)state;
    for (uint32_t i = 0; i < THREADS; i++)
        assert_true(allowed(guess, "owner", i + 1, RIGHT, SECOND));
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){guess, i + 1, &admitted};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        void *complaint = NULL;

        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        assert_null(complaint);
    }
    assert_int_equal(atomic_load(&admitted), 50);
    limit_guess_free(guess);
}

static void failing_heap_is_an_error(void **state)
{
    struct limit_guess *guess = NULL;
    uint64_t nth = 0;

    (void)state;
    do {
        enum err err;

        alloc_fail_at(++nth);
        err = limit_guess_new(&(struct limit_guess_options){.slots = 64}, &random_system, &guess);
        assert_int_equal(err, alloc_fail_pending() ? ERR_OK : ERR_NO_MEMORY);
    } while (!alloc_fail_pending());
    alloc_fail_at(0);
    assert_int_equal(nth, 8);
    limit_guess_free(guess);
    limit_guess_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_up_to_a_quarter_of_an_hour),
        cmocka_unit_test(success_forgets_the_failures),
        cmocka_unit_test(successes_cost_nobody_anything),
        cmocka_unit_test(cancelled_attempts_cost_nothing),
        cmocka_unit_test(cancelling_takes_back_one_charge),
        cmocka_unit_test(the_oldest_mark_goes),
        cmocka_unit_test(each_mark_counts_against_its_account),
        cmocka_unit_test(spraying_runs_out_of_its_address),
        cmocka_unit_test(attempts_side_by_side_overdraw_nothing),
        cmocka_unit_test(owner_walks_in_through_a_million_guesses),
        cmocka_unit_test(marks_of_others_do_not_push_out_the_owners),
        cmocka_unit_test(marks_expire_and_can_be_given),
        cmocka_unit_test(crowd_makes_nobody_fresher),
        cmocka_unit_test(threads_share_one_budget),
        cmocka_unit_test(failing_heap_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
