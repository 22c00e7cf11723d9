# SPDX-License-Identifier: MIT
"""`meterstick status`: what the services say, and whether all is well."""

import json
import threading
import time
import unittest

import harness

METER = {"name": "kitchen", "state": "live", "slice_ms": 10000, "cycle_ms": 237, "last_error": None,
         "next_probe_s": None}


class Status(harness.Case):
    def put(self, program, state="running", age_ms=0, boot_id=None, **members):
        now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000) - age_ms
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            status = {"program": program, "pid": 1, "boot_id": boot_id or file.read().strip(), "boot_ms": now,
                      "state": state, "error": members.pop("error", None), **members}
        path = self.directory / f"{program}.json"
        path.with_suffix(".new").write_text(json.dumps(status))
        path.with_suffix(".new").rename(path)

    def put_all(self, meter=(), journal="ok", sticks=({"id": "ABCD-1234", "state": "idle", "percent": 100},)):
        now = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1000)
        self.put("acquire", meters=[dict(dict(METER, committed_boot_ms=now - 4000), **dict(meter))],
                 clock={"known": True, "quality": "N"}, journal={"id": "J", "seq": 4711, "state": journal})
        self.put("stick", sticks=list(sticks))

    def status(self, status, *arguments):
        return self.meterstick("status", "--run-dir", self.directory, *arguments, status=status).stdout

    def test_all_well_shows_meters_with_their_measured_cycle(self):
        self.put_all()
        text = self.status(0)
        self.assertRegex(text, r"acquire +running")
        self.assertRegex(text, r"(?m)^   1 kitchen +live +[45]\.\d s +237 ms")
        self.assertRegex(text, r"clock +known \(N\)")
        self.assertIn("ok, 4711 rows", text)
        self.assertRegex(text, r"stick +ABCD-1234: idle")

    def test_what_was_brought_is_answered_here_too(self):
        self.put_all()
        self.assertNotIn("brought", self.status(0))
        status = json.loads((self.directory / "acquire.json").read_text())
        status["inbox"] = [{"sha256": "0" * 64, "result": "adopted", "text": "2 meters on 1 bus"},
                           {"sha256": "12345678" + "a" * 56, "result": "refused",
                            "text": "line 2: unknown key 'prot' in [bus]\nline 3: port = 7: no port"}]
        (self.directory / "acquire.json").write_text(json.dumps(status))
        self.assertIn("brought   refused: 12345678...\n          line 2: unknown key 'prot' in [bus]\n"
                      "          line 3: port = 7: no port\n", self.status(0))

    def test_json_is_everything(self):
        self.put_all()
        read = json.loads(self.status(0, "--json"))
        self.assertTrue(read["well"])
        self.assertEqual(read["fresh"], {"acquire": True, "stick": True, "leds": False})
        self.assertEqual(read["acquire"]["meters"][0]["cycle_ms"], 237)
        self.assertIsNone(read["leds"])

    def test_whatever_is_wrong_costs_the_exit_status(self):
        self.put_all(meter={"state": "silent", "last_error": "timed out", "next_probe_s": 12, "cycle_ms": None}.items())
        self.assertRegex(self.status(1), r"kitchen +silent .* 12 s +timed out")
        self.put_all(meter={"committed_boot_ms": 1}.items())  # it says live, but for long no row was kept
        self.assertRegex(self.status(1), r"kitchen +live")
        self.put_all(journal="memory")
        self.assertIn("memory", self.status(1))
        self.put_all(sticks=[{"id": "X", "state": "full"}])
        self.assertIn("X: full", self.status(1))
        self.put_all()
        self.put("stick", "failed", error="no journal")
        self.assertIn("failed: no journal", self.status(1))

    def test_several_sticks_each_with_its_reason_and_how_far_it_is(self):
        self.put_all(sticks=[
            {"id": "ABCD-1234", "state": "writing", "percent": 34, "eta_s": 125, "backlog": 4711, "gap": False,
             "error": None},
            {"id": "sdb", "state": "refused", "percent": None, "eta_s": None, "backlog": 0, "gap": False,
             "error": "NTFS: only FAT and exFAT are written"},
            {"id": "EF01-0001", "state": "idle", "percent": None, "eta_s": None, "backlog": 0, "gap": True,
             "error": None}])
        text = self.status(1)
        self.assertIn("stick     ABCD-1234: writing, 4711 rows to write, 34 % caught up, 2 min to go\n", text)
        self.assertIn("stick     sdb: refused (NTFS: only FAT and exFAT are written)\n", text)
        self.assertIn("stick     EF01-0001: idle, misses rows that the journal has no more\n", text)

    def test_a_program_that_says_nothing_is_not_believed(self):
        self.put_all()
        self.put("stick", age_ms=60000, sticks=[])
        self.assertIn("no sign of life for 60 s", self.status(1))
        self.put_all()
        self.put("leds", boot_id="00000000-0000-0000-0000-000000000000")
        self.assertRegex(self.status(1), r"leds +no sign of life")
        self.put_all()
        self.put("acquire", "stopped", age_ms=60000, meters=[], journal={"state": "ok"}, clock={})
        self.assertRegex(self.status(1), r"acquire +stopped")

    def test_what_is_written_while_it_starts_is_believed(self):
        self.put_all()
        done = threading.Event()

        def rewrite():
            while not done.is_set():
                self.put("stick", sticks=[])
        writer = threading.Thread(target=rewrite)
        writer.start()
        try:
            for _ in range(40):  # one in three had a time that was ahead of when the program had begun
                self.assertRegex(self.status(None), r"stick +running")
        finally:
            done.set()
            writer.join()

    def test_nothing_at_all(self):
        text = self.status(1)
        self.assertRegex(text, r"acquire +not running\nstick +not running\nleds +not running\n")
        self.assertFalse(json.loads(self.status(1, "--json"))["well"])

    def test_files_that_are_no_status(self):
        self.put_all()
        (self.directory / "stick.json").write_text('{"half')
        result = self.meterstick("status", "--run-dir", self.directory, status=1)
        self.assertIn("stick.json", result.stderr)


if __name__ == "__main__":
    unittest.main()
