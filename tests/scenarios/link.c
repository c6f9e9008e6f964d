/* SPDX-License-Identifier: MIT
 * Connections and replies. TLS is OpenSSL's client, with the server's certificate checked against
 * the authority that was made for this run. */
#include "link.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

enum { REPLY_MS = 10000 };

struct link {
    int fd;
    SSL_CTX *context;
    SSL *tls;
    char *bytes; /* what came and was not taken */
    size_t len;
    size_t taken; /* by the last reply */
};

/* ---- opening ----------------------------------------------------------------------------------
 */

static bool show(struct link *link, const struct world *world, const char *certificate)
{
    char file[192];
    char key[192];

    (void)snprintf(file, sizeof(file), "%s/certs/%s.crt", world->dir, certificate);
    (void)snprintf(key, sizeof(key), "%s/certs/%s.key", world->dir, certificate);
    return SSL_CTX_use_certificate_chain_file(link->context, file) == 1 &&
           SSL_CTX_use_PrivateKey_file(link->context, key, SSL_FILETYPE_PEM) == 1;
}

static bool shake_hands(struct link *link, const struct world *world, const char *certificate)
{
    char authority[96];

    (void)snprintf(authority, sizeof(authority), "%s/certs/ca.crt", world->dir);
    link->context = SSL_CTX_new(TLS_client_method());
    if (link->context == NULL || SSL_CTX_load_verify_file(link->context, authority) != 1)
        return false;
    if (certificate[0] != '\0' && !show(link, world, certificate))
        return false;
    SSL_CTX_set_verify(link->context, SSL_VERIFY_PEER, NULL);
    link->tls = SSL_new(link->context);
    return link->tls != NULL && SSL_set_fd(link->tls, link->fd) == 1 &&
           SSL_set1_host(link->tls, "localhost") == 1 && SSL_connect(link->tls) == 1;
}

struct link *link_open(struct world *world, enum config_service service, const char *certificate)
{
    struct link *link = alloc_zero(sizeof(*link));
    const struct timeval patience = {.tv_sec = REPLY_MS / 1000};

    if (link == NULL)
        return NULL;
    link->bytes = alloc_raw(LINK_REPLY_BYTES_MAX);
    link->fd = world_connect(world, service);
    if (link->bytes != NULL && link->fd >= 0) {
        (void)setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        (void)setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (world->way != WORLD_TLS || shake_hands(link, world, certificate))
            return link;
    }
    printf("# no connection\n");
    link_close(link);
    return NULL;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    if (link->tls != NULL)
        (void)SSL_shutdown(link->tls);
    SSL_free(link->tls);
    SSL_CTX_free(link->context);
    if (link->fd >= 0)
        (void)close(link->fd);
    alloc_free(link->bytes);
    alloc_free(link);
}

/* ---- bytes ------------------------------------------------------------------------------------
 */

static ssize_t write_some(struct link *link, struct span bytes)
{
    int len = bytes.len > 16384 ? 16384 : (int)bytes.len;

    if (link->tls != NULL)
        return SSL_write(link->tls, bytes.ptr, len);
    return send(link->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
}

void link_send(struct link *link, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = write_some(link, bytes);

        if (sent <= 0)
            return;
        bytes = span_slice(bytes, (size_t)sent, bytes.len);
    }
}

/* More bytes behind those that are there. 0: the other side ended or was silent too long. */
static size_t read_some(struct link *link)
{
    size_t room = LINK_REPLY_BYTES_MAX - link->len;
    ssize_t got;

    if (link->tls != NULL)
        got = SSL_read(link->tls, link->bytes + link->len, room > 65536 ? 65536 : (int)room);
    else
        got = recv(link->fd, link->bytes + link->len, room, 0);
    if (got <= 0)
        return 0;
    link->len += (size_t)got;
    return (size_t)got;
}

static void drop_taken(struct link *link)
{
    memmove(link->bytes, link->bytes + link->taken, link->len - link->taken);
    link->len -= link->taken;
    link->taken = 0;
}

bool link_ends(struct link *link, int ms)
{
    struct pollfd wait = {.fd = link->fd, .events = POLLIN};

    drop_taken(link);
    if (link->len > 0)
        return false;
    if (link->tls != NULL && SSL_pending(link->tls) > 0)
        return false;
    errno = 0;
    return poll(&wait, 1, ms) == 1 && read_some(link) == 0 && errno != EAGAIN;
}

/* ---- replies ----------------------------------------------------------------------------------
 */

/* The bytes up to the first empty line, or nothing when the connection ended. */
static struct span read_head(struct link *link)
{
    for (;;) {
        char *end = memmem(link->bytes, link->len, "\r\n\r\n", 4);

        if (end != NULL)
            return span_make(link->bytes, (size_t)(end - link->bytes) + 4);
        if (link->len == LINK_REPLY_BYTES_MAX || read_some(link) == 0)
            return (struct span){0};
    }
}

static const char *read_lines(struct span head, struct link_reply *reply)
{
    struct span line;
    uint64_t status;

    if (!span_cut(&head, '\n', &line) || !span_starts(line, SPAN_OF("HTTP/1.1 ")) ||
        !span_to_u64(span_slice(line, 9, 12), &status))
        return "the status line is odd";
    reply->status = (int)status;
    while (span_cut(&head, '\n', &line) && line.len > 1) {
        size_t colon = span_find(line, ':');

        if (!span_ends(line, SPAN_OF("\r")) || colon == line.len ||
            reply->header_count == LINK_HEADERS_MAX)
            return "a header line is odd";
        reply->names[reply->header_count] = span_slice(line, 0, colon);
        reply->values[reply->header_count++] = span_trim(span_slice(line, colon + 1, line.len - 1));
    }
    return NULL;
}

struct span link_header(const struct link_reply *reply, struct span name, size_t *ret_count)
{
    struct span value = {0};

    *ret_count = 0;
    for (size_t i = 0; i < reply->header_count; i++) {
        if (!span_equal_nocase(reply->names[i], name))
            continue;
        value = reply->values[i];
        ++*ret_count;
    }
    return value;
}

static const char *body_length(const struct link_reply *reply, bool head, uint64_t *ret_length)
{
    size_t count;
    struct span text = link_header(reply, SPAN_OF("Content-Length"), &count);
    bool none = reply->status < 200 || reply->status == 204 || reply->status == 304;

    *ret_length = 0;
    if (none && count > 0 && reply->status != 304)
        return "a reply without a body tells a length";
    if (none)
        return NULL;
    if (count != 1 || !span_to_u64(text, ret_length))
        return "the reply does not tell its length once";
    if (*ret_length > LINK_REPLY_BYTES_MAX / 2)
        return "the reply is too large";
    if (head)
        *ret_length = 0;
    return NULL;
}

const char *link_read(struct link *link, bool head_only, struct link_reply *ret_reply)
{
    struct span head;
    uint64_t length;
    const char *why;

    drop_taken(link);
    *ret_reply = (struct link_reply){0};
    head = read_head(link);
    if (head.len == 0)
        return link->len > 0 ? "the reply is cut off" : "there is no reply";
    why = read_lines(head, ret_reply);
    if (why == NULL)
        why = body_length(ret_reply, head_only, &length);
    if (why != NULL)
        return why;
    while (link->len < head.len + length) {
        if (read_some(link) == 0)
            return "the body is cut off";
    }
    ret_reply->body = span_make(link->bytes + head.len, length);
    link->taken = head.len + length;
    return NULL;
}
