/* SPDX-License-Identifier: MIT
 * The invariants of README.md as questions to the store, each of which must answer 0. They are told
 * in SQL and from the rows alone, so they share nothing with the ledger they watch. */
#ifndef PC_LEDGER_LEDGER_BOOKS_TEST_KIT_H
#define PC_LEDGER_LEDGER_BOOKS_TEST_KIT_H

#include "ledger/ledger_test_kit.h"

#define FAULTS(id, text)                                                                           \
    {                                                                                              \
        .name = "books_" id, .sqlite = "SELECT count(*) FROM (" text ") AS faults"                 \
    }

/* A sum that does not overflow on its way to a small result. */
#define WIDE_SUM(column) "sum(" column " >> 32) * 4294967296 + sum(" column " & 4294967295)"

static const struct store_statement books_faults[] = {
    FAULTS("i1",
           "SELECT currency FROM ledger_accounts GROUP BY currency "
           "HAVING " WIDE_SUM("posted") " <> 0 OR " WIDE_SUM("held") " <> " WIDE_SUM("incoming")),
    FAULTS("i2_last", "SELECT a.id FROM ledger_accounts a LEFT JOIN ledger_entries e "
                      "ON e.account_id = a.id AND e.seq = (SELECT max(seq) FROM ledger_entries "
                      "WHERE account_id = a.id) WHERE a.posted <> coalesce(e.posted_after, 0) "
                      "OR a.held <> coalesce(e.held_after, 0) "
                      "OR a.incoming <> coalesce(e.incoming_after, 0) "
                      "OR a.seq <> coalesce(e.seq, 0)"),
    FAULTS("i2_steps",
           "SELECT seq FROM (SELECT seq, posted, held, incoming, posted_after, held_after, "
           "incoming_after, "
           "coalesce(lag(posted_after) OVER w, 0) AS posted_before, "
           "coalesce(lag(held_after) OVER w, 0) AS held_before, "
           "coalesce(lag(incoming_after) OVER w, 0) AS incoming_before "
           "FROM ledger_entries WINDOW w AS (PARTITION BY account_id ORDER BY seq)) AS steps "
           "WHERE posted_after <> posted_before + posted OR held_after <> held_before + held "
           "OR incoming_after <> incoming_before + incoming"),
    FAULTS("i2_accounts", "SELECT e.seq FROM ledger_entries e LEFT JOIN ledger_accounts a "
                          "ON a.id = e.account_id WHERE a.id IS NULL"),
    FAULTS("i3_sums", "SELECT e.seq FROM ledger_entries e "
                      "JOIN ledger_accounts a ON a.id = e.account_id GROUP BY e.seq, a.currency "
                      "HAVING " WIDE_SUM("e.posted") " <> 0 OR " WIDE_SUM("e.held") " <> " WIDE_SUM(
                          "e.incoming")),
    FAULTS("i3_legs", "SELECT p.seq FROM ledger_posts p LEFT JOIN ledger_entries e "
                      "ON e.seq = p.seq GROUP BY p.seq "
                      "HAVING count(e.leg) < 2 OR count(e.leg) <> max(e.leg) OR min(e.leg) <> 1"),
    FAULTS("i3_empty", "SELECT seq FROM ledger_entries "
                       "WHERE posted = 0 AND held = 0 AND incoming = 0"),
    FAULTS("i3_strays", "SELECT e.seq FROM ledger_entries e LEFT JOIN ledger_posts p "
                        "ON p.seq = e.seq WHERE p.seq IS NULL"),
    FAULTS("i4", "SELECT e.seq FROM ledger_entries e WHERE e.account_id > 0 "
                 "AND e.posted_after - e.held_after + coalesce((SELECT l.credit_limit "
                 "FROM ledger_limits l WHERE l.account_id = e.account_id AND l.seq < e.seq "
                 "ORDER BY l.seq DESC, l.at DESC LIMIT 1), 0) < 0"),
    FAULTS("i5_held", "SELECT a.id FROM ledger_accounts a WHERE a.held <> coalesce("
                      "(SELECT sum(h.amount - h.captured) FROM ledger_holds h "
                      "WHERE h.account_id = a.id AND h.ended_seq IS NULL), 0)"),
    FAULTS("i5_incoming", "SELECT a.id FROM ledger_accounts a WHERE a.incoming <> coalesce("
                          "(SELECT sum(h.amount - h.captured) FROM ledger_holds h "
                          "WHERE h.to_account_id = a.id AND h.ended_seq IS NULL), 0)"),
    FAULTS("i5_captured", "SELECT h.seq FROM ledger_holds h WHERE h.captured <> coalesce("
                          "(SELECT sum(e.posted) FROM ledger_posts p JOIN ledger_entries e "
                          "ON e.seq = p.seq AND e.account_id = h.to_account_id "
                          "WHERE p.refers_to = h.seq AND p.kind = 'capture'), 0)"),
    FAULTS("i5_early", "SELECT h.seq FROM ledger_holds h JOIN ledger_posts p "
                       "ON p.seq = h.ended_seq WHERE p.kind = 'expiry' "
                       "AND (h.expires_at IS NULL OR p.at < h.expires_at)"),
    FAULTS("i5_ends", "SELECT h.seq FROM ledger_holds h LEFT JOIN ledger_posts p "
                      "ON p.seq = h.ended_seq AND p.refers_to = h.seq "
                      "WHERE h.ended_seq IS NOT NULL AND p.seq IS NULL"),
    FAULTS("i5_bound", "SELECT a.id FROM ledger_accounts a JOIN ledger_holds h "
                       "ON h.account_id = a.id AND h.ended_seq IS NULL "
                       "AND h.expires_at IS NOT NULL "
                       "WHERE a.hold_expires_at IS NULL OR a.hold_expires_at > h.expires_at"),
    FAULTS("i6", "SELECT o.seq FROM ledger_entries o WHERE o.leg = 1 "
                 "AND o.posted <> 0 AND abs(o.posted) < abs(coalesce((SELECT sum(e.posted) "
                 "FROM ledger_posts p JOIN ledger_entries e ON e.seq = p.seq "
                 "AND e.account_id = o.account_id "
                 "WHERE p.refers_to = o.seq AND p.kind = 'reversal'), 0))"),
    FAULTS("i8_gaps", "SELECT h.id FROM ledger_head h WHERE h.seq <> "
                      "(SELECT count(*) FROM ledger_posts) OR h.seq <> "
                      "(SELECT coalesce(max(seq), 0) FROM ledger_posts)"),
    FAULTS("i8_time", "SELECT seq FROM (SELECT seq, at, lag(at) OVER (ORDER BY seq) AS before "
                      "FROM ledger_posts) AS steps WHERE at <= before"),
    FAULTS("i8_events", "SELECT p.seq FROM ledger_posts p LEFT JOIN trail_events t "
                        "ON t.object = 'posting:' || p.seq AND t.at >= p.at "
                        "AND t.event = 'ledger.' || p.kind WHERE t.at IS NULL"),
};

struct books {
    const char *broken; /* the name of the first invariant that is */
};

static inline enum err books_run(struct store_conn *conn, struct store_job *job)
{
    struct books *books = job->context;
    enum err err = ERR_OK;

    books->broken = NULL;
    for (size_t i = 0; i < PC_COUNT(books_faults) && err == ERR_OK; i++) {
        struct kit_number number = {.statement = &books_faults[i]};
        struct store_job inner = {.context = &number};

        err = kit_number0_run(conn, &inner);
        if (err == ERR_OK && number.result != 0 && books->broken == NULL)
            books->broken = books_faults[i].name;
    }
    return err;
}

/* All of them, at one moment. */
static inline void books_are_sound(void)
{
    struct books books = {0};

    assert_int_equal(store_do(bench.store, books_run, &books, false), ERR_OK);
    if (books.broken != NULL)
        fail_msg("the books are broken: %s", books.broken);
}

#endif
