/* SPDX-License-Identifier: MIT */
#pragma once

/* What recorder.c writes down and recorder_image.c reads. */

#include "tests/crash/recorder.h"

#include <stdlib.h>

#define RECORDER_FILES_MAX 4096
#define RECORDER_NAME_SIZE 256
#define FDS_MAX            1024

enum recorder_kind {
    WRITE,     // file, offset, bytes
    RESIZE,    // file, offset = the size
    SYNC,      // file
    CREATE,    // name -> file
    RENAME,    // name -> other
    UNLINK,    // name
    MAKE_DIR,  // name
    SYNC_DIR,  // name of the directory
    SYNC_FS,
    MARK,      // offset
};

struct recorder_operation {
    enum recorder_kind kind;
    unsigned file;
    uint64_t offset;
    size_t size;
    uint8_t *bytes;
    char *name, *other;
};

/* The calling program has one thread. */
extern struct recorder {
    bool on, forget_syncs;
    char root[512];
    struct recorder_operation *operations;
    size_t count, capacity;
    unsigned file_count;
    struct {
        char name[RECORDER_NAME_SIZE];  // empty: unlinked
        unsigned file;
    } names[RECORDER_FILES_MAX];
    unsigned name_count;
    struct {
        bool used, is_directory;
        unsigned file;
        char name[RECORDER_NAME_SIZE];
    } fds[FDS_MAX];
} recorder;

static inline void *recorder_must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}
