/* SPDX-License-Identifier: MIT
 * Export and import: the same bytes again, on the same database and across both; and a file that is
 * wrong anywhere is refused with its line, and changes nothing. */
#include "ledger/ledger_book_test_kit.h"

enum { BOOK_BYTES_MAX = 16 * 1024 * 1024 };

static struct arena arena; /* of the texts of a test */

/* ---- exporting and importing ---- */

static enum err keep_line(void *context, struct span line)
{
    sbuf_add(context, line);
    return ERR_OK;
}

static enum err export_run(struct store_conn *conn, struct store_job *job)
{
    sbuf_truncate(job->context, 0);
    return ledger_export(conn, keep_line, job->context);
}

static struct span exported(struct store *store)
{
    struct sbuf out = sbuf_on(&arena, BOOK_BYTES_MAX);
    struct span text;

    assert_int_equal(store_do(store, export_run, &out, false), ERR_OK);
    assert_int_equal(sbuf_finish(&out, &text), ERR_OK);
    return text;
}

static struct importing {
    struct span book, rest;
    struct ledger_summary summary;
    struct ledger_import_fault fault;
} importing;

static enum err take_line(void *context, struct span *ret_line)
{
    struct importing *from = context;

    *ret_line = (struct span){0};
    if (from->rest.len > 0)
        (void)span_cut(&from->rest, '\n', ret_line);
    return ERR_OK;
}

static enum err import_run(struct store_conn *conn, struct store_job *job)
{
    struct importing *from = job->context;

    from->rest = from->book;
    return ledger_import(conn, take_line, from, T0, &from->summary, &from->fault);
}

static enum err imported(struct store *store, struct span book)
{
    importing = (struct importing){.book = book};
    return store_do(store, import_run, &importing, true);
}

/* ---- another database ---- */

static struct store *other;

/* A new file of SQLite, on either suite: so that books go across. */
static void other_open(void)
{
    struct store_options options = {
        .url = SPAN("sqlite:other.db"), .data_dir = bench.kit->dir, .seal = &trail_seal};
    const struct store_migration *list;
    size_t count;

    assert_int_equal(store_open(&options, &other, NULL), ERR_OK);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(other, list, count, NULL), ERR_OK);
    kit_exec(other, &bench_user);
}

static int book_setup(void **state)
{
    if (bench_setup(state) != 0)
        return -1;
    arena_init(&arena, NULL, 0, 16 * BOOK_BYTES_MAX);
    other_open();
    return 0;
}

static int book_teardown(void **state)
{
    store_close(other);
    arena_reset(&arena);
    return bench_teardown(state);
}

#define BOOK_TEST(function) cmocka_unit_test_setup_teardown(function, book_setup, book_teardown)

/* The first database, empty again. */
static void begin_again(void)
{
    ledger_free(bench.ledger);
    store_close(bench.store);
    if (bench.kit->postgres)
        kit_empty(bench.kit);
    if (!bench.kit->postgres) {
        static const char *const names[] = {"test.db", "test.db-wal", "test.db-shm"};

        for (size_t i = 0; i < PC_COUNT(names); i++) {
            char path[128];

            (void)snprintf(path, sizeof(path), "%s/%s", bench.kit->dir, names[i]);
            (void)unlink(path);
        }
    }
    bench_open();
}

static void assert_same(struct span a, struct span b)
{
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr, b.ptr, a.len);
}

/* ---- whole books ---- */

static void round_trip(void)
{
    struct span first = exported(bench.store);

    assert_int_equal(imported(other, first), ERR_OK);
    assert_int_equal(importing.summary.faults, 0);
    assert_same(exported(other), first);
    begin_again();
    assert_int_equal(imported(bench.store, first), ERR_OK);
    assert_same(exported(bench.store), first);
    story_check(bench.store);
    assert_string_equal(checked.text, "");
}

static void an_empty_book_comes_back(void **state)
{
    (void)state;
    round_trip();
}

/* And what is posted afterwards goes on where it stopped. */
static void a_story_comes_back(void **state)
{
    struct ledger_account account;

    (void)state;
    story_tell();
    round_trip();
    assert_int_equal(importing.summary.postings, 16);
    assert_int_equal(importing.summary.transactions, 3);
    assert_int_equal(opened(CURRENCY_EUR), 5);
    assert_int_equal(moved(1, 5, 100, CURRENCY_EUR), ERR_OK);
    account = account_of(5);
    assert_int_equal(account.seq, 17);
    assert_int_equal(account.posted, 100);
    /* The open hold of account 2 still expires by itself. */
    clock_fake_move(&bench.clock, 2 * DAY);
    assert_int_equal(account_of(2).held, 0);
    story_check(bench.store);
    assert_string_equal(checked.text, "");
}

