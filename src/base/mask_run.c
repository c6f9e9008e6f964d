/* SPDX-License-Identifier: MIT
 * Card numbers in a run of digits: "4111 1111 1111 1111, 5555-5555-5555-4444". The run is read
 * once; at the end of each group every row of whole groups that ends there and has 13 to 19 digits
 * is judged. Of overlapping ones all are hidden, since nobody knows which was meant.
 *
 * What keeps times, ids and amounts out: a row is made of whole groups with nothing of a word or a
 * decimal fraction beside it, grouped as cards are, with an issuer's first digits and length, and
 * Luhn's sum. */
#include <string.h>

#include "base/mask_priv.h"

enum { GAP_CHARACTERS_MAX = 3, WORD_LETTERS_MAX = 12 };

/* Between two groups. */
struct gap {
    uint32_t code; /* of its sign; '-' for " - " */
    size_t count;  /* characters; 0 when no digit follows */
    size_t next;   /* where it does */
};

struct part {
    size_t first; /* of its digits */
    size_t count;
    struct gap before;
};

/* As much of the run as may still belong to a card number. */
struct run {
    unsigned char values[MASK_PAN_DIGITS_MAX];
    struct mask_char digits[MASK_PAN_DIGITS_MAX];
    size_t count;
    struct part parts[MASK_PAN_DIGITS_MAX];
    size_t part_count;
    bool cut;      /* there was more of it, to the left */
    bool too_long; /* the group being read alone is more than a card number */
};

/* A row of parts that may be a card number. */
struct row {
    const struct part *parts;
    size_t part_count;
    size_t digit_count;
    bool whole; /* the run holds nothing else */
};

#define LENGTH(count) (1U << (count))
#define LENGTH_MAESTRO                                                                             \
    (LENGTH(13) | LENGTH(14) | LENGTH(15) | LENGTH(16) | LENGTH(17) | LENGTH(18) | LENGTH(19))

static const struct {
    uint32_t first;
    uint32_t last;
    uint32_t lengths; /* bit by bit */
} issuers[] = {
#define CARD_ISSUER(name, first_, last_, lengths_)                                                 \
    {.first = (first_), .last = (last_), .lengths = (lengths_)},
#include "base/card_issuer.def"
#undef CARD_ISSUER
};

static bool has_issuer(const unsigned char *digits, size_t count)
{
    uint32_t prefix = 0;

    for (size_t i = 0; i < 6; i++)
        prefix = prefix * 10 + digits[i];
    for (size_t i = 0; i < PC_COUNT(issuers) && prefix >= issuers[i].first; i++) {
        if (prefix <= issuers[i].last && (issuers[i].lengths & LENGTH(count)) != 0)
            return true;
    }
    return false;
}

