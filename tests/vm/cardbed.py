# SPDX-License-Identifier: MIT
"""
The SD-card image on an emulated Raspberry Pi 3. QEMU does not run the Pi's own firmware: kernel, initramfs, device tree
and command line are taken from the image's boot partition, and given to QEMU. The meter is behind the good UART, as an
RS-485 HAT is; what asks the board for something is an agent (agent.c) on the small one. For that, and only for that,
the image that is booted differs from the one that is shipped:

- agent.c, watch.c and their units are written into its root;
- the small UART is switched on in the device tree, and nobody but root may open it.

    with cardbed.Card(directory, slave=("127.0.0.1", port)) as card:
        card.run("systemctl is-system-running --wait")
"""

import fcntl
import hashlib
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

ARCH = "arm64"
PLACE = image.SOURCE / "build" / "image" / ARCH
TREE = "bcm2837-rpi-3-b.dtb"
SMALL_UART = "/soc/serial@7e215040"
BOOT_OFFSET, ROOT_OFFSET = 4 << 20, 132 << 20
SIZE = "2G"           # of the card: QEMU takes powers of two
ROWS = "/run/rows"
# QEMU takes a watchdog that is set for one that has barked
EMULATED = "console=ttyS1,115200 systemd.show_status=no systemd.watchdog_sec=0"
TOOLS = {"qemu-system-aarch64": "qemu-system-arm", "qemu-img": "qemu-utils", "mmdebstrap": "mmdebstrap",
         "genimage": "genimage", "mcopy": "mtools", "mkfs.vfat": "dosfstools", "mke2fs": "e2fsprogs",
         "debugfs": "e2fsprogs", "fdtput": "device-tree-compiler", "depmod": "kmod", "cpio": "cpio",
         "fakeroot": "fakeroot", "xz": "xz-utils", "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu"}

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
UNITS = {"agent": AGENT, "teller": TELLER}


def check_tools():
    lacking = [f"{tool} (package {package})" for tool, package in TOOLS.items()
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


def add_helpers(disk, place, log):
    root = cross.sysroot("bookworm", ARCH, log)
    commands = ["cd /usr/bin"]
    for name in HELPERS:
        subprocess.run(["aarch64-linux-gnu-gcc", f"--sysroot={root}", "-O2", "-o", place / name,
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


def take_out(disk, name, target):
    """A file of the boot partition."""
    subprocess.run(["mcopy", "-n", "-o", "-i", f"{disk}@@{BOOT_OFFSET}", f"::/{name}", target], check=True)


def prepare():
    """What a board is started from: the image, made if it is not there. Raises guest.Missing where that cannot be."""
    check_tools()
    PLACE.mkdir(parents=True, exist_ok=True)
    with open(PLACE / "test.log", "w", encoding="utf-8") as log, open(PLACE / "test.lock", "w",
                                                                      encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run([image.SOURCE / "image" / "sd" / "make", ARCH, "plain"], stdout=log, stderr=log,
                              check=False)
        if made.returncode != 0:
            raise image.Missing(f"an image: see {log.name} and {PLACE}.log")
        key = hashlib.sha256((PLACE / "made-of").read_bytes() + repr((UNITS, RULE)).encode() + b"".join(
            (image.HERE / f"{name}.c").read_bytes() for name in HELPERS)).hexdigest()[:12]
        place = PLACE / f"test-{key}"
        if not (place / "done").exists():
            for old in PLACE.glob("test-*"):
                shutil.rmtree(old)
            place.mkdir()
            subprocess.run(["cp", "--sparse=always", PLACE / "sd.img", place / "sd.img"], check=True)
            add_helpers(place / "sd.img", place, log)
            (place / "done").touch()
    return place


def prepare_or_skip():
    """For setUpModule()."""
    try:
        return prepare()
    except (image.Missing, cross.Missing) as missing:
        raise unittest.SkipTest(f"no card on an emulated Pi here: {missing}") from None


class Card(pi.Pi):
    """
    A board with its card, which stays in `directory`. slave: (host, port), where the meter is.
    boot_files: {name: text} for its boot partition, as its owner puts them there.
    """

    def __init__(self, directory, slave, boot_files=()):
        self.directory = pathlib.Path(directory)
        self.place, self.slave = prepare(), slave
        self.adapters, self.sticks = {}, {}
        self.disk = self.directory / "card.qcow2"
        self._process = None
        base = self.place / "sd.img"
        if boot_files:
            base = self.directory / "base.img"
            subprocess.run(["cp", "--sparse=always", self.place / "sd.img", base], check=True)
            for name, text in dict(boot_files).items():
                (self.directory / name).write_text(text, encoding="utf-8")
                subprocess.run(["mcopy", "-i", f"{base}@@{BOOT_OFFSET}", self.directory / name, f"::/{name}"],
                               check=True)
        for name in ("vmlinuz", "initramfs", TREE, "cmdline.txt"):
            take_out(base, f"a/{name}", self.directory / name)
        self.shipped_tree = (self.directory / TREE).read_bytes()
        for change in (["-t", "s"], "status", "okay"), (["-d"], "pinctrl-0"):  # its pins are the other's
            subprocess.run(["fdtput", *change[0], self.directory / TREE, SMALL_UART, *change[1:]], check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", self.disk, SIZE],
                       check=True)
        self.boot()

    def boot(self, plug=lambda: None):
        """Power comes; until the agent answers."""
        line = (self.directory / "cmdline.txt").read_text(encoding="utf-8").strip()
        host, port = self.slave
        command = ["qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=multi", "-display", "none",
                   "-kernel", self.directory / "vmlinuz", "-initrd", self.directory / "initramfs",
                   "-dtb", self.directory / TREE,
                   "-append", f"{line} {EMULATED}",
                   "-drive", f"file={self.disk},if=sd,format=qcow2",
                   "-chardev", f"socket,id=meter,host={host},port={port}", "-serial", "chardev:meter",
                   "-serial", f"unix:{self.directory}/agent,server=on,wait=off",
                   "-qmp", f"unix:{self.directory}/qmp,server=on,wait=off", "-monitor", "none", "-no-reboot"]
        self.monitor = self.watch = self._agent = self._answers = None
        self._log = open(self.directory / "qemu.log", "wb")
        self._process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self._log,
                                         stderr=self._log, preexec_fn=rig.become_quiet)
        try:
            self.monitor = rig.Monitor(self.directory / "qmp")
            plug()
            self._agent = rig.connect(self.directory / "agent", 30)
            self._answers = self._agent.makefile("rb")
            self._wait_greeting()
        except BaseException:
            self.close()
            raise

    def plug_stick(self, name, file, port=1, read_only=False, faults=()):
        """The board's only socket. One first plug in sixteen is lost by QEMU: see plugged()."""
        assert not self.sticks and port == 1 and not read_only and not faults
        self.monitor.ask("blockdev-add", node_name=f"sectors-{name}", driver="raw", cache={"no-flush": True},
                         file={"driver": "file", "filename": str(file)})
        self.monitor.ask("device_add", driver="usb-storage", id=name, drive=f"sectors-{name}", removable=True,
                         serial=f"NUMBER-{name}", bus="usb-bus.0", port="1")
        self.sticks[name] = port
