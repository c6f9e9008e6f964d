/* SPDX-License-Identifier: MIT
 * `portcullis audit ...` on a log of its own, that a keeper signed. */
#include "app/command_test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"
#include "trail/trail.h"
#include "trail/trail_carrier.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_keeper.h"
#include "trail/trail_key.h"
#include "trail/trail_log.h"
#include "trail/trail_outbox.h"

enum { FILE_BYTES = 256 * 1024 };

static char key_line[256];

static void with_store(void (*use)(struct store *store))
{
    const struct store_options options = {
        .url = SPAN("sqlite:portcullis.db"), .data_dir = "data", .seal = &trail_seal};
    const struct store_migration *list;
    struct store *store = NULL;
    size_t count;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(store, list, count, NULL), ERR_OK);
    use(store);
    store_close(store);
}

static enum err add_run(struct store_conn *conn, struct store_job *job)
{
    const struct trail_record record = {.event = TRAIL_LOGIN,
                                        .outcome = TRAIL_DONE,
                                        .at_ns = INT64_C(1800000000000000000),
                                        .actor_kind = TRAIL_ACTOR_USER,
                                        .actor = SPAN("7"),
                                        .object = SPAN("session:1"),
                                        .address = SPAN("192.0.2.1")};

    (void)job;
    return trail_add(conn, &record);
}

static void add_ten(struct store *store)
{
    for (int i = 0; i < 10; i++)
        assert_int_equal(store_do(store, add_run, NULL, true), ERR_OK);
}

/* As the server's keeper does. */
static void sign_all(struct store *store)
{
    struct trail_verifier key = {.key = NULL};
    struct trail_keeper_options options = {.store = store, .clock = &clock_system};
    struct trail_keeper *keeper = NULL;
    struct crypto_fault fault;

    (void)mkdir("data/keys", 0700);
    assert_int_equal(
        trail_key_open("data/keys/audit.pem", SPAN_OF("portcullis"), true, &key, &fault), ERR_OK);
    options.signer = &key;
    options.memory = "data/audit.checkpoint";
    assert_int_equal(trail_keeper_new(&options, &keeper), ERR_OK);
    assert_int_equal(trail_keeper_round(keeper), ERR_OK);
    (void)snprintf(key_line, sizeof(key_line), "%.*s", SPAN_ARG(trail_keeper_key(keeper)));
    trail_keeper_free(keeper);
    trail_verifier_free(&key);
}

static int run(const char *format, const char *a, const char *b)
{
    char line[1024];
    struct sbuf out = sbuf_over(line, sizeof(line));
    struct span rest = span_from(format);
    struct span part;
    const char *values[] = {a, b};

    for (size_t i = 0; span_cut(&rest, '$', &part); i++) {
        sbuf_add(&out, part);
        if (rest.ptr != NULL)
            sbuf_add_text(&out, values[i]);
    }
    sbuf_add_char(&out, '\0');
    return command_test_run(line);
}

static struct span file_read(const char *path, char room[FILE_BYTES])
{
    FILE *file = fopen(path, "r");
    size_t len;

    assert_non_null(file);
    len = fread(room, 1, FILE_BYTES - 1, file);
    assert_int_equal(fclose(file), 0);
    room[len] = '\0';
    return span_make(room, len);
}

static void file_write(const char *path, struct span text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
    assert_int_equal(fclose(file), 0);
}

