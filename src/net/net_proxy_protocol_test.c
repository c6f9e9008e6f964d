/* SPDX-License-Identifier: MIT
 * The PROXY protocol by its specification: its examples, its edges, and what it forbids; each read
 * whole and byte by byte, with other bytes behind it that must stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "net/net_proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* version and command, family and protocol, length */
#define HEAD(command, kind, length) SIGNATURE command kind length

/* What reading comes to when at most `step` bytes come at once; *ret_taken were taken. */
static enum net_proxy_answer feed(struct span input, size_t step, struct net_proxy_header *ret,
                                  size_t *ret_taken, const char **ret_why)
{
    char have[2 * NET_PROXY_BYTES_MAX + 64];
    size_t used = 0;
    enum net_proxy_answer answer = NET_PROXY_MORE;

    while (answer == NET_PROXY_MORE && used < input.len) {
        size_t end = used + step < input.len ? used + step : input.len;
        size_t share = net_proxy_share(span_make(have, used), span_slice(input, used, end));

        assert_in_range(share, 1, end - used);
        assert_true(used + share <= sizeof(have));
        memcpy(have + used, input.ptr + used, share);
        used += share;
        answer = net_proxy_read(span_make(have, used), ret, ret_why);
    }
    *ret_taken = used;
    return answer;
}

struct good {
    struct span bytes;
    const char *source; /* NULL: none is told */
    uint16_t port;
};

static void assert_good(const struct good *row, size_t step)
{
    char input[NET_PROXY_BYTES_MAX + 64];
    struct net_proxy_header header;
    const char *why = "";
    char text[INET6_ADDRSTRLEN];
    size_t taken;

    memcpy(input, row->bytes.ptr, row->bytes.len);
    memcpy(input + row->bytes.len, "\x16\x03\x01\r\nPROXY", 10);
    if (feed(span_make(input, row->bytes.len + 10), step, &header, &taken, &why) != NET_PROXY_DONE)
        fail_msg("%s: %s", row->source != NULL ? row->source : "none", why);
    assert_int_equal(taken, row->bytes.len);
    if (row->source == NULL) {
        assert_int_equal(header.family, AF_UNSPEC);
        return;
    }
    assert_non_null(inet_ntop(header.family, header.source, text, sizeof(text)));
    assert_string_equal(text, row->source);
    assert_int_equal(header.source_port, row->port);
}

