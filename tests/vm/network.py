# SPDX-License-Identifier: MIT
"""
The other end of an emulated machine's network cable, an Ethernet frame per datagram of a socket. It is a computer that
keeps the time (NTP) and asks for names (mDNS), and a router as well if it `leases`: then it gives an address, and names
itself as the time's server (DHCP, option 42).

    cable = network.Cable(directory, "a", leases=True)
    cable.options(port=3)     # what QEMU is started with for it: a USB adapter, as anybody may plug
    cable.ask("cellar.local")
"""

import collections
import ipaddress
import os
import pathlib
import random
import socket
import struct
import threading
import time

MAC = bytes.fromhex("020000000001")
EVERYBODY = b"\xff" * 6
MDNS = ipaddress.IPv4Address("224.0.0.251")
MDNS_MAC = bytes.fromhex("01005e0000fb")
MDNS_PORT = 5353
LEASE_S = 600
NTP_EPOCH = 2208988800   # 1970 in seconds since 1900: RFC 5905, section 6
COOKIE = bytes.fromhex("63825363")  # RFC 2131, section 3
DISCOVER, OFFER, REQUEST, ACK = 1, 2, 3, 5  # RFC 2132, section 9.6

Datagram = collections.namedtuple("Datagram", "mac source target source_port target_port payload")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def parse(frame):
    """A UDP datagram without IP options; None of anything else."""
    if len(frame) < 42 or frame[12:15] != b"\x08\x00\x45" or frame[23] != 17:
        return None
    source_port, target_port, length = struct.unpack("!3H", frame[34:40])
    return Datagram(frame[6:12], ipaddress.IPv4Address(frame[26:30]), ipaddress.IPv4Address(frame[30:34]),
                    source_port, target_port, frame[42:34 + length])


def build(datagram):
    """The frame, from us to that MAC. A UDP checksum of 0 is none."""
    udp = struct.pack("!4H", datagram.source_port, datagram.target_port, 8 + len(datagram.payload), 0)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(datagram.payload), 0, 0, 255, 17, 0,
                       datagram.source.packed, datagram.target.packed)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return datagram.mac + MAC + b"\x08\x00" + head + udp + datagram.payload


def name_bytes(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


class Cable:
    def __init__(self, directory, name, leases, subnet="169.254"):
        self.name, self.leases = name, leases
        self.own = ipaddress.IPv4Address(f"{subnet}.7.7")
        self.offer = ipaddress.IPv4Address(f"{subnet}.7.8")
        self.here, self.there = (pathlib.Path(directory) / f"cable-{name}-{end}" for end in ("here", "there"))
        self.heard = []        # (mDNS answer, monotonic time)
        self.asked_time = 0    # how often the time was asked for
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.here))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def options(self, port):
        ends = f"local.type=unix,local.path={self.there},remote.type=unix,remote.path={self.here}"
        return ["-netdev", f"dgram,id={self.name},{ends}",
                "-device", f"usb-net,netdev={self.name},bus=xhci.0,port={port}"]

    def _serve(self):
        while frame := self._receive():
            if frame[12:14] == b"\x08\x06":
                self._answer_arp(frame)
                continue
            datagram = parse(frame)
            answer = datagram and {67: self._lease, 123: self._time, MDNS_PORT: self._hear}.get(
                datagram.target_port, lambda _: None)(datagram)
            if answer:
                self._send(build(answer))

    def _receive(self):
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""

    def _send(self, frame):
        try:
            self._socket.sendto(frame.ljust(60, b"\0"), str(self.there))
        except OSError:
            pass  # the machine is off, or has just gone

    def _answer_arp(self, frame):
        """RFC 826."""
        operation, mac, address, _, wanted = struct.unpack("!H6s4s6s4s", frame[20:42])
        if operation == 1 and wanted == self.own.packed and mac != MAC:
            self._send(mac + MAC + frame[12:20] + struct.pack("!H6s4s6s4s", 2, MAC, wanted, mac, address))

    def _lease(self, datagram):
        """RFC 2131; options as in RFC 2132."""
        asked = datagram.payload
        if not self.leases or len(asked) < 244 or asked[236:240] != COOKIE:
            return None
        kind = {DISCOVER: OFFER, REQUEST: ACK}.get(self._dhcp_option(asked, 53, b"\0")[0])
        if not kind:
            return None
        options = b"".join(bytes([code, len(value)]) + value for code, value in (
            (53, bytes([kind])), (54, self.own.packed), (51, struct.pack("!I", LEASE_S)),
            (1, bytes.fromhex("ffffff00")), (42, self.own.packed)))
        answer = (b"\x02" + asked[1:4] + asked[4:8] + b"\0" * 8 + self.offer.packed + self.own.packed + b"\0" * 4 +
                  asked[28:44] + b"\0" * 192 + COOKIE + options + b"\xff").ljust(300, b"\0")
        return Datagram(datagram.mac, self.own, self.offer, 67, 68, answer)

    @staticmethod
    def _dhcp_option(message, wanted, default):
        place = 240
        while place + 1 < len(message) and message[place] != 255:
            code, length = message[place], message[place + 1]
            if code == wanted:
                return message[place + 2:place + 2 + length]
            place += 1 if code == 0 else 2 + length
        return default

    def _time(self, datagram):
        """RFC 5905: of stratum 1, and as this machine's clock has it."""
        if len(datagram.payload) < 48 or datagram.target != self.own:
            return None
        self.asked_time += 1
        now = int((time.time() + NTP_EPOCH) * 2**32).to_bytes(8, "big")
        answer = (b"\x24\x01" + datagram.payload[2:3] + b"\xec" + b"\0" * 8 + b"TEST" + now +
                  datagram.payload[40:48] + now + now)
        return Datagram(datagram.mac, self.own, datagram.source, 123, datagram.source_port, answer)

    def _hear(self, datagram):
        if len(datagram.payload) > 12 and datagram.payload[2] & 0x80:
            self.heard.append((datagram.payload, time.monotonic()))

    def ask(self, name, seconds=5):
        """The address that somebody has by mDNS (RFC 6762); None if nobody answers."""
        begin = time.monotonic()
        question = struct.pack("!6H", 0, 0, 1, 0, 0, 0) + name_bytes(name) + struct.pack("!2H", 1, 1)
        self._send(build(Datagram(MDNS_MAC, self.own, MDNS, MDNS_PORT, MDNS_PORT, question)))
        while time.monotonic() < begin + seconds:
            for answer, when in list(self.heard):
                if when >= begin and (address := self._address(answer, name)):
                    return address
            time.sleep(0.1)
        return None

    @staticmethod
    def _address(answer, name):
        """Of a record A of that name, which begins the answer."""
        place = answer.lower().find(name_bytes(name))
        record = answer[place + len(name_bytes(name)):] if place == 12 else b""
        if len(record) < 14 or record[0:2] != b"\0\1" or record[8:10] != b"\0\4":
            return None
        return ipaddress.IPv4Address(record[10:14])
