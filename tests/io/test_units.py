# SPDX-License-Identifier: MIT
"""
The units: what systemd itself says of them, what "cmake --install" leaves, and what the programs tell a service
manager. What they do when started by one: tests/vm.
"""

import os
import re
import shutil
import socket
import subprocess
import time
import unittest

import harness

UNITS = harness.SOURCE / "systemd"
SCORES = {"acquire": 1.3, "stick": 1.5, "leds": 0.8}  # at most, of 10
COMMANDS = ("ExecStart", "ExecReload", "ExecStopPost")

# What each unit must say, whatever else it says
EACH = {"StartLimitIntervalSec": "0", "Type": "notify", "NotifyAccess": "main", "Restart": "always",
        "User": "meterstick", "RemoveIPC": "no", "PrivateMounts": "yes", "ProtectSystem": "strict",
        "NoNewPrivileges": "yes", "IPAddressDeny": "any", "DevicePolicy": "closed"}
OWN = {"acquire": {"Group": "dialout", "WatchdogSec": "30s", "CapabilityBoundingSet": "", "AmbientCapabilities": ""},
       "stick": {"Group": "disk", "WatchdogSec": "30s", "CapabilityBoundingSet": "CAP_SYS_ADMIN",
                 "RestrictAddressFamilies": "AF_UNIX AF_NETLINK"},
       "leds": {"Group": "gpio", "WatchdogSec": "5s", "CapabilityBoundingSet": "", "AmbientCapabilities": "",
                "RestrictAddressFamilies": "AF_UNIX AF_NETLINK"}}
# The status files outlive their writers, the network is the host's, and no exit code ends the tries
NEVER = ("RuntimeDirectory", "PrivateNetwork", "PrivateIPC", "RestartPreventExitStatus", "SupplementaryGroups")


def unit(name):
    return UNITS / f"meterstick-{name}.service"


def settings(name):
    """[(key, value)] of a unit, in its order."""
    return [tuple(part.strip() for part in line.split("=", 1)) for line in unit(name).read_text().splitlines()
            if "=" in line and not line.startswith("#")]


def tree(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


class Files(harness.Case):
    def analyze(self, *arguments):
        result = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                                check=False)
        return result.returncode, result.stdout + result.stderr

    def filled(self, name):
        """A copy that names programs which are there."""
        path = self.directory / unit(name).name
        path.write_text(unit(name).read_text().replace("@BINDIR@", str(harness.BIN)))
        return path

    def test_there_are_three(self):
        self.assertEqual({path.name for path in UNITS.glob("*.service")}, {unit(name).name for name in SCORES})

    def test_systemd_knows_every_key_and_finds_every_program(self):
        for name in SCORES:
            with self.subTest(unit=name):
                self.assertEqual(self.analyze("verify", "--man=no", self.filled(name)), (0, ""))

    def test_an_unknown_key_would_be_seen(self):
        path = self.filled("leds")
        path.write_text(path.read_text().replace("UMask=", "UMsk="))
        self.assertIn("UMsk", self.analyze("verify", "--man=no", path)[1])

    def test_they_expose_no_more_than_they_may(self):
        for name, most in SCORES.items():
            with self.subTest(unit=name):
                code, text = self.analyze("security", "--offline=yes", "--no-pager", f"--threshold={most * 10:.0f}",
                                          self.filled(name))
                score = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
                self.assertTrue(score, text)
                harness.figure(f"exposure of meterstick-{name}: {score[1]} (at most {most})")
                self.assertLessEqual(float(score[1]), most)
                self.assertEqual(code, 0, text)

    def test_placeholders_stand_in_commands_only(self):
        for name in SCORES:
            for key, value in settings(name):
                with self.subTest(unit=name, key=key):
                    self.assertLessEqual(set(re.findall(r"@(\w+)@", value)), {"BINDIR"} if key in COMMANDS else set())

    def test_they_say_what_they_must(self):
        for name in SCORES:
            said = settings(name)
            for key, value in {**EACH, **OWN[name]}.items():
                with self.subTest(unit=name, key=key):
                    self.assertEqual([had for has, had in said if has == key], [value])
            self.assertLessEqual({"WantedBy", "RestartSec", "MemoryMax", "TasksMax"}, {key for key, _ in said})
            self.assertFalse({key for key, _ in said} & set(NEVER))

    def test_what_they_write_to_is_made_before(self):
        made = {line.split()[1] for line in (UNITS / "meterstick.tmpfiles").read_text().splitlines()
                if line.startswith("d ")}
        for name in SCORES:
            for key, value in settings(name):
                if key in ("ReadWritePaths", "RootDirectory", "BindPaths"):
                    with self.subTest(unit=name, key=key):
                        self.assertLessEqual({path.lstrip("-+") for path in value.split()}, made | {"/dev/shm"})

    def test_drivers_whose_devices_they_may_use_are_loaded_before(self):
        """DeviceAllow= by the name of a driver is nothing while that is not loaded."""
        loads = set(re.findall(r"^\w+$", (UNITS / "meterstick.modules-load").read_text(), re.MULTILINE))
        drivers = {"char-ttyUSB": "usbserial", "char-ttyACM": "cdc_acm", "block-sd": "sd_mod"}
        builtin = {"char-ttyAMA", "char-ttyS", "char-gpiochip"}
        for name in SCORES:
            for device in [value.split()[0] for key, value in settings(name) if key == "DeviceAllow"]:
                with self.subTest(unit=name, device=device):
                    self.assertTrue(device in builtin or drivers[device] in loads)

    def test_only_acquire_writes_the_journal(self):
        writes = {name: {path.lstrip("-+") for key, value in settings(name) if key in ("ReadWritePaths", "BindPaths")
                         for path in value.split()} for name in SCORES}
        self.assertEqual({name for name, paths in writes.items() if "/var/lib/meterstick" in paths}, {"acquire"})
        self.assertEqual(writes["stick"], {"/run/meterstick", "/var/lib/meterstick/inbox"})
        self.assertEqual(writes["leds"], {"/run/meterstick"})

    def test_a_program_on_the_shells_path_is_not_needed(self):
        """A small system has no /bin/kill: what is none of ours is the shell."""
        for name in SCORES:
            for key, value in settings(name):
                if key in COMMANDS and "@BINDIR@" not in value:
                    self.assertTrue(value.startswith("/bin/sh -c "), value)

    def test_sysusers_makes_one_user_who_is_in_no_group(self):
        root = self.directory / "root"
        (root / "etc").mkdir(parents=True)
        (root / "usr/lib/sysusers.d").mkdir(parents=True)
        shutil.copy(UNITS / "meterstick.sysusers", root / "usr/lib/sysusers.d/meterstick.conf")
        subprocess.run(["systemd-sysusers", f"--root={root}"], check=True, capture_output=True)
        users = (root / "etc/passwd").read_text().splitlines()
        self.assertEqual(len(users), 1)
        self.assertRegex(users[0], r"^meterstick:[^:]*:\d+:\d+:Meterstick:/var/lib/meterstick:/usr/sbin/nologin$")
        groups = dict(line.split(":", 1) for line in (root / "etc/group").read_text().splitlines())
        self.assertEqual(set(groups), {"meterstick", "dialout", "disk", "gpio"})
        self.assertTrue(all(entry.endswith(":") for entry in groups.values()), groups)


