/* SPDX-License-Identifier: MIT
 * The keeper of the audit log: its key, its file outside the database, and the thread that signs
 * checkpoints. */
#include "app/serve_events.h"
#include "app/serve_priv.h"

#include <unistd.h>

#include "trail/trail_checkpoints.h"
#include "trail/trail_key.h"

/* PORTCULLIS_DATA/NAME, ended by a NUL. */
static enum err path_of(const struct serve *serve, const char *name, char path[SERVE_PATH_BYTES],
                        struct serve_fault *fault)
{
    struct sbuf out = sbuf_over(path, SERVE_PATH_BYTES);

    sbuf_add_format(&out, "%s/%s", serve->config->data, name);
    sbuf_add_char(&out, '\0');
    return out.full ? serve_fail(fault, ERR_CONFIG, "the path of the data folder is too long")
                    : ERR_OK;
}

/* Has somebody signed this log before? Then its key exists, and a new one would be another's. */
static enum err signed_job(struct store_conn *conn, struct store_job *job)
{
    bool *is_signed = job->context;
    struct trail_signed newest;
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, (size_t)4 * TRAIL_NOTE_BYTES_MAX);
    err = trail_signed_newest(conn, &arena, &newest);
    arena_reset(&arena);
    *is_signed = err == ERR_OK;
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err claim_job(struct store_conn *conn, struct store_job *job)
{
    const struct serve *serve = job->context;

    return trail_signed_claim(conn, &serve->audit_key, clock_realtime_ns(serve->clock));
}

static void key_missing(struct serve *serve, const char *path)
{
    log_warn(serve->logger, "audit_key_missing", LOG_STRING("path", path),
             LOG_STRING("what_to_do", "another node signs this log; for this one to sign too, copy "
                                      "that node's key file to this path or set audit.key_file"));
}

/* Of nodes that start at once, each with a key that it just made, one gets the log; the others drop
 * theirs, which signed nothing, and serve without. A key that was there before is never dropped:
 * where it is not the log's, the keeper refuses and says so. */
static enum err key_claim(struct serve *serve, struct store *store, const char *path, bool made,
                          struct serve_fault *fault)
{
    enum err err = store_do(store, claim_job, serve, true);

    if (err == ERR_TAKEN && made) {
        trail_verifier_free(&serve->audit_key);
        (void)unlink(path);
        key_missing(serve, path);
    }
    return err == ERR_OK || err == ERR_TAKEN
               ? ERR_OK
               : serve_fail(fault, err, "the audit log's key cannot be registered: %s",
                            err_sentence(err));
}

/* A node without the key of a log that others sign serves as well, and does not sign. */
static enum err key_open(struct serve *serve, struct store *store, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const char *given = config->audit.key_file;
    struct crypto_fault why = {0};
    char path[SERVE_PATH_BYTES];
    bool is_signed = false;
    bool makes;
    enum err err = path_of(serve, "keys", path, fault);

    if (!err)
        err = serve_data_folder(path, fault);
    if (!err)
        err = path_of(serve, "keys/audit.pem", path, fault);
    if (!err)
        err = store_do(store, signed_job, &is_signed, false);
    makes = given == NULL && !is_signed && access(path, F_OK) != 0;
    if (!err && makes)
        err = serve_event_key(serve, SPAN_OF("key:audit"), crypto_alg_name(CRYPTO_EDDSA), fault);
    if (err)
        return err;
    err = trail_key_open(given ? given : path, span_from(config->audit.origin), makes,
                         &serve->audit_key, &why);
    if (err == ERR_NOT_FOUND && is_signed && given == NULL) {
        key_missing(serve, path);
        return ERR_OK;
    }
    if (err)
        return serve_fail(fault, err, "the audit log's key: %s", why.text);
    return is_signed ? ERR_OK : key_claim(serve, store, path, makes, fault);
}

enum err serve_keeper_start(struct serve *serve, struct serve_fault *fault)
{
    struct store *store = serve->audit.store != NULL ? serve->audit.store : serve->store;
    struct trail_keeper_options options = {.store = store,
                                           .clock = serve->clock,
                                           .logger = serve->logger,
                                           .metrics = serve->metrics,
                                           .origin = span_from(serve->config->audit.origin),
                                           .memory = serve->audit_memory};
    enum err err = key_open(serve, store, fault);

    serve->audit.origin = serve->config->audit.origin;
    if (!err)
        err = path_of(serve, "audit.checkpoint", serve->audit_memory, fault);
    if (err)
        return err;
    options.signer = serve->audit_key.key == NULL ? NULL : &serve->audit_key;
    err = trail_keeper_new(&options, &serve->audit.keeper);
    if (!err)
        err = trail_keeper_start(serve->audit.keeper);
    return err ? serve_fail(fault, err, "the keeper of the audit log cannot be started") : ERR_OK;
}

void serve_keeper_stop(struct serve *serve)
{
    if (serve->audit.keeper != NULL)
        trail_keeper_stop(serve->audit.keeper);
}

void serve_keeper_free(struct serve *serve)
{
    trail_keeper_free(serve->audit.keeper);
    trail_verifier_free(&serve->audit_key);
}
