# SPDX-License-Identifier: MIT
"""What the real `leds` shows besides the status, read back from its frames: each waits ten seconds of its own."""

import threading
import time
import unittest

import harness
import ledbed
import lights

LIVE, SILENT = ({"name": name, "state": name, "slice_ms": 2000} for name in ("live", "silent"))


class Plant(ledbed.Case):
    """One `leds` and the statuses that it reads."""

    def letters(self):
        return lights.letters(self.frames()[-1])


class Scene(unittest.TestCase):
    def test_all_of_them_side_by_side(self):
        """Each takes half a minute, and none much of the machine."""
        jobs = [self.spell_a_number, self.fill_a_bar, self.suspend_an_address, self.cut_an_address_off]
        failures = []

        def do(job):
            plant = Plant("letters")  # any method: none is run as a test
            try:
                plant.setUp()
                job(plant)
            except Exception as error:  # told by the thread of the test
                failures.append((job.__name__, repr(error), [lights.letters(frame) for frame in plant.frames()]))
            finally:
                plant.doCleanups()

        threads = [threading.Thread(target=do, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    @staticmethod
    def wait(plant, condition, seconds, what):
        end = time.monotonic() + seconds
        while not condition():
            plant.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def spell_a_number(self, plant):
        """The second and the eleventh of twelve meters are silent."""
        meters = [SILENT if number in (2, 11) else LIVE for number in range(1, 13)]
        plant.start_writer("acquire", dict(ledbed.ACQUIRE, meters=meters))
        plant.start_writer("stick", ledbed.STICK)
        plant.start_leds()
        self.wait(plant, lambda: lights.numbers(plant.frames(), lights.now_ms()) == [2], 60, "the number")
        first = plant.frames()[0]["boot_ms"]
        texts = lights.spelled(plant.frames(), lights.now_ms())
        plant.assertEqual([text.colour for text in texts], ["red"])
        plant.assertGreaterEqual(texts[0].begin_ms - first, 10000)
        if harness.share(100) == 100:
            self.wait(plant, lambda: lights.numbers(plant.frames(), lights.now_ms()) == [2, 11, 2], 180, "all numbers")

    def fill_a_bar(self, plant):
        members = {"id": "x", "state": "writing", "backlog": 100000, "percent": 40}
        plant.start_writer("acquire", ledbed.ACQUIRE)
        writer = plant.start_writer("stick", {"sticks": [members]})
        plant.start_leds()
        self.wait(plant, lambda: lights.bars(plant.frames()), 60, "the bar")
        plant.assertEqual(plant.letters(), "WWWBBBBB")
        writer.terminate()
        writer.wait()
        plant.put("stick", sticks=[dict(members, percent=90)])
        self.wait(plant, lambda: plant.letters() == "WWWWWWWB", 10, "it grew")
        said = [frame for frame in plant.frames() if frame["words"][2] == "writing"]
        plant.assertTrue(said and all(lights.letters(frame)[2] != "." for frame in said), "pixel 2 was dark")
        plant.put("stick", **ledbed.STICK)
        self.wait(plant, lambda: plant.letters() == "PG.WG...", 10, "the status")

    def suspend_an_address(self, plant):
        """A stick is written in the middle of an address: it is seen at once, and the address comes again."""
        plant.start_writer("acquire", ledbed.ACQUIRE)
        plant.put("stick", **ledbed.STICK)
        plant.start_leds()
        plant.wait_for_socket()
        plant.by_hand("ip", "1.7")
        self.wait(plant, lambda: plant.put("stick", **ledbed.STICK) or plant.letters() == "B.......", 60, "the digit")
        self.wait(plant, lambda: plant.put("stick", **ledbed.STICK) or plant.letters() == "........", 60, "the dark")
        begin_ms = lights.now_ms()
        plant.put("stick", sticks=[{"id": "x", "state": "writing", "backlog": 5}])
        self.wait(plant, lambda: plant.letters() == "PGBCG...", 10, "it is being written")
        plant.assertLess(plant.frames()[-1]["boot_ms"] - begin_ms, 3000)
        plant.start_writer("stick", ledbed.STICK)
        self.wait(plant, lambda: lights.addresses(plant.frames(), lights.now_ms()), 60, "the address")
        texts = lights.spelled(plant.frames(), lights.now_ms())
        plant.assertEqual([(text.text, text.whole) for text in texts[-1:]], [("1.7", True)])
        plant.assertFalse(any(text.whole for text in texts[:-1]))

    def cut_an_address_off(self, plant):
        """The logger dies in the middle of an address: that is seen, and the address comes later."""
        acquire, _ = plant.start_all_well()
        plant.start_leds()
        plant.wait_for_socket()
        plant.by_hand("ip", "7")
        self.wait(plant, lambda: "symbol" in map(lights.kind, plant.frames()[-1:]), 60, "the digit")
        acquire.kill()
        plant.by_hand("ip", "7.7.7.7")
        self.wait(plant, lambda: plant.frames()[-1]["words"][0] == "dead", 15, "it is noticed")
        dead_ms = plant.frames()[-1]["boot_ms"]
        self.wait(plant, lambda: lights.now_ms() > dead_ms + 3000, 10, "time passes")
        plant.assertEqual(lights.status_at(plant.frames(), dead_ms + 2500),
                          ["red blinking", "red blinking", "red blinking", "white", "yellow blinking"] + 3 * ["dark"])
        self.wait(plant, lambda: "symbol" in map(lights.kind, plant.frames()[-1:]), 30, "the digit, later")
        plant.assertGreaterEqual(plant.frames()[-1]["boot_ms"] - dead_ms, 10000)


if __name__ == "__main__":
    unittest.main()