/* Ten events, signed for, exported, and the checkpoint kept. */
static void a_log(void)
{
    with_store(add_ten);
    with_store(sign_all);
    assert_int_equal(command_test_run("audit checkpoint"), COMMAND_GOOD);
    file_write("first.txt", span_from(command_test_out));
    assert_int_equal(command_test_run("audit export --out log.jsonl"), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
}

static void an_export_is_whole(void **state)
{
    struct stat info;

    (void)state;
    a_log();
    assert_int_equal(stat("log.jsonl", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_not_equal(access("log.jsonl.partial", F_OK), 0);
    assert_int_equal(run("audit verify log.jsonl --checkpoint first.txt --key $", key_line, ""),
                     COMMAND_GOOD);
    assert_string_equal(command_test_out,
                        "10 events from seq 0 to seq 9; 2 checkpoints held, the largest of 10 "
                        "leaves.\nThe log is whole.\n");
    assert_int_equal(command_test_run("audit verify log.jsonl"), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "No key was given"));
    assert_non_null(strstr(command_test_out, "All of it only fits the export's own checkpoint"));
    assert_null(strstr(command_test_out, "whole"));
    assert_int_equal(command_test_run("audit verify log.jsonl --checkpoint first.txt"),
                     COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "Up to seq 9 this is the log of a checkpoint that "));
    assert_null(strstr(command_test_out, "only fits"));
}

/* What was written since is exported when it is signed for, and not before. */
static void an_export_ends_with_a_checkpoint(void **state)
{
    (void)state;
    a_log();
    with_store(add_ten);
    assert_int_equal(command_test_run("audit export --to 12 --out log.jsonl"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "only the first 10 events are signed for yet"));
    assert_int_equal(command_test_run("audit export --out log.jsonl"), COMMAND_GOOD);
    assert_int_equal(run("audit verify log.jsonl --key $", key_line, ""), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "10 events from seq 0 to seq 9;"));
    with_store(sign_all);
    assert_int_equal(command_test_run("audit export --to 12 --out log.jsonl"), COMMAND_GOOD);
    assert_int_equal(run("audit verify log.jsonl --key $", key_line, ""), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "12 events from seq 0 to seq 11;"));
}

/* A genuine older export, and lines behind it that fit each other. */
static void what_was_appended_is_told(void **state)
{
    static char text[FILE_BYTES], more[FILE_BYTES];
    struct sbuf out = sbuf_over(more, sizeof(more));
    struct span all, head;

    (void)state;
    a_log();
    all = file_read("log.jsonl", text);
    with_store(add_ten);
    with_store(sign_all);
    assert_int_equal(command_test_run("audit export --from 10 --to 12 --out b.jsonl"),
                     COMMAND_GOOD);
    assert_true(span_cut(&all, '\n', &head));
    sbuf_add_lit(&out, "{\"log\":\"portcullis\",\"format\":1,\"from\":0,\"to\":12}\n");
    sbuf_add(&out, all);
    all = file_read("b.jsonl", text);
    assert_true(span_cut(&all, '\n', &head));
    for (int i = 0; i < 2; i++) {
        assert_true(span_cut(&all, '\n', &head));
        sbuf_add(&out, head);
        sbuf_add_char(&out, '\n');
    }
    file_write("c.jsonl", sbuf_span(&out));
    assert_int_equal(run("audit verify c.jsonl --checkpoint first.txt --key $", key_line, ""),
                     COMMAND_BAD);
    assert_non_null(strstr(command_test_out, "events seq 10 to seq 11 are behind the last "
                                             "checkpoint"));
    assert_null(strstr(command_test_out, "whole"));
    assert_int_equal(command_test_run("audit verify c.jsonl"), COMMAND_BAD);
}

/* That it was exported is the eleventh event. */
static void parts_are_whole_too(void **state)
{
    (void)state;
    a_log();
    with_store(sign_all);
    assert_int_equal(command_test_run("audit export --from 4 --to 8 --out b.jsonl"), COMMAND_GOOD);
    assert_int_equal(command_test_run("audit export --to 4 --out a.jsonl"), COMMAND_GOOD);
    assert_int_equal(run("audit verify b.jsonl --key $", key_line, ""), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "4 events from seq 4 to seq 7; 1 checkpoints held, "
                                             "the largest of 11 leaves"));
    assert_int_equal(run("audit verify a.jsonl b.jsonl --key $", key_line, ""), COMMAND_GOOD);
    assert_int_equal(run("audit verify b.jsonl a.jsonl --key $", key_line, ""), COMMAND_BAD);
    assert_int_equal(command_test_run("audit export --to 4000"), COMMAND_BAD);
    assert_int_equal(command_test_run("audit export --from x"), COMMAND_USAGE);
}

