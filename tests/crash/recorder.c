/* SPDX-License-Identifier: MIT */
#undef _FILE_OFFSET_BITS  // open() and open64() are two symbols here: both are ours
#undef _TIME_BITS

#include "tests/crash/recorder.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096
#define NAME_MAX_ 256
#define FDS_MAX   1024

enum kind {
    WRITE,      // file, offset, bytes
    RESIZE,     // file, offset = the size
    SYNC,       // file
    CREATE,     // name -> file
    RENAME,     // name -> other
    UNLINK,     // name
    MAKE_DIR,   // name
    SYNC_DIR,   // name of the directory
    MARK,       // offset
};

struct operation {
    enum kind kind;
    unsigned file;
    uint64_t offset;
    size_t size;
    uint8_t *bytes;
    char *name, *other;
};

/* The calling program has one thread. */
static struct {
    bool on, forget_syncs;
    char root[512];
    struct operation *operations;
    size_t count, capacity;
    unsigned file_count;
    struct {
        char name[NAME_MAX_];  // empty: unlinked
        unsigned file;
    } names[FILES_MAX];
    unsigned name_count;
    struct {
        bool used, is_directory;
        unsigned file;
        char name[NAME_MAX_];
    } fds[FDS_MAX];
} recorder;

#define REAL(name) ((__typeof__(&name)) real(#name))

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);

    assert(function);
    return function;
}

static void *must(void *memory)
{
    if (!memory) {
        abort();
    }
    return memory;
}

/* A path below the root, without it; "" is the root itself. NULL: not ours. */
static const char *inside(const char *path)
{
    size_t length = strlen(recorder.root);

    if (!recorder.on || strncmp(path, recorder.root, length) != 0) {
        return NULL;
    }
    return path[length] == '/' ? path + length + 1 : path[length] == '\0' ? path + length : NULL;
}

static struct operation *add(enum kind kind, unsigned file, const char *name)
{
    struct operation *operation;

    if (recorder.count == recorder.capacity) {
        recorder.capacity = recorder.capacity * 2 + 1024;
        recorder.operations = must(realloc(recorder.operations, recorder.capacity * sizeof(*recorder.operations)));
    }
    operation = &recorder.operations[recorder.count++];
    *operation = (struct operation){ .kind = kind, .file = file, .name = name ? must(strdup(name)) : NULL };
    return operation;
}

static int find_name(const char *name)
{
    for (unsigned i = 0; i < recorder.name_count; i++) {
        if (strcmp(recorder.names[i].name, name) == 0) {
            return (int) i;
        }
    }
    return -1;
}

static void set_name(const char *name, unsigned file)
{
    int at = find_name(name);

    if (at < 0) {
        for (at = 0; at < (int) recorder.name_count && recorder.names[at].name[0]; at++) {
        }
        recorder.name_count += (unsigned) at == recorder.name_count;
        assert(at < FILES_MAX);
    }
    snprintf(recorder.names[at].name, NAME_MAX_, "%s", name);
    recorder.names[at].file = file;
}

static bool is_shared_memory(const char *name)
{
    size_t length = strlen(name);

    return length > 4 && strcmp(name + length - 4, "-shm") == 0;
}

static void opened(int fd, const char *path, int flags)
{
    const char *name = inside(path);
    struct stat status;
    int at;

    if (fd < 0 || !name || fd >= FDS_MAX || is_shared_memory(name)) {
        return;
    }
    (void) fstat(fd, &status);
    recorder.fds[fd].used = true;
    recorder.fds[fd].is_directory = S_ISDIR(status.st_mode);
    snprintf(recorder.fds[fd].name, NAME_MAX_, "%s", name);
    if (recorder.fds[fd].is_directory) {
        return;
    }

    at = find_name(name);
    if (at < 0) {
        assert(flags & O_CREAT);
        set_name(name, recorder.file_count++);
        at = find_name(name);
        (void) add(CREATE, recorder.names[at].file, name);
    } else if (flags & O_TRUNC) {
        (void) add(RESIZE, recorder.names[at].file, NULL);
    }
    recorder.fds[fd].file = recorder.names[at].file;
}

static bool is_ours(int fd)
{
    return recorder.on && fd >= 0 && fd < FDS_MAX && recorder.fds[fd].used;
}

