"""Expectation suites: read strictly, and run by Great Expectations so that nothing passes unseen.

Great Expectations fails open: it drops an expectation whose type it does not know, calls an empty suite a
success, and saves what is left over the versioned file. Here every expectation is made one by one, the
results are counted against the declared, an expectation that could not be evaluated is an error, and a run
works on a copy of the project's folder.
"""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations.expectations.expectation import (
    ColumnMapExpectation,
    ColumnPairMapExpectation,
    MulticolumnMapExpectation,
)
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from tasks.data import strict_json
from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import DataSpec

logging.getLogger("great_expectations").setLevel(logging.WARNING)

SAMPLES = 20
SAMPLE_CHARACTERS = 200
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")


@dataclass(frozen=True)
class Expectation:
    """One declared expectation.

    Attributes:
        columns: The columns that it is about; none for one about the whole table.
        judges_rows: Whether it says of each row if it is met.
        required: Whether not meeting it is a failure; `severity` is `critical`.
    """

    type: str
    arguments: dict[str, Any]
    severity: str
    columns: tuple[str, ...]
    judges_rows: bool

    @property
    def required(self) -> bool:
        return self.severity == "critical"

    def __str__(self) -> str:
        about = f" of {', '.join(self.columns)}" if self.columns else ""
        return self.type.replace("_", " ") + about


@dataclass(frozen=True)
class Suite:
    """A suite as its file declares it; `sha256` is of the file."""

    name: str
    sha256: str
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Outcome:
    """What an expectation found.

    Attributes:
        met: By the suite's own tolerance: rows may break an expectation that is met (`mostly`).
        broken: Positions of the rows that break it, from 0; None where it does not judge rows.
        share: Broken rows among those that have a value, in [0, 1].
        samples: At most 20 of the values that break it.
        message: A sentence with what was found.
    """

    expectation: Expectation
    met: bool
    broken: "np.ndarray[Any, np.dtype[np.int64]] | None"
    share: float | None
    samples: tuple[str, ...]
    message: str


