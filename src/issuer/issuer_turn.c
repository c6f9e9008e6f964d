/* SPDX-License-Identifier: MIT
 * When keys are fetched, and what comes of it. One thread of each issuer does it, so no two fetches
 * of one issuer ever run at once.
 *
 *   refresh is due --+
 *   unknown kid -----+--> look --> new keys: swapped; withdrawn ones move the epoch
 *   a retry is due --+         \-> the same:  good for longer
 *                               \-> failed:   the old ones stay good until their bound, and the
 *                                             next look comes after 1, 2, 4 ... 60 s
 *
 * A file is looked at each second, by its status; it is read when that has changed. */
#include "issuer/issuer_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

enum { FILE_PERIOD_S = 1, RETRY_S_MAX = 60, RETRY_DOUBLINGS_MAX = 6 };

/* ---- taking over ---- */

static struct issuer_keys *swap(struct issuer *issuer, struct issuer_keys *keys)
{
    struct issuer_keys *before;

    PC_ASSERT(pthread_mutex_lock(&issuer->lock) == 0);
    before = issuer->keys;
    issuer->keys = keys;
    PC_ASSERT(pthread_mutex_unlock(&issuer->lock) == 0);
    return before;
}

/* The new keys first, then the epoch: whoever still verified by the old ones read the old epoch. */
static enum err take_over(struct issuer *issuer, struct crypto_keyset *set)
{
    struct issuer_keys *keys = alloc_zero(sizeof(*keys));
    struct issuer_keys *before;

    if (keys == NULL)
        return ERR_NO_MEMORY;
    keys->set = set;
    atomic_init(&keys->refs, 1);
    before = swap(issuer, keys);
    issuer_keys_tell(issuer, set);
    log_info(issuer->options.logger, "issuer_keys", LOG_STRING("issuer", issuer->options.name),
             LOG_U64("keys", crypto_keyset_count(set)));
    if (before == NULL)
        return ERR_OK;
    if (issuer_keys_lost(before->set, set))
        atomic_fetch_add_explicit(&issuer->epoch, 1, memory_order_release);
    issuer_keys_leave(before);
    return ERR_OK;
}

static enum err text_take(struct issuer *issuer, struct span text, enum issuer_outcome *ret_outcome,
                          struct crypto_fault *fault)
{
    unsigned char hash[CRYPTO_SHA256_BYTES];
    struct crypto_keyset *set;
    enum err err;

    crypto_sha256(text, hash);
    *ret_outcome = ISSUER_SAME;
    if (issuer->keys != NULL && memcmp(hash, issuer->text_hash, sizeof(hash)) == 0)
        return ERR_OK;
    err = issuer_keys_read(text, issuer->options.algs, issuer->options.alg_of_rsa, &set, fault);
    if (err)
        return err;
    err = take_over(issuer, set);
    if (err) {
        crypto_keyset_free(set);
        return err;
    }
    memcpy(issuer->text_hash, hash, sizeof(hash));
    *ret_outcome = ISSUER_FETCHED;
    return ERR_OK;
}

/* ---- the file ---- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static enum err file_read(int fd, size_t bytes_max, struct arena *arena, struct span *ret_text)
{
    char *text = arena_bytes(arena, bytes_max + 1);
    size_t len = 0;
    ssize_t got = 1;

    if (text == NULL)
        return ERR_NO_MEMORY;
    while (got != 0 && len <= bytes_max) {
        got = read(fd, text + len, bytes_max + 1 - len);
        if (got < 0 && errno != EINTR)
            return ERR_IO;
        len += got > 0 ? (size_t)got : 0;
    }
    *ret_text = span_make(text, len);
    return len > bytes_max ? ERR_NO_SPACE : ERR_OK;
}

static enum err file_look(struct issuer *issuer, struct arena *arena,
                          enum issuer_outcome *ret_outcome, struct crypto_fault *fault)
{
    int fd = open(issuer->options.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct span text;
    struct stat now;
    enum err err = ERR_IO;

    memset(&now, 0, sizeof(now));
    *ret_outcome = ISSUER_SAME;
    if (fd >= 0 && fstat(fd, &now) == 0 && S_ISREG(now.st_mode))
        err = issuer->keys != NULL && is_same_file(&now, &issuer->seen)
                  ? ERR_AGAIN
                  : file_read(fd, issuer->options.bytes_max, arena, &text);
    if (fd >= 0)
        (void)close(fd);
    if (err == ERR_AGAIN)
        return ERR_OK;
    if (err) {
        crypto_fault_set(fault, "the file cannot be read: %s", err_sentence(err));
        return err;
    }
    err = text_take(issuer, text, ret_outcome, fault);
    if (!err)
        issuer->seen = now;
    return err;
}

/* ---- a look ---- */

