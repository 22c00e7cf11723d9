/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The powermeter program's configuration (PM-03) as it is: a JSON list of HDHK devices, each with id, port, timeout,
 * stopbits, bytesize, parity, baudrate and inputs [{input "a".."p", ratio, name}], numbers also as strings.
 *
 * Its ratio multiplies the raw register, so 0.01 stands for "as the meter says"; ours multiplies amperes, 1 stands for
 * that. One key is new: "address", since several devices may share a line (PM-02); without it a device is 1.
 */

#include "app/config/config.h"

/* Where that program looks for it, in code and document, in this order; NULL at the end. */
extern const char *const import_powermeter_paths[];

/*
 * Our configuration for the same devices: a bus each port, a meter "device-<id>" each device, its inputs logged.
 *
 * name  of the file, for messages
 * Errors: -EINVAL problems say device, key and what is allowed
 */
int import_powermeter(const char *name, const char *text, size_t size, struct problems *problems,
                      struct text *ret) MUST_CHECK;

/*
 * Give the inputs their names as the JSON has them: some (with " #") cannot stand in an INI line. config was
 * made from what import_powermeter() made of the same text.
 */
void import_powermeter_names(const char *text, size_t size, struct config *config);
