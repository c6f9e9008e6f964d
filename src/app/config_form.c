/* SPDX-License-Identifier: MIT
 * The forms of texts that routes and upstreams have. Whoever writes a path or a header by hand
 * wants to know what is wrong with it, so each form says that and not only what it expects. */
#include "app/config_priv.h"

#include <string.h>

#include "base/limits.h"
#include "http/http.h"
#include "http/http_router.h"

/* ---- characters ---- */

static bool is_alnum(char c)
{
    char lower = span_lower_char(c);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

static bool is_made_of(struct span s, const char *more)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.ptr[i]) && strchr(more, s.ptr[i]) == NULL)
            return false;
    return s.len > 0;
}

static bool is_lower(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
            return false;
    return true;
}

static bool is_printable(struct span s, char first)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < first || s.ptr[i] > '~')
            return false;
    return true;
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct span s)
{
    return is_made_of(s, "!#$%&'*+-.^_`|~");
}

/* ---- upstreams ---- */

static const char *name_fault(struct span s)
{
    return is_made_of(s, "-") && is_lower(s)
               ? NULL
               : "is not a name, which is made of lower-case letters, digits and -";
}

static const struct span plain = SPAN("http://");
static const struct span safe = SPAN("https://");

/* host[:port] into its parts; false when brackets or what follows them are wrong. */
static bool authority_read(struct span s, struct span *ret_host, struct span *ret_port)
{
    size_t end = span_find(s, ':');

    *ret_host = span_slice(s, 0, end);
    if (s.len > 0 && s.ptr[0] == '[') {
        end = span_find(s, ']');
        *ret_host = span_slice(s, 1, end);
        if (end == s.len || span_find(*ret_host, ':') == ret_host->len)
            return false;
        end++;
    }
    *ret_port = span_slice(s, end + 1, s.len);
    return end == s.len || (s.ptr[end] == ':' && ret_port->len > 0);
}

static struct span after_scheme(struct span url)
{
    return span_slice(url, span_starts(url, safe) ? safe.len : plain.len, url.len);
}

static const char *target_fault(struct span s)
{
    struct span rest = after_scheme(s);
    struct span host;
    struct span port;

    if (!span_starts(s, plain) && !span_starts(s, safe))
        return "begins with neither http:// nor https://";
    if (memchr(rest.ptr, '@', rest.len) != NULL)
        return "holds a user or a password, which a target cannot have";
    if (span_find(rest, '/') < rest.len)
        return "holds a path: end it behind the port, and see add_prefix of the route";
    if (span_find(rest, '?') < rest.len || span_find(rest, '#') < rest.len)
        return "holds a query or a fragment, which a target cannot have";
    if (!authority_read(rest, &host, &port) || !config_host_is_valid(host))
        return "is not a scheme with a host and a port, such as http://[::1]:9001";
    if (port.len > 0 && !config_port_is_valid(port))
        return "has no good port, which is a number from 1 to 65535";
    return NULL;
}

void config_target_read(struct span url, struct span *ret_host, uint32_t *ret_port)
{
    struct span port;
    uint64_t number = span_starts(url, safe) ? 443 : 80;
    bool good = authority_read(after_scheme(url), ret_host, &port);

    PC_ASSERT(good);
    good = port.len == 0 || span_to_u64(port, &number);
    PC_ASSERT(good);
    *ret_port = (uint32_t)number;
}

bool config_target_is_tls(const char *url)
{
    return span_starts(span_from(url), safe);
}

static const char *probe_fault(struct span s)
{
    if (span_is(s, "tcp"))
        return NULL;
    if (s.ptr[0] != '/')
        return "is neither a path, which begins with /, nor tcp";
    return is_made_of(s, "/?-._~!$&'()+,=:@%*;") ? NULL : "holds a character that no path has";
}

/* ---- paths ---- */

enum { PARAMS_MAX = HTTP_PARAMS_MAX, NAME_BYTES_MAX = 32 };

struct params {
    struct span names[PARAMS_MAX];
    size_t count;
};

