/* SPDX-License-Identifier: MIT
 * Card data that its surroundings give away: verification values by the name before them, and the
 * tracks of a magnetic stripe by their signs. Of both nothing may be kept, not even the last
 * digits (PCI DSS 4.0, 3.3.1). */
#include <string.h>

#include "base/mask_priv.h"

enum {
    NAME_BYTES_MAX = 48, /* looked at before a verification value */
    NAME_STARS_MAX = 2,  /* "**CVV:** 123"; more of them is a value already hidden */
    FILLERS_MAX = 4,
    TRACK_PAN_MIN = 12,
    TRACK_CHARACTERS_MAX = 107, /* ISO/IEC 7813: 79 and 40; ISO/IEC 4909: 107 */
    TRACK_DATA_MIN = 4,         /* the date */
    CHIP_DATA_MIN = 7,          /* date and service code */
};

/* Without spaces and accents, by their ends. */
static const char *const names[] = {"cvv",
                                    "cvv2",
                                    "cvc",
                                    "cvc2",
                                    "cid",
                                    "csc",
                                    "cvn",
                                    "cvn2",
                                    "cav",
                                    "cav2",
                                    "cve",
                                    "icvv",
                                    "dcvv",
                                    "cardcvv",
                                    "cardcvc",
                                    "cardcode",
                                    "securitycode",
                                    "cardsecuritycode",
                                    "securitynumber",
                                    "cardverificationvalue",
                                    "cardverificationcode",
                                    "cardverificationnumber",
                                    "verificationvalue",
                                    "codigodeseguranca",
                                    "codigoseguranca",
                                    "coddeseguranca",
                                    "codseguranca",
                                    "numerodeseguranca",
                                    "codigoverificador",
                                    "codigodeverificacao",
                                    "codigodeseguridad",
                                    "codigoseguridad",
                                    "coddeseguridad",
                                    "numerodeseguridad",
                                    "codigodeverificacion",
                                    "codedesecurite",
                                    "cryptogramme",
                                    "cryptogrammevisuel",
                                    "sicherheitscode",
                                    "prufnummer",
                                    "prufziffer",
                                    "kartenprufnummer",
                                    "kartenprufziffer",
                                    "codicedisicurezza"};

/* Words between the name and the value. */
static const char *const fillers[] = {
    "is", "es", "e",     "est",      "ist",         "was",       "code",     "number", "num",
    "no", "nr", "value", "docartao", "delatarjeta", "ofthecard", "ofmycard", "and"};

/* U+00C0 to U+00FF without their accents. */
static const char latin[] = "aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty";

/* Text before a value, backwards from its end: small letters, digits, and ' ' for what may stand
 * between words. Kept at the end of its buffer. */
struct before {
    char bytes[NAME_BYTES_MAX];
    size_t from;
};

static char fold_name(uint32_t code)
{
    if (mask_is_letter(code))
        return (char)mask_lower(code);
    if (code >= 0xC0 && code <= 0xFF && latin[code - 0xC0] != '*')
        return latin[code - 0xC0];
    if (code == '2')
        return '2'; /* of CVV2; other digits end the look */
    if (code > MASK_END && code < 0x80 && strchr(" :=-#\"'()[]{}<>.,/_*\\|", (int)code) != NULL)
        return ' ';
    return code == 0x201C || code == 0x201D || code == 0xBA ? ' ' : '\0';
}

static struct before before_read(struct span text, size_t at)
{
    struct before before = {.from = NAME_BYTES_MAX};
    size_t stars = 0;

    while (before.from > 0) {
        struct mask_char c = mask_char_before(text, at);
        char folded = fold_name(c.code);

        stars += c.code == MASK_STAR;
        if (folded == '\0' || stars > NAME_STARS_MAX)
            break;
        before.bytes[--before.from] = folded;
        at = c.at;
    }
    return before;
}

/* Where `word` begins when the text ends with it, spaces in it allowed, or `end` when it does not:
 * nor as the end of a longer word. */
static size_t word_begin(const struct before *before, size_t end, const char *word)
{
    size_t at = end;

    for (size_t left = strlen(word); left > 0; left--) {
        while (at > before->from && before->bytes[at - 1] == ' ' && at < end)
            at--;
        if (at == before->from || before->bytes[at - 1] != word[left - 1])
            return end;
        at--;
    }
    return at == before->from || before->bytes[at - 1] == ' ' ? at : end;
}

static size_t any_begin(const struct before *before, size_t end, const char *const *words,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = word_begin(before, end, words[i]);

        if (at < end)
            return at;
    }
    return end;
}

