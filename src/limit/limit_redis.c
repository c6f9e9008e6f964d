/* SPDX-License-Identifier: MIT
 * The connection of one loop; limit_redis.h draws its states. Answers come in the order of the
 * commands, so what waits is a queue, and the first in it has the nearest deadline. */
#include "limit/limit_redis.h"

#include <string.h>

#include "base/clock.h"

enum { PAUSE_MS_MIN = 50, PAUSE_MS_MAX = 2000, WHOLE_BYTES = 2 * LIMIT_LINE_BYTES };

static void on_timer(struct net_timer *timer);

/* ---- the queue ---------------------------------------------------------------------------------
 */

static void push(struct limit_redis *redis, struct limit_command *command)
{
    command->next = NULL;
    *redis->last = command;
    redis->last = &command->next;
    redis->waiting++;
}

static struct limit_command *pop(struct limit_redis *redis)
{
    struct limit_command *command = redis->first;

    if (command == NULL)
        return NULL;
    redis->first = command->next;
    if (redis->first == NULL)
        redis->last = &redis->first;
    redis->waiting--;
    return command;
}

/* While it is not ready, the deadline is that of getting ready. */
static void set_deadline(struct limit_redis *redis)
{
    if (redis->state == LIMIT_REDIS_READY)
        net_link_deadline(redis->link,
                          redis->first != NULL ? redis->first->deadline_ns : NET_LINK_NO_DEADLINE);
}

/* ---- going away --------------------------------------------------------------------------------
 */

static void hang_up(struct limit_redis *redis)
{
    if (redis->link != NULL)
        net_link_close(redis->link);
    redis->link = NULL;
    limit_reader_free(redis->reader);
    redis->reader = NULL;
}

/* Those on their way are told last: each may ask for something new. */
static void tell_all(struct limit_redis *redis)
{
    struct limit_command *command = redis->first;

    redis->first = NULL;
    redis->last = &redis->first;
    redis->waiting = 0;
    while (command != NULL) {
        struct limit_command *next = command->next;

        command->done(command, NULL);
        command = next;
    }
}

void limit_redis_fail(struct limit_redis *redis, struct span why)
{
    if (redis->state == LIMIT_REDIS_STOPPED || redis->state == LIMIT_REDIS_PAUSING)
        return;
    redis->state = LIMIT_REDIS_PAUSING;
    hang_up(redis);
    net_timer_start(redis->loop, &redis->timer, redis->pause_ms, on_timer);
    redis->pause_ms = redis->pause_ms * 2 < PAUSE_MS_MAX ? redis->pause_ms * 2 : PAUSE_MS_MAX;
    redis->down(redis, why);
    tell_all(redis);
}

/* ---- commands ----------------------------------------------------------------------------------
 */

static bool send_bytes(struct limit_redis *redis, const struct sbuf *line)
{
    struct span bytes = sbuf_span(line);

    if (bytes.len > net_link_room(redis->link))
        return false;
    net_link_send(redis->link, &bytes, 1);
    return true;
}

static bool send_script(struct limit_redis *redis, struct limit_command *command)
{
    char text[WHOLE_BYTES];
    struct sbuf line = sbuf_over(text, sizeof(text));
    bool fits = command->whole
                    ? limit_script_call_whole(&line, command->parts, command->count)
                    : limit_script_call(&line, redis->sha, command->parts, command->count);

    if (!fits || !send_bytes(redis, &line))
        return false;
    command->deadline_ns =
        net_loop_now_ns(redis->loop) + redis->options->timeout_ms * CLOCK_NS_PER_MS;
    push(redis, command);
    set_deadline(redis);
    return true;
}

enum err limit_redis_ask(struct limit_redis *redis, struct limit_command *command)
{
    PC_ASSERT(command->count > 0 && command->count <= LIMIT_ASKS_MAX);
    if (redis->state != LIMIT_REDIS_READY)
        return ERR_AGAIN;
    command->whole = false;
    if (redis->waiting >= redis->options->waiting_max || !send_script(redis, command))
        return ERR_BUSY;
    return ERR_OK;
}

