"""The memory that is measured is what the process had at most, and of this process alone."""

import subprocess
import sys

from tests.conftest import PROJECT

PROGRAM = """
from tasks.evaluation.score_program import peak_memory_bytes
before = peak_memory_bytes()
much = b"x" * (96 * 2**20)
del much
print(before, peak_memory_bytes())
"""


def test_memory_that_was_given_back_counts_and_that_of_the_starting_process_does_not() -> None:
    held = b"x" * (256 * 2**20)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    before, after = map(int, done.stdout.split())
    assert before < len(held)
    assert after - before > 90 * 2**20
