/* SPDX-License-Identifier: MIT
 * Jobs that are run together: one call and one commit for all that wait, whatever else waits beside
 * them, and each by itself again when the group is refused. Alike on both databases. */
#include "store/store_test_kit.h"

#include "base/limits.h"

enum { MEMBERS = 40, CALLS_MAX = 64, ROWS_MAX = 5000 };

/* What the group's function has seen, in order; the writer's alone until the jobs are over. */
struct group {
    size_t calls;
    size_t counts[CALLS_MAX];
    sem_t *tell_started, *wait_for;
};

struct member {
    struct store_job job;
    sem_t over;
    int64_t id;
    size_t runs;
    enum err fail_with;
};

static const struct store_statement group_insert = {
    .name = "group_insert", .sqlite = "INSERT INTO things (id, name, number) VALUES (?1, ?2, ?3)"};

static void group_note(struct group *group, size_t count)
{
    PC_ASSERT(group->calls < CALLS_MAX);
    group->counts[group->calls++] = count;
    if (group->calls != 1 || group->wait_for == NULL)
        return;
    (void)sem_post(group->tell_started);
    while (sem_wait(group->wait_for) != 0)
        continue;
}

/* Writes a row for each job, all in one statement of many; the number tells the place in the call.
 */
static enum err group_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                          const void *context)
{
    struct group *group = (void *)(uintptr_t)context;
    struct store_value values[MEMBERS * 3];
    char names[MEMBERS][32];
    int64_t changed = 0;
    enum err err;

    PC_ASSERT(count <= MEMBERS);
    group_note(group, count);
    for (size_t i = 0; i < count; i++) {
        struct member *member = PC_CONTAINER(jobs[i], struct member, job);

        member->runs++;
        (void)snprintf(names[i], sizeof(names[i]), "member-%lld", (long long)member->id);
        values[i * 3] = STORE_I64(member->id);
        values[i * 3 + 1] = STORE_TEXT(span_from(names[i]));
        values[i * 3 + 2] = STORE_I64((int64_t)i);
    }
    err = store_exec_many(conn, &group_insert, values, 3, count, &changed);
    if (err)
        return err;
    PC_ASSERT(changed == (int64_t)count);
    for (size_t i = 0; i < count && !err; i++)
        err = PC_CONTAINER(jobs[i], struct member, job)->fail_with;
    return err;
}

static void member_done(struct store_job *job)
{
    (void)sem_post(&PC_CONTAINER(job, struct member, job)->over);
}

static void member_init(struct member *member, int64_t id, const struct group *group)
{
    *member = (struct member){
        .job = {.together = group_run, .group = group, .done = member_done, .weight = 1}, .id = id};
    assert_int_equal(sem_init(&member->over, 0, 0), 0);
}

static void member_await(struct member *member)
{
    while (sem_wait(&member->over) != 0)
        continue;
}

/* A writer that is held inside a first job while others queue up behind it. */
struct held {
    struct kit_job first;
    sem_t started, go;
};

static void hold(struct held *held, struct store *store)
{
    assert_int_equal(sem_init(&held->started, 0, 0), 0);
    assert_int_equal(sem_init(&held->go, 0, 0), 0);
    kit_job_init(&held->first, 100000);
    held->first.tell_started = &held->started;
    held->first.wait_for = &held->go;
    assert_int_equal(store_write(store, &held->first.job), ERR_OK);
    while (sem_wait(&held->started) != 0)
        continue;
}

static void let_go(struct held *held)
{
    assert_int_equal(sem_post(&held->go), 0);
    kit_await(&held->first);
}

static int64_t number_of(struct store *store, int64_t id)
{
    static const struct store_statement get = {.name = "group_number",
                                               .sqlite = "SELECT number FROM things WHERE id = ?1"};
    struct kit_number number = {.statement = &get, .id = id};

    assert_int_equal(store_do(store, kit_number_run, &number, false), ERR_OK);
    return number.result;
}

/* ---- Groups ------------------------------------------------------------------------------- */

