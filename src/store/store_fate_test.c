/* SPDX-License-Identifier: MIT
 * COMMITs whose answer never comes, on a real PostgreSQL server: what was committed is told as done
 * and not done twice, what was not is done again, and only what nobody can know is unknown. */
#include "store/store_test_kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

static void sleep_ms(long ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&wait, NULL);
}

static int64_t number_at(const char *text)
{
    int64_t number = 0;

    assert_true(span_to_i64(span_make(text, strspn(text, "0123456789")), &number));
    return number;
}

/* ---- A relay between us and the server, that fails on purpose ----------------------------- */

enum { PAIRS_MAX = 32, CHUNK_BYTES = 64 * 1024 };

enum strike {
    STRIKE_NONE,
    STRIKE_ANSWER, /* passes COMMIT on, swallows its answer, then cuts */
    STRIKE_HOLD,   /* the same, but cuts only when told to */
    STRIKE_BEFORE, /* cuts both sides before COMMIT is passed on */
    STRIKE_OURS,   /* cuts our side before that; the server hears nothing of it for long */
};

struct pair {
    int client, server;
    bool waits; /* COMMIT was passed on; its answer must not be */
};

struct relay {
    pthread_t thread;
    int listener;
    int server_port, port;
    struct pair pairs[PAIRS_MAX];
    _Atomic int strike; /* enum strike; once, */
    _Atomic int spare;  /* behind so many COMMITs that are left alone */
    _Atomic bool stop, cut_held;
    sem_t swallowed;
};

static void cut(struct pair *pair)
{
    if (pair->client >= 0)
        (void)close(pair->client);
    if (pair->server >= 0)
        (void)close(pair->server);
    *pair = (struct pair){.client = -1, .server = -1};
}

static bool pass_on(int fd, const char *bytes, ssize_t len)
{
    for (ssize_t at = 0, sent; at < len; at += sent) {
        sent = send(fd, bytes + at, (size_t)(len - at), MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
    }
    return true;
}

static void accept_one(struct relay *relay)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)relay->server_port)};
    int client = accept(relay->listener, NULL, NULL);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (size_t i = 0; i < PAIRS_MAX && client >= 0; i++) {
        struct pair *pair = &relay->pairs[i];

        if (pair->client >= 0 || pair->server >= 0)
            continue;
        *pair = (struct pair){.client = client, .server = socket(AF_INET, SOCK_STREAM, 0)};
        if (connect(pair->server, (struct sockaddr *)&to, sizeof(to)) != 0)
            cut(pair);
        return;
    }
    PC_WRONG("too many connections for the relay");
}

static void from_client(struct relay *relay, struct pair *pair)
{
    static char bytes[CHUNK_BYTES];
    ssize_t len = recv(pair->client, bytes, sizeof(bytes), 0);
    int strike = atomic_load(&relay->strike);

    if (len <= 0) {
        cut(pair);
        return;
    }
    if (strike != STRIKE_NONE && memmem(bytes, (size_t)len, "COMMIT", 7) != NULL &&
        atomic_fetch_sub(&relay->spare, 1) <= 0) {
        if (strike == STRIKE_BEFORE) {
            atomic_store(&relay->strike, STRIKE_NONE);
            cut(pair);
            return;
        }
        if (strike == STRIKE_OURS) {
            atomic_store(&relay->strike, STRIKE_NONE);
            (void)close(pair->client);
            pair->client = -1;
            return;
        }
        pair->waits = true;
    }
    if (!pass_on(pair->server, bytes, len))
        cut(pair);
}

static void from_server(struct relay *relay, struct pair *pair)
{
    static char bytes[CHUNK_BYTES];
    ssize_t len = recv(pair->server, bytes, sizeof(bytes), 0);

    if (len <= 0) {
        cut(pair);
        return;
    }
    if (pair->waits) {
        if (memmem(bytes, (size_t)len, "COMMIT", 7) == NULL)
            return;
        (void)sem_post(&relay->swallowed);
        if (atomic_exchange(&relay->strike, STRIKE_NONE) == STRIKE_ANSWER)
            cut(pair);
        return;
    }
    if (pair->client >= 0 && !pass_on(pair->client, bytes, len))
        cut(pair);
}

