/* SPDX-License-Identifier: MIT
 * OpenSSL's door to a socket. Its own one writes with write(2), which would raise SIGPIPE when the
 * peer is gone; this one sends without the signal. */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>

#include "crypto/tls_priv.h"

static pthread_once_t made = PTHREAD_ONCE_INIT;
static BIO_METHOD *socket_method;

static int socket_of(BIO *bio)
{
    return (int)(intptr_t)BIO_get_data(bio);
}

static bool should_retry(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static int socket_write(BIO *bio, const char *data, size_t bytes, size_t *ret_bytes)
{
    ssize_t sent = send(socket_of(bio), data, bytes, MSG_NOSIGNAL);

    BIO_clear_retry_flags(bio);
    if (sent < 0) {
        if (should_retry())
            BIO_set_retry_write(bio);
        return 0;
    }
    *ret_bytes = (size_t)sent;
    return 1;
}

static int socket_read(BIO *bio, char *buffer, size_t bytes, size_t *ret_bytes)
{
    ssize_t received = recv(socket_of(bio), buffer, bytes, 0);

    BIO_clear_retry_flags(bio);
    if (received < 0 && should_retry())
        BIO_set_retry_read(bio);
    if (received == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    if (received <= 0)
        return 0;
    *ret_bytes = (size_t)received;
    return 1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)number, (void)pointer;
    if (command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP)
        return 1;
    if (command == BIO_CTRL_EOF)
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return 0;
}

static void method_make(void)
{
    int type = BIO_get_new_index();

    PC_ASSERT(type > 0);
    socket_method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "portcullis socket");
    PC_ASSERT(socket_method != NULL);
    PC_ASSERT(BIO_meth_set_write_ex(socket_method, socket_write) == 1);
    PC_ASSERT(BIO_meth_set_read_ex(socket_method, socket_read) == 1);
    PC_ASSERT(BIO_meth_set_ctrl(socket_method, socket_control) == 1);
}

BIO *crypto_tls_bio(int fd)
{
    BIO *bio;

    pthread_once(&made, method_make);
    bio = BIO_new(socket_method);
    if (bio != NULL) {
        BIO_set_data(bio, (void *)(intptr_t)fd);
        BIO_set_init(bio, 1);
    }
    return bio;
}
