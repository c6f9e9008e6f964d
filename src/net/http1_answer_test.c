/* SPDX-License-Identifier: MIT
 * The answer reader without sockets: what an upstream's bytes mean must not depend on how they are
 * cut, and nothing that could be read in two ways may be read at all. */
#include "net/http1_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/sbuf.h"

enum { TRACE_BYTES = 16384, ARENA_BYTES = 256 * 1024 };

static const struct net_answer_limits limits = {
    .head_bytes_max = 512, .headers_max = 8, .interims_max = 2};

struct sample {
    struct span input;
    const char *expected;
    bool is_head;
    bool upgrade;
};

/* The reader with everything it said so far, as text. */
struct reading {
    struct net_answer answer;
    struct arena arena;
    struct sbuf trace;
    char text[TRACE_BYTES];
    size_t taken; /* bytes of input */
    bool in_body;
    bool ended;
    bool bad;
};

static void reading_start(struct reading *r, const struct sample *sample)
{
    struct net_answer_limits copied = limits;

    arena_init(&r->arena, NULL, 0, ARENA_BYTES);
    r->trace = sbuf_over(r->text, sizeof(r->text));
    r->in_body = r->ended = r->bad = false;
    r->taken = 0;
    net_answer_start(&r->answer, &r->arena, &copied, sample->is_head, sample->upgrade);
    copied = (struct net_answer_limits){0};
}

static void trace_headers(struct sbuf *out, const struct net_header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sbuf_add_format(out, "|%.*s=%.*s", SPAN_ARG(headers[i].name), SPAN_ARG(headers[i].value));
    sbuf_add_lit(out, ";");
}

static void trace_head(struct sbuf *out, const struct net_answer_head *head)
{
    sbuf_add_format(out, "%d 1.%d %s", head->status, head->minor_version,
                    head->has_body ? "" : "no ");
    if (head->content_length == NET_LENGTH_CHUNKED)
        sbuf_add_lit(out, "chunked");
    else if (head->content_length == NET_LENGTH_CLOSE)
        sbuf_add_lit(out, "close");
    else
        sbuf_add_format(out, "%llu", (unsigned long long)head->content_length);
    if (head->upgraded)
        sbuf_add_lit(out, " upgraded");
    trace_headers(out, head->headers, head->header_count);
}

static void trace_body(struct reading *r, struct span piece)
{
    assert_true(piece.len > 0);
    if (!r->in_body)
        sbuf_add_lit(&r->trace, "body ");
    r->in_body = true;
    sbuf_add(&r->trace, piece);
}

static void trace_event(struct reading *r, enum net_answer_event event, const char *why)
{
    const struct net_answer *answer = &r->answer;

    if (r->in_body && event != NET_ANSWER_MORE) {
        sbuf_add_lit(&r->trace, ";");
        r->in_body = false;
    }
    if (event == NET_ANSWER_INTERIM)
        sbuf_add_lit(&r->trace, "interim ");
    if (event == NET_ANSWER_INTERIM || event == NET_ANSWER_HEAD)
        trace_head(&r->trace, &answer->head);
    if (event == NET_ANSWER_END) {
        sbuf_add_lit(&r->trace, "end");
        trace_headers(&r->trace, answer->trailers, answer->trailer_count);
        r->ended = true;
    }
    if (event == NET_ANSWER_BAD) {
        sbuf_add_format(&r->trace, "BAD %s;", why);
        r->bad = true;
    }
}

/* One event into the trace. False when there is none left in `input`. */
static bool reading_step(struct reading *r, struct span *input)
{
    struct span before = *input;
    struct span piece;
    const char *why = NULL;
    enum net_answer_event event = net_answer_next(&r->answer, input, &piece, &why);

    assert_true(input->len <= before.len);
    assert_true(input->len == 0 || input->ptr == before.ptr + (before.len - input->len));
    r->taken += before.len - input->len;
    if (event == NET_ANSWER_BODY) { /* in the input, and nothing behind it was taken */
        assert_true(piece.ptr >= before.ptr && piece.ptr + piece.len <= before.ptr + before.len);
        trace_body(r, piece);
    } else {
        trace_event(r, event, why);
    }
    return event != NET_ANSWER_BAD && event != NET_ANSWER_MORE && event != NET_ANSWER_END;
}

/* Behind its end a reading only says so again, and takes nothing. */
static void expect_over(struct reading *r, struct span input)
{
    struct span before = input;
    struct span piece;
    const char *why = NULL;

    assert_int_equal(net_answer_next(&r->answer, &input, &piece, &why),
                     r->bad ? NET_ANSWER_BAD : NET_ANSWER_END);
    assert_true(input.ptr == before.ptr && input.len == before.len);
    assert_true(!r->bad || why != NULL);
}

