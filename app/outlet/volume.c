/* SPDX-License-Identifier: MIT */

#include "app/outlet/volume.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SECTOR          512
#define SIGNATURE_AT    510
#define DIRTY_FAT       0x01  // bit 0 of the boot sector's state: FAT32 byte 65, else 37
#define DIRTY_EXFAT     0x02  // bit 1 of VolumeFlags
#define EXFAT_SECTORS   12    // of the boot region, the last one its checksum
#define PARTITION_AT    446
#define PARTITION_SIZE  16
#define PARTITIONS      4

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t) (at[0] | at[1] << 8);
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) | (uint32_t) get16(at + 2) << 16;
}

static uint64_t get64(const uint8_t *at)
{
    return get32(at) | (uint64_t) get32(at + 4) << 32;
}

static bool is_power_of_2(uint32_t number)
{
    return number > 0 && (number & (number - 1)) == 0;
}

static void set_id(struct volume *volume, uint32_t serial)
{
    (void) snprintf(volume->id, sizeof(volume->id), "%04" PRIX32 "-%04" PRIX32, serial >> 16, serial & 0xFFFF);
}

/* The geometry as the kernel wants it, and that it is possible. */
static bool look_at_fat_boot(const uint8_t *boot, struct volume *ret)
{
    struct volume volume = { .kind = VOLUME_FAT };
    uint32_t sector_size = get16(boot + 11), per_cluster = boot[13], reserved = get16(boot + 14), fats = boot[16];
    uint32_t root_entries = get16(boot + 17), fat_sectors = get16(boot + 22);
    uint64_t sectors = get16(boot + 19) ? get16(boot + 19) : get32(boot + 32);
    uint64_t data, clusters;
    bool is_32 = fat_sectors == 0;
    const uint8_t *extended = is_32 ? boot + 64 : boot + 36;  // drive number, state, 0x29, serial

    if ((boot[0] != 0xEB && boot[0] != 0xE9) || get16(boot + SIGNATURE_AT) != 0xAA55 ||
        (boot[21] < 0xF8 && boot[21] != 0xF0)) {
        return false;
    }
    if (is_32) {
        fat_sectors = get32(boot + 36);
    }
    if (!is_power_of_2(sector_size) || sector_size < 512 || sector_size > 4096 || !is_power_of_2(per_cluster) ||
        reserved == 0 || fats == 0 || fats > 2 || fat_sectors == 0 || (!is_32 && root_entries == 0)) {
        return false;
    }

    data = reserved + (uint64_t) fats * fat_sectors + (root_entries * 32ull + sector_size - 1) / sector_size;
    if (sectors <= data) {
        return false;
    }
    clusters = (sectors - data) / per_cluster;
    volume.fat_bits = is_32 ? 32 : clusters < 4085 ? 12 : 16;
    if (clusters == 0 || clusters > 0x0FFFFFF5 || (!is_32 && clusters >= 65525) ||
        (clusters + 2) * volume.fat_bits > (uint64_t) fat_sectors * sector_size * 8) {
        return false;
    }

    volume.size_bytes = sectors * sector_size;
    volume.cluster_size = per_cluster * sector_size;
    volume.cluster_count = (uint32_t) clusters;
    volume.dirty = extended[1] & DIRTY_FAT;
    if (extended[2] == 0x29 || extended[2] == 0x28) {
        set_id(&volume, get32(extended + 3));
    }
    if (volume.fat_bits > 12) {
        volume.fat_offset = (uint64_t) reserved * sector_size;
    }
    if (is_32 && get16(boot + 48) > 0 && get16(boot + 48) < reserved) {
        volume.info_offset = (uint64_t) get16(boot + 48) * sector_size;
    }
    *ret = volume;
    return true;
}

/* Of the first eleven sectors without the three bytes that change; as far as the bytes are there to tell. */
static bool is_exfat_checksum_wrong(const uint8_t *bytes, size_t size, uint32_t sector_size)
{
    uint32_t sum = 0;

    if (size < (size_t) EXFAT_SECTORS * sector_size) {
        return false;
    }
    for (size_t i = 0; i < (size_t) (EXFAT_SECTORS - 1) * sector_size; i++) {
        if (i != 106 && i != 107 && i != 112) {
            sum = (sum << 31 | sum >> 1) + bytes[i];
        }
    }
    return get32(bytes + (size_t) (EXFAT_SECTORS - 1) * sector_size) != sum;
}

