/* SPDX-License-Identifier: MIT */
#pragma once

/* Ask a running `leds` (question.h). */

#include "app/leds/question.h"

/*
 * Errors: -ENOENT    there is none, or it does not answer within a second
 *         -EACCES    this user may not ask
 *         -EPROTO    it says no; answer says why
 *         others     those of the socket
 */
int ask_leds(const char *run_dir, const char *question, char answer[static QUESTION_SIZE + 1]) MUST_CHECK;
