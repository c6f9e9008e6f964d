/* SPDX-License-Identifier: MIT
 * The request reader of http1.h: first station of every request.
 *
 *   IN_HEAD --head_next--> IN_LENGTH --length_next--> COMPLETE
 *      |        |                                        ^ ^
 *      |        +--> IN_CHUNKS --chunks_next-------------+ |
 *      |        +-- no body -------------------------------+
 *      +-- and from each: bad() --> UNREADABLE
 *
 * A head is gathered until its empty line, copied once into the arena and then given to llhttp as a
 * whole, so its spans never have seams. Line ends are checked while gathering: a CR or LF that
 * stands alone and a folded line are refused before any grammar is applied. Chunked framing is read
 * by llhttp as it comes; the bytes that are not data are checked for the same things. */
#include "net/http1.h"

#include <string.h>

enum {
    EMPTY_LINES_MAX = 2,        /* before a request line; RFC 9112, 2.2 asks for at least one */
    REQUEST_LINE_EXTRA = 64,    /* method, blanks and version */
    CHUNK_LINE_BYTES_MAX = 256, /* extensions are dropped, so a short bound serves everyone */
};

static int on_header_name(llhttp_t *parser, const char *at, size_t len);
static int on_header_value(llhttp_t *parser, const char *at, size_t len);
static int on_pause(llhttp_t *parser);
static int on_data(llhttp_t *parser, const char *at, size_t len);
static int on_chunk_line(llhttp_t *parser);
static int on_complete(llhttp_t *parser);

static const llhttp_settings_t settings = {
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_headers_complete = on_pause,
    .on_body = on_data,
    .on_chunk_header = on_chunk_line,
    .on_message_complete = on_complete,
};

