/* SPDX-License-Identifier: MIT
 * The answer reader of http1_answer.h: what an upstream says, before anything of it is believed.
 *
 *      +--interim--+
 *      v           |
 *   IN_HEAD --head_next--> IN_LENGTH --length_next------------------> COMPLETE
 *      |        |                                                      ^ ^ ^ ^
 *      |        +--> IN_CHUNKS --chunks_next--> IN_TRAILERS            | | | |
 *      |        |                                    +--trailers_next--+ | | |
 *      |        +--> IN_CLOSE --net_answer_close-------------------------+ | |
 *      |        +-- no body -----------------------------------------------+ |
 *      |        +-- 101: the rest is another protocol -----------------------+
 *      +-- and from each: bad() --> UNREADABLE
 *
 * Heads and trailers are gathered up to their empty line and given to llhttp as a whole, as heads
 * of requests are (http1.c). An upstream is not trusted to frame what it sends: whatever two
 * readers could take for two different ends is refused, and where it told a length that must not
 * count, the connection is not used again. */
#include "net/http1_answer.h"

#include <llhttp/llhttp.h>
#include <string.h>

#if !LLHTTP_STRICT_MODE
#error "llhttp must be compiled in strict mode"
#endif

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

void net_answer_start(struct net_answer *answer, struct arena *arena,
                      const struct net_answer_limits *limits, bool is_head, bool upgrade)
{
    *answer = (struct net_answer){
        .is_head = is_head,
        .upgrade = upgrade,
        .limits = *limits,
        .lines = {.arena = arena, .bytes_max = limits->head_bytes_max},
    };
}

static enum net_answer_event bad(struct net_answer *answer, const char *why, const char **ret_why)
{
    PC_ASSERT(why != NULL);
    answer->state = NET_ANSWER_UNREADABLE;
    answer->why = why;
    *ret_why = why;
    return NET_ANSWER_BAD;
}

static enum net_answer_event end(struct net_answer *answer, const struct span *input)
{
    answer->state = NET_ANSWER_COMPLETE;
    answer->ended = true;
    answer->excess |= input->len > 0;
    return NET_ANSWER_END;
}

static struct net_answer *of_parser(llhttp_t *parser)
{
    return parser->data;
}

static int on_header_name(llhttp_t *parser, const char *at, size_t len)
{
    struct net_answer *answer = of_parser(parser);

    return net_header_list_name(&answer->headers, &answer->lines, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    return net_header_list_value(&of_parser(parser)->headers, at, len);
}

static int on_pause(llhttp_t *parser)
{
    return HPE_PAUSED;
}

static const char *grammar_why(llhttp_errno_t error)
{
    switch ((int)error) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return "Content-Length twice or beside Transfer-Encoding";
    case HPE_INVALID_CONTENT_LENGTH:
        return "a malformed Content-Length";
    case HPE_INVALID_TRANSFER_ENCODING:
        return "a Transfer-Encoding other than chunked";
    default:
        return "a malformed header";
    }
}

/* --- lines ----------------------------------------------------------------------------------- */

static bool is_clean(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK"; the blank behind the status stands there without a reason, too (RFC 9112, 4).
 * The reason is dropped. */
static bool status_line_read(struct span line, int *ret_minor, int *ret_status)
{
    const char *at = line.ptr;
    int status;

    if (line.len < 13 || memcmp(at, "HTTP/1.", 7) != 0 || (at[7] != '0' && at[7] != '1') ||
        at[8] != ' ' || at[12] != ' ')
        return false;
    if (!is_digit(at[9]) || !is_digit(at[10]) || !is_digit(at[11]))
        return false;
    status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
    if (status < 100 || status > 599 || !is_clean(span_slice(line, 13, line.len)))
        return false;
    *ret_minor = at[7] - '0';
    *ret_status = status;
    return true;
}

static net_line_fn line_check;
static const struct net_lines_rules rules = {.line = line_check};

/* Of a head, and of trailers, which have no status line. The grammar of headers is llhttp's. */
static enum err line_check(void *owner, struct span line, bool *ret_end)
{
    struct net_answer *answer = owner;
    int ignored;

    if (line.len == 0) {
        *ret_end = true;
        return ERR_OK;
    }
    answer->line_count++;
    if (answer->line_count == 1) {
        if (status_line_read(line, &ignored, &ignored))
            return ERR_OK;
        answer->why = "a malformed status line";
        return ERR_BAD_REQUEST;
    }
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t') { /* RFC 9112, 5.2 */
        answer->why = "a folded line";
        return ERR_BAD_REQUEST;
    }
    if (answer->line_count - 1 > answer->limits.headers_max) {
        answer->why = "too many headers";
        return ERR_HEADERS_TOO_LARGE;
    }
    return ERR_OK;
}