static void *relay_run(void *context)
{
    struct relay *relay = context;

    while (!relay->stop) {
        struct pollfd fds[1 + 2 * PAIRS_MAX] = {{.fd = relay->listener, .events = POLLIN}};

        for (size_t i = 0; i < PAIRS_MAX; i++) {
            if (relay->cut_held && relay->pairs[i].waits)
                cut(&relay->pairs[i]);
            fds[1 + 2 * i] = (struct pollfd){.fd = relay->pairs[i].client, .events = POLLIN};
            fds[2 + 2 * i] = (struct pollfd){.fd = relay->pairs[i].server, .events = POLLIN};
        }
        if (poll(fds, PC_COUNT(fds), 20) <= 0)
            continue;
        if (fds[0].revents != 0)
            accept_one(relay);
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            struct pair *pair = &relay->pairs[i];

            if (fds[1 + 2 * i].revents != 0 && pair->client == fds[1 + 2 * i].fd)
                from_client(relay, pair);
            if (fds[2 + 2 * i].revents != 0 && pair->server == fds[2 + 2 * i].fd)
                from_server(relay, pair);
        }
    }
    return NULL;
}

/* Turns the kit's URL to the relay. */
static void relay_start(struct relay *relay, struct kit *kit)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    char *port = strrchr(kit->url, ':');
    char url[sizeof(kit->url) + 32];

    assert_non_null(port);
    memset(relay, 0, sizeof(*relay));
    for (size_t i = 0; i < PAIRS_MAX; i++)
        relay->pairs[i] = (struct pair){.client = -1, .server = -1};
    assert_int_equal(sem_init(&relay->swallowed, 0, 0), 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    relay->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(relay->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(relay->listener, PAIRS_MAX), 0);
    assert_int_equal(getsockname(relay->listener, (struct sockaddr *)&at, &len), 0);
    relay->port = ntohs(at.sin_port);
    relay->server_port = (int)number_at(port + 1);
    *port = '\0';
    (void)snprintf(url, sizeof(url), "%s:%d/%s", kit->url, relay->port, strchr(port + 1, '/') + 1);
    memcpy(kit->url, url, sizeof(kit->url));
    kit->options.url = span_from(kit->url);
    assert_int_equal(pthread_create(&relay->thread, NULL, relay_run, relay), 0);
}

static void relay_stop(struct relay *relay)
{
    relay->stop = true;
    assert_int_equal(pthread_join(relay->thread, NULL), 0);
    for (size_t i = 0; i < PAIRS_MAX; i++)
        cut(&relay->pairs[i]);
    (void)close(relay->listener);
}

static void server_only(const struct kit *kit)
{
    if (!kit->postgres || getenv("PORTCULLIS_TEST_POSTGRES") == NULL)
        skip();
}

static void control(const char *what)
{
    const char *const arguments[] = {getenv("PORTCULLIS_TEST_POSTGRES"), "--control", what, NULL};

    kit_command(arguments);
}

/* ---- Cut connections ---------------------------------------------------------------------- */

enum { COMPANY = 5 };

static enum err together_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                             const void *group)
{
    (void)group;
    for (size_t i = 0; i < count; i++) {
        enum err err = kit_insert_run(conn, jobs[i]);

        if (err)
            return err;
    }
    return ERR_OK;
}

/* The same, with nothing that waits for an answer before COMMIT. */
static enum err unasked_run(struct store_conn *conn, struct store_job *const *jobs, size_t count,
                            const void *group)
{
    struct store_value values[COMPANY * 2];
    char names[COMPANY][32];

    (void)group;
    PC_ASSERT(count <= COMPANY);
    for (size_t i = 0; i < count; i++) {
        struct kit_job *kj = PC_CONTAINER(jobs[i], struct kit_job, job);

        kj->runs++;
        (void)snprintf(names[i], sizeof(names[i]), "thing-%lld", (long long)kj->id);
        values[2 * i] = STORE_I64(kj->id);
        values[2 * i + 1] = STORE_TEXT(span_from(names[i]));
    }
    return store_exec_many(conn, &kit_insert, values, 2, count, NULL);
}

