/* SPDX-License-Identifier: MIT */

#include "app/outlet/cursor.h"

#include "app/base/json.h"
#include "app/outlet/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CURSOR_SIZE_MAX (4 * 1024 * 1024)  // 1000 meters with three files each come to 0.5 MiB
#define CRC_KEY         ",\"crc\":\""
#define STAT_BLOCK      512                // what st_blocks counts, whatever the file system

static const char *const slots[] = { ".cursor.0", ".cursor.1" };

void cursor_clear(struct cursor *cursor)
{
    free(cursor->files);
    *cursor = (struct cursor){};
}

int cursor_add_file(struct cursor *cursor, struct cursor_file **ret)
{
    struct cursor_file *grown = reallocarray(cursor->files, cursor->file_count + 1, sizeof(*grown));

    if (!grown) {
        return -ENOMEM;
    }

    cursor->files = grown;
    *ret = &grown[cursor->file_count++];
    **ret = (struct cursor_file){};
    return 0;
}

void cursor_remove_file(struct cursor *cursor, unsigned index)
{
    cursor->files[index] = cursor->files[--cursor->file_count];
}

uint32_t cursor_crc(uint32_t crc, const void *bytes, size_t size)
{
    // four bits at a time: 16 words of table, and fast enough for a day's file
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *byte = bytes;

    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

void cursor_print(struct text *text, const struct cursor *cursor)
{
    size_t begin = text->size;

    text_add_char(text, '{');
    json_add_member_string(text, "journal", cursor->journal);
    text_addf(text, ",\"generation\":%" PRIu64 ",\"dated\":%" PRIu64 ",\"undated\":%" PRIu64 ",\"files\":[",
              cursor->generation, cursor->dated, cursor->undated);
    for (unsigned i = 0; i < cursor->file_count; i++) {
        const struct cursor_file *file = &cursor->files[i];

        text_add(text, i > 0 ? ",[" : "[");
        json_add_string(text, file->name);
        text_addf(text, ",%" PRIu64 ",%" PRIu32 ",%" PRIu64 ",%" PRIu64 ",%" PRId64 ",%" PRId64 ",%d]", file->length,
                  file->crc, file->first, file->last, file->meter, file->boot, file->undated);
    }
    text_add_char(text, ']');
    if (!text->failed) {
        text_addf(text, CRC_KEY "%08" PRIx32 "\"}\n", cursor_crc(0, text->data + begin, text->size - begin));
    }
}

/* A whole number that a double holds exactly. */
static int whole(const struct json *json, double max, uint64_t *ret)
{
    double number = json_as_number(json);

    if (!(number >= 0 && number <= max) || number != (double) (uint64_t) number) {
        return -EBADMSG;
    }

    *ret = (uint64_t) number;
    return 0;
}

static int parse_file(const struct json *json, struct cursor_file *ret)
{
    const char *name = json_as_string(json_item(json, 0));
    uint64_t numbers[7];
    int r;

    if (!name || text_copy(ret->name, sizeof(ret->name), name) < 0) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        r = whole(json_item(json, i + 1), 9999999999999999.0, &numbers[i]);
        if (r < 0) {
            return r;
        }
    }

    ret->length = numbers[0];
    ret->crc = (uint32_t) numbers[1];
    ret->first = numbers[2];
    ret->last = numbers[3];
    ret->meter = (int64_t) numbers[4];
    ret->boot = (int64_t) numbers[5];
    ret->undated = numbers[6] != 0;
    return 0;
}

static int parse_members(const struct json *json, struct cursor *ret)
{
    const struct json *files = json_member(json, "files");
    const char *journal = json_member_string(json, "journal");
    int r;

    if (!journal || strlen(journal) != CURSOR_JOURNAL_SIZE - 1 || !json_is_list(files) ||
        whole(json_member(json, "generation"), 9999999999999999.0, &ret->generation) < 0 ||
        whole(json_member(json, "dated"), 9999999999999999.0, &ret->dated) < 0 ||
        whole(json_member(json, "undated"), 9999999999999999.0, &ret->undated) < 0) {
        return -EBADMSG;
    }
    memcpy(ret->journal, journal, CURSOR_JOURNAL_SIZE);

    for (size_t i = 0; i < json_count(files); i++) {
        struct cursor_file *file;

        r = cursor_add_file(ret, &file);
        if (r >= 0) {
            r = parse_file(json_item(files, i), file);
        }
        if (r < 0) {
            return r;
        }
    }

    return 0;
}