/* A number that a bucket of this size cannot have said is a lie, whoever tells it. */
static bool is_sound(const struct limit_command *command, const struct limit_reply *reply)
{
    if (reply->kind != LIMIT_REPLY_NUMBERS || reply->count != 1 + 2 * command->count)
        return false;
    if (reply->numbers[0] != 0 && reply->numbers[0] != 1)
        return false;
    for (size_t i = 0; i < command->count; i++) {
        const struct limit_part *part = &command->parts[i];
        int64_t debt = reply->numbers[1 + 2 * i];
        int64_t got = reply->numbers[2 + 2 * i];
        bool more = part->want > 0 ? got < 0 || got > part->want : got > 0 || got < part->want;

        if (debt < 0 || debt > part->room_us || more)
            return false;
        if (reply->numbers[0] == 1 ? got < part->least : got != 0)
            return false;
        if (got > 0 && debt + got * part->step_us > part->room_us)
            return false;
    }
    return true;
}

/* ---- getting ready -----------------------------------------------------------------------------
 */

static void on_probed(struct limit_command *command, const struct limit_reply *reply)
{
    struct limit_redis *redis = PC_CONTAINER(command, struct limit_redis, probe);

    if (reply == NULL)
        return;
    redis->state = LIMIT_REDIS_READY;
    redis->pause_ms = PAUSE_MS_MIN;
    set_deadline(redis);
    redis->up(redis);
}

/* One microsecond of a bucket that nobody has. */
static void probe(struct limit_redis *redis)
{
    redis->state = LIMIT_REDIS_PROBE;
    redis->probe_part = (struct limit_part){.burst = 1, .want = 1, .step_us = 1, .room_us = 1};
    redis->probe = (struct limit_command){
        .done = on_probed, .parts = &redis->probe_part, .count = 1, .whole = false};
    if (!send_script(redis, &redis->probe))
        limit_redis_fail(redis, SPAN_OF("send"));
}

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((text[i] < '0' || text[i] > '9') && (text[i] < 'a' || text[i] > 'f'))
            return false;
    }
    return true;
}

/* Whatever was answered before, the last answer is the script's name. */
static void on_hello(struct limit_redis *redis, const struct limit_reply *reply)
{
    redis->hellos_left--;
    if (reply->kind != LIMIT_REPLY_TEXT) {
        limit_redis_fail(redis, reply->kind == LIMIT_REPLY_ERROR ? limit_reply_word(reply)
                                                                 : SPAN_OF("answer"));
        return;
    }
    if (redis->hellos_left > 0)
        return;
    if (reply->text_bytes != LIMIT_SHA_BYTES || !is_hex(reply->text, LIMIT_SHA_BYTES)) {
        limit_redis_fail(redis, SPAN_OF("answer"));
        return;
    }
    memcpy(redis->sha, reply->text, LIMIT_SHA_BYTES);
    probe(redis);
}

static bool add_hello(struct limit_redis *redis, struct sbuf *out, const struct span *words,
                      size_t count)
{
    redis->hellos_left++;
    return limit_command(out, words, count);
}

