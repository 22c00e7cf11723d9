# SPDX-License-Identifier: MIT
"""Every golden request and answer goes through the real program, over a pty and over a socket.

The slave knows the frames of one line of tests/captures/vectors.jsonl and nothing else. A request that is the
golden one to the byte gets the golden answer to the byte; one for other registers of it (the program plans its
requests itself) gets these registers.
"""
import json
import os
import pty
import socket
import struct
import subprocess
import tempfile
import threading
import tty
import unittest

from harness import crc16

BUILD = (os.path.dirname(os.environ["METERSTICK_BIN"]) if "METERSTICK_BIN" in os.environ
         else os.environ.get("METERSTICK_BUILD", "build"))
HERE = os.path.dirname(os.path.abspath(__file__))
VECTORS = os.path.join(HERE, "..", "captures", "vectors.jsonl")
WORDS = {"f32": 2}

REASONS = {
    "timeout": "timed out",
    "short": "damaged",
    "crc": "damaged",
    "byte_count": "length",
    "wrong_address": "unit",
    "wrong_function": "function",
    "transaction_id": "answer of another",
}


def bank_of(meter, address):
    """The vectors name quantities alone: of a CVM-NRG96 the address tells the bank (+0x60, +0xC0)."""
    if meter != "circutor-cvm-nrg96" or address < 0x60:
        return ""
    return ".min" if address >= 0xC0 else ".max"


class Slave(threading.Thread):
    """Answers one vector's question on a descriptor until it is closed."""

    def __init__(self, vector, read, write):
        super().__init__(daemon=True)
        self.tcp = vector["kind"] == "tcp"
        self.request = bytes.fromhex(vector["request_hex"])
        self.answer = bytes.fromhex(vector["response_hex"])
        self.read, self.write = read, write
        self.verbatim = 0
        self.writes = 0
        head = 6 if self.tcp else 0
        self.unit, self.function, self.first, self.count = struct.unpack_from(">BBHH", self.request, head)
        self.good = "error" not in vector["decoded"]

    def run(self):
        size = 12 if self.tcp else 8
        pending = b""
        while True:
            try:
                data = self.read()
            except OSError:
                return
            if not data:
                return
            pending += data
            while len(pending) >= size:
                self.serve(pending[:size])
                pending = pending[size:]

    def serve(self, request):
        head = 6 if self.tcp else 0
        unit, function, first, count = struct.unpack_from(">BBHH", request, head)
        self.writes += function not in (3, 4)
        if request[2 if self.tcp else 0:] == self.request[2 if self.tcp else 0:]:
            self.verbatim += 1
            answer = self.answer
            if self.tcp and self.answer[:2] == self.request[:2]:
                answer = request[:2] + answer[2:]  # its own number of the transaction
            self.write(answer)
        elif self.good and unit == self.unit and function == self.function:
            start = 9 if self.tcp else 3
            low = start + 2 * (first - self.first)
            if first >= self.first and first + count <= self.first + self.count:
                body = bytes([unit, function, 2 * count]) + self.answer[low:low + 2 * count]
                if self.tcp:
                    self.write(request[:4] + struct.pack(">H", len(body)) + body)
                else:
                    self.write(body + crc16(body))


