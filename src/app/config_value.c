/* SPDX-License-Identifier: MIT
 * One text into one checked value, and back into what people may see. The file, the environment and
 * the table's own defaults all pass here, so there is one idea of what a number is: decimal digits
 * without a sign, a leading zero, a base or a separator. */
#include "app/config_priv.h"

#include <arpa/inet.h>
#include <string.h>

enum { MAPPED_BYTES_MAX = 16 };

void config_shown(struct sbuf *out, struct span text)
{
    size_t len = text.len;

    if (len > CONFIG_SHOWN_BYTES_MAX) {
        len = CONFIG_SHOWN_BYTES_MAX;
        while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80)
            len--;
    }
    sbuf_add_json(out, span_slice(text, 0, len));
    if (len < text.len)
        sbuf_add_lit(out, "...");
}

static void add_choices(struct sbuf *out, const char *const *choices)
{
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (i > 0)
            sbuf_add_text(out, choices[i + 1] == NULL ? " or " : ", ");
        sbuf_add_text(out, choices[i]);
    }
}

static void add_range(struct sbuf *out, const struct config_setting *setting)
{
    sbuf_add_format(out, "a number from %u to %u", setting->min, setting->max);
}

static const char *form_kind(enum config_form form)
{
    static const char *const kinds[] = {
        [CONFIG_ANY] = "a text",
        [CONFIG_HOST] = "a host name or an address such as 127.0.0.1, 0.0.0.0 or ::",
        [CONFIG_NETWORK] = "a network such as 10.0.0.0/8 or 2001:db8::/32",
        [CONFIG_ORIGIN] = "an origin such as https://app.example.com, or *",
        [CONFIG_DATABASE] = "a database URL that begins with sqlite: or postgresql://",
        [CONFIG_ROUTE] = "a method and a path such as \"POST /api/v1/auth/login\"",
        [CONFIG_URL] = "a URL such as https://auth.example.com, without query and trailing slash"};

    return form >= CONFIG_NAME ? config_form_kind(form) : kinds[form];
}

void config_value_kind(const struct config_setting *setting, struct sbuf *out)
{
    switch (setting->type) {
    case CONFIG_NUMBER:
        add_range(out, setting);
        return;
    case CONFIG_SWITCH:
        sbuf_add_lit(out, "true or false");
        return;
    case CONFIG_CHOICE:
        add_choices(out, setting->choices);
        return;
    case CONFIG_TEXT:
        if (setting->choices != NULL)
            add_choices(out, setting->choices);
        else
            sbuf_add_text(out, form_kind(setting->form));
        return;
    case CONFIG_TEXTS:
    case CONFIG_ROWS:
        sbuf_add_lit(out, "a list");
        return;
    }
    PC_WRONG("unknown type");
}

/* ---- the forms ---- */

static bool is_alnum(char c)
{
    char lower = span_lower_char(c);

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

static bool is_one_of(struct span s, const char *more)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_alnum(s.ptr[i]) && (s.ptr[i] == '\0' || strchr(more, s.ptr[i]) == NULL))
            return false;
    return s.len > 0;
}

/* A copy with NUL for inet_pton; false when it is too long to be an address. */
static bool to_address(struct span s, int family, unsigned char bytes[MAPPED_BYTES_MAX])
{
    char text[INET6_ADDRSTRLEN];

    if (s.len == 0 || s.len >= sizeof(text) || memchr(s.ptr, '\0', s.len) != NULL)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    return inet_pton(family, text, bytes) == 1;
}

static bool is_address(struct span s)
{
    unsigned char bytes[MAPPED_BYTES_MAX];

    return to_address(s, AF_INET, bytes) || to_address(s, AF_INET6, bytes);
}

static bool is_host(struct span s)
{
    return is_address(s) || (is_one_of(s, "-._") && is_alnum(s.ptr[0]));
}

bool config_host_is_valid(struct span host)
{
    return is_host(host);
}

/* Are all bits after the first `bits` zero? */
static bool ends_in_zeros(const unsigned char *bytes, size_t count, uint64_t bits)
{
    for (size_t i = bits; i < count * 8; i++)
        if (bytes[i / 8] & (0x80U >> (i % 8)))
            return false;
    return true;
}

static bool is_network(struct span s)
{
    unsigned char bytes[MAPPED_BYTES_MAX];
    struct span rest = s;
    struct span address;
    uint64_t bits;
    size_t count;

    if (!span_cut(&rest, '/', &address))
        return false;
    if (to_address(address, AF_INET, bytes))
        count = 4;
    else if (to_address(address, AF_INET6, bytes))
        count = 16;
    else
        return false;
    if (address.len == s.len)
        return true;
    if (!span_to_u64(rest, &bits) || rest.len > 3 || bits > count * 8)
        return false;
    return ends_in_zeros(bytes, count, bits);
}