/* A segment with a brace in it. */
static const char *param_fault(struct span segment, struct params *params)
{
    struct span name = span_slice(segment, 1, segment.len > 0 ? segment.len - 1 : 0);

    if (segment.ptr[0] != '{' || segment.ptr[segment.len - 1] != '}' || !is_made_of(name, "_") ||
        name.len > NAME_BYTES_MAX || (name.ptr[0] >= '0' && name.ptr[0] <= '9'))
        return "has a brace where no whole segment is a parameter such as {id}";
    for (size_t i = 0; i < params->count; i++)
        if (span_equal(params->names[i], name))
            return "names two parameters alike";
    if (params->count == PARAMS_MAX)
        return "has more than 4 parameters";
    params->names[params->count++] = name;
    return NULL;
}
_Static_assert(PARAMS_MAX == 4, "the sentence above says 4");

/* `last`: no segment follows. Those of a prefix stand for themselves. */
static const char *segment_fault(struct span segment, bool last, bool prefix, struct params *params)
{
    bool brace = span_find(segment, '{') < segment.len || span_find(segment, '}') < segment.len;
    bool star = span_find(segment, '*') < segment.len;

    if (segment.len == 0)
        return last ? NULL : "holds //, an empty segment";
    if (span_is(segment, ".") || span_is(segment, ".."))
        return "holds a dot segment, write the path that it leads to";
    if (prefix && (brace || star))
        return "is a prefix, in which { and * mean nothing";
    if (star)
        return segment.len == 1 && last ? NULL : "has a * that is not the whole last segment";
    if (brace)
        return param_fault(segment, params);
    if (span_find(segment, '%') < segment.len)
        return "is percent-encoded, write it as it reads decoded";
    return is_made_of(segment, "-._~!$&'()+,=:@") ? NULL : "holds a character that no path has";
}

static const char *path_fault(struct span s, bool prefix)
{
    struct params params = {0};
    struct span rest = span_slice(s, 1, s.len);
    struct span segment;
    size_t depth = 0;

    if (s.ptr[0] != '/')
        return "does not begin with /";
    if (prefix && s.ptr[s.len - 1] == '/')
        return "is a prefix, which ends without /";
    while (span_cut(&rest, '/', &segment)) {
        bool last = segment.ptr + segment.len == s.ptr + s.len;
        const char *fault = segment_fault(segment, last, prefix, &params);

        if (fault != NULL)
            return fault;
        if (++depth > HTTP_SEGMENTS_MAX)
            return "has more than 16 segments";
    }
    return NULL;
}
_Static_assert(HTTP_SEGMENTS_MAX == 16, "the sentence above says 16");

/* RFC 1123, 2.1; what a client sends is compared in lower case. */
static const char *domain_fault(struct span s)
{
    struct span rest = s;
    struct span label;

    if (span_find(s, '*') < s.len)
        return "holds a *, name each host";
    if (span_find(s, ':') < s.len)
        return "holds a port, a route is for a host on every port";
    if (!is_lower(s))
        return "is not in lower case, in which hosts are compared";
    while (span_cut(&rest, '.', &label))
        if (!is_made_of(label, "-") || label.len > 63 || label.ptr[0] == '-' ||
            label.ptr[label.len - 1] == '-')
            return "is not a host name such as shop.example.com";
    return s.len > 253 ? "is not a host name such as shop.example.com" : NULL;
}

/* ---- headers ---- */

enum { SET = 1, REMOVE = 2, OF_REQUEST = 4, OF_RESPONSE = 8 };
enum { NEVER = SET | REMOVE, ALWAYS = OF_REQUEST | OF_RESPONSE };

#define OURS       "is written by the gateway itself"
#define CONNECTION "belongs to one connection and is never passed on"
#define FRAMING    "says where a message ends, which the gateway writes itself"

/* Headers that a route must leave alone: what it may not do with them, and where. A name that ends
 * with - stands for all that begin so. */
