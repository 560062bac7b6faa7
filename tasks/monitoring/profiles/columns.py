"""Which columns are profiled, and how: a text is followed through numbers about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.contracts.profile import ProfileKind
from tasks.spec import ColumnType
from tasks.stores.lake_sql import quote

KINDS: dict[ColumnType, ProfileKind] = {
    "int64": "number",
    "float64": "number",
    "bool": "category",
    "string": "category",
    "timestamp": "time",
    "date": "time",
}

OF_TEXT = {
    "characters": "length({0})",
    "words": "len(regexp_split_to_array(trim({0}), '\\s+'))",
    "share of letters": "length(regexp_replace({0}, '[^\\pL]', '', 'g')) / length({0})",
}
"""Numbers about a text, as SQL; each is null where the text is blank."""


@dataclass(frozen=True)
class Followed:
    """One column that is profiled.

    Attributes:
        name: Its name in profiles and verdicts.
        source: The column of the rows that it is about.
        kind: How it is compared.
        value: Its value as SQL: a double, a text or a timestamp; null where there is none. A number that is
            not finite is none.
    """

    name: str
    source: str
    kind: ProfileKind
    value: str


def followed(types: Mapping[str, ColumnType], texts: frozenset[str] = frozenset()) -> tuple[Followed, ...]:
    """The columns to profile.

    Args:
        types: The columns of the rows.
        texts: Those of type `string` that hold text, not one of a set of names.
    """
    return tuple(
        one
        for name, kind in types.items()
        for one in (_text(name) if name in texts else (_column(name, KINDS[kind]),))
    )


def _column(name: str, kind: ProfileKind) -> Followed:
    quoted = quote(name)
    if kind == "number":
        value = f"CASE WHEN isfinite({quoted}::DOUBLE) THEN {quoted}::DOUBLE END"
    else:
        value = f"{quoted}::VARCHAR" if kind == "category" else f"{quoted}::TIMESTAMP"
    return Followed(name, name, kind, value)


def _text(name: str) -> tuple[Followed, ...]:
    quoted = quote(name)
    filled = f"CASE WHEN trim({quoted}) <> '' THEN {{0}} END"
    return tuple(
        Followed(f"{name}: {about}", name, "number", filled.format(f"({sql.format(quoted)})::DOUBLE"))
        for about, sql in OF_TEXT.items()
    )
