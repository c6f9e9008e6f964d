/* SPDX-License-Identifier: MIT
 * Sends requests at a given rate, whether or not the answers come, and tells how long each took
 * from the moment it was *due*: a server that stalls cannot hide it by slowing the sender down.
 *
 *   paced HOST PORT PATH RATE SECONDS CONNECTIONS [HEADER]...
 *
 * With PACED_BODY in the environment it is a POST of that body. "%n" in path, headers or body is
 * the request's number as four hexadecimal digits, so that each can be somebody else's.
 *
 * Arrivals are a Poisson stream from a fixed seed. A request that finds every connection busy waits
 * with its clock running. Prints one JSON object; times are in microseconds. One thread, no sleep:
 * give it a processor of its own. With PACED_SLEEPS in the environment it sleeps between requests,
 * as exactly as Linux lets everybody (50 us), so that it leaves most of a shared processor to
 * others: to wake for each request by itself took half of it. */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1024,
    WAITING_MAX = 1 << 20,
    REQUEST_BYTES_MAX = 8192,
    REPLY_BYTES_MAX = 65536,
    NUMBERS_MAX = 8,
    NUMBER_DIGITS = 4,
    /* Log-linear: 64 steps in every power of two, so an error of at most 1.6 %. */
    STEPS = 64,
    STEP_BITS = 6,
    BUCKETS = 40 * STEPS,
};

struct connection {
    int fd;
    int64_t due_ns; /* of the request under way; 0: idle */
    size_t have;    /* bytes of the reply so far */
    char reply[REPLY_BYTES_MAX];
};

static struct connection connections[CONNECTIONS_MAX];
static int64_t waiting[WAITING_MAX]; /* due times, a ring */
static uint64_t waiting_first, waiting_end;
static struct sockaddr_in server;
static int poll;
static int idle[CONNECTIONS_MAX];
static int idle_count, connection_count;
static char request[REQUEST_BYTES_MAX];
static size_t request_bytes;
static size_t numbers[NUMBERS_MAX]; /* where the request's number stands */
static size_t number_count;
static uint64_t histogram[BUCKETS];
static uint64_t answered, refused, sent;
static int64_t slowest_ns;
static bool sleeps;

static int64_t now_ns(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "paced: %s: %s\n", what, strerror(errno));
    exit(1);
}

static size_t bucket_of(int64_t ns)
{
    uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
    unsigned power = 0;
    size_t bucket;

    while ((value >> power) >= 2 * STEPS)
        power++;
    bucket = (size_t)power * STEPS + (size_t)(value >> power);
    return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_us(size_t bucket)
{
    size_t power = bucket / STEPS > 0 ? bucket / STEPS - 1 : 0;
    uint64_t base = bucket - power * STEPS;
    uint64_t middle = (base << power) + (((uint64_t)1 << power) >> 1);

    return (double)middle / 1000.0;
}

static double quantile_us(double share)
{
    uint64_t rank = (uint64_t)ceil(share * (double)answered);
    uint64_t seen = 0;

    for (size_t i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen >= rank)
            return bucket_us(i);
    }
    return 0;
}

static void connection_open(struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&server, sizeof(server)) != 0)
        fail("connect");
    if (setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
        fail("setsockopt");
    if (epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event) != 0)
        fail("epoll_ctl");
}

static void request_number(uint64_t number)
{
    for (size_t i = 0; i < number_count; i++) {
        uint64_t rest = number;

        for (size_t digit = NUMBER_DIGITS; digit-- > 0; rest /= 16)
            request[numbers[i] + digit] = "0123456789abcdef"[rest % 16];
    }
}

static void request_send(struct connection *c, int64_t due_ns)
{
    request_number(sent);
    c->due_ns = due_ns;
    c->have = 0;
    sent++;
    if (send(c->fd, request, request_bytes, MSG_NOSIGNAL) != (ssize_t)request_bytes)
        fail("send");
}

/* The whole length of the reply in c->reply, or 0 while its head is not complete. */
static size_t reply_bytes(const struct connection *c)
{
    const char *end = memmem(c->reply, c->have, "\r\n\r\n", 4);
    const char *length;

    if (end == NULL)
        return 0;
    length = strcasestr(c->reply, "content-length:");
    if (length == NULL || length > end)
        return (size_t)(end - c->reply) + 4;
    return (size_t)(end - c->reply) + 4 + strtoul(length + 15, NULL, 10);
}

static void reply_done(struct connection *c)
{
    int64_t took = now_ns() - c->due_ns;

    if (memcmp(c->reply, "HTTP/1.1 2", 10) != 0)
        refused++;
    answered++;
    histogram[bucket_of(took)]++;
    if (took > slowest_ns)
        slowest_ns = took;
    c->due_ns = 0;
    if (waiting_first < waiting_end)
        request_send(c, waiting[waiting_first++ % WAITING_MAX]);
    else
        idle[idle_count++] = (int)(c - connections);
}

