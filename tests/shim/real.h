/* SPDX-License-Identifier: MIT */
#pragma once

/* The function behind one that a shim stands in for; looked up once. */

#include <dlfcn.h>
#include <stdatomic.h>

#define REAL(name)                                                                                 \
    ({                                                                                             \
        static _Atomic(void *) real_;                                                              \
        void *function_ = atomic_load(&real_);                                                     \
        if (!function_) {                                                                          \
            function_ = dlsym(RTLD_NEXT, #name);                                                   \
            atomic_store(&real_, function_);                                                       \
        }                                                                                          \
        (__typeof__(&name)) function_;                                                             \
    })