static void wrote(int fd, const void *bytes, ssize_t size, off64_t offset)
{
    struct operation *operation;

    if (size <= 0 || !is_ours(fd)) {
        return;
    }
    operation = add(WRITE, recorder.fds[fd].file, NULL);
    operation->offset = (uint64_t) offset;
    operation->size = (size_t) size;
    operation->bytes = must(malloc((size_t) size));
    memcpy(operation->bytes, bytes, (size_t) size);
}

static int synced(int fd, int (*call)(int))
{
    if (is_ours(fd)) {
        (void) add(recorder.fds[fd].is_directory ? SYNC_DIR : SYNC, recorder.fds[fd].file, recorder.fds[fd].name);
        return 0;  // what is recorded need not be on this machine's disk
    }
    return recorder.forget_syncs ? 0 : call(fd);
}

static void resized(int fd, int64_t size)
{
    if (is_ours(fd)) {
        add(RESIZE, recorder.fds[fd].file, NULL)->offset = (uint64_t) size;
    }
}

/* --- in the place of the C library's --- */

int open(const char *path, int flags, ...);
int open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;
    int fd;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    fd = REAL(open)(path, flags, mode);
    opened(fd, path, flags);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    return open(path, flags | O_LARGEFILE, mode);
}

int close(int fd)
{
    if (fd >= 0 && fd < FDS_MAX) {
        recorder.fds[fd].used = false;
    }
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t size)
{
    off64_t offset = is_ours(fd) ? lseek64(fd, 0, SEEK_CUR) : 0;
    ssize_t count = REAL(write)(fd, bytes, size);

    wrote(fd, bytes, count, offset);
    return count;
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    ssize_t count = REAL(pwrite64)(fd, bytes, size, offset);

    wrote(fd, bytes, count, offset);
    return count;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    return pwrite64(fd, bytes, size, offset);
}