static void a_change_is_told(void **state)
{
    static char text[FILE_BYTES];
    struct span all;
    char *at;

    (void)state;
    a_log();
    all = file_read("log.jsonl", text);
    at = strstr(text, "\"seq\":6");
    assert_non_null(at);
    at = strstr(at, "192.0.2.1");
    assert_non_null(at);
    at[8] = '2';
    file_write("log.jsonl", all);
    assert_int_equal(run("audit verify log.jsonl --key $", key_line, ""), COMMAND_BAD);
    assert_non_null(strstr(command_test_out, "log.jsonl:8: seq 6 was changed"));
    assert_non_null(strstr(command_test_out, "1 findings"));
    assert_int_equal(command_test_run("audit verify nowhere.jsonl"), COMMAND_BAD);
    assert_int_equal(command_test_run("audit verify"), COMMAND_USAGE);
    assert_int_equal(command_test_run("audit verify log.jsonl --key nonsense"), COMMAND_BAD);
}

static void an_event_is_proved(void **state)
{
    static char text[FILE_BYTES];
    struct span all;

    (void)state;
    a_log();
    assert_int_equal(command_test_run("audit prove --seq 3 --out p.tlog-proof"), COMMAND_GOOD);
    assert_int_equal(run("audit verify --proof p.tlog-proof --key $", key_line, ""), COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "{\"seq\":3,"));
    assert_non_null(strstr(command_test_out, "This is seq 3 of the log portcullis"));
    all = file_read("p.tlog-proof", text);
    for (size_t i = 0; i < all.len; i += 7) {
        text[i] ^= 1;
        file_write("q.tlog-proof", all);
        assert_int_equal(run("audit verify --proof q.tlog-proof --key $", key_line, ""),
                         COMMAND_BAD);
        text[i] ^= 1;
    }
    assert_int_equal(command_test_run("audit prove --seq 3000"), COMMAND_BAD);
    assert_int_equal(command_test_run("audit prove --seq 10"), COMMAND_BAD); /* not signed yet */
    assert_non_null(strstr(command_test_err, "no checkpoint is of that event yet"));
    assert_int_equal(command_test_run("audit prove"), COMMAND_USAGE);
    assert_int_equal(command_test_run("audit prove --id x"), COMMAND_USAGE);
    assert_int_equal(command_test_run("audit prove --id 00000000-0000-0000-0000-000000000000"),
                     COMMAND_BAD);
}

static enum err forget_run(struct store_conn *conn, struct store_job *job)
{
    static const struct store_statement statements[] = {
        {.name = "t1", .sqlite = "DROP TRIGGER trail_events_no_delete"},
        {.name = "t2", .sqlite = "DELETE FROM trail_events"},
        {.name = "t3", .sqlite = "DELETE FROM trail_tiles"},
        {.name = "t4", .sqlite = "DELETE FROM trail_checkpoints"},
        {.name = "t5", .sqlite = "UPDATE trail_head SET size = 0, at = 0, roots = x''"}};
    enum err err = ERR_OK;

    (void)job;
    for (size_t i = 0; i < PC_COUNT(statements) && !err; i++)
        err = store_exec(conn, &statements[i], NULL, 0, NULL);
    return err;
}

static void forget(struct store *store)
{
    assert_int_equal(store_do(store, forget_run, NULL, true), ERR_OK);
}

static void a_checkpoint_binds(void **state)
{
    (void)state;
    a_log();
    with_store(add_ten);
    with_store(sign_all);
    assert_int_equal(run("audit checkpoint --since first.txt --key $", key_line, ""), COMMAND_GOOD);
    assert_string_equal(command_test_err, "");
    with_store(forget);
    assert_int_equal(unlink("data/audit.checkpoint"), 0);
    with_store(add_ten);
    with_store(add_ten);
    with_store(sign_all);
    assert_int_equal(command_test_run("audit checkpoint --since first.txt"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "it is another one"));
    assert_int_equal(command_test_run("audit export --out log.jsonl"), COMMAND_GOOD);
    assert_int_equal(run("audit verify log.jsonl --checkpoint first.txt --key $", key_line, ""),
                     COMMAND_BAD);
    assert_non_null(strstr(command_test_out, "first.txt is of another log"));
}

