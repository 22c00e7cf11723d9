# SPDX-License-Identifier: MIT
"""
Faults 48 and 49: whatever stands in the files that a killed `acquire` left, the next one logs within 5 s, and what it
logs is right.

$METERSTICK_ONLY="seed" repeats one.
"""

import os
import shutil
import sqlite3
import time
import unittest

import crashbed
import harness

WORKERS = 6
MUST_BACK_S = 5
SEALED = 8  # rows in the file; as many and more are only in its log


def flip(random, path):
    """Some bytes, anywhere."""
    data = bytearray(path.read_bytes())
    for _ in range(random.choice((1, 1, 3, 30, 1000)) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def overwrite(random, path):
    """A piece, as a card does that dies: with zeroes, ones, noise, or what stands elsewhere in the file."""
    data = bytearray(path.read_bytes())
    size = min(random.choice((16, 512, 1024, 4096, 65536)), len(data))
    begin = random.randrange(len(data) - size + 1) // 512 * 512
    elsewhere = random.randrange(len(data) - size + 1)
    data[begin:begin + size] = random.choice((b"\0" * size, b"\xff" * size, random.randbytes(size),
                                              data[elsewhere:elsewhere + size]))
    path.write_bytes(data)


def cut(random, path):
    os.truncate(path, random.choice((0, random.randrange(path.stat().st_size + 1))))


def lengthen(random, path):
    with open(path, "ab") as file:
        file.write(random.choice((bytes, random.randbytes))(random.randrange(1, 10000)))


def remove(_random, path):
    path.unlink()


def make_directory(_random, path):
    path.unlink()
    path.mkdir()


DAMAGES = (flip, flip, flip, overwrite, overwrite, cut, cut, lengthen, remove, make_directory)


class Damaged(harness.Case):
    def setUp(self):
        super().setUp()
        self.slave = crashbed.Slave(self)
        template = self.directory / "template"
        template.mkdir()
        plant = crashbed.Plant(template, self.slave.where)
        plant.start()
        plant.wait(lambda: plant.committed() >= SEALED, 20, "rows")
        self.assertEqual(plant.end()[0], 0)
        plant.start()
        plant.wait(lambda: plant.committed() >= 4 * SEALED, 20, "rows")
        plant.kill()
        self.killed = plant.state
        self.rows = plant.rows()

    def test_it_logs_whatever_the_files_are(self):
        random = harness.random_source()
        seeds = [random.randrange(1 << 32) for _ in range(harness.share(3000))]
        if os.environ.get("METERSTICK_ONLY"):
            seeds = [int(os.environ["METERSTICK_ONLY"])]
        backs = crashbed.in_parallel(seeds, WORKERS, self.damage_and_go_on)
        harness.figure(f"journals damaged at random: {len(seeds)}, 0 crashes, 0 wrong rows; back after at most "
                       f"{max(backs):.2f} s")

    def damage_and_go_on(self, seed):
        random = harness.random.Random(seed)
        with crashbed.directory() as directory:
            plant = crashbed.Plant(directory, self.slave.where)
            shutil.copytree(self.killed, plant.state)
            names = sorted(path.relative_to(plant.state) for path in plant.state.rglob("*") if path.is_file())
            name = random.choice([name for name in names if ".db" in name.name] * 4 + names)
            damage = random.choice(DAMAGES)
            damage(random, plant.state / name)
            what = f"{damage.__name__} {name}"
            try:
                return self.goes_on(plant, name)
            except Exception as error:
                raise AssertionError(f"{what}: {error}; {plant.said()}") from error

    def goes_on(self, plant, name):
        begin, begin_ms = time.monotonic(), time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000
        plant.start()
        self.assertTrue(plant.wait(plant.committed, 20, "a status with rows"), "it ended")
        first = plant.committed()
        self.assertTrue(plant.wait(lambda: plant.committed() > first, 20, "new rows"), "it ended")
        back_s = time.monotonic() - begin
        self.assertLessEqual(back_s, MUST_BACK_S)
        self.ends(plant)
        new = self.new_rows(plant, begin_ms)
        self.assertGreater(len(new), 1)
        self.assertEqual(new[0][0], plant.committed())
        for seq, _, _, quality, values in new:
            plant.check_values(seq, quality, values)
        if name.suffix != ".db":  # its pages have no checksums
            self.check_old(plant, min(row[0] for row in new))
        self.check_export(plant)
        plant.start()
        top = new[0][0]
        self.assertTrue(plant.wait(lambda: plant.committed() > top, 20, "new rows"), "it ended the second time")
        self.ends(plant)
        return back_s

    def ends(self, plant):
        code, took_s = plant.end()
        self.assertIn(code, (0, 74))  # 74: rows are in memory, for example since the lock is a directory
        self.assertLess(took_s, 5.5)

    @staticmethod
    def new_rows(plant, begin_ms):
        """Those after begin_ms, the newest first: what is before them may not be readable."""
        path = max((path for journal in plant.journals() for path in journal.glob("*.db")),
                   key=lambda path: path.name)
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        rows = []
        try:
            for row in database.execute("SELECT seq, meter, boot_ms, quality, vals FROM sample ORDER BY seq DESC"):
                if row[2] < begin_ms:
                    break
                rows.append(row)
        except sqlite3.DatabaseError:
            pass
        finally:
            database.close()
        return rows

    def check_old(self, plant, first_new):
        """What is still there is what it was, and no seq was given twice."""
        self.assertGreater(first_new, max(self.rows))
        for seq, row in plant.rows().items():
            if seq < first_new:
                self.assertEqual(row, self.rows.get(seq))

    def check_export(self, plant):
        for meter in plant.meters:
            result = self.meterstick("export", "--config", plant.config, "--state-dir", plant.state, "--meter", meter,
                                     "--format", "csv")
            self.assertIn(result.returncode, (0, 74), result.stderr)


if __name__ == "__main__":
    unittest.main()
