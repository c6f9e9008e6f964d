/* SPDX-License-Identifier: MIT
 * The side without private keys: forks the process that has them, sends it requests over pairs of
 * sockets, and makes keys out of its answers that can verify here and sign there.
 *
 *   crypto_vault_start -> (any thread: take a pair, send, receive, give back) -> crypto_vault_stop
 *
 * A pair whose other end is gone, or gives no answer in time, means that the vault is lost: from
 * then on all requests fail. */
#include "crypto/vault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "crypto/vault_priv.h"

enum { ANSWER_S = 60, END_MS = 5000 };

static struct {
    _Atomic int pid;
    _Atomic bool is_gone;
    pthread_mutex_t lock; /* of the free ones */
    pthread_cond_t freed;
    int free[CRYPTO_VAULT_CHANNELS_MAX];
    unsigned free_count, count;
} vault = {.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};

/* ---- one request ---- */

static int channel_take(void)
{
    int fd;

    PC_ASSERT(pthread_mutex_lock(&vault.lock) == 0);
    while (vault.free_count == 0)
        PC_ASSERT(pthread_cond_wait(&vault.freed, &vault.lock) == 0);
    fd = vault.free[--vault.free_count];
    PC_ASSERT(pthread_mutex_unlock(&vault.lock) == 0);
    return fd;
}

static void channel_give(int fd)
{
    PC_ASSERT(pthread_mutex_lock(&vault.lock) == 0);
    vault.free[vault.free_count++] = fd;
    PC_ASSERT(pthread_cond_signal(&vault.freed) == 0);
    PC_ASSERT(pthread_mutex_unlock(&vault.lock) == 0);
}

/* What is sent and what came back. */
struct exchange {
    struct crypto_vault_ask ask;
    struct span kid, body;
    struct crypto_vault_answer answer;
    char text[CRYPTO_VAULT_ANSWER_BYTES];
};

static bool exchange_on(int fd, struct exchange *it)
{
    struct iovec out[3] = {{&it->ask, sizeof(it->ask)},
                           {(void *)(uintptr_t)it->kid.ptr, it->kid.len},
                           {(void *)(uintptr_t)it->body.ptr, it->body.len}};
    struct iovec in[2] = {{&it->answer, sizeof(it->answer)}, {it->text, sizeof(it->text)}};
    const struct msghdr sent = {.msg_iov = out, .msg_iovlen = PC_COUNT(out)};
    struct msghdr got = {.msg_iov = in, .msg_iovlen = PC_COUNT(in)};
    const size_t head = sizeof(it->answer);
    ssize_t bytes;

    do {
        bytes = sendmsg(fd, &sent, MSG_NOSIGNAL);
    } while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return false;
    do {
        bytes = recvmsg(fd, &got, 0);
    } while (bytes < 0 && errno == EINTR);
    return bytes >= (ssize_t)head && (got.msg_flags & MSG_TRUNC) == 0 &&
           it->answer.kid_bytes <= CRYPTO_KID_BYTES_MAX &&
           (size_t)bytes - head == (size_t)it->answer.kid_bytes + it->answer.bytes;
}

/* ERR_OK with an answer, whose own error it may hold. */
static enum err exchange(struct exchange *it)
{
    bool good;
    int fd;

    if (it->kid.len > CRYPTO_KID_BYTES_MAX ||
        it->body.len > CRYPTO_VAULT_BYTES_MAX - sizeof(it->ask) - it->kid.len)
        return ERR_KEY;
    if (atomic_load(&vault.pid) == 0 || atomic_load(&vault.is_gone))
        return ERR_BUSY;
    it->ask.kid_bytes = (uint32_t)it->kid.len;
    it->ask.bytes = (uint32_t)it->body.len;
    fd = channel_take();
    good = !atomic_load(&vault.is_gone) && exchange_on(fd, it);
    if (!good)
        atomic_store(&vault.is_gone, true);
    channel_give(fd);
    return good ? ERR_OK : ERR_BUSY;
}

/* The same, and the answer's error with what is wrong. */
static enum err asked(struct exchange *it, struct crypto_fault *fault)
{
    enum err err = exchange(it);

    if (err == ERR_BUSY)
        crypto_fault_set(fault, "the process that keeps the keys has ended");
    if (err || it->answer.err == ERR_OK)
        return err;
    if (it->answer.bytes > 0)
        crypto_fault_set(fault, "%.*s", (int)it->answer.bytes, it->text);
    return (enum err)it->answer.err;
}

/* ---- keys ---- */

/* A key that verifies here and, when the vault has its other half, signs there. */
static enum err key_of(const struct exchange *it, enum crypto_alg alg, struct crypto_key **ret_key,
                       struct crypto_fault *fault)
{
    struct span kid = span_make(it->text, it->answer.kid_bytes);
    struct span pem = span_make(it->text + kid.len, it->answer.bytes);
    struct crypto_key *key;
    enum err err = crypto_key_from_pem(pem, alg, kid, &key, fault);

    if (err)
        return err;
    key->end_s = it->answer.end_s;
    key->vault = it->answer.key;
    key->is_private = it->answer.is_private != 0;
    *ret_key = key;
    return ERR_OK;
}

static enum err key_asked(struct exchange *it, enum crypto_alg alg, struct crypto_key **ret_key,
                          struct crypto_fault *fault)
{
    enum err err = asked(it, fault);

    if (err)
        return err;
    err = key_of(it, alg, ret_key, fault);
    if (err && it->answer.key != 0) {
        struct exchange back = {.ask = {.what = CRYPTO_VAULT_FORGET, .key = it->answer.key}};

        (void)exchange(&back);
    }
    return err;
}

