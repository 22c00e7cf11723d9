#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
A client as the scripts have it that know only the semaphore: made with 1 if it is not there, 2 s of patience, given back
at the end; whoever finds it busy unlinks it (or not) and ends. Run by port_stress: NAME LINE SLOT unlink|keep.
"""

import ctypes
import os
import random
import struct
import sys
import time


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.sem_open.restype = ctypes.c_void_p
for function in (LIBC.sem_timedwait, LIBC.sem_post, LIBC.sem_close):
    function.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * (function is LIBC.sem_timedwait)


def main():
    name, line, slot, unlinks = sys.argv[1].encode(), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "unlink"

    def say(what):
        os.write(line, struct.pack("=QI4B", time.monotonic_ns() // 1000, os.getpid(), ord(what), slot, 1, 0))

    while True:
        semaphore = LIBC.sem_open(name, os.O_CREAT, ctypes.c_uint(0o660), ctypes.c_uint(1))
        if not semaphore:
            sys.exit(f"sem_open: {os.strerror(ctypes.get_errno())}")
        now = time.time()
        until = Timespec(int(now) + 2, int(now % 1 * 1e9))
        if LIBC.sem_timedwait(semaphore, ctypes.byref(until)) != 0:
            say("T")
            if unlinks:
                LIBC.sem_unlink(name)
            sys.exit("RS485 semaphore stayed busy for too long: unlinking.")
        say("B")
        time.sleep(random.uniform(0.0005, 0.005))
        say("E")
        LIBC.sem_post(semaphore)
        LIBC.sem_close(semaphore)
        time.sleep(random.uniform(0.001, 0.01))


main()
