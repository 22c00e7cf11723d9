# SPDX-License-Identifier: MIT
"""
A configuration without a shell: meterstick.conf in the root of a stick, adopted or refused by `acquire`, answered in
RESULT.txt on the stick. Real programs, and what people, old sticks and hostile ones put there.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import signal
import tempfile
import time
import unittest

import crashbed
import harness

CARD = "[appliance]\nname = house\ninterval = 500 ms\nclock = trusted\n[journal]\ncommit = 1 s\n[stick]\nburst = 5 s\n"


def meter(name, address, bus="b"):
    return f"[meter {name}]\nbus = {bus}\nmodel = {crashbed.MODEL}\naddress = {address}\n"


def digest(content):
    return hashlib.sha256(content).hexdigest()


class Appliance:
    """`acquire` and `stick --dir` with directories of their own."""

    def __init__(self, case, directory, card=None):
        self.case, self.directory = case, pathlib.Path(directory)
        self.state, self.run, self.stick = (self.directory / name for name in ("state", "run", "stick"))
        self.config = self.directory / "card.conf"
        self.log = self.directory / "log"
        self.stick.mkdir()
        if card is not None:
            self.config.write_text(card)

    def start(self, program, *arguments, **environment):
        environment = dict(os.environ, METERSTICK_MODELS=str(harness.MODELS),
                           **{name: str(value) for name, value in environment.items()})
        with open(self.log, "ab") as log:
            return self.case.start(harness.PLAIN_BIN / f"meterstick-{program}", "--state-dir", self.state, "--run-dir",
                                   self.run, *arguments, stdout=log, stderr=log, env=environment)

    def acquire(self, **environment):
        arguments = ("--config", self.config) if self.config.exists() else ()
        return self.start("acquire", *arguments, **environment)

    def serve(self):
        return self.start("stick", "--dir", self.stick)

    def put(self, text, name="meterstick.conf"):
        content = text if isinstance(text, bytes) else text.encode()
        (self.stick / name).write_bytes(content)
        return digest(content)

    def status(self, program="acquire"):
        try:
            return json.loads((self.run / f"{program}.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def wait(self, condition, what, seconds=60):
        try:
            return harness.wait_until(condition, seconds, what)
        except AssertionError:
            raise AssertionError(f"{what}\n{self.log.read_text()[-3000:]}\n{self.result()}") from None

    def answer(self, sha256):
        """What acquire says of it; None: nothing."""
        found = [answer for answer in self.status().get("inbox", []) if answer["sha256"] == sha256]
        self.case.assertLessEqual(len(found), 1)
        return found[0] if found else None

    def wait_answer(self, sha256):
        return self.wait(lambda: self.answer(sha256), "an answer")

    def meters(self):
        return [meter["name"] for meter in self.status().get("meters", [])]

    def live(self):
        return sorted(meter["name"] for meter in self.status().get("meters", []) if meter["state"] == "live")

    def result(self):
        try:
            return (self.stick / "RESULT.txt").read_bytes().decode()
        except FileNotFoundError:
            return ""

    def wait_result(self, *words):
        return self.wait(lambda: all(word in self.result() for word in words) and self.result(), f"RESULT.txt: {words}")

    def waiting(self):
        return sorted(path.name for path in (self.state / "inbox").iterdir()) if (self.state / "inbox").exists() else []

    def adopted(self):
        try:
            return (self.state / "adopted.conf").read_bytes().decode()
        except FileNotFoundError:
            return None


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.slave = crashbed.Slave(self)

    def card(self, more=""):
        return CARD + more + f"[bus b]\nport = {self.slave.where}\n" + meter("m1", 1)


class Inbox(Case):
    def test_a_stick_configures_the_appliance_and_hears_of_it(self):
        """Adopted while it logs; refused with every line; and an old stick changes nothing."""
        bed = Appliance(self, self.directory, self.card())
        bed.acquire()
        bed.serve()
        bed.wait(lambda: bed.live() == ["m1"], "the first meter")
        good = "# two more\r\n[appliance]\r\nname = cellar\r\n" + meter("m2", 2) + meter("m3", 3)
        first = bed.put(good)
        text = bed.wait_result("ADOPTED")
        self.assertIn("ADOPTED: 3 meters on 1 bus.\r\n", text)
        self.assertIn(f"SHA-256 of the file: {first}\r\n", text)
        self.assertEqual(text.replace("\r\n", "").count("\n"), 0)
        bed.wait(lambda: bed.live() == ["m1", "m2", "m3"], "all meters")
        self.assertEqual(bed.answer(first)["result"], "adopted")
        self.assertEqual(bed.adopted(), good)
        self.assertEqual(bed.waiting(), [])
        bed.wait(lambda: list((bed.stick / "kwhmeter/cellar").glob("m3/*.csv")), "its rows under the new name")

        bad = "[appliance]\nname = attic\n[bus b]\nprot = auto\n[meter m9]\ndriver = exec\ncommand = reboot\n"
        second = bed.put(bad)
        text = bed.wait_result("REFUSED")
        for words in ("line 4: unknown key 'prot' in [bus], did you mean 'port'?", "line 6: driver = exec: ",
                      "line 7: command = reboot: this cannot be adopted"):
            self.assertIn(f"  {words}", text)
        self.assertEqual(bed.answer(second)["result"], "refused")
        self.assertEqual(bed.adopted(), good)
        self.assertEqual(bed.meters(), ["m1", "m2", "m3"])
        sticks = bed.wait(lambda: [one for one in bed.status("stick").get("sticks", [])
                                   if one["state"] == "idle" and "configuration" in one], "its word")
        self.assertEqual(sticks[0]["configuration"], "refused")
        self.assertIn("see RESULT.txt", sticks[0]["error"])

        third = bed.put(good + "interval = 1 s\n")
        bed.wait_result("ADOPTED", third)
        before = bed.adopted()
        bed.put(good)
        self.assertIn("another has taken its place since", bed.wait_result("ADOPTED", first))
        self.assertEqual((bed.adopted(), bed.waiting()), (before, []))
        written = (bed.stick / "RESULT.txt").stat().st_mtime_ns
        rows = (bed.stick / "kwhmeter/cellar/m1")
        size = sum(path.stat().st_size for path in rows.iterdir())
        bed.wait(lambda: sum(path.stat().st_size for path in rows.iterdir()) > size, "another burst")
        self.assertEqual((bed.stick / "RESULT.txt").stat().st_mtime_ns, written)

    def test_what_was_answered_is_remembered_by_the_next_run(self):
        bed = Appliance(self, self.directory, self.card())
        process = bed.acquire()
        stick = bed.serve()
        old = bed.put(meter("m2", 2))
        bed.wait_result("ADOPTED", old)
        new = bed.put(meter("m3", 3))
        bed.wait_result("ADOPTED", new)
        harness.stop(process)
        harness.stop(stick)
        bed.put(meter("m2", 2))
        (bed.stick / "RESULT.txt").unlink()
        bed.acquire()
        bed.serve()
        self.assertIn("another has taken its place", bed.wait_result("ADOPTED", old))
        self.assertEqual(bed.adopted(), meter("m3", 3))
        bed.wait(lambda: bed.live() == ["m1", "m3"], "the newer one")

    def test_the_first_configuration_of_all_comes_on_a_stick(self):
        if pathlib.Path("/etc/meterstick").exists():
            self.skipTest("this computer has a configuration of its own")
        bed = Appliance(self, self.directory)
        text = f"[bus b]\nport = {self.slave.where}\n" + meter("m1", 1)
        name = f"{bed.put(text)}.conf"
        bed.serve()
        bed.wait(lambda: bed.waiting() == [name], "it waits")
        bed.acquire()
        self.assertIn("1 meter on 1 bus", bed.wait_result("ADOPTED"))
        bed.wait(lambda: bed.live() == ["m1"], "its meter")

    def test_the_documents_example(self):
        """docs/stick.md: its configuration is adopted, and its answer is what a misspelt one gets."""
        text = (harness.SOURCE / "docs" / "stick.md").read_text()
        example = re.search(r"^```ini\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
        answer = re.search(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[1]
        bed = Appliance(self, self.directory, CARD)
        good = bed.put(example.replace("= /dev/ttyUSB0", f"= {self.slave.where}"))
        bed.serve()
        bed.wait(lambda: bed.waiting() == [f"{good}.conf"], "it waits")
        bed.acquire()
        self.assertIn("1 meter on 1 bus", bed.wait_result("ADOPTED", good))
        bed.wait(lambda: bed.live() == ["lathe"], "its meter")
        bed.wait(lambda: "name = workshop" in (bed.state / "good.conf").read_text(), "it is kept")
        bed.put(example.replace("= /dev/ttyUSB0", f"= {self.slave.where}").replace("address", "adress"))
        self.assertTrue(bed.wait_result("REFUSED").replace("\r\n", "\n").startswith(answer), bed.result())

    def test_configure_no_takes_nothing_and_says_so(self):
        bed = Appliance(self, self.directory, self.card("configure = no\n").replace("burst = 5 s\nconfigure",
                                                                                    "burst = 5 s\nconfigure"))
        bed.acquire()
        bed.wait(lambda: bed.live() == ["m1"], "the first meter")
        sha256 = bed.put("[stick]\nconfigure = yes\n" + meter("m2", 2))
        bed.serve()
        self.assertIn("configure = no", bed.wait_result("NOT TAKEN"))
        self.assertEqual(bed.waiting(), [])
        # nor if somebody puts it into the inbox
        (bed.state / "inbox" / f"{sha256}.conf").write_bytes((bed.stick / "meterstick.conf").read_bytes())
        os.rename(bed.state / "inbox" / f"{sha256}.conf", bed.state / "inbox" / "x")
        os.rename(bed.state / "inbox" / "x", bed.state / "inbox" / f"{sha256}.conf")
        self.assertIn("configure = no", bed.wait_answer(sha256)["text"])
        bed.wait(lambda: bed.waiting() == [], "it is removed")
        self.assertEqual((bed.meters(), bed.adopted()), (["m1"], None))

    def test_hostile_sticks(self):
        """No file, too large a file, a link: nothing reaches the inbox, RESULT.txt says it, and rows are written."""
        bed = Appliance(self, self.directory, self.card())
        bed.acquire()
        secret = self.directory / "secret"
        secret.write_text(meter("m2", 2))
        where = bed.stick / "meterstick.conf"
        where.symlink_to(secret)
        bed.serve()
        bed.wait_result("REFUSED", "it is a link")
        where.unlink()
        bed.put(b"#" * (64 << 20))
        bed.wait_result("REFUSED", "larger than 128 KiB")
        self.assertEqual(bed.waiting(), [])
        self.assertEqual(bed.status()["inbox"], [])
        where.unlink()

        (bed.stick / "RESULT.txt").unlink()
        (bed.stick / "RESULT.txt").symlink_to(secret)
        sha256 = bed.put("[meter m2]\nmodel = ../../secret\n\x1b]0;x\x07")
        self.assertIn("line 2: model = ../../secret: the id of a model", bed.wait_result("REFUSED", sha256))
        self.assertEqual(secret.read_text(), meter("m2", 2))
        self.assertNotIn("\x1b", bed.result())
        self.assertEqual(bed.wait(bed.live, "the meter"), ["m1"])


class Kills(Case):
    def end_to_end(self, at):
        """Killed before the at-th change; the next run comes to the same end. Returns whether it was killed."""
        with tempfile.TemporaryDirectory(prefix="meterstick-kill-") as directory:
            bed = Appliance(self, directory, self.card())
            adopted, refused = meter("m2", 2).encode(), b"[meter m3]\nmodle = x\n"
            (bed.state / "inbox").mkdir(parents=True)
            for age, content in ((2, adopted), (1, refused)):
                path = bed.state / "inbox" / f"{digest(content)}.conf"
                path.write_bytes(content)
                os.utime(path, (time.time() - age, time.time() - age))
            process = bed.acquire(LD_PRELOAD=harness.SHIMS / "shim_kill.so", KILL_AT=at,
                                  KILL_WORDS="/inbox adopted.conf good.conf")
            bed.wait(lambda: process.poll() is not None or bed.live() == ["m1", "m2"], "killed, or at work")
            was_killed = process.poll() is not None
            if was_killed:
                self.assertEqual(process.returncode, -signal.SIGKILL, bed.log.read_text())
                self.assertIn(bed.adopted(), (None, adopted.decode()))
                process = bed.acquire()
            bed.wait(lambda: bed.live() == ["m1", "m2"], "both meters")
            self.assertEqual(bed.wait_answer(digest(adopted))["result"], "adopted")
            self.assertIn("unknown key 'modle'", bed.wait_answer(digest(refused))["text"])
            self.assertEqual(bed.adopted(), adopted.decode())
            self.assertEqual([name for name in bed.waiting() if not name.endswith(".tmp")], [])
            harness.stop(process)
            return was_killed

    def test_killed_between_any_two_steps_it_comes_to_the_same_end(self):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            killed = list(pool.map(self.end_to_end, range(1, 34)))
        self.assertEqual(killed[-1], False, "there are more steps: count further")
        self.assertGreater(killed.index(False), 15)

    def test_the_stick_program_is_killed_while_it_brings(self):
        for at in range(1, 8):
            with tempfile.TemporaryDirectory(prefix="meterstick-kill-") as directory:
                bed = Appliance(self, directory, self.card())
                name = f"{bed.put(meter('m2', 2))}.conf"
                process = bed.start("stick", "--dir", bed.stick, LD_PRELOAD=harness.SHIMS / "shim_kill.so", KILL_AT=at,
                                    KILL_WORDS="/inbox")
                bed.wait(lambda: process.poll() is not None or bed.waiting() == [name], "killed, or done")
                if bed.waiting() == [name]:
                    self.assertEqual((bed.state / "inbox" / name).read_text(), meter("m2", 2))
                harness.stop(process)
                process = bed.serve()
                bed.wait(lambda: bed.waiting() == [name], "it is there in the end")
                self.assertEqual((bed.state / "inbox" / name).read_text(), meter("m2", 2))
                harness.stop(process)


if __name__ == "__main__":
    unittest.main()
