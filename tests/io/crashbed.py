# SPDX-License-Identifier: MIT
"""
What the crash proofs share: `acquire` in a directory of its own, ended and begun again at will, and what must hold of
its journal whatever happened. Several run side by side, in threads.
"""

import concurrent.futures
import json
import os
import pathlib
import resource
import signal
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import harness
import registers

MODEL = "schneider-iem2150"
VALUES = {"current": 5.12, "voltage": 230.1, "power_active": 1178.3, "frequency": 49.98}
COUNTER = "energy_active_import"
BOOT_ROWS = 1 << 32   # DESIGN section 4: where the next boot begins
BAD_ROWS = 1 << 24    # and what follows a damaged segment


class Slave:
    """Modbus TCP meters whose counter is another each second, for any number of connections."""

    def __init__(self, case):
        self.begin = time.monotonic()
        self.counter = 0
        self.server_of = None
        self.lock = threading.Lock()
        slave = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                waiting = b""
                while data := self.receive():
                    waiting += data
                    while len(waiting) >= 12:
                        request, waiting = waiting[:12], waiting[12:]
                        self.request.sendall(slave.answer(request))

            def receive(self):
                try:
                    return self.request.recv(4096)
                except OSError:
                    return b""

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # a program that was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.where = f"tcp:127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        case.addCleanup(self.close)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, request):
        counter = 1000 + int(time.monotonic() - self.begin)  # 3.6 kW: what such a meter can carry
        with self.lock:
            if counter != self.counter:
                self.counter = counter
                self.server_of = registers.server(registers.registers(MODEL, dict(VALUES, **{COUNTER: counter})), "tcp")
            answer = self.server_of
        return answer(request)[0][1]


