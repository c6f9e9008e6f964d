/* SPDX-License-Identifier: MIT
 * Addresses and ranges: IPv4 and its mapped form are one, and a range ends at its last bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/http.h"

static bool in(const char *range, const char *address)
{
    struct http_network network;
    unsigned char bytes[16];

    assert_true(http_network_read(span_from(range), &network));
    assert_true(http_address_read(span_from(address), bytes));
    return http_network_holds(&network, 1, bytes);
}

static void network_holds_to_the_last_bit(void **state)
{
    (void)state;
    assert_true(in("10.0.0.0/8", "10.255.255.255"));
    assert_false(in("10.0.0.0/8", "11.0.0.0"));
    assert_true(in("192.168.4.0/23", "192.168.5.9"));
    assert_false(in("192.168.4.0/23", "192.168.6.0"));
    assert_true(in("127.0.0.1", "127.0.0.1"));
    assert_false(in("127.0.0.1", "127.0.0.2"));
    assert_true(in("127.0.0.1", "::ffff:127.0.0.1"));
    assert_true(in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(in("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(in("0.0.0.0/0", "1.2.3.4"));
    assert_false(in("0.0.0.0/0", "2001:db8::1"));
    assert_true(in("::/0", "1.2.3.4"));
    assert_true(in("::1", "::1"));
}

static void network_refuses_what_is_no_address(void **state)
{
    static const char *const bad[] = {"",         "10.0.0.0/33", "10.0.0/8",  "10.0.0.0/",
                                      "::/129",   "10.0.0.0/-1", "localhost", "010.0.0.1/8x",
                                      "1.2.3.4 ", "[::1]",       "1.2.3.4:5"};
    struct http_network network;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        if (http_network_read(span_from(bad[i]), &network))
            fail_msg("\"%s\" was let through", bad[i]);
    }
    assert_false(http_network_holds(NULL, 0, (unsigned char[16]){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(network_holds_to_the_last_bit),
        cmocka_unit_test(network_refuses_what_is_no_address),
    };

    return cmocka_run_group_tests_name("http network", tests, NULL, NULL);
}
