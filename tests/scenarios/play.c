/* SPDX-License-Identifier: MIT
 * The steps of a scenario. Lines before "=" put a request together, "=" sends it and reads the
 * reply, lines after it judge the reply. */
#include "play.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json/json.h"
#include "store/store.h"

enum { END_MS = 10000, LOOK_MS = 20, COUNT_MS = 50 };

bool play_fail(struct play *play, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(play->why, sizeof(play->why), format, args);
    va_end(args);
    return false;
}

struct span play_word(struct span *rest)
{
    size_t end = span_find(*rest, ' ');
    struct span word = span_slice(*rest, 0, end);

    *rest = span_trim(span_slice(*rest, end, rest->len));
    return word;
}

void play_begin(struct play *play, struct world *world, struct play_kept *kept)
{
    *play = (struct play){.world = world, .kept = kept, .repeat = 1};
    arena_init(&play->arena, NULL, 0, PLAY_ARENA_BYTES_MAX);
}

static void hang_up(struct play *play, size_t at)
{
    link_close(play->links[at]);
    play->links[at] = NULL;
    play->used_up[at] = false;
}

void play_end(struct play *play)
{
    for (size_t i = 0; i < PC_COUNT(play->links); i++)
        hang_up(play, i);
    store_fail_at(0);
    arena_reset(&play->arena);
}

/* ---- what is kept -----------------------------------------------------------------------------
 */

/* A newer value under the same name takes the place of the older. */
static bool keep(struct play *play, struct span name, struct span value)
{
    struct play_kept *kept = play->kept;
    size_t at = 0;

    while (at < kept->count && !span_equal(kept->list[at].name, name))
        at++;
    if (at == PLAY_KEPT_MAX)
        return play_fail(play, "too much is kept");
    if (at == kept->count)
        kept->list[kept->count++].name = arena_copy(kept->arena, name);
    kept->list[at].value = arena_copy(kept->arena, value);
    return true;
}

