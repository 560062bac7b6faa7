"""Let Great Expectations judge rows by a suite, so that nothing passes unseen.

The results are counted against the declared, and an expectation that could not be evaluated is an error: of
the suite where it cannot be evaluated on any rows of the table, of these rows otherwise.
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.execution_engine.pandas_execution_engine as engine
import numpy as np
import pandas as pd
import pyarrow as pa
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from tasks.data.findings import SAMPLE_CHARACTERS, SAMPLES, Finding
from tasks.data.suites import Expectation, Suite
from tasks.errors import DataRejected, InvalidProject, MachineFull
from tasks.stores.machine import is_of_machine, says_machine

# Below this size Great Expectations hashes every batch into a mark that nobody reads: most of a run's time.
engine.HASH_THRESHOLD = 0

NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    **{
        kind(): getattr(pd, f"{name}Dtype")()
        for name, kind in (
            ("Int8", pa.int8),
            ("Int16", pa.int16),
            ("Int32", pa.int32),
            ("Int64", pa.int64),
            ("UInt8", pa.uint8),
            ("UInt16", pa.uint16),
            ("UInt32", pa.uint32),
            ("UInt64", pa.uint64),
        )
    },
}
TYPICAL: dict[pa.DataType, list[Any]] = {
    pa.string(): ["a", "b"],
    pa.int64(): [1, 2],
    pa.float64(): [0.5, 1.5],
    pa.bool_(): [True, False],
    pa.timestamp("us", "UTC"): [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)],
    pa.date32(): [date(2026, 1, 1), date(2026, 1, 2)],
}


class CannotEvaluate(Exception):
    """An expectation raised an exception, of which Great Expectations keeps texts.

    Attributes:
        said: What it said.
        classes: Its class, and those of its causes.
    """

    def __init__(self, expectation: Expectation, said: str, classes: str) -> None:
        super().__init__(said)
        self.expectation = expectation
        self.said = said
        self.classes = classes


class SuiteRun:
    """Evaluates expectations of a suite on rows, in a Great Expectations project of its own.

    Args:
        project: The folder of the project; what a run saves, it saves there.
    """

    def __init__(self, suite: Suite, project: Path) -> None:
        self.suite = suite
        context = gx.get_context(mode="file", context_root_dir=project)
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        self._rows = asset.add_batch_definition_whole_dataframe("rows")

    def evaluate(self, expectations: Sequence[Expectation], rows: pa.Table) -> list[Finding]:
        """What each expectation finds, in their order.

        Raises:
            InvalidProject: One could not be evaluated on any rows of these columns, or was left out.
            DataRejected: One could not be evaluated on these very rows.
            MachineFull: The machine failed while one was evaluated.
        """
        try:
            return self._evaluate(expectations, frame_of(rows))
        except CannotEvaluate as fault:
            if says_machine(fault.classes):
                raise MachineFull(f"{fault.expectation} was not evaluated: {_short(fault.said)}") from fault
            self._require_sound(fault, rows.schema)
            raise DataRejected(
                f"{fault.expectation.type} {fault.expectation.arguments} cannot be evaluated on these rows: "
                f"{_short(fault.said)}. Correct them, or the suite {self.suite.name!r}."
            ) from fault

    def _require_sound(self, fault: CannotEvaluate, schema: pa.Schema) -> None:
        """Refuse a suite whose expectation cannot be evaluated on ordinary rows either."""
        typical = {field.name: pa.array(TYPICAL.get(field.type, [None] * 2), field.type) for field in schema}
        try:
            self._evaluate([fault.expectation], frame_of(pa.table(typical)))
        except CannotEvaluate as always:
            raise InvalidProject(
                f"The suite {self.suite.name!r}: {fault.expectation.type} {fault.expectation.arguments} "
                f"could not be evaluated: {_short(always.said)}. Correct its arguments, or the type of its "
                "column.",
                expectation=fault.expectation.type,
                arguments=fault.expectation.arguments,
            ) from fault

    def _evaluate(self, expectations: Sequence[Expectation], frame: pd.DataFrame) -> list[Finding]:
        try:
            found = self._validate(expectations, frame)
        except Exception as error:
            if is_of_machine(error):
                raise
            if len(expectations) > 1:  # whose it is shows where each is asked by itself
                return [finding for each in expectations for finding in self._evaluate([each], frame)]
            raise CannotEvaluate(expectations[0], f"{type(error).__name__}: {error}", "") from error
        results = {int(result.expectation_config.meta["number"]): result for result in found.results}
        if len(found.results) != len(expectations) or sorted(results) != list(range(len(expectations))):
            raise InvalidProject(
                f"The suite {self.suite.name!r} declares {len(expectations)} expectations here, but Great "
                f"Expectations evaluated {len(found.results)}. Look for one that is there twice.",
            )
        return [_finding(self.suite, each, results[number]) for number, each in enumerate(expectations)]

    def _validate(self, expectations: Sequence[Expectation], frame: pd.DataFrame) -> Any:
        """What Great Expectations says of each; it matches regular expressions by Python's `re`.

        Text in Arrow's own form pandas would match by RE2, which has fewer of them and whose classes (`\\w`)
        are of ASCII alone.
        """
        made = [_configuration(each, number).to_domain_obj() for number, each in enumerate(expectations)]
        with pd.option_context("mode.string_storage", "python"):
            if any("row_condition" in each.arguments for each in expectations):
                frame = frame.astype(dict.fromkeys(frame.select_dtypes("str"), "str"))
            return self._rows.get_batch({"dataframe": frame}).validate(
                gx.ExpectationSuite(self.suite.name, expectations=made),
                result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
            )


def frame_of(rows: pa.Table) -> pd.DataFrame:
    """Rows for Great Expectations. A whole number or a truth value beside a null stays what it is."""
    return pd.DataFrame(
        {
            name: column.to_pandas(types_mapper=NULLABLE.get if column.null_count else None)
            for name, column in zip(rows.column_names, rows.columns, strict=True)
        },
        index=pd.RangeIndex(len(rows)),
    )


def _configuration(expectation: Expectation, number: int) -> ExpectationConfiguration:
    return ExpectationConfiguration(
        type=expectation.type,
        kwargs=expectation.arguments,
        severity=expectation.severity,
        meta={"number": number},
    )


def _finding(suite: Suite, expectation: Expectation, result: Any) -> Finding:
    if raised := _exceptions(result.exception_info):
        said, classes = ("; ".join(texts) for texts in zip(*map(_texts, raised), strict=True))
        raise CannotEvaluate(expectation, said, classes)
    found = result.result or {}
    counted = expectation.judges_rows and "unexpected_count" in found
    broken = np.asarray(found.get("unexpected_index_list") or [], dtype=np.int64) if counted else None
    if broken is not None and len(broken) != found["unexpected_count"]:
        raise InvalidProject(
            f"The suite {suite.name!r}: {expectation.type} did not name the rows that break it."
        )
    rows = int(found.get("element_count") or 0)
    values = (str(value)[:SAMPLE_CHARACTERS] for value in found.get("partial_unexpected_list") or [])
    return Finding(
        met=bool(result.success),
        rows=rows,
        judged=rows - int(found.get("missing_count") or 0),
        unexpected=0 if broken is None else len(broken),
        broken=broken,
        samples=tuple(dict.fromkeys(values))[:SAMPLES],
        observed="" if counted else _observation(found),
    )


def _observation(found: dict[str, Any]) -> str:
    details = f" ({found['details']})" if found.get("details") else ""
    return f"Observed: {found.get('observed_value')}{details}."


def _exceptions(exception_info: dict[str, Any]) -> list[dict[str, Any]]:
    """What is known of the exceptions, in either of its two layouts; nothing where there is none."""
    infos = [exception_info] if "raised_exception" in exception_info else list(exception_info.values())
    return [info for info in infos if info.get("raised_exception")]


def _texts(info: dict[str, Any]) -> tuple[str, str]:
    """The message of an exception, and the classes that its traceback names."""
    lines = str(info.get("exception_traceback") or "").splitlines()
    return str(info.get("exception_message")), " ".join(
        found.group(1) for line in lines if (found := re.match(r"([\w.]+)(:|$)", line))
    )


def _short(said: str, length: int = 500) -> str:
    text = " ".join(said.split())
    return text if len(text) <= length else f"{text[:length]}…"
