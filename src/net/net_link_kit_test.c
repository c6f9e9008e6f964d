/* SPDX-License-Identifier: MIT
 * See net_link_kit.h. */
#include "net/net_link_kit.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"

enum { WAIT_S = 10, METRICS_BYTES = 64 * 1024 };

static struct net_server *server;
static struct metrics *metrics;
static struct clock_fake still;
static int files_before;
static struct sockaddr_storage aim;
static socklen_t aim_bytes;
static char path[64]; /* of the last unix listener */

/* --- server ----------------------------------------------------------------------------------- */

int net_kit_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    assert_int_equal(closedir(folder), 0);
    return count;
}

int net_kit_warm(void **state)
{
    const struct net_server_options options = {.loops = 1};

    assert_int_equal(net_server_new(&options, &server), ERR_OK);
    net_kit_stop_server();
    return 0;
}

static int start(const struct clock *clock)
{
    struct net_server_options options = {.loops = 1, .clock = clock};

    files_before = net_kit_files();
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    options.metrics = metrics;
    assert_int_equal(net_server_new(&options, &server), ERR_OK);
    assert_int_equal(net_server_start(server), ERR_OK);
    return 0;
}

int net_kit_start(void **state)
{
    return start(NULL);
}

int net_kit_start_still(void **state)
{
    clock_fake_init(&still, CLOCK_NS_PER_S);
    return start(&still.clock);
}

void net_kit_stop_server(void)
{
    net_server_free(server);
    server = NULL;
}

int net_kit_stop(void **state)
{
    net_kit_stop_server();
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_open "), 0);
    metrics_free(metrics);
    if (path[0] != '\0')
        (void)unlink(path);
    path[0] = '\0';
    assert_int_equal(net_kit_files(), files_before);
    return 0;
}

struct net_server *net_kit_server(void)
{
    return server;
}

struct net_loop *net_kit_loop(void)
{
    return net_server_loop(server, 0);
}

int64_t net_kit_metric(const char *line)
{
    static char text[METRICS_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text) - 1);
    const char *at;
    uint64_t value = 0;
    size_t digits = 0;

    metric_render(metrics, &out);
    text[out.len] = '\0';
    at = strstr(text, line);
    while (at != NULL && at > text && at[-1] != '\n')
        at = strstr(at + 1, line);
    PC_ASSERT(at != NULL);
    at += strlen(line);
    while (at[digits] >= '0' && at[digits] <= '9')
        digits++;
    assert_true(span_to_u64(span_make(at, digits), &value));
    return (int64_t)value;
}

/* --- running on the loop ---------------------------------------------------------------------- */

struct order {
    struct net_kit_probe *probe;
    net_kit_act_fn *act;
};

static void do_order(struct net_loop *loop, void *context)
{
    struct order *order = context;

    order->act(order->probe);
}

static void turn(struct net_loop *loop, void *context)
{
}

void net_kit_run(struct net_kit_probe *probe, net_kit_act_fn *act)
{
    struct order order = {.probe = probe, .act = act};

    net_server_visit(server, do_order, &order);
    net_server_visit(server, turn, NULL); /* what it sent has left */
}

void net_kit_wait(struct net_kit_probe *probe, enum net_kit_call call, int count)
{
    net_harness_wait(&probe->calls[call], count);
}

void net_kit_wait_input(struct net_kit_probe *probe, int64_t bytes)
{
    int64_t end = net_harness_ms() + WAIT_S * 1000;

    while (probe->input < bytes) {
        assert_true(net_harness_ms() < end);
        (void)usleep(500);
    }
    assert_int_equal(probe->input, bytes);
}

static struct net_timer witness;
static _Atomic int witnessed;

static void on_witness(struct net_timer *timer)
{
    witnessed = 1;
}

static void start_witness(struct net_loop *loop, void *context)
{
    const int64_t *ms = context;

    witnessed = 0;
    net_timer_start(loop, &witness, *ms, on_witness);
}

void net_kit_move(int64_t ms)
{
    clock_fake_move(&still, ms * CLOCK_NS_PER_MS);
}

static void nothing(struct net_kit_probe *probe)
{
}

void net_kit_pass(int64_t ms)
{
    int64_t witness_ms = 1;

    PC_ASSERT(ms >= NET_KIT_PASS_MS_MIN);
    net_server_visit(server, start_witness, &witness_ms);
    net_kit_move(ms);
    net_harness_wait(&witnessed, 1);
    net_kit_run(NULL, nothing); /* the wheel has gone all the way */
}

static void count_polled(uv_handle_t *handle, void *context)
{
    int *count = context;

    if (handle->type == UV_POLL && uv_is_active(handle))
        (*count)++;
}

