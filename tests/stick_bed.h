/* SPDX-License-Identifier: MIT */
#pragma once

/* A journal with one meter, its writer and a reader, a directory for a stick, and bursts onto it. */

#include "tests/test.h"

#include "app/base/file.h"
#include "app/outlet/csv.h"
#include "app/outlet/stick.h"
#include "app/outlet/stick_root.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>

#define BOOT_A "aaaaaaaa-0000-4000-8000-000000000001"
#define BOOT_B "bbbbbbbb-0000-4000-8000-000000000002"
#define WALL   1795168800000  // 2026-11-20T10:00:00Z, 11:00 in Berlin
#define HOUR   3600000ull

static char base[128], journal_dir[160], stick_dir[160];
static struct journal *writer, *reader;
static struct epoch epoch;
static int64_t kitchen;
static enum csv_format format;
static const char *appliance = "here";

static inline void begin_boot(const char *boot_id, enum clock_quality source)
{
    epoch = (struct epoch){ .source = source, .wall_ms = WALL };
    snprintf(epoch.boot_id, sizeof(epoch.boot_id), "%s", boot_id);
    CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
}

static inline void add_meter(const char *name, const char *model, const char *quantity, const char *unit)
{
    struct layout *layout = calloc(1, sizeof(*layout));

    layout->count = 2;
    snprintf(layout->columns[0].name, QUANTITY_NAME_SIZE, "%s", quantity);
    snprintf(layout->columns[0].unit, UNIT_SIZE, "%s", unit);
    strcpy(layout->columns[1].name, "power_factor");
    CHECK_EQ(journal_add_meter(writer, name, model, layout, &kitchen), 0);
    free(layout);
}

static inline uint64_t add_row(uint64_t boot_ms, double value)
{
    struct journal_row row = { .epoch = epoch.number, .boot_ms = boot_ms, .meter = kitchen, .value_count = 2,
                               .values = { value, NAN } };
    uint64_t seq = 0;

    snprintf(row.quality, sizeof(row.quality), "%cm", (char) epoch.source);
    CHECK_EQ(journal_add_sample(writer, &row, NULL, 0, &seq), 0);
    CHECK_EQ(journal_commit(writer, boot_ms), 0);
    return seq;
}

static inline void begin(enum clock_quality source)
{
    snprintf(base, sizeof(base), "%s/test-stick-XXXXXX", TEST_BINARY_DIR);
    CHECK(mkdtemp(base));
    snprintf(journal_dir, sizeof(journal_dir), "%s/journal", base);
    snprintf(stick_dir, sizeof(stick_dir), "%s/stick", base);
    CHECK_EQ(mkdir(stick_dir, 0755), 0);
    format = CSV_METERSTICK;
    appliance = "here";
    CHECK_EQ(journal_open(journal_dir, false, &writer), 0);
    begin_boot(BOOT_A, source);
    add_meter("kitchen", "schneider-iem2150", "voltage", "V");
    CHECK_EQ(journal_commit(writer, 0), 0);
    CHECK_EQ(journal_open_read(journal_dir, &reader), 0);
}

static inline int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void) status;
    (void) kind;
    (void) walk;
    return remove(path);
}

static inline void end(void)
{
    journal_close(reader);
    journal_close(writer);
    CHECK_EQ(nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct stick *open_stick(void)
{
    struct stick_setup setup = { .appliance = appliance, .journal = reader, .format = format };
    struct stick *stick = NULL;

    CHECK_EQ(stick_open(&setup, &stick), 0);
    return stick;
}

static inline int one_burst(struct stick *stick)
{
    auto_stick_root struct stick_root *root = NULL;
    int root_fd, r;

    CHECK_EQ(stick_root_new_directory(stick_dir, &root), 0);
    r = stick_root_open(root, NULL, NULL, &root_fd);
    return r < 0 ? r : stick_burst(stick, root_fd, stick_root_device_fd(root));
}

static inline int burst_with(struct stick *stick)
{
    int r;

    while ((r = one_burst(stick)) > 0) {
    }
    return r;
}

/* A burst of a program that has just been started. */
static inline void burst(void)
{
    auto_stick struct stick *stick = open_stick();

    CHECK_EQ(burst_with(stick), 0);
}

static inline const char *path_of(const char *name)
{
    static char path[400];

    snprintf(path, sizeof(path), "%s/kwhmeter/%s", stick_dir, name);
    return path;
}

static inline bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

static inline char *content(const char *name)
{
    char *text = NULL;
    size_t size;

    CHECK_EQ(file_read(path_of(name), 1 << 24, &text, &size), 0);
    return text;
}

static inline void check_content(const char *name, const char *expect)
{
    auto_free char *text = content(name);
    struct stat status;

    CHECK_STR(text, expect);
    CHECK_EQ(stat(path_of(name), &status), 0);
    CHECK_EQ(status.st_size, strlen(expect));  // no NUL and more behind it
}

static inline void append(const char *name, const char *bytes, size_t size)
{
    auto_close int fd = open(path_of(name), O_WRONLY | O_APPEND);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, bytes, size), size);
}

#define HEADER "utc,local,quality,voltage_v,power_factor,seq\r\n"
#define ROW_1  "2026-11-20T10:00:01.000Z,2026-11-20 11:00:01,Nm,1,,1\r\n"
#define ROW_2  "2026-11-20T10:00:02.000Z,2026-11-20 11:00:02,Nm,2,,2\r\n"
#define ROW_3  "2026-11-20T10:00:03.000Z,2026-11-20 11:00:03,Nm,3,,3\r\n"
#define DAY    "here/kitchen/2026-11-20.csv"
#define DAY_R1 "here/kitchen/2026-11-20-r1.csv"