static enum err url_look(struct issuer *issuer, struct arena *arena,
                         enum issuer_outcome *ret_outcome, struct crypto_fault *fault)
{
    struct span text;
    enum err err = issuer->fetch(issuer, arena, &text, fault);

    return err ? err : text_take(issuer, text, ret_outcome, fault);
}

static int64_t retry_ns(const struct issuer *issuer)
{
    int64_t wait_s =
        issuer->failures > RETRY_DOUBLINGS_MAX ? RETRY_S_MAX : INT64_C(1) << (issuer->failures - 1);
    int64_t wait_ns = (wait_s < RETRY_S_MAX ? wait_s : RETRY_S_MAX) * CLOCK_NS_PER_S;

    return wait_ns < issuer->options.refresh_ns ? wait_ns : issuer->options.refresh_ns;
}

static void failed(struct issuer *issuer, int64_t now_ns)
{
    int64_t good_ns = atomic_load(&issuer->good_until_ns) - now_ns;

    issuer->failures++;
    metric_add(issuer->outcomes[ISSUER_FAILED], 1);
    log_warn(issuer->options.logger, "issuer_keys_failed",
             LOG_STRING("issuer", issuer->options.name), LOG_STRING("reason", issuer->fault.text),
             LOG_U64("failures", issuer->failures),
             LOG_I64("good_for_seconds", good_ns > 0 ? good_ns / CLOCK_NS_PER_S : 0));
}

int64_t issuer_turn(struct issuer *issuer, int64_t now_ns)
{
    const struct issuer_options *options = &issuer->options;
    enum issuer_outcome outcome = ISSUER_FAILED;
    struct arena arena;
    enum err err;

    if (now_ns < issuer->due_ns && !atomic_load(&issuer->fetching))
        return issuer->due_ns;
    atomic_store(&issuer->fetching, true);
    atomic_store(&issuer->asked_ns, now_ns);
    issuer->fault = (struct crypto_fault){{0}};
    arena_init(&arena, NULL, 0, 2 * options->bytes_max + 256 * 1024);
    err = options->path != NULL ? file_look(issuer, &arena, &outcome, &issuer->fault)
                                : url_look(issuer, &arena, &outcome, &issuer->fault);
    arena_reset(&arena);
    if (err) {
        failed(issuer, now_ns);
        issuer->due_ns = now_ns + retry_ns(issuer);
    } else {
        issuer->failures = 0;
        metric_add(issuer->outcomes[outcome], options->path == NULL || outcome != ISSUER_SAME);
        atomic_store_explicit(&issuer->good_until_ns,
                              now_ns + options->refresh_ns + options->stale_ns,
                              memory_order_release);
        issuer->due_ns =
            now_ns + (options->path != NULL ? FILE_PERIOD_S * CLOCK_NS_PER_S : options->refresh_ns);
    }
    atomic_store(&issuer->fetching, false);
    return issuer->due_ns;
}

/* ---- who asks ---- */

bool issuer_ask(struct issuer *issuer, int64_t now_ns)
{
    int64_t asked_ns = atomic_load(&issuer->asked_ns);

    if (issuer->options.path != NULL)
        return false; /* it is looked at each second anyway */
    if (atomic_load(&issuer->fetching))
        return true;
    if (now_ns - asked_ns < issuer->options.cooldown_ns)
        return false;
    if (!atomic_compare_exchange_strong(&issuer->asked_ns, &asked_ns, now_ns))
        return true; /* another loop was first */
    atomic_store(&issuer->fetching, true);
    PC_ASSERT(pthread_mutex_lock(&issuer->lock) == 0);
    PC_ASSERT(pthread_cond_signal(&issuer->wake) == 0);
    PC_ASSERT(pthread_mutex_unlock(&issuer->lock) == 0);
    return true;
}

/* False when it is time to stop. */
static bool wait_until(struct issuer *issuer, int64_t at_ns)
{
    int64_t wait_ns = at_ns - clock_monotonic_ns(issuer->options.clock);
    int64_t until_ns = clock_monotonic_ns(&clock_system) + (wait_ns > 0 ? wait_ns : 0);
    const struct timespec until = {.tv_sec = until_ns / CLOCK_NS_PER_S,
                                   .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    int rc = 0;
    bool stopping;

    PC_ASSERT(pthread_mutex_lock(&issuer->lock) == 0);
    while (!issuer->stopping && !atomic_load(&issuer->fetching) && rc == 0)
        rc = pthread_cond_timedwait(&issuer->wake, &issuer->lock, &until);
    stopping = issuer->stopping;
    PC_ASSERT(pthread_mutex_unlock(&issuer->lock) == 0);
    return !stopping;
}

void *issuer_thread(void *context)
{
    struct issuer *issuer = context;
    int64_t due_ns = issuer->due_ns;

    while (wait_until(issuer, due_ns))
        due_ns = issuer_turn(issuer, clock_monotonic_ns(issuer->options.clock));
    return NULL;
}
