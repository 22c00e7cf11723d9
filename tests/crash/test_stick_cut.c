// SPDX-License-Identifier: MIT
// link: ms_outlet -rdynamic
// sources: tests/crash/recorder.c tests/crash/recorder_image.c
//
// Faults 26 and 38 at each call: the stick is pulled, or the power cut, anywhere in a burst. The real code writes
// bursts onto a directory while recorder.c notes each call; then images of the stick are made for cuts at every
// operation, in order and not, as FAT may leave them, and the real code goes on with each.

#include "tests/crash/recorder.h"
#include "tests/stick_bed.h"

#include <dirent.h>
#include <inttypes.h>
#include <time.h>

#define METERS   10
#define FEW      3  // files of a burst that are synced one by one
#define ROWS_MAX 1024
#define LINE_MAX_SIZE 160
#define FOREIGN  "photo.jpg"

/* Most of the time would go into remembering who allocated what. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "malloc_context_size=2:quarantine_size_mb=4";
}

/* Lines of CSV files, heads aside, each behind the name of its meter's folder. */
struct lines {
    char (*text)[LINE_MAX_SIZE];
    size_t count, capacity;
    unsigned revisions, boot_files;
};

static char image_dir[200];
static char foreign[3000];
static int64_t meters[METERS];
static uint64_t boot_ms;
static struct lines dated, undated;  // what all rows look like at the end, and what those without a time did
static uint64_t last_undated;

static void add_line(struct lines *lines, const char *folder, const char *line, size_t size)
{
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity * 2 + 256;
        lines->text = reallocarray(lines->text, lines->capacity, sizeof(*lines->text));
        CHECK(lines->text);
    }
    snprintf(lines->text[lines->count++], LINE_MAX_SIZE, "%s %.*s", folder, (int) size, line);
}

static void add_lines(struct lines *lines, const char *folder, const char *path)
{
    auto_free char *text = NULL;
    size_t size;
    const char *line, *end;

    CHECK_EQ(file_read(path, 1 << 24, &text, &size), 0);
    for (line = text; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t) (text + size - line));
        end = end ? end : text + size;
        if (strncmp(line, "utc,", 4) != 0 && strncmp(line, "boot_s,", 7) != 0) {
            add_line(lines, folder, line, (size_t) (end - line));
        }
    }
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All lines below a stick's root, sorted. */
static struct lines lines_of(const char *root)
{
    struct lines lines = {};
    char folder[300], path[600];

    for (int i = 0; i < METERS; i++) {
        const struct dirent *entry;
        char name[16];
        DIR *stream;

        snprintf(name, sizeof(name), "m%d", i);
        snprintf(folder, sizeof(folder), "%s/kwhmeter/here/%s", root, name);
        stream = opendir(folder);
        while (stream && (entry = readdir(stream))) {
            if (strstr(entry->d_name, ".csv")) {
                snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                add_lines(&lines, name, path);
                lines.revisions += strstr(entry->d_name, "-r") != NULL;
                lines.boot_files += strncmp(entry->d_name, "boot-", 5) == 0;
            }
        }
        if (stream) {
            closedir(stream);
        }
    }
    if (lines.count > 0) {
        qsort(lines.text, lines.count, sizeof(*lines.text), compare_lines);
    }
    return lines;
}

static bool has(const struct lines *lines, const char *line)
{
    return lines->count > 0 && bsearch(line, lines->text, lines->count, sizeof(*lines->text), compare_lines);
}

/* --- the story --- */

static void add_rows(unsigned meter_count, unsigned slices)
{
    for (unsigned i = 0; i < slices; i++) {
        boot_ms += 10000;
        for (unsigned j = 0; j < meter_count; j++) {
            kitchen = meters[j];
            (void) add_row(boot_ms, (double) (boot_ms / 1000 + j));
        }
    }
}

static uint64_t last_seq(void)
{
    uint64_t seq = 0;

    CHECK_EQ(journal_head_seq(reader, &seq), 0);
    return seq;
}

