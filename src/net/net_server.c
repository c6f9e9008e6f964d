/* SPDX-License-Identifier: MIT
 * A server: its loops and listeners, from start to drain.
 *
 *   net_server_new -> net_server_listen* -> net_server_start -> net_server_drain
 *                  -> net_server_stop -> net_server_free
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "net/net_priv.h"

enum { DRAIN_LOOK_MS = 5 };

/* --- options ---------------------------------------------------------------------------------- */

size_t net_loops_usual(void)
{
    return uv_available_parallelism();
}

static void options_fill(struct net_server_options *o)
{
    static const struct net_server_options defaults = {
        .conns_max = 16384,
        .head_ms = 10000,
        .idle_ms = 75000,
        .body_ms = 20000,
        .body_grace_ms = 10000,
        .body_rate_min = 256,
        .write_ms = 20000,
        .head_bytes_max = LIMIT_HTTP_HEAD_BYTES_MAX,
        .headers_max = LIMIT_HTTP_HEADERS_MAX,
        .target_bytes_max = LIMIT_HTTP_TARGET_BYTES_MAX,
        .arena_bytes_max = LIMIT_HTTP_ARENA_BYTES_MAX,
        .requests_per_conn_max = 100000,
    };

#define FILL(field) o->field = o->field != 0 ? o->field : defaults.field
    FILL(conns_max);
    FILL(head_ms);
    FILL(idle_ms);
    FILL(body_ms);
    FILL(body_grace_ms);
    FILL(body_rate_min);
    FILL(write_ms);
    FILL(head_bytes_max);
    FILL(headers_max);
    FILL(target_bytes_max);
    FILL(arena_bytes_max);
    FILL(requests_per_conn_max);
#undef FILL
    if (o->loops == 0)
        o->loops = net_loops_usual();
    if (o->clock == NULL)
        o->clock = &clock_system;
    if (o->random == NULL)
        o->random = &random_system;
}

/* --- making and freeing ----------------------------------------------------------------------- */

static enum err loops_new(struct net_server *server)
{
    server->loops = alloc_zero(server->options.loops * sizeof(struct net_loop *));
    if (server->loops == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < server->options.loops; i++) {
        enum err err = net_loop_new(server, i, &server->loops[i]);

        if (err)
            return err;
        server->loop_count++;
    }
    return ERR_OK;
}

static enum err server_fill(struct net_server *server)
{
    const struct net_server_options *options = &server->options;
    enum err err;

    server->limits = (struct net_http1_limits){.head_bytes_max = options->head_bytes_max,
                                               .headers_max = options->headers_max,
                                               .target_bytes_max = options->target_bytes_max};
    err = net_counters_init(&server->counters, options->metrics);
    if (err)
        return err;
    if (options->conns_per_ip_max > 0) {
        err = net_admit_new(options->conns_per_ip_max, options->random, &server->admit);
        if (err)
            return err;
    }
    return loops_new(server);
}

enum err net_server_new(const struct net_server_options *options, struct net_server **ret_server)
{
    struct net_server *server = alloc_zero(sizeof(*server));
    enum err err;

    if (server == NULL)
        return ERR_NO_MEMORY;
    server->options = *options;
    options_fill(&server->options);
    err = server_fill(server);
    if (err) {
        net_server_free(server);
        return err;
    }
    *ret_server = server;
    return ERR_OK;
}

void net_server_stop(struct net_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < server->loop_count; i++) {
        if (server->loops[i]->running)
            net_loop_post(server->loops[i], &server->loops[i]->stop);
    }
    for (size_t i = 0; i < server->loop_count; i++)
        net_loop_join(server->loops[i]);
}

void net_server_free(struct net_server *server)
{
    if (server == NULL)
        return;
    net_server_stop(server);
    for (size_t i = 0; i < server->loop_count; i++)
        net_loop_free(server->loops[i]);
    for (size_t i = 0; i < server->listener_count; i++)
        alloc_free(server->listeners[i]);
    net_admit_free(server->admit);
    alloc_free(server->loops);
    alloc_free(server);
}

/* --- listeners -------------------------------------------------------------------------------- */

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {.in6 = {0}};
    socklen_t bytes = sizeof(address);

    PC_ASSERT(getsockname(fd, &address.any, &bytes) == 0);
    return ntohs(address.any.sa_family == AF_INET6 ? address.in6.sin6_port : address.in.sin_port);
}

