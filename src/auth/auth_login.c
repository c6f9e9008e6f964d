/* SPDX-License-Identifier: MIT
 * Signing in with a password: the one way in, for /api/v1/auth/login, the pages of the issuer and
 * the password grant. Whoever asks, an unknown address costs as much time as a known one, and every
 * failure is paid from the same budgets (limit_guess.h).
 *
 *   look (READ) ──> verify (HASH) ──> settle (WRITE) ──> over (LOOP)
 *     └─ ERR_LOCKED ──┴─ ERR_CREDENTIALS, ERR_INACTIVE ──> refused (WRITE) ──> over */
#include "auth/auth_priv.h"

#include <string.h>

enum err auth_login_look(struct auth *auth, struct http_request *req, struct auth_login *login)
{
    struct span key = auth_key_of(login->email, req->arena);
    unsigned char address[16] = {0};
    bool known = false;
    enum err err;

    if (key.ptr == NULL)
        return ERR_NO_MEMORY;
    err = auth_user_by_email(req->store, login->email, req->arena, &login->user);
    if (err != ERR_OK && err != ERR_NOT_FOUND)
        return err;
    login->found = err == ERR_OK;
    err = auth_session_known(req->store, login->found ? login->user.id : -1, req->address, &known);
    if (err)
        return err;
    if (!http_address_read(req->address, address))
        memset(address, 0, sizeof(address));
    limit_guess_check(auth->guess, key, limit_address(span_make(address, sizeof(address))), known,
                      clock_monotonic_ns(auth->options.clock), &login->attempt);
    if (!login->attempt.allowed) {
        metric_add(auth->login_results[2], 1);
        return http_fail_retry(req, ERR_LOCKED, login->attempt.retry_after_ns);
    }
    login->attempted = true;
    login->wrong = false;
    return ERR_OK;
}

/* A hash in the format of today, while the password is at hand. */
static enum err rehash(struct auth *auth, struct auth_login *login)
{
    const struct auth_options *options = &auth->options;
    enum err err;

    login->rehashed = crypto_password_needs_rehash(&options->policy, login->user.password_hash);
    if (!login->rehashed)
        return ERR_OK;
    err = crypto_password_hash(&options->policy, options->random, login->password, login->hash);
    if (err == ERR_VALIDATION) { /* longer than bcrypt can hold: keep the old hash */
        login->rehashed = false;
        return ERR_OK;
    }
    return err;
}

enum err auth_login_verify(struct auth *auth, struct http_request *req, struct auth_login *login)
{
    struct span stored = login->found ? login->user.password_hash : span_from(auth->dummy_hash);
    enum err err;

    (void)req;
    PC_ASSERT(login->attempted);
    err = crypto_password_verify(stored, login->password);
    if (err == ERR_VALIDATION || (err == ERR_OK && !login->found))
        err = ERR_CREDENTIALS;
    login->wrong = err == ERR_CREDENTIALS;
    if (err)
        return err;
    if (!login->user.is_active)
        return ERR_INACTIVE;
    return rehash(auth, login);
}

enum err auth_login_settle(struct auth *auth, struct http_request *req, struct auth_login *login)
{
    struct auth_user now;
    enum err err;

    (void)auth;
    PC_ASSERT(login->attempted && login->found);
    err = auth_user_by_id(req->store, login->user.id, req->arena, &now);
    if (err)
        return err;
    if (!now.is_active)
        return ERR_INACTIVE;
    /* Changed while we were hashing: what was verified is no longer the password. */
    if (!span_equal(now.password_hash, login->user.password_hash))
        return ERR_CREDENTIALS;
    return login->rehashed ? auth_user_rehash(req->store, now.id, span_from(login->hash)) : ERR_OK;
}

static struct span reason_of(const struct auth_login *login, enum err why)
{
    static const char *const locked[] = {
        [LIMIT_GUESS_ALLOWED] = "locked",
        [LIMIT_GUESS_PAIR] = "too many failures of this address on this account",
        [LIMIT_GUESS_ADDRESS] = "too many failures of this address",
        [LIMIT_GUESS_ACCOUNT] = "too many failures on this account"};

