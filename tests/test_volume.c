// SPDX-License-Identifier: MIT
// link: ms_outlet

/* First sectors as mkfs.vfat 4.2 and mkfs.exfat 1.2.0 made them, and worse ones. */

#include "tests/test.h"

#include "app/outlet/volume.h"

/* mkfs.vfat -F 12 -i 1234ABCD -n STICK, 2 MiB */
static const uint8_t fat12[62] = {
    0xEB, 0x3C, 0x90, 'm', 'k', 'f', 's', '.', 'f', 'a', 't', 0x00, 0x02, 0x04, 0x01, 0x00,
    0x02, 0x00, 0x02, 0x00, 0x10, 0xF8, 0x03, 0x00, 0x10, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x29, 0xCD, 0xAB, 0x34, 0x12, 'S', 'T', 'I', 'C', 'K',
    ' ', ' ', ' ', ' ', ' ', ' ', 'F', 'A', 'T', '1', '2', ' ', ' ', ' ',
};

/* mkfs.vfat -F 16 -i 1234ABCD -n STICK, 32 MiB */
static const uint8_t fat16[62] = {
    0xEB, 0x3C, 0x90, 'm', 'k', 'f', 's', '.', 'f', 'a', 't', 0x00, 0x02, 0x04, 0x04, 0x00,
    0x02, 0x00, 0x02, 0x00, 0x00, 0xF8, 0x40, 0x00, 0x20, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x80, 0x00, 0x29, 0xCD, 0xAB, 0x34, 0x12, 'S', 'T', 'I', 'C', 'K',
    ' ', ' ', ' ', ' ', ' ', ' ', 'F', 'A', 'T', '1', '6', ' ', ' ', ' ',
};

/* mkfs.vfat -F 32 -i 1234ABCD -n STICK, 64 MiB */
static const uint8_t fat32[90] = {
    0xEB, 0x58, 0x90, 'm', 'k', 'f', 's', '.', 'f', 'a', 't', 0x00, 0x02, 0x01, 0x20, 0x00,
    0x02, 0x00, 0x00, 0x00, 0x00, 0xF8, 0x00, 0x00, 0x20, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x02, 0x00, 0xF1, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x80, 0x00, 0x29, 0xCD, 0xAB, 0x34, 0x12, 'S', 'T', 'I', 'C', 'K', ' ', ' ', ' ', ' ',
    ' ', ' ', 'F', 'A', 'T', '3', '2', ' ', ' ', ' ',
};
static const uint8_t fat32_entries[8] = { 0xF8, 0xFF, 0xFF, 0x0F, 0xFF, 0xFF, 0xFF, 0x0F };
static const uint8_t fat32_info_end[28] = { 'r', 'r', 'A', 'a', 0xFD, 0xF7, 0x01, 0x00, 0x02, 0x00 };

/* mkfs.exfat -L STICK, 64 MiB; the sectors behind it hold their signatures alone, the twelfth its checksum */
static const uint8_t exfat[120] = {
    0xEB, 0x76, 0x90, 'E', 'X', 'F', 'A', 'T', ' ', ' ', ' ',
    [72] = 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x08, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x3E, 0x00, 0x00,
    0x05, 0x00, 0x00, 0x00, 0xE3, 0xF1, 0x5D, 0x7F, 0x00, 0x01, 0x00, 0x00, 0x09, 0x03, 0x01, 0x80,
};
#define EXFAT_CHECKSUM 0x02208537u

static uint8_t bytes[VOLUME_NAME_SIZE];
static struct volume volume;

static void put32(size_t at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[at + i] = (uint8_t) (value >> 8 * i);
    }
}

static void begin(const uint8_t *boot, size_t size)
{
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, boot, size);
    bytes[510] = 0x55;
    bytes[511] = 0xAA;
}

static void begin_exfat(void)
{
    begin(exfat, sizeof(exfat));
    for (size_t sector = 1; sector <= 8; sector++) {
        put32(sector * 512 + 508, 0xAA550000);
    }
    for (size_t i = 0; i < 512; i += 4) {
        put32(11 * 512 + i, EXFAT_CHECKSUM);
    }
}

static void look(void)
{
    volume_look(bytes, VOLUME_HEAD_SIZE, &volume);
}

static void test_each_fat_is_known_by_its_clusters(void)
{
    begin(fat12, sizeof(fat12));
    look();
    CHECK_EQ(volume.kind, VOLUME_FAT);
    CHECK_EQ(volume.fat_bits, 12);
    CHECK_STR(volume.id, "1234-ABCD");
    CHECK(!volume.dirty);
    CHECK_EQ(volume.fat_offset, 0);
    CHECK_EQ(volume.size_bytes, 2 << 20);

    begin(fat16, sizeof(fat16));
    look();
    CHECK_EQ(volume.fat_bits, 16);
    CHECK_STR(volume.id, "1234-ABCD");
    CHECK_EQ(volume.fat_offset, 4 * 512);
    CHECK_EQ(volume.cluster_size, 2048);
    CHECK_EQ(volume.info_offset, 0);
    CHECK_EQ(volume.size_bytes, 32 << 20);

    begin(fat32, sizeof(fat32));
    look();
    CHECK_EQ(volume.fat_bits, 32);
    CHECK_STR(volume.id, "1234-ABCD");
    CHECK_EQ(volume.fat_offset, 32 * 512);
    CHECK_EQ(volume.info_offset, 512);
    CHECK_EQ(volume.cluster_count, 129022);
    CHECK(!volume.dirty && !volume.failing && !volume.free_known);
}

