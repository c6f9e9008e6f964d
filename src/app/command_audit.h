/* SPDX-License-Identifier: MIT
 * What the commands `audit ...` share.
 *
 * Threads: the command's.
 * Memory:  command_database_close, also when opening failed; command_audit_keys_free. */
#ifndef PC_APP_COMMAND_AUDIT_H
#define PC_APP_COMMAND_AUDIT_H

#include <stdio.h>

#include "app/command_store.h"
#include "trail/trail.h"
#include "trail/trail_note.h"

/* Opens the database that the audit log is in; tells when its schema is not this program's, and
 * does not change it. */
PC_CHECKED enum command_exit command_audit_open(const struct command_call *call,
                                                struct command_database *database);

/* The keys of --key, which may be given several times. */
struct command_audit_keys {
    struct trail_verifier list[COMMAND_VALUES_MAX];
    size_t count;
};
PC_CHECKED enum command_exit command_audit_keys(const struct command_call *call,
                                                struct command_audit_keys *ret);
void command_audit_keys_free(struct command_audit_keys *keys);

/* A whole small file; tells what went wrong. */
PC_CHECKED enum command_exit command_audit_read(const struct command_call *call, const char *path,
                                                size_t bytes_max, struct arena *arena,
                                                struct span *ret);

/* Writes down that the log was looked at, before it is. */
PC_CHECKED enum command_exit command_audit_remember(const struct command_call *call,
                                                    struct store *store, enum trail_event event,
                                                    struct span object);

/* Where a command writes to: --out FILE, beside its place until it is whole, else io->out. */
struct command_audit_out {
    const struct command_call *call;
    const char *path; /* NULL: io->out */
    FILE *file;
    bool failed;
    char partial[4096];
};
PC_CHECKED enum command_exit command_audit_out_open(const struct command_call *call,
                                                    struct command_audit_out *ret);
void command_audit_out_add(struct command_audit_out *out, struct span text);
/* Moves the file to its place, or, when `answer` is not good, takes it away. */
PC_CHECKED enum command_exit command_audit_out_close(struct command_audit_out *out,
                                                     enum command_exit answer);

#define COMMAND_AUDIT_KEY_OPTION                                                                   \
    {                                                                                              \
        .name = "--key", .value = "VKEY", .many = true, .kind = COMMAND_VALUE_FILE,                \
        .about = "The log's public key: NAME+HASH+BASE64, or a file with that line"                \
    }

#endif
