# SPDX-License-Identifier: MIT
"""
Faults 27, 28 and 38 at their worst: the power is cut, or the stick pulled, at each write that the kernel makes for a
burst, and in whatever order a stick's own cache has written them. QEMU logs what Linux writes to a stick while
`meterstick stick` is at work on a journal that grows; then images are made for cuts at every request of the log, judged
here without the kernel, mended by fsck, and inserted again.
"""

import collections
import concurrent.futures
import itertools
import pathlib
import random
import tempfile
import unittest

import blocklog
import cutbed
import harness
import rig
import stickimage

BURSTS = 24 if harness.share(100) == 100 else 14
SIZE = 34 << 20                          # 512 bytes a cluster make this FAT32: the most writes for a row
FORMAT = {"fat32": {"cluster_size": 512}, "exfat": {}}
KINDS = tuple(FORMAT)
WORKERS = 6                              # each waits more than it works: the lights take 250 ms a burst
PORTS = 8                                # sticks at once
STATE = "/tmp/state"
ONCE = f"meterstick-stick --once --state-dir {STATE} --run-dir /tmp/run"


def setUpModule():
    lacking = stickimage.missing()
    if lacking:
        raise unittest.SkipTest("not here: " + lacking)
    rig.prepare_or_skip()


def plug_logged(guest, name, file, log, port):
    """As guest.plug_stick(), and all that is written goes into the log as well."""
    log.write_bytes(b"")
    guest.monitor.ask("blockdev-add", node_name=f"sectors-{name}", driver="blklogwrites", log_super_update_interval=1,
                      file={"driver": "file", "filename": str(file), "cache": {"no-flush": True}},
                      log={"driver": "file", "filename": str(log), "cache": {"no-flush": True}})
    guest.monitor.ask("device_add", driver="usb-storage", id=name, drive=f"sectors-{name}", removable=True,
                      bus="xhci.0", port=str(port))
    guest.sticks[name] = port


def as_it_was(file):
    return file.with_suffix(".before")


