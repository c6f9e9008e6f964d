/* SPDX-License-Identifier: MIT
 * See http2_plain.h. Letters, digits and most of what tokens and paths are made of have codes of at
 * most eight bits: the next byte tells which. A string with anything else in it stays as it is. */
#include "net/http2_plain.h"

#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

enum {
    CODED = 0x80,         /* a string's first byte */
    TEXT_BITS = 7,        /* and its length's bits there */
    NUMBER_BYTES_MAX = 4, /* of a number: more than any frame has bytes */
    WORD_BITS = 64,
    WORD_BYTES = 8,
    CODE_BITS = 8,      /* of those that are known here */
    CODE_BITS_LEAST = 5 /* of any */
};

/* --- codes ------------------------------------------------------------------------------------ */

/* RFC 7541, B: each byte that may come begins with one code. */
#define CODE(c, bits) ((uint16_t)((bits) << 8 | (c)))
#define EIGHT(c)      CODE(c, 8)
#define SEVEN(c)      CODE(c, 7), CODE(c, 7)
#define SIX(c)        CODE(c, 6), CODE(c, 6), CODE(c, 6), CODE(c, 6)
#define FIVE(c)                                                                                    \
    CODE(c, 5), CODE(c, 5), CODE(c, 5), CODE(c, 5), CODE(c, 5), CODE(c, 5), CODE(c, 5), CODE(c, 5)

static const uint16_t codes[1 << CODE_BITS] = {
    FIVE('0'),  FIVE('1'),  FIVE('2'),  FIVE('a'),  FIVE('c'),  FIVE('e'),  FIVE('i'),  FIVE('o'),
    FIVE('s'),  FIVE('t'),  SIX(' '),   SIX('%'),   SIX('-'),   SIX('.'),   SIX('/'),   SIX('3'),
    SIX('4'),   SIX('5'),   SIX('6'),   SIX('7'),   SIX('8'),   SIX('9'),   SIX('='),   SIX('A'),
    SIX('_'),   SIX('b'),   SIX('d'),   SIX('f'),   SIX('g'),   SIX('h'),   SIX('l'),   SIX('m'),
    SIX('n'),   SIX('p'),   SIX('r'),   SIX('u'),   SEVEN(':'), SEVEN('B'), SEVEN('C'), SEVEN('D'),
    SEVEN('E'), SEVEN('F'), SEVEN('G'), SEVEN('H'), SEVEN('I'), SEVEN('J'), SEVEN('K'), SEVEN('L'),
    SEVEN('M'), SEVEN('N'), SEVEN('O'), SEVEN('P'), SEVEN('Q'), SEVEN('R'), SEVEN('S'), SEVEN('T'),
    SEVEN('U'), SEVEN('V'), SEVEN('W'), SEVEN('Y'), SEVEN('j'), SEVEN('k'), SEVEN('q'), SEVEN('v'),
    SEVEN('w'), SEVEN('x'), SEVEN('y'), SEVEN('z'), EIGHT('&'), EIGHT('*'), EIGHT(','), EIGHT(';'),
    EIGHT('X'), EIGHT('Z'), 0,          0,
};

struct bits {
    uint64_t word; /* the next ones, from the top */
    unsigned have; /* of them in `word`; what is behind them means nothing */
    const unsigned char *at;
    const unsigned char *end;
};

/* To more than 56 bits, or all that there are. */
static struct bits refill(struct bits bits)
{
    uint64_t word;

    if (bits.end - bits.at >= WORD_BYTES) {
        unsigned take = (WORD_BITS - 1 - bits.have) / CODE_BITS;

        memcpy(&word, bits.at, sizeof(word));
        bits.word = (bits.word & ~(UINT64_MAX >> bits.have)) | be64toh(word) >> bits.have;
        bits.at += take;
        bits.have += take * CODE_BITS;
        return bits;
    }
    bits.word &= ~(UINT64_MAX >> bits.have);
    while (bits.have < WORD_BITS - CODE_BITS && bits.at < bits.end) {
        bits.word |= (uint64_t)*bits.at++ << (WORD_BITS - CODE_BITS - bits.have);
        bits.have += CODE_BITS;
    }
    return bits;
}