static void lines_start(struct net_answer *answer, size_t line_count)
{
    answer->lines = (struct net_lines){.arena = answer->lines.arena,
                                       .bytes_max = answer->limits.head_bytes_max};
    answer->line_count = line_count;
}

/* NULL, or why not. */
static const char *lines_gather(struct net_answer *answer, struct span *input, bool *ret_end)
{
    enum err err = net_lines_gather(&answer->lines, input, &rules, answer, ret_end);

    if (err == ERR_OK)
        return NULL;
    if (err == ERR_NO_MEMORY)
        return "no memory for its headers";
    if (answer->why != NULL)
        return answer->why;
    if (err == ERR_BAD_REQUEST)
        return "a CR or LF that stands alone";
    return answer->state == NET_ANSWER_IN_HEAD ? "too large a head" : "too large trailers";
}

/* Room for what llhttp will find in the lines. */
static bool headers_start(struct net_answer *answer)
{
    struct net_header *items =
        arena_array(answer->lines.arena, answer->line_count, sizeof(*answer->headers.items));

    answer->headers = (struct net_header_list){.items = items, .max = answer->line_count - 1};
    return items != NULL;
}

/* --- heads ----------------------------------------------------------------------------------- */

/* Something else than HTTP (a TLS alert, a mail server) is refused at its first bytes, not when its
 * line ends, which may be never. */
static bool may_begin(const struct net_answer *answer, struct span input)
{
    static const struct span version = SPAN("HTTP/1.");

    for (size_t at = answer->lines.bytes, i = 0; at < version.len && i < input.len; at++, i++) {
        if (input.ptr[i] != version.ptr[at])
            return false;
    }
    return true;
}

static bool parser_start(struct net_answer *answer)
{
    if (answer->parser == NULL)
        answer->parser = arena_alloc(answer->lines.arena, sizeof(*answer->parser));
    if (answer->parser == NULL)
        return false;
    llhttp_init(answer->parser, HTTP_RESPONSE, &settings);
    answer->parser->data = answer;
    return true;
}

/* llhttp and we must have understood the same thing. */
static bool agrees(const struct net_answer *answer, bool told, uint64_t length)
{
    const llhttp_t *parser = answer->parser;
    const struct net_answer_head *head = &answer->head;
    bool chunked = told && length == NET_LENGTH_CHUNKED;

    return parser->http_major == 1 && parser->http_minor == head->minor_version &&
           parser->status_code == head->status && chunked == ((parser->flags & F_CHUNKED) != 0) &&
           (chunked || parser->content_length == length) &&
           head->header_count == answer->headers.max;
}

/* Where the body ends, and what becomes of the connection behind it. RFC 9112, 6.3 and 9.3. */
static const char *body_decide(struct net_answer *answer, bool told, uint64_t length)
{
    struct net_answer_head *head = &answer->head;
    unsigned flags = answer->parser->flags;
    bool bodiless = head->status < 200 || head->status == 204;

    if (head->status == 101) {
        if (!answer->upgrade)
            return "a 101 that nobody asked for";
        if (head->minor_version == 0 || !(flags & F_UPGRADE) || !(flags & F_CONNECTION_UPGRADE))
            return "a 101 without Upgrade";
        head->upgraded = true;
    }
    if ((bodiless && told && length > 0) || (flags & F_CONNECTION_CLOSE))
        answer->spoiled = true;
    head->content_length = bodiless ? 0 : told ? length : NET_LENGTH_CLOSE;
    head->has_body =
        !bodiless && head->status != 304 && !answer->is_head && head->content_length > 0;
    answer->persistent = !answer->spoiled && !head->upgraded &&
                         (head->minor_version == 1 || (flags & F_CONNECTION_KEEP_ALIVE)) &&
                         !(head->has_body && head->content_length == NET_LENGTH_CLOSE);
    return NULL;
}

