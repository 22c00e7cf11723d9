/* SPDX-License-Identifier: MIT */
#pragma once

/* Between reading what the kernel says (block.c) and choosing the sticks among it (block_choose.c, pure). */

#include "board/block.h"

#define BLOCK_BELOW_MAX 8   // devices that one of device mapper or md stands on; more are no stick of anybody's

/* Any block device: a disk, a partition, a device of device mapper, md, loop... */
struct block_device {
    char name[BLOCK_NAME_SIZE];
    char alias[128];            // of device mapper, below /dev/mapper
    char path[256];             // in /sys: "devices/pci0000:00/.../block/sda/sda1"
    unsigned major, minor;
    uint64_t size_bytes, sequence;
    bool read_only, settled, awaits_udev;
    char serial[64];            // of what hangs on USB
    char below[BLOCK_BELOW_MAX][BLOCK_NAME_SIZE];  // the names of what it stands on
    unsigned below_count;
    // what block_choose() finds out:
    bool is_system;             // mounted or swap, itself or what stands on it
    char used_at[128];
};

/* What stands in the path of a disk or partition on USB. */
struct block_place {
    char disk[BLOCK_NAME_SIZE];
    unsigned partition;
    char port[24];
    unsigned unit;
    size_t usb_size;            // how much of the path leads to the USB device
};

/* Whether that path is one of a SCSI disk on USB, or a partition of one. */
bool block_parse_path(const char *path, struct block_place *ret);

/*
 * The volumes of the sticks among all devices, which it marks. swaps may be "": what is swapped to is held for itself
 * by the kernel as well. Returns how many.
 */
int block_choose(struct block_device *devices, size_t count, const char *mountinfo, const char *swaps,
                 const char *ours, struct block_volume *ret);
