# SPDX-License-Identifier: MIT
"""
A package is installed, upgraded, removed and purged in chroots of its release. What a person wrote stays, and so do the
readings, unless he says otherwise.
"""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import harness
import packagebed

CONFIG = "/etc/meterstick/meterstick.conf"
STATE = "/var/lib/meterstick"
WANTED = "/etc/systemd/system/multi-user.target.wants"
# Stands in for what wants a service manager, and writes down how it was called
STAND_IN = '#!/bin/sh\necho "$(basename "$0") $*" >> /called\n'


def repacked(path, directory, edit, version):
    """The same package as another version, with files changed by edit(root)."""
    root = directory / "old"
    subprocess.run(["dpkg-deb", "-R", path, root], check=True)
    edit(root)
    control = root / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
    (root / "DEBIAN/md5sums").unlink()
    made = directory / f"old-{version}.deb"
    subprocess.run(["dpkg-deb", "-Znone", "--root-owner-group", "--build", root, made], check=True,
                   capture_output=True)
    shutil.rmtree(root)
    return made


def other_configuration(root):
    path = root / CONFIG.lstrip("/")
    path.write_text("# an earlier one\n" + path.read_text())


class Life:
    """For each release; what is below runs in one chroot, from which each leaves without a trace."""
    suite = None

    @classmethod
    def setUpClass(cls):
        packagebed.need("mmdebstrap", "dpkg-deb", "unshare")
        cls.arch = packagebed.cross.architecture()
        cls.package = packagebed.package(cls.suite, cls.arch)
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="meterstick-package-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        cls.old = repacked(cls.package, cls.directory, other_configuration, "0.0.9-1~deb1")
        cls.chroot = packagebed.Chroot(cls.suite, cls.arch)
        cls.addClassCleanup(cls.chroot.close)
        cls.path = cls.chroot.root

    def setUp(self):
        self.addCleanup(self.forget)

    def forget(self):
        """Nothing of ours, but for the user."""
        self.ok("sh", "-c", f"rm -rf /usr/local/sbin/* /run/systemd/system {STATE} /called; "
                f"systemctl unmask {' '.join(packagebed.UNITS)}; dpkg --purge meterstick; rm -rf {STATE} "
                "/etc/meterstick")
        self.assertEqual(self.ok("find", "/etc/systemd", "/usr/libexec", "/run", "-name", "*meterstick*"), "")

    def ok(self, *command):
        code, text = self.chroot.run(*command)
        self.assertEqual(code, 0, text)
        return text

    def install(self, package):
        self.chroot.take(package, "/new.deb")
        return self.ok("dpkg", "--force-confdef", "--force-confold", "-i", "/new.deb")

    def there(self, name):
        path = self.path / name.lstrip("/")
        return path.exists() or path.is_symlink()

    def read(self, name):
        return (self.path / name.lstrip("/")).read_text()

    def owner(self, name):
        return self.ok("stat", "-c", "%U:%G %a", name).strip()

    def test_what_is_installed_works(self):
        self.install(self.package)
        self.assertEqual(self.ok("dpkg", "--audit"), "")
        for name, owner in ((STATE, "meterstick:meterstick 755"), (f"{STATE}/inbox", "meterstick:meterstick 750"),
                            ("/run/meterstick", "meterstick:meterstick 755"), ("/etc/meterstick", "root:root 755"),
                            ("/etc/meterstick/models", "root:root 755"), (CONFIG, "root:root 644")):
            with self.subTest(name=name):
                self.assertEqual(self.owner(name), owner)
        self.assertEqual(self.ok("meterstick", "--version"),
                         f"meterstick {packagebed.deb.upstream_version()}\n")
        self.assertEqual(len(self.ok("meterstick", "models").splitlines()),
                         len(list(harness.MODELS.glob("*.meter"))))
        code, said = self.chroot.run("meterstick", "check")
        self.assertIn(code, (0, 78), said)
        self.assertNotIn("error", said)
        for unit in packagebed.UNITS:
            with self.subTest(unit=unit):
                self.assertTrue(self.there(f"{WANTED}/{unit}"))
                self.assertEqual(self.ok("systemd-analyze", "verify", "--man=no", f"/usr/lib/systemd/system/{unit}"),
                                 "")
        self.assertEqual(self.ok("find", "/usr/bin/meterstick", "/usr/libexec/meterstick", "/usr/share/meterstick",
                                 "/etc/meterstick", STATE, "/run/meterstick", "-perm", "/002", "!", "-type", "l"), "")
        # the configuration as it comes says nothing; as the remarks in it say, it is right
        text = re.sub(r"^# (\[|\w+ *= )", r"\1", self.read(CONFIG), flags=re.MULTILINE)
        self.assertNotEqual(text, self.read(CONFIG))
        self.assertFalse([line for line in self.read(CONFIG).splitlines() if line and not line.startswith("#")])
        self.chroot.write("/full.conf", text)
        self.assertIn("2 meters on 2 buses", self.ok("meterstick", "check", "/full.conf"))

    def test_an_upgrade_leaves_what_a_person_wrote_and_what_was_read(self):
        self.install(self.old)
        mine = self.read(CONFIG).replace("# [appliance]\n# interval = 10 s", "[appliance]\ninterval = 20 s")
        self.assertIn("\n[appliance]", mine)
        self.chroot.write(CONFIG, mine)
        self.chroot.write("/etc/meterstick/conf.d/more.conf", "[appliance]\nname = cellar\n")
        self.chroot.write(f"{STATE}/readings", "precious")
        self.ok("systemctl", "disable", packagebed.UNITS[2])
        self.ok("systemctl", "mask", packagebed.UNITS[1])
        self.install(self.package)
        self.assertEqual(self.read(CONFIG), mine)
        self.assertTrue(self.there(f"{CONFIG}.dpkg-dist"))
        self.assertTrue(self.there("/etc/meterstick/conf.d/more.conf"))
        self.assertEqual(self.read(f"{STATE}/readings"), "precious")
        self.assertTrue(self.there(f"{WANTED}/{packagebed.UNITS[0]}"))
        self.assertFalse(self.there(f"{WANTED}/{packagebed.UNITS[2]}"))
        code, said = self.chroot.run("systemctl", "is-enabled", packagebed.UNITS[1])
        self.assertEqual((code, said), (1, "masked\n"))
        self.assertIn("interval = 20", self.read(CONFIG))

    def test_a_configuration_that_nobody_changed_becomes_the_new_one(self):
        self.install(self.old)
        self.install(self.package)
        self.assertNotIn("an earlier one", self.read(CONFIG))
        self.assertFalse(self.there(f"{CONFIG}.dpkg-dist"))

    def live(self):
        """Until it is purged: what a person and the appliance leave."""
        self.install(self.package)
        self.chroot.write(CONFIG, "[appliance]\ninterval = 20 s\n")
        self.chroot.write(f"{STATE}/readings", "precious")

    def test_who_removes_it_keeps_configuration_and_readings(self):
        self.live()
        self.ok("dpkg", "--remove", "meterstick")
        self.assertFalse(self.there("/usr/bin/meterstick"))
        self.assertFalse(self.there("/usr/libexec/meterstick"))
        self.assertIn("20 s", self.read(CONFIG))
        self.assertEqual(self.read(f"{STATE}/readings"), "precious")
        self.install(self.package)
        self.assertIn("20 s", self.read(CONFIG))
        self.assertTrue(self.there(f"{WANTED}/{packagebed.UNITS[0]}"))

    def test_who_purges_it_keeps_the_readings(self):
        self.live()
        said = self.ok("dpkg", "--purge", "meterstick")
        self.assertIn(f"{STATE}, with all readings, was kept", said)
        self.assertEqual(self.read(f"{STATE}/readings"), "precious")
        for name in ("/etc/meterstick", "/run/meterstick", "/run/lock/meterstick", *(f"{WANTED}/{unit}"
                                                                                     for unit in packagebed.UNITS)):
            with self.subTest(name=name):
                self.assertFalse(self.there(name))
        self.assertEqual(self.chroot.run("dpkg", "-s", "meterstick")[0], 1)
        self.assertEqual(self.ok("find", "/etc/systemd", "-name", "*meterstick*"), "")

    def test_who_purges_it_and_asks_for_it_gets_rid_of_the_readings(self):
        self.live()
        self.chroot.write(f"{STATE}/delete-on-purge", "")
        self.ok("dpkg", "--remove", "meterstick")
        self.assertEqual(self.read(f"{STATE}/readings"), "precious")
        self.assertIn("deleted", self.ok("dpkg", "--purge", "meterstick"))
        self.assertFalse(self.there(STATE))

    def test_a_purge_leaves_what_a_person_put_beside_our_configuration(self):
        self.live()
        self.chroot.write("/etc/meterstick/conf.d/more.conf", "[appliance]\nname = cellar\n")
        self.ok("dpkg", "--purge", "meterstick")
        self.assertTrue(self.there("/etc/meterstick/conf.d/more.conf"))
        self.assertFalse(self.there(CONFIG))

    def test_the_services_are_started_restarted_and_stopped_at_the_right_times(self):
        """With stand-ins for what talks to a service manager, as there is none."""
        self.ok("mkdir", "-p", "/run/systemd/system")
        for name in ("deb-systemd-invoke", "systemctl", "udevadm"):
            self.chroot.write(f"/usr/local/sbin/{name}", STAND_IN, "755")

        def called(*arguments):
            self.chroot.write("/called", "")
            self.ok(*arguments)
            return self.read("/called").splitlines()

        units = " ".join(packagebed.UNITS)
        self.chroot.take(self.old, "/old.deb")
        self.chroot.take(self.package, "/new.deb")
        calls = called("dpkg", "-i", "/old.deb")
        for call in ("udevadm control --reload", "systemctl --system daemon-reload"):
            self.assertIn(call, calls)
        # the lights' lines have their group, and the new units are known, before anything starts
        self.assertEqual(calls[-1], f"deb-systemd-invoke start {units}")
        calls = called("dpkg", "-i", "/new.deb")
        self.assertEqual(calls[-1], f"deb-systemd-invoke restart {units}")
        self.assertFalse([call for call in calls if " stop " in call])
        self.assertEqual(called("dpkg", "--remove", "meterstick")[0], f"deb-systemd-invoke stop {units}")


def load_tests(loader, tests, _):
    for suite in packagebed.suites():
        tests.addTests(loader.loadTestsFromTestCase(type(f"Life_{suite}", (Life, unittest.TestCase),
                                                         {"suite": suite})))
    return tests


if __name__ == "__main__":
    unittest.main()