/* NULL, or why not. */
static const char *head_parse(struct net_answer *answer)
{
    struct span text = span_make(answer->lines.text, answer->lines.bytes);
    struct span line = span_slice(text, 0, span_find(text, '\r'));
    const char *why;
    llhttp_errno_t error;
    bool told = false;
    uint64_t length = 0;

    answer->head = (struct net_answer_head){0};
    if (!parser_start(answer) || !headers_start(answer))
        return "no memory for its headers";
    if (!status_line_read(line, &answer->head.minor_version, &answer->head.status))
        return "a malformed status line";
    error = llhttp_execute(answer->parser, text.ptr, text.len);
    if (error != HPE_PAUSED)
        return grammar_why(error);
    answer->head.headers = answer->headers.items;
    answer->head.header_count = answer->headers.count;
    why = net_length_read(answer->headers.items, answer->headers.count, answer->head.minor_version,
                          &told, &length);
    if (why != NULL)
        return why;
    if (!agrees(answer, told, length))
        return "a head that reads in two ways";
    return body_decide(answer, told, length);
}

static enum net_answer_state body_state(const struct net_answer_head *head)
{
    if (!head->has_body)
        return NET_ANSWER_COMPLETE;
    if (head->content_length == NET_LENGTH_CHUNKED)
        return NET_ANSWER_IN_CHUNKS;
    return head->content_length == NET_LENGTH_CLOSE ? NET_ANSWER_IN_CLOSE : NET_ANSWER_IN_LENGTH;
}

static enum net_answer_event head_next(struct net_answer *answer, struct span *input,
                                       const char **ret_why)
{
    const char *why;
    bool found;

    if (input->len == 0)
        return NET_ANSWER_MORE;
    answer->begun = true;
    if (!may_begin(answer, *input))
        return bad(answer, "not HTTP/1", ret_why);
    why = lines_gather(answer, input, &found);
    if (why == NULL && !found)
        return NET_ANSWER_MORE;
    if (why == NULL)
        why = head_parse(answer);
    if (why != NULL)
        return bad(answer, why, ret_why);
    if (answer->head.status < 200 && !answer->head.upgraded) {
        if (++answer->interims > answer->limits.interims_max)
            return bad(answer, "too many interim answers", ret_why);
        lines_start(answer, 0);
        return NET_ANSWER_INTERIM;
    }
    answer->body_left = answer->head.content_length;
    answer->state = body_state(&answer->head);
    return NET_ANSWER_HEAD;
}

/* --- bodies ---------------------------------------------------------------------------------- */

static enum net_answer_event length_next(struct net_answer *answer, struct span *input,
                                         struct span *ret_piece)
{
    size_t take = input->len < answer->body_left ? input->len : (size_t)answer->body_left;

    if (take == 0)
        return NET_ANSWER_MORE;
    *ret_piece = span_slice(*input, 0, take);
    net_http1_skip(input, take);
    answer->body_left -= take;
    if (answer->body_left == 0)
        answer->state = NET_ANSWER_COMPLETE;
    return NET_ANSWER_BODY;
}

static enum net_answer_event close_next(struct span *input, struct span *ret_piece)
{
    if (input->len == 0)
        return NET_ANSWER_MORE;
    *ret_piece = *input;
    net_http1_skip(input, input->len);
    return NET_ANSWER_BODY;
}

static int on_data(llhttp_t *parser, const char *at, size_t len)
{
    if (len == 0)
        return 0;
    of_parser(parser)->piece = span_make(at, len);
    return HPE_PAUSED;
}

/* Behind the last one llhttp waits until the trailers are all there. */
static int on_chunk_line(llhttp_t *parser)
{
    if (parser->content_length > 0)
        return 0;
    of_parser(parser)->last_chunk = true;
    return HPE_PAUSED;
}

static enum net_answer_event trailers_next(struct net_answer *answer, struct span *input,
                                           const char **ret_why);

static enum net_answer_event chunks_next(struct net_answer *answer, struct span *input,
                                         struct span *ret_piece, const char **ret_why)
{
    struct span framing = *input;
    llhttp_errno_t error;

