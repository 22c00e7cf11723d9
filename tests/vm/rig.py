# SPDX-License-Identifier: MIT
"""
A guest in QEMU, driven from here: commands and files through an agent on a virtio serial port, sticks and adapters
plugged and yanked over QMP. It is booted once and saved; each Guest() goes on from there, in about 2 s.

    with rig.Guest(directory) as guest:
        guest.plug_adapter("a", ("127.0.0.1", 5020), port=1, number="FTA")
        guest.run("cat /sys/bus/usb-serial/devices/ttyUSB0/latency_timer")

What `stick` does there is seen as it happens: watch.c tells it over a port of its own, guest.watch holds it. A guest
can be frozen; then what was told is what is true, and a stick that is pulled is pulled at that moment.

No KVM: where there is a /dev/kvm it may still not run Debian's kernel.
"""

import ctypes
import fcntl
import functools
import json
import os
import pathlib
import queue
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import guest as image

SAVED = "booted"
BOOT_S = 300      # the first boot, on a machine that has other things to do
ANSWER_S = 60


class Failed(AssertionError):
    """A command of the guest, or QEMU, said no."""


class QemuEnded(Failed):
    """It crashed."""


def again_if_qemu_ends(test):
    """
    QEMU 7.2 itself crashes now and then (a segmentation fault, about one in ten) when an adapter is unplugged that is
    being spoken to. That says nothing of us: the test begins again, with setUp(), and says so; three times at most.
    """
    @functools.wraps(test)
    def run(self):
        for left in (2, 1, 0):
            try:
                return test(self)
            except QemuEnded as ended:
                if not left:
                    raise
                print(f"QEMU itself crashed: {ended}: once more", flush=True)
                self.doCleanups()
                self.setUp()
    return run


class Monitor:
    """QEMU's monitor (QMP)."""

    def __init__(self, path, seconds=30):
        self._socket = connect(path, seconds)
        self._file = self._socket.makefile("rwb")
        self._answers, self._events = queue.Queue(), []
        self._changed = threading.Condition()
        self._log = pathlib.Path(path).parent / "qemu.log"
        self._file.readline()  # the greeting
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.ask("qmp_capabilities")

    def _read(self):
        try:
            for line in self._file:
                message = json.loads(line)
                if "event" in message:
                    with self._changed:
                        self._events.append(message)
                        self._changed.notify_all()
                else:
                    self._answers.put(message)
        except (OSError, ValueError):
            pass  # QEMU ended
        self._answers.put(None)

    def _last_words(self):
        try:
            return self._log.read_text(errors="replace")[-1000:].strip()
        except OSError:
            return "it left no log"

    def ask(self, command, **arguments):
        if "_" not in command:  # the old ones have it in their arguments, too
            arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            self._file.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            self._file.flush()
            answer = self._answers.get(timeout=ANSWER_S)
        except OSError:
            answer = None
        if answer is None:
            self._answers.put(None)  # for who asks next
            raise QemuEnded(f"{command} {arguments}: QEMU ended: {self._last_words()}")
        if "error" in answer:
            raise Failed(f"{command} {arguments}: {answer['error']['desc']}")
        return answer["return"]

    def human(self, line):
        """A command of the monitor for people; savevm has no other that waits."""
        said = self.ask("human-monitor-command", command_line=line)
        if said.strip():
            raise Failed(f"{line}: {said}")

    def wait_event(self, name, seconds=ANSWER_S, **data):
        """Wait for an event with such data, and forget it and all before it."""
        def find():
            for number, event in enumerate(self._events):
                if event["event"] == name and data.items() <= event.get("data", {}).items():
                    del self._events[:number + 1]
                    return True
            return False
        with self._changed:
            if not self._changed.wait_for(find, seconds):
                raise Failed(f"no {name} {data} within {seconds} s")

    def close(self):
        """After QEMU has ended, which ends the reader."""
        self._reader.join(10)
        self._file.close()
        self._socket.close()


