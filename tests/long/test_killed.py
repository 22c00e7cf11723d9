# SPDX-License-Identifier: MIT
"""
Fault 59: kill -9 of `acquire` at random moments, its start included, again and again on one journal. The meters are
python3-pymodbus.
"""

import time
import unittest

import crashbed
import harness
import registers

PLANTS = 4        # side by side
MUST_BACK_S = 5


class Killed(harness.Case):
    def test_nothing_committed_is_lost_or_doubled_and_it_is_back(self):
        random = harness.random_source()
        kills = harness.share(1000)
        tables = registers.registers(crashbed.MODEL, crashbed.VALUES)
        where = self.pymodbus_slave("tcp", {1: tables, 2: tables})
        shares = [kills // PLANTS + (number < kills % PLANTS) for number in range(PLANTS)]
        jobs = [(random.randrange(1 << 32), share) for share in shares if share]
        results = crashbed.in_parallel(jobs, PLANTS, lambda job: self.kill_again_and_again(where, *job))
        backs = sorted(back for result in results for back in result[0] if back is not None)
        rows = sum(result[1] for result in results)
        harness.figure(f"kill -9 of acquire: {kills} kills, {rows} committed rows, 0 lost or doubled; back after at most "
                       f"{backs[-1]:.2f} s, median {backs[len(backs) // 2]:.2f} s")
        self.assertLessEqual(backs[-1], MUST_BACK_S)

    def kill_again_and_again(self, where, seed, kills):
        random = harness.random.Random(seed)
        backs = []
        seen = {}
        with crashbed.directory() as directory:
            plant = crashbed.Plant(directory, where)
            for number in range(kills):
                backs.append(self.live_and_die(plant, random, max(seen, default=0)))
                top = plant.committed_before
                if number % 5 == 4 or number == kills - 1:  # reading all of it takes longer each time
                    rows = plant.check(range(1, top + 1))
                    self.assertEqual({seq: rows.get(seq) for seq in seen}, seen)
                    seen = rows
            backs.append(self.live_and_die(plant, random, max(seen, default=0), last=True))
            rows = plant.check(range(1, plant.committed_before + 1))
            self.assertEqual({seq: rows.get(seq) for seq in seen}, seen)
            self.check_export(plant, rows)
        return backs, len(rows)

    def check_export(self, plant, rows):
        """What leaves has the same rows, in the same order."""
        for meter in plant.meters:
            result = self.meterstick("export", "--config", plant.config, "--state-dir", plant.state, "--meter", meter,
                                     "--format", "csv", status=0)
            seqs = [int(line.rsplit(",", 1)[1]) for line in result.stdout.splitlines()[1:]]
            self.assertEqual(seqs, sorted(seq for seq, row in rows.items() if row[0] == meter))

    @staticmethod
    def live_and_die(plant, random, top, last=False):
        """Start, perhaps wait for rows, and be killed. Returns the seconds to a new committed row, or None."""
        begin = time.monotonic()
        plant.start()
        early = not last and random.random() < 0.4
        back = None
        if early:
            time.sleep(random.uniform(0, 0.3))
        else:
            before = getattr(plant, "committed_before", 0)
            plant.wait(lambda: plant.committed() > max(top, before), 15, "a new row is committed")
            back = time.monotonic() - begin
            time.sleep(random.uniform(0, 1.3))
        plant.committed_before = max(plant.committed(), getattr(plant, "committed_before", 0))
        if last:
            code, _ = plant.end()
            assert code == 0, plant.said()
        else:
            plant.kill()
        return back


if __name__ == "__main__":
    unittest.main()
