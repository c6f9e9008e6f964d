/* SPDX-License-Identifier: MIT
 * What a reply must be like. Every reply is held against the contract's list of headers, and every
 * problem against RFC 9457, without being asked; scenarios add what is particular to them. */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "json/json.h"
#include "play.h"

static bool matches(struct play *play, struct span text, struct span pattern)
{
    const char *subject = arena_string(&play->arena, text);
    const char *expression = arena_string(&play->arena, pattern);
    regex_t regex;
    bool found;

    if (subject == NULL || expression == NULL ||
        regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB) != 0)
        return play_fail(play, "the pattern \"%.*s\" is wrong", SPAN_ARG(pattern));
    found = regexec(&regex, subject, 0, NULL, 0) == 0;
    regfree(&regex);
    return found ||
           play_fail(play, "\"%.*s\" does not match %.*s", SPAN_ARG(text), SPAN_ARG(pattern));
}

/* "= text", "!= text" or "~ pattern" against what was found. */
static bool compare(struct play *play, struct span found, struct span rest)
{
    struct span how = play_word(&rest);

    if (span_is(how, "="))
        return span_equal(found, rest) || play_fail(play, "it is \"%.*s\"", SPAN_ARG(found));
    if (span_is(how, "!="))
        return !span_equal(found, rest) || play_fail(play, "it is just that");
    if (span_is(how, "~"))
        return matches(play, found, rest);
    return play_fail(play, "\"%.*s\" is no comparison", SPAN_ARG(how));
}

/* ---- headers ----------------------------------------------------------------------------------
 */

bool judge_header(struct play *play, struct span rest)
{
    struct span name = play_word(&rest);
    size_t count;
    struct span value = link_header(&play->reply, name, &count);

    if (count == 0)
        return play_fail(play, "there is no header %.*s", SPAN_ARG(name));
    return rest.len == 0 || compare(play, value, rest);
}

/* ---- JSON -------------------------------------------------------------------------------------
 */

/* "users[0].email" */
static const struct json_value *json_at(struct play *play, struct span path)
{
    const struct json_value *value = play->json;

    while (path.len > 0 && value != NULL) {
        size_t end = 0;
        uint64_t index;

        if (path.ptr[0] == '[') {
            end = span_find(path, ']');
            if (!span_to_u64(span_slice(path, 1, end), &index) || !json_is_list(value))
                return NULL;
            value = index < value->count ? &value->items[index] : NULL;
            end++;
        } else {
            while (end < path.len && path.ptr[end] != '.' && path.ptr[end] != '[')
                end++;
            value = json_get_span(value, span_slice(path, 0, end));
        }
        path = span_slice(path, end, path.len);
        if (path.len > 0 && path.ptr[0] == '.')
            path = span_slice(path, 1, path.len);
    }
    return value;
}

static struct span json_shown(const struct json_value *value)
{
    return json_is_text(value) ? value->text : value->source;
}

static bool is_type(struct play *play, const struct json_value *value, struct span type)
{
    static const char *const names[] = {
        [JSON_NONE] = "none",     [JSON_NULL] = "null", [JSON_BOOL] = "bool",
        [JSON_NUMBER] = "number", [JSON_TEXT] = "text", [JSON_LIST] = "list",
        [JSON_OBJECT] = "object"};

    return span_is(type, names[value->type]) || play_fail(play, "it is a %s", names[value->type]);
}

bool judge_json(struct play *play, struct span rest)
{
    struct span path = play_word(&rest);
    const struct json_value *value = json_at(play, path);
    struct span tail = rest;
    struct span how = play_word(&tail);
    uint64_t count;

    if (play->json == NULL)
        return play_fail(play, "the body is not JSON");
    if (value == NULL)
        return play_fail(play, "there is no %.*s in %.*s", SPAN_ARG(path),
                         SPAN_ARG(play->reply.body));
    if (rest.len == 0)
        return true;
    if (span_is(how, "is"))
        return is_type(play, value, tail);
    if (span_is(how, "count"))
        return (span_to_u64(tail, &count) && value->count == count) ||
               play_fail(play, "there are %u", value->count);
    if (span_is(how, "=") && span_equal(value->source, tail))
        return true;
    return compare(play, json_shown(value), rest);
}

