/* SPDX-License-Identifier: MIT
 * Card data in free text. It stands where text of people enters (json_bind) and where text from the
 * wire is written down (log lines), so that nothing behind it ever holds a card number.
 *
 * All of it is found from its digits: a run of digits is looked at as card numbers, the letters
 * before it as the beginning of an IBAN, the words before it as the name of a verification value,
 * the signs around it as a track. Text with hardly a digit costs one look. */
#include "base/mask.h"

#include <string.h>

#include "base/mask_priv.h"

enum { HIDDEN_DIGITS_MIN = 3 }; /* of the shortest that is hidden, a verification value */

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

/* How many digits are among eight bytes; more than enough when one is beyond ASCII, which may begin
 * a digit of another script. The bytes of each term have their top bit when what it says holds. */
static size_t digits_of_eight(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones << 7;
    uint64_t from_zero = (bytes & ~tops) + ones * (0x80 - '0');
    uint64_t past_nine = (bytes & ~tops) + ones * (0x7F - '9');

    if (PC_UNLIKELY((bytes & tops) != 0))
        return HIDDEN_DIGITS_MIN;
    return (size_t)((((from_zero & ~past_nine & tops) >> 7) * ones) >> 56);
}

/* Nothing has fewer digits than a verification value (a "%34" is two of them): most names and paths
 * are known to be clean by this look alone. */
static bool has_few_digits(struct span text)
{
    size_t digits = 0;
    uint64_t bytes;
    size_t at = 0;

    for (; text.len - at >= sizeof(bytes); at += sizeof(bytes)) {
        memcpy(&bytes, text.ptr + at, sizeof(bytes));
        digits += digits_of_eight(bytes);
        if (digits >= HIDDEN_DIGITS_MIN)
            return false;
    }
    bytes = 0;
    if (at < text.len)
        memcpy(&bytes, text.ptr + at, text.len - at);
    return digits + digits_of_eight(bytes) < HIDDEN_DIGITS_MIN;
}

static void scan_once(struct mask_scan *scan)
{
    size_t at;

    scan->found = false;
    if (has_few_digits(scan->text))
        return;
    at = mask_char_digit(scan->text, 0);
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