/* Everything behind the first ten anew, by somebody who writes rows and cannot sign: size and root
 * are right, the note is whatever he has. */
static struct span forged_note;

static enum err forge_run(struct store_conn *conn, struct store_job *job)
{
    struct trail_signed forged = {.at_ns = 1, .note = forged_note};
    struct trail_tree tree = {.size = 0};
    int64_t at;
    enum err err = trail_tree_read(conn, &tree, &at);

    (void)job;
    if (err)
        return err;
    forged.size = tree.size;
    trail_tree_root(&tree, &forged.root);
    return trail_signed_add(conn, &forged);
}

static void forge(struct store *store)
{
    assert_int_equal(store_do(store, forge_run, NULL, true), ERR_OK);
}

static void the_newest_checkpoint_is_looked_at(void **state)
{
    static char text[FILE_BYTES];

    (void)state;
    a_log();
    with_store(add_ten);
    forged_note = SPAN_OF("trust me\n");
    with_store(forge);
    assert_int_equal(command_test_run("audit checkpoint --since first.txt"), COMMAND_BAD);
    assert_int_equal(run("audit checkpoint --since first.txt --key $", key_line, ""), COMMAND_BAD);
    assert_string_equal(command_test_out, "");
    assert_non_null(strstr(command_test_err, "the newest checkpoint in the database: "));
    with_store(add_ten);
    forged_note = file_read("first.txt", text); /* a genuine one, of less */
    with_store(forge);
    assert_int_equal(command_test_run("audit checkpoint --since first.txt"), COMMAND_BAD);
    assert_int_equal(command_test_run("audit checkpoint"), COMMAND_BAD);
    assert_int_equal(run("audit checkpoint --since first.txt --key $", key_line, ""), COMMAND_BAD);
    assert_string_equal(command_test_out, "");
    assert_non_null(strstr(command_test_err, "is not what stands beside it"));
}

static void nothing_signed_is_told(void **state)
{
    (void)state;
    with_store(add_ten);
    assert_int_equal(command_test_run("audit checkpoint"), COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "no checkpoint has been signed yet"));
    assert_int_equal(command_test_run("audit export --out log.jsonl"), COMMAND_GOOD);
    assert_int_equal(command_test_run("audit verify log.jsonl"), COMMAND_BAD);
    assert_non_null(strstr(command_test_out, "there is no checkpoint"));
}

