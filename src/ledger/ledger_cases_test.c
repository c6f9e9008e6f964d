/* SPDX-License-Identifier: MIT
 * The stories of cases/, told to the ledger line by line, on both databases. A line is a step in a
 * turn of its own, or one of a turn that begins with "turn" and ends with "end":
 *
 *   story a hold is taken
 *     open     A USD
 *     deposit  A 10.00
 *     hold     A B 4.00 as=H
 *     move     A B 6.01          ! insufficient_funds
 *     expect   A 10.00 4.00 0    posted, held, incoming
 *
 * A line that ends with "! slug" must be refused with that problem; every other must go well. Times
 * are counted from the story's beginning: 90s, 2h, 3d. */
#include "ledger/ledger_books_test_kit.h"

enum { WORDS_MAX = 24, LINES_MAX = 64, NAMES_MAX = 32, WORD_BYTES = 64 };

struct line {
    int number;
    size_t count;
    char words[WORDS_MAX][WORD_BYTES];
    char refusal[WORD_BYTES]; /* of "! slug"; may be empty */
};

struct name {
    char text[WORD_BYTES];
    int64_t id;             /* of an account, or a posting's seq */
    enum currency currency; /* of an account */
};

struct story {
    const char *file;
    char title[160];
    int64_t began_ns;
    struct name names[NAMES_MAX];
    size_t name_count;
    struct line lines[LINES_MAX]; /* of the present turn */
    size_t line_count;
    struct ledger_mark mark;
    char fault[256]; /* what went wrong; the first wins */
};

/* ---- words ------------------------------------------------------------------------------------
 */

PC_FORMAT(3, 4)
static void fault(struct story *story, const struct line *line, const char *format, ...)
{
    char text[160];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (story->fault[0] == '\0')
        (void)snprintf(story->fault, sizeof(story->fault), "%s:%d: %s", story->file, line->number,
                       text);
}

static struct name *name_find(struct story *story, const char *text)
{
    for (size_t i = 0; i < story->name_count; i++) {
        if (strcmp(story->names[i].text, text) == 0)
            return &story->names[i];
    }
    return NULL;
}

static struct name *name_give(struct story *story, const char *text)
{
    struct name *name = name_find(story, text);

    if (name != NULL)
        return name;
    PC_ASSERT(story->name_count < NAMES_MAX);
    name = &story->names[story->name_count++];
    (void)snprintf(name->text, sizeof(name->text), "%s", text);
    return name;
}

/* "A", "settlement:USD", "position:JPY"; nobody's for any other name. */
static struct name account_named(struct story *story, const char *text)
{
    const struct name *known = name_find(story, text);
    struct span rest = span_from(text);
    struct span house = {0};
    struct name name = {.id = 987654321, .currency = CURRENCY_USD};

    if (known != NULL)
        return *known;
    if (!span_cut(&rest, ':', &house) || currency_from_code(rest) == CURRENCY_NONE)
        return name;
    name.currency = currency_from_code(rest);
    name.id = ledger_house_account(span_is(house, "position") ? LEDGER_POSITION : LEDGER_SETTLEMENT,
                                   name.currency);
    return name;
}

static int64_t seq_named(struct story *story, const char *text)
{
    const struct name *name = name_find(story, text);

    return name == NULL ? 987654321 : name->id;
}

/* "0" needs no digits behind the point; "MAX" is the most there is. */
static int64_t amount_of(struct story *story, const struct line *line, const char *text,
                         enum currency currency)
{
    struct money money = {0};

    if (strcmp(text, "0") == 0)
        return 0;
    if (strcmp(text, "MAX") == 0)
        return INT64_MAX;
    if (money_read(span_from(text), currency, &money) != ERR_OK)
        fault(story, line, "%s is no amount of %s", text, currency_code(currency));
    return money.minor;
}

/* The word behind "key=", or NULL. */
static const char *option(const struct line *line, const char *key)
{
    size_t len = strlen(key);

    for (size_t i = 1; i < line->count; i++) {
        if (strncmp(line->words[i], key, len) == 0 && line->words[i][len] == '=')
            return line->words[i] + len + 1;
    }
    return NULL;
}

static const char *word(const struct line *line, size_t at)
{
    return at < line->count ? line->words[at] : "";
}