enum err crypto_vault_load(const char *path, enum crypto_alg alg, struct span kid,
                           struct crypto_key **ret_key, struct crypto_fault *fault)
{
    struct exchange it = {.ask = {.what = CRYPTO_VAULT_LOAD, .alg = (uint32_t)alg},
                          .kid = kid,
                          .body = span_from(path)};

    return key_asked(&it, alg, ret_key, fault);
}

enum err crypto_vault_generate(enum crypto_alg alg, struct span kid, struct crypto_key **ret_key)
{
    struct exchange it = {.ask = {.what = CRYPTO_VAULT_GENERATE, .alg = (uint32_t)alg}, .kid = kid};

    return key_asked(&it, alg, ret_key, NULL);
}

enum err crypto_vault_save(const struct crypto_key *key, const char *path,
                           struct crypto_fault *fault)
{
    struct exchange it = {.ask = {.what = CRYPTO_VAULT_SAVE, .key = key->vault},
                          .body = span_from(path)};

    return asked(&it, fault);
}

enum err crypto_vault_sign(const struct crypto_key *key, struct span data,
                           unsigned char ret_signature[CRYPTO_SIGNATURE_BYTES_MAX],
                           size_t *ret_bytes)
{
    struct exchange it = {.ask = {.what = CRYPTO_VAULT_SIGN, .key = key->vault}, .body = data};
    enum err err = asked(&it, NULL);

    if (err)
        return err;
    if (it.answer.bytes == 0 || it.answer.bytes > CRYPTO_SIGNATURE_BYTES_MAX)
        return ERR_INTERNAL;
    memcpy(ret_signature, it.text + it.answer.kid_bytes, it.answer.bytes);
    *ret_bytes = it.answer.bytes;
    return ERR_OK;
}

void crypto_vault_forget(const struct crypto_key *key)
{
    struct exchange it = {.ask = {.what = CRYPTO_VAULT_FORGET, .key = key->vault}};

    (void)exchange(&it);
}

/* ---- its life ---- */

static bool has_ended(int pid)
{
    pid_t ended = waitpid(pid, NULL, WNOHANG);

    return ended == pid || (ended < 0 && errno == ECHILD);
}

bool crypto_vault_is_there(void)
{
    return atomic_load(&vault.pid) != 0;
}

int crypto_vault_pid(void)
{
    return atomic_load(&vault.pid);
}

bool crypto_vault_answers(void)
{
    struct exchange it = {.ask = {.what = CRYPTO_VAULT_PING}};

    return exchange(&it) == ERR_OK;
}

bool crypto_vault_is_lost(void)
{
    int pid = atomic_load(&vault.pid);

    if (pid != 0 && has_ended(pid))
        atomic_store(&vault.is_gone, true);
    return pid != 0 && atomic_load(&vault.is_gone);
}

/* Signals to stop go to whole groups of processes: the vault ends when its parent has. */
static void signals_leave(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};

    for (size_t i = 0; i < PC_COUNT(ignored); i++)
        PC_ASSERT(sigaction(ignored[i], &ignore, NULL) == 0);
}

PC_NORETURN static void become_vault(const struct crypto_vault_options *options, pid_t parent,
                                     const int *channels)
{
    signals_leave();
    (void)prctl(PR_SET_NAME, "keys");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        _exit(1);
    if (options->settle != NULL && options->settle(options->context) != ERR_OK)
        _exit(1);
    crypto_vault_serve(channels, options->channels);
}

static bool pairs_make(unsigned count, unsigned answer_s, int *here, int *there)
{
    const struct timeval patience = {.tv_sec = answer_s > 0 ? answer_s : ANSWER_S};

    for (unsigned i = 0; i < count; i++) {
        int ends[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0 ||
            setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0)
            return false;
        here[i] = ends[0];
        there[i] = ends[1];
    }
    return true;
}

static void close_all(const int *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)close(list[i]);
}

enum err crypto_vault_start(const struct crypto_vault_options *options, struct crypto_fault *fault)
{
    static int here[CRYPTO_VAULT_CHANNELS_MAX], there[CRYPTO_VAULT_CHANNELS_MAX];
    pid_t parent = getpid();
    pid_t pid;

    PC_ASSERT(options->channels > 0 && options->channels <= CRYPTO_VAULT_CHANNELS_MAX);
    PC_ASSERT(!crypto_vault_is_there());
    if (!pairs_make(options->channels, options->answer_s, here, there)) {
        crypto_fault_set(fault, "no sockets for the process that keeps the keys");
        return ERR_IO;
    }
    pid = fork();
    if (pid == 0) {
        close_all(here, options->channels);
        become_vault(options, parent, there);
    }
    close_all(there, options->channels);
    memcpy(vault.free, here, sizeof(vault.free));
    vault.count = vault.free_count = options->channels;
    atomic_store(&vault.is_gone, pid < 0);
    atomic_store(&vault.pid, pid < 0 ? 0 : (int)pid);
    if (pid > 0 && crypto_vault_answers())
        return ERR_OK;
    crypto_fault_set(fault, "the process that keeps the keys cannot be started");
    crypto_vault_stop();
    return ERR_IO;
}

void crypto_vault_stop(void)
{
    int pid = atomic_load(&vault.pid);

    atomic_store(&vault.is_gone, true);
    PC_ASSERT(pthread_mutex_lock(&vault.lock) == 0);
    while (vault.free_count < vault.count && pid != 0) /* requests under way */
        PC_ASSERT(pthread_cond_wait(&vault.freed, &vault.lock) == 0);
    close_all(vault.free, vault.free_count);
    vault.count = vault.free_count = 0;
    PC_ASSERT(pthread_mutex_unlock(&vault.lock) == 0);
    for (int i = 0; pid > 0 && i < END_MS && !has_ended(pid); i++)
        (void)usleep(1000);
    atomic_store(&vault.pid, 0);
}
