/* SPDX-License-Identifier: MIT */
// link: ms_board

/* Which block devices are sticks: fault 36 of reliability.md, as far as the kernel tells. */

#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/text.h"
#include "board/block_private.h"

#include <errno.h>
#include <sys/stat.h>

#define USB    "pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0"
#define HUB    "pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/2-1.4.3/2-1.4.3:1.0/host7/target7:0:0/7:0:0:1"
#define PI4    "platform/scb/fd500000.pcie/pci0000:00/0000:01:00.0/usb2/2-2/2-2:1.0/host0/target0:0:0/0:0:0:0"
#define SATA   "pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0"
#define NVME   "pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0"
#define VIRTIO "pci0000:00/0000:00:03.0/virtio1"
#define MMC    "platform/emmc2bus/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa"

/* --- paths --- */

static const struct {
    const char *path, *disk;  // NULL: no stick
    unsigned partition;
    const char *port;
    unsigned unit;
} paths[] = {
    { "devices/" USB "/block/sda", "sda", 0, "1-1", 0 },
    { "devices/" USB "/block/sda/sda4", "sda", 4, "1-1", 0 },
    { "devices/" USB "/block/sdab/sdab12", "sdab", 12, "1-1", 0 },
    { "devices/" HUB "/block/sdb/sdb1", "sdb", 1, "2-1.4.3", 1 },
    { "devices/" PI4 "/block/sda/sda1", "sda", 1, "2-2", 0 },
    { "devices/platform/dummy_hcd.0/usb5/5-1/5-1:1.0/host8/target8:0:0/8:0:0:0/block/sdc", "sdc", 0, "5-1", 0 },
    { "devices/" USB "/block/sr0", NULL },
    { "devices/" SATA "/block/sda/sda1", NULL },
    { "devices/" NVME "/nvme0n1/nvme0n1p1", NULL },
    { "devices/" VIRTIO "/block/vda/vda1", NULL },
    { "devices/" MMC "/block/mmcblk0/mmcblk0p1", NULL },
    { "devices/virtual/block/loop0", NULL },
    { "devices/virtual/block/dm-0", NULL },
    { "devices/pci0000:00/usb1/1-1/block/sda", NULL },
    { "devices/" USB "/block/sda/sdb1", NULL },
    { "devices/" USB "/block/", NULL },
    { "devices/" USB "/block", NULL },
    { "devices/pci/usb1/1-11111111111111111111111111111111111111:1.0/host6/target6:0:0/6:0:0:0/block/sda", NULL },
    { "", NULL },
};

static void test_a_path_tells_whether_it_is_a_disk_on_usb(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct block_place place;

        print_message("%s\n", paths[i].path);
        CHECK_EQ(block_parse_path(paths[i].path, &place), paths[i].disk != NULL);
        if (paths[i].disk) {
            CHECK_STR(place.disk, paths[i].disk);
            CHECK_EQ(place.partition, paths[i].partition);
            CHECK_STR(place.port, paths[i].port);
            CHECK_EQ(place.unit, paths[i].unit);
        }
    }
}

/* --- a tree in place of "/" --- */

static char root[64];

static void put(const char *path, const char *content)
{
    char whole[600], directory[600];

    CHECK_EQ(file_path(whole, sizeof(whole), root, path), 0);
    CHECK_EQ(text_copy(directory, sizeof(directory), whole), 0);
    *strrchr(directory, '/') = '\0';
    CHECK_EQ(file_make_directories(directory, 0755), 0);
    CHECK_EQ(file_replace(whole, content, strlen(content), 0644, false), 0);
}

