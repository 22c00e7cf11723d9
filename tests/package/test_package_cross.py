# SPDX-License-Identifier: MIT
# for full counts
"""
The programs and the unit tests as they are built for arm64 and armhf, run by QEMU's emulation of a user's program.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import harness
import packagebed
from packagebed import cross

JOBS = 2
# Each has a case that the emulation of a program cannot pass: TIOCGEXCL of a pty, openat2() and seccomp()
CANNOT = ("test_port_share", "test_tree")


class Emulated:
    suite = arch = None

    @classmethod
    def setUpClass(cls):
        packagebed.need("dpkg-deb", "ctest")
        cls.package = packagebed.package(cls.suite, cls.arch)
        packagebed.need(cross.EMULATORS[cls.arch][0])
        cls.log = open(packagebed.deb.PLACE / cls.suite / cls.arch / "tests.log", "w", encoding="utf-8")
        cls.addClassCleanup(cls.log.close)
        cls.root = cross.sysroot(cls.suite, cls.arch, cls.log)
        cls.directory = tempfile.mkdtemp(prefix="meterstick-package-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        subprocess.run(["dpkg-deb", "-x", cls.package, cls.directory], check=True)

    def run_there(self, program, *arguments):
        return subprocess.run([*cross.emulator(self.root), f"{self.directory}/{program}", *arguments],
                              capture_output=True, text=True, check=False, timeout=300)

    def test_the_packages_own_programs_run(self):
        said = self.run_there("usr/bin/meterstick", "--version")
        self.assertEqual((said.returncode, said.stdout), (0, f"meterstick {packagebed.deb.upstream_version()}\n"))
        said = self.run_there("usr/bin/meterstick", "models")
        self.assertEqual(len(said.stdout.splitlines()), len(list(harness.MODELS.glob("*.meter"))), said.stderr)
        example = harness.SOURCE / "docs/examples/meterstick.conf"
        said = self.run_there("usr/bin/meterstick", "check", example)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        for name in ("acquire", "export", "leds", "stick"):
            said = self.run_there(f"usr/libexec/meterstick/meterstick-{name}", "--help")
            self.assertEqual(said.returncode, 0, said.stderr)

    def test_the_unit_tests(self):
        """Linked with the very libraries that are in the package."""
        place = packagebed.deb.PLACE / self.suite / self.arch
        names = [path.stem for path in (harness.SOURCE / "tests").glob("test_*.c")]
        packagebed.deb.build(place, self.root, names, self.log, tests="ON")
        begin = time.monotonic()
        code, said = self.ctest(place, "unit.log", "-L", "unit", "-j", str(JOBS))
        count = len(re.findall(r"^\d+: \[ +OK \] ", said, re.MULTILINE))
        harness.figure(f"unit tests of {self.suite} on {self.arch}: {count} passed in {time.monotonic() - begin:.0f} s")
        self.assertGreater(count, 500)
        if code:  # some measure time, of which an emulation on a busy machine has little: once more, alone
            _, said = self.ctest(place, "unit-again.log", "--rerun-failed", "--repeat", "until-pass:3")
        failed = set(re.findall(r"^\t *\d+ - (unit\.\w+ \(\w+\))", said, re.MULTILINE))
        self.assertEqual(failed - {f"unit.{name} (Failed)" for name in CANNOT}, set(), place)

    def ctest(self, place, name, *options):
        path = place / name
        with open(path, "w", encoding="utf-8") as output:
            code = subprocess.run(["ctest", "--test-dir", place / "build", "--timeout", "1800", "-V", *options],
                                  stdout=output, stderr=output, check=False,
                                  env=dict(os.environ, METERSTICK_COUNT_PERCENT="1")).returncode
        return code, path.read_text(encoding="utf-8", errors="replace")


def load_tests(loader, tests, _):
    for suite, arch in packagebed.kinds():
        if arch in cross.EMULATORS and arch != cross.architecture():
            tests.addTests(loader.loadTestsFromTestCase(
                type(f"Emulated_{suite}_{arch}", (Emulated, unittest.TestCase), {"suite": suite, "arch": arch})))
    return tests


if __name__ == "__main__":
    unittest.main()
