/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The handful of GNU extensions this project uses, in one place.
 *
 * auto_free, auto_close: released on every way out of the block. TAKE hands the thing on instead.
 */

#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define MUST_CHECK         __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)  __attribute__((format(printf, f, a)))
#define CLEANUP(function)  __attribute__((cleanup(function)))

/* Numbered names, so that one may stand within another: clang would see a shadow. */
// NOLINTBEGIN(bugprone-macro-parentheses): first and second are names
#define JOINED(a, b)   JOINED_(a, b)
#define JOINED_(a, b)  a##b

#define MIN(a, b) MIN_NUMBERED(a, b, __COUNTER__)
#define MIN_NUMBERED(a, b, number) MIN_OF(a, b, JOINED(min_a, number), JOINED(min_b, number))
#define MIN_OF(a, b, first, second)                                                                \
    ({                                                                                             \
        __auto_type first = (a);                                                                   \
        __auto_type second = (b);                                                                  \
        first < second ? first : second;                                                           \
    })

#define MAX(a, b) MAX_NUMBERED(a, b, __COUNTER__)
#define MAX_NUMBERED(a, b, number) MAX_OF(a, b, JOINED(max_a, number), JOINED(max_b, number))
#define MAX_OF(a, b, first, second)                                                                \
    ({                                                                                             \
        __auto_type first = (a);                                                                   \
        __auto_type second = (b);                                                                  \
        first > second ? first : second;                                                           \
    })
// NOLINTEND(bugprone-macro-parentheses)

/* The value of a pointer, which is left NULL: ownership moves to the reader. */
#define TAKE(pointer)                                                                              \
    ({                                                                                             \
        __auto_type take_value = (pointer);                                                        \
        (pointer) = NULL;                                                                          \
        take_value;                                                                                \
    })

/* The same for a file descriptor, which is left -1. */
static inline int take_fd(int *fd)
{
    int value = *fd;

    *fd = -1;
    return value;
}

static inline void macros_free(void *pointer)
{
    free(*(void **) pointer);
}

static inline void macros_close(int *fd)
{
    if (*fd >= 0) {
        (void) close(*fd);  // nothing was promised yet: a write that matters is synced before
    }
}

#define auto_free  CLEANUP(macros_free)
#define auto_close CLEANUP(macros_close)
