/* SPDX-License-Identifier: MIT */
#include "app/acquire/schedule.h"

#include <assert.h>
#include <errno.h>

#define DEFAULT_INTERVAL_US 10000000

int schedule_init(struct schedule *ret, uint64_t start_us, unsigned count)
{
    struct schedule_entry *entries;

    entries = calloc(MAX(count, 1u), sizeof(*entries));
    if (!entries) {
        return -ENOMEM;
    }

    for (unsigned i = 0; i < count; i++) {
        entries[i] = (struct schedule_entry){ .interval_us = DEFAULT_INTERVAL_US, .next_us = start_us };
    }
    *ret = (struct schedule){ .start_us = start_us, .count = count, .entries = entries };
    return 0;
}

void schedule_set_interval(struct schedule *schedule, unsigned index, uint64_t interval_us)
{
    assert(interval_us > 0);
    schedule->entries[index].interval_us = interval_us;
}

void schedule_clear(struct schedule *schedule)
{
    free(TAKE(schedule->entries));
    schedule->count = 0;
}

int schedule_next(const struct schedule *schedule, uint64_t now_us, uint64_t *ret_wait_until_us)
{
    uint64_t first_us = UINT64_MAX, oldest_us = UINT64_MAX;
    int slice = -1, probe = -1;

    for (unsigned i = 0; i < schedule->count; i++) {
        unsigned index = (schedule->turn + i) % schedule->count;
        const struct schedule_entry *entry = &schedule->entries[index];

        if (entry->next_us > now_us) {
            first_us = MIN(first_us, entry->next_us);
        } else if (!entry->probe) {
            slice = slice < 0 ? (int) index : slice;
        } else if (entry->taken_us < oldest_us) {
            oldest_us = entry->taken_us;
            probe = (int) index;
        }
    }

    if (probe >= 0 && (slice < 0 || !schedule->probed)) {
        return probe;
    }
    if (slice < 0) {
        *ret_wait_until_us = first_us;
    }
    return slice;
}

uint64_t schedule_slice(const struct schedule *schedule, unsigned index, uint64_t now_us)
{
    return now_us <= schedule->start_us ? 0
                                        : (now_us - schedule->start_us) / schedule->entries[index].interval_us;
}

uint64_t schedule_slice_us(const struct schedule *schedule, unsigned index, uint64_t slice)
{
    return schedule->start_us + slice * schedule->entries[index].interval_us;
}

uint64_t schedule_take(struct schedule *schedule, unsigned index, uint64_t now_us)
{
    struct schedule_entry *entry = &schedule->entries[index];
    uint64_t slice = schedule_slice(schedule, index, now_us);
    uint64_t due = schedule_slice(schedule, index, entry->next_us);

    schedule->probed = entry->probe;
    if (!entry->probe) {
        entry->skipped += slice - MIN(due, slice);
        schedule->turn = (index + 1) % schedule->count;
    }
    entry->probe = false;
    entry->taken_us = now_us;
    entry->next_us = schedule_slice_us(schedule, index, slice + 1);
    return slice;
}

void schedule_probe(struct schedule *schedule, unsigned index, uint64_t next_us)
{
    schedule->entries[index].next_us = next_us;
    schedule->entries[index].probe = true;
}

void schedule_skip(struct schedule *schedule, unsigned index, uint64_t now_us)
{
    (void) schedule_take(schedule, index, now_us);
    schedule->entries[index].skipped++;
}
