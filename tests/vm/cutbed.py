# SPDX-License-Identifier: MIT
"""
What the power cut tests share: a journal that grows burst by burst, what had been acknowledged at each point of a
stick's block log, and the judgement of one image.
"""

import collections
import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
import tempfile
import zlib

import exfat
import fat
import harness
import stickimage

JOURNAL_ID = "01234567-89ab-4cde-8f01-23456789abcd"
BOOTS = ("aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002")
WALL_MS = 1795218900000                # 2026-11-20T23:55:00Z
METERS = [f"meter{number:02}" for number in range(12)]
LAYOUT = [{"quantity": "voltage", "unit": "V"}, {"quantity": "power_active", "unit": "W"}]
FEW, ALL = 3, len(METERS)              # files in a burst: synced one by one, or together
FOLDER = "kwhmeter/here"
FOREIGN = {"photos/holiday.jpg": bytes(range(256)) * 300, "letter.txt": b"Dear all\r\n" * 70}
FSCK = {"fat32": (fat.Volume, ["fsck.fat", "-a"], ["fsck.fat", "-n"]),
        "exfat": (exfat.Volume, ["fsck.exfat", "-p"], ["fsck.exfat", "-n"])}
# What an fsck may leave of chains that belong to nobody
LEFT_BY_FSCK = re.compile(r"FSCK\d{4}\.REC$|LOST\+FOUND(/.*)?$", re.IGNORECASE)


class Journal:
    """A journal of two boots, as the design says of its format; it is in nobody's hands meanwhile."""

    def __init__(self, state):
        self.state = state
        (state / "journal").mkdir(parents=True)
        (state / "journal" / "id").write_text(JOURNAL_ID + "\n")
        (state / "appliance").write_text("here\n")
        self.epoch = 0
        self.begin(1)

    def begin(self, first):
        """A segment, of another boot than the one before."""
        self.seq, self.boot_ms = first - 1, 0
        self.file = self.state / "journal" / f"{first:016}.db"
        with self.open() as db:
            db.executescript("""
                CREATE TABLE journal(id TEXT NOT NULL);
                CREATE TABLE epoch(n INTEGER PRIMARY KEY, boot_id TEXT NOT NULL, wall_ms INTEGER NOT NULL,
                                   source TEXT NOT NULL, error_ms INTEGER NOT NULL);
                CREATE TABLE meter(id INTEGER PRIMARY KEY, name TEXT NOT NULL, model TEXT NOT NULL,
                                   layout TEXT NOT NULL);
                CREATE TABLE sample(seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, boot_ms INTEGER NOT NULL,
                                    meter INTEGER NOT NULL, quality TEXT NOT NULL, vals TEXT NOT NULL);
                CREATE TABLE event(id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, boot_ms INTEGER NOT NULL,
                                   code TEXT NOT NULL, text TEXT NOT NULL);
                PRAGMA user_version=1;""")
            db.execute("INSERT INTO journal VALUES(?)", (JOURNAL_ID,))
            db.executemany("INSERT INTO meter VALUES(?,?,'schneider-iem2150',?)",
                           [(1 + number, name, json.dumps(LAYOUT)) for number, name in enumerate(METERS)])

    @contextlib.contextmanager
    def open(self):
        with contextlib.closing(sqlite3.connect(self.file)) as db, db:
            yield db

    def add_epoch(self, boot, source, wall_ms):
        """wall_ms: what the wall clock says now."""
        self.epoch += 1
        with self.open() as db:
            db.execute("INSERT INTO epoch VALUES(?,?,?,?,0)", (self.epoch, BOOTS[boot], wall_ms - self.boot_ms, source))
        self.source = source

    def add(self, meters, slices, interval_ms=10000):
        with self.open() as db:
            for _ in range(slices):
                self.boot_ms += interval_ms
                for meter in range(1, meters + 1):
                    self.seq += 1
                    values = json.dumps([230 + self.seq % 97 / 10, self.seq * 7 % 5000])
                    db.execute("INSERT INTO sample VALUES(?,?,?,?,?,?)",
                               (self.seq, self.epoch, self.boot_ms, meter, self.source, values))