/* ---- the body, absence, and finding -----------------------------------------------------------
 */

bool judge_text(struct play *play, struct span rest)
{
    if (span_is(rest, "empty"))
        return play->reply.body.len == 0 || play_fail(play, "there is a body");
    return compare(play, play->reply.body, rest);
}

bool judge_absent(struct play *play, struct span rest)
{
    struct span what = play_word(&rest);
    size_t count;

    if (span_is(what, "json"))
        return json_at(play, rest) == NULL || play_fail(play, "it is there");
    if (span_is(what, "text"))
        return !play_holds(play->reply.body, rest) || play_fail(play, "the body holds it");
    (void)link_header(&play->reply, what, &count);
    return count == 0 || play_fail(play, "it is there");
}

bool play_holds(struct span text, struct span part)
{
    for (size_t i = 0; i + part.len <= text.len; i++) {
        if (span_starts(span_slice(text, i, text.len), part))
            return true;
    }
    return false;
}

/* The value of a cookie that this reply sets. */
static bool find_cookie(struct play *play, struct span name, struct span *ret_value)
{
    const struct link_reply *reply = &play->reply;

    for (size_t i = 0; i < reply->header_count; i++) {
        struct span rest = reply->values[i];
        struct span pair;

        if (!span_is_nocase(reply->names[i], "Set-Cookie") || !span_cut(&rest, ';', &pair) ||
            !span_equal(span_slice(pair, 0, span_find(pair, '=')), name))
            continue;
        *ret_value = span_slice(pair, name.len + 1, pair.len);
        return true;
    }
    return play_fail(play, "no cookie %.*s is set", SPAN_ARG(name));
}

/* The value of a form's field on this page: the attribute behind name="NAME" in the same tag. */
static bool find_field(struct play *play, struct span name, struct span *ret_value)
{
    char wanted[128];
    struct sbuf out = sbuf_over(wanted, sizeof(wanted));
    struct span page = play->reply.body;

    sbuf_add_format(&out, "name=\"%.*s\"", SPAN_ARG(name));
    for (size_t i = 0; i < page.len; i++) {
        struct span tag = span_slice(page, i, page.len);

        if (!span_starts(tag, sbuf_span(&out)))
            continue;
        tag = span_slice(tag, 0, span_find(tag, '>'));
        for (size_t j = 0; j < tag.len; j++) {
            struct span value = span_slice(tag, j, tag.len);

            if (!span_starts(value, SPAN_OF(" value=\"")))
                continue;
            value = span_slice(value, 8, value.len);
            *ret_value = span_slice(value, 0, span_find(value, '"'));
            return true;
        }
    }
    return play_fail(play, "there is no field %.*s with a value", SPAN_ARG(name));
}

/* A parameter of the URL that this reply sends the browser to, as it stands there. */
static bool find_query(struct play *play, struct span name, struct span *ret_value)
{
    size_t count;
    struct span rest = link_header(&play->reply, SPAN_OF("Location"), &count);
    struct span pair;

    rest = span_slice(rest, span_find(rest, '?') + 1, rest.len);
    while (span_cut(&rest, '&', &pair)) {
        if (!span_equal(span_slice(pair, 0, span_find(pair, '=')), name))
            continue;
        *ret_value = span_slice(pair, name.len + 1, pair.len);
        return true;
    }
    return play_fail(play, "the location has no %.*s", SPAN_ARG(name));
}

/* "json PATH", "header NAME", "cookie NAME", "field NAME", "query NAME" or "body" */
bool judge_find(struct play *play, struct span what, struct span *ret_value)
{
    struct span kind = play_word(&what);
    const struct json_value *value;
    size_t count;

    if (span_is(kind, "json")) {
        value = json_at(play, what);
        if (value == NULL)
            return play_fail(play, "there is no %.*s", SPAN_ARG(what));
        *ret_value = json_shown(value);
    } else if (span_is(kind, "header")) {
        *ret_value = link_header(&play->reply, what, &count);
        if (count == 0)
            return play_fail(play, "there is no header %.*s", SPAN_ARG(what));
    } else if (span_is(kind, "cookie")) {
        return find_cookie(play, what, ret_value);
    } else if (span_is(kind, "field")) {
        return find_field(play, what, ret_value);
    } else if (span_is(kind, "query")) {
        return find_query(play, what, ret_value);
    } else {
        *ret_value = play->reply.body;
    }
    return true;
}

