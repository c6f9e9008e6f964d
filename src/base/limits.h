/* SPDX-License-Identifier: MIT
 * Every bound of the program that is not a setting, with its unit, in one list. A setting's range
 * is in app/config; what stands here no one needs to tune. Sorted by folder. */
#ifndef PC_BASE_LIMITS_H
#define PC_BASE_LIMITS_H

enum {
    /* base */
    LIMIT_LOG_LINE_BYTES_MAX = 8192,
    LIMIT_LOG_RING_BYTES = 256 * 1024, /* of one thread that logs */
    LIMIT_LOG_GATHER_MS = 20,          /* a line waits at most this long for company */
    LIMIT_LOG_RETRY_MS = 1000,         /* after a failed write */
    LIMIT_LOG_CLOSE_MS = 1000,         /* without any progress at closing */
    LIMIT_METRIC_SERIES_MAX = 2048,
    LIMIT_METRIC_GONE_MAX = 128,        /* of a metric, kept though nobody holds them any more */
    LIMIT_METRIC_LABEL_BYTES_MAX = 128, /* of one value */

    /* json */
    LIMIT_JSON_DEPTH_MAX = 64,
    LIMIT_JSON_MEMBERS_MAX = 4096, /* of one object */
    LIMIT_JSON_NUMBER_BYTES_MAX = 1024,

    /* crypto */
    LIMIT_JWS_BYTES_MAX = 8192,
    LIMIT_JWK_KEYS_MAX = 64,
    LIMIT_KEY_FILE_BYTES_MAX = 64 * 1024,
    LIMIT_SECRET_BYTES_MAX = 1024,
    LIMIT_PASSWORD_BYTES_MAX = 1024,

    /* store */
    LIMIT_STORE_STATEMENTS_MAX = 512, /* prepared, on one handle */
    LIMIT_STORE_PARAMS_MAX = 64,      /* of one statement */
    LIMIT_STORE_VALUE_BYTES_MAX = 16 * 1024 * 1024,
    LIMIT_STORE_TRIES_MAX = 6,     /* of one job, after serialization failures */
    LIMIT_STORE_FATE_MS = 5000,    /* for asking what became of a COMMIT */
    LIMIT_STORE_SKEW_MS = 60000,   /* a node's clock against its database server's */
    LIMIT_STORE_STALL_MS = 3000,   /* of one transaction, until others are refused */
    LIMIT_STORE_WAIT_MS = 10000,   /* of a write for its turn */
    LIMIT_STORE_TURN_MS = 2000,    /* of silence, until another node's turn comes */
    LIMIT_STORE_TAKE_MAX = 512,    /* jobs that a writer takes from the queue at once */
    LIMIT_STORE_WEIGHT_MAX = 4096, /* of the jobs that are done together, in their own unit */

    /* trail */
    LIMIT_TRAIL_COMMIT_BYTES_MAX = 64 * 1024 * 1024, /* memory for the events of one commit */

    /* ledger */
    LIMIT_LEDGER_LEGS_MAX = 100,   /* of one posting */
    LIMIT_LEDGER_BATCH_MAX = 1000, /* transfers of one request */
    LIMIT_LEDGER_KEY_BYTES_MAX = 255,
    LIMIT_LEDGER_DESCRIPTION_CHARS_MAX = 512,
    LIMIT_LEDGER_TURN_BYTES_MAX = 64 * 1024 * 1024, /* memory of one commit */

    /* http */
    LIMIT_HTTP_HEADERS_MAX = 100,
    LIMIT_HTTP_HEAD_BYTES_MAX = 32 * 1024,
    LIMIT_HTTP_TARGET_BYTES_MAX = 8 * 1024,
    LIMIT_HTTP_ARENA_BYTES_MAX = 4 * 1024 * 1024,
    LIMIT_HTTP_DENIED_MAX = 256,           /* requests whose denial is on its way to the store */
    LIMIT_HTTP_BREAKERS_TOLD_MAX = 64,     /* transitions on their way to the store */
    LIMIT_HTTP_STRANGERS_PER_MINUTE = 600, /* denials of nobody known that are written each */
    LIMIT_FORM_FIELDS_MAX = 64,            /* of one body */
    LIMIT_PAGE_ITEMS_MAX = 500,
};

#endif
