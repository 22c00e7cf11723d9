/* SPDX-License-Identifier: MIT */
#pragma once

/* What keys.c and keys_meter.c share. */

#include "app/config/keys.h"

#define DAY_MS 86400000ULL

/* A key that ends in a dot begins a family. Which of them may come from a stick or a scan is in closed.c. */
struct key {
    const char *section;
    const char *name;
    void (*set)(struct loading *loading, const char *value);
    void (*set_member)(struct loading *loading, const char *member, const char *value);
};

/* keys_meter.c: those of [meter X] */
const struct key *keys_of_meter(size_t *ret_count);

/* keys.c: the entry's value is wrong, and what is allowed */
void keys_wrong(struct loading *loading, const char *allowed);

/* Set what the value says, or say what is wrong with it. */
void keys_set_text(struct loading *loading, char *ret, size_t size, const char *value);
void keys_set_duration(struct loading *loading, const char *value, uint64_t unit_ms, uint64_t min_ms, uint64_t max_ms,
                       unsigned *ret_ms);
void keys_set_serial(struct loading *loading, const char *value, struct serial_setting *ret);
