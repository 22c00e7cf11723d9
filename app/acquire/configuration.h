/* SPDX-License-Identifier: MIT */
#pragma once

/* Which configuration acquire runs with: the present one, or the last that was good. */

#include "app/base/exit.h"
#include "app/base/options.h"
#include "app/config/config.h"

#define CONFIGURATION_PROBLEM_SIZE 320

/*
 * Load it, and say everything that is wrong with it. If the present one is missing or not valid the last good one,
 * <state-dir>/good.conf, is taken; ret_problem then says so and why, else it is "". EXIT_CONFIG if there is neither.
 * One without meters means that they are to be looked for: where there is no configuration at all, or one with buses.
 */
enum exit_code configuration_load(const struct options *options, struct config **ret,
                                  char ret_problem[static CONFIGURATION_PROBLEM_SIZE]);

/*
 * Load the present one and nothing else; options->state_dir may be NULL: without adopted.conf. Errors: -ENOENT there is
 * none, -EINVAL and others; everything that is wrong is logged, and ret_problem has the first: "FILE:LINE: what, and 2
 * more"
 */
int configuration_read(const struct options *options, struct config **ret,
                       char ret_problem[static CONFIGURATION_PROBLEM_SIZE]) MUST_CHECK;

/*
 * Whether what is to be adopted would make a configuration to run with. 0: ret_what says it in words; -EINVAL: problems
 * do. *ret_configure: whether the configuration on the card allows it.
 */
int configuration_try(const struct options *options, const char *name, const char *bytes, size_t size,
                      struct problems *problems, bool *ret_configure, struct text *ret_what) MUST_CHECK;

/* Keep this one as the last good one, and the appliance's name. Written only if it differs: the card lives longer. */
void configuration_keep(const struct config *config, const char *state_dir);