class Installed(harness.Case):
    def install(self, *options):
        root = self.directory / "root"
        subprocess.run(["cmake", "--install", str(harness.BIN.parent), *options], check=True, capture_output=True,
                       env=dict(os.environ, DESTDIR=str(root)), timeout=120)
        return root

    def test_the_tree_is_complete(self):
        root = self.install("--prefix", "/usr") / "usr"
        found = tree(root)
        expected = {f"lib/systemd/system/{unit(name).name}" for name in SCORES}
        expected |= {f"lib/{folder}.d/meterstick.conf" for folder in ("sysusers", "tmpfiles", "modules-load")}
        expected |= {f"lib/udev/rules.d/{path.name}" for path in (harness.SOURCE / "board").glob("*.rules")}
        expected |= {f"share/meterstick/models/{path.name}" for path in harness.MODELS.glob("*.meter")}
        expected |= {f"share/man/man{path.suffix[1]}/{path.name}" for path in (harness.SOURCE / "docs/man").iterdir()}
        expected |= {f"share/doc/meterstick/{name}" for name in ("README.md", "CHANGELOG.md", "LICENSE")}
        expected |= {f"share/doc/meterstick/docs/{path.name}" for path in (harness.SOURCE / "docs").glob("*.md")}
        expected |= {f"share/doc/meterstick/examples/{path.name}"
                     for path in (harness.SOURCE / "docs/examples").iterdir()}
        expected.add("share/bash-completion/completions/meterstick")
        programs = {path.name for path in harness.BIN.iterdir() if path.is_file() and os.access(path, os.X_OK)}
        expected |= {f"libexec/meterstick/{name}" for name in programs - {"meterstick"}} | {"bin/meterstick"}
        self.assertEqual(expected - found, set())
        self.assertEqual({path for path in found - expected if not path.endswith(".svg")}, set())
        for name in SCORES:
            program = root / f"libexec/meterstick/meterstick-{name}"
            self.assertTrue(os.access(program, os.X_OK))
        # what stands there works as it stands there
        environment = {key: value for key, value in os.environ.items() if key != "METERSTICK_MODELS"}
        models = subprocess.run([root / "bin/meterstick", "models"], env=environment, capture_output=True, text=True,
                                check=True).stdout
        self.assertEqual(len(models.splitlines()), len(list(harness.MODELS.glob("*.meter"))))
        self.assertIn("Usage:", subprocess.run([root / "bin/meterstick", "acquire", "--help"], capture_output=True,
                                               text=True, check=True).stdout)

    def test_units_name_the_programs_where_they_are(self):
        for prefix in ("/usr", "/usr/local"):
            root = self.install("--prefix", prefix)
            for name in SCORES:
                text = (root / prefix[1:] / "lib/systemd/system" / unit(name).name).read_text()
                self.assertNotRegex(text, r"@\w+@")
                self.assertIn(f"ExecStart={prefix}/bin/meterstick {name}\n", text)
                self.assertTrue((root / prefix[1:] / "bin/meterstick").is_file())
                # and nothing else is another than it was
                self.assertEqual(text.replace(f"{prefix}/bin", "@BINDIR@"), unit(name).read_text())

    def test_the_example_is_right(self):
        for path in (harness.SOURCE / "docs/examples").glob("*.conf"):
            self.meterstick("check", path, status=0)
            # and so it is with what stands in its comments
            text = re.sub(r"^# (\[|\w+ *= )", r"\1", path.read_text(), flags=re.MULTILINE)
            full = self.directory / path.name
            full.write_text(text)
            self.assertIn("2 meters on 2 buses", self.meterstick("check", full, status=0).stdout)


