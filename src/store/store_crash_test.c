/* SPDX-License-Identifier: MIT
 * Sudden death: of our process by SIGKILL, of the server, of the connection in the middle of a
 * batch or of a COMMIT. An acknowledged write is there afterwards; an unknown outcome is called
 * unknown and never repeated. */
#include "store/store_test_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { KILLS = 20, IN_FLIGHT = 16, ACKS_MAX = 100000 };

static void sleep_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&wait, NULL);
}

/* ---- SIGKILL ------------------------------------------------------------------------------ */

static struct store *writing; /* of the child */
static int acks;              /* its pipe */
static _Atomic int64_t next_id;

static void acknowledge(struct store_job *job)
{
    struct kit_job *kj = PC_CONTAINER(job, struct kit_job, job);

    PC_ASSERT(job->err == ERR_OK);
    PC_ASSERT(write(acks, &kj->id, sizeof(kj->id)) == (ssize_t)sizeof(kj->id));
    kj->id = next_id++;
    PC_ASSERT(store_write(writing, job) == ERR_OK);
}

/* Keeps many writes in flight, so that batches form, and tells each that was acknowledged. */
static void write_until_killed(struct kit *kit, int fd, int64_t first_id)
{
    static struct kit_job jobs[IN_FLIGHT];

    acks = fd;
    next_id = first_id;
    PC_ASSERT(store_open(&kit->options, &writing, NULL) == ERR_OK);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        jobs[i] =
            (struct kit_job){.job = {.run = kit_insert_run, .done = acknowledge}, .id = next_id++};
        PC_ASSERT(store_write(writing, &jobs[i].job) == ERR_OK);
    }
    for (;;)
        (void)pause();
}

/* Reads what the child acknowledged until it is dead; kills it some time after the first. */
static size_t reap(pid_t pid, int fd, long ms, int64_t *ids, size_t max)
{
    size_t count = 0;
    int status;

    assert_int_equal(read(fd, &ids[count++], sizeof(*ids)), (ssize_t)sizeof(*ids));
    sleep_ms(ms);
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (count < max && read(fd, &ids[count], sizeof(*ids)) == (ssize_t)sizeof(*ids))
        count++;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return count;
}

static enum err all_there_run(struct store_conn *conn, struct store_job *job)
{
    const int64_t *ids = job->context; /* ended by -1 */

    for (; *ids != -1; ids++) {
        struct kit_number number = {.statement = &kit_has, .id = *ids};
        struct store_job inner = {.context = &number};
        enum err err = kit_number_run(conn, &inner);

        if (err)
            return err;
        if (number.result != 1)
            return ERR_STORE_CORRUPT;
    }
    return ERR_OK;
}

