#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fill the fuzz targets' corpora from the models and the captures: seeds.py CORPUS_DIRECTORY"""

import pathlib
import struct
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
MODELS = TESTS.parent / "drivers" / "models"

CONFIGS = (
    "[appliance]\nname = house\ninterval = 10 s\nclock = trusted\n"
    "[bus rs485-1]\nport = /dev/ttyUSB0\nserial = 9600 8N1\n"
    "[meter kitchen]\nbus = rs485-1\nmodel = schneider-iem2150\naddress = 1\nlog = voltage, current\n",
    "[journal]\ncommit = 1 s\nkeep = 400 days\nbudget = 1 GB\nkeep_words = yes\n"
    "[stick]\nburst = 5 s\ncsv = energy-scribe\nconfigure = no\n[leds]\nbrightness = 10 %\ncolours = code\n"
    "[bus tcp]\nport = tcp:127.0.0.1:502\ntimeout = 1 s\n"
    "[meter main]\nbus = tcp\nmodel = schneider-pm8000\naddress = 255\nmax_power = 50 kW\n"
    "bounds.voltage = 0 .. 9000 V\n",
    "[meter x]\ndriver = exec\ncommand = echo 1,2\ncolumns = voltage V, current A\n"
    "[bus cc]\nport = auto\n[meter cc]\nbus = cc\nmodel = currentcost-cc128\n",
    "[bus a]\nport = auto\n[meter h]\nbus = a\nmodel = hdhk-hdxxaxxa16gk\ninput.a = Oven, 2.5\n",
)


IMPORTS = (
    "com6\nd.csv\n1 2 3\n1 2\ninstant\n10\n5\nhttp://localhost/\n",
    "# USB\r\npuerto com6\r\narchivo d.csv\r\nlista_por_linea 1 2 3\r\nlista_trifasicas 1 2\r\ncual instant\r\n"
    "periodo_muestreo 10\r\nperiodo_registro 5\r\nurl http://localhost/\r\n",
    '[{"id": 1, "port": "/dev/ttyUSB0", "timeout": 1, "stopbits": 1, "bytesize": 8, "parity": "N", "baudrate": 9600,'
    ' "inputs": [{"input": "a", "ratio": "0.01", "name": "Oven"}, {"input": "b", "ratio": 1, "name": "x"}]}]',
)
STORED = (b"\1[230.1,null,0.5]", b"\1[1e300,-0.1,5]", b'\0[{"quantity":"voltage","unit":"V"}]',
          b'\0[{"quantity":"active_energy_import","unit":"Wh"},{"quantity":"text","unit":""}]')
CURSOR = (b'{"journal":"0f0e0d0c-0000-4000-8000-000000000001","generation":7,"dated":12,"undated":12,'
          b'"files":[["kitchen/20261120.csv",8,1,2,3,1,0,0]]')


def sector(head, *parts):
    """A first sector: its beginning, and more at offsets."""
    content = bytearray(head.ljust(510, b"\0") + b"\x55\xaa")
    for offset, part in parts:
        content[offset:offset + len(part)] = part
    return bytes(content)


# As mkfs.vfat and mkfs.exfat begin them; fuzz_volume takes the last bytes for those of the FAT and of FSInfo
FSINFO = b"RRaA" + bytes(480) + b"rrAa\xfd\xf7\1\0\2\0\0\0" + bytes(14) + b"\x55\xaa"
SERIAL = b"\x80\0\x29\xcd\xab\x34\x12"
VOLUMES = (
    sector(bytes.fromhex("eb3c906d6b66732e66617400020401000200020010f803001000 02"), (36, SERIAL)),
    sector(bytes.fromhex("eb3c906d6b66732e666174000204040002000200 00f840002000 0400 00000000 00000100"), (36, SERIAL)),
    sector(bytes.fromhex("eb58906d6b66732e6661740002012000020000 0000f800002000 0800 00000000 00000200 f1030000"),
           (44, b"\2\0\0\0\1\0\6"), (64, SERIAL)) + FSINFO,
    sector(b"\xebv\x90EXFAT   ", (72, bytes.fromhex("0000020000000000000800008000000000100000003e000005000000e3f15d7f"
                                                     "0001000009030180"))) + bytes(12 * 512),
    sector(b"\xebR\x90NTFS    "), sector(b"", (446, bytes.fromhex("800101000cfeffff0008000000002000"))),
    bytes(1080) + b"\x53\xef" + bytes(32769 - 1082) + b"CD001" + bytes(65600 - 32774) + b"_BHRfS_M",
)


