/* SPDX-License-Identifier: MIT
 * Scopes and roles on both databases: who may hold what, and how it changes. */
#include "auth/auth_test_kit.h"

#define EVERYBODY                                                                                  \
    "openid profile email offline_access accounts:read accounts:write transactions:read "          \
    "transactions:write orders:read orders:write"

static const struct store_statement changes_count = {
    .name = "test_changes", .sqlite = "SELECT count(*) FROM identity_changes"};
static const struct store_statement admins_count = {
    .name = "test_admins", .sqlite = "SELECT count(*) FROM users WHERE is_admin AND is_active"};

/* What nobody may hold as a user is held by clients alone. */
static void roles_give_scopes(void **state)
{
    static const struct {
        const char *roles, *scopes;
    } cases[] = {
        {"", EVERYBODY},
        {"customer", EVERYBODY},
        {"payments risk broker", EVERYBODY},
        {"auditor", EVERYBODY " audit:read monitoring:read"},
        {"customer auditor", EVERYBODY " audit:read monitoring:read"},
        {"admin", EVERYBODY " monitoring:read monitoring:write admin"},
        {"auditor admin", EVERYBODY " audit:read monitoring:read monitoring:write admin"},
        {"auditors", EVERYBODY},
        {"administrator", EVERYBODY},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct span scopes;

        assert_int_equal(auth_scopes_of_roles(span_from(cases[i].roles), &bench.arena, &scopes),
                         ERR_OK);
        if (!span_is(scopes, cases[i].scopes))
            fail_msg("\"%s\" gives %.*s", cases[i].roles, SPAN_ARG(scopes));
    }
}

struct change {
    int64_t id;
    const char *given;
    struct span roles;
    struct auth_user user;
};

static enum err set_steps(struct store_conn *conn, void *context)
{
    struct change *change = context;

    return auth_user_set_roles(conn, change->id, span_from(change->given), T0, &bench.arena,
                               &change->user);
}

static enum err roles_steps(struct store_conn *conn, void *context)
{
    struct change *change = context;

    return auth_roles_of_user(conn, change->id, &bench.arena, &change->roles);
}

static void assert_roles(int64_t id, const char *wanted)
{
    struct change change = {.id = id};

    assert_int_equal(reading(bench.store, roles_steps, &change), ERR_OK);
    if (!span_is(change.roles, wanted))
        fail_msg("roles are \"%.*s\"", SPAN_ARG(change.roles));
}

static void roles_are_set_as_a_whole(void **state)
{
    struct change change;
    int64_t before;

    (void)state;
    (void)create("root", "root@example.com", true);
    change.id = create("anna", "anna@example.com", false);
    assert_roles(change.id, "customer");
    before = number_of(&changes_count);
    change.given = "risk  payments risk";
    assert_int_equal(writing(bench.store, set_steps, &change), ERR_OK);
    assert_roles(change.id, "payments risk"); /* each once, in the order of the catalogue */
    assert_int_equal(number_of(&changes_count), before + 1);

    change.given = "admin auditor";
    assert_int_equal(writing(bench.store, set_steps, &change), ERR_OK);
    assert_true(change.user.is_admin);
    assert_roles(change.id, "auditor admin");
    assert_int_equal(number_of(&admins_count), 2);
    change.given = "auditor";
    assert_int_equal(writing(bench.store, set_steps, &change), ERR_OK);
    assert_roles(change.id, "auditor");
    assert_int_equal(number_of(&admins_count), 1);
}

/* An administrator who no longer is one keeps no trace of it in the roles. */
static enum err demote_steps(struct store_conn *conn, void *context)
{
    struct change *change = context;
    const struct auth_user_change what = {.sets_admin = true};

    return auth_user_update(conn, change->id, &what, T0, &bench.arena, &change->user);
}

static void the_role_of_an_administrator_goes_with_the_right(void **state)
{
    struct change change = {.given = "admin"};

    (void)state;
    (void)create("root", "root@example.com", true);
    change.id = create("anna", "anna@example.com", false);
    assert_int_equal(writing(bench.store, set_steps, &change), ERR_OK);
    assert_roles(change.id, "admin");
    assert_int_equal(writing(bench.store, demote_steps, &change), ERR_OK);
    assert_roles(change.id, "");
}

static void names_that_are_no_roles_are_refused(void **state)
{
    static const char *const cases[] = {
        "", " ", "king", "customer king", "Customer", "customer,risk"};
    struct change change;

    (void)state;
    (void)create("root", "root@example.com", true);
    change.id = create("anna", "anna@example.com", false);
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        change.given = cases[i];
        if (writing(bench.store, set_steps, &change) != ERR_VALIDATION)
            fail_msg("\"%s\" is taken", cases[i]);
        assert_roles(change.id, "customer");
    }
    assert_int_equal(number_of(&changes_count), 0);
}

static void the_last_administrator_keeps_the_role(void **state)
{
    struct change change = {.given = "customer"};

    (void)state;
    change.id = create("root", "root@example.com", true);
    assert_int_equal(writing(bench.store, set_steps, &change), ERR_LAST_ADMIN);
    assert_roles(change.id, "customer admin");
    change.id = 4711;
    assert_int_equal(writing(bench.store, set_steps, &change), ERR_NOT_FOUND);
    assert_int_equal(reading(bench.store, roles_steps, &change), ERR_NOT_FOUND);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        T(roles_give_scopes),
        T(roles_are_set_as_a_whole),
        T(the_role_of_an_administrator_goes_with_the_right),
        T(names_that_are_no_roles_are_refused),
        T(the_last_administrator_keeps_the_role),
    };
#undef T

    return cmocka_run_group_tests_name("auth_scope", tests, NULL, NULL);
}