/* ---- always -----------------------------------------------------------------------------------
 */

/* Contract, section 2: on every answer. */
static const char *const always[] = {
    "X-Content-Type-Options = nosniff",
    "X-Frame-Options = DENY",
    "X-XSS-Protection = 1; mode=block",
    "Strict-Transport-Security = max-age=63072000; includeSubDomains; preload",
    "Referrer-Policy = no-referrer",
    "Permissions-Policy = camera=(), microphone=(), geolocation=()",
    "Content-Security-Policy ~ default-src 'none'",
    "X-Request-ID ~ ^[A-Za-z0-9._-]{1,128}$",
    "X-Process-Time ~ ^[0-9]+\\.[0-9]{6}$",
    "Date ~ ^[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT$",
    "Cache-Control ~ .",
};

static const struct {
    int status;
    const char *header;
} by_status[] = {
    {302, "Location ~ ."},
    {303, "Location ~ ."},
    {401, "WWW-Authenticate ~ ^(Bearer|Basic)"},
    {405, "Allow ~ [A-Z]"},
    {429, "Retry-After ~ ^[1-9][0-9]*$"},
    {503, "Retry-After ~ ^[1-9][0-9]*$"},
};

static const char *const in_problem[] = {
    "type ~ ^urn:portcullis:problem:[a-z_-]+$",
    "title is text",
    "detail is text",
    "instance ~ ^urn:portcullis:request:",
    "traceId ~ ^[0-9a-f]{32}$",
};

static bool judge_headers(struct play *play)
{
    for (size_t i = 0; i < PC_COUNT(always); i++) {
        if (!judge_header(play, span_from(always[i])))
            return false;
    }
    for (size_t i = 0; i < PC_COUNT(by_status); i++) {
        if (by_status[i].status == play->reply.status &&
            !judge_header(play, span_from(by_status[i].header)))
            return false;
    }
    return true;
}

static bool judge_unique(struct play *play)
{
    const struct link_reply *reply = &play->reply;
    size_t count;

    for (size_t i = 0; i < reply->header_count; i++) {
        (void)link_header(reply, reply->names[i], &count);
        if (count > 1 && !span_is_nocase(reply->names[i], "Vary") &&
            !span_is_nocase(reply->names[i], "Set-Cookie"))
            return play_fail(play, "the header %.*s comes twice", SPAN_ARG(reply->names[i]));
    }
    return true;
}

static bool judge_problem(struct play *play)
{
    char status[32];

    if (!judge_header(play, SPAN_OF("Content-Type = application/problem+json")))
        return false;
    if (play->reply.body.len == 0 && play->request.head)
        return true;
    for (size_t i = 0; i < PC_COUNT(in_problem); i++) {
        if (!judge_json(play, span_from(in_problem[i])))
            return false;
    }
    (void)snprintf(status, sizeof(status), "status = %d", play->reply.status);
    return judge_json(play, span_from(status));
}

/* RFC 6749, 5.2: the token endpoint and its neighbours. */
static bool judge_oauth(struct play *play)
{
    return judge_json(play, SPAN_OF("error ~ ^[a-z_]+$")) &&
           judge_json(play, SPAN_OF("error_description ~ ^[] !#-[^-~]+$")) &&
           judge_header(play, SPAN_OF("Cache-Control = no-store"));
}

/* For people: a whole document in UTF-8. */
static bool judge_page(struct play *play)
{
    return judge_header(play, SPAN_OF("Content-Type = text/html; charset=utf-8")) &&
           judge_text(play, SPAN_OF("~ ^<!doctype html>"));
}

/* Which form an error has is the route's; each is whole. */
static bool judge_error(struct play *play)
{
    size_t count;
    struct span type = link_header(&play->reply, SPAN_OF("Content-Type"), &count);

    if (span_is(type, "application/json"))
        return judge_oauth(play);
    if (span_starts(type, SPAN_OF("text/html")))
        return judge_page(play);
    return judge_problem(play);
}

bool judge_always(struct play *play)
{
    if (play->reply.status < 200)
        return true;
    return judge_headers(play) && judge_unique(play) &&
           (play->reply.status < 400 || judge_error(play));
}