static void put_in(const char *directory, const char *name, const char *content)
{
    char path[500];

    (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
    put(path, content);
}

static void begin(void)
{
    (void) snprintf(root, sizeof(root), "/tmp/meterstick-block-XXXXXX");
    CHECK(mkdtemp(root));
    put("proc/self/mountinfo", "21 1 254:1 / / rw - ext4 /dev/vda1 rw\n22 21 0:5 / /dev rw - devtmpfs udev rw\n");
    put("proc/swaps", "Filename\t\t\t\tType\t\tSize\n");
    put("sys/class/block/x", "");  // the folder, and no link
}

static void end(void)
{
    char command[128];

    (void) snprintf(command, sizeof(command), "rm -rf %s", root);
    CHECK_EQ(system(command), 0);
}

/* A disk or partition with so many sectors: below sys/devices, as the kernel names it. */
static void add(const char *place, const char *number, uint64_t sectors)
{
    char directory[400], target[500], link[600], text[32];

    (void) snprintf(directory, sizeof(directory), "sys/devices/%s", place);
    put_in(directory, "dev", number);
    (void) snprintf(text, sizeof(text), "%llu\n", (unsigned long long) sectors);
    put_in(directory, "size", text);
    put_in(directory, "ro", "0\n");
    (void) snprintf(link, sizeof(link), "%s/sys/class/block%s", root, strrchr(place, '/'));
    (void) snprintf(target, sizeof(target), "../../devices/%s", place);
    CHECK_EQ(symlink(target, link), 0);
}

/* "node disk partition port unit bytes serial ro settled used_at", a line each. */
static const char *listed(void)
{
    static char lines[4096];
    struct block_volume volumes[BLOCK_VOLUMES_MAX];
    int count = block_list(root, "/run/meterstick/sticks", volumes);
    size_t size = 0;

    CHECK(count >= 0);
    lines[0] = '\0';
    for (int i = 0; i < count; i++) {
        const struct block_volume *v = &volumes[i];

        size += (size_t) snprintf(lines + size, sizeof(lines) - size, "%s %s %u %s %u %llu [%s]%s%s%s%s\n", v->node,
                                  v->disk, v->partition, v->port, v->unit, (unsigned long long) v->size_bytes,
                                  v->serial, v->read_only ? " ro" : "",
                                  v->settled ? " settled" : v->awaits_udev ? " awaited" : "",
                                  *v->used_at ? " " : "", v->used_at);
    }
    return lines;
}

static void test_partitions_are_the_volumes_of_a_stick(void)
{
    begin();
    add(USB "/block/sda", "8:0", 31266816);
    add(USB "/block/sda/sda1", "8:1", 31264768);
    put("sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/serial", "4C530001\n");
    put("sys/devices/" USB "/block/sda/diskseq", "17\n");
    CHECK_STR(listed(), "/dev/sda1 sda 1 1-1 0 16007561216 [4C530001]\n");
    put("run/udev/control", "");
    CHECK_STR(listed(), "/dev/sda1 sda 1 1-1 0 16007561216 [4C530001] awaited\n");
    put("run/udev/data/b8:1", "I:1\n");
    CHECK_STR(listed(), "/dev/sda1 sda 1 1-1 0 16007561216 [4C530001] settled\n");

    // an MBR with an extended partition, sda4, and what is in it; behind a hub, in the other slot of a card reader
    add(HUB "/block/sdb", "8:16", 4096000);
    add(HUB "/block/sdb/sdb1", "8:17", 1024000);
    add(HUB "/block/sdb/sdb2", "8:18", 1024000);
    add(HUB "/block/sdb/sdb3", "8:19", 1024000);
    add(HUB "/block/sdb/sdb4", "8:20", 2);
    add(HUB "/block/sdb/sdb10", "8:26", 1000000);
    add(HUB "/block/sdb/sdb5", "8:21", 1000000);
    put("sys/devices/" HUB "/block/sdb/ro", "1\n");
    CHECK_STR(listed(), "/dev/sda1 sda 1 1-1 0 16007561216 [4C530001] settled\n"
                        "/dev/sdb1 sdb 1 2-1.4.3 1 524288000 [] ro awaited\n"
                        "/dev/sdb2 sdb 2 2-1.4.3 1 524288000 [] ro awaited\n"
                        "/dev/sdb3 sdb 3 2-1.4.3 1 524288000 [] ro awaited\n"
                        "/dev/sdb5 sdb 5 2-1.4.3 1 512000000 [] ro awaited\n"
                        "/dev/sdb10 sdb 10 2-1.4.3 1 512000000 [] ro awaited\n");
    end();
}

static void test_a_disk_without_partitions_is_the_volume_itself(void)
{
    begin();
    CHECK_STR(listed(), "");
    add(PI4 "/block/sda", "8:0", 2048000);
    CHECK_STR(listed(), "/dev/sda sda 0 2-2 0 1048576000 []\n");
    add(PI4 "/block/sda/sda1", "8:1", 2);  // nothing but a container
    CHECK_STR(listed(), "/dev/sda sda 0 2-2 0 1048576000 []\n");
    end();
}

static void test_a_card_reader_without_a_card_is_no_stick(void)
{
    begin();
    add(USB "/block/sda", "8:0", 0);
    CHECK_STR(listed(), "");
    end();
}

static void test_other_disks_are_never_sticks(void)
{
    begin();
    add(SATA "/block/sda", "8:0", 4096000);
    add(SATA "/block/sda/sda1", "8:1", 4094000);
    add(NVME "/nvme0n1", "259:0", 4096000);
    add(VIRTIO "/block/vda", "254:0", 4096000);
    add(VIRTIO "/block/vda/vda1", "254:1", 4094000);
    add(MMC "/block/mmcblk0", "179:0", 4096000);
    add(MMC "/block/mmcblk0/mmcblk0p1", "179:1", 4094000);
    add("virtual/block/loop0", "7:0", 4096000);
    add(USB "/block/sr0", "11:0", 4096000);
    CHECK_STR(listed(), "");
    end();
}

/* --- what the system runs from --- */

static const struct {
    const char *mount, *swap, *expect;   // with sda1, sda2, sda3 on a stick
} uses[] = {
    { "30 1 8:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n", "", "" },
    { "30 1 8:1 / /boot/firmware rw shared:1 master:2 - vfat /dev/sda1 rw\n", "", "" },
    { "30 1 8:3 / /srv/data\\040of\\040us rw - ext4 /dev/sda3 rw\n", "", "" },
    { "30 1 0:45 /@ / rw - btrfs /dev/sda2 rw\n", "", "" },                // its number is no device's
    { "", "/dev/sda3                               partition\t2097148\t0\t-2\n", "" },
    { "30 1 8:2 / /media/pi rw - vfat /dev/sda2 rw\n31 1 8:2 /home /home rw - vfat /dev/sda2 rw\n", "", "" },
    { "30 1 8:2 / /media/pi/MY\\040STICK rw - vfat /dev/sda2 rw\n", "",
      "/dev/sda1 /media/pi/MY STICK\n/dev/sda2 /media/pi/MY STICK\n/dev/sda3 /media/pi/MY STICK\n" },
    { "30 1 8:1 / /media/pi/\\033[31m rw - vfat /dev/sda1 rw\n", "",
      "/dev/sda1 /media/pi/?[31m\n/dev/sda2 /media/pi/?[31m\n/dev/sda3 /media/pi/?[31m\n" },
    { "30 1 8:1 / /run/media/pi/A rw - vfat /dev/sda1 rw\n31 1 8:3 / /mnt rw - ext4 /dev/sda3 rw\n", "",
      "/dev/sda1 /run/media/pi/A\n/dev/sda2 /mnt\n/dev/sda3 /mnt\n" },
    { "30 1 8:1 / /run/meterstick/sticks/sda1 rw - vfat /proc/self/fd/7 rw\n", "",
      "/dev/sda1\n/dev/sda2\n/dev/sda3\n" },
    { "30 1 8:1 / /run/meterstick/sticks2 rw - vfat /dev/sda1 rw\n", "", "" },
    { "30 1 8:17 / /mnt2 rw - vfat /dev/sdb1 rw\n", "/swapfile file 1 0 -2\n", "/dev/sda1\n/dev/sda2\n/dev/sda3\n" },
    { "30\n31 1\n32 1 8:x / / rw - \n\n33 1 8", "", "/dev/sda1\n/dev/sda2\n/dev/sda3\n" },
};

static const char *nodes(void)
{
    static char lines[1024];
    struct block_volume volumes[BLOCK_VOLUMES_MAX];
    int count = block_list(root, "/run/meterstick/sticks", volumes);
    size_t size = 0;

    CHECK(count >= 0);
    lines[0] = '\0';
    for (int i = 0; i < count; i++) {
        size += (size_t) snprintf(lines + size, sizeof(lines) - size, "%s%s%s\n", volumes[i].node,
                                  *volumes[i].used_at ? " " : "", volumes[i].used_at);
    }
    return lines;
}

static void add_three(void)
{
    add(USB "/block/sda", "8:0", 4096000);
    add(USB "/block/sda/sda1", "8:1", 1024000);
    add(USB "/block/sda/sda2", "8:2", 1024000);
    add(USB "/block/sda/sda3", "8:3", 1024000);
}

static void test_a_disk_in_use_is_never_a_stick(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
        begin();
        add_three();
        put("proc/self/mountinfo", uses[i].mount);
        put("proc/swaps", uses[i].swap);
        print_message("%s%s", uses[i].mount, uses[i].swap);
        CHECK_STR(nodes(), uses[i].expect);
        end();
    }
}