/* "90s", "2h", "3d", "-1h". */
static int64_t span_of_time(struct story *story, const struct line *line, const char *text)
{
    size_t len = strlen(text);
    int64_t number = 0;
    int64_t unit_s = 1;

    if (len < 2 || !span_to_i64(span_make(text, len - 1), &number))
        fault(story, line, "%s is no time", text);
    else if (text[len - 1] == 'h')
        unit_s = 60 * 60;
    else if (text[len - 1] == 'd')
        unit_s = DAY_S;
    return number * unit_s * CLOCK_NS_PER_S;
}

static int64_t moment_of(struct story *story, const struct line *line, const char *key)
{
    const char *text = option(line, key);

    if (text == NULL)
        return 0;
    if (strcmp(text, "never") == 0)
        return LEDGER_NEVER;
    return story->began_ns + span_of_time(story, line, text);
}

/* The currency of an amount: currency=..., else that of the account. */
static struct money money_of(struct story *story, const struct line *line, const char *text,
                             enum currency currency)
{
    const char *other = option(line, "currency");

    if (other != NULL)
        currency = currency_from_code(span_from(other));
    return (struct money){.minor = amount_of(story, line, text, currency), .currency = currency};
}

static void posted_named(struct story *story, const struct line *line,
                         const struct ledger_posted *posted)
{
    const char *as = option(line, "as");

    if (as != NULL)
        name_give(story, as)->id = posted->seq;
}

/* ---- steps ------------------------------------------------------------------------------------
 */

typedef enum err step_fn(struct ledger_turn *turn, struct story *story, const struct line *line);

static enum err step_open(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    const struct ledger_account_new made = {.user_id = 1,
                                            .currency =
                                                currency_from_code(span_from(word(line, 2))),
                                            .state = LEDGER_ACTIVE};
    int64_t id = 0;
    enum err err = ledger_account_open(turn, &made, &id);

    *name_give(story, word(line, 1)) = (struct name){.id = id, .currency = made.currency};
    (void)snprintf(story->names[story->name_count - 1].text, WORD_BYTES, "%s", word(line, 1));
    return err;
}

static enum err move(struct ledger_turn *turn, struct story *story, const struct line *line,
                     enum ledger_kind kind, const char *from, const char *to, const char *amount)
{
    struct name giver = account_named(story, from);
    struct name taker = account_named(story, to);
    const struct ledger_transfer transfer = {
        .kind = kind,
        .from = giver.id,
        .to = taker.id,
        .amount = money_of(story, line, amount, giver.id < 0 ? taker.currency : giver.currency),
        .effective_at_ns = moment_of(story, line, "effective"),
        .description = SPAN("as told")};
    struct ledger_posted posted = {0};
    enum err err = ledger_move(turn, &transfer, &posted);

    if (err == ERR_OK)
        posted_named(story, line, &posted);
    return err;
}

static enum err step_move(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    return move(turn, story, line, LEDGER_TRANSFER, word(line, 1), word(line, 2), word(line, 3));
}

static enum err step_deposit(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    char house[WORD_BYTES];

    (void)snprintf(house, sizeof(house), "settlement:%s",
                   currency_code(account_named(story, word(line, 1)).currency));
    return move(turn, story, line, LEDGER_DEPOSIT, house, word(line, 1), word(line, 2));
}

/* post A=-10.00 B=4.00 C=6.00 */
static enum err step_post(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    struct ledger_leg legs[WORDS_MAX] = {0};
    struct ledger_posting posting = {.kind = LEDGER_POSTING,
                                     .legs = legs,
                                     .effective_at_ns = moment_of(story, line, "effective")};
    struct ledger_posted posted = {0};
    enum err err;

    for (size_t i = 1; i < line->count; i++) {
        struct span amount = span_from(line->words[i]);
        struct span account = {0};
        char text[WORD_BYTES];
        struct name name;

        (void)span_cut(&amount, '=', &account);
        if (span_is(account, "as") || span_is(account, "effective"))
            continue;
        (void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(account));
        name = account_named(story, text);
        legs[posting.leg_count].account_id = name.id;
        (void)snprintf(text, sizeof(text), "%.*s", SPAN_ARG(amount));
        legs[posting.leg_count++].posted = amount_of(story, line, text, name.currency);
    }
    err = ledger_post(turn, &posting, &posted);
    if (err == ERR_OK)
        posted_named(story, line, &posted);
    return err;
}

