/* SPDX-License-Identifier: MIT
 * The process that has the private keys: a table of them, and a thread for each pair of sockets
 * that takes a packet, does what it asks and answers. It believes nothing but its own packets'
 * lengths, gives out public keys and signatures, and ends when the other side does. */
#include "crypto/vault.h"
#include "crypto/vault_priv.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"

/* Keys by number. A number is never used again, so one that was forgotten finds nothing. */
static struct {
    pthread_mutex_t lock;
    uint64_t next;
    struct {
        uint64_t number; /* 0: free */
        struct crypto_key *key;
    } rows[CRYPTO_VAULT_KEYS_MAX];
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .next = 1};

static uint64_t table_add(struct crypto_key *key)
{
    uint64_t number = 0;

    PC_ASSERT(pthread_mutex_lock(&table.lock) == 0);
    for (size_t i = 0; i < CRYPTO_VAULT_KEYS_MAX && number == 0; i++)
        if (table.rows[i].number == 0) {
            table.rows[i].number = number = table.next++;
            table.rows[i].key = crypto_key_share(key);
        }
    PC_ASSERT(pthread_mutex_unlock(&table.lock) == 0);
    return number;
}

/* A reference; NULL for what is not there. With `take` it leaves the table. */
static struct crypto_key *table_find(uint64_t number, bool take)
{
    struct crypto_key *found = NULL;

    PC_ASSERT(pthread_mutex_lock(&table.lock) == 0);
    for (size_t i = 0; i < CRYPTO_VAULT_KEYS_MAX && number != 0 && found == NULL; i++)
        if (table.rows[i].number == number) {
            found = take ? table.rows[i].key : crypto_key_share(table.rows[i].key);
            table.rows[i].number = take ? 0 : number;
        }
    PC_ASSERT(pthread_mutex_unlock(&table.lock) == 0);
    return found;
}

/* A request under way: its packet, and the answer that is being written. */
struct work {
    char in[CRYPTO_VAULT_BYTES_MAX], out[CRYPTO_VAULT_BYTES_MAX];
    struct crypto_vault_ask ask;
    struct span kid, body;
    struct crypto_vault_answer answer;
    struct sbuf text; /* behind the answer's head */
    struct crypto_fault fault;
};

static enum err add_key(struct work *work, struct crypto_key *key)
{
    struct span kid = crypto_key_kid(key);

    work->answer.is_private = crypto_key_is_private(key);
    work->answer.end_s = crypto_key_end_s(key);
    work->answer.kid_bytes = (uint32_t)kid.len;
    sbuf_add(&work->text, kid);
    if (crypto_key_add_public_pem(key, &work->text) != ERR_OK)
        return ERR_NO_MEMORY;
    if (!work->answer.is_private)
        return ERR_OK;
    work->answer.key = table_add(key);
    if (work->answer.key == 0)
        crypto_fault_set(&work->fault, "there are more than %d private keys",
                         CRYPTO_VAULT_KEYS_MAX);
    return work->answer.key == 0 ? ERR_KEY : ERR_OK;
}

/* The text of a request as a path; false when it is none. */
static bool path_of(const struct work *work, char path[CRYPTO_VAULT_PATH_BYTES])
{
    if (work->body.len == 0 || work->body.len >= CRYPTO_VAULT_PATH_BYTES)
        return false;
    memcpy(path, work->body.ptr, work->body.len);
    path[work->body.len] = '\0';
    return true;
}

static enum err do_load(struct work *work)
{
    PC_AUTO(crypto_key) key = NULL;
    char path[CRYPTO_VAULT_PATH_BYTES];
    enum err err;

    if (!path_of(work, path))
        return ERR_KEY;
    err = crypto_key_load(path, (enum crypto_alg)work->ask.alg, work->kid, &key, &work->fault);
    return err ? err : add_key(work, key);
}

static enum err do_generate(struct work *work)
{
    PC_AUTO(crypto_key) key = NULL;
    enum err err = crypto_key_generate((enum crypto_alg)work->ask.alg, work->kid, &key);

    return err ? err : add_key(work, key);
}