static bool is_named(struct span text, size_t at)
{
    struct before before = before_read(text, at);
    size_t end = NAME_BYTES_MAX;

    for (size_t i = 0; i <= FILLERS_MAX; i++) {
        size_t begin;

        while (end > before.from && before.bytes[end - 1] == ' ')
            end--;
        if (any_begin(&before, end, names, PC_COUNT(names)) < end)
            return true;
        begin = any_begin(&before, end, fillers, PC_COUNT(fillers));
        if (begin == end)
            return false;
        end = begin;
    }
    return false;
}

bool mask_code(struct mask_scan *scan, const struct mask_group *group)
{
    struct mask_char next = mask_char_next(scan->text, group->to);

    if (group->count < 3 || group->count > 4 || mask_is_letter(next.code))
        return false;
    if ((next.code == '.' || next.code == ',') &&
        mask_is_digit(mask_char_next(scan->text, next.end).code))
        return false; /* an amount */
    if (!is_named(scan->text, group->from))
        return false;
    mask_hide_all(scan, group->from, group->to);
    return true;
}

static bool group_is_pan(struct span text, const struct mask_group *group)
{
    unsigned char digits[MASK_PAN_DIGITS_MAX];
    struct mask_char c = {.end = group->from};

    for (size_t i = 0; i < group->count; i++) {
        c = mask_char_next(text, c.end);
        digits[i] = (unsigned char)(c.code - '0');
    }
    return mask_is_pan(digits, group->count);
}

static size_t digits_end(struct span text, size_t at, size_t *ret_count)
{
    struct mask_char c = mask_char_next(text, at);

    for (*ret_count = 0; mask_is_digit(c.code); c = mask_char_next(text, c.end)) {
        at = c.end;
        ++*ret_count;
    }
    return at;
}

/* Behind the '^' after the number: name, '^', data, '?'. Without its end sign the data ends with
 * the word, and a name with the line. */
static size_t first_track_end(struct span text, size_t at)
{
    struct mask_char c = mask_char_next(text, at);
    bool data = false;

    for (size_t i = 0; i < TRACK_CHARACTERS_MAX && c.code != MASK_END; i++) {
        bool breaks = text.ptr[c.at] == '\n' || text.ptr[c.at] == '\r';

        if (breaks || (data && c.code == ' '))
            break;
        at = c.end;
        if (c.code == '?')
            break;
        data = data || c.code == '^';
        c = mask_char_next(text, c.end);
    }
    return at;
}

/* ISO/IEC 7813: %B, number, ^, name, ^, data, ?. The signs may have been lost on the way. */
static size_t first_track(struct mask_scan *scan, const struct mask_group *group, size_t data_at)
{
    struct mask_char code = mask_char_before(scan->text, group->from);
    struct mask_char sign = mask_char_before(scan->text, code.at);
    size_t from = group->from;
    size_t end = first_track_end(scan->text, data_at);

    if (mask_lower(code.code) == 'b')
        from = sign.code == '%' ? sign.at : code.at;
    else if (!group_is_pan(scan->text, group))
        return 0;
    mask_hide_all(scan, from, end);
    return end;
}

/* ISO/IEC 7813: ;, number, =, data, ?. */
static size_t second_track(struct mask_scan *scan, const struct mask_group *group, size_t data_at)
{
    struct mask_char sign = mask_char_before(scan->text, group->from);
    size_t count;
    size_t end = digits_end(scan->text, data_at, &count);
    struct mask_char last = mask_char_next(scan->text, end);

    if (count < TRACK_DATA_MIN || (sign.code != ';' && !group_is_pan(scan->text, group)))
        return 0;
    end = last.code == '?' ? last.end : end;
    mask_hide_all(scan, sign.code == ';' ? sign.at : group->from, end);
    return end;
}

/* The same as a chip gives it: number, D, data, F (EMV book 3, tag 57). */
static size_t chip_track(struct mask_scan *scan, const struct mask_group *group, size_t data_at)
{
    size_t count;
    size_t end = digits_end(scan->text, data_at, &count);
    struct mask_char last = mask_char_next(scan->text, end);

    if (count < CHIP_DATA_MIN || !group_is_pan(scan->text, group))
        return 0;
    end = mask_lower(last.code) == 'f' ? last.end : end;
    mask_hide_all(scan, group->from, end);
    return end;
}

size_t mask_track(struct mask_scan *scan, const struct mask_group *group)
{
    struct mask_char next = mask_char_next(scan->text, group->to);

    if (group->count < TRACK_PAN_MIN || group->count > MASK_PAN_DIGITS_MAX)
        return 0;
    if (next.code == '^')
        return first_track(scan, group, next.end);
    if (next.code == '=')
        return second_track(scan, group, next.end);
    return mask_lower(next.code) == 'd' ? chip_track(scan, group, next.end) : 0;
}
