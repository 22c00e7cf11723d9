# SPDX-License-Identifier: MIT
"""
What the io tests share: our programs as children, ptys, free ports, a slave made of python3-pymodbus, and a slave of
our own that can be made to lie.

The programs are those of $METERSTICK_BIN (a bin directory), or of $METERSTICK_BUILD/bin. Everything that is started
here ends with the test, by its process id. Random values come from random_source(): its seed is printed, and
$METERSTICK_SEED repeats it.

Run as a program (python3 harness.py slave), this file is the pymodbus slave. It works with pymodbus 3.0 (Debian 12) and
3.8 (Debian 13).
"""

import atexit
import functools
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tty
import unittest

BIN = pathlib.Path(os.environ.get("METERSTICK_BIN")
                   or os.path.join(os.environ.get("METERSTICK_BUILD", "build"), "bin")).resolve()
PLAIN_BIN = pathlib.Path(os.environ.get("METERSTICK_PLAIN_BIN") or BIN).resolve()  # without sanitizers: to measure
SHIMS = pathlib.Path(os.environ.get("METERSTICK_TESTS") or BIN.parent / "tests").resolve()  # shim_*.so, for LD_PRELOAD
SOURCE = pathlib.Path(__file__).resolve().parents[2]
MODELS = SOURCE / "drivers" / "models"


@functools.cache
def open_programs():
    """The programs, with their models, where any user may run them: a checkout may stand in somebody's home."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="meterstick-programs-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    shutil.copytree(BIN, directory / "bin")
    return directory / "bin"


def as_nobody():
    """How root starts one of them as another user."""
    return {"user": 65534, "group": 65534, "extra_groups": [], "programs": open_programs(),
            "environment": {"METERSTICK_MODELS": str(open_programs() / "models")}}
SKIPPED = 77  # what CTest takes for "skipped"
os.environ.setdefault("TZ", "Europe/Berlin")  # local days and times of the tests are those of this zone


def random_source():
    """A random.Random whose seed is on the screen, and the same again with $METERSTICK_SEED."""
    seed = int(os.environ.get("METERSTICK_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"METERSTICK_SEED={seed}", file=sys.stderr, flush=True)
    return random.Random(seed)


def share(full):
    """How far to count where the full figure is `full`: 1 % of it, or $METERSTICK_COUNT_PERCENT; never 0."""
    return max(1, int(full * float(os.environ.get("METERSTICK_COUNT_PERCENT") or 1) / 100))


def for_full_counts(test):
    """Not a test of every day: what it finds is rare, or found elsewhere too, and it takes long."""
    return test if share(100) >= 100 else None


def figure(text):
    """A line that the summary of all tests repeats at its end."""
    print(f"\nfigure: {text}", file=sys.stderr, flush=True)


def wait_until(condition, seconds=10, what="condition", pause_s=0.01, more=None):
    """Call until it gives something true, and return that. more(): what else to say if it does not."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s" + (f"; {more()}" if more else ""))
        time.sleep(pause_s)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


