/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as free text. Masking never moves a byte, changes digits and what stands
 * around them only, does the same in place as on the arena, and has nothing left to do. */
#include <string.h>

#include "base/alloc.h"
#include "base/mask.h"

enum { ARENA_BYTES_MAX = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool may_hold_digits(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c >= '0' && c <= '9') || c >= 0x80)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_make(data, size);
    struct span masked;
    struct arena arena;
    char *copy;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    copy = arena_bytes(&arena, size + 1);
    if (copy != NULL && mask_card_data(text, &arena, &masked) == ERR_OK) {
        memcpy(copy, size > 0 ? (const char *)data : "", size);
        mask_in_place(copy, size);
        PC_ASSERT(masked.len == size && span_equal(masked, span_make(copy, size)));
        PC_ASSERT(mask_finds(text) == !span_equal(masked, text));
        PC_ASSERT(!mask_finds(masked));
        PC_ASSERT(!span_is_utf8(text) ||
                  (span_is_utf8(masked) && span_utf8_length(masked) == span_utf8_length(text)));
        PC_ASSERT(may_hold_digits(text) || masked.ptr == text.ptr);
    }
    arena_reset(&arena);
    return 0;
}
