/* SPDX-License-Identifier: MIT
 * Reading a line of an export. The reader knows the one order of the members and nothing else; it
 * is quick since a million lines are read in a row, and it need not be clever: what it understood
 * is written again by trail_line_write and must be the same bytes, so there is no second text for
 * an entry and nothing in a line that is not understood. */
#include "trail/trail_line.h"

#include <string.h>

#include "crypto/digest.h"
#include "trail/trail_priv.h"

enum { HASH_CHARS = 43, ID_CHARS = 36 };

/* What is left of the line; `bad` is sticky. */
struct cursor {
    const char *at, *end;
    struct arena *arena;
    bool bad;
};

static bool take(struct cursor *c, struct span literal)
{
    if (c->bad || (size_t)(c->end - c->at) < literal.len ||
        memcmp(c->at, literal.ptr, literal.len) != 0)
        return false;
    c->at += literal.len;
    return true;
}

static void need(struct cursor *c, struct span literal)
{
    if (!take(c, literal))
        c->bad = true;
}

#define TAKE(c, literal) take((c), SPAN_OF(literal))
#define NEED(c, literal) need((c), SPAN_OF(literal))

/* ---- texts ---- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \u0000 to \u001f are all that the writer escapes in this way. */
static bool control_read(struct cursor *c, char *ret)
{
    int high, low;

    if (c->end - c->at < 4 || c->at[0] != '0' || c->at[1] != '0')
        return false;
    high = hex_value(c->at[2]);
    low = hex_value(c->at[3]);
    if (high < 0 || high > 7 || low < 0)
        return false;
    *ret = (char)(high * 16 + low);
    c->at += 4;
    return true;
}

/* The backslash is read. */
static bool escape_read(struct cursor *c, char *ret)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    const char *name;

    if (c->at == c->end)
        return false;
    if (*c->at == 'u') {
        c->at++;
        return control_read(c, ret);
    }
    name = memchr(names, *c->at, sizeof(names) - 1);
    if (name == NULL)
        return false;
    *ret = values[name - names];
    c->at++;
    return true;
}

/* Where the text ends, at its closing quote or with the line. */
static const char *text_end(const char *at, const char *end)
{
    while (at < end && *at != '"')
        at += *at == '\\' && at + 1 < end ? 2 : 1;
    return at;
}

/* Up to the closing quote, decoded into the arena; `begin` is where the text began. */
static struct span text_decode(struct cursor *c, const char *begin)
{
    size_t len = (size_t)(c->at - begin);
    char *room = arena_bytes(c->arena, (size_t)(text_end(c->at, c->end) - begin));

    if (room == NULL) {
        c->bad = true;
        return (struct span){0};
    }
    memcpy(room, begin, len);
    while (c->at < c->end && *c->at != '"') {
        char byte = *c->at++;

        if (byte == '\\' && !escape_read(c, &byte))
            break;
        room[len++] = byte;
    }
    need(c, SPAN_OF("\""));
    return span_make(room, len);
}

/* The opening quote is read. */
static struct span text_read(struct cursor *c)
{
    const char *begin = c->at;
    const char *quote = c->bad ? NULL : memchr(begin, '"', (size_t)(c->end - begin));
    const char *escape;

    if (quote == NULL) {
        c->bad = true;
        return (struct span){0};
    }
    escape = memchr(begin, '\\', (size_t)(quote - begin));
    if (escape != NULL) {
        c->at = escape;
        return text_decode(c, begin);
    }
    c->at = quote + 1;
    return span_make(begin, (size_t)(quote - begin));
}

static struct span text_after(struct cursor *c, struct span name)
{
    return take(c, name) ? text_read(c) : (struct span){0};
}

/* ---- other values ---- */

static int64_t number_read(struct cursor *c)
{
    const char *begin = c->at;
    int64_t value = 0;

    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    if (!c->bad && !span_to_i64(span_make(begin, (size_t)(c->at - begin)), &value))
        c->bad = true;
    return value;
}

static void id_read(struct cursor *c, unsigned char ret[TRAIL_ID_BYTES])
{
    struct span text = text_read(c);
    size_t at = 0;

    if (text.len != ID_CHARS) {
        c->bad = true;
        return;
    }
    for (size_t i = 0; i < TRAIL_ID_BYTES; i++) {
        int high, low;

        if (at < text.len && text.ptr[at] == '-')
            at++;
        if (at + 2 > text.len)
            break;
        high = hex_value(text.ptr[at]);
        low = hex_value(text.ptr[at + 1]);
        c->bad = c->bad || high < 0 || low < 0;
        ret[i] = (unsigned char)(((unsigned)high << 4 | (unsigned)low) & 0xff);
        at += 2;
    }
}

static void hash_read(struct cursor *c, unsigned char ret[TRAIL_HASH_BYTES])
{
    struct span text = text_read(c);
    size_t bytes = 0;

    if (text.len != HASH_CHARS ||
        crypto_base64url_decode(text, ret, TRAIL_HASH_BYTES, &bytes) != ERR_OK)
        c->bad = true;
}

