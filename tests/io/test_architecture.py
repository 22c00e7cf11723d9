# SPDX-License-Identifier: MIT
"""What docs/architecture.md says of folders and libraries, held against every #include."""

import pathlib
import re
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# Who may include whom, besides itself. What is not here sees nobody.
SEES = {
    "app/base": set(),
    "drivers": {"app/base"},
    "leds": {"app/base"},
    "board": {"app/base"},
    "app/formats": {"app/base", "drivers"},
    "app/config": {"app/base", "drivers"},
    "app/journal": {"app/base", "drivers"},
    "app/outlet": {"app/base", "board", "drivers", "app/formats", "app/config", "app/journal", "app/service"},
    "app/service": {"app/base", "board"},
    "app/acquire": {"app/base", "board", "drivers", "app/config", "app/journal", "app/service"},
    "app/leds": {"app/base", "board", "leds", "app/service"},
    "app/cli": {"app/base", "drivers", "leds", "app/formats", "app/config"},
}

# Each foreign library, and the one file that knows it
LIBRARIES = {
    "gpiod.h": "board/gpio_library.c",
    "ini.h": "app/base/ini.c",
    "jansson.h": "app/base/json.c",
    "libudev.h": "board/hotplug.c",
    "sqlite3.h": "app/journal/database.c",
    "systemd/sd-bus.h": "app/service/timedate.c",
    "systemd/sd-daemon.h": "app/service/loop_notify.c",
    "systemd/sd-event.h": "app/service/loop.c",
}

# Everything else that stands in <> comes with the C library or the kernel.
SYSTEM = re.compile(r"(sys|linux|asm|netinet|arpa|net)/\w+\.h")
C_LIBRARY = set("""assert ctype dirent errno fcntl float getopt glob grp ifaddrs inttypes limits locale malloc math netdb poll
                   pthread pwd sched semaphore signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio
                   stdlib string strings termios threads time unistd""".split())


def sources(*endings):
    return sorted(path for folder in SEES for ending in endings for path in (SOURCE / folder).glob(f"*{ending}"))


def name(path):
    return path.relative_to(SOURCE).as_posix()


def includes(path, pattern):
    return re.findall(rf"^\s*#\s*include\s+{pattern}", path.read_text(), re.MULTILINE)


class Architecture(unittest.TestCase):
    def test_every_folder_of_code_is_known(self):
        folders = {name(path.parent) for top in ("app", "board", "drivers", "leds")
                   for path in (SOURCE / top).rglob("*.[ch]")}
        self.assertLessEqual(folders, set(SEES))
        self.assertGreater(len(sources(".c")), 50)

    def test_dependencies_point_one_way(self):
        for path in sources(".c", ".h"):
            folder = name(path.parent)
            for include in includes(path, '"([^"]+)"'):
                with self.subTest(file=name(path), include=include):
                    self.assertTrue((SOURCE / include).is_file(), "from the top of the tree")
                    self.assertIn(include.rpartition("/")[0], SEES[folder] | {folder})

    def test_each_foreign_library_is_known_to_one_file(self):
        for path in sources(".c", ".h"):
            for include in includes(path, "<([^>]+)>"):
                if SYSTEM.fullmatch(include) or include.removesuffix(".h") in C_LIBRARY:
                    continue
                with self.subTest(file=name(path), include=include):
                    self.assertEqual(name(path), LIBRARIES.get(include))

    def test_a_file_includes_its_own_header_first(self):
        for path in sources(".c"):
            if path.with_suffix(".h").is_file():
                with self.subTest(file=name(path)):
                    self.assertEqual(includes(path, r'[<"]([^>"]+)')[0], name(path.with_suffix(".h")))

    def test_every_header_stands_alone(self):
        with tempfile.TemporaryDirectory() as directory:
            files = []
            for number, path in enumerate(sources(".h")):
                files.append(pathlib.Path(directory) / f"{number}.c")
                files[-1].write_text(f'#include "{name(path)}"\n')
            result = subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                                     "-fsyntax-only", "-I", str(SOURCE), *map(str, files)],
                                    capture_output=True, text=True, check=False)
        self.assertGreater(len(files), 20)
        self.assertEqual(result.stderr, "")
        self.assertEqual(result.returncode, 0)

    def test_only_the_log_has_state_of_its_own(self):
        owners = [name(path) for path in sources(".c")
                  for line in re.findall(r"^static [^(\n]*$", path.read_text(), re.MULTILINE)
                  if not re.search(r"\bconst\b", line.partition("=")[0])]
        self.assertEqual(owners, ["app/base/log.c"])


if __name__ == "__main__":
    unittest.main()
