/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A stick that can be pulled: a directory whose calls are counted, of which one fails, or one and all after it. What
 * was not durable then is lost at random, sector by sector, and what stood in those sectors before comes to light. It
 * stands in for the C library's calls of the program that it is linked to; other files are only never synced.
 *
 * What makes durable is what does on FAT: fsync() of a file its bytes, and all that a syncfs() before has sent; fsync()
 * of a directory the names in it.
 */

#include <stdbool.h>
#include <stdint.h>

/* The directory, and the seed of what is lost. Everything in it counts as durable. */
void device_plug(const char *directory, uint64_t seed);
void device_unplug(void);

/* Its root. The caller closes it. */
int device_open_root(void);

/* Whether openat2() is there. */
void device_set_openat2(bool there);

/* From now on the n-th call fails with that error, counted from 1; for good: and all after it. 0: none does. */
void device_fail_at(uint64_t n, int error, bool for_good);

/* How many calls there were since, and whether one failed. */
uint64_t device_calls(void);
bool device_has_failed(void);

/* It was pulled and is plugged in again: what was not durable may be lost. */
void device_settle(void);

/* A number below `limit` of the same source. */
uint64_t device_random(uint64_t limit);