static void good_headers_are_read(void **state)
{
    static const struct good rows[] = {
        /* 2.1 */
        {SPAN("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1", 56324},
        {SPAN("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255",
         65535},
        {SPAN("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535},
        {SPAN("PROXY TCP6 2001:db8::7 ::1 1 0\r\n"), "2001:db8::7", 1},
        {SPAN("PROXY UNKNOWN\r\n"), NULL, 0},
        {SPAN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
              "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
         NULL, 0},
        /* 2.2 */
        {SPAN(HEAD("\x21", "\x11", "\0\x0C") "\xC0\0\x02\x01\x0A\0\0\x01\x30\x39\x01\xBB"),
         "192.0.2.1", 12345},
        {SPAN(HEAD("\x21", "\x21", "\0\x24") "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                             "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\xFF\xFF\0\x50"),
         "2001:db8::7", 65535},
        {SPAN(HEAD("\x20", "\0", "\0\0")), NULL, 0},
        {SPAN(HEAD("\x20", "\x11", "\0\x03") "abc"), NULL, 0},
        {SPAN(HEAD("\x21", "\0", "\0\0")), NULL, 0},
        /* a record that nobody reads (NOOP), and an authority */
        {SPAN(HEAD("\x21", "\x11", "\0\x17") "\xC0\0\x02\x01\x0A\0\0\x01\x30\x39\x01\xBB"
                                             "\x04\0\x02\0\0"
                                             "\x02\0\x03"
                                             "a.b"),
         "192.0.2.1", 12345},
    };

    for (size_t i = 0; i < PC_COUNT(rows); i++)
        for (size_t step = 1; step < 200; step += step < 20 ? 1 : 40)
            assert_good(&rows[i], step);
}

/* The longest line of 2.1 is 107 bytes. */
static void a_line_has_its_bound(void **state)
{
    char line[128] = "PROXY UNKNOWN ";
    struct net_proxy_header header;
    const char *why;
    size_t taken;

    memset(line + 14, 'x', sizeof(line) - 14);
    memcpy(line + 105, "\r\n", 2);
    assert_int_equal(feed(span_make(line, 107), 107, &header, &taken, &why), NET_PROXY_DONE);
    memset(line + 105, 'x', 2);
    memcpy(line + 106, "\r\n", 2);
    for (size_t step = 1; step < 110; step++)
        assert_int_equal(feed(span_make(line, 108), step, &header, &taken, &why), NET_PROXY_BAD);
    assert_string_equal(why, "the line is too long");
    assert_int_equal(feed(span_make(line, 106), 106, &header, &taken, &why), NET_PROXY_MORE);
}

static void bad_headers_are_refused(void **state)
{
    static const struct {
        struct span bytes;
        const char *why;
    } rows[] = {
        {SPAN("GET / HTTP/1.1\r\n"), "it does not begin like one"},
        {SPAN("\x16\x03\x01"), "it does not begin like one"},
        {SPAN("PROXx"), "it does not begin like one"},
        {SPAN("proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n"), "it does not begin like one"},
        {SPAN("PROXY\r\n"), "it does not begin like one"},
        {SPAN("PROXY \r\n"), "the protocol is none of its own"},
        {SPAN("PROXY\tTCP4 1.1.1.1 1.1.1.1 1 1\r\n"), "it does not begin like one"},
        {SPAN("PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n"), "the protocol is none of its own"},
        {SPAN("PROXY UNKNOWNS\r\n"), "the protocol is none of its own"},
        {SPAN("PROXY tcp4 1.1.1.1 1.1.1.1 1 1\r\n"), "the protocol is none of its own"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"), "the line does not end with CR LF"},
        {SPAN("PROXY \n"), "the line does not end with CR LF"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\r\n"), "there is a CR within the line"},
        {SPAN("PROXY TCP4\r\n"), "it has too few parts"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n"), "it has too few parts"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n"), "it has too many parts"},
        {SPAN("PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n"), "it has too many parts"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n"), "it has too many parts"},
        {SPAN("PROXY TCP4 ::1 1.1.1.1 1 1\r\n"), "an address cannot be read"},
        {SPAN("PROXY TCP6 1.1.1.1 ::1 1 1\r\n"), "an address cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n"), "an address cannot be read"},
        {SPAN("PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n"), "an address cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n"), "an address cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n"), "a port cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n"), "a port cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n"), "a port cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n"), "a port cannot be read"},
        {SPAN("PROXY TCP4 1.1.1.1 1.1.1.1 1 0x1\r\n"), "a port cannot be read"},
        {SPAN("\r\n\r\n\0\r\nQUIX\n\x21"), "it does not begin like one"},
        {SPAN(HEAD("\x11", "\x11", "\0\0")), "its version is not 2"},
        {SPAN(HEAD("\x31", "\x11", "\0\0")), "its version is not 2"},
        {SPAN(HEAD("\x22", "\x11", "\0\0")), "its command is neither LOCAL nor PROXY"},
        {SPAN(HEAD("\x21", "\x12", "\0\x0C") "xxxxxxxxxxxx"),
         "its family or protocol is not one of a stream"},
        {SPAN(HEAD("\x21", "\x10", "\0\x0C") "xxxxxxxxxxxx"),
         "its family or protocol is not one of a stream"},
        {SPAN(HEAD("\x21", "\x01", "\0\0")), "its family or protocol is not one of a stream"},
        {SPAN(HEAD("\x21", "\x41", "\0\0")), "its family or protocol is not one of a stream"},
        {SPAN(HEAD("\x21", "\x11", "\0\x0B") "xxxxxxxxxxx"), "it is too short for its addresses"},
        {SPAN(HEAD("\x21", "\x21", "\0\x0C") "xxxxxxxxxxxx"), "it is too short for its addresses"},
        {SPAN(HEAD("\x21", "\x31", "\0\x0C") "xxxxxxxxxxxx"), "it is too short for its addresses"},
        {SPAN(HEAD("\x21", "\x11", "\0\x0D") "xxxxxxxxxxxx\x04"), "a record is cut off"},
        {SPAN(HEAD("\x21", "\x11", "\0\x0F") "xxxxxxxxxxxx\x04\0\x01"),
         "a record is longer than the header"},
        {SPAN(HEAD("\x21", "\x11", "\0\x11") "xxxxxxxxxxxx\x03\0\x02xx"),
         "its checksum is malformed"},
        {SPAN(HEAD("\x21", "\x11", "\0\x13") "xxxxxxxxxxxx\x03\0\x04xxxx"),
         "its checksum is wrong"},
        {SPAN(HEAD("\x21", "\x11", "\xFF\xFF")), "it is too long"},
        {SPAN(HEAD("\x20", "\0", "\x0F\xF1")), "it is too long"},
    };

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        for (size_t step = 1; step < 70; step++) {
            struct net_proxy_header header;
            const char *why = "more";
            size_t taken;

            if (feed(rows[i].bytes, step, &header, &taken, &why) != NET_PROXY_BAD)
                fail_msg("row %zu is taken", i);
            assert_string_equal(why, rows[i].why);
        }
    }
}

/* RFC 3720, B.4; and a header with its sum, wrong in each of its bits by turns. */
static void sums_are_checked(void **state)
{
    static const char zeros[32];
    char header[] = HEAD("\x21", "\x11", "\0\x18") "\xC0\0\x02\x01\x0A\0\0\x01\x30\x39\x01\xBB"
                                                   "\x03\0\x04\0\0\0\0"
                                                   "\x04\0\x02zz";
    const size_t bytes = sizeof(header) - 1;
    uint32_t crc = net_proxy_crc32c(0, span_make(header, bytes));

    assert_int_equal(net_proxy_crc32c(0, SPAN_OF("123456789")), 0xE3069283);
    assert_int_equal(net_proxy_crc32c(0, span_make(zeros, 32)), 0x8A9136AA);
    for (size_t i = 0; i < 4; i++)
        header[31 + i] = (char)(crc >> (24 - 8 * i));
    for (size_t bit = 0; bit <= 8 * bytes; bit++) {
        struct net_proxy_header read;
        const char *why = "";
        char copy[sizeof(header)];
        size_t taken;
        enum net_proxy_answer answer;

        memcpy(copy, header, sizeof(header));
        if (bit < 8 * bytes)
            copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
        answer = feed(span_make(copy, bytes), bytes, &read, &taken, &why);
        /* LOCAL asks nobody to believe it, a record of another type is no sum, and a length that is
         * longer waits for more */
        if (bit == 8 * bytes || bit == 12 * 8 || bit / 8 == 28)
            assert_int_equal(answer, NET_PROXY_DONE);
        else
            assert_int_not_equal(answer, NET_PROXY_DONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_are_read),
        cmocka_unit_test(a_line_has_its_bound),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(sums_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