static enum err do_save(struct work *work)
{
    PC_AUTO(crypto_key) key = table_find(work->ask.key, false);
    char path[CRYPTO_VAULT_PATH_BYTES];

    if (key == NULL || !path_of(work, path))
        return ERR_KEY;
    return crypto_key_save(key, path, &work->fault);
}

static enum err do_sign(struct work *work)
{
    PC_AUTO(crypto_key) key = table_find(work->ask.key, false);
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t bytes = 0;
    enum err err;

    if (key == NULL)
        return ERR_KEY;
    err = crypto_key_sign(key, work->body, signature, &bytes);
    if (!err)
        sbuf_add_bytes(&work->text, (const char *)signature, bytes);
    return err;
}

static enum err do_what_is_asked(struct work *work)
{
    switch ((enum crypto_vault_what)work->ask.what) {
    case CRYPTO_VAULT_LOAD:
        return do_load(work);
    case CRYPTO_VAULT_GENERATE:
        return do_generate(work);
    case CRYPTO_VAULT_SAVE:
        return do_save(work);
    case CRYPTO_VAULT_SIGN:
        return do_sign(work);
    case CRYPTO_VAULT_FORGET:
        crypto_key_free(table_find(work->ask.key, true));
        return ERR_OK;
    case CRYPTO_VAULT_PING:
        return ERR_OK;
    }
    return ERR_KEY;
}

/* False for a packet that is not whole or asks for what cannot be. */
static bool ask_read(struct work *work, size_t bytes)
{
    const size_t head = sizeof(work->ask);

    if (bytes < head)
        return false;
    memcpy(&work->ask, work->in, head);
    if (work->ask.alg >= CRYPTO_ALG_COUNT || work->ask.kid_bytes > CRYPTO_KID_BYTES_MAX ||
        bytes - head != (size_t)work->ask.kid_bytes + work->ask.bytes)
        return false;
    if (work->ask.what == CRYPTO_VAULT_GENERATE &&
        !crypto_alg_can_sign((enum crypto_alg)work->ask.alg))
        return false;
    work->kid = span_make(work->in + head, work->ask.kid_bytes);
    work->body = span_make(work->in + head + work->ask.kid_bytes, work->ask.bytes);
    return true;
}

static size_t answer_write(struct work *work, size_t bytes)
{
    const size_t head = sizeof(work->answer);
    enum err err = ERR_KEY;

    work->answer = (struct crypto_vault_answer){0};
    work->fault = (struct crypto_fault){{0}};
    work->text = sbuf_over(work->out + head, sizeof(work->out) - head);
    if (ask_read(work, bytes))
        err = do_what_is_asked(work);
    if (!err && work->text.full)
        err = ERR_NO_SPACE;
    if (err) {
        sbuf_truncate(&work->text, 0);
        sbuf_add_text(&work->text, work->fault.text);
        work->answer = (struct crypto_vault_answer){.err = (uint32_t)err};
    }
    work->answer.bytes = (uint32_t)(work->text.len - work->answer.kid_bytes);
    memcpy(work->out, &work->answer, head);
    return head + work->text.len;
}

/* One pair of sockets, until its other end is closed. */
static void *channel_serve(void *context)
{
    const int fd = *(const int *)context;
    struct work *work = alloc_zero(sizeof(*work));

    PC_ASSERT(work != NULL);
    for (;;) {
        ssize_t got = recv(fd, work->in, sizeof(work->in), 0);
        size_t bytes;

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        bytes = answer_write(work, (size_t)got);
        if (send(fd, work->out, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
            break;
    }
    alloc_free(work);
    return NULL;
}

void crypto_vault_serve(const int *channels, unsigned count)
{
    pthread_t threads[CRYPTO_VAULT_CHANNELS_MAX];

    for (unsigned i = 1; i < count; i++)
        if (pthread_create(&threads[i], NULL, channel_serve, (void *)(uintptr_t)&channels[i]) != 0)
            _exit(1);
    (void)channel_serve((void *)(uintptr_t)&channels[0]);
    _exit(0); /* the parent is gone; memory of other threads goes with the process */
}
