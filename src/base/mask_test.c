/* SPDX-License-Identifier: MIT
 * What is card data is hidden, what is not stays. The numbers are the networks' own test cards, and
 * the IBANs the registry's examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mask.h"

enum { TEXT_BYTES_MAX = 4096 };

/* The three ways to ask must agree, and asking again must change nothing. */
static void masks(const char *text, const char *expected)
{
    struct arena arena;
    struct span result;
    char copy[TEXT_BYTES_MAX];
    size_t len = strlen(text);

    arena_init(&arena, NULL, 0, TEXT_BYTES_MAX * 2);
    assert_int_equal(mask_card_data(span_from(text), &arena, &result), ERR_OK);
    if (!span_is(result, expected))
        fail_msg("%s\n  became %.*s\n  not    %s", text, SPAN_ARG(result), expected);
    assert_int_equal(result.len, len);
    assert_int_equal(mask_finds(span_from(text)), strcmp(text, expected) != 0);
    assert_true(mask_finds(span_from(text)) || result.ptr == text);
    memcpy(copy, text, len);
    mask_in_place(copy, len);
    assert_true(span_is(span_make(copy, len), expected));
    assert_false(mask_finds(result));
    arena_reset(&arena);
}

static void keeps(const char *text)
{
    masks(text, text);
}

static void a_card_number_shows_its_last_four(void **state)
{
    (void)state;
    masks("4111111111111111", "************1111");
    masks("card 4111 1111 1111 1111, cvv 123", "card **** **** **** 1111, cvv ***");
    masks("4111-1111-1111-1111", "****-****-****-1111");
    masks("pay 4222222222222 now", "pay *********2222 now"); /* Visa, 13 */
    masks("4000000000000000006", "***************0006");     /* Visa, 19 */
    masks("5555555555554444.", "************4444.");         /* Mastercard */
    masks("(2223003122003222)", "(************3222)");       /* Mastercard, new */
    masks("378282246310005", "***********0005");             /* Amex */
    masks("3782 822463 10005", "**** ****** *0005");         /* as printed */
    masks("30569309025904", "**********5904");               /* Diners */
    masks("3056 930902 5904", "**** ****** 5904");           /* as printed */
    masks("6011111111111117", "************1117");           /* Discover */
    masks("3530111333300000", "************0000");           /* JCB */
    masks("6200000000000005", "************0005");           /* UnionPay */
    masks("6759649826438453", "************8453");           /* Maestro */
    masks("6799990100000000019 6761000000000006", "6799990100000000019 ************0006");
    masks("2200000000000004", "************0004");       /* Mir */
    masks("6362970000457013", "************7013");       /* Elo */
    masks("6062826786276634", "************6634");       /* Hipercard */
    masks("9792000000000003 ", "************0003 ");     /* Troy */
    masks("5019717010103742", "************3742");       /* Dankort */
    masks("122000000000003", "***********0003");         /* UATP */
    masks("5060990580000217499", "***************7499"); /* Verve */
}

