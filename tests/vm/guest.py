# SPDX-License-Identifier: MIT
"""
The guest of the VM tests: a small Debian of the same release as this machine, with Debian's kernel, systemd and udev.
It is made once, by mmdebstrap, and kept in build/vm; nothing of it is ever committed.
"""

import gzip
import hashlib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
PLACE = SOURCE / "build" / "vm"

# What our programs link, and what the tests use there
PACKAGES = ("systemd-sysv", "udev", "kmod", "dbus", "util-linux", "libsystemd0", "libudev1", "libsqlite3-0", "libinih1",
            "libjansson4", "dosfstools", "exfatprogs", "linux-image-amd64")
GPIOD = {"bookworm": "libgpiod2"}  # in any later release libgpiod3
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mmdebstrap": "mmdebstrap",
         "mke2fs": "e2fsprogs", "cc": "build-essential"}
BUSYBOX = ("/bin/busybox", "busybox-static")

# Modules that the kernel needs before it has a root
EARLY = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "virtio_console")
# What remains of the others: a smaller image is made and copied faster
KEEP = ("kernel/arch", "kernel/block", "kernel/crypto", "kernel/fs", "kernel/lib", "kernel/mm", "kernel/drivers/base",
        "kernel/drivers/block", "kernel/drivers/char", "kernel/drivers/gpio", "kernel/drivers/hid", "kernel/drivers/md",
        "kernel/drivers/scsi", "kernel/drivers/tty", "kernel/drivers/usb", "kernel/drivers/virtio",
        "kernel/drivers/watchdog")

# What stands in every guest's computer; a saved state fits only the same
DEVICES = ("virtio-serial-pci", "virtserialport,chardev=agent,name=meterstick",
           "virtserialport,chardev=watch,name=watch", "qemu-xhci,id=xhci,p2=8,p3=8")
HELPERS = ("agent", "watch")  # C programs of this folder, in /usr/local/bin

# The sandbox's DeviceAllow=block-sd is looked up when a unit starts
MODULES_LOAD = "sd_mod\n"