void net_http1_start(struct net_http1 *http1, struct arena *arena,
                     const struct net_http1_limits *limits)
{
    *http1 = (struct net_http1){.arena = arena, .limits = limits};
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

static void skip(struct span *input, size_t bytes)
{
    PC_ASSERT(bytes <= input->len);
    *input = bytes == input->len ? (struct span){0} : span_slice(*input, bytes, input->len);
}

/* --- gathering a head ------------------------------------------------------------------------ */

/* RFC 9110, 5.6.2. */
static bool is_token_char(unsigned char c)
{
    static const bool marks[128] = {
        ['!'] = true,  ['#'] = true, ['$'] = true, ['%'] = true, ['&'] = true,
        ['\''] = true, ['*'] = true, ['+'] = true, ['-'] = true, ['.'] = true,
        ['^'] = true,  ['_'] = true, ['`'] = true, ['|'] = true, ['~'] = true,
    };
    unsigned char lower = c | 0x20;

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c < 128 && marks[c]);
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

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

static enum net_method method_read(struct span text)
{
    static const struct {
        struct span text;
        enum net_method method;
    } methods[] = {
        {SPAN("GET"), NET_METHOD_GET},         {SPAN("POST"), NET_METHOD_POST},
        {SPAN("HEAD"), NET_METHOD_HEAD},       {SPAN("PUT"), NET_METHOD_PUT},
        {SPAN("DELETE"), NET_METHOD_DELETE},   {SPAN("PATCH"), NET_METHOD_PATCH},
        {SPAN("OPTIONS"), NET_METHOD_OPTIONS}, {SPAN("TRACE"), NET_METHOD_TRACE},
    };

    for (size_t i = 0; i < PC_COUNT(methods); i++) {
        if (span_equal(text, methods[i].text))
            return methods[i].method;
    }
    return NET_METHOD_OTHER;
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
    if (!span_cut(&rest, ' ', &head.method_text) || !is_token(head.method_text))
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
    head.method = method_read(head.method_text);
    *ret_head = head;
    return ERR_OK;
}

/* A whole line without its CR LF. *ret_end: it was the empty line behind the headers. */
static enum err line_check(struct net_http1 *http1, struct span line, bool *ret_end)
{
    struct net_head ignored;

    *ret_end = false;
    if (memchr(line.ptr, '\r', line.len) != NULL)
        return ERR_BAD_REQUEST;
    if (line.len == 0) {
        *ret_end = http1->lines > 0;
        return *ret_end || ++http1->empty_lines <= EMPTY_LINES_MAX ? ERR_OK : ERR_BAD_REQUEST;
    }
    if (http1->lines == 0) {
        http1->start = http1->line_at;
        http1->lines = 1;
        return request_line_read(http1, line, &ignored);
    }
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') /* obs-fold; RFC 9112, 5.2 */
        return ERR_BAD_REQUEST;
    http1->lines++;
    return http1->lines - 1 <= http1->limits->headers_max ? ERR_OK : ERR_HEADERS_TOO_LARGE;
}

/* Checks the lines that `text` completes. *ret_bytes is the length of the head if its end was
 * found, else 0. */
static enum err lines_check(struct net_http1 *http1, const char *text, size_t bytes,
                            size_t *ret_bytes)
{
    const char *lf;

    while ((lf = memchr(text + http1->searched, '\n', bytes - http1->searched)) != NULL) {
        size_t at = (size_t)(lf - text);
        bool end;
        enum err err;

        if (at == http1->line_at || text[at - 1] != '\r')
            return ERR_BAD_REQUEST;
        err = line_check(http1, span_make(text + http1->line_at, at - 1 - http1->line_at), &end);
        if (err)
            return err;
        http1->line_at = http1->searched = at + 1;
        if (end) {
            *ret_bytes = at + 1;
            return ERR_OK;
        }
    }
    http1->searched = bytes;
    *ret_bytes = 0;
    return ERR_OK;
}

/* The line that is not complete yet: may it still become a request line? */
static enum err partial_line_check(const struct net_http1 *http1, const char *line, size_t bytes)
{
    if (bytes == 0)
        return ERR_OK;
    if (line[0] != '\r' && !is_token_char((unsigned char)line[0])) /* a TLS hello, for one */
        return ERR_BAD_REQUEST;
    if (bytes > http1->limits->target_bytes_max + REQUEST_LINE_EXTRA + 1)
        return ERR_URI_TOO_LONG;
    return ERR_OK;
}

/* A head that is not complete yet: may it still become one? */
static enum err partial_check(const struct net_http1 *http1, const char *text, size_t bytes)
{
    enum err err = ERR_OK;

    if (http1->lines == 0)
        err = partial_line_check(http1, text + http1->line_at, bytes - http1->line_at);
    if (err == ERR_OK && bytes > http1->limits->head_bytes_max)
        err = ERR_HEADERS_TOO_LARGE;
    return err;
}

/* Puts `bytes` of the input behind what is there. False without memory. */
static bool text_add(struct net_http1 *http1, struct span input, size_t bytes)
{
    char *text =
        arena_extend(http1->arena, http1->text, http1->text_bytes, http1->text_bytes + bytes);

    if (text == NULL)
        return false;
    memcpy(text + http1->text_bytes, input.ptr, bytes);
    http1->text = text;
    http1->text_bytes += bytes;
    return true;
}

/* The whole head is in http1->text when *ret_found. */
static enum err head_gather(struct net_http1 *http1, struct span *input, bool *ret_found)
{
    size_t before = http1->text_bytes;
    size_t take = input->len;
    size_t head_bytes;
    enum err err;

    *ret_found = false;
    if (before > 0) { /* it came in pieces */
        size_t room = http1->limits->head_bytes_max + 1 - before;

        take = take < room ? take : room;
        if (!text_add(http1, *input, take))
            return ERR_NO_MEMORY;
        err = lines_check(http1, http1->text, http1->text_bytes, &head_bytes);
    } else {
        err = lines_check(http1, input->ptr, input->len, &head_bytes);
    }
    if (err == ERR_OK && head_bytes == 0)
        err = partial_check(http1, before > 0 ? http1->text : input->ptr, before + take);
    if (err)
        return err;
    if (head_bytes > http1->limits->head_bytes_max)
        return ERR_HEADERS_TOO_LARGE;
    if (head_bytes > 0)
        take = head_bytes - before;
    if (before == 0 && !text_add(http1, *input, take))
        return ERR_NO_MEMORY;
    if (head_bytes > 0)
        http1->text_bytes = head_bytes;
    *ret_found = head_bytes > 0;
    skip(input, take);
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
    char *name = http1->text + (at - http1->text);

    if (http1->head_seen) /* a trailer: dropped (RFC 9110, 6.5.1) */
        return 0;
    if (http1->head.header_count + 1 >= http1->lines) /* never: a header is a line */
        return -1;
    if (!is_token(span_make(at, len))) /* llhttp lets an empty one through */
        return -1;
    for (size_t i = 0; i < len; i++)
        name[i] = span_lower_char(name[i]);
    http1->headers[http1->head.header_count++] =
        (struct net_header){.name = {.ptr = name, .len = len}};
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct net_http1 *http1 = of_parser(parser);
    struct net_header *header;

    if (http1->head_seen)
        return 0;
    if (http1->head.header_count == 0)
        return -1;
    header = &http1->headers[http1->head.header_count - 1];
    if (header->value.ptr != NULL)
        return -1;
    header->value = span_trim(span_make(at, len));
    return 0;
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

/* Decides from Content-Length and Transfer-Encoding where the request ends; whatever could be read
 * in two ways is refused. RFC 9112, 6. */
static enum err framing_read(struct net_head *head)
{
    const struct net_header *length = net_head_find(head, SPAN_OF("content-length"));
    const struct net_header *coding = net_head_find(head, SPAN_OF("transfer-encoding"));

    if (length != NULL && coding != NULL)
        return ERR_BAD_FRAMING;
    if (coding != NULL) {
        if (head->minor_version == 0 || !span_is_nocase(coding->value, "chunked") ||
            net_head_count(head, coding->name) != 1)
            return ERR_BAD_FRAMING;
        head->content_length = NET_LENGTH_CHUNKED;
    } else if (length != NULL) {
        if (net_head_count(head, length->name) != 1 ||
            !span_to_u64(length->value, &head->content_length) || head->content_length > INT64_MAX)
            return ERR_BAD_FRAMING;
    }
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
           head->header_count == http1->lines - 1;
}

static enum err head_parse(struct net_http1 *http1)
{
    struct span text = span_make(http1->text + http1->start, http1->text_bytes - http1->start);
    struct span rest = text;
    struct span line;
    llhttp_errno_t error;
    enum err err;

    PC_ASSERT(http1->lines > 0 && span_cut(&rest, '\r', &line));
    err = request_line_read(http1, line, &http1->head);
    if (err)
        return err;
    http1->headers = arena_array(http1->arena, http1->lines, sizeof(*http1->headers));
    if (http1->headers == NULL)
        return ERR_NO_MEMORY;
    http1->head.headers = http1->headers;
    error = llhttp_execute(&http1->parser, text.ptr, text.len);
    if (error != HPE_PAUSED)
        return grammar_err(error);
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
    err = head_gather(http1, input, &found);
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
    skip(input, take);
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

static int on_chunk_line(llhttp_t *parser)
{
    of_parser(parser)->in_trailers = parser->content_length == 0;
    return 0;
}

static int on_complete(llhttp_t *parser)
{
    struct net_http1 *http1 = of_parser(parser);

    http1->message_done = true;
    return HPE_PAUSED;
}

/* Chunk lines, the ends of chunks, trailers: no stray CR or LF, no folding, no control bytes, and
 * not too many of them between two pieces of data. */
static enum err framing_check(struct net_http1 *http1, struct span framing)
{
    for (size_t i = 0; i < framing.len; i++) {
        unsigned char c = (unsigned char)framing.ptr[i];

        if ((c == '\n') != http1->after_cr)
            return ERR_BAD_FRAMING;
        if (http1->after_lf && (c == ' ' || c == '\t'))
            return ERR_BAD_FRAMING;
        if ((c < ' ' && c != '\r' && c != '\n' && c != '\t') || c == 0x7f)
            return ERR_BAD_FRAMING;
        http1->after_cr = c == '\r';
        http1->after_lf = c == '\n';
    }
    http1->framing_bytes += framing.len;
    if (!http1->in_trailers && http1->framing_bytes > CHUNK_LINE_BYTES_MAX)
        return ERR_BAD_FRAMING;
    if (http1->framing_bytes > http1->limits->head_bytes_max)
        return ERR_HEADERS_TOO_LARGE;
    return ERR_OK;
}

static enum net_http1_event chunks_next(struct net_http1 *http1, struct span *input,
                                        struct span *ret_piece, enum err *ret_err)
{
    const char *begin = input->ptr;
    struct span framing = *input;
    llhttp_errno_t error;
    enum err err;

    if (input->len == 0)
        return NET_HTTP1_MORE;
    http1->piece = (struct span){0};
    llhttp_resume(&http1->parser);
    error = llhttp_execute(&http1->parser, input->ptr, input->len);
    if (error != HPE_OK && error != HPE_PAUSED)
        return bad(http1, ERR_BAD_FRAMING, ret_err);
    if (http1->piece.len > 0)
        framing = span_make(begin, (size_t)(http1->piece.ptr - begin));
    else if (http1->message_done)
        framing = span_make(begin, (size_t)(llhttp_get_error_pos(&http1->parser) - begin));
    err = framing_check(http1, framing);
    if (err)
        return bad(http1, err, ret_err);
    skip(input, framing.len + http1->piece.len);
    if (http1->piece.len > 0) {
        http1->framing_bytes = 0;
        *ret_piece = http1->piece;
        return NET_HTTP1_BODY;
    }
    if (http1->message_done)
        http1->state = NET_HTTP1_COMPLETE;
    return http1->message_done ? NET_HTTP1_END : NET_HTTP1_MORE;
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
    for (size_t i = 0; i < head->header_count; i++) {
        if (span_equal(head->headers[i].name, name))
            return &head->headers[i];
    }
    return NULL;
}

size_t net_head_count(const struct net_head *head, struct span name)
{
    size_t count = 0;

    for (size_t i = 0; i < head->header_count; i++) {
        if (span_equal(head->headers[i].name, name))
            count++;
    }
    return count;
}