/* Everything up to the bracket that closes the list, as it stands. */
static struct span list_read(struct cursor *c)
{
    const char *begin = c->at;

    if (!TAKE(c, "["))
        c->bad = true;
    while (!c->bad && c->at < c->end && *c->at != ']') {
        if (*c->at++ == '"')
            (void)text_read(c);
    }
    NEED(c, "]");
    return span_make(begin, (size_t)(c->at - begin));
}

/* ---- members ---- */

static const struct span personal_names[TRAIL_PERSONAL_COUNT] = {
    [TRAIL_PERSONAL_ACTOR] = SPAN("\"actor\":{\""),
    [TRAIL_PERSONAL_PRINCIPAL] = SPAN("\"principal\":{\""),
    [TRAIL_PERSONAL_ADDRESS] = SPAN("\"address\":{\""),
    [TRAIL_PERSONAL_OBJECT] = SPAN("\"object\":{\""),
    [TRAIL_PERSONAL_REASON] = SPAN("\"reason\":{\""),
    [TRAIL_PERSONAL_DETAILS] = SPAN("\"details\":{\""),
};

static void personal_read(struct cursor *c, struct trail_entry *entry)
{
    unsigned char *erased =
        arena_alloc(c->arena, (size_t)TRAIL_PERSONAL_COUNT * TRAIL_ERASED_BYTES);
    size_t len = 0;

    if (erased == NULL) {
        c->bad = true;
        return;
    }
    NEED(c, ",\"personal\":{");
    for (unsigned i = 0; i < TRAIL_PERSONAL_COUNT; i++) {
        if (len > 0 && c->at < c->end && *c->at == ',')
            c->at++;
        if (!take(c, personal_names[i]))
            continue;
        if (TAKE(c, "salt\":\"")) {
            erased[len] = (unsigned char)(i | TRAIL_ERASED_SALT);
            hash_read(c, erased + len + 1);
            NEED(c, ",\"value\":\"");
            entry->personal[i] = text_read(c);
        } else {
            NEED(c, "commitment\":\"");
            erased[len] = (unsigned char)i;
            hash_read(c, erased + len + 1);
        }
        NEED(c, "}");
        len += TRAIL_ERASED_BYTES;
    }
    NEED(c, "}");
    entry->erased = span_make(erased, len);
}

static void plain_read(struct cursor *c, struct trail_entry *entry)
{
    entry->event = text_after(c, SPAN_OF(",\"event\":\""));
    entry->category = text_after(c, SPAN_OF(",\"category\":\""));
    entry->severity = text_after(c, SPAN_OF(",\"severity\":\""));
    entry->outcome = text_after(c, SPAN_OF(",\"outcome\":\""));
    entry->source = text_after(c, SPAN_OF(",\"source\":\""));
    entry->actor_kind = text_after(c, SPAN_OF(",\"actor_kind\":\""));
    entry->client = text_after(c, SPAN_OF(",\"client\":\""));
    entry->request_id = text_after(c, SPAN_OF(",\"request_id\":\""));
    if (TAKE(c, ",\"tags\":"))
        entry->tags = list_read(c);
}

static void entry_read(struct cursor *c, struct trail_entry *entry)
{
    NEED(c, "{\"seq\":");
    entry->seq = number_read(c);
    NEED(c, ",\"id\":\"");
    id_read(c, entry->id);
    NEED(c, ",\"at\":\"");
    (void)text_read(c); /* it is written again out of at_ns */
    NEED(c, ",\"at_ns\":\"");
    entry->at_ns = number_read(c);
    NEED(c, "\"");
    plain_read(c, entry);
    personal_read(c, entry);
    NEED(c, ",\"leaf\":\"");
    hash_read(c, entry->leaf.bytes);
    NEED(c, "}");
    c->bad = c->bad || c->at != c->end;
}

/* Would the writer have written just this? */
static enum err written_again(struct span line, const struct trail_entry *entry,
                              struct arena *arena)
{
    char *room = arena_bytes(arena, line.len + 1);
    struct sbuf out;

    if (room == NULL)
        return ERR_NO_MEMORY;
    out = sbuf_over(room, line.len + 1);
    if (trail_line_write(entry, &out) != ERR_OK || out.len != line.len + 1 ||
        memcmp(out.ptr, line.ptr, line.len) != 0)
        return ERR_BAD_REQUEST;
    return ERR_OK;
}

enum err trail_line_read(struct span line, struct arena *arena, struct trail_entry *ret)
{
    struct cursor c = {.at = line.ptr, .end = line.ptr + line.len, .arena = arena};
    struct trail_entry entry = {.seq = 0};
    enum err err;

    if (line.len == 0 || line.len > TRAIL_LINE_BYTES_MAX)
        return ERR_BAD_REQUEST;
    entry_read(&c, &entry);
    if (c.bad)
        return arena->overflowed ? ERR_NO_MEMORY : ERR_BAD_REQUEST;
    err = written_again(line, &entry, arena);
    if (!err)
        *ret = entry;
    return err;
}
