/* SPDX-License-Identifier: MIT
 * The request reader of http1.h: first station of every request.
 *
 *   IN_HEAD --head_next--> IN_LENGTH --length_next--> COMPLETE
 *      |        |                                        ^ ^
 *      |        +--> IN_CHUNKS --> IN_TRAILERS -----------+ |
 *      |        +-- no body -------------------------------+
 *      +-- and from each: bad() --> UNREADABLE
 *
 * A head is gathered until its empty line, copied once into the arena and then given to llhttp as a
 * whole, so its spans never have seams. Line ends are checked while gathering: a CR or LF that
 * stands alone and a folded line are refused before any grammar is applied. Chunked framing is read
 * by llhttp as it comes; the bytes that are not data are checked for the same things. */
#include "net/http1.h"

#include <string.h>

#include "net/net_words.h"

enum {
    EMPTY_LINES_MAX = 2,     /* before a request line; RFC 9112, 2.2 asks for at least one */
    REQUEST_LINE_EXTRA = 64, /* method, blanks and version */
};

static int on_header_name(llhttp_t *parser, const char *at, size_t len);
static int on_header_value(llhttp_t *parser, const char *at, size_t len);
static int on_pause(llhttp_t *parser);
static int on_data(llhttp_t *parser, const char *at, size_t len);
static int on_chunk_line(llhttp_t *parser);

static const llhttp_settings_t settings = {
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_headers_complete = on_pause,
    .on_body = on_data,
    .on_chunk_header = on_chunk_line,
    .on_message_complete = on_pause,
};

void net_http1_start(struct net_http1 *http1, struct arena *arena,
                     const struct net_http1_limits *limits)
{
    *http1 = (struct net_http1){.limits = limits,
                                .lines = {.arena = arena, .bytes_max = limits->head_bytes_max}};
    llhttp_init(&http1->parser, HTTP_REQUEST, &settings);
    http1->parser.data = http1;
}

static enum net_http1_event bad(struct net_http1 *http1, enum err err, enum err *ret_err)
{
    PC_ASSERT(err != ERR_OK);
    http1->state = NET_HTTP1_UNREADABLE;
    *ret_err = err;
    return NET_HTTP1_BAD;
}

/* --- gathering a head ------------------------------------------------------------------------ */

static enum err version_read(struct span version, int *ret_minor)
{
    if (span_is(version, "HTTP/1.1") || span_is(version, "HTTP/1.0")) {
        *ret_minor = version.ptr[7] - '0';
        return ERR_OK;
    }
    if (version.len == 8 && memcmp(version.ptr, "HTTP/", 5) == 0 && version.ptr[6] == '.')
        return ERR_VERSION_HTTP;
    return ERR_BAD_REQUEST;
}

/* "GET /path HTTP/1.1", single blanks only (RFC 9112, 3). The characters of the target are checked
 * by llhttp. */
static enum err request_line_read(const struct net_http1 *http1, struct span line,
                                  struct net_head *ret_head)
{
    struct net_head head = {0};
    struct span rest = line;
    enum err err;

    if (line.len > http1->limits->target_bytes_max + REQUEST_LINE_EXTRA)
        return ERR_URI_TOO_LONG;
    if (!span_cut(&rest, ' ', &head.method_text) || !net_http1_is_token(head.method_text))
        return ERR_BAD_REQUEST;
    if (!span_cut(&rest, ' ', &head.target) || head.target.len == 0)
        return ERR_BAD_REQUEST;
    if (head.target.len > http1->limits->target_bytes_max)
        return ERR_URI_TOO_LONG;
    err = version_read(rest, &head.minor_version);
    if (err)
        return err;
    if (span_is(head.method_text, "CONNECT"))
        return ERR_METHOD_NOT_ALLOWED;
    head.method = net_method_of(head.method_text);
    *ret_head = head;
    return ERR_OK;
}

