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
static const struct span names[] = {SPAN("cvv"),
                                    SPAN("cvv2"),
                                    SPAN("cvc"),
                                    SPAN("cvc2"),
                                    SPAN("cid"),
                                    SPAN("csc"),
                                    SPAN("cvn"),
                                    SPAN("cvn2"),
                                    SPAN("cav"),
                                    SPAN("cav2"),
                                    SPAN("cve"),
                                    SPAN("icvv"),
                                    SPAN("dcvv"),
                                    SPAN("cardcvv"),
                                    SPAN("cardcvc"),
                                    SPAN("cardcode"),
                                    SPAN("securitycode"),
                                    SPAN("cardsecuritycode"),
                                    SPAN("securitynumber"),
                                    SPAN("cardverificationvalue"),
                                    SPAN("cardverificationcode"),
                                    SPAN("cardverificationnumber"),
                                    SPAN("verificationvalue"),
                                    SPAN("codigodeseguranca"),
                                    SPAN("codigoseguranca"),
                                    SPAN("coddeseguranca"),
                                    SPAN("codseguranca"),
                                    SPAN("numerodeseguranca"),
                                    SPAN("codigoverificador"),
                                    SPAN("codigodeverificacao"),
                                    SPAN("codigodeseguridad"),
                                    SPAN("codigoseguridad"),
                                    SPAN("coddeseguridad"),
                                    SPAN("numerodeseguridad"),
                                    SPAN("codigodeverificacion"),
                                    SPAN("codedesecurite"),
                                    SPAN("cryptogramme"),
                                    SPAN("cryptogrammevisuel"),
                                    SPAN("sicherheitscode"),
                                    SPAN("prufnummer"),
                                    SPAN("prufziffer"),
                                    SPAN("kartenprufnummer"),
                                    SPAN("kartenprufziffer"),
                                    SPAN("codicedisicurezza")};

/* Words between the name and the value. */
static const struct span fillers[] = {
    SPAN("is"),       SPAN("es"),    SPAN("e"),        SPAN("est"),         SPAN("ist"),
    SPAN("was"),      SPAN("code"),  SPAN("number"),   SPAN("num"),         SPAN("no"),
    SPAN("nr"),       SPAN("value"), SPAN("docartao"), SPAN("delatarjeta"), SPAN("ofthecard"),
    SPAN("ofmycard"), SPAN("and")};

/* U+00C0 to U+00FF without their accents. */
static const char latin[] = "aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty";

/* Text before a value: small letters, digits, and ' ' for what may stand between words. It is read
 * backwards, only as far as somebody looks, into the end of its buffer. */
struct before {
    struct span text;
    size_t at; /* read down to here */
    size_t from;
    size_t stars;
    char bytes[NAME_BYTES_MAX];
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

/* The byte at this place; '\0' where the text that counts begins. */
static char before_byte(struct before *before, size_t at)
{
    while (at < before->from) {
        struct mask_char c = mask_char_before(before->text, before->at);
        char folded = fold_name(c.code);

        before->stars += c.code == MASK_STAR;
        before->bytes[--before->from] = before->stars > NAME_STARS_MAX ? '\0' : folded;
        before->at = c.at;
    }
    return before->bytes[at];
}

static size_t skip_spaces(struct before *before, size_t end)
{
    while (end > 0 && before_byte(before, end - 1) == ' ')
        end--;
    return end;
}

/* Where `word` begins when the text ends with it, spaces in it allowed, or `end` when it does not:
 * nor as the end of a longer word. */
static size_t word_begin(struct before *before, size_t end, struct span word)
{
    size_t at = end;

    for (size_t left = word.len; left > 0; left--) {
        if (at < end)
            at = skip_spaces(before, at);
        if (at == 0 || before_byte(before, at - 1) != word.ptr[left - 1])
            return end;
        at--;
    }
    return at == 0 || before_byte(before, at - 1) == ' ' || before_byte(before, at - 1) == '\0'
               ? at
               : end;
}

static size_t any_begin(struct before *before, size_t end, const struct span *words, size_t count)
{
    char last = end > 0 ? before_byte(before, end - 1) : '\0';

    for (size_t i = 0; i < count; i++) {
        size_t at =
            words[i].ptr[words[i].len - 1] == last ? word_begin(before, end, words[i]) : end;

        if (at < end)
            return at;
    }
    return end;
}

static bool is_named(struct span text, size_t at)
{
    struct before before; /* large: emptied, not zeroed */
    size_t end = NAME_BYTES_MAX;

    before.text = text;
    before.at = at;
    before.from = NAME_BYTES_MAX;
    before.stars = 0;
    for (size_t i = 0; i <= FILLERS_MAX; i++) {
        size_t begin;

        end = skip_spaces(&before, end);
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
