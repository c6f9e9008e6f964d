/* SPDX-License-Identifier: MIT
 * Request target to canonical path: the first stop of a request after the wire, and the only place
 * where percent escapes of a path are decoded. One pass decodes and refuses; a second resolves dot
 * segments in place, on decoded text, where "%2e" and "." are the same by then. */
#include "http/http_path.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = span_lower_char(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_escape_byte(struct span s, size_t at)
{
    int high = at + 2 < s.len ? hex_value(s.ptr[at + 1]) : -1;
    int low = high < 0 ? -1 : hex_value(s.ptr[at + 2]);

    return low < 0 ? -1 : high * 16 + low;
}

/* What RFC 3986 wants escaped, we want escaped: a proxy in front may read it another way. A table,
 * since every byte of every request's path is looked up, twice when it is passed on. The '%' is not
 * in it: it stands for itself only when it comes to us. */
static const bool plain[256] = {
    ['!'] = true, ['$'] = true, ['&'] = true, ['\''] = true, ['('] = true, [')'] = true,
    ['*'] = true, ['+'] = true, [','] = true, ['-'] = true,  ['.'] = true, ['/'] = true,
    ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true,  ['4'] = true, ['5'] = true,
    ['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true,  [':'] = true, ['='] = true,
    ['@'] = true, ['A'] = true, ['B'] = true, ['C'] = true,  ['D'] = true, ['E'] = true,
    ['F'] = true, ['G'] = true, ['H'] = true, ['I'] = true,  ['J'] = true, ['K'] = true,
    ['L'] = true, ['M'] = true, ['N'] = true, ['O'] = true,  ['P'] = true, ['Q'] = true,
    ['R'] = true, ['S'] = true, ['T'] = true, ['U'] = true,  ['V'] = true, ['W'] = true,
    ['X'] = true, ['Y'] = true, ['Z'] = true, ['['] = true,  [']'] = true, ['_'] = true,
    ['a'] = true, ['b'] = true, ['c'] = true, ['d'] = true,  ['e'] = true, ['f'] = true,
    ['g'] = true, ['h'] = true, ['i'] = true, ['j'] = true,  ['k'] = true, ['l'] = true,
    ['m'] = true, ['n'] = true, ['o'] = true, ['p'] = true,  ['q'] = true, ['r'] = true,
    ['s'] = true, ['t'] = true, ['u'] = true, ['v'] = true,  ['w'] = true, ['x'] = true,
    ['y'] = true, ['z'] = true, ['~'] = true,
};

static bool path_byte_allowed(unsigned char c, bool escaped)
{
    if (!escaped)
        return plain[c];
    return c >= 0x20 && c != 0x7F && c != '\\' && c != ';' && c != '/';
}

static bool decode_path(struct span raw, char *out, size_t *ret_len)
{
    size_t len = 0;

    for (size_t i = 0; i < raw.len; i++) {
        int c = (unsigned char)raw.ptr[i];
        bool escaped = c == '%';

        if (escaped) {
            c = http_escape_byte(raw, i);
            i += 2;
        }
        if (c < 0 || !path_byte_allowed((unsigned char)c, escaped))
            return false;
        out[len++] = (char)c;
    }
    *ret_len = len;
    return true;
}

/* Drops the last segment of out[0..*len), which ends in '/'. False at the root. */
static bool climb(const char *out, size_t *len)
{
    if (*len <= 1)
        return false;
    (*len)--;
    while (out[*len - 1] != '/')
        (*len)--;
    return true;
}

/* RFC 3986, 5.2.4, with empty segments dropped. Works in place: out never overtakes the input. */
static bool resolve_dots(char *text, size_t text_len, size_t *ret_len)
{
    size_t len = 1; /* text[0] is '/' */
    size_t at = 1;

    while (at < text_len) {
        const char *slash = memchr(text + at, '/', text_len - at);
        size_t end = slash ? (size_t)(slash - text) : text_len;
        struct span segment = {.ptr = text + at, .len = end - at};

        if (span_is(segment, "..")) {
            if (!climb(text, &len))
                return false;
        } else if (segment.len > 0 && !span_is(segment, ".")) {
            memmove(text + len, segment.ptr, segment.len);
            len += segment.len;
            if (slash != NULL)
                text[len++] = '/';
        }
        at = end + 1;
    }
    *ret_len = len;
    return true;
}

/* Only plain bytes, and no segment that is empty or begins with a dot. */
static bool needs_no_work(struct span raw)
{
    for (size_t i = 0; i < raw.len; i++) {
        if (!plain[(unsigned char)raw.ptr[i]])
            return false;
        if (raw.ptr[i] == '/' && i + 1 < raw.len &&
            (raw.ptr[i + 1] == '/' || raw.ptr[i + 1] == '.'))
            return false;
    }
    return true;
}

static enum err canonical_path(struct span raw, struct arena *arena, struct http_target *ret)
{
    char *text;
    size_t len;

    if (raw.len == 0 || raw.ptr[0] != '/')
        return ERR_BAD_PATH;
    if (needs_no_work(raw)) {
        ret->path = raw;
        ret->path_is_plain = true;
        return ERR_OK;
    }
    text = arena_bytes(arena, raw.len);
    if (text == NULL)
        return ERR_NO_MEMORY;
    if (!decode_path(raw, text, &len) || !span_is_utf8(span_make(text, len)) ||
        !resolve_dots(text, len, &len))
        return ERR_BAD_PATH;
    ret->path = span_make(text, len);
    return ERR_OK;
}

/* "http://host[:port]/path": RFC 9112, 3.2.2. Cuts the scheme and authority off *rest. */
static enum err take_authority(struct span *rest, struct span *ret_authority)
{
    static const struct span schemes[] = {SPAN("http://"), SPAN("https://")};

    for (size_t i = 0; i < PC_COUNT(schemes); i++) {
        struct span tail = span_slice(*rest, schemes[i].len, rest->len);
        size_t slash = span_find(tail, '/');
        size_t question = span_find(tail, '?');
        size_t end = slash < question ? slash : question;

        if (!span_equal_nocase(span_slice(*rest, 0, schemes[i].len), schemes[i]))
            continue;
        *ret_authority = span_slice(tail, 0, end);
        *rest = span_slice(tail, end, tail.len);
        return http_host_is_valid(*ret_authority) ? ERR_OK : ERR_BAD_HOST;
    }
    return ERR_BAD_PATH;
}

enum err http_target_read(struct span target, struct arena *arena, struct http_target *ret_target)
{
    struct http_target result = {0};
    size_t question;
    enum err err;

    if (span_is(target, "*")) {
        *ret_target = (struct http_target){.path = target};
        return ERR_OK;
    }
    if (target.len > 0 && target.ptr[0] != '/') {
        err = take_authority(&target, &result.authority);
        if (err)
            return err;
        if (target.len == 0 || target.ptr[0] == '?')
            result.path = SPAN_OF("/");
    }
    question = span_find(target, '?');
    if (question < target.len)
        result.query = span_slice(target, question + 1, target.len);
    if (span_find(result.query, '#') < result.query.len)
        return ERR_BAD_PATH;
    if (result.path.len == 0) {
        err = canonical_path(span_slice(target, 0, question), arena, &result);
        if (err)
            return err;
    }
    *ret_target = result;
    return ERR_OK;
}

static enum err decode_query(struct span raw, struct arena *arena, struct span *ret_text)
{
    char *text;
    size_t len = 0;

    if (raw.len == 0) {
        *ret_text = raw;
        return ERR_OK;
    }
    text = arena_bytes(arena, raw.len);
    if (text == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < raw.len; i++) {
        int c = raw.ptr[i] == '+' ? ' ' : (unsigned char)raw.ptr[i];

        if (c == '%') {
            c = http_escape_byte(raw, i);
            i += 2;
        }
        if (c < 0x20 || c == 0x7F)
            return ERR_BAD_QUERY;
        text[len++] = (char)c;
    }
    *ret_text = span_make(text, len);
    return span_is_utf8(*ret_text) ? ERR_OK : ERR_BAD_QUERY;
}

enum err http_query_next(struct span *rest, struct arena *arena, struct span *ret_name,
                         struct span *ret_value)
{
    struct span part;
    struct span name;
    struct span value;
    size_t equals;
    enum err err;

    do {
        if (rest->len == 0 || !span_cut(rest, '&', &part))
            return ERR_END;
    } while (part.len == 0);
    equals = span_find(part, '=');
    err = decode_query(span_slice(part, 0, equals), arena, &name);
    if (err)
        return err;
    err = decode_query(span_slice(part, equals + 1, part.len), arena, &value);
    if (err)
        return err;
    *ret_name = name;
    *ret_value = value;
    return ERR_OK;
}

static bool port_is_valid(struct span port)
{
    uint64_t value;

    return port.len == 0 || (port.len <= 5 && span_to_u64(port, &value) && value <= 65535);
}

static bool name_is_valid(struct span name)
{
    if (name.len == 0 || name.len > 255)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = span_lower_char(name.ptr[i]);

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'))
            return false;
    }
    return name.ptr[0] != '.' && name.ptr[0] != '-';
}