static void burst_and_mark(struct stick *stick)
{
    CHECK_EQ(burst_with(stick), 0);
    recorder_mark(last_seq());
}

static void know_the_time(int64_t wall_ms)
{
    epoch.source = CLOCK_NTP;
    epoch.wall_ms = wall_ms - (int64_t) boot_ms;
    CHECK_EQ(journal_add_epoch(writer, &epoch), 0);
}

/* A time that is learned late, a day that ends, files that grow together, restarts, another boot. */
static void write_story(void)
{
    struct stick *stick = open_stick();

    for (int i = 0; i < 3; i++) {
        add_rows(i == 1 ? METERS : FEW, 2);
        burst_and_mark(stick);
    }
    undated = lines_of(stick_dir);
    last_undated = last_seq();
    know_the_time(WALL + 13 * HOUR - 120000 + (int64_t) boot_ms);
    for (int i = 0; i < 12; i++) {
        add_rows(i % 4 == 2 ? METERS : FEW, i == 6 ? 10 : 2);
        burst_and_mark(stick);
        if (i % 3 == 1) {
            stick_close(stick);  // the program is started again
            stick = open_stick();
        }
    }
    boot_ms = 1000;
    begin_boot(BOOT_B, CLOCK_NTP);
    know_the_time(WALL + 14 * HOUR);
    for (int i = 0; i < 4; i++) {
        add_rows(i == 2 ? METERS : FEW, 2);
        burst_and_mark(stick);
    }
    stick_close(stick);
}

static void make_reference(void)
{
    char kept[sizeof(stick_dir)];

    memcpy(kept, stick_dir, sizeof(kept));
    snprintf(stick_dir, sizeof(stick_dir), "%s/reference", base);
    CHECK_EQ(mkdir(stick_dir, 0755), 0);
    burst();
    dated = lines_of(stick_dir);
    CHECK(dated.count > 100 && undated.count > 10);
    CHECK_EQ(dated.boot_files, 0);
    memcpy(stick_dir, kept, sizeof(kept));
}

/* --- images --- */

struct tally {
    size_t images, ordered, revisions, more;
};

static uint64_t seq_of(const char *line)
{
    return csv_line_seq(line, strlen(line));
}

/* Each row that was acknowledged is there, with its time or as it was without. */
static void check_acknowledged(const struct lines *found, uint64_t last, const char *what)
{
    const struct lines *all[] = { &dated, &undated };
    uint64_t missing = 0;

    for (size_t i = 0; i < dated.count; i++) {
        uint64_t seq = seq_of(dated.text[i]);
        bool is_there = seq > last || has(found, dated.text[i]);

        for (size_t j = 0; j < undated.count && !is_there && seq <= last_undated; j++) {
            is_there = seq_of(all[1]->text[j]) == seq && has(found, all[1]->text[j]);
        }
        missing += !is_there;
    }
    if (missing > 0) {
        fail_msg("%s: %" PRIu64 " of the rows up to %" PRIu64 " are lost", what, missing, last);
    }
}

static void check_foreign(const char *what)
{
    auto_free char *text = NULL;
    char path[300];
    size_t size;

    snprintf(path, sizeof(path), "%s/" FOREIGN, image_dir);
    CHECK_EQ(file_read(path, sizeof(foreign), &text, &size), 0);
    if (size != sizeof(foreign) || memcmp(text, foreign, size) != 0) {
        fail_msg("%s: another's file is not as it was", what);
    }
}

static void check_served(struct tally *tally, const char *what)
{
    struct lines found = lines_of(image_dir);

    if (found.boot_files > 0) {
        fail_msg("%s: served again, %u files of rows without a time remain", what, found.boot_files);
    }
    for (size_t i = 0; i < MIN(found.count, dated.count); i++) {
        if (strcmp(found.text[i], dated.text[i]) != 0) {
            fail_msg("%s: served again, there is \"%s\" and not \"%s\"", what, found.text[i], dated.text[i]);
        }
    }
    if (found.count != dated.count) {
        fail_msg("%s: served again, there are %zu rows and not %zu", what, found.count, dated.count);
    }
    tally->revisions += found.revisions > 0;
    free(found.text);
}