static const struct {
    const char *name;
    unsigned what, where;
    const char *fault;
} kept[] = {
    {"connection", NEVER, ALWAYS, CONNECTION},
    {"keep-alive", NEVER, ALWAYS, CONNECTION},
    {"proxy-connection", NEVER, ALWAYS, CONNECTION},
    {"proxy-authenticate", NEVER, ALWAYS, CONNECTION},
    {"proxy-authorization", NEVER, ALWAYS, CONNECTION},
    {"te", NEVER, ALWAYS, CONNECTION},
    {"upgrade", NEVER, ALWAYS, CONNECTION},
    {"http2-settings", NEVER, ALWAYS, CONNECTION},
    {"trailer", NEVER, ALWAYS, FRAMING},
    {"transfer-encoding", NEVER, ALWAYS, FRAMING},
    {"content-length", NEVER, ALWAYS, FRAMING},
    {"expect", NEVER, OF_REQUEST, FRAMING},
    {"host", NEVER, OF_REQUEST, "is the target's, or the client's with preserve_host: true"},
    {"forwarded", NEVER, OF_REQUEST, OURS},
    {"via", NEVER, ALWAYS, OURS},
    {"x-forwarded-", NEVER, OF_REQUEST, OURS},
    {"x-real-ip", NEVER, OF_REQUEST, OURS},
    {"x-request-id", NEVER, ALWAYS, OURS},
    {"traceparent", NEVER, OF_REQUEST, OURS},
    {"tracestate", NEVER, OF_REQUEST, OURS},
    {"x-portcullis-", NEVER, ALWAYS, OURS},
    {"x-user-", NEVER, OF_REQUEST, OURS},
    {"authorization", SET, OF_REQUEST, "is the client's own: it can be removed, not set"},
    {"cookie", SET, OF_REQUEST, "is the client's own: it can be removed, not set"},
    {"access-control-", NEVER, OF_RESPONSE, "answers CORS, see cors.allowed_origins"},
    {"x-ratelimit-", NEVER, OF_RESPONSE, OURS},
    {"ratelimit", NEVER, OF_RESPONSE, OURS},
    {"ratelimit-policy", NEVER, OF_RESPONSE, OURS},
    {"x-circuit-breaker-state", NEVER, OF_RESPONSE, OURS},
};

static bool is_kept(struct span name, const char *entry)
{
    struct span wanted = span_from(entry);

    if (span_ends(wanted, SPAN_OF("-")) && name.len > wanted.len)
        name.len = wanted.len;
    return span_equal_nocase(name, wanted);
}

static const char *header_fault(struct span name, unsigned what, unsigned where)
{
    if (!is_token(name))
        return "is not the name of a header, which is made of letters, digits and -";
    for (size_t i = 0; i < PC_COUNT(kept); i++)
        if ((kept[i].what & what) != 0 && (kept[i].where & where) != 0 &&
            is_kept(name, kept[i].name))
            return kept[i].fault;
    return NULL;
}

static const char *header_value_fault(struct span s)
{
    if (!is_printable(s, ' '))
        return "holds a line break, a control byte or what is not ASCII";
    return s.ptr[0] == ' ' || s.ptr[s.len - 1] == ' ' ? "begins or ends with a blank" : NULL;
}

/* RFC 6749, 3.3 */
static const char *scope_fault(struct span s)
{
    if (is_printable(s, '!') && span_find(s, '"') == s.len && span_find(s, '\\') == s.len)
        return NULL;
    return "is not a scope, which has no blanks and quotes";
}

static const char *role_fault(struct span s)
{
    return is_made_of(s, "-_.:") ? NULL
                                 : "is not a role, which is made of letters, digits and -_.:";
}

/* ---- all of them ---- */

static const char *pattern_fault(struct span s)
{
    return path_fault(s, false);
}

static const char *prefix_fault(struct span s)
{
    return path_fault(s, true);
}

static const char *token_fault(struct span s)
{
    return is_token(s) ? NULL : "is not the name of a header or cookie";
}

