# SPDX-License-Identifier: MIT
"""
What the tests of the services share: a guest in which `cmake --install` has put our programs with their units, users,
directories and rules, as on an appliance; the units started; what the lights showed, in frames that `leds` records;
and at the end, what is on the sticks against the journal.
"""

import json
import os
import pathlib
import subprocess
import tempfile

import harness
import rig
import stickbed

RUN, STATE, MODEL = stickbed.RUN, stickbed.STATE, stickbed.MODEL
UNITS = ("acquire", "stick", "leds")
FRAMES = f"{RUN}/frames"
LIGHT_MS = 10000     # how late a light may turn


def unit(name):
    return f"meterstick-{name}.service"


def installed():
    """A tar file of what `cmake --install` installs."""
    with tempfile.TemporaryDirectory(prefix="meterstick-") as directory:
        root = pathlib.Path(directory) / "root"
        result = subprocess.run(["cmake", "--install", harness.BIN.parent, "--prefix", "/usr"], capture_output=True,
                                text=True, check=False, env=dict(os.environ, DESTDIR=str(root)))
        if result.returncode:
            raise AssertionError(f"cmake --install: {result.stdout}{result.stderr}")
        archive = pathlib.Path(directory) / "installed.tar"
        subprocess.run(["tar", "-C", str(root), "--owner=root", "--group=root", "--mode=go-w", "-cf", str(archive),
                        *os.listdir(root)], check=True)
        return archive.read_bytes()


def install(guest):
    """As a package does it; nothing is started, nothing enabled."""
    guest.push("/tmp/installed.tar", installed())
    guest.run("tar -C / --keep-directory-symlink --no-overwrite-dir -xf /tmp/installed.tar; rm /tmp/installed.tar")
    # what the guest has for tests without units
    guest.run("userdel meterstick; rm -f /etc/modules-load.d/meterstick.conf")
    guest.run("systemd-sysusers && systemd-tmpfiles --create && systemctl restart systemd-modules-load && "
              "systemctl daemon-reload && udevadm control --reload && udevadm trigger --subsystem-match=gpio", 120)


def configuration(meters=1, interval_ms=1000, burst_s=5, more=""):
    """A bus whose meters answer on TCP in the guest."""
    text = (f"[appliance]\nname = {stickbed.APPLIANCE}\ninterval = {interval_ms} ms\n{more}\n"
            f"[journal]\ncommit = 1 s\n[stick]\nburst = {burst_s} s\n[bus a]\nport = tcp:127.0.0.1:5020\n")
    return text + "".join(f"[meter m{number}]\nbus = a\nmodel = {MODEL}\naddress = {number}\n"
                          for number in range(1, meters + 1))


class Shared(stickbed.Shared):
    """One guest for all tests of a file; each begins where all had just been installed."""

    def prepare(self):
        install(self.guest)


