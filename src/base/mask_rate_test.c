/* SPDX-License-Identifier: MIT
 * How often masking is right, measured on texts made up from a fixed seed: cards and IBANs as
 * people write them must be found, and what only looks alike must stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mask.h"
#include "base/random.h"
#include "base/sbuf.h"

enum { ROUNDS = 50000, TEXT_BYTES_MAX = 256, MISSES_PER_THOUSAND = 1, HITS_PER_THOUSAND = 1 };

static struct random_seeded seeded;

static uint64_t draw(uint64_t below)
{
    uint64_t bits;

    random_fill(&seeded.source, &bits, sizeof(bits));
    return bits % below;
}

/* Cards. `grouping` holds the sizes of the groups as they are printed. */
static const struct network {
    const char *name;
    const char *prefix;
    size_t digits;
    const char *grouping;
} networks[] = {
    {"Visa", "4", 16, "4444"},
    {"Visa", "4", 13, "4333"},
    {"Visa", "4", 19, "44443"},
    {"Mastercard", "51", 16, "4444"},
    {"Mastercard", "55", 16, "4444"},
    {"Mastercard", "2221", 16, "4444"},
    {"Mastercard", "2720", 16, "4444"},
    {"American Express", "34", 15, "465"},
    {"American Express", "37", 15, "465"},
    {"Diners Club", "36", 14, "464"},
    {"Diners Club", "300", 14, "464"},
    {"Discover", "6011", 16, "4444"},
    {"Discover", "65", 16, "4444"},
    {"JCB", "3528", 16, "4444"},
    {"JCB", "3589", 16, "4444"},
    {"UnionPay", "62", 16, "4444"},
    {"UnionPay", "62", 19, "69+"},
    {"UnionPay", "62", 17, "4445"},
    {"Maestro", "6759", 16, "4444"},
    {"Maestro", "5018", 19, "44443"},
    {"Mir", "2200", 16, "4444"},
    {"RuPay", "508500", 16, "4444"},
    {"Elo", "636297", 16, "4444"},
    {"Hipercard", "606282", 16, "4444"},
    {"Troy", "9792", 16, "4444"},
    {"Verve", "506099", 18, "4446"},
    {"Dankort", "5019", 16, "4444"},
    {"UATP", "1", 15, "456"},
    {"InterPayment", "636", 16, "4444"},
};

static char luhn_digit(const char *digits, size_t count)
{
    unsigned sum = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned digit = (unsigned)(digits[i] - '0');

        if ((count - i) % 2 == 1)
            digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
        sum += digit;
    }
    return (char)('0' + (10 - sum % 10) % 10);
}

static void draw_digits(char *digits, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        digits[i] = (char)('0' + draw(10));
}

/* Six in ten with separators, the others without. */
static void add_card(struct sbuf *out, const struct network *network)
{
    static const char *const separators[] = {" ", "-", "\xC2\xA0", "\xE2\x80\x93", " - ", "."};
    const char *separator = separators[draw(100) < 50 ? 0 : draw(PC_COUNT(separators))];
    bool grouped = draw(10) < 6;
    char digits[20];
    size_t at = strlen(network->prefix);

    memcpy(digits, network->prefix, at);
    draw_digits(digits, at, network->digits - 1);
    digits[network->digits - 1] = luhn_digit(digits, network->digits - 1);
    if (strchr(network->grouping, '+') != NULL && separator[0] == '.')
        separator = " "; /* dots only between more than two groups */
    at = 0;
    for (const char *size = network->grouping; grouped && *size != '\0' && *size != '+'; size++) {
        size_t count = size[1] == '+' ? network->digits - at : (size_t)(*size - '0');

        if (at > 0)
            sbuf_add_text(out, separator);
        sbuf_add_bytes(out, digits + at, count);
        at += count;
    }
    sbuf_add_bytes(out, digits + at, network->digits - at);
}

static const struct {
    const char *before;
    const char *after;
} places[] = {{"", ""},
              {"card ", ""},
              {"", " thanks"},
              {"please charge ", " for the order of 2026-11-22, 19.95 EUR"},
              {"(", ")"},
              {"\"", "\""},
              {"{\"pan\":\"", "\",\"cvv\":\"123\"}"},
              {"name;", ";12/27"},
              {"1,", ",2"},
              {"pan=", "&exp=1227"},
              {"paid with ", "."},
              {"my card:\n", "\nexp 12/27"},
              {"call +49 30 123456, card ", ", ok?"},
              {"#", "!"}};

static size_t digits_in(struct span text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] >= '0' && text.ptr[i] <= '9';
    return count;
}

