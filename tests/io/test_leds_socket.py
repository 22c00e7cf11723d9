# SPDX-License-Identifier: MIT
"""leds.sock: what may be asked there, by how many, and whose name it is."""

import socket
import stat
import time
import unittest

import harness
import ledbed
import lights


class Socket(ledbed.Case):
    def setUp(self):
        super().setUp()
        self.path = self.run / "leds.sock"
        self.asker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.asker.close)
        self.asker.bind(b"")
        self.asker.settimeout(10)

    def serve(self):
        self.start_leds()
        self.wait_for_socket()

    def ask(self, question):
        self.asker.sendto(question, str(self.path))
        return self.asker.recv(4096)

    def test_what_is_no_question_is_refused(self):
        self.serve()
        self.assertEqual(self.ask(b"led 3 green"), b"ok")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o660)
        for bad in (b"", b"led 8 red", b"led 3 green\0", b"x" * 128, b"ip 1.2.3.4.5.6.7.8.9", b"ip" + b" " * 127,
                    b"x" * 60000):
            self.assertRegex(self.ask(bad), b"^error this is no question")
        self.assertEqual(self.ask(b"ip" + b" " * 126), b"ok")

    def test_who_cannot_be_answered_is_not(self):
        self.serve()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(b"led 5 cyan", str(self.path))
        self.wait_for(lambda frame: frame["pixels"][5] == "00c8c8", 10, "it is done all the same")
        gone = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        gone.bind(b"")
        gone.sendto(b"led 5 white", str(self.path))
        gone.close()
        self.wait_for(lambda frame: frame["pixels"][5] == "c8c8c8", 10, "it is done all the same")
        self.assertEqual(self.ask(b"led 5 off"), b"ok")

    def test_a_flood_of_questions_is_refused_and_the_lights_go_on(self):
        self.serve()
        self.wait_for(lambda frame: frame["words"][0] == "dead", 10, "it runs")
        begin_ms = lights.now_ms()
        flood = self.start("/usr/bin/python3", "-c", "import socket, sys\n"
                           "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\nwhile True:\n"
                           "    s.sendto(b'led 7 blue', sys.argv[1])\n", self.path)
        time.sleep(3)
        flood.kill()
        flood.wait()
        blinks = [frame["boot_ms"] for frame in self.frames() if frame["boot_ms"] > begin_ms]
        self.assertGreaterEqual(len(blinks), 4)
        self.assertLess(max(b - a for a, b in zip(blinks, blinks[1:])), 1500)
        harness.wait_until(lambda: self.ask(b"led 6 red") == b"ok", 10, "who asks later is heard")
        self.assertIn(b"error too many questions: ask again in a second", [self.ask(b"led 6 red") for _ in range(60)])

    def test_a_killed_one_leaves_a_name_that_the_next_one_takes_over(self):
        self.serve()
        self.leds.kill()
        self.leds.wait()
        self.assertTrue(self.path.exists())
        self.start_leds()
        harness.wait_until(lambda: self.answers(b"led 3 green"), 10, "the next one")
        self.leds.terminate()
        self.leds.wait(10)
        self.assertFalse(self.path.exists())

    def answers(self, question):
        try:
            return self.ask(question) == b"ok"
        except (ConnectionRefusedError, FileNotFoundError):
            return False

    def test_one_that_is_alive_keeps_its_name_until_its_end(self):
        self.serve()
        first = self.leds
        inode = self.path.stat().st_ino
        self.start_leds("--record", self.directory / "second", record=False)
        harness.wait_until(lambda: "nobody can ask" in self.log.read_text(), 10, "the second one says so")
        time.sleep(1.5)
        self.assertEqual(self.path.stat().st_ino, inode)
        self.assertEqual(self.log.read_text().count("nobody can ask"), 1)
        first.terminate()
        first.wait(10)
        harness.wait_until(lambda: self.path.exists() and self.answers(b"led 3 green"), 10, "now it can be asked")

    def test_what_is_not_ours_is_left_alone(self):
        self.path.write_text("mine")
        self.start_leds()
        harness.wait_until(lambda: "nobody can ask" in self.log.read_text(), 10, "it says so")
        time.sleep(1.2)
        self.assertEqual(self.path.read_text(), "mine")
        self.path.unlink()
        harness.wait_until(self.path.is_socket, 10, "the way is free")

    def test_a_name_that_is_removed_comes_again(self):
        self.serve()
        self.path.unlink()
        harness.wait_until(self.path.is_socket, 10, "it comes again")
        self.assertEqual(self.ask(b"led 3 green"), b"ok")


if __name__ == "__main__":
    unittest.main()