int cursor_parse(const char *text, size_t size, struct cursor *ret)
{
    const size_t tail = strlen(CRC_KEY) + strlen("01234567\"}\n");
    auto_json struct json *json = NULL;
    auto_cursor struct cursor cursor = {};
    char expected[32];
    int r;

    if (size <= tail) {
        return -EBADMSG;
    }
    (void) snprintf(expected, sizeof(expected), CRC_KEY "%08" PRIx32 "\"}\n", cursor_crc(0, text, size - tail));
    if (memcmp(text + size - tail, expected, tail) != 0) {
        return -EBADMSG;
    }

    r = json_parse(text, size, &json, NULL);
    if (r < 0) {
        return r;
    }

    r = parse_members(json, &cursor);
    if (r < 0) {
        return r;
    }

    *ret = cursor;
    cursor = (struct cursor){};
    return 0;
}

static int load_slot(int folder_fd, const char *slot, struct cursor *ret)
{
    auto_close int fd = -1;
    auto_free char *text = NULL;
    struct stat status;
    int r;

    fd = tree_open(folder_fd, slot, O_RDONLY);
    if (fd < 0) {
        return fd == -ELOOP || fd == -EXDEV ? -EBADMSG : fd;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    if (!S_ISREG(status.st_mode) || status.st_size > CURSOR_SIZE_MAX) {
        return -EBADMSG;
    }

    text = malloc((size_t) status.st_size + 1);
    if (!text) {
        return -ENOMEM;
    }

    r = tree_read(fd, 0, text, (size_t) status.st_size);
    if (r < 0) {
        return r;
    }

    return cursor_parse(text, (size_t) status.st_size, ret);
}

int cursor_load(int folder_fd, struct cursor *ret)
{
    auto_cursor struct cursor newest = {};
    bool found = false, damaged = false;

    for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
        auto_cursor struct cursor cursor = {};
        int r = load_slot(folder_fd, slots[i], &cursor);

        if (r == -EBADMSG) {
            damaged = true;
        } else if (r < 0 && r != -ENOENT) {
            return r;
        }
        if (r == 0 && (!found || cursor.generation > newest.generation)) {
            cursor_clear(&newest);
            newest = cursor;
            cursor = (struct cursor){};
            found = true;
        }
    }
    if (!found) {
        return damaged ? -EBADMSG : -ENOENT;
    }

    cursor_clear(ret);
    *ret = newest;
    newest = (struct cursor){};
    return 0;
}

int cursor_save(int folder_fd, struct cursor *cursor)
{
    auto_text struct text text = {};
    auto_close int fd = -1;
    struct cursor next = *cursor;
    struct stat status;
    int r;

    next.generation++;
    cursor_print(&text, &next);
    if (text.failed) {
        return -ENOMEM;
    }

    fd = tree_open(folder_fd, slots[next.generation % ARRAY_SIZE(slots)], O_RDWR | O_CREAT);
    if (fd < 0) {
        return fd;
    }
    if (fstat(fd, &status) < 0) {
        return -errno;
    }

    r = tree_write(fd, 0, text.data, text.size);
    if (r < 0) {
        return r;
    }
    if ((uint64_t) status.st_size > text.size && ftruncate(fd, (off_t) text.size) < 0) {
        return -errno;
    }
    if (text.size > (uint64_t) status.st_blocks * STAT_BLOCK) {
        r = tree_sync_grown(folder_fd, fd);
    } else {
        r = fsync(fd) < 0 ? -errno : 0;
    }
    if (r < 0) {
        return r;
    }

    cursor->generation = next.generation;
    return 0;
}
