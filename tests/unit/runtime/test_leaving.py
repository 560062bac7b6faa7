import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.settings import PROJECT

TRIES = 12


def leave(tmp_path: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a program whose main function has this body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    program = f"import atexit, sys\nfrom tasks.runtime.leaving import run_and_leave\ndef main():\n{lines}\n"
    file = tmp_path / "program.py"
    file.write_text(f"{program}run_and_leave(main)\n", encoding="utf-8")
    command = [sys.executable, str(file)]
    paths = {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, check=False, env=paths, capture_output=True, text=True, timeout=60)


def test_a_process_that_read_parquet_through_a_python_file_ends_with_its_own_code(tmp_path: Path) -> None:
    table = pa.table({"x": list(range(100_000)), "y": ["a"] * 100_000})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=1000)
    body = (
        "import pyarrow.parquet as pq\n"
        "for _ in range(3):\n"
        f"    with open({str(tmp_path / 'rows.parquet')!r}, 'rb') as file:\n"
        "        pq.read_table(file)\n"
        "sys.exit(7)"
    )
    # Without it, about one in ten is aborted or never ends.
    assert {leave(tmp_path, body).returncode for _ in range(TRIES)} == {7}


@pytest.mark.parametrize(
    ("last", "code"),
    [("pass", 0), ("sys.exit()", 0), ("sys.exit(20)", 20), ("sys.exit('told')", 1), ("1 / 0", 1)],
)
def test_the_code_and_everything_that_was_said_stay_the_same(tmp_path: Path, last: str, code: int) -> None:
    ended = leave(tmp_path, f"print('said')\natexit.register(print, 'at the end')\n{last}")
    assert (ended.returncode, ended.stdout) == (code, "said\nat the end\n")
    assert ("told" in ended.stderr) == ("told" in last)
    assert ("ZeroDivisionError" in ended.stderr) == ("/" in last)
