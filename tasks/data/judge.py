"""Judge rows by a suite: at a glance where that is enough, by Great Expectations otherwise.

Importing it takes longer than judging most files, so that waits until it is asked.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from tasks.data.findings import Finding
from tasks.data.quick_findings import find_quickly
from tasks.data.suites import Expectation, Suite
from tasks.errors import InvalidProject
from tasks.settings import settings

if TYPE_CHECKING:
    from tasks.data.suite_run import SuiteRun


class Judge:
    """Evaluates expectations of a suite on rows; made by `judging`."""

    def __init__(self, suite: Suite, project: Path) -> None:
        self.suite = suite
        self._project = project

    def evaluate(self, expectations: Sequence[Expectation], rows: pa.Table) -> list[Finding]:
        """What each expectation finds, in their order.

        Raises:
            InvalidProject: One could not be evaluated on any rows of these columns, or was left out.
            DataRejected: One could not be evaluated on these very rows.
            MachineFull: The machine failed while one was evaluated.
        """
        quick = {each: find_quickly(each, rows) for each in expectations}
        others = [each for each in expectations if quick[each] is None]
        slow = dict(zip(others, self.run.evaluate(others, rows), strict=True)) if others else {}
        return [quick[each] or slow[each] for each in expectations]

    @cached_property
    def run(self) -> "SuiteRun":
        """Great Expectations, which judges what no glance does."""
        from tasks.data.suite_run import SuiteRun

        return SuiteRun(self.suite, self._project)


@contextmanager
def judging(suite: Suite) -> Iterator[Judge]:
    """A judge of a suite, on a copy of the project without its suites, because Great Expectations saves what
    it likes over versioned files.

    Raises:
        InvalidProject: The project's own file cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="great_expectations-") as folder:
        copy = Path(folder) / "great_expectations"
        (copy / "expectations").mkdir(parents=True)
        try:
            shutil.copy(settings().suites / "great_expectations.yml", copy)
        except OSError as error:
            raise InvalidProject(
                f"{settings().suites}/great_expectations.yml cannot be read: {error}."
            ) from error
        yield Judge(suite, copy)
