"""What a process knows stays with it."""

import ctypes
import subprocess
import sys

import pytest

PR_GET_DUMPABLE = 3


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_process_that_hides_its_environment_can_be_read_by_no_other_of_its_user_and_its_children_can() -> (
    None
):
    script = (
        "import ctypes, subprocess, sys\n"
        "from tasks.runtime.secrecy import hide_environment\n"
        f"asked = 'import ctypes; print(ctypes.CDLL(None).prctl({PR_GET_DUMPABLE}))'\n"
        "hide_environment()\n"
        "exec(asked)\n"
        "print(subprocess.run([sys.executable, '-c', asked], capture_output=True, text=True).stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1"]
    assert ctypes.CDLL(None).prctl(PR_GET_DUMPABLE) == 1, "of this process nothing is changed"