/* The last bits: a character perhaps, and padding, which is ones and less than a byte. */
static size_t decode_last(struct bits bits, char *to, size_t count)
{
    uint64_t word = bits.word | UINT64_MAX >> bits.have;
    uint16_t code = codes[word >> (WORD_BITS - CODE_BITS)];
    unsigned len = code >> CODE_BITS;

    if (len > 0 && len <= bits.have) {
        to[count++] = (char)code;
        word = word << len | (((uint64_t)1 << len) - 1);
    }
    return word == UINT64_MAX ? count : 0;
}

/* The characters of a string; 0 if there is one that is not known here, or none. `to` has room for
 * as many as there may be. */
static size_t decode(struct span coded, char *to)
{
    struct bits bits = {.at = (const unsigned char *)coded.ptr,
                        .end = (const unsigned char *)coded.ptr + coded.len};
    size_t count = 0;

    for (bits = refill(bits); bits.have >= CODE_BITS; bits = refill(bits)) {
        uint64_t word = bits.word;
        unsigned have = bits.have;

        while (have >= CODE_BITS) {
            unsigned code = codes[word >> (WORD_BITS - CODE_BITS)];
            unsigned len = code >> CODE_BITS;

            if (len == 0)
                return 0;
            to[count++] = (char)code;
            word <<= len;
            have -= len;
        }
        bits.word = word;
        bits.have = have;
    }
    return decode_last(bits, to, count);
}

/* --- what was heard before -------------------------------------------------------------------- */

enum { HEARD_BYTES_MIN = 64, HEARD_BYTES_MAX = 2048 }; /* of a string's code: others are not kept */

struct net_http2_string {
    size_t coded_len;
    size_t text_len;
    char bytes[]; /* the code, and what it says */
};

/* NULL: it is new. */
static const struct net_http2_string *find(const struct net_http2_heard *heard, struct span coded)
{
    if (coded.len < HEARD_BYTES_MIN)
        return NULL;
    for (size_t i = 0; i < NET_HTTP2_HEARD_MAX; i++) {
        const struct net_http2_string *string = heard->strings[i];

        if (string != NULL && string->coded_len == coded.len &&
            memcmp(string->bytes, coded.ptr, coded.len) == 0)
            return string;
    }
    return NULL;
}

static void drop(struct net_http2_string **string)
{
    if (*string == NULL)
        return;
    alloc_wipe((*string)->bytes, (*string)->coded_len + (*string)->text_len);
    alloc_free(*string);
    *string = NULL;
}

/* In place of the older one; without memory it is decoded again the next time. */
static void keep(struct net_http2_heard *heard, struct span coded, struct span text)
{
    struct net_http2_string **place = &heard->strings[heard->turn];

    if (coded.len < HEARD_BYTES_MIN || coded.len > HEARD_BYTES_MAX)
        return;
    heard->turn = (heard->turn + 1) % NET_HTTP2_HEARD_MAX;
    drop(place);
    *place = alloc_raw(sizeof(**place) + coded.len + text.len);
    if (*place == NULL)
        return;
    (*place)->coded_len = coded.len;
    (*place)->text_len = text.len;
    memcpy((*place)->bytes, coded.ptr, coded.len);
    memcpy((*place)->bytes + coded.len, text.ptr, text.len);
}

void net_http2_heard_free(struct net_http2_heard *heard)
{
    for (size_t i = 0; i < NET_HTTP2_HEARD_MAX; i++)
        drop(&heard->strings[i]);
}

/* --- blocks ----------------------------------------------------------------------------------- */

struct copy {
    struct net_http2_heard *heard;
    const unsigned char *at; /* of what is read */
    const unsigned char *end;
    char *to;
    size_t len;
    size_t room;
    bool changed;
};

