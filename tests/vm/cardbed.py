# SPDX-License-Identifier: MIT
"""
The SD-card image on an emulated board. QEMU does not run the Pi's own firmware: kernel, initramfs, device tree
and command line are taken from the image's boot partition, and given to QEMU. The meter is behind the good UART, as an
RS-485 HAT is; what asks the board for something is an agent (agent.c) on the small one. For that, and only for that,
the image that is booted differs from the one that is shipped:

- agent.c, watch.c and their units are written into its root;
- the small UART is switched on in the device tree, and nobody but root may open it.

The Pi's emulation has one USB socket, and QEMU ends when an adapter is pulled from it. QEMU's own board ("virt") has
as many as one likes; what its SD controller and its watchdog need is added to the initramfs there.

    with cardbed.Pi(directory, slave=("127.0.0.1", port)) as card:
        card.run("systemctl is-system-running --wait")
"""

import collections
import fcntl
import gzip
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

import guest as image
import pi
import rig

sys.path.insert(0, str(image.SOURCE / "image"))
import cross  # noqa: E402

Board = collections.namedtuple("Board", "name machine qemu tree")
PIS = {"arm64": Board("Pi 3", "raspi3b", "qemu-system-aarch64", "bcm2837-rpi-3-b.dtb"),
       "armhf": Board("Pi 2", "raspi2b", "qemu-system-arm", "bcm2836-rpi-2-b.dtb")}
SMALL_UART = "/soc/serial@7e215040"
BOOT_OFFSET, ROOT_OFFSET = 4 << 20, 132 << 20
SIZE = 2 << 30        # of the card: QEMU takes powers of two
ROWS = "/run/rows"
EMULATED = "console=ttyS1,115200 systemd.show_status=no"
TOOLS = {"mmdebstrap": "mmdebstrap",
         "genimage": "genimage", "mcopy": "mtools", "mkfs.vfat": "dosfstools", "mke2fs": "e2fsprogs",
         "debugfs": "e2fsprogs", "fdtput": "device-tree-compiler", "depmod": "kmod", "cpio": "cpio",
         "fakeroot": "fakeroot", "xz": "xz-utils"}

AGENT = """[Unit]
DefaultDependencies=no
After=systemd-udevd.service
[Service]
ExecStartPre=/usr/bin/dmesg -n 1
# It stays open: what comes after the greeting waits for the agent
ExecStart=/bin/sh -c 'exec 3<> /dev/ttyS1 && stty raw -echo <&3 && echo "the board is up" >&3 && \
    exec test-agent /dev/ttyS1'
Restart=always
RestartSec=1
"""
# Tells from the beginning on when rows are committed, without asking anybody
TELLER = f"""[Unit]
After=systemd-tmpfiles-setup.service
Before=meterstick-acquire.service
[Service]
ExecStartPre=/usr/bin/touch {ROWS}
ExecStart=/usr/bin/test-watch 1 /run/meterstick/acquire.json {ROWS}
"""
RULE = 'KERNEL=="ttyS1", OWNER="root", GROUP="root", MODE="0600"\n'
HELPERS = ("agent", "watch")
# QEMU's own board: its SD controller and its watchdog, in the order of loading
VIRTUAL_MODULES = ("drivers/mmc/host/cqhci", "drivers/mmc/host/sdhci-pci", "drivers/watchdog/i6300esb")
UNITS = {"agent": AGENT, "teller": TELLER}


def check_tools(arch):
    compiler = cross.triplet(arch) + "-gcc"
    tools = dict(TOOLS, **{PIS[arch].qemu: "qemu-system-arm", compiler: "gcc-" + cross.triplet(arch)})
    lacking = [f"{tool} (package {package})" for tool, package in tools.items()
               if not shutil.which(tool, path="/usr/sbin:/sbin:/usr/bin:/bin")]
    if lacking:
        raise image.Missing("not here: " + ", ".join(lacking))


