/* SPDX-License-Identifier: MIT */
#include "tests/crash/faulty_vfs.h"

#include <assert.h>
#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The calling program has one thread. */
static struct {
    struct faulty_vfs_plan plan;
    uint64_t calls;
    const char *failed;
    int last_errno;
    sqlite3_vfs *real;
} faulty;

/* What each variant says in the place of an I/O error; 0: this method does not fail so. */
enum method {
    OPEN,
    DELETE,
    ACCESS,
    READ,
    WRITE,
    TRUNCATE,
    SYNC,
    SIZE,
    LOCK,
    UNLOCK,
    RESERVED,
    SHM_MAP,
    SHM_LOCK,
};

static const struct {
    const char *name;
    int codes[FAULTY_VFS_VARIANTS];
} methods[] = {
    [OPEN] = { "xOpen", { SQLITE_CANTOPEN, SQLITE_CANTOPEN, SQLITE_CANTOPEN, SQLITE_CANTOPEN } },
    [DELETE] = { "xDelete", { SQLITE_IOERR_DELETE, 0, SQLITE_IOERR_DELETE, 0 } },
    [ACCESS] = { "xAccess", { SQLITE_IOERR_ACCESS, 0, 0, 0 } },
    [READ] = { "xRead", { SQLITE_IOERR_READ, 0, 0, SQLITE_IOERR_CORRUPTFS } },
    [WRITE] = { "xWrite", { SQLITE_IOERR_WRITE, SQLITE_FULL, SQLITE_READONLY, 0 } },
    [TRUNCATE] = { "xTruncate", { SQLITE_IOERR_TRUNCATE, 0, SQLITE_IOERR_TRUNCATE, 0 } },
    [SYNC] = { "xSync", { SQLITE_IOERR_FSYNC, SQLITE_FULL, SQLITE_IOERR_FSYNC, 0 } },
    [SIZE] = { "xFileSize", { SQLITE_IOERR_FSTAT, 0, 0, SQLITE_IOERR_FSTAT } },
    [LOCK] = { "xLock", { SQLITE_IOERR_LOCK, SQLITE_BUSY, 0, 0 } },
    [UNLOCK] = { "xUnlock", { SQLITE_IOERR_UNLOCK, 0, 0, 0 } },
    [RESERVED] = { "xCheckReservedLock", { SQLITE_IOERR_CHECKRESERVEDLOCK, 0, 0, 0 } },
    [SHM_MAP] = { "xShmMap", { SQLITE_IOERR_SHMMAP, SQLITE_IOERR_SHMSIZE, SQLITE_CANTOPEN, 0 } },
    [SHM_LOCK] = { "xShmLock", { SQLITE_IOERR_SHMLOCK, SQLITE_BUSY, 0, 0 } },
};

struct file {
    sqlite3_file base;
    sqlite3_file *real;
};

static int fault(enum method method)
{
    int code = methods[method].codes[faulty.plan.variant];

    faulty.calls++;
    if (faulty.plan.at == 0 || code == 0
        || (faulty.plan.lasting ? faulty.calls < faulty.plan.at : faulty.calls != faulty.plan.at)) {
        return SQLITE_OK;
    }
    if (!faulty.failed) {
        faulty.failed = methods[method].name;
    }
    faulty.last_errno = code == SQLITE_FULL ? ENOSPC : code == SQLITE_READONLY ? EROFS : EIO;
    return code;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct file *) file)->real;
}

static int file_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    int r = real->pMethods ? real->pMethods->xClose(real) : SQLITE_OK;

    free(real);
    ((struct file *) file)->real = NULL;
    return r;
}