    if (why == ERR_LOCKED)
        return span_from(locked[login->attempt.reason]);
    if (why == ERR_INACTIVE)
        return SPAN_OF("user is disabled");
    return login->found ? SPAN_OF("wrong password") : SPAN_OF("unknown user");
}

/* Whether this attempt of a budget that is used up is to be recorded: the first, then one a minute
 * with how many there were in between. Else whoever is refused could fill the store by asking. */
static bool locked_is_news(struct auth *auth, struct auth_login *login)
{
    const struct limit_guess_attempt *attempt = &login->attempt;
    uint64_t key = attempt->reason == LIMIT_GUESS_PAIR      ? attempt->pair
                   : attempt->reason == LIMIT_GUESS_ADDRESS ? attempt->address
                                                            : attempt->account;
    struct auth_locked *slot = &auth->locked[key % AUTH_LOCKED_SLOTS];
    int64_t now_ns = clock_monotonic_ns(auth->options.clock);
    bool is_old;

    PC_ASSERT(pthread_mutex_lock(&auth->lock) == 0);
    is_old = slot->key != key || now_ns - slot->told_ns >= AUTH_LOCKED_PERIOD_S * CLOCK_NS_PER_S;
    if (is_old) {
        login->untold = slot->key == key ? slot->untold : 0;
        *slot = (struct auth_locked){.key = key, .told_ns = now_ns};
    } else {
        slot->untold++;
    }
    PC_ASSERT(pthread_mutex_unlock(&auth->lock) == 0);
    return is_old;
}

/* A write may be run again: what was news stays news. */
static bool is_recorded(struct auth *auth, struct auth_login *login, enum err why)
{
    if (why != ERR_LOCKED)
        return true;
    if (!login->counted) {
        login->counted = true;
        login->is_news = locked_is_news(auth, login);
    }
    return login->is_news;
}

enum err auth_login_refused(struct auth *auth, struct http_request *req, struct auth_login *login,
                            struct span client_id, enum err why)
{
    struct trail_record record =
        auth_record_begin(req, why == ERR_LOCKED ? TRAIL_LOGIN_LOCKED : TRAIL_LOGIN, TRAIL_REFUSED);
    char object[AUTH_OBJECT_BYTES_MAX];
    char untold[AUTH_ID_TEXT_BYTES];
    struct sbuf out = sbuf_over(object, sizeof(object));

    if (why == ERR_LOCKED) /* for the answer: each stop begins without it */
        why = http_fail_retry(req, why, login->attempt.retry_after_ns);
    if (!is_recorded(auth, login, why))
        return ERR_OK;
    /* What they claimed to be: it was not the owner who spoke. */
    record.actor = login->email;
    record.client_id = client_id;
    record.reason = reason_of(login, why);
    if (login->found) {
        sbuf_add_lit(&out, "user:");
        sbuf_add_i64(&out, login->user.id);
        record.object = sbuf_span(&out);
    }
    if (login->untold > 0)
        record.details[0] =
            (struct trail_detail){"attempts_not_recorded", auth_id_text(login->untold, untold)};
    return trail_add(req->store, &record);
}

void auth_login_over(struct auth *auth, struct http_request *req, struct auth_login *login,
                     enum err err)
{
    int64_t now_ns = clock_monotonic_ns(auth->options.clock);

    if (!login->attempted)
        return;
    login->attempted = false;
    if (login->wrong)
        err = ERR_CREDENTIALS;
    if (err == ERR_OK)
        limit_guess_succeeded(auth->guess, &login->attempt, now_ns);
    else if (err == ERR_CREDENTIALS)
        limit_guess_failed(auth->guess, &login->attempt, now_ns);
    else
        limit_guess_cancelled(auth->guess, &login->attempt, now_ns);
    metric_add(auth->login_results[err == ERR_OK ? 0 : 1], 1);
    if (err == ERR_CREDENTIALS)
        log_warn(auth->options.logger, "login_failed", LOG_TEXT("client", req->address),
                 LOG_TEXT("request_id", req->request_id));
}
