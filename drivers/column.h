/* SPDX-License-Identifier: MIT */
#pragma once

/* What a column is called wherever a person reads it: in CSV files and in the journal's views. Pure. */

#include "drivers/sample.h"

#define COLUMN_LABEL_SIZE (QUANTITY_NAME_SIZE + UNIT_SIZE)

/*
 * <name>_<unit>: "power_active_w", "voltage_l1_n.max_v", "thd_voltage_l1_percent"; a plain number has no ending:
 * "power_factor". Returns buffer.
 */
const char *column_label(const struct column *column, char buffer[static COLUMN_LABEL_SIZE]);
