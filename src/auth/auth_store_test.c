/* SPDX-License-Identifier: MIT
 * Users on both databases: their names, their rights, and who wins a race. */
#include "auth/auth_test_kit.h"

#include <pthread.h>

static const struct store_statement changes_count = {
    .name = "test_changes", .sqlite = "SELECT count(*) FROM identity_changes"};
static const struct store_statement admins_count = {
    .name = "test_admins", .sqlite = "SELECT count(*) FROM users WHERE is_admin AND is_active"};
static const struct store_statement users_count = {.name = "test_users",
                                                   .sqlite = "SELECT count(*) FROM users"};

/* ---- names ------------------------------------------------------------------------------------
 */

/* Names that look alike must not be two users: case and blanks around do not count. */
static void names_are_normalised(void **state)
{
    static const struct {
        const char *given, *key;
    } cases[] = {
        {"a@b.c", "a@b.c"}, {"A@B.C", "a@b.c"}, {"  a@b.c\t", "a@b.c"},
        {"", ""},           {"   ", ""},        {"J\xC3\xB6rg", "j\xC3\xB6rg"},
        {"a b", "a b"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct span key = auth_key_of(span_from(cases[i].given), &bench.arena);

        if (!span_is(key, cases[i].key))
            fail_msg("\"%s\" became \"%.*s\"", cases[i].given, SPAN_ARG(key));
    }
}

struct finding {
    const char *email;
    int64_t id;
    struct auth_user user;
};

static enum err by_email(struct store_conn *conn, void *context)
{
    struct finding *finding = context;

    return auth_user_by_email(conn, span_from(finding->email), &bench.arena, &finding->user);
}

static enum err by_id(struct store_conn *conn, void *context)
{
    struct finding *finding = context;

    return auth_user_by_id(conn, finding->id, &bench.arena, &finding->user);
}

/* A name that there was no room to normalise is no name: it must not become the empty one. */
static void a_full_arena_is_no_name(void **state)
{
    struct creation made = {.username = "anna", .email = "anna@example.com"};
    struct finding finding = {.email = "anna@example.com"};

    (void)state;
    arena_reset(&bench.arena);
    arena_init(&bench.arena, NULL, 0, 0);
    assert_int_equal(writing(bench.store, create_steps, &made), ERR_NO_MEMORY);
    assert_int_equal(reading(bench.store, by_email, &finding), ERR_NO_MEMORY);
    assert_int_equal(number_of(&users_count), 0);
}

static void a_user_is_found_as_created(void **state)
{
    struct finding finding = {.email = " ANNA@example.com ",
                              .id = create("Anna", "Anna@Example.com", true)};

    (void)state;
    assert_int_equal(reading(bench.store, by_email, &finding), ERR_OK);
    assert_int_equal(finding.user.id, finding.id);
    assert_true(span_is(finding.user.username, "Anna"));
    assert_true(span_is(finding.user.email, "Anna@Example.com"));
    assert_true(span_is(finding.user.password_hash, "hash"));
    assert_true(finding.user.is_admin && finding.user.is_active);
    assert_int_equal(finding.user.created_at_ns, T0);
    finding.user = (struct auth_user){0};
    assert_int_equal(reading(bench.store, by_id, &finding), ERR_OK);
    assert_true(span_is(finding.user.username, "Anna"));

    finding.email = "other@example.com";
    finding.id = 4711;
    assert_int_equal(reading(bench.store, by_email, &finding), ERR_NOT_FOUND);
    assert_int_equal(reading(bench.store, by_id, &finding), ERR_NOT_FOUND);
    assert_true(span_is(finding.user.username, "Anna")); /* results stay as they were */
}

/* Which of the two names is taken decides what the client is told; the address comes first. */
static void taken_names_are_told(void **state)
{
    struct creation same_email = {.username = "other", .email = "ANNA@example.com"};
    struct creation same_name = {.username = "ANNA", .email = "other@example.com"};
    struct creation both = {.username = "anna", .email = "anna@example.com"};

    (void)state;
    (void)create("Anna", "anna@example.com", false);
    assert_int_equal(writing(bench.store, create_steps, &same_email), ERR_TAKEN);
    assert_string_equal(same_email.field, "email");
    assert_int_equal(writing(bench.store, create_steps, &same_name), ERR_TAKEN);
    assert_string_equal(same_name.field, "username");
    assert_int_equal(writing(bench.store, create_steps, &both), ERR_TAKEN);
    assert_string_equal(both.field, "email");
    assert_int_equal(number_of(&users_count), 1);
}

struct listing {
    int64_t after;
    size_t limit, count;
    struct auth_user *users;
};

static enum err list_steps(struct store_conn *conn, void *context)
{
    struct listing *list = context;

    return auth_user_list(conn, list->after, list->limit, &bench.arena, &list->users, &list->count);
}

static void users_come_page_by_page(void **state)
{
    static const char *const names[] = {"one", "two", "three", "four", "five"};
    struct listing list = {.limit = 2};
    int64_t seen = 0;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(names); i++) {
        char email[64];

        (void)snprintf(email, sizeof(email), "%s@example.com", names[i]);
        (void)create(names[i], email, false);
    }
    do {
        assert_int_equal(reading(bench.store, list_steps, &list), ERR_OK);
        for (size_t i = 0; i < list.count; i++) {
            assert_true(span_is(list.users[i].username, names[seen++]));
            assert_true(list.users[i].id > list.after);
            list.after = list.users[i].id;
        }
    } while (list.count == list.limit);
    assert_int_equal(seen, PC_COUNT(names));
    list.after = INT64_MAX;
    assert_int_equal(reading(bench.store, list_steps, &list), ERR_OK);
    assert_int_equal(list.count, 0);
}