class Vectors(unittest.TestCase):
    def ask(self, vector, arguments):
        """Run `read` against the vector's slave. Returns its JSON line, exit code and the slave."""
        with tempfile.TemporaryDirectory() as directory:
            if vector["kind"] == "tcp":
                server = socket.create_server(("127.0.0.1", 0))
                port = "tcp:127.0.0.1:%d" % server.getsockname()[1]
                holder = {}

                def serve():
                    connection, _ = server.accept()
                    holder["slave"] = Slave(vector, lambda: connection.recv(4096), connection.sendall)
                    holder["slave"].run()
                    connection.close()

                thread = threading.Thread(target=serve, daemon=True)
                thread.start()
            else:
                master, slave_fd = pty.openpty()
                tty.setraw(master)
                tty.setraw(slave_fd)
                port = os.path.join(directory, "line")
                os.symlink(os.ttyname(slave_fd), port)
                holder = {"slave": Slave(vector, lambda: os.read(master, 4096), lambda data: os.write(master, data))}
                holder["slave"].start()
            done = subprocess.run([os.path.join(BUILD, "bin", "meterstick"), "read", "--port", port, "--format", "json",
                                   "--timeout", "150 ms"] + arguments,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, text=True)
            if vector["kind"] == "tcp":
                server.close()
            else:
                os.close(slave_fd)
                os.close(master)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertLessEqual(len(lines), 1, done.stdout)
        return (lines[0] if lines else None), done, holder["slave"]

    def arguments(self, vector):
        head = 6 if vector["kind"] == "tcp" else 0
        unit, function, first, count = struct.unpack_from(
            ">BBHH", bytes.fromhex(vector["request_hex"]), head)
        result = ["--address", str(unit)]
        names = [name for name in vector["decoded"] if not name.endswith("_direction") and name != "error"]
        bank = bank_of(vector["meter"], first)
        names = [name + bank for name in names]
        if vector["meter"] != "generic" and names:
            return result + ["--model", vector["meter"], "--points", ",".join(names)]
        table = {3: "holding", 4: "input"}[function]
        codec = {1: "u16", 2: "f32.cdab" if "float32_cdab" in vector["decoded"] else "f32.abcd"}.get(count, "text.%d" % count)
        # registers are counted from 1 on the command line, as in data sheets
        return result + ["--register", "%s %d %s" % (table, first + 1, codec)]

    def check_values(self, vector, line):
        texts = {1: "lagging", 0: "unity", -1: "leading", None: None}
        values = {**line["values"], **line["identity"]}
        bank = bank_of(vector["meter"], struct.unpack_from(">H", bytes.fromhex(vector["request_hex"]), 2)[0])
        model = os.path.join(HERE, "..", "..", "drivers", "models", vector["meter"] + ".meter")
        factors = {}
        if os.path.exists(model):
            with open(model) as lines:
                for words in (text.split() for text in lines):
                    if len(words) >= 6 and words[1] in ("holding", "input"):
                        factors[words[0]] = {"k": 1000}.get(words[5][0], 1) if words[5] not in ("kWh?",) else 1
        for name, want in vector["decoded"].items():
            got = list(values.values())[0] if vector["meter"] == "generic" else values[name + bank]
            if name.endswith("_direction"):
                got = texts[got]
            elif isinstance(want, float) or isinstance(want, int):
                want = want * factors.get(name, 1)
                if vector["id"] == "v029":  # minus 5 Wh imported is out of bounds: missing, never a wrong number
                    self.assertIsNone(got)
                    continue
                self.assertIsNotNone(got, (vector["id"], name, line["errors"]))
                self.assertLessEqual(abs(got - want), 1e-6 * max(1e-9, abs(want)), (vector["id"], name, got, want))
                continue
            self.assertEqual(got, want, (vector["id"], name))

    def test_every_golden_answer_comes_out_of_the_real_program(self):
        literal = checked = 0
        with open(VECTORS) as lines:
            vectors = [json.loads(line) for line in lines]
        for vector in vectors:
            function = bytes.fromhex(vector["request_hex"])[7 if vector["kind"] == "tcp" else 1:][:1]
            if vector["kind"] not in ("rtu", "tcp") or function not in (b"\3", b"\4"):
                continue  # nothing here ever writes: functions 6 and 16 cannot be asked for
            with self.subTest(vector["id"]):
                line, done, slave = self.ask(vector, self.arguments(vector))
                self.assertEqual(slave.writes, 0)
                error = vector["decoded"].get("error")
                if error is None:
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.check_values(vector, line)
                else:
                    reason = "exception %d" % int(error[-2:]) if error.startswith("exception") else REASONS[error]
                    said = done.stderr + (json.dumps(line["errors"]) if line else "")
                    self.assertIn(reason, said)
                    if line:
                        self.assertEqual([v for v in line["values"].values() if v is not None], [])
                    self.assertGreater(slave.verbatim, 0, "the golden request was never asked")
                checked += 1
                literal += slave.verbatim > 0
        print("%d golden answers through the real program, %d of them to the byte" % (checked, literal))
        self.assertGreaterEqual(checked, 66)
        self.assertGreaterEqual(literal, 60)


if __name__ == "__main__":
    unittest.main()
