/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where an outlet is, kept at the outlet itself: on the stick in two slots, written in turn, so that a write cut in
 * half leaves the other one. Text with a checksum; the newest valid one counts.
 */

#include "app/base/limits.h"
#include "app/base/text.h"

#include <stdbool.h>
#include <stdint.h>

#define CURSOR_JOURNAL_SIZE 37
#define CURSOR_NAME_SIZE    (METER_ID_SIZE + 48)  // "kitchen/20261120-10.00.00-r12.csv"

/* A file that may still grow. What lies beyond its length is not ours to keep. */
struct cursor_file {
    char name[CURSOR_NAME_SIZE];  // below the appliance's folder
    uint64_t length;              // bytes that are durable
    uint32_t crc;                 // of these
    uint64_t first, last;         // seqs of its first and last row, 0 = none
    int64_t meter;                // the journal's id: what its columns are
    int64_t boot;                 // the boot's first epoch where that tells files apart, else 0
    bool undated;                 // rows of unknown time
};

struct cursor {
    char journal[CURSOR_JOURNAL_SIZE];
    uint64_t generation;          // counts writes
    uint64_t dated;               // all rows up to this seq are in dated files, or have been passed
    uint64_t undated;             // rows of unknown time up to this seq are in their boot's file
    struct cursor_file *files;
    unsigned file_count;
};

#define auto_cursor CLEANUP(cursor_clear)

void cursor_clear(struct cursor *cursor);

/* Make room for one more file, empty. It is valid until the next call. Errors: -ENOMEM */
int cursor_add_file(struct cursor *cursor, struct cursor_file **ret) MUST_CHECK;
void cursor_remove_file(struct cursor *cursor, unsigned index);

/* As text, one line. */
void cursor_print(struct text *text, const struct cursor *cursor);

/* Errors: -EBADMSG damaged, *ret is untouched   -ENOMEM */
int cursor_parse(const char *text, size_t size, struct cursor *ret) MUST_CHECK;

/*
 * The newest valid cursor in a folder.
 * Errors: -ENOENT there is none   -EBADMSG there are only damaged ones   -EIO ...
 */
int cursor_load(int folder_fd, struct cursor *ret) MUST_CHECK;

/* Write it durably with the next generation. On failure the generation stays. */
int cursor_save(int folder_fd, struct cursor *cursor) MUST_CHECK;

/* CRC-32 as of zip files (ISO 3309, reflected 0xEDB88320): crc is that of what came before, 0 at first. Pure. */
uint32_t cursor_crc(uint32_t crc, const void *bytes, size_t size);
