/* SPDX-License-Identifier: MIT */

/* Images of a card: what may be on it after a cut. */

#include "tests/crash/recorder_private.h"

#include "app/base/macros.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct content {
    uint8_t *bytes;
    size_t size, capacity;
};

struct directory {
    char name[RECORDER_NAME_SIZE];
    size_t kept;  // what was done in it before this operation is on the card
};

struct building {
    const struct recorder_image *image;
    uint64_t seed;
    size_t all_durable;        // everything before this operation
    size_t *durable;           // [file_count] all before this operation
    struct content *contents;  // [file_count]
    struct directory directories[16];
    unsigned directory_count;
    struct {
        char name[RECORDER_NAME_SIZE];
        int file;  // -1: a directory, -2: none
    } entries[RECORDER_FILES_MAX];
    unsigned entry_count;
};

/* What stands where nothing has been written: on FAT, as a stick was used before, zeroes, noise, or bytes of ours. */
static void fill(struct building *building, uint8_t *bytes, size_t size)
{
    uint64_t style = building->image->fat ? recorder_random(&building->seed) % 4 : 0;
    const struct recorder_operation *old = NULL;

    if (style == 1) {
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t) recorder_random(&building->seed);
        }
        return;
    }
    if (style > 1) {
        old = &recorder.operations[recorder_random(&building->seed) % recorder.count];
    }
    if (!old || old->size == 0) {
        memset(bytes, 0, size);
        return;
    }
    for (size_t i = 0, from = recorder_random(&building->seed) % old->size; i < size; i++) {
        bytes[i] = old->bytes[(from + i) % old->size];
    }
}

static void resize(struct building *building, struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size * 2;
        content->bytes = recorder_must(realloc(content->bytes, content->capacity));
    }
    if (size > content->size) {
        size_t sector_end = (content->size + building->image->sector_size - 1) / building->image->sector_size
                            * building->image->sector_size;
        size_t zeroes = MIN(sector_end, size) - content->size;

        // the rest of a sector was written with the bytes before it
        memset(content->bytes + content->size, 0, zeroes);
        fill(building, content->bytes + content->size + zeroes, size - content->size - zeroes);
    }
    content->size = size;
}

/* A write of which only some sectors came through, and perhaps the size. */
static void write_some(struct building *building, struct content *content,
                       const struct recorder_operation *operation)
{
    size_t end = (size_t) operation->offset + operation->size;
    size_t sector = building->image->sector_size;
    uint64_t style = recorder_random(&building->seed) % 4;  // all, none, or by the sector

    if (style == 0) {
        return;
    }
    if (end > content->size && (style == 1 || recorder_random(&building->seed) % 2)) {
        resize(building, content, end);
    }
    for (size_t at = (size_t) operation->offset; at < end;) {
        size_t next = at / sector * sector + sector < end ? at / sector * sector + sector : end;

        if (style == 1 || recorder_random(&building->seed) % 2) {
            if (next > content->size) {
                resize(building, content, next);
            }
            memcpy(content->bytes + at, operation->bytes + (at - operation->offset), next - at);
        }
        at = next;
    }
}

static void apply_to_file(struct building *building, size_t index)
{
    const struct recorder_operation *operation = &recorder.operations[index];
    struct content *content = &building->contents[operation->file];
    bool sure = !building->image->reordered || index < building->all_durable ||
                index < building->durable[operation->file];

    if (operation->kind == RESIZE) {
        if (sure || recorder_random(&building->seed) % 2) {
            resize(building, content, (size_t) operation->offset);
        }
    } else if (sure) {
        if (operation->offset + operation->size > content->size) {
            resize(building, content, (size_t) operation->offset + operation->size);
        }
        memcpy(content->bytes + operation->offset, operation->bytes, operation->size);
    } else {
        write_some(building, content, operation);
    }
}

static void parent_of(const char *name, char ret[static RECORDER_NAME_SIZE])
{
    const char *slash = strrchr(name, '/');

    snprintf(ret, RECORDER_NAME_SIZE, "%.*s", slash ? (int) (slash - name) : 0, name);
}

/* By its name; the root is "". */
static struct directory *find_directory(struct building *building, const char *name)
{
    for (unsigned i = 0; i < building->directory_count; i++) {
        if (strcmp(building->directories[i].name, name) == 0) {
            return &building->directories[i];
        }
    }
    assert(building->directory_count < 16);
    snprintf(building->directories[building->directory_count].name, RECORDER_NAME_SIZE, "%s", name);
    building->directories[building->directory_count].kept = 0;
    return &building->directories[building->directory_count++];
}

static bool is_of_directory(enum recorder_kind kind)
{
    return kind == CREATE || kind == RENAME || kind == UNLINK || kind == MAKE_DIR;
}

