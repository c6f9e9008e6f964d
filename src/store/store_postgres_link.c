/* SPDX-License-Identifier: MIT
 * The link to a PostgreSQL server: its URL, its settings, waiting with a deadline, and what its
 * errors mean. libpq's blocking calls would wait for ever on a server that hangs, so requests are
 * sent without blocking and awaited with poll(2).
 *
 * Source: PostgreSQL manual, 34 (libpq) and appendix A (error codes). */
#include "store/store_postgres_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sbuf.h"

enum {
    VERSION_MIN = 130000,
    KEYWORDS_MAX = 64, /* of a connection, the URL's and ours */
    SHOWN_BYTES_MAX = 1024,
};

/* ---- The URL ------------------------------------------------------------------------------ */

static const char *part_of(const PQconninfoOption *parts, const char *keyword)
{
    for (; parts->keyword != NULL; parts++) {
        if (strcmp(parts->keyword, keyword) == 0)
            return parts->val;
    }
    return NULL;
}

static const char *shown(struct arena *arena, const PQconninfoOption *parts)
{
    struct sbuf out = sbuf_on(arena, SHOWN_BYTES_MAX);
    const char *user = part_of(parts, "user");
    const char *host = part_of(parts, "host");
    const char *port = part_of(parts, "port");
    const char *database = part_of(parts, "dbname");

    sbuf_add_format(&out, "postgresql://%s%s", user ? user : "", user ? "@" : "");
    sbuf_add_text(&out, host ? host : "localhost");
    sbuf_add_format(&out, "%s%s", port ? ":" : "", port ? port : "");
    sbuf_add_format(&out, "/%s", database ? database : "");
    return arena_string(arena, sbuf_span(&out));
}

static bool sslmode_is_good(const char *mode)
{
    static const char *const modes[] = {"disable", "require", "verify-ca", "verify-full"};

    for (size_t i = 0; i < PC_COUNT(modes); i++) {
        if (strcmp(mode, modes[i]) == 0)
            return true;
    }
    return false;
}

/* libpq's own sentence is not passed on: it repeats the URL with its password. */
enum err store_postgres_check(struct arena *arena, struct store_target *target,
                              struct store_fault *reterr)
{
    PQconninfoOption *parts = PQconninfoParse(target->uri, NULL);
    const char *mode;

    if (parts == NULL)
        return store_fault_set(reterr, ERR_STORE_URL,
                               "The database URL postgresql://... is not valid: write "
                               "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with special "
                               "characters of the password as %%XX.");
    target->shown = shown(arena, parts);
    mode = part_of(parts, "sslmode");
    if (target->sslmode == NULL)
        target->sslmode = arena_string(arena, span_from(mode != NULL ? mode : "require"));
    PQconninfoFree(parts);
    if (target->shown == NULL || target->sslmode == NULL)
        return ERR_NO_MEMORY;
    if (!sslmode_is_good(target->sslmode))
        return store_fault_set(reterr, ERR_STORE_URL,
                               "The database sslmode \"%.20s\" is not supported: use require, "
                               "verify-ca, verify-full, or disable.",
                               target->sslmode);
    target->kind = STORE_POSTGRES;
    return ERR_OK;
}

/* ---- Errors ------------------------------------------------------------------------------- */

static enum err err_of_state(const char *state)
{
    static const struct {
        const char *prefix;
        enum err err;
    } table[] = {
        {"23505", ERR_STORE_UNIQUE},
        {"23", ERR_STORE_CONSTRAINT},
        {"22", ERR_STORE_CONSTRAINT},
        {"40001", ERR_STORE_RETRY},
        {"40P01", ERR_STORE_RETRY},
        {"0A000", ERR_STORE_RETRY}, /* cached plan changed */
        {"26000", ERR_STORE_RETRY},
        {"25006", ERR_STORE_READ_ONLY},
        {"42501", ERR_STORE_READ_ONLY},
        {"53100", ERR_STORE_FULL},
        {"53", ERR_STORE_UNAVAILABLE},
        {"55P03", ERR_BUSY},
        {"57014", ERR_BUSY},
        {"57", ERR_STORE_UNAVAILABLE},
        {"58", ERR_STORE_UNAVAILABLE},
        {"08", ERR_STORE_UNAVAILABLE},
        {"XX001", ERR_STORE_CORRUPT},
        {"XX002", ERR_STORE_CORRUPT},
        {"25P03", ERR_STORE_UNAVAILABLE},
        {"28", ERR_STORE_UNAVAILABLE},
        {"3D000", ERR_STORE_UNAVAILABLE},
    };

