# SPDX-License-Identifier: MIT
"""
The lights do not lie, of meters, lines, ports, clocks and the board: as tests/io/test_truth.py.
"""

import ctypes
import fcntl
import os
import pathlib
import signal
import struct
import time
import unittest

import harness
import timedate
import truthbed
import virtual_clock
from truthbed import GOOD, NO_ACQUIRE

cases = truthbed.Cases()
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@cases.case(((1,), "silent"), ((1, 2), "failed"))
def test_meters_fall_silent(_, bed, units, word):
    """Faults 1, 2 and 3."""
    bed.begin()
    bed.tell("meters do not answer", {"meters": word}, lambda: [bed.tell_line(f"kill {unit}") for unit in units])
    bed.hold(3)
    bed.tell("they answer", GOOD, lambda: [bed.tell_line(f"revive {unit}") for unit in units], 60)


@cases.case()
def test_the_adapter_is_pulled(_, bed):
    """Faults 13 and 14: the port is gone, while acquire runs and when it begins."""
    bed.begin()
    bed.tell("the adapter is gone", {"meters": "failed"}, bed.end_line)
    bed.tell("acquire ended", NO_ACQUIRE, lambda: bed.end("acquire"))
    bed.tell("acquire is back, the adapter is not", dict(GOOD, meters="failed"), bed.begin_acquire)
    bed.tell("the adapter is back", GOOD, bed.begin_line)


@cases.case(("crc=1%", "all read"), ("crc=50%", {"all read", "silent"}), ("noise,fragment=5ms", "all read"),
            ("echo", "all read"), ("crc", "failed"), ("drop", "failed"), ("cut", "failed"), ("exception=4", "failed"),
            ("wrong-unit", "failed"), ("wrong-length", "failed"), ("late=3s", "failed"))
def test_a_bad_line(_, bed, fault, word):
    """Faults 4 to 10 and 15: what hides behind a second attempt is no failure, and what gives no number is one."""
    bed.begin()
    bed.tell(fault, {"meters": word}, lambda: bed.tell_line(f"fault {fault}"))
    bed.hold(5)

    def mend():
        bed.end_line()
        bed.begin_line()
    bed.tell("the line is well", GOOD, mend, 20)


@cases.case()
def test_the_line_hangs(_, bed):
    """Faults 2 and 3: the adapter is there, and nobody takes what is written to it."""
    bed.begin()
    bed.tell("the line hangs", {"meters": "failed"}, lambda: bed.signal("line", signal.SIGSTOP))
    bed.hold(3)
    bed.tell("it goes on", GOOD, lambda: bed.signal("line", signal.SIGCONT), 20)


@cases.case(more="[meter lazy]\ndriver = exec\ncommand = sleep 1000\ncolumns = voltage V\n")
def test_a_program_that_is_a_meter_says_nothing(_, bed):
    """Fault 1: from the start, and the others are read."""
    bed.begin_line()
    bed.begin_acquire()
    bed.begin_stick()
    bed.begin_leds()
    harness.wait_until(bed.words, 10, "a first frame")
    bed.tell("one of three is silent", dict(GOOD, meters="silent"), within_s=20)
    bed.hold(8)


@cases.case(("set 1 voltage nan", "set 2 voltage 1e9"), ("set 1 energy_active_import 1e12", "set 2 energy_active_import 1"))
def test_values_that_cannot_be(_, bed, *commands):
    """Faults 11 and 12: a cell is empty, and the meter is read all the same."""
    bed.begin()
    bed.tell(commands[0], {"meters": "all read"}, lambda: [bed.tell_line(command) for command in commands])
    bed.hold(8)


class Port:
    """The semaphore of a bed's port, as other programs have it (docs/port-sharing.md), and its side lock."""

    SETLK = 37  # F_OFD_SETLK

    def __init__(self, bed):
        self.name = bed.port
        self.environment = {"METERSTICK_LOCK_DIR": str(bed.directory)}
        self.file, self.side = f"/dev/shm/sem.{self.name[1:]}", bed.directory / self.name[1:]
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.sem_open.restype = ctypes.c_void_p
        self.handle = ctypes.c_void_p(self.libc.sem_open(self.name.encode(), os.O_CREAT, ctypes.c_uint(0o660),
                                                         ctypes.c_uint(1)))
        self.side_fd = os.open(self.side, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.side_fd)
        self.libc.sem_close(self.handle)
        for path in (self.file, self.side):
            if os.path.exists(path):
                os.unlink(path)

    def take(self):
        self.libc.sem_wait(self.handle)

    def post(self, count):
        for _ in range(count):
            self.libc.sem_post(self.handle)

    def lock(self, kind):
        """The side lock. Returns whether it could be had."""
        try:
            fcntl.fcntl(self.side_fd, self.SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0))
            return True
        except BlockingIOError:
            return False

    def take_side(self):
        harness.wait_until(lambda: self.lock(fcntl.F_WRLCK), 10, "the side lock")


@cases.case(lock=True)
def test_another_program_keeps_the_port_and_dies(_, bed):
    """Fault 17: what it took is lost; after 10 s of silence it is taken over."""
    with Port(bed) as port:
        bed.begin(environment=port.environment)
        bed.tell("somebody has the port", {"meters": "failed"}, port.take)
        bed.tell("its token is taken over", GOOD, within_s=12)