class Plant:
    """A configuration, its directories, and `acquire` in them."""

    def __init__(self, directory, where, interval="100 ms", commit="1 s", meters=2, more="", program=None):
        self.directory = pathlib.Path(directory)
        self.state, self.run = self.directory / "state", self.directory / "run"
        self.log = self.directory / "log"
        self.config = self.directory / "meterstick.conf"
        self.program = program or harness.PLAIN_BIN / "meterstick-acquire"
        self.process = None
        self.meters = [f"m{number}" for number in range(1, meters + 1)]
        text = f"[appliance]\ninterval = {interval}\nclock = trusted\n[journal]\ncommit = {commit}\n"
        text += f"[bus b]\nport = {where}\n"
        for number, name in enumerate(self.meters, 1):
            text += (f"[meter {name}]\nbus = b\nmodel = {MODEL}\naddress = {number}\n"
                     f"log = {','.join(VALUES)},{COUNTER}\n")
        self.config.write_text(text + more)

    def start(self, **environment):
        environment = dict(os.environ, METERSTICK_MODELS=str(harness.MODELS),
                           **{name: str(value) for name, value in environment.items()})
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(self.program), "--config", str(self.config), "--state-dir",
                                             str(self.state), "--run-dir", str(self.run)], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=environment)
        limit = 64 << 20, resource.RLIM_INFINITY  # no test fills this machine, whatever is said again and again
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, limit)
        return self.process

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self, seconds=15):
        """SIGTERM. Returns (exit code, seconds that it took)."""
        begin = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM does not end it: {self.said()}") from None
        return code, time.monotonic() - begin

    def said(self):
        try:
            with open(self.log, "rb") as log:
                log.seek(max(0, self.log.stat().st_size - 3000))
                return log.read(3000).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def status(self):
        """The status of the process that runs now; {} if it has not written one."""
        try:
            status = json.loads((self.run / "acquire.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return status if self.process and status.get("pid") == self.process.pid else {}

    def committed(self):
        """The seq that the status says is committed; 0: none."""
        return self.status().get("journal", {}).get("seq", 0)

    def wait(self, condition, seconds, what):
        """Until it holds, or the process ends by itself: then False."""
        end = time.monotonic() + seconds
        while not condition():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {seconds} s: {self.status()} {self.said()}")
            time.sleep(0.01)
        return True

    def journals(self):
        return [path for path in (self.state / "journal", self.run / "journal") if path.is_dir()]

    def rows(self):
        """{seq: (meter, boot_ms, quality, vals)}, of all places; a seq in two of them is the same row."""
        return self.rows_in(*self.journals())

    def rows_in(self, *journals):
        result = {}
        for journal in journals:
            for path in sorted(journal.glob("*.db")):
                for row in self.rows_of(path):
                    if result.setdefault(row[0], row[1:]) != row[1:]:
                        raise AssertionError(f"seq {row[0]} is two rows: {result[row[0]]} and {row[1:]}")
        return result

    @classmethod
    def rows_of(cls, path):
        return cls.query(path, "SELECT seq, name, boot_ms, quality, vals FROM sample JOIN meter "
                               "ON meter.id = sample.meter ORDER BY seq")

    @staticmethod
    def query(path, sql):
        for _ in range(100):
            try:
                database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
                try:
                    return database.execute(sql).fetchall()
                finally:
                    database.close()
            except sqlite3.OperationalError as error:
                last = error
                time.sleep(0.02)  # a segment that is just being changed
        raise AssertionError(f"{path}: {last}")

    def check_log(self):
        """Nothing is said again and again."""
        size = self.log.stat().st_size
        if size > 100000:
            raise AssertionError(f"{size} bytes of log: {self.said()}")

    def check(self, committed=(), holes=False):
        """
        What must always hold: each seq once, no reading twice, the meter's own values or nothing, the counter never
        back, and all of the seqs that were committed. Returns the rows.
        """
        rows = self.rows()
        before = {}
        last = None
        quick = 0
        for seq in sorted(rows):
            meter, boot_ms, quality, values = rows[seq]
            self.check_values(seq, quality, values)
            counter = json.loads(values)[-1]
            earlier_ms, earlier_counter = before.get(meter, (-1, -1))
            # what is late is read as often as it can be: a program, and rarely a meter, twice in a millisecond
            quick += boot_ms == earlier_ms and meter in self.meters
            if boot_ms < earlier_ms or quick > 1:
                raise AssertionError(f"seq {seq} of {meter} is of {boot_ms}, after {earlier_ms}")
            if counter is not None and counter < earlier_counter:
                raise AssertionError(f"seq {seq} of {meter} has the counter {counter}, after {earlier_counter}")
            before[meter] = boot_ms, earlier_counter if counter is None else counter
            if last is not None and seq != last + 1 and not holes and seq % BOOT_ROWS and seq - last < BAD_ROWS // 2:
                raise AssertionError(f"seq {seq} follows {last}")
            last = seq
        missing = set(committed) - set(rows)
        if missing:
            raise AssertionError(f"committed, and lost: {sorted(missing)[:10]}... {len(missing)} rows; {self.said()}")
        return rows

    @staticmethod
    def check_values(seq, quality, values):
        got = json.loads(values)
        for name, value in zip(VALUES, got):
            if value is not None and value != VALUES[name]:
                raise AssertionError(f"seq {seq}: {name} is {value}")
        if quality[0] != "N" or (quality == "N") != (None not in got):
            raise AssertionError(f"seq {seq}: quality {quality} of {values}")


def in_parallel(jobs, workers, function):
    """Call function(job) for all, in threads. Returns the results; fails with all that failed."""
    failures = []

    def call(job):
        if len(failures) > 20:
            return None
        try:
            return function(job)
        except Exception as error:  # whatever it is, with the job that it is of
            failures.append(f"{job}: {type(error).__name__}: {error}")
            print(failures[-1], file=sys.stderr, flush=True)  # the others may take hours
            return None

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(call, jobs))
    if failures:
        raise AssertionError("\n".join(failures))
    return results


def directory():
    return tempfile.TemporaryDirectory(prefix="meterstick-")