static bool is_port(struct span s)
{
    uint64_t port;

    return s.len <= 5 && span_to_u64(s, &port) && port > 0 && port <= 65535;
}

bool config_port_is_valid(struct span port)
{
    return is_port(port);
}

/* host[:port], where an IPv6 address stands in brackets. */
static bool is_authority(struct span s)
{
    unsigned char bytes[MAPPED_BYTES_MAX];
    size_t end;

    if (s.len > 0 && s.ptr[0] == '[') {
        end = span_find(s, ']');
        if (end == s.len || !to_address(span_slice(s, 1, end), AF_INET6, bytes))
            return false;
        end++;
    } else {
        end = span_find(s, ':');
        if (!is_host(span_slice(s, 0, end)))
            return false;
    }
    if (end == s.len)
        return true;
    return s.ptr[end] == ':' && is_port(span_slice(s, end + 1, s.len));
}

/* What a browser sends in Origin: lower-case scheme, no path, no trailing slash. RFC 6454, 7. */
static bool is_origin(struct span s)
{
    if (span_is(s, "*"))
        return true;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
            return false;
    if (span_starts(s, SPAN_OF("https://")))
        return is_authority(span_slice(s, 8, s.len));
    if (span_starts(s, SPAN_OF("http://")))
        return is_authority(span_slice(s, 7, s.len));
    return false;
}

static bool is_database(struct span s)
{
    static const struct span schemes[] = {SPAN("sqlite:"), SPAN("postgresql://"),
                                          SPAN("postgres://"), SPAN("postgresql+asyncpg://")};

    for (size_t i = 0; i < PC_COUNT(schemes); i++)
        if (span_starts(s, schemes[i]) && s.len > schemes[i].len)
            return true;
    return false;
}

static bool is_route(struct span s)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
    struct span rest = s;
    struct span method;

    if (!span_cut(&rest, ' ', &method) || method.len == s.len)
        return false;
    if (rest.len == 0 || rest.ptr[0] != '/' || !is_one_of(rest, "/-._~{}"))
        return false;
    for (size_t i = 0; i < PC_COUNT(methods); i++)
        if (span_is(method, methods[i]))
            return true;
    return false;
}

/* RFC 8414, 2: no query, no fragment. Without a slash at its end a path can be added to it. */
static bool is_url(struct span s)
{
    struct span rest;
    size_t end;

    if (span_starts(s, SPAN_OF("https://")))
        rest = span_slice(s, 8, s.len);
    else if (span_starts(s, SPAN_OF("http://")))
        rest = span_slice(s, 7, s.len);
    else
        return false;
    end = span_find(rest, '/');
    if (!is_authority(span_slice(rest, 0, end)))
        return false;
    return end == rest.len ||
           (is_one_of(span_slice(rest, end, rest.len), "/-._~") && !span_ends(rest, SPAN_OF("/")));
}

static bool is_any(struct span s)
{
    return true;
}

static bool has_form(enum config_form form, struct span s)
{
    static bool (*const checks[])(struct span) = {
        [CONFIG_ANY] = is_any,       [CONFIG_HOST] = is_host,         [CONFIG_NETWORK] = is_network,
        [CONFIG_ORIGIN] = is_origin, [CONFIG_DATABASE] = is_database, [CONFIG_ROUTE] = is_route,
        [CONFIG_URL] = is_url};

    PC_ASSERT(form < PC_COUNT(checks));
    return checks[form](s);
}

/* ---- checking ---- */

