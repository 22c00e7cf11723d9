# SPDX-License-Identifier: MIT
"""
What stands on a FAT12, FAT16 or FAT32 volume, read from its sectors without the kernel and without fsck; and what
exfat.py has in common with that. For sticks whose power was cut: nothing here trusts a chain, a size or an entry, and
reading goes as far as there is something to read.

    volume = fat.Volume(image)             # bytes, mmap, or whatever gives bytes for image[a:b] and has a length
    volume.dirty, volume.entries()         # {path: Entry}, directories as well
    volume.read("kwhmeter/here/a.csv")     # no more bytes than its chain has; Entry.is_short says so
    volume.check()                         # what is wrong, a line each

Source of the format: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03.
"""

import array
import dataclasses
import struct

DEPTH_MAX = 16
FOLDER = 0x10
LABEL = 0x08
LONG_NAME = 0x0F


class NoVolume(ValueError):
    """There is no such file system."""


@dataclasses.dataclass
class Entry:
    path: str
    is_folder: bool
    size: int            # as the directory says; of a directory what its chain has
    clusters: list       # of its chain, as far as that is whole
    room: int            # bytes in these clusters
    end: str = ""        # why the chain ended, if not as it should
    valid: int = 0       # bytes that were written (exFAT; else the size)

    @property
    def is_short(self):
        """The directory promises bytes that no cluster has."""
        return self.size > self.room


class Tree:
    """A volume of either kind: a child sets image, offset, cluster_size, cluster_count, and has four methods."""

    def _cluster(self, number):
        """Where a cluster's bytes begin in the image."""
        raise NotImplementedError

    def _next(self, number):
        """What the FAT says of a cluster: 0 free, -1 the end, -2 bad, or the next."""
        raise NotImplementedError

    def _list(self, data, path):
        """The entries in a directory's bytes."""
        raise NotImplementedError

    def _roots(self):
        """Entries of what is no file but has clusters, the root directory first."""
        raise NotImplementedError

    def chain(self, first):
        """(clusters, why it ended before an end mark)"""
        clusters, seen, number = [], set(), first
        while True:
            if not 2 <= number < self.cluster_count + 2:
                return clusters, f"leads to cluster {number}"
            if number in seen:
                return clusters, "is a ring"
            following = self._next(number)
            if following == 0:
                return clusters, f"leads to the free cluster {number}"
            clusters.append(number)
            seen.add(number)
            if following == -1:
                return clusters, ""
            if following == -2:
                return clusters, "leads to a bad cluster"
            number = following

    def _bytes(self, clusters):
        """Their bytes; neighbours are read at once."""
        parts, at = [], 0
        while at < len(clusters):
            count = 1
            while at + count < len(clusters) and clusters[at + count] == clusters[at] + count:
                count += 1
            begin = self._cluster(clusters[at])
            parts.append(bytes(self.image[begin:begin + count * self.cluster_size]))
            at += count
        return b"".join(parts)

    def content(self, entry):
        data = self._bytes(entry.clusters)
        return data if entry.is_folder else data[:entry.size]

    def entries(self):
        return {entry.path: entry for entry in self.walk()}

    def walk(self):
        """All entries; two may have the same path if a directory is damaged."""
        waiting = [(self._roots()[0], 0)]
        seen = set()
        while waiting:
            folder, depth = waiting.pop(0)
            first = folder.clusters[0] if folder.clusters else None
            if depth > DEPTH_MAX or (first is not None and first in seen):
                continue
            seen.add(first)
            for entry in self._list(self.content(folder), folder.path + "/" if folder.path else ""):
                yield entry
                if entry.is_folder:
                    waiting.append((entry, depth + 1))

    def read(self, path):
        return self.content(self.entries()[path])

    def files(self):
        """{path: bytes} of all files."""
        return {path: self.content(entry) for path, entry in self.entries().items() if not entry.is_folder}

    def short(self):
        """The paths whose chain has less than their size: Linux answers EIO for them."""
        return [entry.path for entry in self.walk() if entry.is_short]

    def _problems(self, allocated):
        """What entries and chains say of one another; `allocated` are the clusters that are taken."""
        problems, owners, paths = [], {}, set()
        for entry in [*self._roots(), *self.walk()]:
            if entry.path in paths and entry.path:
                problems.append(f"double: {entry.path}")
            paths.add(entry.path)
            if entry.end and (entry.clusters or entry.size):
                problems.append(f"chain: {entry.path} {entry.end}")
            if entry.is_short:
                problems.append(f"short: {entry.path} has {entry.room} of {entry.size} bytes")
            if not entry.is_folder and entry.room - entry.size >= self.cluster_size:
                problems.append(f"long: {entry.path} has {entry.room} for {entry.size} bytes")
            for number in entry.clusters:
                if number in owners:
                    problems.append(f"cross: {entry.path} and {owners[number]} share cluster {number}")
                    break
                owners[number] = entry.path
        lost = allocated - owners.keys()
        if lost:
            problems.append(f"lost: {len(lost)} clusters")
        free = owners.keys() - allocated
        if free:
            problems.append(f"free: {len(free)} clusters of files")
        return problems


