/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What may be adopted: of all keys those that say which meters there are and how the appliance is called. Who can plug
 * in a stick may set these, and nothing that runs a program, names a file, or takes the readings elsewhere.
 */

#include "app/config/entries.h"

/* Largest file that is adopted: a thousand meters in a hundred bytes each. */
#define CLOSED_MAX_SIZE (128 * 1024)

/* NULL: this entry may be adopted; else why not. Pure. */
const char *closed_refuses(const struct entry *entry);
