/* SPDX-License-Identifier: MIT */
#pragma once

/* What this appliance is called where nobody has named it. */

#include "app/base/limits.h"
#include "app/base/macros.h"

/*
 * "meterstick-" and four hexadecimal digits, for ever the same: made once from the board's serial number (else the
 * machine id) and kept in <state-dir>/appliance, so that a card moved to another board keeps its name.
 *
 * configured  the name from [appliance], "" if there is none; it goes before
 * Where the file cannot be written the name is still given: it is made from the same number each time.
 */
void appliance_name(const char *configured, const char *state_dir, char ret[static METER_ID_SIZE]);

/* The default name for a serial number or machine id: its last four hexadecimal digits. Pure. */
void appliance_name_from(const char *serial, char ret[static METER_ID_SIZE]);
