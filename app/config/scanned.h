/* SPDX-License-Identifier: MIT */
#pragma once

/* What a scan found, as a configuration that a person can read and change. */

#include "drivers/scan.h"

/*
 * Add a [bus] with its port, and a [meter] for each that was found; what cannot be one is a comment. Nothing is added
 * if nothing was found.
 *
 * bus      its name
 * port     NULL: the [bus] stands somewhere else
 * Returns how many meters there are.
 */
unsigned scanned_add(struct text *ret, const struct scan *scan, const char *bus, const char *port);

/* All models but those that cannot be loaded, which is logged. The caller frees them. Returns how many. */
unsigned scanned_load_models(struct model **ret, unsigned size);

/* One thing that was found, in one line without its end: "address 3, 9600 8N1: schneider-iem2150". */
void scanned_describe(struct text *ret, const struct scan_found *found);
