# SPDX-License-Identifier: MIT
"""The readers that judge sticks after a power cut (fat.py, exfat.py), beside mtools, Linux and fsck."""

import os
import shutil
import struct
import subprocess
import tempfile
import unittest

import exfat
import fat
import harness
import rig

TOOLS = {"mkfs.vfat": "dosfstools", "fsck.fat": "dosfstools", "mkfs.exfat": "exfatprogs", "mcopy": "mtools"}
CSV = "kwhmeter/here/kitchen/2026-11-20.csv"
TREE = {"a.csv": b"x" * 10, "READ-ME.txt": b"", "UPPER.TXT": b"u", "a long name with spaces ä.txt": b"l" * 3000,
        CSV: bytes(range(256)) * 800}


def setUpModule():
    lacking = [f"{tool} (package {package})" for tool, package in TOOLS.items() if not shutil.which(tool, path=PATH)]
    if lacking:
        raise unittest.SkipTest("not here: " + ", ".join(lacking))


PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
ENVIRONMENT = dict(os.environ, PATH=PATH, LC_ALL="C.UTF-8")


def make(path, mebibytes, *command):
    with open(path, "wb") as file:
        file.truncate(mebibytes << 20)
    subprocess.run([*command, path], check=True, capture_output=True, env=ENVIRONMENT)
    return path


class Case(harness.Case):
    def make_fat(self, bits, mebibytes, *options):
        return make(self.directory / f"fat{bits}.img", mebibytes, "mkfs.vfat", "-F", str(bits), "-n", "STICK", *options)

    def mcopy(self, image):
        tree = self.directory / "tree"
        for name, content in TREE.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
        subprocess.run(["mcopy", "-s", "-i", image, *sorted(tree.iterdir()), "::"], check=True, env=ENVIRONMENT)
        return bytearray(image.read_bytes())

    def check_tree(self, volume, kind):
        self.assertEqual(volume.kind, kind)
        self.assertEqual(volume.files(), TREE)
        self.assertEqual(volume.read(CSV), TREE[CSV])
        self.assertEqual({path for path, entry in volume.entries().items() if entry.is_folder},
                         {"kwhmeter", "kwhmeter/here", "kwhmeter/here/kitchen"})
        self.assertEqual(volume.check(), [])
        self.assertEqual(volume.short(), [])
        self.assertFalse(volume.dirty)
        self.assertTrue(volume.marked_clean)


class Fat(Case):
    def test_what_mtools_wrote_is_read(self):
        for bits, mebibytes in (12, 2), (16, 16), (32, 34):
            image = self.make_fat(bits, mebibytes, "-s", "1" if bits == 32 else "4")
            self.check_tree(fat.Volume(self.mcopy(image)), f"FAT{bits}")

    def test_a_size_beyond_the_chain_gives_what_the_chain_has_and_is_told(self):
        image = self.mcopy(self.make_fat(32, 34, "-s", "1"))
        entry = fat.Volume(image).entries()[CSV]
        at = image.index(struct.pack("<H", entry.clusters[0] & 0xFFFF) + struct.pack("<I", entry.size))
        struct.pack_into("<I", image, at + 2, entry.size + 5000)
        volume = fat.Volume(image)
        self.assertEqual(volume.short(), [CSV])
        self.assertEqual(volume.read(CSV), TREE[CSV])
        self.assertIn(f"short: {CSV} has {entry.room} of {entry.size + 5000} bytes", volume.check())

    def test_broken_chains_are_found(self):
        whole = self.mcopy(self.make_fat(32, 34, "-s", "1"))
        volume = fat.Volume(whole)
        entry, other = volume.entries()[CSV], volume.entries()["a.csv"]
        fat_at = int.from_bytes(whole[14:16], "little") * 512
        copy_at = fat_at + int.from_bytes(whole[36:40], "little") * 512
        middle = entry.clusters[100]
        for value, expected, kept in ((0, "chain", 100), (0x0FFFFFFF, "lost: 299 clusters", 101),
                                      (other.clusters[0], "cross", 102), (entry.clusters[0], "chain", 101),
                                      (0x0FFFFFF7, "chain", 101)):
            image = bytearray(whole)
            for at in fat_at, copy_at:
                struct.pack_into("<I", image, at + 4 * middle, value)
            volume = fat.Volume(image)
            self.assertTrue(any(line.startswith(expected) for line in volume.check()), (expected, volume.check()))
            self.assertEqual(volume.read(CSV)[:51200], TREE[CSV][:51200])
            self.assertEqual(len(volume.entries()[CSV].clusters), kept)
        image = bytearray(whole)
        struct.pack_into("<I", image, copy_at + 4 * middle, 0)
        self.assertEqual(fat.Volume(image).check(), ["copy: FAT 2 differs from the first"])

    def test_dirty_bits(self):
        for bits, mebibytes, byte in (16, 16, 37), (32, 34, 65):
            image = bytearray(self.make_fat(bits, mebibytes).read_bytes())
            self.assertFalse(fat.Volume(image).dirty)
            image[byte] |= 1
            self.assertTrue(fat.Volume(image).dirty)
        for at in range(0, len(image), 997):  # whatever stands there
            image[at] ^= 0x5A
        try:
            fat.Volume(image).check()
        except fat.NoVolume:
            pass


