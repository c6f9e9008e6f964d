/* SPDX-License-Identifier: MIT
 * The ledger against its model: turns of random operations, where every answer, number, moment and
 * balance is compared, marks are taken back, whole turns fail, the clock jumps and steps back, and
 * what was once read of the past is read again. At the end every row is compared and the books are
 * checked.
 *
 * PORTCULLIS_TEST_SEED runs one seed; PORTCULLIS_TEST_OPERATIONS says how many operations each. */
#include "ledger/ledger_model_run_test_kit.h"

#include "ledger/ledger_book.h"

enum {
    OPERATIONS = 3000,
    LIFE_MAX = 50000, /* operations on one ledger: accounts close, and some are full */
    TURN_MAX = 40,
    CUSTOMERS = 20,
};

/* Seeds that once found something, and a few for company. */
static const uint64_t seeds[] = {102, 14, 2488949790};

static const enum currency currencies[] = {CURRENCY_USD, CURRENCY_JPY, CURRENCY_KWD};

/* ---- turns ------------------------------------------------------------------------------------
 */

static int compare_ids(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a;
    int64_t other = *(const int64_t *)b;

    return (one > other) - (one < other);
}

/* Some accounts are wanted at once; their expired holds end in the order of their ids. */
static enum err load_some(struct ledger_turn *turn)
{
    int64_t ids[5];
    size_t place = 0;
    enum err err;

    for (size_t i = 0; i < PC_COUNT(ids); i++) {
        ids[i] = any_account();
        ledger_turn_want(turn, ids[i]);
    }
    err = ledger_turn_load(turn);
    qsort(ids, PC_COUNT(ids), sizeof(ids[0]), compare_ids);
    for (size_t i = 0; i < PC_COUNT(ids); i++) {
        if (model_find(&run.model, ids[i], &place))
            (void)model_settle(&run.model, place);
    }
    return err;
}

static enum err turn_work(struct ledger_turn *turn, void *context)
{
    size_t count = 1 + (size_t)below(TURN_MAX);
    enum err err = ERR_OK;

    (void)context;
    if (run.runs++ > 0)
        model_undo(&run.model, &run.began);
    run.turn = turn;
    run.has_mark = false;
    model_begin(&run.model, clock_realtime_ns(&bench.clock.clock));
    if (chance(50))
        err = load_some(turn);
    for (size_t i = 0; i < count && err == ERR_OK && run.fault[0] == '\0'; i++, run.done++)
        op_any();
    if (err == ERR_OK && (run.fails || run.fault[0] != '\0'))
        return ERR_CONFLICT;
    return err;
}