static bool literal_is_valid(struct span address)
{
    for (size_t i = 0; i < address.len; i++) {
        if (hex_value(address.ptr[i]) < 0 && address.ptr[i] != ':' && address.ptr[i] != '.')
            return false;
    }
    return address.len >= 2 && address.len <= 45;
}

bool http_host_is_valid(struct span host)
{
    size_t end;

    if (host.len > 0 && host.ptr[0] == '[') {
        end = span_find(host, ']');
        if (end == host.len || !literal_is_valid(span_slice(host, 1, end)))
            return false;
        end++;
    } else {
        end = span_find(host, ':');
        if (!name_is_valid(span_slice(host, 0, end)))
            return false;
    }
    if (end == host.len)
        return true;
    return host.ptr[end] == ':' && port_is_valid(span_slice(host, end + 1, host.len));
}

static void add_escaped(struct sbuf *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char text[3] = {'%', digits[c >> 4], digits[c & 15]};

    sbuf_add_bytes(out, text, sizeof(text));
}

/* Most are told apart by their first bytes: asked of every request, about each of a service's. */
bool http_path_is_below(struct span path, const char *top)
{
    size_t same = 0;

    while (same < path.len && path.ptr[same] == top[same] && top[same] != '\0')
        same++;
    return top[same] == '\0' && (same == path.len || path.ptr[same] == '/');
}

void http_path_encode(struct sbuf *out, struct span path)
{
    for (size_t at = 0; at < path.len; at++) {
        size_t from = at;

        while (at < path.len && plain[(unsigned char)path.ptr[at]])
            at++;
        sbuf_add_bytes(out, path.ptr + from, at - from);
        if (at < path.len)
            add_escaped(out, (unsigned char)path.ptr[at]);
    }
}
