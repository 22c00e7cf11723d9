/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the first bytes of a device say: which file system it carries, by which name, and whether it was left clean. All
 * pure. The bytes are anybody's: whatever they are, the answer is in range.
 *
 * Sources: Microsoft "FAT: General Overview of On-Disk Format" 1.03 and "exFAT file system specification"; what the
 * Linux kernel (fs/fat, fs/exfat) makes of them; magic numbers as in libblkid.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOLUME_ID_SIZE    16     // "1234-ABCD"
#define VOLUME_HEAD_SIZE  8192   // first bytes that tell FAT and exFAT, the boot checksum of the latter included
#define VOLUME_NAME_SIZE  69632  // first bytes that tell the names of all others (btrfs: 64 KiB and a bit)
#define VOLUME_ENTRY_SIZE 8      // two entries of a FAT
#define VOLUME_INFO_SIZE  512

enum volume_kind {
    VOLUME_UNKNOWN,
    VOLUME_BLANK,      // zeros
    VOLUME_FAT,        // 12, 16 or 32: what the kernel calls vfat
    VOLUME_EXFAT,
    VOLUME_NTFS,
    VOLUME_BITLOCKER,
    VOLUME_LUKS,
    VOLUME_EXT,
    VOLUME_BTRFS,
    VOLUME_XFS,
    VOLUME_F2FS,
    VOLUME_ISO9660,
    VOLUME_TABLE,      // MBR or GPT: a whole disk, whose partitions are looked at instead
};

struct volume {
    enum volume_kind kind;
    unsigned fat_bits;                    // 12, 16, 32; 0 for all but FAT
    char id[VOLUME_ID_SIZE];              // serial number as UUID; "" where there is none
    bool dirty;                           // mounted when it was last pulled: fsck goes first
    bool failing;                         // a damaged boot region: likewise
    uint64_t size_bytes;                  // as the volume itself says
    uint32_t cluster_size, cluster_count;
    uint64_t fat_offset;                  // of the VOLUME_ENTRY_SIZE bytes for volume_look_at_fat(), 0: not needed
    uint64_t info_offset;                 // of the VOLUME_INFO_SIZE bytes for volume_look_at_info(), 0: there are none
    bool free_known;
    uint64_t free_bytes;                  // about: what was true when it was written there
};

/* Look at the first bytes of a device, as many as there are: fewer than VOLUME_NAME_SIZE tell fewer names. */
void volume_look(const void *bytes, size_t size, struct volume *ret);

/* What Windows keeps in the FAT's second entry: not cleanly unmounted, or with read errors. */
void volume_look_at_fat(struct volume *volume, const uint8_t entries[static VOLUME_ENTRY_SIZE]);

/* FSInfo of a FAT32: its count of free clusters, if that can be. */
void volume_look_at_info(struct volume *volume, const uint8_t info[static VOLUME_INFO_SIZE]);

/* "FAT", "exFAT", "NTFS"... for people */
const char *volume_kind_name(enum volume_kind kind);
