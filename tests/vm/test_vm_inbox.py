# SPDX-License-Identifier: MIT
"""
A configuration without a shell, on a real kernel with the units as they are installed: meterstick.conf on a stick that
is plugged, pulled in the middle of it, and on the boot partition. Adopted once, and answered in RESULT.txt.
"""

import hashlib
import time
import unittest

import harness
import stickbed
import unitbed
from unitbed import STATE


def setUpModule():
    stickbed.prepare_or_skip()


def meter(number):
    return f"[meter m{number}]\nbus = a\nmodel = {unitbed.MODEL}\naddress = {number}\n"


class Inbox(unitbed.Bed):
    def setUp(self):
        super().setUp()
        # four meters answer, one of them is configured
        self.configure(meters=4, text=unitbed.configuration(meters=1))
        self.start_all()

    def bring(self, text, kind="fat32"):
        """A stick with a meterstick.conf. Returns it, and the sha256 of the file."""
        stick = self.make(kind)
        stick.put("meterstick.conf", text.encode())
        return stick, hashlib.sha256(text.encode()).hexdigest()

    def answer(self, sha256):
        found = [one for one in self.try_status("acquire").get("inbox", []) if one["sha256"] == sha256]
        self.assertLessEqual(len(found), 1)
        return found[0] if found else None

    def wait_answer(self, sha256, result):
        answer = self.wait_until(lambda: self.answer(sha256), 90, "an answer")
        self.assertEqual(answer["result"], result, answer)
        return answer

    def wait_live(self, *numbers):
        wanted = [f"m{number}" for number in numbers]
        self.wait_until(lambda: [one["name"] for one in self.try_status("acquire").get("meters", [])
                                 if one["state"] == "live"] == wanted, 90, f"{wanted} are read")

    def pull_after_burst(self, stick):
        """After one that begins now is over. Returns what is in RESULT.txt then."""
        watch = self.guest.watch
        begin = watch.wait(lambda kind, value: kind == "mounts" and value == "1", 90, watch.mark(), "a burst")
        watch.wait(lambda kind, value: kind == "mounts" and value == "0", 90, self.mark_at(begin), "its end")
        self.pull(stick)
        self.wait_state("-")
        return stick.read("RESULT.txt").decode()

    def adopted(self):
        return self.guest.pull(f"{STATE}/adopted.conf").decode()

    def test_a_stick_is_adopted_and_one_with_a_fault_is_refused(self):
        good, bad = meter(2), "[bus a]\nprot = auto\n" + meter(3)
        stick, sha256 = self.bring(good)
        self.plug(stick)
        self.wait_answer(sha256, "adopted")
        self.wait_live(1, 2)
        said = self.pull_after_burst(stick)
        self.assertIn("ADOPTED: 2 meters on 1 bus.\r\n", said)
        self.assertIn(sha256, said)

        stick, sha256 = self.bring(bad)
        self.plug(stick)
        self.wait_answer(sha256, "refused")
        self.wait_words(program="running", meters="all read", stick="behind")  # its light does not say that all is well
        said = self.pull_after_burst(stick)
        self.assertIn("REFUSED", said)
        self.assertIn("line 2: unknown key 'prot' in [bus], did you mean 'port'?", said)
        self.assertEqual(self.adopted(), good)
        self.assertEqual(self.guest.run(f"ls {STATE}/inbox").split(), [])
        self.check_alive()

    def test_it_is_pulled_while_it_is_read_and_answered(self):
        """Whenever it is pulled: adopted once or not at all, and the next time it is in, the answer comes."""
        count = harness.share(200)
        for number in range(count):
            text = f"# {number}\n" + "".join(meter(index) for index in range(2, 3 + number % 3))
            stick, sha256 = self.bring(text, self.random.choice(("fat32", "fat16")))
            self.plug(stick)
            time.sleep(self.random.uniform(0, 4))
            self.pull(stick)
            self.wait_state("-")
            self.plug(stick)
            self.wait_answer(sha256, "adopted")
            self.assertIn(sha256, self.pull_after_burst(stick))
            self.assertEqual(self.adopted(), text)
        self.wait_well()
        self.check_alive()
        harness.figure(f"sticks with a configuration that were pulled at any time: {count}, each adopted once")

    def test_the_boot_partition_is_read_once_and_never_written(self):
        text = meter(3)
        self.guest.run("mkdir -p /boot/firmware")
        self.guest.push("/boot/firmware/meterstick.conf", text)
        self.guest.run("touch -d 2020-01-01 /boot/firmware/meterstick.conf /boot/firmware")
        before = self.guest.run("stat -c '%y %z %s %i' /boot/firmware /boot/firmware/meterstick.conf")
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        self.guest.run(f"systemctl restart {unitbed.unit('acquire')}", 120)
        self.wait_answer(sha256, "adopted")
        self.wait_live(1, 3)
        self.assertRegex(self.guest.run("meterstick status || true"), f"brought +adopted: {sha256[:8]}")

        # what came later stays, though the file is still there
        stick, other = self.bring(meter(4))
        self.plug(stick)
        self.wait_answer(other, "adopted")
        self.wait_live(1, 4)
        self.guest.run(f"systemctl restart {unitbed.unit('acquire')}", 120)
        self.wait_live(1, 4)
        self.assertEqual(self.guest.run("stat -c '%y %z %s %i' /boot/firmware /boot/firmware/meterstick.conf"), before)
        self.pull(stick)


if __name__ == "__main__":
    unittest.main()