class Bed(stickbed.Bed):
    """A test with a guest in which our units are installed."""

    share = Shared
    drop_ins = "/run/systemd/system"

    def tearDown(self):
        try:
            for name in list(self.guest.adapters):
                self.guest.unplug_adapter(name)
        except rig.Failed:
            self.drop_guest()
        super().tearDown()

    # --- what is started ---

    def configure(self, meters=1, interval_ms=1000, burst_s=5, more="", text=None):
        """Write the configuration; simulated meters answer in the guest."""
        self.meters = [f"m{number}" for number in range(1, meters + 1)]
        self.interval_ms = interval_ms
        self.guest.push("/etc/meterstick/meterstick.conf", text or configuration(meters, interval_ms, burst_s, more))
        simulate = stickbed.SIMULATE.format(meters=f"--model {MODEL}:1-{meters}").replace("/usr/bin/", self.prefix())
        self.guest.push(f"{self.drop_ins}/simulate.service", simulate)
        self.record()

    def prefix(self):
        return self.guest.run("dirname $(command -v meterstick)") + "/"

    def exec_line(self, name, key="ExecStart"):
        """Of a unit, as it was installed."""
        lines = self.guest.run(f"systemctl cat {unit(name)} | sed -n 's/^{key}=//p'").splitlines()
        return lines[-1] if lines else None

    def override(self, name, **settings):
        """A drop-in for the [Service] of a unit."""
        text = "[Service]\n" + "".join(f"{key}=\n{key}={value}\n" if key.startswith("Exec") else f"{key}={value}\n"
                                       for key, value in settings.items())
        self.guest.push(f"{self.drop_ins}/{unit(name)}.d/test.conf", text)
        self.guest.run("systemctl daemon-reload")

    def record(self):
        """`leds` records its frames, and its farewell, beside all else that its unit lets it do."""
        commands = {key: self.exec_line("leds", key) for key in ("ExecStart", "ExecStopPost")}
        self.override("leds", **{key: f"{line} --record {FRAMES}" for key, line in commands.items() if line})

    start = harness.Case.start

    def begin(self, **options):
        """All three are started; until every light says that all is well."""
        self.configure(**options)
        self.start_all()

    def start_all(self):
        self.guest.run(f"systemctl start simulate {' '.join(unit(name) for name in UNITS)}", 120)
        for name in UNITS:
            self.pids[name] = self.pid(name)
        self.wait_well()
        self.guest.start_watch(self.pids["stick"])

    def start_unit(self, name):
        self.guest.run(f"systemctl start {unit(name)}", 120)
        self.pids[name] = self.pid(name)

    def stop_unit(self, name):
        """Politely: it ends as it should, and is not started again."""
        self.guest.run(f"systemctl stop {unit(name)}", 60)
        self.pids.pop(name, None)
        self.assertEqual(self.show(name, "Result", "SubState"), ["success", "dead"], self.log())

    def stop_acquire(self):
        self.stop_unit("acquire")

    def stop_stick(self):
        self.stop_unit("stick")

    def show(self, name, *properties):
        """Properties of a unit, in the order asked for."""
        lines = self.guest.run(f"systemctl show -p {','.join(properties)} {unit(name)}").splitlines()
        found = dict(line.partition("=")[::2] for line in lines)
        return [found[word] for word in properties]

    def pid(self, name):
        return int(self.show(name, "MainPID")[0])

    # --- what they say of themselves ---

    def try_status(self, program):
        """{} if there is none now."""
        try:
            return self.status(program)
        except (rig.Failed, ValueError):
            return {}

    def committed_seq(self):
        """Of the last row that is committed, 0 if nobody says so."""
        return self.try_status("acquire").get("journal", {}).get("seq", 0)

    def wait_until(self, condition, seconds, what):
        return harness.wait_until(condition, seconds, what, 0.1, self.log)

    def wait_new(self, name, old_pid, seconds=60):
        """Until the unit's new process has told of itself; `acquire` committed a row as well."""
        seq = self.committed_seq()

        def is_new():
            status = self.try_status(name)
            return status.get("pid") not in (None, old_pid) and status.get("state") in ("running", "starting") and (
                name != "acquire" or (status["journal"]["seq"] or 0) > seq)
        self.wait_until(is_new, seconds, f"{name} is back")
        self.pids[name] = self.pid(name)

    # --- the lights ---

    def frames(self):
        """Whole lines that were recorded so far."""
        if self.guest.status(f"test -s {FRAMES}")[0] != 0:
            return []
        text = self.guest.pull(FRAMES).decode()
        return [json.loads(line) for line in text.split("\n")[:-1]]

    def last_words(self):
        status, line = self.guest.status(f"tail -n 1 {FRAMES} 2> /dev/null")
        try:
            return json.loads(line)["words"] if status == 0 and line.endswith("\n") else []
        except ValueError:
            return []

    def wait_words(self, seconds=30, since_ms=None, **expected):
        """
        Until the last frame says so: program="dead", ... Returns the milliseconds from `since_ms` to the first frame
        from then on that does; 0 where there is none, because the one before does.
        """
        numbers = dict(program=0, meters=1, writing=2, stick=3, clock=4, outlets=5, alarm=6, power=7)

        def says(words):
            return len(words) == 8 and all(words[numbers[pixel]] == word for pixel, word in expected.items())
        self.wait_until(lambda: says(self.last_words()), seconds, f"lights {expected}, not {self.last_words()}")
        if since_ms is None:
            return None
        return next((frame["boot_ms"] for frame in self.frames()
                     if frame["boot_ms"] >= since_ms and says(frame["words"])), since_ms) - since_ms

    def wait_well(self, seconds=90):
        self.wait_words(seconds, program="running", meters="all read")

    # --- what is there in the end ---

    def check_journal(self, seqs, *volumes):
        """
        After all has stopped: the rows with these seqs are there, as said when they were committed; no reading twice;
        and each volume has exactly the rows of the journal, as `export` prints them.
        """
        rows, _ = self.journal()
        self.assertEqual(sorted(set(seqs) - rows.keys()), [], "committed, and lost")
        self.assertEqual(sorted(rows), list(range(min(rows), max(rows) + 1)), "a number is left out")
        self.assertEqual(len(set(rows.values())), len(rows), "a reading has two rows")
        exported = self.exported()
        self.assertEqual(exported.keys(), rows.keys())
        for volume in volumes:
            there = self.rows_of(volume)
            self.assertEqual(sorted(exported.keys() - there.keys()), [], f"lost on {volume.path.name}")
            self.assertEqual(there, exported, volume.path.name)
        return len(rows)

