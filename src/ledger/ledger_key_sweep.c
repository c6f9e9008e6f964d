/* SPDX-License-Identifier: MIT
 * Answers that were kept long enough are given up, a few in a commit, so that nobody waits for it.
 * They were written in the order of their time, so the oldest have the smallest ids: however many
 * are kept, a sweep looks at a bounded number of rows. */
#include "ledger/ledger_key.h"

enum { SWEEP_KEYS = 500 };

struct sweep {
    int64_t before_ns;
    int64_t swept;
};

static enum err sweep_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement sweep_keys = {
        .name = "ledger_keys_sweep",
        .sqlite = "DELETE FROM ledger_keys WHERE at < ?1 AND id IN "
                  "(SELECT id FROM ledger_keys ORDER BY id LIMIT ?2)",
    };
    struct sweep *sweep = job->context;

    return store_exec(conn, &sweep_keys,
                      STORE_PARAMS(STORE_I64(sweep->before_ns), STORE_I64(SWEEP_KEYS)),
                      &sweep->swept);
}

enum err ledger_keys_sweep(struct ledger *ledger, bool *ret_more)
{
    const struct ledger_options *options = ledger_options_of(ledger);
    int64_t now_ns = clock_realtime_ns(options->clock);
    struct sweep sweep = {.before_ns = now_ns - options->key_life_s * CLOCK_NS_PER_S};
    enum err err = store_do(options->store, sweep_run, &sweep, true);

    if (err)
        return err;
    *ret_more = sweep.swept == SWEEP_KEYS;
    return ERR_OK;
}
