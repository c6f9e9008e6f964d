/* SPDX-License-Identifier: MIT
 * The authorization request: read from its query, checked, and answered by a redirect. Pure; the
 * journey around it is oauth_authorize_http.c.
 *
 * A mistake in client_id or redirect_uri is told to the person at the screen, since a redirect
 * would make us an open redirector (RFC 9700, 4.11); every other one is told to the client. */
#include "oauth/oauth_page_priv.h"

#include "http/http_path.h"

#define MARK OAUTH_MARK "="

enum place {
    PLACE_CLIENT_ID,
    PLACE_REDIRECT_URI,
    PLACE_RESPONSE_TYPE,
    PLACE_RESPONSE_MODE,
    PLACE_SCOPE,
    PLACE_STATE,
    PLACE_CHALLENGE,
    PLACE_METHOD,
    PLACE_NONCE,
    PLACE_PROMPT,
    PLACE_MAX_AGE,
    PLACE_LOGIN_HINT,
    PLACE_ID_TOKEN_HINT,
    PLACE_REQUEST,
    PLACE_REQUEST_URI,
    PLACE_REGISTRATION,
    PLACE_COUNT
};

static const char *const names[PLACE_COUNT] = {
    [PLACE_CLIENT_ID] = "client_id",
    [PLACE_REDIRECT_URI] = "redirect_uri",
    [PLACE_RESPONSE_TYPE] = "response_type",
    [PLACE_RESPONSE_MODE] = "response_mode",
    [PLACE_SCOPE] = "scope",
    [PLACE_STATE] = "state",
    [PLACE_CHALLENGE] = "code_challenge",
    [PLACE_METHOD] = "code_challenge_method",
    [PLACE_NONCE] = "nonce",
    [PLACE_PROMPT] = "prompt",
    [PLACE_MAX_AGE] = "max_age",
    [PLACE_LOGIN_HINT] = "login_hint",
    [PLACE_ID_TOKEN_HINT] = "id_token_hint",
    [PLACE_REQUEST] = "request",
    [PLACE_REQUEST_URI] = "request_uri",
    [PLACE_REGISTRATION] = "registration",
};

/* ---- reading ----------------------------------------------------------------------------------
 */

bool oauth_query_is_plain(struct span query)
{
    for (size_t i = 0; i < query.len; i++) {
        if (query.ptr[i] <= 0x20 || query.ptr[i] >= 0x7F)
            return false;
    }
    return query.len <= OAUTH_REQUEST_BYTES_MAX;
}

static void parameter_take(struct oauth_parameter *list, size_t count, struct span name,
                           struct span value)
{
    for (size_t i = 0; i < count; i++) {
        if (!span_is(name, list[i].name))
            continue;
        list[i].twice = list[i].once;
        list[i].once = true;
        list[i].value = value;
    }
}

enum err oauth_parameters_read(struct span query, struct arena *arena, struct oauth_parameter *list,
                               size_t count)
{
    struct span name;
    struct span value;
    enum err err;

    if (!oauth_query_is_plain(query))
        return ERR_BAD_QUERY;
    while ((err = http_query_next(&query, arena, &name, &value)) == ERR_OK)
        parameter_take(list, count, name, value);
    return err == ERR_END ? ERR_OK : err;
}

/* Cuts the mark off the end. */
static struct span mark_cut(struct span *query)
{
    size_t at = query->len;
    struct span last;

    while (at > 0 && query->ptr[at - 1] != '&')
        at--;
    last = span_slice(*query, at, query->len);
    if (!span_starts(last, SPAN_OF(MARK)))
        return (struct span){0};
    *query = span_slice(*query, 0, at > 0 ? at - 1 : 0);
    return span_slice(last, sizeof(MARK) - 1, last.len);
}

static void refuse(struct oauth_authorize *request, const char *error, const char *why)
{
    if (request->error != NULL)
        return;
    request->error = error;
    request->why = why;
}

