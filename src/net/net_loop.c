/* SPDX-License-Identifier: MIT
 * One loop thread: its libuv loop, its kept time, its tasks from other threads, its wheel.
 *
 *   net_loop_new -> net_loop_start -> loop_main ... stop -> all connections gone -> net_loop_join
 *
 * Tasks come over a stack that senders push and the loop takes whole; only the one who finds it
 * empty wakes the loop, so a burst of answers from the store costs one system call. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "net/net_priv.h"

static _Thread_local struct net_loop *current;

/* --- time ------------------------------------------------------------------------------------- */

static void time_read(struct net_loop *loop)
{
    const struct clock *clock = loop->server->options.clock;

    if (loop->now_known)
        return;
    loop->now_ns = clock_monotonic_ns(clock);
    loop->realtime_ns = clock_realtime_ns(clock);
    loop->now_known = true;
}

int64_t net_loop_now_ns(struct net_loop *loop)
{
    time_read(loop);
    return loop->now_ns;
}

int64_t net_loop_realtime_ns(struct net_loop *loop)
{
    time_read(loop);
    return loop->realtime_ns;
}

struct span net_loop_http_date(struct net_loop *loop)
{
    int64_t now_s = net_loop_realtime_ns(loop) / CLOCK_NS_PER_S;

    if (now_s != loop->date_s) {
        struct sbuf out = sbuf_over(loop->date, sizeof(loop->date));

        clock_add_http_date(&out, now_s * CLOCK_NS_PER_S);
        PC_ASSERT(out.len == sizeof(loop->date));
        loop->date_s = now_s;
    }
    return span_make(loop->date, sizeof(loop->date));
}

static bool is_dirty(const struct net_loop *loop)
{
    size_t bytes = loop->outbox.dirty + loop->spare_dirty;

    for (size_t i = 0; i < NET_BUFFER_COUNT; i++)
        bytes |= loop->dirty[i];
    return bytes > 0;
}

/* Passwords and tokens passed through here. Not after each turn: a busy loop would write as much
 * again as it reads. */
static void on_wiper(struct net_timer *timer)
{
    struct net_loop *loop = PC_CONTAINER(timer, struct net_loop, wiper);

    for (size_t i = 0; i < NET_BUFFER_COUNT; i++) {
        alloc_wipe(loop->buffers[i], loop->dirty[i]);
        loop->dirty[i] = 0;
    }
    net_outbox_wipe(&loop->outbox);
    for (struct net_stream *stream = loop->spare; stream != NULL; stream = stream->next_spare)
        arena_wipe(&stream->arena);
    loop->spare_dirty = false;
}

/* What was read is good until the loop has waited again. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct net_loop *loop = prepare->data;

    net_outbox_flush(&loop->outbox);
    loop->outbox.shut = true; /* the loop waits soon: what is sent now leaves at once */
    if (loop->due != NULL)
        net_http2_flush(loop);
    loop->outbox.shut = false;
    if (is_dirty(loop) && loop->wiper.link == NULL)
        net_timer_start(loop, &loop->wiper, NET_WIPE_MS, on_wiper);
    loop->now_known = false;
}

/* --- small questions -------------------------------------------------------------------------- */

struct random_batch *net_loop_random(struct net_loop *loop)
{
    return &loop->random;
}

size_t net_loop_index(const struct net_loop *loop)
{
    return loop->index;
}

void **net_loop_slot(struct net_loop *loop)
{
    return &loop->slot;
}

bool net_loop_is_current(const struct net_loop *loop)
{
    return current == loop;
}

/* --- tasks ------------------------------------------------------------------------------------ */

void net_loop_post(struct net_loop *loop, struct net_task *task)
{
    struct net_task *newest = atomic_load_explicit(&loop->tasks, memory_order_relaxed);

    do {
        task->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&loop->tasks, &newest, task,
                                                    memory_order_release, memory_order_relaxed));
    if (newest == NULL)
        PC_ASSERT(uv_async_send(&loop->wake) == 0);
}

static struct net_task *oldest_first(struct net_task *newest)
{
    struct net_task *list = NULL;

    while (newest != NULL) {
        struct net_task *older = newest->next;

        newest->next = list;
        list = newest;
        newest = older;
    }
    return list;
}

