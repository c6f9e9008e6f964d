/* SPDX-License-Identifier: MIT
 * The verdict on a token of another issuer:
 *
 *   keys too old or none -> 503     algorithm, kid -> 401, or 503 while the keys are fetched
 *   signature -> typ -> iss -> sub -> times -> aud, required claims -> what it may do
 *
 * A token is verified on the loop that it came to, with a reference to the keys of that moment. The
 * epoch is read before the keys: if a key is withdrawn meanwhile, what is remembered of the verdict
 * is stale already. */
#include "issuer/issuer.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "issuer/issuer_priv.h"

enum { EPOCH_BITS = 12 }; /* keys that are withdrawn, until epochs run into those of the next */

static const struct metric_def fetches_def = {.name = "issuer_fetches_total",
                                              .help = "Looks at the keys of an issuer, by what "
                                                      "came of them.",
                                              .kind = METRIC_COUNTER,
                                              .labels = {"issuer", "outcome"}};
static const struct metric_def keys_def = {.name = "issuer_keys",
                                           .help = "Keys of an issuer that can be used.",
                                           .kind = METRIC_GAUGE,
                                           .labels = {"issuer"}};
static const char *const outcomes[ISSUER_OUTCOMES] = {
    [ISSUER_FETCHED] = "new", [ISSUER_SAME] = "same", [ISSUER_FAILED] = "failed"};

static enum err metrics_make(struct issuer *issuer)
{
    struct span labels[2] = {span_from(issuer->options.name)};
    struct metric *fetches;
    struct metric *keys;
    enum err err = metric_register(issuer->options.metrics, &fetches_def, &fetches);

    if (!err)
        err = metric_register(issuer->options.metrics, &keys_def, &keys);
    if (err)
        return err;
    for (size_t i = 0; i < ISSUER_OUTCOMES; i++) {
        labels[1] = span_from(outcomes[i]);
        issuer->outcomes[i] = metric_series(fetches, labels, 2);
        metric_hold(issuer->outcomes[i]);
    }
    issuer->key_count = metric_series(keys, labels, 1);
    metric_hold(issuer->key_count);
    return ERR_OK;
}

static void condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attr;

    PC_ASSERT(pthread_condattr_init(&attr) == 0);
    PC_ASSERT(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    PC_ASSERT(pthread_cond_init(condition, &attr) == 0);
    PC_ASSERT(pthread_condattr_destroy(&attr) == 0);
}

/* Where an issuer's epochs begin: one that takes the place of another, at the same address even,
 * must not find that one's verdicts fresh. */
static uint32_t epoch_first(void)
{
    static _Atomic uint32_t issuers;

    return atomic_fetch_add(&issuers, 1) << EPOCH_BITS;
}

static struct issuer_keys *keys_hold(struct issuer *issuer)
{
    struct issuer_keys *keys;

    PC_ASSERT(pthread_mutex_lock(&issuer->lock) == 0);
    keys = issuer->keys;
    if (keys != NULL)
        atomic_fetch_add(&keys->refs, 1);
    PC_ASSERT(pthread_mutex_unlock(&issuer->lock) == 0);
    return keys;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_source(const struct issuer_options *a, const struct issuer_options *b)
{
    return a->path == NULL && b->path == NULL && same_text(a->url, b->url) &&
           same_text(a->ca_path, b->ca_path) && a->is_public == b->is_public &&
           a->algs == b->algs && a->alg_of_rsa == b->alg_of_rsa;
}

/* The former's keys, as old as they are: by these settings they may be good for less or longer. Its
 * thread may go on meanwhile; so the age is read first, and at most too old for the keys. */
static void begin_with(struct issuer *issuer, struct issuer *former)
{
    const struct issuer_options *own = &issuer->options;
    const struct issuer_options *his = &former->options;
    int64_t looked_ns = atomic_load(&former->good_until_ns) - his->refresh_ns - his->stale_ns;

    issuer->keys = keys_hold(former);
    if (issuer->keys == NULL)
        return;
    issuer_keys_tell(issuer, issuer->keys->set);
    atomic_store(&issuer->good_until_ns, looked_ns + own->refresh_ns + own->stale_ns);
    atomic_store(&issuer->asked_ns, atomic_load(&former->asked_ns));
    issuer->due_ns = atomic_load(&former->fetching) ? 0 : looked_ns + own->refresh_ns;
}

enum err issuer_new(const struct issuer_options *options, struct issuer **ret_issuer,
                    struct crypto_fault *fault)
{
    struct issuer *issuer = alloc_zero(sizeof(*issuer));
    struct issuer_url url;
    enum err err;