AGENT_UNIT = """[Unit]
DefaultDependencies=no
After=systemd-udevd.service
[Service]
ExecStart=/usr/local/bin/agent
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
"""

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
while read -r module; do /bin/busybox insmod "/modules/$module"; done < /modules/order
while ! /bin/busybox mount -t ext4 /dev/vda /root; do /bin/busybox sleep 0.1; done
/bin/busybox mount --move /dev /root/dev
/bin/busybox umount /sys /proc
exec /bin/busybox switch_root /root /sbin/init
"""


class Missing(Exception):
    """What this machine lacks for a guest."""


def check_tools():
    lacking = [f"{tool} (package {package})" for tool, package in TOOLS.items() if not shutil.which(tool)]
    if not is_static(BUSYBOX[0]):
        lacking.append(f"{BUSYBOX[0]}, static (package {BUSYBOX[1]})")
    if lacking:
        raise Missing("not here: " + ", ".join(lacking))


def is_static(path):
    """An ELF file that names no interpreter."""
    if not os.path.exists(path):
        return False
    with open(path, "rb") as file:
        return b"/ld-linux" not in file.read(4096)


def codename():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise Missing("a Debian release: /etc/os-release names none")


def packages():
    return *PACKAGES, GPIOD.get(codename(), "libgpiod3")


def cpio(files):
    """An archive in the kernel's initramfs format ("newc"): {path: (mode, content)}."""
    archive = bytearray()

    def add(name, mode, content):
        encoded = name.encode() + b"\0"
        fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
        archive.extend(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
        archive.extend(bytes(-len(archive) % 4))
        archive.extend(content)
        archive.extend(bytes(-len(archive) % 4))

    for name, (mode, content) in files.items():
        add(name, mode, content)
    add("TRAILER!!!", 0, b"")
    return bytes(archive)


def early_modules(modules):
    """The files of EARLY and of what they need, in the order of loading."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        name, _, others = line.partition(":")
        needs[name] = others.split()
    builtin = (modules / "modules.builtin").read_text()
    files = {pathlib.Path(name).name.split(".ko")[0].replace("-", "_"): name for name in needs}
    order = []

    def add(name):
        for other in reversed(needs[name]):
            add(other)
        if name not in order:
            order.append(name)

    for module in EARLY:
        if module in files:
            add(files[module])
        elif f"/{module}.ko" not in builtin and f"/{module.replace('_', '-')}.ko" not in builtin:
            raise Missing(f"a kernel with {module}")
    return order


def module_bytes(path):
    """A module as the kernel wants it; newer releases keep them as .xz."""
    if path.suffix == ".xz":
        return subprocess.run(["xz", "-dc", path], capture_output=True, check=True).stdout
    return path.read_bytes()


def make_initrd(modules, target):
    order = early_modules(modules)
    names = [pathlib.Path(name).name.removesuffix(".xz") for name in order]
    files = {"bin": (0o40755, b""), "modules": (0o40755, b""),
             "bin/busybox": (0o100755, pathlib.Path(BUSYBOX[0]).read_bytes()),
             "init": (0o100755, INIT.encode()), "modules/order": (0o100644, "".join(f"{n}\n" for n in names).encode())}
    for name, path in zip(names, order):
        files[f"modules/{name}"] = (0o100644, module_bytes(modules / path))
    target.write_bytes(gzip.compress(cpio(files), 1))


def hook(work):
    """What is done inside the new system's directory, "$1", before it becomes an image."""
    keep = " ".join(f"-path '*/{folder}/*' -o" for folder in KEEP)
    programs = " ".join(f"{work}/{helper}" for helper in HELPERS)
    return f"""set -e
root=$1
release=$(ls "$root/lib/modules")
cp "$root/boot/vmlinuz-$release" {work}/vmlinuz
find "$root/lib/modules/$release/kernel" -type f ! \\( {keep} -false \\) -delete
rm -rf "$root/boot" "$root/usr/share/doc" "$root/usr/share/locale" "$root/var/cache/apt" "$root/var/lib/apt/lists"
chroot "$root" depmod "$release"
cp -r "$root/lib/modules/$release" {work}/modules
install -m 755 {programs} "$root/usr/local/bin/"
cp {work}/modules.conf "$root/etc/modules-load.d/meterstick.conf"
cp {work}/agent.service "$root/etc/systemd/system/"
chroot "$root" systemctl enable agent.service
chroot "$root" systemctl mask systemd-timesyncd.service getty.target systemd-networkd.service apt-daily.timer \\
    apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer dpkg-db-backup.timer || true
chroot "$root" useradd --system --groups dialout,disk meterstick
chroot "$root" passwd -d root > /dev/null
echo guest > "$root/etc/hostname"
echo "/dev/vda / ext4 defaults 0 0" > "$root/etc/fstab"
copy=$(mktemp -d)  # without what is mounted in it
tar -C "$root" --one-file-system -c . | tar -C "$copy" -x
mke2fs -q -t ext4 -O ^has_journal -d "$copy" {work}/root.ext4 1500M
rm -rf "$copy"
"""


def key():
    """Changes with all that the guest is made of."""
    made_of = repr((packages(), EARLY, KEEP, DEVICES, MODULES_LOAD, AGENT_UNIT, INIT, hook("")))
    digest = hashlib.sha256(made_of.encode() + b"".join((HERE / f"{helper}.c").read_bytes() for helper in HELPERS))
    return f"{codename()}-{digest.hexdigest()[:12]}"


def build(log):
    """The directory with vmlinuz, initrd and root.ext4; made if it is not there. Says how on the file `log`."""
    check_tools()
    place = PLACE / key()
    if (place / "done").exists():
        return place
    for old in PLACE.glob("*-*"):
        shutil.rmtree(old)
    log.truncate(0)
    place.mkdir(parents=True)
    place.chmod(0o777)  # mmdebstrap without root is another user in there
    for helper in HELPERS:
        subprocess.run(["cc", "-O2", "-static", "-o", place / helper, HERE / f"{helper}.c"], check=True)
    (place / "modules.conf").write_text(MODULES_LOAD)
    (place / "agent.service").write_text(AGENT_UNIT)
    script = place / "hook.sh"
    script.write_text(hook(place))
    result = subprocess.run(["mmdebstrap", "--variant=minbase", "--format=null", f"--include={','.join(packages())}",
                             f"--customize-hook=sh {script} \"$1\"", codename(), "/dev/null"], stdout=log, stderr=log,
                            check=False)
    if result.returncode != 0 or not (place / "root.ext4").exists():
        shutil.rmtree(place)
        raise Missing("a guest: mmdebstrap failed, see " + log.name)
    make_initrd(place / "modules", place / "initrd")
    (place / "done").touch()
    return place
