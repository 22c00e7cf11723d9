/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which block devices are sticks, as the kernel tells in /sys/class/block, /proc/self/mountinfo and /proc/swaps.
 *
 * A stick is a SCSI disk ("sdb") that hangs on USB, by its place in the tree of devices and not by its name. Its
 * volumes are its partitions, MBR or GPT, or the disk itself where there are none. Whatever is on mmc, NVMe, SATA or
 * virtio is none, and neither is a disk that the system runs from: one of which any part carries a mounted file system
 * or swap, be it through device mapper, md or loop. What a person mounted below /media, /run/media or /mnt is a stick
 * that is in use. A card reader without a card has no size and no volumes.
 */

#include "app/base/macros.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_NAME_SIZE   32   // the kernel's DISK_NAME_LEN
#define BLOCK_VOLUMES_MAX 32   // sixteen sticks of two partitions: nobody has as many sockets

struct block_volume {
    char node[BLOCK_NAME_SIZE + 8];  // "/dev/sdb1"
    char disk[BLOCK_NAME_SIZE];      // "sdb"
    unsigned partition;              // 0: the whole disk
    unsigned major, minor;
    uint64_t size_bytes;             // of the volume, never 0
    uint64_t sequence;               // another whenever the disk or its medium is; 0: the kernel (< 5.15) cannot tell
    bool read_only;                  // write-protected
    bool settled;                    // udev has done with it, so permissions are right; never where no udev runs
    bool awaits_udev;                // it runs, and has not
    char port[24];                   // "1-1.2": bus 1, socket 1, socket 2 of the hub there
    unsigned unit;                   // which slot of a card reader with several
    char serial[64];                 // what the stick says it is; "" or the same for all of a cheap kind
    char used_at[128];               // where a person mounted any part of the disk, "" if nobody did
};

/*
 * All volumes of all sticks that are in, by disk and partition; ret has room for BLOCK_VOLUMES_MAX. Returns how many.
 *
 * root  "" ; a test has a tree of its own
 * ours  a folder whose mounts are no hindrance, since we made them; NULL: none
 *
 * Errors: -ENOMEM, and those of reading /proc/self/mountinfo: who cannot know what is mounted finds no stick
 */
int block_list(const char *root, const char *ours, struct block_volume *ret) MUST_CHECK;

/*
 * Whether a USB device with that serial number is in that socket, be its disk there or not: the kernel takes a second
 * from the one to the other (usb-storage, delay_use). root as above.
 */
bool block_is_plugged(const char *root, const char *port, const char *serial);
