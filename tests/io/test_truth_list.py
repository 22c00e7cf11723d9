# SPDX-License-Identifier: MIT
"""
The faults of reliability.md section 7, what the lights say of each, and the test that looks at these lights: each says so in
its first lines. What has no light says why.
"""

import ast
import pathlib
import re
import unittest

HERE = pathlib.Path(__file__).parent

# Faults, the light, and the test that looks at it; or, without a test, why there is none.
FAULTS = [
    ((1,), "meters: yellow", "test_truth_line.test_meters_fall_silent"),
    ((2, 3), "meters: red, and green again", "test_truth_line.test_meters_fall_silent"),
    ((1,), "meters: yellow", "test_truth_line.test_a_program_that_is_a_meter_says_nothing"),
    ((2, 3), "meters: red, and green again", "test_truth_line.test_the_line_hangs"),
    ((4, 5, 6, 9, 15), "meters: green while rows are written", "test_truth_line.test_a_bad_line"),
    ((7, 8, 10), "meters: red", "test_truth_line.test_a_bad_line"),
    ((11, 12), "meters: green; the cell is empty", "test_truth_line.test_values_that_cannot_be"),
    ((13, 14), "meters: red, and green again", "test_truth_line.test_the_adapter_is_pulled"),
    ((16,), "meters: green", "test_truth_line.test_another_of_our_programs_is_killed_again_and_again"),
    ((17,), "meters: red, and green again", "test_truth_line.test_another_program_keeps_the_port_and_dies"),
    ((18, 19), "meters: green", "test_truth_line.test_another_program_spoils_the_semaphore"),
    ((20,), "meters: red", "test_truth_line.test_the_semaphore_is_another_users"),
    ((21,), "meters: red, and green again", "test_truth_line.test_another_of_our_programs_is_stopped_with_the_port"),
    ((22,), "all as it was", "test_truth_line.test_somebody_sets_the_clock"),
    ((23,), "meters: red", "test_truth_line.test_another_program_spoils_the_semaphore"),
    ((24,), "none: how long each waits is counted in turns", None),
    ((25, 26, 27, 28), "stick: dark; writing: dark", "test_truth.test_the_stick_is_pulled"),
    ((29,), "none but those of 25: what else changes is a mount", None),
    ((30, 31, 32, 37), "writing: red; stick: not white", "test_truth.test_the_stick_is_full_readonly_or_broken"),
    ((33, 34, 35, 36), "stick: red, after blue", "test_truth_files.test_each_state_of_a_stick_has_its_light"),
    ((38,), "stick: red; writing: red", "test_truth.test_the_stick_hangs"),
    ((38, 39), "writing: red", "test_truth_files.test_each_state_of_a_stick_has_its_light"),
    ((40, 41, 42), "stick: white", "test_truth_files.test_each_state_of_a_stick_has_its_light"),
    ((43,), "none: nobody has to ask, a stick is safe whenever pixel 2 is dark", None),
    ((44, 54, 57), "clock: yellow, and green", "test_truth_line.test_the_time_is_not_known_and_then_is"),
    ((45,), "none: there is no power", None),
    ((46, 47, 50), "writing: red", "test_truth.test_the_card_is_full_readonly_broken_or_gone"),
    ((50,), "writing: red", "test_truth.test_the_card_is_bad_from_the_start"),
    ((48, 49, 52), "writing: dark again", "test_truth.test_the_newest_segment_is_damaged"),
    ((51,), "meters: red; writing: red after 25 s", "test_truth.test_the_card_hangs"),
    ((53,), "none: nothing is wrong", None),
    ((55, 58), "all as it was", "test_truth_line.test_somebody_sets_the_clock"),
    ((56,), "none: the letter H is as green as N", None),
    ((59, 61, 63), "program: red", "test_truth.test_acquire_is_killed_stopped_or_ended"),
    ((59, 61, 63), "stick: red", "test_truth.test_stick_is_killed_stopped_or_ended"),
    ((61, 64), "what is then, not what was", "test_truth.test_leds_is_stopped_while_acquire_dies"),
    ((59, 64), "one steady red light", "test_truth.test_leds_is_killed_or_ended"),
    ((60,), "those of 59: the service manager begins it again (tests/vm/test_vm_units.py)", None),
    ((62,), "program: red where no configuration can be used", "test_truth.test_a_bad_configuration"),
    ((65,), "power: yellow until the next boot", "test_truth_line.test_the_voltage_was_too_low"),
    ((66,), "none: there are no two systems on a card", None),
    ((67, 68), "none yet: there are no outlets", None),
    ((69, 70), "none yet: there is no web server", None),
    ((71,), "stick: red while it is said that it is refused: as 34", None),
    ((72, 73, 74, 75), "none: it is kept out, and nothing is wrong", None),
]


def named(text):
    """The numbers of "Faults 1, 2 and 4 to 10"."""
    numbers = set()
    for part in re.findall(r"[Ff]aults? ((?:\d+|, | and | to )+)", text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", part):
            numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


class List(unittest.TestCase):
    def test_each_fault_is_in_it(self):
        self.assertEqual({number for numbers, _, _ in FAULTS for number in numbers}, set(range(1, 76)))

    def test_what_looks_at_a_light_says_of_which_fault(self):
        functions = {}
        for path in HERE.glob("test_truth*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    functions[f"{path.stem}.{node.name}"] = named(ast.get_docstring(node) or "")
        for numbers, _, test in FAULTS:
            if test:
                self.assertIn(test, functions)
                self.assertLessEqual(set(numbers), functions[test], test)


if __name__ == "__main__":
    unittest.main()
