/* SPDX-License-Identifier: MIT
 * Some thousand texts, grown from a fixed seed and then damaged, judged by the reader and by
 * jansson. PORTCULLIS_SEED and PORTCULLIS_TEXTS choose another seed and count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "json/json_oracle.h"

enum { TEXT_BYTES_MAX = 8192, DEPTH_MAX = 6, TEXTS = 20000 };

static struct random_seeded seeded;

static uint32_t below(uint32_t limit)
{
    uint32_t value;

    random_fill(&seeded.source, &value, sizeof(value));
    return value % limit;
}

static void add_one_of(struct sbuf *out, const char *const *list, size_t count)
{
    sbuf_add_text(out, list[below((uint32_t)count)]);
}
#define ADD_ONE_OF(out, list) add_one_of((out), (list), PC_COUNT(list))

static const char *const spaces[] = {"", "", "", " ", "\n", "\t", "\r\n", "  "};

static const char *const numbers[] = {"0",
                                      "-0",
                                      "7",
                                      "-12",
                                      "0.5",
                                      "1e3",
                                      "-2.50E-2",
                                      "1E+2",
                                      "9223372036854775807",
                                      "-9223372036854775808",
                                      "9223372036854775808",
                                      "90071992547409.93",
                                      "1e400",
                                      "5e-400",
                                      "00",
                                      "1.",
                                      ".1",
                                      "-",
                                      "+1",
                                      "1e",
                                      "NaN",
                                      "0x10"};

static const char *const pieces[] = {
    "a",
    "key",
    "",
    "\\n",
    "\\\"",
    "\\\\",
    "\\/",
    "\\u0041",
    "\\u00e9",
    "\\u0000",
    "\\ud834\\udd1e",
    "\xC3\xA9",
    "\xF0\x9D\x84\x9E",
    " ",
    "\x7F",
    "\\ud800",
    "\\udc00",
    "\\uD800\\n",
    "\\x",
    "\\u12",
    "\xFF",
    "\xC0\x80",
    "\xED\xA0\x80",
    "\n",
    "\xEF\xBF\xBF",
    "\xF4\x8F\xBF\xBF",
    "\xF4\x90\x80\x80",
};

/* Most pieces come from the good front of the list, so that texts go deep before they fail. */
static void add_text(struct sbuf *out)
{
    uint32_t count = below(4);

    sbuf_add_char(out, '"');
    for (uint32_t i = 0; i < count; i++)
        add_one_of(out, pieces, below(200) == 0 ? PC_COUNT(pieces) : 15);
    sbuf_add_char(out, '"');
}

static void add_value(struct sbuf *out, unsigned depth);

static void add_container(struct sbuf *out, unsigned depth, bool object)
{
    uint32_t count = below(depth == 0 ? 30 : 5);

    sbuf_add_char(out, object ? '{' : '[');
    for (uint32_t i = 0; i < count; i++) {
        sbuf_add_text(out, i == 0 ? "" : ",");
        ADD_ONE_OF(out, spaces);
        if (object) {
            if (below(10) > 0)
                sbuf_add_format(out, "\"k%u\"", below(60) == 0 ? below(30) : i);
            else
                add_text(out);
            ADD_ONE_OF(out, spaces);
            sbuf_add_char(out, ':');
        }
        add_value(out, depth + 1);
    }
    sbuf_add_char(out, object ? '}' : ']');
}

static void add_value(struct sbuf *out, unsigned depth)
{
    static const char *const literals[] = {"true", "false", "null"};

    ADD_ONE_OF(out, spaces);
    switch (below(depth == 0 ? 2 : depth < DEPTH_MAX ? 6 : 4) + (depth == 0 ? 4 : 0)) {
    case 0:
        ADD_ONE_OF(out, literals);
        break;
    case 1:
        add_text(out);
        break;
    case 2:
    case 3:
        add_one_of(out, numbers, below(200) == 0 ? PC_COUNT(numbers) : 10);
        break;
    default:
        add_container(out, depth, below(2) == 0);
        break;
    }
    ADD_ONE_OF(out, spaces);
}

/* Changes, drops or doubles a few bytes of every third text or so, or cuts its end off. */
static void damage(struct sbuf *text)
{
    static const char likely[] = "{}[]:,\"\\0123456789-+.eEtfn \n\x80\xC3";

    for (uint32_t i = below(2) * below(4); i > 0 && text->len > 1; i--) {
        size_t at = below((uint32_t)text->len);

        switch (below(4)) {
        case 0:
            text->ptr[at] = likely[below(sizeof(likely))]; /* its NUL too */
            break;
        case 1:
            memmove(text->ptr + at, text->ptr + at + 1, text->len - at - 1);
            text->len--;
            break;
        case 2:
            memmove(text->ptr + at + 1, text->ptr + at, text->len - at - 1);
            break;
        default:
            text->len = below(8) == 0 ? at : text->len;
            break;
        }
    }
}

static uint64_t setting(const char *name, uint64_t fallback)
{
    uint64_t value;

    return span_to_u64(span_from(getenv(name)), &value) ? value : fallback;
}

static void agrees_with_jansson(void **state)
{
    static char buffer[TEXT_BYTES_MAX];
    uint64_t seed = setting("PORTCULLIS_SEED", 1);
    uint64_t count = setting("PORTCULLIS_TEXTS", TEXTS);
    uint64_t read = 0;

    (void)state;
    random_seeded_init(&seeded, seed);
    for (uint64_t i = 0; i < count; i++) {
        struct sbuf text = sbuf_over(buffer, sizeof(buffer));
        const char *difference;

        add_value(&text, 0);
        damage(&text);
        difference = json_oracle_difference(sbuf_span(&text));
        if (difference != NULL)
            fail_msg("seed %llu, text %llu: %s: %.*s", (unsigned long long)seed,
                     (unsigned long long)i, difference, SPAN_ARG(sbuf_span(&text)));
        text.full = false;
        read += json_oracle_jansson(sbuf_span(&text), &(struct sbuf){0}) == JSON_OPINION_READ;
    }
    print_message("%llu texts, %llu of them read\n", (unsigned long long)count,
                  (unsigned long long)read);
    assert_in_range(read, count / 10, count * 9 / 10); /* neither half is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_jansson)};

    return cmocka_run_group_tests_name("json_oracle", tests, NULL, NULL);
}
