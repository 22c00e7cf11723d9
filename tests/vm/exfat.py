# SPDX-License-Identifier: MIT
"""
What stands on an exFAT volume, read from its sectors without the kernel and without fsck: as fat.py, which see.

Source of the format: Microsoft, "exFAT file system specification", 1.00.
"""

import struct

from fat import Entry, FOLDER, NoVolume, Tree

BITMAP, UPCASE, FILE, STREAM, NAME = 0x81, 0x82, 0x85, 0xC0, 0xC1
NO_CHAIN = 2


class Volume(Tree):
    kind = "exFAT"

    def __init__(self, image, offset=0):
        boot = bytes(image[offset:offset + 512])
        if len(boot) < 512 or boot[3:11] != b"EXFAT   " or boot[510:512] != b"\x55\xaa":
            raise NoVolume("no exFAT boot sector")
        fat_at, fat_length, heap_at, count, root, serial = struct.unpack_from("<6I", boot, 80)
        self.cluster_count, self._root_cluster = count, root
        sector_shift, cluster_shift = boot[108], boot[109]
        if not 9 <= sector_shift <= 12 or cluster_shift > 25 - sector_shift:
            raise NoVolume("no exFAT parameters")
        self.image, self.offset = image, offset
        self.cluster_size = 1 << sector_shift + cluster_shift
        self._fat_at, self._fat_size = offset + (fat_at << sector_shift), fat_length << sector_shift
        self._heap_at = offset + (heap_at << sector_shift)
        self._flags = int.from_bytes(boot[106:108], "little")
        self.id = f"{serial >> 16:04X}-{serial & 0xFFFF:04X}"
        self.damaged_sets = []
        clusters, end = self.chain(self._root_cluster)
        room = len(clusters) * self.cluster_size
        self._root = Entry("", True, room, clusters, room, end)
        self._system = {kind: entry for kind, entry in self._system_entries()}

    @property
    def dirty(self):
        return bool(self._flags & 2)

    @property
    def marked_clean(self):
        """Neither dirty nor with an error of the medium."""
        return not self._flags & 6

    def _cluster(self, number):
        return self._heap_at + (number - 2) * self.cluster_size

    def _next(self, number):
        value = int.from_bytes(self.image[self._fat_at + 4 * number:self._fat_at + 4 * number + 4], "little")
        return {0xFFFFFFFF: -1, 0xFFFFFFF7: -2}.get(value, value)

    def _system_entries(self):
        data = self._bytes(self._root.clusters)
        for at in range(0, len(data) - 31, 32):
            raw = data[at:at + 32]
            if raw[0] == 0:
                return
            if raw[0] in (BITMAP, UPCASE):
                first, size = struct.unpack_from("<IQ", raw, 20)
                clusters, end = self.chain(first)
                room = len(clusters) * self.cluster_size
                yield raw[0], Entry(f"<{raw[0]:#x}>", False, size, clusters, room, end, size)

    def _roots(self):
        return [self._root, *self._system.values()]

    def _list(self, data, path):
        at = 0
        while at + 32 <= len(data):
            kind = data[at]
            if kind == 0:
                return
            count = 1 + data[at + 1] if kind == FILE else 1
            if kind == FILE:
                entry = self._entry(data[at:at + 32 * count], path)
                if entry:
                    yield entry
                else:
                    self.damaged_sets.append(f"{path} at {at}")
                    count = 1
            at += 32 * count

    def _entry(self, entries, path):
        """One file from its set of entries; None if the set is not whole."""
        if len(entries) < 96 or len(entries) % 32 or set_checksum(entries) != int.from_bytes(entries[2:4], "little"):
            return None
        stream = entries[32:64]
        if stream[0] != STREAM or any(entries[at] != NAME for at in range(64, len(entries), 32)):
            return None
        text = b"".join(entries[at + 2:at + 32] for at in range(64, len(entries), 32))
        name = text[:2 * stream[3]].decode("utf-16-le", "replace")
        valid, = struct.unpack_from("<Q", stream, 8)
        first, size = struct.unpack_from("<IQ", stream, 20)
        clusters, end = self._clusters(first, size, stream[1])
        is_folder = bool(int.from_bytes(entries[4:6], "little") & FOLDER)
        return Entry(path + name, is_folder, size, clusters, len(clusters) * self.cluster_size, end, valid)

    def _clusters(self, first, size, flags):
        if first == 0:
            return [], ""
        if not flags & NO_CHAIN:
            return self.chain(first)
        count = (size + self.cluster_size - 1) // self.cluster_size
        last = min(first + count, self.cluster_count + 2)
        return list(range(max(first, 2), last)), "" if first >= 2 and last == first + count else "leaves the volume"

    def check(self):
        self.damaged_sets = []
        allocated = set()
        bitmap = self.content(self._system[BITMAP]) if BITMAP in self._system else b""
        for number, byte in enumerate(bitmap[:(self.cluster_count + 7) // 8]):
            if byte:
                allocated.update(2 + 8 * number + bit for bit in range(8) if byte >> bit & 1)
        problems = self._problems(allocated)
        problems += [f"set: {where} is not whole" for where in dict.fromkeys(self.damaged_sets)]
        return problems if BITMAP in self._system else problems + ["no bitmap"]


def set_checksum(entries):
    """Of a file's entries, all bytes but those that hold it."""
    total = 0
    for at, byte in enumerate(entries):
        if at not in (2, 3):
            total = ((total & 1) << 15 | total >> 1) + byte & 0xFFFF
    return total
