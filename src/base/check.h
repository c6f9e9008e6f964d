/* SPDX-License-Identifier: MIT
 * Assertions and compiler promises used by every file.
 *
 * PC_ASSERT states what *we* promise. It stays on in production: a broken promise near money must
 * stop the process, not carry on. What a client, file or peer sends is refused with an `enum err`
 * and is never asserted.
 *
 * Threads: any.    Memory: none. */
#ifndef PC_BASE_CHECK_H
#define PC_BASE_CHECK_H

#include <stddef.h>

/* The caller must look at the result. */
#define PC_CHECKED                     __attribute__((warn_unused_result))
#define PC_FORMAT(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define PC_NORETURN                    __attribute__((noreturn))
#define PC_LIKELY(condition)           __builtin_expect(!!(condition), 1)
#define PC_UNLIKELY(condition)         __builtin_expect(!!(condition), 0)
#define PC_COUNT(array)                (sizeof(array) / sizeof((array)[0]))

/* 1 where AddressSanitizer has taken the place of the heap. */
#if defined(__SANITIZE_ADDRESS__)
#define PC_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PC_HAS_ASAN 1
#endif
#endif
#ifndef PC_HAS_ASAN
#define PC_HAS_ASAN 0
#endif

/* The struct that holds `member` at address `ptr`. */
#define PC_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* A handle that closes itself at the end of its scope: PC_AUTO(x) needs x_auto(struct x **), which
 * accepts a pointer to NULL. */
#define PC_AUTO(type) __attribute__((cleanup(type##_auto))) struct type *

#define PC_ASSERT(condition)                                                                       \
    do {                                                                                           \
        if (PC_UNLIKELY(!(condition)))                                                             \
            check_failed(#condition, __FILE__, __LINE__, __func__);                                \
    } while (0)

/* Closes the default of a switch over an enum that is complete. */
#define PC_WRONG(text) check_failed(text, __FILE__, __LINE__, __func__)

/* Writes one line to standard error and aborts. */
PC_NORETURN void check_failed(const char *what, const char *file, int line, const char *function);

#endif