/* What was signed before somebody was erased holds for the log as it is afterwards. */
static void a_person_is_erased_and_the_log_stays_whole(void **state)
{
    static char text[FILE_BYTES];

    (void)state;
    a_log();
    assert_non_null(strstr(file_read("log.jsonl", text).ptr, "192.0.2.1"));
    assert_int_equal(command_test_run("audit erase user:7"), COMMAND_USAGE);
    assert_int_equal(command_test_run("audit erase user:7 --dry-run"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "10 entries would be erased.\n");
    assert_int_equal(command_test_run("audit erase user:7 --basis art-17"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "10 entries were erased.\n");
    with_store(sign_all);
    assert_int_equal(command_test_run("audit export --out log.jsonl"), COMMAND_GOOD);
    assert_int_equal(run("audit verify log.jsonl --checkpoint first.txt --key $", key_line, ""),
                     COMMAND_GOOD);
    assert_non_null(strstr(command_test_out, "The log is whole."));
    assert_null(strstr(file_read("log.jsonl", text).ptr, "192.0.2.1"));
    assert_non_null(strstr(text, "session:1"));
    assert_int_equal(command_test_run("audit erase user:7 --basis art-17"), COMMAND_GOOD);
    assert_string_equal(command_test_out, "0 entries were erased.\n");
}

/* ---- two databases ---- */

static const char *const apart[] = {"AUDIT_DATABASE_URL=sqlite:audit.db", NULL};
static struct trail_outbox the_outbox;

static struct store *open_apart(const char *url, const struct store_seal *seal)
{
    const struct store_options options = {
        .url = span_from(url), .data_dir = "data", .seal = seal, .readers = 1};
    const struct store_migration *list;
    struct store *store = NULL;
    size_t count;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    store_migrations(&list, &count);
    assert_int_equal(store_migrate(store, list, count, NULL), ERR_OK);
    return store;
}

static bool file_holds(const char *path, const char *text)
{
    static char bytes[8 * 1024 * 1024];
    FILE *file = fopen(path, "r");
    size_t len;

    if (file == NULL)
        return false;
    len = fread(bytes, 1, sizeof(bytes), file);
    assert_true(len < sizeof(bytes));
    assert_int_equal(fclose(file), 0);
    return len > 0 && memmem(bytes, len, text, strlen(text)) != NULL;
}

static bool files_hold(const char *text)
{
    return file_holds("data/portcullis.db", text) || file_holds("data/portcullis.db-wal", text) ||
           file_holds("data/audit.db", text) || file_holds("data/audit.db-wal", text);
}

/* As the server does, which stays open beside the command. */
static void carry_all(struct store *from, struct store *to)
{
    size_t count = 1;

    while (count > 0)
        assert_int_equal(trail_carry(from, to, &count), ERR_OK);
}

/* A log from before the split, what is on its way, and the log: erased is what is in none. */
static void a_person_is_erased_in_both_databases(void **state)
{
    struct store *business, *log;

    (void)state;
    with_store(add_ten);
    trail_outbox_init(&the_outbox, NULL, NULL);
    business = open_apart("sqlite:portcullis.db", &the_outbox.seal);
    log = open_apart("sqlite:audit.db", &trail_seal);
    for (int i = 0; i < 20; i++)
        add_ten(business);
    assert_int_equal(command_test_run_with("audit erase user:7 --basis art-17 --wait 0", apart),
                     COMMAND_BAD);
    assert_non_null(strstr(command_test_err, "200 events have not reached the log's database"));
    assert_true(files_hold("192.0.2.1"));
    carry_all(business, log);
    assert_int_equal(command_test_run_with("audit erase user:7 --dry-run", apart), COMMAND_GOOD);
    assert_string_equal(command_test_out, "200 entries would be erased.\n");
    assert_int_equal(command_test_run_with("audit erase user:7 --basis art-17", apart),
                     COMMAND_GOOD);
    assert_string_equal(command_test_out, "200 entries were erased.\n");
    assert_false(files_hold("192.0.2.1"));
    assert_true(files_hold("session:1"));
    store_close(business);
    store_close(log);
}

static void what_cannot_be_reached_is_told(void **state)
{
    static const char *const nowhere[] = {"AUDIT_DATABASE_URL=sqlite:/nowhere/audit.db", NULL};

    (void)state;
    with_store(add_ten);
    assert_int_equal(command_test_run_with("audit erase user:7 --basis art-17", nowhere),
                     COMMAND_BAD);
    assert_true(files_hold("192.0.2.1"));
    assert_int_equal(command_test_run("audit erase user:7 --basis art-17 --wait soon"),
                     COMMAND_USAGE);
}

int main(void)
{
#define T(name)                                                                                    \
    cmocka_unit_test_setup_teardown(name, command_test_folder_make, command_test_folder_remove)
    const struct CMUnitTest tests[] = {
        T(an_export_is_whole),
        T(parts_are_whole_too),
        T(a_change_is_told),
        T(an_event_is_proved),
        T(an_export_ends_with_a_checkpoint),
        T(what_was_appended_is_told),
        T(a_checkpoint_binds),
        T(the_newest_checkpoint_is_looked_at),
        T(nothing_signed_is_told),
        T(a_person_is_erased_and_the_log_stays_whole),
        T(a_person_is_erased_in_both_databases),
        T(what_cannot_be_reached_is_told),
    };
#undef T

    return cmocka_run_group_tests_name("command audit", tests, NULL, NULL);
}