static bool name_char(char c)
{
    char lower = span_lower_char(c);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool kept_find(const struct play *play, struct span name, struct span *ret_value)
{
    for (size_t i = 0; i < play->kept->count; i++) {
        if (span_equal(play->kept->list[i].name, name)) {
            *ret_value = play->kept->list[i].value;
            return true;
        }
    }
    return false;
}

/* "$name" becomes what is kept under it; other dollars stay. */
static struct span expand(struct play *play, struct span line)
{
    struct sbuf out = sbuf_on(&play->arena, PLAY_TEXT_BYTES_MAX);
    struct span value;

    for (size_t i = 0; i < line.len; i++) {
        size_t end = i + 1;

        while (line.ptr[i] == '$' && end < line.len && name_char(line.ptr[end]))
            end++;
        if (end > i + 1 && kept_find(play, span_slice(line, i + 1, end), &value)) {
            sbuf_add(&out, value);
            i = end - 1;
        } else {
            sbuf_add_char(&out, line.ptr[i]);
        }
    }
    return sbuf_span(&out);
}

/* ---- sending and reading ----------------------------------------------------------------------
 */

static struct link *connected(struct play *play)
{
    if (play->used_up[play->at])
        hang_up(play, play->at);
    if (play->links[play->at] == NULL)
        play->links[play->at] = link_open(
            play->world, (enum config_service)(play->at / PLAY_LINKS_MAX), play->certificate);
    return play->links[play->at];
}

static bool send_pending(struct play *play)
{
    struct link *link = connected(play);

    if (link == NULL)
        return play_fail(play, "no connection");
    if (play->request.pending)
        link_send(link, compose_bytes(play));
    return true;
}

static void read_json(struct play *play)
{
    const struct json_value *root;
    size_t count;
    struct span type = link_header(&play->reply, SPAN_OF("Content-Type"), &count);

    play->json = NULL;
    if (play_holds(type, SPAN_OF("json")) &&
        json_read(arena_copy(&play->arena, play->reply.body), &play->arena, &root, NULL) == ERR_OK)
        play->json = root;
}

static bool read_reply(struct play *play)
{
    const char *why = link_read(play->links[play->at], play->request.head, &play->reply);
    size_t count;

    if (why != NULL)
        return play_fail(play, "%s", why);
    read_json(play);
    if (span_is_nocase(link_header(&play->reply, SPAN_OF("Connection"), &count), "close"))
        play->used_up[play->at] = true;
    return judge_always(play);
}

static void pause_ms(uint64_t ms)
{
    const struct timespec wait = {.tv_sec = (time_t)(ms / 1000),
                                  .tv_nsec = (long)(ms % 1000) * 1000000};

    (void)nanosleep(&wait, NULL);
}

/* "404", or several: "400|505". */
static bool status_is_one_of(int status, struct span wanted)
{
    struct span one;
    uint64_t number;

    while (span_cut(&wanted, '|', &one)) {
        if (span_to_u64(one, &number) && (int)number == status)
            return true;
    }
    return false;
}

static bool ask_once(struct play *play, struct span status)
{
    if (!send_pending(play) || !read_reply(play))
        return false;
    return status_is_one_of(play->reply.status, status) ||
           play_fail(play, "the answer is %d: %.*s", play->reply.status,
                     play->reply.body.len > 400 ? 400 : (int)play->reply.body.len,
                     play->reply.body.ptr ? play->reply.body.ptr : "");
}

static bool expect_end(struct play *play)
{
    if (!send_pending(play))
        return false;
    play->request.pending = false;
    if (!link_ends(play->links[play->at], END_MS))
        return play_fail(play, "the connection stays open, or there is an answer");
    hang_up(play, play->at);
    return true;
}

/* "within": how long, and how many looks at least. On a machine that stands still for seconds the
 * clock alone would say that time is up before the program, or this one, had any of it. */
struct wait {
    int64_t start_ns, until_ns;
    uint64_t looks, looks_min;
};

static struct wait wait_begin(const struct play *play, int pause_ms)
{
    int64_t now_ns = clock_monotonic_ns(&clock_system);

    return (struct wait){.start_ns = now_ns,
                         .until_ns = now_ns + (int64_t)play->within_ms * CLOCK_NS_PER_MS,
                         .looks_min = play->within_ms / (uint64_t)pause_ms / 2};
}

static bool wait_more(struct wait *wait)
{
    return wait->looks++ < wait->looks_min || clock_monotonic_ns(&clock_system) < wait->until_ns;
}

static bool wait_over(const struct wait *wait, struct play *play)
{
    int64_t waited_ns = clock_monotonic_ns(&clock_system) - wait->start_ns;
    size_t len = strlen(play->why);

    if (play->within_ms > 0)
        (void)snprintf(play->why + len, sizeof(play->why) - len, " (%llu looks in %lld ms)",
                       (unsigned long long)wait->looks, (long long)(waited_ns / CLOCK_NS_PER_MS));
    return false;
}

/* "= 200", "= 400|505", "= 200 head" (a reply to a raw HEAD), "= end" (closed, no answer) */
static bool step_answer(struct play *play, struct span rest)
{
    struct span word = play_word(&rest);
    struct wait wait = wait_begin(play, LOOK_MS);
    bool good = false;

    if (span_is(word, "end"))
        return expect_end(play);
    play->request.head |= span_is(rest, "head");
    for (uint64_t i = 0; i < play->repeat; i++) {
        good = ask_once(play, word);
        while (!good && play->within_ms > 0 && wait_more(&wait)) {
            pause_ms(LOOK_MS);
            good = ask_once(play, word);
        }
        if (!good)
            return wait_over(&wait, play);
    }
    play->request.pending = false;
    play->request.head = false;
    play->repeat = 1;
    play->within_ms = 0;
    return true;
}

static bool step_send(struct play *play, struct span rest)
{
    (void)rest;
    if (!send_pending(play))
        return false;
    play->request.pending = false;
    return true;
}

static bool step_closed(struct play *play, struct span rest)
{
    (void)rest;
    if (play->links[play->at] == NULL || !link_ends(play->links[play->at], END_MS))
        return play_fail(play, "the connection stays open");
    hang_up(play, play->at);
    return true;
}

static bool step_open(struct play *play, struct span rest)
{
    (void)rest;
    return (!play->used_up[play->at] && play->links[play->at] != NULL &&
            !link_ends(play->links[play->at], 30)) ||
           play_fail(play, "the connection is closed");
}

/* ---- the world --------------------------------------------------------------------------------
 */

/* "on 2", "on auth", "on auth 2": a connection of the gateway, or of the service with that name. */
static bool step_on(struct play *play, struct span rest)
{
    size_t service = 0;
    uint64_t at = 0;

    for (size_t i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        struct span tail = rest;

        if (!span_is(play_word(&tail), config_service_name((enum config_service)i)))
            continue;
        service = i;
        rest = tail.len > 0 ? tail : SPAN_OF("0");
    }
    if (!span_to_u64(rest, &at) || at >= PLAY_LINKS_MAX)
        return play_fail(play, "a service has connections 0 to %d", PLAY_LINKS_MAX - 1);
    play->at = service * PLAY_LINKS_MAX + at;
    return true;
}

/* "certificate risk-engine", "certificate none": what new connections show, over TLS. */
static bool step_certificate(struct play *play, struct span rest)
{
    if (rest.len >= sizeof(play->certificate))
        return play_fail(play, "the name is too long");
    for (size_t i = 0; i < PC_COUNT(play->links); i++)
        hang_up(play, i);
    memset(play->certificate, 0, sizeof(play->certificate));
    if (!span_is(rest, "none"))
        memcpy(play->certificate, rest.ptr, rest.len);
    return true;
}

static bool step_hangup(struct play *play, struct span rest)
{
    (void)rest;
    hang_up(play, play->at);
    return true;
}

static bool step_wait(struct play *play, struct span rest)
{
    uint64_t ms;

    if (!span_to_u64(rest, &ms))
        return play_fail(play, "how many milliseconds?");
    pause_ms(ms);
    return true;
}

/* "clock 30": half a minute passes; "clock at 2208988800": it is that second since 1970. */
static bool step_clock(struct play *play, struct span rest)
{
    bool at = span_starts(rest, SPAN_OF("at "));
    int64_t s;

    if (!span_to_i64(at ? span_slice(rest, 3, rest.len) : rest, &s))
        return play_fail(play, "how many seconds?");
    if (at)
        s -= clock_realtime_s(&play->world->clock);
    for (size_t i = 0; i < PC_COUNT(play->links); i++)
        hang_up(play, i); /* idle too long, by that clock */
    world_clock_move(play->world, s * CLOCK_NS_PER_S);
    return s >= 0 || play_fail(play, "time does not go back");
}

static bool step_store(struct play *play, struct span rest)
{
    (void)play;
    store_fail_at(span_is(rest, "fails") ? STORE_FAIL_ALWAYS : 0);
    return true;
}

static bool step_sql(struct play *play, struct span rest)
{
    return world_sql(play->world, rest) || play_fail(play, "the statement fails");
}

/* "count 3 SELECT count(*) ...": what the store says, at once or within the given time. */
static bool step_count(struct play *play, struct span rest)
{
    struct wait wait = wait_begin(play, COUNT_MS);
    int64_t wanted;
    int64_t found;

    if (!span_to_i64(play_word(&rest), &wanted))
        return play_fail(play, "how many?");
    for (found = world_number(play->world, rest); found != wanted;) {
        if (play->within_ms == 0 || !wait_more(&wait))
            return play_fail(play, "there are %lld", (long long)found);
        pause_ms(COUNT_MS);
        found = world_number(play->world, rest);
    }
    play->within_ms = 0;
    return true;
}

static bool step_repeat(struct play *play, struct span rest)
{
    return span_to_u64(rest, &play->repeat) || play_fail(play, "how many times?");
}

static bool step_within(struct play *play, struct span rest)
{
    return span_to_u64(rest, &play->within_ms) || play_fail(play, "how many milliseconds?");
}

static bool step_keep(struct play *play, struct span rest)
{
    struct span name = play_word(&rest);
    struct span value;

    return judge_find(play, rest, &value) && keep(play, name, value);
}

static bool step_let(struct play *play, struct span rest)
{
    struct span name = play_word(&rest);

    return keep(play, name, rest);
}

/* "only adopt tcp sqlite": each word that names a way or a store must allow this run. */
static bool step_only(struct play *play, struct span rest)
{
    static const char *const ways[] = {
        [WORLD_ADOPT] = "adopt", [WORLD_TCP] = "tcp", [WORLD_TLS] = "tls"};
    const char *store = play->world->postgres ? "postgres" : "sqlite";
    bool way_named = false;
    bool way_good = false;
    bool store_good = true;

    while (rest.len > 0) {
        struct span word = play_word(&rest);

        if (span_is(word, "sqlite") || span_is(word, "postgres")) {
            store_good = span_is(word, store);
            continue;
        }
        way_named = true;
        way_good = way_good || span_is(word, ways[play->world->way]);
    }
    play->skipped = !store_good || (way_named && !way_good);
    return true;
}

/* ---- the language -----------------------------------------------------------------------------
 */

static const struct {
    const char *word;
    step_fn *run;
} steps[] = {
    {">", compose_header_line},
    {"body", compose_body},
    {"filler", compose_filler},
    {"chunked", compose_chunked},
    {"raw", compose_raw},
    {"raw-times", compose_raw_times},
    {"=", step_answer},
    {"send", step_send},
    {"closed", step_closed},
    {"open", step_open},
    {"on", step_on},
    {"hangup", step_hangup},
    {"wait", step_wait},
    {"clock", step_clock},
    {"store", step_store},
    {"sql", step_sql},
    {"count", step_count},
    {"repeat", step_repeat},
    {"within", step_within},
    {"keep", step_keep},
    {"let", step_let},
    {"only", step_only},
    {"header", judge_header},
    {"json", judge_json},
    {"text", judge_text},
    {"no", judge_absent},
    {"form", compose_form},
    {"basic", compose_basic},
    {"certificate", step_certificate},
};

static bool is_method(struct span word)
{
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < 'A' || word.ptr[i] > 'Z')
            return false;
    }
    return word.len > 0;
}

bool play_line(struct play *play, struct span line)
{
    struct span rest = expand(play, span_trim(line));
    struct span word = play_word(&rest);

    if (word.len == 0 || word.ptr[0] == '#' || play->skipped)
        return true;
    if (is_method(word))
        return compose_request(play, word, rest);
    for (size_t i = 0; i < PC_COUNT(steps); i++) {
        if (span_is(word, steps[i].word))
            return steps[i].run(play, rest);
    }
    return play_fail(play, "\"%.*s\" is no step", SPAN_ARG(word));
}