static enum err crowd_work(struct ledger_turn *turn, void *context)
{
    (void)context;
    for (int i = 0; i < 10000; i++)
        STORY(story_move(turn, LEDGER_TRANSFER, i % 2 == 0 ? STORY_SETTLEMENT : 1,
                         i % 2 == 0 ? 1 : STORY_SETTLEMENT, 5, 0));
    return ERR_OK;
}

static void many_postings_come_back(void **state)
{
    (void)state;
    assert_int_equal(opened(CURRENCY_EUR), 1);
    assert_int_equal(doing(crowd_work, NULL), ERR_OK);
    round_trip();
    assert_int_equal(importing.summary.postings, 10000);
}

/* ---- books that are wrong ---- */

static const struct store_statement rows_of_all = {
    .name = "book_rows",
    .sqlite = "SELECT (SELECT count(*) FROM ledger_accounts) + (SELECT count(*) FROM ledger_posts)"
              " + (SELECT count(*) FROM ledger_entries) + (SELECT count(*) FROM ledger_holds)"
              " + (SELECT count(*) FROM transactions) + (SELECT count(*) FROM orders)"
              " + (SELECT seq FROM ledger_head)"};

static void assert_nothing_there(struct store *store)
{
    struct kit_number number = {.statement = &rows_of_all};

    assert_int_equal(store_do(store, kit_number0_run, &number, false), ERR_OK);
    assert_int_equal(number.result, 0);
}

/* `line` 0: whichever. */
static void refused(struct span book, int64_t line, const char *why)
{
    enum err err = imported(other, book);
    bool told = err == ERR_VALIDATION || err == ERR_STORE_UNIQUE || err == ERR_STORE_CONSTRAINT;

    if (!told || strstr(importing.fault.text, why) == NULL)
        fail_msg("%s, line %lld: \"%s\", not \"%s\" for:\n%.*s", err_name(err),
                 (long long)importing.fault.line, importing.fault.text, why,
                 (int)(book.len < 4000 ? book.len : 4000), book.ptr);
    if (line != 0)
        assert_int_equal(importing.fault.line, line);
    assert_nothing_there(other);
}

/* The book with the bytes [from, to) replaced. */
static struct span edited(struct span book, size_t from, size_t to, const char *text)
{
    struct sbuf out = sbuf_on(&arena, BOOK_BYTES_MAX);

    sbuf_add(&out, span_slice(book, 0, from));
    sbuf_add_text(&out, text);
    sbuf_add(&out, span_slice(book, to, book.len));
    assert_false(out.full);
    return sbuf_span(&out);
}

static size_t place_of(struct span book, const char *what)
{
    const char *text = arena_string(&arena, book);
    const char *at = strstr(text, what);

    assert_non_null(at);
    return (size_t)(at - text);
}

/* The book with the first `what` replaced. */
static struct span replaced(struct span book, const char *what, const char *with)
{
    size_t at = place_of(book, what);

    return edited(book, at, at + strlen(what), with);
}

