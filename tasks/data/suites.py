"""Expectation suites, read strictly.

Great Expectations fails open: it drops an expectation whose type it does not know, and calls an empty suite a
success. Here every expectation is made one by one, and one that cannot be is an error.
"""

import ast
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from tasks.data import plain_expectations, strict_json
from tasks.errors import InvalidProject
from tasks.settings import settings
from tasks.spec import DataSpec, TableSpec

COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")
OF_THE_LAYOUT = (
    "expect_column_to_exist",
    "expect_column_type_to_be",
    "expect_table_column_count",
    "expect_table_columns",
)
OF_THE_COUNT = ("expect_table_row_count",)
UNIQUE = ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique")
OF_OTHER_ROWS = (
    *UNIQUE,
    "expect_column_value_z_scores",
    "expect_column_values_to_be_decreasing",
    "expect_column_values_to_be_increasing",
    "expect_column_values_to_not_be_outliers",
)
OF_DISTINCT_VALUES = (
    "expect_column_distinct_values",
    "expect_column_max",
    "expect_column_min",
    "expect_column_unique_value_count",
)

LISTS_COLUMNS = {
    "expect_table_columns_to_match_set": "column_set",
    "expect_table_columns_to_match_ordered_list": "column_list",
}
"""The expectations that list the columns of the table, and their argument for it."""

Scope = Literal["row", "unique", "distinct", "whole", "count", "layout"]
"""What an expectation has to see: each row by itself, values that are equal, the different values, all values
of its columns, how many rows there are, or only how they are laid out.
"""


@dataclass(frozen=True, eq=False)
class Expectation:
    """One declared expectation; one that is declared twice is two.

    Attributes:
        columns: The columns that it is about, also by its `row_condition`; none for one about the table.
        judges_rows: Whether it says of each row if it is met.
        scope: What it has to see to say so.
        required: Whether not meeting it is a failure; `severity` is `critical`.
    """

    type: str
    arguments: dict[str, Any]
    severity: str
    columns: tuple[str, ...]
    judges_rows: bool
    scope: Scope

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


