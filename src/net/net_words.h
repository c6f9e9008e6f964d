/* SPDX-License-Identifier: MIT
 * Methods, read alike from every version of HTTP.
 *
 * Threads: pure.    Source: RFC 9110, 9. */
#ifndef PC_NET_NET_WORDS_H
#define PC_NET_NET_WORDS_H

#include "net/net.h"

static inline enum net_method net_method_of(struct span text)
{
    static const struct {
        struct span text;
        enum net_method method;
    } methods[] = {
        {SPAN("GET"), NET_METHOD_GET},         {SPAN("POST"), NET_METHOD_POST},
        {SPAN("HEAD"), NET_METHOD_HEAD},       {SPAN("PUT"), NET_METHOD_PUT},
        {SPAN("DELETE"), NET_METHOD_DELETE},   {SPAN("PATCH"), NET_METHOD_PATCH},
        {SPAN("OPTIONS"), NET_METHOD_OPTIONS}, {SPAN("TRACE"), NET_METHOD_TRACE},
    };

    for (size_t i = 0; i < PC_COUNT(methods); i++) {
        if (span_equal(text, methods[i].text))
            return methods[i].method;
    }
    return NET_METHOD_OTHER;
}

#endif