def keep(images, said):
    """The sticks of a failure, before and after, and the guest's words: a log is never recorded twice the same."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="cut-", dir=harness.BIN.parent))
    for file, _ in images:
        for source in as_it_was(file), file:
            stickimage.copy(source, place / source.name)
    names = "".join(f"{file.name}: {what}\n" for file, what in images)
    (place / "said.txt").write_text(f"{names}\n{said}")
    return place


class Log(unittest.TestCase):
    """Of the machinery: what may be on a stick."""

    def log(self, *requests):
        result = blocklog.Log.__new__(blocklog.Log)
        result.extend(blocklog.Request(*request) for request in requests)
        return result

    def test_what_was_flushed_is_there_and_of_the_rest_any_sector_may_be(self):
        base = bytes(8 * 512)
        a, b, c = (bytes([letter]) * 512 for letter in b"abc")
        log = self.log((1, a + a, 0), (0, b"", blocklog.FLUSH), (1, b, 0), (3, c + c, 0))
        self.assertEqual(blocklog.ordered(base, log, 0)[:], base)
        self.assertEqual(blocklog.ordered(base, log, 3)[512:1536], b + a)
        seen = collections.Counter()
        generator = random.Random(1)
        for _ in range(500):
            image = blocklog.reordered(base, log, 4, generator)
            self.assertIn(image[512:1024], (a, b))
            self.assertEqual(image[1024:1536], a)
            self.assertEqual(len(image[:]), len(base))
            seen[image[512:520], image[1536:1544], image[2048:2056]] += 1
        self.assertEqual(len(seen), 8)
        for _ in range(100):
            image = blocklog.reordered(base, log, 1, generator)
            self.assertIn(image[1000:1030], (bytes(30), a[:24] + bytes(6), bytes(24) + a[:6], a[:30]))


class Cut(unittest.TestCase):
    """The figure. One story is written to a stick of each kind, in the same guest."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="meterstick-")
        cls.addClassCleanup(directory.cleanup)
        cls.directory = pathlib.Path(directory.name)
        cls.random = harness.random_source()
        cls.journal = cutbed.Journal(cls.directory / "state")
        cls.truth = cutbed.Truth()
        cls.served = collections.Counter()  # in the guest
        cls.guest = rig.Guest(cls.directory)
        cls.addClassCleanup(cls.guest.close)
        cls.guest.push("/usr/bin/meterstick-stick", harness.BIN / "meterstick-stick", 0o755)
        for name in "journal/id", "appliance":
            cls.guest.push(f"{STATE}/{name}", cls.journal.state / name)
        for kind in KINDS:
            cls.make_base(kind)
        cls.acknowledged = cls.record()
        for kind in KINDS:
            cls.guest.unplug_stick(kind)
        cls.guest.wait("! ls -d /sys/block/sd?")

    @classmethod
    def node(cls, kind):
        return f"/dev/sd{'ab'[KINDS.index(kind)]}"

    @classmethod
    def make_base(cls, kind):
        """A stick with things of its owner, as <kind>.img and, to begin from, <kind>-base.img."""
        file, base = cls.directory / f"{kind}.img", cls.directory / f"{kind}-base.img"
        stickimage.make(file, kind, SIZE, **FORMAT[kind])
        port = 1 + KINDS.index(kind)
        cls.guest.plug_stick(kind, file, port)
        node = cls.node(kind)
        cls.guest.wait(f"test -b {node}")
        cls.guest.run(f"mkdir -p /tmp/{kind} && {cls.mount(kind)}")
        for path, content in cutbed.FOREIGN.items():
            cls.guest.push(f"/tmp/{kind}/{path}", content)
        cls.guest.run(f"umount /tmp/{kind}")
        cls.guest.unplug_stick(kind)
        cls.guest.wait(f"! test -b {node}")
        stickimage.copy(file, base)
        plug_logged(cls.guest, kind, file, cls.directory / f"{kind}.log", port)
        cls.guest.wait(f"test -b {node}")

    @classmethod
    def mount(cls, kind):
        return f"mount -t {kind.replace('fat32', 'vfat')} -o noatime {cls.node(kind)} /tmp/{kind}"

    @classmethod
    def record(cls):
        """Write the story to the sticks. Returns for each [(requests so far, the last seq that is on the stick)]."""
        acknowledged = {kind: [] for kind in KINDS}
        for number, _ in enumerate(cutbed.story(cls.journal, BURSTS)):
            cls.guest.push(f"{STATE}/journal/{cls.journal.file.name}", cls.journal.file)
            cls.guest.run(ONCE)
            for kind in KINDS:
                acknowledged[kind].append((blocklog.count(cls.directory / f"{kind}.log"), cls.journal.seq))
            if number == 2 or number == BURSTS - 1:  # without a time, and all
                cls.truth.learn(cutbed.rendering(cls.journal, cls.directory))
        return acknowledged

    def images(self, bed, count, seed):
        """(image, cut, in order or not, which) for so many cuts of a log."""
        durable = blocklog.Durable(bed.log)
        for number, (cut, is_reordered) in enumerate(cutbed.plan(bed.log, count, random.Random(seed))):
            order = "reordered" if is_reordered else "ordered"
            what = f"{bed.kind}, cut at {cut} of {len(bed.log)}, {order}, image {number} of seed {seed}"
            image = (blocklog.reordered(bed.base, bed.log, cut, random.Random(f"{seed} {number}"), durable)
                     if is_reordered else blocklog.ordered(bed.base, bed.log, cut, durable))
            yield image, cut, order, what

    def cut(self, kind, count, again):
        log = blocklog.Log(self.directory / f"{kind}.log")
        bed = cutbed.Bed(kind, self.directory, self.directory / f"{kind}-base.img", log, self.acknowledged[kind],
                         self.journal, self.truth)
        totals = {"ordered": collections.Counter(), "reordered": collections.Counter()}
        images = self.images(bed, count, self.random.randrange(1 << 32))
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            while batch := list(itertools.islice(images, 4 * WORKERS)):
                waiting = [(order, pool.submit(bed.judge, image, cut, what)) for image, cut, order, what in batch]
                for order, job in waiting:
                    totals[order] += job.result()
        self.insert_again(bed, again)
        both = totals["ordered"] + totals["reordered"]
        harness.figure(
            f"power cut, {kind}: {both['images']} images of {len(bed.log)} writes "
            f"({totals['ordered']['images']} in order, {totals['reordered']['images']} reordered), "
            f"0 acknowledged rows lost, {both['served']} served again, {self.served[kind]} more by the guest; "
            + ", ".join(f"{name} {totals['ordered'][name]} + {totals['reordered'][name]}" for name in (
                "dirty", "size beyond chain", "unreadable before fsck", "revisions", "fsck left files",
                "clusters lost after fsck", "fsck not content")))

    def insert_again(self, bed, count):
        """The kernel's part of it: images are inserted as they are, and `stick` mends and serves them."""
        images = self.images(bed, count, self.random.randrange(1 << 32))
        while batch := list(itertools.islice(images, PORTS)):
            waiting = []
            for number, (image, _, _, what) in enumerate(batch):
                file = self.directory / f"again{number}.img"
                stickimage.copy(bed.base_file, file)
                image.write_changes(file)
                stickimage.copy(file, as_it_was(file))
                waiting.append((file, what))
            self.serve(bed, waiting)

    def serve(self, bed, images):
        """All at once, a stick each."""
        for port, (file, _) in enumerate(images, 1):
            self.guest.plug_stick(f"again{port}", file, port)
        self.guest.wait(f"test $(ls -d /sys/block/sd? | wc -l) = {len(images)} && udevadm settle")
        status, said = self.guest.status(f"dmesg -C; {ONCE} 2>&1", 300)
        said += self.guest.run("dmesg; cat /tmp/run/stick.json")
        wrong = [] if status == 0 else [f"--once ended with {status}"]
        for port, (file, what) in enumerate(images, 1):
            self.guest.unplug_stick(f"again{port}")
            try:
                self.check_again(bed, file, what)
            except AssertionError as error:
                wrong.append(str(error))
        if wrong:
            self.fail("\n".join(wrong + [f"the sticks are in {keep(images, said)}"]))
        self.guest.wait("! ls -d /sys/block/sd?")

    def check_again(self, bed, file, what):
        self.assertEqual(cutbed.complaints(bed.kind, file), [], what)
        volume_of, _, _ = cutbed.FSCK[bed.kind]
        volume = volume_of(file.read_bytes())
        self.assertFalse(volume.dirty, what)
        self.served[bed.kind] += bed.check_served(volume.files(), what)["served"]

    def test_no_acknowledged_row_is_lost_on_fat32(self):
        self.cut("fat32", harness.share(3000), harness.share(800))

    def test_nor_on_exfat(self):
        self.cut("exfat", harness.share(2000), harness.share(800))


if __name__ == "__main__":
    unittest.main()
