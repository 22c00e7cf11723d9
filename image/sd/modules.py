#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""modules.py ROOT INITRAMFS: leaves the kernel's modules that the file "modules" names, and makes the initramfs."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
APPLETS = "sh cat insmod mkdir mount reboot sleep switch_root".split()


def wanted():
    """The beginnings of paths below kernel/: (all, those of the initramfs)."""
    every, early = [], []
    for line in (HERE / "modules").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words and not line.startswith("#"):
            every.append("kernel/" + words[-1])
            if words[0] == "early":
                early.append(every[-1])
    return tuple(every), tuple(early)


def needs(modules):
    """{path: paths it needs, nearest first}, all as they are below `modules`."""
    lines = (modules / "modules.dep").read_text(encoding="utf-8").splitlines()
    return {name: others.split() for name, _, others in (line.partition(":") for line in lines)}


def closure(needed, beginnings):
    """Those modules and all that they need, in the order of loading."""
    order = {}
    for name in sorted(needed):
        if name.startswith(beginnings):
            order.update(dict.fromkeys([*reversed(needed[name]), name]))
    return list(order)


def check(needed, builtin, beginnings):
    for beginning in beginnings:
        if not any(name.startswith(beginning) for name in (*needed, *builtin)):
            print(f"this kernel has no {beginning}")


def make_initramfs(root, modules, order, target):
    with tempfile.TemporaryDirectory() as directory:
        tree = pathlib.Path(directory)
        for folder in "bin modules dev proc root run sys".split():
            (tree / folder).mkdir()
        shutil.copy(root / "usr/bin/busybox", tree / "bin/busybox")
        for applet in APPLETS:
            (tree / "bin" / applet).symlink_to("busybox")
        for number, name in enumerate(order):  # loaded in the order of their names
            shutil.copy(modules / name, tree / "modules" / f"{number:03}-{pathlib.Path(name).name}")
        shutil.copy(HERE / "init", tree / "init")
        (tree / "init").chmod(0o755)
        subprocess.run("find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -9n", shell=True, check=True,
                       cwd=tree, stdout=open(target, "wb"))


def main(root, target):
    modules = next((root / "usr/lib/modules").iterdir())
    subprocess.run(["depmod", "-b", root, modules.name], check=True)
    needed = needs(modules)
    every, early = wanted()
    check(needed, (modules / "modules.builtin").read_text(encoding="utf-8").splitlines(), every)
    keep = set(closure(needed, every))
    make_initramfs(root, modules, closure(needed, early), target)
    for path in sorted((modules / "kernel").rglob("*.ko*")):
        if str(path.relative_to(modules)) not in keep:
            path.unlink()
    subprocess.run(["find", modules / "kernel", "-type", "d", "-empty", "-delete"], check=True)
    subprocess.run(["depmod", "-b", root, modules.name], check=True)
    print(f"{len(keep)} modules of {len(needed)}")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
