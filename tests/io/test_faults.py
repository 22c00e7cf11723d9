# SPDX-License-Identifier: MIT
"""
What a line and a meter can do wrong, done by a slave that is not ours: `read` never shows a wrong number, and says why
one is missing. Whatever happens, each value is the right one or null.
"""

import json
import struct
import unittest

import harness

MODEL = """
[model]
id        = liar
title     = A meter that can be made to lie
addresses = from 0
serial    = 115200 8N1
source    = tests/io/test_faults.py
verified  = document
log       = voltage, current
gaps      = avoid

[points]
voltage               holding 0    u16       0.1 V
current               holding 1    u16       0.01 A
power_active          holding 100  i32.abcd  1 W
energy_active_import  holding 200  u32.abcd  1 Wh
frequency             holding 300  u16       0.01 Hz
"""

# No word is another's, so that an answer to another question cannot pass unseen
REGISTERS = {0: 2301, 1: 512, 100: 0, 101: 1170, 200: 1, 201: 34464, 300: 5002}
RIGHT = {"voltage": 230.1, "current": 5.12, "power_active": 1170, "energy_active_import": 100000, "frequency": 50.02}

TRANSPORTS = ("rtu", "tcp")


class Request:
    """A request, taken apart, and how to answer it."""

    def __init__(self, transport, frame):
        self.transport, self.frame = transport, frame
        self.transaction = 0 if transport == "rtu" else struct.unpack(">H", frame[:2])[0]
        self.unit, self.function, self.address, self.count = struct.unpack(">BBHH", frame[:6] if transport == "rtu"
                                                                            else frame[6:12])

    def wrap(self, unit, body, transaction=None, protocol=0):
        if self.transport == "rtu":
            frame = bytes((unit,)) + body
            return frame + harness.crc16(frame)
        transaction = self.transaction if transaction is None else transaction
        return struct.pack(">HHHB", transaction & 0xFFFF, protocol, len(body) + 1, unit) + body

    def registers(self, count=None):
        return [REGISTERS.get(self.address + offset, 0x7A7A) for offset in range(count or self.count)]

    def body(self, function=None, count=None):
        words = self.registers(count)
        return bytes((function or self.function, 2 * len(words))) + struct.pack(f">{len(words)}H", *words)

    def answer(self, **changes):
        """The right answer, with changes: unit, function, count, transaction, protocol."""
        body = self.body(changes.pop("function", None), changes.pop("count", None))
        return self.wrap(changes.pop("unit", self.unit), body, **changes)

    def exception(self, code):
        return self.wrap(self.unit, bytes((self.function | 0x80, code)))


