/* SPDX-License-Identifier: MIT
 * An entry as a line of an export: JSON with everything that its leaf is made of, so that the line
 * can be checked by whoever has it, without us. A field that was erased shows its commitment; one
 * that is there its value and its salt, and never the seed, of which other fields' salts come.
 *
 * Source: RFC 8259 (JSON), RFC 3339 (times), RFC 4648, 5 (base64url). */
#include "trail/trail_line.h"

#include "base/clock.h"
#include "crypto/digest.h"
#include "json/json_writer.h"
#include "trail/trail_priv.h"

enum { ID_TEXT_BYTES = 36, HASH_TEXT_BYTES = 48, TIME_TEXT_BYTES = 64 };

/* 8-4-4-4-12 in lower case. RFC 9562, 4. */
static void id_add(struct json_writer *w, const unsigned char id[TRAIL_ID_BYTES])
{
    char text[ID_TEXT_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));

    for (size_t i = 0; i < TRAIL_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            sbuf_add_char(&out, '-');
        sbuf_add_hex(&out, id + i, 1);
    }
    json_add_text(w, "id", sbuf_span(&out));
}

/* With nanoseconds, and once more as a number that no reader rounds. */
static enum err time_add(struct json_writer *w, int64_t at_ns)
{
    char text[TIME_TEXT_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));

    if (at_ns < 0)
        return ERR_STORE_CORRUPT;
    clock_add_rfc3339(&out, at_ns, 9);
    json_add_text(w, "at", sbuf_span(&out));
    sbuf_truncate(&out, 0);
    sbuf_add_i64(&out, at_ns);
    json_add_text(w, "at_ns", sbuf_span(&out));
    return ERR_OK;
}

static void text_add(struct json_writer *w, const char *name, struct span text)
{
    if (text.len > 0)
        json_add_text(w, name, text);
}

static void plain_add(struct json_writer *w, const struct trail_entry *entry)
{
    text_add(w, "event", entry->event);
    text_add(w, "category", entry->category);
    text_add(w, "severity", entry->severity);
    text_add(w, "outcome", entry->outcome);
    text_add(w, "source", entry->source);
    text_add(w, "actor_kind", entry->actor_kind);
    text_add(w, "client", entry->client);
    text_add(w, "request_id", entry->request_id);
    if (entry->tags.len > 0)
        json_add_raw(w, "tags", entry->tags);
}

static void hash_add(struct json_writer *w, const char *name, const struct trail_hash *hash)
{
    char text[HASH_TEXT_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));

    crypto_base64url_add(&out, span_make(hash->bytes, sizeof(hash->bytes)));
    json_add_text(w, name, sbuf_span(&out));
}

static enum err personal_add(struct json_writer *w, const struct trail_entry *entry,
                             enum trail_personal field)
{
    struct trail_hash hash = {{0}};
    enum trail_stand stand = TRAIL_STAND_NONE;
    enum err err = trail_stand(entry, field, &stand, &hash);

    if (err || stand == TRAIL_STAND_NONE)
        return err;
    json_key_span(w, trail_personal_name(field));
    json_begin_object(w);
    hash_add(w, stand == TRAIL_STAND_ERASED ? "commitment" : "salt", &hash);
    if (stand == TRAIL_STAND_VALUE)
        json_add_text(w, "value", entry->personal[field]);
    json_end_object(w);
    return ERR_OK;
}

enum err trail_line_write(const struct trail_entry *entry, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);
    enum err err;

    json_begin_object(&w);
    json_add_i64(&w, "seq", entry->seq);
    id_add(&w, entry->id);
    err = time_add(&w, entry->at_ns);
    plain_add(&w, entry);
    json_key(&w, "personal");
    json_begin_object(&w);
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT && err == ERR_OK; i++)
        err = personal_add(&w, entry, (enum trail_personal)i);
    json_end_object(&w);
    hash_add(&w, "leaf", &entry->leaf);
    json_end_object(&w);
    sbuf_add_char(out, '\n');
    if (err == ERR_OK && out->full)
        err = ERR_NO_SPACE;
    return err;
}