/* How the jobs are given: one alone, many in a batch, many together. */
enum manner { ALONE, BATCH, TOGETHER, UNASKED, MANNERS };

static size_t give(struct store *store, struct kit_job *jobs, enum manner manner, int64_t base)
{
    size_t count = manner == ALONE ? 1 : COMPANY;
    struct kit_job first;
    sem_t started, go;

    assert_int_equal(sem_init(&started, 0, 0) | sem_init(&go, 0, 0), 0);
    kit_job_init(&first, base + 99);
    first.tell_started = &started;
    first.wait_for = &go;
    if (manner != ALONE) {
        assert_int_equal(store_write(store, &first.job), ERR_OK);
        while (sem_wait(&started) != 0)
            continue;
    }
    for (size_t i = 0; i < count; i++) {
        kit_job_init(&jobs[i], base + (int64_t)i);
        if (manner >= TOGETHER) {
            jobs[i].job.run = NULL;
            jobs[i].job.together = manner == TOGETHER ? together_run : unasked_run;
        }
        assert_int_equal(store_write(store, &jobs[i].job), ERR_OK);
    }
    if (manner != ALONE) {
        assert_int_equal(sem_post(&go), 0);
        kit_await(&first);
        assert_int_equal(first.job.err, ERR_OK);
    }
    return count;
}

/* Strikes at the COMMIT of jobs given in each manner, and expects everything done exactly once in
 * the end, by that many runs of each job. */
static void strike_at(struct kit *kit, enum strike strike, size_t runs)
{
    static struct relay relay;
    struct store *direct = kit_open_with_table(kit); /* around the relay */
    struct store_stats stats;
    struct store *store;

    relay_start(&relay, kit);
    store = kit_open(kit);
    for (int64_t manner = ALONE; manner < MANNERS; manner++) {
        struct kit_job jobs[COMPANY];
        size_t count;

        atomic_store(&relay.spare, manner == ALONE ? 0 : 1); /* the one that holds the writer */
        atomic_store(&relay.strike, strike);
        count = give(store, jobs, (enum manner)manner, (manner + 1) * 1000);
        for (size_t i = 0; i < count; i++) {
            kit_await(&jobs[i]);
            assert_int_equal(jobs[i].job.err, ERR_OK);
            assert_false(jobs[i].job.unknown);
            assert_int_equal(jobs[i].runs, runs);
            assert_true(kit_has_thing(direct, jobs[i].id));
        }
        assert_int_equal(relay.strike, STRIKE_NONE);
    }
    store_stats(store, &stats);
    assert_int_equal(stats.unknown, 0);
    assert_int_equal(stats.learned, MANNERS);
    store_close(store);
    store_close(direct);
    relay_stop(&relay);
}

/* The server committed and said so to nobody. */
static void a_commit_without_its_answer_is_done_once(void **state)
{
    server_only(*state);
    strike_at(*state, STRIKE_ANSWER, 1);
}

/* It never heard of the COMMIT. */
static void a_commit_that_never_came_is_done_again(void **state)
{
    server_only(*state);
    strike_at(*state, STRIKE_BEFORE, 2);
}

/* The same, but it does not know that we have gone, and would keep the transaction and its locks.
 */
static void a_transaction_left_behind_is_ended(void **state)
{
    server_only(*state);
    strike_at(*state, STRIKE_OURS, 2);
}

/* ---- Servers that die --------------------------------------------------------------------- */

static const struct store_statement slow_function = {
    .name = "slow_function",
    .sqlite = "SELECT 1",
    .postgres = "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
                " 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'"};
static const struct store_statement slow_commit = {
    .name = "slow_commit",
    .sqlite = "SELECT 1",
    .postgres = "CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON things DEFERRABLE"
                " INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly()"};