class Watch:
    """What watch.c tells: records are (boot ms, kind, value), and the last of each kind."""

    def __init__(self, path):
        self._socket = connect(path, 10)
        self._file = self._socket.makefile("rb")
        self.records, self._last = [], {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            for line in self._file:
                words = line.decode(errors="replace").split()
                if len(words) < 2:
                    continue
                with self._changed:
                    self.records.append((float(words[0]), words[1], words[2] if len(words) > 2 else ""))
                    self._last[words[1]] = self.records[-1][2]
                    self._changed.notify_all()
        except (OSError, ValueError):
            pass  # QEMU ended

    def forget(self):
        """All that was told."""
        with self._changed:
            self.records.clear()
            self._last.clear()

    def last(self, kind):
        """The last value of a kind, None if there was none."""
        with self._changed:
            return self._last.get(kind)

    def mark(self):
        """Where the records end now, for wait()."""
        with self._changed:
            return len(self.records)

    def has(self, test, since):
        """Whether it is true of a record since then."""
        with self._changed:
            return any(test(kind, value) for _, kind, value in self.records[since:])

    def wait(self, test, seconds=90, since=None, what="a change"):
        """
        Wait until test(kind, value) is true of a record, or, without `since`, of the last record of any kind. Returns
        its boot ms.
        """
        def find():
            if since is None:
                return next((0 for kind, value in self._last.items() if test(kind, value)), None)
            return next((ms for ms, kind, value in self.records[since:] if test(kind, value)), None)
        with self._changed:
            if not self._changed.wait_for(lambda: find() is not None, seconds):
                raise Failed(f"{what}: not within {seconds} s; {self.records[-20:]}")
            return find()

    def spans(self, test, begin_ms, end_ms, kind="mounts"):
        """The milliseconds between two times in which a kind's value was such."""
        total, since = 0.0, None
        with self._changed:
            records = [(ms, value) for ms, what, value in self.records if what == kind]
        for ms, value in [*records, (end_ms, None)]:
            if since is not None:
                total += max(0.0, min(ms, end_ms) - max(since, begin_ms))
            since = ms if value is not None and test(value) else None
        return total

    def close(self):
        self._reader.join(10)
        self._file.close()
        self._socket.close()


def become_quiet():
    """QEMU, before it is QEMU: it waits for all others, and ends with us."""
    os.nice(10)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def connect(path, seconds):
    end = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > end:
                raise Failed(f"QEMU does not listen on {path}") from None
            time.sleep(0.05)


class Guest:
    """One run. `directory` is for its disk, its sockets and its console."""

    def __init__(self, directory, place=None, saved=SAVED):
        self.directory = pathlib.Path(directory)
        self.place = place or prepare()
        self.adapters, self.sticks = {}, {}
        disk = self.directory / "disk.qcow2"
        shutil.copyfile(self.place / "booted.qcow2", disk)
        self._start(disk, ["-loadvm", saved] if saved else [])
        if saved:
            self.set_clock()

    def set_clock(self):
        """Ours. What was saved has that of then."""
        self.run(f"date -s @{time.time():.0f} > /dev/null; hwclock --systohc 2> /dev/null; true")

    def _start(self, disk, more):
        console = self.directory / "console.log"
        options = {"M": "q35", "cpu": "max", "accel": "tcg,thread=multi", "smp": "2", "m": "512", "display": "none",
                   "kernel": self.place / "vmlinuz", "initrd": self.place / "initrd",
                   "append": "console=ttyS0 root=/dev/vda panic=-1 quiet mitigations=off nokaslr",
                   "drive": f"file={disk},if=virtio,format=qcow2", "serial": f"file:{console}",
                   "qmp": f"unix:{self.directory}/qmp,server=on,wait=off"}
        ports = [f"socket,id={name},path={self.directory}/{name},server=on,wait=off" for name in ("agent", "watch")]
        command = ["qemu-system-x86_64", "-nodefaults", *(word for port in ports for word in ("-chardev", port)),
                   *(word for device in image.DEVICES for word in ("-device", device)),
                   *(word for name, value in options.items() for word in (f"-{name}", value)), *more]
        self.monitor = self._agent = self._answers = self.watch = None
        self._log = open(self.directory / "qemu.log", "wb")
        self._process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, preexec_fn=become_quiet)
        try:
            self.monitor = Monitor(self.directory / "qmp")
            self._agent = connect(self.directory / "agent", 10)
            self.watch = Watch(self.directory / "watch")
        except BaseException:
            self.close()
            raise
        self._answers = self._agent.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for thing in (self.monitor, self._answers, self._agent, self.watch, self._log):
            if thing:
                thing.close()

    def shut_down(self):
        """In order; its disk remains. What was plugged in is out."""
        self.run("setsid sh -c 'sleep 0.2; systemctl poweroff' > /dev/null 2>&1 < /dev/null &")
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            raise Failed(f"it does not shut down: {self.console()}") from None
        self.close()
        self.adapters, self.sticks = {}, {}

    def boot(self, plug=lambda: None):
        """After shut_down(): from its disk, as a computer is switched on; plug() plugs what is in before."""
        self._start(self.directory / "disk.qcow2", ["-S"])
        plug()
        self.thaw()

    def save(self, name):
        """What is now can be gone back to."""
        self.monitor.human(f"savevm {name}")

    def restore(self, name):
        """Go back. What was plugged in then must be plugged in now."""
        self.monitor.human(f"loadvm {name}")

    # --- commands and files ---

    def _ask(self, header, payload, seconds):
        self._agent.settimeout(seconds)
        try:
            self._agent.sendall(header.encode() + b"\n" + payload)
            line = self._answers.readline()
            status, size = (int(word) for word in line.split())
            return status, self._answers.read(size)
        except (OSError, ValueError) as error:
            what = f"the agent does not answer {header}: {error}; console: {self.console()}"
            raise (QemuEnded if self._has_ended() else Failed)(what) from None

    def _has_ended(self):
        try:
            return self._process.wait(2) is not None
        except subprocess.TimeoutExpired:
            return False

    def status(self, command, seconds=ANSWER_S):
        """Run a command of the shell: (its status, what it wrote)."""
        code = command.encode()
        status, output = self._ask(f"exec {len(code)} {int(seconds * 1000)}", code, seconds + 30)
        return status, output.decode(errors="replace")

    def run(self, command, seconds=ANSWER_S):
        """Run a command that must succeed. Returns what it wrote."""
        status, output = self.status(command, seconds)
        if status != 0:
            raise Failed(f"{command}: {status}: {output}")
        return output.strip()

    def wait(self, command, seconds=90):
        """Run a command again and again until it succeeds. Returns what it wrote."""
        end = time.monotonic() + seconds
        while True:
            status, output = self.status(command)
            if status == 0:
                return output.strip()
            if time.monotonic() > end:
                raise Failed(f"{command}: not within {seconds} s: {status}: {output}")
            time.sleep(0.1)

    def push(self, path, content, mode=0o644):
        """A file for the guest, from bytes, text, or a path here."""
        if isinstance(content, pathlib.Path):
            content = content.read_bytes()
        content = content.encode() if isinstance(content, str) else content
        where = str(path).encode()
        self.run(f"mkdir -p {shlex.quote(str(pathlib.PurePosixPath(path).parent))}")
        error, _ = self._ask(f"put {mode:o} {len(content)} {len(where)}", where + content, ANSWER_S)
        if error:
            raise Failed(f"put {path}: {os.strerror(error)}")

    def pull(self, path):
        """A file of the guest."""
        where = str(path).encode()
        error, content = self._ask(f"get 0 {len(where)}", where, 2 * ANSWER_S)
        if error:
            raise Failed(f"get {path}: {os.strerror(error)}")
        return content

    def console(self):
        """The end of what the kernel said."""
        try:
            return (self.directory / "console.log").read_text(errors="replace")[-2000:]
        except OSError:
            return ""

    def boot_ms(self):
        """The guest's boot clock."""
        return int(float(self.run("cut -d ' ' -f 1 /proc/uptime")) * 1000)

    def push_programs(self, programs, models):
        """Ours, as an installation has them."""
        for path in sorted(pathlib.Path(programs).iterdir()):
            if path.is_file() and os.access(path, os.X_OK):
                self.push(f"/usr/bin/{path.name}", path, 0o755)
        for path in sorted(pathlib.Path(models).glob("*.meter")):
            self.push(f"/usr/share/meterstick/models/{path.name}", path)

    # --- what is plugged in ---

    def plug_adapter(self, name, slave, port, number=None):
        """
        A USB serial adapter with an FTDI chip, whose wires lead to a TCP server here: slave = (host, port).
        port: 1 to 8, the socket on the controller. number: the adapter's serial number.
        """
        self.monitor.ask("chardev-add", id=f"wire-{name}", backend={"type": "socket", "data": {
            "addr": {"type": "inet", "data": {"host": slave[0], "port": str(slave[1])}}, "server": False}})
        more = {"serial": number} if number else {}
        self.monitor.ask("device_add", driver="usb-serial", id=name, chardev=f"wire-{name}", bus="xhci.0",
                         port=str(port), **more)
        self.adapters[name] = port

    def unplug_adapter(self, name):
        self.monitor.ask("device_del", id=name)
        self.monitor.wait_event("DEVICE_DELETED", device=name)
        self.monitor.ask("chardev-remove", id=f"wire-{name}")
        del self.adapters[name]

    def plug_stick(self, name, file, port, read_only=False, faults=()):
        """
        A USB stick whose sectors are those of a file here. read_only: with its write protection on.
        faults: rules of QEMU's blkdebug ("inject-error"), for example {"event": "none", "iotype": "write", "errno": 5,
        "sector": 2048, "once": False}.
        """
        # a flush of the guest need not become one of this machine: a stick that is pulled keeps what it was sent
        sectors = {"driver": "raw", "read-only": read_only, "cache": {"no-flush": True},
                   "file": {"driver": "file", "filename": str(file), "read-only": read_only}}
        if faults:
            sectors = {"driver": "blkdebug", "image": sectors, "read-only": read_only, "inject-error": list(faults)}
        self.monitor.ask("blockdev-add", node_name=f"sectors-{name}", **sectors)
        self.monitor.ask("device_add", driver="usb-storage", id=name, drive=f"sectors-{name}", removable=True,
                         serial=f"NUMBER-{name}", bus="xhci.0", port=str(port))
        self.sticks[name] = port

    def unplug_stick(self, name):
        self.monitor.ask("device_del", id=name)
        self.monitor.wait_event("DEVICE_DELETED", device=name)
        self.monitor.ask("blockdev-del", node_name=f"sectors-{name}")
        del self.sticks[name]

    def slow_down_stick(self, name, bytes_per_second):
        """What its writes may take; 0: as fast as can be. What waits goes on with the new speed."""
        device = next(entry["qdev"] for entry in self.monitor.ask("query-block")
                      if entry.get("inserted", {}).get("node-name") == f"sectors-{name}")
        self.monitor.ask("block_set_io_throttle", id=device, bps=0, bps_rd=0, bps_wr=bytes_per_second, iops=0,
                         iops_rd=0, iops_wr=0)

    def freeze(self):
        """Nothing moves any more, and what was told before has arrived."""
        self.monitor.ask("stop")
        time.sleep(0.02)

    def thaw(self):
        self.monitor.ask("cont")

    def start_watch(self, pid, status="/run/meterstick/stick.json"):
        """Begin to tell what the process `pid` (of `stick`) does."""
        self.run(f"setsid /usr/local/bin/watch {pid} {status} > /tmp/watch.log 2>&1 < /dev/null &")
        self.watch.wait(lambda kind, _: kind == "mounts", 30, what="the watch begins")


