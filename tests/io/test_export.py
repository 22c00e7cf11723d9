# SPDX-License-Identifier: MIT
"""
`export` of a journal whose list of meters is damaged (fault 49): rows that cannot be named are not the fault of who asks.
"""

import sqlite3
import unittest

import crashbed
import harness


class Damaged(harness.Case):
    def setUp(self):
        super().setUp()
        plant = crashbed.Plant(self.directory, crashbed.Slave(self).where)
        plant.start()
        plant.wait(lambda: plant.committed() >= 6, 40, "rows")
        self.assertEqual(plant.end()[0], 0)
        self.state = plant.state
        self.segment, = (plant.state / "journal").glob("*.db")

    def change(self, sql):
        database = sqlite3.connect(self.segment)
        database.execute(sql)
        database.commit()
        database.close()

    def export(self, meter):
        result = self.meterstick("export", "--state-dir", self.state, "--run-dir", self.directory / "none", "--meter",
                                 meter)
        return result.returncode, result.stderr

    def test_the_list_is_sound(self):
        self.assertEqual(self.export("m1")[0], 0)
        code, said = self.export("m3")
        self.assertEqual(code, 64)
        self.assertRegex(said, "no meter 'm3'; it has: m[12], m[12]\n")

    def test_the_list_is_empty(self):
        self.change("DELETE FROM meter")
        for meter in "m1", "m3":
            code, said = self.export(meter)
            self.assertEqual(code, 74, said)
            self.assertIn("rows whose meter cannot be told", said)

    def test_one_line_of_it_is_gone(self):
        self.change("DELETE FROM meter WHERE name='m1'")
        self.assertEqual(self.export("m2")[0], 0)
        code, said = self.export("m1")
        self.assertEqual(code, 74, said)
        self.assertIn("rows whose meter cannot be told", said)

    def test_its_page_is_damaged(self):
        database = sqlite3.connect(self.segment)
        size, = database.execute("PRAGMA page_size").fetchone()
        page, = database.execute("SELECT rootpage FROM sqlite_master WHERE name='meter'").fetchone()
        database.close()
        with open(self.segment, "r+b") as file:
            file.seek((page - 1) * size)
            file.write(bytes(size))
        code, said = self.export("m1")
        self.assertEqual(code, 74, said)
        self.assertIn("damaged", said)

    def test_nothing_is_left(self):
        self.change("DELETE FROM sample")
        self.change("DELETE FROM meter")
        code, said = self.export("m1")
        self.assertEqual(code, 74, said)
        self.assertIn("no meter at all", said)


if __name__ == "__main__":
    unittest.main()
