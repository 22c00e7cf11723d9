/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the inbox has answered: <state-dir>/inbox.seen. A file that was answered once is never taken again, so that an
 * old stick changes nothing; the newest answers are kept in words, for whoever asks again.
 */

#include "app/base/sha256.h"
#include "app/base/text.h"

#define INBOX_SEEN_MAX     1000  // then the oldest is forgotten: 90 KB
#define INBOX_ANSWERS      8     // kept in words, and shown in the status
#define INBOX_ANSWER_SIZE  3000  // of the words

struct inbox_answer {
    char sha256[SHA256_TEXT_SIZE];
    bool adopted;            // else refused
    bool lasting;            // else it may be asked again
    char *text;              // NULL: no longer kept
};

/* Zero-initialised is empty; inbox_seen_clear() frees it. */
struct inbox_seen {
    struct inbox_answer *answers;  // the newest last
    unsigned count;
};

void inbox_seen_clear(struct inbox_seen *seen);

/* Errors: -EBADMSG it is damaged, -ENOMEM and those of file_read(), -ENOENT among them: *seen is empty then */
int inbox_seen_load(struct inbox_seen *seen, const char *path) MUST_CHECK;

/* All that is lasting, durably. */
int inbox_seen_save(const struct inbox_seen *seen, const char *path) MUST_CHECK;

/* NULL: it was not answered. Valid until the next change. */
const struct inbox_answer *inbox_seen_find(const struct inbox_seen *seen, const char *sha256);

/* Becomes the newest, in the place of an earlier one. Errors: -ENOMEM: nothing is changed */
int inbox_seen_put(struct inbox_seen *seen, const char *sha256, bool adopted, bool lasting,
                   const char *text) MUST_CHECK;

/* Take the newest back: it could not be kept. */
void inbox_seen_drop(struct inbox_seen *seen);

/* [{"sha256","result","text"}...], the newest last, as the status has it. */
void inbox_seen_add_json(const struct inbox_seen *seen, struct text *ret);
