/* SPDX-License-Identifier: MIT
 * libFuzzer: any query at the authorization endpoint, and any text on a page. Whatever is answered
 * is one line, ends where the client's address begins, and gives the state back; nothing of a text
 * can leave the place where it stands in the page. */
#include "http/http_path.h"
#include "oauth/oauth_page_priv.h"

enum { ARENA_BYTES_MAX = 4 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        PC_ASSERT(text.ptr[i] > 0x20 && text.ptr[i] < 0x7F);
}

/* The state as the client reads it: the last of that name, which is ours. */
static void check_location(const struct oauth_authorize *request, struct span location,
                           struct arena *arena)
{
    struct span base = request->redirect_uri;
    struct span rest = span_slice(location, base.len, location.len);
    struct span name;
    struct span value;
    struct span state = {0};

    PC_ASSERT(span_starts(location, base));
    check_plain(rest);
    if (rest.len > 0 && (rest.ptr[0] == '?' || rest.ptr[0] == '&'))
        rest = span_slice(rest, 1, rest.len);
    while (http_query_next(&rest, arena, &name, &value) == ERR_OK) {
        if (span_is(name, "state"))
            state = value;
    }
    PC_ASSERT(span_equal(state, request->state));
}

static void check_request(struct span query, struct arena *arena)
{
    struct oauth_authorize request;
    struct span text;
    const char *why;

    if (oauth_authorize_read(query, arena, &request, &why) != ERR_OK)
        return;
    PC_ASSERT(request.client_id.len > 0 && request.redirect_uri.len > 0);
    PC_ASSERT((request.error == NULL) == (request.why == NULL));
    PC_ASSERT(request.error != NULL || request.challenge.len == OAUTH_CHALLENGE_BYTES);
    PC_ASSERT(request.state.len <= OAUTH_STATE_BYTES_MAX);
    if (oauth_authorize_location(&request, SPAN_OF("https://a.example"), "code", SPAN_OF("c"), NULL,
                                 arena, &text) == ERR_OK)
        check_location(&request, text, arena);
    if (oauth_uri_source(request.redirect_uri, arena, &text) == ERR_OK)
        PC_ASSERT(span_starts(
            text, span_slice(request.redirect_uri, 0, span_find(request.redirect_uri, ':'))));
}

static void check_html(struct span text, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, ARENA_BYTES_MAX);

    oauth_html_add(&out, text);
    for (size_t i = 0; i < out.len; i++)
        PC_ASSERT(out.ptr[i] != '<' && out.ptr[i] != '>' && out.ptr[i] != '"' &&
                  out.ptr[i] != '\'' && (unsigned char)out.ptr[i] >= 0x20);
    PC_ASSERT(out.full || span_is_utf8(sbuf_span(&out)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = span_make(data, size);
    struct arena arena;

    if (size > 2 * OAUTH_REQUEST_BYTES_MAX)
        return 0;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    check_request(input, &arena);
    check_html(input, &arena);
    arena_reset(&arena);
    return 0;
}