static void on_wake(uv_async_t *wake)
{
    struct net_loop *loop = wake->data;
    struct net_task *task =
        oldest_first(atomic_exchange_explicit(&loop->tasks, NULL, memory_order_acquire));

    while (task != NULL) {
        struct net_task *next = task->next;

        task->run(task);
        net_outbox_check(&loop->outbox);
        task = next;
    }
}

/* --- timers ----------------------------------------------------------------------------------- */

static void on_wheel(uv_timer_t *timer);

/* Wakes for the wheel at `at_ns`, unless it wakes before. */
static void wheel_arm(struct net_loop *loop, int64_t at_ns)
{
    int64_t wait_ns = at_ns - net_loop_now_ns(loop);

    if (at_ns >= loop->wheel_armed_ns)
        return;
    loop->wheel_armed_ns = at_ns;
    if (wait_ns < 0)
        wait_ns = 0;
    PC_ASSERT(uv_timer_start(&loop->wheel_timer, on_wheel,
                             (uint64_t)(wait_ns / CLOCK_NS_PER_MS) + 1, 0) == 0);
}

static void on_wheel(uv_timer_t *timer)
{
    struct net_loop *loop = timer->data;

    loop->now_known = false;
    loop->wheel_armed_ns = NET_NO_DEADLINE;
    net_wheel_run(&loop->wheel, net_loop_now_ns(loop));
    wheel_arm(loop, net_wheel_next_ns(&loop->wheel));
}

void net_loop_timer_set(struct net_loop *loop, struct net_timer *timer, int64_t deadline_ns)
{
    if (deadline_ns == NET_NO_DEADLINE) {
        net_timer_stop(timer);
        return;
    }
    net_wheel_set(&loop->wheel, timer, deadline_ns);
    if (timer->slot_ns < loop->wheel_armed_ns)
        wheel_arm(loop, timer->slot_ns);
}

