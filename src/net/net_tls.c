/* SPDX-License-Identifier: MIT
 * A connection's bytes through TLS: crypto/tls.h in the words of net_conn.c. */
#include <string.h>

#include "net/net_priv.h"

enum { RECORD_BYTES = 16 * 1024 };

static enum net_io io_of(struct net_conn *conn, enum crypto_tls_state state)
{
    switch (state) {
    case CRYPTO_TLS_DONE:
        return NET_IO_DONE;
    case CRYPTO_TLS_WANT_WRITE:
        conn->tls_wants_write = true;
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

enum net_io net_tls_handshake(struct net_conn *conn)
{
    enum net_io io = io_of(conn, crypto_tls_handshake(conn->tls));
    const struct crypto_tls_peer *peer;

    if (io != NET_IO_DONE)
        return io;
    peer = crypto_tls_peer(conn->tls);
    conn->peer.tls_subject = peer->subject;
    conn->peer.tls_cn = peer->cn;
    conn->peer.tls_thumbprint = peer->thumbprint;
    return NET_IO_DONE;
}

enum net_io net_tls_read(struct net_conn *conn, void *buffer, size_t bytes, size_t *ret_bytes)
{
    return io_of(conn, crypto_tls_read(conn->tls, buffer, bytes, ret_bytes));
}

/* The parts in one record where they fit, so that a small answer is one packet. */
enum net_io net_tls_write(struct net_conn *conn, const struct iovec *vectors, size_t count,
                          size_t *ret_bytes)
{
    char record[RECORD_BYTES];
    size_t bytes = 0;

    if (count == 1)
        return io_of(
            conn, crypto_tls_write(conn->tls, vectors[0].iov_base, vectors[0].iov_len, ret_bytes));
    for (size_t i = 0; i < count && bytes < sizeof(record); i++) {
        size_t room = sizeof(record) - bytes;
        size_t take = vectors[i].iov_len < room ? vectors[i].iov_len : room;

        if (take > 0)
            memcpy(record + bytes, vectors[i].iov_base, take);
        bytes += take;
    }
    return io_of(conn, crypto_tls_write(conn->tls, record, bytes, ret_bytes));
}

/* One attempt: a client that reads no more misses nothing but the word. */
void net_tls_goodbye(struct net_conn *conn)
{
    enum crypto_tls_state ignored = crypto_tls_shutdown(conn->tls);

    (void)ignored;
}