/* ISO/IEC 7812-1, annex B. */
static bool has_luhn_sum(const unsigned char *digits, size_t count)
{
    static const unsigned char doubled[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
    unsigned sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += (count - i) % 2 == 0 ? doubled[digits[i]] : digits[i];
    return sum % 10 == 0;
}

bool mask_is_pan(const unsigned char *digits, size_t count)
{
    return count >= MASK_PAN_DIGITS_MIN && count <= MASK_PAN_DIGITS_MAX &&
           has_issuer(digits, count) && has_luhn_sum(digits, count);
}

static bool is_strong(uint32_t code)
{
    return code == ' ' || code == '-';
}

/* Signs that stand between the groups of a card number only where they all are the same. */
static bool is_weak(uint32_t code)
{
    return (code > MASK_END && code < 0x80 && strchr("./,_:|+~\\", (int)code) != NULL) ||
           code == 0xB7 || code == 0x2022; /* the dots of middle height */
}

static struct gap gap_at(struct span text, size_t at)
{
    struct mask_char c = mask_char_next(text, at);
    struct gap gap = {.code = c.code};

    if (is_weak(c.code)) {
        gap.count = 1;
        c = mask_char_next(text, c.end);
    } else {
        for (; gap.count < GAP_CHARACTERS_MAX && is_strong(c.code); gap.count++) {
            gap.code = c.code == '-' ? '-' : gap.code;
            c = mask_char_next(text, c.end);
        }
    }
    if (!mask_is_digit(c.code))
        return (struct gap){0};
    gap.next = c.at;
    return gap;
}

static void part_drop(struct run *run)
{
    size_t gone = run->parts[0].count;

    PC_ASSERT(run->part_count > 0 && gone <= run->count);
    run->count -= gone;
    run->part_count--;
    memmove(run->values, run->values + gone, run->count);
    memmove(run->digits, run->digits + gone, run->count * sizeof(run->digits[0]));
    memmove(run->parts, run->parts + 1, run->part_count * sizeof(run->parts[0]));
    for (size_t i = 0; i < run->part_count; i++)
        run->parts[i].first -= gone;
    run->cut = true;
}

static void digit_append(struct run *run, struct mask_char digit)
{
    struct part *part = &run->parts[run->part_count - 1];

    if (run->count == MASK_PAN_DIGITS_MAX && run->part_count > 1) {
        part_drop(run);
        part = &run->parts[run->part_count - 1];
    }
    if (run->count == MASK_PAN_DIGITS_MAX) {
        run->too_long = true;
        return;
    }
    run->values[run->count] = (unsigned char)(digit.code - '0');
    run->digits[run->count++] = digit;
    part->count++;
}

static struct mask_group group_read(struct run *run, struct span text, size_t at, struct gap before)
{
    struct mask_group group = {.from = at, .to = at};
    struct mask_char c = mask_char_next(text, at);

    if (run->count == MASK_PAN_DIGITS_MAX)
        part_drop(run);
    run->parts[run->part_count++] = (struct part){.first = run->count, .before = before};
    for (; mask_is_digit(c.code); c = mask_char_next(text, c.end)) {
        digit_append(run, c);
        group.to = c.end;
        group.count++;
    }
    return group;
}

/* 4-4-4-4 and its like, 4-6-5, 4-6-4, 4-5-6, 4-3-3-3, 1-4-4-4, 6-13, 6-10, 8-8. */
static bool is_grouped_as_printed(const struct row *row)
{
    static const unsigned char prints[][4] = {{4, 6, 5}, {4, 6, 4},    {4, 5, 6}, {4, 3, 3, 3},
                                              {6, 13},   {1, 4, 4, 4}, {6, 10},   {8, 8}};
    const struct part *parts = row->parts;
    size_t fours = 0;

    while (fours < row->part_count && parts[fours].count == 4)
        fours++;
    if (fours >= 2 && fours + 1 >= row->part_count)
        return fours == row->part_count || parts[fours].count <= 7;
    for (size_t i = 0; i < PC_COUNT(prints); i++) {
        size_t same = 0;

        while (same < row->part_count && same < 4 && parts[same].count == prints[i][same])
            same++;
        if (same == row->part_count && (same == 4 || prints[i][same] == 0))
            return true;
    }
    return false;
}

/* As people without a card before their eyes write: even groups, or a few long ones. Groups of
 * three are an amount. */
static bool is_grouped_somehow(const struct row *row)
{
    const struct part *parts = row->parts;
    size_t last = row->part_count - 1;
    size_t even = 1;
    size_t longer = 0;

    while (even < last && parts[even].count == parts[0].count)
        even++;
    for (size_t i = 0; i <= last; i++)
        longer += parts[i].count >= 4;
    if (row->part_count <= 3 && longer == row->part_count)
        return true;
    return even == last && parts[last].count <= parts[0].count &&
           (parts[0].count != 3 || parts[last].count != 3);
}

static bool is_grouped_well(const struct row *row)
{
    bool strong = true;
    bool same = true;

    for (size_t i = 1; i < row->part_count; i++) {
        const struct gap *gap = &row->parts[i].before;

        strong = strong && is_strong(gap->code);
        same = same && gap->count == 1 && gap->code == row->parts[1].before.code;
    }
    if (is_grouped_as_printed(row))
        return strong || (same && row->part_count >= 3);
    return row->whole && strong && same && is_grouped_somehow(row);
}

/* The word of ASCII letters that ends at `at`, in small letters; empty when it is longer, or part
 * of something longer. */
static struct span word_before(struct span text, size_t at, char word[WORD_LETTERS_MAX])
{
    size_t from = WORD_LETTERS_MAX;
    struct mask_char c = mask_char_before(text, at);

    for (; mask_is_letter(c.code); c = mask_char_before(text, c.at)) {
        if (from == 0)
            return (struct span){0};
        word[--from] = (char)mask_lower(c.code);
    }
    if (mask_is_digit(c.code))
        return (struct span){0};
    return span_make(word + from, WORD_LETTERS_MAX - from);
}

static struct span word_after(struct span text, size_t at, char word[WORD_LETTERS_MAX])
{
    size_t count = 0;
    struct mask_char c = mask_char_next(text, at);

    for (; mask_is_letter(c.code); c = mask_char_next(text, c.end)) {
        if (count == WORD_LETTERS_MAX)
            return (struct span){0};
        word[count++] = (char)mask_lower(c.code);
    }
    return span_make(word, count);
}

static bool is_any(struct span word, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (span_is(word, *words))
            return true;
    }
    return false;
}

static bool is_currency_sign(uint32_t code)
{
    return code == '$' || (code >= 0xA2 && code <= 0xA5) || (code >= 0x20A0 && code <= 0x20CF);
}

/* Three and more printed groups are a card number whatever stands beside them. */
static bool is_plainly_printed(const struct row *row)
{
    return row->part_count >= 3 && row->parts[0].count >= 4 && row->digit_count >= 15;
}

