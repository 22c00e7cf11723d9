# SPDX-License-Identifier: MIT
"""
Building for a Debian release and an architecture that need not be this machine's: against the release's own headers and
libraries, unpacked into a directory (a sysroot). Nothing of another architecture is run for that. The compiler is this
machine's: what a program asks of glibc is decided by the sysroot, and of the compiler's own run time it takes nothing
that is not linked in.

    root = cross.sysroot("bookworm", "arm64", log)
    cross.build("build/x", root, ["meterstick"], log)

The sysroots are kept in build/cross. $METERSTICK_MIRROR is where packages come from, if not from deb.debian.org.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[1]
PLACE = SOURCE / "build" / "cross"
# The release alone, without its security updates: what is built with it runs with either.
MIRROR = os.environ.get("METERSTICK_MIRROR", "http://deb.debian.org/debian")
PACKAGES = ("libc6-dev", "libgcc-s1", "libsystemd-dev", "libudev-dev", "libsqlite3-dev", "libinih-dev",
            "libjansson-dev", "libgpiod-dev", "libcmocka-dev")
RELEASES = {"bookworm": 12, "trixie": 13}
ARCHITECTURES = {  # Debian's name: the compiler's, CMake's
    "amd64": ("x86_64-linux-gnu", "x86_64"),
    "arm64": ("aarch64-linux-gnu", "aarch64"),
    "armhf": ("arm-linux-gnueabihf", "armv7l"),
}
LAYOUT = 2  # of the directory; a new number makes it anew
# Package qemu-user-static; with the oldest processor that we promise: those of a Pi 3, and of a Pi 2
EMULATORS = {"arm64": ("qemu-aarch64-static", "-cpu", "cortex-a53"), "armhf": ("qemu-arm-static", "-cpu", "cortex-a7")}

# Each library's package once more, by itself and with its control files: what dpkg-shlibdeps asks.
HOOK = """set -e
mkdir "$1/packages"
for deb in "$1"/var/cache/apt/archives/*.deb; do
    name=$1/packages/$(dpkg-deb -f "$deb" Package)
    mkdir "$name"
    dpkg-deb -e "$deb" "$name/DEBIAN"
    if [ -e "$name/DEBIAN/symbols" ] || [ -e "$name/DEBIAN/shlibs" ]; then
        dpkg-deb -x "$deb" "$name"
    else
        rm -r "$name"
    fi
done
"""

TOOLCHAIN = """set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR {processor})
set(CMAKE_C_COMPILER {triplet}-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE {triplet})
set(CMAKE_SYSROOT {root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
# A compiler for its own architecture looks for libraries beside itself first.
add_link_options(-B{root}/usr/lib/{triplet} -L{root}/usr/lib/{triplet})
{emulator}"""


class Missing(Exception):
    """What this machine lacks."""


class Failed(Exception):
    """What should have worked."""


def triplet(arch):
    return ARCHITECTURES[arch][0]


def codename():
    """This machine's release."""
    for line in pathlib.Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise Missing("a Debian release: /etc/os-release names none")


def architecture():
    """This machine's, as Debian calls it."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def check_tools(arch):
    gcc = f"{triplet(arch)}-gcc"
    tools = {"mmdebstrap": "mmdebstrap", "cmake": "cmake", "ninja": "ninja-build", "pkg-config": "pkg-config",
             gcc: "gcc" if arch == architecture() else f"gcc-{triplet(arch).replace('_', '-')}"}
    lacking = [f"{tool} (package {package})" for tool, package in tools.items() if not shutil.which(tool)]
    if lacking:
        raise Missing("not here: " + ", ".join(lacking))


class Lock:
    """One at a time, with whatever process."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "w", encoding="utf-8")

    def __enter__(self):
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.close()


def sysroot(suite, arch, log, more=()):
    """The directory SUITE-ARCH-KEY with PACKAGES and more, made if it is not there. Says how on the file `log`."""
    check_tools(arch)
    packages = (*PACKAGES, *more)
    key = hashlib.sha256(repr((packages, HOOK, LAYOUT)).encode()).hexdigest()[:12]
    place = PLACE / f"{suite}-{arch}-{key}"
    with Lock(PLACE / "lock"):
        if not place.exists():
            _unpack(suite, arch, packages, place, log)
    return place


def _unpack(suite, arch, packages, place, log):
    fresh, archive = PLACE / "fresh", PLACE / "root.tar"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    with open(archive, "wb") as file:  # made by another user, where we are not root
        result = subprocess.run(["mmdebstrap", "--variant=extract", f"--architectures={arch}", "--format=tar",
                                 f"--extract-hook={HOOK}", f"--include={','.join(packages)}", suite, "-", MIRROR],
                                stdout=file, stderr=log, check=False)
    if result.returncode != 0:
        raise Missing(f"packages of {suite} for {arch}: mmdebstrap failed, see {log.name}")
    subprocess.run(["tar", "-C", fresh, "-xf", archive, "--exclude=./dev", "--exclude=*/modules/*",
                    "--exclude=./usr/share/doc"], stderr=log, check=True)
    archive.unlink()
    _mend_links(fresh)
    fresh.rename(place)


def _mend_links(root):
    """Links lead out of the root where they are absolute: -lm would find libm.a, or this machine's library."""
    for name in ("lib", "lib64"):  # the names that programs and libc.so know the loader by
        if not (root / name).exists() and (root / "usr" / name).exists():
            (root / name).symlink_to(f"usr/{name}")
    for link in (root / "usr/lib").rglob("*"):
        if link.is_symlink() and os.readlink(link).startswith("/"):
            target = root / os.readlink(link).lstrip("/")
            link.unlink()
            link.symlink_to(os.path.relpath(target, link.parent))


def _arch_of(root):
    return root.name.split("-")[1]


def environment(root):
    """For cmake, and for ninja, which may run it."""
    name = triplet(_arch_of(root))
    folders = (f"usr/lib/{name}/pkgconfig", "usr/share/pkgconfig")
    return dict(os.environ, PKG_CONFIG_SYSROOT_DIR=str(root),
                PKG_CONFIG_LIBDIR=":".join(str(root / folder) for folder in folders))


def emulator(root):
    """How a program for that root is run here, as words before it; nothing if it runs by itself."""
    arch = _arch_of(root)
    if arch in EMULATORS and arch != architecture():
        return [*EMULATORS[arch], "-L", str(root)]
    return []


def build(place, root, targets, log, options=()):
    """Our programs for that root, in the build folder `place`; with no targets, all. Raises Failed."""
    place = pathlib.Path(place)
    name, processor = ARCHITECTURES[_arch_of(root)]
    words = emulator(root)
    text = TOOLCHAIN.format(root=root, triplet=name, processor=processor,
                            emulator=f"set(CMAKE_CROSSCOMPILING_EMULATOR {';'.join(words)})\n" if words else "")
    toolchain = place / "toolchain.cmake"
    if not toolchain.exists() or toolchain.read_text(encoding="utf-8") != text:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        toolchain.write_text(text, encoding="utf-8")
    for command in (["cmake", "-S", SOURCE, "-B", place, "-G", "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}",
                     "-DCMAKE_BUILD_TYPE=Release", *options], ["ninja", "-C", place, *targets]):
        log.flush()
        if subprocess.run(command, stdout=log, stderr=log, env=environment(root), check=False).returncode != 0:
            raise Failed(f"our programs cannot be built for {root.name}, see {log.name}")