static enum err step_hold(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    struct name from = account_named(story, word(line, 1));
    const struct ledger_hold_new hold = {.from = from.id,
                                         .to = account_named(story, word(line, 2)).id,
                                         .amount =
                                             money_of(story, line, word(line, 3), from.currency),
                                         .expires_at_ns = moment_of(story, line, "until")};
    struct ledger_posted posted = {0};
    enum err err = ledger_hold(turn, &hold, &posted);

    if (err == ERR_OK)
        posted_named(story, line, &posted);
    return err;
}

/* capture H USD 4.00 [ends] */
static enum err step_capture(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    const struct ledger_capture capture = {
        .hold_seq = seq_named(story, word(line, 1)),
        .amount =
            amount_of(story, line, word(line, 3), currency_from_code(span_from(word(line, 2)))),
        .ends = strcmp(word(line, 4), "ends") == 0};
    struct ledger_posted posted = {0};
    enum err err = ledger_capture(turn, &capture, &posted);

    if (err == ERR_OK)
        posted_named(story, line, &posted);
    return err;
}

static enum err step_void(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    struct ledger_posted posted = {0};

    return ledger_void(turn, seq_named(story, word(line, 1)), &posted);
}

/* reverse T [USD 4.00] */
static enum err step_reverse(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    struct ledger_reversal reversal = {.seq = seq_named(story, word(line, 1))};
    struct ledger_posted posted = {0};
    int64_t amount = 0;
    enum err err;

    if (line->count > 3)
        reversal.amount =
            amount_of(story, line, word(line, 3), currency_from_code(span_from(word(line, 2))));
    err = ledger_reverse(turn, &reversal, &posted, &amount);
    if (err == ERR_OK)
        posted_named(story, line, &posted);
    if (err == ERR_OK && reversal.amount != 0 && amount != reversal.amount)
        fault(story, line, "it reversed %lld", (long long)amount);
    return err;
}

static enum err state_set(struct ledger_turn *turn, struct story *story, const struct line *line,
                          enum ledger_state state)
{
    return ledger_account_set_state(turn, account_named(story, word(line, 1)).id, state);
}

static enum err step_freeze(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    return state_set(turn, story, line, LEDGER_FROZEN);
}

static enum err step_thaw(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    return state_set(turn, story, line, LEDGER_ACTIVE);
}

static enum err step_close(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    return state_set(turn, story, line, LEDGER_CLOSED);
}

static enum err step_limit(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    struct name name = account_named(story, word(line, 1));

    return ledger_account_set_limit(turn, name.id,
                                    amount_of(story, line, word(line, 2), name.currency));
}

static void expect_same(struct story *story, const struct line *line, const char *what,
                        int64_t seen, const char *text, enum currency currency)
{
    if (text[0] != '\0' && strcmp(text, "-") != 0 && amount_of(story, line, text, currency) != seen)
        fault(story, line, "%s is %lld minor units", what, (long long)seen);
}

/* expect A posted held incoming: in a turn; behind its commit a reader must see the same. */
static void expect_account(struct story *story, const struct line *line,
                           const struct ledger_account *account)
{
    expect_same(story, line, "posted", account->posted, word(line, 2), account->currency);
    expect_same(story, line, "held", account->held, word(line, 3), account->currency);
    expect_same(story, line, "incoming", account->incoming, word(line, 4), account->currency);
    expect_same(story, line, "available", ledger_available(account), word(line, 5),
                account->currency);
}

static enum err step_expect(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    struct ledger_account account = {0};
    enum err err = ledger_turn_account(turn, account_named(story, word(line, 1)).id, &account);

    if (err == ERR_OK)
        expect_account(story, line, &account);
    return err;
}

static enum err step_mark(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    (void)line;
    story->mark = ledger_turn_mark(turn);
    return ERR_OK;
}

static enum err step_undo(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    (void)line;
    ledger_turn_undo(turn, story->mark);
    return ERR_OK;
}

