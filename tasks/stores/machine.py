"""Whose fault an error is: the machine's, which may pass by itself, or that of what it was given.

DuckDB and Arrow have one family of errors each for both, and Great Expectations keeps of an error only its
text. Who reads data asks here: a fault of the machine is raised and tried again, any other is the data's.
"""

import re
from collections.abc import Iterator

import duckdb
import pyarrow as pa

from tasks.errors import MachineFull, ServiceAway, StoreRefused, StoreUnreachable

KINDS = (
    MemoryError,  # pa.ArrowMemoryError is one
    ConnectionError,
    TimeoutError,
    duckdb.OperationalError,  # want of memory and of disk, among others
    duckdb.FatalException,
    duckdb.InterruptException,
    pa.ArrowCancelled,
    MachineFull,
    ServiceAway,
    StoreRefused,
    StoreUnreachable,
)
OF_STORES = ("botocore.", "aiobotocore.", "gcsfs.", "s3fs.", "google.auth.", "aiohttp.")
NAMES = re.compile(r"\b(MemoryError|ArrowMemoryError|OutOfMemoryException|No space left on device)\b")


def is_of_machine(error: BaseException) -> bool:
    """Whether an error, or what caused it, is a fault of the machine or of a service."""
    return any(_is_of_machine(cause) for cause in _causes(error))


def says_machine(text: str) -> bool:
    """Whether the text of an error that was caught by somebody else tells of such a fault."""
    return bool(NAMES.search(text))


def _is_of_machine(error: BaseException) -> bool:
    # The system numbers its errors; those that libraries raise for damaged files have no number.
    numbered = isinstance(error, OSError) and error.errno is not None
    return isinstance(error, KINDS) or numbered or type(error).__module__.startswith(OF_STORES)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
