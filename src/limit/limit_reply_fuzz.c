/* SPDX-License-Identifier: MIT
 * Whatever bytes come, cut wherever they are: no answer holds more than has room, and nothing is
 * allocated beyond one short answer. The first byte says how long the pieces are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "limit/limit_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct limit_reply *reply)
{
    if (reply->kind == LIMIT_REPLY_NONE || reply->count > LIMIT_REPLY_NUMBERS_MAX)
        abort();
    if (limit_reply_word(reply).len > LIMIT_REPLY_TEXT_BYTES)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct limit_reader *reader = NULL;
    struct limit_reply reply;
    enum err err = ERR_AGAIN;
    size_t piece = size > 0 ? (size_t)data[0] + 1 : 1;

    if (limit_reader_new(&reader) != ERR_OK)
        return 0;
    for (size_t at = 1; at < size && err == ERR_AGAIN; at += piece) {
        size_t bytes = size - at < piece ? size - at : piece;

        err = limit_reader_feed(reader, span_make((const char *)data + at, bytes));
        while (err == ERR_OK) {
            err = limit_reader_next(reader, &reply);
            if (err == ERR_OK)
                check(&reply);
        }
    }
    limit_reader_free(reader);
    return 0;
}