static const struct {
    const char *name;
    step_fn *run;
} steps[] = {
    {"open", step_open},     {"deposit", step_deposit}, {"move", step_move},
    {"post", step_post},     {"hold", step_hold},       {"capture", step_capture},
    {"void", step_void},     {"reverse", step_reverse}, {"freeze", step_freeze},
    {"thaw", step_thaw},     {"close", step_close},     {"limit", step_limit},
    {"expect", step_expect}, {"mark", step_mark},       {"undo", step_undo},
};

/* ---- turns ------------------------------------------------------------------------------------
 */

static enum err line_run(struct ledger_turn *turn, struct story *story, const struct line *line)
{
    enum err err = ERR_COUNT;

    for (size_t i = 0; i < PC_COUNT(steps); i++) {
        if (strcmp(line->words[0], steps[i].name) == 0)
            err = steps[i].run(turn, story, line);
    }
    if (err == ERR_COUNT)
        fault(story, line, "%s is no step", line->words[0]);
    else if (err && line->refusal[0] == '\0')
        fault(story, line, "refused: %s", err_slug(err));
    else if (strcmp(err ? err_slug(err) : "", line->refusal) != 0)
        fault(story, line, "%s instead of %s", err ? err_slug(err) : "it went well", line->refusal);
    return ledger_is_refusal(err) ? ERR_OK : err;
}

static enum err turn_work(struct ledger_turn *turn, void *context)
{
    struct story *story = context;
    enum err err = ERR_OK;

    for (size_t i = 0; i < story->line_count && err == ERR_OK && story->fault[0] == '\0'; i++)
        err = line_run(turn, story, &story->lines[i]);
    return story->fault[0] != '\0' ? ERR_CONFLICT : err;
}

/* ---- reads ------------------------------------------------------------------------------------
 */

struct look {
    struct story *story;
    const struct line *line;
    struct ledger_account account;
    struct ledger_moment moment;
    struct ledger_balance balance;
};

static enum err look_now(struct store_conn *conn, struct store_job *job)
{
    struct look *look = job->context;

    return ledger_account_get(bench.ledger, conn, look->account.id, &look->account);
}

static enum err look_then(struct store_conn *conn, struct store_job *job)
{
    struct look *look = job->context;

    return ledger_balance_at(conn, look->account.id, &look->moment, &look->balance);
}

static void reader_expects(struct story *story, const struct line *line)
{
    struct look look = {.account = {.id = account_named(story, word(line, 1)).id}};
    enum err err = store_do(bench.store, look_now, &look, false);

    if (err)
        fault(story, line, "a reader is told %s", err_slug(err));
    else
        expect_account(story, line, &look.account);
}

/* balance A 10.00 [held [incoming]] [seq=T] [at=2h] [effective=1d] */
static void balance_expects(struct story *story, const struct line *line)
{
    struct name name = account_named(story, word(line, 1));
    struct look look = {.account = {.id = name.id}};
    enum err err;

    look.moment.at_ns = moment_of(story, line, "at");
    look.moment.effective_at_ns = moment_of(story, line, "effective");
    look.moment.seq = option(line, "seq") ? seq_named(story, option(line, "seq")) : 0;
    err = store_do(bench.store, look_then, &look, false);
    if (err) {
        if (strcmp(err_slug(err), line->refusal) != 0)
            fault(story, line, "a reader is told %s", err_slug(err));
        return;
    }
    expect_same(story, line, "posted", look.balance.posted, word(line, 2), name.currency);
    if (line->count > 3 && strchr(line->words[3], '=') == NULL)
        expect_same(story, line, "held", look.balance.held, word(line, 3), name.currency);
    if (line->count > 4 && strchr(line->words[4], '=') == NULL)
        expect_same(story, line, "incoming", look.balance.incoming, word(line, 4), name.currency);
}

static void sweep(struct story *story, const struct line *line)
{
    bool more = true;
    enum err err = ledger_sweep(bench.ledger, &more);

    if (err || more)
        fault(story, line, "the sweep: %s", err ? err_slug(err) : "it wants more");
}

/* ---- a story ----------------------------------------------------------------------------------
 */

