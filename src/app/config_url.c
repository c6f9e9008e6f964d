/* SPDX-License-Identifier: MIT
 * The parts of a database URL, as far as the rules need them: is it far away, does it hold a
 * password, and how is it shown without one. store/ reads the URL for real. RFC 3986, 3. */
#include "app/config_priv.h"

/* Splits at the last `separator`; all of it is the tail when there is none. */
static void split_last(struct span s, char separator, struct span *ret_head, struct span *ret_tail)
{
    size_t at = s.len;

    while (at > 0 && s.ptr[at - 1] != separator)
        at--;
    *ret_head = at > 0 ? span_slice(s, 0, at - 1) : (struct span){0};
    *ret_tail = span_slice(s, at, s.len);
}

struct config_url config_url_read(struct span url)
{
    struct config_url parts = {0};
    struct span rest = url;
    struct span authority;
    struct span userinfo;

    if (!span_cut(&rest, ':', &parts.scheme))
        return parts;
    if (!span_starts(rest, SPAN_OF("//")) || span_is(parts.scheme, "sqlite")) {
        parts.path = rest;
        return parts;
    }
    rest = span_slice(rest, 2, rest.len);
    /* A password may hold a slash or a question mark that was not encoded: the last @ counts. */
    split_last(rest, '@', &userinfo, &rest);
    parts.user = span_slice(userinfo, 0, span_find(userinfo, ':'));
    parts.password = span_slice(userinfo, parts.user.len + 1, userinfo.len);
    authority = span_slice(rest, 0, span_find(rest, '?'));
    parts.query = span_slice(rest, authority.len + 1, rest.len);
    parts.hosts = span_slice(authority, 0, span_find(authority, '/'));
    parts.path = span_slice(authority, parts.hosts.len, authority.len);
    return parts;
}

struct span config_url_query_value(const struct config_url *url, const char *name)
{
    struct span rest = url->query;
    struct span pair;

    while (span_cut(&rest, '&', &pair)) {
        struct span key = span_slice(pair, 0, span_find(pair, '='));

        if (span_is(key, name))
            return span_slice(pair, key.len + 1, pair.len);
    }
    return (struct span){0};
}

/* A host of this machine: nothing, a socket's folder, or a loopback name or address. */
static bool is_loopback(struct span host)
{
    if (host.len == 0 || host.ptr[0] == '/' || span_starts(host, SPAN_OF("%2F")) ||
        span_starts(host, SPAN_OF("%2f")))
        return true;
    if (span_starts(host, SPAN_OF("[::1]")))
        return true;
    host = span_slice(host, 0, span_find(host, ':'));
    return span_is_nocase(host, "localhost") || span_starts(host, SPAN_OF("127."));
}

static bool all_loopback(struct span hosts)
{
    struct span host;

    while (span_cut(&hosts, ',', &host))
        if (!is_loopback(host))
            return false;
    return true;
}

bool config_url_is_loopback(const struct config_url *url)
{
    return all_loopback(url->hosts) && all_loopback(config_url_query_value(url, "host")) &&
           all_loopback(config_url_query_value(url, "hostaddr"));
}

void config_url_show(struct span url, struct sbuf *out)
{
    struct config_url parts = config_url_read(url);

    sbuf_add(out, parts.scheme);
    if (parts.path.ptr != NULL && span_is(parts.scheme, "sqlite")) {
        sbuf_add_char(out, ':');
        sbuf_add(out, parts.path);
        return;
    }
    sbuf_add_lit(out, "://");
    sbuf_add(out, parts.user);
    if (parts.password.len > 0)
        sbuf_add_lit(out, ":********");
    if (parts.user.len + parts.password.len > 0)
        sbuf_add_char(out, '@');
    sbuf_add(out, parts.hosts);
    sbuf_add(out, parts.path);
    if (parts.query.len > 0)
        sbuf_add_lit(out, "?********");
}
