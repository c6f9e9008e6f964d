/* SPDX-License-Identifier: MIT
 * A connection's or link's bytes through TLS: crypto/tls.h in the words of net_io.h. */
#include <string.h>

#include "base/alloc.h"
#include "net/net_priv.h"

enum { RECORD_BYTES = 16 * 1024 };

static enum net_io io_of(enum crypto_tls_state state, bool *wants_write)
{
    switch (state) {
    case CRYPTO_TLS_DONE:
        return NET_IO_DONE;
    case CRYPTO_TLS_WANT_WRITE:
        *wants_write = true;
        return NET_IO_WAIT;
    case CRYPTO_TLS_WANT_READ:
        return NET_IO_WAIT;
    case CRYPTO_TLS_CLOSED:
        return NET_IO_END;
    case CRYPTO_TLS_FAILED:
        break;
    }
    return NET_IO_FAILED;
}

enum net_io net_tls_handshake(struct crypto_tls *tls, bool *wants_write)
{
    return io_of(crypto_tls_handshake(tls), wants_write);
}

enum net_io net_tls_read(struct crypto_tls *tls, bool *wants_write, void *buffer, size_t bytes,
                         size_t *ret_bytes)
{
    return io_of(crypto_tls_read(tls, buffer, bytes, ret_bytes), wants_write);
}

/* The parts in one record where they fit, so that a small answer is one packet. */
enum net_io net_tls_write(struct crypto_tls *tls, bool *wants_write, const struct iovec *vectors,
                          size_t count, size_t *ret_bytes)
{
    char record[RECORD_BYTES];
    enum net_io io;
    size_t bytes = 0;

    if (count == 1)
        return io_of(crypto_tls_write(tls, vectors[0].iov_base, vectors[0].iov_len, ret_bytes),
                     wants_write);
    for (size_t i = 0; i < count && bytes < sizeof(record); i++) {
        size_t room = sizeof(record) - bytes;
        size_t take = vectors[i].iov_len < room ? vectors[i].iov_len : room;

        if (take > 0)
            memcpy(record + bytes, vectors[i].iov_base, take);
        bytes += take;
    }
    io = io_of(crypto_tls_write(tls, record, bytes, ret_bytes), wants_write);
    alloc_wipe(record, bytes);
    return io;
}

/* One attempt: a client that reads no more misses nothing but the word. */
void net_tls_goodbye(struct crypto_tls *tls)
{
    enum crypto_tls_state ignored = crypto_tls_shutdown(tls);

    (void)ignored;
}
