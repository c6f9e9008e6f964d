/* SPDX-License-Identifier: MIT
 * Addresses and address ranges in one form: 16 bytes, IPv4 mapped (RFC 4291, 2.5.5.2). inet_pton
 * does the reading, on a bounded copy. */
#include "http/http.h"

#include <arpa/inet.h>
#include <string.h>

bool http_address_read(struct span text, unsigned char ret_bytes[16])
{
    char copy[INET6_ADDRSTRLEN];
    unsigned char bytes[16] = {[10] = 0xFF, [11] = 0xFF};

    if (text.len == 0 || text.len >= sizeof(copy) || span_find(text, '\0') != text.len)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, bytes + 12) != 1 && inet_pton(AF_INET6, copy, bytes) != 1)
        return false;
    memcpy(ret_bytes, bytes, sizeof(bytes));
    return true;
}

bool http_network_read(struct span text, struct http_network *ret_network)
{
    size_t slash = span_find(text, '/');
    struct span address = span_slice(text, 0, slash);
    bool v4 = span_find(address, ':') == address.len;
    uint64_t bits = v4 ? 32 : 128;
    struct http_network network = {0};

    if (!http_address_read(address, network.bytes))
        return false;
    if (slash < text.len &&
        (!span_to_u64(span_slice(text, slash + 1, text.len), &bits) || bits > (v4 ? 32 : 128)))
        return false;
    network.bits = (unsigned)bits + (v4 ? 96 : 0);
    *ret_network = network;
    return true;
}

static bool holds(const struct http_network *network, const unsigned char bytes[16])
{
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (memcmp(network->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

bool http_network_holds(const struct http_network *list, size_t count,
                        const unsigned char bytes[16])
{
    for (size_t i = 0; i < count; i++) {
        if (holds(&list[i], bytes))
            return true;
    }
    return false;
}