/* Two groups and ordinary jobs wait at the same time: three commits, each in its own order. */
static void each_group_is_one_call_and_one_commit(void **state)
{
    struct store *store = kit_open_with_table(*state);
    static struct member members[MEMBERS];
    static struct kit_job others[MEMBERS];
    struct group groups[2] = {{0}, {0}};
    struct store_stats before, after;
    struct held held;

    store_stats(store, &before);
    hold(&held, store);
    for (int64_t i = 0; i < MEMBERS; i++) {
        member_init(&members[i], i, &groups[i % 2]);
        kit_job_init(&others[i], 1000 + i);
        assert_int_equal(store_write(store, &members[i].job), ERR_OK);
        assert_int_equal(store_write(store, &others[i].job), ERR_OK);
    }
    let_go(&held);
    for (size_t i = 0; i < MEMBERS; i++) {
        member_await(&members[i]);
        kit_await(&others[i]);
        assert_int_equal(members[i].job.err, ERR_OK);
        assert_int_equal(members[i].runs, 1);
        assert_int_equal(others[i].job.err, ERR_OK);
        assert_int_equal(number_of(store, (int64_t)i), i / 2);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(groups[i].calls, 1);
        assert_int_equal(groups[i].counts[0], MEMBERS / 2);
    }
    store_stats(store, &after);
    assert_int_equal(after.commits - before.commits, 1 + 3);
    assert_int_equal(after.retries, before.retries);
    assert_int_equal(kit_things(store), 2 * MEMBERS + 1);
    store_close(store);
}

/* One that is refused takes nobody with it, and an ordinary job beside them notices nothing. */
static void a_refused_group_is_run_one_by_one(void **state)
{
    struct store *store = kit_open_with_table(*state);
    static struct member members[MEMBERS];
    struct group group = {0};
    struct kit_job other;
    struct held held;

    hold(&held, store);
    for (int64_t i = 0; i < MEMBERS; i++) {
        member_init(&members[i], i, &group);
        members[i].fail_with = i == 7 ? ERR_CONFLICT : ERR_OK;
        members[i].id = i == 9 ? 100000 : i; /* the first has it */
        assert_int_equal(store_write(store, &members[i].job), ERR_OK);
    }
    kit_job_init(&other, 1000);
    assert_int_equal(store_write(store, &other.job), ERR_OK);
    let_go(&held);
    kit_await(&other);
    for (size_t i = 0; i < MEMBERS; i++) {
        enum err expected = i == 7 ? ERR_CONFLICT : i == 9 ? ERR_STORE_UNIQUE : ERR_OK;

        member_await(&members[i]);
        assert_int_equal(members[i].job.err, expected);
        assert_int_equal(members[i].runs, 2);
        assert_false(members[i].job.unknown);
    }
    assert_int_equal(other.runs, 1);
    assert_int_equal(other.job.err, ERR_OK);
    assert_int_equal(group.calls, 1 + MEMBERS);
    assert_int_equal(kit_things(store), MEMBERS - 2 + 2);
    store_close(store);
}

/* As many as have room go first; one that is too heavy by itself goes alone. */
static void weights_part_a_group(void **state)
{
    static const uint32_t weights[] = {
        0, LIMIT_STORE_WEIGHT_MAX - 1, 1, 5, 2 * LIMIT_STORE_WEIGHT_MAX,
        7, LIMIT_STORE_WEIGHT_MAX - 7};
    static const size_t counts[] = {2, 2, 1, 2};
    struct store *store = kit_open_with_table(*state);
    struct member members[PC_COUNT(weights)];
    struct group group = {0};
    struct held held;

    hold(&held, store);
    for (size_t i = 0; i < PC_COUNT(weights); i++) {
        member_init(&members[i], (int64_t)i, &group);
        members[i].job.weight = weights[i];
        assert_int_equal(store_write(store, &members[i].job), ERR_OK);
    }
    let_go(&held);
    for (size_t i = 0; i < PC_COUNT(weights); i++) {
        member_await(&members[i]);
        assert_int_equal(members[i].job.err, ERR_OK);
    }
    assert_int_equal(group.calls, PC_COUNT(counts));
    assert_memory_equal(group.counts, counts, sizeof(counts));
    store_close(store);
}