    for (size_t i = 0; i < PC_COUNT(table); i++) {
        if (strncmp(state, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].err;
    }
    return ERR_INTERNAL;
}

/* The handle is of no more use when the server has gone, became a standby (another may be the
 * primary now) or forgot our prepared statements. */
static bool handle_is_spent(const char *state)
{
    return strcmp(state, "25006") == 0 || strcmp(state, "0A000") == 0 ||
           strcmp(state, "26000") == 0 || strncmp(state, "57P", 3) == 0;
}

/* The primary message only: the detail repeats values. */
enum err store_pg_fail_result(struct store_conn *conn, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    char text[STORE_MESSAGE_BYTES];

    if (PQstatus(store_pg(conn)) == CONNECTION_BAD)
        conn->broken = true;
    if (state == NULL) {
        conn->broken = true;
        return store_conn_fail(conn, ERR_STORE_UNAVAILABLE, PQerrorMessage(store_pg(conn)));
    }
    if (handle_is_spent(state))
        conn->broken = true;
    if (constraint != NULL)
        (void)snprintf(conn->constraint, sizeof(conn->constraint), "%s", constraint);
    (void)snprintf(text, sizeof(text), "%s (%s)", message ? message : "error", state);
    return store_conn_fail(conn, err_of_state(state), text);
}

enum err store_pg_fail_link(struct store_conn *conn, const char *message)
{
    conn->broken = true;
    return store_conn_fail(conn, ERR_STORE_UNAVAILABLE, message);
}

/* ---- Waiting ------------------------------------------------------------------------------ */

/* Until the socket has something for us, or for the server. */
enum err store_pg_await(struct store_conn *conn, bool writing)
{
    struct pollfd fd = {.fd = PQsocket(store_pg(conn)), .events = POLLIN};
    int64_t left_ns = conn->deadline_ns - clock_monotonic_ns(&clock_system);
    int ready;

    if (fd.fd < 0)
        return store_pg_fail_link(conn, "the connection is closed");
    if (left_ns <= 0)
        return store_pg_fail_link(conn, "the server does not answer in time");
    if (writing)
        fd.events |= POLLOUT;
    ready = poll(&fd, 1, (int)(left_ns / CLOCK_NS_PER_MS) + 1);
    if (ready < 0 && errno != EINTR)
        return store_pg_fail_link(conn, "waiting for the server failed");
    return ERR_OK;
}

/* What is left of a TLS record that did not fit shows on no socket, so it is asked for. */
bool store_pg_consume(PGconn *pg)
{
    if (!PQconsumeInput(pg))
        return false;
    return !PQsslInUse(pg) || PQconsumeInput(pg);
}

enum err store_pg_next(struct store_conn *conn, PGresult **ret_result)
{
    PGconn *pg = store_pg(conn);
    enum err err;
    int writing;

    for (;;) {
        writing = PQflush(pg);
        if (writing < 0)
            return store_pg_fail_link(conn, PQerrorMessage(pg));
        if (writing == 0 && !PQisBusy(pg))
            break;
        err = store_pg_await(conn, writing == 1);
        if (err)
            return err;
        if (!store_pg_consume(pg))
            break; /* what the server said before it went may still be read */
    }
    *ret_result = PQgetResult(pg);
    return ERR_OK;
}

bool store_pg_is_good(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
}

enum err store_pg_answer(struct store_conn *conn, int sent, PGresult **ret_result)
{
    PGresult *kept = NULL;
    PGresult *result;
    enum err err;

