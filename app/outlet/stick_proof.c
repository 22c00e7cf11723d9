/* SPDX-License-Identifier: MIT */

/* What a file provably holds: the journal's own rendering of its rows beside the file's bytes. */

#include "app/outlet/stick_file.h"

#include "app/outlet/csv.h"
#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_SIZE  16384
#define SECTOR_SIZE 512  // no stick writes less at once

/* Walks a meter's rows that belong to one file. */
struct walk {
    struct render *render;
    struct journal *journal;
    const struct place *place;
    const char *meter;
    uint64_t after;
    struct journal_row *rows;
    int count, next;
};

#define WALK_ROWS 64

static void walk_clear(struct walk *walk)
{
    free(walk->rows);
}

static int walk_begin(struct walk *walk, struct render *render, struct journal *journal, const struct place *place,
                      uint64_t after)
{
    *walk = (struct walk){ .render = render, .journal = journal, .place = place, .after = after };
    walk->rows = calloc(WALK_ROWS, sizeof(*walk->rows));
    return walk->rows ? render_meter_name(render, place->meter, &walk->meter) : -ENOMEM;
}

/* Whether a row's place is in the file of that base: revisions and first rows aside. */
static bool same_file(const struct place *a, const struct place *b)
{
    return a->undated == b->undated && a->boot == b->boot && a->prefix == b->prefix &&
           strncmp(a->base, b->base, a->prefix) == 0;
}

/* Returns 1 and the next row of the file, or 0 at the end of the journal. */
static int walk_next(struct walk *walk, const struct journal_row **ret)
{
    struct place place;
    int r;

    for (;;) {
        const struct journal_row *row;

        if (walk->next == walk->count) {
            walk->count = journal_read(walk->journal, walk->after, walk->meter, walk->rows, WALK_ROWS);
            walk->next = 0;
            if (walk->count <= 0) {
                r = walk->count;
                walk->count = 0;
                return r;
            }
        }

        row = &walk->rows[walk->next++];
        walk->after = row->seq;
        r = walk->place->undated ? render_place_undated(walk->render, row, &place)
                                 : render_place(walk->render, row, &place);
        if (r < 0 && r != -EBADMSG) {
            return r;  // a row that cannot be placed is in no file
        }
        if (r == RENDER_PLACED && same_file(&place, walk->place)) {
            *ret = row;
            return 1;
        }
    }
}

/* Compares a file with a rendering as that comes. */
struct compare {
    int fd;
    uint64_t offset, size;
    uint32_t crc;
};

static int compare_begin(struct compare *compare, int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0) {
        return -errno;
    }

    *compare = (struct compare){ .fd = fd, .size = S_ISREG(status.st_mode) ? (uint64_t) status.st_size : 0 };
    return 0;
}

/* Returns 1 if the file goes on with this text, 0 if not. */
static int compare_next(struct compare *compare, const struct text *text)
{
    auto_free char *bytes = NULL;
    int r;

    if (compare->size - compare->offset < text->size) {
        return 0;
    }

    bytes = malloc(text->size + 1);
    if (!bytes) {
        return -ENOMEM;
    }

    r = tree_read(compare->fd, compare->offset, bytes, text->size);
    if (r < 0) {
        return r;
    }
    if (memcmp(bytes, text->data, text->size) != 0) {
        return 0;
    }

    compare->crc = cursor_crc(compare->crc, bytes, text->size);
    compare->offset += text->size;
    return 1;
}

/* Whether the rest of an old energy-scribe log, which has no seqs, goes on with this row. */
static int old_has(struct compare *compare, struct render *render, const struct place *place,
                   const struct journal_row *row)
{
    auto_text struct text line = {};
    int r;

    if (compare->offset == 0) {
        r = render_add_header(render, place, &line);
        if (r < 0) {
            return r;
        }
    }

    r = render_add_row(render, place, row, &line);
    return r < 0 ? r : compare_next(compare, &line);
}

int stick_file_add_again(struct stick_file *file, struct render *render, struct journal *journal,
                         const struct place *place, const struct cursor_file *was, int old_fd)
{
    CLEANUP(walk_clear) struct walk walk = {};
    struct compare compare = {};
    const struct journal_row *row;
    bool equal = old_fd >= 0 && !render_has_seq(render);
    int r;

    if (was->last == 0) {
        return 0;
    }
    if (equal) {
        r = compare_begin(&compare, old_fd);
        if (r < 0) {
            return r;
        }
    }

    r = walk_begin(&walk, render, journal, place, was->first - MIN(was->first, (uint64_t) 1));
    if (r < 0) {
        return r;
    }

    while ((r = walk_next(&walk, &row)) > 0 && row->seq <= was->last) {
        if (equal) {
            r = old_has(&compare, render, place, row);
            if (r < 0) {
                return r;
            }
            equal = r > 0;
        }
        if (!equal) {
            r = stick_file_add(file, render, place, row);
            if (r < 0) {
                return r;
            }
        }
    }

    return MIN(r, 0);
}

/* The seq at the end of the second line, 0 if there is none. */
static int first_seq(int fd, uint64_t *ret)
{
    char begin[CHUNK_SIZE];
    ssize_t n = pread(fd, begin, sizeof(begin), 0);
    const char *line, *end;

    if (n < 0) {
        return -errno;
    }

    line = memchr(begin, '\n', (size_t) n);
    end = line ? memchr(line + 1, '\n', (size_t) (begin + n - line - 1)) : NULL;
    *ret = end ? csv_line_seq(line + 1, (size_t) (end - line - 1)) : 0;
    return 0;
}

