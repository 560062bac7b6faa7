"""Find rows that say the same: equal features under different keys, and texts that are nearly copies.

A text counts as its words, without case, punctuation and the several forms of one character. Texts whose sets
of three consecutive words overlap by `SIMILARITY` or more (Jaccard index) are near-duplicates, and so is what
such texts are linked by. MinHash finds the pairs without comparing each row with each; each pair that it
proposes is then compared exactly. A pair of just that similarity is proposed with a probability of 0.99.

Sources: Broder, On the resemblance and containment of documents, SEQUENCES 1997; Lee et al., Deduplicating
    Training Data Makes Language Models Better, ACL 2022.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tasks.contracts import NearDuplicates
from tasks.data.duplicates import Hashed
from tasks.spec import DataSpec

LEFT_OUT = -1
SIMILARITY = 0.7
SHINGLE_WORDS = 3
FEWEST_WORDS = 8
"""A shorter text is a near-duplicate of one with the same words only: one word more would decide."""
TEXT_WORDS = 3.0
"""A column of strings is text where it has more words than this on average."""
LOOKED_AT_ROWS = 10_000
BANDS, ROWS_OF_BAND = 16, 4
SEED = 20_250_101
CHUNK_ROWS = 2_000
WORD = re.compile(r"\w+")

Groups = NDArray[np.int64]
Pairs = NDArray[np.int64]


def without_leaks(
    rows: pa.Table, parts: NDArray[np.int8], data: DataSpec
) -> tuple[NDArray[np.int8], NearDuplicates]:
    """Leave out of training what says the same as a row that is tested on, and say how much that was.

    A row of a later part stays where it is, so that none moves from the test part to another one.

    Args:
        parts: For each row the position of its part: 0 train, 1 validation, 2 test.

    Returns:
        The same with `LEFT_OUT` for what is left out.
    """
    texts = text_columns(rows, data.features)
    groups = groups_of(rows, data.features, texts)
    last = np.zeros(groups.max(initial=-1) + 1, dtype=np.int8)
    np.maximum.at(last, groups, parts)
    leaking = parts < last[groups]
    sizes = np.bincount(groups)
    asked = data.split.near_duplicates
    leave_out = asked == "leave_out" or (asked == "auto" and bool(texts))
    found = NearDuplicates(
        groups=int((sizes > 1).sum()),
        rows=int(sizes[sizes > 1].sum()),
        groups_across_parts=len(np.unique(groups[leaking])),
        leaking_rows=int(leaking.sum()),
        left_out=leave_out,
    )
    return np.where(leaking & leave_out, LEFT_OUT, parts).astype(np.int8), found


def text_columns(rows: pa.Table, features: Sequence[str]) -> tuple[str, ...]:
    """The features that hold texts rather than categories."""
    return tuple(
        name
        for name in features
        if pa.types.is_string(rows.schema.field(name).type) and _mean_words(rows[name]) > TEXT_WORDS
    )


def groups_of(rows: pa.Table, features: Sequence[str], texts: Sequence[str]) -> Groups:
    """For each row the number of its group, shape (rows,); rows of one group say the same.

    Args:
        features: The columns that have to say the same: texts nearly, all others exactly.
        texts: Those of them that hold text.
    """
    said = {name: _normalised(rows[name]) for name in texts}
    plain = rows.select(list(features))
    for name, values in said.items():
        plain = plain.set_column(plain.column_names.index(name), name, pa.array(values, pa.string()))
    _, first, groups = np.unique(Hashed(features).of(plain), return_index=True, return_inverse=True)
    if not texts:
        return groups.astype(np.int64)
    of_first = [" ".join(values[row] for values in said.values()) for row in first]
    others = [name for name in features if name not in texts]
    kinds = Hashed(others).of(plain)[first] if others else np.zeros(len(first), dtype=np.uint64)
    return _linked(of_first, kinds)[groups]


def _mean_words(column: pa.ChunkedArray) -> float:
    counts = [len(text.split()) for text in column.drop_null()[:LOOKED_AT_ROWS].to_pylist()]
    return float(np.mean(counts)) if counts else 0.0


def _normalised(column: pa.ChunkedArray) -> list[str]:
    """The words of each text, a space between them; of one without a word the text itself."""
    return [
        " ".join(WORD.findall(folded)) or folded
        for folded in (unicodedata.normalize("NFKC", text or "").casefold() for text in column.to_pylist())
    ]


def _linked(texts: list[str], kinds: NDArray[np.uint64]) -> Groups:
    """The group of each of these different texts; those of different kinds are never linked."""
    long = np.array([row for row, text in enumerate(texts) if text.count(" ") + 1 >= FEWEST_WORDS], np.int64)
    pairs = [
        (one, other)
        for one, other in long[_proposed([texts[row] for row in long])]
        if kinds[one] == kinds[other] and _similarity(texts[one], texts[other]) >= SIMILARITY
    ]
    linked = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    edges = coo_array((np.ones(len(linked)), (linked[:, 0], linked[:, 1])), shape=(len(texts), len(texts)))
    return np.asarray(connected_components(edges, directed=False)[1], dtype=np.int64)


def _proposed(texts: list[str]) -> Pairs:
    """Pairs of texts that may be near-duplicates, each once, shape (pairs, 2)."""
    if len(texts) < 2:
        return np.empty((0, 2), dtype=np.int64)
    signatures = np.concatenate(list(_signatures(texts)))
    found = [_neighbours(signatures[:, start : start + ROWS_OF_BAND]) for start in _band_starts()]
    return np.unique(np.concatenate(found), axis=0)


def _signatures(texts: list[str]) -> Iterator[NDArray[np.uint32]]:
    from rensa import RMinHash

    for start in range(0, len(texts), CHUNK_ROWS):
        sets = [list(_shingles(text)) for text in texts[start : start + CHUNK_ROWS]]
        matrix = RMinHash.digest_matrix_from_token_sets(sets, BANDS * ROWS_OF_BAND, SEED)
        yield np.array(matrix.to_rows(), dtype=np.uint32)


def _band_starts() -> range:
    return range(0, BANDS * ROWS_OF_BAND, ROWS_OF_BAND)


def _neighbours(band: NDArray[np.uint32]) -> Pairs:
    """The pairs that a band puts beside each other: each row and the next one with the same values."""
    order = np.lexsort(band.T)
    same = (band[order][1:] == band[order][:-1]).all(axis=1)
    return np.sort(np.column_stack([order[:-1][same], order[1:][same]]), axis=1).astype(np.int64)


def _similarity(one: str, other: str) -> float:
    """The Jaccard index of two texts' shingles."""
    first, second = _shingles(one), _shingles(other)
    return len(first & second) / len(first | second)


def _shingles(text: str) -> set[str]:
    words = text.split(" ")
    return {" ".join(words[at : at + SHINGLE_WORDS]) for at in range(len(words) - SHINGLE_WORDS + 1)}
