# SPDX-License-Identifier: MIT
"""
A second reading of .meter files and of register formats, made from docs/adding-a-meter.md with decimal and struct
alone, so that the tests do not ask the C code what is right.
"""

import decimal
import pathlib
import re
import struct

decimal.getcontext().prec = 60

ORDERS = {"abcd": (False, False), "cdab": (True, False), "badc": (False, True), "dcba": (True, True)}

PREFIXES = {"": 0, "k": 3, "M": 6, "G": 9, "m": -3}
BASE_UNITS = ("varh", "VAh", "Wh", "var", "VA", "Hz", "W", "V", "A", "%", "degC", "degF", "s", "d")

# What a quantity may be, in its base unit: well inside what any meter shows, by the beginning of a name
RANGES = (
    ("voltage_unbalance", 0, 100), ("current_unbalance", 0, 100), ("voltage", 0, 990), ("current", 0, 90000),
    ("power_factor", -1, 1), ("cos_phi", -1, 1), ("power_apparent", 0, 9e8), ("power", -9e8, 9e8),
    ("max_demand", 0, 9e4), ("frequency_division", 1, 5), ("frequency", 0, 99), ("thd", 0, 900),
    ("energy_active_net", -9e14, 9e14), ("energy_reactive_net", -9e14, 9e14), ("energy_apparent_net", -9e14, 9e14),
    ("energy", 0, 9e14), ("temperature", -90, 190), ("impulses", 0, 9e14), ("interruptions", 0, 9e14),
    ("run_seconds", 0, 9e14), ("on_seconds", 0, 9e14), ("", 0, 4294967294),
)


def range_of(name):
    return next((low, high) for start, low, high in RANGES if name.startswith(start))


def shortest32(value):
    """The shortest decimal that gives back the same binary32."""
    bits = struct.pack(">f", value)
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        if struct.pack(">f", float(text)) == bits:
            return decimal.Decimal(text)
    raise ValueError(value)


def round32(value):
    return struct.unpack(">f", struct.pack(">f", value))[0]


def base_exponent(unit):
    """10^this many base units make one: kWh is 3."""
    if unit in ("", "1"):
        return 0
    unit = unit.replace("VAr", "var")
    for base in BASE_UNITS:
        if unit.endswith(base) and unit[:len(unit) - len(base)] in PREFIXES:
            return PREFIXES[unit[:len(unit) - len(base)]]
    raise ValueError(unit)


