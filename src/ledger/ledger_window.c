/* SPDX-License-Identifier: MIT
 * Looking for an account's entries, partition by partition; see docs/decisions/ledger-growth.md. */
#include "ledger/ledger.h"

_Static_assert(LEDGER_PARTITION_BITS == 13, "as LEDGER_IN_PARTITION and migration 10 say");

/* ---- parts ------------------------------------------------------------------------------------
 */

/* Where the partition begins in which this number is. */
static int64_t partition_of(int64_t seq)
{
    return seq >> LEDGER_PARTITION_BITS << LEDGER_PARTITION_BITS;
}

/* PostgreSQL has one index for all: there everything is one part. */
static bool is_parted(const struct store_conn *conn)
{
    return store_conn_kind(conn) == STORE_SQLITE;
}

bool ledger_window_newest(const struct store_conn *conn, struct ledger_window *rest,
                          struct ledger_window *ret_part)
{
    struct ledger_window part = *rest;

    if (rest->from >= rest->below)
        return false;
    if (is_parted(conn) && partition_of(rest->below - 1) > rest->from)
        part.from = partition_of(rest->below - 1);
    rest->below = part.from;
    *ret_part = part;
    return true;
}

bool ledger_window_oldest(const struct store_conn *conn, struct ledger_window *rest,
                          struct ledger_window *ret_part)
{
    struct ledger_window part = *rest;

    if (rest->from >= rest->below)
        return false;
    if (is_parted(conn) && partition_of(rest->below - 1) > rest->from)
        part.below = partition_of(rest->from) + LEDGER_PARTITION_POSTS;
    rest->from = part.below;
    *ret_part = part;
    return true;
}

/* ---- walking ----------------------------------------------------------------------------------
 */

#define OF_ACCOUNT "SELECT 1 FROM ledger_entries WHERE seq >> 13 = part AND account_id = ?1"
#define OF_USER                                                                                    \
    "SELECT 1 FROM ledger_accounts o CROSS JOIN ledger_entries e WHERE o.user_id = ?1 AND "        \
    "e.seq >> 13 = part AND e.account_id = o.id"
/* From the partition of ?2 to the first that has an entry, or that of ?3. */
#define NEWEST(entry)                                                                              \
    "WITH RECURSIVE parts (part) AS (SELECT ?2 >> 13 UNION ALL SELECT part - 1 FROM parts "        \
    "WHERE part > ?3 >> 13 AND NOT EXISTS (" entry ")) SELECT min(part) FROM parts"
#define OLDEST(entry)                                                                              \
    "WITH RECURSIVE parts (part) AS (SELECT ?2 >> 13 UNION ALL SELECT part + 1 FROM parts "        \
    "WHERE part < ?3 >> 13 AND NOT EXISTS (" entry ")) SELECT max(part) FROM parts"

/* By of_user, then by oldest_first. */
static const struct store_statement next_parts[2][2] = {
    {{.name = "ledger_part_newest_of_account", .sqlite = NEWEST(OF_ACCOUNT)},
     {.name = "ledger_part_oldest_of_account", .sqlite = OLDEST(OF_ACCOUNT)}},
    {{.name = "ledger_part_newest_of_user", .sqlite = NEWEST(OF_USER)},
     {.name = "ledger_part_oldest_of_user", .sqlite = OLDEST(OF_USER)}},
};

/* Passes over partitions; there is more than one. */
static enum err skip(struct ledger_walk *walk)
{
    struct ledger_window *rest = &walk->rest;
    int64_t near = walk->oldest_first ? rest->from : rest->below - 1;
    int64_t far = walk->oldest_first ? rest->below - 1 : rest->from;
    PC_AUTO(store_rows) rows = NULL;
    int64_t begin;
    enum err err =
        store_query(walk->conn, &next_parts[walk->of_user][walk->oldest_first],
                    STORE_PARAMS(STORE_I64(walk->id), STORE_I64(near), STORE_I64(far)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    begin = store_rows_i64(rows, 0) << LEDGER_PARTITION_BITS;
    if (walk->oldest_first && begin > rest->from)
        rest->from = begin;
    if (!walk->oldest_first && begin + LEDGER_PARTITION_POSTS < rest->below)
        rest->below = begin + LEDGER_PARTITION_POSTS;
    return store_rows_err(rows);
}

enum err ledger_walk_next(struct ledger_walk *walk, struct ledger_window *ret_part, bool *ret_found)
{
    struct ledger_window *rest = &walk->rest;
    enum err err = ERR_OK;

    if (is_parted(walk->conn) && rest->from < rest->below &&
        partition_of(rest->from) != partition_of(rest->below - 1))
        err = skip(walk);
    if (err)
        return err;
    *ret_found = walk->oldest_first ? ledger_window_oldest(walk->conn, rest, ret_part)
                                    : ledger_window_newest(walk->conn, rest, ret_part);
    return ERR_OK;
}
