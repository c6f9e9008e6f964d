/* SPDX-License-Identifier: MIT
 * The request reader without sockets: what each input means must not depend on how it is cut. */
#include "net/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/sbuf.h"

enum { TRACE_BYTES = 16384, ARENA_BYTES = 256 * 1024 };

static const struct net_http1_limits limits = {
    .head_bytes_max = 512, .headers_max = 8, .target_bytes_max = 64};

/* The reader with everything it said so far, as text. */
struct reading {
    struct net_http1 http1;
    struct arena arena;
    struct span input; /* all of it, for messages */
    struct sbuf trace;
    char text[TRACE_BYTES];
    bool in_body;
    bool over; /* BAD */
};

static void reading_start(struct reading *r)
{
    arena_init(&r->arena, NULL, 0, ARENA_BYTES);
    r->trace = sbuf_over(r->text, sizeof(r->text));
    r->in_body = r->over = false;
    net_http1_start(&r->http1, &r->arena, &limits);
}

static void trace_head(struct sbuf *out, const struct net_http1 *http1)
{
    const struct net_head *head = &http1->head;

    sbuf_add_format(out, "%.*s %.*s 1.%d%s", SPAN_ARG(head->method_text), SPAN_ARG(head->target),
                    head->minor_version, http1->keep_alive ? "" : " close");
    for (size_t i = 0; i < head->header_count; i++)
        sbuf_add_format(out, "|%.*s=%.*s", SPAN_ARG(head->headers[i].name),
                        SPAN_ARG(head->headers[i].value));
    if (head->expects_continue)
        sbuf_add_lit(out, "|?100");
    sbuf_add_lit(out, ";");
}

static void trace_body(struct reading *r, struct span piece)
{
    if (!r->in_body)
        sbuf_add_lit(&r->trace, "body ");
    r->in_body = true;
    sbuf_add(&r->trace, piece);
}

/* One event into the trace. False when there is none left in `input`. */
static bool reading_step(struct reading *r, struct span *input)
{
    struct span piece;
    enum err err = ERR_OK;
    enum net_http1_event event = net_http1_next(&r->http1, input, &piece, &err);

    if (event == NET_HTTP1_BODY)
        trace_body(r, piece);
    else if (r->in_body && event != NET_HTTP1_MORE) {
        sbuf_add_lit(&r->trace, ";");
        r->in_body = false;
    }
    if (event == NET_HTTP1_HEAD)
        trace_head(&r->trace, &r->http1);
    if (event == NET_HTTP1_END) {
        sbuf_add_lit(&r->trace, "end");
        for (size_t i = 0; i < r->http1.trailer_count; i++)
            sbuf_add_format(&r->trace, "|%.*s=%.*s", SPAN_ARG(r->http1.trailers[i].name),
                            SPAN_ARG(r->http1.trailers[i].value));
        sbuf_add_lit(&r->trace, ";");
        arena_reset(&r->arena);
        net_http1_start(&r->http1, &r->arena, &limits);
        return input->len > 0;
    }
    if (event == NET_HTTP1_BAD) {
        sbuf_add_format(&r->trace, "%s;", err_name(err));
        r->over = true;
    }
    return event != NET_HTTP1_BAD && event != NET_HTTP1_MORE;
}

static void reading_feed(struct reading *r, struct span input)
{
    /* A copy of exact size, so that a sanitizer sees a byte too many being read. */
    struct arena arena;
    struct span exact;

    if (r->over)
        return;
    arena_init(&arena, NULL, 0, input.len);
    exact = arena_copy(&arena, input);
    while (reading_step(r, &exact))
        continue;
    arena_reset(&arena);
}

static void expect_trace(struct reading *r, const char *expected, const char *how, size_t at)
{
    if (!span_is(sbuf_span(&r->trace), expected))
        fail_msg("%s at %zu: %.*s\n got  %.*s\n want %s", how, at, SPAN_ARG(r->input),
                 SPAN_ARG(sbuf_span(&r->trace)), expected);
    arena_reset(&r->arena);
}

/* Whole, in two at every place, and byte by byte. */
static void expect_reads(struct span input, const char *expected)
{
    static struct reading r;

    r.input = input;
    for (size_t at = 0; at < input.len; at++) {
        reading_start(&r);
        reading_feed(&r, span_slice(input, 0, at));
        reading_feed(&r, span_slice(input, at, input.len));
        expect_trace(&r, expected, "cut", at);
    }
    reading_start(&r);
    for (size_t at = 0; at < input.len; at++)
        reading_feed(&r, span_slice(input, at, at + 1));
    expect_trace(&r, expected, "byte by byte", 0);
}

struct sample {
    struct span input;
    const char *expected;
};