static void psql(const char *text)
{
    const char *const arguments[] = {
        "psql", "-q", "-v", "ON_ERROR_STOP=1", getenv("PORTCULLIS_TEST_POSTGRES_URL"),
        "-c",   text, NULL};

    kit_command(arguments);
}

static pid_t postmaster(void)
{
    char path[256];
    char line[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/data/postmaster.pid",
                   getenv("PORTCULLIS_TEST_POSTGRES_DIR"));
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    (void)fclose(file);
    return (pid_t)number_at(line);
}

/* Ends the backend politely: the others live on. */
static void end_backend(void)
{
    psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT'"
         " AND state = 'active'");
}

/* Ends it by SIGKILL: the server throws everybody out and recovers. */
static void kill_backend(void)
{
    psql("COPY (SELECT pid FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active')"
         " TO PROGRAM 'read pid; (sleep 0.1; kill -9 $pid) >/dev/null 2>&1 &'");
}

static void kill_postmaster(void)
{
    assert_int_equal(kill(postmaster(), SIGKILL), 0);
    control("start");
}

/* Whoever dies while the server is inside COMMIT: what it had not finished is done again. */
static void a_server_that_dies_in_commit_is_asked(void **state)
{
    static void (*const deaths[])(void) = {end_backend, kill_backend, kill_postmaster};
    struct kit *kit = *state;
    struct store *store;
    struct store_stats stats;

    server_only(kit);
    store = kit_open_with_table(kit);
    kit_exec(store, &slow_function);
    kit_exec(store, &slow_commit);
    for (size_t i = 0; i < PC_COUNT(deaths); i++) {
        struct kit_job kj;
        sem_t started;

        assert_int_equal(sem_init(&started, 0, 0), 0);
        kit_job_init(&kj, (int64_t)i);
        kj.tell_started = &started;
        assert_int_equal(store_write(store, &kj.job), ERR_OK);
        while (sem_wait(&started) != 0)
            continue;
        sleep_ms(300); /* inside COMMIT, where the trigger sleeps for a second */
        deaths[i]();
        kit_await(&kj);
        assert_int_equal(kj.job.err, ERR_OK);
        assert_false(kj.job.unknown);
        assert_int_equal(kj.runs, 2);
        assert_int_equal(kit_things(store), i + 1);
    }
    store_stats(store, &stats);
    assert_int_equal(stats.unknown, 0);
    store_close(store);
}

/* It committed, nobody heard of it, and then it crashed: its number may be another's by now, so
 * nobody knows, and the job is not run again. */
static void a_crashed_servers_word_is_not_taken(void **state)
{
    static struct relay relay;
    struct kit *kit = *state;
    struct store_stats stats;
    struct store *direct;
    struct store *store;
    struct kit_job kj;

    server_only(kit);
    direct = kit_open_with_table(kit);
    relay_start(&relay, kit);
    store = kit_open(kit);
    kit_job_init(&kj, 1);
    atomic_store(&relay.strike, STRIKE_HOLD);
    assert_int_equal(store_write(store, &kj.job), ERR_OK);
    while (sem_wait(&relay.swallowed) != 0)
        continue;
    control("crash");
    control("start");
    relay.cut_held = true;
    kit_await(&kj);
    assert_int_equal(kj.job.err, ERR_STORE_UNAVAILABLE);
    assert_true(kj.job.unknown);
    assert_int_equal(kj.runs, 1);
    store_stats(store, &stats);
    assert_int_equal(stats.unknown, 1);
    assert_int_equal(stats.learned, 0);
    assert_true(kit_has_thing(direct, 1));
    store_close(store);
    store_close(direct);
    relay_stop(&relay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(a_commit_without_its_answer_is_done_once),
        KIT_TEST(a_commit_that_never_came_is_done_again),
        KIT_TEST(a_transaction_left_behind_is_ended),
        KIT_TEST(a_server_that_dies_in_commit_is_asked),
        KIT_TEST(a_crashed_servers_word_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