static void cards_are_found(void **state)
{
    size_t missed = 0;

    (void)state;
    random_seeded_init(&seeded, 7812);
    for (size_t i = 0; i < ROUNDS; i++) {
        const struct network *network = &networks[i % PC_COUNT(networks)];
        size_t place = draw(PC_COUNT(places));
        char text[TEXT_BYTES_MAX];
        struct sbuf out = sbuf_over(text, sizeof(text));
        size_t from;
        struct span card;

        sbuf_add_text(&out, places[place].before);
        from = out.len;
        add_card(&out, network);
        card = span_slice(sbuf_span(&out), from, out.len);
        sbuf_add_text(&out, places[place].after);
        assert_false(out.full);
        mask_in_place(text, out.len);
        missed += digits_in(card) > 4;
        if (digits_in(card) > 4 && missed < 5)
            print_message("missed: %s: %.*s\n", network->name, SPAN_ARG(sbuf_span(&out)));
    }
    print_message("cards: %zu of %d missed\n", missed, ROUNDS);
    assert_true(missed * 1000 <= ROUNDS * MISSES_PER_THOUSAND);
}

/* IBANs of digits alone, with their check digits. */
static void ibans_are_found(void **state)
{
    static const struct {
        const char *country;
        size_t count;
    } of[] = {{"DE", 22}, {"AT", 20}, {"BE", 16}, {"ES", 24}, {"PT", 25}, {"PL", 28},
              {"FR", 27}, {"CH", 21}, {"NO", 15}, {"SE", 24}, {"HU", 28}, {"SA", 24}};
    size_t missed = 0;

    (void)state;
    random_seeded_init(&seeded, 13616);
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t count = of[i % PC_COUNT(of)].count;
        const char *country = of[i % PC_COUNT(of)].country;
        char digits[40], text[64];
        struct sbuf out = sbuf_over(text, sizeof(text));
        unsigned rest = 0;
        bool spaced = draw(10) < 6;

        draw_digits(digits, 4, count);
        for (size_t k = 4; k < count; k++)
            rest = (rest * 10 + (unsigned)(digits[k] - '0')) % 97;
        for (size_t k = 0; k < 2; k++)
            rest = (rest * 100 + (unsigned)(country[k] - 'A') + 10) % 97;
        rest = 98 - rest * 100 % 97;
        digits[0] = country[0];
        digits[1] = country[1];
        digits[2] = (char)('0' + rest / 10);
        digits[3] = (char)('0' + rest % 10);
        for (size_t k = 0; k < count; k++) {
            if (spaced && k > 0 && k % 4 == 0)
                sbuf_add_char(&out, ' ');
            sbuf_add_char(&out, digits[k]);
        }
        mask_in_place(text, out.len);
        missed += digits_in(sbuf_span(&out)) > 4;
    }
    print_message("IBANs: %zu of %d missed\n", missed, ROUNDS);
    assert_true(missed * 1000 <= ROUNDS * MISSES_PER_THOUSAND);
}

/* What looks alike. Each class has its own rate, so that a bad one cannot hide among good ones. */
typedef void add_fn(struct sbuf *out);

static const int64_t year_ns = INT64_C(31557600) * CLOCK_NS_PER_S;

/* From 2001 to 2032. */
static int64_t draw_time(void)
{
    return INT64_C(1000000000) * CLOCK_NS_PER_S + (int64_t)draw(31 * (uint64_t)year_ns);
}

static void add_seconds(struct sbuf *out)
{
    sbuf_add_i64(out, draw_time() / CLOCK_NS_PER_S);
}

static void add_milliseconds(struct sbuf *out)
{
    sbuf_add_i64(out, draw_time() / CLOCK_NS_PER_MS);
}

static void add_microseconds(struct sbuf *out)
{
    sbuf_add_i64(out, draw_time() / 1000);
}

static void add_nanoseconds(struct sbuf *out)
{
    sbuf_add_i64(out, draw_time());
}

static void add_fraction(struct sbuf *out)
{
    sbuf_add_format(out, "%lld.%09lld", (long long)(draw_time() / CLOCK_NS_PER_S),
                    (long long)draw(1000000000));
}

static void add_rfc3339(struct sbuf *out)
{
    clock_add_rfc3339(out, draw_time(), 9);
}

static void add_time_compact(struct sbuf *out)
{
    char text[40];
    struct sbuf time = sbuf_over(text, sizeof(text));

    clock_add_rfc3339(&time, draw_time(), 3);
    for (size_t i = 0; i < time.len; i++) {
        if (text[i] >= '0' && text[i] <= '9')
            sbuf_add_char(out, text[i]);
    }
}

static void add_uuid(struct sbuf *out)
{
    char text[RANDOM_UUID_BYTES];

    random_uuid(&seeded.source, text);
    sbuf_add_bytes(out, text, sizeof(text));
}

static void add_hex_of(struct sbuf *out, size_t bytes)
{
    unsigned char raw[32];

    random_fill(&seeded.source, raw, bytes);
    sbuf_add_hex(out, raw, bytes);
}

static void add_uuid_bare(struct sbuf *out)
{
    add_hex_of(out, 16);
}

static void add_digest(struct sbuf *out)
{
    add_hex_of(out, 32);
}

static void add_span_id(struct sbuf *out)
{
    add_hex_of(out, 8);
}

static void add_ulid(struct sbuf *out)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    sbuf_add_lit(out, "01");
    for (size_t i = 0; i < 24; i++)
        sbuf_add_char(out, alphabet[draw(32)]);
}

static void add_id(struct sbuf *out)
{
    sbuf_add_format(out, "id %llu", (unsigned long long)draw(1000000000));
}