/* LVM on LUKS on md on two sticks, one of them as a whole. */
static void add_stack(void)
{
    begin();
    add_three();
    add(HUB "/block/sdb", "8:16", 4096000);
    add("virtual/block/md0", "9:0", 1024000);
    add("virtual/block/dm-0", "253:0", 1024000);
    add("virtual/block/dm-1", "253:1", 1024000);
    put("sys/devices/virtual/block/md0/slaves/sda2", "");
    put("sys/devices/virtual/block/md0/slaves/sdb", "");
    put("sys/devices/virtual/block/dm-0/slaves/md0", "");
    put("sys/devices/virtual/block/dm-1/slaves/dm-0", "");
    put("sys/devices/virtual/block/dm-1/dm/name", "vg-root\n");
}

static void test_what_stands_on_a_disk_uses_it_at_any_depth(void)
{
    add_stack();
    CHECK_STR(nodes(), "/dev/sda1\n/dev/sda2\n/dev/sda3\n/dev/sdb\n");  // opened for itself by md: O_EXCL tells
    put("proc/self/mountinfo", "30 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw\n");
    CHECK_STR(nodes(), "");
    put("proc/self/mountinfo", "30 1 0:33 / /home rw - btrfs /dev/mapper/vg-root rw\n");
    CHECK_STR(nodes(), "");
    put("proc/self/mountinfo", "30 1 253:1 / /media/pi/A rw - ext4 /dev/mapper/vg-root rw\n");
    CHECK_STR(nodes(), "/dev/sda1 /media/pi/A\n/dev/sda2 /media/pi/A\n/dev/sda3 /media/pi/A\n/dev/sdb /media/pi/A\n");
    put("sys/devices/virtual/block/md0/slaves/dm-1", "");  // no kernel does so; and we do not hang
    put("proc/self/mountinfo", "30 1 253:1 / / rw - ext4 /dev/mapper/vg-root rw\n");
    CHECK_STR(nodes(), "");
    end();

    begin();
    add_three();
    add("virtual/block/loop3", "7:3", 1024000);
    put("sys/devices/virtual/block/loop3/loop/backing_file", "/dev/sda3\n");
    put("proc/self/mountinfo", "30 1 7:3 / / rw - squashfs /dev/loop3 ro\n");
    CHECK_STR(nodes(), "");
    end();
}