static void try_image(const struct recorder_image *image, struct tally *tally)
{
    char kept[sizeof(stick_dir)], what[128];
    struct lines found;

    snprintf(what, sizeof(what), "cut at %zu of %zu, %s, seed %" PRIu64, image->cut, recorder_count(),
             image->reordered ? "reordered" : "ordered", image->seed);
    CHECK_EQ(mkdir(image_dir, 0755), 0);
    recorder_build(image, image_dir);
    found = lines_of(image_dir);
    check_acknowledged(&found, recorder_marked(image->cut), what);
    tally->more += found.count > 0 && seq_of(found.text[found.count - 1]) > recorder_marked(image->cut);
    free(found.text);

    memcpy(kept, stick_dir, sizeof(kept));
    snprintf(stick_dir, sizeof(stick_dir), "%s", image_dir);
    burst();
    memcpy(stick_dir, kept, sizeof(kept));
    check_served(tally, what);
    check_foreign(what);
    CHECK_EQ(nftw(image_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    tally->images++;
    tally->ordered += !image->reordered;
}

/* $METERSTICK_SEED repeats a run. */
static uint64_t first_seed(void)
{
    const char *text = getenv("METERSTICK_SEED");
    uint64_t seed = text && *text ? strtoull(text, NULL, 10) : (uint64_t) time(NULL);

    printf("METERSTICK_SEED=%" PRIu64 "\n", seed);
    return seed;
}

static void prepare(void)
{
    char path[300], name[16];
    int fd;

    begin(CLOCK_UNKNOWN);
    snprintf(image_dir, sizeof(image_dir), "%s/image", base);
    for (int i = 0; i < METERS; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        add_meter(name, "schneider-iem2150", "voltage", "V");
        meters[i] = kitchen;
    }
    boot_ms = 1000;
    for (size_t i = 0; i < sizeof(foreign); i++) {
        foreign[i] = (char) (i * 7);
    }

    recorder_begin(stick_dir);
    snprintf(path, sizeof(path), "%s/" FOREIGN, stick_dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, foreign, sizeof(foreign)), sizeof(foreign));
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(close(fd), 0);
    fd = open(stick_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK_EQ(fsync(fd), 0);
    CHECK_EQ(close(fd), 0);
}

static void test_no_row_of_a_burst_is_lost_or_doubled_by_a_cut(void)
{
    struct tally tally = {};
    uint64_t seed = first_seed();
    size_t images = test_share(25000), ordered = MAX(images / 5, (size_t) 1), first, count;

    prepare();
    first = recorder_count();
    write_story();
    recorder_end();
    recorder_forget_syncs(true);
    make_reference();

    count = recorder_count() + 1 - first;
    for (size_t i = 0; i < images; i++) {
        uint64_t chance = recorder_random(&seed);
        struct recorder_image image = {
            .reordered = i >= ordered,
            .fat = true,
            .cut = first + (i < ordered ? i * count / ordered + (ordered < count ? chance % (count / ordered) : 0)
                                        : chance) % count,
            .sector_size = 512,
            .seed = recorder_random(&seed) >> 16,
        };

        try_image(&image, &tally);
    }
    printf("\nfigure: stick cut at each call: %zu images of %zu operations (%zu ordered, %zu reordered), 0 rows lost "
           "or doubled; %zu had more than was acknowledged, %zu got a second file for a day\n",
           tally.images, count - 1, tally.ordered, tally.images - tally.ordered, tally.more, tally.revisions);

    free(dated.text);
    free(undated.text);
    recorder_forget_syncs(false);
    recorder_clear();
    end();
}

TESTS(test_no_row_of_a_burst_is_lost_or_doubled_by_a_cut)