class Case(unittest.TestCase):
    """A test with a directory of its own and children that end with it."""

    maxDiff = None

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="meterstick-")
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def start(self, *command, **options):
        """Start a program; it is stopped after the test, politely at first."""
        options.setdefault("stderr", subprocess.DEVNULL)
        process = subprocess.Popen([str(part) for part in command], **options)
        self.addCleanup(stop, process)
        return process

    def meterstick(self, verb, *arguments, timeout=60, status=None, **options):
        """Run a verb to its end. Returns the CompletedProcess, its output as text."""
        options.setdefault("env", dict(os.environ, METERSTICK_MODELS=str(MODELS)))
        result = subprocess.run([str(BIN / "meterstick"), verb, *map(str, arguments)], capture_output=True, text=True,
                                timeout=timeout, check=False, **options)
        if status is not None:
            self.assertEqual(result.returncode, status, f"{verb} {arguments}: {result.stdout}{result.stderr}")
        return result

    def read(self, *arguments, status=0, **options):
        """`read --format json` of one meter and poll: the object."""
        result = self.meterstick("read", *arguments, "--format", "json", status=status, **options)
        lines = result.stdout.splitlines()
        self.assertEqual(len(lines), 1, result.stdout + result.stderr)
        return json.loads(lines[0])

    def simulate(self, *arguments, **options):
        """A simulated line. Returns (process, what its "ready" line says); commands go to its stdin."""
        options.setdefault("env", dict(os.environ, METERSTICK_MODELS=str(MODELS)))
        process = self.start(BIN / "meterstick", "simulate", *arguments, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True, **options)
        ready = process.stdout.readline()
        self.assertTrue(ready.startswith("ready "), ready)
        return process, ready.split()[1]

    def command(self, process, line):
        """Give a simulated line a command. Returns its answer."""
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    def pymodbus_slave(self, transport, units):
        """
        An independent slave. transport: "tcp", "rtu-tcp" or "rtu".
        units: {unit: {"holding": {address: word}, "input": {...}}}; other registers hold words of no meaning.
        Returns the --port for `read`.
        """
        if transport != "rtu":
            number = free_port()
            spec = {"transport": transport, "port": number, "units": units}
            where = f"{transport}:127.0.0.1:{number}"
        else:
            cable = Cable()
            self.addCleanup(cable.close)
            spec = {"transport": "rtu", "port": cable.far, "units": units}
            where = cable.near
        path = self.directory / f"slave-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(spec))
        log = open(path.with_suffix(".log"), "w", encoding="utf-8")
        self.addCleanup(log.close)
        process = self.start("/usr/bin/python3", __file__, "slave", path, stdout=log, stderr=log)
        unit = int(next(iter(units)))

        def answers():
            if process.poll() is not None:
                raise AssertionError(path.with_suffix(".log").read_text())
            return knock(transport, where, unit)
        wait_until(answers, 20, "the slave answers")
        return where


def stop(process, seconds=5):
    """End a child of ours: SIGTERM, then SIGKILL."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            try:
                pipe.close()
            except BrokenPipeError:
                pass
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def knock(transport, where, unit):
    """Whether a slave answers one plain request."""
    request = bytes((unit, 3, 0, 0, 0, 1))
    try:
        if transport != "rtu":
            with socket.create_connection(("127.0.0.1", int(where.rsplit(":", 1)[1])), 1) as connection:
                connection.settimeout(1)
                connection.sendall(struct.pack(">HHH", 1, 0, 6) + request if transport == "tcp"
                                   else request + crc16(request))
                return len(connection.recv(64)) > 0
        fd = os.open(where, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        os.write(fd, request + crc16(request))
        if not select.select([fd], [], [], 0.5)[0]:
            return False
        time.sleep(0.1)
        return len(os.read(fd, 64)) > 0
    finally:
        os.close(fd)


def raw_pty():
    """A pty without echo or line editing: (our descriptor, its path, a descriptor that keeps it alive)."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    return ours, os.ttyname(theirs), theirs


class Cable:
    """Two ptys joined: what is written to one path comes out of the other."""

    def __init__(self):
        self._near, self.near, self._keep_near = raw_pty()
        self._far, self.far, self._keep_far = raw_pty()
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def _carry(self):
        other = {self._near: self._far, self._far: self._near}
        while True:
            for fd in select.select([self._near, self._far, self._wake_read], [], [])[0]:
                if fd == self._wake_read:
                    return
                os.write(other[fd], os.read(fd, 4096))

    def close(self):
        os.write(self._wake_write, b"x")
        self._thread.join()
        for fd in (self._near, self._keep_near, self._far, self._keep_far, self._wake_read, self._wake_write):
            os.close(fd)