/* Letters beside digits make an id; but "card4111..." and the "\n4111..." of a quoted text do not.
 */
static bool is_free_left(struct span text, const struct row *row, size_t at)
{
    static const char *const words[] = {
        "card", "cards", "cardno", "cc",     "ccn",        "mc",         "no",     "nr", "num",
        "pan",  "visa",  "amex",   "number", "mastercard", "cardnumber", "cartao", NULL};
    struct mask_char c = mask_char_before(text, at);
    char word[WORD_LETTERS_MAX];

    if (mask_is_letter(c.code))
        return is_plainly_printed(row) || mask_char_before(text, c.at).code == '\\' ||
               is_any(word_before(text, at, word), words);
    if (c.code == '+') { /* "+49 1512 3456789" is a telephone's; in a URL '+' is a space */
        uint32_t before = mask_char_before(text, c.at).code;

        return row->digit_count > 15 || mask_is_letter(before) || mask_is_digit(before);
    }
    if (row->part_count > 1)
        return true;
    return !is_currency_sign(c.code) &&
           (c.code != '.' || !mask_is_digit(mask_char_before(text, c.at).code));
}

static bool is_free_right(struct span text, const struct row *row, size_t at)
{
    static const char *const words[] = {"exp", "expires", "expiry", "expiration", "val", "valid",
                                        "cvv", "cvc",     "cid",    "csc",        "and", NULL};
    struct mask_char c = mask_char_next(text, at);
    char word[WORD_LETTERS_MAX];

    if (mask_is_letter(c.code))
        return is_plainly_printed(row) || is_any(word_after(text, at, word), words);
    return row->part_count > 1 || c.code != '.' || !mask_is_digit(mask_char_next(text, c.end).code);
}

static bool is_card(const struct run *run, const struct row *row, struct span text)
{
    size_t first = row->parts[0].first;

    return mask_is_pan(run->values + first, row->digit_count) &&
           (row->part_count == 1 || is_grouped_well(row)) &&
           is_free_left(text, row, run->digits[first].at) &&
           is_free_right(text, row, run->digits[run->count - 1].end);
}

/* Every row of whole groups that ends where the run has been read to. */
static void rows_judge(struct mask_scan *scan, const struct run *run, bool ends)
{
    for (size_t i = 0; i < run->part_count; i++) {
        struct row row = {.parts = &run->parts[i],
                          .part_count = run->part_count - i,
                          .digit_count = run->count - run->parts[i].first,
                          .whole = i == 0 && !run->cut && ends};

        if (!is_card(run, &row, scan->text))
            continue;
        for (size_t k = row.parts[0].first; k + MASK_LAST_SHOWN < run->count; k++)
            mask_hide(scan, run->digits[k].at, run->digits[k].end);
    }
}

/* A group too long for a card: nothing that reaches into it can be one. */
static void run_restart(struct run *run)
{
    run->count = 0;
    run->part_count = 0;
    run->cut = true;
    run->too_long = false;
}

/* The end of a group that stands alone and holds nothing to hide, as the most do: ASCII digits with
 * the end of the text behind them, a letter, or a sign and a letter, so no other group follows; not
 * three or four, which may be a verification value, and no card number. 0 when it must be looked at
 * as the others are. */
static size_t plain_group_end(struct span text, size_t at)
{
    unsigned char values[MASK_PAN_DIGITS_MAX] = {0};
    size_t end = at;
    size_t count;
    unsigned char next;

    while (end < text.len && mask_is_digit((unsigned char)text.ptr[end])) {
        if (end - at < sizeof(values))
            values[end - at] = (unsigned char)(text.ptr[end] - '0');
        end++;
    }
    count = end - at;
    if (count == 0 || count == 3 || count == 4 || mask_is_pan(values, count))
        return 0;
    if (end == text.len)
        return end;
    next = (unsigned char)text.ptr[end];
    if (mask_is_letter(next))
        return end;
    if (next >= 0x80 || next == '%' || next == '^' || end + 1 == text.len)
        return 0; /* of a track, perhaps, or in disguise */
    return mask_is_letter((unsigned char)text.ptr[end + 1]) ? end : 0;
}

size_t mask_run(struct mask_scan *scan, size_t digit_at)
{
    struct run run; /* large: emptied, not zeroed */
    struct gap gap = {.next = digit_at};
    size_t plain_end = plain_group_end(scan->text, digit_at);

    if (plain_end > 0)
        return plain_end;
    run_restart(&run);
    run.cut = false;
    for (;;) {
        struct mask_group group = group_read(&run, scan->text, gap.next, gap);
        size_t track_end = mask_track(scan, &group);

        if (track_end > 0)
            return track_end;
        gap = gap_at(scan->text, group.to);
        if (run.too_long)
            run_restart(&run);
        else if (!mask_code(scan, &group))
            rows_judge(scan, &run, gap.count == 0);
        if (gap.count == 0)
            return group.to;
    }
}
