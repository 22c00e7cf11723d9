# SPDX-License-Identifier: MIT
"""
What the tests of packages share: the packages, made by image/deb/deb.py, and chroots of Debian to install them in. A
chroot is made once for each release and set of dependencies, by mmdebstrap, and kept in build/package as an archive;
each test unpacks a copy. No service manager runs there.
"""

import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness

sys.path[:0] = [str(harness.SOURCE / "image"), str(harness.SOURCE / "image/deb")]
import cross  # noqa: E402
import deb  # noqa: E402

PLACE = harness.SOURCE / "build" / "package"
UNITS = tuple(f"meterstick-{name}.service" for name in ("acquire", "stick", "leds"))
# In a mount namespace of its own, and nowhere else, a chroot has this machine's /proc and devices: else they would be below
# a directory that is removed.
ALONE = ("unshare", "--mount", "--propagation", "private")
ENTER = ('for name in proc sys dev; do mount --rbind "/$name" "$0/$name" 2> /dev/null || true; done; '
         'exec chroot "$0" "$@"')
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}


def is_full():
    return harness.share(100) >= 100


def suites():
    return list(cross.RELEASES) if is_full() else [own_suite()]


@functools.cache
def own_suite():
    name = cross.codename()
    if name not in cross.RELEASES:
        raise unittest.SkipTest(f"no packages for {name}")
    return name


def kinds():
    """What there are packages of: [(suite, arch)]."""
    if is_full():
        return [(suite, arch) for suite in cross.RELEASES for arch in cross.ARCHITECTURES]
    return [(own_suite(), cross.architecture())]


@functools.cache
def package(suite, arch):
    """The .deb. Who cannot make it is skipped, with the reason."""
    try:
        return deb.make(suite, arch)
    except cross.Missing as missing:
        raise unittest.SkipTest(f"no package of {suite} for {arch}: {missing}") from None


def need(*tools):
    lacking = [tool for tool in tools if not shutil.which(tool)]
    if lacking:
        raise unittest.SkipTest(f"not here: {', '.join(lacking)}")


def field(path, name):
    return subprocess.run(["dpkg-deb", "-f", path, name], capture_output=True, text=True, check=True).stdout.strip()


def dependencies(path):
    """The names alone."""
    return [re.match(r"\S+", part.strip())[0] for part in field(path, "Depends").split(",")]


def files(path):
    """{name in the package: (mode and type as ls has it, owner)}"""
    listing = subprocess.run(["dpkg-deb", "-c", path], capture_output=True, text=True, check=True).stdout
    fields = [line.split(None, 5) for line in listing.splitlines()]
    return {entry[5].split(" -> ")[0].removeprefix("."): (entry[0], entry[1]) for entry in fields}


def privileged():
    """Words before a command that does what root does: nothing, or a user name space."""
    return [] if os.geteuid() == 0 else ["mmdebstrap", "--unshare-helper"]


def chroot_archive(suite, arch):
    """What a copy is unpacked from, with all that the package depends on, and not the package."""
    names = sorted(set(dependencies(package(suite, arch))))
    key = hashlib.sha256(repr(names).encode()).hexdigest()[:12]
    archive = PLACE / f"{suite}-{arch}-{key}.tar"
    PLACE.mkdir(parents=True, exist_ok=True)
    with cross.Lock(PLACE / "lock"):
        if not archive.exists():
            with open(PLACE / f"{suite}-{arch}.log", "w", encoding="utf-8") as log:
                made = archive.with_suffix(".new")
                result = subprocess.run(["mmdebstrap", "--variant=minbase", f"--architectures={arch}", "--format=tar",
                                         f"--include={','.join(names)}", suite, made, cross.MIRROR],
                                        stdout=log, stderr=log, check=False)
                if result.returncode != 0:
                    raise unittest.SkipTest(f"no chroot of {suite} for {arch}: mmdebstrap failed, see {log.name}")
                made.rename(archive)
    return archive


class Chroot:
    """A copy. run() returns the exit code, and what was said."""

    def __init__(self, suite, arch):
        if subprocess.run([*privileged(), *ALONE, "true"], check=False, capture_output=True).returncode != 0:
            raise unittest.SkipTest("no mount namespace of their own here, as within a chroot")
        archive = chroot_archive(suite, arch)
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="meterstick-chroot-"))
        self.directory.chmod(0o755)
        self.root = self.directory / "root"
        self.root.mkdir()
        try:
            subprocess.run([*privileged(), "tar", "-C", self.root, "-xf", archive, "--exclude=./dev/*"], check=True,
                           capture_output=True)
            for name in ("null", "zero", "random", "urandom"):  # in the case that this machine's cannot be had
                subprocess.run([*privileged(), "cp", "-a", f"/dev/{name}", self.root / "dev"], check=False,
                               capture_output=True)
        except BaseException:
            self.close()
            raise

    def close(self):
        subprocess.run([*privileged(), "rm", "-rf", "--one-file-system", self.directory], check=False)

    def run(self, *command, environment=None):
        result = subprocess.run([*privileged(), *ALONE, "sh", "-c", ENTER, self.root, *map(str, command)], check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                env=dict(ENVIRONMENT, **(environment or {})), timeout=600)
        return result.returncode, result.stdout

    def take(self, path, name):
        """A file of this machine into the chroot."""
        subprocess.run([*privileged(), "cp", path, self.root / name.lstrip("/")], check=True)

    def write(self, name, text, mode="644"):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            self.take(file.name, name)
        subprocess.run([*privileged(), "chmod", mode, self.root / name.lstrip("/")], check=True)