class Linux(Case):
    """What a real kernel writes, read here; and what it says of itself."""

    @classmethod
    def setUpClass(cls):
        rig.prepare_or_skip()

    def write(self, guest, name, kind, file):
        """The tree, with holes in its order, written by the guest. Returns the image while it is mounted."""
        guest.plug_stick(name, file, 4)
        guest.wait("test -b /dev/sda")
        guest.run(f"mkdir -p /tmp/m && mount -t {kind} {'-o utf8' if kind == 'vfat' else ''} /dev/sda /tmp/m")
        guest.run("echo gone > /tmp/m/gone; cat /bin/ls /bin/ls > /tmp/m/large; sync")
        for path, content in TREE.items():
            guest.push(f"/tmp/m/{path}", content)
        guest.run("sync; rm /tmp/m/gone /tmp/m/large; sync")
        mounted = file.read_bytes()
        guest.run("umount /tmp/m")
        guest.unplug_stick(name)
        guest.wait("! test -b /dev/sda")
        return mounted

    def test_what_linux_wrote_is_read(self):
        with tempfile.TemporaryDirectory() as directory, rig.Guest(directory) as guest:
            for bits in 16, 32:
                file = self.make_fat(bits, 64, "-s", "8" if bits == 16 else "1")
                mounted = fat.Volume(self.write(guest, f"fat{bits}", "vfat", file))
                self.assertTrue(mounted.dirty)
                self.assertEqual(mounted.files(), TREE)
                self.check_tree(fat.Volume(file.read_bytes()), f"FAT{bits}")
            file = make(self.directory / "exfat.img", 64, "mkfs.exfat")
            mounted = exfat.Volume(self.write(guest, "exfat", "exfat", file))
            self.assertFalse(mounted.dirty)  # sync makes it clean, though it is mounted
            self.check_tree(exfat.Volume(file.read_bytes()), "exFAT")
            self.check_damage(bytearray(file.read_bytes()))

    def check_damage(self, image):
        """Of an exFAT volume: a bit of the bitmap, and a byte of an entry."""
        volume = exfat.Volume(image)
        image[106] |= 2
        self.assertTrue(exfat.Volume(image).dirty)
        bitmap, = (entry for entry in volume._roots() if entry.path == "<0x81>")
        cluster = volume.entries()[CSV].clusters[0] - 2
        image[volume._cluster(bitmap.clusters[0]) + cluster // 8] ^= 1 << cluster % 8
        self.assertEqual(exfat.Volume(image).check(), ["free: 1 clusters of files"])
        name = image.index("UPPER".encode("utf-16-le"))
        image[name] ^= 1
        volume = exfat.Volume(image)
        self.assertNotIn("UPPER.TXT", volume.files())
        self.assertTrue(any(line.startswith("set: ") for line in volume.check()))
        self.assertEqual(volume.read(CSV), TREE[CSV])


if __name__ == "__main__":
    unittest.main()