def load_suite(name: str) -> Suite:
    """Read `great_expectations/expectations/<name>.json` and make every expectation of it.

    Raises:
        InvalidProject: The file is missing, unreadable or empty, or declares an expectation that Great
            Expectations does not know or does not accept; the message names each.
    """
    path = settings().suites / "expectations" / f"{name}.json"
    try:
        content = path.read_bytes()
        document = strict_json.loads(content.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidProject(f"{path}: the suite cannot be read: {error}. Correct the file.") from error
    expectations, faults = [], list(_faults_of_document(document, name))
    for position, declared in enumerate(document["expectations"] if not faults else []):
        try:
            expectations.append(_expectation(declared))
        except (gx.exceptions.GreatExpectationsError, ValueError, TypeError, KeyError) as error:
            kind = declared.get("type") if isinstance(declared, dict) else declared
            faults.append(f"expectations[{position}] ({kind}): {' '.join(str(error).split())}")
    if faults:
        raise InvalidProject(f"{path}: {'; '.join(faults)}. Correct the suite.", faults=faults)
    return Suite(name, hashlib.sha256(content).hexdigest(), tuple(expectations))


def load_suites(data: DataSpec) -> Suite:
    """What the suites of a model's tables say of the rows of its query.

    The suites of the tables that it joins speak of the columns that its own table does not have.

    Raises:
        InvalidProject: One of the suites is wrong.
    """
    own = load_suite(data.suite)
    if not data.tables:
        return own
    others = [load_suite(table.suite) for table in data.tables]
    further = [
        each for suite in others for each in suite.expectations if not set(each.columns) & set(data.columns)
    ]
    name = " + ".join(suite.name for suite in (own, *others))
    sha256 = hashlib.sha256("".join(suite.sha256 for suite in (own, *others)).encode()).hexdigest()
    return Suite(name, sha256, (*own.expectations, *further))


def run_suite(
    suite: Suite, expectations: tuple[Expectation, ...], frame: pd.DataFrame
) -> tuple[Outcome, ...]:
    """Evaluate expectations of a suite on rows, in their order.

    Raises:
        InvalidProject: An expectation could not be evaluated, or was left out.
    """
    made = [
        _configuration(expectation, number).to_domain_obj() for number, expectation in enumerate(expectations)
    ]
    with _copied_project() as folder:
        context = gx.get_context(mode="file", context_root_dir=folder)
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        batch = asset.add_batch_definition_whole_dataframe("rows").get_batch(
            {"dataframe": frame.reset_index(drop=True)}
        )
        found = batch.validate(
            gx.ExpectationSuite(suite.name, expectations=made),
            result_format={"result_format": "COMPLETE", "return_unexpected_index_query": False},
        )
    results = {int(result.expectation_config.meta["number"]): result for result in found.results}
    if len(found.results) != len(expectations) or sorted(results) != list(range(len(expectations))):
        raise InvalidProject(
            f"The suite {suite.name!r} declares {len(expectations)} expectations here, but Great "
            f"Expectations evaluated {len(found.results)}. Look for one that is there twice.",
        )
    return tuple(
        _outcome(suite, expectation, results[number]) for number, expectation in enumerate(expectations)
    )


def _faults_of_document(document: Any, name: str) -> Iterator[str]:
    if not isinstance(document, dict):
        yield "an object with `name` and `expectations` is expected"
        return
    if unknown := sorted(set(document) - {"name", "expectations", "meta", "notes", "id"}):
        yield f"unknown fields {unknown}"
    if document.get("name") != name:
        yield f"`name` is {document.get('name')!r}, but the file is {name}.json"
    if not isinstance(document.get("expectations"), list) or not document["expectations"]:
        yield (
            "`expectations` must be a list of at least one expectation, because an empty suite would pass "
            "anything"
        )


def _expectation(declared: Any) -> Expectation:
    if not isinstance(declared, dict) or not isinstance(declared.get("kwargs"), dict):
        raise ValueError("an object with `type` and `kwargs` is expected")  # noqa: TRY004 - told with the file's other faults
    if unknown := sorted(
        set(declared) - {"type", "kwargs", "severity", "meta", "notes", "description", "id"}
    ):
        raise ValueError(f"unknown fields {unknown}")
    arguments, severity = declared["kwargs"], declared.get("severity", "critical")
    made = ExpectationConfiguration(
        type=declared["type"], kwargs=arguments, severity=severity
    ).to_domain_obj()
    named = (arguments.get(argument, ()) for argument in COLUMN_ARGUMENTS)
    columns = tuple(column for value in named for column in ([value] if isinstance(value, str) else value))
    judges_rows = isinstance(
        made, ColumnMapExpectation | ColumnPairMapExpectation | MulticolumnMapExpectation
    )
    return Expectation(declared["type"], arguments, severity, columns, judges_rows)


def _configuration(expectation: Expectation, number: int) -> ExpectationConfiguration:
    return ExpectationConfiguration(
        type=expectation.type,
        kwargs=expectation.arguments,
        severity=expectation.severity,
        meta={"number": number},
    )


@contextmanager
def _copied_project() -> Iterator[Path]:
    """A copy of the Great Expectations project without its suites: whatever a run saves, it saves there."""
    with tempfile.TemporaryDirectory(prefix="great_expectations-") as folder:
        copy = Path(folder) / "great_expectations"
        (copy / "expectations").mkdir(parents=True)
        try:
            shutil.copy(settings().suites / "great_expectations.yml", copy)
        except OSError as error:
            raise InvalidProject(
                f"{settings().suites}/great_expectations.yml cannot be read: {error}."
            ) from error
        yield copy


def _outcome(suite: Suite, expectation: Expectation, result: Any) -> Outcome:
    if raised := _raised(result.exception_info):
        raise InvalidProject(
            f"The suite {suite.name!r}: {expectation.type} {expectation.arguments} could not be evaluated: "
            f"{raised}. Correct its arguments, or the type of its column.",
            expectation=expectation.type,
            arguments=expectation.arguments,
        )
    found = result.result or {}
    broken = (
        np.asarray(found.get("unexpected_index_list") or [], dtype=np.int64)
        if expectation.judges_rows
        else None
    )
    if broken is not None and len(broken) != found.get("unexpected_count", 0):
        raise InvalidProject(
            f"The suite {suite.name!r}: {expectation.type} did not name the rows that break it."
        )
    share = (found.get("unexpected_percent") or 0.0) / 100 if expectation.judges_rows else None
    values = dict.fromkeys(
        str(value)[:SAMPLE_CHARACTERS] for value in found.get("partial_unexpected_list") or []
    )
    samples = tuple(values)[:SAMPLES]
    return Outcome(
        expectation, bool(result.success), broken, share, samples, _message(expectation, found, broken, share)
    )


def _raised(exception_info: dict[str, Any]) -> str:
    """The message of an expectation's exception, of either
    of the two layouts in which it may come; empty for none.
    """
    infos = [exception_info] if "raised_exception" in exception_info else list(exception_info.values())
    return "; ".join(str(info.get("exception_message")) for info in infos if info.get("raised_exception"))


def _message(expectation: Expectation, found: dict[str, Any], broken: Any, share: float | None) -> str:
    if broken is None:
        details = f" ({found['details']})" if found.get("details") else ""
        return f"Observed: {found.get('observed_value')}{details}."
    allowed = 1 - float(expectation.arguments.get("mostly", 1))
    return (
        f"{len(broken)} of {found.get('element_count', 0)} rows break it ({share:.2%} of those judged; "
        f"{allowed:.2%} may)."
    )
