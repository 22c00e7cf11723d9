/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What was learned of the meters and would have to be learned again after a restart, at the cost of bus time: which
 * registers they refuse to be read together. <state-dir>/learned is a text file, a line a meter: its name and the words
 * of source_learned(). It may be deleted at any time. Any thread may use it.
 */

#include "app/base/macros.h"
#include "app/base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define LEARNED_WORDS_SIZE 4096                  // of one meter; what is longer is not kept
#define LEARNED_FILE_SIZE  (256 * 1024)
#define LEARNED_EACH_US    UINT64_C(600000000)   // written at a change, at most once in 10 min

struct learned;

/*
 * Read the file, if the card may be asked. If there is none nothing was learned yet; one that is damaged or of
 * something else is told in one log line, and is replaced with the next change. Errors: -ENOMEM, -ENAMETOOLONG
 */
int learned_open(const char *state_dir, bool read, struct learned **ret) MUST_CHECK;
void learned_close(struct learned *learned);

/* The words of a meter, "" if there are none. Its line is kept from now on: a name that nobody asks for goes. */
void learned_get(struct learned *learned, const char *meter, struct text *ret);

/* New words; "" if nothing is known any more. */
void learned_put(struct learned *learned, const char *meter, const char *words);

/*
 * Write the file if something has changed and it is time to. It may block for as long as a card does: the thread that
 * writes the journal calls this, right after a commit that went well. A failure is told once, and tried again.
 */
void learned_save(struct learned *learned, uint64_t now_us);
