# SPDX-License-Identifier: MIT
"""A time service on a bus of the test's own: timedate1, that says whether NTP keeps the clock."""

import pathlib
import shutil
import subprocess
import sys


def missing():
    """Why there can be none; "" if there can."""
    found = shutil.which("dbus-daemon") and subprocess.run(
        ["/usr/bin/python3", "-c", "import dbus, gi"], capture_output=True, check=False).returncode == 0
    return "" if found else "needs dbus-daemon, python3-dbus and python3-gi"


def serve(case, address, answer):
    """Start bus and service at the address. answer: a file that says "yes" or something else, read at each question."""
    daemon = case.start("dbus-daemon", "--session", "--nofork", "--print-address", f"--address={address}",
                        stdout=subprocess.PIPE)
    daemon.stdout.readline()
    service = case.start("/usr/bin/python3", __file__, address, answer, stdout=subprocess.PIPE)
    case.assertEqual(service.stdout.readline(), b"ready\n")


def main():
    import dbus
    import dbus.mainloop.glib
    import dbus.service
    from gi.repository import GLib

    class Timedate(dbus.service.Object):
        @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
        def Get(self, interface, name):
            assert (interface, name) == ("org.freedesktop.timedate1", "NTPSynchronized")
            return pathlib.Path(sys.argv[2]).read_text(encoding="ascii") == "yes"

    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(sys.argv[1])
    name = dbus.service.BusName("org.freedesktop.timedate1", bus)  # held as long as this runs
    Timedate(bus, "/org/freedesktop/timedate1")
    print("ready", flush=True)
    GLib.MainLoop().run()
    del name


if __name__ == "__main__":
    main()