def story(journal, bursts):
    """
    What happens before each burst, a generator; it lasts `bursts` bursts. The time is not known at first; then a day
    ends, many files grow at once, and there is another boot.
    """
    journal.add_epoch(0, "U", 0)
    for _ in range(3):
        journal.add(FEW, 6)
        yield
    journal.add_epoch(0, "N", WALL_MS)
    for number in range(bursts - 3):
        if number == (bursts - 3) * 2 // 3:
            journal.begin(1 << 32)
            journal.add_epoch(1, "N", WALL_MS + 3600 * 1000)
        if number % 6 == 4:
            journal.add(ALL, 4)
        elif number == 8:
            journal.add(FEW, 400, 1000)  # to be caught up with
        else:
            journal.add(FEW, 6)
        yield


def lines_of(files):
    """{meter: Counter of lines} of all CSV files of ours, heads aside."""
    lines = collections.defaultdict(collections.Counter)
    for path, content in files.items():
        parts = path.split("/")
        if path.startswith(FOLDER + "/") and path.endswith(".csv") and len(parts) == 4:
            lines[parts[2]].update(line for line in content.splitlines(keepends=True) if not is_head(line))
    return lines


def is_head(line):
    return line.startswith((b"utc,", b"boot_s,"))


def seq_of(line):
    text = line.rstrip(b"\r\n").rpartition(b",")[2]
    return int(text) if text.isdigit() else None


class Truth:
    """What each row looks like, by the program's own rendering of the journal onto an empty directory."""

    def __init__(self):
        self.rows = collections.defaultdict(set)  # seq: (meter, line), with and without a time

    def learn(self, files):
        for meter, lines in lines_of(files).items():
            for line in lines:
                self.rows[seq_of(line)].add((meter, line))

    def missing(self, files, last):
        """Which rows up to a seq are in no file, whole and as they should be."""
        have = set()
        for meter, lines in lines_of(files).items():
            for line in lines:
                seq = seq_of(line)
                if (meter, line) in self.rows.get(seq, ()):
                    have.add(seq)
        return [seq for seq in self.rows if seq <= last and seq not in have]


def read_tree(directory):
    directory = pathlib.Path(directory)
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def write_tree(directory, files):
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def slots(files):
    """The stick's own cursor: the newest valid one as an object, None if there is none."""
    newest = None
    for slot in (".cursor.0", ".cursor.1"):
        text = files.get(f"{FOLDER}/{slot}", b"")
        found = re.fullmatch(rb"(\{.*),\"crc\":\"([0-9a-f]{8})\"\}\n", text, re.DOTALL)
        if found and zlib.crc32(found[1]) == int(found[2], 16):
            cursor = json.loads(text)
            if newest is None or cursor["generation"] > newest["generation"]:
                newest = cursor
    return newest


def needs_another_check(kind, file):
    """
    Whether a check left something for the next, which is made then. fsck.fat 4.2: a folder without a cluster, or half a
    long name, which it goes on calling deleted, and which harms nobody.
    """
    _, mend, look = FSCK[kind]
    if stickimage.run(*look, file, status=None).returncode == 0:
        return False
    stickimage.run(*mend, file, status=(0, 1))
    return True


def complaints(kind, file):
    """What a check says of a stick that was served; not of half a long name, which fsck.fat 4.2 leaves."""
    _, _, look = FSCK[kind]
    result = stickimage.run(*look, file, status=None)
    said = result.stdout.decode(errors="replace").splitlines()
    if result.returncode == 0:
        return []
    if kind == "fat32":
        known = re.compile(r"fsck\.fat 4|Orphaned long file name part|  Auto-deleting\.|Leaving filesystem unchanged\.|"
                           r".*: \d+ files, \d+/\d+ clusters")
        said = [line for line in said if line and not known.match(line)]
    return said


