/* SPDX-License-Identifier: MIT
 * A writer that stands still refuses those who come, in time, and goes on where it was. */
#include "store/store_test_kit.h"

#include <time.h>

#include "base/clock.h"
#include "base/limits.h"

static struct kit *the_kit;
static struct store *the_store;

static int setup(void **state)
{
    if (kit_setup(state) != 0)
        return -1;
    the_kit = *state;
    the_store = kit_open_with_table(the_kit);
    return 0;
}

static int teardown(void **state)
{
    store_close(the_store);
    return kit_teardown(state);
}

/* ---- jobs ---- */

struct slow {
    struct store_job job;
    sem_t running, over;
    int64_t ms;
};

static void sleep_ms(int64_t ms)
{
    const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * CLOCK_NS_PER_MS};

    (void)nanosleep(&wait, NULL);
}

/* As long as a disk that hangs. */
static enum err slow_run(struct store_conn *conn, struct store_job *job)
{
    struct slow *slow = PC_CONTAINER(job, struct slow, job);

    (void)conn;
    assert_int_equal(sem_post(&slow->running), 0);
    sleep_ms(slow->ms);
    return ERR_OK;
}

static void slow_done(struct store_job *job)
{
    struct slow *slow = PC_CONTAINER(job, struct slow, job);

    assert_int_equal(sem_post(&slow->over), 0);
}

static void slow_init(struct slow *slow, int64_t ms)
{
    *slow = (struct slow){.job = {.run = slow_run, .done = slow_done}, .ms = ms};
    assert_int_equal(sem_init(&slow->running, 0, 0), 0);
    assert_int_equal(sem_init(&slow->over, 0, 0), 0);
}

/* ---- tests ---- */

static void a_writer_that_stands_still_refuses(void **state)
{
    struct slow stuck;
    struct slow behind;
    struct slow later;

    (void)state;
    slow_init(&stuck, LIMIT_STORE_STALL_MS + 1500);
    slow_init(&behind, 0);
    slow_init(&later, 0);
    sleep_ms(100); /* what made the table is answered before it is over */
    assert_int_equal(store_stalled_ns(the_store), 0);
    assert_int_equal(store_write(the_store, &stuck.job), ERR_OK);
    assert_int_equal(sem_wait(&stuck.running), 0);
    assert_int_equal(store_write(the_store, &behind.job), ERR_OK);
    store_refuse_stalled(the_store);
    assert_int_not_equal(sem_trywait(&behind.over), 0); /* it is no stall yet */

    sleep_ms(LIMIT_STORE_STALL_MS + 300);
    assert_true(store_stalled_ns(the_store) > LIMIT_STORE_STALL_MS * CLOCK_NS_PER_MS);
    assert_int_equal(store_write(the_store, &later.job), ERR_STORE_SLOW);
    store_refuse_stalled(the_store);
    assert_int_equal(sem_trywait(&behind.over), 0);
    assert_int_equal(behind.job.err, ERR_STORE_SLOW);

    assert_int_equal(sem_wait(&stuck.over), 0); /* what was on its way is done */
    assert_int_equal(stuck.job.err, ERR_OK);
    sleep_ms(100);
    assert_int_equal(store_stalled_ns(the_store), 0);
    assert_int_equal(store_write(the_store, &later.job), ERR_OK);
    assert_int_equal(sem_wait(&later.over), 0);
    assert_int_equal(later.job.err, ERR_OK);
}

/* Reads do not wait for the writer. */
static void reads_go_on_meanwhile(void **state)
{
    struct slow stuck;
    struct kit_number number = {.statement = &kit_count};

    (void)state;
    slow_init(&stuck, LIMIT_STORE_STALL_MS + 500);
    assert_int_equal(store_write(the_store, &stuck.job), ERR_OK);
    assert_int_equal(sem_wait(&stuck.running), 0);
    sleep_ms(LIMIT_STORE_STALL_MS + 200);
    assert_int_equal(store_do(the_store, kit_number0_run, &number, false), ERR_OK);
    assert_int_equal(sem_wait(&stuck.over), 0);
}

/* Who was taken from the queue and waits for those before is refused when it comes to it. */
static void who_waits_too_long_is_refused(void **state)
{
    enum { JOBS = 4 };
    struct slow jobs[JOBS];

    (void)state;
    store_close(the_store);
    the_kit->options.batch_max = 1;
    the_store = kit_open(the_kit);
    slow_init(&jobs[0], 200); /* meanwhile the others come together */
    assert_int_equal(store_write(the_store, &jobs[0].job), ERR_OK);
    assert_int_equal(sem_wait(&jobs[0].running), 0);
    for (size_t i = 1; i < JOBS; i++) {
        slow_init(&jobs[i], LIMIT_STORE_WAIT_MS / 2 + 300);
        assert_int_equal(store_write(the_store, &jobs[i].job), ERR_OK);
    }
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(sem_wait(&jobs[i].over), 0);
        assert_int_equal(jobs[i].job.err, i < JOBS - 1 ? ERR_OK : ERR_STORE_SLOW);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_writer_that_stands_still_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_go_on_meanwhile, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_too_long_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