@cases.case(lock=True)
def test_another_of_our_programs_is_stopped_with_the_port(_, bed):
    """Fault 21: nobody takes the port from one that is alive."""
    with Port(bed) as port:
        bed.begin(environment=port.environment)
        bed.tell("the port is another's", {"meters": "failed"}, port.take_side)
        bed.hold(4)
        bed.tell("it gives it back", GOOD, lambda: port.lock(fcntl.F_UNLCK))


@cases.case(lock=True)
def test_another_program_spoils_the_semaphore(_, bed):
    """Faults 18, 19 and 23: what can be mended is; a file that is no semaphore is told until it is gone."""
    with Port(bed) as port:
        bed.begin(environment=port.environment)
        bed.tell("it posts what it never took", {"meters": "all read"}, lambda: port.post(1000))
        bed.hold(4)
        bed.tell("it removes it", {"meters": "all read"}, lambda: os.unlink(port.file))
        bed.hold(4)
        bed.tell("it cuts it", {"meters": "failed"}, lambda: os.truncate(port.file, 1))
        bed.hold(2)
        bed.tell("it removes it again", GOOD, lambda: os.unlink(port.file))


@cases.case(lock=True)
def test_the_semaphore_is_another_users(_, bed):
    """Fault 20: told until somebody gives us the right."""
    if os.getuid() != 0:
        raise unittest.SkipTest("only root can be two users")
    with Port(bed) as port:
        os.chmod(port.file, 0o600)
        for path in (bed.directory, bed.state, bed.run, port.side):
            os.chmod(path, 0o777)
        bed.begin_line()
        os.chmod(bed.line.resolve(), 0o666)
        bed.begin_acquire(environment=port.environment, nobody=True)
        bed.begin_stick()
        bed.begin_leds()
        harness.wait_until(bed.words, 10, "a first frame")
        bed.tell("we may not have the port", dict(GOOD, meters="failed"), within_s=20)
        bed.hold(3)
        bed.tell("we may", GOOD, lambda: os.chmod(port.file, 0o666))


@cases.case(lock=True)
def test_another_of_our_programs_is_killed_again_and_again(_, bed):
    """Fault 16: whoever comes next inherits the port."""
    with Port(bed) as port:
        bed.begin(environment=port.environment)
        bed.tell("others read, and are killed", {"meters": "all read"})
        for _ in range(6):
            bed.spawn("read", harness.PLAIN_BIN / "meterstick", "read", "m1", "--config", bed.config, "--interval", "0.05",
                      "--count", "1000", environment=port.environment)
            bed.hold(0.8)
            bed.kill("read")


@cases.case(clock="auto")
def test_the_time_is_not_known_and_then_is(_, bed):
    """Faults 44, 54 and 57: `acquire` asks each 10 s, if nobody sets the clock; the stick has boot-1.csv meanwhile."""
    if timedate.missing():
        raise unittest.SkipTest(timedate.missing())
    case = harness.Case()
    address, answer = f"unix:path={bed.directory}/bus", bed.directory / "synchronised"
    answer.write_text("no")
    try:
        timedate.serve(case, address, answer)
        bed.begin(environment={"DBUS_SYSTEM_BUS_ADDRESS": address}, good=dict(GOOD, clock="unknown"))
        bed.tell("rows without a time are on the stick", {"stick": {"current", "behind"}},
                 lambda: harness.wait_until(lambda: bed.words()["stick"] == "current", 10, "a burst"))
        bed.hold(6)
        bed.tell("the time is known", GOOD, lambda: answer.write_text("yes"), 13)
        bed.hold(2)
    finally:
        case.doCleanups()


def boot_clock(bed, **options):
    """A wall clock of the bed's own, and the boot that this is."""
    clock = virtual_clock.VirtualClock(bed.directory, boot_s=time.clock_gettime(time.CLOCK_BOOTTIME) - 0.01, **options)
    (clock.root / BOOT_ID[1:]).write_text(pathlib.Path(BOOT_ID).read_text())
    return clock


@cases.case(clock="auto")
def test_somebody_sets_the_clock(_, bed):
    """Faults 22, 54, 55, 57 and 58: 1970 is no time that is known, nor is one 50 years ahead; no deadline minds."""
    clock = boot_clock(bed, wall=86400)
    try:
        bed.begin(environment=clock.environment(), good=dict(GOOD, clock="unknown"))
        bed.tell("a person sets it", GOOD, lambda: clock.set(time.time()))
        for hours, word in ((1, "known"), (-1, "known"), (50 * 8766, "unknown"), (-50 * 8766, "known")):
            bed.tell(f"{hours} h", {"clock": word}, lambda hours=hours: clock.step(3600 * hours))
            bed.hold(2)
    finally:
        bed.close()
        clock.close()


@cases.case()
def test_the_voltage_was_too_low(_, bed):
    """Fault 65: it stays so until the next boot, whatever becomes of `leds`."""
    sensor = bed.directory / "board" / "sys" / "class" / "hwmon" / "hwmon3"
    sensor.mkdir(parents=True)
    (sensor / "name").write_text("rpi_volt\n")
    (sensor / "in0_lcrit_alarm").write_text("0\n")
    bed.board = bed.directory / "board"
    bed.begin(good=dict(GOOD, power="good"))
    bed.tell("the voltage is low", {"power": "low"}, lambda: (sensor / "in0_lcrit_alarm").write_text("1\n"))
    (sensor / "in0_lcrit_alarm").write_text("0\n")
    bed.hold(4)
    bed.kill("leds")
    bed.begin_leds()
    bed.hold(4)


Truth = cases.make("Truth")

if __name__ == "__main__":
    unittest.main()