/* One transaction for all of them, which other nodes wait for rather than collide with. */
static enum err isolation_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                              const void *group)
{
    static const struct store_statement ask = {
        .name = "group_isolation",
        .sqlite = "SELECT 1",
        .postgres = "SELECT CASE current_setting('transaction_isolation')"
                    " WHEN 'read committed' THEN 1 ELSE 0 END"};
    struct kit_number number = {.statement = &ask};
    struct store_job inner = {.context = &number};
    enum err err = kit_number0_run(conn, &inner);

    (void)jobs;
    (void)count;
    (void)group;
    return err == ERR_OK && number.result != 1 ? ERR_CONFLICT : err;
}

static void a_group_locks_what_it_needs(void **state)
{
    struct store *store = kit_open_with_table(*state);
    struct member member;
    struct group group = {0};

    member_init(&member, 1, &group);
    member.job.together = isolation_run;
    assert_int_equal(store_write(store, &member.job), ERR_OK);
    member_await(&member);
    assert_int_equal(member.job.err, ERR_OK);
    store_close(store);
}

/* The queue's bound holds for groups as well, and closing finishes what was taken. */
static void a_full_queue_refuses_members(void **state)
{
    struct kit *kit = *state;
    static struct member members[MEMBERS];
    struct group group = {0};
    struct store *store;
    struct held held;

    kit->options.queue_max = MEMBERS - 1;
    store = kit_open_with_table(kit);
    hold(&held, store);
    for (int64_t i = 0; i < MEMBERS; i++) {
        member_init(&members[i], i, &group);
        assert_int_equal(store_write(store, &members[i].job), i == MEMBERS - 1 ? ERR_BUSY : ERR_OK);
    }
    assert_int_equal(sem_post(&held.go), 0);
    store_close(store);
    for (size_t i = 0; i < MEMBERS - 1; i++) {
        assert_int_equal(sem_trywait(&members[i].over), 0);
        assert_int_equal(members[i].job.err, ERR_OK);
    }
}

/* ---- The n-th call ------------------------------------------------------------------------ */

enum { FEW = 6, ROUNDS_MAX = 200 };

/* Whichever call fails: every row is as its job was told, for members and for the others. */
static bool play(struct store *store, int64_t base, uint64_t nth)
{
    struct member members[FEW];
    struct kit_job others[FEW];
    struct group group = {0};
    struct held held;
    bool struck;

    hold(&held, store);
    for (int64_t i = 0; i < FEW; i++) {
        member_init(&members[i], base + i, &group);
        kit_job_init(&others[i], base + 50 + i);
        members[i].fail_with = i == 2 ? ERR_CONFLICT : ERR_OK;
        assert_int_equal(store_write(store, &members[i].job), ERR_OK);
        assert_int_equal(store_write(store, &others[i].job), ERR_OK);
    }
    store_fail_at(nth);
    let_go(&held);
    for (size_t i = 0; i < FEW; i++) {
        member_await(&members[i]);
        kit_await(&others[i]);
    }
    struck = !store_fail_pending();
    store_fail_at(0);
    for (size_t i = 0; i < FEW; i++) {
        assert_false(members[i].job.unknown || others[i].job.unknown);
        assert_int_equal(kit_has_thing(store, members[i].id), members[i].job.err == ERR_OK);
        assert_int_equal(kit_has_thing(store, others[i].id), others[i].job.err == ERR_OK);
        assert_true(members[i].job.err != ERR_OK || i != 2);
    }
    return struck;
}

static void the_nth_call_fails_and_nothing_is_lost(void **state)
{
    static const struct store_statement clear = {.name = "nth_clear",
                                                 .sqlite = "DELETE FROM things"};
    struct store *store = kit_open_with_table(*state);
    bool struck = true;
    uint64_t n;

    for (n = 1; struck && n < ROUNDS_MAX; n++) {
        struck = play(store, (int64_t)n * 100, n);
        kit_exec(store, &clear);
    }
    assert_in_range(n, 10, ROUNDS_MAX - 1);
    store_close(store);
}