    if (issuer == NULL)
        return ERR_NO_MEMORY;
    issuer->options = *options;
    issuer->stop[0] = issuer->stop[1] = -1;
    issuer->fetch = issuer_fetch_url;
    atomic_init(&issuer->epoch, epoch_first());
    PC_ASSERT(pthread_mutex_init(&issuer->lock, NULL) == 0);
    condition_init(&issuer->wake);
    err = metrics_make(issuer);
    if (!err && options->path == NULL && !issuer_url_read(options->url, &url)) {
        crypto_fault_set(fault, "the URL of the keys cannot be read");
        err = ERR_CONFIG;
    }
    if (!err && options->path == NULL)
        err = net_lookup_new(&issuer->lookup);
    if (!err && options->path != NULL) {
        issuer->due_ns = issuer_turn(issuer, clock_monotonic_ns(options->clock));
        if (issuer->keys == NULL) {
            crypto_fault_set(fault, "%s: %s", options->path, issuer->fault.text);
            err = ERR_KEY;
        }
    }
    if (err) {
        issuer_free(issuer);
        return err;
    }
    if (options->former != NULL && same_source(options, &options->former->options))
        begin_with(issuer, options->former);
    issuer->options.former = NULL;
    *ret_issuer = issuer;
    return ERR_OK;
}

enum err issuer_start(struct issuer *issuer)
{
    if (pipe2(issuer->stop, O_CLOEXEC | O_NONBLOCK) != 0)
        return ERR_IO;
    if (pthread_create(&issuer->thread, NULL, issuer_thread, issuer) != 0)
        return ERR_NO_MEMORY;
    issuer->has_thread = true;
    return ERR_OK;
}

static void thread_end(struct issuer *issuer)
{
    PC_ASSERT(pthread_mutex_lock(&issuer->lock) == 0);
    issuer->stopping = true;
    PC_ASSERT(pthread_cond_signal(&issuer->wake) == 0);
    PC_ASSERT(pthread_mutex_unlock(&issuer->lock) == 0);
    (void)close(issuer->stop[1]); /* whoever polls the other end wakes up */
    issuer->stop[1] = -1;
    PC_ASSERT(pthread_join(issuer->thread, NULL) == 0);
}

/* Several of one name may be there while a reload puts one in place of the other: each tells its
 * own part, and takes it back at its end. */
void issuer_keys_tell(struct issuer *issuer, const struct crypto_keyset *set)
{
    int64_t count = (int64_t)crypto_keyset_count(set);

    metric_move(issuer->key_count, count - issuer->keys_told);
    issuer->keys_told = count;
}

void issuer_keys_leave(struct issuer_keys *keys)
{
    if (keys == NULL || atomic_fetch_sub(&keys->refs, 1) > 1)
        return;
    crypto_keyset_free(keys->set);
    alloc_free(keys);
}

void issuer_free(struct issuer *issuer)
{
    if (issuer == NULL)
        return;
    if (issuer->has_thread)
        thread_end(issuer);
    for (size_t i = 0; i < 2; i++) {
        if (issuer->stop[i] >= 0)
            (void)close(issuer->stop[i]);
    }
    for (size_t i = 0; i < ISSUER_OUTCOMES; i++)
        metric_let_go(issuer->outcomes[i]);
    metric_move(issuer->key_count, -issuer->keys_told);
    metric_let_go(issuer->key_count);
    net_lookup_free(issuer->lookup);
    issuer_keys_leave(issuer->keys);
    PC_ASSERT(pthread_cond_destroy(&issuer->wake) == 0);
    PC_ASSERT(pthread_mutex_destroy(&issuer->lock) == 0);
    alloc_free(issuer);
}

struct span issuer_iss(const struct issuer *issuer)
{
    return issuer->options.iss;
}

const char *issuer_name(const struct issuer *issuer)
{
    return issuer->options.name;
}

/* ---- the verdict ---- */

/* An access token is called so, or nothing in particular. What an issuer signs for other ends, such
 * as a logout token, is none. RFC 9068, 2.1; RFC 8725, 3.11. */
static bool is_access_type(struct span typ)
{
    return typ.len == 0 || span_is_nocase(typ, "JWT") || span_is_nocase(typ, "at+jwt") ||
           span_is_nocase(typ, "application/at+jwt");
}

static bool is_taken(const struct issuer_options *options, const struct crypto_jws *jws)
{
    return (options->algs & (1U << jws->alg)) != 0 && is_access_type(jws->typ);
}

/* What the header alone says of a token that was refused: it comes first, and a key that nobody
 * knows yet may be there soon. */
static enum err header_verdict(struct issuer *issuer, const struct crypto_keyset *set,
                               struct span token, int64_t now_ns, struct arena *arena)
{
    struct crypto_jws jws;
    enum err err = crypto_jws_peek(token, arena, &jws, NULL);

