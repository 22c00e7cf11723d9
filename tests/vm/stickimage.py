# SPDX-License-Identifier: MIT
"""
Sectors of sticks, in sparse files, made and read without root and without loop devices.

    volume = stickimage.make(path, "fat32", 64 << 20, table="gpt")     # one partition on a disk
    volume = stickimage.make(path, "exfat")                            # the whole disk, 64 MB
    volume.is_dirty(), volume.fsck(), volume.read("kwhmeter/a/m/2026-11-20.csv"), volume.files()

make_disk() puts several volumes on one disk. A volume is a part of a file; offset and size are in bytes.
"""

import binascii
import contextlib
import mmap
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import uuid

import exfat
import fat

MB = 1 << 20
SECTOR = 512
TOOLS = {"mkfs.vfat": "dosfstools", "mkfs.exfat": "exfatprogs", "mcopy": "mtools", "mke2fs": "e2fsprogs"}
MBR_TYPES = {"fat12": 0x01, "fat16": 0x06, "fat32": 0x0C, "exfat": 0x07, "ntfs": 0x07, "ext4": 0x83, "luks": 0x83,
             "blank": 0x83}
GPT_DATA = uuid.UUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7")
GPT_LINUX = uuid.UUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4")
EXFAT_FLAGS = 106       # VolumeFlags, bit 1: dirty
ENVIRONMENT = dict(os.environ, MTOOLS_SKIP_CHECK="1", MTOOLSRC="/dev/null", LC_ALL="C.UTF-8",
                   PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def missing():
    """What of TOOLS this machine lacks, as text; "" if nothing."""
    return ", ".join(f"{tool} (package {package})" for tool, package in TOOLS.items()
                     if not shutil.which(tool, path=ENVIRONMENT["PATH"]))


def run(*command, status=(0,), **options):
    options.setdefault("env", ENVIRONMENT)
    result = subprocess.run([str(part) for part in command], capture_output=True, check=False, **options)
    if status is not None and result.returncode not in status:
        raise AssertionError(f"{command}: {result.returncode}: {result.stdout + result.stderr}")
    return result


def copy_sparse(source, target, offset=0, start=0, size=None):
    """The data of a file into another, at an offset; holes stay holes."""
    with open(source, "rb") as reader, open(target, "r+b") as writer:
        end = start + size if size is not None else os.fstat(reader.fileno()).st_size
        position = start
        while position < end:
            try:
                position = os.lseek(reader.fileno(), position, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole until the end
                return
            hole = min(os.lseek(reader.fileno(), position, os.SEEK_HOLE), end)
            while position < hole:
                data = os.pread(reader.fileno(), min(MB, hole - position), position)
                os.pwrite(writer.fileno(), data, offset + position - start)
                position += len(data)


def allocate(path, size):
    """An empty sparse file."""
    with open(path, "wb") as file:
        file.truncate(size)


def copy(source, target):
    """The whole file."""
    allocate(target, os.path.getsize(source))
    copy_sparse(source, target)


# --- file systems ---

def format_volume(path, kind, label="STICK", cluster_size=None, serial=None):
    """
    kind: fat12, fat16, fat32, exfat, ext4, ntfs and luks (their first sectors, no more), blank.
    serial: 8 hex digits, the volume's id (FAT and exFAT).
    """
    if kind.startswith("fat"):
        run("mkfs.vfat", "-F", kind[3:], "-n", label, *(["-s", cluster_size // SECTOR] if cluster_size else []),
            *(["-i", serial] if serial else []), path)
    elif kind == "exfat":
        run("mkfs.exfat", "-L", label, *(["-c", str(cluster_size)] if cluster_size else []), path)
        if serial:
            set_exfat_serial(path, int(serial, 16))
    elif kind == "ext4":
        run("mke2fs", "-q", "-F", "-t", "ext4", "-L", label, path)
    elif kind == "ntfs":
        write_at(path, 0, ntfs_sector(os.path.getsize(path)))
        record = b"FILE".ljust(20, b"\0") + struct.pack("<H", 56)  # of the master file table: no attribute
        for number in range(4):
            write_at(path, 4 * 4096 + number * 1024, record.ljust(56, b"\0") + b"\xff" * 4)
    elif kind == "luks":
        write_at(path, 0, b"LUKS\xba\xbe\0\2" + bytes(504))
    else:
        assert kind == "blank", kind


def write_at(path, offset, data):
    with open(path, "r+b") as file:
        os.pwrite(file.fileno(), data, offset)


def read_at(path, offset, size):
    with open(path, "rb") as file:
        return os.pread(file.fileno(), size, offset)


def ntfs_sector(size):
    """The boot sector of an NTFS volume (Microsoft, "How NTFS Works": BPB, extended BPB)."""
    sector = bytearray(SECTOR)
    sector[0:11] = b"\xebR\x90NTFS    "
    struct.pack_into("<HB", sector, 11, SECTOR, 8)
    sector[21] = 0xF8
    struct.pack_into("<QQQ", sector, 40, size // SECTOR - 1, 4, 2)
    struct.pack_into("<bxxxbxxxQ", sector, 64, -10, 1, 0x1122334455667788)
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def exfat_checksum(data):
    """Of the eleven sectors of a boot region (exFAT specification 3.4), the two flags and the percentage left out."""
    total = 0
    for index, byte in enumerate(data):
        if index not in (106, 107, 112):
            total = (total >> 1 | (total & 1) << 31) + byte & 0xFFFFFFFF
    return total


def set_exfat_serial(path, serial):
    """VolumeSerialNumber, in both boot regions."""
    for region in (0, 12):
        size = 1 << read_at(path, 108, 1)[0]
        data = bytearray(read_at(path, region * size, 11 * size))
        struct.pack_into("<I", data, 100, serial)
        write_at(path, region * size, bytes(data) + struct.pack("<I", exfat_checksum(data)) * (size // 4))


# --- partition tables ---

def write_mbr(path, parts):
    """parts: [(type, first sector, sectors)], four at most."""
    sector = bytearray(SECTOR)
    struct.pack_into("<I", sector, 440, 0x4D455445)
    for index, (kind, first, count) in enumerate(parts):
        struct.pack_into("<B3sB3sII", sector, 446 + 16 * index, 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", first, count)
    sector[510:512] = b"\x55\xaa"
    write_at(path, 0, bytes(sector))


def write_gpt(path, parts):
    """parts: [(type uuid, first sector, sectors)] (UEFI specification 2.10, 5.3)."""
    sectors = os.path.getsize(path) // SECTOR
    entries = bytearray(128 * 128)
    for index, (kind, first, count) in enumerate(parts):
        name = f"part{index + 1}".encode("utf-16-le")
        struct.pack_into("<16s16sQQQ72s", entries, 128 * index, kind.bytes_le,
                         uuid.uuid5(GPT_DATA, f"part{index}").bytes_le, first, first + count - 1, 0, name)
    write_mbr(path, [(0xEE, 1, min(sectors - 1, 0xFFFFFFFF))])
    disk = uuid.uuid5(GPT_DATA, "disk").bytes_le

    def header(mine, other, table):
        def pack(crc):
            return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, mine, other, 34, sectors - 34,
                               disk, table, 128, 128, binascii.crc32(entries))
        return pack(binascii.crc32(pack(0)))
    write_at(path, SECTOR, header(1, sectors - 1, 2))
    write_at(path, 2 * SECTOR, bytes(entries))
    write_at(path, (sectors - 33) * SECTOR, bytes(entries))
    write_at(path, (sectors - 1) * SECTOR, header(sectors - 1, 1, sectors - 33))


# --- disks ---

def make(path, kind="fat32", size=64 * MB, table=None, **options):
    """A disk with one volume: the whole of it, or a partition in an MBR or GPT. Returns the Volume."""
    if table is None:
        allocate(path, size)
        format_volume(path, kind, **options)
        return Volume(path, kind, 0, size)
    return make_disk(path, [(kind, size - 2 * MB)], table, [options])[0]


def make_disk(path, volumes, table="mbr", options=()):
    """volumes: [(kind, bytes)], each a partition from a full MB on. Returns a Volume each."""
    allocate(path, sum(-(-size // MB) * MB for _, size in volumes) + 2 * MB)
    offset, parts, result = MB, [], []
    for index, (kind, size) in enumerate(volumes):
        with tempfile.TemporaryDirectory() as directory:
            part = pathlib.Path(directory) / "part"
            allocate(part, size)
            format_volume(part, kind, **(options[index] if index < len(options) else {}))
            copy_sparse(part, path, offset)
        parts.append((kind, offset // SECTOR, size // SECTOR))
        result.append(Volume(path, kind, offset, size))
        offset += -(-size // MB) * MB
    if table == "gpt":
        write_gpt(path, [(GPT_DATA if MBR_TYPES[kind] < 0x80 else GPT_LINUX, first, count)
                         for kind, first, count in parts])
    else:
        write_mbr(path, [(MBR_TYPES[kind], first, count) for kind, first, count in parts])
    return result


class Volume:
    """A file system on a disk."""

    def __init__(self, path, kind, offset, size):
        self.path, self.kind, self.offset, self.size = pathlib.Path(path), kind, offset, size

    def write_at(self, offset, data):
        write_at(self.path, self.offset + offset, data)

    def read_at(self, offset, size):
        return read_at(self.path, self.offset + offset, size)

    def is_dirty(self):
        """The flag that the kernel sets while it is mounted, and clears when it is unmounted."""
        return bool(self._flag()[1] & self._flag()[2])

    def set_dirty(self, dirty=True):
        offset, byte, bit = self._flag()
        self.write_at(offset, bytes((byte | bit if dirty else byte & ~bit,)))

    def _flag(self):
        offset, bit = {"fat32": (65, 1), "fat16": (37, 1), "fat12": (37, 1), "exfat": (EXFAT_FLAGS, 2)}[self.kind]
        return offset, self.read_at(offset, 1)[0], bit

    def id(self):
        """As udev names it in ID_FS_UUID."""
        offset = {"fat32": 67, "fat16": 39, "fat12": 39, "exfat": 100}[self.kind]
        serial = struct.unpack("<I", self.read_at(offset, 4))[0]
        return f"{serial >> 16:04X}-{serial & 0xFFFF:04X}"

    def extract(self, target):
        """The volume alone, in a file of its own."""
        allocate(target, self.size)
        copy_sparse(self.path, target, 0, self.offset, self.size)

    def fsck(self):
        """(status, what it says) of fsck -n; nothing is changed. Of exFAT it may say clean although is_dirty()."""
        with tempfile.TemporaryDirectory() as directory:
            path = self.path
            if self.offset:
                path = pathlib.Path(directory) / "volume"
                self.extract(path)
            tool = "fsck.exfat" if self.kind == "exfat" else "fsck.fat"
            result = run(tool, "-n", path, status=None)
            return result.returncode, (result.stdout + result.stderr).decode(errors="replace")

    # --- files ---

    @contextlib.contextmanager
    def opened(self):
        """A fat.Volume or exfat.Volume of it as it is now."""
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
            yield (exfat if self.kind == "exfat" else fat).Volume(image, self.offset)

    def files(self, folder="kwhmeter"):
        """{path: bytes} of all files below a folder ("": of all)."""
        with self.opened() as volume:
            return {path: volume.content(entry) for path, entry in volume.entries().items()
                    if not entry.is_folder and (not folder or path.startswith(folder + "/"))}

    def read(self, name):
        """One file's bytes."""
        with self.opened() as volume:
            return volume.read(name)

    def problems(self):
        """What is wrong with it, a line each: fsck -n, the dirty flag, and our own reader's look at chains."""
        status, said = self.fsck()
        found = [] if status == 0 else [f"fsck: {status}: {said}"]
        with self.opened() as volume:
            found += ["dirty"] if volume.dirty else []
            return found + volume.check()

    def _mtools(self, tool, *arguments, **options):
        return run(tool, "-i", f"{self.path}@@{self.offset}", *arguments, **options)

    def put(self, name, content):
        """A file into a FAT volume, with the folders that it stands in."""
        parts = pathlib.PurePosixPath(name).parts
        for depth in range(1, len(parts)):
            self._mtools("mmd", "-D", "s", "::/" + "/".join(parts[:depth]), status=None)
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self._mtools("mcopy", "-o", file.name, f"::/{name}")