def netlink(kind, body, *attributes):
    """A message of rtnetlink(7), twice: each half of a seed is taken for itself."""
    for number, value in attributes:
        body += struct.pack("=HH", 4 + len(value), number) + value
    return 2 * (struct.pack("=IHHII", 16 + len(body), kind, 2, 0, 0) + body)


NETLINK = (netlink(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0), (4, struct.pack("=i", 2)), (6, b"\x64\0\0\0"),
                   (7, b"\x0a\0\0\2")),
           netlink(24, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 1, 0), (9, struct.pack("=HBBi", 8, 0, 0, 2))),
           netlink(20, struct.pack("=4BI", 2, 24, 0x80, 0, 2), (1, b"\x0a\0\0\2"), (2, b"\x0a\0\0\2")),
           netlink(2, struct.pack("=i", -1)), netlink(3, bytes(4)))


def exchanges(path):
    """(framing, request, answer) of each exchange of a capture."""
    framing, request = "rtu", b""
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = (part.strip() for part in line.partition("="))
        if key == "framing":
            framing = value
        try:
            if key == "request":
                request = bytes.fromhex(value)
            elif key == "answer":
                yield framing, request, bytes.fromhex(value)
        except ValueError:
            continue  # not of Modbus


def answer_seed(framing, request, answer):
    """What fuzz_answer takes: framing, then unit, table, address, count and transaction, then the stream."""
    tcp = framing != "rtu"
    body = request[6:] if tcp else request
    transaction = request[:2] if tcp else b"\0\0"
    return bytes([tcp, body[0], body[1]]) + body[2:6] + transaction + answer


def main():
    corpus = pathlib.Path(sys.argv[1])
    count = 0

    def put(target, name, content):
        nonlocal count
        directory = corpus / target
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"seed-{name}").write_bytes(content)
        count += 1

    for number, config in enumerate(CONFIGS):
        put("fuzz_config", number, config.encode())
        put("fuzz_adopt", number, config.encode())
    for number, config in enumerate(IMPORTS):
        put("fuzz_import", number, config.encode())
    for number, text in enumerate(STORED):
        put("fuzz_stored", number, text)
    put("fuzz_cursor", 0, CURSOR)
    for number, content in enumerate(VOLUMES):
        put("fuzz_volume", number, content)
    for model in sorted(MODELS.glob("*.meter")):
        put("fuzz_model", model.stem, model.read_bytes())
    for capture in sorted((TESTS / "captures").glob("*/*.capture")):
        name = f"{capture.parent.name}-{capture.stem}"
        if "currentcost" in name:
            put("fuzz_currentcost", name, capture.read_bytes())
            continue
        for number, exchange in enumerate(exchanges(capture)):
            if len(exchange[1]) >= 6:
                put("fuzz_answer", f"{name}-{number}", answer_seed(*exchange))
    put("fuzz_currentcost", "plain", b"<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>13:02:39</time>"
        b"<tmpr>18.7</tmpr><sensor>1</sensor><id>01234</id><type>1</type><ch1><watts>00345</watts></ch1></msg>\r\n")
    for number, text in enumerate((b"led 3 green", b"led 7 off", b"ip", b"ip 192.168.1.17")):
        put("fuzz_question", number, text)
    for number, messages in enumerate(NETLINK):
        put("fuzz_address", number, messages)
    print(f"{count} seeds in {corpus}")


if __name__ == "__main__":
    main()
