/* SPDX-License-Identifier: MIT
 * The machine's clock, a fake one, and dates as text. The calendar is computed here (days from
 * civil, proleptic Gregorian) so that neither the locale nor the time zone can leak in. */
#include "base/clock.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

struct date {
    int64_t year;
    unsigned month, day, hour, minute, second, weekday; /* weekday: 0 is Sunday */
};

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    PC_ASSERT(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * CLOCK_NS_PER_S + now.tv_nsec;
}

static int64_t system_monotonic(void *context)
{
    (void)context;
    return read_clock(CLOCK_MONOTONIC);
}

static int64_t system_realtime(void *context)
{
    (void)context;
    return read_clock(CLOCK_REALTIME);
}

const struct clock clock_system = {.monotonic_ns = system_monotonic,
                                   .realtime_ns = system_realtime};

static int64_t fake_monotonic(void *context)
{
    struct clock_fake *fake = context;

    return atomic_load(&fake->monotonic_ns);
}

static int64_t fake_realtime(void *context)
{
    struct clock_fake *fake = context;

    return atomic_load(&fake->realtime_ns);
}

void clock_fake_init(struct clock_fake *fake, int64_t realtime_ns)
{
    fake->clock = (struct clock){
        .monotonic_ns = fake_monotonic, .realtime_ns = fake_realtime, .context = fake};
    atomic_store(&fake->monotonic_ns, CLOCK_NS_PER_S);
    atomic_store(&fake->realtime_ns, realtime_ns);
}

void clock_fake_move(struct clock_fake *fake, int64_t ns)
{
    PC_ASSERT(ns >= 0);
    atomic_fetch_add(&fake->monotonic_ns, ns);
    atomic_fetch_add(&fake->realtime_ns, ns);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

/* Days since 1970-01-01 of a civil date; the year begins in March so that leap days come last. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static struct date date_from_s(int64_t seconds)
{
    int64_t days = floor_div(seconds, 86400);
    int64_t rest = seconds - days * 86400;
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    struct date date = {.day = (unsigned)(doy - (153 * mp + 2) / 5 + 1),
                        .month = (unsigned)(mp < 10 ? mp + 3 : mp - 9),
                        .hour = (unsigned)(rest / 3600),
                        .minute = (unsigned)(rest / 60 % 60),
                        .second = (unsigned)(rest % 60),
                        .weekday = (unsigned)(((days % 7) + 11) % 7)};

    date.year = yoe + era * 400 + (date.month <= 2);
    return date;
}

static void add_padded(struct sbuf *out, uint64_t value, int digits)
{
    char text[20];

    for (int i = digits - 1; i >= 0; i--) {
        text[i] = (char)('0' + value % 10);
        value /= 10;
    }
    sbuf_add_bytes(out, text, (size_t)digits);
}

void clock_add_rfc3339(struct sbuf *out, int64_t realtime_ns, int digits)
{
    int64_t seconds = floor_div(realtime_ns, CLOCK_NS_PER_S);
    int64_t fraction = realtime_ns - seconds * CLOCK_NS_PER_S;
    struct date date = date_from_s(seconds);

    PC_ASSERT(digits >= 0 && digits <= 9);
    add_padded(out, (uint64_t)date.year, 4);
    sbuf_add_char(out, '-');
    add_padded(out, date.month, 2);
    sbuf_add_char(out, '-');
    add_padded(out, date.day, 2);
    sbuf_add_char(out, 'T');
    add_padded(out, date.hour, 2);
    sbuf_add_char(out, ':');
    add_padded(out, date.minute, 2);
    sbuf_add_char(out, ':');
    add_padded(out, date.second, 2);
    if (digits > 0) {
        for (int i = digits; i < 9; i++)
            fraction /= 10;
        sbuf_add_char(out, '.');
        add_padded(out, (uint64_t)fraction, digits);
    }
    sbuf_add_char(out, 'Z');
}

/* Reads exactly `digits` digits at *at. */
static bool take_number(struct span text, size_t *at, size_t digits, unsigned *ret_value)
{
    uint64_t value;

    if (*at + digits > text.len || !span_to_u64(span_slice(text, *at, *at + digits), &value))
        return false;
    *at += digits;
    *ret_value = (unsigned)value;
    return true;
}

static bool take_char(struct span text, size_t *at, char c)
{
    if (*at >= text.len || text.ptr[*at] != c)
        return false;
    (*at)++;
    return true;
}

static unsigned month_days(unsigned year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap ? 1U : 0U);
}

static bool take_fraction(struct span text, size_t *at, int64_t *ret_ns)
{
    int64_t unit = CLOCK_NS_PER_S / 10;
    size_t begin;

    *ret_ns = 0;
    if (!take_char(text, at, '.'))
        return true;
    begin = *at;
    while (*at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9') {
        *ret_ns += unit * (text.ptr[*at] - '0');
        unit /= 10;
        (*at)++;
    }
    return *at > begin && *at - begin <= 9;
}

static bool take_offset(struct span text, size_t *at, int64_t *ret_s)
{
    unsigned hours;
    unsigned minutes;
    bool negative;

    *ret_s = 0;
    if (take_char(text, at, 'Z') || take_char(text, at, 'z'))
        return true;
    negative = *at < text.len && text.ptr[*at] == '-';
    if (!take_char(text, at, '+') && !take_char(text, at, '-'))
        return false;
    if (!take_number(text, at, 2, &hours) || !take_char(text, at, ':') ||
        !take_number(text, at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_s = (int64_t)(hours * 3600 + minutes * 60) * (negative ? -1 : 1);
    return true;
}

enum err clock_from_rfc3339(struct span text, int64_t *ret_realtime_ns)
{
    unsigned year, month, day, hour, minute, second;
    int64_t fraction_ns;
    int64_t offset_s;
    size_t at = 0;

    if (!take_number(text, &at, 4, &year) || !take_char(text, &at, '-') ||
        !take_number(text, &at, 2, &month) || !take_char(text, &at, '-') ||
        !take_number(text, &at, 2, &day) ||
        (!take_char(text, &at, 'T') && !take_char(text, &at, 't')) ||
        !take_number(text, &at, 2, &hour) || !take_char(text, &at, ':') ||
        !take_number(text, &at, 2, &minute) || !take_char(text, &at, ':') ||
        !take_number(text, &at, 2, &second) || !take_fraction(text, &at, &fraction_ns) ||
        !take_offset(text, &at, &offset_s) || at != text.len)
        return ERR_VALIDATION;
    if (year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 ||
        day > month_days(year, month) || hour > 23 || minute > 59 || second > 59)
        return ERR_VALIDATION;
    *ret_realtime_ns = (days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 +
                        second - offset_s) *
                           CLOCK_NS_PER_S +
                       fraction_ns;
    return ERR_OK;
}

void clock_add_http_date(struct sbuf *out, int64_t realtime_ns)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct date date = date_from_s(floor_div(realtime_ns, CLOCK_NS_PER_S));

    sbuf_add_bytes(out, days + (size_t)date.weekday * 3, 3);
    sbuf_add_lit(out, ", ");
    add_padded(out, date.day, 2);
    sbuf_add_char(out, ' ');
    sbuf_add_bytes(out, months + (size_t)(date.month - 1) * 3, 3);
    sbuf_add_char(out, ' ');
    add_padded(out, (uint64_t)date.year, 4);
    sbuf_add_char(out, ' ');
    add_padded(out, date.hour, 2);
    sbuf_add_char(out, ':');
    add_padded(out, date.minute, 2);
    sbuf_add_char(out, ':');
    add_padded(out, date.second, 2);
    sbuf_add_lit(out, " GMT");
}
