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

#define MIN(a, b)                                                                                  \
    ({                                                                                             \
        __auto_type min_a = (a);                                                                   \
        __auto_type min_b = (b);                                                                   \
        min_a < min_b ? min_a : min_b;                                                             \
    })

#define MAX(a, b)                                                                                  \
    ({                                                                                             \
        __auto_type max_a = (a);                                                                   \
        __auto_type max_b = (b);                                                                   \
        max_a > max_b ? max_a : max_b;                                                             \
    })

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
