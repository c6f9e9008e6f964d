/* SPDX-License-Identifier: MIT
 * The PROXY protocol's two forms: a line of text, and a binary header with addresses and records
 * (type, length, value) behind them. Both end where they say; not a byte more may be taken, since
 * what follows is TLS's or HTTP's. */
#include "net/net_proxy_protocol.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LINE_BYTES_MAX = 107,
    SIGNATURE_BYTES = 12,
    FIXED_BYTES = 16, /* the signature, version and command, family, length */
    CRC_TYPE = 0x03,
    RECORD_BYTES = 3, /* type and length */
};

static const struct span prefix = SPAN("PROXY ");
static const struct span signature = SPAN("\r\n\r\n\0\r\nQUIT\n");

static unsigned byte_at(struct span s, size_t at)
{
    return (unsigned char)s.ptr[at];
}

static size_t number_at(struct span s, size_t at)
{
    return byte_at(s, at) << 8 | byte_at(s, at + 1);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static enum net_proxy_answer bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return NET_PROXY_BAD;
}

/* Both begin alike as far as both go. */
static bool begins_like(struct span s, struct span wanted)
{
    size_t bytes = least(s.len, wanted.len);

    return memcmp(s.ptr, wanted.ptr, bytes) == 0;
}

size_t net_proxy_share(struct span have, struct span next)
{
    char first = have.len > 0 ? have.ptr[0] : next.ptr[0];
    size_t end;

    if (first == prefix.ptr[0]) {
        end = span_find(next, '\n');
        return least(end + 1, next.len);
    }
    if (first != signature.ptr[0])
        return least(1, next.len);
    end = have.len < FIXED_BYTES ? FIXED_BYTES : FIXED_BYTES + number_at(have, 14);
    return least(end - have.len, next.len);
}

/* ---- version 1 ---- */

/* A decimal number without a zero in front. */
static bool port_read(struct span text, uint16_t *ret)
{
    uint64_t number;

    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[0] == '0') ||
        !span_to_u64(text, &number) || number > UINT16_MAX)
        return false;
    *ret = (uint16_t)number;
    return true;
}

static bool address_read(struct span text, int family, unsigned char ret[16])
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[16] = {0};

    if (text.len == 0 || text.len >= sizeof(copy) || span_find(text, '\0') != text.len)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(family, copy, bytes) != 1)
        return false;
    memcpy(ret, bytes, sizeof(bytes));
    return true;
}

static enum net_proxy_answer addresses_read(struct span rest, int family,
                                            struct net_proxy_header *ret, const char **ret_why)
{
    unsigned char ignored[16];
    struct net_proxy_header header = {.family = family};
    struct span parts[4];
    uint16_t port;

    for (size_t i = 0; i < PC_COUNT(parts); i++) {
        if (!span_cut(&rest, ' ', &parts[i]))
            return bad(ret_why, "it has too few parts");
    }
    if (rest.ptr != NULL)
        return bad(ret_why, "it has too many parts");
    if (!address_read(parts[0], family, header.source) || !address_read(parts[1], family, ignored))
        return bad(ret_why, "an address cannot be read");
    if (!port_read(parts[2], &header.source_port) || !port_read(parts[3], &port))
        return bad(ret_why, "a port cannot be read");
    *ret = header;
    return NET_PROXY_DONE;
}

static enum net_proxy_answer line_read(struct span bytes, struct net_proxy_header *ret,
                                       const char **ret_why)
{
    struct span line = span_slice(bytes, prefix.len, bytes.len - least(bytes.len, 2));
    struct span protocol;

    if (!begins_like(bytes, prefix))
        return bad(ret_why, "it does not begin like one");
    if (bytes.ptr[bytes.len - 1] != '\n')
        return bytes.len < LINE_BYTES_MAX ? NET_PROXY_MORE : bad(ret_why, "the line is too long");
    if (bytes.len > LINE_BYTES_MAX)
        return bad(ret_why, "the line is too long");
    if (bytes.len < prefix.len + 2 || bytes.ptr[bytes.len - 2] != '\r')
        return bad(ret_why, "the line does not end with CR LF");
    if (span_find(line, '\r') != line.len)
        return bad(ret_why, "there is a CR within the line");
    protocol = span_slice(line, 0, span_find(line, ' '));
    *ret = (struct net_proxy_header){.family = AF_UNSPEC};
    if (span_is(protocol, "UNKNOWN"))
        return NET_PROXY_DONE; /* 2.1: whatever follows is ignored */
    line = span_slice(line, protocol.len + 1, line.len);
    if (span_is(protocol, "TCP4"))
        return addresses_read(line, AF_INET, ret, ret_why);
    if (span_is(protocol, "TCP6"))
        return addresses_read(line, AF_INET6, ret, ret_why);
    return bad(ret_why, "the protocol is none of its own");
}