static bool say_hello(struct limit_redis *redis)
{
    const struct limit_redis_options *options = redis->options;
    const struct span load[] = {SPAN_OF("SCRIPT"), SPAN_OF("LOAD"), limit_script()};
    char text[WHOLE_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    bool fits = true;

    redis->hellos_left = 0;
    if (options->password.len > 0) {
        const struct span auth[] = {SPAN_OF("AUTH"), options->user, options->password};
        const struct span plain[] = {SPAN_OF("AUTH"), options->password};

        fits = options->user.len > 0 ? add_hello(redis, &out, auth, PC_COUNT(auth))
                                     : add_hello(redis, &out, plain, PC_COUNT(plain));
    }
    if (options->database != 0) {
        char digits[12];
        struct sbuf database = sbuf_over(digits, sizeof(digits));
        struct span choose[] = {SPAN_OF("SELECT"), {0}};

        sbuf_add_u64(&database, options->database);
        choose[1] = sbuf_span(&database);
        fits = add_hello(redis, &out, choose, PC_COUNT(choose)) && fits;
    }
    fits = add_hello(redis, &out, load, PC_COUNT(load)) && fits;
    return fits && send_bytes(redis, &out);
}

/* ---- what the connection tells -----------------------------------------------------------------
 */

static void on_open(struct net_link *link)
{
    struct limit_redis *redis = net_link_context(link);
    int64_t now_ns = net_loop_now_ns(redis->loop);

    redis->state = LIMIT_REDIS_HELLO;
    net_link_deadline(link, now_ns + redis->options->connect_ms * CLOCK_NS_PER_MS);
    if (!say_hello(redis))
        limit_redis_fail(redis, SPAN_OF("send"));
}

/* An error is of the server, not of the command: all that is asked may count on the same. But a
 * server that was started again does not know the script any more. */
static void on_reply(struct limit_redis *redis, const struct limit_reply *reply)
{
    struct limit_command *command;

    if (redis->state == LIMIT_REDIS_HELLO) {
        on_hello(redis, reply);
        return;
    }
    command = pop(redis);
    if (command == NULL) {
        limit_redis_fail(redis, SPAN_OF("answer"));
        return;
    }
    set_deadline(redis);
    if (reply->kind == LIMIT_REPLY_ERROR && !command->whole &&
        span_is(limit_reply_word(reply), "NOSCRIPT")) {
        command->whole = true;
        if (send_script(redis, command))
            return;
    }
    if (is_sound(command, reply)) {
        command->done(command, reply);
        return;
    }
    limit_redis_fail(redis, reply->kind == LIMIT_REPLY_ERROR ? limit_reply_word(reply)
                                                             : SPAN_OF("answer"));
    command->done(command, NULL);
}

static void on_input(struct net_link *link, struct span bytes)
{
    struct limit_redis *redis = net_link_context(link);
    struct limit_reply reply;
    enum err err = limit_reader_feed(redis->reader, bytes);

    while (err == ERR_OK) {
        err = limit_reader_next(redis->reader, &reply);
        if (err == ERR_OK)
            on_reply(redis, &reply);
        if (redis->link != link)
            return;
    }
    if (err != ERR_AGAIN)
        limit_redis_fail(redis, SPAN_OF("answer"));
}

static void on_late(struct net_link *link)
{
    limit_redis_fail(net_link_context(link), SPAN_OF("timeout"));
}

static void on_lost(struct net_link *link, enum err err)
{
    struct limit_redis *redis = net_link_context(link);

    redis->link = NULL;
    if (err == ERR_DRAINING)
        limit_redis_stop(redis);
    else
        limit_redis_fail(redis,
                         err == ERR_REQUEST_TIMEOUT ? SPAN_OF("timeout") : SPAN_OF("connection"));
}

static const struct net_link_app redis_app = {
    .open = on_open, .input = on_input, .late = on_late, .lost = on_lost};

/* ---- beginning and end -------------------------------------------------------------------------
 */

static enum err dial(struct limit_redis *redis)
{
    struct net_link_options options = {.app = &redis_app,
                                       .context = redis,
                                       .connect_ms = redis->options->connect_ms,
                                       .tls = redis->options->tls};
    enum err err = limit_reader_new(&redis->reader);

    redis->where(redis, &options.address, &options.address_bytes);
    return err ? err : net_link_open(redis->loop, &options, &redis->link);
}

static void connect_now(struct limit_redis *redis)
{
    enum err err;

    redis->state = LIMIT_REDIS_CONNECTING;
    err = dial(redis);
    if (err == ERR_DRAINING)
        limit_redis_stop(redis);
    else if (err)
        limit_redis_fail(redis, SPAN_OF("connection"));
}

static void on_timer(struct net_timer *timer)
{
    connect_now(PC_CONTAINER(timer, struct limit_redis, timer));
}

void limit_redis_start(struct limit_redis *redis, const struct limit_redis_options *options,
                       struct net_loop *loop)
{
    redis->options = options;
    redis->loop = loop;
    redis->first = NULL;
    redis->last = &redis->first;
    redis->pause_ms = PAUSE_MS_MIN;
    connect_now(redis);
}

void limit_redis_stop(struct limit_redis *redis)
{
    if (redis->state == LIMIT_REDIS_STOPPED)
        return;
    redis->state = LIMIT_REDIS_STOPPED;
    net_timer_stop(&redis->timer);
    hang_up(redis);
    tell_all(redis);
}