/* Killed at random moments, again and again, on the same database. */
static void acknowledged_writes_survive_sigkill(void **state)
{
    static int64_t ids[ACKS_MAX + 1];
    struct kit *kit = *state;
    struct store *store;
    size_t total = 0;
    unsigned random = 12345;

    store_close(kit_open_with_table(kit));
    for (int round = 0; round < KILLS; round++) {
        int ends[2];
        size_t count;
        pid_t pid;

        assert_int_equal(pipe(ends), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            write_until_killed(kit, ends[1], (int64_t)(round + 1) * 10000000);
        (void)close(ends[1]);
        random = random * 1103515245U + 12345U;
        count = reap(pid, ends[0], (long)(random >> 16) % 40, ids, ACKS_MAX);
        (void)close(ends[0]);
        ids[count] = -1;
        total += count;
        store = kit_open(kit);
        assert_int_equal(store_do(store, all_there_run, ids, false), ERR_OK);
        store_close(store);
    }
    assert_true(total > KILLS);
}

/* ---- The server --------------------------------------------------------------------------- */

static void control(const char *what)
{
    const char *const arguments[] = {getenv("PORTCULLIS_TEST_POSTGRES"), "--control", what, NULL};

    kit_command(arguments);
}

static void server_only(const struct kit *kit)
{
    if (!kit->postgres || getenv("PORTCULLIS_TEST_POSTGRES") == NULL)
        skip();
}

static bool comes_to(struct store *store, enum err err)
{
    for (int i = 0; i < 1500; i++) {
        if (store_ready(store) == err)
            return true;
        sleep_ms(10);
    }
    return false;
}

struct hammer {
    struct store *store;
    pthread_t thread;
    int64_t first_id;
    _Atomic bool stop;
    size_t count;
    enum err errs[5000];
    bool unknown[5000];
};

static void *hammer_on(void *context)
{
    struct hammer *hammer = context;
    struct kit_job kj;

    while (!hammer->stop && hammer->count < PC_COUNT(hammer->errs)) {
        enum err err;

        kit_job_init(&kj, hammer->first_id + (int64_t)hammer->count);
        err = store_write(hammer->store, &kj.job);
        if (err == ERR_OK)
            kit_await(&kj);
        hammer->errs[hammer->count] = err ? err : kj.job.err;
        hammer->unknown[hammer->count] = kj.job.unknown;
        hammer->count++;
        if (err || kj.job.err)
            sleep_ms(1);
    }
    return NULL;
}

/* Every row must be as its job was told; only the unknown may be either. */
static enum err told_right_run(struct store_conn *conn, struct store_job *job)
{
    const struct hammer *hammer = job->context;

    for (size_t i = 0; i < hammer->count; i++) {
        struct kit_number number = {.statement = &kit_has, .id = hammer->first_id + (int64_t)i};
        struct store_job inner = {.context = &number};
        enum err err = kit_number_run(conn, &inner);

        if (err)
            return err;
        if (!hammer->unknown[i] && (number.result == 1) != (hammer->errs[i] == ERR_OK))
            return ERR_STORE_CORRUPT;
    }
    return ERR_OK;
}

enum { HAMMERS = 4 };

/* The server crashes under load and comes back, three times: what was acknowledged is there, what
 * was refused is not, only the unknown may be either, and nobody had to help. */
static void a_crashing_server_loses_nothing(void **state)
{
    static struct hammer hammers[HAMMERS];
    struct store *store;
    size_t refused = 0;

    server_only(*state);
    store = kit_open_with_table(*state);
    for (int64_t i = 0; i < HAMMERS; i++) {
        hammers[i].store = store;
        hammers[i].first_id = (i + 1) * 1000000;
        assert_int_equal(pthread_create(&hammers[i].thread, NULL, hammer_on, &hammers[i]), 0);
    }
    for (int round = 0; round < 3; round++) {
        sleep_ms(100);
        control("crash");
        control("start");
        assert_true(comes_to(store, ERR_OK));
    }
    for (size_t i = 0; i < HAMMERS; i++)
        hammers[i].stop = true;
    for (size_t i = 0; i < HAMMERS; i++) {
        assert_int_equal(pthread_join(hammers[i].thread, NULL), 0);
        for (size_t j = 0; j < hammers[i].count; j++)
            refused += hammers[i].errs[j] != ERR_OK;
        assert_int_equal(store_do(store, told_right_run, &hammers[i], false), ERR_OK);
    }
    assert_true(refused > 0);
    store_close(store);
}

static enum err kill_self_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement kill_self = {
        .name = "kill_self", .sqlite = "SELECT pg_terminate_backend(pg_backend_pid())"};
    struct kit_job *kj = PC_CONTAINER(job, struct kit_job, job);
    PC_AUTO(store_rows) rows = NULL;

    if (kj->runs++ > 0)
        return ERR_OK;
    return store_query(conn, &kill_self, NULL, 0, &rows);
}

/* A connection that dies inside a batch, before COMMIT, costs nothing: nothing of the batch was
 * kept, so all of it runs once more. */
