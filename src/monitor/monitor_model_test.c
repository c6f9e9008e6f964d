/* SPDX-License-Identifier: MIT
 * The states of alerts against a model: random tellings, steps of operators and failures of the
 * store, and after each of them the rows are what a few lines of plain code say they should be.
 *   PORTCULLIS_TEST_SEED, PORTCULLIS_TEST_OPERATIONS */
#include "monitor/monitor_test_kit.h"

enum { NAMES = 3, ROWS_MAX = 4000, OPERATIONS = 600, LOOK_EVERY = 7, UNTOLD_NS = 95 };

static const char *const sources[] = {"alertmanager", "portcullis"};

/* A row as it should be. */
struct row {
    size_t source, name;
    bool firing, acknowledged;
    int64_t times, starts_at, ends_at, last_at, steps;
    int words; /* what its annotations say */
};

static struct {
    struct row rows[ROWS_MAX];
    size_t count;
    struct random_seeded random;
    int64_t fired, resolved, acknowledged; /* events */
} model;

static uint64_t any(uint64_t below)
{
    uint64_t number;

    random_fill(&model.random.source, &number, sizeof(number));
    return number % below;
}

static struct row *open_row(size_t source, size_t name)
{
    for (size_t i = 0; i < model.count; i++) {
        struct row *row = &model.rows[i];

        if (row->firing && row->source == source && row->name == name)
            return row;
    }
    return NULL;
}

static bool is_known(size_t source, size_t name, int64_t starts_at, int64_t until)
{
    for (size_t i = 0; i < model.count; i++) {
        const struct row *row = &model.rows[i];

        if (row->source == source && row->name == name && row->starts_at >= starts_at &&
            row->starts_at <= until)
            return true;
    }
    return false;
}

/* One operation, as the store is told of it. */
struct operation {
    enum { TELL, ACKNOWLEDGE, RESOLVE, SWEEP } kind;
    size_t source, name;
    int words;
    int64_t starts_at, ends_at, id, now;
    bool firing, only_open, start_counts;
    enum err result;
};

static enum err run(struct store_conn *conn, struct store_job *job)
{
    const struct monitor_who who = {.shown = SPAN("user:1"), .kind = TRAIL_ACTOR_SYSTEM};
    struct operation *op = job->context;
    char words[64];
    struct monitor_told told = {.source = span_from(sources[op->source]),
                                .fingerprint = span_from(op->name == 0   ? "a"
                                                         : op->name == 1 ? "b"
                                                                         : "c"),
                                .name = SPAN_OF("N"),
                                .severity = SPAN_OF("info"),
                                .labels = SPAN_OF("{}"),
                                .starts_at_ns = op->starts_at,
                                .ends_at_ns = op->ends_at,
                                .firing = op->firing,
                                .only_open = op->only_open,
                                .start_counts = op->start_counts};
    const struct monitor_keep keep = {.untold_ns = UNTOLD_NS};
    const char *why = NULL;
    struct arena arena;
    enum monitor_step step;
    bool more;
    int64_t id;

    (void)snprintf(words, sizeof(words), "{\"words\":\"%d\"}", op->words);
    told.annotations = span_from(words);
    arena_init(&arena, NULL, 0, 1024 * 1024);
    if (op->kind == TELL)
        op->result = monitor_alert_tell(conn, &told, &who, op->now, &arena, &id, &step);
    else if (op->kind == ACKNOWLEDGE)
        op->result = monitor_alert_acknowledge(conn, op->id, SPAN_OF("n"), &who, op->now, &why);
    else if (op->kind == SWEEP)
        op->result = monitor_alert_sweep(conn, &keep, op->now, &more);
    else
        op->result = monitor_alert_resolve(conn, op->id, SPAN_OF("n"), &who, op->now, &why);
    arena_reset(&arena);
    return op->result;
}

/* ---- the model ---- */

static void model_fire(const struct operation *op)
{
    PC_ASSERT(model.count < ROWS_MAX);
    model.rows[model.count++] = (struct row){.source = op->source,
                                             .name = op->name,
                                             .firing = true,
                                             .times = 1,
                                             .starts_at = op->starts_at,
                                             .last_at = op->now,
                                             .steps = 1,
                                             .words = op->words};
    model.fired++;
}

static void model_end(struct row *row, int64_t ends_at, int64_t now)
{
    row->firing = false;
    row->ends_at = ends_at;
    row->last_at = now;
    row->steps++;
    model.resolved++;
}

/* Told of a firing row: what began earlier begins the row, unless that time is one of its own. */
static void model_repeat(struct row *row, const struct operation *op)
{
    row->times++;
    row->last_at = op->now;
    row->steps += row->words != op->words;
    row->words = op->words;
    if (op->start_counts && op->starts_at < row->starts_at &&
        !is_known(op->source, op->name, op->starts_at, op->starts_at))
        row->starts_at = op->starts_at;
}

static void model_tell(const struct operation *op)
{
    struct row *row = open_row(op->source, op->name);
    int64_t ends_at = op->ends_at ? op->ends_at : op->now;

    if (row != NULL && op->start_counts && op->starts_at > row->starts_at) {
        model_end(row, op->starts_at, op->now);
        row = NULL;
    }
    if (row == NULL && op->firing) {
        model_fire(op);
    } else if (row == NULL && !op->only_open &&
               !is_known(op->source, op->name, op->starts_at, INT64_MAX)) {
        model_fire(op);
        model_end(&model.rows[model.count - 1], ends_at, op->now);
    } else if (row != NULL && op->firing) {
        model_repeat(row, op);
    } else if (row != NULL && (!op->start_counts || op->starts_at == row->starts_at)) {
        model_end(row, ends_at, op->now);
    }
}

