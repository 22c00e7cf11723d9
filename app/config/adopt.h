/* SPDX-License-Identifier: MIT */
#pragma once

/* <state-dir>/adopted.conf: what came from a stick, the boot partition or a scan, and goes before what is in /etc. */

#include "app/base/macros.h"

#include <stddef.h>

#define ADOPT_FILE "adopted.conf"

/*
 * Replace it, durably; what is in it already is not written again: the card lives longer. It was checked by
 * config_load_adopting(). Errors: those of file_replace(): the one before is still there
 */
int adopt_write(const char *state_dir, const char *text, size_t size) MUST_CHECK;
