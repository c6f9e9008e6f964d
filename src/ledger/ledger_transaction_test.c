/* SPDX-License-Identifier: MIT
 * Transactions inside of one turn: whoever comes next in it finds what was done before, though the
 * rows of the ledger are written at its end. */
#include "ledger/ledger_test_kit.h"
#include "ledger/ledger_transaction.h"

static int64_t usd; /* with 100.00 */
static struct arena arena;

static int setup(void **state)
{
    if (bench_setup(state) != 0)
        return -1;
    arena_init(&arena, NULL, 0, 1024 * 1024);
    usd = opened(CURRENCY_USD);
    paid_in(usd, 10000, CURRENCY_USD);
    return 0;
}

static int teardown(void **state)
{
    arena_reset(&arena);
    return bench_teardown(state);
}

#define T(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

static enum err add(struct ledger_turn *turn, int64_t minor, const char *direction, int64_t *ret_id)
{
    struct ledger_transaction_row row = {.id = ledger_turn_transaction_id(turn),
                                         .account_id = usd,
                                         .user_id = 1,
                                         .amount = {.minor = minor, .currency = CURRENCY_USD},
                                         .direction = span_from(direction),
                                         .status = span_from(ledger_status_name(LEDGER_PENDING)),
                                         .created_at = ledger_turn_now(turn),
                                         .updated_at = ledger_turn_now(turn)};
    enum err err = ledger_transaction_show(&arena, &row);

    *ret_id = row.id;
    return err ? err : ledger_transaction_add(turn, &row);
}

struct given {
    const char *direction;
    int64_t minor, id;
};

static enum err add_work(struct ledger_turn *turn, void *context)
{
    struct given *given = context;

    return add(turn, given->minor, given->direction, &given->id);
}

static int64_t given_in(int64_t minor, const char *direction)
{
    struct given given = {.minor = minor, .direction = direction};

    assert_int_equal(doing(add_work, &given), ERR_OK);
    return given.id;
}

/* As PUT does: read, moved, written at once. */
static enum err move_to(struct ledger_turn *turn, int64_t id, enum ledger_transaction_status to)
{
    struct ledger_transaction_row was = {0};
    struct ledger_transaction_row row;
    enum err err = ledger_transaction_find(ledger_turn_conn(turn), id, &arena, &was);

    row = was;
    if (!err)
        err = ledger_transaction_move(turn, &row, to);
    return err ? err : ledger_transaction_change(turn, &was, &row);
}

static enum err give_back(struct ledger_turn *turn, int64_t id, int64_t amount)
{
    struct ledger_transaction_row was = {0};
    struct ledger_transaction_row row;
    struct ledger_posted posted;
    int64_t came_to;
    enum err err = ledger_transaction_find(ledger_turn_conn(turn), id, &arena, &was);

    row = was;
    if (!err)
        err = ledger_transaction_reverse(turn, &row, amount, SPAN_OF(""), &posted, &came_to);
    return err ? err : ledger_transaction_change(turn, &was, &row);
}

static enum err status_run(struct store_conn *conn, struct store_job *job)
{
    struct ledger_transaction_row *row = job->context;

    return ledger_transaction_find(conn, row->id, &arena, row);
}