def prepare():
    """The guest, made and booted once, however many ask for it. Raises guest.Missing where that cannot be."""
    image.PLACE.mkdir(parents=True, exist_ok=True)
    with open(image.PLACE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return prepare_alone()


def prepare_alone():
    with open(image.PLACE / "guest.log", "a", encoding="utf-8") as log:
        place = image.build(log)
    saved = place / "booted.qcow2"
    if saved.exists():
        return place
    work = place / "first"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    fresh = place / "booted.qcow2.new"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", place / "root.ext4", "-F", "raw", fresh],
                   check=True)
    first = Guest.__new__(Guest)
    first.directory, first.place, first.adapters, first.sticks = work, place, {}, {}
    first._start(fresh, [])
    try:
        first.run("systemctl is-system-running --wait; udevadm settle; sync", BOOT_S)
        first.run("modprobe -a ftdi_sio usb-storage sd_mod vfat exfat; udevadm settle")
        first.run("sync; echo 3 > /proc/sys/vm/drop_caches")
        first.save(SAVED)
        first.monitor.ask("quit")
        first._process.wait(30)
    finally:
        first.close()
    fresh.rename(saved)
    return place


def prepare_or_skip():
    """For setUpModule()."""
    try:
        return prepare()
    except image.Missing as missing:
        raise unittest.SkipTest(f"no VM here: {missing}") from None
