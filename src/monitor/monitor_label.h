/* SPDX-License-Identifier: MIT
 * Labels and annotations: sets of texts with a name each. They come as JSON objects from outside,
 * leave as JSON objects in the order of their names, and name an alert by a hash that is the same
 * as Alertmanager's, so that one alert is one whoever told of it.
 *
 * Threads: pure.    Memory: the arena's.
 * Errors:  ERR_VALIDATION with the end of a sentence; ERR_NO_MEMORY.
 * Source:  prometheus/common, model/signature.go (labelSetToFingerprint: FNV-1a, 64 bits). */
#ifndef PC_MONITOR_MONITOR_LABEL_H
#define PC_MONITOR_MONITOR_LABEL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sbuf.h"

enum {
    MONITOR_LABELS_MAX = 64,
    MONITOR_LABEL_NAME_BYTES_MAX = 128,
    MONITOR_LABEL_BYTES_MAX = 1024,      /* of a label's value; what is longer is cut */
    MONITOR_ANNOTATION_BYTES_MAX = 4096, /* the same of an annotation's */
    MONITOR_LABELS_BYTES_MAX = 8192,     /* of all values of a set; then the last ones are cut */
    MONITOR_FINGERPRINT_BYTES = 16,      /* hexadecimal digits */
};

struct monitor_label {
    struct span name, value;
};

/* In the order of their names, each name once. */
struct monitor_labels {
    struct monitor_label list[MONITOR_LABELS_MAX];
    size_t count;
};

/* `json`: an object of texts; the empty span is the empty set. *reterr_why on ERR_VALIDATION. */
PC_CHECKED enum err monitor_labels_read(struct span json, struct arena *arena,
                                        struct monitor_labels *ret_labels, const char **reterr_why);

/* What they become before anybody keeps them: card data masked, values cut to `value_bytes_max`
 * between characters. */
PC_CHECKED enum err monitor_labels_clean(struct monitor_labels *labels, size_t value_bytes_max,
                                         struct arena *arena);

/* Puts one in its place; the name must not be there yet, and there must be room. */
void monitor_labels_add(struct monitor_labels *labels, const char *name, struct span value);

/* {NULL, 0}: there is none of that name. */
struct span monitor_labels_value(const struct monitor_labels *labels, const char *name);

/* At most so many bytes, and no half character. */
struct span monitor_text_cut(struct span text, size_t bytes_max);

/* As a JSON object. */
PC_CHECKED enum err monitor_labels_write(const struct monitor_labels *labels, struct arena *arena,
                                         struct span *ret_json);

/* "a1b2c3d4e5f60718", with a NUL behind. Of the labels as they came, not as they are kept. */
void monitor_labels_fingerprint(const struct monitor_labels *labels,
                                char ret_text[MONITOR_FINGERPRINT_BYTES + 1]);

#endif