class Faults(harness.Case):
    def setUp(self):
        super().setUp()
        self.model = self.directory / "liar.meter"
        self.model.write_text(MODEL)
        self.rng = harness.random_source()

    def ask(self, transport, behaviour, *arguments, babble=None, timeout="150ms"):
        """
        Read from a slave that behaves so: behaviour(request) gives bytes or [(delay, bytes)].
        Returns (status, polls).
        """
        def answer(frame):
            said = behaviour(Request(transport, frame))
            return [(0, said)] if isinstance(said, bytes) else said
        with harness.Liar(transport, answer, babble) as liar:
            result = self.meterstick("read", "--model", self.model, "--port", liar.where, "--format", "json",
                                     "--timeout", timeout, *arguments, timeout=120)
            self.requests = list(liar.requests)
        polls = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertTrue(polls, result.stderr)
        for poll in polls:
            self.assertEqual(set(poll["values"]), set(RIGHT))
            for name, value in poll["values"].items():
                if value is None:
                    self.assertTrue(poll["errors"].get(name), f"{name} is null without a reason")
                else:
                    self.assertEqual(value, RIGHT[name], f"{transport}: a wrong number of {name}")
        self.stderr = result.stderr
        return result.returncode, polls

    def all_missing(self, transport, behaviour, reason, **options):
        status, polls = self.ask(transport, behaviour, timeout="60ms", **options)
        self.assertEqual(status, 74)
        self.assertEqual(set(polls[0]["values"].values()), {None})
        for text in polls[0]["errors"].values():
            self.assertIn(reason, text)
        self.assertIn("m", polls[0]["quality"])

    def all_right(self, transport, behaviour, *arguments, **options):
        status, polls = self.ask(transport, behaviour, *arguments, timeout="1 s", **options)
        self.assertEqual(status, 0, self.stderr)
        for poll in polls:
            self.assertEqual(poll["values"], RIGHT, poll["errors"])

    def test_an_honest_slave_is_read_rightly(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.all_right(transport, lambda request: request.answer())

    def test_exceptions_1_to_11_are_named_and_leave_nulls(self):
        for transport in TRANSPORTS:
            for code in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11):
                with self.subTest(transport, code=code):
                    self.all_missing(transport, lambda request, code=code: request.exception(code), f"exception {code}")

    def test_a_refused_register_does_not_take_the_others_with_it(self):
        def behaviour(request):
            refused = request.address <= 200 < request.address + request.count
            return request.exception(2) if refused else request.answer()
        for transport in TRANSPORTS:
            with self.subTest(transport):
                status, polls = self.ask(transport, behaviour)
                self.assertEqual(status, 0)
                self.assertEqual(polls[0]["values"], dict(RIGHT, energy_active_import=None))
                self.assertEqual(set(polls[0]["errors"]), {"energy_active_import"})
                self.assertIn("exception 2", polls[0]["errors"]["energy_active_import"])

    def test_silence_is_a_time_out(self):
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.all_missing(transport, lambda request: b"", "timed out")
                self.assertIn("timed out", self.stderr)

    def test_whole_answers_to_something_else_are_not_taken(self):
        lies = {
            "unit": lambda request: request.answer(unit=request.unit + 1),
            "function": lambda request: request.answer(function=4),
            "shorter": lambda request: request.answer(count=request.count - 1 or 2),
            "longer": lambda request: request.answer(count=request.count + 5),
        }
        for transport in TRANSPORTS:
            for name, lie in lies.items():
                with self.subTest(transport, lie=name):
                    self.all_missing(transport, lie, "another unit, function or length")

    def test_modbus_tcp_headers_are_checked(self):
        self.all_missing("tcp", lambda request: request.answer(transaction=request.transaction + 1), "")
        self.all_missing("tcp", lambda request: request.answer(protocol=1), "")
        # the right one after a foreign one is found
        self.all_right("tcp", lambda request: request.answer(transaction=request.transaction - 1) + request.answer())

    def test_a_wrong_checksum_is_damage(self):
        def behaviour(request):
            frame = bytearray(request.answer())
            frame[self.rng.randrange(len(frame))] ^= 1 << self.rng.randrange(8)
            return bytes(frame)
        for _ in range(4):
            status, polls = self.ask("rtu", behaviour, timeout="60ms")
            self.assertEqual(status, 74)
            self.assertEqual(set(polls[0]["values"].values()), {None})

    def test_cut_answers_are_damage(self):
        for transport in TRANSPORTS:
            for cut in (1, 4, 6):
                with self.subTest(transport, cut=cut):
                    self.all_missing(transport, lambda request, cut=cut: request.answer()[:cut], "damaged")

    def test_an_answer_in_pieces_is_one_answer(self):
        def behaviour(request):
            return [(0.002, bytes((byte,))) for byte in request.answer()]
        for transport in TRANSPORTS:
            with self.subTest(transport):
                self.all_right(transport, behaviour)

    def test_an_echo_of_the_request_is_stepped_over(self):
        self.all_right("rtu", lambda request: request.frame + request.answer())
        self.all_missing("rtu", lambda request: request.frame, "")  # an adapter that hears only itself

    def test_noise_before_an_answer_is_stepped_over(self):
        def behaviour(request):
            return self.rng.randbytes(self.rng.randrange(1, 20)) + request.answer()

        def nearly(request):  # noise that begins like the answer
            return request.answer()[:self.rng.randrange(1, 5)] + request.answer()
        for _ in range(5):
            self.all_right("rtu", behaviour)
            self.all_right("rtu", nearly)

    def test_an_answer_that_comes_too_late_is_never_credited_to_another_question(self):
        # power and energy have two registers each: when the three time-outs of power are over, energy is asked for,
        # and the answer to the first question arrives
        for transport in TRANSPORTS:
            for delay in (0.12, 0.24, 0.34, 0.38):
                with self.subTest(transport, delay=delay):
                    def behaviour(request, delay=delay):
                        return [(delay if request.address == 100 else 0, request.answer())]
                    self.ask(transport, behaviour, timeout="100ms")

    def test_a_late_answer_and_then_silence_is_never_credited_either(self):
        for transport in TRANSPORTS:
            for delay in (0.34, 0.38):
                with self.subTest(transport, delay=delay):
                    def behaviour(request, delay=delay):
                        if request.address == 200:
                            return b""
                        return [(delay if request.address == 100 else 0, request.answer())]
                    self.ask(transport, behaviour, "--count", "2", "--interval", "0.1", timeout="100ms")

    def test_one_percent_loss_costs_nothing(self):
        def behaviour(request):
            return b"" if self.rng.random() < 0.01 else request.answer()
        for transport in TRANSPORTS:
            with self.subTest(transport):
                status, polls = self.ask(transport, behaviour, "--count", "40", "--interval", "0.1", timeout="100ms")
                self.assertEqual(len(polls), 40)
                missing = sum(value is None for poll in polls for value in poll["values"].values())
                self.assertLessEqual(missing, 5)  # asked again: both lost is one in 10000

    def test_half_of_all_answers_lost_or_damaged_leaves_right_numbers_and_nulls(self):
        def lost(request):
            return b"" if self.rng.random() < 0.5 else request.answer()

        def damaged(request):
            frame = bytearray(request.answer())
            if self.rng.random() < 0.5:
                frame[self.rng.randrange(len(frame))] ^= 1 << self.rng.randrange(8)
            return bytes(frame)
        for transport, behaviour in (("rtu", lost), ("tcp", lost), ("rtu", damaged)):
            with self.subTest(transport, behaviour=behaviour.__name__):
                _, polls = self.ask(transport, behaviour, "--count", "12", "--interval", "0.1", timeout="60ms")
                values = [value for poll in polls for value in poll["values"].values()]
                self.assertGreater(sum(value is not None for value in values), len(values) // 5)

    def test_random_bytes_at_line_rate_never_become_a_number(self):
        def babble():
            return self.rng.randbytes(23)  # every 2 ms: 115200 baud
        polls_of_it = ("--count", "5", "--interval", "0.1")
        _, polls = self.ask("rtu", lambda request: b"", *polls_of_it, timeout="60ms", babble=babble)
        self.assertEqual({value for poll in polls for value in poll["values"].values()}, {None})
        self.ask("rtu", lambda request: request.answer(), *polls_of_it, timeout="60ms", babble=babble)

    def test_a_connection_that_closes_is_said(self):
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        result = self.meterstick("read", "--model", self.model, "--port", f"tcp:127.0.0.1:{port}", "--format", "json")
        self.assertEqual(result.returncode, 69)
        self.assertIn("refused", result.stderr)
        result = self.meterstick("read", "--model", self.model, "--port", "/dev/no-such-adapter", "--format", "json")
        self.assertEqual(result.returncode, 69)
        self.assertIn("/dev/no-such-adapter", result.stderr)


if __name__ == "__main__":
    unittest.main()
