/* SPDX-License-Identifier: MIT
 * A JWK set from a server that may be slow, broken or lying. One GET on a connection of its own, on
 * the issuer's thread, within one deadline for all of it:
 *
 *   address (allowed?) -> connect -> TLS, verified -> GET -> 200, JSON, within its bytes -> text
 *
 * No redirect is followed: the URL of the settings is what was meant. Without TLS only this machine
 * is asked. Whatever else comes is a failure with its reason. */
#include "issuer/issuer_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "crypto/tls.h"
#include "net/http1_answer.h"

enum {
    ADDRESSES_MAX = 4,
    REQUEST_BYTES = 2048,
    READ_BYTES = 16 * 1024,
    HEAD_BYTES_MAX = 16 * 1024,
    HEADERS_MAX = 64,
    INTERIMS_MAX = 4,
    HTTPS_PORT = 443,
    HTTP_PORT = 80,
};

/* ---- the URL and its addresses ---- */

static bool port_read(struct span text, bool tls, char ret_port[8])
{
    uint64_t number = tls ? HTTPS_PORT : HTTP_PORT;
    struct sbuf out = sbuf_over(ret_port, 8);

    if (text.len > 0 && (!span_to_u64(text, &number) || number == 0 || number > UINT16_MAX))
        return false;
    sbuf_add_u64(&out, number);
    sbuf_add_char(&out, '\0');
    return !out.full;
}

static bool host_read(struct span text, char ret_host[ISSUER_HOST_BYTES_MAX + 1])
{
    if (text.len == 0 || text.len > ISSUER_HOST_BYTES_MAX)
        return false;
    memcpy(ret_host, text.ptr, text.len);
    ret_host[text.len] = '\0';
    return true;
}

bool issuer_url_read(const char *text, struct issuer_url *ret)
{
    static const struct span schemes[2] = {SPAN("http://"), SPAN("https://")};
    struct span url = span_from(text);
    struct span host;
    size_t end;

    ret->tls = span_starts(url, schemes[1]);
    if (!span_starts(url, schemes[ret->tls]))
        return false;
    url = span_slice(url, schemes[ret->tls].len, url.len);
    ret->authority = span_slice(url, 0, span_find(url, '/'));
    ret->path = span_slice(url, ret->authority.len, url.len);
    if (ret->path.len == 0)
        ret->path = SPAN_OF("/");
    host = ret->authority;
    end = span_find(host, ']');
    if (host.len > 0 && host.ptr[0] == '[' && end < host.len)
        return port_read(span_slice(host, end + 2, host.len), ret->tls, ret->port) &&
               host_read(span_slice(host, 1, end), ret->host);
    end = span_find(host, ':');
    return port_read(span_slice(host, end + 1, host.len), ret->tls, ret->port) &&
           host_read(span_slice(host, 0, end), ret->host);
}

/* Of what an address means: the IPv4 one inside, where there is one. */
static bool ipv4_of(const struct sockaddr *address, uint32_t *ret)
{
    if (address->sa_family == AF_INET) {
        *ret = ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        const struct in6_addr *v6 =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

        if (!IN6_IS_ADDR_V4MAPPED(v6))
            return false;
        *ret = (uint32_t)v6->s6_addr[12] << 24 | (uint32_t)v6->s6_addr[13] << 16 |
               (uint32_t)v6->s6_addr[14] << 8 | v6->s6_addr[15];
        return true;
    }
    return false;
}