static void assert_status(int64_t id, enum ledger_transaction_status status)
{
    struct ledger_transaction_row row = {.id = id};

    assert_int_equal(store_do(bench.store, status_run, &row, false), ERR_OK);
    if (!span_is(row.status, ledger_status_name(status)))
        fail_msg("%.*s, not %s", SPAN_ARG(row.status), ledger_status_name(status));
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static enum err twice_work(struct ledger_turn *turn, void *context)
{
    int64_t id = *(const int64_t *)context;

    assert_int_equal(move_to(turn, id, LEDGER_COMPLETED), ERR_OK);
    assert_int_equal(move_to(turn, id, LEDGER_COMPLETED), ERR_TRANSITION);
    assert_int_equal(move_to(turn, id, LEDGER_CANCELLED), ERR_TRANSITION);
    return ERR_OK;
}

static void it_is_completed_once_in_a_turn(void **state)
{
    int64_t id = given_in(6000, "debit");

    (void)state;
    assert_int_equal(doing(twice_work, &id), ERR_OK);
    assert_int_equal(account_of(usd).posted, 4000);
    assert_status(id, LEDGER_COMPLETED);
}

/* Completed and given back again before anything was written. */
static enum err there_and_back_work(struct ledger_turn *turn, void *context)
{
    int64_t id = *(const int64_t *)context;

    assert_int_equal(move_to(turn, id, LEDGER_COMPLETED), ERR_OK);
    assert_int_equal(give_back(turn, id, 1), ERR_OK);
    assert_int_equal(give_back(turn, id, 6000), ERR_OVER_ORIGINAL);
    assert_int_equal(move_to(turn, id, LEDGER_REVERSED), ERR_OK);
    assert_int_equal(move_to(turn, id, LEDGER_REVERSED), ERR_TRANSITION);
    assert_int_equal(give_back(turn, id, 0), ERR_TRANSITION);
    return ERR_OK;
}

static void a_turn_goes_there_and_back(void **state)
{
    int64_t id = given_in(6000, "debit");

    (void)state;
    assert_int_equal(doing(there_and_back_work, &id), ERR_OK);
    assert_int_equal(account_of(usd).posted, 10000);
    assert_status(id, LEDGER_REVERSED);
}

/* What was not committed when it was asked for is not there: nobody can know its number. */
static enum err unborn_work(struct ledger_turn *turn, void *context)
{
    int64_t id = 0;

    (void)context;
    assert_int_equal(add(turn, 100, "debit", &id), ERR_OK);
    assert_int_equal(move_to(turn, id, LEDGER_COMPLETED), ERR_NOT_FOUND);
    return ERR_OK;
}

static void what_is_not_written_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(doing(unborn_work, NULL), ERR_OK);
    assert_status(1, LEDGER_PENDING);
}

struct part {
    int64_t id, amount;
    enum err expected;
};

static enum err part_work(struct ledger_turn *turn, void *context)
{
    const struct part *part = context;

    assert_int_equal(give_back(turn, part->id, part->amount), part->expected);
    return ERR_OK;
}

static void given_back(int64_t id, int64_t amount, enum err expected)
{
    struct part part = {.id = id, .amount = amount, .expected = expected};

    assert_int_equal(doing(part_work, &part), ERR_OK);
}

/* In parts: with the last of them it is reversed, and not before. */
static void the_last_part_reverses_it(void **state)
{
    int64_t id = given_in(6000, "debit");
    int64_t other = given_in(500, "credit");

    (void)state;
    given_back(id, 1, ERR_TRANSITION);
    assert_int_equal(doing(twice_work, &id), ERR_OK);
    given_back(id, 2000, ERR_OK);
    assert_status(id, LEDGER_COMPLETED);
    given_back(id, 3999, ERR_OK);
    assert_status(id, LEDGER_COMPLETED);
    given_back(id, 2, ERR_OVER_ORIGINAL);
    given_back(id, 1, ERR_OK);
    assert_status(id, LEDGER_REVERSED);
    given_back(id, 1, ERR_TRANSITION);
    assert_int_equal(account_of(usd).posted, 10000);
    assert_int_equal(doing(twice_work, &other), ERR_OK);
    given_back(other, 0, ERR_OK);
    assert_status(other, LEDGER_REVERSED);
    assert_int_equal(account_of(usd).posted, 10000);
}

static enum err state_work(struct ledger_turn *turn, void *context)
{
    return ledger_account_set_state(turn, usd, *(const enum ledger_state *)context);
}

struct step {
    int64_t id;
    enum ledger_transaction_status to;
    enum err expected;
};

static enum err step_work(struct ledger_turn *turn, void *context)
{
    const struct step *step = context;