static void test_the_boot_sector_says_that_it_was_not_left_clean(void)
{
    begin(fat12, sizeof(fat12));
    bytes[37] = 1;
    look();
    CHECK(volume.dirty);
    begin(fat16, sizeof(fat16));
    bytes[37] = 1;
    look();
    CHECK(volume.dirty);
    begin(fat32, sizeof(fat32));
    bytes[65] = 1;
    look();
    CHECK(volume.dirty);
    bytes[65] = 0;
    bytes[37] = 1;  // part of the size of its FAT here
    bytes[36] = 0;
    look();
    CHECK(!volume.dirty);
    begin_exfat();
    bytes[106] = 2;
    look();
    CHECK(volume.dirty && !volume.failing);
}

static void test_the_second_entry_of_the_fat_says_it_too(void)
{
    uint8_t entries[VOLUME_ENTRY_SIZE];

    begin(fat32, sizeof(fat32));
    look();
    volume_look_at_fat(&volume, fat32_entries);
    CHECK(!volume.dirty);
    for (unsigned bit = 2; bit <= 3; bit++) {  // 26 and 27
        look();
        memcpy(entries, fat32_entries, sizeof(entries));
        entries[7] &= (uint8_t) ~(1u << bit);
        volume_look_at_fat(&volume, entries);
        CHECK(volume.dirty);
    }

    begin(fat16, sizeof(fat16));
    for (unsigned bit = 5; bit <= 7; bit++) {  // 14 and 15, and one that means nothing
        look();
        memcpy(entries, "\xF8\xFF\xFF\xFF\0\0\0\0", sizeof(entries));
        entries[3] &= (uint8_t) ~(1u << bit);
        volume_look_at_fat(&volume, entries);
        CHECK_EQ(volume.dirty, bit > 5);
    }

    begin(fat12, sizeof(fat12));
    look();
    memset(entries, 0, sizeof(entries));
    volume_look_at_fat(&volume, entries);
    CHECK(!volume.dirty);
}

static void test_free_space_is_as_noted_if_that_can_be(void)
{
    uint8_t info[VOLUME_INFO_SIZE] = { 'R', 'R', 'a', 'A' };

    begin(fat32, sizeof(fat32));
    look();
    memcpy(info + 484, fat32_info_end, sizeof(fat32_info_end));
    volume_look_at_info(&volume, info);
    CHECK(volume.free_known);
    CHECK_EQ(volume.free_bytes, 129021ull * 512);
    look();
    memset(info + 488, 0xFF, 4);  // "not known"
    volume_look_at_info(&volume, info);
    CHECK(!volume.free_known);
    look();
    memcpy(info + 484, fat32_info_end, sizeof(fat32_info_end));
    info[0] = 'r';
    volume_look_at_info(&volume, info);
    CHECK(!volume.free_known);
}

static void test_exfat_is_known_by_its_own_checksum(void)
{
    begin_exfat();
    look();
    CHECK_EQ(volume.kind, VOLUME_EXFAT);
    CHECK_STR(volume.id, "7F5D-F1E3");
    CHECK(!volume.dirty && !volume.failing);
    CHECK_EQ(volume.size_bytes, 64 << 20);
    CHECK_EQ(volume.cluster_size, 4096);
    CHECK_EQ(volume.cluster_count, 0x3E00);
    bytes[112] = 50;  // how full it is: no part of it, as the flags are not
    look();
    CHECK(!volume.failing && !volume.free_known);
    bytes[600] ^= 1;
    look();
    CHECK(volume.failing);
    volume_look(bytes, 512, &volume);  // too few to tell
    CHECK(!volume.failing);
}

static const struct {
    enum volume_kind kind;
    size_t at;
    const char *magic;
    size_t size;
} others[] = {
    { VOLUME_NTFS,      0,     "\xEB\x52\x90NTFS    ", 11 },
    { VOLUME_BITLOCKER, 0,     "\xEB\x58\x90-FVE-FS-", 11 },
    { VOLUME_LUKS,      0,     "LUKS\xBA\xBE\0\2",     8 },
    { VOLUME_EXT,       1080,  "\x53\xEF",             2 },
    { VOLUME_BTRFS,     65600, "_BHRfS_M",             8 },
    { VOLUME_XFS,       0,     "XFSB",                 4 },
    { VOLUME_F2FS,      1024,  "\x10\x20\xF5\xF2",     4 },
    { VOLUME_ISO9660,   32769, "CD001",                5 },
    { VOLUME_TABLE,     512,   "EFI PART",             8 },
    { VOLUME_UNKNOWN,   700,   "something",            9 },
    { VOLUME_BLANK,     0,     "",                     0 },
};