class Liar:
    """
    A slave that answers with whatever a function says, over a pty ("rtu") or a socket ("tcp").

    answer(request) gets the frame as it came (RTU with its CRC, TCP with its header) and gives a list of (seconds to
    wait before it, bytes). `where` is the --port for `read`; `requests` is what came. babble, if given, is called again
    and again between requests and gives bytes to send unasked. Like a meter on a wire it does not hear while it is busy
    with an answer; a TCP one does.
    """

    def __init__(self, transport, answer, babble=None):
        self.transport = transport
        self.requests = []
        self.connections = 0   # TCP: how often somebody connected,
        self._open = False     # and whether one is connected
        self._answer = answer
        self._babble = babble
        self._stop = threading.Event()
        self._descriptors = []
        if transport == "rtu":
            ours, self.where, keep = raw_pty()
            os.set_blocking(ours, False)
            self._descriptors = [ours, keep]
            self._listener = None
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.where = f"tcp:127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._stop.set()
        self._thread.join()
        for fd in self._descriptors:
            os.close(fd)
        if self._listener:
            self._listener.close()

    def _run(self):
        if self.transport == "rtu":
            self._serve(self._descriptors[0])
            return
        self._listener.settimeout(0.05)
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except (TimeoutError, socket.timeout):
                continue
            self.connections += 1
            self._open = True
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    self._serve(connection.fileno())
                except OSError:
                    pass  # it hung up: the next one
            self._open = False

    def descriptor(self):
        """RTU: our end of the line, for what is said unasked."""
        return self._descriptors[0]

    def connected(self):
        """TCP: whether somebody is connected now."""
        return self._open

    def _serve(self, fd):
        size = 8 if self.transport == "rtu" else 12
        waiting = b""
        while not self._stop.is_set():
            if select.select([fd], [], [], 0.002 if self._babble else 0.02)[0]:
                data = os.read(fd, 4096)
                if not data:
                    return
                waiting += data
            elif self._babble:
                self._send(fd, self._babble())
            while len(waiting) >= size and not self._stop.is_set():
                request, waiting = waiting[:size], waiting[size:]
                self.requests.append(request)
                for delay, data in self._answer(request):
                    self._stop.wait(delay)
                    self._send(fd, data)
                    if delay > 0.05 and self.transport == "rtu":
                        waiting = self._forget(fd)

    @staticmethod
    def _forget(fd):
        """Drop what came in the meantime."""
        try:
            while os.read(fd, 4096):
                pass
        except BlockingIOError:
            pass
        return b""

    @staticmethod
    def _send(fd, data):
        try:
            os.write(fd, data)
        except BlockingIOError:
            pass  # nobody listens


# --- the slave of python3-pymodbus: this file as a program ---

def slave_context(units):
    from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext

    slaves = {}
    for unit, tables in units.items():
        words = {}
        for name, key in (("holding", "hr"), ("input", "ir")):
            # registers that no point covers: a decoder that is off by one does not read a harmless 0
            words[key] = [(address * 40503 + 12345) & 0x7FFF for address in range(65536)]
            for address, word in tables.get(name, {}).items():
                words[key][int(address)] = word
        try:
            blocks = {key: ModbusSequentialDataBlock(0, list(values)) for key, values in words.items()}
            slaves[int(unit)] = ModbusSlaveContext(zero_mode=True, **blocks)
        except TypeError:  # from 3.8 on what is asked for as 0 is looked up as 1, always
            blocks = {key: ModbusSequentialDataBlock(1, list(values)) for key, values in words.items()}
            slaves[int(unit)] = ModbusSlaveContext(**blocks)
    return ModbusServerContext(slaves=slaves, single=False)


def run_slave(path):
    import pymodbus.server

    spec = json.loads(pathlib.Path(path).read_text())
    context = slave_context(spec["units"])
    if spec["transport"] == "tcp":
        pymodbus.server.StartTcpServer(context=context, address=("127.0.0.1", spec["port"]))
        return
    try:
        from pymodbus.transaction import ModbusRtuFramer as framer  # 3.0: a class
    except ImportError:
        from pymodbus import FramerType                             # 3.8: an enum
        framer = FramerType.RTU
    if spec["transport"] == "rtu-tcp":
        pymodbus.server.StartTcpServer(context=context, address=("127.0.0.1", spec["port"]), framer=framer)
        return
    pymodbus.server.StartSerialServer(context=context, framer=framer, port=spec["port"], baudrate=115200, timeout=0.005)


if __name__ == "__main__" and sys.argv[1:2] == ["slave"]:
    run_slave(sys.argv[2])