    if (!sent)
        return store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
    for (;;) {
        result = NULL;
        err = store_pg_next(conn, &result);
        if (err || result == NULL)
            break;
        if (kept != NULL && !store_pg_is_good(kept)) {
            PQclear(result);
            continue;
        }
        PQclear(kept);
        kept = result;
    }
    if (!err && kept == NULL)
        err = store_pg_fail_link(conn, PQerrorMessage(store_pg(conn)));
    if (!err && !store_pg_is_good(kept))
        err = store_pg_fail_result(conn, kept);
    if (err) {
        PQclear(kept);
        return err;
    }
    *ret_result = kept;
    return ERR_OK;
}

enum err store_pg_text(struct store_conn *conn, const char *text)
{
    PGresult *result = NULL;
    enum err err;

    PC_ASSERT(!store_pg_line_is_open(conn));
    err = store_pg_answer(conn, PQsendQuery(store_pg(conn), text), &result);
    PQclear(result);
    return err;
}

/* ---- Connecting --------------------------------------------------------------------------- */

struct keywords {
    const char *names[KEYWORDS_MAX + 1];
    const char *values[KEYWORDS_MAX + 1];
    size_t count;
};

static void keyword_add(struct keywords *keywords, const char *name, const char *value)
{
    PC_ASSERT(keywords->count < KEYWORDS_MAX);
    keywords->names[keywords->count] = name;
    keywords->values[keywords->count] = value;
    keywords->count++;
}

static void keyword_default(struct keywords *keywords, const PQconninfoOption *parts,
                            const char *name, const char *value)
{
    if (part_of(parts, name) == NULL)
        keyword_add(keywords, name, value);
}

static void collect(const struct store_conn *conn, const PQconninfoOption *parts,
                    struct keywords *keywords)
{
    const char *host = part_of(parts, "host");

    for (const PQconninfoOption *part = parts; part->keyword != NULL; part++) {
        if (part->val != NULL && strcmp(part->keyword, "sslmode") != 0 &&
            strcmp(part->keyword, "client_encoding") != 0)
            keyword_add(keywords, part->keyword, part->val);
    }
    keyword_add(keywords, "sslmode", conn->store->target.sslmode);
    keyword_add(keywords, "client_encoding", "UTF8");
    keyword_default(keywords, parts, "fallback_application_name", "portcullis");
    keyword_default(keywords, parts, "connect_timeout", "5"); /* seconds, for each host */
    keyword_default(keywords, parts, "keepalives_idle", "15");
    keyword_default(keywords, parts, "keepalives_interval", "5");
    keyword_default(keywords, parts, "keepalives_count", "3");
    keyword_default(keywords, parts, "tcp_user_timeout", "20000"); /* ms */
    if (host != NULL && strchr(host, ',') != NULL)
        keyword_default(keywords, parts, "target_session_attrs",
                        conn->role == STORE_READER ? "primary" : "read-write");
}

static enum err connect_now(struct store_conn *conn)
{
    PQconninfoOption *parts = PQconninfoParse(conn->store->target.uri, NULL);
    struct keywords keywords = {.count = 0};

    if (parts == NULL)
        return store_conn_fail(conn, ERR_NO_MEMORY, "out of memory");
    collect(conn, parts, &keywords);
    conn->handle = PQconnectdbParams(keywords.names, keywords.values, 0);
    PQconninfoFree(parts);
    if (conn->handle == NULL)
        return store_conn_fail(conn, ERR_NO_MEMORY, "out of memory");
    if (PQstatus(store_pg(conn)) != CONNECTION_OK)
        return store_conn_fail(conn, ERR_STORE_UNAVAILABLE, PQerrorMessage(store_pg(conn)));
    return ERR_OK;
}

static void ignore_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* Who stands still or is cut off with the turn in its hands does not keep the others from it for
 * long: the server ends a transaction that hears nothing, before they are refused for it. */
static int idle_ms(const struct store_conn *conn)
{
    int most_ms = conn->store->options.statement_timeout_ms;

    if (conn->role != STORE_WRITER || store_pg_line(conn)->turn[0] == '\0')
        return 60000;
    return most_ms < LIMIT_STORE_TURN_MS ? most_ms : LIMIT_STORE_TURN_MS;
}

static void turn_name(struct store_conn *conn)
{
    const struct store_seal *seal = conn->store->options.seal;
    struct store_pg_line *line = store_pg_line(conn);
    int len;

    if (seal == NULL || seal->turn_table == NULL || conn->role != STORE_WRITER)
        return;
    len = snprintf(line->turn, sizeof(line->turn), "LOCK TABLE %s IN EXCLUSIVE MODE",
                   seal->turn_table);
    PC_ASSERT(len > 0 && (size_t)len < sizeof(line->turn));
}

/* A prepared statement's plan is kept, and one that was made while a table was small reads all of
 * it until the server next analyses that. So a plan takes an index where there is one; one that has
 * none to take looks so dear then that it would be compiled, which costs more than it saves. */
static const char by_index[] = "SET enable_seqscan = off; SET jit = off;";

static enum err set_up(struct store_conn *conn)
{
    const struct store_options *options = &conn->store->options;
    bool patient = conn->role == STORE_MIGRATOR;
    char text[512];