static void add_order(struct sbuf *out)
{
    sbuf_add_format(out, "ORD-2026-%06llu", (unsigned long long)draw(1000000));
}

static void add_snowflake(struct sbuf *out)
{
    sbuf_add_u64(out, UINT64_C(1000000000000000000) + draw(UINT64_C(900000000000000000)));
}

static void add_invoice(struct sbuf *out)
{
    sbuf_add_format(out, "2026%02llu%02llu-%06llu", (unsigned long long)draw(12) + 1,
                    (unsigned long long)draw(28) + 1, (unsigned long long)draw(1000000));
}

static void add_amount(struct sbuf *out)
{
    sbuf_add_format(out, "%llu.%02llu", (unsigned long long)draw(UINT64_C(1000000000000000)),
                    (unsigned long long)draw(100));
}

static void add_amount_grouped(struct sbuf *out)
{
    const char *separator = draw(2) ? "," : " ";

    sbuf_add_u64(out, 1 + draw(999));
    for (uint64_t groups = 1 + draw(5); groups > 0; groups--)
        sbuf_add_format(out, "%s%03llu", separator, (unsigned long long)draw(1000));
}

static void add_ratio(struct sbuf *out)
{
    sbuf_add_format(out, "0.%08llu%08llu", (unsigned long long)draw(100000000),
                    (unsigned long long)draw(100000000));
}

static void add_telephone(struct sbuf *out)
{
    const char *separator = draw(2) ? " " : "";

    sbuf_add_format(out, "+%llu%s%llu%s%llu", (unsigned long long)draw(79) + 20, separator,
                    (unsigned long long)draw(9900) + 100, separator,
                    (unsigned long long)draw(9000000) + 1000000);
}

static void add_address(struct sbuf *out)
{
    sbuf_add_format(out, "%llu.%llu.%llu.%llu:%llu", (unsigned long long)draw(256),
                    (unsigned long long)draw(256), (unsigned long long)draw(256),
                    (unsigned long long)draw(256), (unsigned long long)draw(65536));
}

static void look_alikes_stay(void **state)
{
    static const struct {
        const char *name;
        add_fn *add;
    } classes[] = {{"epoch seconds", add_seconds},
                   {"epoch milliseconds", add_milliseconds},
                   {"epoch microseconds", add_microseconds},
                   {"epoch nanoseconds", add_nanoseconds},
                   {"epoch with fraction", add_fraction},
                   {"RFC 3339", add_rfc3339},
                   {"compact date and time", add_time_compact},
                   {"UUID", add_uuid},
                   {"UUID without dashes", add_uuid_bare},
                   {"SHA-256", add_digest},
                   {"span id", add_span_id},
                   {"ULID", add_ulid},
                   {"id", add_id},
                   {"order number", add_order},
                   {"snowflake id", add_snowflake},
                   {"invoice number", add_invoice},
                   {"amount", add_amount},
                   {"amount in groups", add_amount_grouped},
                   {"ratio", add_ratio},
                   {"telephone number", add_telephone},
                   {"network address", add_address}};

    (void)state;
    random_seeded_init(&seeded, 9562);
    for (size_t i = 0; i < PC_COUNT(classes); i++) {
        size_t hits = 0;

        for (size_t round = 0; round < ROUNDS; round++) {
            char text[TEXT_BYTES_MAX];
            struct sbuf out = sbuf_over(text, sizeof(text));

            sbuf_add_text(&out, round % 2 ? "on " : "");
            classes[i].add(&out);
            sbuf_add_text(&out, round % 4 > 1 ? ", ok" : "");
            assert_false(out.full);
            hits += mask_finds(sbuf_span(&out));
            if (hits == 1 && mask_finds(sbuf_span(&out)))
                print_message("hit: %s: %.*s\n", classes[i].name, SPAN_ARG(sbuf_span(&out)));
        }
        print_message("%s: %zu of %d hit\n", classes[i].name, hits, ROUNDS);
        if (hits * 1000 > (size_t)ROUNDS * HITS_PER_THOUSAND)
            fail_msg("%s: %zu hits in %d", classes[i].name, hits, ROUNDS);
    }
}

/* A number of 16 digits drawn at random is a card number to anybody: one in ten has Luhn's sum, and
 * issuers hold about a quarter of the first digits. Nothing but its context can tell. */
static void random_numbers_are_what_chance_makes_them(void **state)
{
    size_t hits = 0;

    (void)state;
    random_seeded_init(&seeded, 16);
    for (size_t i = 0; i < ROUNDS; i++) {
        char digits[16];

        draw_digits(digits, 0, sizeof(digits));
        hits += mask_finds(span_make(digits, sizeof(digits)));
    }
    print_message("random 16 digits: %zu of %d hit\n", hits, ROUNDS);
    assert_in_range(hits, ROUNDS / 100, ROUNDS / 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cards_are_found),
        cmocka_unit_test(ibans_are_found),
        cmocka_unit_test(look_alikes_stay),
        cmocka_unit_test(random_numbers_are_what_chance_makes_them),
    };

    return cmocka_run_group_tests_name("mask_rate", tests, NULL, NULL);
}
