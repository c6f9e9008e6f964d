/* SPDX-License-Identifier: MIT
 * What texts of a known form must look like. Each rule is a plain walk over the bytes: no regular
 * expression, nothing that grows faster than the text. */
#include "base/clock.h"
#include "base/limits.h"
#include "base/random.h"
#include "json/json_schema_priv.h"

enum {
    EMAIL_BYTES_MAX = 254, /* RFC 5321, 4.5.3.1.3: a path of 256 with its angle brackets */
    EMAIL_LOCAL_BYTES_MAX = 64,
    DNS_LABEL_BYTES_MAX = 63,
    URI_BYTES_MAX = 2048,
    DATE_TIME_BYTES_MAX = 35,
    TOKEN_BYTES_MAX = LIMIT_JWS_BYTES_MAX,
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return span_lower_char(c) >= 'a' && span_lower_char(c) <= 'z';
}

static bool is_one_of(char c, struct span set)
{
    return span_find(set, c) < set.len;
}

/* Letters, digits, and the characters of `also`; at least one. */
static bool all_are(struct span text, struct span also)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_letter(text.ptr[i]) && !is_digit(text.ptr[i]) && !is_one_of(text.ptr[i], also))
            return false;
    }
    return text.len > 0;
}

/* RFC 5321, 4.1.2: dot-string of atoms. Quoted local parts exist on paper only and are refused. */
static bool is_local_part(struct span text)
{
    struct span atom;

    if (text.len == 0 || text.len > EMAIL_LOCAL_BYTES_MAX)
        return false;
    while (span_cut(&text, '.', &atom)) {
        if (!all_are(atom, SPAN_OF("!#$%&'*+-/=?^_`{|}~")))
            return false;
    }
    return true;
}

/* Two labels or more, the last not of digits alone: neither "localhost" nor an address. */
static bool is_mail_domain(struct span text)
{
    struct span label = {0};
    size_t labels = 0;

    if (text.len == 0)
        return false;
    while (span_cut(&text, '.', &label)) {
        if (label.len > DNS_LABEL_BYTES_MAX || !all_are(label, SPAN_OF("-")) ||
            label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
            return false;
        labels++;
    }
    for (size_t i = 0; i < label.len; i++) {
        if (!is_digit(label.ptr[i]))
            return labels >= 2;
    }
    return false;
}

static bool is_email(struct span text)
{
    size_t at = span_find(text, '@');

    return text.len <= EMAIL_BYTES_MAX && at < text.len && is_local_part(span_slice(text, 0, at)) &&
           is_mail_domain(span_slice(text, at + 1, text.len));
}

/* RFC 9562, 4: 8-4-4-4-12 hexadecimal digits. */
static bool is_uuid(struct span text)
{
    if (text.len != RANDOM_UUID_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = span_lower_char(text.ptr[i]);
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? c != '-' : !is_digit(c) && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

static bool is_percent_code(struct span text, size_t at)
{
    struct span hex = SPAN("0123456789abcdefABCDEF");

    return at + 2 < text.len && is_one_of(text.ptr[at + 1], hex) &&
           is_one_of(text.ptr[at + 2], hex);
}

/* RFC 3986: a scheme, a colon, and only characters that a URI may hold; no white space, no
 * quotes, every '%' with its two digits. */
static bool is_uri(struct span text)
{
    size_t colon = span_find(text, ':');

    if (text.len > URI_BYTES_MAX || colon + 1 >= text.len || !is_letter(text.ptr[0]) ||
        !all_are(span_slice(text, 0, colon), SPAN_OF("+-.")))
        return false;
    for (size_t i = colon + 1; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '%'
                ? !is_percent_code(text, i)
                : !is_letter(c) && !is_digit(c) && !is_one_of(c, SPAN_OF("-._~:/?#[]@!$&'()*+,;=")))
            return false;
    }
    return true;
}

static bool is_date_time(struct span text)
{
    int64_t ns;

    return text.len <= DATE_TIME_BYTES_MAX && clock_from_rfc3339(text, &ns) == ERR_OK;
}

/* RFC 6750, 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"=" */
static bool is_token(struct span text)
{
    size_t len = text.len;

    while (len > 0 && text.ptr[len - 1] == '=')
        len--;
    return text.len <= TOKEN_BYTES_MAX && all_are(span_slice(text, 0, len), SPAN_OF("-._~+/"));
}

bool json_format_holds(enum json_format format, struct span text)
{
    switch (format) {
    case JSON_FORMAT_NONE:
        return true;
    case JSON_FORMAT_EMAIL:
        return is_email(text);
    case JSON_FORMAT_USERNAME:
        return all_are(text, SPAN_OF("._-"));
    case JSON_FORMAT_PASSWORD:
        return text.len <= LIMIT_PASSWORD_BYTES_MAX && span_find(text, '\0') == text.len;
    case JSON_FORMAT_UUID:
        return is_uuid(text);
    case JSON_FORMAT_URI:
        return is_uri(text);
    case JSON_FORMAT_DATE_TIME:
        return is_date_time(text);
    case JSON_FORMAT_TOKEN:
        return is_token(text);
    case JSON_FORMAT_COUNT:
        break;
    }
    PC_WRONG("no such format");
}

static const struct {
    const char *problem;
    int64_t max;
} formats[JSON_FORMAT_COUNT] = {
    [JSON_FORMAT_NONE] = {"is not valid", 0},
    [JSON_FORMAT_EMAIL] = {"must be a valid e-mail address", EMAIL_BYTES_MAX},
    [JSON_FORMAT_USERNAME] = {"may contain only letters, digits, '.', '_' and '-'", 0},
    [JSON_FORMAT_PASSWORD] = {"must be at most 1024 bytes", LIMIT_PASSWORD_BYTES_MAX},
    [JSON_FORMAT_UUID] = {"must be a UUID", RANDOM_UUID_BYTES},
    [JSON_FORMAT_URI] = {"must be an absolute URI", URI_BYTES_MAX},
    [JSON_FORMAT_DATE_TIME] = {"must be an RFC 3339 date and time", DATE_TIME_BYTES_MAX},
    [JSON_FORMAT_TOKEN] = {"must be a valid token", TOKEN_BYTES_MAX},
};
_Static_assert(LIMIT_PASSWORD_BYTES_MAX == 1024, "the sentence above names it");

const char *json_format_problem(enum json_format format)
{
    PC_ASSERT(format < JSON_FORMAT_COUNT);
    return formats[format].problem;
}

int64_t json_format_max(enum json_format format)
{
    PC_ASSERT(format < JSON_FORMAT_COUNT);
    return formats[format].max;
}