    PC_ASSERT(PQsetnonblocking(store_pg(conn), 1) == 0);
    (void)PQsetNoticeReceiver(store_pg(conn), ignore_notice, NULL);
    (void)snprintf(text, sizeof(text),
                   "SET statement_timeout = %d; SET lock_timeout = %d;"
                   "SET idle_in_transaction_session_timeout = %d;"
                   "SET standard_conforming_strings = on;"
                   "SELECT set_config('synchronous_commit', 'on', false)"
                   " WHERE current_setting('synchronous_commit') = 'off';%s%s",
                   patient ? 0 : options->statement_timeout_ms,
                   patient ? 60000 : options->busy_timeout_ms, idle_ms(conn),
                   conn->role == STORE_READER ? "SET default_transaction_read_only = on;" : "",
                   patient ? "" : by_index);
    return store_pg_text(conn, text);
}

/* A standby may be behind, and then what was acknowledged would not be seen by the next read: so
 * readers do without one as well. They may read a primary that takes no writes for now. */
static enum err check_primary(struct store_conn *conn, bool *ret_good)
{
    static const char standby[] = "SELECT pg_is_in_recovery()";
    static const char unwritable[] = "SELECT pg_is_in_recovery() OR"
                                     " current_setting('transaction_read_only')::boolean";
    PGresult *result = NULL;
    enum err err;

    err = store_pg_answer(
        conn, PQsendQuery(store_pg(conn), conn->role == STORE_READER ? standby : unwritable),
        &result);
    if (err)
        return err;
    *ret_good = PQntuples(result) == 1 && strcmp(PQgetvalue(result, 0, 0), "f") == 0;
    PQclear(result);
    return ERR_OK;
}

static enum err check_server(struct store_conn *conn, struct store_fault *reterr)
{
    const char *encoding = PQparameterStatus(store_pg(conn), "server_encoding");
    int version = PQserverVersion(store_pg(conn));
    const char *where = conn->store->target.shown;

    if (version < VERSION_MIN) {
        (void)store_conn_fail(conn, ERR_STORE_VERSION, "the server is too old");
        return store_fault_set(reterr, ERR_STORE_VERSION,
                               "The PostgreSQL server at %.200s has version %d.%d: 13 or newer is "
                               "needed.",
                               where, version / 10000, version % 10000);
    }
    if (encoding == NULL || strcmp(encoding, "UTF8") != 0) {
        (void)store_conn_fail(conn, ERR_STORE_VERSION, "the database is not UTF8");
        return store_fault_set(reterr, ERR_STORE_VERSION,
                               "The database at %.200s has the encoding %.20s: create it with "
                               "ENCODING 'UTF8'.",
                               where, encoding != NULL ? encoding : "(unknown)");
    }
    return ERR_OK;
}

static enum err check_role(struct store_conn *conn, struct store_fault *reterr)
{
    bool good = false;
    enum err err = check_primary(conn, &good);