def debugfs(disk, *commands):
    """Changes the root of a card, without mounting it."""
    lines = "".join(f"{command}\n" for command in commands)
    result = subprocess.run(["/usr/sbin/debugfs", "-w", "-f", "-", f"{disk}?offset={ROOT_OFFSET}"], input=lines,
                            capture_output=True, text=True, check=True)
    errors = [line for line in result.stderr.splitlines() if not line.startswith("debugfs 1.")]
    if errors:
        raise AssertionError(f"debugfs: {errors}")


def add_helpers(arch, disk, place, log):
    root = cross.sysroot("bookworm", arch, log)
    commands = ["cd /usr/bin"]
    for name in HELPERS:
        subprocess.run([cross.triplet(arch) + "-gcc", f"--sysroot={root}", "-O2", "-o", place / name,
                        image.HERE / f"{name}.c"], stdout=log, stderr=log, check=True)
        commands += [f"write {place / name} test-{name}", f"sif test-{name} mode 0100755"]
    for name, text in UNITS.items():
        (place / f"{name}.service").write_text(text, encoding="utf-8")
        commands += ["cd /etc/systemd/system", f"write {place / name}.service {name}.service",
                     "cd /etc/systemd/system/multi-user.target.wants",
                     f"symlink {name}.service /etc/systemd/system/{name}.service"]
    (place / "99-test.rules").write_text(RULE, encoding="utf-8")
    commands += ["cd /etc/udev/rules.d", f"write {place / '99-test.rules'} 99-test.rules"]
    debugfs(disk, *commands)


def prepare(arch="arm64"):
    """What a board is started from: the image, made if it is not there. Raises guest.Missing where that cannot be."""
    check_tools(arch)
    made = image.SOURCE / "build" / "image" / arch
    made.mkdir(parents=True, exist_ok=True)
    with open(made / "test.log", "w", encoding="utf-8") as log, open(made / "test.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if subprocess.run([image.SOURCE / "image" / "sd" / "make", arch, "plain"], stdout=log, stderr=log,
                          check=False).returncode != 0:
            raise image.Missing(f"an image: see {log.name} and {made}.log")
        key = hashlib.sha256((made / "made-of").read_bytes() + repr((UNITS, RULE)).encode() + b"".join(
            (image.HERE / f"{name}.c").read_bytes() for name in HELPERS)).hexdigest()[:12]
        place = made / f"test-{key}"
        if not (place / "done").exists():
            for old in made.glob("test-*"):
                shutil.rmtree(old)
            place.mkdir()
            subprocess.run(["cp", "--sparse=always", made / "sd.img", place / "sd.img"], check=True)
            add_helpers(arch, place / "sd.img", place, log)
            (place / "done").touch()
    return place


def prepare_or_skip(arch="arm64"):
    """For setUpModule() and setUpClass()."""
    try:
        return prepare(arch)
    except (image.Missing, cross.Missing) as missing:
        raise unittest.SkipTest(f"no card on an emulated Pi here: {missing}") from None


class Card(pi.Pi):
    """
    A board with its card, card.img in `directory`. slave: (host, port), where the meter is. boot_files: {name: text}
    that its owner has put on the boot partition. plugged: QEMU's options for what else is there at the start.
    """

    def __init__(self, directory, slave, boot_files=None, arch="arm64", plugged=()):
        self.directory, self.slave, self.arch = pathlib.Path(directory), slave, arch
        self.adapters, self.sticks = {}, {}
        # Raw: what the kernel was told is written is in the file, whenever QEMU is killed
        self.disk = self.directory / "card.img"
        subprocess.run(["cp", "--sparse=always", prepare(arch) / "sd.img", self.disk], check=True)
        os.truncate(self.disk, SIZE)
        for name, text in (boot_files or {}).items():
            (self.directory / name).write_text(text, encoding="utf-8")
            subprocess.run(["mcopy", "-i", f"{self.disk}@@{BOOT_OFFSET}", self.directory / name, f"::/{name}"],
                           check=True)
        for name in ("vmlinuz", "initramfs", "cmdline.txt"):
            self.take_out(name)
        line = (self.directory / "cmdline.txt").read_text(encoding="utf-8").strip()
        self.command = [*self.board(), "-accel", "tcg,thread=multi", "-display", "none",
                        "-kernel", self.directory / "vmlinuz", "-initrd", self.directory / "initramfs",
                        "-append", f"{line} {EMULATED} {self.words}",
                        "-chardev", f"socket,id=agent,path={self.directory}/agent,server=on,wait=off",
                        "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off", "-monitor", "none", "-no-reboot",
                        *plugged]
        self.boot()

    def take_out(self, name):
        """A file of the boot partition."""
        subprocess.run(["mcopy", "-n", "-o", "-i", f"{self.disk}@@{BOOT_OFFSET}", f"::/a/{name}",
                        self.directory / name], check=True)

    def boot(self):
        self._power_on(self.command, self._attach)

    def _attach(self):
        self.monitor = rig.Monitor(self.directory / "qmp")

    def cut_power(self):
        """Nobody is told. Until boot()."""
        self._process.kill()
        self._process.wait()
        self.close()
        self.sticks = {}