static bool is_base64url(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* OpenID Connect Core, 3.1.2.1: `none` stands alone. */
static void read_prompt(struct oauth_authorize *request, struct span list)
{
    static const struct {
        const char *name;
        enum oauth_prompt prompt;
    } prompts[] = {{"none", OAUTH_PROMPT_NONE},
                   {"login", OAUTH_PROMPT_LOGIN},
                   {"consent", OAUTH_PROMPT_CONSENT},
                   {"select_account", OAUTH_PROMPT_SELECT}};
    struct span word;

    while (span_cut(&list, ' ', &word)) {
        unsigned found = 0;

        for (size_t i = 0; i < PC_COUNT(prompts); i++)
            found |= span_is(word, prompts[i].name) ? (unsigned)prompts[i].prompt : 0;
        if (found == 0 && word.len > 0)
            refuse(request, "invalid_request", "This value of prompt is not known.");
        request->prompt |= found;
    }
    if ((request->prompt & OAUTH_PROMPT_NONE) && request->prompt != OAUTH_PROMPT_NONE)
        refuse(request, "invalid_request", "prompt=none stands alone.");
}

static void read_max_age(struct oauth_authorize *request, struct span text)
{
    uint64_t seconds;

    request->max_age_s = -1;
    if (text.len == 0)
        return;
    if (!span_to_u64(text, &seconds) || seconds > INT32_MAX)
        refuse(request, "invalid_request", "max_age is not a number of seconds.");
    else
        request->max_age_s = (int64_t)seconds;
}

static void check_type(struct oauth_authorize *request, const struct oauth_parameter *list)
{
    struct span type = list[PLACE_RESPONSE_TYPE].value;
    struct span mode = list[PLACE_RESPONSE_MODE].value;

    if (list[PLACE_REQUEST].value.len > 0)
        refuse(request, "request_not_supported", "Request objects are not supported.");
    if (list[PLACE_REQUEST_URI].value.len > 0)
        refuse(request, "request_uri_not_supported", "Request objects are not supported.");
    if (list[PLACE_REGISTRATION].value.len > 0)
        refuse(request, "registration_not_supported", "Clients are registered beforehand.");
    if (type.len == 0)
        refuse(request, "invalid_request", "response_type is missing.");
    else if (!span_is(type, "code"))
        refuse(request, "unsupported_response_type", "Only response_type=code is supported.");
    if (mode.len > 0 && !span_is(mode, "query"))
        refuse(request, "invalid_request", "Only response_mode=query is supported.");
}

/* RFC 7636, 4.4.1; RFC 9700, 2.1.1: from everybody, and never `plain`. */
static void check_challenge(struct oauth_authorize *request, const struct oauth_parameter *list)
{
    if (request->challenge.len == 0)
        refuse(request, "invalid_request", "code_challenge is missing.");
    if (!span_is(list[PLACE_METHOD].value, "S256"))
        refuse(request, "invalid_request", "code_challenge_method must be S256.");
    if (request->challenge.len != OAUTH_CHALLENGE_BYTES || !is_base64url(request->challenge))
        refuse(request, "invalid_request", "code_challenge must be a SHA-256 as base64url.");
}

static void check_texts(struct oauth_authorize *request)
{
    if (request->state.len > OAUTH_STATE_BYTES_MAX) {
        refuse(request, "invalid_request", "state is too long.");
        request->state = (struct span){0};
    }
    if (request->nonce.len > OAUTH_NONCE_BYTES_MAX)
        refuse(request, "invalid_request", "nonce is too long.");
    if (request->scope.len == 0)
        refuse(request, "invalid_scope", "scope is missing.");
    else if (!oauth_scope_is_valid(request->scope))
        refuse(request, "invalid_scope", "scope is not a list of names.");
}

static void check_twice(struct oauth_authorize *request, const struct oauth_parameter *list)
{
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        if (list[i].twice)
            refuse(request, "invalid_request", "A parameter came twice.");
    }
    if (list[PLACE_STATE].twice) /* which of them is meant? */
        request->state = (struct span){0};
}

/* Without both there is nobody to answer. */
static const char *find_fault(const struct oauth_parameter *list)
{
    if (list[PLACE_CLIENT_ID].twice || list[PLACE_CLIENT_ID].value.len == 0)
        return "The request does not say which application asks.";
    if (list[PLACE_REDIRECT_URI].twice || list[PLACE_REDIRECT_URI].value.len == 0)
        return "The request does not say where to return to.";
    return NULL;
}

enum err oauth_authorize_read(struct span query, struct arena *arena,
                              struct oauth_authorize *ret_request, const char **reterr_why)
{
    struct oauth_parameter list[PLACE_COUNT] = {0};
    struct oauth_authorize request = {0};
    enum err err;