    if (err)
        return store_fault_set(reterr, err, "The database at %.200s failed: %s.",
                               conn->store->target.shown, conn->message);
    if (good)
        return ERR_OK;
    (void)store_conn_fail(conn, ERR_STORE_READ_ONLY, "the server is read-only");
    return store_fault_set(reterr, ERR_STORE_READ_ONLY,
                           "The database at %.200s is read-only (a standby, or "
                           "default_transaction_read_only is on): name the primary server in "
                           "DATABASE_URL.",
                           conn->store->target.shown);
}

static enum err clock_read(struct store_conn *conn, int64_t *ret_ms)
{
    PGresult *result = NULL;
    enum err err = store_pg_answer(
        conn,
        PQsendQuery(store_pg(conn),
                    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
        &result);
    bool is_number;

    if (err)
        return err;
    is_number = PQntuples(result) == 1 && span_to_i64(span_from(PQgetvalue(result, 0, 0)), ret_ms);
    PQclear(result);
    return is_number ? ERR_OK : store_conn_fail(conn, ERR_INTERNAL, "the server has no time");
}

/* Times of one node become those of all: an audit log never goes back, and idempotency keys, holds
 * and tokens end by them. So a node that is far off writes nothing. */
static enum err check_clock(struct store_conn *conn, struct store_fault *reterr)
{
    const struct store_options *options = &conn->store->options;
    int64_t server_ms = 0;
    int64_t ahead_ms;
    enum err err;

    if (options->clock_skew_ms_max == 0)
        return ERR_OK;
    err = clock_read(conn, &server_ms);
    if (err)
        return store_fault_set(reterr, err, "The database at %.200s failed: %s.",
                               conn->store->target.shown, conn->message);
    ahead_ms = clock_realtime_ns(options->clock) / CLOCK_NS_PER_MS - server_ms;
    if (ahead_ms <= options->clock_skew_ms_max && ahead_ms >= -options->clock_skew_ms_max)
        return ERR_OK;
    (void)store_conn_fail(conn, ERR_STORE_UNAVAILABLE, "the clocks differ too much");
    return store_fault_set(reterr, ERR_STORE_UNAVAILABLE,
                           "The clock here is %lld s %s that of the database server at %.200s: "
                           "nothing is written until both are right (NTP).",
                           (long long)((ahead_ms < 0 ? -ahead_ms : ahead_ms) / 1000),
                           ahead_ms < 0 ? "behind" : "ahead of", conn->store->target.shown);
}

enum err store_pg_open(struct store_conn *conn, struct store_fault *reterr)
{
    enum err err;

    conn->extra = alloc_zero(sizeof(struct store_pg_line));
    if (conn->extra == NULL)
        return store_conn_fail(conn, ERR_NO_MEMORY, "out of memory");
    turn_name(conn);
    err = connect_now(conn);
    if (err)
        return store_fault_set(reterr, err,
                               "PostgreSQL at %.200s cannot be used: %s: check that it runs, and "
                               "the host, port, user, password, database and sslmode (now %s) in "
                               "DATABASE_URL.",
                               conn->store->target.shown, conn->message,
                               conn->store->target.sslmode);
    conn->deadline_ns = clock_monotonic_ns(&clock_system) + store_conn_patience_ns(conn);
    err = check_server(conn, reterr);
    if (err)
        return err;
    err = set_up(conn);
    if (err)
        return store_fault_set(reterr, err, "The database at %.200s refuses our settings: %s.",
                               conn->store->target.shown, conn->message);
    err = check_role(conn, reterr);
    if (err == ERR_OK && conn->role == STORE_WRITER)
        err = check_clock(conn, reterr);
    if (err == ERR_OK && conn->role == STORE_WRITER) {
        err = store_pg_mark_find(conn);
        if (err)
            return store_fault_set(reterr, err, "The database at %.200s failed: %s.",
                                   conn->store->target.shown, conn->message);
    }
    return err;
}

void store_pg_close(struct store_conn *conn)
{
    if (conn->extra != NULL)
        store_pg_line_forget(conn);
    alloc_free(conn->extra);
    conn->extra = NULL;
    PQfinish(store_pg(conn));
    conn->handle = NULL;
}
