/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A file beside the data that is replaced whole. FAT has no atomic rename (reliability.md 2.1): the new one is written
 * under <name>.new and made durable before it takes the name, so a cut leaves the old one or the new one, or at worst
 * one under the other name, and the next insertion writes it anew. Streamed: no page is ever in memory whole.
 */

#include "app/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_FILE_BUFFER 4096

struct page_file {
    int folder_fd, fd;
    const char *name;
    int error;                      // the first one; further additions do nothing
    uint64_t size;                  // so far
    size_t used;
    char buffer[PAGE_FILE_BUFFER];
};

#define auto_page_file CLEANUP(page_file_abandon)

/* The folder and the name are the caller's and outlive the file. */
int page_file_begin(struct page_file *file, int folder_fd, const char *name) MUST_CHECK;
void page_file_add(struct page_file *file, const char *bytes, size_t size);

/* Durable, and in place of the old one. Errors: the first that there was; nothing is left of the new one then */
int page_file_end(struct page_file *file) MUST_CHECK;

/* What was begun and not ended is removed. */
void page_file_abandon(struct page_file *file);

/* Whether the file is there and holds exactly this. */
bool page_file_holds(int folder_fd, const char *name, const struct text *text);

/* What a cut left. */
void page_file_remove_leftover(int folder_fd, const char *name);