static void count_all_polled(struct net_loop *loop, void *context)
{
    uv_walk(&loop->uv, count_polled, context);
}

int net_kit_polled(void)
{
    int count = 0;

    net_server_visit(server, count_all_polled, &count);
    return count;
}

/* --- a probe ---------------------------------------------------------------------------------- */

static void called(struct net_link *link, enum net_kit_call call)
{
    struct net_kit_probe *probe = net_link_context(link);

    PC_ASSERT(net_loop_is_current(net_kit_loop()));
    PC_ASSERT(!probe->quiet && probe->link == link && probe->calls[NET_KIT_LOST] == 0);
    if (call == NET_KIT_LOST) {
        probe->error = net_link_errno(link);
        probe->input_at_lost = probe->input;
        PC_ASSERT(!net_link_is_open(link));
    }
    if (probe->act[call] != NULL)
        probe->act[call](probe);
    if (call == NET_KIT_LOST)
        probe->link = NULL;
    probe->calls[call]++;
}

static void on_open(struct net_link *link)
{
    PC_ASSERT(net_link_is_open(link) && net_link_room(link) == NET_OUTPUT_BYTES_MAX);
    called(link, NET_KIT_OPEN);
}

static void on_input(struct net_link *link, struct span bytes)
{
    struct net_kit_probe *probe = net_link_context(link);

    PC_ASSERT(bytes.len > 0 && bytes.ptr != net_kit_loop()->buffers[NET_BUFFER_READ]);
    for (size_t i = 0; i < bytes.len; i++)
        PC_ASSERT(bytes.ptr[i] == net_kit_byte(probe->input + (int64_t)i));
    probe->input += (int64_t)bytes.len;
    called(link, NET_KIT_INPUT);
}

static void on_room(struct net_link *link)
{
    PC_ASSERT(net_link_room(link) >= NET_OUTPUT_BYTES_MAX / 2);
    called(link, NET_KIT_ROOM);
}

static void on_late(struct net_link *link)
{
    called(link, NET_KIT_LATE);
}

static bool on_ended(struct net_link *link)
{
    struct net_kit_probe *probe = net_link_context(link);
    bool goes_on = probe->goes_on;

    called(link, NET_KIT_ENDED);
    return goes_on;
}

static void on_lost(struct net_link *link, enum err err)
{
    struct net_kit_probe *probe = net_link_context(link);

    probe->err = err;
    called(link, NET_KIT_LOST);
}

static const struct net_link_app probe_app = {.open = on_open,
                                              .input = on_input,
                                              .room = on_room,
                                              .late = on_late,
                                              .ended = on_ended,
                                              .lost = on_lost};

void net_kit_open(struct net_kit_probe *probe)
{
    const struct net_link_options options = {.address = aim,
                                             .address_bytes = aim_bytes,
                                             .app = &probe_app,
                                             .context = probe,
                                             .connect_ms = probe->connect_ms};

    PC_ASSERT(probe->link == NULL);
    probe->quiet = true;
    probe->opened = net_link_open(net_kit_loop(), &options, &probe->link);
    probe->quiet = false;
    if (probe->opened == ERR_OK)
        PC_ASSERT(!net_link_is_open(probe->link) && net_link_room(probe->link) == 0 &&
                  net_link_loop(probe->link) == net_kit_loop());
}

void net_kit_close(struct net_kit_probe *probe)
{
    if (probe->link == NULL)
        return;
    probe->quiet = true;
    net_link_close(probe->link);
    if (probe->calls[NET_KIT_LOST] == 0)
        probe->link = NULL; /* whatever calls now is wrong */
    probe->quiet = false;
}

void net_kit_shut(struct net_kit_probe *probe)
{
    probe->quiet = true;
    net_link_shut(probe->link);
    probe->quiet = false;
}

void net_kit_pause(struct net_kit_probe *probe)
{
    net_link_pause(probe->link);
}

void net_kit_resume(struct net_kit_probe *probe)
{
    probe->quiet = true;
    if (probe->link != NULL)
        net_link_resume(probe->link);
    probe->quiet = false;
}

void net_kit_send(struct net_kit_probe *probe)
{
    const struct span parts[] = {SPAN("pi"), SPAN(""), SPAN("ng")};

    if (probe->link == NULL || (probe->calls[NET_KIT_OPEN] == 0 && !net_link_is_open(probe->link)))
        return; /* only after open */
    probe->quiet = true;
    net_link_send(probe->link, parts, PC_COUNT(parts));
    probe->quiet = false;
}

