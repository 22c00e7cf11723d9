/* SPDX-License-Identifier: MIT */
#pragma once

/* Exit codes, those of sysexits.h that this project uses. */

enum exit_code {
    EXIT_OK = 0,
    EXIT_SOMETHING_WRONG = 1,  // status: a light is red; scan: nothing found; stick --once: not written
    EXIT_USAGE = 64,
    EXIT_PORT_ABSENT = 69,
    EXIT_IO = 74,
    EXIT_CONFIG = 78,
};