/* Up to where each file and each directory is on the card for sure, and of directories a little further by chance. */
static void find_durable(struct building *building)
{
    char parent[RECORDER_NAME_SIZE];
    size_t written = 0;

    for (size_t i = 0; i < building->image->cut; i++) {
        const struct recorder_operation *operation = &recorder.operations[i];

        if (operation->kind == SYNC_FS) {
            written = i;
        } else if (operation->kind == SYNC || operation->kind == SYNC_DIR) {
            building->all_durable = written;
        }
        if (operation->kind == SYNC) {
            building->durable[operation->file] = i;
        } else if (operation->kind == SYNC_DIR) {
            find_directory(building, operation->name)->kept = i;
        } else if (is_of_directory(operation->kind)) {
            parent_of(operation->name, parent);
            (void) find_directory(building, parent);
        }
    }
    for (unsigned i = 0; i < building->directory_count; i++) {
        struct directory *directory = &building->directories[i];
        size_t rest;

        directory->kept = MAX(directory->kept, building->all_durable);
        rest = building->image->cut - directory->kept;

        directory->kept = !building->image->reordered ? building->image->cut
                          : recorder_random(&building->seed) % 3 == 0
                              ? directory->kept
                              : directory->kept + recorder_random(&building->seed) % (rest + 1);
    }
}

static int find_entry(const struct building *building, const char *name)
{
    for (unsigned i = 0; i < building->entry_count; i++) {
        if (building->entries[i].file != -2 && strcmp(building->entries[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

static void set_entry(struct building *building, const char *name, int file)
{
    int at = find_entry(building, name);

    if (at < 0) {
        assert(building->entry_count < RECORDER_FILES_MAX);
        at = (int) building->entry_count++;
        snprintf(building->entries[at].name, RECORDER_NAME_SIZE, "%s", name);
    }
    building->entries[at].file = file;
}

static void remove_entry(struct building *building, const char *name)
{
    int at = find_entry(building, name);

    if (at >= 0) {
        building->entries[at].file = -2;
    }
}

static void apply_to_directory(struct building *building, size_t index)
{
    const struct recorder_operation *operation = &recorder.operations[index];
    char parent[RECORDER_NAME_SIZE];

    parent_of(operation->name, parent);
    if (index >= find_directory(building, parent)->kept) {
        if (!building->image->fat || !building->image->reordered || recorder_random(&building->seed) % 2) {
            return;
        }
    }
    switch (operation->kind) {
    case CREATE:
        set_entry(building, operation->name, (int) operation->file);
        break;
    case RENAME:
        remove_entry(building, operation->name);
        set_entry(building, operation->other, (int) operation->file);
        break;
    case UNLINK:
        remove_entry(building, operation->name);
        break;
    case MAKE_DIR:
        set_entry(building, operation->name, -1);
        break;
    case WRITE:
    case RESIZE:
    case SYNC:
    case SYNC_DIR:
    case SYNC_FS:
    case MARK:
        break;
    }
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

    if (fd < 0 || write(fd, bytes, size) != (ssize_t) size) {
        perror(path);
        abort();
    }
    close(fd);
}

/* The shared memory of a log: none, empty, or what happens to stand there. */
static void write_shared_memory(struct building *building, const char *path)
{
    uint8_t garbage[1024];
    char shared[1024];
    size_t length = strlen(path);

    if (length < 4 || strcmp(path + length - 4, "-wal") != 0
        || recorder_random(&building->seed) % 3 == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(garbage); i++) {
        garbage[i] = (uint8_t) recorder_random(&building->seed);
    }
    snprintf(shared, sizeof(shared), "%.*s-shm", (int) length - 4, path);
    write_file(shared, garbage, recorder_random(&building->seed) % 2 ? sizeof(garbage) : 0);
}

static void write_entries(struct building *building, const char *root)
{
    static const uint8_t nothing[1];
    char path[1024], parent[RECORDER_NAME_SIZE];

    for (unsigned i = 0; i < building->entry_count; i++) {
        int file = building->entries[i].file;

        parent_of(building->entries[i].name, parent);
        snprintf(path, sizeof(path), "%s/%s", root, building->entries[i].name);
        if (file == -2 || (*parent && find_entry(building, parent) < 0)) {
            building->entries[i].file = -2;
            continue;  // not there, or in a directory that is not
        }
        if (file == -1) {
            if (mkdir(path, 0750) < 0) {
                perror(path);
                abort();
            }
            continue;
        }
        write_file(path, building->contents[file].size ? building->contents[file].bytes : nothing,
                   building->contents[file].size);
        write_shared_memory(building, path);
    }
}

void recorder_build(const struct recorder_image *image, const char *root)
{
    struct building *building = recorder_must(calloc(1, sizeof(*building)));

    assert(!recorder.on);
    building->image = image;
    building->seed = image->seed;
    building->durable = recorder_must(calloc(recorder.file_count + 1, sizeof(*building->durable)));
    building->contents =
        recorder_must(calloc(recorder.file_count + 1, sizeof(*building->contents)));
    find_durable(building);

    for (size_t i = 0; i < image->cut; i++) {
        enum recorder_kind kind = recorder.operations[i].kind;

        if (kind == WRITE || kind == RESIZE) {
            apply_to_file(building, i);
        } else if (is_of_directory(kind)) {
            apply_to_directory(building, i);
        }
    }
    write_entries(building, root);

    for (unsigned i = 0; i < recorder.file_count; i++) {
        free(building->contents[i].bytes);
    }
    free(building->contents);
    free(building->durable);
    free(building);
}