static void a_batch_survives_its_connection(void **state)
{
    struct store *store;
    struct kit_job jobs[12];
    sem_t go, started;

    server_only(*state);
    store = kit_open_with_table(*state);
    assert_int_equal(sem_init(&go, 0, 0) | sem_init(&started, 0, 0), 0);
    for (int64_t i = 0; i < 12; i++)
        kit_job_init(&jobs[i], i);
    jobs[0].tell_started = &started;
    jobs[0].wait_for = &go;
    jobs[7].job.run = kill_self_run;
    assert_int_equal(store_write(store, &jobs[0].job), ERR_OK);
    while (sem_wait(&started) != 0)
        continue;
    for (size_t i = 1; i < 12; i++)
        assert_int_equal(store_write(store, &jobs[i].job), ERR_OK);
    assert_int_equal(sem_post(&go), 0);
    for (size_t i = 0; i < 12; i++) {
        kit_await(&jobs[i]);
        assert_int_equal(jobs[i].job.err, ERR_OK);
        assert_int_equal(jobs[i].runs, i == 0 || i > 7 ? 1 : 2);
    }
    assert_int_equal(kit_things(store), 11);
    store_close(store);
}

static const struct store_statement slow_function = {
    .name = "slow_function",
    .sqlite = "SELECT 1",
    .postgres = "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_sleep(3); RETURN NULL; END'"};
static const struct store_statement slow_commit = {
    .name = "slow_commit",
    .sqlite = "SELECT 1",
    .postgres = "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON things DEFERRABLE"
                " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly()"};

/* Puts a write into its COMMIT, does `what` to the server, and returns how the write ended. */
static void commit_and(struct store *store, struct kit_job *kj, const char *what)
{
    static sem_t started;

    assert_int_equal(sem_init(&started, 0, 0), 0);
    kit_job_init(kj, 1);
    kj->tell_started = &started;
    assert_int_equal(store_write(store, &kj->job), ERR_OK);
    while (sem_wait(&started) != 0)
        continue;
    sleep_ms(300); /* the trigger sleeps in COMMIT for three seconds */
    control(what);
    kit_await(kj);
}

/* A server that dies during COMMIT leaves the outcome unknown, and the job is not run again. */
static void a_lost_commit_is_unknown_and_not_repeated(void **state)
{
    struct store *store;
    struct store_stats stats;
    struct kit_job kj;

    server_only(*state);
    store = kit_open_with_table(*state);
    kit_exec(store, &slow_function);
    kit_exec(store, &slow_commit);
    commit_and(store, &kj, "crash");
    assert_int_equal(kj.job.err, ERR_STORE_UNAVAILABLE);
    assert_true(kj.job.unknown);
    assert_int_equal(kj.runs, 1);
    store_stats(store, &stats);
    assert_int_equal(stats.unknown, 1);
    assert_int_equal(kit_add(store, 2), ERR_STORE_UNAVAILABLE); /* known not to have happened */
    control("start");
    assert_true(comes_to(store, ERR_OK));
    store_close(store);
}

/* A server that hangs is given up within a bound, wherever it hangs. */
static void a_hanging_server_is_given_up(void **state)
{
    struct kit *kit = *state;
    struct store *store;
    struct kit_number number = {.statement = &kit_count};

    server_only(kit);
    kit->options.statement_timeout_ms = 500;
    kit->options.busy_timeout_ms = 500;
    kit->options.readers = 1; /* the one that is connected */
    store = kit_open_with_table(kit);
    assert_int_equal(kit_things(store), 0);
    control("freeze");
    assert_int_equal(store_do(store, kit_number0_run, &number, false), ERR_STORE_UNAVAILABLE);
    control("thaw");
    assert_true(comes_to(store, ERR_OK));
    assert_int_equal(kit_things(store), 0);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(acknowledged_writes_survive_sigkill),
        KIT_TEST(a_crashing_server_loses_nothing),
        KIT_TEST(a_batch_survives_its_connection),
        KIT_TEST(a_lost_commit_is_unknown_and_not_repeated),
        KIT_TEST(a_hanging_server_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