static void unbind(struct net_server *server, size_t at)
{
    for (size_t i = 0; i < server->loop_count; i++) {
        int *fd = &server->loops[i]->doors[at].fd;

        if (*fd >= 0)
            (void)close(*fd);
        *fd = -1;
    }
}

/* A socket for each loop, all on the port that the first one got. 0 or errno. */
static int bind_all(struct net_server *server, struct net_listener *listener, size_t at)
{
    listener->port = listener->options.port;
    for (size_t i = 0; i < server->loop_count; i++) {
        int *fd = &server->loops[i]->doors[at].fd;
        bool first = i == 0;
        int error = net_door_bind(&listener->options, listener->port, first, fd);

        if (error != 0) {
            unbind(server, at);
            return error;
        }
        listener->port = port_of(*fd);
    }
    listener->bound = true;
    return 0;
}

static struct net_listener *listener_add(struct net_server *server,
                                         const struct net_listener_options *options)
{
    size_t at = server->listener_count;
    struct net_listener *listener = alloc_zero(sizeof(*listener));

    PC_ASSERT(!server->started && at < NET_LISTENERS_MAX);
    PC_ASSERT(options->app != NULL && options->app->head != NULL && options->app->refuse != NULL);
    if (listener == NULL)
        return NULL;
    listener->server = server;
    listener->options = *options;
    server->listeners[at] = listener;
    server->listener_count++;
    for (size_t i = 0; i < server->loop_count; i++) {
        struct net_door *door = &server->loops[i]->doors[at];

        door->loop = server->loops[i];
        door->listener = listener;
        door->tls = options->tls;
    }
    return listener;
}

enum err net_server_listen_none(struct net_server *server,
                                const struct net_listener_options *options,
                                struct net_listener **ret_listener)
{
    struct net_listener *listener = listener_add(server, options);

    if (listener == NULL)
        return ERR_NO_MEMORY;
    *ret_listener = listener;
    return ERR_OK;
}

enum err net_server_listen(struct net_server *server, const struct net_listener_options *options,
                           struct net_listener **ret_listener, int *ret_errno)
{
    struct net_listener *listener = listener_add(server, options);
    int error;

    if (listener == NULL)
        return ERR_NO_MEMORY;
    error = bind_all(server, listener, server->listener_count - 1);
    if (error != 0) {
        server->listener_count--;
        alloc_free(listener);
        if (ret_errno != NULL)
            *ret_errno = error;
        return ERR_IO;
    }
    *ret_listener = listener;
    return ERR_OK;
}

uint16_t net_listener_port(const struct net_listener *listener)
{
    return listener->port;
}

const char *net_listener_name(const struct net_listener *listener)
{
    return listener->options.name;
}

/* --- visiting every loop ---------------------------------------------------------------------- */

struct visit {
    struct net_task task;
    struct net_loop *loop;
    struct visits *all;
};

struct visits {
    net_loop_visit_fn *run;
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t left;
    size_t waiting;
};

static void on_visit(struct net_task *task)
{
    struct visit *visit = PC_CONTAINER(task, struct visit, task);
    struct visits *all = visit->all;

    all->run(visit->loop, all->context);
    PC_ASSERT(pthread_mutex_lock(&all->lock) == 0);
    all->waiting--;
    PC_ASSERT(pthread_cond_signal(&all->left) == 0);
    PC_ASSERT(pthread_mutex_unlock(&all->lock) == 0);
}

static void visit_one(struct net_loop *loop, net_loop_visit_fn *run, void *context)
{
    struct visits all = {.run = run, .context = context, .waiting = 1};
    struct visit visit = {.task.run = on_visit, .loop = loop, .all = &all};

    PC_ASSERT(!net_loop_is_current(loop));
    PC_ASSERT(pthread_mutex_init(&all.lock, NULL) == 0);
    PC_ASSERT(pthread_cond_init(&all.left, NULL) == 0);
    net_loop_post(loop, &visit.task);
    PC_ASSERT(pthread_mutex_lock(&all.lock) == 0);
    while (all.waiting > 0)
        PC_ASSERT(pthread_cond_wait(&all.left, &all.lock) == 0);
    PC_ASSERT(pthread_mutex_unlock(&all.lock) == 0);
    PC_ASSERT(pthread_cond_destroy(&all.left) == 0);
    PC_ASSERT(pthread_mutex_destroy(&all.lock) == 0);
}