class Point:
    def __init__(self, line, first_number):
        words = re.split(r"\s[?#]", line)[0].split()
        self.name, self.table, number, self.codec = words[:4]
        self.address = int(number, 0) - first_number
        resolution, unit = (words[4:] + ["1", ""][len(words) - 4:])[:2]
        self.factor = decimal.Decimal(resolution).scaleb(base_exponent(unit))
        self.kind, *rest = self.codec.split(".")
        self.low_word_first, self.low_byte_first = False, False
        if self.kind == "text":
            self.size = int(rest[0])
            self.low_byte_first = rest[1:] == ["ba"]
        elif self.kind == "datetime4":
            self.size = 4
        else:
            self.size = 2 if self.kind == "pf4q" else int(self.kind[1:]) // 16
            if rest == ["ba"]:
                self.low_byte_first = True
            elif rest:
                self.low_word_first, self.low_byte_first = ORDERS[rest[0]]

    def words(self, data):
        """Big-endian bytes of a value as the registers of this point."""
        words = list(struct.unpack(f">{self.size}H", data))
        if self.low_word_first:
            words.reverse()
        if self.low_byte_first:
            words = [(word << 8 | word >> 8) & 0xFFFF for word in words]
        return words

    def draw(self, rng, not_available):
        """
        A value for this point. Returns (words, values {name: float or None}, texts {name: text or None}).
        not_available: the model has Schneider's codes for "not available", drawn once in a while.
        """
        if self.kind == "text":
            return self._draw_text(rng)
        if self.kind == "datetime4":
            return self._draw_datetime(rng)
        if self.kind in ("f32", "f64", "pf4q"):
            return self._draw_float(rng)
        return self._draw_integer(rng, not_available)

    def _draw_text(self, rng):
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_/ ."
        text = "".join(rng.choice(letters) for _ in range(rng.randrange(2 * self.size + 1))).strip()
        padding = rng.choice(("\0", " "))
        return self.words(text.ljust(2 * self.size, padding).encode()), {}, {self.name: text}

    def _draw_datetime(self, rng):
        year, month, day = rng.randrange(15, 40), rng.randrange(1, 13), rng.randrange(1, 29)
        hour, minute, second = rng.randrange(24), rng.randrange(60), rng.randrange(60)
        words = [year, month << 8 | day, hour << 8 | minute, second * 1000 + rng.randrange(1000)]
        return words, {}, {self.name: f"20{year:02}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"}

    def _draw_float(self, rng):
        size = ">d" if self.kind == "f64" else ">f"
        if rng.random() < 0.1:
            names = (self.name, self.name + "_direction") if self.kind == "pf4q" else (self.name,)
            return self.words(struct.pack(size, float("nan"))), dict.fromkeys(names), {}
        if self.kind == "pf4q":
            return self._draw_power_factor(rng)
        low, high = (decimal.Decimal(limit) / self.factor for limit in range_of(self.name))
        value = rng.uniform(float(low), float(high)) * rng.choice((1, 1, 1e-3, 1e-6, 0))
        if self.kind == "f32":
            value = round32(value)
            exact = shortest32(value)
        else:
            exact = decimal.Decimal(repr(value))
        return self.words(struct.pack(size, value)), {self.name: float(exact * self.factor)}, {}

    def _draw_power_factor(self, rng):
        raw = round32(rng.choice((rng.uniform(-2, 2), rng.uniform(-2, 2), 1.0, -1.0, 0.0, 2.0, -2.0)))
        if abs(raw) > 1:  # leading: what is missing to 2
            factor, direction = round32((2 if raw > 0 else -2) - raw), -1
        else:
            factor, direction = raw, 0 if abs(raw) == 1 else 1
        values = {self.name: float(shortest32(factor)), self.name + "_direction": direction}
        return self.words(struct.pack(">f", raw)), values, {}

    def _draw_integer(self, rng, not_available):
        bits = self.size * 16
        signed = self.kind[0] == "i"
        lowest, highest = (-(1 << bits - 1) + 1, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 2)
        if not_available and rng.random() < 0.1:
            raw = -(1 << bits - 1) if signed else (1 << bits) - 1
            return self.words(raw.to_bytes(bits // 8, "big", signed=signed)), {self.name: None}, {}
        low, high = (int(decimal.Decimal(limit) / self.factor) for limit in range_of(self.name))
        low, high = max(low, lowest), min(high, highest)
        raw = rng.choice((rng.randint(low, high), rng.randint(low, high), rng.randint(max(low, -999), min(high, 999)),
                          low, high))
        return (self.words(raw.to_bytes(bits // 8, "big", signed=signed)),
                {self.name: float(decimal.Decimal(raw) * self.factor)}, {})


class Model:
    """What a .meter file says, as far as a slave must know it."""

    def __init__(self, path):
        self.keys, self.points = {}, []
        section = ""
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            line = line.strip()
            if not line or line.startswith(("#", ";")):
                continue
            if line.startswith("["):
                section = line.strip("[]")
            elif section == "points" and re.match(r"source\s*=", line):
                continue  # where the following points are from
            elif section == "points":
                self.points.append(line)
            else:
                key, value = line.split("=", 1)
                self.keys[key.strip()] = re.split(r"\s#", value)[0].strip()
        self.id = self.keys["id"]
        self.modbus = self.keys.get("driver", "modbus") == "modbus"
        first_number = 1 if self.keys.get("addresses") == "from 1" else 0
        self.points = [Point(line, first_number) for line in self.points] if self.modbus else []
        self.not_available = self.keys.get("not_available") == "schneider"

    def draw(self, rng):
        """Registers and what they mean: ({table: {address: word}}, values, texts)."""
        tables, values, texts = {"holding": {}, "input": {}}, {}, {}
        for point in self.points:
            words, more_values, more_texts = point.draw(rng, self.not_available)
            for offset, word in enumerate(words):
                at = point.address + offset
                if at in tables[point.table]:
                    raise AssertionError(f"{self.id}: {point.name} shares register {at}")
                tables[point.table][at] = word
            values.update(more_values)
            texts.update(more_texts)
        return tables, values, texts