static void bad_lines_are_told(void **state)
{
    static const struct {
        const char *what, *with;
        int64_t line;
        const char *why;
    } cases[] = {
        {"{\"ledger\"", "{\"ledgers\"", 1, "is not the head of a book"},
        {"\"version\":1", "\"version\":2", 1, "is of version 2, this program reads 1"},
        {"since 1970", "since 1969", 1, "has other amounts or times than this program reads"},
        {"{\"account\":{\"id\":-113991", "{\"account\":{\"id\":1e3", 2,
         "\"id\" is not a whole number of 64 bits"},
        {"{\"account\":{\"id\":-113991", "{\"account\":{\"id\":", 2, "column 18: "},
        {"{\"account\":{\"id\":-113991", "{\"accounts\":{\"id\":-113991", 2,
         "is no line of a book that is known here"},
        {"{\"account\":{\"id\":-113991", "{\"account\":{\"id\":-1", 3,
         "\"id\" does not rise from one line to the next"},
        {"\"currency\":\"USD\"", "\"currency\":\"XXX\"", 2, "\"currency\" is no currency"},
        {"\"state\":\"active\"", "\"state\":\"alive\"", 2, "\"state\" is no state"},
        {"\"owner\":\"ada@example.com\"", "\"owner\":7", 4, "\"owner\" is not a text"},
        {"\"owner\":\"ada@example.com\"", "\"owner\":\"\"", 4, "has an e-mail address of 0 bytes"},
        {"\"kind\":\"deposit\"", "\"kind\":\"gift\"", 9, "\"kind\" is no kind"},
        {"\"kind\":\"deposit\"", "\"kind\":\"deposit\",\"sort\":1", 9, "\"sort\" is not known"},
        {"\"actor\":\"system\",", "", 9, "lacks \"actor\""},
        {"\"legs\":[", "\"legs\":1,\"legs\":[", 9, "the member name is used twice"},
        {"\"legs\":", "\"pegs\":", 9, "\"pegs\" is not known"},
        {"\"legs\":[{", "\"legs\":[{\"x\":1,", 9, "\"x\" is not known"},
        {"\"legs\":[{\"account\":", "\"legs\":[7,{\"account\":", 9,
         "holds something else than an object"},
        {"{\"hold\":{\"seq\":3", "{\"limit\":{\"seq\":3", 25,
         "a line \"limit\" stands behind one of \"posting\""},
        {"{\"end\":{\"account\":6", "{\"end\":{\"account\":7", 0,
         "does not count the 6 lines \"account\" before it"},
        {"\"order\":2}}", "\"order\":2,\"x\":1}}", 0, "counts something that is not known"},
        {"\"order\":2}}\n", "\"order\":2}}\n{}\n", 0, "is not an object with one member"},
        {"\"order\":2}}\n", "\"order\":2}}\n{\"x\":1}\n", 0, "stands behind the end"},
        {"\"order\":2}}\n", "\"order\":2}}\n\n", 0, "column 1: "},
        /* What the lines say together. */
        {"\"posted\":5000,", "\"posted\":5001,", 0, "account 4: stored balance 5001"},
        {"\"number_key\":\"2\"", "\"number_key\":\"1\"", 0, "cannot be taken"},
        {"\"legs\":[{\"account\":-103241,\"currency\":\"EUR\"",
         "\"legs\":[{\"account\":-103241,\"currency\":\"USD\"", 0,
         "names an account that is not there, or of another currency"},
        {"\"transaction_id\":3", "\"transaction_id\":4", 0, "I8 the head says transaction 4"},
    };
    struct span book;

    (void)state;
    story_tell();
    book = exported(bench.store);
    for (size_t i = 0; i < PC_COUNT(cases); i++)
        refused(replaced(book, cases[i].what, cases[i].with), cases[i].line, cases[i].why);
    assert_int_equal(imported(other, book), ERR_OK);
}

/* Every member of every line: left out, and of another type. */
static size_t end_of_value(struct span book, size_t at)
{
    unsigned depth = 0;
    bool quoted = false;

    for (; at < book.len; at++) {
        char c = book.ptr[at];

        if (c == '"' && book.ptr[at - 1] != '\\')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']')) {
            if (depth-- == 0)
                return at;
        } else if (!quoted && c == ',' && depth == 0) {
            return at;
        }
    }
    return at;
}

/* The next `"name":` at or behind `at`, outside of texts: where its value begins; 0: none. */
static size_t next_member(struct span book, size_t at, size_t *ret_name)
{
    for (; at + 1 < book.len; at++) {
        if (book.ptr[at] != '"' || book.ptr[at - 1] == '\\')
            continue;
        *ret_name = at;
        for (at++; book.ptr[at] != '"' || book.ptr[at - 1] == '\\'; at++)
            continue;
        if (book.ptr[at + 1] == ':')
            return at + 2;
    }
    return 0;
}

static bool may_be_left_out(struct span name)
{
    static const char *const names[] = {
        "refers_to",  "description", "transaction", "expires_at",  "effective_at", "hold",
        "cost_max",   "reason",      "number",      "number_key",  "type",         "created_at",
        "updated_at", "owner",       "ended_seq",   "limit_price", "posting",      "account"};

    for (size_t i = 0; i < PC_COUNT(names); i++)
        if (span_is(name, names[i]))
            return true;
    return false;
}

static void every_member_is_asked_for(void **state)
{
    struct span book;
    size_t name = 0;
    size_t value;
    size_t tried = 0;

    (void)state;
    story_tell();
    book = exported(bench.store);
    for (size_t at = 1; (value = next_member(book, at, &name)) != 0; at = value) {
        size_t end = end_of_value(book, value);
        struct span of = span_slice(book, name + 1, value - 2);
        size_t from = book.ptr[name - 1] == ',' ? name - 1 : name;
        size_t to = book.ptr[name - 1] == ',' ? end : end + (book.ptr[end] == ',' ? 1 : 0);

        refused(edited(book, value, end, "[true]"), 0, "");
        if (!may_be_left_out(of))
            refused(edited(book, from, to, ""), 0, "");
        tried++;
    }
    assert_in_range(tried, 300, 1000);
    assert_int_equal(imported(other, book), ERR_OK);
}

