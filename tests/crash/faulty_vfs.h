/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A file layer under SQLite that fails when it is told to: each call of each method counts one, and the n-th fails, or
 * all from the n-th on. What releases something (close, unlock, unmap) is done in any case; a write that fails may have
 * come half through.
 */

#include <stdbool.h>
#include <stdint.h>

/* Put it in the place of the default one. Once. */
void faulty_vfs_install(void);

struct faulty_vfs_plan {
    uint64_t at;   // the n-th call from now on, counted from 1; 0: never
    bool lasting;  // and all after it
    unsigned variant;  // 0: I/O errors; 1: card full, locks are busy; 2: read-only; 3: damaged
};

#define FAULTY_VFS_VARIANTS 4

/* Begin to count. */
void faulty_vfs_plan(const struct faulty_vfs_plan *plan);

/* No more faults, but go on counting. */
void faulty_vfs_heal(void);

uint64_t faulty_vfs_calls(void);

/* The method that failed first; NULL: none did. */
const char *faulty_vfs_failed(void);