bool issuer_address_is_loopback(const struct sockaddr *address)
{
    uint32_t v4;

    if (ipv4_of(address, &v4))
        return v4 >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* RFC 6890: whatever is not for everybody, told by its first bits. */
static bool is_private_v4(uint32_t address)
{
    static const struct {
        uint32_t first;
        unsigned bits;
    } nets[] = {
        {0x00000000, 8},  /* this network */
        {0x0A000000, 8},  /* 10.0.0.0/8 */
        {0x64400000, 10}, /* shared, 100.64.0.0/10 */
        {0x7F000000, 8},  /* loopback */
        {0xA9FE0000, 16}, /* link-local: metadata of clouds */
        {0xAC100000, 12}, /* 172.16.0.0/12 */
        {0xC0000000, 24}, /* protocol assignments */
        {0xC0A80000, 16}, /* 192.168.0.0/16 */
        {0xC6120000, 15}, /* benchmarks */
        {0xE0000000, 3},  /* multicast, reserved, broadcast */
    };

    for (size_t i = 0; i < PC_COUNT(nets); i++) {
        if (address >> (32 - nets[i].bits) == nets[i].first >> (32 - nets[i].bits))
            return true;
    }
    return false;
}

/* Only 2000::/3 is given out to everybody; within it stand tunnels to IPv4 (RFC 3056, RFC 4380). */
static bool is_private_v6(const struct in6_addr *address)
{
    const unsigned char *bytes = address->s6_addr;

    if (bytes[0] >> 5 != 1)
        return true;
    if (bytes[0] == 0x20 && bytes[1] == 0x02)
        return true;
    return bytes[0] == 0x20 && bytes[1] == 0x01 && bytes[2] < 0x02;
}

bool issuer_address_is_private(const struct sockaddr *address)
{
    uint32_t v4;

    if (ipv4_of(address, &v4))
        return is_private_v4(v4);
    if (address->sa_family != AF_INET6)
        return true;
    return is_private_v6(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* ---- a connection ---- */

struct line {
    const struct issuer *issuer;
    int64_t deadline_ns; /* of clock_system */
    int fd;
    struct crypto_tls *tls; /* NULL: in clear */
    struct crypto_fault *fault;
};

static enum err refuse(struct crypto_fault *fault, const char *why)
{
    crypto_fault_set(fault, "%s", why);
    return ERR_IO;
}

/* Until the socket is ready, the time is over, or it is time to stop. */
static enum err ready(const struct line *line, short events)
{
    for (;;) {
        int64_t left_ms = (line->deadline_ns - clock_monotonic_ns(&clock_system)) / CLOCK_NS_PER_MS;
        struct pollfd fds[2] = {{.fd = line->fd, .events = events},
                                {.fd = line->issuer->stop[0], .events = POLLIN}};
        int got;

        if (left_ms <= 0)
            return refuse(line->fault, "it took too long");
        got = poll(fds, 2, left_ms > 60000 ? 60000 : (int)left_ms);
        if (got < 0 && errno != EINTR)
            return refuse(line->fault, strerror(errno));
        if (got > 0 && fds[1].revents != 0)
            return refuse(line->fault, "the program stops");
        if (got > 0)
            return ERR_OK;
    }
}

static enum err tls_wait(const struct line *line, enum crypto_tls_state state)
{
    if (state == CRYPTO_TLS_WANT_READ)
        return ready(line, POLLIN);
    if (state == CRYPTO_TLS_WANT_WRITE)
        return ready(line, POLLOUT);
    crypto_fault_set(line->fault, "TLS failed: %s", crypto_tls_reason(line->tls));
    return ERR_IO;
}

static enum err connect_to(struct line *line, const struct sockaddr *at, socklen_t at_bytes)
{
    int error = 0;
    socklen_t bytes = sizeof(error);
    enum err err;

    line->fd = socket(at->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (line->fd < 0)
        return refuse(line->fault, strerror(errno));
    if (connect(line->fd, at, at_bytes) != 0 && errno != EINPROGRESS)
        return refuse(line->fault, strerror(errno));
    err = ready(line, POLLOUT);
    if (err)
        return err;
    if (getsockopt(line->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
        error = errno;
    return error != 0 ? refuse(line->fault, strerror(error)) : ERR_OK;
}

static enum err secure(struct line *line, struct crypto_tls_context *context)
{
    enum crypto_tls_state state;
    enum err err = crypto_tls_new(context, line->fd, &line->tls);

    if (err)
        return err;
    while ((state = crypto_tls_handshake(line->tls)) != CRYPTO_TLS_DONE) {
        err = tls_wait(line, state);
        if (err)
            return err;
    }
    return ERR_OK;
}

static void hang_up(struct line *line)
{
    crypto_tls_free(line->tls);
    line->tls = NULL;
    if (line->fd >= 0)
        (void)close(line->fd);
    line->fd = -1;
}

static enum err send_some(struct line *line, struct span *text)
{
    size_t sent = 0;

    if (line->tls != NULL) {
        enum crypto_tls_state state = crypto_tls_write(line->tls, text->ptr, text->len, &sent);

        if (state != CRYPTO_TLS_DONE)
            return tls_wait(line, state);
    } else {
        ssize_t got = send(line->fd, text->ptr, text->len, MSG_NOSIGNAL);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return ready(line, POLLOUT);
        if (got < 0)
            return refuse(line->fault, strerror(errno));
        sent = (size_t)got;
    }
    *text = span_slice(*text, sent, text->len);
    return ERR_OK;
}

/* ERR_END: the server closed. Nothing read and ERR_OK: ask again. */
static enum err read_some(struct line *line, char buffer[READ_BYTES], size_t *ret_bytes)
{
    ssize_t got;

    *ret_bytes = 0;
    if (line->tls != NULL) {
        enum crypto_tls_state state = crypto_tls_read(line->tls, buffer, READ_BYTES, ret_bytes);

        if (state == CRYPTO_TLS_CLOSED)
            return ERR_END;
        return state == CRYPTO_TLS_DONE ? ERR_OK : tls_wait(line, state);
    }
    got = recv(line->fd, buffer, READ_BYTES, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return ready(line, POLLIN);
    if (got < 0)
        return refuse(line->fault, strerror(errno));
    *ret_bytes = (size_t)got;
    return got == 0 ? ERR_END : ERR_OK;
}

/* ---- the answer ---- */

/* application/json, application/jwk-set+json, whatever parameters it has. */
static bool is_json(struct span type)
{
    struct span media = span_trim(span_slice(type, 0, span_find(type, ';')));

    return span_is_nocase(media, "application/json") ||
           span_is_nocase(media, "application/jwk-set+json");
}

static struct span header_of(const struct net_answer_head *head, const char *name)
{
    for (size_t i = 0; i < head->header_count; i++) {
        if (span_is(head->headers[i].name, name))
            return head->headers[i].value;
    }
    return (struct span){0};
}

static enum err head_check(const struct line *line, const struct net_answer_head *head)
{
    size_t bytes_max = line->issuer->options.bytes_max;

    if (head->status >= 300 && head->status < 400)
        return refuse(line->fault, "it answers by a redirect, which is not followed");
    if (head->status != 200) {
        crypto_fault_set(line->fault, "it answers with status %d", head->status);
        return ERR_IO;
    }
    if (!is_json(header_of(head, "content-type")))
        return refuse(line->fault, "its answer is not called JSON");
    if (header_of(head, "content-encoding").len > 0)
        return refuse(line->fault, "its answer is compressed");
    if (head->content_length < NET_LENGTH_CLOSE && head->content_length != NET_LENGTH_CHUNKED &&
        head->content_length > bytes_max)
        return refuse(line->fault, "its answer is too long");
    return ERR_OK;
}

struct reading {
    struct net_answer answer;
    struct sbuf text;
    bool ended;
};

static enum err event_take(const struct line *line, struct reading *reading,
                           enum net_answer_event event, struct span piece, const char *why)
{
    switch (event) {
    case NET_ANSWER_MORE:
    case NET_ANSWER_INTERIM:
        return ERR_OK;
    case NET_ANSWER_HEAD:
        return head_check(line, &reading->answer.head);
    case NET_ANSWER_BODY:
        sbuf_add(&reading->text, piece);
        return reading->text.full ? refuse(line->fault, "its answer is too long") : ERR_OK;
    case NET_ANSWER_END:
        reading->ended = true;
        return ERR_OK;
    case NET_ANSWER_BAD:
        break;
    }
    crypto_fault_set(line->fault, "its answer cannot be read: %s", why);
    return ERR_IO;
}

static enum err bytes_take(const struct line *line, struct reading *reading, struct span bytes)
{
    enum net_answer_event event = NET_ANSWER_INTERIM;
    enum err err = ERR_OK;

    while (!err && !reading->ended && event != NET_ANSWER_MORE) {
        struct span piece = {0};
        const char *why = "";

        event = net_answer_next(&reading->answer, &bytes, &piece, &why);
        err = event_take(line, reading, event, piece, why);
    }
    return err;
}

static enum err answer_read(struct line *line, struct arena *arena, struct span *ret_text)
{
    static const struct net_answer_limits limits = {
        .head_bytes_max = HEAD_BYTES_MAX, .headers_max = HEADERS_MAX, .interims_max = INTERIMS_MAX};
    struct reading reading = {.text = sbuf_on(arena, line->issuer->options.bytes_max)};
    char *buffer = arena_bytes(arena, READ_BYTES);

    if (buffer == NULL)
        return ERR_NO_MEMORY;
    net_answer_start(&reading.answer, arena, &limits, false, false);
    while (!reading.ended) {
        size_t bytes;
        const char *why = "";
        enum err err = read_some(line, buffer, &bytes);

        if (err == ERR_END)
            err = event_take(line, &reading, net_answer_close(&reading.answer, &why),
                             (struct span){0}, why);
        else if (!err && bytes > 0)
            err = bytes_take(line, &reading, span_make(buffer, bytes));
        if (err)
            return err;
    }
    *ret_text = sbuf_span(&reading.text);
    return ERR_OK;
}

/* ---- the whole of it ---- */

static enum err ask(struct line *line, const struct issuer_url *url, struct arena *arena,
                    struct span *ret_text)
{
    char text[REQUEST_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct span request;

    sbuf_add_lit(&out, "GET ");
    sbuf_add(&out, url->path);
    sbuf_add_lit(&out, " HTTP/1.1\r\nHost: ");
    sbuf_add(&out, url->authority);
    sbuf_add_lit(&out, "\r\nAccept: application/json, application/jwk-set+json\r\n"
                       "Accept-Encoding: identity\r\nUser-Agent: portcullis\r\n"
                       "Connection: close\r\n\r\n");
    if (out.full)
        return refuse(line->fault, "its URL is too long");
    request = sbuf_span(&out);
    while (request.len > 0) {
        enum err err = send_some(line, &request);

        if (err)
            return err;
    }
    return answer_read(line, arena, ret_text);
}

static const char *address_flaw(const struct issuer *issuer, const struct issuer_url *url,
                                const struct sockaddr *address)
{
    if (!url->tls && !issuer_address_is_loopback(address))
        return "without TLS only this machine is asked";
    if (issuer->options.is_public && issuer_address_is_private(address))
        return "its address is a private one";
    return NULL;
}

static enum err look_up(const struct line *line, const struct issuer_url *url,
                        struct net_lookup_answer *ret_answer)
{
    const char *why = "";
    enum err err = net_lookup_ask(line->issuer->lookup, url->host, url->port, line->deadline_ns,
                                  line->issuer->stop[0], ret_answer, &why);

    return err ? refuse(line->fault, why) : ERR_OK;
}

/* The first of its addresses that answers to a connection is the one that is asked. */
static enum err reach(struct line *line, const struct issuer_url *url)
{
    struct net_lookup_answer answer;
    enum err err = look_up(line, url, &answer);

    if (err)
        return err;
    for (size_t i = 0; i < answer.count && i < ADDRESSES_MAX; i++) {
        const struct sockaddr *at = (const struct sockaddr *)(const void *)&answer.list[i].at;
        const char *flaw = address_flaw(line->issuer, url, at);

        err = flaw != NULL ? refuse(line->fault, flaw) : connect_to(line, at, answer.list[i].bytes);
        if (!err)
            return ERR_OK;
        hang_up(line);
    }
    return err;
}

static enum err context_make(const struct issuer *issuer, const struct issuer_url *url,
                             struct crypto_tls_context **ret, struct crypto_fault *fault)
{
    const struct crypto_tls_client_options options = {.host = url->host,
                                                      .ca_path = issuer->options.ca_path};

    return url->tls ? crypto_tls_client_context_new(&options, ret, fault) : ERR_OK;
}

enum err issuer_fetch_url(struct issuer *issuer, struct arena *arena, struct span *ret_text,
                          struct crypto_fault *fault)
{
    struct line line = {.issuer = issuer,
                        .deadline_ns =
                            clock_monotonic_ns(&clock_system) + issuer->options.timeout_ns,
                        .fd = -1,
                        .fault = fault};
    PC_AUTO(crypto_tls_context) context = NULL;
    struct issuer_url url;
    enum err err;

    if (!issuer_url_read(issuer->options.url, &url))
        return refuse(fault, "its URL cannot be read");
    err = context_make(issuer, &url, &context, fault);
    if (err)
        return err;
    err = reach(&line, &url);
    if (!err && url.tls)
        err = secure(&line, context);
    if (!err)
        err = ask(&line, &url, arena, ret_text);
    hang_up(&line);
    return err;
}
