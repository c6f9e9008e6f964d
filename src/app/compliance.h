/* SPDX-License-Identifier: MIT
 * The controls of the folder controls, what the checks of tests/compliance said of them, and the
 * report that puts the two together. Nothing here judges whether anybody complies with anything: it
 * says which claims have evidence, of this very source, and what is left to people.
 *
 *   compliance_matrix_read -> compliance_results_read -> compliance_html | compliance_json
 *
 * Fail closed: a control has evidence only when every check that it names was run on this revision,
 * was green with the control on and red with it off.
 *
 * Threads: the command's.    Memory: the caller's arena; spans point into it or into literals.
 * Errors:  told in words on `tell`, a line each; those of a file as "file:line:column: text". */
#ifndef PC_APP_COMPLIANCE_H
#define PC_APP_COMPLIANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/sbuf.h"
#include "base/span.h"

enum {
    COMPLIANCE_FRAMEWORKS_MAX = 16,
    COMPLIANCE_CONTROLS_MAX = 512, /* of one framework */
    COMPLIANCE_NAMES_MAX = 8,      /* checks of one control */
    COMPLIANCE_CHECKS_MAX = 256,   /* of one run */
    COMPLIANCE_FILE_BYTES_MAX = 1024 * 1024,
    COMPLIANCE_HEX_BYTES = 65
};

struct compliance_control {
    struct span id;     /* as the framework writes it: "10.2.1.4" */
    struct span title;  /* in our own words */
    struct span claim;  /* what this program does */
    struct span scope;  /* where that holds */
    struct span manual; /* what people have to look at */
    struct span checks[COMPLIANCE_NAMES_MAX];
    size_t check_count; /* 0: all of it is for people */
};

struct compliance_framework {
    struct span name, version;
    struct span file;
    char sha256[COMPLIANCE_HEX_BYTES]; /* of that file */
    struct compliance_control *controls;
    size_t count;
};

struct compliance_matrix {
    struct compliance_framework list[COMPLIANCE_FRAMEWORKS_MAX];
    size_t count;
};

/* One check of a run: `on` with the control in place, `off` with it switched off. */
struct compliance_check {
    struct span name, about;
    struct span how;               /* by which the control was switched off */
    struct span on_told, off_told; /* what the probe said */
    bool on_green, off_red;
};

struct compliance_results {
    bool given;
    bool fits; /* it is of this revision; else none of its checks counts */
    struct span version, revision, began_at, ended_at;
    char sha256[COMPLIANCE_HEX_BYTES];
    struct compliance_check *checks;
    size_t count;
};

enum compliance_state {
    COMPLIANCE_MISSING, /* zero: a check of it was not run */
    COMPLIANCE_FAILED,
    COMPLIANCE_MANUAL,
    COMPLIANCE_EVIDENCE
};

struct compliance_report {
    const struct compliance_matrix *matrix;
    const struct compliance_results *results;
    struct span version, revision; /* of this program */
    int64_t made_at_ns;
    const char *configuration_hash;
    struct span checkpoint; /* the newest signed note; empty: there is none, see the reason */
    const char *checkpoint_reason;
    bool checkpoint_signed; /* checked with a key that was given */
};

/* Every file of the folder that ends in .yaml, in the order of names; false when anything is wrong
 * with one. */
PC_CHECKED bool compliance_matrix_read(const char *folder, FILE *tell, struct arena *arena,
                                       struct compliance_matrix *ret);
/* One text, as if it were in a file of that name. */
PC_CHECKED bool compliance_framework_read(struct span text, const char *name, FILE *tell,
                                          struct arena *arena, struct compliance_framework *ret);

/* What the checks wrote; tells and is false when it is not in that form. Results of another
 * revision are told too, and read so that the report can say of which. */
PC_CHECKED bool compliance_results_read(struct span text, const char *name, struct span revision,
                                        FILE *tell, struct arena *arena,
                                        struct compliance_results *ret);

const struct compliance_check *compliance_check_find(const struct compliance_results *results,
                                                     struct span name);
enum compliance_state compliance_state_of(const struct compliance_results *results,
                                          const struct compliance_control *control);
/* "evidence for", "failed", ... */
const char *compliance_state_text(enum compliance_state state);

/* How many controls of all frameworks are in that state. */
size_t compliance_count(const struct compliance_report *report, enum compliance_state state);
/* The tree had changes that no commit holds. */
bool compliance_is_dirty(struct span revision);
/* Whether anything is missing that makes evidence of it. */
bool compliance_has_gaps(const struct compliance_report *report);

void compliance_html(const struct compliance_report *report, struct sbuf *out);
void compliance_json(const struct compliance_report *report, struct sbuf *out);
/* The controls alone, as JSON, for the checks to be held against. */
void compliance_matrix_json(const struct compliance_matrix *matrix, struct sbuf *out);
/* A few lines for a terminal. */
void compliance_summary(const struct compliance_report *report, struct sbuf *out);

#endif
