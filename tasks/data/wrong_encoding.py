"""Find text that was decoded by another encoding than its own: `Ã©` for `é`, `â€™` for an apostrophe.

ftfy's heuristic looks for neighbours that no language has. It is slow, so it is asked only about what stands
around characters that such text is made of, and about the whole text where it finds something there.

A lone control character of U+0080 to U+009F, a dash or an ellipsis of Windows read as Latin-1, is a blemish
that old texts really have, here and there, and leaves the rest readable: it spoils no row. After a letter
that begins a character of UTF-8 it is a part of such text, and counts.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ftfy.badness import is_bad

from tasks.data.typed_values import Mask

DECODED = "text_has_its_own_encoding"
SUSPICIOUS = re.compile(
    r".{0,3}[\u0080-\u02ff\u0400-\u040f\u0450-\u045f\u0490\u0491\u2000-\u2bff\ufffd]+.{0,3}", re.DOTALL
)
BLEMISH = re.compile(r"(?<![\u0080-\u00f4])[\u0080-\u009f]")
LOST = "\ufffd"
"""What a decoder that does not stop at a fault puts into its place."""


def find_wrong_encoding(column: pa.ChunkedArray) -> Mask:
    """For each text whether it was decoded wrongly; null was not."""
    plain = pc.fill_null(pc.string_is_ascii(column), True)  # noqa: FBT003
    found = np.zeros(len(column), dtype=np.bool_)
    places = np.flatnonzero(~np.asarray(plain, dtype=np.bool_))
    if len(places):
        texts = column.take(pa.array(places)).to_pylist()
        found[places] = [is_mojibake(text) for text in texts]
    return found


def is_mojibake(text: str) -> bool:
    """Whether a text was decoded wrongly."""
    text = BLEMISH.sub("", text)
    around = SUSPICIOUS.findall(text)
    if not around:
        return False
    return LOST in text or (bool(is_bad("\n".join(around))) and bool(is_bad(text)))
