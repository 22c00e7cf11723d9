# SPDX-License-Identifier: MIT
"""What is in the packages: names, owners, rights, what lintian says, and what the programs ask of the libraries."""

import pathlib
import re
import subprocess
import tempfile
import unittest

import harness
import packagebed

PROGRAMS = ("acquire", "export", "ip", "led", "leds", "stick")
PLACES = ("/etc/meterstick/meterstick.conf", "/usr/bin/meterstick", "/usr/libexec/meterstick/",
          "/usr/lib/modules-load.d/meterstick.conf", "/usr/lib/sysusers.d/meterstick.conf",
          "/usr/lib/systemd/system/", "/usr/lib/tmpfiles.d/meterstick.conf",
          "/usr/lib/udev/rules.d/60-meterstick.rules", "/usr/share/bash-completion/completions/meterstick",
          "/usr/share/doc/meterstick/", "/usr/share/man/", "/usr/share/meterstick/models/")
# Functions of glibc that on armhf take or give a time of 32 bits; those of 64 bits have other names there
SHORT_TIMES = {"clock_gettime", "clock_settime", "clock_nanosleep", "nanosleep", "time", "gettimeofday", "localtime_r",
               "localtime", "gmtime_r", "gmtime", "mktime", "timegm", "timelocal", "difftime", "strptime_l", "stat",
               "fstat", "lstat", "fstatat", "__fxstat", "__xstat", "utimensat", "futimens", "select", "pselect",
               "ppoll", "recvmmsg", "sem_timedwait", "sem_clockwait", "pthread_cond_timedwait",
               "pthread_cond_clockwait", "pthread_mutex_timedlock", "pthread_mutex_clocklock", "timerfd_settime",
               "timer_settime", "getrusage", "wait4"}
# Functions of the libraries with a time_t, or something that holds one, in their arguments: on bookworm's armhf they
# have another idea of it than we
LIBRARY_TIMES = re.compile(r"gpiod_\w*(wait|event_read)\w*|sd_journal_\w*realtime\w*")