static net_line_fn line_check;
static net_line_part_fn part_check;
static const struct net_lines_rules head_rules = {.line = line_check, .part = part_check};

static enum err line_check(void *owner, struct span line, bool *ret_end)
{
    struct net_http1 *http1 = owner;
    struct net_head ignored;

    if (line.len == 0) {
        *ret_end = http1->line_count > 0;
        return *ret_end || ++http1->empty_lines <= EMPTY_LINES_MAX ? ERR_OK : ERR_BAD_REQUEST;
    }
    if (http1->line_count == 0) {
        http1->start = http1->lines.line_at;
        http1->line_count = 1;
        return request_line_read(http1, line, &ignored);
    }
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') /* obs-fold; RFC 9112, 5.2 */
        return ERR_BAD_REQUEST;
    http1->line_count++;
    return http1->line_count - 1 <= http1->limits->headers_max ? ERR_OK : ERR_HEADERS_TOO_LARGE;
}

/* May it still become a request line? */
static enum err part_check(void *owner, struct span part)
{
    const struct net_http1 *http1 = owner;
    unsigned char first = (unsigned char)part.ptr[0];

    if (http1->line_count > 0)
        return ERR_OK;
    if (first != '\r' && !net_http1_is_token_char(first)) /* a TLS hello, for one */
        return ERR_BAD_REQUEST;
    if (part.len > http1->limits->target_bytes_max + REQUEST_LINE_EXTRA + 1)
        return ERR_URI_TOO_LONG;
    return ERR_OK;
}

/* --- reading a head -------------------------------------------------------------------------- */

static struct net_http1 *of_parser(llhttp_t *parser)
{
    return parser->data;
}