static void reply_read(struct connection *c)
{
    ssize_t got = recv(c->fd, c->reply + c->have, sizeof(c->reply) - 1 - c->have, MSG_DONTWAIT);
    size_t bytes;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 && c->due_ns == 0) { /* it waited too long; that is the server's right */
        close(c->fd);
        connection_open(c);
        return;
    }
    if (got <= 0)
        fail("the server closed a connection that waits for an answer");
    c->have += (size_t)got;
    c->reply[c->have] = 0;
    bytes = reply_bytes(c);
    if (bytes > 0 && c->have >= bytes)
        reply_done(c);
}

static double random_unit(void)
{
    static uint64_t state = 0x9E3779B97F4A7C15u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static void request_due(int64_t due_ns)
{
    if (idle_count > 0)
        request_send(&connections[idle[--idle_count]], due_ns);
    else if (waiting_end - waiting_first < WAITING_MAX)
        waiting[waiting_end++ % WAITING_MAX] = due_ns;
    else
        fail("more requests wait than can be kept");
}

static int wait_for_answers(struct epoll_event *events, int count, int64_t until_ns)
{
    int64_t left = until_ns - now_ns();
    struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};

    if (!sleeps || left <= 0)
        return epoll_wait(poll, events, count, 0);
    return epoll_pwait2(poll, events, count, &timeout, NULL);
}

static void run(double rate, double seconds)
{
    struct epoll_event events[64];
    int64_t start = now_ns();
    int64_t end = start + (int64_t)(seconds * 1e9);
    double next = (double)start;

    while (now_ns() < end || idle_count < connection_count) {
        int64_t now = now_ns();
        int count;

        if (now > end + 10 * INT64_C(1000000000))
            break; /* whoever has not answered by now never will */
        while (now < end && next <= (double)now) {
            request_due((int64_t)next);
            next += -log(random_unit()) * 1e9 / rate;
        }
        count = wait_for_answers(events, 64, now < end ? (int64_t)next : now + 1000000);
        for (int i = 0; i < count; i++)
            reply_read(events[i].data.ptr);
    }
}

static void request_add(const char *text)
{
    for (; *text != 0; text++) {
        bool number = text[0] == '%' && text[1] == 'n';

        if (request_bytes + NUMBER_DIGITS > sizeof(request) ||
            (number && number_count == NUMBERS_MAX))
            fail("the request is too long");
        if (!number) {
            request[request_bytes++] = *text;
            continue;
        }
        numbers[number_count++] = request_bytes;
        request_bytes += NUMBER_DIGITS;
        text++;
    }
}

/* Of the body as it is sent. */
static size_t body_bytes(const char *body)
{
    size_t bytes = strlen(body);

    for (const char *at = body; (at = strstr(at, "%n")) != NULL; at += 2)
        bytes += NUMBER_DIGITS - 2;
    return bytes;
}

static void request_build(int count, char **arguments)
{
    const char *body = getenv("PACED_BODY");
    char line[128];

    request_add(body ? "POST " : "GET ");
    request_add(arguments[3]);
    snprintf(line, sizeof(line), " HTTP/1.1\r\nHost: %s:%s\r\n", arguments[1], arguments[2]);
    request_add(line);
    for (int i = 7; i < count; i++) {
        request_add(arguments[i]);
        request_add("\r\n");
    }
    if (body != NULL) {
        snprintf(line, sizeof(line), "Content-Length: %zu\r\n", body_bytes(body));
        request_add(line);
    }
    request_add("\r\n");
    if (body != NULL)
        request_add(body);
}

int main(int count, char **arguments)
{
    if (count < 7) {
        fprintf(stderr, "paced HOST PORT PATH RATE SECONDS CONNECTIONS [HEADER]...\n");
        return 2;
    }
    request_build(count, arguments);
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)strtoul(arguments[2], NULL, 10));
    connection_count = (int)strtol(arguments[6], NULL, 10);
    if (inet_pton(AF_INET, arguments[1], &server.sin_addr) != 1 || connection_count < 1 ||
        connection_count > CONNECTIONS_MAX)
        fail("host or connections");
    sleeps = getenv("PACED_SLEEPS") != NULL;
    poll = epoll_create1(0);
    for (int i = 0; i < connection_count; i++) {
        connection_open(&connections[i]);
        idle[idle_count++] = i;
    }
    run(strtod(arguments[4], NULL), strtod(arguments[5], NULL));
    printf("{\"sent\": %llu, \"answered\": %llu, \"refused\": %llu, \"p50_us\": %.1f, "
           "\"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)sent, (unsigned long long)answered, (unsigned long long)refused,
           quantile_us(0.5), quantile_us(0.9), quantile_us(0.99), quantile_us(0.999),
           (double)slowest_ns / 1000.0);
    return 0;
}