/* A number that is one more than it was: nearly all of them are held by an invariant. */
static bool is_free(struct span name)
{
    static const char *const names[] = {"created_at",   "updated_at", "at",
                                        "effective_at", "expires_at", "limit_price",
                                        "price",        "cost_max",   "quantity"};

    for (size_t i = 0; i < PC_COUNT(names); i++)
        if (span_is(name, names[i]))
            return true;
    return false;
}

static void every_number_counts(void **state)
{
    struct span book;
    size_t name = 0;
    size_t value;
    size_t last;
    size_t tried = 0;

    (void)state;
    story_tell();
    book = exported(bench.store);
    /* Nothing was posted for the last order, which was to sell: its account may be any. */
    last = place_of(book, "{\"order\":{\"id\":\"2");
    for (size_t at = 1; (value = next_member(book, at, &name)) != 0 && value < last; at = value) {
        size_t end = end_of_value(book, value);
        struct span digits = span_slice(book, value, end);
        struct span of = span_slice(book, name + 1, value - 2);
        char text[32];
        int64_t number;

        if (!span_to_i64(digits, &number) || is_free(of))
            continue;
        (void)snprintf(text, sizeof(text), "%lld", (long long)number + 1);
        refused(edited(book, value, end, text), 0, "");
        tried++;
    }
    assert_in_range(tried, 150, 1000);
}

static void a_file_that_ends_early_is_refused(void **state)
{
    struct span book;
    int64_t line = 0;

    (void)state;
    story_tell();
    book = exported(bench.store);
    refused(SPAN_OF(""), 0, "is not the head of a book");
    for (size_t i = 0; i + 1 < book.len; i++) {
        if (book.ptr[i] != '\n')
            continue;
        line++;
        refused(span_slice(book, 0, i + 1), line + 1, "is missing: the book has no end");
        refused(span_slice(book, 0, i + 9), line + 1, "column ");
    }
    assert_in_range(line, 30, 100);
}

static void missing_owners_are_named(void **state)
{
    static const struct store_statement rename = {
        .name = "book_rename", .sqlite = "UPDATE users SET email_key = 'eve@example.com'"};
    static const struct store_statement second = {
        .name = "book_second",
        .sqlite =
            "INSERT INTO users (id, username, username_key, email, email_key, "
            "password_hash, created_at, updated_at, password_changed_at) "
            "VALUES (2, 'bob', 'bob', 'bob@example.com', 'bob@example.com', 'hash', 1, 1, 1)"};
    static const struct store_statement give = {
        .name = "book_give", .sqlite = "UPDATE ledger_accounts SET user_id = 2 WHERE id = 2"};
    struct span book;

    (void)state;
    story_tell();
    kit_exec(bench.store, &second);
    kit_exec(bench.store, &give);
    book = exported(bench.store);
    refused(book, 5, "1 e-mail address has no user here: bob@example.com");
    kit_exec(other, &rename);
    refused(book, 4,
            "2 e-mail addresses have no user here: ada@example.com, bob@example.com (create");
}

static void only_into_an_empty_ledger(void **state)
{
    struct span book;

    (void)state;
    story_tell();
    book = exported(bench.store);
    assert_int_equal(imported(bench.store, book), ERR_CONFLICT);
    assert_string_equal(importing.fault.text,
                        "the ledger is not empty: a book is imported into a new one");
    assert_int_equal(importing.fault.line, 0);
    assert_same(exported(bench.store), book);
}

/* A call to the database that fails, whichever it is: an error, and nothing changed. */
static void every_failure_changes_nothing(void **state)
{
    struct span book;

    (void)state;
    story_tell();
    book = exported(bench.store);
    for (uint64_t nth = 1;; nth++) {
        enum err err;
        bool pending;

        store_fail_at(nth);
        err = imported(other, book);
        pending = store_fail_pending();
        store_fail_at(0);
        if (pending || err == ERR_OK)
            break;
        assert_int_equal(err, ERR_STORE_UNAVAILABLE);
        kit_heal(other);
        assert_nothing_there(other);
        assert_in_range(nth, 1, 2000);
    }
    assert_same(exported(other), book);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOOK_TEST(an_empty_book_comes_back),          BOOK_TEST(a_story_comes_back),
        BOOK_TEST(many_postings_come_back),           BOOK_TEST(bad_lines_are_told),
        BOOK_TEST(every_member_is_asked_for),         BOOK_TEST(every_number_counts),
        BOOK_TEST(a_file_that_ends_early_is_refused), BOOK_TEST(missing_owners_are_named),
        BOOK_TEST(only_into_an_empty_ledger),         BOOK_TEST(every_failure_changes_nothing),
    };

    return cmocka_run_group_tests_name("ledger_book", tests, NULL, NULL);
}