static void reading_feed(struct reading *r, struct span input)
{
    /* A copy of exact size, so that a sanitizer sees a byte too many being read. */
    struct arena arena;
    struct span exact;

    arena_init(&arena, NULL, 0, input.len);
    exact = arena_copy(&arena, input);
    while (!r->ended && !r->bad && reading_step(r, &exact))
        continue;
    if (r->ended || r->bad)
        expect_over(r, exact);
    arena_reset(&arena);
}

/* No more input: what becomes of the connection, or what its close means. */
static void reading_finish(struct reading *r)
{
    const char *why = NULL;
    enum net_answer_event event;

    if (r->bad)
        assert_false(net_answer_keeps(&r->answer));
    else if (r->ended)
        sbuf_add_text(&r->trace, net_answer_keeps(&r->answer) ? "keep" : "drop");
    else {
        assert_false(net_answer_keeps(&r->answer));
        event = net_answer_close(&r->answer, &why);
        trace_event(r, event, why);
        assert_false(net_answer_keeps(&r->answer));
        sbuf_add_lit(&r->trace, "closed");
    }
}

static void expect_trace(struct reading *r, const struct sample *sample, const char *how, size_t at)
{
    reading_finish(r);
    if (!span_is(sbuf_span(&r->trace), sample->expected))
        fail_msg("%s at %zu: %.*s\n got  %.*s\n want %s", how, at, SPAN_ARG(sample->input),
                 SPAN_ARG(sbuf_span(&r->trace)), sample->expected);
    assert_int_equal(net_answer_begun(&r->answer), sample->input.len > 0);
    arena_reset(&r->arena);
}

/* Whole, in two at every place, and byte by byte. */
static void expect_sample(const struct sample *sample)
{
    static struct reading r;
    struct span input = sample->input;
    size_t taken = 0;

    for (size_t at = 0; at < input.len; at++) {
        reading_start(&r, sample);
        reading_feed(&r, span_slice(input, 0, at));
        reading_feed(&r, span_slice(input, at, input.len));
        if (r.ended && taken == 0)
            taken = r.taken;
        assert_int_equal(taken, r.ended ? r.taken : 0);
        expect_trace(&r, sample, "cut", at);
    }
    reading_start(&r, sample);
    for (size_t at = 0; at < input.len; at++)
        reading_feed(&r, span_slice(input, at, at + 1));
    assert_int_equal(taken, r.ended ? r.taken : 0);
    expect_trace(&r, sample, "byte by byte", 0);
}

static void expect_reads(struct span input, const char *expected)
{
    struct sample sample = {.input = input, .expected = expected};

    expect_sample(&sample);
}

#define S   "HTTP/1.1 200 OK\r\n"
#define C   "Transfer-Encoding: chunked\r\n"
#define SC  S C "\r\n"
#define HSC "200 1.1 chunked|transfer-encoding=chunked;"

