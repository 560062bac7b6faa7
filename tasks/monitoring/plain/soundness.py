"""What is wrong with a file by itself, without a reference or a suite: what anyone would refuse.

Publishers ship dirt: a few rows that cannot be read, a few dates that are none. So each fault has a share of
the rows up to which it is told, and beyond which the file is refused.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.contracts import Signal
from tasks.data.duplicates import Hashed
from tasks.data.plain_rows import PlainRows
from tasks.data.wrong_encoding import find_wrong_encoding

UNREADABLE_SHARE = 0.05
MISREAD_SHARE = 0.05
IMPOSSIBLE_SHARE = 0.005
"""Of dates; no calendar has the 30th of February, so few of them are a slip and more a fault."""
ODD_TIME_SHARE = 0.01
WRONG_TEXT_SHARE = 0.01
REPEATED_SHARE = 0.05
FEWEST_REPEATED = 30
"""So few repeated rows are no delivery that came twice."""
RICH = 0.5
"""Where one column has so many different values among the different rows, equal rows are no chance."""
TOLERATED_FUTURE = timedelta(days=2)
PLANNED = re.compile(
    r"expir|due|until|valid|deadline|schedul|plan|deliver|depart|arriv|check_?(in|out)|event|renew|matur|end|next|eta|forecast",
    re.IGNORECASE,
)
"""Names of times that may well be in the future."""
MISREAD_LEVELS = {"date", "timestamp"}
TIMES = MISREAD_LEVELS
DATE_ENDS = (date(1900, 1, 1), date(9999, 1, 1))

Level = Literal["note", "incident"]


def faults_of(file: PlainRows, now: datetime, reference: PlainRows | None = None) -> list[Signal]:
    """Everything that is wrong with the file by itself.

    Args:
        reference: What it may do because the reference does, too: repeat rows, look into the future.
    """
    return [
        *_unreadable(file),
        *_misread(file),
        *_odd_times(file, now, reference),
        *_wrong_texts(file, reference),
        *_with_nul(file),
        *_repeated(file, reference),
        *_empty(file),
    ]


def _fault(reason: str, subject: str, share: float, most: float, why: str) -> Signal:
    level: Level = "incident" if share > most else "note"
    return Signal(
        question="validity",
        reason=reason,
        subject=subject,
        level=level,
        value=share,
        threshold=most,
        unit="share of the rows",
        why=why,
    )


def _unreadable(file: PlainRows) -> Iterator[Signal]:
    if file.unreadable:
        count, first = len(file.unreadable), file.unreadable[0]
        share = count / (count + len(file.rows))
        why = f"{count} rows ({share:.2%}) cannot be read; the first is row {first.number}: {first.reason}"
        yield _fault("unreadable", file.name, share, UNREADABLE_SHARE, why)
    if not file.ends_whole:
        why = "The last line of the file does not end: where others of its kind do, it is cut off."
        yield Signal(question="validity", reason="no_last_line", subject=file.name, level="note", why=why)
    for name in file.not_plain:
        why = f"{name} holds nested values, which were not looked at."
        yield Signal(question="validity", reason="left_out", subject=name, level="note", why=why)


def _misread(file: PlainRows) -> Iterator[Signal]:
    """Values that are not of their column's type: words for missing values are natural, dates that are none
    are not.
    """
    for name, count in file.misread.items():
        kind, example = file.kinds[name], file.examples[name]
        share = count / max(len(file.rows), 1)
        if kind in TIMES and re.match(r"\d", example):
            why = f"{name}: {count} dates ({share:.2%}) do not exist, such as {example!r}."
            yield _fault("impossible_date", name, share, IMPOSSIBLE_SHARE, why)
        elif any(letter.isdigit() for letter in example):
            why = f"{name}: {count} values ({share:.2%}) are not {kind}, such as {example!r}."
            yield _fault("mixed_types", name, share, MISREAD_SHARE, why)
        else:
            why = (
                f"{name}: {count} values ({share:.2%}) are words in the place of {kind}, such as "
                f"{example!r}; they were taken as missing."
            )
            yield Signal(
                question="validity",
                reason="placeholder",
                subject=name,
                level="note",
                value=share,
                unit="share of the rows",
                why=why,
            )


def _odd_times(file: PlainRows, now: datetime, reference: PlainRows | None) -> Iterator[Signal]:
    for name in (name for name, kind in file.kinds.items() if kind in TIMES):
        days = days_of(file, name)
        if not len(days):
            continue
        before = days_of(reference, name) if reference and reference.kinds.get(name) in TIMES else None
        ahead = (now + TOLERATED_FUTURE - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() / 86_400
        found = {
            "future": (days > ahead, "lie in the future"),
            "placeholder_time": (_is_placeholder(days), "are dates that stand for none (1900, 1970, 9999)"),
        }
        for reason, (mask, told) in found.items():
            share = float(mask.mean())
            usual = 0.0
            if before is not None and len(before):
                usual = float(((before > ahead) if reason == "future" else _is_placeholder(before)).mean())
            if reason == "future" and PLANNED.search(name) and before is None:
                continue
            if share > usual:
                example = _day(float(days[int(np.argmax(mask))]))
                why = f"{name}: {share:.2%} of the times {told}, such as {example}" + (
                    f"; {usual:.2%} in the reference." if before is not None else "."
                )
                yield _fault(reason, name, share, ODD_TIME_SHARE + 2 * usual, why)


def days_of(file: PlainRows, name: str) -> np.ndarray:
    """The times of a column as days since 1970, those that are there."""
    column = file.rows.column(name).drop_null().combine_chunks()
    if file.kinds[name] == "date":
        return np.asarray(column.cast(pa.int32()), dtype=np.float64)
    return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()), dtype=np.float64) / 86_400e6


def _is_placeholder(days: np.ndarray) -> np.ndarray:
    """The first hours of 1970 (a missing time as 0), all of its first month where nothing else is there (a
    time in seconds read as milliseconds), and the ends of calendars.
    """
    first, last = ((each - date(1970, 1, 1)).days for each in DATE_ENDS)
    odd = (days == 0) | (days <= first) | (days >= last)
    if np.mean((days >= 0) & (days < 31)) > 0.9:
        odd |= (days >= 0) & (days < 31)
    return np.asarray(odd)


def _day(days: float) -> str:
    return str(date.fromordinal(int(np.clip(days + 719_163, 1, 3_652_059))))


def _wrong_texts(file: PlainRows, reference: PlainRows | None) -> Iterator[Signal]:
    for name in (name for name, kind in file.kinds.items() if kind == "string"):
        share = _wrong_share(file, name)
        if share:
            usual = (
                _wrong_share(reference, name) if reference and reference.kinds.get(name) == "string" else 0.0
            )
            why = (
                f"{name}: {share:.2%} of the texts were decoded by another encoding than their own "
                "(such as Ã© for é). Write the file as UTF-8 from the right encoding."
            )
            yield _fault("wrong_encoding", name, share, WRONG_TEXT_SHARE + 2 * usual, why)


def _with_nul(file: PlainRows) -> Iterator[Signal]:
    """No text has the character NUL; a disk that lost what was written has."""
    for name in (name for name, kind in file.kinds.items() if kind == "string"):
        column = file.rows.column(name)
        count = pc.sum(pc.match_substring(column, "\0")).as_py() or 0
        if count:
            share = count / len(column)
            why = (
                f"{name}: {count} texts ({share:.2%}) hold NUL bytes, as no text does. Write the file again."
            )
            yield _fault("nul_bytes", name, share, WRONG_TEXT_SHARE, why)


def _wrong_share(file: PlainRows, name: str) -> float:
    return float(find_wrong_encoding(file.rows.column(name)).mean()) if len(file.rows) else 0.0


def _repeated(file: PlainRows, reference: PlainRows | None) -> Iterator[Signal]:
    repeated, share, is_rich = repeated_rows(file)
    usual = repeated_rows(reference)[1] if reference and repeated else 0.0
    if repeated and is_rich:
        why = (
            f"{repeated} rows ({share:.1%}) are exact copies of another one"
            + (f", {usual:.1%} in the reference" if reference else "")
            + ". Was the file written or joined twice?"
        )
        most = REPEATED_SHARE + usual if repeated >= FEWEST_REPEATED else 1.0
        yield _fault("repeated_rows", file.name, share, most, why)


def repeated_rows(file: PlainRows) -> tuple[int, float, bool]:
    """How many rows are copies, their share, and whether equal rows are no chance in such a table."""
    rows = len(file.rows)
    places = [
        f"c{place}" for place in range(file.rows.num_columns)
    ]  # a name may be blank, or another's in capitals
    hashes = Hashed(places).of(file.rows.rename_columns(places))
    _, first = np.unique(hashes, return_index=True)
    if len(first) == rows:
        return 0, 0.0, True
    different = file.rows.take(pa.array(first))
    most = max(pc.count_distinct(column).as_py() for column in different.columns)
    return rows - len(first), (rows - len(first)) / rows, most > RICH * len(first)


def _empty(file: PlainRows) -> Iterator[Signal]:
    for name in file.kinds:
        if len(file.rows) and file.rows.column(name).null_count == len(file.rows):
            yield Signal(
                question="validity",
                reason="empty_column",
                subject=name,
                level="note",
                why=f"{name} has no value at all.",
            )