static void test_others_are_called_by_their_names(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes + others[i].at, others[i].magic, others[i].size);
        volume_look(bytes, sizeof(bytes), &volume);
        CHECK_EQ(volume.kind, others[i].kind);
        CHECK_STR(volume.id, "");
    }
    CHECK_STR(volume_kind_name(VOLUME_NTFS), "NTFS");
}

static void test_a_table_of_partitions_is_none_of_our_volumes(void)
{
    static const uint8_t partition[16] = { 0x80, 1,    1, 0, 0x0C, 0xFE, 0xFF, 0xFF,
                                           0x00, 0x08, 0, 0, 0x00, 0x00, 0x20, 0x00 };

    begin(fat32, 0);
    look();
    CHECK_EQ(volume.kind, VOLUME_UNKNOWN);  // a signature alone
    memcpy(bytes + 446, partition, sizeof(partition));
    look();
    CHECK_EQ(volume.kind, VOLUME_TABLE);
    bytes[446] = 0x12;
    look();
    CHECK_EQ(volume.kind, VOLUME_UNKNOWN);

    // Boot code where a table is does not make it one, and neither does a jump make boot code a FAT.
    begin(fat32, sizeof(fat32));
    memcpy(bytes + 446, partition, sizeof(partition));
    look();
    CHECK_EQ(volume.kind, VOLUME_FAT);
    memset(bytes + 11, 0x33, 400);
    memcpy(bytes + 446, partition, sizeof(partition));
    look();
    CHECK_EQ(volume.kind, VOLUME_TABLE);
}

/* One byte of the boot sector that makes the geometry impossible. */
static const struct {
    const uint8_t *boot;
    size_t size, at;
    uint8_t value;
} impossible[] = {
    { fat32, sizeof(fat32), 0, 0x00 },   // no jump
    { fat32, sizeof(fat32), 12, 0x00 },  // sectors of 0
    { fat32, sizeof(fat32), 11, 0x01 },  // of 513
    { fat32, sizeof(fat32), 12, 0x20 },  // of 8192
    { fat32, sizeof(fat32), 13, 0x00 },  // clusters of 0
    { fat32, sizeof(fat32), 13, 0x03 },  // of 3
    { fat32, sizeof(fat32), 14, 0x00 },  // nothing reserved
    { fat32, sizeof(fat32), 16, 0x00 },  // no FAT
    { fat32, sizeof(fat32), 21, 0x12 },  // no medium
    { fat32, sizeof(fat32), 37, 0x00 },  // a FAT that is too short
    { fat32, sizeof(fat32), 39, 0xFF },  // one longer than the volume
    { fat32, sizeof(fat32), 34, 0x00 },  // no sectors
    { fat16, sizeof(fat16), 17, 0x00 },  // see below: without a root directory
    { fat16, sizeof(fat16), 35, 0xFF },  // more clusters than its FAT has
};

static void test_impossible_geometry_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
        begin(impossible[i].boot, impossible[i].size);
        bytes[18] = impossible[i].at == 17 ? 0 : bytes[18];
        bytes[impossible[i].at] = impossible[i].value;
        look();
        if (volume.kind != VOLUME_UNKNOWN) {
            fail_msg("case %zu is taken for %s", i, volume_kind_name(volume.kind));
        }
    }

    for (size_t at = 72; at < 112; at++) {
        if (at >= 96 && at <= 107) {
            continue;  // root, serial, revision and flags: the checksum's task
        }
        begin_exfat();
        bytes[at] = at == 110 ? 3 : 0xEE;
        volume_look(bytes, 512, &volume);
        CHECK_EQ(volume.kind, VOLUME_EXFAT);
        // possible or not, it is another one, which the checksum tells
        volume_look(bytes, VOLUME_HEAD_SIZE, &volume);
        CHECK(volume.failing);
    }
}

static void test_few_bytes_say_nothing(void)
{
    for (size_t size = 0; size < 512; size++) {
        begin(fat32, sizeof(fat32));
        volume_look(bytes, size, &volume);
        CHECK_EQ(volume.kind, VOLUME_UNKNOWN);
    }
}

TESTS(test_each_fat_is_known_by_its_clusters, test_the_boot_sector_says_that_it_was_not_left_clean,
      test_the_second_entry_of_the_fat_says_it_too, test_free_space_is_as_noted_if_that_can_be,
      test_exfat_is_known_by_its_own_checksum, test_others_are_called_by_their_names,
      test_a_table_of_partitions_is_none_of_our_volumes, test_impossible_geometry_is_refused,
      test_few_bytes_say_nothing)
