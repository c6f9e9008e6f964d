/* SPDX-License-Identifier: MIT
 * A table with every kind in it, for the test and the fuzzer of schemas. */
#ifndef PC_JSON_JSON_SAMPLE_H
#define PC_JSON_JSON_SAMPLE_H

#include "json/json_schema.h"

struct json_sample_leg {
    struct span amount;
    int64_t account;
};

struct json_sample {
    struct span email;
    struct span direction;
    struct span note;
    struct span password;
    struct span metadata;
    struct span extra;
    struct json_list legs;
    struct json_list tags;
    struct json_list codes;
    struct json_sample_leg fee;
    int64_t count;
    int64_t limit;
    int64_t due_ns;
    bool has_count;
    bool has_fee;
    bool has_due;
    bool has_urgent;
    bool urgent;
};

static const char *const directions[] = {"debit", "credit", NULL};

static const struct json_field leg_fields[] = {
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .offset = offsetof(struct json_sample_leg, amount),
     .min = 0,
     .max = 1000000,
     .about = "What moves.",
     .example = "12.30"},
    {.name = "account",
     .kind = JSON_KIND_I64,
     .offset = offsetof(struct json_sample_leg, account),
     .min = 1,
     .max = INT64_MAX},
};

static const struct json_schema leg_schema = {.name = "Leg",
                                              .about = "One side of an order.",
                                              .fields = leg_fields,
                                              .field_count = PC_COUNT(leg_fields),
                                              .bytes = sizeof(struct json_sample_leg)};

static const struct json_field tag = {.kind = JSON_KIND_TEXT, .min = 1, .max = 5};
static const struct json_field code = {.kind = JSON_KIND_I64, .min = -9, .max = 9};

static const struct json_field order_fields[] = {
    {.name = "email",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_EMAIL,
     .offset = offsetof(struct json_sample, email),
     .example = "user@example.com"},
    {.name = "direction",
     .kind = JSON_KIND_TEXT,
     .choices = directions,
     .offset = offsetof(struct json_sample, direction)},
    {.name = "note",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .min = 3,
     .max = 8,
     .offset = offsetof(struct json_sample, note)},
    {.name = "password",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .format = JSON_FORMAT_PASSWORD,
     .min = 8,
     .offset = offsetof(struct json_sample, password)},
    {.name = "metadata",
     .kind = JSON_KIND_MAP,
     .optional = true,
     .fallback = "{}",
     .max = 40,
     .offset = offsetof(struct json_sample, metadata)},
    {.name = "extra",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = 20,
     .offset = offsetof(struct json_sample, extra)},
    {.name = "legs",
     .kind = JSON_KIND_LIST,
     .schema = &leg_schema,
     .optional = true,
     .max = 3,
     .offset = offsetof(struct json_sample, legs)},
    {.name = "tags",
     .kind = JSON_KIND_LIST,
     .item = &tag,
     .optional = true,
     .min = 1,
     .max = 2,
     .fallback = "[\"a\"]",
     .offset = offsetof(struct json_sample, tags)},
    {.name = "codes",
     .kind = JSON_KIND_LIST,
     .item = &code,
     .optional = true,
     .max = 100,
     .offset = offsetof(struct json_sample, codes)},
    {.name = "fee",
     .kind = JSON_KIND_OBJECT,
     .schema = &leg_schema,
     .optional = true,
     .nullable = true,
     .offset = offsetof(struct json_sample, fee),
     .has_offset = offsetof(struct json_sample, has_fee)},
    {.name = "count",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = -5,
     .max = 500,
     .offset = offsetof(struct json_sample, count),
     .has_offset = offsetof(struct json_sample, has_count)},
    {.name = "limit",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = 500,
     .fallback = "100",
     .offset = offsetof(struct json_sample, limit)},
    {.name = "due",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .nullable = true,
     .offset = offsetof(struct json_sample, due_ns),
     .has_offset = offsetof(struct json_sample, has_due)},
    {.name = "urgent",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .offset = offsetof(struct json_sample, urgent),
     .has_offset = offsetof(struct json_sample, has_urgent)},
};

static const struct json_schema order_schema = {.name = "Order",
                                                .about = "An order.",
                                                .fields = order_fields,
                                                .field_count = PC_COUNT(order_fields),
                                                .bytes = sizeof(struct json_sample)};

#endif