static void a_card_number_is_found_anywhere(void **state)
{
    (void)state;
    masks("4111111111111111 5555555555554444", "************1111 ************4444");
    masks("4111 1111 1111 1111 5555 5555 5555 4444", "**** **** **** 1111 **** **** **** 4444");
    masks("4111111111111111,5555555555554444", "************1111,************4444");
    masks("4111111111111111\n5555555555554444", "************1111\n************4444");
    masks("a,4111111111111111,b", "a,************1111,b");
    masks("\"4111111111111111\"", "\"************1111\"");
    masks("pan=4111111111111111&x", "pan=************1111&x");
    masks("/cards/4111111111111111/x", "/cards/************1111/x");
    masks("#4111111111111111:", "#************1111:");
    masks("**4111111111111111**", "**************1111**");
    masks("card4111111111111111exp12/26", "card************1111exp12/26");
    masks("no.4111111111111111", "no.************1111");
    masks("12 4111 1111 1111 1111 12/26", "12 **** **** **** 1111 12/26");
    masks("4111 - 1111 - 1111 - 1111", "**** - **** - **** - 1111");
    masks("4111.1111.1111.1111", "****.****.****.1111");
    masks("4111/1111/1111/1111", "****/****/****/1111");
    masks("4111  1111  1111  1111", "****  ****  ****  1111");
    masks("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "* * * * * * * * * * * * 1 1 1 1");
    masks("41 11 11 11 11 11 11 11", "** ** ** ** ** ** 11 11");
    masks("411111 1111111111", "****** ******1111");
    masks("41111111 11111111", "******** ****1111");
    masks("{\\\"n\\\":\\\"\\n4111111111111111\\\"}", "{\\\"n\\\":\\\"\\n************1111\\\"}");
    masks("Card4111-1111-1111-1111USD", "Card****-****-****-1111USD");
    masks("q=4111+1111+1111+1111", "q=****+****+****+1111");
    masks("q=4111%201111%201111%201111", "q=****%20****%20****%201111");
    masks("%34%31%31%31111111111111", "%2A%2A%2A%2A********1111");
}

/* Of two numbers that overlap both are hidden: 5104 4111 ... and 4111 1111 ... may each be one. */
static void overlapping_numbers_are_all_hidden(void **state)
{
    (void)state;
    masks("5104 4111 1111 1111 1111", "**** **** **** **** 1111");
    masks("5105 1051 0510 5100 4111 1111 1111 1111", "**** **** **** 5100 **** **** **** 1111");
}

/* The four digits left showing make a new number with what follows: it is hidden as well. */
static void nothing_is_left_to_find(void **state)
{
    (void)state;
    masks("4111111111111111 234567 12344", "**************** ****** *2344");
}

static void disguises_are_seen_through(void **state)
{
    (void)state;
    masks("４１１１１１１１１１１１１１１１", "＊＊＊＊＊＊＊＊＊＊＊＊１１１１");
    masks("４１１１ 1111 1111 １１１１", "＊＊＊＊ **** **** １１１１");
    masks("٤١١١١١١١١١١١١١١١", "٭٭٭٭٭٭٭٭٭٭٭٭١١١١");
    masks("४१११११११११११११११", "＊＊＊＊＊＊＊＊＊＊＊＊११११");
    masks("𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏", "🞯🞯🞯🞯🞯🞯🞯🞯🞯🞯🞯🞯𝟏𝟏𝟏𝟏");
    masks("4111\u200B1111\u200B1111\u200B1111", "****\u200B****\u200B****\u200B1111");
    masks("4\u00AD1\u00AD1\u00AD1111111111111", "*\u00AD*\u00AD*\u00AD*********1111");
    masks("4111\u00A01111\u00A01111\u00A01111", "****\u00A0****\u00A0****\u00A01111");
    masks("4111\u20131111\u20131111\u20131111", "****\u2013****\u2013****\u20131111");
    masks("卡号4111111111111111。", "卡号************1111。");
    masks("411111111111\u200B1111 x", "************\u200B1111 x");
    masks("41111111%31111111x/4111 1111 1111 1111", "41111111%31111111x/**** **** **** 1111");
    masks("4\uFE0F\u20E31\uFE0F\u20E311111111111111", "*\uFE0F\u20E3*\uFE0F\u20E3**********1111");
}

static void what_is_no_card_stays(void **state)
{
    (void)state;
    keeps("");
    keeps("no digits at all");
    keeps("4111111111111112");     /* Luhn */
    keeps("1111111111111117");     /* no issuer */
    keeps("411111111111116");      /* Visa has no 15 */
    keeps("41111111111111111111"); /* 20 digits */
    keeps("00004111111111111111");
    keeps("4111111111111111000000000000");
    keeps("x4111111111111111");
    keeps("4111111111111111z");
    keeps("0.4111111111111111");
    keeps("4111111111111111.25");
    keeps("$4222222222222");
    keeps("4,222,222,222,222");
    keeps("4 222 222 222 222");
    keeps("4.222.222.222.222,00");
    keeps("1763784607123 1763784607123456 1763784607123456789");
    keeps("2026-11-22T04:10:07.123456789Z");
    keeps("550e8400-e29b-41d4-a716-446655440000");
    keeps("+49 1512 3456785");
    keeps("+4915123456785");
    keeps("ORD-2026-000123, invoice 20261122-0001, tracking 1Z999AA10123456784");
    keeps("192.168.100.200:8080, 2001:0db8:0000:0000:0000:ff00:0042:8329");
    keeps("**** **** **** 1111");
}

static void ibans_show_country_and_last_four(void **state)
{
    (void)state;
    masks("DE89370400440532013000", "DE****************3000");
    masks("IBAN: DE89 3704 0044 0532 0130 00.", "IBAN: DE** **** **** **** **30 00.");
    masks("ibande89370400440532013000", "ibande****************3000");
    masks("GB29 NWBK 6016 1331 9268 19", "GB** **** **** **** **68 19");
    masks("fr1420041010050500013m02606", "fr*********************2606");
    masks("MT84MALT011000012345MTLCAST001S", "MT*************************001S");
    masks("NO93 8601 1117 947", "NO** **** ***7 947");
    masks("LC14BOSL123456789012345678901234", "LC**************************1234");
    masks("ＤＥ８９３７０４００４４０５３２０１３０００",
          "ＤＥ＊＊＊＊＊＊＊＊＊＊＊＊＊＊＊＊３０００");
    masks("DE89\u00A03704\u00A00044\u00A00532\u00A00130\u00A000",
          "DE**\u00A0****\u00A0****\u00A0****\u00A0**30\u00A000");
    masks("BE68539007547034,NL91ABNA0417164300", "BE**********7034,NL************4300");
    keeps("DE88370400440532013000");  /* remainder */
    keeps("XX89370400440532013000");  /* no such country */
    keeps("DE8937040044053201300");   /* too short */
    keeps("DE893704004405320130000"); /* too long */
    keeps("xDE89370400440532013000");
}

static void verification_values_go_whole(void **state)
{
    (void)state;
    masks("cvv 123", "cvv ***");
    masks("CVV2: 1234", "CVV2: ****");
    masks("cvc=999;", "cvc=***;");
    masks("CVC2-999", "CVC2-***");
    masks("cid is 4321.", "cid is ****.");
    masks("my security code is 123, ok", "my security code is ***, ok");
    masks("card verification value (123)", "card verification value (***)");
    masks("{\"cvv\":\"123\",\"securityCode\":987}", "{\"cvv\":\"***\",\"securityCode\":***}");
    masks("security_code=123&", "security_code=***&");
    masks("cvv123", "cvv***");
    masks("**CVV:** 123", "**CVV:** ***");
    masks("código de segurança 123", "código de segurança ***");
    masks("Cód. de segurança do cartão é 123", "Cód. de segurança do cartão é ***");
    masks("CÓDIGO DE SEGURIDAD: 123", "CÓDIGO DE SEGURIDAD: ***");
    masks("co\u0301digo de seguranc\u0327a 123", "co\u0301digo de seguranc\u0327a ***");
    masks("código de verificación es 123", "código de verificación es ***");
    masks("ｃｖｖ １２３", "ｃｖｖ ＊＊＊");
    masks("cvv\n123", "cvv\n***");
    keeps("cvv 12");
    keeps("cvv 12345");
    keeps("cvv 123.45");
    keeps("acid 123");
    keeps("room 123");
    keeps("cvv of the card that I told you about on Monday was not 123");
    keeps("cvv *** 123");
}

/* Three digits are enough wherever they stand, and in any disguise. */
static void few_digits_are_not_overlooked(void **state)
{
    static const char blanks[] = "                  ";

    (void)state;
    for (int before = 0; before < 18; before++) {
        for (int behind = 0; behind < 10; behind++) {
            char text[64];
            char masked[64];

            (void)snprintf(text, sizeof(text), "%.*scvv 123%.*s", before, blanks, behind, blanks);
            (void)snprintf(masked, sizeof(masked), "%.*scvv ***%.*s", before, blanks, behind,
                           blanks);
            masks(text, masked);
        }
    }
    masks("cvv %31%32%33", "cvv %2A%2A%2A");
    masks("cvv 1\xEF\xBC\x92\xEF\xBC\x93", "cvv *\xEF\xBC\x8A\xEF\xBC\x8A");
}

static void tracks_go_whole(void **state)
{
    (void)state;
    masks("%B4111111111111111^DOE/JOHN^2612101123?x", "***************************************x");
    masks("B4111111111111111^DOE/J^2612101 paid", "******************************* paid");
    masks(";4111111111111111=26121011230000000?", "************************************");
    masks("[;4111111111111111=2612?]", "[***********************]");
    masks("4111111111111111=26121010000", "****************************");
    masks("4111111111111111D26121010000F ", "***************************** ");
    masks("%25B4111111111111111%5EDOE%5E2612%3F", "%2A*****************%2A***%2A****%2A");
    masks("total;4111111111111111=x", "total;************1111=x");
    masks("%B411111111112^DOE^2612?", "************************");
    keeps("a=1;1234567890123456=x");
}

static void a_full_arena_is_told(void **state)
{
    struct arena arena;
    struct span result = SPAN("as it was");

    (void)state;
    arena_init(&arena, NULL, 0, 0);
    assert_int_equal(mask_card_data(SPAN_OF("4111111111111111"), &arena, &result), ERR_NO_MEMORY);
    assert_true(span_is(result, "as it was"));
    assert_int_equal(mask_card_data(SPAN_OF("nothing in it"), &arena, &result), ERR_OK);
}

static void broken_bytes_are_passed_over(void **state)
{
    char text[] = "\xFF\xC0\x80 4111\x00 4111111111111111 \xE2\x82 \xF0\x9D\x9F";
    struct span span = span_make(text, sizeof(text) - 1);

    (void)state;
    assert_true(mask_finds(span));
    mask_in_place(text, sizeof(text) - 1);
    assert_memory_equal(text, "\xFF\xC0\x80 4111\x00 ************1111 \xE2\x82 \xF0\x9D\x9F",
                        sizeof(text) - 1);
    assert_false(mask_finds(span));
    mask_in_place(NULL, 0);
    assert_false(mask_finds((struct span){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_number_shows_its_last_four),
        cmocka_unit_test(a_card_number_is_found_anywhere),
        cmocka_unit_test(overlapping_numbers_are_all_hidden),
        cmocka_unit_test(nothing_is_left_to_find),
        cmocka_unit_test(disguises_are_seen_through),
        cmocka_unit_test(what_is_no_card_stays),
        cmocka_unit_test(ibans_show_country_and_last_four),
        cmocka_unit_test(verification_values_go_whole),
        cmocka_unit_test(few_digits_are_not_overlooked),
        cmocka_unit_test(tracks_go_whole),
        cmocka_unit_test(a_full_arena_is_told),
        cmocka_unit_test(broken_bytes_are_passed_over),
    };

    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