/* ---- Statements of many rows -------------------------------------------------------------- */

struct many {
    size_t rows;
    int64_t first, bad; /* ids from `first`; the row `bad` repeats the one before it */
    int64_t changed;
    enum err afterwards;
};

static enum err many_run(struct store_conn *conn, struct store_job *job)
{
    struct many *many = job->context;
    struct store_value *values = alloc_zero((many->rows + 1) * 3 * sizeof(*values));
    char(*names)[32] = alloc_zero((many->rows + 1) * sizeof(*names));
    enum err err;

    PC_ASSERT(values != NULL && names != NULL);
    for (size_t i = 0; i < many->rows; i++) {
        int64_t id = many->first + (int64_t)i - ((int64_t)i == many->bad ? 1 : 0);

        (void)snprintf(names[i], sizeof(names[i]), "many-%lld", (long long)id);
        values[i * 3] = STORE_I64(id);
        values[i * 3 + 1] = STORE_TEXT(span_from(names[i]));
        values[i * 3 + 2] = i % 2 == 0 ? STORE_NULL : STORE_I64((int64_t)i);
    }
    err = store_exec_many(conn, &group_insert, values, 3, many->rows, &many->changed);
    many->afterwards = store_exec(conn, &kit_insert,
                                  STORE_PARAMS(STORE_I64(-1), STORE_TEXT(SPAN_OF("after"))), NULL);
    alloc_free(values);
    alloc_free(names);
    return err;
}

static void many_rows_are_one_statement(void **state)
{
    static const size_t sizes[] = {0, 1, 2, ROWS_MAX};
    struct store *store = kit_open_with_table(*state);
    int64_t rows = 0;

    for (size_t i = 0; i < PC_COUNT(sizes); i++) {
        struct many many = {.rows = sizes[i], .first = 10000 * (int64_t)i + 1, .bad = -1};
        static const struct store_statement clear = {.name = "many_clear",
                                                     .sqlite = "DELETE FROM things WHERE id = -1"};

        assert_int_equal(store_do(store, many_run, &many, true), ERR_OK);
        assert_int_equal(many.changed, sizes[i]);
        assert_int_equal(many.afterwards, ERR_OK);
        kit_exec(store, &clear);
        rows += (int64_t)sizes[i];
        assert_int_equal(kit_things(store), rows);
    }
    assert_int_equal(number_of(store, 30002), 1);
    store_close(store);
}

/* The same buffer in all rows, longer and shorter, nothing and zero behind each other. */
static enum err shared_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement put = {
        .name = "shared_put",
        .sqlite = "INSERT INTO things (id, name, number, bytes) VALUES (?1, ?2, ?3, ?4)"};
    char buffer[] = "olds";
    struct span all = span_make(buffer, 4);
    struct store_value values[] = {
        STORE_I64(0), STORE_TEXT(SPAN_OF("a")), STORE_I64(7), STORE_BLOB(all),
        STORE_I64(1), STORE_TEXT(SPAN_OF("b")), STORE_I64(7), STORE_BLOB(all),
        STORE_I64(2), STORE_TEXT(SPAN_OF("c")), STORE_I64(7), STORE_BLOB(span_slice(all, 0, 3)),
        STORE_I64(3), STORE_TEXT(SPAN_OF("d")), STORE_NULL,   STORE_NULL,
        STORE_I64(4), STORE_TEXT(SPAN_OF("e")), STORE_I64(0), STORE_BLOB(SPAN_OF("")),
        STORE_I64(5), STORE_TEXT(SPAN_OF("f")), STORE_I64(0), STORE_BLOB(SPAN_OF("")),
        STORE_I64(6), STORE_TEXT(SPAN_OF("g")), STORE_I64(7), STORE_BLOB(all)};
    enum err err = store_exec_many(conn, &put, values, 4, 6, NULL);

    (void)job;
    memcpy(buffer, "news", 4);
    return err ? err : store_exec_many(conn, &put, values + (size_t)6 * 4, 4, 1, NULL);
}

