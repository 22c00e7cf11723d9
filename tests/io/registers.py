# SPDX-License-Identifier: MIT
"""Registers of a meter with given values, for slaves: made from the .meter files by meterfile, not by the C code."""

import decimal
import struct

import harness
import meterfile


def encode(point, value):
    if point.kind == "text":
        return point.words(str(value or "").encode().ljust(2 * point.size, b"\0"))
    if point.kind == "datetime4":
        return [0] * 4
    if value is None:
        return point.words(struct.pack(">f", float("nan")))
    raw = decimal.Decimal(repr(value)) / point.factor
    if point.kind in ("f32", "pf4q"):
        return point.words(struct.pack(">f", float(raw)))
    if point.kind == "f64":
        return point.words(struct.pack(">d", float(raw)))
    return point.words(int(raw).to_bytes(2 * point.size, "big", signed=point.kind[0] == "i"))


def registers(model_id, values):
    """{table: {address: word}} of a model whose points have these values (base units; None: NaN), the others 0."""
    model = meterfile.Model(harness.MODELS / f"{model_id}.meter")
    unknown = set(values) - {point.name for point in model.points}
    assert not unknown, unknown
    tables = {"holding": {}, "input": {}}
    for point in model.points:
        for offset, word in enumerate(encode(point, values.get(point.name, 0))):
            tables[point.table][point.address + offset] = word
    return tables


def server(tables, transport, delay=0):
    """An answer function for harness.Liar that serves these registers of any unit (0 elsewhere)."""
    names = {3: "holding", 4: "input"}

    def answer(request):
        head = 6 if transport == "tcp" else 0
        unit, function, first, count = struct.unpack_from(">BBHH", request, head)
        words = [tables[names[function]].get(first + i, 0) for i in range(count)]
        pdu = struct.pack(f">BBB{count}H", unit, function, 2 * count, *words)
        if transport == "tcp":
            return [(delay, request[:4] + struct.pack(">H", len(pdu)) + pdu)]
        return [(delay, pdu + harness.crc16(pdu))]
    return answer