/* "move A B 6.01 ! insufficient_funds"; what stands behind # is left out. */
static bool line_read(const char *text, int number, struct line *line)
{
    struct span rest = span_make(text, strcspn(text, "#\n"));
    struct span part = {0};
    bool refusal = false;

    *line = (struct line){.number = number};
    while (span_cut(&rest, ' ', &part)) {
        char *room = refusal ? line->refusal : line->words[line->count];

        if (part.len == 0)
            continue;
        PC_ASSERT(part.len < WORD_BYTES && line->count < WORDS_MAX - 1);
        if (span_is(part, "!")) {
            refusal = true;
            continue;
        }
        (void)snprintf(room, WORD_BYTES, "%.*s", SPAN_ARG(part));
        line->count += refusal ? 0 : 1;
    }
    return line->count > 0;
}

/* The clock goes on, or back: -1h. */
static void wait_for(struct story *story, const struct line *line)
{
    atomic_fetch_add(&bench.clock.realtime_ns, span_of_time(story, line, word(line, 1)));
}

static void turn_do(struct story *story)
{
    enum err err = doing(turn_work, story);

    if (err && story->fault[0] == '\0')
        fault(story, &story->lines[0], "the turn failed: %s", err_slug(err));
    for (size_t i = 0; i < story->line_count; i++) {
        const struct line *line = &story->lines[i];

        if (story->line_count == 1 && strcmp(line->words[0], "expect") == 0 &&
            line->refusal[0] == '\0')
            reader_expects(story, line);
    }
    story->line_count = 0;
}

/* *in_turn: lines are put together until "end". */
static void line_do(struct story *story, const struct line *line, bool *in_turn)
{
    if (strcmp(line->words[0], "turn") == 0) {
        *in_turn = true;
    } else if (strcmp(line->words[0], "end") == 0) {
        *in_turn = false;
        turn_do(story);
    } else if (strcmp(line->words[0], "wait") == 0) {
        wait_for(story, line);
    } else if (strcmp(line->words[0], "sweep") == 0) {
        sweep(story, line);
    } else if (strcmp(line->words[0], "balance") == 0) {
        balance_expects(story, line);
    } else {
        PC_ASSERT(story->line_count < LINES_MAX);
        story->lines[story->line_count++] = *line;
        if (!*in_turn)
            turn_do(story);
    }
}

static void story_begin(struct story *story, const char *file, const struct line *line)
{
    clock_fake_move(&bench.clock, DAY);
    *story = (struct story){.file = file};
    story->began_ns = clock_realtime_ns(&bench.clock.clock);
    for (size_t i = 1, at = 0; i < line->count; i++)
        at += (size_t)snprintf(story->title + at, sizeof(story->title) - at, "%s%s",
                               i == 1 ? "" : " ", line->words[i]);
}

static size_t stories_told;

static void stories_tell(const char *file)
{
    static struct story story;
    FILE *in = fopen(file, "r");
    struct line line;
    bool in_turn = false;
    char text[512];

    assert_non_null(in);
    for (int number = 1; fgets(text, sizeof(text), in) != NULL; number++) {
        if (!line_read(text, number, &line))
            continue;
        if (strcmp(line.words[0], "story") == 0) {
            assert_false(in_turn);
            books_are_sound();
            story_begin(&story, file, &line);
            stories_told++;
        } else {
            line_do(&story, &line, &in_turn);
        }
        if (story.fault[0] != '\0')
            fail_msg("%s (story \"%s\")", story.fault, story.title);
    }
    (void)fclose(in);
    assert_false(in_turn);
    books_are_sound();
}

#define CASES(name)                                                                                \
    static void name##_are_true(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        stories_tell(PC_LEDGER_CASES "/" #name ".txt");                                            \
    }
CASES(transfers)
CASES(postings)
CASES(holds)
CASES(reversals)
CASES(accounts)
CASES(dates)
CASES(refusals)

/* A story that nobody reads proves nothing. */
static void there_are_enough(void **state)
{
    (void)state;
    assert_true(stories_told >= 40);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BENCH_TEST(transfers_are_true), BENCH_TEST(postings_are_true),
        BENCH_TEST(holds_are_true),     BENCH_TEST(reversals_are_true),
        BENCH_TEST(accounts_are_true),  BENCH_TEST(dates_are_true),
        BENCH_TEST(refusals_are_true),  cmocka_unit_test(there_are_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
