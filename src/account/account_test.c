/* SPDX-License-Identifier: MIT
 * The rules of numbers, types and rights, without a store. */
#include "account/account_test_kit.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, 1024 * 1024);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static void assert_key(const char *number, const char *expected)
{
    struct span key = {0};
    enum err err = account_number_key(span_from(number), &arena, &key);

    if (expected == NULL)
        assert_int_equal(err, ERR_VALIDATION);
    else if (err != ERR_OK || !span_is(key, expected))
        fail_msg("%s: %s, \"%.*s\"", number, err_name(err), SPAN_ARG(key));
}

static void numbers_are_compared_by_letters_and_digits(void **state)
{
    (void)state;
    assert_key("1234", "1234");
    assert_key("acc-000 123", "ACC000123");
    assert_key("DE89 3704 0044 0532 0130 00", "DE89370400440532013000");
    assert_key("1234567890123456789012345678901234", "1234567890123456789012345678901234");
    assert_key("12345678901234567890123456789012345", NULL);
    assert_key("123", NULL);
    assert_key("1-2-3", NULL);
    assert_key("----", NULL);
    assert_key("12_34", NULL);
    assert_key("12\t34", NULL);
    assert_key("1234\xC3\xA9", NULL);
    assert_key("", NULL);
}

static void assert_masked(const char *number, const char *expected)
{
    struct span shown = account_number_masked(span_from(number), &arena);

    if (!span_is(shown, expected))
        fail_msg("%s is shown as \"%.*s\"", number, SPAN_ARG(shown));
}

static void numbers_show_their_last_four(void **state)
{
    (void)state;
    assert_masked("1234567890", "******7890");
    assert_masked("12345", "*2345");
    assert_masked("1234", "1234");
    assert_masked("ACC-000123", "******0123");
    assert_masked("1234-56-7 8", "*****56*7*8");
    assert_masked("4111 1111 1111 1111", "***************1111");
}

static void types_are_names(void **state)
{
    (void)state;
    assert_true(account_type_holds(SPAN_OF("checking")));
    assert_true(account_type_holds(SPAN_OF("Joint account 2.b_c-d")));
    assert_true(account_type_holds(SPAN_OF("1")));
    assert_false(account_type_holds(SPAN_OF("")));
    assert_false(account_type_holds(SPAN_OF(" checking")));
    assert_false(account_type_holds(SPAN_OF("checking ")));
    assert_false(account_type_holds(SPAN_OF("-1+1")));
    assert_false(account_type_holds(SPAN_OF("=1+1")));
    assert_false(account_type_holds(SPAN_OF("a<b>")));
    assert_false(account_type_holds(SPAN_OF("a\nb")));
    assert_false(account_type_holds(SPAN_OF("****1111")));
}

static struct http_principal with(int64_t user_id, const char *roles)
{
    return (struct http_principal){.user_id = user_id, .roles = span_from(roles)};
}

static void rights_follow_the_table(void **state)
{
    static const struct {
        int64_t user_id;
        const char *roles;
        bool sees_own, sees_other, manages_own, manages_other;
    } rows[] = {
        {1, "customer", true, false, true, false},   {1, "broker", true, false, true, false},
        {1, "payments", true, true, true, true},     {1, "risk", true, true, true, true},
        {1, "auditor", true, true, true, false},     {1, "customer admin", true, true, true, true},
        {0, "customer", false, false, false, false}, {0, "", false, false, false, false},
        {0, "payments", true, true, true, true},     {0, "auditor", true, true, false, false},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct http_principal who = with(rows[i].user_id, rows[i].roles);

        assert_int_equal(account_is_seen(&who, 1), rows[i].sees_own);
        assert_int_equal(account_is_seen(&who, 2), rows[i].sees_other);
        assert_int_equal(account_is_managed(&who, 1), rows[i].manages_own);
        assert_int_equal(account_is_managed(&who, 2), rows[i].manages_other);
    }
}

/* User 0 is nobody: a client of its own must not own what has no owner. */
static void nobody_owns_nothing(void **state)
{
    struct http_principal who = with(0, "customer");

    (void)state;
    assert_false(account_is_seen(&who, 0));
    assert_false(account_is_managed(&who, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_compared_by_letters_and_digits, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(numbers_show_their_last_four, setup, teardown),
        cmocka_unit_test(types_are_names),
        cmocka_unit_test(rights_follow_the_table),
        cmocka_unit_test(nobody_owns_nothing),
    };

    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