static int file_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 offset)
{
    int r = fault(READ);

    return r != SQLITE_OK ? r : real_of(file)->pMethods->xRead(real_of(file), bytes, size, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 offset)
{
    int r = fault(WRITE);

    if (r != SQLITE_OK) {
        if (faulty.calls % 2 && r != SQLITE_READONLY) {
            (void) real_of(file)->pMethods->xWrite(real_of(file), bytes, size / 2, offset);
        }
        return r;
    }
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int r = fault(TRUNCATE);

    return r != SQLITE_OK ? r : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* The disk of this machine need not have it: nothing is cut off here. */
static int file_sync(sqlite3_file *file, int flags)
{
    (void) file;
    (void) flags;
    return fault(SYNC);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret)
{
    int r = fault(SIZE);

    return r != SQLITE_OK ? r : real_of(file)->pMethods->xFileSize(real_of(file), ret);
}

static int file_lock(sqlite3_file *file, int level)
{
    int r = fault(LOCK);

    return r != SQLITE_OK ? r : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    int r = real_of(file)->pMethods->xUnlock(real_of(file), level);
    int failed = fault(UNLOCK);

    return failed != SQLITE_OK ? failed : r;
}

static int file_reserved(sqlite3_file *file, int *ret)
{
    int r = fault(RESERVED);

    return r != SQLITE_OK ? r : real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int file_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret)
{
    int r = fault(SHM_MAP);

    if (r != SQLITE_OK) {
        *ret = NULL;
        return r;
    }
    return real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, ret);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    if (flags & SQLITE_SHM_UNLOCK) {
        return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
    }

    int r = fault(SHM_LOCK);

    return r != SQLITE_OK ? r
                          : real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods io_methods = {
    .iVersion = 2,  // no memory mapping of the file itself
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_characteristics,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                    int *ret_flags)
{
    struct file *ours = (struct file *) file;
    int r;

    (void) vfs;
    ours->base.pMethods = NULL;
    r = fault(OPEN);
    if (r != SQLITE_OK) {
        return r;
    }

    ours->real = calloc(1, (size_t) faulty.real->szOsFile);
    if (!ours->real) {
        return SQLITE_NOMEM;
    }
    r = faulty.real->xOpen(faulty.real, name, ours->real, flags, ret_flags);
    if (r != SQLITE_OK) {
        free(ours->real);
        return r;
    }
    ours->base.pMethods = &io_methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory)
{
    int r = fault(DELETE);

    (void) vfs;
    (void) sync_directory;
    return r != SQLITE_OK ? r : faulty.real->xDelete(faulty.real, name, 0);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret)
{
    int r = fault(ACCESS);

    (void) vfs;
    return r != SQLITE_OK ? r : faulty.real->xAccess(faulty.real, name, flags, ret);
}

static int vfs_full_path(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
    (void) vfs;
    return faulty.real->xFullPathname(faulty.real, name, size, ret);
}

/* Nobody else is there whom one could wait for. */
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    (void) vfs;
    return microseconds;
}

static int vfs_last_error(sqlite3_vfs *vfs, int size, char *ret)
{
    (void) vfs;
    (void) size;
    (void) ret;
    return faulty.last_errno;
}

void faulty_vfs_install(void)
{
    static sqlite3_vfs vfs;

    if (faulty.real) {
        return;
    }
    faulty.real = sqlite3_vfs_find(NULL);
    assert(faulty.real);
    vfs = *faulty.real;  // random numbers and time are the real ones
    vfs.zName = "faulty";
    vfs.szOsFile = sizeof(struct file);
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    vfs.xFullPathname = vfs_full_path;
    vfs.xSleep = vfs_sleep;
    vfs.xGetLastError = vfs_last_error;
    if (sqlite3_vfs_register(&vfs, 1) != SQLITE_OK) {
        abort();
    }
}

void faulty_vfs_plan(const struct faulty_vfs_plan *plan)
{
    assert(plan->variant < FAULTY_VFS_VARIANTS);
    faulty.plan = *plan;
    faulty.calls = 0;
    faulty.failed = NULL;
    faulty.last_errno = 0;
}

void faulty_vfs_heal(void)
{
    faulty.plan.at = 0;
}

uint64_t faulty_vfs_calls(void)
{
    return faulty.calls;
}

const char *faulty_vfs_failed(void)
{
    return faulty.failed;
}
