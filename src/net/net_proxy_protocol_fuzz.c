/* SPDX-License-Identifier: MIT
 * Any bytes at all, read whole and in small pieces: both must come to the same, and nothing behind
 * a header may be taken. */
#include <string.h>
#include <sys/socket.h>

#include "net/net_proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct outcome {
    enum net_proxy_answer answer;
    struct net_proxy_header header;
    size_t taken;
};

static struct outcome feed(struct span input, size_t step)
{
    static char have[NET_PROXY_BYTES_MAX + 64];
    struct outcome outcome = {.answer = NET_PROXY_MORE};
    const char *why = NULL;

    while (outcome.answer == NET_PROXY_MORE && outcome.taken < input.len) {
        size_t end = outcome.taken + step < input.len ? outcome.taken + step : input.len;
        struct span next = span_slice(input, outcome.taken, end);
        size_t share = net_proxy_share(span_make(have, outcome.taken), next);

        PC_ASSERT(share > 0 && share <= next.len && outcome.taken + share <= sizeof(have));
        memcpy(have + outcome.taken, next.ptr, share);
        outcome.taken += share;
        outcome.answer = net_proxy_read(span_make(have, outcome.taken), &outcome.header, &why);
        PC_ASSERT(outcome.answer != NET_PROXY_BAD || why != NULL);
    }
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span input = span_make(data, bytes);
    struct outcome whole, pieces;

    if (bytes > NET_PROXY_BYTES_MAX)
        return 0;
    whole = feed(input, bytes > 0 ? bytes : 1);
    for (size_t step = 1; step < 20; step += 6) {
        pieces = feed(input, step);
        PC_ASSERT(pieces.answer == whole.answer);
        if (whole.answer != NET_PROXY_DONE)
            continue;
        PC_ASSERT(pieces.taken == whole.taken && pieces.header.family == whole.header.family);
        PC_ASSERT(memcmp(pieces.header.source, whole.header.source, 16) == 0);
    }
    if (whole.answer == NET_PROXY_DONE)
        PC_ASSERT(whole.header.family == AF_UNSPEC || whole.header.family == AF_INET ||
                  whole.header.family == AF_INET6);
    return 0;
}
