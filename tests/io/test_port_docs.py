# SPDX-License-Identifier: MIT
"""Every block of code of docs/port-sharing.md, run on a line that acquire logs from at the same time."""

import os
import re
import subprocess
import unittest

import harness
import test_port_sharing
from sharedline import SharedLine

DOCUMENT = test_port_sharing.DOCUMENT
UNIT = 5  # of the document's examples; its register 0 is 500


class Document(test_port_sharing.Case):
    def setUp(self):
        super().setUp()
        self.line = SharedLine(self, [*test_port_sharing.LIVE, UNIT])
        self.plant(self.line, *test_port_sharing.LIVE)

    def blocks(self, language):
        found = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
        return [block.replace("/dev/ttyUSB0", self.line.where).replace("/rs485", self.name) for block in found]

    def run_here(self, *command):
        return subprocess.run([str(word) for word in command], cwd=self.directory, capture_output=True, text=True,
                              timeout=60, check=False, env=dict(os.environ, PYTHONPATH=str(self.directory)))

    def check(self, expect, *command):
        """It has its turn again and again; while somebody else has the port it gives up, and does no harm."""
        for _ in range(5):
            result = self.run_here(*command)
            self.assertEqual((result.returncode, result.stdout.strip()), (0, expect), result.stderr)
        self.check_line(self.line)
        self.wait_rows(len(self.rows()) + 4)

        script, said = self.script(self.line, "hold", unit=UNIT)
        harness.wait_until(lambda: any("holds" in turn for turn in said()), 20, "somebody has it")
        inode = self.file.stat().st_ino
        result = self.run_here(*command)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("is busy", result.stderr)
        self.assertEqual((self.file.stat().st_ino, self.value()), (inode, 0))
        script.kill()

    def test_c(self):
        block, = self.blocks("c")
        (self.directory / "turn.c").write_text(block)
        compiled = self.run_here("cc", "-Wall", "-Wextra", "-Werror", "-o", "turn", "turn.c")
        self.assertEqual(compiled.returncode, 0, compiled.stderr)
        self.check("500", "./turn", self.name, self.line.where, UNIT)
        self.assertEqual(self.run_here("./turn").returncode, 64)

    def test_python(self):
        module, example = self.blocks("python")
        (self.directory / "port_sharing.py").write_text(module)
        self.check("500", "/usr/bin/python3", "-c", example)

    def test_shell(self):
        module, _ = self.blocks("python")
        (self.directory / "port_sharing.py").write_text(module)
        block, = self.blocks("sh")
        self.check("5   3   2   1 244  73 147", "sh", "-e", "-c", block.replace("python3 ", "/usr/bin/python3 "))


class Whole(unittest.TestCase):
    def test_there_is_no_other_code(self):
        kinds = re.findall(r"^```(\w*)$", DOCUMENT.read_text(), re.MULTILINE)
        self.assertEqual([kind for kind in kinds if kind], ["c", "python", "python", "sh"])


if __name__ == "__main__":
    unittest.main()