    if (input->len == 0)
        return NET_ANSWER_MORE;
    answer->piece = (struct span){0};
    llhttp_resume(answer->parser);
    error = llhttp_execute(answer->parser, input->ptr, input->len);
    if (error != HPE_OK && error != HPE_PAUSED)
        return bad(answer, "a malformed chunk", ret_why);
    if (answer->piece.len > 0)
        framing.len = (size_t)(answer->piece.ptr - input->ptr);
    else if (answer->last_chunk)
        framing.len = (size_t)(llhttp_get_error_pos(answer->parser) - input->ptr);
    if (!net_chunking_check(&answer->chunking, framing) ||
        answer->chunking.bytes > NET_CHUNK_LINE_BYTES_MAX)
        return bad(answer, "a malformed chunk", ret_why);
    net_http1_skip(input, framing.len + answer->piece.len);
    if (answer->piece.len > 0) {
        answer->chunking.bytes = 0;
        *ret_piece = answer->piece;
        return NET_ANSWER_BODY;
    }
    if (!answer->last_chunk)
        return NET_ANSWER_MORE;
    lines_start(answer, 1);
    answer->state = NET_ANSWER_IN_TRAILERS;
    return trailers_next(answer, input, ret_why);
}

/* --- trailers -------------------------------------------------------------------------------- */

/* NULL, or why not. */
static const char *trailers_parse(struct net_answer *answer)
{
    llhttp_errno_t error;

    if (!headers_start(answer))
        return "no memory for its headers";
    llhttp_resume(answer->parser);
    error = llhttp_execute(answer->parser, answer->lines.text, answer->lines.bytes);
    if (error != HPE_PAUSED || answer->headers.count != answer->headers.max)
        return "a malformed trailer";
    answer->trailers = answer->headers.items;
    answer->trailer_count = net_trailers_keep(answer->headers.items, answer->headers.count);
    return NULL;
}

static enum net_answer_event trailers_next(struct net_answer *answer, struct span *input,
                                           const char **ret_why)
{
    const char *why;
    bool found;

    if (input->len == 0)
        return NET_ANSWER_MORE;
    why = lines_gather(answer, input, &found);
    if (why == NULL && !found)
        return NET_ANSWER_MORE;
    if (why == NULL && answer->line_count > 1)
        why = trailers_parse(answer);
    return why != NULL ? bad(answer, why, ret_why) : end(answer, input);
}

/* --- all of it ------------------------------------------------------------------------------- */

enum net_answer_event net_answer_next(struct net_answer *answer, struct span *input,
                                      struct span *ret_piece, const char **ret_why)
{
    switch (answer->state) {
    case NET_ANSWER_IN_HEAD:
        return head_next(answer, input, ret_why);
    case NET_ANSWER_IN_LENGTH:
        return length_next(answer, input, ret_piece);
    case NET_ANSWER_IN_CHUNKS:
        return chunks_next(answer, input, ret_piece, ret_why);
    case NET_ANSWER_IN_TRAILERS:
        return trailers_next(answer, input, ret_why);
    case NET_ANSWER_IN_CLOSE:
        return close_next(input, ret_piece);
    case NET_ANSWER_COMPLETE:
        return end(answer, input);
    case NET_ANSWER_UNREADABLE:
        return bad(answer, answer->why, ret_why);
    }
    PC_WRONG("a state of an answer");
}

enum net_answer_event net_answer_close(struct net_answer *answer, const char **ret_why)
{
    static const struct span nothing;

    answer->persistent = false;
    switch (answer->state) {
    case NET_ANSWER_IN_HEAD:
        return bad(answer, answer->begun ? "closed inside its head" : "closed without an answer",
                   ret_why);
    case NET_ANSWER_IN_LENGTH:
    case NET_ANSWER_IN_CHUNKS:
    case NET_ANSWER_IN_TRAILERS:
        return bad(answer, "closed inside its body", ret_why);
    case NET_ANSWER_IN_CLOSE:
    case NET_ANSWER_COMPLETE:
        return end(answer, &nothing);
    case NET_ANSWER_UNREADABLE:
        return bad(answer, answer->why, ret_why);
    }
    PC_WRONG("a state of an answer");
}

bool net_answer_keeps(const struct net_answer *answer)
{
    return answer->ended && answer->persistent && !answer->excess;
}

bool net_answer_begun(const struct net_answer *answer)
{
    return answer->begun;
}
