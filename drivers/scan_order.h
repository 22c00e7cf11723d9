/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * In which order a scan tries what: the likely in the first minute, everything in the end. Pure.
 *
 *     1  each serial setting that a model has by default, at the first address: a general question, then one of each of
 *        these models, with the models' time-out; then a Current Cost display is listened for
 *     2  the same settings at all other addresses: the general question, a short time-out
 *     3  all other settings at the first address
 *     4  all other settings at all other addresses
 *
 * The general question, for two holding registers from 0, is answered by every meter that keeps to the Modbus document:
 * what has no such registers says so. It is a read; there is no other request in this program.
 */

#include "drivers/model.h"

#include <stdbool.h>
#include <stdint.h>

#define SCAN_PASSES_MAX   96
#define SCAN_SHORT_US     150000       // meters answer within 100 ms, all that were measured
#define SCAN_LISTEN_US    UINT64_C(7500000)  // a display talks each 6 s

struct scan_setup {
    const struct model *const *models; // they outlive the scan
    unsigned model_count;
    bool tcp;                          // no serial settings, and unit numbers in place of addresses
    unsigned first, last;              // addresses; 0, 0: 1 to 247
    const struct serial_setting *settings;  // only these; copied
    unsigned setting_count;            // 0: all
    bool only_listed;                  // settings that a model has by default
    uint32_t short_us;                 // 0: SCAN_SHORT_US
};

enum scan_pass_kind { SCAN_PASS_MODELS, SCAN_PASS_LISTEN, SCAN_PASS_ADDRESSES };

struct scan_pass {
    enum scan_pass_kind kind;
    struct serial_setting serial;
    bool is_listed;                    // a model has this setting by default
    unsigned first, last;
    unsigned questions;                // at each address
    uint32_t timeout_us;
};

struct scan_order {
    struct scan_pass passes[SCAN_PASSES_MAX];
    unsigned count;
};

void scan_order_make(const struct scan_setup *setup, struct scan_order *ret);

/* How long a pass takes from that address on, if nobody answers. */
uint64_t scan_pass_us(const struct scan_pass *pass, unsigned from);

/* Whether a model is asked for directly with that setting. */
bool scan_is_listed(const struct scan_setup *setup, const struct model *model, const struct serial_setting *serial);
bool scan_same_setting(const struct serial_setting *a, const struct serial_setting *b);