#define H "Host: a\r\n"
#define C "Transfer-Encoding: chunked\r\n"

/* What a browser, a curl and a proxy send is understood. */
static void reads_what_is_good(void **state)
{
    static const struct sample samples[] = {
        {SPAN("GET / HTTP/1.1\r\n" H "\r\n"), "GET / 1.1|host=a;end;"},
        {SPAN("GET /a?b=c%20d HTTP/1.1\r\nHOST:a\r\nX-Empty:\r\nX-Blank: \t v w \t\r\n\r\n"),
         "GET /a?b=c%20d 1.1|host=a|x-empty=|x-blank=v w;end;"},
        {SPAN("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "OPTIONS * 1.1|host=a;end;"},
        {SPAN("GET http://a/b HTTP/1.1\r\n" H "\r\n"), "GET http://a/b 1.1|host=a;end;"},
        {SPAN("PROPFIND / HTTP/1.1\r\n" H "\r\n"), "PROPFIND / 1.1|host=a;end;"},
        {SPAN("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), "GET / 1.1|host=a;end;"},
        {SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" H "\r\n"),
         "POST / 1.1|host=a|content-length=5;body hello;end;GET / 1.1|host=a;end;"},
        {SPAN("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
         "POST / 1.1|host=a|content-length=0;end;GET / 1.1|host=a;end;"},
        {SPAN("POST / HTTP/1.1\r\n" C "\r\n5\r\nhello\r\n6;a=\"b c\"\r\n world\r\n0\r\n\r\n"
              "GET / HTTP/1.1\r\n" H "\r\n"),
         "POST / 1.1|transfer-encoding=chunked;body hello world;end;GET / 1.1|host=a;end;"},
        {SPAN("POST / HTTP/1.1\r\n" C "\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
         "POST / 1.1|transfer-encoding=chunked;end;GET / 1.1;end;"},
        {SPAN("GET / HTTP/1.0\r\n\r\n"), "GET / 1.0 close;end;"},
        {SPAN("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
         "GET / 1.0|connection=keep-alive;end;"},
        {SPAN("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"),
         "GET / 1.0 close|connection=keep-alive, close;end;"},
        {SPAN("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"),
         "GET / 1.1 close|connection=close;end;"},
        {SPAN("POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\nx"),
         "POST / 1.1|content-length=1|expect=100-Continue|?100;body x;end;"},
        {SPAN("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n"),
         "GET / 1.1|expect=100-continue;end;"},
        /* Blanks around values and bytes above ASCII are legal. */
        {SPAN("POST / HTTP/1.1\r\nContent-Length: 1  \r\nConnection:  close \r\nX: \xc3\xa9 "
              "\r\n\r\nx"),
         "POST / 1.1 close|content-length=1|connection=close|x=\xc3\xa9;body x;end;"},
        {SPAN("POST / HTTP/1.1\r\nTransfer-Encoding:\tchunked \r\n\r\n0\r\n\r\n"),
         "POST / 1.1|transfer-encoding=chunked;end;"},
        {SPAN("POST / HTTP/1.1\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n"),
         "POST / 1.1|transfer-encoding=CHUNKED;end;"},
        /* Offers to change the protocol are not taken. */
        {SPAN("GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
              "GET / HTTP/1.1\r\n\r\n"),
         "GET / 1.1|connection=Upgrade, HTTP2-Settings|upgrade=h2c;end;GET / 1.1;end;"},
        {SPAN(
             "POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nab"),
         "POST / 1.1|connection=upgrade|upgrade=x|content-length=2;body ab;end;"},
        {SPAN("POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n" C
              "\r\n2\r\nab\r\n0\r\n\r\n"),
         "POST / 1.1|connection=upgrade|upgrade=x|transfer-encoding=chunked;body ab;end;"},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_reads(samples[i].input, samples[i].expected);
}

/* Trailers never reach the headers, and what would mean more in a head is no trailer. */
static void trailers_stand_apart(void **state)
{
    expect_reads(SPAN_OF("POST / HTTP/1.1\r\n" H C "\r\n1\r\nx\r\n0\r\nAuthorization: y\r\n"
                         "Host: evil\r\nContent-Length: 7\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
                 "POST / 1.1|host=a|transfer-encoding=chunked;body x;end;GET / 1.1|host=a;end;");
    expect_reads(SPAN_OF("POST / HTTP/1.1\r\n" H C "\r\n0\r\nX-Sum:  1 2 \r\nX_Sum: 3\r\n"
                         "X-User-Id: 1\r\nX-Forwarded-For: 1\r\nX-E:\r\n\r\nGET / HTTP/1.1\r\n" H
                         "\r\n"),
                 "POST / 1.1|host=a|transfer-encoding=chunked;end|x-sum=1 2|x-e=;"
                 "GET / 1.1|host=a;end;");
    expect_reads(SPAN_OF("POST / HTTP/1.1\r\n" C "\r\n0\r\nCookie: a\r\nConnection: close\r\n"
                         "X-Portcullis-User: 1\r\nTE: x\r\nTraceparent: x\r\n\r\n"
                         "GET / HTTP/1.1\r\n" H "\r\n"),
                 "POST / 1.1|transfer-encoding=chunked;end;GET / 1.1|host=a;end;");
    expect_reads(SPAN_OF("POST / HTTP/1.1\r\n" C "\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
                 "POST / 1.1|transfer-encoding=chunked;ERR_BAD_FRAMING;");
}

#define POST        "POST / HTTP/1.1\r\n" H
#define CHUNKS      "POST / HTTP/1.1\r\n" C "\r\n"
#define CHUNKS_HEAD "POST / 1.1|transfer-encoding=chunked;"

static const struct sample ambiguous[] = {
    /* the length of the body */
    {SPAN(POST "Content-Length: 5\r\n" C "\r\n0\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST C "Content-Length: 5\r\n\r\n0\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 5, 5\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length:\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: +5\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: -5\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 0x5\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 5 5\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 5.0\r\n\r\nhello"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 18446744073709551616\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length: 18446744073709551615\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: identity\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: xchunked\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: \"chunked\"\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding:\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding: ,chunked\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST C C "\r\n0\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Transfer-Encoding:\r\n" C "\r\n0\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN("POST / HTTP/1.0\r\n" C "\r\n0\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN("GET / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n"), "ERR_BAD_FRAMING;"},
    {SPAN(POST "Content-Length : 5\r\n\r\nhello"), "ERR_BAD_REQUEST;"},
    {SPAN(POST "Transfer-Encoding : chunked\r\n\r\n"), "ERR_BAD_REQUEST;"},
    /* the ends of lines */
    {SPAN("GET / HTTP/1.1\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nHost: a\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nHost: a\r\n\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("\nGET / HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN(" GET / HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    /* characters */
    {SPAN("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX: a\x01z\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX: a\x7fz\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX\0: a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX Y: a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX(Y): a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX\xc3\xa9: a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nX\t: a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\n: a\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1\r\nXY\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET /\0 HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET /\x1f HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET /\t HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("\x16\x03\x01\x02\x00\x01\x00"), "ERR_BAD_REQUEST;"},
    /* request lines */
    {SPAN("GET /\r\n\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET  / HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET /  HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.1 \r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET /a b HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / http/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.10\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET a HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("GET / HTTP/1.2\r\n" H "\r\n"), "ERR_VERSION_HTTP;"},
    {SPAN("GET / HTTP/2.0\r\n" H "\r\n"), "ERR_VERSION_HTTP;"},
    {SPAN("GET / HTTP/0.9\r\n" H "\r\n"), "ERR_VERSION_HTTP;"},
    {SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "ERR_VERSION_HTTP;"},
    {SPAN("get / HTTP/1.1\r\n" H "\r\n"), "ERR_NOT_IMPLEMENTED;"},
    {SPAN("FROB / HTTP/1.1\r\n" H "\r\n"), "ERR_NOT_IMPLEMENTED;"},
    {SPAN("G@T / HTTP/1.1\r\n" H "\r\n"), "ERR_BAD_REQUEST;"},
    {SPAN("CONNECT a:443 HTTP/1.1\r\n" H "\r\n"), "ERR_METHOD_NOT_ALLOWED;"},
    {SPAN("POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: x\r\n\r\n"), "ERR_EXPECTATION;"},
    {SPAN("GET / HTTP/1.1\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n"),
     "ERR_EXPECTATION;"},
};

/* Anything that two readers could understand differently is refused. */
static void refuses_what_is_ambiguous(void **state)
{
    for (size_t i = 0; i < PC_COUNT(ambiguous); i++)
        expect_reads(ambiguous[i].input, ambiguous[i].expected);
}

/* The same inside a chunked body. */
static void refuses_bad_chunks(void **state)
{
    static const struct sample samples[] = {
        {SPAN(CHUNKS "x\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "-1\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "0x1\r\nx\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS " 1\r\nx\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1 \r\nx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1\nx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1\rx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1;a\nx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1;a\rb\r\nx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1;a=\"b\nc\"\r\nx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1;a=b\0c\r\nx\r\n0\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "10000000000000000\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1\r\nxy\r\n0\r\n\r\n"), CHUNKS_HEAD "body x;ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1\r\nx\n0\r\n\r\n"), CHUNKS_HEAD "body x;ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1\r\nx\r0\r\n\r\n"), CHUNKS_HEAD "body x;ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "1\r\nx0\r\n\r\n"), CHUNKS_HEAD "body x;ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "0\r\n\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "0\r\nA: b\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "0\r\nA: b\r\n c\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "0\r\nA : b\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
        {SPAN(CHUNKS "0\r\nA: b\0c\r\n\r\n"), CHUNKS_HEAD "ERR_BAD_FRAMING;"},
    };

    for (size_t i = 0; i < PC_COUNT(samples); i++)
        expect_reads(samples[i].input, samples[i].expected);
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

/* Every bound holds, also for something that never ends its line. */
static void refuses_what_is_too_long(void **state)
{
    static char buffer[TRACE_BYTES];
    char expected[256];
    struct sbuf good = sbuf_over(expected, sizeof(expected));

    sbuf_add(&good, repeat(buffer, "GET /", 'a', limits.target_bytes_max - 1, " 1.1;end;"));
    sbuf_add_char(&good, '\0');
    expect_reads(repeat(buffer, "GET /", 'a', limits.target_bytes_max - 1, " HTTP/1.1\r\n\r\n"),
                 expected);
    expect_reads(repeat(buffer, "GET /", 'a', limits.target_bytes_max, " HTTP/1.1\r\n\r\n"),
                 "ERR_URI_TOO_LONG;");
    expect_reads(repeat(buffer, "GET /", 'a', 2000, ""), "ERR_URI_TOO_LONG;");
    expect_reads(repeat(buffer, "", 'G', 2000, ""), "ERR_URI_TOO_LONG;");
    expect_reads(repeat(buffer, "", 'G', 128, " / HTTP/1.1\r\n"), "ERR_URI_TOO_LONG;");
    expect_reads(repeat(buffer, "GET / HTTP/1.1\r\nX: ", 'a', 500, "\r\n\r\n"),
                 "ERR_HEADERS_TOO_LARGE;");
    expect_reads(repeat(buffer, "GET / HTTP/1.1\r\nX: ", 'a', 2000, ""), "ERR_HEADERS_TOO_LARGE;");
    expect_reads(
        SPAN_OF("GET / HTTP/1.1\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\n"
                "A:9\r\n\r\n"),
        "ERR_HEADERS_TOO_LARGE;");
    expect_reads(
        SPAN_OF("GET / HTTP/1.1\r\nA:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\nA:8\r\n"
                "\r\n"),
        "GET / 1.1|a=1|a=2|a=3|a=4|a=5|a=6|a=7|a=8;end;");
    expect_reads(repeat(buffer, CHUNKS "1;", 'a', 300, "\r\nx\r\n0\r\n\r\n"),
                 CHUNKS_HEAD "ERR_BAD_FRAMING;");
    expect_reads(repeat(buffer, CHUNKS "0\r\nX: ", 'a', 600, "\r\n\r\n"),
                 CHUNKS_HEAD "ERR_HEADERS_TOO_LARGE;");
}

/* Bounds that do not fit each other refuse as well, instead of waiting for ever. */
static void refuses_with_odd_limits(void **state)
{
    static const struct net_http1_limits odd = {
        .head_bytes_max = 32, .headers_max = 8, .target_bytes_max = 4096};
    static struct reading r;

    reading_start(&r);
    net_http1_start(&r.http1, &r.arena, &odd);
    reading_feed(&r, SPAN_OF("GET /aaaaaaaaaaaaaaaaaaaa"));
    reading_feed(&r, SPAN_OF("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    expect_trace(&r, "ERR_HEADERS_TOO_LARGE;", "odd", 0);
}

/* Running out of memory at any point is an answer, not a crash. */
static void survives_without_memory(void **state)
{
    static struct reading r;
    struct span input = SPAN("POST / HTTP/1.1\r\n" H "X: y\r\n" C "\r\n1\r\nx\r\n0\r\n\r\n");

    for (size_t room = 0; room < 400; room += 8) {
        reading_start(&r);
        arena_init(&r.arena, NULL, 0, room);
        reading_feed(&r, span_slice(input, 0, 20));
        reading_feed(&r, span_slice(input, 20, input.len));
        if (!span_ends(sbuf_span(&r.trace), SPAN_OF("end;")))
            assert_true(span_ends(sbuf_span(&r.trace), SPAN_OF("ERR_NO_MEMORY;")));
        arena_reset(&r.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_good),        cmocka_unit_test(trailers_stand_apart),
        cmocka_unit_test(refuses_what_is_ambiguous), cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(refuses_what_is_too_long),  cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(refuses_with_odd_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
