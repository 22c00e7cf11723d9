/* SPDX-License-Identifier: MIT */
#pragma once

/* Every key of meterstick.conf: what its value may be, and where it goes. */

#include "app/config/config.h"
#include "app/config/entries.h"

/* Words of [meter] that mean something only once its model is known. */
struct meter_words {
    const char *bus, *model, *driver, *log, *columns, *word_order, *byte_order, *addresses;
    const struct entry *log_entry, *columns_entry, *model_entry, *bus_entry, *order_entry;
    bool has_address;
};

struct loading {
    struct config *config;
    struct problems *problems;
    const struct entry *entry;      // the one at hand
    struct meter_words *words;      // [meter_count]
    struct meter_config *meter;     // of the section at hand
    struct meter_words *meter_words;
    struct bus_config *bus;
};

#define loading_fault(loading, ...)                                                                \
    problems_add((loading)->problems, (loading)->entry->file, (loading)->entry->line, __VA_ARGS__)

/* Take one entry: unknown sections and keys and wrong values are problems. */
void keys_take(struct loading *loading, const struct entry *entry);
