/* SPDX-License-Identifier: MIT
 * What Redis may answer, and what only a liar would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "limit/limit_reply.h"

static enum err read_in_pieces(const char *text, size_t len, size_t piece, struct limit_reply *ret)
{
    struct limit_reader *reader = NULL;
    enum err err = ERR_AGAIN;

    assert_int_equal(limit_reader_new(&reader), ERR_OK);
    for (size_t at = 0; at < len && err == ERR_AGAIN; at += piece) {
        size_t bytes = len - at < piece ? len - at : piece;

        err = limit_reader_feed(reader, span_make(text + at, bytes));
        if (err == ERR_OK)
            err = limit_reader_next(reader, ret);
    }
    limit_reader_free(reader);
    return err;
}

static enum err read_one(const char *text, struct limit_reply *ret)
{
    enum err whole = read_in_pieces(text, strlen(text), strlen(text), ret);

    for (size_t piece = 1; piece < 4; piece++)
        assert_int_equal(read_in_pieces(text, strlen(text), piece, ret), whole);
    return whole;
}

static void reads_numbers(void **state)
{
    struct limit_reply reply;

    (void)state;
    assert_int_equal(read_one("*3\r\n:1\r\n:-20\r\n:9223372036854775807\r\n", &reply), ERR_OK);
    assert_int_equal(reply.kind, LIMIT_REPLY_NUMBERS);
    assert_int_equal(reply.count, 3);
    assert_int_equal(reply.numbers[0], 1);
    assert_int_equal(reply.numbers[1], -20);
    assert_true(reply.numbers[2] == INT64_MAX);
    assert_int_equal(read_one("*0\r\n", &reply), ERR_OK);
    assert_int_equal(reply.kind, LIMIT_REPLY_NUMBERS);
    assert_int_equal(reply.count, 0);
    assert_int_equal(read_one(":7\r\n", &reply), ERR_OK);
    assert_int_equal(reply.kind, LIMIT_REPLY_NUMBERS);
    assert_int_equal(reply.count, 1);
    assert_int_equal(reply.numbers[0], 7);
}

static void reads_texts_and_errors(void **state)
{
    struct limit_reply reply;

    (void)state;
    assert_int_equal(read_one("+OK\r\n", &reply), ERR_OK);
    assert_int_equal(reply.kind, LIMIT_REPLY_TEXT);
    assert_int_equal(reply.text_bytes, 2);
    assert_int_equal(read_one("$3\r\nabc\r\n", &reply), ERR_OK);
    assert_int_equal(reply.kind, LIMIT_REPLY_TEXT);
    assert_int_equal(read_one("-READONLY You can't write\r\n", &reply), ERR_OK);
    assert_int_equal(reply.kind, LIMIT_REPLY_ERROR);
    assert_true(span_is(limit_reply_word(&reply), "READONLY"));
    assert_int_equal(read_one("-\r\n", &reply), ERR_OK);
    assert_int_equal(limit_reply_word(&reply).len, 0);
}

/* Well formed, but no answer to anything of ours: told apart, never taken for numbers. */
static void tells_other_things_apart(void **state)
{
    static const char *const texts[] = {"$-1\r\n", "*-1\r\n", "*2\r\n:1\r\n$1\r\na\r\n",
                                        "*2\r\n$-1\r\n:1\r\n", "*2\r\n:1\r\n-ERR no\r\n"};
    struct limit_reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_one(texts[i], &reply), ERR_OK);
        assert_int_equal(reply.kind, LIMIT_REPLY_OTHER);
    }
}

/* Nothing is allocated for what it promises. */
static void refuses_lies(void **state)
{
    static const char *const texts[] = {"HTTP/1.1 400 Bad Request\r\n\r\n",
                                        "*33\r\n",
                                        "*1000000000\r\n",
                                        "*2147483647\r\n",
                                        "*99999999999999999999\r\n",
                                        "*1\r\n*1\r\n:1\r\n",
                                        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
                                        "$99999999999999999999\r\n",
                                        ":x\r\n",
                                        "*x\r\n",
                                        "_\r\n"};
    struct limit_reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (read_one(texts[i], &reply) != ERR_BAD_REQUEST)
            fail_msg("taken: %s", texts[i]);
    }
}

/* Text without end, and a string as long as it says. */
static void refuses_what_never_ends(void **state)
{
    static const char *const begins[] = {"$536870912\r\n", "+", "-", "*2\r\n:1\r\n$5000\r\n"};
    static char text[2 * LIMIT_REPLY_BYTES_MAX];
    struct limit_reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++) {
        memset(text, 'a', sizeof(text));
        memcpy(text, begins[i], strlen(begins[i]));
        assert_int_equal(read_in_pieces(text, LIMIT_REPLY_BYTES_MAX, 100, &reply), ERR_AGAIN);
        assert_int_equal(read_in_pieces(text, sizeof(text), 100, &reply), ERR_BAD_REQUEST);
    }
}

static void reads_many_in_a_row(void **state)
{
    struct limit_reader *reader = NULL;
    struct limit_reply reply;

    (void)state;
    assert_int_equal(limit_reader_new(&reader), ERR_OK);
    for (int64_t i = 0; i < 5000; i++) {
        assert_int_equal(limit_reader_feed(reader, SPAN_OF("*2\r\n:5\r\n:6\r\n+OK\r\n:")), ERR_OK);
        assert_int_equal(limit_reader_next(reader, &reply), ERR_OK);
        assert_int_equal(reply.count, 2);
        assert_int_equal(limit_reader_next(reader, &reply), ERR_OK);
        assert_int_equal(reply.kind, LIMIT_REPLY_TEXT);
        assert_int_equal(limit_reader_next(reader, &reply), ERR_AGAIN);
        assert_int_equal(limit_reader_feed(reader, SPAN_OF("8\r\n")), ERR_OK);
        assert_int_equal(limit_reader_next(reader, &reply), ERR_OK);
        assert_int_equal(reply.numbers[0], 8);
    }
    limit_reader_free(reader);
    limit_reader_free(NULL);
}

/* What was read already does not count against what is still coming. */
static void only_what_is_unread_is_bounded(void **state)
{
    static char text[800 + 3600];
    struct limit_reader *reader = NULL;
    struct limit_reply reply;

    (void)state;
    for (size_t i = 0; i < 200; i++)
        memcpy(text + 4 * i, ":1\r\n", 4);
    memset(text + 800, 'a', 3600);
    memcpy(text + 800, "$4000\r\n", 7);
    assert_int_equal(limit_reader_new(&reader), ERR_OK);
    assert_int_equal(limit_reader_feed(reader, span_make(text, sizeof(text))), ERR_OK);
    for (size_t i = 0; i < 200; i++)
        assert_int_equal(limit_reader_next(reader, &reply), ERR_OK);
    assert_int_equal(limit_reader_next(reader, &reply), ERR_AGAIN);
    limit_reader_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(reads_texts_and_errors),
        cmocka_unit_test(tells_other_things_apart),
        cmocka_unit_test(refuses_lies),
        cmocka_unit_test(refuses_what_never_ends),
        cmocka_unit_test(reads_many_in_a_row),
        cmocka_unit_test(only_what_is_unread_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
