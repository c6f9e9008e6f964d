/* SPDX-License-Identifier: MIT
 * The operators' socket: HTTP on a unix socket that only the owner of the process (and root) may
 * use, served by threads of its own, so that the loops of requests never wait for it.
 *
 *   accept (one thread: who is it? SO_PEERCRED) -> a loop of its own (net/: strict, bounded)
 *     -> serve_admin_answer
 */
#include "app/serve_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"

enum { ANSWER_BYTES_MAX = 1024 * 1024, CONNECTIONS_MAX = 64, BACKLOG = 16, REST_MS = 100 };

struct serve_admin {
    struct serve *serve;
    struct net_server *server;
    struct net_listener *listener;
    struct sockaddr_un address;
    int socket;
    int wake[2]; /* closing one end ends the thread */
    bool is_bound, runs;
    pthread_t thread;
};

/* ---- a request ---------------------------------------------------------------------------------
 */

static void reply(struct net_stream *stream, int status, struct span body)
{
    const struct net_reply told = {.status = status,
                                   .head = SPAN("Content-Type: application/json\r\n"
                                                "Cache-Control: no-store\r\n"),
                                   .body = body};

    net_reply(stream, &told);
}

static void on_head(struct net_stream *stream, const struct net_head *head)
{
    const struct serve_admin *admin = net_stream_context(stream);
    struct sbuf out = sbuf_on(net_stream_arena(stream), ANSWER_BYTES_MAX);
    int status = serve_admin_answer(admin->serve, head->method_text, head->target, &out);

    sbuf_add_char(&out, '\n');
    if (out.full)
        reply(stream, 503, SPAN_OF("{\"error\":\"the answer is too large\"}\n"));
    else
        reply(stream, status, sbuf_span(&out));
}

static void on_body(struct net_stream *stream, struct span bytes)
{
    (void)stream;
    (void)bytes;
}

static void on_end(struct net_stream *stream)
{
    (void)stream;
}

static void on_refuse(struct net_stream *stream, enum err err)
{
    reply(stream, err_status(err), SPAN_OF("{\"error\":\"the request is malformed\"}\n"));
}

static const struct net_app admin_app = {
    .head = on_head, .body = on_body, .end = on_end, .refuse = on_refuse};

/* ---- who comes ---------------------------------------------------------------------------------
 */

static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static bool lacks_descriptors(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Who waits to be accepted would wake the thread again and again; the stop still does. */
static void rest(const struct serve_admin *admin)
{
    struct pollfd stop = {.fd = admin->wake[0]};

    (void)poll(&stop, 1, REST_MS);
}

static void take(struct serve_admin *admin)
{
    int fd = accept4(admin->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0) {
        if (lacks_descriptors(errno))
            rest(admin);
        return;
    }
    if (!is_ours(fd)) {
        log_warn(admin->serve->logger, "admin_refused", LOG_STRING("why", "another user"));
        (void)close(fd);
        return;
    }
    if (net_server_adopt(admin->server, admin->listener, fd) != ERR_OK)
        log_warn(admin->serve->logger, "admin_refused", LOG_STRING("why", "too many connections"));
}

static void *run(void *context)
{
    struct serve_admin *admin = context;
    struct pollfd fds[] = {{.fd = admin->socket, .events = POLLIN}, {.fd = admin->wake[0]}};

    for (;;) {
        if (poll(fds, PC_COUNT(fds), -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents != 0)
            break;
        if (fds[0].revents != 0)
            take(admin);
    }
    return NULL;
}

/* ---- the socket --------------------------------------------------------------------------------
 */

/* Without waiting: one whose queue is full is there too (EAGAIN). */
static bool answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool good = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
                            errno == EAGAIN);

    if (fd >= 0)
        (void)close(fd);
    return good;
}

/* One that a dead process left is taken away; one that answers is another node's. */
static const char *bind_here(struct serve_admin *admin)
{
    const struct sockaddr *address = (const struct sockaddr *)&admin->address;
    struct stat file;

    if (lstat(admin->address.sun_path, &file) == 0) {
        if (!S_ISSOCK(file.st_mode))
            return "something else is there";
        if (answers(&admin->address))
            return "another node answers there";
        (void)unlink(admin->address.sun_path);
    }
    admin->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (admin->socket < 0 || fchmod(admin->socket, 0600) != 0 ||
        bind(admin->socket, address, sizeof(admin->address)) != 0)
        return strerror(errno);
    admin->is_bound = true;
    if (chmod(admin->address.sun_path, 0600) != 0 || listen(admin->socket, BACKLOG) != 0)
        return strerror(errno);
    return NULL;
}

static const char *place(struct serve_admin *admin)
{
    const struct config *config = admin->serve->config;
    struct sbuf path = sbuf_over(admin->address.sun_path, sizeof(admin->address.sun_path) - 1);

    admin->address.sun_family = AF_UNIX;
    if (config->admin.socket != NULL)
        sbuf_add_text(&path, config->admin.socket);
    else
        sbuf_add_format(&path, "%s/admin.sock", config->data);
    return path.full ? "its path is too long for a socket" : NULL;
}

static enum err start_threads(struct serve_admin *admin)
{
    const struct net_server_options options = {
        .loops = 1, .conns_max = CONNECTIONS_MAX, .clock = admin->serve->clock};
    const struct net_listener_options listener = {
        .name = "admin", .app = &admin_app, .app_context = admin};
    enum err err = net_server_new(&options, &admin->server);

    if (!err)
        err = net_server_listen_none(admin->server, &listener, &admin->listener);
    if (!err)
        err = net_server_start(admin->server);
    if (!err && pipe2(admin->wake, O_CLOEXEC) != 0)
        err = ERR_IO;
    if (!err && pthread_create(&admin->thread, NULL, run, admin) != 0)
        err = ERR_IO;
    admin->runs = err == ERR_OK;
    return err;
}

/* Nobody asked for the one in the data folder, so the program does without where it cannot be. */
static enum err refuse(struct serve *serve, const char *why, struct serve_fault *fault)
{
    const struct serve_admin *admin = serve->admin;

    if (serve->config->admin.socket != NULL)
        return serve_fail(fault, ERR_IO, "admin.socket: %s: %s", admin->address.sun_path, why);
    log_warn(serve->logger, "admin_not_served", LOG_STRING("socket", admin->address.sun_path),
             LOG_STRING("why", why));
    serve_admin_stop(serve);
    return ERR_OK;
}

enum err serve_admin_start(struct serve *serve, struct serve_fault *fault)
{
    struct serve_admin *admin = alloc_zero(sizeof(*admin));
    const char *why;
    enum err err;

    if (admin == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    serve->admin = admin;
    admin->serve = serve;
    admin->socket = admin->wake[0] = admin->wake[1] = -1;
    why = place(admin);
    if (why == NULL)
        why = bind_here(admin);
    if (why != NULL)
        return refuse(serve, why, fault);
    err = start_threads(admin);
    return err ? serve_fail(fault, err, "the admin socket cannot be served: %s", err_sentence(err))
               : ERR_OK;
}

static void shut(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void serve_admin_stop(struct serve *serve)
{
    struct serve_admin *admin = serve->admin;

    if (admin == NULL)
        return;
    if (admin->is_bound) /* while it answers, nobody else can have put his own there */
        (void)unlink(admin->address.sun_path);
    shut(admin->wake[1]);
    if (admin->runs)
        PC_ASSERT(pthread_join(admin->thread, NULL) == 0);
    shut(admin->wake[0]);
    shut(admin->socket);
    net_server_free(admin->server);
    serve->admin = NULL;
    alloc_free(admin);
}