/* ---- rights -----------------------------------------------------------------------------------
 */

struct updating {
    int64_t id;
    struct auth_user_change change;
    struct auth_user user;
    struct store *store;
    pthread_barrier_t *line;
    enum err err;
};

static enum err update_steps(struct store_conn *conn, void *context)
{
    struct updating *update = context;

    return auth_user_update(conn, update->id, &update->change, T0, &bench.arena, &update->user);
}

static void rights_change_and_are_told(void **state)
{
    struct updating update = {.change = {.is_admin = true, .sets_admin = true}};

    (void)state;
    (void)create("root", "root@example.com", true);
    update.id = create("anna", "anna@example.com", false);
    assert_int_equal(writing(bench.store, update_steps, &update), ERR_OK);
    assert_true(update.user.is_admin && update.user.is_active);
    assert_int_equal(number_of(&admins_count), 2);
    assert_int_equal(number_of(&changes_count), 1);

    update.change = (struct auth_user_change){.sets_active = true};
    assert_int_equal(writing(bench.store, update_steps, &update), ERR_OK);
    assert_true(update.user.is_admin && !update.user.is_active); /* the rest stays */
    assert_int_equal(number_of(&admins_count), 1);
    assert_int_equal(number_of(&changes_count), 2);

    update.id = 4711;
    assert_int_equal(writing(bench.store, update_steps, &update), ERR_NOT_FOUND);
}

/* By either way, and by both at once; an administrator who is not active does not count. */
static void the_last_administrator_stays(void **state)
{
    static const struct auth_user_change ways[] = {
        {.sets_admin = true}, {.sets_active = true}, {.sets_admin = true, .sets_active = true}};
    struct updating update = {.change = {.sets_active = true}};

    (void)state;
    update.id = create("second", "second@example.com", true);
    (void)create("anna", "anna@example.com", false);
    struct updating root = {.id = create("root", "root@example.com", true)};
    assert_int_equal(writing(bench.store, update_steps, &update), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(ways); i++) {
        root.change = ways[i];
        assert_int_equal(writing(bench.store, update_steps, &root), ERR_LAST_ADMIN);
    }
    root.change = (struct auth_user_change){.sets_admin = true, .is_admin = true};
    assert_int_equal(writing(bench.store, update_steps, &root), ERR_OK); /* no change at all */
    assert_int_equal(number_of(&admins_count), 1);
}

