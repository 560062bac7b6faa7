"""Turn a text into hashed word n-grams; training and serving both import this, so that they see the same."""

import re
from functools import lru_cache
from hashlib import blake2b

import numpy as np

MARKUP = re.compile(r"<[^>]{0,40}>")
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)*|[!?]")
MULTIPLIER = np.uint64(
    0x9E3779B97F4A7C15
)  # 2^64 / golden ratio: Knuth's multiplicative hashing, TAOCP 3, 6.4


def words(text: str) -> list[str]:
    """The lower-case words of a text, and its exclamation
    and question marks; markup such as `<br />` is dropped.
    """
    return WORD.findall(MARKUP.sub(" ", text.lower()).replace("\u2019", "'"))


@lru_cache(maxsize=1 << 18)
def word_hash(word: str) -> int:
    """A word's 64-bit hash: the same in every process and on every machine, unlike Python's own."""
    return int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "little")


def buckets_of(text: str, *, buckets: int, ngrams: int) -> np.ndarray:
    """The distinct buckets, sorted, of a text's word n-grams
    of length 1 to `ngrams`; shape (features,), int64.
    """
    hashes = np.fromiter(map(word_hash, words(text)), dtype=np.uint64)
    rows, grams = [], hashes
    for length in range(1, ngrams + 1):
        rows.append(grams * MULTIPLIER >> np.uint64(20))
        grams = grams[:-1] * MULTIPLIER + hashes[length:]
    return np.unique(np.concatenate(rows) % np.uint64(buckets)).astype(np.int64)
