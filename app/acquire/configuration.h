/* SPDX-License-Identifier: MIT */
#pragma once

/* Which configuration acquire runs with: the present one, or the last that was good. */

#include "app/base/exit.h"
#include "app/base/options.h"
#include "app/config/config.h"

/*
 * Load it, and say everything that is wrong with it. If the present one is missing or not valid the last good one,
 * <state-dir>/good.conf, is taken; *ret_problem then says so, else it is NULL. EXIT_CONFIG if there is neither.
 */
enum exit_code configuration_load(const struct options *options, struct config **ret, const char **ret_problem);

/* Keep this one as the last good one. Written only if it differs: the card lives longer. */
void configuration_keep(const struct config *config, const char *state_dir);