/* What servers send is understood. */
static void reads_what_is_good(void **state)
{
    static const struct sample samples[] = {
        {SPAN(S "Content-Length: 5\r\n\r\nhello"),
         "200 1.1 5|content-length=5;body hello;end;keep"},
        {SPAN(S "CONTENT-LENGTH:5 \r\nX-Empty:\r\nX-Blank: \t v w \t\r\n\r\nhello"),
         "200 1.1 5|content-length=5|x-empty=|x-blank=v w;body hello;end;keep"},
        {SPAN(S "Content-Length: 0\r\n\r\n"), "200 1.1 no 0|content-length=0;end;keep"},
        {SPAN("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
         "200 1.1 no 0|content-length=0;end;keep"},
        {SPAN("HTTP/1.1 599 \xc3\xa9 \t!\r\nContent-Length: 0\r\nX: \xc3\xa9\r\n\r\n"),
         "599 1.1 no 0|content-length=0|x=\xc3\xa9;end;keep"},
        {SPAN(SC "5\r\nhello\r\n6;a=\"b c\"\r\n world\r\n0\r\n\r\n"),
         HSC "body hello world;end;keep"},
        {SPAN(SC "0005\r\nhello\r\n000;a\r\n\r\n"), HSC "body hello;end;keep"},
        {SPAN(SC "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
         HSC "body 01234567890123456789;end;keep"},
        {SPAN(SC "0\r\n\r\n"), HSC "end;keep"},
        {SPAN(S "TRANSFER-ENCODING:\tCHUNKED \r\n\r\n0\r\n\r\n"),
         "200 1.1 chunked|transfer-encoding=CHUNKED;end;keep"},
        {SPAN(S "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n"),
         "200 1.1 no 0|set-cookie=a=b|set-cookie=c=d|content-length=0;end;keep"},
        /* offers of other protocols, without a 101 */
        {SPAN(S "Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx"),
         "200 1.1 1|upgrade=h2c|connection=upgrade|content-length=1;body x;end;keep"},
        {SPAN(S "Upgrade: h2c\r\nConnection: upgrade\r\n" C "\r\n1\r\nx\r\n0\r\n\r\n"),
         "200 1.1 chunked|upgrade=h2c|connection=upgrade|transfer-encoding=chunked;"
         "body x;end;keep"},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
}

/* What is kept, and what is not. */
static void keeps_what_is_framed(void **state)
{
    static const struct sample samples[] = {
        {SPAN(S "Content-Length: 1\r\nConnection: close\r\n\r\nx"),
         "200 1.1 1|content-length=1|connection=close;body x;end;drop"},
        {SPAN(S "Content-Length: 1\r\nConnection: Keep-Alive, CLOSE\r\n\r\nx"),
         "200 1.1 1|content-length=1|connection=Keep-Alive, CLOSE;body x;end;drop"},
        {SPAN(S "Content-Length: 1\r\nConnection: close\r\nConnection: keep-alive\r\n\r\nx"),
         "200 1.1 1|content-length=1|connection=close|connection=keep-alive;body x;end;drop"},
        {SPAN(SC "0\r\n\r\nx"), HSC "end;drop"},
        {SPAN("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"),
         "200 1.0 1|content-length=1;body x;end;drop"},
        {SPAN("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx"),
         "200 1.0 1|content-length=1|connection=keep-alive;body x;end;keep"},
        /* behind the end */
        {SPAN(S "Content-Length: 1\r\n\r\nxy"), "200 1.1 1|content-length=1;body x;end;drop"},
        {SPAN(S "Content-Length: 1\r\n\r\nx\r\n"), "200 1.1 1|content-length=1;body x;end;drop"},
        {SPAN(S "Content-Length: 0\r\n\r\n" S "Content-Length: 0\r\n\r\n"),
         "200 1.1 no 0|content-length=0;end;drop"},
        {SPAN("HTTP/1.1 204 No\r\n\r\n" S "Content-Length: 0\r\n\r\n"), "204 1.1 no 0;end;drop"},
        /* up to the close */
        {SPAN(S "\r\nhello"), "200 1.1 close;body hello;end;closed"},
        {SPAN(S "\r\n"), "200 1.1 close;end;closed"},
        {SPAN("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n" S "\r\n"),
         "200 1.0 close|connection=keep-alive;body " S "\r\n;end;closed"},
        {SPAN("HTTP/1.1 205 Reset\r\n\r\n"), "205 1.1 close;end;closed"},
        /* cut short */
        {SPAN(""), "BAD closed without an answer;closed"},
        {SPAN("HTT"), "BAD closed inside its head;closed"},
        {SPAN(S "Content-Length: 5\r\n"), "BAD closed inside its head;closed"},
        {SPAN("HTTP/1.1 100 Go\r\n\r\n"), "interim 100 1.1 no 0;BAD closed inside its head;closed"},
        {SPAN(S "Content-Length: 5\r\n\r\nhell"),
         "200 1.1 5|content-length=5;body hell;BAD closed inside its body;closed"},
        {SPAN(SC "5\r\nhello\r\n"), HSC "body hello;BAD closed inside its body;closed"},
        {SPAN(SC "5\r\nhello\r\n0\r\n"), HSC "body hello;BAD closed inside its body;closed"},
        {SPAN(SC "0\r\nA: b\r\n\r"), HSC "BAD closed inside its body;closed"},
    };
    static struct reading r;

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
    reading_start(&r, &samples[14]); /* the empty one has no place to be cut at */
    reading_feed(&r, SPAN_OF(""));
    assert_false(net_answer_begun(&r.answer));
    expect_trace(&r, &(struct sample){SPAN(""), "BAD closed without an answer;closed"}, "none", 0);
}

/* A close that comes behind the end takes the connection, not the answer. */
static void closes_after_the_end(void **state)
{
    static const struct sample sample = {SPAN(S "Content-Length: 0\r\n\r\n"), ""};
    static struct reading r;
    const char *why = NULL;

    reading_start(&r, &sample);
    reading_feed(&r, sample.input);
    assert_true(net_answer_keeps(&r.answer));
    assert_int_equal(net_answer_close(&r.answer, &why), NET_ANSWER_END);
    assert_false(net_answer_keeps(&r.answer));
    arena_reset(&r.arena);
    reading_start(&r, &sample);
    reading_feed(&r, SPAN_OF("x"));
    assert_int_equal(net_answer_close(&r.answer, &why), NET_ANSWER_BAD);
    assert_string_equal(why, "not HTTP/1");
    arena_reset(&r.arena);
}

/* HEAD, 204, 304 and 1xx have no body, whatever their headers say. */
static void reads_what_has_no_body(void **state)
{
    static const struct sample samples[] = {
        {SPAN(S "Content-Length: 5\r\n\r\n"), "200 1.1 no 5|content-length=5;end;keep", true, 0},
        {SPAN(SC), "200 1.1 no chunked|transfer-encoding=chunked;end;keep", true, 0},
        {SPAN(S "\r\n"), "200 1.1 no close;end;keep", true, 0},
        {SPAN("HTTP/1.0 200 OK\r\n\r\n"), "200 1.0 no close;end;drop", true, 0},
        {SPAN(S "Content-Length: 5\r\n\r\nhello"), "200 1.1 no 5|content-length=5;end;drop", true,
         0},
        {SPAN("HTTP/1.1 304 Not\r\n\r\n"), "304 1.1 no close;end;keep", 0, 0},
        {SPAN("HTTP/1.1 304 Not\r\nContent-Length: 5\r\n\r\n"),
         "304 1.1 no 5|content-length=5;end;keep", 0, 0},
        {SPAN("HTTP/1.1 304 Not\r\n" C "\r\n"),
         "304 1.1 no chunked|transfer-encoding=chunked;end;keep", 0, 0},
        {SPAN("HTTP/1.1 204 No\r\n\r\n"), "204 1.1 no 0;end;keep", 0, 0},
        {SPAN("HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n"),
         "204 1.1 no 0|content-length=0;end;keep", 0, 0},
        /* Who sends these may send a body as well. */
        {SPAN("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"),
         "204 1.1 no 0|content-length=5;end;drop", 0, 0},
        {SPAN("HTTP/1.1 204 No\r\n" C "\r\n"), "204 1.1 no 0|transfer-encoding=chunked;end;drop", 0,
         0},
        {SPAN("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"),
         "204 1.1 no 0|content-length=5;end;drop", true, 0},
        {SPAN("HTTP/1.1 204 No\r\nContent-Length: x\r\n\r\n"), "BAD a malformed Content-Length;", 0,
         0},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
}

#define NONE "204 1.1 no 0;end;keep"

static void reads_interim_answers(void **state)
{
    static const struct sample samples[] = {
        {SPAN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n"), "interim 100 1.1 no 0;" NONE,
         0, 0},
        {SPAN("HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 199 \r\n\r\n"
              "HTTP/1.1 204 No\r\n\r\n"),
         "interim 103 1.1 no 0|link=</a>;interim 199 1.1 no 0;" NONE, 0, 0},
        {SPAN("HTTP/1.1 102 \r\n\r\nHTTP/1.1 102 \r\n\r\nHTTP/1.1 102 \r\n\r\n"),
         "interim 102 1.1 no 0;interim 102 1.1 no 0;BAD too many interim answers;", 0, 0},
        {SPAN("HTTP/1.1 100 \r\nContent-Length: 0\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
         "interim 100 1.1 no 0|content-length=0;" NONE, 0, 0},
        /* A body of an interim answer is none, and the connection is not trusted any more. */
        {SPAN("HTTP/1.1 100 \r\nContent-Length: 5\r\n\r\nhello"),
         "interim 100 1.1 no 0|content-length=5;BAD not HTTP/1;", 0, 0},
        {SPAN("HTTP/1.1 100 \r\nContent-Length: 19\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
         "interim 100 1.1 no 0|content-length=19;204 1.1 no 0;end;drop", 0, 0},
        {SPAN("HTTP/1.1 103 \r\n" C "\r\nHTTP/1.1 204 No\r\n\r\n"),
         "interim 103 1.1 no 0|transfer-encoding=chunked;204 1.1 no 0;end;drop", 0, 0},
        {SPAN("HTTP/1.1 103 \r\nConnection: close\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
         "interim 103 1.1 no 0|connection=close;204 1.1 no 0;end;drop", 0, 0},
        {SPAN("HTTP/1.1 100 \r\nUpgrade: a\r\nConnection: upgrade\r\n\r\nHTTP/1.1 204 \r\n\r\n"),
         "interim 100 1.1 no 0|upgrade=a|connection=upgrade;" NONE, 0, true},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
}

#define SWITCH   "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
#define SWITCHED "101 1.1 no 0 upgraded|upgrade=websocket|connection=Upgrade;end;drop"

static void switches_only_when_asked(void **state)
{
    static const struct sample samples[] = {
        {SPAN(SWITCH "\r\n"), SWITCHED, 0, true},
        {SPAN(SWITCH "\r\n\x81\x05hello"), SWITCHED, 0, true},
        {SPAN(SWITCH "Content-Length: 0\r\n\r\n"),
         "101 1.1 no 0 upgraded|upgrade=websocket|connection=Upgrade|content-length=0;end;drop", 0,
         true},
        {SPAN("HTTP/1.1 100 \r\n\r\n" SWITCH "\r\nx"), "interim 100 1.1 no 0;" SWITCHED, 0, true},
        {SPAN(SWITCH "\r\n"), "BAD a 101 that nobody asked for;", 0, 0},
        {SPAN("HTTP/1.1 101 Switching\r\nUpgrade: a\r\n\r\n"), "BAD a 101 without Upgrade;", 0,
         true},
        {SPAN("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n"),
         "BAD a 101 without Upgrade;", 0, true},
        {SPAN("HTTP/1.0 101 Switching\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n"),
         "BAD a 101 without Upgrade;", 0, true},
        {SPAN("HTTP/1.1 204 No\r\n\r\n"), NONE, 0, true},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
}

static const struct sample ambiguous[] = {
    /* the length of the body */
    {SPAN(S "Content-Length: 5\r\n" C "\r\n0\r\n\r\n"),
     "BAD Content-Length twice or beside Transfer-Encoding;"},
    {SPAN(S C "Content-Length: 5\r\n\r\n0\r\n\r\n"),
     "BAD Content-Length twice or beside Transfer-Encoding;"},
    {SPAN(S "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
     "BAD Content-Length twice or beside Transfer-Encoding;"},
    {SPAN(S "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
     "BAD Content-Length twice or beside Transfer-Encoding;"},
    {SPAN(S "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
     "BAD Content-Length twice or beside Transfer-Encoding;"},
    {SPAN(S "Content-Length: 5, 5\r\n\r\nhello"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length:\r\n\r\n"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: +5\r\n\r\nhello"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: -5\r\n\r\nhello"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 0x5\r\n\r\nhello"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 5 5\r\n\r\nhello"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 5.0\r\n\r\nhello"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 9223372036854775808\r\n\r\n"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 18446744073709551614\r\n\r\n"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 18446744073709551615\r\n\r\n"), "BAD a malformed Content-Length;"},
    {SPAN(S "Content-Length: 18446744073709551616\r\n\r\n"), "BAD a malformed Content-Length;"},
    {SPAN(S "Transfer-Encoding: gzip, chunked\r\n\r\n"),
     "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: chunked, chunked\r\n\r\n"),
     "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: chunked, identity\r\n\r\n"),
     "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: identity\r\n\r\n"), "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: xchunked\r\n\r\n"), "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: chunked;a=b\r\n\r\n"),
     "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: \"chunked\"\r\n\r\n"),
     "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding:\r\n\r\n"), "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding: ,chunked\r\n\r\n"), "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S C C "\r\n0\r\n\r\n"), "BAD a Transfer-Encoding other than chunked;"},
    {SPAN(S "Transfer-Encoding:\r\n" C "\r\n0\r\n\r\n"),
     "BAD a Transfer-Encoding other than chunked;"},
    {SPAN("HTTP/1.0 200 OK\r\n" C "\r\n0\r\n\r\n"), "BAD Transfer-Encoding in HTTP/1.0;"},
    {SPAN(S "Content-Length : 5\r\n\r\nhello"), "BAD a malformed header;"},
    {SPAN(S "Transfer-Encoding : chunked\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "Transfer-Encoding\t: chunked\r\n\r\n"), "BAD a malformed header;"},
    /* the ends of lines */
    {SPAN("HTTP/1.1 200 OK\nA: b\r\n\r\n"), "BAD a CR or LF that stands alone;"},
    {SPAN(S "A: b\n\r\n"), "BAD a CR or LF that stands alone;"},
    {SPAN(S "A: b\r\n\n"), "BAD a CR or LF that stands alone;"},
    {SPAN(S "A: b\rC: d\r\n\r\n"), "BAD a CR or LF that stands alone;"},
    {SPAN(S "A: b\r\r\n\r\n"), "BAD a CR or LF that stands alone;"},
    {SPAN("HTTP/1.1 200 OK\rA: b\r\n\r\n"), "BAD a CR or LF that stands alone;"},
    {SPAN("HTTP/1.1 200 OK\r\r\n\r\n"), "BAD a CR or LF that stands alone;"},
    {SPAN(S "A: b\r\n c\r\n\r\n"), "BAD a folded line;"},
    {SPAN(S "A: b\r\n\tc\r\n\r\n"), "BAD a folded line;"},
    {SPAN(S " A: b\r\n\r\n"), "BAD a folded line;"},
    /* characters */
    {SPAN(S "A: b\0c\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A: b\x01z\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A: b\x7fz\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A\0: b\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A B: c\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A(B): c\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A\xc3\xa9: b\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "A\t: b\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S ": b\r\n\r\n"), "BAD a malformed header;"},
    {SPAN(S "AB\r\n\r\n"), "BAD a malformed header;"},
    /* status lines */
    {SPAN("\r\n" S "\r\n"), "BAD not HTTP/1;"},
    {SPAN("\n" S "\r\n"), "BAD not HTTP/1;"},
    {SPAN(" " S "\r\n"), "BAD not HTTP/1;"},
    {SPAN("\x15\x03\x01\x00\x02"), "BAD not HTTP/1;"},
    {SPAN("220 mail ready\r\n"), "BAD not HTTP/1;"},
    {SPAN("http/1.1 200 OK\r\n\r\n"), "BAD not HTTP/1;"},
    {SPAN("HTTP/2.0 200 OK\r\n\r\n"), "BAD not HTTP/1;"},
    {SPAN("HTTP/2 200 OK\r\n\r\n"), "BAD not HTTP/1;"},
    {SPAN("HTTP/1\r\n\r\n"), "BAD not HTTP/1;"},
    {SPAN("HTTP/1.\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.2 200 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.10 200 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1  200 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1\t200 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 200\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 200\tOK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 20 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 2000 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 2x0 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 +20 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 -20 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 000 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 099 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 600 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 999 OK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 200 O\0K\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 200 O\x1bK\r\n\r\n"), "BAD a malformed status line;"},
    {SPAN("HTTP/1.1 200 O\x7fK\r\n\r\n"), "BAD a malformed status line;"},
};

/* Anything that two readers could understand differently is refused, also where there is no body.
 */
static void refuses_what_is_ambiguous(void **state)
{
    for (size_t i = 0; i < PC_COUNT(ambiguous); i++) {
        struct sample sample = ambiguous[i];

        expect_sample(&sample);
        sample.is_head = true;
        expect_sample(&sample);
        sample.upgrade = true;
        expect_sample(&sample);
    }
}

static void refuses_bad_chunks(void **state)
{
    static const struct sample samples[] = {
        {SPAN(SC "x\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC ";a\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "-1\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "+1\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "0x1\r\nx\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC " 1\r\nx\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1 \r\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1\rx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1;a\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1;a\rb\r\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1;a=\"b\nc\"\r\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1;a=b\0c\r\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1;a\r\n b\r\nx\r\n0\r\n\r\n"), HSC "body  ;BAD a malformed chunk;"},
        {SPAN(SC "10000000000000000\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "10000000000000001\r\nx\r\n0\r\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "fffffffffffffffff\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "1\r\nxy\r\n0\r\n\r\n"), HSC "body x;BAD a malformed chunk;"},
        {SPAN(SC "1\r\nx\n0\r\n\r\n"), HSC "body x;BAD a malformed chunk;"},
        {SPAN(SC "1\r\nx\r0\r\n\r\n"), HSC "body x;BAD a malformed chunk;"},
        {SPAN(SC "1\r\nx0\r\n\r\n"), HSC "body x;BAD a malformed chunk;"},
        {SPAN(SC "0\n\r\n"), HSC "BAD a malformed chunk;"},
        {SPAN(SC "0\r\r\n\r\n"), HSC "BAD a malformed chunk;"},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
}

static void reads_trailers(void **state)
{
    static const struct sample samples[] = {
        {SPAN(SC "1\r\nx\r\n0\r\nServer-Timing: a\r\nX-Sum:  1 2 \r\nX-E:\r\n\r\n"),
         HSC "body x;end|server-timing=a|x-sum=1 2|x-e=;keep"},
        {SPAN(SC "0\r\nGrpc-Status: 0\r\n\r\n" S), HSC "end|grpc-status=0;drop"},
        /* Each of these would mean something else had it stood in the head. */
        {SPAN(SC "0\r\nContent-Length: 7\r\nTrailer: a\r\nSet-Cookie: a\r\nX: y\r\nHost: a\r\n"
                 "WWW-Authenticate: a\r\nContent-Type: a\r\n\r\n"),
         HSC "end|x=y;keep"},
        {SPAN(SC "0\r\n" C "Connection: close\r\nUpgrade: a\r\nAuthorization: a\r\n"
                 "Location: /\r\nDate: a\r\nVia: a\r\n\r\n"),
         HSC "end;keep"},
        {SPAN(SC "0\r\nIf-Match: a\r\nX-Forwarded-For: a\r\nProxy-Authenticate: a\r\n"
                 "Access-Control-Allow-Origin: *\r\nContent-Security-Policy: a\r\nAgent: a\r\n"
                 "I: a\r\n\r\n"),
         HSC "end|agent=a|i=a;keep"},
        {SPAN(SC "0\r\nContent-Length: 7\r\nContent-Length: x\r\n\r\n"),
         HSC "BAD a malformed trailer;"},
        {SPAN(SC "0\r\nA: b\n\r\n"), HSC "BAD a CR or LF that stands alone;"},
        {SPAN(SC "0\r\n\n"), HSC "BAD a CR or LF that stands alone;"},
        {SPAN(SC "0\r\nA: b\rc\r\n\r\n"), HSC "BAD a CR or LF that stands alone;"},
        {SPAN(SC "0\r\nA: b\r\n c\r\n\r\n"), HSC "BAD a folded line;"},
        {SPAN(SC "0\r\n A: b\r\n\r\n"), HSC "BAD a folded line;"},
        {SPAN(SC "0\r\nA : b\r\n\r\n"), HSC "BAD a malformed trailer;"},
        {SPAN(SC "0\r\n: b\r\n\r\n"), HSC "BAD a malformed trailer;"},
        {SPAN(SC "0\r\nA\r\n\r\n"), HSC "BAD a malformed trailer;"},
        {SPAN(SC "0\r\nA: b\0c\r\n\r\n"), HSC "BAD a malformed trailer;"},
        {SPAN(SC "0\r\nA: b\x7f\r\n\r\n"), HSC "BAD a malformed trailer;"},
        {SPAN(SC "0\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\n\r\n"),
         HSC "end|a=1|a=2|a=3|a=4|a=5|a=6|a=7|a=8;keep"},
        {SPAN(SC "0\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\nA:9\r\n\r\n"),
         HSC "BAD too many headers;"},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_sample(&samples[i]);
}

static struct span repeat(char *buffer, const char *before, char c, size_t times, const char *after)
{
    struct sbuf out = sbuf_over(buffer, TRACE_BYTES);
    struct span text;

    sbuf_add_text(&out, before);
    for (size_t i = 0; i < times; i++)
        sbuf_add_char(&out, c);
    sbuf_add_text(&out, after);
    assert_int_equal(sbuf_finish(&out, &text), ERR_OK);
    return text;
}

/* Every bound holds at its very edge, also for something that never ends its line. */
static void refuses_what_is_too_long(void **state)
{
    static char buffer[TRACE_BYTES];
    size_t room = limits.head_bytes_max - sizeof("HTTP/1.1 204 \r\n\r\n") + 1;

    expect_reads(repeat(buffer, "HTTP/1.1 204 ", 'a', room, "\r\n\r\n"), NONE);
    expect_reads(repeat(buffer, "HTTP/1.1 204 ", 'a', room + 1, "\r\n\r\n"),
                 "BAD too large a head;");
    expect_reads(repeat(buffer, "HTTP/1.1 204 ", 'a', 2000, ""), "BAD too large a head;");
    expect_reads(repeat(buffer, S "A: ", 'a', 2000, "\n"), "BAD too large a head;");
    expect_reads(repeat(buffer, S "A: ", 'a', 500, "\r\n folded\r\n\r\n"),
                 "BAD too large a head;"); /* what stands behind the bound is not looked at */
    expect_reads(repeat(buffer, "HTTP/1.1 103 \r\n\r\nHTTP/1.1 204 ", 'a', room, "\r\n\r\n"),
                 "interim 103 1.1 no 0;" NONE);
    expect_reads(SPAN_OF("HTTP/1.1 204 \r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\n"
                         "A:8\r\n\r\n"),
                 "204 1.1 no 0|a=1|a=2|a=3|a=4|a=5|a=6|a=7|a=8;end;keep");
    expect_reads(SPAN_OF("HTTP/1.1 204 \r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\n"
                         "A:8\r\nA:9\r\n\r\n"),
                 "BAD too many headers;");
    expect_reads(repeat(buffer, SC "1;", 'a', NET_CHUNK_LINE_BYTES_MAX - 4, "\r\nx\r\n0\r\n\r\n"),
                 HSC "body x;end;keep");
    expect_reads(repeat(buffer, SC "1;", 'a', NET_CHUNK_LINE_BYTES_MAX - 3, "\r\nx\r\n0\r\n\r\n"),
                 HSC "BAD a malformed chunk;");
    expect_reads(repeat(buffer, SC "0;", 'a', NET_CHUNK_LINE_BYTES_MAX, "\r\n\r\n"),
                 HSC "BAD a malformed chunk;");
    expect_reads(repeat(buffer, SC "", '0', 300, "1\r\nx\r\n0\r\n\r\n"),
                 HSC "BAD a malformed chunk;");
    expect_reads(repeat(buffer, SC "0\r\nX: ", 'a', 600, "\r\n\r\n"),
                 HSC "BAD too large trailers;");
    expect_reads(repeat(buffer, SC "0\r\nX: ", 'a', 600, ""), HSC "BAD too large trailers;");
}

/* The largest lengths there are: counted, never overflowing. */
static void reads_huge_lengths(void **state)
{
    expect_reads(SPAN_OF(S "Content-Length: 9223372036854775807\r\n\r\nab"),
                 "200 1.1 9223372036854775807|content-length=9223372036854775807;"
                 "body ab;BAD closed inside its body;closed");
    expect_reads(SPAN_OF(SC "ffffffffffffffff\r\nab"),
                 HSC "body ab;BAD closed inside its body;closed");
}

/* An answer in one read: three events, and the body where it was. */
static void takes_no_copy_of_the_body(void **state)
{
    static const struct sample sample = {SPAN(S "Content-Length: 5\r\n\r\nhello"), ""};
    static struct reading r;
    struct span input = sample.input;
    struct span piece = {0};
    const char *why = NULL;

    reading_start(&r, &sample);
    assert_int_equal(net_answer_next(&r.answer, &input, &piece, &why), NET_ANSWER_HEAD);
    assert_int_equal(net_answer_next(&r.answer, &input, &piece, &why), NET_ANSWER_BODY);
    assert_ptr_equal(piece.ptr, sample.input.ptr + sample.input.len - 5);
    assert_int_equal(piece.len, 5);
    assert_false(net_answer_keeps(&r.answer));
    assert_int_equal(net_answer_next(&r.answer, &input, &piece, &why), NET_ANSWER_END);
    assert_true(net_answer_keeps(&r.answer));
    arena_reset(&r.arena);
}

/* Zero is strict: no header, no interim answer. */
static void zero_limits_are_strict(void **state)
{
    static const struct net_answer_limits none = {.head_bytes_max = 64};
    static const struct sample nothing = {SPAN(""), ""};
    static struct reading r;

    for (size_t i = 0; i < 3; i++) {
        static const struct sample samples[] = {
            {SPAN("HTTP/1.1 204 \r\n\r\n"), NONE},
            {SPAN("HTTP/1.1 204 \r\nA: b\r\n\r\n"), "BAD too many headers;"},
            {SPAN("HTTP/1.1 100 \r\n\r\n"), "BAD too many interim answers;"},
        };

        reading_start(&r, &nothing);
        net_answer_start(&r.answer, &r.arena, &none, false, false);
        reading_feed(&r, samples[i].input);
        expect_trace(&r, &samples[i], "zero", i);
    }
}

/* Running out of memory at any point is an answer, not a crash. */
static void survives_without_memory(void **state)
{
    static const struct sample sample = {
        SPAN("HTTP/1.1 103 \r\nA: b\r\n\r\n" S "X: y\r\n" C "\r\n1\r\nx\r\n0\r\nZ: z\r\n\r\n"), ""};
    static struct reading r;
    size_t bad = 0;
    size_t good = 0;

    for (size_t room = 0; room < 1200; room += 4) {
        reading_start(&r, &sample);
        arena_init(&r.arena, NULL, 0, room);
        reading_feed(&r, span_slice(sample.input, 0, 20));
        reading_feed(&r, span_slice(sample.input, 20, sample.input.len));
        if (r.bad)
            assert_true(span_ends(sbuf_span(&r.trace), SPAN_OF("BAD no memory for its headers;")));
        else
            assert_true(span_ends(sbuf_span(&r.trace), SPAN_OF("body x;end|z=z;")));
        bad += r.bad;
        good += r.ended;
        arena_reset(&r.arena);
    }
    assert_true(bad > 50 && good > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_good),
        cmocka_unit_test(keeps_what_is_framed),
        cmocka_unit_test(closes_after_the_end),
        cmocka_unit_test(reads_what_has_no_body),
        cmocka_unit_test(reads_interim_answers),
        cmocka_unit_test(switches_only_when_asked),
        cmocka_unit_test(refuses_what_is_ambiguous),
        cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(reads_trailers),
        cmocka_unit_test(refuses_what_is_too_long),
        cmocka_unit_test(reads_huge_lengths),
        cmocka_unit_test(takes_no_copy_of_the_body),
        cmocka_unit_test(zero_limits_are_strict),
        cmocka_unit_test(survives_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