void net_timer_start(struct net_loop *loop, struct net_timer *timer, int64_t timeout_ms,
                     net_timer_fn *fire)
{
    PC_ASSERT(timeout_ms >= 0 && timeout_ms < INT64_MAX / CLOCK_NS_PER_MS / 2);
    timer->fire = fire;
    net_loop_timer_set(loop, timer, net_loop_now_ns(loop) + timeout_ms * CLOCK_NS_PER_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

static void doors_close(struct net_loop *loop)
{
    for (size_t i = 0; i < loop->server->listener_count; i++)
        net_door_close(&loop->doors[i]);
}

void net_loop_one_gone(struct net_loop *loop)
{
    if (loop->stopping && loop->conns == NULL && loop->links == NULL)
        uv_stop(&loop->uv);
}

/* The next one is kept from going while this one may call the application. */
static void each_conn(struct net_loop *loop, void (*visit)(struct net_conn *conn))
{
    struct net_conn *conn = loop->conns;

    if (conn != NULL)
        conn->refs++;
    while (conn != NULL) {
        struct net_conn *next = conn->next;

        if (next != NULL)
            next->refs++;
        net_conn_enter(conn);
        visit(conn);
        net_conn_leave(conn);
        net_conn_unref(conn);
        conn = next;
    }
}

void net_loop_cut(struct net_loop *loop)
{
    each_conn(loop, net_conn_fail);
}

/* What a client has sent before it could know is still answered. */
static void drain_conn(struct net_conn *conn)
{
    if (conn->state == NET_CONN_OPEN)
        net_conn_input(conn);
    if (!conn->failed && conn->state == NET_CONN_OPEN)
        conn->codec->drain(conn);
    else if (conn->state <= NET_CONN_HANDSHAKE)
        net_conn_fail(conn);
}

void net_loop_drain(struct net_loop *loop)
{
    loop->draining = true;
    doors_close(loop);
    each_conn(loop, drain_conn);
}

static void on_stop(struct net_task *task)
{
    struct net_loop *loop = PC_CONTAINER(task, struct net_loop, stop);

    loop->draining = loop->stopping = true;
    doors_close(loop);
    net_loop_cut(loop);
    net_link_cut(loop); /* those that no answer needs, now that the streams are gone */
    net_loop_one_gone(loop);
}

static void *loop_main(void *context)
{
    struct net_loop *loop = context;
    const struct net_server_options *options = &loop->server->options;

    current = loop;
    if (options->loop_started != NULL)
        options->loop_started(loop, options->loop_context);
    for (size_t i = 0; i < loop->server->listener_count; i++)
        net_door_open(&loop->doors[i]);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (options->loop_stopped != NULL)
        options->loop_stopped(loop, options->loop_context);
    current = NULL;
    return NULL;
}

enum err net_loop_start(struct net_loop *loop)
{
    char name[16];

    if (pthread_create(&loop->thread, NULL, loop_main, loop) != 0)
        return ERR_NO_MEMORY;
    (void)snprintf(name, sizeof(name), "net %zu", loop->index);
    (void)pthread_setname_np(loop->thread, name);
    loop->running = true;
    return ERR_OK;
}

void net_loop_join(struct net_loop *loop)
{
    if (!loop->running)
        return;
    PC_ASSERT(pthread_join(loop->thread, NULL) == 0);
    loop->running = false;
}

static bool handles_init(struct net_loop *loop)
{
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0)
        return false;
    PC_ASSERT(uv_timer_init(&loop->uv, &loop->wheel_timer) == 0);
    PC_ASSERT(uv_prepare_init(&loop->uv, &loop->prepare) == 0);
    PC_ASSERT(uv_prepare_start(&loop->prepare, on_prepare) == 0);
    loop->wake.data = loop->wheel_timer.data = loop->prepare.data = loop;
    return true;
}

static void buffers_free(struct net_loop *loop)
{
    for (size_t i = 0; i < NET_BUFFER_COUNT; i++) {
        alloc_wipe(loop->buffers[i], loop->dirty[i]);
        alloc_free(loop->buffers[i]);
    }
    net_outbox_wipe(&loop->outbox);
    net_outbox_free(&loop->outbox);
}

static bool parts_init(struct net_loop *loop)
{
    static const size_t BYTES[NET_BUFFER_COUNT] = {
        [NET_BUFFER_READ] = NET_READ_BYTES,       [NET_BUFFER_LINK] = NET_READ_BYTES,
        [NET_BUFFER_SCRATCH] = NET_SCRATCH_BYTES, [NET_BUFFER_BLOCK] = NET_BLOCK_BYTES,
        [NET_BUFFER_PLAIN] = NET_PLAIN_BYTES,
    };

    for (size_t i = 0; i < NET_BUFFER_COUNT; i++) {
        loop->buffers[i] = alloc_raw(BYTES[i]);
        if (loop->buffers[i] == NULL)
            return false;
    }
    if (net_outbox_init(&loop->outbox) != ERR_OK || uv_loop_init(&loop->uv) != 0)
        return false;
    if (handles_init(loop))
        return true;
    PC_ASSERT(uv_loop_close(&loop->uv) == 0);
    return false;
}

enum err net_loop_new(struct net_server *server, size_t index, struct net_loop **ret_loop)
{
    struct net_loop *loop = alloc_zero(sizeof(*loop));

    if (loop == NULL)
        return ERR_NO_MEMORY;
    loop->server = server;
    loop->index = index;
    loop->stop.run = on_stop;
    loop->wheel_armed_ns = NET_NO_DEADLINE;
    loop->date_s = -1;
    for (size_t i = 0; i < NET_LISTENERS_MAX; i++)
        loop->doors[i].fd = -1;
    random_batch_init(&loop->random, server->options.random);
    net_wheel_init(&loop->wheel, clock_monotonic_ns(server->options.clock));
    if (!parts_init(loop)) {
        buffers_free(loop);
        alloc_free(loop);
        return ERR_NO_MEMORY;
    }
    *ret_loop = loop;
    return ERR_OK;
}

static void handle_close(uv_handle_t *handle, void *context)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void net_loop_free(struct net_loop *loop)
{
    if (loop == NULL)
        return;
    PC_ASSERT(!loop->running && loop->conns == NULL && loop->links == NULL);
    loop->draining = loop->stopping = true;
    doors_close(loop);
    on_wake(&loop->wake); /* what was posted too late */
    uv_walk(&loop->uv, handle_close, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    PC_ASSERT(uv_loop_close(&loop->uv) == 0);
    while (loop->spare != NULL) {
        struct net_stream *stream = loop->spare;

        loop->spare = stream->next_spare;
        arena_wipe(&stream->arena);
        alloc_free(stream);
    }
    buffers_free(loop);
    net_http2_spares_free(&loop->http2_spares);
    alloc_free(loop);
}