int ftruncate64(int fd, off64_t size)
{
    int r = REAL(ftruncate64)(fd, size);

    if (r == 0) {
        resized(fd, size);
    }
    return r;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

int fsync(int fd)
{
    return synced(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return synced(fd, REAL(fdatasync));
}

int rename(const char *from, const char *to)
{
    const char *name = inside(from), *other = inside(to);
    int r = REAL(rename)(from, to);

    if (r == 0 && name && other) {
        int at = find_name(name);
        unsigned file = recorder.names[at].file;

        recorder.names[at].name[0] = '\0';
        set_name(other, file);
        add(RENAME, file, name)->other = must(strdup(other));
    }
    return r;
}

int unlink(const char *path)
{
    const char *name = inside(path);
    int r = REAL(unlink)(path);

    if (r == 0 && name && !is_shared_memory(name)) {
        int at = find_name(name);

        assert(at >= 0);
        (void) add(UNLINK, recorder.names[at].file, name);
        recorder.names[at].name[0] = '\0';
    }
    return r;
}

int mkdir(const char *path, mode_t mode)
{
    const char *name = inside(path);
    int r = REAL(mkdir)(path, mode);

    if (r == 0 && name) {
        (void) add(MAKE_DIR, 0, name);
    }
    return r;
}

/* --- what was recorded --- */

void recorder_begin(const char *root)
{
    recorder_clear();
    snprintf(recorder.root, sizeof(recorder.root), "%s", root);
    recorder.on = true;
}

void recorder_end(void)
{
    recorder.on = false;
}

void recorder_clear(void)
{
    for (size_t i = 0; i < recorder.count; i++) {
        free(recorder.operations[i].bytes);
        free(recorder.operations[i].name);
        free(recorder.operations[i].other);
    }
    free(recorder.operations);
    memset(&recorder, 0, sizeof(recorder));
}

void recorder_forget_syncs(bool forget)
{
    recorder.forget_syncs = forget;
}

size_t recorder_count(void)
{
    return recorder.count;
}

void recorder_mark(uint64_t number)
{
    add(MARK, 0, NULL)->offset = number;
}

uint64_t recorder_marked(size_t cut)
{
    while (cut > 0) {
        if (recorder.operations[--cut].kind == MARK) {
            return recorder.operations[cut].offset;
        }
    }
    return 0;
}

uint64_t recorder_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* --- images --- */

struct content {
    uint8_t *bytes;
    size_t size, capacity;
};

struct directory {
    char name[NAME_MAX_];
    size_t kept;  // what was done in it before this operation is on the card
};

struct building {
    const struct recorder_image *image;
    uint64_t seed;
    size_t *durable;               // [file_count] all before this operation
    struct content *contents;      // [file_count]
    struct directory directories[16];
    unsigned directory_count;
    struct {
        char name[NAME_MAX_];
        int file;                  // -1: a directory, -2: none
    } entries[FILES_MAX];
    unsigned entry_count;
};

static void resize(struct content *content, size_t size)
{
    if (size > content->capacity) {
        content->capacity = size * 2;
        content->bytes = must(realloc(content->bytes, content->capacity));
    }
    if (size > content->size) {
        memset(content->bytes + content->size, 0, size - content->size);
    }
    content->size = size;
}

/* A write of which only some sectors came through, and perhaps the size. */
static void write_some(struct building *building, struct content *content, const struct operation *operation)
{
    size_t end = (size_t) operation->offset + operation->size;
    size_t sector = building->image->sector_size;
    uint64_t style = recorder_random(&building->seed) % 4;  // all, none, or by the sector

    if (style == 0) {
        return;
    }
    if (end > content->size && (style == 1 || recorder_random(&building->seed) % 2)) {
        resize(content, end);
    }
    for (size_t at = (size_t) operation->offset; at < end;) {
        size_t next = at / sector * sector + sector < end ? at / sector * sector + sector : end;

        if (style == 1 || recorder_random(&building->seed) % 2) {
            if (next > content->size) {
                resize(content, next);
            }
            memcpy(content->bytes + at, operation->bytes + (at - operation->offset), next - at);
        }
        at = next;
    }
}

static void apply_to_file(struct building *building, size_t index)
{
    const struct operation *operation = &recorder.operations[index];
    struct content *content = &building->contents[operation->file];
    bool sure = !building->image->reordered || index < building->durable[operation->file];

    if (operation->kind == RESIZE) {
        if (sure || recorder_random(&building->seed) % 2) {
            resize(content, (size_t) operation->offset);
        }
    } else if (sure) {
        if (operation->offset + operation->size > content->size) {
            resize(content, (size_t) operation->offset + operation->size);
        }
        memcpy(content->bytes + operation->offset, operation->bytes, operation->size);
    } else {
        write_some(building, content, operation);
    }
}

static void parent_of(const char *name, char ret[static NAME_MAX_])
{
    const char *slash = strrchr(name, '/');

    snprintf(ret, NAME_MAX_, "%.*s", slash ? (int) (slash - name) : 0, name);
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
    snprintf(building->directories[building->directory_count].name, NAME_MAX_, "%s", name);
    building->directories[building->directory_count].kept = 0;
    return &building->directories[building->directory_count++];
}

static bool is_of_directory(enum kind kind)
{
    return kind == CREATE || kind == RENAME || kind == UNLINK || kind == MAKE_DIR;
}

/* Up to where each file and each directory is on the card for sure, and of directories a little further by chance. */
static void find_durable(struct building *building)
{
    char parent[NAME_MAX_];

    for (size_t i = 0; i < building->image->cut; i++) {
        const struct operation *operation = &recorder.operations[i];

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
        size_t rest = building->image->cut - directory->kept;

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
        assert(building->entry_count < FILES_MAX);
        at = (int) building->entry_count++;
        snprintf(building->entries[at].name, NAME_MAX_, "%s", name);
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
    const struct operation *operation = &recorder.operations[index];
    char parent[NAME_MAX_];

    parent_of(operation->name, parent);
    if (index >= find_directory(building, parent)->kept) {
        return;
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

    if (length < 4 || strcmp(path + length - 4, "-wal") != 0 || recorder_random(&building->seed) % 3 == 0) {
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
    char path[1024], parent[NAME_MAX_];

    for (unsigned i = 0; i < building->entry_count; i++) {
        int file = building->entries[i].file;

        parent_of(building->entries[i].name, parent);
        snprintf(path, sizeof(path), "%s/%s", root, building->entries[i].name);
        if (file == -2 || (*parent && find_entry(building, parent) < 0)) {
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
    struct building *building = must(calloc(1, sizeof(*building)));

    assert(!recorder.on);
    building->image = image;
    building->seed = image->seed;
    building->durable = must(calloc(recorder.file_count + 1, sizeof(*building->durable)));
    building->contents = must(calloc(recorder.file_count + 1, sizeof(*building->contents)));
    find_durable(building);

    for (size_t i = 0; i < image->cut; i++) {
        enum kind kind = recorder.operations[i].kind;

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