    for (size_t i = 0; i < PLACE_COUNT; i++)
        list[i].name = names[i];
    request.mark = mark_cut(&query);
    request.query = query;
    err = oauth_parameters_read(query, arena, list, PLACE_COUNT);
    *reterr_why = err == ERR_BAD_QUERY ? "The request is malformed." : find_fault(list);
    if (err == ERR_OK || err == ERR_BAD_QUERY)
        err = *reterr_why == NULL ? ERR_OK : ERR_OAUTH_INVALID_REQUEST;
    if (err)
        return err;
    request.client_id = list[PLACE_CLIENT_ID].value;
    request.redirect_uri = list[PLACE_REDIRECT_URI].value;
    request.state = list[PLACE_STATE].value;
    request.scope = list[PLACE_SCOPE].value;
    request.challenge = list[PLACE_CHALLENGE].value;
    request.nonce = list[PLACE_NONCE].value;
    request.login_hint = list[PLACE_LOGIN_HINT].value;
    request.id_token_hint = list[PLACE_ID_TOKEN_HINT].value;
    check_twice(&request, list);
    check_type(&request, list);
    check_challenge(&request, list);
    check_texts(&request);
    read_prompt(&request, list[PLACE_PROMPT].value);
    read_max_age(&request, list[PLACE_MAX_AGE].value);
    *ret_request = request;
    return ERR_OK;
}

void oauth_authorize_check(struct oauth_authorize *request, const struct oauth_client *client)
{
    if (!oauth_list_has(client->grants, SPAN_OF("authorization_code")))
        refuse(request, "unauthorized_client", "This client may not ask users.");
    if (!oauth_list_within(request->scope, client->scopes))
        refuse(request, "invalid_scope", "The client may not ask for one of these scopes.");
}

/* ---- answering --------------------------------------------------------------------------------
 */

/* RFC 3986, 2.3: whatever is not unreserved is encoded, so the client reads back the same bytes. */
static void encode(struct sbuf *out, struct span text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        const char escape[] = {'%', digits[c >> 4], digits[c & 15]};

        if (is_base64url(span_make(&text.ptr[i], 1)) || c == '.' || c == '~')
            sbuf_add_char(out, (char)c);
        else
            sbuf_add_bytes(out, escape, sizeof(escape));
    }
}

/* RFC 6749, 3.1.2: the address may have a query of its own, which stays. */
static void add_parameter(struct sbuf *out, const char *name, struct span value)
{
    struct span so_far = sbuf_span(out);
    char last = so_far.len > 0 ? so_far.ptr[so_far.len - 1] : '\0';

    if (span_find(so_far, '?') == so_far.len)
        sbuf_add_char(out, '?');
    else if (last != '?' && last != '&')
        sbuf_add_char(out, '&');
    sbuf_add_text(out, name);
    sbuf_add_char(out, '=');
    encode(out, value);
}

enum err oauth_authorize_location(const struct oauth_authorize *request, struct span issuer,
                                  const char *name, struct span value, const char *why,
                                  struct arena *arena, struct span *ret_location)
{
    struct sbuf out = sbuf_on(arena, OAUTH_LOCATION_BYTES_MAX);

    sbuf_add(&out, request->redirect_uri);
    add_parameter(&out, name, value);
    if (why != NULL)
        add_parameter(&out, "error_description", span_from(why));
    if (request->state.len > 0)
        add_parameter(&out, "state", request->state);
    add_parameter(&out, "iss", issuer); /* RFC 9207, 2 */
    return sbuf_finish(&out, ret_location);
}

enum err oauth_location_with(struct span uri, const char *name, struct span value,
                             struct arena *arena, struct span *ret_location)
{
    struct sbuf out = sbuf_on(arena, OAUTH_LOCATION_BYTES_MAX);

    sbuf_add(&out, uri);
    if (value.len > 0)
        add_parameter(&out, name, value);
    return sbuf_finish(&out, ret_location);
}

/* CSP 3, 2.3.1: letters, digits and dashes between dots, and a port; no IPv6 address. */
static bool is_source_host(struct span authority)
{
    for (size_t i = 0; i < authority.len; i++) {
        char c = authority.ptr[i];

        if (c != '.' && c != ':' && (c == '_' || !is_base64url(span_make(&c, 1))))
            return false;
    }
    return authority.len > 0;
}

enum err oauth_uri_source(struct span uri, struct arena *arena, struct span *ret_source)
{
    size_t colon = span_find(uri, ':');
    struct span rest = span_slice(uri, colon + 1, uri.len);
    struct sbuf out = sbuf_on(arena, OAUTH_LOCATION_BYTES_MAX);

    sbuf_add(&out, span_slice(uri, 0, colon));
    sbuf_add_char(&out, ':');
    if (span_starts(rest, SPAN_OF("//"))) {
        size_t end = 2;

        while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
            end++;
        if (is_source_host(span_slice(rest, 2, end)))
            sbuf_add(&out, span_slice(rest, 0, end));
    }
    return sbuf_finish(&out, ret_source);
}
