/* SPDX-License-Identifier: MIT
 * Judges signatures that others wrote: one JSON object a line on standard input, "valid" or
 * "invalid" a line on standard output, in order.
 *
 *   {"kind":"jws","jwk":{...} or {"keys":[...]},"jws":"..."}
 *   {"kind":"raw","alg":"ES256","jwk":{...},"msg":"hex","sig":"hex"}
 *
 * It judges with src/crypto alone, so that vectors such as Wycheproof's can be run against it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "crypto/jose.h"
#include "json/json.h"

enum { ARENA_BYTES_MAX = 16 * 1024 * 1024 };

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct span hex, struct arena *arena, struct span *ret_data)
{
    char *data = arena_bytes(arena, hex.len / 2 + 1);

    if (data == NULL || hex.len % 2 != 0)
        return false;
    for (size_t i = 0; i < hex.len / 2; i++) {
        int high = digit(hex.ptr[2 * i]), low = digit(hex.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        data[i] = (char)(high * 16 + low);
    }
    *ret_data = span_make(data, hex.len / 2);
    return true;
}

/* A lone key is a set of one. */
static bool read_keys(const struct json_value *jwk, struct crypto_keyset **ret_keys)
{
    PC_AUTO(crypto_key) key = NULL;

    if (json_get(jwk, "keys") != NULL)
        return crypto_keyset_from_jwks(jwk->source, CRYPTO_ALG_NONE, ret_keys, NULL) == ERR_OK;
    return crypto_key_from_jwk(jwk, CRYPTO_ALG_NONE, &key, NULL) == ERR_OK &&
           crypto_keyset_new(ret_keys) == ERR_OK && crypto_keyset_add(*ret_keys, key) == ERR_OK;
}

static bool judge_jws(const struct json_value *line, struct arena *arena)
{
    PC_AUTO(crypto_keyset) keys = NULL;
    const struct json_value *jws = json_get(line, "jws");
    struct crypto_jws result;

    return json_is_text(jws) && read_keys(json_get(line, "jwk"), &keys) &&
           crypto_jws_verify(keys, jws->text, arena, &result, NULL) == ERR_OK;
}

static bool judge_raw(const struct json_value *line, struct arena *arena)
{
    PC_AUTO(crypto_key) key = NULL;
    const struct json_value *name = json_get(line, "alg");
    struct span message, signature, alg;

    if (!json_to_text(name, &alg) || !json_to_text(json_get(line, "msg"), &message) ||
        !json_to_text(json_get(line, "sig"), &signature) || !from_hex(message, arena, &message) ||
        !from_hex(signature, arena, &signature))
        return false;
    if (crypto_key_from_jwk(json_get(line, "jwk"), crypto_alg_from(alg), &key, NULL) != ERR_OK)
        return false;
    return span_is(alg, crypto_alg_name(crypto_key_alg(key))) &&
           crypto_key_verify(key, message, signature);
}

static bool judge(struct span text)
{
    const struct json_value *line;
    struct arena arena;
    bool valid = false;
    struct span kind;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (json_read(text, &arena, &line, NULL) == ERR_OK &&
        json_to_text(json_get(line, "kind"), &kind))
        valid = span_is(kind, "raw") ? judge_raw(line, &arena) : judge_jws(line, &arena);
    arena_reset(&arena);
    return valid;
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t bytes;

    while ((bytes = getline(&line, &room, stdin)) > 0)
        puts(judge(span_trim(span_make(line, (size_t)bytes))) ? "valid" : "invalid");
    free(line); /* getline's, so not alloc_free's */
    return fflush(stdout) == 0 ? 0 : 1;
}