/* ---- version 2 ---- */

uint32_t net_proxy_crc32c(uint32_t crc, struct span bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= byte_at(bytes, i);
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78U & (0U - (crc & 1U)));
    }
    return ~crc;
}

/* 2.2.3: over the whole header, with zeros in place of the sum. */
static bool sum_is_good(struct span bytes, size_t at)
{
    static const struct span zeros = SPAN("\0\0\0\0");
    uint32_t crc = net_proxy_crc32c(0, span_slice(bytes, 0, at));
    uint32_t told = (uint32_t)number_at(bytes, at) << 16 | (uint32_t)number_at(bytes, at + 2);

    crc = net_proxy_crc32c(crc, zeros);
    crc = net_proxy_crc32c(crc, span_slice(bytes, at + zeros.len, bytes.len));
    return crc == told;
}

/* 2.2: the records fill the header to its end. */
static enum net_proxy_answer records_check(struct span bytes, size_t at, const char **ret_why)
{
    size_t sums = 0;

    while (at < bytes.len) {
        size_t len;

        if (bytes.len - at < RECORD_BYTES)
            return bad(ret_why, "a record is cut off");
        len = number_at(bytes, at + 1);
        if (bytes.len - at - RECORD_BYTES < len)
            return bad(ret_why, "a record is longer than the header");
        if (byte_at(bytes, at) == CRC_TYPE) {
            if (len != sizeof(uint32_t) || sums++ > 0)
                return bad(ret_why, "its checksum is malformed");
            if (!sum_is_good(bytes, at + RECORD_BYTES))
                return bad(ret_why, "its checksum is wrong");
        }
        at += RECORD_BYTES + len;
    }
    return NET_PROXY_DONE;
}

/* Families and protocols of 2.2 as one byte, with the addresses that they have. */
static const struct {
    unsigned code;
    int family;
    size_t bytes; /* of both addresses and ports */
} kinds[] = {{0x00, AF_UNSPEC, 0},
             {0x11, AF_INET, 12},
             {0x21, AF_INET6, 36},
             {0x31, AF_UNSPEC, 216}}; /* UNIX: no address that anything here could use */

static enum net_proxy_answer binary_read(struct span bytes, struct net_proxy_header *ret,
                                         const char **ret_why)
{
    size_t kind = 0;
    size_t half;

    while (kind < PC_COUNT(kinds) && kinds[kind].code != byte_at(bytes, 13))
        kind++;
    if (kind == PC_COUNT(kinds))
        return bad(ret_why, "its family or protocol is not one of a stream");
    if (bytes.len - FIXED_BYTES < kinds[kind].bytes)
        return bad(ret_why, "it is too short for its addresses");
    *ret = (struct net_proxy_header){.family = kinds[kind].family};
    if (ret->family != AF_UNSPEC) {
        half = kinds[kind].bytes / 2 - sizeof(uint16_t);
        memcpy(ret->source, bytes.ptr + FIXED_BYTES, half);
        ret->source_port = (uint16_t)number_at(bytes, FIXED_BYTES + 2 * half);
    }
    return records_check(bytes, FIXED_BYTES + kinds[kind].bytes, ret_why);
}

static enum net_proxy_answer header_read(struct span bytes, struct net_proxy_header *ret,
                                         const char **ret_why)
{
    size_t all;

    if (!begins_like(bytes, signature))
        return bad(ret_why, "it does not begin like one");
    if (bytes.len > SIGNATURE_BYTES && byte_at(bytes, 12) >> 4 != 2)
        return bad(ret_why, "its version is not 2");
    if (bytes.len > SIGNATURE_BYTES && (byte_at(bytes, 12) & 15) > 1)
        return bad(ret_why, "its command is neither LOCAL nor PROXY");
    if (bytes.len < FIXED_BYTES)
        return NET_PROXY_MORE;
    all = FIXED_BYTES + number_at(bytes, 14);
    if (all > NET_PROXY_BYTES_MAX)
        return bad(ret_why, "it is too long");
    if (bytes.len < all)
        return NET_PROXY_MORE;
    PC_ASSERT(bytes.len == all);
    if ((byte_at(bytes, 12) & 15) == 1)
        return binary_read(bytes, ret, ret_why);
    *ret = (struct net_proxy_header){.family = AF_UNSPEC}; /* LOCAL: the rest is not looked at */
    return NET_PROXY_DONE;
}

enum net_proxy_answer net_proxy_read(struct span bytes, struct net_proxy_header *ret,
                                     const char **ret_why)
{
    if (bytes.len == 0)
        return NET_PROXY_MORE;
    if (bytes.ptr[0] == signature.ptr[0])
        return header_read(bytes, ret, ret_why);
    return line_read(bytes, ret, ret_why);
}
