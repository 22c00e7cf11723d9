# SPDX-License-Identifier: MIT
"""
GPIO of a guest: chips that are memory (gpio_chip.c, built for the guest's kernel), what the kernel traces of their
lines, and the frames of a Blinkt in that.
"""

import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import guest as image
import lights

HERE = pathlib.Path(__file__).resolve().parent
DATA, CLOCK = 23, 24
TRACE = "/sys/kernel/tracing"
BUFFER_KB = 32768  # of each processor; a frame is 31 KB
DRIVER = "/sys/bus/platform/drivers/gpio_chip"

Missing = image.Missing


# --- the module ---

def headers(release, target, log):
    """What modules of that kernel are built with, from the packages of that name, unpacked."""
    package = f"linux-headers-{release}"
    needs = subprocess.run(["apt-cache", "depends", package], stdout=subprocess.PIPE, stderr=log, text=True,
                           check=False)
    others = [word for word in needs.stdout.split() if re.match(r"linux-(headers-.*-common|kbuild-)", word)]
    if needs.returncode != 0 or len(others) != 2:
        raise Missing(f"package {package} (apt does not know it: update its lists, or remove build/vm)")
    if subprocess.run(["apt-get", "download", package, *others], cwd=target, stdout=log, stderr=log,
                      check=False).returncode != 0:
        raise Missing(f"package {package} (apt-get download failed: {log.name})")
    for archive in target.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", archive, target], check=True)
        archive.unlink()
    tree = target / "usr/src" / package
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src", str(target / "usr/src")))
    return tree


def module(place):
    """gpio_chip.ko for the guest at `place`, built if it is not there. Raises Missing."""
    source = (HERE / "gpio_chip.c").read_bytes()
    built = place / f"gpio_chip-{hashlib.sha256(source).hexdigest()[:12]}.ko"
    if built.exists():
        return built
    version = re.search(rb"\d+\.\d+\.\d+\S* \(", (place / "vmlinuz").read_bytes())  # in the header, for `file`
    if not version:
        raise Missing("a kernel that says its version")
    release = version.group()[:-2].decode()
    work = place / "gpio_chip"
    shutil.rmtree(work, ignore_errors=True)
    (work / "module").mkdir(parents=True)
    with open(image.PLACE / "gpio_chip.log", "w", encoding="utf-8") as log:
        tree = headers(release, work, log)
        (work / "module" / "Makefile").write_text("obj-m := gpio_chip.o\n")
        (work / "module" / "gpio_chip.c").write_bytes(source)
        # without the type information that would want a tool (pahole) of another package
        if subprocess.run(["make", "-C", tree, f"M={work}/module", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"],
                          stdout=log, stderr=log, check=False).returncode != 0:
            raise Missing(f"a module for the guest's kernel, see {log.name}")
    os.replace(work / "module" / "gpio_chip.ko", built)
    shutil.rmtree(work)
    return built


class Chips:
    """Those of the guest."""

    def __init__(self, guest):
        self.guest = guest

    def load(self, *labels):
        """A chip of each label; where it ends in "*", its lines have names."""
        self.guest.push("/root/gpio_chip.ko", module(self.guest.place))
        names = ",".join(label.removesuffix("*") for label in labels)
        named = ",".join("1" if label.endswith("*") else "0" for label in labels)
        self.guest.run(f"insmod /root/gpio_chip.ko labels={names} named={named}")
        self.guest.wait(f"test $(ls /dev/gpiochip* | wc -l) = {len(labels)}")
        self.guest.run("udevadm settle")

    def unload(self):
        self.guest.run("rmmod gpio_chip")

    def take_away(self, pid, number=0):
        """`pid` stands still meanwhile: Linux 6.1 does not wait for whoever is within a chip that goes."""
        self.guest.run(f"kill -STOP {pid}; echo gpio_chip.{number} > {DRIVER}/unbind; kill -CONT {pid}")

    def give_back(self, number=0):
        self.guest.run(f"echo gpio_chip.{number} > {DRIVER}/bind")


# --- what the kernel traced ---

def prepare(guest):
    """
    For Trace, before there is anything to trace: the kernel changes its own code for it, and an emulated processor that
    runs through that code meanwhile may hang. One clock for all processors, or edges would be out of order.
    """
    guest.run(f"cd {TRACE} && echo 0 > tracing_on && echo mono > trace_clock && echo {BUFFER_KB} > buffer_size_kb && "
              "echo 1 > events/gpio/enable")


class Trace:
    """What happens on GPIO lines from the beginning to the end of a `with`. After prepare()."""

    def __init__(self, guest, label="pinctrl-bcm2835"):
        self.guest, self.label = guest, label
        self.edges = []   # (seconds, line, value) of values that were set
        self.lines = set()  # of all chips, that anybody did something with: the chip's label and the line

    def __enter__(self):
        self.chips = self._chips()
        self.guest.run(f"cd {TRACE} && echo > trace && echo 1 > tracing_on")
        return self

    def __exit__(self, kind, *_):
        self.guest.run(f"echo 0 > {TRACE}/tracing_on")
        self.chips.update(self._chips())
        if kind is None:
            self._read()

    def _chips(self):
        """{label: (first line, last line)} in the kernel's numbers."""
        text = self.guest.run("cat /sys/kernel/debug/gpio")
        found = re.findall(r"^gpiochip\d+: GPIOs (\d+)-(\d+), .*?([^, ]+?)(?:, can sleep)?:$", text, re.MULTILINE)
        return {label: (int(first), int(last)) for first, last, label in found}

    def _read(self):
        lost = self.guest.run(f"cat {TRACE}/per_cpu/cpu*/stats")
        assert set(re.findall(r"^(?:overrun|dropped events): (\d+)$", lost, re.MULTILINE)) == {"0"}, lost
        self.guest.run(f"gzip -c < {TRACE}/trace > /tmp/trace.gz", 300)  # the way here may be slow
        text = gzip.decompress(self.guest.pull("/tmp/trace.gz")).decode()
        for seconds, kind, number, action, value in re.findall(
                r"([\d.]+): gpio_(value|direction): (\d+) +(\w+) +\(?(\d+)\)?", text):
            label, (first, _) = next(item for item in self.chips.items() if item[1][0] <= int(number) <= item[1][1])
            line = int(number) - first
            self.lines.add((label, line))
            if kind == "value" and action == "set" and label == self.label:
                self.edges.append((float(seconds), line, int(value)))

    def frames(self, cut=False):
        """cut: the last one may be cut short."""
        return decode(self.edges, cut)


def bits(edges):
    """[(seconds, bit)]: data as it is where the clock rises."""
    result, data, clock = [], 0, 0
    for seconds, line, value in edges:
        if line == DATA:
            data = value
        elif line == CLOCK:
            if value and not clock:
                result.append((seconds, data))
            clock = value
    return result


def decode(edges, cut=False):
    """
    The frames of a capture, as lights.py has them, when the last bit of each came. All clocks belong to one; with
    `cut`, the last may be a part. Both lines end low.
    """
    clocked = bits(edges)
    assert cut or len(clocked) % lights.CLOCKS == 0, f"{len(clocked)} clocks are no frames of {lights.CLOCKS}"
    frames = []
    for begin in range(0, len(clocked) - lights.CLOCKS + 1, lights.CLOCKS):
        part = clocked[begin:begin + lights.CLOCKS]
        frames.append({"boot_ms": part[-1][0] * 1000, **lights.unpack(bit for _, bit in part)})
    last = {line: value for _, line, value in edges}
    assert cut or not any(last.values()), f"both lines end low: {last}"
    return frames
