# SPDX-License-Identifier: MIT
"""
Adapters of a make-believe machine: umockdev's /sys and /dev for programs that are started with its preloaded library,
and udev's word when one comes or goes. As a program (under umockdev-wrapper) this file makes the machine: a line of
JSON is a command, and a line is its answer.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

WRAPPER = "/usr/bin/umockdev-wrapper"


def preload(program):
    """LD_PRELOAD for a program of ours: a sanitizer wants to be the first."""
    needed = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    first = re.findall(r"=> (\S+/lib[at]san\.so\S*)", needed)
    return ":".join(first + ["libumockdev-preload.so.0"])


class Testbed:
    """The machine, from outside."""

    def __init__(self, case):
        environment = dict(os.environ)
        environment.pop("LD_PRELOAD", None)
        self._process = case.start(WRAPPER, "/usr/bin/python3", __file__, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=None, text=True, env=environment)
        self.root = self._ask(do="root")

    def _ask(self, **command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def environment(self, program):
        """What a program needs to live there."""
        return {"UMOCKDEV_DIR": self.root, "LD_PRELOAD": preload(program)}

    def plug(self, name, socket, pty, number=None, product="FT232R USB UART", interface="1.0"):
        """An adapter with one port, whose other end is behind a pty; udev says so."""
        self._ask(do="plug", name=name, socket=socket, pty=pty, number=number, product=product, interface=interface)

    def solder(self, name, pty):
        """A UART of the board's own."""
        self._ask(do="solder", name=name, pty=pty)

    def unplug(self, name):
        self._ask(do="unplug", name=name)

    def deafen(self):
        """From now on nobody hears udev: the ears of those that listen are its sockets in the machine's directory."""
        for path in pathlib.Path(self.root).glob("event*"):
            path.unlink()


class Machine:
    """The machine, from inside."""

    def __init__(self):
        import gi
        gi.require_version("UMockdev", "1.0")
        from gi.repository import UMockdev

        self.testbed = UMockdev.Testbed.new()
        self.directory = self.testbed.get_root_dir()
        self.plugged = {}
        os.makedirs(self.directory + "/dev", exist_ok=True)

    def root(self):
        return self.directory

    def plug(self, name, socket, pty, number, product, interface):
        attributes = ["idVendor", "0403", "product", product] + (["serial", number] if number else [])
        device = self.testbed.add_device("usb", socket, None, attributes, ["DEVTYPE", "usb_device"])
        place = self.testbed.add_device("usb", f"{socket}:{interface}", device, ["bInterfaceNumber", "00"],
                                        ["DEVTYPE", "usb_interface"])
        port = self.testbed.add_device("usb-serial", name, place, ["port_number", "0"], [])
        os.symlink(pty, f"{self.directory}/dev/{name}")
        tty = self.testbed.add_device("tty", name, port, [], ["DEVNAME", f"/dev/{name}"])  # says "add"
        os.symlink("..", f"{self.directory}{tty}/device")
        self.plugged[name] = (tty, port, place, device)

    def solder(self, name, pty):
        os.symlink(pty, f"{self.directory}/dev/{name}")
        self.testbed.add_device("tty", name, None, ["type", "4"], ["DEVNAME", f"/dev/{name}"])

    def unplug(self, name):
        os.unlink(f"{self.directory}/dev/{name}")
        devices = self.plugged.pop(name)
        self.testbed.uevent(devices[0], "remove")
        for device in devices:
            self.testbed.remove_device(device)


def main():
    machine = Machine()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"result": getattr(machine, command.pop("do"))(**command)}
        except Exception as error:  # whatever it is, the test wants to know
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