void net_kit_pump(struct net_kit_probe *probe)
{
    char bytes[NET_KIT_SEND_BYTES];

    while (probe->link != NULL && probe->sent < NET_KIT_MANY_BYTES) {
        size_t room = net_link_room(probe->link);
        size_t count = room < sizeof(bytes) ? room : sizeof(bytes);
        struct span parts[2];
        bool waits;

        if (probe->sent + (int64_t)count > NET_KIT_MANY_BYTES)
            count = (size_t)(NET_KIT_MANY_BYTES - probe->sent);
        if (count == 0)
            return;
        for (size_t i = 0; i < count; i++)
            bytes[i] = net_kit_byte(probe->sent + (int64_t)i);
        parts[0] = span_make(bytes, count / 3);
        parts[1] = span_make(bytes + count / 3, count - count / 3);
        waits = !net_link_is_drained(probe->link);
        probe->quiet = true;
        net_link_send(probe->link, parts, PC_COUNT(parts));
        probe->quiet = false;
        probe->sent += (int64_t)count;
        PC_ASSERT(!waits || !net_link_is_open(probe->link) ||
                  net_link_room(probe->link) == room - count);
        room = NET_OUTPUT_BYTES_MAX - net_link_room(probe->link);
        if (net_link_is_open(probe->link) && probe->waiting < (int64_t)room)
            probe->waiting = (int64_t)room;
    }
}

/* --- the upstream ----------------------------------------------------------------------------- */

char net_kit_byte(int64_t place)
{
    return (char)('!' + (place + place / 251) % 90);
}

static void set_patience(int fd)
{
    const struct timeval wait = {.tv_sec = WAIT_S};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)), 0);
}

static socklen_t address_of(int family, struct sockaddr_storage *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)address;
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)address;

    memset(address, 0, sizeof(*address));
    address->ss_family = (sa_family_t)family;
    if (family == AF_INET) {
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return sizeof(*in);
    }
    if (family == AF_INET6) {
        in6->sin6_addr = in6addr_loopback;
        return sizeof(*in6);
    }
    (void)snprintf(path, sizeof(path), "/tmp/portcullis-link-%d", (int)getpid());
    (void)unlink(path);
    memcpy(un->sun_path, path, strlen(path));
    return (socklen_t)sizeof(*un);
}

void net_kit_aim(int fd)
{
    aim_bytes = sizeof(aim);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&aim, &aim_bytes), 0);
}

const struct sockaddr_storage *net_kit_aimed(void)
{
    return &aim;
}

int net_kit_listen(int family, int backlog)
{
    struct sockaddr_storage address;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t bytes = address_of(family, &address);

    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&address, bytes) != 0) {
        assert_int_equal(close(fd), 0);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    set_patience(fd);
    net_kit_aim(fd);
    return fd;
}

int net_kit_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    set_patience(fd);
    return fd;
}

void net_kit_reset(int fd)
{
    const struct linger now = {.l_onoff = 1};

    PC_ASSERT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
    PC_ASSERT(close(fd) == 0);
}

void net_kit_say(int fd, int64_t from, int64_t bytes)
{
    char buffer[NET_KIT_SEND_BYTES];

    while (bytes > 0) {
        size_t count = bytes < (int64_t)sizeof(buffer) ? (size_t)bytes : sizeof(buffer);

        for (size_t i = 0; i < count; i++)
            buffer[i] = net_kit_byte(from + (int64_t)i);
        net_client_send(fd, span_make(buffer, count));
        from += (int64_t)count;
        bytes -= (int64_t)count;
    }
}

void net_kit_hear(int fd, int64_t from, int64_t bytes)
{
    char buffer[NET_KIT_SEND_BYTES];

    while (bytes > 0) {
        size_t most = bytes < (int64_t)sizeof(buffer) ? (size_t)bytes : sizeof(buffer);
        ssize_t got = recv(fd, buffer, most, 0);

        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal(buffer[i], net_kit_byte(from + i));
        from += got;
        bytes -= got;
    }
}

int net_kit_connected(struct net_kit_probe *probe, int listener)
{
    int fd;

    net_kit_run(probe, net_kit_open);
    assert_int_equal(probe->opened, ERR_OK);
    fd = net_kit_accept(listener);
    net_kit_wait(probe, NET_KIT_OPEN, 1);
    return fd;
}

uint16_t net_kit_port(void)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&aim;

    return ntohs(in->sin_port);
}

int net_kit_own_end(uint16_t port)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in there = {0};
        socklen_t bytes = sizeof(there);

        if (getpeername(fd, (struct sockaddr *)&there, &bytes) == 0 &&
            there.sin_family == AF_INET && there.sin_port == htons(port))
            return fd;
    }
    return -1;
}

void net_kit_make_small(int own)
{
    int small = 1;

    assert_int_equal(setsockopt(own, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
}