static void test_a_device_is_plugged_before_its_disk_is_there(void)
{
    begin();
    CHECK(!block_is_plugged(root, "1-1", ""));
    put("sys/bus/usb/devices/1-1/idVendor", "0951\n");
    CHECK(block_is_plugged(root, "1-1", ""));
    CHECK(!block_is_plugged(root, "1-1", "4C530001"));
    CHECK(!block_is_plugged(root, "1-1.1", ""));
    put("sys/bus/usb/devices/1-1/serial", "4C530001\n");
    CHECK(block_is_plugged(root, "1-1", "4C530001"));
    CHECK(!block_is_plugged(root, "1-1", ""));
    end();
}

static void test_who_cannot_know_what_is_mounted_finds_no_stick(void)
{
    struct block_volume volumes[BLOCK_VOLUMES_MAX];
    char path[128];

    begin();
    add_three();
    (void) snprintf(path, sizeof(path), "%s/proc/swaps", root);
    CHECK_EQ(unlink(path), 0);
    CHECK_STR(nodes(), "/dev/sda1\n/dev/sda2\n/dev/sda3\n");
    (void) snprintf(path, sizeof(path), "%s/proc/self/mountinfo", root);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(block_list(root, NULL, volumes), -ENOENT);
    end();
    CHECK_EQ(block_list(root, NULL, volumes), 0);  // not even a /sys
}

static void test_no_more_than_there_is_room_for(void)
{
    struct block_volume volumes[BLOCK_VOLUMES_MAX];
    char place[200], number[16];

    begin();
    add(USB "/block/sda", "8:0", 4096000);
    for (int i = 1; i < 100; i++) {
        (void) snprintf(place, sizeof(place), USB "/block/sda/sda%d", i);
        (void) snprintf(number, sizeof(number), "259:%d", i);
        add(place, number, 1000);
    }
    CHECK_EQ(block_list(root, NULL, volumes), BLOCK_VOLUMES_MAX);
    end();
}

TESTS(test_a_path_tells_whether_it_is_a_disk_on_usb, test_partitions_are_the_volumes_of_a_stick,
      test_a_disk_without_partitions_is_the_volume_itself, test_a_card_reader_without_a_card_is_no_stick,
      test_other_disks_are_never_sticks, test_a_disk_in_use_is_never_a_stick,
      test_what_stands_on_a_disk_uses_it_at_any_depth, test_a_device_is_plugged_before_its_disk_is_there,
      test_who_cannot_know_what_is_mounted_finds_no_stick, test_no_more_than_there_is_room_for)