void net_server_visit(struct net_server *server, net_loop_visit_fn *run, void *context)
{
    for (size_t i = 0; i < server->loop_count; i++) {
        if (server->loops[i]->running)
            visit_one(server->loops[i], run, context);
        else
            run(server->loops[i], context);
    }
}

struct tls_swap {
    const struct net_listener *listener;
    struct crypto_tls_context *tls;
};

static void swap_tls(struct net_loop *loop, void *context)
{
    const struct tls_swap *swap = context;

    for (size_t i = 0; i < loop->server->listener_count; i++) {
        if (loop->doors[i].listener == swap->listener)
            loop->doors[i].tls = swap->tls;
    }
}

void net_listener_set_tls(struct net_listener *listener, struct crypto_tls_context *tls)
{
    struct tls_swap swap = {.listener = listener, .tls = tls};

    net_server_visit(listener->server, swap_tls, &swap);
}

/* --- running ---------------------------------------------------------------------------------- */

static enum err listen_all(struct net_loop *loop)
{
    for (size_t i = 0; i < loop->server->listener_count; i++) {
        if (loop->doors[i].fd >= 0 && listen(loop->doors[i].fd, NET_LISTEN_BACKLOG) != 0)
            return ERR_IO;
    }
    return ERR_OK;
}

static void has_begun(struct net_loop *loop, void *context)
{
    (void)loop;
    (void)context;
}

enum err net_server_start(struct net_server *server)
{
    PC_ASSERT(!server->started);
    for (size_t i = 0; i < server->loop_count; i++) {
        enum err err = listen_all(server->loops[i]);

        if (err)
            return err;
    }
    server->started = true;
    for (size_t i = 0; i < server->loop_count; i++) {
        enum err err = net_loop_start(server->loops[i]);

        if (err)
            return err;
    }
    net_server_visit(server, has_begun, NULL); /* what follows finds each loop at work */
    return ERR_OK;
}

struct adoption {
    struct net_task task;
    struct net_door *door;
    int fd;
};

static void on_adopt(struct net_task *task)
{
    struct adoption *adoption = PC_CONTAINER(task, struct adoption, task);
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    socklen_t bytes = sizeof(address);

    if (adoption->door->loop->draining ||
        getpeername(adoption->fd, (struct sockaddr *)&address, &bytes) != 0)
        (void)close(adoption->fd);
    else
        net_conn_open(adoption->door, adoption->fd, (struct sockaddr *)&address);
    alloc_free(adoption);
}

enum err net_server_adopt(struct net_server *server, struct net_listener *listener, int fd)
{
    size_t turn = atomic_fetch_add_explicit(&server->adopt_next, 1, memory_order_relaxed);
    struct net_loop *loop = server->loops[turn % server->loop_count];
    struct adoption *adoption = alloc_zero(sizeof(*adoption));
    size_t at = 0;

    if (adoption == NULL) {
        (void)close(fd);
        return ERR_NO_MEMORY;
    }
    while (loop->doors[at].listener != listener)
        at++;
    adoption->task.run = on_adopt;
    adoption->door = &loop->doors[at];
    adoption->fd = fd;
    net_loop_post(loop, &adoption->task);
    return ERR_OK;
}

static void begin_drain(struct net_loop *loop, void *context)
{
    net_loop_drain(loop);
}

static void cut_all(struct net_loop *loop, void *context)
{
    net_loop_cut(loop);
}

bool net_server_drain(struct net_server *server, int64_t deadline_ms)
{
    int64_t deadline_ns = clock_monotonic_ns(&clock_system) + deadline_ms * CLOCK_NS_PER_MS;
    struct timespec look = {.tv_nsec = DRAIN_LOOK_MS * CLOCK_NS_PER_MS};

    net_server_visit(server, begin_drain, NULL);
    while (net_server_conn_count(server) > 0) {
        if (clock_monotonic_ns(&clock_system) >= deadline_ns) {
            net_server_visit(server, cut_all, NULL);
            return false;
        }
        (void)nanosleep(&look, NULL);
    }
    return true;
}

size_t net_server_loop_count(const struct net_server *server)
{
    return server->loop_count;
}

struct net_loop *net_server_loop(struct net_server *server, size_t index)
{
    PC_ASSERT(index < server->loop_count);
    return server->loops[index];
}

size_t net_server_conn_count(const struct net_server *server)
{
    return atomic_load_explicit(&server->conn_count, memory_order_relaxed);
}