/* RFC 7541, 5.1. */
static bool read_number(struct copy *copy, unsigned bits, size_t *ret_number)
{
    size_t most = ((size_t)1 << bits) - 1;
    unsigned shift = 0;

    *ret_number = *copy->at++ & most;
    if (*ret_number < most)
        return true;
    while (copy->at < copy->end && shift < TEXT_BITS * (NUMBER_BYTES_MAX - 1)) {
        unsigned char byte = *copy->at++;

        *ret_number += (size_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
        shift += TEXT_BITS;
    }
    return false;
}

static char *put_number(char *to, size_t number)
{
    const size_t most = ((size_t)1 << TEXT_BITS) - 1;

    if (number < most) {
        *to++ = (char)number;
        return to;
    }
    *to++ = (char)most;
    for (number -= most; number >= 0x80; number >>= TEXT_BITS)
        *to++ = (char)(0x80 | (number & 0x7f));
    *to++ = (char)number;
    return to;
}

static bool put_as_it_is(struct copy *copy, const unsigned char *from)
{
    size_t bytes = (size_t)(copy->at - from);

    if (bytes > copy->room - copy->len)
        return false;
    memcpy(copy->to + copy->len, from, bytes);
    copy->len += bytes;
    return true;
}

/* False if there may be no room for it. */
static bool put_known(struct copy *copy, const struct net_http2_string *string)
{
    char *to = copy->to + copy->len;
    char *text;

    if (copy->room - copy->len < NUMBER_BYTES_MAX + string->text_len)
        return false;
    text = put_number(to, string->text_len);
    memcpy(text, string->bytes + string->coded_len, string->text_len);
    copy->len += (size_t)(text - to) + string->text_len;
    return true;
}

/* Its length is known when it is decoded: room for that is left before it. */
static bool put_decoded(struct copy *copy, struct span coded)
{
    const struct net_http2_string *known = find(copy->heard, coded);
    char *to = copy->to + copy->len;
    char *text;
    size_t count;

    if (known != NULL)
        return put_known(copy, known);
    if (copy->room - copy->len < NUMBER_BYTES_MAX + coded.len * CODE_BITS / CODE_BITS_LEAST)
        return false;
    count = decode(coded, to + NUMBER_BYTES_MAX);
    if (count == 0)
        return false;
    text = put_number(to, count);
    memmove(text, to + NUMBER_BYTES_MAX, count);
    keep(copy->heard, coded, span_make(text, count));
    copy->len += (size_t)(text - to) + count;
    return true;
}

static bool copy_string(struct copy *copy)
{
    const unsigned char *from = copy->at;
    struct span text;
    size_t bytes;

    if (copy->at == copy->end || !read_number(copy, TEXT_BITS, &bytes) ||
        bytes > (size_t)(copy->end - copy->at))
        return false;
    text = span_make(copy->at, bytes);
    copy->at += bytes;
    if ((*from & CODED) == 0 || !put_decoded(copy, text))
        return put_as_it_is(copy, from);
    copy->changed = true;
    return true;
}

/* A field, or a table's new size. */
static bool copy_one(struct copy *copy)
{
    const unsigned char *from = copy->at;
    unsigned first = *from;
    bool literal = (first & 0x80) == 0 && (first & 0xe0) != 0x20;
    unsigned bits = (first & 0x80) != 0 ? 7 : (first & 0x40) != 0 ? 6 : literal ? 4 : 5;
    size_t number;

    if (!read_number(copy, bits, &number) || !put_as_it_is(copy, from))
        return false;
    if (!literal)
        return true;
    return (number > 0 || copy_string(copy)) && copy_string(copy);
}

size_t net_http2_plain(struct net_http2_heard *heard, struct span block, char *to, size_t room)
{
    struct copy copy = {.heard = heard,
                        .at = (const unsigned char *)block.ptr,
                        .end = (const unsigned char *)block.ptr + block.len,
                        .to = to,
                        .room = room};

    while (copy.at < copy.end) {
        if (!copy_one(&copy))
            return 0;
    }
    return copy.changed ? copy.len : 0;
}
