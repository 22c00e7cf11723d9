/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a person reads afterwards. Leaves return errors; entry points, bus threads and outlet loops log the
 * change, not the repetition: what, which, why, and what happens next. Safe from any thread; a line is one
 * write. Control characters are escaped. No secrets.
 *
 * Under systemd (standard error is its $JOURNAL_STREAM) lines begin with <n> and carry no time; on a terminal or in
 * a file they begin with the local time.
 */

#include "app/base/macros.h"

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/*
 * level        "error", "warning", "info" (default) or "debug"; NULL keeps it
 * destination  "stderr" (default) or a file's path; NULL keeps it
 *
 * Errors: -EINVAL no such level; what open gives for the file
 */
int log_setup(const char *program, const char *level, const char *destination) MUST_CHECK;

/* Another level, at any time and from any thread. Errors: -EINVAL no such level */
int log_set_level(const char *level) MUST_CHECK;

bool log_is_on(enum log_level level);

/* Where it goes: whoever closes all descriptors leaves this one. */
int log_descriptor(void);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