/* RFC 9110, 7.8: a name, and a version where it has one. HTTP itself would carry requests that
 * nobody here has seen. */
static const char *upgrade_fault(struct span s)
{
    struct span name = span_slice(s, 0, span_find(s, '/'));

    if (!is_token(name) || (name.len < s.len && !is_token(span_slice(s, name.len + 1, s.len))))
        return "is not the name of a protocol, such as websocket";
    if (span_is_nocase(name, "h2c") || span_is_nocase(name, "h2") || span_is_nocase(name, "http") ||
        span_is_nocase(name, "tls"))
        return "would carry requests that the gateway never sees";
    return NULL;
}

static const char *request_set_fault(struct span s)
{
    return header_fault(s, SET, OF_REQUEST);
}

static const char *request_remove_fault(struct span s)
{
    return header_fault(s, REMOVE, OF_REQUEST);
}

static const char *response_set_fault(struct span s)
{
    return header_fault(s, SET, OF_RESPONSE);
}

static const char *response_remove_fault(struct span s)
{
    return header_fault(s, REMOVE, OF_RESPONSE);
}

#define HEADER_NAME "the name of a header"

static const struct {
    const char *kind;
    const char *(*fault)(struct span s); /* the end of a sentence; NULL: none */
} forms[] = {
    [CONFIG_NAME] = {"a name of lower-case letters, digits and -", name_fault},
    [CONFIG_TARGET] = {"a URL such as http://127.0.0.1:9001", target_fault},
    [CONFIG_PROBE] = {"a path such as /health, or tcp", probe_fault},
    [CONFIG_PATTERN] = {"a path such as /shop, /shop/{id} or /shop/*", pattern_fault},
    [CONFIG_PREFIX] = {"a path such as /shop, without trailing slash", prefix_fault},
    [CONFIG_DOMAIN] = {"a host name such as shop.example.com", domain_fault},
    [CONFIG_SCOPE] = {"a scope such as orders:read", scope_fault},
    [CONFIG_ROLE] = {"a role such as auditor", role_fault},
    [CONFIG_TOKEN] = {"the name of a header or cookie", token_fault},
    [CONFIG_UPGRADE] = {"a protocol such as websocket", upgrade_fault},
    [CONFIG_REQUEST_SET] = {HEADER_NAME, request_set_fault},
    [CONFIG_REQUEST_REMOVE] = {HEADER_NAME, request_remove_fault},
    [CONFIG_RESPONSE_SET] = {HEADER_NAME, response_set_fault},
    [CONFIG_RESPONSE_REMOVE] = {HEADER_NAME, response_remove_fault},
    [CONFIG_HEADER_VALUE] = {"the value of a header", header_value_fault},
    [CONFIG_REDIS] = {"a URL such as redis://127.0.0.1:6379/0", config_redis_fault},
    [CONFIG_PERIOD] = {"second, minute, hour, day or seconds:N", config_period_fault},
    [CONFIG_LIMIT_KEY] = {"address, user, client, route or header:NAME", config_limit_key_fault},
};

const char *config_form_kind(enum config_form form)
{
    PC_ASSERT(form >= CONFIG_NAME && form < PC_COUNT(forms));
    return forms[form].kind;
}

static bool is_with_password(enum config_form form, struct span text)
{
    return (form == CONFIG_TARGET || form == CONFIG_REDIS) && span_find(text, '@') < text.len;
}

/* A URL with a password in it is not repeated, nor is a secret. */
bool config_form_check(const struct config_setting *setting, struct span text, struct sbuf *why)
{
    const char *fault;

    PC_ASSERT(text.len > 0 && setting->form >= CONFIG_NAME && setting->form < PC_COUNT(forms));
    fault = forms[setting->form].fault(text);
    if (fault == NULL)
        return true;
    if (setting->secret || is_with_password(setting->form, text))
        sbuf_add_lit(why, "the value");
    else
        config_shown(why, text);
    sbuf_add_format(why, " %s", fault);
    return false;
}