class Volume(Tree):
    def __init__(self, image, offset=0):
        boot = bytes(image[offset:offset + 512])
        if len(boot) < 512 or boot[510:512] != b"\x55\xaa" or boot[3:11] == b"EXFAT   ":
            raise NoVolume("no FAT boot sector")
        (sector, per_cluster, reserved, fats, roots, sectors16, _, fat16) = struct.unpack_from("<HBHBHHBH", boot, 11)
        sectors = sectors16 or struct.unpack_from("<I", boot, 32)[0]
        fat_sectors = fat16 or struct.unpack_from("<I", boot, 36)[0]
        if sector not in (512, 1024, 2048, 4096) or per_cluster == 0 or fats == 0 or fat_sectors == 0 or reserved == 0:
            raise NoVolume("no FAT parameters")

        self.image, self.offset = image, offset
        self.cluster_size = sector * per_cluster
        self._fat_at = [offset + (reserved + number * fat_sectors) * sector for number in range(fats)]
        self._fat_size = fat_sectors * sector
        self._root_at = offset + (reserved + fats * fat_sectors) * sector
        self._root_size = roots * 32
        self._data_at = self._root_at + (roots * 32 + sector - 1) // sector * sector
        self.cluster_count = (sectors * sector - (self._data_at - offset)) // self.cluster_size
        self.bits = 32 if fat16 == 0 else 12 if self.cluster_count < 4085 else 16
        self.kind = f"FAT{self.bits}"
        self._root_cluster = struct.unpack_from("<I", boot, 44)[0] if self.bits == 32 else 0
        self._boot = boot
        self.id = "%04X-%04X" % struct.unpack_from("<HH", boot, 67 if self.bits == 32 else 39)[::-1]

    @property
    def dirty(self):
        """What Linux goes by: bit 0 of the boot sector's byte."""
        return bool(self._boot[65 if self.bits == 32 else 37] & 1)

    @property
    def marked_clean(self):
        """What Windows goes by: the two bits in the FAT's second entry (always so on FAT12, which has none)."""
        if self.bits == 12:
            return True
        return self._raw(1) >> (26 if self.bits == 32 else 14) & 3 == 3

    def _raw(self, number, copy=0):
        at = self._fat_at[copy]
        if self.bits == 32:
            return int.from_bytes(self.image[at + 4 * number:at + 4 * number + 4], "little") & 0x0FFFFFFF
        if self.bits == 16:
            return int.from_bytes(self.image[at + 2 * number:at + 2 * number + 2], "little")
        pair = int.from_bytes(self.image[at + number * 3 // 2:at + number * 3 // 2 + 2], "little")
        return pair >> 4 if number & 1 else pair & 0xFFF

    def _next(self, number):
        value = self._raw(number)
        top = (1 << (28 if self.bits == 32 else self.bits)) - 1
        if value >= top - 7:
            return -1
        return -2 if value == top - 8 else value

    def _cluster(self, number):
        return self._data_at + (number - 2) * self.cluster_size

    def _roots(self):
        if self.bits == 32:
            clusters, end = self.chain(self._root_cluster)
            room = len(clusters) * self.cluster_size
            return [Entry("", True, room, clusters, room, end)]
        return [Entry("", True, self._root_size, [], self._root_size)]

    def content(self, entry):
        if entry.path == "" and self.bits != 32:
            return bytes(self.image[self._root_at:self._root_at + self._root_size])
        return super().content(entry)

    def _list(self, data, path):
        parts = {}
        for at in range(0, len(data) - 31, 32):
            raw = data[at:at + 32]
            if raw[0] == 0:
                return
            if raw[0] == 0xE5:
                parts = {}
                continue
            if raw[11] & 0x3F == LONG_NAME:
                if raw[0] & 0x40:
                    parts = {}
                parts[raw[0] & 0x1F] = (raw[13], raw[1:11] + raw[14:26] + raw[28:32])
                continue
            name = long_name(parts, raw[:11]) or short_name(raw)
            parts = {}
            if raw[11] & LABEL or name in (".", ".."):
                continue
            yield self._entry(raw, path + name)

    def _entry(self, raw, path):
        first = int.from_bytes(raw[26:28], "little")
        if self.bits == 32:
            first |= int.from_bytes(raw[20:22], "little") << 16 & 0x0FFF0000
        clusters, end = self.chain(first) if first else ([], "")
        room = len(clusters) * self.cluster_size
        is_folder = bool(raw[11] & FOLDER)
        size = room if is_folder else int.from_bytes(raw[28:32], "little")
        if is_folder and not clusters:
            end = end or "has no first cluster"
        return Entry(path, is_folder, size, clusters, room, end, size)

    def check(self):
        fats = [bytes(self.image[at:at + self._fat_size]) for at in self._fat_at]
        problems = [f"copy: FAT {number + 1} differs from the first"
                    for number, other in enumerate(fats) if other[8:] != fats[0][8:]]
        if self.bits == 12:
            allocated = {number for number in range(2, self.cluster_count + 2) if self._next(number) not in (0, -2)}
        else:
            width = self.bits // 8
            used = len(fats[0].rstrip(b"\0")) + width - 1  # most of it is free
            values = array.array("I" if self.bits == 32 else "H", fats[0][:used // width * width])
            bad = 0x0FFFFFF7 if self.bits == 32 else 0xFFF7
            allocated = {number for number, value in enumerate(values[:self.cluster_count + 2])
                         if value and number >= 2 and value & 0x0FFFFFFF not in (0, bad)}
        return problems + self._problems(allocated)


def checksum(short):
    """Of a short name, which its long name repeats."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7 | total >> 1) + byte & 0xFF
    return total


def long_name(parts, short):
    """From the entries before it; empty if they are not all there, or another's."""
    if not parts or sorted(parts) != list(range(1, len(parts) + 1)) or any(
            part[0] != checksum(short) for part in parts.values()):
        return ""
    text = b"".join(parts[number][1] for number in sorted(parts)).decode("utf-16-le", "replace")
    return text.partition("\0")[0]


def short_name(raw):
    base = (b"\xe5" + raw[1:8] if raw[0] == 5 else raw[:8]).decode("cp437").rstrip(" ")
    end = raw[8:11].decode("cp437").rstrip(" ")
    base = base.lower() if raw[12] & 0x08 else base
    end = end.lower() if raw[12] & 0x10 else end
    return f"{base}.{end}" if end else base