class Told(harness.Case):
    """A service manager's ears."""

    def setUp(self):
        super().setUp()
        self.state, self.run_dir = self.directory / "state", self.directory / "run"
        self.state.mkdir()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(str(self.directory / "notify"))
        self.manager.settimeout(30)

    def begin(self, program, *arguments):
        environment = dict(os.environ, NOTIFY_SOCKET=str(self.directory / "notify"),
                           METERSTICK_MODELS=str(harness.MODELS))
        return self.start(harness.BIN / f"meterstick-{program}", "--state-dir", self.state, "--run-dir", self.run_dir,
                          *arguments, env=environment)

    def hear(self, *words):
        """The next message that begins with one of these."""
        while True:
            message = self.manager.recv(4096).decode()
            if message.startswith(words):
                return message

    def check_fed(self, most_s):
        """Often enough; twice as long is forgiven here, where others run."""
        self.hear("WATCHDOG=1")
        for _ in range(3):
            begin = time.monotonic()
            self.hear("WATCHDOG=1")
            self.assertLess(time.monotonic() - begin, most_s)

    def test_stick_with_a_directory(self):
        (self.directory / "stick").mkdir()
        self.begin("stick", "--dir", self.directory / "stick")
        self.assertEqual(self.hear("READY"), "READY=1")
        self.check_fed(15)

    def test_stick(self):
        process = self.begin("stick")
        self.assertRegex(self.hear("STATUS"), r"^STATUS=\d+ sticks? (is|are) in$")
        self.assertEqual(self.hear("READY", "STATUS"), "READY=1")
        self.check_fed(15)
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    def test_leds(self):
        process = self.begin("leds", "--record", self.directory / "frames")
        self.assertEqual(self.hear("READY"), "READY=1")
        self.check_fed(5)
        process.terminate()
        self.assertEqual(process.wait(20), 0)

    def test_acquire(self):
        _, where = self.simulate("--model", "schneider-iem2150", "--tcp", "127.0.0.1:0")
        config = self.directory / "meterstick.conf"
        config.write_text(f"[appliance]\nclock = trusted\n[bus b]\nport = tcp:{where}\n"
                          "[meter m]\nbus = b\nmodel = schneider-iem2150\n")
        process = self.begin("acquire", "--config", config)
        self.assertEqual(self.hear("READY"), "READY=1")
        while self.hear("STATUS") != "STATUS=1 of 1 meters answer":
            pass
        self.check_fed(15)
        # stick may only read there, and wants the name
        self.assertRegex((self.state / "appliance").read_text(), r"^meterstick-[0-9a-f]{4}\n$")
        process.terminate()
        self.assertEqual(self.hear("STOPPING"), "STOPPING=1")
        self.assertEqual(process.wait(20), 0)

    def test_who_cannot_begin_says_why_in_the_last_lines(self):
        """Ten of them are what "systemctl status" shows."""
        config = self.directory / "meterstick.conf"
        config.write_text("[bus b]\nport = auto\n[meter m]\nbus = b\nmodel = schneider-iem21500\n")
        (self.directory / "file").write_text("")
        for program, arguments, code, words in (
                ("acquire", ("--config", config), 78, "schneider-iem2150"),
                ("acquire", ("--config", self.directory / "none.conf"), 78, "none.conf"),
                ("acquire", ("--config", config, "--state-dir", self.directory / "file/state"), 74, "--state-dir"),
                ("stick", ("--run-dir", self.directory / "file/run"), 74, "file/run")):
            with self.subTest(program=program, words=words):
                result = subprocess.run([str(part) for part in (
                    harness.BIN / f"meterstick-{program}", "--state-dir", self.state, "--run-dir", self.run_dir,
                    *arguments)], capture_output=True, text=True, timeout=60, check=False,
                    env=dict(os.environ, METERSTICK_MODELS=str(harness.MODELS)))
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(words, "\n".join(result.stderr.splitlines()[-10:]))


if __name__ == "__main__":
    unittest.main()