    if (err)
        return err;
    if (!is_taken(&issuer->options, &jws))
        return ERR_TOKEN_INVALID;
    if (crypto_keyset_find(set, jws.kid, jws.alg, NULL, 0) == 0)
        return issuer_ask(issuer, now_ns) ? ERR_ISSUER_UNAVAILABLE : ERR_TOKEN_INVALID;
    return ERR_OK;
}

/* A good token is read once. */
static enum err verify(struct issuer *issuer, const struct crypto_keyset *set, struct span token,
                       int64_t now_s, int64_t now_ns, struct arena *arena,
                       struct issuer_identity *ret)
{
    const struct issuer_options *options = &issuer->options;
    const struct crypto_jwt_rules rules = {
        .iss = options->iss, .aud_any = true, .typ_any = true, .leeway_s = options->leeway_s};
    struct crypto_jwt jwt;
    enum err err = crypto_jwt_verify(set, &rules, token, now_s, arena, &jwt, NULL);

    if (err) {
        enum err first = header_verdict(issuer, set, token, now_ns, arena);

        return first ? first : err;
    }
    if (!is_taken(options, &jwt.jws) || issuer_claims_flaw(options, jwt.claims) != NULL)
        return ERR_TOKEN_INVALID;
    return issuer_claims_take(options, &jwt, arena, ret);
}

static bool is_good(const struct issuer *issuer, int64_t now_ns)
{
    return now_ns < atomic_load_explicit(&issuer->good_until_ns, memory_order_acquire);
}

enum err issuer_verify(struct issuer *issuer, struct span token, int64_t now_s, int64_t now_ns,
                       struct arena *arena, struct issuer_identity *ret)
{
    uint32_t epoch = atomic_load_explicit(&issuer->epoch, memory_order_acquire);
    struct issuer_keys *keys = is_good(issuer, now_ns) ? keys_hold(issuer) : NULL;
    enum err err;

    if (keys == NULL)
        return ERR_ISSUER_UNAVAILABLE;
    err = verify(issuer, keys->set, token, now_s, now_ns, arena, ret);
    issuer_keys_leave(keys);
    if (!err)
        ret->epoch = epoch;
    return err;
}

bool issuer_is_fresh(const struct issuer *issuer, uint32_t epoch, int64_t now_ns)
{
    return atomic_load_explicit(&issuer->epoch, memory_order_acquire) == epoch &&
           is_good(issuer, now_ns);
}