static void *update_at_once(void *context)
{
    struct updating *update = context;

    (void)pthread_barrier_wait(update->line);
    for (int i = 0; i < 20; i++) { /* serialization may be asked to try again */
        update->err = writing(update->store, update_steps, update);
        if (update->err != ERR_STORE_RETRY && update->err != ERR_BUSY)
            break;
    }
    return NULL;
}

/* Two processes, each taking the other's administrator away. */
static void two_processes_leave_one_administrator(void **state)
{
    struct store *other = bench_open();
    struct updating updates[2] = {{.store = bench.store}, {.store = other}};
    struct auth_user_change grant = {.is_admin = true, .sets_admin = true};
    pthread_barrier_t line;

    (void)state;
    updates[0].id = create("one", "one@example.com", true);
    updates[1].id = create("two", "two@example.com", true);
    for (int round = 0; round < 10; round++) {
        pthread_t threads[2];
        size_t good = 0;

        assert_int_equal(pthread_barrier_init(&line, NULL, 2), 0);
        for (size_t i = 0; i < 2; i++) {
            updates[i].line = &line;
            updates[i].change = (struct auth_user_change){.sets_admin = true};
            assert_int_equal(pthread_create(&threads[i], NULL, update_at_once, &updates[i]), 0);
        }
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(pthread_barrier_destroy(&line), 0);
        for (size_t i = 0; i < 2; i++) {
            good += updates[i].err == ERR_OK;
            assert_true(updates[i].err == ERR_OK || updates[i].err == ERR_LAST_ADMIN);
        }
        assert_int_equal(good, 1);
        assert_int_equal(number_of(&admins_count), 1);
        for (size_t i = 0; i < 2; i++) {
            updates[i].change = grant;
            assert_int_equal(writing(bench.store, update_steps, &updates[i]), ERR_OK);
        }
    }
    store_close(other);
}

/* ---- the first users --------------------------------------------------------------------------
 */

static const struct auth_options seed_options = {
    .clock = &clock_system,
    .random = &random_system,
    .policy = {.kind = CRYPTO_PASSWORD_BCRYPT, .bcrypt_cost = 4}};

struct seeding_thread {
    struct store *store;
    size_t created;
    enum err err;
};

static void *seed_at_once(void *context)
{
    struct seeding_thread *seeding = context;

    seeding->err = auth_seed(seeding->store, &seed_options, &seeding->created);
    return NULL;
}

/* However many processes start at once on an empty store. */
static void the_first_users_are_made_once(void **state)
{
    struct seeding_thread seedings[2] = {{.store = bench.store}, {.store = bench_open()}};
    pthread_t threads[2];
    struct finding admin = {.email = "admin@example.com"};
    size_t created = 7;

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, seed_at_once, &seedings[i]), 0);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(seedings[0].err, ERR_OK);
    assert_int_equal(seedings[1].err, ERR_OK);
    assert_int_equal(seedings[0].created + seedings[1].created, 3);
    assert_int_equal(number_of(&users_count), 3);
    assert_int_equal(auth_seed(bench.store, &seed_options, &created), ERR_OK);
    assert_int_equal(created, 0);

    assert_int_equal(reading(bench.store, by_email, &admin), ERR_OK);
    assert_int_equal(admin.user.id, 1);
    assert_true(admin.user.is_admin);
    assert_int_equal(crypto_password_verify(admin.user.password_hash, SPAN_OF("admin123")), ERR_OK);
    store_close(seedings[1].store);
}

/* A store that already has somebody gets no one else. */
static void nobody_is_added_to_a_store_in_use(void **state)
{
    size_t created = 7;

    (void)state;
    (void)create("anna", "anna@example.com", false);
    assert_int_equal(auth_seed(bench.store, &seed_options, &created), ERR_OK);
    assert_int_equal(created, 0);
    assert_int_equal(number_of(&users_count), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(names_are_normalised),          T(a_full_arena_is_no_name),
        T(a_user_is_found_as_created),    T(taken_names_are_told),
        T(users_come_page_by_page),       T(rights_change_and_are_told),
        T(the_last_administrator_stays),  T(two_processes_leave_one_administrator),
        T(the_first_users_are_made_once), T(nobody_is_added_to_a_store_in_use),
    };
#undef T

    return cmocka_run_group_tests_name("auth_store", tests, NULL, NULL);
}
