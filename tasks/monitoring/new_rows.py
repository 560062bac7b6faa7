"""Count the training rows that the champion has not seen, also where a table was made anew since."""

from pydantic.dataclasses import dataclass

from tasks.contracts import DataSnapshot, PinnedTable
from tasks.data.count import count_rows
from tasks.errors import LakeError
from tasks.spec import DataSpec
from tasks.stores.lake import Lake


@dataclass(frozen=True)
class NewRows:
    """How many there are.

    Attributes:
        unknown: Why they cannot be counted, as a sentence; empty where they can.
        notes: What was found out about the tables; sentences.
    """

    rows: int = 0
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def count_new_rows(snapshot: DataSnapshot, data: DataSpec) -> NewRows:
    """Rows that the newest versions of the model's tables give beyond the champion's versions of them.

    Of a table that is not the one of the snapshot, because it was removed and made again or has another name
    now, no row was seen.
    """
    lake, pinned = Lake(), {table.table: table for table in snapshot.pinned}
    try:
        anew = [name for name in _names(data) if name not in pinned or _made_anew(lake, pinned[name])]
        notes = tuple(_told(name, pinned.get(name)) for name in anew)
        rows = count_rows(lake, data, {})
        if data.table in anew:
            return NewRows(rows, notes=notes)
        seen = {name: pinned[name].version for name in _names(data) if name not in anew}
        return NewRows(max(0, rows - count_rows(lake, data, seen)), notes=notes)
    except LakeError as error:
        return NewRows(unknown=(f"The new training rows of {data.table!r} cannot be counted: {error}",))


def _names(data: DataSpec) -> list[str]:
    return [table.table for table in data.all_tables]


def _made_anew(lake: Lake, pinned: PinnedTable) -> bool:
    """Whether the pinned version is there no more, or another commit has its number."""
    if pinned.version > lake.latest(pinned.table):
        return True
    return lake.committed_at(pinned.table, pinned.version) != pinned.version_at


def _told(name: str, pinned: PinnedTable | None) -> str:
    if pinned is None:
        return f"The champion was not trained on the table {name!r}, so all of its rows count as new."
    return (
        f"The table {name!r} was made anew since the champion's snapshot: its version {pinned.version} of "
        f"{pinned.version_at.isoformat()} is not there any more, so all of its rows count as new."
    )
