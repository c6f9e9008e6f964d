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

/* "./" and doubled slashes change nothing about where a path leads. */
static void path_add(struct sbuf *out, struct span path)
{
    struct span part;

    if (span_starts(path, SPAN_OF("/")))
        sbuf_add_char(out, '/');
    while (span_cut(&path, '/', &part)) {
        if (part.len == 0 || span_is(part, "."))
            continue;
        sbuf_add(out, part);
        sbuf_add_char(out, '/');
    }
}

/* "Localhost" and "127.0.0.1:5432" are one place. */
static void host_add(struct sbuf *out, struct span host)
{
    struct span name;
    struct span port;
    uint64_t number;

    split_last(host, ':', &name, &port);
    if (name.len == 0 || !span_to_u64(port, &number)) {
        name = host;
        port = SPAN_OF("5432");
    }
    if (name.len == 0 || span_is_nocase(name, "localhost"))
        name = SPAN_OF("127.0.0.1");
    for (size_t i = 0; i < name.len; i++)
        sbuf_add_char(out, span_lower_char(name.ptr[i]));
    sbuf_add_char(out, ':');
    sbuf_add(out, port);
    sbuf_add_char(out, ',');
}

static void postgres_add(struct sbuf *out, const struct config_url *url)
{
    static const char *const names[] = {"host", "hostaddr", "port", "dbname"};
    struct span hosts = url->hosts.len > 0 ? url->hosts : SPAN_OF("");
    struct span host;

    while (span_cut(&hosts, ',', &host))
        host_add(out, host);
    sbuf_add(out, url->path);
    for (size_t i = 0; i < PC_COUNT(names); i++) {
        sbuf_add_char(out, '&');
        sbuf_add(out, config_url_query_value(url, names[i]));
    }
}

enum { PLACE_BYTES_MAX = 8192 };

static void place_add(struct sbuf *out, struct span text, struct span data)
{
    struct config_url url = config_url_read(text);

    if (!span_is(url.scheme, "sqlite")) {
        postgres_add(out, &url);
        return;
    }
    sbuf_add_lit(out, "sqlite:");
    if (!span_starts(url.path, SPAN_OF("/")))
        path_add(out, data);
    path_add(out, url.path);
}

bool config_url_is_same(struct span a, struct span b, struct span data)
{
    char rooms[2][PLACE_BYTES_MAX];
    struct sbuf places[2] = {sbuf_over(rooms[0], PLACE_BYTES_MAX),
                             sbuf_over(rooms[1], PLACE_BYTES_MAX)};

    place_add(&places[0], a, data);
    place_add(&places[1], b, data);
    return !places[0].full && span_equal(sbuf_span(&places[0]), sbuf_span(&places[1]));
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