static void model_sweep(const struct operation *op)
{
    for (size_t i = 0; i < model.count; i++) {
        struct row *row = &model.rows[i];

        if (row->firing && row->source == 0 && row->last_at < op->now - UNTOLD_NS)
            model_end(row, op->now, op->now);
    }
}

static enum err model_step(const struct operation *op)
{
    struct row *row =
        op->id >= 1 && op->id <= (int64_t)model.count ? &model.rows[op->id - 1] : NULL;

    if (op->kind == TELL) {
        model_tell(op);
        return ERR_OK;
    }
    if (op->kind == SWEEP) {
        model_sweep(op);
        return ERR_OK;
    }
    if (row == NULL)
        return ERR_NOT_FOUND;
    if (!row->firing || (op->kind == ACKNOWLEDGE && row->acknowledged))
        return ERR_CONFLICT;
    if (op->kind == RESOLVE) {
        model_end(row, op->now, op->now);
        return ERR_OK;
    }
    row->acknowledged = true;
    row->steps++;
    model.acknowledged++;
    return ERR_OK;
}

/* ---- comparing ---- */

static void assert_row(const struct monitor_alert *alert, const struct row *row, size_t steps)
{
    char words[64];

    (void)snprintf(words, sizeof(words), "{\"words\":\"%d\"}", row->words);
    assert_true(span_is(alert->source, sources[row->source]));
    assert_true(span_is(alert->status, row->firing ? "firing" : "resolved"));
    assert_true(span_is(alert->annotations, words));
    assert_int_equal(alert->times, row->times);
    assert_int_equal(alert->starts_at, row->starts_at);
    assert_int_equal(alert->ends_at, row->ends_at);
    assert_int_equal(alert->last_at, row->last_at);
    assert_int_equal(alert->acknowledged_at != 0, row->acknowledged);
    assert_int_equal(steps, row->steps);
}

static enum err compare_run(struct store_conn *conn, struct store_job *job)
{
    struct monitor_history history;
    struct monitor_tally tally;
    struct arena arena;
    int64_t firing = 0;

    (void)job;
    for (size_t i = 0; i < model.count; i++) {
        struct monitor_alert alert;

        arena_init(&arena, NULL, 0, 1024 * 1024);
        assert_int_equal(monitor_alert_get(conn, (int64_t)i + 1, &arena, &alert), ERR_OK);
        assert_int_equal(monitor_alert_history(conn, alert.id, &arena, &history), ERR_OK);
        assert_row(&alert, &model.rows[i], history.count);
        firing += model.rows[i].firing;
        arena_reset(&arena);
    }
    assert_int_equal(monitor_alert_tally(conn, &tally), ERR_OK);
    assert_int_equal(tally.firing, firing);
    return ERR_OK;
}

static void compare(void)
{
    assert_int_equal(store_do(desk.store, compare_run, NULL, false), ERR_OK);
    assert_int_equal(events(TRAIL_ALERT_FIRED), model.fired);
    assert_int_equal(events(TRAIL_ALERT_RESOLVED), model.resolved);
    assert_int_equal(events(TRAIL_ALERT_ACKNOWLEDGED), model.acknowledged);
}

static struct operation draw(int64_t now)
{
    struct operation op = {.kind = any(4) > 0    ? TELL
                                   : any(3) == 0 ? SWEEP
                                   : any(2) == 0 ? ACKNOWLEDGE
                                                 : RESOLVE,
                           .source = any(2),
                           .name = any(NAMES),
                           .words = (int)any(2),
                           .firing = any(3) > 0,
                           .only_open = any(3) == 0,
                           .start_counts = any(2) == 0,
                           .now = now};

    op.starts_at = (now - (int64_t)any(50)) / 20 * 20; /* often that of another */
    op.ends_at = any(2) ? op.starts_at + 5 : 0;
    op.id = 1 + (int64_t)any(model.count + 1);
    return op;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    uint64_t value = otherwise;

    return span_to_u64(span_from(getenv(name)), &value) ? value : otherwise;
}

/* One in ten finds the store failing at some call, and must then have done nothing. */
static void random_steps_agree_with_the_model(void **state)
{
    uint64_t seed = setting("PORTCULLIS_TEST_SEED", 1);
    uint64_t operations = setting("PORTCULLIS_TEST_OPERATIONS", OPERATIONS);

    (void)state;
    random_seeded_init(&model.random, seed);
    model.count = 0;
    model.fired = model.resolved = model.acknowledged = 0;
    for (uint64_t i = 0; i < operations && model.count < ROWS_MAX; i++) {
        struct operation op = draw(T0 + (int64_t)i * 10);
        bool failing = !desk.kit->postgres && any(10) == 0;
        enum err err;

        store_fail_at(failing ? 1 + any(6) : 0);
        err = store_do(desk.store, run, &op, true);
        failing = failing && !store_fail_pending();
        store_fail_at(0);
        if (failing && err != op.result && err == ERR_STORE_UNAVAILABLE)
            continue; /* of the frame around it */
        if (err == ERR_STORE_UNAVAILABLE)
            continue;
        assert_int_equal(err, model_step(&op));
        if (i % LOOK_EVERY == 0)
            compare();
    }
    compare();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BARE_TEST(random_steps_agree_with_the_model),
    };

    return cmocka_run_group_tests_name("monitor_model", tests, NULL, NULL);
}