class Files:
    """For each package."""
    suite = arch = None

    @classmethod
    def setUpClass(cls):
        packagebed.need("dpkg-deb")
        cls.path = packagebed.package(cls.suite, cls.arch)
        cls.symbols = cls.path.with_name(cls.path.name.replace("meterstick_", "meterstick-dbgsym_"))
        directory = tempfile.TemporaryDirectory(prefix="meterstick-package-")
        cls.addClassCleanup(directory.cleanup)
        cls.root = pathlib.Path(directory.name)
        subprocess.run(["dpkg-deb", "-x", cls.path, cls.root], check=True)
        cls.programs = packagebed.deb.programs(cls.root)

    def readelf(self, program, *options):
        return subprocess.run([f"{packagebed.cross.triplet(self.arch)}-readelf", "-W", *options, program],
                              capture_output=True, text=True, check=True).stdout

    def test_it_says_what_it_is(self):
        release = packagebed.cross.RELEASES[self.suite]
        version = f"{packagebed.deb.upstream_version()}-{packagebed.deb.REVISION}~deb{release}"
        self.assertEqual(self.path.name, f"meterstick_{version}_{self.arch}.deb")
        self.assertEqual(packagebed.field(self.path, "Version"), version)
        self.assertEqual(packagebed.field(self.path, "Architecture"), self.arch)
        self.assertIn("ARMv7: Raspberry Pi 2 and later", packagebed.field(self.path, "Description"))
        self.assertEqual(packagebed.field(self.symbols, "Depends"), f"meterstick (= {version})")

    def test_it_depends_on_the_releases_own_libraries(self):
        depends = packagebed.dependencies(self.path)
        gpiod = {"bookworm": "libgpiod2", "trixie": "libgpiod3"}[self.suite]
        for name in (gpiod, "libc6", "libsystemd0", "libsqlite3-0", "dosfstools", "exfatprogs", "systemd", "udev"):
            self.assertIn(name, depends)
        # just one version of glibc would say that what is linked has something which is glibc's own
        self.assertNotIn("<<", packagebed.field(self.path, "Depends"))

    def test_everything_is_where_it_belongs_and_is_roots(self):
        found = packagebed.files(self.path)
        plain = {name: entry for name, entry in found.items() if not name.endswith("/")}
        self.assertEqual([name for name in plain if not name.startswith(PLACES)], [])
        self.assertEqual([place for place in PLACES if not any(name.startswith(place) for name in plain)], [])
        self.assertEqual({owner for _, owner in found.values()}, {"root/root"})
        programs = {f"/usr/libexec/meterstick/meterstick-{name}" for name in PROGRAMS} | {"/usr/bin/meterstick"}
        self.assertEqual({name for name, (mode, _) in plain.items() if "x" in mode}, programs)
        self.assertEqual({plain[name][0] for name in programs}, {"-rwxr-xr-x"})
        self.assertEqual({mode for name, (mode, _) in plain.items() if name not in programs}, {"-rw-r--r--"})
        self.assertEqual({mode for name, (mode, _) in found.items() if name.endswith("/")}, {"drwxr-xr-x"})

    def test_nothing_is_forgotten(self):
        found = packagebed.files(self.path)
        for unit in packagebed.UNITS:
            self.assertIn(f"/usr/lib/systemd/system/{unit}", found)
        for name in ("copyright", "changelog.Debian.gz", "changelog.gz", "README.Debian", "README.md",
                     "examples/meterstick.conf"):
            self.assertIn(f"/usr/share/doc/meterstick/{name}", found)
        for path in harness.MODELS.glob("*.meter"):
            self.assertIn(f"/usr/share/meterstick/models/{path.name}", found)
        for path in (harness.SOURCE / "docs/man").iterdir():
            self.assertIn(f"/usr/share/man/man{path.suffix[1]}/{path.name}.gz", found)
        control = subprocess.run(["dpkg-deb", "-I", self.path, "conffiles"], capture_output=True, text=True, check=True)
        self.assertEqual(control.stdout.split(), ["/etc/meterstick/meterstick.conf"])

    def test_programs_are_stripped_hardened_and_know_nothing_of_where_they_were_built(self):
        for program in self.programs:
            with self.subTest(program=program.name):
                said = self.readelf(program, "-h", "-S", "-d", "-l")
                for word in (".debug_info", ".symtab", "RPATH", "RUNPATH"):
                    self.assertNotIn(word, said)
                for word in ("BIND_NOW", "GNU_RELRO", "PIE"):
                    self.assertIn(word, said)
                self.assertNotIn(str(harness.SOURCE).encode(), program.read_bytes())

    def test_times_on_armhf_have_64_bits(self):
        if self.arch != "armhf":
            self.skipTest("of armhf; ./dev test package has it")
        for program in self.programs:
            with self.subTest(program=program.name):
                asked = set(re.findall(r" UND (\w+)", self.readelf(program, "--dyn-syms")))
                self.assertIn("__clock_gettime64", asked)
                self.assertEqual(asked & SHORT_TIMES, set())
                self.assertEqual([name for name in asked if LIBRARY_TIMES.fullmatch(name)], [])

    def test_lintian_finds_nothing(self):
        packagebed.need("lintian")
        result = subprocess.run(["lintian", "--allow-root", "--fail-on=error,warning", self.path, self.symbols],
                                capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stdout), (0, ""), result.stderr)


def load_tests(loader, tests, _):
    for suite, arch in packagebed.kinds():
        tests.addTests(loader.loadTestsFromTestCase(type(f"Files_{suite}_{arch}", (Files, unittest.TestCase),
                                                         {"suite": suite, "arch": arch})))
    return tests


if __name__ == "__main__":
    unittest.main()
