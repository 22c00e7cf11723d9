/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the counters last stood at, for a guard that begins: out of the journal when the program starts, or out of the
 * guards before when a bus is made anew. A counter that the memory does not have was never seen.
 */

#include "app/acquire/counter.h"
#include "app/acquire/meters.h"
#include "app/base/macros.h"
#include "app/journal/journal.h"

#include <stdbool.h>
#include <stdint.h>

struct recall;

#define auto_recall CLEANUP(recall_freep)

/* Empty: no counter was ever seen. Errors: -ENOMEM */
int recall_new(struct recall **ret) MUST_CHECK;
void recall_free(struct recall *recall);
void recall_freep(struct recall **recall);

/*
 * Read the last value of each counter of these meters, newest row first, until all are found or the time is up
 * (monotonic): what was not found by then is COUNTER_FORGOTTEN. Errors: -ENOMEM and those of the journal; *recall then
 * has a part
 */
int recall_read(struct recall *recall, struct journal *journal, struct meters *meters, uint64_t deadline_us) MUST_CHECK;

/* Keep a level of this boot. Errors: -ENOMEM */
int recall_keep(struct recall *recall, const char *meter, const char *column, enum counter_memory memory,
                const struct counter_level *level) MUST_CHECK;

/*
 * What a counter is judged against first, in time of this boot.
 *
 * recall       NULL: nothing could be read; every counter is COUNTER_FORGOTTEN
 * epoch        the present one: an earlier boot's row is so old as the two wall times say, if both are known
 * now_boot_ms  the present
 *
 * Pure. A row of the future, or whose time is not known, is COUNTER_KNOWN_SINCE this boot began.
 */
enum counter_memory recall_level(const struct recall *recall, const char *meter, const char *column,
                                 const struct epoch *epoch, uint64_t now_boot_ms, struct counter_level *ret);