class Bed:
    """Judges images of one stick: what its log is, what was acknowledged when, and the journal at the end."""

    def __init__(self, kind, directory, base, log, acknowledged, journal, truth):
        self.kind, self.directory, self.log, self.truth = kind, directory, log, truth
        self.acknowledged = acknowledged  # [(requests in the log, the last seq that was on the stick by then)]
        self.journal = journal
        self.base_file = base
        self.base = base.read_bytes()
        self.final = lines_of(rendering(journal, directory))

    def judge(self, image, cut, what):
        """All that is asked of an image. Returns a Counter of what was seen; what must not be is an AssertionError."""
        counts = collections.Counter(images=1)
        with tempfile.TemporaryDirectory(dir=self.directory) as place:
            files = self.check(image, cut, what, pathlib.Path(place) / "stick.img", counts)
            counts += self.serve_here(files, what, pathlib.Path(place))
        return counts

    def check(self, image, cut, what, work, counts):
        """Before and after fsck. Returns the files then, and leaves the image in the file `work`."""
        volume_of, mend, _ = FSCK[self.kind]
        last = max((seq for count, seq in self.acknowledged if count <= cut), default=0)
        volume = volume_of(image)
        short = volume.short()
        readable = {path: content for path, content in volume.files().items() if path not in short}
        counts["dirty"] += volume.dirty
        counts["size beyond chain"] += bool(short)
        counts["unreadable before fsck"] += bool(self.truth.missing(readable, last))
        if not volume.dirty and volume.check():
            raise AssertionError(f"{what}: says it is clean, and has {volume.check()[:5]}")

        stickimage.copy(self.base_file, work)
        image.write_changes(work)
        said = stickimage.run(*mend, work, status=(0, 1)).stdout.decode(errors="replace")
        counts["fsck not content"] += needs_another_check(self.kind, work)
        volume = volume_of(work.read_bytes())
        problems = volume.check()
        lost = [line for line in problems if line.startswith("lost: ")]
        counts["clusters lost after fsck"] += bool(lost)  # fsck.exfat 1.2 does not look for them
        if problems and (problems != lost or self.kind != "exfat"):
            raise AssertionError(f"{what}: after fsck {problems[:5]}; it said {said}")
        files = volume.files()
        self.check_files(files, last, what)
        return files

    def check_files(self, files, last, what):
        missing = self.truth.missing(files, last)
        if missing:
            raise AssertionError(f"{what}: of the rows up to {last} {len(missing)} are lost: {missing[:10]}")
        check_foreign(files, what)
        cursor = slots(files)
        if cursor is None:
            if last:
                raise AssertionError(f"{what}: no cursor, and rows up to {last} acknowledged")
            return
        if self.truth.missing(files, max(cursor["dated"], cursor["undated"])):
            raise AssertionError(f"{what}: the cursor says {cursor}, and rows are missing")
        for name, length, crc, *_ in cursor["files"]:
            content = files.get(f"{FOLDER}/{name}", b"")
            if "/boot-" in name and not content:
                continue  # its rows have their time by now: it goes first, and then its entry
            if len(content) < length or zlib.crc32(content[:length]) != crc:
                raise AssertionError(f"{what}: {name} is not what the cursor says: {len(content)} of {length} bytes")

    def serve_here(self, files, what, place):
        """The next insertion as a directory, by the program on this machine."""
        stick = place / "stick"
        write_tree(stick, files)
        run_stick(self.journal, stick, place / "run")
        return self.check_served(read_tree(stick), what)

    def check_served(self, files, what):
        """After the next insertion all is there, once, and nothing else."""
        lines = lines_of(files)
        for meter in sorted({*lines, *self.final}):
            if lines[meter] != self.final[meter]:
                lost, more = self.final[meter] - lines[meter], lines[meter] - self.final[meter]
                raise AssertionError(f"{what}: {meter} served again lacks {sum(lost.values())} rows {list(lost)[:3]} "
                                     f"and has {sum(more.values())} too many {list(more)[:3]}")
        check_foreign(files, what)
        names = [path for path in files if path.startswith(FOLDER + "/") and path.endswith(".csv")]
        if any("/boot-" in path for path in names):
            raise AssertionError(f"{what}: a file of rows without a time remains: {names}")
        return collections.Counter({"served": 1, "revisions": any(re.search(r"-r\d+\.csv$", path) for path in names),
                                    "fsck left files": any(LEFT_BY_FSCK.search(path) for path in files)})


def check_foreign(files, what):
    for path, content in FOREIGN.items():
        if files.get(path) != content:
            raise AssertionError(f"{what}: {path} is not as it was")


def run_stick(journal, stick, run_dir):
    stickimage.run(harness.BIN / "meterstick-stick", "--dir", stick, "--state-dir", journal.state, "--run-dir", run_dir,
                   "--once", env=dict(stickimage.ENVIRONMENT, TZ="UTC"))


def rendering(journal, directory):
    """What the program makes of a journal on an empty directory: {path: bytes}."""
    stick = directory / "rendering"
    stick.mkdir()
    run_stick(journal, stick, directory / "run")
    files = read_tree(stick)
    shutil.rmtree(stick)
    return files


def plan(log, images, random):
    """(cut, reordered) for so many images: every boundary once in order, evenly spread ones if there are too many."""
    boundaries = len(log) + 1
    in_order = min(boundaries, max(1, images // 2))
    for number in range(in_order):
        yield number * boundaries // in_order, False
    for _ in range(images - in_order):
        yield random.randrange(boundaries), True
