"""What is measured of requests, one by one: numbers, texts by numbers about them, and categories."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tasks.spec import ColumnType

MOST_CHARACTERS = 5000
"""Beyond these the words of a text are not looked at; its length is."""
MOST_WORDS = 5000
FEWEST_WORDS = 8
"""A text with fewer words may well have none that the reference knows."""
WORD = re.compile(r"\w+")
LETTER = re.compile(r"[^\W\d_]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
"""What no writer types. Windows' punctuation that was read as Latin-1 is none of it."""

Numbers = NDArray[np.float64]


def frequent_words(texts: Sequence[str | None]) -> tuple[str, ...]:
    """The words that texts have most often."""
    counted = Counter(word for text in texts for word in _words(text or ""))
    return tuple(word for word, _ in counted.most_common(MOST_WORDS))


def numbers_of(
    rows: pa.Table,
    kinds: Mapping[str, ColumnType],
    texts: Sequence[str],
    words: Mapping[str, tuple[str, ...]],
) -> dict[tuple[str, str], Numbers]:
    """For each column that is or has a number, by its feature and its own name, its values, shape (rows,).

    NaN is no value: what is missing, and numbers that are not finite.
    """
    found = {}
    for name, kind in kinds.items():
        if kind in {"int64", "float64"}:
            found[name, name] = _finite(rows[name])
        elif name in texts:
            values = rows[name].to_pylist()
            known = frozenset(words[name])
            for about, measure in OF_TEXT.items():
                measured = [np.nan if text is None else measure(text, known) for text in values]
                found[name, f"{name}: {about}"] = np.array(measured, dtype=np.float64)
    return found


def categories_of(
    rows: pa.Table, kinds: Mapping[str, ColumnType], texts: Sequence[str]
) -> dict[str, list[str | None]]:
    """The values of each column that is a category, as text."""
    names = [name for name, kind in kinds.items() if kind in {"string", "bool"} and name not in texts]
    return {name: pc.cast(rows[name], pa.string()).to_pylist() for name in names}


def _finite(column: pa.ChunkedArray) -> Numbers:
    values = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _words(text: str) -> list[str]:
    return WORD.findall(unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).casefold())


def _known_share(text: str, known: frozenset[str]) -> float:
    words = _words(text)
    return np.nan if len(words) < FEWEST_WORDS else sum(word in known for word in words) / len(words)


def _share_of_letters(text: str, _: frozenset[str]) -> float:
    return len(LETTER.findall(text)) / len(text) if text else np.nan


OF_TEXT: dict[str, Callable[[str, frozenset[str]], float]] = {
    "characters": lambda text, _: len(text),
    "characters a word": lambda text, _: len(text) / max(len(text.split()), 1),
    "share of letters": _share_of_letters,
    "share of known words": _known_share,
    "control characters": lambda text, _: len(CONTROL.findall(text)),
}