def load_suite(name: str) -> Suite:
    """Read `great_expectations/expectations/<name>.json` and make every expectation of it.

    Raises:
        InvalidProject: The file is missing, unreadable or empty, or declares an expectation that Great
            Expectations does not know or does not accept; the message names each.
    """
    path = _path(name)
    if not path.is_file():
        raise InvalidProject(
            f"{path}: there is no such suite. Correct pipeline.yaml, or let `make suite` propose one."
        )
    try:
        content = path.read_bytes()
        document = strict_json.loads(content.decode("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidProject(f"{path}: the suite cannot be read: {error}. Correct the file.") from error
    expectations, faults = [], list(_faults_of_document(document, name))
    for position, declared in enumerate(document["expectations"] if not faults else []):
        try:
            expectations.append(_expectation(declared))
        except (MemoryError, OSError):  # the machine's
            raise
        except Exception as error:  # noqa: BLE001 - whatever Great Expectations says of a declaration
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


def require_columns(suite: Suite, expectations: Sequence[Expectation], names: Sequence[str]) -> None:
    """Refuse a suite that is about columns which are not there.

    Raises:
        InvalidProject: The message names them.
    """
    missing = {column for expectation in expectations for column in expectation.columns} - set(names)
    if missing:
        raise InvalidProject(
            f"The suite {suite.name!r} has expectations about the columns {sorted(missing)}, but there are "
            f"only {sorted(names)}. Correct the suite, or pipeline.yaml."
        )


def require_declared_columns(suite: Suite, table: TableSpec) -> None:
    """Refuse a suite that lists other columns than the rows of its table can have: it would refuse each file.

    Raises:
        InvalidProject: The message names them.
    """
    for expectation in suite.expectations:
        listed = expectation.arguments.get(LISTS_COLUMNS.get(expectation.type, ""))
        if not isinstance(listed, list) or not expectation.required:
            continue
        lacking = [name for name in table.columns if name not in listed]
        beyond = [name for name in listed if name not in table.columns]
        faults = []
        if lacking and expectation.arguments.get("exact_match") is not False:
            faults.append(f"lacks {', '.join(lacking)}, which pipeline.yaml declares")
        if beyond and table.unknown_columns != "add":
            faults.append(f"names {', '.join(map(str, beyond))}, which pipeline.yaml does not declare")
        if faults:
            raise InvalidProject(
                f"{_path(suite.name)}: the suite's {LISTS_COLUMNS[expectation.type]} {' and '.join(faults)} "
                f"under the columns of the table {table.table!r}. Correct the suite, or pipeline.yaml."
            )


def _path(name: str) -> Path:
    return settings().suites / "expectations" / f"{name}.json"


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
    kind = declared["type"]
    _require_a_range(arguments)
    _require_regexes(arguments)
    _require_names(arguments)
    judges_rows = _judges_rows(kind, arguments, severity)
    named = [arguments.get(argument, ()) for argument in COLUMN_ARGUMENTS]
    own = [column for value in named for column in ([value] if isinstance(value, str) else value)]
    condition = arguments.get("row_condition")
    columns = tuple(dict.fromkeys([*own, *_columns_of(condition)]))
    scope = _scope(kind, columns, judges_rows=judges_rows, conditional=condition is not None)
    return Expectation(kind, arguments, severity, columns, judges_rows, scope)


def _require_a_range(arguments: dict[str, Any]) -> None:
    """Refuse bounds that no value lies between; Great Expectations takes them."""
    least, most = arguments.get("min_value"), arguments.get("max_value")
    if least is None or most is None:
        return
    if isinstance(least, str) and isinstance(most, str):
        try:
            is_empty = datetime.fromisoformat(least) > datetime.fromisoformat(most)
        except (TypeError, ValueError):
            return
    elif isinstance(least, int | float) and isinstance(most, int | float):
        is_empty = least > most
    else:
        return
    if is_empty:
        raise ValueError(f"min_value {least!r} is above max_value {most!r}, so that no value fits")


def _require_regexes(arguments: dict[str, Any]) -> None:
    """Refuse what is no regular expression; Great Expectations takes it, and can match no row with it."""
    listed = arguments.get("regex_list", [])
    given = [arguments["regex"]] if "regex" in arguments else []
    for regex in [*given, *(listed if isinstance(listed, list) else [listed])]:
        if fault := plain_expectations.fault_of_regex(regex):
            raise ValueError(f"{regex!r:.200} is no regular expression: {fault}")


def _require_names(arguments: dict[str, Any]) -> None:
    """Refuse a list of columns that is none; Great Expectations takes anything."""
    for argument in LISTS_COLUMNS.values():
        listed = arguments.get(argument, [])
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise ValueError(f"{argument} must be a list of the names of columns, and is {listed!r:.200}")


def _judges_rows(kind: str, arguments: dict[str, Any], severity: str) -> bool:
    plain = plain_expectations.judges_rows(kind, arguments, severity)
    if plain is not None:
        return plain
    from tasks.data import made_expectations

    return made_expectations.judges_rows(kind, arguments, severity)


def _scope(kind: str, columns: Sequence[str], *, judges_rows: bool, conditional: bool) -> Scope:
    if kind.startswith(UNIQUE) and not conditional:
        return "unique"
    if judges_rows and not kind.startswith(OF_OTHER_ROWS):
        return "row"
    if kind.startswith(OF_DISTINCT_VALUES) and not conditional:
        return "distinct"
    if kind.startswith(OF_THE_COUNT):
        return "count"
    return "layout" if kind.startswith(OF_THE_LAYOUT) or not columns else "whole"


def _columns_of(condition: Any) -> Iterator[str]:
    """The columns that a `row_condition` looks at, in each of the forms that it may have."""
    if isinstance(condition, str):
        yield from re.findall(r"""col\(["']([^"']+)["']\)""", condition) or _names(condition)
    if isinstance(condition, dict):
        column = condition.get("column")
        yield from [column["name"]] if isinstance(column, dict) and "name" in column else []
        yield from _names(str(condition.get("pass_through_filter") or ""))
        yield from (name for value in condition.values() for name in _columns_of_all(value))


def _columns_of_all(value: Any) -> Iterator[str]:
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, dict):
            yield from _columns_of(part)


def _names(expression: str) -> Iterator[str]:
    """The names in an expression of pandas: plain, or in backquotes."""
    yield from re.findall(r"`([^`]+)`", expression)
    plain = re.sub(r"`[^`]+`", "(0)", expression)
    yield from (
        node.id for node in ast.walk(ast.parse(plain or "0", mode="eval")) if isinstance(node, ast.Name)
    )
