/* SPDX-License-Identifier: MIT
 * Card data in free text. It stands where text of people enters (json_bind) and where text from the
 * wire is written down (log lines), so that nothing behind it ever holds a card number.
 *
 * All of it is found from its digits: a run of digits is looked at as card numbers, the letters
 * before it as the beginning of an IBAN, the words before it as the name of a verification value,
 * the signs around it as a track. Text without digits costs one look. */
#include "base/mask.h"

#include <string.h>

#include "base/mask_priv.h"

/* By their bytes: the asterisk, ARABIC FIVE POINTED STAR, FULLWIDTH ASTERISK, a percent-encoded
 * asterisk, LIGHT FIVE SPOKED ASTERISK. */
static const char *star_of(const char *hidden, size_t bytes)
{
    switch (bytes) {
    case 1:
        return "*";
    case 2:
        return "\xD9\xAD";
    case 3:
        return hidden[0] == '%' ? "%2A" : "\xEF\xBC\x8A";
    case 4:
        return "\xF0\x9F\x9E\xAF";
    default:
        PC_WRONG("a character of more than four bytes");
    }
}

void mask_hide(struct mask_scan *scan, size_t at, size_t end)
{
    PC_ASSERT(at < end && end <= scan->text.len);
    scan->found = true;
    if (scan->out != NULL)
        memcpy(scan->out + at, star_of(scan->out + at, end - at), end - at);
}

void mask_hide_all(struct mask_scan *scan, size_t from, size_t to)
{
    struct mask_char c = mask_char_next(scan->text, from);

    for (; c.code != MASK_END && c.at < to; c = mask_char_next(scan->text, c.end)) {
        if (c.code != MASK_STAR)
            mask_hide(scan, c.at, c.end);
    }
}

static void scan_once(struct mask_scan *scan)
{
    size_t at = mask_char_digit(scan->text, 0);

    scan->found = false;
    while (at < scan->text.len && (scan->out != NULL || !scan->found)) {
        size_t end = mask_iban(scan, at);

        if (end == 0)
            end = mask_run(scan, at);
        PC_ASSERT(end > at);
        at = mask_char_digit(scan->text, end);
    }
}

bool mask_finds(struct span text)
{
    struct mask_scan scan = {.text = text};

    scan_once(&scan);
    return scan.found;
}

/* What is left showing may happen to be a number together with its new neighbours: so until nothing
 * is found, and masking twice is masking once. Each time hides digits, so it ends. */
void mask_in_place(char *text, size_t len)
{
    struct mask_scan scan = {.text = {.ptr = text, .len = len}, .out = text};

    do
        scan_once(&scan);
    while (scan.found);
}

enum err mask_card_data(struct span text, struct arena *arena, struct span *ret_text)
{
    char *copy;

    if (!mask_finds(text)) {
        *ret_text = text;
        return ERR_OK;
    }
    copy = arena_bytes(arena, text.len);
    if (copy == NULL)
        return ERR_NO_MEMORY;
    memcpy(copy, text.ptr, text.len);
    mask_in_place(copy, text.len);
    *ret_text = (struct span){.ptr = copy, .len = text.len};
    return ERR_OK;
}