static bool to_number(const struct config_setting *setting, struct span text, uint32_t *ret)
{
    uint64_t value;

    if (!span_to_u64(text, &value) || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    if (value < setting->min || value > setting->max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool to_choice(const char *const *choices, struct span text, size_t *ret)
{
    for (size_t i = 0; choices[i] != NULL; i++)
        if (span_is(text, choices[i])) {
            *ret = i;
            return true;
        }
    return false;
}

static void add_is_not(const struct config_setting *setting, struct span text, struct sbuf *why)
{
    if (setting->secret)
        sbuf_add_lit(why, "the value is not ");
    else {
        config_shown(why, text);
        sbuf_add_lit(why, " is not ");
    }
    if (setting->type == CONFIG_TEXTS)
        sbuf_add_text(why, form_kind(setting->form));
    else
        config_value_kind(setting, why);
}

static const char *nearest_choice(const char *const *choices, struct span text)
{
    const char *best = NULL;
    size_t best_distance = 3;

    for (size_t i = 0; choices[i] != NULL; i++) {
        struct span choice = span_from(choices[i]);
        size_t distance = span_distance(text, choice);

        if (span_equal_nocase(text, choice) || (text.len >= 2 && span_starts(choice, text)))
            distance = 0;
        if (distance < best_distance && distance < choice.len) {
            best = choices[i];
            best_distance = distance;
        }
    }
    return best;
}

static bool check_choice(const struct config_setting *setting, struct span text, struct sbuf *why)
{
    const char *nearest;
    size_t unused;

    if (to_choice(setting->choices, text, &unused))
        return true;
    add_is_not(setting, text, why);
    nearest = nearest_choice(setting->choices, text);
    if (nearest != NULL)
        sbuf_add_format(why, ", did you mean %s?", nearest);
    return false;
}

static bool check_text(const struct config_setting *setting, struct span text, struct sbuf *why)
{
    if (setting->choices != NULL)
        return check_choice(setting, text, why);
    if (text.len == 0) {
        sbuf_add_lit(why, "the text is empty");
        return false;
    }
    if (text.len > setting->max) {
        sbuf_add_format(why, "the text is longer than %u bytes", setting->max);
        return false;
    }
    if (!span_is_utf8(text) || memchr(text.ptr, '\0', text.len) != NULL) {
        sbuf_add_lit(why, "the text holds a NUL or is not UTF-8");
        return false;
    }
    if (setting->form >= CONFIG_NAME)
        return config_form_check(setting, text, why);
    if (!has_form(setting->form, text)) {
        add_is_not(setting, text, why);
        return false;
    }
    return true;
}

/* "a, b": the form that lists have outside the file. */
static bool check_texts(const struct config_setting *setting, struct span text, struct sbuf *why)
{
    struct config_setting item = *setting;
    struct span part;
    size_t count = 0;

    if (text.len == 0)
        return true;
    item.type = CONFIG_TEXT;
    item.max = CONFIG_ITEM_BYTES_MAX;
    while (span_cut(&text, ',', &part)) {
        if (!check_text(&item, span_trim(part), why))
            return false;
        count++;
    }
    if (count > setting->max) {
        sbuf_add_format(why, "the list has more than %u items", setting->max);
        return false;
    }
    return true;
}

bool config_value_check(const struct config_setting *setting, struct span text, struct sbuf *why)
{
    uint32_t number;

    switch (setting->type) {
    case CONFIG_NUMBER:
        if (to_number(setting, text, &number))
            return true;
        break;
    case CONFIG_SWITCH:
        if (span_is(text, "true") || span_is(text, "false"))
            return true;
        break;
    case CONFIG_CHOICE:
        return check_choice(setting, text, why);
    case CONFIG_TEXT:
        return check_text(setting, text, why);
    case CONFIG_TEXTS:
        return check_texts(setting, text, why);
    case CONFIG_ROWS:
        break;
    }
    add_is_not(setting, text, why);
    return false;
}

/* ---- setting ---- */

static enum err set_texts(struct span text, struct arena *arena, struct config_texts *ret)
{
    struct config_texts list = {0};
    struct span rest = text;
    struct span part;
    size_t count = 0;

    if (text.len == 0) {
        *ret = list;
        return ERR_OK;
    }
    while (span_cut(&rest, ',', &part))
        count++;
    list.items = arena_array(arena, count, sizeof(*list.items));
    if (list.items == NULL)
        return ERR_NO_MEMORY;
    while (span_cut(&text, ',', &part)) {
        const char *item = arena_string(arena, span_trim(part));

        if (item == NULL)
            return ERR_NO_MEMORY;
        list.items[list.count++] = item;
    }
    *ret = list;
    return ERR_OK;
}

enum err config_value_set(const struct config_setting *setting, struct span text,
                          struct arena *arena, void *base)
{
    char *at = (char *)base + setting->offset;
    const char *string;
    uint32_t number = 0;
    size_t choice = 0;
    bool on;

    switch (setting->type) {
    case CONFIG_NUMBER:
        PC_ASSERT(to_number(setting, text, &number));
        memcpy(at, &number, sizeof(number));
        return ERR_OK;
    case CONFIG_SWITCH:
        on = span_is(text, "true");
        memcpy(at, &on, sizeof(on));
        return ERR_OK;
    case CONFIG_CHOICE:
        PC_ASSERT(to_choice(setting->choices, text, &choice));
        number = (uint32_t)choice + setting->choice_first;
        memcpy(at, &number, sizeof(number));
        return ERR_OK;
    case CONFIG_TEXT:
        string = arena_string(arena, text);
        if (string == NULL)
            return ERR_NO_MEMORY;
        memcpy(at, &string, sizeof(string));
        return ERR_OK;
    case CONFIG_TEXTS:
        return set_texts(text, arena, (struct config_texts *)(void *)at);
    case CONFIG_ROWS:
        break;
    }
    PC_WRONG("rows come from the file only");
}
