#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A reader as the scripts have it that know only the semaphore: 2 s of patience by the wall clock, the port opened and
closed for each reading, an unlink when it stays busy. Prints a line of JSON a turn.

    meter_client.py NAME PORT UNIT [hold|look]

hold: it gets stuck in its turn, with its question asked. look: it has the semaphore open and never wants it.
"""

import ctypes
import json
import os
import sys
import time

import serial


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.sem_open.restype = ctypes.c_void_p


def crc16(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def say(**what):
    print(json.dumps(what), flush=True)


def ask(port, unit, hold):
    with serial.Serial(port, 9600, timeout=0.5) as line:
        request = bytes((unit, 3, 0, 0, 0, 1))
        line.reset_input_buffer()
        line.write(request + crc16(request))
        if hold:
            say(holds=True)
            time.sleep(1000)
        answer = line.read(7)
    good = len(answer) == 7 and answer[0] == unit and crc16(answer) == b"\0\0"
    return int.from_bytes(answer[3:5], "big") if good else None


def main():
    name, port, unit, how = sys.argv[1].encode(), sys.argv[2], int(sys.argv[3]), (sys.argv + ["read"])[4]
    while True:
        semaphore = ctypes.c_void_p(LIBC.sem_open(name, os.O_CREAT, ctypes.c_uint(0o660), ctypes.c_uint(1)))
        if not semaphore:
            sys.exit(f"sem_open: {os.strerror(ctypes.get_errno())}")
        if how == "look":
            say(looks=True)
            time.sleep(1000)
        began, now = time.monotonic(), time.time()
        until = Timespec(int(now) + 2, int(now % 1 * 1e9))
        if LIBC.sem_timedwait(semaphore, ctypes.byref(until)) != 0:
            say(busy=True)
            LIBC.sem_unlink(name)
            sys.exit("RS485 semaphore stayed busy for too long: unlinking.")
        waited = time.monotonic() - began
        value = ask(port, unit, how == "hold")
        LIBC.sem_post(semaphore)
        LIBC.sem_close(semaphore)
        say(waited=waited, value=value)
        time.sleep(0.05)


main()