    assert_int_equal(move_to(turn, step->id, step->to), step->expected);
    return ERR_OK;
}

static void steps_go(const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct step step = steps[i];

        assert_int_equal(doing(step_work, &step), ERR_OK);
    }
}

/* A frozen account takes and does not give; what moves nothing is never in its way. */
static void a_frozen_account_only_takes(void **state)
{
    enum ledger_state frozen = LEDGER_FROZEN;
    int64_t debit = given_in(100, "debit");
    int64_t credit = given_in(100, "credit");
    const struct step steps[] = {{debit, LEDGER_COMPLETED, ERR_ACCOUNT_FROZEN},
                                 {credit, LEDGER_COMPLETED, ERR_OK},
                                 {credit, LEDGER_REVERSED, ERR_ACCOUNT_FROZEN},
                                 {credit, LEDGER_CANCELLED, ERR_TRANSITION},
                                 {debit, LEDGER_CANCELLED, ERR_OK},
                                 {debit, LEDGER_COMPLETED, ERR_ACCOUNT_FROZEN},
                                 {debit, LEDGER_FAILED, ERR_TRANSITION}};

    (void)state;
    assert_int_equal(doing(state_work, &frozen), ERR_OK);
    steps_go(steps, PC_COUNT(steps));
    assert_int_equal(account_of(usd).posted, 10100);
}

/* A closed one takes part in nothing; it is told before the status is looked at. */
static void a_closed_account_takes_no_part(void **state)
{
    enum ledger_state closed = LEDGER_CLOSED;
    int64_t out = given_in(10000, "debit");
    int64_t debit = given_in(100, "debit");
    int64_t credit = given_in(100, "credit");
    const struct step steps[] = {{credit, LEDGER_COMPLETED, ERR_ACCOUNT_CLOSED},
                                 {credit, LEDGER_REVERSED, ERR_ACCOUNT_CLOSED},
                                 {out, LEDGER_REVERSED, ERR_ACCOUNT_CLOSED},
                                 {out, LEDGER_FAILED, ERR_TRANSITION},
                                 {debit, LEDGER_FAILED, ERR_OK},
                                 {debit, LEDGER_COMPLETED, ERR_ACCOUNT_CLOSED}};

    (void)state;
    assert_int_equal(doing(twice_work, &out), ERR_OK);
    assert_int_equal(doing(state_work, &closed), ERR_OK);
    steps_go(steps, PC_COUNT(steps));
    given_back(out, 1, ERR_ACCOUNT_CLOSED);
    assert_int_equal(account_of(usd).posted, 0);
}

static enum err complete_work(struct ledger_turn *turn, void *context)
{
    return move_to(turn, *(const int64_t *)context, LEDGER_COMPLETED);
}

/* Whichever call to the store fails: nothing of it is there, or all of it. */
static void a_store_that_fails_leaves_it_whole(void **state)
{
    int64_t id = given_in(6000, "debit");
    enum err err = ERR_STORE_UNAVAILABLE;
    uint64_t nth;

    (void)state;
    for (nth = 1; err != ERR_OK; nth++) {
        assert_in_range(nth, 1, 100);
        store_fail_at(nth);
        err = doing(complete_work, &id);
        store_fail_at(0);
        kit_heal(bench.store);
        assert_int_equal(account_of(usd).posted, err ? 10000 : 4000);
        assert_status(id, err ? LEDGER_PENDING : LEDGER_COMPLETED);
    }
    assert_in_range(nth, 5, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_completed_once_in_a_turn),     T(a_turn_goes_there_and_back),
        T(what_is_not_written_is_not_found),   T(the_last_part_reverses_it),
        T(a_frozen_account_only_takes),        T(a_closed_account_takes_no_part),
        T(a_store_that_fails_leaves_it_whole),
    };

    return cmocka_run_group_tests_name("ledger_transaction", tests, NULL, NULL);
}