static void turn_any(void)
{
    enum err err;

    run.runs = 0;
    run.fails = chance(4);
    run.began = model_mark(&run.model);
    err = doing(turn_work, NULL);
    if (err != (run.fails ? ERR_CONFLICT : ERR_OK))
        fault("the turn: %s", err_name(err));
    if (err)
        model_undo(&run.model, &run.began);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct reading {
    size_t place;
    struct ledger_moment moment;
    struct ledger_account account;
    enum err err; /* of the past */
    struct ledger_balance balance;
};

static enum err read_run(struct store_conn *conn, struct store_job *job)
{
    struct reading *reading = job->context;
    int64_t id = run.model.accounts[reading->place].is.id;
    enum err err = ledger_account_get(bench.ledger, conn, id, &reading->account);

    if (err == ERR_OK)
        reading->err = ledger_balance_at(conn, id, &reading->moment, &reading->balance);
    return err;
}

static bool same_balance(const struct ledger_balance *one, const struct ledger_balance *other)
{
    return one->posted == other->posted && one->held == other->held &&
           one->incoming == other->incoming && one->seq == other->seq;
}

static struct ledger_moment any_moment(void)
{
    struct ledger_moment moment = {.seq = chance(70) ? any_posting() : 0};
    int64_t at = run.model.at - (int64_t)below(40 * 24 * 60 * 60) * CLOCK_NS_PER_S;

    if (run.model.posts.count > 0 && chance(50)) /* the very moment of a posting, or next to it */
        at = model_post_at(&run.model, (size_t)below(run.model.posts.count))->at +
             (int64_t)below(3) - 1;
    if (moment.seq == 0 || chance(30))
        moment.at_ns = at;
    if (chance(30))
        moment.effective_at_ns = at - (int64_t)below(BACKDATE_S) * CLOCK_NS_PER_S;
    else if (run.model.posts.count > 0 && chance(30)) /* the very date of a posting */
        moment.effective_at_ns =
            model_post_at(&run.model, (size_t)below(run.model.posts.count))->effective_at;
    return moment;
}

/* Final: no later posting can change it. */
static bool is_final(const struct ledger_moment *moment)
{
    return (moment->seq != 0 && moment->seq <= (int64_t)run.model.posts.count) ||
           (moment->at_ns != 0 && moment->at_ns <= run.model.at);
}

/* One that was posted for an earlier day, if one is found soon. */
static const struct model_post *any_backdated(void)
{
    for (size_t tries = 0; tries < 50 && run.model.posts.count > 0; tries++) {
        const struct model_post *post =
            model_post_at(&run.model, (size_t)below(run.model.posts.count));

        if (post->effective_at < post->at)
            return post;
    }
    return NULL;
}

static void same_past(const struct reading *reading)
{
    const struct ledger_balance *then = &reading->balance;
    struct ledger_balance model = {0};
    enum err err = model_then(&run.model, reading->place, &reading->moment, &model);

    if (reading->err != err || (err == ERR_OK && !same_balance(then, &model)))
        fault("account %lld behind %lld at %lld of %lld: %s %lld %lld %lld, the model says "
              "%s %lld %lld %lld",
              (long long)reading->account.id, (long long)reading->moment.seq,
              (long long)reading->moment.at_ns, (long long)reading->moment.effective_at_ns,
              err_slug(reading->err), (long long)then->posted, (long long)then->held,
              (long long)then->incoming, err_slug(err), (long long)model.posted,
              (long long)model.held, (long long)model.incoming);
}

static void read_any(void)
{
    struct reading reading = {.place = any_place(), .moment = any_moment()};
    const struct model_post *post = any_backdated();
    struct ledger_account now;
    enum err err;

    if (post != NULL && chance(20)) {
        reading.place = post->accounts[below(post->count)];
        reading.moment = (struct ledger_moment){
            .seq = post->seq, .effective_at_ns = post->effective_at + (int64_t)below(3) - 1};
    }
    err = store_do(bench.store, read_run, &reading, false);
    if (err == ERR_NOT_FOUND && run.model.accounts[reading.place].is.id < 0 &&
        run.model.accounts[reading.place].entries.count == 0)
        return; /* one of the house's that was not needed yet */
    if (err)
        fault("reading: %s", err_name(err));
    now = model_now(&run.model, reading.place, clock_realtime_ns(&bench.clock.clock));
    same_account("reading", &reading.account, &now);
    same_past(&reading);
    if (reading.err == ERR_OK && is_final(&reading.moment)) {
        size_t slot = run.kept_count < KEPT_MAX ? run.kept_count++ : (size_t)below(KEPT_MAX);

        run.kept[slot] = (struct kept){reading.place, reading.moment, reading.balance};
    }
}

static void read_again(void)
{
    const struct kept *kept = &run.kept[below(KEPT_MAX)];
    struct reading reading = {.place = kept->place, .moment = kept->moment};

    if (kept >= run.kept + run.kept_count)
        return;
    if (store_do(bench.store, read_run, &reading, false) != ERR_OK || reading.err ||
        !same_balance(&reading.balance, &kept->balance))
        fault("the past of account %lld has changed",
              (long long)run.model.accounts[kept->place].is.id);
}

/* ---- every row --------------------------------------------------------------------------------
 */

static const struct store_statement all_rows = {
    .name = "model_all_rows",
    .sqlite = "SELECT p.seq, p.at, p.kind, p.effective_at, coalesce(p.refers_to, 0), "
              "e.account_id, e.posted, e.held, e.incoming FROM ledger_posts p "
              "JOIN ledger_entries e ON e.seq = p.seq WHERE p.seq > ?1 AND p.seq <= ?1 + 1000 "
              "ORDER BY p.seq, e.leg"};

static void same_row(struct store_rows *rows, const struct model_post *post, size_t leg)
{
    const struct ledger_leg *expected = &post->legs[leg];

    if (store_rows_i64(rows, 0) != post->seq || store_rows_i64(rows, 1) != post->at ||
        !span_is(store_rows_text(rows, 2, NULL), ledger_kind_name(post->kind)) ||
        store_rows_i64(rows, 3) != post->effective_at ||
        store_rows_i64(rows, 4) != post->refers_to ||
        store_rows_i64(rows, 5) != expected->account_id ||
        store_rows_i64(rows, 6) != expected->posted || store_rows_i64(rows, 7) != expected->held ||
        store_rows_i64(rows, 8) != expected->incoming)
        fault("posting %lld, leg %zu: another row", (long long)post->seq, leg + 1);
}

static enum err rows_run(struct store_conn *conn, struct store_job *job)
{
    int64_t *from = job->context;
    PC_AUTO(store_rows) rows = NULL;
    size_t leg = 0;
    enum err err = store_query(conn, &all_rows, STORE_PARAMS(STORE_I64(*from)), &rows);

    while (err == ERR_OK && store_next(rows) && run.fault[0] == '\0') {
        if (*from == (int64_t)run.model.posts.count) {
            fault("there are more postings than the model's");
            break;
        }
        same_row(rows, model_post_at(&run.model, (size_t)*from), leg++);
        if (leg == model_post_at(&run.model, (size_t)*from)->count)
            leg = 0, ++*from;
    }
    return err ? err : store_rows_err(rows);
}

static void compare_rows(void)
{
    int64_t from = 0;
    int64_t before = -1;

    while (from != before && run.fault[0] == '\0') {
        before = from;
        assert_int_equal(store_do(bench.store, rows_run, &from, false), ERR_OK);
    }
    if (from != (int64_t)run.model.posts.count)
        fault("there are %lld postings, the model says %zu", (long long)from,
              run.model.posts.count);
}

static void tell_fault(void *context, const char *invariant, struct span sentence)
{
    (void)context;
    fault("ledger check: %s: %.*s", invariant, SPAN_ARG(sentence));
}

static enum err check_run(struct store_conn *conn, struct store_job *job)
{
    struct ledger_summary summary = {0};

    (void)job;
    return ledger_check(conn, clock_realtime_ns(&bench.clock.clock), tell_fault, NULL, &summary);
}

/* ---- a run ------------------------------------------------------------------------------------
 */

static void open_all(void)
{
    for (size_t i = 0; i < CUSTOMERS; i++) {
        enum currency currency = currencies[i % PC_COUNT(currencies)];

        (void)model_open(&run.model, opened(currency), currency);
    }
    for (size_t i = 0; i < PC_COUNT(currencies); i++) {
        (void)model_open(&run.model, ledger_house_account(LEDGER_SETTLEMENT, currencies[i]),
                         currencies[i]);
        (void)model_open(&run.model, ledger_house_account(LEDGER_POSITION, currencies[i]),
                         currencies[i]);
    }
}

/* Mostly on, by little or by hours; seldom back. */
static void clock_any(void)
{
    int64_t ns = (int64_t)below(4) * CLOCK_NS_PER_S;

    if (chance(15))
        ns = (int64_t)below(600) * CLOCK_NS_PER_S;
    else if (chance(3))
        ns = (int64_t)below(3 * 24 * 60 * 60) * CLOCK_NS_PER_S;
    else if (chance(6))
        ns = -(int64_t)below(chance(80) ? 10 : 60 * 60) * CLOCK_NS_PER_S;
    atomic_fetch_add(&bench.clock.realtime_ns, ns);
}

static void sweep_some(void)
{
    bool more = false;

    model_begin(&run.model, clock_realtime_ns(&bench.clock.clock));
    if (ledger_sweep(bench.ledger, &more) != ERR_OK ||
        more != (model_expire(&run.model, 500) == 500))
        fault("the sweep differs");
}

static void run_step(void)
{
    clock_any();
    turn_any();
    if (chance(5))
        sweep_some();
    for (size_t i = 0; i < 2 && run.fault[0] == '\0'; i++)
        read_any();
    if (run.fault[0] == '\0')
        read_again();
    if (run.fault[0] == '\0' && run.done < 500 && chance(20))
        books_are_sound();
}

static void run_tell(void)
{
    print_message("seed %llu: %zu operations, %zu postings, %zu holds; answers:",
                  (unsigned long long)run.seed, run.done, run.model.posts.count,
                  run.model.holds.count);
    for (int err = 0; err < ERR_COUNT; err++) {
        if (run.answers[err] > 0)
            print_message(" %s %llu", err_slug((enum err)err),
                          (unsigned long long)run.answers[err]);
    }
    print_message("\n");
}

static size_t number_from(const char *variable, size_t otherwise)
{
    const char *text = getenv(variable);
    uint64_t number = 0;

    return text != NULL && span_to_u64(span_from(text), &number) ? (size_t)number : otherwise;
}

static void run_seed(uint64_t seed, size_t operations)
{
    memset(&run, 0, sizeof(run));
    run.seed = seed;
    run.operations = operations;
    run.model.backdate_ns = BACKDATE_S * CLOCK_NS_PER_S;
    run.model.hold_life_ns = HOLD_LIFE_S * CLOCK_NS_PER_S;
    random_seeded_init(&run.random, seed);
    print_message("PORTCULLIS_TEST_SEED=%llu\n", (unsigned long long)seed);
    open_all();
    while (run.done < run.operations && run.fault[0] == '\0')
        run_step();
    if (run.fault[0] == '\0')
        compare_rows();
    if (run.fault[0] == '\0')
        assert_int_equal(store_do(bench.store, check_run, NULL, false), ERR_OK);
    run_tell();
    model_free(&run.model);
    if (run.fault[0] != '\0')
        fail_msg("seed %llu, operation %zu: %s", (unsigned long long)seed, run.done, run.fault);
    if (run.done < 10000) /* its questions are plain, not quick */
        books_are_sound();
}

static int model_setup(void **state)
{
    const struct ledger_options options = {.clock = &bench.clock.clock,
                                           .backdate_s = BACKDATE_S,
                                           .hold_life_s = HOLD_LIFE_S,
                                           .key_life_s = DAY_S};
    struct ledger_options mine = options;

    if (bench_setup(state) != 0)
        return -1;
    ledger_free(bench.ledger);
    mine.store = bench.store;
    return ledger_new(&mine, &bench.ledger) == ERR_OK ? 0 : -1;
}

static void kept_seeds(void **state)
{
    static size_t next;

    (void)state;
    run_seed(seeds[next++], OPERATIONS);
}

/* Another one each time, or the one that is asked for; and the next ones, if it is long. */
static void a_seed(void **state)
{
    size_t left = number_from("PORTCULLIS_TEST_OPERATIONS", OPERATIONS);
    uint64_t seed = 0;

    random_fill(&random_system, &seed, 4);
    seed = number_from("PORTCULLIS_TEST_SEED", (size_t)seed);
    while (left > 0) {
        size_t life = left < LIFE_MAX ? left : LIFE_MAX;

        assert_int_equal(model_setup(state), 0);
        run_seed(seed++, life);
        assert_int_equal(bench_teardown(state), 0);
        left -= life;
    }
}

#define MODEL_TEST(function) cmocka_unit_test_setup_teardown(function, model_setup, bench_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(a_seed)};
    static const struct CMUnitTest kept[] = {MODEL_TEST(kept_seeds), MODEL_TEST(kept_seeds),
                                             MODEL_TEST(kept_seeds)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    _Static_assert(PC_COUNT(kept) == PC_COUNT(seeds), "each kept seed runs");
    if (getenv("PORTCULLIS_TEST_OPERATIONS") == NULL && getenv("PORTCULLIS_TEST_SEED") == NULL)
        failed += cmocka_run_group_tests(kept, NULL, NULL);
    return failed;
}
