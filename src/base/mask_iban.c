/* SPDX-License-Identifier: MIT
 * IBANs, printed in groups or not: country, length and the remainder of 97 must agree. Country and
 * the last four characters are left to be seen. */
#include "base/mask_priv.h"

enum { IBAN_CHARACTERS_MAX = 34, IBAN_DIGITS_MIN = 10, IBAN_HEAD = 4 };

struct iban {
    struct mask_char chars[IBAN_CHARACTERS_MAX];
    size_t count;
    size_t digit_count;
};

struct country {
    char code[3];
    unsigned char characters;
    bool digits_alone; /* behind the code */
};

enum { ANY = false, DIGITS = true };

static const struct country countries[] = {
#define IBAN(code_, characters_, digits_)                                                          \
    {.code = #code_, .characters = (characters_), .digits_alone = (digits_)},
#include "base/iban.def"
#undef IBAN
};

static uint32_t upper(uint32_t code)
{
    return (code >= 'a' && code <= 'z') ? code - 0x20 : code;
}

static bool is_alnum(uint32_t code)
{
    return mask_is_digit(code) || mask_is_letter(code);
}

static const struct country *country_of(uint32_t first, uint32_t second)
{
    char code[2] = {(char)upper(first), (char)upper(second)};
    size_t low = 0;
    size_t high = PC_COUNT(countries);

    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = span_compare(span_make(code, 2), span_from(countries[middle].code));

        if (order == 0)
            return &countries[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* Nothing of a word before the country, but perhaps the word IBAN itself. */
static bool is_free_left(struct span text, size_t at)
{
    static const char iban[] = {'n', 'a', 'b', 'i'};
    struct mask_char c = mask_char_before(text, at);

    if (!is_alnum(c.code))
        return true;
    for (size_t i = 0; i < sizeof(iban); i++) {
        if (mask_lower(c.code) != (unsigned char)iban[i])
            return false;
        c = mask_char_before(text, c.at);
    }
    return !is_alnum(c.code);
}

/* `count` letters and digits from `at` on, at most one space or dash between two. */
static bool iban_read(struct span text, size_t at, size_t count, struct iban *iban)
{
    struct mask_char c = mask_char_next(text, at);

    while (iban->count < count) {
        if (iban->count > 0 && (c.code == ' ' || c.code == '-'))
            c = mask_char_next(text, c.end);
        if (!is_alnum(c.code))
            return false;
        iban->chars[iban->count++] = c;
        iban->digit_count += mask_is_digit(c.code);
        c = mask_char_next(text, c.end);
    }
    return !is_alnum(c.code);
}

/* ISO 7064, MOD 97-10: the head goes to the end, letters count from ten. */
static bool has_remainder(const struct iban *iban)
{
    unsigned remainder = 0;

    for (size_t i = 0; i < iban->count; i++) {
        uint32_t code = upper(iban->chars[(i + IBAN_HEAD) % iban->count].code);

        if (mask_is_digit(code))
            remainder = (remainder * 10 + (code - '0')) % 97;
        else
            remainder = (remainder * 100 + (code - 'A') + 10) % 97;
    }
    return remainder == 1;
}

static bool is_iban(struct span text, size_t at, const struct country *country, struct iban *iban)
{
    size_t digits_min = country->digits_alone ? country->characters - 2U : IBAN_DIGITS_MIN;

    PC_ASSERT(country->characters <= IBAN_CHARACTERS_MAX);
    return iban_read(text, at, country->characters, iban) && iban->digit_count >= digits_min &&
           mask_is_digit(iban->chars[3].code) && has_remainder(iban);
}

size_t mask_iban(struct mask_scan *scan, size_t digit_at)
{
    struct mask_char second = mask_char_before(scan->text, digit_at);
    struct mask_char first = mask_char_before(scan->text, second.at);
    const struct country *country;
    struct iban iban; /* large: emptied, not zeroed */

    if (!mask_is_letter(first.code) || !mask_is_letter(second.code))
        return 0;
    iban.count = 0;
    iban.digit_count = 0;
    country = country_of(first.code, second.code);
    if (country == NULL || !is_free_left(scan->text, first.at) ||
        !is_iban(scan->text, first.at, country, &iban))
        return 0;
    for (size_t i = 2; i + MASK_LAST_SHOWN < iban.count; i++)
        mask_hide(scan, iban.chars[i].at, iban.chars[i].end);
    return iban.chars[iban.count - 1].end;
}
