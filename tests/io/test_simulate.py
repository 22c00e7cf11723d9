# SPDX-License-Identifier: MIT
"""`simulate`: meters of every model that answer as real ones, on lines that can be broken on purpose. CVM-08."""

import json
import os
import signal
import subprocess
import unittest

import harness
import meterfile


class Simulate(harness.Case):
    def link(self, name="bus"):
        return self.directory / name

    def read_all(self, model, port, address=1, status=0):
        return self.read("--model", model, "--port", port, "--address", address, "--points", "all", status=status)

    def test_every_model_answers_for_every_point(self):
        models = [model.id for model in map(meterfile.Model, sorted(harness.MODELS.glob("*.meter"))) if model.modbus]
        meters = [part for unit, model in enumerate(models, 1) for part in ("--model", f"{model}:{unit}")]
        for option in ("--pty", "--tcp", "--rtu-tcp"):
            where = self.link() if option == "--pty" else "127.0.0.1:0"
            _, ready = self.simulate(*meters, option, where, "--seed", "7", "--serial", "9600 8N1")
            port = ready if option == "--pty" else f"{option[2:]}:{ready}"
            for unit, model in enumerate(models, 1):
                with self.subTest(model, line=option):
                    serial = ("--serial", "9600 8N1") if option == "--pty" else ()
                    read = self.read("--model", model, "--port", port, "--address", unit, *serial)
                    self.assertEqual(read["errors"], {})
                    self.assertNotIn(None, read["values"].values())

    def test_values_fit_each_other_and_counters_rise(self):
        _, port = self.simulate("--model", "schneider-iem2150", "--pty", self.link(), "--seed", "7")
        first = self.read_all("schneider-iem2150", port)["values"]
        product = first["voltage"] * first["current"] * first["power_factor"]
        self.assertAlmostEqual(product / first["power_active"], 1, places=3)
        second = self.read_all("schneider-iem2150", port)["values"]
        self.assertGreaterEqual(second["energy_active_import"], first["energy_active_import"])

    def test_the_same_seed_begins_with_the_same_load(self):
        values = []
        for seed in (7, 7, 8):
            process, port = self.simulate("--model", "schneider-iem2150", "--pty", self.link(), "--seed", seed)
            values.append(self.read_all("schneider-iem2150", port)["values"])
            harness.stop(process)
        self.assertEqual(values[0]["serial_number"], values[1]["serial_number"])
        self.assertAlmostEqual(values[0]["voltage"], values[1]["voltage"], places=0)
        self.assertNotEqual(values[0]["serial_number"], values[2]["serial_number"])

    def test_commands_kill_revive_set_and_refuse(self):
        process, port = self.simulate("--model", "schneider-iem2150:1", "--model", "hiking-dds238-2-zn-s:2", "--pty",
                                      self.link())
        self.assertEqual(self.command(process, "kill 2"), "ok")
        self.assertIn("timed out", self.read_all("hiking-dds238-2-zn-s", port, 2, status=74)["errors"]["voltage"])
        self.assertEqual(self.read_all("schneider-iem2150", port)["errors"], {})
        self.assertEqual(self.command(process, "revive 2"), "ok")
        self.assertEqual(self.command(process, "set 2 voltage 231.4"), "ok")
        self.assertEqual(self.read_all("hiking-dds238-2-zn-s", port, 2)["values"]["voltage"], 231.4)
        self.assertEqual(self.command(process, "set 1 voltage nan"), "ok")
        self.assertEqual(self.read_all("schneider-iem2150", port)["errors"], {"voltage": "not available"})
        self.assertEqual(self.command(process, "set 1 voltage auto"), "ok")
        self.assertEqual(self.command(process, "exception 1 3027 4"), "ok")
        self.assertIn("exception 4", self.read_all("schneider-iem2150", port)["errors"]["voltage"])
        for line in ("kill 9", "set 1 volltage 3", "set 1 voltage x", "exception 1 any 999", "fault dorp", "dance"):
            self.assertTrue(self.command(process, line).startswith("error: "), line)

    def test_a_display_talks_and_is_heard(self):
        process, port = self.simulate("--model", "currentcost-cc128", "--pty", self.link(), "--period", "400 ms")
        values = self.read("--model", "currentcost-cc128", "--port", port)["values"]
        for name in ("power_active_s0", "power_active_s1", "power_active_s2", "impulses_s4", "temperature"):
            self.assertIsNotNone(values[name], name)
        self.assertEqual(values["power_active_s1"], sum(values[f"power_active_s1_ch{clamp}"] for clamp in (1, 2, 3)))
        self.assertIsNone(values["power_active_s9"])
        self.assertEqual(self.command(process, "history"), "ok")
        self.assertEqual(self.command(process, "noise 300"), "ok")
        self.assertEqual(self.command(process, "kill 1"), "ok")
        self.assertEqual(self.command(process, "set 0 power_active_s0 -120"), "ok")
        values = self.read("--model", "currentcost-cc128", "--port", port)["values"]
        self.assertIsNone(values["power_active_s1"])
        self.assertEqual(values["power_active_s0"], -120)

    def test_a_line_with_wire_time_counts_no_fault_of_ours(self):
        process, port = self.simulate("--model", "circutor-cvm-nrg96:1-3", "--pty", self.link(), "--wire", "--serial",
                                      "19200 8N1", "--turnaround", "10 ms")
        for address in (1, 2, 3):
            self.read("--model", "circutor-cvm-nrg96", "--port", port, "--address", address, "--serial", "19200 8N1")
        stats = json.loads(self.command(process, "stats"))
        self.assertGreater(stats["answers"], 3 * 6)
        self.assertEqual((stats["collisions"], stats["silence_violations"]), (0, 0))
        # 110 points of two registers and their frames, three times: nothing could have been faster
        self.assertGreater(stats["busy_s"], 3 * 110 * 4 * 10 / 19200)
        self.assertGreaterEqual(stats["span_s"], stats["busy_s"] * 0.98)

    def test_a_talker_that_does_not_wait_is_counted(self):
        process, port = self.simulate("--model", "schneider-iem2150", "--pty", self.link(), "--wire")
        request = bytes((1, 3, 0x0B, 0xD3, 0, 2))
        request += harness.crc16(request)
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self.addCleanup(os.close, fd)
        os.write(fd, request)
        harness.wait_until(lambda: json.loads(self.command(process, "stats"))["requests"] == 1)
        os.write(fd, request)
        stats = harness.wait_until(lambda: [stats for stats in [json.loads(self.command(process, "stats"))]
                                            if stats["collisions"]])[0]
        self.assertEqual(stats["collisions"], 8)

    def test_faults_never_give_a_wrong_number(self):
        process, port = self.simulate("--model", "schneider-iem2150", "--pty", self.link(), "--seed", "3", "--fault",
                                      "drop=10%,crc=20%,cut=10%,noise=10%,echo=20%,wrong-unit=5%,wrong-length=5%")
        self.assertEqual(self.command(process, "set 1 voltage 230"), "ok")
        seen = 0
        for _ in range(4):
            result = self.meterstick("read", "--model", "schneider-iem2150", "--port", port, "--format", "json",
                                     "--timeout", "100ms")
            value = json.loads(result.stdout)["values"]["voltage"]
            self.assertIn(value, (230, None))
            seen += value is not None
        self.assertGreater(seen, 0)

    def test_it_ends_cleanly_and_takes_its_link_with_it(self):
        for how in ("signal", "end of input", "quit"):
            with self.subTest(how):
                process, port = self.simulate("--model", "schneider-iem2150", "--pty", self.link())
                self.assertTrue(os.path.islink(port))
                if how == "signal":
                    process.send_signal(signal.SIGTERM)
                elif how == "quit":
                    self.assertEqual(self.command(process, "quit"), "ok")
                else:
                    process.stdin.close()
                self.assertEqual(process.wait(5), 0)
                self.assertFalse(os.path.lexists(port))

    def test_a_dead_ones_link_is_replaced_and_a_file_is_not(self):
        process, port = self.simulate("--model", "schneider-iem2150", "--pty", self.link())
        process.kill()
        process.wait()
        self.assertTrue(os.path.islink(port))
        self.simulate("--model", "schneider-iem2150", "--pty", self.link())
        self.read_all("schneider-iem2150", port)
        precious = self.link("precious")
        precious.write_text("keep me")
        result = self.meterstick("simulate", "--model", "schneider-iem2150", "--pty", precious, status=69)
        self.assertIn("precious", result.stderr)
        self.assertEqual(precious.read_text(), "keep me")

    def test_wrong_use_is_said(self):
        link = self.link()
        for arguments, word in ((("--pty", link), "--model"),
                                (("--model", "schneider-iem2150"), "--pty"),
                                (("--model", "schneider-iem2151", "--pty", link), "schneider-iem2150"),
                                (("--model", "schneider-iem2150:300", "--pty", link), "address"),
                                (("--model", "schneider-iem2150:1-3", "--model", "schneider-pm5100:3", "--pty", link),
                                 "two meters"),
                                (("--model", "schneider-iem2150", "--pty", link, "--fault", "dorp"), "fault"),
                                (("--model", "schneider-iem2150", "--tcp", "nonsense"), "ADDRESS:PORT"),
                                (("--model", "schneider-pm8000", "--pty", link, "--wire"), "--serial")):
            with self.subTest(arguments):
                result = self.meterstick("simulate", *arguments, status=64, stdin=subprocess.DEVNULL)
                self.assertIn(word, result.stderr)
                self.assertFalse(os.path.lexists(link))


if __name__ == "__main__":
    unittest.main()