int stick_file_prove(struct stick_file *file, struct render *render, struct journal *journal,
                     const struct place *place, const struct journal_row *row, int fd)
{
    CLEANUP(walk_clear) struct walk walk = {};
    auto_text struct text line = {};
    struct compare compare = { .fd = -1 };
    uint64_t first = row->seq, last = 0;
    int r;

    r = render_has_seq(render) ? first_seq(fd, &first) : 0;
    if (r >= 0) {
        r = compare_begin(&compare, fd);
    }
    if (r >= 0) {
        r = render_add_header(render, place, &line);
    }
    if (r < 0) {
        return r;
    }

    r = first > 0 ? compare_next(&compare, &line) : 0;
    if (r <= 0) {
        return r;
    }

    r = walk_begin(&walk, render, journal, place, first - 1);
    while (r >= 0 && compare.offset < compare.size) {
        r = walk_next(&walk, &row);
        if (r <= 0) {
            return r;  // the file goes on, the journal does not
        }
        text_reset(&line);
        r = render_add_row(render, place, row, &line);
        if (r < 0) {
            return r;
        }
        r = compare_next(&compare, &line);
        if (r <= 0) {
            return r;
        }
        last = row->seq;
    }
    if (r < 0) {
        return r;
    }

    file->at.length = compare.offset;
    file->at.crc = compare.crc;
    file->at.first = last ? first : 0;
    file->at.last = last;
    return 1;
}

int stick_file_render_next(const struct stick_file *file, struct render *render, struct journal *journal,
                           struct text *ret)
{
    CLEANUP(walk_clear) struct walk walk = {};
    struct place place = { .meter = file->at.meter, .boot = file->at.boot, .undated = file->at.undated };
    const struct journal_row *row;
    int r;

    place.prefix = strcspn(file->at.name, ".");
    if (stick_file_revision(file->at.name) > 0) {
        place.prefix = (size_t) (strrchr(file->at.name, '-') - file->at.name);
    }
    (void) snprintf(place.base, sizeof(place.base), "%.*s", (int) place.prefix, file->at.name);

    r = walk_begin(&walk, render, journal, &place, file->at.last);
    while (r >= 0 && ret->size < SECTOR_SIZE) {
        r = walk_next(&walk, &row);
        if (r == 0) {
            return 0;
        }
        if (r > 0) {
            r = render_add_row(render, &place, row, ret);
        }
    }

    return MIN(r, 0);
}

/*
 * A stick writes whole sectors. So the rest of the one with our last byte is what was there when that became durable,
 * zeroes, or what we were about to write; what a person adds begins there, too. Behind it anything may stand after a
 * cut: the size comes to the stick by itself, and a cluster shows what it held before.
 */
int stick_file_is_tail_ours(const struct stick_file *file, int folder_fd, const struct text *next)
{
    auto_close int fd = tree_open(folder_fd, file->at.name, O_RDONLY);
    char tail[SECTOR_SIZE];
    size_t room = SECTOR_SIZE - (size_t) (file->at.length % SECTOR_SIZE), equal = 0;
    ssize_t size;

    if (fd < 0) {
        return fd;
    }
    size = pread(fd, tail, room, (off_t) file->at.length);
    if (size < 0) {
        return -errno;
    }

    while (equal < MIN((size_t) size, next->size) && tail[equal] == next->data[equal]) {
        equal++;
    }
    while (equal < (size_t) size && tail[equal] == '\0') {
        equal++;
    }
    return equal == (size_t) size;
}

static int compare_seqs(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return (x > y) - (x < y);
}

static int hold(struct stick_file *file, uint64_t seq)
{
    // doubled at each power of two
    if ((file->held_count & (file->held_count - 1)) == 0) {
        uint64_t *grown = reallocarray(file->held, MAX(file->held_count * 2, (size_t) 1), sizeof(*grown));

        if (!grown) {
            return -ENOMEM;
        }
        file->held = grown;
    }

    file->held[file->held_count++] = seq;
    return 0;
}

int stick_file_hold(struct stick_file *file, int fd)
{
    char chunk[CHUNK_SIZE];
    size_t kept = 0;
    uint64_t offset = 0;
    ssize_t n;
    int r;

    // Only the end of a line matters, so of a longer one than a chunk the beginning is let go.
    while ((n = pread(fd, chunk + kept, sizeof(chunk) - kept, (off_t) offset)) > 0) {
        char *line = chunk, *end, *stop = chunk + kept + n;

        offset += (uint64_t) n;
        while ((end = memchr(line, '\n', (size_t) (stop - line)))) {
            uint64_t seq = csv_line_seq(line, (size_t) (end - line));

            r = seq > 0 ? hold(file, seq) : 0;
            if (r < 0) {
                return r;
            }
            line = end + 1;
        }

        kept = MIN((size_t) (stop - line), sizeof(chunk) / 2);
        memmove(chunk, stop - kept, kept);
    }
    if (n < 0) {
        return -errno;
    }

    if (file->held_count > 0) {
        qsort(file->held, file->held_count, sizeof(*file->held), compare_seqs);
    }
    return 0;
}