class Pi(Card):
    """The meter is on the header."""

    words = "systemd.watchdog_sec=0"  # QEMU takes a watchdog that is set for one that has barked

    def board(self):
        """What QEMU is started with for it."""
        name, machine, qemu, tree = PIS[self.arch]
        self.take_out(tree)
        tree = self.directory / tree
        subprocess.run(["fdtput", "-t", "s", tree, SMALL_UART, "status", "okay"], check=True)
        if subprocess.run(["fdtget", tree, SMALL_UART, "pinctrl-0"], capture_output=True, check=False).returncode == 0:
            subprocess.run(["fdtput", "-d", tree, SMALL_UART, "pinctrl-0"], check=True)  # its pins are the other's
        host, port = self.slave
        self.name = f"card on the emulated {name}"
        return [qemu, "-M", machine, "-dtb", tree, "-drive", f"file={self.disk},if=sd,format=raw",
                "-chardev", f"socket,id=meter,host={host},port={port}", "-serial", "chardev:meter",
                "-serial", "chardev:agent"]

    def plug_stick(self, name, file, port=1, read_only=False, faults=()):
        """The board's only socket. One first plug in sixteen is lost by QEMU."""
        assert not self.sticks and port == 1 and not read_only and not faults
        self.monitor.ask("blockdev-add", node_name=f"sectors-{name}", driver="raw", cache={"no-flush": True},
                         file={"driver": "file", "filename": str(file)})
        self.monitor.ask("device_add", driver="usb-storage", id=name, drive=f"sectors-{name}", removable=True,
                         serial=f"NUMBER-{name}", bus="usb-bus.0", port="1")
        self.sticks[name] = port


class Virtual(Card):
    """The meter is behind an adapter, which is to be plugged. A watchdog may be plugged as well: i6300esb."""

    name, words = "card on -M virt", ""

    def board(self):
        self.add_modules()
        return ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "1G", "-nodefaults",
                "-rtc", "base=1970-01-02",
                "-device", "sdhci-pci", "-drive", f"file={self.disk},if=none,id=card,format=raw",
                "-device", "sd-card,drive=card", "-device", "qemu-xhci,id=xhci,p2=8,p3=8", "-serial", "null",
                "-chardev", "null,id=unused", "-device", "pci-serial-2x,chardev1=unused,chardev2=agent"]

    def plug_stick(self, name, file, port=2, **more):
        rig.Guest.plug_stick(self, name, file, port, **more)

    def add_modules(self):
        """A second archive behind the first. They are those of the card's own kernel, before it was made small."""
        base = next((image.SOURCE / "build" / "image" / self.arch).glob("base-*.tar"))
        subprocess.run(["tar", "-C", self.directory, "-xf", base, "--wildcards",
                        *(f"*/kernel/{name}.ko" for name in VIRTUAL_MODULES)], check=True)
        found = [next(self.directory.rglob(f"{pathlib.Path(name).name}.ko")) for name in VIRTUAL_MODULES]
        files = {f"modules/{900 + number}-{path.name}": (0o100644, path.read_bytes())
                 for number, path in enumerate(found)}
        with open(self.directory / "initramfs", "ab") as initramfs:
            initramfs.write(gzip.compress(image.cpio(files), 1))