static void rows_share_their_values(void **state)
{
    static const struct store_statement get = {
        .name = "shared_get",
        .sqlite = "SELECT 100 * coalesce(number, -1) + coalesce(length(bytes), 50) FROM things "
                  "WHERE id = ?1"};
    static const struct store_statement news = {
        .name = "shared_news",
        .sqlite = "SELECT count(*) FROM things WHERE id >= ?1 AND bytes = x'6e657773'",
        .postgres = "SELECT count(*) FROM things WHERE id >= $1 AND bytes = '\\x6e657773'"};
    static const int64_t right[] = {704, 704, 703, -50, 0, 0, 704};
    struct store *store = kit_open_with_table(*state);
    struct kit_number number = {.statement = &news};

    assert_int_equal(store_do(store, shared_run, NULL, true), ERR_OK);
    assert_int_equal(store_do(store, kit_number_run, &number, false), ERR_OK);
    assert_int_equal(number.result, 1);
    for (size_t i = 0; i < PC_COUNT(right); i++) {
        number = (struct kit_number){.statement = &get, .id = (int64_t)i};
        assert_int_equal(store_do(store, kit_number_run, &number, false), ERR_OK);
        assert_int_equal(number.result, right[i]);
    }
    store_close(store);
}

enum { LOUD_BYTES = 128 * 1024, LOUD_ROWS = 200 };

/* Each row goes there and comes back. */
static enum err loud_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement echo = {
        .name = "loud_echo", .sqlite = "SELECT ?1", .postgres = "SELECT $1::text"};
    static struct store_value values[LOUD_ROWS];
    static char text[LOUD_BYTES];

    (void)job;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < LOUD_ROWS; i++)
        values[i] = STORE_TEXT(span_make(text, sizeof(text)));
    return store_exec_many(conn, &echo, values, 1, LOUD_ROWS, NULL);
}

/* Both sides have more to say than buffers hold: neither waits for the other to listen first. */
static void both_sides_speak_at_once(void **state)
{
    struct store *store = kit_open_with_table(*state);

    assert_int_equal(store_do(store, loud_run, NULL, true), ERR_OK);
    assert_int_equal(kit_add(store, 1), ERR_OK);
    store_close(store);
}

/* Asks for no answer, twice: the second call may repeat a row of the first. */
static enum err unasked_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                            const void *context)
{
    enum err err = ERR_OK;

    (void)context;
    PC_ASSERT(count > 0);
    for (size_t i = 0; i < 2 * count && !err; i++) {
        struct member *member = PC_CONTAINER(jobs[i % count], struct member, job);
        int64_t id = member->id + (i >= count ? 1000 : 0);
        char name[32];

        member->runs += i < count ? 1 : 0;
        (void)snprintf(name, sizeof(name), "unasked-%lld",
                       (long long)(member->fail_with ? member->id : id));
        err = store_exec_many(conn, &group_insert,
                              STORE_PARAMS(STORE_I64(id), STORE_TEXT(span_from(name)), STORE_NULL),
                              1, NULL);
    }
    return err;
}

/* Nobody waits for the answers before COMMIT, and a refusal among them still undoes its own job and
 * no other. */
static void unasked_answers_still_count(void **state)
{
    struct store *store = kit_open_with_table(*state);
    static struct member members[MEMBERS];
    struct group group = {0};
    struct held held;

    hold(&held, store);
    for (int64_t i = 0; i < MEMBERS; i++) {
        member_init(&members[i], i, &group);
        members[i].job.together = unasked_run;
        members[i].fail_with = i == 11 ? ERR_CONFLICT : ERR_OK; /* takes the name twice */
        assert_int_equal(store_write(store, &members[i].job), ERR_OK);
    }
    let_go(&held);
    for (size_t i = 0; i < MEMBERS; i++) {
        member_await(&members[i]);
        assert_int_equal(members[i].job.err, i == 11 ? ERR_STORE_UNIQUE : ERR_OK);
        assert_int_equal(members[i].runs, 2);
    }
    assert_int_equal(kit_things(store), 1 + 2 * (MEMBERS - 1));
    store_close(store);
}

