# SPDX-License-Identifier: MIT
"""
What a guest wrote to a stick, write by write, and what may be on that stick if the power is cut at any of them.

QEMU's driver blklogwrites stands between the stick and its file and writes the log, in the format of the kernel's
dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst): a superblock, then for each request a header
of one sector {sector, sectors, flags, size of data} and the data.

    log = blocklog.Log("stick.log")
    image = blocklog.ordered(base, log, 17)                    # the first 17 requests, no other
    image = blocklog.reordered(base, log, 17, random.Random(1))

ordered: a stick that writes what it is sent, as it is sent. reordered: a stick with a cache of its own, which honours a
flush: of what came after the last flush each sector may be there or not; sectors are never half written.
"""

import struct

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
HEADER = struct.Struct("<QQQQ")


class Request:
    def __init__(self, sector, data, flags):
        self.sector, self.data, self.flags = sector, data, flags

    def sectors(self):
        """[(number, bytes)]"""
        return [(self.sector + at // SECTOR, self.data[at:at + SECTOR]) for at in range(0, len(self.data), SECTOR)]

    def __repr__(self):
        kinds = (FLUSH, " flush"), (FUA, " fua"), (DISCARD, " discard")
        names = "".join(name for bit, name in kinds if self.flags & bit)
        return f"{self.sector}+{len(self.data) // SECTOR}{names}"


class Log(list):
    """All requests of a log, in their order. Discards have no data: what stood there stays."""

    def __init__(self, path):
        super().__init__()
        with open(path, "rb") as file:
            magic, version, count, size = struct.unpack("<QQQI", file.read(28))
            if magic != MAGIC or version != 1:
                raise ValueError(f"{path}: no log of writes")
            at = size
            for _ in range(count):
                file.seek(at)
                sector, sectors, flags, length = HEADER.unpack(file.read(HEADER.size))
                at += size
                data = b""
                if not flags & DISCARD and sectors:
                    file.seek(at)
                    data = file.read(sectors * size)
                    at += sectors * size
                at += (length + size - 1) // size * size if flags & MARK else 0
                self.append(Request(sector * size // SECTOR, data, flags))


def count(path):
    """How many requests a log has by now, while it is written to."""
    with open(path, "rb") as file:
        return struct.unpack("<QQQI", file.read(28))[2]


class Image:
    """A base and changed sectors over it: image[a:b] are bytes. Thousands of them cost little."""

    def __init__(self, base, changed):
        self.base, self.changed = base, changed

    def __len__(self):
        return len(self.base)

    def __getitem__(self, part):
        begin, end, step = part.indices(len(self.base))
        if step != 1:
            raise IndexError("one after another")
        if end <= begin:
            return b""
        data = bytearray(self.base[begin:end])
        numbers = range(begin // SECTOR, (end - 1) // SECTOR + 1)
        for number in numbers if len(numbers) < len(self.changed) else [n for n in self.changed if n in numbers]:
            sector = self.changed.get(number)
            if sector:
                at = number * SECTOR
                low, high = max(at, begin), min(at + SECTOR, end)
                data[low - begin:high - begin] = sector[low - at:high - at]
        return bytes(data)

    def write_changes(self, path):
        """Onto a file that holds the base already."""
        with open(path, "r+b") as file:
            for number in sorted(self.changed):
                file.seek(number * SECTOR)
                file.write(self.changed[number])


class Durable:
    """What is on the stick for sure at each point of a log, to be asked in ascending order."""

    def __init__(self, log):
        self.log, self.sure, self.flushed = log, {}, 0

    def at(self, cut):
        """(sectors that are durable before request number `cut`, the first request that is not)"""
        if cut < self.flushed:
            self.sure, self.flushed = {}, 0
        last = max((number for number in range(self.flushed, cut) if self.log[number].flags & FLUSH), default=None)
        if last is not None:
            for request in self.log[self.flushed:last + 1]:
                self.sure.update(request.sectors())
            self.flushed = last + 1
        return dict(self.sure), self.flushed


def ordered(base, log, cut, durable=None):
    sectors, begin = (durable or Durable(log)).at(cut)
    for request in log[begin:cut]:
        sectors.update(request.sectors())
    return Image(base, sectors)


def reordered(base, log, cut, random, durable=None):
    """Also the request that is under way at the cut may have come through, in part."""
    sectors, begin = (durable or Durable(log)).at(cut)
    waiting = log[begin:cut + 1] if cut < len(log) and not log[cut].flags & FLUSH else log[begin:cut]
    whole, torn = random.choice(((0.5, 0), (0.9, 0), (0.1, 0), (0.4, 0.3), (0, 1)))
    for request in waiting:
        chance = random.random()
        if request.flags & FUA and request is not log[min(cut, len(log) - 1)] or chance < whole:
            sectors.update(request.sectors())
        elif chance < whole + torn:
            sectors.update(sector for sector in request.sectors() if random.random() < 0.5)
    return Image(base, sectors)
