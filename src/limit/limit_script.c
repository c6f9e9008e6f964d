/* SPDX-License-Identifier: MIT
 * The script and its callers' bytes. What it answers, for n buckets:
 *
 *   { taken at all (0 or 1), debt of 1 before, got from 1, ..., debt of n before, got from n }
 *
 * Either every bucket gave at least what was asked of it at least, or none gave anything: a request
 * that one limit refuses costs the others nothing. A debt of more than the bucket's size, of a
 * larger limit before or of a clock that was set back, counts as an empty bucket, so no bucket is
 * ever shut for longer than it takes to fill. */
#include "limit/limit_script.h"

#include <string.h>

#include "crypto/digest.h"

#define PREFIX "portcullis:limit:"

enum { US_PER_MS = 1000, NS_PER_US = 1000, NUMBERS = 4 };

static const char script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000000 + t[2]\n"
    "local all, out, tats = 1, {0}, {}\n"
    "for i = 1, #KEYS do\n"
    "  local a = 4 * i - 3\n"
    "  local step, room = tonumber(ARGV[a]), tonumber(ARGV[a + 1])\n"
    "  local want, least = tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])\n"
    "  local debt = (tonumber(redis.call('GET', KEYS[i]) or '0') or 0) - now\n"
    "  if debt < 0 then debt = 0 elseif debt > room then debt = room end\n"
    "  local free = math.floor((room - debt) / step)\n"
    "  if want > free then want = free end\n"
    "  if want < least then all = 0 end\n"
    "  local after = debt + want * step\n"
    "  if after < 0 then after = 0 end\n"
    "  tats[i] = after\n"
    "  out[2 * i] = debt\n"
    "  out[2 * i + 1] = want\n"
    "end\n"
    "out[1] = all\n"
    "for i = 1, #KEYS do\n"
    "  if all == 0 then\n"
    "    out[2 * i + 1] = 0\n"
    "  elseif out[2 * i + 1] ~= 0 then\n"
    "    redis.call('SET', KEYS[i], string.format('%.0f', now + tats[i]), 'PX',\n"
    "               math.floor(tats[i] / 1000) + 1)\n"
    "  end\n"
    "end\n"
    "return out\n";

struct span limit_script(void)
{
    return span_make(script, sizeof(script) - 1);
}

struct limit_part limit_part_of(const struct limit_rate *rate)
{
    struct limit_part part = {.burst = rate->burst ? rate->burst : rate->requests};
    int64_t divisor = (int64_t)rate->requests * NS_PER_US;

    PC_ASSERT(rate->requests > 0 && limit_rate_is_valid(rate));
    part.step_us = (rate->period_ns + divisor - 1) / divisor;
    part.room_us = part.step_us * part.burst;
    return part;
}

void limit_part_name(struct limit_part *part, struct span limit, struct span key)
{
    const struct span pieces[] = {limit, SPAN_OF("\0"), key};
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    memcpy(part->key, digest, sizeof(part->key));
}

struct limit_verdict limit_part_verdict(const struct limit_part *part, int64_t debt_us,
                                        bool allowed)
{
    struct limit_verdict verdict = {.limit = part->burst, .allowed = allowed};
    int64_t after_us = debt_us + part->step_us;

    if (after_us > part->room_us)
        verdict.retry_after_ns = (after_us - part->room_us) * NS_PER_US;
    if (allowed)
        debt_us = after_us;
    if (debt_us < part->room_us)
        verdict.remaining = (uint32_t)((part->room_us - debt_us) / part->step_us);
    verdict.full_after_ns = debt_us * NS_PER_US;
    return verdict;
}

/* ---- commands ----------------------------------------------------------------------------------
 */

static void word(struct sbuf *out, struct span text)
{
    sbuf_add_char(out, '$');
    sbuf_add_u64(out, text.len);
    sbuf_add_lit(out, "\r\n");
    sbuf_add(out, text);
    sbuf_add_lit(out, "\r\n");
}

static void number(struct sbuf *out, int64_t value)
{
    char text[24];
    struct sbuf digits = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&digits, value);
    word(out, sbuf_span(&digits));
}

static void words_begin(struct sbuf *out, size_t count)
{
    sbuf_add_char(out, '*');
    sbuf_add_u64(out, count);
    sbuf_add_lit(out, "\r\n");
}

bool limit_command(struct sbuf *out, const struct span *words, size_t count)
{
    words_begin(out, count);
    for (size_t i = 0; i < count; i++)
        word(out, words[i]);
    return !out->full;
}

static void add_parts(struct sbuf *out, const struct limit_part *parts, size_t count)
{
    number(out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        char text[sizeof(PREFIX) + 2 * (size_t)LIMIT_KEY_BYTES];
        struct sbuf name = sbuf_over(text, sizeof(text));

        sbuf_add_lit(&name, PREFIX);
        sbuf_add_hex(&name, parts[i].key, sizeof(parts[i].key));
        word(out, sbuf_span(&name));
    }
    for (size_t i = 0; i < count; i++) {
        number(out, parts[i].step_us);
        number(out, parts[i].room_us);
        number(out, parts[i].want);
        number(out, parts[i].least);
    }
}

bool limit_script_call(struct sbuf *out, const char sha[LIMIT_SHA_BYTES],
                       const struct limit_part *parts, size_t count)
{
    words_begin(out, 3 + count + NUMBERS * count);
    word(out, SPAN_OF("EVALSHA"));
    word(out, span_make(sha, LIMIT_SHA_BYTES));
    add_parts(out, parts, count);
    return !out->full;
}

bool limit_script_call_whole(struct sbuf *out, const struct limit_part *parts, size_t count)
{
    words_begin(out, 3 + count + NUMBERS * count);
    word(out, SPAN_OF("EVAL"));
    word(out, limit_script());
    add_parts(out, parts, count);
    return !out->full;
}