static const struct store_statement group_touch = {
    .name = "group_touch", .sqlite = "UPDATE things SET number = ?2 WHERE id = ?1"};

enum { TURNS = 60 };

/* Inserts a row and touches it, again and again; the member that is to fail touches another. */
static enum err each_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                         const void *context)
{
    enum err err = ERR_OK;

    (void)context;
    for (size_t i = 0; i < count; i++)
        PC_CONTAINER(jobs[i], struct member, job)->runs++;
    for (size_t i = 0; i < count * TURNS && !err; i++) {
        struct member *member = PC_CONTAINER(jobs[i / TURNS], struct member, job);
        int64_t id = member->id * TURNS + (int64_t)(i % TURNS);
        bool misses = member->fail_with && i % TURNS == TURNS - 1;
        char name[32];

        (void)snprintf(name, sizeof(name), "each-%lld", (long long)id);
        err = store_exec_many(conn, &group_insert,
                              STORE_PARAMS(STORE_I64(id), STORE_TEXT(span_from(name)), STORE_NULL),
                              1, NULL);
        if (err == ERR_OK)
            err = store_exec_each(conn, &group_touch,
                                  STORE_PARAMS(STORE_I64(misses ? -5 : id), STORE_I64(id)), 1);
    }
    return err;
}

/* A row that had to change and was not there ends everything before COMMIT, however late it is
 * told. */
static void a_row_that_is_not_there_is_damage(void **state)
{
    static const struct store_statement clear = {.name = "each_clear",
                                                 .sqlite = "DELETE FROM things WHERE id >= 100000"};
    struct store *store = kit_open_with_table(*state);
    struct group group = {0};

    for (int64_t round = 0; round < 3; round++) {
        struct member members[3];
        struct held held;

        hold(&held, store);
        for (int64_t i = 0; i < 3; i++) {
            member_init(&members[i], 3 * round + i, &group);
            members[i].job.together = each_run;
            members[i].fail_with = round == 1 && i == 2 ? ERR_CONFLICT : ERR_OK;
            assert_int_equal(store_write(store, &members[i].job), ERR_OK);
        }
        let_go(&held);
        for (size_t i = 0; i < 3; i++) {
            member_await(&members[i]);
            assert_int_equal(members[i].job.err, round == 1 ? ERR_STORE_CORRUPT : ERR_OK);
            assert_int_equal(members[i].runs, 1);
        }
        kit_exec(store, &clear);
    }
    assert_int_equal(kit_things(store), 2 * 3 * TURNS);
    store_close(store);
}

/* Wherever it is refused: nothing of it stays, its job is over and the next is none the worse. */
static void a_refused_row_ends_the_job(void **state)
{
    static const int64_t places[] = {1, 2, 50, 99, ROWS_MAX / 2, ROWS_MAX - 1};
    struct store *store = kit_open_with_table(*state);

    for (size_t i = 0; i < PC_COUNT(places); i++) {
        size_t rows = places[i] < 100 ? 100 : ROWS_MAX;
        struct many many = {.rows = rows, .first = 1, .bad = places[i], .changed = -7};

        assert_int_equal(store_do(store, many_run, &many, true), ERR_STORE_UNIQUE);
        assert_int_equal(many.changed, -7);
        assert_int_equal(many.afterwards, ERR_STORE_UNIQUE);
        assert_int_equal(kit_things(store), i);
        assert_int_equal(kit_add(store, 100000 + (int64_t)i), ERR_OK);
    }
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(each_group_is_one_call_and_one_commit),
        KIT_TEST(a_refused_group_is_run_one_by_one),
        KIT_TEST(weights_part_a_group),
        KIT_TEST(a_group_locks_what_it_needs),
        KIT_TEST(a_full_queue_refuses_members),
        KIT_TEST(the_nth_call_fails_and_nothing_is_lost),
        KIT_TEST(many_rows_are_one_statement),
        KIT_TEST(rows_share_their_values),
        KIT_TEST(both_sides_speak_at_once),
        KIT_TEST(unasked_answers_still_count),
        KIT_TEST(a_row_that_is_not_there_is_damage),
        KIT_TEST(a_refused_row_ends_the_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
