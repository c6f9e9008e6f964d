/* SPDX-License-Identifier: MIT
 * The head of an answer: status line, the application's lines, and the lines that say where the
 * body ends (RFC 9112, 6). */
#include "net/net_priv.h"

struct status {
    int code;
    struct span line;
};

/* The common ones first. */
static const struct status statuses[] = {
    {200, SPAN("HTTP/1.1 200 OK\r\n")},
    {201, SPAN("HTTP/1.1 201 Created\r\n")},
    {204, SPAN("HTTP/1.1 204 No Content\r\n")},
    {401, SPAN("HTTP/1.1 401 Unauthorized\r\n")},
    {404, SPAN("HTTP/1.1 404 Not Found\r\n")},
    {429, SPAN("HTTP/1.1 429 Too Many Requests\r\n")},
    {202, SPAN("HTTP/1.1 202 Accepted\r\n")},
    {206, SPAN("HTTP/1.1 206 Partial Content\r\n")},
    {301, SPAN("HTTP/1.1 301 Moved Permanently\r\n")},
    {302, SPAN("HTTP/1.1 302 Found\r\n")},
    {303, SPAN("HTTP/1.1 303 See Other\r\n")},
    {304, SPAN("HTTP/1.1 304 Not Modified\r\n")},
    {307, SPAN("HTTP/1.1 307 Temporary Redirect\r\n")},
    {308, SPAN("HTTP/1.1 308 Permanent Redirect\r\n")},
    {400, SPAN("HTTP/1.1 400 Bad Request\r\n")},
    {403, SPAN("HTTP/1.1 403 Forbidden\r\n")},
    {405, SPAN("HTTP/1.1 405 Method Not Allowed\r\n")},
    {406, SPAN("HTTP/1.1 406 Not Acceptable\r\n")},
    {408, SPAN("HTTP/1.1 408 Request Timeout\r\n")},
    {409, SPAN("HTTP/1.1 409 Conflict\r\n")},
    {410, SPAN("HTTP/1.1 410 Gone\r\n")},
    {411, SPAN("HTTP/1.1 411 Length Required\r\n")},
    {412, SPAN("HTTP/1.1 412 Precondition Failed\r\n")},
    {413, SPAN("HTTP/1.1 413 Content Too Large\r\n")},
    {414, SPAN("HTTP/1.1 414 URI Too Long\r\n")},
    {415, SPAN("HTTP/1.1 415 Unsupported Media Type\r\n")},
    {417, SPAN("HTTP/1.1 417 Expectation Failed\r\n")},
    {421, SPAN("HTTP/1.1 421 Misdirected Request\r\n")},
    {422, SPAN("HTTP/1.1 422 Unprocessable Content\r\n")},
    {431, SPAN("HTTP/1.1 431 Request Header Fields Too Large\r\n")},
    {500, SPAN("HTTP/1.1 500 Internal Server Error\r\n")},
    {501, SPAN("HTTP/1.1 501 Not Implemented\r\n")},
    {502, SPAN("HTTP/1.1 502 Bad Gateway\r\n")},
    {503, SPAN("HTTP/1.1 503 Service Unavailable\r\n")},
    {504, SPAN("HTTP/1.1 504 Gateway Timeout\r\n")},
    {101, SPAN("HTTP/1.1 101 Switching Protocols\r\n")},
    {505, SPAN("HTTP/1.1 505 HTTP Version Not Supported\r\n")},
};

static void status_line(struct sbuf *out, int code)
{
    for (size_t i = 0; i < PC_COUNT(statuses); i++) {
        if (statuses[i].code == code) {
            sbuf_add(out, statuses[i].line);
            return;
        }
    }
    sbuf_add_lit(out, "HTTP/1.1 ");
    sbuf_add_i64(out, code);
    sbuf_add_lit(out, " \r\n"); /* the reason may be empty, its blank may not (RFC 9112, 4) */
}

void net_http1_reply_head(struct sbuf *out, const struct net_framing *framing, struct span lines)
{
    status_line(out, framing->status);
    sbuf_add(out, lines);
    if (framing->chunked) {
        sbuf_add_lit(out, "Transfer-Encoding: chunked\r\n");
    } else if (!framing->no_length) {
        sbuf_add_lit(out, "Content-Length: ");
        sbuf_add_u64(out, framing->length);
        sbuf_add_lit(out, "\r\n");
    }
    if (framing->close)
        sbuf_add_lit(out, "Connection: close\r\n");
    else if (framing->upgrade)
        sbuf_add_lit(out, "Connection: Upgrade\r\n");
    else if (framing->keep_alive)
        sbuf_add_lit(out, "Connection: keep-alive\r\n");
    sbuf_add_lit(out, "\r\n");
}
