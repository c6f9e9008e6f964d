/* SPDX-License-Identifier: MIT
 * POST /users and GET /users/{id}, on both databases. */
#include "account/account_test_kit.h"

#define USER(email, name, password)                                                                \
    "{\"email\":\"" email "\",\"full_name\":\"" name "\",\"password\":\"" password "\"}"

static enum err find_run(struct store_conn *conn, struct store_job *job)
{
    struct auth_user *user = job->context;

    return auth_user_by_id(conn, user->id, &desk.arena, user);
}

static struct auth_user user_of(int64_t id)
{
    struct auth_user user = {.id = id};

    assert_int_equal(store_do(bench.store, find_run, &user, false), ERR_OK);
    return user;
}

static void a_user_is_made(void **state)
{
    struct auth_user user;

    (void)state;
    assert_int_equal(ask("POST /users", CUSTOMER,
                         USER("John.Doe@Example.com", "John Doe", "correct horse battery")),
                     201);
    assert_says("\r\nLocation: /users/100\r\n");
    assert_said("id", "100");
    assert_said("email", "John.Doe@Example.com");
    assert_said("full_name", "John Doe");
    assert_said("created_at", "2027-01-15T08:00:00.000000Z");
    assert_said("accounts", "[]");
    assert_silent("horse");
    assert_silent("hash");
    assert_silent("$2b$");
    assert_int_equal(events(TRAIL_USER_REGISTERED), 1);
    user = user_of(100);
    assert_true(span_is(user.username, "John.Doe"));
    assert_true(user.is_active && !user.is_admin);
    assert_true(span_starts(user.password_hash, SPAN_OF("$2b$04$")));
    assert_int_equal(ask("GET /users/100", "u100.customer", NULL), 200);
    assert_said("full_name", "John Doe");
    assert_silent("$2b$");
}

static void assert_username(const char *body, int64_t id, const char *expected)
{
    assert_int_equal(ask("POST /users", CUSTOMER, body), 201);
    assert_int_equal(said_number("id"), id);
    if (!span_is(user_of(id).username, expected))
        fail_msg("\"%.*s\", not \"%s\"", SPAN_ARG(user_of(id).username), expected);
}

/* Derived from the address, made to fit, and unique. */
static void usernames_come_from_addresses(void **state)
{
    struct auth_user second;

    (void)state;
    assert_username(USER("x@example.com", "X", "password-of-x"), 100, "x__");
    assert_username(USER("a+b/c@example.com", "A", "password-of-a"), 101, "a_b_c");
    assert_username(USER("an.address.that.is.longer.than.a.username.can.be.ever@example.com", "L",
                         "password-of-l"),
                    102, "an.address.that.is.longer.than.a.username");
    assert_int_equal(
        ask("POST /users", CUSTOMER, USER("ADA@other.example", "Ada", "long enough 2")), 201);
    second = user_of(said_number("id"));
    assert_int_equal(second.username.len, 3 + 1 + 8);
    assert_true(span_starts(second.username, SPAN_OF("ADA-")));
}

static void taken_and_wrong_users_are_refused(void **state)
{
    static const struct {
        const char *body, *field;
    } rows[] = {
        {USER("no address", "A", "long enough 1"), "email"},
        {USER("a@example.com", "", "long enough 1"), "full_name"},
        {USER("a@example.com", "   ", "long enough 1"), "full_name"},
        {USER("a@example.com", "a\\nb", "long enough 1"), "full_name"},
        {USER("a@example.com", "A", "abc4567"), "password"},
        {"{\"email\":\"a@example.com\",\"full_name\":\"A\"}", "password"},
        {"{}", "email"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        assert_problem(ask("POST /users", CUSTOMER, rows[i].body), 422, "validation-failed");
        assert_said("errors.0.field", rows[i].field);
        assert_silent("abc4567");
    }
    assert_problem(ask("POST /users", CUSTOMER, USER("ADA@example.COM", "A", "long enough 1")), 409,
                   "already-taken");
    assert_int_equal(events(TRAIL_USER_REGISTERED), 0);
}

/* Card numbers are masked before they are kept. */
static void names_are_free_text(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /users", CUSTOMER,
                         USER("a@example.com", "Ann 4111 1111 1111 1111", "long enough 1")),
                     201);
    assert_said("full_name", "Ann **** **** **** 1111");
    assert_true(span_is(user_of(100).full_name, "Ann **** **** **** 1111"));
}

static void unknown_members_make_nobody_an_administrator(void **state)
{
    (void)state;
    assert_int_equal(ask("POST /users", CUSTOMER,
                         "{\"email\":\"a@example.com\",\"full_name\":\"A\",\"password\":"
                         "\"long enough 1\",\"is_admin\":true,\"role\":\"payments\",\"id\":1,"
                         "\"roles\":\"admin\",\"username\":\"root\"}"),
                     201);
    assert_said("id", "100");
    assert_false(user_of(100).is_admin);
    assert_true(span_is(user_of(100).username, "a__"));
}

static void a_user_is_shown_with_accounts(void **state)
{
    (void)state;
    (void)account_of_user(1, "11112222", "USD");
    (void)account_of_user(2, "33334444", "USD");
    (void)account_of_user(1, "55556666", "JPY");
    assert_int_equal(ask("GET /users/1", CUSTOMER, NULL), 200);
    assert_said("id", "1");
    assert_said("email", "ada@example.com");
    assert_said("full_name", "null");
    assert_said("accounts.0.account_number", "****6666");
    assert_said("accounts.0.balance", "0");
    assert_said("accounts.1.account_number", "****2222");
    assert_said("accounts.2", "");
    assert_int_equal(ask("GET /users/2", CUSTOMER, NULL), 404);
    assert_int_equal(ask("GET /users/2", "u1.auditor", NULL), 200);
    assert_said("accounts.0.account_number", "****4444");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DESK_TEST(a_user_is_made),
        DESK_TEST(usernames_come_from_addresses),
        DESK_TEST(taken_and_wrong_users_are_refused),
        DESK_TEST(names_are_free_text),
        DESK_TEST(unknown_members_make_nobody_an_administrator),
        DESK_TEST(a_user_is_shown_with_accounts),
    };

    return cmocka_run_group_tests_name("account_user", tests, NULL, NULL);
}