static void look_at_exfat_boot(const uint8_t *boot, size_t size, struct volume *ret)
{
    struct volume volume = { .kind = VOLUME_EXFAT, .failing = true };
    unsigned sector_shift = boot[108], cluster_shift = boot[109];
    uint64_t sectors = get64(boot + 72);
    uint32_t fat = get32(boot + 80), fat_sectors = get32(boot + 84), heap = get32(boot + 88);
    uint32_t clusters = get32(boot + 92);

    set_id(&volume, get32(boot + 100));
    volume.dirty = boot[106] & DIRTY_EXFAT;
    *ret = volume;
    if (get16(boot + SIGNATURE_AT) != 0xAA55 || sector_shift < 9 || sector_shift > 12 ||
        cluster_shift > 25 - sector_shift || (boot[110] != 1 && boot[110] != 2) || sectors >> (63 - sector_shift) ||
        fat < 24 || heap < (uint64_t) fat + (uint64_t) fat_sectors * boot[110] || clusters == 0 ||
        heap + ((uint64_t) clusters << cluster_shift) > sectors ||
        clusters + 2ull > (uint64_t) fat_sectors << (sector_shift - 2)) {
        return;
    }

    volume.failing = is_exfat_checksum_wrong(boot, size, 1u << sector_shift);
    volume.size_bytes = sectors << sector_shift;
    volume.cluster_size = 1u << (sector_shift + cluster_shift);
    volume.cluster_count = clusters;
    *ret = volume;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i]) {
            return false;
        }
    }
    return true;
}

/* A table of partitions: each entry is one or empty, and not all are. */
static bool is_table(const uint8_t *bytes)
{
    unsigned used = 0;

    if (get16(bytes + SIGNATURE_AT) != 0xAA55) {
        return false;
    }
    for (unsigned i = 0; i < PARTITIONS; i++) {
        const uint8_t *entry = bytes + PARTITION_AT + (size_t) i * PARTITION_SIZE;

        if (entry[0] & 0x7F) {
            return false;
        }
        used += entry[4] != 0 && get32(entry + 12) != 0;
    }
    return used > 0;
}

/* Those that we only name. */
static const struct {
    enum volume_kind kind;
    size_t offset;
    const char *magic;
    size_t magic_size;
} magics[] = {
    { VOLUME_NTFS,      3,          "NTFS    ",          8 },
    { VOLUME_BITLOCKER, 3,          "-FVE-FS-",          8 },
    { VOLUME_LUKS,      0,          "LUKS\xBA\xBE",      6 },
    { VOLUME_XFS,       0,          "XFSB",              4 },
    { VOLUME_BTRFS,     65536 + 64, "_BHRfS_M",          8 },
    { VOLUME_F2FS,      1024,       "\x10\x20\xF5\xF2",  4 },
    { VOLUME_EXT,       1024 + 56,  "\x53\xEF",          2 },
    { VOLUME_ISO9660,   32768 + 1,  "CD001",             5 },  // before its table, which a stick of it has as well
    { VOLUME_TABLE,     512,        "EFI PART",          8 },
    { VOLUME_TABLE,     4096,       "EFI PART",          8 },
};

void volume_look(const void *data, size_t size, struct volume *ret)
{
    const uint8_t *bytes = data;

    *ret = (struct volume){};
    if (size < SECTOR) {
        return;
    }
    if (memcmp(bytes + 3, "EXFAT   ", 8) == 0) {
        look_at_exfat_boot(bytes, size, ret);
        return;
    }
    if (memcmp(bytes + 3, "NTFS    ", 8) != 0 && memcmp(bytes + 3, "-FVE-FS-", 8) != 0 &&
        look_at_fat_boot(bytes, ret)) {
        return;
    }

    for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
        if (size >= magics[i].offset + magics[i].magic_size &&
            memcmp(bytes + magics[i].offset, magics[i].magic, magics[i].magic_size) == 0) {
            ret->kind = magics[i].kind;
            return;
        }
    }
    if (is_table(bytes)) {
        ret->kind = VOLUME_TABLE;
    } else if (is_zero(bytes, size)) {
        ret->kind = VOLUME_BLANK;
    }
}

void volume_look_at_fat(struct volume *volume, const uint8_t entries[static VOLUME_ENTRY_SIZE])
{
    if (volume->fat_bits == 32) {
        volume->dirty |= (get32(entries + 4) & 0x0C000000) != 0x0C000000;
    } else if (volume->fat_bits == 16) {
        volume->dirty |= (get16(entries + 2) & 0xC000) != 0xC000;
    }
}

void volume_look_at_info(struct volume *volume, const uint8_t info[static VOLUME_INFO_SIZE])
{
    uint32_t free_clusters = get32(info + 488);

    if (volume->fat_bits == 32 && get32(info) == 0x41615252 && get32(info + 484) == 0x61417272 &&
        free_clusters <= volume->cluster_count) {
        volume->free_known = true;
        volume->free_bytes = (uint64_t) free_clusters * volume->cluster_size;
    }
}

const char *volume_kind_name(enum volume_kind kind)
{
    switch (kind) {
    case VOLUME_UNKNOWN:
        return "unknown content";
    case VOLUME_BLANK:
        return "not formatted";
    case VOLUME_FAT:
        return "FAT";
    case VOLUME_EXFAT:
        return "exFAT";
    case VOLUME_NTFS:
        return "NTFS";
    case VOLUME_BITLOCKER:
        return "BitLocker";
    case VOLUME_LUKS:
        return "LUKS";
    case VOLUME_EXT:
        return "ext2, ext3 or ext4";
    case VOLUME_BTRFS:
        return "Btrfs";
    case VOLUME_XFS:
        return "XFS";
    case VOLUME_F2FS:
        return "F2FS";
    case VOLUME_ISO9660:
        return "ISO 9660";
    case VOLUME_TABLE:
        return "a disk with partitions";
    }

    return "unknown content";
}
