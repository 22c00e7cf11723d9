# SPDX-License-Identifier: MIT
"""
A Raspberry Pi 3 in QEMU, with Debian's arm64 kernel and its real drivers, and our programs, cross-built. It has no
card: all it needs is in its initramfs; what asks it for something is an agent (agent.c) on the mini UART. What is
fetched and built for that is kept in build/cross and build/pi. QEMU does not run the Pi's own firmware.

    with pi.Pi(directory) as board:
        board.run("meterstick-led 3 blue")
"""

import gzip
import pathlib
import re
import shutil
import subprocess
import sys
import time

import guest as image
import rig

sys.path.insert(0, str(image.SOURCE / "image"))
import cross  # noqa: E402

PLACE = image.SOURCE / "build" / "pi"
PACKAGES = ("linux-image-arm64", "busybox-static")
TOOLS = {"qemu-system-aarch64": "qemu-system-arm", "aarch64-linux-gnu-readelf": "binutils-aarch64-linux-gnu"}
TREE = "broadcom/bcm2837-rpi-3-b.dtb"
LIBRARIES = "lib/aarch64-linux-gnu", "usr/lib/aarch64-linux-gnu"
PROGRAMS = ("bin/meterstick-leds", "bin/meterstick-led", "bin/meterstick-ip", "tests/gpio_lines")
BOOT_S = 600
GREETING = b"the board is up\n"

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tracefs trace /sys/kernel/tracing
mount -t debugfs debug /sys/kernel/debug
echo 1 > /proc/sys/kernel/printk
stty -F /dev/ttyS1 raw -echo
echo "the board is up" > /dev/ttyS1
while :; do agent /dev/ttyS1; done
"""


def check_tools():
    lacking = [f"{tool} (package {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    if lacking:
        raise image.Missing("not here: " + ", ".join(lacking))


def build(root, log):
    """Our programs, for that root. Returns where they are."""
    place = PLACE / "programs"
    targets = [pathlib.Path(program).name for program in PROGRAMS]
    cross.build(place, root, targets, log, ["-DMETERSTICK_TESTS=OFF", "-DMETERSTICK_VM=ON"])
    agent = PLACE / "agent"
    subprocess.run(["aarch64-linux-gnu-gcc", f"--sysroot={root}", "-O2", "-o", agent, image.HERE / "agent.c"],
                   stdout=log, stderr=log, check=True)
    return [place / program for program in PROGRAMS] + [agent]


def needed(root, programs):
    """The libraries that they and each other name, and who loads them: {path there: path here}."""
    found, left = {}, list(programs)
    while left:
        said = subprocess.run(["aarch64-linux-gnu-readelf", "-d", left.pop()], capture_output=True, text=True,
                              check=True)
        for name in re.findall(r"\(NEEDED\).*\[(.+)\]", said.stdout):
            if f"lib/{name}" not in found:
                path = next((root / folder / name for folder in LIBRARIES if (root / folder / name).exists()), None)
                if not path:
                    raise image.Missing(f"library {name} for arm64")
                found[f"lib/{name}"] = path
                left.append(path)
    return found


def make_initrd(root, programs, target):
    folders = "bin lib proc sys dev tmp run run/meterstick var var/lib var/lib/meterstick"
    files = {name: (0o40755, b"") for name in folders.split()}
    files["init"] = (0o100755, INIT.encode())
    files["bin/busybox"] = (0o100755, (root / "bin/busybox").read_bytes())
    for program in programs:
        files[f"bin/{program.name}"] = (0o100755, program.read_bytes())
    for name, path in needed(root, programs).items():
        files[name] = (0o100755, path.read_bytes())
    target.write_bytes(gzip.compress(image.cpio(files), 1))


def prepare():
    """What a board is started from. Raises guest.Missing where that cannot be."""
    check_tools()
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / "board.log", "w", encoding="utf-8") as log:
        try:
            root = cross.sysroot(image.codename(), "arm64", log, PACKAGES)
        except cross.Missing as missing:
            raise image.Missing(str(missing)) from None
        make_initrd(root, build(root, log), PLACE / "initrd")
    (PLACE / "vmlinuz").write_bytes(next(root.glob("boot/vmlinuz-*")).read_bytes())
    (PLACE / "board.dtb").write_bytes(next(root.glob(f"usr/lib/linux-image-*/{TREE}")).read_bytes())
    return PLACE


class Pi(rig.Guest):
    """One run. `directory` is for its socket and its log. After prepare()."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.adapters, self.sticks = {}, {}
        self._power_on(["qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=multi", "-display", "none",
                        "-kernel", PLACE / "vmlinuz", "-initrd", PLACE / "initrd", "-dtb", PLACE / "board.dtb",
                        "-append", "console=ttyS1,115200 quiet panic=-1 rdinit=/init", "-serial", "null",
                        "-serial", f"unix:{self.directory}/agent,server=on,wait=off", "-monitor", "none", "-no-reboot"])

    def _power_on(self, command, attach=lambda: None):
        """Until the agent answers; attach() as soon as QEMU runs."""
        self.monitor = self.watch = self._agent = self._answers = None
        self._log = open(self.directory / "qemu.log", "wb")
        self._process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, preexec_fn=rig.become_quiet)
        try:
            attach()
            self._agent = rig.connect(self.directory / "agent", 30)
            self._answers = self._agent.makefile("rb")
            self._wait_greeting()
        except BaseException:
            self.close()
            raise

    def _wait_greeting(self):
        """What the kernel says before goes to console.log."""
        end, line = time.monotonic() + BOOT_S, b""
        with open(self.directory / "console.log", "wb") as console:
            while time.monotonic() < end:
                self._agent.settimeout(max(1, end - time.monotonic()))
                try:
                    line = self._answers.readline()
                except OSError:
                    break
                if not line or line.replace(b"\r", b"").endswith(GREETING):
                    break
                console.write(line)
        if not line:
            raise rig.Failed(f"the board did not come up: {self.console()}")