static int on_header_name(llhttp_t *parser, const char *at, size_t len)
{
    struct net_http1 *http1 = of_parser(parser);

    return net_header_list_name(&http1->headers, &http1->lines, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    return net_header_list_value(&of_parser(parser)->headers, at, len);
}

static int on_pause(llhttp_t *parser)
{
    return HPE_PAUSED;
}

static enum err grammar_err(llhttp_errno_t error)
{
    switch ((int)error) {
    case HPE_INVALID_METHOD:
        return ERR_NOT_IMPLEMENTED;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
    case HPE_INVALID_CHUNK_SIZE:
        return ERR_BAD_FRAMING;
    default:
        return ERR_BAD_REQUEST;
    }
}

static enum err framing_read(struct net_head *head)
{
    bool told;

    if (net_length_read(head->headers, head->header_count, head->minor_version, &told,
                        &head->content_length) != NULL)
        return ERR_BAD_FRAMING;
    head->has_body = head->content_length > 0;
    return ERR_OK;
}

static enum err expect_read(struct net_head *head)
{
    const struct net_header *expect = net_head_find(head, SPAN_OF("expect"));

    if (expect == NULL || head->minor_version == 0) /* RFC 9110, 10.1.1 */
        return ERR_OK;
    if (!span_is_nocase(expect->value, "100-continue") || net_head_count(head, expect->name) != 1)
        return ERR_EXPECTATION;
    head->expects_continue = head->has_body;
    return ERR_OK;
}

/* llhttp and we must have understood the same thing. */
static bool agrees(const struct net_http1 *http1)
{
    const llhttp_t *parser = &http1->parser;
    const struct net_head *head = &http1->head;
    bool chunked = head->content_length == NET_LENGTH_CHUNKED;

    return parser->http_major == 1 && parser->http_minor == head->minor_version &&
           chunked == ((parser->flags & F_CHUNKED) != 0) &&
           (chunked || parser->content_length == head->content_length) &&
           head->header_count == http1->headers.max;
}

static enum err head_parse(struct net_http1 *http1)
{
    struct span text = span_slice(span_make(http1->lines.text, http1->lines.bytes), http1->start,
                                  http1->lines.bytes);
    struct span rest = text;
    struct span line;
    llhttp_errno_t error;
    enum err err;

    PC_ASSERT(http1->line_count > 0 && span_cut(&rest, '\r', &line));
    err = request_line_read(http1, line, &http1->head);
    if (err)
        return err;
    http1->headers.max = http1->line_count - 1;
    http1->headers.items =
        arena_array(http1->lines.arena, http1->line_count, sizeof(*http1->headers.items));
    if (http1->headers.items == NULL)
        return ERR_NO_MEMORY;
    error = llhttp_execute(&http1->parser, text.ptr, text.len);
    if (error != HPE_PAUSED)
        return grammar_err(error);
    http1->head.headers = http1->headers.items;
    http1->head.header_count = http1->headers.count;
    err = framing_read(&http1->head);
    if (err == ERR_OK)
        err = expect_read(&http1->head);
    if (err == ERR_OK && !agrees(http1))
        err = ERR_BAD_FRAMING;
    return err;
}

static enum net_http1_state body_state(const struct net_head *head)
{
    if (!head->has_body)
        return NET_HTTP1_COMPLETE;
    return head->content_length == NET_LENGTH_CHUNKED ? NET_HTTP1_IN_CHUNKS : NET_HTTP1_IN_LENGTH;
}

static enum net_http1_event head_next(struct net_http1 *http1, struct span *input,
                                      enum err *ret_err)
{
    bool found;
    enum err err;

    if (input->len == 0)
        return NET_HTTP1_MORE;
    err = net_lines_gather(&http1->lines, input, &head_rules, http1, &found);
    if (err)
        return bad(http1, err, ret_err);
    if (!found)
        return NET_HTTP1_MORE;
    err = head_parse(http1);
    if (err)
        return bad(http1, err, ret_err);
    http1->keep_alive = llhttp_should_keep_alive(&http1->parser) == 1 &&
                        (http1->parser.flags & F_CONNECTION_CLOSE) == 0;
    http1->parser.upgrade = 0; /* offers to switch protocols are never taken (RFC 9110, 7.8) */
    http1->body_left = http1->head.content_length;
    http1->head_seen = true;
    http1->state = body_state(&http1->head);
    return NET_HTTP1_HEAD;
}

/* --- bodies ---------------------------------------------------------------------------------- */

static enum net_http1_event length_next(struct net_http1 *http1, struct span *input,
                                        struct span *ret_piece)
{
    size_t take = input->len < http1->body_left ? input->len : (size_t)http1->body_left;

    if (take == 0)
        return NET_HTTP1_MORE;
    *ret_piece = span_slice(*input, 0, take);
    net_http1_skip(input, take);
    http1->body_left -= take;
    if (http1->body_left == 0)
        http1->state = NET_HTTP1_COMPLETE;
    return NET_HTTP1_BODY;
}

static int on_data(llhttp_t *parser, const char *at, size_t len)
{
    if (len == 0)
        return 0;
    of_parser(parser)->piece = span_make(at, len);
    return HPE_PAUSED;
}

/* Behind the last one the trailers are gathered before llhttp sees them. */
static int on_chunk_line(llhttp_t *parser)
{
    if (parser->content_length > 0)
        return 0;
    of_parser(parser)->last_chunk = true;
    return HPE_PAUSED;
}

/* What is wrong with trailers is told as of the chunks before them. */
static enum err trailers_parse(struct net_http1 *http1)
{
    struct net_header_list *list = &http1->headers;
    llhttp_errno_t error;

    *list = (struct net_header_list){.max = http1->line_count - 1};
    if (list->max == 0)
        return ERR_OK;
    list->items = arena_array(http1->lines.arena, list->max, sizeof(*list->items));
    if (list->items == NULL)
        return ERR_NO_MEMORY;
    llhttp_resume(&http1->parser);
    error = llhttp_execute(&http1->parser, http1->lines.text, http1->lines.bytes);
    if (error != HPE_PAUSED || list->count != list->max)
        return ERR_BAD_FRAMING;
    http1->trailers = list->items;
    http1->trailer_count = net_trailers_keep(list->items, list->count);
    return ERR_OK;
}

static enum net_http1_event trailers_next(struct net_http1 *http1, struct span *input,
                                          enum err *ret_err)
{
    bool found;
    enum err err;

    if (input->len == 0)
        return NET_HTTP1_MORE;
    err = net_lines_gather(&http1->lines, input, &head_rules, http1, &found);
    if (err == ERR_OK && !found)
        return NET_HTTP1_MORE;
    if (err == ERR_OK)
        err = trailers_parse(http1);
    if (err)
        return bad(http1, err == ERR_BAD_REQUEST ? ERR_BAD_FRAMING : err, ret_err);
    http1->state = NET_HTTP1_COMPLETE;
    return NET_HTTP1_END;
}

static enum net_http1_event trailers_begin(struct net_http1 *http1, struct span *input,
                                           enum err *ret_err)
{
    http1->lines =
        (struct net_lines){.arena = http1->lines.arena, .bytes_max = http1->limits->head_bytes_max};
    http1->line_count = 1;
    http1->state = NET_HTTP1_IN_TRAILERS;
    return trailers_next(http1, input, ret_err);
}

static enum net_http1_event chunks_next(struct net_http1 *http1, struct span *input,
                                        struct span *ret_piece, enum err *ret_err)
{
    const char *begin = input->ptr;
    struct span framing = *input;
    llhttp_errno_t error;

    if (input->len == 0)
        return NET_HTTP1_MORE;
    http1->piece = (struct span){0};
    llhttp_resume(&http1->parser);
    error = llhttp_execute(&http1->parser, input->ptr, input->len);
    if (error != HPE_OK && error != HPE_PAUSED)
        return bad(http1, ERR_BAD_FRAMING, ret_err);
    if (http1->piece.len > 0)
        framing = span_make(begin, (size_t)(http1->piece.ptr - begin));
    else if (http1->last_chunk)
        framing = span_make(begin, (size_t)(llhttp_get_error_pos(&http1->parser) - begin));
    /* Chunk lines and the ends of chunks: clean, and not too many between two pieces of data. */
    if (!net_chunking_check(&http1->chunking, framing) ||
        http1->chunking.bytes > NET_CHUNK_LINE_BYTES_MAX)
        return bad(http1, ERR_BAD_FRAMING, ret_err);
    net_http1_skip(input, framing.len + http1->piece.len);
    if (http1->piece.len > 0) {
        http1->chunking.bytes = 0;
        *ret_piece = http1->piece;
        return NET_HTTP1_BODY;
    }
    return http1->last_chunk ? trailers_begin(http1, input, ret_err) : NET_HTTP1_MORE;
}

enum net_http1_event net_http1_next(struct net_http1 *http1, struct span *input,
                                    struct span *ret_piece, enum err *ret_err)
{
    switch (http1->state) {
    case NET_HTTP1_IN_HEAD:
        return head_next(http1, input, ret_err);
    case NET_HTTP1_IN_LENGTH:
        return length_next(http1, input, ret_piece);
    case NET_HTTP1_IN_CHUNKS:
        return chunks_next(http1, input, ret_piece, ret_err);
    case NET_HTTP1_IN_TRAILERS:
        return trailers_next(http1, input, ret_err);
    case NET_HTTP1_COMPLETE:
        return NET_HTTP1_END;
    case NET_HTTP1_UNREADABLE:
        break;
    }
    PC_WRONG("a request is not read after it was refused");
}

/* --- questions about a head ------------------------------------------------------------------ */

const struct net_header *net_head_find(const struct net_head *head, struct span name)
{
    return net_header_find(head->headers, head->header_count, name);
}

size_t net_head_count(const struct net_head *head, struct span name)
{
    return net_header_count(head->headers, head->header_count, name);
}
